//! Shipped rules changed for a trial: which keys they have, and settings as a rule file of some text would make them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::exception::Exceptions;
use super::problem::Problems;
use super::section::{Gather, Scope, Section};
use super::{document, reload, rule_file, rules};
use crate::domain::RuleName;
use crate::pipeline;

/// A key of a shipped rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleKey {
    /// The rule.
    pub rule: RuleName,
    /// The key, as a rule file writes it.
    pub key: String,
    /// What it is set to, as a rule file writes it: `6.0`, `"20 %"`, `"60 USD"`.
    pub value: String,
}

/// Lists the keys of the shipped rules with what they are set to.
pub fn rule_keys(settings: &pipeline::Settings) -> Vec<RuleKey> {
    let mut keys = Vec::new();
    for rule in RuleName::ALL.iter().copied().filter(|rule| *rule != RuleName::User) {
        let document = document::parse("");
        let gather = Gather::new(document.lines, PathBuf::new(), Scope::Middle, None, Vec::new()).listening();
        rules::shipped(&mut settings.engine.clone(), rule, &mut Section::root(&gather, document.root.get_ref()));
        let asked = gather.heard().into_iter();
        keys.extend(asked.filter_map(|asked| Some(RuleKey { rule, key: asked.path, value: asked.default? })));
    }
    keys
}

/// Changes settings as a rule file of this text would; `name` stands for the file in what is told of mistakes.
pub fn with_rules(settings: &pipeline::Settings, name: &str, text: &str) -> Result<pipeline::Settings, Problems> {
    let mut changed = settings.clone();
    // A trial is of rules; exceptions stay as they are.
    let (mut known, mut exceptions) = (BTreeMap::new(), Exceptions::new(Vec::new()));
    let _warnings =
        rule_file::read_text(Path::new(name), text, Scope::Middle, &mut changed.engine, &mut known, &mut exceptions)?;
    changed.engine.user.rules.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(changed)
}

/// Returns which shipped rules are extended by the rule files of a configuration, and by which file.
pub fn extended(file: &Path) -> BTreeMap<String, PathBuf> {
    let mut extended = BTreeMap::new();
    for path in reload::rule_files(file) {
        let table = document::read(&path).ok().and_then(|text| text.parse::<toml::Table>().ok());
        let rules = table.as_ref().and_then(|table| table.get("rule")?.as_array());
        for name in rules.into_iter().flatten().filter_map(|rule| rule.get("extends")?.as_str()) {
            extended.insert(name.to_owned(), path.clone());
        }
    }
    extended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_as_they_are_set_and_a_trial_changes_what_it_names_alone() {
        let usual = pipeline::Settings::default();
        let find = |settings: &pipeline::Settings, rule: RuleName, key: &str| {
            rule_keys(settings).into_iter().find(|k| k.rule == rule && k.key == key).map(|k| k.value)
        };
        assert_eq!(find(&usual, RuleName::PumpBuy, "alert").as_deref(), Some("6.0"));
        assert_eq!(find(&usual, RuleName::PlantedAsk, "far").as_deref(), Some("\"20 %\""));
        assert_eq!(find(&usual, RuleName::SlowBuying, "least").as_deref(), Some("\"600 USD\""));
        let text = "[[rule]]\nextends = \"planted_ask\"\nfar = \"35 %\"\n";
        let tried = with_rules(&usual, "trial", text).unwrap();
        assert_eq!(find(&tried, RuleName::PlantedAsk, "far").as_deref(), Some("\"35 %\""));
        assert_eq!(tried.engine.planted_ask.levels, usual.engine.planted_ask.levels);
        let wrong =
            with_rules(&usual, "trial", "[[rule]]\nextends = \"planted_ask\"\nfar = \"900000 %\"\n").unwrap_err();
        assert!(wrong.to_string().contains("out of bounds"), "{wrong}");
    }

    #[test]
    fn a_trial_of_one_key_leaves_lists_of_the_same_rule_as_they_were() {
        let mut usual = pipeline::Settings::default();
        usual.engine.co_trading.copying = vec!["desk".into()];
        let tried = with_rules(&usual, "trial", "[[rule]]\nextends = \"co_trading\"\nalert = 19.0\n").unwrap();
        assert_eq!(tried.engine.co_trading.copying, usual.engine.co_trading.copying);
    }
}
