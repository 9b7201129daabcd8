//! What is remembered of one pair's market: about forty numbers, updated once per taker order.
//!
//! Flows of quote and counts of orders are kept as decayed sums at five half-lives, prices as weighted means of
//! their logarithm, and the pair's own restlessness as a variance per minute. Features of an order take the flows
//! *with* it and the baselines and means *before* it, so a thin pair's first loud order is not its own baseline.

mod features;
mod orders;
mod pulse;
mod seed;
mod sums;
mod trail;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

pub use self::features::Features;
pub use self::orders::{OwnOrder, Scored, Trade};
pub use self::seed::Bar;

use self::orders::TakerOrder;
use self::seed::Past;
use self::sums::Sums;
use self::trail::Trail;
use super::decay::{left, window};
use crate::domain::{PricePoint, Side, Span, Timestamp};

/// Half-lives of the flows, in seconds.
const HALF_LIVES: [f64; 5] = [3.0, 15.0, 60.0, 7_200.0, 86_400.0];
const H24H: usize = 4;
/// Half-lives of the price means, in seconds.
const MEANS: [f64; 3] = [60.0, 600.0, 7_200.0];
/// Trades of one taker order carry one exchange time; later clocks stamp microseconds, so a millisecond is one moment.
const ONE_MOMENT: i64 = 1_000_000;
/// An order is complete when nothing more of it came for this long.
const ORDER_ENDS: Span = Span::from_millis(20);
/// A pair is young, and its score is capped, until it was followed for a day or seeded from candles.
const YOUNG: f64 = 86_400.0;
/// Scored orders that are kept to be matched with fills of watched accounts.
const RECENT_ORDERS: usize = 6;

/// Taker flow of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Flow {
    quote: Sums,
    orders: Sums,
    rush: Sums,
}

/// The memory of one pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    first: Option<Timestamp>,
    last: Timestamp,
    buy: Flow,
    sell: Flow,
    /// Weighted means of ln(price).
    means: [f64; 3],
    /// Variance of ln(price) per minute.
    variance: f64,
    /// The price and time of the last minute sample, which is also the money reference.
    sample: Option<(Timestamp, Decimal)>,
    previous: Option<Decimal>,
    last_price: Option<Decimal>,
    /// Earlier minute samples, for pictures alone.
    trail: Trail,
    open: Option<TakerOrder>,
    recent: Vec<Scored>,
    /// Quote of the last 24 h as the exchange tells it.
    volume: Option<f64>,
    /// When the first trade was seen, and the logarithm of its price.
    live: Option<(Timestamp, f64)>,
    /// What bars told; nothing once they told all, and for most pairs ever.
    past: Option<Box<Past>>,
    /// Whether its past was told up to its present.
    told: bool,
}

impl Default for Pair {
    fn default() -> Self {
        Pair {
            first: None,
            last: Timestamp::EPOCH,
            buy: Flow::default(),
            sell: Flow::default(),
            means: [0.0; 3],
            variance: 0.0,
            sample: None,
            previous: None,
            last_price: None,
            trail: Trail::default(),
            open: None,
            recent: Vec::new(),
            volume: None,
            live: None,
            past: None,
            told: false,
        }
    }
}

impl Pair {
    /// Takes a trade; returns the order that it completed, scored by `score`. `unit` is the worth of one quote.
    pub fn trade(&mut self, trade: &Trade<'_>, unit: f64, score: impl FnOnce(&Features) -> f64) -> Option<Scored> {
        // A trade that is older than what is already remembered changes no mean; it is counted where time stands.
        let time = trade.time.max(self.last);
        let price = float(trade.price.get());
        let quote = price * float(trade.quantity.get());
        if let Some(open) = &mut self.open {
            let same_order = match (&open.id, trade.order) {
                (Some(open), Some(trade)) => open == trade,
                _ => open.side == trade.taker && time.since(open.at).nanos() < ONE_MOMENT,
            };
            if same_order && open.side == trade.taker {
                open.levels += u32::from(open.last != trade.price.get());
                open.quote += quote;
                open.high = open.high.max(price);
                open.low = open.low.min(price);
                open.last = trade.price.get();
                return None;
            }
        }
        let done = self.complete(unit, score);
        self.open = Some(TakerOrder {
            id: trade.order.cloned(),
            side: trade.taker,
            at: time,
            quote,
            levels: 1,
            high: price,
            low: price,
            last: trade.price.get(),
        });
        done
    }

    /// Completes the open order when nothing more of it can come by `now`.
    pub fn settle(&mut self, now: Timestamp, unit: f64, score: impl FnOnce(&Features) -> f64) -> Option<Scored> {
        let over = self.open.as_ref().is_some_and(|open| now.since(open.at) > ORDER_ENDS);
        if over { self.complete(unit, score) } else { None }
    }

