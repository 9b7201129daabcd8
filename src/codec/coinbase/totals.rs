//! What is known of one order: what the stream's running totals said, what was told as fills, what REST has listed.
//!
//! The quantity of an order is a line from 0 upward. `covered` is how far along it fills were told, or lie before we
//! watched; a total on the stream and a row of the list both tell only what lies beyond. So each unit is told once,
//! whichever of the two comes first.

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::codec::shape::unread;
use crate::codec::unread::Unread;
use crate::domain::{OrderStep, Timestamp};

/// Running totals of an order, or a part of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sum {
    /// Base.
    pub(super) quantity: Decimal,
    /// Quote.
    pub(super) value: Decimal,
    /// What the exchange kept, in quote, where told.
    pub(super) fees: Option<Decimal>,
}

/// One order's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Totals {
    /// The last step that was told.
    pub(super) step: Option<OrderStep>,
    /// Where the order came from, once REST has told.
    pub(super) source: Option<CompactString>,
    /// When it was last heard of, on the book's own count.
    pub(super) touched: u64,
    /// The last total of the stream; none when the stream never spoke of the order.
    streamed: Option<Decimal>,
    /// Until when the quantity in the first snapshot had traded.
    since: Timestamp,
    /// What had traded then and no row has listed.
    unlisted: Decimal,
    covered: Sum,
    /// What was told as provisional fills and no row has confirmed.
    pending: Sum,
    /// A row counted in quote was divided by its price: the last digits of `covered` are not the exchange's.
    rounded: bool,
}

/// What a total on the stream means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing that was not told.
    Nothing,
    /// A provisional fill.
    Fresh(Sum),
    /// The total is below the last one: stale or wrong.
    Fell,
}

/// One row of List Fills.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its base, quote and commission.
    pub(super) sum: Sum,
    /// When it traded.
    pub(super) time: Timestamp,
    /// Whether its base is a division's result.
    pub(super) rounded: bool,
}

/// What a row means.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Listed {
    /// The part that was told as provisional fills: the row's figures, and the quote that was booked for it.
    pub(super) confirmed: Option<(Sum, Decimal)>,
    /// The part that nobody told yet.
    pub(super) fresh: Option<Sum>,
}

impl Totals {
    /// What division and the exchange's own rounding may differ by, as a part of the quantity.
    const DUST: Decimal = Decimal::from_parts(1, 0, 0, false, 6);

    /// Returns whether nothing more is expected of the order.
    pub(super) fn finished(&self) -> bool {
        let over =
            |step| matches!(step, OrderStep::Done | OrderStep::Cancelled | OrderStep::Expired | OrderStep::Rejected);
        self.step.is_some_and(over)
    }

    /// Returns whether a provisional fill still waits for its row.
    pub(super) fn waits(&self) -> bool {
        !self.pending.quantity.is_zero()
    }

    /// Takes a running total of the stream. The first one in a snapshot is the baseline: it traded before we watched.
    pub(super) fn stream(&mut self, total: Sum, snapshot: bool, at: Timestamp) -> Result<Step, Unread> {
        if self.streamed.is_some_and(|last| total.quantity < last) {
            return Ok(Step::Fell);
        }
        let first = self.streamed.replace(total.quantity).is_none();
        let fresh = total.quantity - self.covered.quantity;
        if first && snapshot {
            self.since = at;
            self.unlisted = fresh.max(Decimal::ZERO);
            self.cover(total);
            return Ok(Step::Nothing);
        }
        let dust = if self.rounded { times(total.quantity, Self::DUST)? } else { Decimal::ZERO };
        if fresh <= dust {
            self.cover(total);
            return Ok(Step::Nothing);
        }
        let mut value = total.value - self.covered.value;
        if value <= Decimal::ZERO {
            // The totals contradict each other; the average of the whole order is the nearest thing to a price.
            value = share(total.value, fresh, total.quantity)?;
        }
        if value <= Decimal::ZERO {
            return Err(unread("an order that traded for nothing"));
        }
        let fees = match (total.fees, self.covered.fees) {
            (Some(now), before) => Some(plus(now, -before.unwrap_or_default())?),
            (None, _) => None,
        };
        let fresh = Sum { quantity: fresh, value, fees };
        self.pending = sum(self.pending, Sum { fees: None, ..fresh })?;
        self.cover(total);
        Ok(Step::Fresh(fresh))
    }

