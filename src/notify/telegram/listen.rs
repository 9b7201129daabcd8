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
use super::buttons::{self, Deed};
use super::take::{Offer, offer, person, take};
use super::talk::{Command, Note, Press, Update, User};
use super::{Chat, Facts, TelegramSettings};
use crate::domain::{IncidentId, Level, Message, Span, Timestamp, Venue};
use crate::notify::wording::{escape, one_line};
use crate::notify::words::{Words, words};
use crate::notify::{ChannelSettings, Error, incident_of};
use crate::runtime::backoff::{self, Backoff};
use crate::runtime::clock;
use crate::store::{self, Answer, Answered, Approval, Filter, Handle, Verdict};

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
    store: Handle,
    around: Surroundings,
    poll: Duration,
}

/// A chat that is listened to.
#[derive(Clone)]
struct Listening {
    channel: String,
    chat: Chat,
    users: Vec<i64>,
    settings: ChannelSettings,
    words: &'static Words,
}

/// How long Telegram may hold a call for news.
const POLL: Duration = Duration::from_secs(25);
/// A command older than this is not carried out: it was meant for then.
const STALE: Span = Span::from_secs(600);
/// After "later" it is asked again.
const LATER: Span = Span::from_secs(3_600);
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
    fn chat(&self, note: &Note) -> Option<&Listening> {
        self.chats.iter().find(|one| match &one.chat {
            Chat::Number(number) => *number == note.chat.id,
            Chat::Name(name) => note.chat.username.as_deref() == name.strip_prefix('@'),
        })
    }

    async fn press(&self, press: Press) -> Result<(), store::Error> {
        let Press { id, from, message: Some(note), data: Some(code) } = press else { return Ok(()) };
        let Some(chat) = self.chat(&note) else { return Ok(()) };
        if !chat.users.contains(&from.id) {
            tracing::warn!(channel = %chat.channel, user = from.id, "a button pressed by somebody who is not on the list was refused");
            self.hint(&id, chat.words.not_listed, true).await;
            return Ok(());
        }
        let now = clock::now();
        let known = {
            let code = code.clone();
            self.store.with(move |store| store.code(&code)).await?
        };
        let known = known.filter(|known| known.channel == chat.channel && known.expires > now);
        let Some((deed, known)) = known.and_then(|known| Some((Deed::from_word(&known.deed)?, known))) else {
            self.hint(&id, chat.words.ended, true).await;
            return Ok(());
        };
        if known.user.is_some_and(|user| user != from.id) {
            self.hint(&id, chat.words.not_yours, true).await;
            return Ok(());
        }
        match deed {
            Deed::Ask(_) | Deed::AskTake => {
                let second = if let Deed::Ask(verdict) = deed { Deed::Answer(verdict) } else { Deed::Take };
                let steps = [second, Deed::Back];
                let codes =
                    buttons::codes(&steps, &known.incident, &chat.channel, Some(from.id), now + buttons::SECOND_STEP);
                let keyboard = buttons::keyboard(&codes, chat.words);
                self.store
                    .with(move |store| {
                        store.use_code(&code)?;
                        store.keep_codes(&codes, now)
                    })
                    .await?;
                self.set_keyboard(&note, &keyboard).await;
                self.hint(&id, "", false).await;
            }
            Deed::Back => {
                let (incident, channel) = (known.incident.clone(), chat.channel.clone());
                let routes = self.store.routes().to_vec();
                let offer = move |store: &mut store::Store| {
                    store.use_code(&code)?;
                    // What was not pressed is called off with it.
                    store.withdraw_codes(&incident, from.id, &Deed::Take.word())?;
                    offer(store, &routes, &incident, &channel, now)
                };
                let Offer { codes, .. } = self.store.with(offer).await?;
                self.set_keyboard(&note, &buttons::keyboard(&codes, chat.words)).await;
                self.hint(&id, "", false).await;
            }
            Deed::Take => {
                let (incident, by) = (known.incident.clone(), person(from.id, &from.name()).into());
                let approval =
                    Approval { id: 0, incident, yes: true, by, via: chat.channel.as_str().into(), at: now, code };
                let (routes, words) = (self.store.routes().to_vec(), chat.words);
                let (kept, said) = self.store.with(move |store| take(store, &routes, &approval, words)).await?;
                self.hint(&id, said, true).await;
                if kept {
                    self.set_keyboard(&note, &json!({ "inline_keyboard": [] })).await;
                }
            }
            Deed::Answer(verdict) => {
                let answer = Answer {
                    id: 0,
                    incident: known.incident.clone(),
                    verdict,
                    by: from.name().into(),
                    via: chat.channel.as_str().into(),
                    at: now,
                    until: (verdict == Verdict::Later).then(|| now + LATER),
                    code: Some(code.clone()),
                };
                let kept = self.store.answer(answer).await?;
                if verdict == Verdict::Mine && matches!(kept, Answered::Kept(_)) {
                    // Whose own orders they were does not want the key taken.
                    let (incident, by) = (known.incident.clone(), person(from.id, &from.name()).into());
                    let (via, code) = (chat.channel.as_str().into(), format!("answer/{code}"));
                    let no = Approval { id: 0, incident, yes: false, by, via, at: now, code };
                    self.store.with(move |store| store.decline(&no)).await?;
                }
                match kept {
                    Answered::Kept(_) => self.hint(&id, chat.words.thanks(verdict), verdict == Verdict::NotMine).await,
                    Answered::Used(_) | Answered::Unknown => self.hint(&id, chat.words.ended, true).await,
                }
                self.store.with(move |store| store.use_code(&code)).await?;
                self.show(&note, &known.incident, chat).await?;
            }
            Deed::Silence { account, seconds, why } => {
                let by = from.name();
                let done = match account.parse() {
                    Ok(account) => {
                        let until = now + Span::from_secs(seconds);
                        self.store
                            .with(move |store| {
                                if store.use_code(&code)? {
                                    store.silence(&account, &by, &why, now, until)?;
                                }
                                Ok(true)
                            })
                            .await?
                    }
                    Err(_) => false,
                };
                self.hint(&id, if done { "OK" } else { chat.words.ended }, false).await;
                self.set_keyboard(&note, &json!({ "inline_keyboard": [] })).await;
            }
            Deed::Leak { tag, on } => {
                if !self.store.with(move |store| store.use_code(&code)).await? {
                    self.hint(&id, chat.words.ended, true).await;
                    return Ok(());
                }
                let asked = LeakSwitch {
                    tag,
                    on: on.map(|(seconds, why)| (Span::from_secs(seconds), why)),
                    by: one_line(&from.name(), 60),
                };
                let switched = (self.around.leak)(&asked);
                self.hint(&id, if switched.is_ok() { "OK" } else { chat.words.ended }, switched.is_err()).await;
                self.set_keyboard(&note, &json!({ "inline_keyboard": [] })).await;
                // Everybody in the chat sees what is on now, and who switched it.
                let said = switched.err().map_or_else(|| self.leak_modes(), |why| escape(&one_line(&why, 300)));
                self.say(&note, &said, None).await;
            }
        }
        Ok(())
    }

    /// Shows an incident's message as it stands after an answer.
    async fn show(&self, note: &Note, incident: &IncidentId, chat: &Listening) -> Result<(), store::Error> {
        let (incident, channel, now) = (incident.clone(), chat.channel.clone(), clock::now());
        let routes = self.store.routes().to_vec();
        let (message, Offer { answered, codes }) = self
            .store
            .with(move |store| {
                let message = last_told(store, &incident)?;
                Ok((message, offer(store, &routes, &incident, &channel, now)?))
            })
            .await?;
        let Some((at, message)) = message else { return Ok(()) };
        let incident = incident_of(&chat.settings, Some(&self.store), &message.incident).await;
        let text = super::text(&message, &chat.settings, &Facts { at, repeat: false, answered, incident });
        let body = json!({
            "chat_id": note.chat.id,
            "message_id": note.message_id,
            "text": text,
            "parse_mode": "HTML",
            "link_preview_options": { "is_disabled": true },
            "reply_markup": buttons::keyboard(&codes, chat.words),
        });
        self.quietly("editMessageText", &body).await;
        Ok(())
    }

    async fn set_keyboard(&self, note: &Note, keyboard: &Value) {
        let body = json!({ "chat_id": note.chat.id, "message_id": note.message_id, "reply_markup": keyboard });
        self.quietly("editMessageReplyMarkup", &body).await;
    }

    /// Ends the button's waiting; with a text, says it.
    async fn hint(&self, id: &str, text: &str, loud: bool) {
        let text: String = text.chars().take(200).collect();
        self.quietly("answerCallbackQuery", &json!({ "callback_query_id": id, "text": text, "show_alert": loud }))
            .await;
    }

    async fn say(&self, to: &Note, text: &str, keyboard: Option<Value>) {
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
    async fn quietly(&self, method: &str, body: &Value) {
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

    async fn command(
        &self,
        command: Command,
        chat: &Listening,
        user: &User,
    ) -> Result<(String, Option<Value>), store::Error> {
        let now = clock::now();
        let text = match command {
            Command::Help => HELP.to_owned(),
            Command::Wrong(what) => escape(what),
            Command::Status => self.status(now).await?,
            Command::Incidents => self.incidents(now).await?,
            Command::Incident(name) => {
                let (id, channel) = (IncidentId::known(&name), chat.channel.clone());
                let routes = self.store.routes().to_vec();
                let found = self
                    .store
                    .with(move |store| {
                        Ok(match last_told(store, &id)? {
                            Some(message) => Some((message, offer(store, &routes, &id, &channel, now)?)),
                            None => None,
                        })
                    })
                    .await?;
                let Some(((at, message), Offer { answered, codes })) = found else {
                    return Ok((format!("There is no incident {}.", escape(&one_line(&name, 80))), None));
                };
                let incident = incident_of(&chat.settings, Some(&self.store), &message.incident).await;
                let text = super::text(&message, &chat.settings, &Facts { at, repeat: false, answered, incident });
                return Ok((text, Some(buttons::keyboard(&codes, chat.words))));
            }
            Command::Silence { account, time, why } => {
                let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
                let deed = Deed::Silence { account: account.to_string(), seconds, why: why.clone() };
                let none = IncidentId::known("silence/");
                let codes = buttons::codes(&[deed], &none, &chat.channel, Some(user.id), now + buttons::SECOND_STEP);
                let keyboard = buttons::keyboard(&codes, chat.words);
                self.store.with(move |store| store.keep_codes(&codes, now)).await?;
                let until = now + Span::from_secs(seconds);
                let text = format!(
                    "Alerts about {} are to be silent until {until}: {}. Level act is told all the same.",
                    escape(&account.to_string()),
                    escape(&one_line(&why, 200)),
                );
                return Ok((text, Some(keyboard)));
            }
            Command::Unsilence(account) => {
                let ended = {
                    let account = account.clone();
                    self.store.with(move |store| store.end_silences(&account, now)).await?
                };
                format!("{ended} silences of {} ended.", escape(&account.to_string()))
            }
            Command::Silences => {
                let silences = self.store.with(move |store| store.silences(now)).await?;
                let line = |one: &store::Silence| {
                    let (by, why) = (escape(&one_line(&one.by, 60)), escape(&one_line(&one.why, 200)));
                    format!("{} until {}, by {by}: {why} ({} swallowed)", one.account, one.until, one.swallowed)
                };
                let lines: Vec<String> = silences.iter().map(line).collect();
                if lines.is_empty() { "No account is silent.".to_owned() } else { lines.join("\n") }
            }
            Command::LeakMode => self.leak_modes(),
            Command::SwitchLeak { tag, on } => {
                let tags = (self.around.leak_tags)();
                // What ends may name a tag that no account has any more.
                if on.is_some() && !tags.contains(&tag) {
                    let tags = if tags.is_empty() { "none".to_owned() } else { tags.join(", ") };
                    let said = format!("No configured account has the tag {tag}; the tags are: {tags}");
                    return Ok((escape(&one_line(&said, 1_000)), None));
                }
                let shown = escape(&one_line(&tag, 80));
                let text = match &on {
                    Some((time, why)) => format!(
                        "Leak mode is to be on for the keys tagged {shown} until {}: {}. Less evidence is then enough to \
                         tell of them. Nothing is silenced, and no key is taken away by it.",
                        now + Span::from(*time),
                        escape(&one_line(why, 200)),
                    ),
                    None => format!("The leak mode of the keys tagged {shown} is to end."),
                };
                let on = on.map(|(time, why)| (i64::try_from(time.as_secs()).unwrap_or(i64::MAX), why));
                let none = IncidentId::known("leakmode/");
                let deed = Deed::Leak { tag, on };
                let codes = buttons::codes(&[deed], &none, &chat.channel, Some(user.id), now + buttons::SECOND_STEP);
                let keyboard = buttons::keyboard(&codes, chat.words);
                self.store.with(move |store| store.keep_codes(&codes, now)).await?;
                return Ok((text, Some(keyboard)));
            }
            Command::Panic => panic_page(),
            Command::Drill => match (self.around.drill)(&user.name()) {
                Ok(()) => {
                    "A drill begins: a message marked DRILL follows on every channel. It touches no exchange; press \
                           a button under it to end it."
                        .to_owned()
                }
                Err(why) => escape(&why),
            },
        };
        Ok((text, None))
    }

    /// Says which leak modes are on.
    fn leak_modes(&self) -> String {
        let modes = (self.around.leak_modes)();
        let modes: Vec<String> = modes.iter().map(|mode| escape(&one_line(mode, 400))).collect();
        if modes.is_empty() { "No leak mode is on.".to_owned() } else { modes.join("\n") }
    }

    async fn status(&self, now: Timestamp) -> Result<String, store::Error> {
        let pulse = self.around.pulse.borrow().clone();
        let (backlog, open) = self
            .store
            .with(move |store| {
                let filter =
                    Filter { open: Some(true), min_level: Some(Level::Alert), limit: 1_000, ..Filter::default() };
                Ok((store.backlog()?, store.incidents(&filter)?.len()))
            })
            .await?;
        let age = now.since(pulse.at).nanos().max(0) / 1_000_000_000;
        let mut lines = vec![
            format!("<b>{} of {} feeds are up</b>, {} fills seen", pulse.seen, pulse.accounts, pulse.fills),
            format!("{open} open incidents of level alert or act"),
            format!("The last arrival was judged {age} s ago"),
        ];
        for channel in backlog {
            let why = channel.why.map(|why| format!(": {}", escape(&one_line(&why, 120)))).unwrap_or_default();
            lines.push(format!(
                "{}: {} sent, {} waiting, {} refused{why}",
                escape(&channel.channel),
                channel.sent,
                channel.waiting,
                channel.given_up
            ));
        }
        Ok(lines.join("\n"))
    }

    async fn incidents(&self, now: Timestamp) -> Result<String, store::Error> {
        let since = Some(now - Span::from_secs(7 * 86_400));
        let filter = Filter { min_level: Some(Level::Alert), since, limit: 15, ..Filter::default() };
        let found = self
            .store
            .with(move |store| {
                let mut lines = Vec::new();
                for incident in store.incidents(&filter)? {
                    let answered = store.answers(&incident.id)?.pop();
                    let state = match (&incident.closed, answered) {
                        (_, Some(answer)) => format!("{} by {}", answer.verdict.as_str(), answer.by),
                        (None, None) => "open".to_owned(),
                        (Some(_), None) => "closed, not answered".to_owned(),
                    };
                    let pair = incident.symbol().map(|pair| format!(" {pair}")).unwrap_or_default();
                    let (level, id) = (incident.level, &incident.id);
                    lines.push(escape(&one_line(&format!("{level} /incident {id}{pair}, {state}"), 200)));
                }
                Ok(lines)
            })
            .await?;
        Ok(if found.is_empty() { "No incident within a week.".to_owned() } else { found.join("\n") })
    }
}

const HELP: &str = "/status how the watch goes\n/incidents those of a week\n/incident NAME all of one, with its buttons\n\
                    /silence ACCOUNT TIME WHY no alerts about an account for a while (never act)\n\
                    /leakmode which are on\n/leakmode on TAG WHY less evidence is enough for the keys of a tag\n/leakmode off TAG\n\
                    /drill try the whole chain with a marked message\n/panic where keys are deleted\n\
                    fillguard never asks for a password or a key.";

/// Returns what people were last told of an incident, and when it came about.
fn last_told(store: &store::Store, id: &IncidentId) -> Result<Option<(Timestamp, Message)>, store::Error> {
    Ok(store.history(id)?.into_iter().rev().find_map(|step| Some((step.at, step.message?))))
}

/// Says the truth about the button people look for: who deletes the keys.
fn panic_page() -> String {
    let mut lines = vec!["This bot takes a key away only below a message that asks for your yes. Delete the keys yourself, now, at the exchange:".to_owned()];
    lines.extend(Venue::ALL.iter().map(|venue| format!("{}: {}", venue.title(), escape(venue.key_page()))));
    lines.push("Then cancel open orders there, stop orders too.".to_owned());
    lines.join("\n")
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
