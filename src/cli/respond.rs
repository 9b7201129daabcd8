//! `fillguard respond`: what is, was and would be done about a key; and a person's yes or no.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use serde_json::json;

use super::ack::{PATIENCE, taken};
use super::{ConfigFile, FAILED, FINE, FOUND, Format, MISUSE};
use crate::config::Config;
use crate::domain::{AccountId, IncidentId, Wallet};
use crate::pipeline::{Pipeline, SNAPSHOT_VERSION};
use crate::response::hands::{Hands, Places, Reach};
use crate::response::wording::step;
use crate::response::{Case, Memory, Plan, Survey, Verdict, inbox, plan};
use crate::runtime::clock;
use crate::store::{self, Store};

/// See what is done about keys, and say yes or no to it
///
/// A running daemon takes answers over within a second. All users of this machine together count as one person.
///
/// Exit code: 0 done, 1 the answer is written down and no daemon took it yet, for `log` when a response waits for a yes or
/// did not take effect, 2 misuse, 3 the state cannot be read.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The folder with the keys that systemd hands to the service, such as /etc/fillguard/keys
    #[arg(long, global = true, value_name = "DIR")]
    pub credentials: Option<PathBuf>,
    /// For people or for programs
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Show the steps for an incident: those that were decided, or else those that could be taken now. Changes nothing
    Plan {
        /// The incident, as in binance-alice-4711
        incident: String,
    },
    /// Say yes to a plan that waits
    Approve {
        /// The incident
        incident: String,
    },
    /// Say no to a plan that waits
    Deny {
        /// The incident
        incident: String,
    },
    /// Give back what a response took, as far as that can be given back
    Undo {
        /// The incident
        incident: String,
    },
    /// Let responses act by themselves again after read-backs failed
    Reset,
    /// List the responses, the newest first
    Log,
}

/// Answers, or shows on `out`; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(config) = args.config.in_need()? else { return Ok(MISUSE) };
    match &args.what {
        What::Plan { incident } => show(args, &config, &IncidentId::known(incident), out),
        What::Approve { incident } => answer(&config, incident, Verdict::Approve, out),
        What::Deny { incident } => answer(&config, incident, Verdict::Deny, out),
        What::Undo { incident } => answer(&config, incident, Verdict::Undo, out),
        What::Reset => leave(&config, &IncidentId::known("-"), Verdict::Reset, "it may act by itself again", out),
        What::Log => log(args.format, &config, out),
    }
}

/// Reads what the responses remember.
pub(super) fn memory(config: &Config) -> Result<Memory, store::Error> {
    let text = Store::read(&config.store_file())?.response()?;
    let source = |source| store::Error::Unreadable { what: "the responses so far".to_owned(), source };
    text.map_or(Ok(Memory::default()), |text| serde_json::from_str(&text).map_err(source))
}

/// Returns what the daemon knew of the accounts when it last wrote it down.
pub(super) fn remembered(config: &Config) -> Option<Pipeline> {
    let snapshot = Store::read(&config.store_file()).ok()?.latest_snapshot().ok()??;
    let fits = snapshot.version == SNAPSHOT_VERSION;
    fits.then(|| Pipeline::resume(config.pipeline.clone(), &snapshot.bytes).ok()).flatten()
}

/// Finds out what can be done about an account, and makes its plan. Only reads.
pub(super) async fn survey(config: &Config, reach: &Reach, account: &AccountId) -> (Survey, Plan) {
    let survey = reach.survey(account).await;
    let settings = &config.response;
    let plan = settings.policy(account).map(|policy| plan::make(account, settings, policy, &survey));
    (survey, plan.unwrap_or_default())
}

/// Builds the hands of a configuration.
pub(super) fn reach(config: &Config) -> anyhow::Result<Reach> {
    let mut wallets: std::collections::BTreeMap<AccountId, std::collections::BTreeSet<Wallet>> = Default::default();
    for account in &config.accounts {
        wallets.insert(account.id.clone(), account.wallets.clone());
    }
    let reach = Reach::new(&Places::of(&config.feed), &config.response, &config.keys, &wallets);
    reach.map_err(|why| anyhow::anyhow!("the exchanges cannot be reached: {why}"))
}

/// Leaves an answer, and waits until the daemon has taken it; returns the exit code.
fn leave(
    config: &Config,
    incident: &IncidentId,
    verdict: Verdict,
    said: &str,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let folder = config.respond_folder();
    let file = inbox::leave(&folder, incident, verdict, clock::now())
        .with_context(|| format!("{} cannot be written; be the daemon's user or root", folder.display()))?;
    if taken(&file, PATIENCE) {
        writeln!(out, "the daemon took it: {said}")?;
        return Ok(FINE);
    }
    writeln!(
        out,
        "NOT TAKEN YET: {said}. It waits in {}; see that the daemon runs, that a key may act in its configuration, and what \
         its log says of answers. The next one that starts takes it",
        file.display()
    )?;
    Ok(FOUND)
}

