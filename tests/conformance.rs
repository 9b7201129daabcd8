//! The exchanges' own samples, read as the index beside them says they must be.
//!
//! The samples are not part of this project. They are looked for in `$FILLGUARD_SHARED/fixtures`, else in
//! `../shared/fixtures`, and the tests say so and pass where there are none.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a sample or an index of another shape fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fillguard::arrival::{Arrival, Body};
use fillguard::codec::{Codecs, Settings};
use fillguard::domain::{Basis, Event, EventKind, FeedKind, Fill, KeyState, Restriction, Timestamp};
use rust_decimal::Decimal;
use serde_json::Value;

/// A row of the index: what a sample must become. A field in brackets means that the sample does not tell it.
#[derive(Debug)]
struct Expected {
    symbol: String,
    side: String,
    price: String,
    quantity: String,
    fee: String,
    fee_asset: String,
    trade_id: String,
    order_id: String,
    time: String,
    maker: String,
    fill: bool,
}

/// Returns the folder of samples, or says that there is none.
fn samples() -> Option<PathBuf> {
    let shared = std::env::var_os("FILLGUARD_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let fixtures = shared.join("fixtures");
    if fixtures.join("INDEX.md").is_file() {
        return Some(fixtures);
    }
    report("skipped: no samples here; set FILLGUARD_SHARED to the folder that holds fixtures/");
    None
}

#[expect(clippy::print_stdout, reason = "a test's summary goes where the test runner shows it")]
fn report(line: &str) {
    println!("{line}");
}

/// Reads the tables of the index: a file's rows in order.
fn index(folder: &Path) -> BTreeMap<String, Vec<Expected>> {
    let text = fs::read_to_string(folder.join("INDEX.md")).unwrap();
    let mut files: BTreeMap<String, Vec<Expected>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [file, _, symbol, side, price, quantity, fee, fee_asset, trade_id, order_id, time, maker, fill] = cells[..]
        else {
            continue;
        };
        if !file.ends_with(".json") {
            continue;
        }
        files.entry(file.into()).or_default().push(Expected {
            symbol: symbol.into(),
            side: side.into(),
            price: price.into(),
            quantity: quantity.into(),
            fee: fee.into(),
            fee_asset: fee_asset.into(),
            trade_id: trade_id.split(" / ").next().unwrap().into(),
            order_id: order_id.into(),
            time: time.into(),
            maker: maker.into(),
            fill: fill == "True",
        });
    }
    files
}

/// Contracts of the samples.
const LOTS: [&str; 2] = ["XBTUSDTM", "ETHUSDTM"];

/// Wraps a sample into the arrivals it would have come as.
fn arrivals(file: &str, sample: &Value) -> Vec<Arrival> {
    let venue = file.split('/').next().unwrap();
    let frame = |value: &Value| Body::from_text(value.to_string());
    let page =
        |call: &str, value: &Value| Body::Page { call: call.into(), frame: Body::json(value.to_string()).unwrap() };
    let mut bodies = Vec::new();
    if let Some(answer) = sample.get("response") {
        let call = sample["_request"]["path"].as_str().unwrap();
        bodies.push(("/alice/rest", page(call.trim_start_matches('/'), answer)));
    } else if file.contains("__fill_") {
        bodies.push(("/alice/rest", page("orders/historical/fills", sample)));
    } else {
        let several = sample.as_array().map_or_else(|| vec![sample.clone()], Clone::clone);
        // A request is what we send; its answer may come over the socket or, bare, over REST.
        let method = several.iter().find_map(|value| value.get("method")?.as_str()).unwrap_or("").to_owned();
        for value in several.iter().filter(|value| value.get("method").is_none()) {
            let from = if file.contains("_public_") { "/market" } else { "/alice" };
            bodies.push((from, frame(value)));
            if let ("myTrades", Some(result)) = (method.as_str(), value.get("result")) {
                bodies.push(("/alice/rest", page("myTrades?symbol=BTCUSDT", result)));
            }
        }
    }
    let at = Timestamp::from_millis(1_790_000_000_000);
    let number =
        |(n, (from, body))| Arrival { n: n as u64 + 1, at, from: format!("{venue}{from}").parse().unwrap(), body };
    bodies.into_iter().enumerate().map(number).collect()
}

