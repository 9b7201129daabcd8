//! The protocol on one connection: the signed subscriptions, the heartbeat, and doubts that become questions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::messages::Head;
use super::products::is_pair;
use super::progress::{Doubts, Progress};
use super::{Job, Profile};
use crate::domain::{Span, Timestamp};
use crate::feed::coinbase::frames::Heartbeat;
use crate::feed::error::Error;
use crate::feed::link::{Session, Step};
use crate::feed::settings::Timing;
use crate::feed::socket::{Frame, Received};
use crate::runtime::clock;

/// Pairs in one message, so that it stays small; Coinbase takes 100 messages a second.
const BATCH: usize = 100;

/// One connection's state.
pub(crate) struct UserFeed {
    profile: Arc<Profile>,
    timing: Timing,
    heartbeat: Heartbeat,
    /// When the connection was made: before it, another one or a gap's filling told.
    since: Timestamp,
    subscribed: BTreeSet<String>,
    /// Subscriptions sent and not confirmed, and until when all of them must be.
    unconfirmed: usize,
    confirm_until: Option<Instant>,
    look_again: Instant,
    progress: Progress,
    doubts: Doubts,
    ask_at: Option<Instant>,
}

impl UserFeed {
    pub(super) fn new(profile: Arc<Profile>, timing: Timing) -> Self {
        let now = clock::steady();
        UserFeed {
            heartbeat: Heartbeat::new(&timing),
            since: clock::now(),
            subscribed: BTreeSet::new(),
            unconfirmed: 0,
            confirm_until: Some(now + timing.ack),
            look_again: now,
            progress: Progress::default(),
            doubts: Doubts::default(),
            ask_at: None,
            profile,
            timing,
        }
    }

    /// Subscribes the pairs of the list that are not subscribed yet.
    fn subscribe(&mut self, steps: &mut Vec<Step<Job>>) {
        let wanted = self.profile.products.wanted();
        let new: Vec<String> = wanted.difference(&self.subscribed).cloned().collect();
        for batch in new.chunks(BATCH) {
            let mut channels: Vec<Value> = vec![json!({"name": "user", "product_ids": batch})];
            if self.subscribed.is_empty() {
                // One pair's heartbeat shows that the connection lives; the busiest is never taken off the list.
                let beating = wanted.get("BTC-USD").or(wanted.first());
                channels.push(json!({"name": "heartbeat", "product_ids": [beating]}));
            }
            let request = self.profile.signer.subscription(self.profile.rest().millis(), &json!(channels));
            steps.push(Step::Send(request));
            self.subscribed.extend(batch.iter().cloned());
            self.unconfirmed += 1;
        }
    }

    /// Returns the pair of the list that a refusal names.
    fn pair_of(&self, reason: &str) -> Option<String> {
        let words = reason.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        words.filter(|word| is_pair(word)).find(|word| self.subscribed.contains(*word)).map(str::to_owned)
    }

    fn refused(&self, head: &Head<'_>) -> Option<Error> {
        let refused = head.refused()?;
        match self.pair_of(&head.reason) {
            Some(pair) if self.profile.products.refuse(&pair) => {
                tracing::warn!(feed = %self.profile.source(), pair, "a pair cannot be subscribed; it is left out");
                Some(Error::Protocol("a pair was refused and is left out from now on"))
            }
            Some(_) | None => Some(refused),
        }
    }
}

impl Session for UserFeed {
    type Job = Job;

    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        let (mut came_up, mut refused) = (false, None);
        if let Frame::Text(text) = &received.frame
            && let Ok(head) = serde_json::from_str::<Head<'_>>(text)
        {
            match &*head.kind {
                "heartbeat" => self.heartbeat.beat(),
                "error" => refused = self.refused(&head),
                "subscriptions" if head.confirms() => {
                    self.unconfirmed = self.unconfirmed.saturating_sub(1);
                    came_up = self.unconfirmed == 0 && self.confirm_until.take().is_some();
                }
                "received" | "open" | "match" | "change" | "done" | "activate" => {
                    if is_pair(&head.product_id) {
                        self.profile.known.touched(&head.product_id);
                    }
                    self.progress.heard(&head, &mut self.doubts);
                }
                _ => {}
            }
        }
        if !self.doubts.is_empty() {
            self.ask_at.get_or_insert(clock::steady() + self.timing.debounce);
        }
        steps.push(Step::Pass(self.profile.source(), received));
        if came_up {
            steps.push(Step::Up(self.profile.source()));
        }
        refused.map_or(Ok(()), Err)
    }

    fn due(&self) -> Option<(Instant, u32)> {
        let times = [self.confirm_until, self.ask_at, Some(self.look_again), Some(self.heartbeat.until())];
        times.into_iter().flatten().min().map(|at| (at, 0))
    }

    fn speak(&mut self, now: Instant, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        if self.look_again <= now {
            // A gap's filling reads the list anew: a pair that was listed since the connection was made is among it.
            self.look_again = now + self.timing.reconcile.max(self.timing.ack);
            self.subscribe(steps);
        }
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = None;
            let Doubts { orders, pairs } = std::mem::take(&mut self.doubts);
            if !orders.is_empty() {
                steps.push(Step::Job(Job::Orders(orders)));
            }
            if !pairs.is_empty() {
                steps.push(Step::Job(Job::Pairs(pairs, self.since - Span::from(self.timing.overlap))));
            }
        }
        if self.confirm_until.is_some_and(|until| until <= now) {
            return Err(Error::Silent { after: self.timing.ack, what: "the subscription was not confirmed" });
        }
        self.heartbeat.check(now)
    }

    fn settled(&self) -> bool {
        self.confirm_until.is_none()
    }
}
