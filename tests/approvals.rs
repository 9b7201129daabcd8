//! A response that waits for a yes: who may say it over a chat or the answer page, how often, and what does not count.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/story.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod story;
#[path = "support/telegram.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod telegram;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use compact_str::CompactString;
use fillguard::alert::Language;
use fillguard::domain::{
    AccountId, Asset, Effect, EffectKind, Family, Finding, Fingerprint, IncidentId, Kind, Level, Money, Reason, Right,
    RuleName, Span, Term,
};
use fillguard::notify::links::Links;
use fillguard::notify::telegram::{Chat, Listener, Pulse, Surroundings, TelegramSettings};
use fillguard::notify::words::words;
use fillguard::notify::{ChannelSettings, Clock, Settings};
use fillguard::response::desk::{Desk, Setup};
use fillguard::response::hands::Hands;
use fillguard::response::{self, Arms, Case, Deed, KeySeen, Memory, Mode, Outcome, Policy, State, Survey};
use fillguard::runtime::clock;
use fillguard::secret::Secret;
use fillguard::store::{self, Approval, Handle, Store};
use story::{account, effect, id};
use telegram::{Shown, Telegram};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "123456789:AAF-a_token_of_nobody";
const ALICE: i64 = 42;
const BOB: i64 = 43;
const MALLORY: i64 = 66;
const GROUP: i64 = -1_001;
const FIRST: &str = "Take the key away";
const SECOND: &str = "Yes, take the key away now";

/// Hands that do what they are told, and remember it.
#[derive(Default)]
struct Willing(Mutex<Vec<Deed>>);

impl Hands for Willing {
    async fn survey(&self, _: &AccountId) -> Survey {
        let key = Fingerprint::of("the id of the thief's key");
        let seen = KeySeen { key, label: None, rights: [Right::Read, Right::Trade].into(), restriction: None };
        Survey { keys: vec![seen], strips: true, deletes: true, ..Survey::default() }
    }

    async fn perform(&self, _: &AccountId, deed: &Deed) -> Outcome {
        self.0.lock().unwrap().push(deed.clone());
        Outcome::Done
    }

    async fn look(&self, _: &AccountId, _: &Deed) -> Outcome {
        Outcome::Unknown("nobody looked".into())
    }

    fn with(&self, _: &Arms) -> Result<Self, CompactString> {
        Ok(Willing::default())
    }
}

struct Room {
    telegram: Telegram,
    store: Handle,
    hands: Arc<Willing>,
    page: String,
    links: Links,
    client: reqwest::Client,
    stop: CancellationToken,
    running: JoinSet<Result<(), store::Error>>,
    _servers: JoinSet<()>,
}

