//! Which messages a channel wants, when, and how many at once.

use jiff::tz::TimeZone;

use crate::domain::{AccountId, Level, Span, Timestamp};

/// Which messages a channel wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRoute {
    /// The channel's name.
    pub name: String,
    /// The quietest level it wants.
    pub min_level: Level,
    /// The accounts it wants to hear of; all when absent.
    pub accounts: Option<Vec<AccountId>>,
    /// How long an incident must wait for an answer before this channel is told; zero tells it at once.
    pub after: Span,
    /// When only `act` is told; the rest waits until it is over.
    pub quiet: Option<QuietHours>,
    /// How many messages are told one by one before they are told together; without it, all of them.
    pub burst: Option<Burst>,
    /// True where a growing incident's message is edited in place, which makes no sound.
    pub edits: bool,
}

/// Part of a day, by a clock on a wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// The minute of the day it begins.
    pub from: u16,
    /// The minute of the day it ends; before `from` where midnight lies between.
    pub until: u16,
    /// Which clock.
    pub zone: TimeZone,
}

/// How many new messages within which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// So many at most; the last of them says all that waits.
    pub most: u32,
    /// Within this time.
    pub window: Span,
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

impl Default for ChannelRoute {
    /// A channel without a name that wants every alert at once.
    fn default() -> Self {
        ChannelRoute {
            name: String::new(),
            min_level: Level::Alert,
            accounts: None,
            after: Span::ZERO,
            quiet: None,
            burst: None,
            edits: false,
        }
    }
}

impl ChannelRoute {
    /// Says whether the channel wants a message of this level about this account.
    pub fn accepts(&self, level: Level, account: &AccountId) -> bool {
        level >= self.min_level && self.accounts.as_ref().is_none_or(|accounts| accounts.contains(account))
    }

    /// Says whether it hears only of what nobody answered elsewhere.
    pub fn is_later(&self) -> bool {
        self.after > Span::ZERO
    }
}

impl QuietHours {
    /// Returns when they end, should `at` lie in them.
    pub fn end(&self, at: Timestamp) -> Option<Timestamp> {
        let now = jiff::Timestamp::from_nanosecond(i128::from(at.nanos())).ok()?;
        let clock = self.zone.to_datetime(now);
        let minute = u16::try_from(clock.hour()).ok()? * 60 + u16::try_from(clock.minute()).ok()?;
        let length = (self.until + DAY - self.from) % DAY;
        let since = (minute + DAY - self.from) % DAY;
        let left = i64::from(length.checked_sub(since).filter(|left| *left > 0)?) * 60 - i64::from(clock.second());
        Some(at + Span::from_secs(left.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).unwrap()
    }

    #[test]
    fn quiet_hours_over_midnight_end_in_the_morning_by_their_own_clock() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let quiet = QuietHours { from: 22 * 60, until: 7 * 60 + 30, zone };
        assert_eq!(quiet.end(at("2026-03-01T19:59:59Z")), None);
        assert_eq!(quiet.end(at("2026-03-01T20:00:00Z")), Some(at("2026-03-02T05:30:00Z")));
        assert_eq!(quiet.end(at("2026-03-02T05:29:59Z")), Some(at("2026-03-02T05:30:00Z")));
        assert_eq!(quiet.end(at("2026-03-02T05:30:00Z")), None);
    }

    #[test]
    fn quiet_hours_within_a_day_hold_back_nothing_at_night() {
        let quiet = QuietHours { from: 60, until: 120, zone: TimeZone::UTC };
        assert_eq!(quiet.end(at("2026-03-01T00:59:00Z")), None);
        assert_eq!(quiet.end(at("2026-03-01T01:30:30Z")), Some(at("2026-03-01T02:00:00Z")));
        assert_eq!(quiet.end(at("2026-03-01T23:30:00Z")), None);
    }
}
