//! What KuCoin says about keys: the asking one and those of sub-accounts.
//!
//! <https://www.kucoin.com/docs-new/rest/account-info/account-funding/get-apikey-info>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::codec::key::{self, Row};
use crate::codec::shape::{Heard, parameter, unread};
use crate::codec::unread::Unread;
use crate::domain::{EventKind, KeyList, KeyState, Restriction, Right, WhichKey};

/// The rights as `permission` names them, joined by commas.
const RIGHTS: [(&str, Right); 9] = [
    ("general", Right::Read),
    ("spot", Right::Trade),
    ("margin", Right::Margin),
    ("futures", Right::Futures),
    ("unified", Right::Unified),
    ("earn", Right::Earn),
    ("innertransfer", Right::InternalTransfer),
    ("flextransfers", Right::InternalTransfer),
    // `Transfer` alone is the right to withdraw.
    ("transfer", Right::Withdraw),
];
/// Rights of one key that are read.
const MOST_RIGHTS: usize = 48;

/// A text with commas, or a list of texts as the unified account's calls may give.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Lists<'a> {
    #[serde(default, borrow)]
    permission: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "ipWhitelist")]
    addresses: Option<&'a RawValue>,
}

/// Tells what the asking key may do.
///
/// `{"remark":"watch","apiKey":"..","apiVersion":3,"permission":"General,Spot","ipWhitelist":"203.**.7",
/// "createdAt":1772355600000,"uid":1,"isMaster":true}`
pub(super) fn own(call: &str, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let row = Row::read("a key", json)?;
    let told = row.key("apiKey").ok();
    let state = read(&row, json, key::own(call, told), heard)?;
    key::says_something(&state)?;
    heard.push(EventKind::KeyState(state));
    Ok(())
}

/// Tells what the keys of a sub-account may do, and that these were all: the list is not paged.
pub(super) fn listed(call: &str, rows: Vec<&RawValue>, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let asked = parameter(call, "subName");
    let mut whole = true;
    for json in rows {
        let told = listed_key(asked, json.get(), heard);
        whole &= told.is_ok();
        heard.row(told);
    }
    // With one key asked for, the list is not all of them.
    if let Some(holder) = asked.filter(|_| whole && parameter(call, "apiKey").is_none()) {
        heard.push(EventKind::KeyList(KeyList { account: heard.account()?, holder: key::plain(holder) }));
    }
    Ok(())
}

fn listed_key(asked: Option<&str>, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let row = Row::read("a listed key", json)?;
    let mut state = read(&row, json, WhichKey::Listed(row.key("apiKey")?), heard)?;
    state.holder = row.name("subName").or_else(|| asked.map(key::plain));
    heard.push(EventKind::KeyState(state));
    Ok(())
}

fn read(row: &Row<'_>, json: &str, which: WhichKey, heard: &mut Heard<'_>) -> Result<KeyState, Unread> {
    let lists: Lists<'_> = crate::codec::shape::read("a key", json)?;
    let mut amiss = Vec::new();
    let mut names = |field: Option<&RawValue>, what: &str| -> Option<Vec<String>> {
        let text = field.map(RawValue::get).filter(|text| *text != "null")?;
        match serde_json::from_str::<Names>(text) {
            Ok(Names::One(text)) => Some(text.split(',').map(|name| name.trim().to_owned()).collect()),
            Ok(Names::Many(names)) => Some(names),
            Err(_) => {
                amiss.push(unread(what));
                None
            }
        }
    };
    let permission = names(lists.permission, "`permission` is neither a text nor a list of texts");
    let list = names(lists.addresses, "`ipWhitelist` is neither a text nor a list of texts");
    let list = list.map(|list| key::addresses(list.iter().map(String::as_str)));
    let mut state = key::state(heard, which)?;
    state.label = row.name("remark");
    state.created = row.time("createdAt", &mut amiss);
    state.expires = row.time("expiredAt", &mut amiss);
    if let Some(names) = permission {
        state.rights = rights(&names);
        state.rights_whole = true;
    }
    // No list at all is how KuCoin writes "from anywhere"; but a page that lacks other fields too says nothing by it.
    let complete = state.rights_whole && !row.field("createdAt").is_absent();
    state.restriction = match list {
        Some(list) if list.is_empty() => Some(Restriction::Open),
        Some(list) => Some(Restriction::Listed(Some(list))),
        None if complete && !is_there(lists.addresses) => Some(Restriction::Open),
        None => None,
    };
    amiss.into_iter().for_each(|why| heard.row(Err(why)));
    Ok(state)
}

/// Says whether something stands where the addresses belong that is not null.
fn is_there(field: Option<&RawValue>) -> bool {
    field.is_some_and(|field| field.get() != "null")
}

fn rights(names: &[String]) -> BTreeMap<Right, bool> {
    let right = |name: &String| {
        let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_ascii_lowercase();
        let known = RIGHTS.iter().find(|(known, _)| *known == plain).map(|(_, right)| right.clone());
        known.unwrap_or_else(|| Right::Other(key::plain(name)))
    };
    names.iter().filter(|name| !name.trim().is_empty()).take(MOST_RIGHTS).map(|name| (right(name), true)).collect()
}
