//! What a profile missed: its list of fills wants a pair or an order. Orders and ledgers name the pairs; the fills of
//! those say the rest (<https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/orders/get-all-fills>).

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Profile;
use super::products::is_pair;
use crate::arrival::{Body, Source};
use crate::codec::wire::Amount;
use crate::domain::{Symbol, Timestamp, Venue};
use crate::feed::error::Error;
use crate::feed::link::Gap;
use crate::feed::outlet::{Outlet, Pile};
use crate::feed::sign::percent_encode;

/// Pairs asked for in one gap.
const PAIRS: usize = 200;
/// Ledgers read in one gap.
const LEDGERS: usize = 40;
/// Pages read of one question; a gap with more is not verified.
const PAGES: usize = 100;

/// `{"id":"u-1","currency":"ABC","balance":"1.5","available":"1","hold":"0.5"}`
#[derive(Deserialize)]
struct Account {
    id: String,
    currency: String,
    balance: Amount,
}

/// `{"id":"4a5b","product_id":"ABC-USD","created_at":"2026-01-01T00:00:00Z","status":"done"}`
#[derive(Deserialize)]
struct Order {
    product_id: String,
    created_at: String,
}

/// `{"trade_id":7,"product_id":"ABC-USD","created_at":"2026-01-01T00:00:00Z"}`
#[derive(Deserialize)]
struct Fill {
    created_at: String,
}

/// `{"created_at":"2026-01-01T00:00:00Z","type":"match","details":{"order_id":"4a5b","trade_id":"7","product_id":"ABC-USD"}}`
#[derive(Deserialize)]
struct Entry {
    created_at: String,
    #[serde(default)]
    details: Details,
}

#[derive(Default, Deserialize)]
struct Details {
    product_id: Option<String>,
}

impl Profile {
    /// Asks for the fills of these orders.
    pub(super) async fn fills_of_orders(&self, orders: &BTreeSet<String>, outlet: &Outlet) -> Result<(), Error> {
        for order in orders {
            let path = format!("/fills?order_id={}&limit=100", percent_encode(order));
            self.pages::<Fill>(&path, outlet, |_| true).await?;
        }
        Ok(())
    }

    /// Asks for the fills of these pairs since `since`.
    pub(super) async fn fills_of_pairs(
        &self,
        pairs: &BTreeSet<String>,
        since: Timestamp,
        outlet: &Outlet,
    ) -> Result<(), Error> {
        for pair in pairs.iter().filter(|pair| is_pair(pair)) {
            self.fills(pair, since, outlet).await?;
        }
        Ok(())
    }

    /// Asks for what was missed, and says how sure it is that nothing is missing.
    pub(super) async fn fill_gap(&self, gap: Gap, outlet: &Outlet) -> Result<(), Error> {
        let verified = self.ask_all(gap, outlet).await?;
        let filled = Body::Filled { since: gap.since, until: gap.until, verified };
        outlet.note(Source::AccountRest(self.id.clone()), filled).await
    }

    async fn ask_all(&self, gap: Gap, outlet: &Outlet) -> Result<bool, Error> {
        let since = gap.since;
        let mut accounts: Vec<Account> = Vec::new();
        // The list has no pages. It is also the question that a dead key does not get answered.
        let mut balances = Pile::default();
        let list = |row| {
            accounts.push(row);
            true
        };
        let mut complete = self.read::<Account>("/accounts", list, &mut balances).await?;
        let totals: BTreeMap<String, Decimal> =
            accounts.iter().map(|account| (account.currency.clone(), account.balance.0)).collect();
        self.products.read(self.rest()).await?;
        let mut pairs = self.known.pairs();
        let watched = self.venues.settings.watch.iter().filter(|(venue, _)| *venue == Venue::Coinbase);
        let listed = self.products.wanted();
        pairs.extend(watched.map(|(_, symbol)| spelled(symbol)).filter(|pair| listed.contains(pair)));
        // Before the fills: a fill does not tell its order's client id.
        complete &=
            self.orders("/orders?status=open&status=pending&status=active&limit=100", None, &mut pairs, outlet).await?;
        let done = format!("/orders?status=done&sortedBy=created_at&sorting=desc&start_date={since}&limit=100");
        complete &= self.orders(&done, Some(since), &mut pairs, outlet).await?;
        let mut explained: BTreeSet<String> = BTreeSet::new();
        complete &= self.all_fills(&pairs, since, &mut explained, outlet).await?;
        // Nothing to compare with: whatever is held may have moved.
        let moved = self.known.changed(&totals).unwrap_or_else(|| {
            totals.iter().filter(|(_, total)| !total.is_zero()).map(|(asset, _)| asset.clone()).collect()
        });
        let open: Vec<&Account> = accounts
            .iter()
            .filter(|account| moved.contains(&account.currency) && !explained.contains(&account.currency))
            .collect();
        complete &= open.len() <= LEDGERS;
        let mut found = BTreeSet::new();
        for account in open.into_iter().take(LEDGERS) {
            complete &= self.ledger(&account.id, gap, &mut found, outlet).await?;
        }
        let found: BTreeSet<String> = found.difference(&pairs).cloned().collect();
        complete &= self.all_fills(&found, since, &mut explained, outlet).await?;
        for pair in &found {
            self.known.touched(pair);
        }
        // After the fills: what was held when they were made is part of how they are judged.
        balances.hand_over(outlet).await?;
        if complete {
            self.known.settle(totals, 0);
        }
        Ok(complete)
    }

