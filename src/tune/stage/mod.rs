//! The market stage alone: every taker order of whole tapes, scored as the daemon scores it.
//!
//! An event is found when an order from three minutes before its onset to two minutes after reaches the threshold:
//! insiders buy early. Everything outside an hour before to two hours after any known pump of the coin, and after a day
//! of warm-up, is ordinary; there an alarm silences the next half hour, and what is counted is alarms per pair-day.
//! Some of those are pumps that nobody listed, so true rates are lower.

pub mod curve;
pub mod report;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::pumps::{NoTapes, Pump, Pumps, PumpsError};
use super::tape::{Quoted, Tape, TapeError};
use super::threads::{Progress, in_threads};
use crate::domain::{Price, Quantity, Side, Timestamp};
use crate::engine::pair::{Features, Pair, Trade};
use crate::engine::worth::DOLLARS_A_UNIT;

/// Gives an order's features a score; the higher, the more like a pump.
pub type Scorer<'a> = &'a (dyn Fn(&Features) -> f64 + Sync);

/// The first day of a tape is warm-up, in ms.
pub const WARM_UP_MS: i64 = 86_400_000;
/// An order counts for an event from this long before its onset, in ms, ...
pub const EARLY_MS: i64 = 180_000;
/// ... to this long after it, in ms.
pub const LATE_MS: i64 = 120_000;

/// One tape as the market stage saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The tape's name.
    pub file: String,
    /// The coin that was raised.
    pub coin: String,
    /// When the pump began, in ms since 1970.
    pub onset_ms: i64,
    /// Ordinary time, in days.
    pub days: f64,
    /// Taker orders in ordinary time, of both sides.
    pub orders: u64,
    /// Buys around the onset, oldest first.
    pub event: Vec<Mark>,
    /// Buys in ordinary time, oldest first.
    pub buys: Vec<Mark>,
    /// Sells in ordinary time, oldest first.
    pub sells: Vec<Mark>,
}

/// When an order stood, and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// In ms since 1970.
    pub ms: i64,
    /// The score.
    pub score: f32,
}

/// What no market stage can be evaluated for.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A list of pumps.
    #[error(transparent)]
    Pumps(#[from] PumpsError),
    /// A tape.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// No tape is of the split.
    #[error(transparent)]
    NoTapes(#[from] NoTapes),
}

/// Returns what one of a tape's quote is worth to the engine.
pub fn unit(quoted: Quoted) -> f64 {
    match quoted {
        Quoted::Bitcoin => 1.0,
        Quoted::Dollars => 1.0 / DOLLARS_A_UNIT,
    }
}

/// Walks a pair's memory over a tape as the daemon does; `visit` gets each taker order's time in ms, side and features.
pub fn walk(tape: &Tape, unit: f64, mut visit: impl FnMut(i64, Side, &Features)) {
    let mut pair = Pair::default();
    let mut features = Features::default();
    for trade in &tape.trades {
        let (Ok(price), Ok(quantity)) = (Price::new(trade.price), Quantity::new(trade.amount)) else { continue };
        let time = Timestamp::from_millis(trade.ms);
        let trade = Trade { time, taker: trade.taker, price, quantity, order: None };
        let done = pair.trade(&trade, unit, |seen| {
            features = *seen;
            0.0
        });
        if let Some(order) = done {
            visit(order.at().millis(), order.side, &features);
        }
    }
    // The last order is complete when nothing more came.
    let after = tape.trades.last().map_or(0, |trade| trade.ms + 60_000);
    let done = pair.settle(Timestamp::from_millis(after), unit, |seen| {
        features = *seen;
        0.0
    });
    if let Some(order) = done {
        visit(order.at().millis(), order.side, &features);
    }
}

/// What an order of a tape is to the evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Warm-up, or around a known pump without belonging to the event.
    Neither,
    /// Within the event's window.
    Event,
    /// Ordinary time.
    Ordinary,
}

/// Tells the parts of a tape apart.
#[derive(Clone, Debug)]
pub struct Parts {
    onset_ms: i64,
    warm_ms: i64,
    end_ms: i64,
    spans: Vec<(i64, i64)>,
}

