//! `fillguard stage`: how rules that are only tried out did, and their promotion.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use super::{ConfigFile, FINE, FOUND, MISUSE};
use crate::config::{Config, rule_files};
use crate::domain::{EffectKind, Span, Timestamp};
use crate::engine::STAGED;
use crate::pipeline::Settings;
use crate::replay::{Told, replay};
use crate::store::{Restaged, Store};

/// Show how staged rules did on recordings, and change a rule's stage
///
/// A rule with stage = "staged" writes to the history and calls nobody. `status` judges recordings (or the journal) and
/// counts what it would have said, against its budget; `promote` and `demote` change the stage in the rule's file.
///
/// Exit code: 0 fine, 1 a staged rule is over its budget or one was taken back, 2 a file or the configuration cannot be used.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub what: What,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Count what staged rules would have said
    Status {
        /// Recordings in order, or a journal's directory
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// draft to staged, staged to live
    Promote {
        /// The rule
        #[arg(required_unless_present = "auto")]
        rule: Option<String>,
        /// Every staged rule of your own that kept to its budget for rules.promote_after and whose tests see it speak; takes
        /// back those it promoted before that no longer keep to it. Does nothing unless rules.promote is true
        #[arg(long, conflicts_with = "rule")]
        auto: bool,
        /// With --auto: recordings in order, or a journal's directory, in the place of the configured journal
        #[arg(long, value_name = "FILE", requires = "auto")]
        journal: Vec<PathBuf>,
    },
    /// List what `promote --auto` changed, when and why
    Log,
    /// live to staged, staged to draft
    Demote {
        /// The rule
        rule: String,
    },
}

/// What a rule says of one account within this time is one alarm.
pub(super) const ONE_ALARM: Span = Span::from_secs(1_800);

/// Does it.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let done = match &args.what {
        What::Status { files } => status(&args.config.path, files, out),
        What::Promote { rule: Some(rule), .. } => restage(&args.config.path, rule, true, "", out).map(|()| FINE),
        What::Promote { journal, .. } => super::promotion::run(&args.config.path, journal, out),
        What::Log => log(&args.config.path, out),
        What::Demote { rule } => restage(&args.config.path, rule, false, "", out).map(|()| FINE),
    };
    match done {
        Ok(code) => Ok(code),
        Err(why) => {
            writeln!(std::io::stderr(), "{why:#}").context("standard error is gone")?;
            Ok(MISUSE)
        }
    }
}

pub(super) fn settings(config: &Path) -> anyhow::Result<Settings> {
    Config::pipeline_only(config).map_err(|problems| anyhow::anyhow!("{problems}"))
}

fn status(config: &Path, files: &[PathBuf], out: &mut dyn Write) -> anyhow::Result<u8> {
    let settings = settings(config)?;
    let mut staged: BTreeMap<String, f64> =
        settings.engine.staged.iter().map(|(rule, budget)| (rule.as_str().to_owned(), *budget)).collect();
    let own = settings.engine.user.rules.iter().filter(|rule| rule.staged);
    staged.extend(own.map(|rule| (rule.name.to_string(), rule.budget)));
    if staged.is_empty() {
        writeln!(out, "no rule is staged; write stage = \"staged\" into its file")?;
        return Ok(FINE);
    }
    let files = super::verify::files(files).map_err(|why| anyhow::anyhow!("fillguard: {why}"))?;
    let mut last: BTreeMap<(String, String), Timestamp> = BTreeMap::new();
    let mut alarms: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    let mut accounts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let summary = replay(&files, &settings, |told| {
        let Told::Effect(effect) = told else { return };
        let EffectKind::Incident { finding: Some(finding), .. } = &effect.kind else { return };
        let Some(held) = finding.terms.iter().find(|term| term.name == STAGED) else { return };
        let (rule, account) = (finding.rule_name().to_owned(), finding.account.to_string());
        let before = last.insert((rule.clone(), account.clone()), finding.at);
        if before.is_none_or(|before| finding.at.since(before) > ONE_ALARM) {
            alarms.entry(rule.clone()).or_default()[usize::from(held.value > 2.0)] += 1;
        }
        accounts.entry(rule).or_default().insert(account);
    })
    .map_err(|error| anyhow::anyhow!("fillguard: {error}"))?;
    let months = summary.accounts as f64 * summary.seconds / (30.0 * 86_400.0);
    writeln!(out, "{:.2} account-months of {} accounts", months, summary.accounts)?;
    let mut over = false;
    for (rule, budget) in staged {
        let [alerts, acts] = alarms.get(&rule).copied().unwrap_or_default();
        let rate = if months > 0.0 { (alerts + acts) as f64 / months } else { 0.0 };
        let within = if rate <= budget { "within" } else { "OVER" };
        over |= rate > budget;
        let hit = accounts.get(&rule).map_or(0, BTreeSet::len);
        writeln!(
            out,
            "{rule}: {alerts} alerts and {acts} acts held back, of {hit} accounts: {rate:.3} an account-month, {within} its \
             budget of {budget}"
        )?;
    }
    Ok(if over { FOUND } else { FINE })
}

