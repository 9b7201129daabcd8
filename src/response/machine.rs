//! Whether and when a step is taken: a pure machine. What it returns is done only after its memory is on disk.

use compact_str::{CompactString, format_compact};

use super::memory::{Act, Case, Memory, Origin, State};
use super::plan::{Deed, Plan, undoing};
use super::settings::{Mode, Settings};
use super::words::{Facts, Outcome, Verdict};
use crate::domain::{AccountId, Family, IncidentId, Level, Money, Span, Timestamp};

/// What the machine is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// The daemon starts; `read` is true when somebody says that the manual was read, which ends the time of only
    /// writing down.
    Started {
        /// Whether that was said.
        read: bool,
    },
    /// An incident says `act`; the plan is what can be done about its account.
    Found {
        /// What is known.
        facts: Facts,
        /// What can be done.
        plan: Plan,
        /// Where the finding comes from.
        origin: Origin,
    },
    /// A person orders a plan, without a finding; only people who look at the plan can.
    Ordered {
        /// The name of the order.
        incident: IncidentId,
        /// Whose keys.
        account: AccountId,
        /// What can be done.
        plan: Plan,
        /// Who.
        who: Responder,
        /// Where the order comes from.
        origin: Origin,
    },
    /// A person said something about a plan.
    Answered {
        /// Which one.
        incident: IncidentId,
        /// Who.
        who: Responder,
        /// What.
        verdict: Verdict,
    },
    /// It is known what was lost by now.
    Lost {
        /// In which incident.
        incident: IncidentId,
        /// How much.
        loss: Vec<Money>,
    },
    /// The brakes are these from now on.
    Changed(Box<Settings>),
    /// A step came to its end, or was looked up after a restart.
    Ended {
        /// Of which response.
        incident: IncidentId,
        /// Which step.
        place: usize,
        /// What became of it.
        outcome: Outcome,
    },
    /// The process ended while steps may have been under way.
    Restarted,
    /// Time passed.
    Tick,
}

/// A person, by the name that the channel vouches for.
pub type Responder = CompactString;

/// What the machine wants done, once its memory is on disk.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Carry a step out, once.
    Act {
        /// Of which response.
        incident: IncidentId,
        /// Which step.
        place: usize,
        /// Whose.
        account: AccountId,
        /// What.
        deed: Deed,
    },
    /// Look what became of a step that may have left. Nothing is asked for.
    Look {
        /// Of which response.
        incident: IncidentId,
        /// Which step.
        place: usize,
        /// Whose.
        account: AccountId,
        /// What.
        deed: Deed,
    },
    /// Tell people how a response stands.
    Tell {
        /// Which one.
        incident: IncidentId,
        /// What is new.
        news: News,
    },
}

/// What people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A plan waits for them, is written down, or is held back.
    Planned,
    /// It is over.
    Ended,
    /// A step's outcome was looked up after a restart.
    LookedUp,
    /// Too many read-backs failed: nothing is done by itself from now on.
    Tripped,
}

/// The machine and its memory.
#[derive(Clone, Debug)]
pub struct Machine {
    settings: Settings,
    memory: Memory,
}

impl Machine {
    /// Goes on from what is remembered.
    pub fn new(settings: Settings, memory: Memory) -> Self {
        Machine { settings, memory }
    }

    /// Returns what is remembered.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Returns the brakes.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Says whether the passing of time alone changes something now.
    pub fn is_due(&self, at: Timestamp) -> bool {
        self.memory.cases.values().any(|case| matches!(case.state, State::Waiting(until) if at > until))
    }

    /// Decides. What is returned may be done only when the memory is on disk.
    pub fn step(&mut self, input: Input, at: Timestamp) -> Vec<Output> {
        let mut out = Vec::new();
        self.memory.forget(at, self.settings.cool_down.into());
        match input {
            Input::Started { read } => self.started(read, at),
            Input::Found { facts, plan, origin } => self.found(&facts, plan, origin, at, &mut out),
            Input::Ordered { incident, account, plan, who, origin } => {
                self.ordered(incident, account, plan, (who, origin), at, &mut out);
            }
            Input::Answered { incident, who, verdict } => self.answered(&incident, who, verdict, at, &mut out),
            Input::Lost { incident, loss } => self.lost(&incident, &loss),
            Input::Changed(settings) => self.changed(*settings, at, &mut out),
            Input::Ended { incident, place, outcome } => self.ended(&incident, place, outcome, at, &mut out),
            Input::Restarted => self.restarted(at, &mut out),
            Input::Tick => self.lapse(at, &mut out),
        }
        out
    }

