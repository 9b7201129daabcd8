//! What may be done about whom, and with which keys, as the configuration says it now.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{Holder, Keys};
use super::settings::Settings;
use crate::domain::{AccountId, Wallet};

/// The brakes and the keys that act, which go together: one without the other of the same reading may do harm.
#[derive(Clone, Debug, Default)]
pub struct Arms {
    /// The brakes, and what may be done about each account.
    pub settings: Settings,
    /// The keys that act.
    pub keys: Keys,
    /// The wallets that each account uses.
    pub wallets: BTreeMap<AccountId, BTreeSet<Wallet>>,
}

impl Arms {
    /// Says whether any key may act on any account.
    pub fn can_act(&self) -> bool {
        let may = |holder: &Holder| holder.master.is_some() || holder.trade.is_some() || holder.token.is_some();
        self.keys.holders.values().any(may)
    }
}
