//! Binance: keys of sub-accounts by their master or broker, open orders by a key of the account itself
//! (<https://developers.binance.com/docs/sub_account/api-management>).

mod orders;

use std::collections::BTreeSet;
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use serde::Deserialize;
use serde_json::Value;

use super::listing::{self, Listing, Row};
use super::wire::{Call, Verb, Wire};
use super::{Asked, Seen, Unlisted, change, read};
use crate::domain::{Fingerprint, Restriction, Right, Wallet};
use crate::feed::limiter::Limiter;
use crate::response::keys::{Master, RevokeKey};
use crate::response::plan::{Deed, KeySeen, Survey, Timer, Wallets};

/// What each call about a sub-account's key costs of the master's 180,000 a minute.
const DEAR: u32 = 3_000;
/// The shortest countdown of futures, in seconds: Binance advises against small ones.
const LEAST: u32 = 10;
/// Keys of a page, and pages read.
const PAGE: (usize, usize) = (100, 5);
/// The rights of a sub-account's key, as Binance calls them.
const RIGHTS: [(&str, Right); 5] = [
    ("canTrade", Right::Trade),
    ("canMarginLoanRepay", Right::Margin),
    ("canFuturesTrade", Right::Futures),
    ("canUniversalTransfer", Right::UniversalTransfer),
    ("canVanillaOptions", Right::Options),
];
/// The same of a broker's sub-accounts.
const BROKER_RIGHTS: [(&str, Right); 3] =
    [("canTrade", Right::Trade), ("marginTrade", Right::Margin), ("futuresTrade", Right::Futures)];

#[derive(Debug)]
pub(super) struct BinanceArm {
    pub(super) wire: Arc<Wire>,
    pub(super) futures: Arc<Wire>,
    pub(super) master: Option<Arc<Master>>,
    pub(super) purse: Option<Arc<Limiter>>,
    /// The sub-account's e-mail, or a broker's number of it.
    pub(super) sub: String,
    pub(super) trade: Option<RevokeKey>,
    pub(super) listing: Listing,
    pub(super) wallets: BTreeSet<Wallet>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
}

type Params<'a> = Vec<(&'a str, String)>;

