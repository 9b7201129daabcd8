//! Finds the end of a journal that was left behind, and cuts off what was not written to its end.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::{Error, ReadError, Torn};
use super::line::Flaw;
use super::reader::Reader;
use super::scan::{Scan, scan};
use super::segment::{Segment, segments, sync_dir};
use super::verify::FaultKind;

/// What `Journal::open` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The last number that was given out; zero in a new journal. What was cut off keeps its numbers where they could be
    /// read: something may have been made of it already.
    pub last_n: u64,
    /// What was cut off because it was not written to its end, and where it was put.
    pub torn: Option<(Torn, PathBuf)>,
    /// A segment whose sealed part is not as it was written. It is left as it is, and a new segment continues it.
    pub damage: Option<Damage>,
    /// Whole arrivals at the end that no seal covered; they are sealed now.
    pub unsealed: u64,
}

/// A segment that was altered, by a disk or by somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

/// Where writing goes on.
pub(super) enum End {
    /// In this segment, after what the scan read.
    Open(Segment, Box<Scan>),
    /// In a new segment that names this seal.
    Closed {
        /// The last seal there is.
        seal: Option<String>,
    },
}

/// Looks for the end of the journal in `dir`.
pub(super) fn recover(dir: &Path) -> Result<(End, Recovery), Error> {
    let mut recovery = Recovery::default();
    let mut used = 0;
    let end = find(dir, &mut recovery, &mut used)?;
    if let Some((torn, _)) = &mut recovery.torn {
        torn.last_n = recovery.last_n;
    }
    recovery.last_n = recovery.last_n.max(used);
    Ok((end, recovery))
}

fn find(dir: &Path, recovery: &mut Recovery, used: &mut u64) -> Result<End, Error> {
    loop {
        let found = segments(dir).map_err(Error::io("list the journal", dir))?;
        let Some(newest) = found.last() else {
            return Ok(End::Closed { seal: None });
        };
        if let Err(error @ ReadError::Line { flaw: Flaw::Version { .. }, .. }) = Reader::open(&newest.path) {
            return Err(Error::Newer(error));
        }
        let read = scan(&newest.path).map_err(Error::io("read", &newest.path))?;
        let Some(fault) = read.report.faults.iter().find(|fault| fault.kind != FaultKind::NotSealed) else {
            recovery.last_n = read.any_n;
            recovery.unsealed = read.report.unsealed;
            return Ok(match newest.compressed {
                false => End::Open(newest.clone(), Box::new(read)),
                true => closed(&read),
            });
        };
        *used = read.any_n.max(*used);
        // A commit that a crash interrupted may have left anything after the last seal that holds, even its own
        // seal without the lines before it. More than one seal after the fault means that what is wrong was once
        // right on disk.
        if newest.compressed || read.seals_after_fault > 1 {
            let what = format!("line {} (byte {}): {}", fault.line, fault.offset, fault.what);
            recovery.damage = Some(Damage { path: newest.path.clone(), what });
            // Where nothing in it can be read, the number in its name still says that it was begun.
            recovery.last_n = read.any_n.max(newest.first);
            return Ok(closed(&read));
        }
        let from = match fault.kind {
            FaultKind::Altered => read.sealed,
            FaultKind::Unreadable
            | FaultKind::Numbering
            | FaultKind::Torn
            | FaultKind::NotSealed
            | FaultKind::Chain => read.whole,
        };
        let (bytes, aside) = cut(&newest.path, from).map_err(Error::io("cut the unfinished end off", &newest.path))?;
        recovery.torn.get_or_insert((Torn { line: fault.line, offset: from, bytes, last_n: 0, cut: false }, aside));
        if from == 0 {
            // Not even the header was finished: the segment was just being begun.
            fs::remove_file(&newest.path).map_err(Error::io("remove", &newest.path))?;
        }
        sync_dir(dir).map_err(Error::io("make durable", dir))?;
    }
}

fn closed(read: &Scan) -> End {
    End::Closed { seal: read.report.last_seal.clone().or(read.report.prev.clone()) }
}

/// Copies a file's end to `<file>.torn`, after what is there, and then cuts it off. Both are durable on return.
fn cut(path: &Path, from: u64) -> io::Result<(u64, PathBuf)> {
    let mut name = path.as_os_str().to_owned();
    name.push(".torn");
    let aside = PathBuf::from(name);
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut copy = OpenOptions::new().append(true).create(true).mode(0o600).open(&aside)?;
    let bytes = io::copy(&mut Read::by_ref(&mut file), &mut copy)?;
    copy.sync_all()?;
    file.set_len(from)?;
    file.sync_all()?;
    Ok((bytes, aside))
}
