//! Coinbase Exchange's socket: several channels in one signed subscription, sequence numbers of a pair's whole market.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::Message;

use super::sign::{self, Shown};
use super::wire::{self, Fault};
use crate::domain::Venue;
use crate::runtime::clock;
use crate::simulate::fault::Liar;
use crate::simulate::floor::{Floor, News};
use crate::simulate::socket::Socket;
use crate::simulate::spelling::rfc3339;
use crate::simulate::world::{Happening, Step};

/// The channels that are played.
const CHANNELS: [&str; 4] = ["user", "full", "matches", "heartbeat"];

struct Session {
    floor: Arc<Floor>,
    who: Option<usize>,
    products: BTreeMap<&'static str, BTreeSet<String>>,
    /// Messages of each pair's market so far, those of other people too.
    sequences: BTreeMap<usize, u64>,
    last: Option<Value>,
}

/// Serves one connection until it ends.
pub async fn serve(floor: Arc<Floor>, mut socket: Socket) {
    let mut news = floor.listen(Venue::Coinbase);
    let mut session = Session {
        floor: Arc::clone(&floor),
        who: None,
        products: BTreeMap::new(),
        sequences: BTreeMap::new(),
        last: None,
    };
    let mut second = interval(floor.settings.heartbeat);
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut first = Box::pin(tokio::time::sleep(floor.settings.first_subscribe));
    loop {
        let said = tokio::select! {
            said = socket.hear() => match said {
                Some(Message::Text(text)) => vec![session.answer(&text)],
                Some(Message::Ping(_) | Message::Pong(_)) => Vec::new(),
                Some(Message::Binary(_) | Message::Close(_) | Message::Frame(_)) | None => return,
            },
            told = news.recv() => match told {
                Ok(told) => match told.as_ref() {
                    News::Happened(happening) => session.heard_of(happening),
                    News::Cut(Venue::Coinbase) => return,
                    News::Skip(count) => {
                        session.sequences.values_mut().for_each(|sequence| *sequence += count);
                        Vec::new()
                    }
                    News::Again => session.last.clone().into_iter().collect(),
                    News::Cut(Venue::Binance | Venue::Kucoin) | News::ServerShutdown => Vec::new(),
                },
                Err(_) => return socket.close(1008, "ErrSlowConsume").await,
            },
            _ = second.tick() => session.beats(),
            () = &mut first, if session.products.is_empty() => {
                return socket.close(1008, "no subscription within 5 seconds").await;
            }
        };
        if let Some(who) = session.who {
            socket.lie(|| Liar::new(&floor, Venue::Coinbase, Some(who)));
        }
        for value in said {
            if !socket.push(&value).await {
                return;
            }
        }
    }
}

impl Session {
    fn answer(&mut self, text: &str) -> Value {
        let request: Value = serde_json::from_str(text).unwrap_or_default();
        match request.get("type").and_then(Value::as_str) {
            Some("subscribe") => self.subscribe(&request).unwrap_or_else(|refusal| refusal),
            Some("unsubscribe") => {
                for (channel, products) in asked(&request) {
                    if let Some(kept) = self.products.get_mut(channel.as_str()) {
                        kept.retain(|product| !products.is_empty() && !products.contains(product));
                    }
                }
                self.listed()
            }
            Some(_) | None => refusal("Type has to be either subscribe or unsubscribe", ""),
        }
    }

