//! The daemon against all three simulated exchanges, while somebody changes keys.

use std::path::Path;
use std::time::Duration;

use fillguard::domain::{AccountId, EffectKind, Fingerprint, Incident, Level, Reason, RuleName, Venue};
use fillguard::feed::{self, ReadKey, SubAccounts};
use fillguard::live::{self, Settings};
use fillguard::pipeline::Pipeline;
use fillguard::runtime::clock;
use fillguard::simulate::{self, Handle, KeyChange, Scenario, Scene, SimAccount, Simulator};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::daemon::{Screen, arrivals, incidents};

/// How often keys are asked about here.
const POLL: Duration = Duration::from_millis(600);

/// A sub-account.
const BOTS: &str = "bots@example.org";

fn id(account: &SimAccount) -> AccountId {
    AccountId::new(account.venue, &account.name).unwrap()
}

fn watched(account: &SimAccount) -> feed::Account {
    let key = match account.venue {
        Venue::Binance => ReadKey::binance(&account.key_id, &account.secret),
        Venue::Kucoin => ReadKey::kucoin(&account.key_id, &account.secret, account.passphrase.as_ref().unwrap(), 3),
        Venue::Coinbase => ReadKey::coinbase(&account.key_id, &account.secret),
    };
    feed::Account { id: id(account), key: key.unwrap(), known_until: None }
}

/// Two accounts at each exchange, nobody in a hurry and no thief.
fn scenario() -> Scenario {
    let scene = || Scene { dca: 2, grid: 0, retail: 0, rebalancer: 0, chaser: 0, victims: 0, ..Scene::default() };
    let kucoin = Scene { unified: 1, ..scene() };
    Scenario {
        attack_after_secs: None,
        history_days: 0,
        binance: scene(),
        kucoin,
        coinbase: scene(),
        ..Scenario::default()
    }
}

/// A simulator and a daemon that watches all its accounts.
struct Stage {
    handle: Handle,
    accounts: Vec<SimAccount>,
    settings: Settings,
    stop: CancellationToken,
    running: JoinSet<()>,
    _home: tempfile::TempDir,
}

impl Stage {
    async fn open(scenario: Scenario, masters: bool) -> Stage {
        let simulator =
            Simulator::start(simulate::Settings { scenario, ..simulate::Settings::default() }).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let (places, accounts) = (simulator.places(), simulator.accounts().to_vec());
        let settings = settings(home.path(), &places, &accounts, masters);
        let handle = simulator.handle();
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let (end, ended) = (stop.clone(), stop.clone());
        running.spawn(async move { simulator.run(end).await.unwrap() });
        let (ready, mut is_ready) = watch::channel(false);
        let daemon = live::run(settings.clone(), Box::new(Screen::default()), ended, ready);
        running.spawn(async move { daemon.await.unwrap() });
        crate::exchange::within("the daemon", is_ready.wait_for(|ready| *ready)).await.unwrap();
        Stage { handle, accounts, settings, stop, running, _home: home }
    }

    fn at(&self, venue: Venue, place: usize) -> AccountId {
        id(self.accounts.iter().filter(|account| account.venue == venue).nth(place).unwrap())
    }

    /// Returns how many pages about a key of an account are in the journal.
    fn pages(&self, account: &AccountId) -> usize {
        let about =
            |call: &str| ["apiRestrictions?", "user/api-key?", "key_permissions?"].iter().any(|of| call.contains(of));
        let dir = &self.settings.journal.dir;
        let page = |arrival: &fillguard::arrival::Arrival| {
            matches!(&arrival.body, fillguard::arrival::Body::Page { call, .. } if about(call))
                && arrival.from.account() == Some(account)
        };
        arrivals(dir).iter().filter(|arrival| page(arrival)).count()
    }

