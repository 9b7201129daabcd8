//! What the service manager is told: ready, stopping, how it goes, and that the whole chain still moves.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::clock;

/// Tells the service manager that the daemon has started. Without a service manager this does nothing, as the others.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells the service manager that the daemon is ending.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Sets the line that `systemctl status` shows.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// Sets that line while the daemon starts, and asks for so much more time before the start counts as failed.
pub fn still_starting(text: &str, time: Duration) {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::ExtendTimeoutUsec(micros), NotifyState::Status(text)]);
}

fn tell(state: &[NotifyState]) {
    // A service manager that does not listen is no reason to stop watching accounts.
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// Answers the service manager's watchdog. Only the pipeline's loop holds one, so that an answer means: an arrival
/// (a tick at least) went through the whole chain, not merely that a timer runs.
#[derive(Debug)]
pub struct Watchdog {
    every: Option<Duration>,
    last: Mutex<Option<Instant>>,
}

impl Watchdog {
    /// Reads from the environment whether the service manager wants answers, and how often.
    pub fn from_env() -> Self {
        Watchdog::every(sd_notify::watchdog_enabled())
    }

    fn every(timeout: Option<Duration>) -> Self {
        // A quarter of the timeout: a slow answer still comes in time, and a busy loop does not flood the socket.
        Watchdog { every: timeout.map(|timeout| timeout / 4), last: Mutex::new(None) }
    }

    /// Says that an arrival went through the whole chain. Cheap: the socket is written to at most four times a timeout.
    pub fn progress(&self) {
        if self.due(clock::steady()) {
            tell(&[NotifyState::Watchdog]);
        }
    }

    fn due(&self, now: Instant) -> bool {
        let Some(every) = self.every else { return false };
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= every);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_answered_a_quarter_of_its_timeout_apart() {
        let watchdog = Watchdog::every(Some(Duration::from_secs(20)));
        let start = clock::steady();
        let answers: Vec<u64> = (0..20).filter(|s| watchdog.due(start + Duration::from_secs(*s))).collect();
        assert_eq!(answers, [0, 5, 10, 15]);
    }

    #[test]
    fn nobody_is_answered_who_did_not_ask() {
        assert!(!Watchdog::every(None).due(clock::steady()));
    }
}
