//! What is known of the accounts on a connection, for choosing the pairs a gap is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use rust_decimal::Decimal;

use crate::domain::decimal;

/// Pairs remembered of one account; beyond it the account is asked for these only, and the gap is not verified.
const PAIRS: usize = 512;

/// What was seen of one account since the start.
#[derive(Debug, Default)]
pub(in crate::feed) struct Known(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    pairs: BTreeSet<String>,
    /// Totals by asset; none before the first reading.
    balances: Option<BTreeMap<String, Decimal>>,
}

impl Known {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a pair the account touched.
    pub(in crate::feed) fn touched(&self, pair: &str) {
        let mut seen = self.seen();
        if seen.pairs.len() < PAIRS && !seen.pairs.contains(pair) {
            seen.pairs.insert(pair.to_owned());
        }
    }

    /// Returns the pairs the account touched.
    pub(in crate::feed) fn pairs(&self) -> BTreeSet<String> {
        self.seen().pairs.clone()
    }

    /// Notes an asset's new total as the feed told it.
    pub(in crate::feed) fn moved(&self, asset: &str, free: &str, locked: &str) {
        let (Ok(free), Ok(locked)) = (decimal(free), decimal(locked)) else { return };
        if let (Some(balances), Some(total)) = (&mut self.seen().balances, free.checked_add(locked)) {
            balances.insert(asset.to_owned(), total);
        }
    }

    /// Compares a full reading with what is known; returns the assets whose total differs, or nothing when nothing was
    /// known. The reading is not taken over: that waits until all that it raises was answered (see [`Known::settle`]),
    /// because the difference is the only trace of a pair nobody has seen.
    pub(in crate::feed) fn changed(&self, balances: &BTreeMap<String, Decimal>) -> Option<BTreeSet<String>> {
        let seen = self.seen();
        let before = seen.balances.as_ref()?;
        let total = |of: &BTreeMap<String, Decimal>, asset: &str| of.get(asset).copied().unwrap_or_default();
        let assets: BTreeSet<String> = before.keys().chain(balances.keys()).cloned().collect();
        Some(assets.into_iter().filter(|asset| total(before, asset) != total(balances, asset)).collect())
    }

    /// Takes a reading over as what is known.
    pub(in crate::feed) fn settle(&self, balances: BTreeMap<String, Decimal>) {
        self.seen().balances = Some(balances);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(rows: &[(&str, i64)]) -> BTreeMap<String, Decimal> {
        rows.iter().map(|(asset, total)| ((*asset).to_owned(), Decimal::from(*total))).collect()
    }

    #[test]
    fn a_reading_is_compared_with_what_the_feed_told_since_the_one_before() {
        let known = Known::default();
        known.moved("BTC", "1", "0");
        let first = reading(&[("BTC", 5), ("USDT", 10)]);
        assert_eq!(known.changed(&first), None, "nothing to compare with");
        known.settle(first);
        known.moved("BTC", "3", "1");
        assert_eq!(known.changed(&reading(&[("BTC", 4), ("USDT", 10)])), Some(BTreeSet::new()));
        let other = reading(&[("BTC", 4), ("APC", 7)]);
        for asked in 0..2 {
            let changed = known.changed(&other).unwrap();
            assert_eq!(
                changed.into_iter().collect::<Vec<_>>(),
                ["APC", "USDT"],
                "asked again ({asked}): still unsettled"
            );
        }
        known.settle(other.clone());
        assert_eq!(known.changed(&other), Some(BTreeSet::new()));
    }
}
