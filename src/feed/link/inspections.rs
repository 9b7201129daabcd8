//! When it is asked what each subject's key may do, and the questions under way: apart from the jobs, because they are cheap
//! and must not wait behind gaps.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};

use crate::arrival::Source;
use crate::feed::error::Error;
use crate::runtime::clock;

/// Questions of one link that run at once.
const AT_ONCE: usize = 2;

/// The questions about the keys of one link.
pub(super) struct Inspections {
    every: Duration,
    at: BTreeSet<(Instant, Source)>,
    running: JoinSet<Result<(), Error>>,
    whose: BTreeMap<Id, Source>,
}

/// A question's end.
pub(super) struct Inspected {
    /// Whose key it was about.
    pub(super) source: Source,
    /// Why it failed.
    pub(super) failed: Option<Error>,
}

impl Inspections {
    /// Asks about each subject every so often, a tenth more or less at random; never when that is zero.
    pub(super) fn new(every: Duration) -> Self {
        Inspections { every, at: BTreeSet::new(), running: JoinSet::new(), whose: BTreeMap::new() }
    }

    /// Has a subject's key asked about now, because its feed came up.
    pub(super) fn at_once(&mut self, source: &Source) {
        self.forget(source);
        if !self.every.is_zero() {
            self.at.insert((clock::steady(), source.clone()));
        }
    }

    /// Forgets a subject.
    pub(super) fn forget(&mut self, source: &Source) {
        self.at.retain(|(_, other)| other != source);
    }

    /// Returns when the next question is due, unless enough of them run.
    pub(super) fn due(&self) -> Option<Instant> {
        self.at.first().map(|(at, _)| *at).filter(|_| self.running.len() < AT_ONCE)
    }

    /// Returns whose turn it is.
    pub(super) fn next(&mut self) -> Option<Source> {
        self.at.pop_first().map(|(_, source)| source)
    }

    /// Runs a question.
    pub(super) fn start(&mut self, source: Source, running: impl Future<Output = Result<(), Error>> + Send + 'static) {
        let id = self.running.spawn(running).id();
        self.whose.insert(id, source);
    }

    /// Waits for the next end of a question, and plans the next one from there: a slow exchange is not asked twice. For
    /// ever when none runs; dropping the wait loses nothing.
    pub(super) async fn ended(&mut self) -> Inspected {
        loop {
            let (id, failed) = match self.running.join_next_with_id().await {
                Some(Ok((id, ended))) => (id, ended.err()),
                Some(Err(error)) => (error.id(), Some(Error::Protocol("a question about a key panicked; report this"))),
                None => std::future::pending().await,
            };
            let Some(source) = self.whose.remove(&id) else { continue };
            if !self.at.iter().any(|(_, other)| *other == source) {
                let wait = self.every.mul_f64(0.9 + 0.2 * rand::random::<f64>());
                self.at.insert((clock::steady() + wait, source.clone()));
            }
            return Inspected { source, failed };
        }
    }

    /// Ends all.
    pub(super) fn abort(&mut self) {
        self.at.clear();
        self.running.abort_all();
    }
}
