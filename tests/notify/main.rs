//! Couriers, mail servers and the Bot API as they are on bad days, on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it is skipped"
)]

#[path = "../support/bot_api.rs"]
mod bot_api;
#[path = "../support/smtp.rs"]
mod smtp;
#[path = "../support/story.rs"]
mod story;

mod channels;
mod courier;
mod email;
mod telegram;
mod webhook;

use fillguard::domain::Level;
use fillguard::notify::ChannelSettings;
use fillguard::store::Queued;
use story::{at, id, message};

const TOKEN: &str = "123456789:AAF-canary_token_that_nobody_may_see";
const PASSWORD: &str = "canary-password-that-nobody-may-see";
const TOLD: (u16, &str) = (200, r#"{"ok":true,"result":{"message_id":77}}"#);

fn channel(name: &str) -> ChannelSettings {
    ChannelSettings { name: name.to_owned(), phrase: "blue elephant".to_owned(), ..ChannelSettings::default() }
}

fn queued(level: Level, headline: &str) -> Queued {
    Queued {
        id: 7,
        channel: "test".to_owned(),
        incident: id(1),
        message: message(&id(1), level, headline),
        at: at(5),
        first_at: at(1),
        merged: 0,
        attempts: 0,
        uncertain: false,
        waited: fillguard::domain::Span::ZERO,
        previous: None,
        cause: fillguard::store::Cause::News,
        reached: Vec::new(),
    }
}
