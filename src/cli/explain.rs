//! `fillguard explain` and `fillguard why-not`: what a rule weighed, and what it would have needed.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use serde_json::{Value, json};

use super::{FINE, Format, MISUSE};
use crate::config::Config;
use crate::domain::{AccountId, Finding, Level, RuleName, Term};
use crate::engine::expression::{Clause, Unknown};
use crate::engine::rules::Levels;
use crate::engine::why::{Asked, Lack, Weighed, Weight};
use crate::explain::{self, Error, Explained, Verdict};
use crate::pipeline::Settings;

/// Say why an incident was told: each rule's terms, what went into them, and what a level would have needed
///
/// Replays recordings or the journal up to the incident and looks at the accounts' memory there, so it needs the journal
/// from before. Give the configuration that the daemon ran with: thresholds and tags are its own.
///
/// Exit code: 0 explained, 2 there is no such incident, or a recording or the configuration cannot be read.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The incident, as a message names it: binance-alice-4711
    #[arg(value_name = "INCIDENT")]
    pub incident: String,
    /// From where, and how it is written
    #[command(flatten)]
    pub from: From,
}

/// Say why a rule was silent about an order, or no louder: its terms, what went into them, and what it lacked
///
/// Replays recordings or the journal and weighs the order by the rule after each arrival until two minutes after its last
/// fill; told is the moment at which the rule came closest. Of a rule of your own it tells each part of its condition,
/// whether it was met, and with which values.
///
/// Exit code: 0 answered, 2 there is no such account, order or rule, or a recording or the configuration cannot be read.
#[derive(Clone, Debug, Parser)]
pub struct WhyNot {
    /// The account, as in binance/alice
    #[arg(long)]
    pub account: String,
    /// The order's id at the exchange, or the id its sender gave it
    #[arg(long)]
    pub order: String,
    /// The rule, as in pump_buy
    #[arg(long)]
    pub rule: String,
    /// From where, and how it is written
    #[command(flatten)]
    pub from: From,
}

/// From where it is read, and how it is written.
#[derive(Clone, Debug, Parser)]
pub struct From {
    /// Recordings in order, or a journal's directory
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Rules, thresholds and tags; without it those of a fresh installation
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Explains an incident; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some((files, settings)) = args.from.read()? else { return Ok(MISUSE) };
    match explain::incident(&files, &settings, &args.incident) {
        Ok(explained) => {
            match args.from.format {
                Format::Json => writeln!(out, "{}", incident_json(&explained))?,
                Format::Text => incident_text(&explained, out)?,
            }
            Ok(FINE)
        }
        Err(error) => refuse(&error.to_string()),
    }
}

/// Says what a rule made of an order; returns the exit code.
pub fn why_not(args: &WhyNot, out: &mut dyn Write) -> anyhow::Result<u8> {
    let account: AccountId = match args.account.parse() {
        Ok(account) => account,
        Err(_) => return refuse(&format!("--account {} is none; write it as in binance/alice", args.account)),
    };
    let shipped = RuleName::ALL.iter().copied().find(|rule| rule.as_str() == args.rule);
    let Some((files, settings)) = args.from.read()? else { return Ok(MISUSE) };
    let own = &settings.engine.user.rules;
    if own.iter().any(|own| own.name == args.rule) {
        return match explain::own_rule(&files, &settings, &account, &args.order, &args.rule) {
            Ok(verdict) => {
                match args.from.format {
                    Format::Json => writeln!(out, "{}", own_json(&account, &args.rule, &verdict))?,
                    Format::Text => own_text(&account, &args.rule, &verdict, out)?,
                }
                Ok(FINE)
            }
            Err(error) => refuse(&error.to_string()),
        };
    }
    let Some(rule) = shipped else {
        let shipped = RuleName::ALL.iter().map(|rule| rule.as_str());
        let known: Vec<&str> = shipped.chain(own.iter().map(|own| own.name.as_str())).collect();
        let near = crate::spelling::nearest(&args.rule, &known).map(|near| format!("; did you mean {near}?"));
        let near = near.unwrap_or_else(|| format!("; the rules are {}", known.join(", ")));
        return refuse(&format!("there is no rule {}{near}", args.rule));
    };
    match explain::order(&files, &settings, &account, &args.order, rule) {
        Ok(verdict) => {
            match args.from.format {
                Format::Json => writeln!(out, "{}", order_json(&account, rule, &verdict))?,
                Format::Text => order_text(&account, rule, &verdict, out)?,
            }
            Ok(FINE)
        }
        Err(error @ (Error::Read(_) | Error::Unknown { .. } | Error::NotOfOrders { .. })) => refuse(&error.to_string()),
    }
}

