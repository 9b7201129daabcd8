//! `[notify]`: whom to tell, and how.

use std::collections::BTreeSet;
use std::time::Duration;

use super::account::{Account, known_account};
use super::credential::{Found, one_line, secret};
use super::problem::Problems;
use super::section::{Scope, Section};
use super::values::{integer, text};
use crate::alert::Language;
use crate::domain::{AccountId, Level};
use crate::notify::email::{EmailSettings, Mailbox, Mailer, Tls};
use crate::notify::telegram::{BASE_URL, Bot, Chat, TelegramSettings};
use crate::notify::templates::Templates;
use crate::notify::webhook::{Form, Webhook, WebhookSettings};
use crate::notify::{ChannelSettings, Error, Settings, backoff, console};
use crate::secret::Secret;
use crate::store::{Burst, QuietHours};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const LEVELS: [(&str, Level); 3] = [("notice", Level::Notice), ("alert", Level::Alert), ("act", Level::Act)];

/// What all channels share while they are read.
struct Channels<'a> {
    accounts: &'a [Account],
    phrase: String,
    language: Language,
    templates: Option<Templates>,
    /// Names given so far, with their lines.
    names: Vec<(String, usize)>,
}

/// Reads the channels; `accounts` are those a channel may name.
pub(super) fn notify(root: &mut Section<'_>, accounts: &[Account]) -> Settings {
    let mut section = root.section("notify");
    let phrase = section.text("phrase", Some("")).unwrap_or_default();
    if phrase.chars().count() > 80 || phrase.chars().any(char::is_control) {
        section.refuse("phrase", "must be one line of at most 80 characters");
    }
    let languages = Language::ALL.map(|language| (language.code(), language));
    let language = section.choice("language", Some(Language::default()), &languages).unwrap_or_default();
    let usual = Settings::default();
    let repeat = section.time_or("repeat", usual.repeat, "never", Duration::from_secs(60)..=30 * DAY);
    let most = section.count("burst", u64::from(usual.burst.most), 1..=1_000);
    let burst = Burst { most: u32::try_from(most).unwrap_or(usual.burst.most), ..usual.burst };
    let templates = templates(&mut section, &phrase);
    let mut channels = Channels { accounts, phrase, language, templates, names: Vec::new() };
    let email: Vec<_> = section.sections("email").into_iter().filter_map(|one| channels.email(one)).collect();
    let telegram: Vec<_> = section.sections("telegram").into_iter().filter_map(|one| channels.telegram(one)).collect();
    let webhook: Vec<_> = section.sections("webhook").into_iter().filter_map(|one| channels.webhook(one)).collect();
    // The bot could not tell for which of the two a button was pressed.
    let twice = telegram.iter().enumerate().find_map(|(place, one)| {
        let same = |other: &&TelegramSettings| (&other.chat, &other.token) == (&one.chat, &one.token);
        telegram.iter().skip(place + 1).find(same).map(|other| (one.channel.name.clone(), other.channel.name.clone()))
    });
    if let Some((first, second)) = twice.filter(|_| section.gather.scope == Scope::Run) {
        let reason = format!("`{first}` and `{second}` are one chat with one bot; use one of them, or another bot");
        section.refuse("telegram", reason);
    }
    let console = console_enabled(&mut section);
    let backoff = retry(&mut section);
    if root.gather.scope != Scope::Middle {
        if !section.has("email") && !section.has("telegram") && !section.has("webhook") && !console {
            let reason = "nobody would be told; add [[notify.email]], [[notify.telegram]], [[notify.webhook]] or [notify.console]";
            root.refuse("notify", reason);
        } else if channels.phrase.is_empty() {
            root.gather
                .warn("notify.phrase is empty: with a phrase of yours in it, a forged message is recognised".into());
        }
    }
    section.close();
    if root.gather.scope != Scope::Middle && !email.is_empty() | !telegram.is_empty() {
        let mut channels = email.iter().map(|one| &one.channel).chain(telegram.iter().map(|one| &one.channel));
        if channels.all(|channel| !channel.after.is_zero()) {
            root.gather.warn("every channel waits for an answer on another one (after); nobody is told at once".into());
        }
    }
    let (phrase, templates) = (channels.phrase, channels.templates);
    let settings =
        Settings { email, telegram, webhook, console, backoff, burst, repeat, language, ..Settings::default() };
    if root.gather.scope != Scope::Middle {
        untold(root, accounts, &settings);
    }
    Settings { phrase, templates, ..settings }
}

