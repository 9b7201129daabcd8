//! Binance: HMAC-SHA256 in hex, Ed25519 or RSA (PKCS #1 v1.5, SHA-256) in base64, over the parameters
//! (<https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/request-security>).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
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
    /// The older kind of such a key, 2,048 bits or more.
    Rsa(Arc<RsaKeyPair>),
}

/// What a PEM block may hold.
const KINDS: &str = "an Ed25519 or RSA key (2048 bits or more) in PKCS#8, BEGIN PRIVATE KEY";

impl BinanceSigner {
    /// Takes the secret Binance showed once (HMAC), or an Ed25519 or RSA private key in PEM, which tells its kind.
    pub fn new(secret: &Secret) -> Result<Self, KeyError> {
        let text = secret.expose().trim();
        if text.starts_with("-----BEGIN") {
            let key = private_key(text)?;
            let PrivateKeyDer::Pkcs8(pkcs8) = &key else { return Err(KeyError::Kind(KINDS)) };
            if let Ok(pair) = RsaKeyPair::from_pkcs8(pkcs8.secret_pkcs8_der()) {
                rsa(&pair, "fillguard").ok_or(KeyError::Signing)?;
                return Ok(BinanceSigner::Rsa(Arc::new(pair)));
            }
            let pair = ed25519(pkcs8).map_err(|_| KeyError::Kind(KINDS))?;
            return Ok(BinanceSigner::Ed25519(Arc::new(pair)));
        }
        plain(text, "secret key")?;
        Ok(BinanceSigner::Hmac(Arc::new(hmac_sha256(text))))
    }

    /// Says whether both sign alike.
    pub fn same(&self, other: &Self) -> bool {
        // Each kind signs the same text the same way every time.
        let probe = "fillguard";
        self.sign(probe) == other.sign(probe)
    }

    /// Signs a payload: HMAC as hex, the others as base64. Should an RSA key that has signed before refuse to, the empty
    /// text is returned, which the exchange refuses.
    pub fn sign(&self, payload: &str) -> String {
        match self {
            BinanceSigner::Hmac(key) => hex(hmac::sign(key, payload.as_bytes()).as_ref()),
            BinanceSigner::Ed25519(key) => STANDARD.encode(key.sign(payload.as_bytes())),
            BinanceSigner::Rsa(key) => rsa(key, payload).unwrap_or_default(),
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
            BinanceSigner::Rsa(_) => "Rsa(<redacted>)",
        })
    }
}

fn rsa(key: &RsaKeyPair, payload: &str) -> Option<String> {
    let mut signature = vec![0; key.public_key().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), payload.as_bytes(), &mut signature).ok()?;
    Some(STANDARD.encode(signature))
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

    /// Runs openssl; nothing where there is none.
    fn openssl(arguments: &[&str], dir: &std::path::Path) -> Option<Vec<u8>> {
        let output = std::process::Command::new("openssl").args(arguments).current_dir(dir).output().ok()?;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Some(output.stdout)
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test says why it skips")]
    fn an_rsa_key_is_told_by_its_pem_and_signs_as_openssl_does() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path();
        let make = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "key.pem"];
        if openssl(&make, dir).is_none() {
            eprintln!("skipped: there is no openssl");
            return;
        }
        let pem = std::fs::read_to_string(dir.join("key.pem")).unwrap();
        let signer = BinanceSigner::new(&Secret::new(pem.clone())).unwrap();
        assert!(matches!(signer, BinanceSigner::Rsa(_)) && signer.same(&signer.clone()));
        assert_eq!(format!("{signer:?}"), "Rsa(<redacted>)");
        for payload in ["symbol=APCBTC&timestamp=1700000000000", "apiKey=k&recvWindow=5000&timestamp=1700000000000"] {
            std::fs::write(dir.join("payload"), payload).unwrap();
            let theirs = openssl(&["dgst", "-sha256", "-sign", "key.pem", "payload"], dir).unwrap();
            assert_eq!(signer.sign(payload), STANDARD.encode(theirs), "PKCS #1 v1.5 has one signature for a text");
        }
        let query = signer.sign_rest(&[("timestamp", "1700000000000")]);
        let signature = query.strip_prefix("timestamp=1700000000000&signature=").unwrap();
        assert!(signature.len() > 340 && !signature.contains(['+', '/', '=']), "{signature}");
        let other = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], dir).unwrap();
        let other = BinanceSigner::new(&Secret::new(String::from_utf8(other).unwrap())).unwrap();
        assert!(!signer.same(&other));
        for wrong in [
            vec!["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            vec!["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
            vec!["rsa", "-in", "key.pem", "-traditional"],
        ] {
            let pem = String::from_utf8(openssl(&wrong, dir).unwrap()).unwrap();
            let refused = BinanceSigner::new(&Secret::new(pem)).unwrap_err();
            assert_eq!(refused, KeyError::Kind(KINDS), "{wrong:?}");
        }
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
