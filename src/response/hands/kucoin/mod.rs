//! KuCoin: keys of sub-accounts by their master, open orders by a key of the account itself
//! (<https://www.kucoin.com/docs-new/rest/account-info/sub-account/delete-sub-account-api>). Deleting wants the key's
//! passphrase in the address, so no address of a call is ever logged or told.

mod orders;

use std::collections::BTreeSet;
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use serde_json::{Value, json};

use super::listing::{self, Listing, Row};
use super::wire::{Call, Verb, Wire};
use super::{Asked, Seen, Unlisted, change, read};
use crate::domain::{Fingerprint, Right};
use crate::feed::sign::percent_encode;
use crate::response::keys::{Master, RevokeKey};
use crate::response::plan::{Deed, KeySeen, Survey, Timer, Wallets};
use crate::secret::Secret;

/// What KuCoin calls rights; of two names for one, the first is what is asked for.
const RIGHTS: [(&str, Right); 8] = [
    ("Spot", Right::Trade),
    ("Margin", Right::Margin),
    ("Futures", Right::Futures),
    ("Unified", Right::Unified),
    ("InnerTransfer", Right::InternalTransfer),
    ("FlexTransfers", Right::UniversalTransfer),
    ("Transfer", Right::Withdraw),
    ("Earn", Right::Earn),
];
/// The shortest time of the dead-man switch, in seconds.
const SWITCH: u32 = 5;

#[derive(Debug)]
pub(super) struct KucoinArm {
    pub(super) wire: Arc<Wire>,
    pub(super) futures: Arc<Wire>,
    pub(super) master: Option<Arc<Master>>,
    pub(super) sub: String,
    pub(super) passphrase: Option<Secret>,
    pub(super) trade: Option<RevokeKey>,
    pub(super) listing: Listing,
}

