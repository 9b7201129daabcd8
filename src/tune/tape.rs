//! Trade tapes: `ts_ms,side,price,amount`, plain or gzipped.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use rust_decimal::Decimal;

use crate::domain::{Asset, Price, Quantity, Side, decimal};

/// All trades of one pair over a span of time, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tape {
    /// The trades, in the file's order. Rows that are equal to the letter are separate makers and all kept.
    pub trades: Vec<Trade>,
    /// Rows that were left out because they could not be read.
    pub skipped: u64,
}

/// One row of a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// When, in milliseconds since 1970 by the exchange's clock.
    pub ms: i64,
    /// The side of the order that did not wait.
    pub taker: Side,
    /// Quote for one unit of base.
    pub price: Decimal,
    /// Base that changed hands.
    pub amount: Decimal,
}

/// What a tape could not be read for.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The file cannot be opened, read or unpacked.
    #[error("cannot read the tape {path}: {why}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system says.
        why: std::io::Error,
    },
    /// The first line is not the header of a tape.
    #[error("line 1 of {path} must be `ts_ms,side,price,amount`")]
    Header {
        /// Which file.
        path: String,
    },
    /// A row holds something else than its column promises.
    #[error("line {line} of {path}, column {column}: {why}; correct it, or leave such rows out with --skip-bad-rows")]
    Row {
        /// Which file.
        path: String,
        /// Which line, counted from 1 with the header.
        line: u64,
        /// Which column.
        column: &'static str,
        /// What was expected.
        why: &'static str,
    },
}

/// The header every tape begins with.
const HEADER: &str = "ts_ms,side,price,amount";

/// The longest line that is looked at, in bytes; a tape's rows have about 40.
const LONGEST: u64 = 4_096;

impl Tape {
    /// Opens a `.csv` or `.csv.gz` tape; `skip_bad_rows` counts unreadable rows instead of refusing the file.
    pub fn open(path: &Path, skip_bad_rows: bool) -> Result<Tape, TapeError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|why| TapeError::Unreadable { path: name.clone(), why })?;
        if path.extension().is_some_and(|extension| extension == "gz") {
            Tape::read(MultiGzDecoder::new(BufReader::new(file)), &name, skip_bad_rows)
        } else {
            Tape::read(file, &name, skip_bad_rows)
        }
    }

    /// Reads rows from `source`; `name` stands for it in errors.
    pub fn read(source: impl Read, name: &str, skip_bad_rows: bool) -> Result<Tape, TapeError> {
        let unreadable = |why| TapeError::Unreadable { path: name.to_owned(), why };
        let mut source = BufReader::new(source);
        let (mut line, mut number, mut tape) = (Vec::new(), 0_u64, Tape::default());
        let mut last_ms = i64::MIN;
        loop {
            line.clear();
            let read = source.by_ref().take(LONGEST).read_until(b'\n', &mut line).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            number += 1;
            if read as u64 == LONGEST && !line.ends_with(b"\n") {
                // Whatever this is, it is no row; its rest must not be taken for the next one.
                pass_line(&mut source).map_err(unreadable)?;
            }
            let text = std::str::from_utf8(&line).unwrap_or("\u{fffd}").trim_end_matches(['\n', '\r']);
            if number == 1 {
                if text.trim_start_matches('\u{feff}') != HEADER {
                    return Err(TapeError::Header { path: name.to_owned() });
                }
                continue;
            }
            if text.is_empty() {
                continue;
            }
            match row(text, last_ms) {
                Ok(trade) => {
                    last_ms = trade.ms;
                    tape.trades.push(trade);
                }
                Err(_) if skip_bad_rows => tape.skipped += 1,
                Err((column, why)) => {
                    return Err(TapeError::Row { path: name.to_owned(), line: number, column, why });
                }
            }
        }
        if number == 0 {
            return Err(TapeError::Header { path: name.to_owned() });
        }
        Ok(tape)
    }

    /// Keeps the trades from `from_ms` up to, not including, `to_ms`.
    pub fn cut(&mut self, from_ms: i64, to_ms: i64) {
        self.trades.retain(|trade| (from_ms..to_ms).contains(&trade.ms));
    }

    /// Returns the orders: the places of consecutive trades that share millisecond and taker side.
    pub fn orders(&self) -> Vec<Range<usize>> {
        let mut orders: Vec<Range<usize>> = Vec::new();
        for (place, trade) in self.trades.iter().enumerate() {
            match orders.last_mut() {
                Some(order) if same_order(&self.trades[order.start], trade) => order.end = place + 1,
                Some(_) | None => orders.push(place..place + 1),
            }
        }
        orders
    }
}

