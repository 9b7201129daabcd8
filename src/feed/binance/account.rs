//! Up to 1,000 accounts on one connection of the WebSocket API: one signed subscription each
//! (<https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/user-data-stream-requests>).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::addressed::Addressed;
use super::frames::{Envelope, Fault, Head, Position, Subscribed};
use super::gap::{self, Account};
use super::members::Members;
use super::{keys, learn_time};
use crate::arrival::Source;
use crate::domain::Timestamp;
use crate::feed::error::{Advice, Error, Meaning, Refusal};
use crate::feed::limiter::{Limiter, obeyed};
use crate::feed::link::{Gap, Protocol, Session, Step};
use crate::feed::outlet::Outlet;
use crate::feed::rest::Rest;
use crate::feed::settings::Timing;
use crate::feed::socket::{Frame, Patience, Received, Socket};
use crate::feed::venues::Venues;
use crate::runtime::backoff::Backoff;
use crate::runtime::clock;

/// What subscribing costs, in request weight.
pub(super) const SUBSCRIBE_COST: u32 = 2;
/// The code for a subscription that exists.
pub(super) const ALREADY: i64 = -2035;
/// Events kept that came before the answer that says whose they are.
pub(super) const EARLY: usize = 1_024;

/// Some accounts on one connection.
pub(crate) struct Accounts {
    pub(crate) venues: Arc<Venues>,
    pub(crate) outlet: Outlet,
    pub(crate) members: Arc<Members>,
}

/// What runs beside the connection.
pub(crate) enum Job {
    LearnTime,
    Fill(usize, Gap),
}

impl Protocol for Accounts {
    type Job = Job;
    type Session = Subscriptions;

    fn sources(&self) -> Vec<Source> {
        self.members.sources()
    }

    fn limiter(&self) -> &Limiter {
        self.venues.binance.limiter()
    }

    async fn connect(self: Arc<Self>) -> Result<(Socket, Subscriptions), Error> {
        let venues = &self.venues;
        venues.pairs.prepare(venues, &self.outlet).await;
        venues.binance_connects.turn(1).await;
        // Best effort: a wrong clock is told by the first subscription, and then learned.
        if !venues.binance.knows_time()
            && let Err(error) = learn_time(&venues.binance).await
        {
            tracing::debug!(%error, "binance: its clock could not be read");
        }
        let url = format!("{}?returnRateLimits=false", venues.settings.binance.ws_api);
        let socket = Socket::connect(&url, &venues.tls, venues.patience()).await;
        // A ban is the address's: it holds for calls as well.
        let socket = obeyed(socket, &[&venues.binance_connects, venues.binance.limiter()])?;
        let timing = venues.settings.timing;
        let session = Subscriptions::new(Arc::clone(&self.members), Arc::clone(&venues.binance), timing);
        Ok((socket, session))
    }

    async fn run(self: Arc<Self>, job: Job, outlet: Outlet) -> Result<(), Error> {
        match job {
            Job::LearnTime => learn_time(&self.venues.binance).await,
            Job::Fill(index, gap) => match self.members.get(index) {
                Some(account) => gap::fill(&self.venues, &account, gap, &outlet).await,
                None => Ok(()),
            },
        }
    }

    fn inspects(&self) -> bool {
        true
    }

    async fn inspect(self: Arc<Self>, source: Source, outlet: Outlet) -> Result<(), Error> {
        match self.members.number(&source).and_then(|index| self.members.get(index)) {
            Some(account) => keys::inspect(&self.venues, &account, &outlet).await,
            None => Ok(()),
        }
    }

    fn carried(&self, source: &Source) {
        if let Some(account) = self.members.number(source).and_then(|index| self.members.get(index)) {
            account.note_subscribed(true);
            self.members.told_subscribed();
        }
    }

    fn fill(&self, source: &Source, gap: Gap) -> Option<Job> {
        self.members.number(source).map(|index| Job::Fill(index, gap))
    }

    fn known_until(&self, source: &Source) -> Option<Timestamp> {
        self.members.get(self.members.number(source)?)?.known_until
    }
}

