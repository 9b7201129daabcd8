//! Tiny orders by which a stolen key is tried before it is used.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::Account;
use crate::domain::{Span, Timestamp};

/// How long a tried key is watched more closely.
const WATCHED: Span = Span::from_secs(7 * 86_400);
/// What is worth more than this, in units of 30,000 dollars, tries nothing: 30 dollars.
const TINY: f64 = 0.001;
/// What the owner usually spends is at least this many times more.
const BELOW: f64 = 10.0;
/// A session may have been this many times larger and still was as tiny.
const ALIKE: f64 = 3.0;
/// Sessions that must be known.
const KNOWN: usize = 5;

/// A tiny order that may have tried the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Which order.
    pub order_id: CompactString,
    /// When.
    pub at: Timestamp,
    /// Its worth, in units.
    pub units: f64,
}

impl Account {
    /// Remembers a tiny order in a pair that is new to the account if it is nothing the account does; `odd` says that
    /// its origin is strange, or that the key had slept.
    pub fn try_key(&mut self, order_id: &CompactString, at: Timestamp, units: f64, odd: bool) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.order_id == *order_id) {
            probe.units = units;
            if units > TINY {
                self.probe = None;
            }
            return;
        }
        let usual = self.buys.median_and_scale().map_or(0.0, |(median, _)| median.exp());
        let seldom = self.buys.at_most((units * ALIKE).ln()) * 10 <= self.buys.len();
        if odd && units <= TINY && self.buys.len() >= KNOWN && usual >= BELOW * units && seldom {
            self.probe = Some(Probe { order_id: order_id.clone(), at, units });
        }
    }

    /// Returns the tiny order that tried the key within the week before `now`, where `order_id` is another.
    pub fn tried(&self, order_id: &str, now: Timestamp) -> Option<&Probe> {
        self.probe
            .as_ref()
            .filter(|probe| probe.order_id != order_id && probe.at <= now && now.since(probe.at) <= WATCHED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AccountId, Venue};

    fn account(spends: f64) -> Account {
        let mut account = Account::new(AccountId::new(Venue::Binance, "alice").unwrap());
        (0..20).for_each(|_| account.buys.push(spends.ln()));
        account
    }

    #[test]
    fn a_tiny_odd_order_tries_the_key_for_a_week() {
        let mut account = account(0.05);
        account.try_key(&"1".into(), Timestamp::EPOCH, 0.0004, true);
        assert!(account.tried("2", Timestamp::EPOCH + Span::from_secs(6 * 86_400)).is_some());
        assert!(account.tried("1", Timestamp::EPOCH).is_none(), "the order itself is no sequel");
        assert!(account.tried("2", Timestamp::EPOCH + Span::from_secs(8 * 86_400)).is_none());
    }

    #[test]
    fn neither_a_usual_origin_nor_a_habit_of_tiny_orders_nor_the_first_fill_of_a_large_order_tries_it() {
        let mut calm = account(0.05);
        calm.try_key(&"1".into(), Timestamp::EPOCH, 0.0004, false);
        let mut small = account(0.0005);
        small.try_key(&"1".into(), Timestamp::EPOCH, 0.0004, true);
        let mut grows = account(0.05);
        grows.try_key(&"1".into(), Timestamp::EPOCH, 0.0004, true);
        grows.try_key(&"1".into(), Timestamp::EPOCH, 0.2, true);
        for account in [calm, small, grows] {
            assert!(account.tried("2", Timestamp::EPOCH).is_none());
        }
    }
}
