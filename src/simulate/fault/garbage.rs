//! Garbage as it comes from a broken gateway: nothing of it says anything true, and nothing of it is well said.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::domain::Venue;
use crate::simulate::dice::Dice;

/// More than any client takes of a feed whose messages have 2 KiB.
const HUGE: usize = 3 * 1_024 * 1_024;

/// Makes a piece of garbage in the likeness of `good`.
pub(super) fn of(good: &Value, venue: Venue, dice: &mut Dice) -> Message {
    match dice.below(16) {
        0..=3 => {
            let bytes: Vec<u8> = (0..1 + dice.below(200)).map(|_| (dice.bits() & 0xff) as u8).collect();
            Message::binary(bytes)
        }
        4..=7 => {
            let text = good.to_string();
            let mut end = dice.below(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            Message::text(text.get(..end).unwrap_or_default().to_owned())
        }
        8..=10 => Message::text(twisted(good, dice).to_string()),
        11..=14 => Message::text(unknown(venue, dice).to_string()),
        // Rarer: it costs the connection.
        _ => Message::text("x".repeat(HUGE)),
    }
}

/// Returns the message with every value of another type: numbers and texts become lists, lists and objects stay.
fn twisted(good: &Value, dice: &mut Dice) -> Value {
    match good {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), twisted(value, dice))).collect(),
        Value::Array(items) => items.iter().map(|item| twisted(item, dice)).collect(),
        Value::String(_) => json!([dice.below(9)]),
        Value::Number(_) => json!({"x": dice.word(3)}),
        Value::Bool(_) | Value::Null => json!("no"),
    }
}

/// Returns an event of a kind nobody documented.
fn unknown(venue: Venue, dice: &mut Dice) -> Value {
    let word = dice.word(8);
    match venue {
        Venue::Binance => json!({"e": word, "event": {"e": word, "E": 1}}),
        Venue::Kucoin => {
            json!({"type": "message", "topic": format!("/spotMarket/{word}"), "subject": word, "T": word, "d": {}, "data": {}})
        }
        Venue::Coinbase => {
            json!({"type": word, "channel": word, "client_id": "", "timestamp": "soon", "events": [{"type": word}]})
        }
    }
}
