//! What a bar says of its market where trades are not seen.
//!
//! A bar is judged by how far its extreme lies from the mean before it, and only when enough money moved: without that
//! floor one bid-ask bounce in a dead pair looks like ten percent on fifty times the volume.

use super::file::BarsFile;
use super::{ModelError, between, rising, size, within_nats};

/// A checked rule over bars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    least_quote: f64,
    least_times: f64,
    least_moved: f64,
    /// Displacement in deviations and nats, rising.
    evidence: Vec<(f64, f64)>,
}

/// What a bar showed, toward one side, against what was before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BarFeatures {
    /// Displacement of the extreme price from the ten-minute mean before the bar, as a logarithm.
    pub moved: f64,
    /// The same in the pair's own deviations.
    pub z600: f64,
    /// Quote of the bar against what the last day's rate gives in its time.
    pub times: f64,
    /// Quote of the bar, in units of 30,000 dollars.
    pub money: f64,
    /// Whether the pair was followed for less than a day.
    pub young: bool,
}

impl Bars {
    /// Checks a rule and makes it ready.
    pub fn check(file: &BarsFile) -> Result<Bars, ModelError> {
        let evidence: Vec<(f64, f64)> = file.evidence.iter().map(|row| (row.z600, row.nats)).collect();
        for (what, floor) in [
            ("bars.least_quote", file.least_quote),
            ("bars.least_times", file.least_times),
            ("bars.least_moved", file.least_moved),
        ] {
            if !(floor.is_finite() && floor >= 0.0) {
                return Err(ModelError::NotANumber(what.to_owned()));
            }
        }
        size("bars.evidence", evidence.len(), 0, super::MOST_ROWS)?;
        rising("bars.evidence", &evidence)?;
        within_nats("bars.evidence", evidence.iter().map(|row| row.1))?;
        Ok(Bars {
            least_quote: file.least_quote,
            least_times: file.least_times,
            least_moved: file.least_moved,
            evidence,
        })
    }

    /// Returns the weight of evidence of a bar, in nats; nothing where its market does not move.
    pub fn nats(&self, bar: &BarFeatures) -> Option<f64> {
        let (least, _) = self.evidence.first()?;
        let loud = bar.money >= self.least_quote && bar.times >= self.least_times;
        let moved = bar.moved >= self.least_moved && bar.z600 >= *least;
        (loud && moved).then(|| between(&self.evidence, bar.z600))
    }
}
