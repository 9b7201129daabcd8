//! What the bot answers, in each language. What comes from outside is escaped here, so that nothing is forgotten.

use super::listen::Pulse;
use super::talk::Usage;
use crate::alert::Language;
use crate::domain::{AccountId, Incident, Timestamp, Venue};
use crate::notify::wording::{escape, one_line};
use crate::notify::words::words;
use crate::store::{Answer, Backlog, Silence};

/// The bot's answers in a language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replies(pub(super) Language);

fn shown(text: &str, most: usize) -> String {
    escape(&one_line(text, most))
}

impl Replies {
    fn pick<'a>(self, english: &'a str, german: &'a str) -> &'a str {
        match self.0 {
            Language::English => english,
            Language::German => german,
        }
    }

    pub(super) fn help(self) -> String {
        self.pick(
            "/status how the watch goes\n/incidents those of a week\n/incident NAME all of one, with its buttons\n\
             /silence ACCOUNT TIME WHY no alerts about an account for a while (never act)\n\
             /leakmode which are on\n/leakmode on TAG WHY less evidence is enough for the keys of a tag\n/leakmode off TAG\n\
             /drill try the whole chain with a marked message\n/panic where keys are deleted\n\
             fillguard never asks for a password or a key.",
            "/status wie es läuft\n/incidents die einer Woche\n/incident NAME alles über einen, mit seinen Tasten\n\
             /silence KONTO ZEIT GRUND keine Alarme über ein Konto für eine Weile (nie die höchste Stufe)\n\
             /leakmode welche an sind\n/leakmode on MARKE GRUND für die Schlüssel einer Marke genügen weniger Belege\n\
             /leakmode off MARKE\n/drill die ganze Kette mit einer markierten Nachricht üben\n/panic wo Schlüssel gelöscht \
             werden\nfillguard fragt nie nach einem Passwort oder Schlüssel.",
        )
        .to_owned()
    }

    pub(super) fn wrong(self, usage: Usage) -> String {
        let text = match usage {
            Usage::Unknown => self.pick("/help lists what can be asked", "/help sagt, was man fragen kann"),
            Usage::Incident => self.pick(
                "/incident NAME, as in: /incident binance-alice-4711",
                "/incident NAME, wie in: /incident binance-alice-4711",
            ),
            Usage::Silence => self.pick(
                "/silence ACCOUNT TIME WHY, as in: /silence binance/alice 2h moving house (at most 7d), \
                 /silence off binance/alice, or /silence to list them",
                "/silence KONTO ZEIT GRUND, wie in: /silence binance/alice 2h Umzug (höchstens 7d), \
                 /silence off binance/alice, oder /silence für die Liste",
            ),
            Usage::Leak => self.pick(
                "/leakmode on TAG WHY, as in: /leakmode on 3commas their keys were published (for 14 days, or \
                 /leakmode on 3commas 2d WHY), /leakmode off TAG, or /leakmode to list them",
                "/leakmode on MARKE GRUND, wie in: /leakmode on 3commas Schlüssel veröffentlicht (für 14 Tage, oder \
                 /leakmode on 3commas 2d GRUND), /leakmode off MARKE, oder /leakmode für die Liste",
            ),
        };
        escape(text)
    }

    pub(super) fn no_such_incident(self, name: &str) -> String {
        let name = shown(name, 80);
        match self.0 {
            Language::English => format!("There is no incident {name}."),
            Language::German => format!("Einen Vorfall {name} gibt es nicht."),
        }
    }

    pub(super) fn to_be_silent(self, account: &AccountId, until: Timestamp, why: &str) -> String {
        let (account, why) = (escape(&account.to_string()), shown(why, 200));
        match self.0 {
            Language::English => {
                format!("Alerts about {account} are to be silent until {until}: {why}. Level act is told all the same.")
            }
            Language::German => {
                format!(
                    "Alarme über {account} sollen bis {until} schweigen: {why}. Die höchste Stufe wird trotzdem gemeldet."
                )
            }
        }
    }

    pub(super) fn silences_ended(self, ended: usize, account: &AccountId) -> String {
        let account = escape(&account.to_string());
        match self.0 {
            Language::English => format!("{ended} silences of {account} ended."),
            Language::German => format!("Stille beendet für {account}: {ended}."),
        }
    }

    pub(super) fn silences(self, silences: &[Silence]) -> String {
        let line = |one: &Silence| {
            let (by, why) = (shown(&one.by, 60), shown(&one.why, 200));
            match self.0 {
                Language::English => {
                    format!("{} until {}, by {by}: {why} ({} swallowed)", one.account, one.until, one.swallowed)
                }
                Language::German => {
                    format!("{} bis {}, von {by}: {why} ({} verschluckt)", one.account, one.until, one.swallowed)
                }
            }
        };
        match silences {
            [] => self.pick("No account is silent.", "Kein Konto schweigt.").to_owned(),
            some => some.iter().map(line).collect::<Vec<_>>().join("\n"),
        }
    }

    pub(super) fn no_such_tag(self, tag: &str, tags: &[String]) -> String {
        let none = self.pick("none", "keine").to_owned();
        let tags = if tags.is_empty() { none } else { tags.join(", ") };
        shown(
            &match self.0 {
                Language::English => format!("No configured account has the tag {tag}; the tags are: {tags}"),
                Language::German => format!("Kein eingestelltes Konto hat die Marke {tag}; die Marken sind: {tags}"),
            },
            1_000,
        )
    }