    fn subscribe(&mut self, request: &Value) -> Result<Value, Value> {
        let (floor, now) = (Arc::clone(&self.floor), clock::now());
        let world = floor.world();
        // ccxt sends the time as a number, others as text.
        let field = |name: &str| {
            let value = request.get(name);
            value.and_then(Value::as_str).map(str::to_owned).or_else(|| value.map(Value::to_string)).unwrap_or_default()
        };
        let (key, sign, timestamp) = (field("key"), field("signature"), field("timestamp"));
        let passphrase = field("passphrase");
        if !key.is_empty() {
            let shown = Shown { key: &key, sign: &sign, timestamp: &timestamp, passphrase: &passphrase };
            let checked = sign::check(&world, &shown, "GET/users/self/verify", now);
            let failed =
                |Fault { message, .. }| refusal("Authentication Failed", &json!({"message": message}).to_string());
            self.who = Some(checked.map_err(failed)?);
        }
        for (channel, products) in asked(request) {
            let known = CHANNELS.into_iter().find(|known| *known == channel);
            let known =
                known.ok_or_else(|| refusal("Failed to subscribe", &format!("{channel} is not a valid channel")))?;
            if known == "user" && self.who.is_none() {
                return Err(refusal("Failed to subscribe", "user channel requires authentication"));
            }
            if products.is_empty() {
                return Err(refusal("Failed to subscribe", "no product_ids"));
            }
            for product in products {
                let pair = world.by_spelling(Venue::Coinbase, &product);
                let reason = format!("{product} is not a valid product");
                let pair = pair.ok_or_else(|| refusal("Failed to subscribe", &reason))?;
                self.sequences.entry(pair).or_insert(1_000_000_000);
                self.products.entry(known).or_default().insert(product);
            }
        }
        drop(world);
        Ok(self.listed())
    }

    fn listed(&self) -> Value {
        let channels: Vec<Value> =
            self.products.iter().map(|(name, products)| json!({"name": name, "product_ids": products})).collect();
        json!({"type": "subscriptions", "channels": channels})
    }

    fn has(&self, channel: &str, product: &str) -> bool {
        self.products.get(channel).is_some_and(|products| products.contains(product))
    }

    fn heard_of(&mut self, happening: &Happening) -> Vec<Value> {
        let floor = Arc::clone(&self.floor);
        let world = floor.world();
        let at = match happening {
            Happening::Traded { pair, .. } => *pair,
            Happening::Order(news) => news.order.pair,
        };
        let (Some(pair), Some(sequence)) = (world.pairs.get(at), self.sequences.get_mut(&at)) else {
            return Vec::new();
        };
        *sequence += 1;
        let (sequence, product) = (*sequence, pair.spelled());
        match happening {
            Happening::Traded { trade, .. } if self.has("matches", &product) => {
                vec![wire::public(pair, trade, sequence)]
            }
            Happening::Traded { .. } => Vec::new(),
            Happening::Order(news) => {
                let mine =
                    self.who == Some(news.order.account) && (self.has("user", &product) || self.has("full", &product));
                let Some(owner) = world.accounts.get(news.order.account).filter(|_| mine) else { return Vec::new() };
                // Beside whole orders single matches are lost here: this feed tells each, and no totals.
                if matches!(news.step, Step::Filled(_)) && floor.faults().loses_match(self.who) {
                    return Vec::new();
                }
                self.last = Some(wire::message(pair, owner, news, sequence));
                self.last.clone().into_iter().collect()
            }
        }
    }

    fn beats(&mut self) -> Vec<Value> {
        let (floor, now) = (Arc::clone(&self.floor), clock::now());
        let world = floor.world();
        if floor.faults().of(Venue::Coinbase, self.who).no_sign_of_life {
            return Vec::new();
        }
        let products = self.products.get("heartbeat").into_iter().flatten();
        let beat = |product: &String| {
            let at = world.by_spelling(Venue::Coinbase, product)?;
            let last = world.pairs.get(at)?.tape().next_back().map_or(0, |trade| trade.id);
            let sequence = self.sequences.get(&at)?;
            Some(json!({
                "type": "heartbeat", "sequence": sequence, "last_trade_id": last, "product_id": product,
                "time": rfc3339(now),
            }))
        };
        products.filter_map(beat).collect()
    }
}

/// Returns the channels of a request, each with its own products or those of the whole request.
fn asked(request: &Value) -> Vec<(String, BTreeSet<String>)> {
    let products = |value: Option<&Value>| -> BTreeSet<String> {
        let list = value.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let all = products(request.get("product_ids"));
    let channels = request.get("channels").and_then(Value::as_array).into_iter().flatten();
    let one = |channel: &Value| {
        let own = products(channel.get("product_ids"));
        let name = channel.as_str().or_else(|| channel.get("name")?.as_str()).unwrap_or_default();
        (name.to_owned(), if own.is_empty() { all.clone() } else { own })
    };
    channels.map(one).collect()
}

fn refusal(message: &str, reason: &str) -> Value {
    json!({"type": "error", "message": message, "reason": reason})
}
