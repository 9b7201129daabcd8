//! The whole daemon: a theft is found, the key is taken and seen to be gone, whenever the process is killed meanwhile.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::time::Duration;

use fillguard::domain::{AccountId, Level, Timestamp, Venue};
use fillguard::response::{Case, Deed, Memory, Outcome, State};
use fillguard::runtime::clock;
use fillguard::simulate::{self, Scenario, Scene, SimAccount};
use fillguard::store::{Filter, Store};

use super::world::{Entry, PATIENCE, World, id};

/// Victims at Binance and KuCoin, watched by a daemon that may take their leaked keys away by itself.
pub struct Theft {
    pub world: World,
    pub victims: Vec<SimAccount>,
    pub leaked: Vec<SimAccount>,
    starts: u32,
}

impl Theft {
    async fn new(seed: u64, victims: u32) -> Theft {
        Theft::told(seed, victims, "").await
    }

    /// With more lines of the configuration, such as whom to tell.
    pub async fn told(seed: u64, victims: u32, more: &str) -> Theft {
        let scene =
            || Scene { dca: 2, grid: 0, retail: 0, rebalancer: 0, chaser: 0, victims, unified: 0, ..Scene::default() };
        let scenario = Scenario {
            attack_after_secs: None,
            venue_gap_secs: 0.7,
            victim_gap_secs: 1.5,
            binance: scene(),
            kucoin: scene(),
            coinbase: Scene { dca: 0, victims: 0, ..scene() },
            ..Scenario::default()
        };
        let world = World::new(simulate::Settings { seed, scenario, ..simulate::Settings::default() }).await;
        let (mut entries, mut leaked, mut stolen, mut masters) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for venue in [Venue::Binance, Venue::Kucoin] {
            let all = world.at(venue);
            for victim in all.iter().filter(|account| account.role == simulate::Role::Victim) {
                let sub = if venue == Venue::Binance {
                    format!("{}@desk.example", victim.name)
                } else {
                    victim.name.clone() + "desk"
                };
                world.handle.permit(&id(victim), "trade", true).unwrap();
                leaked.push(world.handle.adopt(&id(&all[0]), &sub, &id(victim)).unwrap());
                stolen.push(victim.clone());
                let account = victim.clone();
                entries.push(Entry { account, tags: "", sub: Some(sub), mode: "auto", trade: true });
            }
            masters.push(all[0].clone());
        }
        let response = "dry_for = \"0s\"\ncool_down = \"0s\"\nkeys_per_hour = 1000\nkeys_per_day = 1000\nbreaker = 100";
        let feed =
            "[feed]\nconnect = \"2s\"\nack = \"2s\"\n[feed.backoff]\nmin = \"100ms\"\nmax = \"1s\"\nhealthy = \"10s\"";
        world.configure(&format!("{more}\n{feed}"), response, &masters, &entries);
        Theft { world, victims: stolen, leaked, starts: 0 }
    }

    /// Starts the daemon; returns once it says that every feed is up or has failed.
    pub fn start(&mut self) -> Child {
        self.starts += 1;
        self.world.start(self.starts, None)
    }

    fn log(&self) -> String {
        self.world.log(self.starts)
    }

