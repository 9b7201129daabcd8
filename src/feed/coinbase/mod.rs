//! Coinbase: Advanced Trade (one connection a key, fills and gaps over REST), the market, and Coinbase Exchange's keys.

mod account;
mod exchange;
mod fills;
mod frames;
mod keys;
mod market;

pub(super) use account::User;
pub(super) use exchange::Profile;
pub(super) use market::Market;
