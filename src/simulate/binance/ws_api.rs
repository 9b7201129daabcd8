//! Binance's WebSocket API: requests with ids, and the account feed of every subscription.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::routes::{self, Security};
use super::{Fault, Params, account, margin, rest, sign, wire};
use crate::domain::{Timestamp, Venue};
use crate::runtime::clock;
use crate::simulate::fault::{Liar, Turned, turned};
use crate::simulate::floor::{Floor, News, locked};
use crate::simulate::socket::Socket;
use crate::simulate::world::Happening;

/// Subscriptions that a connection may have at once.
const SUBSCRIPTIONS: usize = 1_000;

struct Session {
    floor: Arc<Floor>,
    /// Tells used weight in every reply.
    limits: bool,
    /// Who logged on, with an Ed25519 key.
    logged_on: Option<(usize, Timestamp)>,
    /// Accounts by subscription, and whether the subscription came from the log-on.
    subscriptions: BTreeMap<u64, (usize, bool)>,
    /// Subscriptions by account, so that an event does not look at all thousand.
    subscribed: BTreeMap<usize, u64>,
    next_subscription: u64,
    /// When a subscription ends that was made with a token.
    ends: BTreeMap<u64, Timestamp>,
}

/// Serves one connection until it ends.
pub async fn serve(floor: Arc<Floor>, mut socket: Socket, limits: bool) {
    let mut news = floor.listen(Venue::Binance);
    let mut pings = interval(floor.settings.ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.tick().await;
    let mut look = interval(Duration::from_millis(20));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let life = sleep(floor.settings.connection_life);
    tokio::pin!(life);
    let mut heard = clock::steady();
    let _ = floor.spend(2);
    socket.lie(|| Liar::new(&floor, Venue::Binance, None));
    let mut session = Session {
        floor: Arc::clone(&floor),
        limits,
        logged_on: None,
        subscriptions: BTreeMap::new(),
        subscribed: BTreeMap::new(),
        next_subscription: 0,
        ends: BTreeMap::new(),
    };
    loop {
        let alive = tokio::select! {
            said = socket.hear() => match said {
                Some(Message::Text(text)) => {
                    let reply = session.answer(&text);
                    socket.say(&reply).await
                }
                Some(Message::Pong(_)) => { heard = clock::steady(); true }
                Some(Message::Ping(_)) => true,
                Some(Message::Binary(_)) => { socket.close(1003, "text only").await; false }
                Some(Message::Close(_) | Message::Frame(_)) | None => false,
            },
            told = news.recv() => match told {
                Ok(told) => match told.as_ref() {
                    News::Happened(Happening::Order(order)) => {
                        let events = session.events(order);
                        tell(&mut socket, events).await
                    }
                    News::ServerShutdown => {
                        let event = json!({"event": {"e": "serverShutdown", "E": clock::now().millis()}});
                        socket.say(&event).await
                    }
                    News::Cut(Venue::Binance) => false,
                    News::Cut(Venue::Kucoin | Venue::Coinbase) | News::Happened(Happening::Traded { .. }) => true,
                    News::Skip(_) | News::Again => true,
                },
                Err(_) => { socket.close(1008, "too slow").await; false }
            },
            _ = look.tick(), if !session.ends.is_empty() => {
                let ended = session.ended();
                tell(&mut socket, ended).await
            }
            _ = pings.tick() => {
                if floor.faults().of(Venue::Binance, None).no_sign_of_life {
                    true
                } else if heard.elapsed() > floor.settings.silence.max(floor.settings.ping_every * 2) {
                    socket.close(1008, "Pong timeout").await;
                    false
                } else {
                    let stamp = clock::now().millis().to_string();
                    socket.send(Message::Ping(Bytes::from(stamp))).await
                }
            },
            () = &mut life => { socket.close(1008, "disconnected after the longest life of a connection").await; false }
        };
        if !alive {
            return;
        }
    }
}

async fn tell(socket: &mut Socket, events: Vec<Value>) -> bool {
    for event in events {
        if !socket.push(&event).await {
            return false;
        }
    }
    true
}

impl Session {
    fn events(&self, news: &crate::simulate::world::OrderNews) -> Vec<Value> {
        let Some(id) = self.subscribed.get(&news.order.account) else { return Vec::new() };
        let events = wire::events(&self.floor.world(), news);
        events.iter().map(|event| json!({"subscriptionId": id, "event": event})).collect()
    }

    /// Ends the subscriptions whose token is over, unless it was told to be over earlier than it said.
    fn ended(&mut self) -> Vec<Value> {
        let now = clock::now();
        let tokens = locked(&self.floor.listen_tokens);
        let cut: Vec<usize> = tokens.values().filter(|(_, until)| *until <= now).map(|(at, _)| *at).collect();
        let live: Vec<usize> = tokens.values().filter(|(_, until)| *until > now).map(|(at, _)| *at).collect();
        drop(tokens);
        let over = |(id, until): (&u64, &Timestamp)| {
            let of = self.subscriptions.get(id).map(|(account, _)| *account)?;
            (*until <= now || (cut.contains(&of) && !live.contains(&of))).then_some(*id)
        };
        let over: Vec<u64> = self.ends.iter().filter_map(over).collect();
        for id in &over {
            self.ends.remove(id);
            self.unsubscribe(*id);
        }
        let event = |id: u64| json!({"subscriptionId": id, "event": {"e": "eventStreamTerminated", "E": now.millis()}});
        over.into_iter().map(event).collect()
    }

    fn answer(&mut self, text: &str) -> Value {
        let Ok(request) = serde_json::from_str::<Map<String, Value>>(text) else {
            return self.reply(&Value::Null, Err(Fault::new(400, -1135, "Invalid JSON Request")));
        };
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        if !matches!(id, Value::Null | Value::String(_) | Value::Number(_)) {
            return self.reply(
                &Value::Null,
                Err(Fault::new(400, -1135, "Invalid 'id' in JSON request; expected a string or integer.")),
            );
        }
        if let Some(refusal) = self.revoked() {
            return refusal;
        }
        let params = request.get("params").and_then(Value::as_object).map(sign::rendered).unwrap_or_default();
        let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
        let result = self.call(method, &params);
        self.reply(&id, result)
    }

    /// A session whose key was deleted learns it with its next request, and not by that request's id.
    fn revoked(&mut self) -> Option<Value> {
        let (who, _) = self.logged_on?;
        if !self.floor.world().accounts.get(who).is_some_and(|owner| owner.revoked) {
            return None;
        }
        self.log_out();
        Some(self.reply(&Value::Null, Err(Fault::bad_key())))
    }

    fn call(&mut self, method: &str, params: &Params) -> Result<Value, Fault> {
        let now = clock::now();
        match turned(&self.floor, Venue::Binance) {
            Some(Turned::Refused(secs, banned)) => {
                return Err(Fault::too_much(self.floor.settings.weight_per_minute, secs, banned));
            }
            Some(Turned::Failed | Turned::Hung(_)) => {
                return Err(Fault::new(500, -1007, "Timeout waiting for response from backend server."));
            }
            None => {}
        }
        match method {
            "userDataStream.subscribe.signature" => {
                rest::granted(&self.floor, 2)?;
                let who = sign::socket(&self.floor, params, now)?;
                self.subscribe(who, false)
            }
            "userDataStream.subscribe.listenToken" => {
                rest::granted(&self.floor, 2)?;
                let token = params.get("listenToken").ok_or_else(|| Fault::missing("listenToken"))?;
                let (wallet, until) = margin::of_token(&self.floor, token)?;
                // A wallet that is subscribed already is so for longer.
                let known = self.subscribed.get(&wallet).copied();
                let id = match known {
                    Some(id) => id,
                    None => self.next_subscription,
                };
                if known.is_none() {
                    self.subscribe(wallet, false)?;
                }
                self.ends.insert(id, until);
                Ok(json!({"subscriptionId": id, "expirationTime": until.millis()}))
            }
            "userDataStream.subscribe" => {
                rest::granted(&self.floor, 2)?;
                let (who, _) = self
                    .logged_on
                    .ok_or_else(|| Fault::new(401, -2015, "Invalid API-key, IP, or permissions for action."))?;
                self.subscribe(who, true)
            }
            "userDataStream.unsubscribe" => {
                rest::granted(&self.floor, 2)?;
                match account::number(params, "subscriptionId")? {
                    None => {
                        self.subscriptions.clear();
                        self.subscribed.clear();
                    }
                    Some(id) => {
                        let gone = u64::try_from(id).ok().and_then(|id| self.unsubscribe(id));
                        gone.ok_or_else(|| Fault::new(400, -2036, "Subscription not active."))?;
                    }
                }
                Ok(json!({}))
            }
            "session.subscriptions" => Ok(self.subscriptions.keys().map(|id| json!({"subscriptionId": id})).collect()),
            "session.logon" => {
                rest::granted(&self.floor, 2)?;
                let who = sign::socket(&self.floor, params, now)?;
                if !self.floor.world().accounts.get(who).is_some_and(|owner| owner.key.is_ed25519()) {
                    return Err(Fault::new(400, -4056, "HMAC_SHA256 API key is not supported."));
                }
                self.logged_on = Some((who, now));
                Ok(self.status())
            }
            "session.status" => {
                rest::granted(&self.floor, 2)?;
                Ok(self.status())
            }
            "session.logout" => {
                rest::granted(&self.floor, 2)?;
                self.log_out();
                Ok(self.status())
            }
            other => self.ask(other, params, now),
        }
    }

    fn ask(&self, method: &str, params: &Params, now: Timestamp) -> Result<Value, Fault> {
        let Some(route) = routes::find(method).filter(|_| !method.contains(' ')) else {
            return Err(Fault::new(400, -1000, "Unknown method."));
        };
        rest::granted(&self.floor, (route.weight)(params))?;
        let who = match (route.security, self.logged_on) {
            (Security::Public, _) => None,
            // Requests of a logged-on session need neither key nor signature, only a time.
            (Security::Signed, Some((who, _))) if !params.contains_key("apiKey") => {
                sign::check_time(params, now)?;
                Some(who)
            }
            (Security::Keyed, _) => return Err(Fault::new(400, -1000, "Unknown method.")),
            (Security::Signed, _) => Some(sign::socket(&self.floor, params, now)?),
        };
        (route.answer)(&self.floor, who, params)
    }

    fn subscribe(&mut self, who: usize, by_log_on: bool) -> Result<Value, Fault> {
        if self.subscribed.contains_key(&who) {
            return Err(Fault::new(400, -2035, "Subscription already active."));
        }
        if self.subscriptions.len() >= SUBSCRIPTIONS || self.next_subscription > 65_534 {
            return Err(Fault::new(400, -2042, "Unable to subscribe: no more subscriptions on this connection."));
        }
        let id = self.next_subscription;
        self.next_subscription += 1;
        self.subscriptions.insert(id, (who, by_log_on));
        self.subscribed.insert(who, id);
        Ok(json!({"subscriptionId": id}))
    }

    fn unsubscribe(&mut self, id: u64) -> Option<usize> {
        let (who, _) = self.subscriptions.remove(&id)?;
        self.subscribed.remove(&who).map(|_| who)
    }

    fn log_out(&mut self) {
        self.logged_on = None;
        let by_log_on = self.subscriptions.iter().find(|(_, (_, by_log_on))| *by_log_on).map(|(id, _)| *id);
        by_log_on.and_then(|id| self.unsubscribe(id));
    }

    fn status(&self) -> Value {
        let world = self.floor.world();
        let owner = self.logged_on.and_then(|(who, _)| world.accounts.get(who));
        json!({
            "apiKey": owner.map(|owner| owner.key.id.as_str()),
            "authorizedSince": self.logged_on.map(|(_, since)| since.millis()),
            "connectedSince": clock::now().millis(), "returnRateLimits": self.limits,
            "serverTime": clock::now().millis(), "userDataStream": self.subscriptions.values().any(|row| row.1),
        })
    }

    fn reply(&self, id: &Value, result: Result<Value, Fault>) -> Value {
        let (status, name, body) = match result {
            Ok(value) => (200, "result", value),
            Err(fault) => {
                let mut error = fault.value();
                if let (Some(secs), Some(error)) = (fault.retry_after, error.as_object_mut()) {
                    let until = clock::now().millis() + i64::try_from(secs).unwrap_or(60) * 1_000;
                    error.insert("data".to_owned(), json!({"serverTime": clock::now().millis(), "retryAfter": until}));
                }
                (fault.status, "error", error)
            }
        };
        let mut reply = json!({"id": id, "status": status, name: body});
        if let (true, Some(reply)) = (self.limits, reply.as_object_mut()) {
            let count = locked(&self.floor.weight).used;
            let limit = self.floor.settings.weight_per_minute;
            let row = json!({"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limit, "count": count});
            reply.insert("rateLimits".to_owned(), json!([row]));
        }
        reply
    }
}
