//! `fillguard backtest --market`: the market stage alone, on whole tapes.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use super::backtest::{Args, SPLIT};
use super::{FINE, Format, MISUSE};
use crate::engine::model::Model;
use crate::engine::pair::Features;
use crate::tune::stage::report::Summary;
use crate::tune::stage::{Scorer, Tapes, score_tapes};
use crate::tune::threads::Progress;
use crate::tune::train::{TrainError, bars};

/// Scores the market stage on the tapes in `folder`.
pub(super) fn run(
    args: &Args,
    model: &Model,
    folder: &Path,
    out: &mut dyn Write,
    terminal: bool,
) -> anyhow::Result<u8> {
    let bar = progress_bar(terminal);
    let progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let summary = summary(args, model, folder, args.threads.unwrap_or(cores), &progress);
    bar.finish_and_clear();
    match summary {
        Err(why) => {
            writeln!(std::io::stderr(), "fillguard: {why}").context("standard error is gone")?;
            return Ok(MISUSE);
        }
        Ok(summary) => match args.format {
            Format::Text => write!(out, "{summary}")?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, &summary)?;
                writeln!(out)?;
            }
        },
    }
    Ok(FINE)
}

fn summary(
    args: &Args,
    model: &Model,
    folder: &Path,
    threads: usize,
    progress: Progress<'_>,
) -> Result<Summary, TrainError> {
    let split = args.material.split(SPLIT);
    let tapes = Tapes::find(folder, split, args.material.limit)?;
    let market_model = |features: &Features| model.score(features);
    let displacement = |features: &Features| features.z60;
    let scorers: [(&str, Scorer<'_>); 2] = [("market model", &market_model), ("z60 alone", &displacement)];
    let seen = score_tapes(&tapes, &scorers.map(|(_, scorer)| scorer), threads, progress)?;
    let other = if split == "train" { "valid" } else { "train" };
    let names = scorers.map(|(name, _)| name);
    let mut summary = Summary::of(split, &names, &seen, &tapes.coins_of(other));
    let bars = bars::read(&tapes, threads, progress)?;
    summary.bars = Some(bars::measure(&bars, model.bars()));
    Ok(summary)
}

/// Returns a bar that shows itself on a terminal only.
pub(super) fn progress_bar(terminal: bool) -> ProgressBar {
    let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} left {eta}") {
        bar.set_style(style);
    }
    bar
}
