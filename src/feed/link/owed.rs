//! What the feeds of accounts may have missed: from when on each is to be asked for, and when it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::protocol::Gap;
use crate::arrival::Source;
use crate::domain::{Span, Timestamp};
use crate::feed::error::Advice;
use crate::feed::settings::Timing;
use crate::runtime::backoff::Backoff;

/// Failures in a row after which people are told that an interval is not verified; it stays owed all the same.
const PATIENCE: u32 = 3;

/// What is owed to each subject of a link. An interval leaves it only when the exchange answered for all of it.
pub(super) struct Owed {
    timing: Timing,
    debts: BTreeMap<Source, Debt>,
    /// Those who wait to be asked about: this is looked at with every frame, and there may be a thousand others.
    waiting: BTreeSet<Source>,
}

/// A question whose time has come.
pub(super) struct Question {
    pub(super) source: Source,
    pub(super) gap: Gap,
    /// True for a standing comparison: nothing is known to be missing.
    pub(super) standing: bool,
}

/// One subject's account.
struct Debt {
    /// Up to when the exchange has answered for everything.
    proven: Option<Timestamp>,
    /// From when on nobody was asked yet; none while nothing is owed.
    since: Option<Timestamp>,
    /// Whether nothing but a standing comparison is owed.
    standing: bool,
    /// Where the question that is out begins.
    asked: Option<Timestamp>,
    /// Not before this, after a failure.
    again: Option<Instant>,
    failures: u32,
    backoff: Backoff,
    refused: Backoff,
}

impl Owed {
    /// Starts with what is known from before this process: up to when each subject's events are known.
    pub(super) fn new(timing: Timing, subjects: impl Iterator<Item = (Source, Option<Timestamp>)>) -> Self {
        let debts = subjects.map(|(source, proven)| (source, Debt::new(timing, proven))).collect();
        Owed { timing, debts, waiting: BTreeSet::new() }
    }

    /// Takes a subject that may have come later, and up to when its events are known.
    pub(super) fn know(&mut self, source: &Source, proven: Option<Timestamp>) {
        let timing = self.timing;
        self.debts.entry(source.clone()).or_insert_with(|| Debt::new(timing, proven));
    }

    /// Drops a subject.
    pub(super) fn forget(&mut self, source: &Source) {
        self.debts.remove(source);
        self.note(source);
    }

    /// Notes whether somebody waits to be asked about, after whatever changed that.
    fn note(&mut self, source: &Source) {
        if self.debts.get(source).is_some_and(Debt::waits) {
            self.waiting.insert(source.clone());
        } else {
            self.waiting.remove(source);
        }
    }

    /// Takes that a link came up which was lost at `lost`: what came before it is asked for at once, from the last
    /// answer on. An exchange that was silent for one fill before the link was lost would else keep it for good.
    pub(super) fn up(&mut self, source: &Source, lost: Option<Timestamp>, now: Timestamp) {
        let (overlap, lookback) = (Span::from(self.timing.overlap), Span::from(self.timing.lookback));
        let Some(debt) = self.debts.get_mut(source) else { return };
        let from = match (debt.proven(now + overlap), lost) {
            (Some(proven), Some(lost)) => proven.min(lost) - overlap,
            (Some(proven), None) => proven - overlap,
            (None, _) => now - lookback,
        };
        debt.owe(from);
        debt.again = None;
        self.note(source);
    }

    /// Takes that from `since` on something may have been missed.
    pub(super) fn owe(&mut self, source: &Source, since: Timestamp) {
        if let Some(debt) = self.debts.get_mut(source) {
            debt.owe(since);
        }
        self.note(source);
    }

    /// Owes what came since the last answer, as a standing comparison does. Who is being asked already, or is to be
    /// asked again, is left alone: the next comparison begins where the last answer ended, however long ago.
    pub(super) fn reconcile(&mut self, source: &Source, now: Timestamp) {
        let (overlap, every) = (Span::from(self.timing.overlap), Span::from(self.timing.reconcile));
        let Some(debt) = self.debts.get_mut(source) else { return };
        if debt.since.is_none() && debt.asked.is_none() {
            debt.owe(debt.proven(now + overlap).unwrap_or(now - every) - overlap);
            debt.standing = true;
        }
        self.note(source);
    }

