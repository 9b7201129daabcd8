//! What a person sees, and what the pipeline wants done.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{AccountId, Finding, Kind, Level, Money, RuleName, Symbol, Timestamp};

/// An incident's name: the account and the number of the arrival that opened it, `binance-alice-4711`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(CompactString);

/// Which story of an account an incident tells; one incident is open for each at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Story {
    /// Somebody else uses the key.
    Takeover,
    /// We cannot see the account.
    Blind,
}

/// Findings of one story, opened, growing, closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name.
    pub id: IncidentId,
    /// Whose.
    pub account: AccountId,
    /// Which story.
    pub story: Story,
    /// The loudest finding so far.
    pub level: Level,
    /// When the first finding came.
    pub opened: Timestamp,
    /// When the last finding came.
    pub last: Timestamp,
    /// When it was closed.
    pub closed: Option<Timestamp>,
    /// One finding a rule and pair, the newest and never quieter than before; in order of first appearance.
    pub findings: Vec<Finding>,
    /// How many findings came in all.
    pub count: u64,
    /// Money lost so far, one amount an asset.
    pub loss: Vec<Money>,
    /// What a person would do, step by step.
    pub plan: Vec<PlanStep>,
}

/// A step a person would take now. Nothing is sent to an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// What to do, in the imperative.
    pub what: CompactString,
    /// Where: a page of the exchange.
    pub link: Option<CompactString>,
}

/// What became of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transition {
    /// It is new.
    Opened,
    /// It became louder or another rule joined.
    Raised,
    /// Its figures moved; nobody needs to be told again.
    Updated,
    /// Nothing new came for the quiet time.
    Closed,
}

/// An effect: something the pipeline wants done, as a value with a name that is taken once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The arrival that caused it.
    pub n: u64,
    /// Its place among the effects of that arrival and account.
    pub place: u32,
    /// When that arrival came.
    pub at: Timestamp,
    /// What is wanted.
    pub kind: EffectKind,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Write this state of an incident down, and tell people if `message` holds something to say.
    Incident {
        /// What became of it.
        transition: Transition,
        /// Its state now.
        incident: Incident,
        /// The finding that caused the transition; absent when it closed.
        finding: Option<Finding>,
        /// What to tell people; absent when they need not be told.
        message: Option<Message>,
    },
}

/// What people are told, channel by channel laid out by `notify/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// About which incident.
    pub incident: IncidentId,
    /// How loud.
    pub level: Level,
    /// What deviates and how much money, in one line.
    pub headline: String,
    /// What was seen, a sentence each.
    pub facts: Vec<String>,
    /// The one next step.
    pub next_step: String,
    /// What happens if nothing is done.
    pub otherwise: String,
    /// The exchange's key page.
    pub link: String,
    /// Label and value pairs for a table: account, pair, time, loss, score.
    pub table: Vec<(String, String)>,
}

/// How the names of drills begin; names of incidents begin with an exchange.
pub const DRILL: &str = "drill-";

/// How the name of messages about a response ends; names of incidents end in a number.
const RESPONSE: &str = "-response";

impl IncidentId {
    /// Makes the name of the incident that arrival `n` opens for `account`; `twin` tells two of one arrival apart.
    pub fn new(account: &AccountId, n: u64, twin: u32) -> Self {
        use compact_str::format_compact;
        IncidentId(match twin {
            0 => format_compact!("{}-{}-{n}", account.venue, account.name),
            twin => format_compact!("{}-{}-{n}-{twin}", account.venue, account.name),
        })
    }

    /// Makes the name of a drill's incident.
    pub fn of_drill(code: &str) -> Self {
        IncidentId(compact_str::format_compact!("{DRILL}{code}"))
    }

    /// Says whether this is a drill: nothing is done, learnt or counted because of one.
    pub fn is_drill(&self) -> bool {
        self.0.starts_with(DRILL)
    }

    /// Takes a name that was made before, as the store or a person hands it back.
    pub fn known(name: &str) -> Self {
        IncidentId(name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names messages about what is done because of the incident, so that they do not take the place of those about it.
    pub fn of_response(&self) -> Self {
        IncidentId(compact_str::format_compact!("{}{RESPONSE}", self.0))
    }

    /// Returns the incident that a message is about: the one itself, or the one that is responded to.
    pub fn subject(&self) -> Self {
        IncidentId(self.0.strip_suffix(RESPONSE).unwrap_or(&self.0).into())
    }

    /// Returns the number of the arrival that opened the incident for `account`, where the name tells.
    pub fn opened(&self, account: &AccountId) -> Option<u64> {
        let rest = self.0.strip_prefix(account.venue.as_str())?.strip_prefix('-')?;
        let rest = rest.strip_prefix(account.name.as_str())?.strip_prefix('-')?;
        rest.split('-').next()?.parse().ok()
    }
}

impl Incident {
    /// Returns the finding that speaks for the incident: the loudest, then the heaviest, then the first.
    pub fn leading(&self) -> Option<&Finding> {
        self.findings.iter().rev().max_by(|a, b| a.level.cmp(&b.level).then(a.score.total_cmp(&b.score)))
    }

    /// Returns the pair of the leading finding.
    pub fn symbol(&self) -> Option<&Symbol> {
        self.leading().and_then(|finding| finding.symbol.as_ref())
    }

    /// Returns the kind of the leading finding.
    pub fn kind(&self) -> Option<Kind> {
        self.leading().map(|finding| finding.kind)
    }

    /// Returns the rule of the leading finding.
    pub fn rule(&self) -> Option<RuleName> {
        self.leading().map(|finding| finding.rule)
    }
}

impl Effect {
    /// Returns the name under which the store takes this effect once: arrival, account, place.
    pub fn name(&self) -> String {
        match &self.kind {
            EffectKind::Incident { incident, .. } => format!("{}/{}/{}", self.n, incident.account, self.place),
        }
    }
}

impl Transition {
    /// Returns the word used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Transition::Opened => "opened",
            Transition::Raised => "raised",
            Transition::Updated => "updated",
            Transition::Closed => "closed",
        }
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
