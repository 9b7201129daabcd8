//! Rules that change while the daemon runs: read whole or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::document;
use super::section::Scope;
use crate::pipeline;

/// Looks after which a configuration that was refused is read again though it looks the same: what was wrong may be
/// another file, such as a secret that could not be read for a moment.
const TRY_AGAIN: u32 = 12;

/// The rules as they are in force, and the files they came from.
#[derive(Debug)]
pub struct RuleBook {
    file: PathBuf,
    read: Stamps,
    /// Seen changed at the last look; taken when they stay so, because an editor may still be writing.
    settling: Option<Stamps>,
    /// Looks since it was refused; absent where it was taken.
    refused: Option<u32>,
    described: Described,
}

/// What came of a look.
#[derive(Debug)]
pub enum NewRules {
    /// Nothing changed.
    None,
    /// These are in force from now on; what changed, a line each.
    Taken(Box<pipeline::Settings>, Vec<String>),
    /// The configuration, or a file that it names, has mistakes, a line each, and the former rules stay in force.
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
        RuleBook { file: file.to_owned(), read, settling: None, refused: None, described }
    }

    /// Looks whether the files changed; `at_once` reads them even where they seem not to have. Rules are taken from a
    /// configuration that the daemon would start with, and from no other: what is left of a file that was emptied or
    /// cut off would switch off all that it no longer says.
    pub fn look(&mut self, at_once: bool) -> NewRules {
        let now = stamps(&self.file);
        if !self.is_due(&now) && !at_once {
            return NewRules::None;
        }
        self.settling = None;
        self.read = now;
        let whole = document::read(&self.file)
            .and_then(|text| super::read(&self.file, &text, Scope::Run, super::credentials()));
        let settings = match whole {
            Ok(config) => config.pipeline,
            Err(problems) => {
                self.refused = Some(0);
                return NewRules::Refused(problems.to_string().lines().map(str::to_owned).collect());
            }
        };
        self.refused = None;
        let described = describe(&settings);
        let news = changes(&self.described, &described);
        if news.is_empty() {
            return NewRules::None;
        }
        self.described = described;
        NewRules::Taken(Box::new(settings), news)
    }

    /// Says whether the files changed and have come to rest, or were refused a while ago.
    fn is_due(&mut self, now: &Stamps) -> bool {
        if *now == self.read {
            self.settling = None;
            let looks = self.refused.as_mut().map(|looks| {
                *looks += 1;
                *looks
            });
            return looks.is_some_and(|looks| looks >= TRY_AGAIN);
        }
        let settled = self.settling.as_ref() == Some(now);
        self.settling = Some(now.clone());
        settled
    }
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
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Config;

    const RULE: &str = "[[rule]]\nname = \"large\"\nwhen = \"order.dollars > 5000\"\n";

    const CONFIG: &str = "[[account]]\nexchange = \"binance\"\nname = \"alice\"\nkey_file = \"alice.key\"\n\
        secret_file = \"alice.secret\"\n[notify.console]\nenabled = true\n[rules]\ndir = \"rules\"\n";

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        std::fs::write(folder.path().join("fillguard.toml"), CONFIG).unwrap();
        std::fs::write(folder.path().join("rules/own.toml"), RULE).unwrap();
        for name in ["alice.key", "alice.secret"] {
            std::fs::write(folder.path().join(name), "0123456789abcdef").unwrap();
            others(folder.path(), name, false);
        }
        folder
    }

    /// Lets others read a secret, which is then refused, or does not.
    fn others(folder: &Path, name: &str, may: bool) {
        let mode = if may { 0o644 } else { 0o600 };
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn changed_rules_are_taken_when_they_are_whole_and_a_mistake_leaves_the_former_in_force() {
        let folder = folder();
        let file = folder.path().join("fillguard.toml");
        let mut book = RuleBook::new(&file, &Config::load(&file).unwrap().pipeline);
        assert!(matches!(book.look(false), NewRules::None) && matches!(book.look(true), NewRules::None));
        let own = folder.path().join("rules/own.toml");
        std::fs::write(&own, RULE.replace("5000", "70000")).unwrap();
        assert!(matches!(book.look(false), NewRules::None), "somebody may still be writing");
        let NewRules::Taken(settings, news) = book.look(false) else { panic!("not taken") };
        assert_eq!(news, ["large changed"]);
        assert_eq!(settings.engine.user.rules[0].when.text(), "order.dollars > 70000");
        std::fs::write(&own, RULE.replace("dollars", "dolars")).unwrap();
        std::fs::write(&file, format!("{CONFIG}[rules.pump_buy]\nalert = 7\n")).unwrap();
        let NewRules::Refused(why) = book.look(true) else { panic!("a mistake is taken") };
        assert!(why[0].contains("did you mean order.dollars?"), "{why:?}");
        std::fs::remove_file(&own).unwrap();
        let NewRules::Taken(_, news) = book.look(true) else { panic!("not taken") };
        assert_eq!(news, ["rule large is gone", "pump_buy changed"], "what the refused look saw is still news");
    }

    #[test]
    fn a_configuration_that_the_daemon_would_not_start_with_changes_no_rule() {
        let folder = folder();
        let file = folder.path().join("fillguard.toml");
        let mut book = RuleBook::new(&file, &Config::load(&file).unwrap().pipeline);
        for text in ["", "[state]\n[rules.pump_buy]\nenabled = false\n", &CONFIG.replace("alice.key", "gone.key")] {
            std::fs::write(&file, text).unwrap();
            assert!(matches!(book.look(false), NewRules::None), "somebody may still be writing");
            assert!(matches!(book.look(false), NewRules::Refused(_)), "taken without SIGHUP: {text}");
            assert!(matches!(book.look(false), NewRules::None), "told once");
            assert!(matches!(book.look(true), NewRules::Refused(_)), "taken at SIGHUP: {text}");
        }
        std::fs::write(&file, CONFIG).unwrap();
        assert!(matches!(book.look(true), NewRules::None), "nothing had changed");
    }

    #[test]
    fn changed_rules_wait_for_a_secret_that_cannot_be_read_just_now() {
        let folder = folder();
        let file = folder.path().join("fillguard.toml");
        let mut book = RuleBook::new(&file, &Config::load(&file).unwrap().pipeline);
        others(folder.path(), "alice.secret", true);
        std::fs::write(&file, format!("{CONFIG}[rules.pump_buy]\nalert = 7\n")).unwrap();
        let NewRules::Refused(why) = book.look(true) else { panic!("taken") };
        assert!(why.len() == 1 && why[0].contains("can be read by others"), "{why:?}");
        others(folder.path(), "alice.secret", false);
        let taken = (0..TRY_AGAIN).find_map(|_| match book.look(false) {
            NewRules::Taken(_, news) => Some(news),
            NewRules::None | NewRules::Refused(_) => None,
        });
        assert_eq!(taken, Some(vec!["pump_buy changed".to_owned()]));
    }
}