    /// Returns when there is next something to ask; nothing while nothing is owed.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.waiting.iter().filter_map(|source| self.debts.get(source)).map(|debt| debt.again.unwrap_or(now)).min()
    }

    /// Takes out the questions whose time has come.
    pub(super) fn questions(&mut self, now: Instant, until: Timestamp) -> Vec<Question> {
        let mut questions = Vec::new();
        for source in &self.waiting {
            let Some(debt) = self.debts.get_mut(source) else { continue };
            if !debt.waits() || debt.again.is_some_and(|again| again > now) {
                continue;
            }
            if let Some(since) = debt.since.take() {
                debt.asked = Some(since);
                let gap = Gap { since: since.min(until), until };
                questions.push(Question { source: source.clone(), gap, standing: debt.standing });
            }
        }
        questions.iter().for_each(|question| self.note(&question.source));
        questions
    }

    /// Takes that nothing can be asked about a subject.
    pub(super) fn unanswerable(&mut self, source: &Source) {
        self.debts.remove(source);
        self.note(source);
    }

    /// Takes that the exchange answered for a whole interval.
    pub(super) fn answered(&mut self, source: &Source, gap: Gap) {
        let timing = self.timing;
        let Some(debt) = self.debts.get_mut(source) else { return };
        (debt.asked, debt.again, debt.failures) = (None, None, 0);
        (debt.backoff, debt.refused) = (Backoff::new(timing.backoff), Backoff::new(timing.refused));
        debt.proven = Some(gap.until);
        self.note(source);
    }

    /// Takes that a question failed, or was never put: its interval stays owed and is asked for again after a wait.
    /// Returns true when it is time to tell people.
    pub(super) fn failed(&mut self, source: &Source, gap: Gap, advice: Advice, now: Instant) -> bool {
        let Some(debt) = self.debts.get_mut(source) else { return false };
        debt.asked = None;
        let standing = debt.standing && debt.since.is_none();
        debt.owe(gap.since);
        debt.standing = standing;
        debt.failures += 1;
        let wait = match advice {
            Advice::Retry | Advice::Reconnect => debt.backoff.draw(),
            Advice::GiveUp => debt.refused.draw(),
        };
        debt.again = Some(now + wait);
        let tell = debt.failures == PATIENCE;
        self.note(source);
        tell
    }
}

impl Debt {
    fn new(timing: Timing, proven: Option<Timestamp>) -> Self {
        Debt {
            proven,
            since: None,
            standing: false,
            asked: None,
            again: None,
            failures: 0,
            backoff: Backoff::new(timing.backoff),
            refused: Backoff::new(timing.refused),
        }
    }

    /// Up to when the exchange has answered; nothing where that is after `latest`, because the clock was set back since. A
    /// step back of less than the overlap is covered by it.
    fn proven(&self, latest: Timestamp) -> Option<Timestamp> {
        self.proven.filter(|proven| *proven <= latest)
    }

    fn owe(&mut self, since: Timestamp) {
        self.since = Some(self.since.map_or(since, |owed| owed.min(since)));
        self.standing = false;
    }

