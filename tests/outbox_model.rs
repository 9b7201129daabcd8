//! Couriers at work over drawn faults and crashes: every incident reaches somebody, and nothing is sent twice without cause.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/story.rs"]
mod story;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fillguard::domain::{Effect, IncidentId, Level, Span};
use fillguard::notify::backoff::Settings as Backoff;
use fillguard::notify::{Carrier, Clock, Courier, Failure};
use fillguard::store::{Burst, Cause, ChannelRoute, Handle, Queued, Store};
use proptest::prelude::*;
use story::{at, effect, id};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a channel does with one attempt.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Fine,
    Later,
    Down,
    /// It takes the message and the answer is lost.
    Lost,
    /// It refuses for good.
    Never,
    /// It takes the message and answers only after a while, so that a crash may come in between.
    Slow,
}

/// A message that a channel took.
#[derive(Clone, Debug)]
struct Taken {
    row: u64,
    incident: IncidentId,
    cause: Cause,
    uncertain: bool,
    facts: String,
    /// True when the sender was told so, and may therefore not send it again.
    answered: bool,
}

#[derive(Clone)]
struct Channel {
    faults: Arc<Mutex<VecDeque<Fault>>>,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Channel {
    fn new(faults: &[Fault]) -> Self {
        Channel { faults: Arc::new(Mutex::new(faults.iter().copied().collect())), taken: Arc::default() }
    }

    fn take(&self, queued: &Queued) -> usize {
        let mut taken = self.taken.lock().unwrap();
        taken.push(Taken {
            row: queued.id,
            incident: queued.incident.clone(),
            cause: queued.cause,
            uncertain: queued.uncertain,
            facts: queued.message.facts.join("\n"),
            answered: false,
        });
        taken.len() - 1
    }

    fn answer(&self, place: usize) -> Result<String, Failure> {
        self.taken.lock().unwrap()[place].answered = true;
        Ok(format!("receipt {place}"))
    }
}

impl Carrier for Channel {
    async fn carry(&mut self, queued: &Queued) -> Result<String, Failure> {
        let fault = self.faults.lock().unwrap().pop_front().unwrap_or(Fault::Fine);
        let down = |uncertain| Err(Failure::Down { why: "connection lost".to_owned(), after: None, uncertain });
        match fault {
            Fault::Fine => {
                let place = self.take(queued);
                self.answer(place)
            }
            Fault::Later => Err(Failure::Later { why: "greylisted".to_owned() }),
            Fault::Down => down(false),
            Fault::Lost => {
                self.take(queued);
                down(true)
            }
            Fault::Never => Err(Failure::Never { why: "no such mailbox".to_owned() }),
            Fault::Slow => {
                let place = self.take(queued);
                tokio::time::sleep(Duration::from_secs(20)).await;
                self.answer(place)
            }
        }
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::Fine), 1 => Just(Fault::Later), 1 => Just(Fault::Down), 1 => Just(Fault::Lost),
        1 => Just(Fault::Never), 1 => Just(Fault::Slow),
    ]
}

/// A turn of the story: seconds that pass, an incident of so many that opens or grows, and whether the process dies.
type Turn = (u64, u64, bool, bool);

#[expect(clippy::disallowed_methods, reason = "paused time is what this test is about")]
fn clock() -> Clock {
    let start = tokio::time::Instant::now();
    Arc::new(move || at(1_000) + start.elapsed().into())
}

fn start(store: &Handle, channels: &[(&str, Channel)], clock: &Clock) -> JoinSet<Result<(), fillguard::store::Error>> {
    let mut tasks = JoinSet::new();
    for (name, channel) in channels {
        let others = channels.iter().map(|(other, _)| (*other).to_owned()).filter(|other| other != name).collect();
        let courier =
            Courier::new((*name).to_owned(), channel.clone(), store.clone(), Backoff::default(), clock.clone());
        tasks.spawn(courier.telling(others).run(CancellationToken::new()));
    }
    tasks
}

