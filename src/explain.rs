//! Why something was told, or was not: the same pipeline over a recording, stopped where it matters to look inside.

use std::collections::BTreeSet;
use std::path::PathBuf;

use compact_str::CompactString;

use crate::arrival::Arrival;
use crate::domain::{
    AccountId, Effect, EffectKind, EventKind, Finding, Incident, IncidentId, RuleName, Side, Span, Symbol, Timestamp,
};
use crate::engine::rules::OF_ORDERS;
use crate::engine::why::{Asked, Weighed};
use crate::journal::{ReadError, Reader};
use crate::pipeline::{Pipeline, Settings};

/// An incident with what went into each of its findings.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The incident as it stood at the end.
    pub incident: Incident,
    /// Its findings, the loudest first, each with what its rule weighed.
    pub findings: Vec<(Finding, Option<Weighed>)>,
}

/// What a rule made of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict<W = Weighed> {
    /// The order.
    pub order: CompactString,
    /// Its pair.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// When its first fill traded.
    pub first: Timestamp,
    /// The arrival after which the rule came closest to speaking, and when that was.
    pub n: u64,
    /// When that arrival came.
    pub at: Timestamp,
    /// What it weighed then.
    pub weighed: W,
    /// The incidents in which the rule spoke of the order after all.
    pub told: Vec<IncidentId>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A recording cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no such thing in the recording.
    #[error("there is no {what} {given} in what was replayed{hint}")]
    Unknown {
        /// What was asked for.
        what: &'static str,
        /// How it was called.
        given: String,
        /// What there is instead.
        hint: String,
    },
    /// The rule judges no orders.
    #[error("{rule} judges no orders, so no order lacks anything for it; rules of orders are {}", names())]
    NotOfOrders {
        /// The rule.
        rule: RuleName,
    },
}

/// Names that are told where a name is unknown.
const HINTS: usize = 5;
/// How long after its last fill an order is looked at: the market feed shows it, or its past is told.
const LOOKED_AT: Span = Span::from_secs(120);
/// Names that are remembered to find the nearest; a recording may have millions.
const MOST_NAMES: usize = 100_000;

/// Replays recordings and explains an incident.
pub fn incident(paths: &[PathBuf], settings: &Settings, wanted: &str) -> Result<Explained, Error> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut seen: Option<Incident> = None;
    let mut weighed: Vec<(Finding, Option<Weighed>)> = Vec::new();
    follow(paths, settings, |pipeline, arrival, effects| {
        for effect in effects {
            let EffectKind::Incident { incident, .. } = &effect.kind;
            if known.len() < MOST_NAMES {
                known.insert(incident.id.as_str().to_owned());
            }
            if incident.id.as_str() != wanted {
                continue;
            }
            for finding in incident.findings.iter().filter(|finding| finding.n == arrival.n) {
                weighed.retain(|(known, _)| (known.rule, &known.symbol) != (finding.rule, &finding.symbol));
                weighed.push((finding.clone(), inside(pipeline, finding)));
            }
            seen = Some(incident.clone());
        }
    })?;
    let unknown = || Error::Unknown { what: "incident", given: wanted.to_owned(), hint: hint(wanted, &known) };
    let incident = seen.ok_or_else(unknown)?;
    let mut findings: Vec<(Finding, Option<Weighed>)> = Vec::new();
    for finding in &incident.findings {
        let inner = weighed.iter().find(|(known, _)| known == finding).and_then(|(_, inner)| inner.clone());
        findings.push((finding.clone(), inner));
    }
    findings.sort_by(|(a, _), (b, _)| b.level.cmp(&a.level).then(b.score.total_cmp(&a.score)));
    Ok(Explained { incident, findings })
}

/// Finds what a rule weighed for a finding just made: of its orders the one whose terms are the finding's.
fn inside(pipeline: &Pipeline, finding: &Finding) -> Option<Weighed> {
    finding.orders.iter().rev().find_map(|order| {
        let weighed = pipeline.weigh(&finding.account, order, finding.rule)?;
        let terms = finding.terms.iter().filter(|term| !BESIDE.contains(&term.name.as_str()));
        terms.eq(weighed.weights.iter().map(|weight| &weight.term)).then_some(weighed)
    })
}

/// Terms that say how a finding was taken, and are no part of what the rule weighed.
const BESIDE: [&str; 3] = ["leak_mode", crate::engine::STAGED, crate::alert::EXCEPTION];

/// Replays recordings and says what a rule made of an order, by its id or its client's id.
pub fn order(
    paths: &[PathBuf],
    settings: &Settings,
    account: &AccountId,
    wanted: &str,
    rule: RuleName,
) -> Result<Verdict, Error> {
    if !OF_ORDERS.iter().any(|known| known.name == rule) {
        return Err(Error::NotOfOrders { rule });
    }
    let weigh = |pipeline: &Pipeline, order: &str| pipeline.weigh(account, order, rule);
    closest((paths, settings), (account, wanted, rule.as_str()), weigh, |weighed| {
        let level = weighed.finding.as_ref().map(|finding| finding.level);
        (level, !weighed.weights.is_empty(), weighed.score)
    })
}

