//! What is asked of a pair's past when its market is first wanted, and which pairs an exchange does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::Error;
use super::settings::Timing;
use crate::domain::{Span, Symbol, Timestamp, Venue};

/// An order may be minutes old when its pair's past comes, and needs the whole span before it.
const BEYOND: Span = Span::from_secs(900);
/// A refused pair is asked for again after this long: it may have been listed since.
const AGAIN: Duration = Duration::from_secs(3_600);
/// Refused pairs remembered.
const MOST_REFUSED: usize = 10_000;

/// Returns the minute from which bars are asked for, in milliseconds.
pub(super) fn begin(timing: &Timing, now: Timestamp) -> i64 {
    (now - Span::from(timing.seed) - BEYOND).millis().div_euclid(60_000) * 60_000
}

/// The pairs whose memory was seeded since the start.
#[derive(Debug, Default)]
pub(crate) struct Seeded(Mutex<BTreeSet<(Venue, Symbol)>>);

impl Seeded {
    /// Returns true the first time it is asked about a pair.
    pub(crate) fn first(&self, venue: Venue, symbol: &Symbol) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((venue, symbol.clone()))
    }

    /// Takes how the seeding of a pair ended: what failed is done again when the pair is next subscribed to. A refusal
    /// is told with the pair's name and ends there: it is no fault of the connection.
    pub(crate) fn ended(&self, venue: Venue, symbol: &Symbol, ended: Result<(), Error>) -> Result<(), Error> {
        let Err(error) = ended else { return Ok(()) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(venue, symbol.clone()));
        if !matches!(error, Error::Refused(_)) {
            return Err(error);
        }
        tracing::warn!(%venue, pair = %symbol, %error, "the exchange does not tell this pair's past; its market is judged by what comes");
        Ok(())
    }
}

/// Pairs an exchange refused to tell of. They are left out of subscriptions, so that they spoil no other pair.
#[derive(Debug, Default)]
pub(crate) struct Unknown(Mutex<BTreeMap<(Venue, Symbol), Instant>>);

impl Unknown {
    /// Notes a refusal, and says so.
    pub(crate) fn refused(&self, venue: Venue, symbol: &Symbol, now: Instant) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= MOST_REFUSED {
            refused.retain(|_, at| now.saturating_duration_since(*at) < AGAIN);
        }
        if refused.len() < MOST_REFUSED {
            refused.insert((venue, symbol.clone()), now);
        }
        tracing::warn!(%venue, pair = %symbol, "the exchange does not know this pair (any more); its market is not watched");
    }

    /// Returns those of `pairs` that were not refused lately.
    pub(crate) fn without(&self, venue: Venue, pairs: &BTreeSet<Symbol>, now: Instant) -> BTreeSet<Symbol> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |symbol: &&Symbol| {
            let at = refused.get(&(venue, (*symbol).clone()));
            at.is_none_or(|at| now.saturating_duration_since(*at) >= AGAIN)
        };
        pairs.iter().filter(fresh).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::error::Refusal;
    use crate::runtime::clock;

    fn symbol(name: &str) -> Symbol {
        Symbol::from_dashed(name).unwrap()
    }

    #[test]
    fn a_refused_pair_is_left_out_for_an_hour() {
        let (unknown, now) = (Unknown::default(), clock::steady());
        let pairs = BTreeSet::from([symbol("A-X"), symbol("B-X")]);
        unknown.refused(Venue::Kucoin, &symbol("A-X"), now);
        assert_eq!(unknown.without(Venue::Kucoin, &pairs, now), BTreeSet::from([symbol("B-X")]));
        assert_eq!(unknown.without(Venue::Coinbase, &pairs, now), pairs, "another exchange");
        assert_eq!(unknown.without(Venue::Kucoin, &pairs, now + AGAIN), pairs, "it may be listed by now");
    }

    #[test]
    fn what_could_not_be_read_is_asked_for_again_and_a_refusal_is_no_fault() {
        let seeded = Seeded::default();
        assert!(seeded.first(Venue::Kucoin, &symbol("A-X")) && !seeded.first(Venue::Kucoin, &symbol("A-X")));
        let refused = Err(Error::Refused(Refusal::kucoin("400100")));
        assert_eq!(seeded.ended(Venue::Kucoin, &symbol("A-X"), refused), Ok(()));
        assert!(seeded.first(Venue::Kucoin, &symbol("A-X")));
        assert_eq!(seeded.ended(Venue::Kucoin, &symbol("A-X"), Ok(())), Ok(()));
        assert!(!seeded.first(Venue::Kucoin, &symbol("A-X")));
        let failed = seeded.ended(Venue::Kucoin, &symbol("A-X"), Err(Error::Http(502)));
        assert_eq!(failed, Err(Error::Http(502)));
    }
}
