//! A drill's incident and message: marked as one wherever they are read, over at once, and no part of any account's story.

use super::{Alert, Language, message};
use crate::domain::{Drill, EffectKind, Incident, IncidentId, Level, Message, Story, Timestamp, Transition};

impl Alert {
    /// Returns a stage with the same settings that remembers nothing.
    pub fn anew(&self) -> Alert {
        Alert::new(self.settings.clone())
    }

    /// Tells a drill that has no attack, on every channel: an incident that is over at once.
    pub fn drill(&self, drill: &Drill, at: Timestamp, out: &mut Vec<EffectKind>) {
        let message = self::drill(drill, self.settings.language);
        out.push(effect(drill, (Story::Takeover, message.level), at, Some(message)));
    }

    /// Tells what a mock attack came to: `incident` as it stood in the end, and whether people would have been told of it.
    /// What the rules found is in the message alone: it is nobody's finding, and nothing counts or is done because of it.
    pub fn acted_out(
        &self,
        drill: &Drill,
        incident: Option<&Incident>,
        is_told: bool,
        at: Timestamp,
        out: &mut Vec<EffectKind>,
    ) {
        let quiet = (Story::Takeover, Level::Notice);
        let (story, level) = incident.map_or(quiet, |incident| (incident.story, incident.level));
        let message = incident.filter(|_| is_told).map(|incident| acted_out(drill, incident, self.settings.language));
        out.push(effect(drill, (story, level), at, message));
    }
}

fn effect(drill: &Drill, (story, level): (Story, Level), at: Timestamp, message: Option<Message>) -> EffectKind {
    let incident = Incident {
        id: IncidentId::of_drill(&drill.code),
        account: drill.account.clone(),
        story,
        level,
        opened: at,
        last: at,
        closed: Some(at),
        findings: Vec::new(),
        count: 0,
        loss: Vec::new(),
        plan: Vec::new(),
    };
    EffectKind::Incident { transition: Transition::Opened, incident, finding: None, message }
}

/// Returns the message of a drill without an attack.
pub fn drill(drill: &Drill, language: Language) -> Message {
    let (by, account) = (by(drill), &drill.account);
    let (headline, facts) = match language {
        Language::English => (
            format!("DRILL, nothing happened: {account} trades unlike its owner, 0 BTC lost"),
            vec![
                format!("This is a drill, begun by {by}. No order was placed and no key was touched."),
                "It came the way an alarm comes: journal, rules' end, store, this channel.".to_owned(),
            ],
        ),
        Language::German => (
            format!("ÜBUNG, nichts ist geschehen: {account} handelt anders als sein Inhaber, 0 BTC verloren"),
            vec![
                format!("Dies ist eine Übung, begonnen von {by}. Kein Auftrag, kein Schlüssel wurde berührt."),
                "Sie kam den Weg eines Alarms: Journal, Regelwerk, Speicher, dieser Kanal.".to_owned(),
            ],
        ),
    };
    marked(drill, Level::Act, headline, facts, Vec::new(), language)
}

/// Returns the message of a mock attack, which became `incident`.
pub fn acted_out(drill: &Drill, incident: &Incident, language: Language) -> Message {
    // A theft's own message has steps and names; the drill has its own.
    let bare = Incident { plan: Vec::new(), id: IncidentId::of_drill(&drill.code), ..incident.clone() };
    let Message { headline, facts, table, .. } = message(&bare, Transition::Opened, language);
    let (headline, first) = match language {
        Language::English => (
            format!("DRILL, nothing happened: {headline}"),
            format!(
                "This is a drill, begun by {}: invented frames went the way real ones go, from the journal through the rules \
                 to this channel. No order was placed, no key was touched, nothing is learnt from it. Of a theft it would \
                 be told:",
                by(drill)
            ),
        ),
        Language::German => (
            format!("ÜBUNG, nichts ist geschehen: {headline}"),
            format!(
                "Dies ist eine Übung, begonnen von {}: erfundene Meldungen gingen den Weg der echten, vom Journal durch die \
                 Regeln bis in diesen Kanal. Es gab keinen Auftrag, kein Schlüssel wurde berührt, nichts wird daraus \
                 gelernt. Über einen Diebstahl stünde hier:",
                by(drill)
            ),
        ),
    };
    let facts = std::iter::once(first).chain(facts).collect();
    marked(drill, incident.level, headline, facts, table, language)
}

fn marked(
    drill: &Drill,
    level: Level,
    headline: String,
    facts: Vec<String>,
    table: Vec<(String, String)>,
    language: Language,
) -> Message {
    let (next_step, otherwise, label) = match language {
        Language::English => (
            "Press or answer anything under this message: the drill is timed until somebody does.",
            "The drill ends as not answered, and those who are asked next are asked.",
            "Drill",
        ),
        Language::German => (
            "Antworten Sie irgendetwas unter dieser Nachricht: die Übung wird bis dahin gemessen.",
            "Die Übung endet ohne Antwort, und wer als Nächstes gefragt wird, wird gefragt.",
            "Übung",
        ),
    };
    let attack = drill.attack.map(|attack| format!(" ({})", attack.as_str())).unwrap_or_default();
    let row = (label.to_owned(), format!("{}{attack}", drill.code));
    Message {
        incident: IncidentId::of_drill(&drill.code),
        level,
        headline,
        facts,
        next_step: next_step.to_owned(),
        otherwise: otherwise.to_owned(),
        link: String::new(),
        table: std::iter::once(row).chain(table).collect(),
    }
}

fn by(drill: &Drill) -> String {
    drill.by.chars().filter(|c| !c.is_control()).take(60).collect()
}
