//! The files beside a log that it was rotated into, oldest first.

use std::cmp::Reverse;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that a log was rotated into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotated {
    pub(super) path: PathBuf,
    pub(super) inode: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub(super) modified: i64,
    pub(super) compressed: bool,
    /// Its number, where it has one instead of a date: a larger one is older.
    number: Option<u32>,
}

/// Endings of compressed files, which are not read.
const COMPRESSED: [&str; 7] = [".gz", ".xz", ".bz2", ".zst", ".lz4", ".zip", ".Z"];

/// Returns what a log was rotated into, oldest first.
pub(super) fn rotated(log: &Path) -> io::Result<Vec<Rotated>> {
    let Some(name) = log.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let folder = log.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let other = file.file_name();
        let Some(other) = other.to_str() else { continue };
        let (plain, compressed) = uncompressed(other);
        let Some(part) = rotation(name, plain) else { continue };
        // One that vanished since is none of them.
        let Some(about) = file.metadata().ok().filter(Metadata::is_file) else { continue };
        let number = part.parse().ok().filter(|number| *number < 10_000);
        found.push(Rotated { path: file.path(), inode: about.ino(), modified: modified(&about), compressed, number });
    }
    if found.iter().all(|one| one.number.is_some()) {
        found.sort_by_key(|one| Reverse(one.number));
    } else {
        found.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
    }
    Ok(found)
}

/// Opens a regular file; a pipe would hold up whoever opens it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = |about: Metadata| if about.is_file() { Ok(()) } else { Err(io::Error::other("not a regular file")) };
    fs::metadata(path).and_then(file)?;
    File::open(path)
}

/// Returns when a file was last written, in nanoseconds since 1970.
pub(super) fn modified(about: &Metadata) -> i64 {
    about.mtime().saturating_mul(1_000_000_000).saturating_add(about.mtime_nsec())
}

fn uncompressed(name: &str) -> (&str, bool) {
    match COMPRESSED.iter().find_map(|ending| name.strip_suffix(ending)) {
        Some(plain) => (plain, true),
        None => (name, false),
    }
}

/// Returns the date or number by which `other` differs from the log's name: `access.log.1`, `access.log-20260407` and
/// `access-2026-04-07.log` of `access.log`, but not `access-errors.log`.
fn rotation<'n>(log: &str, other: &'n str) -> Option<&'n str> {
    let part = match other.strip_prefix(log) {
        Some(part) => part,
        None => {
            let (stem, ending) = log.rsplit_once('.')?;
            other.strip_prefix(stem)?.strip_suffix(ending)?.strip_suffix('.')?
        }
    };
    let part = part.strip_prefix(['.', '-', '_'])?;
    let dated =
        part.chars().all(|c| c.is_ascii_digit() || "-_.:TZ".contains(c)) && part.contains(|c: char| c.is_ascii_digit());
    (dated || part == "old").then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_was_rotated_into_is_told_from_other_files() {
        for other in
            ["a.log.1", "a.log-20260407", "a.log.2026-04-07T10:00:00Z", "a-2026-04-07.log", "a.log.old", "a_1.log"]
        {
            assert!(rotation("a.log", other).is_some(), "{other}");
        }
        for other in ["a.log", "a-errors.log", "a.log.swp", "ab.log", "a.log1", "a.log.", "b.log.1", "a.txt"] {
            assert!(rotation("a.log", other).is_none(), "{other}");
        }
        assert_eq!(uncompressed("a.log.2.gz"), ("a.log.2", true));
    }

    #[test]
    fn numbered_files_are_oldest_at_the_largest_number() {
        let home = tempfile::tempdir().unwrap();
        for name in ["a.log", "a.log.1", "a.log.10", "a.log.2", "a.log.3.gz", "b.log.1"] {
            fs::write(home.path().join(name), name).unwrap();
        }
        let names = |found: Vec<Rotated>| -> Vec<String> {
            found.iter().map(|one| one.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        };
        let log = home.path().join("a.log");
        assert_eq!(names(rotated(&log).unwrap()), ["a.log.10", "a.log.3.gz", "a.log.2", "a.log.1"]);
        assert!(rotated(&home.path().join("none").join("a.log")).is_err());
        assert!(open(home.path()).is_err());
    }
}
