//! `fillguard silence`: no messages about an account for a while; and all that is kept from people, each under its name.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use super::ack::taken;
use super::author::{author, one_line};
use super::except;
use super::{ConfigFile, FINE, FOUND, Format, MISUSE};
use crate::config::{Config, read_time};
use crate::domain::{AccountId, Excuse, Hidden, Timestamp};
use crate::live::inbox::{self, LONGEST_SILENCE, Order};
use crate::notify::wording::one_line as shown;
use crate::runtime::clock;
use crate::store::{Silence, Snooze, Store};

/// Silence an account for a while, and list all that is kept from people
///
/// Four different things keep something from people, and `list` tells them apart: exceptions (in files: named rules about
/// an account are written to the history only), silences (no messages about an account, for at most a week), snoozes
/// ("later", said to one incident) and answers ("that was me", for the same rule and pair). None of them hides level act:
/// a silence lets it through, an exception does not cover it, and an answer covers nothing louder than what was answered.
///
/// Exit code: 0 done, for `list` 1 when an exception is over and still in a file, for the others 1 when no daemon has
/// taken it yet, 2 misuse.
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
    /// List exceptions, silences, snoozes and answers, with what each kept from people
    List {
        /// For people or for programs
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// No messages about an account for a while, but those of level act
    Add {
        /// The account, as in binance/alice
        account: AccountId,
        /// For how long, at most 7d
        #[arg(long = "for", value_name = "TIME")]
        time: String,
        /// Why
        #[arg(long)]
        why: String,
        /// Who asks for it; the user's name by default
        #[arg(long)]
        by: Option<String>,
    },
    /// End the silences of an account
    Remove {
        /// The account
        account: AccountId,
    },
}

/// The longest reason, in characters.
const LONGEST_WHY: usize = 200;
/// How long a daemon is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is kept from people by what the store knows.
#[derive(Default)]
struct Known {
    silences: Vec<Silence>,
    snoozes: Vec<Snooze>,
    exceptions: Vec<Hidden>,
    answers: Vec<Hidden>,
}

/// Does it; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    match carry_out(args, out) {
        Ok(code) => Ok(code),
        Err(why) => {
            writeln!(std::io::stderr(), "{why:#}").context("standard error is gone")?;
            Ok(MISUSE)
        }
    }
}

fn carry_out(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(config) = args.config.in_need()? else { return Ok(MISUSE) };
    let now = clock::now();
    match &args.what {
        What::List { format } => list(&config, *format, now, out),
        What::Add { account, time, why, by } => {
            watched(&config, account)?;
            let time = read_time(time).filter(|time| !time.is_zero() && now + (*time).into() <= now + LONGEST_SILENCE);
            let time =
                time.context("fillguard: --for takes a time from 1m to 7d; what lasts longer is an exception")?;
            let why = one_line("--why", why, LONGEST_WHY)?;
            let by = author("--by", by.as_deref())?;
            let until = now + time.into();
            let account_name = account.to_string();
            let order = Order::Silence { account: account_name, by, why, at: now.nanos(), until: until.nanos() };
            let said = format!("{account}: no messages until {until}, but those of level act");
            put(&config.inbox(), &order, &said, out)
        }
        What::Remove { account } => {
            let silences = read(&config, now)?.silences;
            let count = silences.iter().filter(|one| one.account == *account).count();
            anyhow::ensure!(count > 0, "fillguard: {account} is not silenced; `fillguard silence list` shows who is");
            let order = Order::Unsilence { account: account.to_string(), at: now.nanos() };
            put(&config.inbox(), &order, &format!("{account}: {count} silences ended"), out)
        }
    }
}

fn watched(config: &Config, account: &AccountId) -> anyhow::Result<()> {
    let known: Vec<String> = config.accounts.iter().map(|one| one.id.to_string()).collect();
    // A running daemon watches an account whose file was broken since then as before.
    if known.contains(&account.to_string()) || config.book.unreadable().contains(account.name.as_str()) {
        return Ok(());
    }
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let near = crate::spelling::nearest(&account.to_string(), &names);
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    anyhow::bail!("fillguard: {account} is not watched{near}")
}

