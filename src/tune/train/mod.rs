//! Fitting the market model: from tapes before a date to a file that says what it was made of and what it is worth.
//!
//! Fitted on the tapes of `train` alone. How trees grow and which constraints they keep is chosen among [`TRIED`] by
//! cross-validation in which no coin is on both sides; evidence is counted on scores of models that had not seen the
//! coin. The tapes of `valid` only measure what came out.

pub mod bars;
pub mod bins;
pub mod boost;
pub mod data;
pub mod evidence;
pub mod record;

use std::collections::BTreeMap;
use std::path::Path;

use self::boost::{Forest, Growth};
use self::data::{Rows, TapeRows, Weights};
use self::record::{Fold, Record, Tried};
use super::pumps::PumpsError;
use super::stage::curve::Curve;
use super::stage::{Seen, StageError, Tapes};
use super::tape::TapeError;
use super::threads::Progress;
use crate::domain::Side;
use crate::engine::model::file::{FeatureFile, ModelFile, VERSION};
use crate::engine::model::{Model, ModelError};
use crate::engine::pair::Features;

/// What is fitted, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides which dull rows are left out.
    pub seed: u64,
    /// Threads; the model is the same whatever their number.
    pub threads: usize,
    /// The candidates.
    pub tried: Vec<Candidate>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { seed: 1, threads: 2, tried: TRIED.to_vec() }
    }
}

/// A way to fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its name in the record.
    pub name: &'static str,
    /// Numbers of trees at which it is measured.
    pub trees: &'static [usize],
    /// Leaves of a tree.
    pub leaves: usize,
    /// Features with which the score may only rise.
    pub rising: &'static [&'static str],
    /// How ordinary rows of a crowded half hour count.
    pub crowd: f64,
}

/// What an attacker would have to do more of: with these more is never less suspicious. Slow windows are not among
/// them: a move that has lasted for an hour is a trend, and a trend is ordinary.
const FAST: &[&str] = &[
    "z60",
    "z600",
    "ret60",
    "ret600",
    "rq3_2h",
    "rq15_2h",
    "rq3_24h",
    "rq15_24h",
    "rn3_2h",
    "rn15_2h",
    "rn3_24h",
    "rn15_24h",
    "rr3_2h",
    "rr15_2h",
    "rr3_24h",
    "rr15_24h",
    "money15",
    "sweep",
    "levels",
    "share_of_day",
];

/// The candidates of a training.
pub const TRIED: &[Candidate] = &[
    Candidate { name: "fast rising, small trees", trees: &[160, 240, 320], leaves: 6, rising: FAST, crowd: 1.0 },
    Candidate { name: "fast rising, larger trees", trees: &[80, 160], leaves: 12, rising: FAST, crowd: 1.0 },
    Candidate { name: "unconstrained", trees: &[160, 320], leaves: 6, rising: &[], crowd: 1.0 },
    Candidate { name: "every order alike", trees: &[160, 320], leaves: 6, rising: FAST, crowd: 0.0 },
];

/// Folds of the cross-validation.
const FOLDS: usize = 4;
/// By how much mean recall must be better before an earlier candidate is given up: an event in a hundred.
const CLEARLY: f64 = 0.01;
/// The part of each tree's step that is taken.
const RATE: f64 = 0.1;
/// The least curvature in a leaf.
const LEAST: f64 = 5.0;
/// What pulls leaves toward zero.
const PULL: f64 = 1.0;
/// What an event counts, in rows.
const EVENT: f64 = 200.0;
/// Seconds after which an event's row counts half.
const SOON_S: f64 = 60.0;

/// What no model could be fitted for.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The tapes or their lists.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A tape.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// A list.
    #[error(transparent)]
    Pumps(#[from] PumpsError),
    /// A file.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// Which.
        path: String,
        /// What the system says.
        why: std::io::Error,
    },
    /// What was fitted is no model.
    #[error("what was fitted cannot be used: {0}")]
    Model(#[from] ModelError),
    /// Too few coins to leave any out.
    #[error("{0} coins are too few to leave each out once; it takes {FOLDS}")]
    Coins(usize),
    /// A candidate looks at nothing that is known.
    #[error("nothing was tried")]
    Nothing,
}

