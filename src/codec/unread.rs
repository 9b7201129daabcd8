//! What a codec says of an arrival it cannot read.

/// Why an arrival could not be read; never its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unread(pub compact_str::CompactString);
