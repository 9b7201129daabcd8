//! Accounts in files of their own: read at the start, followed while they change, refused one by one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fillguard::config::{Book, Config, Look, NewRules, Problems, RuleBook};
use fillguard::domain::AccountId;
use tempfile::TempDir;

const SECRET: &str = "canary0Secret1That2Nobody3May4See";
const MAIN: &str =
    "[accounts]\ndir = \"accounts.d\"\n[notify]\nphrase = \"blue heron\"\n[notify.console]\nenabled = true\n";

struct Home(TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        fs::create_dir(home.path("accounts.d")).unwrap();
        home.write("fillguard.toml", MAIN);
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    /// Writes an account's file and its secrets.
    fn account(&self, name: &str) {
        self.secrets(name, SECRET);
        self.write(&format!("accounts.d/{name}.toml"), &toml(name));
    }

    fn secrets(&self, name: &str, secret: &str) {
        self.write(&format!("accounts.d/{name}.key"), &format!("key-of-{name}\n"));
        self.write(&format!("accounts.d/{name}.secret"), &format!("{secret}\n"));
    }

    fn load(&self) -> Result<Config, Problems> {
        Config::with_credentials(&self.path("fillguard.toml"), None)
    }

    fn book(&self) -> Book {
        self.load().unwrap_or_else(|problems| panic!("{problems}")).book
    }
}

fn toml(name: &str) -> String {
    format!("exchange = \"binance\"\nkey_file = \"{name}.key\"\nsecret_file = \"{name}.secret\"\n")
}

fn names(look: &Look) -> Option<Vec<String>> {
    look.accounts.as_ref().map(|all| all.accounts.iter().map(|account| account.id.to_string()).collect())
}

/// Looks until the files look alike twice, and sees to it that nothing is taken before.
fn settled(book: &mut Book) -> Look {
    let first = book.look();
    assert!(first.accounts.is_none() && first.refused.is_empty(), "{first:?}");
    let look = book.look();
    assert!(!format!("{look:?}").contains("canary"));
    assert!(book.look().accounts.is_none(), "taken twice");
    look
}

#[test]
fn a_file_an_account_is_read_and_called_after_its_file() {
    let home = Home::new();
    home.account("alice");
    home.account("bob");
    home.write("accounts.d/carol.toml", &format!("name = \"caroline\"\n{}", toml("carol")));
    home.secrets("carol", SECRET);
    home.write("accounts.d/.dave.toml", "half of a file");
    home.write("accounts.d/README", "not an account");
    let config = home.load().unwrap_or_else(|problems| panic!("{problems}"));
    let names: Vec<String> = config.accounts.iter().map(|account| account.id.to_string()).collect();
    assert_eq!(names, ["binance/alice", "binance/bob", "binance/caroline"]);
    assert_eq!(config.feed.accounts.len(), 3);
}

#[test]
fn every_problem_of_every_file_is_told_and_the_other_accounts_are_watched() {
    let home = Home::new();
    home.account("alice");
    home.write("accounts.d/bad.toml", "exchange = \"binanze\"\nkey_file = \"none.key\"\nsecret = \"x\"\n");
    home.write("accounts.d/twin.toml", &format!("name = \"alice\"\n{}", toml("twin")));
    home.secrets("twin", SECRET);
    home.write("accounts.d/thief.toml", &toml("alice"));
    let config = home.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.feed.accounts.len(), 1);
    let told = config.faulty.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for part in [
        "bad.toml:1: exchange",
        "bad.toml:2: key_file",
        "bad.toml:3: secret",
        "thief.toml:2: key_file: is the same key as that of binance/alice",
        "twin.toml:1: name: binance/alice is there already, in ",
    ] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    assert_eq!(config.book.unreadable().into_iter().collect::<Vec<_>>(), ["bad", "thief", "twin"]);
    let problems = Config::check(&home.path("fillguard.toml")).unwrap_err();
    assert!(problems.problems.is_empty() && problems.elsewhere.len() == 3);
    assert_eq!(problems.to_string().lines().count(), told.lines().count());
    home.write("fillguard.toml", "[accounts]\ndir = \"nowhere\"\n[notify.console]\nenabled = true\n");
    assert!(home.load().unwrap_err().to_string().contains("nowhere cannot be read"));
}

#[test]
fn a_file_that_is_added_changed_or_removed_is_taken_when_it_looks_alike_twice() {
    let home = Home::new();
    home.account("alice");
    let mut book = home.book();
    assert!(book.look().accounts.is_none());

    home.account("bob");
    assert_eq!(names(&settled(&mut book)).unwrap(), ["binance/alice", "binance/bob"]);

    // Only the secret's file changes, as it does when a key is exchanged.
    home.secrets("bob", "another-secret");
    let look = settled(&mut book);
    assert_eq!(
        (look.news, names(&Look { accounts: look.accounts.clone(), ..Look::default() }).unwrap().len()),
        (vec!["binance/bob: its key changed".to_owned()], 2)
    );

    // Written anew with the same content: nothing changed.
    home.secrets("bob", "another-secret");
    assert!(settled(&mut book).accounts.is_none());

    home.write("accounts.d/bob.toml", &format!("{}tags = [\"3commas\"]\n", toml("bob")));
    assert_eq!(settled(&mut book).news, ["binance/bob: its settings changed"]);

    fs::remove_file(home.path("accounts.d/alice.toml")).unwrap();
    assert_eq!(names(&settled(&mut book)).unwrap(), ["binance/bob"]);
}

