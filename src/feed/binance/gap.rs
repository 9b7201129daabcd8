//! What an account missed. There is no "all my trades" call: the pairs to ask for are guessed from the account's
//! own frames, its open orders, the watch list, and the assets whose balance moved.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::Deserialize;

use super::known::Known;
use super::{accepted, learn_time};
use crate::arrival::{Body, Source};
use crate::domain::{AccountId, Symbol, Timestamp, Venue, decimal};
use crate::feed::error::{Error, Meaning};
use crate::feed::link::Gap;
use crate::feed::outlet::Outlet;
use crate::feed::rest::{Answer, Call};
use crate::feed::settings::Remembered;
use crate::feed::sign::BinanceSigner;
use crate::feed::venues::Venues;
use crate::secret::Secret;

/// Pairs asked for in one gap, at 20 of 6,000 weight a minute each.
const PAIRS: usize = 120;
/// Trades of one page.
const PAGE: usize = 1_000;
/// Pages read of one pair.
const PAGES: usize = 20;

/// A watched account.
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(super) key: Secret,
    pub(super) signer: BinanceSigner,
    pub(super) known: Known,
    pub(crate) known_until: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Balances {
    balances: Vec<Asset>,
}

#[derive(Deserialize)]
struct Asset {
    asset: String,
    free: String,
    locked: String,
}

#[derive(Deserialize)]
struct OpenOrder {
    symbol: String,
}

#[derive(Deserialize)]
struct Trade {
    id: i64,
    #[serde(rename = "commissionAsset")]
    commission_asset: String,
}

impl Account {
    /// Takes an account and what signs for it.
    pub(crate) fn new(id: AccountId, key: Secret, signer: BinanceSigner, known_until: Option<Timestamp>) -> Self {
        Account { id, key, signer, known: Known::default(), known_until }
    }

    /// Takes what is remembered from before: a gap is then filled as one within a run is.
    pub(crate) fn remember(&self, remembered: &Remembered) {
        for pair in &remembered.pairs {
            self.known.touched(&wire(pair));
        }
        if !remembered.balances.is_empty() {
            let totals = remembered.balances.iter().map(|(asset, total)| (asset.as_str().to_owned(), *total));
            self.known.settle(totals.collect());
        }
    }

    /// Returns whose feed it is.
    pub(crate) fn source(&self) -> Source {
        Source::Account(self.id.clone())
    }

    async fn ask(&self, venues: &Venues, path: &str, params: &[(&str, String)], cost: u32) -> Result<Answer, Error> {
        let sign = || {
            let time = venues.binance.millis().to_string();
            let mut all: Vec<(&str, &str)> = params.iter().map(|(name, value)| (*name, value.as_str())).collect();
            all.push(("timestamp", &time));
            let path = format!("/api/v3/{path}?{}", self.signer.sign_rest(&all));
            let headers = vec![("X-MBX-APIKEY", self.key.expose().to_owned())];
            Ok(Call { path, headers, cost, ..Call::default() })
        };
        match accepted(venues.binance.ask(sign).await?) {
            Err(Error::Refused(refusal)) if refusal.meaning == Meaning::Clock => {
                learn_time(&venues.binance).await?;
                accepted(venues.binance.ask(sign).await?)
            }
            answer => answer,
        }
    }
}

/// Spells a pair as Binance does.
fn wire(pair: &Symbol) -> String {
    format!("{}{}", pair.base().as_str(), pair.quote().as_str())
}

/// Asks for what `account` missed and hands the pages over, then says how sure it is that nothing is missing.
pub(super) async fn fill(venues: &Venues, account: &Account, gap: Gap, outlet: &Outlet) -> Result<(), Error> {
    let asked = ask_all(venues, account, gap, outlet).await;
    let verified = *asked.as_ref().unwrap_or(&false);
    let filled = Body::Filled { since: gap.since, until: gap.until, verified };
    outlet.note(Source::AccountRest(account.id.clone()), filled).await?;
    asked.map(drop)
}

async fn ask_all(venues: &Venues, account: &Account, gap: Gap, outlet: &Outlet) -> Result<bool, Error> {
    let pass = async |answer: Answer, call: String| {
        let (at, page) = answer.page(call)?;
        outlet.pass(at, Source::AccountRest(account.id.clone()), page).await
    };
    let balances = account.ask(venues, "account", &[("omitZeroBalances", "true".to_owned())], 20).await?;
    let told = totals(&balances.text)?;
    let changed = account.known.changed(&told);
    pass(balances, "account".to_owned()).await?;
    let orders = account.ask(venues, "openOrders", &[], 80).await?;
    let mut pairs = account.known.pairs();
    let open: Vec<OpenOrder> = read(&orders.text)?;
    pairs.extend(open.into_iter().map(|order| order.symbol));
    pass(orders, "openOrders".to_owned()).await?;
    let listed = &venues.settings.watch;
    let watched = listed.iter().filter(|(venue, _)| *venue == Venue::Binance);
    pairs.extend(watched.map(|(_, symbol)| wire(symbol)));
    let assets = venues.pairs.assets(venues, outlet).await?;
    let moved = changed.clone().unwrap_or_default();
    // Both sides of a trade move: a pair with one side still is no candidate.
    pairs.extend(
        assets
            .iter()
            .filter(|(_, (base, quote))| moved.contains(base) && moved.contains(quote))
            .map(|(pair, _)| pair.clone()),
    );
    let mut complete = pairs.len() <= PAIRS;
    let mut explained: BTreeSet<String> = BTreeSet::new();
    for pair in pairs.iter().take(PAIRS) {
        let mut paging = ("startTime", gap.since.millis().to_string());
        let mut all = false;
        for _ in 0..PAGES {
            let params = [("symbol", pair.clone()), (paging.0, paging.1.clone()), ("limit", PAGE.to_string())];
            let trades = account.ask(venues, "myTrades", &params, 20).await?;
            let rows: Vec<Trade> = read(&trades.text)?;
            pass(trades, format!("myTrades?symbol={pair}&{}={}", paging.0, paging.1)).await?;
            if !rows.is_empty()
                && let Some((base, quote)) = assets.get(pair)
            {
                explained.extend([base.clone(), quote.clone()]);
            }
            explained.extend(rows.iter().map(|trade| trade.commission_asset.clone()));
            let last = rows.iter().map(|trade| trade.id).max();
            match last {
                Some(last) if rows.len() >= PAGE => paging = ("fromId", last.saturating_add(1).to_string()),
                Some(_) | None => {
                    all = true;
                    break;
                }
            }
        }
        complete &= all;
    }
    if complete {
        account.known.settle(told);
    }
    // Sure only when balances were known before and every asset that moved moved in a trade that was found. A round
    // trip that leaves no trace in the balances, in a pair never seen, is missed: the exchange offers no way to ask.
    Ok(complete && changed.is_some_and(|changed| changed.is_subset(&explained)))
}

fn totals(text: &str) -> Result<BTreeMap<String, Decimal>, Error> {
    const REFUSED: Error = Error::Protocol("an account page that cannot be read");
    let page: Balances = read(text)?;
    let total = |asset: Asset| {
        let sum = decimal(&asset.free).ok()?.checked_add(decimal(&asset.locked).ok()?)?;
        Some((asset.asset, sum))
    };
    page.balances.into_iter().map(|asset| total(asset).ok_or(REFUSED)).collect()
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Protocol("an answer of an unexpected shape"))
}
