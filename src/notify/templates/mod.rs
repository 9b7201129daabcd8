//! The user's own words: files in a folder that replace how messages are told, tried on samples before they are used.
//!
//! They change how a message reads, never whether, when or to whom it is told. Where one fails all the same, the built-in
//! words are told instead, and once why.

mod check;
mod context;
mod markup;
mod part;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use minijinja::value::Serde;
use minijinja::{Environment, Error as EngineError, ErrorKind, UndefinedBehavior, Value};

pub use context::About;
pub use part::Part;

use super::wording::one_line;
use crate::alert::Language;
use crate::domain::Message;

/// The templates of a folder, shared by all channels; a reload changes them for all at once.
#[derive(Clone)]
pub struct Templates(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    phrase: String,
    set: RwLock<Arc<Set>>,
    /// Files whose failure was told.
    told: Mutex<BTreeSet<String>>,
}

/// What was read at one moment.
struct Set {
    engine: Environment<'static>,
    sources: BTreeMap<String, String>,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {why}", .file.display(), .line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct Problem {
    /// Which file.
    pub file: PathBuf,
    /// Which line, counted from 1, where it can be told.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub why: String,
}

/// A message in the user's words, as far as there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dressed {
    /// Its parts, for what has no template of its own.
    pub message: Message,
    /// What templates made of whole forms, in the order they were asked for.
    pub forms: Vec<Option<String>>,
}

/// Steps one rendering may take; the longest sample takes about a hundredth of it.
const FUEL: u64 = 200_000;
/// Templates calling templates, at most so deep.
const DEPTH: usize = 50;
/// Files of a folder, and the bytes of the longest one and of the longest text made.
const MOST_FILES: usize = 100;
const MOST_BYTES: usize = 64 << 10;

impl Templates {
    /// Reads a folder and tries what it holds on samples of every kind of message; returns all that is wrong.
    pub fn read(folder: &Path, phrase: &str) -> Result<Self, Vec<Problem>> {
        let set = Set::read(folder)?;
        check::check(&set, folder, phrase)?;
        Ok(Templates(Arc::new(Shared {
            folder: folder.to_owned(),
            phrase: phrase.to_owned(),
            set: RwLock::new(Arc::new(set)),
            told: Mutex::default(),
        })))
    }

    /// Reads the folder again; returns whether something changed. With mistakes in it, the former templates stay.
    pub fn reload(&self) -> Result<bool, Vec<Problem>> {
        let set = Set::read(&self.0.folder)?;
        if set.sources == self.set().sources {
            return Ok(false);
        }
        check::check(&set, &self.0.folder, &self.0.phrase)?;
        *self.0.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(true)
    }

    /// Returns the names of the files in use, without those that only others include.
    pub fn files(&self) -> Vec<String> {
        self.set().sources.keys().filter(|name| !name.starts_with('_')).cloned().collect()
    }

    /// Words a message and the forms that are asked for. What fails is told in the built-in words, with a fact that says so
    /// the first time.
    pub fn dress(&self, message: &Message, about: &About<'_>, forms: &[Part]) -> Dressed {
        let set = self.set();
        let (mut dressed, failures) = set.dress(message, about, forms);
        for (file, why) in failures {
            let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.insert(file.clone()) {
                tracing::error!(template = %file, %why, "a template failed; the built-in words are told instead");
                let why = one_line(&why, 160);
                dressed
                    .message
                    .facts
                    .push(format!("The template {file} failed, so these are fillguard's words: {why}."));
            }
        }
        dressed
    }

