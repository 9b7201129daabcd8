//! When which coin was pumped, so far as anybody knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

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
    /// When it was announced, in ms since 1970.
    pub announced_ms: i64,
    /// When the buying began, labelled by hand in bins of 5 s.
    pub onset_ms: i64,
    /// Quote traded a day, in BTC.
    pub btc_per_day: f64,
    /// `train` or `valid`.
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
    /// A row is not what its header promises.
    #[error("line {line} of {path} is not a row of that list")]
    Row {
        /// Which file.
        path: String,
        /// Which line, counted from 1.
        line: usize,
    },
}

/// Ordinary time ends this long before a pump, in ms: insiders buy early.
const BEFORE_MS: i64 = 3_600_000;
/// Ordinary time begins again this long after a pump, in ms.
const AFTER_MS: i64 = 7_200_000;

impl Pumps {
    /// Reads `events.csv` and the lists beside it under `lamorgia_labels/`.
    pub fn load(data: &Path) -> Result<Pumps, PumpsError> {
        let mut pumps = Pumps::default();
        for (fields, line, path) in rows(&data.join("events.csv"), 10)? {
            let pump = event(&fields).ok_or(PumpsError::Row { path, line })?;
            pumps.note(&pump.coin, pump.announced_ms);
            pumps.note(&pump.coin, pump.onset_ms);
            pumps.events.push(pump);
        }
        let labels = data.join("lamorgia_labels");
        for name in ["label_5S.csv", "label_15S.csv", "label_25S.csv"] {
            for (fields, line, path) in rows(&labels.join(name), 16)? {
                let at = utc(&fields[0]).ok_or(PumpsError::Row { path, line })?;
                pumps.note(&fields[14], at);
            }
        }
        for (fields, line, path) in rows(&labels.join("pump_telegram.csv"), 5)? {
            let at = utc(&format!("{} {}:00", fields[2], fields[3])).ok_or(PumpsError::Row { path, line })?;
            // A pump at another exchange moves the same coin here.
            pumps.note(&fields[0], at);
        }
        let path = labels.join("b0r0koko_pumps.json");
        let listed: Vec<Listed> = serde_json::from_str(&text(&path)?)
            .map_err(|error| PumpsError::Row { path: path.display().to_string(), line: error.line() })?;
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

fn event(fields: &[String]) -> Option<Pump> {
    let announced_ms: i64 = fields[2].parse().ok()?;
    // The onset is written as a decimal number of ms, and left out where nobody labelled one.
    let onset_ms = match fields[3].as_str() {
        "" => announced_ms,
        onset => onset.split('.').next()?.parse().ok()?,
    };
    Some(Pump {
        file: fields[0].clone(),
        coin: fields[1].clone(),
        announced_ms,
        onset_ms,
        btc_per_day: fields[7].parse().ok()?,
        split: fields[9].clone(),
    })
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
            "h\nABC_2019-07-05_17.00,ABC,1562346000000,1562346010000.0,1,1,2,42.5,1.1,train\n",
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
        fs::write(labels.join("pump_telegram.csv"), "h\nXYZ,G,2018-01-01\n").unwrap();
        assert!(matches!(Pumps::load(folder.path()), Err(PumpsError::Row { line: 2, .. })));
    }
}
