//! Files, folders and standard input, packed or not, handed to the finder piece by piece.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use compact_str::CompactString;
use serde::Serialize;

use super::finder::Finder;
use super::needle::{Needle, Part};

/// Bytes that are searched together.
const CHUNK: usize = 1 << 20;
/// Finds that are kept of one file; more are counted.
const MOST_A_FILE: usize = 100;
/// Folders inside folders that are gone into.
const DEEPEST: usize = 64;

/// Something that was looked for, and is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Find {
    /// Whose key.
    pub account: CompactString,
    /// Which part of it.
    pub part: Part,
    /// How it is spelled there.
    pub spelling: &'static str,
    /// In which file; `-` for standard input.
    pub file: String,
    /// At which byte of the file, unpacked.
    pub offset: u64,
}

/// What a search gave.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What was found.
    pub finds: Vec<Find>,
    /// Finds that are not in the list, because their file has more than a hundred.
    pub more: u64,
    /// Files that were read to their end.
    pub files: u64,
    /// Bytes that were searched, unpacked.
    pub bytes: u64,
    /// Files that could not be looked into, and why.
    pub unread: Vec<(String, String)>,
}

/// A search under way.
pub struct Scanner<'a> {
    finder: &'a Finder,
    report: Report,
    buffer: Vec<u8>,
    /// Unpacked bytes of one file that are searched.
    most: u64,
    /// Told how many bytes were taken from the disk.
    progress: &'a dyn Fn(u64),
}

/// How a file is packed, by its first bytes.
enum Packed {
    No,
    Gzip,
    Zstd,
    Other(&'static str),
}

impl<'a> Scanner<'a> {
    /// Begins a search; `progress` is told how many bytes were taken.
    pub fn new(finder: &'a Finder, progress: &'a dyn Fn(u64)) -> Self {
        Scanner { finder, report: Report::default(), buffer: Vec::new(), most: u64::MAX, progress }
    }

    /// Searches of each file so many unpacked bytes at most: a packed one may be far longer than it looks.
    pub fn at_most(mut self, bytes: u64) -> Self {
        self.most = bytes;
        self
    }

    /// Returns what was found.
    pub fn finish(self) -> Report {
        self.report
    }

    /// Searches a file or a folder with all that is in it; links are not followed.
    pub fn path(&mut self, path: &Path) {
        // What is named by hand may be a link; what lies in a folder may not lead out of it.
        match std::fs::metadata(path) {
            Ok(about) if about.is_dir() => self.folder(path, 0),
            Ok(_) => self.file(path),
            Err(error) => self.unread(&shown(path), &error.to_string()),
        }
    }

