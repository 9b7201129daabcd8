//! `fillguard explain` and `why-not`: every figure that they tell is counted again from the recording.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test: its steps may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One fill of a Binance recording, from its stream or from a page.
#[derive(Clone, Debug)]
struct Fill {
    ms: i64,
    pair: String,
    order: String,
    buys: bool,
    quote: f64,
}

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("replay-data/binance").join(format!("{name}.ndjson"))
}

fn fillguard(args: &[&str]) -> (Option<i32>, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_fillguard")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

fn json(args: &[&str]) -> Value {
    let (code, out, said) = fillguard(&[args, &["--format", "json"]].concat());
    assert_eq!(code, Some(0), "{said}");
    serde_json::from_str(&out).unwrap()
}

/// Returns an account's fills up to arrival `n`, each once, by time.
fn fills(name: &str, who: &str, n: u64) -> Vec<Fill> {
    let number = |value: &Value| value.as_str().map_or_else(|| value.as_f64().unwrap(), |text| text.parse().unwrap());
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut found: BTreeMap<(String, i64), Fill> = BTreeMap::new();
    for line in std::fs::read_to_string(recording(name)).unwrap().lines().skip(1) {
        let line: Value = serde_json::from_str(line).unwrap();
        let of_account = line["from"].as_str().is_some_and(|from| from.split('/').nth(1) == Some(who));
        if line["n"].as_u64().is_none_or(|number| number > n) || !of_account {
            continue;
        }
        let event = &line["frame"]["event"];
        let mut take = |pair: String, trade: i64, ms: i64, order: String, buys: bool, quote: f64| {
            found.insert((pair.clone(), trade), Fill { ms, pair, order, buys, quote });
        };
        if event["e"] == "executionReport" && event["x"] == "TRADE" {
            let quote = number(&event["L"]) * number(&event["l"]);
            let trade = event["t"].as_i64().unwrap();
            take(text(&event["s"]), trade, event["T"].as_i64().unwrap(), text(&event["i"]), event["S"] == "BUY", quote);
        }
        if line["call"].as_str().is_some_and(|call| call.contains("myTrades")) {
            let rows =
                line["frame"].as_array().or_else(|| line["frame"]["result"].as_array()).cloned().unwrap_or_default();
            for row in rows {
                let quote = number(&row["price"]) * number(&row["qty"]);
                let (trade, ms) = (row["id"].as_i64().unwrap(), row["time"].as_i64().unwrap());
                take(text(&row["symbol"]), trade, ms, text(&row["orderId"]), row["isBuyer"] == true, quote);
            }
        }
    }
    let mut fills: Vec<Fill> = found.into_values().collect();
    fills.sort_by_key(|fill| fill.ms);
    fills
}

/// Returns how many sessions are over at the last fill, and how many of them opened a new pair.
fn sessions(fills: &[Fill]) -> (usize, usize) {
    let (mut over, mut opening, mut opened) = (0, 0, false);
    let (mut known, mut last): (BTreeSet<&str>, Option<i64>) = (BTreeSet::new(), None);
    let mut began = 0;
    for fill in fills {
        // A session that never pauses is over after six hours.
        if last.is_none_or(|last| fill.ms - last > 600_000 || fill.ms - began > 6 * 3_600_000) {
            over += usize::from(last.is_some());
            opening += usize::from(opened);
            (opened, began) = (false, fill.ms);
        }
        opened |= known.insert(&fill.pair);
        last = Some(fill.ms);
    }
    (over, opening)
}

fn close(told: &Value, counted: f64, what: &str) {
    let told = told.as_f64().unwrap_or_else(|| panic!("{what} is not told"));
    assert!((told - counted).abs() <= 0.002 * counted.abs().max(1.0), "{what}: told {told}, counted {counted}");
}

/// Counts again what a weighed rule tells, from the fills that it had seen.
fn check(weighed: &Value, fills: &[Fill], buys: bool) -> usize {
    let terms = weighed["terms"].as_array().unwrap();
    let sum: f64 = terms.iter().map(|term| term["nats"].as_f64().unwrap()).sum();
    close(&weighed["score"], sum, "score");
    if let Some(needed) = weighed["next"]["needed"].as_f64() {
        close(&weighed["next"]["missing"], needed - sum, "missing");
    }
    let now = fills.last().unwrap();
    let (over, opening) = sessions(fills);
    let mut counted = 0;
    for term in terms {
        let (name, inputs, nats) = (term["name"].as_str().unwrap(), &term["inputs"], &term["nats"]);
        let input = |name: &str| inputs[name].as_f64().unwrap_or_else(|| panic!("{name} is not told: {term}"));
        match name {
            "pair_novelty" => {
                close(&inputs["sessions"], over as f64, "sessions");
                close(&inputs["sessions that opened a new pair"], opening as f64, "openings");
                let p = (opening as f64 + 1.0) / (over as f64 + 3.0);
                close(&inputs["p = (opened + 1) / (sessions + 3)"], p, "p");
                let first = fills.iter().find(|fill| fill.pair == now.pair).unwrap().ms;
                let new = now.ms - first < 86_400_000;
                close(&term["value"], f64::from(u8::from(new)), "new pair");
                let weight = if new { (0.8 / p).ln() } else { (0.2 / (1.0 - p)).ln() };
                close(nats, weight.clamp(-2.0, 4.0), name);
            }
            "size" => {
                // Sums are kept by the minute, five of them.
                let newest = fills.iter().rfind(|fill| fill.buys == buys).unwrap().ms / 60_000;
                let recent = |fill: &&Fill| fill.buys == buys && newest - fill.ms / 60_000 < 5;
                let dollars = |fill: &Fill| if fill.pair.ends_with("BTC") { fill.quote * 30_000.0 } else { fill.quote };
                let spent: f64 = fills.iter().filter(recent).map(dollars).sum();
                close(&inputs["dollars in five minutes"], spent, "spent");
                close(&term["value"], spent / input("usual dollars"), "times usual");
                close(
                    nats,
                    input("part") * (0.5 / input("p of as much or more").max(1e-9)).ln().clamp(-1.5, 6.0),
                    name,
                );
            }
            "rate" => {
                let orders: BTreeSet<&str> = fills
                    .iter()
                    .filter(|fill| now.ms / 10_000 - fill.ms / 10_000 < 6)
                    .map(|fill| fill.order.as_str())
                    .collect();
                close(&inputs["orders in the last minute"], orders.len() as f64, "orders");
                close(
                    nats,
                    input("part") * (0.3 / input("p of as many or more").max(1e-9)).ln().clamp(-1.0, 6.0),
                    name,
                );
            }
            "whole_balance" => {
                close(&inputs["sessions"], over as f64, "sessions");
                let p = (input("sessions that took a whole balance") + 0.5) / (over as f64 + 2.0);
                close(nats, (0.6 / p).ln().clamp(0.0, 1.5), name);
            }
            "sold_before" => {
                let p = (input("sessions that sold as many") + 0.5) / (over as f64 + 2.0);
                close(&inputs["most"], (0.8 / p).ln().clamp(0.0, 4.8), "most");
                close(nats, (1.2 * input("holdings")).min(4.8).min(input("most")), name);
            }
            "market" => close(nats, input("evidence of the market") - input("habit"), name),
            _ => continue,
        }
        counted += 1;
    }
    counted
}

/// The incident of a recording, from the verdicts beside it.
fn named(name: &str) -> String {
    let expected = std::fs::read_to_string(recording(name).with_extension("expected")).unwrap();
    let first: Value = serde_json::from_str(expected.lines().next().unwrap()).unwrap();
    first["incident"].as_str().unwrap().to_owned()
}

#[test]
fn every_figure_of_an_explained_incident_follows_from_the_recording() {
    let mut counted = 0;
    for name in ["pump_of_a_new_pair", "liquidation_then_pump", "planted_ask", "churn"] {
        let file = recording(name).display().to_string();
        let told = json(&["explain", &named(name), &file]);
        assert_eq!(told["account"], "binance/alice");
        for finding in told["findings"].as_array().unwrap() {
            let sum: f64 = finding["terms"].as_array().unwrap().iter().map(|term| term["nats"].as_f64().unwrap()).sum();
            close(&finding["score"], sum, "score");
            let weighed = &finding["weighed"];
            assert!(weighed.is_object(), "{name}: {} was not weighed again", finding["rule"]);
            if finding["rule"] == "pump_buy" {
                counted += check(weighed, &fills(name, "alice", finding["n"].as_u64().unwrap()), true);
            }
        }
    }
    println!("{counted} terms were counted again");
    assert!(counted >= 6, "{counted}");
}

#[test]
fn an_ordinary_order_is_told_what_it_lacked_and_each_figure_follows_from_the_recording() {
    let name = "ordinary_dca_and_grid";
    let file = recording(name).display().to_string();
    let all = fills(name, "dave", u64::MAX);
    let mut counted = 0;
    for order in all.iter().map(|fill| fill.order.clone()).collect::<BTreeSet<_>>().into_iter().rev().take(3) {
        let told = json(&["why-not", "--account", "binance/dave", "--order", &order, "--rule", "pump_buy", &file]);
        assert_eq!((&told["level"], &told["order"]), (&Value::Null, &Value::String(order.clone())));
        let weighed = &told["weighed"];
        assert_eq!(weighed["next"]["level"], "notice");
        assert!(weighed["next"]["missing"].as_f64().unwrap() > 0.0);
        counted += check(weighed, &fills(name, "dave", told["n"].as_u64().unwrap()), told["side"] == "buy");
        let told = json(&["why-not", "--account", "binance/dave", "--order", &order, "--rule", "planted_ask", &file]);
        let lacks = told["weighed"]["lacks"].as_array().unwrap();
        assert!(!lacks.is_empty() && told["weighed"]["terms"].as_array().unwrap().is_empty());
        assert!(lacks.iter().all(|lack| lack["had"].as_f64() < lack["needed"].as_f64()), "{lacks:?}");
    }
    assert!(counted >= 3, "{counted}");
    let order = &all.last().unwrap().order;
    let args = ["why-not", "--account", "binance/dave", "--order", order, "--rule", "pump_buy", &file];
    let (code, out, _) = fillguard(&args);
    assert_eq!(code, Some(0));
    assert!(out.contains("pump_buy said nothing") && out.contains("notice needed 4, it had"), "{out}");
    assert!(out.contains("sessions that opened a new pair:"), "{out}");
}

#[test]
fn an_order_that_was_told_of_says_so_and_what_the_next_level_takes() {
    let file = recording("pump_of_a_new_pair").display().to_string();
    let told = json(&["why-not", "--account", "binance/alice", "--order", "81000112", "--rule", "pump_buy", &file]);
    assert_eq!(
        (told["level"].as_str(), told["told"][0].as_str()),
        (Some("act"), Some(named("pump_of_a_new_pair").as_str()))
    );
    let (_, text, _) = fillguard(&["explain", &named("pump_of_a_new_pair"), &file]);
    for part in
        ["pump_buy APPC-BTC: act at arrival", "pair_novelty (habit): 1 new pair", "ln(0.8 / p)", "nothing is louder"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn what_is_not_there_is_told_with_what_is_near() {
    let file = recording("pump_of_a_new_pair").display().to_string();
    let why_not = |account: &str, order: &str, rule: &str| {
        let (code, _, said) = fillguard(&["why-not", "--account", account, "--order", order, "--rule", rule, &file]);
        assert_eq!(code, Some(2), "{said}");
        said
    };
    assert!(why_not("alice", "1", "pump_buy").contains("binance/alice"));
    assert!(why_not("binance/alise", "1", "pump_buy").contains("no account binance/alise"));
    assert!(why_not("binance/alise", "1", "pump_buy").contains("nearest are binance/alice"));
    assert!(why_not("binance/alice", "81000113", "pump_buy").contains("81000112"));
    assert!(why_not("binance/alice", "81000112", "pump_bui").contains("did you mean pump_buy?"));
    assert!(why_not("binance/alice", "81000112", "blind").contains("rules of orders are pump_buy"));
    let (code, _, said) = fillguard(&["explain", "binance-alice-41", &file]);
    assert_eq!(code, Some(2));
    assert!(said.contains("no incident binance-alice-41") && said.contains("binance-alice-40"), "{said}");
    let (code, _, said) = fillguard(&["explain", "binance-alice-40", "/nowhere/at/all.ndjson"]);
    assert!(code == Some(2) && said.contains("/nowhere/at/all.ndjson"), "{said}");
}