    fn set(&self) -> Arc<Set> {
        Arc::clone(&self.0.set.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Words a message where there are templates; else returns it as it is.
pub fn dress(templates: Option<&Templates>, message: &Message, about: &About<'_>, forms: &[Part]) -> Dressed {
    match templates {
        Some(templates) => templates.dress(message, about, forms),
        None => Dressed { message: message.clone(), forms: vec![None; forms.len()] },
    }
}

impl Set {
    fn read(folder: &Path) -> Result<Set, Vec<Problem>> {
        let whole = |why: String| vec![Problem { file: folder.to_owned(), line: None, why }];
        let entries = std::fs::read_dir(folder).map_err(|why| whole(format!("the folder cannot be read: {why}")))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|why| whole(format!("the folder cannot be read: {why}")))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // What editors leave behind is nobody's template.
            if !name.starts_with('.') && !name.ends_with('~') {
                names.push(name);
            }
        }
        names.sort();
        if names.len() > MOST_FILES {
            return Err(whole(format!("{} files are too many; at most {MOST_FILES} are read", names.len())));
        }
        let (mut engine, mut sources, mut problems) = (engine(), BTreeMap::new(), Vec::new());
        for name in names {
            let file = folder.join(&name);
            let mut refuse = |line, why| problems.push(Problem { file: file.clone(), line, why });
            if !name.starts_with('_') && Part::of(&name).is_none() {
                refuse(None, part::unknown(&name));
                continue;
            }
            let text = match std::fs::metadata(&file).map(|about| about.len()) {
                Ok(length) if length > MOST_BYTES as u64 => Err(format!("is longer than {} KiB", MOST_BYTES >> 10)),
                Ok(_) => std::fs::read_to_string(&file).map_err(|why| format!("cannot be read: {why}")),
                Err(why) => Err(format!("cannot be read: {why}")),
            };
            match text {
                Ok(text) => match engine.add_template_owned(name.clone(), text.clone()) {
                    Ok(()) => drop(sources.insert(name, text)),
                    Err(why) => refuse(why.line(), said(&why)),
                },
                Err(why) => refuse(None, why),
            }
        }
        if problems.is_empty() { Ok(Set { engine, sources }) } else { Err(problems) }
    }

    /// Returns the file that words a part in a language: the language's own, else the one for all.
    fn file(&self, part: Part, language: Language) -> Option<String> {
        [part.file(Some(language)), part.file(None)].into_iter().find(|name| self.sources.contains_key(name))
    }

    /// Words a message; returns which files failed, and why.
    fn dress(&self, message: &Message, about: &About<'_>, forms: &[Part]) -> (Dressed, Vec<(String, String)>) {
        let (mut failures, mut worded) = (Vec::new(), message.clone());
        let language = about.words.language;
        for part in Part::WORDS {
            let Some(file) = self.file(part, language) else { continue };
            let made = self.render(&file, &context::of(message, about)).map_err(|why| said(&why));
            match made.and_then(|text| part.put(&text, &mut worded)) {
                Ok(()) => {}
                Err(why) => failures.push((file, why)),
            }
        }
        let mut made = Vec::new();
        for part in forms {
            let text = self.file(*part, language).and_then(|file| {
                let text = self.render(&file, &context::of(&worded, about)).map_err(|why| said(&why));
                let text = text.and_then(|text| check::form(*part, &text, &worded, about));
                text.map_err(|why| failures.push((file, why))).ok()
            });
            made.push(text);
        }
        (Dressed { message: worded, forms: made }, failures)
    }

    fn render(&self, file: &str, context: &context::Context<'_>) -> Result<String, EngineError> {
        let mut bounded = Bounded(Vec::new());
        self.engine.get_template(file)?.render_captured_to(Value::from(Serde(context)), &mut bounded)?;
        // The engine writes whole texts, so this is UTF-8.
        Ok(String::from_utf8_lossy(&bounded.0).into_owned())
    }
}

/// An engine that knows the folder's files alone, misses no variable, and comes to an end.
fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine.set_recursion_limit(DEPTH);
    engine
}

/// Puts the engine's complaint into words that say what to do.
#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum, which grows")]
fn said(why: &EngineError) -> String {
    // What went wrong in an included file, or while writing, is the cause of what the engine says at last.
    let mut cause: Option<&dyn std::error::Error> = Some(why);
    let mut deepest = why;
    while let Some(error) = cause {
        deepest = error.downcast_ref().unwrap_or(deepest);
        cause = error.source();
    }
    let detail = deepest.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    let place = match deepest.name() {
        Some(name) if why.name() != Some(name) => format!(" (in {name}, line {})", deepest.line().unwrap_or(0)),
        Some(_) | None => String::new(),
    };
    match deepest.kind() {
        ErrorKind::OutOfFuel => "does not come to an end; make its loops shorter".to_owned(),
        ErrorKind::WriteFailure => format!("makes a text longer than {} KiB", MOST_BYTES >> 10),
        ErrorKind::UndefinedError => format!(
            "asks for something that a message does not have{detail}{place}; docs/alerts.md lists what there is"
        ),
        kind => one_line(&format!("{kind}{detail}{place}"), 300),
    }
}

/// Takes so many bytes and no more.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(std::io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The same folder, read at the same time.
impl PartialEq for Templates {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Templates {}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Templates").field(&self.0.folder).finish()
    }
}

#[cfg(test)]
mod tests;
