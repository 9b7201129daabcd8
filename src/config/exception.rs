//! `[[exception]]`: what somebody answers for, in the configuration and in the files of rules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use compact_str::CompactString;
use ipnet::IpNet;
use toml::de::DeValue;

use super::problem::nearest;
use super::section::Section;
use super::values::text;
use crate::alert::Exception;
use crate::domain::{AccountId, RuleName, Span, Symbol, Timestamp};
use crate::runtime::clock;

/// Exceptions that are read; more are a rule that should be changed.
const MOST: usize = 1_000;
const LONGEST_NAME: usize = 60;
const LONGEST_TEXT: usize = 300;
/// An exception that lasts longer is a setting of the rule.
const LONGEST: Span = Span::from_secs(366 * 86_400);

/// The exceptions of all files.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    /// As they were read.
    pub all: Vec<Exception>,
    /// Where each name stands.
    known: BTreeMap<CompactString, PathBuf>,
    /// The rules there are: shipped ones and the user's own.
    pub rules: Vec<String>,
}

impl Exceptions {
    /// Begins with the names of the user's rules.
    pub fn new(own: Vec<String>) -> Self {
        let shipped = RuleName::ALL.iter().filter(|rule| **rule != RuleName::User);
        let rules = shipped.map(|rule| rule.as_str().to_owned()).chain(own).collect();
        Exceptions { rules, ..Exceptions::default() }
    }

    /// Reads the tables of one file.
    pub fn read(&mut self, root: &mut Section<'_>, path: &Path) {
        for mut section in root.sections("exception") {
            self.one(&mut section, path);
            section.close();
        }
    }

    fn one(&mut self, section: &mut Section<'_>, path: &Path) {
        let name = section.text("name", None);
        let rules = self.rules(section);
        let account = section.ask("account", None, |value| {
            let told = "must be an exchange and an account's name, as in \"binance/alice\"";
            text(value)?.parse::<AccountId>().map_err(|_| told.to_owned())
        });
        let symbol = section.ask("pair", None, |value| {
            let told = "must be a pair, as in \"APPC-BTC\"";
            Symbol::from_dashed(text(value)?).map_err(|_| told.to_owned())
        });
        let address = section.ask("address", None, |value| {
            let given = text(value)?;
            let told = "must be an address or a prefix, as in \"203.0.113.7\" or \"203.0.113.0/24\"";
            let one = given.parse().map(|ip: std::net::IpAddr| IpNet::from(ip));
            one.or_else(|_| given.parse()).map_err(|_| told.to_owned())
        });
        let owner = section.text("owner", None);
        let reason = section.text("reason", None);
        let now = clock::now();
        let expires = section.ask("expires", None, |value| end(value, now));
        let why = |key: &'static str| match key {
            "name" => "is missing: a name of its own, by which it is counted, as in \"grid_bot\"",
            "account" => "is missing: whose findings it hides, as in \"binance/alice\"",
            "owner" => "is missing: who answers for it",
            "reason" => "is missing: why, in words that somebody else understands in half a year",
            _ => "is missing: an exception ends; write expires = \"2027-01-31\", at most a year ahead",
        };
        for key in ["name", "account", "owner", "reason", "expires"] {
            if !section.has(key) {
                section.refuse(key, why(key));
            }
        }
        for (key, text) in [("owner", &owner), ("reason", &reason)] {
            let bad = |text: &String| text.trim().is_empty() || text.chars().count() > LONGEST_TEXT;
            if text.as_ref().is_some_and(bad) {
                section.refuse(key, format!("must be 1 to {LONGEST_TEXT} characters"));
            }
        }
        if let Some(name) = &name {
            let good = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
            if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(good) {
                section.refuse("name", format!("must be at most {LONGEST_NAME} small letters, digits, - and _"));
            } else if let Some(before) = self.known.insert(name.as_str().into(), path.to_owned()) {
                section.refuse("name", format!("there is an exception of this name in {} already", before.display()));
            }
        }
        let blank: Vec<&str> =
            rules.iter().map(CompactString::as_str).filter(|rule| symbol.is_some() && of_no_pair(rule)).collect();
        if !blank.is_empty() {
            section.refuse("pair", format!("{} speaks of no pair, so nothing would be hidden", blank.join(", ")));
        }
        if address.is_some() && rules.iter().any(|rule| rule != RuleName::UnfamiliarAddress.as_str()) {
            section.refuse("address", "only unfamiliar_address speaks of addresses; leave it out for other rules");
        }
        if self.all.len() == MOST {
            section.refuse_all(format!("there are more than {MOST} exceptions; change the rules instead"));
        }
        let (Some(name), Some(account), Some(owner), Some(reason), Some(expires)) =
            (name, account, owner, reason, expires)
        else {
            return;
        };
        if expires <= now {
            section.gather.warn(format!(
                "exception {name} ended {expires} and hides nothing any more; remove it (fillguard except remove {name}), \
                 or give it another end"
            ));
        }
        let (owner, reason) = (owner.trim().into(), reason.trim().into());
        self.all.push(Exception { name: name.into(), rules, account, symbol, address, owner, reason, expires });
    }

    /// Reads `rule` or `rules`.
    fn rules(&self, section: &mut Section<'_>) -> Vec<CompactString> {
        let known: Vec<&str> = self.rules.iter().map(String::as_str).collect();
        let check = |name: &str| match name {
            name if name == RuleName::Blind.as_str() => {
                Err("nobody would be told that an account cannot be seen; silence the account instead".to_owned())
            }
            name if known.contains(&name) => Ok(CompactString::from(name)),
            name => Err(match nearest(name, &known) {
                Some(near) => format!("no rule has this name; did you mean {near}?"),
                None => format!("no rule has this name; there are {}", known.join(", ")),
            }),
        };
        let one = section.ask("rule", None, |value| check(text(value)?));
        let many = section.list_or("rules", None, check);
        match (section.has("rule"), section.has("rules")) {
            (true, true) => section.refuse("rules", "is there beside rule; write one of the two"),
            (false, false) => section.refuse("rule", "is missing: which rule it is for, or rules = [..]"),
            (true, false) | (false, true) => {}
        }
        let rules: Vec<CompactString> = one.into_iter().chain(many.into_iter().flatten()).collect();
        if rules.is_empty() && section.has("rules") {
            section.refuse("rules", "names no rule");
        }
        rules
    }
}

/// Says whether the findings of a shipped rule name no pair.
fn of_no_pair(rule: &str) -> bool {
    [
        RuleName::UnfamiliarAddress,
        RuleName::KeyPermissionWidened,
        RuleName::KeyUnrestricted,
        RuleName::NewKey,
        RuleName::KeyPolicy,
    ]
    .iter()
    .any(|one| one.as_str() == rule)
}

/// Reads an end: a day, to its last second in UTC, or a time with its offset.
pub(crate) fn read_end(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let day = text.len() == 10;
    if day { Timestamp::from_rfc3339(&format!("{text}T23:59:59Z")) } else { Timestamp::from_rfc3339(text) }
}

fn end(value: &DeValue<'_>, now: Timestamp) -> Result<Timestamp, String> {
    let given = match value {
        DeValue::Datetime(time) => time.to_string(),
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_) => {
            String::new()
        }
    };
    let told = "must be a day or a time with its zone, as in \"2027-01-31\" or \"2027-01-31T12:00:00Z\"";
    let end = read_end(&given).ok_or_else(|| told.to_owned())?;
    if end > now + LONGEST {
        return Err("is more than a year ahead: somebody has to look at it again by then".to_owned());
    }
    Ok(end)
}
