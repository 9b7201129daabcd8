//! `fillguard test`: stories and recordings, judged by the rules as configured.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;

use super::{FINE, FOUND, MISUSE};
use crate::config::Config;
use crate::domain::RuleName;
use crate::pipeline::Settings;
use crate::trial::{self, ENDING, Outcome};

/// Test rules: short stories or recordings, what must be told of them, and what must not
///
/// Tests stand in files that end in .test.toml, beside the rules or anywhere else:
///
///   [[test]]
///   name = "a thin coin bought at +40 % is told"
///   [[test.step]]
///   market = "APPC-BTC"
///   at = "0.00002"
///   spends = "8"
///   lasts = "2h"
///   [[test.step]]
///   account = "alice"
///   buys = "APPC-BTC"
///   at = "+40 %"
///   spends = "3"
///   [[test.expect]]
///   rule = "my_rule"
///   level = "alert"
///   [[test.never]]
///   rule = "another_rule"
///
/// A rule without a test in which it speaks, and one in which it does not, is named at the end.
///
/// Exit code: 0 all passed, 1 a test failed, 2 a file or the configuration cannot be used.
#[derive(Clone, Debug, Parser)]
#[command(verbatim_doc_comment)]
#[allow(rustdoc::broken_intra_doc_links, reason = "tables of TOML, shown as they are in --help")]
pub struct Args {
    /// Files of tests, or folders that hold them
    #[arg(required = true, value_name = "DIR")]
    pub paths: Vec<PathBuf>,
    /// Rules and thresholds; without it those of a fresh installation
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write the outcomes for a build server
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Exit with 1 also when a rule of your own or one that a file changes lacks a test that it speaks in, or one that it does not
    #[arg(long)]
    pub covered: bool,
}

/// Runs the tests.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let misuse = |why: String| -> anyhow::Result<u8> {
        writeln!(std::io::stderr(), "{why}").context("standard error is gone")?;
        Ok(MISUSE)
    };
    let settings = match &args.config {
        None => Settings::default(),
        Some(path) => match Config::pipeline_only(path) {
            Ok(settings) => settings,
            Err(problems) => return misuse(problems.to_string()),
        },
    };
    let files = match files(&args.paths) {
        Ok(files) => files,
        Err(why) => return misuse(format!("fillguard: {why}")),
    };
    let mut outcomes: Vec<Outcome> = Vec::new();
    for file in &files {
        let ran = trial::load(file).and_then(|tests| trial::run(file, &tests, &settings));
        match ran {
            Ok(ran) => outcomes.extend(ran),
            Err(error) => return misuse(format!("fillguard: {error}")),
        }
    }
    for outcome in &outcomes {
        let passed = outcome.failures.is_empty();
        writeln!(out, "{}  {}", if passed { "ok    " } else { "FAILED" }, outcome.name)?;
        for failure in &outcome.failures {
            writeln!(out, "        {failure}")?;
        }
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.failures.is_empty()).count();
    writeln!(out, "{} passed, {failed} failed, in {} files", outcomes.len() - failed, files.len())?;
    let bare = uncovered(&outcomes, &settings, &extended(&args.paths));
    for line in &bare {
        writeln!(out, "{line}")?;
    }
    if let Some(path) = &args.junit
        && let Err(error) = std::fs::write(path, trial::junit(&outcomes))
    {
        return misuse(format!("fillguard: {}: cannot be written: {error}", path.display()));
    }
    Ok(if failed > 0 || args.covered && !bare.is_empty() { FOUND } else { FINE })
}

/// Returns the rules of the user's own that no test hits or nearly hits, and the shipped rules that tests name only in part
/// or that rule files beside the tests change.
fn uncovered(outcomes: &[Outcome], settings: &Settings, extended: &BTreeSet<String>) -> Vec<String> {
    let hits: BTreeSet<&str> = outcomes.iter().flat_map(|outcome| &outcome.hits).map(String::as_str).collect();
    let misses: BTreeSet<&str> = outcomes.iter().flat_map(|outcome| &outcome.misses).map(String::as_str).collect();
    let own = settings.engine.user.rules.iter().map(|rule| rule.name.as_str());
    let shipped = RuleName::ALL.iter().map(|rule| rule.as_str());
    let shipped = shipped.filter(|rule| hits.contains(rule) || misses.contains(rule) || extended.contains(*rule));
    own.chain(shipped)
        .filter_map(|rule| match (hits.contains(rule), misses.contains(rule)) {
            (true, true) => None,
            (true, false) => Some(format!("rule {rule}: no test in which it must not speak ([[test.never]])")),
            (false, true) => Some(format!("rule {rule}: no test in which it must speak ([[test.expect]])")),
            (false, false) => Some(format!("rule {rule}: no test")),
        })
        .collect()
}

/// Returns the shipped rules that rule files in the folders change, as far as they can be read.
fn extended(folders: &[PathBuf]) -> BTreeSet<String> {
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let paths = entries.map(|entry| entry.path()).filter(|path| {
        path.extension().is_some_and(|ending| ending == "toml") && !path.to_string_lossy().ends_with(ENDING)
    });
    let texts = paths.filter_map(|path| std::fs::read_to_string(path).ok()?.parse::<toml::Table>().ok());
    let rules = texts.filter_map(|table| table.get("rule")?.as_array().cloned()).flatten();
    rules.filter_map(|rule| rule.get("extends")?.as_str().map(str::to_owned)).collect()
}

pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        gather(path, &mut files, 0)?;
        if files.len() == before {
            return Err(format!("{}: holds no file that ends in {ENDING}", path.display()));
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>, depth: usize) -> Result<(), String> {
    let list = std::fs::read_dir(folder).map_err(|error| format!("{}: cannot be listed: {error}", folder.display()))?;
    for entry in list.flatten() {
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| format!("{}: {error}", path.display()))?;
        // Links are not followed: they may lead round in circles.
        if kind.is_dir() && depth < 8 {
            gather(&path, files, depth + 1)?;
        } else if kind.is_file() && path.to_string_lossy().ends_with(ENDING) {
            files.push(path);
        }
    }
    Ok(())
}
