//! Margin wallets, many on one connection of the WebSocket API: each is subscribed with a token of its own, which is
//! replaced before it expires (<https://developers.binance.com/docs/margin_trading/trade-data-stream>).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::account::{ALREADY, EARLY, SUBSCRIBE_COST, note, reconnecting, remember};
use super::addressed::Addressed;
use super::frames::{Envelope, Fault, Head, Subscribed};
use super::gap::{self, Account, wire};
use super::{accepted, keys, learn_time};
use crate::arrival::Source;
use crate::domain::{Timestamp, Wallet};
use crate::feed::error::{Error, Refusal};
use crate::feed::limiter::{Limiter, obeyed};
use crate::feed::link::{Gap, Protocol, Session, Step};
use crate::feed::outlet::Outlet;
use crate::feed::rest::Call;
use crate::feed::settings::Timing;
use crate::feed::sign::percent_encode;
use crate::feed::socket::{Received, Socket};
use crate::feed::venues::Venues;
use crate::runtime::backoff::Backoff;
use crate::runtime::clock;
use crate::secret::Secret;

/// Some margin wallets on one connection.
pub(crate) struct Margins {
    pub(crate) venues: Arc<Venues>,
    pub(crate) outlet: Outlet,
    pub(crate) accounts: Arc<Vec<Arc<Account>>>,
}

/// What runs beside the connection.
pub(crate) enum Job {
    /// Fetch a wallet's token and leave it there.
    Token(usize, Arc<Mailbox>),
    Fill(usize, Gap),
}

/// Tokens that were fetched for one connection, or why they could not be.
#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<Vec<(usize, Result<Token, Error>)>>);

/// What a wallet is subscribed with, and how long that lasts.
#[derive(Debug)]
pub(crate) struct Token {
    token: Secret,
    lasts: Duration,
}

impl Mailbox {
    fn put(&self, index: usize, token: Result<Token, Error>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((index, token));
    }

    fn empty(&self) -> Vec<(usize, Result<Token, Error>)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Margins {
    async fn token(&self, index: usize) -> Result<Token, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Granted {
            token: String,
            expiration_time: i64,
        }
        let account = self.accounts.get(index).ok_or(Error::Protocol("a token for nobody"))?;
        // Only the key's id travels: this call is not signed.
        let query = match &account.wallet {
            Wallet::Isolated(pair) => format!("?symbol={}&isIsolated=true", percent_encode(&wire(pair))),
            Wallet::Spot | Wallet::Margin | Wallet::Futures => String::new(),
        };
        let sign = || {
            let path = format!("/sapi/v1/userListenToken{query}");
            Ok(Call { post: true, path, headers: account.headers(), cost: 1, ..Call::default() })
        };
        let rest = &self.venues.binance;
        let answer = accepted(rest.ask(sign).await?).map_err(|error| account.worded(error))?;
        let granted: Granted = gap::read(&answer.text)?;
        let lasts = u64::try_from(granted.expiration_time.saturating_sub(rest.millis())).unwrap_or(0);
        // A day is the most that is documented.
        let lasts = Duration::from_millis(lasts.min(86_400_000));
        Ok(Token { token: Secret::new(granted.token), lasts })
    }
}

impl Protocol for Margins {
    type Job = Job;
    type Session = Tokens;

    fn sources(&self) -> Vec<Source> {
        self.accounts.iter().map(|account| account.source()).collect()
    }

    fn limiter(&self) -> &Limiter {
        self.venues.binance.limiter()
    }

    async fn connect(self: Arc<Self>) -> Result<(Socket, Tokens), Error> {
        let venues = &self.venues;
        venues.pairs.prepare(venues, &self.outlet).await;
        venues.binance_connects.turn(1).await;
        if !venues.binance.knows_time()
            && let Err(error) = learn_time(&venues.binance).await
        {
            tracing::debug!(%error, "binance: its clock could not be read");
        }
        let url = format!("{}?returnRateLimits=false", venues.settings.binance.ws_api);
        let socket = Socket::connect(&url, &venues.tls, venues.patience()).await;
        let socket = obeyed(socket, &[&venues.binance_connects, venues.binance.limiter()])?;
        Ok((socket, Tokens::new(Arc::clone(&self.accounts), venues.settings.timing)))
    }

    async fn run(self: Arc<Self>, job: Job, outlet: Outlet) -> Result<(), Error> {
        match job {
            Job::Token(index, mailbox) => {
                mailbox.put(index, self.token(index).await);
                Ok(())
            }
            Job::Fill(index, gap) => match self.accounts.get(index) {
                Some(account) => gap::fill(&self.venues, account, gap, &outlet).await,
                None => Ok(()),
            },
        }
    }

    fn inspects(&self) -> bool {
        true
    }

