//! One Coinbase key's connection: the `user` channel's running totals, made exact by asking for the fills
//! (<https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview>).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::frames::{Head, Heartbeat, UserEvent};
use super::{fills, keys};
use crate::arrival::Source;
use crate::domain::{AccountId, Span, Timestamp};
use crate::feed::error::{Error, Refusal};
use crate::feed::key_state::Refused;
use crate::feed::limiter::{Limiter, obeyed};
use crate::feed::link::{Gap, Protocol, Session, Step};
use crate::feed::outlet::Outlet;
use crate::feed::rest::Rest;
use crate::feed::rotating::Rotating;
use crate::feed::settings::Timing;
use crate::feed::sign::CoinbaseSigner;
use crate::feed::socket::{Frame, Received, Socket};
use crate::feed::venues::Venues;
use crate::runtime::clock;

/// How long a message that overtook others waits for them. It is only judged in its order then; a number that is
/// missing for longer is lost.
const OVERTAKEN: Duration = Duration::from_millis(250);
/// Messages that may wait so.
const HELD: usize = 32;

/// A Coinbase key and its portfolio.
pub(crate) struct User {
    pub(crate) venues: Arc<Venues>,
    pub(crate) id: AccountId,
    pub(crate) signer: Arc<Rotating<CoinbaseSigner>>,
    pub(crate) known_until: Option<Timestamp>,
    /// What was refused of the questions about the key.
    pub(crate) refused: Refused,
}

/// What runs beside the connection.
pub(crate) enum Job {
    /// Asks for the fills of these orders.
    Orders(BTreeSet<String>),
    /// Asks for what was missed.
    Fill(Gap),
}

impl Protocol for User {
    type Job = Job;
    type Session = UserFeed;

    fn sources(&self) -> Vec<Source> {
        vec![Source::Account(self.id.clone())]
    }

    fn limiter(&self) -> &Limiter {
        &self.venues.unlimited
    }

    async fn probe(self: Arc<Self>, outlet: Outlet) -> Result<(), Error> {
        fills::Asked { venues: &self.venues, id: &self.id, signer: &self.signer.newest().0, outlet: &outlet }
            .probe()
            .await
    }

    async fn connect(self: Arc<Self>) -> Result<(Socket, UserFeed), Error> {
        let venues = &self.venues;
        // A token lives two minutes: a clock off by that much is refused.
        venues.coinbase_connects.turn(1).await;
        if !venues.coinbase.knows_time()
            && let Err(error) = learn_time(&venues.coinbase).await
        {
            tracing::debug!(%error, "coinbase: its clock could not be read");
        }
        let socket = Socket::connect(&venues.settings.coinbase.ws_user, &venues.tls, venues.patience()).await;
        let socket = obeyed(socket, &[&venues.coinbase_connects])?;
        let timing = venues.settings.timing;
        let until = clock::steady() + timing.ack;
        let (signer, age) = self.signer.newest();
        Ok((
            socket,
            UserFeed {
                source: Source::Account(self.id.clone()),
                signer,
                signers: (Arc::clone(&self.signer), age),
                rest: Arc::clone(&venues.coinbase),
                heartbeat: Heartbeat::new(&timing),
                timing,
                said: false,
                confirm_until: Some(until),
                sequence: None,
                held: BTreeMap::new(),
                held_until: None,
                missed: None,
                touched: BTreeSet::new(),
                fetch_at: None,
            },
        ))
    }

    async fn run(self: Arc<Self>, job: Job, outlet: Outlet) -> Result<(), Error> {
        let signer = self.signer.proven();
        let asked = fills::Asked { venues: &self.venues, id: &self.id, signer: &signer, outlet: &outlet };
        match job {
            Job::Orders(orders) => asked.orders(&orders).await,
            Job::Fill(gap) => asked.gap(gap).await,
        }
    }

    fn inspects(&self, _source: &Source) -> bool {
        true
    }

    async fn inspect(self: Arc<Self>, _source: Source, outlet: Outlet) -> Result<(), Error> {
        keys::inspect(&self, &outlet).await
    }

    fn fill(&self, _source: &Source, gap: Gap) -> Option<Job> {
        Some(Job::Fill(gap))
    }

    fn known_until(&self, _source: &Source) -> Option<Timestamp> {
        self.known_until
    }
}

pub(super) async fn learn_time(rest: &Rest) -> Result<(), Error> {
    #[derive(serde::Deserialize)]
    struct Time {
        #[serde(rename = "epochMillis")]
        millis: crate::codec::wire::Whole,
    }
    let path = "/api/v3/brokerage/time";
    rest.learn_time(path, |text| serde_json::from_str(text).ok().map(|time: Time| time.millis.0)).await
}

/// The protocol on one connection.
pub(crate) struct UserFeed {
    source: Source,
    signer: CoinbaseSigner,
    /// Where that came from, and its name there.
    signers: (Arc<Rotating<CoinbaseSigner>>, u64),
    rest: Arc<Rest>,
    timing: Timing,
    heartbeat: Heartbeat,
    said: bool,
    confirm_until: Option<Instant>,
    sequence: Option<(u64, Timestamp)>,
    /// Messages that overtook others, by number, and until when they wait.
    held: BTreeMap<u64, Received>,
    held_until: Option<Instant>,
    /// From when on jumps in the numbering may have left something out, asked for together: every second message may
    /// jump.
    missed: Option<Timestamp>,
    touched: BTreeSet<String>,
    fetch_at: Option<Instant>,
}

