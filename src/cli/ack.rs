//! `fillguard ack`: an answer to an incident, from the command line.

use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

use super::author::author;
use super::{ConfigFile, FINE, FOUND, MISUSE};
use crate::config::read_time;
use crate::domain::{IncidentId, Level};
use crate::live::inbox::{self, Order};
use crate::runtime::clock;
use crate::store::{Filter, Store, Verdict};

/// Answer an incident: somebody looks after it (the default), it was the owner, it was not, or ask again later
///
/// An answer ends the repeats and keeps others from being asked; should the incident become louder, it is asked about
/// again. A running daemon takes the answer within a second, otherwise the next one at its start.
///
/// Exit code: 0 taken, 1 written down and not taken yet, 2 misuse.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The incident, as in binance-alice-4711
    pub incident: String,
    /// The owner did it: it is closed, and the same is taken for the owner's for a while
    #[arg(long, group = "verdict")]
    pub mine: bool,
    /// The owner did not do it: it is raised to act
    #[arg(long, group = "verdict")]
    pub not_mine: bool,
    /// Ask again after this time
    #[arg(long, group = "verdict", value_name = "TIME")]
    pub later: Option<String>,
    /// Who answers; the user's name by default
    #[arg(long)]
    pub by: Option<String>,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// How long a daemon is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// Answers; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut said = std::io::stderr();
    let Some(config) = args.config.in_need()? else { return Ok(MISUSE) };
    let now = clock::now();
    let (verdict, until) = match (&args.later, args.mine, args.not_mine) {
        (Some(time), ..) => {
            let Some(time) = read_time(time).filter(|time| (60..=7 * 86_400).contains(&time.as_secs())) else {
                writeln!(said, "fillguard: --later takes a time from 1m to 7d")?;
                return Ok(MISUSE);
            };
            (Verdict::Later, Some(now + time.into()))
        }
        (None, true, _) => (Verdict::Mine, None),
        (None, _, true) => (Verdict::NotMine, None),
        (None, false, false) => (Verdict::Seen, None),
    };
    let by = match author("--by", args.by.as_deref()) {
        Ok(by) => by,
        Err(why) => {
            writeln!(said, "{why}")?;
            return Ok(MISUSE);
        }
    };
    let store = match Store::read(&config.store_file()) {
        Ok(store) => store,
        Err(error) => {
            writeln!(said, "fillguard: {error}")?;
            return Ok(MISUSE);
        }
    };
    let id = IncidentId::known(&args.incident);
    if store.incident(&id).context("the incident cannot be read")?.is_none() {
        let open = Filter { open: Some(true), min_level: Some(Level::Alert), limit: 5, ..Filter::default() };
        let open: Vec<String> = store.incidents(&open)?.iter().map(|incident| incident.id.to_string()).collect();
        let open = if open.is_empty() { "none is open".to_owned() } else { format!("open are {}", open.join(", ")) };
        writeln!(said, "fillguard: there is no incident {}; {open}", args.incident)?;
        return Ok(MISUSE);
    }
    let order = Order::Answer {
        incident: args.incident.clone(),
        verdict,
        by,
        at: now.nanos(),
        until: until.map(|until| until.nanos()),
    };
    let folder = config.inbox();
    let file = inbox::put(&folder, &order).with_context(|| format!("{} cannot be written to", folder.display()))?;
    if taken(&file, PATIENCE) {
        writeln!(out, "{}: {}", args.incident, verdict.as_str())?;
        return Ok(FINE);
    }
    writeln!(out, "{}: {} is written down; no daemon took it yet, the next one will", args.incident, verdict.as_str())?;
    Ok(FOUND)
}

/// Waits for a file to be taken.
pub(super) fn taken(file: &std::path::Path, patience: Duration) -> bool {
    let since = clock::steady();
    while file.exists() {
        if since.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}
