//! The accounts as the files say them now: looked at again and again, so that one that is added, changed or removed is
//! watched, renewed or let go without a restart.

mod stamp;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::{Account, Entry, Taken, accounts as own_accounts};
use super::problem::Problems;
use super::section::{Gather, Scope, Section};
use super::{Config, credentials, document, leaf};
use crate::domain::{AccountId, Fingerprint, Span, Venue};
use crate::feed;
use crate::response::{Arms, Holder, Keys, Settings};
use stamp::Stamps;

/// How often the files are looked at, unless the configuration says otherwise.
const EVERY: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(86_400);
/// Files of a folder that are taken for accounts.
const MOST_FILES: usize = 200_000;

/// The accounts of the configuration and of its folder, and what their files looked like when they were read.
#[derive(Clone, Debug, Default)]
pub struct Book {
    file: PathBuf,
    credentials: Option<PathBuf>,
    /// The configuration as it was last taken.
    pub(super) text: String,
    every: Duration,
    folder: Option<PathBuf>,
    own: Page,
    pages: BTreeMap<PathBuf, Page>,
    /// The brakes and the masters' keys as they were last taken, without the accounts.
    brakes: (Settings, Keys),
    /// Whether it was told that the folder cannot be read.
    folder_lost: bool,
}

/// What one file, and the secrets it names, say.
#[derive(Clone, Debug, Default)]
struct Page {
    entries: Vec<Entry>,
    touched: Vec<PathBuf>,
    /// What the files looked like when they were read; nothing to have them read again.
    read: Option<Stamps>,
    /// What they looked like since, if otherwise: they are read when they looked alike twice.
    settling: Option<Stamps>,
    refused: bool,
}

/// What a look at the files found.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Everybody who is to be watched from now on, where that changed.
    pub accounts: Option<feed::Roll>,
    /// What may be done about keys from now on, where that may have changed.
    pub arms: Option<Arms>,
    /// What changed, a sentence each.
    pub news: Vec<String>,
    /// What was refused and why, a line each; what was there before goes on.
    pub refused: Vec<String>,
}

/// A book and what was wrong with single accounts when it was opened.
pub(super) struct Opened {
    pub book: Book,
    pub faulty: Vec<Problems>,
    pub warnings: Vec<String>,
}

/// Reads `[accounts]` and the folder it names; also returns how long a removed account is remembered.
pub(super) fn accounts(root: &mut Section<'_>, file: PathBuf, own: Vec<Entry>, taken: &mut Taken) -> (Opened, Span) {
    let scope = root.gather.scope;
    let mut section = root.section("accounts");
    let folder = section.path_to("dir", None);
    let every = section.time("every", EVERY, Duration::from_millis(50)..=DAY);
    let usual = Duration::from_secs(30 * 86_400);
    let keep_removed = section.time("keep_removed", usual, DAY..=3_650 * DAY);
    let own = Page::of(own);
    let credentials = section.gather.credentials.clone();
    let book = Book { file, credentials, every, folder, own, ..Book::default() };
    let mut opened = Opened { book, faulty: Vec::new(), warnings: Vec::new() };
    if scope != Scope::Middle
        && let Some(folder) = opened.book.folder.clone()
    {
        match files(&folder) {
            Ok(files) => opened.read(files, scope, taken),
            Err(reason) => section.refuse("dir", reason),
        }
        if fs::metadata(&folder).is_ok_and(|about| about.permissions().mode() & 0o022 != 0) {
            let folder = folder.display();
            opened
                .warnings
                .push(format!("others may write to {folder}, and so change who is watched; run: chmod go-w {folder}"));
        }
    }
    let broken = opened.faulty.iter().filter_map(|problems| stem(&problems.file));
    section.gather.excused.borrow_mut().extend(broken);
    section.close();
    (opened, keep_removed.into())
}

/// Returns the files of a folder that describe accounts.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let cannot = |error: std::io::Error| format!("{} cannot be read: {error}", folder.display());
    let mut found = BTreeSet::new();
    for file in fs::read_dir(folder).map_err(cannot)? {
        let name = file.map_err(cannot)?.file_name();
        // Names that begin with a dot are those of editors and of copies under way.
        if let Some(name) = name.to_str()
            && name.ends_with(".toml")
            && !name.starts_with('.')
        {
            found.insert(folder.join(name));
        }
        if found.len() > MOST_FILES {
            return Err(format!("{} has more than {MOST_FILES} accounts", folder.display()));
        }
    }
    Ok(found)
}

