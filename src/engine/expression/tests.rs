use super::*;
use crate::domain::{Side, Symbol};
use crate::engine::fleet::Tags;
use crate::engine::keys::Keys;
use crate::engine::rules::scene::Scene;

/// Asks about an order of 2,000 dollars of APPC-BTC in a market that is not followed.
fn ask<T>(question: impl FnOnce(&Scope<'_>) -> T) -> T {
    let mut scene = Scene::new(7, 0, "0.5", 0.0);
    let now = scene.group.last;
    (scene.habit.first, scene.habit.orders) = (now - Span::from_secs(3_600), 2);
    let mut past = Past::default();
    for (k, pair, dollars) in [(1, "ETH-BTC", 40.0), (2, "ETH-BTC", 60.0), (3, "APPC-BTC", 100.0)] {
        let time = now - Span::from_secs(1_000 * (3 - k));
        past.trade(&format!("{k}").into(), &Symbol::from_dashed(pair).unwrap(), Side::Buy, time, dollars);
    }
    let tags = Tags([("bots".into(), [scene.account.id.clone()].into())].into());
    let keys = Keys::default();
    let joint = crate::engine::rules::pump_buy::Settings::default();
    scene.ask(|case| question(&Scope::new(case, &keys, &past, &tags, &joint)))
}

fn holds(text: &str) -> Result<bool, Unknown> {
    let condition = Condition::new(text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"));
    ask(|scope| condition.holds(scope))
}

fn mistakes(text: &str) -> Vec<String> {
    let told = |mistake: &Mistake| format!("{}: {}", mistake.place(text).1, mistake.what);
    Condition::new(text).unwrap_err().iter().map(told).collect()
}

#[test]
fn conditions_are_met_or_not() {
    for (text, met) in [
        ("true", true),
        ("!true || 1 < 2", true),
        ("1 + 2 * 3 == 7", true),
        ("(1 + 2) * 3 == 9", true),
        ("10 - 3 - 2 == 5", true),
        ("8 / 4 / 2 == 1 && 7 % 4 == 3", true),
        ("-2 < -1 && - 1.5e3 == -1500", true),
        ("order.side == \"buy\"", true),
        ("order.side != 'buy'", false),
        ("order.dollars == 15000 && order.spent == 0.5", true),
        ("order.base in [\"BTC\", 'APPC'] && !(order.quote in [\"ETH\"])", true),
        ("\"bots\" in account.tags && account.tags.size() == 1", true),
        ("order.pair.startsWith(\"APPC\") && order.pair.endsWith(\"BTC\") && order.pair.contains(\"C-B\")", true),
        ("order.pair.size() == 8", true),
        ("order.hour == 13 && order.weekday == 7", true),
        ("pair.since == duration(\"1h\") && pair.since > duration(\"90s\") * 2", true),
        ("duration(\"1h\") / duration(\"1m\") == 60", true),
        ("pair.new ? order.levels >= 3 : false", true),
        ("math.greatest(1, order.levels, 2) == 3 && math.least(4, 2) == 2 && math.abs(-3) == 3", true),
        ("count(account, \"1h\") == 3 && count(pair, \"1h\") == 1 && count(account, \"1500s\") == 2", true),
        ("count(account, \"1h\", \"sell\") == 0 && sum(account, \"1h\") == 200 && sum(pair, \"1h\") == 100", true),
        ("distinct(account, \"1h\") == 2 && distinct(address, \"1h\") == 0", true),
        ("account.orders == 7 // of all time\n && true", true),
    ] {
        assert_eq!(holds(text), Ok(met), "{text}");
    }
}

#[test]
fn what_is_not_known_is_neither_true_nor_false_and_may_be_decided_by_the_other_side() {
    assert_eq!(holds("order.move > 3"), Err(Unknown::Field("order.move")));
    assert_eq!(holds("!(order.move > 3)"), Err(Unknown::Field("order.move")));
    assert_eq!(holds("order.move > 3 && false"), Ok(false));
    assert_eq!(holds("order.move > 3 || true"), Ok(true));
    assert_eq!(holds("order.move > 3 && true"), Err(Unknown::Field("order.move")));
    assert_eq!(holds("has(order.move) && order.move > 3"), Ok(false));
    assert_eq!(holds("1 / (account.orders - 7) > 0"), Err(Unknown::Division));
    assert_eq!(holds("1 % 0 > 0"), Err(Unknown::Division));
    assert_eq!(holds("1e300 * 1e300 > 0"), Err(Unknown::TooLarge));
}

#[test]
fn mistakes_name_their_place_and_what_would_be_right_all_of_them_at_once() {
    let told = mistakes("order.sied == \"buy\" && pair.orders > \"3\" && acount.orders > 1");
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "1: unknown field order.sied; did you mean order.side?");
    assert!(told[1].starts_with("24: a number cannot be compared with a text; a number stands"), "{told:?}");
    assert_eq!(told[2], "45: unknown field acount.orders; did you mean account.orders?");
    for (text, told) in [
        ("", "1: an expression is missing"),
        ("order.dollars >", "15: the expression ends too early"),
        ("order.dollars > 5k", "17: a number has no unit here"),
        ("order.side = \"buy\"", "12: = stands for nothing here; == compares"),
        ("order.side == \"buy", "15: this text has no closing quote"),
        ("(order.taker", "12: ) is missing here"),
        ("order.taker)", "12: the expression should end before )"),
        ("order.dollars", "1: this should be true or false and is a number"),
        ("pair.since > 60", "1: a time cannot be compared with a number; a time is written duration"),
        ("pair.since > duration(\"60\")", "23: \"60\" is not a time"),
        ("count(acount, \"1h\") > 1", "7: acount is not account, pair or address"),
        ("count(account, \"90d\") > 1", "16: a rule may look back from 1s to 7d"),
        ("sum(address, \"1h\") > 1", "1: uses of a key have no worth"),
        ("cuont(account, \"1h\") > 1", "1: unknown function cuont; did you mean count?"),
        ("order.side.beginsWith(\"b\")", "1: unknown function order.side.beginsWith"),
        ("order.base in \"BTC\"", "15: in asks whether"),
        ("pair.new ? 1 : true", "1: both sides of a choice"),
        ("1 < 2 < 3", "7: a comparison cannot be compared again"),
        ("true && 3", "9: this should be true or false"),
        ("true & true", "6: write &&"),
        ("order[\"side\"] == \"buy\"", "6: a field is named with dots"),
        ("\"a\" + 1 == \"a1\"", "1: a text + a number has no meaning"),
    ] {
        let found = mistakes(text);
        assert!(found[0].starts_with(told), "{text}: {found:?}");
    }
}

#[test]
fn a_hostile_expression_is_refused_and_not_followed() {
    for text in [
        "(".repeat(2_000),
        "!".repeat(3_000) + "true",
        vec!["true"; 900].join("&&"),
        "true ? ".repeat(500),
        "x".repeat(5_000),
        "\u{0}".to_owned(),
        "order.side == \"\\u0041\"".to_owned(),
        "1e999 > 0".to_owned(),
        "true?".repeat(300) + &"true:true".repeat(300),
    ] {
        assert!(Condition::new(&text).is_err(), "{:.40}", text);
    }
}

#[test]
fn a_sentence_tells_values_and_a_mistake_in_it_its_place() {
    let text = "{account.name} {{sic}} spent {order.dollars} dollars, {pair.since} in, moved {order.move}, {pair.new}";
    let sentence = Sentence::new(text).unwrap();
    assert_eq!(ask(|scope| sentence.about(scope)), "alice {sic} spent 15000 dollars, 3600 s in, moved ?, yes");
    let mistakes = Sentence::new("spent {order.dolars} of {").unwrap_err();
    assert_eq!(mistakes[0].at, 7..19);
    assert!(mistakes[0].what.contains("did you mean order.dollars?"), "{mistakes:?}");
    assert!(mistakes[1].what.contains("never closed"), "{mistakes:?}");
}

#[test]
fn the_place_of_a_mistake_is_shown_under_its_line() {
    let text = "order.taker &&\n  order.sied == 'buy'";
    let mistake = &Condition::new(text).unwrap_err()[0];
    assert_eq!(mistake.place(text), (2, 3));
    assert_eq!(mistake.shown(text), "      order.sied == 'buy'\n      ^^^^^^^^^^");
}

#[test]
fn the_parts_of_a_condition_are_told_with_their_values() {
    let text = "order.side == 'buy' &&\n  (order.dollars > 20000 || pair.orders > 9)\n && count(account, '1h') >= 3 && has(order.move) && 1 / (account.orders - 7) > 0";
    let parts = ask(|scope| Condition::new(text).unwrap().parts(scope));
    let told: Vec<(&str, Result<bool, Unknown>)> = parts.iter().map(|part| (part.text.as_str(), part.holds)).collect();
    let wanted = [
        ("order.side == 'buy'", Ok(true)),
        ("(order.dollars > 20000 || pair.orders > 9)", Ok(false)),
        ("count(account, '1h') >= 3", Ok(true)),
        ("has(order.move)", Ok(false)),
        ("1 / (account.orders - 7) > 0", Err(Unknown::Division)),
    ];
    assert_eq!(told, wanted);
    assert_eq!(parts[1].values[0], ("order.dollars".to_owned(), Ok("15000".into())));
    assert_eq!(parts[2].values, [("count(account, '1h')".to_owned(), Ok("3".into()))]);
    let unknown = ask(|scope| Condition::new("order.move > 3").unwrap().parts(scope));
    assert_eq!(unknown[0].values, [("order.move".to_owned(), Err(Unknown::Field("order.move")))]);
}
