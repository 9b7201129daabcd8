//! The pipeline's loop: a batch in, its effects taken, and only then is anything said to have gone well.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::counters::Counters;
use super::drills::Drills;
use super::fault::Faults;
use super::feed_log::FeedLog;
use super::gauges::Gauges;
use super::roll::{Calls, RollBook};
use super::roll_call::RollCall;
use crate::arrival::{Arrival, Body, Source};
use crate::codec::operator;
use crate::domain::{Effect, EventKind, Symbol, Venue};
use crate::feed::Roll;
use crate::feed::access::Receipts;
use crate::notify::telegram::Pulse;
use crate::pipeline::{self, Pipeline, SNAPSHOT_VERSION};
use crate::runtime::backoff::{self, Backoff};
use crate::runtime::clock;
use crate::runtime::systemd::{self, Watchdog};
use crate::store::{Error, Handle, Snapshot};

/// How often closed incidents that are too old are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(86_400);
/// How often it is written down how well each account was heard.
const TOTALS_EVERY: Duration = Duration::from_secs(86_400);
/// How often the service manager's status line changes at most.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Waits between two tries of a store that is busy or whose disk is full.
const BUSY: backoff::Settings =
    backoff::Settings { min: Duration::from_millis(50), max: Duration::from_secs(5), healthy: Duration::from_secs(60) };

/// How often the loop does what no arrival asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    pub(super) snapshot_every: Duration,
    pub(super) snapshot_arrivals: u64,
    /// How long what is over is kept.
    pub(super) keep: Duration,
    /// Pairs of an exchange whose market is watched at most.
    pub(super) market_pairs: usize,
}

/// What the loop works with.
pub(super) struct Chain {
    pub(super) rhythm: Rhythm,
    /// The arrival the memory was last saved after.
    pub(super) saved_n: u64,
    pub(super) rules_hash: String,
    pub(super) pipeline: Pipeline,
    pub(super) faults: Faults,
    pub(super) store: Handle,
    pub(super) batches: mpsc::Receiver<Vec<Arrival>>,
    pub(super) pairs: watch::Sender<BTreeSet<(Venue, Symbol)>>,
    /// Rules that come while it runs.
    pub(super) rules: Option<watch::Receiver<Option<pipeline::Settings>>>,
    pub(super) roll: RollBook,
    pub(super) calls: Calls,
    pub(super) roll_call: RollCall,
    pub(super) feed_log: FeedLog,
    /// Who posted something is answered from here.
    pub(super) receipts: Receipts,
    /// Since yesterday's line was written.
    pub(super) counters: Counters,
    pub(super) watchdog: Watchdog,
    /// How it goes, for those who are asked.
    pub(super) pulse: watch::Sender<Pulse>,
    /// What is shown to whoever looks.
    pub(super) gauges: Gauges,
    /// Pairs that were left out at the start.
    pub(super) left_out: usize,
    /// How far the store knows what was hidden, and what the log was told of rules that could not be judged.
    pub(super) kept: Kept,
}

/// What of the pipeline's memory was passed on to people's side.
#[derive(Default)]
pub(super) struct Kept {
    hidden: Option<u64>,
    failed: BTreeSet<CompactString>,
}

/// When the loop last did what no arrival asks for.
struct Done {
    /// The arrival the last snapshot was taken after, and when.
    saved_n: u64,
    saved: Instant,
    forgot: Option<Instant>,
    told: Option<Instant>,
    totalled: Instant,
    status: String,
    interest: u64,
    /// Pairs that were left out when that was last said.
    left_out: usize,
}

/// Returns the pairs whose market is to be watched; `told` is how many were left out when that was last said.
pub(super) fn pairs(pipeline: &Pipeline, most: usize, told: &mut usize) -> BTreeSet<(Venue, Symbol)> {
    let (wanted, left_out) = pipeline.pairs_of_interest(most);
    // Once when it begins, and again where it got twice as bad.
    if left_out == 0 {
        *told = 0;
    } else if *told == 0 || left_out >= 2 * *told {
        *told = left_out;
        tracing::warn!(
            left_out,
            most_an_exchange = most,
            "accounts trade and hold more pairs than are watched; those traded longest ago are judged without their \
             market (raise feed.market_pairs to watch them)"
        );
    }
    wanted
}