    async fn inspect(self: Arc<Self>, source: Source, outlet: Outlet) -> Result<(), Error> {
        match self.accounts.iter().find(|account| account.source() == source) {
            Some(account) => keys::inspect(&self.venues, account, &outlet).await,
            None => Ok(()),
        }
    }

    fn fill(&self, source: &Source, gap: Gap) -> Option<Job> {
        self.accounts.iter().position(|account| account.source() == *source).map(|index| Job::Fill(index, gap))
    }

    fn known_until(&self, source: &Source) -> Option<Timestamp> {
        self.accounts.iter().find(|account| account.source() == *source)?.known_until
    }
}

/// A question on the connection: for which wallet, until when it must be answered, and how long its token lasts.
struct Question {
    index: usize,
    until: Instant,
    lasts: Duration,
}

/// The subscriptions of one connection, and the tokens they live by.
pub(crate) struct Tokens {
    accounts: Arc<Vec<Arc<Account>>>,
    timing: Timing,
    mailbox: Arc<Mailbox>,
    /// Wallets not subscribed yet on this connection, and not refused either.
    pending: BTreeSet<usize>,
    /// When to fetch whose next token.
    plan: BTreeSet<(Instant, usize)>,
    /// The waits of those that were refused: long ones where a person must act.
    refused: BTreeMap<usize, (bool, Backoff)>,
    /// Tokens to subscribe with now.
    queue: VecDeque<(usize, Token)>,
    asked: BTreeMap<u64, Question>,
    questions: u64,
    /// Whose a subscription is; a wallet may have two while one replaces the other.
    whose: BTreeMap<u64, usize>,
    /// The newest subscription of a wallet.
    newest: BTreeMap<usize, u64>,
    early: Vec<(u64, Received)>,
}

impl Tokens {
    fn new(accounts: Arc<Vec<Arc<Account>>>, timing: Timing) -> Self {
        let now = clock::steady();
        Tokens {
            pending: (0..accounts.len()).collect(),
            plan: (0..accounts.len()).map(|index| (now, index)).collect(),
            accounts,
            timing,
            mailbox: Arc::default(),
            refused: BTreeMap::new(),
            queue: VecDeque::new(),
            asked: BTreeMap::new(),
            questions: 0,
            whose: BTreeMap::new(),
            newest: BTreeMap::new(),
            early: Vec::new(),
        }
    }

    fn source(&self, index: usize) -> Option<Source> {
        self.accounts.get(index).map(|account| account.source())
    }

    /// Plans the next token of a wallet; an earlier plan is dropped.
    fn plan(&mut self, index: usize, at: Instant) {
        self.plan.retain(|(_, planned)| *planned != index);
        self.plan.insert((at, index));
    }

    /// Takes that a wallet has no token or subscription; says so where it is left without one, or its key refused.
    fn failed(&mut self, index: usize, error: &Error, asked: Duration, steps: &mut Vec<Step<Job>>) {
        self.pending.remove(&index);
        let slow = error.about_key();
        let settings = if slow { self.timing.refused } else { self.timing.backoff };
        let (was, backoff) = self.refused.entry(index).or_insert_with(|| (slow, Backoff::new(settings)));
        if *was != slow {
            (*was, *backoff) = (slow, Backoff::new(settings));
        }
        let wait = backoff.draw().max(error.wait()).max(asked);
        self.plan(index, clock::steady() + wait);
        let blind = slow || !self.newest.contains_key(&index);
        if let Some(source) = self.source(index).filter(|_| blind) {
            steps.push(Step::Down(source, error.clone()));
        }
    }

    fn refuse(&mut self, index: usize, fault: &Fault, steps: &mut Vec<Step<Job>>) {
        if fault.code == ALREADY && self.newest.contains_key(&index) {
            // It will not be renewed while it lives. It is asked for again when it has ended, and the gap is filled.
            self.pending.remove(&index);
            return;
        }
        let asked = fault.data.as_ref().and_then(|data| data.retry_after);
        let asked = asked.map_or(0, |until| until.saturating_sub(clock::now().millis()));
        let asked = Duration::from_millis(u64::try_from(asked).unwrap_or(0).min(259_200_000));
        let error = Error::Refused(Refusal::of_wallet(Refusal::binance(fault.code)));
        self.failed(index, &error, asked, steps);
    }
}

impl Addressed for Tokens {
    type Job = Job;

    fn everybody(&self, received: &Received, steps: &mut Vec<Step<Job>>) {
        steps.extend(self.accounts.iter().map(|account| Step::Pass(account.source(), received.clone())));
    }

