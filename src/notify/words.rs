//! The words around a message, in each language, and the messages that no incident wrote.

use std::path::Path;

use super::telegram::Pulse;
use super::wording::one_line;
use crate::alert::{self, Language};
use crate::domain::{Incident, IncidentId, Level, Message, PlanStep, Span, Timestamp, Transition};
use crate::store::{Answer, Cause, Gathered, Verdict};

/// How much of a disk is left, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What a program may still write.
    pub free: u64,
    /// What it has in all.
    pub whole: u64,
}

/// What stands around what an incident says.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// Which language.
    pub language: Language,
    /// The levels, quietest first.
    pub levels: [&'static str; 3],
    /// Before the next step.
    pub what_now: &'static str,
    /// Before what happens otherwise.
    pub otherwise: &'static str,
    /// Before the phrase.
    pub phrase: &'static str,
    /// Where an earlier attempt may have arrived.
    pub repeat: &'static str,
    /// Before the incident's name.
    pub incident: &'static str,
    /// What a forged message would do.
    pub never_asks: &'static str,
    /// On the button to a page.
    pub open: &'static str,
    /// Where lines were left out.
    pub more_lines: &'static str,
    /// The answers: mine, not mine, later.
    pub answers: [&'static str; 3],
    /// On the second step's button.
    pub confirm: &'static str,
    /// On the buttons that take the key away: the first, the second.
    pub take: [&'static str; 2],
    /// After the second: it begins, or another person is needed.
    pub taking: [&'static str; 2],
    /// On the answer page, before the second.
    pub take_means: &'static str,
    /// On the button that shows the first step again.
    pub back: &'static str,
    /// On the button that silences.
    pub silence: &'static str,
    /// On the buttons that switch a leak mode on and off.
    pub leak: [&'static str; 2],
    /// On the button of who looks after it.
    pub seen: &'static str,
    /// After a press: mine, not mine, later, seen.
    pub thanks: [&'static str; 4],
    /// Where a button was used or has ended.
    pub ended: &'static str,
    /// Where somebody may not answer.
    pub not_listed: &'static str,
    /// Where another person began the second step.
    pub not_yours: &'static str,
    /// Where a link is not one of ours.
    pub no_link: &'static str,
    /// Where what was sent is no answer.
    pub no_answer: &'static str,
    /// Where an answer could not be kept.
    pub not_kept: &'static str,
    /// Before the link to the answer page.
    pub answer: &'static str,
    /// Under the picture.
    pub picture: &'static str,
    /// Before the pair whose price the picture shows.
    pub price: &'static str,
}

const ENGLISH: Words = Words {
    language: Language::English,
    levels: ["Notice", "Alert", "Act now"],
    what_now: "What to do now",
    otherwise: "If nothing is done",
    phrase: "Your phrase",
    repeat: "This may be a repeat: an earlier attempt may have arrived.",
    incident: "Incident",
    never_asks: "fillguard never asks for a password or a key.",
    open: "Open",
    more_lines: "more lines",
    answers: ["That was me", "Not me, stop it", "Later"],
    confirm: "Yes, it was not me",
    take: ["Take the key away", "Yes, take the key away now"],
    taking: [
        "Noted. What is done, and whether it worked, is told in a message of its own.",
        "Noted. Two different people have to say so; what becomes of it is told in a message of its own.",
    ],
    take_means: "The key loses its rights, open orders are cancelled, and the key is deleted where that is configured. \
                 Programs that use it stop. A deleted key is gone.",
    back: "Back",
    silence: "Yes, silence it",
    leak: ["Yes, switch it on", "Yes, end it"],
    seen: "I look after it",
    thanks: [
        "Noted: it was you. Anything else is still told.",
        "Raised to act. Delete the key now; the steps are in the message.",
        "You are asked again in an hour.",
        "Noted: you look after it.",
    ],
    ended: "This button was used, or its time is over.",
    not_listed: "You are not among those who may answer here.",
    not_yours: "Somebody else began this; press the first button yourself.",
    no_link: "This link is not valid. Answer with the newest message, or with fillguard ack.",
    no_answer: "That was no answer, and nothing was noted. Press one of the buttons.",
    not_kept: "Your answer could not be kept; try again in a minute.",
    answer: "Was it you? Answer here",
    picture: "Lost, order by order (red)",
    price: "Above it in blue the price of",
};

const GERMAN: Words = Words {
    language: Language::German,
    levels: ["Hinweis", "Alarm", "Jetzt handeln"],
    what_now: "Was jetzt zu tun ist",
    otherwise: "Wenn nichts geschieht",
    phrase: "Ihr Erkennungssatz",
    repeat: "Dies kann eine Wiederholung sein: ein früherer Versuch ist vielleicht angekommen.",
    incident: "Vorfall",
    never_asks: "fillguard fragt nie nach einem Passwort oder Schlüssel.",
    open: "Öffnen:",
    more_lines: "weitere Zeilen",
    answers: ["Das war ich", "Nicht ich, stoppen", "Später"],
    confirm: "Ja, das war nicht ich",
    take: ["Den Schlüssel wegnehmen", "Ja, den Schlüssel jetzt wegnehmen"],
    taking: [
        "Notiert. Was geschieht, und ob es gewirkt hat, sagt eine eigene Nachricht.",
        "Notiert. Zwei verschiedene Menschen müssen es sagen; was daraus wird, sagt eine eigene Nachricht.",
    ],
    take_means: "Der Schlüssel verliert seine Rechte, offene Aufträge werden gestrichen, und der Schlüssel wird gelöscht, wo \
                 das eingestellt ist. Programme, die ihn benutzen, stehen still. Ein gelöschter Schlüssel ist weg.",
    back: "Zurück",
    silence: "Ja, stumm schalten",
    leak: ["Ja, einschalten", "Ja, beenden"],
    seen: "Ich kümmere mich",
    thanks: [
        "Notiert: das waren Sie. Alles andere wird weiter gemeldet.",
        "Auf die höchste Stufe gehoben. Löschen Sie jetzt den Schlüssel; die Schritte stehen in der Nachricht.",
        "In einer Stunde wird wieder gefragt.",
        "Notiert: Sie kümmern sich.",
    ],
    ended: "Diese Taste wurde schon benutzt, oder ihre Zeit ist um.",
    not_listed: "Sie gehören nicht zu denen, die hier antworten dürfen.",
    not_yours: "Das hat jemand anders begonnen; drücken Sie selbst die erste Taste.",
    no_link: "Dieser Link gilt nicht. Antworten Sie mit der neuesten Nachricht oder mit fillguard ack.",
    no_answer: "Das war keine Antwort, und nichts wurde notiert. Drücken Sie eine der Tasten.",
    not_kept: "Ihre Antwort konnte nicht gespeichert werden; versuchen Sie es in einer Minute wieder.",
    answer: "Waren Sie das? Hier antworten",
    picture: "Verloren, Auftrag für Auftrag (rot)",
    price: "Darüber blau der Preis von",
};

/// Returns the words of a language.
pub const fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::German => &GERMAN,
    }
}

impl Words {
    /// Returns the word for a level.
    pub fn level(&self, level: Level) -> &'static str {
        match level {
            Level::Notice => self.levels[0],
            Level::Alert => self.levels[1],
            Level::Act => self.levels[2],
        }
    }

    /// Returns what is said after an answer was kept.
    pub fn thanks(&self, verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Mine => self.thanks[0],
            Verdict::NotMine => self.thanks[1],
            Verdict::Later => self.thanks[2],
            Verdict::Seen => self.thanks[3],
        }
    }

    /// Returns what was answered, by whom and when.
    pub fn answered(&self, answer: &Answer) -> String {
        let (by, at) = (one_line(&answer.by, 60), answer.at);
        match (self.language, answer.verdict) {
            (Language::English, Verdict::Mine) => format!("Answered by {by}, {at}: that was me."),
            (Language::English, Verdict::NotMine) => format!("Answered by {by}, {at}: not me."),
            (Language::English, Verdict::Later) => format!("Put off by {by}, {at}."),
            (Language::English, Verdict::Seen) => format!("Seen by {by}, {at}."),
            (Language::German, Verdict::Mine) => format!("Beantwortet von {by}, {at}: das war ich."),
            (Language::German, Verdict::NotMine) => format!("Beantwortet von {by}, {at}: nicht ich."),
            (Language::German, Verdict::Later) => format!("Verschoben von {by}, {at}."),
            (Language::German, Verdict::Seen) => format!("Gesehen von {by}, {at}."),
        }
    }

    /// Returns a message as it is told when the owner says, after it was over, that it was not them.
    pub fn disowned(&self, mut message: Message, answer: &Answer, plan: &[PlanStep]) -> Message {
        let said = self.answered(answer);
        let steps =
            plan.iter().enumerate().map(|(place, step)| format!("{}. {}", place + 1, self.language.say(&step.what)));
        let facts = std::mem::take(&mut message.facts);
        message.facts = std::iter::once(said).chain(steps).chain(facts).collect();
        message
    }

    /// Returns the line a day.
    pub fn daily(&self, pulse: &Pulse, incidents: usize, drill: Option<&str>) -> Message {
        let id = IncidentId::known("daily/line");
        let (seen, accounts, fills) = (pulse.seen, pulse.accounts, pulse.fills);
        let (headline, next_step) = match self.language {
            Language::English => {
                let drill = drill.map_or("no drill yet".to_owned(), |drill| format!("last drill {drill}"));
                let all = if seen == accounts { "all seen" } else { "NOT all seen" };
                let s = if incidents == 1 { "" } else { "s" };
                (
                    format!(
                        "{seen} of {accounts} feeds up ({all}), {fills} fills, {incidents} incident{s} in a day, {drill}"
                    ),
                    if seen == accounts { "Nothing to do." } else { "Look at the accounts that are not seen." },
                )
            }
            Language::German => {
                let drill = drill.map_or("noch keine Übung".to_owned(), |drill| format!("letzte Übung {drill}"));
                let all = if seen == accounts { "alle gesehen" } else { "NICHT alle gesehen" };
                let cases = if incidents == 1 { "Vorfall" } else { "Vorfälle" };
                (
                    format!(
                        "{seen} von {accounts} Feeds ({all}), {fills} Ausführungen, {incidents} {cases} am Tag, {drill}"
                    ),
                    if seen == accounts { "Nichts zu tun." } else { "Sehen Sie nach den Konten, die fehlen." },
                )
            }
        };
        Message { headline, next_step: next_step.to_owned(), ..bare(&id, Level::Notice) }
    }

    /// Returns how many incidents are told together.
    pub fn digest(&self) -> fn(&Gathered) -> Message {
        match self.language {
            Language::English => digest_in_english,
            Language::German => digest_in_german,
        }
    }

    /// Returns a message that tries a channel.
    pub fn test(&self, channel: &str, by: &str, at: Timestamp) -> Message {
        let id = IncidentId::known(&format!("test/{channel}"));
        let by = one_line(by, 60);
        let (headline, fact, next_step, otherwise) = match self.language {
            Language::English => (
                format!("This is a test of the channel {channel}"),
                format!("{by} asked for it at {at}. Nothing happened to any account."),
                "Nothing to do: you read it, so the channel works.",
                "Nothing; alerts look like this one.",
            ),
            Language::German => (
                format!("Dies ist ein Test des Kanals {channel}"),
                format!("{by} hat ihn am {at} verlangt. Keinem Konto ist etwas geschehen."),
                "Nichts zu tun: Sie lesen dies, der Kanal geht also.",
                "Nichts; Alarme sehen aus wie diese Nachricht.",
            ),
        };
        Message {
            headline,
            facts: vec![fact],
            next_step: next_step.to_owned(),
            otherwise: otherwise.to_owned(),
            ..bare(&id, Level::Notice)
        }
    }

    /// Returns what is told when fillguard itself took a rule back that was too loud.
    pub fn demoted(&self, rule: &str, noise: &str, accounts: &[(String, u64)]) -> Message {
        let (rule, noise) = (one_line(rule, 60), one_line(&self.language.say(noise), 160));
        let id = IncidentId::known(&format!("rule/{rule}"));
        let whose: Vec<String> =
            accounts.iter().take(8).map(|(account, alarms)| format!("{} {alarms}", one_line(account, 60))).collect();
        let whose = whose.join(", ");
        let (headline, fact, most, next_step, otherwise) = match self.language {
            Language::English => (
                format!("Rule {rule} is only tried out again: {noise}"),
                "fillguard had made it live by itself, and it did not keep to its budget. What it finds stands in the \
                 history from now on and calls nobody.",
                format!("Its alarms were about: {whose}."),
                format!(
                    "Look at its alarms. Narrow its condition or raise its budget; then: fillguard stage promote {rule}"
                ),
                "What this rule alone sees is told to nobody.",
            ),
            Language::German => (
                format!("Regel {rule} läuft wieder nur auf Probe: {noise}"),
                "fillguard hatte sie von selbst scharf geschaltet, und sie hielt ihr Budget nicht ein. Was sie findet, steht \
                 von jetzt an nur im Verlauf und ruft niemanden.",
                format!("Ihre Alarme betrafen: {whose}."),
                format!(
                    "Sehen Sie ihre Alarme an. Engen Sie die Bedingung ein oder erhöhen Sie das Budget; dann: fillguard \
                     stage promote {rule}"
                ),
                "Was nur diese Regel sieht, wird niemandem gemeldet.",
            ),
        };
        let facts = std::iter::once(fact.to_owned()).chain((!whose.is_empty()).then_some(most)).collect();
        Message { headline, facts, next_step, otherwise: otherwise.to_owned(), ..bare(&id, Level::Alert) }
    }

    /// Returns what is told when the disk fills up.
    pub fn short_of_room(&self, folder: &Path, room: &Room, at: Timestamp) -> Message {
        let id = IncidentId::known("disk/journal");
        let (free, whole) = (size(room.free), size(room.whole));
        let folder = one_line(&folder.display().to_string(), 200);
        let (headline, fact, next_step, otherwise) = match self.language {
            Language::English => (
                format!("fillguard's disk fills up: {free} of {whole} left"),
                format!("Seen at {at}, for {folder}."),
                "Make room on that disk, or have less of the journal kept: keep_for and keep_bytes in [journal].",
                "Once it is full, fillguard stops: no account is watched, and nobody can be told.",
            ),
            Language::German => (
                format!("Die Platte von fillguard wird voll: noch {free} von {whole} frei"),
                format!("Gesehen am {at}, für {folder}."),
                "Schaffen Sie Platz, oder lassen Sie weniger Journal aufheben: keep_for und keep_bytes in [journal].",
                "Ist sie voll, hält fillguard an: kein Konto wird überwacht, und niemand kann benachrichtigt werden.",
            ),
        };
        Message {
            headline,
            facts: vec![fact],
            next_step: next_step.to_owned(),
            otherwise: otherwise.to_owned(),
            ..bare(&id, Level::Alert)
        }
    }

    /// Returns how an incident that nobody answered is told again.
    pub fn again(&self) -> fn(&Incident, Cause, Span) -> Message {
        match self.language {
            Language::English => again_in_english,
            Language::German => again_in_german,
        }
    }
}

fn digest_in_english(gathered: &Gathered) -> Message {
    let count = gathered.count();
    let levels: Vec<String> = gathered.levels.iter().map(|(level, count)| format!("{count} {level}")).collect();
    let more = count.saturating_sub(gathered.headlines.len() as u64);
    let mut facts = gathered.headlines.clone();
    if more > 0 {
        facts.push(format!("And {more} more."));
    }
    Message {
        headline: format!("{count} incidents at once: {}", levels.join(", ")),
        facts,
        next_step:
            "Look at all of them: run fillguard incidents --open. If one key after the other is hit, the platform \
                    that holds them has leaked: delete the keys it was given."
                .to_owned(),
        otherwise: "Each of them goes on by itself; further messages are told together too.".to_owned(),
        table: vec![
            ("Since".to_owned(), gathered.since.to_string()),
            ("Until".to_owned(), gathered.until.to_string()),
            ("Incidents".to_owned(), count.to_string()),
        ],
        ..bare(&gathered.name, loudest(gathered))
    }
}

fn digest_in_german(gathered: &Gathered) -> Message {
    let count = gathered.count();
    let levels: Vec<String> =
        gathered.levels.iter().map(|(level, count)| format!("{count} × {}", GERMAN.level(*level))).collect();
    let more = count.saturating_sub(gathered.headlines.len() as u64);
    let mut facts = gathered.headlines.clone();
    if more > 0 {
        facts.push(format!("Und {more} weitere."));
    }
    Message {
        headline: format!("{count} Vorfälle auf einmal: {}", levels.join(", ")),
        facts,
        next_step:
            "Sehen Sie alle an: fillguard incidents --open. Trifft es einen Schlüssel nach dem anderen, so ist die \
                    Plattform undicht, die sie hat: löschen Sie die Schlüssel, die sie bekam."
                .to_owned(),
        otherwise: "Jeder Vorfall läuft für sich weiter; auch weitere Nachrichten werden zusammengefasst.".to_owned(),
        table: vec![
            ("Seit".to_owned(), gathered.since.to_string()),
            ("Bis".to_owned(), gathered.until.to_string()),
            ("Vorfälle".to_owned(), count.to_string()),
        ],
        ..bare(&gathered.name, loudest(gathered))
    }
}

fn loudest(gathered: &Gathered) -> Level {
    gathered.levels.iter().map(|(level, _)| *level).max().unwrap_or(Level::Alert)
}

/// A message that says nothing yet.
pub(super) fn bare(incident: &IncidentId, level: Level) -> Message {
    Message {
        incident: incident.clone(),
        level,
        headline: String::new(),
        facts: Vec::new(),
        next_step: String::new(),
        otherwise: String::new(),
        link: String::new(),
        table: Vec::new(),
    }
}

fn again_in_english(incident: &Incident, cause: Cause, waited: Span) -> Message {
    let waited = minutes(waited);
    let fact = match cause {
        Cause::Escalation => {
            format!("Nobody who was told first has answered within {waited} minutes, so you are told too.")
        }
        Cause::News | Cause::Repeat | Cause::Report | Cause::Digest | Cause::Test => {
            format!("Still open after {waited} minutes, and nobody has answered.")
        }
    };
    told_again(incident, fact, Language::English)
}

fn again_in_german(incident: &Incident, cause: Cause, waited: Span) -> Message {
    let waited = minutes(waited);
    let fact = match cause {
        Cause::Escalation => {
            format!(
                "Wer zuerst benachrichtigt wurde, hat {waited} Minuten lang nicht geantwortet; daher diese Nachricht."
            )
        }
        Cause::News | Cause::Repeat | Cause::Report | Cause::Digest | Cause::Test => {
            format!("Nach {waited} Minuten immer noch offen, und niemand hat geantwortet.")
        }
    };
    told_again(incident, fact, Language::German)
}

fn told_again(incident: &Incident, fact: String, language: Language) -> Message {
    let mut message = alert::message(incident, Transition::Opened, language);
    message.facts.insert(0, fact);
    message
}

/// Writes bytes as a person would.
fn size(bytes: u64) -> String {
    match bytes >> 20 {
        small @ ..1_024 => format!("{small} MiB"),
        large => format!("{} GiB", large >> 10),
    }
}

fn minutes(span: Span) -> i64 {
    span.nanos() / 60_000_000_000
}
