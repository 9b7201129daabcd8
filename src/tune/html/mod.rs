//! Tuning reports as one page each: opens from disk, loads nothing, prints, and is the same bytes for the same input.
//!
//! `page` writes the sheet and escapes whatever it is given, `axis`, `plot` and `rows` draw, and the others say
//! what stands on the page of a command. Every drawing has a title, its n, units, and its figures as a table below it.

mod axis;
mod backtest;
mod charts;
mod diff;
mod market;
mod page;
mod plot;
mod rows;
mod tune;
mod varied;

pub use backtest::{Sheet, backtest};
pub use diff::{Compared, diff};
pub use tune::tune;
