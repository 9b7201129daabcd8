//! `fillguard incidents`: what was found, who was told, and what they answered.

use std::io::Write;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use serde_json::json;

use super::{ConfigFile, FINE, FOUND, Format, MISUSE};
use crate::config::read_time;
use crate::domain::{AccountId, Incident, IncidentId, Level};
use crate::notify::wording::one_line;
use crate::runtime::clock;
use crate::store::{Filter, Store};

/// List incidents, or tell all of one: its history, who was told on which channel, and what was answered
///
/// Reads the database beside a running daemon and changes nothing.
///
/// Exit code: 0 none is open, 1 one of those listed is open, 2 misuse.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Tell all of this one
    pub incident: Option<String>,
    /// Only open ones
    #[arg(long)]
    pub open: bool,
    /// Only this account's, as in binance/alice
    #[arg(long)]
    pub account: Option<AccountId>,
    /// Only this level and louder
    #[arg(long, value_name = "LEVEL", default_value = "alert")]
    pub level: Least,
    /// Only those opened within this time
    #[arg(long, value_name = "TIME", default_value = "30d")]
    pub within: String,
    /// At most so many, the newest
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// The quietest level listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Least {
    /// Every line of the history.
    Notice,
    /// What people were told.
    Alert,
    /// Where the key should go.
    Act,
}

/// Lists; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut said = std::io::stderr();
    let Some(config) = args.config.in_need()? else { return Ok(MISUSE) };
    let Some(within) = read_time(&args.within) else {
        writeln!(said, "fillguard: --within takes a time such as 30d or 12h")?;
        return Ok(MISUSE);
    };
    let store = match Store::read(&config.store_file()) {
        Ok(store) => store,
        Err(error) => {
            writeln!(said, "fillguard: {error}")?;
            return Ok(MISUSE);
        }
    };
    if let Some(name) = &args.incident {
        let id = IncidentId::known(name);
        let Some(incident) = store.incident(&id).context("the incident cannot be read")? else {
            writeln!(said, "fillguard: there is no incident {name}; `fillguard incidents` lists them")?;
            return Ok(MISUSE);
        };
        match args.format {
            Format::Text => tell(&store, &incident, out)?,
            Format::Json => writeln!(out, "{}", whole(&store, &incident)?)?,
        }
        return Ok(if incident.closed.is_none() { FOUND } else { FINE });
    }
    let filter = Filter {
        account: args.account.clone(),
        min_level: Some(match args.level {
            Least::Notice => Level::Notice,
            Least::Alert => Level::Alert,
            Least::Act => Level::Act,
        }),
        open: args.open.then_some(true),
        since: Some(clock::now() - within.into()),
        limit: args.limit,
        ..Filter::default()
    };
    let found = store.incidents(&filter).context("the incidents cannot be read")?;
    for incident in &found {
        match args.format {
            Format::Text => writeln!(out, "{}", line(&store, incident)?)?,
            Format::Json => writeln!(out, "{}", brief(&store, incident)?)?,
        }
    }
    if found.is_empty() && args.format == Format::Text {
        writeln!(out, "no such incident within {}", args.within)?;
    }
    Ok(if found.iter().any(|incident| incident.closed.is_none()) { FOUND } else { FINE })
}

/// What was last answered, and by whom.
fn answered(store: &Store, id: &IncidentId) -> anyhow::Result<Option<String>> {
    let last = store.answers(id)?.pop();
    Ok(last.map(|answer| format!("{} by {} at {}", answer.verdict.as_str(), name(&answer.by), answer.at)))
}

/// Returns who answered as a terminal may show it: who answers on a channel is named as they please.
fn name(by: &str) -> String {
    one_line(by, 100)
}

fn line(store: &Store, incident: &Incident) -> anyhow::Result<String> {
    let pair = incident.symbol().map(|symbol| format!(" {symbol}")).unwrap_or_default();
    let loss: Vec<String> = incident.loss.iter().map(ToString::to_string).collect();
    let loss = if loss.is_empty() { String::new() } else { format!(", {} lost", loss.join(" and ")) };
    let rule = incident.rule().map(|rule| format!(" {rule}")).unwrap_or_default();
    let state = match (&incident.closed, answered(store, &incident.id)?) {
        (_, Some(answered)) => answered,
        (None, None) => "open, not answered".to_owned(),
        (Some(_), None) => "closed, not answered".to_owned(),
    };
    let (opened, level, id) = (incident.opened, incident.level.as_str(), &incident.id);
    Ok(format!("{opened}  {level:<6}  {id}{pair}{rule}{loss}; {state}"))
}

