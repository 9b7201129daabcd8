//! The keys that act. They are another type than the keys that read, from other files, and nothing but a response takes
//! them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::domain::{AccountId, Fingerprint, Venue};
use crate::feed::ReadKey;
use crate::feed::sign::{BinanceSigner, CoinbaseSigner, KucoinSigner};
use crate::secret::Secret;

/// A key that may change something at an exchange. It signs; its `Debug` shows nothing of it.
#[derive(Clone)]
pub enum RevokeKey {
    /// A Binance key.
    Binance {
        /// The key's id, as it travels in every call.
        key: Secret,
        /// What signs.
        signer: BinanceSigner,
    },
    /// A KuCoin key.
    Kucoin(KucoinSigner),
    /// A Coinbase Advanced key.
    Coinbase(CoinbaseSigner),
}

/// A master account's key: it manages the keys of sub-accounts.
#[derive(Clone, Debug)]
pub struct Master {
    /// What the configuration calls it.
    pub name: String,
    /// The key.
    pub key: RevokeKey,
    /// True where the sub-accounts are a broker's, who has calls of their own.
    pub broker: bool,
}

/// What may act on one account.
#[derive(Clone, Debug, Default)]
pub struct Holder {
    /// The name of the master whose sub-account it is.
    pub master: Option<String>,
    /// The sub-account, by e-mail (Binance), name (KuCoin) or a broker's number.
    pub sub_account: Option<String>,
    /// The passphrase of the sub-account's keys, which KuCoin wants to see before it changes or deletes one.
    pub sub_passphrase: Option<Secret>,
    /// A key of the account itself that may cancel orders.
    pub trade: Option<RevokeKey>,
    /// An application's token at Coinbase.
    pub token: Option<Secret>,
    /// The portfolio the key sees, where money may be moved out of it.
    pub move_from: Option<String>,
}

/// All keys that act.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Master accounts, by exchange and name.
    pub masters: BTreeMap<(Venue, String), Arc<Master>>,
    /// What may act on each account.
    pub holders: BTreeMap<AccountId, Holder>,
}

impl RevokeKey {
    /// Makes a key that acts of a key that was read; none for Coinbase Exchange, whose orders are not acted on.
    pub fn of(key: ReadKey) -> Option<Self> {
        match key {
            ReadKey::Binance { key, signer } => Some(RevokeKey::Binance { key, signer }),
            ReadKey::Kucoin(signer) => Some(RevokeKey::Kucoin(signer)),
            ReadKey::Coinbase(signer) => Some(RevokeKey::Coinbase(signer)),
            ReadKey::CoinbaseExchange(_) => None,
        }
    }

    /// Returns the key's fingerprint, so that it never takes itself away.
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            RevokeKey::Binance { key, .. } => Fingerprint::of(key.expose()),
            RevokeKey::Kucoin(signer) => Fingerprint::of(signer.id()),
            RevokeKey::Coinbase(signer) => Fingerprint::of(signer.id()),
        }
    }
}

impl fmt::Debug for RevokeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RevokeKey::Binance { .. } => "Binance(<redacted>)",
            RevokeKey::Kucoin(_) => "Kucoin(<redacted>)",
            RevokeKey::Coinbase(_) => "Coinbase(<redacted>)",
        })
    }
}
