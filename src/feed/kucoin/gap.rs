//! What a KuCoin account missed, asked of the history that belongs to its mode, page by page to the end.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::asker::Asker;
use super::mode::Mode;
use super::{executions, ledger, read};
use crate::arrival::Source;
use crate::codec::wire::Id;
use crate::domain::{AccountId, Timestamp};
use crate::feed::error::{Error, Meaning};
use crate::feed::link::Gap;
use crate::feed::outlet::{Outlet, Pile};

/// Milliseconds that fills may be asked for at once: KuCoin refuses more than seven days.
const WEEK: i64 = 7 * 86_400_000;
/// Pages read of one question; a gap with more is not verified.
const PAGES: usize = 100;

/// One account's questions about its past.
pub(super) struct Asked<'a> {
    pub(super) asker: &'a Asker,
    pub(super) id: &'a AccountId,
    pub(super) outlet: &'a Outlet,
    /// The books that the key has no right to: whatever is in them was not seen.
    unseen: Mutex<BTreeSet<&'static str>>,
}

/// A page: `[..]`, or `{"items":[..],"lastId":7}` where `lastId` asks for what is older.
pub(super) struct Page<'a> {
    pub(super) rows: Vec<&'a RawValue>,
    last: Option<Id>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Items<'a> {
    #[serde(default, borrow)]
    items: Vec<&'a RawValue>,
    #[serde(rename = "lastId")]
    last: Option<Id>,
}

#[derive(Deserialize)]
struct Row {
    id: Option<Id>,
}

impl<'a> Asked<'a> {
    /// Begins with nothing asked.
    pub(super) fn new(asker: &'a Asker, id: &'a AccountId, outlet: &'a Outlet) -> Self {
        Asked { asker, id, outlet, unseen: Mutex::default() }
    }

    /// Returns the books that could not be looked into so far.
    pub(super) fn unseen(&self) -> BTreeSet<&'static str> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what came of a book beside spot. A refusal that speaks of a right leaves the book unseen; any other that
    /// says nothing about the key means that this account has no such book.
    pub(super) fn beside(&self, book: &'static str, read: Result<bool, Error>) -> Result<bool, Error> {
        if let Err(Error::Refused(refusal)) = &read
            && matches!(refusal.meaning, Meaning::Right | Meaning::UnifiedRight)
        {
            self.unseen.lock().unwrap_or_else(PoisonError::into_inner).insert(book);
        }
        tolerated(read)
    }

    /// Asks the history of `mode`; returns whether nothing can be missing.
    pub(super) async fn history(&self, mode: Mode, gap: Gap) -> Result<bool, Error> {
        match mode {
            Mode::Classic => ledger::classic(self, gap).await,
            Mode::Unified => executions::unified(self, gap).await,
        }
    }

    /// Asks the history of the mode that the account perhaps had before. That it refuses is no gap: then there is
    /// nothing in it, or it was never the account's.
    pub(super) async fn other_history(&self, mode: Mode, gap: Gap) -> Result<bool, Error> {
        tolerated(self.history(mode, gap).await)
    }

    /// Makes the smallest call that a gap needs.
    pub(super) async fn probe(&self, mode: Mode) -> Result<(), Error> {
        let (path, cost) = match mode {
            Mode::Classic => ("/api/v1/hf/accounts/ledgers?bizType=TRADE_EXCHANGE&limit=1", 2),
            Mode::Unified => ("/api/ua/v1/unified/order/execution?tradeType=SPOT&pageSize=1", executions::COST),
        };
        self.asker.get(path, cost).await.map(drop).map_err(|error| of_mode(mode, error))
    }

