//! `fillguard train`: fits the market model.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

use super::backtest_market::progress_bar;
use super::{FINE, MISUSE};
use crate::engine::model::file::ModelFile;
use crate::tune::train::record::Record;
use crate::tune::train::{Settings, train};

/// Fit the market model on recorded trades: how pump-like price and order flow are at an order
///
/// Reads the tapes of the split `train` in a folder (events.csv, tapes/, lamorgia_labels/), tries a few ways to fit,
/// keeps the one that finds most events on coins it had not seen, and writes it with a record of all that. The split
/// `valid` only measures the result. The same tapes and seed give the same file, byte for byte. Minutes in a release
/// build. To use it: `[engine]`, `market_model = "FILE"` in the configuration.
///
/// Exit code: 0 written, 2 the tapes or the file cannot be used.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The folder with the tapes
    #[arg(long, value_name = "FOLDER")]
    pub tapes: PathBuf,
    /// Where the model is written
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Decides which of the orders at which nothing happens are left out
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Threads; one a core without it. The model does not depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Fits; `terminal` says whether a person watches standard error.
pub fn run(args: &Args, out: &mut dyn Write, terminal: bool) -> anyhow::Result<u8> {
    let bar = progress_bar(terminal);
    let progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let settings = Settings { seed: args.seed, threads: args.threads.unwrap_or(cores), ..Settings::default() };
    let trained = train(&args.tapes, &settings, &progress);
    bar.finish_and_clear();
    let written = trained.map_err(anyhow::Error::from).and_then(|model| {
        std::fs::write(&args.out, model.to_text()?).with_context(|| format!("cannot write {}", args.out.display()))?;
        Ok(model)
    });
    match written {
        Ok(model) => {
            summary(&model, out)?;
            Ok(FINE)
        }
        Err(why) => {
            writeln!(std::io::stderr(), "fillguard: {why:#}").context("standard error is gone")?;
            Ok(MISUSE)
        }
    }
}

fn summary(model: &ModelFile, out: &mut dyn Write) -> anyhow::Result<()> {
    let record: Record = serde_json::from_value(model.record.clone())?;
    writeln!(out, "chosen: {} of {} features", record.chosen, model.features.len())?;
    writeln!(out, "learnt from {} tapes, {} orders ({} of pumps)", record.tapes, record.rows, record.pump_rows)?;
    writeln!(
        out,
        "\non coins left out        trees leaves  mean  recall at .25   .10  .025  .007 false alarms per pair-day"
    )?;
    for tried in &record.tried {
        write!(
            out,
            "{:<24} {:>5} {:>6}  {:.3}             ",
            tried.name, tried.trees, tried.leaves, tried.mean_recall
        )?;
        for point in &tried.points {
            write!(out, " {:.3}", point.recall.value)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "\non tapes of `valid`, which nothing was fitted on")?;
    for point in &record.valid {
        let recall = point.recall;
        writeln!(
            out,
            "{:.4} false alarms per pair-day: recall {:.3} [{:.3}, {:.3}] of {} events",
            point.false_alarms.value, recall.value, recall.low, recall.high, point.events
        )?;
    }
    for (name, bars) in [("train", record.bars_train), ("valid", record.bars_valid)] {
        if let Some(bars) = bars {
            writeln!(
                out,
                "bars of `{name}`: {:.3} false alarms per pair-day, recall {:.3} of {} events",
                bars.false_alarms, bars.recall, bars.events
            )?;
        }
    }
    Ok(())
}
