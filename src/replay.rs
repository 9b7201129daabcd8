//! The same pipeline over a recording: says what would have been told, and nothing else happens.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::domain::{Effect, EffectKind, Event, EventKind, FeedKind, Finding, Incident, Money, Timestamp, Transition};
use crate::journal::{Fault, FaultKind, ReadError, Reader, Report, verify};
use crate::pipeline::{Pipeline, Settings};

/// What a replay tells, as it goes.
#[derive(Clone, Debug)]
pub enum Told<'a> {
    /// The pipeline wants something.
    Effect(&'a Effect),
    /// An arrival could not be read; its number, from whom, and why.
    Unreadable {
        /// The arrival's number.
        n: u64,
        /// From whom it came.
        from: String,
        /// Why.
        why: String,
    },
    /// The last record of a recording was not written to its end.
    Torn {
        /// The recording.
        path: &'a Path,
        /// The last arrival that was whole.
        last_n: u64,
    },
    /// So many bytes of a recording are read.
    Progress(u64),
    /// A rule of the user's own could not be judged so often, and why at first.
    Unjudged {
        /// The rule.
        rule: String,
        /// How often.
        count: u64,
        /// Why at first.
        why: String,
    },
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Arrivals.
    pub arrivals: u64,
    /// Fills of watched accounts, each once.
    pub fills: u64,
    /// Orders that traded.
    pub orders: u64,
    /// Accounts that were heard of.
    pub accounts: u64,
    /// Incidents that were opened.
    pub incidents: u64,
    /// Arrivals that could not be read.
    pub unreadable: u64,
    /// Uses of keys that came without their network, as from a daemon that had no table or from other software.
    pub unlocated: u64,
    /// Seconds from the first arrival to the last, by the recording's own time.
    pub seconds: f64,
}

/// Stands for what is piped in, where a recording's path is asked for.
const STANDARD_INPUT: &str = "-";

