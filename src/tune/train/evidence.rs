//! What a score is worth: counted on orders whose coin the score had not seen.

use super::data::Rows;
use crate::domain::Side;
use crate::engine::model::file::{DisplacedFile, EvidenceFile};
use crate::tune::stage::curve::Curve;
use crate::tune::stage::{Part, Seen};

/// Shares of ordinary orders below the rows of the table.
const SHARES: [f64; 14] = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999];
/// Shares of pump and ordinary orders that are taken for seen in every row: the rarest row must not say infinity.
const PSEUDO: (f64, f64) = (0.002, 2e-5);
/// What one term may weigh, in nats.
const LEAST_NATS: f64 = -3.0;
const MOST_NATS: f64 = 7.0;
/// Displacements, in deviations, that are worth a score by themselves.
const DISPLACED: [f32; 6] = [7.0, 11.0, 15.0, 22.0, 32.0, 50.0];

/// Counts buys by score. Every event counts alike, however many took part: whose key was stolen is in one of them.
pub fn evidence(seen: &[Seen]) -> Vec<EvidenceFile> {
    let mut ordinary: Vec<f32> = seen.iter().flat_map(|seen| seen.buys.iter().map(|mark| mark.score)).collect();
    ordinary.sort_by(f32::total_cmp);
    let mut pump: Vec<(f32, f64)> = Vec::new();
    for seen in seen {
        let within = || seen.event.iter().filter(|mark| mark.ms >= seen.onset_ms);
        let weight = 1.0 / within().count().max(1) as f64;
        pump.extend(within().map(|mark| (mark.score, weight)));
    }
    pump.sort_by(|a, b| a.0.total_cmp(&b.0));
    let events: f64 = pump.iter().map(|(_, weight)| weight).sum();
    let mut edges: Vec<f32> =
        SHARES.iter().filter_map(|share| ordinary.get((share * ordinary.len() as f64) as usize).copied()).collect();
    edges.dedup();
    let mut table: Vec<EvidenceFile> = Vec::new();
    for (nth, &from) in edges.iter().enumerate() {
        let low = if nth == 0 { f32::NEG_INFINITY } else { from };
        let high = edges.get(nth + 1).copied().unwrap_or(f32::INFINITY);
        let of_ordinary =
            ordinary.partition_point(|&score| score < low)..ordinary.partition_point(|&score| score < high);
        let of_pump = pump.partition_point(|row| row.0 < low)..pump.partition_point(|row| row.0 < high);
        // The row stands at its middle ordinary order: what lies beyond the last one is worth no more.
        let Some(middle) = ordinary.get((of_ordinary.start + of_ordinary.end) / 2) else { continue };
        let weight: f64 = pump[of_pump.clone()].iter().map(|(_, weight)| weight).sum();
        let pump_share = weight / events.max(f64::MIN_POSITIVE) + PSEUDO.0;
        let ordinary_share = of_ordinary.len() as f64 / ordinary.len().max(1) as f64 + PSEUDO.1;
        let before = table.last().map_or(LEAST_NATS, |row| row.nats);
        let nats = rounded((pump_share / ordinary_share).ln().clamp(LEAST_NATS, MOST_NATS)).max(before);
        let score = rounded(f64::from(*middle));
        if table.last().is_none_or(|row| score > row.score) {
            table.push(EvidenceFile { score, nats, ordinary: of_ordinary.len() as u64, pump: of_pump.len() as u64 });
        }
    }
    table
}

/// Finds for displacements the scores with as many false alarms per pair-day.
pub fn displaced(rows: &Rows, seen: &[Seen]) -> Vec<DisplacedFile> {
    let by_score = Curve::of(&seen.iter().collect::<Vec<_>>());
    let place = crate::engine::pair::Features::NAMES.iter().position(|name| *name == "z60").unwrap_or(0);
    let mut table: Vec<DisplacedFile> = Vec::new();
    for z60 in DISPLACED {
        let bin = rows.bins.of(place, z60);
        let (mut alarms, mut days) = (0, 0.0);
        for tape in &rows.tapes {
            days += tape.seen.days;
            let mut silent_until = i64::MIN;
            for (nth, row) in tape.rows.iter().enumerate() {
                let loud = row.part == Part::Ordinary && row.side == Side::Buy && tape.columns[place][nth] >= bin;
                if loud && row.ms >= silent_until {
                    alarms += 1;
                    silent_until = row.ms + 1_800_000;
                }
            }
        }
        let score = rounded(by_score.at_most(f64::from(alarms) / f64::max(days, f64::MIN_POSITIVE)).threshold);
        if table.last().is_none_or(|row| score >= row.score) {
            table.push(DisplacedFile { z60: f64::from(z60), score });
        }
    }
    table
}

fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
