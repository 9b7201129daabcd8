//! Numbers cut into bins of about equally many rows.

use super::boost::BINS;

/// The edges of each feature's bins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bins {
    /// For each feature, rising: a value below the first edge is in bin 0, one at or above it in bin 1 or higher.
    edges: Vec<Vec<f32>>,
}

impl Bins {
    /// Cuts at quantiles of `rows`; the upper tail, where pumps are, is cut finer than the rest.
    pub fn cut(rows: &[Vec<f32>]) -> Bins {
        let edges = rows.iter().map(|values| {
            let mut values: Vec<f32> = values.iter().copied().filter(|value| value.is_finite()).collect();
            values.sort_by(f32::total_cmp);
            let mut edges: Vec<f32> = Vec::new();
            // Half of the bins by equal parts, half at tails that halve: 1/2, 1/4, ... of the rows above.
            let half = (BINS - 2) / 2;
            let parts = (1..=half).map(|part| part as f64 / (half + 1) as f64);
            let tails = (1..=half).map(|part| 1.0 - 0.5_f64.powf(1.0 + part as f64 / 2.5));
            for share in parts.chain(tails) {
                edges.extend(values.get((share * values.len() as f64) as usize).copied());
            }
            edges.sort_by(f32::total_cmp);
            edges.dedup();
            // Nothing lies below the least value.
            edges.retain(|edge| values.first().is_some_and(|least| edge > least));
            edges
        });
        Bins { edges: edges.collect() }
    }

    /// Returns the bin of a feature's value.
    pub fn of(&self, feature: usize, value: f32) -> u8 {
        self.edges[feature].partition_point(|&edge| edge <= value) as u8
    }

    /// Returns the number below which a value lies in bin `bin` or lower.
    pub fn edge(&self, feature: usize, bin: u8) -> f32 {
        self.edges[feature].get(usize::from(bin)).copied().unwrap_or(f32::MAX)
    }
}
