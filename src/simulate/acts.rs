//! Requests that take something away: keys of sub-accounts, open orders, money; and what goes wrong with them on purpose.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::floor::{Floor, locked};
use super::handle::{Handle, find, unknown};
use super::socket::{self, Asked};
use super::world::{Pair, SubKey, Tag, World};
use super::{Error, SimAccount};
use crate::domain::{AccountId, Side, Symbol, Timestamp, Venue, Wallet};
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
    /// How long each answer takes.
    far: Duration,
    /// Requests so far.
    asked: u64,
    /// How many lists of sub-accounts' keys are answered with 503 from now on.
    unlisted: u64,
    /// True while a request is carried out in part.
    pub partial: bool,
    /// Tokens of applications that were withdrawn, and those that are taken.
    pub tokens: BTreeMap<String, usize>,
    /// Pairs of KuCoin's orders that wait for a price, by wallet; true for one-cancels-the-other.
    pub stops: BTreeMap<(usize, bool), Vec<String>>,
    /// Money that was moved to other portfolios of Coinbase, by portfolio and asset.
    pub moved: BTreeMap<(String, String), Decimal>,
    /// Dead-man switches that are on, by wallet and pair; no pair where they are for all.
    pub switches: BTreeMap<(usize, String), Switch>,
}

/// Marks an answer that refuses, whatever its status says.
#[derive(Clone, Copy, Debug)]
pub struct Refused;

/// A dead-man switch that is on.
#[derive(Clone, Copy, Debug)]
pub struct Switch {
    /// What it was set to, in seconds.
    pub secs: i64,
    /// When it cancels.
    pub due: Timestamp,
}

/// Cancels what switches are due for.
pub fn fire(floor: &Floor, now: Timestamp) {
    let due: Vec<(usize, String)> = {
        let mut acts = locked(&floor.acts);
        let due = acts.switches.iter().filter(|(_, switch)| switch.due <= now);
        let due: Vec<(usize, String)> = due.map(|(place, _)| place.clone()).collect();
        acts.switches.retain(|_, switch| switch.due > now);
        due
    };
    for (at, symbol) in due {
        cancel(floor, at, |pair| symbol.is_empty() || pair.spelled() == symbol);
    }
}

/// Says whether a request takes something away.
fn acts(venue: Venue, asked: &Asked) -> bool {
    let path = asked.path.as_str();
    match (venue, asked.method.as_str()) {
        (Venue::Binance, "DELETE") => !path.contains("listenKey"),
        (Venue::Binance, "POST") => path.contains("/subAccountApi") || path.ends_with("/countdownCancelAll"),
        (Venue::Kucoin, "DELETE") => true,
        (Venue::Kucoin, "POST") => {
            ["/sub/api-key", "dead-cancel-all", "/dcp/set"].iter().any(|part| path.contains(part))
        }
        (Venue::Coinbase, "POST") => ["/batch_cancel", "/move_funds", "/revoke"].iter().any(|end| path.ends_with(end)),
        (_, _) => false,
    }
}

