//! Points in time and spans between them.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// Nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A span of time in nanoseconds; negative when it points backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

impl Timestamp {
    /// The start of 1970.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// Takes nanoseconds since 1970.
    pub const fn from_nanos(nanos: i64) -> Self {
        Timestamp(nanos)
    }

    /// Takes milliseconds since 1970; saturates at the ends of the range.
    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis.saturating_mul(1_000_000))
    }

    /// Takes an exchange's number and tells seconds, milli-, micro- and nanoseconds apart by magnitude:
    /// s < 1e11 <= ms < 1e14 <= µs < 1e17 <= ns. Returns nothing for a number that is not after 1970.
    pub const fn from_magnitude(number: i64) -> Option<Self> {
        let scale = match number {
            i64::MIN..=0 => return None,
            1..100_000_000_000 => 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        };
        match number.checked_mul(scale) {
            Some(nanos) => Some(Timestamp(nanos)),
            None => None,
        }
    }

    /// Reads RFC 3339 text such as `2026-04-07T14:30:06.123456789Z`.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let nanos = text.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
        i64::try_from(nanos).ok().map(Timestamp)
    }

    /// Returns nanoseconds since 1970.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Returns whole milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Returns the span from `earlier` to this, at least zero.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span(self.0.saturating_sub(earlier.0).max(0))
    }
}

impl Span {
    /// The units that a span is written in, and the nanoseconds each has; the largest first.
    pub const UNITS: [(&'static str, u64); 6] = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
    ];

    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// Takes nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Span(nanos)
    }

    /// Takes milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Span(millis.saturating_mul(1_000_000))
    }

    /// Takes seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Span(secs.saturating_mul(1_000_000_000))
    }

    /// Returns nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Returns seconds with their fraction.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl std::str::FromStr for Span {
    type Err = NotASpan;

    /// Reads a number and its unit, such as `90s`, `5m`, `1.5h`.
    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let text = text.trim();
        let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '_'))).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let (_, unit) = Span::UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or(NotASpan)?;
        let number: rust_decimal::Decimal = number.parse().map_err(|_| NotASpan)?;
        let nanos = number.checked_mul((*unit).into()).filter(|nanos| nanos.fract().is_zero()).ok_or(NotASpan)?;
        i64::try_from(nanos).map(Span::from_nanos).map_err(|_| NotASpan)
    }
}

/// A text that is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a time: write a number and ms, s, m, h or d, as in \"90s\"")]
pub struct NotASpan;

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

impl From<std::time::Duration> for Span {
    fn from(duration: std::time::Duration) -> Self {
        Span(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// RFC 3339 in UTC with milliseconds: `2022-10-21T14:02:10.123Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

/// `850 ms`, `12 s`, `4 min`, `3 h`, `2 d`: the largest unit that keeps the number above one.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.secs_f64();
        match secs.abs() {
            s if s < 1.0 => write!(f, "{:.0} ms", secs * 1e3),
            s if s < 120.0 => write!(f, "{secs:.0} s"),
            s if s < 7_200.0 => write!(f, "{:.0} min", secs / 60.0),
            s if s < 172_800.0 => write!(f, "{:.0} h", secs / 3_600.0),
            _ => write!(f, "{:.0} d", secs / 86_400.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_time_is_read_by_its_magnitude() {
        let expected = Timestamp::from_millis(1_670_329_987_000);
        for number in [1_670_329_987, 1_670_329_987_000, 1_670_329_987_000_000, 1_670_329_987_000_000_000] {
            assert_eq!(Timestamp::from_magnitude(number), Some(expected));
        }
        assert_eq!(Timestamp::from_magnitude(0), None);
        assert_eq!(Timestamp::from_magnitude(-5), None);
    }

    #[test]
    fn rfc3339_keeps_nanoseconds() {
        let at = Timestamp::from_rfc3339("2023-01-18T01:37:38.091377090Z").unwrap();
        assert_eq!(at.nanos() % 1_000_000_000, 91_377_090);
        assert_eq!(at.to_string(), "2023-01-18T01:37:38.091Z");
    }
}
