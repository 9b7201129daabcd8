//! The market stage on real tapes: what the shipped model finds, how often it is wrong, and that it cannot see ahead.
//!
//! Runs where the tapes are: `../shared/data`, or `$FILLGUARD_SHARED/data`. Elsewhere it says why it did not.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: its steps may fail, and its table is read by people"
)]

use std::path::PathBuf;

use fillguard::domain::Side;
use fillguard::engine::model::Model;
use fillguard::engine::pair::Features;
use fillguard::tune::stage::report::Summary;
use fillguard::tune::stage::{Tapes, score_tapes, walk};

fn data() -> Option<PathBuf> {
    let shared = std::env::var_os("FILLGUARD_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let data = shared.join("data");
    if data.join("events.csv").is_file() {
        return Some(data);
    }
    println!("skipped: no tapes under {}; set FILLGUARD_SHARED to the folder that holds data/", data.display());
    None
}

#[test]
fn the_shipped_model_finds_pumps_of_tapes_it_was_not_fitted_on() {
    let Some(data) = data() else { return };
    // A third of the tapes: enough to notice a broken feature, short enough for a build without optimisation.
    let tapes = Tapes::find(&data, "valid", Some(15)).unwrap();
    let model = Model::shipped();
    let score = |features: &Features| model.score(features);
    let seen = score_tapes(&tapes, &[&score], 2, &|_, _| {}).unwrap();
    let summary = Summary::of("valid", &["market model"], &seen, &tapes.coins_of("train"));
    println!("{summary}");
    let points = &summary.rows[0].points;
    assert!(summary.tapes == 15 && summary.pair_days > 200.0, "{} days", summary.pair_days);
    // Of all 45 tapes the model finds .93 and .76; one of 15 is .07.
    for (point, floor) in [(&points[1], 0.80), (&points[2], 0.55)] {
        assert!(point.recall.value >= floor, "{} at {}", point.recall.value, point.allowed);
        assert!(point.false_alarms.value <= point.allowed, "{point:?}");
    }
}

#[test]
fn no_order_is_judged_by_what_came_after_it() {
    let Some(data) = data() else { return };
    let tapes = Tapes::find(&data, "valid", Some(1)).unwrap();
    let pump = &tapes.pumps()[0];
    let (whole, _) = tapes.open(pump).unwrap();
    let model = Model::shipped();
    type Seen = (i64, Side, [u64; Features::NAMES.len()], u64);
    let rows = |to_ms: i64| -> Vec<Seen> {
        let (mut tape, mut rows) = (whole.clone(), Vec::new());
        tape.cut(0, to_ms);
        walk(&tape, 1.0, |ms, side, features| {
            let bits = features.values().map(f64::to_bits);
            rows.push((ms, side, bits, model.score(features).to_bits()));
        });
        rows
    };
    let all = rows(i64::MAX);
    // Before, within and after the pump.
    for cut in [pump.onset_ms - 3_600_000, pump.onset_ms + 7_000, pump.onset_ms + 3_600_000] {
        let before = rows(cut);
        assert!(before.len() > 100 && before.len() < all.len());
        assert_eq!(before, all[..before.len()], "cut at {cut}");
    }
}
