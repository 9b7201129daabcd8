//! Trade tapes: `ts_ms,side,price,amount`, or what Binance publishes of trades and aggregated trades
//! (<https://github.com/binance/binance-public-data>); plain or gzipped.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

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
    #[error(
        "line 1 of {path} must be `ts_ms,side,price,amount`, or the file one of trades or aggTrades as Binance publishes them"
    )]
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

/// The header every tape of our own form begins with.
const HEADER: &str = "ts_ms,side,price,amount";

/// How the rows of a tape are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As [`HEADER`] says.
    Own,
    /// `id,price,qty,quote_qty,time,is_buyer_maker`, and `is_best_match` on the spot market.
    Trades,
    /// `id,price,quantity,first_id,last_id,time,is_buyer_maker`, and `is_best_match` on the spot market.
    Aggregated,
}

/// How a file's first line says that its rows are written, and whether that line is a row itself.
fn form(first: &str) -> Option<(Form, bool)> {
    let fields: Vec<&str> = first.split(',').collect();
    let is_word = |place: usize| fields.get(place).is_some_and(|field| truth(field).is_some());
    let is = |place: usize, name: &str| fields.get(place) == Some(&name);
    if first == HEADER {
        Some((Form::Own, false))
    } else if is(5, "is_buyer_maker") {
        Some((Form::Trades, false))
    } else if is(6, "is_buyer_maker") {
        Some((Form::Aggregated, false))
    } else if is_word(5) && (fields.len() == 6 || fields.len() == 7 && is_word(6)) {
        Some((Form::Trades, true))
    } else if is_word(6) && (fields.len() == 7 || fields.len() == 8 && is_word(7)) {
        Some((Form::Aggregated, true))
    } else {
        None
    }
}

/// Reads `True` and `false`.
fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

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

    /// Returns where the tape called `name` lies in a folder: packed, or plain where it is not.
    pub fn find(folder: &Path, name: &str) -> PathBuf {
        let (packed, plain) = (folder.join(format!("{name}.csv.gz")), folder.join(format!("{name}.csv")));
        if !packed.exists() && plain.exists() { plain } else { packed }
    }

    /// Reads rows from `source`; `name` stands for it in errors.
    pub fn read(source: impl Read, name: &str, skip_bad_rows: bool) -> Result<Tape, TapeError> {
        let unreadable = |why| TapeError::Unreadable { path: name.to_owned(), why };
        let mut source = BufReader::new(source);
        let (mut line, mut number, mut tape) = (Vec::new(), 0_u64, Tape::default());
        let (mut last_ms, mut written) = (i64::MIN, Form::Own);
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
                let header = || TapeError::Header { path: name.to_owned() };
                let (of_rows, is_row) = form(text.trim_start_matches('\u{feff}')).ok_or_else(header)?;
                written = of_rows;
                if !is_row {
                    continue;
                }
            }
            // Files that were put together bring their headers along.
            let is_header =
                || !text.starts_with(|first: char| first.is_ascii_digit()) && form(text) == Some((written, false));
            if text.is_empty() || number > 1 && is_header() {
                continue;
            }
            match row(text, written, last_ms) {
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

/// What a tape's coin is paid with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quoted {
    /// Prices are in BTC.
    #[default]
    Bitcoin,
    /// Prices are in USDT, or in another dollar, which is taken for it.
    Dollars,
}

/// What no coin of a tape is called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACoin {
    /// It is no name of an asset.
    #[error(
        "{0:?} is no coin's name; a tape's file name begins with its coin where prices are in BTC, as in \
         ADX_2019-07-05_17.00.csv.gz, and with its pair where they are in dollars, as in SOLUSDT_2021-10-03_17.00.csv.gz"
    )]
    Name(String),
    /// It is the name of a pair that is paid with something else.
    #[error(
        "{0} is a pair whose prices are neither in BTC nor in dollars, and no account here pays with anything else"
    )]
    Pair(String),
}

/// What pairs are spelled with at their end, and how many letters a coin before it has at least: WBTC and TUSD are coins.
const QUOTES: [(&str, usize, Option<Quoted>); 7] = [
    ("BTC", 3, Some(Quoted::Bitcoin)),
    ("USDT", 2, Some(Quoted::Dollars)),
    ("USDC", 2, Some(Quoted::Dollars)),
    ("BUSD", 2, Some(Quoted::Dollars)),
    ("FDUSD", 2, Some(Quoted::Dollars)),
    ("USD", 3, Some(Quoted::Dollars)),
    ("ETH", 3, None),
];

/// Reads what a tape is of from its file's name: `ADX` against BTC of `ADX_2019-07-05_17.00.csv.gz`.
pub fn coin_of(path: &Path) -> Result<(Asset, Quoted), NotACoin> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    coin(name.split(['_', '.', '-']).next().unwrap_or_default())
}

/// Reads a coin and what it is paid with: `ADX` and `ADXBTC` are of prices in BTC, `ADXUSDT` is of prices in dollars.
pub fn coin(name: &str) -> Result<(Asset, Quoted), NotACoin> {
    let upper = name.to_uppercase();
    let split = QUOTES.iter().find_map(|(quote, least, quoted)| {
        let base = name.get(..upper.strip_suffix(quote)?.len()).filter(|base| base.len() >= *least)?;
        Some((base, *quoted))
    });
    let (base, quoted) = match split {
        Some((_, None)) => return Err(NotACoin::Pair(name.to_owned())),
        Some((base, Some(quoted))) => (base, quoted),
        None => (name, Quoted::Bitcoin),
    };
    Asset::new(base).map(|base| (base, quoted)).map_err(|_| NotACoin::Name(name.to_owned()))
}

