//! `fillguard except`: what somebody answers for, in files.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use super::author::{author, one_line};
use super::stage::{replace, settings};
use super::{ConfigFile, FINE, FOUND, Format, MISUSE};
use crate::alert::Exception;
use crate::config::{Config, read_end, read_time, rule_files, rules_folder};
use crate::domain::{AccountId, Excuse, Hidden, Timestamp};
use crate::notify::wording::one_line as shown;
use crate::runtime::clock;
use crate::store::Store;

/// List, add and remove exceptions: findings that somebody answers for
///
/// An exception hides what named rules find about an account (or about one pair of it, or one address) from people. What
/// it hides is written to the history with its name, and counted. A finding of level act is never hidden. It has an owner,
/// a reason and an end at most a year ahead; it stands in a file of the rules' folder, or else in the configuration, and a
/// running daemon takes it over by itself.
///
/// Exit code: 0 done, for `list` 1 when one is over and still in a file, 2 misuse or broken configuration.
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
    /// List them, with what each hid so far
    List {
        /// For people or for programs
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Add one
    Add(Box<New>),
    /// Remove one from its file
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Clone, Debug, Parser)]
struct New {
    /// Its name: small letters, digits, - and _
    name: String,
    /// The rules it is for
    #[arg(long, value_name = "RULE", required = true, value_delimiter = ',')]
    rule: Vec<String>,
    /// The account it is for, as in binance/alice
    #[arg(long)]
    account: AccountId,
    /// Only this pair, as in APPC-BTC
    #[arg(long)]
    pair: Option<String>,
    /// Only this address or prefix
    #[arg(long)]
    address: Option<String>,
    /// Who answers for it; the user's name by default
    #[arg(long)]
    owner: Option<String>,
    /// Why, in words that somebody else understands in half a year
    #[arg(long)]
    reason: String,
    /// For how long, such as 30d
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until", required_unless_present = "until")]
    time: Option<String>,
    /// Until when: a day such as 2027-01-31, or a time with its zone
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
}

/// The file that `add` writes to in the rules' folder.
const FILE: &str = "exceptions.toml";
/// The longest reason, in characters, as the files take it.
const LONGEST_REASON: usize = 300;

/// Does it; returns the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let done = match &args.what {
        What::List { format } => list(&args.config.path, *format, out),
        What::Add(new) => add(&args.config.path, new, out),
        What::Remove { name } => remove(&args.config.path, name, out),
    };
    match done {
        Ok(code) => Ok(code),
        Err(why) => {
            writeln!(std::io::stderr(), "{why:#}").context("standard error is gone")?;
            Ok(MISUSE)
        }
    }
}

fn list(config: &Path, format: Format, out: &mut dyn Write) -> anyhow::Result<u8> {
    let config = Config::check(config).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let now = clock::now();
    let known = counted(&config)?;
    let exceptions = &config.pipeline.alert.exceptions;
    let over = exceptions.iter().any(|one| one.expires <= now);
    match format {
        Format::Json => {
            let rows: Vec<Value> = exceptions.iter().map(|one| row(one, &known, now)).collect();
            writeln!(out, "{:#}", json!({ "exceptions": rows }))?;
        }
        Format::Text => tell(exceptions, &known, now, out)?,
    }
    Ok(if over { FOUND } else { FINE })
}

/// Returns how much each exception hid, as far as a daemon wrote it down.
pub(super) fn counted(config: &Config) -> anyhow::Result<Vec<Hidden>> {
    match Store::read(&config.store_file()) {
        Ok(store) => Ok(store.hidden(Excuse::Exception)?),
        Err(crate::store::Error::Absent { .. }) => Ok(Vec::new()),
        Err(error) => Err(anyhow::anyhow!("fillguard: {error}")),
    }
}

fn hid(one: &Exception, known: &[Hidden]) -> (u64, Option<Timestamp>) {
    known.iter().find(|hidden| hidden.name == one.name).map_or((0, None), |hidden| (hidden.count, hidden.last))
}

/// Returns an exception for programs.
pub(super) fn row(one: &Exception, known: &[Hidden], now: Timestamp) -> Value {
    let (count, last) = hid(one, known);
    json!({
        "name": one.name, "rules": one.rules, "account": one.account.to_string(),
        "pair": one.symbol.as_ref().map(ToString::to_string), "address": one.address.map(|net| net.to_string()),
        "owner": one.owner, "reason": one.reason, "expires": one.expires.to_string(), "over": one.expires <= now,
        "hid": count, "last": last.map(|last| last.to_string()),
    })
}

/// Lists exceptions for people.
pub(super) fn tell(
    exceptions: &[Exception],
    known: &[Hidden],
    now: Timestamp,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if exceptions.is_empty() {
        return writeln!(out, "no exception");
    }
    for one in exceptions {
        let (count, last) = hid(one, known);
        let last = last.map(|last| format!(", the last {last}")).unwrap_or_default();
        let until = if one.expires <= now { "OVER since" } else { "until" };
        let Exception { name, account, owner, reason, expires, .. } = one;
        writeln!(out, "exception {name}: {} about {account}, {until} {expires}", one.what())?;
        let (owner, reason) = (shown(owner, LONGEST_REASON), shown(reason, LONGEST_REASON));
        writeln!(out, "    {owner}: {reason}; hid {count} findings{last}")?;
    }
    Ok(())
}

