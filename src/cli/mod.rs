//! (in the making)

pub mod import_tape;
