//! What an account owns as its orders fill.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::domain::Asset;

/// What an account owns.
#[derive(Default)]
pub(super) struct Purse {
    free: BTreeMap<Asset, Decimal>,
    locked: BTreeMap<Asset, Decimal>,
    lowest: BTreeMap<Asset, Decimal>,
}

impl Purse {
    /// Adds to what is free, or takes from it below zero.
    pub(super) fn add(&mut self, asset: &Asset, amount: Decimal) {
        let free = self.free.entry(asset.clone()).or_default();
        *free += amount;
        let lowest = self.lowest.entry(asset.clone()).or_default();
        *lowest = (*lowest).min(*free);
    }

    /// Sets aside for a resting order.
    pub(super) fn lock(&mut self, asset: &Asset, amount: Decimal) {
        self.add(asset, -amount);
        *self.locked.entry(asset.clone()).or_default() += amount;
    }

    /// Takes from what was set aside.
    pub(super) fn spend_locked(&mut self, asset: &Asset, amount: Decimal) {
        *self.locked.entry(asset.clone()).or_default() -= amount;
    }

    /// Returns an asset with what of it is free and locked.
    pub(super) fn of<'a>(&self, asset: &'a Asset) -> (&'a Asset, Decimal, Decimal) {
        // A difference can be a zero with a minus sign, which no exchange writes.
        let held = |map: &BTreeMap<Asset, Decimal>| match map.get(asset) {
            Some(amount) if !amount.is_zero() => *amount,
            Some(_) | None => Decimal::ZERO,
        };
        (asset, held(&self.free), held(&self.locked))
    }

    /// Returns what must have been there at first so that nothing was overdrawn, and `spare` beyond it.
    pub(super) fn beginning(self, spare: &BTreeMap<Asset, Decimal>) -> Purse {
        let mut free: BTreeMap<Asset, Decimal> =
            self.lowest.into_iter().map(|(asset, lowest)| (asset, -lowest)).collect();
        for (asset, amount) in spare {
            *free.entry(asset.clone()).or_default() += *amount;
        }
        Purse { free, ..Purse::default() }
    }

    /// Returns all assets it holds or held.
    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.free.keys()
    }
}

/// What the exchange keeps of what an order brings in.
pub(super) fn fee_of(received: Decimal) -> Decimal {
    cut(received * Decimal::new(1, 3))
}

/// Cuts to eight decimals, as the exchange books.
pub(super) fn cut(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(8, RoundingStrategy::ToZero)
}
