//! Coinbase: Advanced Trade's `user` channel, REST answers and public market data, and Coinbase Exchange's accounts.
//!
//! The `user` channel tells running totals of orders, not fills. The difference of two totals is told at once as a
//! provisional fill; List Fills then confirms it, or adds what the stream left out. Nothing is told twice.
//! Coinbase Exchange tells each match; its messages have a type and no channel, its answers are lists without a name.

mod book;
mod exchange;
mod exchange_rest;
mod fills;
mod keys;
mod market;
mod orders;
mod placed;
mod totals;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::newest::Newest;
use super::shape::{Heard, name, path, read, unread};
use super::unread::Unread;
use super::wire::{Id, Whole};
use crate::arrival::{Arrival, Body, Source};
use crate::domain::{AccountId, Asset, Event, FeedKind, Side, Symbol, Timestamp};
use book::Book;
use placed::Placed;

/// Makes events of what Coinbase sends; remembers orders, the place in each connection's numbering, and aliases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Codec {
    accounts: BTreeMap<AccountId, Watched>,
    aliases: Aliases,
    newest: Newest,
}

/// One account: its connection's numbering and its orders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Watched {
    /// The `sequence_num` that comes next; none before a connection's first message.
    next: Option<u64>,
    /// The time of the last message.
    last: Timestamp,
    /// The time of the connection's first message.
    opened: Timestamp,
    book: Book,
    /// The orders of a Coinbase Exchange profile.
    placed: Placed,
}

/// Which pair's market is told under which label: `ABC-USD` -> `ABC-USDC`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Aliases(BTreeMap<Symbol, Symbol>);

/// What every message begins with; `sequence_num` counts all messages of a connection, whatever their channel.
///
/// `{"channel":"heartbeats","client_id":"","timestamp":"2026-01-01T00:00:01Z","sequence_num":4,"events":[]}`, or
/// `{"type":"error","message":"authentication failure"}`.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    channel: Cow<'a, str>,
    #[serde(default, borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    timestamp: Cow<'a, str>,
    sequence_num: Option<Whole>,
    #[serde(default, borrow)]
    events: Option<Vec<&'a RawValue>>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
}

/// An answer about an account, or an error: `{"error":"PERMISSION_DENIED","error_details":"","message":""}`, older
/// calls `{"errors":[{"id":"invalid_token","message":""}]}`.
#[derive(Deserialize)]
struct Answer<'a> {
    error: Option<Id>,
    /// All that a refusal of Coinbase Exchange has: `{"message":"Invalid API Key"}`.
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default)]
    errors: Option<Vec<Problem>>,
    #[serde(default, borrow)]
    fills: Option<Vec<&'a RawValue>>,
    #[serde(default, borrow)]
    orders: Option<Vec<&'a RawValue>>,
    #[serde(default, borrow)]
    order: Option<&'a RawValue>,
    #[serde(default, borrow)]
    accounts: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    id: Id,
}

impl Answer<'_> {
    /// Says whether it holds nothing that was asked for.
    fn is_bare(&self) -> bool {
        self.fills.is_none() && self.orders.is_none() && self.order.is_none() && self.accounts.is_none()
    }
}

impl Codec {
    /// Makes one that has heard nothing.
    pub fn new() -> Self {
        Codec::default()
    }

