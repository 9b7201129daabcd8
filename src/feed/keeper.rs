//! Keeps links running that come and go: one that ends unasked is made anew after a wait, and no other one notices.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use compact_str::CompactString;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::link::{Count, LINGER, Link, Protocol, Word};
use super::outlet::Outlet;
use super::settings::Timing;
use crate::arrival::{Body, REMOVED, Source};
use crate::runtime::backoff::Backoff;
use crate::runtime::clock;

type Running = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A link's name among its keeper's.
pub(super) type Number = u64;

/// The links.
pub(super) struct Keeper {
    outlet: Outlet,
    timing: Timing,
    /// Ends all of them.
    stop: CancellationToken,
    links: BTreeMap<Number, Kept>,
    running: JoinSet<Result<(), Error>>,
    who: BTreeMap<Id, Number>,
    /// When those that failed are made anew.
    due: BTreeSet<(Instant, Number)>,
    /// When those that were replaced are ended.
    ending: BTreeSet<(Instant, Number)>,
    /// Told whenever somebody comes up or goes down.
    changed: Arc<Notify>,
    next: Number,
}

struct Kept {
    make: Box<dyn Fn(CancellationToken, watch::Receiver<Word>) -> Running + Send + Sync>,
    sources: Box<dyn Fn() -> Vec<Source> + Send + Sync>,
    word: watch::Sender<Word>,
    count: Arc<Count>,
    stop: CancellationToken,
    backoff: Backoff,
    started: Instant,
}

impl Keeper {
    /// Begins with none; `stop` ends them all, and `changed` is told whenever somebody comes up or goes down.
    pub(super) fn new(outlet: Outlet, timing: Timing, stop: CancellationToken, changed: Arc<Notify>) -> Self {
        Keeper {
            outlet,
            timing,
            stop,
            links: BTreeMap::new(),
            running: JoinSet::new(),
            who: BTreeMap::new(),
            due: BTreeSet::new(),
            ending: BTreeSet::new(),
            changed,
            next: 0,
        }
    }

    /// Starts a link and keeps it running.
    pub(super) fn start<P: Protocol>(&mut self, protocol: Arc<P>) -> Number {
        let (outlet, timing, whose) = (self.outlet.clone(), self.timing, Arc::clone(&protocol));
        let count = Arc::new(Count::new(Arc::clone(&self.changed)));
        let counted = Arc::clone(&count);
        let kept = Kept {
            make: Box::new(move |stop, word| {
                Box::pin(
                    Link::new(Arc::clone(&protocol), outlet.clone(), timing, None)
                        .heeding(word, Arc::clone(&counted))
                        .run(stop),
                )
            }),
            sources: Box::new(move || whose.sources()),
            word: watch::Sender::default(),
            count,
            stop: self.stop.child_token(),
            backoff: Backoff::new(self.timing.backoff),
            started: clock::steady(),
        };
        let number = self.next;
        self.next += 1;
        self.links.insert(number, kept);
        self.run(number);
        number
    }

    /// Tells a link that those whose link it is have changed.
    pub(super) fn look(&self, number: Number) {
        if let Some(kept) = self.links.get(&number) {
            kept.word.send_modify(|_| ());
        }
    }

    /// Has a link's connection replaced, the new one up before the old one goes.
    pub(super) fn renew(&self, number: Number) {
        if let Some(kept) = self.links.get(&number) {
            kept.word.send_modify(|word| word.renewals += 1);
        }
    }

    /// Returns how many of a link's subjects are up.
    pub(super) fn up(&self, number: Number) -> usize {
        self.links.get(&number).map_or(0, |kept| kept.count.up())
    }

    /// Returns how many a link is for.
    pub(super) fn subjects(&self, number: Number) -> usize {
        self.links.get(&number).map_or(0, |kept| (kept.sources)().len())
    }

    /// Ends a link that was replaced, a little later: what was said on it before may be on its way.
    pub(super) fn retire(&mut self, number: Number) {
        self.ending.insert((clock::steady() + LINGER, number));
    }

    /// Ends a link; `farewell` is what is said of its subjects that no other link carries.
    pub(super) async fn end(&mut self, number: Number, farewell: &'static str) -> Result<(), Error> {
        let Some(kept) = self.links.remove(&number) else { return Ok(()) };
        kept.word.send_modify(|word| word.farewell = Some(CompactString::const_new(farewell)));
        kept.stop.cancel();
        let before = self.due.len();
        self.due.retain(|(_, waiting)| *waiting != number);
        // One that waits to be made anew cannot say it itself.
        if self.due.len() < before { self.say_down(&kept, farewell).await } else { Ok(()) }
    }

