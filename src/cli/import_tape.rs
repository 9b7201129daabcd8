//! `fillguard import-tape`: a recording made of a real trade tape.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use serde::Serialize;

use super::Format;
use crate::domain::Timestamp;
use crate::tune::import::{self, Recording, Settings, write_recording};
use crate::tune::labels::{What, write_labels};
use crate::tune::ordinary::Trader;
use crate::tune::pumps::Pumps;
use crate::tune::tape::{Quoted, Tape, coin_of};

/// It was written.
const FINE: u8 = 0;
/// The arguments or the tape are not what they should be.
const MISUSE: u8 = 2;

/// Make a recording of a real trade tape, with a victim among its buyers
///
/// The tape is of a coin against bitcoin, or of a pair in dollars, as its name says. Every trade of it becomes a public frame, at its own price
/// and time. Some of its orders also become those of watched accounts: a victim with weeks of its own habits and then an
/// attack, and ordinary traders. What was done by whom is written to FILE.labels.ndjson. The same tape, seed and options
/// give the same bytes.
///
/// Exit code: 0 written, 2 the tape or an option cannot be used.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The tape: `ts_ms,side,price,amount`, .csv or .csv.gz, named after its coin with prices in BTC (ADX_2019-07-05_17.00.csv.gz), after its pair with prices in dollars (SOLUSDT_2021-10-03_17.00.csv.gz)
    #[arg(value_name = "TAPE")]
    pub tape: PathBuf,
    /// Put a victim on it, drawn from this seed; without it there are ordinary accounts only
    #[arg(long, value_name = "SEED")]
    pub victim: Option<u64>,
    /// Where to write (.ndjson, or .ndjson.zst to compress)
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// What is done to the victim: I1 burst, I2 sell all then burst, I3 planted ask, I4 churn, I5 probe then burst, I6 slow, I7 known pair, I8 sells, I9 several victims at once, I10 burst with its own order ids
    #[arg(long, value_name = "KIND", default_value = "I1")]
    pub attack: What,
    /// Share of the tape's taker orders that become the victim's during a burst, in percent; drawn from 2, 10, 30, 70 without it
    #[arg(long, value_name = "PERCENT")]
    pub participation: Option<f64>,
    /// How many victims I9 has
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub fleet: u32,
    /// Ordinary accounts to add: dca, grid, chaser and others, or `all`
    #[arg(long, value_name = "TRADER", value_delimiter = ',')]
    pub ordinary: Vec<String>,
    /// Seed of ordinary accounts where there is no victim
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder with events.csv and lamorgia_labels/; the one above the tape's without it
    #[arg(long, value_name = "FOLDER")]
    pub events: Option<PathBuf>,
    /// When the pump began (2019-07-05T17:00:10Z), for a tape that is not in events.csv
    #[arg(long, value_name = "TIME")]
    pub onset: Option<String>,
    /// What coins are paid with: prices in BTC are turned into dollars by bitcoin's generated price
    #[arg(long, value_name = "BTC|USDT", default_value = "BTC", value_parser = super::material::quoted)]
    pub quote: Quoted,
    /// Days of the tape to keep before the pump
    #[arg(long, value_name = "DAYS", default_value_t = 2.0)]
    pub days_before: f64,
    /// Days of the tape to keep after the pump
    #[arg(long, value_name = "DAYS", default_value_t = 1.0)]
    pub days_after: f64,
    /// Days of the accounts' own history before the kept tape
    #[arg(long, value_name = "DAYS", default_value_t = 21.0)]
    pub history_days: f64,
    /// Leave out rows that cannot be read, and say how many
    #[arg(long)]
    pub skip_bad_rows: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Serialize)]
struct Answer {
    recording: String,
    labels: String,
    arrivals: usize,
    accounts: usize,
    skipped_rows: u64,
    attack: Option<Attacked>,
}

#[derive(Serialize)]
struct Attacked {
    kind: What,
    account: String,
    first: String,
    orders: usize,
    hostile_quote: String,
    asset: String,
}

/// Makes the recording and says on `out` what is in it; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let (recording, skipped) = match make(args) {
        Ok(made) => made,
        Err(why) => {
            match args.format {
                Format::Text => writeln!(out, "{why:#}")?,
                Format::Json => writeln!(out, "{}", serde_json::json!({ "error": format!("{why:#}") }))?,
            }
            return Ok(MISUSE);
        }
    };
    let labels_path = with_ending(&args.out, ".labels.ndjson");
    write_whole(&args.out, &mut |file| write_recording(file, &recording.arrivals))?;
    write_whole(&labels_path, &mut |file| write_labels(file, &recording.labels))?;
    let answer = Answer::about(args, &labels_path, &recording, skipped);
    match args.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &answer)?;
            writeln!(out)?;
        }
        Format::Text => answer.say(out)?,
    }
    Ok(FINE)
}

