//! Rules as their owner meets them: the shipped ones as files, schemas for editors, and what each mistake is told as.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test: its steps may fail, and it says why it skips")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fillguard(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fillguard")).args(words).current_dir(here()).output().unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A configuration with a folder of rules that holds one file.
fn with_rules(text: &str) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("rules")).unwrap();
    fs::write(home.path().join("rules/own.toml"), text).unwrap();
    let file = home.path().join("fillguard.toml");
    fs::write(&file, "[rules]\ndir = \"rules\"\n").unwrap();
    (home, file)
}

const STORY: &str = "[[test]]\nname = \"x\"\n[[test.step]]\naccount = \"alice\"\nbuys = \"ETH-BTC\"\nat = \"0.03\"\nspends = \"1\"\n\
                     [[test.never]]\nrule = \"large\"\n";

#[test]
fn the_shipped_rules_pass_their_own_tests_which_leave_none_out() {
    let done = fillguard(&["test", "config/rules", "--covered"]);
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    let home = tempfile::tempdir().unwrap();
    for file in ["feeds.toml", "keys.toml", "feeds.test.toml"] {
        let text = fs::read_to_string(here().join("config/rules").join(file)).unwrap();
        let text = text.replace("../../replay-data", here().join("replay-data").to_str().unwrap());
        fs::write(home.path().join(file), text).unwrap();
    }
    let bare = fillguard(&["test", home.path().to_str().unwrap(), "--covered"]);
    assert_eq!(bare.status.code(), Some(1), "{}", told(&bare));
    assert!(told(&bare).contains("rule new_key: no test"), "{}", told(&bare));
}

#[test]
fn each_mistake_of_a_rule_is_told_with_its_place_and_what_would_be_right() {
    let rule = |when: &str| format!("[[rule]]\nname = \"large\"\nwhen = '{when}'\n");
    for (text, wanted) in [
        (rule("order.side > 5"), "own.toml:3: rule.when: column 1: a text cannot be compared with a number"),
        (rule("order.dollars"), "this should be true or false and is a number"),
        (rule("order.dolars > 5"), "unknown field order.dolars; did you mean order.dollars?"),
        (format!("{0}{0}", rule("true")), "there is a rule of this name in"),
        ("[[rule]]\nextends = \"pump_buy\"\nalert = 5000.0\n".to_owned(), "rule.alert: 5000 is out of bounds: it may be from 0.1 to 1000"),
        ("[[rule]]\nextends = \"pump_buy\"\nalert = 2.0\n".to_owned(), "levels grow from notice to act"),
        ("[[rule]]\nextends = \"pump_by\"\n".to_owned(), "did you mean pump_buy?"),
        (format!("{}level = \"act\"\n", rule("true")), "a condition is one kind of evidence"),
        (
            "[[exception]]\nname = \"a\"\nrule = \"pump_buy\"\naccount = \"binance/a\"\nowner = \"a\"\nreason = \"a\"\n".to_owned(),
            "exception.expires: is missing",
        ),
    ] {
        let (home, file) = with_rules(&text);
        fs::write(home.path().join("x.test.toml"), STORY).unwrap();
        let test = home.path().join("x.test.toml");
        let done = fillguard(&["test", test.to_str().unwrap(), "--config", file.to_str().unwrap()]);
        assert_eq!(done.status.code(), Some(2), "{text}: {}", told(&done));
        assert!(told(&done).contains(wanted), "{wanted}: {}", told(&done));
    }
    let (home, file) = with_rules(&rule("order.dollars > 5"));
    for (from, to, wanted) in [
        ("spends", "spend", "unknown field `spend`"),
        ("0.03", "3 %", "has no price yet"),
        ("[[test.never]]", "[[test.newer]]", "unknown field `newer`"),
        ("alice", "al ice", "is not an account's name"),
    ] {
        let test = home.path().join("x.test.toml");
        fs::write(&test, STORY.replace(from, to)).unwrap();
        let done = fillguard(&["test", test.to_str().unwrap(), "--config", file.to_str().unwrap()]);
        assert_eq!(done.status.code(), Some(2), "{to}: {}", told(&done));
        assert!(told(&done).contains(wanted), "{wanted}: {}", told(&done));
    }
}

