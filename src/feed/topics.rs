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
        Topics { spacing, batch, said, wanted, changes: VecDeque::new(), at: None }
    }

    /// Takes what is wanted from now on.
    pub(super) fn want(&mut self, pairs: &BTreeSet<Symbol>, now: Instant) {
        self.wanted.clone_from(pairs);
        let batches = |symbols: Vec<Symbol>, change: fn(Vec<Symbol>) -> Change| -> Vec<Change> {
            symbols.chunks(self.batch.max(1)).map(|chunk| change(chunk.to_vec())).collect()
        };
        let mut changes = batches(self.said.difference(&self.wanted).cloned().collect(), Change::Remove);
        changes.extend(batches(self.wanted.difference(&self.said).cloned().collect(), Change::Add));
        self.changes = changes.into();
        self.at.get_or_insert(now);
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
