//! The files of a journal: `journal-000000000001.ndjson`, named by their first arrival.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One file of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The number of its first arrival.
    pub first: u64,
    /// The file.
    pub path: PathBuf,
    /// Whether it is compressed, which only closed ones are.
    pub compressed: bool,
}

impl Segment {
    /// Names the segment in `dir` that begins with arrival `first`.
    pub(super) fn new(dir: &Path, first: u64, compressed: bool) -> Self {
        let end = if compressed { ".zst" } else { "" };
        Segment { first, path: dir.join(format!("journal-{first:012}.ndjson{end}")), compressed }
    }

    fn from_path(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_prefix("journal-")?;
        let (number, compressed) = match name.strip_suffix(".ndjson") {
            Some(number) => (number, false),
            None => (name.strip_suffix(".ndjson.zst")?, true),
        };
        let first = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())??;
        Some(Segment { first, path, compressed })
    }
}

/// Returns a journal's segments in order, each once: the plain file while its compressed copy is being made.
pub fn segments(dir: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.extend(Segment::from_path(entry?.path()));
    }
    found.sort_by_key(|segment| (segment.first, segment.compressed));
    found.dedup_by_key(|segment| segment.first);
    Ok(found)
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_sorted_by_number_and_other_files_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "journal-1000000000000.ndjson",
            "journal-000000000001.ndjson.zst",
            "journal-000000000020.ndjson.zst",
            "journal-000000000020.ndjson",
            "journal-000000000020.ndjson.torn",
            "journal-000000000001.ndjson.zst.part",
            "journal-+5.ndjson",
            "journal-.ndjson",
            "journal.lock",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found = segments(dir.path()).unwrap();
        let seen: Vec<_> = found.iter().map(|segment| (segment.first, segment.compressed)).collect();
        assert_eq!(seen, [(1, true), (20, false), (1_000_000_000_000, false)]);
        assert!(found.iter().all(|segment| Segment::new(dir.path(), segment.first, segment.compressed) == *segment));
    }
}
