//! How long something took lately: counts in buckets that grow by a fifth, of the last five to ten minutes.

use super::Lag;
use crate::domain::{Span, Timestamp};

/// Buckets of a doubling; each is at most 19 % wider than the one before.
const A_DOUBLING: u32 = 4;
/// Doublings of a microsecond: the last is about 19 hours.
const DOUBLINGS: u32 = 36;
const BUCKETS: usize = (A_DOUBLING * DOUBLINGS) as usize;
/// After this the older half is forgotten.
const HALF: Span = Span::from_secs(300);
const WHOLE: Span = Span::from_secs(600);

/// Two halves of the time that is looked back at.
#[derive(Clone, Debug)]
pub(super) struct Lags {
    now: Vec<u32>,
    before: Vec<u32>,
    turned: Timestamp,
}

impl Default for Lags {
    fn default() -> Self {
        Lags { now: vec![0; BUCKETS], before: vec![0; BUCKETS], turned: Timestamp::EPOCH }
    }
}

impl Lags {
    /// Counts one; a clock that is ahead of ours makes it nothing.
    pub(super) fn note(&mut self, took: Span, now: Timestamp) {
        self.turn(now);
        let bucket = &mut self.now[bucket(took)];
        *bucket = bucket.saturating_add(1);
    }

    /// Returns the median and the 99th percentile.
    pub(super) fn read(&mut self, now: Timestamp) -> Lag {
        self.turn(now);
        let counts: Vec<u64> = self.now.iter().zip(&self.before).map(|(a, b)| u64::from(*a) + u64::from(*b)).collect();
        let n: u64 = counts.iter().sum();
        let at = |share: f64| {
            let wanted = (n as f64 * share).ceil().max(1.0) as u64;
            let mut seen = 0;
            let place = counts.iter().position(|count| {
                seen += count;
                seen >= wanted
            });
            place.map_or(0.0, |place| upper(place) / 1e3)
        };
        if n == 0 { Lag::default() } else { Lag { n, p50_ms: at(0.5), p99_ms: at(0.99) } }
    }

    fn turn(&mut self, now: Timestamp) {
        let (since, is_set_back) = (now.since(self.turned), now < self.turned);
        // A clock that was set back begins anew.
        if since >= HALF || is_set_back {
            let whole = since >= WHOLE || is_set_back;
            self.before = std::mem::replace(&mut self.now, vec![0; BUCKETS]);
            if whole {
                self.before.fill(0);
            }
            self.turned = now;
        }
    }
}

fn bucket(took: Span) -> usize {
    let micros = (took.nanos() / 1_000).max(1) as f64;
    ((micros.log2() * f64::from(A_DOUBLING)) as usize).min(BUCKETS - 1)
}

/// Returns the upper end of a bucket, in microseconds, to three digits.
fn upper(place: usize) -> f64 {
    let end = ((place + 1) as f64 / f64::from(A_DOUBLING)).exp2();
    let digits = 10_f64.powf(end.log10().floor() - 2.0);
    (end / digits).round() * digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(1_772_355_600_000_000_000) + Span::from_secs(seconds)
    }

    #[test]
    fn the_median_and_the_slowest_hundredth_are_told_to_a_fifth() {
        let mut lags = Lags::default();
        assert_eq!(lags.read(at(0)), Lag::default());
        for milli in 1..=1_000 {
            lags.note(Span::from_nanos(milli * 1_000_000), at(1));
        }
        let Lag { n, p50_ms, p99_ms } = lags.read(at(2));
        assert_eq!(n, 1_000);
        assert!((500.0..600.0).contains(&p50_ms), "{p50_ms}");
        assert!((990.0..1_190.0).contains(&p99_ms), "{p99_ms}");
    }

    #[test]
    fn what_is_older_than_ten_minutes_is_forgotten_and_a_strange_clock_does_no_harm() {
        let mut lags = Lags::default();
        lags.note(Span::from_secs(-5), at(0));
        lags.note(Span::from_secs(i64::MAX / 2_000_000_000), at(0));
        assert_eq!(lags.read(at(299)).n, 2);
        assert_eq!(lags.read(at(301)).n, 2);
        assert_eq!(lags.read(at(602)).n, 0);
        lags.note(Span::from_secs(1), at(603));
        assert_eq!(lags.read(at(-9_000)).n, 0);
    }
}
