//! Coinbase: a JWT of two minutes, signed ES256 or EdDSA, anew for every call and every subscription
//! (<https://docs.cdp.coinbase.com/get-started/authentication/jwt-authentication>).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::PrivateKeyDer;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{KeyError, ed25519, hex, plain, private_key};
use crate::domain::{Fingerprint, Timestamp};
use crate::secret::Secret;

/// Seconds a token is valid.
const LIFE: i64 = 120;

/// Signs in at Coinbase.
#[derive(Clone)]
pub struct CoinbaseSigner {
    name: String,
    key: Key,
}

#[derive(Clone)]
enum Key {
    Es256(Arc<EcdsaKeyPair>),
    EdDsa(Arc<Ed25519KeyPair>),
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    nonce: &'a str,
    typ: &'static str,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iss: &'static str,
    nbf: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
}

impl CoinbaseSigner {
    /// Takes the key's name (`organizations/../apiKeys/..` or a UUID) and its private key: EC P-256 in SEC1 or PKCS#8
    /// PEM, Ed25519 in PKCS#8 PEM, or the base64 text of an Ed25519 seed (32 bytes) or pair (64 bytes).
    pub fn new(name: &str, secret: &Secret) -> Result<Self, KeyError> {
        let (name, text) = (name.trim(), secret.expose().trim());
        plain(name, "key name")?;
        if text.is_empty() {
            return Err(KeyError::Empty("private key"));
        }
        let key = if text.starts_with("-----BEGIN") { Key::from_pem(text)? } else { Key::from_base64(text)? };
        Ok(CoinbaseSigner { name: name.to_owned(), key })
    }

    /// Says whether both are the same key.
    pub fn same(&self, other: &Self) -> bool {
        self.name == other.name && self.key.public() == other.key.public()
    }

    /// Returns the key's name.
    pub(crate) fn id(&self) -> &str {
        &self.name
    }

    /// Returns what the key is known by in recordings.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.name)
    }

    /// Returns a token valid for two minutes from `at`; `uri` is method, host and path of a REST call without its
    /// query, and absent for a subscription.
    pub fn token(&self, at: Timestamp, uri: Option<&str>) -> Result<String, KeyError> {
        self.token_with(at, uri, &hex(&rand::random::<[u8; 32]>()))
    }

    fn token_with(&self, at: Timestamp, uri: Option<&str>, nonce: &str) -> Result<String, KeyError> {
        let alg = match &self.key {
            Key::Es256(_) => "ES256",
            Key::EdDsa(_) => "EdDSA",
        };
        let nbf = at.nanos().div_euclid(1_000_000_000);
        let header = Header { alg, kid: &self.name, nonce, typ: "JWT" };
        let claims = Claims { sub: &self.name, iss: "cdp", nbf, exp: nbf + LIFE, uri };
        let text = format!("{}.{}", part(&header)?, part(&claims)?);
        let signature = match &self.key {
            Key::Es256(key) => key.sign(&SystemRandom::new(), text.as_bytes()).map_err(|_| KeyError::Signing)?,
            Key::EdDsa(key) => key.try_sign(text.as_bytes()).map_err(|_| KeyError::Signing)?,
        };
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn part(value: &impl Serialize) -> Result<String, KeyError> {
    serde_json::to_vec(value).map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| KeyError::Signing)
}

impl Key {
    fn public(&self) -> &[u8] {
        match self {
            Key::Es256(pair) => pair.public_key().as_ref(),
            Key::EdDsa(pair) => pair.public_key().as_ref(),
        }
    }

    fn from_pem(pem: &str) -> Result<Self, KeyError> {
        const KIND: KeyError = KeyError::Kind("EC P-256 (ECDSA) or Ed25519");
        let key = private_key(pem)?;
        if let PrivateKeyDer::Pkcs8(pkcs8) = &key
            && let Ok(pair) = ed25519(pkcs8)
        {
            return Ok(Key::EdDsa(Arc::new(pair)));
        }
        EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der())
            .map(|pair| Key::Es256(Arc::new(pair)))
            .map_err(|_| KIND)
    }

    fn from_base64(text: &str) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| KeyError::Form)?);
        let pair = match bytes.len() {
            32 => Ed25519KeyPair::from_seed_unchecked(&bytes),
            // The second half is the public key: checked, so that a damaged copy is found here and not at the exchange.
            64 => Ed25519KeyPair::from_seed_and_public_key(&bytes[..32], &bytes[32..]),
            _ => return Err(KeyError::Form),
        };
        pair.map(|pair| Key::EdDsa(Arc::new(pair))).map_err(|_| KeyError::Form)
    }
}

