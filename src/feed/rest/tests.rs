//! Calls before a played host, in paused time: who waits how long, and what is signed when.

use std::sync::Mutex;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::runtime::tls;

/// A host that answers one call after the other with what it was given, the last one for ever.
struct Host {
    base: String,
    asked: Arc<Mutex<Vec<(Instant, String)>>>,
    _serving: JoinSet<()>,
}

impl Host {
    async fn open(replies: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, replies) = (Arc::clone(&asked), replies.iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let count = {
                    let mut noted = noted.lock().unwrap();
                    let line = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
                    noted.push((clock::steady(), line));
                    noted.len()
                };
                let reply = &replies[(count - 1).min(replies.len() - 1)];
                let (head, body) = reply.split_once('|').unwrap();
                let length = body.len();
                let reply = format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
                stream.write_all(reply.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Host { base, asked, _serving: serving }
    }

    fn rest(&self) -> Rest {
        let tls = tls::client_config(None).unwrap();
        let plenty = Limiter::new(1_000_000, Duration::from_secs(1), 1_000_000);
        Rest::new(&self.base, &tls, Duration::from_secs(10), Duration::from_millis(500), plenty).unwrap()
    }

    /// Returns when it was asked, counted from the first time.
    fn times(&self) -> Vec<Duration> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(at, _)| *at - asked[0].0).collect()
    }
}

fn call(purse: Option<Arc<Limiter>>) -> impl Fn() -> Result<Call, Error> {
    move || Ok(Call { path: "/x".to_owned(), cost: 1, purse: purse.clone(), ..Call::default() })
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_exchange_asked_for_is_kept_by_everybody_who_calls_it() {
    for (refusal, secs) in [
        ("429 X\r\nRetry-After: 30|{}", 30),
        ("418 X\r\nRetry-After: 7200|{}", 7_200),
        ("429 X\r\ngw-ratelimit-reset: 12000|{}", 12),
        // Without a word about how long.
        ("418 X|{}", 120),
    ] {
        let host = Host::open(&[refusal, "200 X|{}"]).await;
        let rest = host.rest();
        let late = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            rest.ask(call(None)).await
        };
        let (first, second) = tokio::join!(rest.ask(call(None)), late);
        assert_eq!((first.unwrap().status, second.unwrap().status), (200, 200));
        let times = host.times();
        assert_eq!(times.len(), 3, "{times:?}");
        assert!(times[1..].iter().all(|at| *at >= Duration::from_secs(secs)), "{refusal}: {times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_asked_too_often_waits_alone_but_a_ban_of_the_address_holds_for_it_too() {
    let host = Host::open(&["429 X\r\nRetry-After: 30|{}", "200 X|{}"]).await;
    let rest = host.rest();
    let purse = || Some(Arc::new(Limiter::new(100, Duration::from_secs(1), 100)));
    let other = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        rest.ask(call(purse())).await
    };
    let (busy, other) = tokio::join!(rest.ask(call(purse())), other);
    assert_eq!((busy.unwrap().status, other.unwrap().status), (200, 200));
    let times = host.times();
    assert!(times[1] < Duration::from_secs(2) && times[2] >= Duration::from_secs(30), "{times:?}");
    rest.limiter().pause(Duration::from_secs(50));
    let begun = clock::steady();
    rest.ask(call(purse())).await.unwrap();
    assert!(clock::steady() - begun >= Duration::from_secs(50));
}

#[tokio::test(start_paused = true)]
async fn a_busy_host_is_asked_three_times_with_growing_waits_and_each_time_signed_anew() {
    let host = Host::open(&["503 X|busy"]).await;
    let signed = Mutex::new(0);
    let sign = || {
        let mut signed = signed.lock().unwrap();
        *signed += 1;
        Ok(Call { path: format!("/x?signed={signed}"), cost: 1, ..Call::default() })
    };
    assert_eq!(host.rest().ask(sign).await.unwrap().status, 503);
    let times = host.times();
    assert_eq!(times.len(), 3);
    let (first, second) = (times[1], times[2] - times[1]);
    assert!(first >= Duration::from_millis(250) && first <= Duration::from_millis(800), "{first:?}");
    assert!(second >= Duration::from_millis(1_000) && second <= Duration::from_millis(3_100), "{second:?}");
    let paths: Vec<String> = host.asked.lock().unwrap().iter().map(|(_, line)| line.clone()).collect();
    assert!(paths[2].starts_with("GET /x?signed=3 "), "{paths:?}");
}

#[tokio::test(start_paused = true)]
async fn the_exchanges_clock_is_learned_whichever_side_of_ours_it_is_on() {
    for ahead in [3_000, -3_000] {
        let theirs = clock::now().millis() + ahead;
        let host = Host::open(&[format!("200 X|{theirs}").as_str(), "500 X|0"]).await;
        let rest = host.rest();
        rest.learn_time("/time", |text| text.parse().ok()).await.unwrap();
        let off = rest.millis() - clock::now().millis();
        assert!((off - ahead).abs() < 1_000, "{off} for {ahead}");
        // An answer that is no time leaves it as it was.
        assert!(rest.learn_time("/time", |text| text.parse().ok()).await.is_err());
        assert_eq!(rest.millis() - clock::now().millis(), off);
    }
}