    /// Returns the score of a watched account's own order: of the taker order in the market feed that it is part of,
    /// else, while the feed has not shown it, of an order like it made now.
    pub fn score_of(
        &self,
        own: &OwnOrder,
        unit: f64,
        score: impl Fn(&Features) -> f64,
    ) -> Option<(f64, Option<Features>)> {
        self.first?;
        if let Some(seen) = self.recent.iter().rev().find(|order| order.is(own)) {
            return Some((f64::from(seen.score), None));
        }
        let mut before = self.clone_numbers();
        before.open.clone_from(&self.open);
        if let Some(seen) = before.complete(unit, &score)
            && seen.is(own)
        {
            return Some((f64::from(seen.score), None));
        }
        let order = TakerOrder {
            id: None,
            side: own.side,
            at: own.time.max(self.last),
            quote: own.quote,
            levels: own.levels,
            high: own.high,
            low: own.low,
            last: Decimal::ZERO,
        };
        let mut then = before.clone_numbers();
        then.decay(order.at);
        then.add(&order);
        let features = before.features(&order, &then, unit);
        Some((score(&features), Some(features)))
    }

    /// Returns whether a market order cannot be judged well: the pair was followed for less than a day, and its past was
    /// not told.
    pub fn is_cold(&self) -> bool {
        self.young() && !self.told
    }

    /// Returns whether its own trades were seen.
    pub fn lives(&self) -> bool {
        self.live.is_some()
    }

    /// Notes that its past was told up to its present.
    pub fn past_is_told(&mut self) {
        self.told = true;
        self.shed_past();
    }

    /// Up to when bars told of it.
    fn past_end(&self) -> Timestamp {
        self.past.as_ref().map_or(Timestamp::EPOCH, |past| past.end)
    }

    /// What bars told is in the sums; where it goes on matters no more once a trade follows on it.
    fn shed_past(&mut self) {
        if self.told && self.live.is_some() {
            self.past = None;
        }
    }

    /// Returns the pair as it is before the order under way.
    pub fn as_before(&self) -> Pair {
        self.clone_numbers()
    }

    /// Takes a trade of the past that came after all that is remembered; bars tell what came before.
    pub fn past_trade(&mut self, trade: &Trade<'_>, unit: f64, score: impl FnOnce(&Features) -> f64) {
        if trade.time >= self.past_end().max(self.last) {
            self.trade(trade, unit, score);
        }
    }

    /// Remembers the exchange's own figure for the last 24 h where none is known; returns whether it was news.
    pub fn learn_volume(&mut self, quote: f64) -> bool {
        let news = self.volume.is_none();
        if news {
            self.volume = Some(quote);
        }
        news
    }

    /// Remembers the exchange's own figure for the last 24 h.
    pub fn set_volume(&mut self, quote: f64) {
        self.volume = Some(quote);
    }

    /// Returns when it last traded.
    pub fn last(&self) -> Timestamp {
        self.last
    }

    /// Returns the last price.
    pub fn last_price(&self) -> Option<Decimal> {
        self.last_price
    }

    /// Returns what the price did lately, oldest first: a sample a minute, and the last price.
    pub fn prices(&self) -> Vec<PricePoint> {
        let sample = self.sample.map(|(at, price)| PricePoint { at, price: float(price) });
        let last = self.last_price.map(|price| PricePoint { at: self.last, price: float(price) });
        self.trail.points().chain(sample).chain(last).collect()
    }

    /// Returns how far the price of a minute ago is below its two-hour mean: as a share, and in the pair's own deviations;
    /// below zero where it is above. What is sold just now has not moved it.
    pub fn fall(&self) -> Option<(f64, f64)> {
        self.first?;
        let fallen = self.means[2] - float(self.reference()?).ln();
        let deviation = self.variance.sqrt() * (MEANS[2] / 60.0).sqrt() + 5e-4;
        Some((-(-fallen).exp_m1(), fallen / deviation))
    }

    /// Returns the price of the last whole minute before now: the reference for money lost.
    pub fn reference(&self) -> Option<Decimal> {
        self.previous.or(self.sample.map(|(_, price)| price)).or(self.last_price)
    }

    /// Returns the higher (for buys) or lower (for sells) of the one- and ten-minute mean prices.
    pub fn mean_price(&self, side: Side) -> Option<f64> {
        self.first?;
        Some(match side {
            Side::Buy => self.means[0].max(self.means[1]).exp(),
            Side::Sell => self.means[0].min(self.means[1]).exp(),
        })
    }

