//! The bot's other ear: long polling for buttons and commands of the people on the list.
//!
//! It begins without Telegram being reachable and goes on when it is. What was confirmed to Telegram is not handed out
//! again; should it be all the same, a code works once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::api::{Api, Refusal};
use super::talk::{Command, Note, Update};
use super::{Chat, TelegramSettings};
use crate::domain::{IncidentId, Message, Span, Timestamp};
use crate::notify::words::{Words, words};
use crate::notify::{ChannelSettings, Error};
use crate::runtime::backoff::{self, Backoff};
use crate::runtime::clock;
use crate::store::{self, Handle};

/// How the daemon goes, as the pipeline last said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Feeds that are up.
    pub seen: usize,
    /// Feeds that should be.
    pub accounts: usize,
    /// Fills since the memory began.
    pub fills: u64,
    /// Arrivals judged.
    pub arrivals: u64,
    /// Open incidents.
    pub open: usize,
    /// When the last arrival came.
    pub at: Timestamp,
}

/// Begins a drill for somebody; says why where it cannot.
pub type Drill = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// What is to become of the leak mode of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakSwitch {
    /// Which tag.
    pub tag: String,
    /// For how long it is to be on and why; it is to end where absent.
    pub on: Option<(Span, String)>,
    /// Who says so.
    pub by: String,
}

/// Switches a leak mode; says why where it cannot.
pub type Leak = dyn Fn(&LeakSwitch) -> Result<(), String> + Send + Sync;

/// What the bot may look at beside the store.
#[derive(Clone)]
pub struct Surroundings {
    /// How the daemon goes.
    pub pulse: watch::Receiver<Pulse>,
    /// Which leak modes are on, in words.
    pub leak_modes: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// The tags that accounts have.
    pub leak_tags: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Switches the leak mode of a tag.
    pub leak: Arc<Leak>,
    /// Begins a drill; says what was begun.
    pub drill: Arc<Drill>,
}

/// One bot's ear, for all its chats.
pub struct Listener {
    api: Api,
    mark: String,
    chats: Vec<Listening>,
    pub(super) store: Handle,
    pub(super) around: Surroundings,
    poll: Duration,
}

/// A chat that is listened to.
#[derive(Clone)]
pub(super) struct Listening {
    pub(super) channel: String,
    pub(super) chat: Chat,
    pub(super) users: Vec<i64>,
    pub(super) settings: ChannelSettings,
    pub(super) words: &'static Words,
}

/// How long Telegram may hold a call for news.
const POLL: Duration = Duration::from_secs(25);
/// A command older than this is not carried out: it was meant for then.
const STALE: Span = Span::from_secs(600);
/// Waits after a call that failed.
const WAITS: backoff::Settings =
    backoff::Settings { min: Duration::from_secs(1), max: Duration::from_secs(60), healthy: Duration::from_secs(60) };
/// The wait where only a person can mend it: a wrong token, a second program with the same one.
const MENDED_BY_HAND: Duration = Duration::from_secs(60);
/// The longest text sent (<https://core.telegram.org/bots/api#sendmessage>), in UTF-16 units.
const MOST: usize = 4_096;

impl Listener {
    /// Returns an ear for each bot that somebody may talk to; channels with the same token share one.
    pub fn all(settings: &[TelegramSettings], store: &Handle, around: &Surroundings) -> Result<Vec<Listener>, Error> {
        let mut bots: BTreeMap<String, Vec<&TelegramSettings>> = BTreeMap::new();
        for one in settings.iter().filter(|one| !one.allowed().is_empty()) {
            bots.entry(one.token.expose().to_owned()).or_default().push(one);
        }
        let mut listeners = Vec::new();
        for channels in bots.into_values() {
            let Some(first) = channels.first() else { continue };
            let poll = POLL.min(first.timeout);
            let number = first.token.expose().split(':').next().unwrap_or_default().to_owned();
            let chats = channels.iter().map(|one| Listening {
                channel: one.channel.name.clone(),
                chat: one.chat.clone(),
                users: one.allowed(),
                settings: one.channel.clone(),
                words: words(one.channel.language),
            });
            listeners.push(Listener {
                api: Api::new(&first.base_url, first.token.clone(), poll + first.timeout)?,
                mark: format!("telegram/{number}"),
                chats: chats.collect(),
                store: store.clone(),
                around: around.clone(),
                poll,
            });
        }
        Ok(listeners)
    }

    /// Returns the name of its first channel.
    pub fn name(&self) -> &str {
        self.chats.first().map_or("", |chat| &chat.channel)
    }

