//! What is counted beside the pipeline for whoever looks at the daemon: nothing that a rule sees, and bounded.

mod lag;
mod status;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use tokio::sync::{mpsc, watch};

use super::roll_call::RollCall;
use crate::alert::hidden_by;
use crate::arrival::{Arrival, Body, Incoming, Source};
use crate::domain::{
    AccountId, Effect, EffectKind, EventKind, FeedKind, Fill, KeyState, Level, Restriction, Span, Timestamp, Via,
    Wallet, WhichKey,
};
use crate::engine::STAGED;
use crate::engine::cost::{Held, Stopwatch};
use crate::pipeline::Pipeline;
use crate::runtime::clock;
use crate::runtime::supervisor::{Outcome, Stage, Task};
use lag::Lags;
pub use status::{Feed, Key, Lag, Link, Part, RuleStatus, Status};

/// How often the file is written.
pub const EVERY: Duration = Duration::from_secs(1);
/// Of so many fills one has its order's rules timed.
const ONE_IN: u64 = 64;
/// A question takes less than reading the clock does.
const REPEATS: u32 = 4;
/// How often the memory's parts are measured, and of how many accounts at most: that takes as long as writing them down.
const MEASURE_EVERY: Duration = Duration::from_secs(60);
const MEASURED_ACCOUNTS: usize = 2_000;
/// Feeds that are listed.
const LISTED: usize = 1_000;
/// Slots of ten seconds, of which a minute is made.
const SLOTS: usize = 6;
const SLOT: i64 = 10_000_000_000;

/// What the daemon counts of itself.
pub(super) struct Gauges {
    began: Timestamp,
    last_at: Timestamp,
    links: BTreeMap<Source, Line>,
    paces: BTreeMap<AccountId, Pace>,
    rules: BTreeMap<CompactString, Hits>,
    timed: Timed,
    fills: u64,
    heard: Lags,
    judged: Lags,
    held: Option<(Instant, Vec<Held>)>,
    due: Option<Instant>,
    incoming: mpsc::WeakSender<Incoming>,
    told: Option<watch::Sender<Option<Arc<Status>>>>,
}

/// A source of arrivals.
#[derive(Debug, Default)]
struct Line {
    up: Option<bool>,
    since: Option<Timestamp>,
    why: Option<CompactString>,
    last: Option<Timestamp>,
    frames: u64,
    connects: u64,
}

/// How fast an account trades, and with which key it is watched.
#[derive(Debug, Default)]
struct Pace {
    slots: [u32; SLOTS],
    slot: i64,
    /// How many of its orders were known; nothing before its first fill.
    orders: Option<u64>,
    last_fill: Option<Timestamp>,
    key: Option<Key>,
}

/// What a rule found.
#[derive(Clone, Copy, Debug, Default)]
struct Hits {
    levels: [u64; 3],
    staged: u64,
    hidden: u64,
}

/// How long questions took.
#[derive(Debug, Default)]
struct Timed(BTreeMap<CompactString, (u64, Duration)>);

impl Stopwatch for Timed {
    fn time(&mut self, rule: &str, question: &mut dyn FnMut()) {
        let begun = clock::steady();
        for _ in 0..REPEATS {
            question();
        }
        let took = begun.elapsed() / REPEATS;
        if !self.0.contains_key(rule) {
            self.0.insert(rule.into(), (0, Duration::ZERO));
        }
        if let Some((times, sum)) = self.0.get_mut(rule) {
            *times += 1;
            *sum += took;
        }
    }
}

impl Gauges {
    /// Begins; what is to be written goes to `told`, where anybody writes it.
    pub(super) fn begin(
        incoming: mpsc::WeakSender<Incoming>,
        told: Option<watch::Sender<Option<Arc<Status>>>>,
    ) -> Self {
        Gauges {
            began: clock::now(),
            last_at: Timestamp::EPOCH,
            links: BTreeMap::new(),
            paces: BTreeMap::new(),
            rules: BTreeMap::new(),
            timed: Timed::default(),
            fills: 0,
            heard: Lags::default(),
            judged: Lags::default(),
            held: None,
            due: told.is_some().then(clock::steady),
            incoming,
            told,
        }
    }

