//! Who sent an order, as far as its name tells: the grammar of client order ids, and the venue's own word.
//!
//! Bots, apps and websites name orders each in their own way (`x-U5D79M5B-8f3a…`, `web_3f2c…`, `grid-000123`). What
//! an account's orders usually look like is learnt; an order that looks different was sent by something else.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::domain::{Span, Timestamp};

/// Kinds of names kept for an account; the rarest is forgotten first.
const MOST: usize = 24;
/// Orders an account must have sent before each of them counts.
const ENOUGH: u64 = 50;
/// Before that sessions count, this many at least, and a new kind says this at most: orders of one session come from one
/// program, and many an owner has a second.
const ENOUGH_SESSIONS: u32 = 3;
const CAP_OF_FEW: f64 = 1.9;
/// Orders of one kind that make it a habit, however many others there are.
const FEW: u32 = 5;
/// A kind that came up later is as strange as new for this long, and half as strange until it is familiar: a thief who
/// trades small for a day must not become the owner.
const NEW_FOR: Span = Span::from_secs(2 * 86_400);
const FAMILIAR_AFTER: Span = Span::from_secs(7 * 86_400);

/// The kinds of origins an account's orders had, and how many orders each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Origins {
    kinds: BTreeMap<CompactString, Kind>,
    orders: u64,
    distinct: u64,
    sessions: u32,
    /// Of these, sessions that brought up a kind beyond the first.
    novel: u32,
}

/// A kind of origin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Kind {
    orders: u32,
    /// When it first came up; absent where it was there from the beginning.
    since: Option<Timestamp>,
}

impl Origins {
    /// Returns the weight of evidence (nats) that an order of this `kind` is not the account's, and learns nothing.
    ///
    /// It is ln(0.9 / p) with p the rate at which this account brings up new kinds: an account whose ids have no
    /// grammar earns next to nothing, one that named 10,000 orders alike earns the cap. Of fewer than fifty orders it is
    /// the rate of sessions that brought up a kind beyond the first. Kinds that are not familiar yet do not count: or a
    /// thief would send a few odd orders first.
    pub fn strangeness(&self, kind: &str, cap: f64, now: Timestamp) -> f64 {
        if self.is_beginning() {
            return 0.0;
        }
        match self.kinds.get(kind) {
            Some(seen) if u64::from(seen.orders) * 200 >= self.orders || seen.orders >= FEW => {
                match seen.since.map(|since| now.since(since)) {
                    Some(age) if age < NEW_FOR => self.of_new(cap, now),
                    Some(age) if age < FAMILIAR_AFTER => self.of_new(cap, now) / 2.0,
                    Some(_) | None => 0.0,
                }
            }
            // Seen before, but never a habit.
            Some(seen) if seen.since.is_none_or(|since| now.since(since) >= NEW_FOR) => 0.5,
            Some(_) | None => self.of_new(cap, now),
        }
    }

    fn of_new(&self, cap: f64, now: Timestamp) -> f64 {
        let young =
            || self.kinds.values().filter_map(|kind| kind.since).filter(|since| now.since(*since) < FAMILIAR_AFTER);
        let (new, of, cap) = if self.are_few() {
            let sessions = young().collect::<BTreeSet<_>>().len();
            (f64::from(self.novel) - sessions as f64, f64::from(self.sessions), cap.min(CAP_OF_FEW))
        } else {
            (self.distinct as f64 - young().count() as f64, self.orders as f64, cap)
        };
        let p = (new.max(0.0) + 0.5) / (of + 1.0);
        (0.9 / p).ln().clamp(0.0, cap)
    }

    /// Returns whether so few orders are known that sessions count: a hint beside other evidence, and no family of it.
    pub fn are_few(&self) -> bool {
        self.orders < ENOUGH
    }

    /// Returns whether too little is known for a new kind to say anything.
    fn is_beginning(&self) -> bool {
        self.are_few() && self.sessions < ENOUGH_SESSIONS
    }

    /// Counts a session that began at `began` and in which orders of these kinds were sent. What an account began with
    /// needs no time to become familiar.
    pub fn learn_session(&mut self, seen: BTreeMap<CompactString, u32>, began: Timestamp) {
        let since = (!self.is_beginning()).then_some(began);
        let new = seen.keys().filter(|kind| !self.kinds.contains_key(*kind)).count();
        self.novel = self.novel.saturating_add(u32::from(new > usize::from(self.sessions == 0)));
        self.sessions = self.sessions.saturating_add(u32::from(!seen.is_empty()));
        for (kind, orders) in seen {
            self.learn(&kind, orders, since);
        }
    }

