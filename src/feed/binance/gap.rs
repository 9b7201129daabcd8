//! What a wallet missed. Spot and margin have no "all my trades" call: the pairs to ask for are guessed from the account's
//! own frames, its open orders, the watch list, and the assets whose balance moved, or that are held where nothing is known
//! yet. Futures have a list of commissions, which names every pair that was traded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rust_decimal::Decimal;
use serde::Deserialize;

use super::account_page::{positions, totals};
use super::known::Known;
use super::pager::{self, Paged};
use super::{accepted, learn_time};
use crate::arrival::{Body, Source};
use crate::domain::{AccountId, Symbol, Timestamp, Venue, Wallet};
use crate::feed::error::{Error, Meaning, Refusal};
use crate::feed::key_state::Refused;
use crate::feed::link::Gap;
use crate::feed::outlet::Outlet;
use crate::feed::rest::{Answer, Call, Rest};
use crate::feed::settings::Remembered;
use crate::feed::sign::BinanceSigner;
use crate::feed::venues::Venues;
use crate::secret::Secret;

/// Pairs asked for in one gap: at 20 of 6,000 weight a minute each on spot, half of it on margin, 5 of 2,400 on futures.
const PAIRS: usize = 120;
/// Pairs of what is held that are asked for at the first reading.
const FIRST: usize = 60;
/// What coins are bought with, the most usual first; the market of a coin nobody trades against these is left out.
const USUAL: [&str; 4] = ["USDT", "USDC", "FDUSD", "BTC"];

/// A watched wallet of an account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) wallet: Wallet,
    pub(super) key: Secret,
    pub(super) signer: BinanceSigner,
    pub(super) known: Arc<Known>,
    /// What was refused of the questions about the key.
    pub(super) refused: Refused,
    pub(crate) known_until: Option<Timestamp>,
    /// Whether the exchange took this key on a connection.
    subscribed: AtomicBool,
}

#[derive(Deserialize)]
struct Named {
    symbol: String,
}

impl Account {
    /// Takes a wallet of an account and what signs for it.
    pub(crate) fn new(
        id: AccountId,
        wallet: Wallet,
        (key, signer): (Secret, BinanceSigner),
        known_until: Option<Timestamp>,
    ) -> Self {
        Account {
            id,
            wallet,
            key,
            signer,
            known: Arc::default(),
            refused: Refused::default(),
            known_until,
            subscribed: AtomicBool::new(false),
        }
    }

    /// Returns the same wallet with another key; what was seen of it is shared.
    pub(crate) fn rotated(&self, key: (Secret, BinanceSigner), known_until: Option<Timestamp>) -> Self {
        let known = Arc::clone(&self.known);
        Account { known, ..Account::new(self.id.clone(), self.wallet.clone(), key, known_until) }
    }

    /// Says whether the exchange took this key on a connection.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.subscribed.load(Ordering::Relaxed)
    }

    /// Notes whether the exchange took this key.
    pub(super) fn note_subscribed(&self, subscribed: bool) {
        self.subscribed.store(subscribed, Ordering::Relaxed);
    }

    /// Takes what is remembered from before: a gap is then filled as one within a run is.
    pub(crate) fn remember(&self, remembered: &Remembered) {
        for pair in remembered.pairs.iter().filter(|pair| self.trades(pair)) {
            self.known.touched(&wire(pair));
        }
        let balances = match &self.wallet {
            Wallet::Spot => Some(&remembered.balances),
            Wallet::Margin => remembered.wallets.get(&self.wallet),
            // What is compared there is the one pair's trades, and positions, which nobody remembers.
            Wallet::Isolated(_) | Wallet::Futures => None,
        };
        if let Some(balances) = balances.filter(|balances| !balances.is_empty()) {
            let totals = balances.iter().map(|(asset, total)| (asset.as_str().to_owned(), *total));
            self.known.settle(totals.collect(), 0);
        }
    }

    /// Returns whose feed it is.
    pub(crate) fn source(&self) -> Source {
        Source::feed(self.id.clone(), self.wallet.clone())
    }

    fn trades(&self, pair: &Symbol) -> bool {
        match &self.wallet {
            Wallet::Spot | Wallet::Margin => !pair.is_contract(),
            Wallet::Isolated(only) => only == pair,
            Wallet::Futures => pair.is_contract(),
        }
    }

    /// Returns the host that answers for this wallet.
    pub(super) fn rest<'v>(&self, venues: &'v Venues) -> &'v Rest {
        host(venues, &self.wallet)
    }

    pub(super) async fn ask(
        &self,
        venues: &Venues,
        path: &str,
        params: &[(&str, String)],
        cost: u32,
    ) -> Result<Answer, Error> {
        let answer = self.ask_of(&self.wallet, venues, path, params, cost).await;
        answer.map_err(|error| self.worded(error))
    }

    /// Makes a signed call of the host of a wallet, whichever this one is.
    pub(super) async fn ask_of(
        &self,
        wallet: &Wallet,
        venues: &Venues,
        path: &str,
        params: &[(&str, String)],
        cost: u32,
    ) -> Result<Answer, Error> {
        let rest = host(venues, wallet);
        let sign = || {
            let time = rest.millis().to_string();
            let mut all: Vec<(&str, &str)> = params.iter().map(|(name, value)| (*name, value.as_str())).collect();
            all.push(("timestamp", &time));
            let path = format!("{path}?{}", self.signer.sign_rest(&all));
            Ok(Call { path, headers: self.headers(), cost, ..Call::default() })
        };
        match accepted(rest.ask(sign).await?) {
            Err(Error::Refused(refusal)) if refusal.meaning == Meaning::Clock => {
                match wallet {
                    Wallet::Spot | Wallet::Margin | Wallet::Isolated(_) => learn_time(rest).await?,
                    Wallet::Futures => super::futures::learn_time(rest).await?,
                }
                accepted(rest.ask(sign).await?)
            }
            answer => answer,
        }
    }

    /// Returns the headers of a call; some need no more than these.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        vec![("X-MBX-APIKEY", self.key.expose().to_owned())]
    }

    /// Says of a refusal what it means for this wallet.
    pub(super) fn worded(&self, error: Error) -> Error {
        match (&self.wallet, error) {
            (Wallet::Spot, error) => error,
            (Wallet::Margin | Wallet::Isolated(_) | Wallet::Futures, Error::Refused(refusal)) => {
                Error::Refused(Refusal::of_wallet(refusal))
            }
            (Wallet::Margin | Wallet::Isolated(_) | Wallet::Futures, error) => error,
        }
    }
}

