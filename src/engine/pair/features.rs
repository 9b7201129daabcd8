//! What the market looked like at one taker order.

use super::{H24H, HALF_LIVES, MEANS, Pair, TakerOrder, YOUNG, toward};
use crate::domain::Side;
use crate::engine::decay::{left, window};

const H3: usize = 0;
const H15: usize = 1;
const H60: usize = 2;
const H2H: usize = 3;

/// Writes the numbers down once: as fields, and in the order that a model knows them by.
macro_rules! numbers {
    ($(#[$about:meta])* $count:literal of $($(#[$meaning:meta])* $name:ident,)+) => {
        $(#[$about])*
        pub struct Features {
            $($(#[$meaning])* pub $name: f64,)+
            /// Whether the pair was followed for less than a day and not seeded.
            pub young: bool,
        }

        impl Features {
            /// The names of all numbers, in the order of [`Features::values`].
            pub const NAMES: [&'static str; $count] = [$(stringify!($name)),+];

            /// Returns all numbers, in the order of [`Features::NAMES`].
            pub fn values(&self) -> [f64; $count] {
                [$(self.$name),+]
            }

            /// Puts numbers in the order of [`Features::NAMES`] into their places, of a pair that is not young.
            #[cfg(test)]
            pub fn from_values([$($name),+]: [f64; $count]) -> Features {
                Features { $($name,)+ young: false }
            }
        }
    };
}

numbers! {
    /// What the market looked like at one taker order, without units of money.
    ///
    /// `rqX_Y` is ln(rate of the side's quote over X / its rate over Y + 0.1), `rn` the same of orders, `rr` of rush orders
    /// (two price levels or more). Everything points toward the order's side, so sells look like mirrored buys.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    34 of
    /// Displacement from the one-minute mean in the pair's own deviations; toward the order's side.
    z60,
    /// The same from the ten-minute mean.
    z600,
    /// The same from the two-hour mean.
    z2h,
    /// Displacement from the one-minute mean as a logarithm.
    ret60,
    /// Displacement from the ten-minute mean as a logarithm.
    ret600,
    /// Displacement from the two-hour mean as a logarithm.
    ret2h,
    /// ln of the rate of quote over 3 s against 2 h.
    rq3_2h,
    /// ln of the rate of quote over 15 s against 2 h.
    rq15_2h,
    /// ln of the rate of quote over 60 s against 2 h.
    rq60_2h,
    /// ln of the rate of quote over 3 s against 24 h.
    rq3_24h,
    /// ln of the rate of quote over 15 s against 24 h.
    rq15_24h,
    /// ln of the rate of quote over 60 s against 24 h.
    rq60_24h,
    /// ln of the rate of orders over 3 s against 2 h.
    rn3_2h,
    /// ln of the rate of orders over 15 s against 2 h.
    rn15_2h,
    /// ln of the rate of orders over 60 s against 2 h.
    rn60_2h,
    /// ln of the rate of orders over 3 s against 24 h.
    rn3_24h,
    /// ln of the rate of orders over 15 s against 24 h.
    rn15_24h,
    /// ln of the rate of orders over 60 s against 24 h.
    rn60_24h,
    /// ln of the rate of rush orders over 3 s against 2 h.
    rr3_2h,
    /// ln of the rate of rush orders over 15 s against 2 h.
    rr15_2h,
    /// ln of the rate of rush orders over 60 s against 2 h.
    rr60_2h,
    /// ln of the rate of rush orders over 3 s against 24 h.
    rr3_24h,
    /// ln of the rate of rush orders over 15 s against 24 h.
    rr15_24h,
    /// ln of the rate of rush orders over 60 s against 24 h.
    rr60_24h,
    /// The side's share of all taker quote in 15 s.
    bf15,
    /// The side's share of all taker quote in 60 s.
    bf60,
    /// ln of the side's daily quote, in units of the model (about one bitcoin of 2019).
    liq,
    /// ln of the side's quote within about 15 s, in units of the model: money, whatever the pair's usual is.
    money15,
    /// The same within about 60 s.
    money60,
    /// How far the order itself moved the price, as a logarithm.
    sweep,
    /// How many price levels the order took.
    levels,
    /// The pair's own deviation of ln(price) per minute.
    swing,
    /// ln of the seconds since the order before, of either side.
    gap,
    /// The order's quote against the side's daily quote.
    share_of_day,
}

impl Features {
    /// The definitions above, as a model that was fitted on them names them; a change of any of them is a new version.
    pub const VERSION: u32 = 1;
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
        let day = base(was.quote.get(H24H), H24H, 0.01 / unit);
        let extreme = match side {
            Side::Buy => order.high,
            Side::Sell => order.low,
        };
        let ret = |place: usize| toward(side, extreme.ln() - self.means[place]);
        let z = |place: usize| ret(place) / (self.variance.sqrt() * (MEANS[place] / 60.0).sqrt() + 5e-4);
        let share = |place: usize| {
            let all = flow.quote.get(place) + other.quote.get(place);
            if all > 0.0 { flow.quote.get(place) / all } else { 0.5 }
        };
        let quote = |fast: usize, slow: f64| ratio(rate(flow.quote.get(fast), fast), slow);
        let orders = |fast: usize, slow: f64| ratio(rate(flow.orders.get(fast), fast), slow);
        let rush = |fast: usize, slow: f64| ratio(rate(flow.rush.get(fast), fast), slow);
        let quote_2h = base(was.quote.get(H2H), H2H, 0.01 / unit);
        let (orders_2h, orders_24h) = (base(was.orders.get(H2H), H2H, 1.0), base(was.orders.get(H24H), H24H, 1.0));
        let (rush_2h, rush_24h) = (base(was.rush.get(H2H), H2H, 0.5), base(was.rush.get(H24H), H24H, 0.5));
        let money = |place: usize| (flow.quote.get(place) * unit + 1e-4).ln();
        Features {
            z60: z(0),
            z600: z(1),
            z2h: z(2),
            ret60: ret(0),
            ret600: ret(1),
            ret2h: ret(2),
            rq3_2h: quote(H3, quote_2h),
            rq15_2h: quote(H15, quote_2h),
            rq60_2h: quote(H60, quote_2h),
            rq3_24h: quote(H3, day),
            rq15_24h: quote(H15, day),
            rq60_24h: quote(H60, day),
            rn3_2h: orders(H3, orders_2h),
            rn15_2h: orders(H15, orders_2h),
            rn60_2h: orders(H60, orders_2h),
            rn3_24h: orders(H3, orders_24h),
            rn15_24h: orders(H15, orders_24h),
            rn60_24h: orders(H60, orders_24h),
            rr3_2h: rush(H3, rush_2h),
            rr15_2h: rush(H15, rush_2h),
            rr60_2h: rush(H60, rush_2h),
            rr3_24h: rush(H3, rush_24h),
            rr15_24h: rush(H15, rush_24h),
            rr60_24h: rush(H60, rush_24h),
            bf15: share(H15),
            bf60: share(H60),
            liq: (day * 86_400.0 * unit).ln(),
            money15: money(H15),
            money60: money(H60),
            sweep: (order.high / order.low).ln(),
            levels: f64::from(order.levels),
            swing: self.variance.sqrt(),
            gap: (since + 1e-3).ln(),
            share_of_day: order.quote / (day * 86_400.0).max(f64::MIN_POSITIVE),
            young: age < YOUNG,
        }
    }
}
