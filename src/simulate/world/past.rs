//! What the ordinary accounts did before the start, so that profiles can be warmed up.

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::ledger::fee;
use super::traders::usual;
use super::{Fill, Kind, OrderKind, Role, Status, Tag, World, seconds};
use crate::domain::{Side, Span, Timestamp};

/// Earlier fills an account has at most.
const PAST: usize = 1_500;

struct Past {
    time: Timestamp,
    account: usize,
    pair: usize,
    side: Side,
    quote: f64,
    maker: bool,
}

impl World {
    /// Leaves behind the fills that the habits would have made in the days before the start.
    pub(super) fn remember_past(&mut self, now: Timestamp) {
        let from = now - Span::from_secs(86_400 * i64::from(self.scenario.history_days));
        let mut past = Vec::new();
        for who in 0..self.accounts.len() {
            self.past_of(who, from, now, &mut past);
        }
        past.sort_by_key(|deed| (deed.time, deed.account));
        for deed in past {
            self.relive(&deed);
        }
    }

    fn past_of(&mut self, who: usize, from: Timestamp, now: Timestamp, past: &mut Vec<Past>) {
        // A world slowed down for a quiet test still has the past that the scenario describes.
        let pace = self.pace(who) * self.speed.min(1.0);
        let Some(owner) = self.accounts.get_mut(who) else { return };
        let (role, venue, home) = (owner.role, owner.venue, owner.home);
        let mut dice = owner.dice.clone();
        let usual = f64::from(usual(owner));
        let mut time = now - seconds(pace * dice.unit());
        let begin = past.len();
        while time > from && past.len() - begin < PAST {
            let side = if dice.chance(0.55) { Side::Buy } else { Side::Sell };
            let deed = |pair, side, quote, maker| Past { time, account: who, pair, side, quote, maker };
            let wait = match role {
                Role::Victim | Role::Ordinary(Kind::Dca) => {
                    past.push(deed(home, Side::Buy, usual, false));
                    pace * dice.between(0.995, 1.005)
                }
                Role::Ordinary(Kind::Grid) => {
                    past.push(deed(home, side, 300.0, true));
                    dice.wait(pace * 12.0)
                }
                Role::Ordinary(Kind::Retail) => {
                    let pair = self.familiar(venue, dice.bits(), home);
                    past.push(deed(pair, side, dice.around(140.0, 0.8), false));
                    dice.wait(pace)
                }
                Role::Ordinary(Kind::Rebalancer) => {
                    let (a, b) = (self.familiar(venue, dice.bits(), home), self.familiar(venue, dice.bits(), home));
                    let quote = dice.around(260.0, 0.3);
                    past.push(deed(a, Side::Sell, quote, false));
                    past.push(deed(b, Side::Buy, quote, false));
                    pace * dice.between(0.98, 1.02)
                }
                Role::Ordinary(Kind::Chaser) => {
                    let pair = self.familiar(venue, dice.bits(), home);
                    past.push(deed(pair, side, dice.around(420.0, 0.5), false));
                    pace * dice.between(2.0, 4.0)
                }
            };
            time = time - seconds(wait);
        }
        if let Some(owner) = self.accounts.get_mut(who) {
            owner.dice = dice;
        }
    }

    /// Writes one earlier deed as an order and a fill; what the account owns now already reflects it.
    fn relive(&mut self, deed: &Past) {
        let Some(owner) = self.accounts.get_mut(deed.account) else { return };
        let (client_id, by_hand) = owner.client_id();
        let Some(book) = self.pairs.get_mut(deed.pair) else { return };
        let price = book.price_at(deed.time, &mut owner.dice);
        let wanted = Decimal::from_f64(deed.quote).unwrap_or_default();
        let quantity = book.lot_of(wanted.checked_div(price).unwrap_or_default());
        if quantity.is_zero() {
            return;
        }
        let (trade_id, value) = (book.take_id(), price * quantity);
        let (fee, fee_asset) = fee(book.venue, deed.side, book.base(), book.quote(), quantity, value);
        let kind = if deed.maker { OrderKind::Limit } else { OrderKind::Market };
        let tag = Tag { client_id: client_id.clone(), by_hand, hostile: false };
        let mut order = self.new_order((deed.account, deed.pair, deed.side), kind, quantity, tag, deed.time);
        order.limit = deed.maker.then_some(price);
        (order.filled, order.filled_quote, order.fees, order.fills) = (quantity, value, fee, 1);
        order.fee_asset.clone_from(&fee_asset);
        order.status = Status::Filled;
        self.fills += 1;
        let fill = Fill {
            serial: self.fills,
            pair: deed.pair,
            trade_id,
            order_id: order.id,
            client_id,
            side: deed.side,
            price,
            quantity,
            quote: value,
            fee,
            fee_asset,
            maker: deed.maker,
            market: !deed.maker,
            time: deed.time,
            hostile: false,
        };
        if let Some(owner) = self.accounts.get_mut(deed.account) {
            owner.fills.push(fill);
        }
        self.keep(order);
    }
}
