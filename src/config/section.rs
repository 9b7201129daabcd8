//! One table of the file, asked key by key; what nobody asked for is unknown.

use std::cell::RefCell;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::Lines;
use super::problem::{Problem, Problems, nearest, shown};
use super::schema::{Asked, Shape};

/// How much of what a file names must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Accounts, channels and every secret: the daemon is about to start.
    Run,
    /// The same, but credentials that only systemd hands over may be out of reach.
    Look,
    /// Rules and the like only: no account, channel or secret is asked for.
    Middle,
}

/// What is gathered while the tables are walked.
pub(super) struct Gather {
    /// Where the lines begin.
    pub lines: Lines,
    /// The configuration's folder: relative paths begin there.
    pub folder: PathBuf,
    /// How much must be there.
    pub scope: Scope,
    /// Where systemd puts credentials, if it does.
    pub credentials: Option<PathBuf>,
    faulty: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    elsewhere: RefCell<Vec<Problems>>,
    warnings: RefCell<Vec<String>>,
    /// Files of secrets that were looked at.
    pub touched: RefCell<Vec<PathBuf>>,
    /// Names of accounts whose own files cannot be read: others may name them all the same.
    pub excused: RefCell<Vec<String>>,
    /// Every key that was asked for, where somebody wants to know.
    heard: Option<RefCell<Vec<Asked>>>,
}

/// One table. Every key is asked for once, present or not; then [`Section::close`] tells which others are there.
#[must_use]
pub(super) struct Section<'d> {
    /// What is gathered.
    pub gather: &'d Gather,
    name: String,
    line: usize,
    table: Option<&'d DeTable<'d>>,
    known: Vec<&'static str>,
    /// What the next key takes.
    shape: Option<Shape>,
}

impl Gather {
    /// Starts with the faults of syntax.
    pub fn new(
        lines: Lines,
        folder: PathBuf,
        scope: Scope,
        credentials: Option<PathBuf>,
        faults: Vec<Problem>,
    ) -> Self {
        Gather {
            lines,
            folder,
            scope,
            credentials,
            faulty: faults.iter().filter_map(|fault| fault.line).collect(),
            problems: RefCell::new(faults),
            elsewhere: RefCell::default(),
            warnings: RefCell::default(),
            touched: RefCell::default(),
            excused: RefCell::default(),
            heard: None,
        }
    }

    /// Notes every key that is asked for from now on.
    pub fn listening(mut self) -> Self {
        self.heard = Some(RefCell::default());
        self
    }

    /// Returns every key that was asked for.
    pub fn heard(&self) -> Vec<Asked> {
        self.heard.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Notes something wrong, except on a line whose syntax is wrong already.
    pub fn refuse(&self, line: usize, key: &str, reason: impl Into<String>) {
        if self.faulty.contains(&line) {
            return;
        }
        self.problems.borrow_mut().push(Problem { line: Some(line), key: key.to_owned(), reason: reason.into() });
    }

    /// Notes what is wrong with another file that this one names.
    pub fn refuse_file(&self, problems: Problems) {
        self.elsewhere.borrow_mut().push(problems);
    }

    /// Returns what is wrong with the files that this one names.
    pub fn elsewhere(&self) -> Vec<Problems> {
        self.elsewhere.take()
    }

    /// Notes something that is allowed and may still not be meant.
    pub fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Returns what was wrong, and the warnings.
    pub fn into_inner(self) -> (Vec<Problem>, Vec<String>) {
        (self.problems.into_inner(), self.warnings.into_inner())
    }
}

impl<'d> Section<'d> {
    /// Begins with the outermost table.
    pub fn root(gather: &'d Gather, table: &'d DeTable<'d>) -> Self {
        Section { gather, name: String::new(), line: 1, table: Some(table), known: Vec::new(), shape: None }
    }

