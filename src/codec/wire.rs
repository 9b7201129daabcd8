//! How exchanges write numbers and names in JSON: amounts as text or number, ids as text or integer.

use std::fmt;

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::domain::{Price, Quantity, Refused, decimal};

/// An amount, written as text (every digit kept) or as a JSON number (17 digits, as its sender had them).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount(pub Decimal);

/// An id, written as text or as an integer of any size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Id(pub CompactString);

/// A whole number, written as text or as a number: times, counts, sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Whole(pub i64);

impl Amount {
    /// Takes it as a price; refuses what is not above zero.
    pub fn price(self) -> Result<Price, Refused> {
        Price::new(self.0)
    }

    /// Takes it as a quantity; refuses what is not above zero.
    pub fn quantity(self) -> Result<Quantity, Refused> {
        Quantity::new(self.0)
    }
}

/// Returns the characters of a JSON scalar: a string's content, or a number as it was written.
fn scalar<'de, D: Deserializer<'de>>(deserializer: D, what: &'static str) -> Result<CompactString, D::Error> {
    struct Scalar(&'static str);
    impl<'de> Visitor<'de> for Scalar {
        type Value = CompactString;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<CompactString, E> {
            Ok(text.into())
        }
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<CompactString, E> {
            Ok(compact_str::format_compact!("{number}"))
        }
        fn visit_i64<E: de::Error>(self, number: i64) -> Result<CompactString, E> {
            Ok(compact_str::format_compact!("{number}"))
        }
        fn visit_f64<E: de::Error>(self, number: f64) -> Result<CompactString, E> {
            // The shortest text that reads back as the same number: what a sender of a JSON number meant.
            Ok(compact_str::format_compact!("{number}"))
        }
    }
    deserializer.deserialize_any(Scalar(what))
}

// The value itself is never part of the message: it could be a secret or a person's data.
impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = scalar(deserializer, "an amount as text or number")?;
        decimal(&text).map(Amount).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer, "an id as text or integer").map(Id)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = scalar(deserializer, "a whole number as text or number")?;
        text.parse().map(Whole).map_err(|_| de::Error::custom("not a whole number in range"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_ids_are_read_from_text_and_number() {
        let amounts: Vec<Amount> = serde_json::from_str(r#"["0.00010000", 0.0001, 1e-4]"#).unwrap();
        assert!(amounts.iter().all(|amount| amount.0 == Decimal::new(1, 4)));
        let ids: Vec<Id> = serde_json::from_str(r#"["22075878662488064", 22075878662488064]"#).unwrap();
        assert_eq!(ids[0], ids[1]);
        assert_eq!(serde_json::from_str::<Whole>("1670329987311000000").unwrap().0, 1_670_329_987_311_000_000);
        assert_eq!(serde_json::from_str::<Whole>(r#""1730269283892""#).unwrap().0, 1_730_269_283_892);
    }

    #[test]
    fn a_refusal_does_not_repeat_the_value() {
        let error = serde_json::from_str::<Amount>(r#""hunter2""#).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(serde_json::from_str::<Amount>("[1]").is_err() && serde_json::from_str::<Whole>("1.5").is_err());
    }
}