    /// Listens until `stop`. Fails only where the store does.
    pub async fn run(self, stop: CancellationToken) -> Result<(), store::Error> {
        let mark = self.mark.clone();
        let heard = self.store.with(move |store| store.mark(&mark)).await?;
        let mut offset: i64 = heard.and_then(|mark| mark.parse().ok()).unwrap_or(0);
        let mut waits = Backoff::new(WAITS);
        let mut deaf = false;
        while !stop.is_cancelled() {
            let ask = json!({
                "offset": offset,
                "timeout": self.poll.as_secs(),
                "allowed_updates": ["message", "callback_query"],
            });
            let heard = tokio::select! {
                () = stop.cancelled() => break,
                heard = self.api.call("getUpdates", &ask) => heard,
            };
            let wait = match heard {
                Ok(result) => {
                    if std::mem::take(&mut deaf) {
                        tracing::info!(channel = %self.name(), "Telegram is heard again");
                    }
                    waits.lasted(WAITS.healthy);
                    for value in result.as_array().into_iter().flatten() {
                        let Some(number) = value.get("update_id").and_then(Value::as_i64) else { continue };
                        // What cannot be read is passed over, or it would come back for ever.
                        if let Ok(update) = serde_json::from_value::<Update>(value.clone()) {
                            self.take(update).await?;
                        }
                        offset = offset.max(number + 1);
                    }
                    let (mark, value) = (self.mark.clone(), offset.to_string());
                    self.store.with(move |store| store.set_mark(&mark, &value)).await?;
                    continue;
                }
                Err(Refusal::Said { code: code @ (401 | 404 | 409), description, .. }) => {
                    if !std::mem::replace(&mut deaf, true) {
                        tracing::error!(
                            channel = %self.name(), code, %description,
                            "buttons and commands are not heard; 401 is a wrong token, 409 another program with the same bot"
                        );
                    }
                    MENDED_BY_HAND
                }
                Err(Refusal::Said { after, description, .. }) => {
                    self.note_deaf(&mut deaf, &description);
                    let asked = Duration::from_secs(after.unwrap_or(0).min(3_600));
                    waits.draw().max(asked)
                }
                Err(Refusal::Broken { why, .. }) => {
                    self.note_deaf(&mut deaf, &why);
                    waits.draw()
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(wait) => {}
            }
        }
        Ok(())
    }

    fn note_deaf(&self, deaf: &mut bool, why: &str) {
        if !std::mem::replace(deaf, true) {
            tracing::warn!(channel = %self.name(), %why, "Telegram cannot be heard now; it is tried again");
        }
    }

    async fn take(&self, update: Update) -> Result<(), store::Error> {
        tracing::debug!(update = update.update_id, "an update");
        if let Some(press) = update.callback_query {
            return self.press(press).await;
        }
        let Some(note) = update.message else { return Ok(()) };
        let (Some(user), Some(text)) = (&note.from, &note.text) else { return Ok(()) };
        let Some(command) = Command::read(text) else { return Ok(()) };
        let Some(chat) = self.chat(&note) else { return Ok(()) };
        if !chat.users.contains(&user.id) {
            tracing::warn!(channel = %chat.channel, user = user.id, "a command of somebody who is not on the list was refused");
            self.say(&note, chat.words.not_listed, None).await;
            return Ok(());
        }
        let sent = Timestamp::from_millis(note.date.saturating_mul(1_000));
        if note.date > 0 && clock::now().since(sent) > STALE {
            tracing::info!(channel = %chat.channel, "a command that came late was not carried out");
            return Ok(());
        }
        let (text, keyboard) = self.command(command, chat, user).await?;
        self.say(&note, &text, keyboard).await;
        Ok(())
    }

    /// Returns the chat a message came from, where it is one of ours.
    pub(super) fn chat(&self, note: &Note) -> Option<&Listening> {
        self.chats.iter().find(|one| match &one.chat {
            Chat::Number(number) => *number == note.chat.id,
            Chat::Name(name) => note.chat.username.as_deref() == name.strip_prefix('@'),
        })
    }

    pub(super) async fn set_keyboard(&self, note: &Note, keyboard: &Value) {
        let body = json!({ "chat_id": note.chat.id, "message_id": note.message_id, "reply_markup": keyboard });
        self.quietly("editMessageReplyMarkup", &body).await;
    }

    /// Ends the button's waiting; with a text, says it.
    pub(super) async fn hint(&self, id: &str, text: &str, loud: bool) {
        let text: String = text.chars().take(200).collect();
        self.quietly("answerCallbackQuery", &json!({ "callback_query_id": id, "text": text, "show_alert": loud }))
            .await;
    }

    pub(super) async fn say(&self, to: &Note, text: &str, keyboard: Option<Value>) {
        let mut body = json!({
            "chat_id": to.chat.id,
            "text": within(text, MOST),
            "reply_parameters": { "message_id": to.message_id, "allow_sending_without_reply": true },
            "parse_mode": "HTML",
            "link_preview_options": { "is_disabled": true },
        });
        if let (Some(keyboard), Value::Object(fields)) = (keyboard, &mut body) {
            fields.insert("reply_markup".to_owned(), keyboard);
        }
        self.quietly("sendMessage", &body).await;
        // One message a second to a chat is let through.
        sleep(Duration::from_secs(1)).await;
    }

    /// Calls where a failure changes nothing that was decided: who sees no reply asks again.
    pub(super) async fn quietly(&self, method: &str, body: &Value) {
        for _ in 0..3 {
            let wait = match self.api.call(method, body).await {
                Ok(_) => return,
                Err(Refusal::Said { code: 429, after, .. }) => Duration::from_secs(after.unwrap_or(1).min(60)),
                Err(Refusal::Broken { uncertain: false, .. }) => Duration::from_secs(1),
                Err(Refusal::Said { description, .. }) => {
                    tracing::debug!(channel = %self.name(), method, %description, "Telegram refused a reply");
                    return;
                }
                Err(Refusal::Broken { why, .. }) => {
                    tracing::debug!(channel = %self.name(), method, %why, "a reply may not have arrived");
                    return;
                }
            };
            sleep(wait).await;
        }
    }
}

/// Returns what people were last told of an incident, and when it came about.
pub(super) fn last_told(store: &store::Store, id: &IncidentId) -> Result<Option<(Timestamp, Message)>, store::Error> {
    Ok(store.history(id)?.into_iter().rev().find_map(|step| Some((step.at, step.message?))))
}

/// Cuts a text at a line's end so that it takes at most `most` UTF-16 units.
fn within(text: &str, most: usize) -> String {
    let mut kept = String::new();
    let mut used = 0;
    for line in text.lines() {
        let units = line.encode_utf16().count() + 1;
        if used + units > most - 2 {
            kept.push('…');
            break;
        }
        used += units;
        kept.push_str(line);
        kept.push('\n');
    }
    kept.truncate(kept.trim_end().len());
    kept
}
