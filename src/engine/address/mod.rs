//! From where a key is used: addresses, their prefixes, networks and countries, per account.
//!
//! A key is a machine and machines move seldom; a person's address changes with every provider's whim. So the account's
//! own rate of new values at each level, counted in days, decides what one more is worth: after Freeman et al., NDSS
//! 2016, p(x) / p(x | user) with back-off address -> prefix -> network -> country, smoothed as Witten and Bell do. A
//! value that is known says nothing: a thief may rent a machine next door. A missing address is no evidence.

mod sharing;
#[cfg(test)]
mod tests;
mod values;

use std::net::IpAddr;

use compact_str::{CompactString, format_compact};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use self::values::Values;
use crate::domain::{Family, Level, Network, Span, Term, Timestamp};
use crate::engine::decay::left;
use crate::engine::habit::term;
pub use crate::networks::Networks;
pub use sharing::{Guest, Sharing, Visit};

/// No alarm before this many uses or this long.
const LEARN_USES: u64 = 10;
const LEARN_FOR: Span = Span::from_secs(14 * 86_400);
/// Two places in use within this time are in use at once.
const AT_ONCE: Span = Span::from_secs(300);
/// How long a new place in use stays evidence about orders.
const STAYS: Span = Span::from_secs(900);
/// How long a place is strange after its first use: a thief that comes again is no acquaintance.
const TRIAL: Span = Span::from_secs(3 * 86_400);
/// Strange places kept at once.
const MOST_STRANGE: usize = 4;
/// A new place that says less is not followed.
const STRANGE: f64 = 1.0;
/// Days that a key is taken to have been in a datacentre before it was first seen: machines move seldom.
const MACHINE: f64 = 60.0;
/// Of a key that moves on most days, as a telephone does, a new network says this much less.
const ROAMING: f64 = 0.8;

/// The places one account's keys were used from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Places {
    uses: u64,
    first: Option<Timestamp>,
    addresses: Values<IpAddr>,
    prefixes: Values<IpNet>,
    networks: Values<CompactString>,
    countries: Values<CompactString>,
    /// Whether networks that rent machines were used, others, or both.
    hosting: Values<bool>,
    moves: Moves,
    /// When a familiar place was last in use, and which.
    familiar: Option<(Timestamp, CompactString)>,
    /// Places that are new, for the orders around their use.
    strange: Vec<Strange>,
}

/// On what part of its days the key moves between familiar places; days long ago count less.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Moves {
    day: i64,
    moved: bool,
    days: f64,
    with_moves: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Strange {
    place: CompactString,
    ip: IpAddr,
    prefix: IpNet,
    network: Network,
    since: Timestamp,
    last: Timestamp,
    /// What is new about it.
    new: CompactString,
    /// What it says by itself, and what it would say of a key that never moves.
    nats: f64,
    unmoved: f64,
    /// When a familiar place was last in use.
    familiar: Option<Timestamp>,
    /// Times that use went to and fro within minutes.
    turns: u32,
    concurrent: bool,
    /// How loud was spoken about it.
    told: Option<Level>,
}

/// What one use says.
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    /// The terms, empty where nothing is new.
    pub terms: Vec<Term>,
    /// The address that is meant: of a strange place that is in use beside this one, its own.
    pub ip: IpAddr,
    /// Its prefix: /24, or /48 for IPv6.
    pub prefix: IpNet,
    /// Its operator and country, where a table tells.
    pub network: Network,
    /// What is new: `address`, `prefix`, `network` or `country`.
    pub new: CompactString,
    /// Whether a familiar place was in use within five minutes before and after.
    pub concurrent: bool,
    /// Whether too little is known to alarm.
    pub learning: bool,
    /// Whether this is the first use of a place that is not familiar.
    pub first_of_place: bool,
    /// How loud was spoken about the place before.
    pub told: Option<Level>,
    /// The place that is meant.
    pub place: CompactString,
    /// The familiar place that was in use last.
    pub home: Option<CompactString>,
}

