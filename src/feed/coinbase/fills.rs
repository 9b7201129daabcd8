//! Coinbase's own list of fills: the truth behind the running totals, and the filling of gaps. It needs no pair
//! (<https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/list-fills>).

use std::collections::BTreeSet;

use serde::Deserialize;

use super::account::{learn_time, refused};
use crate::arrival::{Body, Source};
use crate::domain::{AccountId, Span, Timestamp};
use crate::feed::error::Error;
use crate::feed::link::Gap;
use crate::feed::outlet::{Outlet, Pile};
use crate::feed::rest::{Answer, Call};
use crate::feed::sign::{CoinbaseSigner, percent_encode};
use crate::feed::venues::Venues;

const PATH: &str = "/api/v3/brokerage/orders/historical/fills";
/// Orders asked for at once, so that the address stays below 2 KiB.
const ORDERS: usize = 20;
/// Pages read of one question; a gap with more is not verified.
const PAGES: usize = 200;

/// Milliseconds of a clock's jump that can be why a token of two minutes was refused.
const JUMP: i64 = 10_000;

/// One key's questions.
pub(super) struct Asked<'a> {
    pub(super) venues: &'a Venues,
    pub(super) id: &'a AccountId,
    pub(super) signer: &'a CoinbaseSigner,
    pub(super) outlet: &'a Outlet,
}

#[derive(Deserialize)]
struct Page {
    cursor: Option<String>,
}

impl Asked<'_> {
    /// Asks for the fills of these orders.
    pub(super) async fn orders(&self, orders: &BTreeSet<String>) -> Result<(), Error> {
        let orders: Vec<String> = orders.iter().map(|order| format!("order_ids={}", percent_encode(order))).collect();
        for some in orders.chunks(ORDERS) {
            self.pages(&some.join("&")).await?;
        }
        Ok(())
    }

    /// Asks for what was missed; verified when all pages were read.
    pub(super) async fn gap(&self, gap: Gap) -> Result<(), Error> {
        let (since, until) = (rfc3339(gap.since), rfc3339(gap.until + Span::from_millis(1)));
        let query = format!("start_sequence_timestamp={since}&end_sequence_timestamp={until}");
        let verified = self.pages(&query).await?;
        let filled = Body::Filled { since: gap.since, until: gap.until, verified };
        self.outlet.note(Source::AccountRest(self.id.clone()), filled).await
    }

    /// Makes the smallest call that a gap needs.
    pub(super) async fn probe(&self) -> Result<(), Error> {
        self.ask("limit=1").await.map(drop)
    }

    async fn ask(&self, question: &str) -> Result<Answer, Error> {
        let rest = &self.venues.coinbase;
        let sign = || {
            // Host and path as sent; the query is not part of what is signed.
            let uri = format!("GET {}{PATH}", rest.host());
            let token = self.signer.token(Timestamp::from_millis(rest.millis()), Some(&uri))?;
            let headers = vec![("Authorization", format!("Bearer {token}"))];
            Ok(Call { path: format!("{PATH}?{question}"), headers, cost: 1, ..Call::default() })
        };
        let mut answer = rest.ask(sign).await?;
        if answer.status == 401 {
            // Coinbase does not tell a stale token from a dead key; our clock may have jumped since it was compared.
            let before = rest.offset();
            learn_time(rest).await?;
            if (rest.offset() - before).abs() > JUMP {
                answer = rest.ask(sign).await?;
            }
        }
        if answer.status == 200 { Ok(answer) } else { Err(refused(answer.status)) }
    }

    /// Reads all pages of a question, and hands over those it got; returns whether it got to the last.
    async fn pages(&self, query: &str) -> Result<bool, Error> {
        let mut pile = Pile::default();
        let read = self.read(query, &mut pile).await;
        pile.hand_over(self.outlet).await?;
        read
    }

    async fn read(&self, query: &str, pile: &mut Pile) -> Result<bool, Error> {
        let mut paging = String::new();
        for _ in 0..PAGES {
            let question = format!("{query}&limit=100{paging}");
            let answer = self.ask(&question).await?;
            let page: Page =
                serde_json::from_str(&answer.text).map_err(|_| Error::Protocol("an answer of an unexpected shape"))?;
            let (at, body) = answer.page(format!("orders/historical/fills?{question}"))?;
            pile.keep(at, Source::AccountRest(self.id.clone()), body);
            match page.cursor.filter(|cursor| !cursor.is_empty()) {
                Some(cursor) => paging = format!("&cursor={}", percent_encode(&cursor)),
                None => return Ok(true),
            }
        }
        Ok(false)
    }
}

/// Returns the time as Coinbase's filters take it; `:` stays, as in their own examples.
fn rfc3339(at: Timestamp) -> String {
    at.to_string()
}
