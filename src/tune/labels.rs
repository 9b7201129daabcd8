//! What was done by whom in a made recording: `FILE.labels.ndjson`.

use std::fmt;
use std::io::{BufRead, Write};
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::{AccountId, Asset, Side, Timestamp};

/// One account's stretch of a recording and what it was. A victim has two: its ordinary time and the attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Whose.
    #[serde(serialize_with = "written", deserialize_with = "read_account")]
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
    #[error("line {line} is not a label: {why}")]
    Line {
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong.
        why: serde_json::Error,
    },
}

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

/// Reads labels, one a line; empty lines are passed over.
pub fn read_labels(source: impl BufRead) -> Result<Vec<Label>, LabelsError> {
    let mut labels = Vec::new();
    for (place, line) in source.lines().enumerate() {
        let line = line?;
        if !line.trim().is_empty() {
            labels.push(serde_json::from_str(&line).map_err(|why| LabelsError::Line { line: place + 1, why })?);
        }
    }
    Ok(labels)
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
            orders: vec![HostileOrder {
                n: 5,
                at: 7,
                pair: "ADXBTC".into(),
                side: Side::Buy,
                quote: Decimal::new(15, 1),
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
    fn every_attack_is_named_as_in_its_file() {
        for attack in What::ATTACKS {
            assert_eq!(serde_json::to_string(&attack).unwrap(), format!("\"{attack}\""));
        }
    }
}
