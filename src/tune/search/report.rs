//! What a search came to, as tables for people and as JSON.

use std::fmt;

use serde_json::{Value, json};

use super::space::{Key, Space};
use super::tally::{Difference, Figures};
use super::{Outcome, Settings};
use crate::tune::score::Interval;
use crate::tune::written::{figure as amount, percent as share};

/// A search with what was asked, ready to be shown.
pub struct Told<'a> {
    /// How was searched.
    pub settings: &'a Settings,
    /// What was varied.
    pub space: &'a Space,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// Rules that are extended by a file already, which a proposal would have to be merged with.
    pub standing: Vec<String>,
}

impl Told<'_> {
    /// Returns what a proposal changes: each key, what it is set to now, and what it would be.
    pub fn changes(&self) -> Vec<(Key, String, String)> {
        let chosen = self.outcome.chosen.map(|place| &self.outcome.tried[place].candidate.0);
        let values = chosen.into_iter().flatten();
        values.map(|(key, value)| (key.clone(), self.space.now(key).to_owned(), value.clone())).collect()
    }

    /// Returns the rule file that is proposed, with its figures; nothing where none is.
    pub fn file(&self) -> Option<String> {
        if !self.outcome.verdict.proposes() {
            return None;
        }
        let candidate = &self.outcome.tried[self.outcome.chosen?].candidate;
        let mut out = format!(
            "# Proposed by fillguard tune ({} candidates, seed {}): {}, at most {} false alerts in an account-month.\n",
            self.outcome.tried.len() - 1,
            self.settings.seed,
            self.settings.objective.title(),
            amount(self.settings.max_false)
        );
        let best = self.outcome.best.as_ref()?;
        for (name, before, after) in [
            ("where it was chosen", Some(&self.outcome.present.tuned), Some(&best.tuned)),
            ("on events held out", self.outcome.present.held.as_ref(), best.held.as_ref()),
        ] {
            let (Some(before), Some(after)) = (before, after) else { continue };
            out.push_str(&format!(
                "# {name} (n = {} attacks, {} events): saved {} to {}; false alerts a month {} to {}\n",
                after.attacks,
                after.events,
                share(before.saved.value),
                share(after.saved.value),
                amount(before.false_alerts.value),
                amount(after.false_alerts.value)
            ));
        }
        out.push_str(&format!("# {}\n\n", self.outcome.verdict.sentence()));
        out.push_str(&candidate.file());
        Some(out)
    }

    /// Returns everything as JSON; figures that are not known are null.
    pub fn to_json(&self) -> Value {
        let outcome = self.outcome;
        let tried: Vec<Value> = outcome
            .tried
            .iter()
            .enumerate()
            .map(|(place, tried)| {
                let values: serde_json::Map<String, Value> =
                    tried.candidate.0.iter().map(|(key, value)| (named(key), json!(plain(value)))).collect();
                let front = outcome.front.contains(&place);
                json!({ "values": values, "round": tried.round, "front": front, "figures": tried.figures })
            })
            .collect();
        let params: Vec<Value> = self
            .space
            .params()
            .iter()
            .map(|param| {
                let now = self.space.now(&(param.rule, param.key.clone()));
                json!({ "name": param.to_string(), "range": param.range(), "now": plain(now) })
            })
            .collect();
        let changes: Vec<Value> = self
            .changes()
            .into_iter()
            .map(|(key, old, new)| json!({ "name": named(&key), "now": plain(&old), "proposed": plain(&new) }))
            .collect();
        let rounds: Vec<Value> = outcome
            .rounds
            .iter()
            .map(|(candidates, events)| json!({ "candidates": candidates, "events": events }))
            .collect();
        let best = outcome.best.as_ref();
        json!({
            "verdict": outcome.verdict,
            "says": outcome.verdict.sentence(),
            "objective": self.settings.objective,
            "max_false": self.settings.max_false,
            "seed": self.settings.seed,
            "parameters": params,
            "rounds": rounds,
            "held_out_events": outcome.held_events,
            "present": { "tuned": outcome.present.tuned, "held_out": outcome.present.held },
            "chosen": best.map(|best| json!({
                "candidate": outcome.chosen, "tuned": best.tuned, "held_out": best.held,
                "difference": outcome.gain, "held_out_difference": outcome.held_gain,
            })),
            "changes": changes,
            "file": self.file(),
            "candidates": tried,
        })
    }
}

