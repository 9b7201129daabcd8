//! Who signed a Coinbase token: ES256 or EdDSA over header and claims, good for two minutes.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::Value;

use crate::domain::{Timestamp, Venue};
use crate::simulate::broken::How;
use crate::simulate::keys::Key;
use crate::simulate::world::World;

/// How far a token's start may lie ahead of the server's clock, in seconds.
const AHEAD: i64 = 60;
/// How long a token may live, in seconds.
const LIFE: i64 = 120;

/// What a request must be for its token to fit.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// A socket subscription: the token names no request.
    Socket,
    /// A REST request: the token names verb, host and path, without the query.
    Rest {
        /// The verb.
        method: &'a str,
        /// The host the client believes it talks to.
        host: &'a str,
        /// The path.
        path: &'a str,
    },
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// It is nobody's, or Coinbase does not say why.
    Unauthorized,
    /// Its key may not do this.
    Denied,
}

/// Returns whose token this is: the account's place in the world.
pub fn check(world: &World, token: &str, purpose: Purpose<'_>, now: Timestamp) -> Result<usize, No> {
    let who = holder(world, token, purpose, now).ok_or(No::Unauthorized)?;
    let rest = matches!(purpose, Purpose::Rest { .. });
    match world.accounts.get(who).and_then(|owner| owner.broken) {
        None | Some(How::Passphrase | How::Identity | How::Unified) => Ok(who),
        Some(How::Portfolio) if !rest => Ok(who),
        Some(How::Portfolio | How::Right | How::Frozen | How::SubAccount) => Err(No::Denied),
        Some(How::Secret | How::Address | How::Deleted | How::Unknown | How::Form | How::Clock | How::Unsigned) => {
            Err(No::Unauthorized)
        }
    }
}

fn holder(world: &World, token: &str, purpose: Purpose<'_>, now: Timestamp) -> Option<usize> {
    let header = part(token.split('.').next()?)?;
    let id = header.get("kid")?.as_str()?;
    let who = world.by_key(Venue::Coinbase, id)?;
    world.accounts.get(who).filter(|owner| !owner.revoked)?;
    fits(world.key_of(who, id)?, token, purpose, now).then_some(who)
}

fn fits(key: &Key, token: &str, purpose: Purpose<'_>, now: Timestamp) -> bool {
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let signed = format!("{header}.{claims}");
    let (Some(header), Some(claims)) = (part(header), part(claims)) else { return false };
    let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else { return false };
    let algorithm = if key.is_ed25519() { "EdDSA" } else { "ES256" };
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |name: &str| claims.get(name).and_then(Value::as_i64);
    let second = now.millis().div_euclid(1_000);
    let in_time = match (number("nbf").or(number("iat")), number("exp")) {
        (Some(from), Some(until)) => from <= second + AHEAD && second <= until && until - from <= LIFE,
        (None, Some(until)) => second <= until && until <= second + LIFE,
        (_, None) => false,
    };
    text(&header, "alg") == algorithm
        && text(&header, "kid") == key.id
        && text(&claims, "sub") == key.id
        && matches!(text(&claims, "iss").as_str(), "cdp" | "coinbase-cloud")
        && in_time
        && names(&claims, purpose)
        && key.signed(signed.as_bytes(), &signature)
}

fn names(claims: &Value, purpose: Purpose<'_>) -> bool {
    let Purpose::Rest { method, host, path } = purpose else { return true };
    let one = claims.get("uri").and_then(Value::as_str);
    let many = claims.get("uris").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many).any(|uri| {
        let Some((verb, place)) = uri.split_once(' ') else { return false };
        // A client told to speak plain HTTP may name the scheme, which the real exchange never meets.
        let place = place.strip_prefix("http://").or_else(|| place.strip_prefix("https://")).unwrap_or(place);
        verb == method && place.strip_suffix(path).is_some_and(|at| at == host || at == "api.coinbase.com")
    })
}

fn part(text: &str) -> Option<Value> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;
    use crate::simulate::spelling::vector;

    const FILLS: &str = "/api/v3/brokerage/orders/historical/fills";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn public(file: &Value, name: &str, skip: usize) -> Vec<u8> {
        let body: String = file[name].as_str().unwrap().lines().filter(|line| !line.starts_with('-')).collect();
        BASE64_STANDARD.decode(body).unwrap()[skip..].to_vec()
    }

    #[test]
    fn the_tokens_of_the_official_library_are_accepted_for_their_request_and_time_only() {
        let Some(file) = vector("coinbase_jwt.json") else { return };
        let name = file["key_name"].as_str().unwrap();
        let key = Key::of_public(name, &public(&file, "ed25519_public_pem", 12));
        let rest = |host, path| Purpose::Rest { method: "GET", host, path };
        let token = file["eddsa_rest_jwt"].as_str().unwrap();
        assert!(fits(&key, token, rest("api.coinbase.com", FILLS), at(1_700_000_000)));
        assert!(fits(&key, token, rest("127.0.0.1:1", FILLS), at(1_700_000_120)), "the real host is always fine");
        assert!(!fits(&key, token, rest("api.coinbase.com", FILLS), at(1_700_000_121)), "expired");
        assert!(!fits(&key, token, rest("api.coinbase.com", FILLS), at(1_699_999_900)), "not yet");
        assert!(!fits(&key, token, rest("api.coinbase.com", "/api/v3/brokerage/accounts"), at(1_700_000_000)));
        assert!(!fits(&key, &format!("{token}A"), rest("api.coinbase.com", FILLS), at(1_700_000_000)));
        let socket = file["eddsa_ws_jwt"].as_str().unwrap();
        assert!(fits(&key, socket, Purpose::Socket, at(1_700_000_000)));
        assert!(!fits(&key, socket, rest("api.coinbase.com", FILLS), at(1_700_000_000)), "it names no request");

        let key = Key::of_public(name, &public(&file, "es256_public_pem", 26));
        let token = file["es256_rest_jwt_example"].as_str().unwrap();
        assert!(fits(&key, token, rest("api.coinbase.com", "/api/v3/brokerage/key_permissions"), at(1_700_000_000)));
        assert!(!fits(&key, socket, Purpose::Socket, at(1_700_000_000)), "another key's token");
    }
}
