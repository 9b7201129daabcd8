//! `fillguard diff`: what other rules would have told of the same recordings.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use serde_json::{Value, json};

use super::{FINE, FOUND, Format, MISUSE};
use crate::config::Config;
use crate::domain::{Level, Span, Timestamp};
use crate::pipeline::Settings;
use crate::tune::cases::{Origin, Spoken};
use crate::tune::compare::{self, Caught, Change, Seen};
use crate::tune::evaluate::{self, labels_beside};
use crate::tune::html::{self, Compared};
use crate::tune::picture::{Camera, View};

/// Compare two configurations on the same recordings
///
/// Says which incidents the new rules gain, lose, tell earlier or later, louder or quieter. Where labels stand beside a
/// recording (FILE.labels.ndjson, as `import-tape` writes them), it also says which attacks are told of.
///
/// Exit code: 0 no labelled attack is lost, 1 one is, 2 a recording or a configuration cannot be read.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The rules as they are; `-` means those of a fresh installation
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// The rules as they might be
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Recordings, each judged for itself
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Also write a page: what changed, and pictures of the gained and lost incidents
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Incidents of which the page shows a picture.
const SHOWN: usize = 12;
/// What a picture shows before and after an incident.
const AROUND: Span = Span::from_secs(900);

/// Compares.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let refuse = |why: String| -> anyhow::Result<u8> {
        writeln!(std::io::stderr(), "{why}").context("standard error is gone")?;
        Ok(MISUSE)
    };
    let (old, new) = match (settings(&args.old), settings(&args.new)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(why), _) | (_, Err(why)) => return refuse(why),
    };
    let (mut changes, mut caught) = (Vec::new(), Vec::new());
    for file in &args.files {
        let one = std::slice::from_ref(file);
        let judged = compare::incidents(one, &old).and_then(|before| Ok((before, compare::incidents(one, &new)?)));
        let (before, after) = match judged {
            Ok(judged) => judged,
            Err(error) => return refuse(format!("fillguard: {error}")),
        };
        match labels_beside(file) {
            Ok(Some(labels)) => caught.extend(compare::caught(&labels, &before, &after)),
            Ok(None) => {}
            Err(error) => return refuse(format!("fillguard: {}: {error}", file.display())),
        }
        changes.extend(compare::compare(&before, &after).into_iter().map(|change| (file.clone(), change)));
    }
    if let Some(page) = &args.html
        && let Err(why) = write_page(page, args, &old, &changes, &caught)
    {
        return refuse(format!("fillguard: {why:#}"));
    }
    let changes: Vec<Change> = changes.into_iter().map(|(_, change)| change).collect();
    let lost = caught.iter().filter(|attack| attack.old && !attack.new).count();
    match args.format {
        Format::Json => json_lines(&changes, &caught, out)?,
        Format::Text => text(&changes, &caught, out)?,
    }
    Ok(if lost > 0 { FOUND } else { FINE })
}

fn write_page(
    path: &Path,
    args: &Args,
    rules: &Settings,
    changes: &[(PathBuf, Change)],
    caught: &[Caught],
) -> anyhow::Result<()> {
    let mut shown = Vec::new();
    for (place, (file, change)) in changes.iter().enumerate() {
        let across = |old: &Seen, new: &Seen| (old.level() >= Level::Alert) != (new.level() >= Level::Alert);
        let seen = match change {
            Change::Gained(seen) | Change::Lost(seen) => seen,
            Change::Moved { old, new, .. } if across(old, new) => {
                if new.level() < old.level() {
                    old
                } else {
                    new
                }
            }
            Change::Moved { .. } | Change::Same(_) => continue,
        };
        if shown.len() == SHOWN {
            break;
        }
        let spoken = |(level, at): (&Level, &Timestamp)| Spoken { at: *at, level: *level, rule: seen.rule.clone() };
        let view = View {
            account: seen.account.clone(),
            pair: seen.pair.clone(),
            from: seen.opened - AROUND,
            until: seen.last + AROUND,
            zero: seen.opened,
            hostile: None,
            spoken: seen.reached.iter().map(spoken).collect(),
        };
        let mut camera = Camera::new(&view, &rules.codec);
        evaluate::again(&Origin::File(file.clone()), None, &mut |arrival| camera.see(arrival))?;
        let picture = camera.picture();
        shown.push((place, view, picture));
    }
    let name = |path: &Path| {
        if path.as_os_str() == "-" { "those of a fresh installation".to_owned() } else { path.display().to_string() }
    };
    let compared = Compared { old: name(&args.old), new: name(&args.new), changes, caught, shown };
    std::fs::write(path, html::diff(&compared)).with_context(|| format!("cannot write {}", path.display()))
}

