//! A Bot API on loopback that follows the Bot API's rules: what it refuses, Telegram refuses.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// A message as people see it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub chat: i64,
    pub id: i64,
    pub text: String,
    /// Label and data of each button.
    pub buttons: Vec<(String, String)>,
    pub edits: u32,
}

#[derive(Default)]
struct Book {
    messages: BTreeMap<i64, Shown>,
    updates: VecDeque<Value>,
    hints: Vec<(String, String)>,
    next_message: i64,
    next_update: i64,
    /// Answers given before anything is looked at: status, body.
    faults: VecDeque<(u16, Value)>,
    open_queries: Vec<String>,
    calls: Vec<String>,
}

#[derive(Clone)]
pub struct Telegram {
    token: String,
    book: Arc<Mutex<Book>>,
    news: Arc<Notify>,
}

impl Telegram {
    /// Serves on a listener for a bot with this token.
    pub fn serve(listener: TcpListener, token: &str, tasks: &mut JoinSet<()>) -> Telegram {
        let telegram = Telegram { token: token.to_owned(), book: Arc::default(), news: Arc::new(Notify::new()) };
        let router = Router::new().route("/{bot}/{method}", post(answer)).with_state(telegram.clone());
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        telegram
    }

    pub fn fail(&self, status: u16, body: Value) {
        self.book.lock().unwrap().faults.push_back((status, body));
    }

    pub fn messages(&self) -> Vec<Shown> {
        self.book.lock().unwrap().messages.values().cloned().collect()
    }

    pub fn hints(&self) -> Vec<String> {
        self.book.lock().unwrap().hints.iter().map(|(_, text)| text.clone()).collect()
    }

    pub fn calls(&self) -> Vec<String> {
        self.book.lock().unwrap().calls.clone()
    }

    /// Somebody writes into a chat.
    pub fn write(&self, user: i64, chat: i64, text: &str, date: i64) {
        let mut book = self.book.lock().unwrap();
        let (update, message) = (book.number_update(), book.number_message());
        let value = json!({"update_id": update, "message": {
            "message_id": message, "date": date, "text": text,
            "from": {"id": user, "is_bot": false, "first_name": "N", "username": format!("user{user}")},
            "chat": {"id": chat, "type": if chat > 0 { "private" } else { "supergroup" }},
        }});
        book.updates.push_back(value);
        self.news.notify_waiters();
    }

    /// Somebody presses a button of a message; returns false where there is none with this label.
    pub fn press(&self, user: i64, message: i64, label: &str) -> bool {
        let mut book = self.book.lock().unwrap();
        let Some(shown) = book.messages.get(&message).cloned() else { return false };
        let Some((_, data)) = shown.buttons.iter().find(|(known, _)| known == label).cloned() else { return false };
        drop(shown.text);
        self.press_data(&mut book, user, shown.chat, message, &data);
        true
    }

    /// Somebody presses a button that was shown once.
    pub fn press_again(&self, user: i64, chat: i64, message: i64, data: &str) {
        let mut book = self.book.lock().unwrap();
        self.press_data(&mut book, user, chat, message, data);
    }

    fn press_data(&self, book: &mut Book, user: i64, chat: i64, message: i64, data: &str) {
        let update = book.number_update();
        let id = format!("query-{update}");
        book.open_queries.push(id.clone());
        book.updates.push_back(json!({"update_id": update, "callback_query": {
            "id": id, "data": data, "chat_instance": "1",
            "from": {"id": user, "is_bot": false, "first_name": "N", "username": format!("user{user}")},
            "message": {"message_id": message, "date": 1, "chat": {"id": chat, "type": "private"}},
        }}));
        self.news.notify_waiters();
    }
}

impl Book {
    fn number_update(&mut self) -> i64 {
        self.next_update += 1;
        self.next_update
    }

    fn number_message(&mut self) -> i64 {
        self.next_message += 1;
        self.next_message
    }
}

