//! Calls beside a connection: a few at once, the rest in a bounded queue.

use std::collections::VecDeque;
use std::future::Future;

use tokio::task::{JoinError, JoinSet};

use super::protocol::Gap;
use crate::arrival::Source;
use crate::feed::error::Error;

/// Jobs (REST calls) of one link that run at once.
const AT_ONCE: usize = 4;
/// Jobs of one link that may wait; beyond it the oldest waiting one is dropped, and its interval stays owed.
const WAITING: usize = 4_096;

/// Whose interval a job fills; none for a job that fills none.
pub(super) type Purpose = Option<(Source, Gap)>;

/// The jobs of one link.
pub(super) struct Jobs<J> {
    running: JoinSet<Done>,
    waiting: VecDeque<(Purpose, J)>,
}

/// A job's end.
pub(super) struct Done {
    /// What it was for.
    pub(super) purpose: Purpose,
    /// How it ended; none for a fault of ours.
    pub(super) ended: Option<Result<(), Error>>,
}

impl<J> Jobs<J> {
    pub(super) fn new() -> Self {
        Jobs { running: JoinSet::new(), waiting: VecDeque::new() }
    }

    /// Queues a job; returns what one was for that had to make room.
    #[must_use = "what a dropped job was for is still owed"]
    pub(super) fn add(&mut self, purpose: Purpose, job: J) -> Purpose {
        let dropped = if self.waiting.len() >= WAITING { self.waiting.pop_front() } else { None };
        if dropped.is_some() {
            tracing::warn!("too many calls wait for an exchange; the oldest is put off");
        }
        self.waiting.push_back((purpose, job));
        dropped.and_then(|(purpose, _)| purpose)
    }

    /// Drops what waits for a subject.
    pub(super) fn forget(&mut self, source: &Source) {
        self.waiting.retain(|(purpose, _)| purpose.as_ref().is_none_or(|(whose, _)| whose != source));
    }

    /// Starts what may run.
    pub(super) fn start<F>(&mut self, run: impl Fn(J) -> F)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        while self.running.len() < AT_ONCE
            && let Some((purpose, job)) = self.waiting.pop_front()
        {
            // Apart, so that a fault in it does not take along what it was for.
            let mut apart = JoinSet::new();
            apart.spawn(run(job));
            self.running.spawn(async move {
                let ended = apart.join_next().await.and_then(fault);
                Done { purpose, ended }
            });
        }
    }

    /// Waits for the next end of a job; for ever when none runs. Dropping the wait loses nothing.
    pub(super) async fn ended(&mut self) -> Done {
        loop {
            match self.running.join_next().await {
                Some(Ok(done)) => return done,
                // Aborted from outside; nothing is left to say.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Ends all.
    pub(super) fn abort(&mut self) {
        self.waiting.clear();
        self.running.abort_all();
    }
}

fn fault(ended: Result<Result<(), Error>, JoinError>) -> Option<Result<(), Error>> {
    match ended {
        Ok(ended) => Some(ended),
        Err(error) => {
            if error.is_panic() {
                tracing::error!("a call beside a feed panicked, by a fault of fillguard; please report this");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[tokio::test]
    async fn a_job_that_makes_room_and_one_that_panics_give_back_what_they_were_for() {
        let purpose = |name: usize| {
            let gap = Gap { since: Timestamp::EPOCH, until: Timestamp::EPOCH };
            Some((format!("binance/a{name}").parse().unwrap(), gap))
        };
        let mut jobs = Jobs::new();
        for name in 0..WAITING {
            assert_eq!(jobs.add(purpose(name), name), None);
        }
        assert_eq!(jobs.add(purpose(WAITING), WAITING), purpose(0));
        jobs.start(|name| async move {
            assert_ne!(name, 2, "a fault");
            Ok(())
        });
        let mut faults = Vec::new();
        for _ in 0..AT_ONCE {
            let done = jobs.ended().await;
            faults.extend(done.purpose.filter(|_| done.ended.is_none()));
        }
        assert_eq!(Some(faults), purpose(2).map(|one| vec![one]));
    }
}
