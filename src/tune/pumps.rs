//! When which coin was pumped, so far as anybody knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use serde::Deserialize;

use super::tape::{self, NotACoin, Quoted};
use crate::domain::Timestamp;

/// The pumps of the tapes, and all others that are known of their coins.
#[derive(Clone, Debug, Default)]
pub struct Pumps {
    events: Vec<Pump>,
    known: BTreeMap<String, Vec<i64>>,
}

/// The pump a tape was kept for: a row of `events.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pump {
    /// The tape's name without `.csv.gz`.
    pub file: String,
    /// The coin that was raised.
    pub coin: String,
    /// What its tape's prices are in.
    pub quoted: Quoted,
    /// When it was announced, in ms since 1970.
    pub announced_ms: i64,
    /// When the buying began, labelled by hand in bins of 5 s.
    pub onset_ms: i64,
    /// Which set it belongs to: `train`, `valid`, or another word.
    pub split: String,
}

/// What the lists could not be read for.
#[derive(Debug, thiserror::Error)]
pub enum PumpsError {
    /// A list is not there or cannot be read.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system says.
        why: std::io::Error,
    },
    /// The list of events has too few columns.
    #[error("line 1 of {path} must name the columns {missing}")]
    Columns {
        /// Which file.
        path: String,
        /// What it does not name.
        missing: String,
    },
    /// An event is of no coin.
    #[error("line {line} of {path}: {why}")]
    Coin {
        /// Which file.
        path: String,
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong with its symbol.
        why: NotACoin,
    },
    /// A row is not what its header promises.
    #[error("line {line} of {path} is not a row of that list")]
    Row {
        /// Which file.
        path: String,
        /// Which line, counted from 1.
        line: usize,
    },
}

/// No event is of a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no tape is of the split {split}; events.csv has {known}, and `all` takes every one")]
pub struct NoTapes {
    split: String,
    known: String,
}

/// Stands for the tapes of every set.
pub const ALL: &str = "all";

/// Ordinary time ends this long before a pump, in ms: insiders buy early.
const BEFORE_MS: i64 = 3_600_000;
/// Ordinary time begins again this long after a pump, in ms.
const AFTER_MS: i64 = 7_200_000;

impl Pump {
    /// Returns what the tape is of: the coin where its prices are in BTC, the pair where they are in dollars.
    pub fn pair(&self) -> String {
        match self.quoted {
            Quoted::Bitcoin => self.coin.clone(),
            Quoted::Dollars => format!("{}USDT", self.coin),
        }
    }
}

impl Pumps {
    /// Reads `events.csv`, and the lists under `lamorgia_labels/` beside it, as far as there are any.
    pub fn load(data: &Path) -> Result<Pumps, PumpsError> {
        let mut pumps = Pumps::default();
        for pump in events(&data.join("events.csv"))? {
            pumps.note(&pump.coin, pump.announced_ms);
            pumps.note(&pump.coin, pump.onset_ms);
            pumps.events.push(pump);
        }
        let labels = data.join("lamorgia_labels");
        for name in ["label_5S.csv", "label_15S.csv", "label_25S.csv"] {
            for (fields, line, path) in known(rows(&labels.join(name), 16))?.unwrap_or_default() {
                let at = utc(&fields[0]).ok_or(PumpsError::Row { path, line })?;
                pumps.note(&fields[14], at);
            }
        }
        for (fields, line, path) in known(rows(&labels.join("pump_telegram.csv"), 5))?.unwrap_or_default() {
            let at = utc(&format!("{} {}:00", fields[2], fields[3])).ok_or(PumpsError::Row { path, line })?;
            // A pump at another exchange moves the same coin here.
            pumps.note(&fields[0], at);
        }
        let path = labels.join("b0r0koko_pumps.json");
        let listed: Vec<Listed> = match known(text(&path))? {
            None => Vec::new(),
            Some(text) => serde_json::from_str(&text)
                .map_err(|error| PumpsError::Row { path: path.display().to_string(), line: error.line() })?,
        };
        for pump in listed {
            let row = || PumpsError::Row { path: path.display().to_string(), line: 0 };
            let at = utc(&pump.time).ok_or_else(row)?;
            pumps.note(pump.symbol.split('-').next().unwrap_or_default(), at);
        }
        for times in pumps.known.values_mut() {
            times.sort_unstable();
            times.dedup();
        }
        Ok(pumps)
    }

