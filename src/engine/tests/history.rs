//! What was traded before watching began, told in whatever order an exchange likes.

use super::super::account::Account;
use super::super::habit;
use super::super::pair::Bar;
use super::*;

const DAY: i64 = 86_400_000;

/// Sixty buys of one pair, a day apart, each worth `quantity` of a coin at one.
fn page(pair: &str, first_order: u64, quantity: &str) -> Vec<Fill> {
    let bought = |day: u64| fill(pair, first_order + day, "1", quantity, at(-(70 - day as i64) * DAY));
    (0..60).map(bought).collect()
}

#[test]
fn history_told_pair_by_pair_teaches_the_same_whichever_pair_comes_first() {
    let (small, large) = (page("SOL-USDT", 1, "20"), page("WIF-USDT", 101, "2000"));
    for pages in [[&small, &large], [&large, &small]] {
        let mut owner = Account::new(account("alice"));
        for past in pages.into_iter().flatten() {
            owner.take(past, 1, past.time, 1.0, None);
        }
        let usual = fill("WIF-USDT", 900, "1", "2000", at(0));
        owner.take(&usual, 2, usual.time, 1.0, None);
        let size = habit::size(&owner, Side::Buy);
        assert!(size.nats < 2.0, "a usual amount weighs {} nats", size.nats);
        let wild = fill("WIF-USDT", 901, "1", "200000", at(1_000));
        owner.take(&wild, 3, wild.time, 1.0, None);
        let size = habit::size(&owner, Side::Buy);
        assert!(size.nats > 1.0, "a hundred times the usual amount weighs {} nats", size.nats);
    }
}

#[test]
fn a_bar_with_a_negative_volume_is_no_bar() {
    let mut pair = super::super::pair::Pair::default();
    pair.seed(&Bar {
        start: at(0),
        span: Span::from_secs(60),
        high: Price::new(dec("1")).unwrap(),
        low: Price::new(dec("1")).unwrap(),
        close: Price::new(dec("1")).unwrap(),
        quote: -5.0,
        taker_buy_quote: None,
        trades: None,
    });
    assert_eq!((pair.last_price(), pair.daily_quote(Side::Buy)), (None, 0.0));
}