    /// Waits until each account was asked about so many times more.
    async fn polls(&self, more: usize) {
        let known: Vec<(AccountId, usize)> =
            self.accounts.iter().map(id).map(|id| (id.clone(), self.pages(&id) + more)).collect();
        let waiting = async {
            while known.iter().any(|(id, wanted)| self.pages(id) < *wanted) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        crate::exchange::within("polls", waiting).await;
    }

    /// Returns what was found about keys, once something was or nothing is to be waited for.
    async fn found(&self, count: usize) -> Vec<Incident> {
        let about = || {
            let all = incidents(&self.settings);
            all.into_iter().filter(|incident| incident.findings.iter().any(|finding| is_about_keys(finding.rule)))
        };
        let waiting = async {
            while about().count() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        crate::exchange::within("incidents", waiting).await;
        about().collect()
    }

    async fn end(mut self) -> (Settings, tempfile::TempDir) {
        self.stop.cancel();
        while let Some(ended) = crate::exchange::within("the end", self.running.join_next()).await {
            ended.unwrap();
        }
        (self.settings, self._home)
    }
}

fn is_about_keys(rule: RuleName) -> bool {
    let rules = [RuleName::KeyPermissionWidened, RuleName::KeyUnrestricted, RuleName::NewKey, RuleName::KeyPolicy];
    rules.contains(&rule)
}

fn settings(home: &Path, places: &simulate::Places, accounts: &[SimAccount], masters: bool) -> Settings {
    let mut settings = Settings::default();
    settings.journal.dir = home.join("journal");
    settings.store.path = home.join("fillguard.db");
    settings.tick = Duration::from_millis(200);
    let feed = &mut settings.feed;
    feed.binance.rest.clone_from(&places.binance.rest);
    feed.binance.ws_api.clone_from(&places.binance.ws_api);
    feed.binance.stream.clone_from(&places.binance.stream);
    feed.kucoin.rest.clone_from(&places.kucoin.rest);
    feed.kucoin.uta_push.clone_from(&places.kucoin.uta_push);
    feed.coinbase.rest.clone_from(&places.coinbase.rest);
    feed.coinbase.ws_user.clone_from(&places.coinbase.ws_user);
    feed.coinbase.ws_market.clone_from(&places.coinbase.ws_market);
    feed.accounts = accounts.iter().map(watched).collect();
    feed.timing.key_state = POLL;
    // The first account of each exchange is a master; Binance counts what masters ask dearly.
    let first = |venue| accounts.iter().find(|account| account.venue == venue).map(id);
    let masters = [Venue::Binance, Venue::Kucoin].into_iter().filter(|_| masters).filter_map(first);
    feed.sub_accounts = masters.map(|id| (id, SubAccounts::Named(vec![BOTS.to_owned()]))).collect();
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_given_at_each_exchange_is_told_once_with_the_next_look() {
    let stage = Stage::open(scenario(), false).await;
    stage.polls(2).await;
    assert!(stage.found(0).await.is_empty(), "nothing changed yet");
    let mut wanted = Vec::new();
    for venue in Venue::ALL {
        let account = stage.at(venue, 1);
        let given = clock::now();
        stage.handle.permit_withdrawals(&account, true).unwrap();
        wanted.push((account, given));
    }
    let found = stage.found(3).await;
    stage.polls(3).await;
    assert_eq!(stage.found(3).await.len(), 3, "once, however often it is looked at");
    for (account, given) in &wanted {
        let incident = found.iter().find(|incident| incident.account == *account).unwrap();
        let finding = &incident.findings[0];
        assert_eq!((finding.rule, finding.level), (RuleName::KeyPermissionWidened, Level::Alert));
        let Reason::KeyWidened { gained, since, .. } = &finding.reason else { panic!("{:?}", finding.reason) };
        assert_eq!(gained.join(" "), "withdraw");
        assert!(*since < finding.at && *given <= finding.at, "{account}: {since} {given} {}", finding.at);
    }
    let keys: Vec<String> = stage.accounts.iter().map(|account| account.key_id.clone()).collect();
    let (settings, _home) = stage.end().await;
    let all = arrivals(&settings.journal.dir);
    let written = all.iter().map(|arrival| format!("{arrival:?}")).collect::<String>();
    assert!(keys.iter().all(|key| !written.contains(key.as_str())), "a key's id is in the journal");
    // The journal alone gives the same: what was judged is what was written down.
    let mut pipeline = Pipeline::new(settings.pipeline.clone());
    let mut told = 0;
    for arrival in &all {
        for effect in pipeline.step(arrival) {
            let EffectKind::Incident { finding, .. } = &effect.kind;
            told += usize::from(finding.as_ref().is_some_and(|finding| is_about_keys(finding.rule)));
        }
    }
    assert_eq!(told, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_goes_a_key_made_anew_and_new_keys_of_sub_accounts_are_told() {
    let stage = Stage::open(scenario(), true).await;
    let (alice, bob) = (stage.at(Venue::Binance, 0), stage.at(Venue::Kucoin, 0));
    stage.polls(2).await;
    let quick = stage.handle.add_sub_key(&alice, BOTS, "quick", &["trade"]).unwrap();
    let slow = stage.handle.add_sub_key(&bob, BOTS, "quick", &["trade", "withdraw"]).unwrap();
    stage.handle.restrict(&stage.at(Venue::Binance, 1), &[]).unwrap();
    stage.handle.restrict(&stage.at(Venue::Kucoin, 1), &["127.0.0.1", "198.51.100.23"]).unwrap();
    stage.handle.remake_key(&stage.at(Venue::Kucoin, 1), clock::now()).unwrap();
    stage.found(4).await;
    stage.polls(2).await;
    let found = stage.found(4).await;
    let about = |account: &AccountId, rule: RuleName| {
        let findings = found.iter().filter(|incident| incident.account == *account).flat_map(|i| i.findings.clone());
        findings.filter(|finding| finding.rule == rule && finding.level == Level::Alert).collect::<Vec<_>>()
    };
    for (account, key) in [(&alice, &quick), (&bob, &slow)] {
        let named = |finding: &fillguard::domain::Finding| matches!(&finding.reason, Reason::KeyAppeared { key: name, .. } if name.fingerprint == Some(Fingerprint::of(key)));
        assert_eq!(about(account, RuleName::NewKey).iter().filter(|finding| named(finding)).count(), 1, "{account}");
    }
    assert_eq!(about(&stage.at(Venue::Binance, 1), RuleName::KeyUnrestricted).len(), 1);
    assert_eq!(about(&stage.at(Venue::Kucoin, 1), RuleName::KeyUnrestricted).len(), 1);
    assert_eq!(about(&stage.at(Venue::Kucoin, 1), RuleName::NewKey).len(), 1);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_dies_is_not_told_as_a_change_of_its_rights_and_a_scenario_may_widen_one() {
    let mut scenario = scenario();
    let probe =
        Simulator::start(simulate::Settings { scenario: scenario.clone(), ..Default::default() }).await.unwrap();
    let names: Vec<String> = probe.accounts().iter().map(|account| id(account).to_string()).collect();
    drop(probe);
    scenario.key_changes.push(KeyChange {
        after_secs: 2.5,
        account: names[0].clone(),
        permit: vec!["universal_transfer".to_owned()],
        ..KeyChange::default()
    });
    let stage = Stage::open(scenario, false).await;
    stage.polls(1).await;
    for venue in Venue::ALL {
        stage.handle.revoke(&stage.at(venue, 1)).unwrap();
    }
    let found = stage.found(1).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].account.to_string(), names[0]);
    assert_eq!(found[0].findings[0].rule, RuleName::KeyPermissionWidened);
    stage.end().await;
}