fn stem(path: &Path) -> Option<String> {
    path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned)
}

impl Opened {
    fn read(&mut self, files: BTreeSet<PathBuf>, scope: Scope, taken: &mut Taken) {
        for path in files {
            let mut page = Page::default();
            let read = page.read(&path, scope, self.book.credentials.as_deref(), taken);
            self.warnings.extend(read.warnings);
            self.faulty.extend(read.problems);
            page.entries.extend(read.entry);
            self.book.pages.insert(path, page);
        }
    }
}

impl Page {
    fn of(entries: Vec<Entry>) -> Self {
        let touched: Vec<PathBuf> = entries.iter().flat_map(|entry| entry.touched.clone()).collect();
        let read = Some(Stamps::of(None, &touched));
        Page { entries, touched, read, ..Page::default() }
    }

    /// Reads an account's file. What it looked like is noted first, so that a change while it is read is seen later.
    fn read(&mut self, path: &Path, scope: Scope, credentials: Option<&Path>, taken: &mut Taken) -> leaf::Leaf {
        self.settling = None;
        loop {
            let stamps = Stamps::of(Some(path), &self.touched);
            let leaf = leaf::read(path, scope, credentials, taken);
            let known = leaf.touched == self.touched;
            self.touched.clone_from(&leaf.touched);
            if known {
                // What is wrong must not stand in another file's way, so only what is right is noted.
                leaf.entry.iter().for_each(|entry| taken.add(entry));
                self.read = Some(stamps);
                self.refused = leaf.problems.is_some();
                return leaf;
            }
        }
    }

    /// Says whether the files look other than when they were read, and the same as at the last look.
    fn has_changed(&mut self, path: Option<&Path>, at_once: bool) -> bool {
        let stamps = Stamps::of(path, &self.touched);
        if self.read.as_ref() == Some(&stamps) {
            self.settling = None;
            return false;
        }
        let settled = at_once || self.settling.as_ref() == Some(&stamps);
        self.settling = Some(stamps);
        settled
    }
}

impl Book {
    /// Returns how often it wants to be looked at.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Returns the names of accounts whose own files cannot be read.
    pub fn unreadable(&self) -> BTreeSet<String> {
        let refused = self.pages.iter().filter(|(_, page)| page.refused && page.entries.is_empty());
        refused.filter_map(|(path, _)| stem(path)).collect()
    }

    /// Looks at the files, which are read when they looked alike twice: a file that is being written is left alone.
    pub fn look(&mut self) -> Look {
        self.look_at(false, false)
    }

    /// Reads the configuration again and takes its accounts; what else changed in it is told. Files are read as they
    /// are now.
    pub fn reload(&mut self) -> Look {
        let config = document::read(&self.file)
            .and_then(|text| super::read(&self.file, &text, Scope::Run, self.credentials.clone().or_else(credentials)));
        let config = match config {
            Ok(config) => config,
            Err(problems) => {
                let mut look = self.look_at(true, false);
                // What a look at the secrets or at an account's file tells too is told once.
                let told = |line: &str| look.refused.iter().any(|known| known.starts_with(line));
                let lines =
                    problems.to_string().lines().filter(|line| !told(line)).map(str::to_owned).collect::<Vec<_>>();
                look.refused.splice(0..0, lines);
                return look;
            }
        };
        let braked = table_of(&self.text, "response") != table_of(&config.book.text, "response");
        let restart = needing_restart(&self.text, &config.book.text);
        let moved = self.folder != config.book.folder;
        let Config { book: Book { text, every, folder, own, pages, brakes, .. }, .. } = config;
        let mut news = changes(&self.own.entries, &own.entries);
        self.brakes = brakes;
        if braked {
            news.push("[response] changed".to_owned());
        }
        (self.text, self.every, self.folder, self.own) = (text, every, folder, own);
        if moved {
            self.pages = pages;
            news.push("the accounts' folder is another one now".to_owned());
        }
        let mut look = self.look_at(true, moved || !news.is_empty());
        // The masters' keys may be others in files of the same names.
        look.arms = Some(self.arms());
        look.news.splice(0..0, news);
        look.refused.extend(
            restart
                .into_iter()
                .map(|section| format!("[{section}] changed and is taken over with the next restart only")),
        );
        look
    }

