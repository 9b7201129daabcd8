//! What people are told about a response.

use super::machine::News;
use super::memory::{Act, Case, State};
use super::plan::{Deed, Plan, Wallets};
use super::words::Outcome;
use crate::alert::Language;
use crate::domain::{AccountId, Fingerprint, IncidentId, Level, Message, Right, Timestamp};

/// What a message says besides its steps.
struct Texts {
    headline: String,
    next_step: String,
    otherwise: &'static str,
}

/// Writes the message about a response as it stands.
pub(crate) fn message(incident: &IncidentId, case: &Case, news: News, language: Language) -> Message {
    language.translate(in_english(incident, case, news))
}

fn in_english(incident: &IncidentId, case: &Case, news: News) -> Message {
    let Texts { headline, next_step, otherwise } = texts(incident, case, news);
    let mut facts: Vec<String> = case.acts.iter().enumerate().map(|(place, act)| step(place, act)).collect();
    if !case.note.is_empty() && !headline.contains(case.note.as_str()) {
        facts.insert(0, format!("Why: {}.", case.note));
    }
    facts.extend(case.plan.amiss.iter().map(|what| format!("Not found out: {what}.")));
    facts.extend(case.plan.guide.iter().map(|left| match left.link.as_deref() {
        Some(link) => format!("For you: {}: {link}", left.what),
        None => format!("For you: {}", left.what),
    }));
    let mut table = vec![
        ("account".to_owned(), case.account.to_string()),
        ("incident".to_owned(), incident.to_string()),
        ("response".to_owned(), case.state.as_str().to_owned()),
    ];
    if let (Some(begun), Some(ended)) = (case.begun, case.ended) {
        table.push(("took".to_owned(), ended.since(begun).to_string()));
    }
    Message {
        incident: incident.of_response(),
        level: Level::Act,
        headline,
        facts,
        next_step,
        otherwise: otherwise.to_owned(),
        link: case.account.venue.key_page().to_owned(),
        table,
    }
}

fn texts(incident: &IncidentId, case: &Case, news: News) -> Texts {
    let (account, steps) = (&case.account, counted(case.acts.len()));
    let headline = match (news, case.state) {
        (News::Tripped, _) => {
            format!("{account}: what was done could not be seen to work; nothing more is done by itself")
        }
        (News::LookedUp, _) => format!("{account}: the restart cut a response off; what became of it was looked up"),
        (_, State::Written) => format!("{account}: would be done now ({steps}), and is not"),
        (_, State::Waiting(_)) if case.takes_away() => {
            format!("{account}: waits for your yes, {steps} to take the key away")
        }
        (_, State::Waiting(_)) => {
            format!("{account}: waits for your yes, {steps}; none takes the key away, that is yours")
        }
        (_, State::Running) if case.takes_away() => format!("{account}: the key is being taken away"),
        (_, State::Running) => format!("{account}: orders are being cancelled; the key itself is yours to delete"),
        (_, State::Done) if case.is_given_back() => format!("{account}: what was taken was given back"),
        (_, State::Done) if case.is_shut() => format!("{account}: done, {steps} seen to have taken effect"),
        (_, State::Done) if case.takes_away() => format!("{account}: {steps} took effect; the rest is yours"),
        (_, State::Done) => format!("{account}: {steps} took effect, but the key STILL WORKS: deleting it is yours"),
        (_, State::Partly) => format!("{account}: only {} of {steps} took effect; the rest is yours", seen(case)),
        (_, State::Refused) => format!("{account}: nothing was done; {}", case.note),
        (_, State::Denied) => format!("{account}: nothing is done; {}", case.note),
        (_, State::Lapsed) => format!("{account}: nobody said yes in time, so nothing was done"),
    };
    let next_step = match case.state {
        State::Waiting(_) => {
            format!("Say yes below this message, or: fillguard respond approve {incident}   (or deny)")
        }
        State::Done if case.is_given_back() => format!("fillguard respond plan {incident}"),
        State::Done if case.is_shut() => {
            "Look at the account's trades, and find out where the key leaked before you make another".to_owned()
        }
        State::Written | State::Running => format!("fillguard respond plan {incident}"),
        State::Done | State::Partly | State::Refused | State::Denied | State::Lapsed => {
            format!("Open the API keys of {account} at {} and delete every key that can trade", account.venue.title())
        }
    };
    let otherwise = match case.state {
        State::Done if case.is_given_back() => "Whoever holds the key can trade with it again.",
        State::Done if case.is_shut() => "Nothing more is needed here.",
        State::Running if case.takes_away() => "How it ended is told.",
        State::Written
        | State::Waiting(_)
        | State::Running
        | State::Done
        | State::Partly
        | State::Refused
        | State::Denied
        | State::Lapsed => "Whoever holds the key can go on trading with it.",
    };
    Texts { headline, next_step, otherwise }
}

/// Counts the steps that were seen to have taken effect.
fn seen(case: &Case) -> usize {
    case.acts.iter().filter(|act| act.outcome.as_ref().is_some_and(|outcome| outcome.is_seen())).count()
}

fn counted(steps: usize) -> String {
    if steps == 1 { "1 step".to_owned() } else { format!("{steps} steps") }
}

/// Writes one step with what became of it.
pub fn step(place: usize, act: &Act) -> String {
    let number = place + 1;
    match (&act.outcome, act.begun) {
        (Some(outcome), _) => format!("{number}. {}: {outcome}", act.deed),
        (None, Some(_)) => format!("{number}. {}: under way", act.deed),
        (None, None) => format!("{number}. {}", act.deed),
    }
}

