//! Orders in, fills out: matching against the simulated book, and the money that moves with it.

use rust_decimal::Decimal;

use super::ledger::{Changed, fee};
use super::{Fill, Happening, Order, OrderKind, OrderNews, Status, Step, World, fee_rate};
use crate::domain::{Side, Timestamp};

/// How much an order is for.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// This much base.
    Base(Decimal),
    /// As much base as this quote buys or fetches.
    Quote(Decimal),
}

/// Who sent an order, as far as the order tells.
#[derive(Clone, Debug)]
pub struct Tag {
    /// The id its sender chose.
    pub client_id: String,
    /// True when it came from the web site.
    pub by_hand: bool,
    /// True when a thief sent it.
    pub hostile: bool,
}

impl World {
    /// Takes a market order and fills it; returns its number, or nothing when money or size do not reach.
    pub fn market_order(
        &mut self,
        (who, pair, side): (usize, usize, Side),
        amount: Amount,
        tag: Tag,
        now: Timestamp,
        news: &mut Vec<Happening>,
    ) -> Option<u64> {
        let (book, owner) = (self.pairs.get_mut(pair)?, self.accounts.get(who)?);
        let (bid, ask) = book.best(now);
        let price = if side == Side::Buy { ask } else { bid };
        let wanted = match amount {
            Amount::Base(base) => base,
            Amount::Quote(quote) => quote.checked_div(price)?,
        };
        let mut quantity = book.lot_of(wanted);
        if side == Side::Sell {
            quantity = quantity.min(book.lot_of(owner.free(book.base())));
        }
        if quantity * price < book.least() {
            return None;
        }
        let mut levels = book.sweep(side, quantity, now);
        if side == Side::Buy {
            let spend = match amount {
                Amount::Base(_) => owner.free(book.quote()),
                Amount::Quote(quote) => quote.min(owner.free(book.quote())),
            };
            let budget = spend.checked_div(Decimal::ONE + fee_rate(book.venue))?;
            let decimals = book.scene.lot_decimals;
            clip(&mut levels, budget, decimals);
            quantity = levels.iter().map(|level| level.1).sum();
        }
        if levels.is_empty() {
            return None;
        }
        let funds = match amount {
            Amount::Base(_) => None,
            Amount::Quote(quote) => Some(quote),
        };
        let mut order = self.new_order((who, pair, side), OrderKind::Market, quantity, tag, now);
        order.funds = funds;
        news.push(told(&order, Step::Received, Vec::new(), now));
        for (price, quantity) in levels {
            self.execute(&mut order, price, quantity, false, now, news);
        }
        news.push(told(&order, Step::Done, Vec::new(), now));
        let id = order.id;
        self.keep(order);
        Some(id)
    }

    /// Takes a limit order that rests until the market comes to it; returns its number, or nothing when refused.
    pub fn limit_order(
        &mut self,
        (who, pair, side): (usize, usize, Side),
        limit: Decimal,
        quantity: Decimal,
        tag: Tag,
        now: Timestamp,
        news: &mut Vec<Happening>,
    ) -> Option<u64> {
        let book = self.pairs.get(pair)?;
        let quantity = book.lot_of(quantity);
        let (asset, held) = match side {
            Side::Buy => (book.quote().to_owned(), limit * quantity * (Decimal::ONE + fee_rate(book.venue))),
            Side::Sell => (book.base().to_owned(), quantity),
        };
        if limit * quantity < book.least() || self.accounts.get(who)?.free(&asset) < held {
            return None;
        }
        let mut order = self.new_order((who, pair, side), OrderKind::Limit, quantity, tag, now);
        order.limit = Some(limit);
        news.push(told(&order, Step::Received, Vec::new(), now));
        let changed = self.accounts.get_mut(who).map(|owner| owner.change(&asset, -held, held));
        news.push(told(&order, Step::Opened, changed.into_iter().collect(), now));
        let id = order.id;
        if let Some(resting) = self.resting.get_mut(pair) {
            resting.push(id);
        }
        self.keep(order);
        Some(id)
    }

    /// Cancels an open order; returns it as it is then.
    pub fn cancel(&mut self, id: u64, now: Timestamp, news: &mut Vec<Happening>) -> Option<Order> {
        let mut order = self.orders.get(&id).filter(|order| order.is_open())?.clone();
        self.resting.get_mut(order.pair)?.retain(|resting| *resting != id);
        let (asset, held) = self.held(&order)?;
        let changed = self.accounts.get_mut(order.account).map(|owner| owner.change(&asset, held, -held));
        (order.status, order.updated) = (Status::Cancelled, now);
        news.push(told(&order, Step::Cancelled, changed.into_iter().collect(), now));
        self.keep(order.clone());
        Some(order)
    }

    /// Lets strangers trade once, and with them the resting orders they reach.
    pub(super) fn strangers_trade(&mut self, pair: usize, now: Timestamp, news: &mut Vec<Happening>) {
        let Some(book) = self.pairs.get_mut(pair) else { return };
        let (taker, levels) = book.stranger(now);
        for (price, quantity) in levels {
            let trade = book.print(taker, price, quantity, now);
            news.push(Happening::Traded { pair, trade });
        }
        self.reach_resting(pair, now, news);
    }

