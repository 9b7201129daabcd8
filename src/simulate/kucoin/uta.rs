//! KuCoin's push for unified accounts: a greeting, a sign-in by token or frame, channels.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::time::{Duration, interval, sleep};
use tokio_tungstenite::tungstenite::Message;

use super::fault::Fault;
use super::sign::{Shown, check};
use super::{rhythm, wire};
use crate::domain::Venue;
use crate::runtime::clock;
use crate::simulate::broken::How;
use crate::simulate::fault::Liar;
use crate::simulate::floor::{Floor, News};
use crate::simulate::socket::Socket;
use crate::simulate::world::{Happening, OrderNews, Step};

/// Channels with what comes after the dot.
const CHANNELS: [&str; 5] = ["execution", "execution.lite", "orderAll", "order", "balance"];

struct Session {
    floor: Arc<Floor>,
    who: Option<usize>,
    channels: BTreeSet<(String, String)>,
}

/// Serves one connection until it ends.
pub async fn serve(floor: Arc<Floor>, mut socket: Socket, token: Option<String>) {
    let mut news = floor.listen(Venue::Kucoin);
    let who = token.as_deref().and_then(|token| super::bearer(&floor, token)).flatten();
    if token.is_some() && who.is_none() {
        socket.say(&json!({"result": false, "reason": "token is expired"})).await;
        return socket.close(1008, "token is expired").await;
    }
    let session_id = blake3::hash(clock::now().nanos().to_string().as_bytes()).to_hex();
    let session_id = session_id.as_str().get(..32).unwrap_or_default().to_owned();
    socket.say(&json!({"sessionId": session_id, "message": "welcome", "pingInterval": rhythm(&floor).0})).await;
    socket.lie(|| Liar::new(&floor, Venue::Kucoin, who));
    let mut session = Session { floor: Arc::clone(&floor), who, channels: BTreeSet::new() };
    let mut look = interval(Duration::from_secs(2));
    let mut heard = clock::steady();
    let life = sleep(floor.settings.connection_life);
    tokio::pin!(life);
    loop {
        let said = tokio::select! {
            said = socket.hear() => match said {
                Some(Message::Text(text)) => vec![session.answer(&text, &mut heard)],
                Some(Message::Ping(_) | Message::Pong(_)) => Vec::new(),
                Some(Message::Binary(_) | Message::Close(_) | Message::Frame(_)) | None => return,
            },
            told = news.recv() => match told {
                Ok(told) => match told.as_ref() {
                    News::Happened(Happening::Order(order)) => session.heard_of(order),
                    News::Cut(Venue::Kucoin) => return,
                    News::Cut(Venue::Binance | Venue::Coinbase) | News::Happened(Happening::Traded { .. }) => Vec::new(),
                    News::ServerShutdown | News::Skip(_) | News::Again => Vec::new(),
                },
                Err(_) => return socket.close(1008, "too slow").await,
            },
            _ = look.tick() => {
                if heard.elapsed() > floor.settings.silence {
                    return socket.close(1000, "no ping").await;
                }
                Vec::new()
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
    fn answer(&mut self, text: &str, heard: &mut Instant) -> Value {
        let request: Value = serde_json::from_str(text).unwrap_or_default();
        let id = request.get("id").cloned().unwrap_or_default();
        let word = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let refused = |reason: &str| json!({"id": id, "result": false, "reason": reason});
        match (word("op"), word("action")) {
            ("ping", _) => {
                *heard = clock::steady();
                json!({"id": id, "op": "pong", "timestamp": clock::now().millis().to_string()})
            }
            ("auth", _) => {
                let shown = Shown {
                    key: word("kc-api-key"),
                    sign: word("kc-api-sign"),
                    timestamp: word("kc-api-timestamp"),
                    passphrase: word("kc-api-passphrase"),
                    version: "3",
                };
                let said = ["POST/api/websocket/users/verify".to_owned()];
                let world = self.floor.world();
                match check(&world, &shown, &said, clock::now()) {
                    Ok(who) if world.accounts.get(who).is_some_and(|owner| owner.broken == Some(How::Unified)) => {
                        refused(&Fault::permission().msg)
                    }
                    Ok(who) => {
                        self.who = Some(who);
                        json!({"id": id, "result": true})
                    }
                    Err(fault) => refused(&fault.msg),
                }
            }
            (_, action @ ("SUBSCRIBE" | "UNSUBSCRIBE" | "subscribe" | "unsubscribe")) => {
                if self.who.is_none() {
                    return refused("authentication required");
                }
                let channel = word("channel").to_owned();
                if !CHANNELS.contains(&channel.as_str()) {
                    return refused("channel not supported");
                }
                let kind = if channel == "balance" { word("accountType") } else { word("tradeType") };
                let key = (channel, if kind.is_empty() { "UNIFIED".to_owned() } else { kind.to_owned() });
                if action.eq_ignore_ascii_case("subscribe") {
                    self.channels.insert(key);
                } else {
                    self.channels.remove(&key);
                }
                json!({"id": id, "result": true})
            }
            (_, _) => refused("unknown request"),
        }
    }

    fn heard_of(&self, news: &OrderNews) -> Vec<Value> {
        if Some(news.order.account) != self.who {
            return Vec::new();
        }
        let world = self.floor.world();
        let Some((pair, owner)) = world.pairs.get(news.order.pair).zip(world.accounts.get(news.order.account)) else {
            return Vec::new();
        };
        if !owner.unified {
            return Vec::new();
        }
        let mut said = Vec::new();
        for (channel, kind) in &self.channels {
            let mut push = |data: Value| {
                let at = clock::now().nanos();
                said.push(json!({"T": format!("{channel}.{kind}"), "P": at, "d": data}));
            };
            match (channel.as_str(), &news.step) {
                ("execution", Step::Filled(fill)) => push(wire::execution(pair, &news.order, fill)),
                ("execution.lite", Step::Filled(fill)) => push(wire::execution_lite(pair, &news.order, fill)),
                ("orderAll" | "order", _) => {
                    if let Some(data) = wire::order_all(pair, news) {
                        push(data);
                    }
                }
                ("balance", _) => {
                    for row in &news.changed {
                        let total = wire::plain(row.now.free + row.now.locked);
                        push(json!({"c": row.asset, "b": total, "a": wire::plain(row.now.free),
                            "h": wire::plain(row.now.locked), "e": total, "l": "0", "cS": "1", "U": news.time.nanos()}));
                    }
                }
                (_, _) => {}
            }
        }
        said
    }
}
