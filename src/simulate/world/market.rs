//! A pair: its fair price, what taking costs, its tape and its minutes.

use std::collections::VecDeque;

use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use rust_decimal::{Decimal, RoundingStrategy};

use super::minutes::{Candle, MINUTES, minute_of, past_minutes};
use crate::domain::{Side, Span, Symbol, Timestamp, Venue};
use crate::simulate::dice::Dice;
use crate::simulate::scenario::PairScene;

/// Public trades a pair remembers for those who ask for recent ones.
const TAPE: usize = 1_000;

/// One trade as everybody sees it.
#[derive(Clone, Debug)]
pub struct PublicTrade {
    /// The pair's running number of it.
    pub id: u64,
    /// The price.
    pub price: Decimal,
    /// The base that changed hands.
    pub quantity: Decimal,
    /// Who took: a buyer or a seller.
    pub taker: Side,
    /// When.
    pub time: Timestamp,
}

/// A pair of one venue.
#[derive(Debug)]
pub struct Pair {
    /// Where it trades.
    pub venue: Venue,
    /// What it is.
    pub symbol: Symbol,
    /// Its numbers at the start.
    pub scene: PairScene,
    fair: f64,
    push: f64,
    moved: Timestamp,
    dice: Dice,
    last: Decimal,
    next_id: u64,
    tape: VecDeque<PublicTrade>,
    minutes: VecDeque<Candle>,
}

impl Pair {
    /// Opens a pair at `now` with its minutes of the last two days behind it.
    pub fn open(venue: Venue, symbol: Symbol, scene: PairScene, seed: u64, now: Timestamp) -> Self {
        let mut dice = Dice::new(seed, &format!("market/{venue}/{symbol}"));
        let minutes = past_minutes(&scene, &mut dice, now);
        let fair = scene.price;
        let mut pair = Pair {
            venue,
            symbol,
            fair,
            push: 0.0,
            moved: now,
            last: Decimal::ZERO,
            next_id: 4_000_000 + u64::try_from(dice.below(90_000_000)).unwrap_or(0),
            tape: VecDeque::new(),
            minutes,
            dice,
            scene,
        };
        pair.last = pair.price(fair);
        pair
    }

    /// Returns the seconds until the next public trade of strangers.
    pub fn next_trade_in(&mut self) -> f64 {
        self.dice.wait(self.scene.every_secs)
    }

    /// Returns the price between the best bid and ask.
    pub fn mid(&self, now: Timestamp) -> f64 {
        self.fair * self.push_at(now).exp()
    }

    /// Returns the best bid and ask.
    pub fn best(&self, now: Timestamp) -> (Decimal, Decimal) {
        let (mid, half) = (self.mid(now), self.half_spread());
        let tick = Decimal::new(1, self.scene.price_decimals);
        let bid = self.price(mid * (1.0 - half));
        (bid, self.price(mid * (1.0 + half)).max(bid + tick))
    }

    /// Returns the last traded price.
    pub fn last(&self) -> Decimal {
        self.last
    }

    /// Returns the newest trades, oldest first.
    pub fn tape(&self) -> impl DoubleEndedIterator<Item = &PublicTrade> {
        self.tape.iter()
    }

    /// Lets the fair price wander to `now`, drawn back to where it started, so that no pair runs away in a long test.
    fn wander(&mut self, now: Timestamp) {
        self.push = self.push_at(now);
        let minutes = now.since(self.moved).secs_f64() / 60.0;
        self.moved = now;
        let away = (self.fair / self.scene.price).ln();
        let step = self.scene.volatility * minutes.sqrt() * self.dice.normal() - 0.001 * away * minutes;
        self.fair *= step.exp();
    }

    /// Takes what a stranger trades now: side and base.
    pub fn stranger(&mut self, now: Timestamp) -> (Side, Vec<(Decimal, Decimal)>) {
        self.wander(now);
        let side = if self.dice.chance(0.5) { Side::Buy } else { Side::Sell };
        let quote = self.dice.around(self.scene.trade, 0.9);
        let quantity = self.lot(quote / self.mid(now)).max(Decimal::new(1, self.scene.lot_decimals));
        (side, self.sweep(side, quantity, now))
    }

