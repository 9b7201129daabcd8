//! The exchanges' published signatures, where they are at hand.

use std::path::PathBuf;

use serde_json::Value;

use super::{BinanceSigner, KucoinSigner};
use crate::secret::Secret;

/// Reads a file of vectors, or says that it is skipped.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn vectors(name: &str) -> Option<Value> {
    let shared = std::env::var_os("FILLGUARD_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let path = shared.join("fixtures/vectors").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(error) => {
            eprintln!("skipped: {} cannot be read ({error})", path.display());
            None
        }
    }
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text"))
}

fn secret(value: &Value, key: &str) -> Secret {
    Secret::new(text(value, key).to_owned())
}

#[test]
fn binance_hmac_signatures_equal_the_published_ones() {
    let Some(docs) = vectors("binance_docs.json") else { return };
    let signer = BinanceSigner::new(&secret(&docs, "secretKey")).unwrap();
    for vector in docs["vectors"].as_array().unwrap() {
        assert_eq!(signer.sign(text(vector, "payload")), text(vector, "signature_hex"), "{}", vector["name"]);
        if text(vector, "name").starts_with("ws-api") {
            // The order given does not matter.
            let mut params: Vec<(&str, &str)> =
                text(vector, "payload").split('&').map(|pair| pair.split_once('=').unwrap()).collect();
            params.reverse();
            assert_eq!(signer.sign_ws(&params), text(vector, "signature_hex"), "{}", vector["name"]);
        }
    }
    let Some(sdk) = vectors("binance_sdk.json") else { return };
    let signer = BinanceSigner::new(&secret(&sdk, "secretKey")).unwrap();
    let params = [("symbol", "\u{8fd9}\u{662f}\u{6d4b}\u{8bd5}\u{5e01}456"), ("timestamp", "1700000000000")];
    let signed = signer.sign_rest(&params);
    let known = |vector: &&Value| signed.starts_with(&format!("{}&signature=", text(vector, "signed_payload")));
    let vector = sdk["rest"].as_array().unwrap().iter().find(known).expect("the encoding differs");
    assert!(signed.ends_with(text(vector, "signature_hex")));
}

#[test]
fn binance_ed25519_signatures_equal_the_published_ones() {
    let Some(file) = vectors("binance_ed25519.json") else { return };
    let signer = BinanceSigner::new(&secret(&file, "private_pem")).unwrap();
    assert_eq!(signer.sign(text(&file, "payload")), text(&file, "signature_base64"));
}

#[test]
fn kucoin_headers_equal_those_of_its_clients() {
    let Some(file) = vectors("kucoin_ccxt.json") else { return };
    let key = text(&file, "key");
    let signer = |version| KucoinSigner::new(key, &secret(&file, "secret"), &secret(&file, "passphrase"), version);
    let mut compared = 0;
    for request in file["requests"].as_array().unwrap() {
        let path = text(request, "url").trim_start_matches("https://api.kucoin.com");
        let body = request["body"].as_str().unwrap_or("");
        for (name, value) in signer(2).unwrap().headers(1_700_000_000_000, text(request, "method"), path, body) {
            assert_eq!(text(&request["headers"], name), value, "{path}: {name}");
            compared += 1;
        }
    }
    assert!(compared > 20);
    let Some(sdk) = vectors("kucoin_sdk.json") else { return };
    let frame: Value = serde_json::from_str(&signer(3).unwrap().auth_frame(1_700_000_000_000, 1)).unwrap();
    assert_eq!(frame, sdk["uta_ws_auth_frame"]);
}

/// Coinbase's vectors, for the tests beside its signer: its tokens can be compared only with the nonce given.
pub(super) fn coinbase() -> Option<Value> {
    vectors("coinbase_jwt.json")
}

/// Coinbase Exchange's vectors.
pub(super) fn exchange() -> Option<Value> {
    vectors("coinbase_exchange.json")
}
