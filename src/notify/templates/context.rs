//! What a template may ask for. docs/alerts.md lists it.

use serde::Serialize;

use super::super::wording::{one_line, web_link};
use super::super::words::Words;
use crate::alert;
use crate::domain::{Incident, Message, Timestamp};

/// What a template is told beside the message.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// The words of the channel's language.
    pub words: &'static Words,
    /// The phrase that every message shows.
    pub phrase: &'a str,
    /// When the arrival came that caused it.
    pub at: Timestamp,
    /// True when an earlier attempt may have arrived.
    pub repeat: bool,
    /// Where it can be answered by a page.
    pub answer: Option<&'a str>,
    /// What was answered, in words.
    pub answered: Option<String>,
    /// The picture inside a mail: how a page shows it, and what it shows.
    pub picture: Option<(&'a str, String)>,
    /// The incident, where it is one.
    pub incident: Option<&'a Incident>,
}

impl<'a> About<'a> {
    /// Knows words, phrase and time alone.
    pub fn new(words: &'static Words, phrase: &'a str, at: Timestamp) -> Self {
        About { words, phrase, at, repeat: false, answer: None, answered: None, picture: None, incident: None }
    }
}

/// What a template sees. Each text is one line, without control, invisible and reordering characters; pages escape it.
#[derive(Debug, Serialize)]
pub(super) struct Context<'a> {
    level: &'static str,
    level_word: &'static str,
    headline: String,
    facts: Vec<String>,
    next_step: String,
    otherwise: String,
    link: &'a str,
    table: Vec<Row>,
    incident: String,
    account: String,
    pair: String,
    lost: String,
    kind: &'static str,
    rule: String,
    phrase: String,
    language: &'static str,
    at: String,
    repeat: bool,
    answer: &'a str,
    answered: String,
    picture: Option<Shown<'a>>,
    words: Around,
}

#[derive(Debug, Serialize)]
struct Row {
    label: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    source: &'a str,
    caption: String,
}

/// The words around what is told, as the built-in forms have them.
#[derive(Debug, Serialize)]
struct Around {
    what_now: &'static str,
    otherwise: &'static str,
    phrase: &'static str,
    repeat: &'static str,
    incident: &'static str,
    never_asks: &'static str,
    open: &'static str,
    answer: &'static str,
}

pub(super) fn of<'a>(message: &'a Message, about: &'a About<'_>) -> Context<'a> {
    let words = about.words;
    let found = |label: &str| value(message, label).map(|text| one_line(text, 200)).unwrap_or_default();
    let leading = about.incident.and_then(Incident::leading);
    Context {
        level: message.level.as_str(),
        level_word: words.level(message.level),
        headline: one_line(&message.headline, 1_000),
        facts: message.facts.iter().map(|fact| one_line(fact, 1_000)).collect(),
        next_step: one_line(&message.next_step, 1_000),
        otherwise: one_line(&message.otherwise, 1_000),
        link: web_link(&message.link).unwrap_or_default(),
        table: message
            .table
            .iter()
            .map(|(label, value)| Row { label: one_line(label, 60), value: one_line(value, 500) })
            .collect(),
        incident: one_line(message.incident.as_str(), 120),
        account: found("Account"),
        pair: found("Pair"),
        lost: lost(message),
        kind: about.incident.and_then(Incident::kind).map_or("", |kind| kind.as_str()),
        rule: leading.map(|finding| one_line(finding.rule_name(), 80)).unwrap_or_default(),
        phrase: one_line(about.phrase, 200),
        language: words.language.code(),
        at: about.at.to_string(),
        repeat: about.repeat,
        answer: about.answer.unwrap_or_default(),
        answered: about.answered.clone().unwrap_or_default(),
        picture: about.picture.as_ref().map(|(source, caption)| Shown { source, caption: caption.clone() }),
        words: Around {
            what_now: words.what_now,
            otherwise: words.otherwise,
            phrase: words.phrase,
            repeat: words.repeat,
            incident: words.incident,
            never_asks: words.never_asks,
            open: words.open,
            answer: words.answer,
        },
    }
}

/// Returns the money that a message says was lost; nothing where it says of none.
pub(super) fn lost(message: &Message) -> String {
    value(message, "Lost so far").map(|text| one_line(text, 200)).unwrap_or_default()
}

/// Returns a value of a message's table by the English label, in whichever language it stands there.
fn value<'a>(message: &'a Message, label: &str) -> Option<&'a str> {
    let mut languages = alert::Language::ALL.into_iter();
    languages.find_map(|language| {
        let label = alert::label(label, language);
        message.table.iter().find(|(known, _)| *known == label).map(|(_, value)| value.as_str())
    })
}