    fn started(&mut self, read: bool, at: Timestamp) {
        let armed = self.settings.accounts.values().any(|policy| policy.mode.acts());
        let long_ago = at - self.settings.dry_for.into();
        match (armed, read) {
            (true, true) => self.memory.since = Some(self.memory.since.map_or(long_ago, |since| since.min(long_ago))),
            (true, false) => _ = self.memory.since.get_or_insert(at),
            (false, _) => {}
        }
    }

    /// Returns what holds for an account now: in the first days everything is only written down.
    pub fn mode(&self, account: &AccountId, at: Timestamp) -> Mode {
        let mode = self.settings.policy(account).map_or(Mode::Off, |policy| policy.mode);
        let trial = self.memory.since.is_none_or(|since| at.since(since) < self.settings.dry_for.into());
        if mode.acts() && trial { Mode::Dry } else { mode }
    }

    fn found(&mut self, facts: &Facts, plan: Plan, origin: Origin, at: Timestamp, out: &mut Vec<Output>) {
        match origin {
            Origin::Live => {}
            Origin::Replay | Origin::Drill => return,
        }
        let mode = self.mode(&facts.account, at);
        // What was held back for want of evidence is looked at again when the owner says that it was not them.
        let known = self.memory.cases.get(&facts.incident);
        let settled = known.is_some_and(|case| !case.is_open_to(facts.disowned));
        // That it still cannot be found out what can be done was told.
        let blind = known.is_some_and(|case| case.is_blind() && case.disowned == facts.disowned)
            && plan.deeds.is_empty()
            && plan.again;
        if mode == Mode::Off || facts.level != Level::Act || settled || blind {
            return;
        }
        let needs = if self.is_large(&facts.loss) { 2 } else { 1 };
        let mut case = Case::of(facts.account.clone(), plan, needs, at);
        case.disowned = facts.disowned;
        let seen = self.independent(facts);
        let waiting = State::Waiting(at + self.settings.wait.into());
        let age = at.since(facts.last);
        (case.state, case.note) = match mode {
            _ if self.settings.protected.contains(&facts.account) => {
                (State::Refused, "this account is protected; only a person can act, at the exchange".into())
            }
            _ if seen + usize::from(facts.disowned) < 2 => {
                (State::Refused, "one kind of evidence alone is never enough to act".into())
            }
            // Before the age: finding out what can be done may have taken until now.
            _ if case.acts.is_empty() => (State::Refused, nothing(&case.plan)),
            _ if age > self.settings.fresh.into() => (State::Refused, "the last finding is too long ago".into()),
            Mode::Off | Mode::Dry => (State::Written, self.why_dry(&facts.account)),
            Mode::Confirm => (waiting, self.asks(needs)),
            // Whoever reads the owner's mail can say it was not them; that alone must not set hands in motion.
            Mode::Auto if seen < 2 => (waiting, "the owner says it was not them: a person has to say yes".into()),
            Mode::Auto if needs > 1 => (waiting, "the loss is large: two people have to say yes".into()),
            Mode::Auto if self.memory.tripped.is_some() => {
                (waiting, "read-backs failed: nothing is done by itself until `respond reset`".into())
            }
            Mode::Auto if self.memory.cooling.contains_key(named(&facts.account).as_str()) => {
                (waiting, "a response on this account has just ended: a person has to say yes".into())
            }
            Mode::Auto => (waiting, CompactString::default()),
        };
        let at_once = mode == Mode::Auto && case.note.is_empty();
        let waits = case.state == waiting;
        self.memory.cases.insert(facts.incident.clone(), case);
        if at_once && waits {
            self.begin(&facts.incident, at, out);
        } else {
            out.push(Output::Tell { incident: facts.incident.clone(), news: News::Planned });
        }
    }

