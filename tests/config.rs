//! The configuration as its user meets it: a file on disk, `fillguard check`, and the unit that starts the daemon.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and says why it is skipped"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fillguard::config::{Config, Problems, Response};
use fillguard::domain::{Level, Right, RuleName, Span};
use fillguard::engine::rules::key_policy::Policy;
use fillguard::feed::SubAccounts;
use tempfile::TempDir;

const SECRET: &str = "canary0Secret1That2Nobody3May4See";
const TELEGRAM: &str = "7123456:canary-TelegramTokenThatNobodyMaySee";

/// A folder with a configuration and the files it names.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.secret("alice.key", "alice-key-id\n");
        folder.secret("alice.secret", &format!("{SECRET}\n"));
        folder.secret("passphrase", &format!("{SECRET}\n"));
        folder.secret("telegram.token", TELEGRAM);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o644)).unwrap();
        self.path(name)
    }

    fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn load(&self, text: &str) -> Result<Config, Problems> {
        Config::with_credentials(&self.write("fillguard.toml", text), None)
    }

    /// Returns the problems as they are told, without the file's name, and sees to it that no secret is among them.
    fn problems(&self, text: &str) -> Vec<String> {
        let problems = self.load(text).expect_err("the file is taken as it is");
        let told = problems.to_string();
        assert!(!told.contains("canary") && !problems.to_json().to_string().contains("canary"), "{told}");
        let name = format!("{}:", self.path("fillguard.toml").display());
        told.lines().map(|line| line.strip_prefix(&name).expect(line).to_owned()).collect()
    }
}

const ALICE: &str =
    "[[account]]\nexchange = \"binance\"\nname = \"alice\"\nkey_file = \"alice.key\"\nsecret_file = \"alice.secret\"\n";
const CONSOLE: &str = "[notify]\nphrase = \"blue heron\"\n[notify.console]\nenabled = true\n";

fn fine() -> String {
    format!("{ALICE}{CONSOLE}")
}

#[test]
fn a_small_file_is_enough() {
    let folder = Folder::new();
    let config = folder.load(&fine()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.accounts.len(), 1);
    assert_eq!(
        (config.accounts[0].id.to_string(), config.accounts[0].response),
        ("binance/alice".into(), Response::Dry)
    );
    assert_eq!(config.feed.accounts.len(), 1);
    assert_eq!(config.journal.dir, Path::new("/var/lib/fillguard/journal"));
    assert_eq!(config.store_file(), Path::new("/var/lib/fillguard/fillguard.db"));
    assert!(config.notify.console && config.warnings.is_empty(), "{:?}", config.warnings);
    assert!(!format!("{config:?}").contains("canary"), "Debug shows a secret");
}

#[test]
fn what_an_owner_expects_of_a_key_reaches_the_rule_and_whose_keys_are_listed_the_feed() {
    let folder = Folder::new();
    let alice: fillguard::domain::AccountId = "binance/alice".parse().unwrap();
    let text = ALICE.to_owned()
        + "sub_accounts = [\"bot+1@example.org\"]\n[account.policy]\nallow = [\"read\", \"fix_read\"]\nrestricted = true\n"
        + CONSOLE
        + "[feed]\nkey_state = \"90s\"\n[rules.key_unrestricted]\nagain_after = \"2h\"\n";
    let config = folder.load(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let policy = Policy { allow: vec![Right::Read, Right::FixRead], restricted: true };
    assert_eq!(config.pipeline.engine.key_policy.expected, [(alice.clone(), policy)]);
    assert_eq!(config.pipeline.engine.key_unrestricted.again_after, Span::from_secs(7_200));
    assert_eq!(config.feed.timing.key_state, std::time::Duration::from_secs(90));
    let named = SubAccounts::Named(vec!["bot+1@example.org".to_owned()]);
    assert_eq!(config.feed.sub_accounts.get(&alice), Some(&named));
    let all = folder.load(&(ALICE.to_owned() + "sub_accounts = true\n" + CONSOLE)).unwrap();
    assert_eq!(all.feed.sub_accounts.get(&alice), Some(&SubAccounts::All));
    assert!(folder.load(&fine()).unwrap().pipeline.engine.key_policy.expected.is_empty(), "no policy by default");
    for (line, why) in [
        ("sub_accounts = \"all\"", "must be true, false, or a list"),
        ("sub_accounts = [\"a b\"]", "is neither an e-mail nor a name"),
        ("sub_accounts = [7]", "must be true, false, or a list"),
        ("policy = \"read\"", "is a table of its own"),
        ("[account.policy]\nallow = [\"withdraw\", \"reed\"]", "did you mean read?"),
        ("[account.policy]\nalow = []", "did you mean allow?"),
        ("[rules.new_key]\nact = 9", "never says act by itself"),
    ] {
        let told = folder.problems(&format!("{ALICE}{line}\n{CONSOLE}"));
        assert!(told.len() == 1 && told[0].contains(why), "{line}: {told:?}");
    }
}

#[test]
fn values_reach_the_stages_with_their_units() {
    let folder = Folder::new();
    folder.write("networks.csv", "203.0.113.0/24,Example Net\n");
    let text = fine()
        + r#"
[state]
dir = "state"
[journal]
segment_bytes = "8 MiB"
keep_for = "forever"
keep_bytes = "20 GiB"
commit_every = "5ms"
[incident]
quiet = "90s"
retell = 2.5
[rules.planted_ask]
share = "0.15 %"
least_loss = "120 USD"
notice = 3
[rules.blind]
enabled = false
[access]
networks = "networks.csv"
[codec]
quotes = ["usd"]
[feed]
watch = ["kucoin/APPC-BTC"]
connect = "3s"
[feed.binance]
rest = "http://127.0.0.1:9001/"
[[notify.telegram]]
token_file = "telegram.token"
chat = -100123
min_level = "notice"
accounts = ["binance/alice"]
"#;
    let config = folder.load(&text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.journal.dir, folder.path("state/journal"));
    assert_eq!((config.journal.segment_bytes, config.journal.keep_bytes), (8 << 20, Some(20 << 30)));
    assert_eq!((config.journal.keep_for, config.journal.commit_every.as_millis()), (None, 5));
    assert_eq!(config.pipeline.alert.quiet, Span::from_secs(90));
    assert_eq!(config.pipeline.alert.retell.to_string(), "2.5");
    let planted = config.pipeline.engine.planted_ask;
    assert_eq!((planted.share, planted.least_loss, planted.levels.notice), (0.001_5, 0.004, 3.0));
    assert_eq!(config.pipeline.engine.off, [RuleName::Blind]);
    assert_eq!(config.pipeline.networks.of("203.0.113.7".parse().unwrap()).unwrap().operator.unwrap(), "Example Net");
    assert_eq!(config.pipeline.codec.quotes, ["USD"]);
    assert_eq!((config.feed.watch.len(), config.feed.timing.connect.as_secs()), (1, 3));
    assert_eq!(config.feed.binance.rest, "http://127.0.0.1:9001");
    let telegram = &config.notify.telegram[0].channel;
    assert_eq!((telegram.min_level, telegram.phrase.as_str()), (Level::Notice, "blue heron"));
    assert_eq!(telegram.accounts.as_ref().unwrap().len(), 1);
}

#[test]
fn three_mistakes_are_three_lines() {
    let folder = Folder::new();
    let told = folder
        .problems(&(fine() + "[journal]\nkeep_form = \"3d\"\nsegment_bytes = 64\n[incident]\nquiet = \"90 sec\"\n"));
    assert_eq!(
        told,
        [
            "11: journal.keep_form: unknown key; did you mean keep_for?",
            "12: journal.segment_bytes: needs its unit, in quotes: \"64 MiB\"",
            "14: incident.quiet: \"90 sec\" is not a time: write a number and ms, s, m, h or d, as in \"90s\"",
        ]
    );
}

#[test]
fn a_forgotten_quote_and_a_key_twice_are_told_beside_the_rest() {
    let folder = Folder::new();
    let told = folder.problems(&(fine() + "[log]\nlevel = info\nformat = \"text\"\nformat = \"json\"\ncolour = 1\n"));
    assert_eq!(
        told,
        [
            "11: a text stands in quotes, as in key = \"value\"",
            "13: format: is there twice; keep one of them",
            "14: log.colour: unknown key; known here: format, level",
        ]
    );
}

#[test]
fn an_empty_file_is_told_what_it_lacks() {
    let told = Folder::new().problems("");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("1: account: nobody would be watched; add an [[account]]"), "{told:?}");
    assert!(told[1].starts_with("1: notify: nobody would be told; add [[notify.email]]"), "{told:?}");
}

