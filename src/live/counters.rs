//! How well each account is heard: what its stream told, what had to be asked for, what nobody could verify.

use std::collections::BTreeMap;

use compact_str::CompactString;

use crate::arrival::Arrival;
use crate::codec::dedupe::Repeats;
use crate::domain::{AccountId, Event, EventKind, FeedKind, Span, Via};

/// The counts of all accounts since the daemon started; there are as many as accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    accounts: BTreeMap<AccountId, Heard>,
    repeats: Repeats,
    /// How often a rule of the user's could not be judged, since the daemon started: all together, and by rule.
    unjudged: u64,
    by_rule: BTreeMap<CompactString, u64>,
}

/// How well one account is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Fills that its stream told first.
    pub by_stream: u64,
    /// Fills that were asked for and traded while its link was down, or before it was first watched.
    pub by_gap_fill: u64,
    /// Fills that were asked for although its link was up when they traded.
    pub unsent: u64,
    /// Those of them that its stream told later. What is left of `unsent` was never sent.
    pub late: u64,
    /// Fills that were told again and dropped.
    pub repeats: u64,
    /// Intervals that were asked for and could not be verified.
    pub unverified: u64,
    /// Seconds in them.
    pub unverified_secs: u64,
    /// Times its link came up.
    pub connects: u64,
    /// Frames and answers that could not be read.
    pub unreadable: u64,
}

impl Counters {
    /// Counts what an arrival brought; `repeats` is how many fills the pipeline has dropped so far.
    pub fn note(&mut self, arrival: &Arrival, events: &[Event], repeats: Repeats) {
        let new = Repeats {
            dropped: repeats.dropped.saturating_sub(self.repeats.dropped),
            late: repeats.late.saturating_sub(self.repeats.late),
        };
        self.repeats = repeats;
        let Some(account) = arrival.from.account() else { return };
        if events.is_empty() && new == Repeats::default() {
            return;
        }
        let heard = self.accounts.entry(account.clone()).or_default();
        heard.repeats += new.dropped;
        heard.late += new.late;
        for event in events {
            match &event.kind {
                EventKind::Fill(fill) => heard.by_stream += u64::from(fill.via == Via::Stream),
                EventKind::Feed(change) => heard.feed(&change.kind),
                EventKind::Confirmed(_)
                | EventKind::Order(_)
                | EventKind::Balance(_)
                | EventKind::Access(_)
                | EventKind::Leaks(_)
                | EventKind::Answer(_)
                | EventKind::Drill(_)
                | EventKind::KeyState(_)
                | EventKind::KeyList(_)
                | EventKind::Market(_)
                | EventKind::Cap(_)
                | EventKind::Tick => {}
            }
        }
    }

    /// Returns each account's counts, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountId, &Heard)> {
        self.accounts.iter()
    }

    /// Notes how often rules of the user's could not be judged so far.
    pub fn note_unjudged(&mut self, all: u64, by_rule: impl Iterator<Item = (CompactString, u64)>) {
        self.unjudged = all;
        self.by_rule = by_rule.collect();
    }

    /// Returns how often a rule of the user's could not be judged since the daemon started.
    pub fn unjudged(&self) -> u64 {
        self.unjudged
    }

    /// Returns the same for each rule of which that is true.
    pub fn unjudged_by_rule(&self) -> impl Iterator<Item = (&str, u64)> {
        self.by_rule.iter().map(|(rule, times)| (rule.as_str(), *times))
    }

    /// Begins anew, without forgetting what is counted since the daemon started; returns the counts so far.
    pub fn take(&mut self) -> Counters {
        let next = Counters { accounts: BTreeMap::new(), ..self.clone() };
        std::mem::replace(self, next)
    }
}

impl Heard {
    /// Returns how many fills the stream never sent.
    pub fn never_sent(&self) -> u64 {
        self.unsent.saturating_sub(self.late)
    }

    fn feed(&mut self, kind: &FeedKind) {
        match kind {
            FeedKind::GapFilled { since, until, recovered, unsent, verified } => {
                self.by_gap_fill += recovered.saturating_sub(*unsent);
                self.unsent += unsent;
                if !verified {
                    let span = until.since(*since).max(Span::default());
                    self.unverified += 1;
                    self.unverified_secs += u64::try_from(span.nanos() / 1_000_000_000).unwrap_or(0);
                }
            }
            FeedKind::Up => self.connects += 1,
            FeedKind::Unreadable(_) => self.unreadable += 1,
            FeedKind::Down(_)
            | FeedKind::ClosingSoon
            | FeedKind::Ended(_)
            | FeedKind::Refused { .. }
            | FeedKind::Skipped { .. }
            | FeedKind::Unknown(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::{Body, Incoming};
    use crate::domain::{FeedChange, Timestamp, Wallet};

    #[test]
    fn each_kind_is_counted_for_its_account_and_a_day_begins_anew() {
        let at = Timestamp::from_millis(1_770_000_000_000);
        let mut counters = Counters::default();
        let mut note = |account: &str, kind: FeedKind, repeats: Repeats| {
            let id: AccountId = account.parse().unwrap();
            let from = account.parse().unwrap();
            let arrival = Incoming { at, from, body: Body::Tick }.numbered(1);
            let change = FeedChange { account: Some(id.clone()), venue: Some(id.venue), wallet: Wallet::Spot, kind };
            counters.note(&arrival, &[Event { n: 1, at, kind: EventKind::Feed(change) }], repeats);
        };
        let repeats = |dropped, late| Repeats { dropped, late };
        let filled = |recovered, unsent, verified| FeedKind::GapFilled {
            since: at - Span::from_secs(90),
            until: at,
            recovered,
            unsent,
            verified,
        };
        note("binance/alice", filled(5, 2, false), repeats(0, 0));
        note("binance/alice", FeedKind::Unreadable("x".into()), repeats(3, 1));
        note("binance/bob", FeedKind::Up, repeats(3, 1));
        note("binance/bob", filled(0, 0, true), repeats(4, 1));
        let day = counters.take();
        let of = |name: &str| day.accounts().find(|(id, _)| id.to_string() == name).map(|(_, heard)| *heard).unwrap();
        let alice = Heard {
            by_gap_fill: 3,
            unsent: 2,
            late: 1,
            repeats: 3,
            unverified: 1,
            unverified_secs: 90,
            unreadable: 1,
            ..Heard::default()
        };
        assert_eq!((of("binance/alice"), of("binance/alice").never_sent()), (alice, 1));
        assert_eq!(of("binance/bob"), Heard { connects: 1, repeats: 1, ..Heard::default() });
        assert_eq!(counters.accounts().count(), 0);
    }
}
