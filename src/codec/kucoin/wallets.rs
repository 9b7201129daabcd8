//! The classic trade wallet and the one for high-frequency trading lie side by side, and an order is paid from either:
//! what can be spent is what both hold
//! (<https://www.kucoin.com/docs-new/rest/account-info/account-funding/get-account-list-spot>).

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::{AccountId, Asset, Balance};

/// What each account's two trade wallets hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Wallets {
    /// Wallets that hold nothing are not kept.
    held: BTreeMap<(AccountId, Asset, bool), Held>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Held {
    free: Decimal,
    locked: Decimal,
}

/// Holdings kept in all; a recording may name any number.
const MOST: usize = 100_000;

/// Returns whether a wallet is one that orders are paid from, and whether it is the one for high-frequency trading.
pub(super) fn pays(wallet: &str) -> Option<bool> {
    match wallet {
        "" | "trade" => Some(false),
        "trade_hf" => Some(true),
        _ => None,
    }
}

impl Wallets {
    /// Makes what one of the wallets says a balance of both. A change needs no other wallet.
    pub(super) fn add(&mut self, balance: &mut Balance, fast: bool) {
        let Some(free) = &mut balance.free else { return };
        let mut place = (balance.account.clone(), balance.asset.clone(), fast);
        let own = Held { free: *free, locked: balance.locked.unwrap_or_default() };
        if own == Held::default() {
            self.held.remove(&place);
        } else if self.held.len() < MOST || self.held.contains_key(&place) {
            self.held.insert(place.clone(), own);
        }
        place.2 = !fast;
        if let Some(other) = self.held.get(&place) {
            *free = free.saturating_add(other.free);
            balance.locked = Some(own.locked.saturating_add(other.locked));
        }
    }
}
