//! The rule over bars, for markets whose trades are not seen: tapes cut into minutes, as an exchange's candles tell them.

use rust_decimal::Decimal;

use super::TrainError;
use crate::domain::{Price, Side, Span, Timestamp};
use crate::engine::model::bars::{BarFeatures, Bars};
use crate::engine::model::file::{BarEvidenceFile, BarsFile};
use crate::engine::pair::{Bar, Pair, float};
use crate::tune::pumps::Pump;
use crate::tune::stage::{Parts, Tapes, WARM_UP_MS, unit};
use crate::tune::tape::{Tape, Trade};
use crate::tune::threads::{Progress, in_threads};

/// A minute, in ms.
const MINUTE_MS: i64 = 60_000;
/// A bar that begins up to this long after the onset belongs to the event, in ms.
const LATE_MS: i64 = 120_000;
/// An alarm silences the pair for this long, in ms.
const COOL_DOWN_MS: i64 = 1_800_000;
/// False alarms per pair-day that a rule over bars may have.
const BUDGET: f64 = 0.02;
/// Pseudo-shares of pump and ordinary orders in a row of the evidence.
const PSEUDO: (f64, f64) = (0.002, 2e-5);
/// A bar tells less than an order: nobody knows which of its trades was whose.
const MOST_NATS: f64 = 5.0;

/// One tape in minutes.
pub struct TapeBars {
    /// When the pump began, in ms since 1970.
    pub onset_ms: i64,
    /// Ordinary time, in days.
    pub days: f64,
    /// Bars in ordinary time and around the onset, oldest first.
    pub bars: Vec<Minute>,
}

/// A minute as it looked at its end.
#[derive(Clone, Copy, Debug)]
pub struct Minute {
    /// When it began, in ms since 1970.
    pub ms: i64,
    /// Whether it belongs to the event; else it is ordinary.
    pub event: bool,
    /// What it showed toward buying.
    pub buy: BarFeatures,
    /// Trades that takers bought in it.
    pub bought: u32,
}

/// What a rule over bars gives.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BarsMeasured {
    /// Events.
    pub events: usize,
    /// Share found at the close of the bar in which they began or of one that began within two minutes.
    pub recall: f64,
    /// Share found at the close of the very bar in which they began.
    pub first_bar: f64,
    /// Ordinary time, in pair-days.
    pub pair_days: f64,
    /// False alarms per pair-day.
    pub false_alarms: f64,
}

/// Cuts tapes into minutes.
pub fn read(tapes: &Tapes, threads: usize, progress: Progress<'_>) -> Result<Vec<TapeBars>, TrainError> {
    in_threads(tapes.pumps(), threads, progress, &|pump| {
        let (tape, parts) = tapes.open(pump)?;
        Ok(TapeBars { onset_ms: pump.onset_ms, days: parts.days(), bars: minutes(&tape, pump, &parts) })
    })
}

fn minutes(tape: &Tape, pump: &Pump, parts: &Parts) -> Vec<Minute> {
    let (onset, unit) = (pump.onset_ms, unit(pump.quoted));
    let mut pair = Pair::default();
    let mut minutes = Vec::new();
    let Some(first) = tape.trades.first() else { return minutes };
    let (mut start, mut at, mut close) = (first.ms / MINUTE_MS * MINUTE_MS, 0, first.price);
    let warm = first.ms + WARM_UP_MS;
    while at < tape.trades.len() {
        let end = start + MINUTE_MS;
        let upto = at + tape.trades[at..].iter().take_while(|trade| trade.ms < end).count();
        let Some(bar) = bar(&tape.trades[at..upto], start, close) else { return minutes };
        close = bar.close.get();
        let bought = tape.trades[at..upto].iter().filter(|trade| trade.taker == Side::Buy).count() as u32;
        let event = end > onset && start <= onset + LATE_MS;
        let ordinary = parts.of(start) == crate::tune::stage::Part::Ordinary;
        if bought > 0 && start >= warm && (event || ordinary) {
            let buy = pair.bar_features(&bar, Side::Buy, unit);
            minutes.push(Minute { ms: start, event, buy, bought });
        }
        pair.seed(&bar);
        (start, at) = (end, upto);
    }
    minutes
}

fn bar(trades: &[Trade], start: i64, before: Decimal) -> Option<Bar> {
    let prices = || trades.iter().map(|trade| trade.price);
    let price = |price: Option<Decimal>| Price::new(price.unwrap_or(before)).ok();
    let quote = |trade: &Trade| float(trade.price) * float(trade.amount);
    Some(Bar {
        start: Timestamp::from_millis(start),
        span: Span::from_millis(MINUTE_MS),
        high: price(prices().max())?,
        low: price(prices().min())?,
        close: price(trades.last().map(|trade| trade.price))?,
        quote: trades.iter().map(quote).sum(),
        taker_buy_quote: Some(trades.iter().filter(|trade| trade.taker == Side::Buy).map(quote).sum()),
        trades: Some(trades.len() as u64),
    })
}

