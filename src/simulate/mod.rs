//! Binance, KuCoin and Coinbase played on loopback: REST and WebSocket, signatures checked, fills pushed.
//!
//! `world` holds pairs, traders and a scripted theft and knows no socket; each venue's folder is a face of it that
//! speaks that exchange's protocol. Nothing else in fillguard knows the simulator, and the simulator shares no code
//! with the feeds it is there to test.

mod acts;
mod binance;
mod broken;
mod coinbase;
mod dice;
mod fault;
mod floor;
mod handle;
mod keys;
mod kucoin;
mod scenario;
mod socket;
mod spelling;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::domain::Venue;
use crate::runtime::clock;
use crate::secret::Secret;
pub use acts::ActFault;
pub use broken::{BrokenKey, How};
pub use fault::{Deed, Faults, Scripted, Tally};
use floor::Floor;
pub use handle::{Handle, TrueFill, Truth};
pub use kucoin::SUB_PASSPHRASE;
pub use scenario::{KeyChange, Pace, PairScene, Scenario, Scene};
pub use world::{Kind, Role};

/// How a simulator runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The seed of prices, traders and keys; the same seed gives the same world.
    pub seed: u64,
    /// Binance's port on 127.0.0.1, 0 for a free one.
    pub binance_port: u16,
    /// KuCoin's port on 127.0.0.1, 0 for a free one.
    pub kucoin_port: u16,
    /// Coinbase's port on 127.0.0.1, 0 for a free one.
    pub coinbase_port: u16,
    /// What happens.
    pub scenario: Scenario,
    /// How many times faster than the scenario says the ordinary accounts act.
    pub speed: f64,
    /// After how long a Binance or KuCoin connection is cut; the exchanges do it after 24 hours.
    pub connection_life: Duration,
    /// How often Binance sends a ping frame.
    pub ping_every: Duration,
    /// How long Binance waits for the pong, and KuCoin for the client's ping.
    pub silence: Duration,
    /// How long Coinbase waits for the first subscription.
    pub first_subscribe: Duration,
    /// How often KuCoin wants to be pinged; it gives itself half of that for the answer.
    pub client_ping: Duration,
    /// How often Coinbase sends a heartbeat.
    pub heartbeat: Duration,
    /// Binance's request weight per minute and address.
    pub weight_per_minute: u32,
    /// How long a listen key of Binance's futures lives when nobody keeps it alive.
    pub listen_key_life: Duration,
    /// How long a listen token of Binance's margin is good for, at most.
    pub listen_token_life: Duration,
}

/// The three exchanges, bound and ready to run.
pub struct Simulator {
    floor: Arc<Floor>,
    accounts: Vec<SimAccount>,
    listeners: Vec<(Venue, TcpListener)>,
}

/// Where the exchanges answer.
#[derive(Clone, Debug)]
pub struct Places {
    /// Binance.
    pub binance: BinancePlaces,
    /// KuCoin.
    pub kucoin: KucoinPlaces,
    /// Coinbase.
    pub coinbase: CoinbasePlaces,
}

/// Binance's addresses.
#[derive(Clone, Debug)]
pub struct BinancePlaces {
    /// REST, without a path: `http://127.0.0.1:9001`.
    pub rest: String,
    /// The WebSocket API, complete.
    pub ws_api: String,
    /// Market streams, without `/ws` or `/stream`.
    pub stream: String,
    /// REST of USDⓈ-M futures, without a path.
    pub futures_rest: String,
    /// Streams of USDⓈ-M futures, without `/private` or `/market`.
    pub futures_stream: String,
}

/// KuCoin's addresses.
#[derive(Clone, Debug)]
pub struct KucoinPlaces {
    /// REST, without a path; the classic sockets' address comes from its bullet calls.
    pub rest: String,
    /// The unified account's private push.
    pub uta_push: String,
    /// REST of futures, without a path.
    pub futures_rest: String,
}