async fn play(turns: Vec<Turn>, chat: Vec<Fault>, mail: Vec<Fault>) {
    let burst = Some(Burst { most: 2, window: Span::from_secs(60) });
    let routes = vec![
        ChannelRoute { name: "chat".into(), burst, ..ChannelRoute::default() },
        ChannelRoute { name: "mail".into(), ..ChannelRoute::default() },
    ];
    let store = Handle::new(Store::in_memory().unwrap(), routes);
    let channels = [("chat", Channel::new(&chat)), ("mail", Channel::new(&mail))];
    let clock = clock();
    let mut tasks = start(&store, &channels, &clock);
    let died = turns.iter().any(|(.., dies)| *dies);
    let mut said: Vec<Effect> = Vec::new();
    for (place, (seconds, which, louder, dies)) in turns.into_iter().enumerate() {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let level = if louder { Level::Act } else { Level::Alert };
        said.push(effect(place as u64 + 1, &id(which), level, &format!("incident {which} at {place}")));
        store.take(said[place..].to_vec()).await.unwrap();
        if dies {
            tasks.shutdown().await;
            // After a crash the journal's tail is read again.
            store.take(said.clone()).await.unwrap();
            tasks = start(&store, &channels, &clock);
        }
    }
    tokio::time::sleep(Duration::from_secs(6 * 3_600)).await;
    // Somebody mends the settings and starts it anew.
    tasks.shutdown().await;
    for (_, channel) in &channels {
        channel.faults.lock().unwrap().clear();
    }
    let mut tasks = start(&store, &channels, &clock);
    tokio::time::sleep(Duration::from_secs(6 * 3_600)).await;
    tasks.shutdown().await;

    let mut reached: BTreeSet<IncidentId> = BTreeSet::new();
    for (name, channel) in &channels {
        let taken = channel.taken.lock().unwrap().clone();
        let mut rows: BTreeMap<u64, Vec<&Taken>> = BTreeMap::new();
        for one in &taken {
            rows.entry(one.row).or_default().push(one);
            reached.insert(one.incident.clone());
            if one.cause == Cause::Digest {
                let row = one.row;
                reached.extend(store.with(move |store| store.digested(row)).await.unwrap());
            }
            if one.cause == Cause::Report {
                let told = said.iter().filter(|effect| one.facts.contains(headline(effect)));
                reached.extend(told.map(incident));
            }
        }
        for (row, sent) in rows {
            for pair in sent.windows(2) {
                // Only a process that died may have heard that it was accepted and not have written it down.
                let heard = pair[0].answered && !died;
                assert!(!heard, "{name}: row {row} was sent again although it was accepted: {sent:?}");
                assert!(pair[1].uncertain, "{name}: row {row} came again without saying so: {sent:?}");
            }
        }
        let waiting = store.with(|store| store.backlog()).await.unwrap();
        assert!(waiting.iter().all(|one| one.waiting == 0), "{name}: {waiting:?}");
    }
    for effect in &said {
        assert!(reached.contains(&incident(effect)), "{} reached nobody", incident(effect));
    }
}

fn incident(effect: &Effect) -> IncidentId {
    let fillguard::domain::EffectKind::Incident { incident, .. } = &effect.kind;
    incident.id.clone()
}

fn headline(effect: &Effect) -> &str {
    let fillguard::domain::EffectKind::Incident { message, .. } = &effect.kind;
    &message.as_ref().unwrap().headline
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn over_crashes_and_faults_every_incident_reaches_somebody_and_none_twice_without_cause(
        turns in prop::collection::vec((0_u64..90, 1_u64..6, any::<bool>(), prop::bool::weighted(0.3)), 1..16),
        chat in prop::collection::vec(fault(), 0..14),
        mail in prop::collection::vec(fault(), 0..14),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(play(turns, chat, mail));
    }
}
