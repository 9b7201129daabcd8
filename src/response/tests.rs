//! The machine against every short history and many long ones: whatever it is told, no brake is passed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::{AccountId, Family, Fingerprint, IncidentId, Level, Right, Span, Timestamp};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn key(n: u8) -> Fingerprint {
    Fingerprint::of(&format!("the-id-of-key-{n}"))
}

fn account(n: u8) -> AccountId {
    AccountId::new(crate::domain::Venue::Binance, ["alice", "bob", "carol", "treasury"][usize::from(n % 4)]).unwrap()
}

fn incident(who: u8, n: u8) -> IncidentId {
    IncidentId::known(&format!("{}-{n}", account(who).name))
}

/// Alice acts by herself, Bob asks, Carol only writes down, the treasury is protected; so is key 9.
fn settings() -> Settings {
    let policy = |mode| Policy { mode, ..Policy::default() };
    Settings {
        keys_per_hour: 4,
        keys_per_day: 6,
        protected: [account(3)].into(),
        protected_keys: [key(9)].into(),
        accounts: [
            (account(0), policy(Mode::Auto)),
            (account(1), policy(Mode::Confirm)),
            (account(2), policy(Mode::Dry)),
            (account(3), policy(Mode::Auto)),
        ]
        .into(),
        ..Settings::default()
    }
}

fn survey(keys: &[u8]) -> Survey {
    let seen =
        |n: &u8| KeySeen { key: key(*n), label: None, rights: [Right::Read, Right::Trade].into(), restriction: None };
    Survey {
        keys: keys.iter().map(seen).collect(),
        strips: true,
        deletes: true,
        cancels: vec![Wallets::Spot],
        ..Survey::default()
    }
}

fn plan_of(who: u8, keys: &[u8]) -> Plan {
    // Protected keys are left in, as if they had become protected after the plan was made.
    let open = Settings { protected_keys: BTreeSet::new(), ..settings() };
    plan::make(&account(who), &open, &Policy::default(), &survey(keys))
}

fn facts(who: u8, n: u8, families: &[Family], at: Timestamp) -> Facts {
    Facts {
        incident: incident(who, n),
        account: account(who),
        level: Level::Act,
        families: families.iter().copied().collect(),
        loss: Vec::new(),
        last: at,
        disowned: false,
    }
}

/// What may happen to the machine.
#[derive(Clone, Debug)]
enum Move {
    Find { who: u8, n: u8, keys: Vec<u8>, families: u8, origin: u8, late: bool },
    Order { who: u8, n: u8, keys: Vec<u8>, origin: u8 },
    Say { who: u8, n: u8, person: u8, verdict: u8 },
    End { pick: u8, outcome: u8 },
    Again { pick: u8 },
    Crash { forget: bool },
    Wait { minutes: u16 },
}

/// The machine, and what left it.
struct Trace {
    machine: Machine,
    at: Timestamp,
    disk: Memory,
    open: Vec<(IncidentId, usize)>,
    sent: BTreeMap<(IncidentId, usize), u32>,
    begun: Vec<(Timestamp, IncidentId, BTreeSet<Fingerprint>)>,
    live: BTreeSet<IncidentId>,
}

const FAMILIES: [&[Family]; 4] =
    [&[Family::Market, Family::Habit], &[Family::Market], &[Family::Origin, Family::Key], &[Family::Feed, Family::Key]];
const ORIGINS: [Origin; 3] = [Origin::Live, Origin::Replay, Origin::Drill];

impl Trace {
    fn new(read: bool) -> Self {
        let mut machine = Machine::new(settings(), Memory::default());
        machine.step(Input::Started { read }, START);
        let disk = machine.memory().clone();
        Trace {
            machine,
            at: START,
            disk,
            open: Vec::new(),
            sent: BTreeMap::new(),
            begun: Vec::new(),
            live: BTreeSet::new(),
        }
    }

    fn step(&mut self, input: Input) {
        let outputs = self.machine.step(input, self.at);
        // Nothing leaves before the memory is on disk.
        self.disk = self.machine.memory().clone();
        for output in outputs {
            match output {
                Output::Act { incident, place, account, deed } => self.acted(incident, place, account, deed),
                Output::Look { incident, place, .. } => self.open.push((incident, place)),
                Output::Tell { .. } => {}
            }
        }
    }

