//! The rows a model is fitted on: every taker order of the tapes that is ordinary or part of an event.

use std::path::Path;

use super::TrainError;
use super::bins::Bins;
use super::boost::Table;
use crate::domain::Side;
use crate::engine::pair::Features;
use crate::tune::dice::Dice;
use crate::tune::pumps::Pump;
use crate::tune::stage::{LATE_MS, Part, Seen, Tapes, unit, walk};
use crate::tune::threads::{Progress, in_threads};

/// All rows of some tapes, in bins.
pub struct Rows {
    /// The tapes, in the list's order.
    pub tapes: Vec<TapeRows>,
    /// How features were cut.
    pub bins: Bins,
    /// BLAKE3 over the names and bytes of the tapes' files, in hexadecimal.
    pub hash: String,
}

/// The rows of one tape.
pub struct TapeRows {
    /// The tape without marks: name, coin, onset, days.
    pub seen: Seen,
    /// A column of bins for each feature of [`Features::NAMES`].
    pub columns: Vec<Vec<u8>>,
    /// What each row is.
    pub rows: Vec<Row>,
}

/// What a row is, besides its features.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// When, in ms since 1970.
    pub ms: i64,
    /// The taker's side.
    pub side: Side,
    /// Ordinary, or of the event's window.
    pub part: Part,
    /// Whether nothing at all happens at this order.
    pub dull: bool,
}

/// One dull row of so many is learnt from, and counts so often.
const DULL: u64 = 24;

/// Reads all tapes; the rows are the same whatever the number of threads.
pub fn read(tapes: &Tapes, threads: usize, progress: Progress<'_>) -> Result<Rows, TrainError> {
    let read = in_threads(tapes.pumps(), threads, progress, &|pump| read_tape(tapes, pump))?;
    let mut hash = blake3::Hasher::new();
    for (pump, (_, _, bytes)) in tapes.pumps().iter().zip(&read) {
        hash.update(pump.file.as_bytes());
        hash.update(b"\0");
        hash.update(bytes.as_bytes());
    }
    // Edges come of every few rows: a quantile needs no more.
    let features = Features::NAMES.len();
    let mut sample: Vec<Vec<f32>> = vec![Vec::new(); features];
    for (_, values, _) in &read {
        for row in values.chunks_exact(features).step_by(13) {
            row.iter().zip(&mut sample).for_each(|(&value, column)| column.push(value));
        }
    }
    let bins = Bins::cut(&sample);
    let tapes = read.into_iter().map(|(mut tape, values, _)| {
        tape.columns = (0..features)
            .map(|feature| values.chunks_exact(features).map(|row| bins.of(feature, row[feature])).collect())
            .collect();
        tape
    });
    Ok(Rows { tapes: tapes.collect(), hash: hash.finalize().to_hex().to_string(), bins })
}

fn read_tape(tapes: &Tapes, pump: &Pump) -> Result<(TapeRows, Vec<f32>, blake3::Hash), TrainError> {
    let path = tapes.path(pump);
    let bytes = hash_of(&path)?;
    let (tape, parts) = tapes.open(pump)?;
    let seen = Seen {
        file: pump.file.clone(),
        coin: pump.coin.clone(),
        onset_ms: pump.onset_ms,
        days: parts.days(),
        ..Seen::default()
    };
    let mut rows = TapeRows { seen, columns: Vec::new(), rows: Vec::new() };
    let mut values = Vec::new();
    walk(&tape, unit(pump.quoted), |ms, side, features| {
        let part = parts.of(ms);
        if part != Part::Neither {
            let dull = features.z60 < 4.0 && features.rq60_24h < 4.5;
            rows.rows.push(Row { ms, side, part, dull });
            values.extend(features.values().map(|value| value as f32));
        }
    });
    Ok((rows, values, bytes))
}

fn hash_of(path: &Path) -> Result<blake3::Hash, TrainError> {
    let unreadable = |why| TrainError::Unreadable { path: path.display().to_string(), why };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(unreadable)?;
    Ok(hasher.finalize())
}

/// How rows count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// What all pump rows of an event count together.
    pub event: f64,
    /// What an ordinary row counts is divided by the number of rows in its tape's half hour to this power: an alarm
    /// silences half an hour, so a hundred loud orders in it are hardly worse than one.
    pub crowd: f64,
    /// Seconds after which a pump row counts half: an alarm is worth most at the start.
    pub soon_s: f64,
}

/// Makes the table to learn from: events' buys after the onset as pumps, ordinary orders of both sides against them.
pub fn table(rows: &Rows, tapes: &[usize], features: &[usize], weights: Weights, seed: u64) -> Table {
    let mut table = Table { columns: vec![Vec::new(); features.len()], ..Table::default() };
    for &place in tapes {
        let tape = &rows.tapes[place];
        let mut dice = Dice::named(seed, &tape.seen.file);
        let onset = tape.seen.onset_ms;
        let pump_weight = |row: &Row| {
            let after = row.ms - onset;
            let counts = row.part == Part::Event && row.side == Side::Buy && (0..=LATE_MS).contains(&after);
            if counts { 0.5_f64.powf(after as f64 / 1e3 / weights.soon_s) } else { 0.0 }
        };
        let all_pump: f64 = tape.rows.iter().map(pump_weight).sum();
        let crowds = crowds(&tape.rows);
        for (nth, row) in tape.rows.iter().enumerate() {
            let (pump, weight) = match row.part {
                Part::Event => (true, weights.event * pump_weight(row) / all_pump.max(f64::MIN_POSITIVE)),
                Part::Ordinary => {
                    let once = f64::from(crowds[nth]).powf(-weights.crowd);
                    match row.dull {
                        true if !dice.bits().is_multiple_of(DULL) => (false, 0.0),
                        true => (false, once * DULL as f64),
                        false => (false, once),
                    }
                }
                Part::Neither => (false, 0.0),
            };
            if weight > 0.0 {
                table.pump.push(pump);
                table.weight.push(weight as f32);
                for (column, &feature) in table.columns.iter_mut().zip(features) {
                    column.push(tape.columns[feature][nth]);
                }
            }
        }
    }
    table
}

/// Returns for each row how many of its tape's rows that are not dull share its half hour, at least one.
fn crowds(rows: &[Row]) -> Vec<u32> {
    let hour = |row: &Row| row.ms / 1_800_000;
    let mut crowds = Vec::with_capacity(rows.len());
    for group in rows.chunk_by(|a, b| hour(a) == hour(b)) {
        let crowd = group.iter().filter(|row| !row.dull).count().max(1) as u32;
        crowds.extend(group.iter().map(|_| crowd));
    }
    crowds
}

/// Scores the rows of a tape: what the market stage would have seen.
pub fn seen(tape: &TapeRows, score: impl Fn(usize) -> f64) -> Seen {
    let mut seen = tape.seen.clone();
    for (nth, row) in tape.rows.iter().enumerate() {
        seen.take(row.ms, row.side, row.part, || score(nth) as f32);
    }
    seen
}
