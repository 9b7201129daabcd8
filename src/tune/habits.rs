//! What each ordinary trader does, day by day.

use super::dice::money;
use super::ordinary::{Ground, Trader};
use super::scene::{Filled, Scene};
use super::walk::CRASH_MS;
use crate::domain::{Asset, Side};

pub(super) const SECOND: i64 = 1_000;
pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 3_600_000;
pub(super) const DAY: i64 = 86_400_000;

/// One account at its own trading.
pub(super) struct Play<'a> {
    pub(super) scene: &'a mut Scene,
    pub(super) ground: &'a Ground,
    pub(super) person: usize,
    pub(super) from: i64,
    pub(super) to: i64,
    /// In BTC.
    pub(super) wealth: f64,
}

/// Lets an account trade as `trader` within `span` (ms), being worth about `wealth` BTC.
pub fn play(scene: &mut Scene, ground: &Ground, person: usize, trader: Trader, span: (i64, i64), wealth: f64) {
    let mut play = Play { scene, ground, person, from: span.0, to: span.1, wealth };
    match trader {
        Trader::Dca => play.dca(),
        Trader::Grid => play.grid(),
        Trader::LiquidityBot => play.liquidity_bot(),
        Trader::MicroCapSeller => play.micro_cap_seller(),
        Trader::GatewayMaker => play.gateway_maker(),
        Trader::WholeBalance => play.whole_balance(),
        Trader::NewCoins => play.new_coins(),
        Trader::SafetyOrders => play.safety_orders(),
        Trader::OpenBot => play.open_bot(),
        Trader::Chaser => play.chaser(),
        Trader::Rebalancer => play.rebalancer(),
        Trader::Panic => play.panic(),
        Trader::Sniper => play.sniper(),
        Trader::CopyTrader => super::lookalikes::follow_alone(&mut play),
        Trader::PumpMember => play.pump_member(),
        Trader::AirdropSeller => play.airdrop_seller(),
        Trader::NewsBuyer => play.news_buyer(),
        Trader::StopLoss => play.stop_loss(),
        Trader::Scalper => play.scalper(),
        Trader::ContractBot => {
            play.fund_contracts();
            play.contract_bot();
        }
    }
}

