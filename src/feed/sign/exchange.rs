//! Coinbase Exchange: HMAC-SHA256 in base64, with the secret decoded from base64 first.
//!
//! <https://docs.cdp.coinbase.com/exchange/rest-api/authentication>, and for the feed
//! <https://docs.cdp.coinbase.com/exchange/websocket-feed/authentication>.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{KeyError, plain};
use crate::secret::Secret;

/// Signs in at Coinbase Exchange.
#[derive(Clone)]
pub struct ExchangeSigner {
    key: String,
    passphrase: Secret,
    hmac: Arc<hmac::Key>,
}

impl ExchangeSigner {
    /// Takes a key's id, its secret (base64, as Coinbase shows it) and the passphrase chosen with it.
    pub fn new(key: &str, secret: &Secret, passphrase: &Secret) -> Result<Self, KeyError> {
        let (key, secret, passphrase) = (key.trim(), secret.expose().trim(), passphrase.expose().trim());
        for (text, what) in [(key, "key id"), (secret, "secret"), (passphrase, "passphrase")] {
            plain(text, what)?;
        }
        let bytes = Zeroizing::new(STANDARD.decode(secret).map_err(|_| KeyError::Base64)?);
        let hmac = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        Ok(ExchangeSigner { key: key.to_owned(), passphrase: Secret::new(passphrase.to_owned()), hmac })
    }

    /// Says whether both are the same key.
    pub fn same(&self, other: &Self) -> bool {
        let told = |signer: &Self| (signer.key.clone(), signer.passphrase.clone(), signer.signed(0, "GET", "/"));
        told(self) == told(other)
    }

    /// Returns the key's id.
    pub(crate) fn id(&self) -> &str {
        &self.key
    }

    /// Returns the headers of a call without a body; `path` is path and query as sent, `millis` the time by the
    /// exchange's clock, which refuses one that is 30 s off.
    pub fn headers(&self, millis: i64, method: &str, path: &str) -> Vec<(&'static str, String)> {
        let (time, signature) = self.signed(millis, method, path);
        vec![
            ("CB-ACCESS-KEY", self.key.clone()),
            ("CB-ACCESS-SIGN", signature),
            ("CB-ACCESS-TIMESTAMP", time),
            ("CB-ACCESS-PASSPHRASE", self.passphrase.expose().to_owned()),
        ]
    }

    /// Returns the message that subscribes `channels`.
    pub fn subscription(&self, millis: i64, channels: &Value) -> String {
        let (time, signature) = self.signed(millis, "GET", "/users/self/verify");
        let request = json!({
            "type": "subscribe", "channels": channels, "signature": signature, "key": self.key,
            "passphrase": self.passphrase.expose(), "timestamp": time,
        });
        request.to_string()
    }

    fn signed(&self, millis: i64, method: &str, path: &str) -> (String, String) {
        let time = millis.div_euclid(1_000).to_string();
        let tag = hmac::sign(&self.hmac, format!("{time}{method}{path}").as_bytes());
        (time, STANDARD.encode(tag.as_ref()))
    }
}

impl fmt::Debug for ExchangeSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExchangeSigner(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(secret: &str) -> Result<ExchangeSigner, KeyError> {
        let text = |text: &str| Secret::new(text.to_owned());
        ExchangeSigner::new("k", &text(secret), &text("p"))
    }

    #[test]
    fn a_secret_is_decoded_before_it_signs() {
        // 32 times the byte 7; the tags were made with openssl.
        let signer = signer(&STANDARD.encode([7; 32])).unwrap();
        let headers = signer.headers(1_700_000_000_999, "GET", "/fills?product_id=ABC-USD&limit=100");
        assert_eq!(headers[1].1, "rRv++EhwFv7eriZwdrqXSaavbA/akOxMThfUULE/Q3Y=");
        assert_eq!((headers[0].1.as_str(), headers[2].1.as_str(), headers[3].1.as_str()), ("k", "1700000000", "p"));
        let asked: Value = serde_json::from_str(&signer.subscription(1_700_000_000_000, &json!(["user"]))).unwrap();
        assert_eq!(asked["signature"], "HyYPf3uENRS3s6nfLN/y6QJcgqJgp753TUqG5PHlb4I=");
        assert_eq!((&asked["timestamp"], &asked["passphrase"]), (&json!("1700000000"), &json!("p")));
        assert_eq!(format!("{signer:?}"), "ExchangeSigner(<redacted>)");
    }

    #[test]
    fn signatures_equal_those_of_other_clients() {
        use crate::feed::sign::vectors::{exchange, text};
        let Some(file) = exchange() else { return };
        let signer = signer(text(&file, "secret_base64")).unwrap();
        let path = text(&file, "prehash").trim_start_matches("1700000000GET");
        for (name, value) in signer.headers(1_700_000_000_000, "GET", path) {
            assert_eq!(value, text(&file["ccxt_headers"], name), "{name}");
        }
        let asked: Value = serde_json::from_str(&signer.subscription(1_700_000_000_000, &json!([]))).unwrap();
        assert_eq!(asked["signature"], text(&file, "ws_signature"));
    }

    #[test]
    fn a_damaged_key_is_refused_in_words() {
        assert_eq!(signer("not-base64!").unwrap_err(), KeyError::Base64);
        assert_eq!(signer("").unwrap_err(), KeyError::Empty("secret"));
    }
}
