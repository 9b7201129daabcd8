//! Owners who do what thieves do: in groups, in pumps, on news, at listings, by stop orders.

use super::dice::{Dice, money};
use super::habits::{DAY, HOUR, MINUTE, Play, SECOND};
use super::ordinary::{Ground, Trader};
use super::scene::Scene;
use crate::domain::{AccountId, NotAnAccount, Side, Venue};

/// One trade of a leader that all followers copy.
#[derive(Clone, Copy, Debug)]
struct Signal {
    pair: usize,
    ms: i64,
    /// The part of a follower's wealth that goes in.
    part: f64,
    /// When it is sold again, in ms.
    out_ms: i64,
}

/// Followers of one leader; a group has 5 to 50.
const GROUP: (f64, f64) = (5.0, 50.0);

/// Adds a copy-trade group: five to fifty accounts that do the same within a second. Returns the first.
pub fn stage_group(scene: &mut Scene, ground: &Ground, nth: usize) -> Result<usize, NotAnAccount> {
    let mut leader = Dice::named(scene.seed(), &format!("leader {nth}"));
    let (from, to) = scene.span();
    let followers = leader.doubling(GROUP.0, GROUP.1).round() as usize;
    let signals = signals(&mut leader, ground, from + HOUR, to);
    let mut first = None;
    for follower in 0..followers {
        let trader = Trader::CopyTrader;
        let account = AccountId::new(Venue::Binance, &format!("{trader}-{nth}-{follower}"))?;
        let person = scene.add_person(account, trader.as_str(), trader.grammar());
        first.get_or_insert(person);
        let wealth = scene.people[person].dice.doubling(0.2, 10.0);
        follow(scene, ground, person, &signals, wealth);
    }
    Ok(first.unwrap_or_default())
}

/// Lets one account follow a leader of its own: a copy trader whose group is not watched.
pub fn follow_alone(play: &mut Play<'_>) {
    let signals = signals(&mut play.scene.people[play.person].dice, play.ground, play.from, play.to);
    follow(play.scene, play.ground, play.person, &signals, play.wealth);
}

/// Draws what a leader does: a trade every day or so, three in four in pairs it had before.
fn signals(leader: &mut Dice, ground: &Ground, from: i64, to: i64) -> Vec<Signal> {
    let mut usual: Vec<usize> = ground.majors.iter().copied().take(4).collect();
    usual.extend(ground.fresh.iter().copied().take(3));
    let mut next_new = 3 + leader.below(10);
    let (mut signals, mut ms) = (Vec::new(), from);
    loop {
        ms += leader.wait(1.2 * DAY as f64) as i64;
        if ms >= to {
            return signals;
        }
        let pair = if leader.chance(0.25) && next_new < ground.fresh.len() {
            next_new += 1;
            ground.fresh[next_new - 1]
        } else {
            usual[leader.below(usual.len())]
        };
        let out_ms = ms + leader.whole(HOUR, 3 * DAY);
        signals.push(Signal { pair, ms, part: leader.between(0.02, 0.06), out_ms });
    }
}

fn follow(scene: &mut Scene, ground: &Ground, person: usize, signals: &[Signal], wealth: f64) {
    let span = scene.span();
    let mut play = Play { scene, ground, person, from: span.0, to: span.1, wealth };
    for signal in signals {
        // The platform sends all orders within the second; a follower misses one now and then.
        let at = signal.ms + play.whole(0, 900);
        if play.chance(0.05) {
            continue;
        }
        if let Some(bought) = play.take(signal.pair, at, Side::Buy, wealth * signal.part) {
            let out = signal.out_ms + play.whole(0, 900);
            play.sell_base(signal.pair, out, bought.base);
        }
    }
}

