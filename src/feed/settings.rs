//! What the feeds are told: where the exchanges are, whose keys to use, how patient to be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use rust_decimal::Decimal;

use super::error::Error;
use super::market_cap::MarketCap;
use super::sign::{BinanceSigner, CoinbaseSigner, ExchangeSigner, KeyError, KucoinSigner};
use crate::domain::{AccountId, Asset, Symbol, Timestamp, Venue, Wallet};
use crate::runtime::backoff;
use crate::secret::Secret;

/// What the feeds are told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Binance is.
    pub binance: Binance,
    /// Where KuCoin is.
    pub kucoin: Kucoin,
    /// Where Coinbase is.
    pub coinbase: Coinbase,
    /// How patient to be.
    pub timing: Timing,
    /// A PEM file of certificates to trust besides the machine's own.
    pub extra_ca: Option<PathBuf>,
    /// Whom to watch.
    pub accounts: Vec<Account>,
    /// Which wallets of them to watch; of an account that is not named here the spot wallet.
    pub wallets: BTreeMap<AccountId, Wallets>,
    /// Pairs to watch besides those the accounts touch.
    pub watch: Vec<(Venue, Symbol)>,
    /// Pairs of an exchange that are watched at most because accounts trade or hold them; those in use are left out last.
    pub market_pairs: usize,
    /// Where to read what assets are worth in all; nowhere by default.
    pub market_cap: Vec<MarketCap>,
    /// What is remembered of accounts from before this start. It tells where to look for fills that were missed at an
    /// exchange that has no list of all of them.
    pub remembered: BTreeMap<AccountId, Remembered>,
    /// Who used the keys, from the user's own side.
    pub access: super::access::Settings,
    /// How many times faster everything is: each duration is divided by it, each allowance multiplied. For exchanges
    /// played in a hurry; 0 and 1 are the usual pace, and no file sets it.
    pub hurry: u32,
}

/// What is remembered of an account from before this start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The pairs it traded.
    pub pairs: BTreeSet<Symbol>,
    /// What it held when it was last heard of; nothing when nobody said.
    pub balances: BTreeMap<Asset, Decimal>,
    /// What it held in other wallets than spot.
    pub wallets: BTreeMap<Wallet, BTreeMap<Asset, Decimal>>,
}

/// Which of an account's wallets to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wallets {
    /// The wallets; each may need a right of the key.
    pub watched: BTreeSet<Wallet>,
    /// Up to when the fills of those other than spot are known (from the journal).
    pub known_until: BTreeMap<Wallet, Timestamp>,
}

/// A watched account and the key to read it with.
#[derive(Clone, Debug)]
pub struct Account {
    /// Whose.
    pub id: AccountId,
    /// The key.
    pub key: ReadKey,
    /// Up to when its fills are known (from the journal); none when it was never watched before.
    pub known_until: Option<Timestamp>,
}

/// A key that reads. It signs; it never hands out its bytes, and its `Debug` shows nothing of it.
#[derive(Clone, Debug)]
pub enum ReadKey {
    /// A Binance key.
    Binance {
        /// The key's id, as it travels in every call.
        key: Secret,
        /// What signs.
        signer: BinanceSigner,
    },
    /// A KuCoin key.
    Kucoin(KucoinSigner),
    /// A Coinbase key.
    Coinbase(CoinbaseSigner),
    /// A Coinbase Exchange key.
    CoinbaseExchange(ExchangeSigner),
}

/// Where Binance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binance {
    /// REST: scheme and host.
    pub rest: String,
    /// The WebSocket API, where accounts are watched.
    pub ws_api: String,
    /// Market streams: scheme and host, without `/stream`.
    pub stream: String,
    /// REST of USDⓈ-M futures: scheme and host.
    pub futures_rest: String,
    /// Streams of USDⓈ-M futures: scheme and host, without `/private/ws` and `/market/stream`.
    pub futures_stream: String,
    /// Accounts on one connection; Binance allows 1,000.
    pub accounts_per_connection: usize,
    /// Pairs on one market connection; each takes two of the 1,024 streams Binance allows.
    pub pairs_per_connection: usize,
}

/// Where KuCoin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kucoin {
    /// REST: scheme and host. The classic feed's address comes from there.
    pub rest: String,
    /// The unified account's feed.
    pub uta_push: String,
    /// Pairs on one market connection; each takes two of the 300 topics KuCoin allows.
    pub pairs_per_connection: usize,
}

