//! The simulated exchanges behind their faces: pairs, traders, orders and time, with no socket in sight.
//!
//! A world is stepped: whatever is due by `now` happens, in order, and is returned as what the faces have to tell.

mod attack;
mod exchange;
mod keys;
mod ledger;
mod market;
mod minutes;
mod past;
mod traders;
mod wallets;

use std::collections::BTreeMap;
use std::collections::VecDeque;

use rust_decimal::Decimal;

use super::Error;
use super::broken::How;
use super::keys::Key;
use super::scenario::Scenario;
use crate::domain::{AccountId, Span, Symbol, Timestamp, Venue};
pub use attack::Strike;
pub use exchange::{Amount, Tag};
pub use ledger::{
    Account, Changed, Fill, Holding, Kind, Order, OrderKind, Permissions, Role, Status, SubKey, fee_rate,
};
pub use market::{Pair, PublicTrade};
pub use minutes::Candle;

/// Orders kept before the oldest finished ones are forgotten.
const ORDERS: usize = 200_000;
/// Fills kept for each account, and hostile or live fills kept for the truth.
const FILLS: usize = 50_000;

/// All venues, their pairs and accounts, and what is going to happen.
#[derive(Debug)]
pub struct World {
    /// Every pair of every venue.
    pub pairs: Vec<Pair>,
    /// Every account of every venue.
    pub accounts: Vec<Account>,
    /// Orders by number.
    pub orders: BTreeMap<u64, Order>,
    /// Every fill since the start, in order: account and fill.
    pub lived: VecDeque<(usize, Fill)>,
    scenario: Scenario,
    speed: f64,
    resting: Vec<Vec<u64>>,
    agenda: BTreeMap<(Timestamp, u64), Deed>,
    planned: u64,
    next_order: u64,
    fills: u64,
    /// Places of accounts, by key and by name: ten thousand are not searched one by one.
    by_key: BTreeMap<(Venue, String), usize>,
    by_name: BTreeMap<(Venue, String), usize>,
}

/// What is going to happen at a time.
#[derive(Clone, Debug)]
enum Deed {
    Strangers(usize),
    Habit(usize),
    Strike(Strike),
    Key(usize),
    Break(usize, How),
}

/// What the faces have to tell.
#[derive(Clone, Debug)]
pub enum Happening {
    /// Somebody traded; everybody may know.
    Traded {
        /// The pair: place among the world's pairs.
        pair: usize,
        /// The trade.
        trade: PublicTrade,
    },
    /// An order of an account changed; its owner may know.
    Order(Box<OrderNews>),
}

/// A change of an order.
#[derive(Clone, Debug)]
pub struct OrderNews {
    /// The order after the change.
    pub order: Order,
    /// What changed.
    pub step: Step,
    /// The holdings that changed with it.
    pub changed: Vec<Changed>,
    /// When.
    pub time: Timestamp,
}

/// What changed of an order.
#[derive(Clone, Debug)]
pub enum Step {
    /// The exchange took it.
    Received,
    /// It rests on the book.
    Opened,
    /// It was filled, in part or whole.
    Filled(Fill),
    /// Nothing of it is left.
    Done,
    /// It was cancelled.
    Cancelled,
}

