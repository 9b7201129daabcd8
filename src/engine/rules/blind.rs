//! An interval of an account's feed that nobody verified. Silence would be a lie.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::arrival::REMOVED;
use crate::domain::{AccountId, Family, FeedKind, Finding, Kind, Level, Reason, RuleName, Span, Timestamp};
use crate::engine::habit::term;

/// Settings of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// After a reconnect, how long the gap may wait to be asked for at the exchange.
    pub verify_within: Span,
    /// How long a feed may be down before people are told.
    pub down_alert: Span,
    /// How long what was learned of an account is kept after the account was removed from the configuration.
    pub keep_removed: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            verify_within: Span::from_secs(60),
            down_alert: Span::from_secs(600),
            keep_removed: Span::from_secs(30 * 86_400),
        }
    }
}

/// What is known about how well an account can be seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sight {
    state: State,
    recovered: u64,
    /// When its feed was first heard of: before that nothing was watched, so nothing was missed.
    began: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum State {
    /// Nothing was heard of a link: a recording of frames alone.
    #[default]
    Untold,
    /// Up, and nothing is owed.
    Clear,
    /// Down, and whether people were told.
    Down { since: Timestamp, why: CompactString, told: bool },
    /// Up again, and the gap behind it is not verified yet.
    Owed { since: Timestamp, until: Timestamp, why: CompactString },
}

impl Sight {
    /// Takes a change of the account's feed; returns what it says.
    pub fn take(&mut self, kind: &FeedKind, n: u64, at: Timestamp, about: &AccountId) -> Option<Finding> {
        let finding = |level, since, until, recovered, why: &CompactString| {
            Some(blind(about, level, since, until, recovered, why.clone(), n, at))
        };
        if matches!(kind, FeedKind::Up | FeedKind::Down(_)) {
            self.began.get_or_insert(at);
        }
        match kind {
            FeedKind::Up => {
                self.state = match std::mem::take(&mut self.state) {
                    State::Down { since, why, .. } => State::Owed { since, until: at, why },
                    State::Untold | State::Clear => State::Clear,
                    State::Owed { since, why, .. } => State::Owed { since, until: at, why },
                };
                None
            }
            FeedKind::Down(why) => {
                // Whoever took the account out knows that it is not watched.
                let removed = why.as_str() == REMOVED;
                self.state = match std::mem::take(&mut self.state) {
                    State::Untold | State::Clear => State::Down { since: at, why: why.clone(), told: removed },
                    State::Owed { since, .. } => State::Down { since, why: why.clone(), told: removed },
                    State::Down { since, why: before, told } => {
                        let (why, told) = if removed { (why.clone(), true) } else { (before, told) };
                        State::Down { since, why, told }
                    }
                };
                None
            }
            FeedKind::Ended(why) => {
                self.state = State::Down { since: at, why: why.clone(), told: true };
                finding(Level::Alert, at, None, 0, why)
            }
            FeedKind::Skipped { expected, got } => {
                let missing = got.saturating_sub(*expected);
                let why = compact_str::format_compact!("{missing} messages missing");
                finding(Level::Notice, at, Some(at), 0, &why)
            }
            FeedKind::Unreadable(why) => finding(Level::Notice, at, Some(at), 0, why),
            FeedKind::GapFilled { since, until, recovered, verified, .. } => {
                self.recovered += recovered;
                let owed = match &self.state {
                    State::Owed { since: from, until: to, why } => Some((*from, *to, why.clone())),
                    State::Untold | State::Clear | State::Down { .. } => None,
                };
                // Half a minute of grace: the clocks of the exchange and of this machine are two.
                let slack = Span::from_secs(30);
                match owed {
                    Some((from, to, why)) if *since <= from + slack && *until + slack >= to => {
                        self.state = State::Clear;
                        if *verified { None } else { finding(Level::Notice, from, Some(to), *recovered, &why) }
                    }
                    Some(_) => None,
                    None if !verified && self.began.is_some_and(|began| *since + slack >= began) => {
                        let why = CompactString::const_new("not every pair could be asked for");
                        finding(Level::Notice, *since, Some(*until), *recovered, &why)
                    }
                    None => None,
                }
            }
            FeedKind::Refused { code, why } => {
                let why = compact_str::format_compact!("refused: {why} ({code})");
                finding(Level::Notice, at, Some(at), 0, &why)
            }
            FeedKind::ClosingSoon | FeedKind::Unknown(_) => None,
        }
    }

    /// Returns nothing while the feed is not down, else whether nobody has to be told of it (any more).
    pub fn down(&self) -> Option<bool> {
        match &self.state {
            State::Down { told, .. } => Some(*told),
            State::Owed { .. } | State::Untold | State::Clear => None,
        }
    }

    /// Returns since when nothing is known for certain: the feed is down, or the gap behind it is not verified yet.
    pub fn blind_since(&self) -> Option<Timestamp> {
        match &self.state {
            State::Down { since, .. } | State::Owed { since, .. } => Some(*since),
            State::Untold | State::Clear => None,
        }
    }

    /// Returns when time alone will say something, if it will.
    pub fn due(&self, settings: &Settings) -> Option<Timestamp> {
        match &self.state {
            State::Down { since, told: false, .. } => Some(*since + settings.down_alert),
            State::Owed { until, .. } => Some(*until + settings.verify_within),
            State::Down { since, why, told: true } if why.as_str() == REMOVED => Some(*since + settings.keep_removed),
            State::Untold | State::Clear | State::Down { told: true, .. } => None,
        }
    }

    /// Says whether the account was removed so long ago that nothing of it is to be kept.
    pub fn is_over(&self, settings: &Settings, at: Timestamp) -> bool {
        match &self.state {
            State::Down { since, why, .. } => why.as_str() == REMOVED && at >= *since + settings.keep_removed,
            State::Owed { .. } | State::Untold | State::Clear => false,
        }
    }

    /// Returns what the passing of time says.
    pub fn pass(&mut self, settings: &Settings, n: u64, at: Timestamp, about: &AccountId) -> Option<Finding> {
        if self.due(settings).is_none_or(|due| at < due) {
            return None;
        }
        if self.is_over(settings, at) {
            self.state = State::Untold;
            return None;
        }
        match std::mem::take(&mut self.state) {
            State::Down { since, why, .. } => {
                self.state = State::Down { since, why: why.clone(), told: true };
                Some(blind(about, Level::Alert, since, None, 0, why, n, at))
            }
            State::Owed { since, until, why } => {
                self.state = State::Clear;
                Some(blind(about, Level::Notice, since, Some(until), 0, why, n, at))
            }
            other @ (State::Untold | State::Clear) => {
                self.state = other;
                None
            }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "a finding's fields, each once")]
fn blind(
    account: &AccountId,
    level: Level,
    since: Timestamp,
    until: Option<Timestamp>,
    recovered: u64,
    why: CompactString,
    n: u64,
    at: Timestamp,
) -> Finding {
    let secs = until.unwrap_or(at).since(since).secs_f64();
    Finding {
        prices: Vec::new(),
        account: account.clone(),
        symbol: None,
        rule: RuleName::Blind,
        kind: Kind::Blind,
        level,
        score: 0.0,
        terms: vec![term("unverified", Family::Feed, 0.0, secs, "s")],
        loss: None,
        orders: Vec::new(),
        reason: Reason::NotVerified { since, until, recovered, why },
        n,
        at,
    }
}