/// Warns of accounts of which no channel is told.
fn untold(root: &Section<'_>, accounts: &[Account], settings: &Settings) {
    let email = settings.email.iter().map(|one| &one.channel);
    let telegram = settings.telegram.iter().map(|one| &one.channel);
    let webhook = settings.webhook.iter().map(|one| &one.channel);
    let channels: Vec<_> = email.chain(telegram).chain(webhook).collect();
    // A channel that names nobody is told of everybody; that there is none at all is told elsewhere.
    if settings.console || channels.is_empty() || channels.iter().any(|channel| channel.accounts.is_none()) {
        return;
    }
    let told: BTreeSet<&AccountId> = channels.iter().flat_map(|channel| channel.accounts.iter().flatten()).collect();
    let untold: Vec<&AccountId> = accounts.iter().map(|account| &account.id).filter(|id| !told.contains(id)).collect();
    if !untold.is_empty() {
        root.gather.warn(format!(
            "no channel is told of {}: name them in a channel's accounts, or leave accounts out of a channel, which is \
             then told of all",
            a_few(&untold)
        ));
    }
}

/// Names some accounts: all of a few, the first of many.
pub(crate) fn a_few(accounts: &[&AccountId]) -> String {
    const FEW: usize = 3;
    let named: Vec<String> = accounts.iter().take(FEW).map(ToString::to_string).collect();
    match accounts.len().saturating_sub(FEW) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Reads the user's own words and tries them; each file that is wrong is told by its own name and line.
fn templates(section: &mut Section<'_>, phrase: &str) -> Option<Templates> {
    let folder = section.path_to("templates", None)?;
    // A mere reader of rules has no use for them.
    if section.gather.scope == Scope::Middle {
        return None;
    }
    match Templates::read(&folder, phrase) {
        Ok(templates) => Some(templates),
        Err(problems) => {
            for problem in problems {
                section.gather.refuse_file(Problems::whole_file(problem.file, problem.line, problem.why));
            }
            None
        }
    }
}

fn console_enabled(section: &mut Section<'_>) -> bool {
    let mut section = section.section("console");
    let enabled = section.flag("enabled", false);
    section.close();
    enabled
}

fn retry(section: &mut Section<'_>) -> backoff::Settings {
    let mut section = section.section("retry");
    let usual = backoff::Settings::default();
    let settings = backoff::Settings {
        first: section.time("first", usual.first, Duration::from_millis(10)..=DAY),
        most: section.time("most", usual.most, Duration::from_millis(10)..=DAY),
        probe: section.time("probe", usual.probe, Duration::from_millis(10)..=DAY),
        late: section.time("late", usual.late, SECOND..=DAY),
    };
    if settings.first > settings.most {
        section.refuse("most", "is shorter than first");
    }
    section.close();
    settings
}

impl Channels<'_> {
    fn channel(&mut self, section: &mut Section<'_>, usual_name: &str) -> ChannelSettings {
        let name = section.text("name", Some(usual_name)).unwrap_or_default();
        let fine = (1..=64).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !fine || name == console::NAME {
            section.refuse("name", "must be 1 to 64 letters, digits and -_. and not \"console\"");
        }
        match self.names.iter().find(|(other, _)| *other == name) {
            Some((_, line)) => {
                let reason = format!("the channel in line {line} has this name too; give one of them another");
                section.refuse("name", reason);
            }
            None => self.names.push((name.clone(), section.line())),
        }
        let min_level = section.choice("min_level", Some(Level::Alert), &LEVELS).unwrap_or(Level::Alert);
        let (gather, known) = (section.gather, self.accounts.iter().map(|account| &account.id));
        let accounts = section.list("accounts", |text| known_account(text, gather, known.clone()));
        // An empty list reads like everybody, and so it is meant.
        let accounts = Some(accounts).filter(|accounts| !accounts.is_empty());
        let person = section.text("person", Some("")).unwrap_or_default();
        let after = section.time("after", Duration::ZERO, Duration::ZERO..=DAY);
        let quiet = quiet_hours(section);
        let (phrase, language, templates) = (self.phrase.clone(), self.language, self.templates.clone());
        ChannelSettings { name, min_level, accounts, phrase, person, after, quiet, language, templates }
    }

    fn email(&mut self, mut section: Section<'_>) -> Option<EmailSettings> {
        let channel = self.channel(&mut section, "email");
        let server = demanded(&mut section, "server", "the mail server, as in \"smtp.example.org\"");
        let server = server.filter(|server| {
            let fine = !server.contains(|c: char| c.is_control() || c.is_whitespace());
            if !fine {
                section.refuse("server", "must be a name or an address alone, without blanks: \"smtp.example.org\"");
            }
            fine
        });
        let tls = [("starttls", Tls::Starttls), ("implicit", Tls::Implicit), ("none", Tls::None)];
        let tls = section.choice("tls", Some(Tls::Starttls), &tls).unwrap_or_default();
        let usual_port = if tls == Tls::Implicit { 465 } else { 587 };
        let port = section.count("port", usual_port, 1..=65_535) as u16;
        let user = section.text("user", None);
        let password = secret(&mut section, "password_file", "password_credential");
        let from = demanded(&mut section, "from", "the sender, as in \"fillguard@example.org\"");
        let from = from.and_then(|from| mailbox(&from).map_err(|reason| section.refuse("from", reason)).ok());
        let to = section.list_or("to", None, mailbox);
        let ca_file = section.path_to("ca_file", None);
        let timeout = section.time("timeout", Duration::from_secs(30), SECOND..=Duration::from_secs(600));
        if !section.has("to") {
            section.refuse("to", "is missing: a list of those who get the messages, as in [\"me@example.org\"]");
        }
        let password_read = !matches!(password, Found::Unread);
        let password = match password {
            Found::Absent => Some(None),
            Found::Read(secret) => Some(Some(secret)),
            // Looked at from a shell, what systemd hands over is not there; the channel is all the same.
            Found::Unread => (section.gather.scope == Scope::Look).then_some(None),
        };
        let strict = section.gather.scope != Scope::Middle && password_read;
        let settings = (|| {
            let mut settings = EmailSettings::new(channel, &server?, from?, to?);
            (settings.port, settings.tls, settings.user, settings.password) = (port, tls, user, password?);
            (settings.ca_file, settings.timeout) = (ca_file, timeout);
            Some(settings)
        })();
        if let Some(settings) = settings.as_ref().filter(|_| strict) {
            told(&section, Mailer::new(settings.clone()).err());
        }
        section.close();
        settings
    }

    fn telegram(&mut self, mut section: Section<'_>) -> Option<TelegramSettings> {
        let channel = self.channel(&mut section, "telegram");
        let token = secret(&mut section, "token_file", "token_credential");
        let chat = section.ask("chat", None, |value| match (integer(value), text(value)) {
            (Some(number), _) => Ok(Chat::Number(number)),
            (None, Ok(name)) if name.starts_with('@') => Ok(Chat::Name(name.to_owned())),
            (None, Ok(name)) => name.parse().map(Chat::Number).map_err(|_| CHAT.to_owned()),
            (None, Err(_)) => Err(CHAT.to_owned()),
        });
        let base_url = section.address("base_url", BASE_URL, "https");
        let timeout = section.time("timeout", Duration::from_secs(20), SECOND..=Duration::from_secs(600));
        let users = section.list("users", |text| match text.parse::<i64>() {
            Ok(user) if user > 0 => Ok(user),
            Ok(_) | Err(_) => Err("must be a person's number, as @userinfobot tells it, in quotes".to_owned()),
        });
        if !section.has("chat") {
            section.refuse("chat", format!("is missing: it {CHAT}"));
        }
        let token_read = !matches!(token, Found::Unread);
        let token: Option<Secret> = match token {
            Found::Read(secret) => Some(secret),
            Found::Unread => (section.gather.scope == Scope::Look).then(|| Secret::new(String::new())),
            Found::Absent => {
                if section.gather.scope != Scope::Middle {
                    section.refuse("token_file", "is missing; name the file that holds the token from @BotFather");
                }
                None
            }
        };
        let settings = token.zip(chat).map(|(token, chat)| {
            let mut settings = TelegramSettings::new(channel, token, chat);
            (settings.base_url, settings.timeout, settings.users) = (base_url, timeout, users);
            settings
        });
        if let Some(settings) = settings.as_ref().filter(|_| token_read) {
            told(&section, Bot::new(settings.clone()).err());
        }
        section.close();
        settings
    }
}

