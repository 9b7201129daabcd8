//! What every channel does: take the loudest waiting message, try, write down what came of it, wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::words::{Words, words};
use super::{backoff, wording};
use crate::alert::Language;
use crate::domain::{IncidentId, Level, Message, Span, Timestamp};
use crate::store::{Cause, ChannelRoute, Error, Handle, Next, Queued};

/// Where a courier reads the time of day.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A way to carry one message to people.
pub trait Carrier: Send {
    /// Tries once; returns what a later message of the same incident needs to follow this one.
    fn carry(&mut self, queued: &Queued) -> impl Future<Output = Result<String, Failure>> + Send;

    /// How long to wait between two messages that were accepted.
    fn pace(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns when something that was kept open for the next message has been closed, because none came; for ever where
    /// nothing is open. Given up at any moment.
    fn idle(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Returns what was said of people who will never be reached this way, although the last message reached others.
    fn refused(&self) -> Option<&str> {
        None
    }

    /// Closes what was kept open.
    fn leave(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// What came of an attempt that did not succeed. `why` holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This message was put off; others may pass.
    Later {
        /// What the server said.
        why: String,
    },
    /// Some of the channel's people have it and the others were put off: it is tried again for those alone.
    Partly {
        /// Who has it, with those who had it before.
        reached: Vec<String>,
        /// What the server said of the others.
        why: String,
    },
    /// The channel cannot be reached or wants to be left alone.
    Down {
        /// What happened.
        why: String,
        /// How long the server asked to be left alone.
        after: Option<Duration>,
        /// True when the message may have arrived.
        uncertain: bool,
    },
    /// The message or the sign-in was refused, and will be the next time.
    Never {
        /// What the server said.
        why: String,
    },
}

/// A channel at work. There is one for each name.
pub struct Courier<C> {
    name: String,
    carrier: C,
    store: Handle,
    backoff: backoff::Settings,
    clock: Clock,
    others: Vec<String>,
    route: ChannelRoute,
    words: &'static Words,
    /// The wait after the last failure of the channel as a whole; zero while it works.
    down: Duration,
    told: bool,
    /// What the others were told of people this channel does not reach.
    refused: Option<String>,
    /// Rows refused for good, which the others were told of; the newest.
    given_up: BTreeSet<u64>,
}

/// How long a channel with nothing to do sleeps at most, should the clock have been set.
const LOOK_AGAIN: Duration = Duration::from_secs(15 * 60);
/// Refused rows that are remembered; of an older one the others would be told again.
const MOST_GIVEN_UP: usize = 1_000;
/// For how long a theft that no channel delivered is tried again.
const NEWS: Span = Span::from_secs(3 * 86_400);
/// Starts the names of incidents that tell about channels; no account's incident can be named so.
const ABOUT_A_CHANNEL: &str = "channel/";

impl<C: Carrier> Courier<C> {
    /// Joins a channel's name and its way to carry.
    pub fn new(name: String, carrier: C, store: Handle, backoff: backoff::Settings, clock: Clock) -> Self {
        let (route, words) = (store.route(&name), words(Language::English));
        let (others, down, told, refused) = (Vec::new(), Duration::ZERO, false, None);
        Courier {
            name,
            carrier,
            store,
            backoff,
            clock,
            others,
            route,
            words,
            down,
            told,
            refused,
            given_up: BTreeSet::new(),
        }
    }

    /// Has the courier word what it says itself in a language.
    pub fn speaking(mut self, language: Language) -> Self {
        self.words = words(language);
        self
    }

    /// Names the channels that are told when this one fails.
    pub fn telling(mut self, others: Vec<String>) -> Self {
        self.others = others;
        self
    }

    /// Returns the channel's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends until `stop`. An attempt that has begun is finished first; it is bounded by the channel's timeout.
    ///
    /// Fails only when the store does.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let name = self.name.clone();
        let interrupted = self.store.with(move |store| store.in_flight_after_crash(&name)).await?;
        if interrupted > 0 {
            tracing::warn!(channel = %self.name, interrupted, "messages were being sent when the process ended; sending again");
        }
        let mut revive_at = (self.clock)();
        let mut commits = self.store.commits();
        while !stop.is_cancelled() {
            commits.borrow_and_update();
            let now = (self.clock)();
            // At the start, and then each quarter of an hour; also where the clock was set back.
            if now >= revive_at || revive_at > now + Span::from(LOOK_AGAIN) {
                revive_at = now + LOOK_AGAIN.into();
                self.revive(now).await?;
            }
            let pause = match self.next().await? {
                Next::Send(queued) => self.deliver(*queued).await?,
                Next::Wait(until) => {
                    let wait = self.wait(until);
                    select! {
                        () = stop.cancelled() => {}
                        () = sleep(wait) => {}
                        Ok(()) = commits.changed() => {}
                        () = self.carrier.idle() => {}
                    }
                    continue;
                }
            };
            select! {
                () = stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
        self.carrier.leave().await;
        Ok(())
    }

    /// Tries again what nobody got.
    async fn revive(&mut self, now: Timestamp) -> Result<(), Error> {
        let name = self.name.clone();
        let revived = self.store.with(move |store| store.revive(&name, now - NEWS)).await?;
        if revived > 0 {
            tracing::warn!(channel = %self.name, revived, "messages that nobody got are tried again");
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Next, Error> {
        let (route, now, word) = (self.route.clone(), (self.clock)(), self.words.digest());
        self.store.with(move |store| store.next(&route, now, word)).await
    }

    fn wait(&self, until: Option<Timestamp>) -> Duration {
        let wait = until.map(|due| due.since((self.clock)()).nanos().max(0).unsigned_abs());
        // A millisecond more, so that the row is due when the sleep ends whatever the timer's grain is.
        wait.map_or(LOOK_AGAIN, |nanos| LOOK_AGAIN.min(Duration::from_nanos(nanos) + Duration::from_millis(1)))
    }

    /// Tries once; returns how long the channel rests before it takes another message.
    async fn deliver(&mut self, queued: Queued) -> Result<Duration, Error> {
        let (id, now) = (queued.id, (self.clock)());
        if !self.store.with(move |store| store.mark_sending(id, now)).await? {
            return Ok(Duration::ZERO);
        }
        let outcome = self.carrier.carry(&queued).await;
        let now = (self.clock)();
        match outcome {
            Ok(receipt) => {
                self.store.with(move |store| store.mark_sent(id, now, &receipt)).await?;
                tracing::info!(channel = %self.name, incident = %queued.incident, row = id, "told");
                self.recovered().await?;
                self.tell_refused(&queued, now).await?;
                Ok(self.carrier.pace())
            }
            Err(Failure::Partly { reached, why }) => {
                self.store.with(move |store| store.mark_reached(id, &reached)).await?;
                let wait = self.backoff.after(waited(&queued), rand::random());
                self.failed(&queued, now, wait, false, why).await?;
                self.tell_refused(&queued, now).await?;
                Ok(Duration::ZERO)
            }
            Err(Failure::Later { why }) => {
                let wait = self.backoff.after(waited(&queued), rand::random());
                self.failed(&queued, now, wait, false, why).await?;
                Ok(Duration::ZERO)
            }
            Err(Failure::Down { why, after, uncertain }) => {
                self.down = self.backoff.after(self.down, rand::random());
                let asked = after.unwrap_or(Duration::ZERO);
                let wait = self.backoff.after(waited(&queued), rand::random()).max(asked);
                self.failed(&queued, now, wait, uncertain, why).await?;
                Ok(self.down.min(self.backoff.probe).max(asked))
            }
            Err(Failure::Never { why }) => {
                tracing::error!(
                    channel = %self.name, incident = %queued.incident, row = id, %why,
                    "a message was refused for good; check the channel's settings"
                );
                let reason = why.clone();
                self.store.with(move |store| store.mark_given_up(id, now, &reason)).await?;
                // What is tried again because nobody got it is told of the first time alone.
                if self.given_up.insert(id) {
                    self.tell(&queued, now, &why).await?;
                }
                if self.given_up.len() > MOST_GIVEN_UP {
                    self.given_up.pop_first();
                }
                Ok(self.carrier.pace())
            }
        }
    }

    async fn failed(
        &mut self,
        queued: &Queued,
        now: Timestamp,
        wait: Duration,
        uncertain: bool,
        why: String,
    ) -> Result<(), Error> {
        tracing::warn!(
            channel = %self.name, incident = %queued.incident, row = queued.id, attempt = queued.attempts + 1,
            again_in = ?wait, %why, "a message was not delivered"
        );
        let (id, retry_at, reason) = (queued.id, now + wait.into(), why.clone());
        self.store.with(move |store| store.mark_failed(id, retry_at, uncertain, &reason)).await?;
        if !self.told && now.since(queued.first_at) >= self.backoff.late.into() {
            self.told = true;
            self.tell(queued, now, &why).await?;
        }
        Ok(())
    }

    /// Tells the others, once, of people whom the channel's server refuses while it takes the mail for the rest.
    async fn tell_refused(&mut self, queued: &Queued, now: Timestamp) -> Result<(), Error> {
        let refused = self.carrier.refused().map(str::to_owned);
        if let Some(why) = refused.as_ref().filter(|_| refused != self.refused) {
            self.tell(queued, now, why).await?;
        }
        if refused.is_some() {
            self.refused = refused;
        }
        Ok(())
    }

    /// After an outage everything that waited goes out at once instead of one backoff later.
    async fn recovered(&mut self) -> Result<(), Error> {
        self.told = false;
        if self.down > Duration::ZERO {
            self.down = Duration::ZERO;
            let name = self.name.clone();
            self.store.with(move |store| store.bring_forward(&name)).await?;
            tracing::info!(channel = %self.name, "the channel works again");
        }
        Ok(())
    }

    /// Tells the other channels that this one did not deliver. That such a report failed is only logged, or two
    /// broken channels would report each other for ever.
    async fn tell(&mut self, queued: &Queued, now: Timestamp, why: &str) -> Result<(), Error> {
        if self.others.is_empty() || queued.incident.as_str().starts_with(ABOUT_A_CHANNEL) {
            return Ok(());
        }
        self.store
            .queue(report(&self.name, queued, why, self.words.language), now, self.others.clone(), Cause::Report)
            .await
    }
}

fn waited(queued: &Queued) -> Duration {
    Duration::from_nanos(u64::try_from(queued.waited.nanos()).unwrap_or(0))
}

/// Tells that a channel does not deliver.
pub(super) fn report(name: &str, queued: &Queued, why: &str, language: Language) -> Message {
    let why = language.say(why);
    language.translate(Message {
        incident: IncidentId::known(&format!("{ABOUT_A_CHANNEL}{name}")),
        level: queued.message.level.max(Level::Alert),
        headline: format!("The channel {name} does not deliver: {}", wording::one_line(&why, 160)),
        facts: vec![
            format!("Not delivered there: {}", queued.message.headline),
            "People who read only that channel have not been told.".to_owned(),
        ],
        next_step: format!("Correct the settings of the channel {name} and restart fillguard."),
        otherwise: "Alerts keep going to the other channels only.".to_owned(),
        link: String::new(),
        table: vec![
            ("Channel".to_owned(), name.to_owned()),
            ("Incident".to_owned(), queued.incident.to_string()),
            ("Attempts".to_owned(), (queued.attempts + 1).to_string()),
        ],
    })
}
