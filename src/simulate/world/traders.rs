//! The ordinary accounts: who they are, what they own and what they do.

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::ledger::Holding;
use super::{Account, Amount, Happening, Kind, Permissions, Role, Tag, World};
use crate::domain::{Side, Span, Timestamp, Venue};
use crate::simulate::Error;
use crate::simulate::dice::Dice;
use crate::simulate::keys::Key;

const NAMES: [&str; 16] = [
    "amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "heath", "iris", "jade", "kelp", "lark", "maple",
    "north", "olive", "pearl",
];
impl World {
    /// Opens a venue's accounts with their keys and money.
    pub(super) fn settle_accounts(&mut self, venue: Venue, seed: u64, now: Timestamp) -> Result<(), Error> {
        let scene = self.scenario.scene(venue);
        let counts = [
            (Role::Ordinary(Kind::Dca), scene.dca),
            (Role::Ordinary(Kind::Grid), scene.grid),
            (Role::Ordinary(Kind::Retail), scene.retail),
            (Role::Ordinary(Kind::Rebalancer), scene.rebalancer),
            (Role::Ordinary(Kind::Chaser), scene.chaser),
            (Role::Victim, scene.victims),
        ];
        let unified = usize::try_from(scene.unified).unwrap_or(0);
        let roles = counts.iter().flat_map(|(role, count)| (0..*count).map(|_| *role)).collect::<Vec<_>>();
        for (place, role) in roles.into_iter().enumerate() {
            let name = match (NAMES.get(place), place / NAMES.len()) {
                (Some(name), _) => (*name).to_owned(),
                (None, round) => format!("{}{}", NAMES.get(place % NAMES.len()).unwrap_or(&"oak"), round + 1),
            };
            let mut dice = Dice::new(seed, &format!("account/{venue}/{name}"));
            let key = Key::make(venue, place % 3 == 1, &mut dice)?;
            // A chance of its own, so that nothing else in the world depends on it.
            let exchange = (venue == Venue::Coinbase)
                .then(|| Key::exchange(&mut Dice::new(seed, &format!("account/{venue}-exchange/{name}"))));
            let liquid: Vec<(usize, String, String, f64)> = self
                .pairs_of(venue)
                .filter(|(_, pair)| !pair.scene.thin && pair.scene.price_decimals <= 2)
                .map(|(at, pair)| (at, pair.base().to_owned(), pair.quote().to_owned(), pair.scene.price))
                .collect();
            let any = self.pairs_of(venue).map(|(at, _)| at).next().unwrap_or(0);
            let home = liquid.get(dice.below(liquid.len())).map_or(any, |pair| pair.0);
            let mut account = Account {
                venue,
                name,
                wallet: Default::default(),
                barred: Default::default(),
                positions: Default::default(),
                role,
                key,
                older: Vec::new(),
                exchange,
                key_made: now - Span::from_secs(86_400 * 400 + i64::try_from(dice.below(20_000_000)).unwrap_or(0)),
                revoked: false,
                broken: None,
                mode_hidden: false,
                permissions: Permissions {
                    trade: true,
                    addresses: vec!["127.0.0.1".to_owned()],
                    ..Permissions::default()
                },
                sub_keys: Vec::new(),
                unified: venue == Venue::Kucoin && place < unified,
                uid: 100_000_000 + dice.bits() % 800_000_000,
                holdings: Default::default(),
                fills: Vec::new(),
                home,
                sent: 0,
                lose: 0,
                double: 0,
                dice,
            };
            let rich = if role == Role::Victim { 1.0 } else { 4.0 };
            for (at, base, quote, price) in &liquid {
                let value = account.dice.around(3_500.0 * rich, 0.4);
                let decimals = self.pairs.get(*at).map_or(2, |pair| pair.scene.lot_decimals);
                let free = Decimal::from_f64(value / price).unwrap_or_default().round_dp(decimals);
                account.holdings.insert(base.clone(), Holding { free, locked: Decimal::ZERO });
                let cash = if role == Role::Victim { 2_500.0 } else { 60_000.0 };
                let cash = Decimal::from_f64(account.dice.around(cash, 0.3)).unwrap_or_default().round_dp(2);
                account.holdings.entry(quote.clone()).or_insert(Holding { free: cash, locked: Decimal::ZERO });
            }
            self.accounts.push(account);
        }
        Ok(())
    }

    /// Returns the seconds until an account does its first deed.
    pub(super) fn first_habit(&mut self, account: usize) -> f64 {
        let pace = self.pace(account);
        self.accounts.get_mut(account).map_or(pace, |owner| pace * owner.dice.unit())
    }