    /// A person who looked at a plan of their own orders it: evidence, mode and cool-down are theirs to judge. What is
    /// protected, the budgets, and that a step leaves once hold for them too.
    fn ordered(
        &mut self,
        incident: IncidentId,
        account: AccountId,
        plan: Plan,
        (who, origin): (Responder, Origin),
        at: Timestamp,
        out: &mut Vec<Output>,
    ) {
        match origin {
            Origin::Live => {}
            Origin::Replay | Origin::Drill => return,
        }
        if self.memory.cases.contains_key(&incident) {
            return;
        }
        let mut case = Case::of(account.clone(), plan, 1, at);
        case.yes.insert(who);
        if self.settings.protected.contains(&account) {
            (case.state, case.note) = (State::Refused, "this account is protected".into());
        } else if case.acts.is_empty() {
            (case.state, case.note) = (State::Refused, nothing(&case.plan));
        } else {
            case.state = State::Waiting(at + self.settings.wait.into());
        }
        let waits = !case.state.is_over();
        self.memory.cases.insert(incident.clone(), case);
        if waits {
            self.begin(&incident, at, out);
        } else {
            out.push(Output::Tell { incident, news: News::Planned });
        }
    }

    fn answered(
        &mut self,
        incident: &IncidentId,
        who: Responder,
        verdict: Verdict,
        at: Timestamp,
        out: &mut Vec<Output>,
    ) {
        if verdict == Verdict::Reset {
            (self.memory.tripped, self.memory.failures) = (None, 0);
            return;
        }
        let armed = self.memory.cases.get(incident).is_some_and(|case| self.mode(&case.account, at).acts());
        let Some(case) = self.memory.cases.get_mut(incident) else { return };
        match (verdict, case.state) {
            (Verdict::Approve, State::Waiting(until)) if at <= until && armed => {
                case.agree(who);
                if case.given() >= case.needs {
                    self.begin(incident, at, out);
                } else {
                    case.note = "one more person has to say yes".into();
                    out.push(Output::Tell { incident: incident.clone(), news: News::Planned });
                }
            }
            (Verdict::Deny, State::Waiting(_)) => {
                (case.state, case.ended) = (State::Denied, Some(at));
                case.note = format_compact!("{who} said no");
                out.push(Output::Tell { incident: incident.clone(), news: News::Ended });
            }
            (Verdict::Undo, State::Done | State::Partly) if armed => {
                let taken = case.acts.iter().filter(|act| act.outcome == Some(Outcome::Done)).map(|act| &act.deed);
                let back = undoing(&taken.collect::<Vec<_>>());
                let known = |deed: &Deed| case.acts.iter().any(|act| act.deed == *deed);
                let back: Vec<Act> = back.into_iter().filter(|deed| !known(deed)).map(Act::of).collect();
                if !back.is_empty() {
                    case.acts.extend(back);
                    (case.state, case.note) = (State::Running, format_compact!("{who} has it given back"));
                    self.go_on(incident, at, out);
                }
            }
            (Verdict::Approve | Verdict::Deny | Verdict::Undo | Verdict::Reset, _) => {}
        }
    }

    /// Takes note of what was lost since a plan was made: what needed one person may need two by now.
    fn lost(&mut self, incident: &IncidentId, loss: &[Money]) {
        if !self.is_large(loss) {
            return;
        }
        let note = self.asks(2);
        let waits = |case: &&mut Case| matches!(case.state, State::Waiting(_)) && case.needs < 2;
        if let Some(case) = self.memory.cases.get_mut(incident).filter(waits) {
            (case.needs, case.note) = (2, note);
        }
    }

