//! What files look like from outside: enough to notice that one was written, without reading it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What some files look like, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<Stamp>>);

/// What one file looks like. Whoever writes to it changes its ctime, whatever else is set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    mode: u32,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamps {
    /// Looks at a file and at the secrets it names.
    pub(super) fn of(file: Option<&Path>, secrets: &[PathBuf]) -> Self {
        Stamps(file.into_iter().chain(secrets.iter().map(PathBuf::as_path)).map(stamp).collect())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = fs::metadata(path).ok()?;
    Some(Stamp {
        device: about.dev(),
        inode: about.ino(),
        mode: about.mode(),
        bytes: about.size(),
        modified: (about.mtime(), about.mtime_nsec()),
        changed: (about.ctime(), about.ctime_nsec()),
    })
}
