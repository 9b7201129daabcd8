//! Keeps the tasks alive and ends them in the order the data travels.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::backoff::{self, Backoff};
use super::clock;

/// What a task ends with: nothing to say, or the fault in words.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Where in the way of the data a task stands; tasks are ended in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Sockets, REST and access logs.
    Feeds,
    /// Journal, pipeline and store.
    Pipeline,
    /// People are told.
    Notifiers,
    /// Keys are taken away.
    Responder,
    /// Pages, metrics, the command socket.
    Faces,
}

/// A task and how it is made anew.
pub struct Task {
    name: String,
    stage: Stage,
    build: Build,
}

enum Build {
    Again(Box<dyn FnMut(CancellationToken) -> Work + Send>),
    Once(Box<dyn FnOnce(CancellationToken) -> Work + Send>),
    Gone,
}

/// How many faults are borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Waits before a task that failed is built anew.
    pub backoff: backoff::Settings,
    /// More faults of one task than this within an hour end the daemon.
    pub faults_per_hour: usize,
    /// How long all tasks together may take to end before they are dropped.
    pub grace: Duration,
}

/// Runs tasks until told to stop, or until one cannot be kept alive.
pub struct Supervisor {
    settings: Settings,
    tasks: Vec<Kept>,
}

struct Kept {
    task: Task,
    backoff: Backoff,
    faults: VecDeque<Instant>,
    started: Instant,
    running: bool,
}

/// Why the supervisor ended unasked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A task cannot be built a second time.
    #[error("{name} ended: {why}")]
    Ended {
        /// The task.
        name: String,
        /// Its last words.
        why: String,
    },
    /// A task failed again and again.
    #[error("{name} failed {faults} times within an hour, last: {why}")]
    TooManyFaults {
        /// The task.
        name: String,
        /// How often.
        faults: usize,
        /// Its last words.
        why: String,
    },
    /// Tasks did not end when asked.
    #[error("still running {grace:?} after being asked to stop: {names}")]
    Overdue {
        /// How long they were given.
        grace: Duration,
        /// Which.
        names: String,
    },
}

impl Default for Settings {
    fn default() -> Self {
        Settings { backoff: backoff::Settings::default(), faults_per_hour: 20, grace: Duration::from_secs(10) }
    }
}

impl Task {
    /// A task that can be built anew whenever it ends unasked; `build` is given the signal that asks it to end.
    pub fn restartable<F, W>(name: impl Into<String>, stage: Stage, mut build: F) -> Self
    where
        F: FnMut(CancellationToken) -> W + Send + 'static,
        W: Future<Output = Outcome> + Send + 'static,
    {
        Task { name: name.into(), stage, build: Build::Again(Box::new(move |stop| Box::pin(build(stop)))) }
    }

    /// A task that owns what cannot be made twice (the end of a queue); when it ends unasked the daemon ends.
    pub fn once<F, W>(name: impl Into<String>, stage: Stage, build: F) -> Self
    where
        F: FnOnce(CancellationToken) -> W + Send + 'static,
        W: Future<Output = Outcome> + Send + 'static,
    {
        Task { name: name.into(), stage, build: Build::Once(Box::new(move |stop| Box::pin(build(stop)))) }
    }

    /// Returns the name it is reported under.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn work(&mut self, stop: CancellationToken) -> Option<Work> {
        match std::mem::replace(&mut self.build, Build::Gone) {
            Build::Again(mut build) => {
                let work = build(stop);
                self.build = Build::Again(build);
                Some(work)
            }
            Build::Once(build) => Some(build(stop)),
            Build::Gone => None,
        }
    }
}

impl Supervisor {
    /// Starts with no task.
    pub fn new(settings: Settings) -> Self {
        Supervisor { settings, tasks: Vec::new() }
    }

    /// Takes a task in.
    pub fn add(&mut self, task: Task) {
        let backoff = Backoff::new(self.settings.backoff);
        let faults = VecDeque::new();
        self.tasks.push(Kept { task, backoff, faults, started: clock::steady(), running: false });
    }