fn answer(config: &Config, incident: &str, verdict: Verdict, out: &mut dyn Write) -> anyhow::Result<u8> {
    let id = IncidentId::known(incident);
    let memory = match memory(config) {
        Ok(memory) => memory,
        Err(error) => {
            writeln!(io::stderr(), "fillguard: {error}").context("standard error is gone")?;
            return Ok(FAILED);
        }
    };
    let Some(case) = memory.cases.get(&id) else {
        let hint = "there is no response to that incident; `fillguard respond log` lists them";
        writeln!(io::stderr(), "fillguard: {hint}").context("standard error is gone")?;
        return Ok(MISUSE);
    };
    let fits = match verdict {
        Verdict::Approve | Verdict::Deny => !case.state.is_over() && case.begun.is_none(),
        Verdict::Undo => case.state.is_over() && case.begun.is_some(),
        Verdict::Reset => true,
    };
    if !fits {
        let state = case.state.as_str();
        writeln!(io::stderr(), "fillguard: that response is {state}; there is nothing to {}", verdict.as_str())?;
        return Ok(MISUSE);
    }
    let said = format!("{} {incident}; `fillguard respond plan {incident}` shows it", verdict.as_str());
    leave(config, &id, verdict, &said, out)
}

fn show(args: &Args, checked: &Config, id: &IncidentId, out: &mut dyn Write) -> anyhow::Result<u8> {
    let known = memory(checked).ok().and_then(|memory| memory.cases.get(id).cloned());
    if let Some(case) = known {
        return told(args.format, id, &case, out).map(|()| FINE);
    }
    let incident = Store::read(&checked.store_file()).and_then(|store| store.incident(id));
    let incident = match incident {
        Ok(Some(incident)) => incident,
        Ok(None) => {
            writeln!(io::stderr(), "fillguard: there is no incident {id}").context("standard error is gone")?;
            return Ok(MISUSE);
        }
        Err(error) => {
            writeln!(io::stderr(), "fillguard: {error}").context("standard error is gone")?;
            return Ok(FAILED);
        }
    };
    let Some(config) = args.config.with_credentials(args.credentials.clone())? else { return Ok(MISUSE) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hands = reach(&config)?;
    let (_, plan) = runtime.block_on(survey(&config, &hands, &incident.account));
    match args.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &json!({"incident": id, "decided": false, "plan": plan}))?;
            writeln!(out)?;
        }
        Format::Text => {
            writeln!(out, "{id}: nothing was decided; this could be done now (nothing is)")?;
            plan_lines(&plan, out)?;
        }
    }
    Ok(FINE)
}

/// Writes the steps of a plan.
pub(super) fn plan_lines(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    for (place, deed) in plan.deeds.iter().enumerate() {
        let back = if deed.is_reversible() { " (can be given back)" } else { "" };
        writeln!(out, "  {}. {deed}{back}", place + 1)?;
    }
    for what in &plan.amiss {
        writeln!(out, "  !  {what}")?;
    }
    for left in &plan.guide {
        let link = left.link.as_deref().map(|link| format!(": {link}")).unwrap_or_default();
        writeln!(out, "  -  for a person: {}{link}", left.what)?;
    }
    Ok(())
}

fn told(format: Format, id: &IncidentId, case: &Case, out: &mut dyn Write) -> anyhow::Result<()> {
    if format == Format::Json {
        serde_json::to_writer_pretty(&mut *out, &json!({"incident": id, "decided": true, "response": case}))?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{id}  {}  {}", case.account, case.state.as_str())?;
    if !case.note.is_empty() {
        writeln!(out, "  {}", case.note)?;
    }
    for (place, act) in case.acts.iter().enumerate() {
        let times = act.begun.zip(act.ended).map(|(from, to)| format!("  [{from}, {}]", to.since(from)));
        writeln!(out, "  {}{}", step(place, act), times.unwrap_or_default())?;
    }
    let rest = Plan { deeds: Vec::new(), ..case.plan.clone() };
    plan_lines(&rest, out)?;
    if let (Some(begun), Some(ended)) = (case.begun, case.ended) {
        let (all, from_finding) = (ended.since(begun), ended.since(case.found));
        writeln!(out, "  took {all}, {from_finding} since the finding; said yes: {}", names(case))?;
    }
    Ok(())
}

fn names(case: &Case) -> String {
    let names: Vec<&str> = case.yes.iter().map(|who| who.as_str()).collect();
    if names.is_empty() { "nobody was asked".to_owned() } else { names.join(", ") }
}

fn log(format: Format, config: &Config, out: &mut dyn Write) -> anyhow::Result<u8> {
    let memory = match memory(config) {
        Ok(memory) => memory,
        Err(error) => {
            writeln!(io::stderr(), "fillguard: {error}").context("standard error is gone")?;
            return Ok(FAILED);
        }
    };
    let mut cases: Vec<_> = memory.cases.iter().collect();
    cases.sort_by_key(|(_, case)| std::cmp::Reverse(case.found));
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &memory)?;
            writeln!(out)?;
        }
        Format::Text => {
            for (id, case) in &cases {
                told(Format::Text, id, case, out)?;
            }
            if let Some(since) = memory.tripped {
                writeln!(
                    out,
                    "read-backs failed at {since}: nothing is done by itself until `fillguard respond reset`"
                )?;
            }
            if cases.is_empty() {
                writeln!(out, "nothing was ever done, or waits to be")?;
            }
        }
    }
    let open = cases.iter().any(|(_, case)| !case.state.is_over() || case.state == crate::response::State::Partly);
    Ok(if open || memory.tripped.is_some() { FOUND } else { FINE })
}