impl Parts {
    /// Takes a tape, its pump and the spans around all known pumps of its coin.
    pub fn new(tape: &Tape, pump: &Pump, mut spans: Vec<(i64, i64)>) -> Parts {
        let first = tape.trades.first().map_or(0, |trade| trade.ms);
        let end_ms = tape.trades.last().map_or(0, |trade| trade.ms);
        spans.sort_unstable();
        Parts { onset_ms: pump.onset_ms, warm_ms: first + WARM_UP_MS, end_ms, spans }
    }

    /// Returns what an order at `ms` is.
    pub fn of(&self, ms: i64) -> Part {
        if (self.onset_ms - EARLY_MS..=self.onset_ms + LATE_MS).contains(&ms) {
            Part::Event
        } else if ms < self.warm_ms || self.spans.iter().any(|&(from, to)| (from..to).contains(&ms)) {
            Part::Neither
        } else {
            Part::Ordinary
        }
    }

    /// Returns the ordinary time, in days.
    pub fn days(&self) -> f64 {
        let (mut from, mut ordinary) = (self.warm_ms, 0);
        for &(start, end) in &self.spans {
            ordinary += (start.min(self.end_ms) - from).max(0);
            from = from.max(end);
        }
        ordinary += (self.end_ms - from).max(0);
        ordinary as f64 / 86_400_000.0
    }
}

/// The tapes of a split, with all that is known about pumps.
#[derive(Clone, Debug)]
pub struct Tapes {
    folder: PathBuf,
    pumps: Pumps,
    of_split: Vec<Pump>,
}

impl Tapes {
    /// Finds the tapes of a split under `data` (`events.csv`, `tapes/`, `lamorgia_labels/`); `limit` takes so many,
    /// spread evenly over the list.
    pub fn find(data: &Path, split: &str, limit: Option<usize>) -> Result<Tapes, StageError> {
        let pumps = Pumps::load(data)?;
        let of_split = pumps.of_split(split, limit)?.into_iter().cloned().collect();
        Ok(Tapes { folder: data.join("tapes"), pumps, of_split })
    }

    /// Returns the pumps whose tapes these are.
    pub fn pumps(&self) -> &[Pump] {
        &self.of_split
    }

    /// Returns where a pump's tape lies.
    pub fn path(&self, pump: &Pump) -> PathBuf {
        Tape::find(&self.folder, &pump.file)
    }

    /// Reads a pump's tape.
    pub fn open(&self, pump: &Pump) -> Result<(Tape, Parts), TapeError> {
        let tape = Tape::open(&self.path(pump), false)?;
        let parts = Parts::new(&tape, pump, self.pumps.spans(&pump.coin));
        Ok((tape, parts))
    }

    /// Returns the coins that are pumped on a tape of another split.
    pub fn coins_of(&self, split: &str) -> BTreeSet<String> {
        self.pumps.events().iter().filter(|pump| pump.split == split).map(|pump| pump.coin.clone()).collect()
    }
}

