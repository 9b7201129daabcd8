//! Rules that change under a running daemon: taken whole or refused whole, and what was learnt stays.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::end_to_end::{Home, Running, binance_rest, fill, signed_in};
use crate::exchange::Exchange;

const FIRST: &str = "[[rule]]\nname = \"first\"\nwhen = \"account.orders == 1\"\nwhy = \"first says {account.orders}\"\n\
                     [[rule]]\nname = \"second\"\nwhen = \"account.orders == 2\"\nwhy = \"second says {account.orders}\"\n\
                     [[rule]]\nname = \"broken\"\nwhen = \"1 / (account.orders - account.orders) > 0\"\n";
const THIRD: &str =
    "[[rule]]\nname = \"third\"\nwhen = \"account.orders == 3\"\nwhy = \"third says {account.orders}\"\n";

/// The fill of an order by its number.
fn order(number: u64) -> String {
    let mut frame: Value = serde_json::from_str(&fill()).unwrap();
    for (field, first) in [("i", 100), ("t", 200), ("I", 300)] {
        frame["event"][field] = (first + number).into();
    }
    frame.to_string()
}

fn times(daemon: &Running, words: &str) -> usize {
    fs::read_to_string(&daemon.log).unwrap().matches(words).count()
}

#[tokio::test]
async fn changed_rules_are_taken_over_a_file_with_mistakes_is_refused_with_all_of_them_and_the_memory_stays() {
    let mut exchange = Exchange::open(binance_rest).await;
    let home = Home::new(&exchange);
    let text = fs::read_to_string(home.path("fillguard.toml")).unwrap();
    let text = format!("{text}\n[rules]\ndir = \"rules\"\n[accounts]\nevery = \"50ms\"\n");
    fs::write(home.path("fillguard.toml"), text).unwrap();
    fs::create_dir(home.path("rules")).unwrap();
    let file = home.path("rules/own.toml");
    fs::write(&file, FIRST).unwrap();
    let mut daemon = home.start("only");
    let mut peer = signed_in(&mut exchange).await;
    daemon.until(&daemon.log, "ready").await;
    peer.say(order(1)).await;
    daemon.until(&daemon.out, "First says 1").await;

    // Two mistakes, both told; the rules that were in force go on.
    fs::write(
        &file,
        "[[rule]]\nname = \"a\"\nwhen = \"order.dolars > 5\"\n[[rule]]\nname = \"b\"\nwhen = \"order.side > 5\"\n",
    )
    .unwrap();
    daemon.signal("-HUP");
    daemon.until(&daemon.log, "refused whole").await;
    daemon.until(&daemon.log, "did you mean order.dollars?").await;
    daemon.until(&daemon.log, "a text cannot be compared with a number").await;
    peer.say(order(2)).await;
    daemon.until(&daemon.out, "Second says 2").await;

    // Nobody says so: the file alone is noticed. That it is the third order is known from before.
    fs::write(&file, THIRD).unwrap();
    daemon.until(&daemon.log, "rule third is new").await;
    daemon.until(&daemon.log, "other rules judge from here on").await;
    assert_eq!(times(&daemon, "a rule could not be judged"), 1, "told once, for two orders");
    peer.say(order(3)).await;
    daemon.until(&daemon.out, "Third says 3").await;

    // An exception is taken over in the same way, and what it hides is counted in the store.
    let soon = (fillguard::runtime::clock::now() + Duration::from_secs(86_400).into()).to_string();
    let hidden = THIRD.replace("third", "fourth").replace("== 3", ">= 4");
    let exception = format!(
        "[[exception]]\nname = \"mine\"\nrule = \"fourth\"\naccount = \"binance/alice\"\nowner = \"alice\"\nreason = \"me\"\n\
         expires = \"{soon}\"\n"
    );
    fs::write(&file, format!("{hidden}{exception}")).unwrap();
    daemon.until(&daemon.log, "exception mine is new").await;
    while times(&daemon, "other rules judge from here on") < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    peer.say(order(4)).await;
    let store = home.path("state/fillguard.db");
    let counted = || {
        let known = fillguard::store::Store::read(&store).unwrap();
        known.hidden(fillguard::domain::Excuse::Exception).unwrap().iter().map(|one| one.count).sum::<u64>()
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while counted() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "nothing was hidden: {}", fs::read_to_string(&daemon.log).unwrap());
    assert!(!fs::read_to_string(&daemon.out).unwrap().contains("Fourth says"));
    daemon.signal("-TERM");
    assert_eq!(daemon.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_configuration_that_is_emptied_or_cut_off_changes_nothing_and_each_mistake_is_told_once() {
    let mut exchange = Exchange::open(binance_rest).await;
    let home = Home::new(&exchange);
    let file = home.path("fillguard.toml");
    let text = fs::read_to_string(&file).unwrap() + "\n[rules]\ndir = \"rules\"\n[accounts]\nevery = \"50ms\"\n";
    fs::write(&file, &text).unwrap();
    fs::create_dir(home.path("rules")).unwrap();
    fs::write(home.path("rules/own.toml"), FIRST).unwrap();
    let mut daemon = home.start("only");
    let mut peer = signed_in(&mut exchange).await;
    daemon.until(&daemon.log, "ready").await;
    let told = |lacks: &str| times(&daemon, lacks);

    // Nobody says so: the file alone is noticed.
    fs::write(&file, "").unwrap();
    daemon.until(&daemon.log, "refused whole").await;
    assert_eq!((told("nobody would be watched"), told("nobody would be told")), (1, 1));
    fs::write(&file, "[state]\n[rules.pump_buy]\nenabled = false\n[accounts]\nevery = \"1d\"\n").unwrap();
    daemon.signal("-HUP");
    daemon.until(&daemon.log, "SIGHUP: the configuration was read again").await;
    while told("refused whole") < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The look before the signal may have told it already.
    let whole = told("refused whole");
    assert_eq!((told("nobody would be watched"), told("nobody would be told")), (whole, whole));
    peer.say(order(1)).await;
    daemon.until(&daemon.out, "First says 1").await;
    assert_eq!(told("other rules judge from here on") + told("rules: "), 0);

    // Whole again, it is taken.
    fs::write(&file, text + "[rules.pump_buy]\nenabled = false\n").unwrap();
    daemon.until(&daemon.log, "other rules judge from here on").await;
    daemon.signal("-TERM");
    assert_eq!(daemon.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_rule_that_was_promoted_and_is_too_loud_is_taken_back_told_once_and_written_down() {
    let mut exchange = Exchange::open(binance_rest).await;
    let home = Home::new(&exchange);
    let text = fs::read_to_string(home.path("fillguard.toml")).unwrap();
    let rules = "[rules]\ndir = \"rules\"\npromote = true\n[accounts]\nevery = \"50ms\"\n";
    fs::write(home.path("fillguard.toml"), format!("{text}\n{rules}")).unwrap();
    fs::create_dir(home.path("rules")).unwrap();
    let loud = "[[rule]]\nname = \"loud\"\nwhen = \"account.orders >= 1\"\nstage = \"live\" # promoted by fillguard\n";
    fs::write(home.path("rules/own.toml"), loud).unwrap();
    let mut daemon = home.start("only");
    let mut peer = signed_in(&mut exchange).await;
    daemon.until(&daemon.log, "ready").await;
    peer.say(order(1)).await;
    daemon.until(&daemon.out, "binance/alice").await;
    let fillguard = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fillguard"));
        let command = command.args(words).arg("--config").arg(home.path("fillguard.toml"));
        let done = command.env_remove("CREDENTIALS_DIRECTORY").output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        (done.status.code(), said)
    };
    assert!(fillguard(&["stage", "log"]).1.contains("no rule was given another stage"));
    let (code, said) = fillguard(&["stage", "promote", "--auto"]);
    assert!(code == Some(1) && said.contains("taken back"), "{code:?} {said}");
    daemon.until(&daemon.out, "Rule loud is only tried out again: 1 alarms").await;
    daemon.until(&daemon.out, "Its alarms were about: binance/alice 1.").await;
    daemon.until(&daemon.log, "loud changed").await;
    // It is staged now, so there is nothing more to take back and to tell.
    assert_eq!(fillguard(&["stage", "promote", "--auto"]).0, Some(0));
    let (code, log) = fillguard(&["stage", "log"]);
    assert!(code == Some(0) && log.contains("loud: live to staged; 1 alarms, "), "{log}");
    assert_eq!(log.lines().count(), 1);
    daemon.signal("-TERM");
    assert_eq!(daemon.ended().await.code(), Some(0));
    assert_eq!(fs::read_to_string(&daemon.out).unwrap().matches("Rule loud is only tried out").count(), 1);
}
