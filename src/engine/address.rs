//! From where a key is used: addresses, their prefixes and networks, per account.
//!
//! A key is a machine and machines move seldom; a person's address changes with every provider's whim. So the
//! account's own rate of new prefixes, counted in days, decides what one more is worth (after Freeman et al., NDSS
//! 2016: p(x) / p(x | user) with back-off address -> prefix -> network). A missing address is no evidence.

use std::collections::BTreeMap;
use std::net::IpAddr;

use compact_str::CompactString;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::domain::{Family, Span, Term, Timestamp};
use crate::engine::habit::term;

/// Places kept for an account; the one not used for longest is forgotten first.
const MOST: usize = 32;
/// No alarm before this many uses or this long.
const LEARN_USES: u64 = 10;
const LEARN_FOR: Span = Span::from_secs(14 * 86_400);
/// Two places in use within this time are in use at once.
const AT_ONCE: Span = Span::from_secs(300);
/// How long a new place stays evidence about orders.
const STAYS: Span = Span::from_secs(900);

/// Who operates an address, from the table the user named.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    /// Prefixes sorted by address, with the operator of each.
    table: BTreeMap<IpNet, CompactString>,
}

/// The places one account's keys were used from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Places {
    uses: u64,
    first: Option<Timestamp>,
    /// Distinct (prefix, day) pairs, and how many of them brought a new prefix.
    days: u32,
    new_prefixes: u32,
    new_networks: u32,
    addresses: BTreeMap<IpAddr, Timestamp>,
    prefixes: BTreeMap<IpNet, Seen>,
    networks: BTreeMap<CompactString, Timestamp>,
    /// The newest strange place, for the orders around it.
    strange: Option<Strange>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    last: Timestamp,
    day: i64,
    days: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Strange {
    prefix: IpNet,
    since: Timestamp,
    last: Timestamp,
    nats: f64,
}

/// What one use says.
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    /// The terms, empty where nothing is new.
    pub terms: Vec<Term>,
    /// The address.
    pub ip: IpAddr,
    /// Its prefix: /24, or /48 for IPv6.
    pub prefix: IpNet,
    /// Its operator, where a table tells.
    pub network: Option<CompactString>,
    /// What is new: `address`, `prefix` or `network`.
    pub new: &'static str,
    /// Whether a familiar place was in use within five minutes.
    pub concurrent: bool,
    /// Whether too little is known to alarm.
    pub learning: bool,
}

impl Networks {
    /// Reads lines `prefix,operator` (CSV; `#` starts a comment); returns the number of the first bad line if one is.
    pub fn from_csv(text: &str) -> Result<Self, usize> {
        let mut table = BTreeMap::new();
        for (place, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (prefix, operator) = line.split_once(',').ok_or(place + 1)?;
            let prefix: IpNet = prefix.trim().trim_matches('"').parse().map_err(|_| place + 1)?;
            let operator = operator.trim().trim_matches('"');
            if operator.is_empty() || operator.len() > 80 {
                return Err(place + 1);
            }
            table.insert(prefix.trunc(), operator.into());
        }
        Ok(Networks { table })
    }

    /// Returns the operator of the longest listed prefix that holds `ip`.
    pub fn of(&self, ip: IpAddr) -> Option<&CompactString> {
        if self.table.is_empty() {
            return None;
        }
        let longest = if ip.is_ipv4() { 32 } else { 128 };
        (0..=longest).rev().find_map(|length| self.table.get(&IpNet::new(ip, length).ok()?.trunc()))
    }
}

