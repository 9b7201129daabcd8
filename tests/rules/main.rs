//! Each rule over stories as the exchanges would send them: where it must speak, and where it must not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test: its steps may fail")]

#[path = "../support/spelling.rs"]
mod spelling;
#[path = "../support/stories.rs"]
mod stories;
#[path = "../support/tale.rs"]
mod tale;

mod address;
mod answer;
mod blind;
mod churn_loss;
mod co_trading;
mod first_fill;
mod key_state;
mod liquidation;
mod origin;
mod planted_ask;
mod prelude;
mod pump_buy;
mod slow_buying;
mod user;
mod warm_up;