impl World {
    /// Makes a world as it is at `now`, with its past.
    pub fn new(scenario: &Scenario, seed: u64, speed: f64, now: Timestamp) -> Result<Self, Error> {
        let mut world = World {
            pairs: Vec::new(),
            accounts: Vec::new(),
            orders: BTreeMap::new(),
            lived: VecDeque::new(),
            scenario: scenario.clone(),
            speed,
            resting: Vec::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            fills: 0,
            by_key: BTreeMap::new(),
            by_name: BTreeMap::new(),
            next_order: 6_000_000_000 + seed % 1_000_000_007,
        };
        for venue in Venue::ALL {
            for scene in scenario.pairs(venue) {
                let symbol = Symbol::from_dashed(&scene.symbol)
                    .map_err(|why| Error::Scenario(format!("{}: {why}", scene.symbol)))?;
                world.pairs.push(Pair::open(venue, symbol, scene, seed, now));
                world.resting.push(Vec::new());
            }
        }
        for venue in Venue::ALL {
            world.settle_accounts(venue, seed, now)?;
        }
        let accounts = || world.accounts.iter().enumerate();
        world.by_key = accounts().map(|(at, one)| ((one.venue, one.key.id.clone()), at)).collect();
        world.by_name = accounts().map(|(at, one)| ((one.venue, one.name.clone()), at)).collect();
        world.remember_past(now);
        for pair in 0..world.pairs.len() {
            let wait = world.pairs.get_mut(pair).map_or(1.0, Pair::next_trade_in);
            world.plan(now, wait, Deed::Strangers(pair));
        }
        for account in 0..world.accounts.len() {
            let wait = world.first_habit(account);
            world.plan(now, wait, Deed::Habit(account));
        }
        for (place, change) in scenario.key_changes.iter().enumerate() {
            world.account_of(change)?;
            world.plan(now, change.after_secs, Deed::Key(place));
        }
        for key in &scenario.broken {
            let found = key.account.parse().ok().and_then(|id: AccountId| world.by_name(id.venue, &id.name));
            let Some(account) = found else {
                return Err(Error::Scenario(format!("broken: there is no account {}", key.account)));
            };
            match key.after_secs > 0.0 {
                true => world.plan(now, key.after_secs, Deed::Break(account, key.how)),
                false => world.break_key(account, Some(key.how)),
            }
        }
        if let Some(after) = scenario.attack_after_secs {
            world.plan_attack(now + seconds(after));
        }
        Ok(world)
    }

    /// Lets everything that is due by `now` happen.
    pub fn step(&mut self, now: Timestamp) -> Vec<Happening> {
        let mut news = Vec::new();
        while let Some(due) = self.agenda.first_entry() {
            if due.key().0 > now {
                break;
            }
            let deed = due.remove();
            match deed {
                Deed::Strangers(pair) => {
                    self.strangers_trade(pair, now, &mut news);
                    let wait = self.pairs.get_mut(pair).map_or(60.0, Pair::next_trade_in);
                    self.plan(now, wait, Deed::Strangers(pair));
                }
                Deed::Habit(account) => {
                    let wait = self.follow_habit(account, now, &mut news);
                    self.plan(now, wait, Deed::Habit(account));
                }
                Deed::Strike(strike) => self.strike(strike, now, &mut news),
                Deed::Key(change) => self.change_key(change, now),
                Deed::Break(account, how) => self.break_key(account, Some(how)),
            }
        }
        news
    }

    /// Returns when something happens next.
    pub fn next(&self) -> Option<Timestamp> {
        self.agenda.keys().next().map(|key| key.0)
    }

    /// Starts the attack at `now`, whatever the scenario said.
    pub fn attack(&mut self, now: Timestamp) {
        self.agenda.retain(|_, deed| !matches!(deed, Deed::Strike(_)));
        self.plan_attack(now);
    }

    /// Breaks an account's key, or mends it.
    pub fn break_key(&mut self, account: usize, how: Option<How>) {
        if let Some(owner) = self.accounts.get_mut(account) {
            owner.broken = how;
            owner.unified |= how == Some(How::Unified);
        }
    }

    /// Finds an account by venue and key.
    pub fn by_key(&self, venue: Venue, key: &str) -> Option<usize> {
        self.by_key.get(&(venue, key.to_owned())).copied()
    }

    /// Returns an account's key of an id.
    pub fn key_of(&self, account: usize, id: &str) -> Option<&Key> {
        let owner = self.accounts.get(account)?;
        Some(owner.older.iter().find(|key| key.id == id).unwrap_or(&owner.key))
    }

    /// Gives an account one key more, which is its own from now on; those it had are taken as before.
    pub fn rekey(&mut self, account: usize) -> Result<(), Error> {
        let Some(owner) = self.accounts.get_mut(account) else { return Ok(()) };
        let key = Key::make(owner.venue, owner.key.is_ed25519(), &mut owner.dice)?;
        self.by_key.insert((owner.venue, key.id.clone()), account);
        owner.older.push(std::mem::replace(&mut owner.key, key));
        if let Some(exchange) = &mut owner.exchange {
            owner.older.push(std::mem::replace(exchange, Key::exchange(&mut owner.dice)));
        }
        Ok(())
    }

    /// Has a key taken no longer; an account that has no other keeps its own.
    pub fn forget_key(&mut self, id: &str) {
        let found = self.by_key.iter().find(|((_, known), _)| known == id).map(|(key, who)| (key.clone(), *who));
        let Some((place, who)) = found else { return };
        let Some(owner) = self.accounts.get_mut(who) else { return };
        owner.older.retain(|key| key.id != id);
        if owner.key.id == id {
            match owner.older.pop() {
                Some(key) => owner.key = key,
                None => owner.revoked = true,
            }
        }
        self.by_key.remove(&place);
    }