fn make(args: &Args) -> anyhow::Result<(Recording, u64)> {
    let (coin, quoted) = coin_of(&args.tape)?;
    let settings = settings(args)?;
    let tape = Tape::open(&args.tape, args.skip_bad_rows)?;
    let folder = args.events.clone().or_else(|| beside(&args.tape));
    let mut pumps = folder.map(|folder| Pumps::load(&folder)).transpose()?.unwrap_or_default();
    let onset_ms = match (&args.onset, pumps.of_tape(&args.tape)) {
        (Some(onset), _) => {
            let onset = Timestamp::from_rfc3339(onset);
            onset.context("--onset is a time such as 2019-07-05T17:00:10Z")?.millis()
        }
        (None, Some(pump)) => pump.onset_ms,
        (None, None) => {
            anyhow::bail!(
                "no events.csv names this tape: say with --onset when the pump began, or where the list is with --events"
            )
        }
    };
    let coin = coin.as_str();
    pumps.note(coin, onset_ms);
    let pair = if quoted == Quoted::Dollars { format!("{coin}USDT") } else { coin.to_owned() };
    let recording = import::import(&tape, &pair, onset_ms, pumps.spans(coin), &settings)?;
    Ok((recording, tape.skipped))
}

fn settings(args: &Args) -> anyhow::Result<Settings> {
    let mut ordinary = Vec::new();
    for name in &args.ordinary {
        if name == "all" {
            ordinary.extend(Trader::ALL);
        } else {
            ordinary.push(name.parse()?);
        }
    }
    if args.victim.is_none() && ordinary.is_empty() {
        anyhow::bail!("nobody would trade: give --victim SEED or --ordinary TRADER");
    }
    for (name, days) in
        [("days-before", args.days_before), ("days-after", args.days_after), ("history-days", args.history_days)]
    {
        if !(0.0..=400.0).contains(&days) {
            anyhow::bail!("--{name} is a number of days from 0 to 400");
        }
    }
    if args.days_before < 0.2 {
        anyhow::bail!("--days-before must be at least 0.2: an attack needs some ordinary time before it");
    }
    if args.participation.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
        anyhow::bail!("--participation is a percentage from 0 to 100");
    }
    Ok(Settings {
        seed: args.victim.unwrap_or(args.seed),
        days_before: args.days_before,
        days_after: args.days_after,
        history_days: args.history_days,
        attack: args.victim.map(|_| args.attack),
        participation: args.participation.map(|percent| percent / 100.0),
        fleet: args.fleet,
        ordinary,
        quoted: args.quote,
    })
}

