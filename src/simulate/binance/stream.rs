//! Binance's market streams, raw (`/ws`) and combined (`/stream`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::market::{amount, price};
use super::wire::eight;
use crate::domain::{Side, Timestamp, Venue};
use crate::runtime::clock;
use crate::simulate::floor::{Floor, News};
use crate::simulate::socket::{self, Socket};
use crate::simulate::world::{Happening, Pair, PublicTrade, World};

/// Streams that a connection may have.
const STREAMS: usize = 1_024;
/// Messages that a client may send in a second.
const MESSAGES: usize = 5;

/// What the address asked for.
pub struct Wanted {
    /// Contracts are spelled as the pairs they are on, and have another address.
    contracts: bool,
    combined: bool,
    streams: BTreeSet<String>,
}

struct Session {
    floor: Arc<Floor>,
    contracts: bool,
    combined: bool,
    streams: BTreeSet<String>,
    /// Pairs that traded since the last second.
    traded: BTreeSet<usize>,
    /// When the client's last messages came, in milliseconds.
    messages: VecDeque<i64>,
}

impl Wanted {
    /// Reads `/ws`, `/ws/<stream>[/<stream>]` and `/stream?streams=a/b`.
    pub fn of(path: &str, query: &str) -> Option<Self> {
        let (path, contracts) = match path.strip_prefix("/market").or_else(|| path.strip_prefix("/public")) {
            Some(path) => (path, true),
            None => (path, false),
        };
        let named = |text: &str| text.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        match path.strip_prefix("/ws") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                return Some(Wanted { contracts, combined: false, streams: named(rest) });
            }
            Some(_) | None => {}
        }
        let streams = socket::pairs(query).find(|(name, _)| name == "streams").map(|(_, list)| list);
        (path == "/stream").then(|| Wanted { contracts, combined: true, streams: named(&streams.unwrap_or_default()) })
    }
}

/// Serves one connection until it ends.
pub async fn serve(floor: Arc<Floor>, mut socket: Socket, wanted: Wanted) {
    let mut news = floor.listen(Venue::Binance);
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pings = interval(floor.settings.ping_every);
    pings.tick().await;
    let life = sleep(floor.settings.connection_life);
    tokio::pin!(life);
    let mut session = Session {
        floor: Arc::clone(&floor),
        contracts: wanted.contracts,
        combined: wanted.combined,
        streams: wanted.streams,
        traded: BTreeSet::new(),
        messages: VecDeque::new(),
    };
    loop {
        let said = tokio::select! {
            said = socket.hear() => match said {
                Some(Message::Text(text)) => {
                    if session.too_many() {
                        return socket.close(1008, "Too many requests").await;
                    }
                    vec![session.answer(&text)]
                }
                Some(Message::Ping(_) | Message::Pong(_)) => Vec::new(),
                Some(Message::Binary(_) | Message::Close(_) | Message::Frame(_)) | None => return,
            },
            told = news.recv() => match told {
                Ok(told) => match told.as_ref() {
                    News::Happened(Happening::Traded { pair, trade }) => session.traded(*pair, trade),
                    News::ServerShutdown => {
                        let event = json!({"e": "serverShutdown", "E": clock::now().millis()});
                        vec![session.wrapped("!serverShutdown", event)]
                    }
                    News::Cut(Venue::Binance) => return,
                    News::Cut(Venue::Kucoin | Venue::Coinbase) | News::Happened(Happening::Order(_)) => Vec::new(),
                    News::Skip(_) | News::Again => Vec::new(),
                },
                Err(_) => return socket.close(1008, "too slow").await,
            },
            _ = second.tick() => session.each_second(),
            _ = pings.tick() => {
                let stamp = clock::now().millis().to_string();
                if !socket.send(Message::Ping(Bytes::from(stamp))).await {
                    return;
                }
                Vec::new()
            }
            () = &mut life => return socket.close(1008, "disconnected after the longest life of a connection").await,
        };
        for value in said {
            if !socket.say(&value).await {
                return;
            }
        }
    }
}

impl Session {
    fn too_many(&mut self) -> bool {
        let now = clock::now().millis();
        self.messages.push_back(now);
        while self.messages.front().is_some_and(|first| *first <= now - 1_000) {
            self.messages.pop_front();
        }
        self.messages.len() > MESSAGES
    }

    fn answer(&mut self, text: &str) -> Value {
        let request: Value = serde_json::from_str(text).unwrap_or_default();
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let names: Vec<String> = request
            .get("params")
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default();
        match request.get("method").and_then(Value::as_str) {
            Some("SUBSCRIBE") if self.streams.len() + names.len() > STREAMS => {
                json!({"error": {"code": 2, "msg": "Too many streams."}, "id": id})
            }
            Some("SUBSCRIBE") => {
                self.streams.extend(names);
                json!({"result": null, "id": id})
            }
            Some("UNSUBSCRIBE") => {
                self.streams.retain(|stream| !names.contains(stream));
                json!({"result": null, "id": id})
            }
            Some("LIST_SUBSCRIPTIONS") => json!({"result": self.streams, "id": id}),
            Some(_) | None => json!({"error": {"code": 2, "msg": "Invalid request: unknown method"}, "id": id}),
        }
    }

