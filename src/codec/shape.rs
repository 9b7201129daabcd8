//! Taking an arrival apart: its JSON without repeating what it says, its call, and events that carry its number.

use compact_str::{CompactString, format_compact};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::unread::Unread;
use crate::arrival::{Arrival, Source};
use crate::domain::{AccountId, Event, EventKind, FeedChange, FeedKind, Refused, Timestamp, Wallet};

/// Where the events of one arrival go.
pub(super) struct Heard<'a> {
    arrival: &'a Arrival,
    events: &'a mut Vec<Event>,
}

impl<'a> Heard<'a> {
    pub(super) fn new(arrival: &'a Arrival, events: &'a mut Vec<Event>) -> Self {
        Heard { arrival, events }
    }

    /// When the arrival was received.
    pub(super) fn at(&self) -> Timestamp {
        self.arrival.at
    }

    /// Returns the account it is about; market data has none.
    pub(super) fn account(&self) -> Result<AccountId, Unread> {
        self.arrival.from.account().cloned().ok_or_else(|| unread("an account's message without an account"))
    }

    /// Returns which of the account's wallets it is about.
    pub(super) fn wallet(&self) -> Wallet {
        self.arrival.from.wallet()
    }

    pub(super) fn push(&mut self, kind: EventKind) {
        self.events.push(Event { n: self.arrival.n, at: self.arrival.at, kind });
    }

    /// Says that something about the feed changed.
    pub(super) fn feed(&mut self, kind: FeedKind) {
        let from: &Source = &self.arrival.from;
        let change = FeedChange { account: from.account().cloned(), wallet: from.wallet(), venue: from.venue(), kind };
        self.push(EventKind::Feed(change));
    }

    /// Says that the exchange refused something.
    pub(super) fn refused(&mut self, code: &str, why: &str) {
        self.feed(FeedKind::Refused { code: name(code), why: why.into() });
    }

    /// Keeps what could be read of a list: a row that could not is told of and costs no other row.
    pub(super) fn row(&mut self, row: Result<(), Unread>) {
        if let Err(Unread(why)) = row {
            self.feed(FeedKind::Unreadable(why));
        }
    }
}

/// Makes an error of our own words.
pub(super) fn unread(why: &str) -> Unread {
    Unread(why.into())
}

/// Says for what a figure was refused; the figure is not part of it.
pub(super) fn figure(what: &'static str) -> impl Fn(Refused) -> Unread {
    move |refused| Unread(format_compact!("{what}: {refused}"))
}

/// Reads JSON; the error tells the place and not, as `serde_json` does, the value found there.
pub(super) fn read<'a, T: Deserialize<'a>>(what: &str, json: &'a str) -> Result<T, Unread> {
    serde_json::from_str(json)
        .map_err(|error| Unread(format_compact!("{what}: not of the expected shape at column {}", error.column())))
}

/// Reads a list's rows without looking into them.
pub(super) fn rows<'a>(what: &str, json: &'a str) -> Result<Vec<&'a RawValue>, Unread> {
    if json == "null" { Ok(Vec::new()) } else { read(what, json) }
}

/// Returns an exchange's own name of a thing, cut to what is safe to show.
pub(super) fn name(text: &str) -> CompactString {
    let safe = |c: &char| c.is_ascii_alphanumeric() || "/._-@ =".contains(*c);
    text.chars().take_while(safe).take(64).collect()
}

/// Returns the path of a call without its query.
pub(super) fn path(call: &str) -> &str {
    call.split('?').next().unwrap_or("").trim_matches('/')
}

/// Returns one parameter of a call's query, as written.
pub(super) fn parameter<'a>(call: &'a str, key: &str) -> Option<&'a str> {
    let query = call.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(k, _)| *k == key).map(|(_, value)| value))
}

/// Returns a text unless it is empty.
pub(super) fn some(text: &str) -> Option<CompactString> {
    (!text.is_empty()).then(|| text.into())
}

/// Returns an exchange's enum word in lower case with underscores: `Stop Limit` and `STOP_LIMIT` are one.
pub(super) fn word(text: &str) -> Option<CompactString> {
    some(text).map(|text| text.chars().map(|c| if c == ' ' { '_' } else { c.to_ascii_lowercase() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_the_place_and_never_the_value() {
        let why = read::<Vec<bool>>("a list", r#"[true, "hunter2"]"#).unwrap_err().to_string();
        assert!(why.contains("column") && !why.contains("hunter2"), "{why}");
    }

    #[test]
    fn a_call_is_known_by_its_path_and_its_query_by_name() {
        let call = "/api/v1/market/candles?symbol=ABC-USDT&type=1min";
        assert_eq!(path(call), "api/v1/market/candles");
        assert_eq!((parameter(call, "type"), parameter(call, "startAt")), (Some("1min"), None));
        assert_eq!(word("Stop Limit"), word("STOP_LIMIT"));
    }
}
