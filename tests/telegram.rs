//! The bot and the people it talks to, against a Bot API that follows the Bot API's rules.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/story.rs"]
mod story;
#[path = "support/telegram.rs"]
mod telegram;

use std::sync::Arc;
use std::time::Duration;

use fillguard::domain::{Effect, EffectKind, Level};
use fillguard::notify::telegram::{Chat, LeakSwitch, Listener, Pulse, Surroundings, TelegramSettings};
use fillguard::notify::{ChannelSettings, Clock, Settings, backoff};
use fillguard::runtime::clock;
use fillguard::secret::Secret;
use fillguard::store::{Handle, Store, Verdict};
use serde_json::json;
use story::{effect, id};
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

struct Desk {
    telegram: Telegram,
    store: Handle,
    stop: CancellationToken,
    running: JoinSet<Result<(), fillguard::store::Error>>,
    _servers: JoinSet<()>,
}

fn settings(base_url: String, chat: i64, users: Vec<i64>) -> Settings {
    let channel = ChannelSettings { name: "chat".into(), phrase: "blue elephant".into(), ..ChannelSettings::default() };
    let mut bot = TelegramSettings::new(channel, Secret::new(TOKEN.into()), Chat::Number(chat));
    (bot.base_url, bot.users, bot.timeout) = (base_url, users, Duration::from_secs(5));
    let backoff = backoff::Settings { first: Duration::from_millis(20), ..backoff::Settings::default() };
    Settings { telegram: vec![bot], backoff, ..Settings::default() }
}

impl Desk {
    async fn open(chat: i64, users: Vec<i64>) -> Desk {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let mut servers = JoinSet::new();
        let telegram = Telegram::serve(listener, TOKEN, &mut servers);
        let (store, stop, running) = start(settings(base_url, chat, users));
        Desk { telegram, store, stop, running, _servers: servers }
    }

    async fn take(&self, effect: Effect) {
        self.store.take(vec![effect]).await.unwrap();
    }

    /// Waits for a message of the bot that fits.
    async fn until(&self, what: &str, fits: impl Fn(&Shown) -> bool) -> Shown {
        until(what, || self.telegram.messages().into_iter().find(|shown| fits(shown))).await
    }

    async fn hint(&self, text: &str) {
        until(text, || self.telegram.hints().iter().any(|hint| hint.contains(text)).then_some(())).await;
    }

    async fn answers(&self) -> Vec<Verdict> {
        let answers = self.store.with(|store| store.answers(&id(1))).await.unwrap();
        answers.iter().map(|answer| answer.verdict).collect()
    }