    /// Moves the price as an accomplice's orders do: up for a positive fraction.
    pub fn lift(&mut self, fraction: f64, now: Timestamp) {
        self.wander(now);
        self.push += fraction.ln_1p();
    }

    /// Fills a taker level by level until `quantity` is done; the price stays where the last level was and then
    /// comes back with the pair's half-life.
    pub fn sweep(&mut self, side: Side, quantity: Decimal, now: Timestamp) -> Vec<(Decimal, Decimal)> {
        let (bid, ask) = self.best(now);
        let start = match side {
            Side::Buy => ask,
            Side::Sell => bid,
        };
        let step = if self.scene.thin { 0.004 } else { 0.000_1 };
        let capacity = self.scene.depth * step / 0.01;
        let (mut rest, mut levels, mut price) = (quantity, Vec::new(), start.to_f64().unwrap_or(self.fair));
        while rest > Decimal::ZERO {
            let at = self.price(price);
            let room = capacity * self.dice.between(0.6, 1.4) / price;
            let room = self.lot(room);
            let take =
                if levels.len() >= 40 { rest } else { rest.min(room.max(Decimal::new(1, self.scene.lot_decimals))) };
            match levels.last_mut() {
                Some((last, sum)) if *last == at => *sum += take,
                Some(_) | None => levels.push((at, take)),
            }
            rest -= take;
            price *= match side {
                Side::Buy => 1.0 + step,
                Side::Sell => 1.0 - step,
            };
        }
        if let Some((end, _)) = levels.last() {
            let pushed = (end.to_f64().unwrap_or(self.fair) / self.mid(now)).ln();
            self.push = self.push_at(now) + 0.8 * pushed;
            self.moved = now;
        }
        levels
    }

    /// Writes one trade on the tape and into its minute, and returns it with its number.
    pub fn print(&mut self, taker: Side, price: Decimal, quantity: Decimal, now: Timestamp) -> PublicTrade {
        let trade = PublicTrade { id: self.take_id(), price, quantity, taker, time: now };
        self.last = price;
        self.count(&trade);
        self.tape.push_back(trade.clone());
        if self.tape.len() > TAPE {
            self.tape.pop_front();
        }
        trade
    }

    /// Takes the next trade number.
    pub fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Returns what it traded at about `time`: the minute's close, or near the oldest known minute.
    pub fn price_at(&self, time: Timestamp, dice: &mut Dice) -> Decimal {
        let start = minute_of(time);
        match self.minutes.binary_search_by_key(&start, |candle| candle.start) {
            Ok(index) => self.price(self.minutes.get(index).map_or(self.fair, |candle| candle.close)),
            Err(0) => self.price(self.minutes.front().map_or(self.fair, |c| c.open) * (0.008 * dice.normal()).exp()),
            Err(_) => self.price(self.fair),
        }
    }

    /// Returns how much the price changed over the last `span`, as a logarithm.
    pub fn change(&self, span: Span, now: Timestamp) -> f64 {
        let from = minute_of(now - span);
        let then = self.minutes.iter().rev().find(|candle| candle.start <= from).map_or(self.fair, |c| c.close);
        (self.last.to_f64().unwrap_or(then) / then).ln()
    }

    /// Returns the candles of `width` seconds that start in `from..=to` (seconds since 1970), oldest first.
    pub fn candles(&self, width: i64, from: i64, to: i64) -> Vec<Candle> {
        let mut wide: Vec<Candle> = Vec::new();
        for minute in &self.minutes {
            let start = minute.start - minute.start.rem_euclid(width);
            match wide.last_mut() {
                Some(last) if last.start == start => last.take_in(minute),
                Some(_) | None => wide.push(Candle { start, ..*minute }),
            }
        }
        wide.retain(|candle| (from..=to).contains(&candle.start));
        wide
    }

    /// Returns the last 24 hours as one candle.
    pub fn day(&self, now: Timestamp) -> Candle {
        let from = minute_of(now) - 86_400;
        let mut day: Option<Candle> = None;
        for minute in self.minutes.iter().filter(|minute| minute.start > from) {
            match &mut day {
                Some(day) => day.take_in(minute),
                None => day = Some(*minute),
            }
        }
        day.unwrap_or_else(|| Candle::flat(from, self.fair))
    }

