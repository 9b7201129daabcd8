//! What an account does in one pair, and the episode under way there.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::turn::Turn;
use super::{Account, LATE, sparse};
use crate::domain::{Fill, Side, Span, Symbol, Timestamp};

/// A pause that ends an episode in one pair: after it, losses and market evidence start anew.
const EPISODE_ENDS: Span = Span::from_secs(300);
const MOST_PAIRS: usize = 96;
/// What an account did in a pair this long ago is over: of an episode, and of sums with a half-life of five minutes, nothing
/// is left that could be judged.
const OVER: Span = Span::from_secs(3_600);

/// What the account does in one pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairHabit {
    /// When it first traded here.
    pub first: Timestamp,
    /// When it last traded here.
    pub last: Timestamp,
    /// Orders here, in all.
    pub orders: u32,
    /// The episode under way.
    #[serde(with = "sparse")]
    pub episode: Episode,
    /// Bought and sold, decayed.
    #[serde(with = "sparse")]
    pub turn: Turn,
    /// Bought and sold in all, in units.
    pub traded: f64,
}

/// Trading in one pair without a five-minute pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// When it began.
    pub began: Timestamp,
    /// The pair's price before its first order.
    pub reference: Option<Decimal>,
    /// Whether that price is only the first fill's own, because the pair was not known.
    pub guessed: bool,
    /// Base bought less base sold.
    pub net: Decimal,
    /// Quote lost against that price so far; negative is a gain.
    pub lost: Decimal,
    /// Strongest market evidence at its own taker orders.
    pub market: f64,
    /// Taker quote of the episode.
    pub taken: Decimal,
}

impl Episode {
    /// Takes the price before the episode's first order, which traded at `traded`, where it had to be guessed.
    pub fn refer(&mut self, traded: Timestamp, reference: Decimal) {
        let Some(guess) = self.reference.filter(|_| self.guessed && self.began == traded) else { return };
        self.lost = self.lost.saturating_add(guess.saturating_sub(reference).saturating_mul(self.net));
        (self.reference, self.guessed) = (Some(reference), false);
    }
}

impl Account {
    /// Returns when the earliest trade was that is remembered of it.
    pub fn known_since(&self) -> Option<Timestamp> {
        self.pairs.values().map(|pair| pair.first).min()
    }

    /// Returns what the account does in a pair.
    pub fn habit(&self, symbol: &Symbol) -> Option<&PairHabit> {
        self.pairs.get(symbol)
    }

    /// Returns what the account does in a pair, to write what was found about its episode.
    pub fn habit_mut(&mut self, symbol: &Symbol) -> Option<&mut PairHabit> {
        self.pairs.get_mut(symbol)
    }

    /// Forgets that the account ever traded a pair.
    pub(super) fn forget_pair(&mut self, symbol: &Symbol) {
        self.pairs.remove(symbol);
    }

    pub(super) fn trade_pair(
        &mut self,
        fill: &Fill,
        time: Timestamp,
        first_of_order: bool,
        reference: Option<Decimal>,
        late: bool,
    ) {
        if self.pairs.len() >= MOST_PAIRS && !self.pairs.contains_key(&fill.symbol) {
            let oldest = self.pairs.iter().min_by_key(|(_, pair)| pair.last).map(|(symbol, _)| symbol.clone());
            if let Some(oldest) = oldest {
                self.pairs.remove(&oldest);
            }
        }
        for pair in self.pairs.values_mut().filter(|pair| time.since(pair.last) > OVER) {
            (pair.episode, pair.turn) = (Episode::default(), Turn::default());
        }
        let pair = self.pairs.entry(fill.symbol.clone()).or_insert_with(|| PairHabit {
            first: time,
            last: time,
            orders: 0,
            episode: Episode::default(),
            turn: Turn::default(),
            traded: 0.0,
        });
        pair.first = pair.first.min(time);
        pair.orders = pair.orders.saturating_add(u32::from(first_of_order));
        if late && pair.last.since(time) > LATE {
            return;
        }
        if pair.episode.reference.is_none() || time.since(pair.last) > EPISODE_ENDS {
            pair.episode = Episode {
                began: time,
                reference: Some(reference.unwrap_or(fill.price.get())),
                guessed: reference.is_none(),
                market: 0.0,
                ..Episode::default()
            };
        }
        pair.last = pair.last.max(time);
        if let Some(reference) = pair.episode.reference {
            // Against the price before the episode: what was paid too much, or got too little.
            let fair = reference.saturating_mul(fill.quantity.get());
            let lost = match fill.side {
                Side::Buy => fill.notional.saturating_sub(fair),
                Side::Sell => fair.saturating_sub(fill.notional),
            };
            pair.episode.lost = pair.episode.lost.saturating_add(lost);
            let base = match fill.side {
                Side::Buy => fill.quantity.get(),
                Side::Sell => -fill.quantity.get(),
            };
            pair.episode.net = pair.episode.net.saturating_add(base);
        }
        if fill.maker != Some(true) {
            pair.episode.taken = pair.episode.taken.saturating_add(fill.notional);
        }
        pair.turn.take(fill, time);
    }
}
