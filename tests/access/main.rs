//! Who used a key, from the user's own side to a person's screen: the real daemon, real files, real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail wherever it finds a fault"
)]

mod home;
mod logs;
mod networks;
mod nginx;
mod posts;
