//! Keys are taken away from a played exchange, and seen to be gone, whatever goes wrong on the way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test: its steps may fail"
)]

mod books;
mod money;
#[path = "../support/played.rs"]
mod played;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use fillguard::alert::Language;
use fillguard::domain::{
    AccountId, Effect, EffectKind, Family, Finding, Fingerprint, Incident, IncidentId, Kind, Level, Reason, RuleName,
    Story, Symbol, Term, Transition, Venue, Wallet,
};
use fillguard::feed::ReadKey;
use fillguard::response::desk::{Desk, Setup};
use fillguard::response::hands::{Hands, Places, Reach};
use fillguard::response::{
    Arms, Deed, Holder, Keys, Master, Memory, Mode, Outcome, Policy, RevokeKey, Settings, State, Wallets,
};
use fillguard::runtime::clock;
use fillguard::secret::Secret;
use fillguard::simulate::{self, ActFault, SUB_PASSPHRASE, SimAccount};
use fillguard::store::{self, Store};
use played::{Played, id, quiet};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Three quiet exchanges, each with a master, and a victim whose leaked key is one of a sub-account.
struct World {
    played: Played,
    places: Places,
}

const HOLDER: &str = "victim@desk.example";

impl World {
    async fn new(seed: u64) -> World {
        // Hundreds of seeds ask one after another, faster than any owner would.
        let settings = simulate::Settings { weight_per_minute: u32::MAX, ..quiet(seed, 2) };
        let played = Played::start(settings).await;
        let simulate::Places { binance, kucoin, coinbase } = played.places.clone();
        let places = Places {
            binance: binance.rest,
            binance_futures: binance.futures_rest,
            kucoin: kucoin.rest,
            kucoin_futures: kucoin.futures_rest,
            coinbase_login: coinbase.rest.clone(),
            coinbase: coinbase.rest,
            extra_ca: None,
        };
        World { played, places }
    }

    fn of(&self, venue: Venue) -> (SimAccount, SimAccount) {
        let mut own = self.at(venue).into_iter();
        (own.next().unwrap(), own.next().unwrap())
    }

    async fn end(self) {
        self.played.end().await;
    }
}

impl Deref for World {
    type Target = Played;

    fn deref(&self) -> &Played {
        &self.played
    }
}

fn revoke_key(account: &SimAccount) -> RevokeKey {
    let key = match account.venue {
        Venue::Binance => ReadKey::binance(&account.key_id, &account.secret),
        Venue::Kucoin => ReadKey::kucoin(&account.key_id, &account.secret, account.passphrase.as_ref().unwrap(), 3),
        Venue::Coinbase => ReadKey::coinbase(&account.key_id, &account.secret),
    };
    RevokeKey::of(key.unwrap()).unwrap()
}

/// What is configured for a victim of an exchange, after its key leaked.
fn armed(world: &World, venue: Venue, sub: &str) -> (Settings, Keys, AccountId, String) {
    let (master, victim) = world.of(venue);
    for account in [&master, &victim] {
        world.handle.permit(&id(account), "trade", true).unwrap();
    }
    let leaked = match venue {
        Venue::Binance | Venue::Kucoin => world.handle.adopt(&id(&master), sub, &id(&victim)).unwrap().key_id,
        Venue::Coinbase => String::new(),
    };
    let mut keys = Keys::default();
    let subs = venue != Venue::Coinbase;
    if subs {
        let one = Master { name: "desk".into(), key: revoke_key(&master), broker: false };
        keys.masters.insert((venue, "desk".to_owned()), Arc::new(one));
    }
    let holder = Holder {
        master: subs.then(|| "desk".to_owned()),
        sub_account: subs.then(|| sub.to_owned()),
        sub_passphrase: (venue == Venue::Kucoin).then(|| Secret::new(SUB_PASSPHRASE.to_owned())),
        trade: Some(revoke_key(&victim)),
        ..Holder::default()
    };
    keys.holders.insert(id(&victim), holder);
    let policy = Policy { mode: Mode::Auto, ..Policy::default() };
    let settings = Settings {
        keys_per_hour: 1_000_000,
        keys_per_day: 1_000_000,
        cool_down: Duration::ZERO,
        call_timeout: Duration::from_millis(600),
        verify_within: Duration::from_millis(1_500),
        breaker: 1_000_000,
        accounts: [(id(&victim), policy)].into(),
        ..Settings::default()
    };
    (settings, keys, id(&victim), leaked)
}