#[test]
fn an_account_is_told_all_that_it_lacks() {
    let folder = Folder::new();
    let told = folder.problems(&format!("[[account]]\n[[account]]\nexchange = \"kucoin\"\nname = \"bob\"\n{CONSOLE}"));
    assert_eq!(
        told,
        [
            "1: account.exchange: is missing",
            "1: account.name: is missing",
            "2: account.key_file: is missing; name the file that holds this part of the KuCoin key",
            "2: account.secret_file: is missing; name the file that holds this part of the KuCoin key",
            "2: account.passphrase_file: is missing; name the file that holds this part of the KuCoin key",
        ]
    );
}

#[test]
fn an_unknown_exchange_and_a_name_given_twice_are_told() {
    let folder = Folder::new();
    let other = ALICE.replace("binance", "binanse").replace("alice\"\nkey", "carol\"\nkey");
    let told = folder.problems(&format!("{ALICE}{ALICE}{other}{CONSOLE}"));
    assert_eq!(
        told,
        [
            "8: account.name: binance/alice is there already, in line 1",
            "12: account.exchange: \"binanse\" is none of binance, kucoin, coinbase; did you mean binance?",
        ]
    );
}

#[test]
fn one_key_for_two_accounts_is_a_copy_that_was_not_finished() {
    let folder = Folder::new();
    let told = folder.problems(&format!("{ALICE}{}{CONSOLE}", ALICE.replace("name = \"alice\"", "name = \"carol\"")));
    assert_eq!(told, ["9: account.key_file: is the same key as that of binance/alice; each account has its own"]);
}

#[test]
fn a_secret_that_cannot_be_used_is_told_why_and_never_shown() {
    let folder = Folder::new();
    let told_of = |name: &str| {
        let told = folder.problems(&fine().replace("alice.secret", name));
        assert_eq!(told.len(), 1, "{told:?}");
        told[0].strip_prefix("5: account.secret_file: ").unwrap_or_else(|| panic!("{told:?}")).to_owned()
    };
    let path = |name: &str| folder.path(name).display().to_string();
    assert_eq!(told_of("nowhere.secret"), "there is no such file (a relative path begins at this file's folder)");
    fs::create_dir(folder.path("a_folder")).unwrap();
    assert_eq!(told_of("a_folder"), format!("{} is a directory; name the file in it", path("a_folder")));
    folder.secret("empty.secret", "\n");
    assert_eq!(told_of("empty.secret"), format!("{} is empty; put the secret into it", path("empty.secret")));
    for mode in [0o644, 0o640, 0o602, 0o610] {
        let open = folder.secret("open.secret", SECRET);
        fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        let told = format!("can be read by others (mode {mode:04o}); run: chmod 600 {}", path("open.secret"));
        assert_eq!(told_of("open.secret"), format!("{} {told}", path("open.secret")));
    }
    let binary = folder.secret("binary.secret", "");
    fs::write(&binary, b"canary\xff\xfe").unwrap();
    assert_eq!(told_of("binary.secret"), format!("{} is not text", path("binary.secret")));
    folder.secret("large.secret", &"canary".repeat(20_000));
    assert!(told_of("large.secret").contains("larger than 64 KiB"));
    assert!(told_of("/dev/null").contains("is not a regular file"));
}