    /// Counts orders of this `kind`; a kind not seen before came up at `since`, or was always there.
    fn learn(&mut self, kind: &str, orders: u32, since: Option<Timestamp>) {
        self.orders += u64::from(orders);
        if let Some(seen) = self.kinds.get_mut(kind) {
            seen.orders = seen.orders.saturating_add(orders);
            return;
        }
        self.distinct += 1;
        if self.kinds.len() >= MOST
            && let Some(rarest) = self.kinds.iter().min_by_key(|(_, seen)| seen.orders).map(|(name, _)| name.clone())
        {
            self.kinds.remove(&rarest);
        }
        self.kinds.insert(kind.into(), Kind { orders, since });
    }

    /// Counts orders of a `kind` that the owner vouched for: from now on it is as familiar as any.
    pub fn adopt(&mut self, kind: &str, orders: u32) {
        // Fewer would still be an exception, not a habit.
        self.learn(kind, orders.max(FEW), None);
        if let Some(seen) = self.kinds.get_mut(kind) {
            seen.since = None;
            seen.orders = seen.orders.max(FEW);
        }
    }

    /// Returns how many orders were counted.
    pub fn orders(&self) -> u64 {
        self.orders
    }
}

/// Returns the grammar of a client order id: fixed words stay, what varies becomes its class and rough length.
pub fn grammar(id: &str) -> CompactString {
    if id.is_empty() {
        return "none".into();
    }
    if is_uuid(id) {
        return "uuid".into();
    }
    let mut text = CompactString::default();
    // Broker ids ride in front as `x-<8 characters>`; what follows is the broker's own numbering.
    let rest = match id.strip_prefix("x-") {
        Some(rest) if rest.len() >= 8 && rest.is_char_boundary(8) => {
            text.push_str("x-");
            text.push_str(&rest[..8]);
            &rest[8..]
        }
        _ => id,
    };
    let mut segment_start = 0;
    let mut segments = 0;
    for (place, c) in rest.char_indices().chain([(rest.len(), '\0')]) {
        let boundary = place == rest.len() || matches!(c, '-' | '_' | '.' | ':' | '/' | '|' | '#');
        if !boundary {
            continue;
        }
        if segments < 6 {
            text.push_str(&class(&rest[segment_start..place], segments == 0));
            if place < rest.len() {
                text.push(c);
            }
        }
        segments += 1;
        segment_start = place + c.len_utf8();
    }
    text
}

fn class(segment: &str, first: bool) -> CompactString {
    if segment.is_empty() {
        return CompactString::default();
    }
    let length = segment.chars().count();
    let all = |test: fn(char) -> bool| segment.chars().all(test);
    if all(|c| c.is_ascii_digit()) {
        return "9".into();
    }
    if length >= 8 && all(|c| c.is_ascii_hexdigit()) {
        return compact_str::format_compact!("h{}", rough(length));
    }
    if all(char::is_alphabetic) && length <= 12 {
        // A first word is whoever names the orders; later capitals are usually the coin.
        let coin = !first && segment.chars().all(char::is_uppercase);
        return if coin { "A".into() } else { segment.to_lowercase().into() };
    }
    let letters = segment.trim_end_matches(|c: char| c.is_ascii_digit());
    if first && letters.len() < segment.len() && letters.len() <= 12 && letters.chars().all(char::is_alphabetic) {
        return compact_str::format_compact!("{}9", letters.to_lowercase());
    }
    compact_str::format_compact!("w{}", rough(length))
}

