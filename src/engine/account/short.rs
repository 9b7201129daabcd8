//! Figures of which seven digits are enough, written in four bytes.
//!
//! They are rounded where they are computed, so that a memory that was read back goes on as if it had never been written.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Returns the figure with as many digits as are written.
pub(super) fn rounded(figure: f64) -> f64 {
    f64::from(figure as f32)
}

/// Writes a rounded figure.
pub(super) fn serialize<S: Serializer>(figure: &f64, to: S) -> Result<S::Ok, S::Error> {
    (*figure as f32).serialize(to)
}

/// Reads what `serialize` wrote.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    f32::deserialize(from).map(f64::from)
}