    fn acted(&mut self, incident: IncidentId, place: usize, who: AccountId, deed: Deed) {
        let times = self.sent.entry((incident.clone(), place)).or_default();
        *times += 1;
        assert_eq!(*times, 1, "{incident} {place} left twice");
        assert!(self.disk.cases[&incident].acts[place].begun.is_some(), "the intent is not on disk");
        assert_ne!(who, account(3), "a protected account");
        assert!(deed.key() != Some(&key(9)), "a protected key");
        assert!(self.live.contains(&incident), "{incident} came from no live finding with two kinds of evidence");
        match self.begun.iter_mut().find(|(_, known, _)| *known == incident) {
            Some((_, _, keys)) => keys.extend(deed.key().cloned()),
            None => self.begun.push((self.at, incident.clone(), deed.key().cloned().into_iter().collect())),
        }
        for (span, most) in [(3_600, 4), (86_400, 6)] {
            let recent = self.begun.iter().filter(|(when, _, _)| self.at.since(*when) < Span::from_secs(span));
            let keys: usize = recent.map(|(_, _, keys)| keys.len().max(1)).sum();
            assert!(keys <= most, "{keys} keys within {span} s");
        }
        self.open.push((incident, place));
    }

    fn play(&mut self, one: Move) {
        match one {
            Move::Find { who, n, keys, families, origin, late } => {
                let origin = ORIGINS[usize::from(origin % 3)];
                let (families, disowned) = (FAMILIES[usize::from(families % 4)], families >= 4);
                let last = if late { self.at - Span::from_secs(3_600) } else { self.at };
                let facts = Facts { disowned, ..facts(who, n, families, last) };
                let plan = plan_of(who, &keys);
                let enough = families == FAMILIES[0] || (disowned && families != FAMILIES[3]);
                let sound = origin == Origin::Live && !late && enough;
                let known = self.machine.memory().cases.get(&facts.incident);
                if sound && who % 4 < 2 && known.is_none_or(|case| case.is_open_to(disowned)) {
                    self.live.insert(facts.incident.clone());
                }
                self.step(Input::Found { facts, plan, origin });
            }
            Move::Order { who, n, keys, origin } => {
                let (origin, incident) =
                    (ORIGINS[usize::from(origin % 3)], IncidentId::known(&format!("order-{who}-{n}")));
                if origin == Origin::Live {
                    self.live.insert(incident.clone());
                }
                let (account, plan) = (account(who), plan_of(who, &keys));
                self.step(Input::Ordered { incident, account, plan, who: "someone".into(), origin });
            }
            Move::Say { who, n, person, verdict } => {
                let verdict =
                    [Verdict::Approve, Verdict::Deny, Verdict::Undo, Verdict::Reset][usize::from(verdict % 4)];
                let who_says = format!("person-{person}").into();
                self.step(Input::Answered { incident: incident(who, n), who: who_says, verdict });
            }
            Move::End { pick, outcome } => {
                if self.open.is_empty() {
                    return;
                }
                let (incident, place) = self.open.remove(usize::from(pick) % self.open.len());
                self.finish(incident, place, outcome);
            }
            // An outcome that is told twice, or of a step that never left.
            Move::Again { pick } => {
                let known: Vec<_> = self.sent.keys().cloned().collect();
                if let Some((incident, place)) = known.get(usize::from(pick) % known.len().max(1)) {
                    if !self.open.contains(&(incident.clone(), *place)) {
                        self.finish(incident.clone(), *place, 0);
                    }
                    self.finish(incident.clone(), place + 1_000, 0);
                }
            }
            Move::Crash { forget } => {
                self.open.clear();
                // What is read back is what was written.
                let text = serde_json::to_string(&self.disk).unwrap();
                let disk: Memory = serde_json::from_str(&text).unwrap();
                assert_eq!(&disk, self.machine.memory());
                let memory = if forget { disk } else { self.disk.clone() };
                self.machine = Machine::new(settings(), memory);
                self.step(Input::Started { read: false });
                self.step(Input::Restarted);
            }
            Move::Wait { minutes } => {
                self.at = self.at + Span::from_secs(60 * i64::from(minutes));
                self.step(Input::Tick);
            }
        }
    }

    fn finish(&mut self, incident: IncidentId, place: usize, outcome: u8) {
        let why = || "because".into();
        let outcome = match outcome % 5 {
            0 => Outcome::Done,
            1 => Outcome::Already,
            2 => Outcome::Refused(why()),
            3 => Outcome::NotDone(why()),
            _ => Outcome::Unknown(why()),
        };
        self.step(Input::Ended { incident, place, outcome });
    }
}

