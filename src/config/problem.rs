//! What is wrong with a configuration file, all of it at once.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

pub(super) use crate::spelling::nearest;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The line, counted from 1; absent when it concerns the file as a whole.
    pub line: Option<usize>,
    /// The key with the tables it stands in, such as `journal.keep_for`; empty when no key is meant.
    pub key: String,
    /// What is wrong and what would be right. Never the content of a secret.
    pub reason: String,
}

/// Everything that is wrong with a file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The configuration file.
    pub file: PathBuf,
    /// What is wrong with it; nothing where only files it names are wrong.
    pub problems: Vec<Problem>,
    /// The same of the accounts' own files.
    pub elsewhere: Vec<Problems>,
}

impl Problems {
    /// Sorts what was found by line; problems of one line stay in the order in which they were found.
    pub(super) fn new(file: PathBuf, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.line);
        Problems { file, problems, elsewhere: Vec::new() }
    }

    /// Joins a file with the one thing that makes it unreadable.
    pub(super) fn whole_file(file: PathBuf, line: Option<usize>, reason: impl Into<String>) -> Self {
        let problems = vec![Problem { line, key: String::new(), reason: reason.into() }];
        Problems { file, problems, elsewhere: Vec::new() }
    }

    /// Returns the problems as one JSON object: `file` and a list of `line`, `key` and `reason`.
    pub fn to_json(&self) -> serde_json::Value {
        let problems: Vec<_> = self
            .problems
            .iter()
            .map(|problem| serde_json::json!({ "line": problem.line, "key": problem.key, "reason": problem.reason }))
            .collect();
        let mut answer = serde_json::json!({ "file": self.file.to_string_lossy(), "problems": problems });
        if !self.elsewhere.is_empty() {
            answer["elsewhere"] = self.elsewhere.iter().map(Problems::to_json).collect();
        }
        answer
    }
}

/// `FILE:LINE: key: reason`, a line each, without a line break at the end.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:", self.file.display())?;
            if let Some(line) = problem.line {
                write!(f, "{line}:")?;
            }
            if !problem.key.is_empty() {
                write!(f, " {}:", problem.key)?;
            }
            write!(f, " {}", problem.reason)?;
        }
        for (place, other) in self.elsewhere.iter().enumerate() {
            if place > 0 || !self.problems.is_empty() {
                f.write_str("\n")?;
            }
            write!(f, "{other}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Returns a key or a path as it may be shown: quoted, without control characters, cut when long.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 40;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

/// Returns a value as it may be shown: a long one is left out, because it might be a secret in the wrong place.
pub(super) fn value(text: &str) -> String {
    if text.chars().nth(24).is_some() { "this".to_owned() } else { shown(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_not_shown() {
        assert_eq!((value("90 sec"), value(&"x".repeat(25))), ("\"90 sec\"".to_owned(), "this".to_owned()));
    }

    #[test]
    fn what_is_shown_of_a_file_is_short_and_cannot_rewrite_a_terminal() {
        assert_eq!(shown("\u{1b}[2J\n"), "\"\\u{1b}[2J\\n\"");
        assert_eq!(shown(&"x".repeat(50)), format!("\"{}…\"", "x".repeat(40)));
    }
}