fn add(config: &Path, new: &New, out: &mut dyn Write) -> anyhow::Result<u8> {
    settings(config)?;
    let until = match (&new.until, &new.time) {
        (Some(until), _) => read_end(until)
            .with_context(|| "fillguard: --until takes a day such as 2027-01-31, or a time with its zone")?,
        (None, time) => {
            let time =
                time.as_deref().and_then(read_time).context("fillguard: --for takes a time such as 30d or 12h")?;
            clock::now() + time.into()
        }
    };
    anyhow::ensure!(until > clock::now(), "fillguard: {until} is over already");
    let owner = author("--owner", new.owner.as_deref())?;
    let reason = one_line("--reason", &new.reason, LONGEST_REASON)?;
    let rules = match new.rule.as_slice() {
        [one] => format!("rule = {}", quoted(one)),
        many => format!("rules = [{}]", many.iter().map(|rule| quoted(rule)).collect::<Vec<_>>().join(", ")),
    };
    let mut table = format!("[[exception]]\nname = {}\n{rules}\n", quoted(&new.name));
    let mut put = |key: &str, text: &str| table.push_str(&format!("{key} = {}\n", quoted(text)));
    put("account", &new.account.to_string());
    new.pair.iter().for_each(|pair| put("pair", pair));
    new.address.iter().for_each(|address| put("address", address));
    put("owner", &owner);
    put("reason", &reason);
    put("expires", &until.to_string());
    let file = rules_folder(config).map_or_else(|| config.to_owned(), |folder| folder.join(FILE));
    let before = if file.exists() {
        Some(std::fs::read_to_string(&file).with_context(|| format!("fillguard: {} cannot be read", file.display()))?)
    } else {
        None
    };
    let text = match before.as_deref().map(str::trim_end).unwrap_or_default() {
        "" => table,
        old => format!("{old}\n\n{table}"),
    };
    write(&file, before.is_some(), &text)?;
    // The file itself says what is wrong, as it would at the next start; then it is as it was before.
    if let Err(problem) = settings(config) {
        match before {
            Some(before) => replace(&file, &before)?,
            None => std::fs::remove_file(&file).with_context(|| format!("fillguard: {}", file.display()))?,
        }
        return Err(problem.context("not added"));
    }
    writeln!(
        out,
        "{}: exception {} until {until}; a running daemon takes it over by itself",
        file.display(),
        new.name
    )?;
    Ok(FINE)
}

fn remove(config: &Path, name: &str, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut files = rule_files(config);
    files.push(config.to_owned());
    for file in files {
        let text = std::fs::read_to_string(&file).with_context(|| format!("fillguard: {}", file.display()))?;
        let Some(changed) = without(&text, name) else { continue };
        replace(&file, &changed)?;
        if let Err(problem) = settings(config) {
            replace(&file, &text)?;
            return Err(problem.context("not removed"));
        }
        writeln!(out, "{}: exception {name} is gone; a running daemon takes it over by itself", file.display())?;
        return Ok(FINE);
    }
    anyhow::bail!("fillguard: no file has an [[exception]] with name = {name:?}; `fillguard except list` shows them")
}

/// Writes a file, in the place of an old one where there is one.
fn write(file: &Path, is_there: bool, text: &str) -> anyhow::Result<()> {
    if is_there {
        return replace(file, text);
    }
    std::fs::write(file, text).with_context(|| format!("fillguard: {} cannot be written", file.display()))
}

/// Returns a text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Returns the text without the exception of this name; comments in front of the next table stay.
fn without(text: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_head = |line: &str| line.trim_start().starts_with('[');
    let heads: Vec<usize> = (0..lines.len()).filter(|place| is_head(lines[*place])).collect();
    let named = |line: &str| {
        let table = line.parse::<toml::Table>().unwrap_or_default();
        table.get("name").and_then(toml::Value::as_str) == Some(name)
    };
    let (head, mut end) = heads.iter().enumerate().find_map(|(place, head)| {
        let end = heads.get(place + 1).copied().unwrap_or(lines.len());
        let own = lines[*head].split('#').next().unwrap_or_default().trim() == "[[exception]]";
        (own && lines[*head..end].iter().any(|line| named(line))).then_some((*head, end))
    })?;
    while end < lines.len() && end > head && (lines[end - 1].trim().is_empty() || lines[end - 1].starts_with('#')) {
        end -= 1;
    }
    let kept: Vec<&str> = lines[..head].iter().chain(&lines[end..]).copied().collect();
    let kept = kept.join("\n");
    Some(if kept.trim().is_empty() { String::new() } else { kept.trim_end().to_owned() + "\n" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exception_is_taken_out_and_the_rest_stays_as_it_was() {
        let text = "# mine\n[[exception]]\nname = \"a\"\nrule = \"x\"\n\n# the other\n[[exception]] # b\nname = 'b'\n\n[[rule]]\nname = \"a\"\n";
        let gone = without(text, "a").unwrap();
        assert_eq!(gone, "# mine\n\n# the other\n[[exception]] # b\nname = 'b'\n\n[[rule]]\nname = \"a\"\n");
        assert_eq!(without(&gone, "b").unwrap(), "# mine\n\n# the other\n\n[[rule]]\nname = \"a\"\n");
        assert_eq!(without(&gone, "c"), None, "a rule of that name is no exception");
        assert_eq!(without("[[exception]]\nname = \"a\"\n", "a").unwrap(), "");
    }
}