/// The subscriptions of one connection.
pub(crate) struct Subscriptions {
    members: Arc<Members>,
    /// The members' version that was followed.
    followed: u64,
    /// Members that were asked for, or will be.
    own: BTreeSet<usize>,
    rest: Arc<Rest>,
    timing: Timing,
    /// Accounts to subscribe now.
    queue: VecDeque<usize>,
    /// Accounts to subscribe later, and the waits of those that were refused: long ones where a person must act.
    later: BTreeSet<(Instant, usize)>,
    refused: BTreeMap<usize, (bool, Backoff)>,
    /// Accounts for which the exchange's clock was learned anew since they last were up.
    relearned: BTreeSet<usize>,
    /// Questions not answered yet: number, account, until when.
    asked: BTreeMap<u64, (usize, Instant)>,
    questions: u64,
    /// Whose a subscription is.
    whose: BTreeMap<u64, (usize, Source)>,
    /// Subscriptions to end, and whose they were until that is confirmed: what they still say was said before.
    ending: VecDeque<u64>,
    ended: BTreeMap<u64, Source>,
    /// Subscriptions of accounts that left before they were answered.
    unheard: BTreeSet<u64>,
    early: Vec<(u64, Received)>,
}

impl Subscriptions {
    fn new(members: Arc<Members>, rest: Arc<Rest>, timing: Timing) -> Self {
        let mut subscriptions = Subscriptions {
            members,
            followed: 0,
            own: BTreeSet::new(),
            rest,
            timing,
            queue: VecDeque::new(),
            later: BTreeSet::new(),
            refused: BTreeMap::new(),
            relearned: BTreeSet::new(),
            asked: BTreeMap::new(),
            questions: 0,
            whose: BTreeMap::new(),
            ending: VecDeque::new(),
            ended: BTreeMap::new(),
            unheard: BTreeSet::new(),
            early: Vec::new(),
        };
        subscriptions.follow();
        subscriptions
    }

    /// Has new members subscribed, and the subscriptions of those who left ended.
    fn follow(&mut self) {
        // Read before the list: a change in between is followed once more, and none is missed.
        self.followed = self.members.version();
        let now: Vec<usize> = self.members.numbers();
        let kept: BTreeSet<usize> = now.iter().copied().collect();
        self.queue.extend(now.iter().filter(|index| !self.own.contains(index)));
        self.own = kept;
        let own = &self.own;
        self.queue.retain(|index| own.contains(index));
        self.later.retain(|(_, index)| own.contains(index));
        self.refused.retain(|index, _| own.contains(index));
        for (number, (_, source)) in self.whose.extract_if(.., |_, (index, _)| !own.contains(index)) {
            self.ending.push_back(number);
            self.ended.insert(number, source);
        }
    }

    fn end(subscription: u64) -> String {
        let request = serde_json::json!({
            "id": format!("u{subscription}"),
            "method": "userDataStream.unsubscribe",
            "params": {"subscriptionId": subscription},
        });
        request.to_string()
    }

    fn request(&mut self, index: usize, now: Instant) -> Option<String> {
        let account = self.members.get(index)?;
        let millis = self.rest.millis();
        let time = millis.to_string();
        let key = account.key.expose();
        let signature = account.signer.sign_ws(&[("apiKey", key), ("timestamp", &time)]);
        self.questions += 1;
        self.asked.insert(self.questions, (index, now + self.timing.ack));
        let request = serde_json::json!({
            "id": format!("s{}", self.questions),
            "method": "userDataStream.subscribe.signature",
            "params": {"apiKey": key, "timestamp": millis, "signature": signature},
        });
        Some(request.to_string())
    }

