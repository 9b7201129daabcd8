//! What a person's answer does to an incident.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Alert, Open, plan};
use crate::domain::{
    AccountId, Answer, EffectKind, Excuse, Finding, Hidden, IncidentId, Level, RuleName, Story, Symbol, Timestamp,
    Transition,
};

/// What an owner said was theirs: one rule about one pair or key, up to a level, for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Vouched {
    rule: RuleName,
    symbol: Option<Symbol>,
    subject: Option<String>,
    level: Level,
    loss: rust_decimal::Decimal,
    until: Timestamp,
    /// Findings it kept from people, and when the last of them came.
    swallowed: u64,
    last: Option<Timestamp>,
    /// The incident that was answered, and who did.
    incident: IncidentId,
    by: CompactString,
}

/// Exceptions of one account at most; the oldest goes first.
const MOST: usize = 48;

impl Alert {
    /// Takes an answer to an incident that is still open; one that is over is history, and says nothing here.
    ///
    /// That it was the owner closes it and becomes an exception for exactly what was found, no louder and not much more
    /// expensive, for a while. That it was not raises it to `act`: whatever the rules thought, somebody else trades.
    pub fn answer(&mut self, answer: &Answer, at: Timestamp, out: &mut Vec<EffectKind>) {
        for story in [Story::Takeover, Story::Blind] {
            let key = (answer.account.clone(), story);
            let answered = |open: &Open| open.incident.id.opened(&answer.account) == Some(answer.first);
            if !self.open.get(&key).is_some_and(answered) {
                continue;
            }
            match answer.mine {
                true => self.vouch(&key, answer, at, out),
                false => self.disown(&key, answer, out),
            }
        }
    }

    fn vouch(&mut self, key: &(AccountId, Story), answer: &Answer, at: Timestamp, out: &mut Vec<EffectKind>) {
        let Some(open) = self.open.remove(key) else { return };
        self.due.remove(&(open.due, key.0.clone(), key.1));
        let mut incident = open.incident;
        let until = at + self.settings.exception;
        let exceptions = self.vouched.entry(key.0.clone()).or_default();
        exceptions.retain(|known| known.until > at);
        for finding in &incident.findings {
            exceptions.push(Vouched {
                rule: finding.rule,
                symbol: finding.symbol.clone(),
                subject: finding.subject().map(|subject| subject.to_string()),
                level: finding.level,
                loss: finding.loss.as_ref().map(|loss| loss.amount()).unwrap_or_default(),
                until,
                swallowed: 0,
                last: None,
                incident: incident.id.clone(),
                by: answer.by.clone(),
            });
        }
        let over = exceptions.len().saturating_sub(MOST);
        exceptions.drain(..over);
        self.hid_moved += 1;
        incident.closed = Some(at.max(incident.last));
        out.push(EffectKind::Incident { transition: Transition::Closed, incident, finding: None, message: None });
    }

    fn disown(&mut self, key: &(AccountId, Story), answer: &Answer, out: &mut Vec<EffectKind>) {
        let language = self.settings.language;
        let Some(open) = self.open.get_mut(key) else { return };
        // Told twice, as after a crash, it finds nothing left to raise.
        if std::mem::replace(&mut open.disowned, true) {
            return;
        }
        open.incident.level = Level::Act;
        open.incident.plan = plan::steps(&key.0, Story::Takeover);
        let mut message = open.tell(Transition::Raised, language);
        language.disown(&mut message, &key.0, &answer.by, &open.incident.plan);
        let incident = open.incident.clone();
        out.push(EffectKind::Incident {
            transition: Transition::Raised,
            incident,
            finding: None,
            message: Some(message),
        });
    }

    /// Says whether the owner vouched for this; counts what it keeps from people.
    pub(super) fn is_vouched(&mut self, finding: &Finding) -> bool {
        let now = finding.at.max(self.now);
        let Some(exceptions) = self.vouched.get_mut(&finding.account) else { return false };
        exceptions.retain(|known| known.until > now);
        let loss = finding.loss.as_ref().map(|loss| loss.amount()).unwrap_or_default();
        let subject = finding.subject().map(|subject| subject.to_string());
        let found = exceptions.iter_mut().find(|known| {
            known.rule == finding.rule
                && known.symbol == finding.symbol
                && known.subject == subject
                && finding.level <= known.level
                && loss <= known.loss.saturating_mul(self.settings.retell)
        });
        let vouched = found.map(|known| {
            known.swallowed += 1;
            known.last = Some(now);
        });
        let vouched = vouched.is_some();
        self.hid_moved += u64::from(vouched);
        if exceptions.is_empty() {
            self.vouched.remove(&finding.account);
        }
        vouched
    }

    /// Returns what owners vouched for, an answer each.
    pub(super) fn vouched_for(&self) -> Vec<Hidden> {
        let mut answers: BTreeMap<IncidentId, Hidden> = BTreeMap::new();
        for (account, vouched) in &self.vouched {
            for one in vouched {
                let pair = one.symbol.as_ref().map(|symbol| format!(" in {symbol}")).unwrap_or_default();
                let own = one.subject.as_ref().filter(|_| one.rule == RuleName::User);
                let what = format!("{}{pair}", own.map_or(one.rule.as_str(), String::as_str));
                let answer = answers.entry(one.incident.clone()).or_insert_with(|| Hidden {
                    excuse: Excuse::Answer,
                    name: one.incident.as_str().into(),
                    account: account.clone(),
                    owner: one.by.clone(),
                    what: String::new(),
                    until: one.until,
                    count: 0,
                    last: None,
                });
                if !answer.what.is_empty() {
                    answer.what.push_str(", ");
                }
                answer.what.push_str(&what);
                answer.count += one.swallowed;
                answer.last = answer.last.max(one.last);
            }
        }
        answers.into_values().collect()
    }
}
