use super::*;
use crate::engine::expression::{Condition, Sentence};
use crate::engine::rules::user::Rule;

const STORY: &str = r#"
[[test]]
name = "a thin coin bought at +40 % is told"

[[test.step]]
account = "alice"
holds = { BTC = "2" }

[[test.step]]
account = "alice"
buys = "ETH-BTC"
at = "0.03"
spends = "0.02"
orders = 40
every = "6h"
maker = true

[[test.step]]
market = "APPC-BTC"
at = "0.00002"
spends = "8 BTC"
lasts = "2h"

[[test.step]]
account = "alice"
buys = "APPC-BTC"
at = "+40 %"
spends = "1.5"

[[test.expect]]
rule = "dear"
account = "alice"
level = "alert"
step = 4
within = "1s"

[[test.never]]
rule = "dearer"
"#;

fn settings() -> Settings {
    let rule = |name: &str, when: &str| Rule {
        name: name.into(),
        when: Condition::new(when).unwrap(),
        level: Level::Alert,
        why: Sentence::new("x").unwrap(),
        staged: false,
        budget: 0.1,
    };
    let mut settings = Settings::default();
    settings.engine.user.rules = vec![
        rule("dear", "has(order.move) && order.move > 30 && order.dollars > 1000"),
        rule("dearer", "has(order.move) && order.move > 50 && order.dollars > 1000"),
    ];
    settings
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let tests = file::parse(text)?;
    one(Path::new("x.test.toml"), &tests.test[0], &settings()).map_err(|error| error.to_string())
}

#[test]
fn a_story_that_goes_as_expected_passes_and_names_what_it_covers() {
    let outcome = outcome(STORY).unwrap();
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert_eq!(outcome.hits, ["dear".to_owned()].into());
    assert_eq!(outcome.misses, ["dearer".to_owned()].into());
}

#[test]
fn what_does_not_happen_and_what_should_not_have_are_told() {
    let failures = outcome(&STORY.replace("+40 %", "+4 %")).unwrap().failures;
    assert!(failures[0].starts_with("expected dear to say alert about alice: nothing of it was told"), "{failures:?}");
    let failures = outcome(&STORY.replace("+40 %", "+60 %")).unwrap().failures;
    assert!(failures[0].starts_with("dearer should not have said alert: at arrival"), "{failures:?}");
    let failures = outcome(&STORY.replace("step = 4", "step = 2")).unwrap().failures;
    assert!(failures[0].contains("within 1 s of step 2: it came"), "{failures:?}");
    let bob = STORY.replace("account = \"alice\"\nlevel", "account = \"bob\"\nlevel");
    assert!(outcome(&bob).unwrap().failures[0].contains("about bob"));
}

#[test]
fn a_mistake_in_a_test_is_an_error_with_its_place_never_a_test_that_passes() {
    for (from, to, told) in [
        ("buys = \"APPC-BTC\"", "bys = \"APPC-BTC\"", "unknown field `bys`"),
        ("buys = \"APPC-BTC\"", "buys = \"APPC\"", "step 4: \"APPC\" is not a pair"),
        ("spends = \"1.5\"", "spends = \"much\"", "step 4: spends = \"much\" is not an amount"),
        ("spends = \"1.5\"", "spends = \"1.5\"\nquantity = \"3\"", "step 4: says either spends"),
        ("at = \"+40 %\"", "at = \"-140 %\"", "step 4: at = \"-140 %\" is not a price"),
        ("every = \"6h\"", "every = \"6 hours\"", "step 2: every = \"6 hours\" is not a time"),
        ("level = \"alert\"", "level = \"loud\"", "unknown variant `loud`"),
        ("step = 4", "step = 9", "there is no step 9"),
        ("lasts = \"2h\"", "lasts = \"9000d\"", "step 3: more than 500000 arrivals"),
        ("at = \"0.00002\"", "", "step 3: APPC-BTC has no price yet"),
        ("account = \"alice\"\nholds", "holds", "step 1: names no account"),
        ("market = \"APPC-BTC\"", "market = \"APPC-BTC\"\nbuys = \"APPC-BTC\"", "step 3: says exactly one of"),
    ] {
        assert!(STORY.contains(from), "{from}");
        let error = outcome(&STORY.replacen(from, to, 1)).map(|outcome| outcome.failures);
        assert!(error.as_ref().is_err_and(|error| error.contains(told)), "{told}: {error:?}");
    }
    assert!(file::parse("").unwrap_err().contains("holds no test"));
    let nothing = "[[test]]\nname = \"x\"\n";
    assert!(outcome(nothing).unwrap_err().contains("expects nothing"));
}

#[test]
fn the_report_for_build_servers_is_well_formed_whatever_a_test_is_called() {
    let mut outcome = outcome(&STORY.replace("+40 %", "+4 %")).unwrap();
    outcome.name = "a < b & \"c\"\u{7}".to_owned();
    let report = junit(&[outcome]);
    assert!(
        report.contains("tests=\"1\" failures=\"1\"")
            && report.contains("name=\"a &lt; b &amp; &quot;c&quot;\u{fffd}\""),
        "{report}"
    );
}

#[test]
fn an_exception_that_hid_what_was_expected_fails_the_test_by_name() {
    let mut settings = settings();
    settings.alert.exceptions = vec![crate::alert::Exception {
        name: "my_grid".into(),
        rules: vec!["dear".into()],
        account: "binance/alice".parse().unwrap(),
        symbol: None,
        address: None,
        owner: "alice".into(),
        reason: "mine".into(),
        expires: Timestamp::from_rfc3339("2100-01-01T00:00:00Z").unwrap(),
    }];
    let judge = |text: &str| one(Path::new("x.test.toml"), &file::parse(text).unwrap().test[0], &settings).unwrap();
    let failures = judge(STORY).failures;
    assert!(failures.len() == 1 && failures[0].ends_with("the exception my_grid hid it"), "{failures:?}");
    let quiet = judge(&STORY.replace("level = \"alert\"", "level = \"notice\"")).failures;
    assert!(quiet[0].ends_with("the exception my_grid hid it"), "hidden is not told, not even as a notice: {quiet:?}");
    let never = STORY.replace("rule = \"dearer\"", "rule = \"dear\"");
    assert_eq!(judge(&never).failures.len(), 1, "what is hidden was not said");
}
