//! Which accounts are seen, and when the daemon may say that it is ready.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::domain::{AccountId, FeedKind, Wallet};
use crate::runtime::{clock, systemd};

/// A wallet of an account: each has a feed that reports for itself.
pub(super) type Watched = (AccountId, Wallet);

/// The accounts that should report.
#[derive(Debug)]
pub(super) struct RollCall {
    accounts: BTreeSet<Watched>,
    silent: BTreeSet<Watched>,
    up: BTreeSet<Watched>,
    /// When waiting for the silent ones ends; nothing once the daemon is ready.
    deadline: Option<Instant>,
    ready: watch::Sender<bool>,
}

impl RollCall {
    /// Waits for `accounts` for so long; without any the daemon is ready at once.
    pub(super) fn begin(accounts: BTreeSet<Watched>, patience: Duration, ready: watch::Sender<bool>) -> Self {
        let (silent, up) = (accounts.clone(), BTreeSet::new());
        let deadline = Some(clock::steady() + patience);
        let mut roll_call = RollCall { accounts, silent, up, deadline, ready };
        if roll_call.accounts.is_empty() {
            tracing::warn!("no account is configured, so nobody is watched; add one and restart");
            roll_call.say_ready();
        }
        roll_call
    }

    /// Takes what a feed said about an account.
    pub(super) fn hear(&mut self, account: &AccountId, wallet: &Wallet, kind: &FeedKind) {
        let watched = (account.clone(), wallet.clone());
        if !self.accounts.contains(&watched) {
            return;
        }
        match kind {
            FeedKind::Up => drop(self.up.insert(watched.clone())),
            FeedKind::Down(_) | FeedKind::Ended(_) => drop(self.up.remove(&watched)),
            FeedKind::Refused { .. } => {}
            FeedKind::ClosingSoon
            | FeedKind::Skipped { .. }
            | FeedKind::Unreadable(_)
            | FeedKind::Unknown(_)
            | FeedKind::GapFilled { .. } => return,
        }
        self.silent.remove(&watched);
        if self.silent.is_empty() && self.deadline.is_some() {
            self.say_ready();
        }
    }

    /// Waits until waiting for the silent ones ends; for ever once the daemon is ready.
    pub(super) async fn patience(&self) {
        match self.deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Says that the daemon is ready, and who is not seen.
    pub(super) fn say_ready(&mut self) {
        self.deadline = None;
        for (account, wallet) in self.accounts.difference(&self.up) {
            tracing::warn!(
                account = wallet.of(account),
                "not seen yet: what it trades is unknown until its feed comes up"
            );
        }
        tracing::info!(accounts = self.accounts.len(), seen = self.up.len(), "ready");
        systemd::ready();
        self.ready.send_replace(true);
    }

    /// Returns how many accounts are seen now, of how many.
    pub(super) fn seen(&self) -> (usize, usize) {
        (self.up.len(), self.accounts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    fn watched(name: &str) -> Watched {
        (account(name), Wallet::Spot)
    }

    fn call(names: &[&str]) -> (RollCall, watch::Receiver<bool>) {
        let (ready, heard) = watch::channel(false);
        let accounts = names.iter().map(|name| watched(name)).collect();
        (RollCall::begin(accounts, Duration::from_secs(60), ready), heard)
    }

    #[test]
    fn ready_is_said_when_the_last_account_came_up_or_failed() {
        let (mut call, ready) = call(&["binance/alice", "kucoin/bob"]);
        call.hear(&account("binance/alice"), &Wallet::Spot, &FeedKind::Up);
        call.hear(&account("binance/stranger"), &Wallet::Spot, &FeedKind::Up);
        call.hear(&account("kucoin/bob"), &Wallet::Spot, &FeedKind::ClosingSoon);
        assert!(!*ready.borrow());
        call.hear(&account("kucoin/bob"), &Wallet::Spot, &FeedKind::Down("closed".into()));
        assert!(*ready.borrow());
        assert_eq!(call.seen(), (1, 2));
    }

    #[test]
    fn each_wallet_reports_for_itself() {
        let (ready, heard) = watch::channel(false);
        let wallets = [watched("binance/alice"), (account("binance/alice"), Wallet::Futures)];
        let mut call = RollCall::begin(wallets.into(), Duration::from_secs(60), ready);
        call.hear(&account("binance/alice"), &Wallet::Spot, &FeedKind::Up);
        call.hear(&account("binance/alice"), &Wallet::Margin, &FeedKind::Up);
        assert!(!*heard.borrow());
        call.hear(&account("binance/alice"), &Wallet::Futures, &FeedKind::Down("refused".into()));
        assert!(*heard.borrow());
        assert_eq!(call.seen(), (1, 2));
    }

    #[test]
    fn nobody_to_watch_is_ready_at_once() {
        assert!(*call(&[]).1.borrow());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_account_is_waited_for_no_longer_than_the_patience() {
        let (mut call, ready) = call(&["binance/alice"]);
        call.patience().await;
        call.say_ready();
        assert!(*ready.borrow());
        assert_eq!(call.seen(), (0, 1));
    }
}
