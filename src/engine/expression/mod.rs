//! Conditions that people write: a typed subset of CEL over documented fields, compiled once into closures.
//!
//! The language is that of [CEL](https://cel.dev), with these differences: numbers are of one kind, types are checked when a
//! file is read, there are no loops, and a field that is not known makes the whole condition not known (`has(field)` asks).
//! As in CEL, `false && x` is false and `true || x` is true whatever is wrong with `x`.

mod compile;
pub mod fields;
mod lexer;
mod past;
mod syntax;
#[cfg(test)]
mod tests;
mod why;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use compact_str::CompactString;

pub use compile::Kind;
pub use fields::{Field, Scope};
pub use past::{Asked, Past};
pub use why::Clause;

use crate::domain::Span;
use compile::{Compiled, Run};

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The bytes of the expression that are meant.
    pub at: Range<usize>,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// Why an expression has no value for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// A field is not known for this order.
    Field(&'static str),
    /// Something was divided by zero.
    Division,
    /// A number became too large.
    TooLarge,
}

/// A condition, ready to be asked.
#[derive(Clone)]
pub struct Condition {
    text: CompactString,
    run: Arc<Run<bool>>,
    looks_back: Span,
}

/// A sentence with values in it: `"{account.name} spent {order.dollars} dollars"`.
#[derive(Clone)]
pub struct Sentence {
    text: CompactString,
    parts: Arc<Vec<Part>>,
    looks_back: Span,
}

enum Part {
    Words(String),
    Value(Compiled),
}

impl Mistake {
    fn new(at: Range<usize>, what: impl Into<String>) -> Self {
        Mistake { at, what: what.into() }
    }

    /// Returns line and column in `text`, both counted from 1.
    pub fn place(&self, text: &str) -> (usize, usize) {
        let before = text.get(..self.at.start).unwrap_or(text);
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        (line + 1, column + 1)
    }

    /// Returns the line of `text` that is meant, and carets below what is meant in it.
    pub fn shown(&self, text: &str) -> String {
        let (line, column) = self.place(text);
        let written = text.lines().nth(line - 1).unwrap_or_default();
        let meant = text.get(self.at.clone()).unwrap_or_default().lines().next().unwrap_or_default().chars().count();
        let shown: String = written.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("    {shown}\n    {}{}", " ".repeat(column - 1), "^".repeat(meant.max(1)))
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Field(name) => write!(f, "{name} is not known for this order (ask has({name}) first)"),
            Unknown::Division => f.write_str("something was divided by zero"),
            Unknown::TooLarge => f.write_str("a number became too large"),
        }
    }
}

impl Condition {
    /// Reads a condition; returns all its mistakes.
    pub fn new(text: &str) -> Result<Self, Vec<Mistake>> {
        let node = syntax::parse(text).map_err(|mistake| vec![mistake])?;
        let mut checker = compile::Checker::default();
        let run = checker.truth(&node);
        let looks_back = checker.looks_back;
        match run {
            Some(run) if checker.mistakes.is_empty() => {
                Ok(Condition { text: text.into(), run: Arc::new(run), looks_back })
            }
            Some(_) | None => Err(checker.mistakes),
        }
    }

    /// Says whether it holds.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, Unknown> {
        (self.run)(scope)
    }

    /// Returns how far back it looks, at most.
    pub fn looks_back(&self) -> Span {
        self.looks_back
    }

    /// Returns it as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Sentence {
    /// Reads a sentence; `{{` stands for a bracket.
    pub fn new(text: &str) -> Result<Self, Vec<Mistake>> {
        let mut parts = Vec::new();
        let mut words = String::new();
        let mut checker = compile::Checker::default();
        let mut at = 0;
        while let Some(letter) = text[at..].chars().next() {
            let rest = &text[at..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                words.push(letter);
                at += 2;
            } else if letter == '{' {
                let Some(length) = rest.find('}') else {
                    checker.mistakes.push(Mistake::new(
                        at..text.len(),
                        "this bracket is never closed; {{ is a bracket in the text",
                    ));
                    break;
                };
                parts.push(Part::Words(std::mem::take(&mut words)));
                match syntax::parse(&rest[1..length]) {
                    Ok(node) => {
                        let before = checker.mistakes.len();
                        parts.extend(checker.value(&node).map(Part::Value));
                        for mistake in &mut checker.mistakes[before..] {
                            mistake.at = mistake.at.start + at + 1..mistake.at.end + at + 1;
                        }
                    }
                    Err(mistake) => {
                        let place = mistake.at.start + at + 1..mistake.at.end + at + 1;
                        checker.mistakes.push(Mistake::new(place, mistake.what));
                    }
                }
                at += length + 1;
            } else {
                words.push(letter);
                at += letter.len_utf8();
            }
        }
        parts.push(Part::Words(words));
        if !checker.mistakes.is_empty() {
            return Err(checker.mistakes);
        }
        Ok(Sentence { text: text.into(), parts: Arc::new(parts), looks_back: checker.looks_back })
    }

    /// Returns the sentence about an order; what is not known is a question mark.
    pub fn about(&self, scope: &Scope<'_>) -> String {
        let mut said = String::new();
        for part in self.parts.iter() {
            match part {
                Part::Words(words) => said.push_str(words),
                Part::Value(value) => match value.shown(scope) {
                    Ok(value) => said.push_str(&value),
                    Err(_) => said.push('?'),
                },
            }
        }
        said
    }

    /// Returns how far back it looks, at most.
    pub fn looks_back(&self) -> Span {
        self.looks_back
    }

    /// Returns it as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

macro_rules! by_its_text {
    ($type:ident) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.text).finish()
            }
        }
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.text == other.text
            }
        }
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.text.serialize(serializer)
            }
        }
    };
}

by_its_text!(Condition);
by_its_text!(Sentence);
