//! `fillguard tune`: parameters of the rules searched on labelled recordings.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use super::{FINE, FOUND, Format, MISUSE};
use crate::arrival::Arrival;
use crate::config::{Config, extended, rule_keys, with_rules};
use crate::pipeline::{self, Pipeline};
use crate::tune::evaluate;
use crate::tune::html;
use crate::tune::search::report::Told;
use crate::tune::search::space::{Candidate, Space};
use crate::tune::search::state::{Asked, Known, State};
use crate::tune::search::tally::Objective;
use crate::tune::search::units::Material;
use crate::tune::search::{self, Rules, Settings, search};

/// Search parameters of the rules on labelled recordings: money saved against false alerts
///
/// Draws candidates, plays all of them on a few events and the better ones on more, and shows the frontier: what each
/// saves, and how often it is wrong. The one that saves most within --max-false is then played on events that were held
/// out, beside the present configuration, and the answer says whether the gain is still there. --out writes it as a rule
/// file for `[rules] dir`. Recordings are given or made as in `backtest`. Two runs give the same.
///
/// Exit code: 0 something at least as good is within the budget, 1 nothing is, or it did not hold on events held out,
/// 2 a recording, tape, parameter or configuration cannot be used.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// What to search on; of tapes those before 2020 without --split.
    #[command(flatten)]
    pub material: super::material::Material,
    /// The rules as they are; without it those of a fresh installation
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A parameter and its range, in the unit of its key: pump_buy.alert=4..12, "planted_ask.far=10 %..40 %"; more than once for
    /// several, and without it those that decide over alerts
    #[arg(long, value_name = "RULE.KEY=LOW..HIGH")]
    pub param: Vec<String>,
    /// Candidates to draw, besides the rules as they are
    #[arg(long, value_name = "N", default_value_t = 26, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub candidates: u32,
    /// What candidates, and the order of events, are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The share of the events that nothing is chosen on, 0 to 0.8
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, value_parser = share)]
    pub holdout: f64,
    /// What is to be saved: the hostile quote not yet traded when somebody is told, the loss not yet made, or the attack told of
    #[arg(long, value_name = "traded|loss|told", default_value = "traded", value_parser = objective)]
    pub objective: Objective,
    /// False alerts in an account-month that are put up with
    #[arg(long, value_name = "RATE", default_value_t = 0.1, value_parser = rate)]
    pub max_false: f64,
    /// Write finished evaluations to this file; a search that was broken off goes on there
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Write what is proposed as a rule file
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Also write a page with the frontier
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Recordings played at once; one a core without it
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=0.8).contains(share));
    share.ok_or_else(|| "a share from 0 to 0.8".to_owned())
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate >= 0.0);
    rate.ok_or_else(|| "a rate of 0 or more".to_owned())
}

fn objective(text: &str) -> Result<Objective, String> {
    match text {
        "traded" => Ok(Objective::Traded),
        "loss" => Ok(Objective::Loss),
        "told" => Ok(Objective::Told),
        _ => Err("traded, loss or told".to_owned()),
    }
}

/// Searches; `terminal` says whether a person watches standard error.
pub fn run(args: &Args, out: &mut dyn Write, terminal: bool) -> anyhow::Result<u8> {
    let found = match find(args, terminal) {
        Ok(found) => found,
        Err(why) => {
            writeln!(std::io::stderr(), "fillguard: {why:#}").context("standard error is gone")?;
            return Ok(MISUSE);
        }
    };
    let standing = standing(args, &found);
    let told = Told { settings: &found.settings, space: &found.space, outcome: &found.outcome, standing };
    let mut said = std::io::stderr();
    if let Some(path) = &args.html
        && let Err(why) = std::fs::write(path, html::tune(&told, &asked(args, &found)))
    {
        writeln!(said, "fillguard: cannot write {}: {why}", path.display()).context("standard error is gone")?;
        return Ok(MISUSE);
    }
    match args.format {
        Format::Text => write!(out, "{told}")?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &told.to_json())?;
            writeln!(out)?;
        }
    }
    if let Some(path) = &args.out {
        match told.file() {
            Some(file) => {
                if let Err(why) = std::fs::write(path, file) {
                    writeln!(said, "fillguard: cannot write {}: {why}", path.display())
                        .context("standard error is gone")?;
                    return Ok(MISUSE);
                }
            }
            None => writeln!(said, "fillguard: nothing is proposed, so {} is not written", path.display())
                .context("standard error is gone")?,
        }
    }
    Ok(if found.outcome.verdict.holds() { FINE } else { FOUND })
}