fn put(folder: &Path, order: &Order, said: &str, out: &mut dyn Write) -> anyhow::Result<u8> {
    let file = inbox::put(folder, order).with_context(|| format!("{} cannot be written to", folder.display()))?;
    if taken(&file, PATIENCE) {
        writeln!(out, "{said}")?;
        return Ok(FINE);
    }
    writeln!(out, "{said}: written down; no daemon took it yet, the next one will")?;
    Ok(FOUND)
}

fn read(config: &Config, now: Timestamp) -> anyhow::Result<Known> {
    let store = match Store::read(&config.store_file()) {
        Ok(store) => store,
        // Nothing was ever watched, so nothing was ever silenced.
        Err(crate::store::Error::Absent { .. }) => return Ok(Known::default()),
        Err(error) => anyhow::bail!("fillguard: {error}"),
    };
    let mut answers = store.hidden(Excuse::Answer)?;
    answers.retain(|one| one.until > now);
    Ok(Known {
        silences: store.silences(now)?,
        snoozes: store.snoozes(now, config.notify.repeat.map(Into::into))?,
        exceptions: store.hidden(Excuse::Exception)?,
        answers,
    })
}

fn list(config: &Config, format: Format, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<u8> {
    let known = read(config, now)?;
    let exceptions = &config.pipeline.alert.exceptions;
    match format {
        Format::Json => {
            let rows: Vec<Value> = exceptions.iter().map(|one| except::row(one, &known.exceptions, now)).collect();
            let silences = known.silences.iter().map(|one| {
                json!({"id": one.id, "account": one.account.to_string(), "owner": one.by, "reason": one.why,
                    "since": one.at.to_string(), "expires": one.until.to_string(), "hid": one.swallowed})
            });
            let snoozes = known.snoozes.iter().map(|one| {
                json!({"incident": one.incident.as_str(), "account": one.account.to_string(), "owner": one.by,
                    "via": one.via, "reason": "later", "since": one.at.to_string(), "expires": one.until.to_string(),
                    "hid": one.count})
            });
            let answers = known.answers.iter().map(|one| {
                json!({"incident": one.name, "account": one.account.to_string(), "owner": one.owner,
                    "reason": "that was me", "what": one.what, "expires": one.until.to_string(), "hid": one.count,
                    "last": one.last.map(|last| last.to_string())})
            });
            let all = json!({"exceptions": rows, "silences": silences.collect::<Vec<_>>(),
                "snoozes": snoozes.collect::<Vec<_>>(), "answers": answers.collect::<Vec<_>>()});
            writeln!(out, "{all:#}")?;
        }
        Format::Text => {
            except::tell(exceptions, &known.exceptions, now, out)?;
            for Silence { account, by, why, until, swallowed, .. } in &known.silences {
                let (by, why) = (shown(by, 100), shown(why, 200));
                writeln!(out, "silence of {account}, until {until}\n    {by}: {why}; hid {swallowed} messages")?;
            }
            if known.silences.is_empty() {
                writeln!(out, "no silence")?;
            }
            for Snooze { incident, by, via, until, count, .. } in &known.snoozes {
                let by = shown(by, 100);
                writeln!(out, "snooze of {incident}, until {until}\n    {by} said later ({via}); hid {count} repeats")?;
            }
            if known.snoozes.is_empty() {
                writeln!(out, "no snooze")?;
            }
            for Hidden { name, account, owner, what, until, count, .. } in &known.answers {
                writeln!(out, "answer to {name}: {what} about {account}, until {until}")?;
                let owner = shown(owner, 100);
                writeln!(out, "    {owner} said that was me; hid {count} findings")?;
            }
            if known.answers.is_empty() {
                writeln!(out, "no answer")?;
            }
        }
    }
    let over = exceptions.iter().any(|one| one.expires <= now);
    Ok(if over { FOUND } else { FINE })
}
