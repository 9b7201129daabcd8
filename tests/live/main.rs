//! The stages joined: restarts, readiness, the order of stopping, and what happens while a stage is stuck.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says why")]

#[path = "../support/exchange.rs"]
#[allow(dead_code, reason = "the feeds' own tests ask more of it")]
mod exchange;
#[path = "../support/stream.rs"]
mod stream;

mod answers;
mod daemon;
mod end_to_end;
mod key_state;
mod restart;
mod rules;
mod stages;
mod told;
mod top;
mod watchdog;