    fn look_at(&mut self, at_once: bool, mut changed: bool) -> Look {
        let mut look = Look::default();
        changed |= self.look_at_own(at_once, &mut look);
        if let Some(folder) = self.folder.clone() {
            match files(&folder) {
                Ok(files) => {
                    self.folder_lost = false;
                    changed |= self.look_at_folder(files, at_once, &mut look);
                }
                // Nobody takes all accounts out by making the folder unreadable.
                Err(reason) if !std::mem::replace(&mut self.folder_lost, true) => {
                    look.refused.push(format!("{reason}; its accounts are watched as before"));
                }
                Err(_) => {}
            }
        }
        look.accounts = changed.then(|| self.roll());
        if look.arms.is_some() || changed {
            look.arms = Some(self.arms());
        }
        look
    }

    /// Reads the secrets of the configuration's own accounts again when their files changed.
    fn look_at_own(&mut self, at_once: bool, look: &mut Look) -> bool {
        if !self.own.has_changed(None, at_once) {
            return false;
        }
        let document = document::parse(&self.text);
        let place = self.file.parent().map_or_else(PathBuf::new, Path::to_owned);
        let gather = Gather::new(document.lines, place, Scope::Run, self.credentials.clone(), document.faults);
        let stamps = Stamps::of(None, &self.own.touched);
        let entries = own_accounts(&mut Section::root(&gather, document.root.get_ref()), &mut Taken::default());
        let (problems, _) = gather.into_inner();
        (self.own.read, self.own.settling) = (Some(stamps), None);
        if !problems.is_empty() {
            let problems = Problems::new(self.file.clone(), problems);
            look.refused.extend(problems.to_string().lines().map(str::to_owned));
            return false;
        }
        let news = changes(&self.own.entries, &entries);
        self.own.entries = entries;
        look.arms.get_or_insert_default();
        look.news.extend(news.iter().cloned());
        !news.is_empty()
    }

    fn look_at_folder(&mut self, files: BTreeSet<PathBuf>, at_once: bool, look: &mut Look) -> bool {
        let mut changed = false;
        for path in self.pages.keys().filter(|path| !files.contains(*path)).cloned().collect::<Vec<_>>() {
            let Some(page) = self.pages.get_mut(&path) else { continue };
            // An editor may put the file back in a moment.
            if page.has_changed(Some(&path), at_once) {
                let gone = self.pages.remove(&path).unwrap_or_default();
                changed |= !gone.entries.is_empty();
                let told =
                    gone.entries.iter().map(|entry| format!("{}: removed with {}", entry.account.id, path.display()));
                look.news.extend(told);
            }
        }
        if changed {
            // A name or a key may be free now.
            self.pages.values_mut().filter(|page| page.refused).for_each(|page| page.read = None);
        }
        let mut stale = Vec::new();
        for path in files {
            let page = self.pages.entry(path.clone()).or_default();
            if page.has_changed(Some(&path), at_once) {
                stale.push(path);
            }
        }
        if stale.is_empty() {
            return changed;
        }
        let mut taken = Taken::default();
        let others = self.pages.iter().filter(|(path, _)| stale.binary_search(path).is_err());
        let others = others.flat_map(|(_, page)| &page.entries).chain(&self.own.entries);
        others.for_each(|entry| taken.add(entry));
        for path in stale {
            changed |= self.reread(&path, &mut taken, look);
        }
        changed
    }

    fn reread(&mut self, path: &Path, taken: &mut Taken, look: &mut Look) -> bool {
        let credentials = self.credentials.clone();
        let masters: BTreeSet<(Venue, String)> = self.brakes.1.masters.keys().cloned().collect();
        let Some(page) = self.pages.get_mut(path) else { return false };
        let leaf = page.read(path, Scope::Run, credentials.as_deref(), taken);
        if let Some(problems) = leaf.problems {
            let goes_on = if page.entries.is_empty() { "" } else { " (it is watched as before)" };
            look.refused.extend(problems.to_string().lines().map(|line| format!("{line}{goes_on}")));
            page.entries.iter().for_each(|entry| taken.add(entry));
            return false;
        }
        let entries: Vec<Entry> = leaf.entry.into_iter().collect();
        for entry in &entries {
            let known = |of: &(Venue, String)| masters.contains(of);
            let reason = super::response::unknown_master(&entry.account.id, &entry.holder, known);
            look.refused
                .extend(reason.map(|reason| format!("{}: {reason}; its key is not taken away", path.display())));
        }
        // A key that acts may be another in a file of the same name.
        look.arms.get_or_insert_default();
        let news = changes(&page.entries, &entries);
        page.entries = entries;
        look.news.extend(news.iter().cloned());
        !news.is_empty()
    }

