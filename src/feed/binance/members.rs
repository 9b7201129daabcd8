//! The accounts of one connection, which may come and go while it is up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::gap::Account;
use crate::arrival::Source;
use crate::domain::AccountId;

/// The accounts of one connection, each under a number that is never used again.
#[derive(Debug)]
pub(crate) struct Members {
    list: Mutex<List>,
    /// Moves whenever the list changes, so that a session need not compare.
    version: AtomicU64,
    /// Told whenever a member was subscribed.
    subscribed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct List {
    next: usize,
    accounts: BTreeMap<usize, Arc<Account>>,
    numbers: BTreeMap<AccountId, usize>,
}

impl Members {
    /// Begins with nobody; `subscribed` is told whenever a member was subscribed.
    pub(crate) fn new(subscribed: Arc<Notify>) -> Self {
        Members { list: Mutex::default(), version: AtomicU64::new(0), subscribed }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an account in; whoever had its name here is no longer a member.
    pub(crate) fn join(&self, account: Arc<Account>) {
        let mut list = self.list();
        let number = list.next;
        list.next += 1;
        if let Some(before) = list.numbers.insert(account.id.clone(), number) {
            list.accounts.remove(&before);
        }
        list.accounts.insert(number, account);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Lets an account go.
    pub(crate) fn leave(&self, id: &AccountId) {
        let mut list = self.list();
        if let Some(number) = list.numbers.remove(id) {
            list.accounts.remove(&number);
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Returns how many there are.
    pub(crate) fn count(&self) -> usize {
        self.list().accounts.len()
    }

    /// Returns a count that moves whenever the members change.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Returns the member of a number.
    pub(super) fn get(&self, number: usize) -> Option<Arc<Account>> {
        self.list().accounts.get(&number).cloned()
    }

    /// Returns the number of a member.
    pub(super) fn number(&self, source: &Source) -> Option<usize> {
        self.list().numbers.get(source.account()?).copied()
    }

    /// Returns the numbers of all, in the order in which they joined.
    pub(super) fn numbers(&self) -> Vec<usize> {
        self.list().accounts.keys().copied().collect()
    }

    /// Returns whose feeds these are, in the order in which they joined.
    pub(super) fn sources(&self) -> Vec<Source> {
        self.list().accounts.values().map(|account| account.source()).collect()
    }

    /// Tells that a member was subscribed.
    pub(super) fn told_subscribed(&self) {
        self.subscribed.notify_one();
    }
}
