//! Keeps one subject connected: connects, speaks the exchange's protocol, replaces the connection before it is cut,
//! says when it is blind, and asks for what was missed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::error::{Advice, Error};
use super::limiter::Limiter;
use super::outlet::Outlet;
use super::settings::Timing;
use super::socket::{Received, Socket};
use crate::arrival::{Body, Source};
use crate::domain::{Span, Symbol, Timestamp};
use crate::runtime::backoff::Backoff;
use crate::runtime::clock;

/// Jobs (REST calls) of one link that run at once.
const JOBS: usize = 4;
/// Jobs of one link that may wait; beyond it the oldest waiting one is dropped, and a later gap fill covers it.
const WAITING: usize = 4_096;

/// What an exchange's protocol wants done.
pub enum Step<J> {
    /// Send this.
    Send(String),
    /// Hand this over as received.
    Pass(Source, Received),
    /// The subject is signed in and subscribed.
    Up(Source),
    /// The subject alone is lost; the connection goes on.
    Down(Source, Error),
    /// Do this beside the connection.
    Job(J),
    /// Replace the connection now.
    Renew,
}

/// The protocol on one connection: a state machine that touches no socket.
pub trait Session: Send + 'static {
    /// What it wants done beside the connection.
    type Job: Send + 'static;

    /// Takes a frame.
    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Self::Job>>) -> Result<(), Error>;

    /// Returns when it next wants to speak or check something, and what that costs at the exchange.
    fn due(&self) -> Option<(Instant, u32)>;

    /// Speaks, or checks; called when due.
    fn speak(&mut self, now: Instant, steps: &mut Vec<Step<Self::Job>>) -> Result<(), Error>;

    /// Returns whether everything it subscribed at first was answered.
    fn settled(&self) -> bool;

    /// Takes that a call for `source` was refused: its key may be dead. Without a way to ask on the connection itself
    /// the connection is given up, and signing in tells.
    fn suspect(&mut self, _source: &Source, error: Error) -> Result<(), Error> {
        Err(error)
    }

    /// Takes the pairs to be subscribed from now on.
    fn want(&mut self, _pairs: &BTreeSet<Symbol>, _now: Instant) {}
}

/// How to reach one subject: some accounts, or some pairs of a market.
pub trait Protocol: Send + Sync + 'static {
    /// What runs beside its connections.
    type Job: Send + 'static;
    /// Its state machine.
    type Session: Session<Job = Self::Job>;

    /// Returns those whose link this is.
    fn sources(&self) -> Vec<Source>;

    /// Returns what pays for what is said.
    fn limiter(&self) -> &Limiter;

    /// Makes the smallest call that filling a gap needs. It is made before connecting again after such a call was
    /// refused: a feed that comes up with a key that may not read the rest would go up and down without end.
    fn probe(self: Arc<Self>, _outlet: Outlet) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// Connects.
    fn connect(self: Arc<Self>) -> impl Future<Output = Result<(Socket, Self::Session), Error>> + Send;

    /// Runs a job.
    fn run(self: Arc<Self>, job: Self::Job, outlet: Outlet) -> impl Future<Output = Result<(), Error>> + Send;

    /// Returns the job that asks for what `source` missed.
    fn fill(&self, source: &Source, gap: Gap) -> Option<Self::Job>;

    /// Returns up to when `source` was known before this process.
    fn known_until(&self, source: &Source) -> Option<Timestamp>;
}

/// An interval in which an account's feed may have missed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where it begins.
    pub since: Timestamp,
    /// Where it ends.
    pub until: Timestamp,
}

/// One subject's link.
pub struct Link<P: Protocol> {
    protocol: Arc<P>,
    outlet: Outlet,
    timing: Timing,
    wanted: Option<watch::Receiver<BTreeSet<Symbol>>>,
    subjects: BTreeMap<Source, Subject>,
    jobs: JoinSet<Done>,
    /// Jobs, and whose gap they fill.
    waiting: VecDeque<(Option<Source>, P::Job)>,
    /// True after a call beside the connection was refused, until one is answered.
    doubted: bool,
}

/// A job's end, and whose gap it filled.
type Done = (Option<Source>, Result<(), Error>);

#[derive(Default)]
struct Subject {
    up: bool,
    lost: Option<Timestamp>,
    /// Why it is down, as told, and whether that is for a person to mend.
    said: Option<(CompactString, bool)>,
    /// Why the calls beside its feed fail, and how many did in a row.
    failing: Option<(CompactString, u32)>,
}

