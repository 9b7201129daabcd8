//! A classic account's past: the ledger names the pairs that traded and their trades, the fills of those pairs say the
//! rest. Sure only when every trade that the ledger names was found among the fills.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::gap::{Asked, is_pair, weeks, windows};
use crate::codec::wire::Id;
use crate::domain::Span;
use crate::feed::error::Error;
use crate::feed::link::Gap;

/// Milliseconds the ledger may be asked for at once.
const DAY: i64 = 86_400_000;
/// Rows of a page of the ledger, and of fills.
const ROWS: (usize, usize) = (200, 100);
/// How far a trade's own time may lie from that of its ledger row.
const SLACK: Span = Span::from_secs(10);
/// Trades kept for comparison; a gap with more is not verified.
const TRADES: usize = 100_000;

/// A book of trades: where its ledger is, and where its fills are.
struct Book {
    name: &'static str,
    ledger: &'static str,
    kind: &'static str,
    fills: &'static str,
}

/// Spot, and margin with one purse and with one a pair: whoever holds a key to trade can trade on all three.
const BOOKS: [Book; 3] = [
    Book { name: "spot", ledger: "/api/v1/hf/accounts/ledgers", kind: "TRADE_EXCHANGE", fills: "/api/v1/hf/fills?" },
    Book {
        ledger: "/api/v3/hf/margin/account/ledgers",
        name: "cross margin",
        kind: "MARGIN_EXCHANGE",
        fills: "/api/v3/hf/margin/fills?tradeType=MARGIN_TRADE&",
    },
    Book {
        ledger: "/api/v3/hf/margin/account/ledgers",
        name: "isolated margin",
        kind: "ISOLATED_EXCHANGE",
        fills: "/api/v3/hf/margin/fills?tradeType=MARGIN_ISOLATED_TRADE&",
    },
];

#[derive(Deserialize)]
struct Entry {
    context: Option<String>,
}

/// `{"symbol":"ABC-USDT","orderId":"6f01","tradeId":"1102"}`, as JSON inside a text.
#[derive(Deserialize)]
struct Context {
    symbol: Option<String>,
    #[serde(rename = "tradeId")]
    trade: Option<Id>,
}

#[derive(Deserialize)]
struct Fill {
    #[serde(rename = "tradeId")]
    trade: Option<Id>,
}

/// The trades that a ledger names, by pair.
#[derive(Default)]
struct Traded {
    pairs: BTreeMap<String, BTreeSet<String>>,
    trades: usize,
}

impl Traded {
    fn note(&mut self, entry: &str) {
        let Ok(Entry { context: Some(context) }) = serde_json::from_str::<Entry>(entry) else { return };
        let Ok(Context { symbol: Some(pair), trade }) = serde_json::from_str::<Context>(&context) else { return };
        if !is_pair(&pair) {
            return;
        }
        let trades = self.pairs.entry(pair).or_default();
        self.trades += 1;
        if self.trades <= TRADES {
            trades.extend(trade.map(|id| id.0.to_string()).filter(|id| !id.is_empty()));
        }
    }
}

/// Asks for what a classic account missed; returns whether nothing can be missing.
pub(super) async fn classic(asked: &Asked<'_>, gap: Gap) -> Result<bool, Error> {
    let mut complete = true;
    for (place, book) in BOOKS.iter().enumerate() {
        let read = book.read(asked, gap).await;
        // Margin is a separate agreement: without it KuCoin refuses the question.
        complete &= if place == 0 { read? } else { asked.beside(book.name, read)? };
    }
    Ok(complete)
}

impl Book {
    async fn read(&self, asked: &Asked<'_>, gap: Gap) -> Result<bool, Error> {
        let (mut traded, mut complete) = (Traded::default(), true);
        for (start, stop) in windows(gap.since, gap.until, DAY) {
            let (path, kind, limit) = (self.ledger, self.kind, ROWS.0);
            let query = format!("{path}?bizType={kind}&startAt={start}&endAt={stop}&limit={limit}");
            let look = |page: &super::gap::Page<'_>| page.rows.iter().for_each(|row| traded.note(row.get()));
            complete &= asked.pages(&query, limit, 2, look).await?;
        }
        complete &= traded.trades <= TRADES;
        for (pair, mut missing) in traded.pairs {
            for (start, stop) in weeks(gap.since - SLACK, gap.until + SLACK) {
                let (path, limit) = (self.fills, ROWS.1);
                let query = format!("{path}symbol={pair}&startAt={start}&endAt={stop}&limit={limit}");
                let look = |page: &super::gap::Page<'_>| {
                    let fills = page.rows.iter().filter_map(|row| serde_json::from_str::<Fill>(row.get()).ok());
                    // A number here, a text in the ledger.
                    for id in fills.filter_map(|fill| fill.trade) {
                        missing.remove(id.0.as_str());
                    }
                };
                complete &= asked.pages(&query, limit, 2, look).await?;
            }
            if !missing.is_empty() {
                tracing::debug!(account = %asked.id, trades = missing.len(), "the ledger names trades that no page held");
                complete = false;
            }
        }
        Ok(complete)
    }
}
