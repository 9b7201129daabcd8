//! Years of keys' lives at home, over failing lines, on telephones and in datacentres, and then somebody else uses them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test: its steps may fail")]

use std::net::IpAddr;

use fillguard::domain::{
    Access, AccountId, Event, EventKind, FeedChange, FeedKind, Finding, Level, Network, RuleName, Timestamp, Venue,
    Wallet,
};
use fillguard::engine::address::Networks;
use fillguard::engine::{Engine, Settings};
use fillguard::tune::dice::Dice;

const BEGIN: i64 = 1_700_000_000;
const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;
const MONTHS: f64 = 365.25 / 12.0;

/// How a key lives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Life {
    /// One provider that gives a new address each week.
    Dhcp,
    /// The same, and another provider when the line fails.
    Failover,
    /// Wireless at home and at work, cafes, the telephone's own network, journeys.
    Telephone,
    /// A machine in a datacentre.
    Machine,
}

/// A place on the net.
#[derive(Clone)]
struct Spot {
    ip: IpAddr,
    network: Network,
}

struct Key {
    life: Life,
    name: String,
    dice: Dice,
    engine: Engine,
    n: u64,
    tables: bool,
    found: Vec<Finding>,
}

fn network(asn: u32, country: &str, hosting: bool) -> Network {
    Network { asn: Some(asn), operator: None, country: Some(country.into()), hosting: Some(hosting) }
}

impl Key {
    fn begin(life: Life, number: usize, tables: bool) -> Key {
        let name = format!("{life:?}{number}").to_lowercase();
        let engine = Engine::new(Settings::default(), Networks::default());
        let dice = Dice::named(7, &name);
        let mut key = Key { life, name, dice, engine, n: 0, tables, found: Vec::new() };
        let id = AccountId::new(Venue::Binance, &key.name).unwrap();
        let up =
            FeedChange { account: Some(id), wallet: Wallet::Spot, venue: Some(Venue::Binance), kind: FeedKind::Up };
        key.tell(0.0, EventKind::Feed(up));
        key
    }

    fn tell(&mut self, at: f64, kind: EventKind) {
        self.n += 1;
        let at = Timestamp::from_millis(BEGIN * 1_000 + (at * 1_000.0) as i64);
        self.engine.judge(&Event { n: self.n, at, kind }, &mut self.found);
        self.found.retain(|finding| finding.rule == RuleName::UnfamiliarAddress);
    }

    fn used(&mut self, at: f64, spot: &Spot) {
        let time = Timestamp::from_millis(BEGIN * 1_000 + (at * 1_000.0) as i64);
        let access = Access {
            log: "gateway".into(),
            name: self.name.as_str().into(),
            venue: None,
            ip: Some(spot.ip),
            network: self.tables.then(|| spot.network.clone()),
            user_agent: None,
            client_order_id: None,
            time,
        };
        self.tell(at, EventKind::Access(access));
    }

    /// A random address in one of a network's `prefixes`.
    fn spot(&mut self, asn: u32, prefixes: usize, country: &str, hosting: bool) -> Spot {
        let prefix = self.dice.below(prefixes) as u32;
        let [_, a, b, _] = (asn * 251 + prefix).to_be_bytes();
        let c = (asn as u8).wrapping_mul(31).wrapping_add(prefix as u8);
        let ip = IpAddr::from([20 + (asn % 180) as u8, a ^ b, c, 1 + self.dice.below(250) as u8]);
        Spot { ip, network: network(asn, country, hosting) }
    }

    /// Uses from `from` to `until` about every `every`, all from one spot.
    fn stay(&mut self, from: f64, until: f64, every: f64, spot: &Spot) {
        let mut at = from;
        while at < until {
            self.used(at, spot);
            at += every * self.dice.between(0.7, 1.3);
        }
    }

