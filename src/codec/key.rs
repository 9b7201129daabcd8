//! What the pages about keys have in common: flags written in several ways, addresses, names, times.

use std::collections::BTreeMap;
use std::net::IpAddr;

use compact_str::{CompactString, format_compact};
use serde::Deserialize;

use super::scalar::{Object, Scalar};
use super::shape::{Heard, parameter, read, unread};
use super::unread::Unread;
use crate::domain::{Fingerprint, KeyState, Right, Timestamp, WhichKey};

/// Rights that only an exchange has; more of one key are not kept.
const MOST_OTHERS: usize = 32;
/// Addresses of one key's list that are kept: Binance takes a text of 500 characters, KuCoin 20 addresses.
const MOST_ADDRESSES: usize = 128;
/// Characters of a name that an exchange or an owner chose.
const LONGEST_NAME: usize = 64;

/// An object whose fields are looked at one by one, because exchanges add rights without notice.
#[derive(Deserialize)]
#[serde(transparent, bound(deserialize = "'de: 'a"))]
struct Fields<'a>(BTreeMap<String, Scalar<'a>>);

/// The fields of one key.
pub(super) struct Row<'a>(BTreeMap<String, Scalar<'a>>);

/// What a row says of the key's rights.
#[derive(Default)]
pub(super) struct Rights {
    pub(super) told: BTreeMap<Right, bool>,
    /// What could not be read, to be said beside what could.
    pub(super) amiss: Vec<Unread>,
}

impl<'a> Row<'a> {
    pub(super) fn read(what: &str, json: &'a str) -> Result<Self, Unread> {
        let Object(fields): Object<Fields<'a>> = read(what, json)?;
        Ok(Row(fields.0))
    }

    pub(super) fn field(&self, name: &str) -> &Scalar<'a> {
        self.0.get(name).unwrap_or(&Scalar::Absent)
    }

    /// Takes each right that has a flag: those of `known` under our name, others that begin like one under their own.
    pub(super) fn rights(&self, known: &[(&'static str, Right)], like: &[&str]) -> Rights {
        let mut rights = Rights::default();
        let mut others = 0;
        for (field, value) in self.0.iter().filter(|(_, value)| !value.is_absent()) {
            let right = known.iter().find(|(name, _)| name == field).map(|(_, right)| right.clone());
            match (right, flag(value)) {
                (Some(right), Some(on)) => {
                    rights.told.insert(right, on);
                }
                (Some(right), None) => {
                    rights.amiss.push(Unread(format_compact!("the right to {right} is neither true nor false")));
                }
                (None, Some(on)) if others < MOST_OTHERS && like.iter().any(|start| field.starts_with(start)) => {
                    others += 1;
                    rights.told.insert(Right::Other(plain(field)), on);
                }
                (None, _) => {}
            }
        }
        rights
    }

    /// Takes a time, nothing where it is not told; what cannot be read is noted.
    pub(super) fn time(&self, name: &'static str, amiss: &mut Vec<Unread>) -> Option<Timestamp> {
        let value = self.field(name);
        if value.is_absent() {
            return None;
        }
        value.time(name).map_err(|why| amiss.push(why.into())).ok()
    }

    /// Takes a name that somebody chose.
    pub(super) fn name(&self, field: &str) -> Option<CompactString> {
        self.field(field).text().map(plain).filter(|name| !name.is_empty())
    }

    /// Takes the id of the key the row is about.
    pub(super) fn key(&self, field: &'static str) -> Result<Fingerprint, Unread> {
        Ok(Fingerprint::of(&self.field(field).id(field)?))
    }
}

/// Reads `true` and `"true"`: Binance writes both.
pub(super) fn flag(value: &Scalar<'_>) -> Option<bool> {
    match value {
        Scalar::Flag(flag) => Some(*flag),
        Scalar::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Scalar::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Scalar::Absent | Scalar::Text(_) | Scalar::Whole(_) | Scalar::Big(_) | Scalar::Float(_) | Scalar::Nested => {
            None
        }
    }
}

/// Returns addresses so that two lists can be compared: trimmed, spelled alike, sorted. Two that an exchange masks alike
/// stay two.
pub(super) fn addresses<'t>(list: impl Iterator<Item = &'t str>) -> Vec<CompactString> {
    let spelled = |text: &str| match text.parse::<IpAddr>() {
        Ok(ip) => format_compact!("{}", ip.to_canonical()),
        Err(_) => plain(text).to_ascii_lowercase(),
    };
    let list = list.map(str::trim).filter(|text| !text.is_empty());
    let mut addresses: Vec<CompactString> = list.map(spelled).take(MOST_ADDRESSES).collect();
    addresses.sort();
    addresses
}

/// Returns a text without control characters, cut to what a name may have.
pub(super) fn plain(text: &str) -> CompactString {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect()
}

/// Returns the key that watches; the feed says in its call which one asked, because not every page does.
pub(super) fn own(call: &str, told: Option<Fingerprint>) -> WhichKey {
    WhichKey::Own(told.or_else(|| parameter(call, "key").and_then(Fingerprint::known)))
}

/// Returns a state in which nothing but the key is told.
pub(super) fn state(heard: &Heard<'_>, key: WhichKey) -> Result<KeyState, Unread> {
    Ok(KeyState {
        account: heard.account()?,
        key,
        label: None,
        holder: None,
        rights: BTreeMap::new(),
        rights_whole: false,
        restriction: None,
        created: None,
        expires: None,
    })
}

/// Refuses a page that says nothing of the key it is about: it is some other answer.
pub(super) fn says_something(state: &KeyState) -> Result<(), Unread> {
    if state.rights.is_empty() && state.restriction.is_none() {
        return Err(unread("a page about a key that tells neither rights nor addresses"));
    }
    Ok(())
}
