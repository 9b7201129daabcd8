//! Whether a match was lost: an order's size less its matches must be what the exchange says remains.
//!
//! The numbers of the messages cannot tell: they count the whole market's messages of a pair, of which the `user`
//! channel shows the profile's own (<https://docs.cdp.coinbase.com/exchange/websocket-feed/authentication>).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rust_decimal::Decimal;

use super::messages::Head;

/// Orders followed; of more, the oldest are asked about when they end.
const ORDERS: usize = 10_000;

/// What remains of each order, by its messages.
#[derive(Debug, Default)]
pub(super) struct Progress {
    left: BTreeMap<String, Decimal>,
    oldest: VecDeque<String>,
}

/// What has to be asked for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Doubts {
    /// Orders of which a match is missing or whose fee was not told.
    pub(super) orders: BTreeSet<String>,
    /// Pairs in which an order ended that was not followed from its start.
    pub(super) pairs: BTreeSet<String>,
}

impl Doubts {
    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.pairs.is_empty()
    }
}

impl Progress {
    /// Takes a message and adds what it leaves in doubt.
    pub(super) fn heard(&mut self, head: &Head<'_>, doubts: &mut Doubts) {
        let remaining = head.remaining_size.map(|size| size.0);
        match &*head.kind {
            "received" => {
                if let Some(size) = head.size {
                    self.follow(&head.order_id, size.0);
                }
            }
            "open" => {
                if let Some(remaining) = remaining {
                    self.compare(&head.order_id, remaining, doubts);
                    self.follow(&head.order_id, remaining);
                }
            }
            "match" => self.matched(head, doubts),
            "change" => {
                if let Some(size) = head.new_size {
                    self.follow(&head.order_id, size.0);
                }
            }
            "done" => {
                match (self.left.contains_key(&*head.order_id), remaining) {
                    (true, Some(remaining)) => self.compare(&head.order_id, remaining, doubts),
                    // A market order by money never says what remains.
                    (_, None) if head.reason == "filled" => {
                        doubts.orders.insert(head.order_id.clone().into_owned());
                    }
                    (_, None) => {}
                    (false, Some(_)) => {
                        doubts.pairs.insert(head.product_id.clone().into_owned());
                    }
                }
                self.left.remove(&*head.order_id);
            }
            _ => {}
        }
    }

    fn follow(&mut self, order: &str, left: Decimal) {
        if self.left.insert(order.to_owned(), left).is_none() {
            self.oldest.push_back(order.to_owned());
        }
        while self.oldest.len() > ORDERS
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.left.remove(&oldest);
        }
    }

    fn matched(&mut self, head: &Head<'_>, doubts: &mut Doubts) {
        for (order, rate) in [(&head.maker_order_id, head.maker_fee_rate), (&head.taker_order_id, head.taker_fee_rate)]
        {
            let Some(left) = self.left.get_mut(&**order) else { continue };
            *left = left.saturating_sub(head.size.unwrap_or_default().0);
            if rate.is_none() {
                doubts.orders.insert(order.clone().into_owned());
            }
        }
    }

    fn compare(&self, order: &str, remaining: Decimal, doubts: &mut Doubts) {
        if self.left.get(order).is_some_and(|left| *left != remaining) {
            doubts.orders.insert(order.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubts(messages: &[&str]) -> Doubts {
        let (mut progress, mut doubts) = (Progress::default(), Doubts::default());
        for message in messages {
            progress.heard(&serde_json::from_str(message).unwrap(), &mut doubts);
        }
        doubts
    }

    const RECEIVED: &str = r#"{"type":"received","order_id":"o","product_id":"ABC-USD","size":"5"}"#;
    const MATCH: &str =
        r#"{"type":"match","maker_order_id":"x","taker_order_id":"o","size":"2","taker_fee_rate":"0.004"}"#;
    const DONE: &str =
        r#"{"type":"done","order_id":"o","product_id":"ABC-USD","reason":"filled","remaining_size":"0"}"#;

    #[test]
    fn an_order_whose_matches_add_up_leaves_no_doubt() {
        let rests = r#"{"type":"open","order_id":"o","product_id":"ABC-USD","remaining_size":"3"}"#;
        let change = r#"{"type":"change","order_id":"o","new_size":"2","old_size":"3"}"#;
        assert!(doubts(&[RECEIVED, MATCH, rests, change, MATCH, DONE]).is_empty());
    }

    #[test]
    fn a_match_that_is_missing_is_noticed_when_its_order_rests_or_ends() {
        let only_order = |found: Doubts| found.orders == BTreeSet::from(["o".to_owned()]) && found.pairs.is_empty();
        assert!(only_order(doubts(&[RECEIVED, MATCH, DONE])), "3 of 5 were not told");
        assert!(only_order(doubts(&[RECEIVED, r#"{"type":"open","order_id":"o","remaining_size":"3"}"#])));
    }

    #[test]
    fn what_cannot_be_counted_is_asked_for() {
        assert_eq!(doubts(&[DONE]).pairs, BTreeSet::from(["ABC-USD".to_owned()]), "it began before we looked");
        let by_money = [
            r#"{"type":"received","order_id":"m","product_id":"ABC-USD","funds":"100"}"#,
            r#"{"type":"done","order_id":"m","product_id":"ABC-USD","reason":"filled"}"#,
        ];
        assert_eq!(doubts(&by_money).orders, BTreeSet::from(["m".to_owned()]));
        let free = r#"{"type":"match","maker_order_id":"o","taker_order_id":"x","size":"5"}"#;
        assert_eq!(doubts(&[RECEIVED, free, DONE]).orders, BTreeSet::from(["o".to_owned()]), "no fee was told");
    }

    #[test]
    fn the_orders_followed_are_bounded() {
        let mut progress = Progress::default();
        for number in 0..ORDERS + 5 {
            progress.follow(&number.to_string(), Decimal::ONE);
        }
        assert_eq!((progress.left.len(), progress.oldest.len()), (ORDERS, ORDERS));
        assert!(!progress.left.contains_key("4"));
    }
}
