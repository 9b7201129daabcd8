//! Very many accounts in one daemon: all come up, each one's fill is judged once, and what it costs is printed.
//!
//! `FILLGUARD_SCALE_ACCOUNTS` sets how many (1,000 by default; nine in ten at Binance, the others shared by KuCoin and
//! Coinbase). The exchanges are played in this process, the daemon is another one.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may fail, and tells its figures")]

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use fillguard::arrival::Body;
use fillguard::domain::{AccountId, Side, Symbol, Venue};
use fillguard::journal::{self, Reader};
use fillguard::pipeline::{self, Pipeline};
use fillguard::runtime::{clock, limits};
use fillguard::simulate::{self, Pace, Places, Scenario, Scene, SimAccount, Simulator};
use rust_decimal::Decimal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn scenario(accounts: u32) -> Scenario {
    let scene = |dca| Scene { dca, grid: 0, retail: 0, rebalancer: 0, chaser: 0, victims: 0, ..Scene::default() };
    let own = accounts / 20;
    let never = 1e8;
    Scenario {
        // Nobody trades by habit while the others are waited for.
        pace: Pace { dca: never, grid: never, retail: never, rebalancer: never, chaser: never },
        attack_after_secs: None,
        history_days: 0,
        binance: scene(accounts - 2 * own),
        kucoin: scene(own),
        coinbase: scene(own),
        ..Scenario::default()
    }
}

