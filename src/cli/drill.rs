//! `fillguard drill`: a marked mock attack through the running daemon to an answer, timed stage by stage.

use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

use super::ack::taken;
use super::{ConfigFile, FAILED, FINE, FOUND, MISUSE};
use crate::config::read_time;
use crate::domain::{AccountId, IncidentId, Span, Timestamp};
use crate::live::inbox::{self, Order};
use crate::runtime::clock;
use crate::store::Store;

/// Try the way to people: a message marked DRILL goes through the running daemon to every channel, until somebody answers
///
/// It is written to the journal, kept and told like a theft of level act, on the channels that are asked later too, and
/// touches no exchange and no account's memory. Exchanges' feeds and the rules are not part of it: `fillguard demo` and
/// `fillguard replay` try those.
///
/// Exit code: 0 every channel that is told at once delivered it and somebody answered, 1 not within the time, 2 misuse, 3 no
/// daemon took it.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Whose account the message names; the first configured one by default
    #[arg(long)]
    pub account: Option<AccountId>,
    /// How long an answer is waited for
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub wait: String,
    /// Do not wait for an answer, only for the channels
    #[arg(long)]
    pub no_answer: bool,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// How long a daemon is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the database is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Begins a drill and times it; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut said = std::io::stderr();
    let Some(config) = args.config.check()? else { return Ok(MISUSE) };
    let Some(wait) = read_time(&args.wait) else {
        writeln!(said, "fillguard: --wait takes a time such as 10m")?;
        return Ok(MISUSE);
    };
    let account = args.account.clone().or_else(|| config.accounts.first().map(|account| account.id.clone()));
    let Some(account) = account.filter(|id| config.accounts.iter().any(|account| account.id == *id)) else {
        writeln!(said, "fillguard: there is no such account in the configuration")?;
        return Ok(MISUSE);
    };
    let code = format!("{:08x}", rand::random::<u32>());
    let by = std::env::var("USER").unwrap_or_else(|_| "command line".to_owned());
    let asked = clock::now();
    let order = Order::Drill { code: code.clone(), account: account.to_string(), by };
    let folder = config.inbox();
    let file = inbox::put(&folder, &order).with_context(|| format!("{} cannot be written to", folder.display()))?;
    if !taken(&file, PATIENCE) {
        // A drill that begins hours later would frighten somebody.
        let _ = std::fs::remove_file(&file);
        writeln!(said, "fillguard: no daemon took it within {} s; is it running?", PATIENCE.as_secs())?;
        return Ok(FAILED);
    }
    let id = IncidentId::known(&format!("drill-{code}"));
    writeln!(out, "{id}: a message marked DRILL is on its way")?;
    out.flush()?;
    let store = Store::read(&config.store_file()).context("the database cannot be read")?;
    let begun = clock::steady();
    let mut stages = Stages { asked, heard: None, told: Vec::new() };
    let answer = loop {
        stages.look(&store, &id, out)?;
        if let Some(answer) = store.answers(&id)?.pop() {
            break Some(answer);
        }
        let settled = stages.settled(&store, &id)?;
        if (args.no_answer && settled) || begun.elapsed() > wait {
            break None;
        }
        std::thread::sleep(LOOK);
    };
    stages.look(&store, &id, out)?;
    if let Some(answer) = &answer {
        let first = stages.told.iter().map(|(_, at)| *at).min().unwrap_or(asked);
        let (verdict, by, via) = (answer.verdict.as_str(), &answer.by, &answer.via);
        writeln!(out, "answered    {}  {verdict}, by {by} over {via}", brief(answer.at.since(first)))?;
        writeln!(out, "in all      {}", brief(answer.at.since(asked)))?;
    }
    let mut missing = Vec::new();
    for one in store.deliveries(&id)? {
        if one.state != "sent" && one.state != "superseded" {
            missing.push(format!("{}: {} {}", one.channel, one.state, one.why.unwrap_or_default()));
        }
    }
    for one in &missing {
        writeln!(out, "not told    {one}")?;
    }
    if stages.told.is_empty() {
        writeln!(out, "no channel was told; does one want level act for {account}?")?;
    }
    if answer.is_none() && !args.no_answer {
        writeln!(out, "nobody answered within {}", args.wait)?;
    }
    let fine = missing.is_empty() && !stages.told.is_empty() && (answer.is_some() || args.no_answer);
    Ok(if fine { FINE } else { FOUND })
}

/// What was seen so far.
struct Stages {
    asked: Timestamp,
    /// When the daemon heard of it.
    heard: Option<Timestamp>,
    /// Channels and when they accepted it.
    told: Vec<(u64, Timestamp)>,
}

impl Stages {
    /// Tells what is new.
    fn look(&mut self, store: &Store, id: &IncidentId, out: &mut dyn Write) -> anyhow::Result<()> {
        if self.heard.is_none()
            && let Some(step) = store.history(id)?.first()
        {
            self.heard = Some(step.at);
            writeln!(out, "daemon      {}  heard of it (arrival {})", brief(step.at.since(self.asked)), step.n)?;
            out.flush()?;
        }
        let Some(heard) = self.heard else { return Ok(()) };
        for one in store.deliveries(id)? {
            let Some(done) = one.done_at.filter(|_| one.state == "sent") else { continue };
            if self.told.iter().any(|(row, _)| *row == one.id) {
                continue;
            }
            self.told.push((one.id, done));
            let tried = one.tried_at.unwrap_or(done);
            writeln!(
                out,
                "told        {}  {}: journal, rules' end and store {}, channel {}, {} attempts",
                brief(done.since(heard)),
                one.channel,
                brief(tried.since(heard)).trim(),
                brief(done.since(tried)).trim(),
                one.attempts
            )?;
            out.flush()?;
        }
        Ok(())
    }

    /// Says whether nothing waits any more.
    fn settled(&self, store: &Store, id: &IncidentId) -> anyhow::Result<bool> {
        let deliveries = store.deliveries(id)?;
        let waits = deliveries.iter().any(|one| matches!(one.state.as_str(), "waiting" | "sending"));
        Ok(self.heard.is_some() && !waits)
    }
}

/// Writes a time as people measure one, nine columns wide.
fn brief(span: Span) -> String {
    let millis = span.nanos() / 1_000_000;
    if millis < 10_000 { format!("{millis:>6} ms") } else { format!("{:>7} s", millis / 1_000) }
}