/// Coinbase's addresses.
#[derive(Clone, Debug)]
pub struct CoinbasePlaces {
    /// REST, without `/api/v3/brokerage`.
    pub rest: String,
    /// The user socket.
    pub ws_user: String,
    /// The market socket.
    pub ws_market: String,
    /// Coinbase Exchange's REST.
    pub exchange_rest: String,
    /// Coinbase Exchange's socket.
    pub exchange_ws: String,
}

/// An account of the simulated world, with its throw-away key.
#[derive(Clone, Debug)]
pub struct SimAccount {
    /// Where.
    pub venue: Venue,
    /// Its name, unique at the venue.
    pub name: String,
    /// The key's public name.
    pub key_id: String,
    /// What requests are signed with: an HMAC secret, a PEM, or base64 of an Ed25519 pair (Coinbase).
    pub secret: Secret,
    /// KuCoin's third part.
    pub passphrase: Option<Secret>,
    /// Its part in the story.
    pub role: Role,
    /// True when the key is an Ed25519 one.
    pub ed25519: bool,
    /// True for KuCoin's unified account mode.
    pub unified: bool,
    /// The same account's key at Coinbase Exchange, for Coinbase's accounts.
    pub exchange: Option<ExchangeKey>,
}

/// A throw-away key of Coinbase Exchange.
#[derive(Clone, Debug)]
pub struct ExchangeKey {
    /// The key's public name.
    pub key_id: String,
    /// What requests are signed with, in base64.
    pub secret: Secret,
    /// Its third part.
    pub passphrase: Secret,
}

/// What can go wrong with a simulator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The scenario file is wrong.
    #[error("scenario: {0}")]
    Scenario(String),
    /// A port is taken or not allowed.
    #[error("cannot listen on 127.0.0.1:{port} for {venue}: {why}; choose another port, or 0 for a free one")]
    Port {
        /// For which exchange.
        venue: Venue,
        /// Which port.
        port: u16,
        /// What the system said.
        why: std::io::Error,
    },
    /// The crypto library refused to make a key.
    #[error("the crypto library refused to make a throw-away key")]
    Keys,
    /// A server stopped by itself.
    #[error("the {0} server stopped: {1}")]
    Stopped(Venue, std::io::Error),
    /// A command named an account or pair that does not exist, or that has no money for it.
    #[error("{0}")]
    Refused(String),
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            binance_port: 0,
            kucoin_port: 0,
            coinbase_port: 0,
            scenario: Scenario::default(),
            speed: 1.0,
            connection_life: Duration::from_secs(86_400),
            ping_every: Duration::from_secs(20),
            silence: Duration::from_secs(60),
            first_subscribe: Duration::from_secs(5),
            client_ping: Duration::from_secs(18),
            heartbeat: Duration::from_secs(1),
            weight_per_minute: 6_000,
            listen_key_life: Duration::from_secs(3_600),
            listen_token_life: Duration::from_secs(86_400),
        }
    }
}

