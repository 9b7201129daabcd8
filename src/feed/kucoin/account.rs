//! One KuCoin account's connection, classic or unified as the account is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Deserialize;

use super::bullet::Bullet;
use super::classic::{Classic, Meant};
use super::unified::Unified;
use super::{ask, gap, keys, learn_time, read};
use crate::arrival::Source;
use crate::domain::{AccountId, Timestamp};
use crate::feed::error::{Error, Meaning};
use crate::feed::key_state::Refused;
use crate::feed::limiter::Limiter;
use crate::feed::link::{Gap, Protocol, Session, Step};
use crate::feed::outlet::Outlet;
use crate::feed::sign::KucoinSigner;
use crate::feed::socket::{Received, Socket};
use crate::feed::venues::Venues;

/// What is subscribed. Of the two order topics only V2: with both each fill would come twice.
const TOPICS: [&str; 2] = ["/spotMarket/tradeOrdersV2", "/account/balance"];

/// A KuCoin account.
pub(crate) struct Private {
    pub(crate) venues: Arc<Venues>,
    pub(crate) id: AccountId,
    pub(crate) signer: KucoinSigner,
    pub(crate) known_until: Option<Timestamp>,
    /// The mode found at the last connect.
    pub(crate) mode: Mutex<Mode>,
    /// What was refused of the questions about the key.
    pub(crate) refused: Refused,
}

/// Which feed carries the account's fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Spot, margin and futures wallets apart.
    #[default]
    Classic,
    /// One wallet for all.
    Unified,
}

impl Private {
    async fn ask_mode(&self) -> Result<Mode, Error> {
        #[derive(Deserialize)]
        struct Answer {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            #[serde(rename = "selfAccountMode")]
            mode: String,
        }
        let mode = match ask(&self.venues.kucoin, &self.signer, false, "/api/ua/v1/account/mode", 2).await {
            Ok(answer) => match read::<Answer>(&answer.text)?.data.mode.as_str() {
                "UNIFIED" => Mode::Unified,
                _ => Mode::Classic,
            },
            // Where unified accounts do not exist, or a key has no right for them, all are classic; a key that is
            // wrong altogether is told by the next call.
            Err(Error::Http(404)) => Mode::Classic,
            Err(Error::Refused(refusal))
                if matches!(refusal.meaning, Meaning::Unknown | Meaning::Right | Meaning::Other) =>
            {
                tracing::info!(account = %self.id, code = %refusal.code, "KuCoin tells no account mode; taken as classic");
                Mode::Classic
            }
            Err(error) => return Err(error),
        };
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
        Ok(mode)
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

    async fn connect(self: Arc<Self>) -> Result<(Socket, PrivateFeed), Error> {
        let venues = &self.venues;
        if let Err(error) = learn_time(&venues.kucoin).await {
            tracing::debug!(%error, "kucoin: its clock could not be read");
        }
        let source = Source::Account(self.id.clone());
        let timing = venues.settings.timing;
        let (socket, talk) = match self.ask_mode().await? {
            Mode::Classic => {
                let bullet = Bullet::fetch(venues, Some(&self.signer)).await?;
                venues.kucoin_connects.ready(1).await;
                let socket = bullet.connect(venues).await?;
                (socket, Talk::Classic(Classic::new(timing, bullet.ping, bullet.connect_id)))
            }
            Mode::Unified => {
                venues.kucoin_connects.ready(1).await;
                let url = &venues.settings.kucoin.uta_push;
                let socket = Socket::connect(url, &venues.tls, venues.patience()).await?;
                (socket, Talk::Unified(Unified::new(timing, self.signer.clone(), Arc::clone(&venues.kucoin))))
            }
        };
        Ok((socket, PrivateFeed { source, talk, to_say: 0, up: false }))
    }

    async fn run(self: Arc<Self>, job: Gap, outlet: Outlet) -> Result<(), Error> {
        let mode = *self.mode.lock().unwrap_or_else(PoisonError::into_inner);
        gap::fill(&self.venues, &self.id, &self.signer, mode, job, &outlet).await
    }

    fn inspects(&self) -> bool {
        true
    }

    async fn inspect(self: Arc<Self>, _source: Source, outlet: Outlet) -> Result<(), Error> {
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
                        steps.extend(TOPICS.map(|topic| Step::Send(classic.subscribe(topic, false, true, now))));
                        self.to_say = TOPICS.len();
                        false
                    }
                    Meant::Ack => self.to_say == TOPICS.len() && classic.answered(),
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