    /// Counts an arrival that the pipeline has stepped through, and the effects it had.
    pub(super) fn note(&mut self, arrival: &Arrival, pipeline: &Pipeline, effects: &[Effect]) {
        if self.told.is_none() {
            return;
        }
        self.last_at = arrival.at;
        self.line(arrival);
        for event in pipeline.events() {
            match &event.kind {
                EventKind::Fill(fill) => self.fill(arrival, fill, pipeline),
                EventKind::KeyState(state) => self.key(state, arrival.at),
                EventKind::Feed(change) => {
                    // Feeds say in frames of their own that they end.
                    if let (Some(account), FeedKind::Ended(why)) = (&change.account, &change.kind) {
                        let source = Source::feed(account.clone(), change.wallet.clone());
                        self.links.entry(source).or_default().set(false, arrival.at, Some(why));
                    }
                }
                EventKind::Confirmed(_)
                | EventKind::Order(_)
                | EventKind::Balance(_)
                | EventKind::Access(_)
                | EventKind::Leaks(_)
                | EventKind::Answer(_)
                | EventKind::Drill(_)
                | EventKind::KeyList(_)
                | EventKind::Market(_)
                | EventKind::Cap(_)
                | EventKind::Tick => {}
            }
        }
        for effect in effects {
            let EffectKind::Incident { finding, .. } = &effect.kind;
            let Some(finding) = finding else { continue };
            if !self.rules.contains_key(finding.rule_name()) {
                self.rules.insert(finding.rule_name().into(), Hits::default());
            }
            let Some(hits) = self.rules.get_mut(finding.rule_name()) else { continue };
            if finding.terms.iter().any(|term| term.name == STAGED) {
                hits.staged += 1;
            } else if hidden_by(finding).is_some() {
                hits.hidden += 1;
            } else {
                hits.levels[place(finding.level)] += 1;
            }
        }
    }

    /// Returns the orders whose rules should be timed now: one in so many fills.
    pub(super) fn sampled(&mut self, pipeline: &Pipeline) -> Option<(AccountId, CompactString)> {
        self.told.as_ref()?;
        let mut sampled = None;
        for event in pipeline.events() {
            if let EventKind::Fill(fill) = &event.kind {
                if self.fills.is_multiple_of(ONE_IN) {
                    sampled = Some((fill.account.clone(), fill.order_id.clone()));
                }
                self.fills += 1;
            }
        }
        sampled
    }

    /// Asks the rules once more about an order, and times them.
    pub(super) fn time(&mut self, pipeline: &Pipeline, (account, order): &(AccountId, CompactString)) {
        pipeline.ask_each(account, order, &mut self.timed);
    }

    /// Counts how long a batch took whose effects are kept.
    pub(super) fn kept(&mut self, batch: &[Arrival]) {
        if self.told.is_none() {
            return;
        }
        let now = clock::now();
        let frames = batch.iter().filter(|arrival| {
            matches!(arrival.from, Source::Account(_) | Source::Wallet(..)) && is_frame(&arrival.body)
        });
        frames.for_each(|arrival| self.judged.note(now.since(arrival.at), now));
    }

    /// Forgets accounts that are watched no longer.
    pub(super) fn retain(&mut self, roll_call: &RollCall) {
        let watched: std::collections::BTreeSet<&AccountId> = roll_call.watched().map(|(account, _)| account).collect();
        self.paces.retain(|account, _| watched.contains(account));
        self.links.retain(|source, _| source.account().is_none_or(|account| watched.contains(account)));
    }

    /// Waits until the file is to be written; for ever where nobody writes it.
    pub(super) async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Passes on how it goes, when that is due.
    pub(super) fn tell(&mut self, pipeline: &Pipeline, roll_call: &RollCall, batches_wait: usize) {
        if self.due.is_none_or(|due| clock::steady() < due) {
            return;
        }
        self.due = Some(clock::steady() + EVERY);
        let status = self.status(pipeline, roll_call, batches_wait);
        if let Some(told) = &self.told {
            told.send_replace(Some(Arc::new(status)));
        }
    }