    /// Takes a row of List Fills that was not taken before.
    pub(super) fn list(&mut self, row: Row) -> Result<Listed, Unread> {
        let whole = row.sum;
        let dust = if row.rounded { times(whole.quantity, Self::DUST)? } else { Decimal::ZERO };
        // What had traded before the first snapshot was told by nobody.
        let early = self.streamed.is_some() && row.time <= self.since;
        let before = if early { whole.quantity.min(self.unlisted) } else { Decimal::ZERO };
        let rest = whole.quantity - before;
        let mut confirmed = rest.min(self.pending.quantity);
        let mut settled = confirmed;
        if !confirmed.is_zero() {
            if rest - confirmed <= dust {
                confirmed = rest;
            }
            if self.pending.quantity - settled <= dust {
                settled = self.pending.quantity;
            }
        }
        let booked = share(self.pending.value, settled, self.pending.quantity)?;
        let ahead = rest - confirmed;
        let part = |quantity: Decimal| -> Result<Option<Sum>, Unread> {
            if quantity.is_zero() {
                return Ok(None);
            }
            let fees = whole.fees.map(|fees| share(fees, quantity, whole.quantity)).transpose()?;
            Ok(Some(Sum { quantity, value: share(whole.value, quantity, whole.quantity)?, fees }))
        };
        let listed = Listed {
            confirmed: part(confirmed)?.map(|confirmed| (confirmed, booked)),
            fresh: part(plus(before, ahead)?)?,
        };
        if let Some(ahead) = part(ahead)? {
            // The list is ahead of the stream: the stream's next total must not tell it again.
            self.covered = sum(self.covered, ahead)?;
        }
        self.unlisted -= before;
        self.pending.quantity -= settled;
        self.pending.value -= booked;
        self.rounded |= row.rounded;
        Ok(listed)
    }

    /// The exchange's own totals replace ours where they reach as far.
    fn cover(&mut self, total: Sum) {
        if total.quantity >= self.covered.quantity {
            self.covered = Sum { fees: total.fees.or(self.covered.fees), ..total };
        }
    }
}

/// Returns the part of `whole` that falls to `part` of `of`; all of it without a rounding when that is all.
pub(super) fn share(whole: Decimal, part: Decimal, of: Decimal) -> Result<Decimal, Unread> {
    if part == of {
        return Ok(whole);
    }
    // Dividing first keeps a large product in range, and the other order keeps more digits: take it when it fits.
    let product = whole.checked_mul(part).and_then(|product| product.checked_div(of));
    product
        .or_else(|| whole.checked_div(of)?.checked_mul(part))
        .map(|share| share.normalize())
        .ok_or_else(|| unread("an amount out of range"))
}

fn times(a: Decimal, b: Decimal) -> Result<Decimal, Unread> {
    a.checked_mul(b).ok_or_else(|| unread("an amount out of range"))
}

fn plus(a: Decimal, b: Decimal) -> Result<Decimal, Unread> {
    a.checked_add(b).ok_or_else(|| unread("an amount out of range"))
}

