//! Mails through a real Postfix: TLS and its certificates, sign-in, put off, refused, cut off, and read by somebody else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it is skipped"
)]

#[path = "support/postfix.rs"]
mod postfix;
#[path = "support/smtp.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod smtp;
#[path = "support/story.rs"]
mod story;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use fillguard::domain::{
    Effect, EffectKind, Family, Finding, Kind, Level, Money, Reason, RuleName, Span, Symbol, Term,
};
use fillguard::notify::email::{EmailSettings, Mailer, Tls};
use fillguard::notify::{Carrier, ChannelSettings, Clock, Failure, Settings, backoff};
use fillguard::runtime::clock;
use fillguard::secret::Secret;
use fillguard::store::{Cause, Handle, Queued, Sent, Store};
use postfix::{PASSWORD, Postfix, USER};
use serde_json::Value;
use story::{account, at, effect, id, message};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

fn mailbox(port: u16, tls: Tls) -> EmailSettings {
    let from = "fillguard <watch@example.net>".parse().unwrap();
    let to = vec!["Desk <desk@example.org>".parse().unwrap()];
    let channel = ChannelSettings { name: "mail".into(), phrase: "blue elephant".into(), ..ChannelSettings::default() };
    let settings = EmailSettings::new(channel, "localhost", from, to);
    EmailSettings { port, tls, timeout: Duration::from_secs(60), ..settings }
}

fn signed(port: u16, tls: Tls, ca: &Path) -> EmailSettings {
    EmailSettings {
        user: Some(USER.to_owned()),
        password: Some(Secret::new(PASSWORD.to_owned())),
        ca_file: Some(ca.to_owned()),
        ..mailbox(port, tls)
    }
}

fn queued(row: u64, level: Level, headline: &str, previous: Option<(&str, Level)>) -> Queued {
    Queued {
        id: row,
        channel: "mail".to_owned(),
        incident: id(1),
        message: message(&id(1), level, headline),
        at: at(5),
        first_at: at(1),
        merged: 0,
        attempts: 0,
        uncertain: false,
        waited: Span::ZERO,
        previous: previous.map(|(receipt, level)| Sent { receipt: receipt.to_owned(), level }),
        cause: Cause::News,
        reached: Vec::new(),
    }
}

/// An effect whose finding tells a loss, so that the incident has a picture.
fn loss(n: u64, amount: &str) -> Effect {
    let mut effect = effect(n, &id(1), Level::Alert, "theft");
    let symbol = Symbol::from_dashed("VIBX-BTC").unwrap();
    let EffectKind::Incident { finding, .. } = &mut effect.kind;
    *finding = Some(Finding {
        prices: Vec::new(),
        account: account(),
        loss: Some(Money::new(amount.parse().unwrap(), symbol.quote().clone())),
        symbol: Some(symbol),
        rule: RuleName::PumpBuy,
        kind: Kind::Pump,
        level: Level::Alert,
        score: 9.0,
        terms: vec![Term { name: "market".into(), family: Family::Market, nats: 9.0, value: 9.0, unit: "x".into() }],
        orders: vec!["17".into()],
        reason: Reason::LosingRoundTrips { trips: 3, percent: 2.0, seconds: 9.0 },
        n,
        at: at(n as i64),
    });
    effect
}

/// What Python's own `email` reads in a delivered mail.
fn read(file: &Path) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/read_mail.py");
    let done = Command::new("python3").arg(script).arg(file).output().expect("python3 reads mails here");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[tokio::test]