/// Returns the folder above the tape's, if the list of pumps is there.
fn beside(tape: &Path) -> Option<PathBuf> {
    let folder = tape.parent()?.join("..");
    folder.join("events.csv").is_file().then_some(folder)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// Writes a file under another name first, so that a half one is never taken for a recording.
fn write_whole(path: &Path, fill: &mut dyn FnMut(&mut dyn Write) -> std::io::Result<()>) -> anyhow::Result<()> {
    let unfinished = with_ending(path, ".part");
    let why = || format!("cannot write {}", path.display());
    let mut file = BufWriter::new(File::create(&unfinished).with_context(why)?);
    if path.extension().is_some_and(|extension| extension == "zst") {
        let mut packed = zstd::Encoder::new(&mut file, 3).with_context(why)?;
        fill(&mut packed).with_context(why)?;
        packed.finish().with_context(why)?;
    } else {
        fill(&mut file).with_context(why)?;
    }
    file.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(why)?;
    fs::rename(&unfinished, path).with_context(why)
}

impl Answer {
    fn about(args: &Args, labels: &Path, recording: &Recording, skipped_rows: u64) -> Answer {
        let attack = recording.labels.iter().find_map(|label| {
            let hostile = label.hostile.as_ref()?;
            Some(Attacked {
                kind: label.kind,
                account: label.account.to_string(),
                first: label.since().to_string(),
                orders: hostile.orders.len(),
                hostile_quote: hostile.hostile_quote.normalize().to_string(),
                asset: hostile.asset.to_string(),
            })
        });
        Answer {
            recording: args.out.display().to_string(),
            labels: labels.display().to_string(),
            arrivals: recording.arrivals.len(),
            accounts: recording.labels.iter().filter(|label| label.kind == What::Ordinary).count(),
            skipped_rows,
            attack,
        }
    }

    fn say(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{}: {} arrivals, {}", self.recording, self.arrivals, accounts(self.accounts))?;
        if let Some(attack) = &self.attack {
            let Attacked { kind, account, first, orders, hostile_quote, asset } = attack;
            writeln!(out, "  attack    {kind} on {account} from {first}: {orders} orders, {hostile_quote} {asset}")?;
        }
        if self.skipped_rows > 0 {
            writeln!(out, "  left out  {} rows of the tape that could not be read", self.skipped_rows)?;
        }
        writeln!(out, "  labels    {}", self.labels)
    }
}

fn accounts(count: usize) -> String {
    if count == 1 { "1 account".to_owned() } else { format!("{count} accounts") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONSET: i64 = 1_562_346_000_000;

    /// Writes a tape of two days with a busy minute, and a bad row.
    fn tape(folder: &Path) -> PathBuf {
        let mut rows = String::from("ts_ms,side,price,amount\nbad\n");
        let quiet = (0..800).map(|i| ONSET - 170_000_000 + i * 210_000);
        for (i, ms) in quiet.chain((0..150).map(|i| ONSET + i * 700)).enumerate() {
            let side = if i % 4 == 0 { "s" } else { "b" };
            rows += &format!("{ms},{side},0.00001{},{}\n", 100 + i % 7, 900 + i % 91);
        }
        let path = folder.join("XYZ_test.csv");
        fs::write(&path, rows).unwrap();
        path
    }

    fn called(words: &[&str]) -> (u8, String) {
        let args = Args::parse_from(["import-tape"].iter().chain(words));
        let mut said = Vec::new();
        let code = run(&args, &mut said).unwrap();
        (code, String::from_utf8(said).unwrap())
    }

    #[test]
    fn a_recording_and_its_labels_are_written_plain_and_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let tape = tape(folder.path());
        let plain = folder.path().join("a.ndjson");
        let packed = folder.path().join("a.ndjson.zst");
        let mut common = vec![tape.to_str().unwrap(), "--victim", "7", "--onset", "2019-07-05T17:00:00Z"];
        common.extend(["--skip-bad-rows", "--history-days", "5", "-o"]);
        let (code, said) = called(&[&common[..], &[plain.to_str().unwrap()]].concat());
        assert_eq!(code, FINE, "{said}");
        assert!(said.contains("attack    I1 on binance/victim-7") && said.contains("left out  1 rows"), "{said}");
        assert_eq!(called(&[&common[..], &[packed.to_str().unwrap()]].concat()).0, FINE);
        let text = fs::read_to_string(&plain).unwrap();
        assert!(text.starts_with(r#"{"fillguard":1,"kind":"recording","created":"2019-06-"#), "{}", &text[..80]);
        for (n, line) in text.lines().skip(1).enumerate() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["n"], n + 1);
            assert!(value["at"].is_i64() && value["from"].is_string());
        }
        assert_eq!(zstd::decode_all(&fs::read(&packed).unwrap()[..]).unwrap(), text.as_bytes());
        let labels = fs::read(folder.path().join("a.ndjson.labels.ndjson")).unwrap();
        assert_eq!(crate::tune::labels::read_labels(&labels[..]).unwrap().len(), 2);
        assert!(!folder.path().join("a.ndjson.part").exists());
    }

    #[test]
    fn what_cannot_be_used_is_said_with_exit_code_2() {
        let folder = tempfile::tempdir().unwrap();
        let tape = tape(folder.path());
        let (tape, out) = (tape.to_str().unwrap(), folder.path().join("b"));
        let out = out.to_str().unwrap();
        let onset = ["--onset", "2019-07-05T17:00:00Z"];
        for (words, expected) in [
            (vec![tape, "-o", out], "nobody would trade"),
            (vec![tape, "-o", out, "--ordinary", "whale"], "no trader is called `whale`"),
            (vec![tape, "-o", out, "--victim", "1", "--skip-bad-rows"], "--onset"),
            (vec![tape, "-o", out, "--victim", "1", onset[0], onset[1]], "line 2 of"),
            (vec![tape, "-o", out, "--victim", "1", "--onset", "today", "--skip-bad-rows"], "--onset is a time"),
            (vec!["SOLETH_1.csv", "-o", out, "--victim", "1"], "SOLETH is a pair whose prices"),
            (vec!["bad name.csv", "-o", out, "--victim", "1"], "\"bad name\" is no coin's name"),
            (vec![tape, "-o", out, "--victim", "1", "--days-before", "0.1"], "at least 0.2"),
        ] {
            let (code, said) = called(&words);
            assert_eq!(code, MISUSE, "{words:?}");
            assert!(said.contains(expected), "{words:?}: {said}");
            assert!(!Path::new(out).exists());
        }
    }
}
