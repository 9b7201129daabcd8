//! How many public trades one core takes: read, judged, and both, in one run, so that the ratios hold on any machine.
//!
//! `cargo bench --bench throughput`. 200 pairs, 400,000 trades, prices that walk; each figure is the median of five rounds.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark: its steps may fail and its figures are printed"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use fillguard::arrival::{Arrival, Body, Source};
use fillguard::codec::{self, Codecs};
use fillguard::domain::{Event, Side, Timestamp, Venue};
use fillguard::engine::{Engine, Settings};
use fillguard::networks::Networks;
use fillguard::pipeline::{self, Pipeline};
use fillguard::tune::dice::Dice;
use fillguard::tune::frames;
use fillguard::tune::tape::Trade;
use rust_decimal::Decimal;

const PAIRS: usize = 200;
const TRADES: u64 = 400_000;
const ROUNDS: usize = 5;
const BEGIN_MS: i64 = 1_772_442_000_000;
/// The bar of `docs/detection.md`, T12.
const BAR: f64 = 500_000.0;

fn main() {
    let arrivals = arrivals();
    let read = || {
        let mut codecs = Codecs::new(&codec::Settings::default());
        let mut events = Vec::with_capacity(arrivals.len());
        arrivals.iter().for_each(|arrival| codecs.decode(arrival, &mut events));
        events
    };
    let events: Vec<Event> = read();
    assert_eq!(events.len(), arrivals.len(), "a frame was not read");
    let judge = || {
        let mut engine = Engine::new(Settings::default(), Networks::default());
        let mut found = Vec::new();
        for event in &events {
            engine.judge(event, &mut found);
        }
        found.len()
    };
    let step = || {
        let mut pipeline = Pipeline::new(pipeline::Settings::default());
        arrivals.iter().map(|arrival| pipeline.step(arrival).len()).sum::<usize>()
    };
    let reading = median(|| _ = black_box(read()));
    let judging = median(|| _ = black_box(judge()));
    let both = median(|| _ = black_box(step()));
    let rate = |seconds: f64| TRADES as f64 / seconds;
    println!("{PAIRS} pairs, {TRADES} trades, one core, median of {ROUNDS}");
    for (what, seconds) in [("read", reading), ("judged", judging), ("both, a pipeline's step", both)] {
        println!("{what:24} {:9.0} trades a second, {:5.2} of the bar of {BAR:.0}", rate(seconds), rate(seconds) / BAR);
    }
    println!("judging takes {:.2} of a step, reading {:.2}", judging / both, reading / both);
}

/// Returns the median time of a round, in seconds.
fn median(mut round: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            round();
            begin.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

/// Returns frames as Binance sends them, a trade every 20 ms.
fn arrivals() -> Vec<Arrival> {
    let mut dice = Dice::new(7);
    let mut prices = [20_000_i64; PAIRS];
    let frames = (1..=TRADES).map(|n| {
        let (pair, ms) = (dice.below(PAIRS), BEGIN_MS + 20 * n as i64);
        prices[pair] = (prices[pair] + dice.whole(-10, 10)).max(1_000);
        let trade = Trade {
            ms,
            taker: if dice.chance(0.5) { Side::Buy } else { Side::Sell },
            price: Decimal::new(prices[pair], 8),
            amount: Decimal::from(dice.whole(1, 5_000)),
        };
        let text = frames::trade(&format!("c{pair}btc@trade"), &format!("C{pair}BTC"), n, &trade);
        Arrival {
            n: n + 1,
            at: Timestamp::from_millis(ms + 40),
            from: Source::Market(Venue::Binance),
            body: Body::from_text(text),
        }
    });
    frames.collect()
}
