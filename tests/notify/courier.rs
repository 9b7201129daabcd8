//! Couriers in paused time: who is tried when.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fillguard::domain::Level;
use fillguard::notify::backoff::Settings as Backoff;
use fillguard::notify::email::EmailSettings;
use fillguard::notify::telegram::{Chat, TelegramSettings};
use fillguard::notify::{Carrier, ChannelSettings, Clock, Courier, Failure, Settings};
use fillguard::secret::Secret;
use fillguard::store::{Cause, ChannelRoute, Handle, Queued, Store};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::story::{at, effect, id};

/// Answers what it is told to, and writes down when it was asked and what.
#[derive(Clone, Default)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<Result<String, Failure>>>>,
    asked: Arc<Mutex<Vec<(Duration, Queued)>>>,
}

impl Scripted {
    fn answering(answers: impl IntoIterator<Item = Result<String, Failure>>) -> Self {
        Scripted { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Scripted::default() }
    }

    fn asked(&self) -> Vec<(Duration, Queued)> {
        self.asked.lock().unwrap().clone()
    }
}

impl Carrier for Scripted {
    async fn carry(&mut self, queued: &Queued) -> Result<String, Failure> {
        self.asked.lock().unwrap().push((elapsed(), queued.clone()));
        self.answers.lock().unwrap().pop_front().unwrap_or_else(|| Ok("receipt".to_owned()))
    }
}

thread_local! {
    static START: std::cell::OnceCell<tokio::time::Instant> = const { std::cell::OnceCell::new() };
}

#[expect(clippy::disallowed_methods, reason = "paused time is what these tests are about")]
fn elapsed() -> Duration {
    START.with(|start| start.get_or_init(tokio::time::Instant::now).elapsed())
}

/// A clock that goes with paused time and starts at `at(1000)`.
pub fn clock() -> Clock {
    elapsed();
    Arc::new(|| at(1_000) + elapsed().into())
}

pub fn handle(channels: &[&str]) -> Handle {
    let routes = channels
        .iter()
        .map(|name| ChannelRoute { name: (*name).to_owned(), min_level: Level::Alert, ..ChannelRoute::default() })
        .collect();
    Handle::new(Store::in_memory().unwrap(), routes)
}

fn down(why: &str, after: Option<u64>) -> Result<String, Failure> {
    Err(Failure::Down { why: why.to_owned(), after: after.map(Duration::from_secs), uncertain: false })
}

pub struct Running {
    pub tasks: JoinSet<Result<(), fillguard::store::Error>>,
    pub stop: CancellationToken,
}

impl Running {
    pub fn new() -> Self {
        Running { tasks: JoinSet::new(), stop: CancellationToken::new() }
    }

    fn start(&mut self, name: &str, carrier: &Scripted, store: &Handle, others: &[&str]) {
        let others = others.iter().map(|other| (*other).to_owned()).collect();
        let courier =
            Courier::new(name.to_owned(), carrier.clone(), store.clone(), Backoff::default(), clock()).telling(others);
        self.tasks.spawn(courier.run(self.stop.clone()));
    }

