//! Incidents told to people: each channel takes its rows from the outbox at its own pace, so one that is down
//! delays neither detection nor another channel.

pub mod backoff;
mod censor;
pub mod console;
mod courier;
pub mod email;
pub mod heartbeat;
mod http;
pub mod links;
pub mod samples;
pub mod telegram;
pub mod templates;
mod tls;
pub mod webhook;
pub(crate) mod wording;
pub mod words;

use std::io::Write;

pub use courier::{Carrier, Clock, Courier, Failure};
pub use tls::provider;

use std::time::Duration;

use crate::alert::Language;
use crate::domain::{AccountId, Level, Span};
use crate::store::{Burst, ChannelRoute, Handle, Queued, QuietHours};

/// Whom to tell, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Mailboxes.
    pub email: Vec<email::EmailSettings>,
    /// Telegram chats.
    pub telegram: Vec<telegram::TelegramSettings>,
    /// Addresses that take JSON.
    pub webhook: Vec<webhook::WebhookSettings>,
    /// Prints messages where the daemon runs, under the channel name `console`; off by default.
    pub console: bool,
    /// When a failed message is tried again.
    pub backoff: backoff::Settings,
    /// Messages a person gets one by one within `burst.window`; the last of them tells all that waits. 3 in a minute by
    /// default.
    pub burst: Burst,
    /// How often an open incident that nobody answered is told again; 4 h by default, never when absent.
    pub repeat: Option<Duration>,
    /// The language of what the channels say themselves.
    pub language: Language,
    /// Makes links to the answer page; set by the daemon, which knows the key.
    pub links: Option<links::Links>,
    /// Where to ping, so that somebody notices when the daemon is dead.
    pub heartbeat: Option<heartbeat::HeartbeatSettings>,
    /// When people get a line a day; never by default.
    pub daily: Option<heartbeat::Daily>,
    /// The phrase the user chose, for the answer page.
    pub phrase: String,
    /// The user's own words, where there are any; each channel has them too.
    pub templates: Option<templates::Templates>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            email: Vec::new(),
            telegram: Vec::new(),
            webhook: Vec::new(),
            console: false,
            backoff: backoff::Settings::default(),
            burst: Burst::default(),
            repeat: Some(Duration::from_secs(4 * 3_600)),
            language: Language::default(),
            links: None,
            heartbeat: None,
            daily: None,
            phrase: String::new(),
            templates: None,
        }
    }
}

/// What every channel has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSettings {
    /// Its name, unique among the channels; in logs and in the outbox.
    pub name: String,
    /// The quietest level it wants; `alert` by default.
    pub min_level: Level,
    /// The accounts it wants to hear of; all by default.
    pub accounts: Option<Vec<AccountId>>,
    /// A phrase the user chose, shown in every message so that a forged one is recognised; none by default.
    pub phrase: String,
    /// Who reads it; channels of one person share what a person gets at once. One nameless person by default.
    pub person: String,
    /// It is told of an incident only when nobody answered for this long; at once by default.
    pub after: Duration,
    /// When only `act` is told; never by default.
    pub quiet: Option<QuietHours>,
    /// The language of the words around what is told.
    pub language: Language,
    /// The user's own words; fillguard's where absent.
    pub templates: Option<templates::Templates>,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        ChannelSettings {
            name: String::new(),
            min_level: Level::Alert,
            accounts: None,
            phrase: String::new(),
            person: String::new(),
            after: Duration::ZERO,
            quiet: None,
            language: Language::default(),
            templates: None,
        }
    }
}

impl ChannelSettings {
    fn route(&self) -> ChannelRoute {
        ChannelRoute {
            name: self.name.clone(),
            min_level: self.min_level,
            accounts: self.accounts.clone(),
            after: Span::from(self.after),
            quiet: self.quiet.clone(),
            burst: None,
            edits: false,
        }
    }
}

/// Why a channel cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Passwords or alerts would travel readable by others.
    #[error("channel {channel}: {server} is not this machine, so tls = \"none\" or http is refused; use TLS")]
    Plain {
        /// The channel.
        channel: String,
        /// The server's name.
        server: String,
    },
    /// A value does not have the form it needs.
    #[error("channel {channel}: {what}")]
    Value {
        /// The channel.
        channel: String,
        /// What is wrong and what would be right.
        what: String,
    },
    /// The extra certificate file cannot be used.
    #[error("channel {channel}: cannot use the certificate file {path}: {why}")]
    Certificate {
        /// The channel.
        channel: String,
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        why: String,
    },
    /// TLS cannot be set up on this machine.
    #[error("TLS cannot be set up: {0}; install the ca-certificates package")]
    Tls(String),
    /// A message could not be put into the form the channel needs.
    #[error("the message cannot be composed: {0}")]
    Compose(String),
}