fn moves() -> impl Strategy<Value = Move> {
    let keys = || proptest::collection::vec(prop_oneof![Just(1_u8), Just(2), Just(3), Just(9)], 0..4);
    prop_oneof![
        6 => (0..4_u8, 0..5_u8, keys(), 0..11_u8, 0..6_u8, proptest::bool::weighted(0.1)).prop_map(
            |(who, n, keys, families, origin, late)| Move::Find {
                who, n, keys,
                families: if families < 5 { 0 } else { families - 4 },
                origin: if origin < 4 { 0 } else { origin - 3 },
                late,
            }
        ),
        1 => (0..4_u8, 0..3_u8, keys(), 0..3_u8).prop_map(|(who, n, keys, origin)| Move::Order { who, n, keys, origin }),
        4 => (0..4_u8, 0..5_u8, 0..3_u8, 0..4_u8).prop_map(|(who, n, person, verdict)| Move::Say { who, n, person, verdict }),
        8 => (0..9_u8, 0..8_u8).prop_map(|(pick, outcome)| Move::End { pick, outcome: outcome.saturating_sub(3) }),
        1 => (0..9_u8).prop_map(|pick| Move::Again { pick }),
        1 => proptest::bool::ANY.prop_map(|forget| Move::Crash { forget }),
        3 => prop_oneof![1..20_u16, 50..70_u16, 1_000..12_000_u16].prop_map(|minutes| Move::Wait { minutes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]
    #[test]
    fn no_history_passes_a_brake(read in proptest::bool::weighted(0.8), history in proptest::collection::vec(moves(), 1..60)) {
        let mut trace = Trace::new(read);
        for one in history {
            trace.play(one);
        }
    }
}

#[test]
fn no_short_history_passes_a_brake() {
    let find = |who, families, origin| Move::Find { who, n: 0, keys: vec![1, 9], families, origin, late: false };
    let alphabet = [
        find(0, 0, 0),
        find(0, 1, 0),
        find(0, 5, 0),
        find(0, 0, 1),
        find(1, 0, 0),
        find(3, 0, 0),
        Move::Find { who: 0, n: 1, keys: vec![1, 2, 3], families: 0, origin: 0, late: false },
        Move::Say { who: 1, n: 0, person: 0, verdict: 0 },
        Move::End { pick: 0, outcome: 0 },
        Move::End { pick: 0, outcome: 4 },
        Move::Crash { forget: true },
        Move::Wait { minutes: 61 },
    ];
    let depth = 4;
    let mut histories = 0;
    for number in 0..alphabet.len().pow(depth) {
        let mut trace = Trace::new(true);
        let mut rest = number;
        for _ in 0..depth {
            trace.play(alphabet[rest % alphabet.len()].clone());
            rest /= alphabet.len();
        }
        histories += 1;
    }
    assert_eq!(histories, 20_736);
}

fn armed() -> Trace {
    Trace::new(true)
}

fn find(trace: &mut Trace, who: u8, n: u8, keys: &[u8]) {
    trace.play(Move::Find { who, n, keys: keys.to_vec(), families: 0, origin: 0, late: false });
}

fn state(trace: &Trace, who: u8, n: u8) -> State {
    trace.machine.memory().cases[&incident(who, n)].state
}

fn finish_all(trace: &mut Trace, outcome: u8) {
    while !trace.open.is_empty() {
        trace.play(Move::End { pick: 0, outcome });
    }
}

#[test]
fn reversible_steps_come_first_and_the_end_is_seen() {
    let mut trace = armed();
    find(&mut trace, 0, 0, &[1]);
    finish_all(&mut trace, 0);
    assert_eq!(state(&trace, 0, 0), State::Done);
    let case = &trace.machine.memory().cases[&incident(0, 0)];
    let deeds: Vec<String> = case.acts.iter().map(|act| act.deed.to_string()).collect();
    assert!(
        deeds[0].starts_with("take from key") && deeds[1].starts_with("cancel") && deeds[2].starts_with("delete"),
        "{deeds:?}"
    );
}

#[test]
fn in_the_first_days_everything_is_only_written_down() {
    let mut trace = Trace::new(false);
    find(&mut trace, 0, 0, &[1]);
    assert_eq!(state(&trace, 0, 0), State::Written);
    trace.play(Move::Say { who: 0, n: 0, person: 1, verdict: 0 });
    assert_eq!(trace.sent.len(), 0);
    trace.play(Move::Wait { minutes: 7 * 24 * 60 });
    find(&mut trace, 0, 1, &[1]);
    assert_eq!(state(&trace, 0, 1), State::Running);
}

#[test]
fn a_plan_that_waits_is_begun_by_a_yes_and_lapses_without_one() {
    let mut trace = armed();
    find(&mut trace, 1, 0, &[1]);
    find(&mut trace, 1, 1, &[2]);
    assert!(matches!(state(&trace, 1, 0), State::Waiting(_)));
    trace.play(Move::Say { who: 1, n: 0, person: 0, verdict: 0 });
    assert_eq!(state(&trace, 1, 0), State::Running);
    finish_all(&mut trace, 0);
    trace.play(Move::Wait { minutes: 31 });
    trace.play(Move::Say { who: 1, n: 1, person: 0, verdict: 0 });
    assert_eq!(state(&trace, 1, 1), State::Lapsed);
}

#[test]
fn a_large_loss_needs_two_different_people_even_where_one_would_do() {
    let mut trace = armed();
    let limit = crate::domain::Money::new(rust_decimal::Decimal::TEN, crate::domain::Asset::new("USDT").unwrap());
    let settings = Settings { second_person_above: vec![limit.clone()], ..settings() };
    trace.machine = Machine::new(settings, trace.disk.clone());
    trace.live.insert(incident(0, 0));
    let lost = crate::domain::Money::new(rust_decimal::Decimal::from(11), limit.asset().clone());
    let facts = Facts { loss: vec![lost], ..facts(0, 0, FAMILIES[0], START) };
    trace.step(Input::Found { facts, plan: plan_of(0, &[1]), origin: Origin::Live });
    for _ in 0..2 {
        trace.play(Move::Say { who: 0, n: 0, person: 1, verdict: 0 });
        assert!(matches!(state(&trace, 0, 0), State::Waiting(_)), "one person twice is one person");
    }
    trace.play(Move::Say { who: 0, n: 0, person: 2, verdict: 0 });
    assert_eq!(state(&trace, 0, 0), State::Running);
}

#[test]
fn people_are_counted_once_whatever_they_are_called_and_only_among_those_who_answer_one_way() {
    let mut trace = armed();
    find(&mut trace, 1, 0, &[1]);
    let mut case = trace.machine.memory().cases[&incident(1, 0)].clone();
    let mut given = |who: &str| {
        case.agree(who.into());
        case.given()
    };
    assert_eq!(given("Telegram user 42 (@alice)"), 1);
    assert_eq!(given("Telegram user 42 (@somebody_else)"), 1, "a name is its owner's to change");
    assert_eq!(given("user 1000 of this machine"), 1, "she may have a login too");
    assert_eq!(given("user 0 of this machine"), 1, "root can leave an answer in anybody's name");
    assert_eq!(given("the answer page (mail)"), 1);
    assert_eq!(given("the answer page (mail2)"), 1, "who reads one mailbox may read the other");
    assert_eq!(given("Telegram user 43 (Telegram user 42)"), 2);
}

#[test]
fn the_owners_word_is_evidence_but_sets_nothing_in_motion_by_itself() {
    for who in [0, 1] {
        let mut trace = armed();
        let one_kind = facts(who, 0, FAMILIES[1], START);
        let found =
            |facts: &Facts| Input::Found { facts: facts.clone(), plan: plan_of(who, &[1]), origin: Origin::Live };
        trace.step(found(&one_kind));
        assert_eq!(state(&trace, who, 0), State::Refused);
        trace.play(Move::Say { who, n: 0, person: 1, verdict: 0 });
        assert_eq!(state(&trace, who, 0), State::Refused, "a yes is no evidence");
        let disowned = Facts { disowned: true, ..one_kind };
        trace.step(found(&disowned));
        assert!(matches!(state(&trace, who, 0), State::Waiting(_)), "\"not me\" puts the question");
        trace.live.insert(incident(who, 0));
        trace.play(Move::Say { who, n: 0, person: 1, verdict: 0 });
        assert_eq!(state(&trace, who, 0), State::Running);
    }
    let mut trace = armed();
    let nothing_else = Facts { disowned: true, ..facts(1, 0, FAMILIES[3], START) };
    trace.step(Input::Found { facts: nothing_else, plan: plan_of(1, &[1]), origin: Origin::Live });
    assert_eq!(state(&trace, 1, 0), State::Refused, "the word alone is one kind");
}

#[test]
fn failed_read_backs_end_acting_alone_until_somebody_says_so() {
    let mut trace = armed();
    find(&mut trace, 0, 0, &[1]);
    finish_all(&mut trace, 3);
    assert_eq!(state(&trace, 0, 0), State::Partly);
    trace.play(Move::Wait { minutes: 120 });
    find(&mut trace, 0, 1, &[1]);
    assert!(matches!(state(&trace, 0, 1), State::Waiting(_)));
    trace.play(Move::Say { who: 0, n: 1, person: 0, verdict: 3 });
    find(&mut trace, 0, 2, &[1]);
    assert_eq!(state(&trace, 0, 2), State::Running);
}

#[test]
fn a_step_that_may_have_left_is_looked_up_and_not_sent_again() {
    let mut trace = armed();
    find(&mut trace, 0, 0, &[1]);
    assert_eq!(trace.sent.len(), 1);
    trace.play(Move::Crash { forget: true });
    assert_eq!((trace.sent.len(), trace.open.len()), (1, 1), "looked up");
    trace.play(Move::End { pick: 0, outcome: 3 });
    assert_eq!(trace.sent.len(), 2, "what had not left goes on");
    trace.play(Move::Crash { forget: true });
    trace.at = trace.at + Span::from_secs(3_600);
    trace.play(Move::End { pick: 0, outcome: 0 });
    assert_eq!((trace.sent.len(), state(&trace, 0, 0)), (2, State::Partly), "not after an hour");
}

#[test]
fn what_was_taken_can_be_given_back_unless_the_key_is_gone() {
    let mut trace = armed();
    let policy = Policy { delete: false, ..Policy::default() };
    let plan = plan::make(&account(0), &settings(), &policy, &survey(&[1]));
    trace.live.insert(incident(0, 0));
    trace.step(Input::Found { facts: facts(0, 0, FAMILIES[0], START), plan, origin: Origin::Live });
    finish_all(&mut trace, 0);
    trace.play(Move::Say { who: 0, n: 0, person: 0, verdict: 2 });
    finish_all(&mut trace, 0);
    let case = &trace.machine.memory().cases[&incident(0, 0)];
    assert_eq!(case.acts.last().unwrap().deed, Deed::Give { key: key(1), rights: vec![Right::Trade] });
    assert_eq!(case.state, State::Done);
    trace.play(Move::Say { who: 0, n: 0, person: 0, verdict: 2 });
    assert_eq!(trace.sent.len(), 3, "once");
}

#[test]
fn our_own_keys_and_those_that_only_look_stay() {
    let mut seen = survey(&[1, 2, 9]);
    seen.keys.push(KeySeen { key: key(5), label: None, rights: [Right::Read].into(), restriction: None });
    let policy = Policy { keep: [key(2)].into(), ..Policy::default() };
    let plan = plan::make(&account(0), &settings(), &policy, &seen);
    assert_eq!(plan.keys().into_iter().collect::<Vec<_>>(), [&key(1)]);
    assert_eq!(Duration::from_secs(3_600), settings().cool_down);
}

#[test]
fn what_could_not_be_found_out_is_decided_once_it_can_be_and_told_once() {
    let mut trace = armed();
    let blind = || Survey { amiss: vec!["the keys cannot be listed".into()], again: true, ..Survey::default() };
    let plan = |survey: &Survey| plan::make(&account(0), &settings(), &Policy::default(), survey);
    let found = |survey: &Survey, at| Input::Found {
        facts: facts(0, 0, FAMILIES[0], at),
        plan: plan(survey),
        origin: Origin::Live,
    };
    let (at, mut told) = (trace.at, 0);
    for _ in 0..3 {
        told += trace.machine.step(found(&blind(), at), at).len();
        let case = &trace.machine.memory().cases[&incident(0, 0)];
        assert!(case.state == State::Refused && case.note.contains("could not be found out"), "{case:?}");
        assert!(case.is_open_to(false), "one failed listing is not the end of it");
    }
    assert_eq!(told, 1);
    trace.live.insert(incident(0, 0));
    trace.step(found(&survey(&[1]), at));
    assert_eq!((state(&trace, 0, 0), trace.sent.len()), (State::Running, 1));
    let refused = Survey { again: false, ..blind() };
    trace.step(Input::Found { facts: facts(0, 1, FAMILIES[0], at), plan: plan(&refused), origin: Origin::Live });
    let case = &trace.machine.memory().cases[&incident(0, 1)];
    assert!(!case.is_open_to(false) && case.note.contains("as it is set up"), "{case:?}");
}

#[test]
fn what_is_switched_off_or_protected_goes_no_further_and_new_keys_of_ours_stay() {
    let others = |mode, keep: &[u8]| {
        let policy = Policy { mode, keep: keep.iter().map(|n| key(*n)).collect(), ..Policy::default() };
        Settings { accounts: [(account(0), policy.clone()), (account(1), policy)].into(), ..settings() }
    };
    let guarded = Settings { protected: [account(0), account(1)].into(), ..settings() };
    for brakes in [others(Mode::Off, &[]), others(Mode::Dry, &[]), guarded] {
        let mut trace = armed();
        find(&mut trace, 0, 0, &[1]);
        find(&mut trace, 1, 0, &[2]);
        trace.step(Input::Changed(Box::new(brakes.clone())));
        assert_eq!((state(&trace, 0, 0), state(&trace, 1, 0)), (State::Running, State::Refused), "one is under way");
        trace.play(Move::Say { who: 1, n: 0, person: 0, verdict: 0 });
        finish_all(&mut trace, 0);
        assert_eq!((state(&trace, 0, 0), trace.sent.len()), (State::Partly, 1), "{brakes:?}");
        // The same where the process ended in between.
        let mut trace = armed();
        find(&mut trace, 0, 0, &[1]);
        trace.open.clear();
        trace.step(Input::Changed(Box::new(brakes)));
        trace.step(Input::Restarted);
        finish_all(&mut trace, 0);
        assert_eq!((state(&trace, 0, 0), trace.sent.len()), (State::Partly, 1));
    }
    let mut trace = armed();
    find(&mut trace, 0, 0, &[1, 2]);
    trace.step(Input::Changed(Box::new(others(Mode::Auto, &[2]))));
    finish_all(&mut trace, 0);
    let case = &trace.machine.memory().cases[&incident(0, 0)];
    let sent: Vec<&Act> = case.acts.iter().filter(|act| act.begun.is_some()).collect();
    assert!(sent.iter().all(|act| act.deed.key() != Some(&key(2))), "{sent:?}");
    assert!(sent.iter().any(|act| act.deed == Deed::Delete { key: key(1) }));
}

#[test]
fn what_was_lost_since_the_plan_was_made_counts_when_a_yes_comes() {
    let mut trace = armed();
    let money = |amount: i64| crate::domain::Money::new(amount.into(), crate::domain::Asset::new("USDT").unwrap());
    trace.machine = Machine::new(Settings { second_person_above: vec![money(10)], ..settings() }, trace.disk.clone());
    trace.live.insert(incident(1, 0));
    find(&mut trace, 1, 0, &[1]);
    trace.step(Input::Lost { incident: incident(1, 0), loss: vec![money(10)] });
    assert_eq!(trace.machine.memory().cases[&incident(1, 0)].needs, 1);
    trace.step(Input::Lost { incident: incident(1, 0), loss: vec![money(11)] });
    trace.play(Move::Say { who: 1, n: 0, person: 1, verdict: 0 });
    assert!(matches!(state(&trace, 1, 0), State::Waiting(_)), "two are needed by now");
    trace.play(Move::Say { who: 1, n: 0, person: 2, verdict: 0 });
    assert_eq!(state(&trace, 1, 0), State::Running);
}

#[test]
fn time_alone_is_due_only_when_a_plan_lapses() {
    let mut trace = armed();
    assert!(!trace.machine.is_due(trace.at));
    find(&mut trace, 1, 0, &[1]);
    let late = trace.at + Span::from_secs(31 * 60);
    assert!(!trace.machine.is_due(trace.at) && trace.machine.is_due(late));
    trace.play(Move::Wait { minutes: 31 });
    assert!(state(&trace, 1, 0) == State::Lapsed && !trace.machine.is_due(late));
}

#[test]
fn a_switch_that_was_written_down_without_a_book_is_one_of_all_spot_orders() {
    let read: Deed = serde_json::from_str(r#"{"switch":{"secs":30}}"#).unwrap();
    assert_eq!(read, Deed::Switch { secs: 30, book: Wallets::Spot, pairs: Vec::new() });
}
