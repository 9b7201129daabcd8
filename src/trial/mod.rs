//! Tests of rules: short stories or recordings, what must be told of them, and what must not.

mod file;
mod junit;
mod story;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::alert::hidden_by;
use crate::arrival::Arrival;
use crate::domain::{EffectKind, Finding, Level, Span, Timestamp};
use crate::journal::Reader;
use crate::pipeline::{Pipeline, Settings};

pub use file::{Expect, Never, Step, Test, Tests};
pub use junit::junit;

/// How the files of tests end; they stand beside the rules they test.
pub const ENDING: &str = ".test.toml";

/// Rules that speak although nothing traded.
const OF_NO_ORDER: [&str; 6] =
    ["blind", "unfamiliar_address", "key_permission_widened", "key_unrestricted", "new_key", "key_policy"];

/// Why a file of tests cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{0}: cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// It is no file of tests.
    #[error("{0}: {1}")]
    Mistaken(PathBuf, String),
}

/// How a test went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The file it stands in.
    pub file: PathBuf,
    /// Its name.
    pub name: String,
    /// What was expected and did not happen, or happened and should not; none when it passed.
    pub failures: Vec<String>,
    /// The rules that it saw fire as expected.
    pub hits: BTreeSet<String>,
    /// The rules that were near and did not fire, as expected.
    pub misses: BTreeSet<String>,
}

/// Reads a file of tests.
pub fn load(path: &Path) -> Result<Tests, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::Unreadable(path.to_owned(), error))?;
    file::parse(&text).map_err(|why| Error::Mistaken(path.to_owned(), why))
}

/// Runs the tests of one file.
pub fn run(path: &Path, tests: &Tests, settings: &Settings) -> Result<Vec<Outcome>, Error> {
    tests.test.iter().map(|test| one(path, test, settings)).collect()
}

fn one(path: &Path, test: &Test, settings: &Settings) -> Result<Outcome, Error> {
    let wrong = |why: String| Error::Mistaken(path.to_owned(), format!("test {:?}: {why}", test.name));
    let (arrivals, ends) = match &test.recording {
        Some(recording) => {
            let recording = path.parent().unwrap_or_else(|| Path::new("")).join(recording);
            let reader = Reader::open(&recording).map_err(|error| wrong(error.to_string()))?;
            let arrivals: Result<Vec<Arrival>, _> = reader.collect();
            (arrivals.map_err(|error| wrong(error.to_string()))?, Vec::new())
        }
        None => story::arrivals(test).map_err(wrong)?,
    };
    let mut pipeline = Pipeline::new(settings.clone());
    let (mut found, mut hidden): (Vec<Finding>, Vec<Finding>) = (Vec::new(), Vec::new());
    for arrival in &arrivals {
        for effect in pipeline.step(arrival) {
            let EffectKind::Incident { finding, .. } = effect.kind;
            let is_hidden = finding.as_ref().is_some_and(|finding| hidden_by(finding).is_some());
            if is_hidden { hidden.extend(finding) } else { found.extend(finding) }
        }
    }
    let mut outcome = Outcome {
        file: path.to_owned(),
        name: test.name.clone(),
        failures: Vec::new(),
        hits: BTreeSet::new(),
        misses: BTreeSet::new(),
    };
    for expect in &test.expect {
        match met(expect, &found, &ends).map_err(wrong)? {
            None => {
                outcome.hits.extend(expect.rule.clone());
            }
            Some(failure) => outcome.failures.push(failure + &swallowed(expect, &hidden)),
        }
    }
    for never in &test.never {
        match broken(never, &found) {
            None => {
                outcome.misses.extend(never.rule.clone());
            }
            Some(failure) => outcome.failures.push(failure),
        }
    }
    if test.expect.is_empty() && test.never.is_empty() {
        return Err(wrong("expects nothing: write [[test.expect]] or [[test.never]]".to_owned()));
    }
    let about = test.expect.iter().map(|one| &one.rule).chain(test.never.iter().map(|one| &one.rule));
    if pipeline.counts().fills == 0 && of_orders(about) {
        outcome.failures.push("no order traded, so nothing was judged".to_owned());
    }
    Ok(outcome)
}