    /// Rounds a price to the pair's ticks.
    pub fn price(&self, price: f64) -> Decimal {
        let tick = Decimal::new(1, self.scene.price_decimals);
        let decimals = self.scene.price_decimals;
        let exact = Decimal::from_f64(price).unwrap_or(tick);
        let mut rounded = exact.round_dp(decimals).max(tick);
        rounded.rescale(decimals);
        rounded
    }

    /// Rounds an amount down to the pair's lots.
    pub fn lot(&self, amount: f64) -> Decimal {
        self.lot_of(Decimal::from_f64(amount).unwrap_or(Decimal::ZERO))
    }

    /// Rounds an amount down to the pair's lots.
    pub fn lot_of(&self, amount: Decimal) -> Decimal {
        amount.round_dp_with_strategy(self.scene.lot_decimals, RoundingStrategy::ToZero).max(Decimal::ZERO)
    }

    fn half_spread(&self) -> f64 {
        if self.scene.thin { 0.002 } else { 0.000_05 }
    }

    fn push_at(&self, now: Timestamp) -> f64 {
        let half_life = if self.scene.thin { 240.0 } else { 8.0 };
        self.push * (-now.since(self.moved).secs_f64() / half_life * std::f64::consts::LN_2).exp()
    }

    fn count(&mut self, trade: &PublicTrade) {
        let start = minute_of(trade.time);
        let (price, base) = (trade.price.to_f64().unwrap_or(self.fair), trade.quantity.to_f64().unwrap_or(0.0));
        let close = self.minutes.back().map_or(price, |candle| candle.close);
        while self.minutes.back().is_some_and(|candle| candle.start < start) {
            let next = self.minutes.back().map_or(start, |candle| candle.start + 60);
            self.minutes.push_back(Candle::flat(next, if next == start { price } else { close }));
            if self.minutes.len() > MINUTES {
                self.minutes.pop_front();
            }
        }
        if let Some(candle) = self.minutes.back_mut() {
            let taken = if trade.taker == Side::Buy { base } else { 0.0 };
            candle.take_in(&Candle {
                volume: base,
                quote: base * price,
                taker_volume: taken,
                taker_quote: taken * price,
                trades: 1,
                ..Candle::flat(start, price)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::scenario::Scenario;

    fn pair(thin: bool) -> Pair {
        let scene = Scenario::default().pairs(Venue::Binance).into_iter().find(|pair| pair.thin == thin).unwrap();
        Pair::open(
            Venue::Binance,
            Symbol::from_dashed(&scene.symbol).unwrap(),
            scene,
            1,
            Timestamp::from_millis(1_700_000_000_000),
        )
    }

    #[test]
    fn a_large_buy_in_a_thin_pair_pays_rising_prices_and_the_price_comes_back() {
        let (mut pair, now) = (pair(true), Timestamp::from_millis(1_700_000_000_000));
        let before = pair.mid(now);
        let levels = pair.sweep(Side::Buy, Decimal::from(100_000), now);
        assert!(levels.len() > 5, "{levels:?}");
        assert!(levels.windows(2).all(|two| two[0].0 < two[1].0));
        assert_eq!(levels.iter().map(|level| level.1).sum::<Decimal>(), Decimal::from(100_000));
        assert!(pair.mid(now) > before * 1.02);
        assert!(pair.mid(now + Span::from_secs(3_600)) < before * 1.01);
    }

    #[test]
    fn history_ends_where_the_market_begins() {
        for thin in [false, true] {
            let (pair, now) = (pair(thin), Timestamp::from_millis(1_700_000_000_000));
            let day = pair.candles(60, 0, i64::MAX);
            assert_eq!(day.len(), MINUTES);
            assert!((day.last().unwrap().close / pair.scene.price - 1.0).abs() < 1e-9);
            assert!(day.iter().all(|c| c.low <= c.open && c.low <= c.close && c.high >= c.open && c.high >= c.close));
            assert!(day.windows(2).all(|two| two[1].start - two[0].start == 60));
            assert!(pair.day(now).quote > 1_000.0);
            assert_eq!(pair.candles(3_600, 0, i64::MAX).first().unwrap().start % 3_600, 0);
        }
    }
}