    /// Finds an account by venue and name.
    pub fn by_name(&self, venue: Venue, name: &str) -> Option<usize> {
        self.by_name.get(&(venue, name.to_owned())).copied()
    }

    /// Finds a pair by the way its venue spells it.
    pub fn by_spelling(&self, venue: Venue, text: &str) -> Option<usize> {
        self.pairs.iter().position(|pair| pair.venue == venue && pair.spelled() == text)
    }

    /// Finds a pair by its assets.
    pub fn by_assets(&self, venue: Venue, base: &str, quote: &str) -> Option<usize> {
        self.pairs.iter().position(|pair| pair.venue == venue && pair.base() == base && pair.quote() == quote)
    }

    /// Returns a venue's pairs with their places, contracts left out.
    pub fn pairs_of(&self, venue: Venue) -> impl Iterator<Item = (usize, &Pair)> {
        self.pairs.iter().enumerate().filter(move |(_, pair)| pair.venue == venue && !pair.symbol.is_contract())
    }

    /// Returns an account's open orders, oldest first.
    pub fn open_orders(&self, account: usize) -> Vec<&Order> {
        let mut ids: Vec<u64> = self.resting.iter().flatten().copied().collect();
        ids.sort_unstable();
        ids.iter().filter_map(|id| self.orders.get(id)).filter(|order| order.account == account).collect()
    }

    fn plan(&mut self, now: Timestamp, wait: f64, deed: Deed) {
        self.planned += 1;
        self.agenda.insert((now + seconds(wait), self.planned), deed);
    }

    fn take_order_id(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order
    }

    fn keep(&mut self, order: Order) {
        self.orders.insert(order.id, order);
        while self.orders.len() > ORDERS {
            let Some((&oldest, _)) = self.orders.iter().find(|(_, order)| !order.is_open()) else { break };
            self.orders.remove(&oldest);
        }
    }

    fn record(&mut self, account: usize, fill: &Fill) {
        if let Some(owner) = self.accounts.get_mut(account) {
            owner.fills.push(fill.clone());
            if owner.fills.len() > FILLS {
                owner.fills.drain(..FILLS / 10);
            }
        }
        self.lived.push_back((account, fill.clone()));
        if self.lived.len() > FILLS {
            self.lived.pop_front();
        }
    }
}

impl Pair {
    /// Returns the pair as its venue spells it.
    pub fn spelled(&self) -> String {
        match self.venue {
            // A contract is spelled as the pair it is on.
            Venue::Binance => format!("{}{}", self.base().trim_end_matches("_PERP"), self.quote()),
            Venue::Kucoin | Venue::Coinbase => format!("{}-{}", self.base(), self.quote()),
        }
    }

    /// What is bought and sold.
    pub fn base(&self) -> &str {
        self.symbol.base().as_str()
    }

    /// What it is paid with.
    pub fn quote(&self) -> &str {
        self.symbol.quote().as_str()
    }

    /// Returns the least quote an order may have.
    pub fn least(&self) -> Decimal {
        match self.quote() {
            "BTC" => Decimal::new(1, 4),
            _ => Decimal::from(5),
        }
    }
}

