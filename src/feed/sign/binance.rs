//! Binance: HMAC-SHA256 in hex, or Ed25519 in base64, over the parameters
//! (<https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/request-security>).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;

use super::{KeyError, ed25519, hex, hmac_sha256, percent_encode, plain, private_key};
use crate::secret::Secret;

/// Signs Binance requests.
#[derive(Clone)]
pub enum BinanceSigner {
    /// A key whose secret both sides hold.
    Hmac(Arc<hmac::Key>),
    /// A key whose private half only we hold.
    Ed25519(Arc<Ed25519KeyPair>),
}

impl BinanceSigner {
    /// Takes the secret Binance showed once (HMAC), or an Ed25519 private key in PEM.
    pub fn new(secret: &Secret) -> Result<Self, KeyError> {
        let text = secret.expose().trim();
        if text.starts_with("-----BEGIN") {
            let key = private_key(text)?;
            let PrivateKeyDer::Pkcs8(pkcs8) = &key else { return Err(KeyError::Kind("an Ed25519 key in PKCS#8")) };
            return Ok(BinanceSigner::Ed25519(Arc::new(ed25519(pkcs8)?)));
        }
        plain(text, "secret key")?;
        Ok(BinanceSigner::Hmac(Arc::new(hmac_sha256(text))))
    }

    /// Says whether both sign alike.
    pub fn same(&self, other: &Self) -> bool {
        // Both kinds sign the same text the same way every time.
        let probe = "fillguard";
        self.sign(probe) == other.sign(probe)
    }

    /// Signs a payload: HMAC as hex, Ed25519 as base64.
    pub fn sign(&self, payload: &str) -> String {
        match self {
            BinanceSigner::Hmac(key) => hex(hmac::sign(key, payload.as_bytes()).as_ref()),
            BinanceSigner::Ed25519(key) => STANDARD.encode(key.sign(payload.as_bytes())),
        }
    }

    /// Signs the parameters of a WebSocket API call: sorted by name, raw UTF-8, never percent-encoded.
    pub fn sign_ws(&self, params: &[(&str, &str)]) -> String {
        let mut sorted = params.to_vec();
        sorted.sort_unstable();
        let pairs: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.sign(&pairs.join("&"))
    }

    /// Returns the query of a REST call, signed: in the order given, percent-encoded before signing
    /// (unencoded ones are refused since 2026-01-15), with `signature` last.
    pub fn sign_rest(&self, params: &[(&str, &str)]) -> String {
        let pairs: Vec<String> =
            params.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
        let query = pairs.join("&");
        let signature = self.sign(&query);
        format!("{query}&signature={}", percent_encode(&signature))
    }
}

impl fmt::Debug for BinanceSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BinanceSigner::Hmac(_) => "Hmac(<redacted>)",
            BinanceSigner::Ed25519(_) => "Ed25519(<redacted>)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hmac() -> BinanceSigner {
        BinanceSigner::new(&Secret::new("not-a-real-secret-0123456789".into())).unwrap()
    }

    #[test]
    fn parameters_of_a_websocket_call_are_sorted_before_signing() {
        let given = hmac().sign_ws(&[("timestamp", "1700000000000"), ("apiKey", "k"), ("recvWindow", "5000")]);
        assert_eq!(given, hmac().sign("apiKey=k&recvWindow=5000&timestamp=1700000000000"));
        assert_eq!(given, "354b5fd182fa5a8769d5aaeb0e5a6e531481fc1cef38da47da7cd222b2fff60c");
    }

    #[test]
    fn a_query_is_encoded_first_and_signed_after() {
        let query = hmac().sign_rest(&[("email", "a+b@test.example"), ("timestamp", "1700000000000")]);
        assert_eq!(
            query,
            "email=a%2Bb%40test.example&timestamp=1700000000000&signature=ad9faa3f00a66beffc656bfd5c9a1b37b71175abcb537ee1f8b0a74d7875b879"
        );
    }

    #[test]
    fn an_ed25519_key_is_told_by_its_pem_and_signs_in_base64() {
        let pkcs8 = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap().to_pkcs8v1().unwrap();
        let body = STANDARD.encode(pkcs8.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        let signer = BinanceSigner::new(&Secret::new(pem)).unwrap();
        assert_eq!(
            signer.sign_ws(&[("timestamp", "1"), ("apiKey", "k")]),
            "PDJ5Soi/MWVQLg5c7116MQl1e0jn5n8q7dvBNU93fAnAsdfy+U/Ov++5uISPgLdpCDhmG/8fdtD2PPpiYIdjAw=="
        );
    }

    #[test]
    fn a_secret_that_cannot_be_one_is_refused_in_words() {
        let refusal = |text: &str| BinanceSigner::new(&Secret::new(text.into())).unwrap_err();
        assert_eq!(refusal("  "), KeyError::Empty("secret key"));
        assert_eq!(refusal("two words"), KeyError::Characters("secret key"));
        assert_eq!(refusal("-----BEGIN PRIVATE KEY-----\nAAAA"), KeyError::Pem);
        assert!(!format!("{:?}", hmac()).contains("not-a-real"));
    }
}
