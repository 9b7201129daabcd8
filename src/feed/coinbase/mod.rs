//! Coinbase Advanced Trade: one connection a key, fills and gaps over REST, the market.

mod account;
mod fills;
mod frames;
mod keys;
mod market;

pub(super) use account::User;
pub(super) use market::Market;