fn settings(path: &Path) -> Result<Settings, String> {
    if path.as_os_str() == "-" {
        return Ok(Settings::default());
    }
    Config::pipeline_only(path).map_err(|problems| problems.to_string())
}

fn text(changes: &[Change], caught: &[Caught], out: &mut dyn Write) -> std::io::Result<()> {
    let mut counts = [0_usize; 7];
    for change in changes {
        match change {
            Change::Gained(seen) => {
                counts[0] += 1;
                writeln!(out, "gained   {}", said(seen))?;
            }
            Change::Lost(seen) => {
                counts[1] += 1;
                writeln!(out, "lost     {}", said(seen))?;
            }
            Change::Moved { old, new, later } => {
                let mut what = Vec::new();
                if new.level() > old.level() {
                    counts[2] += 1;
                    what.push(format!("louder, {} instead of {}", new.level(), old.level()));
                } else if new.level() < old.level() {
                    counts[3] += 1;
                    what.push(format!("quieter, {} instead of {}", new.level(), old.level()));
                }
                let seconds = later.secs_f64();
                if seconds < 0.0 {
                    counts[4] += 1;
                    what.push(format!("{} s earlier", -seconds));
                } else if seconds > 0.0 {
                    counts[5] += 1;
                    what.push(format!("{seconds} s later"));
                }
                if new.rule != old.rule {
                    what.push(format!("by {} instead of {}", new.rule, old.rule));
                }
                writeln!(out, "moved    {}: {}", said(new), what.join(", "))?;
            }
            Change::Same(_) => counts[6] += 1,
        }
    }
    let [gained, lost, louder, quieter, earlier, later, same] = counts;
    writeln!(
        out,
        "{gained} gained, {lost} lost, {louder} louder, {quieter} quieter, {earlier} earlier, {later} later, {same} the same"
    )?;
    if !caught.is_empty() {
        let [old, new] =
            [caught.iter().filter(|attack| attack.old).count(), caught.iter().filter(|attack| attack.new).count()];
        writeln!(out, "of {} labelled attacks the old rules tell {old}, the new ones {new}", caught.len())?;
        for attack in caught.iter().filter(|attack| attack.old != attack.new) {
            let what = if attack.old { "LOST  " } else { "caught" };
            writeln!(out, "{what}   {} {} from {}", attack.kind, attack.account, attack.since)?;
        }
    }
    Ok(())
}

fn said(seen: &Seen) -> String {
    let pair = seen.pair.as_ref().map(|pair| format!(" {pair}")).unwrap_or_default();
    format!("{} {} {}{pair} ({})", seen.opened, seen.level(), seen.account, seen.rule)
}

fn json_lines(changes: &[Change], caught: &[Caught], out: &mut dyn Write) -> std::io::Result<()> {
    let one = |seen: &Seen| {
        json!({
            "account": seen.account.to_string(), "pair": seen.pair, "rule": seen.rule, "level": seen.level().as_str(),
            "opened": seen.opened.nanos(),
        })
    };
    let mut same = 0;
    for change in changes {
        let line: Value = match change {
            Change::Gained(seen) => json!({"change": "gained", "new": one(seen)}),
            Change::Lost(seen) => json!({"change": "lost", "old": one(seen)}),
            Change::Moved { old, new, later } => {
                json!({"change": "moved", "old": one(old), "new": one(new), "later_s": later.secs_f64()})
            }
            Change::Same(_) => {
                same += 1;
                continue;
            }
        };
        writeln!(out, "{line}")?;
    }
    for attack in caught {
        let line = json!({
            "attack": attack.kind.to_string(), "account": attack.account.to_string(), "since": attack.since.nanos(),
            "old": attack.old, "new": attack.new,
        });
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{}", json!({"summary": {"same": same, "changed": changes.len() - same, "attacks": caught.len()}}))
}