impl From {
    fn read(&self) -> anyhow::Result<Option<(Vec<PathBuf>, Settings)>> {
        let settings = match self.config.as_deref().map(Config::pipeline_only) {
            None => Settings::default(),
            Some(Ok(settings)) => settings,
            Some(Err(problems)) => {
                writeln!(std::io::stderr(), "{problems}").context("standard error is gone")?;
                return Ok(None);
            }
        };
        match super::verify::files(&self.files) {
            Ok(files) => Ok(Some((files, settings))),
            Err(why) => refuse(&why).map(|_| None),
        }
    }
}

fn refuse(why: &str) -> anyhow::Result<u8> {
    writeln!(std::io::stderr(), "fillguard: {why}").context("standard error is gone")?;
    Ok(MISUSE)
}

/// Writes a figure as people read it: three decimals, fewer where they are zero; what would vanish with its magnitude.
fn brief(figure: f64) -> String {
    if figure != 0.0 && figure.abs() < 5e-4 {
        return format!("{figure:.1e}");
    }
    let rounded = (figure * 1e3).round() / 1e3;
    if rounded == 0.0 { "0".to_owned() } else { format!("{rounded}") }
}

/// Returns the next louder level and the score it takes.
fn next(levels: &Levels, told: Option<Level>) -> Option<(Level, f64)> {
    match told {
        None => Some((Level::Notice, levels.notice)),
        Some(Level::Notice) => Some((Level::Alert, levels.alert)),
        Some(Level::Alert) => Some((Level::Act, levels.act)),
        Some(Level::Act) => None,
    }
}

fn needs(weighed: &Weighed, told: Option<Level>) -> String {
    let mut text = match next(&weighed.levels, told) {
        Some((level, needed)) if weighed.score >= needed => {
            let families = crate::engine::rules::families(&terms(weighed));
            let why = if level == Level::Act && families < 2 {
                format!("and two families of evidence of 1.5 nats each; there was {families}")
            } else {
                "but".to_owned()
            };
            format!("{level} takes {}, it had {}, {why}", brief(needed), brief(weighed.score))
        }
        Some((level, needed)) => {
            let missing = brief(needed - weighed.score);
            format!("{level} needed {}, it had {}: {missing} nats more", brief(needed), brief(weighed.score))
        }
        None => format!("nothing is louder; it had {}", brief(weighed.score)),
    };
    if weighed.lowered > 0.0 {
        text += &format!(" (levels are {} nats lower: leak mode)", brief(weighed.lowered));
    }
    text
}

fn terms(weighed: &Weighed) -> Vec<Term> {
    weighed.weights.iter().map(|weight| weight.term.clone()).collect()
}

fn weight_text(weight: &Weight, out: &mut dyn Write) -> std::io::Result<()> {
    let Weight { term, formula, inputs } = weight;
    term_text(term, out)?;
    if !inputs.is_empty() {
        let inputs: Vec<String> = inputs.iter().map(|(name, value)| format!("{name}: {}", brief(*value))).collect();
        writeln!(out, "            {formula}; {}", inputs.join(", "))?;
    }
    Ok(())
}

fn term_text(term: &Term, out: &mut dyn Write) -> std::io::Result<()> {
    let sign = if term.nats >= 0.0 { "+" } else { "" };
    let nats = format!("{sign}{}", brief(term.nats));
    writeln!(out, "  {nats:>8}  {} ({}): {} {}", term.name, term.family, brief(term.value), term.unit)
}