/// Scores whole tapes; an answer for each scorer, with the tapes in the list's order whatever the number of threads.
pub fn score_tapes(
    tapes: &Tapes,
    scorers: &[Scorer<'_>],
    threads: usize,
    progress: Progress<'_>,
) -> Result<Vec<Vec<Seen>>, StageError> {
    let by_tape = in_threads(tapes.pumps(), threads, progress, &|pump| {
        let (tape, parts) = tapes.open(pump)?;
        Ok::<_, StageError>(scorers_over(&tape, pump, &parts, scorers))
    })?;
    let mut by_scorer: Vec<Vec<Seen>> = scorers.iter().map(|_| Vec::new()).collect();
    for tape in by_tape {
        for (all, seen) in by_scorer.iter_mut().zip(tape) {
            all.push(seen);
        }
    }
    Ok(by_scorer)
}

fn scorers_over(tape: &Tape, pump: &Pump, parts: &Parts, scorers: &[Scorer<'_>]) -> Vec<Seen> {
    let empty = Seen {
        file: pump.file.clone(),
        coin: pump.coin.clone(),
        onset_ms: pump.onset_ms,
        days: parts.days(),
        ..Seen::default()
    };
    let mut all = vec![empty; scorers.len()];
    walk(tape, unit(pump.quoted), |ms, side, features| {
        let part = parts.of(ms);
        for (seen, scorer) in all.iter_mut().zip(scorers) {
            seen.take(ms, side, part, || scorer(features) as f32);
        }
    });
    all
}

impl Seen {
    /// Takes a taker order; orders come oldest first.
    pub fn take(&mut self, ms: i64, side: Side, part: Part, score: impl FnOnce() -> f32) {
        self.orders += u64::from(part == Part::Ordinary);
        let marks = match (part, side) {
            (Part::Event, Side::Buy) => &mut self.event,
            (Part::Ordinary, Side::Buy) => &mut self.buys,
            (Part::Ordinary, Side::Sell) => &mut self.sells,
            (Part::Event, Side::Sell) | (Part::Neither, Side::Buy | Side::Sell) => return,
        };
        marks.push(Mark { ms, score: score() });
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;

    #[test]
    fn ordinary_time_is_what_is_left_of_warm_up_and_pumps_that_overlap() {
        let rows = "ts_ms,side,price,amount\n1561300000000,b,1,1\n1561904800000,b,1,1\n";
        let tape = Tape::read(rows.as_bytes(), "t", false).unwrap();
        let start = 1_561_300_000_000;
        let hour = 3_600_000;
        let pump = Pump {
            file: "t".into(),
            coin: "T".into(),
            announced_ms: start,
            onset_ms: start + 48 * hour,
            quoted: Quoted::Bitcoin,
            split: "train".into(),
        };
        let spans = vec![(start + 47 * hour, start + 50 * hour), (start + 46 * hour, start + 49 * hour)];
        let parts = Parts::new(&tape, &pump, spans);
        // Seven days of tape, less one of warm-up and four hours of pumps.
        assert!((parts.days() - (6.0 - 4.0 / 24.0)).abs() < 1e-9, "{}", parts.days());
        assert_eq!(parts.of(start + 23 * hour), Part::Neither);
        assert_eq!(parts.of(start + 25 * hour), Part::Ordinary);
        assert_eq!(parts.of(start + 47 * hour), Part::Neither);
        assert_eq!(parts.of(start + 48 * hour - 180_000), Part::Event);
        assert_eq!(parts.of(start + 48 * hour + 120_001), Part::Neither);
    }

    #[test]
    fn a_tape_of_dollars_is_seen_as_the_same_tape_of_bitcoin_at_what_the_engine_takes_one_for() {
        let (mut rows, mut dearer) =
            (String::from("ts_ms,side,price,amount\n"), String::from("ts_ms,side,price,amount\n"));
        for nth in 0..3_000_i64 {
            let (ms, price) = (1_561_300_000_000 + nth * 20_000, 1_000 + nth * 7_919 % 13 + (nth - 2_900).max(0));
            rows += &format!("{ms},b,0.0000{price},{}\n", 500 + nth % 97);
            dearer += &format!("{ms},b,{},{}\n", Decimal::new(price * 30_000, 8).normalize(), 500 + nth % 97);
        }
        let seen = |rows: &str, quoted: Quoted| {
            let (tape, mut all) = (Tape::read(rows.as_bytes(), "t", false).unwrap(), Vec::new());
            walk(&tape, unit(quoted), |_, _, features| all.push(features.values()));
            all
        };
        let (bitcoin, dollars) = (seen(&rows, Quoted::Bitcoin), seen(&dearer, Quoted::Dollars));
        assert_eq!((bitcoin.len(), dollars.len()), (3_000, 3_000));
        for (one, other) in bitcoin.iter().flatten().zip(dollars.iter().flatten()) {
            assert!((one - other).abs() <= 1e-3 * one.abs().max(1.0), "{one} {other}");
        }
    }
}
