//! Three played exchanges, and a folder with a configuration and keys for the real program.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::ops::Deref;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fillguard::arrival::{Arrival, Body};
use fillguard::domain::{AccountId, Timestamp, Venue};
use fillguard::pipeline::{self, Pipeline, SNAPSHOT_VERSION};
use fillguard::runtime::clock;
use fillguard::simulate::{self, Places, SUB_PASSPHRASE, SimAccount};
use fillguard::store::Store;
use serde_json::{Value, json};

use super::played::Played;
pub use super::played::{id, quiet};

/// Nothing that is waited for takes longer, unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct World {
    played: Played,
    home: tempfile::TempDir,
}

/// What the configuration says of one account.
#[derive(Clone)]
pub struct Entry {
    pub account: SimAccount,
    pub tags: &'static str,
    /// The sub-account that the master `desk` manages, where there is one.
    pub sub: Option<String>,
    pub mode: &'static str,
    /// Whether a key that cancels is configured.
    pub trade: bool,
}

impl Deref for World {
    type Target = Played;

    fn deref(&self) -> &Played {
        &self.played
    }
}

impl World {
    pub async fn new(settings: simulate::Settings) -> World {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("state")).unwrap();
        fs::set_permissions(home.path().join("state"), Permissions::from_mode(0o700)).unwrap();
        World { played: Played::start(settings).await, home }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    /// Writes a key's files, and returns the lines that name them.
    fn key(&self, name: &str, account: &SimAccount) -> String {
        self.put(&format!("{name}.key"), &account.key_id);
        self.put(&format!("{name}.secret"), account.secret.expose());
        let mut lines = format!("key_file = \"{name}.key\"\nsecret_file = \"{name}.secret\"\n");
        if let Some(passphrase) = &account.passphrase {
            self.put(&format!("{name}.passphrase"), passphrase.expose());
            lines += &format!("passphrase_file = \"{name}.passphrase\"\n");
        }
        lines
    }

    /// Writes the configuration: `response` are lines of that table, `more` stands before it, `masters` hold the keys of
    /// sub-accounts.
    pub fn configure(&self, more: &str, response: &str, masters: &[SimAccount], entries: &[Entry]) {
        let Places { binance, kucoin, coinbase } = &self.places;
        let mut text = format!(
            "[state]\ndir = \"state\"\n[notify.console]\nenabled = true\n{more}\n[feed.binance]\nrest = \"{}\"\n\
             ws_api = \"{}\"\nstream = \"{}\"\nfutures_rest = \"{}\"\nfutures_stream = \"{}\"\n[feed.kucoin]\n\
             rest = \"{}\"\nuta_push = \"{}\"\nfutures_rest = \"{}\"\n[feed.coinbase]\nrest = \"{}\"\nws_user = \"{}\"\nws_market = \"{}\"\n\
             [response]\ncall_timeout = \"2s\"\n{response}\n",
            binance.rest,
            binance.ws_api,
            binance.stream,
            binance.futures_rest,
            binance.futures_stream,
            kucoin.rest,
            kucoin.uta_push,
            kucoin.futures_rest,
            coinbase.rest,
            coinbase.ws_user,
            coinbase.ws_market
        );
        for master in masters {
            let venue = master.venue;
            let key = self.key(&format!("desk-{venue}"), master);
            text += &format!("[[response.master]]\nexchange = \"{venue}\"\nname = \"desk\"\n{key}");
        }
        for Entry { account, tags, sub, mode, trade } in entries {
            let (venue, name) = (account.venue, &account.name);
            let key = self.key(&format!("{venue}-{name}"), account);
            text += &format!("[[account]]\nexchange = \"{venue}\"\nname = \"{name}\"\ntags = [{tags}]\n{key}");
            text += &format!("[account.response]\nmode = \"{mode}\"\n");
            if let Some(sub) = sub {
                text += &format!("master = \"desk\"\nsub_account = \"{sub}\"\n");
                if venue == Venue::Kucoin {
                    self.put("sub.passphrase", SUB_PASSPHRASE);
                    text += "sub_passphrase_file = \"sub.passphrase\"\n";
                }
            }
            if *trade {
                text += &format!("[account.response.trade]\n{}", self.key(&format!("{venue}-{name}-trade"), account));
            }
        }
        self.put("fillguard.toml", &text);
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fillguard"));
        command.args(args).current_dir(self.home.path()).env("FILLGUARD_CONFIG", "fillguard.toml");
        command
    }

