//! The market score means the same whatever a pair is quoted in, however its trades are stamped and cut, and cold.

use super::super::model::Model;
use super::super::pair::{Bar, Pair, Trade, float};
use super::super::worth::Worth;
use super::features::{Order, story};
use super::*;
use crate::domain::Asset;

/// A trade of the story: when (ns), which side, price and quantity.
type Row = (i64, Side, Decimal, Decimal);

fn rows(story: &[Order<&str>]) -> Vec<Row> {
    let of = |(millis, side, fills): &Order<&str>| {
        let row = |(price, quantity): &(&str, &str)| (at(*millis).nanos(), *side, dec(price), dec(quantity));
        fills.iter().map(row).collect::<Vec<_>>()
    };
    story.iter().flat_map(of).collect()
}

/// The scores of all taker orders of `rows`, in a pair of quote worth `unit`.
fn scores(pair: &mut Pair, rows: &[Row], unit: f64) -> Vec<f32> {
    let (model, mut seen) = (Model::shipped(), Vec::new());
    for &(nanos, taker, price, quantity) in rows {
        let trade = Trade {
            time: Timestamp::from_nanos(nanos),
            taker,
            price: Price::new(price).unwrap(),
            quantity: Quantity::new(quantity).unwrap(),
            order: None,
        };
        seen.extend(pair.trade(&trade, unit, |features| model.score(features)).map(|scored| scored.score));
    }
    let last = rows.last().unwrap().0 + 60_000_000_000;
    seen.extend(pair.settle(Timestamp::from_nanos(last), unit, |seen| model.score(seen)).map(|scored| scored.score));
    seen
}

fn same(one: &[f32], other: &[f32]) {
    assert_eq!(one.len(), other.len());
    for (place, (one, other)) in one.iter().zip(other).enumerate() {
        assert!((one - other).abs() < 1e-4, "order {place}: {one} and {other}");
    }
    assert!(one.iter().copied().fold(f32::MIN, f32::max) > one[100] + 0.5, "the rush at the end is seen: {one:?}");
}

#[test]
fn the_same_tape_in_dollars_scores_as_in_bitcoin() {
    let in_btc = rows(&story());
    let dollars: Vec<Row> = in_btc.iter().map(|&(at, side, p, q)| (at, side, p * dec("30000"), q)).collect();
    let worth = Worth::default();
    let unit = |quote: &str| worth.unit(&Asset::new(quote).unwrap());
    let one = scores(&mut Pair::default(), &in_btc, unit("BTC"));
    same(&one, &scores(&mut Pair::default(), &dollars, unit("USDT")));
    let wrong = scores(&mut Pair::default(), &dollars, unit("BTC"));
    assert!(one.iter().zip(&wrong).any(|(one, wrong)| (one - wrong).abs() > 0.1), "money counts");
}

#[test]
fn microseconds_within_one_taker_order_change_nothing() {
    let millis = rows(&story());
    let mut spread = millis.clone();
    for nth in 1..spread.len() {
        // Trades of one order, which shared a millisecond, lie some microseconds apart.
        if millis[nth].0 == millis[nth - 1].0 {
            spread[nth].0 = spread[nth - 1].0 + 137_000;
        }
    }
    assert_ne!(millis, spread);
    same(&scores(&mut Pair::default(), &millis, 1.0), &scores(&mut Pair::default(), &spread, 1.0));
}

#[test]
fn trades_that_the_exchange_adds_up_by_price_score_as_single_ones() {
    let added = rows(&story());
    // Each trade was met by three makers at its price.
    let single: Vec<Row> = added
        .iter()
        .flat_map(|&(at, side, price, all)| ["0.5", "0.3", "0.2"].map(|part| (at, side, price, all * dec(part))))
        .collect();
    same(&scores(&mut Pair::default(), &added, 1.0), &scores(&mut Pair::default(), &single, 1.0));
}

