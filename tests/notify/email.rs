//! Mail servers as they are on bad days.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fillguard::domain::Level;
use fillguard::notify::email::{EmailSettings, Letter, Mailer, Tls, compose, eml};
use fillguard::notify::links::Links;
use fillguard::notify::{Carrier, ChannelSettings, Error, Failure};
use fillguard::secret::Secret;
use fillguard::store::{Queued, Sent};

use crate::smtp::{Protection, Session, SmtpServer, certificate, server_config};
use crate::story::{at, message};
use crate::{PASSWORD, channel, queued};

pub fn mailbox(port: u16, tls: Tls) -> EmailSettings {
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

#[tokio::test]
async fn mails_that_follow_each_other_go_over_one_connection_which_is_left_when_none_follows() {
    let server = SmtpServer::start(vec![Session::default()]);
    let settings = EmailSettings { idle: Duration::from_millis(50), ..mailbox(server.port, Tls::None) };
    let mut mailer = Mailer::new(settings).unwrap();
    for number in 0..3 {
        mailer.carry(&queued(Level::Alert, &format!("mail {number}"))).await.unwrap();
    }
    assert_eq!(server.received().iter().map(|mail| mail.connection).collect::<Vec<_>>(), [0, 0, 0]);
    assert_eq!(server.goodbyes(), 0);
    mailer.idle().await;
    assert_eq!(server.goodbyes(), 1);
    mailer.carry(&queued(Level::Alert, "later")).await.unwrap();
    mailer.leave().await;
    assert_eq!((server.received()[3].connection, server.goodbyes()), (1, 2));
}

#[tokio::test]
async fn a_kept_connection_that_died_or_is_refused_is_replaced_and_each_mail_arrives_once() {
    let died = Session { mails: 1, ..Session::default() };
    let busy = Session { again: "421 4.7.0 one mail a connection", ..Session::default() };
    let full = Session { again: "452 4.5.3 too many mails", ..Session::default() };
    let server = SmtpServer::start(vec![died, busy, full, Session::default()]);
    let settings = EmailSettings { idle: Duration::from_secs(600), ..mailbox(server.port, Tls::None) };
    let mut mailer = Mailer::new(settings).unwrap();
    for number in 0..5 {
        mailer.carry(&queued(Level::Alert, &format!("mail {number}"))).await.unwrap();
    }
    let received = server.received();
    assert_eq!(received.iter().map(|mail| mail.connection).collect::<Vec<_>>(), [0, 1, 2, 3, 3]);
    for (number, mail) in received.iter().enumerate() {
        assert!(mail.accepted && mail.data.contains(&format!("mail {number}")) && mail.to.len() == 1, "{mail:?}");
    }
}

#[tokio::test]
async fn a_kept_connection_lost_after_the_text_is_not_tried_anew_behind_the_couriers_back() {
    // The first answer is good, so the connection is kept; the second never comes.
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = proxy.local_addr().unwrap().port();
    let server = SmtpServer::start(vec![Session::default()]);
    let upstream = server.port;
    std::thread::spawn(move || {
        for client in proxy.incoming() {
            crate::smtp::cut_after(client.unwrap(), upstream, 2);
        }
    });
    let mut mailer = Mailer::new(mailbox(port, Tls::None)).unwrap();
    mailer.carry(&queued(Level::Alert, "first")).await.unwrap();
    let outcome = mailer.carry(&queued(Level::Alert, "second")).await;
    assert!(matches!(&outcome, Err(Failure::Down { uncertain: true, .. })), "{outcome:?}");
    assert_eq!(server.received().len(), 2, "the second arrived, and was not sent again by itself");
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
async fn who_is_put_off_is_tried_again_alone_and_who_is_refused_is_told_of() {
    let rcpt = |answers: &[&'static str]| Session { rcpt: answers.to_vec(), mails: 1, ..Session::default() };
    let server = SmtpServer::start(vec![
        rcpt(&["250 fine", "451 4.7.1 greylisted", "550 5.1.1 no such mailbox"]),
        rcpt(&["250 fine", "550 5.1.1 no such mailbox"]),
    ]);
    let mut settings = mailbox(server.port, Tls::None);
    settings.to = ["a@example.org", "b@example.org", "c@example.org"].map(|to| to.parse().unwrap()).to_vec();
    let mut mailer = Mailer::new(settings).unwrap();
    let mut mail = queued(Level::Act, "theft");
    let outcome = mailer.carry(&mail).await;
    let Err(Failure::Partly { reached, why }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(reached, ["a@example.org"]);
    assert!(why.contains("b@example.org") && why.contains("greylisted"), "{why}");
    assert!(mailer.refused().is_some_and(|why| why.contains("c@example.org") && why.contains("550")));
    mail.reached = reached;
    let receipt = mailer.carry(&mail).await.unwrap();
    let received = server.received();
    let tos: Vec<_> = received.iter().map(|mail| mail.to.clone()).collect();
    let to = |names: &[&str]| names.iter().map(|name| format!("RCPT TO:<{name}@example.org>")).collect::<Vec<_>>();
    assert_eq!(tos, [to(&["a", "b", "c"]), to(&["b", "c"])], "{received:?}");
    assert!(received.iter().all(|mail| mail.data.contains(&receipt)), "one mail by its Message-ID");
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

/// Has a mail server refuse with these words, at the sign-in and after the text, and returns what is told of it.
async fn refused_with(auth: String, end: String, links: &Links) -> String {
    let (auth, end): (&'static str, &'static str) = (auth.leak(), end.leak());
    let server = SmtpServer::start(vec![Session { auth, end, ..Session::default() }]);
    let mut settings = mailbox(server.port, Tls::None);
    (settings.user, settings.password) = (Some("desk".to_owned()), Some(Secret::new(PASSWORD.to_owned())));
    let mut mailer = Mailer::new(settings).unwrap().linking(Some(links.clone()));
    let outcome = mailer.carry(&queued(Level::Alert, "x")).await;
    let Err(Failure::Never { why }) = outcome else { panic!("{outcome:?}") };
    why
}

#[tokio::test]
async fn a_server_that_repeats_what_it_was_sent_gives_away_neither_the_password_nor_the_link_to_answer() {
    let links = Links::new("https://guard.example.org", b"a key of at least sixteen bytes");
    let blob = STANDARD.encode(format!("\0desk\0{PASSWORD}"));
    for (sent, told) in [
        (format!("AUTH PLAIN {blob}"), "AUTH PLAIN <redacted>"),
        (format!("AUTH PLAIN {}", blob.get(..12).unwrap()), "AUTH PLAIN <redacted>"),
        (format!("{PASSWORD} is not desk's"), "<redacted> is not desk's"),
    ] {
        let why = refused_with(format!("535 5.5.2 {sent}"), "250 queued".to_owned(), &links).await;
        assert!(why.contains(told), "{why}");
        assert!(!why.contains(PASSWORD) && !why.contains(&blob[..12]), "{why}");
    }
    let one = queued(Level::Alert, "x");
    let link = links.link(&one.incident, "mail", one.at);
    let why = refused_with("235 welcome".to_owned(), format!("554 5.7.1 listed: {link}"), &links).await;
    assert!(why.contains("5.7.1 listed: https://guard.example.org<redacted>"), "{why}");
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
    let letter =
        Letter { row: 3, at: at(9), repeat: true, previous: Some(format!("<a@b>{nasty}")), ..Letter::default() };
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
    assert_eq!(header("Subject"), "[fillguard] act now: 38 x the usual size in 币安人生-USDT, about 0.42 BTC lost");
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
