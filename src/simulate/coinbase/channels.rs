//! What a Coinbase socket is subscribed to and what has gathered for its next messages.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{account, market, wire};
use crate::domain::{Timestamp, Venue};
use crate::simulate::world::{Order, PublicTrade, World};

/// Orders in one snapshot message.
const BATCH: usize = 50;

/// The channels of one connection.
#[derive(Debug, Default)]
pub struct Channels {
    /// Whose orders the `user` channel tells, and of which products (all when empty).
    pub user: Option<(usize, BTreeSet<String>)>,
    /// True once `heartbeats` were asked for.
    pub heartbeats: bool,
    products: BTreeMap<&'static str, BTreeSet<String>>,
    orders: BTreeMap<u64, Order>,
    trades: BTreeMap<usize, Vec<PublicTrade>>,
    traded: BTreeSet<usize>,
}

/// The public channels.
pub const PUBLIC: [&str; 4] = ["market_trades", "ticker", "ticker_batch", "candles"];

impl Channels {
    /// Adds products to a public channel; the error names what is wrong.
    pub fn add(&mut self, channel: &str, products: BTreeSet<String>) -> Result<&'static str, String> {
        let known = PUBLIC.into_iter().find(|known| *known == channel);
        let known = known.ok_or_else(|| format!("channel {channel} not found"))?;
        self.products.entry(known).or_default().extend(products);
        Ok(known)
    }

    /// Takes products, or a whole channel, away.
    pub fn remove(&mut self, channel: &str, products: &BTreeSet<String>) {
        match channel {
            "user" => self.user = None,
            "heartbeats" => self.heartbeats = false,
            other => {
                if let Some(kept) = self.products.get_mut(other) {
                    kept.retain(|product| !products.is_empty() && !products.contains(product));
                }
                self.products.retain(|_, products| !products.is_empty());
            }
        }
    }

    /// Returns what the `subscriptions` message lists.
    pub fn listed(&self) -> Value {
        let mut list = serde_json::Map::new();
        if let Some((who, _)) = &self.user {
            list.insert("user".to_owned(), json!([format!("{who:024x}")]));
        }
        if self.heartbeats {
            list.insert("heartbeats".to_owned(), json!(["heartbeats"]));
        }
        for (channel, products) in &self.products {
            list.insert((*channel).to_owned(), json!(products));
        }
        Value::Object(list)
    }

    /// Returns the events of a subscription's first messages.
    pub fn snapshot(&self, channel: &str, world: &World, now: Timestamp) -> Vec<Value> {
        match channel {
            "user" => {
                let Some((who, products)) = &self.user else { return Vec::new() };
                let fits = |row: &Value| {
                    products.is_empty() || row["product_id"].as_str().is_some_and(|id| products.contains(id))
                };
                let open: Vec<Value> = account::open(world, *who).into_iter().filter(fits).collect();
                let event = |orders: &[Value]| json!({"type": "snapshot", "orders": orders, "positions": {"perpetual_futures_positions": [], "expiring_futures_positions": []}});
                if open.is_empty() { vec![event(&[])] } else { open.chunks(BATCH).map(event).collect() }
            }
            "market_trades" => self
                .pairs(channel, world)
                .into_iter()
                .filter_map(|at| Some((at, world.pairs.get(at)?)))
                .map(|(at, pair)| {
                    let trades: Vec<Value> =
                        pair.tape().rev().take(50).map(|print| market::trade(at, pair, print)).collect();
                    json!({"type": "snapshot", "trades": trades})
                })
                .collect(),
            "ticker" | "ticker_batch" => {
                vec![self.tickers(channel, "snapshot", &self.pairs(channel, world), world, now)]
            }
            "candles" => vec![self.candles("snapshot", &self.pairs(channel, world), world, now, 100)],
            _ => Vec::new(),
        }
    }

    /// Returns whether changes of orders wait to be told.
    pub fn has_orders(&self) -> bool {
        !self.orders.is_empty()
    }

    /// Notes an order of the account.
    pub fn note_order(&mut self, world: &World, order: &Order) {
        let Some((who, products)) = &self.user else { return };
        let product = world.pairs.get(order.pair).map(|pair| pair.spelled()).unwrap_or_default();
        if order.account == *who && (products.is_empty() || products.contains(&product)) {
            self.orders.insert(order.id, order.clone());
        }
    }

    /// Notes a public trade.
    pub fn note_trade(&mut self, world: &World, at: usize, trade: &PublicTrade) {
        let Some(pair) = world.pairs.get(at).filter(|pair| pair.venue == Venue::Coinbase) else { return };
        self.traded.insert(at);
        if self.products.get("market_trades").is_some_and(|products| products.contains(&pair.spelled())) {
            self.trades.entry(at).or_default().push(trade.clone());
        }
    }

    /// Returns the orders that changed since the last call: only how they stand now, as the exchange merges changes
    /// that come close together.
    pub fn orders_due(&mut self, world: &World) -> Option<Value> {
        let orders = std::mem::take(&mut self.orders);
        let row = |order: &Order| Some(wire::user_order(world.pairs.get(order.pair)?, order));
        let rows: Vec<Value> = orders.values().filter_map(row).collect();
        (!rows.is_empty()).then(|| json!({"type": "update", "orders": rows}))
    }

    /// Returns the trades since the last call, newest first.
    pub fn trades_due(&mut self, world: &World) -> Vec<Value> {
        let trades = std::mem::take(&mut self.trades);
        let event = |(at, prints): (&usize, &Vec<PublicTrade>)| {
            let pair = world.pairs.get(*at)?;
            let rows: Vec<Value> = prints.iter().rev().map(|print| market::trade(*at, pair, print)).collect();
            Some(json!({"type": "update", "trades": rows}))
        };
        trades.iter().filter_map(event).collect()
    }

    /// Returns tickers and candles of the pairs that traded since the last call, by channel.
    pub fn prices_due(&mut self, world: &World, now: Timestamp) -> Vec<(&'static str, Value)> {
        let traded = std::mem::take(&mut self.traded);
        let mut due = Vec::new();
        for channel in ["ticker", "ticker_batch", "candles"] {
            let pairs: Vec<usize> = self.pairs(channel, world).into_iter().filter(|at| traded.contains(at)).collect();
            if pairs.is_empty() {
                continue;
            }
            due.push((
                channel,
                match channel {
                    "candles" => self.candles("update", &pairs, world, now, 1),
                    other => self.tickers(other, "update", &pairs, world, now),
                },
            ));
        }
        due
    }

    fn pairs(&self, channel: &str, world: &World) -> Vec<usize> {
        let products = self.products.get(channel).into_iter().flatten();
        products.filter_map(|product| world.by_spelling(Venue::Coinbase, product)).collect()
    }

    fn tickers(&self, channel: &str, kind: &str, pairs: &[usize], world: &World, now: Timestamp) -> Value {
        let rows = pairs.iter().filter_map(|at| world.pairs.get(*at)).map(|pair| {
            let mut row = market::ticker_row(pair, now);
            // The batched ticker leaves best bid and ask out.
            if let (true, Some(row)) = (channel == "ticker_batch", row.as_object_mut()) {
                row.retain(|name, _| !name.starts_with("best_"));
            }
            row
        });
        json!({"type": kind, "tickers": rows.collect::<Vec<Value>>()})
    }

    fn candles(&self, kind: &str, pairs: &[usize], world: &World, now: Timestamp, count: i64) -> Value {
        let from = now.millis().div_euclid(1_000) - 300 * count;
        let rows = pairs.iter().filter_map(|at| world.pairs.get(*at)).flat_map(|pair| {
            pair.candles(300, from, i64::MAX).into_iter().rev().map(|candle| {
                let mut row = market::row(pair, &candle);
                row["product_id"] = json!(pair.spelled());
                row
            })
        });
        json!({"type": kind, "candles": rows.collect::<Vec<Value>>()})
    }
}
