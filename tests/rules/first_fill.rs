//! The first fill in a pair nobody watched: nothing is known of its market until the exchange tells the pair's past.

use fillguard::domain::{Level, RuleName, Side};
use serde_json::{Value, json};

use crate::tale::{Deal, Dialect, Tale, Verdict, dec, nudge};

const MINUTE: i64 = 60_000;
/// A day, and what a seed is asked beyond it because an order may be minutes old when it comes.
const BARS: i64 = 1_455;
const PAIR: &str = "APPC-BTC";

/// Alice with a month of habits in a large pair, and nothing known of the thin one.
fn alice(dialect: Dialect) -> Tale {
    let mut tale = Tale::new(dialect);
    tale.candles("ETH-BTC", "0.03100000", "2400", 2);
    tale.up("alice").holds("alice", &[("BTC", "1.20000000")]);
    tale.habit("alice", "ETH-BTC", "0.03100000", "0.05", 30, 2.5, 1.2);
    tale.wait(37.0);
    tale
}

/// A buy of alice's usual size at prices a quarter above what the pair cost a minute before.
fn dear() -> Deal {
    Deal::buy("alice", PAIR)
        .at("0.00002500", "700")
        .at("0.00002520", "700")
        .at("0.00002550", "700")
        .at("0.00002600", "700")
}

/// A day of minute bars up to `until` (ms), calm around 0.00002 but for the bars that begin at or after `jump`.
fn bars(tale: &mut Tale, until: i64, jump: Option<(i64, &str)>) {
    let end = until.div_euclid(MINUTE) * MINUTE;
    let mut rows = Vec::new();
    for k in 0..BARS {
        let start = end - (BARS - k) * MINUTE;
        let part = 0.001 * tale.dice();
        let price = match jump {
            Some((from, price)) if start + MINUTE > from => dec(price),
            Some(_) | None => nudge(dec("0.00002000"), part),
        };
        rows.push((start, price.to_string()));
    }
    for page in rows.chunks(720) {
        let (first, last) = (page[0].0, page[page.len() - 1].0 + MINUTE);
        match tale.dialect {
            Dialect::Binance => {
                let rows: Vec<Value> = page
                    .iter()
                    .map(|(at, p)| json!([at, p, p, p, p, "80", at + MINUTE - 1, "0.0016", 2, "40", "0.0008", "0"]))
                    .collect();
                let call = format!("klines?symbol=APPCBTC&interval=1m&startTime={first}&endTime={last}");
                tale.page("binance/market/rest", &call, &rows.into());
            }
            Dialect::KucoinClassic | Dialect::KucoinUnified => {
                let rows: Vec<Value> = page
                    .iter()
                    .rev()
                    .map(|(at, p)| json!([(at / 1_000).to_string(), p, p, p, p, "80", "0.0016"]))
                    .collect();
                let (start, end) = (first / 1_000, last / 1_000);
                let call = format!("market/candles?symbol={PAIR}&type=1min&startAt={start}&endAt={end}");
                tale.page("kucoin/market/rest", &call, &json!({"code": "200000", "data": rows}));
            }
            Dialect::Coinbase => {
                let row = |(at, p): &(i64, String)| json!({"start": (at / 1_000).to_string(), "low": p, "high": p, "open": p, "close": p, "volume": "80"});
                let rows: Vec<Value> = page.iter().rev().map(row).collect();
                let (start, end) = (first / 1_000, last / 1_000);
                let call = format!("market/products/{PAIR}/candles?start={start}&end={end}&granularity=ONE_MINUTE");
                tale.page("coinbase/market/rest", &call, &json!({"candles": rows}));
            }
        }
    }
}

/// The last trades as the exchange lists them: `(ms, price, quantity)`, all bought by takers.
fn trades(tale: &mut Tale, rows: &[(i64, &str, &str)]) {
    match tale.dialect {
        Dialect::Binance => {
            let rows: Vec<Value> = rows
                .iter()
                .enumerate()
                .map(|(id, (at, p, q))| json!({"a": id, "p": p, "q": q, "f": id, "l": id, "T": at, "m": false, "M": true}))
                .collect();
            tale.page("binance/market/rest", "aggTrades?symbol=APPCBTC", &rows.into());
        }
        Dialect::KucoinClassic | Dialect::KucoinUnified => {
            let row = |(at, p, q): &(i64, &str, &str)| json!({"sequence": at.to_string(), "price": p, "size": q, "side": "buy", "time": at * 1_000_000});
            let rows: Vec<Value> = rows.iter().rev().map(row).collect();
            let call = format!("market/histories?symbol={PAIR}");
            tale.page("kucoin/market/rest", &call, &json!({"code": "200000", "data": rows}));
        }
        Dialect::Coinbase => {
            let row = |(at, p, q): &(i64, &str, &str)| {
                let time = fillguard::domain::Timestamp::from_millis(*at).to_string();
                json!({"trade_id": at.to_string(), "product_id": PAIR, "price": p, "size": q, "time": time, "side": "SELL"})
            };
            let rows: Vec<Value> = rows.iter().rev().map(row).collect();
            let call = format!("market/products/{PAIR}/ticker?limit=100");
            tale.page("coinbase/market/rest", &call, &json!({"trades": rows}));
        }
    }
}

