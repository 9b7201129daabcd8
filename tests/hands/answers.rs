//! Answers of the command line: taken whoever runs the daemon, and given whatever one account's file says.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use fillguard::domain::Venue;

use super::daemon::kill;
use super::world::{Entry, World, id, quiet};

/// A user without a name, as systemd makes one for the service.
const SERVICE: u32 = 61_184;

/// A quiet account that responses may act on.
async fn guarded(seed: u64) -> World {
    let world = World::new(quiet(seed, 2)).await;
    let binance = world.at(Venue::Binance);
    world.handle.permit(&id(&binance[1]), "trade", true).unwrap();
    let sub = Some("victim@desk.example".to_owned());
    world.handle.adopt(&id(&binance[0]), "victim@desk.example", &id(&binance[1])).unwrap();
    let entry = Entry { account: binance[1].clone(), tags: "\"botco\"", sub, mode: "confirm", trade: false };
    world.configure("[accounts]\ndir = \"accounts.d\"", "", &binance[..1], &[entry]);
    fs::create_dir(world.path("accounts.d")).unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_by_root_is_taken_by_a_daemon_of_another_user() {
    let world = guarded(51).await;
    let (code, said) = world.run(&["respond", "reset"], "");
    assert!(code == 1 && said.contains("NOT TAKEN YET"), "nobody is there to take it: {code} {said}");
    let folder = world.path("state/respond");
    let left = || fs::read_dir(&folder).unwrap().count();
    assert_eq!(left(), 1);
    if fs::metadata(&folder).unwrap().uid() != 0 {
        eprintln!("skipped: only root can play two users");
        return world.end().await;
    }
    world.give_to(SERVICE);
    // As an older version left it: root's, and nobody else's.
    std::os::unix::fs::chown(&folder, Some(0), Some(0)).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    let daemon = world.start(1, Some(SERVICE));
    for _ in 0..300 {
        if world.log(1).contains("answers to responses cannot be read") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(world.log(1).contains("answers to responses cannot be read"), "{}", world.log(1));
    let (code, said) = world.run(&["respond", "reset"], "");
    assert!(code == 0 && said.contains("the daemon took it"), "{code} {said} {}", world.log(1));
    assert_eq!(left(), 0);
    assert!(world.log(1).contains("user 0 of this machine"), "{}", world.log(1));
    kill(daemon);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_account_file_keeps_nobody_from_acting_for_the_others() {
    let world = guarded(53).await;
    let watched = id(&world.at(Venue::Binance)[1]);
    world.remember(&[(watched.clone(), 500)], &[]);
    world.put("accounts.d/mallory.toml", "exchange = \"binance\"\nkey_flie = \"x\"\n");
    let account = watched.to_string();
    let (code, said) = world.run(&["check"], "");
    assert!(code != 0 && said.contains("mallory.toml"), "{said}");
    for (args, wanted) in [
        (&["incidents"][..], 0),
        (&["respond", "log"], 0),
        (&["respond", "reset"], 1),
        (&["silence", "list"], 0),
        (&["silence", "add", &account, "--for", "1h", "--why", "moving", "--by", "me"], 1),
        (&["silence", "add", "binance/mallory", "--for", "1h", "--why", "moving", "--by", "me"], 1),
        (&["leak-mode", "on", "--account", &account, "--why", "a leak"], 0),
        (&["leak-mode", "on", "--tag", "theirs", "--why", "a leak"], 0),
    ] {
        let (code, said) = world.run(args, "");
        assert_eq!(code, wanted, "{args:?}: {said}");
        assert!(said.contains("mallory.toml:2: key_flie") && said.contains("left out"), "{args:?}: {said}");
    }
    for args in [&["ack", "binance-nobody-1"][..], &["respond", "approve", "binance-nobody-1"]] {
        let (code, said) = world.run(args, "");
        assert!(code == 2 && said.contains("there is no"), "{args:?}: {said}");
    }
    let told = "mallory.toml: it cannot be read, so nothing is done about its account";
    let (code, said) = world.run(&["panic", "--tag", "botco", "--dry-run"], "");
    assert!(code == 1 && said.contains(told), "{code} {said}");
    let (code, said) = world.run(&["panic", "--tag", "botco"], "take 1 keys\n");
    assert!(code == 1 && said.contains(told) && said.contains("1 of 1 accounts"), "{code} {said}");
    let (code, said) = world.run(&["panic", "--account", "binance/mallory"], "");
    assert!(code == 2 && said.contains(told), "{code} {said}");
    let (code, said) = world.run(&["panic", "--account", &account, "--dry-run"], "");
    assert!(code == 0 && !said.contains("mallory"), "{code} {said}");
    world.end().await;
}
