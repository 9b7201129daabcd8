//! The machine at work: what it decides is on disk, with what people are told of it, before it is done.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Arms;
use super::find::{Found, find_out};
use super::hands::Hands;
use super::inbox;
use super::machine::{Input, Machine, Output, Responder};
use super::memory::{Case, Memory, Origin, State};
use super::patience::patiently;
use super::plan;
use super::settings::{Mode, Settings};
use super::wording;
use super::words::{Facts, Outcome, Verdict};
use crate::alert::Language;
use crate::arrival::{Body, Incoming, Source};
use crate::domain::{AccountId, Incident, IncidentId, Level, Message, Span, Story, Timestamp};
use crate::runtime::clock;
use crate::store::{Asked, Error, Filter, Handle, Store, Verdict as Said};

/// How often answers are looked for, and time passes.
const TICK: Duration = Duration::from_millis(200);
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
    /// The language of messages.
    pub language: Language,
}

/// The machine with its store and its hands.
pub struct Desk<H> {
    machine: Machine,
    hands: Arc<H>,
    store: Handle,
    journal: Option<mpsc::Sender<Incoming>>,
    inbox: Option<PathBuf>,
    read: bool,
    language: Language,
    acts: watch::Receiver<u64>,
    /// What may be done from now on, where that may change.
    arms: Option<watch::Receiver<Option<Arms>>>,
    doing: JoinSet<(IncidentId, usize, Outcome)>,
    asking: JoinSet<Result<Found, Error>>,
    /// Open incidents that were looked into, or were left alone.
    known: BTreeSet<IncidentId>,
    /// Incidents that are looked into now.
    open: BTreeSet<IncidentId>,
    /// Whether something was said of one of these meanwhile.
    missed: bool,
    /// Answers that were taken and cannot be removed: they are not taken again.
    stuck: BTreeSet<PathBuf>,
    /// Why the answers cannot be read, so that it is said once.
    deaf: Option<io::ErrorKind>,
}

impl<H: Hands> Desk<H> {
    /// Goes on from what the store remembers.
    pub async fn open(
        setup: Setup,
        hands: Arc<H>,
        store: Handle,
        journal: Option<mpsc::Sender<Incoming>>,
    ) -> Result<Self, Error> {
        let memory = patiently(|| store.with(|store| store.response())).await?;
        let memory: Memory = match memory.as_deref().map(serde_json::from_str) {
            None => Memory::default(),
            Some(Ok(memory)) => memory,
            // Without it nobody knows what was done already, so nothing is done.
            Some(Err(source)) => return Err(Error::Unreadable { what: "the responses so far".to_owned(), source }),
        };
        let acts = store.acts();
        let mut desk = Desk {
            machine: Machine::new(setup.settings.clone(), memory),
            hands,
            store,
            journal,
            inbox: setup.inbox,
            read: setup.read,
            language: setup.language,
            acts,
            arms: None,
            doing: JoinSet::new(),
            asking: JoinSet::new(),
            known: BTreeSet::new(),
            open: BTreeSet::new(),
            missed: false,
            stuck: BTreeSet::new(),
            deaf: None,
        };
        desk.step(Input::Started { read: setup.read }).await?;
        // What was allowed when the process ended may not be so any more.
        desk.step(Input::Changed(Box::new(setup.settings))).await?;
        desk.step(Input::Restarted).await?;
        Ok(desk)
    }