async fn mails_go_over_starttls_and_implicit_tls_signed_in_and_another_reader_finds_what_was_meant() {
    let Some(postfix) = Postfix::start() else { return };
    let store = Handle::new(Store::in_memory().unwrap(), Vec::new());
    store.take(vec![loss(1, "0.1"), loss(20, "0.25"), loss(40, "0.42")]).await.unwrap();
    let mailer = Mailer::new(signed(postfix.submission, Tls::Starttls, &postfix.ca())).unwrap();
    let mut mailer = mailer.picturing(store.clone());
    let first = mailer.carry(&queued(7, Level::Alert, "38 x the usual size in 币安人生-USDT", None)).await.unwrap();
    let previous = Some((first.as_str(), Level::Alert));
    let second = mailer.carry(&queued(8, Level::Act, "growing: 0.42 BTC lost so far", previous)).await.unwrap();
    mailer.leave().await;
    let mut mailer = Mailer::new(signed(postfix.implicit, Tls::Implicit, &postfix.ca())).unwrap();
    mailer.carry(&queued(9, Level::Alert, "over implicit TLS", None)).await.unwrap();
    mailer.leave().await;

    let mails: Vec<Value> = postfix.mails(3).iter().map(|file| read(file)).collect();
    let log = postfix.log();
    assert!(log.contains("auth=1 mail=2 rcpt=2 data=2 quit=1"), "two mails went over one connection: {log}");
    assert!(log.contains("sasl_method=PLAIN, sasl_username=desk"), "{log}");
    let find = |subject: &str| {
        let has = |mail: &&Value| mail["headers"]["Subject"].as_str().unwrap().contains(subject);
        mails.iter().find(has).unwrap_or_else(|| panic!("no mail about {subject}"))
    };
    let one = find("币安人生-USDT");
    let two = find("growing");
    let header = |mail: &Value, name: &str| mail["headers"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!((header(one, "Message-ID"), header(two, "Message-ID")), (first.clone(), second));
    assert_eq!(header(two, "In-Reply-To"), first);
    let root = header(one, "References");
    assert!(root.starts_with("<incident."), "{root}");
    assert_eq!(header(two, "References"), format!("{root} {first}"));
    for mail in &mails {
        assert_eq!(mail["defects"].as_array().unwrap().len(), 0, "{mail}");
        assert_eq!(header(mail, "Auto-Submitted"), "auto-generated");
        assert_eq!(header(mail, "X-Fillguard-Incident"), "binance-alice-1");
        for part in ["text", "page"] {
            let text = mail[part].as_str().unwrap();
            assert!(text.contains("blue elephant") && text.contains("Delete this API key on Binance now."), "{text}");
        }
    }
    for mail in [one, two] {
        let parts: Vec<&str> = mail["parts"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
        let wanted = ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"];
        assert_eq!(parts, wanted);
        let picture = &mail["pictures"][0];
        assert_eq!((&picture["disposition"], &picture["png"]), (&"inline".into(), &true.into()));
        let cid = picture["id"].as_str().unwrap().trim_matches(['<', '>']).to_owned();
        // The picture inside is all that the page shows; nothing comes from elsewhere.
        assert_eq!(mail["loads"], serde_json::json!([format!("cid:{cid}")]));
    }
}

#[tokio::test]
async fn a_certificate_of_another_name_or_signer_is_refused_in_words_that_say_what_to_do() {
    let Some(postfix) = Postfix::start() else { return };
    let mut unsigned = signed(postfix.implicit, Tls::Implicit, &postfix.ca());
    unsigned.ca_file = None;
    let unsigned_starttls = EmailSettings { port: postfix.submission, tls: Tls::Starttls, ..unsigned.clone() };
    let numbered =
        EmailSettings { server: "127.0.0.1".to_owned(), ..signed(postfix.submission, Tls::Starttls, &postfix.ca()) };
    for (settings, advice) in [
        (unsigned, "nobody this machine trusts has signed the certificate of localhost"),
        (unsigned_starttls, "put the certificate of who did into ca_file"),
        (signed(postfix.misnamed, Tls::Implicit, &postfix.ca()), "mail.example.org"),
        (numbered, "set server to a name it is for"),
    ] {
        let outcome = Mailer::new(settings).unwrap().carry(&queued(1, Level::Alert, "hello", None)).await;
        let Err(Failure::Down { why, uncertain: false, .. }) = &outcome else { panic!("{outcome:?}") };
        assert!(why.contains(advice) && !why.contains(PASSWORD), "{why}");
    }
    let mut wrong = signed(postfix.submission, Tls::Starttls, &postfix.ca());
    wrong.password = Some(Secret::new("a wrong horse".to_owned()));
    let outcome = Mailer::new(wrong).unwrap().carry(&queued(1, Level::Alert, "hello", None)).await;
    assert!(matches!(&outcome, Err(Failure::Never { why }) if why.contains("535")), "{outcome:?}");
    // Neither without TLS nor without signing in.
    let outcome = Mailer::new(mailbox(postfix.submission, Tls::None)).unwrap();
    let mut outcome = outcome;
    let outcome = outcome.carry(&queued(1, Level::Alert, "hello", None)).await;
    assert!(matches!(&outcome, Err(Failure::Never { why }) if why.contains("STARTTLS")), "{outcome:?}");
    assert!(!postfix.log().contains("message-id="), "nothing was taken: {}", postfix.log());
}

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Couriers of a mailbox and the console.
struct Office {
    store: Handle,
    screen: Screen,
    stop: CancellationToken,
    running: JoinSet<Result<(), fillguard::store::Error>>,
}

impl Office {
    fn open(email: EmailSettings) -> Office {
        let backoff = backoff::Settings { first: Duration::from_millis(20), ..backoff::Settings::default() };
        let settings = Settings { email: vec![email], console: true, backoff, ..Settings::default() };
        let store = Handle::new(Store::in_memory().unwrap(), settings.routes());
        let (screen, stop, mut running) = (Screen::default(), CancellationToken::new(), JoinSet::new());
        let clock: Clock = Arc::new(clock::now);
        for courier in settings.couriers(&store, &clock, Box::new(screen.clone())).unwrap() {
            running.spawn(courier.run(stop.clone()));
        }
        Office { store, screen, stop, running }
    }

    /// Tells of an incident and waits until its row of the mailbox is `state`; returns why it failed before.
    async fn until(&self, state: &str) -> Option<String> {
        let waiting = async {
            loop {
                let deliveries = self.store.with(|store| store.deliveries(&id(1))).await.unwrap();
                if let Some(found) = deliveries.iter().find(|one| one.channel == "mail" && one.state == state) {
                    return found.why.clone();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("never {state}"))
    }

    /// Waits until the other channel tells that the mailbox does not deliver.
    async fn until_told_elsewhere(&self) {
        let told = async {
            while !String::from_utf8_lossy(&self.screen.0.lock().unwrap()).contains("The channel mail does not deliver")
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), told).await.expect("the other channel is told");
    }

    async fn close(mut self) -> String {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap().unwrap();
        }
        String::from_utf8(self.screen.0.lock().unwrap().clone()).unwrap()
    }
}

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Log(Screen);

impl Log {
    fn listen() -> (Log, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        let subscriber = subscriber.with_writer(move || writer.0.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().clone()).unwrap()
    }
}

/// The password as it is, and as it travels by PLAIN and by LOGIN.
fn spellings(password: &str) -> [String; 3] {
    let base64 = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    [password.to_owned(), base64(format!("\0{USER}\0{password}")), base64(password.to_owned())]
}

#[tokio::test]
async fn each_way_to_sign_in_is_taken_where_the_server_offers_no_other() {
    for mechanism in ["PLAIN", "LOGIN"] {
        let Some(postfix) = Postfix::offering(mechanism) else { return };
        for (port, tls) in [(postfix.submission, Tls::Starttls), (postfix.implicit, Tls::Implicit)] {
            let mut mailer = Mailer::new(signed(port, tls, &postfix.ca())).unwrap();
            mailer.carry(&queued(7, Level::Alert, mechanism, None)).await.unwrap();
            mailer.leave().await;
        }
        assert_eq!(postfix.mails(2).len(), 2);
        let log = postfix.log();
        let used = format!("sasl_method={mechanism}, sasl_username={USER}");
        assert_eq!(log.matches(&used).count(), 2, "{log}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_on_the_other_channel_with_the_reason_and_stands_in_no_log() {
    const WRONG: &str = "a-wrong-horse-that-nobody-may-see";
    for mechanism in ["PLAIN", "LOGIN"] {
        let Some(postfix) = Postfix::offering(mechanism) else { return };
        let (log, _listening) = Log::listen();
        let mut settings = signed(postfix.submission, Tls::Starttls, &postfix.ca());
        settings.password = Some(Secret::new(WRONG.to_owned()));
        let office = Office::open(settings);
        office.store.take(vec![effect(1, &id(1), Level::Act, "theft")]).await.unwrap();
        let why = office.until("given_up").await.unwrap_or_default();
        assert!(why.contains("535") && why.contains("authentication failed"), "{why}");
        office.until_told_elsewhere().await;
        let text = office.close().await;
        assert!(text.contains("theft") && text.contains("535"), "{text}");
        let (ours, theirs) = (log.text(), postfix.log());
        assert!(ours.contains("a message was refused for good") && theirs.contains(USER), "{ours}\n{theirs}");
        for secret in spellings(WRONG) {
            for (whose, text) in
                [("the message", &text), ("our log", &ours), ("the server's log", &theirs), ("why", &why)]
            {
                assert!(!text.contains(&secret), "{mechanism}: the password stands in {whose}");
            }
        }
        assert!(!theirs.contains("message-id="), "nothing was taken: {theirs}");
    }
}

#[tokio::test]
async fn a_greylisted_mail_is_put_off_and_arrives_once() {
    let Some(postfix) = Postfix::start() else { return };
    *postfix.policy.answers.lock().unwrap() = vec!["DEFER 4.7.1 greylisted, come back", "DEFER greylisted", "DUNNO"];
    let office = Office::open(mailbox(postfix.plain, Tls::None));
    office.store.take(vec![effect(1, &id(1), Level::Alert, "theft")]).await.unwrap();
    office.until("sent").await;
    let mails = postfix.mails(1);
    office.close().await;
    assert_eq!(mails.len(), 1);
    assert_eq!(*postfix.policy.asked.lock().unwrap(), 3);
    let mail = read(&mails[0]);
    assert!(
        !mail["text"].as_str().unwrap().contains("may be a repeat"),
        "a mail that was put off did not arrive before"
    );
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_told_on_the_other_channel_with_the_servers_reason() {
    let Some(postfix) = Postfix::start() else { return };
    let mut settings = mailbox(postfix.plain, Tls::None);
    settings.to = vec!["gone@example.org".parse().unwrap()];
    let office = Office::open(settings);
    office.store.take(vec![effect(1, &id(1), Level::Act, "theft")]).await.unwrap();
    let why = office.until("given_up").await.unwrap_or_default();
    assert!(why.contains("550") && why.contains("User unknown"), "{why}");
    office.until_told_elsewhere().await;
    let text = office.close().await;
    assert!(text.contains("theft") && text.contains("550"), "{text}");
}

#[tokio::test]
async fn a_mail_whose_answer_was_lost_comes_again_as_the_same_mail_and_says_so() {
    let Some(postfix) = Postfix::start() else { return };
    // The first connection is cut when Postfix has the mail and before it can say so.
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, server) = (proxy.local_addr().unwrap().port(), postfix.plain);
    std::thread::spawn(move || {
        for (place, client) in proxy.incoming().enumerate() {
            let client = client.unwrap();
            std::thread::spawn(move || smtp::cut_after(client, server, if place == 0 { 1 } else { usize::MAX }));
        }
    });
    let office = Office::open(mailbox(port, Tls::None));
    office.store.take(vec![effect(1, &id(1), Level::Alert, "theft")]).await.unwrap();
    office.until("sent").await;
    let mails: Vec<Value> = postfix.mails(2).iter().map(|file| read(file)).collect();
    office.close().await;
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0]["headers"]["Message-ID"], mails[1]["headers"]["Message-ID"]);
    let repeats: Vec<bool> =
        mails.iter().map(|mail| mail["text"].as_str().unwrap().contains("may be a repeat")).collect();
    assert_eq!(repeats, [false, true]);
}
