//! Request signing: keys that sign instead of handing out their bytes.

mod binance;
mod coinbase;
mod exchange;
mod kucoin;
#[cfg(test)]
mod vectors;

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

pub use binance::BinanceSigner;
pub use coinbase::CoinbaseSigner;
pub use exchange::ExchangeSigner;
pub use kucoin::KucoinSigner;

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is nothing.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// There are characters that no exchange puts into it.
    #[error("the {0} holds blanks, line breaks or other characters that do not belong; copy it again")]
    Characters(&'static str),
    /// A PEM block is damaged.
    #[error("the private key is not a readable PEM block; copy it again with its BEGIN and END lines")]
    Pem,
    /// A PEM block holds another kind of key.
    #[error("the private key is of the wrong kind: {0} is expected")]
    Kind(&'static str),
    /// Neither PEM nor base64.
    #[error("the private key is neither a PEM block nor the base64 text of 32 or 64 bytes")]
    Form,
    /// Coinbase Exchange's secret is base64.
    #[error("the secret is not base64 text; copy it again as Coinbase Exchange shows it")]
    Base64,
    /// KuCoin key versions are 1, 2 and 3.
    #[error("the key version must be 1, 2 or 3; KuCoin's API page shows it")]
    Version,
    /// The operating system gave no randomness, or the library refused to sign.
    #[error("signing failed; the private key may be damaged")]
    Signing,
}

/// Checks a text that travels in headers and URLs: printable ASCII without blanks.
pub(super) fn plain(text: &str, what: &'static str) -> Result<(), KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty(what));
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(()) } else { Err(KeyError::Characters(what)) }
}

/// Reads a PEM private key; line breaks may be written as `\n`, as JSON key files have them.
fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, KeyError> {
    let pem = Zeroizing::new(pem.replace("\\n", "\n"));
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::Pem)
}

/// Reads an Ed25519 key from PKCS#8.
fn ed25519(pkcs8: &PrivatePkcs8KeyDer<'_>) -> Result<Ed25519KeyPair, KeyError> {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.secret_pkcs8_der())
        .map_err(|_| KeyError::Kind("an Ed25519 key in PKCS#8"))
}

fn hmac_sha256(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Percent-encodes what is not unreserved (RFC 3986), as the exchanges' own signers do before signing.
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
