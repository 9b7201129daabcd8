//! The languages people are told in.

use serde::{Deserialize, Serialize};

use crate::domain::{AccountId, Drill, IncidentId, Level, Message, PlanStep};

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 2] = [Language::English, Language::German];

    /// Returns its code (ISO 639-1).
    pub const fn code(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::German => "de",
        }
    }
}

impl Language {
    /// Turns a message into the one that follows "not me": the level, who said it, and what to do, step by step.
    pub(super) fn disown(self, message: &mut Message, account: &AccountId, by: &str, plan: &[PlanStep]) {
        let by: String = by.chars().filter(|c| !c.is_control()).take(60).collect();
        let steps = plan.iter().enumerate().map(|(place, step)| format!("{}. {}", place + 1, step.what));
        let (headline, fact) = match self {
            Language::English => (
                format!("{account}: the owner says this was not them"),
                format!(
                    "Answered by {by}: not me. Where a response is switched on, it speaks for itself; these steps are for you:"
                ),
            ),
            Language::German => (
                format!("{account}: der Inhaber sagt, das war nicht er"),
                format!(
                    "Antwort von {by}: nicht ich. Eine eingeschaltete Gegenwehr meldet sich selbst; diese Schritte tun Sie:"
                ),
            ),
        };
        message.level = Level::Act;
        let told = std::mem::replace(&mut message.headline, headline);
        let facts = std::mem::take(&mut message.facts);
        message.facts = std::iter::once(fact).chain(steps).chain([told]).chain(facts).collect();
    }

    /// Returns the message of a drill: marked everywhere, so that nobody takes it for a theft.
    pub(super) fn drill(self, id: &IncidentId, drill: &Drill) -> Message {
        let by: String = drill.by.chars().filter(|c| !c.is_control()).take(60).collect();
        let account = drill.account.to_string();
        let (headline, facts, next_step, otherwise, label) = match self {
            Language::English => (
                format!("DRILL, nothing happened: {account} trades unlike its owner, 0 BTC lost"),
                vec![
                    format!("This is a drill, begun by {by}. No order was placed and no key was touched."),
                    "It came the way an alarm comes: journal, rules' end, store, this channel.".to_owned(),
                ],
                "Press or answer anything under this message: the drill is timed until somebody does.".to_owned(),
                "The drill ends as not answered, and those who are asked next are asked.".to_owned(),
                "Drill",
            ),
            Language::German => (
                format!("ÜBUNG, nichts ist geschehen: {account} handelt anders als sein Inhaber, 0 BTC verloren"),
                vec![
                    format!("Dies ist eine Übung, begonnen von {by}. Kein Auftrag, kein Schlüssel wurde berührt."),
                    "Sie kam den Weg eines Alarms: Journal, Regelwerk, Speicher, dieser Kanal.".to_owned(),
                ],
                "Antworten Sie irgendetwas unter dieser Nachricht: die Übung wird bis dahin gemessen.".to_owned(),
                "Die Übung endet ohne Antwort, und wer als Nächstes gefragt wird, wird gefragt.".to_owned(),
                "Übung",
            ),
        };
        Message {
            incident: id.clone(),
            level: Level::Act,
            headline,
            facts,
            next_step,
            otherwise,
            link: String::new(),
            table: vec![(label.to_owned(), drill.code.to_string())],
        }
    }
}
