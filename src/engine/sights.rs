//! How well an account can be seen: each of its wallets has a feed of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rules::blind::{Settings, Sight};
use crate::domain::{AccountId, FeedKind, Finding, Timestamp, Wallet};

/// The sights of an account's wallets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sights(BTreeMap<Wallet, Sight>);

/// Wallets followed of one account; a recording may name any number.
const MOST: usize = 64;

impl Sights {
    /// Takes a change of a wallet's feed; returns what it says.
    pub fn take(
        &mut self,
        wallet: &Wallet,
        kind: &FeedKind,
        n: u64,
        at: Timestamp,
        about: &AccountId,
    ) -> Option<Finding> {
        if !self.0.contains_key(wallet) && self.0.len() >= MOST {
            return None;
        }
        let finding = self.0.entry(wallet.clone()).or_default().take(kind, n, at, about);
        finding.map(|finding| named(finding, wallet))
    }

    /// Returns since when nothing is known for certain of one wallet.
    pub fn blind_since(&self, wallet: &Wallet) -> Option<Timestamp> {
        self.0.get(wallet)?.blind_since()
    }

    /// Tells whether anything was ever heard of a wallet's feed.
    pub fn knows(&self, wallet: &Wallet) -> bool {
        self.0.contains_key(wallet)
    }

    /// Returns the wallets whose feed is down, and whether people need not be told of it (any more).
    pub fn down(&self) -> impl Iterator<Item = (&Wallet, bool)> {
        self.0.iter().filter_map(|(wallet, sight)| Some((wallet, sight.down()?)))
    }

    /// Says whether the account was removed, with all its wallets, so long ago that nothing of it is to be kept.
    pub fn is_over(&self, settings: &Settings, at: Timestamp) -> bool {
        !self.0.is_empty() && self.0.values().all(|sight| sight.is_over(settings, at))
    }

    /// Returns when time alone will say something, if it will.
    pub fn due(&self, settings: &Settings) -> Option<Timestamp> {
        self.0.values().filter_map(|sight| sight.due(settings)).min()
    }

    /// Returns what the passing of time says.
    pub fn pass(&mut self, settings: &Settings, n: u64, at: Timestamp, about: &AccountId) -> Vec<Finding> {
        let said = |(wallet, sight): (&Wallet, &mut Sight)| {
            sight.pass(settings, n, at, about).map(|finding| named(finding, wallet))
        };
        self.0.iter_mut().filter_map(said).collect()
    }
}

/// People must know which of the feeds is meant; the feed of spot is the account's.
fn named(mut finding: Finding, wallet: &Wallet) -> Finding {
    if *wallet != Wallet::Spot
        && let crate::domain::Reason::NotVerified { why, .. } = &mut finding.reason
    {
        *why = compact_str::format_compact!("{wallet}: {why}");
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Level, Span, Venue};

    #[test]
    fn a_wallet_that_is_down_is_told_though_the_others_are_up_and_names_itself() {
        let alice = AccountId::new(Venue::Binance, "alice").unwrap();
        let at = Timestamp::from_millis(1_775_572_206_300);
        let mut sights = Sights::default();
        sights.take(&Wallet::Spot, &FeedKind::Up, 1, at, &alice);
        sights.take(&Wallet::Futures, &FeedKind::Down("refused".into()), 2, at, &alice);
        sights.take(&Wallet::Spot, &FeedKind::Up, 3, at + Span::from_secs(1), &alice);
        assert_eq!((sights.blind_since(&Wallet::Spot), sights.blind_since(&Wallet::Futures)), (None, Some(at)));
        let settings = Settings::default();
        let due = sights.due(&settings).unwrap();
        assert_eq!(due, at + settings.down_alert);
        let told = sights.pass(&settings, 4, due, &alice);
        assert_eq!((told.len(), told[0].level), (1, Level::Alert));
        let crate::domain::Reason::NotVerified { why, .. } = &told[0].reason else { panic!("{told:?}") };
        assert_eq!(why, "futures: refused");
        assert_eq!(sights.due(&settings), None, "told once");
    }
}
