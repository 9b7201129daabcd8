//! What was done by whom in a made recording: `FILE.labels.ndjson`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, Write};
use std::ops::RangeInclusive;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::domain::{AccountId, Asset, Side, Span, Timestamp};

/// One account's stretch of a recording and what it was. A victim has two: its ordinary time and the attack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Label {
    /// Whose.
    #[serde(serialize_with = "written")]
    pub account: AccountId,
    /// Ordinary time, or which attack.
    pub kind: What,
    /// How the account trades when it is its owner's.
    pub trader: String,
    /// The first arrival of the stretch.
    pub first: Mark,
    /// The last arrival of the stretch.
    pub last: Mark,
    /// What the attack adds.
    #[serde(flatten)]
    pub hostile: Option<Hostile>,
}

/// What is known of an attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hostile {
    /// Everything the hostile orders moved, buys and sells, in `asset`.
    pub hostile_quote: Decimal,
    /// The quote of the attacked pair.
    pub asset: Asset,
    /// What the account was worth when it began, in `asset`.
    pub equity: Decimal,
    /// The attacked pair as the exchange spells it.
    pub pair: String,
    /// The share of the tape's taker orders that were given to the account; absent where trades were made up.
    pub participation: Option<f64>,
    /// What the attacked pair cost right before the first hostile order; absent in labels that do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Decimal>,
    /// The hostile orders, in order of their first fill.
    pub orders: Vec<HostileOrder>,
}

/// One hostile order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostileOrder {
    /// The arrival of its first fill.
    pub n: u64,
    /// When that came, in ns since 1970.
    pub at: i64,
    /// The pair as the exchange spells it.
    pub pair: String,
    /// Which way.
    pub side: Side,
    /// What it moved, in the pair's quote.
    pub quote: Decimal,
    /// The base it moved; absent in labels that do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Decimal>,
}

/// An arrival: its number and when it came, in ns since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its number.
    pub n: u64,
    /// When it came, in ns since 1970.
    pub at: i64,
}

/// Ordinary time, or one of the attacks, by the names they have in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum What {
    /// The owner's own trading.
    #[serde(rename = "ordinary")]
    Ordinary,
    /// I1: a burst of taker buys as a thin pair is raised.
    #[serde(rename = "I1")]
    Burst,
    /// I2: the holdings are sold first, then the burst.
    #[serde(rename = "I2")]
    LiquidateThenBurst,
    /// I3: a buy against an ask planted far above the price.
    #[serde(rename = "I3")]
    PlantedAsk,
    /// I4: losing round trips against the attacker's own orders.
    #[serde(rename = "I4")]
    Churn,
    /// I5: a tiny order, and hours or days later the burst.
    #[serde(rename = "I5")]
    ProbeThenBurst,
    /// I6: many small buys of a thin pair over hours.
    #[serde(rename = "I6")]
    Slow,
    /// I7: the burst in a pair the account already trades.
    #[serde(rename = "I7")]
    KnownPair,
    /// I8: a holding is sold into the fall after a pump.
    #[serde(rename = "I8")]
    SellMirror,
    /// I9: the burst on several accounts at once.
    #[serde(rename = "I9")]
    Fleet,
    /// I10: the burst with order ids of the account's own grammar.
    #[serde(rename = "I10")]
    OwnGrammar,
}

/// A name that no attack has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no attack is called `{0}`; choose I1, I2, I3, I4, I5, I6, I7, I8, I9 or I10")]
pub struct NotAnAttack(String);