fn sum(a: Sum, b: Sum) -> Result<Sum, Unread> {
    let fees = match (a.fees, b.fees) {
        (Some(a), Some(b)) => Some(plus(a, b)?),
        (one, other) => one.or(other),
    };
    Ok(Sum { quantity: plus(a.quantity, b.quantity)?, value: plus(a.value, b.value)?, fees })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(quantity: i64, value: i64) -> Sum {
        Sum { quantity: quantity.into(), value: value.into(), fees: None }
    }

    fn row(quantity: i64, value: i64, secs: i64) -> Row {
        Row { sum: total(quantity, value), time: Timestamp::from_millis(secs * 1_000), rounded: false }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1_000)
    }

    #[test]
    fn what_traded_before_the_snapshot_is_told_when_it_is_listed_and_what_came_after_is_confirmed() {
        let mut order = Totals::default();
        assert_eq!(order.stream(total(1, 100), true, at(10)), Ok(Step::Nothing));
        assert_eq!(order.stream(total(3, 330), false, at(20)), Ok(Step::Fresh(total(2, 230))));
        let old = order.list(row(1, 100, 5)).unwrap();
        assert_eq!(old, Listed { confirmed: None, fresh: Some(total(1, 100)) });
        let new = order.list(row(2, 232, 19)).unwrap();
        assert_eq!(new, Listed { confirmed: Some((total(2, 232), 230.into())), fresh: None });
        assert!(!order.waits());
    }

    #[test]
    fn what_the_list_told_first_is_not_told_again_by_the_stream() {
        let mut order = Totals::default();
        assert_eq!(order.stream(total(1, 10), false, at(1)), Ok(Step::Fresh(total(1, 10))));
        let ahead = order.list(row(3, 36, 2)).unwrap();
        assert_eq!(ahead.confirmed, Some((total(1, 12), 10.into())));
        assert_eq!(ahead.fresh, Some(total(2, 24)));
        assert_eq!(order.stream(total(2, 22), false, at(3)), Ok(Step::Nothing));
        assert_eq!(
            order
                .stream(total(4, 50), false, at(4))
                .map(|step| matches!(step, Step::Fresh(s) if s.quantity == 1.into())),
            Ok(true)
        );
    }

    #[test]
    fn a_total_that_falls_changes_nothing() {
        let mut order = Totals::default();
        order.stream(total(5, 50), false, at(1)).unwrap();
        let before = order.clone();
        assert_eq!(order.stream(total(4, 40), true, at(2)), Ok(Step::Fell));
        assert_eq!(order, before);
    }

    #[test]
    fn the_last_digits_of_a_division_are_no_fill() {
        let mut order = Totals::default();
        order.stream(total(3, 10), false, at(1)).unwrap();
        let sum = Sum { quantity: Decimal::new(29_999_999_999, 10), value: 10.into(), fees: None };
        let listed = order.list(Row { sum, time: at(1), rounded: true }).unwrap();
        assert!(listed.fresh.is_none() && listed.confirmed.is_some() && !order.waits());
    }

    proptest! {
        /// Whatever the order in which totals and rows come, and however often a total repeats, every unit is told
        /// exactly once, and every unit of a provisional fill is confirmed exactly once.
        #[test]
        fn every_unit_is_told_once(
            fills in prop::collection::vec((1i64..50, 1i64..50), 1..8),
            picks in prop::collection::vec((any::<bool>(), 0usize..8), 0..40),
            baseline in 0usize..8,
        ) {
            let mut order = Totals::default();
            let baseline = baseline.min(fills.len());
            let upto = |count: usize| fills.iter().take(count).fold((0, 0), |(q, v), fill| (q + fill.0, v + fill.0 * fill.1));
            let (mut told, mut provisional, mut confirmed) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
            let mut listed = vec![false; fills.len()];
            order.stream(total(upto(baseline).0, upto(baseline).1), true, at(baseline as i64)).unwrap();
            let last = [(false, fills.len())];
            let all = (0..fills.len()).map(|index| (true, index));
            let mut heard = baseline;
            for (rest, index) in picks.into_iter().chain(all).chain(last) {
                if rest {
                    let Some(fill) = fills.get(index) else { continue };
                    if std::mem::replace(&mut listed[index], true) { continue }
                    let row = order.list(row(fill.0, fill.0 * fill.1, index as i64 + 1)).unwrap();
                    told += row.fresh.map_or(Decimal::ZERO, |part| part.quantity);
                    confirmed += row.confirmed.map_or(Decimal::ZERO, |part| part.0.quantity);
                } else {
                    heard = heard.max(index.min(fills.len()));
                    let (quantity, value) = upto(heard);
                    match order.stream(total(quantity, value), false, at(100)).unwrap() {
                        Step::Fresh(part) => {
                            prop_assert!(part.quantity > Decimal::ZERO && part.value > Decimal::ZERO);
                            told += part.quantity;
                            provisional += part.quantity;
                        }
                        Step::Nothing => {}
                        Step::Fell => prop_assert!(false, "a total fell"),
                    }
                }
            }
            prop_assert_eq!(told, Decimal::from(upto(fills.len()).0));
            prop_assert_eq!(confirmed, provisional);
            prop_assert!(!order.waits());
        }
    }
}
