//! The commands: a file each, what it reads, whom it calls, what it prints.

pub mod import_tape;
pub mod verify;
