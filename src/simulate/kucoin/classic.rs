//! KuCoin's classic socket: a token in the address, a welcome, topics, and pings that the client must send.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{interval, sleep};
use tokio_tungstenite::tungstenite::Message;

use super::topics::Topics;
use crate::domain::Venue;
use crate::runtime::clock;
use crate::simulate::fault::{Liar, Turned, turned};
use crate::simulate::floor::{Floor, News};
use crate::simulate::socket::Socket;
use crate::simulate::world::Happening;

struct Session {
    floor: Arc<Floor>,
    who: Option<usize>,
    topics: Topics,
    traded: BTreeSet<usize>,
}

/// Serves one connection until it ends.
pub async fn serve(floor: Arc<Floor>, mut socket: Socket, token: Option<String>, connect_id: String) {
    let Some(who) = token.and_then(|token| super::bearer(&floor, &token)) else {
        socket.say(&json!({"id": connect_id, "type": "error", "code": 401, "data": "token is expired"})).await;
        return socket.close(1008, "token is expired").await;
    };
    let mut news = floor.listen(Venue::Kucoin);
    socket.say(&json!({"id": connect_id, "type": "welcome"})).await;
    if who.is_some() {
        socket.lie(|| Liar::new(&floor, Venue::Kucoin, who));
    }
    let mut session = Session { floor: Arc::clone(&floor), who, topics: Topics::default(), traded: BTreeSet::new() };
    let mut two_seconds = interval(Duration::from_secs(2));
    let mut heard = clock::steady();
    let life = sleep(floor.settings.connection_life);
    tokio::pin!(life);
    loop {
        let said = tokio::select! {
            said = socket.hear() => match said {
                Some(Message::Text(text)) => session.answer(&text, &mut heard),
                Some(Message::Ping(_) | Message::Pong(_)) => Vec::new(),
                Some(Message::Binary(_) | Message::Close(_) | Message::Frame(_)) | None => return,
            },
            told = news.recv() => match told {
                Ok(told) => match told.as_ref() {
                    News::Happened(happening) => session.heard_of(happening),
                    News::Cut(Venue::Kucoin) => return,
                    News::Cut(Venue::Binance | Venue::Coinbase) => Vec::new(),
                    News::ServerShutdown | News::Skip(_) | News::Again => Vec::new(),
                },
                Err(_) => return socket.close(1008, "too slow").await,
            },
            _ = two_seconds.tick() => {
                if heard.elapsed() > floor.settings.silence {
                    return socket.close(1000, "no ping").await;
                }
                session.snapshots()
            }
            () = &mut life => return socket.close(1000, "the connection is 24 hours old").await,
        };
        for value in said {
            if !socket.push(&value).await {
                return;
            }
        }
    }
}

impl Session {
    fn answer(&mut self, text: &str, heard: &mut Instant) -> Vec<Value> {
        let request: Value = serde_json::from_str(text).unwrap_or_default();
        let id = request.get("id").cloned().unwrap_or_default();
        let topic = request.get("topic").and_then(Value::as_str).unwrap_or_default();
        let answered = request.get("response").and_then(Value::as_bool).unwrap_or(false);
        let ack = || if answered { vec![json!({"id": id, "type": "ack"})] } else { Vec::new() };
        match request.get("type").and_then(Value::as_str) {
            Some("ping") => {
                *heard = clock::steady();
                vec![json!({"id": id, "type": "pong", "timestamp": clock::now().millis() * 1_000})]
            }
            Some("subscribe")
                if self.who.is_some() && matches!(turned(&self.floor, Venue::Kucoin), Some(Turned::Refused(..))) =>
            {
                vec![json!({"id": id, "type": "error", "code": 429, "data": "too many requests"})]
            }
            Some("subscribe") => match self.topics.add(topic, self.who.is_some()) {
                Ok(()) => ack(),
                Err((code, why)) => vec![json!({"id": id, "type": "error", "code": code, "data": why})],
            },
            Some("unsubscribe") => {
                self.topics.remove(topic);
                ack()
            }
            Some(_) | None => vec![json!({"id": id, "type": "error", "code": 415, "data": "type is not supported"})],
        }
    }

    fn heard_of(&mut self, happening: &Happening) -> Vec<Value> {
        let world = self.floor.world();
        match happening {
            Happening::Traded { pair, trade } => match world.pairs.get(*pair) {
                Some(book) if book.venue == Venue::Kucoin => {
                    self.traded.insert(*pair);
                    self.topics.trade(book, trade, clock::now())
                }
                Some(_) | None => Vec::new(),
            },
            // A unified account's orders do not come on the classic feed.
            Happening::Order(news) if Some(news.order.account) == self.who => {
                let unified = world.accounts.get(news.order.account).is_some_and(|owner| owner.unified);
                if unified { Vec::new() } else { self.topics.order(&world, news) }
            }
            Happening::Order(_) => Vec::new(),
        }
    }

    fn snapshots(&mut self) -> Vec<Value> {
        let (traded, now) = (std::mem::take(&mut self.traded), clock::now());
        let world = self.floor.world();
        let pairs = traded.iter().filter_map(|at| world.pairs.get(*at));
        pairs.flat_map(|pair| self.topics.snapshot(pair, now)).collect()
    }
}