    /// Returns how far `price` is from the one-minute mean, in percent, above zero toward `side`.
    pub fn move_percent(&self, side: Side, price: f64) -> f64 {
        if self.first.is_none() {
            return 0.0;
        }
        toward(side, price.ln() - self.means[0]).exp_m1() * 100.0
    }

    /// Returns whether the pair was followed for less than a day and not seeded.
    pub fn young(&self) -> bool {
        self.first.is_none_or(|first| self.last.since(first).secs_f64() < YOUNG)
    }

    /// Returns how long it was followed, the time it was seeded with included.
    pub fn followed(&self) -> Span {
        self.first.map_or(Span::ZERO, |first| self.last.since(first))
    }

    /// Returns the quote that takers of `side` spend a day.
    pub fn daily_quote(&self, side: Side) -> f64 {
        let Some(first) = self.first else { return self.volume.unwrap_or(0.0) / 2.0 };
        let age = self.last.since(first).secs_f64();
        let seen = self.flow(side).quote.get(H24H) / (window(age, HALF_LIVES[H24H]) + 60.0) * 86_400.0;
        seen.max(self.volume.unwrap_or(0.0) / 2.0)
    }

    fn flow(&self, side: Side) -> &Flow {
        match side {
            Side::Buy => &self.buy,
            Side::Sell => &self.sell,
        }
    }

    fn complete(&mut self, unit: f64, score: impl FnOnce(&Features) -> f64) -> Option<Scored> {
        let order = self.open.take()?;
        let price = float(order.last);
        if self.first.is_none() {
            self.first = Some(order.at);
            self.last = order.at;
            self.means = [price.ln(); 3];
        }
        if self.live.is_none() {
            self.live = Some((order.at, price.ln()));
            self.shed_past();
        }
        let before = self.clone_numbers();
        self.decay(order.at);
        self.add(&order);
        let features = before.features(&order, self, unit);
        let done = Scored {
            at_ms: order.at.millis(),
            side: order.side,
            score: score(&features) as f32,
            high: order.high as f32,
            low: order.low as f32,
        };
        self.learn_price(order.at, order.last, before.last);
        if self.recent.len() == RECENT_ORDERS {
            self.recent.remove(0);
        }
        self.recent.push(done);
        Some(done)
    }

    /// A copy without what allocates, for the state before an order.
    fn clone_numbers(&self) -> Pair {
        Pair {
            first: self.first,
            last: self.last,
            buy: self.buy,
            sell: self.sell,
            means: self.means,
            variance: self.variance,
            sample: self.sample,
            previous: self.previous,
            last_price: self.last_price,
            trail: Trail::default(),
            open: None,
            recent: Vec::new(),
            volume: self.volume,
            live: self.live,
            past: self.past.clone(),
            told: self.told,
        }
    }

    fn decay(&mut self, to: Timestamp) {
        let secs = to.since(self.last).secs_f64();
        if secs > 0.0 {
            for (place, half_life) in HALF_LIVES.into_iter().enumerate() {
                let rest = left(secs, half_life);
                for flow in [&mut self.buy, &mut self.sell] {
                    for sums in [&mut flow.quote, &mut flow.orders, &mut flow.rush] {
                        sums.scale(place, rest);
                    }
                }
            }
        }
        self.last = self.last.max(to);
    }

    fn add(&mut self, order: &TakerOrder) {
        let flow = match order.side {
            Side::Buy => &mut self.buy,
            Side::Sell => &mut self.sell,
        };
        for place in 0..HALF_LIVES.len() {
            flow.quote.add(place, order.quote);
            flow.orders.add(place, 1.0);
            flow.rush.add(place, f64::from(u8::from(order.levels >= 2)));
        }
    }

    fn learn_price(&mut self, at: Timestamp, price: Decimal, before: Timestamp) {
        let log = float(price).ln();
        let secs = at.since(before).secs_f64();
        for (mean, half_life) in self.means.iter_mut().zip(MEANS) {
            *mean += (1.0 - left(secs + 0.5, half_life)) * (log - *mean);
        }
        match self.sample {
            None => self.sample = Some((at, price)),
            Some((then, old)) => {
                let minutes = at.since(then).secs_f64() / 60.0;
                if minutes >= 1.0 {
                    let change = log - float(old).ln();
                    self.variance += (1.0 - left(minutes, 1_440.0)) * (change * change / minutes - self.variance);
                    self.previous = Some(old);
                    self.sample = Some((at, price));
                    self.trail.push(then, float(old));
                }
            }
        }
        self.last_price = Some(price);
    }
}

/// Returns a decimal as a float, for statistics only.
pub fn float(number: Decimal) -> f64 {
    number.to_f64().unwrap_or(0.0)
}

fn toward(side: Side, change: f64) -> f64 {
    match side {
        Side::Buy => change,
        Side::Sell => -change,
    }
}