#[test]
fn a_file_that_is_being_written_is_left_alone_and_a_bad_one_leaves_the_account_as_it_was() {
    let home = Home::new();
    home.account("alice");
    let mut book = home.book();
    home.secrets("bob", SECRET);
    let whole = toml("bob");
    for end in [10, 30, whole.len()] {
        home.write("accounts.d/bob.toml", &whole[..end]);
        let look = book.look();
        assert!(look.accounts.is_none() && look.refused.is_empty(), "half a file was taken: {look:?}");
    }
    assert_eq!(names(&book.look()).unwrap().len(), 2);

    home.write("accounts.d/bob.toml", "exchange = \"binance\"\nkey_file = \"bob.key\"\n");
    let look = settled(&mut book);
    assert!(look.accounts.is_none());
    assert_eq!(look.refused.len(), 1, "{look:?}");
    assert!(look.refused[0].contains("bob.toml") && look.refused[0].ends_with("(it is watched as before)"), "{look:?}");
    assert!(book.unreadable().is_empty(), "who is watched is not unreadable");

    home.write("accounts.d/bob.toml", &whole);
    assert!(settled(&mut book).accounts.is_none(), "it is as it was");
}

#[test]
fn a_name_that_becomes_free_is_given_to_the_file_that_was_refused_for_it() {
    let home = Home::new();
    home.account("alice");
    let mut book = home.book();
    home.write("accounts.d/twin.toml", &format!("name = \"alice\"\n{}", toml("twin")));
    home.secrets("twin", SECRET);
    assert!(settled(&mut book).refused[0].contains("is there already"));
    fs::remove_file(home.path("accounts.d/alice.toml")).unwrap();
    book.look();
    assert_eq!(names(&book.look()).unwrap(), Vec::<String>::new());
    assert_eq!(names(&book.look()).unwrap(), ["binance/alice"]);
}

#[test]
fn a_folder_that_cannot_be_read_takes_nobody_out() {
    let home = Home::new();
    home.account("alice");
    let mut book = home.book();
    fs::rename(home.path("accounts.d"), home.path("elsewhere")).unwrap();
    let look = book.look();
    assert!(look.accounts.is_none() && look.refused[0].contains("watched as before"), "{look:?}");
    let look = (book.look(), book.look());
    assert!(look.1.accounts.is_none() && look.0.refused.is_empty(), "told once: {look:?}");
    fs::rename(home.path("elsewhere"), home.path("accounts.d")).unwrap();
    assert!(book.look().accounts.is_none());
}

#[test]
fn reading_the_configuration_again_takes_its_accounts_and_says_what_waits_for_a_restart() {
    let home = Home::new();
    home.account("alice");
    let mut book = home.book();
    home.secrets("erin", SECRET);
    let erin = "[[account]]\nexchange = \"binance\"\nname = \"erin\"\nkey_file = \"accounts.d/erin.key\"\nsecret_file = \"accounts.d/erin.secret\"\n";
    home.write("fillguard.toml", &format!("{MAIN}[journal]\nkeep_for = \"9d\"\n{erin}"));
    assert!(book.look().accounts.is_none(), "the configuration itself is read when told to");
    // What is told to be read is read as it is, without waiting.
    home.account("bob");
    let look = book.reload();
    assert_eq!(names(&look).unwrap(), ["binance/erin", "binance/alice", "binance/bob"]);
    assert_eq!(look.refused, ["[journal] changed and is taken over with the next restart only"]);

    home.write("fillguard.toml", &format!("{MAIN}{erin}[jurnal]\n"));
    let look = book.reload();
    assert!(look.accounts.is_none() && look.refused[0].contains("jurnal"), "{look:?}");

    // Secrets of the configuration's own accounts are followed as well.
    home.secrets("erin", "another-secret");
    assert_eq!(settled(&mut book).news, ["binance/erin: its key changed"]);
    assert!(Path::new(&home.path("fillguard.toml")).exists());
}

#[test]
fn a_channel_may_name_an_account_whose_file_is_broken() {
    let home = Home::new();
    home.account("alice");
    home.write("accounts.d/bob.toml", "exchange = 1\n");
    home.write("telegram.token", "7123456:canary-Telegram");
    let channel = "[[notify.telegram]]\ntoken_file = \"telegram.token\"\nchat = 1\naccounts = [\"binance/alice\", \"binance/NAME\"]\n";
    home.write("fillguard.toml", &format!("{MAIN}{}", channel.replace("NAME", "bob")));
    assert!(home.load().is_ok());
    home.write("fillguard.toml", &format!("{MAIN}{}", channel.replace("NAME", "mallory")));
    assert!(home.load().unwrap_err().to_string().contains("there is no account binance/mallory"));
}

