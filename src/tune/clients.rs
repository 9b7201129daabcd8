//! With what an owner sends orders: one program most days, another now and then, and once a year a new one for good.
//!
//! An owner who is never seen with a second program makes every strange order a theft, in a test and nowhere else.

use super::dice::{Dice, mix};
use super::scene::Grammar;

/// What an owner sends orders with.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    usual: Grammar,
    seed: u64,
    /// The other program, and on what part of the days.
    other: Option<(Grammar, f64)>,
    /// From this day on everything comes from here.
    moved: Option<(i64, Grammar)>,
}

const DAY_MS: i64 = 86_400_000;
/// Half of those who trade by hand have the app and the page; of a bot's owners one in three trades by hand at times.
const BY_HAND: (f64, [f64; 2]) = (0.5, [0.03, 0.4]);
const BY_BOT: (f64, [f64; 2]) = (0.33, [0.02, 0.15]);
/// Days after which an owner moves to another program, in the mean.
const MOVES: f64 = 365.0;

impl Clients {
    /// Draws what the owner called `name` has.
    pub(super) fn of(seed: u64, name: &str, usual: Grammar, (from_ms, to_ms): (i64, i64)) -> Clients {
        let mut dice = Dice::named(seed, &format!("clients of {name}"));
        let (share, [seldom, often]) = if matches!(usual, Grammar::Face(_)) { BY_HAND } else { BY_BOT };
        let face = if usual == Grammar::Face("web") { "ios" } else { "web" };
        let other = dice.chance(share).then(|| (Grammar::Face(face), dice.doubling(seldom, often)));
        let days = (to_ms - from_ms) as f64 / DAY_MS as f64;
        let moved = dice.chance((days / MOVES).min(1.0)).then(|| dice.whole(from_ms, to_ms).div_euclid(DAY_MS));
        let moved = moved.map(|day| (day, Grammar::Broker("TERMINAL")));
        Clients { usual, seed: dice.bits(), other, moved }
    }

    /// Returns what is used at this time, in ms since 1970; on one day it is one.
    pub(super) fn at(&self, ms: i64) -> Grammar {
        let day = ms.div_euclid(DAY_MS);
        let today = |part: f64| Dice::new(mix(self.seed ^ day as u64)).chance(part);
        let other = self.other.filter(|(_, part)| today(*part)).map(|(other, _)| other);
        let moved = self.moved.filter(|(since, _)| day >= *since).map(|(_, new)| new);
        other.or(moved).unwrap_or(self.usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_owners_have_a_second_program_which_they_use_on_some_days() {
        let span = (0, 60 * DAY_MS);
        let (mut second, mut moved) = (0, 0);
        for nth in 0..400 {
            let usual = Grammar::Face("ios");
            let clients = Clients::of(7, &format!("owner-{nth}"), usual, span);
            let on = |day: i64| clients.at(day * DAY_MS + 1_000);
            assert_eq!(on(3), clients.at(3 * DAY_MS + DAY_MS - 1), "one a day");
            second += usize::from((0..60).any(|day| on(day) == Grammar::Face("web")));
            moved += usize::from((0..60).any(|day| on(day) == Grammar::Broker("TERMINAL")));
        }
        // Half of 400 and a sixth, give or take three deviations; a second one is not used within the span now and then.
        assert!((150..=230).contains(&second), "{second}");
        assert!((43..=90).contains(&moved), "{moved}");
    }
}
