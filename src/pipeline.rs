//! One pure step: an arrival in, effects out. Live, replay and tests call the same.

mod drill;

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::alert::{self, Alert};
use crate::arrival::Arrival;
use crate::codec::dedupe::Repeats;
use crate::codec::{self, Codecs};
use crate::domain::{
    AccountId, Effect, EffectKind, Event, EventKind, Finding, LogProgress, RuleName, Symbol, Timestamp, Venue, Wallet,
};
use crate::engine::address::Networks;
use crate::engine::cost::{Held, Stopwatch};
use crate::engine::memory::Memory;
use crate::engine::why::{Asked, Weighed};
use crate::engine::{self, Engine};

/// The rules and habits of the middle, none of which may change a recording's bytes between two runs.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How frames are read.
    pub codec: codec::Settings,
    /// How events are judged.
    pub engine: engine::Settings,
    /// Who operates which addresses.
    pub networks: Networks,
    /// How findings become incidents.
    pub alert: alert::Settings,
}

/// Codec, engine and alert, joined.
pub struct Pipeline {
    codecs: Codecs,
    engine: Engine,
    alert: Alert,
    now: Timestamp,
    counts: Counts,
    events: Vec<Event>,
    findings: Vec<Finding>,
    wanted: Vec<EffectKind>,
}

/// What came through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Arrivals.
    pub arrivals: u64,
    /// Fills of watched accounts, each once.
    pub fills: u64,
    /// Arrivals that could not be read.
    pub unreadable: u64,
    /// Fills that were told again and dropped.
    pub repeats: Repeats,
    /// The number of the last arrival.
    pub last: u64,
}