    async fn close(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

type Running = JoinSet<Result<(), fillguard::store::Error>>;

fn start(settings: Settings) -> (Handle, CancellationToken, Running) {
    let store = Handle::new(Store::in_memory().unwrap(), settings.routes());
    let clock: Clock = Arc::new(clock::now);
    let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
    let switched = Arc::new(std::sync::Mutex::new(Vec::<LeakSwitch>::new()));
    let around = Surroundings {
        pulse: watch::channel(Pulse { seen: 2, accounts: 3, fills: 41, ..Pulse::default() }).1,
        leak_modes: Arc::new({
            let switched = switched.clone();
            move || switched.lock().unwrap().iter().map(|one| format!("{one:?}")).collect()
        }),
        leak_tags: Arc::new(|| vec!["3commas".into(), "cornix".into()]),
        leak: Arc::new(move |asked| {
            if asked.tag == "broken" {
                return Err("Nothing was switched: the disk is full".into());
            }
            switched.lock().unwrap().push(asked.clone());
            Ok(())
        }),
        drill: Arc::new(|_| Ok(())),
    };
    for courier in settings.couriers(&store, &clock, Box::new(std::io::sink())).unwrap() {
        running.spawn(courier.run(stop.clone()));
    }
    for listener in Listener::all(&settings.telegram, &store, &around).unwrap() {
        running.spawn(listener.run(stop.clone()));
    }
    (store, stop, running)
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

fn labels(shown: &Shown) -> Vec<&str> {
    shown.buttons.iter().map(|(label, _)| label.as_str()).collect()
}

/// An effect of now, as commands about a week see it.
fn today(n: u64, level: Level, headline: &str) -> Effect {
    let mut effect = effect(n, &id(1), level, headline);
    effect.at = clock::now();
    let EffectKind::Incident { incident, .. } = &mut effect.kind;
    (incident.opened, incident.last) = (effect.at, effect.at);
    effect
}

#[tokio::test]
async fn not_me_takes_two_steps_of_one_person_on_the_list_and_removes_the_buttons() {
    let desk = Desk::open(GROUP, vec![ALICE, BOB]).await;
    desk.take(today(1, Level::Act, "theft")).await;
    let shown = desk.until("the message", |shown| shown.text.contains("theft")).await;
    assert_eq!(labels(&shown), ["That was me", "Not me, stop it", "Later"]);

    assert!(desk.telegram.press(MALLORY, shown.id, "Not me, stop it"));
    desk.hint("not among those").await;
    assert!(desk.telegram.press(ALICE, shown.id, "Not me, stop it"));
    let asked = desk.until("the second step", |shown| labels(shown) == ["Yes, it was not me", "Back"]).await;
    assert!(desk.telegram.press(BOB, shown.id, "Yes, it was not me"));
    desk.hint("Somebody else began this").await;
    assert!(desk.answers().await.is_empty(), "nothing is answered by one step or by two people");

    assert!(desk.telegram.press(ALICE, shown.id, "Back"));
    desk.until("the first step", |shown| labels(shown).len() == 3).await;
    desk.telegram.press_again(ALICE, GROUP, shown.id, &asked.buttons[0].1.clone());
    let confirm = "Raised to act";
    desk.hint(confirm).await;
    assert_eq!(desk.answers().await, [Verdict::NotMine]);
    let done = desk.until("the answered message", |shown| shown.text.contains("not me.")).await;
    assert!(done.text.contains("@user42") && done.buttons.is_empty(), "{}", done.text);
    // Its code is good once.
    desk.telegram.press_again(ALICE, GROUP, shown.id, &asked.buttons[0].1);
    desk.hint("was used").await;
    assert_eq!(desk.answers().await, [Verdict::NotMine]);
    desk.close().await;
}

#[tokio::test]
async fn that_was_me_takes_one_press_and_can_still_be_taken_back() {
    let desk = Desk::open(ALICE, Vec::new()).await;
    desk.take(today(1, Level::Alert, "odd")).await;
    let shown = desk.until("the message", |shown| shown.text.contains("odd")).await;
    assert!(desk.telegram.press(ALICE, shown.id, "That was me"));
    desk.hint("it was you").await;
    desk.until("one button", |shown| labels(shown) == ["Not me, stop it"]).await;
    assert_eq!(desk.answers().await, [Verdict::Mine]);
    desk.close().await;
}

#[tokio::test]
async fn a_growing_incident_is_one_message_edited_also_after_429_and_5xx() {
    let desk = Desk::open(ALICE, Vec::new()).await;
    desk.telegram.fail(
        429,
        json!({"ok": false, "error_code": 429, "description": "Too Many Requests: retry after 1", "parameters": {"retry_after": 1}}),
    );
    desk.telegram.fail(502, json!("<html>Bad Gateway</html>"));
    desk.take(today(1, Level::Alert, "first")).await;
    let shown = desk.until("the message", |shown| shown.text.contains("first")).await;
    for n in 2..6 {
        desk.take(today(n, Level::Alert, &format!("grown {n}"))).await;
    }
    let edited = desk.until("the edit", |shown| shown.text.contains("grown 5")).await;
    assert_eq!(edited.id, shown.id);
    desk.take(today(9, Level::Act, "louder")).await;
    let louder = desk.until("the louder message", |shown| shown.text.contains("louder")).await;
    assert_ne!(louder.id, shown.id, "what is louder makes a sound");
    assert_eq!(desk.telegram.messages().len(), 2);
    desk.close().await;
}

#[tokio::test]
async fn commands_are_answered_to_those_on_the_list_and_not_when_they_came_late() {
    let desk = Desk::open(GROUP, vec![ALICE]).await;
    desk.take(today(1, Level::Act, "theft")).await;
    desk.until("the message", |shown| shown.text.contains("theft")).await;
    let now = clock::now().millis() / 1_000;
    desk.telegram.write(ALICE, GROUP, "/silence binance/alice 2h late", now - 3_600);
    for (user, text, wanted) in [
        (MALLORY, "/status", "not among those"),
        (ALICE, "/status", "2 of 3 feeds are up"),
        (ALICE, "/incidents", "act /incident binance-alice-1"),
        (ALICE, "/incident binance-alice-1", "38 times its usual size"),
        (ALICE, "/incident nothing", "There is no incident nothing"),
        (ALICE, "/silence", "No account is silent"),
        (ALICE, "/leakmode", "No leak mode is on"),
        (ALICE, "/leakmode on nobody why", "the tags are: 3commas, cornix"),
        (ALICE, "/leakmode on 3commas", "/leakmode on TAG WHY"),
        (ALICE, "/panic", "only below a message that asks for your yes"),
        (ALICE, "/drill", "DRILL"),
        (ALICE, "/help", "/silence ACCOUNT"),
        (ALICE, "/what", "/help lists"),
    ] {
        let before = desk.telegram.messages().len();
        desk.telegram.write(user, GROUP, text, now);
        until(text, || desk.telegram.messages().into_iter().skip(before).find(|shown| shown.text.contains(wanted)))
            .await;
    }
    // A silence acts, so it takes a second step.
    desk.telegram.write(ALICE, GROUP, "/silence binance/alice 2h moving house", now);
    let ask = desk.until("the second step", |shown| labels(shown) == ["Yes, silence it"]).await;
    assert!(desk.store.with(|store| store.silences(clock::now())).await.unwrap().is_empty());
    assert!(desk.telegram.press(ALICE, ask.id, "Yes, silence it"));
    desk.hint("OK").await;
    let silences = desk.store.with(|store| store.silences(clock::now())).await.unwrap();
    assert_eq!((silences.len(), silences[0].why.as_str(), silences[0].by.as_str()), (1, "moving house", "@user42"));
    desk.close().await;
}

#[tokio::test]
async fn a_leak_mode_is_switched_by_two_steps_of_one_person_and_everybody_sees_it() {
    let desk = Desk::open(GROUP, vec![ALICE, BOB]).await;
    let now = clock::now().millis() / 1_000;
    desk.telegram.write(MALLORY, GROUP, "/leakmode off 3commas", now);
    desk.until("the refusal", |shown| shown.text.contains("not among those")).await;
    desk.telegram.write(ALICE, GROUP, "/leakmode on 3commas 2d their <keys> were published", now);
    let ask = desk.until("the second step", |shown| labels(shown) == ["Yes, switch it on"]).await;
    assert!(ask.text.contains("their &lt;keys&gt; were published") && ask.text.contains("3commas"), "{}", ask.text);
    assert!(desk.telegram.press(BOB, ask.id, "Yes, switch it on"));
    desk.hint("Somebody else began this").await;
    assert!(!desk.telegram.messages().iter().any(|shown| shown.text.contains("LeakSwitch")));
    let code = ask.buttons[0].1.clone();
    assert!(desk.telegram.press(ALICE, ask.id, "Yes, switch it on"));
    let said = desk.until("what is on now", |shown| shown.text.contains("LeakSwitch")).await;
    assert!(said.text.contains("@user42") && said.text.matches("LeakSwitch").count() == 1, "{}", said.text);
    // Its code is good once.
    desk.telegram.press_again(ALICE, GROUP, ask.id, &code);
    desk.hint("was used").await;

    desk.telegram.write(BOB, GROUP, "/leakmode off 3commas", now);
    let ask = desk.until("the second step", |shown| labels(shown) == ["Yes, end it"]).await;
    assert!(desk.telegram.press(BOB, ask.id, "Yes, end it"));
    desk.until("both switches", |shown| shown.text.matches("LeakSwitch").count() == 2).await;

    desk.telegram.write(BOB, GROUP, "/leakmode off broken", now);
    let before = ask.id;
    let ask = desk.until("the next step", |shown| shown.id > before && labels(shown) == ["Yes, end it"]).await;
    assert!(desk.telegram.press(BOB, ask.id, "Yes, end it"));
    desk.until("the failure", |shown| shown.text.contains("the disk is full")).await;
    desk.close().await;
}

#[tokio::test]
async fn the_bot_begins_without_telegram_and_goes_on_when_it_is_there() {
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let (store, stop, running) = start(settings(format!("http://{address}"), ALICE, Vec::new()));
    store.take(vec![today(1, Level::Act, "theft")]).await.unwrap();
    let failed = async {
        while store.with(|store| store.backlog()).await.unwrap()[0].why.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), failed).await.unwrap();
    let mut servers = JoinSet::new();
    let telegram = Telegram::serve(TcpListener::bind(address).await.unwrap(), TOKEN, &mut servers);
    let desk = Desk { telegram, store, stop, running, _servers: servers };
    desk.until("the message", |shown| shown.text.contains("theft")).await;
    desk.telegram.write(ALICE, ALICE, "/status", clock::now().millis() / 1_000);
    desk.until("the answer", |shown| shown.text.contains("feeds are up")).await;
    assert!(desk.telegram.calls().contains(&"sendMessage".to_owned()));
    desk.close().await;
}