    fn traded(&mut self, at: usize, trade: &PublicTrade) -> Vec<Value> {
        let floor = Arc::clone(&self.floor);
        let world = floor.world();
        let here = |pair: &&Pair| pair.venue == Venue::Binance && pair.symbol.is_contract() == self.contracts;
        let Some(pair) = world.pairs.get(at).filter(here) else { return Vec::new() };
        self.traded.insert(at);
        let name = pair.spelled().to_lowercase();
        let now = clock::now();
        let mut said = Vec::new();
        for (stream, event) in [
            (format!("{name}@trade"), trade_event as fn(&Pair, &PublicTrade, Timestamp) -> Value),
            (format!("{name}@aggTrade"), agg_trade_event),
            (format!("{name}@bookTicker"), book_ticker),
        ] {
            if self.streams.contains(&stream) {
                said.push(self.wrapped(&stream, event(pair, trade, now)));
            }
        }
        said
    }

    fn each_second(&mut self) -> Vec<Value> {
        let traded = std::mem::take(&mut self.traded);
        let floor = Arc::clone(&self.floor);
        let (world, now) = (floor.world(), clock::now());
        let mut said = Vec::new();
        let mut all = Vec::new();
        let names: BTreeMap<usize, String> = self.named(&world, &traded);
        for (at, name) in names {
            let Some(pair) = world.pairs.get(at) else { continue };
            all.push(mini_ticker(pair, now));
            let stream = format!("{name}@miniTicker");
            if self.streams.contains(&stream) {
                said.push(self.wrapped(&stream, mini_ticker(pair, now)));
            }
            for (interval, width) in [("1m", 60), ("5m", 300), ("1h", 3_600)] {
                let stream = format!("{name}@kline_{interval}");
                if self.streams.contains(&stream) {
                    said.extend(kline(pair, interval, width, now).map(|event| self.wrapped(&stream, event)));
                }
            }
        }
        if self.streams.contains("!miniTicker@arr") && !all.is_empty() {
            said.push(self.wrapped("!miniTicker@arr", Value::Array(all)));
        }
        said
    }

    fn named(&self, world: &World, traded: &BTreeSet<usize>) -> BTreeMap<usize, String> {
        let name = |at: &usize| Some((*at, world.pairs.get(*at)?.spelled().to_lowercase()));
        traded.iter().filter_map(name).collect()
    }

    fn wrapped(&self, stream: &str, data: Value) -> Value {
        if self.combined { json!({"stream": stream, "data": data}) } else { data }
    }
}

fn trade_event(pair: &Pair, trade: &PublicTrade, now: Timestamp) -> Value {
    json!({"e": "trade", "E": now.millis(), "s": pair.spelled(), "t": trade.id, "p": eight(trade.price),
        "q": eight(trade.quantity), "T": trade.time.millis(), "m": trade.taker == Side::Sell, "M": true})
}

fn agg_trade_event(pair: &Pair, trade: &PublicTrade, now: Timestamp) -> Value {
    json!({"e": "aggTrade", "E": now.millis(), "s": pair.spelled(), "a": trade.id, "p": eight(trade.price),
        "q": eight(trade.quantity), "f": trade.id, "l": trade.id, "T": trade.time.millis(),
        "m": trade.taker == Side::Sell, "M": true})
}

fn book_ticker(pair: &Pair, trade: &PublicTrade, now: Timestamp) -> Value {
    let ((bid, ask), quantity) = (pair.best(now), amount(pair.scene.depth / 10.0 / pair.mid(now)));
    json!({"u": trade.id, "s": pair.spelled(), "b": eight(bid), "B": quantity, "a": eight(ask), "A": quantity})
}

fn mini_ticker(pair: &Pair, now: Timestamp) -> Value {
    let day = pair.day(now);
    json!({"e": "24hrMiniTicker", "E": now.millis(), "s": pair.spelled(), "c": eight(pair.last()),
        "o": price(pair, day.open), "h": price(pair, day.high), "l": price(pair, day.low),
        "v": amount(day.volume), "q": amount(day.quote)})
}

fn kline(pair: &Pair, interval: &str, width: i64, now: Timestamp) -> Option<Value> {
    let second = now.millis().div_euclid(1_000);
    let candle = *pair.candles(width, second - 2 * width, i64::MAX).last()?;
    let last = pair.tape().next_back().map_or(0, |trade| trade.id);
    let shape = json!({
        "t": candle.start * 1_000, "T": (candle.start + width) * 1_000 - 1, "s": pair.spelled(), "i": interval,
        "f": last.saturating_sub(u64::from(candle.trades)), "L": last, "o": price(pair, candle.open),
        "c": price(pair, candle.close), "h": price(pair, candle.high), "l": price(pair, candle.low),
        "v": amount(candle.volume), "n": candle.trades, "x": second >= candle.start + width,
        "q": amount(candle.quote), "V": amount(candle.taker_volume), "Q": amount(candle.taker_quote), "B": "0",
    });
    Some(json!({"e": "kline", "E": now.millis(), "s": pair.spelled(), "k": shape}))
}