    /// Starts the daemon, as another user where one is named; returns once it says that every feed is up or has failed.
    pub fn start(&self, run: u32, user: Option<u32>) -> Child {
        let log = |name: &str| File::create(self.path(&format!("{name}-{run}.log"))).unwrap();
        let place = self.path(&format!("ready-{run}"));
        let socket = UnixDatagram::bind(&place).unwrap();
        fs::set_permissions(&place, Permissions::from_mode(0o777)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = self.command(&["run", "--i-have-read"]);
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let command = command.env("NOTIFY_SOCKET", &place).stdin(Stdio::null()).stdout(log("out")).stderr(log("err"));
        let child = command.spawn().unwrap();
        let mut said = [0; 512];
        loop {
            match socket.recv(&mut said) {
                Ok(length) if String::from_utf8_lossy(&said[..length]).contains("READY=1") => return child,
                Ok(_) => {}
                Err(why) => panic!("the daemon is not ready: {why}: {}", self.log(run)),
            }
        }
    }

    /// Returns the last lines of a daemon's log.
    pub fn log(&self, run: u32) -> String {
        let text = fs::read_to_string(self.path(&format!("err-{run}.log"))).unwrap_or_default();
        text.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }

    /// Gives everything to another user.
    pub fn give_to(&self, user: u32) {
        let mut all = vec![self.home.path().to_owned()];
        while let Some(one) = all.pop() {
            chown(&one, Some(user), Some(user)).unwrap();
            if one.is_dir() {
                all.extend(fs::read_dir(&one).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
    }

    /// Runs a command to its end with `typed` as its input; returns its exit code, and all that it said.
    pub fn run(&self, args: &[&str], typed: &str) -> (i32, String) {
        let mut command = self.command(args);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that asks nothing may be gone before it is told anything.
        drop(child.stdin.take().unwrap().write_all(typed.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8(said).unwrap())
    }

    /// Has a daemon have known what accounts hold in USDT, and when they traded last.
    pub fn remember(&self, held: &[(AccountId, i64)], traded: &[(AccountId, Timestamp)]) {
        let (mut pipeline, mut n) = (Pipeline::new(pipeline::Settings::default()), 0);
        let mut step = |account: &AccountId, call: Option<&str>, frame: Value| {
            n += 1;
            let from = if call.is_some() { format!("{account}/rest") } else { account.to_string() };
            let frame = serde_json::value::to_raw_value(&frame).unwrap();
            let body = match call {
                Some(call) => Body::Page { call: call.into(), frame },
                None => Body::Frame(frame),
            };
            pipeline.step(&Arrival { n, at: clock::now(), from: from.parse().unwrap(), body });
        };
        for (account, amount) in held {
            let amount = amount.to_string();
            let (call, frame) = match account.venue {
                Venue::Binance => (
                    "api/v3/account",
                    json!({"updateTime": 1, "balances": [{"asset": "USDT", "free": amount, "locked": "0"}]}),
                ),
                Venue::Kucoin => (
                    "accounts",
                    json!({"code": "200000", "data": [{"id": "1", "currency": "USDT", "type": "trade", "balance": amount,
                        "available": amount, "holds": "0"}]}),
                ),
                Venue::Coinbase => continue,
            };
            step(account, Some(call), frame);
        }
        for (account, at) in traded {
            let millis = at.millis();
            let trade = json!([{"symbol": "BTCUSDT", "id": 1, "orderId": 1, "orderListId": -1, "price": "60000", "qty": "0.01",
                "quoteQty": "600", "commission": "0", "commissionAsset": "BNB", "time": millis, "isBuyer": true,
                "isMaker": false, "isBestMatch": true}]);
            step(account, Some("api/v3/myTrades?symbol=BTCUSDT"), trade);
        }
        for (account, _) in traded {
            assert_ne!(pipeline.account(account).unwrap().last, Timestamp::EPOCH);
        }
        let mut store = Store::open(&self.path("state/fillguard.db")).unwrap();
        store.save_snapshot(n, "any", SNAPSHOT_VERSION, &pipeline.snapshot().unwrap()).unwrap();
    }

    pub async fn end(self) {
        self.played.end().await;
    }
}