impl Moves {
    /// Returns on what part of its days the key moves, 0 to 1.
    fn part(&self) -> f64 {
        (self.with_moves + f64::from(u8::from(self.moved))) / (self.days + 1.0)
    }

    fn note(&mut self, day: i64, moved: bool) {
        if day != self.day {
            // A month ago counts half.
            let kept = 0.977;
            self.with_moves = self.with_moves * kept + f64::from(u8::from(self.moved));
            self.days = self.days * kept + f64::from(u8::from(self.day != 0));
            (self.day, self.moved) = (day, false);
        }
        self.moved |= moved;
    }
}

impl Strange {
    fn is_on_trial(&self, at: Timestamp) -> bool {
        at.since(self.since) <= TRIAL
    }

    /// Goes to and fro: how often it takes to tell two users from one that moves.
    fn is_at_once(&self, roaming: f64) -> bool {
        f64::from(self.turns) >= 1.0 + (6.0 * roaming).floor()
    }

    /// Returns what it says, with the use beside it.
    fn terms(&self, at: Timestamp) -> Vec<Term> {
        let since = at.since(self.since).secs_f64();
        let nats = if self.concurrent { self.unmoved } else { self.nats };
        let mut terms = vec![term("strange_place", Family::Origin, nats, since, "s in use")];
        if self.concurrent {
            // Two places at once say more where places seldom change, and the more often use goes to and fro.
            let often = 1.0 + (f64::from(self.turns) - 1.0).max(0.0) / 4.0;
            let nats = 4.0 * (often * self.unmoved / 3.0).min(1.0);
            terms.push(term("concurrent_use", Family::Origin, nats, f64::from(self.turns), "turns"));
        }
        terms
    }
}

impl Places {
    /// Takes one use of the account's keys from an address of which a table told `network`; returns what it says.
    pub fn take(&mut self, ip: IpAddr, at: Timestamp, network: &Network) -> Use {
        let prefix = prefix_of(ip);
        let key = network.key();
        let place = key.clone().unwrap_or_else(|| format_compact!("{prefix}"));
        let learning = self.uses < LEARN_USES && self.first.is_none_or(|first| at.since(first) < LEARN_FOR);
        let roaming = self.moves.part();
        let mut said = Use {
            terms: Vec::new(),
            ip,
            prefix,
            network: network.clone(),
            new: "address".into(),
            concurrent: false,
            learning,
            first_of_place: false,
            told: None,
            place: place.clone(),
            home: self.familiar.as_ref().map(|(_, home)| home.clone()),
        };
        self.strange.retain(|strange| strange.is_on_trial(at));
        match self.strange.iter().position(|strange| strange.place == place) {
            Some(known) => {
                let strange = &mut self.strange[known];
                // A line that failed comes back after it was silent; two users come and go.
                let between = strange.familiar.is_some_and(|familiar| familiar > strange.last);
                if between && at.since(strange.last) <= AT_ONCE {
                    strange.turns = strange.turns.saturating_add(1);
                }
                strange.last = strange.last.max(at);
                strange.concurrent |= strange.is_at_once(roaming);
                let since = strange.since;
                // To a place that is stranger still this one is the familiar one.
                let other = self.beside(Some(since), at, roaming);
                self.say(other.unwrap_or(known), at, &mut said);
            }
            None => {
                let (terms, new, unmoved) = self.novelty(ip, prefix, key.as_ref(), network, at, roaming);
                (said.terms, said.new) = (terms, new);
                let is_new_place = match &key {
                    Some(key) => !self.networks.knows(key),
                    None => !self.prefixes.knows(&prefix),
                };
                if is_new_place && unmoved >= STRANGE && !learning && !self.prefixes.is_empty() {
                    said.first_of_place = true;
                    self.follow(&said, unmoved, at);
                } else {
                    self.familiar_use(&place, at, roaming, &mut said);
                }
            }
        }
        self.remember(ip, prefix, key.as_ref(), network, at);
        said
    }

