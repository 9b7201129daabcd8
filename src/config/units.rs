//! Values with their units, read and written: `90s`, `64 MiB`, `2 %`, `15 USD`.

use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::problem::value;
use crate::domain::{NotASpan, Span};

/// The model's unit of worth, in dollars.
const DOLLARS_A_UNIT: u32 = 30_000;

/// Bytes a unit of size has, the largest binary one first.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// Reads a time such as `90s`, `5m`, `400d`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let span: Span = text.parse().map_err(|why: NotASpan| format!("{} {why}", value(text)))?;
    Ok(Duration::from_nanos(span.nanos().unsigned_abs()))
}

/// Reads a time as a person writes it on the command line; nothing where it is none.
pub(crate) fn read_time(text: &str) -> Option<Duration> {
    time(text).ok()
}

/// Reads a size such as `64 MiB`, in bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    scaled(text)
        .ok_or_else(|| format!("{} is not a size: write a number and KiB, MiB or GiB, as in \"64 MiB\"", value(text)))
}

/// Reads a percentage such as `2 %`, as a part of one.
pub(super) fn part(text: &str) -> Result<f64, String> {
    let fault = || format!("{} is not a percentage: write a number and %, as in \"2 %\"", value(text));
    let number = text.trim().strip_suffix('%').and_then(decimal).ok_or_else(fault)?;
    float(number / Decimal::ONE_HUNDRED).ok_or_else(fault)
}

/// Reads dollars such as `15 USD`, in the model's units of worth.
pub(super) fn worth(text: &str) -> Result<f64, String> {
    let fault = || format!("{} is not an amount of dollars: write a number and USD, as in \"15 USD\"", value(text));
    let number = text.trim().strip_suffix("USD").and_then(decimal).ok_or_else(fault)?;
    float(number / Decimal::from(DOLLARS_A_UNIT)).ok_or_else(fault)
}

/// Writes a time in the largest unit that leaves no fraction.
pub(crate) fn write_time(time: Duration) -> String {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    match Span::UNITS.iter().find(|(_, unit)| nanos > 0 && nanos.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", nanos / unit),
        None => format!("{}s", time.as_secs_f64()),
    }
}

/// Writes a size in the largest binary unit that leaves no fraction.
pub(crate) fn write_size(bytes: u64) -> String {
    match SIZES[..5].iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

/// Writes a part of one as a percentage.
pub(crate) fn write_part(part: f64) -> String {
    format!("{} %", tidy(part * 100.0))
}

/// Writes units of worth as dollars.
pub(crate) fn write_worth(units: f64) -> String {
    format!("{} USD", tidy(units * f64::from(DOLLARS_A_UNIT)))
}

/// Rounds away what binary fractions leave behind.
fn tidy(number: f64) -> f64 {
    (number * 1e9).round() / 1e9
}

fn scaled(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '_'))).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = SIZES.iter().find(|(name, _)| *name == unit.trim())?.1;
    let product = decimal(number)?.checked_mul(Decimal::from(unit))?;
    product.fract().is_zero().then(|| product.to_u64()).flatten()
}

fn decimal(text: &str) -> Option<Decimal> {
    text.trim().parse().ok()
}

/// Goes through the decimal text, so that `0.15 %` is the same number as 0.0015 in the code.
fn float(number: Decimal) -> Option<f64> {
    number.normalize().to_string().parse().ok().filter(|float: &f64| float.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_their_units() {
        let secs = Duration::from_secs;
        assert_eq!((time("90s"), time("5m"), time(" 400 d ")), (Ok(secs(90)), Ok(secs(300)), Ok(secs(400 * 86_400))));
        assert_eq!((time("0.5s"), time("2ms")), (Ok(Duration::from_millis(500)), Ok(Duration::from_millis(2))));
        assert_eq!((size("64 MiB"), size("1kB"), size("1.5 KiB")), (Ok(64 << 20), Ok(1_000), Ok(1_536)));
        assert_eq!((part("2 %"), part("0.15%"), part("100 %")), (Ok(0.02), Ok(0.001_5), Ok(1.0)));
        assert_eq!((worth("15 USD"), worth("90USD")), (Ok(0.000_5), Ok(0.003)));
    }

    #[test]
    fn a_value_without_its_unit_or_with_another_is_refused() {
        for bad in ["", "90", "90 sec", "s", "-5s", "1h30m", "1e3s", "99999999999999999999d", "٣s", "5 MiB"] {
            assert!(time(bad).is_err(), "{bad}");
        }
        for bad in ["64", "64 mb", "-1 B", "0.3 B", "99999999 TiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        for bad in ["2", "0.02", "% 2", "two %", "NaN %"] {
            assert!(part(bad).is_err(), "{bad}");
        }
        for bad in ["15", "15 EUR", "$15", "inf USD"] {
            assert!(worth(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["2ms", "90s", "5m", "23h", "400d"] {
            assert_eq!(write_time(time(text).unwrap()), text);
        }
        for text in ["64 MiB", "1536 B", "1 GiB"] {
            assert_eq!(write_size(size(text).unwrap()), text);
        }
        for text in ["0.15 %", "20 %", "100 %"] {
            assert_eq!(write_part(part(text).unwrap()), text);
        }
        for text in ["15 USD", "90 USD", "60 USD"] {
            assert_eq!(write_worth(worth(text).unwrap()), text);
        }
    }
}
