//! Findings become incidents: one for each account and story, opened, growing, closed.

mod answer;
mod drill;
mod exception;
mod german;
mod key;
mod language;
pub(crate) mod plan;
mod wording;

use std::collections::{BTreeMap, BTreeSet};

pub use drill::{acted_out, drill};
pub use exception::{EXCEPTION, Exception, hidden_by};
pub use language::Language;
pub use wording::message;

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::{
    AccountId, Asset, EffectKind, Finding, Incident, IncidentId, Kind, Level, Message, Money, Span, Story, Symbol,
    Timestamp, Transition,
};

/// Settings of the stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// An incident closes when nothing new came for this long.
    pub quiet: Span,
    /// People are told again of a growing incident when its loss is this many times what they were told.
    pub retell: Decimal,
    /// For how long what the owner vouched for is not told again; 6 h by default.
    pub exception: Span,
    /// The language people are told in.
    pub language: Language,
    /// What somebody answers for: written down, and told to nobody.
    pub exceptions: Vec<Exception>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            quiet: Span::from_secs(1_800),
            retell: Decimal::from(3),
            exception: Span::from_secs(6 * 3_600),
            language: Language::default(),
            exceptions: Vec::new(),
        }
    }
}

/// The stage: which incidents are open.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Alert {
    settings: Settings,
    open: BTreeMap<(AccountId, Story), Open>,
    due: BTreeSet<(Timestamp, AccountId, Story)>,
    opened: u64,
    /// What owners vouched for.
    vouched: BTreeMap<AccountId, Vec<answer::Vouched>>,
    /// What each exception hid.
    excepted: BTreeMap<CompactString, exception::Hid>,
    /// Moves with either; how often is nobody's memory.
    #[serde(skip)]
    hid_moved: u64,
    /// The latest time that was heard of: a clock that jumped ahead and back must not close what it just opened.
    now: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    incident: Incident,
    due: Timestamp,
    /// What was lost in each pair.
    losses: BTreeMap<Option<Symbol>, Lost>,
    /// The loss people were last told, by asset.
    told: BTreeMap<Asset, Decimal>,
    /// True when the owner said that it was not them.
    disowned: bool,
}

/// What was lost in a pair: in the bursts that are over, and in the one under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lost {
    over: Decimal,
    now: Money,
    last: Timestamp,
}

/// The engine measures a loss from the price before a burst; after this pause it measures anew.
const BURST_ENDS: Span = Span::from_secs(300);

/// Findings kept in an incident; one a rule and pair, so only an attack on very many pairs comes near.
const MOST_FINDINGS: usize = 48;

impl Alert {
    /// Starts with no incident open.
    pub fn new(settings: Settings) -> Self {
        Alert { settings, ..Alert::default() }
    }

    /// Goes on with what a snapshot held, under today's settings.
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.set(settings);
        self
    }

    /// Goes on under other settings.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
        self.forget_gone_exceptions();
    }

    /// Returns how many incidents were opened in all.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Returns how many incidents are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Closes what has been quiet until `at`.
    pub fn pass(&mut self, at: Timestamp, out: &mut Vec<EffectKind>) {
        self.now = self.now.max(at);
        while self.due.first().is_some_and(|(due, ..)| *due <= at)
            && let Some((due, account, story)) = self.due.pop_first()
        {
            self.close(&(account, story), due, out);
        }
    }

    fn close(&mut self, key: &(AccountId, Story), at: Timestamp, out: &mut Vec<EffectKind>) {
        let Some(Open { mut incident, .. }) = self.open.remove(key) else { return };
        incident.closed = Some(at);
        out.push(EffectKind::Incident { transition: Transition::Closed, incident, finding: None, message: None });
    }

    /// Takes a finding into its incident.
    pub fn take(&mut self, mut finding: Finding, out: &mut Vec<EffectKind>) {
        if self.is_vouched(&finding) {
            return;
        }
        let is_hidden = self.except(&mut finding);
        let story = if finding.kind == Kind::Blind { Story::Blind } else { Story::Takeover };
        let key = (finding.account.clone(), story);
        let due = finding.at.max(self.now) + self.settings.quiet;
        let is_history = is_hidden || story == Story::Blind && self.is_taken_over(&key.0);
        // A clock that was far ahead for a moment put off the end of what is over; what comes is no part of that.
        let is_over = |open: &&Open| finding.at.since(open.incident.last) > self.settings.quiet;
        if let Some(open) = self.open.get(&key).filter(is_over) {
            self.due.remove(&(open.due, key.0.clone(), story));
            self.close(&key, open.incident.last + self.settings.quiet, out);
        }
        let Some(open) = self.open.get_mut(&key) else {
            self.open_incident(key, finding, due, is_history, out);
            return;
        };
        self.due.remove(&(open.due, key.0.clone(), story));
        open.due = open.due.max(due);
        self.due.insert((open.due, key.0, story));

        let before = open.incident.level;
        let louder = finding.level > before;
        // What one rule says of two keys, or of two changes of one, is two pieces of news.
        let same = |other: &Finding| other.rule == finding.rule && other.subject() == finding.subject();
        let known = open.incident.findings.iter().any(same);
        open.take(&finding);
        let told_less = open.lost_more_than_told(self.settings.retell);
        let transition = if louder || !known { Transition::Raised } else { Transition::Updated };
        // A quieter rule that joins is history; people are told what raises the level, a new kind of alert, or money.
        let tell = (louder || (!known && finding.level >= Level::Alert) || told_less) && !is_history;
        // Few are sent notices: to most people the alert is the first they hear of it.
        let first = before < Level::Alert && louder;
        let worded = if first { Transition::Opened } else { transition };
        let message = tell.then(|| open.tell(worded, self.settings.language));
        let incident = open.incident.clone();
        out.push(EffectKind::Incident { transition, incident, finding: Some(finding), message });
    }

    /// Says whether people were told that somebody else uses the account's key. That its feed then breaks off, because
    /// the key was deleted or the thief changed it, is a symptom: a line in the history, not a message beside the other.
    fn is_taken_over(&self, account: &AccountId) -> bool {
        let open = self.open.get(&(account.clone(), Story::Takeover));
        open.is_some_and(|open| open.incident.level >= Level::Alert)
    }

    fn open_incident(
        &mut self,
        key: (AccountId, Story),
        finding: Finding,
        due: Timestamp,
        is_history: bool,
        out: &mut Vec<EffectKind>,
    ) {
        let twin = u32::from(self.open.contains_key(&(key.0.clone(), other(key.1))))
            * u32::from(
                self.open
                    .get(&(key.0.clone(), other(key.1)))
                    .is_some_and(|open| open.incident.id == IncidentId::new(&key.0, finding.n, 0)),
            );
        let incident = Incident {
            id: IncidentId::new(&key.0, finding.n, twin),
            account: key.0.clone(),
            story: key.1,
            level: finding.level,
            opened: finding.at,
            last: finding.at,
            closed: None,
            findings: Vec::new(),
            count: 0,
            loss: Vec::new(),
            plan: plan::steps(&key.0, key.1),
        };
        let mut open = Open { incident, due, losses: BTreeMap::new(), told: BTreeMap::new(), disowned: false };
        open.take(&finding);
        let message = (!is_history).then(|| open.tell(Transition::Opened, self.settings.language));
        let incident = open.incident.clone();
        self.due.insert((due, key.0.clone(), key.1));
        self.open.insert(key, open);
        self.opened += 1;
        out.push(EffectKind::Incident { transition: Transition::Opened, incident, finding: Some(finding), message });
    }
}