fn write(path: PathBuf, text: &str) {
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

fn describe(folder: &Path, account: &SimAccount) {
    let name = format!("{}-{}", account.venue, account.name);
    let secret = |part: &str, text: &str| write(folder.join(format!("{name}.{part}")), text);
    secret("key", &account.key_id);
    secret("secret", account.secret.expose());
    let mut text = format!(
        "exchange = \"{}\"\nname = \"{}\"\nkey_file = \"{name}.key\"\nsecret_file = \"{name}.secret\"\n",
        account.venue, account.name
    );
    if let Some(passphrase) = &account.passphrase {
        secret("passphrase", passphrase.expose());
        text += &format!("passphrase_file = \"{name}.passphrase\"\n");
    }
    write(folder.join(format!("{name}.toml")), &text);
}

fn configuration(places: &Places) -> String {
    let Places { binance, kucoin, coinbase } = places;
    let most = 1_000_000;
    format!(
        "[state]\ndir = \"state\"\n[journal]\nsegment_bytes = \"4 GiB\"\n[accounts]\ndir = \"accounts.d\"\n[notify.console]\nenabled = true\n\
         [feed]\nreconcile = \"0s\"\nconnect = \"1m\"\nack = \"1m\"\npong = \"1m\"\nheartbeat = \"1m\"\n[feed.limits]\nbinance_weight = {most}00\nbinance_connects = {most}\n\
         kucoin_weight = {most}\nkucoin_connects = 3000\ncoinbase_calls = {most}\ncoinbase_connects = 50\n\
         [feed.binance]\nrest = \"{}\"\nws_api = \"{}\"\nstream = \"{}\"\n\
         [feed.kucoin]\nrest = \"{}\"\nuta_push = \"{}\"\n\
         [feed.coinbase]\nrest = \"{}\"\nws_user = \"{}\"\nws_market = \"{}\"\n",
        binance.rest,
        binance.ws_api,
        binance.stream,
        kucoin.rest,
        kucoin.uta_push,
        coinbase.rest,
        coinbase.ws_user,
        coinbase.ws_market
    )
}

/// Reads a line of `/proc/PID/status` in KiB.
fn kib(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Returns the seconds of processor time a process took so far.
fn processor(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// The journal so far, judged as the daemon judges it. It is one segment, and each look reads on where the last one
/// ended.
struct Known {
    pipeline: Pipeline,
    next: u64,
    read: u64,
    ups: BTreeMap<String, usize>,
    downs: usize,
}

impl Known {
    fn follow(&mut self, dir: &Path) {
        let Some(segment) = journal::segments(dir).unwrap_or_default().pop() else { return };
        let mut file = File::open(&segment.path).unwrap();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut lines = Vec::new();
        file.read_to_end(&mut lines).unwrap();
        lines.truncate(lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
        if lines.is_empty() {
            return;
        }
        let header = match self.read {
            0 => String::new(),
            _ => format!(
                "{{\"fillguard\":1,\"kind\":\"journal\",\"created\":\"2026-11-22T10:00:00Z\",\"first\":{}}}\n",
                self.next
            ),
        };
        self.read += lines.len() as u64;
        let reader = Reader::new(Cursor::new(header.into_bytes()).chain(Cursor::new(lines)), "the journal").unwrap();
        for arrival in reader.map(Result::unwrap) {
            self.next = arrival.n + 1;
            match &arrival.body {
                Body::LinkUp if arrival.from.account().is_some() => {
                    *self.ups.entry(arrival.from.to_string()).or_default() += 1;
                }
                Body::LinkDown { .. } if arrival.from.account().is_some() => self.downs += 1,
                Body::LinkUp
                | Body::LinkDown { .. }
                | Body::Frame(_)
                | Body::Text(_)
                | Body::Bytes(_)
                | Body::Page { .. }
                | Body::Filled { .. }
                | Body::Tick => {}
            }
            self.pipeline.step(&arrival);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_accounts_are_watched_by_one_daemon() {
    let count: u32 = std::env::var("FILLGUARD_SCALE_ACCOUNTS").map_or(1_000, |text| text.parse().unwrap());
    let needed = u64::from(count / 10) + 200;
    if limits::raise_open_files().is_some_and(|files| files < needed) {
        println!("skipped: {needed} files must be open at once, and the system allows fewer (ulimit -n)");
        return;
    }
    let patience = Duration::from_secs(60 + u64::from(count) / 20);
    let scenario = scenario(count);
    // Patience on both sides: what is asked here is whether all come up, not whether this machine is quiet.
    let settings = simulate::Settings {
        scenario,
        speed: 0.001,
        weight_per_minute: u32::MAX,
        first_subscribe: Duration::from_secs(60),
        silence: Duration::from_secs(300),
        ..Default::default()
    };
    let simulator = Simulator::start(settings).await.unwrap();
    let (places, accounts, handle) = (simulator.places(), simulator.accounts().to_vec(), simulator.handle());
    let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
    let ended = stop.clone();
    running.spawn(async move { simulator.run(ended).await.unwrap() });

    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("accounts.d");
    fs::create_dir(&folder).unwrap();
    accounts.iter().for_each(|account| describe(&folder, account));
    write(home.path().join("fillguard.toml"), &configuration(&places));
    let log = home.path().join("log");
    let started = clock::steady();
    let mut daemon = Daemon(
        Command::new(env!("CARGO_BIN_EXE_fillguard"))
            .args(["run", "--config"])
            .arg(home.path().join("fillguard.toml"))
            .env_remove("CREDENTIALS_DIRECTORY")
            .stdout(File::create(home.path().join("out")).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap(),
    );
    let pid = daemon.0.id();
    let dir = home.path().join("state").join("journal");
    let pipeline = Pipeline::new(pipeline::Settings::default());
    let mut known = Known { pipeline, next: 1, read: 0, ups: BTreeMap::new(), downs: 0 };
    let mut up = |known: &mut Known, what: &str, is_so: &dyn Fn(&Known) -> bool| -> Instant {
        let deadline = clock::steady() + patience;
        loop {
            known.follow(&dir);
            if is_so(known) {
                return clock::steady();
            }
            assert!(
                daemon.0.try_wait().unwrap().is_none() && clock::steady() < deadline,
                "{what}: {} of {count} are up, {} judged; log: {}",
                known.ups.len(),
                known.next,
                tail(&log)
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let all_up =
        tokio::task::block_in_place(|| up(&mut known, "not all came up", &|known| known.ups.len() == accounts.len()));
    // A machine that is busy may lose one while all start together; from here on nobody is lost.
    let lost = known.downs;
    let (rss, cpu) = (kib(pid, "VmRSS"), processor(pid));
    let id = |account: &SimAccount| AccountId::new(account.venue, &account.name).unwrap();
    let traded = clock::steady();
    let orders = |known: &Known, account| known.pipeline.account(&id(account)).map_or(0, |one| one.orders);
    let mut all_judged = traded;
    // The exchanges tell every socket of every trade, so that more at once would measure them and not the daemon.
    for some in accounts.chunks(250) {
        for account in some {
            let pair = if account.venue == Venue::Coinbase { "BTC-USD" } else { "BTC-USDT" };
            handle.trade(&id(account), &Symbol::from_dashed(pair).unwrap(), Side::Buy, Decimal::from(20)).unwrap();
        }
        all_judged = tokio::task::block_in_place(|| {
            up(&mut known, "not every fill came", &|known| some.iter().all(|account| orders(known, account) >= 1))
        });
    }
    assert!(accounts.iter().all(|account| orders(&known, account) == 1), "a fill was judged twice");
    assert_eq!(known.downs, lost, "somebody was blind; log: {}", tail(&log));
    println!(
        "{count} accounts, {} Binance connections: all up after {:.1} s, {:.1} s of processor; {} MiB resident ({:.1} KiB an \
         account); a fill of each judged {:.1} s after the first; at the end {} MiB and {:.1} s of processor, most {} MiB",
        handle.connects(&places.binance.ws_api),
        (all_up - started).as_secs_f64(),
        cpu,
        rss / 1_024,
        rss as f64 / f64::from(count),
        (all_judged - traded).as_secs_f64(),
        kib(pid, "VmRSS") / 1_024,
        processor(pid),
        kib(pid, "VmHWM") / 1_024,
    );
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains(" accounts are up"), "no progress was told: {log}");
    drop(daemon);
    stop.cancel();
    while running.join_next().await.is_some() {}
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap();
    text.lines().rev().take(15).collect::<Vec<_>>().join("\n")
}