fn lack_text(lack: &Lack) -> String {
    format!("{}: needed {} {}, had {}", lack.what, brief(lack.needed), lack.unit, brief(lack.had))
}

fn incident_text(explained: &Explained, out: &mut dyn Write) -> std::io::Result<()> {
    let incident = &explained.incident;
    writeln!(out, "{}: {}, {}, opened {}", incident.id, incident.level, incident.account, incident.opened)?;
    for (finding, inner) in &explained.findings {
        let pair = finding.symbol.as_ref().map(|symbol| format!(" {symbol}")).unwrap_or_default();
        writeln!(
            out,
            "\n{}{pair}: {} at arrival {} ({}), score {}",
            finding.rule,
            finding.level,
            finding.n,
            finding.at,
            brief(finding.score)
        )?;
        match inner {
            Some(weighed) => {
                for weight in &weighed.weights {
                    weight_text(weight, out)?;
                }
                writeln!(out, "  {}", needs(weighed, Some(finding.level)))?;
                for lack in &weighed.lacks {
                    writeln!(out, "  kept at a notice by {}", lack_text(lack))?;
                }
            }
            None => {
                for term in &finding.terms {
                    term_text(term, out)?;
                }
            }
        }
        if !finding.orders.is_empty() {
            writeln!(out, "  orders: {}", finding.orders.join(", "))?;
        }
    }
    Ok(())
}

fn order_text(account: &AccountId, rule: RuleName, verdict: &Verdict, out: &mut dyn Write) -> std::io::Result<()> {
    let Verdict { order, symbol, side, first, n, at, weighed, told } = verdict;
    writeln!(out, "order {order} of {account}: {side:?} {symbol}, first traded {first}")?;
    let level = weighed.finding.as_ref().map(|finding| finding.level);
    let said = level.map_or("said nothing".to_owned(), |level| format!("said {level}"));
    writeln!(out, "{rule} {said}; it came closest after arrival {n} ({at})")?;
    for weight in &weighed.weights {
        weight_text(weight, out)?;
    }
    if !weighed.weights.is_empty() {
        writeln!(out, "  {}", needs(weighed, level))?;
    }
    for lack in &weighed.lacks {
        let how = if weighed.weights.is_empty() { "lacked" } else { "kept at a notice by" };
        writeln!(out, "  {how} {}", lack_text(lack))?;
    }
    if !told.is_empty() {
        let told: Vec<&str> = told.iter().map(|id| id.as_str()).collect();
        writeln!(out, "  the rule did speak of it: {} (see `fillguard explain`)", told.join(", "))?;
    }
    Ok(())
}

fn own_text(account: &AccountId, rule: &str, verdict: &Verdict<Asked>, out: &mut dyn Write) -> std::io::Result<()> {
    let Verdict { order, symbol, side, first, n, at, weighed, told } = verdict;
    writeln!(out, "order {order} of {account}: {side:?} {symbol}, first traded {first}")?;
    let staged = if weighed.staged { ", to the history only (staged)" } else { "" };
    match &weighed.holds {
        Ok(true) => writeln!(out, "{rule} said {}{staged} after arrival {n} ({at}): all of it was met", weighed.level)?,
        Ok(false) => writeln!(out, "{rule} said nothing; it came closest after arrival {n} ({at})")?,
        Err(why) => {
            writeln!(
                out,
                "{rule} could not be judged, which counts as not met; closest after arrival {n} ({at}): {why}"
            )?;
        }
    }
    for part in &weighed.parts {
        let holds = match &part.holds {
            Ok(true) => "met",
            Ok(false) => "NOT MET",
            Err(_) => "NOT KNOWN",
        };
        writeln!(out, "  {holds:<9}  {}", part.text)?;
        for (name, value) in &part.values {
            match value {
                Ok(value) => writeln!(out, "               {name} is {value}")?,
                Err(why) => writeln!(out, "               {name}: {why}")?,
            }
        }
    }
    if !told.is_empty() {
        let told: Vec<&str> = told.iter().map(|id| id.as_str()).collect();
        writeln!(out, "  the rule did speak of it: {} (see `fillguard explain`)", told.join(", "))?;
    }
    Ok(())
}

