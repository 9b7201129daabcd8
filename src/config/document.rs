//! A TOML file read once: its tables, with the line each key and value stands on.

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use super::problem::{Problem, Problems};

/// A hundred thousand accounts fit; what is larger is not a configuration.
const MOST_BYTES: u64 = 32 << 20;
/// Faults of syntax that are told; a file that is not TOML at all has one on every line.
const MOST_FAULTS: usize = 20;

/// What the parser says of faults inside one value, or of a key written twice: the tables are still those that were
/// meant, so everything else can be told as well.
const HARMLESS: [&str; 11] = [
    "string values must be quoted",
    "invalid float",
    "invalid boolean",
    "invalid integer",
    "invalid date",
    "invalid literal string",
    "invalid basic string",
    "missing escaped value",
    "missing comma",
    "`_` may only go between digits",
    "duplicate key",
];

/// A file's tables and what is wrong with its syntax.
pub(super) struct Document<'t> {
    /// The outermost table, as far as it could be read.
    pub root: Spanned<DeTable<'t>>,
    /// Where the lines begin.
    pub lines: Lines,
    /// Faults of syntax.
    pub faults: Vec<Problem>,
    /// Whether the tables are what was meant although there are faults.
    pub readable: bool,
}

/// Where the lines of a text begin.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines(std::iter::once(0).chain(after).collect())
    }

    /// Returns the line, counted from 1, on which a span begins.
    pub fn line(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|begin| *begin <= span.start)
    }
}

/// Reads a file as text; says why it cannot be one.
pub(super) fn read(path: &Path) -> Result<String, Problems> {
    let refuse = |reason: &str| Problems::whole_file(path.to_owned(), None, reason);
    let cannot = |error: std::io::Error| refuse(&format!("cannot be read: {error}"));
    let about = fs::metadata(path).map_err(cannot)?;
    if about.is_dir() {
        return Err(refuse("is a directory; name the file in it"));
    }
    if about.len() > MOST_BYTES {
        return Err(refuse("is larger than 32 MiB, so it is not a configuration"));
    }
    let mut bytes = Vec::new();
    // A pipe or a device has no length: it is read up to the same bound.
    let file = fs::File::open(path).map_err(cannot)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(refuse("is larger than 32 MiB, so it is not a configuration"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        Problems::whole_file(path.to_owned(), Some(line), "is not UTF-8 text; save it as UTF-8")
    })
}

/// Reads a text's tables.
pub(super) fn parse(text: &str) -> Document<'_> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let lines = Lines::of(text);
    let readable = errors.iter().all(|error| HARMLESS.iter().any(|start| error.message().starts_with(start)));
    let mut faults: Vec<Problem> = errors.iter().map(|error| fault(text, &lines, error)).collect();
    faults.sort_by_key(|fault| fault.line);
    faults.dedup_by_key(|fault| fault.line);
    if faults.len() > MOST_FAULTS {
        let more = faults.len() - MOST_FAULTS;
        faults.truncate(MOST_FAULTS);
        let line = faults.last().and_then(|fault| fault.line);
        faults.push(Problem { line, key: String::new(), reason: format!("and {more} more lines that are not TOML") });
    }
    Document { root, lines, faults, readable }
}

/// Puts a fault into words. The parser's own say what was expected, never what was found, and neither do these.
fn fault(text: &str, lines: &Lines, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let found = text.get(span.clone()).unwrap_or_default();
    let bare = ["string values must be quoted", "invalid float", "invalid boolean"];
    let bare = bare.iter().any(|start| error.message().starts_with(start));
    let (key, reason) = match error.message() {
        "duplicate key" => (found, "is there twice; keep one of them".to_owned()),
        _ if bare && found.is_empty() => ("", "a value is missing after the =".to_owned()),
        _ if bare => ("", "a text stands in quotes, as in key = \"value\"".to_owned()),
        message => ("", format!("is not TOML here: {message}")),
    };
    let key = key.chars().filter(|c| !c.is_control()).take(64).collect();
    Problem { line: Some(lines.line(&span)), key, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_syntax_is_told_with_its_line() {
        let document = parse("a = \n\nb = 1\nb = 2\nc c = 3\n");
        let faults: Vec<_> = document.faults.iter().map(|fault| fault.line).collect();
        assert_eq!(faults, [Some(1), Some(4), Some(5)]);
        assert!(!document.readable);
    }

    #[test]
    fn a_forgotten_quote_does_not_hide_the_rest() {
        for value in ["alert", "info", "90s", "64 MiB", "\"open", "'open", "", "tru", "1_", "[\"a\" \"b\"]", "2020-13"]
        {
            let text = format!("a = {value}\nb = 1\nb = 2\n");
            let document = parse(&text);
            let lines: Vec<_> = document.faults.iter().map(|fault| fault.line).collect();
            assert_eq!((lines, document.readable), (vec![Some(1), Some(3)], true), "{value}: {:?}", document.faults);
            assert!(document.root.get_ref().contains_key("b"));
        }
    }

    #[test]
    fn a_text_of_nothing_but_brackets_is_refused_in_few_words() {
        let text = format!("a = {}", "[".repeat(1_000_000));
        let document = parse(&text);
        assert!(!document.readable && document.faults.len() == 1, "{:?}", document.faults);
        assert!(parse(&"x\n".repeat(10_000)).faults.len() <= MOST_FAULTS + 1);
    }
}