/// Where Coinbase is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coinbase {
    /// REST: scheme, host and `/api/v3/brokerage` left out.
    pub rest: String,
    /// The feed of the account's orders.
    pub ws_user: String,
    /// The feed of the market.
    pub ws_market: String,
    /// Coinbase Exchange's REST: scheme and host.
    pub exchange_rest: String,
    /// Coinbase Exchange's feed.
    pub exchange_ws: String,
    /// Pairs on one market connection.
    pub pairs_per_connection: usize,
}

/// How patient to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a connection, and the first answer on it, may take.
    pub connect: Duration,
    /// How long an answer to a subscription may take.
    pub ack: Duration,
    /// A connection quiet for this long is pinged.
    pub silence: Duration,
    /// How long the answer to that ping may take.
    pub pong: Duration,
    /// How long Coinbase's heartbeat (one a second) may be missing.
    pub heartbeat: Duration,
    /// Age at which a connection is replaced before the exchange cuts it at 24 h; up to a twentieth is taken off at
    /// random, so that connections made together are not replaced together.
    pub renew: Duration,
    /// Waits before connecting again.
    pub backoff: backoff::Settings,
    /// Waits before trying a key again that was refused.
    pub refused: backoff::Settings,
    /// After an order changed on Coinbase its fills are asked for this much later, with those of other orders.
    pub debounce: Duration,
    /// How often an account is compared with the exchange's own list although its connection looks healthy; zero for
    /// never. It also finds a key that died while its feed was quiet.
    pub reconcile: Duration,
    /// How far before a gap its filling begins, because exchanges deliver late.
    pub overlap: Duration,
    /// How far back an account never watched before is read.
    pub lookback: Duration,
    /// How often the listen key of a futures feed is kept alive; Binance lets it die after 60 minutes.
    pub keep_alive: Duration,
    /// The shortest time between two messages we send on a market connection (Binance cuts off above 5 a second).
    pub spacing: Duration,
    /// The span of candles a pair's memory is seeded with.
    pub seed: Duration,
}

impl Timing {
    /// Returns this patience in a world that is so many times faster.
    pub fn hurried(self, times: u32) -> Self {
        let times = times.max(1);
        let waits = |of: backoff::Settings| backoff::Settings {
            min: of.min / times,
            max: of.max / times,
            healthy: of.healthy / times,
        };
        Timing {
            connect: self.connect / times,
            ack: self.ack / times,
            silence: self.silence / times,
            pong: self.pong / times,
            heartbeat: self.heartbeat / times,
            renew: self.renew / times,
            backoff: waits(self.backoff),
            refused: waits(self.refused),
            debounce: self.debounce / times,
            reconcile: self.reconcile / times,
            overlap: self.overlap / times,
            lookback: self.lookback / times,
            spacing: self.spacing / times,
            seed: self.seed / times,
            keep_alive: self.keep_alive / times,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            binance: Binance::default(),
            kucoin: Kucoin::default(),
            coinbase: Coinbase::default(),
            timing: Timing::default(),
            extra_ca: None,
            accounts: Vec::new(),
            wallets: BTreeMap::new(),
            watch: Vec::new(),
            market_pairs: 1_000,
            market_cap: Vec::new(),
            remembered: BTreeMap::new(),
            access: super::access::Settings::default(),
            hurry: 1,
        }
    }
}

impl Default for Binance {
    fn default() -> Self {
        Binance {
            rest: "https://api.binance.com".to_owned(),
            ws_api: "wss://ws-api.binance.com:443/ws-api/v3".to_owned(),
            stream: "wss://stream.binance.com:443".to_owned(),
            futures_rest: "https://fapi.binance.com".to_owned(),
            futures_stream: "wss://fstream.binance.com".to_owned(),
            accounts_per_connection: 1_000,
            pairs_per_connection: 200,
        }
    }
}

impl Default for Kucoin {
    fn default() -> Self {
        Kucoin {
            rest: "https://api.kucoin.com".to_owned(),
            uta_push: "wss://wsapi-push.kucoin.com".to_owned(),
            pairs_per_connection: 100,
        }
    }
}

