//! How pump-like the market is at one taker order, and what that is worth as evidence: a model read from data.
//!
//! The model is a sum of small trees over [`Features`], fitted by `fillguard train`. The shipped one is part of the
//! program; another can be named in the configuration. Features are compared as `f32` with constants as they stand in
//! the file, so that the last bit of a logarithm, which differs between C libraries, hardly ever decides.

pub mod bars;
pub mod file;
mod problem;

use std::fmt;
use std::sync::{Arc, LazyLock};

use super::pair::Features;
pub use bars::{BarFeatures, Bars};
use file::{ModelFile, TreeFile, VERSION};
pub use problem::ModelError;

/// The model that is part of the program.
const SHIPPED: &str = include_str!("../../../config/market-model.json");

/// Trees, splits of a tree and rows of a table that a model may have.
const MOST_TREES: usize = 2_000;
const MOST_SPLITS: usize = 255;
const MOST_ROWS: usize = 500;
/// Evidence lies between these, in nats: no single term may decide alone.
const LEAST_NATS: f64 = -3.0;
const MOST_NATS: f64 = 7.0;

/// A checked market model.
#[derive(Clone, PartialEq)]
pub struct Model {
    /// The places of its features in [`Features::values`].
    features: Vec<usize>,
    base: f64,
    trees: Vec<TreeFile>,
    /// Score and nats, rising.
    evidence: Vec<(f64, f64)>,
    /// `z60` and score, rising.
    displaced: Vec<(f64, f64)>,
    /// The highest score of a young pair.
    young: f64,
    /// The score of an order about which nothing is known.
    nothing: f64,
    bars: Bars,
    hash: String,
}

impl Model {
    /// Returns the model that is part of the program.
    pub fn shipped() -> Arc<Model> {
        static SHIPPED_MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| {
            // A test reads it; were it broken all the same, the market would say nothing.
            Arc::new(Model::read(SHIPPED).unwrap_or_else(|_| Model::silent()))
        });
        Arc::clone(&SHIPPED_MODEL)
    }

    /// Reads a model from its text.
    pub fn read(text: &str) -> Result<Model, ModelError> {
        // The version first: a file of another shape should be told so, not that it lacks a field.
        let shape: Shape = serde_json::from_str(text).map_err(ModelError::Shape)?;
        if shape.fillguard_market_model != VERSION {
            return Err(ModelError::Version { found: shape.fillguard_market_model, known: VERSION });
        }
        Model::check(&serde_json::from_str(text).map_err(ModelError::Shape)?)
    }

    /// Checks a model and makes it ready.
    pub fn check(file: &ModelFile) -> Result<Model, ModelError> {
        if file.features_version != Features::VERSION {
            return Err(ModelError::FeaturesVersion { found: file.features_version, known: Features::VERSION });
        }
        let mut features = Vec::new();
        for feature in &file.features {
            let known = Features::NAMES.iter().position(|name| *name == feature.name);
            let place = known.ok_or_else(|| ModelError::UnknownFeature(feature.name.clone()))?;
            if features.contains(&place) {
                return Err(ModelError::Twice(feature.name.clone()));
            }
            features.push(place);
        }
        if !file.base.is_finite() {
            return Err(ModelError::NotANumber("base".to_owned()));
        }
        size("trees", file.trees.len(), 0, MOST_TREES)?;
        for (nth, tree) in file.trees.iter().enumerate() {
            check_tree(nth, tree, features.len())?;
        }
        size("evidence", file.evidence.len(), 2, MOST_ROWS)?;
        size("displaced", file.displaced.len(), 0, MOST_ROWS)?;
        let evidence: Vec<(f64, f64)> = file.evidence.iter().map(|row| (row.score, row.nats)).collect();
        let displaced: Vec<(f64, f64)> = file.displaced.iter().map(|row| (row.z60, row.score)).collect();
        rising("evidence", &evidence)?;
        rising("displaced", &displaced)?;
        within_nats("evidence", evidence.iter().map(|row| row.1))?;
        within_nats("young_nats", [file.young_nats])?;
        let bars = Bars::check(&file.bars)?;
        let hash = file.hash();
        if let Some(recorded) = file.recorded_hash()
            && recorded != hash
        {
            return Err(ModelError::Changed);
        }
        Ok(Model {
            features,
            base: file.base,
            trees: file.trees.clone(),
            young: score_worth(&evidence, file.young_nats),
            nothing: score_worth(&evidence, 0.0),
            evidence,
            displaced,
            bars,
            hash,
        })
    }

    /// A model to which every market says nothing.
    fn silent() -> Model {
        Model {
            features: Vec::new(),
            base: 0.0,
            trees: Vec::new(),
            evidence: Vec::new(),
            displaced: Vec::new(),
            young: 0.0,
            nothing: 0.0,
            bars: Bars::default(),
            hash: String::new(),
        }
    }

    /// Returns the score of an order: the higher, the more like a pump.
    pub fn score(&self, features: &Features) -> f64 {
        let score = self.trees_score(features).unwrap_or(self.nothing);
        let score = match self.displaced.first() {
            Some((least, _)) if features.z60 >= *least => score.max(between(&self.displaced, features.z60)),
            Some(_) | None => score,
        };
        if features.young { score.min(self.young) } else { score }
    }

    /// Returns the score of the trees; nothing where a number they look at is missing or absurd.
    pub fn trees_score(&self, features: &Features) -> Option<f64> {
        let all = features.values();
        let mut values = [0.0_f32; Features::NAMES.len()];
        for (value, &place) in values.iter_mut().zip(&self.features) {
            if !all[place].is_finite() {
                return None;
            }
            *value = all[place] as f32;
        }
        Some(self.base + self.trees.iter().map(|tree| leaf(tree, &values)).sum::<f64>())
    }

    /// Returns the weight of evidence of a score, in nats.
    pub fn evidence(&self, score: f64) -> f64 {
        between(&self.evidence, score)
    }

    /// Returns the rule over bars.
    pub fn bars(&self) -> &Bars {
        &self.bars
    }

    /// Returns the weight of evidence of a bar, in nats; nothing where its market does not move.
    pub fn bar_nats(&self, bar: &BarFeatures) -> Option<f64> {
        let nats = self.bars.nats(bar)?;
        Some(if bar.young { nats.min(self.evidence(self.young)) } else { nats })
    }

    /// Returns the lowest score that is worth `nats`.
    pub fn score_worth(&self, nats: f64) -> f64 {
        score_worth(&self.evidence, nats)
    }

    /// Returns the BLAKE3 hash of all that decides over a score, in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

