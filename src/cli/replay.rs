//! `fillguard replay`: what would have been told, had the daemon seen this recording.

use std::io::Write;
use std::path::PathBuf;
use std::thread;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use indicatif::ProgressBar;

use super::{FINE, FOUND, Format, MISUSE};
use crate::config::Config;
use crate::cost;
use crate::domain::{EffectKind, Level};
use crate::journal::{ReadError, Reader};
use crate::notify::console;
use crate::pipeline::Settings;
use crate::replay::{Summary, Told, first_fault, replay, to_json};

/// Run recordings through the rules and print what would have been told
///
/// Takes recordings and journal segments (.ndjson or .ndjson.zst). No account list and no secrets are needed: an account
/// is whoever `from` names. Nothing is sent anywhere. Two runs print the same bytes.
///
/// With --format json: one object a line for each incident that opened, was raised or closed, and a summary last.
///
/// Exit code: 0 replayed, 1 a recording is not what was written or --fail-on was reached, 2 a recording or the configuration
/// cannot be read.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Recordings in order, or a journal's directory; `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Rules and thresholds; without it those of a fresh installation
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Exit with 1 when an incident reached this level
    #[arg(long, value_name = "LEVEL")]
    pub fail_on: Option<LevelArg>,
    /// Run them once more after that, and say what each rule costs: ns an order, findings, bytes of memory
    #[arg(long)]
    pub cost: bool,
}

/// A level, as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LevelArg {
    /// A line in the history.
    Notice,
    /// A message.
    Alert,
    /// The key should go.
    Act,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Level {
        match level {
            LevelArg::Notice => Level::Notice,
            LevelArg::Alert => Level::Alert,
            LevelArg::Act => Level::Act,
        }
    }
}

/// Unreadable arrivals are named one by one up to here, then counted.
const NAMED: u64 = 20;

/// Replays; `terminal` says whether a person watches standard error.
pub fn run(args: &Args, out: &mut dyn Write, terminal: bool) -> anyhow::Result<u8> {
    let Some(settings) = settings(args)? else { return Ok(MISUSE) };
    if args.cost && args.files.iter().any(|file| file.as_os_str() == "-") {
        writeln!(std::io::stderr(), "fillguard: --cost reads the recordings twice; name files, not -")
            .context("standard error is gone")?;
        return Ok(MISUSE);
    }
    let files = match super::verify::files(&args.files) {
        Ok(files) => files,
        Err(why) => {
            writeln!(std::io::stderr(), "fillguard: {why}").context("standard error is gone")?;
            return Ok(MISUSE);
        }
    };
    let bar = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let mut loudest: Option<Level> = None;
    let mut reader = console::Reader::default();
    let mut unreadable = 0;
    let mut failed: anyhow::Result<()> = Ok(());
    let (played, fault) = thread::scope(|scope| {
        // Seals are checked beside the replay; what they find is told after it.
        let seals = scope.spawn(|| first_fault(&files));
        let played = replay(&files, &settings, |told| {
            if failed.is_ok() {
                failed = match told {
                    Told::Effect(effect) => {
                        let EffectKind::Incident { incident, .. } = &effect.kind;
                        if !incident.id.is_drill() {
                            loudest = loudest.max(Some(incident.level));
                        }
                        bar.suspend(|| print(args.format, effect, &mut reader, out))
                    }
                    Told::Unreadable { n, from, why } => {
                        unreadable += 1;
                        if unreadable <= NAMED {
                            warn(&bar, &format!("arrival {n} from {from}: {why}"))
                        } else {
                            Ok(())
                        }
                    }
                    Told::Torn { path, last_n } => warn(
                        &bar,
                        &format!(
                            "{}: the last record is not whole; all up to arrival {last_n} was replayed",
                            path.display()
                        ),
                    ),
                    Told::Unjudged { rule, count, why } => {
                        let orders = counted(count, "time");
                        warn(
                            &bar,
                            &format!(
                                "rule {rule} could not be judged {orders} and counted as not met: at first, {why}"
                            ),
                        )
                    }
                    Told::Progress(n) => {
                        bar.set_message(format!("{n} arrivals"));
                        bar.tick();
                        Ok(())
                    }
                };
            }
        });
        (played, seals.join().unwrap_or_default())
    });
    bar.finish_and_clear();
    failed?;
    let summary = match played {
        Ok(summary) => summary,
        Err(error) => return refused(&error),
    };
    if unreadable > NAMED {
        warn(&bar, &format!("{} more arrivals could not be read", unreadable - NAMED))?;
    }
    if summary.unlocated > 0 {
        warn(&bar, &unlocated(summary.unlocated, settings.networks.hash().map(|hash| hash.as_str())))?;
    }
    match args.format {
        Format::Json => writeln!(out, "{}", summary.to_json())?,
        Format::Text => text_summary(&summary, out)?,
    }
    if args.cost {
        // Beside the replay itself, whose output is the same bytes whatever is measured.
        let readers: Result<Vec<Reader>, _> = files.iter().map(|file| Reader::open(file)).collect();
        match readers.and_then(|readers| cost::measure(readers, &settings)) {
            Ok(cost) => match args.format {
                Format::Json => writeln!(out, "{}", serde_json::json!({"cost": cost.to_json()}))?,
                Format::Text => write!(out, "{cost}")?,
            },
            Err(error) => return refused(&error),
        }
    }
    if let Some((path, fault)) = fault {
        let what = format!("{}: line {}: {} (see `fillguard verify`)", path.display(), fault.line, fault.what);
        warn(&bar, &what)?;
        return Ok(FOUND);
    }
    let reached = args.fail_on.map(Level::from).is_some_and(|level| loudest >= Some(level));
    Ok(if reached { FOUND } else { FINE })
}

