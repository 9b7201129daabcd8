//! Messages as JSON to an address of the user's: to their own software, signed, or in the form a chat service takes.
//!
//! `X-Fillguard-Signature: v1=<hex>` is HMAC-SHA256 over `<X-Fillguard-Timestamp>.<body>`, so that a receiver can refuse what
//! is forged or played again. `Idempotency-Key` is the same for every attempt at one message.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use reqwest::Client;
use serde_json::{Value, json};

use super::censor::Censor;
use super::courier::{Carrier, Failure};
use super::templates::{self, About, Part};
use super::wording::{one_line, web_link};
use super::words::{Words, words};
use super::{ChannelSettings, Error, http, incident_of};
use crate::domain::{Incident, Level, Span, Timestamp};
use crate::runtime::clock;
use crate::secret::Secret;
use crate::store::{Handle, Queued};

/// What the receiver understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// All fields, for software of the user's.
    #[default]
    Fillguard,
    /// Slack's incoming webhooks (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
    Slack,
    /// Discord's webhooks (<https://discord.com/developers/docs/resources/webhook#execute-webhook>).
    Discord,
    /// ntfy's JSON (<https://docs.ntfy.sh/publish/#publish-as-json>); the topic is the last part of the address.
    Ntfy,
    /// Alertmanager's `/api/v2/alerts`.
    Alertmanager,
}

/// A webhook channel.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Name, level, accounts, phrase.
    pub channel: ChannelSettings,
    /// Where it goes. Plain http only on this machine.
    pub url: Secret,
    /// What the receiver understands.
    pub form: Form,
    /// What signs it; unsigned when absent.
    pub secret: Option<Secret>,
    /// How long one attempt may take; 20 s by default.
    pub timeout: Duration,
}

impl WebhookSettings {
    /// Joins what has no default: the channel and the address.
    pub fn new(channel: ChannelSettings, url: Secret) -> Self {
        WebhookSettings { channel, url, form: Form::default(), secret: None, timeout: Duration::from_secs(20) }
    }
}

impl Form {
    /// Says whether people read what is sent, so that a storm is told together.
    pub fn is_for_people(self) -> bool {
        match self {
            Form::Slack | Form::Discord | Form::Ntfy => true,
            Form::Fillguard | Form::Alertmanager => false,
        }
    }
}

/// Alertmanager takes an alert for over after this, unless it is told again.
const FIRING: Span = Span::from_secs(1_800);

/// Sends messages to an address.
pub struct Webhook {
    settings: WebhookSettings,
    client: Client,
    address: String,
    topic: String,
    words: &'static Words,
    /// Hides the address and the secret in what the receiver says.
    censor: Censor,
    /// Where incidents are, for templates.
    store: Option<Handle>,
}

impl Webhook {
    /// Checks the settings; says nothing to the receiver yet.
    pub fn new(settings: WebhookSettings) -> Result<Self, Error> {
        let name = &settings.channel.name;
        http::check(name, "the address", settings.url.expose())?;
        let mut address = settings.url.expose().to_owned();
        let mut topic = String::new();
        if settings.form == Form::Ntfy {
            let (root, last) = address.trim_end_matches('/').rsplit_once('/').unwrap_or_default();
            if last.is_empty() || root.ends_with('/') || !root.contains("://") {
                let what = "the address must end with the topic, as in https://ntfy.example.org/topic".to_owned();
                return Err(Error::Value { channel: name.clone(), what });
            }
            (address, topic) = (root.to_owned(), last.to_owned());
        }
        let client = http::client(settings.timeout)?;
        let words = words(settings.channel.language);
        let censor = Censor::default().address(settings.url.expose());
        let censor = settings.secret.iter().fold(censor, |censor, secret| censor.secret(secret.expose()));
        Ok(Webhook { settings, client, address, topic, words, censor, store: None })
    }

    /// Lets templates know the incident.
    pub fn knowing(mut self, store: Handle) -> Self {
        self.store = Some(store);
        self
    }

    /// Returns what is posted about a message.
    pub fn body(&self, queued: &Queued, incident: Option<&Incident>) -> Value {
        let channel = &self.settings.channel;
        let about = About { repeat: queued.uncertain, incident, ..About::new(self.words, &channel.phrase, queued.at) };
        let made = templates::dress(channel.templates.as_ref(), &queued.message, &about, &[Part::Webhook]);
        let queued = Queued { message: made.message, ..queued.clone() };
        let text = made.forms.into_iter().next().flatten().unwrap_or_else(|| self.text(&queued));
        self.formed(&queued, &text)
    }

    async fn post(&self, queued: &Queued) -> Result<(), Failure> {
        let incident = incident_of(&self.settings.channel, self.store.as_ref(), &queued.incident).await;
        let body = self.body(queued, incident.as_ref()).to_string();
        let mut request = self
            .client
            .post(&self.address)
            .header("content-type", "application/json")
            .header("user-agent", concat!("fillguard/", env!("CARGO_PKG_VERSION")))
            .header("idempotency-key", format!("{}-{}", self.settings.channel.name, queued.id));
        if let Some(secret) = &self.settings.secret {
            let timestamp = (clock::now().millis() / 1_000).to_string();
            let signature = sign(secret.expose(), &timestamp, &body);
            request = request
                .header("x-fillguard-timestamp", timestamp)
                .header("x-fillguard-signature", format!("v1={signature}"));
        }
        let response = request.body(body).send().await.map_err(|why| {
            let uncertain = !why.is_connect();
            Failure::Down { why: self.censor.cleaned(&http::said(why), 300), after: None, uncertain }
        })?;
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // An hour at most, so that a nonsensical number does not silence the channel for good.
        let after = after.map(|seconds: u64| Duration::from_secs(seconds.min(3_600)));
        if (200..300).contains(&status) {
            return Ok(());
        }
        let answer = http::read(response).await.ok().flatten().unwrap_or_default();
        let answer = self.censor.cleaned(&String::from_utf8_lossy(&answer), 120);
        let why = format!("the receiver answered {status}: {answer}");
        Err(match status {
            408 | 425 | 429 | 500..=599 => Failure::Down { why, after, uncertain: false },
            _ => Failure::Never { why },
        })
    }