    pub(super) fn leak_mode_to_be_on(self, tag: &str, until: Timestamp, why: &str) -> String {
        let (tag, why) = (shown(tag, 80), shown(why, 200));
        match self.0 {
            Language::English => format!(
                "Leak mode is to be on for the keys tagged {tag} until {until}: {why}. Less evidence is then enough to tell \
                 of them. Nothing is silenced, and no key is taken away by it."
            ),
            Language::German => format!(
                "Der Leak-Modus soll für die Schlüssel mit der Marke {tag} bis {until} gelten: {why}. Dann werden schon \
                 weniger Belege gemeldet. Nichts wird dadurch stumm, und kein Schlüssel wird weggenommen."
            ),
        }
    }

    pub(super) fn leak_mode_to_end(self, tag: &str) -> String {
        let tag = shown(tag, 80);
        match self.0 {
            Language::English => format!("The leak mode of the keys tagged {tag} is to end."),
            Language::German => format!("Der Leak-Modus der Schlüssel mit der Marke {tag} soll enden."),
        }
    }

    pub(super) fn leak_modes(self, modes: &[String]) -> String {
        match modes {
            [] => self.pick("No leak mode is on.", "Kein Leak-Modus ist an.").to_owned(),
            some => some.iter().map(|mode| shown(mode, 400)).collect::<Vec<_>>().join("\n"),
        }
    }

    pub(super) fn drill(self) -> String {
        self.pick(
            "A drill begins: a message marked DRILL follows on every channel. It touches no exchange; press a button under \
             it to end it.",
            "Eine Übung beginnt: auf jedem Kanal folgt eine Nachricht mit dem Wort ÜBUNG. Sie berührt keine Börse; drücken Sie \
             eine Taste darunter, um sie zu beenden.",
        )
        .to_owned()
    }

    /// Says the truth about the button people look for: who deletes the keys.
    pub(super) fn panic(self) -> String {
        let first = self.pick(
            "This bot takes a key away only below a message that asks for your yes. Delete the keys yourself, now, at the \
             exchange:",
            "Dieser Bot nimmt einen Schlüssel nur unter einer Nachricht weg, die um Ihr Ja bittet. Löschen Sie die Schlüssel \
             jetzt selbst, an der Börse:",
        );
        let last = self.pick(
            "Then cancel open orders there, stop orders too.",
            "Streichen Sie dort dann die offenen Aufträge, auch Stop-Aufträge.",
        );
        let pages = Venue::ALL.iter().map(|venue| format!("{}: {}", venue.title(), escape(venue.key_page())));
        std::iter::once(first.to_owned()).chain(pages).chain([last.to_owned()]).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn status(self, pulse: &Pulse, open: usize, age: i64, backlog: Vec<Backlog>) -> String {
        let Pulse { seen, accounts, fills, .. } = pulse;
        let mut lines = match self.0 {
            Language::English => vec![
                format!("<b>{seen} of {accounts} feeds are up</b>, {fills} fills seen"),
                format!("{open} open incident{} of level alert or act", if open == 1 { "" } else { "s" }),
                format!("The last arrival was judged {age} s ago"),
            ],
            Language::German => vec![
                format!("<b>{seen} von {accounts} Feeds laufen</b>, {fills} Ausführungen gesehen"),
                match open {
                    1 => "1 offener Vorfall, der Alarm ist oder mehr".to_owned(),
                    _ => format!("{open} offene Vorfälle, die Alarm sind oder mehr"),
                },
                format!("Zuletzt wurde vor {age} s etwas beurteilt"),
            ],
        };
        for Backlog { channel, sent, waiting, given_up, why, .. } in backlog {
            let why = why.map(|why| format!(": {}", shown(&self.0.say(&why), 120))).unwrap_or_default();
            let channel = escape(&channel);
            lines.push(match self.0 {
                Language::English => format!("{channel}: {sent} sent, {waiting} waiting, {given_up} refused{why}"),
                Language::German => format!("{channel}: {sent} gesendet, {waiting} warten, {given_up} abgelehnt{why}"),
            });
        }
        lines.join("\n")
    }

    pub(super) fn no_incidents(self) -> String {
        self.pick("No incident within a week.", "Kein Vorfall in einer Woche.").to_owned()
    }

    /// Returns an incident's line in the list.
    pub(super) fn incident(self, incident: &Incident, answered: Option<&Answer>) -> String {
        let state = match (&incident.closed, answered) {
            (_, Some(answer)) => match self.0 {
                Language::English => format!("{} by {}", answer.verdict.as_str(), answer.by),
                Language::German => words(self.0).answered(answer),
            },
            (None, None) => self.pick("open", "offen").to_owned(),
            (Some(_), None) => self.pick("closed, not answered", "vorbei, ohne Antwort").to_owned(),
        };
        let pair = incident.symbol().map(|pair| format!(" {pair}")).unwrap_or_default();
        let level = match self.0 {
            Language::English => incident.level.as_str(),
            Language::German => words(self.0).level(incident.level),
        };
        shown(&format!("{level} /incident {}{pair}, {state}", incident.id), 200)
    }
}