fn settings(args: &Args) -> anyhow::Result<Option<Settings>> {
    let Some(path) = &args.config else { return Ok(Some(Settings::default())) };
    match Config::pipeline_only(path) {
        Ok(settings) => Ok(Some(settings)),
        Err(problems) => {
            writeln!(std::io::stderr(), "{problems}").context("standard error is gone")?;
            Ok(None)
        }
    }
}

fn refused(error: &ReadError) -> anyhow::Result<u8> {
    writeln!(std::io::stderr(), "fillguard: {error}").context("standard error is gone")?;
    Ok(MISUSE)
}

fn warn(bar: &ProgressBar, what: &str) -> anyhow::Result<()> {
    bar.suspend(|| writeln!(std::io::stderr(), "fillguard: {what}")).context("standard error is gone")
}

fn print(
    format: Format,
    effect: &crate::domain::Effect,
    reader: &mut console::Reader,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match format {
        Format::Json => {
            if let Some(line) = to_json(effect) {
                writeln!(out, "{line}")?;
            }
        }
        Format::Text => {
            let EffectKind::Incident { transition, incident, message, .. } = &effect.kind;
            match message {
                Some(message) if incident.level >= Level::Alert => {
                    writeln!(out, "{}  {} {}", effect.at, transition.as_str(), incident.id)?;
                    writeln!(out, "{}", reader.render(message, 80, false))?;
                }
                Some(message) => {
                    writeln!(out, "{}  {} {}: {}", effect.at, incident.level, incident.id, message.headline)?
                }
                None if *transition == crate::domain::Transition::Closed => {
                    writeln!(out, "{}  closed {} ({} findings)", effect.at, incident.id, incident.count)?;
                }
                None => {}
            }
        }
    }
    Ok(())
}

fn text_summary(summary: &Summary, out: &mut dyn Write) -> std::io::Result<()> {
    let Summary { arrivals, fills, orders, accounts, incidents, unreadable, seconds, .. } = summary;
    let span = crate::domain::Span::from_nanos((seconds * 1e9) as i64);
    writeln!(
        out,
        "{} over {span}: {} in {} of {}, {}",
        counted(*arrivals, "arrival"),
        counted(*fills, "fill"),
        counted(*orders, "order"),
        counted(*accounts, "account"),
        counted(*incidents, "incident"),
    )?;
    if *unreadable > 0 {
        writeln!(out, "{unreadable} arrivals could not be read")?;
    }
    Ok(())
}

/// Says how the uses of keys were judged that came without their network.
fn unlocated(count: u64, table: Option<&str>) -> String {
    let uses = counted(count, "use");
    match table {
        Some(hash) => format!(
            "{uses} of keys came without a network and were looked up in the configured table ({hash}): another table may \
             judge them otherwise"
        ),
        None => format!(
            "{uses} of keys came without a network, and no table is configured: only addresses and prefixes were compared \
             ([access] networks, with --config)"
        ),
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