fn reach(world: &World, settings: &Settings, keys: &Keys) -> Reach {
    reach_in(world, settings, keys, &[])
}

/// The same where the account uses these wallets besides spot.
fn reach_in(world: &World, settings: &Settings, keys: &Keys, wallets: &[Wallet]) -> Reach {
    let wallets = keys.holders.keys().map(|id| (id.clone(), wallets.iter().cloned().collect())).collect();
    Reach::new(&world.places, settings, keys, &wallets).unwrap()
}

fn incident(account: &AccountId, n: u64) -> Incident {
    let term = |name: &str, family, nats| Term { name: name.into(), family, nats, value: 1.0, unit: "x".into() };
    let now = clock::now();
    let finding = Finding {
        prices: Vec::new(),
        account: account.clone(),
        symbol: None,
        rule: RuleName::PumpBuy,
        kind: Kind::Pump,
        level: Level::Act,
        score: 12.0,
        terms: vec![term("market", Family::Market, 7.0), term("size", Family::Habit, 5.0)],
        loss: None,
        orders: Vec::new(),
        reason: Reason::SoldOff { assets: Vec::new(), seconds: 1.0 },
        n,
        at: now,
    };
    Incident {
        id: IncidentId::new(account, n, 0),
        account: account.clone(),
        story: Story::Takeover,
        level: Level::Act,
        opened: now,
        last: now,
        closed: None,
        findings: vec![finding],
        count: 1,
        loss: Vec::new(),
        plan: Vec::new(),
    }
}

fn effect(incident: &Incident, n: u64) -> Effect {
    let kind = EffectKind::Incident {
        transition: Transition::Opened,
        incident: incident.clone(),
        finding: None,
        message: None,
    };
    Effect { n, place: 0, at: incident.opened, kind }
}

async fn memory(store: &store::Handle) -> Memory {
    let text = store.with(|store| store.response()).await.unwrap();
    serde_json::from_str(&text.unwrap_or_else(|| panic!("no memory"))).unwrap()
}

