//! The answer page: looking changes nothing, a press answers once, and only who has the link may.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/story.rs"]
mod story;

use std::sync::Arc;

use fillguard::alert::Language;
use fillguard::domain::{Level, Span, Timestamp};
use fillguard::notify::links::Links;
use fillguard::notify::words::words;
use fillguard::runtime::clock;
use fillguard::serve::{Desk, serve};
use fillguard::store::{ChannelRoute, Handle, Store, Verdict};
use story::{effect, id};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

struct Page {
    store: Handle,
    links: Links,
    client: reqwest::Client,
    base: String,
    _server: JoinSet<()>,
}

impl Page {
    async fn open() -> Page {
        fillguard::notify::provider();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let links = Links::new(&base, b"a key of at least sixteen bytes");
        let route = ChannelRoute { name: "mail".into(), ..ChannelRoute::default() };
        let store = Handle::new(Store::in_memory().unwrap(), vec![route]);
        store.take(vec![effect(1, &id(1), Level::Alert, "odd <b>orders</b> & more")]).await.unwrap();
        let words = words(Language::English);
        let desk = Arc::new(Desk::new(store.clone(), links.clone(), "blue elephant".into(), words));
        let mut server = JoinSet::new();
        server.spawn(async move { serve(listener, &desk, &CancellationToken::new()).await });
        Page { store, links, client: reqwest::Client::new(), base, _server: server }
    }

    fn link(&self, at: Timestamp) -> String {
        self.links.link(&id(1), "mail", at)
    }

    async fn get(&self, url: &str) -> (u16, String) {
        let response = self.client.get(url).send().await.unwrap();
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(response.headers()["referrer-policy"], "no-referrer");
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn post(&self, url: &str, body: &str) -> (u16, String) {
        let response = self.client.post(url).body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn answers(&self) -> Vec<Verdict> {
        let answers = self.store.with(|store| store.answers(&id(1))).await.unwrap();
        answers.iter().map(|answer| answer.verdict).collect()
    }
}

#[tokio::test]
async fn a_mail_scanner_that_follows_the_link_answers_nothing() {
    let page = Page::open().await;
    let link = page.link(clock::now());
    for _ in 0..3 {
        let (status, text) = page.get(&link).await;
        assert_eq!(status, 200);
        for part in ["odd &lt;b&gt;orders&lt;/b&gt; &amp; more", "That was me", "Not me, stop it", "blue elephant"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    let head = page.client.head(&link).send().await.unwrap();
    assert_eq!(head.status().as_u16(), 200);
    assert!(page.answers().await.is_empty());
}

#[tokio::test]
async fn a_link_gives_one_answer_and_afterwards_only_the_safe_one() {
    let page = Page::open().await;
    let link = page.link(clock::now());
    let (status, _) = page.post(&link, "verdict=seen").await;
    assert!(status == 400 && page.answers().await.is_empty(), "that is no button of the page");
    let (status, text) = page.post(&link, "verdict=mine").await;
    assert!(status == 200 && text.contains("it was you") && !text.contains("value=\"mine\""), "{text}");
    let (_, text) = page.post(&link, "verdict=mine").await;
    assert!(text.contains("was used"), "{text}");
    let (_, text) = page.post(&link, "verdict=later").await;
    assert!(text.contains("was used"), "{text}");
    let (_, text) = page.post(&link, "verdict=not_mine").await;
    assert!(text.contains("Raised to act") && !text.contains("<form"), "{text}");
    let (_, text) = page.post(&link, "verdict=not_mine").await;
    assert!(text.contains("was used"), "{text}");
    assert_eq!(page.answers().await, [Verdict::Mine, Verdict::NotMine]);
}

#[tokio::test]
async fn forged_old_and_oversized_requests_answer_nothing() {
    let page = Page::open().await;
    let link = page.link(clock::now());
    let forged = Links::new(&page.base, b"another key of sixteen bytes").link(&id(1), "mail", clock::now());
    let old = page.link(clock::now() - Span::from_secs(8 * 86_400));
    let unknown = page.links.link(&id(77), "mail", clock::now());
    for (url, body, wanted) in [
        (&forged, "verdict=mine", 404),
        (&old, "verdict=mine", 410),
        (&unknown, "verdict=mine", 404),
        (&page.base, "verdict=mine", 404),
        (&link, "verdict=everything", 400),
        (&link, "", 400),
        (&link, &"x".repeat(5_000), 413),
    ] {
        assert_eq!(page.post(url, body).await.0, wanted, "{body:.40}");
    }
    let (_, text) = page.post(&link, "verdict=everything").await;
    assert!(text.contains("no answer, and nothing was noted") && text.contains("value=\"mine\""), "{text}");
    assert_eq!(page.client.delete(&link).send().await.unwrap().status().as_u16(), 405);
    assert!(page.answers().await.is_empty());
}
