//! A unified account's past: its executions, book by book; none needs a pair
//! (<https://www.kucoin.com/docs-new/rest/ua/get-trade-history>).

use super::gap::{Asked, of_mode, weeks};
use super::mode::Mode;
use crate::feed::error::Error;
use crate::feed::link::Gap;

/// Everything the account's feed tells of: spot, both kinds of margin, contracts.
const BOOKS: [&str; 4] = ["SPOT", "CROSS", "ISOLATED", "FUTURES"];
/// Rows of a page.
const ROWS: usize = 100;
/// What a page is paid with: KuCoin counts it as 4, but unified calls have a pool of 200 in 3 s, a third of the purse's flow.
pub(super) const COST: u32 = 12;

/// Asks for what a unified account missed; returns whether nothing can be missing.
pub(super) async fn unified(asked: &Asked<'_>, gap: Gap) -> Result<bool, Error> {
    let mut complete = true;
    for (place, book) in BOOKS.iter().enumerate() {
        let read = read(asked, book, gap).await.map_err(|error| of_mode(Mode::Unified, error));
        // Where margin or contracts were never opened KuCoin refuses the question.
        complete &= if place == 0 { read? } else { asked.beside(book, read)? };
    }
    Ok(complete)
}

async fn read(asked: &Asked<'_>, book: &str, gap: Gap) -> Result<bool, Error> {
    let mut complete = true;
    for (start, stop) in weeks(gap.since, gap.until) {
        let query =
            format!("/api/ua/v1/unified/order/execution?tradeType={book}&startAt={start}&endAt={stop}&pageSize={ROWS}");
        complete &= asked.pages(&query, ROWS, COST, |_| {}).await?;
    }
    Ok(complete)
}
