//! `fillguard panic`: the platform leaked; take all keys away that were given to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read as _, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use rust_decimal::prelude::ToPrimitive;
use serde_json::json;

use super::panic_ledger::{Ledger, Work};
use super::respond::{plan_lines, reach, remembered, survey};
use super::{ConfigFile, FAILED, FINE, FOUND, Format, MISUSE};
use crate::config::{Config, Problems};
use crate::domain::{AccountId, Fingerprint, Timestamp, Venue};
use crate::engine::worth::DOLLARS_A_UNIT;
use crate::response::hands::Reach;
use crate::response::wording::step;
use crate::response::{Deed, Memory, Outcome, Plan, Settings, State};

/// Take away every key that was given to a platform, an exchange, or one account
///
/// Shows the plan, the accounts with most money first, and asks you to type how many keys go. What is protected stays.
/// Whatever was begun is written down before it is sent; after an interruption the same command goes on where it
/// ended. What only a person can do is listed at the end.
///
/// It is a person's deed: evidence, an account's mode, the cool-down and the second person are not asked about.
///
/// Exit code: 0 all done, or only shown, 1 something is left for people (a protected account too, and one whose file cannot
/// be read), 2 misuse, or not confirmed, 3 it could not go on.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The accounts of this tag
    #[arg(long, group = "whom")]
    tag: Option<String>,
    /// The accounts at this exchange
    #[arg(long, group = "whom")]
    platform: Option<Venue>,
    /// This account, as in binance/alice
    #[arg(long, group = "whom")]
    account: Option<AccountId>,
    /// All accounts
    #[arg(long, group = "whom")]
    all: bool,
    /// Show the plan and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Which configuration.
    #[command(flatten)]
    config: ConfigFile,
    /// The folder with the keys that systemd hands to the service, such as /etc/fillguard/keys
    #[arg(long, value_name = "DIR")]
    credentials: Option<PathBuf>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Accounts that are asked about, and acted on, at once; a master's budget of calls holds them back further.
const TOGETHER: usize = 8;
/// Bytes of the longest confirmation that is read.
const MOST_TYPED: u64 = 256;
const LONG: Duration = Duration::from_secs(365 * 86_400);

/// One account of the plan.
pub(super) struct Row {
    pub account: AccountId,
    /// What could be done about it now.
    pub plan: Plan,
    /// What an interrupted panic has left to do about it.
    pub rest: Vec<Deed>,
    dollars: Option<f64>,
}

impl Row {
    /// Returns the steps that are taken now.
    fn deeds(&self) -> &[Deed] {
        if self.rest.is_empty() { &self.plan.deeds } else { &self.rest }
    }

    fn keys(&self) -> BTreeSet<&Fingerprint> {
        self.deeds().iter().filter_map(Deed::key).collect()
    }
}

/// Shows, asks, takes, and reports on `out`; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write, terminal: bool) -> anyhow::Result<u8> {
    let say = |code: u8, what: &str| -> anyhow::Result<u8> {
        writeln!(io::stderr(), "fillguard: {what}").context("standard error is gone")?;
        Ok(code)
    };
    let Some(config) = args.config.with_credentials(args.credentials.clone())? else { return Ok(MISUSE) };
    let (chosen, name) = chosen(args, &config);
    if name.is_empty() {
        return say(MISUSE, "say whose keys: --tag, --platform, --account or --all");
    }
    let faulty = faulty(args, &config, &chosen);
    if chosen.is_empty() {
        unread(&faulty, &mut io::stderr())?;
        return say(MISUSE, "no account is meant");
    }
    let (protected, chosen): (Vec<_>, Vec<_>) =
        chosen.into_iter().partition(|account| config.response.protected.contains(account));
    let ledger = match Ledger::open(&config.state_dir, &name) {
        Ok(ledger) => ledger,
        Err(why) => return say(FAILED, &why),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let hands = std::sync::Arc::new(reach(&config)?);
    let worth = worth(&config);
    let rows = runtime.block_on(plans(&config, &hands, chosen, &worth, &ledger));
    let keys: usize = rows.iter().map(|row| row.keys().len()).sum();
    let steps: usize = rows.iter().map(|row| row.deeds().len()).sum();
    if args.format == Format::Text {
        show(&rows, &protected, out)?;
        writeln!(out, "{} accounts, {keys} keys, {steps} steps at exchanges", rows.len())?;
        out.flush()?;
    }
    if args.dry_run {
        if args.format == Format::Json {
            let rows: Vec<_> = rows
                .iter()
                .map(|row| {
                    json!({"account": row.account.to_string(), "plan": row.plan, "left_over": row.rest,
                           "dollars": row.dollars})
                })
                .collect();
            let protected: Vec<String> = protected.iter().map(AccountId::to_string).collect();
            let unread: Vec<_> = faulty.iter().map(|file| file.to_json()).collect();
            let all =
                json!({"dry_run": true, "keys": keys, "accounts": rows, "protected": protected, "unread": unread});
            writeln!(out, "{all}")?;
        } else {
            unread(&faulty, out)?;
        }
        return Ok(if faulty.is_empty() { FINE } else { FOUND });
    }
    if steps == 0 {
        return report(args.format, &rows, (&protected, &faulty), &ledger.memory, out);
    }
    let phrase = format!("take {keys} keys");
    write!(io::stderr(), "This cannot be undone. Type exactly \"{phrase}\" to go on: ")?;
    io::stderr().flush()?;
    let mut typed = String::new();
    io::stdin().lock().take(MOST_TYPED).read_line(&mut typed)?;
    if typed.trim() != phrase {
        return say(MISUSE, "not confirmed; nothing was done");
    }
    // The typed number is the budget: whatever else turns up meanwhile stays.
    let cost: u32 = rows.iter().filter(|row| row.rest.is_empty()).map(|row| row.plan.cost()).sum();
    // A person has just said yes to what an interruption left over, however long ago that was.
    let brakes = Settings { keys_per_hour: cost, keys_per_day: cost, fresh: LONG, ..config.response.clone() };
    let bar = if terminal { indicatif::ProgressBar::new(steps as u64) } else { indicatif::ProgressBar::hidden() };
    let work = Work::new(brakes, ledger, hands, TOGETHER, bar);
    let memory = runtime.block_on(work.run(&rows))?;
    report(args.format, &rows, (&protected, &faulty), &memory, out)
}

