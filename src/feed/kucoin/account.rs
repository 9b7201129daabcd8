//! One KuCoin account's connection, classic or unified as the account is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::asker::Asker;
use super::bullet::Bullet;
use super::classic::{Classic, Meant};
use super::gap::Asked;
use super::keys;
use super::learn_time;
use super::mode::{self, Mode, Told};
use super::unified::Unified;
use crate::arrival::{Body, Source};
use crate::domain::{AccountId, Timestamp};
use crate::feed::error::{Error, Refusal};
use crate::feed::key_state::Refused;
use crate::feed::limiter::{Limiter, obeyed};
use crate::feed::link::{Gap, Protocol, Session, Step};
use crate::feed::outlet::Outlet;
use crate::feed::rotating::Rotating;
use crate::feed::sign::KucoinSigner;
use crate::feed::socket::{Received, Socket};
use crate::feed::venues::Venues;

/// What is subscribed. Of the two order topics only V2: with both each fill would come twice.
const TOPICS: [&str; 2] = ["/spotMarket/tradeOrdersV2", "/account/balance"];

/// A KuCoin account.
pub(crate) struct Private {
    pub(super) venues: Arc<Venues>,
    pub(super) id: AccountId,
    pub(super) asker: Rotating<Asker>,
    known_until: Option<Timestamp>,
    served: Mutex<Served>,
    /// What was refused of the questions about the key.
    pub(super) refused: Refused,
}

/// What is known of the account's mode.
#[derive(Debug, Default)]
struct Served {
    /// The mode the last connection was made for.
    mode: Option<Mode>,
    /// The code with which KuCoin does not tell the mode; the connection then rests on a guess.
    untold: Option<Refusal>,
    /// True while fills of the time not yet asked about may lie in either mode's history.
    both: bool,
    /// The books that the key may not read.
    unseen: BTreeSet<&'static str>,
}

impl Private {
    /// Takes an account, what signs for it, and up to when it was known before.
    pub(crate) fn new(
        venues: &Arc<Venues>,
        id: AccountId,
        signer: &KucoinSigner,
        known_until: Option<Timestamp>,
    ) -> Self {
        let asker = Rotating::new(Asker::new(&venues.kucoin, signer));
        // The mode may have changed while nobody was watching.
        let served = Mutex::new(Served { both: known_until.is_some(), ..Served::default() });
        Private { venues: Arc::clone(venues), id, asker, known_until, served, refused: Refused::default() }
    }

