//! A pair's minutes: what the candles are made of, and the two days of them that lie behind the start.

use std::collections::VecDeque;

use crate::domain::Timestamp;
use crate::simulate::dice::Dice;
use crate::simulate::scenario::PairScene;

/// Minutes of history a pair keeps: a day for the candles and one for what the day changed from.
pub const MINUTES: usize = 2 * 1_440;

/// One minute of a pair.
#[derive(Clone, Copy, Debug)]
pub struct Candle {
    /// Its first second, since 1970.
    pub start: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Base traded.
    pub volume: f64,
    /// Quote traded.
    pub quote: f64,
    /// Base bought by takers.
    pub taker_volume: f64,
    /// Quote paid by takers.
    pub taker_quote: f64,
    /// Trades.
    pub trades: u32,
}

impl Candle {
    /// Returns a candle in which nothing traded.
    pub fn flat(start: i64, price: f64) -> Self {
        Candle {
            start,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 0.0,
            quote: 0.0,
            taker_volume: 0.0,
            taker_quote: 0.0,
            trades: 0,
        }
    }

    /// Adds a later candle, or a single trade as one.
    pub fn take_in(&mut self, later: &Candle) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume += later.volume;
        self.quote += later.quote;
        self.taker_volume += later.taker_volume;
        self.taker_quote += later.taker_quote;
        self.trades += later.trades;
    }
}

/// Returns the first second of the minute that holds `time`.
pub fn minute_of(time: Timestamp) -> i64 {
    let seconds = time.millis().div_euclid(1_000);
    seconds - seconds.rem_euclid(60)
}

/// Walks backwards from the price of now, so that history and market meet.
pub fn past_minutes(scene: &PairScene, dice: &mut Dice, now: Timestamp) -> VecDeque<Candle> {
    let mut minutes = VecDeque::with_capacity(MINUTES);
    let (mut start, mut close) = (minute_of(now), scene.price);
    for _ in 0..MINUTES {
        let drawn_back = 0.001 * (close / scene.price).ln();
        let open = close * (scene.volatility * dice.normal() - drawn_back).exp();
        let trades = dice.around(60.0 / scene.every_secs, 0.5) + dice.between(-0.5, 0.5);
        let trades = trades.round().clamp(0.0, 1e6) as u32;
        let mut candle = Candle::flat(start, if trades == 0 { close } else { open });
        if trades > 0 {
            let reach = scene.volatility * 0.6;
            candle.close = close;
            candle.high = open.max(close) * (1.0 + reach * dice.unit());
            candle.low = open.min(close) * (1.0 - reach * dice.unit());
            candle.quote = f64::from(trades) * dice.around(scene.trade * 1.5, 0.4);
            candle.volume = candle.quote / close;
            let taken = dice.between(0.3, 0.7);
            candle.taker_volume = candle.volume * taken;
            candle.taker_quote = candle.quote * taken;
            candle.trades = trades;
            close = open;
        }
        minutes.push_front(candle);
        start -= 60;
    }
    minutes
}