    fn refuse(&mut self, index: usize, account: &Account, fault: &Fault, steps: &mut Vec<Step<Job>>) {
        // The answer to a suspicion: the subscription lives, and so does the key; perhaps again.
        if fault.code == ALREADY && self.whose.values().any(|(known, _)| *known == index) {
            self.refused.remove(&index);
            steps.push(Step::Up(account.source()));
            return;
        }
        account.note_subscribed(false);
        let now = clock::steady();
        let refusal = Refusal::binance(fault.code);
        let error = Error::Refused(refusal.clone());
        if refusal.meaning == Meaning::Clock && self.relearned.insert(index) {
            // Once: the offset is learned, and the account asked for again when that is done.
            steps.push(Step::Job(Job::LearnTime));
            self.later.insert((now + Duration::from_secs(2).min(self.timing.ack), index));
            return;
        }
        let slow = error.about_key();
        let settings = if slow { self.timing.refused } else { self.timing.backoff };
        let (was, backoff) = self.refused.entry(index).or_insert_with(|| (slow, Backoff::new(settings)));
        if *was != slow {
            (*was, *backoff) = (slow, Backoff::new(settings));
        }
        let mut wait = backoff.draw();
        if let Some(until) = fault.data.as_ref().and_then(|data| data.retry_after) {
            let asked = u64::try_from(until.saturating_sub(self.rest.millis())).unwrap_or(0).min(259_200_000);
            wait = wait.max(Duration::from_millis(asked));
            self.rest.limiter().pause(Duration::from_millis(asked));
        }
        self.later.insert((now + wait, index));
        steps.push(Step::Down(account.source(), error));
    }
}

impl Addressed for Subscriptions {
    type Job = Job;

    fn everybody(&self, received: &Received, steps: &mut Vec<Step<Job>>) {
        steps.extend(self.members.sources().into_iter().map(|source| Step::Pass(source, received.clone())));
    }

    fn answered(
        &mut self,
        envelope: &Envelope<'_>,
        received: &Received,
        steps: &mut Vec<Step<Job>>,
    ) -> Result<(), Error> {
        let id: Option<String> = envelope.id.and_then(|id| serde_json::from_str(id.get()).ok());
        if let Some(ended) = id.as_deref().and_then(|id| id.strip_prefix('u')?.parse().ok()) {
            match &envelope.error {
                // Whatever it is: the account is watched no longer, and what still comes of it is not passed on.
                Some(fault) => tracing::debug!(code = fault.code, "binance: a subscription could not be ended"),
                None => {
                    self.ended.remove(&ended);
                    self.unheard.remove(&ended);
                }
            }
            return Ok(());
        }
        let number = id.as_deref().and_then(|id| id.strip_prefix('s')?.parse().ok());
        let Some((index, _)) = number.and_then(|number: u64| self.asked.remove(&number)) else {
            // `{"id":null,"status":401,..}` revokes the session: each account finds out by subscribing anew.
            self.everybody(received, steps);
            return match &envelope.error {
                Some(fault) => Err(reconnecting(Error::Refused(Refusal::binance(fault.code)))),
                None => Ok(()),
            };
        };
        let subscribed = envelope.result.and_then(|result| serde_json::from_str::<Subscribed>(result.get()).ok());
        let subscribed = subscribed.and_then(|subscribed| subscribed.subscription);
        let Some(account) = self.members.get(index) else {
            // It left while the answer was on its way.
            if let Some(subscription) = subscribed {
                self.ending.push_back(subscription);
                self.unheard.insert(subscription);
            }
            return Ok(());
        };
        let source = account.source();
        steps.push(Step::Pass(source.clone(), received.clone()));
        if let Some(fault) = &envelope.error {
            self.refuse(index, &account, fault, steps);
            return Ok(());
        }
        let Some(subscription) = subscribed else {
            return Err(Error::Protocol("an answer to a subscription that names none"));
        };
        self.refused.remove(&index);
        self.relearned.remove(&index);
        self.whose.insert(subscription, (index, source.clone()));
        steps.push(Step::Up(source));
        for (_, early) in self.early.extract_if(.., |(number, _)| *number == subscription) {
            note(&account, &early);
            steps.push(Step::Pass(account.source(), early));
        }
        Ok(())
    }

    fn event(
        &mut self,
        number: u64,
        head: &Head<'_>,
        received: Received,
        steps: &mut Vec<Step<Job>>,
    ) -> Result<(), Error> {
        if self.unheard.contains(&number) {
            return Ok(());
        }
        let left = self.ended.get(&number).or_else(|| {
            // It left, and this session has not followed yet.
            let (index, source) = self.whose.get(&number)?;
            self.members.get(*index).is_none().then_some(source)
        });
        if let Some(source) = left {
            if head.e != "eventStreamTerminated" {
                steps.push(Step::Pass(source.clone(), received));
            }
            return Ok(());
        }
        let Some(account) = self.whose.get(&number).and_then(|(index, _)| self.members.get(*index)) else {
            if self.asked.is_empty() || self.early.len() >= EARLY {
                return Err(Error::Protocol("events of a subscription nobody asked for"));
            }
            self.early.push((number, received));
            return Ok(());
        };
        remember(&account, head);
        steps.push(Step::Pass(account.source(), received));
        if head.e == "eventStreamTerminated" {
            let ended = Error::Protocol("Binance ended this account's stream; subscribing again");
            steps.push(Step::Down(account.source(), ended));
            if let Some((index, _)) = self.whose.remove(&number) {
                self.later.insert((clock::steady() + self.timing.backoff.min, index));
            }
        }
        Ok(())
    }
}

