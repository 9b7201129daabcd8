//! `fillguard top` beside a running daemon: what it shows is so, and without a daemon it says what to do.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fillguard::arrival::{Body, Incoming};
use fillguard::live::gauges::Status;
use fillguard::runtime::clock;
use serde_json::Value;

use crate::daemon::{self, Daemon};
use crate::end_to_end::{Home, binance_rest, fill, signed_in};
use crate::exchange::Exchange;

fn top(home: &Home, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fillguard"));
    command.arg("top").args(more).arg("--config").arg(home.path("fillguard.toml")).env_remove("CREDENTIALS_DIRECTORY");
    command
}

fn once(home: &Home) -> (Output, Value) {
    let output = top(home, &["--once", "--format", "json"]).output().unwrap();
    let value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, value)
}

/// Looks until something is so.
async fn until(home: &Home, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = clock::steady();
    loop {
        let (output, seen) = once(home);
        if is_so(&seen) {
            return seen;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "not {what}: {seen:#} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn feeds_rules_delays_and_queues_of_the_running_daemon_are_shown() {
    let mut exchange = Exchange::open(binance_rest).await;
    let home = Home::new(&exchange);
    let rules = "[[rule]]\nname = \"any\"\nwhen = \"account.orders >= 1\"\n\
                 [[rule]]\nname = \"broken\"\nwhen = \"1 / (account.orders - account.orders) > 0\"\n\
                 [[rule]]\nname = \"tried\"\nwhen = \"account.orders >= 1\"\nstage = \"staged\"\n";
    let text = fs::read_to_string(home.path("fillguard.toml")).unwrap();
    fs::write(home.path("fillguard.toml"), format!("{text}\n[rules]\ndir = \"rules\"\n")).unwrap();
    fs::create_dir(home.path("rules")).unwrap();
    fs::write(home.path("rules/own.toml"), rules).unwrap();

    let (output, _) = once(&home);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no daemon runs") && said.contains("fillguard run --config"), "{said}");

    let mut daemon = home.start("only");
    let mut peer = signed_in(&mut exchange).await;
    daemon.until(&daemon.log, "ready").await;
    peer.say(fill()).await;
    peer.say("<html>").await;
    let seen = until(&home, "judged", |seen| seen["daemon"]["judged"]["n"].as_u64() > Some(1)).await;
    let feed = &seen["daemon"]["accounts"][0];
    assert_eq!((&feed["name"], &feed["state"]), (&"binance/alice".into(), &"up".into()), "{seen:#}");
    assert_eq!((feed["orders"].as_u64(), feed["orders_a_minute"].as_u64()), (Some(1), Some(1)), "{feed:#}");
    assert!(
        feed["last_frame"].as_i64().is_some()
            && feed["last_fill"].as_i64().is_some()
            && feed["frames"].as_u64() >= Some(2)
    );
    let status = &seen["daemon"];
    assert_eq!((&status["up"], &status["feeds"], &status["unreadable"]), (&1.into(), &1.into(), &1.into()));
    assert!(status["heard"]["n"] == 1 && status["judged"]["p99_ms"].as_f64() > Some(0.0), "{status:#}");
    assert!(status["journal_room"].as_u64() > Some(0) && seen["journal"]["bytes"].as_u64() > Some(0));
    let rule =
        |name: &str| seen["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == name).cloned().unwrap();
    assert_eq!((&rule("any")["alert"], &rule("any")["stage"]), (&1.into(), &"live".into()));
    assert_eq!((&rule("tried")["staged"], &rule("tried")["stage"]), (&1.into(), &"staged".into()));
    assert_eq!((&rule("broken")["failed"], &rule("broken")["alert"]), (&1.into(), &0.into()));
    // The first fill is always timed.
    assert!(rule("any")["ns_each"].as_u64() > Some(0) && rule("pump_buy")["timed"] == 1, "{:#}", rule("pump_buy"));
    assert!(rule("blind")["ns_each"].is_null() && rule("unknown_origin")["own_bytes"].as_u64().is_some());
    assert_eq!(seen["open"]["alert"], 1, "{seen:#}");
    let console = seen["channels"].as_array().unwrap().iter().find(|one| one["channel"] == "console").unwrap();
    assert_eq!(console["waiting"], 0, "{console}");

    // For people, off a terminal: the same without an escape sequence.
    let output = top(&home, &["--once"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for words in ["feeds     1 of 1 up", "binance/alice", "any ", "staged", "channel   console", "1 alert"] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(!text.contains('\u{1b}'));

    // An object a second until it is told to end.
    let mut following = top(&home, &["--format", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let at = |line: String| serde_json::from_str::<Value>(&line).unwrap()["at"].as_i64().unwrap();
    let (first, second) = (at(lines.next().unwrap().unwrap()), at(lines.next().unwrap().unwrap()));
    assert!(second > first);
    assert!(Command::new("kill").arg("-INT").arg(following.id().to_string()).status().unwrap().success());
    assert_eq!(following.wait().unwrap().code(), Some(0));

    // The feed goes down: which, and why.
    drop(peer);
    let seen = until(&home, "down", |seen| seen["daemon"]["accounts"][0]["state"] == "down").await;
    assert!(seen["daemon"]["accounts"][0]["why"].as_str().is_some_and(|why| !why.is_empty()));
    assert_eq!(seen["daemon"]["up"], 0);

    daemon.signal("-TERM");
    assert_eq!(daemon.ended().await.code(), Some(0));
    assert!(!home.path("state/status.json").exists(), "it is about now only");
}

#[tokio::test]
async fn a_daemon_that_was_killed_is_not_shown_as_if_it_ran() {
    let exchange = Exchange::open(binance_rest).await;
    let home = Home::new(&exchange);
    fs::create_dir_all(home.path("state")).unwrap();
    let old = Status { pid: 4_711, at: daemon::at(0), ..Status::default() };
    old.write(&home.path("state/status.json")).unwrap();
    let (output, _) = once(&home);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(
        said.contains("process 4711") && said.contains("2026-03-01T09:00:00.000Z") && said.contains("hangs"),
        "{said}"
    );
    fs::write(home.path("state/status.json"), "{").unwrap();
    assert_eq!(once(&home).0.status.code(), Some(3));
}

#[tokio::test]
async fn of_many_accounts_those_that_are_not_up_are_listed_first_and_the_rest_is_counted() {
    let home = tempfile::tempdir().unwrap();
    let mut settings = daemon::settings(home.path());
    let file = home.path().join("status.json");
    settings.status = Some(file.clone());
    settings.feed.accounts = (0..2_500).map(|place| daemon::account(&format!("binance/a{place}"))).collect();
    let daemon = Daemon::start(settings).await;
    let now = |from: &str, body| Incoming { at: clock::now(), ..daemon::incoming(0, from, body) };
    // Half an answer to all: the last hundred stay silent, one is down.
    for place in 0..2_400 {
        daemon.send(now(&format!("binance/a{place}"), Body::LinkUp)).await;
    }
    daemon.send(now("binance/a7", Body::LinkDown { why: "closed 1006".into() })).await;
    daemon.send(now("binance/a8", Body::from_text(fill()))).await;
    let read = || Status::read(&file).unwrap().unwrap_or_default();
    daemon.until("the file", || read().up == 2_399 && read().fills == 1).await;
    let status = read();
    assert_eq!((status.feeds, status.accounts.len(), status.left_out), (2_500, 102, 2_398));
    let state =
        |name: &str| status.accounts.iter().find(|feed| feed.link.name == name).map(|feed| feed.link.state.clone());
    assert_eq!(state("binance/a7").as_deref(), Some("down"));
    assert_eq!(state("binance/a2499").as_deref(), Some("silent"));
    assert_eq!(state("binance/a8").as_deref(), Some("up"), "it traded last");
    assert!(status.rules.iter().all(|rule| rule.own_bytes.is_none()), "too many to be measured");
    daemon.end().await.unwrap();
    assert!(!file.exists());
}
