//! The stages a drill passes, as they become known.

use std::fmt;

use serde_json::{Value, json};

use crate::domain::{IncidentId, Span, Timestamp};
use crate::live::drills::Times;
use crate::store::{Answer, Store};

/// What stands over the stages.
pub(super) const HEAD: &str = "stage                              took  since asked";

/// One stage that was passed.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// Its name in output.
    name: &'static str,
    /// Which channel, where it is a channel's.
    channel: Option<String>,
    at: Timestamp,
    /// How long it took.
    took: Span,
    /// Since the drill was asked for.
    since: Span,
    /// What came of it.
    what: String,
}

/// What was seen so far.
pub(super) struct Stages {
    code: String,
    id: IncidentId,
    asked: Timestamp,
    passed: Vec<Stage>,
    times: Option<Times>,
    /// Rows of the outbox that are told already: handed over, accepted.
    rows: Vec<(u64, bool)>,
    /// The level that it had, and whether there was a message.
    judged: Option<bool>,
    /// Channels that accepted it.
    pub(super) told: usize,
    /// Whether nothing waits any more.
    pub(super) settled: bool,
    /// Channels that did not deliver, and why.
    pub(super) missing: Vec<String>,
    /// Who answered first.
    pub(super) answered: Option<Answer>,
}

impl Stages {
    pub(super) fn begin(code: &str, asked: Timestamp) -> Self {
        Stages {
            code: code.to_owned(),
            id: IncidentId::of_drill(code),
            asked,
            passed: Vec::new(),
            times: None,
            rows: Vec::new(),
            judged: None,
            told: 0,
            settled: false,
            missing: Vec::new(),
            answered: None,
        }
    }

    /// Says whether the rules had nothing to tell.
    pub(super) fn is_silent(&self) -> bool {
        self.judged == Some(false)
    }

    /// Looks what is new, and returns it.
    pub(super) fn look(&mut self, store: &Store) -> anyhow::Result<&[Stage]> {
        let known = self.passed.len();
        if self.judged.is_none() {
            self.daemon(store)?;
        }
        if let Some(kept) = self.times.as_ref().map(|times| times.kept) {
            self.channels(store, kept)?;
            if self.answered.is_none()
                && let Some(answer) = store.answers(&self.id)?.into_iter().next()
            {
                let told = self.passed.iter().filter(|stage| stage.name == "accepted").map(|stage| stage.at).min();
                let what = format!("{}, by {} over {}", answer.verdict.as_str(), answer.by, answer.via);
                self.pass("answered", None, answer.at, told.unwrap_or(kept), what);
                self.answered = Some(answer);
            }
        }
        Ok(&self.passed[known..])
    }

    /// The stages inside the daemon, all at once: they take milliseconds.
    fn daemon(&mut self, store: &Store) -> anyhow::Result<()> {
        let (Some(times), Some(step)) = (Times::of(store, &self.code)?, store.history(&self.id)?.into_iter().next())
        else {
            return Ok(());
        };
        let level = store.incident(&self.id)?.map(|incident| incident.level.to_string()).unwrap_or_default();
        let verdict = match &step.message {
            Some(message) => format!("{level}: {}", message.headline),
            None => "nothing that people are told".to_owned(),
        };
        self.judged = Some(step.message.is_some());
        self.pass("arrived", None, times.arrived, self.asked, format!("number {} in the journal", step.n));
        self.pass("journaled", None, times.committed, times.arrived, "on disk".to_owned());
        self.pass("judged", None, times.judged, times.committed, verdict);
        self.pass("kept", None, times.kept, times.judged, "incident and messages on disk".to_owned());
        self.times = Some(times);
        Ok(())
    }

    fn channels(&mut self, store: &Store, kept: Timestamp) -> anyhow::Result<()> {
        let deliveries = store.deliveries(&self.id)?;
        self.missing.clear();
        for one in &deliveries {
            if one.state != "sent" && one.state != "superseded" {
                let why = one.why.as_deref().unwrap_or_default();
                self.missing.push(format!("{}: {} {why}", one.channel, one.state).trim_end().to_owned());
            }
            let Some(tried) = one.tried_at else { continue };
            let done = one.done_at.filter(|_| one.state == "sent");
            // A second attempt moves the time of the first: it is told with the outcome.
            if done.is_some() && !self.rows.contains(&(one.id, true)) {
                let channel = Some(one.channel.clone());
                self.pass("handed over", channel.clone(), tried, kept, String::new());
                let attempts = if one.attempts == 1 { String::new() } else { format!("{} attempts", one.attempts) };
                self.pass("accepted", channel, done.unwrap_or(tried), tried, attempts);
                self.rows.push((one.id, true));
                self.told += 1;
            }
        }
        self.settled = !deliveries.iter().any(|one| matches!(one.state.as_str(), "waiting" | "sending"));
        Ok(())
    }

    fn pass(&mut self, name: &'static str, channel: Option<String>, at: Timestamp, before: Timestamp, what: String) {
        let (took, since) = (at.since(before).max(Span::ZERO), at.since(self.asked));
        self.passed.push(Stage { name, channel, at, took, since, what });
    }

    /// Returns all of them, for programs.
    pub(super) fn to_json(&self) -> Value {
        let stage = |stage: &Stage| {
            json!({
                "stage": stage.name, "channel": stage.channel, "at": stage.at.nanos(), "took_ms": millis(stage.took),
                "since_asked_ms": millis(stage.since), "what": stage.what,
            })
        };
        self.passed.iter().map(stage).collect()
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.channel {
            Some(channel) => format!("{}, {channel}", self.name),
            None => self.name.to_owned(),
        };
        write!(f, "{name:<28} {:>10} {:>12}  {}", brief(self.took), brief(self.since), self.what)
    }
}

fn millis(span: Span) -> f64 {
    (span.nanos() / 1_000) as f64 / 1e3
}

/// Writes a time as people measure one.
fn brief(span: Span) -> String {
    match span.nanos() / 1_000_000 {
        0..10 => format!("{:.1} ms", span.secs_f64() * 1e3),
        millis if millis < 10_000 => format!("{millis} ms"),
        millis => format!("{} s", millis / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_a_line_of_a_table() {
        let asked = Timestamp::from_millis(1_772_442_000_000);
        let mut stages = Stages::begin("7f3a", asked);
        stages.pass(
            "accepted",
            Some("mail".into()),
            asked + Span::from_millis(460),
            asked + Span::from_millis(340),
            String::new(),
        );
        let line = stages.passed[0].to_string();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["accepted,", "mail", "120", "ms", "460", "ms"]);
        assert_eq!(stages.to_json()[0]["took_ms"], 120.0);
        assert_eq!(line.find("460").map(|at| at + 6), HEAD.find("asked").map(|at| at + 5), "{line}");
    }
}