fn same_order(one: &Trade, other: &Trade) -> bool {
    one.ms == other.ms && one.taker == other.taker
}

/// Reads one row, or names the column that is wrong and why.
fn row(text: &str, written: Form, last_ms: i64) -> Result<Trade, (&'static str, &'static str)> {
    let fields: Vec<&str> = text.split(',').collect();
    let field = |place: usize, column| fields.get(place).copied().ok_or((column, "it is missing"));
    let (ms, side, price, amount, most) = match written {
        Form::Own => (field(0, "ts_ms")?, field(1, "side")?, field(2, "price")?, field(3, "amount")?, 4),
        Form::Trades => (field(4, "time")?, field(5, "is_buyer_maker")?, field(1, "price")?, field(2, "qty")?, 7),
        Form::Aggregated => (field(5, "time")?, field(6, "is_buyer_maker")?, field(1, "price")?, field(2, "qty")?, 8),
    };
    if fields.len() > most {
        return Err(("amount", "more columns than a tape has"));
    }
    let ms = ms.parse::<i64>().map_err(|_| ("ts_ms", "not a whole number of milliseconds"))?;
    // Of the spot market Binance writes microseconds since 2025.
    let ms = if written != Form::Own && ms > 100_000_000_000_000 { ms / 1_000 } else { ms };
    // Years 2001 to 2286: seconds or microseconds in this column would silently place the tape elsewhere.
    if !(1_000_000_000_000..10_000_000_000_000).contains(&ms) {
        return Err(("ts_ms", "not milliseconds since 1970"));
    }
    if ms < last_ms {
        return Err(("ts_ms", "earlier than the row before"));
    }
    let taker = match (written, side, truth(side)) {
        (Form::Own, "b", _) | (Form::Trades | Form::Aggregated, _, Some(false)) => Side::Buy,
        (Form::Own, "s", _) | (Form::Trades | Form::Aggregated, _, Some(true)) => Side::Sell,
        (Form::Own, ..) => return Err(("side", "neither `b` nor `s`")),
        (Form::Trades | Form::Aggregated, ..) => return Err(("is_buyer_maker", "neither true nor false")),
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
    fn what_binance_publishes_of_trades_is_a_tape() {
        let read = |text: &str| Tape::read(text.as_bytes(), "t.csv", false);
        let own = read("ts_ms,side,price,amount\n1633276800125,s,1.25,8\n1633276801000,b,1.5,3.5\n").unwrap();
        for text in [
            // Spot trades and aggregated trades have no header, and microseconds since 2025; futures have one.
            "71,1.25,8,10,1633276800125,True,True\n72,1.5,3.5,5.25,1633276801000,False,True\n",
            "71,1.25,8,10,1633276800125999,True,True\n72,1.5,3.5,5.25,1633276801000001,False,True\n",
            "9,1.25,8,71,71,1633276800125,true,true\n10,1.5,3.5,72,73,1633276801000,false,true\n",
            "id,price,qty,quote_qty,time,is_buyer_maker\n71,1.25,8,10,1633276800125,true\n72,1.5,3.5,5.25,1633276801000,false\n",
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n\
             9,1.25,8,71,71,1633276800125,true\n\
             agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n10,1.5,3.5,72,73,1633276801000,false\n",
        ] {
            assert_eq!(read(text).unwrap(), own, "{text}");
        }
        let error =
            read("71,1.25,8,10,1633276800125,True,True\n72,1.5,3.5,5.25,1633276801000,maybe,True\n").unwrap_err();
        assert!(matches!(error, TapeError::Row { line: 2, column: "is_buyer_maker", .. }), "{error}");
        for no_tape in ["1,2,3,4,5,6,7\n", "open,high,low,close\n", "1633276800000,1,2,3,4,5,1633276859999,6,7,8,9,0\n"]
        {
            assert!(matches!(read(no_tape), Err(TapeError::Header { .. })), "{no_tape}");
        }
        let (coin, quoted) = coin_of(Path::new("x/SOLUSDT-aggTrades-2021-10-03.csv")).unwrap();
        assert_eq!((coin.as_str(), quoted), ("SOL", Quoted::Dollars));
    }

    #[test]
    fn a_tape_is_of_a_coin_in_bitcoin_or_of_a_pair_in_dollars() {
        for name in ["ADX", "DATA", "BNB", "BTT", "WBTC", "TUSD", "BUSD", "STETH", "USDT", "ETH", "1INCH"] {
            assert_eq!(coin(name).map(|(base, quoted)| (base.to_string(), quoted)), Ok((name.into(), Quoted::Bitcoin)));
        }
        assert_eq!(coin("ADXBTC").unwrap().0.as_str(), "ADX");
        for (pair, base) in
            [("SOLUSDT", "SOL"), ("SOLUSDC", "SOL"), ("SOLFDUSD", "SOL"), ("OGUSDT", "OG"), ("ADXUSD", "ADX")]
        {
            assert_eq!(coin(pair).map(|(base, quoted)| (base.to_string(), quoted)), Ok((base.into(), Quoted::Dollars)));
        }
        assert_eq!(coin("ADXETH"), Err(NotACoin::Pair("ADXETH".into())));
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
        assert_eq!(coin_of(&path), Ok(("ADX".parse().unwrap(), Quoted::Bitcoin)));
        std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        assert!(matches!(Tape::open(&path, false), Err(TapeError::Unreadable { .. })));
    }
}
