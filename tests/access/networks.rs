//! A table of networks, from the configuration to a person's screen, and in the journal's replay without it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use fillguard::arrival::{Arrival, Body, Source};
use fillguard::domain::Timestamp;
use fillguard::runtime::clock;
use serde_json::{Value, json};

use crate::home::{Home, TOKEN};

const MORE: &str = r#"
[access]
networks = "networks.tsv"
[[access.file]]
name = "proxy"
path = "proxy.log"
format = "json"
[access.http]
listen = "{listen}"
token_file = "token"
"#;
const TABLE: &str = "203.0.113.0\t203.0.113.255\t64500\tDE\tHOME-NET\n198.51.100.0\t198.51.100.255\t16276\tFR\tOVH\n";

/// The exchanges played by the program itself.
struct Simulated {
    child: Child,
    rest: String,
    ws: String,
    key: String,
    secret: String,
}

impl Simulated {
    fn start() -> Simulated {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fillguard"))
            .args(["simulate", "--no-attack", "--format", "json", "--stop-after", "120"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut told).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let place = &told["places"]["binance"];
        let plain = |one: &&Value| one["venue"] == "binance" && one["ed25519"] == false;
        let account = told["accounts"].as_array().unwrap().iter().find(plain).unwrap();
        let (rest, ws) = (text(&place["rest"]), text(&place["stream"]));
        Simulated { child, rest, ws, key: text(&account["key"]), secret: text(&account["secret"]) }
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn line(days_ago: i64, ip: &str) -> String {
    let at = Timestamp::from_millis(clock::now().millis() - days_ago * 86_400_000);
    json!({"account": "alice", "ip": ip, "time": at.to_string()}).to_string()
}

fn replayed(home: &Home, config: Option<&str>) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fillguard"));
    command.args(["replay", "--format", "json"]).arg(home.path("state").join("journal"));
    if let Some(config) = config {
        command.arg("--config").arg(home.path(config));
    }
    let done = command.output().unwrap();
    (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
}

#[tokio::test]
async fn a_table_reaches_the_rule_by_logs_and_posts_and_the_journal_is_replayed_without_it() {
    let exchange = Simulated::start();
    let home = Home::new("");
    home.configure(&exchange.rest, &exchange.ws, &exchange.key, &exchange.secret, MORE);
    fs::write(home.path("networks.tsv"), TABLE).unwrap();
    let past: Vec<String> = (1..40).rev().map(|day| line(day, "203.0.113.7")).collect();
    fs::write(home.path("proxy.log"), past.join("\n") + "\n").unwrap();
    let mut daemon = home.start("only");
    daemon.until("the log", || home.frames("proxy").len() >= 39).await;
    let up = |arrival: &Arrival| matches!((&arrival.from, &arrival.body), (Source::Account(_), Body::LinkUp));
    daemon.until("the account", || home.arrivals().iter().any(up)).await;
    daemon.until("the door", || TcpStream::connect(home.listen).is_ok()).await;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let post = reqwest::Client::new().post(format!("http://{}/api/v1/access", home.listen));
    let post = post.bearer_auth(TOKEN).header("content-type", "application/json").body(line(0, "198.51.100.23"));
    assert_eq!(post.send().await.unwrap().status().as_u16(), 200);
    daemon.until("the message", || fs::read_to_string(&daemon.out).unwrap().contains("AS16276 OVH, in FR")).await;
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0), "{}", daemon.said());

    let net = |frame: &Value| frame["net"].clone();
    let home_net = net(&home.frames("proxy")[0]);
    assert_eq!(
        (&home_net["asn"], &home_net["country"], &home_net["hosting"]),
        (&json!(64_500), &json!("DE"), &json!(false))
    );
    assert_eq!(home.frames("http")[0]["fillguard"]["lines"][0]["net"]["hosting"], json!(true));

    let (told, warned) = replayed(&home, None);
    assert!(
        told.contains("\"rule\":\"unfamiliar_address\"") && !warned.contains("without a network"),
        "{told}{warned}"
    );
    fs::write(home.path("other.toml"), "[access]\nnetworks = \"other.csv\"\n").unwrap();
    fs::write(home.path("other.csv"), "0.0.0.0/0,all\n").unwrap();
    assert_eq!(replayed(&home, Some("other.toml")).0, told, "another table changes nothing");
    fs::write(home.path("other.csv"), "0.0.0.0/33,all\n").unwrap();
    let refused = replayed(&home, Some("other.toml")).1;
    assert!(refused.contains("access.networks") && refused.contains("line 1: no address prefix"), "{refused}");
}

#[test]
fn a_replay_says_that_no_table_was_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bare.ndjson");
    let head = r#"{"fillguard":1,"kind":"recording","created":"2026-03-01T00:00:00Z"}"#;
    let line =
        r#"{"n":1,"at":1772355600000000000,"from":"access/gateway","frame":{"account":"alice","ip":"203.0.113.7"}}"#;
    fs::write(&file, format!("{head}\n{line}\n")).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_fillguard")).arg("replay").arg(&file).output().unwrap();
    let warned = String::from_utf8(done.stderr).unwrap();
    assert!(warned.contains("1 use of keys came without a network, and no table is configured"), "{warned}");
}
