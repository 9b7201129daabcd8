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
    /// When the first reading was so, which nothing could be compared with; none where balances are remembered.
    began: Option<i64>,
    /// When the reading was so, and each asset told since, in milliseconds of the exchange's clock.
    read: i64,
    told: BTreeMap<String, i64>,
    /// Assets that moved without a trade that was found, when they were last looked at.
    unexplained: BTreeSet<String>,
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

    /// Notes an asset's new total as the feed told it; `updated` is when it was so, in milliseconds. What comes late
    /// and is older than what is known changes nothing: it would look like money that moved back.
    pub(in crate::feed) fn moved(&self, asset: &str, free: &str, locked: &str, updated: Option<i64>) {
        let (Ok(free), Ok(locked)) = (decimal(free), decimal(locked)) else { return };
        let mut seen = self.seen();
        let known = seen.told.get(asset).copied().unwrap_or(seen.read);
        if seen.balances.is_none() || updated.is_some_and(|updated| updated < known) {
            return;
        }
        if let (Some(balances), Some(total)) = (&mut seen.balances, free.checked_add(locked)) {
            balances.insert(asset.to_owned(), total);
        }
        seen.told.insert(asset.to_owned(), updated.unwrap_or(known));
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

    /// Returns the assets that the feed named since the last reading.
    pub(super) fn told(&self) -> BTreeSet<String> {
        self.seen().told.keys().cloned().collect()
    }

    /// Takes the first reading over, which begins at `read`: nothing before that can be proven by balances.
    pub(super) fn begin(&self, balances: BTreeMap<String, Decimal>, read: i64) {
        self.settle(balances, read);
        self.seen().began.get_or_insert(read);
    }

    /// Returns before when nothing is proven, in milliseconds.
    pub(super) fn began(&self) -> Option<i64> {
        self.seen().began
    }

    /// Takes a reading over as what is known; `read` is when it was so, in milliseconds.
    pub(in crate::feed) fn settle(&self, balances: BTreeMap<String, Decimal>, read: i64) {
        let mut seen = self.seen();
        let Seen { balances: known, told, .. } = &mut *seen;
        told.retain(|_, at| *at > read);
        let known = known.get_or_insert_default();
        known.retain(|asset, _| told.contains_key(asset));
        // What the feed told after the reading is newer.
        for (asset, total) in balances {
            known.entry(asset).or_insert(total);
        }
        seen.read = read;
        seen.unexplained.clear();
    }

    /// Takes that these assets moved and no trade says why. True the second time in a row: then it was something else
    /// than a trade (a deposit), and not a list of trades that lags behind the balances.
    pub(super) fn puzzled(&self, assets: BTreeSet<String>) -> bool {
        let mut seen = self.seen();
        let again = assets.is_subset(&seen.unexplained);
        seen.unexplained = assets;
        again
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
        known.moved("BTC", "1", "0", None);
        let first = reading(&[("BTC", 5), ("USDT", 10)]);
        assert_eq!(known.changed(&first), None, "nothing to compare with");
        known.settle(first, 100);
        known.moved("BTC", "3", "1", Some(150));
        for late in [99, 149] {
            known.moved("BTC", "9", "0", Some(late));
        }
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
        known.settle(other.clone(), 200);
        assert_eq!(known.changed(&other), Some(BTreeSet::new()));
    }
}
