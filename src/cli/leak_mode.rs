//! `fillguard leak-mode`: less evidence is enough for the keys of a platform that is known to have leaked, for a while.

use std::io::Write;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use super::{ConfigFile, FINE, FOUND, MISUSE};
use crate::config::{Config, read_time, write_time};
use crate::domain::{AccountId, LeakMode, Timestamp, Venue};
use crate::live::leaks::{self, Problem};
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

/// The longest that a leak mode may last, in days: it is a state of alarm, not a setting.
const LONGEST_DAYS: u64 = 366;

/// Switches, and writes to `out` what is on; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut said = std::io::stderr();
    let Some(config) = args.config.in_need()? else { return Ok(MISUSE) };
    let (file, now) = (config.leak_file(), clock::now());
    let switched = match &args.what {
        What::On { whom, why, time } => match asked(&config, whom, why, time, now) {
            Ok(mode) => leaks::on(&file, mode, now),
            Err(why) => {
                writeln!(said, "fillguard: {why}").context("standard error is gone")?;
                return Ok(MISUSE);
            }
        },
        What::Off { whom } => leaks::off(&file, &whom.meant(), now),
        What::Status => leaks::current(&file, now),
    };
    match switched {
        Ok(modes) => {
            tell(out, &modes, now)?;
            Ok(if matches!(args.what, What::Status) && !modes.is_empty() { FOUND } else { FINE })
        }
        Err(why @ Problem::Unwritable { .. }) => Err(why.into()),
        Err(why @ (Problem::NotOurs(_) | Problem::Unreadable { .. } | Problem::NotOn)) => {
            writeln!(said, "fillguard: {why}").context("standard error is gone")?;
            Ok(MISUSE)
        }
    }
}

impl Whom {
    fn meant(&self) -> leaks::Whom {
        leaks::Whom { tag: self.tag.as_deref().map(Into::into), venue: self.venue, account: self.account.clone() }
    }
}

fn asked(config: &Config, whom: &Whom, why: &str, time: &str, now: Timestamp) -> Result<LeakMode, String> {
    if whom.tag.is_none() && whom.venue.is_none() && whom.account.is_none() {
        return Err("name whom it is for: --tag, --venue or --account".into());
    }
    if why.trim().is_empty() || why.chars().count() > leaks::LONGEST_WHY || why.chars().any(char::is_control) {
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
    // Whose file cannot be read may be concerned, and a leak mode that concerns nobody does no harm.
    if concerned.count() == 0 && config.faulty.is_empty() {
        let tags = leaks::listed(config.accounts.iter().flat_map(|account| &account.tags).map(String::as_str));
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

fn tell(out: &mut dyn Write, modes: &[LeakMode], now: Timestamp) -> std::io::Result<()> {
    if modes.is_empty() {
        return writeln!(out, "no leak mode is on");
    }
    for mode in modes {
        // Whole hours of long ones; of the last hours, whole minutes and never none.
        let seconds = u64::try_from(mode.until.since(now).nanos() / 1_000_000_000).unwrap_or(0);
        let unit = if seconds >= 4 * 3_600 { 3_600 } else { 60 };
        let left = std::time::Duration::from_secs((seconds / unit * unit).max(60));
        writeln!(out, "leak mode on for {} ({} left)", leaks::words(mode), write_time(left))?;
    }
    Ok(())
}
