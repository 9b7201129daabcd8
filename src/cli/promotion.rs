//! `fillguard stage promote --auto`: staged rules that proved themselves become live, and back if they do not keep to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::stage::{ONE_ALARM, is_noted, restage};
use super::{FINE, FOUND};
use crate::config::{Config, rule_files, rules_folder, write_time};
use crate::domain::{EffectKind, Level, Span, Timestamp};
use crate::engine::STAGED;
use crate::live::inbox::{self, Order};
use crate::pipeline::Settings;
use crate::replay::{Told, replay};
use crate::runtime::clock;
use crate::trial;

/// Stands behind the stage of a rule that nobody promoted by hand, so that it may be taken back without asking.
const NOTE: &str = " # promoted by fillguard";

/// Accounts that are named when a rule is taken back.
const TOLD_ACCOUNTS: usize = 16;

/// What rules of the user's own said, or would have, in the newest part of a recording.
struct Heard {
    /// Alarms by rule; what a rule says of one account within half an hour is one.
    alarms: BTreeMap<String, u64>,
    /// The same by rule and account.
    whose: BTreeMap<(String, String), u64>,
    /// Account-months of that part.
    months: f64,
    /// How long the whole recording is.
    span: Span,
}

/// Promotes and takes back; returns the exit code.
pub(super) fn run(config: &Path, journal: &[PathBuf], out: &mut dyn Write) -> anyhow::Result<u8> {
    let read = Config::check(config).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    if !read.promotion.on {
        writeln!(out, "rules.promote is false: nothing is promoted without a person")?;
        return Ok(FINE);
    }
    let (after, settings) = (read.promotion.after, &read.pipeline);
    let own: BTreeSet<&str> = settings.engine.user.rules.iter().map(|rule| rule.name.as_str()).collect();
    if own.is_empty() {
        writeln!(out, "there is no rule of your own")?;
        return Ok(FINE);
    }
    let journal = if journal.is_empty() { std::slice::from_ref(&read.journal.dir) } else { journal };
    let files = super::verify::files(journal).map_err(|why| anyhow::anyhow!("fillguard: {why}"))?;
    let heard = listen(&files, settings, after.into())?;
    let texts: Vec<String> = rule_files(config).iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let mut taken_back = false;
    for rule in &settings.engine.user.rules {
        let name = rule.name.as_str();
        let alarms = heard.alarms.get(name).copied().unwrap_or(0);
        let rate = if heard.months > 0.0 { alarms as f64 / heard.months } else { 0.0 };
        let noise = format!("{alarms} alarms, {rate:.3} an account-month, budget {}", rule.budget);
        if !rule.staged {
            if rate > rule.budget && texts.iter().any(|text| is_noted(text, name, NOTE)) {
                writeln!(out, "{name}: {noise}: taken back")?;
                restage(config, name, false, "", out)?;
                tell(&read, name, ("live", "staged"), &noise, &heard);
                taken_back = true;
            }
            continue;
        }
        if heard.span < after.into() {
            let days = heard.span.secs_f64() / 86_400.0;
            writeln!(out, "{name}: stays staged; the journal holds {days:.1} days, wanted are {}", write_time(after))?;
        } else if rate > rule.budget {
            writeln!(out, "{name}: stays staged; {noise}")?;
        } else if let Err(why) = proof(config, settings, name) {
            writeln!(out, "{name}: stays staged; {why}")?;
        } else {
            writeln!(out, "{name}: {noise}, and its tests see it speak")?;
            restage(config, name, true, NOTE, out)?;
            tell(&read, name, ("staged", "live"), &noise, &heard);
        }
    }
    Ok(if taken_back { FOUND } else { FINE })
}

/// Has the daemon write it down, and tell people where the rule was taken back. The change itself stands in the file: that it
/// could not be told is no reason to go back on it.
fn tell(config: &Config, rule: &str, (was, stage): (&str, &str), why: &str, heard: &Heard) {
    // Where no daemon ever ran there is nobody to tell.
    if !config.state_dir.is_dir() {
        return;
    }
    let mut accounts: Vec<(String, u64)> = heard
        .whose
        .iter()
        .filter(|((by, _), _)| by == rule)
        .map(|((_, account), alarms)| (account.clone(), *alarms))
        .collect();
    accounts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    accounts.truncate(TOLD_ACCOUNTS);
    let order = Order::Stage {
        rule: rule.to_owned(),
        was: was.to_owned(),
        stage: stage.to_owned(),
        why: why.to_owned(),
        accounts,
        at: clock::now().nanos(),
    };
    let folder = config.inbox();
    if let Err(error) = inbox::put(&folder, &order) {
        let folder = folder.display();
        let _ = writeln!(std::io::stderr(), "fillguard: nobody is told of it: {folder} cannot be written to: {error}");
    }
}

fn listen(files: &[PathBuf], settings: &Settings, after: Span) -> anyhow::Result<Heard> {
    let mut said: Vec<(Timestamp, String, String)> = Vec::new();
    let mut last: BTreeMap<(String, String), Timestamp> = BTreeMap::new();
    let mut end = Timestamp::EPOCH;
    let summary = replay(files, settings, |told| {
        let Told::Effect(effect) = told else { return };
        end = end.max(effect.at);
        let EffectKind::Incident { finding: Some(finding), .. } = &effect.kind else { return };
        let held_back = finding.terms.iter().any(|term| term.name == STAGED);
        if finding.level < Level::Alert && !held_back {
            return;
        }
        let key = (finding.rule_name().to_owned(), finding.account.to_string());
        let before = last.insert(key.clone(), finding.at);
        if before.is_none_or(|before| finding.at.since(before) > ONE_ALARM) {
            said.push((finding.at, key.0, key.1));
        }
    })
    .map_err(|error| anyhow::anyhow!("fillguard: {error}"))?;
    let mut alarms: BTreeMap<String, u64> = BTreeMap::new();
    // Where nothing was said for long, the end of what was said lies before the recording's: more alarms count, not fewer.
    let mut whose: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (_, rule, account) in said.into_iter().filter(|(at, ..)| *at >= end - after) {
        *alarms.entry(rule.clone()).or_default() += 1;
        *whose.entry((rule, account)).or_default() += 1;
    }
    let seconds = summary.seconds.min(after.secs_f64());
    let months = summary.accounts as f64 * seconds / (30.0 * 86_400.0);
    Ok(Heard { alarms, whose, months, span: Span::from_secs(summary.seconds as i64) })
}

/// Runs the tests that stand in the rules' folder with the staged rules as if they were live. All must pass, and one must see it
/// speak.
fn proof(config: &Path, settings: &Settings, rule: &str) -> Result<(), String> {
    let mut settings = settings.clone();
    // Tests say what is told of live rules; another one that is still staged would fail its own.
    settings.engine.user.rules.iter_mut().for_each(|own| own.staged = false);
    let folder = rules_folder(config).ok_or("it stands in no folder of rules")?;
    let mut speaks = false;
    for file in super::test::files(&[folder]).map_err(|why| format!("no test proves that it still speaks: {why}"))? {
        let outcomes = trial::load(&file).and_then(|tests| trial::run(&file, &tests, &settings));
        for outcome in outcomes.map_err(|why| why.to_string())? {
            if let Some(failure) = outcome.failures.first() {
                return Err(format!("test {:?} fails with it: {failure}", outcome.name));
            }
            speaks |= outcome.hits.contains(rule);
        }
    }
    if speaks { Ok(()) } else { Err("no test sees it speak ([[test.expect]] with its name)".to_owned()) }
}
