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
    /// When progress was last told, and how many were up then; nothing once all were.
    told: Option<(Instant, usize)>,
}

/// How often the progress of many accounts is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// Accounts that are named one by one when they are not seen.
const NAMED: usize = 20;

impl RollCall {
    /// Waits for `accounts` for so long; without any the daemon is ready at once.
    pub(super) fn begin(accounts: BTreeSet<Watched>, patience: Duration, ready: watch::Sender<bool>) -> Self {
        let (silent, up) = (accounts.clone(), BTreeSet::new());
        let deadline = Some(clock::steady() + patience);
        let told = Some((clock::steady(), 0));
        let mut roll_call = RollCall { accounts, silent, up, deadline, ready, told };
        if roll_call.accounts.is_empty() {
            tracing::warn!("no account is configured, so nobody is watched; add one");
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

    /// Takes who should report from now on.
    pub(super) fn change(&mut self, accounts: BTreeSet<Watched>) {
        let new = accounts.difference(&self.accounts).cloned();
        self.silent.extend(new);
        self.silent.retain(|account| accounts.contains(account));
        self.up.retain(|account| accounts.contains(account));
        self.accounts = accounts;
        self.told = Some((clock::steady(), self.up.len()));
        if self.silent.is_empty() && self.deadline.is_some() {
            self.say_ready();
        }
    }

    /// Tells how many are up, now and then until all are.
    pub(super) fn tell_progress(&mut self) {
        let (up, all) = self.seen();
        let Some((at, before)) = self.told else { return };
        if up < all && (at.elapsed() < PROGRESS_EVERY || up == before) {
            return;
        }
        // A handful that come up at once need no line of their own.
        if up < all || all >= NAMED {
            tracing::info!("{} of {} accounts are up", grouped(up), grouped(all));
        }
        self.told = (up < all).then(|| (clock::steady(), up));
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
        for (account, wallet) in self.accounts.difference(&self.up).take(NAMED) {
            tracing::warn!(
                account = wallet.of(account),
                "not seen yet: what it trades is unknown until its feed comes up"
            );
        }
        let unnamed = self.accounts.len().saturating_sub(self.up.len()).saturating_sub(NAMED);
        if unnamed > 0 {
            tracing::warn!("{} more accounts are not seen yet", grouped(unnamed));
        }
        tracing::info!(accounts = self.accounts.len(), seen = self.up.len(), "ready");
        systemd::ready();
        self.ready.send_replace(true);
    }

    /// Returns who should report, in order.
    pub(super) fn watched(&self) -> impl Iterator<Item = &Watched> {
        self.accounts.iter()
    }

    /// Returns those of them that are not up.
    pub(super) fn not_up(&self) -> impl Iterator<Item = &Watched> {
        self.accounts.difference(&self.up)
    }

    /// Says whether one of them is up.
    pub(super) fn is_up(&self, watched: &Watched) -> bool {
        self.up.contains(watched)
    }

    /// Returns how many accounts are seen now, of how many.
    pub(super) fn seen(&self) -> (usize, usize) {
        (self.up.len(), self.accounts.len())
    }
}

/// Writes a count with its thousands apart.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut told = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
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
    fn who_joins_is_waited_for_and_who_leaves_is_not() {
        let (mut call, ready) = call(&["binance/alice", "kucoin/bob"]);
        call.hear(&account("binance/alice"), &Wallet::Spot, &FeedKind::Up);
        call.change(["binance/alice", "binance/carol"].map(watched).into());
        assert!(!*ready.borrow(), "carol did not report");
        assert_eq!(call.seen(), (1, 2));
        call.change([watched("binance/alice")].into());
        assert!(*ready.borrow());
        assert_eq!(call.seen(), (1, 1));
    }

    #[test]
    fn a_large_count_is_readable() {
        assert_eq!([0, 999, 4_200, 10_000, 1_234_567].map(grouped), ["0", "999", "4,200", "10,000", "1,234,567"]);
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