impl Simulator {
    /// Makes the world and binds its ports; nothing happens in it until [`Simulator::run`], but its clock starts.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        settings.scenario.check()?;
        if !settings.speed.is_finite() || !(0.001..=10_000.0).contains(&settings.speed) {
            return Err(Error::Scenario("speed lies between 0.001 and 10000".to_owned()));
        }
        let ports = [
            (Venue::Binance, settings.binance_port),
            (Venue::Kucoin, settings.kucoin_port),
            (Venue::Coinbase, settings.coinbase_port),
        ];
        let (mut listeners, mut hosts) = (Vec::new(), Vec::new());
        for (venue, port) in ports {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let refused = |why| Error::Port { venue, port, why };
            let listener = TcpListener::bind(address).await.map_err(refused)?;
            hosts.push(listener.local_addr().map_err(refused)?.to_string());
            listeners.push((venue, listener));
        }
        let world = world::World::new(&settings.scenario, settings.seed, settings.speed, clock::now())?;
        let accounts = world.accounts.iter().map(SimAccount::of).collect();
        let host = |place: usize| hosts.get(place).map_or("", String::as_str);
        let floor = Arc::new(Floor::new(settings, world, Places::at(host(0), host(1), host(2))));
        Ok(Simulator { floor, accounts, listeners })
    }

    /// Returns where the exchanges answer.
    pub fn places(&self) -> Places {
        self.floor.places.clone()
    }

    /// Returns every account with its key.
    pub fn accounts(&self) -> &[SimAccount] {
        &self.accounts
    }

    /// Returns a handle that outlives the simulator's run.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.floor))
    }

    /// Returns what really happened so far.
    pub fn truth(&self) -> Truth {
        self.handle().truth()
    }

    /// Serves the three exchanges and lets time pass, until `stop`.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let mut tasks = JoinSet::new();
        // A fault of one server ends the others and the sockets too.
        let stop = stop.child_token();
        let _ends_all = stop.clone().drop_guard();
        for (venue, listener) in self.listeners {
            let floor = Arc::clone(&self.floor);
            let router = match venue {
                Venue::Binance => binance::router(floor),
                Venue::Kucoin => kucoin::router(floor),
                Venue::Coinbase => coinbase::router(floor),
            };
            let ended = stop.clone().cancelled_owned();
            tasks.spawn(async move {
                let served = axum::serve(listener, router).with_graceful_shutdown(ended).await;
                served.map_err(|why| Error::Stopped(venue, why))
            });
        }
        let floor = Arc::clone(&self.floor);
        tasks.spawn(floor::let_time_pass(Arc::clone(&floor), stop.clone()));
        tasks.spawn(fault::follow(Arc::clone(&floor), floor.settings.scenario.clone(), stop.clone()));
        let mut first = Ok(());
        tokio::select! {
            () = stop.cancelled() => {}
            Some(Ok(Err(why))) = tasks.join_next() => first = Err(why),
        }
        stop.cancel();
        floor.end_sockets().await;
        // A client that keeps a request open must not keep the simulator alive.
        let _ =
            tokio::time::timeout(Duration::from_secs(2), async { while tasks.join_next().await.is_some() {} }).await;
        first
    }
}

impl SimAccount {
    fn of(account: &world::Account) -> Self {
        SimAccount {
            venue: account.venue,
            name: account.name.clone(),
            key_id: account.key.id.clone(),
            secret: account.key.secret.clone(),
            passphrase: account.key.passphrase.clone(),
            role: account.role,
            ed25519: account.key.is_ed25519(),
            unified: account.unified,
            exchange: account.exchange.as_ref().and_then(|key| {
                let passphrase = key.passphrase.clone()?;
                Some(ExchangeKey { key_id: key.id.clone(), secret: key.secret.clone(), passphrase })
            }),
        }
    }
}

impl Places {
    fn at(binance: &str, kucoin: &str, coinbase: &str) -> Self {
        Places {
            binance: BinancePlaces {
                rest: format!("http://{binance}"),
                ws_api: format!("ws://{binance}/ws-api/v3"),
                stream: format!("ws://{binance}"),
                futures_rest: format!("http://{binance}"),
                futures_stream: format!("ws://{binance}"),
            },
            kucoin: KucoinPlaces {
                rest: format!("http://{kucoin}"),
                uta_push: format!("ws://{kucoin}/uta"),
                futures_rest: format!("http://{kucoin}"),
            },
            coinbase: CoinbasePlaces {
                rest: format!("http://{coinbase}"),
                ws_user: format!("ws://{coinbase}/user"),
                ws_market: format!("ws://{coinbase}/market"),
                exchange_rest: format!("http://{coinbase}/exchange"),
                exchange_ws: format!("ws://{coinbase}/exchange"),
            },
        }
    }
}
