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
    #[serde(rename = "updateTime")]
    update_time: Option<i64>,
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
            self.known.settle(totals.collect(), 0);
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
    let verified = ask_all(venues, account, gap, outlet).await?;
    let filled = Body::Filled { since: gap.since, until: gap.until, verified };
    outlet.note(Source::AccountRest(account.id.clone()), filled).await
}

async fn ask_all(venues: &Venues, account: &Account, gap: Gap, outlet: &Outlet) -> Result<bool, Error> {
    let pass = async |answer: Answer, call: String| {
        let (at, page) = answer.page(call)?;
        outlet.pass(at, Source::AccountRest(account.id.clone()), page).await
    };
    let balances = account.ask(venues, "account", &[("omitZeroBalances", "true".to_owned())], 20).await?;
    let (told, read_at) = totals(&balances.text)?;
    let (changed, named) = (account.known.changed(&told), account.known.told());
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
    // The balance after a trade may have been told although the trade was not: an asset that the feed named and that is
    // in no known pair is a trace as well. And a later trade may have told the other side's balance already: that side
    // does not differ then.
    let parts = |pair: &String| assets.get(pair).into_iter().flat_map(|(base, quote)| [base, quote]);
    let known: BTreeSet<&String> = pairs.iter().flat_map(parts).collect();
    let traces: BTreeSet<&String> = moved.iter().chain(named.iter().filter(|asset| !known.contains(asset))).collect();
    let other: BTreeSet<&String> = moved.iter().chain(&named).collect();
    let traded = |base: &String, quote: &String| {
        traces.contains(base) && other.contains(quote) || traces.contains(quote) && other.contains(base)
    };
    let candidates = assets.iter().filter(|(_, (base, quote))| traded(base, quote)).map(|(pair, _)| pair.clone());
    let candidates: Vec<String> = candidates.collect();
    pairs.extend(candidates);
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
            if !rows.is_empty() {
                account.known.touched(pair);
                explained.extend(assets.get(pair).into_iter().flat_map(|(base, quote)| [base.clone(), quote.clone()]));
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
    // After the trades, as the stream tells it: what was held when they were made is part of how they are judged.
    pass(balances, "account".to_owned()).await?;
    // Sure only when balances were known before and every asset that moved moved in a trade that was found. A round
    // trip that leaves no trace in the balances, in a pair never seen, is missed: the exchange offers no way to ask.
    let unexplained = changed.as_ref().map(|changed| changed.difference(&explained).cloned().collect::<BTreeSet<_>>());
    let verified = complete && unexplained.as_ref().is_some_and(BTreeSet::is_empty);
    if complete {
        // The difference is the only trace of a pair nobody has seen, and a list of trades may lag behind the balances:
        // the whole interval is asked for once more before the reading is taken over.
        if !verified && unexplained.is_some_and(|assets| !account.known.puzzled(assets)) {
            return Err(Error::Protocol("balances moved, and no trade that says why is listed yet"));
        }
        account.known.settle(told, read_at);
    }
    Ok(verified)
}

/// Returns the total of each asset and when it was so, in milliseconds.
fn totals(text: &str) -> Result<(BTreeMap<String, Decimal>, i64), Error> {
    const REFUSED: Error = Error::Protocol("an account page that cannot be read");
    let page: Balances = read(text)?;
    let total = |asset: Asset| {
        let sum = decimal(&asset.free).ok()?.checked_add(decimal(&asset.locked).ok()?)?;
        Some((asset.asset, sum))
    };
    let balances = page.balances.into_iter().map(|asset| total(asset).ok_or(REFUSED)).collect::<Result<_, Error>>()?;
    Ok((balances, page.update_time.unwrap_or(0)))
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Protocol("an answer of an unexpected shape"))
}