/// Replays recordings and says what a rule of the user's own made of an order: which part of it was not met.
pub fn own_rule(
    paths: &[PathBuf],
    settings: &Settings,
    account: &AccountId,
    wanted: &str,
    rule: &str,
) -> Result<Verdict<Asked>, Error> {
    let ask = |pipeline: &Pipeline, order: &str| pipeline.ask(account, order, rule);
    closest((paths, settings), (account, wanted, rule), ask, |asked| {
        let met = asked.parts.iter().filter(|part| part.holds == Ok(true)).count();
        (asked.holds == Ok(true), met)
    })
}

/// Replays recordings and returns the moment at which `weight` is greatest of what `weigh` says of an order.
fn closest<W, K: PartialOrd>(
    (paths, settings): (&[PathBuf], &Settings),
    (account, wanted, rule): (&AccountId, &str, &str),
    weigh: impl Fn(&Pipeline, &str) -> Option<W>,
    weight: impl Fn(&W) -> K,
) -> Result<Verdict<W>, Error> {
    let (mut accounts, mut orders): (BTreeSet<String>, BTreeSet<String>) = (BTreeSet::new(), BTreeSet::new());
    let mut best: Option<Verdict<W>> = None;
    let mut last: Option<(CompactString, Timestamp)> = None;
    let mut told: Vec<IncidentId> = Vec::new();
    follow(paths, settings, |pipeline, arrival, effects| {
        let mut concerns = false;
        for event in pipeline.events() {
            concerns |= matches!(&event.kind, EventKind::Market(_) | EventKind::Access(_) | EventKind::Cap(_));
            let EventKind::Fill(fill) = &event.kind else { continue };
            if accounts.len() < MOST_NAMES {
                accounts.insert(fill.account.to_string());
            }
            if fill.account != *account {
                continue;
            }
            concerns = true;
            if orders.len() < MOST_NAMES {
                orders.insert(fill.order_id.to_string());
            }
            if fill.order_id == wanted || fill.client_order_id.as_deref() == Some(wanted) {
                last = Some((fill.order_id.clone(), event.at));
            }
        }
        let Some((id, until)) = &last else { return };
        for effect in effects {
            let EffectKind::Incident { incident, .. } = &effect.kind;
            let spoke = |finding: &Finding| finding.rule_name() == rule && finding.orders.contains(id);
            if incident.account == *account && incident.findings.iter().any(spoke) && !told.contains(&incident.id) {
                told.push(incident.id.clone());
            }
        }
        if !concerns && effects.is_empty() || arrival.at.since(*until) > LOOKED_AT {
            return;
        }
        let Some(weighed) = weigh(pipeline, id) else { return };
        let (new, old) = (weight(&weighed), best.as_ref().map(|best| weight(&best.weighed)));
        if old.is_none_or(|old| new.partial_cmp(&old) == Some(std::cmp::Ordering::Greater))
            && let Some(group) = pipeline.account(account).and_then(|known| Some(known.group_at(known.find(id)?)))
        {
            best = Some(Verdict {
                order: id.clone(),
                symbol: group.symbol.clone(),
                side: group.side,
                first: group.first,
                n: arrival.n,
                at: arrival.at,
                weighed,
                told: Vec::new(),
            });
        }
    })?;
    let Some(verdict) = best else {
        let (what, given, known) = if accounts.contains(&account.to_string()) {
            ("order", wanted.to_owned(), &orders)
        } else {
            ("account", account.to_string(), &accounts)
        };
        return Err(Error::Unknown { what, hint: hint(&given, known), given });
    };
    Ok(Verdict { told, ..verdict })
}

fn follow(
    paths: &[PathBuf],
    settings: &Settings,
    mut each: impl FnMut(&Pipeline, &Arrival, &[Effect]),
) -> Result<(), ReadError> {
    let mut current: Option<(Pipeline, u64)> = None;
    for path in paths {
        let mut reader = Reader::open(path)?;
        let first = reader.header().first_n();
        // A segment that continues the one before it is judged with the same memory; any other starts anew.
        let (mut pipeline, _) = current
            .take()
            .filter(|(_, last)| *last > 0 && first == last.saturating_add(1))
            .unwrap_or_else(|| (Pipeline::new(settings.clone()), 0));
        for arrival in reader.by_ref() {
            let arrival = arrival?;
            let effects = pipeline.step(&arrival);
            each(&pipeline, &arrival, &effects);
        }
        current = Some((pipeline, reader.last_n()));
    }
    Ok(())
}

/// Says which names there are that are like one that is not.
fn hint(given: &str, known: &BTreeSet<String>) -> String {
    let given: String = given.chars().take(64).collect();
    if known.is_empty() {
        return "; there is none at all".to_owned();
    }
    let mut near: Vec<(usize, &String)> =
        known.iter().map(|name| (crate::spelling::distance(&given, name), name)).collect();
    near.sort();
    let near: Vec<&str> = near.iter().take(HINTS).map(|(_, name)| name.as_str()).collect();
    let more = if known.len() > near.len() { format!(" and {} more", known.len() - near.len()) } else { String::new() };
    format!("; the nearest are {}{more}", near.join(", "))
}

fn names() -> String {
    OF_ORDERS.map(|rule| rule.name.as_str()).join(", ")
}
