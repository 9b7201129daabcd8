//! What people are told about a response, in German. A reason that has no German words is told in English: better read
//! than left out.

use super::machine::News;
use super::memory::{Act, Case, State};
use super::plan::Deed;
use super::wording::{Texts, seen};
use super::words::Outcome;
use crate::domain::{AccountId, IncidentId, Right};

/// Returns what a message says besides its steps.
pub(super) fn texts(incident: &IncidentId, case: &Case, news: News) -> Texts {
    let (account, steps) = (&case.account, counted(case.acts.len()));
    let headline = match (news, case.state) {
        (News::Tripped, _) => {
            format!("{account}: was getan wurde, war nicht zu sehen; von selbst geschieht nichts mehr")
        }
        (News::LookedUp, _) => {
            format!("{account}: der Neustart unterbrach eine Reaktion; was aus ihr wurde, ist nachgesehen")
        }
        (_, State::Written) => format!("{account}: würde jetzt getan ({steps}), und wird es nicht"),
        (_, State::Waiting(_)) if case.takes_away() => {
            format!("{account}: wartet auf Ihr Ja, {steps}, um den Schlüssel wegzunehmen")
        }
        (_, State::Waiting(_)) => {
            format!("{account}: wartet auf Ihr Ja, {steps}; keiner nimmt den Schlüssel weg, das bleibt Ihnen")
        }
        (_, State::Running) if case.takes_away() => format!("{account}: der Schlüssel wird weggenommen"),
        (_, State::Running) => format!("{account}: Aufträge werden gestrichen; den Schlüssel müssen Sie löschen"),
        (_, State::Done) if case.is_given_back() => format!("{account}: was genommen wurde, ist zurückgegeben"),
        (_, State::Done) if case.is_shut() => format!("{account}: erledigt, {steps} und ihre Wirkung gesehen"),
        (_, State::Done) if case.takes_away() => format!("{account}: {steps} wirkten; der Rest bleibt Ihnen"),
        (_, State::Done) => {
            format!("{account}: {steps} wirkten, aber der Schlüssel GILT NOCH: ihn zu löschen bleibt Ihnen")
        }
        (_, State::Partly) => format!("{account}: nur {} von {steps} wirkten; der Rest bleibt Ihnen", seen(case)),
        (_, State::Refused) => format!("{account}: nichts wurde getan; {}", case.note),
        (_, State::Denied) => format!("{account}: nichts wird getan; {}", case.note),
        (_, State::Lapsed) => format!("{account}: niemand sagte rechtzeitig Ja, also wurde nichts getan"),
    };
    let next_step = match case.state {
        State::Waiting(_) => {
            format!("Sagen Sie unter dieser Nachricht Ja, oder: fillguard respond approve {incident}   (oder deny)")
        }
        State::Done if case.is_given_back() => format!("fillguard respond plan {incident}"),
        State::Done if case.is_shut() => {
            "Sehen Sie die Käufe und Verkäufe des Kontos durch, und finden Sie das Leck, ehe Sie einen neuen Schlüssel machen"
                .to_owned()
        }
        State::Written | State::Running => format!("fillguard respond plan {incident}"),
        State::Done | State::Partly | State::Refused | State::Denied | State::Lapsed => open(account),
    };
    let otherwise = match case.state {
        State::Done if case.is_given_back() => "Wer den Schlüssel hat, kann wieder mit ihm handeln.",
        State::Done if case.is_shut() => "Hier ist nichts weiter nötig.",
        State::Running if case.takes_away() => "Wie es ausging, wird gesagt.",
        State::Written
        | State::Waiting(_)
        | State::Running
        | State::Done
        | State::Partly
        | State::Refused
        | State::Denied
        | State::Lapsed => "Wer den Schlüssel hat, kann weiter mit ihm handeln.",
    };
    Texts { headline, next_step, otherwise }
}

/// Returns what is left for a person, by its place among the steps of a takeover; nothing where there is no such place.
pub(super) fn left(place: usize, account: &AccountId) -> Option<String> {
    Some(match place {
        0 => open(account),
        1 => format!("Streichen Sie alle offenen Aufträge von {account}, auch Stop-Aufträge"),
        2 => "Sehen Sie die Käufe und Verkäufe durch, und schreiben Sie auf, was nicht von Ihnen ist".to_owned(),
        3 => "Machen Sie erst dann einen neuen Schlüssel, wenn Sie das Leck kennen; beschränken Sie ihn auf Ihre Adressen"
            .to_owned(),
        _ => return None,
    })
}

fn open(account: &AccountId) -> String {
    let title = account.venue.title();
    format!("Öffnen Sie die API-Schlüssel von {account} bei {title}, und löschen Sie jeden Schlüssel, der handeln kann")
}

fn counted(steps: usize) -> String {
    if steps == 1 { "1 Schritt".to_owned() } else { format!("{steps} Schritte") }
}

/// Writes one step with what became of it.
pub(super) fn step(place: usize, act: &Act) -> String {
    let (number, deed) = (place + 1, deed(&act.deed));
    match (&act.outcome, act.begun) {
        (Some(outcome), _) => format!("{number}. {deed}: {}", became(outcome)),
        (None, Some(_)) => format!("{number}. {deed}: unterwegs"),
        (None, None) => format!("{number}. {deed}"),
    }
}

fn deed(deed: &Deed) -> String {
    let names = |rights: &[Right]| rights.iter().map(Right::as_str).collect::<Vec<_>>().join(", ");
    match deed {
        Deed::Strip { key, had } => format!("Schlüssel {key} die Rechte {} nehmen", names(had)),
        Deed::Cancel { book } => format!("alle offenen Aufträge ({}) streichen", book.as_str()),
        Deed::Narrow { key, to } => format!("Schlüssel {key} auf {} beschränken", to.join(", ")),
        Deed::Switch { secs, book, .. } => {
            format!("die Börse in {secs} s noch einmal alle Aufträge ({}) streichen lassen", book.as_str())
        }
        Deed::Move { to } => format!("das Geld nach {to} bringen"),
        Deed::Revoke => "die Erlaubnis der Anwendung zurückziehen".to_owned(),
        Deed::Delete { key } => format!("Schlüssel {key} löschen"),
        Deed::Give { key, rights } => format!("Schlüssel {key} die Rechte {} zurückgeben", names(rights)),
        Deed::Release { book, .. } => format!("das weitere Streichen durch die Börse ({}) absagen", book.as_str()),
    }
}

fn became(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "erledigt, und so gesehen".to_owned(),
        Outcome::Already => "war schon so".to_owned(),
        Outcome::Refused(why) => format!("abgelehnt: {why}"),
        Outcome::NotDone(why) => format!("NICHT GESCHEHEN: {why}"),
        Outcome::Unknown(why) => format!("UNBEKANNT: {why}"),
    }
}