    /// Runs all tasks until `stop`; then ends them stage by stage within one grace time. Ends with an error, after
    /// stopping the rest, when a task fails too often or cannot be built anew.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut set: JoinSet<Outcome> = JoinSet::new();
        let mut who: BTreeMap<Id, usize> = BTreeMap::new();
        let tokens: BTreeMap<Stage, CancellationToken> =
            self.tasks.iter().map(|kept| (kept.task.stage, CancellationToken::new())).collect();
        let mut due: BTreeMap<(Instant, usize), ()> =
            (0..self.tasks.len()).map(|i| ((clock::steady(), i), ())).collect();
        let fault = loop {
            let next = due.keys().next().copied();
            let wait = async {
                match next {
                    Some((at, _)) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break None,
                Some(ended) = set.join_next_with_id(), if !set.is_empty() => {
                    let (id, why) = last_words(ended);
                    let Some(index) = who.remove(&id) else { continue };
                    match self.fault(index, why) {
                        Ok(at) => drop(due.insert((at, index), ())),
                        Err(error) => break Some(error),
                    }
                }
                () = wait => {
                    let Some((at, index)) = next else { continue };
                    due.remove(&(at, index));
                    let kept = &mut self.tasks[index];
                    let token = tokens.get(&kept.task.stage).cloned().unwrap_or_default();
                    if let Some(work) = kept.task.work(token) {
                        kept.started = clock::steady();
                        kept.running = true;
                        who.insert(set.spawn(work).id(), index);
                    }
                }
            }
        };
        let ended = self.end(set, who, &tokens).await;
        match fault {
            Some(error) => Err(error),
            None => ended,
        }
    }

    /// Books a fault; returns when to build the task anew.
    fn fault(&mut self, index: usize, why: String) -> Result<Instant, Error> {
        let kept = &mut self.tasks[index];
        kept.running = false;
        let name = kept.task.name.clone();
        if matches!(kept.task.build, Build::Gone) {
            return Err(Error::Ended { name, why });
        }
        let now = clock::steady();
        kept.faults.push_back(now);
        while kept.faults.front().is_some_and(|at| now.saturating_duration_since(*at) > Duration::from_secs(3_600)) {
            kept.faults.pop_front();
        }
        if kept.faults.len() > self.settings.faults_per_hour {
            return Err(Error::TooManyFaults { name, faults: kept.faults.len(), why });
        }
        kept.backoff.lasted(now.saturating_duration_since(kept.started));
        let wait = kept.backoff.draw();
        tracing::warn!(task = %name, %why, wait_ms = wait.as_millis() as u64, "a task ended unasked and is built anew");
        Ok(now + wait)
    }

    /// Ends the stages one after the other. A stage's builders are dropped with it: they hold the sending ends of
    /// queues, and the next stage knows that all has been said when those are gone.
    async fn end(
        mut self,
        mut set: JoinSet<Outcome>,
        mut who: BTreeMap<Id, usize>,
        tokens: &BTreeMap<Stage, CancellationToken>,
    ) -> Result<(), Error> {
        let deadline = clock::steady() + self.settings.grace;
        for (stage, token) in tokens {
            token.cancel();
            for kept in self.tasks.iter_mut().filter(|kept| kept.task.stage == *stage) {
                kept.task.build = Build::Gone;
            }
            while self.tasks.iter().any(|kept| kept.task.stage == *stage && kept.running) {
                let Ok(Some(ended)) = tokio::time::timeout_at(deadline.into(), set.join_next_with_id()).await else {
                    let names: Vec<&str> =
                        self.tasks.iter().filter(|kept| kept.running).map(|kept| kept.task.name()).collect();
                    return Err(Error::Overdue { grace: self.settings.grace, names: names.join(", ") });
                };
                let failed = !matches!(&ended, Ok((_, Ok(()))));
                let (id, why) = last_words(ended);
                if let Some(kept) = who.remove(&id).and_then(|index| self.tasks.get_mut(index)) {
                    kept.running = false;
                    if failed {
                        tracing::warn!(task = %kept.task.name, %why, "a task ended with a fault while stopping");
                    }
                }
            }
        }
        Ok(())
    }
}