/// A label file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The file cannot be read.
    #[error("cannot read labels: {0}")]
    Unreadable(#[from] std::io::Error),
    /// A line is not a label.
    #[error("line {line} is not a label: {why}. A label has at least {least}", least = LEAST)]
    Line {
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A label names an arrival that the recording does not hold.
    #[error("{kind} of {account} names arrival {n}, and the recording {held}")]
    Elsewhere {
        /// What the label says it was.
        kind: What,
        /// Whose it is.
        account: String,
        /// The number it names.
        n: u64,
        /// What the recording holds instead.
        held: String,
    },
    /// A mark's time is not that of its arrival, so it was made for another recording.
    #[error(
        "{kind} of {account} says that arrival {n} came at {at} ns, and it came at {came}; write {n} alone, or correct it"
    )]
    OtherTime {
        /// What the label says it was.
        kind: What,
        /// Whose it is.
        account: String,
        /// Which arrival.
        n: u64,
        /// When it came, as the label says.
        at: i64,
        /// When it came, as the recording says.
        came: i64,
    },
    /// A stretch ends before it begins.
    #[error(
        "line {line}: `first` and `last` are numbers of arrivals, counted from 1, and `last` is not before `first`"
    )]
    Order {
        /// Which line, counted from 1.
        line: usize,
    },
}

/// The shortest label, as an example.
const LEAST: &str = r#"{"account":"binance/alice","kind":"I1","first":4711,"last":4800}"#;

/// Ordinary time that is not labelled begins this long after an attack: what is said of the attack until then is late,
/// and no false alarm.
const AFTERMATH: Span = Span::from_secs(1_800);

impl Label {
    /// Returns when the stretch began.
    pub fn since(&self) -> Timestamp {
        Timestamp::from_nanos(self.first.at)
    }

    /// Returns when the stretch ended.
    pub fn until(&self) -> Timestamp {
        Timestamp::from_nanos(self.last.at)
    }
}

impl What {
    /// All attacks, in order of their names.
    pub const ATTACKS: [What; 10] = [
        What::Burst,
        What::LiquidateThenBurst,
        What::PlantedAsk,
        What::Churn,
        What::ProbeThenBurst,
        What::Slow,
        What::KnownPair,
        What::SellMirror,
        What::Fleet,
        What::OwnGrammar,
    ];

    /// Returns the name used in files and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            What::Ordinary => "ordinary",
            What::Burst => "I1",
            What::LiquidateThenBurst => "I2",
            What::PlantedAsk => "I3",
            What::Churn => "I4",
            What::ProbeThenBurst => "I5",
            What::Slow => "I6",
            What::KnownPair => "I7",
            What::SellMirror => "I8",
            What::Fleet => "I9",
            What::OwnGrammar => "I10",
        }
    }

    /// Returns what it is, in a few words.
    pub const fn title(self) -> &'static str {
        match self {
            What::Ordinary => "ordinary time",
            What::Burst => "burst into a pump",
            What::LiquidateThenBurst => "holdings sold, then burst",
            What::PlantedAsk => "planted ask",
            What::Churn => "churn",
            What::ProbeThenBurst => "probe, then burst",
            What::Slow => "small buys over hours",
            What::KnownPair => "burst in a known pair",
            What::SellMirror => "sold into the fall",
            What::Fleet => "several accounts at once",
            What::OwnGrammar => "burst with own order ids",
        }
    }
}