/// Fits a model on the tapes before 2020 under `data`, and measures it on those after.
pub fn train(data: &Path, settings: &Settings, progress: Progress<'_>) -> Result<ModelFile, TrainError> {
    let tapes = Tapes::find(data, "train", None)?;
    let rows = data::read(&tapes, settings.threads, progress)?;
    let bars = bars::read(&tapes, settings.threads, progress)?;
    let valid = Tapes::find(data, "valid", None).ok();
    let mut model = fit(&rows, bars::choose(&bars)?, settings)?;
    model.record = {
        let mut record: Record = serde_json::from_value(model.record.clone()).unwrap_or_default();
        let ready = Model::check(&ModelFile { record: serde_json::Value::Null, ..model.clone() })?;
        record.bars_train = Some(bars::measure(&bars, ready.bars()));
        if let Some(valid) = valid {
            let score = |features: &Features| ready.score(features);
            let seen = super::stage::score_tapes(&valid, &[&score], settings.threads, progress)?;
            let seen: Vec<&Seen> = seen.iter().flatten().collect();
            record.valid = Curve::of(&seen).points();
            let bars = bars::read(&valid, settings.threads, progress)?;
            record.bars_valid = Some(bars::measure(&bars, ready.bars()));
        }
        record.to_value()
    };
    Ok(model)
}

/// Fits a model on rows; its record lacks what other tapes say.
pub fn fit(
    rows: &Rows,
    bars: crate::engine::model::file::BarsFile,
    settings: &Settings,
) -> Result<ModelFile, TrainError> {
    let folds = folds(rows)?;
    let mut best: Option<(f64, Candidate, usize, Vec<Vec<f32>>)> = None;
    let mut tried = Vec::new();
    for candidate in &settings.tried {
        for (trees, scores) in out_of_fold(rows, &folds, candidate, settings) {
            let seen = seen_of(rows, &scores);
            let curve = Curve::of(&seen.iter().collect::<Vec<_>>());
            let mean = curve.mean_recall();
            let points = curve.points();
            tried.push(Tried {
                name: candidate.name.to_owned(),
                trees,
                leaves: candidate.leaves,
                mean_recall: mean,
                points,
            });
            // A later candidate has fewer constraints or more trees: it has to be better than chance makes it.
            if best.as_ref().is_none_or(|(best, ..)| mean > *best + CLEARLY) {
                best = Some((mean, *candidate, trees, scores));
            }
        }
    }
    let (_, candidate, trees, scores) = best.ok_or(TrainError::Nothing)?;
    let features = candidate.features();
    let all: Vec<usize> = (0..rows.tapes.len()).collect();
    let growth = Growth { trees, ..candidate.growth(settings.threads) };
    let table = data::table(rows, &all, &features, candidate.weights(), settings.seed);
    let forest = Forest::grow(&table, &candidate.senses(&features), &growth, |_, _| {});
    let counted = seen_of(rows, &scores);
    let mut model = ModelFile {
        fillguard_market_model: VERSION,
        features_version: Features::VERSION,
        features: candidate.listed(&features),
        base: tidy(forest.base),
        trees: forest.to_file(&rows.bins, &features),
        evidence: evidence::evidence(&counted),
        displaced: Vec::new(),
        young_nats: 2.0,
        bars,
        record: serde_json::Value::Null,
    };
    model.displaced = evidence::displaced(rows, &counted);
    let record = Record {
        hash: model.hash(),
        data: rows.hash.clone(),
        split: "train".to_owned(),
        seed: settings.seed,
        tapes: rows.tapes.len(),
        rows: rows.tapes.iter().map(|tape| tape.rows.len()).sum(),
        pump_rows: table.pump.iter().filter(|pump| **pump).count(),
        rows_learnt_from: table.pump.len(),
        folds: FOLDS,
        chosen: format!("{}, {trees} trees", candidate.name),
        tried,
        coins: fold_sizes(rows, &folds),
        ..Record::default()
    };
    model.record = record.to_value();
    Ok(model)
}

impl Candidate {
    fn features(&self) -> Vec<usize> {
        (0..Features::NAMES.len()).collect()
    }

    fn senses(&self, features: &[usize]) -> Vec<i8> {
        features.iter().map(|&place| i8::from(self.rising.contains(&Features::NAMES[place]))).collect()
    }