    /// One question at a time: the next covers what came meanwhile.
    fn waits(&self) -> bool {
        self.since.is_some() && self.asked.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runtime::clock;

    fn alice() -> Source {
        "binance/alice".parse().unwrap()
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis((1_000_000 + secs) * 1_000)
    }

    fn owed(proven: Option<Timestamp>) -> Owed {
        Owed::new(Timing::default(), [(alice(), proven)].into_iter())
    }

    /// Asks for what is due; returns where it begins, in seconds.
    fn ask(owed: &mut Owed, now: Instant, until: i64) -> Option<i64> {
        let question = owed.questions(now, at(until)).pop()?;
        Some(question.gap.since.millis() / 1_000 - 1_000_000)
    }

    fn gap(since: i64, until: i64) -> Gap {
        Gap { since: at(since), until: at(until) }
    }

    #[test]
    fn what_came_after_the_clock_was_set_back_is_asked_for() {
        let (mut owed, now) = (owed(Some(at(0))), clock::steady());
        let (every, overlap) = (owed.timing.reconcile.as_secs() as i64, owed.timing.overlap.as_secs() as i64);
        let lookback = owed.timing.lookback.as_secs() as i64;
        owed.reconcile(&alice(), at(3_600));
        assert_eq!(ask(&mut owed, now, 3_600), Some(-overlap));
        owed.answered(&alice(), gap(-overlap, 3_600));
        // An hour back: the same time again, of which nobody has asked.
        owed.reconcile(&alice(), at(every));
        assert_eq!(ask(&mut owed, now, every), Some(-overlap));
        owed.answered(&alice(), gap(-overlap, every));
        owed.reconcile(&alice(), at(2 * every));
        assert_eq!(ask(&mut owed, now, 2 * every), Some(every - overlap));
        owed.answered(&alice(), gap(0, 9_000));
        owed.up(&alice(), None, at(20));
        assert_eq!(ask(&mut owed, now, 20), Some(20 - lookback));
    }

    #[test]
    fn a_failed_question_is_put_again_from_its_beginning_after_a_wait() {
        let (mut owed, now) = (owed(Some(at(0))), clock::steady());
        owed.up(&alice(), None, at(10));
        assert_eq!(ask(&mut owed, now, 10), Some(-60));
        assert_eq!(owed.due(now), None, "it is out");
        assert!(!owed.failed(&alice(), gap(-60, 10), Advice::Retry, now));
        let again = owed.due(now).unwrap();
        assert!(again > now && again <= now + Duration::from_secs(2), "{:?}", again - now);
        assert_eq!(ask(&mut owed, now, 11), None, "not yet");
        // A standing comparison meanwhile must not shorten it.
        owed.reconcile(&alice(), at(300));
        assert_eq!(ask(&mut owed, again, 301), Some(-60));
        owed.answered(&alice(), gap(-60, 301));
        owed.reconcile(&alice(), at(600));
        assert_eq!(ask(&mut owed, again, 600), Some(241));
    }

    #[test]
    fn a_comparison_stops_being_a_standing_one_when_a_link_is_lost() {
        let (mut owed, now) = (owed(Some(at(0))), clock::steady());
        let standing = |owed: &mut Owed| owed.questions(now, at(400)).pop().map(|question| question.standing);
        owed.reconcile(&alice(), at(300));
        assert_eq!((standing(&mut owed), standing(&mut owed)), (Some(true), None));
        owed.failed(&alice(), gap(-60, 300), Advice::Retry, now);
        let again = owed.due(now).unwrap();
        assert!(owed.questions(again, at(400)).pop().unwrap().standing, "tried again, it is as little urgent");
        owed.up(&alice(), Some(at(310)), at(320));
        owed.failed(&alice(), gap(-60, 300), Advice::Retry, now);
        let again = owed.due(now).unwrap();
        assert!(!owed.questions(again, at(400)).pop().unwrap().standing);
        owed.answered(&alice(), gap(-60, 400));
        assert_eq!(owed.due(now), None);
        owed.reconcile(&alice(), at(600));
        assert_eq!(standing(&mut owed), Some(true));
    }

    #[test]
    fn what_is_owed_while_a_question_is_out_is_asked_after_it() {
        let (mut owed, now) = (owed(Some(at(0))), clock::steady());
        owed.reconcile(&alice(), at(300));
        assert_eq!(ask(&mut owed, now, 300), Some(-60));
        owed.up(&alice(), Some(at(310)), at(320));
        owed.owe(&alice(), at(100));
        assert_eq!(ask(&mut owed, now, 321), None);
        owed.answered(&alice(), gap(-60, 300));
        assert_eq!(ask(&mut owed, now, 322), Some(-60));
    }

    #[test]
    fn a_reconnect_asks_from_the_last_answer_on_and_not_from_the_loss() {
        let (mut owed, now) = (owed(Some(at(0))), clock::steady());
        owed.up(&alice(), Some(at(250)), at(260));
        assert_eq!(ask(&mut owed, now, 260), Some(-60), "a fill kept from us at 100 would never be found");
    }

    #[test]
    fn who_was_never_watched_is_read_back_and_a_failure_keeps_that() {
        let (mut owed, now) = (owed(None), clock::steady());
        let day = -86_400;
        owed.up(&alice(), None, at(0));
        assert_eq!(ask(&mut owed, now, 0), Some(day));
        for failure in 1..=5 {
            assert_eq!(owed.failed(&alice(), gap(day, 0), Advice::GiveUp, now), failure == PATIENCE);
            owed.up(&alice(), Some(at(failure.into())), at(10));
            assert_eq!(ask(&mut owed, now, 10), Some(day), "the link came up: asked at once");
        }
    }
}
