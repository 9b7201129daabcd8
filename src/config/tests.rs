//! The example and the demo against the code that reads them.

use super::schema::{EXAMPLE, uncommented, whole_example};
use super::section::{Gather, Scope, Section};
use super::*;

const DEMO: &str = include_str!("../../config/demo.toml");

/// Walks a text and returns every key that was asked for, with its default as it would be written.
fn asked(text: &str) -> Vec<(String, Option<String>)> {
    let document = document::parse(text);
    let gather = Gather::new(document.lines, PathBuf::new(), Scope::Middle, None, document.faults).listening();
    let _config = walk(&mut Section::root(&gather, document.root.get_ref()), PathBuf::new(), &mut Default::default());
    let keys = gather.heard().into_iter();
    let keys = keys.filter(|asked| !matches!(asked.shape, super::schema::Shape::Table | super::schema::Shape::Tables));
    keys.map(|asked| (asked.path, asked.default)).collect()
}

/// Returns `table.key` and the line's value for every line of a text that sets one.
fn stated(text: &str) -> Vec<(String, String)> {
    let mut table = String::new();
    let mut stated = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            table = format!("{}.", name.trim_matches(['[', ']']));
        } else if let Some((key, value)) = line.split_once(" = ") {
            stated.push((format!("{table}{key}"), value.to_owned()));
        }
    }
    stated
}

#[test]
fn the_example_names_every_key_that_is_known() {
    let keys: Vec<String> = stated(&uncommented()).into_iter().map(|(key, _)| key).collect();
    let asked = asked(&uncommented());
    assert!(asked.len() > 100, "only {} keys are known", asked.len());
    for (key, _) in asked {
        // Of a secret's two keys the example may set one, and then names the other in words.
        let other = key.strip_suffix("_credential").map(|stem| format!("{stem}_file"));
        let other = other.or_else(|| key.strip_suffix("_file").map(|stem| format!("{stem}_credential")));
        let told = other.is_some_and(|other| keys.contains(&other));
        assert!(keys.contains(&key) || told, "{key} is not in example.toml");
    }
}

#[test]
fn the_defaults_that_the_example_states_are_those_of_the_code() {
    let asked = asked(&uncommented());
    let mut compared = 0;
    for (key, value) in stated(&uncommented()) {
        let Some((_, default)) = asked.iter().find(|(name, _)| *name == key) else { panic!("nobody asks for {key}") };
        let Some(default) = default else { continue };
        assert_eq!(&value, default, "{key}");
        compared += 1;
    }
    assert!(compared > 80, "only {compared} defaults were compared");
}

#[test]
fn the_example_is_taken_as_it_is_and_with_every_key_uncommented() {
    for text in [EXAMPLE.to_owned(), whole_example()] {
        let config = Config::built_in("example.toml", &text).unwrap_or_else(|problems| panic!("{problems}"));
        let usual = pipeline::Settings::default();
        assert_eq!(format!("{:?}", config.pipeline.engine), format!("{:?}", usual.engine));
        let alert = crate::alert::Settings { exceptions: Vec::new(), ..config.pipeline.alert };
        assert_eq!(alert, usual.alert);
        assert_eq!(format!("{:?}", config.journal), format!("{:?}", journal::Settings::default()));
        let feed = crate::feed::Settings::default();
        assert_eq!((config.feed.binance, config.feed.kucoin), (feed.binance, feed.kucoin));
        assert_eq!((config.feed.coinbase, config.feed.timing), (feed.coinbase, feed.timing));
        assert_eq!(config.notify.backoff, crate::notify::Settings::default().backoff);
        assert_eq!(config.log, Log::default());
    }
}

#[test]
fn the_shipped_rules_as_files_say_exactly_what_the_program_has() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let text = format!("[rules]\ndir = {:?}\n", folder.display().to_string());
    let config = Config::built_in("x", &text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(format!("{:?}", config.pipeline.engine), format!("{:?}", pipeline::Settings::default().engine));
    let mut named = Vec::new();
    for file in rule_file::files(&folder).unwrap() {
        let table: toml::Table = document::read(&file).unwrap().parse().unwrap();
        for rule in table["rule"].as_array().unwrap() {
            let name = rule["extends"].as_str().unwrap();
            named.push(name.to_owned());
            let heard = rule_file::heard(&format!("[[rule]]\nextends = \"{name}\"\n"));
            for key in heard.iter().filter_map(|asked| asked.path.strip_prefix("rule.")) {
                let settles_nothing = ["extends", "name", "when"].contains(&key);
                assert!(settles_nothing || rule.get(key).is_some(), "{}: {name} leaves {key} out", file.display());
            }
        }
    }
    named.sort();
    let mut known: Vec<&str> = crate::domain::RuleName::ALL.iter().map(|rule| rule.as_str()).collect();
    known.retain(|name| *name != "user");
    known.sort_unstable();
    assert_eq!(named, known);
}

#[test]
fn the_demo_needs_nothing_but_the_simulator() {
    let config = Config::built_in("demo.toml", DEMO).unwrap();
    assert!(config.notify.console && config.accounts.is_empty() && config.warnings.is_empty());
}

#[test]
fn an_unknown_key_is_told_in_every_table() {
    let text = whole_example();
    let tables: Vec<usize> =
        text.lines().enumerate().filter(|(_, line)| line.starts_with('[')).map(|(at, _)| at + 1).collect();
    assert!(tables.len() > 25);
    for line in tables {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.insert(line, "zzzzzzzzz = 1");
        let problems = Config::built_in("x", &lines.join("\n")).unwrap_err().problems;
        assert_eq!((problems.len(), problems[0].line), (1, Some(line + 1)), "{problems:?}");
        assert!(problems[0].key.ends_with(".zzzzzzzzz") && problems[0].reason.contains("unknown key"), "{problems:?}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_told_for_every_key() {
    let text = whole_example();
    for (at, line) in text.lines().enumerate() {
        let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else { continue };
        // A date is what it wants.
        if key == "expires" {
            continue;
        }
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines[at] = format!("{key} = 1979-05-27");
        let problems = Config::built_in("x", &lines.join("\n")).unwrap_err().problems;
        assert!(problems.iter().any(|problem| problem.line == Some(at + 1)), "{line}: {problems:?}");
        assert!(problems.iter().all(|problem| !problem.reason.is_empty()));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, ..Default::default() })]
    #[test]
    fn no_damage_to_the_file_panics_or_is_told_without_a_reason(
        cuts in proptest::collection::vec((0_usize..9_000, proptest::sample::select(DAMAGE.to_vec())), 1..6),
    ) {
        let mut text = uncommented();
        for (at, what) in cuts {
            let from = text.floor_char_boundary(at.min(text.len()));
            let until = text.floor_char_boundary((from + what.len()).min(text.len()));
            text.replace_range(from..until, what);
        }
        let lines = text.lines().count().max(1);
        if let Err(told) = Config::built_in("x", &text) {
            proptest::prop_assert!(!told.problems.is_empty());
            for problem in told.problems {
                proptest::prop_assert!(!problem.reason.is_empty() && !problem.reason.contains('\n'), "{:?}", problem);
                proptest::prop_assert!(problem.line.is_some_and(|line| (1..=lines + 1).contains(&line)), "{:?}", problem);
            }
        }
    }
}

const DAMAGE: [&str; 16] = [
    "",
    "\n",
    "\"",
    "[",
    "]]",
    "=",
    "[[x]]\n",
    "\u{0}",
    "é",
    "\"\"\"",
    "{",
    "9e999",
    "-1",
    "[account]\n",
    "a.b.c = 1\n",
    "\r",
];