    /// Fills the resting orders that the last price has reached.
    fn reach_resting(&mut self, pair: usize, now: Timestamp, news: &mut Vec<Happening>) {
        let Some(last) = self.pairs.get(pair).map(|book| book.last()) else { return };
        let ids = self.resting.get(pair).cloned().unwrap_or_default();
        for id in ids {
            let Some(order) = self.orders.get(&id) else { continue };
            let Some(limit) = order.limit else { continue };
            let reached = match order.side {
                Side::Buy => last <= limit,
                Side::Sell => last >= limit,
            };
            if !reached {
                continue;
            }
            let mut order = order.clone();
            if let Some(resting) = self.resting.get_mut(pair) {
                resting.retain(|resting| *resting != id);
            }
            let rest = order.quantity - order.filled;
            self.execute(&mut order, limit, rest, true, now, news);
            news.push(told(&order, Step::Done, Vec::new(), now));
            self.keep(order);
        }
    }

    /// Makes one execution: the tape, the money, the order's totals, the news.
    fn execute(
        &mut self,
        order: &mut Order,
        price: Decimal,
        quantity: Decimal,
        maker: bool,
        now: Timestamp,
        news: &mut Vec<Happening>,
    ) {
        let (Some(book), Some(owner)) = (self.pairs.get_mut(order.pair), self.accounts.get_mut(order.account)) else {
            return;
        };
        let taker = match (order.side, maker) {
            (Side::Buy, false) | (Side::Sell, true) => Side::Buy,
            (Side::Buy, true) | (Side::Sell, false) => Side::Sell,
        };
        let trade = book.print(taker, price, quantity, now);
        let value = price * quantity;
        let (base, quote) = (book.base().to_owned(), book.quote().to_owned());
        let (fee, fee_asset) = fee(book.venue, order.side, &base, &quote, quantity, value);
        let (mut got, mut gave) = match order.side {
            Side::Buy => ((base, quantity), (quote, value)),
            Side::Sell => ((quote, value), (base, quantity)),
        };
        match fee_asset == got.0 {
            true => got.1 -= fee,
            false => gave.1 += fee,
        }
        let held = if maker { gave.1 } else { Decimal::ZERO };
        let changed = vec![owner.change(&gave.0, held - gave.1, -held), owner.change(&got.0, got.1, Decimal::ZERO)];
        order.filled += quantity;
        order.filled_quote += value;
        order.fees += fee;
        order.fee_asset.clone_from(&fee_asset);
        order.fills += 1;
        order.updated = now;
        order.status = if order.filled >= order.quantity { Status::Filled } else { Status::Partly };
        self.fills += 1;
        let fill = Fill {
            serial: self.fills,
            pair: order.pair,
            trade_id: trade.id,
            order_id: order.id,
            client_id: order.client_id.clone(),
            side: order.side,
            price,
            quantity,
            quote: value,
            fee,
            fee_asset,
            maker,
            market: order.kind == OrderKind::Market,
            time: now,
            hostile: order.hostile,
        };
        self.record(order.account, &fill);
        news.push(Happening::Traded { pair: order.pair, trade });
        news.push(told(order, Step::Filled(fill), changed, now));
    }

    fn held(&self, order: &Order) -> Option<(String, Decimal)> {
        let book = self.pairs.get(order.pair)?;
        let rest = order.quantity - order.filled;
        Some(match order.side {
            Side::Buy => (book.quote().to_owned(), order.limit? * rest * (Decimal::ONE + fee_rate(book.venue))),
            Side::Sell => (book.base().to_owned(), rest),
        })
    }

    pub(super) fn new_order(
        &mut self,
        (account, pair, side): (usize, usize, Side),
        kind: OrderKind,
        quantity: Decimal,
        tag: Tag,
        now: Timestamp,
    ) -> Order {
        Order {
            id: self.take_order_id(),
            client_id: tag.client_id,
            account,
            pair,
            side,
            kind,
            limit: None,
            quantity,
            funds: None,
            filled: Decimal::ZERO,
            filled_quote: Decimal::ZERO,
            fees: Decimal::ZERO,
            fee_asset: String::new(),
            fills: 0,
            status: Status::New,
            created: now,
            updated: now,
            by_hand: tag.by_hand,
            hostile: tag.hostile,
        }
    }
}

/// Cuts the levels where the money ends.
fn clip(levels: &mut Vec<(Decimal, Decimal)>, budget: Decimal, lot_decimals: u32) {
    let mut left = budget;
    for (price, quantity) in levels.iter_mut() {
        let reach = left.checked_div(*price).unwrap_or(Decimal::ZERO);
        *quantity = (*quantity).min(reach.round_dp_with_strategy(lot_decimals, rust_decimal::RoundingStrategy::ToZero));
        left -= *price * *quantity;
    }
    levels.retain(|(_, quantity)| *quantity > Decimal::ZERO);
}

pub(super) fn told(order: &Order, step: Step, changed: Vec<Changed>, time: Timestamp) -> Happening {
    Happening::Order(Box::new(OrderNews { order: order.clone(), step, changed, time }))
}
