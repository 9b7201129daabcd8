//! How long to wait before the next attempt: decorrelated jitter, so that many clients do not come back together.

use std::time::Duration;

/// Bounds of the waits between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The shortest wait.
    pub min: Duration,
    /// The longest wait.
    pub max: Duration,
    /// What lasted this long was healthy: the next wait is a short one again.
    pub healthy: Duration,
}

/// The waits of one thing that is attempted again and again.
///
/// Each wait is drawn between `min` and three times the one before, at most `max`
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>, "decorrelated jitter").
#[derive(Clone, Debug)]
pub struct Backoff {
    settings: Settings,
    last: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { min: Duration::from_millis(500), max: Duration::from_secs(60), healthy: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// Starts with short waits.
    pub fn new(settings: Settings) -> Self {
        Backoff { settings, last: settings.min }
    }

    /// Returns the next wait; `random` is drawn evenly from 0 to 1.
    pub fn next(&mut self, random: f64) -> Duration {
        let min = self.settings.min.as_secs_f64();
        let reach = (self.last.as_secs_f64() * 3.0).max(min);
        let wait = min + (reach - min) * random.clamp(0.0, 1.0);
        // Clamped in Duration: rounding through f64 must not step over the bounds.
        let wait = Duration::try_from_secs_f64(wait).unwrap_or(self.settings.max);
        self.last = wait.max(self.settings.min).min(self.settings.max);
        self.last
    }

    /// Returns the next wait, drawn from the machine's own randomness.
    pub fn draw(&mut self) -> Duration {
        self.next(rand::random())
    }

    /// Notes how long the last attempt lasted; a healthy one makes the next wait short again.
    pub fn lasted(&mut self, time: Duration) {
        if time >= self.settings.healthy {
            self.last = self.settings.min;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        let (min, max) = (Duration::from_millis(500), Duration::from_secs(60));
        Backoff::new(Settings { min, max, healthy: Duration::from_secs(30) })
    }

    #[test]
    fn waits_grow_threefold_at_most_and_stop_at_the_longest() {
        let mut backoff = backoff();
        let waits: Vec<u128> = (0..6).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [1_500, 4_500, 13_500, 40_500, 60_000, 60_000]);
    }

    #[test]
    fn the_luckiest_draw_is_the_shortest_wait() {
        let mut backoff = backoff();
        backoff.next(1.0);
        assert_eq!(backoff.next(0.0), Duration::from_millis(500));
        assert_eq!(backoff.next(0.5), Duration::from_millis(1_000));
    }

    #[test]
    fn only_a_healthy_attempt_makes_the_next_wait_short() {
        let mut backoff = backoff();
        for _ in 0..9 {
            backoff.next(1.0);
        }
        backoff.lasted(Duration::from_secs(29));
        assert_eq!(backoff.next(1.0), Duration::from_secs(60));
        backoff.lasted(Duration::from_secs(30));
        assert_eq!(backoff.next(1.0), Duration::from_millis(1_500));
    }
}