    fn formed(&self, queued: &Queued, text: &str) -> Value {
        match self.settings.form {
            Form::Fillguard => self.whole(queued),
            // Slack reads <...> and & as markup.
            Form::Slack => {
                let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                json!({ "text": text })
            }
            // Without this a name such as @everyone in an order's id would ring everybody.
            Form::Discord => {
                json!({ "content": cut(text, 2_000), "allowed_mentions": { "parse": [] } })
            }
            Form::Ntfy => {
                let message = &queued.message;
                let mut body = json!({
                    "topic": self.topic,
                    "title": format!("{}: {}", self.words.level(message.level), one_line(&message.headline, 180)),
                    "message": cut(text, 3_500),
                    "priority": match message.level { Level::Notice => 2, Level::Alert => 4, Level::Act => 5 },
                    "tags": ["fillguard", message.level.as_str()],
                });
                if let (Some(link), Value::Object(fields)) = (web_link(&message.link), &mut body) {
                    fields.insert("click".to_owned(), json!(link));
                }
                body
            }
            Form::Alertmanager => {
                let message = &queued.message;
                let account = message.table.iter().find(|(label, _)| label == "Account" || label == "Konto");
                json!([{
                    "labels": {
                        "alertname": "fillguard",
                        "incident": one_line(message.incident.as_str(), 120),
                        "severity": message.level.as_str(),
                        "account": account.map(|(_, account)| one_line(account, 120)).unwrap_or_default(),
                    },
                    "annotations": {
                        "summary": one_line(&message.headline, 1_000),
                        "description": text,
                        "next_step": one_line(&message.next_step, 1_000),
                    },
                    "startsAt": queued.first_at.to_string(),
                    "endsAt": (queued.at.max(now_at_least(queued)) + FIRING).to_string(),
                    "generatorURL": message.link,
                }])
            }
        }
    }

    fn whole(&self, queued: &Queued) -> Value {
        let message = &queued.message;
        let table: Vec<Value> =
            message.table.iter().map(|(label, value)| json!({ "label": label, "value": value })).collect();
        json!({
            "fillguard": 1,
            "delivery": queued.id,
            "cause": queued.cause.as_str(),
            "repeat": queued.uncertain,
            "at": queued.at.nanos(),
            "incident": message.incident.as_str(),
            "level": message.level.as_str(),
            "headline": message.headline,
            "facts": message.facts,
            "next_step": message.next_step,
            "otherwise": message.otherwise,
            "link": message.link,
            "table": table,
            "phrase": self.settings.channel.phrase,
        })
    }

    fn text(&self, queued: &Queued) -> String {
        let (message, words) = (&queued.message, self.words);
        let mut lines =
            vec![format!("{}: {}", words.level(message.level), one_line(&message.headline, 300)), String::new()];
        lines.extend(message.facts.iter().take(8).map(|fact| format!("- {}", one_line(fact, 300))));
        lines.push(String::new());
        lines.push(format!("{}: {}", words.what_now, one_line(&message.next_step, 300)));
        if !message.link.is_empty() {
            lines.push(one_line(&message.link, 300));
        }
        if !message.otherwise.is_empty() {
            lines.push(format!("{}: {}", words.otherwise, one_line(&message.otherwise, 300)));
        }
        if queued.uncertain {
            lines.push(words.repeat.to_owned());
        }
        if !self.settings.channel.phrase.is_empty() {
            lines.push(format!("{}: {}", words.phrase, one_line(&self.settings.channel.phrase, 100)));
        }
        lines.push(format!("{} {}", words.incident, one_line(message.incident.as_str(), 120)));
        lines.join("\n")
    }
}

fn now_at_least(queued: &Queued) -> Timestamp {
    // A message that waited long would otherwise be over before it is known.
    queued.at.max(clock::now())
}

/// Returns the signature of a body, in hexadecimal digits.
pub fn sign(secret: &str, timestamp: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Cuts a text to at most `most` UTF-16 units, as chat services count.
fn cut(text: &str, most: usize) -> String {
    let mut kept = String::new();
    let mut units = 0;
    for c in text.chars() {
        units += c.len_utf16();
        if units > most.saturating_sub(1) {
            kept.push('…');
            return kept;
        }
        kept.push(c);
    }
    kept
}

impl Carrier for Webhook {
    async fn carry(&mut self, queued: &Queued) -> Result<String, Failure> {
        self.post(queued).await.map(|()| format!("post {}", queued.id))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_openssl_computes() {
        // printf '1772355600.{"a":1}' | openssl dgst -sha256 -hmac 'a secret'
        assert_eq!(
            sign("a secret", "1772355600", r#"{"a":1}"#),
            "e7eecff22696436d0847a480fe3ff0f335d72dc0bdb031a3ca4e51e595e2be22"
        );
    }
}
