//! The little that must be read of a message; the codec reads the rest.

use std::borrow::Cow;

use serde::Deserialize;

use crate::codec::wire::Amount;
use crate::feed::error::{Error, Refusal};

/// `{"type":"done","product_id":"ABC-USD","order_id":"4a5b","reason":"filled","remaining_size":"0"}` and its siblings.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Head<'a> {
    #[serde(rename = "type", default, borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) product_id: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) order_id: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) maker_order_id: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) taker_order_id: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) reason: Cow<'a, str>,
    #[serde(default, borrow)]
    message: Cow<'a, str>,
    pub(super) size: Option<Amount>,
    pub(super) new_size: Option<Amount>,
    pub(super) remaining_size: Option<Amount>,
    pub(super) taker_fee_rate: Option<Amount>,
    pub(super) maker_fee_rate: Option<Amount>,
    #[serde(default)]
    channels: Vec<Channel>,
}

#[derive(Debug, Default, Deserialize)]
struct Channel {
    #[serde(default)]
    name: String,
}

impl Head<'_> {
    /// Returns what an error message means: `{"type":"error","message":"Authentication Failed","reason":"..."}`.
    pub(super) fn refused(&self) -> Option<Error> {
        if self.kind != "error" {
            return None;
        }
        let about_key = ["auth", "signature", "api key", "passphrase", "timestamp"].iter().any(|word| {
            self.message.to_ascii_lowercase().contains(word) || self.reason.to_ascii_lowercase().contains(word)
        });
        let words = format!("{} {}", self.message, self.reason);
        let mut refusal = Refusal::coinbase_exchange(if about_key { 401 } else { 400 }, &words);
        // The socket gives words where REST gives a status.
        refusal.code = if about_key { "authentication failure" } else { "error" }.into();
        Some(Error::Refused(refusal))
    }

    /// Returns whether it confirms a subscription of the `user` channel.
    pub(super) fn confirms(&self) -> bool {
        self.kind == "subscriptions" && self.channels.iter().any(|channel| channel.name == "user")
    }
}
