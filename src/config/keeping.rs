//! `[state]`, `[journal]` and `[log]`: what is written down, where and for how long.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::section::{Scope, Section};
use crate::domain::Span;
use crate::journal::Settings;

const DAY: Duration = Duration::from_secs(86_400);

/// Where everything is kept unless the file says otherwise.
const STATE: &str = "/var/lib/fillguard";

/// How the daemon writes its own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// The least important level that is written.
    pub level: tracing::Level,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Log { format: LogFormat::Text, level: tracing::Level::INFO }
    }
}

/// Reads where the state is kept.
pub(super) fn state(root: &mut Section<'_>) -> PathBuf {
    let mut section = root.section("state");
    let dir = section.path_to("dir", Some(STATE)).unwrap_or_else(|| STATE.into());
    if dir.exists() && !dir.is_dir() && root.gather.scope != Scope::Middle {
        section.refuse("dir", format!("{} is not a directory", dir.display()));
    }
    section.close();
    dir
}

/// Reads how the journal is kept, below the state's directory.
pub(super) fn journal(root: &mut Section<'_>, state: &Path) -> Settings {
    let mut section = root.section("journal");
    let usual = Settings::default();
    let keep_for = usual.keep_for.map(|span| Duration::from_nanos(u64::try_from(span.nanos()).unwrap_or(0)));
    let settings = Settings {
        dir: state.join("journal"),
        segment_bytes: section.size("segment_bytes", usual.segment_bytes, 1 << 16..=4 << 30),
        keep_for: section.time_or("keep_for", keep_for, "forever", DAY..=36_500 * DAY).map(Span::from),
        keep_bytes: section.size_or("keep_bytes", usual.keep_bytes, "unlimited", 1 << 20..=1 << 50),
        commit_every: section.time("commit_every", usual.commit_every, Duration::ZERO..=Duration::from_secs(1)),
        queue: section.count("queue", usual.queue as u64, 16..=1 << 20) as usize,
        full_disk_wait: section.time("full_disk_wait", usual.full_disk_wait, Duration::ZERO..=DAY),
        warn_free: section.size_or("warn_free", usual.warn_free, "never", 1 << 20..=1 << 50),
    };
    if settings.keep_bytes.is_some_and(|most| most < settings.segment_bytes) {
        section.refuse("keep_bytes", "is smaller than one segment (segment_bytes), so nothing would be kept");
    }
    section.close();
    settings
}

/// Reads how the daemon writes its own log.
pub(super) fn log(root: &mut Section<'_>) -> Log {
    let mut section = root.section("log");
    let usual = Log::default();
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [
        ("error", tracing::Level::ERROR),
        ("warn", tracing::Level::WARN),
        ("info", tracing::Level::INFO),
        ("debug", tracing::Level::DEBUG),
        ("trace", tracing::Level::TRACE),
    ];
    let log = Log {
        format: section.choice("format", Some(usual.format), &formats).unwrap_or(usual.format),
        level: section.choice("level", Some(usual.level), &levels).unwrap_or(usual.level),
    };
    section.close();
    log
}
