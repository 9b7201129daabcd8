//! The pairs of Coinbase Exchange: its `user` channel wants each of them named, and a thief chooses any.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::accepted;
use crate::feed::error::Error;
use crate::feed::rest::{Call, Rest};
use crate::runtime::clock;

/// How long the list is believed.
const FRESH: Duration = Duration::from_secs(3_600);
/// Pairs taken of the list; Coinbase has some hundred.
const MOST: usize = 5_000;

/// The list, as last read.
#[derive(Debug, Default)]
pub(super) struct Products(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    ids: BTreeSet<String>,
    /// Pairs of the list that a subscription was refused for.
    refused: BTreeSet<String>,
    read_at: Option<Instant>,
}

/// `{"id":"ABC-USD","base_currency":"ABC","quote_currency":"USD","status":"online","trading_disabled":false}`
#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(default)]
    status: String,
}

impl Products {
    fn list(&self) -> std::sync::MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the pairs to subscribe.
    pub(super) fn wanted(&self) -> BTreeSet<String> {
        let list = self.list();
        list.ids.difference(&list.refused).cloned().collect()
    }

    /// Leaves a pair out from now on; false when it is none of the list.
    pub(super) fn refuse(&self, id: &str) -> bool {
        let mut list = self.list();
        list.ids.contains(id) && list.refused.insert(id.to_owned())
    }

    /// Reads the list anew when it is old. A list that cannot be read is replaced by the one before.
    pub(super) async fn read(&self, rest: &Rest) -> Result<(), Error> {
        let age = self.list().read_at.map(|at| clock::steady().saturating_duration_since(at));
        if age.is_some_and(|age| age < FRESH) {
            return Ok(());
        }
        match fetch(rest).await {
            Ok(ids) => {
                let mut list = self.list();
                (list.ids, list.read_at) = (ids, Some(clock::steady()));
                Ok(())
            }
            Err(error) if self.list().ids.is_empty() => Err(error),
            Err(error) => {
                tracing::warn!(%error, "coinbase exchange: the list of pairs could not be read; the one before is used");
                Ok(())
            }
        }
    }
}

async fn fetch(rest: &Rest) -> Result<BTreeSet<String>, Error> {
    let sign = || Ok(Call { path: "/products".to_owned(), cost: 1, ..Call::default() });
    let answer = accepted(rest.ask(sign).await?)?;
    let rows: Vec<Row> =
        serde_json::from_str(&answer.text).map_err(|_| Error::Protocol("a list of pairs of an unexpected shape"))?;
    let rows = rows.into_iter().filter(|row| row.status != "delisted" && is_pair(&row.id));
    let ids: BTreeSet<String> = rows.map(|row| row.id).take(MOST).collect();
    if ids.is_empty() { Err(Error::Protocol("a list of pairs without any")) } else { Ok(ids) }
}

/// Returns whether what the exchange named is safe to put into a question.
pub(super) fn is_pair(text: &str) -> bool {
    (3..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
