//! `fillguard backtest`: rules scored on labelled recordings.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use super::material::Material;
use super::{FINE, FOUND, Format, MISUSE};
use crate::arrival::Arrival;
use crate::config::Config;
use crate::domain::{Level, Span};
use crate::pipeline::{self, Pipeline};
use crate::tune::cases;
use crate::tune::evaluate::{self, Report, Step, evaluate, evaluate_recordings};
use crate::tune::html::{self, Sheet};
use crate::tune::labels::What;
use crate::tune::picture::{Camera, View};
use crate::tune::report::Summary;
use crate::tune::tape::Quoted;

/// Score the rules on labelled recordings: what is caught, how late, what is lost by then, and how often wrongly
///
/// Either recordings are given, each with labels beside it (FILE.labels.ndjson or labels.ndjson: one JSON object a line
/// with account, kind, first and last arrival; `import-tape` writes such), or they are made of the trade tapes in a
/// folder (events.csv, tapes/, and lamorgia_labels/ where it is there; prices in BTC, or in dollars where a tape is named
/// after its pair): victims of each attack, whose hostile orders are orders of the tape, and ordinary accounts beside them. Every share has n and a 95 % interval. Two runs print the
/// same.
///
/// Exit code: 0 scored, 1 --require or --max-false was not met, 2 a recording, tape or configuration cannot be used.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// What to score on; of tapes those after 2020 without --split.
    #[command(flatten)]
    pub material: Material,
    /// Score the market stage alone, on --tapes: every taker order of them, recall against false alarms per pair-day
    #[arg(long, requires = "tapes", conflicts_with = "recordings")]
    pub market: bool,
    /// Rules and thresholds; without it those of a fresh installation
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Recordings played at once; one a core without it
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// What losing everything before the alarm costs, counted in false alerts, in the figure `cost` of the JSON
    #[arg(long, value_name = "ALERTS", default_value_t = 1.0)]
    pub loss_weight: f64,
    /// Exit with 1 unless at least this share of an attack is told of at level `alert`: I1=0.9
    #[arg(long, value_name = "KIND=SHARE", value_delimiter = ',')]
    pub require: Vec<Required>,
    /// Exit with 1 when there are more false alerts per account-month than this
    #[arg(long, value_name = "RATE", value_parser = super::tune::rate)]
    pub max_false: Option<f64>,
    /// Let the owner of an account say *that was me* so long after each wrong alert: 10m
    #[arg(long, value_name = "TIME", conflicts_with = "market")]
    pub answered: Option<Span>,
    /// Also write a page with charts, and pictures of the worst misses and the loudest false alarms
    #[arg(long, value_name = "FILE", conflicts_with = "market")]
    pub html: Option<PathBuf>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// A share of an attack that has to be told of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Required {
    what: What,
    share: f64,
}

/// A requirement that is none.
#[derive(Clone, Debug, thiserror::Error)]
#[error("a requirement is an attack and a share of it, such as I1=0.9")]
pub struct NotARequirement;

impl FromStr for Required {
    type Err = NotARequirement;
    fn from_str(text: &str) -> Result<Self, NotARequirement> {
        let (what, share) = text.split_once('=').ok_or(NotARequirement)?;
        let what = what.trim().parse().map_err(|_| NotARequirement)?;
        let share = share.trim().parse().ok().filter(|share| (0.0..=1.0).contains(share));
        Ok(Required { what, share: share.ok_or(NotARequirement)? })
    }
}