    fn folder(&mut self, folder: &Path, depth: usize) {
        if depth > DEEPEST {
            return self.unread(&shown(folder), "folders inside folders are gone into 64 deep");
        }
        let mut inside: Vec<PathBuf> = Vec::new();
        match std::fs::read_dir(folder) {
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Ok(entry) => inside.push(entry.path()),
                        Err(error) => self.unread(&shown(folder), &error.to_string()),
                    }
                }
            }
            Err(error) => return self.unread(&shown(folder), &error.to_string()),
        }
        inside.sort();
        for path in inside {
            match std::fs::symlink_metadata(&path) {
                Ok(about) if about.is_dir() => self.folder(&path, depth + 1),
                Ok(about) if about.is_file() => self.file(&path),
                // Sockets, devices and links: nothing published is one.
                Ok(_) => {}
                Err(error) => self.unread(&shown(&path), &error.to_string()),
            }
        }
    }

    fn file(&mut self, path: &Path) {
        match File::open(path) {
            Ok(file) => self.stream(file, &shown(path)),
            Err(error) => self.unread(&shown(path), &error.to_string()),
        }
    }

    /// Searches what `input` gives, under a name.
    pub fn stream(&mut self, input: impl Read, name: &str) {
        let mut input = BufReader::with_capacity(1 << 16, input);
        let packed = match input.fill_buf() {
            Ok(start) => packed(start),
            Err(error) => return self.unread(name, &error.to_string()),
        };
        let searched = match packed {
            Packed::No => self.search(input, name),
            Packed::Gzip => self.search(flate2::bufread::MultiGzDecoder::new(input), name),
            Packed::Zstd => {
                zstd::stream::read::Decoder::with_buffer(input).and_then(|unpacked| self.search(unpacked, name))
            }
            Packed::Other(how) => {
                self.unread(name, &format!("is packed as {how}, which is not opened: unpack it first"));
                return;
            }
        };
        match searched {
            Ok(()) => self.report.files += 1,
            Err(error) => self.unread(name, &format!("could be read only in part: {error}")),
        }
    }

    fn search(&mut self, mut input: impl Read, name: &str) -> io::Result<()> {
        let overlap = self.finder.overlap();
        let (mut base, mut known, mut here) = (0_u64, 0, 0);
        self.buffer.resize(overlap + CHUNK, 0);
        loop {
            let read = fill(&mut input, &mut self.buffer[known..])?;
            if read == 0 {
                return Ok(());
            }
            self.report.bytes += read as u64;
            (self.progress)(read as u64);
            let end = known + read;
            let report = &mut self.report;
            self.finder.find(&self.buffer[..end], known, &mut |needle: &Needle, at| {
                here += 1;
                if here > MOST_A_FILE {
                    report.more += 1;
                    return;
                }
                let (account, part, spelling) = (needle.account.clone(), needle.part, needle.spelling);
                let offset = base + at as u64;
                report.finds.push(Find { account, part, spelling, file: name.to_owned(), offset });
            });
            let kept = overlap.min(end);
            self.buffer.copy_within(end - kept..end, 0);
            base += (end - kept) as u64;
            if base > self.most {
                return Err(io::Error::other("it is longer than what is searched of one file"));
            }
            known = kept;
        }
    }

    pub(crate) fn unread(&mut self, name: &str, why: &str) {
        self.report.unread.push((name.to_owned(), why.to_owned()));
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What came before the damage is searched; the next call meets the damage again.
            Err(_) if filled > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn packed(start: &[u8]) -> Packed {
    let begins = |with: &[u8]| start.starts_with(with);
    match () {
        () if begins(&[0x1f, 0x8b]) => Packed::Gzip,
        () if begins(&[0x28, 0xb5, 0x2f, 0xfd]) => Packed::Zstd,
        () if begins(b"PK\x03\x04") => Packed::Other("ZIP"),
        () if begins(b"7z\xbc\xaf\x27\x1c") => Packed::Other("7z"),
        () if begins(b"\xfd7zXZ\0") => Packed::Other("xz"),
        () if begins(b"BZh") => Packed::Other("bzip2"),
        () if begins(b"Rar!\x1a\x07") => Packed::Other("RAR"),
        () => Packed::No,
    }
}

/// Returns a path without characters that could rewrite a terminal.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::needle::spellings;
    use super::*;
    use crate::secret::Secret;

    const SECRET: &str = "NotARealSecretButLongEnough0123456789";

    fn finder() -> Finder {
        Finder::new(spellings("binance/alice", Part::Secret, &Secret::new(SECRET.into())))
    }

    fn search(path: &Path) -> Report {
        let finder = finder();
        let mut scanner = Scanner::new(&finder, &|_| {});
        scanner.path(path);
        scanner.finish()
    }

    #[test]
    fn a_secret_is_found_across_the_border_of_two_chunks_and_told_by_its_place() {
        let home = tempfile::tempdir().unwrap();
        for place in [0, 1, CHUNK - 40, CHUNK - 20, CHUNK, CHUNK + 36 - 20, 3 * CHUNK - 1] {
            let file = home.path().join("dump");
            let mut data = vec![b'.'; 4 * CHUNK];
            data[place..place + SECRET.len()].copy_from_slice(SECRET.as_bytes());
            std::fs::write(&file, &data).unwrap();
            let report = search(&file);
            let places: Vec<(u64, &str)> = report.finds.iter().map(|find| (find.offset, find.spelling)).collect();
            assert_eq!(places, [(place as u64, "plain")], "at {place}");
            assert_eq!(report.bytes, data.len() as u64);
        }
    }

    #[test]
    fn packed_files_are_looked_into_and_those_that_cannot_be_are_told() {
        let home = tempfile::tempdir().unwrap();
        let text = format!("name,secret\nalice,{SECRET}\n");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        let gz = gz.finish().unwrap();
        std::fs::create_dir(home.path().join("deep")).unwrap();
        std::fs::write(home.path().join("deep/a.gz"), &gz).unwrap();
        std::fs::write(home.path().join("b.zst"), zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
        std::fs::write(home.path().join("c.zip"), b"PK\x03\x04....").unwrap();
        std::fs::write(home.path().join("torn.gz"), &gz[..gz.len() / 2]).unwrap();
        let report = search(home.path());
        assert_eq!(report.finds.iter().filter(|find| find.offset == 18).count(), 2, "{report:?}");
        let unread: Vec<&str> = report.unread.iter().map(|(_, why)| why.split(':').next().unwrap()).collect();
        assert_eq!(report.unread.len(), 2, "{unread:?}");
    }

    #[test]
    fn a_file_full_of_finds_is_counted_and_not_listed_without_end() {
        let finder = finder();
        let mut scanner = Scanner::new(&finder, &|_| {});
        let data = format!("{SECRET}\n").repeat(250);
        scanner.stream(data.as_bytes(), "-");
        let report = scanner.finish();
        assert_eq!((report.finds.len(), report.more), (100, 150));
    }
}
