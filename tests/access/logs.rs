//! Followed logs, to the alert that a key is used from a strange address.

use std::fs::{self, OpenOptions};
use std::io::Write;

use fillguard::domain::{Level, RuleName, Span, Timestamp};
use fillguard::runtime::clock;
use fillguard::simulate::{Scenario, Settings, Simulator};
use fillguard::store::{Filter, Store};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::home::Home;

const LOG: &str = r#"
[[access.file]]
name = "gateway"
path = "gateway-access.log"
format = "nginx"
pattern = '$remote_addr - $http_x_account [$time_iso8601] "$request" $status "$http_user_agent"'
account_field = "http_x_account"
client_order_id_field = "request?newClientOrderId"
accounts = { "desk 1" = "alice" }
every = "20ms"
"#;

fn write(home: &Home, text: &str) {
    let path = home.path("gateway-access.log");
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn line(ip: &str, at: Timestamp, id: &str) -> String {
    format!(
        "{ip} - alice [{at}] \"POST /api/v3/order?symbol=APCBTC&newClientOrderId={id}&signature=hunter2 HTTP/1.1\" 200 \"bot/2\"\n"
    )
}

#[tokio::test]
async fn a_foreign_address_in_the_log_of_a_proxy_raises_an_alert() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let scenario = Scenario { attack_after_secs: None, history_days: 1, ..Scenario::default() };
    let simulator = Simulator::start(Settings { speed: 0.001, scenario, ..Settings::default() }).await.unwrap();
    let place = simulator.places().binance;
    let account = simulator.accounts().iter().find(|one| one.venue.as_str() == "binance").unwrap().clone();
    let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
    let ended = stop.clone();
    running.spawn(async move { simulator.run(ended).await.unwrap() });

    let home = Home::new("");
    let ws = place.ws_api.split("/ws-api").next().unwrap().to_owned();
    home.configure(&place.rest, &ws, &account.key_id, account.secret.expose(), LOG);
    let now = clock::now();
    for day in (1..=20).rev() {
        write(&home, &line("203.0.113.7", now - Span::from_secs(day * 86_400), &format!("b-{day}")));
    }
    let mut daemon = home.start("only");
    daemon.until("the past", || home.frames("gateway").len() == 20).await;
    daemon.until("the account", || daemon.said().contains("ready")).await;
    write(&home, &line("203.0.113.8", clock::now(), "b-21"));
    write(&home, "what is no line of this log, signature=hunter2\n");
    daemon.until("the flaw", || daemon.said().contains("not of the form")).await;
    write(&home, &line("198.51.100.99", clock::now(), "x-1"));
    // Alone it might be a move; the familiar one is still alive.
    write(&home, &line("203.0.113.8", clock::now(), "b-22"));
    let alerts = || -> Vec<_> {
        let store = Store::read(&home.path("state").join("fillguard.db")).unwrap();
        let found = store.incidents(&Filter::default()).unwrap();
        found.into_iter().filter(|one| one.level >= Level::Alert && one.account.name == "alice").collect()
    };
    daemon.until("the alert", || !alerts().is_empty()).await;
    let alert = alerts().remove(0);
    assert!(format!("{alert:?}").contains("UnfamiliarAddress"), "{}: {alert:?}", RuleName::UnfamiliarAddress.as_str());
    daemon.until("the message", || fs::read_to_string(&daemon.out).unwrap().contains("198.51.100.99")).await;
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0), "{}", daemon.said());
    stop.cancel();
    running.join_all().await;

    let everything = home.everything();
    assert!(
        !everything.contains("hunter2") && !everything.contains("/api/v3/order?symbol"),
        "only the fields are kept"
    );
    assert!(!daemon.said().contains("198.51.100.99"), "addresses are in no log line");
}

#[tokio::test]
async fn lines_arrive_once_over_rotations_and_kills() {
    let home = Home::new(LOG);
    let mut sent = 0;
    let mut daemon = home.start("0");
    write(&home, "");
    daemon.until("the log", || daemon.said().contains("is read from byte 0")).await;
    for round in 1..=4 {
        for _ in 0..25 {
            write(&home, &line("203.0.113.7", clock::now(), &format!("id-{sent}")));
            sent += 1;
        }
        if round % 2 == 0 {
            for number in (1..round).rev() {
                let from = home.path(&format!("gateway-access.log.{number}"));
                if from.exists() {
                    fs::rename(from, home.path(&format!("gateway-access.log.{}", number + 1))).unwrap();
                }
            }
            fs::rename(home.path("gateway-access.log"), home.path("gateway-access.log.1")).unwrap();
        }
        daemon.signal("-KILL");
        drop(daemon);
        write(&home, &line("203.0.113.7", clock::now(), &format!("id-{sent}")));
        sent += 1;
        daemon = home.start(&round.to_string());
    }
    daemon.until("all lines", || home.frames("gateway").len() >= sent).await;
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0), "{}", daemon.said());
    let ids: Vec<String> =
        home.frames("gateway").iter().map(|frame| frame["client_order_id"].as_str().unwrap().to_owned()).collect();
    let wanted: Vec<String> = (0..sent).map(|id| format!("id-{id}")).collect();
    assert_eq!(ids, wanted);
}

#[tokio::test]
async fn check_shows_what_is_heard_and_run_waits_for_a_log_that_is_not_there() {
    let home = Home::new(LOG);
    let daemon = home.start("only");
    daemon.until("the wait", || daemon.said().contains("is waited for")).await;
    write(&home, &line("203.0.113.7", clock::now(), "b-1"));
    daemon.until("the line", || home.frames("gateway").len() == 1).await;
    let said = std::process::Command::new(env!("CARGO_BIN_EXE_fillguard"))
        .args(["check", "--config"])
        .arg(home.path("fillguard.toml"))
        .output()
        .unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.contains("access    gateway: follows ") && text.contains("http_x_account"), "{text}");
}