    /// Follows what may be done, as `arms` tells it from now on.
    #[must_use]
    pub fn following(self, arms: watch::Receiver<Option<Arms>>) -> Self {
        Desk { arms: Some(arms), ..self }
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
                // What is allowed is asked before what would be done.
                biased;
                () = stop.cancelled() => break,
                arms = changed(&mut self.arms) => self.change(arms).await?,
                Some(ended) = self.doing.join_next(), if !self.doing.is_empty() => self.done(ended).await?,
                Some(asked) = self.asking.join_next(), if !self.asking.is_empty() => {
                    if let Ok(found) = asked {
                        self.found(found?).await?;
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

    /// Takes over what may be done from now on. Keys that cannot be used leave the former in use, never the former brakes.
    async fn change(&mut self, arms: Arms) -> Result<(), Error> {
        match self.hands.with(&arms) {
            Ok(hands) => self.hands = Arc::new(hands),
            Err(why) => tracing::error!(%why, "the keys that act stay as they were; restart the daemon"),
        }
        tracing::info!("responses follow the configuration as it is now");
        self.step(Input::Changed(Box::new(arms.settings))).await?;
        self.step(Input::Started { read: self.read }).await?;
        self.look().await
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
        let found = patiently(|| {
            let filter = filter.clone();
            self.store
                .with(move |store| store.incidents(&filter)?.into_iter().map(|one| with_word(store, one)).collect())
        });
        let found: Vec<(Incident, bool)> = found.await?;
        let there: BTreeSet<&IncidentId> = found.iter().map(|(incident, _)| &incident.id).collect();
        self.known.retain(|incident| there.contains(incident));
        for (incident, disowned) in found {
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
            if !self.open.insert(incident.id.clone()) {
                self.missed = true;
                continue;
            }
            let (hands, store) = (Arc::clone(&self.hands), self.store.clone());
            let fresh = self.machine.settings().fresh;
            self.asking.spawn(find_out(hands, store, incident, disowned, fresh));
        }
        Ok(())
    }

    /// Says whether something would be done about an account, or written down.
    fn is_ours(&self, account: &AccountId, now: Timestamp) -> bool {
        self.machine.settings().policy(account).is_some() && self.machine.mode(account, now) != Mode::Off
    }

    async fn found(&mut self, Found { incident, disowned, survey }: Found) -> Result<(), Error> {
        self.open.remove(&incident.id);
        if let Some(policy) = self.machine.settings().policy(&incident.account) {
            let plan = plan::make(&incident.account, self.machine.settings(), policy, &survey);
            // An account that nothing can be done about needs no second message beside the incident's own.
            if !plan.deeds.is_empty() || !plan.amiss.is_empty() {
                let facts = Facts::of(&incident, disowned);
                let origin = if incident.id.is_drill() { Origin::Drill } else { Origin::Live };
                self.step(Input::Found { facts, plan, origin }).await?;
            }
        }
        if std::mem::take(&mut self.missed) { self.look().await } else { Ok(()) }
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
            let place = folder.clone();
            let left = tokio::task::spawn_blocking(move || inbox::waiting(&folder)).await;
            match left.unwrap_or_else(|_| Ok(Vec::new())) {
                Ok(left) => {
                    self.deaf = None;
                    self.take(left).await?;
                }
                Err(why) if self.deaf == Some(why.kind()) => {}
                Err(why) => {
                    let folder = place.display();
                    tracing::error!(%folder, %why, "answers to responses cannot be read; the folder must be this user's");
                    self.deaf = Some(why.kind());
                }
            }
        }
        let waits = |case: &Case| matches!(case.state, State::Waiting(_));
        if self.machine.memory().cases.values().any(waits) {
            // What people said over buttons and pages. Marked only when the memory knows it; said twice, it counts once.
            for said in patiently(|| self.store.with(|store| store.approvals())).await? {
                let verdict = if said.yes { Verdict::Approve } else { Verdict::Deny };
                self.answer(&said.incident, said.by, verdict).await?;
                patiently(|| self.store.with(move |store| store.mark_taken(said.id))).await?;
            }
        }
        if self.machine.is_due(clock::now()) { self.step(Input::Tick).await } else { Ok(()) }
    }

    /// Takes what the command line left; a file is removed once what it says is on disk.
    async fn take(&mut self, left: Vec<(PathBuf, inbox::Answer)>) -> Result<(), Error> {
        for (file, answer) in left {
            if self.stuck.contains(&file) {
                continue;
            }
            self.answer(&answer.incident, answer.who, answer.verdict).await?;
            let place = file.clone();
            let gone = tokio::task::spawn_blocking(move || inbox::remove(&place)).await;
            if !gone.unwrap_or(false) {
                self.stuck.insert(file);
            }
        }
        Ok(())
    }

    async fn answer(&mut self, incident: &IncidentId, who: Responder, verdict: Verdict) -> Result<(), Error> {
        tracing::info!(%incident, %who, verdict = verdict.as_str(), "somebody said something about a response");
        let said = serde_json::json!({"respond": verdict.as_str(), "incident": incident, "who": who});
        self.journal(&said).await;
        if verdict == Verdict::Approve {
            // Two may be needed by now where one was when the plan was made.
            let id = incident.clone();
            let known = patiently(|| {
                let id = id.clone();
                self.store.with(move |store| store.incident(&id))
            });
            match known.await {
                Ok(Some(Incident { loss, .. })) => {
                    self.step(Input::Lost { incident: incident.clone(), loss }).await?;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%incident, %error, "what was lost is as it was when the plan was made"),
            }
        }
        self.step(Input::Answered { incident: incident.clone(), who, verdict }).await
    }

    /// Decides, writes it down with what people are told of it, and only then does it.
    async fn step(&mut self, input: Input) -> Result<(), Error> {
        let before = self.machine.memory().clone();
        let now = clock::now();
        let outputs = self.machine.step(input, now);
        let told: Vec<(Message, AccountId)> = outputs.iter().filter_map(|output| self.message(output)).collect();
        if !told.is_empty() || *self.machine.memory() != before {
            self.save(told, now).await?;
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
                Output::Tell { .. } => {}
            }
        }
        Ok(())
    }

    fn message(&self, output: &Output) -> Option<(Message, AccountId)> {
        let Output::Tell { incident, news } = output else { return None };
        let case = self.machine.memory().cases.get(incident)?;
        Some((wording::message(incident, case, *news, self.language), case.account.clone()))
    }

    /// Writes the memory down with the messages about it. While the disk is full nothing is done.
    async fn save(&self, told: Vec<(Message, AccountId)>, at: Timestamp) -> Result<(), Error> {
        let source = |source| Error::Unwritable { what: "the responses so far".to_owned(), source };
        let text = serde_json::to_string(self.machine.memory()).map_err(source)?;
        let asked = self.asked();
        patiently(|| self.store.save_response(text.clone(), asked.clone(), told.clone(), at)).await
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

/// Waits until what may be done changes.
async fn changed(arms: &mut Option<watch::Receiver<Option<Arms>>>) -> Arms {
    while let Some(told) = arms {
        if told.changed().await.is_err() {
            *arms = None;
        } else if let Some(arms) = told.borrow_and_update().clone() {
            return arms;
        }
    }
    std::future::pending().await
}

/// Returns an incident with whether its owner says that it was not them.
pub(super) fn with_word(store: &Store, incident: Incident) -> Result<(Incident, bool), Error> {
    let answers = store.answers(&incident.id)?;
    // What was said last holds: who took it for theirs may find out that it was not.
    let last = answers.iter().rev().find(|answer| matches!(answer.verdict, Said::Mine | Said::NotMine));
    let disowned = last.is_some_and(|answer| answer.verdict == Said::NotMine);
    Ok((incident, disowned))
}