/// A snapshot that is not of this version.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot does not fit this version; the journal will be read from its start instead")]
pub struct NotASnapshot(#[source] postcard::Error);

/// Bumped whenever the memory's shape changes.
pub const SNAPSHOT_VERSION: u32 = 23;

impl Pipeline {
    /// Starts with an empty memory.
    pub fn new(settings: Settings) -> Self {
        Pipeline {
            codecs: Codecs::new(&settings.codec),
            engine: Engine::new(settings.engine, settings.networks),
            alert: Alert::new(settings.alert),
            now: Timestamp::EPOCH,
            counts: Counts::default(),
            events: Vec::new(),
            findings: Vec::new(),
            wanted: Vec::new(),
        }
    }

    /// Goes on from a snapshot, under today's settings.
    pub fn resume(settings: Settings, snapshot: &[u8]) -> Result<Self, NotASnapshot> {
        let (mut codecs, memory, alert, now, counts): (Codecs, Memory, Alert, Timestamp, Counts) =
            postcard::from_bytes(snapshot).map_err(NotASnapshot)?;
        codecs.set(&settings.codec);
        Ok(Pipeline {
            codecs,
            engine: Engine::with_memory(settings.engine, settings.networks, memory),
            alert: alert.with_settings(settings.alert),
            now,
            counts,
            events: Vec::new(),
            findings: Vec::new(),
            wanted: Vec::new(),
        })
    }

    /// Judges by other rules from now on; what was learnt stays.
    pub fn adopt(&mut self, settings: Settings) {
        self.codecs.set(&settings.codec);
        self.engine.set(settings.engine, settings.networks);
        self.alert.set(settings.alert);
    }

    /// Returns the memory as bytes: with the journal's tail after `counts().last` it is the pipeline again.
    pub fn snapshot(&self) -> Result<Vec<u8>, NotASnapshot> {
        postcard::to_stdvec(&(&self.codecs, self.engine.memory(), &self.alert, self.now, self.counts))
            .map_err(NotASnapshot)
    }

    /// Takes the next arrival; returns what is wanted because of it.
    pub fn step(&mut self, arrival: &Arrival) -> Vec<Effect> {
        // A clock that jumps back does not make incidents younger.
        self.now = self.now.max(arrival.at);
        self.counts.arrivals += 1;
        self.counts.last = arrival.n;
        self.events.clear();
        self.findings.clear();
        self.wanted.clear();
        self.codecs.decode(arrival, &mut self.events);
        self.counts.repeats = self.codecs.repeats();
        self.alert.pass(self.now, &mut self.wanted);
        self.engine.pass(arrival.n, self.now, &mut self.findings);
        for event in &self.events {
            match &event.kind {
                EventKind::Fill(_) => self.counts.fills += 1,
                EventKind::Feed(change) => {
                    self.counts.unreadable += u64::from(matches!(change.kind, crate::domain::FeedKind::Unreadable(_)));
                }
                EventKind::Confirmed(_)
                | EventKind::Order(_)
                | EventKind::Balance(_)
                | EventKind::Access(_)
                | EventKind::KeyState(_)
                | EventKind::KeyList(_)
                | EventKind::Market(_)
                | EventKind::Cap(_)
                | EventKind::Leaks(_)
                | EventKind::Tick => {}
                EventKind::Answer(answer) => self.alert.answer(answer, self.now, &mut self.wanted),
                EventKind::Drill(drill) if drill.attack.is_none() => {
                    self.alert.drill(drill, self.now, &mut self.wanted);
                }
                EventKind::Drill(_) => drill::act_out(&self.engine, &self.alert, arrival, &mut self.wanted),
            }
            self.engine.judge(event, &mut self.findings);
        }
        // Accounts are judged apart: their order among each other must not depend on how they are spread over shards.
        self.findings.sort_by(|a, b| a.account.cmp(&b.account));
        for finding in self.findings.drain(..) {
            self.alert.take(finding, &mut self.wanted);
        }
        alert::tell_once(&mut self.wanted);
        self.name_effects(arrival)
    }

    /// Returns the events of the last step, for those who write down what could not be read.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Returns how far each access log was taken.
    pub fn access_logs(&self) -> &BTreeMap<CompactString, LogProgress> {
        self.codecs.access_logs()
    }

    /// Returns what came through.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns how many accounts were heard of, and how many orders of theirs traded.
    pub fn accounts_and_orders(&self) -> (u64, u64) {
        let memory = self.engine.memory();
        let orders = (0..memory.accounts()).map(|place| memory.watched(place).account.orders).sum();
        (memory.accounts() as u64, orders)
    }

    /// Returns what the user's rules could not judge since the start, by rule.
    pub fn failures(&self) -> engine::rules::user::Failures {
        self.engine.failures()
    }

    /// Returns how often a rule of the user's could not be judged since the start, all together.
    pub fn unjudged(&self) -> u64 {
        self.engine.unjudged()
    }

    /// Returns what exceptions and owners' answers kept from people so far.
    pub fn hidden(&self) -> Vec<crate::domain::Hidden> {
        self.alert.hidden()
    }

    /// Returns a count that moves whenever [`Pipeline::hidden`] may have changed.
    pub fn hidden_moved(&self) -> u64 {
        self.alert.hidden_moved()
    }

    /// Returns how many incidents were opened.
    pub fn incidents(&self) -> u64 {
        self.alert.opened()
    }

    /// Returns how many incidents are open.
    pub fn open_incidents(&self) -> usize {
        self.alert.open()
    }

    /// Returns the pairs whose market the accounts make worth watching, at most `most` an exchange, and how many that
    /// leaves out.
    pub fn pairs_of_interest(&self, most: usize) -> (BTreeSet<(Venue, Symbol)>, usize) {
        self.engine.memory().wanted_at_most(most, self.now)
    }

    /// Returns a count that moves whenever [`Pipeline::pairs_of_interest`] may have changed.
    pub fn interest_moved(&self) -> u64 {
        self.engine.memory().interest_moved()
    }

    /// Returns the time of the newest arrival.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns what is remembered of an account; nothing when it was not heard of.
    pub fn account(&self, account: &AccountId) -> Option<&engine::account::Account> {
        let memory = self.engine.memory();
        memory.find(account).map(|place| &memory.watched(place).account)
    }

    /// Returns what assets are worth, as their trades told.
    pub fn worth(&self) -> &engine::worth::Worth {
        &self.engine.memory().worth
    }

    /// Weighs an order of an account by a rule as things stand; nothing where the order is not remembered or the rule judges
    /// no orders.
    pub fn weigh(&self, account: &AccountId, order: &str, rule: RuleName) -> Option<Weighed> {
        self.engine.weigh(account, order, rule, self.counts.last, self.now)
    }

    /// Asks a rule of the user's own about an order of an account as things stand; nothing where the order is not remembered
    /// or there is no such rule.
    pub fn ask(&self, account: &AccountId, order: &str, rule: &str) -> Option<Asked> {
        self.engine.ask(account, order, rule, self.counts.last, self.now)
    }

    /// Asks every rule about an order as things stand, timed by `watch`; says whether the order is remembered.
    pub fn ask_each(&self, account: &AccountId, order: &str, watch: &mut dyn Stopwatch) -> bool {
        self.engine.ask_each(account, order, self.counts.last, self.now, watch)
    }

    /// Returns what the engine's memory holds, part by part.
    pub fn held(&self) -> Vec<Held> {
        self.engine.held()
    }

    /// Returns since when the fills of an account's wallet are not known for certain; nothing while its feed is up and
    /// nothing is owed.
    pub fn blind_since(&self, account: &AccountId, wallet: &Wallet) -> Option<Timestamp> {
        let memory = self.engine.memory();
        memory.find(account).and_then(|place| memory.watched(place).sights.blind_since(wallet))
    }

    /// Tells whether anything was ever heard of the feed of an account's wallet.
    pub fn knows(&self, account: &AccountId, wallet: &Wallet) -> bool {
        let memory = self.engine.memory();
        memory.find(account).is_some_and(|place| memory.watched(place).sights.knows(wallet))
    }

    /// Returns up to when the exchange itself confirmed that no fill of an account's wallet is missing.
    pub fn proven_until(&self, account: &AccountId, wallet: &Wallet) -> Option<Timestamp> {
        self.codecs.proven_until(account, wallet)
    }

    /// Returns the wallets that cannot be seen, and whether people need not be told of it (any more).
    pub fn blind(&self) -> impl Iterator<Item = (&AccountId, &Wallet, bool)> {
        let memory = self.engine.memory();
        let watched = (0..memory.accounts()).map(|place| memory.watched(place));
        watched.flat_map(|watched| watched.sights.down().map(|(wallet, told)| (&watched.account.id, wallet, told)))
    }

    fn name_effects(&mut self, arrival: &Arrival) -> Vec<Effect> {
        let account = |kind: &EffectKind| match kind {
            EffectKind::Incident { incident, .. } => incident.account.clone(),
        };
        let mut effects = Vec::with_capacity(self.wanted.len());
        let mut places = std::collections::BTreeMap::new();
        for kind in self.wanted.drain(..) {
            let place = places.entry(account(&kind)).or_insert(0_u32);
            effects.push(Effect { n: arrival.n, place: *place, at: arrival.at, kind });
            *place += 1;
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::{Body, REMOVED, Source};
    use crate::domain::Span;

    fn arrival(n: u64, days: i64, from: &str, body: Body) -> Arrival {
        let at = Timestamp::from_millis(1_760_000_000_000) + Span::from_secs(days * 86_400);
        Arrival { n, at, from: from.parse::<Source>().unwrap(), body }
    }

    #[test]
    fn what_was_learned_of_an_account_outlives_its_removal_by_a_month() {
        let report = r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1760000000000,"s":"APCBTC","c":"a1","S":"BUY","o":"LIMIT","f":"GTC","q":"10","p":"0.0001","P":"0","F":"0","g":-1,"C":"","x":"TRADE","X":"FILLED","r":"NONE","i":77,"l":"10","z":"10","L":"0.0001","n":"0.00001","N":"BNB","T":1760000000000,"t":5,"I":6,"w":false,"m":true,"M":true,"O":1760000000000,"Z":"0.001","Y":"0.001","W":1760000000000,"V":"NONE","Q":"0"}}"#;
        let mut pipeline = Pipeline::new(Settings::default());
        let mut step = |n, days, body| {
            let from = if matches!(body, Body::Tick) { "clock" } else { "binance/alice" };
            assert!(pipeline.step(&arrival(n, days, from, body)).is_empty());
            pipeline.account(&"binance/alice".parse().unwrap()).map_or(0, |account| account.orders)
        };
        step(1, 0, Body::LinkUp);
        assert_eq!(step(2, 0, Body::from_text(report.to_owned())), 1);
        step(3, 0, Body::LinkDown { why: REMOVED.into() });
        assert_eq!(step(4, 29, Body::Tick), 1);
        assert_eq!(step(5, 31, Body::Tick), 0, "a stranger again");
    }
}