#[test]
fn a_division_by_zero_is_no_hit_and_is_told() {
    let (_home, file) =
        with_rules("[[rule]]\nname = \"large\"\nwhen = \"1 / (account.orders - account.orders) > 0\"\n");
    let words = ["replay", "replay-data/binance/pump_of_a_new_pair.ndjson", "--config", file.to_str().unwrap()];
    let done = fillguard(&words);
    assert!(told(&done).contains("large") && told(&done).contains("divided by zero"), "{}", told(&done));
}

#[test]
fn why_not_tells_which_part_of_a_rule_was_not_met_and_with_which_values() {
    let (_home, file) = with_rules(
        "[[rule]]\nname = \"large\"\nwhen = '''\norder.side == \"buy\"\n  && order.dollars > 1000000 && has(pair.cap)\n'''\n",
    );
    let recording = "replay-data/binance/pump_of_a_new_pair.ndjson";
    let text = fs::read_to_string(here().join(recording)).unwrap();
    let frame = text.lines().rev().find(|line| line.contains("\"x\":\"TRADE\"")).unwrap();
    let line: Value = serde_json::from_str(frame).unwrap();
    let order = line["frame"]["event"]["i"].to_string();
    let words = ["why-not", "--account", "binance/alice", "--order", &order, "--rule", "large", "--config"];
    let words = [&words[..], &[file.to_str().unwrap(), recording]].concat();
    let text = told(&fillguard(&words));
    assert!(text.contains("large said nothing") && text.contains("NOT MET    order.dollars > 1000000"), "{text}");
    assert!(text.contains("met        order.side == \"buy\"") && text.contains("order.dollars is "), "{text}");
    let json: Value = serde_json::from_slice(&fillguard(&[&words[..], &["--format", "json"]].concat()).stdout).unwrap();
    let parts = json["parts"].as_array().unwrap();
    let met: Vec<&Value> = parts.iter().map(|part| &part["met"]).collect();
    assert_eq!(met, [&Value::Bool(true), &Value::Bool(false), &Value::Bool(false)], "{json}");
    let unknown = [&words[..5], &["--rule", "larg"], &words[7..]].concat();
    assert!(told(&fillguard(&unknown)).contains("did you mean large?"), "{}", told(&fillguard(&unknown)));
}

