//! The only place that reads a clock.

use crate::domain::Timestamp;

/// Returns the time now.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Timestamp {
    Timestamp::from_nanos(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX))
}

/// Returns a point on the steady clock, for measuring how long something took; never for what a rule sees.
///
/// It is the timers' own clock, so that a test that pauses their time pauses whatever is measured too.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn steady() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
