//! Deeds of an exchange at given times, from a scenario file.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::Faults;
use crate::domain::{AccountId, Venue};
use crate::simulate::floor::Floor;
use crate::simulate::handle::Handle;
use crate::simulate::{Error, Scenario};

/// What happens at a time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scripted {
    /// Seconds after the start.
    pub at_secs: f64,
    /// What is done.
    #[serde(rename = "do")]
    pub deed: Deed,
    /// Where: `binance`, `kucoin`, `coinbase`.
    pub venue: Venue,
    /// To whose key or feed, where a deed needs one.
    pub account: Option<String>,
    /// For `faults`: those that are on from then on, of the account if one is named.
    #[serde(default)]
    pub faults: Faults,
}

/// What an exchange does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Drops every socket without a farewell.
    Cut,
    /// Closes every account feed as one that is 24 hours old.
    Close,
    /// Announces that the sockets will end (Binance), and ends them.
    Shutdown,
    /// Deletes the account's key.
    Revoke,
    /// Gives the account's key back.
    Restore,
    /// Switches faults on or off.
    Faults,
}

/// How long sockets live after their end was announced; nothing is promised by Binance.
const NOTICE: Duration = Duration::from_millis(300);

impl Scripted {
    /// Refuses a deed without a time or without the account it needs.
    pub fn check(&self) -> Result<(), Error> {
        if !(0.0..=1e7).contains(&self.at_secs) {
            return Err(Error::Scenario("script: at_secs lies between 0 and 10000000".to_owned()));
        }
        if matches!(self.deed, Deed::Revoke | Deed::Restore) && self.account.is_none() {
            return Err(Error::Scenario("script: revoke and restore name an account".to_owned()));
        }
        self.faults.check()
    }

    fn run(&self, hand: &Handle) -> Result<(), Error> {
        let named = self.account.as_deref().map(|name| AccountId::new(self.venue, name)).transpose();
        let named = named.map_err(|_| Error::Scenario("script: an account's name is wrong".to_owned()))?;
        match (self.deed, named) {
            (Deed::Cut, _) => hand.cut(self.venue),
            (Deed::Close, _) => hand.close(self.venue),
            (Deed::Shutdown, _) => hand.server_shutdown(),
            (Deed::Revoke, Some(account)) => hand.revoke(&account)?,
            (Deed::Restore, Some(account)) => hand.restore(&account)?,
            (Deed::Revoke | Deed::Restore, None) => {}
            (Deed::Faults, Some(account)) => hand.set_account_faults(&account, Some(self.faults))?,
            (Deed::Faults, None) => hand.set_faults(self.venue, self.faults)?,
        }
        Ok(())
    }
}

/// Does what the script says until it ends.
pub async fn follow(floor: Arc<Floor>, scenario: Scenario, stop: CancellationToken) -> Result<(), Error> {
    let mut script = scenario.script;
    script.sort_by(|a, b| a.at_secs.total_cmp(&b.at_secs));
    let (hand, mut passed) = (Handle::new(floor), 0.0);
    for scripted in script {
        let wait = Duration::from_secs_f64(scripted.at_secs - passed);
        passed = scripted.at_secs;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        scripted.run(&hand)?;
        if scripted.deed == Deed::Shutdown {
            tokio::time::sleep(NOTICE).await;
            passed += NOTICE.as_secs_f64();
            hand.close(scripted.venue);
        }
    }
    stop.cancelled().await;
    Ok(())
}