/// Measures a rule.
pub fn measure(tapes: &[TapeBars], rule: &Bars) -> BarsMeasured {
    let (mut found, mut first, mut alarms, mut days) = (0_usize, 0_usize, 0_u32, 0.0);
    for tape in tapes {
        days += tape.days;
        let hit = |minute: &&Minute| rule.nats(&minute.buy).is_some();
        let of_event = || tape.bars.iter().filter(|minute| minute.event);
        found += usize::from(of_event().any(|minute| hit(&minute)));
        first += usize::from(of_event().any(|minute| minute.ms <= tape.onset_ms && hit(&minute)));
        let mut silent_until = i64::MIN;
        for minute in tape.bars.iter().filter(|minute| !minute.event).filter(hit) {
            if minute.ms >= silent_until {
                alarms += 1;
                silent_until = minute.ms + COOL_DOWN_MS;
            }
        }
    }
    let events = tapes.len();
    let share = |count: usize| count as f64 / events.max(1) as f64;
    let false_alarms = f64::from(alarms) / f64::max(days, f64::MIN_POSITIVE);
    BarsMeasured { events, recall: share(found), first_bar: share(first), pair_days: days, false_alarms }
}

/// Chooses the floors that find most events within the budget, and works out what a bar above them is worth.
pub fn choose(tapes: &[TapeBars]) -> Result<BarsFile, TrainError> {
    let mut best: Option<(BarsMeasured, BarsFile)> = None;
    for moved in [0.03_f64, 0.05, 0.07, 0.1] {
        for least_times in [4.0, 20.0, 50.0, 100.0] {
            for least_quote in [0.25, 0.5, 1.0, 2.0] {
                for z600 in [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0] {
                    let row = BarEvidenceFile { z600, nats: 0.0, ordinary: 0, pump: 0 };
                    let least_moved = (moved.ln_1p() * 1e4).round() / 1e4;
                    let file = BarsFile { least_quote, least_times, least_moved, evidence: vec![row] };
                    let measured = measure(tapes, &Bars::check(&file)?);
                    let better = best.as_ref().is_none_or(|(best, _)| {
                        (measured.recall, -measured.false_alarms) > (best.recall, -best.false_alarms)
                    });
                    if measured.false_alarms <= BUDGET && better {
                        best = Some((measured, file));
                    }
                }
            }
        }
    }
    // Where nothing keeps the budget, bars say nothing.
    let Some((_, mut file)) = best else {
        return Ok(BarsFile { least_quote: 1.0, least_times: 20.0, least_moved: 0.05, evidence: Vec::new() });
    };
    let least = file.evidence[0].z600;
    file.evidence = evidence(tapes, &file, &[least, least * 1.5, least * 2.0, least * 3.0]);
    Ok(file)
}

/// Counts orders in bars above the floors: what is judged is an order, and orders crowd where it is loud.
fn evidence(tapes: &[TapeBars], floors: &BarsFile, rows: &[f64]) -> Vec<BarEvidenceFile> {
    let bought = |event: bool, from: f64, to: f64| {
        let minutes = tapes.iter().flat_map(|tape| &tape.bars).filter(move |minute| minute.event == event);
        let within = minutes.filter(move |minute| {
            let bar = &minute.buy;
            let loud = bar.money >= floors.least_quote && bar.times >= floors.least_times;
            from == f64::NEG_INFINITY || loud && bar.moved >= floors.least_moved && (from..to).contains(&bar.z600)
        });
        within.map(|minute| u64::from(minute.bought)).sum::<u64>()
    };
    let all = |event: bool| bought(event, f64::NEG_INFINITY, f64::INFINITY).max(1) as f64;
    let (all_pump, all_ordinary) = (all(true), all(false));
    let mut table: Vec<BarEvidenceFile> = Vec::new();
    for (nth, &from) in rows.iter().enumerate() {
        let to = rows.get(nth + 1).copied().unwrap_or(f64::INFINITY);
        let (pump, ordinary) = (bought(true, from, to), bought(false, from, to));
        let (pump_share, ordinary_share) =
            (pump as f64 / all_pump + PSEUDO.0, ordinary as f64 / all_ordinary + PSEUDO.1);
        let before = table.last().map_or(0.0, |row| row.nats);
        let nats = ((pump_share / ordinary_share).ln().clamp(before, MOST_NATS) * 1e3).round() / 1e3;
        table.push(BarEvidenceFile { z600: from, nats, ordinary, pump });
    }
    table
}
