//! What a KuCoin account missed: the ledger names the pairs that traded, the fills of those pairs say the rest.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::account::Mode;
use super::{ask, read};
use crate::arrival::{Body, Source};
use crate::domain::AccountId;
use crate::feed::error::Error;
use crate::feed::link::Gap;
use crate::feed::outlet::{Outlet, Pile};
use crate::feed::rest::Answer;
use crate::feed::sign::KucoinSigner;
use crate::feed::venues::Venues;

/// Milliseconds the ledger may be asked for at once.
const DAY: i64 = 86_400_000;
/// Rows of a page of the ledger, and of fills.
const ROWS: (usize, usize) = (200, 100);
/// Pages read of one question; a gap with more is not verified.
const PAGES: usize = 100;

#[derive(Deserialize)]
struct Ledger {
    data: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    context: Option<String>,
}

#[derive(Deserialize)]
struct Context {
    symbol: Option<String>,
}

#[derive(Deserialize)]
struct Fills<'a> {
    #[serde(borrow)]
    data: Option<Page<'a>>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    #[serde(rename = "lastId", borrow)]
    last: Option<&'a RawValue>,
}

/// Asks for what the account missed and hands the pages over; verified when all pages were read.
pub(super) async fn fill(
    venues: &Venues,
    id: &AccountId,
    signer: &KucoinSigner,
    mode: Mode,
    gap: Gap,
    outlet: &Outlet,
) -> Result<(), Error> {
    let account = Asked { venues, id, signer, outlet };
    let verified = match mode {
        Mode::Classic => account.classic(gap).await?,
        Mode::Unified => account.unified(gap).await?,
    };
    let filled = Body::Filled { since: gap.since, until: gap.until, verified };
    outlet.note(Source::AccountRest(id.clone()), filled).await
}

struct Asked<'a> {
    venues: &'a Venues,
    id: &'a AccountId,
    signer: &'a KucoinSigner,
    outlet: &'a Outlet,
}

impl Asked<'_> {
    async fn ask(&self, path: &str) -> Result<Answer, Error> {
        ask(&self.venues.kucoin, self.signer, false, path, 2).await
    }

    async fn pass(&self, answer: Answer, path: &str) -> Result<(), Error> {
        let (at, page) = answer.page(named(path))?;
        self.outlet.pass(at, Source::AccountRest(self.id.clone()), page).await
    }

    async fn classic(&self, gap: Gap) -> Result<bool, Error> {
        let (mut pairs, mut complete) = (BTreeSet::new(), true);
        let (mut start, end) = (gap.since.millis(), gap.until.millis().saturating_add(1));
        while start < end {
            let stop = end.min(start.saturating_add(DAY));
            complete &= self.ledger(start, stop, &mut pairs).await?;
            start = stop;
        }
        for pair in &pairs {
            complete &= self.fills(pair, gap).await?;
        }
        Ok(complete)
    }

    /// Reads the ledger of an interval; returns whether all of it.
    async fn ledger(&self, start: i64, stop: i64, pairs: &mut BTreeSet<String>) -> Result<bool, Error> {
        let limit = ROWS.0;
        let query =
            format!("/api/v1/hf/accounts/ledgers?bizType=TRADE_EXCHANGE&startAt={start}&endAt={stop}&limit={limit}");
        let mut path = query.clone();
        for _ in 0..PAGES {
            let answer = self.ask(&path).await?;
            let rows = read::<Ledger>(&answer.text)?.data.unwrap_or_default();
            self.pass(answer, &path).await?;
            // The context is JSON inside a text.
            let contexts = rows.iter().filter_map(|row| serde_json::from_str::<Context>(row.context.as_deref()?).ok());
            pairs.extend(contexts.filter_map(|context| context.symbol).filter(|pair| is_pair(pair)));
            match rows.last() {
                Some(last) if rows.len() >= limit && is_id(&last.id) => path = format!("{query}&lastId={}", last.id),
                Some(_) | None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Reads a pair's fills; returns whether all of them.
    async fn fills(&self, pair: &str, gap: Gap) -> Result<bool, Error> {
        let (start, stop, limit) = (gap.since.millis(), gap.until.millis().saturating_add(1), ROWS.1);
        self.pages(&format!("/api/v1/hf/fills?symbol={pair}&startAt={start}&endAt={stop}&limit={limit}")).await
    }

    /// Reads the unified account's spot executions. Never sure: its margin and futures books are not asked for.
    async fn unified(&self, gap: Gap) -> Result<bool, Error> {
        let (start, stop, limit) = (gap.since.millis(), gap.until.millis().saturating_add(1), ROWS.1);
        let query =
            format!("/api/ua/v1/unified/order/execution?tradeType=SPOT&startAt={start}&endAt={stop}&pageSize={limit}");
        self.pages(&query).await.map(|_| false)
    }

    /// Reads all pages of a list of fills, and hands over those it got; returns whether it got to the last.
    async fn pages(&self, query: &str) -> Result<bool, Error> {
        let mut pile = Pile::default();
        let read = self.read(query, &mut pile).await;
        pile.hand_over(self.outlet).await?;
        read
    }

    async fn read(&self, query: &str, pile: &mut Pile) -> Result<bool, Error> {
        let mut path = query.to_owned();
        for _ in 0..PAGES {
            let answer = self.ask(&path).await?;
            let (rows, last) = match read::<Fills<'_>>(&answer.text)?.data {
                Some(page) => (page.items.len(), page.last.map(|id| id.get().trim_matches('"').to_owned())),
                None => (0, None),
            };
            let (at, page) = answer.page(named(&path))?;
            pile.keep(at, Source::AccountRest(self.id.clone()), page);
            match last {
                Some(last) if rows >= ROWS.1 && is_id(&last) => path = format!("{query}&lastId={last}"),
                Some(_) | None => return Ok(true),
            }
        }
        Ok(false)
    }
}

/// Returns a call's name as recordings have it.
fn named(path: &str) -> &str {
    path.trim_start_matches("/api/").trim_start_matches("v1/")
}

/// Returns whether what an answer named is safe to put into the next question.
fn is_pair(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
