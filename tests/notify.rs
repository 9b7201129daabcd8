//! Couriers, mail servers and the Bot API as they are on bad days, on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it is skipped"
)]

#[path = "support/bot_api.rs"]
mod bot_api;
#[path = "support/smtp.rs"]
mod smtp;
#[path = "support/story.rs"]
mod story;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bot_api::BotApi;
use fillguard::domain::{Level, Timestamp};
use fillguard::notify::backoff::Settings as Backoff;
use fillguard::notify::email::{EmailSettings, Letter, Mailer, Tls, compose, eml};
use fillguard::notify::telegram::{Bot, Chat, TelegramSettings};
use fillguard::notify::{Carrier, ChannelSettings, Clock, Courier, Error, Failure, Settings, console};
use fillguard::secret::Secret;
use fillguard::store::{ChannelRoute, Handle, Queued, Sent, Store};
use smtp::{Protection, Session, SmtpServer, certificate, server_config};
use story::{at, effect, id, message};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "123456789:AAF-canary_token_that_nobody_may_see";
const PASSWORD: &str = "canary-password-that-nobody-may-see";
const TOLD: (u16, &str) = (200, r#"{"ok":true,"result":{"message_id":77}}"#);

fn channel(name: &str) -> ChannelSettings {
    ChannelSettings { name: name.to_owned(), phrase: "blue elephant".to_owned(), ..ChannelSettings::default() }
}

fn queued(level: Level, headline: &str) -> Queued {
    Queued {
        id: 7,
        channel: "test".to_owned(),
        incident: id(1),
        message: message(&id(1), level, headline),
        at: at(5),
        first_at: at(1),
        merged: 0,
        attempts: 0,
        uncertain: false,
        waited: fillguard::domain::Span::ZERO,
        previous: None,
    }
}

// -- couriers, in paused time

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
fn clock() -> Clock {
    elapsed();
    Arc::new(|| at(1_000) + elapsed().into())
}

fn handle(channels: &[&str]) -> Handle {
    let routes = channels
        .iter()
        .map(|name| ChannelRoute { name: (*name).to_owned(), min_level: Level::Alert, accounts: None })
        .collect();
    Handle::new(Store::in_memory().unwrap(), routes)
}

fn down(why: &str, after: Option<u64>) -> Result<String, Failure> {
    Err(Failure::Down { why: why.to_owned(), after: after.map(Duration::from_secs), uncertain: false })
}

struct Running {
    tasks: JoinSet<Result<(), fillguard::store::Error>>,
    stop: CancellationToken,
}

impl Running {
    fn new() -> Self {
        Running { tasks: JoinSet::new(), stop: CancellationToken::new() }
    }

    fn start(&mut self, name: &str, carrier: &Scripted, store: &Handle, others: &[&str]) {
        let others = others.iter().map(|other| (*other).to_owned()).collect();
        let courier =
            Courier::new(name.to_owned(), carrier.clone(), store.clone(), Backoff::default(), clock()).telling(others);
        self.tasks.spawn(courier.run(self.stop.clone()));
    }

    /// Lets paused time pass, then stops everything.
    async fn for_seconds(mut self, seconds: u64) {
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
    assert!(mail.asked().len() <= 2 && chat.asked().len() <= 2);
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

// -- e-mail

fn mailbox(port: u16, tls: Tls) -> EmailSettings {
    let from = "fillguard <watch@example.org>".parse().unwrap();
    let to = vec!["Desk <desk@example.org>".parse().unwrap()];
    EmailSettings {
        port,
        tls,
        timeout: Duration::from_secs(10),
        ..EmailSettings::new(channel("mail"), "127.0.0.1", from, to)
    }
}

async fn mail_through(session: Session, to: &[&str]) -> (Result<String, Failure>, SmtpServer) {
    let server = SmtpServer::start(vec![session]);
    let mut settings = mailbox(server.port, Tls::None);
    settings.to = to.iter().map(|to| to.parse().unwrap()).collect();
    let outcome = Mailer::new(settings).unwrap().carry(&queued(Level::Alert, "hello")).await;
    (outcome, server)
}

const DESK: &[&str] = &["desk@example.org"];

#[tokio::test]
async fn a_mail_that_is_accepted_gives_its_message_id_and_arrives_once() {
    let (outcome, server) = mail_through(Session::default(), DESK).await;
    let receipt = outcome.unwrap();
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert!(received[0].data.contains(&format!("Message-ID: {receipt}\r\n")));
    assert_eq!(received[0].to, ["RCPT TO:<desk@example.org>"]);
}

#[tokio::test]
async fn greylisting_puts_a_mail_off_and_a_5xx_answer_ends_it() {
    let at_rcpt = |answer| Session { rcpt: vec![answer], ..Session::default() };
    let (outcome, _) = mail_through(at_rcpt("451 4.7.1 greylisted, come back later"), DESK).await;
    assert!(matches!(&outcome, Err(Failure::Later { why }) if why.contains("greylisted")), "{outcome:?}");
    let (outcome, _) = mail_through(at_rcpt("550 5.1.1 no such mailbox"), DESK).await;
    assert!(matches!(&outcome, Err(Failure::Never { why }) if why.contains("no such mailbox")), "{outcome:?}");
    let (outcome, _) = mail_through(Session { end: "554 5.7.1 spam", ..Session::default() }, DESK).await;
    assert!(matches!(&outcome, Err(Failure::Never { .. })), "{outcome:?}");
    let (outcome, _) = mail_through(Session { greeting: "421 too busy", ..Session::default() }, DESK).await;
    assert!(matches!(&outcome, Err(Failure::Down { uncertain: false, .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_connection_lost_after_the_text_may_have_delivered_it() {
    let (outcome, server) = mail_through(Session { end: "", ..Session::default() }, DESK).await;
    assert!(matches!(&outcome, Err(Failure::Down { uncertain: true, .. })), "{outcome:?}");
    let first = server.received().remove(0).data;
    // The second attempt is the same mail, and says so: one Message-ID.
    let mut again = queued(Level::Alert, "hello");
    again.uncertain = true;
    let mail = eml(&again.message, &mailbox(1, Tls::None), &Letter::from(&again)).unwrap();
    let text = String::from_utf8(mail).unwrap();
    let id_of = |text: &str| text.lines().find(|line| line.starts_with("Message-ID:")).unwrap().trim().to_owned();
    assert_eq!(id_of(&first), id_of(&text));
    assert!(text.contains("may be a repeat") && !first.contains("may be a repeat"));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_after_the_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = mailbox(listener.local_addr().unwrap().port(), Tls::None);
    settings.timeout = Duration::from_millis(200);
    let outcome = Mailer::new(settings).unwrap().carry(&queued(Level::Alert, "hello")).await;
    assert!(matches!(&outcome, Err(Failure::Down { uncertain: false, .. })), "{outcome:?}");
}

#[tokio::test]
async fn one_refused_recipient_does_not_keep_the_others_from_being_told() {
    let session = Session { rcpt: vec!["550 gone", "250 fine"], ..Session::default() };
    let (outcome, server) = mail_through(session, &["gone@example.org", "desk@example.org"]).await;
    outcome.unwrap();
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_mail_goes_over_starttls_and_implicit_tls_with_sign_in_and_never_past_a_wrong_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let Some(right) = certificate(folder.path(), "right") else { return };
    let Some(wrong) = certificate(folder.path(), "wrong") else { return };
    let config = server_config(&right);
    for (tls, protection) in
        [(Tls::Starttls, Protection::Starttls(config.clone())), (Tls::Implicit, Protection::Implicit(config))]
    {
        let server = SmtpServer::start(vec![Session { tls: protection, ..Session::default() }]);
        let mut settings = mailbox(server.port, tls);
        settings.user = Some("desk".to_owned());
        settings.password = Some(Secret::new(PASSWORD.to_owned()));
        settings.ca_file = Some(right.0.clone());
        Mailer::new(settings.clone()).unwrap().carry(&queued(Level::Alert, "hello")).await.unwrap();
        let received = server.received().remove(0);
        assert!(received.encrypted && received.accepted, "{tls:?}");
        assert!(received.signed_in.is_some());

        for other in [Some(wrong.0.clone()), None] {
            settings.ca_file = other;
            let outcome = Mailer::new(settings.clone()).unwrap().carry(&queued(Level::Alert, "hello")).await;
            assert!(matches!(&outcome, Err(Failure::Down { uncertain: false, .. })), "{outcome:?}");
            assert!(!format!("{outcome:?}").contains(PASSWORD));
        }
        assert_eq!(server.received().len(), 1, "nothing went past a certificate that was not trusted");
    }
}

#[tokio::test]
async fn without_starttls_nothing_is_said_and_a_wrong_password_ends_it_without_being_shown() {
    let server = SmtpServer::start(vec![Session::default()]);
    let outcome = Mailer::new(mailbox(server.port, Tls::Starttls)).unwrap().carry(&queued(Level::Alert, "x")).await;
    assert!(matches!(&outcome, Err(Failure::Down { why, .. }) if why.contains("STARTTLS")), "{outcome:?}");
    assert!(server.received().is_empty());

    let server = SmtpServer::start(vec![Session { auth: "535 5.7.8 wrong", ..Session::default() }]);
    let mut settings = mailbox(server.port, Tls::None);
    settings.user = Some("desk".to_owned());
    settings.password = Some(Secret::new(PASSWORD.to_owned()));
    assert!(!format!("{settings:?}").contains(PASSWORD));
    let outcome = Mailer::new(settings).unwrap().carry(&queued(Level::Alert, "x")).await;
    assert!(matches!(&outcome, Err(Failure::Never { .. })), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(PASSWORD));
}

#[test]
fn a_mailbox_that_would_be_readable_by_others_or_is_incomplete_is_refused() {
    let mut settings = mailbox(25, Tls::None);
    settings.server = "mail.example.org".to_owned();
    assert!(matches!(Mailer::new(settings.clone()), Err(Error::Plain { .. })));
    settings.tls = Tls::Starttls;
    settings.to.clear();
    assert!(matches!(Mailer::new(settings), Err(Error::Value { .. })));
    let mut settings = mailbox(25, Tls::None);
    settings.user = Some("desk".to_owned());
    assert!(matches!(Mailer::new(settings), Err(Error::Value { .. })));
    let mut settings = mailbox(25, Tls::None);
    settings.to = vec!["desk@exämple.org".parse().unwrap()];
    assert!(matches!(Mailer::new(settings), Err(Error::Value { .. })));
    let mut settings = mailbox(587, Tls::Starttls);
    settings.ca_file = Some(PathBuf::from("/nonexistent.pem"));
    assert!(matches!(Mailer::new(settings), Err(Error::Certificate { .. })));
}

#[test]
fn a_mail_is_the_same_bytes_every_time_and_no_word_of_it_can_forge_a_header() {
    let nasty = "hello\r\nBcc: thief@example.org\r\n\r\nbody\u{202e}<script>alert(1)</script>";
    let mut message = message(&fillguard::domain::IncidentId::known(nasty), Level::Act, nasty);
    message.facts.push(nasty.to_owned());
    message.table.push((nasty.to_owned(), nasty.to_owned()));
    message.link = format!("https://example.org/{nasty}");
    let mut settings = mailbox(25, Tls::None);
    settings.channel.phrase = nasty.to_owned();
    let letter = Letter { row: 3, at: at(9), repeat: true, previous: Some(format!("<a@b>{nasty}")) };
    let mail = eml(&message, &settings, &letter).unwrap();
    assert_eq!(mail, eml(&message, &settings, &letter).unwrap());
    let text = String::from_utf8(mail).unwrap();
    let (headers, body) = text.split_once("\r\n\r\n").unwrap();
    let names: Vec<&str> = headers
        .lines()
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    let allowed = [
        "From",
        "To",
        "Date",
        "Subject",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Auto-Submitted",
        "X-Fillguard-Incident",
        "MIME-Version",
        "Content-Type",
    ];
    assert!(names.iter().all(|name| allowed.contains(name)), "{names:?}");
    let page = body.split_once("text/html").unwrap().1;
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>") && !body.contains("\r\nBcc:"));
    assert_eq!(compose(&message, &settings, &letter).unwrap().envelope().to().len(), 1);
}

proptest::proptest! {
    #[test]
    fn no_word_from_outside_adds_a_header_or_a_tag(text in ".{0,400}", id in ".{0,80}", phrase in ".{0,80}") {
        let mut message = message(&fillguard::domain::IncidentId::known(&id), Level::Alert, &text);
        message.link = text.clone();
        message.otherwise = text;
        let plain = EmailSettings { channel: ChannelSettings { phrase, ..channel("mail") }, ..mailbox(25, Tls::None) };
        let mail = compose(&message, &plain, &Letter { at: at(9), ..Letter::default() }).unwrap();
        let bytes = String::from_utf8(mail.formatted()).unwrap();
        proptest::prop_assert!(bytes.is_ascii() && bytes.lines().all(|line| line.len() <= 998));
        let headers = bytes.split_once("\r\n\r\n").unwrap().0;
        let count = headers.lines().filter(|line| !line.starts_with([' ', '\t'])).count();
        proptest::prop_assert_eq!(count, 11, "{}", headers);
    }
}

#[test]
fn mails_of_one_incident_are_one_thread() {
    let settings = mailbox(25, Tls::None);
    let mut first = queued(Level::Alert, "first");
    let header = |queued: &Queued, name: &str| {
        let text = String::from_utf8(eml(&queued.message, &settings, &Letter::from(queued)).unwrap()).unwrap();
        let unfolded = text.replace("\r\n ", " ");
        let line = unfolded.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap().to_owned();
        line.split_once(": ").unwrap().1.trim().to_owned()
    };
    let root = header(&first, "References");
    let receipt = header(&first, "Message-ID");
    first.previous = Some(Sent { receipt: receipt.clone(), level: Level::Alert });
    first.id = 8;
    assert_ne!(header(&first, "Message-ID"), receipt);
    assert_eq!(header(&first, "In-Reply-To"), receipt);
    assert_eq!(header(&first, "References"), format!("{root} {receipt}"));
}

/// A venv with aiosmtpd under the target folder, made once.
fn aiosmtpd() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aiosmtpd");
    let python = venv.join("bin/python");
    let has_it = || Command::new(&python).args(["-c", "import aiosmtpd"]).output().is_ok_and(|o| o.status.success());
    if !has_it() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).output();
        let installed = Command::new(&python).args(["-m", "pip", "install", "--quiet", "aiosmtpd"]).output();
        if !has_it() {
            eprintln!("skipped: aiosmtpd cannot be installed: {made:?} {installed:?}");
            return None;
        }
    }
    Some(python)
}

#[tokio::test]
async fn an_independent_server_receives_the_mail_over_starttls_and_reads_it_as_meant() {
    let folder = tempfile::tempdir().unwrap();
    let Some(right) = certificate(folder.path(), "right") else { return };
    let Some(python) = aiosmtpd() else { return };
    let mut child = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/receive.py"))
        .args([&right.0, &right.1])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next().expect("the server started").unwrap().parse().unwrap();
    let mut settings = mailbox(port, Tls::Starttls);
    settings.ca_file = Some(right.0);
    settings.user = Some("desk".to_owned());
    settings.password = Some(Secret::new("wrong horse".to_owned()));
    let mut queued = queued(Level::Act, "38 x the usual size in 币安人生-USDT, about 0.42 BTC lost");
    queued.message.facts.push("a line so long that it must be folded somewhere on its way ".repeat(20));
    let refused = Mailer::new(settings.clone()).unwrap().carry(&queued).await;
    assert!(matches!(&refused, Err(Failure::Never { why }) if why.contains("535")), "{refused:?}");

    settings.password = Some(Secret::new("correct horse".to_owned()));
    let receipt = Mailer::new(settings).unwrap().carry(&queued).await.unwrap();
    let line = tokio::task::spawn_blocking(move || lines.next().unwrap().unwrap()).await.unwrap();
    let mail: serde_json::Value = serde_json::from_str(&line).unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(mail["encrypted"], true);
    assert_eq!(mail["user"], "desk");
    assert_eq!(mail["defects"].as_array().unwrap().len(), 0, "{mail}");
    assert_eq!(mail["type"], "multipart/alternative");
    assert_eq!(mail["to"][0], "desk@example.org");
    assert_eq!(mail["date"], "2026-03-01T09:00:05+00:00");
    let header = |name: &str| mail["headers"][name].as_str().unwrap().to_owned();
    assert_eq!(header("Subject"), "[fillguard] act: 38 x the usual size in 币安人生-USDT, about 0.42 BTC lost");
    assert_eq!(header("Message-ID"), receipt);
    assert_eq!(header("Auto-Submitted"), "auto-generated");
    assert_eq!(header("X-Fillguard-Incident"), "binance-alice-1");
    for (part, link) in [("text/plain", "\nhttps://www.binance.com/"), ("text/html", "href=\"https://www.binance.com/")]
    {
        let text = mail["parts"][part].as_str().unwrap();
        for word in ["币安人生-USDT", "Delete this API key on Binance now.", "0.31 BTC a minute", "blue elephant", link]
        {
            assert!(text.contains(word), "{part} lacks {word}: {text}");
        }
    }
}

// -- Telegram

fn bot(api: &BotApi) -> Bot {
    let settings = TelegramSettings {
        base_url: api.base_url.clone(),
        timeout: Duration::from_secs(10),
        ..TelegramSettings::new(channel("chat"), Secret::new(TOKEN.to_owned()), Chat::Number(42))
    };
    Bot::new(settings).unwrap()
}

async fn tell(answers: Vec<(u16, &'static str)>, queued: &Queued) -> (Result<String, Failure>, BotApi) {
    let api = BotApi::start(answers);
    let outcome = bot(&api).carry(queued).await;
    (outcome, api)
}

#[tokio::test]
async fn a_message_is_sent_as_html_without_preview_and_gives_its_number() {
    let (outcome, api) = tell(vec![TOLD], &queued(Level::Alert, "a <b> & c")).await;
    assert_eq!(outcome.unwrap(), "77");
    let (method, body) = api.calls().remove(0);
    assert_eq!(method, "sendMessage");
    assert_eq!((&body["chat_id"], &body["parse_mode"]), (&42.into(), &"HTML".into()));
    assert_eq!(body["link_preview_options"]["is_disabled"], true);
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("a &lt;b&gt; &amp; c") && text.contains("blue elephant"), "{text}");
}

#[tokio::test]
async fn too_many_requests_is_waited_out_and_a_refusal_is_final() {
    let one = queued(Level::Alert, "hello");
    let slow = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 7","parameters":{"retry_after":7}}"#;
    let (outcome, _) = tell(vec![(429, slow)], &one).await;
    let Err(Failure::Down { after, uncertain, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((after, uncertain), (Some(Duration::from_secs(7)), false));
    for (status, answer) in [
        (403, r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#),
        (401, r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#),
        (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#),
    ] {
        let (outcome, _) = tell(vec![(status, answer)], &one).await;
        assert!(matches!(outcome, Err(Failure::Never { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_telegrams_is_tried_again_and_says_when_it_is_uncertain() {
    let one = queued(Level::Alert, "hello");
    for (answer, expected) in [
        ((500, r#"{"ok":false,"error_code":500,"description":"Internal Server Error"}"#), false),
        ((502, "<html>Bad Gateway</html>"), false),
        ((200, "<html>welcome to the hotel network</html>"), true),
        ((302, ""), false),
        ((0, ""), true),
    ] {
        let (outcome, api) = tell(vec![answer], &one).await;
        let Err(Failure::Down { uncertain, .. }) = outcome else { panic!("{answer:?} {outcome:?}") };
        assert_eq!(uncertain, expected, "{answer:?}");
        assert_eq!(api.calls().len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_growing_incident_edits_its_message_and_a_louder_or_uneditable_one_is_told_anew() {
    let mut later = queued(Level::Alert, "grown");
    later.previous = Some(Sent { receipt: "55".to_owned(), level: Level::Alert });
    let (outcome, api) = tell(vec![TOLD], &later).await;
    assert_eq!(outcome.unwrap(), "55");
    let (method, body) = api.calls().remove(0);
    assert_eq!((method.as_str(), &body["message_id"]), ("editMessageText", &55.into()));

    let same = r#"{"ok":false,"error_code":400,"description":"Bad Request: message is not modified"}"#;
    let (outcome, api) = tell(vec![(400, same)], &later).await;
    assert_eq!((outcome.unwrap().as_str(), api.calls().len()), ("55", 1));

    let gone = r#"{"ok":false,"error_code":400,"description":"Bad Request: message to edit not found"}"#;
    let (outcome, api) = tell(vec![(400, gone), TOLD], &later).await;
    assert_eq!(outcome.unwrap(), "77");
    assert_eq!(api.calls()[1].0, "sendMessage");

    later.message.level = Level::Act;
    let (outcome, api) = tell(vec![TOLD], &later).await;
    assert_eq!((outcome.unwrap().as_str(), api.calls()[0].0.as_str()), ("77", "sendMessage"));
}

#[tokio::test]
async fn a_group_that_moved_is_followed() {
    let moved = r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded","parameters":{"migrate_to_chat_id":-1009}}"#;
    let (outcome, api) = tell(vec![(400, moved), TOLD], &queued(Level::Alert, "hello")).await;
    assert_eq!(outcome.unwrap(), "77");
    assert_eq!(api.calls()[1].1["chat_id"], -1009);
}

/// Collects everything that is logged on this thread, down to TRACE.
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
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || sink.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

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
fn a_bot_with_a_malformed_token_chat_or_address_is_refused() {
    let refused = |token: &str, chat: Chat, base_url: &str| {
        let mut settings = TelegramSettings::new(channel("chat"), Secret::new(token.to_owned()), chat);
        settings.base_url = base_url.to_owned();
        Bot::new(settings).err()
    };
    let good = "https://api.telegram.org";
    for (token, chat, base_url) in [
        ("no colon", Chat::Number(1), good),
        ("1:a/b", Chat::Number(1), good),
        (TOKEN, Chat::Number(0), good),
        (TOKEN, Chat::Name("desk".to_owned()), good),
        (TOKEN, Chat::Number(1), "ftp://127.0.0.1"),
    ] {
        assert!(matches!(refused(token, chat, base_url), Some(Error::Value { .. })));
    }
    assert!(matches!(refused(TOKEN, Chat::Number(1), "http://telegram.example"), Some(Error::Plain { .. })));
    assert!(refused(TOKEN, Chat::Name("@desk".to_owned()), good).is_none());
}

// -- console and channels

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
