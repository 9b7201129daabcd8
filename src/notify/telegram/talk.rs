//! What a person wrote to the bot, read: a command with its arguments, or a pressed button.

use std::time::Duration;

use serde::Deserialize;

use crate::domain::AccountId;

/// One update, as far as the bot reads it (<https://core.telegram.org/bots/api#update>).
#[derive(Debug, Deserialize)]
pub(super) struct Update {
    pub(super) update_id: i64,
    pub(super) message: Option<Note>,
    pub(super) callback_query: Option<Press>,
}

/// A message to the bot.
#[derive(Debug, Deserialize)]
pub(super) struct Note {
    #[serde(default)]
    pub(super) message_id: i64,
    #[serde(default)]
    pub(super) date: i64,
    pub(super) from: Option<User>,
    pub(super) chat: Place,
    pub(super) text: Option<String>,
}

/// A pressed button.
#[derive(Debug, Deserialize)]
pub(super) struct Press {
    pub(super) id: String,
    pub(super) from: User,
    pub(super) message: Option<Note>,
    pub(super) data: Option<String>,
}

/// A person.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) username: Option<String>,
    #[serde(default)]
    pub(super) first_name: Option<String>,
}

/// A chat.
#[derive(Debug, Deserialize)]
pub(super) struct Place {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) username: Option<String>,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Status,
    Incidents,
    Incident(String),
    Silence {
        account: AccountId,
        time: Duration,
        why: String,
    },
    Unsilence(AccountId),
    Silences,
    LeakMode,
    SwitchLeak {
        tag: String,
        /// For how long and why; off where absent.
        on: Option<(Duration, String)>,
    },
    Panic,
    Drill,
    Help,
    /// Something that was meant as one; what would be right.
    Wrong(Usage),
}

/// The longest silence.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// How long a leak mode lasts where no time is given, and at most.
const LEAK_LASTS: Duration = Duration::from_secs(14 * 86_400);
const LEAK_AT_MOST: Duration = Duration::from_secs(366 * 86_400);

/// How a command is written that was written wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    Incident,
    Silence,
    Leak,
    /// There is no such command.
    Unknown,
}

impl User {
    /// Returns how answers name the person.
    pub(super) fn name(&self) -> String {
        match (&self.username, &self.first_name) {
            (Some(name), _) => format!("@{name}"),
            (None, Some(name)) => format!("{name} ({})", self.id),
            (None, None) => self.id.to_string(),
        }
    }
}

impl Command {
    /// Reads a text; nothing when it is no command.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let rest = text.strip_prefix('/')?;
        let mut words = rest.split_whitespace();
        // In groups a command may name the bot: /status@fillguard_bot.
        let verb = words.next().unwrap_or_default().split('@').next().unwrap_or_default().to_lowercase();
        let rest: Vec<&str> = words.collect();
        Some(match (verb.as_str(), rest.as_slice()) {
            ("status", _) => Command::Status,
            ("incidents", _) => Command::Incidents,
            ("incident", [name]) => Command::Incident((*name).to_owned()),
            ("incident", _) => Command::Wrong(Usage::Incident),
            ("silence", []) => Command::Silences,
            ("silence", ["off", account]) => match account.parse() {
                Ok(account) => Command::Unsilence(account),
                Err(_) => Command::Wrong(Usage::Silence),
            },
            ("silence", [account, time, why @ ..]) if !why.is_empty() => match (account.parse(), span(time)) {
                (Ok(account), Some(time)) if !time.is_zero() && time <= LONGEST => {
                    Command::Silence { account, time, why: why.join(" ").chars().take(200).collect() }
                }
                (Ok(_) | Err(_), _) => Command::Wrong(Usage::Silence),
            },
            ("silence", _) => Command::Wrong(Usage::Silence),
            ("leakmode", [] | ["status"]) => Command::LeakMode,
            ("leakmode", ["off", tag]) => Command::SwitchLeak { tag: (*tag).to_owned(), on: None },
            ("leakmode", ["on", tag, rest @ ..]) => leak_on(tag, rest).unwrap_or(Command::Wrong(Usage::Leak)),
            ("leakmode", _) => Command::Wrong(Usage::Leak),
            ("panic", _) => Command::Panic,
            ("drill", _) => Command::Drill,
            ("help" | "start", _) => Command::Help,
            _ => Command::Wrong(Usage::Unknown),
        })
    }
}

/// Reads `[TIME] WHY`.
fn leak_on(tag: &str, rest: &[&str]) -> Option<Command> {
    let given = rest.first().and_then(|first| span(first));
    let (time, why) = match given {
        Some(time) => (time, rest.get(1..)?),
        None => (LEAK_LASTS, rest),
    };
    let why: String = why.join(" ").chars().filter(|c| !c.is_control()).take(140).collect();
    let fine = !why.is_empty() && !time.is_zero() && time <= LEAK_AT_MOST && tag.chars().count() <= 80;
    fine.then(|| Command::SwitchLeak { tag: tag.to_owned(), on: Some((time, why)) })
}

/// Reads `30m`, `2h` or `3d`.
fn span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_people_write_them() {
        assert_eq!(Command::read("hello"), None);
        assert_eq!(Command::read("/status"), Some(Command::Status));
        assert_eq!(Command::read(" /Incidents@fillguard_bot please"), Some(Command::Incidents));
        assert_eq!(Command::read("/incident binance-alice-4"), Some(Command::Incident("binance-alice-4".into())));
        assert_eq!(Command::read("/start"), Some(Command::Help));
        assert!(matches!(Command::read("/incident"), Some(Command::Wrong(_))));
        assert!(matches!(Command::read("/rm -rf"), Some(Command::Wrong(_))));
    }

    #[test]
    fn a_leak_mode_needs_a_tag_and_a_reason() {
        let on = |time: u64, why: &str| {
            let on = Some((Duration::from_secs(time * 86_400), why.to_owned()));
            Some(Command::SwitchLeak { tag: "3commas".into(), on })
        };
        assert_eq!(Command::read("/leakmode on 3commas keys were published"), on(14, "keys were published"));
        assert_eq!(Command::read("/leakmode on 3commas 2d keys were published"), on(2, "keys were published"));
        let off = Some(Command::SwitchLeak { tag: "3commas".into(), on: None });
        assert_eq!(Command::read("/leakmode off 3commas"), off);
        assert_eq!(Command::read("/leakmode"), Some(Command::LeakMode));
        assert_eq!(Command::read("/leakmode status"), Some(Command::LeakMode));
        for wrong in [
            "/leakmode on",
            "/leakmode on 3commas",
            "/leakmode on 3commas 2d",
            "/leakmode on x 999d y",
            "/leakmode off",
        ] {
            assert!(matches!(Command::read(wrong), Some(Command::Wrong(_))), "{wrong}");
        }
    }

    #[test]
    fn a_silence_needs_whom_how_long_and_why() {
        let account: AccountId = "binance/alice".parse().unwrap();
        let asked = Command::read("/silence binance/alice 2h moving house");
        let time = Duration::from_secs(7_200);
        assert_eq!(asked, Some(Command::Silence { account: account.clone(), time, why: "moving house".into() }));
        assert_eq!(Command::read("/silence off binance/alice"), Some(Command::Unsilence(account)));
        assert_eq!(Command::read("/silence"), Some(Command::Silences));
        for wrong in ["/silence binance/alice 2h", "/silence alice 2h x", "/silence binance/alice 30d x"] {
            assert!(matches!(Command::read(wrong), Some(Command::Wrong(_))), "{wrong}");
        }
    }
}