fn refused(code: u16, description: &str) -> Response {
    let body = json!({"ok": false, "error_code": code, "description": description});
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

fn fine(result: Value) -> Response {
    axum::Json(json!({"ok": true, "result": result})).into_response()
}

async fn answer(
    State(telegram): State<Telegram>,
    Path((bot, method)): Path<(String, String)>,
    body: axum::body::Bytes,
) -> Response {
    if bot != format!("bot{}", telegram.token) {
        return refused(401, "Unauthorized");
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if method == "getUpdates" {
        return updates(&telegram, &body).await;
    }
    let mut book = telegram.book.lock().unwrap();
    book.calls.push(method.clone());
    if let Some((status, body)) = book.faults.pop_front() {
        return (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response();
    }
    let buttons = match keyboard(&body) {
        Ok(buttons) => buttons,
        Err(why) => return refused(400, why),
    };
    match method.as_str() {
        "sendMessage" => {
            let text = body["text"].as_str().unwrap_or_default();
            if let Some(why) = wrong(text) {
                return refused(400, why);
            }
            let Some(chat) = body["chat_id"].as_i64() else { return refused(400, "Bad Request: chat not found") };
            let id = book.number_message();
            let shown = Shown { chat, id, text: text.to_owned(), buttons: buttons.unwrap_or_default(), edits: 0 };
            book.messages.insert(id, shown);
            fine(json!({"message_id": id, "chat": {"id": chat}, "date": 1, "text": text}))
        }
        "editMessageText" | "editMessageReplyMarkup" => {
            let Some(shown) = book.messages.get_mut(&body["message_id"].as_i64().unwrap_or_default()) else {
                return refused(400, "Bad Request: message to edit not found");
            };
            let text = body["text"].as_str().map_or(shown.text.clone(), str::to_owned);
            if let Some(why) = wrong(&text) {
                return refused(400, why);
            }
            let buttons = buttons.unwrap_or_default();
            if text == shown.text && buttons == shown.buttons {
                return refused(
                    400,
                    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same",
                );
            }
            (shown.text, shown.buttons) = (text, buttons);
            shown.edits += 1;
            fine(json!({"message_id": shown.id}))
        }
        "answerCallbackQuery" => {
            let id = body["callback_query_id"].as_str().unwrap_or_default().to_owned();
            let before = book.open_queries.len();
            book.open_queries.retain(|open| *open != id);
            if before == book.open_queries.len() {
                return refused(
                    400,
                    "Bad Request: query is too old and response timeout expired or query ID is invalid",
                );
            }
            book.hints.push((id, body["text"].as_str().unwrap_or_default().to_owned()));
            fine(Value::Bool(true))
        }
        _ => refused(404, "Not Found"),
    }
}

async fn updates(telegram: &Telegram, body: &Value) -> Response {
    let wait = Duration::from_secs(body["timeout"].as_u64().unwrap_or(0).min(2));
    for _ in 0..2 {
        let news = telegram.news.notified();
        {
            let mut book = telegram.book.lock().unwrap();
            let offset = body["offset"].as_i64().unwrap_or(0);
            book.updates.retain(|update| update["update_id"].as_i64().unwrap() >= offset);
            if !book.updates.is_empty() {
                return fine(book.updates.iter().take(100).cloned().collect());
            }
        }
        let _timed_out = tokio::time::timeout(wait, news).await;
    }
    fine(json!([]))
}

fn keyboard(body: &Value) -> Result<Option<Vec<(String, String)>>, &'static str> {
    let Some(rows) = body["reply_markup"]["inline_keyboard"].as_array() else { return Ok(None) };
    let mut buttons = Vec::new();
    for button in rows.iter().flat_map(|row| row.as_array().unwrap()) {
        let (text, data) = (button["text"].as_str().unwrap(), button["callback_data"].as_str().unwrap());
        if data.is_empty() || data.len() > 64 {
            return Err("Bad Request: BUTTON_DATA_INVALID");
        }
        buttons.push((text.to_owned(), data.to_owned()));
    }
    Ok(Some(buttons))
}

/// Says what Telegram would refuse in an HTML text.
fn wrong(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        return Some("Bad Request: message text is empty");
    }
    let mut open = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(place) = rest.find('<') {
        plain.push_str(&rest[..place]);
        let Some(end) = rest[place..].find('>') else {
            return Some("Bad Request: can't parse entities: unclosed start tag");
        };
        let tag = &rest[place + 1..place + end];
        match tag.strip_prefix('/') {
            Some(name) if open.pop() == Some(name) => {}
            Some(_) => return Some("Bad Request: can't parse entities: unexpected end tag"),
            None => {
                let name = tag.split(' ').next().unwrap();
                if !["b", "i", "u", "s", "a", "code", "pre"].contains(&name) {
                    return Some("Bad Request: can't parse entities: unsupported start tag");
                }
                open.push(name);
            }
        }
        rest = &rest[place + end + 1..];
    }
    plain.push_str(rest);
    if !open.is_empty() {
        return Some("Bad Request: can't parse entities: can't find end tag");
    }
    let plain = plain
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'");
    (plain.encode_utf16().count() > 4_096).then_some("Bad Request: message is too long")
}