fn brief(store: &Store, incident: &Incident) -> anyhow::Result<serde_json::Value> {
    Ok(json!({
        "incident": incident.id.as_str(),
        "account": incident.account.to_string(),
        "level": incident.level.as_str(),
        "opened": incident.opened.nanos(),
        "last": incident.last.nanos(),
        "closed": incident.closed.map(|closed| closed.nanos()),
        "pair": incident.symbol().map(ToString::to_string),
        "rule": incident.rule().map(|rule| rule.to_string()),
        "loss": incident.loss.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "answer": store.answers(&incident.id)?.last().map(|answer| json!({
            "verdict": answer.verdict.as_str(), "by": answer.by.as_str(), "via": answer.via.as_str(), "at": answer.at.nanos(),
        })),
    }))
}

fn whole(store: &Store, incident: &Incident) -> anyhow::Result<serde_json::Value> {
    let mut value = brief(store, incident)?;
    let history = store.history(&incident.id)?;
    let deliveries = store.deliveries(&incident.id)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("state".into(), serde_json::to_value(incident)?);
        let step = |step: &crate::store::Step| json!({"n": step.n, "at": step.at.nanos(), "transition": step.transition.as_str(), "told": step.message.is_some()});
        fields.insert("history".into(), history.iter().map(step).collect());
        let delivery = |one: &crate::store::Delivery| {
            json!({"channel": one.channel, "state": one.state, "cause": one.cause.as_str(), "at": one.at.nanos(),
                "done_at": one.done_at.map(|at| at.nanos()), "attempts": one.attempts, "why": one.why})
        };
        fields.insert("deliveries".into(), deliveries.iter().map(delivery).collect());
    }
    Ok(value)
}

fn tell(store: &Store, incident: &Incident, out: &mut dyn Write) -> anyhow::Result<()> {
    let history = store.history(&incident.id)?;
    let message = history.iter().rev().find_map(|step| step.message.as_ref());
    match message {
        Some(message) => {
            write!(out, "{}", crate::notify::console::render(message, 100, false))?;
            // People are told again only of a loss that grew a lot.
            writeln!(out, "That is its last message. Now:\n{}", line(store, incident)?)?;
        }
        None => writeln!(out, "{}", line(store, incident)?)?,
    }
    writeln!(out, "\nHistory")?;
    // A long attack has thousands of steps that only moved its figures.
    let quiet = history.iter().filter(|step| step.transition == crate::domain::Transition::Updated).count();
    for step in history.iter().filter(|step| step.transition != crate::domain::Transition::Updated) {
        let rule = step.finding.as_ref().map(|finding| format!(" {}: {}", finding.level, finding.rule));
        let told = if step.message.is_some() { ", told" } else { "" };
        let (at, n, transition) = (step.at, step.n, step.transition.as_str());
        writeln!(out, "  {at}  arrival {n}  {transition}{}{told}", rule.unwrap_or_default())?;
    }
    if quiet > 0 {
        writeln!(out, "  and {quiet} times its figures moved")?;
    }
    let mut hidden: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for (name, _) in history.iter().filter_map(|step| crate::alert::hidden_by(step.finding.as_ref()?)) {
        *hidden.entry(name.as_str()).or_default() += 1;
    }
    for (name, times) in hidden {
        writeln!(out, "  exception {name} hid {times} findings")?;
    }
    writeln!(out, "\nMessages")?;
    for one in store.deliveries(&incident.id)? {
        let done = one.done_at.map(|at| format!(" at {at}")).unwrap_or_default();
        let why = one.why.map(|why| format!(": {why}")).unwrap_or_default();
        let state = match (&*one.state, one.digest) {
            ("superseded", Some(digest)) => format!("told together with others (message {digest})"),
            (state, _) => state.replace('_', " "),
        };
        writeln!(out, "  {}  {}  {}{done}, {} attempts{why}", one.channel, one.cause.as_str(), state, one.attempts)?;
    }
    writeln!(out, "\nAnswers")?;
    let answers = store.answers(&incident.id)?;
    for answer in &answers {
        let until = answer.until.map(|until| format!(" until {until}")).unwrap_or_default();
        writeln!(out, "  {}  {}{until}, {} ({})", answer.at, answer.verdict.as_str(), name(&answer.by), answer.via)?;
    }
    if answers.is_empty() {
        writeln!(out, "  none; fillguard ack {} says that somebody looks after it", incident.id)?;
    }
    Ok(())
}