fn log(config: &Path, out: &mut dyn Write) -> anyhow::Result<u8> {
    let config = Config::check(config).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let stages = match Store::read(&config.store_file()) {
        Ok(store) => store.stages().context("fillguard: the database cannot be read")?,
        // No daemon ran yet.
        Err(crate::store::Error::Absent { .. }) => Vec::new(),
        Err(error) => anyhow::bail!("fillguard: {error}"),
    };
    for Restaged { rule, was, stage, why, at } in &stages {
        writeln!(out, "{at}  {rule}: {was} to {stage}; {why}")?;
    }
    if stages.is_empty() {
        writeln!(out, "no rule was given another stage without a person")?;
    }
    Ok(FINE)
}

/// Changes one word of the rule's file, and takes it back where the file is not fine after that.
pub(super) fn restage(config: &Path, rule: &str, up: bool, note: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    settings(config)?;
    for file in rule_files(config) {
        let text = std::fs::read_to_string(&file).with_context(|| format!("fillguard: {}", file.display()))?;
        let Some((changed, from, to)) = restaged(&text, rule, up, note) else { continue };
        if from == to {
            anyhow::bail!(
                "fillguard: rule {rule} is {from} already; there is nothing {} it",
                if up { "above" } else { "below" }
            );
        }
        replace(&file, &changed)?;
        if let Err(problem) = settings(config) {
            replace(&file, &text)?;
            return Err(problem);
        }
        writeln!(
            out,
            "{}: rule {rule} was {from} and is {to}; a running daemon takes it over by itself",
            file.display()
        )?;
        return Ok(());
    }
    anyhow::bail!("fillguard: no rule file has a [[rule]] with name or extends = {rule:?}")
}

/// Writes a file anew beside the old one and puts it in its place.
pub(super) fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let beside = file.with_extension("toml.new");
    let put = || -> std::io::Result<()> {
        std::fs::write(&beside, text)?;
        std::fs::set_permissions(&beside, std::fs::metadata(file)?.permissions())?;
        std::fs::rename(&beside, file)
    };
    put().with_context(|| format!("fillguard: {} cannot be written", file.display()))
}

/// Returns the value of a key on a line of its own.
fn value(line: &str, key: &str) -> Option<String> {
    let rest = line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?.trim();
    rest.split(['"', '\'']).nth(1).map(str::to_owned)
}

/// Returns the lines of a rule's table.
fn table_of(lines: &[&str], rule: &str) -> Option<(usize, usize)> {
    let is_head = |line: &str| line.trim_start().starts_with("[[");
    let heads: Vec<usize> = (0..lines.len()).filter(|place| is_head(lines[*place])).collect();
    heads.iter().enumerate().find_map(|(place, head)| {
        let end = heads.get(place + 1).copied().unwrap_or(lines.len());
        let named = |line: &str| ["name", "extends"].iter().any(|key| value(line, key).as_deref() == Some(rule));
        let is_rule = lines[*head].trim().starts_with("[[rule]]");
        (is_rule && lines[*head..end].iter().any(|line| named(line))).then_some((*head, end))
    })
}

/// Says whether the stage of a rule stands in a file with this note behind it.
pub(super) fn is_noted(text: &str, rule: &str, note: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    let table = table_of(&lines, rule).unwrap_or_default();
    lines[table.0..table.1].iter().any(|line| value(line, "stage").is_some() && line.ends_with(note))
}

/// Returns the text with the rule's next stage, the stage it had and the one it has.
fn restaged(text: &str, rule: &str, up: bool, note: &str) -> Option<(String, &'static str, &'static str)> {
    const STAGES: [&str; 3] = ["draft", "staged", "live"];
    let lines: Vec<&str> = text.lines().collect();
    let block = table_of(&lines, rule)?;
    let at = (block.0..block.1).find(|place| value(lines[*place], "stage").is_some());
    let now = at.and_then(|place| value(lines[place], "stage")).unwrap_or_else(|| "live".to_owned());
    let now = STAGES.iter().position(|stage| *stage == now)?;
    let next = if up { (now + 1).min(2) } else { now.saturating_sub(1) };
    let line = format!("stage = \"{}\"{note}", STAGES[next]);
    let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    match at {
        Some(place) => changed[place] = line,
        None => changed.insert(block.0 + 1, line),
    }
    Some((changed.join("\n") + "\n", STAGES[now], STAGES[next]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stage_of_the_named_rule_changes() {
        let text = "# mine\n[[rule]]\nname = \"a\"\nwhen = \"true\"\n\n[[rule]]\nextends = \"pump_buy\"\nstage = \"staged\" # new\n";
        let (changed, from, to) = restaged(text, "pump_buy", true, "").unwrap();
        assert_eq!((from, to), ("staged", "live"));
        assert_eq!(changed, text.replace("stage = \"staged\" # new", "stage = \"live\""));
        let (changed, from, to) = restaged(text, "a", false, "").unwrap();
        assert_eq!((from, to), ("live", "staged"));
        assert_eq!(changed, text.replace("[[rule]]\nname", "[[rule]]\nstage = \"staged\"\nname"));
        assert_eq!(restaged(text, "a", true, "").map(|(_, from, to)| (from, to)), Some(("live", "live")));
        assert!(restaged(text, "b", true, "").is_none());
    }
}