impl Play<'_> {
    fn dca(&mut self) {
        let (btcusdt, thin) = (self.ground.btcusdt, self.thin(1));
        let other = self.major();
        let minute_of_day = self.whole(0, 24 * 60 - 1) * MINUTE;
        let first_day = self.from - self.from.rem_euclid(DAY);
        let mut day = 0;
        while first_day + day * DAY < self.to {
            let at = first_day + day * DAY + minute_of_day + self.whole(0, 4 * SECOND);
            if at >= self.from && at < self.to {
                self.buy(btcusdt, at, self.wealth * 0.006);
                self.buy(other, at + 2 * SECOND, self.wealth * 0.004);
                if day % 7 == 3 {
                    self.buy(thin, at + 4 * SECOND, self.wealth * 0.003);
                }
                if day % 30 == 11 {
                    self.deposit(at - HOUR, "USDT", self.wealth * 0.006 * 30.0 * 9_000.0);
                }
            }
            day += 1;
        }
    }

    /// Sells only above what it bought at, and buys only below what it sold at.
    fn grid(&mut self) {
        let pairs = [self.taped_or(self.ground.satoshi), self.ground.satoshi, self.thin(2)];
        for (nth, pair) in pairs.into_iter().enumerate() {
            let pause = [40.0, 90.0, 600.0][nth] * MINUTE as f64;
            let (mut at, mut bought, mut sold) = (self.after(self.from, pause), Vec::<f64>::new(), f64::MAX);
            while at < self.to {
                let price = self.scene.markets[pair].price(at);
                let cheapest = bought.last().copied();
                if cheapest.is_some_and(|paid| price > paid * 1.006) {
                    if self.rest(pair, at, Side::Sell, self.wealth * 0.01).is_some() {
                        bought.pop();
                        sold = price;
                    }
                } else if bought.len() < 8
                    && price < sold * 0.994
                    && self.rest(pair, at, Side::Buy, self.wealth * 0.01).is_some()
                {
                    bought.push(price);
                    sold = price;
                }
                at = self.after(at, pause);
            }
        }
    }

    fn liquidity_bot(&mut self) {
        let pair = self.taped_or(self.ground.peg);
        let mut at = self.after(self.from, 90.0 * MINUTE as f64);
        let mut side = Side::Buy;
        while at < self.to {
            self.rest(pair, at, side, self.wealth * 0.004);
            side = side.opposite();
            at = self.after(at, 110.0 * MINUTE as f64);
        }
    }

    fn micro_cap_seller(&mut self) {
        let pair = self.thin(0);
        let mut at = self.after(self.from, 12.0 * HOUR as f64);
        while at < self.to {
            let orders = self.whole(1, 2);
            for nth in 0..orders {
                let fills = self.whole(3, 98);
                self.scene.take_in(self.person, pair, at + nth * 15 * SECOND, Side::Sell, self.wealth * 0.02, fills);
            }
            at = self.after(at, 27.0 * HOUR as f64);
        }
    }

    fn gateway_maker(&mut self) {
        let pair = self.thin(0);
        let mut at = self.after(self.from, 10.0 * HOUR as f64);
        while at < self.to {
            let orders = self.whole(1, 9);
            for nth in 0..orders {
                let side = if nth % 2 == 0 { Side::Buy } else { Side::Sell };
                self.rest(pair, at + nth * 4 * SECOND, side, self.wealth * 0.006);
            }
            at = self.after(at, 24.0 * HOUR as f64);
        }
    }

    fn whole_balance(&mut self) {
        let mut cash = self.wealth;
        let mut at = self.after(self.from, 2.0 * DAY as f64);
        while at < self.to {
            let pair = self.thin(3);
            let Some(bought) = self.take(pair, at, Side::Buy, cash) else {
                at += DAY;
                continue;
            };
            at = bought.ms + self.whole(DAY, 6 * DAY);
            // All it got, at whatever it is worth now.
            let worth = bought.base * self.scene.markets[pair].price(at.min(self.to));
            if at < self.to
                && let Some(sold) = self.take(pair, at, Side::Sell, worth)
            {
                cash = sold.quote * 0.998;
            }
            at = self.after(at, 2.0 * DAY as f64);
        }
    }

    fn new_coins(&mut self) {
        let first = self.below(self.ground.fresh.len());
        let mut at = self.after(self.from, 3.0 * DAY as f64);
        let mut tried = 0;
        while at < self.to {
            let pair = self.ground.fresh[(first + tried) % self.ground.fresh.len()];
            tried += 1;
            let (mut orders, size) = (self.whole(1, 3), self.between(0.02, 0.12));
            let (mut base, mut when) = (0.0, at);
            while orders > 0 {
                base += self.take(pair, when, Side::Buy, self.wealth * size).map_or(0.0, |filled| filled.base);
                when += self.whole(20 * SECOND, 30 * MINUTE);
                orders -= 1;
            }
            let out = when + self.whole(2 * HOUR, 9 * DAY);
            self.sell_base(pair, out, base);
            at = self.after(at, 7.5 * DAY as f64);
        }
    }

    fn safety_orders(&mut self) {
        let mut pairs: Vec<usize> = self.ground.majors.iter().copied().take(4).collect();
        pairs.push(self.thin(1));
        pairs.extend(self.ground.fresh.last());
        let mut at = self.after(self.from, 8.0 * HOUR as f64);
        while at < self.to {
            let pair = pairs[self.below(pairs.len())];
            let mut size = self.wealth * 0.006;
            let Some(first) = self.take(pair, at, Side::Buy, size) else {
                at += 6 * HOUR;
                continue;
            };
            let (mut base, mut spent) = (first.base, first.quote);
            let (mut when, mut next_below) = (first.ms, first.quote / first.base * 0.988);
            let give_up = when + 2 * DAY;
            loop {
                when += 10 * MINUTE;
                let price = self.scene.markets[pair].price(when);
                if when >= give_up || price > spent / base * 1.011 {
                    break;
                }
                if price < next_below && spent < self.wealth * 0.15 {
                    size *= 1.4;
                    next_below *= 0.988;
                    if let Some(filled) = self.take(pair, when, Side::Buy, size) {
                        (base, spent) = (base + filled.base, spent + filled.quote);
                    }
                }
            }
            let fills = if self.chance(0.1) { self.whole(20, 100) } else { self.whole(1, 6) };
            if when < self.to {
                let worth = base * self.scene.markets[pair].price(when);
                self.scene.take_in(self.person, pair, when, Side::Sell, worth, fills);
            }
            at = self.after(when, 6.0 * HOUR as f64);
        }
    }

    fn open_bot(&mut self) {
        let mut pairs = self.ground.majors.clone();
        pairs.extend(self.ground.thin.iter().take(3));
        pairs.extend(self.ground.fresh.iter().rev().take(5));
        let mut at = self.after(self.from, DAY as f64);
        while at < self.to {
            let pair = pairs[self.below(pairs.len())];
            if let Some(bought) = self.take(pair, at, Side::Buy, self.wealth * 0.03) {
                let out = bought.ms + self.whole(2 * HOUR, 48 * HOUR);
                self.sell_base(pair, out, bought.base);
            }
            at = self.after(at, 15.0 * HOUR as f64);
        }
    }

    fn chaser(&mut self) {
        let mut moments: Vec<(i64, usize)> = Vec::new();
        for &pair in &self.ground.thin {
            moments.extend(self.scene.markets[pair].risen(self.from, self.to, 0.01).into_iter().map(|ms| (ms, pair)));
        }
        moments.sort_unstable();
        let mut free_from = self.from;
        for (ms, pair) in moments {
            if ms < free_from {
                continue;
            }
            let size = self.wealth * self.between(0.04, 0.08);
            // A person needs a few seconds to see it.
            let seen = ms + self.whole(2 * SECOND, 20 * SECOND);
            let Some(bought) = self.take(pair, seen, Side::Buy, size) else { continue };
            let out = bought.ms + self.whole(10 * MINUTE, 50 * MINUTE);
            self.sell_base(pair, out, bought.base);
            free_from = bought.ms + self.whole(16 * HOUR, 32 * HOUR);
        }
    }

    fn rebalancer(&mut self) {
        let assets: Vec<usize> = self.ground.majors.iter().copied().take(5).collect();
        let mut at = self.from + self.whole(0, 5 * DAY);
        while at < self.to {
            // The sells first, because they pay for the buys.
            let sold = self.whole(2, 3) as usize;
            for (nth, &pair) in assets.iter().enumerate() {
                let side = if nth < sold { Side::Sell } else { Side::Buy };
                let size = self.wealth * self.between(0.01, 0.05);
                let pause = self.whole(2 * SECOND, 9 * SECOND);
                self.take(pair, at + nth as i64 * pause, side, size);
            }
            at += 7 * DAY + self.whole(0, 10 * MINUTE);
        }
    }

    fn panic(&mut self) {
        let assets: Vec<usize> = self.ground.majors.iter().copied().take(self.whole(3, 6) as usize).collect();
        // While it falls, or shortly after.
        let worst = self.ground.crash_ms + self.whole(CRASH_MS / 3, CRASH_MS / 3 * 4);
        let mut at = self.after(self.from, DAY as f64);
        while at < worst {
            let pair = assets[self.below(assets.len())];
            self.buy(pair, at, self.wealth * 0.03);
            at = self.after(at, 3.0 * DAY as f64);
        }
        let (mut at, mut btc) = (worst, 0.0);
        for pair in assets {
            btc += self.take(pair, at, Side::Sell, self.wealth * 0.15).map_or(0.0, |filled| filled.quote);
            at += self.whole(6 * SECOND, 25 * SECOND);
        }
        let usdt = self.ground.btcusdt;
        let worth = btc * self.scene.markets[usdt].price(at);
        self.take(usdt, at, Side::Sell, worth);
        let back = at + 4 * DAY;
        if back < self.to {
            self.take(usdt, back, Side::Buy, worth * 0.9);
        }
    }

    fn sniper(&mut self) {
        // Between listings it keeps some of the large ones.
        let mut at = self.after(self.from, DAY as f64);
        while at < self.to {
            let pair = self.major();
            let side = if self.chance(0.5) { Side::Buy } else { Side::Sell };
            self.take(pair, at, side, self.wealth * 0.05);
            at = self.after(at, 2.0 * DAY as f64);
        }
        for (pair, listed) in self.ground.listed.clone() {
            let at = listed + self.whole(20 * SECOND, 50 * MINUTE);
            if at < self.from || at >= self.to {
                continue;
            }
            let size = self.wealth * self.between(0.05, 0.15);
            if let Some(bought) = self.take(pair, at, Side::Buy, size) {
                let out = at + self.whole(5 * MINUTE, 9 * HOUR);
                self.sell_base(pair, out, bought.base);
            }
        }
    }

    pub(super) fn take(&mut self, pair: usize, at: i64, side: Side, quote: f64) -> Option<Filled> {
        // The least an exchange takes is about 10 USDT, 0.001 BTC.
        let least = if pair == self.ground.btcusdt { 11.0 } else { 0.001_1 };
        if at < self.from || at >= self.to {
            return None;
        }
        self.scene.take(self.person, pair, at, side, quote.max(least))
    }

    /// Buys for so many BTC, whatever the pair's quote.
    fn buy(&mut self, pair: usize, at: i64, btc: f64) {
        let price = if pair == self.ground.btcusdt { self.scene.markets[pair].price(at) } else { 1.0 };
        self.take(pair, at, Side::Buy, btc * price);
    }

    pub(super) fn sell_base(&mut self, pair: usize, at: i64, base: f64) {
        if at < self.to && base > 0.0 {
            let worth = base * self.scene.markets[pair].price(at);
            self.take(pair, at, Side::Sell, worth);
        }
    }

    fn rest(&mut self, pair: usize, at: i64, side: Side, quote: f64) -> Option<Filled> {
        if at >= self.to {
            return None;
        }
        self.scene.rest(self.person, pair, at, side, quote.max(0.001_1))
    }

    pub(super) fn deposit(&mut self, at: i64, asset: &str, amount: f64) {
        if let Ok(asset) = Asset::new(asset) {
            self.scene.people[self.person].transfers.push((at.max(self.from), asset, money(amount)));
        }
    }

    /// Returns one of the first `among` + 1 thin pairs; the taped one is the first.
    fn thin(&mut self, among: usize) -> usize {
        let place = self.below(among + 1);
        self.ground.thin[place.min(self.ground.thin.len() - 1)]
    }

    pub(super) fn major(&mut self) -> usize {
        self.ground.majors[self.below(self.ground.majors.len())]
    }

    /// Returns the taped pair where there is one, else another.
    fn taped_or(&self, other: usize) -> usize {
        let first = self.ground.thin[0];
        if self.scene.markets[first].prints().is_empty() { other } else { first }
    }

    pub(super) fn after(&mut self, at: i64, mean: f64) -> i64 {
        at + self.scene.people[self.person].dice.wait(mean) as i64 + 1
    }

    pub(super) fn whole(&mut self, low: i64, high: i64) -> i64 {
        self.scene.people[self.person].dice.whole(low, high)
    }

    pub(super) fn below(&mut self, len: usize) -> usize {
        self.scene.people[self.person].dice.below(len)
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        self.scene.people[self.person].dice.between(low, high)
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.scene.people[self.person].dice.chance(p)
    }
}
