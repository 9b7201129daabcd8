//! A pair's features, worked out anew over all past orders, without decayed sums.

use super::super::model::Model;
use super::super::pair::{Bar, Features, Pair, Trade};
use super::*;

/// When (ms), which way, and the price and quantity of each trade.
pub(super) type Order<P> = (i64, Side, Vec<(P, &'static str)>);

/// A taker order, in seconds, quote units and price.
#[derive(Clone, Copy, Debug)]
struct Past {
    secs: f64,
    buy: bool,
    quote: f64,
    levels: u32,
    high: f64,
    low: f64,
    last: f64,
}

fn half(secs: f64, half_life: f64) -> f64 {
    0.5_f64.powf(secs / half_life)
}

/// The formulas of the market model over the whole list; `orders` is in order of time and its last one is judged.
fn by_hand(orders: &[Past], unit: f64) -> Features {
    let (now, before) = orders.split_last().unwrap();
    let first = orders[0].secs;
    let age = now.secs - first;
    let sum = |list: &[Past], buy: bool, half_life: f64, what: &dyn Fn(&Past) -> f64| -> f64 {
        list.iter().filter(|o| o.buy == buy).map(|o| what(o) * half(now.secs - o.secs, half_life)).sum()
    };
    let quote = |o: &Past| o.quote;
    let one = |_: &Past| 1.0;
    let rush = |o: &Past| f64::from(u8::from(o.levels >= 2));
    let width = |half_life: f64| half_life / std::f64::consts::LN_2 * (1.0 - half(age, half_life)) + 60.0;
    let base = |half_life: f64, pseudo: f64, what: &dyn Fn(&Past) -> f64| {
        (sum(before, now.buy, half_life, what) + pseudo) / width(half_life)
    };
    let rate = |half_life: f64, what: &dyn Fn(&Past) -> f64| {
        sum(orders, now.buy, half_life, what) * std::f64::consts::LN_2 / half_life
    };
    let ratio = |fast: f64, slow: f64| (fast / slow + 0.1).ln();
    // Weighted means of ln(price), each step with 1 - 2^(-(gap + 0.5) / h), starting at the first order's last price.
    let mean = |half_life: f64| {
        let mut mean = orders[0].last.ln();
        for pair in before.windows(2) {
            let weight = 1.0 - half(pair[1].secs - pair[0].secs + 0.5, half_life);
            mean += weight * (pair[1].last.ln() - mean);
        }
        mean
    };
    // The variance per minute: samples at least a minute apart.
    let mut variance = 0.0;
    let mut sample: Option<(f64, f64)> = None;
    for order in before {
        match sample {
            None => sample = Some((order.secs, order.last)),
            Some((secs, price)) if order.secs - secs >= 60.0 => {
                let minutes = (order.secs - secs) / 60.0;
                let change = (order.last / price).ln();
                variance += (1.0 - half(minutes, 1_440.0)) * (change * change / minutes - variance);
                sample = Some((order.secs, order.last));
            }
            Some(_) => {}
        }
    }
    let toward = if now.buy { 1.0 } else { -1.0 };
    let extreme = if now.buy { now.high } else { now.low };
    let ret = |half_life: f64| toward * (extreme.ln() - mean(half_life));
    let z = |half_life: f64| ret(half_life) / (f64::sqrt(variance) * (half_life / 60.0).sqrt() + 5e-4);
    let share = |half_life: f64| {
        let (own, other) = (sum(orders, now.buy, half_life, &quote), sum(orders, !now.buy, half_life, &quote));
        own / (own + other)
    };
    let day = base(86_400.0, 0.01 / unit, &quote);
    let money = |half_life: f64| (sum(orders, now.buy, half_life, &quote) * unit + 1e-4).ln();
    let since = before.last().map_or(0.0, |last| now.secs - last.secs);
    let (day_2h, one_2h, one_24h) =
        (base(7_200.0, 0.01 / unit, &quote), base(7_200.0, 1.0, &one), base(86_400.0, 1.0, &one));
    let (rush_2h, rush_24h) = (base(7_200.0, 0.5, &rush), base(86_400.0, 0.5, &rush));
    Features {
        z60: z(60.0),
        z600: z(600.0),
        z2h: z(7_200.0),
        ret60: ret(60.0),
        ret600: ret(600.0),
        ret2h: ret(7_200.0),
        rq3_2h: ratio(rate(3.0, &quote), day_2h),
        rq15_2h: ratio(rate(15.0, &quote), day_2h),
        rq60_2h: ratio(rate(60.0, &quote), day_2h),
        rq3_24h: ratio(rate(3.0, &quote), day),
        rq15_24h: ratio(rate(15.0, &quote), day),
        rq60_24h: ratio(rate(60.0, &quote), day),
        rn3_2h: ratio(rate(3.0, &one), one_2h),
        rn15_2h: ratio(rate(15.0, &one), one_2h),
        rn60_2h: ratio(rate(60.0, &one), one_2h),
        rn3_24h: ratio(rate(3.0, &one), one_24h),
        rn15_24h: ratio(rate(15.0, &one), one_24h),
        rn60_24h: ratio(rate(60.0, &one), one_24h),
        rr3_2h: ratio(rate(3.0, &rush), rush_2h),
        rr15_2h: ratio(rate(15.0, &rush), rush_2h),
        rr60_2h: ratio(rate(60.0, &rush), rush_2h),
        rr3_24h: ratio(rate(3.0, &rush), rush_24h),
        rr15_24h: ratio(rate(15.0, &rush), rush_24h),
        rr60_24h: ratio(rate(60.0, &rush), rush_24h),
        bf15: share(15.0),
        bf60: share(60.0),
        liq: (day * 86_400.0 * unit).ln(),
        money15: money(15.0),
        money60: money(60.0),
        sweep: (now.high / now.low).ln(),
        levels: f64::from(now.levels),
        swing: f64::sqrt(variance),
        gap: (since + 1e-3).ln(),
        share_of_day: now.quote / (day * 86_400.0),
        young: age < 86_400.0,
    }
}

/// A day and a half of orders of both sides, one to three levels each, with a rush at the end.
pub(super) fn story() -> Vec<Order<&'static str>> {
    let prices = ["0.0000199", "0.00002", "0.0000201", "0.0000202", "0.00001995"];
    let mut story = Vec::new();
    let mut millis = 0_i64;
    for k in 0_usize..160 {
        millis += 211_000 + 977_777 * ((k * k) % 7) as i64 / 2;
        let side = if (k * 7) % 5 < 2 { Side::Sell } else { Side::Buy };
        let levels = (0..1 + (k % 3)).map(|level| (prices[(k + level) % 5], "137")).collect();
        story.push((millis, side, levels));
    }
    for k in 0_usize..12 {
        millis += 240;
        let rush = ["0.0000205", "0.000021", "0.0000216", "0.0000222", "0.0000229", "0.0000236"];
        story.push((millis, Side::Buy, vec![(rush[k / 2], "2000"), (rush[k / 2], "150"), ("0.0000236", "900")]));
    }
    story
}

fn past(story: &[Order<&str>]) -> Vec<Past> {
    let order = |(millis, side, fills): &Order<&str>| {
        let prices: Vec<f64> = fills.iter().map(|fill| float(dec(fill.0))).collect();
        Past {
            secs: *millis as f64 / 1e3,
            buy: *side == Side::Buy,
            quote: fills.iter().map(|(price, quantity)| float(dec(price)) * float(dec(quantity))).sum(),
            levels: 1 + fills.windows(2).filter(|pair| dec(pair[0].0) != dec(pair[1].0)).count() as u32,
            high: prices.iter().copied().fold(f64::MIN, f64::max),
            low: prices.iter().copied().fold(f64::MAX, f64::min),
            last: *prices.last().unwrap(),
        }
    };
    story.iter().map(order).collect()
}

fn close(name: &str, place: usize, got: f64, expected: f64) {
    // What fades within a minute is kept to seven digits.
    assert!((got - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{name} of order {place}: {got} != {expected}");
}

#[test]
fn the_features_of_every_order_are_those_of_the_formulas_over_all_past_orders() {
    let story = story();
    let orders = past(&story);
    for unit in [1.0, 1.0 / 30_000.0] {
        let mut pair = Pair::default();
        let mut seen: Vec<Features> = Vec::new();
        for (millis, side, fills) in &story {
            for (price, quantity) in fills {
                let trade = Trade {
                    time: at(*millis),
                    taker: *side,
                    price: Price::new(dec(price)).unwrap(),
                    quantity: Quantity::new(dec(quantity)).unwrap(),
                    order: None,
                };
                pair.trade(&trade, unit, |features| {
                    seen.push(*features);
                    0.0
                });
            }
        }
        pair.settle(at(1 << 40), unit, |features| {
            seen.push(*features);
            0.0
        });
        assert_eq!(seen.len(), orders.len());
        // The first two orders have no baseline worth the name; from the third on every number must agree.
        for place in 2..orders.len() {
            let (got, hand) = (seen[place], by_hand(&orders[..=place], unit));
            for ((name, got), hand) in Features::NAMES.iter().zip(got.values()).zip(hand.values()) {
                close(name, place, got, hand);
            }
            assert_eq!(got.young, hand.young, "order {place}");
        }
    }
}

#[test]
fn sells_mirror_buys() {
    let story = story();
    let mirrored: Vec<Order<String>> = story
        .iter()
        .map(|(millis, side, fills)| {
            // The reciprocal price turns every rise into the same fall; the quote must stay what it was.
            let fills = fills
                .iter()
                .map(|(price, quantity)| ((dec("0.0000000004") / dec(price)).to_string(), *quantity))
                .collect();
            (*millis, side.opposite(), fills)
        })
        .collect();
    let scores = |story: &[Order<String>]| {
        let mut pair = Pair::default();
        let mut seen = Vec::new();
        for (millis, side, fills) in story {
            for (price, quantity) in fills {
                let trade = Trade {
                    time: at(*millis),
                    taker: *side,
                    price: Price::new(dec(price)).unwrap(),
                    quantity: Quantity::new(dec(quantity)).unwrap(),
                    order: None,
                };
                pair.trade(&trade, 1.0, |features| {
                    seen.push((features.z60, features.ret2h, features.rn15_2h, features.rr15_24h));
                    0.0
                });
            }
        }
        seen
    };
    let same: Vec<_> = story
        .iter()
        .map(|(millis, side, fills)| (*millis, *side, fills.iter().map(|(p, q)| ((*p).to_owned(), *q)).collect()))
        .collect();
    for (place, (one, other)) in scores(&same).into_iter().zip(scores(&mirrored)).enumerate().skip(2) {
        for (one, other) in [(one.0, other.0), (one.1, other.1), (one.2, other.2), (one.3, other.3)] {
            assert!((one - other).abs() < 1e-6 * one.abs().max(1.0), "order {place}: {one} and {other}");
        }
    }
}

#[test]
fn a_seed_that_comes_late_leaves_the_memory_as_if_it_had_come_first() {
    let bars: Vec<Bar> = (0..48)
        .map(|hour| Bar {
            start: at(-48 * 3_600_000 + hour * 3_600_000),
            span: Span::from_secs(3_600),
            high: Price::new(dec("0.0000201")).unwrap(),
            low: Price::new(dec("0.0000199")).unwrap(),
            close: Price::new(dec(["0.00002", "0.0000201", "0.0000199"][(hour % 3) as usize])).unwrap(),
            quote: 0.1 + 0.01 * (hour % 5) as f64,
            taker_buy_quote: Some(0.05 + 0.004 * (hour % 4) as f64),
            trades: Some(90),
        })
        .collect();
    let scores = |seed_before: usize| {
        let mut pair = Pair::default();
        let mut seen = Vec::new();
        for (place, (millis, side, fills)) in story().iter().enumerate() {
            if place == seed_before {
                bars.iter().for_each(|bar| pair.seed(bar));
            }
            for (price, quantity) in fills {
                let trade = Trade {
                    time: at(*millis),
                    taker: *side,
                    price: Price::new(dec(price)).unwrap(),
                    quantity: Quantity::new(dec(quantity)).unwrap(),
                    order: None,
                };
                pair.trade(&trade, 1.0, |features| {
                    seen.push(*features);
                    0.0
                });
            }
        }
        seen
    };
    let first = scores(0);
    for late in [1, 20, 100] {
        for (place, (one, other)) in first.iter().zip(scores(late)).enumerate().skip(late + 1) {
            // Where the seed came first, the first trade moves the means and the variance a little; all flows agree.
            for (name, near, one, other) in [
                ("z60", 2e-2, one.z60, other.z60),
                ("z2h", 2e-2, one.z2h, other.z2h),
                ("ret60", 1e-4, one.ret60, other.ret60),
                ("ret2h", 1e-4, one.ret2h, other.ret2h),
                ("rq15_24h", 1e-6, one.rq15_24h, other.rq15_24h),
                ("rr15_24h", 1e-6, one.rr15_24h, other.rr15_24h),
                ("rn15_2h", 1e-6, one.rn15_2h, other.rn15_2h),
                ("bf60", 1e-6, one.bf60, other.bf60),
                ("liq", 1e-6, one.liq, other.liq),
            ] {
                let apart = (one - other).abs() / one.abs().max(1.0);
                assert!(apart <= near, "seeded before order {late}: {name} of order {place} is {other}, not {one}");
            }
            assert_eq!(one.young, other.young);
        }
    }
}

#[test]
fn trades_that_come_out_of_order_never_turn_time_back() {
    let mut pair = Pair::default();
    let trade = |pair: &mut Pair, millis: i64| {
        let trade = Trade {
            time: at(millis),
            taker: Side::Buy,
            price: Price::new(dec("0.00002")).unwrap(),
            quantity: Quantity::new(dec("10")).unwrap(),
            order: None,
        };
        pair.trade(&trade, 1.0, |seen| Model::shipped().score(seen)).map(|scored| scored.score)
    };
    for millis in [0, 60_000, 30_000, 120_000, -3_600_000, 180_000] {
        assert!(trade(&mut pair, millis).is_none_or(f32::is_finite));
    }
    assert_eq!(pair.last(), at(120_000), "the newest order is still open, and none older moved time");
}