/// Makes an environment with a validator that is not ours, or says why not.
fn validator() -> Result<PathBuf, String> {
    let folder = here().join("target/peers-venv/jsonschema");
    let (python, stamp) = (folder.join("bin/python"), folder.join("fillguard-packages"));
    if stamp.exists() {
        return Ok(python);
    }
    let run = |command: &mut Command, what: &str| -> Result<(), String> {
        let output = command.output().map_err(|why| format!("{what}: {why}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("no reason given");
        output.status.success().then_some(()).ok_or_else(|| format!("{what}: {last}"))
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder), "python3 -m venv")?;
    let install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"];
    run(Command::new(&python).args(install).arg("jsonschema==4.25.1"), "pip install jsonschema")?;
    fs::write(&stamp, "jsonschema").map_err(|why| why.to_string())?;
    Ok(python)
}

const SCRIPT: &str = r#"
import json, sys, tomllib
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
for name in sys.argv[2:]:
    found = json.loads(json.dumps(tomllib.load(open(name, "rb")), default=str))
    errors = sorted(str(error.message)[:200] for error in Draft202012Validator(schema).iter_errors(found))
    print(json.dumps(errors))
"#;

/// Returns what the validator says of each text; nothing where there is none.
fn validated(of: &str, texts: &[String]) -> Option<Vec<Vec<String>>> {
    let python = match validator() {
        Ok(python) => python,
        Err(why) => {
            eprintln!("skipped: {why}");
            return None;
        }
    };
    let home = tempfile::tempdir().unwrap();
    let schema = home.path().join("schema.json");
    let printed = fillguard(&["check", "--schema", of]);
    assert_eq!(printed.status.code(), Some(0), "{}", told(&printed));
    fs::write(&schema, &printed.stdout).unwrap();
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).arg(&schema);
    for (place, text) in texts.iter().enumerate() {
        let file = home.path().join(format!("{place}.toml"));
        fs::write(&file, text).unwrap();
        command.arg(file);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    Some(String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The example with the `#` taken from every key that has one.
fn whole_example() -> String {
    let text = fs::read_to_string(here().join("config/example.toml")).unwrap();
    let plain = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with([' ', '#']) => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

#[test]
fn another_validator_takes_every_key_of_the_example_and_refuses_a_misspelt_one() {
    let whole = whole_example();
    // Every key in turn is misspelt, in a file of its own each; and a value is of the wrong kind.
    let keys: Vec<usize> = whole
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(" = ") && !line.starts_with(['#', ' ', '[']))
        .map(|(place, _)| place)
        .collect();
    assert!(keys.len() > 150, "{}", keys.len());
    let misspelt = keys.iter().map(|place| {
        let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        lines[*place] = format!("x{}", lines[*place]);
        lines.join("\n")
    });
    let mut texts = vec![whole.clone()];
    texts.extend(misspelt);
    for (from, to) in [
        ("alert = 6.0", "alert = \"6\""),
        ("quiet = \"30m\"", "quiet = \"30\""),
        ("language = \"en\"", "language = \"fr\""),
    ] {
        assert!(whole.contains(from), "{from}");
        texts.push(whole.replacen(from, to, 1));
    }
    let Some(errors) = validated("config", &texts) else { return };
    assert_eq!(errors[0], Vec::<String>::new(), "the example as it is");
    for (place, errors) in errors.iter().enumerate().skip(1) {
        let line = keys.get(place - 1).and_then(|key| whole.lines().nth(*key));
        assert!(!errors.is_empty(), "taken: {line:?}");
    }
}

#[test]
fn another_validator_takes_rule_files_and_refuses_what_is_misspelt_in_them() {
    let own = "[[rule]]\nname = \"a\"\nwhen = \"true\"\nlevel = \"notice\"\nstage = \"staged\"\nbudget = 0.2\n\
               [[exception]]\nname = \"b\"\nrules = [\"a\"]\naccount = \"binance/alice\"\nowner = \"a\"\nreason = \"r\"\n\
               expires = 2027-01-01\n";
    let mut fine: Vec<String> = vec![own.to_owned()];
    for entry in fs::read_dir(here().join("config/rules")).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_str().unwrap().ends_with(".test.toml") {
            fine.push(fs::read_to_string(path).unwrap());
        }
    }
    let wrong = [
        own.replace("level =", "levl ="),
        own.replace("notice", "loud"),
        own.replace("when =", "whn ="),
        own.replace("owner =", "ownr ="),
        own.replace("expires = 2027-01-01\n", ""),
        "[[rule]]\nextends = \"pump_buy\"\nholdings = 2\n".to_owned(),
        "[[rule]]\nextends = \"pump_by\"\n".to_owned(),
    ];
    let texts: Vec<String> = fine.iter().cloned().chain(wrong.clone()).collect();
    let Some(errors) = validated("rules", &texts) else { return };
    for (text, errors) in fine.iter().zip(&errors) {
        assert_eq!(*errors, Vec::<String>::new(), "{text}");
    }
    for (text, errors) in wrong.iter().zip(&errors[fine.len()..]) {
        assert!(!errors.is_empty(), "taken: {text}");
    }
}

#[test]
fn what_each_rule_costs_is_told_beside_a_replay_that_stays_the_same() {
    let (_home, file) = with_rules("[[rule]]\nname = \"many\"\nwhen = \"count(account, '1h') > 3\"\n");
    let recording = "replay-data/binance/pump_of_a_new_pair.ndjson";
    let words = ["replay", "--format", "json", "--config", file.to_str().unwrap(), recording];
    let (plain, costed) = (fillguard(&words), fillguard(&[&words[..], &["--cost"]].concat()));
    assert_eq!(costed.status.code(), Some(0), "{}", told(&costed));
    let costed = String::from_utf8(costed.stdout).unwrap();
    let (same, cost) = costed.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(format!("{same}\n"), String::from_utf8(plain.stdout).unwrap());
    let cost: Value = serde_json::from_str(cost).unwrap();
    let of = |name: &str| {
        let rules = cost["cost"]["rules"].as_array().unwrap();
        rules.iter().find(|rule| rule["rule"] == name).unwrap_or(&Value::Null).clone()
    };
    for name in ["pump_buy", "churn_loss", "many"] {
        assert!(of(name)["asked"].as_u64().unwrap() > 40 && of(name)["ns_each"].is_number(), "{name}: {cost}");
    }
    assert!(of("pump_buy")["findings"].as_u64().unwrap() > 0, "{cost}");
    let memory = cost["cost"]["memory"].as_array().unwrap();
    let looks_back = memory.iter().find(|part| part["rules"][0] == "user").unwrap();
    assert!(looks_back["bytes"].as_u64().unwrap() > 60, "orders that the rule counts are kept: {cost}");
    let piped = fillguard(&["replay", "--cost", "-"]);
    assert_eq!(piped.status.code(), Some(2), "it is read twice");
}

const PROMOTED: &str = "[[rule]]\nname = \"huge\"\nwhen = \"order.dollars > 1000000\"\nstage = \"staged\"\n\
                        [[rule]]\nname = \"noisy\"\nwhen = \"true\"\nstage = \"staged\"\n\
                        [[rule]]\nname = \"unproved\"\nwhen = \"order.dollars > 2000000\"\nstage = \"staged\"\n\
                        [[rule]]\nname = \"by_hand\"\nwhen = \"true\"\nbudget = 0.0\n";

#[test]
fn a_staged_rule_is_promoted_when_it_was_quiet_and_its_tests_see_it_speak_and_taken_back_when_it_is_noisy() {
    use std::os::unix::fs::PermissionsExt as _;
    let (home, file) = with_rules(PROMOTED);
    let at = |name: &str| home.path().join(name);
    for name in ["key", "secret"] {
        fs::write(at(name), "nothing-that-opens-anything").unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let config = |promote: &str| {
        let text = format!(
            "[state]\ndir = \"state\"\n[rules]\ndir = \"rules\"\n{promote}[[account]]\nexchange = \"binance\"\nname = \"alice\"\nkey_file = \"key\"\n\
             secret_file = \"secret\"\n[notify.console]\nenabled = true\n"
        );
        fs::write(&file, text).unwrap();
    };
    fs::write(
        at("rules/own.test.toml"),
        "[[test]]\nname = \"a huge order is told\"\n[[test.step]]\naccount = \"alice\"\nbuys = \"ETH-BTC\"\nat = \"0.03\"\n\
         spends = \"90\"\n[[test.expect]]\nrule = \"huge\"\nlevel = \"alert\"\n",
    )
    .unwrap();
    let recording = "replay-data/binance/unknown_origin.ndjson";
    let promote =
        || fillguard(&["stage", "promote", "--auto", "--journal", recording, "--config", file.to_str().unwrap()]);
    config("");
    assert!(told(&promote()).contains("rules.promote is false"), "{}", told(&promote()));
    config("promote = true\npromote_after = \"30d\"\n");
    let early = promote();
    assert!(told(&early).contains("huge: stays staged; the journal holds 8.8 days"), "{}", told(&early));
    assert_eq!(fs::read_to_string(at("rules/own.toml")).unwrap(), PROMOTED);
    config("promote = true\npromote_after = \"7d\"\n");
    let done = promote();
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    let text = told(&done);
    for words in
        ["and its tests see it speak", "noisy: stays staged; ", "unproved: stays staged; no test sees it speak"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let rules = fs::read_to_string(at("rules/own.toml")).unwrap();
    assert_eq!(rules, PROMOTED.replacen("stage = \"staged\"", "stage = \"live\" # promoted by fillguard", 1));
    // What was promoted by hand is a person's business; what was not is taken back.
    fs::write(at("rules/own.toml"), rules.replace("order.dollars > 1000000", "true")).unwrap();
    let back = promote();
    assert_eq!(back.status.code(), Some(1), "{}", told(&back));
    assert!(told(&back).contains("huge: ") && told(&back).contains("taken back"), "{}", told(&back));
    let rules = fs::read_to_string(at("rules/own.toml")).unwrap();
    assert!(rules.matches("stage = \"staged\"").count() == 3 && !rules.contains("promoted"), "{rules}");
}
