//! Rules against recordings: real trade tapes with watched accounts placed on them, and what rules made of them.
//!
//! [`tape`] reads the trades of a real market, [`import`] gives some of its orders to accounts ([`victim`],
//! [`ordinary`]) and makes a recording of it, [`labels`] says what was done by whom, and [`score`] compares that with
//! what the pipeline raised; [`evaluate`] does all of it over many tapes, [`search`] with many rule sets, and [`html`]
//! shows it. [`stage`] measures the
//! market stage alone, without accounts. No price is made up where an attack is
//! measured on a tape: the hostile orders are orders that really stood there.

pub mod cases;
mod clients;
pub mod compare;
mod contracts;
pub mod dice;
mod drafts;
pub mod evaluate;
pub mod frames;
mod habits;
pub mod html;
pub mod import;
pub mod labels;
mod lookalikes;
pub mod market;
pub mod ordinary;
mod owners;
pub mod picture;
pub mod pumps;
mod purse;
mod record;
pub mod report;
pub mod scene;
pub mod score;
pub mod search;
pub mod stage;
pub mod tape;
pub mod threads;
pub mod train;
pub mod victim;
pub mod walk;
mod written;
