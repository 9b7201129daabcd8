//! The languages people are told in.

use serde::{Deserialize, Serialize};

use crate::domain::{AccountId, Level, Message, PlanStep};

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
}
