//! The kinds of values a table may hold, each read with its unit and its bounds.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use rust_decimal::Decimal;
use toml::de::DeValue;

use super::problem::{nearest, value as told};
use super::schema::Shape;
use super::section::Section;
use super::units;

type Value<'d> = DeValue<'d>;

/// Units, as a pattern.
const TIMES: &str = "us|ms|s|m|h|d";
const SIZES: &str = "[KMGT]iB|B|[kMGT]B";

impl<'d> Section<'d> {
    /// Asks for a time.
    pub fn time(&mut self, key: &'static str, default: Duration, within: RangeInclusive<Duration>) -> Duration {
        self.takes(|| Shape::Unit(TIMES, None));
        let written = Some(quoted(&units::write_time(default)));
        let read = |value: &Value<'_>| bounded(units::time(unit_text(value, "90s")?)?, &within, units::write_time);
        self.ask(key, written, read).unwrap_or(default)
    }

    /// Asks for a time that may be endless, which is written `word`.
    pub fn time_or(
        &mut self,
        key: &'static str,
        default: Option<Duration>,
        word: &str,
        within: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.takes(|| Shape::Unit(TIMES, Some(word.to_owned())));
        let written = Some(quoted(&default.map_or_else(|| word.to_owned(), units::write_time)));
        let read = |value: &Value<'_>| match unit_text(value, "400d")? {
            text if text == word => Ok(None),
            text => match units::time(text) {
                Ok(time) => bounded(time, &within, units::write_time).map(Some),
                Err(reason) => Err(format!("{reason}, or \"{word}\"")),
            },
        };
        self.ask(key, written, read).unwrap_or(default)
    }

    /// Asks for a size in bytes.
    pub fn size(&mut self, key: &'static str, default: u64, within: RangeInclusive<u64>) -> u64 {
        self.takes(|| Shape::Unit(SIZES, None));
        let read = |value: &Value<'_>| bounded(units::size(unit_text(value, "64 MiB")?)?, &within, units::write_size);
        self.ask(key, Some(quoted(&units::write_size(default))), read).unwrap_or(default)
    }

    /// Asks for a size that may be unbounded, which is written `word`.
    pub fn size_or(
        &mut self,
        key: &'static str,
        default: Option<u64>,
        word: &str,
        within: RangeInclusive<u64>,
    ) -> Option<u64> {
        self.takes(|| Shape::Unit(SIZES, Some(word.to_owned())));
        let written = Some(quoted(&default.map_or_else(|| word.to_owned(), units::write_size)));
        let read = |value: &Value<'_>| match unit_text(value, "20 GiB")? {
            text if text == word => Ok(None),
            text => match units::size(text) {
                Ok(size) => bounded(size, &within, units::write_size).map(Some),
                Err(reason) => Err(format!("{reason}, or \"{word}\"")),
            },
        };
        self.ask(key, written, read).unwrap_or(default)
    }

    /// Asks for a percentage, as a part of one.
    pub fn part(&mut self, key: &'static str, default: f64, within: RangeInclusive<f64>) -> f64 {
        self.takes(|| Shape::Unit("%", None));
        let read = |value: &Value<'_>| bounded(units::part(unit_text(value, "2 %")?)?, &within, units::write_part);
        self.ask(key, Some(quoted(&units::write_part(default))), read).unwrap_or(default)
    }

    /// Asks for dollars, as units of worth.
    pub fn worth(&mut self, key: &'static str, default: f64, within: RangeInclusive<f64>) -> f64 {
        self.takes(|| Shape::Unit("USD", None));
        let read = |value: &Value<'_>| bounded(units::worth(unit_text(value, "15 USD")?)?, &within, units::write_worth);
        self.ask(key, Some(quoted(&units::write_worth(default))), read).unwrap_or(default)
    }

    /// Asks for a plain number.
    pub fn number(&mut self, key: &'static str, default: Decimal, within: RangeInclusive<Decimal>) -> Decimal {
        self.takes(|| Shape::Number(within.start().to_string(), within.end().to_string()));
        let read = |value: &Value<'_>| bounded(decimal(value)?, &within, |number| number.to_string());
        self.ask(key, Some(default.to_string()), read).unwrap_or(default)
    }

    /// Asks for a plain number of the statistics.
    pub fn float(&mut self, key: &'static str, default: f64, within: RangeInclusive<f64>) -> f64 {
        self.takes(|| Shape::Number(within.start().to_string(), within.end().to_string()));
        let read = |value: &Value<'_>| {
            let number = decimal(value)?.to_string().parse().map_err(|_| "must be a number".to_owned())?;
            bounded(number, &within, |number: f64| number.to_string())
        };
        self.ask(key, Some(format!("{default:?}")), read).unwrap_or(default)
    }

    /// Asks for a whole number.
    pub fn count(&mut self, key: &'static str, default: u64, within: RangeInclusive<u64>) -> u64 {
        self.takes(|| Shape::Count(*within.start(), *within.end()));
        let read = |value: &Value<'_>| {
            let number = integer(value).and_then(|number| u64::try_from(number).ok());
            let number = number.ok_or_else(|| format!("must be a whole number {}", range(&within, u64::to_string)))?;
            bounded(number, &within, |number| number.to_string())
        };
        self.ask(key, Some(default.to_string()), read).unwrap_or(default)
    }

    /// Asks for yes or no.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.takes(|| Shape::Flag);
        let read =
            |value: &Value<'_>| value.as_bool().ok_or_else(|| "must be true or false, without quotes".to_owned());
        self.ask(key, Some(default.to_string()), read).unwrap_or(default)
    }

    /// Asks for a text.
    pub fn text(&mut self, key: &'static str, default: Option<&str>) -> Option<String> {
        self.takes(|| Shape::Text);
        let read = |value: &Value<'_>| text(value).map(str::to_owned);
        self.ask(key, default.map(quoted), read).or_else(|| default.map(str::to_owned))
    }

    /// Asks for one of some words.
    pub fn choice<T: Copy + PartialEq>(
        &mut self,
        key: &'static str,
        default: Option<T>,
        options: &[(&'static str, T)],
    ) -> Option<T> {
        self.takes(|| Shape::Choice(options.iter().map(|(word, _)| *word).collect()));
        let written = options.iter().find(|(_, option)| Some(*option) == default).map(|(word, _)| quoted(word));
        let read = |value: &Value<'_>| {
            let given = text(value)?;
            let found = options.iter().find(|(word, _)| *word == given).map(|(_, option)| *option);
            found.ok_or_else(|| one_of(given, options.iter().map(|(word, _)| *word)))
        };
        self.ask(key, written, read).or(default)
    }

    /// Asks for a path; a relative one begins at the configuration's folder.
    pub fn path_to(&mut self, key: &'static str, default: Option<&str>) -> Option<PathBuf> {
        self.takes(|| Shape::Text);
        let folder = &self.gather.folder;
        let read = |value: &Value<'_>| match text(value)? {
            "" => Err("is empty; name a path".to_owned()),
            text if text.contains('\0') => Err("is not a path".to_owned()),
            text => Ok(folder.join(text)),
        };
        self.ask(key, default.map(quoted), read).or_else(|| default.map(PathBuf::from))
    }

    /// Asks for a list of texts, an empty one by default; `read` makes each a value, and each that it refuses is told
    /// with its own line.
    pub fn list<T>(&mut self, key: &'static str, read: impl FnMut(&str) -> Result<T, String>) -> Vec<T> {
        self.list_or(key, Some("[]".to_owned()), read).unwrap_or_default()
    }

    /// Asks for a table of texts whose keys are the user's own, an empty one by default.
    pub fn pairs(&mut self, key: &'static str) -> Vec<(String, String)> {
        self.takes(|| Shape::Pairs);
        let table = self.ask(key, Some("{}".to_owned()), |value| {
            value.as_table().ok_or_else(|| "must be a table, as in { \"one\" = \"two\" }".to_owned())
        });
        let mut pairs = Vec::new();
        for (name, value) in table.into_iter().flat_map(|table| table.iter()) {
            match text(value.get_ref()) {
                Ok(text) => pairs.push((name.get_ref().to_string(), text.to_owned())),
                Err(reason) => {
                    let line = self.gather.lines.line(&value.span());
                    self.gather.refuse(line, &self.path(key), reason);
                }
            }
        }
        pairs
    }

    /// Asks for a list of texts that has no default.
    pub fn list_or<T>(
        &mut self,
        key: &'static str,
        default: Option<String>,
        mut read: impl FnMut(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        self.takes(|| Shape::List);
        let list = self.ask(key, default, |value| {
            value.as_array().ok_or_else(|| "must be a list in brackets, as in [\"one\", \"two\"]".to_owned())
        })?;
        let mut values = Vec::new();
        for item in list.iter() {
            match text(item.get_ref()).and_then(&mut read) {
                Ok(value) => values.push(value),
                Err(reason) => {
                    let line = self.gather.lines.line(&item.span());
                    self.gather.refuse(line, &self.path(key), reason);
                }
            }
        }
        Some(values)
    }
}