impl Settings {
    /// Returns what the store needs to know of the channels, in the order of [`Settings::couriers`].
    pub fn routes(&self) -> Vec<ChannelRoute> {
        // Of those told at once, every channel of a person has its part of what a person gets.
        let shares = |person: &str| {
            let told = self.people().filter(|channel| channel.person == person && channel.after.is_zero()).count();
            let part = u64::from(self.burst.most) / (told.max(1) as u64);
            Some(Burst { most: u32::try_from(part.max(1)).unwrap_or(1), ..self.burst })
        };
        let people = |channel: &ChannelSettings, edits: bool| ChannelRoute {
            burst: shares(&channel.person),
            edits,
            ..channel.route()
        };
        let email = self.email.iter().map(|settings| people(&settings.channel, false));
        let telegram = self.telegram.iter().map(|settings| people(&settings.channel, true));
        let console = self.console.then(|| {
            ChannelSettings { name: console::NAME.to_owned(), min_level: Level::Notice, ..Default::default() }.route()
        });
        let webhook = self.webhook.iter().map(|settings| match settings.form.is_for_people() {
            true => people(&settings.channel, false),
            // Software hears of each incident.
            false => settings.channel.route(),
        });
        email.chain(telegram).chain(webhook).chain(console).collect()
    }

    /// Channels that people carry with them.
    fn people(&self) -> impl Iterator<Item = &ChannelSettings> {
        let email = self.email.iter().map(|settings| &settings.channel);
        let webhook = self.webhook.iter().filter(|settings| settings.form.is_for_people());
        email
            .chain(self.telegram.iter().map(|settings| &settings.channel))
            .chain(webhook.map(|settings| &settings.channel))
    }

    /// Builds a courier for every channel; `screen` is where the console channel prints.
    pub fn couriers(
        &self,
        store: &Handle,
        clock: &Clock,
        screen: Box<dyn Write + Send>,
    ) -> Result<Vec<Courier<Channel>>, Error> {
        let mut carriers = Vec::new();
        for settings in &self.email {
            carriers.push((
                settings.channel.name.clone(),
                Channel::Email(Box::new(
                    email::Mailer::new(settings.clone())?.linking(self.links.clone()).picturing(store.clone()),
                )),
            ));
        }
        for settings in &self.telegram {
            let bot = telegram::Bot::new(settings.clone())?.answering(store.clone());
            carriers.push((settings.channel.name.clone(), Channel::Telegram(Box::new(bot))));
        }
        for settings in &self.webhook {
            let webhook = webhook::Webhook::new(settings.clone())?.knowing(store.clone());
            carriers.push((settings.channel.name.clone(), Channel::Webhook(Box::new(webhook))));
        }
        if self.console {
            carriers.push((console::NAME.to_owned(), Channel::Console(console::Screen::new(screen))));
        }
        let names: Vec<String> = carriers.iter().map(|(name, _)| name.clone()).collect();
        for (place, name) in names.iter().enumerate() {
            if name.is_empty() || names[..place].contains(name) {
                let what = "a channel needs a name that no other channel has".to_owned();
                return Err(Error::Value { channel: name.clone(), what });
            }
        }
        Ok(carriers
            .into_iter()
            .map(|(name, carrier)| {
                let others = names.iter().filter(|other| **other != name).cloned().collect();
                Courier::new(name, carrier, store.clone(), self.backoff.clone(), clock.clone())
                    .telling(others)
                    .speaking(self.language)
            })
            .collect())
    }
}

/// A channel of any kind.
#[derive(Debug)]
pub enum Channel {
    /// A mailbox.
    Email(Box<email::Mailer>),
    /// A Telegram chat.
    Telegram(Box<telegram::Bot>),
    /// An address that takes JSON.
    Webhook(Box<webhook::Webhook>),
    /// Where the daemon runs.
    Console(console::Screen),
}

impl Carrier for Channel {
    async fn carry(&mut self, queued: &Queued) -> Result<String, Failure> {
        match self {
            Channel::Email(mailer) => mailer.carry(queued).await,
            Channel::Telegram(bot) => bot.carry(queued).await,
            Channel::Webhook(webhook) => webhook.carry(queued).await,
            Channel::Console(screen) => screen.carry(queued).await,
        }
    }

    fn pace(&self) -> std::time::Duration {
        match self {
            Channel::Email(mailer) => mailer.pace(),
            Channel::Telegram(bot) => bot.pace(),
            Channel::Webhook(webhook) => webhook.pace(),
            Channel::Console(screen) => screen.pace(),
        }
    }

    async fn idle(&mut self) {
        match self {
            Channel::Email(mailer) => mailer.idle().await,
            Channel::Telegram(bot) => bot.idle().await,
            Channel::Webhook(webhook) => webhook.idle().await,
            Channel::Console(screen) => screen.idle().await,
        }
    }

    async fn leave(&mut self) {
        match self {
            Channel::Email(mailer) => mailer.leave().await,
            Channel::Telegram(bot) => bot.leave().await,
            Channel::Webhook(webhook) => webhook.leave().await,
            Channel::Console(screen) => screen.leave().await,
        }
    }
}

/// Returns the incident that a message is about, where templates ask for it; a store that is busy costs a template its
/// kind and rule, not the message.
async fn incident_of(
    settings: &ChannelSettings,
    store: Option<&Handle>,
    id: &crate::domain::IncidentId,
) -> Option<crate::domain::Incident> {
    let (store, id) = (store.filter(|_| settings.templates.is_some() && !id.as_str().contains('/'))?, id.clone());
    store.with(move |store| store.incident(&id)).await.ok().flatten()
}

/// Says whether a host name means this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