    /// Returns the pumps of a set, or all where it is [`ALL`], spread evenly over the list where more than `limit` are.
    pub fn of_split(&self, split: &str, limit: Option<usize>) -> Result<Vec<&Pump>, NoTapes> {
        let all: Vec<&Pump> = self.events.iter().filter(|pump| split == ALL || pump.split == split).collect();
        if all.is_empty() {
            let known: BTreeSet<&str> = self.events.iter().map(|pump| pump.split.as_str()).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            return Err(NoTapes { split: split.to_owned(), known });
        }
        let wanted = limit.unwrap_or(all.len()).clamp(1, all.len());
        Ok((0..wanted).map(|nth| all[nth * all.len() / wanted]).collect())
    }

    /// Returns the pumps that have a tape, in the list's order.
    pub fn events(&self) -> &[Pump] {
        &self.events
    }

    /// Returns the pump a tape was kept for, by the tape's file name.
    pub fn of_tape(&self, path: &Path) -> Option<&Pump> {
        let name = path.file_name()?.to_str()?;
        let name = name.split(".csv").next()?;
        self.events.iter().find(|pump| pump.file == name)
    }

    /// Adds a pump of `coin`.
    pub fn note(&mut self, coin: &str, ms: i64) {
        self.known.entry(coin.to_owned()).or_default().push(ms);
    }

    /// Returns the spans of ms that are not ordinary for `coin`: an hour before to two hours after each known pump.
    pub fn spans(&self, coin: &str) -> Vec<(i64, i64)> {
        let times = self.known.get(coin).map(Vec::as_slice).unwrap_or_default();
        times.iter().map(|&ms| (ms - BEFORE_MS, ms + AFTER_MS)).collect()
    }
}

#[derive(Deserialize)]
struct Listed {
    symbol: String,
    time: String,
}

/// The columns of `events.csv` that are read; it may have others.
const COLUMNS: [&str; 5] = ["file", "symbol", "event_ms", "onset_ms", "split"];

fn events(path: &Path) -> Result<Vec<Pump>, PumpsError> {
    let (name, text) = (path.display().to_string(), text(path)?);
    let mut lines = text.lines().enumerate();
    let header: Vec<&str> =
        lines.next().map_or("", |(_, line)| line.trim_start_matches('\u{feff}')).split(',').collect();
    let place = |column: &str| header.iter().position(|name| name.trim() == column);
    let places = COLUMNS.map(place);
    let [Some(file), Some(symbol), Some(announced), onset, Some(split)] = places else {
        let missing = COLUMNS.iter().zip(places).filter(|(column, place)| place.is_none() && **column != "onset_ms");
        let missing = missing.map(|(column, _)| *column).collect::<Vec<_>>().join(", ");
        return Err(PumpsError::Columns { path: name, missing });
    };
    let mut events = Vec::new();
    for (line, fields) in lines.filter(|(_, line)| !line.is_empty()) {
        let row = || PumpsError::Row { path: name.clone(), line: line + 1 };
        let fields: Vec<&str> = fields.split(',').map(str::trim).collect();
        if fields.len() != header.len() {
            return Err(row());
        }
        let announced_ms: i64 = fields[announced].parse().map_err(|_| row())?;
        // The onset is written as a decimal number of ms, and left out where nobody labelled one.
        let onset_ms = match onset.map_or("", |onset| fields[onset]) {
            "" => announced_ms,
            onset => onset.split('.').next().and_then(|onset| onset.parse().ok()).ok_or_else(row)?,
        };
        let coin = |name| tape::coin(name).map_err(|why| PumpsError::Coin { path: name_of(path), line: line + 1, why });
        let (base, quoted) = coin(fields[symbol])?;
        // The symbol may be the coin alone, and the file named after the pair.
        let quoted = match quoted {
            Quoted::Bitcoin => tape::coin_of(Path::new(fields[file])).map_or(quoted, |(_, quoted)| quoted),
            Quoted::Dollars => quoted,
        };
        let (file, split) = (fields[file].to_owned(), fields[split].to_owned());
        events.push(Pump { file, coin: base.to_string(), quoted, announced_ms, onset_ms, split });
    }
    Ok(events)
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}

