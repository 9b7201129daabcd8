//! Keeps one subject connected: connects, speaks the exchange's protocol, replaces the connection before it is cut,
//! says when it is blind, and asks for what was missed.

mod jobs;
mod owed;
mod protocol;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::{Advice, Error};
use super::limiter::Limiter;
use super::outlet::Outlet;
use super::settings::Timing;
use super::socket::{Received, Socket};
use crate::arrival::{Body, Source};
use crate::domain::{Symbol, Timestamp};
use crate::runtime::backoff::Backoff;
use crate::runtime::clock;
use jobs::{Done, Jobs};
use owed::Owed;
pub use protocol::{Gap, Protocol, Session, Step};

/// One subject's link.
pub struct Link<P: Protocol> {
    protocol: Arc<P>,
    outlet: Outlet,
    timing: Timing,
    wanted: Option<watch::Receiver<BTreeSet<Symbol>>>,
    subjects: BTreeMap<Source, Subject>,
    owed: Owed,
    jobs: Jobs<P::Job>,
    /// True after a call beside the connection was refused, until one is answered.
    doubted: bool,
}

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
    Ask,
    JobDone(Box<Done>),
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
        let sources = protocol.sources();
        let known = sources.iter().map(|source| (source.clone(), protocol.known_until(source)));
        let owed = Owed::new(timing, known);
        let subjects = sources.into_iter().map(|source| (source, Subject::default())).collect();
        Link { protocol, outlet, timing, wanted, subjects, owed, jobs: Jobs::new(), doubted: false }
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
            let due = self.owed.due(clock::steady());
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
                () = until(due) => Turn::Ask,
                done = self.jobs.ended() => Turn::JobDone(Box::new(done)),
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
                Turn::Ask => self.ask(),
                Turn::JobDone(done) => {
                    let doubt = self.done(*done).await.map_err(|error| (error, heard_at))?;
                    if let Some((source, error)) = doubt {
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
                Step::Job(job) => {
                    if let Some((source, gap)) = self.jobs.add(None, job) {
                        self.owed.failed(&source, gap, Advice::Retry, clock::steady());
                    }
                    self.start();
                }
                Step::Owe(source, since) => self.owed.owe(&source, since),
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
        let lost = subject.lost;
        self.outlet.pass(now, source.clone(), Body::LinkUp).await?;
        tracing::info!(feed = %source, "connected");
        self.owed.up(&source, lost, now);
        self.ask();
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
    fn failed(&mut self, whose: Option<Source>, ended: Result<(), Error>) -> Option<(Source, Error)> {
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
        self.jobs.abort();
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
        let now = clock::now();
        for (source, _) in self.subjects.iter().filter(|(_, subject)| subject.up) {
            self.owed.reconcile(source, now);
        }
        self.ask();
    }

    /// Puts the questions whose time has come.
    fn ask(&mut self) {
        for (source, gap) in self.owed.questions(clock::steady(), clock::now()) {
            let Some(job) = self.protocol.fill(&source, gap) else {
                self.owed.unanswerable(&source);
                continue;
            };
            if let Some((source, gap)) = self.jobs.add(Some((source, gap)), job) {
                self.owed.failed(&source, gap, Advice::Retry, clock::steady());
            }
        }
        self.start();
    }

    fn start(&mut self) {
        let (protocol, outlet) = (&self.protocol, &self.outlet);
        self.jobs.start(|job| Arc::clone(protocol).run(job, outlet.clone()));
    }

    /// Takes a job's end; returns whose feed it casts a doubt on.
    async fn done(&mut self, Done { purpose, ended }: Done) -> Result<Option<(Source, Error)>, Error> {
        self.start();
        let whose = purpose.as_ref().map(|(source, _)| source.clone());
        let advice = ended.as_ref().and_then(|ended| ended.as_ref().err()).map_or(Advice::Retry, Error::advice);
        match purpose {
            Some((source, gap)) if matches!(ended, Some(Ok(()))) => self.owed.answered(&source, gap),
            Some((source, gap)) => {
                if self.owed.failed(&source, gap, advice, clock::steady())
                    && let Source::Account(account) = source
                {
                    // It is asked for again until it is answered; that it was not so far must not stay unsaid.
                    let told = Body::Filled { since: gap.since, until: gap.until, verified: false };
                    self.outlet.note(Source::AccountRest(account), told).await?;
                }
            }
            None => {}
        }
        Ok(ended.and_then(|ended| self.failed(whose, ended)))
    }
}

/// Waits until then; for ever when there is no such time.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
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

#[cfg(test)]
mod tests;
