//! The markets of a made recording: a real tape, or a random walk for pairs nobody taped.

use std::ops::Range;

use rust_decimal::Decimal;

use super::dice::Dice;
use super::tape::{Tape, Trade};
use super::walk::Walk;
use crate::domain::{Asset, Side, Symbol};

/// One pair's public trades, of which some become a watched account's.
#[derive(Clone, Debug)]
pub struct Market {
    symbol: Symbol,
    prints: Vec<Trade>,
    ground: Ground,
}

/// An order that a market filled: when, and which of the market's trades.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// When, in ms since 1970.
    pub ms: i64,
    /// The places of its trades among the market's.
    pub prints: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Ground {
    /// Trades that happened; an account's are some of them under its name, at their own price.
    Taped {
        orders: Vec<TapedOrder>,
        /// Spans of ms around known pumps, where no ordinary trader is placed.
        barred: Vec<(i64, i64)>,
        /// How many of `prints` came from the tape, oldest first.
        taped: usize,
    },
    /// Trades that are made up around a wandering price.
    Walked(Walk),
}

#[derive(Clone, Debug)]
struct TapedOrder {
    ms: i64,
    taker: Side,
    prints: Range<usize>,
    quote: f64,
    free: bool,
}

/// How far ahead of the wished time an order of a tape may be, in ms.
const REACH_MS: i64 = 4 * 3_600_000;
/// How many orders of a tape are compared by size.
const COMPARED: usize = 40;

impl Market {
    /// Takes a tape; `barred` are the spans of ms in which no ordinary order is placed.
    pub fn taped(symbol: Symbol, tape: &Tape, barred: Vec<(i64, i64)>) -> Market {
        let ground = Ground::Taped { orders: orders_of(tape), barred, taped: tape.trades.len() };
        Market { symbol, prints: tape.trades.clone(), ground }
    }

    /// Counts a tape of dollars in bitcoin, at its price `dollars` of the moment.
    pub fn in_bitcoin(&mut self, dollars: &dyn Fn(i64) -> f64) {
        for print in &mut self.prints {
            print.price = print.price.checked_div(rate(dollars(print.ms))).unwrap_or(print.price);
        }
        let tape = Tape { trades: std::mem::take(&mut self.prints), skipped: 0 };
        if let Ground::Taped { orders, .. } = &mut self.ground {
            *orders = orders_of(&tape);
        }
        self.prints = tape.trades;
    }

    /// Puts dollars in bitcoin's place, at its price `dollars` of each moment.
    pub fn in_dollars(&mut self, quote: Asset, dollars: &dyn Fn(i64) -> f64) {
        self.symbol = Symbol::new(self.symbol.base().clone(), quote);
        let (mut last_ms, mut factor) = (i64::MIN, Decimal::ONE);
        for print in &mut self.prints {
            if print.ms != last_ms {
                (last_ms, factor) = (print.ms, rate(dollars(print.ms)));
            }
            // The exchange tells eight decimals, and no price is nothing.
            let price = print.price.checked_mul(factor).unwrap_or(print.price).round_dp(8);
            print.price = price.max(Decimal::new(1, 8));
        }
    }

    /// Takes a random walk.
    pub fn walked(symbol: Symbol, walk: Walk) -> Market {
        Market { symbol, prints: Vec::new(), ground: Ground::Walked(walk) }
    }

    /// Returns the pair.
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// Returns the pair as the exchange spells it: `ADXBTC`; a contract is spelled as the pair it is on.
    pub fn wire(&self) -> String {
        format!("{}{}", self.symbol.base().as_str().trim_end_matches("_PERP"), self.symbol.quote())
    }

    /// Returns what is paid with.
    pub fn quote(&self) -> &Asset {
        self.symbol.quote()
    }

    /// Says whether nobody taped it.
    pub fn is_walked(&self) -> bool {
        matches!(self.ground, Ground::Walked(_))
    }

    /// Returns one trade by its place.
    pub fn print(&self, place: usize) -> &Trade {
        &self.prints[place]
    }

