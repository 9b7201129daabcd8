//! An account with habits, and then somebody else with its key.

use rust_decimal::Decimal;

use super::dice::{Dice, money};
use super::import::ImportError;
use super::labels::What;
use super::market::Taken;
use super::ordinary::{self, Ground, Trader};
use super::scene::{Attack, Scene};
use super::tape::Trade;
use crate::domain::{AccountId, Asset, Side, Venue};

/// Which attack, and where on the tape.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Which.
    pub what: What,
    /// Which victim, where several are hit.
    pub nth: u32,
    /// The share of the tape's orders that become the victim's; drawn where absent.
    pub participation: Option<f64>,
    /// When the pump began, ms.
    pub onset_ms: i64,
    /// The taped market.
    pub taped: usize,
    /// Where the kept tape begins, ms.
    pub taped_from_ms: i64,
}

/// The hostile orders, before anybody has sent them.
#[derive(Default)]
struct Crime {
    /// Market, side, order; in order of time.
    orders: Vec<(usize, Side, Taken)>,
    participation: Option<f64>,
    /// BTC the victim needs for it.
    spent: f64,
    /// What the victim is worth, in BTC.
    equity: f64,
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 86_400_000;

/// Puts a victim on the scene: its own history, then the attack. Returns its place, or nothing when the tape has no
/// orders to make the attack of.
pub fn stage(scene: &mut Scene, ground: &Ground, plan: &Plan) -> Result<Option<usize>, ImportError> {
    let seed = scene.seed();
    let mut dice = Dice::named(seed, &format!("victim {} {} {}", plan.what, plan.nth, plan.onset_ms));
    let Some(crime) = commit(scene, ground, plan, &mut dice) else { return Ok(None) };
    let Some(begin_ms) = crime.orders.first().map(|(_, _, taken)| taken.ms) else { return Ok(None) };
    let trader = Trader::VICTIMS[dice.below(Trader::VICTIMS.len())];
    let name = match plan.nth {
        0 => format!("victim-{}", scene.number()),
        nth => format!("victim-{}-{nth}", scene.number()),
    };
    let account = AccountId::new(Venue::Binance, &name)?;
    let person = scene.add_person(account, trader.as_str(), trader.grammar());
    let (from_ms, _) = scene.span();
    // Some keys had slept for days; none is used by its owner at the very moment.
    let quiet = (1_000.0 * dice.doubling(600.0, 4.0 * 86_400.0)) as i64;
    let until = begin_ms - quiet.min((begin_ms - from_ms) / 3);
    // Whether the pair was known is what tells I7 from I1, so it is not left to chance.
    let others = ground.thin.iter().copied().filter(|&market| market != plan.taped).collect();
    let elsewhere = Ground { thin: others, ..ground.clone() };
    ordinary::play(scene, &elsewhere, person, trader, (from_ms + HOUR, until), crime.equity);
    if plan.what == What::KnownPair {
        know(scene, plan, person, until, crime.equity);
    }
    let attack =
        Attack { what: plan.what, equity: money(crime.equity), market: plan.taped, participation: crime.participation };
    scene.people[person].attack = Some(attack);
    let left = (crime.equity - crime.spent).max(0.0);
    // Enough for the attack is there by itself: a purse begins with what its trades need.
    scene.people[person].spare.insert(Asset::new("BTC")?, money(left));
    let liquidated = crime.orders.iter().filter(|(market, _, _)| *market != plan.taped);
    let liquidated: Vec<_> =
        liquidated.filter_map(|(market, _, taken)| Some((*market, *taken.prints.last()?))).collect();
    for (market, side, taken) in crime.orders {
        scene.book(person, market, side, taken, true);
    }
    // A liquidation takes all of a holding, also what the owner had bought of it.
    for (market, print) in liquidated {
        let left = scene.leftover(person, scene.markets[market].symbol().base());
        scene.markets[market].enlarge(print, left);
    }
    Ok(Some(person))
}

fn commit(scene: &mut Scene, ground: &Ground, plan: &Plan, dice: &mut Dice) -> Option<Crime> {
    match plan.what {
        What::Burst | What::KnownPair | What::OwnGrammar => burst(scene, plan, dice, Side::Buy, 30 * SECOND),
        What::Fleet => burst(scene, plan, dice, Side::Buy, 120 * SECOND),
        What::LiquidateThenBurst => {
            let crime = burst(scene, plan, dice, Side::Buy, 30 * SECOND)?;
            Some(liquidate_before(scene, ground, dice, crime))
        }
        What::ProbeThenBurst => probe_before(scene, plan, dice),
        What::SellMirror => burst(scene, plan, dice, Side::Sell, 30 * SECOND),
        What::PlantedAsk => Some(planted(scene, plan, dice)),
        What::Churn => Some(churn(scene, plan, dice)),
        What::Slow => slow(scene, plan, dice),
        What::Ordinary => None,
    }
}

/// Relabels taker orders of one to two minutes, the first within `jitter` (ms): buys from the onset on, or sells from the
/// highest price on.
fn burst(scene: &mut Scene, plan: &Plan, dice: &mut Dice, side: Side, jitter: i64) -> Option<Crime> {
    let market = &mut scene.markets[plan.taped];
    let onset = match side {
        Side::Buy => plan.onset_ms,
        Side::Sell => highest(market.prints(), plan.onset_ms)?,
    };
    let start = onset + dice.whole(0, jitter);
    let mut there = market.orders(start, start + dice.whole(60 * SECOND, 120 * SECOND), side);
    if there.is_empty() {
        // Some pumps are over within a minute: whoever comes late is there with the first.
        there = market.orders(onset, onset + 120 * SECOND, side);
    }
    let participation = plan.participation.unwrap_or([0.02, 0.1, 0.3, 0.7][dice.below(4)]);
    let mut chosen: Vec<usize> = there.iter().copied().filter(|_| dice.chance(participation)).collect();
    if chosen.is_empty() {
        chosen.extend(there.get(dice.below(there.len())));
    }
    let claimed = chosen.into_iter().filter_map(|order| market.claim(order));
    let orders: Vec<_> = claimed.map(|taken| (plan.taped, side, taken)).collect();
    let spent: f64 = orders.iter().map(|(_, _, taken)| market.cost(taken)).sum();
    if orders.is_empty() {
        return None;
    }
    let equity = spent / dice.between(0.2, 1.0);
    Some(Crime { orders, participation: Some(participation), spent, equity })
}

/// Returns when the price was highest in the ten minutes after `onset_ms`.
fn highest(prints: &[Trade], onset_ms: i64) -> Option<i64> {
    let after = prints.iter().filter(|trade| (onset_ms..onset_ms + 10 * MINUTE).contains(&trade.ms));
    after.max_by(|a, b| a.price.cmp(&b.price).then(b.ms.cmp(&a.ms))).map(|trade| trade.ms)
}

/// Sells two to eight large holdings within a minute before the burst.
fn liquidate_before(scene: &mut Scene, ground: &Ground, dice: &mut Dice, mut crime: Crime) -> Crime {
    let Some(begin) = crime.orders.first().map(|(_, _, taken)| taken.ms) else { return crime };
    let sold = dice.whole(2, 8) as usize;
    let window = dice.whole(2 * SECOND, 60 * SECOND);
    let raised = crime.spent * dice.between(0.5, 0.95);
    let mut sells = Vec::new();
    for (nth, place) in dice.choose(ground.majors.len(), sold).into_iter().enumerate() {
        let pair = ground.majors[place];
        let at = begin - window + window * nth as i64 / sold as i64;
        let quote = (raised / sold as f64 * dice.between(0.5, 1.5)).max(0.001_1);
        sells.extend(scene.markets[pair].take(dice, at, Side::Sell, quote).map(|taken| (pair, Side::Sell, taken)));
    }
    sells.append(&mut crime.orders);
    crime.orders = sells;
    crime
}

/// Relabels one tiny order hours or days before the burst.
fn probe_before(scene: &mut Scene, plan: &Plan, dice: &mut Dice) -> Option<Crime> {
    let mut crime = burst(scene, plan, dice, Side::Buy, 30 * SECOND)?;
    let market = &mut scene.markets[plan.taped];
    let earliest = (plan.onset_ms - 3 * DAY).max(plan.taped_from_ms + HOUR);
    let at = dice.whole(earliest, plan.onset_ms - HOUR - 30 * MINUTE);
    let there = market.orders(at, plan.onset_ms - HOUR, Side::Buy);
    let order_costs = there.into_iter().take(30).filter_map(|order| {
        let taken = market.peek(order)?;
        Some((market.cost(&taken), order))
    });
    let (_, smallest) = order_costs.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let taken = market.claim(smallest)?;
    crime.spent += market.cost(&taken);
    crime.orders.insert(0, (plan.taped, Side::Buy, taken));
    Some(crime)
}

/// Plants asks far above the price, for a large part of what the victim has.
fn planted(scene: &mut Scene, plan: &Plan, dice: &mut Dice) -> Crime {
    let market = &mut scene.markets[plan.taped];
    let at = quiet_time(plan, dice);
    let equity = dice.doubling(0.05, 5.0);
    let spent = equity * dice.between(0.2, 1.0);
    let orders = dice.whole(1, 4);
    let times = dice.doubling(1.5, 1_000.0);
    let mut crime = Crime { spent, equity, ..Crime::default() };
    for nth in 0..orders {
        let ms = at + nth * dice.whole(1, 8) * SECOND;
        let price = money(market.price(ms) * times);
        let amount = lot(spent / orders as f64, price);
        let taken = market.plant(Trade { ms, taker: Side::Buy, price, amount });
        crime.orders.push((plan.taped, Side::Buy, taken));
    }
    crime
}

/// Buys high and sells low against the attacker's own orders, until little is left.
fn churn(scene: &mut Scene, plan: &Plan, dice: &mut Dice) -> Crime {
    let market = &mut scene.markets[plan.taped];
    let mut ms = quiet_time(plan, dice);
    let equity = dice.doubling(0.05, 5.0);
    let spent = equity * dice.between(0.2, 1.0);
    let trips = dice.doubling(20.0, 5_000.0) as u32;
    let loss = dice.doubling(0.003, 0.15);
    let middle = market.price(ms);
    let low = money(middle * (1.0 - loss / 2.0));
    // On a pair of few satoshi the loss is one tick at least.
    let high = money(middle * (1.0 + loss / 2.0)).max(low + Decimal::new(1, 8));
    let mut crime = Crime { spent, equity, ..Crime::default() };
    let mut cash = spent;
    for _ in 0..trips {
        let amount = lot(cash, high);
        let bought = market.plant(Trade { ms, taker: Side::Buy, price: high, amount });
        ms += dice.whole(500, 4_000);
        let sold = market.plant(Trade { ms, taker: Side::Sell, price: low, amount });
        ms += dice.whole(500, 4_000);
        cash = market.cost(&sold);
        crime.orders.push((plan.taped, Side::Buy, bought));
        crime.orders.push((plan.taped, Side::Sell, sold));
        if cash < equity * 0.05 || cash < 0.002 {
            break;
        }
    }
    crime
}

/// Relabels many small buys over hours of ordinary time, for 0.5 to 5 % of a day's volume.
fn slow(scene: &mut Scene, plan: &Plan, dice: &mut Dice) -> Option<Crime> {
    let market = &mut scene.markets[plan.taped];
    let latest = plan.onset_ms - 2 * HOUR;
    let span = (1_000.0 * dice.doubling(2.0 * 3_600.0, 24.0 * 3_600.0)) as i64;
    let start = dice.whole((plan.taped_from_ms + DAY).min(latest - span), latest - span).max(plan.taped_from_ms);
    let day: Vec<usize> = market.orders(start - DAY, start, Side::Buy);
    let cost = |market: &super::market::Market, order| market.peek(order).map_or(0.0, |t| market.cost(&t));
    let volume: f64 = 2.0 * day.iter().map(|&order| cost(market, order)).sum::<f64>();
    let there = market.orders(start, start + span, Side::Buy);
    let wished = dice.whole(24, 500) as usize;
    let budget = volume * dice.between(0.005, 0.05);
    let mut crime = Crime::default();
    for place in dice.choose(there.len(), wished) {
        let price = cost(market, there[place]);
        if crime.spent + price <= budget {
            crime.spent += price;
            crime.orders.extend(market.claim(there[place]).map(|taken| (plan.taped, Side::Buy, taken)));
        }
    }
    crime.participation = Some(crime.orders.len() as f64 / there.len().max(1) as f64);
    crime.equity = crime.spent / dice.between(0.2, 1.0);
    (crime.orders.len() >= 5).then_some(crime)
}

/// Lets the account trade the taped pair in ordinary time, so that it is nothing new to it.
fn know(scene: &mut Scene, plan: &Plan, person: usize, until: i64, equity: f64) {
    let times = scene.people[person].dice.whole(6, 20);
    for _ in 0..times {
        let dice = &mut scene.people[person].dice;
        let at = dice.whole(plan.taped_from_ms, (until - HOUR).max(plan.taped_from_ms + 1));
        let side = if dice.chance(0.6) { Side::Buy } else { Side::Sell };
        let size = equity * dice.between(0.005, 0.03);
        scene.take(person, plan.taped, at, side, size);
    }
}

/// Returns a time when nothing happens in the pair: an hour and a half to a day before the pump.
fn quiet_time(plan: &Plan, dice: &mut Dice) -> i64 {
    let latest = plan.onset_ms - 90 * MINUTE;
    dice.whole((latest - DAY).max(plan.taped_from_ms + HOUR).min(latest), latest)
}

/// Returns the whole coins that `quote` pays for, at least one.
fn lot(quote: f64, price: Decimal) -> Decimal {
    (money(quote) / price).floor().max(Decimal::ONE)
}