/// Waits until the response to an incident is over.
async fn over(store: &store::Handle, incident: &IncidentId) -> fillguard::response::Case {
    let begun = clock::steady();
    loop {
        if let Some(case) = memory(store).await.cases.get(incident)
            && case.state.is_over()
        {
            return case.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "not over");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Has a desk respond to an incident of an account; returns the response when it is over.
async fn respond(world: &World, settings: Settings, keys: &Keys, found: &Incident) -> fillguard::response::Case {
    let store = store::Handle::new(Store::in_memory().unwrap(), Vec::new());
    let hands = Arc::new(reach(world, &settings, keys));
    let setup = Setup { settings, read: true, inbox: None, language: Language::English };
    let desk = Desk::open(setup, hands, store.clone(), None).await.unwrap();
    let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
    let ended = stop.clone();
    running.spawn(async move { desk.run(ended).await.unwrap() });
    store.take(vec![effect(found, 1)]).await.unwrap();
    let case = over(&store, &found.id).await;
    stop.cancel();
    while running.join_next().await.is_some() {}
    case
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_key_is_gone_and_seen_to_be() {
    for venue in [Venue::Binance, Venue::Kucoin] {
        let world = World::new(7).await;
        let (settings, keys, victim, leaked) = armed(&world, venue, HOLDER);
        let symbol: Symbol = Symbol::from_dashed("BTC-USDT").unwrap();
        world.handle.deposit(&victim, "USDT", 100_000.into()).unwrap();
        assert!(world.handle.rest_order(&victim, &symbol).unwrap());
        assert!(world.handle.takes(venue, &leaked));
        let found = incident(&victim, 1);
        // As far away as an exchange is.
        world.handle.move_away(Duration::from_millis(150));
        world.handle.asked();
        let begun = clock::steady();
        let case = respond(&world, settings, &keys, &found).await;
        assert_eq!(case.state, State::Done, "{venue}: {:?}", case.acts);
        assert!(!world.handle.takes(venue, &leaked), "{venue}: the thief's key still opens the account");
        assert_eq!(world.handle.open_orders(&victim), 0, "{venue}");
        let asked = world.handle.asked();
        eprintln!("{venue}: {} steps in {:?} with {asked} requests of 150 ms", case.acts.len(), begun.elapsed());
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn coinbase_orders_tokens_and_money_are_taken_where_keys_cannot_be() {
    let world = World::new(11).await;
    let (settings, mut keys, victim, _) = armed(&world, Venue::Coinbase, HOLDER);
    let symbol = Symbol::from_dashed("BTC-USD").unwrap();
    world.handle.deposit(&victim, "USD", 100_000.into()).unwrap();
    for _ in 0..3 {
        assert!(world.handle.rest_order(&victim, &symbol).unwrap());
    }
    world.handle.issue_token(&victim, "token-of-an-app").unwrap();
    keys.holders.get_mut(&victim).unwrap().token = Some(Secret::new("token-of-an-app".into()));
    let hands = reach(&world, &settings, &keys);
    world.handle.fail_acts(&[ActFault::Partial]);
    let cancel = Deed::Cancel { book: Wallets::Spot };
    assert!(matches!(hands.perform(&victim, &cancel).await, Outcome::NotDone(_)), "one order was left open");
    assert_eq!(hands.perform(&victim, &cancel).await, Outcome::Done);
    assert_eq!(hands.perform(&victim, &cancel).await, Outcome::Already);
    // It answers 200 whether or not it did anything: only the look tells.
    world.handle.fail_acts(&[ActFault::Lie]);
    assert!(matches!(hands.perform(&victim, &Deed::Revoke).await, Outcome::NotDone(_)));
    assert_eq!(hands.perform(&victim, &Deed::Revoke).await, Outcome::Done);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_was_carried_out_without_an_answer_is_seen_and_one_that_was_not_is_told() {
    for venue in [Venue::Binance, Venue::Kucoin] {
        let world = World::new(13).await;
        let (settings, keys, victim, leaked) = armed(&world, venue, HOLDER);
        let key = Fingerprint::of(&leaked);
        let strip = Deed::Strip { key: key.clone(), had: vec![fillguard::domain::Right::Trade] };
        let delete = Deed::Delete { key };
        let mut sent = 0;
        for (fault, deed, wanted) in [
            (ActFault::Lie, &strip, "not done"),
            (ActFault::Fail, &strip, "not done"),
            (ActFault::Address, &strip, "refused"),
            (ActFault::Right, &delete, "refused"),
            (ActFault::Refuse(1), &strip, "done"),
            (ActFault::HangAfter(2_000), &delete, "done"),
            (ActFault::None, &delete, "already so"),
        ] {
            world.handle.fail_acts(&[fault]);
            // A day later, as far as the exchange's allowance goes.
            let hands = reach(&world, &settings, &keys);
            let outcome = hands.perform(&victim, deed).await;
            world.handle.end_acts();
            sent += world.handle.acts().len();
            assert_eq!(outcome.word(), wanted, "{venue} {fault:?} {outcome}");
        }
        assert_eq!(sent, 2, "{venue}: each carried out once");
        let hands = reach(&world, &settings, &keys);
        let told = format!("{:?}", hands.perform(&victim, &delete).await);
        assert!(!told.contains(SUB_PASSPHRASE) && !told.contains(&leaked));
        world.end().await;
    }
}

/// A fault for each kind that the table names.
const FAULTS: [(&str, ActFault); 9] = [
    ("nothing", ActFault::None),
    ("429", ActFault::Refuse(1)),
    ("5xx, not carried out", ActFault::Fail),
    ("5xx, carried out", ActFault::FailAfter),
    ("time-out, carried out", ActFault::HangAfter(900)),
    ("wrong address", ActFault::Address),
    ("missing right", ActFault::Right),
    ("deleted by another", ActFault::Gone),
    ("answered, not carried out", ActFault::Lie),
];

/// What became of the seeds of one fault.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    seeds: u32,
    killed: u32,
    gone: u32,
    told: u32,
    repeated: u32,
    lies: u32,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_no_step_leaves_twice_and_what_is_said_is_true() {
    let seeds: u64 = std::env::var("FILLGUARD_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(36);
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    let world = World::new(17).await;
    for seed in 0..seeds {
        let dice = |salt: u64| {
            let hash = blake3::hash(&[seed.to_le_bytes(), salt.to_le_bytes()].concat());
            u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
        };
        let venue = if dice(1) % 2 == 0 { Venue::Binance } else { Venue::Kucoin };
        let (name, fault) = FAULTS[(seed % FAULTS.len() as u64) as usize];
        let (settings, keys, victim, leaked) = armed(&world, venue, &format!("v{seed}@desk.example"));
        let settings = Settings {
            call_timeout: Duration::from_millis(300),
            verify_within: Duration::from_millis(if name == "429" { 1_400 } else { 450 }),
            ..settings
        };
        let store = store::Handle::new(Store::in_memory().unwrap(), Vec::new());
        let found = incident(&victim, seed + 1);
        world.handle.end_acts();
        world.handle.acts();
        // The fault meets the first, second or third request.
        let mut faults = vec![ActFault::None; (dice(2) % 3) as usize];
        faults.push(fault);
        world.handle.fail_acts(&faults);
        let row = rows.entry(name).or_default();
        row.seeds += 1;
        let open = || async {
            let hands = Arc::new(reach(&world, &settings, &keys));
            let setup = Setup { settings: settings.clone(), read: true, inbox: None, language: Language::English };
            Desk::open(setup, hands, store.clone(), None).await.unwrap()
        };
        let desk = open().await;
        store.take(vec![effect(&found, seed + 1)]).await.unwrap();
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let ended = stop.clone();
        running.spawn(async move { desk.run(ended).await.unwrap() });
        let killed = dice(3) % 2 == 0;
        if killed {
            // Killed: whatever it was doing ends here, between any two lines.
            tokio::time::sleep(Duration::from_millis(dice(4) % 120)).await;
            running.abort_all();
            while running.join_next().await.is_some() {}
            row.killed += 1;
            let (desk, ended) = (open().await, stop.clone());
            running.spawn(async move { desk.run(ended).await.unwrap() });
        }
        let case = over(&store, &found.id).await;
        stop.cancel();
        while running.join_next().await.is_some() {}
        let gone = !world.handle.takes(venue, &leaked);
        row.gone += u32::from(gone);
        let told = case.state == State::Partly;
        row.told += u32::from(told);
        // KuCoin's stop orders are cancelled by two calls.
        let mut done = world.handle.acts();
        done.sort();
        let all = done.len();
        done.dedup();
        row.repeated += (all - done.len()) as u32;
        let says_gone = case
            .acts
            .iter()
            .any(|act| matches!(act.deed, Deed::Delete { .. }) && act.outcome.as_ref().is_some_and(Outcome::is_seen));
        let never_planned = !case.acts.iter().any(|act| matches!(act.deed, Deed::Delete { .. }));
        row.lies += u32::from(says_gone && !gone);
        assert!(says_gone == gone || never_planned || name != "nothing", "{name} {seed}: {:?}", case.acts);
        // A process that is killed between writing a step down and sending it leaves the step undone, and says so.
        let undisturbed = !killed && name == "nothing";
        assert!(gone || (told && !undisturbed), "{name} {seed}, killed {killed}: {:?} {:?}", case.state, case.acts);
    }
    eprintln!(
        "{:<28}{:>6}{:>8}{:>6}{:>13}{:>10}{:>12}",
        "fault", "seeds", "killed", "gone", "told as part", "repeated", "false words"
    );
    for (name, row) in &rows {
        let Row { seeds, killed, gone, told, repeated, lies } = row;
        eprintln!("{name:<28}{seeds:>6}{killed:>8}{gone:>6}{told:>13}{repeated:>10}{lies:>12}");
    }
    assert!(rows.values().all(|row| row.repeated == 0 && row.lies == 0), "{rows:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_fails_is_nothing_that_was_seen() {
    for venue in [Venue::Binance, Venue::Kucoin] {
        let world = World::new(19).await;
        let (settings, keys, victim, leaked) = armed(&world, venue, HOLDER);
        let hands = reach(&world, &settings, &keys);
        let key = Fingerprint::of(&leaked);
        let mut deeds = vec![
            Deed::Strip { key: key.clone(), had: vec![fillguard::domain::Right::Trade] },
            Deed::Give { key: key.clone(), rights: vec![fillguard::domain::Right::Trade] },
            Deed::Delete { key: key.clone() },
        ];
        if venue == Venue::Binance {
            deeds.push(Deed::Narrow { key, to: vec!["203.0.113.7".into()] });
        }
        world.handle.fail_listings(u64::MAX);
        for deed in &deeds {
            let outcome = hands.perform(&victim, deed).await;
            let Outcome::Refused(why) = &outcome else { panic!("{venue} {deed}: {outcome}") };
            assert!(why.contains("cannot be listed"), "{venue} {deed}: {outcome}");
            assert!(matches!(hands.look(&victim, deed).await, Outcome::Unknown(_)), "{venue} {deed}");
        }
        assert!(world.handle.acts().is_empty() && world.handle.takes(venue, &leaked));
        world.end().await;
    }
}

/// A desk at work on an account.
struct Work {
    store: store::Handle,
    arms: watch::Sender<Option<Arms>>,
    stop: CancellationToken,
    running: JoinSet<Result<(), store::Error>>,
}

impl Work {
    async fn begin(world: &World, settings: &Settings, keys: &Keys, store: store::Handle) -> Work {
        let hands = Arc::new(reach(world, settings, keys));
        let setup = Setup { settings: settings.clone(), read: true, inbox: None, language: Language::English };
        let desk = Desk::open(setup, hands, store.clone(), None).await.unwrap();
        let (arms, told) = watch::channel(None);
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        running.spawn(desk.following(told).run(stop.clone()));
        Work { store, arms, stop, running }
    }

    fn arm(&self, settings: &Settings, keys: &Keys) {
        let arms = Arms { settings: settings.clone(), keys: keys.clone(), wallets: BTreeMap::new() };
        self.arms.send_replace(Some(arms));
    }

    /// Waits until the response to an incident stands as wanted.
    async fn until(&self, incident: &IncidentId, wanted: impl Fn(State) -> bool) -> fillguard::response::Case {
        let begun = clock::steady();
        loop {
            let text = self.store.with(|store| store.response()).await.unwrap().unwrap_or("{}".into());
            let memory: Memory = serde_json::from_str(&text).unwrap_or_default();
            match memory.cases.get(incident) {
                Some(case) if wanted(case.state) => return case.clone(),
                case => assert!(begun.elapsed() < Duration::from_secs(60), "{case:?}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

fn with_mode(settings: &Settings, mode: Mode) -> Settings {
    let mut settings = settings.clone();
    settings.accounts.values_mut().for_each(|policy| policy.mode = mode);
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_fails_for_a_while_is_asked_for_again_and_the_key_is_taken_then() {
    for venue in [Venue::Binance, Venue::Kucoin] {
        let world = World::new(23).await;
        let (settings, mut keys, victim, leaked) = armed(&world, venue, HOLDER);
        keys.holders.get_mut(&victim).unwrap().trade = None;
        let store = store::Handle::new(Store::in_memory().unwrap(), Vec::new());
        // A survey asks three times at most.
        world.handle.fail_listings(4);
        let work = Work::begin(&world, &settings, &keys, store.clone()).await;
        let found = incident(&victim, 1);
        store.take(vec![effect(&found, 1)]).await.unwrap();
        let case = work.until(&found.id, State::is_over).await;
        assert_eq!(case.state, State::Done, "{venue}: {case:?}");
        assert!(!world.handle.takes(venue, &leaked), "{venue}");
        work.end().await;
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_listed_while_the_finding_is_fresh_is_told_with_the_true_reason() {
    let world = World::new(29).await;
    let (settings, mut keys, victim, _) = armed(&world, Venue::Binance, HOLDER);
    keys.holders.get_mut(&victim).unwrap().trade = None;
    let settings = Settings { fresh: Duration::from_secs(4), ..settings };
    let route = store::ChannelRoute { name: "chat".into(), ..Default::default() };
    let store = store::Handle::new(Store::in_memory().unwrap(), vec![route]);
    world.handle.fail_listings(u64::MAX);
    let work = Work::begin(&world, &settings, &keys, store.clone()).await;
    let found = incident(&victim, 1);
    store.take(vec![effect(&found, 1)]).await.unwrap();
    let case = work.until(&found.id, State::is_over).await;
    assert_eq!(case.state, State::Refused);
    let due = store.with(|store| store.due("chat", clock::now(), 9)).await.unwrap();
    let [told] = due.as_slice() else { panic!("{due:?}") };
    assert!(told.message.headline.contains("it could not be found out"), "{:?}", told.message);
    assert!(told.message.facts.iter().any(|fact| fact.contains("cannot be listed")), "{:?}", told.message);
    // The thief goes on, the exchange answers again.
    world.handle.fail_listings(0);
    let again = Incident { last: clock::now(), count: 2, ..found.clone() };
    store.take(vec![effect(&again, 2)]).await.unwrap();
    work.until(&found.id, |state| state == State::Done).await;
    work.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_follow_the_configuration_while_they_work() {
    let world = World::new(31).await;
    let (settings, keys, victim, leaked) = armed(&world, Venue::Binance, HOLDER);
    let store = store::Handle::new(Store::in_memory().unwrap(), Vec::new());
    // A plan that waits when responses are switched off is held back, and its yes is worth nothing.
    let work = Work::begin(&world, &with_mode(&settings, Mode::Confirm), &keys, store.clone()).await;
    let found = incident(&victim, 1);
    store.take(vec![effect(&found, 1)]).await.unwrap();
    work.until(&found.id, |state| matches!(state, State::Waiting(_))).await;
    work.arm(&with_mode(&settings, Mode::Off), &Keys::default());
    let case = work.until(&found.id, State::is_over).await;
    assert!(case.state == State::Refused && case.note.contains("switched off"), "{case:?}");
    // While they are off nothing is begun; once they are on, with their keys, what says `act` is looked at.
    let found = incident(&victim, 2);
    store.take(vec![effect(&found, 2)]).await.unwrap();
    work.arm(&settings, &keys);
    let case = work.until(&found.id, State::is_over).await;
    assert_eq!(case.state, State::Done, "{case:?}");
    assert!(!world.handle.takes(Venue::Binance, &leaked));
    work.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_written_down_together_with_the_message_about_it_or_not_at_all() {
    let world = World::new(37).await;
    let (settings, keys, victim, _) = armed(&world, Venue::Binance, HOLDER);
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("fillguard.db");
    let route = store::ChannelRoute { name: "chat".into(), ..Default::default() };
    let store = store::Handle::new(Store::open(&file).unwrap(), vec![route]);
    let mut work = Work::begin(&world, &with_mode(&settings, Mode::Confirm), &keys, store.clone()).await;
    let found = incident(&victim, 1);
    let other = rusqlite::Connection::open(&file).unwrap();
    // As if the process ended just where the message is queued.
    other.execute_batch("CREATE TRIGGER cut BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'cut'); END").unwrap();
    store.take(vec![effect(&found, 1)]).await.unwrap();
    work.running.join_next().await.unwrap().unwrap().expect_err("it cannot go on");
    assert!(!memory(&store).await.cases.contains_key(&found.id), "a plan waits that nobody was told of");
    other.execute_batch("DROP TRIGGER cut").unwrap();
    let work = Work::begin(&world, &with_mode(&settings, Mode::Confirm), &keys, store.clone()).await;
    work.until(&found.id, |state| matches!(state, State::Waiting(_))).await;
    let due = store.with(|store| store.due("chat", clock::now(), 9)).await.unwrap();
    assert!(due.len() == 1 && due[0].message.headline.contains("waits for your yes"), "{due:?}");
    work.end().await;
    world.end().await;
}