    /// Takes another key of the account, for its next connection.
    pub(crate) fn rotate(&self, signer: &KucoinSigner) {
        let asker = self.asker.proven().rotated(signer);
        self.asker.set(asker);
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the mode to connect for, and the refusal when it had to be guessed.
    ///
    /// Nobody's silence makes an account a classic one: on the wrong feed it would look quiet for ever.
    async fn mode(&self, asker: &Asker) -> Result<(Mode, Option<Refusal>), Error> {
        let before = self.served().mode;
        match (mode::ask(asker).await, before) {
            (Ok(Told::Is(mode)), _) => Ok((mode, None)),
            (Ok(Told::Untold(refusal)), before) => Ok((before.unwrap_or(Mode::Classic), Some(refusal))),
            (Err(error), Some(before)) if !error.about_key() => {
                tracing::debug!(account = %self.id, %error, "the account's mode could not be asked; taken as before");
                Ok((before, None))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Reads what a unified account's contracts are counted in.
    async fn prepare(&self, outlet: &Outlet) -> Result<(), Error> {
        let mode = self.served().mode;
        if mode == Some(Mode::Unified) { self.venues.contracts.prepare(&self.venues, outlet).await } else { Ok(()) }
    }

    /// Notes that a connection for `mode` stands.
    fn serves(&self, mode: Mode, untold: Option<Refusal>) {
        let mut served = self.served();
        if served.mode.is_some_and(|before| before != mode) {
            served.both = true;
            tracing::info!(account = %self.id, ?mode, "the account is in another mode than before");
        }
        served.mode = Some(mode);
        if untold.is_some() && served.untold != untold {
            let code = untold.as_ref().map(|refusal| refusal.code.as_str());
            tracing::warn!(
                account = %self.id, code, ?mode,
                "KuCoin does not tell this key whether the account is classic or unified; it is watched as {mode:?} and \
                 no gap counts as verified. Give the key the right General, and Unified where KuCoin offers it",
            );
        }
        served.untold = untold;
    }

    /// Asks for what was missed, of both histories where the mode may have changed in between. Returns whether nothing
    /// can be missing, and whether the account is in another mode than its connection.
    async fn missed(&self, gap: Gap, outlet: &Outlet) -> Result<(bool, bool), Error> {
        let (served, both) = {
            let served = self.served();
            (served.mode.unwrap_or(Mode::Classic), served.both)
        };
        let asker = self.asker.proven();
        let (mode, sure) = match mode::ask(&asker).await {
            Ok(Told::Is(mode)) => (mode, true),
            Ok(Told::Untold(_)) => (served, false),
            Err(error) if error.about_key() => return Err(error),
            Err(error) => {
                tracing::debug!(account = %self.id, %error, "the account's mode could not be asked");
                (served, false)
            }
        };
        let moved = mode != served;
        let asked = Asked::new(&asker, &self.id, outlet);
        let mut complete = asked.history(mode, gap).await?;
        // In the other mode's books there may be nothing of this account.
        let unseen = asked.unseen();
        let seen = unseen.is_empty();
        self.misses(unseen);
        if both || moved || !sure {
            let other = match mode {
                Mode::Classic => Mode::Unified,
                Mode::Unified => Mode::Classic,
            };
            complete &= asked.other_history(other, gap).await?;
        }
        if complete && sure && !moved {
            self.served().both = false;
        }
        Ok((complete && sure && seen, moved))
    }

    /// Says once of the account's books which of them its key may not look into.
    fn misses(&self, unseen: BTreeSet<&'static str>) {
        let mut served = self.served();
        if !unseen.is_empty() && served.unseen != unseen {
            let books = unseen.iter().copied().collect::<Vec<_>>().join(", ");
            tracing::warn!(
                account = %self.id, books,
                "KuCoin does not let this key read these books (400007); what is traded in them is not seen, and no gap \
                 counts as verified. Give the key the rights Margin and Futures to read, or watch with another one",
            );
        }
        served.unseen = unseen;
    }
}

impl Protocol for Private {
    type Job = Gap;
    type Session = PrivateFeed;

    fn sources(&self) -> Vec<Source> {
        vec![Source::Account(self.id.clone())]
    }

    fn limiter(&self) -> &Limiter {
        &self.venues.unlimited
    }

    async fn probe(self: Arc<Self>, outlet: Outlet) -> Result<(), Error> {
        let mode = self.served().mode.unwrap_or(Mode::Classic);
        Asked::new(&self.asker.newest().0, &self.id, &outlet).probe(mode).await
    }

    async fn connect(self: Arc<Self>) -> Result<(Socket, PrivateFeed), Error> {
        let venues = &self.venues;
        // Before the token is asked for: it must not grow old while a thousand others connect.
        venues.kucoin_connects.turn(1).await;
        if !venues.kucoin.knows_time()
            && let Err(error) = learn_time(&venues.kucoin).await
        {
            tracing::debug!(%error, "kucoin: its clock could not be read");
        }
        let source = Source::Account(self.id.clone());
        let timing = venues.settings.timing;
        let (asker, age) = self.asker.newest();
        let (mode, untold) = self.mode(&asker).await?;
        let (socket, talk) = match mode {
            Mode::Classic => {
                let bullet = Bullet::fetch(venues, Some(&asker)).await?;
                let socket = bullet.connect(venues).await?;
                (socket, Talk::Classic(Classic::new(timing, bullet.ping, bullet.connect_id)))
            }
            Mode::Unified => {
                let url = &venues.settings.kucoin.uta_push;
                let socket = Socket::connect(url, &venues.tls, venues.patience()).await;
                let socket = obeyed(socket, &[&venues.kucoin_connects])?;
                let (signer, rest) = (asker.signer().clone(), Arc::clone(asker.rest()));
                (socket, Talk::Unified(Unified::new(timing, signer, rest)))
            }
        };
        self.serves(mode, untold);
        Ok((socket, PrivateFeed { source, talk, to_say: 0, up: false, account: Arc::clone(&self), age }))
    }

    async fn run(self: Arc<Self>, gap: Gap, outlet: Outlet) -> Result<(), Error> {
        let (prepared, missed) = tokio::join!(self.prepare(&outlet), self.missed(gap, &outlet));
        prepared?;
        let (verified, moved) = missed?;
        if moved {
            return Err(Error::Moved(
                "the account changed between classic and unified; connecting to the feed it has now",
            ));
        }
        let filled = Body::Filled { since: gap.since, until: gap.until, verified };
        outlet.note(Source::AccountRest(self.id.clone()), filled).await
    }

    fn inspects(&self) -> bool {
        true
    }

    async fn inspect(self: Arc<Self>, _source: Source, outlet: Outlet) -> Result<(), Error> {
        self.prepare(&outlet).await?;
        keys::inspect(&self, &outlet).await
    }

    fn fill(&self, _source: &Source, gap: Gap) -> Option<Gap> {
        Some(gap)
    }

    fn known_until(&self, _source: &Source) -> Option<Timestamp> {
        self.known_until
    }
}

/// The protocol on one connection of an account.
pub(crate) struct PrivateFeed {
    source: Source,
    talk: Talk,
    /// The next of [`TOPICS`] to subscribe.
    to_say: usize,
    up: bool,
    /// Whose it is, and which of its keys signed it in.
    account: Arc<Private>,
    age: u64,
}

enum Talk {
    Classic(Classic),
    Unified(Unified),
}

impl Session for PrivateFeed {
    type Job = Gap;

    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Gap>>) -> Result<(), Error> {
        let came_up = match &mut self.talk {
            Talk::Classic(classic) => {
                let meant = classic.heard(&received);
                steps.push(Step::Pass(self.source.clone(), received));
                match meant? {
                    Meant::Welcome => {
                        let now = crate::runtime::clock::steady();
                        steps.extend(TOPICS.map(|topic| Step::Send(classic.subscribe(topic, false, true, now).1)));
                        self.to_say = TOPICS.len();
                        false
                    }
                    Meant::Ack(_) => self.to_say == TOPICS.len() && classic.answered(),
                    // An account's topics are always there.
                    Meant::Refused(_) => return Err(Error::Refused(Refusal::kucoin("404"))),
                    Meant::Else => false,
                }
            }
            Talk::Unified(unified) => {
                let answer = unified.heard(&received);
                steps.push(Step::Pass(self.source.clone(), received));
                let (request, up) = answer?;
                steps.extend(request.map(Step::Send));
                up
            }
        };
        if came_up && !self.up {
            self.up = true;
            self.account.asker.prove(self.age);
            steps.push(Step::Up(self.source.clone()));
        }
        Ok(())
    }

    fn due(&self) -> Option<(Instant, u32)> {
        let due = match &self.talk {
            Talk::Classic(classic) => classic.due(),
            Talk::Unified(unified) => unified.due(),
        };
        due.map(|at| (at, 0))
    }

    fn speak(&mut self, now: Instant, steps: &mut Vec<Step<Gap>>) -> Result<(), Error> {
        let ping = match &mut self.talk {
            Talk::Classic(classic) => classic.check(now)?,
            Talk::Unified(unified) => unified.check(now)?,
        };
        steps.extend(ping.map(Step::Send));
        Ok(())
    }

    fn settled(&self) -> bool {
        self.up
    }
}
