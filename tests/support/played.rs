//! Three played exchanges on loopback, for as long as a test needs them.

#![allow(dead_code, reason = "not every test needs all of it")]

use fillguard::domain::{AccountId, Venue};
use fillguard::simulate::{self, Handle, Places, Scenario, Scene, SimAccount, Simulator};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The exchanges, and the hand on them.
pub struct Played {
    pub handle: Handle,
    pub accounts: Vec<SimAccount>,
    pub places: Places,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Played {
    pub async fn start(settings: simulate::Settings) -> Played {
        let simulator = Simulator::start(settings).await.unwrap();
        let (handle, accounts, places) = (simulator.handle(), simulator.accounts().to_vec(), simulator.places());
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let ended = stop.clone();
        running.spawn(async move { simulator.run(ended).await.unwrap() });
        Played { handle, accounts, places, stop, running }
    }

    pub fn at(&self, venue: Venue) -> Vec<SimAccount> {
        self.accounts.iter().filter(|account| account.venue == venue).cloned().collect()
    }

    pub async fn end(mut self) {
        self.stop.cancel();
        while self.running.join_next().await.is_some() {}
    }
}

pub fn id(account: &SimAccount) -> AccountId {
    AccountId::new(account.venue, &account.name).unwrap()
}

/// A world in which nobody trades by himself, with so many accounts at each exchange.
pub fn quiet(seed: u64, accounts: u32) -> simulate::Settings {
    let scene = || Scene {
        dca: accounts,
        grid: 0,
        retail: 0,
        rebalancer: 0,
        chaser: 0,
        victims: 0,
        unified: 0,
        ..Scene::default()
    };
    let scenario = Scenario {
        attack_after_secs: None,
        history_days: 0,
        binance: scene(),
        kucoin: scene(),
        coinbase: scene(),
        ..Scenario::default()
    };
    simulate::Settings { seed, scenario, speed: 0.001, ..simulate::Settings::default() }
}
