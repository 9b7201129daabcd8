//! Which pairs a market connection is subscribed to, and what to say next to get there.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::Symbol;

/// The difference between what is wanted and what was said.
#[derive(Debug)]
pub(super) struct Topics {
    spacing: Duration,
    batch: usize,
    said: BTreeSet<Symbol>,
    wanted: BTreeSet<Symbol>,
    changes: VecDeque<Change>,
    /// What was refused and said anew in halves: a second channel's refusal of the same says nothing new.
    halved: BTreeSet<Vec<Symbol>>,
    /// The earliest time of the next message.
    at: Option<Instant>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Subscribe to these.
    Add(Vec<Symbol>),
    /// Leave these.
    Remove(Vec<Symbol>),
}

impl Change {
    /// Returns the pairs it is about.
    pub(super) fn symbols(&self) -> &[Symbol] {
        match self {
            Change::Add(symbols) | Change::Remove(symbols) => symbols,
        }
    }
}

impl Topics {
    /// Starts subscribed to nothing; messages are `spacing` apart and about `batch` pairs at most.
    pub(super) fn new(spacing: Duration, batch: usize) -> Self {
        let (said, wanted) = (BTreeSet::new(), BTreeSet::new());
        Topics { spacing, batch, said, wanted, changes: VecDeque::new(), halved: BTreeSet::new(), at: None }
    }

    /// Takes what is wanted from now on.
    pub(super) fn want(&mut self, pairs: &BTreeSet<Symbol>, now: Instant) {
        self.wanted.clone_from(pairs);
        self.halved.clear();
        let batches = |symbols: Vec<Symbol>, change: fn(Vec<Symbol>) -> Change| -> Vec<Change> {
            symbols.chunks(self.batch.max(1)).map(|chunk| change(chunk.to_vec())).collect()
        };
        let mut changes = batches(self.said.difference(&self.wanted).cloned().collect(), Change::Remove);
        changes.extend(batches(self.wanted.difference(&self.said).cloned().collect(), Change::Add));
        self.changes = changes.into();
        self.at.get_or_insert(now);
    }

    /// Takes that the exchange refused `symbols`, one of which it does not know: each half is said anew. Returns a pair
    /// that was refused alone.
    pub(super) fn refused(&mut self, symbols: &[Symbol], now: Instant) -> Option<Symbol> {
        self.at.get_or_insert(now);
        let open: Vec<Symbol> = symbols.iter().filter(|symbol| self.said.contains(*symbol)).cloned().collect();
        match &open[..] {
            [] => None,
            // What was refused alone is not said again; nobody has to leave it either.
            [alone] => {
                let alone = alone.clone();
                self.forget(&alone);
                Some(alone)
            }
            several => {
                if self.halved.insert(several.to_vec()) {
                    let (one, other) = several.split_at(several.len() / 2);
                    self.changes.push_front(Change::Add(other.to_vec()));
                    self.changes.push_front(Change::Add(one.to_vec()));
                }
                None
            }
        }
    }

    /// Says `symbols` again, before anything else: together, or each `alone`.
    pub(super) fn again(&mut self, symbols: Vec<Symbol>, alone: bool, now: Instant) {
        self.at.get_or_insert(now);
        for chunk in symbols.chunks(if alone { 1 } else { self.batch.max(1) }).rev() {
            self.changes.push_front(Change::Add(chunk.to_vec()));
        }
    }

    /// Forgets a pair that the exchange does not know.
    pub(super) fn forget(&mut self, symbol: &Symbol) {
        self.said.remove(symbol);
        self.wanted.remove(symbol);
    }

    /// Returns when there is something to say.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.changes.is_empty() { None } else { self.at }
    }

    /// Returns what to say at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Option<Change> {
        if self.at.is_some_and(|at| at > now) {
            return None;
        }
        let change = self.changes.pop_front()?;
        self.at = Some(now + self.spacing);
        match &change {
            Change::Add(symbols) => self.said.extend(symbols.iter().cloned()),
            Change::Remove(symbols) => self.said.retain(|symbol| !symbols.contains(symbol)),
        }
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock;

    fn pairs(names: &[&str]) -> BTreeSet<Symbol> {
        names.iter().map(|name| Symbol::from_dashed(name).unwrap()).collect()
    }

    #[test]
    fn the_one_pair_that_spoils_a_message_is_found_by_halves() {
        let (start, spacing) = (clock::steady(), Duration::from_millis(300));
        let mut topics = Topics::new(spacing, 50);
        let all = pairs(&["A-X", "B-X", "C-X", "D-X", "E-X"]);
        topics.want(&all, start);
        let (mut now, mut taken, mut refused) = (start, BTreeSet::new(), Vec::new());
        let mut messages = 0;
        while let Some(change) = topics.next(now) {
            messages += 1;
            if change.symbols().iter().any(|symbol| symbol.base().as_str() == "D") {
                // Both channels are refused.
                for _ in 0..2 {
                    refused.extend(topics.refused(change.symbols(), now));
                }
            } else {
                taken.extend(change.symbols().iter().cloned());
            }
            now += spacing;
        }
        assert_eq!(taken, pairs(&["A-X", "B-X", "C-X", "E-X"]));
        assert_eq!(refused.into_iter().collect::<BTreeSet<_>>(), pairs(&["D-X"]));
        assert!(messages < 8, "{messages}");
    }

    #[test]
    fn only_differences_are_said_and_never_too_fast() {
        let (start, spacing) = (clock::steady(), Duration::from_millis(300));
        let mut topics = Topics::new(spacing, 2);
        topics.want(&pairs(&["A-X", "B-X", "C-X"]), start);
        assert_eq!(topics.next(start).unwrap().symbols().len(), 2);
        assert_eq!(topics.next(start), None, "too early");
        assert_eq!(topics.due(), Some(start + spacing));
        // Before the rest was said, one that was said is not wanted any more.
        topics.want(&pairs(&["B-X", "C-X"]), start);
        let later: Vec<Change> = (1..9).filter_map(|n| topics.next(start + spacing * n)).collect();
        let symbols = |names: &[&str]| pairs(names).into_iter().collect::<Vec<_>>();
        assert_eq!(later, [Change::Remove(symbols(&["A-X"])), Change::Add(symbols(&["C-X"]))]);
        assert_eq!(topics.due(), None);
    }
}
