//! Sockets and REST in.

pub mod sign;
