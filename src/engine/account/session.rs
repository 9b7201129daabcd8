//! Sessions: runs of trading without a pause, which become habits when they are over.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Account, NEW_FOR, SIZES};
use crate::domain::{Answer, Side, Span, Symbol, Timestamp};

/// A pause that ends a session.
const SESSION_ENDS: Span = Span::from_secs(600);
/// A session that never pauses ends after this long, so that machines have habits too.
const SESSION_LASTS: Span = Span::from_secs(6 * 3_600);
/// An account that still trades this long after an alarm is its owner's: thieves need minutes.
const OUTLIVED: Span = Span::from_secs(2 * 86_400);
const MOST_ALARMED: usize = 8;
/// Pairs opened in one session that are remembered as such.
const MOST_OPENED: usize = 8;

/// Market evidence at an own order, in nats, from which the market is one that is being raised.
const RAISED: f64 = 1.5;

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
    /// Most distinct assets of which nearly all was sold within a minute.
    pub emptied: u8,
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
    /// Farthest from the pair's price that an order traded, as a part of it; 0 where nothing was far.
    pub far: f64,
    /// Whether something in it was loud enough to keep it out of the habits.
    pub alarmed: bool,
    /// The first and the last arrival at which people were told of something in it.
    pub told: Option<(u64, u64)>,
    /// Whether somebody said that it was not the owner.
    pub hostile: bool,
}

impl Session {
    /// Notes that people are told of it at arrival `n`; `alarms` keeps it out of the habits.
    pub fn tell(&mut self, n: u64, alarms: bool) {
        self.alarmed |= alarms;
        self.told = Some(self.told.map_or((n, n), |(first, last)| (first.min(n), last.max(n))));
    }

    /// Whether it alarmed and traded in a market that was being raised, or far from its price.
    fn is_raised(&self) -> bool {
        self.alarmed && (self.heat >= RAISED || self.far > 0.0)
    }

    fn is_answered_by(&self, answer: &Answer) -> bool {
        self.told.is_some_and(|(first, last)| answer.first <= last && first <= answer.last)
    }
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
    opened: Vec<Symbol>,
}

impl Account {
    /// Takes what a person said of the sessions people were told of.
    ///
    /// The owner's become habits at once, and the kinds of origin they brought are as familiar as any. Another's become
    /// none, nor does what followed within two days, and the pairs they opened stay new.
    pub fn answer(&mut self, answer: &Answer) {
        if answer.mine { self.vouch(answer) } else { self.disown(answer) }
    }

    fn vouch(&mut self, answer: &Answer) {
        let own = |session: &Session| session.is_answered_by(answer) && !session.hostile;
        let all = self.alarmed.iter().map(|past| &past.session).chain([&self.session]);
        let raised = all.filter(|session| own(session) && session.is_raised()).count();
        for _ in 0..raised {
            self.vouched.get_or_insert_default().add(self.last);
        }
        if own(&self.session) {
            (self.session.alarmed, self.session.told) = (false, None);
            let (grammars, sources) = (std::mem::take(&mut self.new_grammars), std::mem::take(&mut self.new_sources));
            self.adopt(grammars, sources);
            self.probe = None;
        }
        let (answered, rest): (Vec<Past>, Vec<Past>) =
            std::mem::take(&mut self.alarmed).into_iter().partition(|past| own(&past.session));
        if !answered.is_empty() {
            self.probe = None;
        }
        for mut past in answered {
            let (grammars, sources) = (std::mem::take(&mut past.grammars), std::mem::take(&mut past.sources));
            self.adopt(grammars, sources);
            self.learn(past);
        }
        // What was held back only because of it is held back no longer.
        let suspected = rest.iter().any(|past| past.session.alarmed);
        for past in rest {
            if suspected { self.alarmed.push_back(past) } else { self.learn(past) }
        }
    }

    fn disown(&mut self, answer: &Answer) {
        let held = self.alarmed.iter().map(|past| &past.session).chain([&self.session]);
        let begun = held.filter(|session| session.is_answered_by(answer)).map(|session| session.began).min();
        let Some(begun) = begun else { return };
        for past in self.alarmed.iter_mut().filter(|past| past.session.began >= begun) {
            (past.session.hostile, past.session.alarmed) = (true, true);
        }
        (self.session.hostile, self.session.alarmed) = (true, true);
        self.forget_runs_since(begun);
    }