impl Chain {
    /// Takes batches until the journal closes the queue, and saves the memory at the end. Fails only where the store
    /// does for good.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let mut done = Done {
            saved_n: self.saved_n,
            saved: clock::steady(),
            forgot: None,
            told: None,
            totalled: clock::steady(),
            status: String::new(),
            interest: self.pipeline.interest_moved(),
            left_out: self.left_out,
        };
        // One at a time, beside the loop: a large memory takes a while to compress.
        let mut saving: JoinSet<()> = JoinSet::new();
        let mut forgetting: JoinSet<()> = JoinSet::new();
        loop {
            tokio::select! {
                batch = self.batches.recv() => {
                    let Some(batch) = batch else { break };
                    self.take(&batch).await?;
                    self.want(&mut done);
                }
                accounts = called(&mut self.calls) => {
                    self.roll_call.change(accounts.watched().collect());
                    self.gauges.retain(&self.roll_call);
                    self.roll.follow(accounts, &self.pipeline);
                }
                rules = new_rules(&mut self.rules) => {
                    self.rules_hash = super::resume::rules_hash(&rules);
                    self.pipeline.adopt(rules);
                    self.kept = Kept::default();
                    tracing::info!(after_arrival = self.pipeline.counts().last, "other rules judge from here on");
                }
                () = self.roll_call.patience() => self.roll_call.say_ready(),
                () = self.gauges.due() => {}
                Some(_) = saving.join_next(), if !saving.is_empty() => {}
                Some(_) = forgetting.join_next(), if !forgetting.is_empty() => {}
            }
            if saving.is_empty() && self.is_snapshot_due(&done) {
                self.save(&mut done, &mut saving);
            }
            if forgetting.is_empty() && done.forgot.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
                done.forgot = Some(clock::steady());
                let (store, keep) = (self.store.clone(), self.rhythm.keep);
                forgetting.spawn(async move { forget(&store, keep).await });
            }
            self.tell_status(&mut done);
            let (gauges, waiting) = (&mut self.gauges, self.batches.len());
            self.faults.beside(|| gauges.tell(&self.pipeline, &self.roll_call, waiting));
            if done.totalled.elapsed() >= TOTALS_EVERY {
                done.totalled = clock::steady();
                self.feed_log.totals(&self.counters.take());
            }
        }
        while saving.join_next().await.is_some() {}
        if self.pipeline.counts().last > done.saved_n {
            self.save(&mut done, &mut saving);
            while saving.join_next().await.is_some() {}
        }
        Ok(())
    }

    /// Steps through a batch and has its effects taken; then, and only then, the watchdog hears of it.
    async fn take(&mut self, batch: &[Arrival]) -> Result<(), Error> {
        // The journal passes on only what is on disk.
        self.receipts.note(batch);
        let mut effects = Vec::new();
        let mut drills = Drills::begin();
        for arrival in batch {
            let mut wanted = self.faults.step(&mut self.pipeline, arrival);
            self.measure(arrival, &wanted);
            effects.append(&mut wanted);
            drills.note(arrival, self.pipeline.events());
            self.counters.note(arrival, self.pipeline.events(), self.pipeline.counts().repeats);
            for event in self.pipeline.events() {
                if let EventKind::Feed(change) = &event.kind {
                    self.feed_log.note(arrival, &change.kind);
                    if let Some(account) = &change.account {
                        self.roll_call.hear(account, &change.wallet, &change.kind);
                    }
                }
            }
        }
        self.keep(effects).await?;
        self.keep_answers(batch).await?;
        self.gauges.kept(batch);
        drills.keep(&self.store).await;
        self.keep_hidden().await;
        self.tell_failures();
        if self.faults.none() {
            self.watchdog.progress();
            let (seen, accounts) = self.roll_call.seen();
            let counts = self.pipeline.counts();
            self.pulse.send_replace(Pulse {
                seen,
                accounts,
                fills: counts.fills,
                arrivals: counts.arrivals,
                open: self.pipeline.open_incidents(),
                at: batch.last().map_or(self.pipeline.now(), |arrival| arrival.at),
            });
        }
        Ok(())
    }

    /// Notes the people's answers that are durable now.
    async fn keep_answers(&self, batch: &[Arrival]) -> Result<(), Error> {
        for arrival in batch {
            let (Source::Operator, Body::Frame(frame)) = (&arrival.from, &arrival.body) else { continue };
            if let Some(id) = operator::kept_as(frame.get()) {
                match self.store.with(move |store| store.mark_journaled(id)).await {
                    // Handed over again after a restart, which does no harm.
                    Err(error) if error.is_passing() => tracing::debug!(%error, "an answer is not marked yet"),
                    done => done?,
                }
            }
        }
        Ok(())
    }

    /// Counts what is shown to whoever looks, and now and then times the rules, beside the judging.
    fn measure(&mut self, arrival: &Arrival, effects: &[Effect]) {
        let (gauges, pipeline) = (&mut self.gauges, &self.pipeline);
        self.faults.beside(|| {
            gauges.note(arrival, pipeline, effects);
            if let Some(order) = gauges.sampled(pipeline) {
                gauges.time(pipeline, &order);
            }
        });
    }

    /// Has the store take effects. While it is busy or its disk is full, arrivals wait: they are in the journal.
    async fn keep(&self, effects: Vec<Effect>) -> Result<(), Error> {
        if effects.is_empty() {
            return Ok(());
        }
        let mut backoff = Backoff::new(BUSY);
        loop {
            match self.store.take(effects.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_passing() => {
                    let wait = backoff.draw();
                    tracing::warn!(%error, again_in = ?wait, "the store cannot take effects now; arrivals wait");
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Has the store know what exceptions and answers hid. The counts are absolute, so one that is lost comes again.
    async fn keep_hidden(&mut self) {
        let moved = self.pipeline.hidden_moved();
        if self.kept.hidden == Some(moved) {
            return;
        }
        let (hidden, now) = (self.pipeline.hidden(), self.pipeline.now());
        match self.store.with(move |store| store.keep_hidden(&hidden, now)).await {
            Ok(()) => self.kept.hidden = Some(moved),
            Err(error) => tracing::debug!(%error, "what was hidden is written down with the next arrivals"),
        }
    }

    /// Tells each rule of the user's own that could not be judged once, and counts all of them.
    fn tell_failures(&mut self) {
        let failed = self.pipeline.unjudged();
        if failed == self.counters.unjudged() {
            return;
        }
        let failures = self.pipeline.failures();
        for (rule, (_, why)) in &failures {
            if self.kept.failed.insert(rule.clone()) {
                tracing::warn!(
                    %rule, %why, after_arrival = self.pipeline.counts().last,
                    "a rule could not be judged, which counts as not met; its further failures are only counted \
                     (has(..) asks whether a field is known)"
                );
            }
        }
        self.counters.note_unjudged(failed, failures.into_iter().map(|(rule, (times, _))| (rule, times)));
    }

    /// Tells the market feeds which pairs are wanted, when that changed.
    fn want(&self, done: &mut Done) {
        let interest = self.pipeline.interest_moved();
        if interest != done.interest {
            done.interest = interest;
            let wanted = pairs(&self.pipeline, self.rhythm.market_pairs, &mut done.left_out);
            self.pairs.send_if_modified(|now| {
                let differs = *now != wanted;
                *now = wanted;
                differs
            });
        }
    }

    fn is_snapshot_due(&self, done: &Done) -> bool {
        let arrived = self.pipeline.counts().last.saturating_sub(done.saved_n);
        arrived > 0 && (arrived >= self.rhythm.snapshot_arrivals || done.saved.elapsed() >= self.rhythm.snapshot_every)
    }

    /// Saves the memory as it is now, beside the loop. Every effect up to here was taken before, as the store asks.
    fn save(&self, done: &mut Done, saving: &mut JoinSet<()>) {
        let n = self.pipeline.counts().last;
        (done.saved_n, done.saved) = (n, clock::steady());
        let bytes = match self.pipeline.snapshot() {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "the memory cannot be saved; a restart will read more of the journal");
                return;
            }
        };
        let snapshot = Snapshot { n, rules_hash: self.rules_hash.clone(), version: SNAPSHOT_VERSION, bytes };
        let store = self.store.clone();
        saving.spawn(async move {
            if let Err(error) = store.save_snapshot(snapshot).await {
                tracing::warn!(%error, n, "the memory was not saved; a restart will read more of the journal");
            }
        });
    }

    /// Tells the service manager how it goes.
    fn tell_status(&mut self, done: &mut Done) {
        if done.told.is_some_and(|at| at.elapsed() < STATUS_EVERY) {
            return;
        }
        done.told = Some(clock::steady());
        self.roll_call.tell_progress();
        let (seen, accounts) = self.roll_call.seen();
        let (fills, open) = (self.pipeline.counts().fills, self.pipeline.open_incidents());
        let status = format!("watching {seen} of {accounts} accounts, {fills} fills, {open} open incidents");
        if status != done.status {
            systemd::status(&status);
            done.status = status;
        }
    }
}

/// Waits until others are to be watched; for ever when nobody can say so any more.
async fn called(calls: &mut Calls) -> Roll {
    if let Some(calls) = calls
        && calls.changed().await.is_ok()
    {
        return calls.borrow_and_update().clone();
    }
    std::future::pending().await
}

/// Waits until other rules are in force; for ever when nobody can say so any more.
async fn new_rules(rules: &mut Option<watch::Receiver<Option<pipeline::Settings>>>) -> pipeline::Settings {
    while let Some(told) = rules {
        if told.changed().await.is_err() {
            break;
        }
        if let Some(settings) = told.borrow_and_update().clone() {
            return settings;
        }
    }
    std::future::pending().await
}

async fn forget(store: &Handle, keep: Duration) {
    let before = clock::now() - keep.into();
    match store.with(move |store| store.forget(before)).await {
        Ok(0) => {}
        Ok(incidents) => tracing::info!(incidents, "incidents that were over long ago were forgotten"),
        Err(error) => tracing::warn!(%error, "what is over could not be forgotten; tried again tomorrow"),
    }
}