    /// Takes a frame or an answer and adds the events in it, oldest first; fails on what it cannot read.
    pub fn decode(&mut self, arrival: &Arrival, out: &mut Vec<Event>) -> Result<(), Unread> {
        let heard = &mut Heard::new(arrival, out);
        match &arrival.body {
            Body::Frame(frame) => self.frame(&arrival.from, frame.get(), heard),
            Body::Bytes(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| unread("a binary frame that is not JSON"))?;
                self.frame(&arrival.from, text, heard)
            }
            Body::Page { call, frame } => match &arrival.from {
                Source::MarketRest(_) | Source::FuturesMarketRest(_) => self.market_page(call, frame.get(), heard),
                Source::Account(_) | Source::AccountRest(_) | Source::Wallet(..) | Source::WalletRest(..) => {
                    self.page(call, frame.get(), heard)
                }
                Source::Market(_)
                | Source::FuturesMarket(_)
                | Source::Access(_)
                | Source::MarketCap(_)
                | Source::Operator
                | Source::Respond
                | Source::Clock => Err(unread("an answer nobody asked for")),
            },
            // A refused token is answered with this one word and no JSON.
            Body::Text(text) if text.trim() == "Unauthorized" => {
                heard.refused("401", KEY_REFUSED);
                Ok(())
            }
            Body::Text(_) => Err(unread("a text that is not JSON")),
            Body::LinkUp | Body::LinkDown { .. } | Body::Filled { .. } | Body::Tick => Ok(()),
        }
    }

    /// Takes notice that an account's connection came or went: the next message may begin a new numbering.
    pub fn link_changed(&mut self, from: &Source) {
        if let Source::Account(account) = from
            && let Some(watched) = self.accounts.get_mut(account)
        {
            watched.next = None;
        }
    }

    fn frame(&mut self, from: &Source, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let message: Message<'_> = read("a message", json)?;
        let time = Timestamp::from_rfc3339(&message.timestamp).unwrap_or(heard.at());
        let account = from.account();
        if let Some(account) = account
            && let Some(number) = message.sequence_num
        {
            let number = u64::try_from(number.0).map_err(|_| unread("a sequence number below zero"))?;
            if !self.watched(account).follows(number, time, heard) {
                return Ok(());
            }
        }
        if message.kind == "error" {
            // Coinbase Exchange writes `Authentication Failed`.
            let about = message.message.map(|text| text.get().to_ascii_lowercase()).unwrap_or_default();
            let refused = about.contains("authentication fail");
            let (code, why) = if refused {
                ("authentication failure", KEY_REFUSED)
            } else {
                ("error", "a subscription was refused: check its channel, its pairs and the key")
            };
            heard.refused(code, why);
            return Ok(());
        }
        if let Some(account) = account.filter(|_| message.channel.is_empty() && exchange::is_exchange(&message.kind)) {
            let Codec { accounts, aliases, .. } = self;
            let placed = &mut accounts.entry(account.clone()).or_default().placed;
            return exchange::message(&message.kind, json, placed, aliases, heard);
        }
        let events = message.events.unwrap_or_default();
        match (&*message.channel, account) {
            ("heartbeats" | "subscriptions" | "status" | "l2_data" | "futures_balance_summary", _) => {}
            ("user", Some(account)) => {
                let Codec { accounts, aliases, .. } = self;
                let watched = accounts.entry(account.clone()).or_default();
                for event in events {
                    let told = orders::When { time, opened: watched.opened };
                    let row = orders::batch(event.get(), told, &mut watched.book, aliases, heard);
                    heard.row(row);
                }
            }
            ("", _) if message.kind.is_empty() => return Err(unread("a message without a channel")),
            // Of Coinbase Exchange, about the market.
            ("", _) if matches!(&*message.kind, "subscriptions" | "heartbeat") => {}
            ("", _) => heard.feed(FeedKind::Unknown(name(&message.kind))),
            (channel, _) => {
                let Codec { aliases, newest, .. } = self;
                market::events(channel, events, time, &mut market::Told { aliases, newest, heard });
            }
        }
        Ok(())
    }

    fn page(&mut self, call: &str, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
        if json.trim_start().starts_with('[') {
            let account = heard.account()?;
            let Codec { accounts, aliases, .. } = self;
            let placed = &mut accounts.entry(account).or_default().placed;
            return exchange_rest::page(call, json, placed, aliases, heard);
        }
        let mut answer: Answer<'_> = read("an answer", json)?;
        if refused(answer.error.take(), answer.errors.take(), heard) {
            return Ok(());
        }
        let path = path(call);
        let last = path.rsplit('/').next().unwrap_or("");
        if let Some(message) = answer.message
            && answer.is_bare()
            && matches!(last, "fills" | "orders" | "accounts" | "ledger" | "profiles")
        {
            heard.refused("message", said(message.get()));
            return Ok(());
        }
        let account = heard.account()?;
        let Codec { accounts, aliases, .. } = self;
        let book = &mut accounts.entry(account).or_default().book;
        match last {
            "fills" => {
                let rows = answer.fills.ok_or_else(|| unread("a page of fills without fills"))?;
                fills::list(rows, book, aliases, heard);
            }
            "accounts" => {
                for row in answer.accounts.ok_or_else(|| unread("a page of accounts without accounts"))? {
                    let row = fills::balance(row.get(), heard);
                    heard.row(row);
                }
            }
            _ if path.contains("orders/historical") => {
                for row in answer.order.into_iter().chain(answer.orders.into_iter().flatten().rev()) {
                    let row = orders::listed(row.get(), book, aliases, heard);
                    heard.row(row);
                }
            }
            "key_permissions" => return keys::own(call, json, heard),
            "portfolios" | "time" | "products" | "best_bid_ask" | "transaction_summary" => {}
            _ if path.split('/').any(|part| part == "accounts" || part == "portfolios") => {}
            other => heard.feed(FeedKind::Unknown(name(other))),
        }
        Ok(())
    }

    fn market_page(&mut self, call: &str, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let Codec { aliases, newest, .. } = self;
        market::page(call, json, &mut market::Told { aliases, newest, heard })
    }

    fn watched(&mut self, account: &AccountId) -> &mut Watched {
        self.accounts.entry(account.clone()).or_default()
    }
}

