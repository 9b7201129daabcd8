//! One look at the daemon: what it writes down, and what its database and journal hold.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::config::Config;
use crate::domain::{Excuse, Hidden, Incident, Level, RuleName, Span, Timestamp};
use crate::journal::segments;
use crate::live::gauges::{RuleStatus, Status};
use crate::runtime::clock;
use crate::store::{Backlog, Filter, Silence, Store};

/// A daemon that wrote nothing for longer has ended or hangs.
const SILENT: Span = Span::from_secs(5);
/// Open incidents that are looked at.
const INCIDENTS: u32 = 200;

/// Looks again and again.
pub(super) struct Looker {
    config: Config,
    store: Option<Store>,
}

/// What was seen.
pub(super) struct Look {
    pub(super) at: Timestamp,
    pub(super) seen: Seen,
    pub(super) rules: Vec<(RuleStatus, &'static str)>,
    pub(super) kept: Kept,
    pub(super) segments: usize,
    pub(super) bytes: u64,
}

/// Whether a daemon runs.
pub(super) enum Seen {
    /// One does.
    Daemon(Box<Status>),
    /// None does, as far as can be seen; why, and what to do.
    Nobody(String),
}

/// What the database holds.
#[derive(Default)]
pub(super) struct Kept {
    /// Why it cannot be read.
    pub(super) problem: Option<String>,
    pub(super) open: Vec<Incident>,
    pub(super) channels: Vec<Backlog>,
    pub(super) silences: Vec<Silence>,
    pub(super) exceptions: Vec<Hidden>,
}

impl Looker {
    pub(super) fn new(config: Config) -> Self {
        Looker { config, store: None }
    }

    pub(super) fn look(&mut self) -> Look {
        let at = clock::now();
        let seen = self.daemon(at);
        let told = match &seen {
            Seen::Daemon(status) => status.rules.as_slice(),
            Seen::Nobody(_) => &[],
        };
        let rules = self.rules(told);
        let kept = self.kept(at).unwrap_or_else(|error| {
            // Opened anew next time: it may have been restored from a copy.
            self.store = None;
            Kept { problem: Some(error.to_string()), ..Kept::default() }
        });
        let segments = segments(&self.config.journal.dir).unwrap_or_default();
        let sizes = segments.iter().filter_map(|one| std::fs::metadata(&one.path).ok());
        Look { at, seen, rules, kept, bytes: sizes.map(|about| about.len()).sum(), segments: segments.len() }
    }

    fn daemon(&self, at: Timestamp) -> Seen {
        let file = self.config.status_file();
        let place = file.display();
        match Status::read(&file) {
            Ok(Some(status)) if at.since(status.at) <= SILENT => Seen::Daemon(Box::new(status)),
            Ok(Some(status)) => Seen::Nobody(format!(
                "the daemon (process {}) last said how it does at {}; it was killed or hangs: look at `systemctl status \
                 fillguard` and its log",
                status.pid, status.at
            )),
            Ok(None) => Seen::Nobody(format!(
                "no daemon runs with this configuration ({place} is not there); start it with `systemctl start fillguard` or \
                 `fillguard run --config {}`. One that has just started reads its journal first",
                self.config.file.display()
            )),
            Err(why) if why.kind() == std::io::ErrorKind::PermissionDenied => {
                Seen::Nobody(format!("{place} may not be read: run this as the service's user or as root"))
            }
            Err(why) => Seen::Nobody(format!("{place} cannot be read: {why}; are the daemon and this of one version?")),
        }
    }

    /// Returns the rules in force and those that were, with their stages.
    fn rules(&self, told: &[RuleStatus]) -> Vec<(RuleStatus, &'static str)> {
        let engine = &self.config.pipeline.engine;
        let mut stages: BTreeMap<&str, &'static str> = BTreeMap::new();
        for rule in RuleName::ALL.iter().filter(|rule| **rule != RuleName::User) {
            stages.insert(rule.as_str(), if engine.off.contains(rule) { "off" } else { "live" });
        }
        stages.extend(engine.staged.iter().map(|(rule, _)| (rule.as_str(), "staged")));
        stages.extend(
            engine.user.rules.iter().map(|own| (own.name.as_str(), if own.staged { "staged" } else { "live" })),
        );
        let mut rules: BTreeMap<&str, RuleStatus> = told.iter().map(|one| (one.rule.as_str(), one.clone())).collect();
        for (name, stage) in &stages {
            if *stage != "off" {
                rules.entry(name).or_insert_with(|| RuleStatus { rule: (*name).to_owned(), ..RuleStatus::default() });
            }
        }
        rules.into_iter().map(|(name, rule)| (rule, stages.get(name).copied().unwrap_or("gone"))).collect()
    }