/// What no coin of a tape is called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACoin {
    /// It is no name of an asset.
    #[error("{0:?} is no coin's name; a tape's file name begins with its coin, as in ADX_2019-07-05_17.00.csv.gz")]
    Name(String),
    /// It is the name of a pair.
    #[error(
        "{0} is a pair: a tape is of a coin against bitcoin, with prices in BTC, and its name begins with the coin alone, \
         as in ADX_2019-07-05_17.00.csv.gz"
    )]
    Pair(String),
}

/// What pairs are spelled with at their end, and how many letters a coin before it has at least: WBTC and TUSD are coins.
const QUOTES: [(&str, usize); 6] = [("USDT", 2), ("USDC", 2), ("BUSD", 2), ("FDUSD", 2), ("USD", 3), ("ETH", 3)];

/// Reads the coin of a tape's file name: `ADX` of `ADX_2019-07-05_17.00.csv.gz`.
pub fn coin_of(path: &Path) -> Result<&str, NotACoin> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let coin = name.split(['_', '.']).next().unwrap_or_default();
    asset_of(coin).map(|_| coin)
}

/// Returns the asset that a tape is of; its prices are in BTC, so that `ADXBTC` is `ADX`, and another pair a mistake.
pub fn asset_of(coin: &str) -> Result<Asset, NotACoin> {
    let coin = coin.strip_suffix("BTC").filter(|base| base.len() >= 3).unwrap_or(coin);
    let upper = coin.to_uppercase();
    let is_pair = |(quote, least): &(&str, usize)| upper.strip_suffix(quote).is_some_and(|base| base.len() >= *least);
    if QUOTES.iter().any(is_pair) {
        return Err(NotACoin::Pair(coin.to_owned()));
    }
    Asset::new(coin).map_err(|_| NotACoin::Name(coin.to_owned()))
}

fn same_order(one: &Trade, other: &Trade) -> bool {
    one.ms == other.ms && one.taker == other.taker
}

/// Reads one row, or names the column that is wrong and why.
fn row(text: &str, last_ms: i64) -> Result<Trade, (&'static str, &'static str)> {
    let mut fields = text.split(',');
    let mut field = |column| fields.next().ok_or((column, "it is missing"));
    let (ms, side, price, amount) = (field("ts_ms")?, field("side")?, field("price")?, field("amount")?);
    if fields.next().is_some() {
        return Err(("amount", "more than four columns"));
    }
    let ms = ms.parse::<i64>().map_err(|_| ("ts_ms", "not a whole number of milliseconds"))?;
    // Years 2001 to 2286: seconds or microseconds in this column would silently place the tape elsewhere.
    if !(1_000_000_000_000..10_000_000_000_000).contains(&ms) {
        return Err(("ts_ms", "not milliseconds since 1970"));
    }
    if ms < last_ms {
        return Err(("ts_ms", "earlier than the row before"));
    }
    let taker = match side {
        "b" => Side::Buy,
        "s" => Side::Sell,
        _ => return Err(("side", "neither `b` nor `s`")),
    };
    let price = decimal(price).and_then(Price::new).map_err(|_| ("price", "not a decimal number above zero"))?;
    let amount = decimal(amount).and_then(Quantity::new).map_err(|_| ("amount", "not a decimal number above zero"))?;
    price.times(amount).map_err(|_| ("amount", "price times amount is beyond 28 digits"))?;
    Ok(Trade { ms, taker, price: price.get(), amount: amount.get() })
}

