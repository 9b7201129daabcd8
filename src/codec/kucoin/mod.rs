//! KuCoin: the classic feed, the unified feed, REST answers and public market data.
//!
//! An account's fills come on one of two feeds that share nothing but the connection's habits; which one depends on
//! the account's mode. Both are told apart by their envelopes here, so that a recording needs no label.

mod classic;
mod contract;
mod keys;
mod market;
mod rest;
mod unified;
mod wallets;

use std::borrow::Cow;
use std::io::Read;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::contract::Contracts;
use self::wallets::Wallets;
use super::newest::Newest;
use super::shape::{Heard, name, read, unread};
use super::unread::Unread;
use super::wire::Id;
use crate::arrival::{Arrival, Body, Source};
use crate::domain::{Event, FeedKind, Side};

/// Makes events of what KuCoin sends. Each message stands alone; only public trades are remembered, against repeats, how
/// much a lot of each contract is, and what lies in each of two trade wallets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Codec {
    newest: Newest,
    contracts: Contracts,
    wallets: Wallets,
}

/// What every message of both feeds begins with.
///
/// Classic: `{"topic":"/account/balance","type":"message","subject":"account.balance","data":{}}`, or an error
/// `{"id":"7","type":"error","code":404,"data":"topic /x is not found"}`; unified:
/// `{"T":"execution.UNIFIED","P":1786516889648920721,"d":{}}`, an answer `{"id":"2","result":true}`, a greeting
/// `{"sessionId":"0f","message":"welcome"}`.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    topic: Cow<'a, str>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    code: Option<Id>,
    #[serde(default, borrow, rename = "T")]
    channel: Cow<'a, str>,
    #[serde(default, borrow, rename = "d")]
    push: Option<&'a RawValue>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    op: Option<&'a RawValue>,
}

impl Codec {
    /// A deflated frame is not followed past this: no message of an account comes near it.
    const INFLATED: u64 = 4 << 20;

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
                let text = inflated(bytes)?;
                self.frame(&arrival.from, &text, heard)
            }
            Body::Page { call, frame } => match &arrival.from {
                Source::MarketRest(_) | Source::FuturesMarketRest(_) => {
                    market::page(call, frame.get(), &mut self.contracts, heard)
                }
                Source::Account(_) | Source::AccountRest(_) | Source::Wallet(..) | Source::WalletRest(..) => {
                    rest::page(call, frame.get(), &self.contracts, &mut self.wallets, heard)
                }
                Source::Market(_)
                | Source::FuturesMarket(_)
                | Source::Access(_)
                | Source::MarketCap(_)
                | Source::Operator
                | Source::Respond
                | Source::Clock => Err(unread("an answer nobody asked for")),
            },
            Body::Text(_) => Err(unread("a text that is not JSON")),
            Body::LinkUp | Body::LinkDown { .. } | Body::Filled { .. } | Body::Tick => Ok(()),
        }
    }

    fn frame(&mut self, from: &Source, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let frame: Frame<'_> = read("a frame", json)?;
        let public = matches!(from, Source::Market(_) | Source::MarketRest(_));
        match &*frame.kind {
            "message" => {
                let data = frame.data.ok_or_else(|| unread("a message without data"))?.get();
                if public {
                    market::message(&frame.topic, data, &mut self.newest, heard)
                } else {
                    classic::message(&frame.topic, data, &self.contracts, &mut self.wallets, heard)
                }
            }
            "welcome" | "ack" | "pong" => Ok(()),
            "error" => {
                let expired = frame.data.is_some_and(|data| data.get().contains("token is expired"));
                let code = frame.code.map_or_else(|| "error".into(), |code| code.0);
                let why = if expired {
                    "the feed's token has expired: the next connection needs a new one"
                } else {
                    "a request on the feed was refused: check its topic and the key's permissions"
                };
                heard.refused(&code, why);
                Ok(())
            }
            "" if !frame.channel.is_empty() => {
                let data = frame.push.ok_or_else(|| unread("a push without data"))?.get();
                if public {
                    market::push(&frame.channel, data, &mut self.newest, heard)
                } else {
                    unified::push(&frame.channel, data, &self.contracts, heard)
                }
            }
            "" => match frame.result {
                Some(result) if result.get() == "false" => {
                    let why = "a sign-in or subscription was refused: check the key, its passphrase and permissions";
                    heard.refused("result_false", why);
                    Ok(())
                }
                Some(_) => Ok(()),
                None if frame.message.is_some() || frame.op.is_some() => Ok(()),
                None => Err(unread("a frame without type, channel or result")),
            },
            other => {
                heard.feed(FeedKind::Unknown(name(other)));
                Ok(())
            }
        }
    }
}

/// Returns the text of a binary frame: JSON as it is, else raw deflate (what the unified feed may send).
fn inflated(bytes: &[u8]) -> Result<Cow<'_, str>, Unread> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && text.trim_start().starts_with(['{', '['])
    {
        return Ok(Cow::Borrowed(text));
    }
    let mut text = String::new();
    let mut reader = flate2::read::DeflateDecoder::new(bytes).take(Codec::INFLATED + 1);
    match reader.read_to_string(&mut text) {
        Ok(length) if length as u64 <= Codec::INFLATED => Ok(Cow::Owned(text)),
        Ok(_) => Err(unread("a binary frame that unpacks to more than 4 MiB")),
        Err(_) => Err(unread("a binary frame that is neither JSON nor raw deflate")),
    }
}

/// Reads `buy`, `BUY`, `sell` or `SELL`.
fn side(text: &str) -> Result<Side, Unread> {
    if text.eq_ignore_ascii_case("buy") {
        Ok(Side::Buy)
    } else if text.eq_ignore_ascii_case("sell") {
        Ok(Side::Sell)
    } else {
        Err(unread("a side that is neither buy nor sell"))
    }
}

#[cfg(test)]
mod tests;