/// Returns the accounts' files that cannot be read and may be meant.
fn faulty<'c>(args: &Args, config: &'c Config, chosen: &[AccountId]) -> Vec<&'c Problems> {
    // The one that was named was read.
    let told = args.account.is_none() || chosen.is_empty();
    config.faulty.iter().filter(|_| told).collect()
}

/// Tells of files that cannot be read: nobody knows what keys and tags they have.
fn unread(faulty: &[&Problems], out: &mut dyn Write) -> io::Result<()> {
    for file in faulty {
        writeln!(
            out,
            "LEFT FOR YOU  {}: it cannot be read, so nothing is done about its account",
            file.file.display()
        )?;
        for line in file.to_string().lines() {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

fn chosen(args: &Args, config: &Config) -> (Vec<AccountId>, String) {
    let named = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
    };
    let name = match (&args.tag, &args.platform, &args.account, args.all) {
        (Some(tag), ..) => format!("tag-{}", named(tag)),
        (_, Some(venue), ..) => format!("platform-{venue}"),
        (_, _, Some(account), _) => format!("account-{}", named(&account.to_string())),
        (_, _, _, true) => "all".to_owned(),
        (None, None, None, false) => String::new(),
    };
    let accounts = config.accounts.iter().filter(|account| {
        args.all
            || args.tag.as_ref().is_some_and(|tag| account.tags.contains(tag))
            || args.platform == Some(account.id.venue)
            || args.account.as_ref() == Some(&account.id)
    });
    (accounts.map(|account| account.id.clone()).collect(), name)
}

/// Returns what each account holds in dollars, about, as the daemon last knew.
fn worth(config: &Config) -> BTreeMap<AccountId, f64> {
    let Some(pipeline) = remembered(config) else { return BTreeMap::new() };
    let value = |account: &AccountId| {
        let mut held = pipeline.account(account)?.all_balances().peekable();
        // Of whom no balance was told, nobody knows that there is nothing.
        held.peek()?;
        let units = held.filter_map(|(asset, held)| Some(pipeline.worth().of(asset)? * held.amount.to_f64()?));
        Some(units.sum::<f64>() * DOLLARS_A_UNIT)
    };
    config.accounts.iter().filter_map(|account| Some((account.id.clone(), value(&account.id)?))).collect()
}

async fn plans(
    config: &Config,
    hands: &std::sync::Arc<Reach>,
    accounts: Vec<AccountId>,
    worth: &BTreeMap<AccountId, f64>,
    ledger: &Ledger,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for some in accounts.chunks(TOGETHER) {
        let asked = some.iter().map(|account| async move { (account, survey(config, hands, account).await.1) });
        for (account, plan) in futures_util::future::join_all(asked).await {
            let (rest, dollars) = (ledger.rest(account), worth.get(account).copied());
            rows.push(Row { account: account.clone(), plan, rest, dollars });
        }
    }
    let money = |row: &Row| row.dollars.unwrap_or(f64::MAX);
    // Who is not known may have most.
    rows.sort_by(|a, b| money(b).total_cmp(&money(a)).then_with(|| a.account.cmp(&b.account)));
    rows
}

fn show(rows: &[Row], protected: &[AccountId], out: &mut dyn Write) -> io::Result<()> {
    for row in rows {
        let money = row.dollars.map_or("money unknown".to_owned(), |dollars| format!("about {dollars:.0} USD"));
        writeln!(out, "{} ({money})", row.account)?;
        if row.rest.is_empty() {
            plan_lines(&row.plan, out)?;
            continue;
        }
        writeln!(out, "  it was interrupted, and goes on with:")?;
        let rest = Plan {
            deeds: row.rest.clone(),
            guide: row.plan.guide.clone(),
            amiss: row.plan.amiss.clone(),
            again: false,
        };
        plan_lines(&rest, out)?;
    }
    for account in protected {
        writeln!(out, "{account} is protected and stays as it is")?;
    }
    Ok(())
}

fn report(
    format: Format,
    rows: &[Row],
    (protected, faulty): (&[AccountId], &[&Problems]),
    memory: &Memory,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let done = |row: &&Row| {
        let case = Ledger::newest(memory, &row.account);
        case.is_some_and(|case| case.state == State::Done) || (case.is_none() && row.plan.deeds.is_empty())
    };
    let seen = rows.iter().filter(|row| Ledger::newest(memory, &row.account).is_some() && done(row)).count();
    // Where no key can be taken, cancelled orders alone keep nobody out.
    let left: Vec<&Row> = rows.iter().filter(|row| !done(row) || !told(row, memory).is_empty()).collect();
    let code = if left.is_empty() && protected.is_empty() && faulty.is_empty() { FINE } else { FOUND };
    if format == Format::Json {
        let left: Vec<_> = left
            .iter()
            .map(|row| {
                let page = row.account.venue.key_page();
                json!({"account": row.account.to_string(), "page": page, "why": told(row, memory)})
            })
            .collect();
        let protected: Vec<String> = protected.iter().map(AccountId::to_string).collect();
        let unread: Vec<_> = faulty.iter().map(|file| file.to_json()).collect();
        let all = json!({"done": seen, "left": left, "protected": protected, "unread": unread,
                         "responses": memory.cases});
        serde_json::to_writer_pretty(&mut *out, &all)?;
        writeln!(out)?;
        return Ok(code);
    }
    writeln!(out, "{seen} of {} accounts: every step was seen to have taken effect", rows.len())?;
    for row in &left {
        writeln!(out, "LEFT FOR YOU  {}: {}", row.account, row.account.venue.key_page())?;
        let case = Ledger::newest(memory, &row.account);
        for (place, act) in case.iter().flat_map(|case| case.acts.iter().enumerate()) {
            if !act.outcome.as_ref().is_some_and(Outcome::is_seen) {
                writeln!(out, "  {}", step(place, act))?;
            }
        }
        if let Some(case) = case.filter(|case| !case.note.is_empty()) {
            writeln!(out, "  {}", case.note)?;
        }
        for what in told(row, memory) {
            writeln!(out, "  {what}")?;
        }
    }
    for account in protected {
        writeln!(out, "LEFT FOR YOU  {account}: {}", account.venue.key_page())?;
        writeln!(out, "  it is protected, and was not touched")?;
    }
    unread(faulty, out)?;
    let took: Option<(Timestamp, Timestamp)> =
        memory.cases.values().filter_map(|case| case.begun.zip(case.ended)).fold(None, |all, (from, to)| {
            Some(all.map_or((from, to), |(first, last): (Timestamp, Timestamp)| (first.min(from), last.max(to))))
        });
    if let Some((from, to)) = took {
        writeln!(out, "from {from}, {}", to.since(from))?;
    }
    Ok(code)
}

/// Says what a person has to do about an account whatever became of the steps.
fn told(row: &Row, memory: &Memory) -> Vec<String> {
    let shut = Ledger::is_shut(memory, &row.account);
    let guide = row.plan.guide.iter().filter(|_| !shut).map(|step| {
        let link = step.link.as_deref().map(|link| format!(": {link}")).unwrap_or_default();
        format!("{}{link}", step.what)
    });
    let mut told: Vec<String> = row.plan.amiss.iter().map(ToString::to_string).chain(guide).collect();
    if !row.rest.is_empty() {
        let known = row.keys();
        let more = row.plan.keys().into_iter().filter(|key| !known.contains(key)).count();
        if more > 0 {
            told.push(format!("{more} more keys are there since the interruption: run the same command again"));
        }
    }
    told
}
