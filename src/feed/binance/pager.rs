//! Lists of trades, page by page, as far as a gap reaches.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::gap::{Asking, read};
use crate::domain::Wallet;
use crate::feed::error::Error;

/// Rows of one page.
const PAGE: usize = 1_000;
/// Pages read of one pair.
const PAGES: usize = 20;
const DAY_MS: i64 = 86_400_000;

/// What the pages of one pair held.
#[derive(Debug, Default)]
pub(super) struct Paged {
    /// Whether they were read to their end.
    pub(super) complete: bool,
    /// In which assets the commissions were paid; none where there was no trade.
    pub(super) fee_assets: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Trade {
    id: i64,
    time: i64,
    #[serde(rename = "commissionAsset")]
    commission_asset: String,
}

#[derive(Deserialize)]
struct Income {
    #[serde(default)]
    symbol: String,
    time: i64,
}

/// Reads a spot pair's trades: the first page by time, the others by id.
pub(super) async fn by_id(asking: &Asking<'_>, pair: &str) -> Result<Paged, Error> {
    let mut paged = Paged::default();
    let mut paging = ("startTime", asking.gap.since.millis().to_string());
    for _ in 0..PAGES {
        let params = [("symbol", pair.to_owned()), (paging.0, paging.1.clone()), ("limit", PAGE.to_string())];
        let trades = asking.account.ask(asking.venues, "/api/v3/myTrades", &params, 20).await?;
        let rows: Vec<Trade> = read(&trades.text)?;
        asking.pass(trades, format!("myTrades?symbol={pair}&{}={}", paging.0, paging.1)).await?;
        let (last, full) = (rows.iter().map(|trade| trade.id).max(), rows.len() >= PAGE);
        paged.fee_assets.extend(rows.into_iter().map(|trade| trade.commission_asset));
        match last {
            Some(last) if full => paging = ("fromId", last.saturating_add(1).to_string()),
            Some(_) | None => {
                paged.complete = true;
                break;
            }
        }
    }
    Ok(paged)
}

/// Reads a margin or futures pair's trades in spans of time that the exchange answers in one call: a day on margin, a week
/// on futures. A page that ends within a millisecond is read again from there; what comes twice counts once.
pub(super) async fn by_time(asking: &Asking<'_>, pair: &str) -> Result<Paged, Error> {
    let (path, name, span, cost) = match &asking.account.wallet {
        Wallet::Spot | Wallet::Margin | Wallet::Isolated(_) => ("/sapi/v1/margin/myTrades", "myTrades", DAY_MS, 10),
        Wallet::Futures => ("/fapi/v1/userTrades", "userTrades", 7 * DAY_MS, 5),
    };
    let isolated = matches!(asking.account.wallet, Wallet::Isolated(_));
    let mut paged = Paged::default();
    let mut spans = Spans::new(asking, span);
    for _ in 0..PAGES {
        let Some((from, to)) = spans.next() else { break };
        let mut params = vec![("symbol", pair.to_owned())];
        if isolated {
            params.push(("isIsolated", "TRUE".to_owned()));
        }
        params.extend([("startTime", from.to_string()), ("endTime", to.to_string()), ("limit", PAGE.to_string())]);
        let trades = asking.account.ask(asking.venues, path, &params, cost).await?;
        let rows: Vec<Trade> = read(&trades.text)?;
        asking.pass(trades, format!("{name}?symbol={pair}&startTime={from}")).await?;
        spans.read(rows.len(), rows.iter().map(|trade| trade.time).max());
        paged.fee_assets.extend(rows.into_iter().map(|trade| trade.commission_asset));
    }
    paged.complete = spans.next().is_none();
    Ok(paged)
}

/// Reads the commissions paid in the gap; returns the pairs they name, and whether all were read.
pub(super) async fn commissions(asking: &Asking<'_>) -> Result<(BTreeSet<String>, bool), Error> {
    let mut pairs = BTreeSet::new();
    let mut spans = Spans::new(asking, 7 * DAY_MS);
    for _ in 0..PAGES {
        let Some((from, to)) = spans.next() else { break };
        let params = [
            ("incomeType", "COMMISSION".to_owned()),
            ("startTime", from.to_string()),
            ("endTime", to.to_string()),
            ("limit", PAGE.to_string()),
        ];
        let page = asking.account.ask(asking.venues, "/fapi/v1/income", &params, 30).await?;
        let rows: Vec<Income> = read(&page.text)?;
        asking.pass(page, format!("income?incomeType=COMMISSION&startTime={from}")).await?;
        spans.read(rows.len(), rows.iter().map(|row| row.time).max());
        pairs.extend(rows.into_iter().map(|row| row.symbol).filter(|symbol| !symbol.is_empty()));
    }
    Ok((pairs, spans.next().is_none()))
}

/// The spans of time a gap is read in, in milliseconds; both ends belong to a span.
struct Spans {
    from: i64,
    until: i64,
    longest: i64,
}

impl Spans {
    /// Reaches to the exchange's present: its clock and ours are two.
    fn new(asking: &Asking<'_>, longest: i64) -> Self {
        let now = asking.account.rest(asking.venues).millis();
        Spans { from: asking.gap.since.millis(), until: asking.gap.until.millis().max(now), longest }
    }

    fn next(&self) -> Option<(i64, i64)> {
        let to = self.from.saturating_add(self.longest - 1).min(self.until);
        (self.from <= self.until).then_some((self.from, to))
    }

    /// Takes how many rows the last span had, and the time of its newest.
    fn read(&mut self, rows: usize, newest: Option<i64>) {
        let Some((from, to)) = self.next() else { return };
        self.from = match newest.filter(|_| rows >= PAGE) {
            // A page full of one millisecond cannot be read past; going on is all that is left.
            Some(newest) => newest.max(from.saturating_add(1)),
            None => to.saturating_add(1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_touch_without_a_hole_and_a_full_page_is_gone_on_from() {
        let mut spans = Spans { from: 1_000, until: 1_000 + 2 * DAY_MS, longest: DAY_MS };
        assert_eq!(spans.next(), Some((1_000, 999 + DAY_MS)));
        spans.read(PAGE, Some(5_000));
        assert_eq!(spans.next(), Some((5_000, 4_999 + DAY_MS)), "the newest millisecond is read again");
        spans.read(PAGE, Some(5_000));
        assert_eq!(spans.next().map(|span| span.0), Some(5_001));
        spans.read(PAGE - 1, Some(6_000));
        assert_eq!(spans.next(), Some((5_001 + DAY_MS, 1_000 + 2 * DAY_MS)));
        spans.read(0, None);
        assert_eq!(spans.next(), None);
    }
}
