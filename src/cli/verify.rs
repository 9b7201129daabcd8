//! `fillguard verify`: is a recording whole, and is it what was written?

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Parser;
use serde::Serialize;

use super::Format;
use crate::journal::{Fault, Kind, Report, segments, verify};

/// Nothing is wrong.
const FINE: u8 = 0;
/// A file is not as it was written.
const FOUND: u8 = 1;
/// There is nothing to check.
const MISUSE: u8 = 2;

/// Check recordings and journal segments against their seals
///
/// Says of each file how far it is whole and sealed, whether each journal segment continues the one before it, and where the
/// first bad line is. Give the segments in order, or the journal's directory; or what `fillguard evidence` wrote, a folder
/// or a .tar, whose signature and hashes are checked too.
///
/// Exit code: 0 nothing wrong, 1 a fault was found, 2 a file cannot be opened.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Recordings (.ndjson or .ndjson.zst), a journal's directory, or a piece of evidence
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How a file stands to the one given before it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Chain {
    /// It is a recording, or the first segment of a journal.
    Begins,
    /// Its seals prove that it continues the file before it.
    Continues,
    /// It continues a segment that was not given.
    NotGiven,
    /// It does not continue the file before it.
    Broken,
}

#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    report: Report,
    chain: Chain,
    /// Numbers skipped since the file before it although no segment is missing.
    skipped: u64,
}

#[derive(Serialize)]
struct Answer<'a> {
    fine: bool,
    files: &'a [Checked],
}

/// Checks the files and writes what was found to `out`; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    if let [path] = args.files.as_slice()
        && crate::evidence::is_bundle(path)
    {
        return super::evidence::check(path, args.format, out);
    }
    let mut checked: Vec<Checked> = Vec::new();
    let files = match files(&args.files) {
        Ok(files) => files,
        Err(said) => return misuse(args.format, &said, out),
    };
    let bar = progress(&files);
    for file in &files {
        match verify(file) {
            Ok(report) => {
                bar.inc(size(file));
                checked.push(Checked::after(checked.last(), report));
            }
            Err(error) => return misuse(args.format, &format!("cannot read {}: {error}", file.display()), out),
        }
    }
    bar.finish_and_clear();
    let fine = checked.iter().all(|file| file.report.faults.is_empty());
    match args.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &Answer { fine, files: &checked })?;
            writeln!(out)?;
        }
        Format::Text => {
            for file in &checked {
                write!(out, "{file}")?;
            }
            if let [_, _, ..] = checked.as_slice() {
                summary(&checked, out)?;
            }
        }
    }
    Ok(if fine { FINE } else { FOUND })
}

/// Replaces directories by the segments in them.
pub(super) fn files(given: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let found = segments(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        if found.is_empty() {
            return Err(format!("{} holds no journal segments (journal-….ndjson)", path.display()));
        }
        files.extend(found.into_iter().map(|segment| segment.path));
    }
    Ok(files)
}

fn misuse(format: Format, said: &str, out: &mut dyn Write) -> anyhow::Result<u8> {
    match format {
        Format::Text => writeln!(out, "{said}")?,
        Format::Json => writeln!(out, "{}", serde_json::json!({ "error": said }))?,
    }
    Ok(MISUSE)
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |data| data.len())
}

/// Draws on a terminal only, and only for what takes a while.
fn progress(files: &[PathBuf]) -> indicatif::ProgressBar {
    let total: u64 = files.iter().map(|file| size(file)).sum();
    if total < 256 << 20 { indicatif::ProgressBar::hidden() } else { indicatif::ProgressBar::new(total) }
}

fn summary(checked: &[Checked], out: &mut dyn Write) -> io::Result<()> {
    let bad = checked.iter().filter(|file| !file.report.faults.is_empty()).count();
    let arrivals = checked.iter().map(|file| file.report.arrivals).sum();
    match bad {
        0 => writeln!(out, "{} files, {} arrivals: nothing wrong", checked.len(), Count(arrivals)),
        bad => writeln!(out, "{} files, {} arrivals: {bad} with faults", checked.len(), Count(arrivals)),
    }
}

impl Checked {
    fn after(before: Option<&Checked>, mut report: Report) -> Self {
        let mut skipped = 0;
        let chain = match (&report.prev, before) {
            (None, _) => Chain::Begins,
            (Some(_), Some(before)) if before.report.kind == Some(Kind::Journal) => {
                if report.follow(&before.report) {
                    let end = before.report.last_n.map_or(before.report.begins_at, |n| n.saturating_add(1));
                    skipped = report.begins_at.saturating_sub(end);
                    Chain::Continues
                } else {
                    Chain::Broken
                }
            }
            (Some(_), _) => Chain::NotGiven,
        };
        Checked { report, chain, skipped }
    }