    /// Lets an account do what it does; returns the seconds until it looks again.
    pub(super) fn follow_habit(&mut self, who: usize, now: Timestamp, news: &mut Vec<Happening>) -> f64 {
        let pace = self.pace(who);
        let Some(owner) = self.accounts.get_mut(who) else { return pace };
        let (home, venue) = (owner.home, owner.venue);
        match owner.role {
            Role::Victim | Role::Ordinary(Kind::Dca) => {
                let quote = Amount::Quote(Decimal::from(usual(owner)));
                let wait = pace * owner.dice.between(0.995, 1.005);
                self.own_order((who, home, Side::Buy), quote, now, news);
                wait
            }
            Role::Ordinary(Kind::Grid) => {
                self.tend_grid(who, home, now, news);
                pace
            }
            Role::Ordinary(Kind::Retail) => {
                let side = if owner.dice.chance(0.55) { Side::Buy } else { Side::Sell };
                let quote = owner.dice.around(140.0, 0.8);
                let (wait, roll) = (owner.dice.wait(pace), owner.dice.bits());
                let pair = self.familiar(venue, roll, home);
                self.own_order((who, pair, side), money(quote), now, news);
                wait
            }
            Role::Ordinary(Kind::Rebalancer) => {
                let (quote, roll) = (owner.dice.around(260.0, 0.3), owner.dice.bits());
                let wait = pace * owner.dice.between(0.98, 1.02);
                let (from, to) = (self.familiar(venue, roll, home), self.familiar(venue, roll >> 20, home));
                if from != to {
                    self.own_order((who, from, Side::Sell), money(quote), now, news);
                    self.own_order((who, to, Side::Buy), money(quote), now, news);
                }
                wait
            }
            Role::Ordinary(Kind::Chaser) => {
                let wait = pace * owner.dice.between(0.7, 1.3);
                let (quote, sells) = (owner.dice.around(420.0, 0.5), owner.dice.chance(0.4));
                let risen = |world: &World| {
                    let pairs = world.pairs_of(venue).filter(|(_, pair)| !pair.scene.thin);
                    pairs
                        .map(|(at, pair)| (at, pair.change(Span::from_secs(600), now)))
                        .filter(|(_, change)| *change > 0.001_5)
                        .max_by(|a, b| a.1.total_cmp(&b.1))
                        .map(|(at, _)| at)
                };
                match risen(self) {
                    Some(pair) => self.own_order((who, pair, Side::Buy), money(quote), now, news),
                    None if sells => self.own_order((who, home, Side::Sell), money(quote), now, news),
                    None => {}
                }
                wait
            }
        }
    }

    /// Sends an order in the account's own name and grammar.
    pub(super) fn own_order(
        &mut self,
        order: (usize, usize, Side),
        amount: Amount,
        now: Timestamp,
        news: &mut Vec<Happening>,
    ) {
        let Some(owner) = self.accounts.get_mut(order.0) else { return };
        let (client_id, by_hand) = owner.client_id();
        if owner.revoked && !by_hand {
            return;
        }
        self.market_order(order, amount, Tag { client_id, by_hand, hostile: false }, now, news);
    }

    fn tend_grid(&mut self, who: usize, pair: usize, now: Timestamp, news: &mut Vec<Happening>) {
        let Some(book) = self.pairs.get(pair) else { return };
        let mid = book.mid(now);
        let open: Vec<(u64, Side, f64)> = self
            .open_orders(who)
            .iter()
            .map(|order| (order.id, order.side, order.limit.and_then(|l| f64::try_from(l).ok()).unwrap_or(mid)))
            .collect();
        for (id, _, limit) in open.iter().filter(|(_, _, limit)| (limit / mid - 1.0).abs() > 0.004) {
            tracing::trace!(id, limit, "a grid order is far from the price");
            self.cancel(*id, now, news);
        }
        for side in [Side::Buy, Side::Sell] {
            if open.iter().any(|(_, other, limit)| *other == side && (limit / mid - 1.0).abs() <= 0.004) {
                continue;
            }
            let away = if side == Side::Buy { 0.999_4 } else { 1.000_6 };
            let Some((book, owner)) = self.pairs.get(pair).zip(self.accounts.get_mut(who)) else { return };
            if owner.revoked {
                return;
            }
            let limit = book.price(mid * away);
            let quantity = book.lot(300.0 / mid);
            let (client_id, by_hand) = owner.client_id();
            self.limit_order((who, pair, side), limit, quantity, Tag { client_id, by_hand, hostile: false }, now, news);
        }
    }

    pub(super) fn familiar(&self, venue: Venue, roll: u64, home: usize) -> usize {
        let liquid: Vec<usize> = self
            .pairs_of(venue)
            .filter(|(_, pair)| !pair.scene.thin && pair.quote() != "BTC")
            .map(|(at, _)| at)
            .collect();
        liquid.get((roll % liquid.len().max(1) as u64) as usize).copied().unwrap_or(home)
    }

    pub(super) fn pace(&self, account: usize) -> f64 {
        let pace = &self.scenario.pace;
        let secs = match self.accounts.get(account).map(|owner| owner.role) {
            Some(Role::Victim | Role::Ordinary(Kind::Dca)) | None => pace.dca,
            Some(Role::Ordinary(Kind::Grid)) => pace.grid,
            Some(Role::Ordinary(Kind::Retail)) => pace.retail,
            Some(Role::Ordinary(Kind::Rebalancer)) => pace.rebalancer,
            Some(Role::Ordinary(Kind::Chaser)) => pace.chaser,
        };
        secs / self.speed
    }
}

fn money(quote: f64) -> Amount {
    Amount::Quote(Decimal::from_f64(quote).unwrap_or_default().round_dp(2))
}

/// Returns the round sum a regular buyer spends each time.
pub(super) fn usual(owner: &Account) -> u32 {
    [40, 50, 75, 100][(owner.uid % 4) as usize]
}