fn last_words(ended: Result<(Id, Outcome), tokio::task::JoinError>) -> (Id, String) {
    match ended {
        Ok((id, Ok(()))) => (id, "it returned".to_owned()),
        Ok((id, Err(error))) => (id, error.to_string()),
        // A panic's message may quote data; the panic hook has printed it where it belongs.
        Err(error) if error.is_panic() => (error.id(), "it panicked".to_owned()),
        Err(error) => (error.id(), "it was aborted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;

    fn settings() -> Settings {
        let quick = Duration::from_millis(1);
        let backoff = backoff::Settings { min: quick, max: quick, healthy: Duration::from_secs(60) };
        Settings { backoff, faults_per_hour: 3, grace: Duration::from_secs(5) }
    }

    #[tokio::test]
    async fn a_task_that_fails_or_panics_is_built_anew() {
        let (stop, built) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let mut supervisor = Supervisor::new(settings());
        let (done, count) = (stop.clone(), Arc::clone(&built));
        supervisor.add(Task::restartable("feed", Stage::Feeds, move |_| {
            let (done, nth) = (done.clone(), count.fetch_add(1, Ordering::SeqCst));
            async move {
                match nth {
                    0 => Err("the socket broke".into()),
                    1 => panic!("a fault of ours"),
                    _ => {
                        done.cancel();
                        Ok(())
                    }
                }
            }
        }));
        supervisor.run(stop).await.unwrap();
        assert_eq!(built.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn too_many_faults_end_the_supervisor_with_the_tasks_name() {
        let mut supervisor = Supervisor::new(settings());
        supervisor.add(Task::restartable("kucoin market", Stage::Feeds, |_| async { Err("no route".into()) }));
        let error = supervisor.run(CancellationToken::new()).await.unwrap_err().to_string();
        assert_eq!(error, "kucoin market failed 4 times within an hour, last: no route");
    }

    #[tokio::test]
    async fn a_task_that_cannot_be_built_twice_ends_the_supervisor() {
        let mut supervisor = Supervisor::new(settings());
        supervisor.add(Task::once("pipeline", Stage::Pipeline, |_| async { Ok(()) }));
        let error = supervisor.run(CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error, Error::Ended { name, .. } if name == "pipeline"));
    }

    #[tokio::test]
    async fn tasks_end_in_the_order_of_the_data() {
        let (stop, ended) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
        let mut supervisor = Supervisor::new(settings());
        for (name, stage) in [("pages", Stage::Faces), ("pipeline", Stage::Pipeline), ("feed", Stage::Feeds)] {
            let ended = Arc::clone(&ended);
            supervisor.add(Task::once(name, stage, move |stop| async move {
                stop.cancelled().await;
                ended.lock().unwrap().push(name);
                Ok(())
            }));
        }
        stop.cancel();
        // Nothing was started yet: a stop that comes first leaves nothing to end.
        supervisor.run(stop).await.unwrap();
        assert!(ended.lock().unwrap().is_empty());

        let (stop, mut supervisor) = (CancellationToken::new(), Supervisor::new(settings()));
        for (name, stage) in [("pages", Stage::Faces), ("pipeline", Stage::Pipeline), ("feed", Stage::Feeds)] {
            let (ended, begin) = (Arc::clone(&ended), stop.clone());
            supervisor.add(Task::once(name, stage, move |stop| async move {
                // The last one to be started begins the end.
                if name == "feed" {
                    begin.cancel();
                }
                stop.cancelled().await;
                ended.lock().unwrap().push(name);
                Ok(())
            }));
        }
        supervisor.run(stop).await.unwrap();
        assert_eq!(*ended.lock().unwrap(), ["feed", "pipeline", "pages"]);
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_named() {
        let (stop, mut supervisor) =
            (CancellationToken::new(), Supervisor::new(Settings { grace: Duration::from_millis(20), ..settings() }));
        let begin = stop.clone();
        supervisor.add(Task::once("stubborn", Stage::Notifiers, move |_| async move {
            begin.cancel();
            std::future::pending().await
        }));
        let error = supervisor.run(stop).await.unwrap_err().to_string();
        assert!(error.ends_with(": stubborn"), "{error}");
    }
}
