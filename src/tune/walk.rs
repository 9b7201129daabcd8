//! A price that wanders, and the trades of others around it.

use std::cell::OnceCell;

use rust_decimal::Decimal;

use super::dice::{Dice, mix, unit};
use super::tape::Trade;
use crate::domain::Side;

/// How a made-up pair behaves.
#[derive(Clone, Copy, Debug)]
pub struct Habit {
    /// Where its price starts.
    pub price: f64,
    /// Deviation of the price over one minute, as a share.
    pub minute: f64,
    /// Quote traded in a day.
    pub daily: f64,
    /// Half the distance between bid and ask, as a share.
    pub half_spread: f64,
    /// Decimals of its price.
    pub price_digits: u32,
    /// Decimals of its amounts.
    pub amount_digits: u32,
    /// Seconds between trades of others while no watched account trades. Their size fills the daily quote whatever the
    /// distance, so a recording of months stays small and the pair's volume right.
    pub gap_s: f64,
    /// Seconds between trades of others around an account's own.
    pub near_gap_s: f64,
    /// True for a pair that needs trades of others only from a day before an account's first to its last.
    pub visited: bool,
    /// When it was first traded, ms since 1970; its first day is wild.
    pub listed_ms: Option<i64>,
    /// When a public group began to raise it, ms since 1970.
    pub pumped_ms: Option<i64>,
    /// When everything began to fall, ms since 1970, and by which share this pair does.
    pub crash: Option<(i64, f64)>,
}

/// A random walk that can be asked for its price at any time, in any order.
#[derive(Clone, Debug)]
pub struct Walk {
    habit: Habit,
    from_ms: i64,
    seed: u64,
    steps: usize,
    grid: OnceCell<Vec<f64>>,
}

/// Between two points of the grid, in ms.
const STEP_MS: i64 = 300_000;
const DAY_MS: i64 = 86_400_000;
/// Trades of others are dense this long before and after an account's own, in ms. Two hours, because a market that wakes
/// up a minute before every order of an account would itself be evidence against it.
const NEAR_MS: (i64, i64) = (7_200_000, 20_000);
/// How long a crash takes.
pub const CRASH_MS: i64 = 3 * 3_600_000;
/// A pump draws others for this long, and they spend so many times what they usually do: a third of the 953 times that
/// were measured at onsets.
const RUSH_MS: i64 = 150_000;
const RUSHED: f64 = 300.0;

impl Walk {
    /// Lets a price wander from `from_ms` to `to_ms`.
    pub fn new(habit: Habit, seed: u64, from_ms: i64, to_ms: i64) -> Walk {
        let steps = ((to_ms - from_ms).max(0) / STEP_MS + 3) as usize;
        Walk { habit, from_ms, seed, steps, grid: OnceCell::new() }
    }

    /// Returns the prices every five minutes, drawn when somebody first asks: most pairs nobody visits.
    fn grid(&self) -> &[f64] {
        self.grid.get_or_init(|| {
            let (habit, mut dice, mut price) = (&self.habit, Dice::new(self.seed), self.habit.price);
            let mut grid = Vec::with_capacity(self.steps);
            for step in 0..self.steps as i64 {
                grid.push(price);
                // Returns have fat tails: now and then a step is six times as wide.
                let wide = if dice.chance(0.002) { 6.0 } else { 1.0 };
                let young = habit.listed_ms.is_some_and(|listed| (self.from_ms + step * STEP_MS - listed) < DAY_MS);
                let wild = if young { 4.0 } else { 1.0 };
                let change = habit.minute * 5_f64.sqrt() * wide * wild * dice.bell();
                price *= 1.0 + change.clamp(-0.5, 0.5);
            }
            grid
        })
    }

    /// Returns the middle price at `ms`.
    pub fn price(&self, ms: i64) -> f64 {
        let since = (ms - self.from_ms).clamp(0, (self.steps as i64 - 2) * STEP_MS);
        let step = (since / STEP_MS) as usize;
        let grid = self.grid();
        let (mut low, mut high) = (grid[step], grid[step + 1]);
        let (mut place, mut span) = ((since % STEP_MS) as f64, STEP_MS as f64);
        // A bridge between grid points: each half's middle is displaced by what the walk would have done in it.
        let mut key = mix(self.seed ^ step as u64);
        for _ in 0..8 {
            let displaced = self.habit.minute * (span / 60_000.0 / 4.0).sqrt() * narrow_bell(key);
            let middle = (low + high) / 2.0 * (1.0 + displaced);
            span /= 2.0;
            if place < span {
                high = middle;
                key = mix(key ^ 0x5555);
            } else {
                low = middle;
                place -= span;
                key = mix(key ^ 0xaaaa);
            }
        }
        (low + (high - low) * place / span) * self.raised(ms) * self.fallen(ms)
    }

