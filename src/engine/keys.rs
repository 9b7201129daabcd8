//! What is known of an account's keys, and what a page about them changes. First sight is a baseline.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::domain::{Fingerprint, KeyList, KeyName, KeyState, Restriction, Right, Span, Timestamp, WhichKey};

/// Keys of an account that are remembered. Whoever has more in listed sub-accounts is told of no new ones beyond these:
/// a key that cannot be remembered would be new with every page.
const MOST_KEYS: usize = 512;
/// Sub-accounts whose lists are remembered.
const MOST_LISTS: usize = 512;
/// Things said of one key that are remembered, so that they are not said again soon.
const MOST_SAID: usize = 64;
/// Times of making that differ by less are the same, written more or less finely.
const SAME_TIME: Span = Span::from_secs(1);

/// The keys of one account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Keys {
    own: Option<Known>,
    listed: BTreeMap<Fingerprint, Known>,
    /// When the keys of a sub-account were last told completely.
    lists: BTreeMap<CompactString, Timestamp>,
    /// When any list was first told completely.
    since: Option<Timestamp>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// What people know it by.
    pub name: KeyName,
    /// Each right that was ever told: whether the key has it, and when that was last told.
    rights: BTreeMap<Right, (bool, Timestamp)>,
    restriction: Option<(Restriction, Timestamp)>,
    created: Option<(Timestamp, Timestamp)>,
    seen: Timestamp,
    said: BTreeMap<CompactString, Timestamp>,
}

/// What a page says that was not so before.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The key gained these rights; when it was last seen without them.
    Gained(Vec<Right>, Timestamp),
    /// The key gained rights that were told for the first time: no change, but worth a look.
    Has(Vec<Right>),
    /// The list of addresses is gone; when it was last there.
    Opened(Timestamp),
    /// Addresses were added to the list; when it was last seen without them.
    Grew(Vec<CompactString>, Timestamp),
    /// It is told for the first time that the key may be used from anywhere.
    NeverRestricted,
    /// The key was not there before; when it was made, and when its absence was last told.
    Appeared(Option<Timestamp>, Timestamp),
    /// The key was made at another time than was told before: now, before, and when that was last told; and whether it is
    /// certain that both are about one key.
    Remade(Timestamp, Timestamp, Timestamp, bool),
    /// Another key watches than before; when the other one was last seen.
    Replaced(Timestamp),
}

impl Keys {
    /// Returns the key the account is watched with, where anything was told of it.
    pub fn own(&self) -> Option<&Known> {
        self.own.as_ref()
    }

    /// Takes what a page says of a key; returns what changed, and the key as it is now.
    pub fn take(&mut self, state: &KeyState, at: Timestamp) -> Option<(Vec<Change>, &mut Known)> {
        match &state.key {
            WhichKey::Own(told) => Some(self.take_own(state, told.as_ref(), at)),
            WhichKey::Listed(fingerprint) => self.take_listed(state, fingerprint, at),
        }
    }

    /// Takes that all keys of a sub-account were told.
    pub fn listed(&mut self, list: &KeyList, at: Timestamp) {
        if self.lists.contains_key(&list.holder) || self.lists.len() < MOST_LISTS {
            self.lists.insert(list.holder.clone(), at);
            self.since.get_or_insert(at);
        }
    }

    fn take_own(&mut self, state: &KeyState, told: Option<&Fingerprint>, at: Timestamp) -> (Vec<Change>, &mut Known) {
        let mut changes = Vec::new();
        let other = |known: &Known| matches!((&known.name.fingerprint, told), (Some(old), Some(new)) if old != new);
        if let Some(known) = self.own.take_if(|known| other(known)) {
            // What the other key could do says nothing of this one: it is a beginning, and told as one.
            changes.push(Change::Replaced(known.seen));
        }
        let known = self.own.get_or_insert_with(|| Known::new(true, at));
        let certain = known.name.fingerprint.is_some() && told.is_some();
        if let Some(told) = told {
            known.name.fingerprint = Some(told.clone());
        }
        known.take(state, at, certain, &mut changes);
        (changes, known)
    }