impl Default for Coinbase {
    fn default() -> Self {
        Coinbase {
            rest: "https://api.coinbase.com".to_owned(),
            ws_user: "wss://advanced-trade-ws-user.coinbase.com".to_owned(),
            ws_market: "wss://advanced-trade-ws.coinbase.com".to_owned(),
            exchange_rest: "https://api.exchange.coinbase.com".to_owned(),
            exchange_ws: "wss://ws-feed.exchange.coinbase.com".to_owned(),
            pairs_per_connection: 100,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Timing {
            connect: secs(10),
            ack: secs(10),
            silence: secs(60),
            pong: secs(10),
            heartbeat: secs(10),
            renew: secs(23 * 3_600),
            backoff: backoff::Settings::default(),
            refused: backoff::Settings { min: secs(60), max: secs(1_800), healthy: secs(60) },
            debounce: secs(1),
            reconcile: secs(300),
            overlap: secs(60),
            lookback: secs(24 * 3_600),
            keep_alive: secs(1_800),
            spacing: Duration::from_millis(300),
            seed: secs(24 * 3_600),
        }
    }
}

impl ReadKey {
    /// Takes a Binance key: its id and its secret (HMAC text, or an Ed25519 private key in PEM).
    pub fn binance(key: &str, secret: &Secret) -> Result<Self, KeyError> {
        let key = key.trim();
        super::sign::plain(key, "key id")?;
        Ok(ReadKey::Binance { key: Secret::new(key.to_owned()), signer: BinanceSigner::new(secret)? })
    }

    /// Takes a KuCoin key: its id, secret, passphrase and version (1 to 3).
    pub fn kucoin(key: &str, secret: &Secret, passphrase: &Secret, version: u8) -> Result<Self, KeyError> {
        KucoinSigner::new(key, secret, passphrase, version).map(ReadKey::Kucoin)
    }

    /// Takes a Coinbase key: its name and private key (PEM, or base64 of an Ed25519 seed).
    pub fn coinbase(name: &str, secret: &Secret) -> Result<Self, KeyError> {
        CoinbaseSigner::new(name, secret).map(ReadKey::Coinbase)
    }

    /// Takes a Coinbase Exchange key: its id, its secret (base64) and its passphrase.
    pub fn coinbase_exchange(key: &str, secret: &Secret, passphrase: &Secret) -> Result<Self, KeyError> {
        ExchangeSigner::new(key, secret, passphrase).map(ReadKey::CoinbaseExchange)
    }

    /// Returns the exchange it is for.
    pub fn venue(&self) -> Venue {
        match self {
            ReadKey::Binance { .. } => Venue::Binance,
            ReadKey::Kucoin(_) => Venue::Kucoin,
            ReadKey::Coinbase(_) | ReadKey::CoinbaseExchange(_) => Venue::Coinbase,
        }
    }
}

impl Wallets {
    /// Watches the spot wallet alone.
    pub fn spot() -> Self {
        Wallets { watched: BTreeSet::from([Wallet::Spot]), known_until: BTreeMap::new() }
    }
}

impl Settings {
    /// Returns the wallets to watch, account by account.
    pub fn watched(&self) -> impl Iterator<Item = (AccountId, Wallet)> {
        self.accounts.iter().flat_map(|account| {
            let wallets = self.wallets.get(&account.id).cloned().unwrap_or_else(Wallets::spot);
            wallets.watched.into_iter().map(|wallet| (account.id.clone(), wallet))
        })
    }

    /// Refuses an account whose key is another exchange's, and a wallet that cannot be watched.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.accounts.iter().find(|account| account.id.venue != account.key.venue()) {
            Some(_) => Err(Error::Protocol("an account's key is for another exchange than the account")),
            None if self.watched().any(|(id, wallet)| id.venue != Venue::Binance && wallet != Wallet::Spot) => {
                Err(Error::Protocol("only Binance's margin and futures wallets can be watched"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_key_is_shown() {
        let secret = || Secret::new("very-hidden".into());
        let keys = [
            ReadKey::binance("visible-id", &secret()).unwrap(),
            ReadKey::kucoin("visible-id", &secret(), &secret(), 3).unwrap(),
            ReadKey::coinbase_exchange("visible-id", &Secret::new("dmVyeS1oaWRkZW4=".into()), &secret()).unwrap(),
        ];
        for key in keys {
            let shown = format!("{key:?}");
            assert!(!shown.contains("hidden") && !shown.contains("visible"), "{shown}");
        }
    }
}
