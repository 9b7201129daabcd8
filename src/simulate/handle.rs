//! The hand on a running simulator: what really happened, and what shall happen next.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::broken::How;
use super::floor::{Floor, News};
use super::spelling;
use super::world::{Amount, Happening, Tag, World};
use super::{Error, SimAccount};
use crate::domain::{AccountId, Price, Quantity, Side, Symbol, Timestamp, Venue, Wallet};
use crate::runtime::clock;

/// Commands and truth of a running simulator.
#[derive(Clone)]
pub struct Handle {
    pub(super) floor: Arc<Floor>,
}

/// What really happened, as only the exchange and the thief know.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Every fill since the start, in order (the last 50,000).
    pub fills: Vec<TrueFill>,
    /// When the first hostile order was filled.
    pub first_hostile: Option<Timestamp>,
    /// When the last one was.
    pub last_hostile: Option<Timestamp>,
}

/// One fill, spelled as its venue spells it.
#[derive(Clone, Debug)]
pub struct TrueFill {
    /// Whose.
    pub account: AccountId,
    /// Which pair.
    pub symbol: Symbol,
    /// The trade's id.
    pub trade_id: String,
    /// The order's id.
    pub order_id: String,
    /// The id the order's sender chose.
    pub client_order_id: String,
    /// Which way.
    pub side: Side,
    /// The price.
    pub price: Price,
    /// The base.
    pub quantity: Quantity,
    /// The quote.
    pub notional: Decimal,
    /// When, by the exchange's clock.
    pub time: Timestamp,
    /// True when a thief sent the order.
    pub hostile: bool,
}

impl Handle {
    pub(super) fn new(floor: Arc<Floor>) -> Self {
        Handle { floor }
    }

    /// Returns what really happened so far.
    pub fn truth(&self) -> Truth {
        let world = self.floor.world();
        let fills: Vec<TrueFill> = world.lived.iter().filter_map(|(who, fill)| truly(&world, *who, fill)).collect();
        let hostile = || fills.iter().filter(|fill| fill.hostile).map(|fill| fill.time);
        let (first_hostile, last_hostile) = (hostile().min(), hostile().max());
        Truth { first_hostile, last_hostile, fills }
    }

    /// Makes an account trade at market now, `quote` worth of a pair; returns the order's id.
    pub fn trade(&self, account: &AccountId, symbol: &Symbol, side: Side, quote: Decimal) -> Result<String, Error> {
        self.send((account, &Wallet::Spot), symbol, side, quote, false)
    }

    /// Makes an account's wallet trade at market now, `quote` worth of a pair; returns the order's id. On futures the
    /// pair is a contract, such as `BTC_PERP-USDT`, and a sell goes short.
    pub fn trade_in(
        &self,
        wallet: &Wallet,
        account: &AccountId,
        symbol: &Symbol,
        side: Side,
        quote: Decimal,
    ) -> Result<String, Error> {
        self.send((account, wallet), symbol, side, quote, false)
    }

    /// Makes a thief trade in an account's wallet now; returns the order's id.
    pub fn steal_in(
        &self,
        wallet: &Wallet,
        account: &AccountId,
        symbol: &Symbol,
        side: Side,
        quote: Decimal,
    ) -> Result<String, Error> {
        self.send((account, wallet), symbol, side, quote, true)
    }