#[test]
fn a_named_pipe_in_the_place_of_a_secret_is_not_waited_for() {
    let folder = Folder::new();
    let made = Command::new("mkfifo").arg(folder.path("pipe.secret")).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: mkfifo is not there");
        return;
    }
    let told = folder.problems(&fine().replace("alice.secret", "pipe.secret"));
    assert!(told[0].contains("is not a regular file"), "{told:?}");
}

#[test]
fn a_secret_written_into_the_file_is_refused_and_not_shown() {
    let folder = Folder::new();
    for (line, advice) in [
        (format!("secret = \"{SECRET}\""), "write secret_file = \"PATH\""),
        (format!("api_key = \"{SECRET}\""), "write key_file = \"PATH\""),
        (format!("passphrase = \"{SECRET}\""), "write passphrase_file = \"PATH\""),
        (format!("password = \"{SECRET}\""), "put it into a file of its own"),
        (format!("passphrase_file = \"{SECRET}\""), "looks like the secret itself"),
        (format!("passphrase_credential = \"{SECRET}/\""), "is not the name of a credential"),
        (format!("unheard_of = \"{SECRET}\""), "unknown key"),
        (format!("tags = \"{SECRET}\""), "must be a list"),
        (format!("response = \"{SECRET}\""), "this is none of off, dry"),
    ] {
        let told = folder.problems(&format!("{ALICE}{line}\n{CONSOLE}"));
        assert!(told.iter().any(|told| told.starts_with("6: ") && told.contains(advice)), "{line}: {told:?}");
    }
}

#[test]
fn what_a_credential_file_holds_must_be_a_key() {
    let folder = Folder::new();
    folder.secret("alice.secret", "canary with blanks");
    let told = folder.problems(&fine());
    assert!(
        told.len() == 1 && told[0].starts_with("1: account: the key cannot be used: the secret key holds"),
        "{told:?}"
    );
    folder.secret("telegram.token", "canary");
    let told =
        folder.problems(&(CONSOLE.to_owned() + "[[notify.telegram]]\ntoken_file = \"telegram.token\"\nchat = 1\n"));
    assert!(told.iter().any(|told| told.starts_with("5: notify.telegram: the token is not of the form")), "{told:?}");
}

#[test]
fn credentials_come_from_systemds_folder_whatever_their_mode() {
    let folder = Folder::new();
    let credentials = folder.path("credentials");
    fs::create_dir(&credentials).unwrap();
    let text = fine().replace("key_file = \"alice.key\"", "key_credential = \"keys_alice.key\"");
    let text = text.replace("secret_file = \"alice.secret\"", "secret_credential = \"keys_alice.secret\"");
    let path = folder.write("fillguard.toml", &text);
    let without = Config::with_credentials(&path, None).unwrap_err().to_string();
    assert!(without.contains("$CREDENTIALS_DIRECTORY is not set") && without.lines().count() == 2, "{without}");
    let missing = Config::with_credentials(&path, Some(credentials.clone())).unwrap_err().to_string();
    assert!(missing.contains(":4: account.key_credential: there is no such credential"), "{missing}");
    for name in ["keys_alice.key", "keys_alice.secret"] {
        fs::write(credentials.join(name), SECRET).unwrap();
        fs::set_permissions(credentials.join(name), fs::Permissions::from_mode(0o440)).unwrap();
    }
    let config = Config::with_credentials(&path, Some(credentials.clone())).unwrap();
    assert_eq!(config.feed.accounts.len(), 1);
    // Named by its path it is as well guarded.
    let by_path = text.replace("key_credential = \"keys_alice.key\"", "key_file = \"credentials/keys_alice.key\"");
    assert!(Config::with_credentials(&folder.write("fillguard.toml", &by_path), Some(credentials)).is_ok());
}

#[test]
fn coinbases_own_key_file_is_taken_as_it_is() {
    let folder = Folder::new();
    // The base64 text of an Ed25519 seed.
    let seed = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let text = format!(
        "[[account]]\nexchange = \"coinbase\"\nname = \"carol\"\nkey_json_file = \"cdp_api_key.json\"\n{CONSOLE}"
    );
    for json in [
        format!("{{\"name\": \"organizations/1/apiKeys/2\", \"privateKey\": \"{seed}\"}}"),
        format!("{{\"id\": \"2\", \"privateKey\": \"{seed}\"}}\n"),
    ] {
        folder.secret("cdp_api_key.json", &json);
        assert_eq!(folder.load(&text).unwrap_or_else(|problems| panic!("{problems}")).feed.accounts.len(), 1);
    }
    folder.secret("cdp_api_key.json", &format!("{{\"privateKey\": {{\"x\": \"{SECRET}\"}}}}"));
    let told = folder.problems(&text);
    assert!(told[0].starts_with("4: account.key_json_file: is not Coinbase's key file"), "{told:?}");
    let told = folder.problems(&text.replace("\"coinbase\"", "\"kucoin\""));
    assert!(told.iter().any(|told| told.contains("only Coinbase hands out keys as JSON")), "{told:?}");
}

#[test]
fn an_exchange_in_the_clear_is_for_this_machine_only() {
    let folder = Folder::new();
    let told = folder
        .problems(&(fine() + "[feed.kucoin]\nrest = \"http://api.kucoin.com\"\nuta_push = \"https://localhost\"\n"));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("11: feed.kucoin.rest: http:// is taken for this machine only"), "{told:?}");
    assert_eq!(told[1], "12: feed.kucoin.uta_push: must start with wss://");
}

