//! `fillguard panic`: the platform leaked; take all keys away that were given to it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use rust_decimal::prelude::ToPrimitive;
use serde_json::json;
use tokio::task::JoinSet;

use super::respond::{plan_lines, reach, survey};
use super::verify::Format;
use super::{ConfigFile, FAILED, FINE, FOUND, MISUSE};
use crate::config::Config;
use crate::domain::{AccountId, IncidentId, Timestamp, Venue};
use crate::engine::worth::Worth;
use crate::pipeline::{Pipeline, SNAPSHOT_VERSION};
use crate::response::hands::{Hands, Reach};
use crate::response::wording::step;
use crate::response::{Input, Machine, Memory, Origin, Outcome, Output, Plan, Settings, State};
use crate::runtime::clock;
use crate::store::Store;

/// Take away every key that was given to a platform, an exchange, or one account
///
/// Shows the plan, the accounts with most money first, and asks you to type how many keys go. What is protected stays.
/// Whatever was begun is written down before it is sent; after an interruption the same command goes on where it
/// ended. What only a person can do is listed at the end.
///
/// Exit code: 0 all done, or only shown, 1 something is left for people, 2 misuse, or not confirmed, 3 it could not go
/// on.
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

/// One account of the plan.
struct Row {
    account: AccountId,
    plan: Plan,
    dollars: Option<f64>,
}

/// Shows, asks, takes, and reports on `out`; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write, terminal: bool) -> anyhow::Result<u8> {
    let Some(config) = args.config.with_credentials(args.credentials.clone())? else { return Ok(MISUSE) };
    let (chosen, name) = chosen(args, &config);
    if name.is_empty() || chosen.is_empty() {
        let hint = if name.is_empty() {
            "say whose keys: --tag, --platform, --account or --all"
        } else {
            "no account is meant"
        };
        writeln!(io::stderr(), "fillguard: {hint}").context("standard error is gone")?;
        return Ok(MISUSE);
    }
    let (protected, chosen): (Vec<_>, Vec<_>) =
        chosen.into_iter().partition(|account| config.response.protected.contains(account));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let hands = std::sync::Arc::new(reach(&config)?);
    let worth = worth(&config);
    let rows = runtime.block_on(plans(&config, &hands, chosen, &worth));
    let keys: usize = rows.iter().map(|row| row.plan.keys().len()).sum();
    let steps: usize = rows.iter().map(|row| row.plan.deeds.len()).sum();
    if args.format == Format::Text {
        show(&rows, &protected, out)?;
        writeln!(out, "{} accounts, {keys} keys, {steps} steps at exchanges", rows.len())?;
        out.flush()?;
    }
    let phrase = format!("take {keys} keys");
    if args.dry_run || steps == 0 {
        if args.format == Format::Json {
            let rows: Vec<_> = rows
                .iter()
                .map(|row| json!({"account": row.account.to_string(), "plan": row.plan, "dollars": row.dollars}))
                .collect();
            writeln!(out, "{}", json!({"dry_run": true, "keys": keys, "accounts": rows}))?;
        }
        return Ok(if steps == 0 && !args.dry_run { FOUND } else { FINE });
    }
    write!(io::stderr(), "This cannot be undone. Type exactly \"{phrase}\" to go on: ")?;
    io::stderr().flush()?;
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed)?;
    if typed.trim() != phrase {
        writeln!(io::stderr(), "fillguard: not confirmed; nothing was done")?;
        return Ok(MISUSE);
    }
    // The typed number is the budget: whatever else turns up meanwhile stays.
    let cost: u32 = rows.iter().map(|row| row.plan.cost()).sum();
    let brakes = Settings { keys_per_hour: cost, keys_per_day: cost, ..config.response.clone() };
    let ledger = config.state_dir.join(format!("panic-{name}.json"));
    let memory = match read(&ledger) {
        Ok(memory) => memory,
        Err(why) => {
            writeln!(io::stderr(), "fillguard: {}: {why}; move it away to begin anew", ledger.display())?;
            return Ok(FAILED);
        }
    };
    // What was spent before an interruption was confirmed then.
    let memory = Memory { spent: Vec::new(), ..memory };
    let bar = if terminal { indicatif::ProgressBar::new(steps as u64) } else { indicatif::ProgressBar::hidden() };
    let work = Work { machine: Machine::new(brakes, memory), ledger, name, bar };
    let memory = runtime.block_on(work.run(&rows, hands))?;
    report(args.format, &rows, &memory, out)
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
    let known = || -> Option<Pipeline> {
        let snapshot = Store::read(&config.store_file()).ok()?.latest_snapshot().ok()??;
        let fits = snapshot.version == SNAPSHOT_VERSION;
        fits.then(|| Pipeline::resume(config.pipeline.clone(), &snapshot.bytes).ok()).flatten()
    };
    let (Some(pipeline), prices) = (known(), Worth::default()) else { return BTreeMap::new() };
    let value = |account: &AccountId| {
        let held = pipeline.account(account)?.all_balances();
        // A unit is about 30,000 dollars.
        let units = held.filter_map(|(asset, held)| Some(prices.of(asset)? * held.amount.to_f64()?));
        Some(units.sum::<f64>() * 30_000.0)
    };
    config.accounts.iter().filter_map(|account| Some((account.id.clone(), value(&account.id)?))).collect()
}

