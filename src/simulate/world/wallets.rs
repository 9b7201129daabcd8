//! Wallets beside spot: margin trades the pairs of spot with money of its own, futures trade contracts on them.
//!
//! A wallet is an account of the world that has the owner's name and key, no habits, and comes into being when it is first
//! asked for; a contract likewise. So a world in which nobody asks for them is what it was.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::exchange::told;
use super::{Account, Deed, Fill, Happening, Holding, OrderKind, Pair, Status, Step, Tag, World};
use crate::domain::{Asset, Side, Symbol, Timestamp, Venue, Wallet};
use crate::simulate::dice::Dice;

/// Dollars in a wallet when it is opened.
const DOLLARS: i64 = 20_000;

impl World {
    /// Returns the place of an account's wallet.
    pub fn wallet(&mut self, who: usize, wallet: &Wallet) -> Option<usize> {
        let owner = self.accounts.get(who)?;
        if *wallet == Wallet::Spot {
            return Some(who);
        }
        let same = |other: &Account| (other.venue, &other.name, &other.wallet) == (owner.venue, &owner.name, wallet);
        if let Some(at) = self.accounts.iter().position(same) {
            return Some(at);
        }
        let free = |amount: Decimal| Holding { free: amount, locked: Decimal::ZERO };
        let mut holdings = BTreeMap::from([("USDT".to_owned(), free(Decimal::from(DOLLARS)))]);
        if *wallet != Wallet::Futures {
            let own = owner.holdings.iter().filter(|(asset, _)| *asset != "USDT");
            holdings.extend(own.map(|(asset, held)| (asset.clone(), free(held.free + held.locked))));
        }
        let opened = Account {
            wallet: wallet.clone(),
            holdings,
            name: owner.name.clone(),
            key: owner.key.clone(),
            dice: Dice::new(owner.uid, &wallet.to_string()),
            fills: Vec::new(),
            positions: BTreeMap::new(),
            barred: Default::default(),
            exchange: None,
            permissions: owner.permissions.clone(),
            sub_keys: Vec::new(),
            older: Vec::new(),
            ..*owner
        };
        self.accounts.push(opened);
        Some(self.accounts.len() - 1)
    }

    /// Returns the places of an account's wallets of isolated margin that were opened.
    pub fn isolated(&self, who: usize) -> Vec<usize> {
        let Some(owner) = self.accounts.get(who) else { return Vec::new() };
        let same = |other: &Account| (other.venue, &other.name) == (owner.venue, &owner.name);
        let isolated = |other: &Account| same(other) && matches!(other.wallet, Wallet::Isolated(_));
        (0..self.accounts.len()).filter(|at| self.accounts.get(*at).is_some_and(isolated)).collect()
    }

    /// Returns the account whose wallet this is: the one that its key finds.
    pub fn holder(&self, at: usize) -> usize {
        let wallet = self.accounts.get(at).filter(|owner| owner.wallet != Wallet::Spot);
        wallet.and_then(|owner| self.by_name(owner.venue, &owner.name)).unwrap_or(at)
    }

    /// Returns the perpetual contract on a Binance pair, as it is spelled there; opened at the pair's price.
    pub fn contract(&mut self, spelled: &str, now: Timestamp) -> Option<usize> {
        let known =
            |pair: &Pair| pair.venue == Venue::Binance && pair.symbol.is_contract() && pair.spelled() == spelled;
        if let Some(at) = self.pairs.iter().position(known) {
            return Some(at);
        }
        let spot = self.pairs.get(self.by_spelling(Venue::Binance, spelled)?)?;
        let base = Asset::new(&format!("{}_PERP", spot.base())).ok()?;
        let symbol = Symbol::new(base, spot.symbol.quote().clone());
        let pair = Pair::open(Venue::Binance, symbol, spot.scene.clone(), self.next_order, now);
        self.pairs.push(pair);
        self.resting.push(Vec::new());
        let at = self.pairs.len() - 1;
        let wait = self.pairs.get_mut(at).map_or(1.0, Pair::next_trade_in);
        self.plan(now, wait, Deed::Strangers(at));
        Some(at)
    }

    /// Takes a market order in a contract and fills it: only the fee moves money, the rest is a position.
    pub fn contract_order(
        &mut self,
        (who, at, side): (usize, usize, Side),
        quantity: Decimal,
        tag: Tag,
        now: Timestamp,
        news: &mut Vec<Happening>,
    ) -> Option<u64> {
        let book = self.pairs.get_mut(at)?;
        let quantity = book.lot_of(quantity);
        if quantity * book.last() < book.least() {
            return None;
        }
        let (levels, quote) = (book.sweep(side, quantity, now), book.quote().to_owned());
        let mut order = self.new_order((who, at, side), OrderKind::Market, quantity, tag, now);
        order.fee_asset.clone_from(&quote);
        news.push(told(&order, Step::Received, Vec::new(), now));
        for (price, quantity) in levels {
            let trade = self.pairs.get_mut(at)?.print(side, price, quantity, now);
            let (value, fee) = (price * quantity, (price * quantity * Decimal::new(5, 4)).round_dp(8));
            let owner = self.accounts.get_mut(who)?;
            let changed = vec![owner.change(&quote, -fee, Decimal::ZERO)];
            let signed = if side == Side::Buy { quantity } else { -quantity };
            *owner.positions.entry(at).or_default() += signed;
            order.filled += quantity;
            order.filled_quote += value;
            order.fees += fee;
            order.fills += 1;
            order.status = if order.filled >= order.quantity { Status::Filled } else { Status::Partly };
            self.fills += 1;
            let fill = Fill {
                serial: self.fills,
                pair: at,
                trade_id: trade.id,
                order_id: order.id,
                client_id: order.client_id.clone(),
                side,
                price,
                quantity,
                quote: value,
                fee,
                fee_asset: quote.clone(),
                maker: false,
                market: true,
                time: now,
                hostile: order.hostile,
            };
            self.record(who, &fill);
            news.push(Happening::Traded { pair: at, trade });
            news.push(told(&order, Step::Filled(fill), changed, now));
        }
        news.push(told(&order, Step::Done, Vec::new(), now));
        let id = order.id;
        self.keep(order);
        Some(id)
    }
}