impl FromStr for What {
    type Err = NotAnAttack;
    fn from_str(text: &str) -> Result<Self, NotAnAttack> {
        let named = What::ATTACKS.into_iter().find(|attack| attack.as_str().eq_ignore_ascii_case(text));
        named.ok_or_else(|| NotAnAttack(text.to_owned()))
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Writes labels, one a line.
pub fn write_labels(out: &mut dyn Write, labels: &[Label]) -> std::io::Result<()> {
    for label in labels {
        serde_json::to_writer(&mut *out, label)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// A label as people write it: what is not known may be left out, and a mark may be an arrival's number alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(deserialize_with = "read_account")]
    account: AccountId,
    kind: What,
    #[serde(default)]
    trader: Option<String>,
    first: WrittenMark,
    last: WrittenMark,
    hostile_quote: Option<Decimal>,
    asset: Option<Asset>,
    equity: Option<Decimal>,
    pair: Option<String>,
    participation: Option<f64>,
    reference: Option<Decimal>,
    orders: Option<Vec<HostileOrder>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenMark {
    Number(u64),
    Full(Mark),
}

impl From<WrittenMark> for Mark {
    fn from(mark: WrittenMark) -> Mark {
        match mark {
            WrittenMark::Number(n) => Mark { n, at: 0 },
            WrittenMark::Full(mark) => mark,
        }
    }
}

impl From<Written> for Label {
    fn from(written: Written) -> Label {
        let Written { account, kind, trader, first, last, participation, reference, .. } = written;
        let told = (written.hostile_quote, written.asset, written.pair, written.orders);
        let hostile = match told {
            (Some(hostile_quote), Some(asset), Some(pair), Some(orders)) => {
                let equity = written.equity.unwrap_or_default();
                Some(Hostile { hostile_quote, asset, equity, pair, participation, reference, orders })
            }
            (_, _, _, _) => None,
        };
        let trader = trader.unwrap_or_else(|| "unnamed".to_owned());
        Label { account, kind, trader, first: first.into(), last: last.into(), hostile }
    }
}

/// The fields of a label, what each of them is, and whether there is no label without it.
const FIELDS: &[(&str, &str, bool)] = &[
    ("account", "an account as in the recording's `from`, such as \"binance/alice\"", true),
    ("kind", "\"ordinary\" or an attack, \"I1\" to \"I10\"", true),
    ("trader", "a text", false),
    ("first", A_MARK, true),
    ("last", A_MARK, true),
    ("hostile_quote", A_NUMBER, false),
    ("asset", "an asset's name, such as \"BTC\"", false),
    ("equity", A_NUMBER, false),
    ("pair", "a pair as the exchange spells it, such as \"APPCBTC\"", false),
    ("participation", "a number", false),
    ("reference", A_NUMBER, false),
    ("orders", "a list of orders, each with n, at, pair, side (\"buy\" or \"sell\"), quote and, if known, base", false),
];
const A_MARK: &str =
    "the number of an arrival, or its number and its time in ns: {\"n\":4711,\"at\":1747385641636000000}";
const A_NUMBER: &str = "a decimal number, as a text such as \"0.15\"";

/// Says what is wrong with a line that is no label, in words of the file and not of the program.
fn wrong_in(line: &str) -> String {
    let value = match serde_json::from_str::<Value>(line) {
        Ok(value) => value,
        Err(error) => return format!("it is not JSON from column {}", error.column()),
    };
    let Value::Object(fields) = value else { return "it is not a JSON object".to_owned() };
    let names: Vec<&str> = FIELDS.iter().map(|(name, _, _)| *name).collect();
    if let Some(unknown) = fields.keys().find(|name| !names.contains(&name.as_str())) {
        let near = crate::spelling::nearest(unknown, &names).map(|near| format!("; did you mean `{near}`?"));
        return format!("it has no field {}{}", shortened(&Value::from(unknown.as_str())), near.unwrap_or_default());
    }
    for (name, what, needed) in FIELDS {
        match fields.get(*name).filter(|value| !value.is_null()) {
            None if *needed => return format!("`{name}` is missing: {what}"),
            None => {}
            Some(value) if is_read(name, value) => {}
            Some(value) => return format!("`{name}` is {}, and should be {what}", shortened(value)),
        }
    }
    "a field stands in it twice".to_owned()
}

fn is_read(name: &str, value: &Value) -> bool {
    match name {
        "account" => value.as_str().is_some_and(|text| text.parse::<AccountId>().is_ok()),
        "kind" => What::deserialize(value).is_ok(),
        "first" | "last" => WrittenMark::deserialize(value).is_ok(),
        "asset" => Asset::deserialize(value).is_ok(),
        "participation" => value.is_number(),
        "orders" => Vec::<HostileOrder>::deserialize(value).is_ok(),
        "trader" | "pair" => value.is_string(),
        _ => <Decimal as Deserialize>::deserialize(value).is_ok(),
    }
}

/// Returns a value as JSON writes it, which leaves no control characters, and not all of a long one.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Reads labels, one a line; empty lines are passed over, and so is the mark that editors put before the first.
///
/// `account`, `kind`, `first` and `last` are needed. A mark that is an arrival's number alone has no time yet: see
/// [`complete`].
pub fn read_labels(source: impl BufRead) -> Result<Vec<Label>, LabelsError> {
    let mut labels = Vec::new();
    for (place, line) in source.lines().enumerate() {
        let line = line?;
        let line = if place == 0 { line.trim_start_matches('\u{feff}') } else { line.as_str() };
        if !line.trim().is_empty() {
            let read = serde_json::from_str::<Written>(line);
            let label: Label = read.map_err(|_| LabelsError::Line { line: place + 1, why: wrong_in(line) })?.into();
            if label.first.n == 0 || label.last.n < label.first.n {
                return Err(LabelsError::Order { line: place + 1 });
            }
            labels.push(label);
        }
    }
    Ok(labels)
}

/// The stretch of a recording in which something of an account arrived.
pub type Seen = BTreeMap<AccountId, (Mark, Mark)>;

/// Says whether labels are of a recording that holds the arrivals `held`; `at` has the times of those that are named.
///
/// Labels of another recording would be scored as attacks that nobody saw.
pub fn fit(labels: &[Label], at: &BTreeMap<u64, i64>, held: &RangeInclusive<u64>) -> Result<(), LabelsError> {
    for label in labels {
        let (kind, account) = (label.kind, label.account.to_string());
        let orders = label.hostile.iter().flat_map(|hostile| &hostile.orders).map(|order| order.n);
        if let Some(n) = [label.first.n, label.last.n].into_iter().chain(orders).find(|n| !held.contains(n)) {
            let held = match (held.is_empty(), n < *held.start()) {
                (true, _) => "holds no arrivals".to_owned(),
                (false, true) => format!("begins at arrival {}", held.start()),
                (false, false) => format!("ends at arrival {}", held.end()),
            };
            return Err(LabelsError::Elsewhere { kind, account, n, held });
        }
        for Mark { n, at: told } in [label.first, label.last] {
            match at.get(&n) {
                Some(&came) if told != 0 && told != came => {
                    return Err(LabelsError::OtherTime { kind, account, n, at: told, came });
                }
                Some(_) | None => {}
            }
        }
    }
    Ok(())
}

/// Adds what labels leave to the recording: the time of marks that are numbers alone, and ordinary time.
///
/// An account without any label of ordinary time was its owner's wherever no attack on it is labelled: up to the first
/// attack, and from half an hour after each.
pub fn complete(labels: &mut Vec<Label>, seen: &Seen, at: &BTreeMap<u64, i64>) {
    let latest = seen.values().map(|(_, last)| *last).max_by_key(|mark| mark.n);
    for label in labels.iter_mut() {
        for mark in [&mut label.first, &mut label.last] {
            if mark.at == 0 {
                let told = at.get(&mark.n).copied();
                mark.at = told.or(latest.map(|latest| latest.at)).unwrap_or_default();
            }
        }
    }
    let mut ordinary = Vec::new();
    for (account, (first, last)) in seen {
        let own: Vec<&Label> = labels.iter().filter(|label| label.account == *account).collect();
        if own.iter().any(|label| label.kind == What::Ordinary) {
            continue;
        }
        let trader = own.first().map_or_else(|| "unnamed".to_owned(), |label| label.trader.clone());
        let mut attacks: Vec<(Mark, Mark)> = own.iter().map(|label| (label.first, label.last)).collect();
        attacks.sort_by_key(|(first, _)| first.n);
        let mut from = *first;
        for (begun, ended) in attacks.into_iter().chain([(Mark { n: last.n + 1, at: last.at }, *last)]) {
            if begun.n > from.n && begun.at > from.at {
                let until = Mark { n: begun.n - 1, at: begun.at };
                let (account, trader) = (account.clone(), trader.clone());
                ordinary.push(Label { account, kind: What::Ordinary, trader, first: from, last: until, hostile: None });
            }
            from = Mark { n: from.n.max(ended.n + 1), at: ended.at.max(from.at).saturating_add(AFTERMATH.nanos()) };
        }
    }
    labels.extend(ordinary);
}

fn written<S: Serializer>(account: &AccountId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(account)
}

fn read_account<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AccountId, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_they_were_written() {
        let hostile = Hostile {
            hostile_quote: Decimal::new(15, 1),
            asset: Asset::new("BTC").unwrap(),
            equity: Decimal::TWO,
            pair: "ADXBTC".into(),
            participation: Some(0.1),
            reference: Some(Decimal::ONE),
            orders: vec![HostileOrder {
                n: 5,
                at: 7,
                pair: "ADXBTC".into(),
                side: Side::Buy,
                quote: Decimal::new(15, 1),
                base: Some(Decimal::ONE),
            }],
        };
        let label = |kind, hostile| Label {
            account: "binance/victim".parse().unwrap(),
            kind,
            trader: "dca".into(),
            first: Mark { n: 1, at: 2 },
            last: Mark { n: 9, at: 8 },
            hostile,
        };
        let labels = vec![label(What::Ordinary, None), label(What::Burst, Some(hostile))];
        let mut text = Vec::new();
        write_labels(&mut text, &labels).unwrap();
        let first = text.split(|&byte| byte == b'\n').next().unwrap();
        assert_eq!(
            std::str::from_utf8(first).unwrap(),
            r#"{"account":"binance/victim","kind":"ordinary","trader":"dca","first":{"n":1,"at":2},"last":{"n":9,"at":8}}"#
        );
        assert_eq!(read_labels(&text[..]).unwrap(), labels);
        assert!(matches!(read_labels(&b"\n{}"[..]), Err(LabelsError::Line { line: 2, .. })));
    }

    #[test]
    fn a_label_may_be_short_and_what_is_not_labelled_is_ordinary_time() {
        let text = concat!(
            r#"{"account":"binance/a","kind":"I1","first":100,"last":200}"#,
            "\n",
            r#"{"account":"binance/b","kind":"ordinary","first":{"n":1,"at":5},"last":900,"trader":"dca"}"#
        );
        let mut labels = read_labels(text.as_bytes()).unwrap();
        let second = 1_000_000_000;
        let mark = |n: u64| Mark { n, at: n as i64 * second };
        let ids = ["binance/a", "binance/b", "binance/c"].map(|id| id.parse::<AccountId>().unwrap());
        let seen: Seen = ids.iter().map(|id| (id.clone(), (mark(1), mark(9_000)))).collect();
        let at = [100, 200, 900].into_iter().map(|n| (n, n as i64 * second)).collect();
        complete(&mut labels, &seen, &at);
        let told: Vec<_> = labels
            .iter()
            .map(|label| (label.account.name.to_string(), label.kind, label.first.n, label.since().nanos() / second))
            .collect();
        assert_eq!(
            told,
            [
                ("a".to_owned(), What::Burst, 100, 100),
                ("b".to_owned(), What::Ordinary, 1, 0),
                ("a".to_owned(), What::Ordinary, 1, 1),
                ("a".to_owned(), What::Ordinary, 201, 2_000),
                ("c".to_owned(), What::Ordinary, 1, 1),
            ]
        );
        assert_eq!(labels[2].last.n, 99);
        for (bad, why) in [
            (r#"{"account":"binance/a","kind":"I1","first":9,"last":3}"#, "not before"),
            (r#"{"account":"binance/a","kind":"I1","frist":9,"last":10}"#, "frist"),
            (r#"{"account":"binance/a","kind":"I77","first":9,"last":10}"#, "I77"),
        ] {
            let error = read_labels(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("line 1") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_line_that_is_no_label_is_told_in_words_of_the_file() {
        let whole = |first: &str| format!(r#"{{"account":"binance/a","kind":"I1","first":{first},"last":9}}"#);
        for (bad, why) in [
            (whole("\"5\""), "`first` is \"5\", and should be the number of an arrival"),
            (whole(r#"{"n":5}"#), "`first` is {\"n\":5}, and should be"),
            (whole("-1"), "`first` is -1, and should be"),
            (whole(r#"1,"first":1"#), "a field stands in it twice"),
            (whole(r#"1,"lats":1"#), "it has no field \"lats\"; did you mean `last`?"),
            (whole(r#"1,"orders":[{"n":1}]"#), "`orders` is [{\"n\":1}], and should be a list of orders"),
            (whole(r#"1,"equity":"much""#), "`equity` is \"much\", and should be a decimal number"),
            (r#"{"account":"alice","kind":"I1","first":1,"last":9}"#.into(), "`account` is \"alice\", and should be"),
            (r#"{"account":"binance/a","first":1,"last":9}"#.into(), "`kind` is missing: \"ordinary\" or an attack"),
            (format!(r#"{{"kind":"{}"}}"#, "x".repeat(500)), "`account` is missing"),
            ("[1]".into(), "it is not a JSON object"),
            ("account,kind".into(), "it is not JSON from column 1"),
        ] {
            let error = read_labels(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(LEAST) && error.len() < 600, "{bad}: {error}");
            assert!(!error.contains("struct") && !error.contains("variant"), "{error}");
        }
        let marked = format!("\u{feff}{LEAST}\n{LEAST}");
        assert_eq!(read_labels(marked.as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn the_documented_labels_are_read() {
        let readme = include_str!("../../replay-data/README.md");
        let example = readme.split("## Labels").nth(1).and_then(|rest| rest.split("```json\n").nth(1)).unwrap();
        let labels = read_labels(example.split("```").next().unwrap().as_bytes()).unwrap();
        assert_eq!(labels.iter().map(|label| label.kind).collect::<Vec<_>>(), [What::Burst, What::Ordinary]);
        for (name, _, _) in FIELDS {
            assert!(readme.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn labels_of_another_recording_are_refused() {
        let at = [(100, 7), (200, 9)].into();
        for (first, last, why) in [
            ("100", "200", None),
            (r#"{"n":100,"at":7}"#, "200", None),
            ("100", "201", Some("I1 of binance/a names arrival 201, and the recording ends at arrival 200")),
            ("4", "200", Some("names arrival 4, and the recording begins at arrival 5")),
            ("100", r#"{"n":200,"at":8}"#, Some("arrival 200 came at 8 ns, and it came at 9")),
            (
                "100",
                r#"200,"hostile_quote":"1","asset":"BTC","pair":"ABTC","orders":[{"n":300,"at":1,"pair":"ABTC","side":"buy","quote":"1"}]"#,
                Some("names arrival 300"),
            ),
        ] {
            let text = format!(r#"{{"account":"binance/a","kind":"I1","first":{first},"last":{last}}}"#);
            let labels = read_labels(text.as_bytes()).unwrap();
            match (fit(&labels, &at, &(5..=200)), why) {
                (Ok(()), None) => {}
                (Err(error), Some(why)) => assert!(error.to_string().contains(why), "{error}"),
                (fits, _) => panic!("{text}: {fits:?}"),
            }
        }
    }

    #[test]
    fn every_attack_is_named_as_in_its_file() {
        for attack in What::ATTACKS {
            assert_eq!(serde_json::to_string(&attack).unwrap(), format!("\"{attack}\""));
        }
    }
}
