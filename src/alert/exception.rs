//! Exceptions: what somebody answers for in a file, with a name, a reason and an end.
//!
//! A finding that an exception covers is written to the history as it was found, with the exception's name, and nobody
//! is told. `act` is never covered: whoever steals a key must not find a door that its owner left open.

use std::net::IpAddr;

use compact_str::CompactString;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Alert;
use crate::domain::{AccountId, Excuse, Family, Finding, Hidden, Level, Reason, Symbol, Term, Timestamp};

/// The name of the term that says that an exception hid a finding; its unit is the exception's name, its value the level
/// that was found: 1 for a notice, 2 for an alert.
pub const EXCEPTION: &str = "exception";

/// What somebody answers for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Its name, unique among them.
    pub name: CompactString,
    /// The rules it is for, by the names people know them by.
    pub rules: Vec<CompactString>,
    /// The account it is for.
    pub account: AccountId,
    /// The pair it is for; all of them when absent.
    pub symbol: Option<Symbol>,
    /// The addresses it is for; all of them when absent.
    pub address: Option<IpNet>,
    /// Who answers for it.
    pub owner: CompactString,
    /// Why.
    pub reason: CompactString,
    /// When it ends, by the time of the arrivals.
    pub expires: Timestamp,
}

/// What one exception hid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hid {
    count: u64,
    last: Option<Timestamp>,
}

impl Exception {
    /// Says whether it covers a finding at `now`.
    pub fn covers(&self, finding: &Finding, now: Timestamp) -> bool {
        finding.level < Level::Act
            && now < self.expires
            && finding.account == self.account
            && self.rules.iter().any(|rule| rule == finding.rule_name())
            && self.symbol.as_ref().is_none_or(|symbol| finding.symbol.as_ref() == Some(symbol))
            && self.address.is_none_or(|net| {
                about(finding).and_then(|ip| ip.parse::<IpAddr>().ok()).is_some_and(|ip| net.contains(&ip))
            })
    }

    /// Says what it covers, in a line.
    pub fn what(&self) -> String {
        let mut what = self.rules.join(", ");
        if let Some(symbol) = &self.symbol {
            what.push_str(&format!(" in {symbol}"));
        }
        if let Some(address) = &self.address {
            what.push_str(&format!(" from {address}"));
        }
        what
    }
}

/// Returns the exception that hid a finding, and the level it would have had.
pub fn hidden_by(finding: &Finding) -> Option<(&CompactString, Level)> {
    let term = finding.terms.iter().find(|term| term.name == EXCEPTION)?;
    Some((&term.unit, if term.value > 1.0 { Level::Alert } else { Level::Notice }))
}

/// Returns the address a finding speaks of.
fn about(finding: &Finding) -> Option<&str> {
    match &finding.reason {
        Reason::NewAddress { ip, .. } | Reason::SharedAddress { ip, .. } | Reason::OthersUsedFrom { ip, .. } => {
            Some(ip)
        }
        Reason::Stands { .. }
        | Reason::FarFromReference { .. }
        | Reason::LosingRoundTrips { .. }
        | Reason::SoldOff { .. }
        | Reason::OneSided { .. }
        | Reason::StrangeOrder { .. }
        | Reason::Together { .. }
        | Reason::OthersHit { .. }
        | Reason::NotVerified { .. }
        | Reason::KeyWidened { .. }
        | Reason::KeyUnrestricted { .. }
        | Reason::KeyAppeared { .. }
        | Reason::KeyRemade { .. }
        | Reason::KeyReplaced { .. }
        | Reason::KeyBeyond { .. }
        | Reason::User { .. } => None,
    }
}

impl Alert {
    /// Lowers a finding that an exception covers to a line in the history, and counts it. Says whether it did.
    pub(super) fn except(&mut self, finding: &mut Finding) -> bool {
        let now = finding.at.max(self.now);
        let Some(exception) = self.settings.exceptions.iter().find(|one| one.covers(finding, now)) else {
            return false;
        };
        let hid = self.excepted.entry(exception.name.clone()).or_default();
        hid.count += 1;
        hid.last = Some(now);
        self.hid_moved += 1;
        let value = if finding.level >= Level::Alert { 2.0 } else { 1.0 };
        let unit = exception.name.clone();
        finding.terms.push(Term { name: EXCEPTION.into(), family: Family::Habit, nats: 0.0, value, unit });
        finding.level = Level::Notice;
        true
    }

    /// Forgets what exceptions hid that are there no more.
    pub(super) fn forget_gone_exceptions(&mut self) {
        let known = &self.settings.exceptions;
        self.excepted.retain(|name, _| known.iter().any(|one| one.name == *name));
        self.hid_moved += 1;
    }

    /// Returns a count that moves whenever [`Alert::hidden`] may have changed.
    pub fn hidden_moved(&self) -> u64 {
        self.hid_moved
    }

    /// Returns what exceptions and owners' answers kept from people so far.
    pub fn hidden(&self) -> Vec<Hidden> {
        let exceptions = self.settings.exceptions.iter().map(|one| {
            let hid = self.excepted.get(&one.name).cloned().unwrap_or_default();
            Hidden {
                excuse: Excuse::Exception,
                name: one.name.clone(),
                account: one.account.clone(),
                owner: one.owner.clone(),
                what: one.what(),
                until: one.expires,
                count: hid.count,
                last: hid.last,
            }
        });
        exceptions.chain(self.vouched_for()).collect()
    }
}
