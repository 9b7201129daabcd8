//! Leak mode: a platform is known to have leaked its users' keys, so less evidence is enough for them, for a while.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::fleet::Tags;
use crate::domain::{AccountId, LeakMode, Timestamp};

/// How far thresholds are lowered, in nats.
const LOWERED: f64 = 3.0;
/// Modes that are kept.
const MOST: usize = 64;

/// The leak modes that are on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leaks(Vec<LeakMode>);

impl Leaks {
    /// Takes all modes that are on; those before are over.
    pub fn take(&mut self, modes: &[LeakMode]) {
        self.0 = modes.iter().take(MOST).cloned().collect();
    }

    /// Returns how far the thresholds of an account are lowered at `at`, in nats; 0 where no mode is on for it.
    pub fn lowered(&self, account: &AccountId, tags: &Tags, at: Timestamp) -> f64 {
        if self.mode(account, tags, at).is_some() { LOWERED } else { 0.0 }
    }

    /// Returns the mode that is on for an account at `at`.
    pub fn mode(&self, account: &AccountId, tags: &Tags, at: Timestamp) -> Option<&LeakMode> {
        self.0.iter().find(|mode| {
            let of_tag = |tag: &CompactString| tags.0.get(tag).is_some_and(|of| of.contains(account));
            at < mode.until
                && mode.tag.as_ref().is_none_or(of_tag)
                && mode.venue.is_none_or(|venue| venue == account.venue)
                && mode.account.as_ref().is_none_or(|of| of == account)
        })
    }
}
