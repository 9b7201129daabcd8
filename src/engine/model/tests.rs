use super::file::{BarEvidenceFile, BarsFile, DisplacedFile, EvidenceFile, FeatureFile};
use super::*;

/// A tree that gives -1, 0.5 or 2 by z60 and money15.
fn model() -> ModelFile {
    let feature = |name: &str| FeatureFile { name: name.to_owned(), monotone: 1 };
    let row = |score: f64, nats: f64| EvidenceFile { score, nats, ordinary: 1, pump: 1 };
    ModelFile {
        fillguard_market_model: VERSION,
        features_version: Features::VERSION,
        features: vec![feature("z60"), feature("money15")],
        base: -1.0,
        trees: vec![
            TreeFile { splits: vec![(0, 5.0, -1, 1), (1, -2.0, -2, -3)], leaves: vec![-1.0, 0.5, 2.0] },
            TreeFile { splits: vec![], leaves: vec![0.25] },
        ],
        evidence: vec![row(-2.0, -3.0), row(0.0, 1.0), row(2.0, 5.0)],
        displaced: vec![DisplacedFile { z60: 20.0, score: 1.0 }, DisplacedFile { z60: 30.0, score: 3.0 }],
        young_nats: 2.0,
        bars: BarsFile {
            least_quote: 0.5,
            least_times: 20.0,
            least_moved: 0.05,
            evidence: vec![BarEvidenceFile { z600: 4.0, nats: 2.0, ordinary: 1, pump: 1 }],
        },
        record: serde_json::json!({}),
    }
}

fn refused(change: impl FnOnce(&mut ModelFile)) -> String {
    let mut file = model();
    change(&mut file);
    Model::check(&file).unwrap_err().to_string()
}

#[test]
fn the_shipped_model_is_read_and_its_record_names_its_content() {
    let file: ModelFile = serde_json::from_str(SHIPPED).unwrap();
    assert_eq!(file.recorded_hash(), Some(file.hash().as_str()));
    let model = Model::read(SHIPPED).unwrap();
    assert_eq!(model.hash(), file.hash());
    assert_eq!(Model::shipped().hash(), file.hash());
    let written = file.to_text().unwrap();
    let other = written.lines().zip(SHIPPED.lines()).position(|(written, shipped)| written != shipped);
    assert_eq!(other, None, "the first line, from 0, that is not as it was written");
    assert!(written.len() == SHIPPED.len(), "{} bytes were written, {} stand there", written.len(), SHIPPED.len());
}

#[test]
fn the_score_is_the_base_and_one_leaf_of_each_tree() {
    let model = Model::check(&model()).unwrap();
    let score = |z60: f64, money15: f64| model.score(&Features { z60, money15, ..Features::default() });
    assert_eq!(score(4.9, 0.0), -1.75);
    assert_eq!(score(5.0, -3.0), -0.25);
    assert_eq!(score(5.0, -2.0), 1.25);
    assert_eq!(score(25.0, -3.0), 2.0, "displacement is a second way to a score");
    assert_eq!(score(1e9, -3.0), 3.0);
    assert_eq!(model.evidence(-9.0), -3.0);
    assert_eq!(model.evidence(1.0), 3.0);
    assert_eq!(model.evidence(9.0), 5.0);
}

#[test]
fn what_is_missing_or_absurd_is_no_evidence_and_a_young_pair_little() {
    let model = Model::check(&model()).unwrap();
    let seen = Features { z60: 10.0, money15: f64::NAN, ..Features::default() };
    assert!(model.evidence(model.score(&seen)).abs() < 1e-9);
    let seen = Features { z60: f64::NAN, ..Features::default() };
    assert!(model.evidence(model.score(&seen)).abs() < 1e-9);
    // What the model does not look at may be anything.
    let seen = Features { z60: 10.0, liq: f64::NEG_INFINITY, ..Features::default() };
    assert_eq!(model.score(&seen), 1.25);
    let young = Features { z60: 100.0, young: true, ..Features::default() };
    assert!((model.evidence(model.score(&young)) - 2.0).abs() < 1e-9);
}