#[test]
fn an_access_source_is_told_all_that_it_lacks() {
    let folder = Folder::new();
    let told = folder.problems(
        &(fine()
            + r#"[[access.file]]
format = "nginx"
pattern = "$remote_addr$status"
[[access.file]]
name = "gateway"
path = "x.log"
format = "nginx"
accounts = { "desk-1" = "carol" }
ip_field = "http_x_ip"
[[access.file]]
name = "gateway"
path = "y.log"
format = "json"
pattern = "x"
account = "binance/alice"
account_field = "account"
[access.http]
listen = "0.0.0.0:7780"
"#),
    );
    let wanted = [
        "access.file.name: is missing",
        "access.file.path: is missing",
        "access.file.pattern: nothing stands between remote_addr and status",
        "access.file.account_field: is missing",
        "access.file.accounts: names an account that is not there",
        "access.file.ip_field: is not in the pattern; it has remote_addr, remote_user",
        "access.file.name: the source in line 13 has this name too",
        "access.file.pattern: is of no use",
        "access.file.account_field: is of no use beside account",
        "access.http.token_file: is missing",
        "access.http.listen: is open to other machines",
    ];
    for wanted in wanted {
        assert!(told.iter().any(|told| told.contains(wanted)), "{wanted}: {told:#?}");
    }
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
}

#[test]
fn an_access_token_is_long_enough_and_access_sources_are_read() {
    let folder = Folder::new();
    folder.secret("short.token", "canary");
    folder.secret("long.token", SECRET);
    let door = "[access.http]\nlisten = \"[::1]:7780\"\n";
    let told = folder.problems(&format!("{}{door}token_file = \"short.token\"\n", fine()));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("access.http.token_file: holds no token of at least 24"), "{told:?}");
    let log = "[[access.file]]\nname = \"egress\"\npath = \"x.log\"\nformat = \"squid\"\naccount = \"alice\"\n";
    let text = format!("{}{log}{door}token_file = \"long.token\"\nbehind_proxy = true\n", fine());
    let config = folder.load(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let (files, http) = (&config.feed.access.files, config.feed.access.http.as_ref().unwrap());
    assert_eq!((files.len(), files[0].path.clone()), (1, folder.path("x.log")));
    assert!(http.behind_proxy && !format!("{http:?}").contains("canary"));
    assert!(
        config.warnings.iter().any(|warning| warning.contains("x.log cannot be read yet")),
        "{:?}",
        config.warnings
    );
}

#[test]
fn what_is_not_built_is_said_and_not_called_unknown() {
    let folder = Folder::new();
    let account = ALICE.to_owned() + "response = \"auto\"\n";
    let told =
        folder.problems(&format!("{account}{CONSOLE}[[access.log]]\npath = \"x\"\n[rules.unknown_origin]\nact = 9\n"));
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("6: account.response: needs to know how"), "{told:?}");
    assert_eq!(told[1], "11: access.log: is written [[access.file]]");
    assert!(told[2].starts_with("14: rules.unknown_origin.act: this rule rests on one kind"), "{told:?}");
}

#[test]
fn values_that_contradict_each_other_are_told() {
    let folder = Folder::new();
    let told = folder.problems(
        &(fine()
            + "[rules.pump_buy]\nnotice = 7\nalert = 6\n[rules.churn_loss]\nact = nan\n[feed.backoff]\nmin = \"2m\"\n[journal]\n\
               segment_bytes = \"1 GiB\"\nkeep_bytes = \"512 MiB\"\n[journal.x]\n"),
    );
    assert_eq!(
        told,
        [
            "12: rules.pump_buy.alert: 6 is below notice (7): levels grow from notice to act",
            "14: rules.churn_loss.act: must be a number, without quotes",
            "15: feed.backoff.max: is shorter than min",
            "19: journal.keep_bytes: is smaller than one segment (segment_bytes), so nothing would be kept",
            "20: journal.x: unknown key; known here: segment_bytes, keep_for, keep_bytes, commit_every, queue, full_disk_wait, warn_free",
        ]
    );
}

#[test]
fn channels_are_told_apart_and_name_accounts_that_are_there() {
    let folder = Folder::new();
    let mail = "[[notify.email]]\nserver = \"smtp.example.org\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\",\n\"not an address\"]\n";
    let told = folder.problems(&format!("{ALICE}{mail}{mail}accounts = [\"binance/bob\"]\ntls = \"none\"\n{CONSOLE}"));
    assert_eq!(
        told,
        [
            "10: notify.email.to: is not an address, such as \"Desk <desk@example.org>\"",
            "11: notify.email.name: the channel in line 6 has this name too; give one of them another",
            "11: notify.email: channel email: smtp.example.org is not this machine, so tls = \"none\" or http is refused; use TLS",
            "15: notify.email.to: is not an address, such as \"Desk <desk@example.org>\"",
            "16: notify.email.accounts: there is no account binance/bob",
        ]
    );
}

#[test]
fn an_account_that_is_protected_and_misspelt_is_told_with_the_one_that_was_meant() {
    let folder = Folder::new();
    let protected = |name: &str| format!("{}[response]\nprotected = [\"{name}\"]\n", fine());
    let config = folder.load(&protected("binance/alice")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.response.protected.len(), 1);
    for (name, meant) in [
        ("binance/alise", "; did you mean binance/alice?"),
        ("kucoin/alice", "; did you mean binance/alice?"),
        ("binance/bob", ""),
    ] {
        let told = folder.problems(&protected(name));
        assert_eq!(told, [format!("11: response.protected: there is no account {name}{meant}")]);
    }
    let channel = "[[notify.telegram]]\ntoken_file = \"telegram.token\"\nchat = 1\naccounts = [\"binance/alise\"]\n";
    let told = folder.problems(&format!("{}{channel}", fine()));
    assert_eq!(told, ["13: notify.telegram.accounts: there is no account binance/alise; did you mean binance/alice?"]);
}