    /// Learns kinds of origin that a person vouched for: they need no time to become familiar.
    fn adopt(&mut self, grammars: BTreeMap<CompactString, u32>, sources: BTreeMap<CompactString, u32>) {
        for (habits, seen) in [(&mut self.grammars, grammars), (&mut self.sources, sources)] {
            for (kind, orders) in seen {
                habits.adopt(&kind, orders);
            }
        }
    }

    /// Returns whether a pair is new to the account: it was first traded within a day, or in a session that is not
    /// cleared of an alarm.
    pub fn is_new(&self, symbol: &Symbol, now: Timestamp) -> bool {
        let held = || self.alarmed.iter().filter(|past| past.session.alarmed).any(|past| past.opened.contains(symbol));
        self.habit(symbol).is_none_or(|pair| now.since(pair.first) < NEW_FOR) || held()
    }

    /// Notes that the session under way opened a pair.
    pub(super) fn open_pair(&mut self, symbol: &Symbol) {
        if self.opened.len() < MOST_OPENED && !self.opened.contains(symbol) {
            self.opened.push(symbol.clone());
        }
    }

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
        let ln_pause = paused.then(|| pause.secs_f64().max(1.0).ln());
        // What was only placed begins a session, and is part of the one it trades in, whenever that is.
        if self.session.rate == 0.0 && self.session.began > self.last {
            if time.since(self.session.began) > OUTLIVED {
                (self.session.alarmed, self.session.told) = (false, None);
            }
            (self.session.began, self.session.pause) = (time, ln_pause.or(self.session.pause));
            return;
        }
        if !paused && time.since(self.session.began) <= SESSION_LASTS {
            return;
        }
        let mut done = Past { session: self.session, ..Past::default() };
        done.grammars = std::mem::take(&mut self.new_grammars);
        done.sources = std::mem::take(&mut self.new_sources);
        done.opened = std::mem::take(&mut self.opened);
        self.session = Session { began: time, pause: ln_pause, ..Session::default() };
        // Sessions that are no longer suspected go first, so that they hold nothing back.
        self.outlive(time);
        // An attack must not become the habit it is measured against, nor what comes between two of its alarms. But an
        // account that trades on for days after an alarm was its owner's: then it is learnt after all.
        let suspected = |past: &Past| past.session.alarmed;
        done.session.hostile |= self.alarmed.iter().any(|past| past.session.hostile);
        if !done.session.alarmed && !done.session.hostile && !self.alarmed.iter().any(suspected) {
            self.learn(done);
            return;
        }
        if self.alarmed.len() == MOST_ALARMED {
            let quiet = self.alarmed.iter().position(|past| !past.session.alarmed).unwrap_or(0);
            self.alarmed.remove(quiet);
        }
        self.alarmed.push_back(done);
    }

    fn outlive(&mut self, now: Timestamp) {
        while let Some(past) = self.alarmed.pop_front_if(|past| now.since(past.session.began) > OUTLIVED) {
            if past.session.hostile {
                // Somebody else's: as if the account had never traded there.
                past.opened.iter().for_each(|symbol| self.forget_pair(symbol));
            } else {
                self.learn(past);
            }
        }
    }

    fn learn(&mut self, past: Past) {
        let done = past.session;
        self.sessions = self.sessions.saturating_add(1);
        self.opening_sessions += u32::from(done.opened);
        for (sessions, most) in [(&mut self.sold_by, done.sold), (&mut self.emptied_by, done.emptied)] {
            let place = usize::from(most).min(sessions.len() - 1);
            sessions[place] = sessions[place].saturating_add(1);
        }
        self.whole_sessions += u32::from(done.whole);
        for (amounts, amount) in [(&mut self.buys, done.buy), (&mut self.sells, done.sell)] {
            if amount > 0.0 {
                amounts.push(amount.ln());
            }
        }
        self.rates.push(done.rate);
        self.heat.push(done.heat);
        self.far.push(done.far);
        self.grammars.learn_session(past.grammars, done.began);
        self.sources.learn_session(past.sources, done.began);
        if let Some(pause) = done.pause {
            self.pauses.learn(pause, 0.1);
        }
    }
}
