//! Keeps our calls and connects inside an exchange's limits.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::Error;
use crate::runtime::clock;

/// A bucket of allowances that fills evenly; everything that talks to one host shares it.
#[derive(Debug)]
pub struct Limiter {
    burst: f64,
    per_second: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: f64,
    at: Instant,
    not_before: Option<Instant>,
}

/// Lets everybody who pays from `limiters` wait when a connection was answered with "too many".
pub(crate) fn obeyed<T>(asked: Result<T, Error>, limiters: &[&Limiter]) -> Result<T, Error> {
    if let Err(Error::Limited(wait)) = &asked {
        limiters.iter().for_each(|limiter| limiter.pause(*wait));
    }
    asked
}

/// The longest pause that is believed.
pub(crate) const LONGEST: Duration = Duration::from_secs(3 * 86_400);

impl Limiter {
    /// Allows `count` in `per`, of which at most `burst` at once.
    pub fn new(count: u32, per: Duration, burst: u32) -> Self {
        let per_second = f64::from(count) / per.as_secs_f64().max(1e-9);
        let state = State { left: f64::from(burst), at: clock::steady(), not_before: None };
        Limiter { burst: f64::from(burst), per_second, state: Mutex::new(state) }
    }

    /// Waits until `cost` may be spent, and spends it. Dropping the wait spends nothing.
    pub async fn ready(&self, cost: u32) {
        while let Err(wait) = self.take(cost, clock::steady()) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Forbids everything for `wait`: the exchange said so.
    ///
    /// Three days at most, the longest ban any of them documents: a header is not trusted with more.
    pub fn pause(&self, wait: Duration) {
        let until = clock::steady() + wait.min(LONGEST);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.not_before = state.not_before.max(Some(until));
    }

    fn take(&self, cost: u32, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = state.not_before {
            if now < until {
                return Err(until - now);
            }
            state.not_before = None;
        }
        let filled = state.left + now.saturating_duration_since(state.at).as_secs_f64() * self.per_second;
        state.left = filled.min(self.burst);
        state.at = now;
        // More than the bucket can ever hold is let through when it is full, else it would wait for ever.
        let cost = f64::from(cost).min(self.burst);
        if state.left >= cost {
            state.left -= cost;
            return Ok(());
        }
        let wait =
            Duration::try_from_secs_f64((cost - state.left) / self.per_second).unwrap_or(Duration::from_secs(60));
        // At least a millisecond: rounding must not make this a busy loop.
        Err(wait.max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_centuries_is_believed_for_three_days() {
        let limiter = Limiter::new(30, Duration::from_secs(60), 2);
        limiter.pause(Duration::from_secs(u64::MAX));
        let wait = limiter.take(1, clock::steady()).unwrap_err();
        assert!(wait <= LONGEST && wait > LONGEST - Duration::from_secs(60), "{wait:?}");
    }

    #[test]
    fn a_burst_is_spent_and_fills_evenly() {
        let limiter = Limiter::new(30, Duration::from_secs(60), 2);
        let start = clock::steady();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!((limiter.take(1, at(0)), limiter.take(1, at(0))), (Ok(()), Ok(())));
        let wait = limiter.take(1, at(0)).unwrap_err();
        assert!((1_900..=2_001).contains(&wait.as_millis()), "{wait:?}");
        assert!(limiter.take(1, at(1_000)).is_err());
        assert!(limiter.take(1, at(2_100)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_for_those_who_wait_already_and_a_shorter_one_does_not_end_it() {
        let limiter = Limiter::new(10, Duration::from_secs(10), 1);
        limiter.ready(1).await;
        let begun = clock::steady();
        let waiting = async {
            limiter.ready(1).await;
            clock::steady() - begun
        };
        let forbidding = async {
            limiter.pause(Duration::from_secs(30));
            limiter.pause(Duration::from_secs(5));
        };
        let (waited, ()) = tokio::join!(waiting, forbidding);
        // It would have had its turn after a second.
        assert!(waited >= Duration::from_secs(30) && waited < Duration::from_secs(31), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_nothing_waits_for_the_end_of_a_pause_all_the_same() {
        let limiter = Limiter::new(10, Duration::from_secs(10), 1);
        limiter.ready(1).await;
        let begun = clock::steady();
        limiter.ready(0).await;
        assert_eq!(clock::steady(), begun);
        limiter.pause(Duration::from_secs(7));
        limiter.ready(0).await;
        assert!(clock::steady() - begun >= Duration::from_secs(7));
    }

    #[test]
    fn nothing_passes_while_the_exchange_forbids_it() {
        let limiter = Limiter::new(100, Duration::from_secs(1), 100);
        limiter.pause(Duration::from_secs(30));
        assert!(limiter.take(1, clock::steady()).unwrap_err() > Duration::from_secs(29));
        assert!(limiter.take(1, clock::steady() + Duration::from_secs(31)).is_ok());
    }
}