fn of_orders<'a>(mut rules: impl Iterator<Item = &'a Option<String>>) -> bool {
    rules.any(|rule| rule.as_ref().is_none_or(|rule| !OF_NO_ORDER.contains(&rule.as_str())))
}

fn met(expect: &Expect, found: &[Finding], ends: &[Timestamp]) -> Result<Option<String>, String> {
    let level = expect.level.unwrap_or(Level::Notice);
    let fits = |finding: &&Finding| is_meant(expect, finding);
    let mut fitting = found.iter().filter(fits);
    let loudest = found.iter().filter(fits).map(|finding| finding.level).max();
    let Some(first) = fitting.find(|finding| finding.level >= level) else {
        return Ok(Some(match loudest {
            Some(loudest) => format!("expected {}: it was a {loudest} at most", said(expect, level)),
            None => format!("expected {}: nothing of it was told{}", said(expect, level), instead(found)),
        }));
    };
    let (Some(step), Some(within)) = (expect.step, &expect.within) else {
        return Ok(None);
    };
    let within: Span = within.parse().map_err(|why| format!("within {within:?} {why}"))?;
    let end = ends
        .get(step.checked_sub(1).ok_or("steps are counted from 1")?)
        .ok_or_else(|| format!("there is no step {step}"))?;
    let late = first.at.since(*end);
    Ok((late > within || late.nanos() < -within.nanos()).then(|| {
        format!(
            "expected {} within {} s of step {step}: it came {} s after it",
            said(expect, level),
            within.secs_f64(),
            late.secs_f64()
        )
    }))
}

fn is_meant(expect: &Expect, finding: &Finding) -> bool {
    let pair = |pair: &String| finding.symbol.as_ref().is_some_and(|symbol| symbol.to_string() == *pair);
    expect.rule.as_ref().is_none_or(|rule| finding.rule_name() == rule)
        && expect.account.as_ref().is_none_or(|account| finding.account.name == account.as_str())
        && expect.pair.as_ref().is_none_or(pair)
}

/// Names the exceptions that hid what was expected.
fn swallowed(expect: &Expect, hidden: &[Finding]) -> String {
    let level = expect.level.unwrap_or(Level::Notice);
    let meant = hidden.iter().filter(|finding| is_meant(expect, finding)).filter_map(hidden_by);
    let names: BTreeSet<&str> = meant.filter(|(_, was)| *was >= level).map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("; the exception {} hid it", names.into_iter().collect::<Vec<_>>().join(", "))
}

fn said(expect: &Expect, level: Level) -> String {
    let rule = expect.rule.as_deref().unwrap_or("some rule");
    let about = expect.account.as_ref().map(|account| format!(" about {account}")).unwrap_or_default();
    format!("{rule} to say {level}{about}")
}

fn instead(found: &[Finding]) -> String {
    let rules: BTreeSet<String> =
        found.iter().map(|finding| format!("{} ({})", finding.rule_name(), finding.level)).collect();
    if rules.is_empty() {
        String::new()
    } else {
        format!("; there were {}", rules.into_iter().collect::<Vec<_>>().join(", "))
    }
}

fn broken(never: &Never, found: &[Finding]) -> Option<String> {
    let level = never.level.unwrap_or(Level::Notice);
    let unwanted = found.iter().find(|finding| {
        finding.level >= level
            && never.rule.as_ref().is_none_or(|rule| finding.rule_name() == rule)
            && never.account.as_ref().is_none_or(|account| finding.account.name == account.as_str())
    })?;
    let terms: Vec<String> = unwanted.terms.iter().map(|term| format!("{} {}", term.name, term.nats)).collect();
    Some(format!(
        "{} should not have said {}: at arrival {} it did, with {} nats ({})",
        unwanted.rule_name(),
        unwanted.level,
        unwanted.n,
        unwanted.score,
        terms.join(", "),
    ))
}