impl Channels<'_> {
    fn webhook(&mut self, mut section: Section<'_>) -> Option<WebhookSettings> {
        let channel = self.channel(&mut section, "webhook");
        let url = secret(&mut section, "url_file", "url_credential");
        let forms = [
            ("fillguard", Form::Fillguard),
            ("slack", Form::Slack),
            ("discord", Form::Discord),
            ("ntfy", Form::Ntfy),
            ("alertmanager", Form::Alertmanager),
        ];
        let form = section.choice("form", Some(Form::default()), &forms).unwrap_or_default();
        let signing = secret(&mut section, "secret_file", "secret_credential");
        let timeout = section.time("timeout", Duration::from_secs(20), SECOND..=Duration::from_secs(600));
        let look = section.gather.scope == Scope::Look;
        let read = !matches!(url, Found::Unread);
        let url = match url {
            Found::Read(url) => one_line(&section, url, "url_file", "url_credential"),
            Found::Unread => look.then(|| Secret::new(String::new())),
            Found::Absent => {
                if section.gather.scope != Scope::Middle {
                    section.refuse("url_file", "is missing; name the file that holds the address to post to");
                }
                None
            }
        };
        let signing = match signing {
            Found::Absent => Some(None),
            Found::Read(secret) => Some(Some(secret)),
            Found::Unread => look.then_some(None),
        };
        let settings = (|| {
            let mut settings = WebhookSettings::new(channel, url?);
            (settings.form, settings.secret, settings.timeout) = (form, signing?, timeout);
            Some(settings)
        })();
        if let Some(settings) = settings.as_ref().filter(|_| read) {
            told(&section, Webhook::new(settings.clone()).err());
        }
        section.close();
        settings
    }
}

