//! What each rule costs on a recording: nanoseconds an order, findings, and bytes of memory.
//!
//! The rules are asked beside the pipeline, not in it, so that nothing a rule sees depends on a clock.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::{EffectKind, EventKind};
use crate::engine::cost::{Held, Stopwatch};
use crate::journal::{ReadError, Reader};
use crate::pipeline::{Pipeline, Settings};
use crate::runtime::clock;

/// What the rules cost.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// By rule.
    pub rules: BTreeMap<String, Asked>,
    /// What the memory holds at the end.
    pub held: Vec<Held>,
    /// Arrivals that were stepped through.
    pub arrivals: u64,
    /// How long that took, without what was measured beside it.
    pub stepping: Duration,
}

/// What one rule costs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// How often it was asked.
    pub times: u64,
    /// How long that took in all.
    pub took: Duration,
    /// How often it found something.
    pub findings: u64,
}

/// One question takes less than reading the clock does.
const REPEATS: u32 = 16;

impl Stopwatch for BTreeMap<String, Asked> {
    fn time(&mut self, rule: &str, question: &mut dyn FnMut()) {
        let begun = clock::steady();
        for _ in 0..REPEATS {
            question();
        }
        let took = begun.elapsed() / REPEATS;
        if !self.contains_key(rule) {
            self.insert(rule.to_owned(), Asked::default());
        }
        if let Some(asked) = self.get_mut(rule) {
            asked.times += 1;
            asked.took += took;
        }
    }
}

/// Steps through recordings, each with a memory that continues where it continues the one before, and asks the rules
/// about every order that traded.
pub fn measure(readers: Vec<Reader>, settings: &Settings) -> Result<Cost, ReadError> {
    let mut cost = Cost::default();
    let mut pipeline = Pipeline::new(settings.clone());
    let mut last = 0;
    for mut reader in readers {
        if last == 0 || reader.header().first_n() != last + 1 {
            pipeline = Pipeline::new(settings.clone());
        }
        for arrival in reader.by_ref() {
            let arrival = arrival?;
            let begun = clock::steady();
            let effects = pipeline.step(&arrival);
            cost.stepping += begun.elapsed();
            cost.arrivals += 1;
            for effect in &effects {
                let EffectKind::Incident { finding, .. } = &effect.kind;
                if let Some(finding) = finding {
                    cost.rules.entry(finding.rule_name().to_owned()).or_default().findings += 1;
                }
            }
            for event in pipeline.events() {
                if let EventKind::Fill(fill) = &event.kind {
                    pipeline.ask_each(&fill.account, &fill.order_id, &mut cost.rules);
                }
            }
        }
        last = reader.last_n();
    }
    cost.held = pipeline.held();
    Ok(cost)
}

impl Asked {
    /// Returns how long one question took, in nanoseconds.
    pub fn nanos(&self) -> u64 {
        let nanos = u64::try_from(self.took.as_nanos()).unwrap_or(u64::MAX);
        nanos.checked_div(self.times).unwrap_or(0)
    }
}

impl Cost {
    /// Returns the bytes that are kept for one rule alone; shared parts are told apart.
    pub fn own_bytes(&self, rule: &str) -> u64 {
        let own = |held: &&Held| held.rules.len() == 1 && held.rules[0].as_str() == rule;
        self.held.iter().filter(own).map(|held| held.bytes).sum()
    }

    /// Returns it for programs.
    pub fn to_json(&self) -> Value {
        let rule = |(name, asked): (&String, &Asked)| {
            json!({"rule": name, "asked": asked.times, "ns_each": asked.nanos(), "findings": asked.findings,
                "own_bytes": self.own_bytes(name)})
        };
        let held = |held: &Held| {
            let rules: Vec<&str> = held.rules.iter().map(|rule| rule.as_str()).collect();
            json!({"what": held.what, "rules": rules, "count": held.count, "bytes": held.bytes})
        };
        json!({
            "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
            "memory": self.held.iter().map(held).collect::<Vec<_>>(),
            "arrivals": self.arrivals,
            "ns_an_arrival": self.an_arrival(),
        })
    }

    fn an_arrival(&self) -> u64 {
        u64::try_from(self.stepping.as_nanos()).unwrap_or(u64::MAX).checked_div(self.arrivals).unwrap_or(0)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:>9} {:>9} {:>9} {:>10}", "rule", "asked", "ns each", "findings", "own bytes")?;
        for (name, asked) in &self.rules {
            // A rule that judges no orders is asked when something else happens, which is part of the step below.
            let nanos = if asked.times == 0 { "-".to_owned() } else { asked.nanos().to_string() };
            let (times, findings, bytes) = (asked.times, asked.findings, self.own_bytes(name));
            writeln!(f, "{name:<24} {times:>9} {nanos:>9} {findings:>9} {bytes:>10}")?;
        }
        for held in &self.held {
            let rules: Vec<&str> = held.rules.iter().map(|rule| rule.as_str()).collect();
            writeln!(f, "memory    {}: {} x {} B ({})", held.what, held.count, held.each(), rules.join(", "))?;
        }
        writeln!(
            f,
            "a step    {} arrivals, {} ns each, all rules and the reading of frames in it",
            self.arrivals,
            self.an_arrival()
        )
    }
}
