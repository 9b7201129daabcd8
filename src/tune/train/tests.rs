use super::bins::Bins;
use super::data::Row;
use super::*;
use crate::engine::model::file::BarsFile;
use crate::tune::dice::Dice;
use crate::tune::stage::Part;

const SMALL: Candidate = Candidate { name: "small", trees: &[6, 30], leaves: 6, rising: FAST, crowd: 1.0 };

/// Eight tapes of eight coins; what is displaced and bought is likely a pump, but a little of everything happens.
fn made_up() -> Rows {
    let names = Features::NAMES;
    let place = |name: &str| names.iter().position(|known| *known == name).unwrap();
    let mut all: Vec<Vec<Vec<f32>>> = Vec::new();
    let mut tapes = Vec::new();
    for nth in 0..8_u64 {
        let mut dice = Dice::named(nth, "rows");
        let mut values = vec![Vec::new(); names.len()];
        let mut rows = Vec::new();
        for k in 0..3_000_i64 {
            let part = if (1_500..1_560).contains(&k) { Part::Event } else { Part::Ordinary };
            let more = if part == Part::Event { 4.0 } else { 0.0 };
            for (feature, column) in values.iter_mut().enumerate() {
                let toward = if feature == place("z60") || feature == place("rq15_24h") { more } else { 0.0 };
                column.push((dice.bell() * 2.0 + toward) as f32);
            }
            let ms = if part == Part::Event { 1_000_000 + k } else { k * 600_000 };
            let dull = part == Part::Ordinary && values[place("z60")][rows.len()] < 0.0;
            rows.push(Row { ms, side: Side::Buy, part, dull });
        }
        all.push(values);
        let seen = Seen {
            file: format!("C{nth}"),
            coin: format!("C{nth}"),
            onset_ms: 1_000_000,
            days: 20.0,
            ..Seen::default()
        };
        tapes.push(TapeRows { seen, columns: Vec::new(), rows });
    }
    let joined: Vec<Vec<f32>> =
        (0..names.len()).map(|feature| all.iter().flat_map(|values| values[feature].clone()).collect()).collect();
    let bins = Bins::cut(&joined);
    for (tape, values) in tapes.iter_mut().zip(&all) {
        let column = |feature: usize| values[feature].iter().map(|&value| bins.of(feature, value)).collect();
        tape.columns = (0..names.len()).map(column).collect();
    }
    Rows { tapes, bins, hash: "made up".to_owned() }
}

fn fitted(seed: u64, threads: usize) -> ModelFile {
    let bars = BarsFile { least_quote: 0.5, least_times: 20.0, least_moved: 0.05, evidence: Vec::new() };
    fit(&made_up(), bars, &Settings { seed, threads, tried: vec![SMALL] }).unwrap()
}

#[test]
fn the_same_rows_and_seed_give_the_same_file_whatever_the_threads() {
    let one = fitted(7, 1).to_text().unwrap();
    assert_eq!(one, fitted(7, 1).to_text().unwrap());
    assert_eq!(one, fitted(7, 2).to_text().unwrap());
    assert_ne!(one, fitted(8, 1).to_text().unwrap(), "the seed decides which dull rows count");
}

#[test]
fn what_was_fitted_is_a_model_that_reads_back_and_scores_like_its_bins() {
    let rows = made_up();
    let file = fitted(7, 1);
    let model = Model::read(&file.to_text().unwrap()).unwrap();
    assert_eq!(file.recorded_hash(), Some(model.hash()));
    let record: Record = serde_json::from_value(file.record.clone()).unwrap();
    assert_eq!((record.tapes, record.rows, record.pump_rows, record.tried.len()), (8, 24_000, 480, 2));
    // Six trees know few scores, and many ordinary orders share the highest; with thirty they are told apart.
    let recalls: Vec<f64> = record.tried.iter().map(|tried| tried.mean_recall).collect();
    assert!(recalls[0] > 0.4 && recalls[1] > 0.9, "{recalls:?}");
    assert_eq!(record.chosen, "small, 30 trees");
    let coins: Vec<&String> = record.coins.iter().flat_map(|fold| &fold.coins).collect();
    assert_eq!(coins.len(), 8, "each coin is left out once");
    // A value at an edge goes the same way as in its bin.
    for bin in 0..40 {
        let z60 = f64::from(rows.bins.edge(0, bin));
        let score = |z60: f64| model.trees_score(&Features { z60, ..Features::default() }).unwrap();
        let step = (rows.bins.of(0, z60 as f32), rows.bins.of(0, (z60 as f32).next_down()));
        assert_eq!(step, (bin + 1, bin));
        assert!(score(z60) >= score(z60 - 1e-3));
    }
}

#[test]
fn the_score_never_falls_with_what_may_only_raise_it() {
    let model = Model::check(&fitted(7, 1)).unwrap();
    let mut dice = Dice::named(3, "walk");
    let rising: Vec<usize> = (0..Features::NAMES.len()).filter(|&f| FAST.contains(&Features::NAMES[f])).collect();
    let score = |values: &[f64]| model.trees_score(&features(values)).unwrap();
    let mut moved = 0;
    for _ in 0..2_000 {
        let mut values: Vec<f64> = (0..Features::NAMES.len()).map(|_| dice.bell() * 3.0).collect();
        let before = score(&values);
        values[rising[dice.below(rising.len())]] += dice.between(0.0, 6.0);
        assert!(score(&values) >= before - 1e-12, "{values:?}");
        moved += usize::from(score(&values) > before);
    }
    assert!(moved > 50, "{moved}");
}

#[test]
fn fewer_coins_than_folds_are_refused() {
    let mut rows = made_up();
    rows.tapes.truncate(3);
    let bars = BarsFile { least_quote: 0.5, least_times: 20.0, least_moved: 0.05, evidence: Vec::new() };
    let refused = fit(&rows, bars, &Settings { tried: vec![SMALL], ..Settings::default() });
    assert!(matches!(refused, Err(TrainError::Coins(3))));
}

/// Puts numbers in the order of the names into features.
fn features(values: &[f64]) -> Features {
    Features::from_values(values.try_into().unwrap())
}
