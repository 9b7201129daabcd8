//! What the feeds are told: where the exchanges are, whose keys to use, how patient to be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use tokio::sync::watch;

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
    /// The sub-accounts whose keys are listed with an account's key; none of those that are not here.
    pub sub_accounts: BTreeMap<AccountId, SubAccounts>,
    /// How many times faster everything is: each duration is divided by it, each allowance multiplied. For exchanges
    /// played in a hurry; 0 and 1 are the usual pace, and no file sets it.
    pub hurry: u32,
    /// Whom to watch from now on, where that may change while the feeds run; without it `accounts` are watched.
    pub roll: Option<watch::Receiver<Arc<Roll>>>,
    /// How much is asked of each exchange.
    pub limits: Limits,
}

/// The sub-accounts whose keys are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SubAccounts {
    /// None: the key is no master's, or nobody wants to know.
    #[default]
    None,
    /// All that the exchange names.
    All,
    /// These, by e-mail (Binance) or name (KuCoin).
    Named(Vec<String>),
}

impl SubAccounts {
    /// Returns whether a text can be the e-mail or name of a sub-account, and may stand in a call.
    pub fn is_name(text: &str) -> bool {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@+".contains(&byte))
    }
}

/// The accounts to watch from now on. Those that are gone from it are watched no longer.
#[derive(Clone, Debug, Default)]
pub struct Roll {
    /// Whom to watch.
    pub accounts: Vec<Account>,
    /// Which wallets of them to watch; of an account that is not named here the spot wallet.
    pub wallets: BTreeMap<AccountId, Wallets>,
    /// What is remembered of those that are new.
    pub remembered: BTreeMap<AccountId, Remembered>,
    /// The sub-accounts whose keys are listed with an account's key.
    pub sub_accounts: BTreeMap<AccountId, SubAccounts>,
}

/// How much is asked of each exchange. All of it is counted by our address, so that it is shared with the user's own
/// programs behind the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Binance's request weight in a minute; it allows 6,000.
    pub binance_weight: u32,
    /// Connections to Binance in five minutes; it allows 300.
    pub binance_connects: u32,
    /// The request weight of Binance's futures in a minute; it allows 2,400.
    pub binance_futures_weight: u32,
    /// Connections to Binance's futures in five minutes; it allows 300.
    pub binance_futures_connects: u32,
    /// KuCoin's request weight in 30 s; it allows 2,000.
    pub kucoin_weight: u32,
    /// Connections to KuCoin in a minute; it allows 30.
    pub kucoin_connects: u32,
    /// Calls to Coinbase in a second; it allows 10.
    pub coinbase_calls: u32,
    /// Calls to Coinbase Exchange in a second; it allows each profile 15.
    pub coinbase_exchange_calls: u32,
    /// Connections to Coinbase in a second; it allows 8.
    pub coinbase_connects: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            binance_weight: 4_800,
            binance_connects: 280,
            binance_futures_weight: 1_920,
            binance_futures_connects: 280,
            kucoin_weight: 2_000,
            kucoin_connects: 30,
            coinbase_calls: 10,
            coinbase_exchange_calls: 10,
            coinbase_connects: 8,
        }
    }
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
    /// REST of futures: scheme and host. Nothing is watched there; a response cancels futures orders.
    pub futures_rest: String,
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
    /// How often it is asked what each key may do, a tenth more or less at random; zero for never.
    pub key_state: Duration,
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
            key_state: self.key_state / times,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            sub_accounts: BTreeMap::new(),
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
            roll: None,
            limits: Limits::default(),
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
            futures_rest: "https://api-futures.kucoin.com".to_owned(),
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
            key_state: secs(300),
            overlap: secs(60),
            lookback: secs(24 * 3_600),
            keep_alive: secs(1_800),
            spacing: Duration::from_millis(300),
            seed: secs(24 * 3_600),
        }
    }
}

impl ReadKey {
    /// Takes a Binance key: its id and its secret (HMAC text, or an Ed25519 or RSA private key in PEM).
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

    /// Says whether both are the same key: a changed secret, passphrase or version makes another one.
    pub fn same(&self, other: &ReadKey) -> bool {
        match (self, other) {
            (ReadKey::Binance { key, signer }, ReadKey::Binance { key: other, signer: by }) => {
                key == other && signer.same(by)
            }
            (ReadKey::Kucoin(signer), ReadKey::Kucoin(other)) => signer.same(other),
            (ReadKey::Coinbase(signer), ReadKey::Coinbase(other)) => signer.same(other),
            (ReadKey::CoinbaseExchange(signer), ReadKey::CoinbaseExchange(other)) => signer.same(other),
            (ReadKey::Binance { .. } | ReadKey::Kucoin(_) | ReadKey::Coinbase(_) | ReadKey::CoinbaseExchange(_), _) => {
                false
            }
        }
    }

    /// Returns the key's id, for telling that two accounts have the same; it is not to be shown.
    pub(crate) fn id(&self) -> &str {
        match self {
            ReadKey::Binance { key, .. } => key.expose(),
            ReadKey::Kucoin(signer) => signer.id(),
            ReadKey::Coinbase(signer) => signer.id(),
            ReadKey::CoinbaseExchange(signer) => signer.id(),
        }
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

impl Roll {
    /// Returns the wallets to watch, account by account.
    pub fn watched(&self) -> impl Iterator<Item = (AccountId, Wallet)> {
        wallets_of(&self.accounts, &self.wallets)
    }
}

/// Returns the wallets to watch of each account.
fn wallets_of(
    accounts: &[Account],
    wallets: &BTreeMap<AccountId, Wallets>,
) -> impl Iterator<Item = (AccountId, Wallet)> {
    accounts.iter().flat_map(|account| {
        let wallets = wallets.get(&account.id).cloned().unwrap_or_else(Wallets::spot);
        wallets.watched.into_iter().map(|wallet| (account.id.clone(), wallet))
    })
}

impl Settings {
    /// Returns the wallets to watch, account by account.
    pub fn watched(&self) -> impl Iterator<Item = (AccountId, Wallet)> {
        wallets_of(&self.accounts, &self.wallets)
    }

    /// Returns the accounts as they are to be watched at first.
    pub fn first_roll(&self) -> Roll {
        let (accounts, wallets) = (self.accounts.clone(), self.wallets.clone());
        let (remembered, sub_accounts) = (self.remembered.clone(), self.sub_accounts.clone());
        Roll { accounts, wallets, remembered, sub_accounts }
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
