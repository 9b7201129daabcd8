//! `fillguard leakcheck`: are my keys in what was published?

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use serde::Serialize;

use super::{ConfigFile, FINE, FOUND, Format, MISUSE};
use crate::config::Kept;
use crate::leakcheck::{Finder, Part, Report, Scanner, spellings};

/// Look for your keys in files that somebody published
///
/// Searches files, folders and standard input (`-`), plain or packed with gzip or zstd, for the ids, secrets and
/// passphrases of the configured keys: as they are, in base64, hexadecimal, percent-encoded, with JSON's escapes, in
/// UTF-16. Nothing of a secret is printed or sent anywhere: a find is told by account, part, file and place.
///
/// Exit code: 0 nothing found, 1 a key was found, 2 misuse, or a file could not be looked into and nothing was found.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Files, folders, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The configuration whose keys are looked for.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The folder with the keys that systemd hands to the service, such as /etc/fillguard/keys
    #[arg(long, value_name = "DIR")]
    pub credentials: Option<PathBuf>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Serialize)]
struct Answer<'a> {
    keys: usize,
    spellings: usize,
    not_looked_for: &'a [String],
    #[serde(flatten)]
    report: &'a Report,
}

/// Searches and writes what was found to `out`; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write, terminal: bool) -> anyhow::Result<u8> {
    let Some(kept) = args.config.secrets(args.credentials.clone())? else { return Ok(MISUSE) };
    let (needles, absent, keys) = wanted(&kept);
    let finder = Finder::new(needles);
    if finder.count() == 0 {
        let hint = "no key could be read; where systemd hands the keys over, name their folder with --credentials";
        writeln!(io::stderr(), "fillguard: {hint}").context("standard error is gone")?;
        return Ok(MISUSE);
    }
    let bar = progress(&args.paths, terminal);
    let tick = |bytes| bar.inc(bytes);
    let mut scanner = Scanner::new(&finder, &tick);
    for path in &args.paths {
        match path.as_os_str() == "-" {
            true => scanner.stream(io::stdin().lock(), "-"),
            false => scanner.path(path),
        }
    }
    let report = scanner.finish();
    bar.finish_and_clear();
    match args.format {
        Format::Json => {
            let answer = Answer { keys, spellings: finder.count(), not_looked_for: &absent, report: &report };
            serde_json::to_writer_pretty(&mut *out, &answer)?;
            writeln!(out)?;
        }
        Format::Text => tell(out, &report, &absent, keys)?,
    }
    Ok(match (report.finds.is_empty(), report.unread.is_empty() && absent.is_empty()) {
        (false, _) => FOUND,
        (true, false) => MISUSE,
        (true, true) => FINE,
    })
}

/// Returns the spellings to look for, what cannot be looked for, and how many keys that is.
pub(super) fn wanted(kept: &[Kept]) -> (Vec<crate::leakcheck::Needle>, Vec<String>, usize) {
    let (mut needles, mut absent, mut keys) = (Vec::new(), Vec::new(), 0);
    for one in kept {
        let (whose, part) = (one.whose.as_str(), one.part);
        match &one.secret {
            Some(secret) => {
                let made = spellings(whose, part, secret);
                if made.is_empty() {
                    absent.push(format!("the {part} of {whose}: it is too short to be told from other text"));
                }
                keys += usize::from(part == Part::Secret);
                needles.extend(made);
            }
            None => absent.push(format!("the {part} of {whose}: it could not be read here")),
        }
    }
    (needles, absent, keys)
}

fn tell(out: &mut dyn Write, report: &Report, absent: &[String], keys: usize) -> io::Result<()> {
    for find in &report.finds {
        let (account, part, spelling) = (&find.account, find.part, find.spelling);
        writeln!(out, "FOUND     {account}: its {part} ({spelling}) in {} at byte {}", find.file, find.offset)?;
    }
    if report.more > 0 {
        writeln!(out, "          and {} more in files with more than a hundred", report.more)?;
    }
    for (file, why) in &report.unread {
        writeln!(out, "not read  {file}: {why}")?;
    }
    for what in absent {
        writeln!(out, "not sought  {what}")?;
    }
    let size = crate::config::write_size(report.bytes);
    let files = report.files;
    match report.finds.is_empty() {
        true => writeln!(out, "{keys} keys are in none of {files} files ({size})"),
        false => {
            writeln!(out, "{files} files ({size}) searched for {keys} keys")?;
            writeln!(out, "Take those keys away now: fillguard panic --account NAME, or at the exchange's key page.")
        }
    }
}

/// Draws on a terminal only, and only for what takes a while.
fn progress(paths: &[PathBuf], terminal: bool) -> indicatif::ProgressBar {
    let total: u64 = paths.iter().filter_map(|path: &PathBuf| Path::metadata(path).ok()).map(|about| about.len()).sum();
    if !terminal || total < 512 << 20 { indicatif::ProgressBar::hidden() } else { indicatif::ProgressBar::new(total) }
}
