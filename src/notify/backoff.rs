//! How long to wait before the next attempt.

use std::time::Duration;

/// Decorrelated jitter: each wait is drawn between `first` and three times the one before, up to `most`.
///
/// Many senders that failed together so spread out instead of returning together
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The shortest wait; 1 s by default.
    pub first: Duration,
    /// The longest wait of a message; 15 min by default.
    pub most: Duration,
    /// The longest wait of a channel that cannot be reached before it is tried with another message; 1 min by default.
    pub probe: Duration,
    /// How long a message may be late before the other channels are told; 10 min by default.
    pub late: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            first: Duration::from_secs(1),
            most: Duration::from_secs(15 * 60),
            probe: Duration::from_secs(60),
            late: Duration::from_secs(10 * 60),
        }
    }
}

impl Settings {
    /// Returns the wait after one of `previous`; `dice` lies in 0..1 and comes from outside.
    pub fn after(&self, previous: Duration, dice: f64) -> Duration {
        let widest = previous.saturating_mul(3).clamp(self.first, self.most);
        self.first + widest.saturating_sub(self.first).mul_f64(dice.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_the_first_to_the_most_and_stay_there() {
        let settings = Settings::default();
        let mut wait = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..9 {
            wait = settings.after(wait, 1.0);
            waits.push(wait.as_secs());
        }
        assert_eq!(waits, [1, 3, 9, 27, 81, 243, 729, 900, 900]);
    }

    proptest::proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_the_first_nor_longer_than_the_most(previous in 0_u64..1_000_000, dice in -1.0..2.0) {
            let settings = Settings::default();
            let wait = settings.after(Duration::from_secs(previous), dice);
            proptest::prop_assert!(wait >= settings.first && wait <= settings.most);
        }
    }
}
