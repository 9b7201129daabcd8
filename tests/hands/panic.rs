//! `fillguard panic`.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use fillguard::domain::{Symbol, Venue};
use fillguard::simulate::SimAccount;
use serde_json::Value;

use super::world::{Entry, World, id, quiet};

/// A platform that leaked: two accounts at Binance and one at KuCoin whose leaked keys can be taken, one at Binance that
/// is protected, and one at Coinbase whose key only a person can take.
struct Leak {
    world: World,
    victims: Vec<SimAccount>,
    protected: SimAccount,
    coinbase: SimAccount,
    leaked: Vec<SimAccount>,
}

impl Leak {
    async fn new(seed: u64) -> Leak {
        let world = World::new(quiet(seed, 4)).await;
        let (binance, kucoin) = (world.at(Venue::Binance), world.at(Venue::Kucoin));
        let coinbase = world.at(Venue::Coinbase)[1].clone();
        let victims = vec![binance[1].clone(), binance[2].clone(), kucoin[1].clone()];
        let protected = binance[3].clone();
        let (mut entries, mut leaked) = (Vec::new(), Vec::new());
        for victim in victims.iter().chain([&protected]) {
            let master = if victim.venue == Venue::Binance { &binance[0] } else { &kucoin[0] };
            let sub = match victim.venue {
                Venue::Binance => format!("{}@desk.example", victim.name),
                Venue::Kucoin | Venue::Coinbase => format!("{}desk1", victim.name),
            };
            world.handle.permit(&id(victim), "trade", true).unwrap();
            leaked.push(world.handle.adopt(&id(master), &sub, &id(victim)).unwrap());
            let account = victim.clone();
            entries.push(Entry { account, tags: "\"botco\"", sub: Some(sub), mode: "dry", trade: true });
        }
        world.handle.permit(&id(&coinbase), "trade", true).unwrap();
        let account = coinbase.clone();
        entries.push(Entry { account, tags: "\"botco\"", sub: None, mode: "dry", trade: true });
        let other = Entry { account: binance[0].clone(), tags: "\"own\"", sub: None, mode: "off", trade: false };
        entries.push(other);
        let response = format!("protected = [\"{}\"]\nkeys_per_hour = 1\nkeys_per_day = 1", id(&protected));
        world.configure("", &response, &[binance[0].clone(), kucoin[0].clone()], &entries);
        world.remember(&[(id(&victims[0]), 500), (id(&victims[1]), 90_000), (id(&victims[2]), 4_000)], &[]);
        for (victim, pair) in [(&victims[0], "BTC-USDT"), (&victims[2], "BTC-USDT"), (&coinbase, "BTC-USD")] {
            let asset = pair.split('-').nth(1).unwrap();
            world.handle.deposit(&id(victim), asset, 1_000_000.into()).unwrap();
            assert!(world.handle.rest_order(&id(victim), &Symbol::from_dashed(pair).unwrap()).unwrap());
        }
        world.handle.acts();
        world.handle.key_calls();
        Leak { world, victims, protected, coinbase, leaked }
    }

    fn is_taken(&self, place: usize) -> bool {
        !self.world.handle.takes(self.leaked[place].venue, &self.leaked[place].key_id)
    }

    /// Everything is as it should be after a panic went through.
    fn check(&self) {
        for place in 0..3 {
            assert!(self.is_taken(place), "{}", id(&self.victims[place]));
            assert_eq!(self.world.handle.open_orders(&id(&self.victims[place])), 0);
        }
        assert!(!self.is_taken(3), "the protected account keeps its key");
        assert_eq!(self.world.handle.open_orders(&id(&self.coinbase)), 0);
    }

    /// Says what of the requests that change something was carried out twice.
    fn twice(&self) -> usize {
        let mut done = self.world.handle.acts();
        done.sort();
        let all = done.len();
        done.dedup();
        all - done.len()
    }
}