/// Turns seconds into a span.
pub fn seconds(secs: f64) -> Span {
    Span::from_nanos((secs.clamp(0.0, 1e9) * 1e9) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Side;

    const START: Timestamp = Timestamp::from_millis(1_760_000_000_000);

    fn lived(speed: f64, minutes: i64) -> (World, Vec<Happening>) {
        let scenario = Scenario { history_days: 1, ..Scenario::default() };
        let mut world = World::new(&scenario, 11, speed, START).unwrap();
        let mut news = Vec::new();
        for second in 0..minutes * 60 {
            news.extend(world.step(START + Span::from_secs(second)));
        }
        (world, news)
    }

    #[test]
    fn the_same_seed_and_times_give_the_same_world() {
        let trace = |news: Vec<Happening>| format!("{news:?}");
        assert_eq!(trace(lived(10.0, 3).1), trace(lived(10.0, 3).1));
    }

    #[test]
    fn money_moves_only_as_fills_and_fees_say() {
        let scenario = Scenario { history_days: 1, ..Scenario::default() };
        let mut world = World::new(&scenario, 11, 20.0, START).unwrap();
        let total = |world: &World| -> Vec<BTreeMap<String, Decimal>> {
            let sum = |account: &Account| {
                account.holdings.iter().map(|(asset, h)| (asset.clone(), h.free + h.locked)).collect()
            };
            world.accounts.iter().map(sum).collect()
        };
        let mut expected = total(&world);
        for second in 0..300 {
            world.step(START + Span::from_secs(second));
        }
        assert!(world.lived.len() > 200, "{}", world.lived.len());
        for (who, fill) in &world.lived {
            let (pair, purse) = (&world.pairs[fill.pair], &mut expected[*who]);
            let (base, quote) = match fill.side {
                Side::Buy => (fill.quantity, -fill.quote),
                Side::Sell => (-fill.quantity, fill.quote),
            };
            *purse.entry(pair.base().to_owned()).or_default() += base;
            *purse.entry(pair.quote().to_owned()).or_default() += quote;
            *purse.entry(fill.fee_asset.clone()).or_default() -= fill.fee;
        }
        assert_eq!(total(&world), expected);
        let negative =
            |account: &&Account| account.holdings.values().any(|h| h.free < Decimal::ZERO || h.locked < Decimal::ZERO);
        let poor: Vec<&str> = world.accounts.iter().filter(negative).map(|account| account.name.as_str()).collect();
        assert!(poor.is_empty(), "{poor:?}");
    }

    #[test]
    fn the_theft_sells_holdings_and_buys_one_thin_pair_at_rising_prices() {
        let (world, _) = lived(1.0, 4);
        for (who, victim) in world.accounts.iter().enumerate().filter(|(_, a)| a.role == Role::Victim) {
            let hostile: Vec<&Fill> = world
                .lived
                .iter()
                .filter(|(owner, fill)| *owner == who && fill.hostile)
                .map(|(_, fill)| fill)
                .collect();
            let sold: Vec<&&Fill> = hostile.iter().filter(|fill| fill.side == Side::Sell).collect();
            let bought: Vec<&&Fill> = hostile.iter().filter(|fill| fill.side == Side::Buy).collect();
            assert!(sold.iter().all(|fill| !world.pairs[fill.pair].scene.thin), "{}", victim.name);
            assert!(bought.iter().all(|fill| world.pairs[fill.pair].scene.thin), "{}", victim.name);
            let mut pairs: Vec<usize> = sold.iter().map(|fill| fill.pair).collect();
            pairs.dedup();
            assert!((2..=4).contains(&pairs.len()), "{pairs:?}");
            assert!(
                bought.len() > 10 && bought.last().unwrap().price > bought[0].price * Decimal::new(13, 1),
                "{bought:?}"
            );
            assert!(hostile.last().unwrap().time.since(hostile[0].time) < Span::from_secs(60));
            let thin = &world.pairs[bought[0].pair];
            let spent: Decimal = bought.iter().map(|fill| fill.quote).sum();
            assert!(victim.free(thin.quote()) < spent / Decimal::TEN, "the money is not drained");
            let own = world.lived.iter().filter(|(owner, fill)| *owner == who && !fill.hostile);
            assert!(own.clone().all(|(_, fill)| fill.client_id.starts_with("stack-")));
            assert!(hostile.iter().all(|fill| !fill.client_id.starts_with("stack-")));
        }
        let hostile = world.lived.iter().filter(|(_, fill)| fill.hostile).count();
        assert!(hostile > 60, "{hostile}");
    }

    #[test]
    fn a_deleted_key_ends_the_theft_of_that_account() {
        let scenario = Scenario { attack_after_secs: Some(5.0), history_days: 0, ..Scenario::default() };
        let mut world = World::new(&scenario, 11, 1.0, START).unwrap();
        for account in &mut world.accounts {
            account.revoked |= account.role == Role::Victim;
        }
        for second in 0..60 {
            world.step(START + Span::from_secs(second));
        }
        assert!(world.lived.iter().all(|(_, fill)| !fill.hostile));
    }

    #[test]
    fn habits_leave_a_past_in_order_and_with_its_own_grammar() {
        let (world, _) = lived(1.0, 0);
        for account in &world.accounts {
            assert!(account.fills.len() > 20, "{} has {} fills", account.name, account.fills.len());
            assert!(account.fills.windows(2).all(|two| two[0].time <= two[1].time && two[0].serial < two[1].serial));
            assert!(account.fills.iter().all(|fill| fill.time <= START && !fill.hostile));
        }
    }
}
