//! What the market looked like at one taker order.

use super::{H24H, HALF_LIVES, MEANS, Pair, TakerOrder, YOUNG, toward};
use crate::domain::Side;
use crate::engine::decay::{left, window};

const H15: usize = 1;
const H60: usize = 2;
const H2H: usize = 3;

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

impl Pair {
    /// `self` is the memory before `order`, `then` the memory with it.
    pub(super) fn features(&self, order: &TakerOrder, then: &Pair, unit: f64) -> Features {
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
}
