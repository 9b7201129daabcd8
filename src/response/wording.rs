//! What people are told about a response.

use super::machine::News;
use super::memory::{Act, Case, State};
use super::plan::{Deed, Plan, Wallets};
use super::words::Outcome;
use crate::alert::Language;
use crate::domain::{AccountId, Fingerprint, IncidentId, Level, Message, Right, Timestamp};

/// Writes the message about a response as it stands.
pub(crate) fn message(incident: &IncidentId, case: &Case, news: News, language: Language) -> Message {
    language.translate(in_english(incident, case, news))
}

fn in_english(incident: &IncidentId, case: &Case, news: News) -> Message {
    let account = &case.account;
    let venue = account.venue;
    let steps = case.acts.len();
    let headline = match (news, case.state) {
        (News::Tripped, _) => {
            format!("{account}: what was done could not be seen to work; nothing more is done by itself")
        }
        (News::LookedUp, _) => format!("{account}: the restart cut a response off; what became of it was looked up"),
        (_, State::Written) => format!("{account}: would be done now ({steps} steps), and is not"),
        (_, State::Waiting(_)) => format!("{account}: waits for your yes, {steps} steps to take the key away"),
        (_, State::Running) => format!("{account}: the key is being taken away"),
        (_, State::Done) => format!("{account}: done, {} seen to have taken effect", counted(steps)),
        (_, State::Partly) => {
            let seen = case.acts.iter().filter(|act| act.outcome.as_ref().is_some_and(|o| o.is_seen())).count();
            format!("{account}: only {seen} of {} took effect; the rest is yours", counted(steps))
        }
        (_, State::Refused) => format!("{account}: nothing was done; {}", case.note),
        (_, State::Denied) => format!("{account}: nothing is done; {}", case.note),
        (_, State::Lapsed) => format!("{account}: nobody said yes in time, so nothing was done"),
    };
    let mut facts: Vec<String> = case.acts.iter().enumerate().map(|(place, act)| step(place, act)).collect();
    if !case.note.is_empty() && !headline.contains(case.note.as_str()) {
        facts.insert(0, format!("Why: {}.", case.note));
    }
    facts.extend(case.plan.amiss.iter().map(|what| format!("Not found out: {what}.")));
    let next_step = match case.state {
        State::Waiting(_) => {
            format!("Say yes below this message, or: fillguard respond approve {incident}   (or deny)")
        }
        State::Done => {
            "Look at the account's trades, and find out where the key leaked before you make another".to_owned()
        }
        State::Written | State::Running => format!("fillguard respond plan {incident}"),
        State::Partly | State::Refused | State::Denied | State::Lapsed => {
            format!("Open the API keys of {account} at {} and delete every key that can trade", venue.title())
        }
    };
    let otherwise = match case.state {
        State::Done | State::Running => "Nothing more is needed here.",
        State::Written | State::Waiting(_) | State::Partly | State::Refused | State::Denied | State::Lapsed => {
            "Whoever holds the key can go on trading with it."
        }
    };
    let mut table = vec![
        ("account".to_owned(), account.to_string()),
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
        link: venue.key_page().to_owned(),
        table,
    }
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
