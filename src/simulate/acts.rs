//! Requests that take something away: keys of sub-accounts, open orders, money; and what goes wrong with them on purpose.

use std::collections::VecDeque;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::floor::{Floor, locked};
use super::handle::{Handle, find, unknown};
use super::socket::{self, Asked};
use super::world::{SubKey, Tag, World};
use super::{Error, SimAccount};
use crate::domain::{AccountId, Side, Symbol, Venue};
use crate::runtime::clock;

/// What goes wrong with one request that takes something away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActFault {
    /// Too many requests; again after so many seconds. Nothing is done.
    Refuse(u64),
    /// 503, and nothing is done.
    Fail,
    /// 503, although it was done.
    FailAfter,
    /// It is done, and the answer comes so many milliseconds too late.
    HangAfter(u64),
    /// The asking address is not on the key's list.
    Address,
    /// The asking key lacks the right.
    Right,
    /// Somebody else did it a moment before.
    Gone,
    /// It is answered as if it were done, and is not.
    Lie,
    /// Of several orders only some are cancelled.
    Partial,
    /// Nothing goes wrong.
    None,
}

/// The faults to come, and what was done.
#[derive(Debug, Default)]
pub struct Acts {
    faults: VecDeque<ActFault>,
    /// Verb, path and subject of each request that was carried out.
    done: Vec<String>,
    /// Binance's requests about keys of sub-accounts, which weigh 3,000 of an account's 180,000 a minute.
    key_calls: u64,
    /// How many lists of sub-accounts' keys are answered with 503 from now on.
    unlisted: u64,
    /// True while a request is carried out in part.
    pub partial: bool,
    /// Tokens of applications that were withdrawn, and those that are taken.
    pub tokens: std::collections::BTreeMap<String, usize>,
    /// Seconds of KuCoin's dead-man switch, by account.
    pub switches: std::collections::BTreeMap<usize, i64>,
}

/// Says whether a request takes something away.
fn acts(venue: Venue, asked: &Asked) -> bool {
    let path = asked.path.as_str();
    match (venue, asked.method.as_str()) {
        (Venue::Binance, "DELETE") => !path.contains("listenKey"),
        (Venue::Binance, "POST") => path.contains("/subAccountApi"),
        (Venue::Kucoin, "DELETE") => true,
        (Venue::Kucoin, "POST") => path.contains("/sub/api-key") || path.contains("dead-cancel-all"),
        (Venue::Coinbase, "POST") => ["/batch_cancel", "/move_funds", "/revoke"].iter().any(|end| path.ends_with(end)),
        (_, _) => false,
    }
}

/// Answers a request, with the fault that is next where it takes something away.
pub async fn serve(floor: &Floor, venue: Venue, asked: Asked, answer: fn(&Floor, Asked) -> Response) -> Response {
    if asked.path.contains("/subAccountApi") {
        locked(&floor.acts).key_calls += 1;
    }
    let (response, late) = served(floor, venue, asked, answer);
    if let Some(late) = late {
        tokio::time::sleep(late).await;
    }
    response
}

/// Returns the answer, and how late it comes.
fn served(
    floor: &Floor,
    venue: Venue,
    asked: Asked,
    answer: fn(&Floor, Asked) -> Response,
) -> (Response, Option<Duration>) {
    let lists = asked.path.ends_with("/subAccountApi") || asked.path.ends_with("/sub/api-key");
    if lists && asked.method == "GET" {
        let mut acts = locked(&floor.acts);
        if acts.unlisted > 0 {
            acts.unlisted -= 1;
            return (
                socket::plain(StatusCode::SERVICE_UNAVAILABLE, "<html><h1>503 Service Unavailable</h1></html>"),
                None,
            );
        }
    }
    if !acts(venue, &asked) {
        return (answer(floor, asked), None);
    }
    let mut late = None;
    let fault = locked(&floor.acts).faults.pop_front().unwrap_or(ActFault::None);
    let subject = key_of(&asked).or(asked.param("symbol")).unwrap_or_default();
    let name = format!("{} {} {subject}", asked.method, asked.path);
    let refusal = |status: u16, value: Value| {
        socket::json(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), &value)
    };
    let failed = || socket::plain(StatusCode::SERVICE_UNAVAILABLE, "<html><h1>503 Service Unavailable</h1></html>");
    let response = match fault {
        ActFault::Refuse(secs) => {
            let (name, value) = match venue {
                Venue::Kucoin => (HeaderName::from_static("gw-ratelimit-reset"), secs * 1_000),
                Venue::Binance | Venue::Coinbase => (header::RETRY_AFTER, secs),
            };
            let mut response = refusal(429, json!({"code": "429000", "msg": "Too many requests"}));
            response.headers_mut().insert(name, HeaderValue::from(value));
            response
        }
        ActFault::Fail => failed(),
        ActFault::Address | ActFault::Right => match (venue, fault) {
            (Venue::Binance, _) => {
                refusal(401, json!({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}))
            }
            (Venue::Kucoin, ActFault::Address) => {
                refusal(401, json!({"code": "400006", "msg": "The requested ip address is not in the api whitelist"}))
            }
            (Venue::Kucoin, _) => {
                refusal(200, json!({"code": "400007", "msg": "Access denied, require more permission"}))
            }
            (Venue::Coinbase, ActFault::Address) => socket::plain(StatusCode::UNAUTHORIZED, "Unauthorized\n"),
            (Venue::Coinbase, _) => refusal(403, json!({"error": "PERMISSION_DENIED"})),
        },
        ActFault::Lie => match venue {
            Venue::Binance => refusal(200, json!({})),
            Venue::Kucoin => refusal(200, json!({"code": "200000", "data": {}})),
            Venue::Coinbase => refusal(200, json!({"results": []})),
        },
        ActFault::Gone => {
            if let Some(id) = key_of(&asked) {
                floor.world().drop_sub_key(&id);
            }
            answer(floor, asked)
        }
        ActFault::None | ActFault::FailAfter | ActFault::HangAfter(_) | ActFault::Partial => {
            locked(&floor.acts).partial = fault == ActFault::Partial;
            let response = answer(floor, asked);
            let mut acts = locked(&floor.acts);
            acts.partial = false;
            if response.status().is_success() {
                acts.done.push(name);
            }
            if let ActFault::HangAfter(millis) = fault {
                late = Some(Duration::from_millis(millis));
            }
            if fault == ActFault::FailAfter { failed() } else { response }
        }
    };
    (response, late)
}