#[test]
fn a_key_that_acts_has_files_of_its_own_and_so_has_each_of_its_parts() {
    let folder = Folder::new();
    folder.secret("desk.key", "desk-key-id\n");
    std::os::unix::fs::symlink(folder.path("alice.key"), folder.path("link.key")).unwrap();
    let watches = "is made of the files of the key that watches binance/alice; a key that may act has files of its own";
    let keys = |key: &str| format!("key_file = \"{key}\"\nsecret_file = \"alice.secret\"\n");
    let trade = |key: &str| {
        format!("{ALICE}[account.response]\nmode = \"auto\"\n[account.response.trade]\n{}{CONSOLE}", keys(key))
    };
    let master =
        |key: &str| format!("{}[[response.master]]\nexchange = \"binance\"\nname = \"desk\"\n{}", fine(), keys(key));
    for same in ["alice.key", "./alice.key", "link.key"] {
        assert_eq!(folder.problems(&trade(same)), [format!("8: account.response.trade: {watches}")], "{same}");
        assert_eq!(folder.problems(&master(same)), [format!("10: response.master: {watches}")], "{same}");
    }
    for text in [trade("desk.key"), master("desk.key")] {
        folder.load(&text).unwrap_or_else(|problems| panic!("{problems}"));
    }
    let reason = "is the same file as that of the key's id; each of the two has a file of its own";
    let told = folder.problems(&fine().replace("alice.secret", "alice.key"));
    assert_eq!(told, [format!("5: account.secret_file: {reason}")]);
    let told = folder.problems(&master("alice.secret"));
    assert_eq!(told, [format!("14: response.master.secret_file: {reason}")]);
}

#[test]
fn two_do_not_listen_on_one_address_and_port_0_is_none() {
    let folder = Folder::new();
    folder.secret("long.token", SECRET);
    let text = |answers: &str, posts: &str| {
        format!(
            "{}[answers]\nlisten = \"{answers}\"\npublic_url = \"https://guard.example.org\"\n[access.http]\n\
             listen = \"{posts}\"\nbehind_proxy = true\ntoken_file = \"long.token\"\n",
            fine()
        )
    };
    let clash = "11: answers.listen: is where access.http listens; give one of them another port";
    for (answers, posts) in
        [("127.0.0.1:7780", "127.0.0.1:7780"), ("127.0.0.1:7780", "0.0.0.0:7780"), ("[::]:7780", "127.0.0.1:7780")]
    {
        assert_eq!(folder.problems(&text(answers, posts)), [clash], "{answers} {posts}");
    }
    for (answers, posts) in [("127.0.0.1:7781", "127.0.0.1:7780"), ("127.0.0.2:7780", "127.0.0.1:7780")] {
        folder.load(&text(answers, posts)).unwrap_or_else(|problems| panic!("{problems}"));
    }
    let told = folder.problems(&text("127.0.0.1:0", "127.0.0.1:0"));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("11: answers.listen: names port 0, which is another one at each start"), "{told:?}");
    assert!(
        told[1].starts_with("14: access.http.listen: names port 0, which is another one at each start"),
        "{told:?}"
    );
}

#[test]
fn an_address_is_one_line_and_a_mail_server_has_no_blanks() {
    let folder = Folder::new();
    let hook = format!("{}[[notify.webhook]]\nurl_file = \"hook.url\"\n[alive]\nping_file = \"hook.url\"\n", fine());
    for wrong in ["https://a.example.org/canary\nhttps://b.example.org\n", "https://a.example.org/can\u{7}ary"] {
        folder.secret("hook.url", wrong);
        let reason = "holds more than one line, or control characters; put the address alone into it";
        let told = folder.problems(&hook);
        assert_eq!(told, [format!("11: notify.webhook.url_file: {reason}"), format!("13: alive.ping_file: {reason}")]);
    }
    folder.secret("hook.url", "https://a.example.org/x\r\n");
    folder.load(&hook).unwrap_or_else(|problems| panic!("{problems}"));
    for server in ["smtp.example.org\\n", "smtp example.org", "smtp.example.org ", "a\\u0007b"] {
        let mail =
            format!("[[notify.email]]\nserver = \"{server}\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n");
        let told = folder.problems(&format!("{}{mail}", fine()));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("11: notify.email.server: must be a name or an address alone"), "{told:?}");
    }
}

#[test]
fn a_folder_is_no_log_and_a_file_no_folder_of_leaks() {
    let folder = Folder::new();
    fs::create_dir(folder.path("dumps")).unwrap();
    folder.write("dump.txt", "");
    let log = "[[access.file]]\nname = \"egress\"\npath = \"dumps\"\nformat = \"squid\"\naccount = \"alice\"\n";
    let told = folder.problems(&format!("{}{log}", fine()));
    let dumps = folder.path("dumps").display().to_string();
    assert_eq!(told, [format!("12: access.file.path: {dumps} is a directory; name the log in it")]);
    let leaks = |dir: &str| format!("{}[leakcheck]\ndir = \"{dir}\"\n", fine());
    let told = folder.problems(&leaks("dump.txt"));
    assert_eq!(told, [format!("11: leakcheck.dir: {} is not a directory", folder.path("dump.txt").display())]);
    assert!(folder.load(&leaks("dumps")).unwrap().warnings.is_empty());
    let warnings = folder.load(&leaks("dmups")).unwrap().warnings;
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("leakcheck.dir: ") && warnings[0].contains("cannot be read yet")
    );
}

#[test]
fn tables_in_the_wrong_form_are_told() {
    let folder = Folder::new();
    let told =
        folder.problems("journal = 3\n[account]\nname = \"alice\"\n[[log]]\n[notify]\nemail = \"me@example.org\"\n");
    assert_eq!(
        told,
        [
            "1: journal: is a table of its own: write it once, as [journal]",
            "2: account: may be there more than once: write it as [[account]]",
            "4: log: is a table of its own: write it once, as [log]",
            "6: notify.email: may be there more than once: write it as [[notify.email]]",
        ]
    );
}

#[test]
fn a_file_that_others_may_change_is_warned_of() {
    let folder = Folder::new();
    let path = folder.write("fillguard.toml", &fine());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    let warnings = Config::with_credentials(&path, None).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("chmod go-w "), "{warnings:?}");
}

