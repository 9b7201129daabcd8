//! What the pipeline judged, held against what the exchange knows.

use std::collections::{BTreeMap, BTreeSet};

use fillguard::arrival::{Arrival, Body};
use fillguard::domain::{
    AccountId, Basis, Effect, EffectKind, EventKind, FeedKind, Fill, Level, RuleName, Side, Timestamp, Venue,
};
use fillguard::live::counters::Counters;
use fillguard::pipeline::Pipeline;
use fillguard::simulate::TrueFill;
use rust_decimal::Decimal;

use crate::modes::Face;

/// A fill as both sides know it: account, pair, trade, order, side, price, quantity.
type Exact = (String, String, String, String, Side, Decimal, Decimal);
/// An order as both sides know it: account, pair, order, side.
type Order = (String, String, String, Side);

/// The loudest level of each rule at each account.
pub type Found = BTreeMap<(String, RuleName), Level>;

/// What came out of the pipeline.
#[derive(Default)]
pub struct Ledger {
    judged: BTreeMap<Exact, u32>,
    /// Coinbase: what each order's fills come to (base, quote, quote that its rows confirm) and the rows' trades.
    totals: BTreeMap<Order, Total>,
    rows: BTreeMap<(String, String), Rows>,
    pub fills: u64,
    pub counters: Counters,
    /// The loudest level of each account's rules but `blind`.
    pub findings: Found,
    /// Findings of `blind`.
    pub blind: u64,
    links: BTreeMap<AccountId, Link>,
    /// Coinbase Exchange: its feed tells each match, as others do.
    matches: bool,
}

#[derive(Default)]
struct Total {
    base: Decimal,
    settled: Decimal,
}

#[derive(Default)]
struct Rows {
    exact: u32,
    confirmed: u32,
}

/// One account's link: when it was last lost and came up, and whether what lay before was asked for since.
#[derive(Default)]
struct Link {
    up: Option<Timestamp>,
    downs: u64,
    owed: bool,
    why: String,
}

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub missing: Vec<String>,
    pub foreign: Vec<String>,
    pub twice: Vec<String>,
}

impl Difference {
    pub fn none(&self) -> bool {
        *self == Difference::default()
    }
}

impl Ledger {
    /// Begins a feed's.
    pub fn of(face: Face) -> Self {
        Ledger { matches: face == Face::CoinbaseExchange, ..Ledger::default() }
    }

    fn totals(&self, venue: Venue) -> bool {
        venue == Venue::Coinbase && !self.matches
    }

