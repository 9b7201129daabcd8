//! Who signed a Binance request: over REST the query and body as sent, over the WebSocket API the sorted parameters.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value};

use super::{Fault, Params};
use crate::domain::{Timestamp, Venue};
use crate::simulate::floor::Floor;
use crate::simulate::keys::{Key, unhex};
use crate::simulate::socket::Asked;
use crate::simulate::world::World;

/// Returns whose signed REST request this is: the account's place in the world.
pub fn rest(floor: &Floor, asked: &Asked, params: &Params, now: Timestamp) -> Result<usize, Fault> {
    let payload = format!("{}{}", unsigned(&asked.query), unsigned(&asked.body));
    check(&floor.world(), asked.header("X-MBX-APIKEY"), params, &payload, now)
}

/// Returns whose key a request names that need not be signed.
pub fn keyed(floor: &Floor, asked: &Asked) -> Result<usize, Fault> {
    known(&floor.world(), asked.header("X-MBX-APIKEY"))
}

/// Returns whose signed WebSocket request this is.
pub fn socket(floor: &Floor, params: &Params, now: Timestamp) -> Result<usize, Fault> {
    let key = params.get("apiKey").ok_or_else(|| Fault::missing("apiKey"))?;
    check(&floor.world(), key, params, &sorted(params), now)
}

/// Renders WebSocket parameters as the text they are signed as.
pub fn rendered(params: &Map<String, Value>) -> Params {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    params.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Refuses a time too far from the server's.
pub fn check_time(params: &Params, now: Timestamp) -> Result<(), Fault> {
    let stamp = params.get("timestamp").filter(|text| !text.is_empty()).ok_or_else(|| Fault::missing("timestamp"))?;
    let stamp: i64 = stamp.parse().map_err(|_| Fault::missing("timestamp"))?;
    let stamp = if stamp >= 100_000_000_000_000 { stamp / 1_000 } else { stamp };
    let window: f64 = match params.get("recvWindow") {
        Some(text) => text.parse().map_err(|_| Fault::missing("recvWindow"))?,
        None => 5_000.0,
    };
    if !(0.0..=60_000.0).contains(&window) {
        return Err(Fault::new(400, -1131, "recvWindow must be less than 60000"));
    }
    let behind = now.millis() - stamp;
    if behind <= -1_000 {
        return Err(Fault::new(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time."));
    }
    if behind as f64 > window {
        return Err(Fault::new(400, -1021, "Timestamp for this request is outside of the recvWindow."));
    }
    Ok(())
}

fn check(world: &World, key: &str, params: &Params, payload: &str, now: Timestamp) -> Result<usize, Fault> {
    let signature =
        params.get("signature").filter(|text| !text.is_empty()).ok_or_else(|| Fault::missing("signature"))?;
    let who = known(world, key)?;
    if let Some(fault) = world.accounts.get(who).and_then(|owner| owner.broken).and_then(Fault::of) {
        return Err(fault);
    }
    check_time(params, now)?;
    match world.key_of(who, key) {
        Some(key) if fits(key, payload, signature) => Ok(who),
        Some(_) | None => Err(Fault::bad_signature()),
    }
}

fn known(world: &World, key: &str) -> Result<usize, Fault> {
    if key.len() != 64 || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Fault::malformed_key());
    }
    let who = world.by_key(Venue::Binance, key).ok_or_else(Fault::bad_key)?;
    match world.accounts.get(who) {
        Some(owner) if !owner.revoked => Ok(who),
        Some(_) | None => Err(Fault::bad_key()),
    }
}

/// HMAC keys sign in hexadecimal of either case, Ed25519 keys in base64.
fn fits(key: &Key, payload: &str, signature: &str) -> bool {
    let raw = if key.is_ed25519() { BASE64_STANDARD.decode(signature).ok() } else { unhex(signature) };
    raw.is_some_and(|raw| key.signed(payload.as_bytes(), &raw))
}

fn unsigned(text: &str) -> String {
    let parts: Vec<&str> = text.split('&').filter(|part| !part.starts_with("signature=")).collect();
    parts.join("&")
}

fn sorted(params: &Params) -> String {
    let parts: Vec<String> =
        params.iter().filter(|(name, _)| *name != "signature").map(|(name, value)| format!("{name}={value}")).collect();
    parts.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::spelling::vector;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn params(timestamp: &str, window: Option<&str>) -> Params {
        let mut params = Params::from([("timestamp".to_owned(), timestamp.to_owned())]);
        if let Some(window) = window {
            params.insert("recvWindow".to_owned(), window.to_owned());
        }
        params
    }

    #[test]
    fn the_exchange_s_own_worked_signatures_are_accepted() {
        let Some(file) = vector("binance_docs.json") else { return };
        let key = Key::of_vector("k", file["secretKey"].as_str().unwrap(), None);
        for vector in file["vectors"].as_array().unwrap() {
            let (payload, signature) = (vector["payload"].as_str().unwrap(), vector["signature_hex"].as_str().unwrap());
            assert!(fits(&key, payload, signature), "{}", vector["name"]);
            assert!(fits(&key, payload, &signature.to_uppercase()), "{}", vector["name"]);
            assert!(!fits(&key, &format!("{payload}0"), signature), "{}", vector["name"]);
        }
        let Some(file) = vector("binance_sdk.json") else { return };
        let key = Key::of_vector("k", file["secretKey"].as_str().unwrap(), None);
        for row in file["rest"].as_array().unwrap() {
            let query = format!("{}&signature=x", row["signed_payload"].as_str().unwrap());
            assert!(fits(&key, &unsigned(&query), row["signature_hex"].as_str().unwrap()), "{row}");
        }
    }

    #[test]
    fn an_ed25519_signature_is_accepted_over_sorted_parameters() {
        let Some(file) = vector("binance_ed25519.json") else { return };
        let public = BASE64_STANDARD.decode(file["public_pem"].as_str().unwrap().lines().nth(1).unwrap()).unwrap();
        let key = Key::of_public("k", &public[12..]);
        let signed = file["ccxt_sign_params"].as_object().unwrap();
        let rendered = rendered(signed);
        assert!(fits(&key, &sorted(&rendered), signed["signature"].as_str().unwrap()));
        assert!(!fits(&key, "apiKey=other", signed["signature"].as_str().unwrap()));
    }

    #[test]
    fn a_time_is_accepted_from_the_window_behind_to_a_second_ahead() {
        for (stamp, window, fine) in [
            ("1700000000000", None, true),
            ("1699999995000", None, true),
            ("1699999994999", None, false),
            ("1699999994999", Some("6000.5"), true),
            ("1700000000999", None, true),
            ("1700000001000", None, false),
            ("1700000000000000", None, true),
            ("soon", None, false),
            ("1700000000000", Some("60001"), false),
        ] {
            assert_eq!(check_time(&params(stamp, window), NOW).is_ok(), fine, "{stamp} {window:?}");
        }
    }
}