impl Room {
    /// A chat of Alice and Bob, an answer page, and an account whose response asks; above `limit` two have to say yes.
    async fn open(limit: Option<i64>) -> Room {
        fillguard::notify::provider();
        let bots = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", bots.local_addr().unwrap());
        let mut servers = JoinSet::new();
        let telegram = Telegram::serve(bots, TOKEN, &mut servers);
        // So that no message of a test waits for the next minute.
        let burst = store::Burst { most: 1_000, ..store::Burst::default() };
        let channel = ChannelSettings { name: "chat".into(), ..ChannelSettings::default() };
        let mut bot = TelegramSettings::new(channel, Secret::new(TOKEN.into()), Chat::Number(GROUP));
        (bot.base_url, bot.users, bot.timeout) = (base_url, vec![ALICE, BOB], Duration::from_secs(5));
        let settings = Settings { telegram: vec![bot], burst, ..Settings::default() };
        let mut routes = settings.routes();
        routes.push(store::ChannelRoute { name: "mail".into(), ..store::ChannelRoute::default() });
        let store = Handle::new(Store::in_memory().unwrap(), routes);
        let clock: Clock = Arc::new(clock::now);
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let around = Surroundings {
            pulse: watch::channel(Pulse::default()).1,
            leak_modes: Arc::new(Vec::new),
            leak_tags: Arc::new(Vec::new),
            leak: Arc::new(|_| Err("no test switches it".into())),
            drill: Arc::new(|_| Ok(())),
        };
        for courier in settings.couriers(&store, &clock, Box::new(std::io::sink())).unwrap() {
            running.spawn(courier.run(stop.clone()));
        }
        for listener in Listener::all(&settings.telegram, &store, &around).unwrap() {
            running.spawn(listener.run(stop.clone()));
        }
        let policy = Policy { mode: Mode::Confirm, ..Policy::default() };
        let above = limit.map(|limit| Money::new(limit.into(), Asset::new("USDT").unwrap()));
        let settings = response::Settings {
            accounts: [(account(), policy)].into(),
            second_person_above: above.into_iter().collect(),
            cool_down: Duration::ZERO,
            ..response::Settings::default()
        };
        let hands = Arc::new(Willing::default());
        let setup = Setup { settings, read: true, inbox: None, language: Language::English };
        let desk = Desk::open(setup, Arc::clone(&hands), store.clone(), None).await.unwrap();
        running.spawn(desk.run(stop.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let page = format!("http://{}", listener.local_addr().unwrap());
        let links = Links::new(&page, b"a key of at least sixteen bytes");
        let answers =
            fillguard::serve::Desk::new(store.clone(), links.clone(), String::new(), words(Language::English));
        servers.spawn(async move {
            fillguard::serve::serve(listener, &Arc::new(answers), &CancellationToken::new()).await;
        });
        let client = reqwest::Client::new();
        Room { telegram, store, hands, page, links, client, stop, running, _servers: servers }
    }

    /// A theft is found, of more or less money.
    async fn found(&self, n: u64, families: &[Family], level: Level, lost: i64) {
        let Effect { kind, .. } = effect(n, &id(n), level, &format!("theft {n}"));
        let EffectKind::Incident { transition, mut incident, message, .. } = kind;
        let now = clock::now();
        let term =
            |family: &Family| Term { name: "t".into(), family: *family, nats: 6.0, value: 1.0, unit: "x".into() };
        let finding = Finding {
            account: account(),
            symbol: None,
            rule: RuleName::PumpBuy,
            kind: Kind::Pump,
            level,
            score: 12.0,
            terms: families.iter().map(term).collect(),
            loss: None,
            prices: Vec::new(),
            orders: Vec::new(),
            reason: Reason::SoldOff { assets: Vec::new(), seconds: 1.0 },
            n,
            at: now,
        };
        (incident.opened, incident.last, incident.findings) = (now, now, vec![finding]);
        incident.loss = vec![Money::new(lost.into(), Asset::new("USDT").unwrap())];
        let kind = EffectKind::Incident { transition, incident, finding: None, message };
        self.store.take(vec![Effect { n, place: 0, at: now, kind }]).await.unwrap();
    }

    async fn theft(&self, n: u64, lost: i64) -> Shown {
        self.found(n, &[Family::Market, Family::Habit], Level::Act, lost).await;
        self.until("the question", |shown| shown.text.contains("waits for your yes") && has(shown, FIRST)).await
    }

    async fn until(&self, what: &str, fits: impl Fn(&Shown) -> bool) -> Shown {
        until(what, || self.telegram.messages().into_iter().rev().find(|shown| fits(shown))).await
    }

    async fn hint(&self, text: &str) {
        until(text, || self.telegram.hints().iter().any(|hint| hint.contains(text)).then_some(())).await;
    }

    async fn case(&self, n: u64) -> Option<Case> {
        let text = self.store.with(|store| store.response()).await.unwrap()?;
        let memory: Memory = serde_json::from_str(&text).unwrap();
        memory.cases.get(&id(n)).cloned()
    }

    async fn until_case(&self, n: u64, what: &str, fits: impl Fn(&Case) -> bool) -> Case {
        for _ in 0..2_000 {
            if let Some(case) = self.case(n).await.filter(&fits) {
                return case;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain for {what}: {:?}", self.case(n).await);
    }

    /// Presses both buttons under a message; returns the second's code.
    async fn press_both(&self, user: i64, message: i64) -> String {
        assert!(self.telegram.press(user, message, FIRST));
        let second = self.until("the second step", |shown| shown.id == message && has(shown, SECOND)).await;
        let code = second.buttons.iter().find(|(label, _)| label == SECOND).unwrap().1.clone();
        assert!(self.telegram.press(user, message, SECOND));
        code
    }

    async fn post(&self, link: &str, body: &str) -> String {
        self.client.post(link).body(body.to_owned()).send().await.unwrap().text().await.unwrap()
    }

    /// Everything that was said is taken by the responses.
    async fn settled(&self) {
        for _ in 0..2_000 {
            if self.store.with(|store| store.approvals()).await.unwrap().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody takes what was said");
    }

    fn performed(&self) -> usize {
        self.hands.0.lock().unwrap().len()
    }

    async fn close(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

fn has(shown: &Shown, label: &str) -> bool {
    shown.buttons.iter().any(|(known, _)| known == label)
}

fn who(case: &Case) -> Vec<&str> {
    case.yes.iter().map(|who| who.as_str()).collect()
}

#[tokio::test]
async fn one_on_the_list_takes_the_key_away_in_two_presses_and_their_name_is_written_down() {
    let room = Room::open(None).await;
    let shown = room.theft(1, 5).await;
    assert!(room.telegram.press(MALLORY, shown.id, FIRST));
    room.hint("not among those").await;
    assert!(room.telegram.press(ALICE, shown.id, FIRST));
    let second = room.until("the second step", |shown| has(shown, SECOND)).await;
    assert_eq!(room.case(1).await.unwrap().given(), 0, "one press is no yes");
    // Another person cannot finish what Alice began.
    assert!(room.telegram.press(BOB, second.id, SECOND));
    room.hint("Somebody else began this").await;
    assert!(room.telegram.press(ALICE, second.id, SECOND));
    let case = room.until_case(1, "the end", |case| case.state.is_over()).await;
    assert_eq!((case.state, who(&case)), (State::Done, vec!["Telegram user 42 (@user42)"]));
    room.hint("in a message of its own").await;
    let done = room.until("the end", |shown| shown.text.contains("seen to have taken effect")).await;
    assert!(!has(&done, FIRST), "nothing is left to say yes to");
    assert_eq!(room.performed(), 2);
    // Its code is good once.
    let code = second.buttons[0].1.clone();
    room.telegram.press_again(ALICE, GROUP, second.id, &code);
    room.hint("was used").await;
    assert_eq!(room.performed(), 2);
    room.close().await;
}

#[tokio::test]
async fn above_the_limit_two_people_have_to_say_so_and_one_twice_is_one() {
    let room = Room::open(Some(100)).await;
    let shown = room.theft(1, 5_000).await;
    for times in 1..=2 {
        let shown = room.until("the question", |now| now.id == shown.id && has(now, FIRST)).await;
        room.press_both(ALICE, shown.id).await;
        let told = || room.telegram.hints().iter().filter(|hint| hint.contains("Two different people")).count();
        until("the hint", || (told() >= times).then_some(())).await;
        room.settled().await;
        let case = room.case(1).await.unwrap();
        assert!(matches!(case.state, State::Waiting(_)) && case.given() == 1, "{case:?}");
        room.until("the question again", |shown| shown.text.contains("one more person") && has(shown, FIRST)).await;
    }
    // A second way of the same person does not make two.
    let link = room.links.link(&id(1), "mail", clock::now());
    let asked = room.post(&link, "take=ask").await;
    let code = asked.split("name=\"code\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    room.post(&link, &format!("take=yes&code={code}")).await;
    room.settled().await;
    assert!(matches!(room.case(1).await.unwrap().state, State::Waiting(_)));
    assert_eq!(room.performed(), 0);
    let shown = room.until("the question", |shown| shown.text.contains("one more person") && has(shown, FIRST)).await;
    room.press_both(BOB, shown.id).await;
    let case = room.until_case(1, "the end", |case| case.state.is_over()).await;
    assert_eq!(case.state, State::Done);
    assert_eq!(who(&case), ["Telegram user 42 (@user42)", "Telegram user 43 (@user43)", "the answer page (mail)"]);
    room.close().await;
}

#[tokio::test]
async fn forged_expired_and_foreign_codes_are_no_yes() {
    let room = Room::open(None).await;
    let shown = room.theft(1, 5).await;
    for forged in ["", "0", "00000000000000000000000000000000", "take", "' OR 1=1 --"] {
        room.telegram.press_again(ALICE, GROUP, shown.id, forged);
    }
    room.hint("was used").await;
    let now = clock::now();
    let code = |name: &str, incident: IncidentId, channel: &str, deed: &str, until| store::Code {
        code: name.to_owned(),
        incident,
        channel: channel.to_owned(),
        deed: deed.to_owned(),
        user: Some(ALICE),
        expires: until,
    };
    let later = now + Span::from_secs(300);
    let codes = [
        code("over", id(1), "chat", "take", now - Span::from_secs(1)),
        code("another-channel", id(1), "other", "take", later),
        code("another-incident", id(2), "chat", "take", later),
        code("another-incidents", id(2), "chat", "take", later),
        code("a-third-incidents", id(3), "page/mail", "take", later),
        code("of-the-page", id(1), "page/mail", "take", later),
        code("for-the-page", id(1), "chat", "take", later),
    ];
    room.store.with(move |store| store.keep_codes(&codes, now)).await.unwrap();
    for name in ["over", "another-channel", "another-incident", "of-the-page"] {
        room.telegram.press_again(ALICE, GROUP, shown.id, name);
    }
    let link = room.links.link(&id(1), "mail", now);
    for name in ["for-the-page", "a-third-incidents", "nothing", ""] {
        let told = room.post(&link, &format!("take=yes&code={name}")).await;
        assert!(told.contains("was used, or its time is over"), "{told}");
    }
    // A code is bound to its incident: with another's it is used up and worth nothing.
    let wrong = Approval {
        id: 0,
        incident: id(1),
        yes: true,
        by: "Telegram user 42".into(),
        via: "chat".into(),
        at: now,
        code: "another-incidents".into(),
    };
    assert!(!room.store.with(move |store| store.approve(&wrong)).await.unwrap());
    let forged = Links::new(&room.page, b"another key of sixteen bytes").link(&id(1), "mail", now);
    assert!(room.post(&forged, "take=ask").await.contains("not valid"));
    let old = room.links.link(&id(1), "mail", now - Span::from_secs(8 * 86_400));
    assert!(!room.post(&old, "take=ask").await.contains("name=\"code\""));
    let nobodys = room.links.link(&id(1), "a channel that is not", now);
    assert!(!room.post(&nobodys, "take=ask").await.contains("name=\"code\""));
    // What stands on the page changes nothing by being looked at.
    let seen = room.client.get(&link).send().await.unwrap().text().await.unwrap();
    assert!(seen.contains(FIRST) && seen.contains("name=\"take\" value=\"ask\""), "{seen}");
    // After "back" the second button is worth nothing.
    assert!(room.telegram.press(ALICE, shown.id, FIRST));
    let second = room.until("the second step", |shown| has(shown, SECOND)).await;
    assert!(room.telegram.press(ALICE, second.id, "Back"));
    room.until("the first step", |shown| shown.id == second.id && has(shown, FIRST)).await;
    room.telegram.press_again(ALICE, GROUP, second.id, &second.buttons[0].1);
    room.settled().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let case = room.case(1).await.unwrap();
    assert!(matches!(case.state, State::Waiting(_)) && case.yes.is_empty(), "{case:?}");
    assert_eq!(room.performed(), 0);
    room.close().await;
}

#[tokio::test]
async fn not_me_puts_the_question_and_that_was_me_ends_it() {
    let room = Room::open(None).await;
    // One kind of evidence is not enough, until the owner says that it was not them.
    room.found(1, &[Family::Market], Level::Act, 5).await;
    room.until_case(1, "the refusal", |case| case.state == State::Refused).await;
    let shown = room.until("the incident", |shown| shown.text.contains("theft 1")).await;
    assert!(room.telegram.press(ALICE, shown.id, "Not me, stop it"));
    room.until("the second step", |shown| has(shown, "Yes, it was not me")).await;
    assert!(room.telegram.press(ALICE, shown.id, "Yes, it was not me"));
    room.hint("Raised to act").await;
    // As the pipeline does once it judged the answer.
    room.found(1_000, &[Family::Market], Level::Act, 5).await;
    let case = room.until_case(1, "the question", |case| matches!(case.state, State::Waiting(_))).await;
    assert!(case.disowned && case.yes.is_empty(), "\"not me\" is no yes: {case:?}");
    room.until("the question", |shown| shown.text.contains("waits for your yes") && has(shown, FIRST)).await;
    assert_eq!(room.performed(), 0);

    room.theft(2, 5).await;
    let incident =
        room.until("the incident", |shown| shown.text.contains("theft 2") && has(shown, "That was me")).await;
    assert!(room.telegram.press(BOB, incident.id, "That was me"));
    let case = room.until_case(2, "the end", |case| case.state.is_over()).await;
    assert_eq!(case.state, State::Denied);
    assert!(case.note.contains("Telegram user 43"), "{}", case.note);
    assert_eq!(room.performed(), 0);
    room.close().await;
}

#[tokio::test]
async fn the_answer_page_takes_the_key_away_in_two_presses() {
    let room = Room::open(None).await;
    room.theft(1, 5).await;
    // The mail about the response leads to the same page as the one about the incident.
    let link = room.links.link(&id(1).of_response(), "mail", clock::now());
    let asked = room.post(&link, "take=ask").await;
    assert!(asked.contains(SECOND) && asked.contains("A deleted key is gone"), "{asked}");
    assert_eq!(room.case(1).await.unwrap().given(), 0);
    let code = asked.split("name=\"code\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let told = room.post(&link, &format!("take=yes&code={code}")).await;
    assert!(told.contains("in a message of its own") && !told.contains(FIRST), "{told}");
    let case = room.until_case(1, "the end", |case| case.state.is_over()).await;
    assert_eq!((case.state, who(&case)), (State::Done, vec!["the answer page (mail)"]));
    let told = room.post(&link, &format!("take=yes&code={code}")).await;
    assert!(told.contains("was used, or its time is over"), "{told}");
    assert_eq!(room.performed(), 2);
    room.close().await;
}