impl Places {
    /// Takes one use of the account's keys; returns what it says.
    pub fn take(&mut self, ip: IpAddr, at: Timestamp, networks: &Networks) -> Use {
        let prefix = prefix_of(ip);
        let network = networks.of(ip).cloned();
        let known_address = self.addresses.contains_key(&ip);
        let known_prefix = self.prefixes.contains_key(&prefix);
        let known_network = network.as_ref().is_none_or(|network| self.networks.contains_key(network));
        let learning = self.uses < LEARN_USES && self.first.is_none_or(|first| at.since(first) < LEARN_FOR);
        // A place that was new minutes ago is still the strange one; the others are familiar.
        let strange = self.strange.as_ref().filter(|strange| at.since(strange.last) <= STAYS);
        let is_strange = strange.is_some_and(|strange| strange.prefix == prefix);
        let other_in_use = self.prefixes.iter().any(|(other, seen)| {
            *other != prefix && at.since(seen.last) <= AT_ONCE && !is_strange_prefix(strange, other)
        });
        let back_beside_strange =
            !is_strange && strange.is_some_and(|strange| strange.prefix != prefix && at.since(strange.last) <= AT_ONCE);
        let concurrent = (is_strange || !known_prefix) && other_in_use;

        let mut terms = Vec::new();
        let rate = |new: u32| (f64::from(new) + 0.5) / (f64::from(self.days) + 2.0);
        let mut new = "address";
        if !known_network || (!known_prefix && network.is_none()) {
            new = if known_network { "prefix" } else { "network" };
            let (count, cap) = if known_network { (self.new_prefixes, 3.0) } else { (self.new_networks, 4.0) };
            let nats = (0.8 / rate(count)).ln().clamp(0.0, cap);
            let name = if known_network { "new_prefix" } else { "new_network" };
            terms.push(term(name, Family::Origin, nats, f64::from(count), "new before"));
        } else if !known_prefix {
            new = "prefix";
            let nats = (0.8 / rate(self.new_prefixes)).ln().clamp(0.0, 0.75);
            terms.push(term("new_prefix", Family::Origin, nats, f64::from(self.new_prefixes), "new before"));
        } else if is_strange {
            new = "prefix";
            if let Some(strange) = strange {
                let since = at.since(strange.since).secs_f64();
                terms.push(term("strange_place", Family::Origin, strange.nats, since, "s in use"));
            }
        } else if !known_address {
            terms.push(term("new_address", Family::Origin, 0.25, 1.0, "address"));
        }
        let base: f64 = terms.iter().map(|term| term.nats).sum();
        // Two places at once say more where places seldom change: a moving phone leaves its old one behind.
        if concurrent && base >= 1.0 {
            terms.push(term("concurrent_use", Family::Origin, 4.0, AT_ONCE.secs_f64(), "s apart at most"));
        }
        let back = back_beside_strange.then(|| strange.map(|strange| strange.nats)).flatten();
        self.remember(ip, prefix, network.as_ref(), at, !known_prefix && !learning, base);
        if let Some(nats) = back.filter(|nats| *nats >= 1.0 && !learning) {
            // The familiar place is still alive beside the strange one.
            terms.clear();
            terms.push(term("strange_place", Family::Origin, nats, 1.0, "place"));
            terms.push(term("concurrent_use", Family::Origin, 4.0, AT_ONCE.secs_f64(), "s apart at most"));
            return Use { terms, ip, prefix, network, new: "prefix", concurrent: true, learning };
        }
        Use { terms, ip, prefix, network, new, concurrent, learning }
    }

    /// Returns what the newest strange place says about an order at `at`.
    pub fn about_order(&self, at: Timestamp) -> Option<Term> {
        let strange = self.strange.as_ref().filter(|strange| at.since(strange.last) <= STAYS && strange.nats > 0.0)?;
        let ago = at.since(strange.last).secs_f64();
        Some(term("strange_place", Family::Origin, strange.nats, ago, "s before"))
    }

    fn remember(
        &mut self,
        ip: IpAddr,
        prefix: IpNet,
        network: Option<&CompactString>,
        at: Timestamp,
        strange: bool,
        nats: f64,
    ) {
        self.uses += 1;
        self.first.get_or_insert(at);
        let day = at.nanos().div_euclid(86_400_000_000_000);
        match self.prefixes.get_mut(&prefix) {
            Some(seen) => {
                if seen.day != day {
                    seen.day = day;
                    seen.days = seen.days.saturating_add(1);
                    self.days = self.days.saturating_add(1);
                }
                seen.last = seen.last.max(at);
            }
            None => {
                // The first prefix is nobody's novelty.
                self.new_prefixes += u32::from(!self.prefixes.is_empty());
                self.days = self.days.saturating_add(1);
                self.prefixes.insert(prefix, Seen { last: at, day, days: 1 });
                forget(&mut self.prefixes, |seen| seen.last);
            }
        }
        self.addresses.insert(ip, at);
        forget(&mut self.addresses, |last| *last);
        if let Some(network) = network {
            let known = self.networks.insert(network.clone(), at).is_some();
            self.new_networks += u32::from(!known && self.networks.len() > 1);
            forget(&mut self.networks, |last| *last);
        }
        match &mut self.strange {
            Some(now) if now.prefix == prefix => now.last = now.last.max(at),
            _ if strange => self.strange = Some(Strange { prefix, since: at, last: at, nats }),
            Some(_) | None => {}
        }
    }
}

fn is_strange_prefix(strange: Option<&Strange>, prefix: &IpNet) -> bool {
    strange.is_some_and(|strange| strange.prefix == *prefix)
}

fn forget<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, last: impl Fn(&V) -> Timestamp) {
    if map.len() > MOST
        && let Some(oldest) = map.iter().min_by_key(|(_, value)| last(value)).map(|(key, _)| key.clone())
    {
        map.remove(&oldest);
    }
}

fn prefix_of(ip: IpAddr) -> IpNet {
    let length = if ip.is_ipv4() { 24 } else { 48 };
    IpNet::new(ip, length).map_or_else(|_| IpNet::from(ip), |net| net.trunc())
}