    /// Waits until a link ends or is due, and sees to it; dropping the wait loses nothing. Fails where nobody takes
    /// what links receive.
    pub(super) async fn tend(&mut self) -> Result<(), Error> {
        let next = self.due.first().copied();
        let last = self.ending.first().copied();
        let retiring = async {
            match last {
                Some((at, _)) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let waiting = async {
            match next {
                Some((at, _)) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(ended) = self.running.join_next_with_id(), if !self.running.is_empty() => self.ended(ended).await,
            () = retiring => match last {
                Some((at, number)) => {
                    self.ending.remove(&(at, number));
                    self.end(number, REMOVED).await
                }
                None => Ok(()),
            },
            () = waiting => {
                if let Some((at, number)) = next {
                    self.due.remove(&(at, number));
                    self.run(number);
                }
                Ok(())
            }
        }
    }

    /// Waits until all have ended, after they were told to.
    pub(super) async fn ended_all(mut self) {
        self.links.clear();
        while self.running.join_next().await.is_some() {}
    }

    fn run(&mut self, number: Number) {
        if let Some(kept) = self.links.get_mut(&number) {
            kept.started = clock::steady();
            let running = (kept.make)(kept.stop.clone(), kept.word.subscribe());
            self.who.insert(self.running.spawn(running).id(), number);
        }
    }

    async fn ended(&mut self, ended: Result<(Id, Result<(), Error>), JoinError>) -> Result<(), Error> {
        let (id, why) = match ended {
            Ok((_, Err(Error::Finished))) => return Err(Error::Finished),
            Ok((id, Ok(()))) => (id, "it returned".to_owned()),
            Ok((id, Err(error))) => (id, error.to_string()),
            // What it said may quote data; the panic hook has printed it where it belongs.
            Err(error) => (error.id(), "it panicked".to_owned()),
        };
        let Some(number) = self.who.remove(&id) else { return Ok(()) };
        let now = clock::steady();
        // Nothing is kept of one that was told to end.
        let Some(kept) = self.links.get_mut(&number).filter(|kept| !kept.stop.is_cancelled()) else { return Ok(()) };
        kept.backoff.lasted(now.saturating_duration_since(kept.started));
        let wait = kept.backoff.draw();
        self.due.insert((now + wait, number));
        let feeds = (kept.sources)().len();
        tracing::error!(%why, feeds, wait_ms = wait.as_millis() as u64, "a feed ended unasked and is made anew; report this");
        match self.links.get(&number) {
            Some(kept) => self.say_down(kept, "a fault in fillguard; the feed is made anew").await,
            None => Ok(()),
        }
    }

    async fn say_down(&self, kept: &Kept, why: &'static str) -> Result<(), Error> {
        for source in (kept.sources)() {
            if !self.outlet.is_carried(&source) {
                self.outlet.note(source, Body::LinkDown { why: CompactString::const_new(why) }).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;
    use crate::domain::{Symbol, Timestamp};
    use crate::feed::limiter::Limiter;
    use crate::feed::link::{Gap, Session, Step};
    use crate::feed::socket::{Received, Socket};
    use crate::runtime::backoff;

    /// Never connects; panics where it is the first time.
    struct Shy {
        name: &'static str,
        panics: bool,
        tried: Arc<AtomicUsize>,
        limiter: Limiter,
    }

    struct Silence;

    impl Session for Silence {
        type Job = ();
        fn heard(&mut self, _: Received, _: &mut Vec<Step<()>>) -> Result<(), Error> {
            Ok(())
        }
        fn due(&self) -> Option<(Instant, u32)> {
            None
        }
        fn speak(&mut self, _: Instant, _: &mut Vec<Step<()>>) -> Result<(), Error> {
            Ok(())
        }
        fn settled(&self) -> bool {
            true
        }
        fn want(&mut self, _: &BTreeSet<Symbol>, _: Instant) {}
    }

    impl Protocol for Shy {
        type Job = ();
        type Session = Silence;
        fn sources(&self) -> Vec<Source> {
            vec![self.name.parse().unwrap()]
        }
        fn limiter(&self) -> &Limiter {
            &self.limiter
        }
        async fn connect(self: Arc<Self>) -> Result<(Socket, Silence), Error> {
            let first = self.tried.fetch_add(1, Ordering::SeqCst) == 0;
            assert!(!(first && self.panics), "a fault of ours");
            std::future::pending().await
        }
        async fn run(self: Arc<Self>, (): (), _: Outlet) -> Result<(), Error> {
            Ok(())
        }
        fn fill(&self, _: &Source, _: Gap) -> Option<()> {
            None
        }
        fn known_until(&self, _: &Source) -> Option<Timestamp> {
            None
        }
    }

    #[tokio::test]
    async fn a_link_that_panics_is_said_to_be_down_and_made_anew_and_no_other_is() {
        let (out, mut said) = mpsc::channel(16);
        let quick =
            backoff::Settings { min: Duration::from_millis(1), max: Duration::from_millis(1), healthy: Duration::ZERO };
        let timing = Timing { backoff: quick, ..Timing::default() };
        let stop = CancellationToken::new();
        let mut keeper = Keeper::new(Outlet::new(out), timing, stop.clone(), Arc::default());
        let mut start = |name, panics| {
            let tried = Arc::new(AtomicUsize::new(0));
            let limiter = Limiter::new(1, Duration::from_secs(1), 1);
            let number = keeper.start(Arc::new(Shy { name, panics, tried: Arc::clone(&tried), limiter }));
            (number, tried)
        };
        let ((alice, failing), (_, steady)) = (start("kucoin/alice", true), start("kucoin/bob", false));
        while failing.load(Ordering::SeqCst) < 2 {
            keeper.tend().await.unwrap();
            tokio::task::yield_now().await;
            if keeper.due.is_empty() {
                // Nothing else is due: let the new one begin.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert_eq!(steady.load(Ordering::SeqCst), 1);
        let down = said.recv().await.unwrap();
        assert_eq!(down.from.to_string(), "kucoin/alice");
        assert!(matches!(down.body, Body::LinkDown { why } if why.contains("a fault in fillguard")));
        keeper.end(alice, crate::arrival::REMOVED).await.unwrap();
        let farewell = said.recv().await.unwrap();
        assert!(matches!(farewell.body, Body::LinkDown { why } if why == crate::arrival::REMOVED));
        stop.cancel();
        keeper.ended_all().await;
        // Bob was never up, so nobody has to hear that he is down.
        assert!(said.recv().await.is_none());
    }
}
