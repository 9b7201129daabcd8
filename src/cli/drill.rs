//! `fillguard drill`: a marked mock attack through the running daemon to an answer, timed stage by stage.

mod stages;

use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;

use self::stages::Stages;
use super::ack::taken;
use super::author::author;
use super::{ConfigFile, FAILED, FINE, FOUND, Format, MISUSE};
use crate::config::read_time;
use crate::domain::{AccountId, Attack, IncidentId};
use crate::live::inbox::{self, Order};
use crate::runtime::clock;
use crate::store::Store;

/// Try the way to people: a message marked DRILL goes through the running daemon to every channel, until somebody answers
///
/// It is written to the journal, kept and told like a theft of level act, on the channels that are asked later too, and
/// touches no exchange and no account's memory. With --attack, invented frames of that attack go the same way as frames of
/// the account's exchange: the codec reads them and the rules in force judge them, apart from everything real. Sockets to
/// exchanges are not part of it: `fillguard demo` tries those.
///
/// Exit code: 0 every channel that is told at once delivered it and somebody answered, 1 not within the time, or the rules
/// said nothing, 2 misuse, 3 no daemon took it.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Whose account the message names; the first configured one by default
    #[arg(long)]
    pub account: Option<AccountId>,
    /// Act out an attack, so that codec and rules are tried too: pump, churn, liquidation or address
    #[arg(long, value_name = "KIND", value_parser = attack)]
    pub attack: Option<Attack>,
    /// How long an answer is waited for
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub wait: String,
    /// Do not wait for an answer, only for the channels
    #[arg(long)]
    pub no_answer: bool,
    /// For people, stage by stage as it goes, or for programs, in the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// How long a daemon is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the database is looked at.
const LOOK: Duration = Duration::from_millis(100);

fn attack(name: &str) -> Result<Attack, String> {
    let known = || Attack::ALL.map(Attack::as_str).join(", ");
    Attack::named(name).ok_or_else(|| format!("an attack is one of {}", known()))
}

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
    let by = author("--by", None)?;
    let asked = clock::now();
    let order = Order::Drill { code: code.clone(), account: account.to_string(), by, attack: args.attack };
    let folder = config.inbox();
    let file = inbox::put(&folder, &order).with_context(|| format!("{} cannot be written to", folder.display()))?;
    if !taken(&file, PATIENCE) {
        // A drill that begins hours later would frighten somebody.
        let _ = std::fs::remove_file(&file);
        writeln!(said, "fillguard: no daemon took it within {} s; is it running?", PATIENCE.as_secs())?;
        return Ok(FAILED);
    }
    let store = Store::read(&config.store_file()).context("the database cannot be read")?;
    let id = IncidentId::of_drill(&code);
    let mut stages = Stages::begin(&code, asked);
    let text = args.format == Format::Text;
    if text {
        writeln!(out, "{id}: a message marked DRILL is on its way, about {account}")?;
        writeln!(out, "{}", stages::HEAD)?;
    }
    let begun = clock::steady();
    loop {
        let new = stages.look(&store)?;
        if text {
            for stage in new {
                writeln!(out, "{stage}")?;
            }
            out.flush()?;
        }
        let over = stages.answered.is_some() || stages.is_silent() || args.no_answer && stages.settled;
        if over || begun.elapsed() > wait {
            break;
        }
        std::thread::sleep(LOOK);
    }
    let mut amiss = stages.missing.clone();
    if stages.is_silent() {
        amiss.push("the rules in force would have told nobody of it".to_owned());
    } else if stages.told == 0 {
        amiss.push(format!("no channel was told; does one want its level for {account}?"));
    }
    if stages.answered.is_none() && !args.no_answer && !stages.is_silent() {
        amiss.push(format!("nobody answered within {}", args.wait));
    }
    match args.format {
        Format::Text => amiss.iter().try_for_each(|what| writeln!(out, "not done    {what}"))?,
        Format::Json => {
            let told = json!({
                "drill": id, "attack": args.attack.map(Attack::as_str), "account": account.to_string(),
                "stages": stages.to_json(), "not_done": amiss, "fine": amiss.is_empty(),
            });
            writeln!(out, "{told}")?;
        }
    }
    Ok(if amiss.is_empty() { FINE } else { FOUND })
}
