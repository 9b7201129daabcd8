//! What is remembered of one pair's market: about forty numbers, updated once per taker order.
//!
//! Flows of quote and counts of orders are kept as decayed sums at five half-lives, prices as weighted means of
//! their logarithm, and the pair's own restlessness as a variance per minute. Features of an order take the flows
//! *with* it and the baselines and means *before* it, so a thin pair's first loud order is not its own baseline.

use compact_str::CompactString;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use super::decay::{left, window};
use crate::domain::{Price, Quantity, Side, Span, Timestamp};

/// Half-lives of the flows, in seconds.
const HALF_LIVES: [f64; 5] = [3.0, 15.0, 60.0, 7_200.0, 86_400.0];
const H15: usize = 1;
const H60: usize = 2;
const H2H: usize = 3;
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
    quote: [f64; 5],
    orders: [f64; 5],
    rush: [f64; 5],
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
    open: Option<TakerOrder>,
    recent: Vec<Scored>,
    /// Quote of the last 24 h as the exchange tells it.
    volume: Option<f64>,
    /// When the first trade was seen, and the logarithm of its price.
    live: Option<(Timestamp, f64)>,
    past: Past,
}

/// What bars told of the time before the first trade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Past {
    end: Timestamp,
    close: Option<Decimal>,
    means: [f64; 3],
    variance: f64,
}

/// Trades that one taker order made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct TakerOrder {
    id: Option<CompactString>,
    side: Side,
    at: Timestamp,
    quote: f64,
    levels: u32,
    high: f64,
    low: f64,
    last: Decimal,
}

/// What the market looked like at one taker order, without units of money.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Features {
    /// Displacement from the one-minute mean in the pair's own deviations; toward the order's side.
    pub z60: f64,
    /// The same from the ten-minute mean.
    pub z600: f64,
    /// The same from the two-hour mean.
    pub z2h: f64,
    /// Displacement from the one-minute mean as a logarithm.
    pub ret60: f64,
    /// Displacement from the two-hour mean as a logarithm.
    pub ret2h: f64,
    /// ln of the side's 15 s quote rate over its 24 h rate.
    pub rq15_24h: f64,
    /// ln of the side's 60 s quote rate over its 24 h rate.
    pub rq60_24h: f64,
    /// ln of the rate of rush orders over 15 s against 24 h.
    pub rr15_24h: f64,
    /// ln of the rate of orders over 15 s against 2 h.
    pub rn15_2h: f64,
    /// The side's share of all taker quote in 15 s.
    pub bf15: f64,
    /// The side's share of all taker quote in 60 s.
    pub bf60: f64,
    /// ln of the side's daily quote, in units of the model (about one bitcoin of 2019).
    pub liq: f64,
    /// Whether the pair was followed for less than a day and not seeded.
    pub young: bool,
    /// The order's quote against the side's daily quote.
    pub share_of_day: f64,
}

/// A taker order with its score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The exchange's time of the order.
    pub at: Timestamp,
    /// Its side.
    pub side: Side,
    /// Its score.
    pub score: f32,
    high: f32,
    low: f32,
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
            open: None,
            recent: Vec::new(),
            volume: None,
            live: None,
            past: Past::default(),
        }
    }
}

