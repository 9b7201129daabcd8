//! Years of a fleet in which nobody's key is stolen, and then some are: the scan over accounts, event by event.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test: its steps may fail")]

use compact_str::format_compact;
use fillguard::domain::{
    AccountId, Asset, Basis, Event, EventKind, Fill, Finding, Level, Market, MarketKind, Price, Quantity, RuleName,
    Side, Symbol, Timestamp, Venue, Via,
};
use fillguard::engine::address::Networks;
use fillguard::engine::{Engine, Settings};
use fillguard::tune::dice::Dice;
use rust_decimal::Decimal;

const BEGIN: i64 = 1_700_000_000_000;
const DAY: f64 = 86_400_000.0;
const ACCOUNTS: usize = 200;
const BUSY: usize = 80;
const THIN: usize = 1_000;
/// Members of copy-trading groups, the first accounts of the fleet.
const GROUPS: [usize; 4] = [5, 12, 25, 50];

struct Years {
    engine: Engine,
    dice: Dice,
    n: u64,
    found: Vec<Finding>,
}

fn account(place: usize) -> AccountId {
    AccountId::new(Venue::Binance, &format!("a{place:03}")).unwrap()
}

fn pair(place: usize) -> Symbol {
    let kind = if place < BUSY { "BUSY" } else { "THIN" };
    Symbol::new(Asset::new(&format!("{kind}{place}")).unwrap(), Asset::new("USDT").unwrap())
}

impl Years {
    fn begin(settings: Settings) -> Self {
        let engine = Engine::new(settings, Networks::default());
        let mut years =
            Years { engine, dice: Dice::named(number("FLEET_SEED", 9.0) as u64, "fleet"), n: 0, found: Vec::new() };
        for place in 0..BUSY + THIN {
            let time = Timestamp::from_millis(BEGIN);
            let quote = Decimal::from(if place < BUSY { 90_000_000 } else { 40_000 });
            let kind = MarketKind::Volume { quote, last: None, time };
            let market = Market { venue: Venue::Binance, symbol: pair(place), kind };
            years.tell(time, EventKind::Market(market));
        }
        years
    }

    fn tell(&mut self, at: Timestamp, kind: EventKind) {
        self.n += 1;
        self.engine.pass(self.n, at, &mut self.found);
        self.engine.judge(&Event { n: self.n, at, kind }, &mut self.found);
        self.found.retain(|finding| finding.rule == RuleName::CoTrading);
    }

    fn trade(&mut self, ms: f64, who: usize, what: usize, side: Side) {
        let time = Timestamp::from_millis(BEGIN + ms as i64);
        let fill = Fill {
            account: account(who),
            symbol: pair(what),
            side,
            price: Price::new(Decimal::ONE).unwrap(),
            quantity: Quantity::new(Decimal::from(50)).unwrap(),
            notional: Decimal::from(50),
            fee: None,
            maker: Some(false),
            trade_id: None,
            order_id: format_compact!("{}", self.n),
            client_order_id: None,
            source: None,
            order_type: None,
            time,
            basis: Basis::Exact,
            via: Via::Stream,
        };
        self.tell(time, EventKind::Fill(fill));
    }

    /// Some pairs are tried far more often than others.
    fn some_pair(&mut self, thin: bool) -> usize {
        let (first, count) = if thin { (BUSY, THIN) } else { (0, BUSY) };
        let rank = (count as f64 + 10.0).powf(self.dice.unit()) * 10.0_f64.powf(1.0 - self.dice.unit()) - 10.0;
        first + (rank.max(0.0) as usize).min(count - 1)
    }

    /// Plays `days` from day `from`: each account opens pairs by itself, and groups copy their leaders.
    fn play(&mut self, from: f64, days: f64, thin_only: bool) {
        let mut deeds: Vec<(f64, usize, usize, Side)> = Vec::new();
        let side = |dice: &mut Dice| if dice.chance(0.6) { Side::Buy } else { Side::Sell };
        for who in 0..ACCOUNTS {
            let mut at = from;
            // From one new pair in three weeks to one a day.
            let every = 1.0 + 20.0 * (who % 7) as f64 / 6.0;
            loop {
                at += self.dice.wait(every);
                if at >= from + days {
                    break;
                }
                let thin = self.dice.chance(0.4);
                deeds.push((at * DAY, who, self.some_pair(thin), side(&mut self.dice)));
            }
        }
        let mut first = 0;
        for size in GROUPS {
            let mut at = from;
            loop {
                at += self.dice.wait(2.5);
                if at >= from + days {
                    break;
                }
                let thin = thin_only || self.dice.chance(0.35);
                let (what, side) = (self.some_pair(thin), side(&mut self.dice));
                for who in first..first + size {
                    if self.dice.chance(0.9) {
                        deeds.push((at * DAY + self.dice.between(0.0, 4_000.0), who, what, side));
                    }
                }
            }
            first += size;
        }
        deeds.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (ms, who, what, side) in deeds {
            self.trade(ms, who, what, side);
        }
    }

