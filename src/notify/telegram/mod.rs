//! Messages to a Telegram chat over the Bot API (<https://core.telegram.org/bots/api>).
//!
//! The token is part of every address there, so errors lose their address before anybody sees them.

mod layout;

use std::fmt;
use std::time::Duration;

use reqwest::{Client, redirect};
use serde::Deserialize;
use serde_json::{Value, json};

pub use layout::layout;

use super::courier::{Carrier, Failure};
use super::wording::one_line;
use super::{ChannelSettings, Error, is_loopback, tls};
use crate::secret::Secret;
use crate::store::Queued;

/// Where Telegram answers.
pub const BASE_URL: &str = "https://api.telegram.org";
/// An answer is a few hundred bytes; more is not an answer.
const MOST_BYTES: usize = 256 * 1024;

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
}

impl TelegramSettings {
    /// Joins what has no default: the channel, the token and the chat.
    pub fn new(channel: ChannelSettings, token: Secret, chat: Chat) -> Self {
        TelegramSettings { channel, base_url: BASE_URL.to_owned(), token, chat, timeout: Duration::from_secs(20) }
    }
}

/// Sends messages to a chat.
pub struct Bot {
    settings: TelegramSettings,
    chat: Chat,
    client: Client,
}

impl Bot {
    /// Checks the settings; says nothing to Telegram yet.
    pub fn new(settings: TelegramSettings) -> Result<Self, Error> {
        let channel = || settings.channel.name.clone();
        let value = |what: &str| Error::Value { channel: channel(), what: what.to_owned() };
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
        let url = reqwest::Url::parse(&settings.base_url).map_err(|_| value("base_url is not an address"))?;
        let host = url.host_str().unwrap_or_default();
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(host) => {}
            "http" => return Err(Error::Plain { channel: channel(), server: host.to_owned() }),
            _ => return Err(value("base_url must start with https://")),
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls::client()?)
            // A redirect would carry the token to wherever it points.
            .redirect(redirect::Policy::none())
            .timeout(settings.timeout)
            .build()
            .map_err(|why| Error::Tls(why.without_url().to_string()))?;
        let chat = settings.chat.clone();
        Ok(Bot { settings, chat, client })
    }

    async fn tell(&mut self, queued: &Queued) -> Result<String, Failure> {
        let text = layout(&queued.message, &self.settings.channel.phrase, queued.uncertain);
        if let Some(sent) = &queued.previous {
            // An edit makes no sound, so what has become louder is told anew.
            if let (Ok(number), true) = (sent.receipt.parse::<i64>(), queued.message.level <= sent.level) {
                match self.call("editMessageText", &text, Some(number)).await {
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
        }
        let number = match self.call("sendMessage", &text, None).await {
            Err(Refusal::Said { code: 400, moved_to: Some(chat), .. }) => {
                tracing::warn!(channel = %self.settings.channel.name, chat, "the group became a supergroup; put its new number into the configuration");
                self.chat = Chat::Number(chat);
                self.call("sendMessage", &text, None).await?
            }
            outcome => outcome?,
        };
        Ok(number.to_string())
    }

    /// Calls the Bot API; returns the number of the message.
    async fn call(&self, method: &str, text: &str, edit: Option<i64>) -> Result<i64, Refusal> {
        let base = self.settings.base_url.trim_end_matches('/');
        let address = format!("{base}/bot{}/{method}", self.settings.token.expose());
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
        if let (Some(number), Value::Object(fields)) = (edit, &mut body) {
            fields.insert("message_id".to_owned(), json!(number));
        }
        let response = self.client.post(address).json(&body).send().await.map_err(|why| self.broken(why, true))?;
        let status = response.status().as_u16();
        let bytes = self.read(response).await?;
        let Ok(answer) = serde_json::from_slice::<Answer>(&bytes) else {
            // A proxy's page instead of Telegram's answer: after 2xx the message may have arrived.
            let why = format!("the answer (HTTP {status}) is not Telegram's");
            return Err(Refusal::Broken { why, uncertain: (200..300).contains(&status) });
        };
        match answer {
            Answer { ok: true, result, .. } => {
                Ok(result.as_ref().and_then(|result| result.get("message_id")?.as_i64()).unwrap_or(0))
            }
            Answer { error_code, description, parameters, .. } => {
                let parameters = parameters.unwrap_or_default();
                Err(Refusal::Said {
                    code: error_code.unwrap_or(status),
                    description: self.censored(&description.unwrap_or_default()),
                    after: parameters.retry_after,
                    moved_to: parameters.migrate_to_chat_id,
                })
            }
        }
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|why| self.broken(why, true))? {
            if bytes.len() + chunk.len() > MOST_BYTES {
                return Err(Refusal::Broken { why: "the answer is too long".to_owned(), uncertain: true });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Says what broke, without the address, down to the cause.
    fn broken(&self, why: reqwest::Error, uncertain: bool) -> Refusal {
        let uncertain = uncertain && !why.is_connect();
        let why = why.without_url();
        let mut text = why.to_string();
        let mut cause = std::error::Error::source(&why);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        Refusal::Broken { why: self.censored(&text), uncertain }
    }

    /// The last line of defence, should a proxy's words hold the token.
    fn censored(&self, text: &str) -> String {
        let token = self.settings.token.expose();
        let secret = token.split_once(':').map_or(token, |(_, secret)| secret);
        one_line(&text.replace(token, "<redacted>").replace(secret, "<redacted>"), 300)
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

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    result: Option<Value>,
    error_code: Option<u16>,
    description: Option<String>,
    parameters: Option<Parameters>,
}

#[derive(Default, Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

/// What came of a call that did not succeed.
enum Refusal {
    Said { code: u16, description: String, after: Option<u64>, moved_to: Option<i64> },
    Broken { why: String, uncertain: bool },
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Said { code: code @ (400 | 401 | 403 | 404), description, .. } => {
                Failure::Never { why: format!("Telegram refused ({code}): {description}") }
            }
            Refusal::Said { code, description, after, .. } => Failure::Down {
                why: format!("Telegram answered {code}: {description}"),
                // An hour at most, so that a nonsensical number does not silence the channel for good.
                after: after.map(|seconds| Duration::from_secs(seconds.min(3_600))),
                uncertain: false,
            },
            Refusal::Broken { why, uncertain } => Failure::Down { why, after: None, uncertain },
        }
    }
}
