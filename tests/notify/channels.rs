//! All channels together: what is printed, what is logged, what is refused.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fillguard::domain::{Level, Message, Timestamp};
use fillguard::notify::email::Tls;
use fillguard::notify::telegram::{Bot, Chat, TelegramSettings};
use fillguard::notify::{Carrier, Clock, Error, Settings, console};
use fillguard::secret::Secret;
use fillguard::store::{Handle, Store};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bot_api::BotApi;
use crate::courier::{Running, clock, handle};
use crate::email::mailbox;
use crate::smtp::{Session, SmtpServer};
use crate::story::{at, effect, id, message};
use crate::telegram::bot;
use crate::{PASSWORD, TOKEN, TOLD, channel, queued};

/// Collects what is printed or logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_token_and_the_password_reach_no_error_and_no_log() {
    let log = Log::default();
    let sink = log.clone();
    // For the whole process: what a thread of the store or another test logs must not hold them either.
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || sink.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let store = handle(&["chat", "mail"]);
    let echo =
        (400, r#"{"ok":false,"error_code":400,"description":"123456789:AAF-canary_token_that_nobody_may_see?"}"#);
    assert!(echo.1.contains(TOKEN));
    let mut said = String::new();
    for answers in [vec![TOLD], vec![(0, "")], vec![(500, "garbage")], vec![echo]] {
        let api = BotApi::start(answers);
        let mut bot = bot(&api);
        said.push_str(&format!("{bot:?} {:?}", bot.carry(&queued(Level::Act, "hello")).await));
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut unreachable = TelegramSettings::new(channel("chat"), Secret::new(TOKEN.to_owned()), Chat::Number(1));
    unreachable.base_url = format!("http://{closed}");
    said.push_str(&format!("{:?}", Bot::new(unreachable.clone()).unwrap().carry(&queued(Level::Act, "x")).await));
    unreachable.token = Secret::new(format!("{TOKEN}/../other"));
    said.push_str(&format!("{:?}", Bot::new(unreachable).map(|_| ())));

    let api = BotApi::start(vec![echo]);
    let server = SmtpServer::start(vec![Session { auth: "535 no", ..Session::default() }]);
    let mut email = mailbox(server.port, Tls::None);
    email.user = Some("desk".to_owned());
    email.password = Some(Secret::new(PASSWORD.to_owned()));
    let mut telegram = TelegramSettings::new(channel("chat"), Secret::new(TOKEN.to_owned()), Chat::Number(1));
    telegram.base_url = api.base_url.clone();
    let settings = Settings { email: vec![email], telegram: vec![telegram], ..Settings::default() };
    said.push_str(&format!("{settings:?}"));
    store.take(vec![effect(1, &id(1), Level::Act, "hello")]).await.unwrap();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let clock: Clock = Arc::new(|| at(1_000));
    for courier in settings.couriers(&store, &clock, Box::new(std::io::sink())).unwrap() {
        tasks.spawn(courier.run(stop.clone()));
    }
    let given_up = |store: &Store| -> Result<bool, fillguard::store::Error> {
        Ok(store.next_due("chat")?.is_none() && store.next_due("mail")?.is_none())
    };
    let settled = async {
        while !store.with(move |store| given_up(store)).await.unwrap() || api.calls().len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), settled).await.expect("both channels gave up");
    stop.cancel();
    while tasks.join_next().await.is_some() {}

    said.push_str(&String::from_utf8(log.0.lock().unwrap().clone()).unwrap());
    assert!(said.contains("refused for good"), "the log was captured: {said}");
    for secret in [TOKEN, "AAF-canary", PASSWORD, "Y2FuYXJ5LXBhc3N3b3Jk"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}

#[test]
fn a_message_on_the_console_is_a_frame_of_even_width() {
    let mut message =
        message(&id(1), Level::Act, "38 x the usual size in 币安人生-USDT \u{1b}[2J and so on until the line breaks");
    message.facts.push("x".repeat(300));
    for width in [40, 80, 120] {
        let text = console::render(&message, width, false);
        assert!(!text.contains('\u{1b}'));
        let columns =
            |line: &str| line.chars().map(|c| if matches!(c, '\u{4e00}'..='\u{9fff}') { 2 } else { 1 }).sum::<usize>();
        assert!(text.lines().all(|line| columns(line) == width), "{text}");
    }
    assert!(console::render(&message, 80, true).contains("\u{1b}[31m"));
    eprintln!("{}", console::render(&message, 80, false));
}

#[test]
fn what_is_to_be_done_is_printed_once_until_it_is_louder_or_something_else() {
    let mut told = message(&id(1), Level::Alert, "trades unlike its owner");
    told.table.push(("Step 1".to_owned(), "Look at it".to_owned()));
    let mut reader = console::Reader::default();
    let mut steps = |told: &Message| {
        let text = reader.render(told, 80, false);
        assert!(text.contains(&told.headline) && text.lines().all(|line| line.chars().count() == 80), "{text}");
        (text.contains("Step 1"), text.contains(&told.next_step))
    };
    assert_eq!(steps(&told), (true, true));
    told.headline = "growing: trades unlike its owner".to_owned();
    assert_eq!(steps(&told), (false, false), "it stands above");
    told.level = Level::Act;
    assert_eq!(steps(&told), (true, true), "louder");
    told.next_step = "Nothing more is needed here.".to_owned();
    assert_eq!(steps(&told), (true, true), "something else");
    told.incident = id(2);
    assert_eq!(steps(&told), (true, true), "of another nothing was said");
}

#[tokio::test(start_paused = true)]
async fn the_console_channel_prints_notices_too() {
    let settings = Settings { console: true, ..Settings::default() };
    let store = Handle::new(Store::in_memory().unwrap(), settings.routes());
    let log = Log::default();
    let courier = settings.couriers(&store, &clock(), Box::new(log.clone())).unwrap().remove(0);
    let mut running = Running::new();
    running.tasks.spawn(courier.run(running.stop.clone()));
    store.take(vec![effect(1, &id(1), Level::Notice, "a quiet word")]).await.unwrap();
    running.for_seconds(5).await;
    assert!(String::from_utf8(log.0.lock().unwrap().clone()).unwrap().contains("a quiet word"));
}

#[test]
fn two_channels_of_one_name_are_refused() {
    let telegram = TelegramSettings::new(channel("same"), Secret::new(TOKEN.to_owned()), Chat::Number(1));
    let settings = Settings { telegram: vec![telegram.clone(), telegram], ..Settings::default() };
    let store = handle(&[]);
    let clock: Clock = Arc::new(|| Timestamp::EPOCH);
    assert!(matches!(settings.couriers(&store, &clock, Box::new(std::io::sink())), Err(Error::Value { .. })));
}
