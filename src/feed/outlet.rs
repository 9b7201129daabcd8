//! Where everything received goes: the queue in front of the journal.

use tokio::sync::mpsc;

use super::error::Error;
use crate::arrival::{Body, Incoming, Source};
use crate::domain::Timestamp;
use crate::runtime::clock;

/// The sending end of the queue. When it is full a feed waits: its socket fills, and the exchange waits.
#[derive(Clone, Debug)]
pub struct Outlet(mpsc::Sender<Incoming>);

impl Outlet {
    /// Takes the queue.
    pub fn new(out: mpsc::Sender<Incoming>) -> Self {
        Outlet(out)
    }

    /// Hands over what came at `at`.
    pub async fn pass(&self, at: Timestamp, from: Source, body: Body) -> Result<(), Error> {
        self.0.send(Incoming { at, from, body }).await.map_err(|_| Error::Finished)
    }

    /// Hands over what came at `at` if there is room; returns whether there was.
    pub fn try_pass(&self, at: Timestamp, from: Source, body: Body) -> Result<bool, Error> {
        match self.0.try_send(Incoming { at, from, body }) {
            Ok(()) => Ok(true),
            Err(mpsc::error::TrySendError::Full(_)) => Ok(false),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Error::Finished),
        }
    }

    /// Hands over what we ourselves found out just now.
    pub async fn note(&self, from: Source, body: Body) -> Result<(), Error> {
        self.pass(clock::now(), from, body).await
    }
}

/// The pages of one list that comes newest first, kept until they can be handed over oldest first: what is judged has
/// the order in which it happened, or a rising price looks like a falling one.
#[derive(Debug, Default)]
pub struct Pile(Vec<(Timestamp, Source, Body)>);

impl Pile {
    /// Keeps the next, older page.
    pub fn keep(&mut self, at: Timestamp, from: Source, page: Body) {
        self.0.push((at, from, page));
    }

    /// Hands over what is kept, oldest first; also to be called where a later page failed.
    pub async fn hand_over(self, outlet: &Outlet) -> Result<(), Error> {
        for (at, from, page) in self.0.into_iter().rev() {
            outlet.pass(at, from, page).await?;
        }
        Ok(())
    }
}