    /// Scans told since the last look: distinct arrivals, by level.
    fn scans(&mut self) -> (usize, usize) {
        let of = |found: &[Finding], level| {
            let mut arrivals: Vec<u64> = found.iter().filter(|f| f.level >= level).map(|f| f.n).collect();
            arrivals.dedup();
            arrivals.len()
        };
        let counted = (of(&self.found, Level::Notice), of(&self.found, Level::Alert));
        self.found.clear();
        counted
    }
}

/// Returns a figure of the environment's, such as `FLEET_SEED=3 FLEET_THEFTS=1000`.
fn number(name: &str, usual: f64) -> f64 {
    std::env::var(name).ok().and_then(|figure| figure.parse().ok()).unwrap_or(usual)
}

/// Four by default, so that it takes half a minute; FLEET_YEARS=10 for the target.
fn years() -> f64 {
    number("FLEET_YEARS", 4.0)
}

#[test]
fn a_fleet_with_copy_traders_lives_for_years_without_a_scan_and_a_theft_is_told_at_the_third_account() {
    let mut fleet = Years::begin(Settings::default());
    fleet.play(0.0, 60.0, false);
    let (notices, alerts) = fleet.scans();
    println!("learning, 60 days: {alerts} alerts, {notices} scans in all");
    fleet.play(60.0, 365.25 * years(), false);
    let (notices, alerts) = fleet.scans();
    let bound = 3.0 / years();
    println!(
        "{} years, n = {} events: {alerts} alerts (at most {bound:.2} a year, 95 %), {notices} notices",
        years(),
        fleet.n
    );
    assert_eq!(alerts, 0);
    assert!(
        (notices as f64) < 200.0 * 12.0 * years() * 0.05,
        "{notices} notices in {} account-months",
        2_400.0 * years()
    );

    let mut now = (61.0 + 365.25 * years()) * DAY;
    let (mut told, mut at_third) = (0, 0);
    let thefts = number("FLEET_THEFTS", 100.0) as usize;
    for attack in 0..thefts {
        // Nobody has traded the pair within a day: neither by himself nor in the theft before.
        now += 1.25 * DAY;
        let victims = fleet.dice.choose(ACCOUNTS - 92, 3);
        // A dead pair; in one that the fleet itself tries every few days it takes a fourth account.
        let what = BUSY + 200 + fleet.dice.below(THIN - 200);
        let side = if attack % 2 == 0 { Side::Buy } else { Side::Sell };
        let mut at = now;
        for (nth, victim) in victims.into_iter().enumerate() {
            at += fleet.dice.between(0.0, 140_000.0);
            fleet.trade(at, 92 + victim, what, side);
            let (_, alerts) = fleet.scans();
            told += usize::from(alerts > 0);
            at_third += usize::from(alerts > 0 && nth == 2);
            if nth == 2 && alerts == 0 {
                let place = (
                    Venue::Binance,
                    if side == Side::Buy {
                        fillguard::engine::fleet::What::Bought
                    } else {
                        fillguard::engine::fleet::What::Sold
                    },
                    Some(pair(what)),
                );
                println!(
                    "missed {attack}: victim {victim} pair {what} {:?}",
                    fleet.engine.memory().fleet.scan(&place, &Default::default(), &[], 200)
                );
            }
        }
    }
    println!("thefts of three accounts in five minutes: {at_third} of {thefts} told with the third fill");
    assert_eq!((told, at_third), (thefts, thefts));
}

#[test]
fn groups_that_trade_nothing_but_thin_pairs_are_learnt_and_tags_say_it_at_once() {
    let mut fleet = Years::begin(Settings::default());
    fleet.play(0.0, 60.0, true);
    let (_, learning) = fleet.scans();
    fleet.play(60.0, 300.0, true);
    let (_, later) = fleet.scans();
    println!("groups in thin pairs only: {learning} alerts in 60 days, {later} in 300 days after");
    assert!(learning > 0 && later == 0);
    let mut settings = Settings::default();
    let mut first = 0;
    for size in GROUPS {
        let tag = format_compact!("copies-{size}");
        settings.tags.0.insert(tag.clone(), (first..first + size).map(account).collect());
        settings.co_trading.copying.push(tag);
        first += size;
    }
    let mut fleet = Years::begin(settings);
    fleet.play(0.0, 60.0, true);
    assert_eq!(fleet.scans().1, 0);
}