const PANIC: [&str; 3] = ["panic", "--tag", "botco"];

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_shows_asks_takes_and_says_what_is_left_for_people() {
    let leak = Leak::new(21).await;
    let world = &leak.world;
    let (code, said) = world.run(&["panic", "--tag", "botco", "--dry-run"], "");
    assert_eq!(code, 0, "{said}");
    // Whose money is unknown may have most; then the richest first.
    let names = [&leak.coinbase, &leak.victims[1], &leak.victims[2], &leak.victims[0]];
    let places: Vec<usize> = names.iter().map(|account| said.find(&format!("{} (", id(account))).unwrap()).collect();
    assert!(places.is_sorted(), "{said}");
    assert!(said.contains("(money unknown)") && said.contains("(about 90000 USD)"), "{said}");
    assert!(said.contains(&format!("{} is protected and stays as it is", id(&leak.protected))), "{said}");
    assert!(said.contains("4 accounts, 3 keys, "), "{said}");
    let (code, json) = world.run(&["panic", "--tag", "botco", "--dry-run", "--format", "json"], "");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["keys"], &json["accounts"][1]["dollars"]), (0, &3.into(), &90_000.0.into()));

    for typed in ["", "\n", "yes\n", "take 4 keys\n", "take 3 keyss\n", "3\n"] {
        let (code, said) = world.run(&PANIC, typed);
        assert!(code == 2 && said.contains("not confirmed; nothing was done"), "{typed:?}: {said}");
    }
    assert_eq!(world.handle.acts(), Vec::<String>::new());

    // Budgets of the daemon do not hold here: the number that was typed does.
    let (code, said) = world.run(&PANIC, "take 3 keys\n");
    assert_eq!(code, 1, "{said}");
    leak.check();
    assert!(said.contains("4 of 4 accounts: every step was seen to have taken effect"), "{said}");
    let left = said.split("every step").nth(1).unwrap();
    let page = |account: &SimAccount| format!("LEFT FOR YOU  {}: {}", id(account), account.venue.key_page());
    assert!(left.contains(&page(&leak.coinbase)) && left.contains(&page(&leak.protected)), "{said}");
    assert_eq!(left.matches("LEFT FOR YOU").count(), 2, "{said}");
    for victim in &leak.victims {
        assert!(!left.contains(&id(victim).to_string()), "{said}");
    }
    assert_eq!(leak.twice(), 0);
    let calls = world.handle.key_calls();
    assert!(calls > 0 && calls * 3_000 <= 180_000, "{calls} calls about keys in a minute");
    for secret in leak.leaked.iter().map(|key| &key.key_id).chain([&leak.victims[0].key_id]) {
        assert!(!said.contains(secret.as_str()));
    }

    // Again: nothing is left that could be done to a key.
    let (code, said) = world.run(&["panic", "--tag", "botco", "--format", "json"], "take 0 keys\n");
    assert_eq!(code, 1, "{said}");
    leak.check();
    leak.world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_that_is_killed_goes_on_where_it_ended_and_does_nothing_twice() {
    let seeds: u64 = std::env::var("FILLGUARD_SEEDS").map_or(3, |seeds| seeds.parse().unwrap());
    let mut cut = 0;
    for seed in 0..seeds {
        let leak = Leak::new(100 + seed).await;
        let world = &leak.world;
        let mut command = world.command(&PANIC);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"take 3 keys\n").unwrap();
        // Killed once it has begun, a while later.
        let mut begun = Vec::new();
        for _ in 0..2_000 {
            begun.extend(world.handle.acts());
            if !begun.is_empty() || child.try_wait().unwrap().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!begun.is_empty(), "it must have begun");
        tokio::time::sleep(Duration::from_millis(seed * 61 % 400)).await;
        drop(child.kill());
        cut += u64::from(!child.wait().unwrap().success());
        begun.extend(world.handle.acts());
        // How many keys are left is what it says itself.
        let (code, said) = world.run(&["panic", "--tag", "botco", "--dry-run", "--format", "json"], "");
        assert_eq!(code, 0, "{said}");
        let plan: Value = serde_json::from_str(&said).unwrap();
        let (code, said) = world.run(&PANIC, &format!("take {} keys\n", plan["keys"]));
        assert_eq!(code, 1, "{said}");
        begun.extend(world.handle.acts());
        for place in 0..3 {
            // A process that is killed between writing a step down and sending it leaves the step undone, and says so.
            let told = said.contains(&format!("LEFT FOR YOU  {}", id(&leak.victims[place])));
            assert!(leak.is_taken(place) || told, "seed {seed}: {said}");
        }
        assert!(!leak.is_taken(3));
        let keys = begun.iter().filter(|act| act.contains("api-key") || act.contains("subAccountApi")).cloned();
        let mut keys: Vec<String> = keys.collect();
        keys.sort();
        let all = keys.len();
        keys.dedup();
        assert_eq!(all, keys.len(), "seed {seed}: {begun:?}");
        // A third time: whose key is gone is not told any more, and nobody else is left out.
        let (_, said) = world.run(&["panic", "--tag", "botco", "--dry-run", "--format", "json"], "");
        let plan: Value = serde_json::from_str(&said).unwrap();
        let (_, said) = world.run(&PANIC, &format!("take {} keys\n", plan["keys"]));
        for place in 0..3 {
            let told = said.contains(&format!("LEFT FOR YOU  {}", id(&leak.victims[place])));
            assert_eq!(leak.is_taken(place), !told, "seed {seed}: {said}");
        }
        leak.world.end().await;
    }
    eprintln!("{cut} of {seeds} were killed under way");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_panic_at_a_time_and_none_on_a_ledger_that_cannot_be_read() {
    let leak = Leak::new(23).await;
    let world = &leak.world;
    let mut command = world.command(&PANIC);
    let mut first = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lock = world.path("state/panic-tag-botco.lock");
    for _ in 0..1_000 {
        if lock.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (code, said) = world.run(&PANIC, "take 3 keys\n");
    assert!(code == 3 && said.contains("under way in another process"), "{said}");
    first.kill().unwrap();
    first.wait().unwrap();
    world.put("state/panic-tag-botco.json", "{");
    let (code, said) = world.run(&PANIC, "take 3 keys\n");
    assert!(code == 3 && said.contains("move it away to begin anew"), "{said}");
    assert_eq!(world.handle.acts(), Vec::<String>::new());
    for (args, word) in [(&["panic"][..], "say whose keys"), (&["panic", "--tag", "nobody"], "no account is meant")] {
        let (code, said) = world.run(args, "");
        assert!(code == 2 && said.contains(word), "{said}");
    }
    leak.world.end().await;
}
