//! Several accounts do the same at once: the mark of keys that leaked together.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::Levels;
use crate::domain::{AccountId, Family, Finding, Kind, Level, Reason, RuleName, Symbol, Term, Timestamp};
use crate::engine::fleet::{Scan, What};
use crate::engine::habit::term;

/// Settings of the rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Scores of the levels, in nats: of a scan over all pairs and all minutes, where chance alone brings 17 a month.
    pub levels: Levels,
    /// Accounts that an alert takes; fewer are a notice.
    pub accounts: usize,
    /// A pair that trades less than this a day is thin, in units of worth.
    pub thin: f64,
    /// Tags whose accounts copy one another, so that they count as one.
    pub copying: Vec<CompactString>,
    /// Accounts of a tag that are warned at most when others of the tag were hit; 0 warns nobody.
    pub warn: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            levels: Levels { notice: 10.0, alert: 18.5, act: 24.0 },
            accounts: 3,
            thin: 1_000_000.0 / 30_000.0,
            copying: Vec::new(),
            warn: 100,
        }
    }
}

/// The most that other accounts add to an order's score, in nats.
const TOGETHER: f64 = 4.0;
/// Two accounts are a hint: less than a family of evidence.
const A_HINT: f64 = 1.0;

/// Returns how loud a scan is for an account whose order's origin says `origin`; `lowered` is how far its thresholds are.
/// Nothing is said of those who are presumed to be one.
pub fn level(settings: &Settings, what: What, scan: &Scan, origin: &[Term], lowered: f64) -> Option<Level> {
    // Where a leak is known, who may be a group is counted apart.
    let apart = if lowered > 0.0 { scan.apart } else { scan.presumed };
    if apart < 2 {
        return None;
    }
    let terms = terms(scan, origin);
    let score: f64 = terms.iter().map(|term| term.nats).sum();
    let levels = settings.levels.lowered(lowered);
    let mut level = levels.of(score, &terms)?;
    let least = if lowered > 0.0 { settings.accounts.min(2) } else { settings.accounts };
    if apart < least || !scan.thin {
        level = Level::Notice;
    }
    // Frightened owners sell at one time too; what they share is the news, not the platform.
    if what == What::SoldOff && scan.tag.is_none() && origin.is_empty() {
        level = Level::Notice;
    }
    Some(level)
}

/// Returns what is said of an account that takes part.
pub fn finding(
    level: Level,
    (account, symbol): (&AccountId, Option<&Symbol>),
    (what, scan): (What, &Scan),
    origin: &[Term],
    (n, at): (u64, Timestamp),
) -> Finding {
    let terms = terms(scan, origin);
    let score = terms.iter().map(|term| term.nats).sum::<f64>();
    let reason = Reason::Together {
        accounts: scan.accounts.iter().filter(|other| *other != account).take(16).cloned().collect(),
        count: scan.accounts.len(),
        seconds: super::pump_buy::tidy(scan.within.secs_f64()),
        sold: what != What::Bought,
        tag: scan.tag.as_ref().map(|(tag, ..)| tag.clone()),
    };
    blank(account, symbol, level, (score * 1e3).round() / 1e3, terms, reason, (n, at))
}

/// Returns the warning to an account that was not hit, of a tag of which others were.
pub fn warning(
    level: Level,
    (account, symbol): (&AccountId, Option<&Symbol>),
    (tag, hit): (&CompactString, usize),
    (n, at): (u64, Timestamp),
) -> Finding {
    let reason = Reason::OthersHit { tag: tag.clone(), count: hit, symbol: symbol.cloned() };
    blank(account, None, level, 0.0, Vec::new(), reason, (n, at))
}

/// Returns what other accounts say about an order in a pair where they were spoken of at `told`.
pub fn about_order(told: Level) -> Term {
    let nats = if told >= Level::Alert { TOGETHER } else { A_HINT };
    term("together", Family::Accounts, nats, 1.0, "scan")
}

fn terms(scan: &Scan, origin: &[Term]) -> Vec<Term> {
    let mut terms = vec![term("scan", Family::Accounts, scan.nats, scan.apart as f64, "accounts")];
    if let Some((_, hit, nats)) = &scan.tag {
        terms.push(term("same_tag", Family::Accounts, *nats, *hit as f64, "accounts"));
    }
    terms.extend_from_slice(origin);
    terms
}

fn blank(
    account: &AccountId,
    symbol: Option<&Symbol>,
    level: Level,
    score: f64,
    terms: Vec<Term>,
    reason: Reason,
    (n, at): (u64, Timestamp),
) -> Finding {
    Finding {
        prices: Vec::new(),
        account: account.clone(),
        symbol: symbol.cloned(),
        rule: RuleName::CoTrading,
        kind: Kind::Fleet,
        level,
        score,
        terms,
        loss: None,
        orders: Vec::new(),
        reason,
        n,
        at,
    }
}
