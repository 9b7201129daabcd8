//! Owners who answer: what a wrong alarm costs once somebody presses *that was me*.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::evaluate::Step;
use super::labels::{Label, What};
use crate::arrival::{Arrival, Body, Source};
use crate::codec::operator;
use crate::domain::{AccountId, Answer, Effect, EffectKind, Incident, IncidentId, Kind, Level, Span, Timestamp};

/// Lets the owners of accounts answer each alert so long after it is raised, as far as its incident has grown by then. An
/// account's owner is not asked any more once the account is attacked, and nobody answers a loss of sight.
pub fn answering(mut step: Step, labels: &[Label], after: Option<Span>) -> Step {
    let Some(after) = after else { return step };
    let mut owners = Owners::new(labels, after);
    Box::new(move |arrival| {
        let mut effects = Vec::new();
        while let Some(answer) = owners.due(arrival) {
            effects.extend(owners.hear(step(&answer)));
        }
        effects.extend(owners.hear(step(arrival)));
        effects
    })
}

struct Owners {
    after: Span,
    /// Whose accounts they are, and the first hostile arrival where there is one.
    accounts: BTreeMap<AccountId, u64>,
    /// The alerts that wait for their owner, the oldest first.
    waiting: VecDeque<(Timestamp, IncidentId)>,
    open: BTreeMap<IncidentId, Incident>,
    /// What was answered, or waits; an incident that grew louder afterwards is answered again.
    asked: BTreeSet<(IncidentId, Level)>,
}

impl Owners {
    fn new(labels: &[Label], after: Span) -> Self {
        let mut accounts = BTreeMap::new();
        for label in labels {
            let attacked = if label.kind == What::Ordinary { u64::MAX } else { label.first.n };
            let first = accounts.entry(label.account.clone()).or_insert(u64::MAX);
            *first = attacked.min(*first);
        }
        Owners { after, accounts, waiting: VecDeque::new(), open: BTreeMap::new(), asked: BTreeSet::new() }
    }

    /// Returns the answer that comes before an arrival, as an arrival of its own.
    fn due(&mut self, next: &Arrival) -> Option<Arrival> {
        loop {
            let (at, _) = self.waiting.front().filter(|(at, _)| *at <= next.at)?;
            let at = *at;
            let (_, id) = self.waiting.pop_front()?;
            if let Some(incident) = self.open.get(&id) {
                let frame = operator::write(&Answer::to(incident, true, "backtest"), None);
                return Some(Arrival { n: next.n, at, from: Source::Operator, body: Body::from_text(frame) });
            }
        }
    }

    fn hear(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        for effect in &effects {
            let EffectKind::Incident { incident, finding, .. } = &effect.kind;
            let Some(attacked) = self.accounts.get(&incident.account) else { continue };
            if effect.n >= *attacked {
                continue;
            }
            self.open.insert(incident.id.clone(), incident.clone());
            let alert = finding.as_ref().filter(|finding| finding.level >= Level::Alert && finding.kind != Kind::Blind);
            if let Some(finding) = alert
                && self.asked.insert((incident.id.clone(), finding.level))
            {
                self.waiting.push_back((effect.at + self.after, incident.id.clone()));
            }
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::pipeline::{Pipeline, Settings};
    use crate::tune::labels::Mark;
    use crate::tune::ordinary::{self, Trader};

    /// Plays a member of pumps; returns when answers came, and when the first alert was raised.
    fn answers(attacked: bool, after: Option<Span>) -> (Vec<Timestamp>, Option<Timestamp>) {
        let made = ordinary::recording(2, 1_546_819_200_000, 20, &[Trader::PumpMember], Default::default()).unwrap();
        let mut labels = made.labels.clone();
        if attacked {
            let first = Mark { n: 1, at: 0 };
            labels.push(Label { kind: What::Burst, first, ..labels[0].clone() });
        }
        let came = Rc::new(RefCell::new(Vec::new()));
        let (heard, mut pipeline) = (Rc::clone(&came), Pipeline::new(Settings::default()));
        let step: Step = Box::new(move |arrival| {
            if arrival.from == Source::Operator {
                heard.borrow_mut().push(arrival.at);
            }
            pipeline.step(arrival)
        });
        let step = answering(step, &labels, after);
        let mut alerts = made.arrivals.iter().flat_map(step).filter_map(|effect| {
            let EffectKind::Incident { finding, .. } = effect.kind;
            finding.filter(|finding| finding.level >= Level::Alert).map(|_| effect.at)
        });
        let first = alerts.next();
        alerts.for_each(drop);
        let came = came.borrow().clone();
        (came, first)
    }

    #[test]
    fn the_owner_of_an_ordinary_account_answers_each_alert_after_a_while_and_nobody_for_a_victim() {
        let after = Span::from_secs(600);
        let (came, alert) = answers(false, Some(after));
        assert_eq!(came.first().copied(), alert.map(|at| at + after));
        assert!(!came.is_empty() && came.is_sorted(), "{came:?}");
        assert_eq!(answers(true, Some(after)), (vec![], alert));
        assert_eq!(answers(false, None), (vec![], alert));
    }
}