    /// Returns how many times its own price a pair costs that a group raises: up within half a minute, held for as long,
    /// and half of it gone every few minutes.
    fn raised(&self, ms: i64) -> f64 {
        let Some(onset) = self.habit.pumped_ms.filter(|onset| ms >= *onset) else { return 1.0 };
        let height = 0.4 + 1.2 * unit(mix(self.seed ^ 0x7075_6d70));
        let since = (ms - onset) as f64 / 1_000.0;
        let share = if since < 30.0 { since / 30.0 } else { 1.0 / (1.0 + (since - 60.0).max(0.0) / 120.0) };
        1.0 + height * share
    }

    /// Returns how many times its own price a pair costs in a crash: down within hours, and half of it back within days.
    fn fallen(&self, ms: i64) -> f64 {
        let Some((begun, depth)) = self.habit.crash.filter(|(begun, _)| ms >= *begun) else { return 1.0 };
        let share = if ms < begun + CRASH_MS {
            (ms - begun) as f64 / CRASH_MS as f64
        } else {
            let days = (ms - begun - CRASH_MS) as f64 / DAY_MS as f64;
            0.5 + 0.5 / (1.0 + days)
        };
        1.0 - depth * share
    }

    /// Says whether a group is raising the pair at `ms`, so that others trade all the time.
    fn is_rushed(&self, ms: i64) -> bool {
        self.habit.pumped_ms.is_some_and(|onset| (onset..onset + RUSH_MS).contains(&ms))
    }

    /// Returns the trades of a taker order for about `quote` at `ms`, each a little worse than the one before.
    pub fn sweep(&self, dice: &mut Dice, ms: i64, side: Side, quote: f64, fills: i64) -> Option<Vec<Trade>> {
        if self.habit.listed_ms.is_some_and(|listed| ms < listed) {
            return None;
        }
        // Square-root impact with the pair's daily deviation: sqrt(1440) minutes.
        let daily = self.habit.minute * 38.0;
        let impact = (daily * 0.5 * (quote / self.habit.daily).sqrt()).min(0.15);
        let fills = fills.max(1);
        let trades = (0..fills).map(|fill| {
            let worse = self.habit.half_spread + impact * fill as f64 / fills as f64;
            let price = self.tick(self.price(ms) * (1.0 + sign(side) * worse));
            let amount = self.lot(quote / fills as f64 * dice.between(0.7, 1.3) / super::market::figure(price));
            Trade { ms, taker: side, price, amount }
        });
        Some(trades.collect())
    }

    /// Returns the trades of others: sparse, and dense around the times in `own` (sorted).
    pub fn surround(&self, dice: &mut Dice, own: &[i64], from_ms: i64, to_ms: i64) -> Vec<Trade> {
        let (mut from_ms, mut to_ms) = (from_ms.max(self.habit.listed_ms.unwrap_or(from_ms)), to_ms);
        if self.habit.visited {
            let (Some(first), Some(last)) = (own.first(), own.last()) else { return Vec::new() };
            from_ms = from_ms.max(first - DAY_MS - 7_200_000);
            to_ms = to_ms.min(last + 7_200_000);
        }
        let (mut trades, mut ms) = (Vec::new(), from_ms);
        let mut next_own = own.partition_point(|&at| at + NEAR_MS.1 < from_ms);
        loop {
            let gap = (1_000.0 * dice.wait(self.habit.gap_s)) as i64 + 1;
            let rushed = self.is_rushed(ms);
            let near_gap_s = if rushed { 0.6 } else { self.habit.near_gap_s };
            let near = (1_000.0 * dice.wait(near_gap_s)) as i64 + 1;
            while own.get(next_own).is_some_and(|&at| at + NEAR_MS.1 < ms) {
                next_own += 1;
            }
            let dense_from = own.get(next_own).map_or(i64::MAX, |at| at - NEAR_MS.0);
            let next = if ms >= dense_from { ms + near.min(gap) } else { (ms + gap).min(dense_from) };
            if next >= to_ms {
                return trades;
            }
            let side = if dice.chance(if rushed { 0.75 } else { 0.5 }) { Side::Buy } else { Side::Sell };
            let times = if rushed { RUSHED } else { 1.0 };
            let quote = times * self.habit.daily * (next - ms) as f64 / DAY_MS as f64 * dice.doubling(0.4, 2.0);
            let price = self.tick(self.price(next) * (1.0 + sign(side) * self.habit.half_spread));
            let amount = self.lot(quote / super::market::figure(price));
            trades.push(Trade { ms: next, taker: side, price, amount });
            ms = next;
        }
    }