impl Watched {
    /// Returns whether a message is to be read: one whose number is below what was due is stale.
    fn follows(&mut self, number: u64, time: Timestamp, heard: &mut Heard<'_>) -> bool {
        match self.next {
            // A connection that was up before a restart of ours has no link change of its own here: a message 0
            // with a later time begins a new numbering.
            Some(next) if number < next && (number > 0 || time <= self.last) => return false,
            Some(next) if number > next => heard.feed(FeedKind::Skipped { expected: next, got: number }),
            Some(next) if number == next => {}
            Some(_) | None => self.opened = time,
        }
        self.next = Some(number.saturating_add(1));
        self.last = time;
        true
    }
}

impl Aliases {
    /// Past it no alias is added: Coinbase lists some hundred.
    const PAIRS: usize = 5_000;

    /// Notes that somebody trades `symbol`: Coinbase's USD and USDC books are one, and its market is labelled `X-USD`.
    fn touch(&mut self, symbol: &Symbol) {
        if symbol.quote().as_str() == "USDC"
            && let Ok(usd) = Asset::new("USD")
        {
            self.add(Symbol::new(symbol.base().clone(), usd), symbol);
        }
    }

    fn add(&mut self, label: Symbol, symbol: &Symbol) {
        if self.0.len() < Self::PAIRS && label != *symbol {
            self.0.entry(label).or_insert_with(|| symbol.clone());
        }
    }

    fn of(&self, label: &Symbol) -> Option<&Symbol> {
        self.0.get(label)
    }
}

const KEY_REFUSED: &str = "the key was refused: it was deleted or disabled, or this machine's address or clock is off";

/// Says what Coinbase Exchange refused: it has words and no code
/// (<https://docs.cdp.coinbase.com/exchange/rest-api/requests#errors>).
fn said(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["api key", "signature", "passphrase", "unauthorized"]) {
        KEY_REFUSED
    } else if says(&["forbidden", "permission", "scope"]) {
        "the key lacks the permission for this call"
    } else if says(&["rate limit", "slow"]) {
        "too many requests: the exchange asks to slow down"
    } else {
        "the exchange refused the call"
    }
}

/// Says what the exchange refused, where an answer is an error.
fn refused(error: Option<Id>, errors: Option<Vec<Problem>>, heard: &mut Heard<'_>) -> bool {
    let older = || errors.and_then(|errors| errors.into_iter().next()).map(|problem| problem.id);
    let Some(Id(code)) = error.filter(|error| !error.0.is_empty()).or_else(older) else { return false };
    let why = match &*code.to_ascii_uppercase() {
        "PERMISSION_DENIED" => "the key lacks the permission for this call",
        "UNAUTHENTICATED" | "UNAUTHORIZED" | "AUTHENTICATION_ERROR" | "INVALID_TOKEN" => KEY_REFUSED,
        "RESOURCE_EXHAUSTED" | "RATE_LIMIT_EXCEEDED" => "too many requests: the exchange asks to slow down",
        _ => "the exchange refused the call",
    };
    heard.refused(&code, why);
    true
}

fn side(text: &str) -> Result<Side, Unread> {
    match text {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(unread("a side that is neither BUY nor SELL")),
    }
}

#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
mod tests;
