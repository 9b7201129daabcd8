//! Calls beside a connection: a few at once, the rest in bounded queues, one for what is urgent and one for what is not.

use std::collections::VecDeque;
use std::future::Future;

use tokio::task::{JoinError, JoinSet};

use super::protocol::Gap;
use crate::arrival::Source;
use crate::feed::error::Error;
use crate::feed::limiter;

/// Jobs (REST calls) of one link that run at once.
const AT_ONCE: usize = 4;
/// Those of them that may be standing comparisons: one place is always left to what is urgent.
const STANDING: usize = AT_ONCE - 1;
/// Jobs of one link that may wait; beyond it the oldest waiting one is dropped, and its interval stays owed.
const WAITING: usize = 4_096;

/// Whose interval a job fills; none for a job that fills none.
pub(super) type Purpose = Option<(Source, Gap)>;

/// The jobs of one link.
pub(super) struct Jobs<J> {
    running: JoinSet<Done>,
    waiting: VecDeque<(Purpose, J)>,
    /// Standing comparisons: they wait for whatever else there is.
    standing: VecDeque<(Purpose, J)>,
    /// How many of those run.
    compared: usize,
}

/// A job's end.
pub(super) struct Done {
    /// What it was for.
    pub(super) purpose: Purpose,
    standing: bool,
    /// How it ended; none for a fault of ours.
    pub(super) ended: Option<Result<(), Error>>,
}

impl<J> Jobs<J> {
    pub(super) fn new() -> Self {
        Jobs { running: JoinSet::new(), waiting: VecDeque::new(), standing: VecDeque::new(), compared: 0 }
    }

    /// Queues a job; returns what one was for that had to make room.
    #[must_use = "what a dropped job was for is still owed"]
    pub(super) fn add(&mut self, purpose: Purpose, job: J, standing: bool) -> Purpose {
        let queue = if standing { &mut self.standing } else { &mut self.waiting };
        let dropped = if queue.len() >= WAITING { queue.pop_front() } else { None };
        if dropped.is_some() {
            tracing::warn!("too many calls wait for an exchange; the oldest is put off");
        }
        queue.push_back((purpose, job));
        dropped.and_then(|(purpose, _)| purpose)
    }

    /// Drops what waits for a subject.
    pub(super) fn forget(&mut self, source: &Source) {
        for queue in [&mut self.waiting, &mut self.standing] {
            queue.retain(|(purpose, _)| purpose.as_ref().is_none_or(|(whose, _)| whose != source));
        }
    }

    /// Starts what may run.
    pub(super) fn start<F>(&mut self, run: impl Fn(J) -> F)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        while self.running.len() < AT_ONCE
            && let Some((purpose, job, standing)) = self.next()
        {
            self.compared += usize::from(standing);
            // Apart, so that a fault in it does not take along what it was for.
            let mut apart = JoinSet::new();
            if standing {
                apart.spawn(limiter::patiently(run(job)));
            } else {
                apart.spawn(run(job));
            }
            self.running.spawn(async move {
                let ended = apart.join_next().await.and_then(fault);
                Done { purpose, standing, ended }
            });
        }
    }

    fn next(&mut self) -> Option<(Purpose, J, bool)> {
        if let Some((purpose, job)) = self.waiting.pop_front() {
            return Some((purpose, job, false));
        }
        let (purpose, job) = self.standing.pop_front_if(|_| self.compared < STANDING)?;
        Some((purpose, job, true))
    }

    /// Waits for the next end of a job; for ever when none runs. Dropping the wait loses nothing.
    pub(super) async fn ended(&mut self) -> Done {
        loop {
            match self.running.join_next().await {
                Some(Ok(done)) => {
                    self.compared -= usize::from(done.standing);
                    return done;
                }
                // Aborted from outside; nothing is left to say.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Ends all.
    pub(super) fn abort(&mut self) {
        self.waiting.clear();
        self.standing.clear();
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
            assert_eq!(jobs.add(purpose(name), name, false), None);
        }
        assert_eq!(jobs.add(purpose(WAITING), WAITING, false), purpose(0));
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

    #[tokio::test]
    async fn standing_comparisons_leave_a_place_and_their_turn_to_what_is_urgent() {
        let (begun, mut order) = tokio::sync::mpsc::channel(16);
        let mut jobs = Jobs::new();
        let run = move |name: &'static str| {
            let begun = begun.clone();
            async move {
                begun.send(name).await.unwrap();
                if name == "slow" {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        };
        for name in ["slow", "slow", "slow", "slow", "slow"] {
            assert_eq!(jobs.add(None, name, true), None);
        }
        jobs.start(&run);
        for _ in 0..STANDING {
            assert_eq!(order.recv().await, Some("slow"));
        }
        assert_eq!(jobs.add(None, "gap", false), None);
        jobs.start(&run);
        assert_eq!(order.recv().await, Some("gap"), "thousands of comparisons that wait are in nobody's way");
        jobs.ended().await;
        jobs.start(&run);
        assert!(order.try_recv().is_err(), "its place stays free");
    }
}
