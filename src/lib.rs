//! fillguard watches the fills of exchange accounts whose API keys may have leaked.
//!
//! Data travels one way. `feed` hands over what a socket said, stamped as an [`arrival`]; `journal` numbers it and
//! writes it down before anybody looks; `pipeline` takes it in one pure step, in which `codec` makes it an event,
//! `engine` judges it against what the account usually does and what the pair's market did, and `alert` makes an
//! incident of what was found, with the steps a person would take. `store` keeps the incident and what people shall be
//! told, and `notify` tells them. `replay` runs the same pipeline over a recording.

// A test that names one variant and panics on any other says what it means.
#![cfg_attr(test, allow(clippy::wildcard_enum_match_arm))]

pub mod alert;
pub mod arrival;
pub mod cli;
pub mod codec;
pub mod config;
pub mod cost;
pub mod domain;
pub mod drill;
pub mod engine;
pub mod evidence;
pub mod explain;
pub mod feed;
pub mod journal;
pub mod leakcheck;
pub mod live;
mod markup;
pub mod networks;
pub mod notify;
pub mod pipeline;
pub mod replay;
pub mod response;
pub mod runtime;
pub mod secret;
pub mod serve;
pub mod simulate;
mod spelling;
pub mod store;
pub mod trial;
pub mod tune;
