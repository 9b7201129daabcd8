//! Who signed a KuCoin request: HMAC-SHA256 over time, verb, path with query, body; the passphrase signed as well.

use base64::prelude::{BASE64_STANDARD, Engine};

use super::fault::Fault;
use crate::domain::{Timestamp, Venue};
use crate::simulate::keys::{Key, hmac_fits};
use crate::simulate::socket::Asked;
use crate::simulate::world::World;

/// How far a request's time may be from the server's, in milliseconds.
const DRIFT_MS: i64 = 5_000;

/// The four things a signed request shows, and the key version that says how the passphrase is shown.
pub struct Shown<'a> {
    /// The key.
    pub key: &'a str,
    /// The signature, base64.
    pub sign: &'a str,
    /// Milliseconds since 1970.
    pub timestamp: &'a str,
    /// The passphrase: signed from version 2 on.
    pub passphrase: &'a str,
    /// `1`, `2`, `3` or nothing.
    pub version: &'a str,
}

/// Returns whose REST request this is: the account's place in the world.
pub fn rest(world: &World, asked: &Asked, now: Timestamp) -> Result<usize, Fault> {
    let shown = Shown {
        key: asked.header("KC-API-KEY"),
        sign: asked.header("KC-API-SIGN"),
        timestamp: asked.header("KC-API-TIMESTAMP"),
        passphrase: asked.header("KC-API-PASSPHRASE"),
        version: asked.header("KC-API-KEY-VERSION"),
    };
    let query = if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) };
    // Some libraries sign the query as a person reads it, others as it travels; KuCoin takes both.
    let plain = if query.is_empty() { String::new() } else { format!("?{}", spelled_out(&asked.query)) };
    let said = |query: &str| format!("{}{}{query}{}", asked.method, asked.path, asked.body);
    check(world, &shown, &[said(&query), said(&plain)], now)
}

/// Returns who showed a key and signed one of the messages with it.
pub fn check(world: &World, shown: &Shown<'_>, said: &[String], now: Timestamp) -> Result<usize, Fault> {
    if [shown.key, shown.sign, shown.timestamp, shown.passphrase].contains(&"") {
        return Err(Fault::headers());
    }
    let stamp: i64 = shown.timestamp.parse().map_err(|_| Fault::timestamp())?;
    if (now.millis() - stamp).abs() > DRIFT_MS {
        return Err(Fault::timestamp());
    }
    let who = world.by_key(Venue::Kucoin, shown.key).ok_or_else(Fault::key)?;
    let owner = world.accounts.get(who).filter(|owner| !owner.revoked).ok_or_else(Fault::key)?;
    if let Some(fault) = owner.broken.and_then(Fault::of) {
        return Err(fault);
    }
    let key = world.key_of(who, shown.key).ok_or_else(Fault::key)?;
    if !passphrase_fits(key, shown) {
        return Err(Fault::passphrase());
    }
    match said.iter().any(|said| sign_fits(key, shown, said)) {
        true => Ok(who),
        false => Err(Fault::sign()),
    }
}

fn passphrase_fits(key: &Key, shown: &Shown<'_>) -> bool {
    let Some(passphrase) = &key.passphrase else { return false };
    if matches!(shown.version, "" | "1") {
        return passphrase.expose() == shown.passphrase;
    }
    let tag = BASE64_STANDARD.decode(shown.passphrase).unwrap_or_default();
    hmac_fits(key.secret.expose(), passphrase.expose().as_bytes(), &tag)
}

fn sign_fits(key: &Key, shown: &Shown<'_>, said: &str) -> bool {
    let tag = BASE64_STANDARD.decode(shown.sign).unwrap_or_default();
    key.signed(format!("{}{said}", shown.timestamp).as_bytes(), &tag)
}

fn spelled_out(query: &str) -> String {
    let parts: Vec<String> =
        crate::simulate::socket::pairs(query).map(|(name, value)| format!("{name}={value}")).collect();
    parts.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::spelling::vector;

    #[test]
    fn the_signatures_of_the_documentation_and_of_two_libraries_are_accepted() {
        let Some(docs) = vector("kucoin_docs.json") else { return };
        let key = Key::of_vector("k", docs["secret"].as_str().unwrap(), docs["passphrase"].as_str());
        let shown = |timestamp, sign, passphrase, version| Shown { key: "k", sign, timestamp, passphrase, version };
        let text = docs["string_to_sign"].as_str().unwrap();
        let docs_shown = shown(&text[..13], docs["documented_sign"].as_str().unwrap(), "", "2");
        assert!(sign_fits(&key, &docs_shown, &text[13..]));

        let Some(ccxt) = vector("kucoin_ccxt.json") else { return };
        for row in ccxt["requests"].as_array().unwrap() {
            let headers = &row["headers"];
            let text = |name: &str| headers[name].as_str().unwrap();
            let shown = shown(
                text("KC-API-TIMESTAMP"),
                text("KC-API-SIGN"),
                text("KC-API-PASSPHRASE"),
                text("KC-API-KEY-VERSION"),
            );
            assert!(sign_fits(&key, &shown, &row["string_to_sign"].as_str().unwrap()[13..]), "{row}");
            assert!(passphrase_fits(&key, &shown), "{row}");
        }

        let Some(sdk) = vector("kucoin_sdk.json") else { return };
        let headers = &sdk["uta_ws_auth_headers"];
        let text = |name: &str| headers[name].as_str().unwrap();
        let shown =
            shown(text("KC-API-TIMESTAMP"), text("KC-API-SIGN"), text("KC-API-PASSPHRASE"), text("KC-API-KEY-VERSION"));
        assert!(sign_fits(&key, &shown, "POST/api/websocket/users/verify") && passphrase_fits(&key, &shown));
        assert!(!sign_fits(&key, &shown, "POST/api/websocket/users/verifyx"));
    }

    #[test]
    fn an_old_key_shows_its_passphrase_in_clear() {
        let key = Key::of_vector("k", "s", Some("open sesame"));
        let shown = |passphrase, version| Shown { key: "k", sign: "", timestamp: "", passphrase, version };
        assert!(passphrase_fits(&key, &shown("open sesame", "1")));
        assert!(!passphrase_fits(&key, &shown("open sesame", "2")));
    }
}