/// Writes a key as people name it.
pub fn named(key: &Key) -> String {
    format!("{}.{}", key.0.as_str(), key.1)
}

/// Writes a value without the quotes of its file.
pub fn plain(value: &str) -> String {
    value.replace('"', "")
}

fn interval(of: &Interval, write: fn(f64) -> String) -> String {
    if of.high.is_finite() && of.low.is_finite() {
        format!("{} [{}, {}]", write(of.value), write(of.low), write(of.high))
    } else {
        format!("{} [one event, no interval]", write(of.value))
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, figures: &Figures) -> fmt::Result {
    writeln!(
        f,
        "{name:<22} {:<30} {:<28} {:>3} of {:<4} {:>6} {:>5} {:>8}",
        interval(&figures.saved, share),
        interval(&figures.false_alerts, amount),
        figures.told,
        figures.attacks,
        figures.alerts,
        figures.acts,
        figures.events
    )
}

fn difference(f: &mut fmt::Formatter<'_>, of: Option<&Difference>) -> fmt::Result {
    let Some(of) = of else { return Ok(()) };
    writeln!(f, "{:<22} {:<30} {}", "  difference", interval(&of.saved, share), interval(&of.false_alerts, amount))
}

/// Tables for people.
impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.outcome;
        let rounds: Vec<String> =
            outcome.rounds.iter().map(|(candidates, events)| format!("{candidates} on {events} events")).collect();
        writeln!(
            f,
            "{} parameters; {}; {} events held out",
            self.space.params().len(),
            rounds.join(", "),
            outcome.held_events
        )?;
        writeln!(f, "saved is: {}, the mean over kinds of attack", self.settings.objective.title())?;
        writeln!(f, "\nThe frontier, on the {} events that were searched:", outcome.present.tuned.events)?;
        writeln!(f, "  saved   false a month  what differs")?;
        for place in &outcome.front {
            let tried = &outcome.tried[*place];
            let mark = match (*place, outcome.chosen) {
                (0, _) => "now",
                (place, Some(chosen)) if place == chosen => "->",
                _ => "",
            };
            let (saved, rate) = (share(tried.figures.saved.value), amount(tried.figures.false_alerts.value));
            writeln!(f, "{mark:<3} {saved:>7} {rate:>12}    {}", tried.candidate)?;
        }
        if !outcome.front.contains(&0) {
            let now = &outcome.tried[0].figures;
            let (saved, rate) = (share(now.saved.value), amount(now.false_alerts.value));
            writeln!(f, "now {saved:>7} {rate:>12}    as it is (beaten)")?;
        }
        writeln!(
            f,
            "\n{:<22} {:<30} {:<28} {:<11} {:>6} {:>5} {:>8}",
            "", "saved [95 %]", "false a month [95 %]", "told", "alerts", "act", "events"
        )?;
        let best = outcome.best.as_ref().filter(|_| outcome.chosen != Some(0));
        writeln!(f, "chosen on:")?;
        line(f, "  present", &outcome.present.tuned)?;
        if let Some(best) = best {
            line(f, "  chosen", &best.tuned)?;
            difference(f, outcome.gain.as_ref())?;
        }
        if let Some(held) = &outcome.present.held {
            writeln!(f, "held out:")?;
            line(f, "  present", held)?;
            if let Some(held) = best.and_then(|best| best.held.as_ref()) {
                line(f, "  chosen", held)?;
                difference(f, outcome.held_gain.as_ref())?;
            }
        }
        writeln!(f, "\n{}", outcome.verdict.sentence())?;
        if outcome.verdict.proposes() {
            for (key, old, new) in self.changes() {
                let key = named(&key);
                writeln!(f, "- {key} = {old}\n+ {key} = {new}")?;
            }
            for file in &self.standing {
                writeln!(f, "{file}")?;
            }
        }
        Ok(())
    }
}