async fn plans(
    config: &Config,
    hands: &std::sync::Arc<Reach>,
    accounts: Vec<AccountId>,
    worth: &BTreeMap<AccountId, f64>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for some in accounts.chunks(TOGETHER) {
        let asked = some.iter().map(|account| async move { (account, survey(config, hands, account).await.1) });
        for (account, plan) in futures_util::future::join_all(asked).await {
            rows.push(Row { account: account.clone(), plan, dollars: worth.get(account).copied() });
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
        plan_lines(&row.plan, out)?;
    }
    for account in protected {
        writeln!(out, "{account} is protected and stays as it is")?;
    }
    Ok(())
}

/// The machine with a ledger of its own: the daemon may run beside it, or not at all.
struct Work {
    machine: Machine,
    ledger: PathBuf,
    name: String,
    bar: indicatif::ProgressBar,
}

impl Work {
    async fn run(mut self, rows: &[Row], hands: std::sync::Arc<Reach>) -> anyhow::Result<Memory> {
        let mut doing: JoinSet<(IncidentId, usize, Outcome)> = JoinSet::new();
        self.take(Input::Started { read: true }, &hands, &mut doing)?;
        self.take(Input::Restarted, &hands, &mut doing)?;
        for row in rows {
            while doing.len() >= TOGETHER {
                self.next(&hands, &mut doing).await?;
            }
            if row.plan.deeds.is_empty() {
                continue;
            }
            let incident = incident(&self.name, &row.account);
            let (account, plan) = (row.account.clone(), row.plan.clone());
            let who = "the command line".into();
            let order = Input::Ordered { incident, account, plan, who, origin: Origin::Live };
            self.take(order, &hands, &mut doing)?;
        }
        while !doing.is_empty() {
            self.next(&hands, &mut doing).await?;
        }
        self.bar.finish_and_clear();
        Ok(self.machine.memory().clone())
    }

    async fn next(
        &mut self,
        hands: &std::sync::Arc<Reach>,
        doing: &mut JoinSet<(IncidentId, usize, Outcome)>,
    ) -> anyhow::Result<()> {
        if let Some(Ok((incident, place, outcome))) = doing.join_next().await {
            self.bar.inc(1);
            self.take(Input::Ended { incident, place, outcome }, hands, doing)?;
        }
        Ok(())
    }

    /// Decides, writes it down, and only then has it done.
    fn take(
        &mut self,
        input: Input,
        hands: &std::sync::Arc<Reach>,
        doing: &mut JoinSet<(IncidentId, usize, Outcome)>,
    ) -> anyhow::Result<()> {
        let outputs = self.machine.step(input, clock::now());
        write(&self.ledger, self.machine.memory())
            .with_context(|| format!("{} cannot be written, so nothing more is done", self.ledger.display()))?;
        for output in outputs {
            match output {
                Output::Act { incident, place, account, deed } => {
                    let hands = std::sync::Arc::clone(hands);
                    doing.spawn(async move { (incident, place, hands.perform(&account, &deed).await) });
                }
                Output::Look { incident, place, account, deed } => {
                    let hands = std::sync::Arc::clone(hands);
                    doing.spawn(async move { (incident, place, hands.look(&account, &deed).await) });
                }
                Output::Tell { .. } => {}
            }
        }
        Ok(())
    }
}

fn incident(name: &str, account: &AccountId) -> IncidentId {
    IncidentId::known(&format!("panic-{name}-{}-{}", account.venue, account.name))
}

fn read(ledger: &Path) -> anyhow::Result<Memory> {
    match std::fs::read_to_string(ledger) {
        Ok(text) => serde_json::from_str(&text).context("is not what panic wrote"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Memory::default()),
        Err(error) => Err(error.into()),
    }
}

/// Replaces the ledger as a whole; it is on disk when this returns.
fn write(ledger: &Path, memory: &Memory) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = ledger.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&serde_json::to_vec(memory)?)?;
    file.sync_all()?;
    std::fs::rename(&beside, ledger)?;
    if let Some(folder) = ledger.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn report(format: Format, rows: &[Row], memory: &Memory, out: &mut dyn Write) -> anyhow::Result<u8> {
    let ours = |row: &Row| {
        let found = memory.cases.iter().filter(|(_, case)| case.account == row.account);
        found.max_by_key(|(_, case)| case.found).map(|(_, case)| case)
    };
    let done = rows.iter().filter(|row| ours(row).is_some_and(|case| case.state == State::Done)).count();
    let left: Vec<&Row> = rows.iter().filter(|row| ours(row).is_none_or(|case| case.state != State::Done)).collect();
    if format == Format::Json {
        let names: Vec<String> = left.iter().map(|row| row.account.to_string()).collect();
        serde_json::to_writer_pretty(&mut *out, &json!({"done": done, "left": names, "responses": memory.cases}))?;
        writeln!(out)?;
        return Ok(if left.is_empty() { FINE } else { FOUND });
    }
    writeln!(out, "{done} of {} accounts are done and seen to be", rows.len())?;
    for row in &left {
        writeln!(out, "LEFT FOR YOU  {}: {}", row.account, row.account.venue.key_page())?;
        for (place, act) in ours(row).iter().flat_map(|case| case.acts.iter().enumerate()) {
            if !act.outcome.as_ref().is_some_and(Outcome::is_seen) {
                writeln!(out, "  {}", step(place, act))?;
            }
        }
        if let Some(case) = ours(row).filter(|case| !case.note.is_empty()) {
            writeln!(out, "  {}", case.note)?;
        }
    }
    let took: Option<(Timestamp, Timestamp)> =
        memory.cases.values().filter_map(|case| case.begun.zip(case.ended)).fold(None, |all, (from, to)| {
            Some(all.map_or((from, to), |(first, last): (Timestamp, Timestamp)| (first.min(from), last.max(to))))
        });
    if let Some((from, to)) = took {
        writeln!(out, "from {from}, {}", to.since(from))?;
    }
    Ok(if left.is_empty() { FINE } else { FOUND })
}
