//! A fill is counted once, however often and in whichever way it is told.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, Hasher};

use foldhash::{fast, quality};
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

use crate::domain::{AccountId, Basis, Fill, Via, Wallet};

/// The fills each account was seen to make; one entry an account, each bounded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    #[serde(with = "super::sorted")]
    accounts: HashMap<AccountId, Recent, fast::FixedState>,
}

/// How many fills of an account are remembered. A repeat comes from an overlapping connection or a look back over REST,
/// whose pages hold at most 1,000 rows.
const REMEMBERED: usize = 4_096;

/// Wallets of an account whose recovered fills are counted; more than an account has.
const WALLETS: usize = 64;

/// The last fills of one account as fingerprints: 8 bytes each in order, and as a set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
struct Recent {
    order: VecDeque<u64>,
    set: HashSet<u64, fast::FixedState>,
    /// Fills that only REST told, since the wallet's last interval was filled; one entry a wallet, bounded.
    recovered: BTreeMap<Wallet, u64>,
}

/// `Recent` in a snapshot; the set is made again.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    order: VecDeque<u64>,
    recovered: BTreeMap<Wallet, u64>,
}

impl Seen {
    /// Tells whether this fill is told for the first time, and remembers it.
    ///
    /// A provisional fill has no id to compare; the codec that made it of running totals tells each once.
    pub fn first(&mut self, fill: &Fill, wallet: &Wallet) -> bool {
        if fill.basis == Basis::Provisional && fill.trade_id.is_none() {
            return true;
        }
        let fingerprint = fingerprint(fill);
        let recent = match self.accounts.get_mut(&fill.account) {
            Some(recent) => recent,
            None => self.accounts.entry(fill.account.clone()).or_default(),
        };
        let first = recent.remember(fingerprint);
        if first && fill.via == Via::Rest {
            recent.count_recovered(wallet);
        }
        first
    }

    /// Returns how many fills of a wallet only REST told since this was last asked, and counts anew.
    pub fn recovered(&mut self, account: &AccountId, wallet: &Wallet) -> u64 {
        self.accounts.get_mut(account).and_then(|recent| recent.recovered.remove(wallet)).unwrap_or(0)
    }
}

impl Recent {
    fn count_recovered(&mut self, wallet: &Wallet) {
        if let Some(recovered) = self.recovered.get_mut(wallet) {
            *recovered = recovered.saturating_add(1);
        } else if self.recovered.len() < WALLETS {
            self.recovered.insert(wallet.clone(), 1);
        }
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
        }
        true
    }
}

impl From<Stored> for Recent {
    fn from(stored: Stored) -> Self {
        let set = stored.order.iter().copied().collect();
        Recent { order: stored.order, set, recovered: stored.recovered }
    }
}

impl From<Recent> for Stored {
    fn from(recent: Recent) -> Self {
        Stored { order: recent.order, recovered: recent.recovered }
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
        assert!(seen.first(&fill(Some("1"), "9"), &Wallet::Spot));
        let mut again = fill(Some("1"), "9");
        again.via = Via::Rest;
        assert!(!seen.first(&again, &Wallet::Spot));
        assert_eq!(seen.recovered(&again.account, &Wallet::Spot), 0, "the stream had told it");
    }

    #[test]
    fn both_sides_of_a_self_trade_and_other_accounts_and_pairs_count() {
        let mut seen = Seen::default();
        assert!(seen.first(&fill(Some("1"), "9"), &Wallet::Spot) && seen.first(&fill(Some("1"), "10"), &Wallet::Spot));
        let mut other = fill(Some("1"), "9");
        other.account = AccountId::new(Venue::Binance, "bob").unwrap();
        assert!(seen.first(&other, &Wallet::Spot));
        let mut other = fill(Some("1"), "9");
        other.symbol = Symbol::from_dashed("APP-CBTC").unwrap();
        assert!(seen.first(&other, &Wallet::Spot));
        assert!(
            seen.first(&fill(Some("19"), ""), &Wallet::Spot) && seen.first(&fill(Some("9"), "1"), &Wallet::Spot),
            "ids do not run together"
        );
    }

    #[test]
    fn an_exact_fill_without_an_id_is_known_by_its_figures() {
        let mut seen = Seen::default();
        let mut other = fill(None, "9");
        other.quantity = Quantity::new(Decimal::TWO).unwrap();
        assert!(
            seen.first(&fill(None, "9"), &Wallet::Spot)
                && seen.first(&other, &Wallet::Spot)
                && !seen.first(&fill(None, "9"), &Wallet::Spot)
        );
        let mut provisional = fill(None, "9");
        provisional.basis = Basis::Provisional;
        assert!(seen.first(&provisional, &Wallet::Spot) && seen.first(&provisional, &Wallet::Spot));
    }

    #[test]
    fn the_oldest_is_forgotten_and_the_rest_survives_a_snapshot() {
        let mut seen = Seen::default();
        for id in 0..=REMEMBERED {
            let mut one = fill(Some(&id.to_string()), "9");
            one.via = Via::Rest;
            assert!(seen.first(&one, &Wallet::Spot));
        }
        let bytes = postcard::to_stdvec(&seen).unwrap();
        let mut read: Seen = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(postcard::to_stdvec(&read).unwrap(), bytes);
        assert_eq!(read.recovered(&fill(None, "9").account, &Wallet::Spot), REMEMBERED as u64 + 1);
        assert!(
            !read.first(&fill(Some("1"), "9"), &Wallet::Spot)
                && !read.first(&fill(Some(&REMEMBERED.to_string()), "9"), &Wallet::Spot)
        );
        assert!(read.first(&fill(Some("0"), "9"), &Wallet::Spot), "4,096 are remembered");
        assert!(bytes.len() < 10 * REMEMBERED + 64);
    }
}
