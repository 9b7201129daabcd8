//! `fillguard run` as its user meets it: from an exchange's socket to a person's screen, over a restart.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use fillguard::arrival::Body;
use fillguard::runtime::clock;
use serde_json::json;

use crate::daemon::arrivals;
use crate::exchange::{Exchange, Peer, Reply, Request, within};

const SECRET: &str = "not-a-real-secret";

/// Binance's REST side, for an account that did nothing.
pub fn binance_rest(_port: u16, request: &Request) -> Reply {
    match request.path.split('?').next().unwrap() {
        "/api/v3/time" => Reply::json(json!({"serverTime": clock::now().millis()}).to_string()),
        "/api/v3/exchangeInfo" => {
            Reply::json(r#"{"symbols":[{"symbol":"APCBTC","baseAsset":"APC","quoteAsset":"BTC"}]}"#)
        }
        "/api/v3/account" => Reply::json(r#"{"balances":[{"asset":"BTC","free":"1","locked":"0"}]}"#),
        "/api/v3/openOrders" | "/api/v3/myTrades" | "/api/v3/klines" => Reply::json("[]"),
        _ => Reply::status(404, "{}"),
    }
}

pub fn fill() -> String {
    let now = clock::now().millis();
    json!({"subscriptionId": 0, "event": {
        "e": "executionReport", "E": now, "s": "APCBTC", "c": "web_1", "S": "BUY", "o": "LIMIT", "f": "GTC",
        "q": "10.00000000", "p": "0.00010000", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "", "x": "TRADE",
        "X": "FILLED", "r": "NONE", "i": 77, "l": "10.00000000", "z": "10.00000000", "L": "0.00010000",
        "n": "0.00001000", "N": "BNB", "T": now, "t": 5, "I": 6, "w": false, "m": true, "M": true, "O": now,
        "Z": "0.00100000", "Y": "0.00100000", "W": now, "V": "NONE", "Q": "0.00000000"
    }})
    .to_string()
}

fn account(name: &str) -> String {
    format!(
        "[[account]]\nexchange = \"binance\"\nname = \"{name}\"\nkey_file = \"{name}.key\"\nsecret_file = \"{name}.secret\"\n"
    )
}

/// A home with a configuration, keys and what the daemon prints.
pub struct Home(tempfile::TempDir);

impl Home {
    pub fn new(exchange: &Exchange) -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        let (rest, ws) = (exchange.http(), exchange.ws());
        let text = format!(
            r#"
            [state]
            dir = "state"
            [[account]]
            exchange = "binance"
            name = "alice"
            key_file = "alice.key"
            secret_file = "alice.secret"
            [notify.console]
            enabled = true
            [feed]
            spacing = "1ms"
            [feed.binance]
            rest = "{rest}"
            ws_api = "{ws}/ws-api/v3"
            stream = "{ws}"
            "#
        );
        for (name, text) in [("fillguard.toml", text.as_str()), ("alice.key", "key-of-alice"), ("alice.secret", SECRET)]
        {
            fs::write(home.path(name), text).unwrap();
            fs::set_permissions(home.path(name), Permissions::from_mode(0o600)).unwrap();
        }
        home
    }

    /// Adds an account to the configuration.
    fn add(&self, name: &str) {
        for (file, text) in
            [(format!("{name}.key"), format!("key-of-{name}")), (format!("{name}.secret"), SECRET.to_owned())]
        {
            fs::write(self.path(&file), text).unwrap();
            fs::set_permissions(self.path(&file), Permissions::from_mode(0o600)).unwrap();
        }
        let text = fs::read_to_string(self.path("fillguard.toml")).unwrap();
        fs::write(self.path("fillguard.toml"), text + &account(name)).unwrap();
    }

    fn remove(&self, name: &str) {
        let text = fs::read_to_string(self.path("fillguard.toml")).unwrap();
        fs::write(self.path("fillguard.toml"), text.replace(&account(name), "")).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn start(&self, run: &str) -> Running {
        let file = |kind: &str| File::create(self.path(&format!("{run}.{kind}"))).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_fillguard"))
            .args(["run", "--config"])
            .arg(self.path("fillguard.toml"))
            .env_remove("CREDENTIALS_DIRECTORY")
            .stdout(file("out"))
            .stderr(file("log"))
            .spawn()
            .unwrap();
        Running { child, out: self.path(&format!("{run}.out")), log: self.path(&format!("{run}.log")) }
    }
}

/// A daemon; killed when the test fails before it ended.
pub struct Running {
    child: Child,
    pub out: PathBuf,
    pub log: PathBuf,
}

impl Running {
    pub async fn until(&self, file: &Path, wanted: &str) {
        let waiting = async {
            while !fs::read_to_string(file).unwrap().contains(wanted) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert!(waited.is_ok(), "no {wanted:?}; log: {}", fs::read_to_string(&self.log).unwrap());
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap().success());
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let waiting = async {
            loop {
                match self.child.try_wait().unwrap() {
                    Some(status) => return status,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        within("the end", waiting).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the account's connection, signed in.
pub async fn signed_in(exchange: &mut Exchange) -> Peer {
    let mut peer = exchange.peer().await;
    while !peer.path.starts_with("/ws-api") {
        peer = exchange.peer().await;
    }
    let request = peer.hear().await;
    peer.say(json!({"id": request["id"], "status": 200, "result": {"subscriptionId": 0}}).to_string()).await;
    peer
}

#[tokio::test]
async fn the_daemon_watches_tells_stops_as_asked_and_asks_for_what_it_missed_when_it_is_back() {
    let mut exchange = Exchange::open(binance_rest).await;
    let home = Home::new(&exchange);
    let mut daemon = home.start("first");
    let mut peer = signed_in(&mut exchange).await;
    daemon.until(&daemon.log, "ready").await;
    peer.say(fill()).await;
    peer.say("<html>").await;
    daemon.until(&daemon.log, "could not be read").await;
    daemon.until(&daemon.out, "binance/alice").await;

    let mut second = home.start("second");
    assert_eq!(second.ended().await.code(), Some(3));
    second.until(&second.log, "is being written by another fillguard").await;

    // One account more, on the connection that is there; a configuration with a mistake changes nothing.
    home.add("bob");
    daemon.signal("-HUP");
    let request = peer.hear().await;
    assert_eq!(request["params"]["apiKey"], "key-of-bob");
    peer.say(json!({"id": request["id"], "status": 200, "result": {"subscriptionId": 1}}).to_string()).await;
    daemon.until(&daemon.log, "the configuration was read again").await;
    daemon.until(&daemon.log, "binance/bob: new, in line").await;
    let text = fs::read_to_string(home.path("fillguard.toml")).unwrap();
    fs::write(home.path("fillguard.toml"), format!("{text}[jurnal]\n")).unwrap();
    daemon.signal("-HUP");
    daemon.until(&daemon.log, "jurnal").await;
    fs::write(home.path("fillguard.toml"), &text).unwrap();
    // Without the account its subscription is ended, and nothing else.
    home.remove("bob");
    daemon.signal("-HUP");
    let request = peer.hear().await;
    assert_eq!(
        (&request["method"], &request["params"]),
        (&json!("userDataStream.unsubscribe"), &json!({"subscriptionId": 1}))
    );
    peer.say(json!({"id": request["id"], "status": 200, "result": {}}).to_string()).await;
    daemon.until(&daemon.log, "removed from the configuration").await;
    daemon.signal("-TERM");
    assert_eq!(daemon.ended().await.code(), Some(0), "{}", fs::read_to_string(&daemon.log).unwrap());
    let log = fs::read_to_string(&daemon.log).unwrap();
    assert!(log.contains("could not be read") && !log.contains("html"), "{log}");
    assert!(!log.contains('\u{1b}'), "no colours in a file");
    let dir = home.path("state").join("journal");
    let known = arrivals(&dir).len();

    let mut daemon = home.start("third");
    let _peer = signed_in(&mut exchange).await;
    // The pair is remembered from before the restart.
    let mut asked = exchange.request("/api/v3/myTrades").await;
    while asked.param("symbol") != Some("APCBTC") {
        asked = exchange.request("/api/v3/myTrades").await;
    }
    let filled = async {
        loop {
            let since = arrivals(&dir).split_off(known);
            let found = since.iter().find_map(|arrival| {
                if let Body::Filled { verified, .. } = &arrival.body { Some(*verified) } else { None }
            });
            match found {
                Some(verified) => return verified,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    assert!(within("the gap to be filled", filled).await, "the gap over the restart is verified");
    daemon.signal("-INT");
    assert_eq!(daemon.ended().await.code(), Some(0));
    for file in ["first.log", "first.out", "second.log", "third.log", "third.out"] {
        let text = fs::read_to_string(home.path(file)).unwrap();
        assert!(!text.contains(SECRET) && !text.contains("key-of-alice"), "{file}: {text}");
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_told_and_nothing_is_made() {
    let exchange = Exchange::open(binance_rest).await;
    let home = Home::new(&exchange);
    fs::write(home.path("fillguard.toml"), "[jurnal]\n").unwrap();
    let mut daemon = home.start("only");
    assert_eq!(daemon.ended().await.code(), Some(2));
    let log = fs::read_to_string(&daemon.log).unwrap();
    assert!(log.contains("jurnal") && !home.path("state").exists(), "{log}");
}