fn decode(file: &str, folder: &Path) -> Vec<Event> {
    let text = fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let sample: Value = serde_json::from_str(&text).unwrap();
    let (mut codecs, mut events) = (Codecs::new(&Settings::default()), Vec::new());
    // The index counts KuCoin's contracts in lots.
    let lot = |name: &str| serde_json::json!({"symbol": name, "unitSize": "1"});
    let list = serde_json::json!({"code": "200000", "data": {"list": LOTS.map(lot)}});
    let frame = Body::json(list.to_string()).unwrap();
    let body = Body::Page { call: "ua/v1/market/instrument?tradeType=FUTURES".into(), frame };
    let at = Timestamp::from_millis(1_790_000_000_000);
    codecs.decode(&Arrival { n: 1, at, from: "kucoin/market/rest".parse().unwrap(), body }, &mut events);
    for arrival in arrivals(file, &sample) {
        codecs.decode(&arrival, &mut events);
    }
    events
}

fn fills(events: &[Event]) -> Vec<&Fill> {
    events.iter().filter_map(|event| if let EventKind::Fill(fill) = &event.kind { Some(fill) } else { None }).collect()
}

fn feeds(events: &[Event]) -> Vec<&FeedKind> {
    let kinds = events.iter().map(|event| &event.kind);
    kinds.filter_map(|kind| if let EventKind::Feed(change) = kind { Some(&change.kind) } else { None }).collect()
}

fn number(text: &str) -> Decimal {
    text.parse().unwrap_or_else(|_| panic!("not a number in the index: {text}"))
}

/// Says in what a fill differs from the index.
fn differences(file: &str, fill: &Fill, row: &Expected) -> Vec<String> {
    let mut found = Vec::new();
    let mut same = |what: &str, got: String, expected: &str| {
        if got != expected {
            found.push(format!("{file}: {what} is {got}, not {expected}"));
        }
    };
    // A contract's name (`XBTUSDTM`) holds its quote; which base it stands for is the exchange's convention.
    let symbol = fill.symbol.to_string();
    match (row.symbol.contains('-'), file.starts_with("binance/")) {
        (true, _) => same("symbol", symbol, &row.symbol),
        (false, true) => same("symbol", symbol.replace('-', ""), &row.symbol),
        (false, false) => assert!(row.symbol.contains(fill.symbol.quote().as_str()), "{file}: {symbol}"),
    }
    same("side", fill.side.to_string(), &row.side.to_lowercase());
    same("price", fill.price.to_string(), &number(&row.price).normalize().to_string());
    match row.quantity.strip_suffix(" QUOTE") {
        None => same("quantity", fill.quantity.to_string(), &number(&row.quantity).normalize().to_string()),
        Some(quote) => {
            let (booked, base) = (fill.notional.round_dp(15), fill.quantity.get().round_dp(15));
            same("notional", booked.normalize().to_string(), &number(quote).round_dp(15).normalize().to_string());
            same("quantity", base.to_string(), &(number(quote) / number(&row.price)).round_dp(15).to_string());
        }
    }
    let told = |cell: &str| !cell.starts_with('(') && cell != "None";
    match (&fill.fee, told(&row.fee)) {
        (None, false) => {}
        (Some(fee), true) => {
            same("fee", fee.amount().normalize().to_string(), &number(&row.fee).normalize().to_string());
            let quote = fill.symbol.quote().to_string();
            let asset = if row.fee_asset == "(quote ccy)" { &quote } else { &row.fee_asset };
            same("fee asset", fee.asset().to_string(), asset);
        }
        (fee, _) => same("fee", format!("{fee:?}"), &row.fee),
    }
    same("trade id", fill.trade_id.as_deref().unwrap_or("(none)").into(), &row.trade_id);
    same("order id", fill.order_id.to_string(), &row.order_id);
    let maker = match row.maker.to_lowercase().as_str() {
        "true" | "maker" => Some(true),
        "false" | "taker" => Some(false),
        _ => None,
    };
    same("maker", format!("{:?}", fill.maker), &format!("{maker:?}"));
    let time =
        Timestamp::from_rfc3339(&row.time).or_else(|| Timestamp::from_magnitude(row.time.parse().ok()?)).unwrap();
    // Futures answers tell when it traded and, up to a second later, when the row was made; the index has the latter.
    let slack = if file.contains("__rest_") { 1_000_000_000 } else { 0 };
    if (fill.time.nanos() - time.nanos()).abs() > slack {
        same("time", fill.time.to_string(), &time.to_string());
    }
    found
}