    fn take_listed(
        &mut self,
        state: &KeyState,
        fingerprint: &Fingerprint,
        at: Timestamp,
    ) -> Option<(Vec<Change>, &mut Known)> {
        let mut changes = Vec::new();
        if !self.listed.contains_key(fingerprint) {
            if self.listed.len() >= MOST_KEYS {
                return None;
            }
            let list = state.holder.as_ref().and_then(|holder| self.lists.get(holder));
            // A sub-account that was never listed may be as new as its key, if the key says that it is.
            let younger = self.since.filter(|since| state.created.is_some_and(|created| created > *since));
            if let Some(since) = list.copied().or(younger) {
                changes.push(Change::Appeared(state.created, since));
            }
            let mut known = Known::new(false, at);
            known.name.fingerprint = Some(fingerprint.clone());
            self.listed.insert(fingerprint.clone(), known);
        }
        let known = self.listed.get_mut(fingerprint)?;
        known.take(state, at, true, &mut changes);
        Some((changes, known))
    }
}

impl Known {
    fn new(own: bool, at: Timestamp) -> Self {
        Known {
            name: KeyName { own, fingerprint: None, label: None, holder: None },
            rights: BTreeMap::new(),
            restriction: None,
            created: None,
            seen: at,
            said: BTreeMap::new(),
        }
    }

    /// Returns the rights it has, in order.
    pub fn rights(&self) -> impl Iterator<Item = &Right> {
        self.rights.iter().filter(|(_, (on, _))| *on).map(|(right, _)| right)
    }

    /// Returns whether it may be used from anywhere, where that was told.
    pub fn open(&self) -> Option<bool> {
        self.restriction.as_ref().map(|(restriction, _)| *restriction == Restriction::Open)
    }

    /// Returns whether something may be said now, because it was not said within `pause`; remembers that it was.
    pub fn say(&mut self, what: &str, at: Timestamp, pause: Span) -> bool {
        if self.said.get(what).is_some_and(|said| at.since(*said) < pause) {
            return false;
        }
        if self.said.len() >= MOST_SAID && !self.said.contains_key(what) {
            let oldest = self.said.iter().min_by_key(|(_, said)| **said).map(|(what, _)| what.clone());
            oldest.and_then(|oldest| self.said.remove(&oldest));
        }
        self.said.insert(what.into(), at);
        true
    }

    fn take(&mut self, state: &KeyState, at: Timestamp, certain: bool, changes: &mut Vec<Change>) {
        self.name.label = state.label.clone().or(self.name.label.take());
        self.name.holder = state.holder.clone().or(self.name.holder.take());
        self.take_created(state.created, at, certain, changes);
        self.take_rights(state, at, changes);
        if let Some(restriction) = &state.restriction {
            self.take_restriction(restriction, at, changes);
        }
        self.seen = at;
    }

    fn take_created(&mut self, told: Option<Timestamp>, at: Timestamp, certain: bool, changes: &mut Vec<Change>) {
        let Some(now) = told else { return };
        if let Some((before, seen)) = self.created.replace((now, at))
            && now.since(before).max(before.since(now)) >= SAME_TIME
        {
            changes.push(Change::Remade(now, before, seen, certain));
        }
    }

