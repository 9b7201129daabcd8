//! What Binance says about keys: the asking one, those of sub-accounts, and from where they may be used.
//!
//! <https://developers.binance.com/docs/wallet/account/api-key-permission>

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::key::{self, Row};
use super::super::scalar::Scalar;
use super::super::shape::{Heard, parameter, read};
use super::super::unread::Unread;
use crate::domain::{EventKind, KeyList, Restriction, Right, WhichKey};

/// `{"ipRestrict":true,"createTime":1772355600000,"enableReading":true,"enableWithdrawals":false,"enableMargin":false,
/// "enableInternalTransfer":false,"enableFutures":false,"permitsUniversalTransfer":false,"enableVanillaOptions":false,
/// "enableFixApiTrade":false,"enableFixReadOnly":true,"enableSpotAndMarginTrading":false,
/// "enablePortfolioMarginTrading":false}`; older ones have `tradingAuthorityExpirationTime`.
const OWN: [(&str, Right); 11] = [
    ("enableReading", Right::Read),
    ("enableSpotAndMarginTrading", Right::Trade),
    ("enableMargin", Right::Margin),
    ("enableFutures", Right::Futures),
    ("enableVanillaOptions", Right::Options),
    ("enablePortfolioMarginTrading", Right::Unified),
    ("enableFixApiTrade", Right::FixTrade),
    ("enableFixReadOnly", Right::FixRead),
    ("enableWithdrawals", Right::Withdraw),
    ("enableInternalTransfer", Right::InternalTransfer),
    ("permitsUniversalTransfer", Right::UniversalTransfer),
];

/// `{"email":"grid@example.org","apiName":"grid","apikey":"..","canTrade":true,"canMarginLoanRepay":false,
/// "canFuturesTrade":false,"canUniversalTransfer":false,"canVanillaOptions":false,"timestamp":1772355600000}`
const LISTED: [(&str, Right); 5] = [
    ("canTrade", Right::Trade),
    ("canMarginLoanRepay", Right::Margin),
    ("canFuturesTrade", Right::Futures),
    ("canUniversalTransfer", Right::UniversalTransfer),
    ("canVanillaOptions", Right::Options),
];

/// `{"total":1,"rows":[]}`
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct List<'a> {
    #[serde(default)]
    total: Scalar<'a>,
    #[serde(default)]
    rows: Option<Vec<&'a RawValue>>,
}

/// `{"ipRestrict":"true","ipList":["203.0.113.7"],"updateTime":1772355600000,"apiKey":".."}`
#[derive(Deserialize)]
struct Addresses {
    #[serde(default, rename = "ipList")]
    list: Option<Vec<String>>,
}

/// Tells what the asking key may do.
pub(super) fn own(call: &str, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let row = Row::read("a key's rights", json)?;
    let mut rights = row.rights(&OWN, &["enable", "permits", "can"]);
    let mut state = key::state(heard, key::own(call, None))?;
    state.created = row.time("createTime", &mut rights.amiss);
    state.expires = row.time("tradingAuthorityExpirationTime", &mut rights.amiss);
    state.restriction = restricted(&row, None, &mut rights.amiss);
    state.rights = rights.told;
    rights.amiss.into_iter().for_each(|why| heard.row(Err(why)));
    key::says_something(&state)?;
    heard.push(EventKind::KeyState(state));
    Ok(())
}

/// Tells what the keys of a sub-account may do, and with the last page that these were all.
pub(super) fn listed(call: &str, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let page: List<'_> = read("a list of keys", json)?;
    let Some(rows) = page.rows else { return Err(super::unread("a list of keys without rows")) };
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let mut whole = true;
    for row in rows {
        let told = listed_key(call, row.get(), heard);
        whole &= told.is_ok();
        heard.row(told);
    }
    let number = |name, usual| parameter(call, name).and_then(|text| text.parse::<i64>().ok()).unwrap_or(usual);
    let read_so_far = number("page", 1).saturating_sub(1).saturating_mul(number("size", count)).saturating_add(count);
    let last = page.total.whole("total").map_or(count < number("size", i64::MAX), |total| read_so_far >= total);
    if let Some(holder) = parameter(call, "email").filter(|_| last && whole) {
        heard.push(EventKind::KeyList(KeyList { account: heard.account()?, holder: key::plain(holder) }));
    }
    Ok(())
}

fn listed_key(call: &str, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let row = Row::read("a listed key", json)?;
    let rights = row.rights(&LISTED, &["can", "enable", "permits"]);
    let mut state = key::state(heard, WhichKey::Listed(row.key("apikey").or_else(|_| row.key("apiKey"))?))?;
    state.label = row.name("apiName");
    state.holder = row.name("email").or_else(|| parameter(call, "email").map(key::plain));
    // `timestamp` moves when the key is changed, so it says nothing of when the key was made.
    state.rights = rights.told;
    rights.amiss.into_iter().for_each(|why| heard.row(Err(why)));
    heard.push(EventKind::KeyState(state));
    Ok(())
}

/// Tells from where a key of a sub-account may be used.
pub(super) fn restriction(call: &str, json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let row = Row::read("a key's addresses", json)?;
    let Addresses { list } = read("a key's addresses", json)?;
    let mut state = key::state(heard, WhichKey::Listed(row.key("apiKey").or_else(|_| row.key("apikey"))?))?;
    state.holder = parameter(call, "email").map(key::plain);
    let mut amiss = Vec::new();
    state.restriction = restricted(&row, list, &mut amiss);
    amiss.into_iter().for_each(|why| heard.row(Err(why)));
    key::says_something(&state)?;
    heard.push(EventKind::KeyState(state));
    Ok(())
}

fn restricted(row: &Row<'_>, list: Option<Vec<String>>, amiss: &mut Vec<Unread>) -> Option<Restriction> {
    let told = row.field("ipRestrict");
    match key::flag(told) {
        Some(true) => Some(Restriction::Listed(list.map(|list| key::addresses(list.iter().map(String::as_str))))),
        Some(false) => Some(Restriction::Open),
        None => {
            if !told.is_absent() {
                amiss.push(super::unread("`ipRestrict` is neither true nor false"));
            }
            None
        }
    }
}
