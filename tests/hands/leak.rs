//! The folder for what was published, watched by the whole daemon.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fillguard::arrival::{Body, Source};
use fillguard::journal;
use fillguard::runtime::clock;

use super::world::{Entry, World, id, quiet};

const PATIENCE: Duration = Duration::from_secs(90);

fn start(world: &World, log: &str) -> Child {
    let file = |name: &str| std::fs::File::create(world.path(&format!("{log}.{name}"))).unwrap();
    world.command(&["run"]).stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn().unwrap()
}

async fn until(world: &World, log: &str, wanted: &str) -> String {
    let begun = clock::steady();
    loop {
        let told = std::fs::read_to_string(world.path(&format!("{log}.out"))).unwrap_or_default();
        if told.contains(wanted) {
            return told;
        }
        let err = || std::fs::read_to_string(world.path(&format!("{log}.err"))).unwrap_or_default();
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {wanted}: {told} {}", err());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_file_that_is_laid_into_the_folder_is_told_once_by_place_and_never_shown() {
    let world = World::new(quiet(41, 1)).await;
    let accounts = world.accounts.clone();
    let entries = accounts.iter().map(|account| Entry {
        account: account.clone(),
        tags: "",
        sub: None,
        mode: "off",
        trade: false,
    });
    world.configure("[leakcheck]\ndir = \"dumps\"\nevery = \"1s\"", "", &[], &entries.collect::<Vec<_>>());
    let dumps = world.path("dumps");
    std::fs::create_dir(&dumps).unwrap();
    assert!(Command::new("mkfifo").arg(dumps.join("pipe")).status().unwrap().success());
    std::os::unix::fs::symlink(world.path(&format!("binance-{}.secret", accounts[0].name)), dumps.join("link"))
        .unwrap();
    let secret = accounts[0].secret.expose().trim().to_owned();
    std::fs::write(dumps.join("a.csv"), format!("id,secret\n1,{secret}\n")).unwrap();
    let mut daemon = start(&world, "first");
    let told = until(&world, "first", "stands in a file that was published").await;
    assert!(told.contains("a.csv at byte 12") && told.contains(&id(&accounts[0]).to_string()), "{told}");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    // Another file after a restart is told, and the first is not told again.
    let mut daemon = start(&world, "second");
    std::fs::write(dumps.join("b.txt"), format!("key of somebody: {}", accounts[1].key_id)).unwrap();
    let told = until(&world, "second", "b.txt at byte 17").await;
    assert!(!told.contains("a.csv"), "{told}");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let leaks: Vec<String> = journal::read_from(&world.path("state/journal"), 1)
        .unwrap()
        .filter_map(Result::ok)
        .filter(|arrival| arrival.from == Source::Operator)
        .filter_map(|arrival| {
            let Body::Frame(frame) = arrival.body else { return None };
            Some(frame.get().to_owned())
        })
        .collect();
    assert!(leaks.iter().any(|leak| leak.contains("a.csv") && leak.contains("\"byte\":12")), "{leaks:?}");
    // Nothing of a key is anywhere it was not laid by hand.
    let hidden = [secret.as_str(), accounts[1].key_id.as_str()];
    for name in ["first.out", "first.err", "second.out", "second.err"] {
        let text = std::fs::read_to_string(world.path(name)).unwrap();
        assert!(hidden.iter().all(|hidden| !text.contains(hidden)), "{name}");
    }
    assert!(leaks.iter().all(|leak| hidden.iter().all(|hidden| !leak.contains(hidden))));
    world.end().await;
}
