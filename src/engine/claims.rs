//! Which orders our own systems' log names: one that it does not name, where it names nearly all, is a stranger's.

use std::collections::VecDeque;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::domain::{Span, Timestamp};

/// Orders of ours that our own systems' log should name, and ids that it named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// Client order ids the log named lately.
    named: VecDeque<CompactString>,
    /// Orders that wait to be named: order id, client id, until when.
    waiting: VecDeque<Waiting>,
    /// Orders that were amended: from then on their fills may carry a name that the exchange made up.
    amended: VecDeque<CompactString>,
    /// Orders looked for while the log spoke, and how many of them it named.
    orders: u64,
    claimed: u64,
    /// When the log last named an order.
    last: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Waiting {
    order_id: CompactString,
    client_id: CompactString,
    until: Timestamp,
}

/// How long an order waits to be named.
const CLAIM: Span = Span::from_secs(10);
/// The log must have named this many orders, and nearly all, before one it does not name is a stranger's.
const ENOUGH_CLAIMS: u64 = 20;
const MOST_CLAIMS: usize = 128;

impl Claims {
    /// An order of the account was heard of.
    pub(super) fn sent(&mut self, order_id: &CompactString, client_id: Option<&str>, at: Timestamp) {
        // A log that was never there, or that went quiet for a day, says nothing by its silence.
        let speaking = self.last.is_some_and(|last| at.since(last) < Span::from_secs(86_400));
        let Some(client_id) = client_id.filter(|_| speaking) else { return };
        if self.waiting.iter().any(|waiting| waiting.order_id == *order_id) || self.amended.contains(order_id) {
            return;
        }
        if let Some(place) = self.named.iter().position(|named| named == client_id) {
            // The fills of an order come after its acceptance: the name stays for them.
            let name = self.named.remove(place);
            self.named.extend(name);
            self.count(true);
            return;
        }
        if self.waiting.len() == MOST_CLAIMS {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { order_id: order_id.clone(), client_id: client_id.into(), until: at + CLAIM });
    }

    /// An order was amended: it is the one that was looked for, or is still, under the name it was sent with.
    pub(super) fn amended(&mut self, order_id: &CompactString) {
        if self.amended.contains(order_id) {
            return;
        }
        if self.amended.len() == MOST_CLAIMS {
            self.amended.pop_front();
        }
        self.amended.push_back(order_id.clone());
    }

    /// The log named an order.
    pub(super) fn claim(&mut self, client_id: &CompactString, at: Timestamp) {
        self.last = Some(at);
        let waiting = self.waiting.len();
        self.waiting.retain(|waiting| waiting.client_id != *client_id);
        if self.waiting.len() < waiting {
            self.count(true);
        }
        if self.named.len() == MOST_CLAIMS {
            self.named.pop_front();
        }
        self.named.push_back(client_id.clone());
    }

    /// The log cannot be read: no order is a stranger's for not being named in it.
    pub(super) fn unheard(&mut self) {
        self.last = None;
        self.waiting.clear();
    }

    fn count(&mut self, claimed: bool) {
        self.orders += 1;
        self.claimed += u64::from(claimed);
    }

    /// Returns when the next order is overdue.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.waiting.front().map(|waiting| waiting.until)
    }

    /// Returns the orders that should have been named by now and were not.
    pub(super) fn overdue(&mut self, at: Timestamp) -> Vec<CompactString> {
        let mut strangers = Vec::new();
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.until <= at) {
            let reliable = self.orders >= ENOUGH_CLAIMS && self.claimed * 20 >= self.orders * 19;
            if reliable {
                strangers.push(waiting.order_id);
            } else {
                self.count(false);
            }
        }
        strangers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(1_000 * secs)
    }

    /// So many orders, a minute apart, all named but every `missed`th; then one that is not. Returns the strangers among all.
    fn strangers(orders: i64, missed: i64) -> usize {
        let mut claims = Claims::default();
        // The log names some order before it can be missed for another.
        claims.claim(&"first".into(), at(0));
        let mut strangers = 0;
        for k in 1..=orders + 1 {
            let name: CompactString = compact_str::format_compact!("c{k}");
            claims.sent(&compact_str::format_compact!("o{k}"), Some(&name), at(60 * k));
            if k <= orders && k % missed != 0 {
                claims.claim(&name, at(60 * k + 1));
            }
            strangers += claims.overdue(at(60 * k + 11)).len();
        }
        strangers
    }

    #[test]
    fn an_order_is_a_strangers_once_the_log_named_twenty_and_nearly_all() {
        assert_eq!([strangers(19, 100), strangers(20, 100)], [0, 1]);
        // Every tenth is not named: a log that leaves out one in ten says nothing by the next.
        assert_eq!(strangers(40, 10), 0);
        assert_eq!(strangers(99, 50), 2, "one in fifty, and the last");
    }

    #[test]
    fn an_amended_order_is_not_a_strangers_for_the_name_that_its_fills_carry_and_a_strangers_stays_one() {
        let named = || {
            let mut claims = Claims::default();
            for k in 0..30 {
                let name: CompactString = compact_str::format_compact!("c{k}");
                claims.claim(&name, at(60 * k));
                claims.sent(&compact_str::format_compact!("o{k}"), Some(&name), at(60 * k + 1));
            }
            claims
        };
        let (mut ours, mut plain, mut stranger) = (named(), named(), named());
        ours.amended(&"o7".into());
        for claims in [&mut ours, &mut plain] {
            claims.sent(&"o7".into(), Some("ulcTmGH9xKnIWbCPWXQpVJ"), at(2_000));
        }
        assert_eq!((ours.overdue(at(2_011)).len(), plain.overdue(at(2_011)).len()), (0, 1));
        stranger.sent(&"o99".into(), Some("x"), at(2_000));
        stranger.amended(&"o99".into());
        stranger.sent(&"o99".into(), Some("y"), at(2_001));
        assert_eq!(stranger.overdue(at(2_011)), ["o99"]);
    }

    #[test]
    fn a_log_that_was_never_there_or_cannot_be_read_makes_no_strangers() {
        let mut claims = Claims::default();
        claims.sent(&"o1".into(), Some("c1"), at(0));
        assert_eq!((claims.due(), claims.overdue(at(60)).len()), (None, 0));
        claims.claim(&"c0".into(), at(0));
        claims.sent(&"o2".into(), Some("c2"), at(1));
        assert_eq!(claims.due(), Some(at(11)));
        claims.unheard();
        assert_eq!(claims.due(), None);
    }
}