/// Returns the key that a request is about.
fn key_of(asked: &Asked) -> Option<String> {
    asked.param("subAccountApiKey").or(asked.param("apiKey")).or_else(|| {
        let body: Value = serde_json::from_str(&asked.body).ok()?;
        body.get("apiKey")?.as_str().map(str::to_owned)
    })
}

impl World {
    /// Deletes a key of a sub-account wherever it is, and with it the key of the account that it opens.
    pub fn drop_sub_key(&mut self, id: &str) -> bool {
        let mut found = false;
        for owner in &mut self.accounts {
            let before = owner.sub_keys.len();
            owner.sub_keys.retain(|key| key.id != id);
            found |= owner.sub_keys.len() < before;
        }
        if found {
            self.forget_key(id);
        }
        found
    }

    /// Finds a key of a master's sub-account.
    pub fn sub_key(&mut self, who: usize, holder: &str, id: &str) -> Option<&mut SubKey> {
        let keys = &mut self.accounts.get_mut(who)?.sub_keys;
        keys.iter_mut().find(|key| key.id == id && key.holder == holder)
    }
}

impl Handle {
    /// Says what goes wrong with the next requests that take something away, in order.
    pub fn fail_acts(&self, faults: &[ActFault]) {
        locked(&self.floor.acts).faults.extend(faults);
    }

    /// Forgets the faults that are left.
    pub fn end_acts(&self) {
        locked(&self.floor.acts).faults.clear();
    }

    /// Returns verb and path of each request that took something away, and forgets them.
    pub fn acts(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.floor.acts).done)
    }

    /// Answers the next lists of sub-accounts' keys, so many of them, with 503.
    pub fn fail_listings(&self, count: u64) {
        locked(&self.floor.acts).unlisted = count;
    }

    /// Takes the number of requests about keys of sub-accounts at Binance so far.
    pub fn key_calls(&self) -> u64 {
        std::mem::take(&mut locked(&self.floor.acts).key_calls)
    }

    /// Makes an account a sub-account of a master, with one key more that may trade: the one that leaks. Returns the
    /// account with that key.
    pub fn adopt(&self, master: &AccountId, holder: &str, account: &AccountId) -> Result<SimAccount, Error> {
        let mut world = self.floor.world();
        let (lord, who) = (find(&world, master)?, find(&world, account)?);
        world.rekey(who)?;
        let sim = world.accounts.get(who).map(SimAccount::of).ok_or_else(|| unknown(account))?;
        let made = clock::now();
        let mut permissions = super::world::Permissions::default();
        permissions.set("trade", true);
        let key =
            SubKey { holder: holder.to_owned(), label: "leaked".to_owned(), id: sim.key_id.clone(), permissions, made };
        if let Some(lord) = world.accounts.get_mut(lord) {
            lord.sub_keys.push(key);
        }
        Ok(sim)
    }

    /// Returns whether an exchange still takes a key.
    pub fn takes(&self, venue: Venue, id: &str) -> bool {
        self.floor.world().by_key(venue, id).is_some()
    }

    /// Gives an account an order that rests at half the price; returns whether it had the money.
    pub fn rest_order(&self, account: &AccountId, symbol: &Symbol) -> Result<bool, Error> {
        let (now, mut news) = (clock::now(), Vec::new());
        let placed = {
            let mut world = self.floor.world();
            let who = find(&world, account)?;
            let pair = world.by_assets(account.venue, symbol.base().as_str(), symbol.quote().as_str());
            let pair = pair.ok_or_else(|| Error::Refused(format!("{symbol} does not trade there")))?;
            let last = world.pairs.get(pair).map(|book| book.last()).unwrap_or_default();
            let limit = (last / Decimal::TWO).round_dp(8);
            let least = world.pairs.get(pair).map(|book| book.least()).unwrap_or_default();
            let quantity = (least * Decimal::from(3)).checked_div(limit).unwrap_or_default();
            let tag = Tag { client_id: format!("rest-{}", now.nanos()), by_hand: false, hostile: true };
            world.limit_order((who, pair, Side::Buy), limit, quantity, tag, now, &mut news).is_some()
        };
        self.floor.publish(news);
        Ok(placed)
    }

    /// Returns how many orders of an account are open.
    pub fn open_orders(&self, account: &AccountId) -> usize {
        let world = self.floor.world();
        find(&world, account).map_or(0, |who| world.open_orders(who).len())
    }

    /// Makes a token of an application for an account at Coinbase.
    pub fn issue_token(&self, account: &AccountId, token: &str) -> Result<(), Error> {
        let who = find(&self.floor.world(), account)?;
        locked(&self.floor.acts).tokens.insert(token.to_owned(), who);
        Ok(())
    }
}
