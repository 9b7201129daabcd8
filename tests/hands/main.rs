//! The commands about keys and the whole daemon, as their users run them: the real program before the played exchanges.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test: its steps may fail"
)]

mod answers;
mod daemon;
mod doctor;
mod drill;
mod leak;
mod panic;
#[path = "../support/played.rs"]
mod played;
#[path = "../support/smtp.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod smtp;
mod world;
