//! Trading in perpetual futures: what a futures wallet's feed tells, and who trades there.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::dice::money;
use super::frames::{self, Execution, Order};
use super::habits::{DAY, HOUR, MINUTE, Play};
use super::purse::cut;
use super::scene::Filled;
use super::tape::Trade;
use crate::domain::Side;

/// A futures wallet as its orders fill: dollars, and what is held of each contract.
#[derive(Debug)]
pub(super) struct Margin {
    /// Dollars, without what open positions gained or lost.
    pub(super) dollars: Decimal,
    positions: BTreeMap<String, Position>,
}

/// What is held of one contract; short where below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Position {
    amount: Decimal,
    entry: Decimal,
}

/// What an execution made of a wallet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    /// What the exchange kept, in dollars.
    pub(super) fee: Decimal,
    /// What was gained by what was closed.
    pub(super) realised: Decimal,
    /// What is held now.
    pub(super) amount: Decimal,
    /// At which price, on average.
    pub(super) entry: Decimal,
}

impl Margin {
    /// A wallet with so many dollars and no position.
    pub(super) fn of(dollars: Decimal) -> Margin {
        Margin { dollars, positions: BTreeMap::new() }
    }

    /// Takes an execution: opens, adds to, closes or turns a position.
    pub(super) fn fill(&mut self, wire: &str, side: Side, maker: bool, trade: &Trade) -> Outcome {
        let rate = if maker { Decimal::new(2, 4) } else { Decimal::new(5, 4) };
        let fee = cut(trade.price * trade.amount * rate);
        let held = self.positions.entry(wire.to_owned()).or_default();
        let change = match side {
            Side::Buy => trade.amount,
            Side::Sell => -trade.amount,
        };
        let (before, after) = (held.amount, held.amount + change);
        let mut realised = Decimal::ZERO;
        if before.is_zero() || before.is_sign_negative() == change.is_sign_negative() {
            let worth = held.entry * before.abs() + trade.price * trade.amount;
            held.entry = (worth / after.abs()).round_dp(8);
        } else {
            let closed = before.abs().min(trade.amount);
            let gain = if before.is_sign_negative() { held.entry - trade.price } else { trade.price - held.entry };
            realised = cut(gain * closed);
            if after.is_zero() {
                held.entry = Decimal::ZERO;
            } else if after.is_sign_negative() != before.is_sign_negative() {
                held.entry = trade.price;
            }
        }
        held.amount = after;
        self.dollars += realised - fee;
        Outcome { fee, realised, amount: after, entry: held.entry }
    }
}

/// Writes what the wallet's feed says of one execution: the order, then the account.
pub(super) fn told(order: &Order<'_>, done: &Execution<'_>, outcome: &Outcome, dollars: Decimal) -> [String; 2] {
    let position = frames::Position { wire: order.wire, amount: outcome.amount, entry: outcome.entry };
    [
        frames::contract_report(order, done.trade.ms, Some((done, outcome.realised))),
        frames::margin(done.trade.ms, "ORDER", dollars, Some(&position)),
    ]
}

/// What a deal puts in at first, as a part of the account, and how many times that it may grow to.
const FIRST: f64 = 0.08;
const MOST: f64 = 1.2;
/// What a deal is closed at for gain, and what against it lets it put in more.
const GAIN: f64 = 0.011;
const STEP: f64 = 0.012;