/// A trade as the pair's memory takes it.
#[derive(Clone, Debug)]
pub struct Trade<'a> {
    /// When, by the exchange's clock.
    pub time: Timestamp,
    /// The taker's side.
    pub taker: Side,
    /// At which price.
    pub price: Price,
    /// How much base.
    pub quantity: Quantity,
    /// The taker's order, where the venue tells it.
    pub order: Option<&'a CompactString>,
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

    /// Takes a bar that ended before the first trade that was seen; bars come oldest first, each once.
    ///
    /// Decayed sums are linear, so what lay behind the first trade can still be added behind it: flows come out as if the
    /// seed had come first, means and variance all but for the step from the last bar to the first trade.
    pub fn seed(&mut self, bar: &Bar) {
        let end = bar.start + bar.span;
        if bar.quote.is_nan() || bar.quote < 0.0 {
            return;
        }
        let already_lived = self.live.is_some_and(|(since, _)| end > since);
        if already_lived || bar.start < self.past.end || bar.span <= Span::ZERO {
            return;
        }
        if self.live.is_none() {
            self.decay(end);
        }
        self.first = Some(self.first.map_or(bar.start, |first| first.min(bar.start)));
        self.seed_flows(bar, end);
        self.seed_prices(bar, end);
        self.past.end = end;
    }

    fn seed_flows(&mut self, bar: &Bar, end: Timestamp) {
        let bought = bar.taker_buy_quote.unwrap_or(bar.quote / 2.0).clamp(0.0, bar.quote.max(0.0));
        // A bar tells trades, not taker orders: an ordinary order makes about 1.6 trades, one in seven is a rush.
        let orders = bar.trades.map_or(f64::from(u8::from(bar.quote > 0.0)), |trades| trades as f64 * 0.3);
        let ago = self.last.since(end).secs_f64();
        for (flow, quote) in [(&mut self.buy, bought), (&mut self.sell, bar.quote - bought)] {
            for (place, half_life) in HALF_LIVES.into_iter().enumerate() {
                let rest = left(ago, half_life);
                flow.quote[place] += quote * rest;
                flow.orders[place] += orders * rest;
                flow.rush[place] += orders * 0.15 * rest;
            }
        }
    }

    fn seed_prices(&mut self, bar: &Bar, end: Timestamp) {
        let log = float(bar.close.get()).ln();
        let lived = self.live.map_or(0.0, |(since, _)| self.last.since(since).secs_f64());
        for (place, half_life) in MEANS.into_iter().enumerate() {
            let old = match (self.past.close, self.live) {
                (Some(_), _) => self.past.means[place],
                (None, Some((_, first_log))) => first_log,
                (None, None) => log,
            };
            let step = if self.past.close.is_some() { 1.0 - left(bar.span.secs_f64(), half_life) } else { 1.0 };
            let new = old + step * (log - old);
            self.past.means[place] = new;
            match self.live {
                Some(_) => self.means[place] += left(lived, half_life) * (new - old),
                None => self.means[place] = new,
            }
        }
        if let Some(close) = self.past.close {
            let minutes = (end.since(self.past.end).secs_f64() / 60.0).max(bar.span.secs_f64() / 60.0);
            let change = log - float(close).ln();
            let step = (1.0 - left(minutes, 1_440.0)) * (change * change / minutes - self.past.variance);
            self.past.variance += step;
            self.variance += left(lived / 60.0, 1_440.0) * step;
        }
        match self.live {
            // Until a live minute is over, the seed's last price is the reference for money lost.
            Some((since, _)) if self.sample.is_none_or(|(at, _)| at.since(since).secs_f64() < 60.0) => {
                self.previous = Some(bar.close.get());
            }
            Some(_) => {}
            None => {
                self.previous = self.past.close.or(Some(bar.close.get()));
                self.sample = Some((end, bar.close.get()));
                self.last_price = Some(bar.close.get());
            }
        }
        self.past.close = Some(bar.close.get());
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

    /// Returns the quote that takers of `side` spend a day.
    pub fn daily_quote(&self, side: Side) -> f64 {
        let Some(first) = self.first else { return self.volume.unwrap_or(0.0) / 2.0 };
        let age = self.last.since(first).secs_f64();
        let seen = self.flow(side).quote[H24H] / (window(age, HALF_LIVES[H24H]) + 60.0) * 86_400.0;
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
        self.live.get_or_insert((order.at, price.ln()));
        let before = self.clone_numbers();
        self.decay(order.at);
        self.add(&order);
        let features = before.features(&order, self, unit);
        let done = Scored {
            at: order.at,
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
            open: None,
            recent: Vec::new(),
            volume: self.volume,
            live: self.live,
            past: self.past,
        }
    }

    fn decay(&mut self, to: Timestamp) {
        let secs = to.since(self.last).secs_f64();
        if secs > 0.0 {
            for (place, half_life) in HALF_LIVES.into_iter().enumerate() {
                let rest = left(secs, half_life);
                for flow in [&mut self.buy, &mut self.sell] {
                    flow.quote[place] *= rest;
                    flow.orders[place] *= rest;
                    flow.rush[place] *= rest;
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
            flow.quote[place] += order.quote;
            flow.orders[place] += 1.0;
            flow.rush[place] += f64::from(u8::from(order.levels >= 2));
        }
    }

    /// `self` is the memory before `order`, `then` the memory with it.
    fn features(&self, order: &TakerOrder, then: &Pair, unit: f64) -> Features {
        let side = order.side;
        let (flow, other, was) = (then.flow(side), then.flow(side.opposite()), self.flow(side));
        let age = self.first.map_or(0.0, |first| order.at.since(first).secs_f64());
        let since = order.at.since(self.last).secs_f64();
        // The baseline: what the decayed sum was, with a pseudo-count so that a dead pair cannot give infinity.
        let base = |sum: f64, place: usize, pseudo: f64| {
            let half_life = HALF_LIVES[place];
            (sum * left(since, half_life) + pseudo) / (window(age, half_life) + 60.0)
        };
        let rate = |sum: f64, place: usize| sum * std::f64::consts::LN_2 / HALF_LIVES[place];
        let ratio = |fast: f64, slow: f64| (fast / slow + 0.1).ln();
        let day = base(was.quote[H24H], H24H, 0.01 / unit);
        let extreme = match side {
            Side::Buy => order.high,
            Side::Sell => order.low,
        };
        let ret = |place: usize| toward(side, extreme.ln() - self.means[place]);
        let z = |place: usize| ret(place) / (self.variance.sqrt() * (MEANS[place] / 60.0).sqrt() + 5e-4);
        let share = |place: usize| {
            let all = flow.quote[place] + other.quote[place];
            if all > 0.0 { flow.quote[place] / all } else { 0.5 }
        };
        Features {
            z60: z(0),
            z600: z(1),
            z2h: z(2),
            ret60: ret(0),
            ret2h: ret(2),
            rq15_24h: ratio(rate(flow.quote[H15], H15), day),
            rq60_24h: ratio(rate(flow.quote[H60], H60), day),
            rr15_24h: ratio(rate(flow.rush[H15], H15), base(was.rush[H24H], H24H, 0.5)),
            rn15_2h: ratio(rate(flow.orders[H15], H15), base(was.orders[H2H], H2H, 1.0)),
            bf15: share(H15),
            bf60: share(H60),
            liq: (day * 86_400.0 * unit).ln(),
            young: age < YOUNG,
            share_of_day: order.quote / (day * 86_400.0).max(f64::MIN_POSITIVE),
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
                }
            }
        }
        self.last_price = Some(price);
    }
}