    /// Keeps the next `count` fills of a wallet from its feed; its REST answers still have them.
    pub fn lose_fills_in(&self, wallet: &Wallet, account: &AccountId, count: u32) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        let at = world.wallet(who, wallet).ok_or_else(|| unknown(account))?;
        world.accounts.get_mut(at).map(|owner| owner.lose += count).ok_or_else(|| unknown(account))
    }

    /// Takes from an account's key the right to one of its wallets, or gives it back.
    pub fn bar(&self, wallet: &Wallet, account: &AccountId, barred: bool) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        let owner = world.accounts.get_mut(who).ok_or_else(|| unknown(account))?;
        match barred {
            true => drop(owner.barred.insert(wallet.clone())),
            false => drop(owner.barred.remove(wallet)),
        }
        Ok(())
    }

    /// Starts the scripted attack now.
    pub fn attack(&self) {
        self.floor.world().attack(clock::now());
    }

    /// Gives an account money, as a deposit does.
    pub fn deposit(&self, account: &AccountId, asset: &str, amount: Decimal) -> Result<(), Error> {
        self.deposit_in(&Wallet::Spot, account, asset, amount)
    }

    /// Moves money into a wallet of an account.
    pub fn deposit_in(&self, wallet: &Wallet, account: &AccountId, asset: &str, amount: Decimal) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        let at = world.wallet(who, wallet).ok_or_else(|| unknown(account))?;
        if let Some(owner) = world.accounts.get_mut(at) {
            owner.change(asset, amount, Decimal::ZERO);
        }
        Ok(())
    }

    /// Drops every socket of a venue without a farewell.
    pub fn cut(&self, venue: Venue) {
        self.floor.tell(venue, News::Cut(venue));
    }

    /// Makes Binance announce that its sockets will end.
    pub fn server_shutdown(&self) {
        self.floor.tell(Venue::Binance, News::ServerShutdown);
    }

    /// Leaves `count` sequence numbers out on every Coinbase socket.
    pub fn skip_sequence(&self, count: u64) {
        self.floor.tell(Venue::Coinbase, News::Skip(count));
    }

    /// Sends the last message of every Coinbase socket again, with its old sequence number.
    pub fn repeat_sequence(&self) {
        self.floor.tell(Venue::Coinbase, News::Again);
    }

    /// Keeps the next `count` fills of an account from its feed; its REST answers still have them.
    pub fn lose_fills(&self, account: &AccountId, count: u32) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        world.accounts.get_mut(who).map(|owner| owner.lose += count).ok_or_else(|| unknown(account))
    }

    /// Sends the next `count` fills of an account twice.
    pub fn double_fills(&self, account: &AccountId, count: u32) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        world.accounts.get_mut(who).map(|owner| owner.double += count).ok_or_else(|| unknown(account))
    }

    /// Deletes an account's key.
    pub fn revoke(&self, account: &AccountId) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        world.accounts.get_mut(who).map(|owner| owner.revoked = true).ok_or_else(|| unknown(account))
    }

    /// Gives an account one key more, with which it is returned; those it had are taken as before.
    pub fn rekey(&self, account: &AccountId) -> Result<SimAccount, Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        world.rekey(who)?;
        world.accounts.get(who).map(SimAccount::of).ok_or_else(|| unknown(account))
    }

    /// Returns how often sockets were opened at an address, as [`super::Places`] tells it.
    pub fn connects(&self, address: &str) -> u64 {
        self.floor.opened(address)
    }

    /// Makes an account's key of no use, in the way given; `None` mends it.
    pub fn break_key(&self, account: &AccountId, how: Option<How>) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        world.break_key(who, how);
        Ok(())
    }

    /// Moves a KuCoin account to the unified mode, or back: its orders come on the other feed from now on.
    pub fn unify(&self, account: &AccountId, unified: bool) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        world.accounts.get_mut(who).map(|owner| owner.unified = unified).ok_or_else(|| unknown(account))
    }

    /// Hides from a KuCoin key which mode its account is in, or shows it again.
    pub fn hide_mode(&self, account: &AccountId, hidden: bool) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        world.accounts.get_mut(who).map(|owner| owner.mode_hidden = hidden).ok_or_else(|| unknown(account))
    }

    /// Lets an account's key withdraw, or not: what somebody does who widens a key.
    pub fn permit_withdrawals(&self, account: &AccountId, withdraw: bool) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        world.accounts.get_mut(who).map(|owner| owner.permissions.withdraw = withdraw).ok_or_else(|| unknown(account))
    }

    /// Gives or takes a right of an account's key by name: `trade`, `margin`, `futures`, `internal_transfer`,
    /// `universal_transfer` or `withdraw`.
    pub fn permit(&self, account: &AccountId, right: &str, on: bool) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        let set = world.accounts.get_mut(who).is_some_and(|owner| owner.permissions.set(right, on));
        if set { Ok(()) } else { Err(Error::Refused(format!("there is no right {right} in this simulator"))) }
    }

    /// Restricts an account's key to addresses, or to none when there are none. Only told, not enforced.
    pub fn restrict(&self, account: &AccountId, addresses: &[&str]) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        world.accounts.get_mut(who).map(|owner| owner.permissions.addresses = addresses).ok_or_else(|| unknown(account))
    }

    /// Says from now on that an account's key was made at another time.
    pub fn remake_key(&self, account: &AccountId, made: Timestamp) -> Result<(), Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        world.accounts.get_mut(who).map(|owner| owner.key_made = made).ok_or_else(|| unknown(account))
    }

    /// Makes a key of a sub-account with these rights; returns its id.
    pub fn add_sub_key(
        &self,
        account: &AccountId,
        holder: &str,
        label: &str,
        rights: &[&str],
    ) -> Result<String, Error> {
        let mut world = self.floor.world();
        let who = find(&world, account)?;
        let rights: Vec<String> = rights.iter().map(|right| (*right).to_owned()).collect();
        Ok(world.make_sub_key(who, holder, label, &rights, clock::now()))
    }

    fn send(
        &self,
        (account, wallet): (&AccountId, &Wallet),
        symbol: &Symbol,
        side: Side,
        quote: Decimal,
        hostile: bool,
    ) -> Result<String, Error> {
        let now = clock::now();
        let mut news = Vec::new();
        let sent = {
            let mut world = self.floor.world();
            let spot = find(&world, account)?;
            let (base, quote_asset) = (symbol.base().as_str(), symbol.quote().as_str());
            let pair = match wallet {
                Wallet::Spot | Wallet::Margin | Wallet::Isolated(_) => {
                    world.by_assets(account.venue, base, quote_asset).filter(|_| !symbol.is_contract())
                }
                Wallet::Futures => {
                    let of = base.strip_suffix("_PERP").filter(|_| account.venue == Venue::Binance);
                    of.and_then(|of| world.contract(&format!("{of}{quote_asset}"), now))
                }
            };
            let pair = pair.ok_or_else(|| Error::Refused(format!("{symbol} does not trade at {}", account.venue)))?;
            let who = world.wallet(spot, wallet).ok_or_else(|| unknown(account))?;
            let owner = world.accounts.get_mut(who).ok_or_else(|| unknown(account))?;
            let (client_id, by_hand) = if hostile { (owner.dice.word(22), false) } else { owner.client_id() };
            let tag = Tag { client_id, by_hand, hostile };
            match wallet {
                Wallet::Spot | Wallet::Margin | Wallet::Isolated(_) => {
                    world.market_order((who, pair, side), Amount::Quote(quote), tag, now, &mut news)
                }
                Wallet::Futures => {
                    let price = world.pairs.get(pair).map(|book| book.last()).unwrap_or_default();
                    let quantity = quote.checked_div(price).unwrap_or_default();
                    world.contract_order((who, pair, side), quantity, tag, now, &mut news)
                }
            }
        };
        let id = sent.ok_or_else(|| Error::Refused(format!("{account} has no money for {quote} of {symbol}")))?;
        self.publish(news);
        Ok(spelling::order_id(account.venue, id, now))
    }

    fn publish(&self, news: Vec<Happening>) {
        self.floor.publish(news);
    }
}

pub(super) fn find(world: &World, account: &AccountId) -> Result<usize, Error> {
    world.by_name(account.venue, &account.name).ok_or_else(|| unknown(account))
}

pub(super) fn unknown(account: &AccountId) -> Error {
    Error::Refused(format!("there is no account {account} in this scenario"))
}

fn truly(world: &World, who: usize, fill: &super::world::Fill) -> Option<TrueFill> {
    let (owner, pair) = (world.accounts.get(who)?, world.pairs.get(fill.pair)?);
    Some(TrueFill {
        account: AccountId::new(owner.venue, &owner.name).ok()?,
        symbol: pair.symbol.clone(),
        trade_id: spelling::trade_id(owner.venue, fill.pair, fill.trade_id),
        order_id: spelling::order_id(
            owner.venue,
            fill.order_id,
            world.orders.get(&fill.order_id).map_or(fill.time, |order| order.created),
        ),
        client_order_id: fill.client_id.clone(),
        side: fill.side,
        price: Price::new(fill.price).ok()?,
        quantity: Quantity::new(fill.quantity).ok()?,
        notional: fill.quote,
        time: fill.time,
        hostile: fill.hostile,
    })
}
