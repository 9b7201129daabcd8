//! The journal: takes arrivals, numbers them, and has them on disk and sealed before anybody acts on them.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::arrival::{Arrival, Incoming};
use crate::domain::{Span, Timestamp};

use super::error::Error;
use super::header::{Header, Kind};
use super::line;
use super::recorder::writable;
use super::recovery::{End, Recovery, recover};
use super::retention::Keeper;
use super::segment::{Segment, sync_dir};

/// Where the journal is and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its directory, made with mode 0700 if it is not there.
    pub dir: PathBuf,
    /// A segment is closed once it has this many bytes.
    pub segment_bytes: u64,
    /// A closed segment is dropped when everything in it is older than this; nothing: never by age.
    pub keep_for: Option<Span>,
    /// Oldest closed segments are dropped while all together have more bytes on disk than this; the newest closed one
    /// always stays. It must be more than arrives between two snapshots.
    pub keep_bytes: Option<u64>,
    /// The longest that arrivals are gathered for one commit while more keep coming. A single one does not wait.
    pub commit_every: Duration,
    /// Arrivals that may wait for the disk before feeds have to wait.
    pub queue: usize,
    /// How long a full disk is waited for before the journal gives up.
    pub full_disk_wait: Duration,
    /// People are told when fewer bytes than this are left on its disk, or than a tenth of a small one; nothing: never.
    pub warn_free: Option<u64>,
}

/// The writer. There is one: a lock on the directory keeps a second process out.
#[derive(Debug)]
pub struct Journal {
    settings: Settings,
    file: Option<File>,
    path: PathBuf,
    /// Bytes of the segment that are durable.
    size: u64,
    /// The hash of those bytes.
    hasher: blake3::Hasher,
    last_seal: Option<String>,
    buffer: Vec<u8>,
    last_n: u64,
    /// A sync failed: nobody knows what is on disk.
    broken: bool,
    keeper: Keeper,
    _locks: [File; 2],
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            dir: "/var/lib/fillguard/journal".into(),
            segment_bytes: 64 << 20,
            keep_for: Some(Span::from_secs(400 * 86_400)),
            keep_bytes: None,
            commit_every: Duration::from_millis(2),
            queue: 8_192,
            full_disk_wait: Duration::from_secs(60),
            warn_free: Some(1 << 30),
        }
    }
}

