//! `fillguard leak-mode`: less evidence is enough for the keys of a platform that is known to have leaked, for a while.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use serde::{Deserialize, Serialize};

use super::{ConfigFile, FINE, FOUND, MISUSE};
use crate::codec::operator;
use crate::config::{Config, read_time, write_time};
use crate::domain::{AccountId, LeakMode, Timestamp, Venue};
use crate::runtime::clock;

/// Lower the thresholds for the keys of a platform that is known to have leaked, for a limited time
///
/// Takes effect in a running daemon within two seconds, and at its next start otherwise. Silences nothing, and takes no
/// key away by itself: `act` still needs two families of evidence. The switch is written to the journal, so a replay
/// judges alike.
///
/// Exit code: 0 done, for `status` 1 when a leak mode is on, 2 misuse.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Lower the thresholds of the accounts that are named
    On {
        #[command(flatten)]
        whom: Whom,
        /// Why, in your words
        #[arg(long)]
        why: String,
        /// For how long
        #[arg(long = "for", value_name = "TIME", default_value = "14d")]
        time: String,
    },
    /// End the leak modes of exactly these accounts; all of them where none is named
    Off {
        #[command(flatten)]
        whom: Whom,
    },
    /// Say which leak modes are on, until when and why
    Status,
}

#[derive(Clone, Debug, Parser)]
struct Whom {
    /// The accounts of this tag
    #[arg(long)]
    tag: Option<String>,
    /// The accounts at this exchange
    #[arg(long)]
    venue: Option<Venue>,
    /// This account, as in binance/alice
    #[arg(long)]
    account: Option<AccountId>,
}

/// The file in the state's directory that says which leak modes are on.
#[derive(Serialize, Deserialize)]
struct Switches {
    leak_mode: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    venue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    why: String,
    until: i64,
}

/// The longest that a leak mode may last, in days: it is a state of alarm, not a setting.
const LONGEST_DAYS: u64 = 366;

/// Switches, and writes to `out` what is on; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut said = std::io::stderr();
    let Some(config) = args.config.check()? else { return Ok(MISUSE) };
    let file = config.leak_file();
    let now = clock::now();
    let mut modes = match modes(&file) {
        Ok(modes) => modes,
        Err(why) => {
            writeln!(said, "fillguard: {why:#}").context("standard error is gone")?;
            return Ok(MISUSE);
        }
    };
    modes.retain(|mode| mode.until > now);
    match &args.what {
        What::On { whom, why, time } => {
            let mode = match asked(&config, whom, why, time, now) {
                Ok(mode) => mode,
                Err(why) => {
                    writeln!(said, "fillguard: {why}").context("standard error is gone")?;
                    return Ok(MISUSE);
                }
            };
            modes.retain(|known| !same(known, whom));
            modes.push(mode);
        }
        What::Off { whom } => {
            let all = whom.tag.is_none() && whom.venue.is_none() && whom.account.is_none();
            let before = modes.len();
            modes.retain(|mode| !all && !same(mode, whom));
            if before == modes.len() && !all {
                writeln!(said, "fillguard: no such leak mode is on").context("standard error is gone")?;
                return Ok(MISUSE);
            }
        }
        What::Status => {
            tell(out, &modes, now)?;
            return Ok(if modes.is_empty() { FINE } else { FOUND });
        }
    }
    write(&file, &modes).with_context(|| format!("{} cannot be written", file.display()))?;
    tell(out, &modes, now)?;
    Ok(FINE)
}