impl Session for Subscriptions {
    type Job = Job;

    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        self.heard_of(received, steps)
    }

    fn due(&self) -> Option<(Instant, u32)> {
        if self.followed != self.members.version() {
            return Some((clock::steady(), 0));
        }
        if !self.queue.is_empty() || !self.ending.is_empty() {
            return Some((clock::steady(), SUBSCRIBE_COST));
        }
        let later = self.later.first().map(|(at, _)| *at);
        // All may take equally long, so the first question asked is the first that is overdue.
        let unanswered = self.asked.first_key_value().map(|(_, (_, until))| *until);
        later.into_iter().chain(unanswered).min().map(|at| (at, 0))
    }

    fn speak(&mut self, now: Instant, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        if self.asked.first_key_value().is_some_and(|(_, (_, until))| *until <= now) {
            return Err(Error::Silent { after: self.timing.ack, what: "a subscription was not answered" });
        }
        while let Some((at, index)) = self.later.first().copied() {
            if at > now {
                break;
            }
            self.later.remove(&(at, index));
            self.queue.push_back(index);
        }
        if self.followed != self.members.version() {
            self.follow();
            return Ok(());
        }
        if let Some(subscription) = self.ending.pop_front() {
            steps.push(Step::Send(Self::end(subscription)));
            return Ok(());
        }
        // What waited for its time is paid for at the next turn, when it is in the queue.
        if let Some(index) = self.queue.pop_front()
            && let Some(request) = self.request(index, now)
        {
            steps.push(Step::Send(request));
        }
        Ok(())
    }

    fn suspect(&mut self, source: &Source, _error: Error) -> Result<(), Error> {
        // Subscribing again is the cheapest question: a living key is told that it is subscribed, a dead one refused.
        let index = self.members.number(source);
        let asked = |index: &usize| {
            self.queue.contains(index)
                || self.later.iter().any(|(_, waiting)| waiting == index)
                || self.asked.values().any(|(asked, _)| asked == index)
        };
        if let Some(index) = index.filter(|index| !asked(index)) {
            self.queue.push_back(index);
        }
        Ok(())
    }

    fn settled(&self) -> bool {
        self.queue.is_empty() && self.asked.is_empty()
    }
}

/// A session refused as a whole is made anew; which key it was shows then.
pub(super) fn reconnecting(error: Error) -> Error {
    match error.advice() {
        Advice::GiveUp => Error::Protocol("Binance revoked the session; one of its keys may be deleted"),
        Advice::Retry | Advice::Reconnect => error,
    }
}

pub(super) fn note(account: &Account, received: &Received) {
    if let Frame::Text(text) = &received.frame
        && let Ok(Envelope { event: Some(head), .. }) = serde_json::from_str::<Envelope<'_>>(text)
    {
        remember(account, &head);
    }
}

pub(super) fn remember(account: &Account, head: &Head<'_>) {
    match head.e.as_ref() {
        "executionReport" => {
            if let Some(pair) = head.symbol() {
                account.known.touched(&pair);
            }
        }
        "outboundAccountPosition" => {
            let rows = head.balances.and_then(|rows| serde_json::from_str::<Vec<Position<'_>>>(rows.get()).ok());
            for row in rows.unwrap_or_default() {
                account.known.moved(&row.a, &row.f, &row.l, head.updated());
            }
        }
        _ => {}
    }
}

/// How long a connection of these settings may be quiet.
impl From<Timing> for Patience {
    fn from(timing: Timing) -> Self {
        Patience { connect: timing.connect, silence: timing.silence, pong: timing.pong }
    }
}
