//! Frames become events: a file per exchange, each a small state machine that never touches a socket.

pub mod access;
pub mod binance;
pub mod coinbase;
pub mod dedupe;
pub mod drill;
mod key;
pub mod kucoin;
pub mod market_cap;
pub mod newest;
pub mod operator;
mod past;
pub mod scalar;
mod shape;
mod sorted;
pub mod symbols;
pub mod unread;
pub mod wire;

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use self::dedupe::{Recovered, Repeats, Seen};
use self::shape::{Heard, unread};
use self::unread::Unread;
use crate::arrival::{Arrival, Body, Source};
use crate::domain::{AccountId, Event, EventKind, FeedKind, LogProgress, Timestamp, Venue, Wallet};

/// What the codecs have to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Quote assets beside the built-in ones, for pairs of Binance that its list of symbols did not tell, such as `USD`.
    pub quotes: Vec<CompactString>,
}

/// The codecs of all exchanges with what they remember: one pure step from arrivals to events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Codecs {
    binance: binance::Codec,
    kucoin: kucoin::Codec,
    coinbase: coinbase::Codec,
    access: access::Codec,
    seen: Seen,
}

impl Codecs {
    /// Starts without memory.
    pub fn new(settings: &Settings) -> Self {
        Codecs {
            binance: binance::Codec::new(settings),
            kucoin: kucoin::Codec::default(),
            coinbase: coinbase::Codec::default(),
            access: access::Codec::default(),
            seen: Seen::default(),
        }
    }

    /// Takes over changed settings, after a snapshot was read back or the configuration was read again.
    pub fn set(&mut self, settings: &Settings) {
        self.binance.set(settings);
    }

    /// Returns how far each access log was taken.
    pub fn access_logs(&self) -> &BTreeMap<CompactString, LogProgress> {
        self.access.logs()
    }

    /// Appends the events of an arrival; what cannot be read becomes an event that says so.
    pub fn decode(&mut self, arrival: &Arrival, out: &mut Vec<Event>) {
        let start = out.len();
        let read = match &arrival.body {
            Body::LinkUp => self.link(arrival, out, FeedKind::Up),
            Body::LinkDown { why } => self.link(arrival, out, FeedKind::Down(why.clone())),
            Body::Filled { since, until, verified } => {
                let wallet = arrival.from.wallet();
                let recovered =
                    arrival.from.account().map(|account| self.seen.filled(account, &wallet, *until, *verified));
                let Recovered { all: recovered, unsent } = recovered.unwrap_or_default();
                let filled =
                    FeedKind::GapFilled { since: *since, until: *until, recovered, unsent, verified: *verified };
                Heard::new(arrival, out).feed(filled);
                Ok(())
            }
            Body::Tick => {
                Heard::new(arrival, out).push(EventKind::Tick);
                Ok(())
            }
            Body::Frame(_) | Body::Page { .. } | Body::Text(_) | Body::Bytes(_) => self.read(arrival, out),
        };
        if let Err(Unread(why)) = read {
            Heard::new(arrival, out).feed(FeedKind::Unreadable(why));
        }
        // The fills behind an order's totals are asked for at once: the list may tell one a moment before the stream
        // would have.
        let prompt = matches!(&arrival.body, Body::Page { call, .. } if call.contains("order_id"));
        self.forget_repeats(start, &arrival.from.wallet(), prompt, out);
        if matches!(arrival.body, Body::Page { .. }) {
            // Some exchanges answer newest first; what is judged and learnt has the order in which it happened.
            out[start..].sort_by_key(traded);
        }
    }

    /// Returns how many fills were told again and dropped.
    pub fn repeats(&self) -> Repeats {
        self.seen.repeats()
    }

    /// Returns up to when the exchange itself confirmed that no fill of a wallet is missing.
    pub fn proven_until(&self, account: &AccountId, wallet: &Wallet) -> Option<Timestamp> {
        self.seen.proven_until(account, wallet)
    }

    /// Coinbase numbers the messages of a connection, so its codec must hear of a new one too.
    fn link(&mut self, arrival: &Arrival, out: &mut Vec<Event>, kind: FeedKind) -> Result<(), Unread> {
        if arrival.from.venue() == Some(Venue::Coinbase) {
            self.coinbase.link_changed(&arrival.from);
        }
        if let Some(account) = arrival.from.account() {
            self.seen.link(account, &arrival.from.wallet(), matches!(kind, FeedKind::Up).then_some(arrival.at));
        }
        Heard::new(arrival, out).feed(kind);
        Ok(())
    }

    fn read(&mut self, arrival: &Arrival, out: &mut Vec<Event>) -> Result<(), Unread> {
        match &arrival.from {
            Source::Access(_) => self.access.decode(arrival, out),
            Source::MarketCap(_) => market_cap::decode(arrival, out),
            Source::Operator => operator::decode(arrival, out),
            // It is kept as evidence; rules judge what the exchange says of the key afterwards.
            Source::Respond => Ok(()),
            Source::Clock => Err(unread("a clock only ticks")),
            Source::Account(_)
            | Source::AccountRest(_)
            | Source::Wallet(..)
            | Source::WalletRest(..)
            | Source::Market(_)
            | Source::MarketRest(_)
            | Source::FuturesMarket(_)
            | Source::FuturesMarketRest(_) => match arrival.from.venue() {
                Some(Venue::Binance) => self.binance.decode(arrival, out),
                Some(Venue::Kucoin) => self.kucoin.decode(arrival, out),
                Some(Venue::Coinbase) => self.coinbase.decode(arrival, out),
                None => Err(unread("a message from nobody")),
            },
        }
    }

    /// Drops the fills among the events from `start` that were told before, and keeps the order of the rest.
    fn forget_repeats(&mut self, start: usize, wallet: &Wallet, prompt: bool, out: &mut Vec<Event>) {
        let mut kept = start;
        for place in start..out.len() {
            let mut told = |fill| !self.seen.first(fill, wallet, prompt);
            let repeated = matches!(&out[place].kind, EventKind::Fill(fill) if told(fill));
            if !repeated {
                out.swap(kept, place);
                kept += 1;
            }
        }
        out.truncate(kept);
    }
}

/// When an event traded; what did not trade comes first.
fn traded(event: &Event) -> Timestamp {
    match &event.kind {
        EventKind::Fill(fill) => fill.time,
        EventKind::Confirmed(confirmation) => confirmation.time,
        EventKind::Order(_)
        | EventKind::Balance(_)
        | EventKind::Access(_)
        | EventKind::KeyState(_)
        | EventKind::KeyList(_)
        | EventKind::Market(_)
        | EventKind::Cap(_)
        | EventKind::Leaks(_)
        | EventKind::Answer(_)
        | EventKind::Drill(_)
        | EventKind::Feed(_)
        | EventKind::Tick => Timestamp::EPOCH,
    }
}

#[cfg(test)]
mod tests;