impl KucoinArm {
    pub(super) async fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        if self.master.is_some() {
            match self.keys().await {
                Ok(keys) => {
                    survey.keys = keys.into_iter().map(|row| row.seen).collect();
                    // Addresses are told with stars, so that narrowing could not be seen to have worked.
                    let can = self.passphrase.is_some();
                    (survey.strips, survey.deletes) = (can, can);
                    if !can {
                        survey.amiss.push("the passphrase of the sub-account's keys is not configured".into());
                    }
                }
                Err(unlisted) => unlisted.note(&mut survey),
            }
        }
        if self.trade.is_some() {
            survey.cancels = vec![Wallets::Spot, Wallets::Stops];
            survey.timers.push(Timer { book: Wallets::Spot, least: SWITCH, pairs: None });
            self.beyond_spot(&mut survey).await;
        }
        survey
    }

    /// Adds the books that the key which cancels has a right to; KuCoin refuses the others.
    async fn beyond_spot(&self, survey: &mut Survey) {
        let rights = match self.asked(self.trade.as_ref(), "/api/v1/user/api-key").await {
            Ok(data) => rights(&permission(&data)),
            Err(Unlisted { why, .. }) => {
                let what = "what the key that cancels may do cannot be asked, so only spot orders are cancelled";
                return survey.amiss.push(format_compact!("{what}: {why}"));
            }
        };
        for (right, book) in [(Right::Margin, Wallets::Margin), (Right::Futures, Wallets::Futures)] {
            if rights.contains(&right) {
                survey.cancels.push(book);
                if book == Wallets::Futures {
                    survey.timers.push(Timer { book, least: SWITCH, pairs: None });
                }
            } else if survey.keys.iter().any(|seen| seen.rights.contains(&right)) {
                let book = book.as_str();
                survey.amiss.push(format_compact!(
                    "a key of the sub-account may place {book} orders, and the key that cancels may not: they stay open"
                ));
            }
        }
    }

    pub(super) async fn ask(&self, deed: &Deed) -> Asked {
        match deed {
            Deed::Strip { key, .. } => self.permit(key, &[]).await,
            Deed::Give { key, rights } => self.permit(key, rights).await,
            Deed::Delete { key } => {
                let row = match listing::wanted(self.row(key).await) {
                    Ok(row) => row,
                    Err(asked) => return asked,
                };
                let Some(passphrase) = &self.passphrase else { return Asked::Refused(NO_PASSPHRASE.into()) };
                let (sub, id) = (percent_encode(&self.sub), percent_encode(&row.id));
                let passphrase = percent_encode(passphrase.expose());
                let path = format!("/api/v1/sub/api-key?apiKey={id}&subName={sub}&passphrase={passphrase}");
                self.change(self.master_key(), Verb::Delete, &path, None).await
            }
            Deed::Cancel { book } => self.cancel(*book).await,
            Deed::Switch { secs, book, .. } => self.switch(*book, i64::from(*secs)).await,
            Deed::Release { book, .. } => self.switch(*book, -1).await,
            Deed::Narrow { .. } | Deed::Move { .. } | Deed::Revoke => {
                Asked::Refused("this is not done at KuCoin".into())
            }
        }
    }

    pub(super) async fn look(&self, deed: &Deed) -> Seen {
        match deed {
            Deed::Strip { key, .. } | Deed::Delete { key } | Deed::Give { key, .. } => {
                listing::look(deed, key, self.keys().await)
            }
            Deed::Cancel { book } => self.empty(*book).await,
            Deed::Switch { book, .. } => self.switched(*book, true).await,
            Deed::Release { book, .. } => self.switched(*book, false).await,
            Deed::Narrow { .. } | Deed::Move { .. } | Deed::Revoke => Seen::Dark("this is not done at KuCoin".into()),
        }
    }

    fn master_key(&self) -> Option<&RevokeKey> {
        self.master.as_ref().map(|master| &master.key)
    }

    fn call(&self, key: Option<&RevokeKey>, verb: Verb, path: &str, body: Option<&str>) -> Option<Call> {
        let Some(RevokeKey::Kucoin(signer)) = key else { return None };
        let method = match verb {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Delete => "DELETE",
        };
        let mut headers = signer.headers(self.wire.millis(), method, path, body.unwrap_or_default());
        headers.push(("Content-Type", "application/json".to_owned()));
        Some(Call { verb, path: path.to_owned(), headers, body: body.map(str::to_owned) })
    }

    async fn learn(&self) {
        self.wire.learn("/api/v1/timestamp", |value| value.get("data")?.as_i64()).await;
    }

    async fn change(&self, key: Option<&RevokeKey>, verb: Verb, path: &str, body: Option<&str>) -> Asked {
        self.learn().await;
        self.listing.forget();
        change(&self.wire, self.call(key, verb, path, body), judge).await
    }

    async fn asked(&self, key: Option<&RevokeKey>, path: &str) -> Result<Value, Unlisted> {
        self.asked_at(&self.wire, key, path).await
    }

    async fn asked_at(&self, wire: &Wire, key: Option<&RevokeKey>, path: &str) -> Result<Value, Unlisted> {
        let (_, mut value) = self.page(wire, key, path).await?;
        Ok(value.get_mut("data").map(Value::take).unwrap_or_default())
    }

    /// Reads an answer that says that it is one, as it came and taken apart.
    async fn page(&self, wire: &Wire, key: Option<&RevokeKey>, path: &str) -> Result<(String, Value), Unlisted> {
        self.learn().await;
        let (status, text) = read(wire, || self.call(key, Verb::Get, path, None)).await?;
        let value: Value =
            serde_json::from_str(&text).map_err(|_| format_compact!("HTTP {status}, an answer that cannot be read"))?;
        match value.get("code").and_then(Value::as_str) {
            Some("200000") => Ok((text, value)),
            code @ (Some(_) | None) => {
                // Too many requests, faults of theirs, and a clock that is learned anew.
                let passing = matches!(code, None | Some("429000" | "500000" | "900001" | "400002"));
                Err(Unlisted { why: words(status, code), passing })
            }
        }
    }

    /// Reads a page with the account's own key.
    pub(super) async fn own(&self, path: &str) -> Result<String, CompactString> {
        self.page(&self.wire, self.trade.as_ref(), path).await.map(|(text, _)| text).map_err(|unlisted| unlisted.why)
    }

    async fn keys(&self) -> Result<Vec<Row>, Unlisted> {
        let path = format!("/api/v1/sub/api-key?subName={}", percent_encode(&self.sub));
        let data = self.asked(self.master_key(), &path).await?;
        let rows = data.as_array().ok_or_else(|| CompactString::from("the list of keys is none"))?;
        let rows: Vec<Row> = rows.iter().filter_map(row).collect();
        self.listing.keep(&rows);
        Ok(rows)
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
        let Some(passphrase) = &self.passphrase else { return Asked::Refused(NO_PASSPHRASE.into()) };
        let named = RIGHTS.iter().filter(|(_, right)| rights.contains(right)).map(|(name, _)| *name);
        let permission = std::iter::once("General").chain(named).collect::<Vec<_>>().join(",");
        let body = json!({
            "subName": self.sub, "apiKey": row.id, "passphrase": passphrase.expose(), "permission": permission,
        });
        self.change(self.master_key(), Verb::Post, "/api/v1/sub/api-key/update", Some(&body.to_string())).await
    }
}