/// A search that was made.
struct Found {
    settings: Settings,
    space: Space,
    tapes: evaluate::Settings,
    outcome: search::Outcome,
}

/// Which tapes rules are tuned on where nobody says so.
const SPLIT: &str = "train";

fn find(args: &Args, terminal: bool) -> anyhow::Result<Found> {
    let rules = match &args.config {
        None => pipeline::Settings::default(),
        Some(path) => Config::pipeline_only(path).map_err(|problems| anyhow::anyhow!("{problems}"))?,
    };
    let keys = rule_keys(&rules).into_iter().map(|key| ((key.rule, key.key), key.value)).collect();
    let space = Space::new(&args.param, keys, &rules.engine.off)?;
    for param in space.params() {
        for high in [false, true] {
            // The configuration knows what a key may be; it is asked before hours are spent.
            with_rules(&rules, &format!("--param {param}"), &space.end(param, high).file())
                .map_err(|problems| anyhow::anyhow!("{problems}"))?;
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let settings = Settings {
        candidates: args.candidates as usize,
        seed: args.seed,
        holdout: args.holdout,
        objective: args.objective,
        max_false: args.max_false,
        threads: args.threads.unwrap_or(cores).max(1),
    };
    let tapes = args.material.settings(SPLIT, settings.threads)?;
    let material = match &args.material.tapes {
        Some(folder) => Material::tapes(folder, &tapes)?,
        None => Material::recordings(&args.material.recordings)?,
    };
    let (state, known) = match &args.state {
        Some(path) => State::open(path, &question(args, &rules, &material))?,
        None => (State::default(), Known::new()),
    };
    let pipeline = |candidate: &Candidate| -> Rules {
        // Every value lies between two that the configuration took; were one refused all the same, nothing would change.
        let tried = with_rules(&rules, "candidate", &candidate.file()).unwrap_or_else(|_| rules.clone());
        Box::new(move || {
            let mut pipeline = Pipeline::new(tried.clone());
            Box::new(move |arrival: &Arrival| pipeline.step(arrival))
        })
    };
    let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} left {eta}") {
        bar.set_style(style);
    }
    let progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let outcome = search(&settings, &space, material, &pipeline, (state, known), &progress);
    bar.finish_and_clear();
    Ok(Found { settings, space, tapes, outcome: outcome? })
}

/// Returns what an evaluation depends on, so that one is never taken for the answer to something else.
fn question(args: &Args, rules: &pipeline::Settings, material: &Material) -> Asked {
    let hash = |text: String| blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
    let engine = serde_json::to_string(&rules.engine).unwrap_or_default();
    let alert = serde_json::to_string(&rules.alert).unwrap_or_default();
    let parts: [(&str, String); 6] = [
        ("version of fillguard", env!("CARGO_PKG_VERSION").to_owned()),
        ("rules (--config)", hash(format!("{engine}{alert}{:?}", rules.codec))),
        ("recordings or tapes", material.print.chars().take(16).collect()),
        ("parameters (--param)", args.param.join(" ")),
        ("--candidates", args.candidates.to_string()),
        ("--seed", args.seed.to_string()),
    ];
    parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>()
}

/// Says of which proposed rules a file of the configuration speaks already: two files may not.
fn standing(args: &Args, found: &Found) -> Vec<String> {
    let Some(config) = &args.config else { return Vec::new() };
    let extended = extended(config);
    let chosen = found.outcome.chosen.map(|place| &found.outcome.tried[place].candidate.0);
    let rules: std::collections::BTreeSet<&str> =
        chosen.into_iter().flatten().map(|((rule, _), _)| rule.as_str()).collect();
    let say = |(rule, path): (&str, &PathBuf)| {
        format!(
            "{} extends {rule} already: put these keys there, since two files may not extend one rule",
            path.display()
        )
    };
    rules.into_iter().filter_map(|rule| extended.get(rule).map(|path| (rule, path))).map(say).collect()
}

/// Returns what was asked for, as it stands on the page.
fn asked(args: &Args, found: &Found) -> Vec<(String, String)> {
    let show = |path: &Path| path.display().to_string();
    let rules = args.config.as_deref().map_or_else(|| "those of a fresh installation".to_owned(), show);
    let mut asked = vec![("rules as they are".to_owned(), rules)];
    asked.extend(args.material.asked(&found.tapes));
    asked
}