struct Connection<S> {
    socket: Socket,
    session: S,
}

enum Heard {
    Frame(Received),
    Due,
}

enum Turn<S> {
    Stop,
    Current(Result<Heard, Error>),
    Next(Result<Heard, Error>),
    Renew,
    Dialed(Box<Result<(Socket, S), Error>>),
    Wanted,
    Reconcile,
    JobDone(Option<Done>),
}

impl<S: Session> Connection<S> {
    /// Waits for a frame or for the session's own time; dropping the wait loses nothing.
    async fn hear(&mut self, limiter: &Limiter) -> Result<Heard, Error> {
        let due = self.session.due();
        let speaking = async {
            match due {
                Some((at, cost)) => {
                    tokio::time::sleep_until(at.into()).await;
                    limiter.ready(cost).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            received = self.socket.receive() => received.map(Heard::Frame),
            () = speaking => Ok(Heard::Due),
        }
    }
}

impl<P: Protocol> Link<P> {
    /// Makes a link that is not connected yet; `wanted` tells the pairs of a market link.
    pub fn new(
        protocol: Arc<P>,
        outlet: Outlet,
        timing: Timing,
        wanted: Option<watch::Receiver<BTreeSet<Symbol>>>,
    ) -> Self {
        let subjects = protocol.sources().into_iter().map(|source| (source, Subject::default())).collect();
        Link {
            protocol,
            outlet,
            timing,
            wanted,
            subjects,
            jobs: JoinSet::new(),
            waiting: VecDeque::new(),
            doubted: false,
        }
    }

    /// Stays connected until `stop`. Ends with an error only when nobody takes what it receives.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut backoff = Backoff::new(self.timing.backoff);
        let mut refused = Backoff::new(self.timing.refused);
        loop {
            let (protocol, outlet, doubted) = (Arc::clone(&self.protocol), self.outlet.clone(), self.doubted);
            let dialing = async {
                if doubted {
                    Arc::clone(&protocol).probe(outlet).await?;
                }
                protocol.connect().await
            };
            let dialed = tokio::select! {
                () = stop.cancelled() => return self.stopped().await,
                dialed = dialing => dialed,
            };
            let begun = clock::steady();
            let ended = match dialed {
                Ok((socket, session)) => {
                    self.doubted = false;
                    self.serve(Connection { socket, session }, &stop).await
                }
                Err(error) => Err((error, clock::now())),
            };
            let Err((error, heard_at)) = ended else { return self.stopped().await };
            if error == Error::Finished {
                return Err(error);
            }
            let lasted = clock::steady().saturating_duration_since(begun);
            backoff.lasted(lasted);
            refused.lasted(lasted);
            let wait = match error.advice() {
                Advice::GiveUp => refused.draw(),
                Advice::Retry | Advice::Reconnect => backoff.draw().max(error.wait()),
            };
            self.down(&error, heard_at).await?;
            tokio::select! {
                () = stop.cancelled() => return self.stopped().await,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Serves a connection until stopped, or until it is lost: then the reason and the last sign of life.
    async fn serve(
        &mut self,
        mut current: Connection<P::Session>,
        stop: &CancellationToken,
    ) -> Result<(), (Error, Timestamp)> {
        let mut next: Option<Connection<P::Session>> = None;
        let mut dialing = None;
        let mut renewals = Backoff::new(self.timing.backoff);
        let mut renew_at = self.renewal();
        let reconciles = !self.timing.reconcile.is_zero();
        let mut reconcile_at = clock::steady() + self.timing.reconcile;
        if let Some(wanted) = &self.wanted {
            current.session.want(&wanted.borrow(), clock::steady());
        }
        loop {
            let protocol = Arc::clone(&self.protocol);
            let limiter = protocol.limiter();
            let idle = next.is_none() && dialing.is_none();
            let turn: Turn<P::Session> = tokio::select! {
                () = stop.cancelled() => Turn::Stop,
                heard = current.hear(limiter) => Turn::Current(heard),
                heard = async { match &mut next {
                    Some(next) => next.hear(limiter).await,
                    None => std::future::pending().await,
                } } => Turn::Next(heard),
                dialed = async { match &mut dialing {
                    Some(dialing) => std::pin::Pin::as_mut(dialing).await,
                    None => std::future::pending().await,
                } } => Turn::Dialed(Box::new(dialed)),
                () = tokio::time::sleep_until(renew_at.into()), if idle => Turn::Renew,
                () = tokio::time::sleep_until(reconcile_at.into()), if reconciles => Turn::Reconcile,
                () = changed(&mut self.wanted) => Turn::Wanted,
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => {
                    Turn::JobDone(finished(done))
                }
            };
            let heard_at = current.socket.heard_at();
            match turn {
                Turn::Stop => {
                    current.socket.close().await;
                    return Ok(());
                }
                Turn::Current(heard) => match self.take(&mut current, heard).await {
                    Ok(false) => {}
                    Ok(true) if idle => renew_at = clock::steady(),
                    Ok(true) => {}
                    Err(error) => return Err((error, heard_at)),
                },
                Turn::Next(heard) => {
                    let Some(fresh) = &mut next else { continue };
                    // A failed replacement costs nothing: the connection in use is still good.
                    if let Err(error) = self.take(fresh, heard).await {
                        if error == Error::Finished {
                            return Err((error, heard_at));
                        }
                        next = None;
                        renew_at = clock::steady() + renewals.draw();
                    }
                }
                Turn::Renew => dialing = Some(Box::pin(Arc::clone(&self.protocol).connect())),
                Turn::Dialed(dialed) => {
                    dialing = None;
                    match *dialed {
                        Ok((socket, mut session)) => {
                            if let Some(wanted) = &self.wanted {
                                session.want(&wanted.borrow(), clock::steady());
                            }
                            next = Some(Connection { socket, session });
                        }
                        Err(error) => renew_at = clock::steady() + renewals.draw().max(error.wait()),
                    }
                }
                Turn::Wanted => {
                    if let Some(wanted) = &self.wanted {
                        let pairs = wanted.borrow().clone();
                        current.session.want(&pairs, clock::steady());
                        if let Some(fresh) = &mut next {
                            fresh.session.want(&pairs, clock::steady());
                        }
                    }
                }
                Turn::Reconcile => {
                    reconcile_at = clock::steady() + self.timing.reconcile;
                    self.reconcile();
                }
                Turn::JobDone(done) => {
                    self.start_jobs();
                    if let Some((source, error)) = done.and_then(|done| self.failed(done)) {
                        let refused = error.about_key();
                        if let Err(error) = current.session.suspect(&source, error) {
                            self.doubted = refused;
                            return Err((error, heard_at));
                        }
                    }
                }
            }
            if next.as_ref().is_some_and(|fresh| fresh.session.settled())
                && let Some(fresh) = next.take()
            {
                std::mem::replace(&mut current, fresh).socket.close().await;
                renewals = Backoff::new(self.timing.backoff);
                renew_at = self.renewal();
            }
        }
    }

    fn renewal(&self) -> Instant {
        clock::steady() + self.timing.renew.mul_f64(1.0 - 0.05 * rand::random::<f64>())
    }

    /// Takes what was heard; true when the connection is to be replaced.
    async fn take(
        &mut self,
        connection: &mut Connection<P::Session>,
        heard: Result<Heard, Error>,
    ) -> Result<bool, Error> {
        let mut steps = Vec::new();
        // What was found before a fault still counts.
        let fault = match heard? {
            Heard::Frame(received) => connection.session.heard(received, &mut steps),
            Heard::Due => connection.session.speak(clock::steady(), &mut steps),
        };
        let mut renew = false;
        for step in steps {
            match step {
                Step::Send(text) => connection.socket.send(text).await?,
                Step::Pass(source, Received { at, frame }) => self.outlet.pass(at, source, frame.into_body()).await?,
                Step::Up(source) => self.up(source).await?,
                Step::Down(source, error) => self.one_down(&source, &error, connection.socket.heard_at()).await?,
                Step::Job(job) => self.job(None, job),
                Step::Renew => renew = true,
            }
        }
        fault.map(|()| renew)
    }

    async fn up(&mut self, source: Source) -> Result<(), Error> {
        let now = clock::now();
        let Some(subject) = self.subjects.get_mut(&source) else { return Ok(()) };
        // Already up on the connection that is being replaced: nothing was missed.
        if subject.up {
            return Ok(());
        }
        (subject.up, subject.said) = (true, None);
        let known = subject.lost.or_else(|| self.protocol.known_until(&source));
        self.outlet.pass(now, source.clone(), Body::LinkUp).await?;
        tracing::info!(feed = %source, "connected");
        let since = match known {
            Some(known) => known - Span::from(self.timing.overlap),
            None => now - Span::from(self.timing.lookback),
        };
        if let Some(job) = self.protocol.fill(&source, Gap { since, until: now }) {
            self.job(Some(source), job);
        }
        Ok(())
    }

    async fn down(&mut self, error: &Error, heard_at: Timestamp) -> Result<(), Error> {
        for source in self.protocol.sources() {
            self.one_down(&source, error, heard_at).await?;
        }
        Ok(())
    }

    async fn one_down(&mut self, source: &Source, error: &Error, heard_at: Timestamp) -> Result<(), Error> {
        let Some(subject) = self.subjects.get_mut(source) else { return Ok(()) };
        if std::mem::take(&mut subject.up) {
            subject.lost = Some(heard_at);
        }
        let (why, for_a_person) = (error.why(), error.about_key());
        // One line a reason, not one an attempt; and what a person must mend is not hidden behind what passes.
        let quiet = |(said, mend): &(CompactString, bool)| *said == why || (*mend && !for_a_person);
        if subject.said.as_ref().is_some_and(quiet) {
            tracing::debug!(feed = %source, %why, "still not connected");
            return Ok(());
        }
        subject.said = Some((why.clone(), for_a_person));
        tracing::warn!(feed = %source, %why, "not connected");
        self.outlet.note(source.clone(), Body::LinkDown { why }).await
    }

    /// Logs how a job ended, once a reason; returns whose feed it casts a doubt on.
    fn failed(&mut self, (whose, ended): Done) -> Option<(Source, Error)> {
        let failing = whose.as_ref().and_then(|source| self.subjects.get_mut(source)).map(|one| &mut one.failing);
        let Err(error) = ended else {
            failing.and_then(Option::take);
            return None;
        };
        let (why, feed) = (error.why(), whose.as_ref().map(tracing::field::display));
        let (known, times) = failing.as_ref().and_then(|failing| failing.as_ref()).cloned().unwrap_or_default();
        let times = if known == why { times.saturating_add(1) } else { 1 };
        // A refused key is told by signing in anew; here only when that, oddly, succeeds.
        let tell = if error.about_key() { 2 } else { 1 };
        if times == tell {
            tracing::warn!(%error, feed, "a call beside a feed failed");
        } else {
            tracing::debug!(%error, feed, times, "a call beside a feed failed");
        }
        if let Some(failing) = failing {
            *failing = Some((why, times));
        }
        let doubts = matches!(error, Error::Moved(_)) || error.advice() == Advice::GiveUp && error != Error::Finished;
        whose.filter(|_| doubts).map(|source| (source, error))
    }

    /// Writes down that from now on nobody watches; the queue may be gone already.
    async fn stopped(mut self) -> Result<(), Error> {
        self.jobs.abort_all();
        let saying = async {
            for (source, subject) in &self.subjects {
                if subject.up {
                    let why = "fillguard is stopping".into();
                    self.outlet.note(source.clone(), Body::LinkDown { why }).await?;
                }
            }
            Ok::<(), Error>(())
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), saying).await;
        Ok(())
    }

    /// Asks for what a healthy connection may have lost all the same: no exchange promises delivery.
    fn reconcile(&mut self) {
        // What the exchange cannot answer in time is not asked a second time.
        if !self.waiting.is_empty() {
            return;
        }
        let until = clock::now();
        let since = until - Span::from(self.timing.reconcile) - Span::from(self.timing.overlap);
        let up = self.subjects.iter().filter(|(_, subject)| subject.up).map(|(source, _)| source.clone());
        for source in up.collect::<Vec<_>>() {
            if let Some(job) = self.protocol.fill(&source, Gap { since, until }) {
                self.job(Some(source), job);
            }
        }
    }

    fn job(&mut self, whose: Option<Source>, job: P::Job) {
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
            tracing::warn!("too many calls wait for an exchange; the oldest is dropped");
        }
        self.waiting.push_back((whose, job));
        self.start_jobs();
    }

    fn start_jobs(&mut self) {
        while self.jobs.len() < JOBS
            && let Some((whose, job)) = self.waiting.pop_front()
        {
            let running = Arc::clone(&self.protocol).run(job, self.outlet.clone());
            self.jobs.spawn(async move { (whose, running.await) });
        }
    }
}

/// Waits for a change of what is wanted; for ever when nobody can change it any more.
async fn changed(wanted: &mut Option<watch::Receiver<BTreeSet<Symbol>>>) {
    if let Some(wanted) = wanted
        && wanted.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Returns how a job ended; nothing when it was ended.
fn finished(done: Result<Done, tokio::task::JoinError>) -> Option<Done> {
    match done {
        Ok(done) => Some(done),
        Err(error) => {
            if error.is_panic() {
                tracing::error!("a call beside a feed panicked");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests;