    /// Returns all trades; in order of time after [`Market::settle`].
    pub fn prints(&self) -> &[Trade] {
        &self.prints
    }

    /// Returns the last price before `ms`, as a figure.
    pub fn price(&self, ms: i64) -> f64 {
        match &self.ground {
            Ground::Walked(walk) => walk.price(ms),
            Ground::Taped { taped, .. } => {
                let before = self.prints[..*taped].partition_point(|trade| trade.ms < ms);
                self.prints.get(before.saturating_sub(1)).map_or(1.0, |trade| figure(trade.price))
            }
        }
    }

    /// Fills a taker order at about `ms` for about `quote`: a tape gives the order next in time that fits best.
    pub fn take(&mut self, dice: &mut Dice, ms: i64, side: Side, quote: f64) -> Option<Taken> {
        let fills = dice.whole(1, 3);
        self.take_in(dice, ms, side, quote, fills)
    }

    /// Does the same and, on a walk, in so many executions.
    pub fn take_in(&mut self, dice: &mut Dice, ms: i64, side: Side, quote: f64, fills: i64) -> Option<Taken> {
        match &mut self.ground {
            Ground::Walked(walk) => {
                let trades = walk.sweep(dice, ms, side, quote, fills)?;
                let start = self.prints.len();
                self.prints.extend(trades);
                Some(Taken { ms, prints: (start..self.prints.len()).collect() })
            }
            Ground::Taped { .. } => {
                let place = self.fitting(ms, side, quote)?;
                self.claim(place)
            }
        }
    }

    /// Fills an order that rested on the book, at about `ms` for about `quote`: one trade of a taker on the other side.
    pub fn rest(&mut self, dice: &mut Dice, ms: i64, side: Side, quote: f64) -> Option<Taken> {
        match self.ground {
            Ground::Walked(_) => self.take_in(dice, ms, side.opposite(), quote, 1),
            Ground::Taped { .. } => {
                let place = self.fitting(ms, side.opposite(), quote)?;
                let mut taken = self.claim(place)?;
                taken.prints.truncate(1);
                Some(taken)
            }
        }
    }

    /// Adds a trade that no tape holds.
    pub fn plant(&mut self, trade: Trade) -> Taken {
        self.prints.push(trade);
        Taken { ms: trade.ms, prints: vec![self.prints.len() - 1] }
    }

    /// Makes one of a walk's trades larger by at most `amount`, in whole lots. A tape's trades stay as they were.
    pub fn enlarge(&mut self, print: usize, amount: Decimal) {
        if let Ground::Walked(walk) = &self.ground {
            self.prints[print].amount += walk.whole_lots(amount);
        }
    }

    /// Returns the tape's free orders of one side in `from_ms..to_ms`; none for a walk.
    pub fn orders(&self, from_ms: i64, to_ms: i64, side: Side) -> Vec<usize> {
        let Ground::Taped { orders, .. } = &self.ground else { return Vec::new() };
        let first = orders.partition_point(|order| order.ms < from_ms);
        let within = orders[first..].iter().take_while(|order| order.ms < to_ms);
        within.enumerate().filter(|(_, o)| o.free && o.taker == side).map(|(place, _)| first + place).collect()
    }

    /// Gives one of the tape's orders to an account, unless another has it.
    pub fn claim(&mut self, order: usize) -> Option<Taken> {
        let Ground::Taped { orders, .. } = &mut self.ground else { return None };
        let order = orders.get_mut(order).filter(|order| order.free)?;
        order.free = false;
        Some(Taken { ms: order.ms, prints: order.prints.clone().collect() })
    }

    /// Returns one of the tape's orders without giving it to anybody.
    pub fn peek(&self, order: usize) -> Option<Taken> {
        let Ground::Taped { orders, .. } = &self.ground else { return None };
        orders.get(order).map(|order| Taken { ms: order.ms, prints: order.prints.clone().collect() })
    }