    /// Returns the rise over ten minutes at each point of the grid.
    pub fn rises(&self, from_ms: i64, to_ms: i64) -> Vec<(f64, i64)> {
        let points = self.grid().windows(3).enumerate();
        let rises = points.map(|(step, three)| (three[2] / three[0], self.from_ms + (step as i64 + 2) * STEP_MS));
        rises.filter(|(_, ms)| (from_ms..to_ms).contains(ms)).collect()
    }

    /// Returns the part of `amount` that can be traded.
    pub fn whole_lots(&self, amount: Decimal) -> Decimal {
        amount.trunc_with_scale(self.habit.amount_digits).max(Decimal::ZERO)
    }

    fn tick(&self, price: f64) -> Decimal {
        rounded(price, self.habit.price_digits)
    }

    fn lot(&self, amount: f64) -> Decimal {
        rounded(amount, self.habit.amount_digits)
    }
}

impl Habit {
    /// A pair of two large coins.
    pub fn liquid(price: f64, daily: f64, price_digits: u32, amount_digits: u32) -> Habit {
        Habit {
            price,
            minute: 0.0009,
            daily,
            half_spread: 0.000_1,
            price_digits,
            amount_digits,
            gap_s: 900.0,
            near_gap_s: 15.0,
            visited: false,
            listed_ms: None,
            pumped_ms: None,
            crash: None,
        }
    }

    /// A small coin against BTC.
    pub fn thin(price: f64, daily: f64) -> Habit {
        Habit {
            price,
            minute: 0.002,
            daily,
            half_spread: 0.001_5,
            price_digits: 8,
            amount_digits: 0,
            gap_s: 420.0,
            near_gap_s: 30.0,
            visited: true,
            listed_ms: None,
            pumped_ms: None,
            crash: None,
        }
    }
}

const fn sign(side: Side) -> f64 {
    match side {
        Side::Buy => 1.0,
        Side::Sell => -1.0,
    }
}

/// Rounds to so many decimals and to at least one unit of the last.
fn rounded(figure: f64, digits: u32) -> Decimal {
    let units = (0..digits).fold(figure, |units, _| units * 10.0).round();
    Decimal::new((units as i64).max(1), digits)
}

/// Draws from a bell-like curve of deviation 1 out of a key: four even draws.
fn narrow_bell(key: u64) -> f64 {
    let draws = [1, 2, 3, 4].map(|i: u64| unit(mix(key.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)))));
    (draws.iter().sum::<f64>() - 2.0) * 3_f64.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_moves_as_much_in_a_minute_as_its_habit_says() {
        let habit = Habit::thin(0.000_01, 5.0);
        let walk = Walk::new(habit, 3, 0, 20 * DAY_MS);
        let returns = (0..20_000).map(|minute| walk.price((minute + 1) * 60_000) / walk.price(minute * 60_000) - 1.0);
        let deviation = (returns.map(|r| r * r).sum::<f64>() / 20_000.0).sqrt();
        assert!((0.7..1.5).contains(&(deviation / habit.minute)), "{deviation}");
    }

    #[test]
    fn trades_of_others_make_up_the_daily_volume_however_sparse() {
        let habit = Habit { visited: false, ..Habit::thin(0.000_01, 5.0) };
        let walk = Walk::new(habit, 3, 0, 10 * DAY_MS);
        let own: Vec<i64> = (0..50).map(|i| i * 17_000_000).collect();
        let trades = walk.surround(&mut Dice::new(1), &own, 0, 10 * DAY_MS);
        let quote: f64 = trades.iter().map(|t| super::super::market::figure(t.price * t.amount)).sum();
        assert!((35.0..70.0).contains(&quote), "{quote}");
        assert!(trades.windows(2).all(|pair| pair[0].ms <= pair[1].ms));
    }
}
