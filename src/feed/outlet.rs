//! Where everything received goes: the queue in front of the journal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::error::Error;
use crate::arrival::{Body, Incoming, Source};
use crate::domain::Timestamp;
use crate::runtime::clock;

/// The sending end of the queue. When it is full a feed waits: its socket fills, and the exchange waits.
#[derive(Clone, Debug)]
pub struct Outlet {
    queue: mpsc::Sender<Incoming>,
    carried: Arc<Carried>,
}

/// How many connections carry each account now: two while its key is exchanged for another.
#[derive(Debug, Default)]
struct Carried(Mutex<BTreeMap<Source, usize>>);

/// Held while a connection carries an account; a connection that is dropped, however it ended, carries nothing.
#[derive(Debug)]
pub struct Carrying {
    source: Source,
    carried: Arc<Carried>,
}

impl Outlet {
    /// Takes the queue.
    pub fn new(out: mpsc::Sender<Incoming>) -> Self {
        Outlet { queue: out, carried: Arc::default() }
    }

    /// Hands over what came at `at`.
    pub async fn pass(&self, at: Timestamp, from: Source, body: Body) -> Result<(), Error> {
        self.queue.send(Incoming { at, from, body }).await.map_err(|_| Error::Finished)
    }

    /// Hands over what came at `at` if there is room; returns whether there was.
    pub fn try_pass(&self, at: Timestamp, from: Source, body: Body) -> Result<bool, Error> {
        match self.queue.try_send(Incoming { at, from, body }) {
            Ok(()) => Ok(true),
            Err(mpsc::error::TrySendError::Full(_)) => Ok(false),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Error::Finished),
        }
    }

    /// Hands over what we ourselves found out just now.
    pub async fn note(&self, from: Source, body: Body) -> Result<(), Error> {
        self.pass(clock::now(), from, body).await
    }

    /// Notes that one more connection carries an account. Markets are not counted: their connections share pairs out.
    pub fn carry(&self, source: &Source) -> Option<Carrying> {
        source.account()?;
        *self.carried.counts().entry(source.clone()).or_default() += 1;
        Some(Carrying { source: source.clone(), carried: Arc::clone(&self.carried) })
    }

    /// Says whether any connection carries an account.
    pub fn is_carried(&self, source: &Source) -> bool {
        self.carried.counts().contains_key(source)
    }
}

impl Carried {
    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<Source, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        let mut counts = self.carried.counts();
        let left = counts.get(&self.source).map_or(0, |count| count.saturating_sub(1));
        match left {
            0 => drop(counts.remove(&self.source)),
            left => drop(counts.insert(self.source.clone(), left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_carried_until_its_last_connection_lets_go() {
        let outlet = Outlet::new(mpsc::channel(1).0);
        let alice: Source = "binance/alice".parse().unwrap();
        let (old, new) = (outlet.carry(&alice), outlet.carry(&alice));
        drop(old);
        assert!(outlet.is_carried(&alice));
        drop(new);
        assert!(!outlet.is_carried(&alice));
        assert!(outlet.carry(&"binance/market".parse().unwrap()).is_none());
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