/// Leaves each incident of one arrival its last message only: it says all that the earlier ones said.
pub fn tell_once(effects: &mut [EffectKind]) {
    let mut told = BTreeSet::new();
    for effect in effects.iter_mut().rev() {
        let EffectKind::Incident { incident, message, .. } = effect;
        if message.is_some() && !told.insert(incident.id.clone()) {
            *message = None;
        }
    }
}

fn other(story: Story) -> Story {
    match story {
        Story::Takeover => Story::Blind,
        Story::Blind => Story::Takeover,
    }
}

impl Open {
    fn take(&mut self, finding: &Finding) {
        let incident = &mut self.incident;
        incident.count += 1;
        incident.last = incident.last.max(finding.at);
        incident.level = incident.level.max(finding.level);
        let same = |known: &Finding| {
            known.rule == finding.rule && known.symbol == finding.symbol && known.subject() == finding.subject()
        };
        match incident.findings.iter().position(same) {
            Some(place) => {
                let known = &mut incident.findings[place];
                let level = known.level.max(finding.level);
                // The newest figures, unless they belong to a quieter moment.
                if finding.level >= known.level {
                    *known = finding.clone();
                }
                known.level = level;
            }
            None if incident.findings.len() < MOST_FINDINGS => incident.findings.push(finding.clone()),
            None => {}
        }
        // The history has them; an open incident needs none.
        incident.findings.iter_mut().for_each(|known| known.prices.clear());
        if let Some(loss) = finding.loss.as_ref().filter(|_| hidden_by(finding).is_none()) {
            let fresh = || Lost { over: Decimal::ZERO, now: loss.clone(), last: finding.at };
            let lost = self.losses.entry(finding.symbol.clone()).or_insert_with(fresh);
            if lost.now.asset() == loss.asset() {
                let anew = finding.at.since(lost.last) > BURST_ENDS && loss.amount() < lost.now.amount();
                if anew {
                    lost.over = lost.over.saturating_add(lost.now.amount());
                }
                if anew || lost.now.amount() < loss.amount() {
                    lost.now = loss.clone();
                }
            }
            lost.last = lost.last.max(finding.at);
        }
        let mut sums: BTreeMap<Asset, Decimal> = BTreeMap::new();
        for lost in self.losses.values() {
            let sum = sums.entry(lost.now.asset().clone()).or_default();
            *sum = sum.saturating_add(lost.over).saturating_add(lost.now.amount());
        }
        incident.loss = sums.into_iter().map(|(asset, amount)| Money::new(amount, asset)).collect();
        incident.loss.retain(|loss| !loss.amount().is_zero());
    }

    fn lost_more_than_told(&self, times: Decimal) -> bool {
        self.incident.level >= Level::Alert
            && self
                .incident
                .loss
                .iter()
                .any(|loss| self.told.get(loss.asset()).is_none_or(|told| loss.amount() > told.saturating_mul(times)))
    }

    fn tell(&mut self, transition: Transition, language: Language) -> Message {
        // What several rules said of one moment is still news.
        let transition = if self.incident.last == self.incident.opened { Transition::Opened } else { transition };
        self.told = self.incident.loss.iter().map(|loss| (loss.asset().clone(), loss.amount())).collect();
        wording::message(&self.incident, transition, language)
    }
}

/// Returns a word with its first letter large.
fn capital(word: &str) -> CompactString {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Returns a label of a message's table, given in English, in a language.
pub fn label(english: &str, language: Language) -> String {
    match language {
        Language::English => english.to_owned(),
        Language::German => german::label(english),
    }
}

#[cfg(test)]
mod tests;
