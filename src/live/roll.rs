//! Who is watched from now on, with what the memory knows of those who are new to the feeds.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::Settings;
use crate::domain::AccountId;
use crate::feed::{Account, Remembered, Roll};
use crate::pipeline::Pipeline;

/// The accounts the feeds were told to watch.
pub(super) struct RollBook {
    accounts: BTreeMap<AccountId, Account>,
    feeds: watch::Sender<Arc<Roll>>,
}

/// Who is to be watched, where that may change.
pub(super) type Calls = Option<watch::Receiver<Vec<Account>>>;

impl RollBook {
    /// Begins with the accounts of `settings`, and has the feeds follow what comes after.
    pub(super) fn open(settings: &mut Settings) -> (Self, Calls) {
        let feed = &mut settings.feed;
        let first = Roll { accounts: feed.accounts.clone(), remembered: std::mem::take(&mut feed.remembered) };
        feed.remembered.clone_from(&first.remembered);
        let (feeds, followed) = watch::channel(Arc::new(first));
        feed.roll = Some(followed);
        let accounts = feed.accounts.iter().map(|account| (account.id.clone(), account.clone())).collect();
        (RollBook { accounts, feeds }, settings.accounts.take())
    }

    /// Has the feeds watch `accounts` from now on. One that is new or has another key goes on where the memory of it
    /// ends, so that one that comes back is not a stranger.
    pub(super) fn follow(&mut self, accounts: Vec<Account>, pipeline: &Pipeline) {
        let mut remembered = BTreeMap::new();
        let mut now = BTreeMap::new();
        let mut listed = Vec::with_capacity(accounts.len());
        for account in accounts {
            let before = self.accounts.get(&account.id).filter(|before| before.key.same(&account.key));
            let account = before.cloned().unwrap_or_else(|| known(account, pipeline, &mut remembered));
            now.insert(account.id.clone(), account.clone());
            listed.push(account);
        }
        self.accounts = now;
        self.feeds.send_replace(Arc::new(Roll { accounts: listed, remembered }));
    }
}

fn known(mut account: Account, pipeline: &Pipeline, remembered: &mut BTreeMap<AccountId, Remembered>) -> Account {
    let Some(habits) = pipeline.account(&account.id) else { return account };
    account.known_until = Some(pipeline.blind_since(&account.id).unwrap_or(pipeline.now()));
    let balances = habits.balances.iter().map(|(asset, held)| (asset.clone(), held.amount)).collect();
    let pairs = habits.pairs().cloned().collect();
    remembered.insert(account.id.clone(), Remembered { pairs, balances });
    account
}
