//! How each exchange spells ids, sides and times.

use crate::domain::{Side, Timestamp, Venue};

/// Returns an order's number as the venue spells it.
pub fn order_id(venue: Venue, id: u64, created: Timestamp) -> String {
    match venue {
        Venue::Binance => id.to_string(),
        Venue::Kucoin => format!("{:08x}{id:016x}", created.millis().div_euclid(1_000).rem_euclid(1 << 32)),
        Venue::Coinbase => uuid_of(1, id),
    }
}

/// Reads an order's number back from the venue's spelling.
pub fn read_order_id(venue: Venue, text: &str) -> Option<u64> {
    match venue {
        Venue::Binance => text.parse().ok(),
        Venue::Kucoin => u64::from_str_radix(text.get(8..24)?, 16).ok(),
        Venue::Coinbase => u64::from_str_radix(text.rsplit('-').next()?, 16).ok(),
    }
}

/// Returns a trade's number as the venue spells it.
pub fn trade_id(venue: Venue, pair: usize, id: u64) -> String {
    match venue {
        Venue::Binance => id.to_string(),
        Venue::Kucoin => kucoin_trade_id(id).to_string(),
        Venue::Coinbase => uuid_of(2 + u64::try_from(pair).unwrap_or(0), id),
    }
}

/// Returns KuCoin's large trade numbers, beyond what a double can hold exactly.
pub fn kucoin_trade_id(id: u64) -> u64 {
    11_029_373_945_659_393 + id * 2
}

/// Returns a side in capitals.
pub fn capitals(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

/// Returns a side in small letters.
pub fn small(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// Returns RFC 3339 text with microseconds.
pub fn rfc3339(time: Timestamp) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(time.nanos())) {
        Ok(instant) => format!("{instant:.6}"),
        Err(_) => "0001-01-01T00:00:00Z".to_owned(),
    }
}

/// Makes a UUID that looks random and whose last part is `id`.
fn uuid_of(purpose: u64, id: u64) -> String {
    let hash = blake3::hash(format!("{purpose}/{id}").as_bytes()).to_hex();
    let hash = hash.as_str();
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or("0000");
    format!("{}-{}-4{}-a{}-{id:012x}", part(0, 8), part(8, 12), part(12, 15), part(15, 18))
}

/// Reads a file of worked signatures; says so and returns nothing where they are not at hand.
#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a test says why it skips")]
pub fn vector(name: &str) -> Option<serde_json::Value> {
    let shared =
        std::env::var("FILLGUARD_SHARED").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    match std::fs::read_to_string(format!("{shared}/fixtures/vectors/{name}")) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(why) => {
            eprintln!("skipped: {name}: {why}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_is_read_back_from_every_spelling() {
        for venue in Venue::ALL {
            let text = order_id(venue, 6_000_000_123, Timestamp::from_millis(1_700_000_000_000));
            assert_eq!(read_order_id(venue, &text), Some(6_000_000_123), "{text}");
        }
        assert_eq!(read_order_id(Venue::Kucoin, "short"), None);
    }
}
