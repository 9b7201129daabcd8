//! A pressed button: what its code stands for is done once, and the message shows it.

use serde_json::json;

use super::Facts;
use super::buttons::{self, Deed};
use super::listen::{LeakSwitch, Listener, Listening, last_told};
use super::replies::Replies;
use super::take::{Offer, offer, person, take};
use super::talk::{Note, Press};
use crate::domain::{IncidentId, Span};
use crate::notify::incident_of;
use crate::notify::wording::{escape, one_line};
use crate::runtime::clock;
use crate::store::{self, Answer, Answered, Approval, Verdict};

/// After "later" it is asked again.
const LATER: Span = Span::from_secs(3_600);

impl Listener {
    pub(super) async fn press(&self, press: Press) -> Result<(), store::Error> {
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
                let said = match switched {
                    Ok(()) => Replies(chat.words.language).leak_modes(&(self.around.leak_modes)()),
                    Err(why) => escape(&one_line(&why, 300)),
                };
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
}
