//! The words everything else is written in. They know no stage.

mod access;
mod account;
mod answer;
mod drill;
mod event;
mod finding;
mod hidden;
mod incident;
mod key;
mod leak;
mod money;
mod network;
mod time;
mod wallet;

pub use access::{LogMark, LogProgress, LogRequest};
pub use account::{AccountId, NotAnAccount, Venue};
pub use answer::Answer;
pub use drill::{Attack, Drill};
pub use event::{
    Access, BY_EXCHANGE, Balance, BalanceWhy, Basis, Cap, Confirmation, Event, EventKind, FeedChange, FeedKind, Fill,
    Market, MarketKind, OrderChange, OrderStep, Side, Via,
};
pub use finding::{Family, Finding, Kind, Level, PricePoint, Reason, RuleName, Size, Term};
pub use hidden::{Excuse, Hidden};
pub use incident::{Effect, EffectKind, Incident, IncidentId, Message, PlanStep, Story, Transition};
pub use key::{Fingerprint, KeyList, KeyName, KeyState, NotARight, Restriction, Right, WhichKey};
pub use leak::LeakMode;
pub use money::{Asset, Money, Price, Quantity, Refused, Symbol, decimal};
pub use network::Network;
pub use time::{NotASpan, Span, Timestamp};
pub use wallet::{NotAWallet, Wallet};
