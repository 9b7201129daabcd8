//! What all faces share: the world behind a lock, the news they pass on, and the sockets that are open.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::broken::How;
use super::fault::FaultBook;
use super::world::{Account, Happening, Step, World};
use super::{Error, Places, Settings};
use crate::domain::{Timestamp, Venue};
use crate::runtime::clock;

/// News a socket may fall behind before it is cut, as an exchange cuts a slow reader.
const NEWS: usize = 8_192;

/// What all faces share.
pub struct Floor {
    /// How the simulator runs.
    pub settings: Settings,
    /// Where it answers.
    pub places: Places,
    /// KuCoin's socket tokens: whose, and until when. Public ones belong to nobody.
    pub tokens: Mutex<BTreeMap<String, (Option<usize>, Timestamp)>>,
    /// Binance's listen keys of futures: whose, and until when.
    pub listen_keys: Mutex<BTreeMap<String, (usize, Timestamp)>>,
    /// Binance's listen tokens of margin: the wallet, and until when.
    pub listen_tokens: Mutex<BTreeMap<String, (usize, Timestamp)>>,
    /// Binance's request weight.
    pub weight: Mutex<Weight>,
    /// Requests that take something away.
    pub acts: Mutex<super::acts::Acts>,
    world: Mutex<World>,
    faults: Mutex<FaultBook>,
    /// What the sockets of each venue hear of.
    news: BTreeMap<Venue, broadcast::Sender<Arc<News>>>,
    sockets: Mutex<JoinSet<()>>,
    /// Sockets opened, by host and path.
    opened: Mutex<BTreeMap<String, u64>>,
    stop: CancellationToken,
}

/// What sockets hear of.
#[derive(Clone, Debug)]
pub enum News {
    /// Something happened in the world.
    Happened(Happening),
    /// Every socket of the venue is dropped without a farewell.
    Cut(Venue),
    /// Binance announces that its sockets will end.
    ServerShutdown,
    /// Coinbase's sockets leave out sequence numbers.
    Skip(u64),
    /// Coinbase's sockets send their last message again.
    Again,
}

/// Binance's count of request weight in the present minute.
#[derive(Debug, Default)]
pub struct Weight {
    minute: i64,
    /// What was used.
    pub used: u32,
    refused: u32,
}

/// Whether a request's weight was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// Go on.
    Yes,
    /// Too much this minute; again in so many seconds (HTTP 429).
    Wait(u64),
    /// Too much after having been told (HTTP 418).
    Banned(u64),
}

impl Floor {
    /// Builds the floor around a world.
    pub fn new(settings: Settings, world: World, places: Places) -> Self {
        let faults = Mutex::new(FaultBook::new(&settings.scenario, settings.seed));
        Floor {
            settings,
            faults,
            places,
            tokens: Mutex::default(),
            listen_keys: Mutex::default(),
            listen_tokens: Mutex::default(),
            weight: Mutex::default(),
            acts: Mutex::default(),
            world: Mutex::new(world),
            news: Venue::ALL.into_iter().map(|venue| (venue, broadcast::channel(NEWS).0)).collect(),
            sockets: Mutex::new(JoinSet::new()),
            opened: Mutex::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Looks at the world.
    pub fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }

    /// Looks at what goes wrong. Taken after the world, where both are needed.
    pub fn faults(&self) -> MutexGuard<'_, FaultBook> {
        locked(&self.faults)
    }

    /// Hears the news of a venue from now on. Thousands listen, each for a few: those of other venues wake nobody.
    pub fn listen(&self, venue: Venue) -> broadcast::Receiver<Arc<News>> {
        match self.news.get(&venue) {
            Some(news) => news.subscribe(),
            None => broadcast::channel(1).1,
        }
    }

    /// Tells all sockets of a venue.
    pub fn tell(&self, venue: Venue, news: News) {
        if let Some(sockets) = self.news.get(&venue) {
            // Nobody listening is fine.
            let _ = sockets.send(Arc::new(news));
        }
    }

    /// Tells what happened, except what an account's feed shall lose, and twice what it shall repeat.
    pub fn publish(&self, happened: Vec<Happening>) {
        for happening in happened {
            let mut world = self.world();
            let (venue, times) = match &happening {
                Happening::Traded { pair, .. } => (world.pairs.get(*pair).map(|pair| pair.venue), 1),
                Happening::Order(news) => {
                    let fill = matches!(news.step, Step::Filled(_));
                    let holder = world.holder(news.order.account);
                    let silent = |owner: &Account| owner.revoked || owner.broken.is_some_and(How::silences);
                    let silenced = world.accounts.get(holder).is_some_and(silent);
                    let venue = world.accounts.get(holder).map(|owner| owner.venue);
                    let times = match world.accounts.get_mut(news.order.account) {
                        Some(_) if silenced => 0,
                        Some(owner) if fill && owner.lose > 0 => {
                            owner.lose -= 1;
                            0
                        }
                        Some(owner) if fill && owner.double > 0 => {
                            owner.double -= 1;
                            2
                        }
                        Some(owner) => self.faults().times(owner.venue, holder, news),
                        None => 1,
                    };
                    (venue, times)
                }
            };
            drop(world);
            let Some(venue) = venue else { continue };
            for _ in 0..times {
                self.tell(venue, News::Happened(happening.clone()));
            }
        }
    }

    /// Serves a socket until it ends or the simulator does.
    pub fn keep_socket(&self, serve: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let mut sockets = locked(&self.sockets);
        while sockets.try_join_next().is_some() {}
        sockets.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = serve => {}
            }
        });
    }

    /// Counts a socket that is opened at `place`: host and path.
    pub fn count_opened(&self, place: String) {
        *locked(&self.opened).entry(place).or_default() += 1;
    }

    /// Returns how often sockets were opened at an address.
    pub fn opened(&self, address: &str) -> u64 {
        let place = address.split_once("://").map_or(address, |(_, place)| place);
        locked(&self.opened).get(place).copied().unwrap_or(0)
    }

    /// Ends every socket.
    pub async fn end_sockets(&self) {
        self.stop.cancel();
        let mut sockets = std::mem::take(&mut *locked(&self.sockets));
        while sockets.join_next().await.is_some() {}
    }

    /// Takes `weight` from this minute's allowance.
    pub fn spend(&self, weight: u32) -> Granted {
        let (now, mut count) = (clock::now().millis(), locked(&self.weight));
        let minute = now.div_euclid(60_000);
        if count.minute != minute {
            *count = Weight { minute, ..Weight::default() };
        }
        count.used = count.used.saturating_add(weight);
        if count.used <= self.settings.weight_per_minute {
            return Granted::Yes;
        }
        count.refused += 1;
        let left = u64::try_from(60 - now.rem_euclid(60_000) / 1_000).unwrap_or(60);
        if count.refused > 10 { Granted::Banned(left) } else { Granted::Wait(left) }
    }
}

/// Takes a lock; a task that panicked while holding it left nothing half done that a simulator would mind.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Steps the world along the clock until `stop`.
pub async fn let_time_pass(floor: Arc<Floor>, stop: CancellationToken) -> Result<(), Error> {
    loop {
        let now = clock::now();
        let (happened, next) = {
            let mut world = floor.world();
            (world.step(now), world.next())
        };
        floor.publish(happened);
        super::acts::fire(&floor, now);
        let wait = next.map_or(50_000_000, |next| next.since(clock::now()).nanos()).clamp(200_000, 50_000_000);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_nanos(wait.unsigned_abs())) => {}
        }
    }
}
