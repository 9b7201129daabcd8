//! The file of leak modes: read, switched and written as a whole, by the command line and by a bot.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::codec::operator;
use crate::domain::{AccountId, LeakMode, Timestamp, Venue};

/// For whom a leak mode is switched; what is absent limits nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom {
    /// The accounts of this tag.
    pub tag: Option<CompactString>,
    /// The accounts at this exchange.
    pub venue: Option<Venue>,
    /// This account.
    pub account: Option<AccountId>,
}

/// Why a leak mode could not be looked at or switched.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file holds something else.
    #[error("{} is not what leak-mode wrote; remove it and switch again", .0.display())]
    NotOurs(PathBuf),
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("{} cannot be written: {source}", .file.display())]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing to switch off.
    #[error("no such leak mode is on")]
    NotOn,
}

/// The longest reason, in characters.
pub const LONGEST_WHY: usize = 200;

impl Whom {
    /// Says whether a mode is for exactly these.
    pub fn is_of(&self, mode: &LeakMode) -> bool {
        self.tag == mode.tag && self.venue == mode.venue && self.account == mode.account
    }

    /// Says whether everybody is meant.
    pub fn is_everybody(&self) -> bool {
        *self == Whom::default()
    }
}

/// Reads the leak modes that were switched on, those that are over too; none where nothing was ever switched.
pub fn read(file: &Path) -> Result<Vec<LeakMode>, Problem> {
    match std::fs::read_to_string(file) {
        Ok(text) => operator::read(&text).ok_or_else(|| Problem::NotOurs(file.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Problem::Unreadable { file: file.to_owned(), source }),
    }
}

/// Reads the leak modes that are on.
pub fn current(file: &Path, now: Timestamp) -> Result<Vec<LeakMode>, Problem> {
    let mut modes = read(file)?;
    modes.retain(|mode| mode.until > now);
    Ok(modes)
}

/// Switches a mode on, in place of one for the same accounts; returns all that are on.
pub fn on(file: &Path, mode: LeakMode, now: Timestamp) -> Result<Vec<LeakMode>, Problem> {
    let mut modes = current(file, now)?;
    let whom = Whom { tag: mode.tag.clone(), venue: mode.venue, account: mode.account.clone() };
    modes.retain(|known| !whom.is_of(known));
    modes.push(mode);
    write(file, &modes)?;
    Ok(modes)
}

/// Ends the modes of exactly these accounts, or all of them where everybody is meant; returns all that are still on.
pub fn off(file: &Path, whom: &Whom, now: Timestamp) -> Result<Vec<LeakMode>, Problem> {
    let mut modes = current(file, now)?;
    let before = modes.len();
    modes.retain(|mode| !whom.is_everybody() && !whom.is_of(mode));
    if before == modes.len() && !whom.is_everybody() {
        return Err(Problem::NotOn);
    }
    write(file, &modes)?;
    Ok(modes)
}

/// Says for whom a leak mode is on, until when and why.
pub fn words(mode: &LeakMode) -> String {
    let tag = mode.tag.as_ref().map(|tag| format!("tag {tag}"));
    let venue = mode.venue.map(|venue| format!("exchange {venue}"));
    let account = mode.account.as_ref().map(|account| format!("account {account}"));
    let whom: Vec<String> = [tag, venue, account].into_iter().flatten().collect();
    format!("{} until {}: {}", whom.join(", "), mode.until, mode.why)
}

/// Returns a list for people: `a, b`, or `none`.
pub fn listed<'a>(tags: impl IntoIterator<Item = &'a str>) -> String {
    let tags: BTreeSet<&str> = tags.into_iter().collect();
    if tags.is_empty() { "none".to_owned() } else { tags.into_iter().collect::<Vec<_>>().join(", ") }
}

#[derive(Serialize, Deserialize)]
struct Switches {
    leak_mode: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    venue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    why: String,
    until: i64,
}

/// Replaces the file as a whole: the daemon may look at any moment.
fn write(file: &Path, modes: &[LeakMode]) -> Result<(), Problem> {
    replace(file, modes).map_err(|source| Problem::Unwritable { file: file.to_owned(), source })
}

fn replace(file: &Path, modes: &[LeakMode]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let row = |mode: &LeakMode| Row {
        tag: mode.tag.as_ref().map(ToString::to_string),
        venue: mode.venue.map(|venue| venue.to_string()),
        account: mode.account.as_ref().map(ToString::to_string),
        why: mode.why.to_string(),
        until: mode.until.nanos(),
    };
    let text = serde_json::to_string(&Switches { leak_mode: modes.iter().map(row).collect() })?;
    let beside = file.with_extension("new");
    // One left behind by a write that was cut short would keep its mode and its owner.
    if beside.exists() {
        std::fs::remove_file(&beside)?;
    }
    let mut new = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    // Switched by root, it must be readable to the daemon's own user, whose directory this is.
    if let Some(about) = beside.parent().and_then(|dir| std::fs::metadata(dir).ok()) {
        use std::os::unix::fs::MetadataExt as _;
        let _ = std::os::unix::fs::chown(&beside, Some(about.uid()), Some(about.gid()));
    }
    std::fs::rename(&beside, file)
}