/// The dear buy, and the seed two seconds later.
fn raised(dialect: Dialect, late: f64) -> (Tale, u64) {
    let mut tale = alice(dialect);
    let bought = tale.now;
    tale.deal(&dear().unseen());
    let first = tale.arrivals.len() as u64;
    tale.wait(late);
    let now = tale.now;
    bars(&mut tale, now, Some((bought, "0.00003400")));
    trades(
        &mut tale,
        &[
            (bought - 20_000, "0.00002002", "900"),
            (bought - 2_500, "0.00002150", "4000"),
            (bought - 1_500, "0.00002260", "5000"),
            (bought - 700, "0.00002390", "6000"),
            (bought, "0.00002600", "9000"),
            (bought + 900, "0.00003400", "9000"),
        ],
    );
    (tale, first)
}

fn quiet_until(verdict: &Verdict, n: u64) {
    let early = verdict.findings().into_iter().find(|finding| finding.n <= n && finding.level >= Level::Alert);
    assert!(early.is_none(), "{}", verdict.told());
}

const ALL: [Dialect; 3] = [Dialect::Binance, Dialect::KucoinClassic, Dialect::Coinbase];

#[test]
fn the_first_fill_in_an_unknown_pair_that_is_being_raised_is_told_when_its_past_comes() {
    for dialect in ALL {
        let (tale, first) = raised(dialect, 2.0);
        let verdict = tale.replay();
        quiet_until(&verdict, first);
        let found: Vec<_> =
            verdict.of(RuleName::PumpBuy).into_iter().filter(|finding| finding.level >= Level::Alert).collect();
        assert!(!found.is_empty(), "{dialect:?}: {}", verdict.told());
        // Against the price before it, not against its own.
        let loss = found.last().unwrap().loss.clone().unwrap();
        let fair = dec("0.00002000") * dear().quantity();
        let lost = dear().notional() - fair;
        assert!((loss.amount() - lost).abs() < lost * dec("0.05"), "{dialect:?}: {loss}, not about {lost}");
        assert_eq!(verdict.effects.iter().map(incident).collect::<std::collections::BTreeSet<_>>().len(), 1);
    }
}

fn incident(effect: &fillguard::domain::Effect) -> String {
    let fillguard::domain::EffectKind::Incident { incident, .. } = &effect.kind;
    incident.id.to_string()
}

#[test]
fn the_same_first_fill_in_a_calm_pair_is_its_owners() {
    for dialect in ALL {
        let mut tale = alice(dialect);
        let bought = tale.now;
        tale.deal(&Deal::buy("alice", PAIR).at("0.00002002", "2500").unseen());
        tale.wait(2.0);
        let now = tale.now;
        bars(&mut tale, now, None);
        trades(&mut tale, &[(bought - 20_000, "0.00002002", "900"), (bought, "0.00002002", "2500")]);
        let verdict = tale.replay();
        assert!(verdict.loudest() < Some(Level::Alert), "{dialect:?}: {}", verdict.told());
    }
}

#[test]
fn a_past_that_comes_an_hour_late_is_not_judged_by() {
    for dialect in ALL {
        let (tale, first) = raised(dialect, 3_600.0);
        let verdict = tale.replay();
        quiet_until(&verdict, first);
        assert!(verdict.findings().iter().all(|finding| finding.n <= first), "{dialect:?}: {}", verdict.told());
    }
}

/// What was found, without the numbers of arrivals.
fn found(verdict: &Verdict) -> Vec<String> {
    let line = |finding: &&fillguard::domain::Finding| {
        format!("{} {} {} {:?} {:?}", finding.rule, finding.level, finding.score, finding.terms, finding.loss)
    };
    verdict.findings().iter().map(line).collect()
}