impl Play<'_> {
    /// Buys what a public group raises, seconds after it began, and sells into it: what a thief's victim does, by habit.
    pub(super) fn pump_member(&mut self) {
        self.now_and_then(3.0 * DAY as f64, 0.03);
        for (pair, onset) in self.ground.pumped.clone() {
            // Members stay away from some, and some come too late.
            if self.chance(0.25) {
                continue;
            }
            let at = onset + self.whole(SECOND, 25 * SECOND);
            let (orders, size) = (self.whole(1, 3), self.between(0.05, 0.25));
            let (mut base, mut when) = (0.0, at);
            for _ in 0..orders {
                base += self.take(pair, when, Side::Buy, self.wealth * size).map_or(0.0, |filled| filled.base);
                when += self.whole(SECOND, 9 * SECOND);
            }
            let out = when + self.whole(20 * SECOND, 12 * MINUTE);
            self.sell_base(pair, out, base);
        }
    }

    /// Receives new coins before they are listed and sells them within half an hour of it.
    pub(super) fn airdrop_seller(&mut self) {
        self.now_and_then(2.0 * DAY as f64, 0.05);
        for (pair, listed) in self.ground.listed.clone() {
            if listed < self.from + HOUR || listed + HOUR >= self.to {
                continue;
            }
            let price = self.scene.markets[pair].price(listed);
            let base = self.wealth * self.between(0.01, 0.15) / price;
            let asset = self.scene.markets[pair].symbol().base().clone();
            self.scene.people[self.person].transfers.push((listed - HOUR / 2, asset, money(base.ceil())));
            let orders = self.whole(1, 4);
            for nth in 0..orders {
                let at = listed + self.whole(20 * SECOND, 8 * MINUTE) + nth * MINUTE;
                self.sell_base(pair, at, base / orders as f64);
            }
        }
    }

    /// Hears of something and buys it with much of what it has while it rises, often with money sent in for it.
    pub(super) fn news_buyer(&mut self) {
        self.now_and_then(4.0 * DAY as f64, 0.04);
        let mut moments: Vec<(i64, usize)> = Vec::new();
        for &pair in self.ground.thin.iter().chain(self.ground.fresh.iter().take(6)) {
            let risen = self.scene.markets[pair].risen(self.from, self.to, 0.002);
            moments.extend(risen.into_iter().map(|ms| (ms, pair)));
        }
        moments.sort_unstable();
        let mut free_from = self.from + 2 * DAY;
        for (ms, pair) in moments {
            if ms < free_from {
                continue;
            }
            if self.chance(0.5) {
                self.deposit(ms - 20 * MINUTE, "BTC", self.wealth * 0.2);
            }
            let (orders, size) = (self.whole(1, 6), self.between(0.04, 0.15));
            let (mut base, mut when) = (0.0, ms + self.whole(5 * SECOND, 4 * MINUTE));
            for _ in 0..orders {
                base += self.take(pair, when, Side::Buy, self.wealth * size).map_or(0.0, |filled| filled.base);
                when += self.whole(4 * SECOND, MINUTE);
            }
            let out = when + self.whole(HOUR, 4 * DAY);
            self.sell_base(pair, out, base);
            free_from = ms + self.whole(5 * DAY, 12 * DAY);
        }
    }

    /// Holds small coins under a stop: all of a holding goes at once, at market, into a falling price.
    pub(super) fn stop_loss(&mut self) {
        let mut pairs = self.ground.thin.clone();
        pairs.extend(self.ground.fresh.iter().copied().take(6));
        let mut at = self.after(self.from, DAY as f64);
        while at < self.to {
            let pair = pairs[self.below(pairs.len())];
            let size = self.wealth * self.between(0.04, 0.10);
            let Some(bought) = self.take(pair, at, Side::Buy, size) else {
                at += 6 * HOUR;
                continue;
            };
            let (paid, mut when) = (bought.quote / bought.base, bought.ms);
            let give_up = when + 6 * DAY;
            while when < give_up && when < self.to {
                when += 5 * MINUTE;
                let price = self.scene.markets[pair].price(when);
                if price < paid * 0.96 || price > paid * 1.06 {
                    break;
                }
            }
            self.sell_base(pair, when, bought.base);
            at = self.after(when.max(at), 1.5 * DAY as f64);
        }
    }

    /// Sits down two days in three, picks what it knows, mostly a large coin, and goes in and out of it with most of its
    /// money: out at a small profit or a small loss, or when it takes too long.
    pub(super) fn scalper(&mut self) {
        let favourites: Vec<usize> = self.ground.majors.iter().chain(&self.ground.thin).copied().take(13).collect();
        let mut at = self.after(self.from, DAY as f64);
        while at < self.to {
            let pair = if self.chance(0.75) { self.major() } else { favourites[self.below(favourites.len())] };
            let (trips, patience) = (self.whole(3, 18), self.between(0.002, 0.006));
            for _ in 0..trips {
                let size = self.wealth * self.between(0.3, 0.9);
                let Some(bought) = self.take(pair, at, Side::Buy, size) else { break };
                let (paid, mut when) = (bought.quote / bought.base, bought.ms);
                let give_up = when + self.whole(40 * SECOND, 9 * MINUTE);
                while when < give_up {
                    when += 5 * SECOND;
                    let price = self.scene.markets[pair].price(when);
                    if (price / paid - 1.0).abs() > patience {
                        break;
                    }
                }
                self.sell_base(pair, when, bought.base);
                at = when + self.whole(4 * SECOND, 5 * MINUTE);
            }
            at = self.after(at, 1.5 * DAY as f64);
        }
    }

    /// Trades large coins once in a while.
    fn now_and_then(&mut self, pause: f64, part: f64) {
        let mut at = self.after(self.from, pause);
        while at < self.to {
            let pair = self.major();
            if let Some(bought) = self.take(pair, at, Side::Buy, self.wealth * part) {
                let out = bought.ms + self.whole(3 * HOUR, 5 * DAY);
                self.sell_base(pair, out, bought.base);
            }
            at = self.after(at, pause);
        }
    }
}
