//! The commands, a file each: what it reads, whom it calls, what it prints.

pub mod simulate;
