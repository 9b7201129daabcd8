//! Who posted something is answered when it is durable: the count of a log's arrivals that are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use compact_str::CompactString;
use tokio::sync::watch;

use crate::arrival::{Arrival, Body, Source};

/// Counts durable entries of the logs that wait for them. Copies share the counts.
///
/// A source is the only one that hands over arrivals of its name, and the queue keeps their order; so its k-th arrival
/// (reports that it is there or not aside) is durable when the count is k.
#[derive(Clone, Debug, Default)]
pub struct Receipts {
    counts: Arc<Mutex<BTreeMap<CompactString, watch::Sender<u64>>>>,
}

impl Receipts {
    /// Returns the count of a log, which begins to be kept.
    pub fn of(&self, log: &CompactString) -> watch::Receiver<u64> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(log.clone()).or_default().subscribe()
    }

    /// Takes arrivals that are durable.
    pub fn note(&self, batch: &[Arrival]) {
        for arrival in batch {
            let Source::Access(log) = &arrival.from else { continue };
            // That a source is there or not nobody waits for.
            if matches!(arrival.body, Body::LinkUp | Body::LinkDown { .. }) {
                continue;
            }
            if let Some(count) = self.counts.lock().unwrap_or_else(PoisonError::into_inner).get(log) {
                count.send_modify(|count| *count += 1);
            }
        }
    }
}
