//! `POST /api/v1/access` as a client meets it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::home::{Home, Running, TOKEN};

const DOOR: &str = r#"
[access.http]
listen = "{listen}"
token_file = "token"
accounts = { "desk 1" = "binance/alice" }
largest_body = "4 KiB"
most_entries = 20
connections = 4
timeout = "500ms"
"#;
const ONE: &str = r#"{"account":"alice","ip":"203.0.113.7","user_agent":"bot/2","client_order_id":"b-1","time":"2026-04-07T14:30:06Z"}"#;

struct Client<'a> {
    home: &'a Home,
    http: reqwest::Client,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl<'a> Client<'a> {
    fn new(home: &'a Home) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Client { home, http: reqwest::Client::new() }
    }

    async fn post(&self, body: &str, headers: &[(&str, &str)]) -> Answer {
        let usual = [("authorization", format!("Bearer {TOKEN}")), ("content-type", "application/json".to_owned())];
        let mut request = self.http.post(format!("http://{}/api/v1/access", self.home.listen)).body(body.to_owned());
        for (name, value) in usual.iter().filter(|(name, _)| headers.iter().all(|(given, _)| given != name)) {
            request = request.header(*name, value);
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        Answer::of(request).await
    }
}

impl Answer {
    async fn of(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
    }
}

async fn listening(home: &Home, daemon: &Running) {
    daemon.until("the door", || TcpStream::connect(home.listen).is_ok()).await;
}

#[tokio::test]
async fn what_is_posted_is_in_the_journal_when_it_is_answered_and_only_once_over_a_kill() {
    let home = Home::new(DOOR);
    let daemon = home.start("first");
    listening(&home, &daemon).await;
    let client = Client::new(&home);
    let batch = format!("[{ONE},{{\"account\":\"desk 1\"}},{ONE}]");
    let key = [("idempotency-key", "order-1")];
    let answer = client.post(&batch, &key).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({"accepted": 2, "duplicates": 1})));
    // Answered means durable: nothing is waited for here.
    daemon.signal("-KILL");
    drop(daemon);
    let frames = home.frames("http");
    assert_eq!(frames.len(), 1);
    let lines = &frames[0]["fillguard"]["lines"];
    let first = json!({"account": "alice", "ip": "203.0.113.7", "ua": "bot/2", "client_order_id": "b-1",
        "time": 1_775_572_206_000_000_000_i64});
    assert_eq!(lines, &json!([first, {"account": "binance/alice"}]));

    let mut daemon = home.start("second");
    listening(&home, &daemon).await;
    let again = client.post(&batch, &key).await;
    assert_eq!((again.status, &again.body), (200, &answer.body), "the same answer");
    let other = client.post(ONE, &key).await;
    assert_eq!(other.status, 409, "{}", other.body);
    assert_eq!(client.post(ONE, &[("idempotency-key", "order-2")]).await.status, 200);
    assert_eq!(client.post(ONE, &[]).await.status, 200);
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0), "{}", daemon.said());
    assert_eq!(home.frames("http").len(), 3);
    let daemon = home.start("third");
    listening(&home, &daemon).await;
    for key in ["order-1", "order-2"] {
        let body = if key == "order-1" { batch.as_str() } else { ONE };
        assert_eq!(client.post(body, &[("idempotency-key", key)]).await.status, 200, "from the snapshot too");
    }
    assert_eq!(home.frames("http").len(), 3);
    drop(daemon);
    let everything = home.everything();
    assert!(!everything.contains(TOKEN) && !everything.contains("order-1"), "neither token nor key is kept or said");
}

