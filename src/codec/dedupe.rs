//! A fill is counted once, however often and in whichever way it is told.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, Hasher};

use foldhash::{fast, quality};
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

use crate::domain::{AccountId, Basis, Fill, Timestamp, Via, Wallet};

/// The fills each account was seen to make; one entry an account, each bounded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    #[serde(with = "super::sorted")]
    accounts: HashMap<AccountId, Recent, fast::FixedState>,
    repeats: Repeats,
}

/// Fills that were told before and are dropped, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// All of them.
    pub dropped: u64,
    /// Those of them that the stream told after REST had: it had not lost them, it was late.
    pub late: u64,
}

/// Fills that only REST told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// All of them.
    pub all: u64,
    /// Those of them that traded while the link was up: the stream never sent them, or has not so far.
    pub unsent: u64,
}

/// How many fills of an account are remembered. A repeat comes from an overlapping connection or a look back over REST;
/// the longest is that of an interval which is asked for again because its last page failed.
const REMEMBERED: usize = 16_384;

/// Wallets of an account that are followed here; more than an account has.
const WALLETS: usize = 64;

/// The last fills of one account as fingerprints: 8 bytes each in order, and as a set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
struct Recent {
    order: VecDeque<u64>,
    set: HashSet<u64, fast::FixedState>,
    /// Those of them that only REST told so far.
    rest: HashSet<u64, fast::FixedState>,
    /// One entry a wallet, bounded.
    wallets: BTreeMap<Wallet, Watched>,
}

/// What is known of the link of one wallet.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Watched {
    /// Since when it is up.
    up: Option<Timestamp>,
    /// The end of the last interval that was verified.
    proven: Option<Timestamp>,
    /// Fills that only REST told, since the last interval was filled.
    recovered: Recovered,
}

/// `Recent` in a snapshot; the set is made again.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    order: VecDeque<u64>,
    rest: Vec<u64>,
    wallets: BTreeMap<Wallet, Watched>,
}

impl Seen {
    /// Tells whether this fill is told for the first time, and remembers it.
    ///
    /// A provisional fill has no id to compare; the codec that made it of running totals tells each once.
    /// With `prompt`, what REST told is not counted as recovered: the stream had no time to tell it.
    pub fn first(&mut self, fill: &Fill, wallet: &Wallet, prompt: bool) -> bool {
        if fill.basis == Basis::Provisional && fill.trade_id.is_none() {
            return true;
        }
        let fingerprint = fingerprint(fill);
        let recent = self.recent(&fill.account);
        let first = recent.remember(fingerprint);
        match (first, fill.via) {
            (true, Via::Rest) if !prompt => {
                recent.rest.insert(fingerprint);
                if let Some(watched) = recent.watched(wallet) {
                    let unsent = watched.up.is_some_and(|up| fill.time >= up);
                    watched.recovered.all = watched.recovered.all.saturating_add(1);
                    watched.recovered.unsent = watched.recovered.unsent.saturating_add(u64::from(unsent));
                }
            }
            (true, Via::Stream | Via::Rest) => {}
            (false, via) => {
                let late = via == Via::Stream && recent.rest.remove(&fingerprint);
                self.repeats.dropped = self.repeats.dropped.saturating_add(1);
                self.repeats.late = self.repeats.late.saturating_add(u64::from(late));
            }
        }
        first
    }

    /// Takes that a wallet's link came up, or was lost.
    pub fn link(&mut self, account: &AccountId, wallet: &Wallet, up: Option<Timestamp>) {
        if let Some(watched) = self.recent(account).watched(wallet) {
            watched.up = up;
        }
    }

    /// Takes that an interval of a wallet was asked for up to `until`. Returns how many fills only REST told since the
    /// last time.
    pub fn filled(&mut self, account: &AccountId, wallet: &Wallet, until: Timestamp, verified: bool) -> Recovered {
        let Some(watched) = self.recent(account).watched(wallet) else { return Recovered::default() };
        if verified {
            watched.proven = watched.proven.max(Some(until));
        }
        std::mem::take(&mut watched.recovered)
    }

    /// Returns up to when the exchange itself confirmed that no fill of a wallet is missing.
    pub fn proven_until(&self, account: &AccountId, wallet: &Wallet) -> Option<Timestamp> {
        self.accounts.get(account)?.wallets.get(wallet)?.proven
    }

