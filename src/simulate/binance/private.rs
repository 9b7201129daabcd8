//! The private stream of a futures wallet, named by its listen key.

use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::futures::positions_of;
use super::wire::eight;
use crate::domain::{Venue, Wallet};
use crate::runtime::clock;
use crate::simulate::fault::Liar;
use crate::simulate::floor::{Floor, News, locked};
use crate::simulate::socket::{self, Socket};
use crate::simulate::spelling::capitals;
use crate::simulate::world::{Fill, Happening, OrderNews, Status, Step, World};

/// How often a listen key is looked at for being over.
const LOOK: Duration = Duration::from_millis(20);

/// Reads the listen key of `/private/ws?listenKey=<key>`, `/private/ws/<key>` and `/private/stream?listenKey=<key>`; true
/// with it when events are wrapped as those of a combined stream.
pub fn wanted(path: &str, query: &str) -> Option<(String, bool)> {
    let path = path.strip_prefix("/private")?;
    let named = || socket::pairs(query).find(|(name, _)| matches!(name.as_str(), "listenKey" | "streams"));
    match path {
        "/ws" => named().map(|(_, key)| (key, false)),
        "/stream" => named().map(|(_, key)| (key, true)),
        _ => path.strip_prefix("/ws/").filter(|key| !key.is_empty()).map(|key| (key.to_owned(), false)),
    }
}

/// Serves one connection until it ends. A key nobody has is not refused: nothing is ever said.
pub async fn serve(floor: Arc<Floor>, mut socket: Socket, (key, wrapped): (String, bool)) {
    let mut news = floor.listen(Venue::Binance);
    let (mut pings, mut look) = (interval(floor.settings.ping_every), interval(LOOK));
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.tick().await;
    let life = sleep(floor.settings.connection_life);
    tokio::pin!(life);
    let who = locked(&floor.listen_keys).get(&key).map(|(who, _)| *who);
    socket.lie(|| Liar::new(&floor, Venue::Binance, who));
    let mut heard = clock::steady();
    let mut wallet = who.and_then(|who| floor.world().wallet(who, &Wallet::Futures));
    loop {
        let said = tokio::select! {
            said = socket.hear() => match said {
                Some(Message::Text(text)) => vec![answered(&text)],
                Some(Message::Pong(_)) => {
                    heard = clock::steady();
                    Vec::new()
                }
                Some(Message::Ping(_)) => Vec::new(),
                Some(Message::Binary(_) | Message::Close(_) | Message::Frame(_)) | None => return,
            },
            told = news.recv() => match told {
                Ok(told) => match told.as_ref() {
                    News::Happened(Happening::Order(order)) if Some(order.order.account) == wallet => {
                        let events = events(&floor.world(), order);
                        let wrap = |event| if wrapped { json!({"stream": key, "data": event}) } else { event };
                        events.into_iter().map(wrap).collect()
                    }
                    News::Cut(Venue::Binance) => return,
                    News::Cut(Venue::Kucoin | Venue::Coinbase) | News::Happened(_) => Vec::new(),
                    News::ServerShutdown | News::Skip(_) | News::Again => Vec::new(),
                },
                Err(_) => return socket.close(1008, "too slow").await,
            },
            _ = look.tick(), if wallet.is_some() => {
                let now = clock::now();
                match locked(&floor.listen_keys).get(&key).is_some_and(|(_, until)| *until > now) {
                    true => Vec::new(),
                    false => {
                        // After this the connection stays, and says nothing.
                        wallet = None;
                        vec![json!({"e": "listenKeyExpired", "E": now.millis(), "listenKey": key})]
                    }
                }
            }
            _ = pings.tick() => {
                if floor.faults().of(Venue::Binance, who).no_sign_of_life {
                    continue;
                }
                if heard.elapsed() > floor.settings.silence.max(floor.settings.ping_every * 2) {
                    return socket.close(1008, "Pong timeout").await;
                }
                let stamp = clock::now().millis().to_string();
                if !socket.send(Message::Ping(Bytes::from(stamp))).await {
                    return;
                }
                Vec::new()
            }
            () = &mut life => return socket.close(1008, "disconnected after the longest life of a connection").await,
        };
        for value in said {
            if !socket.push(&value).await {
                return;
            }
        }
    }
}