    fn answered(
        &mut self,
        envelope: &Envelope<'_>,
        received: &Received,
        steps: &mut Vec<Step<Job>>,
    ) -> Result<(), Error> {
        let id: Option<String> = envelope.id.and_then(|id| serde_json::from_str(id.get()).ok());
        let number = id.as_deref().and_then(|id| id.strip_prefix('m')?.parse().ok());
        let Some(Question { index, lasts, .. }) = number.and_then(|number: u64| self.asked.remove(&number)) else {
            self.everybody(received, steps);
            return match &envelope.error {
                Some(fault) => Err(reconnecting(Error::Refused(Refusal::binance(fault.code)))),
                None => Ok(()),
            };
        };
        let Some(source) = self.source(index) else { return Ok(()) };
        steps.push(Step::Pass(source.clone(), received.clone()));
        if let Some(fault) = &envelope.error {
            self.refuse(index, fault, steps);
            return Ok(());
        }
        let subscribed = envelope.result.and_then(|result| serde_json::from_str::<Subscribed>(result.get()).ok());
        let Some(subscription) = subscribed.and_then(|subscribed| subscribed.subscription) else {
            return Err(Error::Protocol("an answer to a subscription that names none"));
        };
        self.refused.remove(&index);
        self.pending.remove(&index);
        // A renewed subscription keeps its number or gets another: then both tell the same until the old one ends.
        self.whose.insert(subscription, index);
        self.newest.insert(index, subscription);
        // A tenth of its life is left for trying again where the first try fails.
        let ahead = lasts.mul_f64(0.9 - 0.05 * rand::random::<f64>()).max(Duration::from_millis(10));
        self.plan(index, clock::steady() + ahead);
        steps.push(Step::Up(source));
        for (_, early) in self.early.extract_if(.., |(number, _)| *number == subscription) {
            if let Some(account) = self.accounts.get(index) {
                note(account, &early);
                steps.push(Step::Pass(account.source(), early));
            }
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
        let Some((index, account)) =
            self.whose.get(&number).and_then(|index| Some((*index, self.accounts.get(*index)?)))
        else {
            if self.asked.is_empty() || self.early.len() >= EARLY {
                return Err(Error::Protocol("events of a subscription nobody asked for"));
            }
            self.early.push((number, received));
            return Ok(());
        };
        remember(account, head);
        let source = account.source();
        steps.push(Step::Pass(source.clone(), received));
        if head.e == "eventStreamTerminated" {
            self.whose.remove(&number);
            // The end of one that was replaced is nobody's loss.
            if self.newest.get(&index) == Some(&number) {
                self.newest.remove(&index);
                self.plan(index, clock::steady() + self.timing.backoff.min);
                let ended = Error::Protocol("Binance ended this wallet's stream; subscribing with a new token");
                steps.push(Step::Down(source, ended));
            }
        }
        Ok(())
    }
}

impl Session for Tokens {
    type Job = Job;

    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        self.heard_of(received, steps)
    }

    fn due(&self) -> Option<(Instant, u32)> {
        if !self.mailbox.is_empty() {
            return Some((clock::steady(), 0));
        }
        if !self.queue.is_empty() {
            return Some((clock::steady(), SUBSCRIBE_COST));
        }
        let unanswered = self.asked.values().map(|question| question.until);
        unanswered.chain(self.plan.first().map(|(at, _)| *at)).min().map(|at| (at, 0))
    }

    fn speak(&mut self, now: Instant, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        if self.asked.values().any(|question| question.until <= now) {
            return Err(Error::Silent { after: self.timing.ack, what: "a subscription was not answered" });
        }
        // A token that was fetched is paid for at the next turn, when it is in the queue.
        let paid = !self.queue.is_empty() && self.mailbox.is_empty();
        for (index, token) in self.mailbox.empty() {
            match token {
                Ok(token) => self.queue.push_back((index, token)),
                Err(error) => self.failed(index, &error, Duration::ZERO, steps),
            }
        }
        while let Some((at, index)) = self.plan.first().copied() {
            if at > now {
                break;
            }
            self.plan.remove(&(at, index));
            steps.push(Step::Job(Job::Token(index, Arc::clone(&self.mailbox))));
        }
        if let Some((index, token)) = self.queue.pop_front_if(|_| paid) {
            self.questions += 1;
            let question = Question { index, until: now + self.timing.ack, lasts: token.lasts };
            self.asked.insert(self.questions, question);
            let request = serde_json::json!({
                "id": format!("m{}", self.questions),
                "method": "userDataStream.subscribe.listenToken",
                "params": {"listenToken": token.token.expose()},
            });
            steps.push(Step::Send(request.to_string()));
        }
        Ok(())
    }

    fn suspect(&mut self, source: &Source, _error: Error) -> Result<(), Error> {
        // A new token is the cheapest question, and what it gives is of use.
        let index = self.accounts.iter().position(|account| account.source() == *source);
        if let Some(index) = index.filter(|index| self.newest.contains_key(index)) {
            self.plan(index, clock::steady());
        }
        Ok(())
    }

    fn settled(&self) -> bool {
        self.pending.is_empty()
    }
}
