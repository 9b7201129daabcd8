//! The market model as a file: JSON that says what it was made of and what it is worth.

use serde::{Deserialize, Serialize};

/// The version of the file's shape that this program writes and reads.
pub const VERSION: u32 = 1;

/// A market model, as it stands in its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// The version of this shape.
    pub fillguard_market_model: u32,
    /// The version of the features' definitions it was fitted on.
    pub features_version: u32,
    /// The features it looks at, in the order in which splits name them.
    pub features: Vec<FeatureFile>,
    /// The score before any tree.
    pub base: f64,
    /// Trees; the score is the sum of the base and one leaf of each.
    pub trees: Vec<TreeFile>,
    /// What a score is worth, rising.
    pub evidence: Vec<EvidenceFile>,
    /// A second way to a score: displacement from the one-minute mean (`z60`) alone, rising; may be empty.
    pub displaced: Vec<DisplacedFile>,
    /// The most that a pair followed for less than a day is trusted with, in nats.
    pub young_nats: f64,
    /// What a bar is worth where trades are not seen.
    pub bars: BarsFile,
    /// How it was made.
    pub record: serde_json::Value,
}

/// A feature a model looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureFile {
    /// Its name.
    pub name: String,
    /// Whether the score may only rise (1), only fall (-1) or do both (0) with it.
    pub monotone: i8,
}

/// A tree: split 0 is its root, and a child below zero, `-1 - k`, is leaf `k`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeFile {
    /// Feature, threshold, child where the feature is below it, child elsewhere. Children come after their parents.
    pub splits: Vec<(u16, f32, i32, i32)>,
    /// What each leaf adds to the score.
    pub leaves: Vec<f64>,
}

/// A row of the evidence: between rows it is a straight line, beyond them it is level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// The score.
    pub score: f64,
    /// ln(share of pump orders here, every event alike / share of ordinary orders here), never falling, in nats.
    pub nats: f64,
    /// Ordinary orders that were counted here.
    pub ordinary: u64,
    /// Pump orders that were counted here.
    pub pump: u64,
}

/// A displacement and the score it is as good as.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisplacedFile {
    /// Displacement from the one-minute mean, in the pair's own deviations.
    pub z60: f64,
    /// The score.
    pub score: f64,
}

/// What a bar has to show for its market to be moving, and what it is worth as evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BarsFile {
    /// The least quote that changed hands, in units of 30,000 dollars.
    pub least_quote: f64,
    /// The least quote against what the last day's rate gives in a bar's time.
    pub least_times: f64,
    /// The least displacement of the bar's extreme from the ten-minute mean before it, as a logarithm.
    pub least_moved: f64,
    /// The same displacement in the pair's own deviations, and nats; both rising. What is below the first row says nothing.
    pub evidence: Vec<BarEvidenceFile>,
}

/// A row of the bars' evidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BarEvidenceFile {
    /// Displacement, in deviations.
    pub z600: f64,
    /// In nats.
    pub nats: f64,
    /// Ordinary bars that were counted from here to the next row.
    pub ordinary: u64,
    /// Bars of pumps that were counted from here to the next row.
    pub pump: u64,
}

impl ModelFile {
    /// Returns the BLAKE3 hash, in hexadecimal, of all that decides over a score: everything but the record.
    pub fn hash(&self) -> String {
        let decides = (
            (self.fillguard_market_model, self.features_version, &self.features, self.base, &self.trees),
            (&self.evidence, &self.displaced, self.young_nats, &self.bars),
        );
        // Numbers are written as the shortest text that reads back as the same number, so the bytes are the same
        // wherever they are made. Lists and numbers cannot fail to be written; were it so, no record would match.
        serde_json::to_vec(&decides).map_or_else(|_| String::new(), |bytes| blake3::hash(&bytes).to_hex().to_string())
    }

    /// Returns the hash that the record names.
    pub fn recorded_hash(&self) -> Option<&str> {
        self.record.get("hash")?.as_str()
    }

    /// Writes it as text: a line for each feature, tree and row, so that people can read it and compare two.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut text = String::from("{\n");
        let mut one = |key: &str, value: String| text.push_str(&format!("  \"{key}\": {value},\n"));
        one("fillguard_market_model", self.fillguard_market_model.to_string());
        one("features_version", self.features_version.to_string());
        one("features", lines(&self.features, "  ")?);
        one("base", serde_json::to_string(&self.base)?);
        one("trees", lines(&self.trees, "  ")?);
        one("evidence", lines(&self.evidence, "  ")?);
        one("displaced", lines(&self.displaced, "  ")?);
        one("young_nats", serde_json::to_string(&self.young_nats)?);
        one("bars", serde_json::to_string(&self.bars)?);
        let record = serde_json::to_string_pretty(&self.record)?.replace('\n', "\n  ");
        text.push_str(&format!("  \"record\": {record}\n}}\n"));
        Ok(text)
    }
}

fn lines<T: Serialize>(rows: &[T], indent: &str) -> Result<String, serde_json::Error> {
    let rows = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Ok("[]".to_owned());
    }
    Ok(format!("[\n{indent}  {}\n{indent}]", rows.join(&format!(",\n{indent}  "))))
}
