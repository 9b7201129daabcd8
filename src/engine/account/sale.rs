//! Holdings that were sold off.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Account;
use crate::domain::{Asset, Fill, Span, Timestamp};

const MOST_SALES: usize = 24;

/// A taker sell of a holding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sale {
    /// Of what.
    pub asset: Asset,
    /// When.
    pub at: Timestamp,
    /// How much of it.
    pub quantity: Decimal,
    /// Its worth, in units.
    pub units: f64,
    /// Whether it was nearly all of the holding, where the balance is known.
    pub whole: Option<bool>,
}

impl Account {
    /// Returns the taker sells of other assets than `but` within `span` before `now`, newest of each asset.
    pub fn sold_within(&self, now: Timestamp, span: Span, but: Option<&Asset>) -> Vec<&Sale> {
        let mut of_asset = BTreeMap::new();
        for sale in &self.sales {
            // What was sold after `now` is none of its past: an order can be judged again when the market shows it.
            if sale.at <= now && now.since(sale.at) <= span && Some(&sale.asset) != but {
                of_asset.insert(&sale.asset, sale);
            }
        }
        of_asset.into_values().collect()
    }

    pub(super) fn sell_off(&mut self, fill: &Fill, time: Timestamp, units: f64) {
        let asset = fill.symbol.base();
        let held = self.balances.get(asset).map(|held| held.amount);
        let running =
            self.sales.iter_mut().find(|sale| sale.asset == *asset && time.since(sale.at) <= Span::from_secs(60));
        let quantity = running.as_ref().map_or(Decimal::ZERO, |sale| sale.quantity).saturating_add(fill.quantity.get());
        // The balance may have been told before or after the sell; nearly all of it went either way if what is left
        // is a tenth of what was sold, or what was sold is nine tenths of what was held.
        let whole = held.map(|held| {
            held.saturating_mul(Decimal::TEN) <= quantity || quantity >= held.saturating_mul(Decimal::new(9, 1))
        });
        match running {
            Some(sale) => {
                sale.quantity = quantity;
                sale.units += units;
                sale.whole = whole;
                sale.at = sale.at.max(time);
            }
            None => {
                if self.sales.len() == MOST_SALES {
                    self.sales.pop_front();
                }
                self.sales.push_back(Sale { asset: asset.clone(), at: time, quantity, units, whole });
            }
        }
        let sold = self.sold_within(time, Span::from_secs(60), None);
        let emptied = sold.iter().filter(|sale| sale.whole == Some(true)).count();
        let count = |assets: usize| u8::try_from(assets).unwrap_or(u8::MAX);
        let (sold, emptied) = (count(sold.len()), count(emptied));
        self.session.sold = self.session.sold.max(sold);
        self.session.emptied = self.session.emptied.max(emptied);
    }
}