#[tokio::test]
async fn each_wrong_request_has_its_own_answer_and_takes_nothing() {
    let home = Home::new(DOOR);
    let daemon = home.start("only");
    listening(&home, &daemon).await;
    let client = Client::new(&home);
    let many = format!("[{}]", [r#"{"account":"alice"}"#; 21].join(","));
    let large = format!(r#"{{"account":"alice","user_agent":"{}"}}"#, "x".repeat(5_000));
    for (body, headers, status) in [
        (ONE, &[("authorization", "")][..], 401),
        (ONE, &[("authorization", "Bearer hunter2")], 401),
        (ONE, &[("authorization", "Basic aHVudGVyMg==")], 401),
        (ONE, &[("content-type", "text/plain")], 415),
        (ONE, &[("content-type", "")], 415),
        (ONE, &[("content-encoding", "gzip")], 415),
        (ONE, &[("idempotency-key", &"k".repeat(256))], 400),
        ("{", &[], 400),
        (&many, &[], 413),
        (&large, &[], 413),
        (r#"[{"account":"alice"},{"account":"hunter2"}]"#, &[], 422),
    ] {
        let answer = client.post(body, headers).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.body);
        assert!(answer.body["error"].is_string() && !answer.body.to_string().contains("hunter2"), "{}", answer.body);
        if status == 401 {
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        }
    }
    let refused = client.post(r#"[{"account":"alice"},{"ip":"x"}]"#, &[]).await;
    assert_eq!(refused.body["entries"], json!([{"index": 1, "reason": "account: is missing"}]));
    let get = Answer::of(client.http.get(format!("http://{}/api/v1/access", home.listen))).await;
    assert_eq!((get.status, get.headers["allow"].to_str().unwrap()), (405, "POST"));
    let elsewhere = Answer::of(client.http.post(format!("http://{}/", home.listen))).await;
    assert_eq!(elsewhere.status, 404);
    assert_eq!(
        raw(&home, "POST /api/v1/access HTTP/1.1\r\nHost: x\r\n{auth}Content-Type: application/json\r\n\r\n"),
        411
    );
    let lines = format!("{ONE}\n{{\"account\":\"alice\"}}\n");
    let answer = client.post(&lines, &[("content-type", "application/x-ndjson; charset=utf-8")]).await;
    assert_eq!(answer.body, json!({"accepted": 2, "duplicates": 0}));
    assert_eq!(home.frames("http").len(), 1);
    assert!(!home.everything().contains("hunter2"));
}

/// Sends bytes and returns the answer's status; 0 when the connection is closed without one.
fn raw(home: &Home, text: &str) -> u16 {
    let mut stream = TcpStream::connect(home.listen).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(text.replace("{auth}", &format!("Authorization: Bearer {TOKEN}\r\n")).as_bytes()).unwrap();
    let mut answer = String::new();
    let mut bytes = [0; 1_024];
    while !answer.contains("\r\n\r\n") {
        match stream.read(&mut bytes).unwrap() {
            0 => break,
            read => answer.push_str(&String::from_utf8_lossy(&bytes[..read])),
        }
    }
    answer.split_whitespace().nth(1).map_or(0, |status| status.parse().unwrap())
}

#[tokio::test]
async fn who_is_slow_is_sent_away_and_keeps_nobody_else_out() {
    let home = Home::new(DOOR);
    let daemon = home.start("only");
    listening(&home, &daemon).await;
    // As many as are served at once, none of which ever says more.
    let slow: Vec<TcpStream> = (0..8)
        .map(|place| {
            let mut stream = TcpStream::connect(home.listen).unwrap();
            let head = format!("POST /api/v1/access HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n");
            let body = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
            stream.write_all(head.as_bytes()).unwrap();
            if place % 2 == 0 {
                stream.write_all(body.as_bytes()).unwrap();
            }
            stream
        })
        .collect();
    let answer = Client::new(&home).post(ONE, &[]).await;
    assert_eq!(answer.status, 200);
    drop(slow);
    assert_eq!(home.frames("http").len(), 1);
}

#[tokio::test]
async fn curl_posts_as_the_manual_says() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: curl is not here");
        return;
    }
    let home = Home::new(DOOR);
    let daemon = home.start("only");
    listening(&home, &daemon).await;
    let address = format!("http://{}/api/v1/access", home.listen);
    let said = Command::new("curl")
        .args(["-sS", "--fail-with-body", "-H", &format!("Authorization: Bearer {TOKEN}")])
        .args(["-H", "Content-Type: application/json", "-H", "Idempotency-Key: 7d1f", "--data", ONE, &address])
        .output()
        .unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.success() && text.contains("\"accepted\":1"), "{text}");
}

#[tokio::test]
async fn behind_a_proxy_a_token_that_travelled_readable_is_refused() {
    let home = Home::new(&DOOR.replace("timeout", "behind_proxy = true\ntimeout"));
    let daemon = home.start("only");
    listening(&home, &daemon).await;
    let client = Client::new(&home);
    assert_eq!(client.post(ONE, &[("x-forwarded-proto", "http")]).await.status, 403);
    assert_eq!(client.post(ONE, &[("x-forwarded-proto", "https")]).await.status, 200);
}
