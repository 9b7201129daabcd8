//! What becomes of keys: rights given and taken, addresses, keys of sub-accounts.

use super::{SubKey, World};
use crate::domain::{AccountId, Timestamp};
use crate::simulate::Error;
use crate::simulate::scenario::KeyChange;

impl World {
    /// Returns whose key a change of the scenario is about.
    pub(super) fn account_of(&self, change: &KeyChange) -> Result<usize, Error> {
        let account: Option<AccountId> = change.account.parse().ok();
        let place = account.and_then(|account| self.by_name(account.venue, &account.name));
        place.ok_or_else(|| Error::Scenario(format!("key_changes: there is no account {}", change.account)))
    }

    /// Makes a change of the scenario happen.
    pub(super) fn change_key(&mut self, place: usize, now: Timestamp) {
        let Some(change) = self.scenario.key_changes.get(place).cloned() else { return };
        let Ok(who) = self.account_of(&change) else { return };
        if let Some(holder) = &change.new_key_of {
            self.make_sub_key(who, holder, &format!("made {place}"), &change.permit, now);
            return;
        }
        let Some(owner) = self.accounts.get_mut(who) else { return };
        for (rights, on) in [(&change.permit, true), (&change.forbid, false)] {
            for right in rights {
                owner.permissions.set(right, on);
            }
        }
        if let Some(addresses) = change.addresses {
            owner.permissions.addresses = addresses;
        }
    }

    /// Makes a key of a sub-account; returns its id.
    pub fn make_sub_key(&mut self, who: usize, holder: &str, label: &str, permit: &[String], now: Timestamp) -> String {
        let Some(owner) = self.accounts.get_mut(who) else { return String::new() };
        let mut key = SubKey {
            holder: holder.to_owned(),
            label: label.to_owned(),
            id: owner.dice.hex(24),
            permissions: super::Permissions::default(),
            made: now,
        };
        for right in permit {
            key.permissions.set(right, true);
        }
        let id = key.id.clone();
        owner.sub_keys.push(key);
        id
    }
}
