//! What the access sources are told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use compact_str::CompactString;

use super::entry::Whose;
use super::line::Reader;
use super::receipts::Receipts;
use crate::domain::LogProgress;
use crate::networks::Networks;
use crate::secret::Secret;

/// What the access sources are told.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Logs to follow.
    pub files: Vec<FileSource>,
    /// Where uses are posted, if anywhere.
    pub http: Option<HttpSource>,
    /// How far each was taken before this start.
    pub remembered: BTreeMap<CompactString, LogProgress>,
    /// Where the pipeline says which arrivals are durable.
    pub receipts: Receipts,
    /// Who operates which addresses: looked up once, when a line comes.
    pub networks: Networks,
}

/// A log to follow.
#[derive(Clone, Debug)]
pub struct FileSource {
    /// Its name: arrivals come from `access/<name>`.
    pub name: CompactString,
    /// The file.
    pub path: PathBuf,
    /// How its lines are read.
    pub reader: Reader,
    /// Whether a log that was never read is read from its first line; yes by default, which teaches the familiar
    /// addresses.
    pub from_start: bool,
    /// The longest line, in bytes; 64 KiB by default.
    pub longest: usize,
    /// How often it is looked at; 250 ms by default.
    pub every: Duration,
}

/// Where uses are posted.
#[derive(Clone, Debug)]
pub struct HttpSource {
    /// Its name: arrivals come from `access/<name>`; `http` by default.
    pub name: CompactString,
    /// Where it listens.
    pub listen: SocketAddr,
    /// What a client must show.
    pub token: Secret,
    /// Whether a proxy in front of it protects the way.
    pub behind_proxy: bool,
    /// Which accounts may be named.
    pub whose: Whose,
    /// The largest body, in bytes; 1 MiB by default.
    pub largest: usize,
    /// The most entries of a body; 1,000 by default.
    pub most: usize,
    /// Connections served at once; others wait. 64 by default.
    pub connections: usize,
    /// How long a client may take for its headers, and again for its body, and how long it waits for the answer; 10 s by
    /// default.
    pub patience: Duration,
}

impl FileSource {
    /// Follows a log in the usual manner.
    pub fn new(name: &str, path: PathBuf, reader: Reader) -> Self {
        FileSource {
            name: name.into(),
            path,
            reader,
            from_start: true,
            longest: 64 << 10,
            every: Duration::from_millis(250),
        }
    }
}

impl HttpSource {
    /// Listens in the usual manner.
    pub fn new(listen: SocketAddr, token: Secret, whose: Whose) -> Self {
        HttpSource {
            name: "http".into(),
            listen,
            token,
            behind_proxy: false,
            whose,
            largest: 1 << 20,
            most: 1_000,
            connections: 64,
            patience: Duration::from_secs(10),
        }
    }
}