impl Play<'_> {
    /// A bot that goes long and short with borrowed money: in, in again and larger as the price goes against it, and
    /// all out at a small gain, sometimes in a hundred executions. It knows four contracts and takes up two a month.
    pub(super) fn contract_bot(&mut self) {
        let all = self.ground.contracts.clone();
        let began = self.from;
        let mut at = self.after(self.from, 8.0 * HOUR as f64);
        while at < self.to {
            let known = (4 + ((at - began) / (15 * DAY)) as usize).min(all.len());
            let pair = all[self.below(known)];
            let side = if self.chance(0.6) { Side::Buy } else { Side::Sell };
            at = self.deal(pair, side, at).map_or(at + 6 * HOUR, |out| self.after(out, 9.0 * HOUR as f64));
        }
    }

    /// One deal; returns when it was over.
    fn deal(&mut self, pair: usize, side: Side, at: i64) -> Option<i64> {
        let dollars = self.wealth * self.scene.markets[self.ground.btcusdt].price(at);
        let mut size = dollars * FIRST;
        let first = self.scene.take(self.person, pair, at, side, size)?;
        let (mut base, mut quote, mut when, mut last) = (first.base, first.quote, first.ms, first.quote / first.base);
        let give_up = when + 3 * DAY;
        let toward = if side == Side::Buy { 1.0 } else { -1.0 };
        loop {
            when += 10 * MINUTE;
            let price = self.scene.markets[pair].price(when);
            if when >= give_up || toward * (price / (quote / base) - 1.0) > GAIN {
                break;
            }
            if toward * (price / last - 1.0) < -STEP && quote < dollars * MOST {
                size *= 1.4;
                // The further orders of such a bot wait in the book.
                let more = self.scene.rest(self.person, pair, when, side, size);
                let Some(Filled { base: more, quote: paid, .. }) = more else { break };
                (base, quote, last) = (base + more, quote + paid, price);
            }
        }
        let fills = if self.chance(0.1) { self.whole(20, 100) } else { self.whole(1, 6) };
        if when >= self.to {
            return Some(when);
        }
        let worth = base * self.scene.markets[pair].price(when);
        self.scene.take_in(self.person, pair, when, side.opposite(), worth, fills);
        Some(when)
    }

    /// What its owner keeps in the futures wallet at first, in dollars.
    pub(super) fn fund_contracts(&mut self) {
        let price = self.scene.markets[self.ground.btcusdt].price(self.from);
        self.scene.people[self.person].margin = money((self.wealth * price * 100.0).round() / 100.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::Body;
    use crate::codec::Codecs;
    use crate::domain::{EventKind, FeedKind, Wallet};
    use crate::tune::ordinary::{self, Trader};

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn at(price: &str, amount: &str, taker: Side) -> Trade {
        Trade { ms: 0, taker, price: dec(price), amount: dec(amount) }
    }

    #[test]
    fn a_position_is_opened_added_to_closed_and_turned() {
        let mut margin = Margin::of(dec("1000"));
        let mut fill = |side, price, amount| {
            let outcome = margin.fill("ETHUSDT", side, false, &at(price, amount, side));
            (outcome.amount, outcome.entry, outcome.realised)
        };
        assert_eq!(fill(Side::Sell, "200", "2"), (dec("-2"), dec("200"), dec("0")));
        assert_eq!(fill(Side::Sell, "230", "1"), (dec("-3"), dec("210"), dec("0")));
        assert_eq!(fill(Side::Buy, "200", "1"), (dec("-2"), dec("210"), dec("10")));
        assert_eq!(fill(Side::Buy, "220", "3"), (dec("1"), dec("220"), dec("-20")));
        assert_eq!(fill(Side::Sell, "220", "1"), (dec("0"), dec("0"), dec("0")));
        // 400 + 230 + 200 + 660 + 220 dollars moved at 0.05 %.
        assert_eq!(margin.dollars, dec("1000") - dec("10") - dec("0.855"));
    }

    #[test]
    fn what_a_contract_bot_does_is_read_back_order_by_order_and_dollar_by_dollar() {
        let bot = [Trader::ContractBot];
        let recording = ordinary::recording(3, 1_700_000_000_000, 40, &bot, Default::default()).unwrap();
        let mut codecs = Codecs::new(&crate::codec::Settings::default());
        let (mut told, mut names) = (Vec::new(), std::collections::BTreeSet::new());
        let (mut earned, mut first, mut ways) = (Decimal::ZERO, None, [0, 0]);
        for arrival in &recording.arrivals {
            codecs.decode(arrival, &mut told);
            for event in told.drain(..) {
                match event.kind {
                    EventKind::Fill(fill) => {
                        assert!(fill.symbol.is_contract(), "{fill:?}");
                        ways[usize::from(fill.side == Side::Sell)] += 1;
                        names.insert(fill.symbol);
                    }
                    EventKind::Balance(balance) if balance.wallet == Wallet::Futures => {
                        let dollars = balance.free.unwrap();
                        earned = dollars - *first.get_or_insert(dollars);
                    }
                    EventKind::Feed(feed) => assert!(matches!(feed.kind, FeedKind::Up), "{feed:?}"),
                    _ => {}
                }
            }
        }
        let reports = recording.arrivals.iter().filter_map(|arrival| match &arrival.body {
            Body::Frame(frame) => serde_json::from_str::<serde_json::Value>(frame.get()).ok(),
            _ => None,
        });
        let money = |value: &serde_json::Value| value.as_str().map_or(Decimal::ZERO, dec);
        let booked: Decimal = reports.map(|report| money(&report["o"]["rp"]) - money(&report["o"]["n"])).sum();
        assert_eq!(earned, booked);
        assert!((4..=8).contains(&names.len()) && ways.iter().all(|n| *n > 20), "{names:?} {ways:?}");
    }
}