fn pass_line(source: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let held = source.fill_buf()?;
        let (used, ended) = match held.iter().position(|&byte| byte == b'\n') {
            Some(place) => (place + 1, true),
            None => (held.len(), held.is_empty()),
        };
        source.consume(used);
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(rows: &str, skip: bool) -> Result<Tape, TapeError> {
        Tape::read(format!("{HEADER}\n{rows}").as_bytes(), "t.csv", skip)
    }

    #[test]
    fn equal_rows_are_kept_and_share_an_order() {
        let rows = "1561309495124,b,0.00001348,81\n1561309495124,b,0.00001348,81\n1561309495124,s,0.00001349,318\n\
                    1561309495125,s,0.00001349,0.5\n";
        let tape = read(rows, false).unwrap();
        assert_eq!(tape.trades.len(), 4);
        assert_eq!(tape.orders(), [0..2, 2..3, 3..4]);
        assert_eq!(tape.trades[0].price.to_string(), "0.00001348");
    }

    #[test]
    fn a_bad_row_is_named_by_line_and_column_or_left_out_and_counted() {
        let good = "1561309495124,b,0.1,81\n";
        for (bad, column) in [
            ("x,b,1,1", "ts_ms"),
            ("1561309495,b,1,1", "ts_ms"),
            ("1561309495000,b,1,1", "ts_ms"),
            ("1561309495125,B,1,1", "side"),
            ("1561309495125,b,0,1", "price"),
            ("1561309495125,b,NaN,1", "price"),
            ("1561309495125,b,1,-1", "amount"),
            ("1561309495125,b,1", "amount"),
            ("1561309495125,b,1,1,1", "amount"),
            ("1561309495125,b,9999999999999999999999999999,99", "amount"),
        ] {
            let rows = format!("{good}{bad}\n{good}");
            let error = read(&rows, false).unwrap_err();
            assert!(
                matches!(&error, TapeError::Row { line: 3, column: named, .. } if *named == column),
                "{bad}: {error}"
            );
            let tape = read(&rows, true).unwrap();
            assert_eq!((tape.trades.len(), tape.skipped), (2, 1), "{bad}");
        }
    }

    #[test]
    fn a_line_without_end_costs_one_row_and_a_wrong_header_is_refused() {
        let rows = format!("{}\n1561309495124,b,0.1,81\n", "9".repeat(20_000));
        let tape = read(&rows, true).unwrap();
        assert_eq!((tape.trades.len(), tape.skipped), (1, 1));
        assert!(matches!(Tape::read(&b"time,side\n"[..], "t", true), Err(TapeError::Header { .. })));
        assert!(matches!(Tape::read(&b""[..], "t", true), Err(TapeError::Header { .. })));
    }

    #[test]
    fn a_tape_is_of_a_coin_and_not_of_a_pair() {
        for coin in ["ADX", "DATA", "BNB", "BTT", "WBTC", "TUSD", "BUSD", "STETH", "USDT", "ETH", "1INCH"] {
            assert!(asset_of(coin).is_ok(), "{coin}");
        }
        assert_eq!(asset_of("ADXBTC").unwrap().as_str(), "ADX");
        for pair in ["SOLUSDT", "SOLUSDC", "ADXETH", "SOLFDUSD", "OGUSDT", "ADXUSD", "solusdt"] {
            assert_eq!(asset_of(pair), Err(NotACoin::Pair(pair.into())));
        }
        for name in ["bad name😀.csv", "_x.csv", "a\u{1b}b_1.csv"] {
            let told = coin_of(Path::new(name)).unwrap_err().to_string();
            assert!(told.contains("is no coin's name") && !told.contains('\u{1b}'), "{told}");
        }
    }

    #[test]
    fn a_gzipped_tape_is_read_and_a_torn_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ADX_2019-07-05_17.00.csv.gz");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(format!("{HEADER}\n1561309495124,b,0.1,81\n").as_bytes()).unwrap();
        let bytes = packed.finish().unwrap();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Tape::open(&path, false).unwrap().trades.len(), 1);
        assert_eq!(coin_of(&path), Ok("ADX"));
        std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        assert!(matches!(Tape::open(&path, false), Err(TapeError::Unreadable { .. })));
    }
}
