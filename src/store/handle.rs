//! The store as tasks use it: one call at a time, in the order they asked, off the threads that serve sockets.

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;

use super::{Again, Answer, Answered, Asked, Attention, Cause, ChannelRoute, Error, Restaged, Snapshot, Store, Taken};
use crate::domain::{AccountId, Effect, EffectKind, Level, Message, Span, Timestamp};

/// A share of the store. Callers wait for their turn, so what is queued is bounded by how many there are.
#[derive(Clone, Debug)]
pub struct Handle {
    store: Arc<Mutex<Store>>,
    routes: Arc<[ChannelRoute]>,
    commits: watch::Sender<u64>,
    acts: watch::Sender<u64>,
    answers: watch::Sender<u64>,
}

impl Handle {
    /// Shares a store; messages go to the channels of `routes`.
    pub fn new(store: Store, routes: Vec<ChannelRoute>) -> Self {
        Handle {
            store: Arc::new(Mutex::new(store)),
            routes: routes.into(),
            commits: watch::Sender::new(0),
            acts: watch::Sender::new(0),
            answers: watch::Sender::new(0),
        }
    }

    /// Runs `deed` with the store to itself. It is finished even when the caller stops waiting.
    pub async fn with<T, F>(&self, deed: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Store) -> Result<T, Error> + Send + 'static,
    {
        let mut store = Arc::clone(&self.store).lock_owned().await;
        spawn_blocking(move || deed(&mut store)).await.map_err(|_| Error::CutShort)?
    }

    /// Takes effects (see [`Store::take`]) and wakes the channels when there is something to send.
    pub async fn take(&self, effects: Vec<Effect>) -> Result<Taken, Error> {
        if effects.is_empty() {
            return Ok(Taken::default());
        }
        let loud = |effect: &Effect| match &effect.kind {
            EffectKind::Incident { incident, .. } => incident.level == Level::Act && incident.closed.is_none(),
        };
        let loud = effects.iter().any(loud);
        let (routes, commits, acts) = (Arc::clone(&self.routes), self.commits.clone(), self.acts.clone());
        self.with(move |store| {
            let taken = store.take(&effects, &routes)?;
            if taken.queued > 0 {
                wake(&commits);
            }
            if loud && taken.new > 0 {
                wake(&acts);
            }
            Ok(taken)
        })
        .await
    }

    /// Keeps a snapshot (see [`Store::save_snapshot`]); compresses it without holding the store.
    pub async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        let sealed = spawn_blocking(move || snapshot.seal()).await.map_err(|_| Error::CutShort)??;
        self.with(move |store| store.save_sealed(&sealed)).await
    }

    /// Queues a message that no effect caused, for the channels named, and wakes them.
    pub async fn queue(
        &self,
        message: Message,
        at: Timestamp,
        channels: Vec<String>,
        cause: Cause,
    ) -> Result<(), Error> {
        let commits = self.commits.clone();
        self.with(move |store| {
            store.queue(&message, at, &channels, cause)?;
            wake(&commits);
            Ok(())
        })
        .await
    }

    /// Keeps what the responses remember (see [`Store::save_response`]) with what is told of it about accounts, to every
    /// channel that wants it and is told at once, and wakes the channels; who is asked when nobody answers is asked about
    /// the incident.
    pub async fn save_response(
        &self,
        memory: String,
        asked: Vec<Asked>,
        told: Vec<(Message, AccountId)>,
        at: Timestamp,
    ) -> Result<(), Error> {
        let told: Vec<(Message, Vec<String>)> = told
            .into_iter()
            .map(|(message, account)| {
                let channels = self.at_once(message.level, &account);
                (message, channels)
            })
            .collect();
        let commits = self.commits.clone();
        self.with(move |store| {
            store.save_response(&memory, &asked, &told, at)?;
            if !told.is_empty() {
                wake(&commits);
            }
            Ok(())
        })
        .await
    }

    /// Writes down that a rule was given another stage (see [`Store::restaged`]) and wakes the channels named.
    pub async fn restaged(&self, one: Restaged, message: Option<Message>, channels: Vec<String>) -> Result<(), Error> {
        let commits = self.commits.clone();
        self.with(move |store| {
            if store.restaged(&one, message.as_ref(), &channels)? {
                wake(&commits);
            }
            Ok(())
        })
        .await
    }

    /// Returns the channels that are told at once of an account what is so loud.
    fn at_once(&self, level: Level, account: &AccountId) -> Vec<String> {
        let at_once = self.routes.iter().filter(|route| !route.is_later());
        at_once.filter(|route| route.accepts(level, account)).map(|route| route.name.clone()).collect()
    }

    /// Returns a counter that moves after every commit of an open incident that says `act`.
    pub fn acts(&self) -> watch::Receiver<u64> {
        self.acts.subscribe()
    }

    /// Queues what nobody answered (see [`Store::attend`]) and wakes the channels.
    pub async fn attend(&self, now: Timestamp, repeat: Option<Span>, again: Again) -> Result<Attention, Error> {
        let (routes, commits) = (Arc::clone(&self.routes), self.commits.clone());
        self.with(move |store| {
            let attention = store.attend(&routes, now, repeat, again)?;
            if attention.escalated + attention.repeated > 0 {
                wake(&commits);
            }
            Ok(attention)
        })
        .await
    }

    /// Keeps an answer (see [`Store::answer`]) and wakes those who wait for one.
    pub async fn answer(&self, answer: Answer) -> Result<Answered, Error> {
        let answers = self.answers.clone();
        self.with(move |store| {
            let answered = store.answer(&answer)?;
            if matches!(answered, Answered::Kept(_)) {
                wake(&answers);
            }
            Ok(answered)
        })
        .await
    }

    /// Returns a counter that moves after every answer.
    pub fn answered(&self) -> watch::Receiver<u64> {
        self.answers.subscribe()
    }

    /// Returns what a channel wants; one that nobody configured wants everything at once.
    pub fn route(&self, name: &str) -> ChannelRoute {
        let known = self.routes.iter().find(|route| route.name == name).cloned();
        known.unwrap_or_else(|| ChannelRoute { name: name.to_owned(), ..ChannelRoute::default() })
    }

    /// Returns the channels and what they want.
    pub fn routes(&self) -> &[ChannelRoute] {
        &self.routes
    }

    /// Returns a counter that moves after every commit that queued a message; one who looks late misses nothing.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }
}

/// Called beside the store, so that it happens even when the one who asked has gone.
fn wake(commits: &watch::Sender<u64>) {
    commits.send_modify(|count| *count = count.wrapping_add(1));
}
