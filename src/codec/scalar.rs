//! A JSON value taken as it comes and judged only when it is asked for, so that a refusal can name its field.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use compact_str::{CompactString, format_compact};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::unread::Unread;
use crate::domain::{Asset, Price, Quantity, Refused, Side, Timestamp, decimal};

/// Any JSON value where a scalar belongs, borrowed from the frame and judged only when it is asked for.
///
/// A wire struct made of these never fails for the type of one field, so that the reason can name the field.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scalar<'a> {
    /// The field is not there, or null.
    #[default]
    Absent,
    /// A string.
    Text(Cow<'a, str>),
    /// An integer.
    Whole(i64),
    /// An integer beyond `i64`.
    Big(u64),
    /// A number with a fraction or an exponent, as its sender's binary float.
    Float(f64),
    /// `true` or `false`.
    Flag(bool),
    /// An array or an object.
    Nested,
}

/// A wire struct read from an object only: derived code would also take an array's elements as the fields in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<T>(pub T);

/// One object, or an array of them: streams and REST answers that give both.
#[derive(Clone, Debug, PartialEq)]
pub enum Listed<T> {
    /// An object.
    One(T),
    /// An array of objects.
    Many(Vec<T>),
}

/// What is wrong with one field; never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Amiss {
    /// It is not there, null or empty.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// It is text where a number belongs, or the like.
    #[error("`{0}` is of the wrong type")]
    Type(&'static str),
    /// It is below zero.
    #[error("`{0}` is below zero")]
    Negative(&'static str),
    /// It is a time before 1970.
    #[error("`{0}` is not a time")]
    Time(&'static str),
    /// It is out of range, or names no asset.
    #[error("`{0}`: {1}")]
    Refused(&'static str, Refused),
}

/// The longest id that is kept, in bytes; the exchanges' own are at most 64.
const LONGEST_ID: usize = 128;

impl Scalar<'_> {
    /// Tells whether the field is missing or null.
    pub fn is_absent(&self) -> bool {
        matches!(self, Scalar::Absent)
    }

    /// Returns the text of a string; nothing for any other value.
    pub fn text(&self) -> Option<&str> {
        match self {
            Scalar::Text(text) => Some(text),
            Scalar::Absent
            | Scalar::Whole(_)
            | Scalar::Big(_)
            | Scalar::Float(_)
            | Scalar::Flag(_)
            | Scalar::Nested => None,
        }
    }

    /// Takes it as a string that must be there.
    pub fn word(&self, field: &'static str) -> Result<&str, Amiss> {
        match self {
            Scalar::Text(text) => Ok(text),
            Scalar::Absent => Err(Amiss::Missing(field)),
            Scalar::Whole(_) | Scalar::Big(_) | Scalar::Float(_) | Scalar::Flag(_) | Scalar::Nested => {
                Err(Amiss::Type(field))
            }
        }
    }

    /// Takes it as an amount that must be there, of any sign.
    pub fn amount(&self, field: &'static str) -> Result<Decimal, Amiss> {
        match self {
            Scalar::Text(text) => decimal(text).map_err(|why| Amiss::Refused(field, why)),
            Scalar::Whole(number) => Ok(Decimal::from(*number)),
            Scalar::Big(number) => Ok(Decimal::from(*number)),
            Scalar::Float(number) => decimal(&format_compact!("{number}")).map_err(|why| Amiss::Refused(field, why)),
            Scalar::Absent => Err(Amiss::Missing(field)),
            Scalar::Flag(_) | Scalar::Nested => Err(Amiss::Type(field)),
        }
    }

    /// Takes it as an amount, or nothing where it is missing or null.
    pub fn amount_if_told(&self, field: &'static str) -> Result<Option<Decimal>, Amiss> {
        if self.is_absent() { Ok(None) } else { self.amount(field).map(Some) }
    }

    /// Takes it as an amount that is not below zero.
    pub fn not_negative(&self, field: &'static str) -> Result<Decimal, Amiss> {
        let amount = self.amount(field)?;
        if amount < Decimal::ZERO { Err(Amiss::Negative(field)) } else { Ok(amount) }
    }

    /// Takes it as a price.
    pub fn price(&self, field: &'static str) -> Result<Price, Amiss> {
        Price::new(self.amount(field)?).map_err(|why| Amiss::Refused(field, why))
    }

    /// Takes it as a quantity.
    pub fn quantity(&self, field: &'static str) -> Result<Quantity, Amiss> {
        Quantity::new(self.amount(field)?).map_err(|why| Amiss::Refused(field, why))
    }

    /// Takes it as a whole number, written as text or as an integer.
    pub fn whole(&self, field: &'static str) -> Result<i64, Amiss> {
        match self {
            Scalar::Whole(number) => Ok(*number),
            Scalar::Text(text) => text.parse().map_err(|_| Amiss::Type(field)),
            Scalar::Absent => Err(Amiss::Missing(field)),
            Scalar::Big(_) | Scalar::Float(_) | Scalar::Flag(_) | Scalar::Nested => Err(Amiss::Type(field)),
        }
    }

    /// Takes it as an id, written as text or as an integer; an empty or over-long one is refused.
    pub fn id(&self, field: &'static str) -> Result<CompactString, Amiss> {
        match self {
            Scalar::Text(text) if text.is_empty() => Err(Amiss::Missing(field)),
            Scalar::Text(text) if text.len() > LONGEST_ID => Err(Amiss::Type(field)),
            Scalar::Text(text) => Ok(CompactString::from(text.as_ref())),
            Scalar::Whole(number) => Ok(format_compact!("{number}")),
            Scalar::Big(number) => Ok(format_compact!("{number}")),
            Scalar::Absent => Err(Amiss::Missing(field)),
            Scalar::Float(_) | Scalar::Flag(_) | Scalar::Nested => Err(Amiss::Type(field)),
        }
    }

    /// Takes it as an id, or nothing where it is missing, null or empty.
    pub fn id_if_told(&self, field: &'static str) -> Result<Option<CompactString>, Amiss> {
        match self.id(field) {
            Ok(id) => Ok(Some(id)),
            Err(Amiss::Missing(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Takes it as yes or no, or nothing where it is missing or null.
    pub fn flag_if_told(&self, field: &'static str) -> Result<Option<bool>, Amiss> {
        match self {
            Scalar::Flag(flag) => Ok(Some(*flag)),
            Scalar::Absent => Ok(None),
            Scalar::Text(_) | Scalar::Whole(_) | Scalar::Big(_) | Scalar::Float(_) | Scalar::Nested => {
                Err(Amiss::Type(field))
            }
        }
    }

    /// Takes it as yes or no that must be there.
    pub fn flag(&self, field: &'static str) -> Result<bool, Amiss> {
        self.flag_if_told(field)?.ok_or(Amiss::Missing(field))
    }

    /// Takes it as an exchange's time; the unit is told by the magnitude.
    pub fn time(&self, field: &'static str) -> Result<Timestamp, Amiss> {
        Timestamp::from_magnitude(self.whole(field)?).ok_or(Amiss::Time(field))
    }

    /// Takes it as an asset's name.
    pub fn asset(&self, field: &'static str) -> Result<Asset, Amiss> {
        Asset::new(self.word(field)?).map_err(|why| Amiss::Refused(field, why))
    }

    /// Takes it as `BUY` or `SELL`, in any case.
    pub fn side(&self, field: &'static str) -> Result<Side, Amiss> {
        match self.word(field)? {
            word if word.eq_ignore_ascii_case("buy") => Ok(Side::Buy),
            word if word.eq_ignore_ascii_case("sell") => Ok(Side::Sell),
            _ => Err(Amiss::Type(field)),
        }
    }
}

impl From<Amiss> for Unread {
    fn from(amiss: Amiss) -> Self {
        Unread(format_compact!("{amiss}"))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Whole(number))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(i64::try_from(number).map_or(Scalar::Big(number), Scalar::Whole))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Float(number))
            }
            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Flag(flag))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Absent)
            }
            // Skipped without recursion, however deep it is nested.
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nested)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nested)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Only<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Only<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Only(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
            type Value = Listed<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array of objects")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Listed<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Listed::One)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Listed<T>, A::Error> {
                let mut many = Vec::new();
                while let Some(Object(one)) = seq.next_element()? {
                    many.push(one);
                }
                Ok(Listed::Many(many))
            }
        }
        deserializer.deserialize_any(OneOrMany(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_takes_any_value_and_names_its_field_when_it_is_asked_for_another() {
        let many: Vec<Scalar<'_>> =
            serde_json::from_str(r#"["0.5", 7, -7, 18446744073709551615, 1e-7, true, null, [[{}]], {"a":[]}]"#)
                .unwrap();
        assert_eq!(many[0].amount("l"), Ok(Decimal::new(5, 1)));
        assert!(matches!(&many[0], Scalar::Text(Cow::Borrowed(_))), "strings are borrowed");
        assert_eq!(many[1].id("i").unwrap(), "7");
        assert_eq!(many[2].not_negative("l"), Err(Amiss::Negative("l")));
        assert_eq!(many[3].id("i").unwrap(), "18446744073709551615");
        assert_eq!(many[4].amount("p"), Ok(Decimal::new(1, 7)));
        assert_eq!(many[5].flag("m"), Ok(true));
        assert_eq!(many[6].amount("l"), Err(Amiss::Missing("l")));
        assert_eq!(many[7].amount("l"), Err(Amiss::Type("l")));
        assert_eq!(many[8].time("T").unwrap_err().to_string(), "`T` is of the wrong type");
    }
}
