//! The fills of one order, which are judged as one.

use std::collections::VecDeque;

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::super::origin::Origins;
use super::{Account, sparse};
use crate::domain::{Fill, Side, Span, Symbol, Timestamp};

const MOST_GROUPS: usize = 40;
/// Orders that last traded longer ago than `RECENT` and are still known by their ids, should they go on.
const MOST_OLDER: usize = 4;
/// No rule looks further back than half of this.
const RECENT: Span = Span::from_secs(1_800);

/// The fills of one order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The exchange's order id.
    pub order_id: CompactString,
    /// Which pair.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// When its first fill traded.
    pub first: Timestamp,
    /// When its last fill traded.
    pub last: Timestamp,
    /// Base that changed hands.
    pub quantity: Decimal,
    /// Quote that changed hands.
    pub notional: Decimal,
    /// Its highest price.
    pub high: Decimal,
    /// Its lowest price.
    pub low: Decimal,
    /// Price levels it took.
    pub levels: u32,
    /// Whether a fill of it may have been a taker's.
    pub taker: bool,
    /// Weight of evidence of the market at this order, in nats.
    #[serde(with = "sparse")]
    pub market: f64,
    /// How strange its origin is, in nats, and what was strange.
    #[serde(with = "sparse")]
    pub strange: f64,
    /// Whether the strangeness is the venue's word rather than the grammar.
    pub strange_source: bool,
    /// Whether the order was found to be none of ours.
    pub not_ours: bool,
    /// The arrival of its last fill.
    pub n: u64,
}

impl Account {
    /// Returns an order group by its place.
    pub fn group_at(&self, place: usize) -> &Group {
        &self.groups[place]
    }

    /// Returns an order group by its place, to write what was found about it.
    pub fn group_at_mut(&mut self, place: usize) -> &mut Group {
        &mut self.groups[place]
    }

    /// Returns what the order's strangeness was held against, and what that is called.
    pub fn origins_of(&self, group: &Group) -> (&Origins, &'static str) {
        if group.strange_source { (&self.sources, "order_source") } else { (&self.grammars, "order_grammar") }
    }

    /// Returns the place of an order's group.
    pub fn find(&self, order_id: &str) -> Option<usize> {
        self.groups.iter().rposition(|group| group.order_id == order_id)
    }

    /// Returns the places of groups in `symbol` whose last fill is not older than `span`, oldest first.
    pub fn recent_groups(&self, symbol: &Symbol, now: Timestamp, span: Span) -> Vec<usize> {
        // A moment of grace: the exchange's market feed and its account feed are stamped by two clocks.
        let until = now + Span::from_secs(2);
        let fresh = |group: &Group| group.symbol == *symbol && now.since(group.last) <= span && group.first <= until;
        (0..self.groups.len()).filter(|place| fresh(&self.groups[*place])).collect()
    }

    pub(super) fn group(&mut self, fill: &Fill, n: u64, time: Timestamp) -> (usize, bool) {
        let price = fill.price.get();
        let known = self.groups.iter().rposition(|group| {
            group.order_id == fill.order_id && group.symbol == fill.symbol && group.side == fill.side
        });
        if let Some(place) = known {
            let group = &mut self.groups[place];
            group.last = group.last.max(time);
            group.quantity = group.quantity.saturating_add(fill.quantity.get());
            group.notional = group.notional.saturating_add(fill.notional);
            group.levels += u32::from(price > group.high || price < group.low);
            group.high = group.high.max(price);
            group.low = group.low.min(price);
            group.taker |= fill.maker != Some(true);
            group.n = n;
            return (place, false);
        }
        // What the same arrival told, a page of history, is asked about together.
        let older = |group: &Group| group.n < n && time.since(group.last) > RECENT;
        let many = |groups: &VecDeque<Group>| groups.get(MOST_OLDER).is_some_and(older);
        while self.groups.len() >= MOST_GROUPS || many(&self.groups) {
            self.groups.pop_front();
        }
        self.groups.push_back(Group {
            order_id: fill.order_id.clone(),
            symbol: fill.symbol.clone(),
            side: fill.side,
            first: time,
            last: time,
            quantity: fill.quantity.get(),
            notional: fill.notional,
            high: price,
            low: price,
            levels: 1,
            taker: fill.maker != Some(true),
            market: 0.0,
            strange: 0.0,
            strange_source: false,
            not_ours: false,
            n,
        });
        (self.groups.len() - 1, true)
    }
}
