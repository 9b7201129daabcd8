//! Who signed a Coinbase Exchange request: HMAC-SHA256 in base64 with the decoded secret; a passphrase beside it.

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine};

use super::wire::Fault;
use crate::domain::Timestamp;
use crate::simulate::keys::Key;
use crate::simulate::world::{Account, World};

/// How far a request's time may be from the server's, in seconds.
const DRIFT: f64 = 30.0;

/// The four things a signed request shows.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The key.
    pub key: &'a str,
    /// The signature, base64.
    pub sign: &'a str,
    /// Seconds since 1970.
    pub timestamp: &'a str,
    /// The passphrase, as it is.
    pub passphrase: &'a str,
}

/// Returns who showed a key and signed `said`, which comes after the time: the account's place in the world.
pub fn check(world: &World, shown: &Shown<'_>, said: &str, now: Timestamp) -> Result<usize, Fault> {
    let at = |key: &Key| key.id == shown.key;
    let has = |account: &Account| account.exchange.iter().chain(&account.older).any(at);
    let who = world.accounts.iter().position(has);
    let who = who.ok_or_else(|| Fault::new(401, "Invalid API Key"))?;
    let owner = world.accounts.get(who).filter(|owner| !owner.revoked);
    let key = owner.and_then(|owner| owner.exchange.iter().chain(&owner.older).find(|key| at(key)));
    let key = key.ok_or_else(|| Fault::new(401, "Invalid API Key"))?;
    if key.passphrase.as_ref().is_none_or(|passphrase| passphrase.expose() != shown.passphrase) {
        return Err(Fault::new(401, "Invalid Passphrase"));
    }
    let seconds: f64 = shown.timestamp.parse().map_err(|_| Fault::new(400, "invalid timestamp"))?;
    let drift = (seconds - now.millis() as f64 / 1_000.0).abs();
    if drift.is_nan() || drift > DRIFT {
        return Err(Fault::new(400, "request timestamp expired"));
    }
    match fits(key.secret.expose(), &format!("{}{said}", shown.timestamp), shown.sign) {
        true => Ok(who),
        false => Err(Fault::new(401, "invalid signature")),
    }
}

fn fits(secret: &str, message: &str, sign: &str) -> bool {
    let (Ok(secret), Ok(tag)) = (BASE64_STANDARD.decode(secret), BASE64_STANDARD.decode(sign)) else { return false };
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes(), &tag).is_ok()
}

#[cfg(test)]
mod tests {
    use crate::simulate::spelling::vector;

    #[test]
    fn the_signatures_of_other_clients_fit_their_message_only() {
        let Some(file) = vector("coinbase_exchange.json") else { return };
        let text = |name: &str| file[name].as_str().unwrap();
        assert!(super::fits(text("secret_base64"), text("prehash"), text("cb_access_sign")));
        assert!(super::fits(text("secret_base64"), text("ws_prehash"), text("ws_signature")));
        assert!(!super::fits(text("secret_base64"), text("ws_prehash"), text("cb_access_sign")));
    }
}
