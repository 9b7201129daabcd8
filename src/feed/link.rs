//! Keeps one subject connected: connects, speaks the exchange's protocol, replaces the connection before it is cut,
//! says when it is blind, and asks for what was missed.

mod inspections;
mod jobs;
mod owed;
mod protocol;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use compact_str::CompactString;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::error::{Advice, Error};
use super::limiter::Limiter;
use super::outlet::{Carrying, Outlet};
use super::settings::Timing;
use super::socket::{Received, Socket};
use crate::arrival::{Body, REMOVED, Source};
use crate::domain::{Symbol, Timestamp};
use crate::runtime::backoff::Backoff;
use crate::runtime::clock;
use inspections::{Inspected, Inspections};
use jobs::{Done, Jobs};
use owed::{Owed, Question};
pub use protocol::{Gap, Protocol, Session, Step};

/// How long a connection that was replaced is still listened to: what the exchange said on it before the new one was
/// subscribed may be on its way.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// What whoever runs a link tells it meanwhile. A change of any kind also has it look whom it is for.
#[derive(Clone, Debug, Default)]
pub struct Word {
    /// How often the connection was to be replaced, because the key behind it was.
    pub renewals: u64,
    /// What is said of its subjects when it is stopped, where that is not fillguard's own end.
    pub farewell: Option<CompactString>,
}

/// How many of a link's subjects are up, for whoever waits for that.
#[derive(Debug, Default)]
pub struct Count {
    up: AtomicUsize,
    changed: Arc<Notify>,
}

impl Count {
    /// Begins at none; `changed` is told of every change.
    pub fn new(changed: Arc<Notify>) -> Self {
        Count { up: AtomicUsize::new(0), changed }
    }

    /// Returns how many are up.
    pub fn up(&self) -> usize {
        self.up.load(Ordering::Relaxed)
    }