    /// Returns the line its header is on; 1 when it is not in the file.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Opens a table in it; one that is not in the file is empty.
    pub fn section(&mut self, key: &'static str) -> Section<'d> {
        self.hear(key, None, Shape::Table);
        let found = self.find(key);
        let table = found.and_then(|(line, value)| match value.get_ref().as_table() {
            Some(table) => Some(table),
            None => {
                let name = self.path(key);
                self.gather.refuse(line, &name, format!("is a table of its own: write it once, as [{name}]"));
                None
            }
        });
        self.inner(key, found.map_or(self.line, |(line, _)| line), table)
    }

    /// Opens the tables of a list of tables.
    pub fn sections(&mut self, key: &'static str) -> Vec<Section<'d>> {
        self.hear(key, None, Shape::Tables);
        let Some((line, value)) = self.find(key) else { return Vec::new() };
        let tables: Option<Vec<_>> = value.get_ref().as_array().and_then(|list| {
            let table = |value: &'d Spanned<DeValue<'d>>| {
                Some((self.gather.lines.line(&value.span()), value.get_ref().as_table()?))
            };
            list.iter().map(table).collect()
        });
        let Some(tables) = tables else {
            let name = self.path(key);
            self.gather.refuse(line, &name, format!("may be there more than once: write it as [[{name}]]"));
            return Vec::new();
        };
        tables.into_iter().map(|(line, table)| self.inner(key, line, Some(table))).collect()
    }

    /// Asks for a key; `default` is what an absent one means, as it would be written. Notes what `read` refuses.
    pub fn ask<T>(
        &mut self,
        key: &'static str,
        default: Option<String>,
        read: impl FnOnce(&'d DeValue<'d>) -> Result<T, String>,
    ) -> Option<T> {
        let shape = self.shape.take().unwrap_or(Shape::Any);
        self.hear(key, default, shape);
        let (line, value) = self.find(key)?;
        read(value.get_ref()).map_err(|reason| self.gather.refuse(line, &self.path(key), reason)).ok()
    }

    /// Says what the next key takes.
    pub fn takes(&mut self, shape: impl FnOnce() -> Shape) {
        if self.gather.heard.is_some() {
            self.shape = Some(shape());
        }
    }

    fn hear(&self, key: &str, default: Option<String>, shape: Shape) {
        if let Some(heard) = &self.gather.heard {
            heard.borrow_mut().push(Asked { path: self.path(key), default, shape });
        }
    }

    /// Returns the line of a key, or of the table where the key is absent.
    pub fn line_of(&self, key: &str) -> usize {
        let found = self.table.and_then(|table| table.get_key_value(key));
        found.map_or(self.line, |(key, _)| self.gather.lines.line(&key.span()))
    }

    /// Returns the line on which a text begins, of one that may run over several.
    pub fn first_line_of(&self, key: &str) -> usize {
        let Some(value) = self.table.and_then(|table| table.get(key)) else { return self.line };
        let (first, last) = (value.span().start, value.span().end.saturating_sub(1));
        let lines = |at: usize| self.gather.lines.line(&(at..at));
        let inside = value.get_ref().as_str().map_or(0, |text| text.matches('\n').count());
        // A break right after the opening quotes is not part of the text.
        lines(first) + (lines(last) - lines(first)).saturating_sub(inside)
    }

    /// Says whether a key is there, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Refuses a key that is known, and may not be there, if it is.
    pub fn decline(&mut self, key: &'static str, reason: &str) {
        if self.find(key).is_some() {
            self.refuse(key, reason);
        }
    }

    /// Returns a text as it stands in the file, without asking for it.
    pub fn written(&self, key: &str) -> Option<&'d str> {
        self.table?.get(key)?.get_ref().as_str()
    }

    /// Notes that something is wrong with a key, or that it is missing.
    pub fn refuse(&self, key: &str, reason: impl Into<String>) {
        self.gather.refuse(self.line_of(key), &self.path(key), reason);
    }

    /// Notes that something is wrong with the table as a whole.
    pub fn refuse_all(&self, reason: impl Into<String>) {
        self.gather.refuse(self.line, &self.name, reason);
    }

    /// Tells the keys that nobody asked for.
    pub fn close(&self) {
        for (key, _) in self.table.into_iter().flat_map(|table| table.iter()) {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let line = self.gather.lines.line(&key.span());
            let told = shown(name);
            let told = if told.len() == name.len() + 2 { name } else { told.as_str() };
            self.gather.refuse(line, &self.path(told), self.unknown(name));
        }
    }

    fn unknown(&self, name: &str) -> String {
        if let Some(word) = secret_word(name) {
            let own = self.known.iter().find(|known| known.strip_suffix("_file") == Some(word));
            let keys = own.map_or(String::new(), |file| {
                let credential = file.replace("_file", "_credential");
                format!(": write {file} = \"PATH\", or {credential} = \"NAME\" for one that systemd hands over")
            });
            return format!("a secret does not belong here; put it into a file of its own (chmod 600){keys}");
        }
        match nearest(name, &self.known) {
            Some(known) => format!("unknown key; did you mean {known}?"),
            None if self.known.is_empty() => "unknown key; nothing is known here".to_owned(),
            None => format!("unknown key; known here: {}", self.known.join(", ")),
        }
    }

    fn inner(&self, key: &'static str, line: usize, table: Option<&'d DeTable<'d>>) -> Section<'d> {
        Section { gather: self.gather, name: self.path(key), line, table, known: Vec::new(), shape: None }
    }

    fn find(&mut self, key: &'static str) -> Option<(usize, &'d Spanned<DeValue<'d>>)> {
        self.known.push(key);
        let (key, value) = self.table?.get_key_value(key)?;
        Some((self.gather.lines.line(&key.span()), value))
    }

    /// Returns the key with the tables it stands in.
    pub fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// Returns which secret a key's name promises, so that it can be told where that belongs.
fn secret_word(name: &str) -> Option<&'static str> {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    match plain.as_str() {
        "key" | "apikey" | "keyid" | "accesskey" | "keyname" => Some("key"),
        "secret" | "secretkey" | "apisecret" | "privatekey" | "keysecret" => Some("secret"),
        "passphrase" | "apipassphrase" | "keypassphrase" => Some("passphrase"),
        "password" | "pass" | "passwd" | "smtppassword" => Some("password"),
        "token" | "bottoken" | "apitoken" => Some("token"),
        _ => None,
    }
}