const NO_PASSPHRASE: &str = "the passphrase of the sub-account's keys is not configured";

fn row(row: &Value) -> Option<Row> {
    let id = row.get("apiKey")?.as_str()?;
    let label = row.get("remark").and_then(Value::as_str).map(|name| name.chars().take(64).collect());
    let rights = rights(&permission(row));
    Some(Row { id: id.to_owned(), seen: KeySeen { key: Fingerprint::of(id), label, rights, restriction: None } })
}

/// Returns the rights of a key as they are written: a list or a text.
fn permission(row: &Value) -> String {
    match row.get("permission") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Some(Value::String(names)) => names.clone(),
        Some(_) | None => String::new(),
    }
}

/// Reads a list of rights, in whatever case its names are written.
fn rights(permission: &str) -> BTreeSet<Right> {
    let plain = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let named: BTreeSet<String> = permission.split(',').map(plain).collect();
    let rights = RIGHTS.iter().filter(|(name, _)| named.contains(&plain(name))).map(|(_, right)| right.clone());
    rights.chain([Right::Read]).collect()
}

fn judge(status: u16, text: &str) -> Asked {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    match value.get("code").and_then(Value::as_str) {
        Some("200000") => Asked::Taken,
        Some("429000") => Asked::Later(std::time::Duration::from_secs(1)),
        // Their own words for a fault of theirs.
        Some("500000" | "900001") => Asked::Unclear(words(status, Some("500000"))),
        code @ (Some(_) | None) => Asked::Refused(words(status, code)),
    }
}

/// Says what a refusal means. The exchange's own sentence is left out: it may quote what was sent.
fn words(status: u16, code: Option<&str>) -> CompactString {
    let Some(code) = code else { return format_compact!("HTTP {status}") };
    let meaning = match code {
        "400003" => "our key does not exist any more",
        "400004" => "our passphrase is wrong",
        "400005" => "the signature is wrong: the secret is not this key's",
        "400006" => "our key is not allowed from this address",
        "400007" => "our key lacks the right",
        "400002" => "our clock is wrong",
        "411100" => "the account is frozen",
        "400100" => "a part of the request was refused",
        _ => "see KuCoin's list of errors",
    };
    // A code comes from outside: only what looks like one is repeated.
    let known = code.len() <= 8 && code.bytes().all(|byte| byte.is_ascii_digit());
    if known { format_compact!("{code}: {meaning}") } else { format_compact!("HTTP {status}") }
}