    /// Returns what an order cost, in quote.
    pub fn cost(&self, taken: &Taken) -> f64 {
        taken.prints.iter().map(|&place| quote_of(&self.prints[place])).sum()
    }

    /// Returns how much base an order moved.
    pub fn moved(&self, taken: &Taken) -> Decimal {
        taken.prints.iter().map(|&place| self.prints[place].amount).sum()
    }

    /// Returns ordinary moments at which the price had risen most over ten minutes: the best `fraction` of all.
    pub fn risen(&self, from_ms: i64, to_ms: i64, fraction: f64) -> Vec<i64> {
        let mut moments: Vec<(f64, i64)> = match &self.ground {
            Ground::Walked(walk) => walk.rises(from_ms, to_ms),
            Ground::Taped { orders, .. } => {
                let bought = orders.iter().filter(|o| o.taker == Side::Buy && (from_ms..to_ms).contains(&o.ms));
                let ordinary = bought.filter(|order| !self.bars(order.ms));
                ordinary.map(|order| (self.price(order.ms + 1) / self.price(order.ms - 600_000), order.ms)).collect()
            }
        };
        moments.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        moments.truncate((moments.len() as f64 * fraction).ceil() as usize);
        let mut moments: Vec<i64> = moments.into_iter().map(|(_, ms)| ms).collect();
        moments.sort_unstable();
        moments
    }

    /// Says whether `ms` lies around a known pump.
    pub fn bars(&self, ms: i64) -> bool {
        match &self.ground {
            Ground::Taped { barred, .. } => barred.iter().any(|&(from, to)| (from..to).contains(&ms)),
            Ground::Walked(_) => false,
        }
    }

    /// Surrounds the accounts' trades on a walk with those of others, and puts all in order of time. Returns for each
    /// trade's former place the new one.
    pub fn settle(&mut self, dice: &mut Dice, from_ms: i64, to_ms: i64) -> Vec<usize> {
        if let Ground::Walked(walk) = &self.ground {
            let mut own: Vec<i64> = self.prints.iter().map(|trade| trade.ms).collect();
            own.sort_unstable();
            let others = walk.surround(dice, &own, from_ms, to_ms);
            self.prints.extend(others);
        }
        let mut order: Vec<usize> = (0..self.prints.len()).collect();
        order.sort_by_key(|&place| (self.prints[place].ms, place));
        let mut moved = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            moved[old] = new;
        }
        self.prints = order.into_iter().map(|place| self.prints[place]).collect();
        moved
    }

    /// Finds the free ordinary order of a tape, next after `ms`, that comes nearest to `quote`.
    fn fitting(&self, ms: i64, side: Side, quote: f64) -> Option<usize> {
        let near = self.orders(ms, ms + REACH_MS, side);
        let Ground::Taped { orders, .. } = &self.ground else { return None };
        let ordinary = near.into_iter().filter(|&place| !self.bars(orders[place].ms)).take(COMPARED);
        let off = |place: usize| (orders[place].quote / quote).max(quote / orders[place].quote);
        ordinary.min_by(|&a, &b| off(a).total_cmp(&off(b)))
    }
}

fn orders_of(tape: &Tape) -> Vec<TapedOrder> {
    let order = |prints: Range<usize>| {
        let trades = &tape.trades[prints.clone()];
        let quote = trades.iter().map(quote_of).sum();
        TapedOrder { ms: trades[0].ms, taker: trades[0].taker, quote, prints, free: true }
    };
    tape.orders().into_iter().map(order).collect()
}

/// Reads bitcoin's price in cents, so that there and back is the same.
fn rate(dollars: f64) -> Decimal {
    Decimal::new((dollars * 100.0).round().max(1.0) as i64, 2)
}

fn quote_of(trade: &Trade) -> f64 {
    figure(trade.price * trade.amount)
}

/// Reads a decimal as a figure for choosing, never for booking.
pub(super) fn figure(number: Decimal) -> f64 {
    use rust_decimal::prelude::ToPrimitive;
    number.to_f64().unwrap_or(0.0)
}