#[test]
fn what_the_market_did_after_an_order_changes_nothing_of_its_second_judgement() {
    for dialect in ALL {
        let story = |after: &str| {
            let mut tale = alice(dialect);
            let bought = tale.now;
            tale.deal(&dear().unseen());
            tale.wait(130.0);
            let now = tale.now;
            bars(&mut tale, now, Some((bought, after)));
            trades(
                &mut tale,
                &[
                    (bought - 1_500, "0.00002260", "5000"),
                    (bought + 500, after, "800000"),
                    (bought + 90_000, after, "900000"),
                ],
            );
            found(&tale.replay())
        };
        let calm = story("0.00002000");
        assert!(calm.iter().any(|line| line.contains("alert") || line.contains("act")), "{calm:#?}");
        for after in ["0.00000100", "0.00009000"] {
            assert_eq!(story(after), calm, "{dialect:?}");
        }
    }
}

#[test]
fn a_second_judgement_never_says_less_or_the_same_again() {
    let (mut tale, _) = raised(Dialect::Binance, 2.0);
    let once = tale.replay().findings().len();
    // The same past again, and again.
    let bought = tale.now - 2_000;
    for _ in 0..3 {
        tale.wait(5.0);
        let now = tale.now;
        bars(&mut tale, now, Some((bought, "0.00003400")));
        trades(&mut tale, &[(bought - 1_500, "0.00002260", "5000")]);
    }
    let verdict = tale.replay();
    assert_eq!(verdict.findings().len(), once, "{}", verdict.told());
}

#[test]
fn a_planted_ask_in_an_unknown_pair_is_told_when_its_past_comes() {
    let mut tale = alice(Dialect::Binance);
    tale.deal(&Deal::buy("alice", PAIR).at("0.00080000", "70").unseen());
    let first = tale.arrivals.len() as u64;
    tale.wait(1.0);
    let now = tale.now;
    bars(&mut tale, now, None);
    let verdict = tale.replay();
    quiet_until(&verdict, first);
    assert!(verdict.level(RuleName::PlantedAsk) >= Some(Level::Alert), "{}", verdict.told());
}

#[test]
fn a_sell_into_a_planted_bid_in_an_unknown_pair_is_told_too() {
    let mut tale = alice(Dialect::Binance);
    tale.holds("alice", &[("BTC", "0.40000000"), ("APPC", "60000.00000000")]);
    tale.deal(&Deal::new(Side::Sell, "alice", PAIR).at("0.00000200", "60000").unseen());
    tale.wait(1.0);
    let now = tale.now;
    bars(&mut tale, now, None);
    let verdict = tale.replay();
    assert!(verdict.level(RuleName::PlantedAsk) >= Some(Level::Alert), "{}", verdict.told());
}

#[test]
fn how_large_a_coin_is_is_told_and_weighs_little() {
    let told = |caps: Option<&str>| {
        let mut tale = alice(Dialect::Binance);
        if let Some(caps) = caps {
            tale.push("market-cap/file", fillguard::arrival::Body::Text(caps.into()), 0);
        }
        let bought = tale.now;
        tale.deal(&dear().unseen());
        tale.wait(2.0);
        let now = tale.now;
        bars(&mut tale, now, Some((bought, "0.00003400")));
        tale.replay()
    };
    let score = |verdict: &Verdict| verdict.of(RuleName::PumpBuy).last().unwrap().score;
    let (without, small) = (told(None), told(Some("asset,usd,rank\nAPPC,2149000,1400\n")));
    assert!((score(&small) - score(&without) - 0.5).abs() < 1e-6, "{}", small.told());
    for other in ["ETH,400000000000,2", "APPC,900000000,80"] {
        assert!((score(&told(Some(other))) - score(&without)).abs() < 1e-6, "{other}");
    }
    let text = format!("{:?}", small.effects);
    assert!(text.contains("market cap about $2.1M, rank 1,400"), "{text}");
    assert!(!format!("{:?}", without.effects).contains("market cap"));
}

#[test]
fn the_last_trades_may_come_before_or_after_the_bars() {
    for dialect in ALL {
        let story = |first: bool| {
            let mut tale = alice(dialect);
            let bought = tale.now;
            tale.deal(&dear().unseen());
            tale.wait(1.0);
            let last = [(bought - 900, "0.00002260", "5000"), (bought - 300, "0.00002390", "6000")];
            if first {
                trades(&mut tale, &last);
            }
            let now = tale.now;
            bars(&mut tale, now, None);
            if !first {
                trades(&mut tale, &last);
            }
            tale.replay()
        };
        for verdict in [story(true), story(false)] {
            assert!(verdict.level(RuleName::PumpBuy) >= Some(Level::Alert), "{dialect:?}: {}", verdict.told());
        }
    }
}
