//! Messages to a Telegram chat over the Bot API (<https://core.telegram.org/bots/api>).
//!
//! The token is part of every address there, so errors lose their address before anybody sees them.

mod api;
mod buttons;
mod commands;
mod layout;
mod listen;
mod press;
mod replies;
mod take;
mod talk;

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

pub use layout::layout;
pub use listen::{LeakSwitch, Listener, Pulse, Surroundings};

use super::courier::{Carrier, Failure};
use super::templates::{self, About, Part};
use super::words::{Words, words};
use super::{ChannelSettings, Error, http, incident_of};
use crate::domain::{Incident, Message, Timestamp};
use crate::runtime::clock;
use crate::secret::Secret;
use crate::store::{self, Answer, Code, Handle, Queued};
use api::{Api, Refusal};

/// Where Telegram answers.
pub const BASE_URL: &str = "https://api.telegram.org";
/// Which chat: its number, or the public name of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chat {
    /// A number, negative for groups.
    Number(i64),
    /// A name that starts with `@`.
    Name(String),
}

/// A chat channel.
#[derive(Clone, Debug)]
pub struct TelegramSettings {
    /// Name, level, accounts, phrase.
    pub channel: ChannelSettings,
    /// Where the Bot API is; [`BASE_URL`] by default. Plain http only on this machine.
    pub base_url: String,
    /// The bot's token, `123456:ABC...`.
    pub token: Secret,
    /// Which chat.
    pub chat: Chat,
    /// How long one call may take; 20 s by default.
    pub timeout: Duration,
    /// The numbers of the people who may answer and command; in a group nobody by default, else who the chat is with.
    pub users: Vec<i64>,
}

impl TelegramSettings {
    /// Joins what has no default: the channel, the token and the chat.
    pub fn new(channel: ChannelSettings, token: Secret, chat: Chat) -> Self {
        TelegramSettings {
            channel,
            base_url: BASE_URL.to_owned(),
            token,
            chat,
            timeout: Duration::from_secs(20),
            users: Vec::new(),
        }
    }

    /// Returns who may answer and command.
    pub fn allowed(&self) -> Vec<i64> {
        match self.chat {
            Chat::Number(number) if number > 0 && self.users.is_empty() => vec![number],
            Chat::Number(_) | Chat::Name(_) => self.users.clone(),
        }
    }
}

/// Sends messages to a chat.
pub struct Bot {
    settings: TelegramSettings,
    chat: Chat,
    api: Api,
    words: &'static Words,
    /// Where answers are kept; without it messages have no buttons.
    desk: Option<Handle>,
    /// Where incidents are, for templates.
    store: Option<Handle>,
}

/// What a message is told with, beside itself.
pub(super) struct Facts {
    at: Timestamp,
    repeat: bool,
    answered: Option<Answer>,
    incident: Option<Incident>,
}

/// Returns the text of a message as a chat gets it, in Telegram's HTML.
pub fn shown(queued: &Queued, channel: &ChannelSettings, incident: Option<&Incident>) -> String {
    let facts = Facts { at: queued.at, repeat: queued.uncertain, answered: None, incident: incident.cloned() };
    text(&queued.message, channel, &facts)
}

/// Returns a message's text, in the user's words where there are any.
pub(super) fn text(message: &Message, channel: &ChannelSettings, facts: &Facts) -> String {
    let words = words(channel.language);
    let about = About {
        repeat: facts.repeat,
        answered: facts.answered.as_ref().map(|answer| words.answered(answer)),
        incident: facts.incident.as_ref(),
        ..About::new(words, &channel.phrase, facts.at)
    };
    let made = templates::dress(channel.templates.as_ref(), message, &about, &[Part::Telegram]);
    let own = made.forms.into_iter().next().flatten();
    own.unwrap_or_else(|| layout(&made.message, &channel.phrase, facts.repeat, facts.answered.as_ref(), words))
}