    /// Lives for `days`; returns where it is at the end.
    fn live(&mut self, days: f64) -> Spot {
        match self.life {
            Life::Dhcp => self.provider(days, None),
            Life::Failover => self.provider(days, Some(64_601)),
            Life::Telephone => self.roam(days),
            Life::Machine => {
                let mut spot = self.spot(24_940, 40, "DE", true);
                // The company moves it to another of its prefixes twice a year.
                for half in 0..(days / 182.0).ceil() as usize {
                    let (from, until) = (half as f64 * 182.0 * DAY, ((half + 1) as f64 * 182.0).min(days) * DAY);
                    self.stay(from, until, HOUR, &spot);
                    spot = if until < days * DAY { self.spot(24_940, 40, "DE", true) } else { spot };
                }
                spot
            }
        }
    }

    /// A line with a new address each week, and where there is one, another for when it fails.
    fn provider(&mut self, days: f64, other: Option<u32>) -> Spot {
        let mut spot = self.spot(64_600, 200, "DE", false);
        let (mut at, mut lease) = (0.0, 7.0 * DAY);
        let mut fails = at + self.dice.wait(25.0) * DAY;
        while at < days * DAY {
            let until = lease.min(days * DAY).min(if other.is_some() { fails } else { f64::MAX });
            self.stay(at, (until - 20.0 * MINUTE).max(at), 40.0 * MINUTE, &spot);
            // It is looked at closely where something happens.
            self.stay((until - 20.0 * MINUTE).max(at), until, MINUTE, &spot);
            at = until;
            if at >= lease {
                lease += 7.0 * DAY;
                spot = self.spot(64_600, 200, "DE", false);
            }
            if let Some(asn) = other.filter(|_| at >= fails) {
                // Minutes to a day; one in ten comes back at once and fails again.
                let lasts = self.dice.doubling(6.0 * MINUTE, DAY);
                let back = at + lasts;
                let reserve = self.spot(asn, 60, "DE", false);
                self.stay(at, (at + 20.0 * MINUTE).min(back), MINUTE, &reserve);
                self.stay(at + 20.0 * MINUTE, back, 30.0 * MINUTE, &reserve);
                // The last uses before the line is back.
                self.used(back - 30.0, &reserve);
                at = back;
                self.stay(at, at + 10.0 * MINUTE, MINUTE, &spot);
                at += 10.0 * MINUTE;
                fails = at + self.dice.wait(25.0) * DAY;
            }
        }
        self.stay(at, at + 10.0 * MINUTE, MINUTE, &spot);
        spot
    }

    fn roam(&mut self, days: f64) -> Spot {
        let home = self.spot(64_600, 200, "DE", false);
        let mut at_work = self.spot(64_610, 3, "DE", false);
        let (mut abroad, mut abroad_until) = ("DE", 0.0);
        let mut visited = 0_u32;
        for day in 0..days as usize {
            let begin = day as f64 * DAY;
            if begin > abroad_until && self.dice.chance(3.0 / 365.0) {
                abroad_until = begin + self.dice.between(3.0, 14.0) * DAY;
                abroad = ["FR", "IT", "US", "JP"][self.dice.below(4)];
                visited += 1;
            }
            let away = begin < abroad_until;
            let mut at = begin + 7.0 * HOUR;
            while at < begin + 23.0 * HOUR {
                let mobile = if away { 64_700 + visited } else { 64_611 };
                let country = if away { abroad } else { "DE" };
                let spot = match self.dice.below(10) {
                    0..4 => self.spot(mobile, 120, country, false),
                    4..7 if !away => home.clone(),
                    7..9 if !away && day % 7 < 5 => at_work.clone(),
                    _ if self.dice.chance(0.15) => {
                        let asn = 64_620 + self.dice.below(if away { 400 } else { 25 }) as u32;
                        self.spot(asn, 20, country, false)
                    }
                    _ if away => self.spot(64_800 + visited, 2, country, false),
                    _ => home.clone(),
                };
                // It looks every few minutes while it is in a hand, and changes networks as it goes.
                let until = at + self.dice.between(3.0, 50.0) * MINUTE;
                self.stay(at, until, 4.0 * MINUTE, &spot);
                at = until + if self.dice.chance(0.5) { 0.0 } else { self.dice.between(0.2, 3.0) * HOUR };
            }
            if day % 90 == 89 {
                at_work = self.spot(64_610, 3, "DE", false);
            }
        }
        home
    }