    fn status(&mut self, pipeline: &Pipeline, roll_call: &RollCall, batches_wait: usize) -> Status {
        let (now, counts) = (clock::now(), pipeline.counts());
        let (up, feeds) = roll_call.seen();
        let queue = self.incoming.upgrade();
        let journal_room = queue.as_ref().map_or(0, mpsc::Sender::max_capacity);
        let journal_waits = journal_room - queue.as_ref().map_or(0, mpsc::Sender::capacity);
        self.measure(pipeline, feeds);
        let accounts = self.feeds(pipeline, roll_call, now);
        let others = self.links.iter().filter(|(source, _)| source.account().is_none());
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            began: self.began,
            at: now,
            last: counts.last,
            last_at: self.last_at,
            arrivals: counts.arrivals,
            fills: counts.fills,
            unreadable: counts.unreadable,
            up,
            feeds,
            heard: self.heard.read(now),
            judged: self.judged.read(now),
            journal_waits,
            journal_room,
            batches_wait,
            left_out: feeds - accounts.len().min(feeds),
            accounts,
            sources: others.map(|(source, line)| line.told(source)).collect(),
            rules: self.rules(pipeline),
            shared: self.parts().filter(|part| part.rules.len() > 1).map(part).collect(),
        }
    }

    /// Measures the memory's parts now and then, where that is quickly done.
    fn measure(&mut self, pipeline: &Pipeline, feeds: usize) {
        if feeds > MEASURED_ACCOUNTS {
            self.held = None;
        } else if self.held.as_ref().is_none_or(|(at, _)| at.elapsed() >= MEASURE_EVERY) {
            self.held = Some((clock::steady(), pipeline.held()));
        }
    }

    fn parts(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().flat_map(|(_, parts)| parts)
    }

    fn rules(&self, pipeline: &Pipeline) -> Vec<RuleStatus> {
        let failures = pipeline.failures();
        let mut names: std::collections::BTreeSet<&str> = self.rules.keys().map(CompactString::as_str).collect();
        names.extend(self.timed.0.keys().map(CompactString::as_str));
        names.extend(failures.keys().map(CompactString::as_str));
        let status = |name: &str| {
            let hits = self.rules.get(name).copied().unwrap_or_default();
            let timed = self.timed.0.get(name);
            let nanos = |(times, took): &(u64, Duration)| {
                u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).checked_div(*times)
            };
            let own = |held: &&Held| held.rules.len() == 1 && held.rules[0].as_str() == name;
            RuleStatus {
                rule: name.to_owned(),
                notice: hits.levels[0],
                alert: hits.levels[1],
                act: hits.levels[2],
                staged: hits.staged,
                hidden: hits.hidden,
                failed: failures.get(name).map_or(0, |(times, _)| *times),
                timed: timed.map_or(0, |(times, _)| *times),
                ns_each: timed.and_then(nanos),
                own_bytes: self.held.is_some().then(|| self.parts().filter(own).map(|held| held.bytes).sum()),
            }
        };
        names.into_iter().map(status).collect()
    }

    /// Returns the feeds that are listed: of many the ones that are not up, then those that traded last.
    fn feeds(&self, pipeline: &Pipeline, roll_call: &RollCall, now: Timestamp) -> Vec<Feed> {
        let feed = |(account, wallet): &(AccountId, Wallet)| {
            let source = Source::feed(account.clone(), wallet.clone());
            let mut link = self.links.get(&source).map_or_else(
                || Link { name: source.to_string(), state: "silent".to_owned(), ..Link::default() },
                |line| line.told(&source),
            );
            let blind_since = pipeline.blind_since(account, wallet);
            if link.state == "up" && blind_since.is_some() {
                link.state = "blind".to_owned();
            }
            let pace = self.paces.get(account);
            Feed {
                link,
                account: account.to_string(),
                blind_since,
                last_fill: pace.and_then(|pace| pace.last_fill),
                orders_a_minute: pace.map_or(0, |pace| pace.in_a_minute(now)),
                orders: pipeline.account(account).map_or(0, |habits| habits.orders),
                key: pace.and_then(|pace| pace.key.clone()),
            }
        };
        if roll_call.seen().1 <= LISTED {
            return roll_call.watched().map(feed).collect();
        }
        let mut listed: Vec<Feed> = roll_call.not_up().take(LISTED).map(feed).collect();
        let mut traded: Vec<(Timestamp, &AccountId)> =
            self.paces.iter().filter_map(|(account, pace)| Some((pace.last_fill?, account))).collect();
        let wanted = LISTED - listed.len();
        if traded.len() > wanted && wanted > 0 {
            traded.select_nth_unstable_by(wanted - 1, |a, b| b.cmp(a));
        }
        traded.truncate(wanted);
        traded.sort_by(|a, b| b.cmp(a));
        let spot = traded.into_iter().map(|(_, account)| (account.clone(), Wallet::Spot));
        listed.extend(spot.filter(|watched| roll_call.is_up(watched)).map(|watched| feed(&watched)));
        listed
    }

    fn line(&mut self, arrival: &Arrival) {
        let is_line = match arrival.from {
            Source::Account(_)
            | Source::Wallet(..)
            | Source::Market(_)
            | Source::FuturesMarket(_)
            | Source::Access(_)
            | Source::MarketCap(_) => true,
            Source::AccountRest(_)
            | Source::WalletRest(..)
            | Source::MarketRest(_)
            | Source::FuturesMarketRest(_)
            | Source::Operator
            | Source::Respond
            | Source::Clock => false,
        };
        if !is_line {
            return;
        }
        if !self.links.contains_key(&arrival.from) {
            self.links.insert(arrival.from.clone(), Line::default());
        }
        let Some(line) = self.links.get_mut(&arrival.from) else { return };
        match &arrival.body {
            Body::LinkUp => line.set(true, arrival.at, None),
            Body::LinkDown { why } => line.set(false, arrival.at, Some(why)),
            body if is_frame(body) => {
                line.last = Some(arrival.at);
                line.frames += 1;
            }
            Body::Frame(_) | Body::Text(_) | Body::Bytes(_) | Body::Page { .. } | Body::Filled { .. } | Body::Tick => {}
        }
    }

    fn fill(&mut self, arrival: &Arrival, fill: &Fill, pipeline: &Pipeline) {
        if fill.via == Via::Stream {
            self.heard.note(arrival.at.since(fill.time), arrival.at);
        }
        let orders = pipeline.account(&fill.account).map_or(0, |habits| habits.orders);
        let pace = self.paces.entry(fill.account.clone()).or_default();
        // What was known of it before the start is not new.
        let known = pace.orders.replace(orders).unwrap_or(orders.saturating_sub(1));
        let new = orders.saturating_sub(known);
        pace.last_fill = pace.last_fill.max(Some(fill.time.min(arrival.at)));
        // What was asked for later is no pace of today.
        if arrival.at.since(fill.time) < Span::from_secs(60) {
            pace.count(u32::try_from(new).unwrap_or(u32::MAX), arrival.at);
        }
    }

    fn key(&mut self, state: &KeyState, at: Timestamp) {
        let WhichKey::Own(fingerprint) = &state.key else { return };
        let pace = self.paces.entry(state.account.clone()).or_default();
        let known = pace.key.take().unwrap_or_default();
        // Pages tell different things about one key.
        let may: Vec<String> =
            state.rights.iter().filter(|(_, has)| **has).map(|(right, _)| right.to_string()).collect();
        pace.key = Some(Key {
            fingerprint: fingerprint.as_ref().map(ToString::to_string).or(known.fingerprint),
            may: if state.rights.is_empty() { known.may } else { may },
            restricted: match &state.restriction {
                Some(Restriction::Open) => Some(false),
                Some(Restriction::Listed(_)) => Some(true),
                None => known.restricted,
            },
            seen: at,
        });
    }
}

