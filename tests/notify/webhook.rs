//! Webhooks: what arrives, who can check it, and what a receiver's answer means.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use fillguard::domain::Level;
use fillguard::notify::webhook::{Form, Webhook, WebhookSettings, sign};
use fillguard::notify::{Carrier, Failure};
use fillguard::secret::Secret;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{channel, queued};

type Posts = Arc<Mutex<Vec<(HeaderMap, String)>>>;

struct Receiver {
    base: String,
    posts: Posts,
    _tasks: JoinSet<()>,
}

async fn receiver(status: u16, after: Option<&'static str>) -> Receiver {
    async fn take(
        State((posts, status, after)): State<(Posts, u16, Option<&'static str>)>,
        headers: HeaderMap,
        body: String,
    ) -> Response {
        posts.lock().unwrap().push((headers, body));
        let after = after.map(|after| [("retry-after", after)]);
        (StatusCode::from_u16(status).unwrap(), after, "hook-secret-path said no").into_response()
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let posts = Posts::default();
    let router = Router::new().fallback(take).with_state((Arc::clone(&posts), status, after));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Receiver { base, posts, _tasks: tasks }
}

fn webhook(receiver: &Receiver, form: Form) -> Webhook {
    let url = Secret::new(format!("{}/hook-secret-path", receiver.base));
    let mut settings = WebhookSettings::new(channel("hook"), url);
    (settings.form, settings.secret) = (form, Some(Secret::new("a shared secret".into())));
    Webhook::new(settings).unwrap()
}

#[tokio::test]
async fn a_post_is_signed_with_its_time_and_names_its_delivery() {
    let receiver = receiver(204, None).await;
    webhook(&receiver, Form::Fillguard).carry(&queued(Level::Act, "theft")).await.unwrap();
    let (headers, body) = receiver.posts.lock().unwrap()[0].clone();
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let expected = sign("a shared secret", &header("x-fillguard-timestamp"), &body);
    assert_eq!(header("x-fillguard-signature"), format!("v1={expected}"));
    assert_eq!(header("idempotency-key"), "hook-7");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["level"], &body["headline"], &body["cause"]), (&"act".into(), &"theft".into(), &"news".into()));
    assert_eq!((&body["phrase"], &body["repeat"]), (&"blue elephant".into(), &false.into()));
}

#[tokio::test]
async fn what_the_receiver_answers_decides_whether_it_is_tried_again() {
    for (status, after) in [(500, None), (503, Some(7)), (429, Some(7)), (408, None)] {
        let receiver = receiver(status, after.map(|_| "7")).await;
        let outcome = webhook(&receiver, Form::Slack).carry(&queued(Level::Act, "theft")).await;
        let Err(Failure::Down { after: told, .. }) = outcome else { panic!("{status}: {outcome:?}") };
        assert_eq!(told, after.map(Duration::from_secs), "{status}");
    }
    for status in [302, 400, 401, 404, 410] {
        let receiver = receiver(status, None).await;
        let outcome = webhook(&receiver, Form::Slack).carry(&queued(Level::Act, "theft")).await;
        let Err(Failure::Never { why }) = outcome else { panic!("{status}: {outcome:?}") };
        assert!(!why.contains("hook-secret-path") && !why.contains("a shared secret"), "{why}");
    }
}

#[tokio::test]
async fn each_service_gets_the_form_it_takes() {
    let receiver = receiver(200, None).await;
    let mut one = queued(Level::Act, "theft of <b> & @everyone");
    one.message.facts = vec!["x".repeat(300); 30];
    for form in [Form::Slack, Form::Discord, Form::Ntfy, Form::Alertmanager] {
        webhook(&receiver, form).carry(&one).await.unwrap();
    }
    let posts = receiver.posts.lock().unwrap();
    let body = |place: usize| serde_json::from_str::<Value>(&posts[place].1).unwrap();
    assert!(body(0)["text"].as_str().unwrap().contains("theft of &lt;b&gt; &amp; @everyone"));
    let discord = body(1);
    assert!(discord["content"].as_str().unwrap().encode_utf16().count() <= 2_000);
    assert_eq!(discord["allowed_mentions"]["parse"], Value::Array(Vec::new()));
    assert_eq!((&body(2)["topic"], &body(2)["priority"]), (&"hook-secret-path".into(), &5.into()));
    let alert = &body(3)[0];
    assert_eq!((&alert["labels"]["alertname"], &alert["labels"]["severity"]), (&"fillguard".into(), &"act".into()));
    assert_eq!(alert["labels"]["account"], "binance/alice");
    assert!(alert["endsAt"].as_str().unwrap() > alert["startsAt"].as_str().unwrap());
}

#[tokio::test]
async fn a_receiver_that_repeats_the_path_gives_away_no_part_of_it() {
    let receiver = receiver(404, None).await;
    for (path, told) in [
        ("services/T0AB12/B9/hook-secret-path?sig=Zx81", "404: <redacted> said no"),
        ("hook-secret/T0AB12", "404: <redacted>-path said no"),
        ("said/%68ook-secret-path", "404: <redacted> said no"),
    ] {
        let url = Secret::new(format!("{}/{path}", receiver.base));
        let mut hook = Webhook::new(WebhookSettings::new(channel("hook"), url)).unwrap();
        let outcome = hook.carry(&queued(Level::Act, "theft")).await;
        let Err(Failure::Never { why }) = outcome else { panic!("{outcome:?}") };
        assert!(why.ends_with(told), "{why}");
    }
}

#[test]
fn an_address_in_the_open_or_none_is_refused_without_being_shown() {
    for url in ["http://example.org/secret-path", "ftp://example.org/secret-path", "secret-path"] {
        let refused = Webhook::new(WebhookSettings::new(channel("hook"), Secret::new(url.into()))).unwrap_err();
        assert!(!refused.to_string().contains("secret-path"), "{refused}");
    }
}
