//! What a key may do, asked with that key itself. Nothing here changes anything.

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::Value;

use super::binance::BinanceArm;
use super::coinbase::CoinbaseArm;
use super::kucoin::KucoinArm;
use super::{Reach, RevokeKey};
use crate::domain::{Restriction, Right, Timestamp};
use crate::feed::ReadKey;
use crate::response::checkup::KeyFacts;

/// What Binance calls the rights of a key.
const BINANCE: [(&str, Right); 10] = [
    ("enableReading", Right::Read),
    ("enableSpotAndMarginTrading", Right::Trade),
    ("enableMargin", Right::Margin),
    ("enableFutures", Right::Futures),
    ("enableVanillaOptions", Right::Options),
    ("enablePortfolioMarginTrading", Right::Unified),
    ("enableWithdrawals", Right::Withdraw),
    ("enableInternalTransfer", Right::InternalTransfer),
    ("permitsUniversalTransfer", Right::UniversalTransfer),
    ("enableFixApiTrade", Right::FixTrade),
];
const COINBASE: [(&str, Right); 4] = [
    ("can_view", Right::Read),
    ("can_trade", Right::Trade),
    ("can_transfer", Right::Withdraw),
    ("can_receive", Right::Receive),
];

impl Reach {
    /// Asks an exchange what a key may do.
    pub async fn key_facts(&self, key: &ReadKey) -> Result<KeyFacts, CompactString> {
        let Some(key) = RevokeKey::of(key.clone()) else {
            return Err("Coinbase Exchange tells nothing of keys".into());
        };
        match &key {
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
                let value = arm.own("/sapi/v1/account/apiRestrictions").await?;
                let rights =
                    BINANCE.iter().filter_map(|(name, right)| Some((right.clone(), value.get(name)?.as_bool()?)));
                let restriction = match value.get("ipRestrict").and_then(Value::as_bool) {
                    Some(true) => Some(Restriction::Listed(None)),
                    Some(false) => Some(Restriction::Open),
                    None => None,
                };
                let time = |name: &str| value.get(name).and_then(Value::as_i64).and_then(Timestamp::from_magnitude);
                Ok(KeyFacts {
                    rights: rights.collect(),
                    restriction,
                    created: time("createTime"),
                    expires: time("tradingAuthorityExpirationTime"),
                })
            }
            RevokeKey::Kucoin(_) => {
                let wire = Arc::clone(&self.wires.kucoin);
                let arm = KucoinArm { wire, master: None, sub: String::new(), passphrase: None, trade: Some(key) };
                let value = arm.own("/api/v1/user/api-key").await?;
                let text = |name: &str| value.get(name).and_then(Value::as_str);
                let rights = super::kucoin::rights(text("permission").unwrap_or_default());
                let open = text("ipWhitelist").is_none_or(str::is_empty);
                let restriction = if open { Restriction::Open } else { Restriction::Listed(None) };
                let time = |name: &str| value.get(name).and_then(Value::as_i64).and_then(Timestamp::from_magnitude);
                Ok(KeyFacts {
                    rights: rights.into_iter().map(|right| (right, true)).collect(),
                    restriction: Some(restriction),
                    created: time("createdAt"),
                    expires: time("expireAt"),
                })
            }
            RevokeKey::Coinbase(_) => {
                let (wire, login) = (Arc::clone(&self.wires.coinbase), Arc::clone(&self.wires.login));
                let arm = CoinbaseArm { wire, login, trade: Some(key), token: None, from: None };
                let value = arm.asked("/key_permissions", "").await?;
                let rights =
                    COINBASE.iter().filter_map(|(name, right)| Some((right.clone(), value.get(name)?.as_bool()?)));
                Ok(KeyFacts { rights: rights.collect(), ..KeyFacts::default() })
            }
        }
    }
}