    /// Returns how many repeats were dropped.
    pub fn repeats(&self) -> Repeats {
        self.repeats
    }

    fn recent(&mut self, account: &AccountId) -> &mut Recent {
        self.accounts.entry_ref(account).or_default()
    }
}

impl Recent {
    fn watched(&mut self, wallet: &Wallet) -> Option<&mut Watched> {
        if !self.wallets.contains_key(wallet) && self.wallets.len() < WALLETS {
            self.wallets.insert(wallet.clone(), Watched::default());
        }
        self.wallets.get_mut(wallet)
    }

    fn remember(&mut self, fingerprint: u64) -> bool {
        if !self.set.insert(fingerprint) {
            return false;
        }
        self.order.push_back(fingerprint);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
            self.rest.remove(&oldest);
        }
        true
    }
}

impl From<Stored> for Recent {
    fn from(stored: Stored) -> Self {
        let set = stored.order.iter().copied().collect();
        let rest = stored.rest.into_iter().collect();
        Recent { order: stored.order, set, rest, wallets: stored.wallets }
    }
}

impl From<Recent> for Stored {
    fn from(recent: Recent) -> Self {
        // In the order in which they were told: a set has none that two runs share.
        let rest = recent.order.iter().copied().filter(|fill| recent.rest.contains(fill)).collect();
        Stored { order: recent.order, rest, wallets: recent.wallets }
    }
}