    /// Notes how loud was spoken about a place.
    pub fn tell(&mut self, place: &str, level: Level) {
        if let Some(strange) = self.strange.iter_mut().find(|strange| strange.place == place) {
            strange.told = strange.told.max(Some(level));
        }
    }

    /// Returns what the newest strange place in use says about an order at `at`.
    pub fn about_order(&self, at: Timestamp) -> Option<Term> {
        let in_use = self.strange.iter().filter(|strange| at.since(strange.last) <= STAYS && strange.is_on_trial(at));
        let strange = in_use.max_by(|a, b| a.nats.total_cmp(&b.nats)).filter(|strange| strange.nats > 0.0)?;
        let nats = if strange.concurrent { strange.unmoved } else { strange.nats };
        // Half a day's weight a day: whoever moved house is at home soon.
        let nats = nats * left(at.since(strange.since).secs_f64(), 86_400.0);
        Some(term("strange_place", Family::Origin, nats, at.since(strange.last).secs_f64(), "s before"))
    }

    /// Weighs what is new about a use; also what it would weigh for a key that never moves.
    fn novelty(
        &self,
        ip: IpAddr,
        prefix: IpNet,
        key: Option<&CompactString>,
        network: &Network,
        at: Timestamp,
        roaming: f64,
    ) -> (Vec<Term>, CompactString, f64) {
        let origin = |name: &'static str, nats: f64, kinds: f64, unit: &'static str| {
            term(name, Family::Origin, nats, kinds, unit)
        };
        let still = 1.0 - ROAMING * roaming;
        let (mut terms, mut new, mut moving) = (Vec::new(), "address", 0.0);
        let new_network = key.is_some_and(|key| !self.networks.knows(key));
        let rented = (self.hosting.knows(&true), self.hosting.knows(&false));
        if new_network && !self.networks.is_empty() {
            new = "network";
            let (days, kinds) = (self.networks.days(at), self.networks.kinds());
            if network.hosting == Some(true) {
                // A telephone is never in a datacentre, so it does not matter how often it moves.
                let nats = match rented {
                    (false, _) => (days + 1.0).ln().min(3.0),
                    (true, false) => {
                        let before = MACHINE * (days / 7.0).min(1.0);
                        ((days + before + kinds) / kinds).ln().min(4.0)
                    }
                    (true, true) => self.networks.novelty(at).min(4.0),
                };
                terms.push(origin("new_network", nats, kinds, "known"));
            } else {
                let nats = self.networks.novelty(at).min(3.0);
                moving = nats * (1.0 - still);
                terms.push(origin("new_network", nats * still, kinds, "known"));
            }
            let certain = (days / 14.0).min(1.0);
            match (network.hosting, rented) {
                (Some(true), (false, true)) => terms.push(origin("first_hosting", 2.0 * certain, days, "days without")),
                (Some(false), (true, false)) => terms.push(origin("left_hosting", 3.0 * certain, days, "days in one")),
                (Some(_) | None, _) => {}
            }
        } else if !self.prefixes.knows(&prefix) && !self.prefixes.is_empty() {
            new = "prefix";
            // Where it is known who operates it, and that was used before, one more of its prefixes is a small thing.
            let most = if key.is_some() { 0.75 } else { 4.0 };
            let nats = self.prefixes.novelty(at).min(most);
            moving = nats * (1.0 - still);
            terms.push(origin("new_prefix", nats * still, self.prefixes.kinds(), "known"));
        } else if !self.addresses.knows(&ip) && !self.addresses.is_empty() {
            terms.push(origin("new_address", 0.25, self.addresses.kinds(), "known"));
        }
        if let Some(country) = &network.country
            && !self.countries.knows(country)
            && !self.countries.is_empty()
        {
            if !new_network {
                new = "country";
            }
            let nats = self.countries.novelty(at).min(2.0);
            terms.push(origin("new_country", nats, self.countries.kinds(), "known"));
        }
        let unmoved = terms.iter().map(|term| term.nats).sum::<f64>() + moving;
        (terms, new.into(), unmoved)
    }

