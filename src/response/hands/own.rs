//! What a key may do, asked with that key itself and read by the codec that judges the same page while we watch. Nothing
//! here changes anything.

use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use serde_json::value::RawValue;

use super::binance::BinanceArm;
use super::coinbase::CoinbaseArm;
use super::kucoin::KucoinArm;
use super::{Reach, RevokeKey};
use crate::arrival::{Arrival, Body, Source};
use crate::codec::{self, Codecs};
use crate::domain::{AccountId, EventKind, FeedKind, Fingerprint, KeyState};
use crate::feed::ReadKey;
use crate::runtime::clock;

/// What an exchange says of the key that asks.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyPage {
    /// What could be read.
    pub state: KeyState,
    /// What could not, a sentence each.
    pub unread: Vec<CompactString>,
}

impl Reach {
    /// Asks an exchange what an account's key may do.
    pub async fn key_page(&self, account: &AccountId, key: &ReadKey) -> Result<KeyPage, CompactString> {
        let Some(key) = RevokeKey::of(key.clone()) else {
            return Err("Coinbase Exchange tells nothing of keys".into());
        };
        let fingerprint = key.fingerprint();
        let (call, page) = match &key {
            RevokeKey::Binance { .. } => {
                let arm = BinanceArm {
                    wire: Arc::clone(&self.wires.binance),
                    futures: Arc::clone(&self.wires.futures),
                    master: None,
                    purse: None,
                    sub: String::new(),
                    trade: Some(key),
                    wallets: Default::default(),
                };
                ("sapi/v1/account/apiRestrictions", arm.own("/sapi/v1/account/apiRestrictions").await?)
            }
            RevokeKey::Kucoin(_) => {
                let arm = KucoinArm {
                    wire: Arc::clone(&self.wires.kucoin),
                    futures: Arc::clone(&self.wires.kucoin_futures),
                    master: None,
                    sub: String::new(),
                    passphrase: None,
                    trade: Some(key),
                };
                ("user/api-key", arm.own("/api/v1/user/api-key").await?)
            }
            RevokeKey::Coinbase(_) => {
                let (wire, login) = (Arc::clone(&self.wires.coinbase), Arc::clone(&self.wires.login));
                let arm = CoinbaseArm { wire, login, trade: Some(key), token: None, from: None };
                ("key_permissions", arm.own("/key_permissions").await?)
            }
        };
        read(account, call, &fingerprint, page)
    }
}

/// Hands a page to the codec as the feeds do.
fn read(account: &AccountId, call: &str, key: &Fingerprint, page: String) -> Result<KeyPage, CompactString> {
    let frame = RawValue::from_string(page).map_err(|_| "its answer is no JSON")?;
    let call = format_compact!("{call}?key={key}");
    let from = Source::AccountRest(account.clone());
    let arrival = Arrival { n: 1, at: clock::now(), from, body: Body::Page { call, frame } };
    let mut events = Vec::new();
    Codecs::new(&codec::Settings::default()).decode(&arrival, &mut events);
    let (mut state, mut unread) = (None, Vec::new());
    for event in events {
        if let EventKind::KeyState(told) = event.kind {
            state = Some(told);
        } else if let EventKind::Feed(change) = event.kind
            && let FeedKind::Unreadable(why) = change.kind
        {
            unread.push(why);
        }
    }
    match state {
        Some(state) => Ok(KeyPage { state, unread }),
        None => Err(unread.into_iter().next().unwrap_or_else(|| "its answer says nothing of a key".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Restriction, Right};

    fn page(account: &str, call: &str, page: &str) -> Result<KeyPage, CompactString> {
        read(&account.parse().unwrap(), call, &Fingerprint::of("an id"), page.to_owned())
    }

    #[test]
    fn a_page_is_read_as_the_feeds_read_it() {
        let text = r#"{"ipRestrict":false,"createTime":1698645219000,"enableReading":true,"enableFixReadOnly":true,
            "enableSpotAndMarginTrading":false,"enableSomethingNew":true}"#;
        let told = page("binance/alice", "sapi/v1/account/apiRestrictions", text).unwrap();
        let on: Vec<&str> = told.state.rights.iter().filter(|(_, on)| **on).map(|(right, _)| right.as_str()).collect();
        assert_eq!(on, ["read", "fix_read", "enableSomethingNew"]);
        assert_eq!(told.state.restriction, Some(Restriction::Open));
        let text = r#"{"code":"200000","data":{"apiKey":"k","permission":"general, SPOT,InnerTransfer"}}"#;
        let told = page("kucoin/bob", "user/api-key", text).unwrap().state;
        assert!([Right::Read, Right::Trade, Right::InternalTransfer].iter().all(|right| told.rights[right]));
        assert_eq!(told.restriction, None, "a page that lacks other fields says nothing by a missing list");
        let text = r#"{"can_view":true,"can_trade":"yes","can_transfer":false}"#;
        let told = page("coinbase/carol", "key_permissions", text).unwrap();
        assert_eq!(told.state.rights.get(&Right::Trade), None);
        assert_eq!(told.unread.len(), 1, "{told:?}");
        for nothing in ["{}", "[]", "<html>", r#"{"code":-2015,"msg":"no"}"#] {
            assert!(page("binance/alice", "sapi/v1/account/apiRestrictions", nothing).is_err(), "{nothing}");
        }
    }
}
