//! The Bot API as it is on bad days.

use std::time::Duration;

use fillguard::domain::Level;
use fillguard::notify::telegram::{Bot, Chat, TelegramSettings};
use fillguard::notify::{Carrier, Error, Failure};
use fillguard::secret::Secret;
use fillguard::store::{Queued, Sent};

use crate::bot_api::BotApi;
use crate::{TOKEN, TOLD, channel, queued};

pub fn bot(api: &BotApi) -> Bot {
    let settings = TelegramSettings {
        base_url: api.base_url.clone(),
        timeout: Duration::from_secs(10),
        ..TelegramSettings::new(channel("chat"), Secret::new(TOKEN.to_owned()), Chat::Number(42))
    };
    Bot::new(settings).unwrap()
}

async fn tell(answers: Vec<(u16, &'static str)>, queued: &Queued) -> (Result<String, Failure>, BotApi) {
    let api = BotApi::start(answers);
    let outcome = bot(&api).carry(queued).await;
    (outcome, api)
}

#[tokio::test]
async fn a_message_is_sent_as_html_without_preview_and_gives_its_number() {
    let (outcome, api) = tell(vec![TOLD], &queued(Level::Alert, "a <b> & c")).await;
    assert_eq!(outcome.unwrap(), "77");
    let (method, body) = api.calls().remove(0);
    assert_eq!(method, "sendMessage");
    assert_eq!((&body["chat_id"], &body["parse_mode"]), (&42.into(), &"HTML".into()));
    assert_eq!(body["link_preview_options"]["is_disabled"], true);
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("a &lt;b&gt; &amp; c") && text.contains("blue elephant"), "{text}");
}

#[tokio::test]
async fn too_many_requests_is_waited_out_and_a_refusal_is_final() {
    let one = queued(Level::Alert, "hello");
    let slow = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 7","parameters":{"retry_after":7}}"#;
    let (outcome, _) = tell(vec![(429, slow)], &one).await;
    let Err(Failure::Down { after, uncertain, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((after, uncertain), (Some(Duration::from_secs(7)), false));
    for (status, answer) in [
        (403, r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#),
        (401, r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#),
        (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#),
    ] {
        let (outcome, _) = tell(vec![(status, answer)], &one).await;
        assert!(matches!(outcome, Err(Failure::Never { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_telegrams_is_tried_again_and_says_when_it_is_uncertain() {
    let one = queued(Level::Alert, "hello");
    for (answer, expected) in [
        ((500, r#"{"ok":false,"error_code":500,"description":"Internal Server Error"}"#), false),
        ((502, "<html>Bad Gateway</html>"), false),
        ((200, "<html>welcome to the hotel network</html>"), true),
        ((302, ""), false),
        ((0, ""), true),
    ] {
        let (outcome, api) = tell(vec![answer], &one).await;
        let Err(Failure::Down { uncertain, .. }) = outcome else { panic!("{answer:?} {outcome:?}") };
        assert_eq!(uncertain, expected, "{answer:?}");
        assert_eq!(api.calls().len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_growing_incident_edits_its_message_and_a_louder_or_uneditable_one_is_told_anew() {
    let mut later = queued(Level::Alert, "grown");
    later.previous = Some(Sent { receipt: "55".to_owned(), level: Level::Alert });
    let (outcome, api) = tell(vec![TOLD], &later).await;
    assert_eq!(outcome.unwrap(), "55");
    let (method, body) = api.calls().remove(0);
    assert_eq!((method.as_str(), &body["message_id"]), ("editMessageText", &55.into()));

    let same = r#"{"ok":false,"error_code":400,"description":"Bad Request: message is not modified"}"#;
    let (outcome, api) = tell(vec![(400, same)], &later).await;
    assert_eq!((outcome.unwrap().as_str(), api.calls().len()), ("55", 1));

    let gone = r#"{"ok":false,"error_code":400,"description":"Bad Request: message to edit not found"}"#;
    let (outcome, api) = tell(vec![(400, gone), TOLD], &later).await;
    assert_eq!(outcome.unwrap(), "77");
    assert_eq!(api.calls()[1].0, "sendMessage");

    later.message.level = Level::Act;
    let (outcome, api) = tell(vec![TOLD], &later).await;
    assert_eq!((outcome.unwrap().as_str(), api.calls()[0].0.as_str()), ("77", "sendMessage"));
}

#[tokio::test]
async fn a_group_that_moved_is_followed() {
    let moved = r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded","parameters":{"migrate_to_chat_id":-1009}}"#;
    let (outcome, api) = tell(vec![(400, moved), TOLD], &queued(Level::Alert, "hello")).await;
    assert_eq!(outcome.unwrap(), "77");
    assert_eq!(api.calls()[1].1["chat_id"], -1009);
}

#[test]
fn a_bot_with_a_malformed_token_chat_or_address_is_refused() {
    let refused = |token: &str, chat: Chat, base_url: &str| {
        let mut settings = TelegramSettings::new(channel("chat"), Secret::new(token.to_owned()), chat);
        settings.base_url = base_url.to_owned();
        Bot::new(settings).err()
    };
    let good = "https://api.telegram.org";
    for (token, chat, base_url) in [
        ("no colon", Chat::Number(1), good),
        ("1:a/b", Chat::Number(1), good),
        (TOKEN, Chat::Number(0), good),
        (TOKEN, Chat::Name("desk".to_owned()), good),
        (TOKEN, Chat::Number(1), "ftp://127.0.0.1"),
    ] {
        assert!(matches!(refused(token, chat, base_url), Some(Error::Value { .. })));
    }
    assert!(matches!(refused(TOKEN, Chat::Number(1), "http://telegram.example"), Some(Error::Plain { .. })));
    assert!(refused(TOKEN, Chat::Name("@desk".to_owned()), good).is_none());
}
