//! Binance: spot and margin account feeds, the fills of USD-M futures, public market data, and the answers over REST.
//!
//! <https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream>

mod account;
mod account_rest;
mod envelope;
mod keys;
mod market;
mod market_rest;
mod refusal;
mod report;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::Settings;
use super::newest::Newest;
use super::shape::{Heard, unread};
use super::symbols::{Names, Symbols};
use super::unread::Unread;
use crate::arrival::{Arrival, Body, Source};
use crate::domain::{Event, Wallet};

/// Reads what Binance sends; it remembers the list of pairs and how far each pair's trades were read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Codec {
    symbols: Symbols,
    trades: Newest,
    aggregated: Newest,
}

impl Codec {
    /// Starts without memory.
    pub fn new(settings: &Settings) -> Self {
        Codec { symbols: Symbols::new(&settings.quotes), trades: Newest::default(), aggregated: Newest::default() }
    }

    /// Takes over changed settings.
    pub fn set(&mut self, settings: &Settings) {
        self.symbols.set_extra(&settings.quotes);
    }

    /// Appends the events of an arrival; on an error those that were read before it stay.
    pub fn decode(&mut self, arrival: &Arrival, out: &mut Vec<Event>) -> Result<(), Unread> {
        let mut heard = Heard::new(arrival, out);
        match (&arrival.body, &arrival.from) {
            (
                Body::Frame(frame),
                Source::Account(_) | Source::AccountRest(_) | Source::Wallet(..) | Source::WalletRest(..),
            ) => account::frame(frame.get(), &self.symbols, &mut heard),
            (Body::Frame(frame), _) => self.market_frame(frame.get(), &mut heard),
            (
                Body::Page { call, frame },
                Source::Account(_) | Source::AccountRest(_) | Source::Wallet(..) | Source::WalletRest(..),
            ) => account_rest::page(call, frame.get(), &self.symbols, &mut heard),
            (Body::Page { call, frame }, _) => self.market_page(call, frame.get(), &mut heard),
            (Body::Text(_) | Body::Bytes(_), _) => Err(unread("not JSON")),
            (Body::LinkUp | Body::LinkDown { .. } | Body::Filled { .. } | Body::Tick, _) => Ok(()),
        }
    }

    /// Returns how the market that is heard spells its pairs.
    fn names(&self, heard: &Heard<'_>) -> Names<'_> {
        if heard.wallet() == Wallet::Futures { self.symbols.contracts() } else { self.symbols.spot() }
    }
}