    /// Reads all pages of `query`, newest first, shows each to `look`, and hands over those it got, oldest first;
    /// returns whether it got to the last.
    pub(super) async fn pages(
        &self,
        query: &str,
        limit: usize,
        cost: u32,
        look: impl FnMut(&Page<'_>),
    ) -> Result<bool, Error> {
        let mut pile = Pile::default();
        let read = self.read(query, limit, cost, look, &mut pile).await;
        pile.hand_over(self.outlet).await?;
        read
    }

    async fn read(
        &self,
        query: &str,
        limit: usize,
        cost: u32,
        mut look: impl FnMut(&Page<'_>),
        pile: &mut Pile,
    ) -> Result<bool, Error> {
        let mut path = query.to_owned();
        let mut reached: Option<String> = None;
        for _ in 0..PAGES {
            let answer = self.asker.get(&path, cost).await?;
            let page = Page::of(&answer.text)?;
            look(&page);
            let (full, last) = (page.rows.len() >= limit, page.older());
            let call = path.trim_start_matches("/api/").trim_start_matches("v1/");
            let (at, page) = answer.page(call)?;
            pile.keep(at, Source::AccountRest(self.id.clone()), page);
            if !full {
                return Ok(true);
            }
            match last {
                // The same place again would be asked for without end.
                Some(last) if is_id(&last) && reached.as_ref() != Some(&last) => {
                    path = format!("{query}&lastId={last}");
                    reached = Some(last);
                }
                Some(_) | None => return Ok(false),
            }
        }
        Ok(false)
    }
}

impl<'a> Page<'a> {
    fn of(text: &'a str) -> Result<Self, Error> {
        let data = read::<Envelope<'a>>(text)?.data.map(RawValue::get).filter(|data| *data != "null");
        match data {
            None => Ok(Page { rows: Vec::new(), last: None }),
            Some(rows) if rows.starts_with('[') => Ok(Page { rows: read(rows)?, last: None }),
            Some(page) => read::<Items<'a>>(page).map(|Items { items, last }| Page { rows: items, last }),
        }
    }

    /// Returns what to ask for to get older rows.
    fn older(&self) -> Option<String> {
        let of_row = || serde_json::from_str::<Row>(self.rows.last()?.get()).ok()?.id;
        self.last.as_ref().map(|id| id.0.to_string()).or_else(|| of_row().map(|id| id.0.to_string()))
    }
}

/// Takes a refusal that says nothing about the key itself as "there is no such book here".
pub(super) fn tolerated(asked: Result<bool, Error>) -> Result<bool, Error> {
    match asked {
        Err(Error::Refused(refusal))
            if matches!(
                refusal.meaning,
                Meaning::Unknown | Meaning::Other | Meaning::Right | Meaning::UnifiedRight
            ) =>
        {
            tracing::debug!(code = %refusal.code, "a history that this account has not");
            Ok(true)
        }
        Err(Error::Http(404)) => Ok(true),
        asked => asked,
    }
}

/// Says of a unified account which right is missing.
pub(super) fn of_mode(mode: Mode, error: Error) -> Error {
    match (mode, error) {
        (Mode::Unified, Error::Refused(refusal)) => Error::Refused(refusal.of_unified()),
        (Mode::Classic | Mode::Unified, error) => error,
    }
}

/// Returns the pieces of an interval that may be asked for at once, in milliseconds, oldest first.
pub(super) fn windows(since: Timestamp, until: Timestamp, most: i64) -> Vec<(i64, i64)> {
    let (mut start, end) = (since.millis(), until.millis().saturating_add(1));
    let mut windows = Vec::new();
    while start < end {
        let stop = end.min(start.saturating_add(most));
        windows.push((start, stop));
        start = stop;
    }
    windows
}

/// Returns the pieces in which fills are asked for.
pub(super) fn weeks(since: Timestamp, until: Timestamp) -> Vec<(i64, i64)> {
    windows(since, until, WEEK)
}

/// Returns whether what an answer named is safe to put into the next question.
pub(super) fn is_pair(text: &str) -> bool {
    !text.is_empty() && text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_cut_into_pieces_that_leave_nothing_out() {
        let at = Timestamp::from_millis;
        assert_eq!(windows(at(0), at(9), 4), [(0, 4), (4, 8), (8, 10)]);
        assert_eq!(weeks(at(5), at(5)), [(5, 6)]);
        assert!(weeks(at(5), at(4)).is_empty());
        assert_eq!(weeks(at(0), at(30 * 86_400_000)).len(), 5);
    }

    #[test]
    fn a_page_is_read_in_either_shape_and_says_where_it_goes_on() {
        let older = |text: &str| Page::of(text).unwrap().older();
        assert_eq!(older(r#"{"code":"200000","data":{"items":[{"id":9}],"lastId":7}}"#), Some("7".to_owned()));
        assert_eq!(older(r#"{"code":"200000","data":[{"id":"12"},{"id":"11"}]}"#), Some("11".to_owned()));
        assert_eq!(older(r#"{"code":"200000","data":null}"#), None);
        assert!(Page::of(r#"{"code":"200000","data":"x"}"#).is_err());
    }

    #[test]
    fn what_an_answer_names_is_not_put_into_a_question_unseen() {
        assert!(is_pair("APC-BTC") && !is_pair("APC-BTC&x=1") && !is_pair(""));
        assert!(is_id("19814") && !is_id("7&limit=1"));
    }
}