impl UserFeed {
    fn expected(&self) -> u64 {
        self.sequence.map_or(0, |(last, _)| last.saturating_add(1))
    }

    /// Takes the held messages up to the next that is missing; all of them with `lost`.
    fn take_held(&mut self, lost: bool, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        while let Some(next) = self.held.first_entry() {
            let number = *next.key();
            if !lost && number > self.sequence.map_or(0, |(last, _)| last.saturating_add(1)) {
                return Ok(());
            }
            let received = next.remove();
            self.take(received, steps)?;
        }
        self.held_until = None;
        Ok(())
    }

    fn take(&mut self, received: Received, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        let mut came_up = false;
        let mut refused = None;
        let at = received.at;
        if let Frame::Text(text) = &received.frame
            && let Ok(head) = serde_json::from_str::<Head<'_>>(text)
        {
            self.sequence(&head, at);
            self.orders(&head);
            refused = head.refused();
            came_up = self.confirm_until.is_some() && head.confirms("user");
        }
        steps.push(Step::Pass(self.source.clone(), received));
        if came_up {
            self.confirm_until = None;
            self.signers.0.prove(self.signers.1);
            steps.push(Step::Up(self.source.clone()));
        }
        refused.map_or(Ok(()), Err)
    }

    /// A jump forward means lost messages: what they told is asked for.
    fn sequence(&mut self, head: &Head<'_>, at: Timestamp) {
        let Some(number) = head.sequence_num else { return };
        let expected = self.expected();
        if number > expected {
            let known = self.sequence.map_or(at, |(_, known)| known);
            let since = known - Span::from(self.timing.overlap);
            self.missed = Some(self.missed.map_or(since, |missed| missed.min(since)));
            self.fetch_at.get_or_insert(clock::steady() + self.timing.debounce);
        }
        if number >= expected {
            self.sequence = Some((number, at));
        }
    }

    fn orders(&mut self, head: &Head<'_>) {
        let events = head.events.filter(|_| head.channel.as_deref() == Some("user"));
        let events = events.and_then(|events| serde_json::from_str::<Vec<UserEvent>>(events.get()).ok());
        for event in events.unwrap_or_default().into_iter().filter(|event| event.kind.as_deref() == Some("update")) {
            self.touched.extend(event.orders.unwrap_or_default().into_iter().map(|order| order.order_id));
        }
        if !self.touched.is_empty() {
            self.fetch_at.get_or_insert(clock::steady() + self.timing.debounce);
        }
    }
}

impl Session for UserFeed {
    type Job = Job;

    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        let mut number = None;
        if let Frame::Text(text) = &received.frame
            && let Ok(head) = serde_json::from_str::<Head<'_>>(text)
        {
            self.heartbeat.heard(&head);
            number = head.sequence_num;
        }
        match number {
            Some(number) if number > self.expected() && self.held.len() < HELD => {
                self.held_until.get_or_insert(clock::steady() + OVERTAKEN);
                self.held.entry(number).or_insert(received);
                Ok(())
            }
            Some(_) | None => {
                self.take(received, steps)?;
                self.take_held(false, steps)
            }
        }
    }

    fn due(&self) -> Option<(Instant, u32)> {
        if !self.said {
            return Some((clock::steady(), 0));
        }
        let times = [self.confirm_until, self.fetch_at, self.held_until, Some(self.heartbeat.until())];
        times.into_iter().flatten().min().map(|at| (at, 0))
    }

    fn speak(&mut self, now: Instant, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        if !self.said {
            self.said = true;
            for channel in ["user", "heartbeats"] {
                let jwt = self.signer.token(Timestamp::from_millis(self.rest.millis()), None)?;
                let request = serde_json::json!({"type": "subscribe", "channel": channel, "jwt": jwt});
                steps.push(Step::Send(request.to_string()));
            }
            return Ok(());
        }
        if self.held_until.is_some_and(|until| until <= now) {
            self.take_held(true, steps)?;
        }
        if self.fetch_at.is_some_and(|at| at <= now) {
            self.fetch_at = None;
            steps.extend(self.missed.take().map(|since| Step::Owe(self.source.clone(), since)));
            let orders = std::mem::take(&mut self.touched);
            if !orders.is_empty() {
                steps.push(Step::Job(Job::Orders(orders)));
            }
        }
        if self.confirm_until.is_some_and(|until| until <= now) {
            // A bad token may be answered by silence.
            return Err(Error::Silent { after: self.timing.ack, what: "the subscription was not confirmed" });
        }
        self.heartbeat.check(now)
    }

    fn settled(&self) -> bool {
        self.confirm_until.is_none()
    }
}

/// Returns the refusal of an answer by its status; its body is free text.
pub(super) fn refused(status: u16) -> Error {
    Error::Refused(Refusal::coinbase(status))
}
