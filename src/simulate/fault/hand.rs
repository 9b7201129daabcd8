//! The hand's part in what goes wrong.

use super::{Faults, Tally};
use crate::domain::{AccountId, Venue};
use crate::simulate::Error;
use crate::simulate::handle::{Handle, find, unknown};

impl Handle {
    /// Switches a venue's faults on or off.
    pub fn set_faults(&self, venue: Venue, faults: Faults) -> Result<(), Error> {
        faults.check()?;
        self.floor.faults().set(venue, faults);
        Ok(())
    }

    /// Gives an account faults of its own in place of its venue's, or takes them away. At Binance, where accounts
    /// share a socket, these are those of its fills alone.
    pub fn set_account_faults(&self, account: &AccountId, faults: Option<Faults>) -> Result<(), Error> {
        faults.unwrap_or_default().check()?;
        let who = find(&self.floor.world(), account)?;
        self.floor.faults().set_account(who, faults);
        Ok(())
    }

    /// Returns how often each fault was committed.
    pub fn tally(&self) -> Tally {
        self.floor.faults().tally
    }

    /// Closes every account feed of a venue as one that is 24 hours old.
    pub fn close(&self, venue: Venue) {
        *self.floor.faults().closings.entry(venue).or_insert(0) += 1;
    }

    /// Gives an account's deleted key back.
    pub fn restore(&self, account: &AccountId) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        world.accounts.get_mut(who).map(|owner| owner.revoked = false).ok_or_else(|| unknown(account))
    }
}