    /// Returns whom to watch: the configuration's own accounts, then those of the folder.
    pub(super) fn roll(&self) -> feed::Roll {
        let mut roll = feed::Roll::default();
        for entry in self.entries() {
            let id = &entry.account.id;
            let watched = entry.account.wallets.clone();
            let wallets = feed::Wallets { watched, ..feed::Wallets::default() };
            if roll.wallets.contains_key(id) {
                continue;
            }
            roll.wallets.insert(id.clone(), wallets);
            roll.sub_accounts.insert(id.clone(), entry.account.sub_accounts.clone());
            roll.accounts.extend(entry.keyed.clone());
        }
        roll
    }

    /// Takes the brakes and the masters' keys.
    pub(super) fn brake(&mut self, settings: &Settings, keys: &Keys) {
        let settings = Settings { accounts: BTreeMap::new(), ..settings.clone() };
        self.brakes = (settings, Keys { masters: keys.masters.clone(), holders: BTreeMap::new() });
    }

    /// Returns what may be done about the accounts there are.
    fn arms(&self) -> Arms {
        let (settings, keys) = self.brakes.clone();
        let (settings, keys) = super::response::joined(settings, keys, self.holders());
        let wallets = self.entries().map(|entry| (entry.account.id.clone(), entry.account.wallets.clone())).collect();
        Arms { settings, keys, wallets }
    }

    /// Returns the accounts as the files describe them.
    pub(super) fn described(&self) -> Vec<Account> {
        self.entries().map(|entry| entry.account.clone()).collect()
    }

    /// Returns the accounts with what may act on them, and the key that watches each.
    pub(super) fn holders(&self) -> Vec<(Account, Holder, Option<Fingerprint>)> {
        let watching = |entry: &Entry| entry.keyed.as_ref().map(|keyed| Fingerprint::of(keyed.key.id()));
        self.entries().map(|entry| (entry.account.clone(), entry.holder.clone(), watching(entry))).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries().next().is_none()
    }

    pub(super) fn has_folder(&self) -> bool {
        self.folder.is_some()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.own.entries.iter().chain(self.pages.values().flat_map(|page| &page.entries))
    }
}

/// Says what differs between two readings of one file.
fn changes(before: &[Entry], now: &[Entry]) -> Vec<String> {
    let named = |entries: &[Entry]| -> BTreeMap<AccountId, Entry> {
        entries.iter().map(|entry| (entry.account.id.clone(), entry.clone())).collect()
    };
    let (before, now) = (named(before), named(now));
    let mut news = Vec::new();
    for (id, entry) in &now {
        let Some(old) = before.get(id) else {
            news.push(format!("{id}: new, in {}", entry.place));
            continue;
        };
        match (&old.keyed, &entry.keyed) {
            (Some(old), Some(new)) if old.key.same(&new.key) => {}
            (None, None) => {}
            (Some(_) | None, Some(_) | None) => news.push(format!("{id}: its key changed")),
        }
        if old.account != entry.account {
            news.push(format!("{id}: its settings changed"));
        }
    }
    news.extend(before.keys().filter(|id| !now.contains_key(*id)).map(|id| format!("{id}: removed")));
    news
}

fn table_of(text: &str, name: &str) -> Option<toml::Value> {
    text.parse::<toml::Table>().ok()?.remove(name)
}

/// Returns the tables that differ and are read at the start only.
fn needing_restart(before: &str, now: &str) -> Vec<String> {
    let table = |text: &str| text.parse::<toml::Table>().unwrap_or_default();
    let (mut before, mut now) = (table(before), table(now));
    for text in [&mut before, &mut now] {
        // Accounts, what may be done about them, and rules are followed while the daemon runs.
        for followed in ["account", "response", "rules", "exception", "incident", "engine"] {
            text.remove(followed);
        }
        if let Some(accounts) = text.get_mut("accounts").and_then(toml::Value::as_table_mut) {
            accounts.retain(|key, _| key == "keep_removed");
        }
        if text.get("accounts").and_then(toml::Value::as_table).is_some_and(toml::Table::is_empty) {
            text.remove("accounts");
        }
    }
    let names: BTreeSet<String> = before.keys().chain(now.keys()).cloned().collect();
    names.into_iter().filter(|name| before.get(name) != now.get(name)).collect()
}