#[test]
fn evidence_of_the_shipped_model_never_falls_as_the_score_rises() {
    let (model, mut last) = (Model::shipped(), f64::NEG_INFINITY);
    for step in -400..=400 {
        let nats = model.evidence(f64::from(step) / 20.0);
        assert!(nats >= last && (LEAST_NATS..=MOST_NATS).contains(&nats), "{step}: {nats} after {last}");
        last = nats;
    }
}

#[test]
fn a_bar_speaks_only_with_money_volume_and_a_move() {
    let model = Model::check(&model()).unwrap();
    let loud = BarFeatures { moved: 0.06, z600: 5.0, times: 30.0, money: 0.6, young: false };
    assert_eq!(model.bar_nats(&loud), Some(2.0));
    for quiet in [
        BarFeatures { moved: 0.04, ..loud },
        BarFeatures { z600: 3.0, ..loud },
        BarFeatures { times: 10.0, ..loud },
        BarFeatures { money: 0.4, ..loud },
        BarFeatures { moved: f64::NAN, ..loud },
    ] {
        assert_eq!(model.bar_nats(&quiet), None, "{quiet:?}");
    }
}

#[test]
fn every_defect_is_refused_and_named() {
    let says = |told: &str, part: &str| assert!(told.contains(part), "{told:?} does not say {part:?}");
    says(&refused(|file| file.features_version = 99), "version 99 of the features");
    says(&refused(|file| file.features[0].name = "moon_phase".into()), "moon_phase");
    says(&refused(|file| file.features[1].name = "z60".into()), "twice");
    says(&refused(|file| file.base = f64::NAN), "base");
    says(&refused(|file| file.trees[0].leaves[1] = f64::INFINITY), "a leaf is not a finite number");
    says(&refused(|file| file.trees[0].splits[0].1 = f32::NAN), "a threshold is not a finite number");
    says(&refused(|file| file.trees[0].splits[1].0 = 2), "not in the list");
    says(&refused(|file| file.trees[0].splits[1].2 = 0), "a child is not in the tree");
    says(&refused(|file| file.trees[0].splits[1].2 = -9), "a child is not in the tree");
    says(&refused(|file| file.trees[0].splits[0].3 = 7), "a child is not in the tree");
    says(&refused(|file| file.trees[0].leaves.truncate(1)), "one leaf more");
    says(&refused(|file| file.trees = vec![file.trees[1].clone(); 2_001]), "trees has 2001 entries");
    says(&refused(|file| file.evidence.truncate(1)), "evidence has 1 entries");
    says(&refused(|file| file.evidence.swap(0, 1)), "evidence must rise");
    says(&refused(|file| file.evidence[2].nats = 0.5), "must not fall");
    says(&refused(|file| file.evidence[2].nats = 8.0), "-3 to 7 nats");
    says(&refused(|file| file.displaced[1].z60 = f64::NAN), "displaced");
    says(&refused(|file| file.young_nats = f64::NAN), "young_nats");
    says(&refused(|file| file.bars.least_quote = -1.0), "bars.least_quote");
    says(&refused(|file| file.record = serde_json::json!({ "hash": "00" })), "does not match the hash");
}

#[test]
fn a_file_of_another_kind_or_version_is_refused() {
    let error = |text: &str| Model::read(text).unwrap_err().to_string();
    assert!(error("trees").contains("not a market model"));
    assert!(error("{}").contains("fillguard_market_model"));
    assert!(error(r#"{"fillguard_market_model":7}"#).contains("version is 7"));
    let text = model().to_text().unwrap();
    assert!(Model::read(&text).is_ok());
    assert!(error(&text.replace("\"base\"", "\"basis\"")).contains("basis"));
}
