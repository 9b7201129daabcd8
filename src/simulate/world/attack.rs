//! What thieves with trade-only keys did in 2022: sell what the victims hold, make them buy a thin pair at rising
//! prices, and sell into it from an account of their own.

use rust_decimal::Decimal;

use super::{Amount, Deed, Happening, Role, Tag, World};
use crate::domain::{Side, Timestamp, Venue};

/// One move of the thieves.
#[derive(Clone, Debug)]
pub enum Strike {
    /// Sells what a victim holds of an asset, at market.
    Sell {
        /// The victim: place among the accounts.
        victim: usize,
        /// What is sold: place of the pair.
        pair: usize,
    },
    /// Lifts the thin pair's price with the accomplice's own small trades.
    Lift {
        /// Place of the pair.
        pair: usize,
        /// By this fraction; negative lets it fall.
        fraction: f64,
    },
    /// Buys the thin pair with a share of the victim's quote.
    Buy {
        /// The victim: place among the accounts.
        victim: usize,
        /// Place of the thin pair.
        pair: usize,
        /// The quote that is left divided by this is spent.
        share: u32,
    },
}

impl World {
    /// Plans the whole attack, first hostile order at `start`.
    pub(super) fn plan_attack(&mut self, start: Timestamp) {
        let mut venue_start = 0.0;
        for venue in Venue::ALL {
            let thin: Vec<usize> = self.pairs_of(venue).filter(|(_, pair)| pair.scene.thin).map(|(at, _)| at).collect();
            let victims: Vec<usize> = (0..self.accounts.len())
                .filter(|at| {
                    self.accounts
                        .get(*at)
                        .is_some_and(|a| a.venue == venue && a.role == Role::Victim && a.wallet == Default::default())
                })
                .collect();
            let Some((&target, &first)) = thin.first().zip(victims.first()) else { continue };
            let mut end = venue_start;
            for (place, victim) in victims.iter().enumerate() {
                let at = venue_start + place as f64 * self.scenario.victim_gap_secs;
                end = f64::max(end, self.plan_victim(*victim, target, start, at));
            }
            // The accomplice sells what the victims bought up; then the price is let go.
            for step in 0..6 {
                let wait = self.accounts.get_mut(first).map_or(1.0, |a| a.dice.between(0.6, 1.5));
                end += wait;
                let fraction = if step == 0 { -0.03 } else { -0.08 };
                self.plan(start, end, Deed::Strike(Strike::Lift { pair: target, fraction }));
            }
            venue_start += self.scenario.venue_gap_secs;
        }
    }

    /// Plans one victim's orders; returns when they end, in seconds after `start`.
    fn plan_victim(&mut self, victim: usize, target: usize, start: Timestamp, at: f64) -> f64 {
        let buys = self.scenario.hostile_buys.max(1);
        let lift = self.scenario.lift;
        let Some((owner, thin)) = self.accounts.get_mut(victim).zip(self.pairs.get(target)) else { return at };
        let quote = thin.quote().to_owned();
        let mut waits: Vec<f64> = (0..buys).map(|_| owner.dice.between(0.7, 1.8)).collect();
        let sells: Vec<String> = owner
            .holdings
            .iter()
            .filter(|(asset, holding)| **asset != quote && holding.free > Decimal::ZERO)
            .map(|(asset, _)| asset.clone())
            .take(4)
            .collect();
        let pauses: Vec<f64> = sells.iter().map(|_| owner.dice.between(0.5, 1.2)).collect();
        let venue = owner.venue;
        let mut when = at;
        for (asset, pause) in sells.iter().zip(pauses) {
            if let Some(pair) = self.by_assets(venue, asset, &quote) {
                self.plan(start, when, Deed::Strike(Strike::Sell { victim, pair }));
                when += pause;
            }
        }
        when += 1.2;
        for (done, wait) in waits.drain(..).enumerate() {
            self.plan(start, when - 0.3, Deed::Strike(Strike::Lift { pair: target, fraction: lift }));
            let share = buys - u32::try_from(done).unwrap_or(0).min(buys - 1);
            self.plan(start, when, Deed::Strike(Strike::Buy { victim, pair: target, share }));
            when += wait;
        }
        when
    }

    /// Makes one move.
    pub(super) fn strike(&mut self, strike: Strike, now: Timestamp, news: &mut Vec<Happening>) {
        match strike {
            Strike::Lift { pair, fraction } => {
                if let Some(book) = self.pairs.get_mut(pair) {
                    book.lift(fraction, now);
                }
                self.strangers_trade(pair, now, news);
            }
            Strike::Sell { victim, pair } => {
                let amount = self.accounts.get(victim).zip(self.pairs.get(pair)).map(|(a, book)| a.free(book.base()));
                let Some(amount) = amount else { return };
                self.hostile_order(victim, pair, Side::Sell, Amount::Base(amount), now, news);
            }
            Strike::Buy { victim, pair, share } => {
                let quote = self.accounts.get(victim).zip(self.pairs.get(pair)).map(|(a, book)| a.free(book.quote()));
                let Some(part) = quote.and_then(|quote| quote.checked_div(Decimal::from(share))) else { return };
                self.hostile_order(victim, pair, Side::Buy, Amount::Quote(part), now, news);
            }
        }
    }

    fn hostile_order(
        &mut self,
        victim: usize,
        pair: usize,
        side: Side,
        amount: Amount,
        now: Timestamp,
        news: &mut Vec<Happening>,
    ) {
        let Some(owner) = self.accounts.get_mut(victim) else { return };
        // A deleted key, or one that may only read, ends the attack.
        if owner.revoked || !owner.permissions.trade {
            return;
        }
        let client_id = match owner.venue {
            Venue::Binance => owner.dice.word(22),
            Venue::Kucoin | Venue::Coinbase => owner.dice.uuid(),
        };
        let tag = Tag { client_id, by_hand: false, hostile: true };
        self.market_order((victim, pair, side), amount, tag, now, news);
    }
}
