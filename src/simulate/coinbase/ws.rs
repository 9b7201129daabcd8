//! Coinbase's sockets: subscriptions one channel at a time, numbered messages, heartbeats.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::Message;

use super::channels::{Channels, PUBLIC};
use super::jwt::{self, Purpose};
use crate::domain::Venue;
use crate::runtime::clock;
use crate::simulate::fault::{Liar, Turned, turned};
use crate::simulate::floor::{Floor, News};
use crate::simulate::socket::Socket;
use crate::simulate::spelling::rfc3339;
use crate::simulate::world::Happening;

/// How long order changes gather into one message.
const MERGE: Duration = Duration::from_millis(20);
/// How long a connection may be quiet.
const QUIET: Duration = Duration::from_secs(75);

struct Session {
    floor: Arc<Floor>,
    channels: Channels,
    sequence: u64,
    heartbeats: u64,
    last: Option<Value>,
    spoke: Instant,
}

/// Serves one connection until it ends.
pub async fn serve(floor: Arc<Floor>, mut socket: Socket) {
    let mut news = floor.listen(Venue::Coinbase);
    let opened = clock::steady();
    let mut subscribed = false;
    let mut session = Session {
        floor: Arc::clone(&floor),
        channels: Channels::default(),
        sequence: 0,
        heartbeats: 0,
        last: None,
        spoke: opened,
    };
    let mut merge = interval(MERGE);
    let mut quarter = interval(Duration::from_millis(250));
    let mut second = interval(floor.settings.heartbeat);
    for timer in [&mut merge, &mut quarter, &mut second] {
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut first = Box::pin(tokio::time::sleep(floor.settings.first_subscribe));
    loop {
        let said = tokio::select! {
            said = socket.hear() => match said {
                Some(Message::Text(text)) => {
                    let said = session.answer(&text);
                    subscribed |= session.sequence > 0;
                    said
                }
                Some(Message::Ping(_) | Message::Pong(_)) => Vec::new(),
                Some(Message::Binary(_) | Message::Close(_) | Message::Frame(_)) | None => return,
            },
            told = news.recv() => match told {
                Ok(told) => match told.as_ref() {
                    News::Happened(happening) => {
                        let gathering = session.channels.has_orders();
                        session.heard_of(happening);
                        if !gathering {
                            merge.reset();
                        }
                        Vec::new()
                    }
                    News::Cut(Venue::Coinbase) => return,
                    News::Skip(count) => {
                        session.sequence += count;
                        Vec::new()
                    }
                    News::Again => session.last.clone().into_iter().collect(),
                    News::Cut(Venue::Binance | Venue::Kucoin) | News::ServerShutdown => Vec::new(),
                },
                Err(_) => return socket.close(1008, "too slow").await,
            },
            _ = merge.tick(), if session.channels.has_orders() => session.orders(),
            _ = quarter.tick() => session.trades(),
            _ = second.tick() => {
                if session.spoke.elapsed() > QUIET {
                    return socket.close(1001, "quiet too long").await;
                }
                session.each_second()
            }
            () = &mut first, if !subscribed => return socket.close(1008, "no subscription within 5 seconds").await,
        };
        if let Some((who, _)) = &session.channels.user {
            socket.lie(|| Liar::new(&floor, Venue::Coinbase, Some(*who)));
        }
        for value in said {
            session.spoke = clock::steady();
            if !socket.push(&value).await {
                return;
            }
        }
    }
}

impl Session {
    fn answer(&mut self, text: &str) -> Vec<Value> {
        let request: Value = serde_json::from_str(text).unwrap_or_default();
        let word = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let products: BTreeSet<String> = request
            .get("product_ids")
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default();
        match word("type") {
            "subscribe" => self.subscribe(word("channel"), products, word("jwt")),
            "unsubscribe" => {
                self.channels.remove(word("channel"), &products);
                let listed = json!([{"subscriptions": self.channels.listed()}]);
                vec![self.numbered("subscriptions", listed)]
            }
            _ => vec![json!({"type": "error", "message": "unknown message type"})],
        }
    }

    fn subscribe(&mut self, channel: &str, products: BTreeSet<String>, token: &str) -> Vec<Value> {
        let (floor, now) = (Arc::clone(&self.floor), clock::now());
        let world = floor.world();
        // A token is looked at wherever one is shown, and only `user` cannot do without.
        let who = if token.is_empty() { None } else { jwt::check(&world, token, Purpose::Socket, now).ok() };
        if who.is_none() && (channel == "user" || !token.is_empty()) {
            return vec![json!({"type": "error", "message": "authentication failure"})];
        }
        if let Some(unknown) = products.iter().find(|id| world.by_spelling(Venue::Coinbase, id).is_none()) {
            return vec![json!({"type": "error", "message": format!("{unknown} is not a valid product")})];
        }
        if channel == "user" && matches!(turned(&floor, Venue::Coinbase), Some(Turned::Refused(..))) {
            return vec![json!({"type": "error", "message": "rate limit exceeded"})];
        }
        match (channel, who) {
            ("user", Some(who)) => self.channels.user = Some((who, products)),
            ("heartbeats", _) => self.channels.heartbeats = true,
            (public, _) => {
                let products = match products.is_empty() && PUBLIC.contains(&public) {
                    true => world.pairs_of(Venue::Coinbase).map(|(_, pair)| pair.spelled()).collect(),
                    false => products,
                };
                if let Err(why) = self.channels.add(public, products) {
                    return vec![json!({"type": "error", "message": why})];
                }
            }
        }
        let events = self.channels.snapshot(channel, &world, now);
        drop(world);
        // Recorded sessions show the first data before the acknowledgement.
        let mut said: Vec<Value> = events.into_iter().map(|event| self.numbered(channel, json!([event]))).collect();
        let listed = json!([{"subscriptions": self.channels.listed()}]);
        said.push(self.numbered("subscriptions", listed));
        said
    }

    fn heard_of(&mut self, happening: &Happening) {
        let floor = Arc::clone(&self.floor);
        let world = floor.world();
        match happening {
            Happening::Traded { pair, trade } => self.channels.note_trade(&world, *pair, trade),
            Happening::Order(news) => self.channels.note_order(&world, &news.order),
        }
    }

    fn orders(&mut self) -> Vec<Value> {
        let due = self.channels.orders_due(&Arc::clone(&self.floor).world());
        due.map(|event| self.numbered("user", json!([event]))).into_iter().collect()
    }

    fn trades(&mut self) -> Vec<Value> {
        let due = self.channels.trades_due(&Arc::clone(&self.floor).world());
        due.into_iter().map(|event| self.numbered("market_trades", json!([event]))).collect()
    }

    fn each_second(&mut self) -> Vec<Value> {
        let now = clock::now();
        let due = self.channels.prices_due(&Arc::clone(&self.floor).world(), now);
        let mut said: Vec<Value> =
            due.into_iter().map(|(channel, event)| self.numbered(channel, json!([event]))).collect();
        let who = self.channels.user.as_ref().map(|(who, _)| *who);
        if self.channels.heartbeats && !self.floor.faults().of(Venue::Coinbase, who).no_sign_of_life {
            self.heartbeats += 1;
            let beat = json!([{"current_time": rfc3339(now), "heartbeat_counter": self.heartbeats}]);
            said.push(self.numbered("heartbeats", beat));
        }
        said
    }

    /// Wraps events; the number runs over all channels of the connection.
    fn numbered(&mut self, channel: &str, events: Value) -> Value {
        let message = json!({"channel": channel, "client_id": "", "timestamp": rfc3339(clock::now()),
            "sequence_num": self.sequence, "events": events});
        self.sequence += 1;
        self.last = Some(message.clone());
        message
    }
}