#[test]
fn an_account_whose_file_is_broken_may_be_protected_and_one_that_has_none_may_not() {
    let home = Home::new();
    home.account("alice");
    home.write("accounts.d/bob.toml", "exchange = 1\n");
    let protect = |name: &str| {
        home.write(
            "fillguard.toml",
            &format!("{MAIN}[response]\nprotected = [\"binance/alice\", \"binance/{name}\"]\n"),
        );
        home.load()
    };
    assert!(protect("bob").is_ok());
    assert!(protect("alise").unwrap_err().to_string().contains("; did you mean binance/alice?"));
}

#[test]
fn tags_and_policies_of_accounts_that_come_change_and_go_judge_without_a_restart() {
    let home = Home::new();
    home.account("alice");
    let config = home.load().unwrap_or_else(|problems| panic!("{problems}"));
    let (mut book, mut rules) = (config.book, RuleBook::new(&config.file, &config.pipeline));
    let bob: AccountId = "binance/bob".parse().unwrap();
    let mut expected = |text: Option<&str>| {
        match text {
            Some(text) => {
                home.secrets("bob", SECRET);
                home.write("accounts.d/bob.toml", &format!("{}{text}", toml("bob")));
            }
            None => fs::remove_file(home.path("accounts.d/bob.toml")).unwrap(),
        }
        assert!(settled(&mut book).accounts.is_some(), "the change was not seen");
        let NewRules::Taken(settings, _) = rules.look(true) else { panic!("the rules stayed as they were") };
        let policies = settings.engine.key_policy.expected.clone();
        let policy = policies.into_iter().find(|(id, _)| *id == bob).map(|(_, policy)| policy);
        let tagged = settings.engine.tags.0.get("3commas").is_some_and(|of| of.contains(&bob));
        (tagged, policy.map(|policy| (policy.allow.len(), policy.restricted)))
    };
    let tagged = "tags = [\"3commas\"]\n";
    assert_eq!(expected(Some(&format!("{tagged}[policy]\nallow = [\"read\"]\n"))), (true, Some((1, false))));
    assert_eq!(expected(Some("[policy]\nrestricted = true\n")), (false, Some((0, true))));
    assert_eq!(expected(Some(tagged)), (true, None));
    assert_eq!(expected(None), (false, None));
}

#[test]
fn what_may_be_done_about_an_account_follows_its_file_and_the_configuration() {
    let home = Home::new();
    let main = |protected: &str| {
        format!(
            "{MAIN}[response]\nprotected = [{protected}]\n[[response.master]]\nexchange = \"binance\"\nname = \"desk\"\n\
             key_file = \"desk.key\"\nsecret_file = \"desk.secret\"\n"
        )
    };
    home.write("desk.key", "key-of-the-desk");
    home.write("desk.secret", SECRET);
    home.write("fillguard.toml", &main(""));
    home.account("bob");
    let with = |name: &str, mode: &str, master: &str| {
        let table = "[response]\nmode = \"MODE\"\nmaster = \"MASTER\"\nsub_account = \"a@desk.example\"\n";
        toml(name) + &table.replace("MODE", mode).replace("MASTER", master)
    };
    home.secrets("alice", SECRET);
    home.write("accounts.d/alice.toml", &with("alice", "auto", "desk"));
    let mut book = home.book();
    let alice: AccountId = "binance/alice".parse().unwrap();
    assert!(book.look().arms.is_none());
    home.write("accounts.d/alice.toml", &with("alice", "off", "desk"));
    let arms = settled(&mut book).arms.expect("switched off");
    assert_eq!(arms.settings.accounts[&alice].mode, fillguard::response::Mode::Off);
    assert!(arms.can_act() && arms.keys.masters.len() == 1);
    // A key that watches and is another now is one of ours.
    home.write("accounts.d/alice.key", "another-key-of-alice");
    let arms = settled(&mut book).arms.expect("another key");
    let ours = fillguard::domain::Fingerprint::of("another-key-of-alice");
    assert!(arms.settings.accounts[&alice].keep.contains(&ours));
    home.secrets("carol", SECRET);
    home.write("accounts.d/carol.toml", &with("carol", "auto", "nobody"));
    book.look();
    let look = book.look();
    assert!(look.arms.is_some_and(|arms| arms.settings.accounts.len() == 3));
    assert!(look.refused.iter().any(|line| line.contains("there is no [[response.master]]")), "{:?}", look.refused);
    fs::remove_file(home.path("accounts.d/carol.toml")).unwrap();
    home.write("fillguard.toml", &main("\"binance/alice\""));
    let look = book.reload();
    assert!(look.refused.is_empty(), "nothing waits for a restart: {:?}", look.refused);
    assert!(look.news.contains(&"[response] changed".to_owned()), "{:?}", look.news);
    let arms = look.arms.expect("protected");
    assert!(arms.settings.protected.contains(&alice) && arms.settings.accounts.len() == 2);
}