fn asked(config: &Config, whom: &Whom, why: &str, time: &str, now: Timestamp) -> Result<LeakMode, String> {
    if whom.tag.is_none() && whom.venue.is_none() && whom.account.is_none() {
        return Err("name whom it is for: --tag, --venue or --account".into());
    }
    if why.trim().is_empty() || why.chars().count() > 200 || why.chars().any(char::is_control) {
        return Err("--why takes one line of at most 200 characters".into());
    }
    let time = read_time(time).ok_or("--for takes a time such as 14d or 12h")?;
    if time.is_zero() || time.as_secs() > LONGEST_DAYS * 86_400 {
        return Err(format!("--for is at most {LONGEST_DAYS}d; a leak mode can be switched on again"));
    }
    let concerned = config.accounts.iter().filter(|account| {
        whom.tag.as_ref().is_none_or(|tag| account.tags.contains(tag))
            && whom.venue.is_none_or(|venue| venue == account.id.venue)
            && whom.account.as_ref().is_none_or(|id| *id == account.id)
    });
    if concerned.count() == 0 {
        let tags: std::collections::BTreeSet<&str> =
            config.accounts.iter().flat_map(|account| &account.tags).map(String::as_str).collect();
        let tags = if tags.is_empty() { "none".into() } else { tags.into_iter().collect::<Vec<_>>().join(", ") };
        return Err(format!("no configured account is concerned; the tags are: {tags}"));
    }
    Ok(LeakMode {
        tag: whom.tag.as_deref().map(Into::into),
        venue: whom.venue,
        account: whom.account.clone(),
        why: why.trim().into(),
        until: now + time.into(),
    })
}

fn same(mode: &LeakMode, whom: &Whom) -> bool {
    mode.tag.as_deref() == whom.tag.as_deref() && mode.venue == whom.venue && mode.account == whom.account
}

/// Reads the leak modes that were switched on, those that are over too; none where nothing was ever switched.
pub(super) fn modes(file: &Path) -> anyhow::Result<Vec<LeakMode>> {
    match std::fs::read_to_string(file) {
        Ok(text) => operator::read(&text)
            .with_context(|| format!("{} is not what leak-mode wrote; remove it and switch again", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// Says for whom a leak mode is on, until when and why.
pub(super) fn words(mode: &LeakMode) -> String {
    let tag = mode.tag.as_ref().map(|tag| format!("tag {tag}"));
    let venue = mode.venue.map(|venue| format!("exchange {venue}"));
    let account = mode.account.as_ref().map(|account| format!("account {account}"));
    let whom: Vec<String> = [tag, venue, account].into_iter().flatten().collect();
    format!("{} until {}: {}", whom.join(", "), mode.until, mode.why)
}

fn tell(out: &mut dyn Write, modes: &[LeakMode], now: Timestamp) -> std::io::Result<()> {
    if modes.is_empty() {
        return writeln!(out, "no leak mode is on");
    }
    for mode in modes {
        // Whole hours of long ones; of the last hours, whole minutes and never none.
        let seconds = u64::try_from(mode.until.since(now).nanos() / 1_000_000_000).unwrap_or(0);
        let unit = if seconds >= 4 * 3_600 { 3_600 } else { 60 };
        let left = std::time::Duration::from_secs((seconds / unit * unit).max(60));
        writeln!(out, "leak mode on for {} ({} left)", words(mode), write_time(left))?;
    }
    Ok(())
}

/// Replaces the file as a whole: the daemon may look at any moment.
fn write(file: &Path, modes: &[LeakMode]) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let row = |mode: &LeakMode| Row {
        tag: mode.tag.as_ref().map(ToString::to_string),
        venue: mode.venue.map(|venue| venue.to_string()),
        account: mode.account.as_ref().map(ToString::to_string),
        why: mode.why.to_string(),
        until: mode.until.nanos(),
    };
    let text = serde_json::to_string(&Switches { leak_mode: modes.iter().map(row).collect() })?;
    let beside = file.with_extension("new");
    // One left behind by a write that was cut short would keep its mode and its owner.
    if beside.exists() {
        std::fs::remove_file(&beside)?;
    }
    let mut new = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    // Switched by root, it must be readable to the daemon's own user, whose directory this is.
    if let Some(about) = beside.parent().and_then(|dir| std::fs::metadata(dir).ok()) {
        use std::os::unix::fs::MetadataExt as _;
        let _ = std::os::unix::fs::chown(&beside, Some(about.uid()), Some(about.gid()));
    }
    std::fs::rename(&beside, file)?;
    Ok(())
}