impl BinanceArm {
    pub(super) async fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        if self.master.is_some() {
            match self.keys().await {
                Ok(keys) => {
                    survey.keys = keys.into_iter().map(|row| row.seen).collect();
                    (survey.strips, survey.narrows, survey.deletes) = (true, true, true);
                }
                Err(unlisted) => unlisted.note(&mut survey),
            }
        }
        if self.trade.is_some() {
            let uses = |wallet: &Wallet| self.wallets.contains(wallet);
            survey.cancels.push(Wallets::Spot);
            if uses(&Wallet::Margin) || self.isolated().next().is_some() {
                survey.cancels.push(Wallets::Margin);
            }
            if uses(&Wallet::Futures) {
                survey.cancels.push(Wallets::Futures);
                match self.contracts().await {
                    Ok(pairs) => {
                        survey.timers.push(Timer { book: Wallets::Futures, least: LEAST, pairs: Some(pairs) });
                    }
                    Err(why) => survey.amiss.push(format_compact!("the contracts in use cannot be listed: {why}")),
                }
            }
        }
        survey
    }

    pub(super) async fn ask(&self, deed: &Deed) -> Asked {
        match deed {
            Deed::Strip { key, .. } => self.permit(key, &[]).await,
            Deed::Give { key, rights } => self.permit(key, rights).await,
            Deed::Narrow { key, to } => self.narrow(key, to).await,
            Deed::Delete { key } => {
                let row = match listing::wanted(self.row(key).await) {
                    Ok(row) => row,
                    Err(asked) => return asked,
                };
                let (path, params) = (self.path("subAccountApi", 1), self.of(&row.id));
                self.managed(Verb::Delete, &path, params).await
            }
            Deed::Cancel { book } => self.cancel(*book).await,
            Deed::Switch { secs, book: Wallets::Futures, pairs } => self.count_down(pairs, *secs).await,
            Deed::Release { book: Wallets::Futures, pairs } => self.count_down(pairs, 0).await,
            Deed::Switch { .. } | Deed::Move { .. } | Deed::Revoke | Deed::Release { .. } => {
                Asked::Refused("Binance has no such call".into())
            }
        }
    }

    pub(super) async fn look(&self, deed: &Deed) -> Seen {
        match deed {
            Deed::Strip { key, .. } | Deed::Delete { key } | Deed::Give { key, .. } => {
                listing::look(deed, key, self.keys().await)
            }
            Deed::Narrow { key, to } => match self.row(key).await {
                Err(Unlisted { why, .. }) => Seen::Dark(why),
                // A key that is gone may be used from nowhere.
                Ok(None) => Seen::So,
                Ok(Some(row)) => match self.addresses(&row.id).await {
                    Ok(Restriction::Listed(Some(list))) if same(&list, to) => Seen::So,
                    Ok(_) => Seen::NotSo("the key may be used from other addresses".into()),
                    Err(why) => Seen::Dark(why),
                },
            },
            Deed::Cancel { book } => match self.open(*book).await {
                Ok(open) if open.is_empty() => Seen::So,
                Ok(open) => Seen::NotSo(format_compact!("orders are open in {} pairs", open.len())),
                Err(why) => Seen::Dark(why),
            },
            Deed::Switch { .. } | Deed::Release { .. } => {
                Seen::Never("Binance does not tell whether a countdown runs".into())
            }
            Deed::Move { .. } | Deed::Revoke => Seen::Never("Binance has no such call".into()),
        }
    }

    fn broker(&self) -> bool {
        self.master.as_ref().is_some_and(|master| master.broker)
    }

    /// Returns where a call about a sub-account's key is.
    fn path(&self, call: &str, version: u8) -> String {
        let family = if self.broker() { "broker" } else { "sub-account" };
        format!("/sapi/v{version}/{family}/{call}")
    }

    fn holder(&self) -> (&'static str, String) {
        (if self.broker() { "subAccountId" } else { "email" }, self.sub.clone())
    }

    fn of(&self, id: &str) -> Params<'static> {
        vec![self.holder(), ("subAccountApiKey", id.to_owned())]
    }

    fn rights(&self) -> &'static [(&'static str, Right)] {
        if self.broker() { &BROKER_RIGHTS } else { &RIGHTS }
    }

    /// Signs a call of a key.
    fn call(&self, key: &RevokeKey, verb: Verb, path: &str, params: &Params<'_>) -> Option<Call> {
        let RevokeKey::Binance { key, signer } = key else { return None };
        // Futures go by the same clock, which is learned from the other host alone.
        let (stamp, window) = (self.wire.millis().to_string(), "5000".to_owned());
        let mut all: Vec<(&str, &str)> = params.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend([("recvWindow", window.as_str()), ("timestamp", stamp.as_str())]);
        let path = format!("{path}?{}", signer.sign_rest(&all));
        Some(Call { verb, path, headers: vec![("X-MBX-APIKEY", key.expose().to_owned())], body: None })
    }

    async fn learn(&self) {
        self.wire.learn("/api/v3/time", |value| value.get("serverTime")?.as_i64()).await;
    }

    /// Reads something with the master's key.
    async fn asked(&self, path: &str, params: &Params<'_>) -> Result<Value, Unlisted> {
        let (Some(master), Some(purse)) = (&self.master, &self.purse) else {
            return Err(Unlisted { why: "no master's key".into(), passing: false });
        };
        self.learn().await;
        purse.ready(DEAR).await;
        let (status, text) = read(&self.wire, || self.call(&master.key, Verb::Get, path, params)).await?;
        answer(status, &text).map_err(|why| Unlisted { why, passing: is_passing(&text) })
    }

    /// Reads a page with the account's own key.
    pub(super) async fn own(&self, path: &str) -> Result<String, CompactString> {
        let Some(key) = &self.trade else { return Err("no key".into()) };
        self.learn().await;
        let (status, text) = read(&self.wire, || self.call(key, Verb::Get, path, &Vec::new())).await?;
        if status == 200 { Ok(text) } else { Err(words(status, &text)) }
    }

    /// Changes something with the master's key.
    async fn managed(&self, verb: Verb, path: &str, params: Params<'_>) -> Asked {
        let (Some(master), Some(purse)) = (&self.master, &self.purse) else {
            return Asked::Refused("no master's key is configured".into());
        };
        self.learn().await;
        purse.ready(DEAR).await;
        self.listing.forget();
        change(&self.wire, self.call(&master.key, verb, path, &params), judge).await
    }

    async fn keys(&self) -> Result<Vec<Row>, Unlisted> {
        let mut rows = Vec::new();
        for page in 1..=PAGE.1 {
            let params = vec![self.holder(), ("page", page.to_string()), ("size", PAGE.0.to_string())];
            let value = self.asked(&self.path("subAccountApi", 1), &params).await?;
            let list = value.get("rows").unwrap_or(&value);
            let list = list.as_array().ok_or_else(|| CompactString::from("the list of keys is none"))?;
            rows.extend(list.iter().filter_map(|row| self.read(row)));
            if list.len() < PAGE.0 {
                self.listing.keep(&rows);
                return Ok(rows);
            }
        }
        // A key that stands on a later page must not look deleted.
        Err(Unlisted { why: "the sub-account has more keys than are read".into(), passing: false })
    }

    fn read(&self, row: &Value) -> Option<Row> {
        let id = ["apikey", "apiKey", "subAccountApiKey"].into_iter().find_map(|name| row.get(name)?.as_str())?;
        let flag = |name: &str| match row.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            Some(_) | None => false,
        };
        let rights = self.rights().iter().filter(|(name, _)| flag(name)).map(|(_, right)| right.clone());
        let label = row.get("apiName").and_then(Value::as_str).map(|name| name.chars().take(64).collect());
        let rights = rights.chain([Right::Read]).collect();
        Some(Row { id: id.to_owned(), seen: KeySeen { key: Fingerprint::of(id), label, rights, restriction: None } })
    }

    /// Returns a key of the sub-account; none where it is not among them.
    async fn row(&self, key: &Fingerprint) -> Result<Option<Row>, Unlisted> {
        self.listing.find(key, self.keys()).await
    }

    async fn permit(&self, key: &Fingerprint, rights: &[Right]) -> Asked {
        let row = match listing::wanted(self.row(key).await) {
            Ok(row) => row,
            Err(asked) => return asked,
        };
        let mut params = self.of(&row.id);
        params.extend(self.rights().iter().map(|(name, right)| (*name, rights.contains(right).to_string())));
        let call = if self.broker() { "subAccountApi/permission" } else { "subAccountApiPermission" };
        self.managed(Verb::Post, &self.path(call, 1), params).await
    }

    async fn narrow(&self, key: &Fingerprint, to: &[CompactString]) -> Asked {
        let row = match listing::wanted(self.row(key).await) {
            Ok(row) => row,
            Err(asked) => return asked,
        };
        let mut params = self.of(&row.id);
        params.extend([("status", "2".to_owned()), ("ipAddress", to.join(","))]);
        let asked = self.managed(Verb::Post, &self.path("subAccountApi/ipRestriction", 2), params).await;
        let Asked::Taken = asked else { return asked };
        // What was on the list before stays on it until it is taken off.
        if let Ok(Restriction::Listed(Some(list))) = self.addresses(&row.id).await {
            let others: Vec<&str> = list.iter().filter(|one| !to.contains(one)).map(CompactString::as_str).collect();
            if !others.is_empty() {
                let mut params = self.of(&row.id);
                params.push(("ipAddress", others.join(",")));
                let path = self.path("subAccountApi/ipRestriction/ipList", 1);
                return self.managed(Verb::Delete, &path, params).await;
            }
        }
        asked
    }

    async fn addresses(&self, id: &str) -> Result<Restriction, CompactString> {
        let asked = self.asked(&self.path("subAccountApi/ipRestriction", 1), &self.of(id)).await;
        let value = asked.map_err(|unlisted| unlisted.why)?;
        let listed = match value.get("ipRestrict") {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text == "true",
            Some(_) | None => return Err("the key's addresses are not told".into()),
        };
        let list = value.get("ipList").and_then(Value::as_array).cloned().unwrap_or_default();
        let list = list.iter().filter_map(Value::as_str).map(Into::into).collect();
        Ok(if listed { Restriction::Listed(Some(list)) } else { Restriction::Open })
    }
}