impl Line {
    fn set(&mut self, up: bool, at: Timestamp, why: Option<&CompactString>) {
        if self.up != Some(up) {
            self.since = Some(at);
        }
        self.up = Some(up);
        self.why = why.cloned();
        self.connects += u64::from(up);
    }

    fn told(&self, source: &Source) -> Link {
        let state = match self.up {
            Some(true) => "up",
            Some(false) => "down",
            // Logs and lists have no connection of their own.
            None if self.last.is_some() && source.account().is_none() => "up",
            None => "silent",
        };
        Link {
            name: source.to_string(),
            state: state.to_owned(),
            since: self.since,
            why: self.why.as_ref().map(ToString::to_string),
            last_frame: self.last,
            frames: self.frames,
            connects: self.connects,
        }
    }
}

impl Pace {
    fn turn(&self, at: Timestamp) -> [u32; SLOTS] {
        let passed = at.nanos().div_euclid(SLOT) - self.slot;
        let mut slots = [0; SLOTS];
        for (place, slot) in slots.iter_mut().enumerate() {
            let from = place as i64 + passed;
            *slot = usize::try_from(from).ok().and_then(|from| self.slots.get(from)).copied().unwrap_or(0);
        }
        slots
    }

    fn count(&mut self, orders: u32, at: Timestamp) {
        self.slots = self.turn(at);
        self.slot = at.nanos().div_euclid(SLOT);
        self.slots[SLOTS - 1] = self.slots[SLOTS - 1].saturating_add(orders);
    }