    /// Reads the fills of pairs and notes the assets that moved in them; returns whether all were read.
    async fn all_fills(
        &self,
        pairs: &BTreeSet<String>,
        since: Timestamp,
        explained: &mut BTreeSet<String>,
        outlet: &Outlet,
    ) -> Result<bool, Error> {
        let mut complete = pairs.len() <= PAIRS;
        for pair in pairs.iter().take(PAIRS) {
            let (all, some) = self.fills(pair, since, outlet).await?;
            complete &= all;
            if some && let Some((base, quote)) = pair.split_once('-') {
                explained.extend([base.to_owned(), quote.to_owned()]);
            }
        }
        Ok(complete)
    }

    /// Reads a pair's fills, newest first; returns whether all were read and whether there were any.
    async fn fills(&self, pair: &str, since: Timestamp, outlet: &Outlet) -> Result<(bool, bool), Error> {
        let path = format!("/fills?product_id={pair}&start_date={since}&limit=100");
        let mut some = false;
        let all = self
            .pages::<Fill>(&path, outlet, |row| {
                let young = time(&row.created_at) >= since;
                some |= young;
                young
            })
            .await?;
        Ok((all, some))
    }

    async fn orders(
        &self,
        path: &str,
        since: Option<Timestamp>,
        pairs: &mut BTreeSet<String>,
        outlet: &Outlet,
    ) -> Result<bool, Error> {
        self.pages::<Order>(path, outlet, |row| {
            let young = since.is_none_or(|since| time(&row.created_at) >= since);
            if young && is_pair(&row.product_id) {
                pairs.insert(row.product_id);
            }
            young
        })
        .await
    }

    /// Reads what moved an account's balance in the gap, for the pairs it names.
    async fn ledger(
        &self,
        account: &str,
        gap: Gap,
        pairs: &mut BTreeSet<String>,
        outlet: &Outlet,
    ) -> Result<bool, Error> {
        let path = format!("/accounts/{}/ledger?start_date={}&limit=100", percent_encode(account), gap.since);
        self.pages::<Entry>(&path, outlet, |row| {
            let young = time(&row.created_at) >= gap.since;
            let named = row.details.product_id.filter(|pair| young && is_pair(pair));
            pairs.extend(named);
            young
        })
        .await
    }

    /// Reads a list page by page until `look` has seen a row that is older than wanted, and hands the pages over, oldest first;
    /// returns whether it got there or to the end.
    async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        outlet: &Outlet,
        look: impl FnMut(T) -> bool,
    ) -> Result<bool, Error> {
        let mut pile = Pile::default();
        let read = self.read(path, look, &mut pile).await;
        pile.hand_over(outlet).await?;
        read
    }

    async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        mut look: impl FnMut(T) -> bool,
        pile: &mut Pile,
    ) -> Result<bool, Error> {
        let mut question = path.to_owned();
        for _ in 0..PAGES {
            let answer = self.ask(&question).await?;
            let rows: Vec<T> =
                serde_json::from_str(&answer.text).map_err(|_| Error::Protocol("an answer of an unexpected shape"))?;
            let older = answer.older.clone().filter(|_| !rows.is_empty());
            let (at, body) = answer.page(question.trim_start_matches('/'))?;
            pile.keep(at, Source::AccountRest(self.id.clone()), body);
            let mut all_young = true;
            for row in rows {
                all_young &= look(row);
            }
            match older {
                Some(cursor) if all_young => {
                    let mark = if path.contains('?') { '&' } else { '?' };
                    question = format!("{path}{mark}after={}", percent_encode(&cursor));
                }
                Some(_) | None => return Ok(true),
            }
        }
        Ok(false)
    }
}

/// Reads a time; one that cannot be read counts as recent, so that reading goes on.
fn time(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap_or(Timestamp::from_nanos(i64::MAX))
}

fn spelled(pair: &Symbol) -> String {
    format!("{}-{}", pair.base().as_str(), pair.quote().as_str())
}
