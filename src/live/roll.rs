//! Who is watched from now on, with what the memory knows of those who are new to the feeds.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::Settings;
use crate::domain::{AccountId, Wallet};
use crate::feed::{Account, Remembered, Roll, Wallets};
use crate::pipeline::Pipeline;

/// The accounts the feeds were told to watch.
pub(super) struct RollBook {
    accounts: BTreeMap<AccountId, Account>,
    feeds: watch::Sender<Arc<Roll>>,
}

/// Who is to be watched, where that may change.
pub(super) type Calls = Option<watch::Receiver<Roll>>;

impl RollBook {
    /// Begins with the accounts of `settings`, and has the feeds follow what comes after.
    pub(super) fn open(settings: &mut Settings) -> (Self, Calls) {
        let feed = &mut settings.feed;
        let (feeds, followed) = watch::channel(Arc::new(feed.first_roll()));
        feed.roll = Some(followed);
        let accounts = feed.accounts.iter().map(|account| (account.id.clone(), account.clone())).collect();
        (RollBook { accounts, feeds }, settings.accounts.take())
    }

    /// Has the feeds watch `roll` from now on. Who is new or has another key goes on where the memory of it ends, so
    /// that one that comes back is not a stranger.
    pub(super) fn follow(&mut self, mut roll: Roll, pipeline: &Pipeline) {
        let mut now = BTreeMap::new();
        for account in &mut roll.accounts {
            match self.accounts.get(&account.id).filter(|before| before.key.same(&account.key)) {
                Some(before) => account.known_until = before.known_until,
                None => roll.remembered.extend(known(account, pipeline).map(|known| (account.id.clone(), known))),
            }
            now.insert(account.id.clone(), account.clone());
        }
        for (id, wallets) in &mut roll.wallets {
            wallets.known_until = known_wallets(id, wallets, pipeline);
        }
        self.accounts = now;
        self.feeds.send_replace(Arc::new(roll));
    }
}

fn known(account: &mut Account, pipeline: &Pipeline) -> Option<Remembered> {
    let habits = pipeline.account(&account.id)?;
    account.known_until = Some(pipeline.blind_since(&account.id, &Wallet::Spot).unwrap_or(pipeline.now()));
    let balances = habits.balances_in(&Wallet::Spot).into_iter().flatten();
    let balances = balances.map(|(asset, held)| (asset.clone(), held.amount)).collect();
    Some(Remembered { pairs: habits.pairs().cloned().collect(), balances, wallets: BTreeMap::new() })
}

fn known_wallets(id: &AccountId, wallets: &Wallets, pipeline: &Pipeline) -> BTreeMap<Wallet, crate::domain::Timestamp> {
    let heard = wallets.watched.iter().filter(|wallet| **wallet != Wallet::Spot && pipeline.knows(id, wallet));
    heard.map(|wallet| (wallet.clone(), pipeline.blind_since(id, wallet).unwrap_or(pipeline.now()))).collect()
}