    fn kept(&mut self, at: Timestamp) -> Result<Kept, crate::store::Error> {
        let store = match self.store.take() {
            Some(store) => store,
            None => Store::read(&self.config.store_file())?,
        };
        let filter = Filter { open: Some(true), limit: INCIDENTS, ..Filter::default() };
        let mut open = store.incidents(&filter)?;
        open.sort_by(|a, b| b.level.cmp(&a.level).then(b.last.cmp(&a.last)));
        let mut channels = store.backlog()?;
        for route in self.config.notify.routes() {
            if !channels.iter().any(|one| one.channel == route.name) {
                let (channel, waiting, sent, given_up) = (route.name, 0, 0, 0);
                channels.push(Backlog { channel, waiting, oldest: None, sent, given_up, why: None });
            }
        }
        let kept = Kept {
            problem: None,
            open,
            channels,
            silences: store.silences(at)?,
            exceptions: store.hidden(Excuse::Exception)?,
        };
        self.store = Some(store);
        Ok(kept)
    }
}

impl Look {
    /// Returns how many incidents are open at a level.
    pub(super) fn open(&self, level: Level) -> usize {
        self.kept.open.iter().filter(|one| one.level == level).count()
    }

    /// Returns it for programs.
    pub(super) fn to_json(&self) -> Value {
        let (running, status) = match &self.seen {
            Seen::Daemon(status) => (true, serde_json::to_value(status).unwrap_or_default()),
            Seen::Nobody(_) => (false, Value::Null),
        };
        let why = match &self.seen {
            Seen::Daemon(_) => Value::Null,
            Seen::Nobody(why) => why.as_str().into(),
        };
        let rule = |(rule, stage): &(RuleStatus, &str)| {
            let mut value = serde_json::to_value(rule).unwrap_or_default();
            value["stage"] = (*stage).into();
            value
        };
        let incident = |one: &Incident| {
            json!({"incident": one.id.as_str(), "account": one.account.to_string(), "level": one.level.as_str(),
                "opened": one.opened.nanos(), "last": one.last.nanos(), "pair": one.symbol().map(ToString::to_string),
                "rule": one.leading().map(|finding| finding.rule_name()),
                "loss": one.loss.iter().map(ToString::to_string).collect::<Vec<_>>()})
        };
        let channel = |one: &Backlog| {
            json!({"channel": one.channel, "waiting": one.waiting, "oldest": one.oldest.map(Timestamp::nanos),
                "sent": one.sent, "given_up": one.given_up, "why": one.why})
        };
        let silence = |one: &Silence| json!({"account": one.account.to_string(), "until": one.until.nanos(), "by": one.by, "hid": one.swallowed});
        let exception = |one: &Hidden| json!({"exception": one.name, "account": one.account.to_string(), "what": one.what, "hid": one.count});
        let mut answer = json!({
            "at": self.at.nanos(),
            "running": running,
            "why": why,
            "daemon": status,
            "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
            "open": {"notice": self.open(Level::Notice), "alert": self.open(Level::Alert), "act": self.open(Level::Act)},
            "incidents": self.kept.open.iter().map(incident).collect::<Vec<_>>(),
            "channels": self.kept.channels.iter().map(channel).collect::<Vec<_>>(),
            "silences": self.kept.silences.iter().map(silence).collect::<Vec<_>>(),
            "exceptions": self.kept.exceptions.iter().map(exception).collect::<Vec<_>>(),
            "journal": {"segments": self.segments, "bytes": self.bytes},
            "database": self.kept.problem,
        });
        // They stand beside it, with their stages.
        if let Some(daemon) = answer["daemon"].as_object_mut() {
            daemon.remove("rules");
        }
        answer
    }
}
