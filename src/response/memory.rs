//! What the machine remembers: every response with its steps, what the budgets have left, when the breaker went.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::plan::{Deed, Plan};
use super::words::Outcome;
use crate::domain::{AccountId, IncidentId, Span, Timestamp};

/// Responses that are remembered; of more, those that ended first are forgotten.
const MOST_CASES: usize = 2_000;
/// How long what was spent counts.
const DAY: Span = Span::from_secs(86_400);

/// Everything that has to outlive a restart. It is on disk before an act leaves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// When a response was first switched on: the time of only writing down begins there.
    pub since: Option<Timestamp>,
    /// The responses, by incident.
    pub cases: BTreeMap<IncidentId, Case>,
    /// Keys that were gone for, and when; of the last day.
    pub spent: Vec<(Timestamp, u32)>,
    /// When the last response of an account ended, by its written name.
    pub cooling: BTreeMap<CompactString, Timestamp>,
    /// Failed read-backs in a row.
    pub failures: u32,
    /// When there were too many of them.
    pub tripped: Option<Timestamp>,
}

/// The response to one incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Whose.
    pub account: AccountId,
    /// How it stands.
    pub state: State,
    /// Why it stands so, in a sentence; empty where that needs no words.
    pub note: CompactString,
    /// Its steps in order, those that give back at the end.
    pub acts: Vec<Act>,
    /// What it cannot do, and what could not be found out.
    pub plan: Plan,
    /// Who said yes.
    pub yes: BTreeSet<CompactString>,
    /// How many have to.
    pub needs: u32,
    /// True when the owner had said that it was not them.
    #[serde(default)]
    pub disowned: bool,
    /// When the finding came to us.
    pub found: Timestamp,
    /// When it began.
    pub begun: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// How a response stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was only written down.
    Written,
    /// It waits for people until then.
    Waiting(Timestamp),
    /// It is under way.
    Running,
    /// Every step was seen to have taken effect.
    Done,
    /// Some step was not.
    Partly,
    /// A brake forbids it.
    Refused,
    /// A person said no.
    Denied,
    /// Nobody said anything in time.
    Lapsed,
}

/// One step of a response; it leaves once at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// What it is.
    pub deed: Deed,
    /// When it was decided, which is on disk before it leaves.
    pub begun: Option<Timestamp>,
    /// When its outcome was known.
    pub ended: Option<Timestamp>,
    /// What became of it.
    pub outcome: Option<Outcome>,
}

/// Where a finding comes from. Only what happens now is acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the feeds, now.
    Live,
    /// From a recording.
    Replay,
    /// From an exercise.
    Drill,
}

impl Act {
    /// Makes a step that nobody decided on yet.
    pub fn of(deed: Deed) -> Self {
        Act { deed, begun: None, ended: None, outcome: None }
    }

    /// Says whether it left and nobody knows what became of it.
    pub fn is_open(&self) -> bool {
        self.begun.is_some() && self.outcome.is_none()
    }
}

impl State {
    /// Returns the words used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Written => "only written down",
            State::Waiting(_) => "waits for a yes",
            State::Running => "under way",
            State::Done => "done",
            State::Partly => "done in part",
            State::Refused => "held back",
            State::Denied => "denied",
            State::Lapsed => "lapsed",
        }
    }

    /// Says whether nothing more comes of it by itself.
    pub const fn is_over(self) -> bool {
        !matches!(self, State::Waiting(_) | State::Running)
    }
}

impl Case {
    /// Writes down that somebody said yes; who did so before counts once, whatever they are called now.
    pub fn agree(&mut self, who: CompactString) {
        if !self.yes.iter().any(|known| person(known) == person(&who)) {
            self.yes.insert(who);
        }
    }

    /// Returns how many people said yes, counted among those who answer one way. Nobody knows who of a chat's users is who
    /// of this machine's, so that one person with two ways to answer does not make two.
    pub fn given(&self) -> u32 {
        let mut ways: BTreeMap<String, u32> = BTreeMap::new();
        for who in &self.yes {
            let way: String = person(who).chars().filter(|c| !c.is_ascii_digit()).collect();
            // Only root and the daemon's user can leave an answer there, and root in anybody's name.
            let one = way == MACHINE;
            let people = ways.entry(way).or_default();
            *people = if one { 1 } else { *people + 1 };
        }
        ways.into_values().max().unwrap_or(0)
    }

    /// Says whether the key was seen to be taken away, and nothing is left for people that was known when it was planned.
    pub fn is_shut(&self) -> bool {
        let taken = |act: &Act| act.deed.takes_away() && act.outcome.as_ref().is_some_and(Outcome::is_seen);
        self.plan.guide.is_empty() && self.plan.amiss.is_empty() && self.acts.iter().any(taken)
    }

    /// Says whether a step of it takes a key away.
    pub fn takes_away(&self) -> bool {
        self.acts.iter().any(|act| act.deed.takes_away())
    }

    /// Says whether a right was given back.
    pub fn is_given_back(&self) -> bool {
        let given = |act: &Act| matches!(act.deed, Deed::Give { .. }) && act.outcome == Some(Outcome::Done);
        self.acts.iter().any(given)
    }

    /// Says whether nothing could be decided because it could not be found out what can be done.
    pub(super) fn is_blind(&self) -> bool {
        self.state == State::Refused && self.acts.is_empty() && self.plan.again
    }

    /// Returns the step that left and has no outcome yet.
    pub fn open(&self) -> Option<(usize, &Act)> {
        self.acts.iter().enumerate().find(|(_, act)| act.is_open())
    }
}

/// What everybody is called who answers on the command line, without the number.
const MACHINE: &str = "user  of this machine";

/// Returns who somebody is without what they call themselves, which is theirs to change: `Telegram user 42 (@alice)`.
fn person(who: &str) -> &str {
    who.split_once(" (").map_or(who, |(person, _)| person)
}

impl Memory {
    /// Returns how many keys were gone for within `span` before `at`.
    pub fn spent_within(&self, span: Span, at: Timestamp) -> u32 {
        let recent = self.spent.iter().filter(|(when, _)| at.since(*when) < span);
        recent.fold(0, |sum, (_, keys)| sum.saturating_add(*keys))
    }

    /// Forgets what counts no longer.
    pub fn forget(&mut self, at: Timestamp, cool_down: Span) {
        self.spent.retain(|(when, _)| at.since(*when) < DAY);
        self.cooling.retain(|_, ended| at.since(*ended) < cool_down);
        while self.cases.len() > MOST_CASES {
            let over = self.cases.iter().filter(|(_, case)| case.state.is_over());
            let Some(oldest) = over.min_by_key(|(_, case)| case.found).map(|(id, _)| id.clone()) else { return };
            self.cases.remove(&oldest);
        }
    }
}
