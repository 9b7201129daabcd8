//! An account's own file: the keys of an `[[account]]` table, and the file's name for its name.

use std::path::{Path, PathBuf};

use super::account::{Entry, Taken, read as read_account};
use super::document;
use super::problem::Problems;
use super::section::{Gather, Scope, Section};

/// What became of an account's file.
pub(super) struct Leaf {
    /// The account; absent where something is wrong.
    pub entry: Option<Entry>,
    /// The files of secrets that were looked at, right or wrong.
    pub touched: Vec<PathBuf>,
    /// What is wrong.
    pub problems: Option<Problems>,
    /// What may not be meant.
    pub warnings: Vec<String>,
}

/// Reads an account's file; whoever takes the account notes it among those `taken`.
pub(super) fn read(path: &Path, scope: Scope, credentials: Option<&Path>, taken: &mut Taken) -> Leaf {
    let refused = |problems| Leaf { entry: None, touched: Vec::new(), problems: Some(problems), warnings: Vec::new() };
    let text = match document::read(path) {
        Ok(text) => text,
        Err(problems) => return refused(problems),
    };
    let document = document::parse(&text);
    if !document.readable {
        return refused(Problems::new(path.to_owned(), document.faults));
    }
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let gather = Gather::new(document.lines, folder, scope, credentials.map(Path::to_owned), document.faults);
    let mut section = Section::root(&gather, document.root.get_ref());
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let entry = read_account(&mut section, taken, Some(stem), path.display().to_string());
    section.close();
    let mut touched = gather.touched.take();
    touched.extend(entry.iter().flat_map(|entry| entry.touched.clone()));
    let (problems, warnings) = gather.into_inner();
    let warnings = warnings.into_iter().map(|warning| format!("{}: {warning}", path.display())).collect();
    if !problems.is_empty() {
        let problems = Some(Problems::new(path.to_owned(), problems));
        return Leaf { entry: None, touched, problems, warnings };
    }
    Leaf { entry, touched, problems: None, warnings }
}