fn answered(text: &str) -> Value {
    let request: Value = serde_json::from_str(text).unwrap_or_default();
    json!({"result": null, "id": request.get("id").cloned().unwrap_or(Value::Null)})
}

/// Returns the events of a change: of a fill the early copy without its fee first, then the order, then the account.
fn events(world: &World, news: &OrderNews) -> Vec<Value> {
    match &news.step {
        Step::Received => vec![update(world, news, "NEW", None)],
        Step::Cancelled => vec![update(world, news, "CANCELED", None)],
        Step::Filled(fill) => {
            vec![lite(world, news, fill), account(world, news), update(world, news, "TRADE", Some(fill))]
        }
        Step::Opened | Step::Done => Vec::new(),
    }
}

fn spelled(world: &World, at: usize) -> String {
    world.pairs.get(at).map(crate::simulate::world::Pair::spelled).unwrap_or_default()
}

fn update(world: &World, news: &OrderNews, step: &str, fill: Option<&Fill>) -> Value {
    let (order, time, zero) = (&news.order, news.time.millis(), eight(Decimal::ZERO));
    let status = match (step, order.status) {
        ("NEW", _) | (_, Status::New) => "NEW",
        (_, Status::Partly) => "PARTIALLY_FILLED",
        (_, Status::Filled) => "FILLED",
        (_, Status::Cancelled) => "CANCELED",
    };
    let amount = |of: fn(&Fill) -> Decimal| fill.map_or_else(|| zero.clone(), |fill| eight(of(fill)));
    let mut report = json!({
        "s": spelled(world, order.pair), "c": order.client_id, "S": capitals(order.side), "o": "MARKET", "f": "GTC",
        "q": eight(order.quantity), "p": zero, "ap": eight(order.average()), "sp": zero, "x": step, "X": status,
        "i": order.id, "l": amount(|fill| fill.quantity), "z": eight(order.filled), "L": amount(|fill| fill.price),
        "T": time, "t": fill.map_or(0, |fill| fill.trade_id), "b": "0", "a": "0", "m": false, "R": false,
        "wt": "CONTRACT_PRICE", "ot": "MARKET", "ps": "BOTH", "cp": false, "rp": "0", "pP": false, "si": 0, "ss": 0,
        "V": "EXPIRE_MAKER", "pm": "NONE", "gtd": 0,
    });
    if let (Some(fill), Some(report)) = (fill, report.as_object_mut()) {
        report.insert("n".to_owned(), json!(eight(fill.fee)));
        report.insert("N".to_owned(), json!(fill.fee_asset));
    }
    json!({"e": "ORDER_TRADE_UPDATE", "E": time, "T": time, "o": report})
}

fn lite(world: &World, news: &OrderNews, fill: &Fill) -> Value {
    let (order, time) = (&news.order, news.time.millis());
    json!({"e": "TRADE_LITE", "E": time, "T": time, "s": spelled(world, order.pair), "q": eight(order.quantity),
        "p": eight(Decimal::ZERO), "m": fill.maker, "c": order.client_id, "S": capitals(order.side),
        "L": eight(fill.price), "l": eight(fill.quantity), "t": fill.trade_id, "i": order.id})
}

fn account(world: &World, news: &OrderNews) -> Value {
    let (time, zero) = (news.time.millis(), eight(Decimal::ZERO));
    let balances: Vec<Value> = news
        .changed
        .iter()
        .map(|row| json!({"a": row.asset, "wb": eight(row.now.free), "cw": eight(row.now.free), "bc": zero}))
        .collect();
    let traded = spelled(world, news.order.pair);
    let owner = world.accounts.get(news.order.account);
    let positions: Vec<Value> = owner
        .map(|owner| positions_of(world, owner, news.time))
        .unwrap_or_default()
        .into_iter()
        .filter(|row| row["symbol"] == traded)
        .map(|row| {
            json!({"s": row["symbol"], "pa": row["positionAmt"], "ep": row["entryPrice"], "bep": row["entryPrice"],
                "cr": zero, "up": zero, "mt": "cross", "iw": zero, "ps": "BOTH"})
        })
        .collect();
    json!({"e": "ACCOUNT_UPDATE", "E": time, "T": time, "a": {"m": "ORDER", "B": balances, "P": positions}})
}
