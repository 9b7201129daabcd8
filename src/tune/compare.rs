//! Two sets of rules on the same recordings: which incidents one has and the other lacks, and which moved.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::domain::{AccountId, EffectKind, Level, Span, Story, Timestamp};
use crate::journal::ReadError;
use crate::pipeline::Settings;
use crate::replay::{Told, replay};

use super::labels::{Label, What};

/// What is compared of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Whose.
    pub account: AccountId,
    /// Takeover or blind.
    pub story: Story,
    /// When it began.
    pub opened: Timestamp,
    /// When something was last added to it.
    pub last: Timestamp,
    /// When it first reached each level.
    pub reached: BTreeMap<Level, Timestamp>,
    /// The rule that led when it was loudest.
    pub rule: String,
    /// About which pair.
    pub pair: Option<String>,
}

/// What became of an incident from the old rules to the new.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Only the new rules have it.
    Gained(Seen),
    /// Only the old rules had it.
    Lost(Seen),
    /// Both have it: another level, or at another time.
    Moved {
        /// As it was.
        old: Seen,
        /// As it is.
        new: Seen,
        /// How much later people would be told; negative is earlier.
        later: Span,
    },
    /// Both have it alike.
    Same(Seen),
}

/// An attack that only one of the two sets tells of, from `alert` on.
#[derive(Clone, Debug, PartialEq)]
pub struct Caught {
    /// On whom.
    pub account: AccountId,
    /// What kind.
    pub kind: What,
    /// When it began.
    pub since: Timestamp,
    /// Whether the old rules told of it.
    pub old: bool,
    /// Whether the new rules tell of it.
    pub new: bool,
}

impl Seen {
    /// Returns how loud it became.
    pub fn level(&self) -> Level {
        self.reached.keys().next_back().copied().unwrap_or(Level::Notice)
    }

    fn overlaps(&self, other: &Seen) -> bool {
        let near = Span::from_secs(60);
        self.account == other.account
            && self.story == other.story
            && self.opened <= other.last + near
            && other.opened <= self.last + near
    }
}

/// Judges recordings; returns their incidents in the order in which they began.
pub fn incidents(files: &[PathBuf], settings: &Settings) -> Result<Vec<Seen>, ReadError> {
    let mut seen: Vec<Seen> = Vec::new();
    let mut known: BTreeMap<(usize, String), usize> = BTreeMap::new();
    // Two recordings may hold incidents of one name.
    for (place, file) in files.iter().enumerate() {
        replay(std::slice::from_ref(file), settings, |told| {
            let Told::Effect(effect) = told else { return };
            let EffectKind::Incident { incident, .. } = &effect.kind;
            if incident.id.is_drill() {
                return;
            }
            let name = (place, incident.id.as_str().to_owned());
            let at = *known.entry(name).or_insert_with(|| {
                seen.push(Seen {
                    account: incident.account.clone(),
                    story: incident.story,
                    opened: incident.opened,
                    last: incident.last,
                    reached: BTreeMap::new(),
                    rule: String::new(),
                    pair: None,
                });
                seen.len() - 1
            });
            let one = &mut seen[at];
            one.last = one.last.max(incident.last);
            one.reached.entry(incident.level).or_insert(effect.at);
            if let Some(leading) = incident.leading() {
                one.rule = leading.rule_name().to_owned();
                one.pair = leading.symbol.as_ref().map(ToString::to_string);
            }
        })?;
    }
    Ok(seen)
}

/// Pairs incidents of the same account and time; each is used once, in the order in which they began.
pub fn compare(old: &[Seen], new: &[Seen]) -> Vec<Change> {
    let mut taken = vec![false; new.len()];
    let mut changes = Vec::new();
    for before in old {
        let Some(place) = (0..new.len()).find(|place| !taken[*place] && before.overlaps(&new[*place])) else {
            changes.push(Change::Lost(before.clone()));
            continue;
        };
        taken[place] = true;
        let after = &new[place];
        let level = before.level().min(after.level());
        let reached = |seen: &Seen| seen.reached.range(level..).map(|(_, at)| *at).min().unwrap_or(seen.opened);
        let later = reached(after).since(reached(before));
        changes.push(if before.level() == after.level() && later == Span::default() && before.rule == after.rule {
            Change::Same(after.clone())
        } else {
            Change::Moved { old: before.clone(), new: after.clone(), later }
        });
    }
    changes.extend(new.iter().zip(taken).filter(|(_, taken)| !taken).map(|(seen, _)| Change::Gained(seen.clone())));
    changes
}

/// Says of each labelled attack which of the two sets told of it: an incident of the account from `alert` on that it
/// reached between the attack's first arrival and its end.
pub fn caught(labels: &[Label], old: &[Seen], new: &[Seen]) -> Vec<Caught> {
    let told = |seen: &[Seen], label: &Label| {
        seen.iter()
            .filter(|seen| seen.account == label.account && seen.story == Story::Takeover)
            .any(|seen| seen.reached.range(Level::Alert..).any(|(_, at)| (label.since()..=label.until()).contains(at)))
    };
    let attacks = labels.iter().filter(|label| label.kind != What::Ordinary);
    attacks
        .map(|label| Caught {
            account: label.account.clone(),
            kind: label.kind,
            since: label.since(),
            old: told(old, label),
            new: told(new, label),
        })
        .collect()
}