/// Answers a request, with the fault that is next where it takes something away.
pub async fn serve(floor: &Floor, venue: Venue, asked: Asked, answer: fn(&Floor, Asked) -> Response) -> Response {
    if asked.path.contains("/subAccountApi") {
        locked(&floor.acts).key_calls += 1;
    }
    // As far away as exchanges are.
    let far = {
        let mut acts = locked(&floor.acts);
        acts.asked += 1;
        acts.far
    };
    tokio::time::sleep(far).await;
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
    let subject = key_of(&asked).or(asked.param("symbol")).or(asset_of(&asked)).unwrap_or_default();
    let kind = asked.param("tradeType").or(asked.param("isIsolated").map(|_| "isolated".to_owned()));
    let kind = kind.or(asked.param("countdownTime")).or(timeout_of(&asked)).unwrap_or_default();
    let name = format!("{} {} {subject}{kind}", asked.method, asked.path);
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
            if response.status().is_success() && response.extensions().get::<Refused>().is_none() {
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

/// Returns the asset that is moved.
fn asset_of(asked: &Asked) -> Option<String> {
    let body: Value = serde_json::from_str(&asked.body).ok()?;
    body.pointer("/funds/currency")?.as_str().map(str::to_owned)
}

/// Returns the seconds that a switch is set to.
fn timeout_of(asked: &Asked) -> Option<String> {
    let body: Value = serde_json::from_str(&asked.body).ok()?;
    body.get("timeout").map(Value::to_string)
}

/// Returns the key that a request is about.
fn key_of(asked: &Asked) -> Option<String> {
    asked.param("subAccountApiKey").or(asked.param("apiKey")).or_else(|| {
        let body: Value = serde_json::from_str(&asked.body).ok()?;
        body.get("apiKey")?.as_str().map(str::to_owned)
    })
}

/// Cancels a wallet's open orders in the pairs that are chosen; returns their numbers.
pub fn cancel(floor: &Floor, at: usize, chosen: impl Fn(&Pair) -> bool) -> Vec<String> {
    let (now, mut news, mut done) = (clock::now(), Vec::new(), Vec::new());
    {
        let mut world = floor.world();
        let open = world.open_orders(at).into_iter();
        let open = open.filter(|order| world.pairs.get(order.pair).is_some_and(&chosen));
        let ids: Vec<u64> = open.map(|order| order.id).collect();
        let left = usize::from(locked(&floor.acts).partial);
        for id in ids.into_iter().skip(left) {
            done.extend(world.cancel(id, now, &mut news).map(|order| order.id.to_string()));
        }
    }
    floor.publish(news);
    done
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

    /// Has each answer over REST take so long, as if the exchanges were far away.
    pub fn move_away(&self, far: Duration) {
        locked(&self.floor.acts).far = far;
    }

    /// Takes the number of requests over REST so far.
    pub fn asked(&self) -> u64 {
        std::mem::take(&mut locked(&self.floor.acts).asked)
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
        self.rest_order_in(&Wallet::Spot, account, symbol)
    }

    /// Gives a wallet of an account such an order. Futures orders are for the contract on the pair.
    pub fn rest_order_in(&self, wallet: &Wallet, account: &AccountId, symbol: &Symbol) -> Result<bool, Error> {
        let (now, mut news) = (clock::now(), Vec::new());
        let placed = {
            let mut world = self.floor.world();
            let spot = find(&world, account)?;
            let who = world.wallet(spot, wallet).ok_or_else(|| unknown(account))?;
            let (base, quote) = (symbol.base().as_str(), symbol.quote().as_str());
            let pair = match (wallet, account.venue) {
                (Wallet::Futures, Venue::Binance) => world.contract(&format!("{base}{quote}"), now),
                _ => world.by_assets(account.venue, base, quote),
            };
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

    /// Gives a wallet of a KuCoin account an order that waits for a price, of the kind where one cancels the other or not.
    pub fn place_stop(&self, wallet: &Wallet, account: &AccountId, symbol: &Symbol, oco: bool) -> Result<(), Error> {
        let mut world = self.floor.world();
        let spot = find(&world, account)?;
        let who = world.wallet(spot, wallet).ok_or_else(|| unknown(account))?;
        locked(&self.floor.acts).stops.entry((who, oco)).or_default().push(symbol.to_string());
        Ok(())
    }

    /// Returns how many orders of an account are open.
    pub fn open_orders(&self, account: &AccountId) -> usize {
        self.open_orders_in(&Wallet::Spot, account)
    }

    /// Returns how many orders of a wallet are open, with those that wait for a price.
    pub fn open_orders_in(&self, wallet: &Wallet, account: &AccountId) -> usize {
        let mut world = self.floor.world();
        let Some(who) = find(&world, account).ok().and_then(|spot| world.wallet(spot, wallet)) else { return 0 };
        let acts = locked(&self.floor.acts);
        let waiting = [false, true].iter().filter_map(|oco| acts.stops.get(&(who, *oco))).map(Vec::len);
        world.open_orders(who).len() + waiting.sum::<usize>()
    }

    /// Returns the portfolio of a Coinbase account.
    pub fn portfolio(&self, account: &AccountId) -> Result<String, Error> {
        let world = self.floor.world();
        let owner = find(&world, account)?;
        world.accounts.get(owner).map(super::coinbase::portfolio).ok_or_else(|| unknown(account))
    }

    /// Returns what an account has free, by asset, without assets of which it has none.
    pub fn free(&self, account: &AccountId) -> Result<BTreeMap<String, Decimal>, Error> {
        let world = self.floor.world();
        let who = find(&world, account)?;
        let held = world.accounts.get(who).into_iter().flat_map(|owner| &owner.holdings);
        Ok(held.filter(|(_, held)| !held.free.is_zero()).map(|(asset, held)| (asset.clone(), held.free)).collect())
    }

    /// Returns what was moved to a portfolio, by asset.
    pub fn moved(&self, portfolio: &str) -> BTreeMap<String, Decimal> {
        let acts = locked(&self.floor.acts);
        let there = acts.moved.iter().filter(|((to, _), _)| to == portfolio);
        there.map(|((_, asset), amount)| (asset.clone(), *amount)).collect()
    }

    /// Makes a token of an application for an account at Coinbase.
    pub fn issue_token(&self, account: &AccountId, token: &str) -> Result<(), Error> {
        let who = find(&self.floor.world(), account)?;
        locked(&self.floor.acts).tokens.insert(token.to_owned(), who);
        Ok(())
    }
}