    pub fn memory(&self) -> Memory {
        let read = || Store::read(&self.world.path("state/fillguard.db"))?.response();
        read().ok().flatten().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    fn cases(&self) -> BTreeMap<usize, Case> {
        let memory = self.memory();
        let place = |case: &Case| self.victims.iter().position(|victim| id(victim) == case.account);
        memory.cases.into_values().filter_map(|case| Some((place(&case)?, case))).collect()
    }

    fn all_over(&self) -> bool {
        let cases = self.cases();
        cases.len() == self.victims.len() && cases.values().all(|case| case.state.is_over())
    }

    pub async fn until_all_over(&self) {
        let begun = clock::steady();
        while !self.all_over() {
            assert!(begun.elapsed() < PATIENCE, "{:?} {}", self.cases(), self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns when the arrival came that made the incident of each account say `act`.
    fn found(&self) -> BTreeMap<AccountId, Timestamp> {
        let store = Store::read(&self.world.path("state/fillguard.db")).unwrap();
        let filter = Filter { min_level: Some(Level::Act), ..Filter::default() };
        let mut found: BTreeMap<_, Timestamp> = BTreeMap::new();
        for incident in store.incidents(&filter).unwrap() {
            let steps = store.history(&incident.id).unwrap();
            let first =
                steps.iter().filter_map(|step| step.finding.as_ref()).find(|finding| finding.level == Level::Act);
            found.insert(incident.account, first.unwrap().at);
        }
        found
    }

    /// Says how long it took from that arrival until the key was seen to be gone, and where the time went.
    fn stages(&self) -> Vec<String> {
        let found = self.found();
        let told = |case: &Case| {
            let at = found[&case.account];
            let mut parts = vec![format!("decided after {}", case.found.since(at))];
            let mut last = case.found;
            for act in &case.acts {
                let (Some(begun), Some(ended)) = (act.begun, act.ended) else { continue };
                let name = act.deed.to_string().split(' ').take(4).collect::<Vec<_>>().join(" ");
                parts.push(format!("{name} {} (+{})", ended.since(begun), begun.since(last)));
                last = ended;
            }
            let gone = case.acts.iter().find(|act| matches!(act.deed, Deed::Delete { .. })).and_then(|act| act.ended);
            let all = gone.map_or("never".to_owned(), |gone| gone.since(at).to_string());
            format!("{}: gone after {all}: {}", case.account, parts.join(", "))
        };
        self.cases().values().map(told).collect()
    }

    /// What is said is true; returns how many keys are gone, and how many responses were told as done in part.
    fn check(&self, seed: u64) -> (usize, usize) {
        let (mut gone, mut told) = (0, 0);
        for (place, case) in self.cases() {
            let leaked = &self.leaked[place];
            let is_gone = !self.world.handle.takes(leaked.venue, &leaked.key_id);
            let deleted = case.acts.iter().filter(|act| matches!(act.deed, Deed::Delete { .. }));
            let says = deleted.clone().any(|act| act.outcome.as_ref().is_some_and(Outcome::is_seen));
            assert!(deleted.count() == 1, "seed {seed}: {case:?}");
            assert!(is_gone || !says, "seed {seed}, false words: {case:?}");
            assert!(is_gone || case.state == State::Partly, "seed {seed}, neither gone nor told: {case:?}");
            gone += usize::from(is_gone);
            told += usize::from(case.state == State::Partly);
        }
        (gone, told)
    }
}

pub fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_theft_leads_to_a_key_that_is_gone_and_seen_to_be() {
    let mut theft = Theft::new(31, 2).await;
    let daemon = theft.start();
    // As far away as exchanges are.
    theft.world.handle.move_away(Duration::from_millis(150));
    theft.world.handle.attack();
    theft.until_all_over().await;
    for (place, case) in theft.cases() {
        assert_eq!(case.state, State::Done, "{case:?}");
        let leaked = &theft.leaked[place];
        assert!(!theft.world.handle.takes(leaked.venue, &leaked.key_id), "the thief's key still opens the account");
        // What watches goes on watching.
        assert!(theft.world.handle.takes(leaked.venue, &theft.victims[place].key_id));
    }
    for told in theft.stages() {
        eprintln!("{told}");
    }
    let (code, said) = theft.world.run(&["respond", "log"], "");
    assert!(code == 0 && said.matches("  done\n").count() == theft.victims.len(), "{said}");
    kill(daemon);
    let told = std::fs::read_to_string(theft.world.path("out-1.log")).unwrap();
    assert!(told.contains("seen to have taken effect"), "{told}");
    theft.world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_responds_repeats_nothing_and_says_what_is_true() {
    let seeds: u64 = std::env::var("FILLGUARD_SEEDS").map_or(1, |seeds| seeds.parse().unwrap());
    let (mut kills, mut gone, mut told, mut victims) = (0, 0, 0, 0);
    for seed in 0..seeds {
        let mut theft = Theft::new(1_000 + seed, 3).await;
        let mut dice = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut draw = |most: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            (dice >> 33) % most
        };
        let mut daemon = theft.start();
        theft.world.handle.attack();
        let mut acts = Vec::new();
        for _ in 0..4 {
            // Killed a moment after something else was begun.
            let (begun, before) = (clock::steady(), theft.memory());
            while theft.memory() == before && !theft.all_over() {
                assert!(begun.elapsed() < PATIENCE, "{:?} {}", theft.cases(), theft.log());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if theft.all_over() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(draw(250))).await;
            kill(daemon);
            kills += 1;
            acts.extend(theft.world.handle.acts());
            daemon = theft.start();
        }
        theft.until_all_over().await;
        kill(daemon);
        acts.extend(theft.world.handle.acts());
        acts.retain(|act| act.contains("subAccountApi") || act.contains("sub/api-key"));
        acts.sort();
        let all = acts.len();
        acts.dedup();
        assert_eq!(all, acts.len(), "seed {seed}: a step left twice: {acts:?}");
        let (some, more) = theft.check(seed);
        (gone, told, victims) = (gone + some, told + more, victims + theft.victims.len());
        theft.world.end().await;
    }
    eprintln!("{victims} thefts, {kills} kills: {gone} keys gone, {told} told as done in part");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_is_switched_on_while_the_daemon_runs_takes_the_key_and_one_that_is_switched_off_does_not() {
    for (before, after) in [("off", "auto"), ("auto", "off")] {
        let mut theft = Theft::new(41, 1).await;
        let text = std::fs::read_to_string(theft.world.path("fillguard.toml")).unwrap();
        let with = |mode: &str| text.replace("mode = \"auto\"", &format!("mode = \"{mode}\""));
        theft.world.put("fillguard.toml", &with(before));
        let daemon = theft.start();
        theft.world.put("fillguard.toml", &with(after));
        assert!(Command::new("kill").args(["-HUP", &daemon.id().to_string()]).status().unwrap().success());
        let begun = clock::steady();
        while !theft.log().contains("responses follow the configuration") {
            assert!(begun.elapsed() < PATIENCE, "{}", theft.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!theft.log().contains("next restart"), "{}", theft.log());
        theft.world.handle.attack();
        if after == "auto" {
            theft.until_all_over().await;
            assert!(theft.cases().values().all(|case| case.state == State::Done), "{:?}", theft.cases());
        } else {
            // Each victim says `act`, and is written down as it was; the desk looked at it before the incident was kept
            // twice more.
            let filter = || Filter { min_level: Some(Level::Act), ..Filter::default() };
            let seen = || {
                let store = Store::read(&theft.world.path("state/fillguard.db")).unwrap();
                let all = store.incidents(&filter()).unwrap();
                all.iter()
                    .filter(|incident| incident.count > 2)
                    .map(|incident| incident.account.clone())
                    .collect::<std::collections::BTreeSet<_>>()
            };
            let wanted = theft.victims.iter().map(id).collect::<std::collections::BTreeSet<_>>();
            while seen() != wanted {
                assert!(begun.elapsed() < PATIENCE, "{}", theft.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(theft.cases().is_empty() && theft.world.handle.acts().is_empty(), "{:?}", theft.cases());
        }
        for leaked in &theft.leaked {
            assert_eq!(theft.world.handle.takes(leaked.venue, &leaked.key_id), after == "off");
        }
        kill(daemon);
        theft.world.end().await;
    }
}
