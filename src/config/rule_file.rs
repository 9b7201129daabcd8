//! Files of rules: shipped ones changed by name, and rules of the user's own. A file with a mistake is refused whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use compact_str::CompactString;

use super::document;
use super::exception::Exceptions;
use super::problem::{Problems, nearest};
use super::section::{Gather, Scope, Section};
use crate::domain::{Level, RuleName};
use crate::engine;
use crate::engine::expression::{Condition, Mistake, Sentence};
use crate::engine::rules::user::Rule;

/// Files read of a folder; more is a mistake in the path.
const MOST_FILES: usize = 1_000;
/// Rules of the user's own; each is asked at every order.
const MOST_RULES: usize = 500;
const LONGEST_NAME: usize = 60;

/// Reads every `*.toml` of a folder, in the order of their names; returns the exceptions that stand in them.
pub(super) fn read(rules: &Section<'_>, folder: &Path, settings: &mut engine::Settings) -> Exceptions {
    let files = match files(folder) {
        Ok(files) => files,
        Err(why) => {
            rules.refuse("dir", format!("{}: {why}", folder.display()));
            return Exceptions::new(Vec::new());
        }
    };
    let mut known = BTreeMap::new();
    // An exception may name a rule of a later file.
    let mut exceptions = Exceptions::new(files.iter().flat_map(|path| names(path)).collect());
    for path in files {
        if let Err(problems) = read_file(&path, rules.gather, settings, &mut known, &mut exceptions) {
            rules.gather.refuse_file(problems);
        }
    }
    if settings.user.rules.len() > MOST_RULES {
        rules.refuse("dir", format!("there are more than {MOST_RULES} rules; each is asked at every order"));
    }
    settings.user.rules.sort_by(|a, b| a.name.cmp(&b.name));
    exceptions
}

/// Returns the names of the rules in a file, as far as it can be read.
fn names(path: &Path) -> Vec<String> {
    let table = document::read(path).ok().and_then(|text| text.parse::<toml::Table>().ok()).unwrap_or_default();
    let rules = table.get("rule").and_then(toml::Value::as_array).into_iter().flatten();
    rules.filter_map(|rule| rule.get("name")?.as_str().map(str::to_owned)).collect()
}

