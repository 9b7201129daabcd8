//! How far an access log was taken: what a restart goes on from, carried by the log's own arrivals.

use std::collections::VecDeque;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Span, Timestamp};

/// How far one access log was taken.
///
/// It moves with the arrival that carries it and stands in no file of its own, so it cannot disagree with the journal:
/// what is durable was taken, and what is not was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogProgress {
    /// Where in its files a tailed log was read to.
    pub mark: Option<LogMark>,
    /// When the arrival that told this last was received.
    pub at: Timestamp,
    /// Requests with an `Idempotency-Key`, oldest first.
    pub requests: VecDeque<LogRequest>,
}

/// A place in a file that may be renamed, copied and cut short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMark {
    /// Counts files, and one that was cut short anew; a later turn is never older.
    pub turn: u64,
    /// The file's number on its disk.
    pub inode: u64,
    /// Up to where it was read; a line begins there.
    pub offset: u64,
    /// The number of the file that the log was rotated into last when this one was begun; 0 when there was none. Whatever
    /// it was rotated into since was not read.
    #[serde(default)]
    pub before: u64,
    /// How many of its first bytes `head` stands for.
    pub head_bytes: u32,
    /// The hash of its first bytes.
    pub head: CompactString,
    /// The hash of the last bytes before `offset`.
    pub last: CompactString,
}

/// A request that was taken whole, as one arrival.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRequest {
    /// The hash of its `Idempotency-Key`.
    pub key: CompactString,
    /// The hash of its body.
    pub body: CompactString,
    /// How many entries were taken.
    pub accepted: u32,
    /// How many said what an earlier one of the same body says.
    pub duplicates: u32,
    /// When it was received.
    #[serde(default)]
    pub at: Timestamp,
}

impl LogProgress {
    /// Requests that are remembered at most.
    pub const MOST_REQUESTS: usize = 1_024;
    /// How long a request is remembered.
    pub const REQUEST_STAYS: Span = Span::from_secs(86_400);

    /// Takes a mark; returns false for one that was passed before.
    pub fn pass(&mut self, mark: LogMark, at: Timestamp) -> bool {
        let passed = self.mark.as_ref().is_some_and(|now| (mark.turn, mark.offset) <= (now.turn, now.offset));
        if !passed {
            self.mark = Some(mark);
            self.at = at;
        }
        !passed
    }

    /// Returns the request that was taken under a key, if it is remembered at `now`.
    pub fn request(&self, key: &str, now: Timestamp) -> Option<&LogRequest> {
        let young = |request: &&LogRequest| now.since(request.at) < Self::REQUEST_STAYS;
        self.requests.iter().rev().find(|request| request.key == key).filter(young)
    }

    /// Remembers a request; returns false when one of its key is remembered.
    pub fn remember(&mut self, request: LogRequest) -> bool {
        let now = request.at;
        if self.request(&request.key, now).is_some() {
            return false;
        }
        while self.requests.front().is_some_and(|oldest| now.since(oldest.at) >= Self::REQUEST_STAYS)
            || self.requests.len() >= Self::MOST_REQUESTS
        {
            self.requests.pop_front();
        }
        self.at = self.at.max(now);
        self.requests.push_back(request);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(key: usize, second: i64) -> LogRequest {
        let at = Timestamp::EPOCH + Span::from_secs(second);
        LogRequest { key: format!("{key}").into(), body: "b".into(), accepted: 1, duplicates: 0, at }
    }

    #[test]
    fn a_mark_only_moves_forward() {
        let mut progress = LogProgress::default();
        let mark = |turn, offset| LogMark { turn, offset, ..LogMark::default() };
        let passes = [(1, 0), (1, 10), (1, 10), (1, 5), (2, 0), (1, 99), (2, 1)];
        let taken = passes.map(|(turn, offset)| progress.pass(mark(turn, offset), Timestamp::EPOCH));
        assert_eq!(taken, [true, true, false, false, true, false, true]);
    }

    #[test]
    fn requests_are_remembered_for_a_day_and_no_more_than_so_many() {
        let mut progress = LogProgress::default();
        assert!(progress.remember(request(0, 0)) && !progress.remember(request(0, 86_399)));
        assert!(progress.remember(request(0, 86_400)), "a day later the key is free");
        for key in 1..=2 * LogProgress::MOST_REQUESTS {
            progress.remember(request(key, 86_401));
        }
        assert_eq!(progress.requests.len(), LogProgress::MOST_REQUESTS);
        assert!(progress.request("0", Timestamp::EPOCH + Span::from_secs(86_402)).is_none());
    }
}
