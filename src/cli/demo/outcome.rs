//! What the daemon said, held against what really happened.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use rust_decimal::Decimal;

use crate::domain::{AccountId, Level, Money, Side, Span, Story, Timestamp};
use crate::simulate::{TrueFill, Truth};
use crate::store::{Filter, Store};

/// The end of the demo, in figures.
#[derive(Debug)]
pub(super) struct Outcome {
    thefts: Vec<Theft>,
    /// Ordinary accounts about which people were called.
    false_alarms: Vec<AccountId>,
    ordinary: usize,
}

/// One victim.
#[derive(Debug)]
struct Theft {
    account: AccountId,
    began: Timestamp,
    orders: usize,
    alarm: Option<Timestamp>,
    /// Hostile orders that had traded when the alarm came.
    before: usize,
    /// What the thief made the victim pay above the price before, up to the alarm.
    lost: Option<Money>,
    /// The same after it.
    later: Option<Money>,
}

/// Compares the exchange's own list of fills with the incidents in the store.
pub(super) fn compare(truth: &Truth, victims: &[AccountId], store: &Path) -> anyhow::Result<Outcome> {
    let store = Store::read(store)?;
    let filter = Filter { story: Some(Story::Takeover), min_level: Some(Level::Alert), ..Filter::default() };
    let mut alarms: BTreeMap<AccountId, Timestamp> = BTreeMap::new();
    for incident in store.incidents(&filter)? {
        // The first moment at which people were called, not the first line in the history.
        let called = store
            .history(&incident.id)?
            .into_iter()
            .find(|step| step.finding.as_ref().is_some_and(|finding| finding.level >= Level::Alert));
        let at = called.map_or(incident.opened, |step| step.at);
        let first = alarms.entry(incident.account).or_insert(at);
        *first = (*first).min(at);
    }
    let thefts = victims.iter().filter_map(|account| theft(account, truth, alarms.get(account).copied())).collect();
    let false_alarms = alarms.into_keys().filter(|account| !victims.contains(account)).collect();
    let mut watched: Vec<&AccountId> = truth.fills.iter().map(|fill| &fill.account).collect();
    watched.sort();
    watched.dedup();
    let ordinary = watched.into_iter().filter(|account| !victims.contains(account)).count();
    Ok(Outcome { thefts, false_alarms, ordinary })
}

fn theft(account: &AccountId, truth: &Truth, alarm: Option<Timestamp>) -> Option<Theft> {
    let hostile: Vec<&TrueFill> = truth.fills.iter().filter(|fill| fill.hostile && fill.account == *account).collect();
    let began = hostile.iter().map(|fill| fill.time).min()?;
    let orders = |fills: &mut dyn Iterator<Item = &&TrueFill>| {
        fills.map(|fill| fill.order_id.as_str()).collect::<std::collections::BTreeSet<_>>().len()
    };
    let told = |fill: &TrueFill| alarm.is_some_and(|alarm| fill.time > alarm);
    Some(Theft {
        account: account.clone(),
        began,
        orders: orders(&mut hostile.iter()),
        alarm,
        before: orders(&mut hostile.iter().filter(|fill| !told(fill))),
        lost: overpaid(&hostile, |fill| !told(fill)),
        later: overpaid(&hostile, told),
    })
}

/// Returns what the buys in question paid above the price of the pair's first stolen buy.
fn overpaid(hostile: &[&TrueFill], which: impl Fn(&TrueFill) -> bool) -> Option<Money> {
    let mut buys: Vec<&&TrueFill> = hostile.iter().filter(|fill| fill.side == Side::Buy).collect();
    buys.sort_by_key(|fill| fill.time);
    let first = buys.first()?;
    let fair = first.price.get();
    let above = buys
        .iter()
        .filter(|fill| which(fill))
        .map(|fill| fill.notional.saturating_sub(fair.saturating_mul(fill.quantity.get())).max(Decimal::ZERO));
    let sum = above.fold(Decimal::ZERO, Decimal::saturating_add).round_dp(6);
    Some(Money::new(sum, first.symbol.quote().clone()))
}

impl Outcome {
    /// Says whether every theft was found.
    pub(super) fn all_found(&self) -> bool {
        !self.thefts.is_empty() && self.thefts.iter().all(|theft| theft.alarm.is_some())
    }

    /// Prints the figures.
    pub(super) fn tell(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "\nWhat happened, held against what fillguard said")?;
        if self.thefts.is_empty() {
            return writeln!(out, "  No theft was played: the demo was stopped before it began.");
        }
        for theft in &self.thefts {
            let amount = |money: &Option<Money>| money.as_ref().map_or("nothing".to_owned(), ToString::to_string);
            match theft.alarm {
                Some(alarm) => writeln!(
                    out,
                    "  {}: alarm {} after the first of {} stolen orders ({} had traded).\n    \
                     Overpaid by then: {}. Overpaid after it, because nobody pulled the key: {}.",
                    theft.account,
                    after(theft.began, alarm),
                    theft.orders,
                    theft.before,
                    amount(&theft.lost),
                    amount(&theft.later),
                )?,
                None => writeln!(out, "  {}: NOT FOUND ({} stolen orders)", theft.account, theft.orders)?,
            }
        }
        let names = self.false_alarms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self.false_alarms.len() {
            0 => writeln!(out, "  No false alarm about {} ordinary accounts.", self.ordinary),
            1 => writeln!(out, "  1 false alarm about {} ordinary accounts: {names}", self.ordinary),
            count => writeln!(out, "  {count} false alarms about {} ordinary accounts: {names}", self.ordinary),
        }
    }
}

fn after(began: Timestamp, alarm: Timestamp) -> String {
    let span = alarm.since(began);
    if span < Span::from_secs(10) { format!("{:.1} s", span.secs_f64()) } else { span.to_string() }
}
