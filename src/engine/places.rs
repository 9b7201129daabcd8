//! The engine's side of where keys are used from: who is judged for a use, and who is told of a shared address.

use compact_str::format_compact;

use super::Engine;
use super::address::{Guest, Use};
use super::rules::unfamiliar_address;
use crate::domain::{Access, AccountId, Finding, Level, RuleName, Timestamp};

impl Engine {
    /// Judges one use of a key.
    pub(super) fn access(&mut self, access: &Access, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        for account in self.memory.named(&access.name, access.venue) {
            let watched = self.memory.watched_mut(account);
            if let Some(id) = &access.client_order_id {
                watched.claims.claim(id, at);
            }
            if let Some(ip) = access.ip.filter(|_| self.settings.user.looks_back().is_some()) {
                watched.past.used(ip, access.time.min(at + super::AHEAD));
            }
        }
        let Some(ip) = access.ip else { return };
        let time = access.time.min(at + super::AHEAD);
        // What the daemon's table told when the line came counts, whatever today's table says.
        let network = access.network.clone().or_else(|| self.networks.of(ip)).unwrap_or_default();
        let seen = self.memory.places_mut(&access.name).take(ip, time, &network);
        if self.settings.off.contains(&RuleName::UnfamiliarAddress) {
            return;
        }
        // The log names a person or platform account; every key of that name is concerned, at each exchange once.
        let mut loudest: Option<Level> = None;
        for account in self.memory.named(&access.name, access.venue) {
            let id = self.memory.watched(account).account.id.clone();
            let settings = self.settings_for(&id, at).unfamiliar_address;
            if let Some(finding) = unfamiliar_address::judge(&settings, &id, &seen, n, at) {
                loudest = loudest.max(Some(finding.level));
                out.push(finding);
            }
        }
        if let Some(level) = loudest {
            self.memory.places_mut(&access.name).tell(&seen.place, level);
        }
        if seen.first_of_place {
            self.visited(access, &seen, time, (n, at), out);
        }
    }

    /// An account is used from a place that is new: perhaps others are too.
    fn visited(
        &mut self,
        access: &Access,
        seen: &Use,
        time: Timestamp,
        (n, at): (u64, Timestamp),
        out: &mut Vec<Finding>,
    ) {
        let nats = seen.terms.iter().map(|term| term.nats).sum::<f64>();
        let guest = Guest { name: access.name.clone(), at: time, nats, home: seen.home.clone() };
        let visit = self.memory.sharing.take(seen.ip, guest, at);
        let mut found = Vec::new();
        let mut there: Vec<AccountId> = Vec::new();
        for guest in &visit.guests {
            for account in self.memory.named(&guest.name, None) {
                let id = self.memory.watched(account).account.id.clone();
                let settings = self.settings_for(&id, at).unfamiliar_address;
                if let Some(level) = unfamiliar_address::shared_level(&settings, &visit, guest.nats) {
                    let shared = unfamiliar_address::shared(level, &id, (seen, &visit, guest.nats), n, at);
                    found.push((guest.name == access.name, shared));
                }
                there.push(id);
            }
        }
        let Some(loudest) = found.iter().map(|(_, finding)| finding.level).max() else { return };
        self.memory.sharing.tell(seen.ip, loudest);
        // Everybody once, and again when it is louder; after that only who comes new.
        found.retain(|(newest, _)| *newest || visit.told < Some(loudest));
        out.extend(found.into_iter().map(|(_, finding)| finding));
        if loudest >= Level::Alert {
            self.warn_of_address(&there, seen, (n, at), out);
        }
    }

    /// Warns the accounts that have the visitors' tag and were not used from the address yet.
    fn warn_of_address(&mut self, there: &[AccountId], seen: &Use, (n, at): (u64, Timestamp), out: &mut Vec<Finding>) {
        let most = self.settings.co_trading.warn;
        for (tag, accounts) in &self.settings.tags.0 {
            let hit = accounts.iter().filter(|id| there.contains(id)).count();
            let level = if hit >= unfamiliar_address::SHARED { Level::Alert } else { Level::Notice };
            // A name that no tag has, so that a warning about trades and one about an address are two.
            let about = format_compact!("{tag}\n{}", seen.ip);
            if hit < 2 || most == 0 || !self.memory.fleet.warn(&about, level, at) {
                continue;
            }
            let others = accounts.iter().filter(|id| !there.contains(id)).take(most);
            out.extend(others.map(|id| unfamiliar_address::warning(level, id, (tag, hit, seen), n, at)));
        }
    }
}
