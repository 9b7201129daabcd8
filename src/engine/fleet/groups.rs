//! Accounts that always trade together: who copies one trader, or follows one signal, is one.
//!
//! Of accounts that did the same within a minute, each is tied to the first by name. Two are one when both are tied to
//! the same account by at least five such minutes, on at least three days, in at least three pairs. The pairs keep apart
//! who merely buys the same coin every midnight.
//!
//! Two days and two pairs are a presumption, if nobody was alarmed then: a leader who seldom trades takes weeks to come to
//! five. What alarmed people presumes nothing, so that keys that were stolen together and used twice are not taken for a
//! group; nor do two minutes around midnight.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Deed, Place, Tags};
use crate::domain::{AccountId, Span, Symbol, Timestamp};
use crate::engine::worth::Worth;

const TIMES: u16 = 5;
const DAYS: u16 = 3;
const PAIRS: u32 = 3;
const PRESUMED_DAYS: u16 = 2;
const PRESUMED_PAIRS: u32 = 2;
/// From one of these days to the next.
const NEXT_DAY: Span = Span::from_secs(12 * 3_600);
/// Ties of an account; the one that was not renewed for longest goes first.
const MOST_TIES: usize = 4;
/// Days after which ties that were not renewed make room.
const FORGOTTEN: i64 = 60;
/// Accounts with ties.
const MOST: usize = 50_000;

/// Who is tied to whom.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Groups {
    ties: BTreeMap<AccountId, Vec<Tie>>,
    swept: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Tie {
    to: AccountId,
    times: u16,
    days: u16,
    day: i64,
    /// The pairs, as bits of a hash.
    pairs: u64,
    /// Days and pairs of the minutes that alarmed nobody, and when the last of these days began.
    calm_days: u16,
    calm_since: Timestamp,
    calm_pairs: u64,
}

/// How sure it must be that accounts are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sure {
    /// It is known.
    Known,
    /// There is a presumption.
    Presumed,
}

impl Tie {
    fn holds(&self, sure: Sure) -> bool {
        let known = self.times >= TIMES && self.days >= DAYS && self.pairs.count_ones() >= PAIRS;
        let presumed = self.calm_days >= PRESUMED_DAYS && self.calm_pairs.count_ones() >= PRESUMED_PAIRS;
        known || sure == Sure::Presumed && presumed
    }
}

impl Groups {
    /// Returns for each deed the number of its unit: accounts that are one have one number.
    pub(super) fn units(&self, deeds: &[&Deed], tags: &Tags, copying: &[CompactString], sure: Sure) -> Vec<usize> {
        let mut heads: BTreeMap<&str, usize> = BTreeMap::new();
        let mut of_account: BTreeMap<&AccountId, usize> = BTreeMap::new();
        let mut units: Vec<usize> = Vec::with_capacity(deeds.len());
        for (place, deed) in deeds.iter().enumerate() {
            if deed.strange {
                units.push(place);
                continue;
            }
            let ties = self.ties.get(&deed.account).into_iter().flatten().filter(|tie| tie.holds(sure));
            let tied: Vec<&AccountId> = ties.map(|tie| &tie.to).chain([&deed.account]).collect();
            let tags: Vec<&str> = copying
                .iter()
                .filter(|tag| tags.0.get(*tag).is_some_and(|of| of.contains(&deed.account)))
                .map(CompactString::as_str)
                .collect();
            let known =
                tied.iter().filter_map(|to| of_account.get(to)).chain(tags.iter().filter_map(|tag| heads.get(tag)));
            let joined: Vec<usize> = known.copied().collect();
            let unit = joined.iter().copied().min().unwrap_or(place);
            // Whoever is tied to two units makes them one.
            units.iter_mut().filter(|other| joined.contains(*other)).for_each(|other| *other = unit);
            of_account.values_mut().filter(|other| joined.contains(*other)).for_each(|other| *other = unit);
            heads.values_mut().filter(|other| joined.contains(*other)).for_each(|other| *other = unit);
            for to in tied {
                of_account.insert(to, unit);
            }
            for tag in tags {
                heads.insert(tag, unit);
            }
            units.push(unit);
        }
        units
    }

    /// Learns from what was done within one minute at one place; `calm` where it alarmed nobody.
    pub(super) fn learn(&mut self, place: &Place, done: &[Deed], calm: bool) {
        // In the largest coins everybody meets everybody.
        let Some(symbol) = place.2.as_ref().filter(|symbol| !Worth::is_known(symbol.base())) else { return };
        let Some(first) = done.iter().map(|deed| &deed.account).min() else { return };
        // Or a thief would make a group of the accounts whose keys he has.
        let owned = done.iter().filter(|deed| !deed.doubtful);
        for deed in owned.filter(|deed| deed.account != *first) {
            self.tie((&deed.account, first), symbol, deed.at, calm);
        }
    }

    fn tie(&mut self, (account, to): (&AccountId, &AccountId), symbol: &Symbol, at: Timestamp, calm: bool) {
        let day = at.nanos().div_euclid(86_400_000_000_000);
        if self.ties.len() >= MOST && !self.ties.contains_key(account) {
            // A walk over all of them, so once a day; until then nobody new is learnt.
            if self.swept >= day {
                return;
            }
            self.swept = day;
            self.ties.retain(|_, ties| ties.iter().any(|tie| day - tie.day < FORGOTTEN));
            if self.ties.len() >= MOST {
                return;
            }
        }
        let ties = self.ties.entry(account.clone()).or_default();
        let place = match ties.iter().position(|tie| tie.to == *to) {
            Some(place) => place,
            None => {
                if ties.len() >= MOST_TIES {
                    let stalest = (0..ties.len()).min_by_key(|place| (ties[*place].times, ties[*place].day));
                    stalest.map(|place| ties.remove(place));
                }
                ties.push(Tie {
                    to: to.clone(),
                    times: 0,
                    days: 0,
                    day: i64::MIN,
                    pairs: 0,
                    calm_days: 0,
                    calm_since: Timestamp::EPOCH,
                    calm_pairs: 0,
                });
                ties.len() - 1
            }
        };
        let tie = &mut ties[place];
        tie.times = tie.times.saturating_add(1);
        tie.days = tie.days.saturating_add(u16::from(tie.day != day));
        tie.day = tie.day.max(day);
        let pair = 1 << (hash(symbol) % 64);
        tie.pairs |= pair;
        if calm {
            if at.since(tie.calm_since) >= NEXT_DAY {
                (tie.calm_days, tie.calm_since) = (tie.calm_days.saturating_add(1), at);
            }
            tie.calm_pairs |= pair;
        }
    }
}

/// FNV-1a over the pair's name: the same on every machine.
fn hash(symbol: &Symbol) -> u64 {
    let bytes = symbol.base().as_str().bytes().chain([b'-']).chain(symbol.quote().as_str().bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
