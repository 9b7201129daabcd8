//! How a daemon does, in a file beside its database that is written anew every second: what `fillguard top` shows.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

/// How a daemon does. Times are nanoseconds since 1970; counts are since it started. What a daemon of another version does
/// not tell is absent or zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it began.
    pub began: Timestamp,
    /// When this was written.
    pub at: Timestamp,
    /// The number of the last arrival that was judged, and when it came.
    pub last: u64,
    /// When the last arrival came.
    pub last_at: Timestamp,
    /// Arrivals, fills and unreadable frames since the memory began.
    pub arrivals: u64,
    /// Fills of watched accounts, each once.
    pub fills: u64,
    /// Arrivals that could not be read.
    pub unreadable: u64,
    /// Feeds that are up.
    pub up: usize,
    /// Feeds that should be.
    pub feeds: usize,
    /// From a trade, by the exchange's clock, to its arrival here.
    pub heard: Lag,
    /// From an account's frame arriving to what it caused being kept and queued.
    pub judged: Lag,
    /// Arrivals that wait for the journal.
    pub journal_waits: usize,
    /// At most so many may.
    pub journal_room: usize,
    /// Batches that are on disk and wait for the rules.
    pub batches_wait: usize,
    /// The accounts' feeds: those that are not up first, then those that traded last; at most 1,000.
    pub accounts: Vec<Feed>,
    /// Feeds of accounts that are not listed.
    pub left_out: usize,
    /// Other sources: markets, access logs, lists.
    pub sources: Vec<Link>,
    /// The rules that were asked, spoke or failed.
    pub rules: Vec<RuleStatus>,
    /// Parts of the memory that several rules share.
    pub shared: Vec<Part>,
}

/// How long something took, in the last five to ten minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lag {
    /// How many were measured.
    pub n: u64,
    /// Half of them took at most this, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 took at most this, in milliseconds.
    pub p99_ms: f64,
}

/// A connection, or whatever else arrivals come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// Its name in recordings, as in `binance/alice/futures` or `binance/market`.
    pub name: String,
    /// `up`, `down`, `blind` (up, and an interval before is not verified) or `silent` (never said anything).
    pub state: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why it is down.
    pub why: Option<String>,
    /// When its last frame came.
    pub last_frame: Option<Timestamp>,
    /// Frames.
    pub frames: u64,
    /// Times it came up.
    pub connects: u64,
}

/// The feed of one of an account's wallets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Feed {
    /// The connection.
    #[serde(flatten)]
    pub link: Link,
    /// Whose.
    pub account: String,
    /// Since when its fills are not known for certain.
    pub blind_since: Option<Timestamp>,
    /// When the account's last fill traded.
    pub last_fill: Option<Timestamp>,
    /// Orders of the account that began to trade in the last minute.
    pub orders_a_minute: u32,
    /// Orders of the account that are known to have traded.
    pub orders: u64,
    /// The key that watches.
    pub key: Option<Key>,
}

/// What the exchange said last about the key that watches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Key {
    /// Eight digits of a hash of its id.
    pub fingerprint: Option<String>,
    /// What it may do.
    pub may: Vec<String>,
    /// Whether listed addresses alone may use it, where the exchange tells.
    pub restricted: Option<bool>,
    /// When that was said.
    pub seen: Timestamp,
}

/// How a rule does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleStatus {
    /// Its name.
    pub rule: String,
    /// What it found at each level, and nothing hid.
    pub notice: u64,
    /// The same for `alert`.
    pub alert: u64,
    /// The same for `act`.
    pub act: u64,
    /// What it found and was held back, because it is staged.
    pub staged: u64,
    /// What exceptions hid.
    pub hidden: u64,
    /// How often it could not be judged.
    pub failed: u64,
    /// Fills at which its question was timed, one of 64.
    pub timed: u64,
    /// How long one question took on the average, in nanoseconds; absent for rules that judge no orders.
    pub ns_each: Option<u64>,
    /// Bytes of memory for it alone; absent where too many accounts are watched to measure it.
    pub own_bytes: Option<u64>,
}

/// A part of the memory that several rules share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// What it remembers.
    pub what: String,
    /// For which rules.
    pub rules: Vec<String>,
    /// Of how many accounts, pairs or the like.
    pub count: u64,
    /// Its size in a snapshot.
    pub bytes: u64,
}

/// A larger file is none of ours.
const MOST_BYTES: u64 = 8 << 20;

impl Status {
    /// Reads what a daemon wrote last; nothing where none runs.
    pub fn read(file: &Path) -> io::Result<Option<Self>> {
        let opened = match fs::File::open(file) {
            Ok(opened) => opened,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(why),
        };
        let mut text = String::new();
        opened.take(MOST_BYTES).read_to_string(&mut text)?;
        serde_json::from_str(&text).map(Some).map_err(io::Error::other)
    }

    /// Writes it in the place of what was written before. It is about now only, so nothing waits for the disk.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let beside = file.with_extension("json.new");
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        let mut new = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        new.write_all(&text)?;
        fs::rename(&beside, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back_and_what_another_version_leaves_out_is_absent() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("status.json");
        assert_eq!(Status::read(&file).unwrap(), None);
        let feed = Feed {
            link: Link { name: "binance/alice".into(), state: "up".into(), ..Link::default() },
            orders: 7,
            ..Feed::default()
        };
        let status = Status { pid: 7, accounts: vec![feed], ..Status::default() };
        status.write(&file).unwrap();
        status.write(&file).unwrap();
        assert_eq!(Status::read(&file).unwrap(), Some(status));
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).unwrap()) & 0o777, 0o600);
        fs::write(&file, r#"{"pid":9,"new":true,"accounts":[{"name":"a"}]}"#).unwrap();
        let read = Status::read(&file).unwrap().unwrap();
        assert_eq!((read.pid, read.accounts[0].link.name.as_str(), read.rules.len()), (9, "a", 0));
        fs::write(&file, "{").unwrap();
        assert!(Status::read(&file).is_err());
    }
}