    /// Takes what a step of the pipeline brought.
    pub fn take(&mut self, arrival: &Arrival, pipeline: &Pipeline, effects: &[Effect]) {
        self.counters.note(arrival, pipeline.events(), pipeline.counts().repeats);
        if let (Some(account), Body::LinkUp) = (arrival.from.account(), &arrival.body) {
            let link = self.links.entry(account.clone()).or_default();
            (link.up, link.owed) = (Some(arrival.at), true);
        }
        for event in pipeline.events() {
            match &event.kind {
                EventKind::Fill(fill) => self.fill(fill),
                EventKind::Confirmed(row) => {
                    let account = row.account.to_string();
                    self.rows.entry((account.clone(), row.trade_id.to_string())).or_default().confirmed += 1;
                    let settled =
                        self.totals.iter_mut().filter(|(order, _)| order.0 == account && order.2 == *row.order_id);
                    settled.for_each(|(_, total)| total.settled += row.notional);
                }
                EventKind::Feed(change) => {
                    let Some(link) = change.account.as_ref().and_then(|account| self.links.get_mut(account)) else {
                        continue;
                    };
                    match &change.kind {
                        FeedKind::Down(why) => {
                            link.why = why.to_string();
                            link.downs += 1;
                            link.up = None;
                        }
                        FeedKind::GapFilled { until, .. } if link.up.is_some_and(|up| *until >= up) => {
                            link.owed = false
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        for effect in effects {
            let EffectKind::Incident { finding: Some(finding), .. } = &effect.kind else { continue };
            if finding.rule == RuleName::Blind {
                self.blind += 1;
                continue;
            }
            let loudest = self.findings.entry((finding.account.to_string(), finding.rule)).or_insert(finding.level);
            *loudest = finding.level.max(*loudest);
        }
    }

    fn fill(&mut self, fill: &Fill) {
        self.fills += 1;
        let (account, pair) = (fill.account.to_string(), fill.symbol.to_string());
        let (order, side) = (fill.order_id.to_string(), fill.side);
        let trade = fill.trade_id.as_deref().unwrap_or("none").to_owned();
        if self.totals(fill.account.venue) {
            let total = self.totals.entry((account.clone(), pair, order, side)).or_default();
            total.base += fill.quantity.get();
            if fill.basis == Basis::Exact {
                total.settled += fill.notional;
                self.rows.entry((account, trade)).or_default().exact += 1;
            }
            return;
        }
        let figures = (fill.price.get().normalize(), fill.quantity.get().normalize());
        *self.judged.entry((account, pair, trade, order, side, figures.0, figures.1)).or_default() += 1;
    }

    /// Returns how often links were lost.
    pub fn downs(&self) -> u64 {
        self.links.values().map(|link| link.downs).sum()
    }

    /// Returns why links were lost last.
    pub fn whys(&self) -> Vec<&str> {
        self.links.values().map(|link| link.why.as_str()).collect()
    }

    /// Returns how many accounts' links are up, and of those how many still owe what lay before.
    pub fn up_and_owing(&self) -> (usize, usize) {
        let up = || self.links.values().filter(|link| link.up.is_some());
        (up().count(), up().filter(|link| link.owed).count())
    }

    /// Holds what was judged against the exchange's own list.
    pub fn differs(&self, truth: &[TrueFill]) -> Difference {
        let mut difference = Difference::default();
        let exact = |fill: &TrueFill| -> Exact {
            let figures = (fill.price.get().normalize(), fill.quantity.get().normalize());
            let trade = if self.matches { counted(&fill.trade_id) } else { fill.trade_id.clone() };
            let names = (fill.account.to_string(), fill.symbol.to_string(), trade, fill.order_id.clone());
            (names.0, names.1, names.2, names.3, fill.side, figures.0, figures.1)
        };
        let (totalled, listed): (Vec<&TrueFill>, Vec<&TrueFill>) =
            truth.iter().partition(|fill| self.totals(fill.account.venue));
        let known: BTreeSet<Exact> = listed.into_iter().map(exact).collect();
        difference
            .missing
            .extend(known.iter().filter(|fill| !self.judged.contains_key(*fill)).map(|f| format!("{f:?}")));
        for (fill, times) in &self.judged {
            if !known.contains(fill) {
                difference.foreign.push(format!("{fill:?}"));
            }
            if *times > 1 {
                difference.twice.push(format!("{times} x {fill:?}"));
            }
        }
        self.differs_in_totals(&totalled, &mut difference);
        difference
    }

    /// Coinbase's stream tells totals: each unit of an order is judged once, and each row of the list settles its part.
    fn differs_in_totals(&self, truth: &[&TrueFill], difference: &mut Difference) {
        let mut known: BTreeMap<Order, Total> = BTreeMap::new();
        let mut trades = BTreeSet::new();
        for fill in truth {
            let order = (fill.account.to_string(), fill.symbol.to_string(), fill.order_id.clone(), fill.side);
            let total = known.entry(order).or_default();
            total.base += fill.quantity.get();
            total.settled += fill.notional;
            trades.insert((fill.account.to_string(), fill.trade_id.clone()));
        }
        for (order, total) in &known {
            let judged = self.totals.get(order);
            let (base, settled) = judged.map_or_else(Default::default, |total| (total.base, total.settled));
            match base.cmp(&total.base) {
                std::cmp::Ordering::Less => difference.missing.push(format!("{order:?}: {base} of {}", total.base)),
                std::cmp::Ordering::Greater => difference.twice.push(format!("{order:?}: {base} of {}", total.base)),
                std::cmp::Ordering::Equal if settled < total.settled => {
                    difference.missing.push(format!("{order:?}: {settled} of {} confirmed", total.settled));
                }
                std::cmp::Ordering::Equal if settled > total.settled => {
                    difference.twice.push(format!("{order:?}: {settled} of {} confirmed", total.settled));
                }
                std::cmp::Ordering::Equal => {}
            }
        }
        difference
            .foreign
            .extend(self.totals.keys().filter(|order| !known.contains_key(*order)).map(|o| format!("{o:?}")));
        difference
            .missing
            .extend(trades.iter().filter(|row| !self.rows.contains_key(*row)).map(|row| format!("{row:?}")));
        for (row, told) in &self.rows {
            if !trades.contains(row) {
                difference.foreign.push(format!("{row:?}"));
            }
            // A row may settle what was judged in part, and be news for the rest.
            if told.exact > 1 || told.confirmed > 1 {
                difference.twice.push(format!("{row:?}: {} exact, {} confirmed", told.exact, told.confirmed));
            }
        }
    }
}

/// Coinbase Exchange counts the matches of each pair; Advanced Trade hides that number in a UUID, as the truth has it.
fn counted(uuid: &str) -> String {
    let last = uuid.rsplit('-').next().unwrap_or_default();
    u64::from_str_radix(last, 16).map_or_else(|_| uuid.to_owned(), |number| number.to_string())
}
