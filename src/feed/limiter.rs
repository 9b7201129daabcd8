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
    /// What [`Limiter::spare`] leaves.
    reserve: u32,
    state: Mutex<State>,
    turns: tokio::sync::Mutex<()>,
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

tokio::task_local! {
    static PATIENT: ();
}

/// Has all calls within `asking` stand back behind those of others: with thousands of accounts the standing comparisons
/// alone would spend whatever an exchange allows.
pub(crate) async fn patiently<T>(asking: impl Future<Output = T>) -> T {
    PATIENT.scope((), asking).await
}

/// The longest pause that is believed.
pub(crate) const LONGEST: Duration = Duration::from_secs(3 * 86_400);

impl Limiter {
    /// Allows `count` in `per`, of which at most `burst` at once.
    pub fn new(count: u32, per: Duration, burst: u32) -> Self {
        let per_second = f64::from(count) / per.as_secs_f64().max(1e-9);
        let state = State { left: f64::from(burst), at: clock::steady(), not_before: None };
        Limiter {
            burst: f64::from(burst),
            per_second,
            reserve: burst / 8,
            state: Mutex::new(state),
            turns: tokio::sync::Mutex::default(),
        }
    }

    /// Waits until `cost` may be spent, and spends it. Dropping the wait spends nothing.
    pub async fn ready(&self, cost: u32) {
        while let Err(wait) = self.take(cost, 0, clock::steady()) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits as [`Limiter::ready`] does, but leaves an eighth of the bucket to what is more urgent: an account that is
    /// not subscribed yet is blind, while what it missed can be asked for later. Who asks [`patiently`] leaves three
    /// eighths: of what was certainly missed, before what is only compared.
    pub async fn spare(&self, cost: u32) {
        let patient = PATIENT.try_with(|()| ()).is_ok();
        let reserve = if patient { self.reserve.saturating_mul(3) } else { self.reserve };
        while let Err(wait) = self.take(cost, reserve, clock::steady()) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits as [`Limiter::ready`] does, behind those who came earlier: ten thousand who wait for the same bucket wake
    /// one at a time, in the order in which they were started.
    pub async fn turn(&self, cost: u32) {
        let _turn = self.turns.lock().await;
        self.ready(cost).await;
    }

    /// Forbids everything for `wait`: the exchange said so.
    ///
    /// Three days at most, the longest ban any of them documents: a header is not trusted with more.
    pub fn pause(&self, wait: Duration) {
        let until = clock::steady() + wait.min(LONGEST);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.not_before = state.not_before.max(Some(until));
    }

    fn take(&self, cost: u32, reserve: u32, now: Instant) -> Result<(), Duration> {
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
        let needed = (cost + f64::from(reserve)).min(self.burst);
        if state.left >= needed {
            state.left -= cost;
            return Ok(());
        }
        let wait =
            Duration::try_from_secs_f64((needed - state.left) / self.per_second).unwrap_or(Duration::from_secs(60));
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
        let wait = limiter.take(1, 0, clock::steady()).unwrap_err();
        assert!(wait <= LONGEST && wait > LONGEST - Duration::from_secs(60), "{wait:?}");
    }

    #[test]
    fn a_burst_is_spent_and_fills_evenly() {
        let limiter = Limiter::new(30, Duration::from_secs(60), 2);
        let start = clock::steady();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!((limiter.take(1, 0, at(0)), limiter.take(1, 0, at(0))), (Ok(()), Ok(())));
        let wait = limiter.take(1, 0, at(0)).unwrap_err();
        assert!((1_900..=2_001).contains(&wait.as_millis()), "{wait:?}");
        assert!(limiter.take(1, 0, at(1_000)).is_err());
        assert!(limiter.take(1, 0, at(2_100)).is_ok());
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
        assert!(limiter.take(1, 0, clock::steady()).unwrap_err() > Duration::from_secs(29));
        assert!(limiter.take(1, 0, clock::steady() + Duration::from_secs(31)).is_ok());
    }

    #[test]
    fn what_can_wait_leaves_a_reserve_to_what_cannot() {
        let limiter = Limiter::new(80, Duration::from_secs(1), 80);
        let now = clock::steady();
        assert!(limiter.take(70, 10, now).is_ok());
        assert!(limiter.take(1, 10, now).is_err(), "the reserve is not for it");
        assert!(limiter.take(2, 0, now).is_ok(), "the reserve is for this");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_patiently_leaves_weight_to_whoever_missed_something() {
        let limiter = Limiter::new(80, Duration::from_secs(1), 80);
        let compared = async {
            for _ in 0..20 {
                patiently(limiter.spare(10)).await;
            }
            clock::steady()
        };
        let missed = async {
            let begun = clock::steady();
            tokio::time::sleep(Duration::from_millis(200)).await;
            // The comparisons hold at three eighths; this finds what they left.
            limiter.spare(10).await;
            limiter.spare(10).await;
            clock::steady() - begun
        };
        let begun = clock::steady();
        let (compared, missed) = tokio::join!(compared, missed);
        assert_eq!(missed, Duration::from_millis(200), "it did not wait at all");
        assert!(compared - begun > Duration::from_secs(1), "and they go on");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_for_a_turn_are_let_through_in_their_order() {
        let limiter = std::sync::Arc::new(Limiter::new(1_000, Duration::from_secs(1), 1));
        let (said, mut heard) = tokio::sync::mpsc::channel(64);
        let mut waiting = tokio::task::JoinSet::new();
        for place in 0..50 {
            let (limiter, said) = (std::sync::Arc::clone(&limiter), said.clone());
            waiting.spawn(async move {
                limiter.turn(1).await;
                said.send(place).await.unwrap();
            });
        }
        for place in 0..50 {
            assert_eq!(heard.recv().await, Some(place));
        }
    }
}