    /// Says in a few words how the file stands.
    fn verdict(&self) -> &'static str {
        let report = &self.report;
        match report.faults.first() {
            Some(_) => "FAULT",
            None if report.arrivals == 0 => "no arrivals yet",
            None if report.seals == 0 => "readable, not sealed",
            None => "whole and sealed",
        }
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        writeln!(f, "{}: {}", report.path.display(), self.verdict())?;
        if let (Some(first), Some(last)) = (report.first_n, report.last_n) {
            writeln!(f, "  arrivals  {}, n={first} to n={last}", Count(report.arrivals))?;
        }
        if let (Some(first), Some(last)) = (report.first_at, report.last_at) {
            writeln!(f, "  time      {first} to {last} ({})", last.since(first))?;
        }
        if report.arrivals > 0 {
            match (&report.last_seal, report.sealed_n) {
                (None, _) => writeln!(f, "  seals     none: an alteration could not be found")?,
                (Some(seal), Some(n)) if report.faults.is_empty() => {
                    writeln!(f, "  seals     {}, to n={n}, the last is {seal}", Count(report.seals))?;
                }
                (Some(_), Some(n)) => writeln!(f, "  seals     {} hold, to n={n}", Count(report.seals))?,
                (Some(_), None) => writeln!(f, "  seals     none of them holds")?,
            }
        }
        match self.chain {
            Chain::Continues => writeln!(f, "  chain     continues the file before it")?,
            Chain::NotGiven => {
                writeln!(f, "  chain     continues a segment that was not given, so that was not checked")?
            }
            Chain::Begins | Chain::Broken => {}
        }
        if self.skipped > 0 {
            let (from, to) = (report.begins_at - self.skipped, report.begins_at - 1);
            writeln!(f, "  note      n={from} to n={to} were skipped on purpose; nothing is missing")?;
        }
        if report.clock_back > 0 {
            let (times, most) = (report.clock_back, report.clock_back_most);
            writeln!(f, "  note      the clock went back {} (at most {most})", Times(times))?;
        }
        report.faults.iter().try_for_each(|Fault { line, offset, what, kind: _ }| {
            writeln!(f, "  fault     line {line} (byte {offset}): {what}")
        })
    }
}

/// `12,345`.
struct Count(u64);

/// `once`, `5 times`.
struct Times(u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("once"),
            times => write!(f, "{} times", Count(times)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDING: &str = "{\"fillguard\":1,\"kind\":\"recording\",\"created\":\"2026-11-22T10:00:00Z\"}\n\
        {\"n\":1,\"at\":1747385641000000000,\"from\":\"clock\",\"tick\":true}\n\
        {\"n\":2,\"at\":1747385640000000000,\"from\":\"clock\",\"tick\":true}\n";

    fn check(files: &[&Path], format: Format) -> (u8, String) {
        let args = Args { files: files.iter().map(|file| file.to_path_buf()).collect(), format };
        let mut out = Vec::new();
        let code = run(&args, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_recording_without_seals_is_readable_and_said_to_be_unsealed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.ndjson");
        std::fs::write(&path, RECORDING).unwrap();
        let (code, text) = check(&[&path], Format::Text);
        assert_eq!(code, FINE, "{text}");
        let expected = format!(
            "{}: readable, not sealed\n  arrivals  2, n=1 to n=2\n  time      2025-05-16T08:54:01.000Z to \
             2025-05-16T08:54:00.000Z (0 ms)\n  seals     none: an alteration could not be found\n  note      the clock \
             went back once (at most 1 s)\n",
            path.display()
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn only_within_a_source_is_an_earlier_time_a_clock_that_was_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.ndjson");
        let answer = "\"from\":\"binance/alice/rest\",\"call\":\"account\",\"frame\":{}";
        std::fs::write(&path, RECORDING.replacen("\"from\":\"clock\",\"tick\":true", answer, 1)).unwrap();
        let (code, text) = check(&[&path], Format::Text);
        assert!(code == FINE && !text.contains("clock"), "{text}");
    }

    #[test]
    fn the_first_bad_line_is_named_with_its_byte_and_the_exit_code_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.ndjson");
        std::fs::write(&path, RECORDING.replace("\"n\":2", "\"n\":3")).unwrap();
        let (code, text) = check(&[&path], Format::Text);
        assert_eq!(code, FOUND);
        let said = "  fault     line 3 (byte 128): arrival 3 stands where 2 should be: arrival 2 is missing\n";
        assert!(text.ends_with(said), "{text}");
        let (code, json) = check(&[&path], Format::Json);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (code, &json["fine"], &json["files"][0]["faults"][0]["kind"]),
            (1, &false.into(), &"numbering".into())
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_misuse() {
        let dir = tempfile::tempdir().unwrap();
        let (code, text) = check(&[Path::new("/nonexistent/x.ndjson")], Format::Text);
        assert_eq!((code, text.starts_with("cannot read /nonexistent/x.ndjson: ")), (MISUSE, true), "{text}");
        let (code, text) = check(&[dir.path()], Format::Json);
        assert!(code == MISUSE && text.contains("holds no journal segments"), "{text}");
    }

    #[test]
    fn counts_are_grouped() {
        let text = [0, 999, 1_000, 12_345_678].map(|count| Count(count).to_string()).join(" ");
        assert_eq!(text, "0 999 1,000 12,345,678");
    }
}
