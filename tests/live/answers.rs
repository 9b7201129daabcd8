//! What people and commands ask of a running daemon, and channels that hang.

use std::time::Duration;

use fillguard::arrival::Incoming;
use fillguard::domain::{IncidentId, Level};
use fillguard::live::inbox::{self, Order};
use fillguard::notify::ChannelSettings;
use fillguard::notify::email::{EmailSettings, Tls};
use fillguard::notify::telegram::{Chat, TelegramSettings};
use fillguard::runtime::clock;
use fillguard::secret::Secret;
use fillguard::store::{Store, Verdict};

use crate::daemon::{self, Daemon};

fn answer(incident: &IncidentId, verdict: Verdict) -> Order {
    let (by, at) = ("me".to_owned(), clock::now().nanos());
    Order::Answer { incident: incident.to_string(), verdict, by, at, until: None }
}

#[tokio::test]
async fn answers_go_through_the_journal_that_was_me_closes_and_not_me_raises_to_act() {
    let home = tempfile::tempdir().unwrap();
    let mut settings = daemon::settings(home.path());
    let folder = home.path().join("inbox");
    settings.inbox = Some(folder.clone());
    let daemon = Daemon::start(settings.clone()).await;
    let garbage = |name: &str| Incoming { at: clock::now(), ..daemon::garbage(0, &format!("binance/{name}")) };
    // Long over when it is answered.
    daemon.send(daemon::garbage(0, "binance/carol")).await;
    daemon.send(garbage("alice")).await;
    daemon.send(garbage("bob")).await;
    daemon.until("three incidents", || daemon::incidents(&settings).len() == 3).await;
    let of = |name: &str| {
        daemon::incidents(&settings).into_iter().find(|incident| incident.account.name.as_str() == name).unwrap()
    };
    let (alice, bob) = (of("alice"), of("bob"));
    assert!(alice.closed.is_none() && bob.level < Level::Act);
    inbox::put(&folder, &answer(&alice.id, Verdict::Mine)).unwrap();
    inbox::put(&folder, &answer(&bob.id, Verdict::NotMine)).unwrap();
    daemon.until("alice's to close", || of("alice").closed.is_some()).await;
    daemon.until("bob's to be raised", || of("bob").level == Level::Act).await;
    let screen = daemon.screen.clone();
    daemon.until("the message", || screen.text().contains("the owner says this was not them")).await;
    inbox::put(&folder, &answer(&of("carol").id, Verdict::NotMine)).unwrap();
    daemon.until("the late answer", || screen.text().contains("not me.")).await;
    // The same is not told again; an arrival of it is still written down.
    let (dir, before) = (daemon.journal(), daemon::incidents(&settings).len());
    let seen = daemon::arrivals(&dir).len();
    daemon.send(garbage("alice")).await;
    daemon.until("the arrival", || daemon::arrivals(&dir).len() > seen).await;
    daemon.end().await.unwrap();
    assert_eq!(daemon::incidents(&settings).len(), before);
    let store = Store::read(&settings.store.path).unwrap();
    assert_eq!(store.answers(&alice.id).unwrap()[0].verdict, Verdict::Mine);
    assert!(store.unjournaled_answers().unwrap().is_empty());
}

#[tokio::test]
async fn a_drill_reaches_the_channels_marked_and_is_answered() {
    let home = tempfile::tempdir().unwrap();
    let mut settings = daemon::settings(home.path());
    let folder = home.path().join("inbox");
    settings.inbox = Some(folder.clone());
    let daemon = Daemon::start(settings.clone()).await;
    let drill = Order::Drill { code: "7f3a".into(), account: "binance/alice".into(), by: "me".into(), attack: None };
    inbox::put(&folder, &drill).unwrap();
    let screen = daemon.screen.clone();
    daemon.until("the drill", || screen.text().contains("DRILL")).await;
    let id = IncidentId::known("drill-7f3a");
    inbox::put(&folder, &answer(&id, Verdict::Mine)).unwrap();
    let path = settings.store.path.clone();
    daemon.until("the answer", || !Store::read(&path).unwrap().answers(&id).unwrap().is_empty()).await;
    daemon.end().await.unwrap();
    let store = Store::read(&settings.store.path).unwrap();
    assert_eq!(store.deliveries(&id).unwrap()[0].state, "sent");
    assert!(store.incident(&id).unwrap().unwrap().closed.is_some());
}

#[tokio::test]
async fn with_every_channel_hanging_arrivals_are_journaled_judged_and_kept_all_the_same() {
    // They take connections and never say a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut settings = daemon::settings(home.path());
    settings.notify.console = false;
    settings.supervisor.grace = Duration::from_secs(1);
    let channel = |name: &str| ChannelSettings { name: name.into(), ..ChannelSettings::default() };
    let from = "guard@example.org".parse().unwrap();
    let mut email = EmailSettings::new(channel("mail"), "127.0.0.1", from, vec!["me@example.org".parse().unwrap()]);
    (email.port, email.tls, email.timeout) = (address.port(), Tls::None, Duration::from_secs(600));
    let mut bot = TelegramSettings::new(channel("chat"), Secret::new("1:a_token".into()), Chat::Number(42));
    (bot.base_url, bot.timeout) = (format!("http://{address}"), Duration::from_secs(600));
    (settings.notify.email, settings.notify.telegram) = (vec![email], vec![bot]);
    let daemon = Daemon::start(settings.clone()).await;
    for number in 0..40 {
        daemon.send(daemon::garbage(number, &format!("binance/user{number}"))).await;
    }
    let dir = daemon.journal();
    daemon.until("the journal", || daemon::arrivals(&dir).len() == 40).await;
    daemon.until("the incidents", || daemon::incidents(&settings).len() == 40).await;
    let store = Store::read(&settings.store.path).unwrap();
    for one in store.backlog().unwrap() {
        assert_eq!((one.sent, one.waiting), (0, 40), "{}", one.channel);
    }
    daemon.end().await.unwrap();
}