    /// Returns the notices and alerts since the last look.
    fn count(&mut self) -> (usize, usize) {
        let alerts = self.found.iter().filter(|finding| finding.level >= Level::Alert).count();
        let all = self.found.len();
        self.found.clear();
        (all, alerts)
    }
}

/// Six keys of each life by default; KEY_YEARS=60 for the figures that are told.
fn keys() -> usize {
    std::env::var("KEY_YEARS").ok().and_then(|years| years.parse().ok()).unwrap_or(6)
}

const LIVES: [Life; 4] = [Life::Dhcp, Life::Failover, Life::Telephone, Life::Machine];

#[test]
fn key_years_pass_in_peace_and_two_users_at_once_or_a_new_datacentre_are_told() {
    let (mut months, mut notices, mut alerts) = (0.0, 0, 0);
    let (mut cases, mut at_once, mut at_once_loud, mut rented) = (0, 0, 0, 0);
    for life in LIVES {
        let mut of_life = (0, 0);
        for number in 0..keys() {
            let mut key = Key::begin(life, number, true);
            let spot = key.live(365.25);
            let (found, loud) = key.count();
            of_life = (of_life.0 + found, of_life.1 + loud);
            let end = 366.0 * DAY;
            cases += 1;
            // Somebody else's line in the same country, while the owner goes on for an hour.
            let thief = key.spot(64_999, 50, "DE", life == Life::Machine && number % 2 == 0);
            for round in 0..20 {
                key.used(end + f64::from(round) * 3.0 * MINUTE, &spot);
                let after = key.dice.between(20.0, 150.0);
                key.used(end + f64::from(round) * 3.0 * MINUTE + after, &thief);
            }
            let (found, loud) = key.count();
            at_once += usize::from(found > 0);
            at_once_loud += usize::from(loud > 0);
            // The owner sleeps; a machine rented in his country has the key.
            let thief = key.spot(16_276, 50, "DE", true);
            key.used(end + 20.0 * HOUR, &thief);
            rented += usize::from(key.count().0 > 0);
        }
        let key_months = keys() as f64 * 365.25 / MONTHS;
        println!(
            "{life:?}: {} notices, {} of them alerts in {key_months:.0} key-months ({:.4} a key-month)",
            of_life.0,
            of_life.1,
            of_life.0 as f64 / key_months
        );
        assert!((of_life.0 as f64) <= key_months * 0.05 + 1.0, "{life:?}");
        (notices, alerts, months) = (notices + of_life.0, alerts + of_life.1, months + key_months);
    }
    println!(
        "{notices} notices, {alerts} alerts in {months:.0} key-months; of {cases} keys {at_once} told of two users at once \
         ({at_once_loud} as alerts), {rented} of a new datacentre"
    );
    assert!(notices as f64 <= months * 0.05, "{notices} in {months} key-months");
    assert_eq!((at_once, rented), (cases, cases));
    // Whoever moves all day is told of no louder than a notice: a telephone goes to and fro too.
    assert!(at_once_loud >= cases * 3 / 4, "{at_once_loud} of {cases}");
}

#[test]
fn without_a_table_prefixes_alone_keep_the_peace_and_tell_two_users_at_once() {
    let (mut months, mut notices, mut told) = (0.0, 0, 0);
    for life in [Life::Dhcp, Life::Failover, Life::Machine] {
        for number in 0..keys() {
            let mut key = Key::begin(life, number, false);
            let spot = key.live(365.25);
            notices += key.count().0;
            months += 365.25 / MONTHS;
            let thief = key.spot(64_999, 50, "DE", false);
            for round in 0..10 {
                key.used(366.0 * DAY + f64::from(round) * 3.0 * MINUTE, &spot);
                key.used(366.0 * DAY + f64::from(round) * 3.0 * MINUTE + 60.0, &thief);
            }
            told += usize::from(key.count().0 > 0);
        }
    }
    println!("no table: {notices} notices in {months:.0} key-months; {told} of {} told of two at once", 3 * keys());
    assert!(notices as f64 <= months * 0.1, "{notices} in {months}");
    assert_eq!(told, 3 * keys());
}
