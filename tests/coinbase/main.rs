//! Coinbase from its feeds to fills: the daemon's own feeds and codecs against the simulator, over sockets on loopback.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]

mod advanced;
mod exchange;
mod watch;
