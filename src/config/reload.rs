//! Rules that change while the daemon runs: read whole or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::section::Scope;
use super::{Config, document};
use crate::domain::AccountId;
use crate::engine::rules::key_policy::Policy;
use crate::pipeline;

/// The rules as they are in force, and the files they came from.
#[derive(Debug)]
pub struct RuleBook {
    file: PathBuf,
    read: Stamps,
    /// Seen changed at the last look; taken when they stay so, because an editor may still be writing.
    settling: Option<Stamps>,
    described: Described,
    /// What is known of the accounts: their tags, and what their owners expect of their keys.
    accounts: Accounts,
}

type Accounts = (crate::engine::fleet::Tags, Vec<(AccountId, Policy)>);

/// What came of a look.
#[derive(Debug)]
pub enum NewRules {
    /// Nothing changed.
    None,
    /// These are in force from now on; what changed, a line each.
    Taken(Box<pipeline::Settings>, Vec<String>),
    /// They have mistakes, a line each, and the former stay in force.
    Refused(Vec<String>),
}

/// Each file with when it was written and how long it is.
type Stamps = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;
/// Each rule by its name, as it is set.
type Described = BTreeMap<String, String>;

impl RuleBook {
    /// Begins with the rules that are in force.
    pub fn new(file: &Path, settings: &pipeline::Settings) -> Self {
        let (read, described) = (stamps(file), describe(settings));
        RuleBook { file: file.to_owned(), read, settling: None, described, accounts: accounts(settings) }
    }

    /// Looks whether the files changed; `at_once` reads them even where they seem not to have.
    pub fn look(&mut self, at_once: bool) -> NewRules {
        let now = stamps(&self.file);
        if !at_once {
            if now == self.read {
                self.settling = None;
                return NewRules::None;
            }
            if self.settling.as_ref() != Some(&now) {
                self.settling = Some(now);
                return NewRules::None;
            }
        }
        self.settling = None;
        self.read = now;
        let mut settings = match Config::pipeline_only(&self.file) {
            Ok(settings) => settings,
            Err(problems) => return NewRules::Refused(problems.to_string().lines().map(str::to_owned).collect()),
        };
        // Rules alone know nothing of the accounts' folder. Where the rest has mistakes, the accounts stay as they were.
        let whole = document::read(&self.file)
            .and_then(|text| super::read(&self.file, &text, Scope::Run, super::credentials()));
        if let Ok(config) = whole {
            self.accounts = accounts(&config.pipeline);
        }
        (settings.engine.tags, settings.engine.key_policy.expected) = self.accounts.clone();
        let described = describe(&settings);
        let news = changes(&self.described, &described);
        if news.is_empty() {
            return NewRules::None;
        }
        self.described = described;
        NewRules::Taken(Box::new(settings), news)
    }
}

fn accounts(settings: &pipeline::Settings) -> Accounts {
    (settings.engine.tags.clone(), settings.engine.key_policy.expected.clone())
}

fn stamps(file: &Path) -> Stamps {
    let mut files = vec![file.to_owned()];
    files.extend(rule_files(file));
    let stamp = |path: &Path| {
        let about = std::fs::metadata(path).ok();
        (about.as_ref().and_then(|about| about.modified().ok()), about.map_or(0, |about| about.len()))
    };
    files.into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}

/// Returns the rule files that a configuration names, as far as it can be read.
pub fn rule_files(file: &Path) -> Vec<PathBuf> {
    rules_folder(file).map(|folder| super::rule_file::files(&folder).unwrap_or_default()).unwrap_or_default()
}

/// Returns the folder of rule files that a configuration names, as far as it can be read.
pub fn rules_folder(file: &Path) -> Option<PathBuf> {
    let table = document::read(file).ok().and_then(|text| text.parse::<toml::Table>().ok());
    let folder = table.as_ref().and_then(|table| table.get("rules")?.get("dir")?.as_str());
    folder.map(|folder| file.parent().map_or_else(PathBuf::new, Path::to_owned).join(folder))
}

fn describe(settings: &pipeline::Settings) -> Described {
    let mut described = Described::new();
    let engine = serde_json::to_value(&settings.engine).unwrap_or_default();
    for (name, value) in engine.as_object().into_iter().flatten().filter(|(name, _)| *name != "user") {
        described.insert(name.clone(), value.to_string());
    }
    for rule in &settings.engine.user.rules {
        described.insert(rule.name.to_string(), serde_json::to_string(rule).unwrap_or_default());
    }
    let mut alert = settings.alert.clone();
    for one in std::mem::take(&mut alert.exceptions) {
        described.insert(format!("exception {}", one.name), serde_json::to_string(&one).unwrap_or_default());
    }
    described.insert("incident".to_owned(), serde_json::to_string(&alert).unwrap_or_default());
    described
}

fn changes(before: &Described, now: &Described) -> Vec<String> {
    let mut news = Vec::new();
    let titled = |name: &str| if name.starts_with("exception ") { name.to_owned() } else { format!("rule {name}") };
    for name in before.keys().filter(|name| !now.contains_key(*name)) {
        news.push(format!("{} is gone", titled(name)));
    }
    for (name, set) in now {
        match before.get(name) {
            None => news.push(format!("{} is new", titled(name))),
            Some(was) if was != set => news.push(format!("{name} changed")),
            Some(_) => {}
        }
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "[[rule]]\nname = \"large\"\nwhen = \"order.dollars > 5000\"\n";

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        std::fs::write(folder.path().join("fillguard.toml"), "[rules]\ndir = \"rules\"\n").unwrap();
        std::fs::write(folder.path().join("rules/own.toml"), RULE).unwrap();
        folder
    }

    #[test]
    fn changed_rules_are_taken_when_they_are_whole_and_a_mistake_leaves_the_former_in_force() {
        let folder = folder();
        let file = folder.path().join("fillguard.toml");
        let mut book = RuleBook::new(&file, &Config::pipeline_only(&file).unwrap());
        assert!(matches!(book.look(false), NewRules::None) && matches!(book.look(true), NewRules::None));
        let own = folder.path().join("rules/own.toml");
        std::fs::write(&own, RULE.replace("5000", "70000")).unwrap();
        assert!(matches!(book.look(false), NewRules::None), "somebody may still be writing");
        let NewRules::Taken(settings, news) = book.look(false) else { panic!("not taken") };
        assert_eq!(news, ["large changed"]);
        assert_eq!(settings.engine.user.rules[0].when.text(), "order.dollars > 70000");
        std::fs::write(&own, RULE.replace("dollars", "dolars")).unwrap();
        std::fs::write(&file, "[rules]\ndir = \"rules\"\n[rules.pump_buy]\nalert = 7\n").unwrap();
        let NewRules::Refused(why) = book.look(true) else { panic!("a mistake is taken") };
        assert!(why[0].contains("did you mean order.dollars?"), "{why:?}");
        std::fs::remove_file(&own).unwrap();
        let NewRules::Taken(_, news) = book.look(true) else { panic!("not taken") };
        assert_eq!(news, ["rule large is gone", "pump_buy changed"], "what the refused look saw is still news");
    }
}
