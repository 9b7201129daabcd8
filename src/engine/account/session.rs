//! Sessions: runs of trading without a pause, which become habits when they are over.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Account, SIZES};
use crate::domain::{Side, Span, Timestamp};

/// A pause that ends a session.
const SESSION_ENDS: Span = Span::from_secs(600);
/// A session that never pauses ends after this long, so that machines have habits too.
const SESSION_LASTS: Span = Span::from_secs(6 * 3_600);
/// An account that still trades this long after an alarm is its owner's: thieves need minutes.
const OUTLIVED: Span = Span::from_secs(2 * 86_400);
const MOST_ALARMED: usize = 4;

/// A run of trading without a ten-minute pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// When it began.
    pub began: Timestamp,
    /// ln of the pause before it, in seconds; absent for the first.
    pub pause: Option<f64>,
    /// Whether it opened a new pair.
    pub opened: bool,
    /// Most distinct assets sold within a minute.
    pub sold: u8,
    /// Largest five-minute buying, in units.
    pub buy: f64,
    /// Largest five-minute selling, in units.
    pub sell: f64,
    /// Most orders in a minute.
    pub rate: f64,
    /// Whether an order took nearly all of a balance.
    pub whole: bool,
    /// Strongest market evidence at an own order.
    pub heat: f64,
    /// Whether something in it was loud enough to keep it out of the habits.
    pub alarmed: bool,
}

/// A session of the past, as history tells it fill by fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LateRun {
    last: Timestamp,
    buy: f64,
    sell: f64,
    orders: u32,
}

/// A session that is over, with the origins of its orders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    session: Session,
    grammars: BTreeMap<CompactString, u32>,
    sources: BTreeMap<CompactString, u32>,
}

impl Account {
    /// History is told pair by pair, each page going back in time: its sizes are habits too, session by session.
    pub(super) fn remember_late(&mut self, side: Side, time: Timestamp, units: f64, first_of_order: bool) {
        let run = self.late;
        if time.since(run.last) > SESSION_ENDS || run.last.since(time) > SESSION_ENDS {
            self.end_late();
        }
        self.late.last = time;
        self.late.orders += u32::from(first_of_order);
        match side {
            Side::Buy => self.late.buy += units,
            Side::Sell => self.late.sell += units,
        }
    }

    fn end_late(&mut self) {
        let run = std::mem::take(&mut self.late);
        if run.orders == 0 {
            return;
        }
        self.sessions = self.sessions.saturating_add(1);
        for (past, amount) in [(&mut self.buys, run.buy), (&mut self.sells, run.sell)] {
            // Older than what is held already: it fills up the memory and pushes nothing newer out.
            if amount > 0.0 && past.len() < SIZES {
                past.push(amount.ln());
            }
        }
    }

    pub(super) fn turn_session(&mut self, time: Timestamp) {
        self.end_late();
        if self.orders == 0 {
            self.session = Session { began: time, ..Session::default() };
            return;
        }
        let pause = time.since(self.last);
        let paused = pause > SESSION_ENDS;
        if !paused && time.since(self.session.began) <= SESSION_LASTS {
            return;
        }
        let mut done = Past { session: self.session, ..Past::default() };
        done.grammars = std::mem::take(&mut self.new_grammars);
        done.sources = std::mem::take(&mut self.new_sources);
        let pause = paused.then(|| pause.secs_f64().max(1.0).ln());
        self.session = Session { began: time, pause, ..Session::default() };
        // An attack must not become the habit it is measured against. But an account that trades on for days after an
        // alarm was its owner's: then it is learnt after all.
        if !done.session.alarmed {
            self.learn(done);
        } else {
            if self.alarmed.len() == MOST_ALARMED {
                self.alarmed.pop_front();
            }
            self.alarmed.push_back(done);
        }
        while let Some(past) = self.alarmed.pop_front_if(|past| time.since(past.session.began) > OUTLIVED) {
            self.learn(past);
        }
    }

    fn learn(&mut self, past: Past) {
        let done = past.session;
        self.sessions = self.sessions.saturating_add(1);
        self.opening_sessions += u32::from(done.opened);
        self.selling_sessions += u32::from(done.sold >= 2);
        self.whole_sessions += u32::from(done.whole);
        for (amounts, amount) in [(&mut self.buys, done.buy), (&mut self.sells, done.sell)] {
            if amount > 0.0 {
                amounts.push(amount.ln());
            }
        }
        self.rates.push(done.rate);
        self.heat.push(done.heat);
        for (habits, seen) in [(&mut self.grammars, past.grammars), (&mut self.sources, past.sources)] {
            // What an account began with needs no time to become familiar.
            let since = (!habits.is_cold()).then_some(done.began);
            for (kind, orders) in seen {
                habits.learn(&kind, orders, since);
            }
        }
        if let Some(pause) = done.pause {
            self.pauses.learn(pause, 0.1);
        }
    }
}
