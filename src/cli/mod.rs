//! (in the making)

pub mod verify;