    fn take_rights(&mut self, state: &KeyState, at: Timestamp, changes: &mut Vec<Change>) {
        let told_before = self.rights.values().map(|(_, told)| *told).max();
        let (mut gained, mut has, mut since) = (Vec::new(), Vec::new(), at);
        for (right, on) in &state.rights {
            // Where the page names all rights, one it did not name before was not there before.
            let unnamed = told_before.filter(|_| state.rights_whole).map(|told| (false, told));
            match self.rights.insert(right.clone(), (*on, at)).or(unnamed) {
                Some((false, seen)) if *on => {
                    gained.push(right.clone());
                    since = since.min(seen);
                }
                None if *on => has.push(right.clone()),
                Some(_) | None => {}
            }
        }
        if state.rights_whole {
            for (_, (on, told)) in self.rights.iter_mut().filter(|(right, _)| !state.rights.contains_key(right)) {
                (*on, *told) = (false, at);
            }
        }
        if !gained.is_empty() {
            changes.push(Change::Gained(gained, since));
        }
        if !has.is_empty() {
            changes.push(Change::Has(has));
        }
    }

    fn take_restriction(&mut self, told: &Restriction, at: Timestamp, changes: &mut Vec<Change>) {
        let before = self.restriction.take();
        let mut now = told.clone();
        match (&before, told) {
            (None, Restriction::Open) => changes.push(Change::NeverRestricted),
            (Some((Restriction::Listed(_), seen)), Restriction::Open) => changes.push(Change::Opened(*seen)),
            (Some((Restriction::Listed(Some(old)), seen)), Restriction::Listed(Some(new))) => {
                let added = beyond(new, old);
                if !added.is_empty() {
                    changes.push(Change::Grew(added, *seen));
                }
            }
            // A page that does not name the addresses does not take back those that another page named.
            (Some((old @ Restriction::Listed(Some(_)), _)), Restriction::Listed(None)) => now = old.clone(),
            (None, Restriction::Listed(_))
            | (Some((Restriction::Open, _)), _)
            | (Some((Restriction::Listed(None), _)), Restriction::Listed(_)) => {}
        }
        self.restriction = Some((now, at));
    }
}

/// Returns what of `new` is not in `old`, each as often as it is more; both are sorted.
fn beyond(new: &[CompactString], old: &[CompactString]) -> Vec<CompactString> {
    let mut old = old.iter().peekable();
    let mut added = Vec::new();
    for address in new {
        while old.next_if(|other| *other < address).is_some() {}
        if old.next_if(|other| *other == address).is_none() {
            added.push(address.clone());
        }
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_whatever_was_taken_away() {
        let list = |text: &str| text.split_whitespace().map(CompactString::from).collect::<Vec<_>>();
        for (new, old, added) in [
            ("a b c", "a c", "b"),
            ("a b", "a b c", ""),
            ("b", "a", "b"),
            ("m m", "m", "m"),
            ("m", "m m", ""),
            ("", "a", ""),
            ("a", "", "a"),
        ] {
            assert_eq!(beyond(&list(new), &list(old)), list(added), "{new} after {old}");
        }
    }

    #[test]
    fn no_page_makes_the_memory_of_an_account_grow_without_end() {
        let mut keys = Keys::default();
        let account: crate::domain::AccountId = "kucoin/bob".parse().unwrap();
        let at = |secs| Timestamp::from_nanos(0) + Span::from_secs(secs);
        for k in 0..5_000_i64 {
            let holder = compact_str::format_compact!("sub{k}");
            keys.listed(&KeyList { account: account.clone(), holder: holder.clone() }, at(k));
            let state = KeyState {
                account: account.clone(),
                key: WhichKey::Listed(Fingerprint::of(&holder)),
                label: None,
                holder: Some(holder),
                rights: BTreeMap::from([(Right::Trade, true)]),
                rights_whole: true,
                restriction: Some(Restriction::Listed(None)),
                created: Some(at(0)),
                expires: None,
            };
            if let Some((_, known)) = keys.take(&state, at(k)) {
                (0..200).for_each(|what| assert!(known.say(&format!("{what}"), at(k), Span::from_secs(1))));
            }
        }
        assert_eq!((keys.listed.len(), keys.lists.len()), (MOST_KEYS, MOST_LISTS));
        assert!(keys.listed.values().all(|known| known.said.len() <= MOST_SAID));
    }
}
