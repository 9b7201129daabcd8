//! The machine at work: what it decides is on disk before it is done, and what became of it is told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hands::Hands;
use super::inbox;
use super::machine::{Input, Machine, News, Output, Responder};
use super::memory::{Case, Memory, Origin, State};
use super::plan::{self, Survey};
use super::settings::{Mode, Settings};
use super::wording;
use super::words::{Facts, Outcome, Verdict};
use crate::arrival::{Body, Incoming, Source};
use crate::domain::{AccountId, Incident, IncidentId, Level, Span, Story, Timestamp};
use crate::runtime::backoff::{self, Backoff};
use crate::runtime::clock;
use crate::store::{Asked, Error, Filter, Handle, Store, Verdict as Said};

/// How often answers are looked for, and time passes.
const TICK: Duration = Duration::from_millis(200);
/// Waits between two tries of a store that is busy or whose disk is full.
const BUSY: backoff::Settings =
    backoff::Settings { min: Duration::from_millis(50), max: Duration::from_secs(5), healthy: Duration::from_secs(60) };
/// How long a line for the journal is waited with: it must not hold up what is urgent.
const JOURNAL: Duration = Duration::from_secs(1);
/// How long steps under way are waited for when the daemon stops.
const LAST: Duration = Duration::from_secs(8);

/// What a desk needs besides its hands.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The brakes.
    pub settings: Settings,
    /// Whether somebody says that the manual was read.
    pub read: bool,
    /// The folder in which the command line leaves answers.
    pub inbox: Option<PathBuf>,
}

/// The machine with its store and its hands.
pub struct Desk<H> {
    machine: Machine,
    hands: Arc<H>,
    store: Handle,
    journal: Option<mpsc::Sender<Incoming>>,
    inbox: Option<PathBuf>,
    acts: watch::Receiver<u64>,
    doing: JoinSet<(IncidentId, usize, Outcome)>,
    asking: JoinSet<(Box<Incident>, bool, Survey)>,
    /// Incidents that are looked into now, or were left alone.
    known: BTreeSet<IncidentId>,
}

impl<H: Hands> Desk<H> {
    /// Goes on from what the store remembers.
    pub async fn open(
        setup: Setup,
        hands: Arc<H>,
        store: Handle,
        journal: Option<mpsc::Sender<Incoming>>,
    ) -> Result<Self, Error> {
        let memory = store.with(|store| store.response()).await?;
        let memory: Memory = match memory.as_deref().map(serde_json::from_str) {
            None => Memory::default(),
            Some(Ok(memory)) => memory,
            // Without it nobody knows what was done already, so nothing is done.
            Some(Err(source)) => return Err(Error::Unreadable { what: "the responses so far".to_owned(), source }),
        };
        let acts = store.acts();
        let mut desk = Desk {
            machine: Machine::new(setup.settings, memory),
            hands,
            store,
            journal,
            inbox: setup.inbox,
            acts,
            doing: JoinSet::new(),
            asking: JoinSet::new(),
            known: BTreeSet::new(),
        };
        desk.step(Input::Started { read: setup.read }).await?;
        desk.step(Input::Restarted).await?;
        Ok(desk)
    }

    /// Returns what is remembered.
    pub fn memory(&self) -> &Memory {
        self.machine.memory()
    }