#[test]
fn a_replay_needs_no_account_and_no_secret() {
    let folder = Folder::new();
    let text = "[[account]]\nexchange = \"binance\"\nname = \"gone\"\nkey_file = \"gone.key\"\n[incident]\nquiet = \"5m\"\n\
                [[notify.telegram]]\nchat = 1\ntoken_credential = \"gone\"\n";
    let path = folder.write("fillguard.toml", text);
    assert_eq!(Config::pipeline_only(&path).unwrap().alert.quiet, Span::from_secs(300));
    let path = folder.write("fillguard.toml", &text.replace("5m", "5 m n"));
    assert!(Config::pipeline_only(&path).unwrap_err().to_string().contains(":6: incident.quiet: "));
}

#[test]
fn what_is_no_configuration_is_said_in_one_line() {
    let folder = Folder::new();
    let told = |path: &Path| Config::load(path).unwrap_err().to_string();
    let name = |path: &Path| path.display().to_string();
    assert_eq!(told(folder.0.path()), format!("{}: is a directory; name the file in it", name(folder.0.path())));
    let path = folder.path("nowhere.toml");
    assert!(told(&path).starts_with(&format!("{}: cannot be read: No such file", name(&path))));
    fs::write(folder.path("latin.toml"), b"[log]\n# caf\xe9\n").unwrap();
    let path = folder.path("latin.toml");
    assert_eq!(told(&path), format!("{}:2: is not UTF-8 text; save it as UTF-8", name(&path)));
    for deep in ["[".repeat(10_000_000), format!("a = {}", "[{a=".repeat(2_500_000))] {
        let path = folder.write("deep.toml", &deep);
        let told = told(&path);
        assert!(told.starts_with(&format!("{}:1: is not TOML here: ", name(&path))), "{told}");
        assert!(told.lines().count() == 1 && told.len() < 500);
    }
    let path = folder.write("large.toml", "");
    fs::File::options().write(true).open(&path).unwrap().set_len(33 << 20).unwrap();
    assert!(told(&path).contains("larger than 32 MiB"));
}