    fn in_a_minute(&self, now: Timestamp) -> u32 {
        self.turn(now).iter().fold(0, |sum, slot| sum.saturating_add(*slot))
    }
}

fn place(level: Level) -> usize {
    match level {
        Level::Notice => 0,
        Level::Alert => 1,
        Level::Act => 2,
    }
}

fn is_frame(body: &Body) -> bool {
    matches!(body, Body::Frame(_) | Body::Text(_) | Body::Bytes(_))
}

fn part(held: &Held) -> Part {
    Part {
        what: held.what.to_owned(),
        rules: held.rules.iter().map(|rule| rule.as_str().to_owned()).collect(),
        count: held.count,
        bytes: held.bytes,
    }
}

/// Returns the task that writes the file while the daemon runs, and removes it at the end.
pub(super) fn task(file: PathBuf, told: watch::Receiver<Option<Arc<Status>>>) -> Task {
    Task::restartable("status", Stage::Faces, move |stop| {
        let (file, mut told) = (file.clone(), told.clone());
        async move {
            let mut said = None;
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    changed = told.changed() => if changed.is_err() {
                        stop.cancelled().await;
                        break;
                    },
                }
                let Some(status) = told.borrow_and_update().clone() else { continue };
                let place = file.clone();
                let written = tokio::task::spawn_blocking(move || status.write(&place)).await?;
                match written {
                    Ok(()) => said = None,
                    Err(why) if said == Some(why.kind()) => {}
                    Err(why) => {
                        said = Some(why.kind());
                        tracing::warn!(file = %file.display(), %why, "how it goes cannot be written down for `fillguard top`");
                    }
                }
            }
            let _ = std::fs::remove_file(&file);
            Outcome::Ok(())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(1_772_355_600_000_000_000) + Span::from_secs(seconds)
    }

    #[test]
    fn orders_of_the_last_minute_are_counted_and_older_ones_are_not() {
        let mut pace = Pace::default();
        pace.count(2, at(0));
        pace.count(3, at(35));
        assert_eq!([0, 36, 59, 60, 95, 200].map(|seconds| pace.in_a_minute(at(seconds))), [2, 5, 5, 3, 0, 0]);
        pace.count(1, at(10_000));
        assert_eq!(pace.in_a_minute(at(10_001)), 1);
        // A clock that was set back shows nothing rather than too much.
        assert_eq!(pace.in_a_minute(at(-10_000)), 0);
    }

    #[test]
    fn a_line_says_since_when_it_is_as_it_is() {
        let (mut line, source): (Line, Source) = (Line::default(), "binance/alice".parse().unwrap());
        assert_eq!(line.told(&source).state, "silent");
        line.set(true, at(1), None);
        line.set(false, at(5), Some(&"closed 1006".into()));
        line.set(false, at(9), Some(&"no answer".into()));
        let link = line.told(&source);
        assert_eq!((link.state.as_str(), link.since, link.connects), ("down", Some(at(5)), 1));
        assert_eq!(link.why.as_deref(), Some("no answer"));
    }
}