    /// Works until `stop`; then only waits for the steps under way.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        self.acts.mark_changed();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = self.doing.join_next(), if !self.doing.is_empty() => self.done(ended).await?,
                Some(asked) = self.asking.join_next(), if !self.asking.is_empty() => {
                    if let Ok((incident, disowned, survey)) = asked {
                        self.found(&incident, disowned, &survey).await?;
                    }
                }
                moved = self.acts.changed() => {
                    if moved.is_err() { break }
                    self.look().await?;
                }
                _ = tick.tick() => self.tick().await?,
            }
        }
        self.asking.abort_all();
        // What left must have its outcome written down, and no further step begins: the next start goes on.
        let last = async {
            while let Some(ended) = self.doing.join_next().await {
                if let Ok((incident, place, outcome)) = ended {
                    self.note("ended", &incident, place, outcome.word()).await;
                    self.machine.step(Input::Ended { incident, place, outcome }, clock::now());
                }
            }
        };
        let _ = tokio::time::timeout(LAST, last).await;
        Ok(())
    }

    /// Looks for incidents that say `act` and that nobody dealt with.
    pub async fn look(&mut self) -> Result<(), Error> {
        let now = clock::now();
        let since = now - Span::from_secs(2 * 86_400);
        let filter = Filter {
            min_level: Some(Level::Act),
            story: Some(Story::Takeover),
            open: Some(true),
            since: Some(since),
            ..Filter::default()
        };
        let with_word = move |store: &mut Store| {
            let mut all = Vec::new();
            for incident in store.incidents(&filter)? {
                let answers = store.answers(&incident.id)?;
                // What was said last holds: who took it for theirs may find out that it was not.
                let last = answers.iter().rev().find(|answer| matches!(answer.verdict, Said::Mine | Said::NotMine));
                all.push((incident, last.is_some_and(|answer| answer.verdict == Said::NotMine)));
            }
            Ok(all)
        };
        for (incident, disowned) in self.store.with(with_word).await? {
            let case = self.machine.memory().cases.get(&incident.id);
            let new = match case {
                Some(case) => case.is_open_to(disowned),
                None => disowned || !self.known.contains(&incident.id),
            };
            // Nothing is done because of an exercise, and nothing without evidence.
            if incident.id.is_drill() || !new || incident.findings.is_empty() || !self.is_ours(&incident.account, now) {
                continue;
            }
            self.known.insert(incident.id.clone());
            let hands = Arc::clone(&self.hands);
            self.asking.spawn(async move {
                let survey = hands.survey(&incident.account).await;
                (Box::new(incident), disowned, survey)
            });
        }
        Ok(())
    }

    /// Says whether something would be done about an account, or written down.
    fn is_ours(&self, account: &AccountId, now: Timestamp) -> bool {
        self.machine.settings().policy(account).is_some() && self.machine.mode(account, now) != Mode::Off
    }

    async fn found(&mut self, incident: &Incident, disowned: bool, survey: &Survey) -> Result<(), Error> {
        let Some(policy) = self.machine.settings().policy(&incident.account) else { return Ok(()) };
        let plan = plan::make(&incident.account, self.machine.settings(), policy, survey);
        // An account that nothing can be done about needs no second message beside the incident's own.
        if plan.deeds.is_empty() && plan.amiss.is_empty() {
            return Ok(());
        }
        let facts = Facts::of(incident, disowned);
        let origin = if incident.id.is_drill() { Origin::Drill } else { Origin::Live };
        self.step(Input::Found { facts, plan, origin }).await
    }

    async fn done(&mut self, ended: Result<(IncidentId, usize, Outcome), tokio::task::JoinError>) -> Result<(), Error> {
        // A step whose task broke has no outcome; the next start looks it up.
        let Ok((incident, place, outcome)) = ended else {
            tracing::error!("a step of a response broke off; it is looked up at the next start");
            return Ok(());
        };
        self.note("ended", &incident, place, &outcome.to_string()).await;
        self.step(Input::Ended { incident, place, outcome }).await
    }

    async fn tick(&mut self) -> Result<(), Error> {
        if let Some(folder) = self.inbox.clone() {
            let left = tokio::task::spawn_blocking(move || inbox::take(&folder)).await.unwrap_or_default();
            for answer in left {
                self.answer(&answer.incident, answer.who, answer.verdict).await?;
            }
        }
        // What people said over buttons and pages. Marked only when the memory knows it; said twice, it counts once.
        for said in self.store.with(|store| store.approvals()).await? {
            let verdict = if said.yes { Verdict::Approve } else { Verdict::Deny };
            self.answer(&said.incident, said.by, verdict).await?;
            self.store.with(move |store| store.mark_taken(said.id)).await?;
        }
        self.step(Input::Tick).await
    }

    async fn answer(&mut self, incident: &IncidentId, who: Responder, verdict: Verdict) -> Result<(), Error> {
        tracing::info!(%incident, %who, verdict = verdict.as_str(), "somebody said something about a response");
        let said = serde_json::json!({"respond": verdict.as_str(), "incident": incident, "who": who});
        self.journal(&said).await;
        self.step(Input::Answered { incident: incident.clone(), who, verdict }).await
    }

    /// Decides, writes it down, and only then does it.
    async fn step(&mut self, input: Input) -> Result<(), Error> {
        let before = self.machine.memory().clone();
        let outputs = self.machine.step(input, clock::now());
        if *self.machine.memory() != before {
            self.save().await?;
        }
        for output in outputs {
            match output {
                Output::Act { incident, place, account, deed } => {
                    tracing::warn!(%incident, %account, step = place, "a response begins a step");
                    self.note("begun", &incident, place, &deed.to_string()).await;
                    let hands = Arc::clone(&self.hands);
                    self.doing.spawn(async move { (incident, place, hands.perform(&account, &deed).await) });
                }
                Output::Look { incident, place, account, deed } => {
                    let hands = Arc::clone(&self.hands);
                    self.doing.spawn(async move { (incident, place, hands.look(&account, &deed).await) });
                }
                Output::Tell { incident, news } => self.tell(&incident, news).await?,
            }
        }
        Ok(())
    }

    /// Writes the memory down. While the disk is full nothing is done.
    async fn save(&self) -> Result<(), Error> {
        let source = |source| Error::Unwritable { what: "the responses so far".to_owned(), source };
        let text = serde_json::to_string(self.machine.memory()).map_err(source)?;
        let asked = self.asked();
        let mut backoff = Backoff::new(BUSY);
        loop {
            let (text, asked) = (text.clone(), asked.clone());
            match self.store.with(move |store| store.save_response(&text, &asked)).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_passing() => {
                    let wait = backoff.draw();
                    tracing::warn!(%error, again_in = ?wait, "a response waits until it can be written down");
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the plans that wait for people.
    fn asked(&self) -> Vec<Asked> {
        let waits = |(incident, case): (&IncidentId, &Case)| match case.state {
            State::Waiting(until) => {
                Some(Asked { incident: incident.clone(), until, needs: case.needs, given: case.given() })
            }
            State::Written
            | State::Running
            | State::Done
            | State::Partly
            | State::Refused
            | State::Denied
            | State::Lapsed => None,
        };
        self.machine.memory().cases.iter().filter_map(waits).collect()
    }

    async fn tell(&self, incident: &IncidentId, news: News) -> Result<(), Error> {
        let Some(case) = self.machine.memory().cases.get(incident) else { return Ok(()) };
        let message = wording::message(incident, case, news, self.machine.settings().language);
        let (account, at) = (case.account.clone(), clock::now());
        self.store.tell(message, account, at).await
    }

    /// Writes into the journal what a step is or became.
    async fn note(&self, what: &str, incident: &IncidentId, place: usize, words: &str) {
        let Some(case) = self.machine.memory().cases.get(incident) else { return };
        let frame = serde_json::json!({
            "respond": what, "incident": incident, "account": case.account.to_string(), "step": place, "what": words,
            "deed": case.acts.get(place).map(|act| act.deed.to_string()),
        });
        self.journal(&frame).await;
    }

    async fn journal(&self, frame: &serde_json::Value) {
        let Some(journal) = &self.journal else { return };
        let line = Incoming { at: clock::now(), from: Source::Respond, body: Body::from_text(frame.to_string()) };
        match tokio::time::timeout(JOURNAL, journal.send(line)).await {
            Ok(Ok(())) => {}
            // The store has it all the same.
            Ok(Err(_)) | Err(_) => tracing::warn!("a step of a response is missing in the journal; the store has it"),
        }
    }
}