impl Default for Model {
    fn default() -> Self {
        (*Model::shipped()).clone()
    }
}

/// A model is told by its hash: its trees help nobody in a log.
impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("hash", &self.hash).field("trees", &self.trees.len()).finish_non_exhaustive()
    }
}

#[derive(serde::Deserialize)]
struct Shape {
    fillguard_market_model: u32,
}

fn leaf(tree: &TreeFile, values: &[f32]) -> f64 {
    let mut at = if tree.splits.is_empty() { -1 } else { 0 };
    loop {
        match usize::try_from(at) {
            Ok(place) => {
                let (feature, below, left, right) = tree.splits[place];
                at = if values[usize::from(feature)] < below { left } else { right };
            }
            Err(_) => return tree.leaves[!at as usize],
        }
    }
}

/// Every child lies behind its parent and within the tree, so a walk from the root ends at a leaf.
fn check_tree(nth: usize, tree: &TreeFile, features: usize) -> Result<(), ModelError> {
    let wrong = |why: &'static str| ModelError::Tree { nth, why };
    if tree.splits.len() > MOST_SPLITS {
        return Err(wrong("it has more than 255 splits"));
    }
    if tree.leaves.len() != tree.splits.len() + 1 {
        return Err(wrong("a tree has one leaf more than splits"));
    }
    for (place, &(feature, below, left, right)) in tree.splits.iter().enumerate() {
        if usize::from(feature) >= features {
            return Err(wrong("a split names a feature that is not in the list"));
        }
        if !below.is_finite() {
            return Err(wrong("a threshold is not a finite number"));
        }
        for child in [left, right] {
            let fits = match usize::try_from(child) {
                Ok(child) => child > place && child < tree.splits.len(),
                Err(_) => (!child as usize) < tree.leaves.len(),
            };
            if !fits {
                return Err(wrong("a child is not in the tree, or not behind its parent"));
            }
        }
    }
    if tree.leaves.iter().all(|leaf| leaf.is_finite()) { Ok(()) } else { Err(wrong("a leaf is not a finite number")) }
}

fn size(what: &'static str, found: usize, least: usize, most: usize) -> Result<(), ModelError> {
    if (least..=most).contains(&found) { Ok(()) } else { Err(ModelError::Size { what, found, least, most }) }
}

/// Checks that a table's first column rises and its second never falls.
fn rising(what: &'static str, rows: &[(f64, f64)]) -> Result<(), ModelError> {
    if rows.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
        return Err(ModelError::NotANumber(what.to_owned()));
    }
    let rises = rows.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
    if rises { Ok(()) } else { Err(ModelError::Falls(what)) }
}

fn within_nats(what: &'static str, nats: impl IntoIterator<Item = f64>) -> Result<(), ModelError> {
    let within = nats.into_iter().all(|nats| (LEAST_NATS..=MOST_NATS).contains(&nats));
    if within { Ok(()) } else { Err(ModelError::Nats { what, least: LEAST_NATS, most: MOST_NATS }) }
}

/// Returns the value at `x` of the line through rising points; before the first it is the first, after the last the last.
fn between(points: &[(f64, f64)], x: f64) -> f64 {
    for pair in points.windows(2) {
        let ((low, at_low), (high, at_high)) = (pair[0], pair[1]);
        if x <= high {
            return at_low + (at_high - at_low) * ((x - low) / (high - low)).max(0.0);
        }
    }
    points.last().map_or(0.0, |last| last.1)
}

/// Returns the lowest score that is worth `nats`.
fn score_worth(evidence: &[(f64, f64)], nats: f64) -> f64 {
    for pair in evidence.windows(2) {
        let ((low, low_nats), (high, high_nats)) = (pair[0], pair[1]);
        if nats <= high_nats && high_nats > low_nats {
            return low + (high - low) * (nats - low_nats).max(0.0) / (high_nats - low_nats);
        }
    }
    evidence.last().map_or(0.0, |last| last.0)
}

#[cfg(test)]
mod tests;