    /// Follows a place that is new.
    fn follow(&mut self, said: &Use, unmoved: f64, at: Timestamp) {
        if self.strange.len() >= MOST_STRANGE {
            // The weakest makes room, so that a thief cannot hide one place behind others.
            let weakest = (0..self.strange.len()).min_by(|a, b| {
                let weight = |place: &usize| self.strange[*place].unmoved;
                weight(a).total_cmp(&weight(b)).then(a.cmp(b))
            });
            weakest.map(|place| self.strange.remove(place));
        }
        self.strange.push(Strange {
            place: said.place.clone(),
            ip: said.ip,
            prefix: said.prefix,
            network: said.network.clone(),
            since: at,
            last: at,
            new: said.new.clone(),
            nats: said.terms.iter().map(|term| term.nats).sum(),
            unmoved,
            familiar: self.in_use(),
            turns: 0,
            concurrent: false,
            told: None,
        });
    }

    /// A familiar place is in use: beside a strange one, that is two at once.
    fn familiar_use(&mut self, place: &CompactString, at: Timestamp, roaming: f64, said: &mut Use) {
        if let Some(known) = self.beside(None, at, roaming) {
            self.say(known, at, said);
        }
        let moved = self.familiar.as_ref().is_some_and(|(_, home)| home != place);
        self.moves.note(day_of(at), moved);
        match &mut self.familiar {
            Some((last, home)) if home == place => *last = (*last).max(at),
            familiar => *familiar = Some((at, place.clone())),
        }
    }

    /// Notes that a place is in use which is older than some strange ones: a familiar one, or one strange `since` earlier;
    /// returns which of them this shows to be in use at once with it.
    fn beside(&mut self, since: Option<Timestamp>, at: Timestamp, roaming: f64) -> Option<usize> {
        let mut shown: Option<usize> = None;
        for (known, strange) in self.strange.iter_mut().enumerate() {
            if since.is_some_and(|since| strange.since <= since) {
                continue;
            }
            let between = strange.familiar.is_none_or(|familiar| strange.last > familiar);
            if between && strange.familiar.is_some_and(|familiar| at.since(familiar) <= AT_ONCE) {
                strange.turns = strange.turns.saturating_add(1);
                if !strange.concurrent && strange.is_at_once(roaming) {
                    strange.concurrent = true;
                    shown = Some(known);
                }
            }
            strange.familiar = strange.familiar.max(Some(at));
        }
        shown
    }

    /// Returns when any place was last in use.
    fn in_use(&self) -> Option<Timestamp> {
        let familiar = self.familiar.as_ref().map(|(last, _)| *last);
        self.strange.iter().map(|strange| strange.last).max().max(familiar)
    }

    /// Speaks of a strange place.
    fn say(&self, known: usize, at: Timestamp, said: &mut Use) {
        let strange = &self.strange[known];
        said.terms = strange.terms(at);
        (said.ip, said.prefix, said.network) = (strange.ip, strange.prefix, strange.network.clone());
        (said.new, said.place) = (strange.new.clone(), strange.place.clone());
        (said.concurrent, said.told) = (strange.concurrent, strange.told);
    }

    fn remember(&mut self, ip: IpAddr, prefix: IpNet, key: Option<&CompactString>, network: &Network, at: Timestamp) {
        self.uses += 1;
        self.first.get_or_insert(at);
        let day = day_of(at);
        self.addresses.see(&ip, day, at);
        self.prefixes.see(&prefix, day, at);
        if let Some(key) = key {
            self.networks.see(key, day, at);
        }
        if let Some(country) = &network.country {
            self.countries.see(country, day, at);
        }
        if let Some(hosting) = network.hosting {
            self.hosting.see(&hosting, day, at);
        }
    }
}

fn day_of(at: Timestamp) -> i64 {
    at.nanos().div_euclid(86_400_000_000_000)
}

fn prefix_of(ip: IpAddr) -> IpNet {
    let length = if ip.is_ipv4() { 24 } else { 48 };
    IpNet::new(ip, length).map_or_else(|_| IpNet::from(ip), |net| net.trunc())
}
