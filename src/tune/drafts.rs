//! Arrivals in the making: frames on their way, and who overtakes whom.

use super::dice::Dice;
use super::record::Told;
use crate::arrival::{Arrival, Body, Source};
use crate::domain::Timestamp;

/// Arrivals that have no number yet.
pub(super) struct Drafts {
    feeds: Vec<Feed>,
    sent: Vec<Draft>,
    seed: u64,
}

struct Feed {
    source: Source,
    dice: Dice,
    usual_ns: i64,
    last_ns: i64,
}

struct Draft {
    at_ns: i64,
    feed: usize,
    body: Body,
    told: Option<Told>,
}

impl Drafts {
    /// Starts without any feed.
    pub(super) fn new(seed: u64) -> Drafts {
        Drafts { feeds: Vec::new(), sent: Vec::new(), seed }
    }

    /// Opens a feed at `ms`; its first arrival says that it is up.
    pub(super) fn open(&mut self, source: Source, ms: i64) -> usize {
        let mut dice = Dice::named(self.seed, &source.to_string());
        let usual_ns = dice.whole(20_000_000, 120_000_000);
        let at_ns = ms * 1_000_000 + usual_ns;
        self.feeds.push(Feed { source, dice, usual_ns, last_ns: at_ns });
        self.sent.push(Draft { at_ns, feed: self.feeds.len() - 1, body: Body::LinkUp, told: None });
        self.feeds.len() - 1
    }

    /// Sends a frame that the exchange wrote at `ms`: it takes 20 to 200 ms and overtakes nothing of its own feed.
    pub(super) fn send(&mut self, feed: usize, ms: i64, text: String, told: Option<Told>) {
        // What is written here is JSON by construction; if it were not, the codec shall see exactly that.
        let body = Body::from_text(text);
        let opened = &mut self.feeds[feed];
        let travelled = opened.usual_ns + opened.dice.whole(0, 80_000_000);
        let at_ns = (ms * 1_000_000 + travelled).max(opened.last_ns + 1_000);
        opened.last_ns = at_ns;
        self.sent.push(Draft { at_ns, feed, body, told });
    }

    /// Puts all in order of arrival and numbers it; returns also which arrivals tell of which order.
    pub(super) fn number(mut self) -> (Vec<Arrival>, Vec<(u64, Told)>) {
        // Stable, so each feed keeps its own order.
        self.sent.sort_by_key(|draft| (draft.at_ns, draft.feed));
        let (mut arrivals, mut marks) = (Vec::with_capacity(self.sent.len()), Vec::new());
        for (place, draft) in self.sent.into_iter().enumerate() {
            let n = place as u64 + 1;
            marks.extend(draft.told.map(|told| (n, told)));
            let from = self.feeds[draft.feed].source.clone();
            arrivals.push(Arrival { n, at: Timestamp::from_nanos(draft.at_ns), from, body: draft.body });
        }
        (arrivals, marks)
    }
}
