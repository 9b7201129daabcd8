//! What a classic socket is subscribed to, and what each piece of news becomes on it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{market, wire};
use crate::domain::{Timestamp, Venue};
use crate::simulate::spelling::{kucoin_trade_id, order_id, small};
use crate::simulate::world::{OrderNews, Pair, PublicTrade, World};

/// Topics a client may ask for without naming pairs, and only with a private token.
pub const PRIVATE: [&str; 4] =
    ["/spotMarket/tradeOrdersV2", "/spotMarket/tradeOrders", "/account/balance", "/spotMarket/advancedOrders"];
/// Topics that name pairs after a colon.
const PUBLIC: [&str; 3] = ["/market/match", "/market/ticker", "/market/snapshot"];
/// Topics a connection may have.
const TOPICS: usize = 400;

/// The topics of one connection, one pair each.
#[derive(Debug, Default)]
pub struct Topics(BTreeSet<String>);

impl Topics {
    /// Adds what a subscribe message names; the error is the exchange's code and word.
    pub fn add(&mut self, topic: &str, private_token: bool) -> Result<(), (i64, &'static str)> {
        for topic in split(topic) {
            let family = topic.split(':').next().unwrap_or_default();
            if PRIVATE.contains(&topic.as_str()) {
                if !private_token {
                    return Err((403, "topic is private"));
                }
            } else if !PUBLIC.contains(&family) || !topic.contains(':') {
                return Err((404, "topic is not found"));
            }
            if self.0.len() >= TOPICS {
                return Err((509, "exceed max subscription count limitation"));
            }
            self.0.insert(topic);
        }
        Ok(())
    }

    /// Takes topics away.
    pub fn remove(&mut self, topic: &str) {
        let gone = split(topic);
        self.0.retain(|topic| !gone.contains(topic));
    }

    /// Returns what the owner of a private token hears of an order.
    pub fn order(&self, world: &World, news: &OrderNews) -> Vec<Value> {
        let Some((pair, owner)) = world.pairs.get(news.order.pair).zip(world.accounts.get(news.order.account)) else {
            return Vec::new();
        };
        let orders = ["/spotMarket/tradeOrdersV2", "/spotMarket/tradeOrders"];
        let mut said: Vec<Value> = orders
            .iter()
            .filter(|topic| self.0.contains(**topic))
            .filter_map(|topic| wire::order_change(pair, owner, news, topic))
            .collect();
        if self.0.contains("/account/balance") {
            said.extend(news.changed.iter().map(|row| wire::balance(pair, owner, news, row)));
        }
        said
    }

    /// Returns what everybody hears of a trade.
    pub fn trade(&self, pair: &Pair, trade: &PublicTrade, now: Timestamp) -> Vec<Value> {
        let symbol = pair.spelled();
        let mut said = Vec::new();
        let topic = format!("/market/match:{symbol}");
        if self.0.contains(&topic) {
            said.push(json!({"topic": topic, "type": "message", "subject": "trade.l3match", "data": {
                "sequence": kucoin_trade_id(trade.id).to_string(), "type": "match", "symbol": symbol,
                "side": small(trade.taker), "price": wire::plain(trade.price), "size": wire::plain(trade.quantity),
                "tradeId": kucoin_trade_id(trade.id).to_string(),
                "takerOrderId": order_id(Venue::Kucoin, trade.id * 2, trade.time),
                "makerOrderId": order_id(Venue::Kucoin, trade.id * 2 + 1, trade.time), "time": trade.time.nanos().to_string(),
            }}));
        }
        let topic = format!("/market/ticker:{symbol}");
        if self.0.contains(&topic) {
            said.push(
                json!({"topic": topic, "type": "message", "subject": "trade.ticker", "data": market::best(pair, now)}),
            );
        }
        if self.0.contains("/market/ticker:all") {
            said.push(json!({"topic": "/market/ticker:all", "type": "message", "subject": symbol, "data": market::best(pair, now)}));
        }
        said
    }

    /// Returns the snapshots, due every two seconds for pairs that traded.
    pub fn snapshot(&self, pair: &Pair, now: Timestamp) -> Vec<Value> {
        let names = [pair.spelled(), market::market(pair).to_owned()];
        let topics = names.into_iter().map(|name| format!("/market/snapshot:{name}"));
        topics
            .filter(|topic| self.0.contains(topic))
            .map(|topic| {
                let data = json!({"sequence": now.millis().to_string(), "data": market::snapshot(pair, now)});
                json!({"topic": topic, "type": "message", "subject": "trade.snapshot", "data": data})
            })
            .collect()
    }
}

fn split(topic: &str) -> Vec<String> {
    match topic.split_once(':') {
        Some((family, names)) => names.split(',').map(|name| format!("{family}:{name}")).collect(),
        None => vec![topic.to_owned()],
    }
}