    fn more(&self) {
        self.up.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    fn fewer(&self) {
        self.up.fetch_sub(1, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

/// One subject's link.
pub struct Link<P: Protocol> {
    protocol: Arc<P>,
    outlet: Outlet,
    timing: Timing,
    wanted: Option<watch::Receiver<BTreeSet<Symbol>>>,
    word: Option<watch::Receiver<Word>>,
    renewed: u64,
    count: Option<Arc<Count>>,
    subjects: BTreeMap<Source, Subject>,
    owed: Owed,
    jobs: Jobs<P::Job>,
    inspections: Inspections,
    /// True after a call beside the connection was refused, until one is answered.
    doubted: bool,
}

#[derive(Default)]
struct Subject {
    up: bool,
    carrying: Option<Carrying>,
    lost: Option<Timestamp>,
    /// Why it is down, as told, and whether that is for a person to mend.
    said: Option<(CompactString, bool)>,
    /// Why the calls beside its feed fail, and how many did in a row.
    failing: Option<(CompactString, u32)>,
    /// Whether its key was asked about since it came up.
    inspected: bool,
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
    Replace,
    Dialed(Box<Result<(Socket, S), Error>>),
    Wanted,
    Told,
    Reconcile,
    Ask,
    JobDone(Box<Done>),
    Inspect,
    Inspected(Inspected),
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
        Link {
            protocol,
            outlet,
            timing,
            wanted,
            word: None,
            renewed: 0,
            count: None,
            subjects,
            owed,
            jobs: Jobs::new(),
            inspections: Inspections::new(timing.key_state),
            doubted: false,
        }
    }

    /// Has it heed what it is told while it runs, and count who is up.
    pub fn heeding(mut self, word: watch::Receiver<Word>, count: Arc<Count>) -> Self {
        count.up.store(0, Ordering::Relaxed);
        self.count = Some(count);
        self.renewed = word.borrow().renewals;
        self.word = Some(word);
        self
    }

    /// Stays connected until `stop`. Ends with an error only when nobody takes what it receives.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut backoff = Backoff::new(self.timing.backoff);
        let mut refused = Backoff::new(self.timing.refused);
        loop {
            self.let_go().await?;
            self.renewal_asked();
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
            let mut waiting = std::pin::pin!(tokio::time::sleep(wait));
            loop {
                tokio::select! {
                    () = stop.cancelled() => return self.stopped().await,
                    () = &mut waiting => break,
                    () = told(&mut self.word) => {
                        self.let_go().await?;
                        // With another key there is nothing to wait for.
                        if self.renewal_asked() {
                            refused = Backoff::new(self.timing.refused);
                            break;
                        }
                    }
                }
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
        let mut replace_at: Option<Instant> = None;
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
            let inspect = self.inspections.due();
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
                () = async { match replace_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                } } => Turn::Replace,
                () = tokio::time::sleep_until(reconcile_at.into()), if reconciles => Turn::Reconcile,
                () = changed(&mut self.wanted) => Turn::Wanted,
                () = until(due) => Turn::Ask,
                done = self.jobs.ended() => Turn::JobDone(Box::new(done)),
                () = until(inspect) => Turn::Inspect,
                inspected = self.inspections.ended() => Turn::Inspected(inspected),
                () = told(&mut self.word) => Turn::Told,
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
                    // The next one is up already: it only takes over sooner.
                    Err(error) if error != Error::Finished && replace_at.is_some() => {
                        replace_at = Some(clock::steady())
                    }
                    Err(error) => return Err((error, heard_at)),
                },
                Turn::Next(heard) => {
                    let Some(fresh) = &mut next else { continue };
                    // A failed replacement costs nothing: the connection in use is still good.
                    if let Err(error) = self.take(fresh, heard).await {
                        if error == Error::Finished {
                            return Err((error, heard_at));
                        }
                        self.not_replaced(&error);
                        next = None;
                        renew_at = clock::steady() + renewals.draw();
                    }
                }
                Turn::Replace => {
                    replace_at = None;
                    if let Some(fresh) = next.take() {
                        std::mem::replace(&mut current, fresh).socket.close().await;
                        renewals = Backoff::new(self.timing.backoff);
                        renew_at = self.renewal();
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
                        Err(error) => {
                            self.not_replaced(&error);
                            renew_at = clock::steady() + renewals.draw().max(error.wait());
                        }
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
                Turn::Told => {
                    self.let_go().await.map_err(|error| (error, heard_at))?;
                    if self.renewal_asked() {
                        // What was begun was begun with the key before.
                        (next, dialing) = (None, None);
                        renewals = Backoff::new(self.timing.backoff);
                        renew_at = clock::steady();
                    }
                }
                Turn::Reconcile => {
                    reconcile_at = clock::steady() + self.timing.reconcile;
                    self.reconcile();
                }
                Turn::Ask => self.ask(),
                Turn::Inspect => self.inspect(),
                Turn::Inspected(inspected) => self.inspected(inspected),
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
            let settled = next.as_ref().is_some_and(|fresh| fresh.session.settled());
            replace_at = settled.then(|| replace_at.unwrap_or_else(|| clock::steady() + LINGER));
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
                    if let Some((source, gap)) = self.jobs.add(None, job, false) {
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
        let subject = self.subjects.entry(source.clone()).or_default();
        // Already up on the connection that is being replaced: nothing was missed.
        if subject.up {
            self.protocol.carried(&source);
            return Ok(());
        }
        (subject.up, subject.said, subject.inspected) = (true, None, false);
        let lost = subject.lost;
        let carried = self.outlet.is_carried(&source);
        subject.carrying = self.outlet.carry(&source);
        self.protocol.carried(&source);
        self.count.iter().for_each(|count| count.more());
        self.owed.know(&source, self.protocol.known_until(&source));
        self.owed.up(&source, lost, now);
        self.inspections.forget(&source);
        if carried {
            // What the connection with the old key still owed is asked for with the new one.
            tracing::info!(feed = %source, "connected with its new key");
            self.ask();
            return Ok(());
        }
        self.outlet.pass(now, source.clone(), Body::LinkUp).await?;
        tracing::info!(feed = %source, "connected");
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
        let subject = self.subjects.entry(source.clone()).or_default();
        subject.carrying = None;
        if std::mem::take(&mut subject.up) {
            subject.lost = Some(heard_at);
            self.count.iter().for_each(|count| count.fewer());
        }
        let (why, for_a_person) = (error.why(), error.about_key());
        if self.outlet.is_carried(source) {
            tracing::warn!(feed = %source, %why, "not connected with one of its two keys; the other goes on");
            return Ok(());
        }
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

    /// Lets go of those whose link this is no longer, unless another connection carries them.
    async fn let_go(&mut self) -> Result<(), Error> {
        if self.word.is_none() {
            return Ok(());
        }
        let own: BTreeSet<Source> = self.protocol.sources().into_iter().collect();
        let gone: Vec<Source> = self.subjects.keys().filter(|source| !own.contains(source)).cloned().collect();
        for source in gone {
            if self.subjects.remove(&source).is_some_and(|subject| subject.up) {
                self.count.iter().for_each(|count| count.fewer());
            }
            self.jobs.forget(&source);
            self.inspections.forget(&source);
            self.owed.forget(&source);
            if !self.outlet.is_carried(&source) {
                tracing::info!(feed = %source, why = REMOVED, "not connected");
                self.outlet.note(source, Body::LinkDown { why: REMOVED.into() }).await?;
            }
        }
        Ok(())
    }

    /// Says whether the connection is to be replaced since this was last asked.
    fn renewal_asked(&mut self) -> bool {
        let asked = self.word.as_ref().map_or(self.renewed, |word| word.borrow().renewals);
        std::mem::replace(&mut self.renewed, asked) != asked
    }

    fn not_replaced(&self, error: &Error) {
        let feed = self.subjects.keys().next().map(tracing::field::display);
        tracing::warn!(feed, %error, "a connection could not be replaced; the one in use goes on");
    }

    /// Writes down that from now on nobody watches; the queue may be gone already.
    async fn stopped(mut self) -> Result<(), Error> {
        self.jobs.abort();
        self.inspections.abort();
        let farewell = self.word.as_ref().and_then(|word| word.borrow().farewell.clone());
        let saying = async {
            for (source, subject) in std::mem::take(&mut self.subjects) {
                let said = subject.up || farewell.is_some();
                drop(subject);
                if said && !self.outlet.is_carried(&source) {
                    let why = farewell.clone().unwrap_or_else(|| "fillguard is stopping".into());
                    self.outlet.note(source, Body::LinkDown { why }).await?;
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

    /// Has the key asked about once its first ordinary question was answered: a key that may not even read the account is
    /// told by that, and not a second time by this.
    fn look_at_key(&mut self, source: &Source) {
        if self.protocol.inspects()
            && let Some(subject) = self.subjects.get_mut(source)
            && subject.up
            && !std::mem::replace(&mut subject.inspected, true)
        {
            self.inspections.at_once(source);
        }
    }

    /// Puts the questions whose time has come.
    fn ask(&mut self) {
        for Question { source, gap, standing } in self.owed.questions(clock::steady(), clock::now()) {
            let Some(job) = self.protocol.fill(&source, gap) else {
                self.owed.unanswerable(&source);
                continue;
            };
            if let Some((source, gap)) = self.jobs.add(Some((source, gap)), job, standing) {
                self.owed.failed(&source, gap, Advice::Retry, clock::steady());
            }
        }
        self.start();
    }

    /// Asks about the key of the subject whose turn it is; one that is down is asked about when it is up again.
    fn inspect(&mut self) {
        let Some(source) = self.inspections.next() else { return };
        if self.subjects.get(&source).is_some_and(|subject| subject.up) {
            let running = Arc::clone(&self.protocol).inspect(source.clone(), self.outlet.clone());
            self.inspections.start(source, running);
        }
    }

    fn inspected(&mut self, Inspected { source, failed }: Inspected) {
        let Some(error) = failed else { return };
        tracing::warn!(%error, feed = %source, "what a key may do could not be read");
        // Whether the key is dead is for the ordinary calls to find out: this one may be refused for reasons of its own,
        // and must not cost the connection.
        if error.about_key() {
            self.owed.owe(&source, clock::now());
            self.ask();
        }
    }

    fn start(&mut self) {
        let (protocol, outlet) = (&self.protocol, &self.outlet);
        self.jobs.start(|job| Arc::clone(protocol).run(job, outlet.clone()));
    }

    /// Takes a job's end; returns whose feed it casts a doubt on.
    async fn done(&mut self, Done { purpose, ended, .. }: Done) -> Result<Option<(Source, Error)>, Error> {
        self.start();
        let whose = purpose.as_ref().map(|(source, _)| source.clone());
        let advice = ended.as_ref().and_then(|ended| ended.as_ref().err()).map_or(Advice::Retry, Error::advice);
        match purpose {
            Some((source, gap)) if matches!(ended, Some(Ok(()))) => {
                self.owed.answered(&source, gap);
                self.look_at_key(&source);
            }
            Some((source, gap)) => {
                if self.owed.failed(&source, gap, advice, clock::steady())
                    && let Some(account) = source.account().cloned()
                {
                    // It is asked for again until it is answered; that it was not so far must not stay unsaid.
                    let told = Body::Filled { since: gap.since, until: gap.until, verified: false };
                    self.outlet.note(Source::answers(account, source.wallet()), told).await?;
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

/// Waits for a word; for ever when nobody can say one.
async fn told(word: &mut Option<watch::Receiver<Word>>) {
    if let Some(word) = word
        && word.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
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
