//! A key is used from a place that is new for its account.

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

use super::Levels;
use super::pump_buy::tidy;
use crate::domain::{AccountId, Family, Finding, Kind, Level, Network, Reason, RuleName, Term, Timestamp};
use crate::engine::address::{Use, Visit};
use crate::engine::habit::term;

/// Settings of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Scores of the levels, in nats.
    pub levels: Levels,
}

impl Default for Settings {
    fn default() -> Self {
        // A new network alone is 3: providers fail over, so that is history for the other rules and no notice.
        Settings { levels: Levels { notice: 4.0, alert: 6.0, act: 12.0 } }
    }
}

/// Accounts that are newly used from one address, for that to be more than chance.
pub const SHARED: usize = 3;
/// What that says, in nats.
const SHARING: f64 = 6.0;

/// Returns a finding when a use comes from somewhere new, louder than was spoken of that place before.
pub fn judge(settings: &Settings, account: &AccountId, seen: &Use, n: u64, at: Timestamp) -> Option<Finding> {
    let score: f64 = seen.terms.iter().map(|term| term.nats).sum();
    // The first days of an account are all new places: history, not alarm.
    if seen.learning {
        return None;
    }
    // An address alone takes no key away: providers fail over, people travel.
    let level = settings.levels.of(score, &seen.terms)?.min(Level::Alert);
    if seen.told >= Some(level) {
        return None;
    }
    let Network { country, hosting, .. } = &seen.network;
    let reason = Reason::NewAddress {
        ip: format_compact!("{}", seen.ip),
        prefix: format_compact!("{}", seen.prefix),
        network: seen.network.name(),
        country: country.clone(),
        hosting: *hosting == Some(true),
        new: seen.new.clone(),
        concurrent: seen.concurrent,
    };
    Some(finding(account, level, seen.terms.clone(), reason, n, at))
}

/// Returns how loud it is that several accounts are newly used from one address, for one whose place alone says `nats`.
pub fn shared_level(settings: &Settings, visit: &Visit, nats: f64) -> Option<Level> {
    if visit.guests.len() < SHARED {
        return None;
    }
    let level = settings.levels.of(nats + SHARING, &[])?.min(Level::Alert);
    // A platform that moves takes all its users along.
    Some(if visit.moved { Level::Notice } else { level })
}

/// Returns what is said of an account that is newly used from an address like others.
pub fn shared(
    level: Level,
    account: &AccountId,
    (seen, visit, nats): (&Use, &Visit, f64),
    n: u64,
    at: Timestamp,
) -> Finding {
    let terms = vec![
        term("strange_place", Family::Origin, nats, 0.0, "s in use"),
        term("same_address", Family::Accounts, SHARING, visit.guests.len() as f64, "accounts"),
    ];
    let reason = Reason::SharedAddress {
        ip: format_compact!("{}", seen.ip),
        network: seen.network.name(),
        count: visit.guests.len(),
        seconds: tidy(visit.within.secs_f64()),
        moved: visit.moved,
    };
    finding(account, level, terms, reason, n, at)
}

/// Returns the warning to an account of a tag of which others are used from one new address.
pub fn warning(
    level: Level,
    account: &AccountId,
    (tag, hit, seen): (&CompactString, usize, &Use),
    n: u64,
    at: Timestamp,
) -> Finding {
    let reason = Reason::OthersUsedFrom { tag: tag.clone(), count: hit, ip: format_compact!("{}", seen.ip) };
    finding(account, level, Vec::new(), reason, n, at)
}

fn finding(account: &AccountId, level: Level, terms: Vec<Term>, reason: Reason, n: u64, at: Timestamp) -> Finding {
    let score = terms.iter().map(|term| term.nats).sum::<f64>();
    Finding {
        prices: Vec::new(),
        account: account.clone(),
        symbol: None,
        rule: RuleName::UnfamiliarAddress,
        kind: Kind::Address,
        level,
        score: (score * 1e3).round() / 1e3,
        terms,
        loss: None,
        orders: Vec::new(),
        reason,
        n,
        at,
    }
}