/// Replays recordings in the order given. One that continues the one before it (a journal's segments) is judged with
/// the same memory; any other starts anew.
pub fn replay(paths: &[PathBuf], settings: &Settings, mut tell: impl FnMut(Told<'_>)) -> Result<Summary, ReadError> {
    let mut summary = Summary::default();
    let mut current: Option<(Pipeline, u64)> = None;
    for path in paths {
        let reader = if path.as_os_str() == STANDARD_INPUT {
            Reader::new(std::io::stdin(), "standard input")?
        } else {
            Reader::open(path)?
        };
        let continues = current
            .as_ref()
            .is_some_and(|(_, last_n)| reader.header().first_n() == last_n.saturating_add(1) && *last_n > 0);
        if !continues {
            if let Some((done, _)) = current.take() {
                summary.add(&done);
                unjudged(&done, &mut tell);
            }
            current = Some((Pipeline::new(settings.clone()), 0));
        }
        if let Some((pipeline, last_n)) = &mut current {
            *last_n = play(path, reader, pipeline, &mut summary, &mut tell)?;
        }
    }
    if let Some((done, _)) = current {
        summary.add(&done);
        unjudged(&done, &mut tell);
    }
    Ok(summary)
}

fn unjudged(done: &Pipeline, tell: &mut impl FnMut(Told<'_>)) {
    for (rule, (count, why)) in done.failures() {
        tell(Told::Unjudged { rule: rule.to_string(), count, why: why.to_string() });
    }
}

fn play(
    path: &Path,
    mut reader: Reader,
    pipeline: &mut Pipeline,
    summary: &mut Summary,
    tell: &mut impl FnMut(Told<'_>),
) -> Result<u64, ReadError> {
    let (mut first, mut last): (Option<Timestamp>, Timestamp) = (None, Timestamp::EPOCH);
    for arrival in reader.by_ref() {
        let arrival = arrival?;
        first.get_or_insert(arrival.at);
        last = last.max(arrival.at);
        let effects = pipeline.step(&arrival);
        for event in pipeline.events() {
            if let EventKind::Feed(change) = &event.kind
                && let FeedKind::Unreadable(why) = &change.kind
            {
                tell(Told::Unreadable { n: arrival.n, from: arrival.from.to_string(), why: why.to_string() });
            }
        }
        let unlocated = |event: &&Event| matches!(&event.kind, EventKind::Access(access) if access.ip.is_some() && access.network.is_none());
        summary.unlocated += pipeline.events().iter().filter(unlocated).count() as u64;
        for effect in &effects {
            tell(Told::Effect(effect));
        }
        if arrival.n % 4_096 == 0 {
            tell(Told::Progress(arrival.n));
        }
    }
    if reader.torn().is_some() {
        tell(Told::Torn { path, last_n: reader.last_n() });
    }
    summary.seconds += first.map_or(0.0, |first| last.since(first).secs_f64());
    Ok(reader.last_n())
}

impl Summary {
    fn add(&mut self, done: &Pipeline) {
        let counts = done.counts();
        let (accounts, orders) = done.accounts_and_orders();
        self.arrivals += counts.arrivals;
        self.fills += counts.fills;
        self.unreadable += counts.unreadable;
        self.accounts += accounts;
        self.orders += orders;
        self.incidents += done.incidents();
    }

    /// Returns the last line of the JSON output.
    pub fn to_json(&self) -> Value {
        json!({"summary": {
            "arrivals": self.arrivals, "fills": self.fills, "orders": self.orders, "accounts": self.accounts,
            "incidents": self.incidents, "unreadable": self.unreadable, "seconds": self.seconds,
        }})
    }
}

/// Returns the line of the JSON output for an effect: an incident's transition. An update is none, only its figures moved.
pub fn to_json(effect: &Effect) -> Option<Value> {
    let EffectKind::Incident { transition, incident, finding, .. } = &effect.kind;
    if *transition == Transition::Updated {
        return None;
    }
    let finding = finding.as_ref().or_else(|| incident.leading());
    let mut line = Map::new();
    let mut put = |key: &str, value: Value| line.insert(key.to_owned(), value);
    put("incident", json!(incident.id.as_str()));
    put("event", json!(transition.as_str()));
    put("at", json!(effect.at.nanos()));
    put("n", json!(effect.n));
    put("account", json!(incident.account.to_string()));
    put("pair", json!(finding.and_then(|finding| finding.symbol.as_ref()).map(ToString::to_string)));
    put("level", json!(incident.level.as_str()));
    put("rule", json!(finding.map(Finding::rule_name)));
    put("kind", json!(finding.map(|finding| finding.kind.as_str())));
    put("loss", loss(incident, finding));
    put("score", json!(finding.map_or(0.0, |finding| finding.score)));
    let terms = finding.map(|finding| &finding.terms).into_iter().flatten();
    put("terms", terms.map(|term| (term.name.to_string(), json!(term.nats))).collect::<Map<_, _>>().into());
    if let Some((name, level)) = finding.and_then(crate::alert::hidden_by) {
        put("exception", json!({"name": name, "level": level.as_str()}));
    }
    Some(line.into())
}

fn loss(incident: &Incident, finding: Option<&Finding>) -> Value {
    let of_finding = finding.and_then(|finding| finding.loss.as_ref());
    let asset = of_finding.map(Money::asset);
    let largest =
        incident.loss.iter().find(|loss| Some(loss.asset()) == asset).or(of_finding).or(incident.loss.first());
    largest.map_or(
        Value::Null,
        |loss| json!({"amount": loss.amount().normalize().to_string(), "asset": loss.asset().as_str()}),
    )
}

/// Checks the seals of recordings, beside a replay of them; returns the first fault.
pub fn first_fault(paths: &[PathBuf]) -> Option<(PathBuf, Fault)> {
    paths.iter().find_map(|path| {
        let Report { faults, .. } = verify(path).ok()?;
        // A torn end is told by the replay itself.
        let fault = faults.into_iter().find(|fault| !matches!(fault.kind, FaultKind::Torn | FaultKind::NotSealed))?;
        Some((path.clone(), fault))
    })
}
