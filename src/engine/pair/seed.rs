//! A pair's past, told by bars after its present was already seen.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{H24H, HALF_LIVES, MEANS, Pair, YOUNG, float, toward};
use crate::domain::{Price, Side, Span, Timestamp};
use crate::engine::decay::{left, window};
use crate::engine::model::bars::BarFeatures;

/// A bar as the pair's memory takes it.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// When it opened.
    pub start: Timestamp,
    /// How long it is.
    pub span: Span,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Quote that changed hands.
    pub quote: f64,
    /// The part that takers bought.
    pub taker_buy_quote: Option<f64>,
    /// Number of trades.
    pub trades: Option<u64>,
}

/// What bars told of the time before the first trade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    pub(super) end: Timestamp,
    close: Option<Decimal>,
    means: [f64; 3],
    variance: f64,
}

impl Pair {
    /// Returns what a bar shows toward `side` against what is remembered from before it; take it afterwards.
    pub fn bar_features(&self, bar: &Bar, side: Side, unit: f64) -> BarFeatures {
        let Some(first) = self.first else { return BarFeatures { young: true, ..BarFeatures::default() } };
        let (end, secs) = (bar.start + bar.span, bar.span.secs_f64());
        let age = bar.start.since(first).secs_f64();
        let day = self.flow(Side::Buy).quote.get(H24H) + self.flow(Side::Sell).quote.get(H24H);
        let day = day * left(end.since(self.last).secs_f64(), HALF_LIVES[H24H]);
        let rate = (day + 0.02 / unit) / (window(age, HALF_LIVES[H24H]) + 60.0);
        let extreme = match side {
            Side::Buy => bar.high,
            Side::Sell => bar.low,
        };
        let moved = toward(side, float(extreme.get()).ln() - self.means[1]);
        BarFeatures {
            moved,
            z600: moved / (self.variance.sqrt() * (MEANS[1] / 60.0).sqrt() + 5e-4),
            times: bar.quote / (rate * secs),
            money: bar.quote * unit,
            young: age < YOUNG,
        }
    }

    /// Returns whether a bar tells what no trade told: it began after everything that is remembered.
    pub fn is_news(&self, bar: &Bar) -> bool {
        bar.start >= self.last.max(self.past_end())
    }

    /// Takes a bar of a time in which no trade was seen, after the first trade that was: the trades are not fed, or the
    /// feed is silent.
    pub fn follow(&mut self, bar: &Bar) {
        if !self.is_news(bar) || self.live.is_none() || bar.quote.is_nan() || bar.quote < 0.0 {
            return;
        }
        let (before, end) = (self.last, bar.start + bar.span);
        self.decay(end);
        self.seed_flows(bar, end);
        self.learn_price(end, bar.close.get(), before);
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
        // All of its past was told, and is counted.
        let over = self.told && self.live.is_some();
        if already_lived || over || bar.start < self.past_end() || bar.span <= Span::ZERO {
            return;
        }
        if self.live.is_none() {
            self.decay(end);
        }
        self.first = Some(self.first.map_or(bar.start, |first| first.min(bar.start)));
        self.seed_flows(bar, end);
        let mut past = self.past.take().unwrap_or_default();
        self.seed_prices(&mut past, bar, end);
        past.end = end;
        self.past = Some(past);
    }

    fn seed_flows(&mut self, bar: &Bar, end: Timestamp) {
        let bought = bar.taker_buy_quote.unwrap_or(bar.quote / 2.0).clamp(0.0, bar.quote.max(0.0));
        // A bar tells trades, not taker orders: an ordinary order makes about 1.6 trades, one in seven is a rush.
        let orders = bar.trades.map_or(f64::from(u8::from(bar.quote > 0.0)), |trades| trades as f64 * 0.3);
        let ago = self.last.since(end).secs_f64();
        for (flow, quote) in [(&mut self.buy, bought), (&mut self.sell, bar.quote - bought)] {
            for (place, half_life) in HALF_LIVES.into_iter().enumerate() {
                let rest = left(ago, half_life);
                flow.quote.add(place, quote * rest);
                flow.orders.add(place, orders * rest);
                flow.rush.add(place, orders * 0.15 * rest);
            }
        }
    }

    fn seed_prices(&mut self, past: &mut Past, bar: &Bar, end: Timestamp) {
        let log = float(bar.close.get()).ln();
        let lived = self.live.map_or(0.0, |(since, _)| self.last.since(since).secs_f64());
        for (place, half_life) in MEANS.into_iter().enumerate() {
            let old = match (past.close, self.live) {
                (Some(_), _) => past.means[place],
                (None, Some((_, first_log))) => first_log,
                (None, None) => log,
            };
            let step = if past.close.is_some() { 1.0 - left(bar.span.secs_f64(), half_life) } else { 1.0 };
            let new = old + step * (log - old);
            past.means[place] = new;
            match self.live {
                Some(_) => self.means[place] += left(lived, half_life) * (new - old),
                None => self.means[place] = new,
            }
        }
        if let Some(close) = past.close {
            let minutes = (end.since(past.end).secs_f64() / 60.0).max(bar.span.secs_f64() / 60.0);
            let change = log - float(close).ln();
            let step = (1.0 - left(minutes, 1_440.0)) * (change * change / minutes - past.variance);
            past.variance += step;
            self.variance += left(lived / 60.0, 1_440.0) * step;
        }
        match self.live {
            // Until a live minute is over, the seed's last price is the reference for money lost.
            Some((since, _)) if self.sample.is_none_or(|(at, _)| at.since(since).secs_f64() < 60.0) => {
                self.previous = Some(bar.close.get());
            }
            Some(_) => {}
            None => {
                self.previous = past.close.or(Some(bar.close.get()));
                self.sample = Some((end, bar.close.get()));
                self.last_price = Some(bar.close.get());
            }
        }
        past.close = Some(bar.close.get());
    }
}