fn same(list: &[CompactString], to: &[CompactString]) -> bool {
    list.iter().collect::<BTreeSet<_>>() == to.iter().collect::<BTreeSet<_>>()
}

/// Says whether an answer tells of a fault or a load of theirs, or of a clock that is learned anew.
fn is_passing(text: &str) -> bool {
    let passing = |code| matches!(code, -1000 | -1001 | -1003 | -1008..=-1006 | -1021);
    serde_json::from_str(text).is_ok_and(|refusal: Refusal| passing(refusal.code))
}

fn answer(status: u16, text: &str) -> Result<Value, CompactString> {
    if status == 200 {
        return serde_json::from_str(text).map_err(|_| "an answer that cannot be read".into());
    }
    Err(words(status, text))
}

fn judge(status: u16, text: &str) -> Asked {
    match status {
        200 => Asked::Taken,
        // "Unknown order": there is none to cancel.
        400 if serde_json::from_str(text).is_ok_and(|refusal: Refusal| refusal.code == -2011) => Asked::Taken,
        // A time-out of theirs: the request may have been carried out (-1006, -1007).
        _ if serde_json::from_str(text).is_ok_and(|refusal: Refusal| matches!(refusal.code, -1006 | -1007)) => {
            Asked::Unclear(words(status, text))
        }
        _ => Asked::Refused(words(status, text)),
    }
}

/// Says what a refusal means. The exchange's own sentence is left out: it may quote what was sent.
fn words(status: u16, text: &str) -> CompactString {
    let Ok(Refusal { code }) = serde_json::from_str(text) else { return format_compact!("HTTP {status}") };
    let meaning = match code {
        -2015 => "our key is deleted, not allowed from this address, or lacks the right",
        -2014 | -2008 => "our key's id is not one of Binance's",
        -1022 => "the signature is wrong: the secret is not this key's",
        -1021 => "our clock is wrong",
        -1002 => "our key may not do this",
        _ => "see Binance's list of errors",
    };
    format_compact!("{code}: {meaning}")
}
