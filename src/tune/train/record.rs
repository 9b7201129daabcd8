//! What a model's file says of how it was made.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bars::BarsMeasured;
use crate::tune::stage::curve::Point;

/// How a model was made; everything in it can be worked out again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// BLAKE3 over all that decides over a score.
    pub hash: String,
    /// BLAKE3 over the names and the bytes of the tapes it was fitted on.
    pub data: String,
    /// Which tapes: all of this split.
    pub split: String,
    /// What decided which dull rows were left out.
    pub seed: u64,
    /// Tapes, an event each.
    pub tapes: usize,
    /// Taker orders in ordinary time and around the events.
    pub rows: usize,
    /// Those of them that the last fit learnt from; of dull ones a few, which count for the others.
    pub rows_learnt_from: usize,
    /// Those of them that were of a pump.
    pub pump_rows: usize,
    /// Folds of the cross-validation.
    pub folds: usize,
    /// What was chosen.
    pub chosen: String,
    /// Everything that was tried, measured on coins that were left out.
    pub tried: Vec<Tried>,
    /// Which coins were left out together.
    pub coins: Vec<Fold>,
    /// The file's model on tapes it was not fitted on.
    pub valid: Vec<Point>,
    /// The rule over bars on the tapes it was fitted on.
    pub bars_train: Option<BarsMeasured>,
    /// The rule over bars on the others.
    pub bars_valid: Option<BarsMeasured>,
}

/// A candidate with what it came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// Trees.
    pub trees: usize,
    /// Leaves of a tree.
    pub leaves: usize,
    /// Mean recall over budgets of false alarms; the highest was chosen.
    pub mean_recall: f64,
    /// Recall at fixed budgets.
    pub points: Vec<Point>,
}

/// Coins that were left out together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// Tapes.
    pub tapes: usize,
    /// Their coins.
    pub coins: Vec<String>,
}

impl Record {
    /// Returns it as a file keeps it: with numbers of few digits, which read back as what they were written as.
    pub fn to_value(&self) -> Value {
        let mut value = serde_json::json!(self);
        round(&mut value);
        value
    }
}

/// A number of many digits may come back from text as its neighbour, and a file would differ from itself once read.
fn round(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let tidy = number.as_f64().map(super::tidy).and_then(serde_json::Number::from_f64);
            if let Some(tidy) = tidy {
                *number = tidy;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(round),
        Value::Object(fields) => fields.values_mut().for_each(round),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
