//! `fillguard leak-mode`: what is switched, where it is written.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test: its steps may fail")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn fillguard(config: &Path, args: &[&str]) -> (Option<i32>, String) {
    let done =
        Command::new(env!("CARGO_BIN_EXE_fillguard")).arg("leak-mode").args(args).arg("--config").arg(config).output();
    let done = done.unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8(text).unwrap())
}

fn configured(dir: &Path) -> std::path::PathBuf {
    for name in ["key", "secret"] {
        let file = dir.join(name);
        std::fs::write(&file, "0123456789abcdef0123456789abcdef").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let config = dir.join("fillguard.toml");
    let text = format!(
        "[state]\ndir = \"{}\"\n[[account]]\nexchange = \"binance\"\nname = \"alice\"\ntags = [\"botco\"]\n\
         key_file = \"key\"\nsecret_file = \"secret\"\n[notify.console]\nenabled = true\n",
        dir.display()
    );
    std::fs::write(&config, text).unwrap();
    config
}

#[test]
fn a_leak_mode_is_switched_on_told_and_switched_off() {
    let dir = tempfile::tempdir().unwrap();
    let config = configured(dir.path());
    assert_eq!(fillguard(&config, &["status"]), (Some(0), "no leak mode is on\n".into()));
    let (code, told) = fillguard(&config, &["on", "--tag", "botco", "--why", "dump published", "--for", "2d"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("leak mode on for tag botco until ") && told.contains("dump published"), "{told}");
    let file = dir.path().join("leak-mode.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let frame: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(
        (frame["leak_mode"][0]["tag"].as_str(), frame["leak_mode"].as_array().unwrap().len()),
        (Some("botco"), 1)
    );
    // Once more is not twice.
    fillguard(&config, &["on", "--tag", "botco", "--why", "still", "--for", "3d"]);
    assert_eq!(fillguard(&config, &["status"]).0, Some(1));
    let check =
        Command::new(env!("CARGO_BIN_EXE_fillguard")).args(["check", "--config"]).arg(&config).output().unwrap();
    let check = String::from_utf8(check.stdout).unwrap();
    assert_eq!(check.matches("leak mode tag botco until ").count(), 1, "{check}");
    assert_eq!(fillguard(&config, &["off", "--tag", "botco"]), (Some(0), "no leak mode is on\n".into()));
    assert_eq!(fillguard(&config, &["status"]).0, Some(0));
}

#[test]
fn what_concerns_nobody_or_has_no_reason_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = configured(dir.path());
    for (args, word) in [
        (&["on", "--tag", "nobody", "--why", "x"][..], "botco"),
        (&["on", "--why", "x"], "--tag"),
        (&["on", "--tag", "botco", "--why", " "], "--why"),
        (&["on", "--tag", "botco", "--why", "x", "--for", "9999d"], "366d"),
        (&["on", "--tag", "botco", "--why", "x", "--for", "soon"], "14d"),
        (&["off", "--tag", "botco"], "no such"),
    ] {
        let (code, told) = fillguard(&config, args);
        assert!(code == Some(2) && told.contains(word), "{args:?}: {told}");
    }
    assert!(!dir.path().join("leak-mode.json").exists());
    std::fs::write(dir.path().join("leak-mode.json"), "{").unwrap();
    assert_eq!(fillguard(&config, &["status"]).0, Some(2));
}

#[test]
fn the_time_left_of_a_short_mode_is_told_in_minutes() {
    let dir = tempfile::tempdir().unwrap();
    let config = configured(dir.path());
    let (_, told) = fillguard(&config, &["on", "--account", "binance/alice", "--why", "drill", "--for", "30m"]);
    assert!(
        told.contains("account binance/alice") && (told.contains("(29m left)") || told.contains("(30m left)")),
        "{told}"
    );
}

/// Returns what the journal has of the operator, once it is what `is_so` asks for.
fn switched(dir: &Path, is_so: impl Fn(&[String]) -> bool) -> Vec<String> {
    for _ in 0..600 {
        let segments = std::fs::read_dir(dir.join("journal")).into_iter().flatten().flatten();
        let text: String = segments.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
        let lines: Vec<String> =
            text.lines().filter(|line| line.contains("\"from\":\"operator\"")).map(str::to_owned).collect();
        if is_so(&lines) {
            return lines;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the daemon did not take the switch");
}

#[test]
fn a_running_daemon_takes_each_switch_into_its_journal_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let config = configured(dir.path());
    let mut text = std::fs::read_to_string(&config).unwrap();
    // An exchange that is not there: leak mode does not wait for it.
    text += "[feed.binance]\nrest = \"http://127.0.0.1:9\"\nws_api = \"ws://127.0.0.1:9/ws-api/v3\"\nstream = \"ws://127.0.0.1:9\"\n";
    std::fs::write(&config, text).unwrap();
    let log = dir.path().join("log");
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_fillguard"))
        .args(["run", "--config"])
        .arg(&config)
        .env_remove("CREDENTIALS_DIRECTORY")
        .stdout(std::process::Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    fillguard(&config, &["on", "--tag", "botco", "--why", "dump published"]);
    let on = switched(dir.path(), |lines| lines.iter().any(|line| line.contains("botco")));
    fillguard(&config, &["off"]);
    let off = switched(dir.path(), |lines| lines.len() > on.len());
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(on.last().unwrap().contains("dump published"), "{on:?}");
    assert!(off.last().unwrap().contains("\"leak_mode\":[]"), "{off:?}");
    let said = std::fs::read_to_string(log).unwrap();
    assert!(said.contains("leak mode is on") && said.contains("no leak mode is on"), "{said}");
}