fn host<'v>(venues: &'v Venues, wallet: &Wallet) -> &'v Rest {
    match wallet {
        Wallet::Spot | Wallet::Margin | Wallet::Isolated(_) => &venues.binance,
        Wallet::Futures => &venues.binance_futures,
    }
}

/// Spells a pair as Binance does.
pub(super) fn wire(pair: &Symbol) -> String {
    let (base, quote) = (pair.base().as_str(), pair.quote().as_str());
    match base.rsplit_once('_').filter(|_| pair.is_contract()) {
        None => format!("{base}{quote}"),
        Some((of, "PERP")) => format!("{of}{quote}"),
        Some((of, date)) => format!("{of}{quote}_{date}"),
    }
}

/// Asks for what a wallet missed and hands the pages over, then says how sure it is that nothing is missing.
pub(super) async fn fill(venues: &Venues, account: &Account, gap: Gap, outlet: &Outlet) -> Result<(), Error> {
    let asking = Asking { venues, account, gap, outlet };
    let verified = match &account.wallet {
        Wallet::Spot | Wallet::Margin => asking.pairs_of_balances().await?,
        Wallet::Isolated(pair) => asking.trades(&wire(pair)).await?.complete,
        Wallet::Futures => asking.pairs_of_commissions().await?,
    };
    // What balances prove begins with the first of them.
    let began = account.known.began().map(Timestamp::from_millis).filter(|_| verified);
    let since = began.map_or(gap.since, |began| began.max(gap.since)).min(gap.until);
    let filled = Body::Filled { since, until: gap.until, verified };
    outlet.note(asking.answers(), filled).await
}

/// One gap of one wallet.
pub(super) struct Asking<'a> {
    pub(super) venues: &'a Venues,
    pub(super) account: &'a Account,
    pub(super) gap: Gap,
    outlet: &'a Outlet,
}