/// Scores; `terminal` says whether a person watches standard error.
pub fn run(args: &Args, out: &mut dyn Write, terminal: bool) -> anyhow::Result<u8> {
    let mut said = std::io::stderr();
    let settings = match settings(args) {
        Ok(settings) => settings,
        Err(why) => {
            writeln!(said, "fillguard: {why:#}").context("standard error is gone")?;
            return Ok(MISUSE);
        }
    };
    let rules = match rules(args) {
        Ok(rules) => rules,
        Err(problems) => {
            writeln!(said, "{problems}").context("standard error is gone")?;
            return Ok(MISUSE);
        }
    };
    if args.market && args.material.quote == Quoted::Dollars {
        let why = "--market sees each tape at its own prices: leave --quote out";
        writeln!(said, "fillguard: {why}").context("standard error is gone")?;
        return Ok(MISUSE);
    }
    if let (true, Some(folder)) = (args.market, &args.material.tapes) {
        return super::backtest_market::run(args, &rules.engine.model, folder, out, terminal);
    }
    let pipeline = || -> Step {
        let mut pipeline = Pipeline::new(rules.clone());
        Box::new(move |arrival: &Arrival| pipeline.step(arrival))
    };
    let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} left {eta}") {
        bar.set_style(style);
    }
    let progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let report = match &args.material.tapes {
        Some(folder) => evaluate(folder, &settings, &pipeline, &progress),
        None => evaluate_recordings(&args.material.recordings, &settings, &pipeline, &progress),
    };
    bar.finish_and_clear();
    let report = match report {
        Ok(report) => report,
        Err(why) => {
            writeln!(said, "fillguard: {why}").context("standard error is gone")?;
            return Ok(MISUSE);
        }
    };
    let summary = Summary::of(&report, args.loss_weight);
    if let Some(page) = &args.html
        && let Err(why) = write_page(page, args, &settings, &rules, &report, &summary)
    {
        writeln!(said, "fillguard: {why:#}").context("standard error is gone")?;
        return Ok(MISUSE);
    }
    match args.format {
        Format::Text => write!(out, "{summary}")?,
        Format::Json => {
            let mut all = summary.to_json();
            let row = |(name, what, account): &(compact_str::CompactString, What, crate::domain::AccountId)| serde_json::json!({"exception": name, "attack": what.to_string(), "account": account.to_string()});
            all["swallowed"] = report.score.swallowed.iter().map(row).collect();
            serde_json::to_writer_pretty(&mut *out, &all)?;
            writeln!(out)?;
        }
    }
    let mut unmet = unmet(args, &summary);
    unmet.extend(report.score.swallowed.iter().map(|(name, what, account)| {
        format!("the exception {name} swallowed an attack ({what} of {account}): nobody would have been told")
    }));
    for what in &unmet {
        writeln!(said, "fillguard: {what}").context("standard error is gone")?;
    }
    Ok(if unmet.is_empty() { FINE } else { FOUND })
}

/// Attacks that are shown, and false alarms.
const SHOWN: usize = 6;

fn write_page(
    path: &Path,
    args: &Args,
    settings: &evaluate::Settings,
    rules: &pipeline::Settings,
    report: &Report,
    summary: &Summary,
) -> anyhow::Result<()> {
    let tapes = args.material.tapes.as_deref().map(|folder| (folder, settings));
    let chosen = cases::worst(&report.cases, SHOWN).into_iter().chain(cases::loudest(&report.cases, SHOWN));
    let mut shown = Vec::new();
    for case in chosen {
        let view = View::of(case);
        let mut camera = Camera::new(&view, &rules.codec);
        evaluate::again(&case.origin, tapes, &mut |arrival| camera.see(arrival))?;
        let picture = camera.picture();
        shown.push((case, view, picture));
    }
    let sheet = Sheet { report, summary, asked: asked(args, settings), shown };
    std::fs::write(path, html::backtest(&sheet)).with_context(|| format!("cannot write {}", path.display()))
}

/// Which tapes rules are scored on where nobody says so.
pub(super) const SPLIT: &str = "valid";

/// Returns what was asked for, as it stands on the page.
fn asked(args: &Args, settings: &evaluate::Settings) -> Vec<(String, String)> {
    let rules =
        args.config.as_ref().map_or_else(|| "those of a fresh installation".into(), |path| path.display().to_string());
    let mut asked = vec![("rules".to_owned(), rules)];
    asked.extend(args.material.asked(settings));
    asked.extend(args.answered.map(|after| ("owners answer after".to_owned(), after.to_string())));
    asked
}

fn settings(args: &Args) -> anyhow::Result<evaluate::Settings> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let settings = args.material.settings(SPLIT, args.threads.unwrap_or(cores))?;
    Ok(evaluate::Settings { answered: args.answered, ..settings })
}

fn rules(args: &Args) -> Result<pipeline::Settings, String> {
    let Some(path) = &args.config else { return Ok(pipeline::Settings::default()) };
    Config::pipeline_only(path).map_err(|problems| problems.to_string())
}

/// Returns what was required and is not so.
fn unmet(args: &Args, summary: &Summary) -> Vec<String> {
    let mut unmet = Vec::new();
    for Required { what, share } in &args.require {
        let row = summary.attacks.iter().find(|row| row.level == Level::Alert && row.kind == *what);
        match row {
            Some(row) if row.recall.value >= *share => {}
            Some(row) => unmet.push(format!(
                "{what}: {} of {} were told of, a share of {:.3}; required is {share}",
                row.detected, row.n, row.recall.value
            )),
            None => unmet.push(format!("{what} is required, and no recording has such an attack")),
        }
    }
    if let Some(most) = args.max_false {
        let all = summary.ordinary.iter().find(|row| row.level == Level::Alert && row.trader == "all");
        if let Some(row) = all.filter(|row| row.rate.value > most) {
            unmet.push(format!(
                "{} false alerts in {:.1} account-months, {:.3} a month; at most {most} are wanted",
                row.episodes, row.account_months, row.rate.value
            ));
        }
    }
    unmet
}
