//! What people ask the bot in words.

use serde_json::Value;

use super::Facts;
use super::buttons::{self, Deed};
use super::listen::{Listener, Listening, last_told};
use super::replies::Replies;
use super::take::{Offer, offer};
use super::talk::{Command, User};
use crate::domain::{IncidentId, Level, Span, Timestamp};
use crate::notify::incident_of;
use crate::notify::wording::escape;
use crate::runtime::clock;
use crate::store::{self, Filter};

impl Listener {
    /// Carries a command out; returns what is answered, with buttons where it takes a second step.
    pub(super) async fn command(
        &self,
        command: Command,
        chat: &Listening,
        user: &User,
    ) -> Result<(String, Option<Value>), store::Error> {
        let (now, replies) = (clock::now(), Replies(chat.words.language));
        let text = match command {
            Command::Help => replies.help(),
            Command::Wrong(usage) => replies.wrong(usage),
            Command::Status => self.status(now, replies).await?,
            Command::Incidents => self.incidents(now, replies).await?,
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
                    return Ok((replies.no_such_incident(&name), None));
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
                let text = replies.to_be_silent(&account, until, &why);
                return Ok((text, Some(keyboard)));
            }
            Command::Unsilence(account) => {
                let ended = {
                    let account = account.clone();
                    self.store.with(move |store| store.end_silences(&account, now)).await?
                };
                replies.silences_ended(ended, &account)
            }
            Command::Silences => {
                let silences = self.store.with(move |store| store.silences(now)).await?;
                replies.silences(&silences)
            }
            Command::LeakMode => replies.leak_modes(&(self.around.leak_modes)()),
            Command::SwitchLeak { tag, on } => {
                let tags = (self.around.leak_tags)();
                // What ends may name a tag that no account has any more.
                if on.is_some() && !tags.contains(&tag) {
                    return Ok((replies.no_such_tag(&tag, &tags), None));
                }
                let text = match &on {
                    Some((time, why)) => replies.leak_mode_to_be_on(&tag, now + Span::from(*time), why),
                    None => replies.leak_mode_to_end(&tag),
                };
                let on = on.map(|(time, why)| (i64::try_from(time.as_secs()).unwrap_or(i64::MAX), why));
                let none = IncidentId::known("leakmode/");
                let deed = Deed::Leak { tag, on };
                let codes = buttons::codes(&[deed], &none, &chat.channel, Some(user.id), now + buttons::SECOND_STEP);
                let keyboard = buttons::keyboard(&codes, chat.words);
                self.store.with(move |store| store.keep_codes(&codes, now)).await?;
                return Ok((text, Some(keyboard)));
            }
            Command::Panic => replies.panic(),
            Command::Drill => match (self.around.drill)(&user.name()) {
                Ok(()) => replies.drill(),
                Err(why) => escape(&why),
            },
        };
        Ok((text, None))
    }

    async fn status(&self, now: Timestamp, replies: Replies) -> Result<String, store::Error> {
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
        Ok(replies.status(&pulse, open, age, backlog))
    }

    async fn incidents(&self, now: Timestamp, replies: Replies) -> Result<String, store::Error> {
        let since = Some(now - Span::from_secs(7 * 86_400));
        let filter = Filter { min_level: Some(Level::Alert), since, limit: 15, ..Filter::default() };
        let found = self
            .store
            .with(move |store| {
                let mut lines = Vec::new();
                for incident in store.incidents(&filter)? {
                    let answered = store.answers(&incident.id)?.pop();
                    lines.push(replies.incident(&incident, answered.as_ref()));
                }
                Ok(lines)
            })
            .await?;
        Ok(if found.is_empty() { replies.no_incidents() } else { found.join("\n") })
    }
}
