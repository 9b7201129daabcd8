//! A key that is of no use is told once, with the exchange's code and what to do; the other accounts go on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]

#[path = "support/watched.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod watched;

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use fillguard::domain::Venue;
use fillguard::simulate::{How, Scenario, SimAccount};
use tracing_subscriber::fmt::MakeWriter;
use watched::{Watched, id, timing, world};

/// Everything that is logged in this process, down to the last detail.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        self.clone()
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.lock().unwrap()).lines().map(str::to_owned).collect()
    }
}

/// One test at a time: accounts have the same names in each.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let alone = ALONE.lock().await;
    log().0.lock().unwrap().clear();
    alone
}

fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        all.with_writer(log.clone()).init();
        log
    })
}

/// Lines of a level about an account.
fn about(account: &SimAccount, level: &str, said: &str) -> Vec<String> {
    let feed = id(account).to_string();
    let level = format!(" {level} ");
    let lines = log().lines().into_iter().filter(|line| line.contains(&level) && line.contains(said));
    lines.filter(|line| line.split([' ', '=', '"']).any(|word| word == feed)).collect()
}

/// Watches a healthy account and one of each kind of broken key, until each was tried again and again.
async fn check(venue: Venue, dollar: &str, faults: &[(How, &str, &str)]) {
    let _alone = alone().await;
    let mut watched = Watched::world(world(venue, faults.len() + 1)).await;
    let accounts = watched.accounts.clone();
    assert_eq!(accounts.len(), faults.len() + 1);
    for (account, (how, _, _)) in accounts.iter().zip(faults) {
        watched.handle.break_key(&id(account), Some(*how)).unwrap();
    }
    let healthy = accounts[faults.len()].clone();
    let watching: Vec<_> = accounts.iter().cloned().map(|account| (account, None)).collect();
    watched.watch(&watching, timing());
    watched.up(&healthy).await;
    let order = watched.trade(&healthy, &format!("BTC-{dollar}"));
    watched.hears_of(&healthy, &order).await;
    // Each is tried again, and again refused, which is not said above the level for finding faults.
    let tried = |account: &SimAccount| about(account, "DEBUG", "still not connected").len() >= 2;
    tokio::time::timeout(Duration::from_secs(60), async {
        while !accounts.iter().zip(faults).all(|(account, _)| tried(account)) {
            let order = watched.trade(&healthy, &format!("ETH-{dollar}"));
            watched.hears_of(&healthy, &order).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap_or_else(|_| {
        let waiting: Vec<_> =
            accounts.iter().zip(faults).filter(|(account, _)| !tried(account)).map(|(_, fault)| fault.0).collect();
        panic!("not tried again: {waiting:?}")
    });
    let order = watched.trade(&healthy, &format!("BTC-{dollar}"));
    watched.hears_of(&healthy, &order).await;
    assert!(watched.reasons(&healthy).is_empty(), "{:?}", watched.reasons(&healthy));
    for (account, (how, code, instruction)) in accounts.iter().zip(faults) {
        let reasons = watched.reasons(account);
        assert_eq!(reasons.len(), 1, "{venue} {how:?}: {reasons:?}");
        assert!(reasons[0].contains(code) && reasons[0].contains(instruction), "{venue} {how:?}: {reasons:?}");
        let told: Vec<String> = ["WARN", "ERROR"].iter().flat_map(|level| about(account, level, "")).collect();
        assert_eq!(told.len(), 1, "{venue} {how:?}: {told:?}");
        assert!(told[0].contains(&reasons[0]), "{venue} {how:?}: {told:?}");
    }
    watched.end().await;
    for line in log().lines() {
        for account in &accounts {
            let secrets = [Some(&account.secret), account.passphrase.as_ref()];
            for secret in secrets.into_iter().flatten().flat_map(|secret| secret.expose().lines()) {
                assert!(secret.starts_with("-----") || !line.contains(secret), "a secret of {venue} is logged");
            }
        }
    }
}

#[tokio::test]
async fn each_fault_of_a_binance_key_is_told_once_and_the_connection_goes_on() {
    let faults = [
        (How::Secret, "-1022", "copy it again"),
        (How::Right, "-2015", "check it at the exchange"),
        (How::Address, "-2015", "check it at the exchange"),
        (How::Deleted, "-2015", "check it at the exchange"),
        (How::Unknown, "-2008", "look at the account now"),
        (How::Form, "-2014", "copy it again"),
        (How::Clock, "-1021", "time synchronisation"),
        (How::Unsigned, "-1022", "copy it again"),
        (How::Frozen, "-2017", "ask the exchange"),
        (How::SubAccount, "-1002", "by its master"),
    ];
    check(Venue::Binance, "USDT", &faults).await;
}

#[tokio::test]
async fn each_fault_of_a_kucoin_key_is_told_once() {
    let faults = [
        (How::Secret, "400005", "copy it again"),
        (How::Passphrase, "400004", "chosen when the key was made"),
        (How::Right, "400007", "right General"),
        (How::Address, "400006", "add it at the exchange"),
        (How::Deleted, "400003", "look at the account now"),
        (How::Clock, "400002", "time synchronisation"),
        (How::Unsigned, "400001", "without that proxy"),
        (How::Frozen, "411100", "ask the exchange"),
        (How::Identity, "400303", "identity verified"),
        (How::SubAccount, "400007", "by its master"),
        (How::Unified, "400007", "right Unified"),
    ];
    check(Venue::Kucoin, "USDT", &faults).await;
}

#[tokio::test]
async fn each_fault_of_a_coinbase_key_is_told_once() {
    let faults = [
        (How::Secret, "authentication failure", "with the portal"),
        (How::Right, "authentication failure", "with the portal"),
        (How::Address, "authentication failure", "on its list"),
        (How::Deleted, "authentication failure", "look at the account now"),
        (How::SubAccount, "authentication failure", "with the portal"),
        (How::Portfolio, "403", "View on the portfolio"),
    ];
    check(Venue::Coinbase, "USD", &faults).await;
}

#[tokio::test]
async fn a_key_that_breaks_while_it_is_watched_is_told_and_found_mended() {
    let _alone = alone().await;
    for (venue, code) in [(Venue::Binance, "-2015"), (Venue::Kucoin, "400003"), (Venue::Coinbase, "401")] {
        let mut watched = Watched::world(world(venue, 2)).await;
        let (alice, bob) = (watched.accounts[0].clone(), watched.accounts[1].clone());
        let often = fillguard::feed::Timing { reconcile: Duration::from_millis(300), ..timing() };
        watched.watch(&[(alice.clone(), None), (bob.clone(), None)], often);
        watched.up(&alice).await;
        watched.filled(&alice).await;
        watched.handle.break_key(&id(&alice), Some(How::Deleted)).unwrap();
        let why = watched.down(&alice).await;
        // The feed is quiet: it is a question that finds out.
        assert!(why.contains(code), "{venue}: {why}");
        watched.filled(&bob).await;
        watched.handle.break_key(&id(&alice), None).unwrap();
        watched.up(&alice).await;
        watched.filled(&alice).await;
        assert!(watched.reasons(&bob).is_empty(), "{venue}: {:?}", watched.reasons(&bob));
        assert!(watched.reasons(&alice).len() <= 2, "{venue}: {:?}", watched.reasons(&alice));
        watched.end().await;
    }
}

#[tokio::test]
async fn a_scenario_breaks_keys_from_the_start_or_later() {
    let _alone = alone().await;
    let mut settings = world(Venue::Kucoin, 2);
    let toml = r#"
        broken = [{ account = "kucoin/amber", how = "address" }, { account = "kucoin/basil", how = "passphrase", after_secs = 1.0 }]
    "#;
    settings.scenario.broken = Scenario::parse(toml).unwrap().broken;
    let mut watched = Watched::world(settings).await;
    let (amber, basil) = (watched.accounts[0].clone(), watched.accounts[1].clone());
    let often = fillguard::feed::Timing { reconcile: Duration::from_millis(300), ..timing() };
    watched.watch(&[(amber.clone(), None), (basil.clone(), None)], often);
    watched.up(&basil).await;
    assert!(watched.down(&basil).await.contains("400004"));
    assert!(watched.reasons(&amber)[0].contains("400006"));
    watched.end().await;
    for wrong in ["kucoin/nobody", "amber"] {
        let mut settings = world(Venue::Kucoin, 1);
        let toml = format!(r#"broken = [{{ account = "{wrong}", how = "address" }}]"#);
        match Scenario::parse(&toml) {
            Ok(scenario) => settings.scenario.broken = scenario.broken,
            Err(error) => {
                assert!(error.to_string().contains(wrong), "{error}");
                continue;
            }
        }
        let error = fillguard::simulate::Simulator::start(settings).await.err().unwrap().to_string();
        assert!(error.contains(wrong), "{error}");
    }
}
