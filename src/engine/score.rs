//! How pump-like the market is at one taker order: a logistic score and what it is worth as evidence.

use super::pair::Features;

/// What a score is worth as evidence: ln(share of pump orders in a bin / share of ordinary orders in it), at the
/// middle of each bin.
///
/// Measured over 1,075,354 ordinary taker buys and 19,993 taker buys of the first 120 s of 84 announced pumps before
/// 2020, with pseudo-counts .002 and 2e-5; ordinary sells lie alike. Below the first row it is the first, above the
/// last the last.
const EVIDENCE: [(f64, f64); 14] = [
    (-11.0, -3.0),
    (-7.75, -2.4),
    (-5.25, -1.65),
    (-4.25, -1.1),
    (-3.25, -0.2),
    (-2.25, 0.95),
    (-1.25, 1.7),
    (-0.25, 2.2),
    (0.75, 3.25),
    (1.75, 4.6),
    (2.75, 5.4),
    (3.75, 6.4),
    (4.5, 6.6),
    (5.25, 6.9),
];
/// What a displacement from the one-minute mean, in the pair's own deviations, is worth by itself: the score with as
/// many false alarms per pair-day.
///
/// The model was fitted on crowds, whose buying grows before the price does; its terms cancel where one buyer lifts the
/// price of a quiet pair by half at once. Displacement alone does not.
const DISPLACED: [(f64, f64); 5] = [(7.0, -2.5), (15.0, 1.0), (22.0, 2.5), (32.0, 4.0), (50.0, 5.25)];
/// A pair that was followed for less than a day is not trusted with more.
const YOUNG_CAP: f64 = 2.0;

/// Returns the market score of an order: a logistic model on natural-log features.
///
/// Fitted on orders of thin pairs around announced pumps before 2020; the signs of single terms mean nothing, because
/// the features move together.
pub fn market_score(f: &Features) -> f64 {
    let up = |x: f64| x.max(0.0);
    let log = |z: f64| up(z).ln_1p();
    let (z60, z600, z2h) = (log(f.z60), log(f.z600), log(f.z2h));
    let score = -14.590 + 1.013 * z60 + 1.335 * z600 - 2.364 * z2h - 0.979 * (100.0 * up(f.ret60)).ln_1p()
        + 0.803 * (100.0 * up(f.ret2h)).ln_1p()
        + 2.009 * up(f.rq15_24h)
        - 0.751 * up(f.rq60_24h)
        + 0.782 * up(f.rr15_24h)
        + 0.847 * up(f.rn15_2h)
        - 4.028 * f.bf15
        + 0.215 * f.liq
        + 0.336 * z60 * up(f.rq60_24h) / 5.0
        - 0.693 * z60 * up(f.rn15_2h) / 5.0
        - if f.bf60 < 0.5 { 0.154 * z2h } else { 0.0 };
    // A missing or absurd input is no evidence.
    let score = if score.is_finite() { score } else { EVIDENCE[0].0 };
    let displaced = if f.z60 < DISPLACED[0].0 { EVIDENCE[0].0 } else { between(&DISPLACED, f.z60) };
    let score = score.max(displaced);
    if f.young { score.min(score_worth(YOUNG_CAP)) } else { score }
}

/// Returns the weight of evidence of a score, in nats.
pub fn evidence(score: f64) -> f64 {
    between(&EVIDENCE, score)
}

/// Returns the value at `x` of the line through rising points; before the first it is the first, after the last the last.
fn between(points: &[(f64, f64)], x: f64) -> f64 {
    for pair in points.windows(2) {
        let ((low, at_low), (high, at_high)) = (pair[0], pair[1]);
        if x <= high {
            return at_low + (at_high - at_low) * ((x - low) / (high - low)).max(0.0);
        }
    }
    points.last().map_or(0.0, |last| last.1)
}

/// Returns the lowest score that is worth `nats`.
fn score_worth(nats: f64) -> f64 {
    for pair in EVIDENCE.windows(2) {
        let ((low, low_nats), (high, high_nats)) = (pair[0], pair[1]);
        if nats <= high_nats && high_nats > low_nats {
            return low + (high - low) * (nats - low_nats).max(0.0) / (high_nats - low_nats);
        }
    }
    EVIDENCE[EVIDENCE.len() - 1].0
}
