//! Frames become events: a file per exchange, each a small state machine that never touches a socket.

pub mod coinbase;
pub mod kucoin;
pub mod newest;
mod shape;
pub mod unread;
pub mod wire;