fn fillguard(args: &[&str]) -> (Option<i32>, String) {
    let output = assert_cmd::Command::cargo_bin("fillguard")
        .unwrap()
        .args(args)
        .env_remove("CREDENTIALS_DIRECTORY")
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn check_says_what_would_run_and_makes_nothing() {
    let folder = Folder::new();
    let text = fine() + "[state]\ndir = \"state\"\n[rules.blind]\nenabled = false\n";
    let path = folder.write("fillguard.toml", &text).display().to_string();
    let (code, told) = fillguard(&["check", "--config", &path]);
    assert_eq!(code, Some(0), "{told}");
    for part in [
        "fillguard.toml: fine\n",
        "account   binance/alice, response dry\n",
        "channel   console: where the daemon runs\n",
        "rule      pump_buy           notice 4, alert 6, act 8, smallest_act 15 USD\n",
        "rule      blind              off\n",
        "response  only written down",
        "warning   rule blind is off",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    assert!(!folder.path("state").exists() && !told.contains("canary"));
    let (code, told) = fillguard(&["check", "--config", &path, "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["fine"], told["rules"].as_array().unwrap().len()), (Some(0), &true.into(), 13));
    assert_eq!(told["accounts"][0]["name"], "binance/alice");
}

#[test]
fn a_configuration_in_which_no_rule_could_find_a_theft_is_warned_of() {
    let folder = Folder::new();
    let off = |spared: &str| {
        let rules =
            RuleName::ALL.iter().map(|rule| rule.as_str()).filter(|name| !["blind", "user", spared].contains(name));
        rules.map(|name| format!("[rules.{name}]\nenabled = false\n")).collect::<String>()
    };
    let path = folder.write("fillguard.toml", &(fine() + &off(""))).display().to_string();
    let (code, told) = fillguard(&["check", "--config", &path]);
    assert!(code == Some(0) && told.contains("warning   every rule that could find a theft is off"), "{told}");
    assert!(folder.load(&(fine() + &off("pump_buy"))).unwrap().warnings.is_empty(), "one is on");
    let (folder, text) = with_rules(&[("own.toml", "[[rule]]\nname = \"large\"\nwhen = \"order.dollars > 5000\"\n")]);
    assert!(folder.load(&(text + &off(""))).unwrap().warnings.is_empty(), "one of the user's own is on");
}

/// A configuration of five accounts with one channel, a webhook that is told of the accounts `named` alone.
fn hooked(folder: &Folder, named: &str) -> String {
    folder.secret("hook.url", "https://hooks.example.org/services/canary0Path\n");
    let mut text = String::new();
    for name in ["alice", "bob", "carol", "dave", "erin"] {
        folder.secret(&format!("{name}.key"), &format!("{name}-key-id\n"));
        text += &ALICE
            .replace("name = \"alice\"", &format!("name = \"{name}\""))
            .replace("alice.key", &format!("{name}.key"));
    }
    text + "[notify]\nphrase = \"blue heron\"\n[[notify.webhook]]\nurl_file = \"hook.url\"\nform = \"slack\"\n" + named
}

#[test]
fn accounts_of_which_no_channel_is_told_are_named_in_a_warning() {
    let folder = Folder::new();
    let warned = |named: &str| {
        let config = folder.load(&hooked(&folder, named)).unwrap_or_else(|problems| panic!("{problems}"));
        config.warnings
    };
    let one = warned("accounts = [\"binance/alice\"]\n");
    assert!(one.len() == 1, "{one:?}");
    assert!(
        one[0].starts_with("no channel is told of binance/bob, binance/carol, binance/dave and 1 more: "),
        "{one:?}"
    );
    let most = warned("accounts = [\"binance/alice\", \"binance/carol\", \"binance/dave\", \"binance/erin\"]\n");
    assert!(most[0].starts_with("no channel is told of binance/bob: "), "{most:?}");
    assert!(
        warned("").is_empty()
            && warned("accounts = [\"binance/alice\"]\n[notify.console]\nenabled = true\n").is_empty()
    );
    let another = "accounts = [\"binance/alice\"]\n[[notify.telegram]]\ntoken_file = \"telegram.token\"\nchat = 1\n";
    assert!(warned(another).is_empty(), "the other channel is told of all");
}

#[test]
fn check_lists_webhooks_with_what_they_are_told_of_and_nothing_of_where_they_are() {
    let folder = Folder::new();
    let text = hooked(&folder, "accounts = [\"binance/alice\", \"binance/bob\"]\nmin_level = \"act\"\n");
    let path = folder.write("fillguard.toml", &text).display().to_string();
    let (code, told) = fillguard(&["check", "--config", &path]);
    let what = "webhook of the form slack, from act on, of binance/alice, binance/bob only";
    assert!(code == Some(0) && told.contains(&format!("channel   webhook: {what}\n")), "{told}");
    let (_, json) = fillguard(&["check", "--config", &path, "--format", "json"]);
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(parsed["channels"], serde_json::json!([{ "name": "webhook", "what": what }]));
    assert!(!(told + &json).contains("canary"));
}

#[test]
fn check_ends_with_two_and_every_problem() {
    let folder = Folder::new();
    let path = folder.write("fillguard.toml", &(fine() + "[jurnal]\n[rules.pump_by]\n")).display().to_string();
    let (code, told) = fillguard(&["check", "--config", &path]);
    assert_eq!((code, told.lines().count()), (Some(2), 2), "{told}");
    assert!(told.starts_with(&format!("{path}:10: jurnal: unknown key; did you mean journal?\n")), "{told}");
    let (code, told) = fillguard(&["check", "--config", &path, "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["fine"], &told["problems"][1]["line"]), (Some(2), &false.into(), &11.into()));
    assert_eq!(told["problems"][1]["key"], "rules.pump_by");
}

#[test]
fn check_from_a_shell_leaves_systemds_credentials_alone_and_says_so() {
    let folder = Folder::new();
    let text = fine().replace("secret_file = \"alice.secret\"", "secret_credential = \"keys_alice.secret\"");
    let path = folder.write("fillguard.toml", &text).display().to_string();
    let (code, told) = fillguard(&["check", "--config", &path]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("warning   line 5: secret_credential was not looked at"), "{told}");
}

const UNIT: &str = include_str!("../config/fillguard.service");

#[test]
fn the_unit_starts_watches_and_guards_the_daemon() {
    for line in [
        "Type=notify",
        "NotifyAccess=main",
        "WatchdogSec=120",
        "ExecStart=/usr/bin/fillguard run --config /etc/fillguard/fillguard.toml",
        "Restart=on-failure",
        "RestartPreventExitStatus=2",
        "TimeoutStopSec=30",
        "DynamicUser=yes",
        "StateDirectory=fillguard",
        "StateDirectoryMode=0700",
        "UMask=0077",
        "LoadCredential=keys:/etc/fillguard/keys",
        "LimitNOFILE=65536",
        "NoNewPrivileges=yes",
        "MemoryDenyWriteExecute=yes",
        // Without AF_UNIX the daemon could not say that it is ready.
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    ] {
        assert!(UNIT.lines().any(|found| found == line), "{line} is not in the unit");
    }
}

#[test]
fn the_units_exposure_is_at_most_one_point_one() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/config/fillguard.service");
    let Ok(output) = Command::new("systemd-analyze").args(["security", "--offline=true", "--no-pager", unit]).output()
    else {
        println!("skipped: systemd-analyze is not there");
        return;
    };
    let told = String::from_utf8_lossy(&output.stdout);
    let Some(score) = told.lines().find_map(|line| line.split_once("exposure level for fillguard.service: ")) else {
        println!("skipped: this systemd-analyze cannot look at a file: {}", String::from_utf8_lossy(&output.stderr));
        return;
    };
    let score: f64 = score.1.split(' ').next().unwrap().parse().unwrap();
    assert!(score <= 1.1, "{told}");
    // It reads over a misspelt setting; this does not.
    let verify = Command::new("systemd-analyze").args(["verify", unit]).output().unwrap();
    let told = String::from_utf8_lossy(&verify.stderr);
    assert!(!told.contains("Unknown") && !told.contains("Failed to parse"), "{told}");
}

#[test]
fn a_key_of_coinbase_exchange_is_three_files_and_said_to_be_one() {
    let folder = Folder::new();
    folder.secret("key", "key-1\n");
    folder.secret("secret", "c2VjcmV0\n");
    folder.secret("phrase", "open\n");
    let account = |more: &str| format!("[[account]]\nexchange = \"coinbase\"\nname = \"dave\"\n{more}\n{CONSOLE}");
    let files = "key_file = \"key\"\nsecret_file = \"secret\"\npassphrase_file = \"phrase\"";
    let config = folder.load(&account(&format!("api = \"exchange\"\n{files}"))).unwrap();
    assert!(matches!(config.feed.accounts[0].key, fillguard::feed::ReadKey::CoinbaseExchange(_)));
    let told = folder.problems(&account(files));
    assert!(told.iter().any(|line| line.contains("for Coinbase Exchange write api = \"exchange\"")), "{told:?}");
    let told = folder.problems(&account("api = \"exchange\"\nkey_json_file = \"key\""));
    assert!(told.iter().any(|line| line.contains("is a key file of Coinbase Advanced")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("part of the Coinbase Exchange key")), "{told:?}");
    let told = folder.problems(&account("api = \"pro\"\nkey_file = \"key\""));
    assert!(told[0].contains("\"pro\" is none of advanced, exchange"), "{told:?}");
    folder.secret("secret", "not-base64!\n");
    let told = folder.problems(&account(&format!("api = \"exchange\"\n{files}")));
    assert!(told.len() == 1 && told[0].contains("the secret is not base64 text"), "{told:?}");
}

#[test]
fn the_wallets_to_watch_are_named_and_what_cannot_be_watched_is_refused() {
    let folder = Folder::new();
    let watched = |more: &str| {
        let config = folder.load(&format!("{ALICE}{more}{CONSOLE}")).unwrap_or_else(|problems| panic!("{problems}"));
        config.feed.watched().map(|(id, wallet)| wallet.of(&id)).collect::<Vec<_>>()
    };
    assert_eq!(watched(""), ["binance/alice"]);
    assert_eq!(watched("isolated = [\"BTC-USDT\"]\n"), ["binance/alice", "binance/alice/isolated/BTC-USDT"]);
    assert_eq!(
        watched("wallets = [\"futures\", \"spot\", \"margin\"]\n"),
        ["binance/alice", "binance/alice/margin", "binance/alice/futures"]
    );
    assert_eq!(watched("wallets = [\"futures\"]\n"), ["binance/alice/futures"]);
    let bob = "[[account]]\nexchange = \"kucoin\"\nname = \"bob\"\nkey_file = \"alice.key\"\nsecret_file = \"alice.secret\"\n\
        passphrase_file = \"passphrase\"\nwallets = [\"futures\"]\n";
    let wrong = format!("{ALICE}wallets = [\"isolated\"]\nisolated = [\"BTCUSDT\", \"BTC_PERP-USDT\"]\n{bob}{CONSOLE}");
    let told = folder.problems(&wrong).join("\n");
    for part in [
        "account.wallets: \"isolated\" is no wallet",
        "account.isolated: \"BTCUSDT\" is no pair",
        "account.isolated: \"BTC_PERP-USDT\" is no pair",
        "only Binance's margin and futures wallets can be watched, not KuCoin's",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = folder.problems(&format!("{ALICE}wallets = []\n{CONSOLE}")).join("\n");
    assert!(told.contains("names no wallet"), "{told}");
}

/// A folder with rule files, and a configuration that names it.
fn with_rules(files: &[(&str, &str)]) -> (Folder, String) {
    let folder = Folder::new();
    fs::create_dir(folder.path("rules")).unwrap();
    for (name, text) in files {
        folder.write(&format!("rules/{name}"), text);
    }
    (folder, fine() + "[rules]\ndir = \"rules\"\n")
}

#[test]
fn rule_files_change_shipped_rules_by_name_and_add_rules_of_ones_own() {
    let own = "[[rule]]\nname = \"b_large\"\nlevel = \"notice\"\nwhen = \'\'\'\norder.dollars > 5000\n  && pair.new\n\'\'\'\n\
               [[rule]]\nname = \"sleeping\"\nenabled = false\nwhen = \"true\"\n";
    let shipped = "[[rule]]\nextends = \"pump_buy\"\nalert = 7\n[[rule]]\nextends = \"churn_loss\"\nenabled = false\n";
    let files =
        [("own.toml", own), ("shipped.toml", shipped), ("a.toml", "[[rule]]\nname = \"a_any\"\nwhen = \"true\"\n")];
    let (folder, text) = with_rules(&files);
    let engine = folder.load(&text).unwrap_or_else(|problems| panic!("{problems}")).pipeline.engine;
    let names: Vec<_> = engine.user.rules.iter().map(|rule| (rule.name.as_str(), rule.level.as_str())).collect();
    assert_eq!(names, [("a_any", "alert"), ("b_large", "notice")]);
    let usual = fillguard::engine::Settings::default();
    let levels = engine.pump_buy.levels;
    assert_eq!(
        (levels.notice, levels.alert, levels.act),
        (usual.pump_buy.levels.notice, 7.0, usual.pump_buy.levels.act)
    );
    assert_eq!(engine.off, [fillguard::domain::RuleName::ChurnLoss]);
    assert_eq!(engine.liquidation, usual.liquidation, "what no file names stays");
}

#[test]
fn every_mistake_in_rule_files_is_told_with_its_file_line_column_and_what_was_meant() {
    let own = "[[rule]]\nname = \"large\"\nwhen = \'\'\'\norder.taker\n  && order.dolars > 5\n\'\'\'\nwhy = \"{acount.name}\"\n";
    let more = "[[rule]]\nname = \"large\"\nwhen = \"true\"\nlevel = \"act\"\n[[rule]]\nextends = \"pump_by\"\n[[rule]]\n\
                name = \"pump_buy\"\nwhen = \"order.dollars\"\n[[rule]]\nextends = \"churn_loss\"\nalret = 3\n[[rule]]\nname = \"none\"\n";
    let (folder, text) = with_rules(&[("1.toml", own), ("2.toml", more), ("notes.txt", "not read")]);
    let told = folder.load(&text).expect_err("mistakes are taken").to_string();
    for expected in [
        "1.toml:5: rule.when: column 6: unknown field order.dolars; did you mean order.dollars?\n      && order.dolars > 5\n         ^^^^^^^^^^^^",
        "1.toml:7: rule.why: column 2: unknown field acount.name; did you mean account.name?",
        "2.toml:2: rule.name: there is a rule of this name in",
        "2.toml:4: rule.level: a condition is one kind of evidence, and act needs two",
        "2.toml:6: rule.extends: no shipped rule has this name; did you mean pump_buy?",
        "2.toml:8: rule.name: is a shipped rule\'s name",
        "2.toml:9: rule.when: column 1: this should be true or false and is a number",
        "2.toml:12: rule.alret: unknown key; did you mean alert?",
        "rule.when: is missing",
    ] {
        assert!(told.contains(expected), "{expected}\n---\n{told}");
    }
    let gone = folder.problems(&(fine() + "[rules]\ndir = \"ruels\"\n"));
    assert!(gone[0].contains("rules.dir") && gone[0].contains("cannot be listed"), "{gone:?}");
}

#[test]
fn a_market_model_that_cannot_be_had_or_is_far_too_large_is_refused() {
    let folder = Folder::new();
    let told = |name: &str| folder.problems(&format!("[engine]\nmarket_model = \"{name}\"\n")).join("\n");
    assert!(told("none.json").contains("cannot be read"), "{}", told("none.json"));
    fs::File::create(folder.path("large.json")).unwrap().set_len((8 << 20) + 1).unwrap();
    assert!(told("large.json").contains("8388609 bytes"), "{}", told("large.json"));
    folder.write("other.json", "{\"fillguard_market_model\":7}");
    assert!(told("other.json").contains("version is 7"), "{}", told("other.json"));
}
