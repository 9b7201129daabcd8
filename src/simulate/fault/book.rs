//! Which faults are on, for whom, and how often each was committed.

use std::collections::BTreeMap;

use super::Faults;
use crate::domain::Venue;
use crate::simulate::dice::Dice;
use crate::simulate::scenario::Scenario;
use crate::simulate::world::{OrderNews, Step};

/// How often each fault was committed since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Fills (at Coinbase: changes of orders) kept from a feed.
    pub lost: u64,
    /// Fills told twice.
    pub doubled: u64,
    /// Messages that came late, and of these those whose connection ended first.
    pub delayed: u64,
    /// Messages that came after the one behind them.
    pub swapped: u64,
    /// Connections dropped or closed.
    pub cut: u64,
    /// Connections that fell silent.
    pub deafened: u64,
    /// Requests answered with 429 or 418.
    pub refused: u64,
    /// Requests answered with a 5xx.
    pub failed: u64,
    /// Requests not answered.
    pub hung: u64,
    /// Pieces of garbage.
    pub garbage: u64,
}

/// The faults of a simulator.
#[derive(Debug)]
pub struct FaultBook {
    seed: u64,
    venues: BTreeMap<Venue, Faults>,
    accounts: BTreeMap<usize, Faults>,
    /// How often all of a venue's account feeds were closed by decree.
    pub closings: BTreeMap<Venue, u64>,
    pub dice: Dice,
    pub tally: Tally,
    sockets: u64,
}

impl FaultBook {
    /// Takes the scenario's faults.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        FaultBook {
            seed,
            venues: Venue::ALL.into_iter().map(|venue| (venue, scenario.scene(venue).faults)).collect(),
            accounts: BTreeMap::new(),
            closings: BTreeMap::new(),
            dice: Dice::new(seed, "faults"),
            tally: Tally::default(),
            sockets: 0,
        }
    }

    /// Returns the faults of an account, else of its venue.
    pub fn of(&self, venue: Venue, who: Option<usize>) -> Faults {
        let own = who.and_then(|who| self.accounts.get(&who)).or_else(|| self.venues.get(&venue));
        own.copied().unwrap_or_default()
    }

    /// Sets a venue's faults.
    pub fn set(&mut self, venue: Venue, faults: Faults) {
        self.venues.insert(venue, faults);
    }

    /// Sets an account's own faults; without any its venue's are its own again.
    pub fn set_account(&mut self, who: usize, faults: Option<Faults>) {
        match faults {
            Some(faults) => drop(self.accounts.insert(who, faults)),
            None => drop(self.accounts.remove(&who)),
        }
    }

    /// Returns the chance of the next socket.
    pub fn dice_of_socket(&mut self) -> Dice {
        self.sockets += 1;
        Dice::new(self.seed, &format!("faults/socket/{}", self.sockets))
    }

    /// Returns how often a change of an order is told to the account `who`.
    pub fn times(&mut self, venue: Venue, who: usize, news: &OrderNews) -> usize {
        let faults = self.of(venue, Some(who));
        let fill = matches!(news.step, Step::Filled(_));
        let lost = match venue {
            Venue::Binance | Venue::Kucoin => fill && self.dice.chance(faults.lose),
            // The next total would tell what this one did: an order is told whole or not at all.
            Venue::Coinbase => Dice::new(self.seed, &format!("faults/order/{}", news.order.id)).chance(faults.lose),
        };
        if lost {
            self.tally.lost += 1;
            return 0;
        }
        if fill && self.dice.chance(faults.double) {
            self.tally.doubled += 1;
            return 2;
        }
        1
    }

    /// Draws whether Coinbase Exchange loses one match of an account's order that is told.
    pub fn loses_match(&mut self, who: Option<usize>) -> bool {
        let lost = self.of(Venue::Coinbase, who).lose;
        let lost = lost > 0.0 && self.dice.chance(lost);
        self.tally.lost += u64::from(lost);
        lost
    }
}