impl Asking<'_> {
    fn answers(&self) -> Source {
        Source::answers(self.account.id.clone(), self.account.wallet.clone())
    }

    /// Hands an answer over under the name of its call.
    pub(super) async fn pass(&self, answer: Answer, call: String) -> Result<(), Error> {
        let (at, page) = answer.page(call)?;
        self.outlet.pass(at, self.answers(), page).await
    }

    async fn trades(&self, pair: &str) -> Result<Paged, Error> {
        match &self.account.wallet {
            Wallet::Spot => pager::by_id(self, pair).await,
            Wallet::Margin | Wallet::Isolated(_) | Wallet::Futures => pager::by_time(self, pair).await,
        }
    }

    /// Asks for the open orders; returns their pairs.
    async fn open_orders(&self) -> Result<BTreeSet<String>, Error> {
        let (path, cost) = match &self.account.wallet {
            Wallet::Spot => ("/api/v3/openOrders", 80),
            Wallet::Margin | Wallet::Isolated(_) => ("/sapi/v1/margin/openOrders", 10),
            Wallet::Futures => ("/fapi/v1/openOrders", 40),
        };
        let orders = self.account.ask(self.venues, path, &[], cost).await?;
        let open: Vec<Named> = read(&orders.text)?;
        self.pass(orders, "openOrders".to_owned()).await?;
        Ok(open.into_iter().map(|order| order.symbol).collect())
    }

    /// Returns the pairs that are known or configured to be traded here.
    fn known_pairs(&self) -> BTreeSet<String> {
        let mut pairs = self.account.known.pairs();
        let listed = &self.venues.settings.watch;
        let watched = listed.iter().filter(|(venue, pair)| *venue == Venue::Binance && self.account.trades(pair));
        pairs.extend(watched.map(|(_, symbol)| wire(symbol)));
        pairs
    }

    async fn pairs_of_balances(&self) -> Result<bool, Error> {
        let account = self.account;
        let (path, params, cost) = match &account.wallet {
            Wallet::Margin => ("/sapi/v1/margin/account", vec![], 10),
            Wallet::Spot | Wallet::Isolated(_) | Wallet::Futures => {
                ("/api/v3/account", vec![("omitZeroBalances", "true".to_owned())], 20)
            }
        };
        let asked_at = account.rest(self.venues).millis();
        let balances = account.ask(self.venues, path, &params, cost).await?;
        let (told, read_at) = totals(&balances.text)?;
        // Where the page does not say when it was so, it was so after we asked; two clocks may differ by a second.
        let read_at = read_at.unwrap_or(asked_at.saturating_sub(1_000));
        let (changed, named) = (account.known.changed(&told), account.known.told());
        let mut pairs = self.known_pairs();
        pairs.extend(self.open_orders().await?);
        let assets = self.venues.pairs.assets(self.venues, self.outlet).await?;
        let moved = changed.clone().unwrap_or_default();
        // The balance after a trade may have been told although the trade was not: an asset that the feed named and that
        // is in no known pair is a trace as well. And a later trade may have told the other side's balance already: that
        // side does not differ then.
        let parts = |pair: &String| assets.get(pair).into_iter().flat_map(|(base, quote)| [base, quote]);
        let known: BTreeSet<&String> = pairs.iter().flat_map(parts).collect();
        let traces: BTreeSet<&String> =
            moved.iter().chain(named.iter().filter(|asset| !known.contains(asset))).collect();
        let other: BTreeSet<&String> = moved.iter().chain(&named).collect();
        let traded = |base: &String, quote: &String| {
            traces.contains(base) && other.contains(quote) || traces.contains(quote) && other.contains(base)
        };
        let candidates = assets.iter().filter(|(_, (base, quote))| traded(base, quote)).map(|(pair, _)| pair.clone());
        let candidates: Vec<String> = candidates.collect();
        pairs.extend(candidates);
        if changed.is_none() {
            let first = of_holdings(&told, assets);
            tracing::info!(
                account = %account.source(), pairs = first.len(),
                "nothing is known of this account yet: its past day is read in the pairs of what it holds; Binance has no \
                 way to ask for pairs of which nothing is left",
            );
            pairs.extend(first);
        }
        let (complete, explained) = self.all_trades(&pairs, Some(assets)).await?;
        // After the trades, as the stream tells it: what was held when they were made is part of how they are judged.
        self.pass(balances, "account".to_owned()).await?;
        // Sure only when balances were known before and every asset that moved moved in a trade that was found. A round
        // trip that leaves no trace in the balances, in a pair never seen, is missed: the exchange offers no way to ask.
        let compared = changed.is_some();
        let unexplained = changed.map(|changed| changed.difference(&explained).cloned().collect::<BTreeSet<_>>());
        let verified = complete && unexplained.as_ref().is_some_and(BTreeSet::is_empty);
        if complete {
            // The difference is the only trace of a pair nobody has seen, and a list of trades may lag behind the
            // balances: the whole interval is asked for once more before the reading is taken over.
            if !verified && unexplained.is_some_and(|assets| !account.known.puzzled(assets)) {
                return Err(Error::Protocol("balances moved, and no trade that says why is listed yet"));
            }
            if compared {
                account.known.settle(told, read_at);
            } else {
                account.known.begin(told, read_at);
            }
        }
        Ok(verified)
    }

    /// Every trade of futures pays a commission, and the list of them needs no pair: sure when it was read to its end and
    /// every position that changed was changed by a trade that was found.
    async fn pairs_of_commissions(&self) -> Result<bool, Error> {
        let account = self.account;
        let page = account.ask(self.venues, "/fapi/v3/account", &[], 5).await?;
        let told = positions(&page.text)?;
        let changed = account.known.changed(&told).unwrap_or_default();
        let mut pairs = self.known_pairs();
        pairs.extend(self.open_orders().await?);
        pairs.extend(changed.iter().map(|position| pair_of(position).to_owned()));
        let (named, listed) = pager::commissions(self).await?;
        pairs.extend(named);
        let (complete, explained) = self.all_trades(&pairs, None).await?;
        // After the trades, as with spot.
        self.pass(page, "account".to_owned()).await?;
        if complete && listed {
            account.known.settle(told, 0);
        }
        let moved: BTreeSet<&str> = changed.iter().map(|position| pair_of(position)).collect();
        Ok(complete && listed && moved.into_iter().all(|pair| explained.contains(pair)))
    }

    /// Asks for the trades of `pairs`; returns whether all could be asked for, and what the trades found explain: the
    /// assets of those in `assets`, else the pairs themselves.
    async fn all_trades(
        &self,
        pairs: &BTreeSet<String>,
        assets: Option<&BTreeMap<String, (String, String)>>,
    ) -> Result<(bool, BTreeSet<String>), Error> {
        let mut complete = pairs.len() <= PAIRS;
        let mut explained: BTreeSet<String> = BTreeSet::new();
        for pair in pairs.iter().take(PAIRS) {
            let paged = self.trades(pair).await?;
            complete &= paged.complete;
            if !paged.fee_assets.is_empty() {
                self.account.known.touched(pair);
                match assets {
                    Some(assets) => {
                        explained.extend(assets.get(pair).into_iter().flat_map(|(base, quote)| [base, quote]).cloned());
                    }
                    None => drop(explained.insert(pair.clone())),
                }
            }
            explained.extend(paged.fee_assets);
        }
        Ok((complete, explained))
    }
}

