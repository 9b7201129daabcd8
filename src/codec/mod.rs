//! Frames become events: a file per exchange, each a small state machine that never touches a socket.

pub mod wire;