/// Returns nothing where a list is not there.
fn known<T>(read: Result<T, PumpsError>) -> Result<Option<T>, PumpsError> {
    match read {
        Err(PumpsError::Unreadable { why, .. }) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

fn text(path: &Path) -> Result<String, PumpsError> {
    fs::read_to_string(path).map_err(|why| PumpsError::Unreadable { path: path.display().to_string(), why })
}

/// Returns the rows below the header with their line numbers; a row of another width is an error.
fn rows(path: &Path, width: usize) -> Result<Vec<(Vec<String>, usize, String)>, PumpsError> {
    let (name, mut rows) = (path.display().to_string(), Vec::new());
    for (place, line) in text(path)?.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
        let fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        if fields.len() != width {
            return Err(PumpsError::Row { path: name, line: place + 1 });
        }
        rows.push((fields, place + 1, name.clone()));
    }
    Ok(rows)
}

/// Reads `2018-12-30 16:59:55` as UTC, in ms.
fn utc(text: &str) -> Option<i64> {
    Timestamp::from_rfc3339(&format!("{}Z", text.replace(' ', "T"))).map(Timestamp::millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_shrink_ordinary_time() {
        let folder = tempfile::tempdir().unwrap();
        let labels = folder.path().join("lamorgia_labels");
        fs::create_dir(&labels).unwrap();
        fs::write(
            folder.path().join("events.csv"),
            "file,symbol,event_ms,onset_ms,split,else\nABC_2019-07-05_17.00,ABC,1562346000000,1562346010000.0,train,1\n\
             DEF_2019-08-05_17.00,DEF,1564346000000,,later,2\nGHIUSDT_1,GHI,1574346000000,,later,2\nJKLUSDT,JKLUSDT,1,,x,\n",
        )
        .unwrap();
        let row = format!("2019-07-06 00:00:00,{}ABC,1", "0,".repeat(13));
        for name in ["label_5S.csv", "label_15S.csv", "label_25S.csv"] {
            fs::write(labels.join(name), format!("h\n{row}\n")).unwrap();
        }
        fs::write(labels.join("pump_telegram.csv"), "h\nXYZ,G,2018-01-01,16:00,yobit\n").unwrap();
        fs::write(labels.join("b0r0koko_pumps.json"), r#"[{"symbol":"XYZ-BTC","time":"2019-01-01 00:00:00"}]"#)
            .unwrap();
        let pumps = Pumps::load(folder.path()).unwrap();
        assert_eq!(pumps.spans("ABC").len(), 3);
        assert_eq!(pumps.spans("ABC")[1], (1_562_346_010_000 - BEFORE_MS, 1_562_346_010_000 + AFTER_MS));
        assert_eq!(pumps.spans("XYZ").len(), 2);
        let pump = pumps.of_tape(Path::new("x/ABC_2019-07-05_17.00.csv.gz")).unwrap();
        assert_eq!((pump.onset_ms, pump.split.as_str()), (1_562_346_010_000, "train"));
        let quoted: Vec<_> = pumps.events().iter().map(|pump| (pump.coin.as_str(), pump.quoted)).collect();
        let (bitcoin, dollars) = (Quoted::Bitcoin, Quoted::Dollars);
        assert_eq!(quoted, [("ABC", bitcoin), ("DEF", bitcoin), ("GHI", dollars), ("JKL", dollars)]);
        let files = |split, limit| {
            let found = pumps.of_split(split, limit)?;
            Ok::<_, NoTapes>(found.iter().map(|pump| pump.coin.clone()).collect::<Vec<_>>())
        };
        assert_eq!(files("later", None).unwrap(), ["DEF", "GHI"]);
        assert_eq!(files("all", Some(2)).unwrap(), ["ABC", "GHI"]);
        let told = files("test", None).unwrap_err().to_string();
        assert_eq!(told, "no tape is of the split test; events.csv has later, train, x, and `all` takes every one");
        fs::write(labels.join("pump_telegram.csv"), "h\nXYZ,G,2018-01-01\n").unwrap();
        assert!(matches!(Pumps::load(folder.path()), Err(PumpsError::Row { line: 2, .. })));
    }

    #[test]
    fn a_list_of_events_needs_no_other_list_and_says_which_column_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            fs::write(folder.path().join("events.csv"), text).unwrap();
            Pumps::load(folder.path()).map_err(|error| error.to_string())
        };
        let pumps = read("symbol,file,split,event_ms\r\nABC,ABC_1,test,1562346000000\r\n").unwrap();
        assert_eq!((pumps.events().len(), pumps.spans("ABC").len()), (1, 1));
        assert!(read("symbol,file\nABC,ABC_1\n").unwrap_err().ends_with("must name the columns event_ms, split"));
        assert!(read("").unwrap_err().ends_with("must name the columns file, symbol, event_ms, split"));
        let told = read("symbol,file,split,event_ms\nA B,ABC_1,test,1562346000000\n").unwrap_err();
        assert!(told.contains("line 2 of") && told.contains("is no coin's name"), "{told}");
        assert!(read("symbol,file,split,event_ms\nABC,ABC_1,test\n").unwrap_err().starts_with("line 2 of"));
    }
}