/// Reads `22:00-07:00` and whose clock it is.
fn quiet_hours(section: &mut Section<'_>) -> Option<QuietHours> {
    let quiet = section.ask("quiet", Some("\"\"".to_owned()), |value| match text(value)? {
        "" => Ok(None),
        text => {
            let hours = text.split_once('-').and_then(|(from, until)| Some((clock(from)?, clock(until)?)));
            match hours.filter(|(from, until)| from != until) {
                Some(hours) => Ok(Some(hours)),
                None => Err("must be two times of day, as in \"22:00-07:00\"".to_owned()),
            }
        }
    });
    let zone = time_zone(section);
    let (from, until) = quiet??;
    Some(QuietHours { from, until, zone: zone? })
}

/// Reads a time of day, as its minute.
pub(super) fn clock(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two = |text: &str| text.parse::<u16>().ok().filter(|_| (1..=2).contains(&text.len()));
    let (hour, minute) = (two(hour)?, two(minute)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// Reads by which clock times of day are meant.
pub(super) fn time_zone(section: &mut Section<'_>) -> Option<jiff::tz::TimeZone> {
    let zone = section.text("time_zone", Some("UTC")).unwrap_or_default();
    if zone == "UTC" {
        return Some(jiff::tz::TimeZone::UTC);
    }
    let known = jiff::tz::TimeZone::get(&zone);
    if known.is_err() {
        section.refuse(
            "time_zone",
            "is not a time zone this machine knows, such as \"Europe/Berlin\"; see that the package tzdata is installed",
        );
    }
    known.ok()
}

const CHAT: &str = "must be the chat's number (negative for groups), or the name of a public channel such as \"@desk\"";

fn demanded(section: &mut Section<'_>, key: &'static str, what: &str) -> Option<String> {
    let text = section.text(key, None).filter(|text| !text.trim().is_empty());
    if text.is_none() && (!section.has(key) || section.written(key).is_some()) {
        section.refuse(key, format!("is missing: {what}"));
    }
    text
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| "is not an address, such as \"Desk <desk@example.org>\"".to_owned())
}

/// Notes what the channel itself refuses, without the name that the line tells already.
fn told(section: &Section<'_>, error: Option<Error>) {
    if let Some(error) = error {
        section.refuse_all(match error {
            Error::Value { what, .. } => what,
            other @ (Error::Plain { .. } | Error::Certificate { .. } | Error::Tls(_) | Error::Compose(_)) => {
                other.to_string()
            }
        });
    }
}