fn rough(length: usize) -> usize {
    [4, 8, 12, 16, 20, 24, 28, 32, 36].into_iter().find(|bound| length <= *bound).unwrap_or(99)
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.chars().enumerate().all(|(place, c)| match place {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_sender_have_one_grammar_and_ids_of_another_have_another() {
        let alike = [
            ["web_3f2c9a77b0d14c0e9d11aa02", "web_00112233445566778899aabb"],
            ["x-U5D79M5B1a2b3c4dxe", "x-U5D79M5B9z8y7x6w5v"],
            ["9b5620d9-ef1c-4ab5-89d1-717b2602d445", "00000000-ef1c-4ab5-89d1-717b2602d445"],
            ["grid000123", "grid998"],
            ["dca-APPC-17", "dca-ADX-3"],
            ["1593487481000313", "1593487481000999"],
        ];
        for [one, other] in alike {
            assert_eq!(grammar(one), grammar(other));
        }
        let kinds: std::collections::BTreeSet<_> = alike.iter().map(|pair| grammar(pair[0])).collect();
        assert_eq!(kinds.len(), alike.len(), "{kinds:?}");
    }

    #[test]
    fn a_new_grammar_is_strange_only_where_grammars_are_a_habit() {
        let mut steady = Origins::default();
        let mut wild = Origins::default();
        for k in 0..200 {
            steady.learn("grid9", 1, None);
            wild.learn(&format!("kind{k}"), 1, None);
        }
        assert!(steady.strangeness("w24", 5.0, Timestamp::EPOCH) > 4.0);
        assert_eq!(steady.strangeness("grid9", 5.0, Timestamp::EPOCH), 0.0);
        assert!(wild.strangeness("w24", 5.0, Timestamp::EPOCH) < 0.1);
        assert_eq!(Origins::default().strangeness("w24", 5.0, Timestamp::EPOCH), 0.0);
    }

    /// Sessions of one order each, of one kind, a day apart.
    fn sessions(count: i64) -> Origins {
        let mut habits = Origins::default();
        (0..count).for_each(|day| habits.learn_session([("ios_h32".into(), 1)].into(), on_day(day)));
        habits
    }

    fn on_day(day: i64) -> Timestamp {
        Timestamp::EPOCH + Span::from_secs(day * 86_400)
    }

    #[test]
    fn of_few_orders_the_sessions_count_and_say_less_than_a_family_of_many() {
        let strange = |habits: &Origins| habits.strangeness("w24", 3.0, on_day(100));
        assert_eq!(strange(&sessions(2)), 0.0);
        assert_eq!([3, 49, 50].map(|count| strange(&sessions(count))), [CAP_OF_FEW, CAP_OF_FEW, 3.0]);
        let mut bot = Origins::default();
        bot.learn_session([("x-PORTFOL2h24".into(), 30)].into(), on_day(0));
        assert_eq!(strange(&bot), 0.0, "thirty orders of one session are one choice");
    }

    #[test]
    fn who_used_two_programs_before_is_expected_to_use_a_third() {
        let mut habits = sessions(8);
        habits.learn_session([("web_h32".into(), 1)].into(), on_day(20));
        let expected = (0.9_f64 / (1.5 / 10.0)).ln();
        assert!((habits.strangeness("w24", 3.0, on_day(100)) - expected).abs() < 1e-9 && expected < CAP_OF_FEW);
        // The second one stays strange for two days, and half for seven: it may be a thief's.
        let second = |day| habits.strangeness("web_h32", 3.0, on_day(day));
        assert_eq!([second(21), second(24), second(28)], [CAP_OF_FEW, CAP_OF_FEW / 2.0, 0.0]);
    }

    #[test]
    fn odd_orders_in_advance_make_no_account_one_of_many_programs() {
        for count in [4, 60] {
            let mut habits = sessions(count);
            let odd = (0..11).map(|kind| (format!("odd{kind}").into(), 1)).collect();
            habits.learn_session(odd, on_day(count));
            let strange = |day| habits.strangeness("w24", 3.0, on_day(day));
            assert_eq!(strange(count + 1), if count < 50 { CAP_OF_FEW } else { 3.0 }, "{count} sessions");
            assert!(strange(count + 8) < strange(count + 1), "who goes on with it for a week is the owner");
        }
        // Ids without a grammar are one habit from the first session on.
        let mut wild = Origins::default();
        for day in 0..6 {
            let seen = (0..3).map(|kind| (format!("wild{day}{kind}").into(), 1)).collect();
            wild.learn_session(seen, on_day(7 * day));
        }
        assert!(wild.strangeness("w24", 3.0, on_day(42)) < 0.2);
    }

    #[test]
    fn a_kind_that_came_up_late_takes_a_week_to_become_familiar() {
        let mut habits = Origins::default();
        habits.learn("grid9", 200, None);
        let day = |day: i64| Timestamp::EPOCH + Span::from_secs(day * 86_400);
        habits.learn("w24", 30, Some(day(100)));
        let strange = |at| habits.strangeness("w24", 3.0, day(at));
        assert_eq!((strange(101), strange(103), strange(108)), (3.0, 1.5, 0.0));
    }
}