impl Journal {
    /// Opens the journal for writing, alone. What a crash left unfinished is put aside first and told.
    pub fn open(settings: Settings, now: Timestamp) -> Result<(Journal, Recovery), Error> {
        let dir = settings.dir.as_path();
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Error::io("make the directory", dir))?;
        let locks = locks(dir)?;
        let (end, recovery) = recover(dir)?;
        let mut journal = Journal {
            keeper: Keeper::start(&settings).map_err(Error::io("start the thread that compresses", dir))?,
            file: None,
            path: PathBuf::new(),
            size: 0,
            hasher: blake3::Hasher::new(),
            last_seal: None,
            buffer: Vec::new(),
            last_n: recovery.last_n,
            broken: false,
            _locks: locks,
            settings,
        };
        match end {
            End::Open(segment, read) => {
                let file = OpenOptions::new().append(true).open(&segment.path);
                journal.file = Some(file.map_err(Error::io("open", &segment.path))?);
                journal.keeper.wake(segment.first, now);
                journal.path = segment.path;
                journal.size = read.whole;
                journal.hasher = read.hasher;
                journal.last_seal = read.report.last_seal.or(read.report.prev);
                if recovery.unsealed > 0 {
                    journal.seal(read.any_n)?;
                }
                if read.any_n < recovery.last_n {
                    journal.begin(now)?;
                }
            }
            End::Closed { seal } => {
                journal.last_seal = seal;
                journal.begin(now)?;
            }
        }
        Ok((journal, recovery))
    }

    /// Numbers an arrival and keeps it for the next commit. Returns it as it will be written: without secrets.
    pub fn append(&mut self, incoming: Incoming) -> Result<Arrival, Error> {
        // A source that does not read back would make the whole journal unreadable.
        if incoming.from.to_string().parse().as_ref() != Ok(&incoming.from) {
            return Err(Error::Source);
        }
        let n = self.next_n()?;
        let arrival = writable(incoming.numbered(n));
        line::write(&mut self.buffer, &arrival).map_err(Error::io("put an arrival into words", &self.path))?;
        self.last_n = n;
        Ok(arrival)
    }

    /// Writes and seals what was appended and returns when it is durable. When it fails, nothing of it counts as
    /// written; where [`Error::is_full_disk`] it can be called again once there is room.
    pub fn commit(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.broken {
            return Err(Error::Broken { dir: self.settings.dir.clone() });
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.seal(self.last_n)?;
        if self.size >= self.settings.segment_bytes {
            self.begin_next(now);
        }
        Ok(())
    }

    /// Returns the number of the last arrival appended; zero before any.
    pub fn last_n(&self) -> u64 {
        self.last_n
    }

    /// Returns the settings it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Numbers what follows from above `n`, in a new segment that says so. For a journal that was lost or emptied while
    /// what was made of its arrivals is still kept under their numbers.
    pub fn number_after(&mut self, n: u64, now: Timestamp) -> Result<(), Error> {
        self.commit(now)?;
        if n > self.last_n {
            if self.last_seal.is_none() {
                // Readers believe a jump only behind a seal; a journal that is quite new has none, and nothing to keep.
                fs::remove_file(&self.path).map_err(Error::io("remove", &self.path))?;
            }
            self.last_n = n;
            self.begin(now)?;
        }
        Ok(())
    }

    /// Writes the buffer and a seal behind it, which says `n`.
    fn seal(&mut self, n: u64) -> Result<(), Error> {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.buffer);
        let seal = hasher.finalize().to_hex();
        let arrivals = self.buffer.len();
        let line = line::seal(&seal, n);
        hasher.update(line.as_bytes());
        self.buffer.extend_from_slice(line.as_bytes());
        let written = self.write();
        if written.is_err() {
            self.buffer.truncate(arrivals);
        }
        written?;
        self.size += self.buffer.len() as u64;
        self.hasher = hasher;
        self.last_seal = Some(seal.to_string());
        self.buffer.clear();
        self.buffer.shrink_to(1 << 20);
        Ok(())
    }

    fn next_n(&self) -> Result<u64, Error> {
        self.last_n.checked_add(1).ok_or_else(|| Error::Numbers { dir: self.settings.dir.clone() })
    }

    /// Writes the buffer behind what is durable. On an error the file is cut back to that.
    fn write(&mut self) -> Result<(), Error> {
        let Some(file) = &mut self.file else { return Err(Error::Broken { dir: self.settings.dir.clone() }) };
        let written = file.write_all(&self.buffer).map_err(Error::io("write to the journal", &self.path));
        let synced = written.and_then(|()| {
            // After a failed sync the kernel may have dropped the pages: trying again would report success for
            // bytes that are not on disk (https://lwn.net/Articles/752063/).
            let synced = file.sync_data();
            self.broken = synced.is_err();
            synced.map_err(Error::io("make the journal durable", &self.path))
        });
        if synced.is_err() {
            self.broken |= file.set_len(self.size).is_err();
        }
        synced
    }

    /// Begins a new segment after a commit. If that fails, the old one goes on: the commit itself is done.
    fn begin_next(&mut self, now: Timestamp) {
        if let Err(error) = self.begin(now) {
            tracing::warn!(%error, "the journal could not begin a new segment and goes on in the old one");
        }
    }

    /// Begins the segment of the next arrival; its header is durable on return.
    fn begin(&mut self, now: Timestamp) -> Result<(), Error> {
        let first = self.next_n()?;
        let segment = Segment::new(&self.settings.dir, first, false);
        let header = Header {
            kind: Kind::Journal,
            created: now,
            note: None,
            first: (first > 1).then_some(first),
            prev: self.last_seal.clone(),
        };
        let mut line = Vec::new();
        header.write(&mut line).map_err(Error::io("put the header into words", &segment.path))?;
        let file = create(&segment.path, &line).map_err(Error::io("begin a segment", &segment.path))?;
        self.size = line.len() as u64;
        self.hasher = blake3::Hasher::new();
        self.hasher.update(&line);
        self.file = Some(file);
        self.path = segment.path;
        self.keeper.wake(first, now);
        Ok(())
    }
}

/// Takes the directory for this process; the locks go with the files. Beside the lock file the directory itself is locked:
/// whoever tidies up may delete a file that is empty, and then two would write.
fn locks(dir: &Path) -> Result<[File; 2], Error> {
    let path = dir.join("journal.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(Error::io("open the lock", &path))?;
    let whole = File::open(dir).map_err(Error::io("open the directory", dir))?;
    for (lock, path) in [(&file, path.as_path()), (&whole, dir)] {
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { dir: dir.to_owned() }),
            // Some network file systems lock no directories; the lock file is what counts there.
            Err(TryLockError::Error(_)) if path == dir => {}
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io { doing: "lock", path: path.to_owned(), source });
            }
        }
    }
    Ok([file, whole])
}

/// Makes a file of mode 0600 with one line in it, durable under its name; or no file.
fn create(path: &Path, line: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let written = file.write_all(line).and_then(|()| file.sync_all()).and_then(|()| sync_dir(dir));
    match written {
        Ok(()) => Ok(file),
        Err(error) => fs::remove_file(path).and(Err(error)),
    }
}