/// Returns the pairs in which what is held was probably bought: each asset against the usual quotes and against what else
/// is held, those first that are asked for with the least doubt.
fn of_holdings(held: &Totals, assets: &BTreeMap<String, (String, String)>) -> Vec<String> {
    let held: BTreeSet<&str> =
        held.iter().filter(|(_, total)| !total.is_zero()).map(|(asset, _)| asset.as_str()).collect();
    let rank = |quote: &str| USUAL.iter().position(|usual| *usual == quote).unwrap_or(USUAL.len());
    let mut pairs: Vec<(usize, &String)> = assets
        .iter()
        .filter(|(_, (base, quote))| {
            held.contains(base.as_str()) && (held.contains(quote.as_str()) || rank(quote) < USUAL.len())
        })
        .map(|(pair, (_, quote))| (rank(quote), pair))
        .collect();
    pairs.sort_unstable();
    pairs.into_iter().take(FIRST).map(|(_, pair)| pair.clone()).collect()
}

/// Returns the pair of a position: in hedge mode a pair has two, `BTCUSDT LONG` and `BTCUSDT SHORT`.
fn pair_of(position: &str) -> &str {
    position.split(' ').next().unwrap_or(position)
}

pub(super) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Protocol("an answer of an unexpected shape"))
}

/// What there is of each asset or position.
pub(super) type Totals = BTreeMap<String, Decimal>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_tells_pairs_to_ask_for_the_usual_quotes_first() {
        let listed = ["KORU-USDT", "KORU-BTC", "KORU-TRY", "BTC-USDT", "BTC-EUR", "SOLD-USDT", "USDT-EUR", "DUST-BTC"];
        let assets: BTreeMap<String, (String, String)> = listed
            .iter()
            .filter_map(|pair| pair.split_once('-'))
            .map(|(base, quote)| (format!("{base}{quote}"), (base.to_owned(), quote.to_owned())))
            .collect();
        let held =
            |rows: &[(&str, i64)]| rows.iter().map(|(asset, n)| ((*asset).to_owned(), Decimal::from(*n))).collect();
        let pairs = of_holdings(&held(&[("KORU", 5), ("BTC", 1), ("EUR", 7), ("USDT", 2), ("DUST", 0)]), &assets);
        assert_eq!(pairs, ["BTCUSDT", "KORUUSDT", "KORUBTC", "BTCEUR", "USDTEUR"]);
        let many: BTreeMap<String, (String, String)> =
            (0..200).map(|n| (format!("C{n}USDT"), (format!("C{n}"), "USDT".to_owned()))).collect();
        let all = (0..200).map(|n| (format!("C{n}"), Decimal::ONE)).collect();
        assert_eq!(of_holdings(&all, &many).len(), FIRST);
        assert!(of_holdings(&Totals::new(), &assets).is_empty());
    }

    #[test]
    fn a_contract_is_spelled_as_the_pair_it_is_on() {
        for (pair, expected) in
            [("APC-BTC", "APCBTC"), ("BTC_PERP-USDT", "BTCUSDT"), ("BTC_260327-USDT", "BTCUSDT_260327")]
        {
            assert_eq!(wire(&Symbol::from_dashed(pair).unwrap()), expected);
        }
    }
}
