//! The scan over addresses: several accounts used newly from one address.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::domain::{Level, Span, Timestamp};

/// The time over which accounts are held together.
const WITHIN: Span = Span::from_secs(86_400);
/// Visits kept at once, over all addresses; when more come within a day, the oldest are given up.
const MOST: usize = 20_000;
/// Accounts of one address that are kept.
const MOST_GUESTS: usize = 256;

/// Which accounts were newly used from which addresses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sharing {
    at: BTreeMap<IpAddr, Visits>,
    order: VecDeque<(Timestamp, IpAddr)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Visits {
    guests: Vec<Guest>,
    told: Option<Level>,
}

/// An account that was newly used from an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guest {
    /// Its name, as access lines spell it.
    pub name: CompactString,
    /// When.
    pub at: Timestamp,
    /// What the place says of this account alone, in nats.
    pub nats: f64,
    /// The familiar place it was used from before.
    pub home: Option<CompactString>,
}

/// What the accounts of one address say together.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// Who, in the order they came.
    pub guests: Vec<Guest>,
    /// From the first to the last.
    pub within: Span,
    /// Whether all came from one place: a platform that moved takes all its users along.
    pub moved: bool,
    /// How loud was spoken about them before.
    pub told: Option<Level>,
}

impl Sharing {
    /// Takes that an account was newly used from an address, heard of at `now`; returns what all of it say together.
    pub fn take(&mut self, ip: IpAddr, guest: Guest, now: Timestamp) -> Visit {
        while self.order.len() >= MOST || self.order.front().is_some_and(|(heard, _)| now.since(*heard) > WITHIN) {
            let Some((_, oldest)) = self.order.pop_front() else { break };
            if let Some(visits) = self.at.get_mut(&oldest) {
                if !visits.guests.is_empty() {
                    visits.guests.remove(0);
                }
                if visits.guests.is_empty() {
                    self.at.remove(&oldest);
                }
            }
        }
        let visits = self.at.entry(ip).or_default();
        if !visits.guests.iter().any(|known| known.name == guest.name) && visits.guests.len() < MOST_GUESTS {
            visits.guests.push(guest);
            self.order.push_back((now, ip));
        }
        let homes: BTreeSet<&Option<CompactString>> = visits.guests.iter().map(|guest| &guest.home).collect();
        let times = || visits.guests.iter().map(|guest| guest.at);
        let within = times().max().zip(times().min()).map_or(Span::from_secs(0), |(last, first)| last.since(first));
        Visit {
            guests: visits.guests.clone(),
            within,
            moved: homes.len() == 1 && homes.first().is_some_and(|home| home.is_some()),
            told: visits.told,
        }
    }

    /// Notes how loud was spoken about an address.
    pub fn tell(&mut self, ip: IpAddr, level: Level) {
        if let Some(visits) = self.at.get_mut(&ip) {
            visits.told = visits.told.max(Some(level));
        }
    }
}

#[cfg(test)]
impl Sharing {
    pub(super) fn order_len(&self) -> usize {
        self.order.len()
    }
}