/// Says that a word is none of some, and which it may have been meant to be.
pub(super) fn one_of(given: &str, options: impl Iterator<Item = &'static str>) -> String {
    let options: Vec<&str> = options.collect();
    let list = options.join(", ");
    match nearest(given, &options) {
        Some(near) => format!("{} is none of {list}; did you mean {near}?", told(given)),
        None => format!("{} is none of {list}", told(given)),
    }
}

/// Takes a text; the value is not shown, it might be a secret put into the wrong place.
pub(super) fn text<'v>(value: &'v Value<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| format!("must be a text in quotes, not {}", kind(value)))
}

/// Takes a whole number.
pub(super) fn integer(value: &Value<'_>) -> Option<i64> {
    value.as_integer().and_then(|integer| i64::from_str_radix(integer.as_str(), integer.radix()).ok())
}

fn unit_text<'v>(value: &'v Value<'_>, example: &str) -> Result<&'v str, String> {
    match value.as_str() {
        Some(text) => Ok(text),
        None if value.is_integer() || value.is_float() => Err(format!("needs its unit, in quotes: \"{example}\"")),
        None => Err(format!("must be a text in quotes such as \"{example}\", not {}", kind(value))),
    }
}

fn decimal(value: &Value<'_>) -> Result<Decimal, String> {
    let float = || value.as_float().and_then(|float| float.as_str().parse().ok());
    integer(value).map(Decimal::from).or_else(float).ok_or_else(|| "must be a number, without quotes".to_owned())
}

fn bounded<T: PartialOrd + Copy>(
    value: T,
    within: &RangeInclusive<T>,
    write: impl Fn(T) -> String,
) -> Result<T, String> {
    if within.contains(&value) {
        return Ok(value);
    }
    Err(format!("{} is out of bounds: it may be {}", write(value), range(within, |value| write(*value))))
}

fn range<T>(within: &RangeInclusive<T>, write: impl Fn(&T) -> String) -> String {
    format!("from {} to {}", write(within.start()), write(within.end()))
}

fn kind(value: &Value<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
