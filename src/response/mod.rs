//! What is done about a key that somebody else uses, within brakes that no path goes around.
//!
//! `plan` says which steps an account allows, reversible ones first; `machine` decides, without a clock, a disk or a
//! socket, whether and when one is taken; `desk` writes the decision down, has it carried out, and tells people. The
//! hands that reach the exchanges stand apart: each of [`Hands`](hands::Hands) asks and looks, and success is what it saw.

mod arms;
pub mod checkup;
pub mod desk;
mod find;
pub mod hands;
pub mod inbox;
pub mod keys;
pub mod machine;
mod memory;
mod patience;
pub mod plan;
mod settings;
#[cfg(test)]
mod tests;
pub mod wording;
mod words;

pub use arms::Arms;
pub use keys::{Holder, Keys, Master, RevokeKey};
pub use machine::{Input, Machine, News, Output, Responder};
pub use memory::{Act, Case, Memory, Origin, State};
pub use plan::{Deed, KeySeen, Plan, Survey, Timer, Wallets};
pub use settings::{Mode, Policy, Settings, Take};
pub use words::{Facts, Outcome, Verdict};