impl Scored {
    /// Returns whether a watched account's order was (part of) this one: the same moment, or its price within 1.5 s.
    pub fn is(&self, own: &OwnOrder) -> bool {
        let apart = (self.at.nanos() - own.time.nanos()).abs();
        let inside = f64::from(self.low) * 0.999_999 <= own.high && own.low <= f64::from(self.high) * 1.000_001;
        self.side == own.side && inside && apart <= 1_500 * ONE_MOMENT
    }
}

/// A watched account's order as the market sees it.
#[derive(Clone, Copy, Debug)]
pub struct OwnOrder {
    /// Its side.
    pub side: Side,
    /// The exchange's time of its last fill.
    pub time: Timestamp,
    /// Its quote so far.
    pub quote: f64,
    /// Price levels it took so far.
    pub levels: u32,
    /// Its highest price.
    pub high: f64,
    /// Its lowest price.
    pub low: f64,
}

/// A bar as the pair's memory takes it.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// When it opened.
    pub start: Timestamp,
    /// How long it is.
    pub span: Span,
    /// Last price.
    pub close: Price,
    /// Quote that changed hands.
    pub quote: f64,
    /// The part that takers bought.
    pub taker_buy_quote: Option<f64>,
    /// Number of trades.
    pub trades: Option<u64>,
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
