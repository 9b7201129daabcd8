//! How tasks live and end.

pub mod clock;