    /// Takes other brakes. What they forbid and has not left does not leave; nothing begins because of them.
    fn changed(&mut self, settings: Settings, at: Timestamp, out: &mut Vec<Output>) {
        self.settings = settings;
        let open = self.memory.cases.iter().filter(|(_, case)| !case.state.is_over());
        let held: Vec<(IncidentId, &'static str)> = open
            .filter_map(|(incident, case)| {
                if self.settings.protected.contains(&case.account) {
                    return Some((incident.clone(), "this account is protected now"));
                }
                let off = !self.mode(&case.account, at).acts();
                off.then(|| (incident.clone(), "acting on this account was switched off in the configuration"))
            })
            .collect();
        for (incident, why) in held {
            let Some(case) = self.memory.cases.get_mut(&incident) else { continue };
            if let State::Waiting(_) = case.state {
                (case.state, case.ended, case.note) = (State::Refused, Some(at), why.into());
                out.push(Output::Tell { incident, news: News::Ended });
                continue;
            }
            let rest = case.acts.iter_mut().filter(|act| act.begun.is_none() && act.outcome.is_none());
            for act in rest {
                (act.outcome, act.ended) = (Some(Outcome::Refused(why.into())), Some(at));
            }
            // A step under way ends by itself, and the response with it.
            if case.open().is_none() {
                self.go_on(&incident, at, out);
            }
        }
    }

    /// Starts a response that nothing but the budgets and another response can hold up now.
    fn begin(&mut self, incident: &IncidentId, at: Timestamp, out: &mut Vec<Output>) {
        let Some(case) = self.memory.cases.get(incident) else { return };
        let (account, cost) = (case.account.clone(), case.plan.cost());
        let busy = self.memory.cases.values().any(|other| other.account == account && other.state == State::Running);
        let hour = self.memory.spent_within(Span::from_secs(3_600), at).saturating_add(cost);
        let day = self.memory.spent_within(Span::from_secs(86_400), at).saturating_add(cost);
        let held: Option<CompactString> = if self.settings.protected.contains(&account) {
            Some("this account is protected".into())
        } else if busy {
            Some("another response on this account is under way: say yes again once it ended".into())
        } else if hour > self.settings.keys_per_hour || day > self.settings.keys_per_day {
            let (hour, day) = (self.settings.keys_per_hour, self.settings.keys_per_day);
            Some(format_compact!(
                "the budget of {hour} keys an hour and {day} a day is used up: say yes again later, or use `panic`"
            ))
        } else {
            None
        };
        let Some(case) = self.memory.cases.get_mut(incident) else { return };
        match held {
            Some(note) => {
                case.note = note;
                out.push(Output::Tell { incident: incident.clone(), news: News::Planned });
            }
            None => {
                (case.state, case.begun, case.note) = (State::Running, Some(at), CompactString::default());
                self.memory.spent.push((at, cost));
                self.go_on(incident, at, out);
            }
        }
    }

    /// Takes the next step of a response, or ends it.
    fn go_on(&mut self, incident: &IncidentId, at: Timestamp, out: &mut Vec<Output>) {
        let settings = &self.settings;
        let Some(case) = self.memory.cases.get_mut(incident).filter(|case| case.state == State::Running) else {
            return;
        };
        // What is protected, and which keys are ours, may have changed since the plan was made.
        let whole = settings.protected.contains(&case.account);
        let ours = settings.policy(&case.account).map(|policy| &policy.keep);
        let stays = |key| settings.protected_keys.contains(key) || ours.is_some_and(|ours| ours.contains(key));
        for (place, act) in case.acts.iter_mut().enumerate() {
            if act.begun.is_some() || act.outcome.is_some() {
                continue;
            }
            if whole || act.deed.key().is_some_and(stays) {
                (act.outcome, act.ended) = (Some(Outcome::Refused("it is protected".into())), Some(at));
                continue;
            }
            act.begun = Some(at);
            let (account, deed) = (case.account.clone(), act.deed.clone());
            out.push(Output::Act { incident: incident.clone(), place, account, deed });
            return;
        }
        let seen = case.acts.iter().all(|act| act.outcome.as_ref().is_some_and(Outcome::is_seen));
        case.state = if seen { State::Done } else { State::Partly };
        case.ended = Some(at);
        self.memory.cooling.insert(named(&case.account), at);
        out.push(Output::Tell { incident: incident.clone(), news: News::Ended });
    }

    fn ended(&mut self, incident: &IncidentId, place: usize, outcome: Outcome, at: Timestamp, out: &mut Vec<Output>) {
        let Some(case) = self.memory.cases.get_mut(incident) else { return };
        let Some(act) = case.acts.get_mut(place).filter(|act| act.is_open()) else { return };
        let late = case.note == LOOKING;
        let begun = act.begun.unwrap_or(at);
        (act.outcome, act.ended) = (Some(outcome.clone()), Some(at));
        if outcome.is_failed_check() {
            self.memory.failures = self.memory.failures.saturating_add(1);
            if self.memory.failures >= self.settings.breaker && self.memory.tripped.is_none() {
                self.memory.tripped = Some(at);
                out.push(Output::Tell { incident: incident.clone(), news: News::Tripped });
            }
        } else if outcome.is_seen() && self.memory.tripped.is_none() {
            self.memory.failures = 0;
        }
        if late {
            case.note = CompactString::default();
            out.push(Output::Tell { incident: incident.clone(), news: News::LookedUp });
            if at.since(begun) > self.settings.fresh.into() {
                let rest = case.acts.iter_mut().filter(|act| act.begun.is_none() && act.outcome.is_none());
                for act in rest {
                    act.outcome = Some(Outcome::Refused("it was decided too long ago".into()));
                    act.ended = Some(at);
                }
            }
        }
        self.go_on(incident, at, out);
    }

    /// Looks up what may have left, and goes on with what has not.
    fn restarted(&mut self, at: Timestamp, out: &mut Vec<Output>) {
        let running = self.memory.cases.iter_mut().filter(|(_, case)| case.state == State::Running);
        let mut resting = Vec::new();
        for (incident, case) in running {
            match case.open().map(|(place, act)| (place, act.deed.clone())) {
                Some((place, deed)) => {
                    case.note = LOOKING.into();
                    let (incident, account) = (incident.clone(), case.account.clone());
                    out.push(Output::Look { incident, place, account, deed });
                }
                None => resting.push(incident.clone()),
            }
        }
        for incident in resting {
            self.go_on(&incident, at, out);
        }
    }

    fn lapse(&mut self, at: Timestamp, out: &mut Vec<Output>) {
        for (incident, case) in &mut self.memory.cases {
            if let State::Waiting(until) = case.state
                && at > until
            {
                (case.state, case.ended) = (State::Lapsed, Some(at));
                out.push(Output::Tell { incident: incident.clone(), news: News::Ended });
            }
        }
    }

    /// Counts the kinds of evidence that could be wrong apart from one another.
    fn independent(&self, facts: &Facts) -> usize {
        let counts = |family: &&Family| match family {
            Family::Market | Family::Habit | Family::Origin | Family::Accounts => true,
            // What we could not see, and what a key may do, say nothing about who used it.
            Family::Feed | Family::Key => false,
        };
        facts.families.iter().filter(counts).count()
    }

    fn is_large(&self, loss: &[Money]) -> bool {
        let limits = &self.settings.second_person_above;
        let above = |lost: &Money| {
            let limit = limits.iter().find(|limit| limit.asset() == lost.asset());
            limit.is_none_or(|limit| lost.amount() > limit.amount())
        };
        !limits.is_empty() && loss.iter().any(above)
    }

    fn asks(&self, needs: u32) -> CompactString {
        match needs {
            1 => "a person has to say yes".into(),
            _ => "the loss is large: two people have to say yes".into(),
        }
    }

    fn why_dry(&self, account: &AccountId) -> CompactString {
        match self.settings.policy(account).is_some_and(|policy| policy.mode.acts()) {
            true => "the first days are only written down (`run --i-have-read` ends them)".into(),
            false => "this account is in dry mode".into(),
        }
    }
}

/// The note of a response whose open step is being looked up.
const LOOKING: &str = "it is being looked up what became of the step that was under way";

/// Says why a plan has no steps.
fn nothing(plan: &Plan) -> CompactString {
    match plan.amiss.first() {
        None => "nothing can be done over the exchange's API".into(),
        Some(_) if plan.again => "it could not be found out what can be done over the exchange's API".into(),
        Some(_) => "nothing can be done over the exchange's API as it is set up; see what was not found out".into(),
    }
}

fn named(account: &AccountId) -> CompactString {
    format_compact!("{account}")
}

impl Case {
    /// Says whether what is known now may change what was decided: nothing was, but for want of evidence.
    pub(super) fn is_open_to(&self, disowned: bool) -> bool {
        let undecided = self.state == State::Refused && self.begun.is_none() && self.ended.is_none();
        undecided && (disowned && !self.disowned || self.is_blind())
    }

    fn of(account: AccountId, mut plan: Plan, needs: u32, found: Timestamp) -> Self {
        let acts = std::mem::take(&mut plan.deeds).into_iter().map(Act::of).collect::<Vec<_>>();
        plan.deeds = acts.iter().map(|act| act.deed.clone()).collect();
        Case {
            account,
            state: State::Refused,
            note: CompactString::default(),
            acts,
            plan,
            yes: std::collections::BTreeSet::new(),
            needs,
            disowned: false,
            found,
            begun: None,
            ended: None,
        }
    }
}