/// How a response stands in a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sample {
    /// It waits for a yes.
    Asks,
    /// All of it was seen to work.
    Done,
    /// Some of it was not.
    Partly,
}

/// Returns a message of an invented response, to look at and to try templates on.
pub(crate) fn sample(account: &AccountId, how: Sample, language: Language) -> Message {
    let at = |seconds: i64| Timestamp::from_millis(1_772_355_600_000 + seconds * 1_000);
    let key = || Fingerprint::of("an invented key's id");
    let deeds = [
        Deed::Strip { key: key(), had: vec![Right::Trade] },
        Deed::Cancel { book: Wallets::Spot },
        Deed::Delete { key: key() },
    ];
    let last = match how {
        Sample::Asks => None,
        Sample::Done => Some(Outcome::Done),
        Sample::Partly => Some(Outcome::NotDone("the key is still there".into())),
    };
    let act = |(place, deed): (usize, Deed)| {
        let outcome = last.clone().map(|last| if place == 2 { last } else { Outcome::Done });
        Act { begun: outcome.is_some().then(|| at(600)), ended: outcome.is_some().then(|| at(602)), outcome, deed }
    };
    let (state, note, news) = match how {
        Sample::Asks => (State::Waiting(at(2_400)), "a person has to say yes", News::Planned),
        Sample::Done => (State::Done, "", News::Ended),
        Sample::Partly => (State::Partly, "", News::Ended),
    };
    let over = last.is_some();
    let case = Case {
        account: account.clone(),
        state,
        note: note.into(),
        acts: deeds.into_iter().enumerate().map(act).collect(),
        plan: Plan::default(),
        yes: std::collections::BTreeSet::new(),
        needs: 1,
        disowned: false,
        found: at(598),
        begun: over.then(|| at(600)),
        ended: over.then(|| at(603)),
    };
    message(&IncidentId::new(account, 4_711, 0), &case, news, language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AccountId, Fingerprint, Right, Timestamp};
    use crate::response::{Deed, KeySeen, Outcome, Plan, Policy, Settings, Survey, Wallets, plan};

    const ALL_FINE: [&str; 2] = ["Nothing more is needed here.", "Hier ist nichts weiter nötig."];

    /// A response of which every step was seen to take effect.
    fn done(account: &str, survey: &Survey) -> Case {
        let account: AccountId = account.parse().unwrap();
        let plan = plan::make(&account, &Settings::default(), &Policy::default(), survey);
        ended(account, plan)
    }

    fn ended(account: AccountId, plan: Plan) -> Case {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let act =
            |deed: &Deed| Act { deed: deed.clone(), begun: Some(now), ended: Some(now), outcome: Some(Outcome::Done) };
        Case {
            account,
            state: State::Done,
            note: Default::default(),
            acts: plan.deeds.iter().map(act).collect(),
            plan,
            yes: Default::default(),
            needs: 1,
            disowned: false,
            found: now,
            begun: Some(now),
            ended: Some(now),
        }
    }

    fn told(case: &Case, language: Language) -> Message {
        message(&IncidentId::known("one"), case, News::Ended, language)
    }

    #[test]
    fn cancelled_orders_alone_are_never_told_as_all_that_is_needed() {
        let cancels = || Survey { cancels: vec![Wallets::Spot], ..Survey::default() };
        let blind = Survey { amiss: vec!["the keys cannot be listed".into()], ..cancels() };
        for (account, survey) in [
            ("coinbase/alice", cancels()),
            ("binance/alice", cancels()),
            ("kucoin/alice", cancels()),
            ("binance/alice", blind),
        ] {
            let case = done(account, &survey);
            assert!(!case.is_shut(), "{account}");
            for language in Language::ALL {
                let told = told(&case, language);
                let page = case.account.venue.key_page();
                assert!(!ALL_FINE.contains(&told.otherwise.as_str()), "{account}: {told:?}");
                assert!(!told.headline.contains("done,") && !told.headline.contains("sichtbarer Wirkung"), "{told:?}");
                assert!(told.facts.iter().any(|fact| fact.ends_with(page)), "{account}: the guide is told: {told:?}");
            }
            assert!(told(&case, Language::English).next_step.contains("delete every key"));
            assert!(told(&case, Language::German).next_step.contains("löschen Sie jeden, der handeln darf"));
        }
    }

    #[test]
    fn a_key_that_was_seen_to_be_taken_is_told_as_done_and_one_given_back_as_given_back() {
        let rights = [Right::Read, Right::Trade].into();
        let key = KeySeen { key: Fingerprint::of("a key"), label: None, rights, restriction: None };
        let survey = Survey { keys: vec![key.clone()], strips: true, deletes: true, ..Survey::default() };
        let mut case = done("binance/alice", &survey);
        for (language, fine) in Language::ALL.into_iter().zip(ALL_FINE) {
            assert_eq!(told(&case, language).otherwise, fine);
        }
        let unsure = Plan { amiss: vec!["something".into()], ..case.plan.clone() };
        assert_ne!(told(&ended(case.account.clone(), unsure), Language::English).otherwise, ALL_FINE[0]);
        let give = Deed::Give { key: key.key, rights: vec![Right::Trade] };
        case.acts.push(Act { outcome: Some(Outcome::Done), ..Act::of(give) });
        assert!(told(&case, Language::English).otherwise.contains("can trade with it again"));
        assert!(told(&case, Language::German).facts.iter().any(|fact| fact.contains("Rechte zurückgeben")));
    }
}