    /// Lets paused time pass, then stops everything.
    pub async fn for_seconds(mut self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_down_is_tried_again_at_growing_jittered_waits_until_it_works() {
    let store = handle(&["mail"]);
    let carrier = Scripted::answering((0..12).map(|_| down("refused", None)));
    let mut running = Running::new();
    running.start("mail", &carrier, &store, &[]);
    store.take(vec![effect(1, &id(1), Level::Alert, "hello")]).await.unwrap();
    running.for_seconds(6 * 3_600).await;
    let times: Vec<Duration> = carrier.asked().iter().map(|(time, _)| *time).collect();
    assert_eq!(times.len(), 13, "twelve failures and one success");
    let mut before = Duration::from_secs(1);
    for pair in times.windows(2) {
        let wait = pair[1] - pair[0];
        let most = (before * 3).clamp(Duration::from_secs(3), Duration::from_secs(900)) + Duration::from_secs(1);
        assert!(wait >= Duration::from_secs(1) && wait <= most, "{wait:?} after {before:?}");
        before = wait;
    }
    assert_eq!(store.with(|store| store.next_due("mail")).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_asks_to_wait_is_waited_by_the_whole_channel() {
    let store = handle(&["chat"]);
    let carrier = Scripted::answering([down("429", Some(37))]);
    store.take(vec![effect(1, &id(1), Level::Alert, "one"), effect(2, &id(2), Level::Alert, "two")]).await.unwrap();
    let mut running = Running::new();
    running.start("chat", &carrier, &store, &[]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    store.take(vec![effect(3, &id(3), Level::Act, "three")]).await.unwrap();
    running.for_seconds(300).await;
    let asked = carrier.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked[1].0 - asked[0].0 >= Duration::from_secs(37), "{:?}", asked[1].0);
    assert_eq!(asked[1].1.message.headline, "three", "the loudest first");
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_down_delays_no_other() {
    let store = handle(&["mail", "chat"]);
    let broken = Scripted::answering((0..1_000).map(|_| down("refused", None)));
    let working = Scripted::default();
    let mut running = Running::new();
    running.start("mail", &broken, &store, &[]);
    running.start("chat", &working, &store, &[]);
    store.take((1..=20).map(|n| effect(n, &id(n), Level::Alert, "hello")).collect()).await.unwrap();
    running.for_seconds(1).await;
    assert_eq!(working.asked().len(), 20);
    assert!(broken.asked().len() <= 2, "one attempt a wait");
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_everything_that_waited_goes_out_within_a_minute() {
    let store = handle(&["mail"]);
    let broken_for = 30;
    let carrier = Scripted::answering((0..broken_for).map(|_| down("refused", None)));
    let mut running = Running::new();
    running.start("mail", &carrier, &store, &[]);
    store.take((1..=10).map(|n| effect(n, &id(n), Level::Alert, "hello")).collect()).await.unwrap();
    running.for_seconds(24 * 3_600).await;
    let asked = carrier.asked();
    assert_eq!(asked.len(), broken_for + 10);
    let back = asked[broken_for].0;
    assert!(asked.last().unwrap().0 - back <= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_message_put_off_does_not_hold_up_the_others() {
    let store = handle(&["mail"]);
    let carrier = Scripted::answering([Err(Failure::Later { why: "451 greylisted".to_owned() })]);
    store.take(vec![effect(1, &id(1), Level::Alert, "one"), effect(2, &id(2), Level::Alert, "two")]).await.unwrap();
    let mut running = Running::new();
    running.start("mail", &carrier, &store, &[]);
    running.for_seconds(60).await;
    let asked: Vec<String> = carrier.asked().into_iter().map(|(_, queued)| queued.message.headline).collect();
    assert_eq!(asked, ["one", "two", "one"]);
    let times: Vec<Duration> = carrier.asked().iter().map(|(time, _)| *time).collect();
    assert!(times[1] - times[0] < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_message_refused_for_good_is_given_up_and_told_on_the_other_channels_once() {
    let store = handle(&["mail", "chat"]);
    let refuse = || Err(Failure::Never { why: "550 no such mailbox".to_owned() });
    let (mail, chat) = (Scripted::answering([refuse()]), Scripted::default());
    let mut running = Running::new();
    running.start("mail", &mail, &store, &["chat"]);
    running.start("chat", &chat, &store, &["mail"]);
    store.take(vec![effect(1, &id(1), Level::Act, "the headline")]).await.unwrap();
    running.for_seconds(3_600).await;
    assert_eq!(mail.asked().len(), 1);
    let told: Vec<_> = chat.asked().into_iter().map(|(_, queued)| queued.message).collect();
    assert_eq!(told.len(), 2);
    let report = told.iter().find(|message| message.headline.contains("mail")).unwrap();
    assert!(report.headline.contains("550 no such mailbox") && report.level == Level::Act);
    assert!(report.facts[0].contains("the headline"));
}

#[tokio::test(start_paused = true)]
async fn two_channels_that_refuse_everything_do_not_report_each_other_for_ever() {
    let store = handle(&["mail", "chat"]);
    let refusing = || Scripted::answering((0..100).map(|_| Err(Failure::Never { why: "no".to_owned() })));
    let (mail, chat) = (refusing(), refusing());
    let mut running = Running::new();
    running.start("mail", &mail, &store, &["chat"]);
    running.start("chat", &chat, &store, &["mail"]);
    store.take(vec![effect(1, &id(1), Level::Act, "hello")]).await.unwrap();
    running.for_seconds(3_600).await;
    // The incident is tried again each quarter of an hour; what each says of the other once, and not again.
    for channel in [&mail, &chat] {
        let reports = channel.asked().iter().filter(|(_, queued)| queued.cause == Cause::Report).count();
        assert!(reports <= 1 && channel.asked().len() - reports <= 5, "{:?}", channel.asked());
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_late_by_ten_minutes_is_told_on_the_other_channels_once() {
    let store = handle(&["mail", "chat"]);
    let mail = Scripted::answering((0..1_000).map(|_| down("no route to host", None)));
    let chat = Scripted::default();
    let mut running = Running::new();
    running.start("mail", &mail, &store, &["chat"]);
    running.start("chat", &chat, &store, &["mail"]);
    store.take(vec![effect(999, &id(1), Level::Alert, "hello")]).await.unwrap();
    running.for_seconds(3 * 3_600).await;
    let reports: Vec<Duration> = chat
        .asked()
        .into_iter()
        .filter(|(_, queued)| queued.message.headline.contains("mail does not deliver"))
        .map(|(time, _)| time)
        .collect();
    assert_eq!(reports.len(), 1);
    assert!(reports[0] >= Duration::from_secs(590) && reports[0] <= Duration::from_secs(1_500), "{reports:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_being_sent_when_the_process_died_is_sent_again_as_a_possible_repeat() {
    let store = handle(&["mail"]);
    store.take(vec![effect(1, &id(1), Level::Alert, "hello")]).await.unwrap();
    store
        .with(|store| {
            let row = store.due("mail", at(60), 1)?.remove(0);
            store.mark_sending(row.id, at(60))
        })
        .await
        .unwrap();
    let carrier = Scripted::default();
    let mut running = Running::new();
    running.start("mail", &carrier, &store, &[]);
    running.for_seconds(60).await;
    let asked = carrier.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].1.uncertain);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_incidents_in_a_minute_are_at_most_three_messages_a_person_over_all_channels() {
    // Two channels of one person, told at once.
    let person = |name: &str| ChannelSettings { name: name.into(), person: "me".into(), ..ChannelSettings::default() };
    let token = Secret::new("1:a_token".into());
    let chat = TelegramSettings::new(person("chat"), token, Chat::Number(42));
    let (from, to) = ("guard@example.org".parse().unwrap(), vec!["me@example.org".parse().unwrap()]);
    let mail = EmailSettings::new(person("mail"), "127.0.0.1", from, to);
    let settings = Settings { email: vec![mail], telegram: vec![chat], ..Settings::default() };
    let store = Handle::new(Store::in_memory().unwrap(), settings.routes());
    let (mail, chat) = (Scripted::default(), Scripted::default());
    let mut running = Running::new();
    running.start("mail", &mail, &store, &[]);
    running.start("chat", &chat, &store, &[]);
    for second in 0..40_u64 {
        let storm = (0..250).map(|place| {
            let n = 1 + second * 250 + place;
            let mut effect = effect(n, &id(n), Level::Act, &format!("theft {n}"));
            effect.at = at(1_000);
            effect
        });
        store.take(storm.collect()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    running.for_seconds(600).await;
    let mut all: Vec<(Duration, Queued)> = mail.asked().into_iter().chain(chat.asked()).collect();
    all.sort_by_key(|(at, _)| *at);
    for (place, (at, _)) in all.iter().enumerate() {
        let within = all[place..].iter().take_while(|(other, _)| *other < *at + Duration::from_secs(60)).count();
        assert!(within <= 3, "{within} messages within a minute");
    }
    for carrier in [&mail, &chat] {
        let mut told = 0;
        for (_, queued) in carrier.asked() {
            let id = queued.id;
            told += match queued.cause {
                Cause::Digest => store.with(move |store| store.digested(id)).await.unwrap().len(),
                Cause::News | Cause::Repeat | Cause::Escalation | Cause::Report | Cause::Test => 1,
            };
        }
        assert_eq!(told, 10_000, "each is told by itself or among others");
    }
}

#[tokio::test(start_paused = true)]
async fn a_theft_that_the_only_channel_refuses_is_tried_again_each_quarter_of_an_hour() {
    let store = handle(&["mail"]);
    let refused = || Err(Failure::Never { why: "535 wrong password".to_owned() });
    let carrier = Scripted::answering([refused(), refused()]);
    let mut running = Running::new();
    running.start("mail", &carrier, &store, &[]);
    store.take(vec![effect(1, &id(1), Level::Act, "theft")]).await.unwrap();
    running.for_seconds(3_600).await;
    let asked: Vec<(u64, u32)> =
        carrier.asked().iter().map(|(time, one)| (time.as_secs() / 60, one.attempts)).collect();
    assert_eq!(asked, [(0, 0), (15, 1), (30, 2)], "twice refused, then accepted, then never again");
}

#[tokio::test(start_paused = true)]
async fn whom_a_message_reached_is_remembered_until_all_have_it() {
    let store = handle(&["mail"]);
    let partly = Err(Failure::Partly { reached: vec!["a@example.org".to_owned()], why: "b: greylisted".to_owned() });
    let carrier = Scripted::answering([partly]);
    let mut running = Running::new();
    running.start("mail", &carrier, &store, &[]);
    store.take(vec![effect(1, &id(1), Level::Act, "theft")]).await.unwrap();
    running.for_seconds(600).await;
    let reached: Vec<_> = carrier.asked().into_iter().map(|(_, one)| one.reached).collect();
    assert_eq!(reached, [vec![], vec!["a@example.org".to_owned()]]);
}

#[tokio::test(start_paused = true)]
async fn what_was_put_off_and_then_refused_is_told_on_the_other_channels() {
    let store = handle(&["mail", "chat"]);
    let mail = Scripted::answering([
        Err(Failure::Later { why: "451 greylisted".to_owned() }),
        Err(Failure::Never { why: "550 no such mailbox".to_owned() }),
    ]);
    let chat = Scripted::default();
    let mut running = Running::new();
    running.start("mail", &mail, &store, &["chat"]);
    running.start("chat", &chat, &store, &["mail"]);
    store.take(vec![effect(1, &id(1), Level::Act, "theft")]).await.unwrap();
    running.for_seconds(3_600).await;
    let reports = chat.asked().into_iter().filter(|(_, one)| one.cause == Cause::Report);
    let said: Vec<String> = reports.map(|(_, one)| one.message.headline).collect();
    let [first, then] = said.as_slice() else { panic!("{said:?}") };
    assert!(first.contains("451 greylisted") && then.contains("550 no such mailbox"), "{said:?}");
}
