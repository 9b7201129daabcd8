//! Spreads the wanted pairs of one exchange over as many connections as its limits need.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::link::{Link, Protocol};
use super::outlet::Outlet;
use super::settings::Timing;
use crate::domain::{Symbol, Venue};

/// The market connections of one exchange.
pub(super) struct Markets<P: Protocol> {
    pub(super) venue: Venue,
    pub(super) protocol: Arc<P>,
    pub(super) outlet: Outlet,
    pub(super) timing: Timing,
    pub(super) per_connection: usize,
    pub(super) pairs: watch::Receiver<BTreeSet<(Venue, Symbol)>>,
    /// Which pairs of the exchange trade here, where it has several markets.
    pub(super) takes: fn(&Symbol) -> bool,
    /// Pairs of the configuration, wanted always.
    pub(super) always: BTreeSet<Symbol>,
}

impl<P: Protocol> Markets<P> {
    /// Follows what is wanted until `stop`; a connection that ends is the end of all, to be built anew.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut links: JoinSet<Result<(), Error>> = JoinSet::new();
        let mut shares: Vec<watch::Sender<BTreeSet<Symbol>>> = Vec::new();
        loop {
            let mut wanted = self.always.clone();
            let own = self.pairs.borrow_and_update().clone();
            wanted.extend(own.into_iter().filter(|(venue, _)| *venue == self.venue).map(|(_, symbol)| symbol));
            wanted.retain(|symbol| (self.takes)(symbol));
            let mut parts: Vec<BTreeSet<Symbol>> = shares.iter().map(|share| share.borrow().clone()).collect();
            spread(&mut parts, wanted, self.per_connection);
            for (share, part) in shares.iter().zip(&parts) {
                share.send_if_modified(|now| {
                    let differs = now != part;
                    now.clone_from(part);
                    differs
                });
            }
            for part in parts.into_iter().skip(shares.len()) {
                let (share, wanted) = watch::channel(part);
                shares.push(share);
                let link = Link::new(Arc::clone(&self.protocol), self.outlet.clone(), self.timing, Some(wanted));
                links.spawn(link.run(stop.clone()));
            }
            tokio::select! {
                () = stop.cancelled() => {
                    while links.join_next().await.is_some() {}
                    return Ok(());
                }
                changed = self.pairs.changed() => if changed.is_err() {
                    // Nobody can want anything else any more; what is wanted now goes on.
                    stop.cancelled().await;
                },
                Some(ended) = links.join_next(), if !links.is_empty() => match ended {
                    Ok(Err(error)) => return Err(error),
                    Ok(Ok(())) if stop.is_cancelled() => {}
                    Ok(Ok(())) | Err(_) => return Err(Error::Protocol("a market connection's task ended")),
                },
            }
        }
    }
}

/// Takes out of the parts what is not wanted any more, and puts what is new where there is room. A pair stays on its
/// connection: moving it would lose trades on the way.
fn spread(parts: &mut Vec<BTreeSet<Symbol>>, mut wanted: BTreeSet<Symbol>, room: usize) {
    for part in parts.iter_mut() {
        part.retain(|symbol| wanted.remove(symbol));
    }
    let mut open = 0;
    for symbol in wanted {
        while parts.get(open).is_some_and(|part| part.len() >= room.max(1)) {
            open += 1;
        }
        match parts.get_mut(open) {
            Some(part) => drop(part.insert(symbol)),
            None => parts.push(BTreeSet::from([symbol])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(names: &[&str]) -> BTreeSet<Symbol> {
        names.iter().map(|name| Symbol::from_dashed(name).unwrap()).collect()
    }

    #[test]
    fn a_pair_stays_on_its_connection_and_new_ones_take_the_room_left() {
        let mut parts = Vec::new();
        spread(&mut parts, pairs(&["A-X", "B-X", "C-X"]), 2);
        assert_eq!(parts, [pairs(&["A-X", "B-X"]), pairs(&["C-X"])]);
        spread(&mut parts, pairs(&["B-X", "C-X", "D-X", "E-X", "F-X"]), 2);
        assert_eq!(parts, [pairs(&["B-X", "D-X"]), pairs(&["C-X", "E-X"]), pairs(&["F-X"])]);
    }
}