impl fmt::Debug for CoinbaseSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.key {
            Key::Es256(_) => "CoinbaseSigner(ES256, <redacted>)",
            Key::EdDsa(_) => "CoinbaseSigner(EdDSA, <redacted>)",
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, KeyPair, UnparsedPublicKey};

    use super::*;

    fn pem(label: &str, der: &[u8]) -> Secret {
        // One line of base64 with its line breaks written out, as a JSON key file has them.
        Secret::new(format!("-----BEGIN {label}-----\\n{}\\n-----END {label}-----\\n", STANDARD.encode(der)))
    }

    #[test]
    fn an_ed25519_token_is_the_same_to_the_byte() {
        let seed = Secret::new(STANDARD.encode([7; 32]));
        let signer = CoinbaseSigner::new("key-1", &seed).unwrap();
        let at = Timestamp::from_millis(1_700_000_000_999);
        let expected = concat!(
            "eyJhbGciOiJFZERTQSIsImtpZCI6ImtleS0xIiwibm9uY2UiOiIwMCIsInR5cCI6IkpXVCJ9.",
            "eyJzdWIiOiJrZXktMSIsImlzcyI6ImNkcCIsIm5iZiI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAwMTIwLCJ1cmkiOiJHRVQgbG9jYWxob3N0L3gifQ.",
            "UXfbZ45RbhPgLb4KRXHmJgaiEDqHydIgOp6wbMmR9xdRlixJfwky61jHbrdTno6m0zVxXuH7XSBYM7ibtpeuCg",
        );
        assert_eq!(signer.token_with(at, Some("GET localhost/x"), "00").unwrap(), expected);
        assert_ne!(signer.token(at, None).unwrap(), signer.token(at, None).unwrap(), "the nonce is never used twice");
        assert!(!format!("{signer:?}").contains("Bw"));
    }

    #[test]
    fn an_ec_key_signs_from_sec1_and_from_pkcs8() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let pkcs8 = pair.to_pkcs8v1().unwrap();
        let sec1 = pair.private_key().as_der().unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key());
        for secret in [pem("PRIVATE KEY", pkcs8.as_ref()), pem("EC PRIVATE KEY", sec1.as_ref())] {
            let token = CoinbaseSigner::new("key-1", &secret).unwrap().token(Timestamp::EPOCH, None).unwrap();
            let (text, signature) = token.rsplit_once('.').unwrap();
            public.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        }
    }

    #[test]
    fn tokens_equal_those_of_the_exchanges_own_client() {
        use crate::feed::sign::vectors::{coinbase, text};
        let Some(file) = coinbase() else { return };
        let (name, nonce) = (text(&file, "key_name"), text(&file, "nonce_fixed"));
        let signer = |key| CoinbaseSigner::new(name, &Secret::new(text(&file, key).to_owned())).unwrap();
        let at = Timestamp::from_millis(1_700_000_000_000);
        let eddsa = signer("ed25519_secret_base64_64byte");
        assert_eq!(eddsa.token_with(at, None, nonce).unwrap(), text(&file, "eddsa_ws_jwt"));
        let uri = text(&file["eddsa_rest_decoded"]["claims"], "uri");
        assert_eq!(eddsa.token_with(at, Some(uri), nonce).unwrap(), text(&file, "eddsa_rest_jwt"));
        // ES256 is randomised: all but the signature is the same.
        let uri = text(&file["es256_decoded"]["claims"], "uri");
        let token = signer("es256_private_pem").token_with(at, Some(uri), nonce).unwrap();
        let unsigned = |token: &str| token.rsplit_once('.').unwrap().0.to_owned();
        assert_eq!(unsigned(&token), unsigned(text(&file, "es256_rest_jwt_example")));
    }

    #[test]
    fn a_damaged_key_is_refused_in_words() {
        let refusal = |text: String| CoinbaseSigner::new("key-1", &Secret::new(text)).unwrap_err();
        assert_eq!(refusal(String::new()), KeyError::Empty("private key"));
        assert_eq!(refusal("not base64!".into()), KeyError::Form);
        assert_eq!(refusal(STANDARD.encode([7; 64])), KeyError::Form, "the public half does not fit");
        assert_eq!(refusal("-----BEGIN EC PRIVATE KEY-----".into()), KeyError::Pem);
    }
}
