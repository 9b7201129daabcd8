//! Links that follow each other: the next one takes over once as many are up on it as on those before, or all it has.

use std::collections::BTreeMap;

use super::error::Error;
use super::keeper::{Keeper, Number};
use crate::arrival::REMOVED;

/// One subject's links through time, by name.
pub(super) type Relay = u64;

/// All that have followers, or may have.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// The newest last; more than one only while it is not up yet.
    links: BTreeMap<Relay, Vec<Number>>,
    next: Relay,
}

impl Relays {
    /// Begins with a link.
    pub(super) fn begin(&mut self, first: Number) -> Relay {
        let relay = self.next;
        self.next += 1;
        self.links.insert(relay, vec![first]);
        relay
    }

    /// Has another link follow. Of those that wait to take over only the newest does.
    pub(super) fn follow(&mut self, relay: Relay, next: Number, keeper: &mut Keeper) {
        let Some(links) = self.links.get_mut(&relay) else { return };
        links.extract_if(1.., |_| true).for_each(|waiting| keeper.retire(waiting));
        links.push(next);
    }

    /// Lets those take over that are up.
    pub(super) fn settle(&mut self, keeper: &mut Keeper) {
        for links in self.links.values_mut().filter(|links| links.len() > 1) {
            if let [old, new] = links.as_slice()
                && keeper.up(*new) >= keeper.up(*old).min(keeper.subjects(*new))
            {
                keeper.retire(*old);
                links.remove(0);
            }
        }
    }

    /// Ends a subject's links for good.
    pub(super) async fn end(&mut self, relay: Relay, keeper: &mut Keeper) -> Result<(), Error> {
        for link in self.links.remove(&relay).unwrap_or_default() {
            keeper.end(link, REMOVED).await?;
        }
        Ok(())
    }
}
