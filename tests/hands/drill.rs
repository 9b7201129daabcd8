//! `fillguard drill --attack` against the whole daemon: told marked, timed, and nothing else happens because of it.

use std::time::Duration;

use fillguard::arrival::{Arrival, Body, Source};
use fillguard::domain::{Attack, Effect, EffectKind, Venue};
use fillguard::journal::{read_from, segments};
use fillguard::pipeline::{Pipeline, Settings};
use fillguard::runtime::clock;
use serde_json::Value;

use super::daemon::{Theft, kill};
use super::smtp::{Received, Session, SmtpServer};
use super::world::id;

const PATIENCE: Duration = Duration::from_secs(60);

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = clock::steady();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn subject(mail: &Received) -> String {
    let line = mail.data.lines().position(|line| line.starts_with("Subject:")).unwrap();
    let lines: Vec<&str> = mail.data.lines().collect();
    let folded = lines[line + 1..].iter().take_while(|line| line.starts_with(' '));
    std::iter::once(lines[line]).chain(folded.copied()).collect::<Vec<_>>().concat()
}

/// Runs a drill in a thread of its own, because it waits; answers it once its mail is there. Returns what it said.
async fn drilled(theft: &Theft, mail: &SmtpServer, attack: Attack, account: &str) -> Value {
    let before = mail.received().len();
    let args = ["drill", "--attack", attack.as_str(), "--account", account, "--wait", "50s", "--format", "json"];
    let mut command = theft.world.command(&args);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let told = until("the drill's mail", || {
        let new: Vec<Received> = mail.received().split_off(before);
        new.into_iter().find(|mail| mail.accepted && mail.data.contains("X-Fillguard-Incident: drill-"))
    })
    .await;
    assert!(subject(&told).contains("DRILL"), "{}", subject(&told));
    let name = told.data.split("X-Fillguard-Incident: ").nth(1).unwrap().split_whitespace().next().unwrap();
    let (code, said) = theft.world.run(&["ack", name, "--by", "bob"], "");
    assert_eq!(code, 0, "{said}");
    let done = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_str(&said).unwrap()
}

fn is_drill(effect: &Effect) -> bool {
    let EffectKind::Incident { incident, .. } = &effect.kind;
    incident.id.is_drill()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drilled_attack_is_told_marked_and_timed_and_a_theft_meanwhile_is_a_theft() {
    let mail = SmtpServer::start(vec![Session::default()]);
    let more = format!(
        "[[notify.email]]\nserver = \"localhost\"\nport = {}\ntls = \"none\"\nfrom = \"watch@example.net\"\n\
         to = [\"desk@example.org\"]\n[notify]\nburst = 100\n",
        mail.port
    );
    let mut theft = Theft::told(32, 1, &more).await;
    let daemon = theft.start();
    let victims: Vec<String> = theft.victims.iter().map(|victim| id(victim).to_string()).collect();
    let mut known: Vec<Attack> = Vec::new();
    for (attack, account) in Attack::ALL.into_iter().zip(victims.iter().cycle()) {
        let said = drilled(&theft, &mail, attack, account).await;
        assert_eq!((said["fine"].as_bool(), said["attack"].as_str()), (Some(true), Some(attack.as_str())), "{said}");
        let stages: Vec<&str> =
            said["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
        assert_eq!(&stages[..4], ["arrived", "journaled", "judged", "kept"], "{said}");
        assert!(stages[4..].contains(&"accepted") && stages.last() == Some(&"answered"), "{said}");
        let times: Vec<i64> =
            said["stages"].as_array().unwrap()[..4].iter().map(|one| one["at"].as_i64().unwrap()).collect();
        assert!(times.is_sorted(), "{said}");
        known.push(attack);
    }
    assert_eq!(known, Attack::ALL);
    // The response is armed and acts by itself; because of an exercise it does nothing.
    assert!(theft.memory().cases.is_empty() && theft.world.handle.acts().is_empty(), "{:?}", theft.memory().cases);
    for leaked in &theft.leaked {
        assert!(theft.world.handle.takes(leaked.venue, &leaked.key_id));
    }

    let before = mail.received().len();
    theft.world.handle.attack();
    drilled(&theft, &mail, Attack::Pump, &victims[0]).await;
    theft.until_all_over().await;
    assert_eq!(theft.memory().cases.len(), theft.victims.len());
    for victim in &victims {
        let is_real = |mail: &Received| {
            let subject = subject(mail);
            mail.accepted && subject.contains(victim.as_str()) && !subject.contains("DRILL")
        };
        until("the theft's mail", || mail.received()[before..].iter().any(is_real).then_some(())).await;
    }
    kill(daemon);

    // The journal without its drills: the same verdicts, byte for byte, and the same memory of every account.
    let dir = theft.world.path("state/journal");
    let first = segments(&dir).unwrap()[0].first;
    let arrivals: Vec<Arrival> = read_from(&dir, first).unwrap().map_while(Result::ok).collect();
    let play = |arrivals: &[Arrival], drills: bool| {
        let mut pipeline = Pipeline::new(Settings::default());
        let mut effects = Vec::new();
        for arrival in arrivals {
            let is_mock = matches!(&arrival.body, Body::Frame(frame) if arrival.from == Source::Operator
                && frame.get().starts_with("{\"drill\""));
            if is_mock && !drills {
                pipeline.step(&Arrival { from: Source::Clock, body: Body::Tick, ..arrival.clone() });
            } else {
                effects.extend(pipeline.step(arrival));
            }
        }
        (effects, pipeline.snapshot().unwrap())
    };
    let (with, memory_with) = play(&arrivals, true);
    let (without, memory_without) = play(&arrivals, false);
    let (again, _) = play(&arrivals, true);
    assert_eq!(with, again, "a replay says the same");
    let (mock, real): (Vec<Effect>, Vec<Effect>) = with.into_iter().partition(is_drill);
    assert_eq!(mock.len(), Attack::ALL.len() + 1);
    assert_eq!(real, without);
    assert!(memory_with == memory_without, "a drill was remembered");
    assert!(theft.victims.iter().any(|victim| victim.venue == Venue::Kucoin));
    theft.world.end().await;
}