    fn listed(&self, features: &[usize]) -> Vec<FeatureFile> {
        let senses = self.senses(features);
        let name = |place: usize| Features::NAMES[place].to_owned();
        features.iter().zip(senses).map(|(&place, monotone)| FeatureFile { name: name(place), monotone }).collect()
    }

    fn growth(&self, threads: usize) -> Growth {
        let trees = self.trees.iter().copied().max().unwrap_or(0);
        Growth { trees, leaves: self.leaves, rate: RATE, least: LEAST, pull: PULL, threads }
    }

    fn weights(&self) -> Weights {
        Weights { event: EVENT, crowd: self.crowd, soon_s: SOON_S }
    }
}

/// Numbers of few digits read back as what they were written as, whoever reads them.
fn tidy(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// Scores every row by a model that saw nothing of its coin; an answer for each number of trees.
fn out_of_fold(
    rows: &Rows,
    folds: &[usize],
    candidate: &Candidate,
    settings: &Settings,
) -> Vec<(usize, Vec<Vec<f32>>)> {
    let features = candidate.features();
    let senses = candidate.senses(&features);
    let empty: Vec<Vec<f32>> = rows.tapes.iter().map(|tape| vec![0.0; tape.rows.len()]).collect();
    let mut answers: Vec<(usize, Vec<Vec<f32>>)> =
        candidate.trees.iter().map(|&trees| (trees, empty.clone())).collect();
    for fold in 0..FOLDS {
        let learnt: Vec<usize> = (0..folds.len()).filter(|&tape| folds[tape] != fold).collect();
        let table = data::table(rows, &learnt, &features, candidate.weights(), settings.seed);
        Forest::grow(&table, &senses, &candidate.growth(settings.threads), |grown, forest| {
            let Some((_, scores)) = answers.iter_mut().find(|(trees, _)| *trees == grown) else { return };
            for tape in (0..folds.len()).filter(|&tape| folds[tape] == fold) {
                let of_tape = &rows.tapes[tape];
                for (nth, score) in scores[tape].iter_mut().enumerate() {
                    // Only buys are counted.
                    if of_tape.rows[nth].side == Side::Buy {
                        *score = forest.score(|feature| of_tape.columns[features[feature]][nth]) as f32;
                    }
                }
            }
        });
    }
    answers
}

fn seen_of(rows: &Rows, scores: &[Vec<f32>]) -> Vec<Seen> {
    let of = |(tape, scores): (&TapeRows, &Vec<f32>)| data::seen(tape, |nth| f64::from(scores[nth]));
    rows.tapes.iter().zip(scores).map(of).collect()
}

/// Returns the fold of each tape: all tapes of a coin in one, the folds about equally large.
fn folds(rows: &Rows) -> Result<Vec<usize>, TrainError> {
    let mut coins: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, tape) in rows.tapes.iter().enumerate() {
        coins.entry(&tape.seen.coin).or_default().push(place);
    }
    if coins.len() < FOLDS {
        return Err(TrainError::Coins(coins.len()));
    }
    let mut coins: Vec<(&str, Vec<usize>)> = coins.into_iter().collect();
    // The coins with most tapes first, by name where equal.
    coins.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(b.0)));
    let (mut sizes, mut folds) = ([0; FOLDS], vec![0; rows.tapes.len()]);
    for (_, tapes) in coins {
        let fold = (0..FOLDS).min_by_key(|&fold| sizes[fold]).unwrap_or(0);
        sizes[fold] += tapes.len();
        tapes.into_iter().for_each(|tape| folds[tape] = fold);
    }
    Ok(folds)
}

fn fold_sizes(rows: &Rows, folds: &[usize]) -> Vec<Fold> {
    (0..FOLDS)
        .map(|fold| {
            let tapes: Vec<&TapeRows> =
                rows.tapes.iter().zip(folds).filter(|(_, of)| **of == fold).map(|(tape, _)| tape).collect();
            let mut coins: Vec<String> = tapes.iter().map(|tape| tape.seen.coin.clone()).collect();
            coins.sort();
            coins.dedup();
            Fold { tapes: tapes.len(), coins }
        })
        .collect()
}

#[cfg(test)]
mod tests;