impl Bot {
    /// Checks the settings; says nothing to Telegram yet.
    pub fn new(settings: TelegramSettings) -> Result<Self, Error> {
        let name = &settings.channel.name;
        let value = |what: &str| Error::Value { channel: name.clone(), what: what.to_owned() };
        let (number, secret) = settings.token.expose().split_once(':').unwrap_or_default();
        let fine = !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit())
            && !secret.is_empty()
            && secret.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if !fine {
            return Err(value("the token is not of the form 123456:ABC-def; copy it again from @BotFather"));
        }
        match &settings.chat {
            Chat::Number(0) => return Err(value("the chat's number is 0")),
            Chat::Name(name) if !name.starts_with('@') => {
                return Err(value("a chat is a number, or a name that starts with @"));
            }
            Chat::Number(_) | Chat::Name(_) => {}
        }
        if settings.users.iter().any(|user| *user <= 0) {
            return Err(value("users are the numbers of people, which are above zero"));
        }
        http::check(name, "base_url", &settings.base_url)?;
        let api = Api::new(&settings.base_url, settings.token.clone(), settings.timeout)?;
        let (chat, words) = (settings.chat.clone(), words(settings.channel.language));
        Ok(Bot { settings, chat, api, words, desk: None, store: None })
    }

    /// Puts buttons under what can be answered; answers are kept in `desk`.
    pub fn answering(mut self, desk: Handle) -> Self {
        self.store = Some(desk.clone());
        self.desk = (!self.settings.allowed().is_empty()).then_some(desk);
        self
    }

    async fn tell(&mut self, queued: &Queued) -> Result<String, Failure> {
        let (answered, codes) = self.buttons(queued).await.map_err(|why| Failure::Down {
            why: format!("the store cannot be asked: {why}"),
            after: None,
            uncertain: false,
        })?;
        let incident = incident_of(&self.settings.channel, self.store.as_ref(), &queued.incident).await;
        let facts = Facts { at: queued.at, repeat: queued.uncertain, answered, incident };
        let text = text(&queued.message, &self.settings.channel, &facts);
        let keyboard = codes.map(|codes| buttons::keyboard(&codes, self.words));
        if let Some(sent) = queued.previous.as_ref().filter(|_| queued.is_edit())
            && let Ok(number) = sent.receipt.parse::<i64>()
        {
            // An edit makes no sound, so what has become louder is told anew.
            match self.call("editMessageText", &text, Some(number), keyboard.as_ref()).await {
                Ok(_) => return Ok(sent.receipt.clone()),
                Err(Refusal::Said { code: 400, description, .. })
                    if description.contains("message is not modified") =>
                {
                    return Ok(sent.receipt.clone());
                }
                // Too old to edit, or deleted by somebody: tell it anew.
                Err(Refusal::Said { code: 400, .. }) => {}
                Err(other) => return Err(other.into()),
            }
        }
        let number = match self.call("sendMessage", &text, None, keyboard.as_ref()).await {
            Err(Refusal::Said { code: 400, moved_to: Some(chat), .. }) => {
                tracing::warn!(channel = %self.settings.channel.name, chat, "the group became a supergroup; put its new number into the configuration");
                self.chat = Chat::Number(chat);
                self.call("sendMessage", &text, None, keyboard.as_ref()).await?
            }
            outcome => outcome?,
        };
        Ok(number.to_string())
    }

    /// Returns what was answered last, and codes for the buttons where there are any.
    async fn buttons(&self, queued: &Queued) -> Result<(Option<Answer>, Option<Vec<Code>>), store::Error> {
        let Some(desk) = &self.desk else { return Ok((None, None)) };
        if !queued.is_answerable() {
            return Ok((None, None));
        }
        let (incident, channel) = (queued.incident.clone(), self.settings.channel.name.clone());
        let now = clock::now();
        let routes = desk.routes().to_vec();
        let offered = desk.with(move |store| take::offer(store, &routes, &incident, &channel, now)).await?;
        Ok((offered.answered, Some(offered.codes)))
    }

    /// Calls the Bot API; returns the number of the message.
    async fn call(
        &self,
        method: &str,
        text: &str,
        edit: Option<i64>,
        keyboard: Option<&Value>,
    ) -> Result<i64, Refusal> {
        let chat = match &self.chat {
            Chat::Number(number) => json!(number),
            Chat::Name(name) => json!(name),
        };
        let mut body = json!({
            "chat_id": chat,
            "text": text,
            "parse_mode": "HTML",
            "link_preview_options": { "is_disabled": true },
        });
        if let Value::Object(fields) = &mut body {
            fields.extend(edit.map(|number| ("message_id".to_owned(), json!(number))));
            fields.extend(keyboard.map(|keyboard| ("reply_markup".to_owned(), keyboard.clone())));
        }
        let result = self.api.call(method, &body).await?;
        Ok(result.get("message_id").and_then(Value::as_i64).unwrap_or(0))
    }
}

impl Carrier for Bot {
    async fn carry(&mut self, queued: &Queued) -> Result<String, Failure> {
        self.tell(queued).await
    }

    /// About one message a second to a person and twenty a minute to a group are let through.
    fn pace(&self) -> Duration {
        match self.chat {
            Chat::Number(0..) => Duration::from_secs(1),
            Chat::Number(_) | Chat::Name(_) => Duration::from_secs(3),
        }
    }
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bot").field("settings", &self.settings).finish_non_exhaustive()
    }
}