/// Trade ids are unique within a symbol only, and a self-trade has one id for two orders. Spot and margin orders meet on
/// one book and share its ids; a contract's symbol is never that of a spot pair, so wallets need not be told apart here.
///
/// An exact fill without an id (a liquidation) is known by its figures: overlapping connections tell the very same ones.
fn fingerprint(fill: &Fill) -> u64 {
    // Written as bytes with an end mark, so that neighbours cannot run into each other.
    let mut hasher = quality::FixedState::with_seed(0x66_69_6c_6c).build_hasher();
    let mut part = |text: &str| {
        hasher.write(text.as_bytes());
        hasher.write_u8(0xff);
    };
    part(fill.symbol.base().as_str());
    part(fill.symbol.quote().as_str());
    part(&fill.order_id);
    match &fill.trade_id {
        Some(id) => part(id),
        None => {
            part("");
            part(&fill.price.to_string());
            part(&fill.quantity.to_string());
            hasher.write_i64(fill.time.nanos());
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::domain::{Price, Quantity, Side, Symbol, Timestamp, Venue};

    fn fill(trade: Option<&str>, order: &str) -> Fill {
        Fill {
            account: AccountId::new(Venue::Binance, "alice").unwrap(),
            symbol: Symbol::from_dashed("APPC-BTC").unwrap(),
            side: Side::Buy,
            price: Price::new(Decimal::ONE).unwrap(),
            quantity: Quantity::new(Decimal::ONE).unwrap(),
            notional: Decimal::ONE,
            fee: None,
            maker: None,
            trade_id: trade.map(Into::into),
            order_id: order.into(),
            client_order_id: None,
            source: None,
            order_type: None,
            time: Timestamp::from_millis(1_650_000_000_000),
            basis: Basis::Exact,
            via: Via::Stream,
        }
    }

    #[test]
    fn a_fill_is_first_once_whichever_way_it_comes() {
        let mut seen = Seen::default();
        assert!(seen.first(&fill(Some("1"), "9"), &Wallet::Spot, false));
        let mut again = fill(Some("1"), "9");
        again.via = Via::Rest;
        assert!(!seen.first(&again, &Wallet::Spot, false));
        let account = again.account;
        assert_eq!(
            seen.filled(&account, &Wallet::Spot, Timestamp::EPOCH, true),
            Recovered::default(),
            "the stream had told it"
        );
        assert_eq!(seen.repeats(), Repeats { dropped: 1, late: 0 });
    }

    #[test]
    fn what_only_rest_told_of_the_time_a_link_was_up_was_never_sent_unless_the_stream_tells_it_late() {
        let mut seen = Seen::default();
        let rest = |id: &str| Fill { via: Via::Rest, ..fill(Some(id), "9") };
        let (account, time) = (rest("1").account, rest("1").time);
        assert!(seen.first(&rest("1"), &Wallet::Spot, false), "before any link");
        seen.link(&account, &Wallet::Spot, Some(time));
        assert!(seen.first(&rest("2"), &Wallet::Spot, false));
        seen.link(&account, &Wallet::Spot, None);
        assert!(seen.first(&rest("3"), &Wallet::Spot, false), "while the link was down");
        let later = Timestamp::from_nanos(time.nanos() + 1);
        seen.link(&account, &Wallet::Spot, Some(later));
        assert!(seen.first(&rest("4"), &Wallet::Spot, false), "it traded before the link came up");
        assert_eq!(seen.filled(&account, &Wallet::Spot, later, false), Recovered { all: 4, unsent: 1 });
        assert_eq!(seen.proven_until(&account, &Wallet::Spot), None);
        assert_eq!(seen.filled(&account, &Wallet::Spot, later, true), Recovered::default());
        assert_eq!(seen.proven_until(&account, &Wallet::Spot), Some(later));
        assert!(
            !seen.first(&fill(Some("2"), "9"), &Wallet::Spot, false)
                && !seen.first(&fill(Some("2"), "9"), &Wallet::Spot, false)
        );
        assert_eq!(seen.repeats(), Repeats { dropped: 2, late: 1 }, "late once, then a repeat");
    }

    #[test]
    fn both_sides_of_a_self_trade_and_other_accounts_and_pairs_count() {
        let mut seen = Seen::default();
        assert!(
            seen.first(&fill(Some("1"), "9"), &Wallet::Spot, false)
                && seen.first(&fill(Some("1"), "10"), &Wallet::Spot, false)
        );
        let mut other = fill(Some("1"), "9");
        other.account = AccountId::new(Venue::Binance, "bob").unwrap();
        assert!(seen.first(&other, &Wallet::Spot, false));
        let mut other = fill(Some("1"), "9");
        other.symbol = Symbol::from_dashed("APP-CBTC").unwrap();
        assert!(seen.first(&other, &Wallet::Spot, false));
        assert!(
            seen.first(&fill(Some("19"), ""), &Wallet::Spot, false)
                && seen.first(&fill(Some("9"), "1"), &Wallet::Spot, false),
            "ids do not run together"
        );
    }

    #[test]
    fn an_exact_fill_without_an_id_is_known_by_its_figures() {
        let mut seen = Seen::default();
        let mut other = fill(None, "9");
        other.quantity = Quantity::new(Decimal::TWO).unwrap();
        assert!(
            seen.first(&fill(None, "9"), &Wallet::Spot, false)
                && seen.first(&other, &Wallet::Spot, false)
                && !seen.first(&fill(None, "9"), &Wallet::Spot, false)
        );
        let mut provisional = fill(None, "9");
        provisional.basis = Basis::Provisional;
        assert!(seen.first(&provisional, &Wallet::Spot, false) && seen.first(&provisional, &Wallet::Spot, false));
    }

    #[test]
    fn the_oldest_is_forgotten_and_the_rest_survives_a_snapshot() {
        let mut seen = Seen::default();
        for id in 0..=REMEMBERED {
            let mut one = fill(Some(&id.to_string()), "9");
            one.via = Via::Rest;
            assert!(seen.first(&one, &Wallet::Spot, false));
        }
        let bytes = postcard::to_stdvec(&seen).unwrap();
        let mut read: Seen = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(postcard::to_stdvec(&read).unwrap(), bytes);
        let recovered = read.filled(&fill(None, "9").account, &Wallet::Spot, Timestamp::EPOCH, true);
        assert_eq!(recovered, Recovered { all: REMEMBERED as u64 + 1, unsent: 0 });
        assert!(
            !read.first(&fill(Some("1"), "9"), &Wallet::Spot, false)
                && !read.first(&fill(Some(&REMEMBERED.to_string()), "9"), &Wallet::Spot, false)
        );
        assert!(read.first(&fill(Some("0"), "9"), &Wallet::Spot, false), "no more are remembered");
        assert!(bytes.len() < 20 * REMEMBERED + 64, "{}", bytes.len());
    }
}