fn own_json(account: &AccountId, rule: &str, verdict: &Verdict<Asked>) -> Value {
    let Verdict { order, symbol, side, first, n, at, weighed, told } = verdict;
    let part = |part: &Clause| {
        let value = |(name, value): &(String, Result<compact_str::CompactString, Unknown>)| match value {
            Ok(value) => json!({"name": name, "value": value, "unknown": null}),
            Err(why) => json!({"name": name, "value": null, "unknown": why.to_string()}),
        };
        json!({
            "text": part.text, "met": part.holds.ok(), "values": part.values.iter().map(value).collect::<Vec<_>>(),
        })
    };
    let level = weighed.level.as_str();
    json!({
        "order": order, "account": account.to_string(), "pair": symbol.to_string(),
        "side": format!("{side:?}").to_lowercase(), "first": first.nanos(), "rule": rule, "n": n,
        "at": at.nanos(), "level": (weighed.holds == Ok(true)).then_some(level), "staged": weighed.staged,
        "unknown": weighed.holds.err().map(|why| why.to_string()),
        "parts": weighed.parts.iter().map(part).collect::<Vec<_>>(),
        "told": told.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
    })
}

fn term_json(term: &Term) -> Value {
    json!({
        "name": term.name, "family": term.family.as_str(), "nats": term.nats, "value": term.value, "unit": term.unit,
    })
}

fn weighed_json(weighed: &Weighed, told: Option<Level>) -> Value {
    let weight = |weight: &Weight| {
        let mut value = term_json(&weight.term);
        value["formula"] = json!(weight.formula);
        let inputs = weight.inputs.iter().map(|(name, figure)| ((*name).to_owned(), json!(figure)));
        value["inputs"] = Value::Object(inputs.collect());
        value
    };
    let lack = |lack: &Lack| json!({"what": lack.what, "needed": lack.needed, "had": lack.had, "unit": lack.unit});
    let next = next(&weighed.levels, told);
    json!({
        "score": weighed.score,
        "levels": {"notice": weighed.levels.notice, "alert": weighed.levels.alert, "act": weighed.levels.act},
        "lowered": weighed.lowered,
        "terms": weighed.weights.iter().map(weight).collect::<Vec<_>>(),
        "lacks": weighed.lacks.iter().map(lack).collect::<Vec<_>>(),
        "next": next.map(|(level, needed)| json!({
            "level": level.as_str(), "needed": needed, "missing": ((needed - weighed.score) * 1e3).round() / 1e3,
        })),
    })
}

fn finding_json(finding: &Finding, inner: Option<&Weighed>) -> Value {
    json!({
        "rule": finding.rule.as_str(), "level": finding.level.as_str(), "n": finding.n, "at": finding.at.nanos(),
        "pair": finding.symbol.as_ref().map(ToString::to_string), "score": finding.score, "orders": finding.orders,
        "terms": finding.terms.iter().map(term_json).collect::<Vec<_>>(),
        "weighed": inner.map(|weighed| weighed_json(weighed, Some(finding.level))),
    })
}

fn incident_json(explained: &Explained) -> Value {
    let incident = &explained.incident;
    let findings = explained.findings.iter().map(|(finding, inner)| finding_json(finding, inner.as_ref()));
    json!({
        "incident": incident.id.as_str(), "account": incident.account.to_string(), "level": incident.level.as_str(),
        "opened": incident.opened.nanos(), "findings": findings.collect::<Vec<_>>(),
    })
}

fn order_json(account: &AccountId, rule: RuleName, verdict: &Verdict) -> Value {
    let Verdict { order, symbol, side, first, n, at, weighed, told } = verdict;
    let level = weighed.finding.as_ref().map(|finding| finding.level);
    json!({
        "order": order, "account": account.to_string(), "pair": symbol.to_string(),
        "side": format!("{side:?}").to_lowercase(), "first": first.nanos(), "rule": rule.as_str(), "n": n,
        "at": at.nanos(), "level": level.map(Level::as_str), "weighed": weighed_json(weighed, level),
        "told": told.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
    })
}