/// Lists the rule files of a folder.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let list = std::fs::read_dir(folder).map_err(|error| format!("cannot be listed: {error}"))?;
    let mut files = Vec::new();
    for entry in list {
        let path = entry.map_err(|error| format!("cannot be listed: {error}"))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // Tests of rules stand beside them.
        let test = path.to_string_lossy().ends_with(".test.toml");
        if !hidden && !test && path.extension().is_some_and(|ending| ending == "toml") {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            return Err(format!("has more than {MOST_FILES} files; is it the right folder?"));
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(
    path: &Path,
    around: &Gather,
    settings: &mut engine::Settings,
    known: &mut BTreeMap<CompactString, PathBuf>,
    exceptions: &mut Exceptions,
) -> Result<(), Problems> {
    let text = document::read(path)?;
    for warning in read_text(path, &text, around.scope, settings, known, exceptions)? {
        around.warn(warning);
    }
    Ok(())
}

/// Takes over what a rule file of this text says; returns its warnings.
pub(super) fn read_text(
    path: &Path,
    text: &str,
    scope: Scope,
    settings: &mut engine::Settings,
    known: &mut BTreeMap<CompactString, PathBuf>,
    exceptions: &mut Exceptions,
) -> Result<Vec<String>, Problems> {
    let document = document::parse(text);
    if !document.readable {
        return Err(Problems::new(path.to_owned(), document.faults));
    }
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let gather = Gather::new(document.lines, folder, scope, None, document.faults);
    let mut root = Section::root(&gather, document.root.get_ref());
    for mut section in root.sections("rule") {
        one(&mut section, path, settings, known);
        section.close();
    }
    exceptions.read(&mut root, path);
    root.close();
    let (problems, warnings) = gather.into_inner();
    if problems.is_empty() { Ok(warnings) } else { Err(Problems::new(path.to_owned(), problems)) }
}

/// Returns the keys that are asked for when a text is read as a rule file.
pub(super) fn heard(text: &str) -> Vec<super::schema::Asked> {
    let document = document::parse(text);
    let gather = Gather::new(document.lines, PathBuf::new(), super::section::Scope::Middle, None, document.faults);
    let gather = gather.listening();
    let mut root = Section::root(&gather, document.root.get_ref());
    let (mut settings, mut known) = (engine::Settings::default(), BTreeMap::new());
    for mut section in root.sections("rule") {
        one(&mut section, Path::new(""), &mut settings, &mut known);
    }
    Exceptions::new(Vec::new()).read(&mut root, Path::new(""));
    gather.heard()
}

fn one(
    section: &mut Section<'_>,
    path: &Path,
    settings: &mut engine::Settings,
    known: &mut BTreeMap<CompactString, PathBuf>,
) {
    let shipped: Vec<&str> =
        RuleName::ALL.iter().filter(|name| **name != RuleName::User).map(|name| name.as_str()).collect();
    if let Some(name) = section.text("extends", None) {
        let Some(rule) = RuleName::ALL.iter().find(|rule| rule.as_str() == name && **rule != RuleName::User) else {
            let what = match nearest(&name, &shipped) {
                Some(near) => format!("no shipped rule has this name; did you mean {near}?"),
                None => format!("no shipped rule has this name; there are {}", shipped.join(", ")),
            };
            section.refuse("extends", what);
            return;
        };
        if section.has("when") {
            section.refuse("when", "a shipped rule has a condition of its own; leave extends out to write a new rule");
        }
        if let Some(before) = known.insert(rule.as_str().into(), path.to_owned()) {
            section.refuse("extends", format!("{} extends it already", before.display()));
        }
        // For people; what a shipped rule says of a finding is its own.
        let _ = section.text("why", None);
        let (stage, budget) = stage(section);
        if *rule == RuleName::Blind && stage == Stage::Staged {
            section.refuse("stage", "nobody would be told that an account cannot be seen");
        }
        super::rules::shipped(settings, *rule, section);
        match stage {
            Stage::Live => {}
            Stage::Staged => settings.staged.push((*rule, budget)),
            Stage::Draft if !settings.off.contains(rule) => settings.off.push(*rule),
            Stage::Draft => {}
        }
        return;
    }
    let name = section.text("name", None).unwrap_or_default();
    let good = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    if name.is_empty() {
        section.refuse_all("a rule has a name and a when, or it extends a shipped rule");
    } else if name.len() > LONGEST_NAME || !name.chars().all(good) {
        section.refuse("name", format!("must be at most {LONGEST_NAME} small letters, digits and _"));
    } else if shipped.contains(&name.as_str()) || name == RuleName::User.as_str() {
        section.refuse("name", format!("is a shipped rule's name; write extends = {name:?} to change it"));
    } else if let Some(before) = known.insert(name.as_str().into(), path.to_owned()) {
        section.refuse("name", format!("there is a rule of this name in {} already", before.display()));
    }
    let on = section.flag("enabled", true);
    let (stage, budget) = stage(section);
    let levels = [("notice", Level::Notice), ("alert", Level::Alert), ("act", Level::Act)];
    let level = section.choice("level", Some(Level::Alert), &levels).unwrap_or(Level::Alert);
    if level == Level::Act {
        section.refuse(
            "level",
            "a condition is one kind of evidence, and act needs two: write \"alert\", or change a shipped rule",
        );
    }
    let when = expression(section, "when", Condition::new);
    let why = match expression(section, "why", Sentence::new) {
        Some(why) => Some(why),
        None if section.has("why") => None,
        None => Sentence::new("{order.side} of {order.pair} for about {order.dollars} dollars").ok(),
    };
    if !section.has("when") && !name.is_empty() {
        section.refuse("when", "is missing: say when the rule speaks, such as when = 'order.dollars > 10000'");
    }
    if let (Some(when), Some(why), true) = (when, why, on && stage != Stage::Draft) {
        settings.user.rules.push(Rule { name: name.into(), when, level, why, staged: stage == Stage::Staged, budget });
    }
}

/// How far a rule is trusted.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Draft,
    Staged,
    Live,
}

fn stage(section: &mut Section<'_>) -> (Stage, f64) {
    let stages = [("draft", Stage::Draft), ("staged", Stage::Staged), ("live", Stage::Live)];
    let stage = section.choice("stage", Some(Stage::Live), &stages).unwrap_or(Stage::Live);
    (stage, section.float("budget", 0.1, 0.0..=1_000.0))
}

/// Reads an expression; each mistake is told with its place in the file.
fn expression<T>(
    section: &mut Section<'_>,
    key: &'static str,
    read: impl FnOnce(&str) -> Result<T, Vec<Mistake>>,
) -> Option<T> {
    let text = section.text(key, None)?;
    match read(&text) {
        Ok(read) => Some(read),
        Err(mistakes) => {
            let first = section.first_line_of(key);
            for mistake in mistakes {
                let (line, column) = mistake.place(&text);
                let what = format!("column {column}: {}\n{}", mistake.what, mistake.shown(&text));
                let name = section.path(key);
                section.gather.refuse(first + line - 1, &name, what);
            }
            None
        }
    }
}
