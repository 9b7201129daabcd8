//! Remembers how far each pair's public trades were read, because a reconnect and a page send old ones again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{Symbol, Timestamp};

/// The last trade of each pair: its number in the exchange's sequence and its time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Newest(BTreeMap<Symbol, (u64, Timestamp)>);

impl Newest {
    /// Pairs remembered; past it the longest silent tenth is forgotten.
    const PAIRS: usize = 20_000;

    /// Returns whether this trade was not read before.
    ///
    /// Only a trade that is old by number and by time is a repeat: an exchange that starts its numbers anew must not
    /// make us deaf to the pair.
    pub fn take(&mut self, symbol: &Symbol, number: u64, time: Timestamp) -> bool {
        if let Some(last) = self.0.get_mut(symbol) {
            if number <= last.0 && time <= last.1 {
                return false;
            }
            *last = (number, time);
            return true;
        }
        if self.0.len() >= Self::PAIRS {
            let mut times: Vec<Timestamp> = self.0.values().map(|last| last.1).collect();
            times.sort_unstable();
            let keep_after = times.get(Self::PAIRS / 10).copied().unwrap_or_default();
            self.0.retain(|_, last| last.1 > keep_after);
        }
        self.0.insert(symbol.clone(), (number, time));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(base: usize) -> Symbol {
        Symbol::from_dashed(&format!("A{base}-USDT")).unwrap()
    }

    #[test]
    fn a_trade_sent_again_is_not_new_and_a_sequence_that_starts_anew_is() {
        let mut newest = Newest::default();
        let at = Timestamp::from_millis;
        assert!(newest.take(&symbol(1), 10, at(1_000)) && newest.take(&symbol(1), 11, at(1_000)));
        assert!(!newest.take(&symbol(1), 10, at(1_000)) && !newest.take(&symbol(1), 11, at(1_000)));
        assert!(newest.take(&symbol(1), 1, at(2_000)) && newest.take(&symbol(2), 1, at(1)));
    }

    #[test]
    fn it_forgets_the_longest_silent_pairs_first() {
        let mut newest = Newest::default();
        for pair in 0..=Newest::PAIRS {
            newest.take(&symbol(pair), 1, Timestamp::from_millis(pair as i64));
        }
        assert!(newest.0.len() <= Newest::PAIRS);
        assert!(newest.0.contains_key(&symbol(Newest::PAIRS)) && !newest.0.contains_key(&symbol(0)));
    }
}
