//! What feeds reported, as log lines: arrival, account and reason, never content; a flood is counted instead.

use std::collections::BTreeMap;

use super::counters::Counters;
use crate::arrival::{Arrival, Source};
use crate::domain::{FeedKind, Span, Timestamp};

/// Lines of one source within a minute; more are counted.
const LINES: u32 = 10;
const MINUTE: Span = Span::from_secs(60);

/// The log of what feeds reported; it remembers one minute of each source.
#[derive(Debug, Default)]
pub(super) struct FeedLog {
    minutes: BTreeMap<Source, Minute>,
}

#[derive(Debug)]
struct Minute {
    began: Timestamp,
    lines: u32,
    kept_back: u64,
}

/// Whether a line may be written, and how many were kept back since the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leave {
    granted: bool,
    kept_back: u64,
}

impl FeedLog {
    /// Writes down what `arrival` said about its feed.
    pub(super) fn note(&mut self, arrival: &Arrival, kind: &FeedKind) {
        let (n, from) = (arrival.n, &arrival.from);
        match kind {
            // The feeds themselves say when they come and go.
            FeedKind::Up | FeedKind::Down(_) => return,
            FeedKind::ClosingSoon
            | FeedKind::Ended(_)
            | FeedKind::Refused { .. }
            | FeedKind::Skipped { .. }
            | FeedKind::Unreadable(_)
            | FeedKind::Unknown(_)
            | FeedKind::GapFilled { .. } => {}
        }
        let leave = self.ask(from, arrival.at);
        if leave.kept_back > 0 {
            tracing::warn!("{from}: {} more reports within a minute were not written here", leave.kept_back);
        }
        if !leave.granted {
            return;
        }
        match kind {
            FeedKind::Up | FeedKind::Down(_) => {}
            FeedKind::ClosingSoon => tracing::info!("{from}: arrival {n} says that the connection will be closed soon"),
            FeedKind::Ended(why) => tracing::error!("{from}: the feed was ended (arrival {n}): {why}"),
            FeedKind::Refused { code, why } => tracing::warn!("{from}: arrival {n} is a refusal, {code}: {why}"),
            FeedKind::Skipped { expected, got } => {
                tracing::warn!("{from}: arrival {n} has number {got} where {expected} should be: messages are missing");
            }
            FeedKind::Unreadable(why) => tracing::warn!("{from}: arrival {n} could not be read: {why}"),
            FeedKind::Unknown(_) => tracing::debug!("{from}: arrival {n} is of a kind that is not known"),
            FeedKind::GapFilled { since, until, recovered: 0, verified: true, .. } => {
                tracing::debug!("{from}: {since} to {until} was asked for: nothing was missed (arrival {n})");
            }
            FeedKind::GapFilled { since, until, recovered, unsent, verified } => tracing::info!(
                "{from}: {since} to {until} was asked for: {recovered} fills found, {unsent} of them traded while the \
                 feed was up and were not sent, {} (arrival {n})",
                if *verified { "verified" } else { "not verified" }
            ),
        }
    }

    /// Writes down how well each account was heard in a day.
    pub(super) fn totals(&self, day: &Counters) {
        for (account, heard) in day.accounts() {
            tracing::info!(
                %account,
                by_stream = heard.by_stream,
                by_gap_fill = heard.by_gap_fill,
                never_sent = heard.never_sent(),
                late = heard.late,
                repeats = heard.repeats,
                unverified = heard.unverified,
                unverified_secs = heard.unverified_secs,
                connects = heard.connects,
                unreadable = heard.unreadable,
                "how this account was heard today"
            );
        }
        for (rule, times) in day.unjudged_by_rule() {
            tracing::info!(rule, times, "how often this rule could not be judged since the start");
        }
    }

    fn ask(&mut self, from: &Source, at: Timestamp) -> Leave {
        if !self.minutes.contains_key(from) {
            self.minutes.insert(from.clone(), Minute { began: at, lines: 0, kept_back: 0 });
        }
        let Some(minute) = self.minutes.get_mut(from) else { return Leave { granted: true, kept_back: 0 } };
        let mut kept_back = 0;
        if at.since(minute.began) >= MINUTE {
            kept_back = minute.kept_back;
            *minute = Minute { began: at, lines: 0, kept_back: 0 };
        }
        let granted = minute.lines < LINES;
        minute.lines += u32::from(granted);
        minute.kept_back += u64::from(!granted);
        Leave { granted, kept_back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_with_the_next_minute() {
        let mut log = FeedLog::default();
        let (alice, bob): (Source, Source) = ("binance/alice".parse().unwrap(), "binance/bob".parse().unwrap());
        let at = |second| Timestamp::from_nanos(1_772_355_600_000_000_000) + Span::from_secs(second);
        let granted = (0..50).filter(|place| log.ask(&alice, at(*place)).granted).count();
        assert_eq!(granted, LINES as usize);
        assert_eq!(log.ask(&bob, at(50)), Leave { granted: true, kept_back: 0 }, "another source has its own minute");
        assert_eq!(log.ask(&alice, at(60)), Leave { granted: true, kept_back: 40 });
        assert_eq!(log.ask(&alice, at(61)), Leave { granted: true, kept_back: 0 });
    }
}
