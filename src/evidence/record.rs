//! Everything that is told about an incident, as machines read it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use crate::domain::{Incident, Timestamp};
use crate::response::Case;

/// The evidence of one incident. Times are nanoseconds since 1970.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// The version of the program that made it.
    pub fillguard: &'static str,
    /// When it was made.
    pub made: Timestamp,
    /// The time zone of the local times in the page.
    pub zone: String,
    /// The incident as it stands.
    pub incident: Incident,
    /// What became of it, oldest first.
    pub history: Vec<HistoryRow>,
    /// What the owner or somebody for them said of it, oldest first.
    pub answers: Vec<AnswerRow>,
    /// Why the alarm was raised, in the sentences that people were told last.
    pub reasons: Vec<String>,
    /// From when on frames were looked at.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Every execution of the account in that time.
    pub fills: Vec<FillRow>,
    /// Its orders, with whether the owner's systems sent them.
    pub orders: Vec<OrderRow>,
    /// Every use of the account's key that the owner's systems wrote down.
    pub uses: Vec<UseRow>,
    /// What the exchange said the key may do.
    pub keys: Vec<KeyRow>,
    /// When nobody could see.
    pub gaps: Vec<GapRow>,
    /// What was paid and received in the orders that are not the owner's, by asset of the price.
    pub spent: BTreeMap<String, Decimal>,
    /// What was received in them.
    pub received: BTreeMap<String, Decimal>,
    /// What was done about the key.
    pub response: Option<Case>,
    /// For each line of `frames.ndjson` the number it has in the journal.
    pub journal_numbers: Vec<u64>,
    /// Lines that were left out because there are too many.
    pub left_out: u64,
    /// The journal's files that the frames come from.
    pub segments: Vec<SegmentRow>,
}

/// An entry of the incident's history.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryRow {
    /// When.
    pub at: Timestamp,
    /// What became of it.
    pub transition: &'static str,
    /// The rule that spoke.
    pub rule: Option<String>,
    /// What people were told.
    pub told: Option<String>,
}

/// What somebody said of the incident.
#[derive(Clone, Debug, Serialize)]
pub struct AnswerRow {
    /// When.
    pub at: Timestamp,
    /// Who, as far as the channel knows.
    pub by: String,
    /// What: `seen`, `mine`, `not_mine` or `later`.
    pub said: &'static str,
}

/// One execution.
#[derive(Clone, Debug, Serialize)]
pub struct FillRow {
    /// The line of `frames.ndjson` that tells it.
    pub frame: u64,
    /// When it was received.
    pub at: Timestamp,
    /// When it traded, by the exchange's clock.
    pub time: Timestamp,
    /// Which pair.
    pub symbol: String,
    /// Which way.
    pub side: &'static str,
    /// The price.
    pub price: Decimal,
    /// The base.
    pub quantity: Decimal,
    /// The quote.
    pub notional: Decimal,
    /// The exchange's id of the order.
    pub order_id: String,
    /// The exchange's id of the trade.
    pub trade_id: Option<String>,
    /// The id the sender chose.
    pub client_order_id: Option<String>,
    /// True when its order was judged to be somebody else's.
    pub judged: bool,
}

/// One order.
#[derive(Clone, Debug, Serialize)]
pub struct OrderRow {
    /// The exchange's id.
    pub order_id: String,
    /// The id the sender chose.
    pub client_order_id: Option<String>,
    /// Which pair.
    pub symbol: String,
    /// Which way.
    pub side: &'static str,
    /// Its first execution.
    pub first: Timestamp,
    /// How many executions.
    pub fills: u64,
    /// The quote they came to.
    pub notional: Decimal,
    /// True when it was judged to be somebody else's.
    pub judged: bool,
    /// Whether the owner's systems sent it.
    pub sent: Sent,
}

/// Whether the owner's systems sent an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// A line of theirs names it.
    Yes {
        /// When the line was written.
        at: Timestamp,
        /// In which log.
        log: String,
        /// From which address.
        address: Option<String>,
    },
    /// Their log has lines about this account, and none names it.
    No,
    /// There is no log of theirs about this account in that time.
    NoLog,
}

/// One use of the key, written down by the owner's systems.
#[derive(Clone, Debug, Serialize)]
pub struct UseRow {
    /// The line of `frames.ndjson` that tells it.
    pub frame: u64,
    /// When.
    pub time: Timestamp,
    /// In which log.
    pub log: String,
    /// From which address.
    pub address: Option<String>,
    /// With which program.
    pub agent: Option<String>,
    /// For which order.
    pub client_order_id: Option<String>,
}

/// What the exchange said of a key.
#[derive(Clone, Debug, Serialize)]
pub struct KeyRow {
    /// The line of `frames.ndjson` that tells it.
    pub frame: u64,
    /// When it was received.
    pub at: Timestamp,
    /// Which key, without its id.
    pub key: String,
    /// What it may do.
    pub rights: Vec<String>,
    /// From where.
    pub addresses: String,
    /// When it was made.
    pub created: Option<Timestamp>,
}

/// A time in which nobody could see.
#[derive(Clone, Debug, Serialize)]
pub struct GapRow {
    /// The line of `frames.ndjson` that tells it.
    pub frame: u64,
    /// When it was said.
    pub at: Timestamp,
    /// What was said.
    pub what: String,
}

/// One file of the journal.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentRow {
    /// Its name.
    pub file: String,
    /// The BLAKE3 hash of the file as it is now.
    pub blake3: String,
    /// Its first and last arrival.
    pub first: Option<u64>,
    /// The last one.
    pub last: Option<u64>,
    /// The last seal in it, which covers all before.
    pub last_seal: Option<String>,
    /// What does not hold in it.
    pub faults: Vec<String>,
}
