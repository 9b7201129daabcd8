//! KuCoin: HMAC-SHA256 in base64 over time, method, path and body; the passphrase is signed too from key version 2 on
//! (<https://www.kucoin.com/docs-new/authentication>).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{KeyError, hmac_sha256, plain};
use crate::domain::Fingerprint;
use crate::secret::Secret;

/// Signs KuCoin requests.
#[derive(Clone)]
pub struct KucoinSigner {
    key: String,
    secret: Arc<hmac::Key>,
    passphrase: Secret,
    version: u8,
}

impl KucoinSigner {
    /// Takes the key's id, its secret, the passphrase chosen when it was made, and its version (1 to 3; 2 and 3
    /// are signed alike, version 1 sends the passphrase as it is).
    pub fn new(key: &str, secret: &Secret, passphrase: &Secret, version: u8) -> Result<Self, KeyError> {
        let (key, text, phrase) = (key.trim(), secret.expose().trim(), passphrase.expose());
        plain(key, "key id")?;
        plain(text, "secret")?;
        if phrase.is_empty() {
            return Err(KeyError::Empty("passphrase"));
        }
        if !(1..=3).contains(&version) {
            return Err(KeyError::Version);
        }
        let secret = Arc::new(hmac_sha256(text));
        let passphrase = match version {
            1 => Secret::new(phrase.to_owned()),
            _ => Secret::new(base64_hmac(&secret, phrase)),
        };
        Ok(KucoinSigner { key: key.to_owned(), secret, passphrase, version })
    }

    /// Says whether both are the same key.
    pub fn same(&self, other: &Self) -> bool {
        let probe = |signer: &Self| base64_hmac(&signer.secret, "fillguard");
        let told = |signer: &Self| (signer.key.clone(), signer.passphrase.clone(), signer.version);
        told(self) == told(other) && probe(self) == probe(other)
    }

    /// Returns the key's id.
    pub(crate) fn id(&self) -> &str {
        &self.key
    }

    /// Returns what the key is known by in recordings.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.key)
    }

    /// Returns the headers of a call at `millis`; `path` is with its query, as sent, `body` empty for GET and DELETE.
    pub fn headers(&self, millis: i64, method: &str, path: &str, body: &str) -> Vec<(&'static str, String)> {
        vec![
            ("KC-API-KEY", self.key.clone()),
            ("KC-API-SIGN", base64_hmac(&self.secret, &format!("{millis}{method}{path}{body}"))),
            ("KC-API-TIMESTAMP", millis.to_string()),
            ("KC-API-PASSPHRASE", self.passphrase.expose().to_owned()),
            ("KC-API-KEY-VERSION", self.version.to_string()),
        ]
    }

    /// Returns the frame that signs in to the unified account's feed at `millis`; `id` is a plain number.
    pub fn auth_frame(&self, millis: i64, id: u64) -> String {
        let sign = base64_hmac(&self.secret, &format!("{millis}POST/api/websocket/users/verify"));
        serde_json::json!({
            "id": id.to_string(), "op": "auth", "kc-api-key": self.key, "kc-api-sign": sign,
            "kc-api-timestamp": millis.to_string(), "kc-api-passphrase": self.passphrase.expose(),
        })
        .to_string()
    }
}

fn base64_hmac(key: &hmac::Key, text: &str) -> String {
    STANDARD.encode(hmac::sign(key, text.as_bytes()))
}

impl fmt::Debug for KucoinSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KucoinSigner(version {}, <redacted>)", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(version: u8) -> KucoinSigner {
        let (secret, phrase) = (Secret::new("not-a-real-secret".into()), Secret::new("open sesame".into()));
        KucoinSigner::new("key-1", &secret, &phrase, version).unwrap()
    }

    fn header<'a>(headers: &'a [(&'static str, String)], name: &str) -> &'a str {
        headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()).unwrap()
    }

    #[test]
    fn the_query_is_signed_as_sent_and_the_passphrase_from_version_2_on() {
        let headers = signer(3).headers(1_700_000_000_000, "GET", "/api/v1/hf/fills?symbol=APC-BTC&limit=100", "");
        assert_eq!(header(&headers, "KC-API-SIGN"), "nal8PYVS1jWAS/yRGHY80/I3+D5oFY9JEwnQEuHmmZo=");
        assert_eq!(header(&headers, "KC-API-PASSPHRASE"), "wJP377rPbKYcAXsWQ03HxTEvQrvd+olIafBK0b5Vc5A=");
        assert_eq!(header(&headers, "KC-API-KEY-VERSION"), "3");
        assert_eq!(header(&signer(1).headers(1, "GET", "/", ""), "KC-API-PASSPHRASE"), "open sesame");
    }

    #[test]
    fn what_is_missing_is_named() {
        let text = |text: &str| Secret::new(text.into());
        let refusal = |key: &str, secret: &str, phrase: &str, version| {
            KucoinSigner::new(key, &text(secret), &text(phrase), version).unwrap_err()
        };
        assert_eq!(refusal("", "s", "p", 2), KeyError::Empty("key id"));
        assert_eq!(refusal("k", "s s", "p", 2), KeyError::Characters("secret"));
        assert_eq!(refusal("k", "s", "", 2), KeyError::Empty("passphrase"));
        assert_eq!(refusal("k", "s", "p", 4), KeyError::Version);
        assert!(!format!("{:?}", signer(2)).contains("sesame"));
    }
}