/// Minutes of the day before, in which little was traded.
fn yesterday() -> impl Iterator<Item = Bar> {
    (0..1_440).map(|minute| Bar {
        start: at((minute - 1_440) * 60_000),
        span: Span::from_secs(60),
        high: Price::new(dec("0.0000201")).unwrap(),
        low: Price::new(dec("0.00002")).unwrap(),
        close: Price::new(dec(if minute % 3 == 0 { "0.0000201" } else { "0.00002" })).unwrap(),
        quote: 0.0002,
        taker_buy_quote: Some(0.0001),
        trades: Some(2),
    })
}

#[test]
fn a_pair_seeded_from_candles_is_heard_at_once_and_one_that_is_not_only_a_little() {
    // The rush alone: nothing was seen live before it.
    let mut rush = rows(&story()[160..]);
    for (nth, row) in rush.iter_mut().enumerate() {
        row.0 = at(60_000 + 240 * (nth as i64 / 3)).nanos();
    }
    let model = Model::shipped();
    let loudest = |scores: &[f32]| model.evidence(f64::from(scores.iter().copied().fold(f32::MIN, f32::max)));
    let (mut cold, mut seeded) = (Pair::default(), Pair::default());
    yesterday().for_each(|bar| seeded.seed(&bar));
    let (cold_nats, seeded_nats) = (loudest(&scores(&mut cold, &rush, 1.0)), loudest(&scores(&mut seeded, &rush, 1.0)));
    assert!(cold.young() && !seeded.young());
    assert!(cold_nats <= 2.0 + 1e-6, "a pair that nobody knows weighs {cold_nats} nats at most two");
    assert!(seeded_nats > 4.0, "{seeded_nats}");
    assert!(float(seeded.last_price().unwrap()) > 0.0);
}

#[test]
fn the_reason_says_that_a_pair_is_young() {
    let found = |seed: bool| {
        let mut engine = bounds::engine();
        let mut out = Vec::new();
        let (pair, mut n) = ("APPC-BTC", 0);
        let mut say = |engine: &mut Engine, time: Timestamp, kind: EventKind, out: &mut Vec<Finding>| {
            n += 1;
            engine.judge(&event(n, time, kind), out);
        };
        // Two months of small orders in another pair make a habit.
        for day in 0..60_u64 {
            let time = at(day as i64 * 86_400_000 - 61 * 86_400_000);
            let own = fill("ETH-BTC", day, "0.03", "0.01", time);
            say(&mut engine, time, EventKind::Fill(own), &mut out);
        }
        let market = |kind| Market { venue: Venue::Binance, symbol: symbol(pair), kind };
        if seed {
            for bar in yesterday() {
                let kind = MarketKind::Candle {
                    start: bar.start,
                    span: bar.span,
                    open: bar.low,
                    high: bar.high,
                    low: bar.low,
                    close: bar.close,
                    quote: dec("0.0002"),
                    taker_buy_quote: Some(dec("0.0001")),
                    trades: bar.trades,
                };
                say(&mut engine, at(0), EventKind::Market(market(kind)), &mut out);
            }
        }
        let quiet = MarketKind::Trade {
            price: Price::new(dec("0.00002")).unwrap(),
            quantity: Quantity::new(dec("5")).unwrap(),
            taker: Side::Buy,
            time: at(1_000),
            taker_order: None,
        };
        say(&mut engine, at(1_000), EventKind::Market(market(quiet.clone())), &mut out);
        if let MarketKind::Trade { price, quantity, taker, .. } = quiet {
            let next = MarketKind::Trade { price, quantity, taker, time: at(9_000), taker_order: None };
            say(&mut engine, at(9_000), EventKind::Market(market(next)), &mut out);
        }
        out.clear();
        let own = fill(pair, 900, "0.000026", "200000", at(60_000));
        say(&mut engine, at(60_000), EventKind::Fill(own), &mut out);
        let finding = out.into_iter().find(|finding| finding.rule == RuleName::PumpBuy);
        let finding = finding.expect("a first order of a rising pair, far above the usual size, is told of");
        finding.terms.iter().find(|term| term.name == "young_pair").map(|term| (term.nats, term.value))
    };
    let (nats, hours) = found(false).expect("a pair followed for seconds is young");
    assert!(nats == 0.0 && hours < 0.1, "{nats} nats, {hours} hours");
    assert_eq!(found(true), None);
}