/// Checks all rows of one exchange and prints what was seen.
fn check(venue: &str) {
    let Some(folder) = samples() else { return };
    let (mut files, mut rows, mut as_told, mut silent) = (0, 0, 0, 0);
    let (mut problems, mut unknown) = (Vec::new(), Vec::new());
    for (file, expected) in index(&folder).iter().filter(|(file, _)| file.split('/').next() == Some(venue)) {
        files += 1;
        rows += expected.len();
        let events = decode(file, &folder);
        let found = fills(&events);
        for kind in feeds(&events) {
            if matches!(kind, FeedKind::Unreadable(_)) {
                problems.push(format!("{file}: {kind:?}"));
            } else if matches!(kind, FeedKind::Unknown(_)) {
                unknown.push(format!("{file}: {kind:?}"));
            }
        }
        if file.contains("cumulative") {
            // Running totals: the index tells the totals, the difference of two is the fill.
            if let Err(why) = one_merged_fill(&found) {
                problems.push(format!("{file}: {why}"));
            }
            as_told += 1;
            continue;
        }
        let wanted: Vec<&Expected> = expected.iter().filter(|row| row.fill).collect();
        if found.len() != wanted.len() {
            problems.push(format!("{file}: {} fills, not {}", found.len(), wanted.len()));
        }
        silent += expected.len() - wanted.len();
        for row in wanted {
            match found.iter().find(|fill| fill.trade_id.as_deref() == Some(&row.trade_id)) {
                None => problems.push(format!("{file}: no fill {}", row.trade_id)),
                Some(fill) => {
                    let differing = differences(file, fill, row);
                    as_told += usize::from(differing.is_empty());
                    problems.extend(differing);
                }
            }
        }
    }
    report(&format!(
        "{venue}: {files} samples, {rows} rows: {as_told} fills as the index tells, {silent} rows no fill"
    ));
    for line in &unknown {
        report(&format!("  told as unknown: {line}"));
    }
    assert!(rows > 0, "the index has no rows of {venue}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// 1 at 100, then 3 at an average of 110: two more at 115, told once.
fn one_merged_fill(found: &[&Fill]) -> Result<(), String> {
    let [fill] = found else { return Err(format!("{} fills, not 1", found.len())) };
    let figures = (fill.quantity.to_string(), fill.price.to_string(), fill.fee.as_ref().map(ToString::to_string));
    if fill.basis != Basis::Provisional || fill.trade_id.is_some() {
        return Err("a difference of totals is provisional and has no trade id".into());
    }
    let expected = ("2".to_owned(), "115".to_owned(), Some("0.23 USD".to_owned()));
    if figures == expected { Ok(()) } else { Err(format!("{figures:?}, not {expected:?}")) }
}

#[test]
fn binance_samples_become_what_the_index_tells() {
    check("binance");
}

#[test]
fn kucoin_samples_become_what_the_index_tells() {
    check("kucoin");
}

#[test]
fn coinbase_samples_become_what_the_index_tells() {
    check("coinbase");
}

#[test]
fn samples_the_index_gives_no_values_for_are_no_fills_and_errors_are_told_as_refusals() {
    let Some(folder) = samples() else { return };
    let index = index(&folder);
    let (mut files, mut refusals, mut problems) = (0, 0, Vec::new());
    for venue in ["binance", "kucoin", "coinbase"] {
        let mut names: Vec<String> = fs::read_dir(folder.join(venue))
            .unwrap()
            .map(|entry| format!("{venue}/{}", entry.unwrap().file_name().to_string_lossy()))
            .filter(|file| file.ends_with(".json") && !index.contains_key(file))
            .collect();
        names.sort();
        for file in names {
            files += 1;
            // Answers about keys and settings are read by whoever asks for them; here they must only do no harm.
            let events = decode(&file, &folder);
            let refused = feeds(&events).iter().any(|kind| matches!(kind, FeedKind::Refused { .. }));
            refusals += usize::from(refused);
            if !fills(&events).is_empty() {
                problems.push(format!("{file}: a fill"));
            }
            if file.contains("error") != refused {
                problems.push(format!("{file}: refused is {refused}"));
            }
        }
    }
    report(&format!("{files} more samples: {refusals} refusals, no fill"));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn samples_about_keys_tell_rights_and_addresses() {
    let Some(folder) = samples() else { return };
    let decode = |file: &str, from: &str, call: &str| -> Vec<KeyState> {
        let sample: Value = serde_json::from_str(&fs::read_to_string(folder.join(file)).unwrap()).unwrap();
        let page = sample.get("response").unwrap_or(&sample);
        let body = Body::Page { call: call.into(), frame: Body::json(page.to_string()).unwrap() };
        let arrival =
            Arrival { n: 1, at: Timestamp::from_millis(1_790_000_000_000), from: from.parse().unwrap(), body };
        let (mut codecs, mut events) = (Codecs::new(&Settings::default()), Vec::new());
        codecs.decode(&arrival, &mut events);
        assert_eq!(feeds(&events), Vec::<&FeedKind>::new(), "{file}");
        let state = |event: Event| if let EventKind::KeyState(state) = event.kind { Some(state) } else { None };
        events.into_iter().filter_map(state).collect()
    };
    let rights = |state: &KeyState| {
        let on: Vec<&str> = state.rights.iter().filter(|(_, on)| **on).map(|(right, _)| right.as_str()).collect();
        on.join(" ")
    };
    let own = decode("binance/sdktest__sapi_apiRestrictions.json", "binance/a/rest", "sapi/v1/account/apiRestrictions");
    assert_eq!(rights(&own[0]), "read unified fix_read internal_transfer universal_transfer");
    assert_eq!((own[0].restriction.clone(), own[0].rights.len()), (Some(Restriction::Open), 11));
    assert_eq!(own[0].created, Some(Timestamp::from_millis(1_623_840_271_000)));
    let listed = "binance/sdktest__sapi_subaccount_query_sub_account_api_key.json";
    let listed = decode(listed, "binance/a/rest", "sapi/v1/sub-account/subAccountApi?email=123@test.com");
    assert_eq!((rights(&listed[0]).as_str(), listed[0].label.as_deref()), ("trade", Some("myKey")));
    let addresses = "binance/sdktest__sapi_subaccount_get_ip_restriction_for_a_sub_account_api_key.json";
    let addresses = decode(addresses, "binance/a/rest", "sapi/v1/sub-account/subAccountApi/ipRestriction");
    assert_eq!(addresses[0].key, listed[0].key);
    assert_eq!(addresses[0].restriction, Some(Restriction::Listed(Some(vec!["69.210.67.14".into()]))));
    let own = decode("kucoin/sdkspec__rest_get_api_v1_user_api_key.json", "kucoin/b/rest", "user/api-key");
    assert_eq!(rights(&own[0]), "read trade margin futures withdraw internal_transfer earn");
    let masked = vec!["103.**.34".into(), "203.**.154".into()];
    assert_eq!(own[0].restriction, Some(Restriction::Listed(Some(masked))));
    let listed = decode("kucoin/sdkspec__rest_get_api_v1_sub_api_key.json", "kucoin/b/rest", "sub/api-key?subName=x");
    assert_eq!((rights(&listed[0]).as_str(), listed[0].holder.as_deref()), ("read", Some("apiSdkTest")));
    report("5 samples about keys read");
}
