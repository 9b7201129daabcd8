//! `[feed]`: where the exchanges are and how patient to be.

use std::time::Duration;

use reqwest::Url;

use super::problem::value;
use super::section::{Scope, Section};
use crate::domain::{Symbol, Venue};
use crate::feed::{Binance, Coinbase, Kucoin, Limits, Settings, Timing};
use crate::notify::is_loopback;
use crate::runtime::{backoff, tls};

const MILLI: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Reads everything about the feeds but the accounts.
pub(super) fn feed(root: &mut Section<'_>) -> Settings {
    let mut section = root.section("feed");
    let watch = section.list("watch", pair);
    let extra_ca = section.path_to("extra_ca", None);
    if let Some(path) = extra_ca.as_deref().filter(|_| section.gather.scope != Scope::Middle)
        && let Err(error) = tls::client_config(Some(path))
    {
        section.refuse("extra_ca", error.to_string());
    }
    let timing = timing(&mut section);
    let settings = Settings {
        binance: binance(&mut section),
        kucoin: kucoin(&mut section),
        coinbase: coinbase(&mut section),
        timing,
        limits: limits(&mut section),
        extra_ca,
        accounts: Vec::new(),
        watch,
        market_pairs: section.places("market_pairs", Settings::default().market_pairs, 20_000),
        ..Settings::default()
    };
    section.close();
    settings
}

fn pair(text: &str) -> Result<(Venue, Symbol), String> {
    let found = text.split_once('/').and_then(|(venue, pair)| {
        let pair = pair.contains('-').then(|| Symbol::from_dashed(pair).ok()).flatten();
        Some((venue.parse().ok()?, pair?))
    });
    found.ok_or_else(|| format!("{} is no pair: write exchange/BASE-QUOTE, as in \"binance/APPC-BTC\"", value(text)))
}

fn timing(section: &mut Section<'_>) -> Timing {
    let usual = Timing::default();
    Timing {
        connect: section.time("connect", usual.connect, MILLI..=10 * MINUTE),
        ack: section.time("ack", usual.ack, MILLI..=10 * MINUTE),
        silence: section.time("silence", usual.silence, MILLI..=HOUR),
        pong: section.time("pong", usual.pong, MILLI..=10 * MINUTE),
        heartbeat: section.time("heartbeat", usual.heartbeat, MILLI..=HOUR),
        renew: section.time("renew", usual.renew, MILLI..=DAY),
        debounce: section.time("debounce", usual.debounce, Duration::ZERO..=MINUTE),
        reconcile: section.time("reconcile", usual.reconcile, Duration::ZERO..=DAY),
        key_state: section.time("key_state", usual.key_state, Duration::ZERO..=DAY),
        overlap: section.time("overlap", usual.overlap, Duration::ZERO..=DAY),
        lookback: section.time("lookback", usual.lookback, Duration::ZERO..=90 * DAY),
        keep_alive: section.time("keep_alive", usual.keep_alive, MILLI..=50 * MINUTE),
        spacing: section.time("spacing", usual.spacing, Duration::ZERO..=MINUTE),
        seed: section.time("seed", usual.seed, Duration::ZERO..=30 * DAY),
        backoff: waits(section, "backoff", usual.backoff),
        refused: waits(section, "refused", usual.refused),
    }
}

fn waits(section: &mut Section<'_>, key: &'static str, usual: backoff::Settings) -> backoff::Settings {
    let mut section = section.section(key);
    let waits = backoff::Settings {
        min: section.time("min", usual.min, MILLI..=DAY),
        max: section.time("max", usual.max, MILLI..=DAY),
        healthy: section.time("healthy", usual.healthy, MILLI..=DAY),
    };
    if waits.min > waits.max {
        section.refuse("max", "is shorter than min");
    }
    section.close();
    waits
}

fn limits(section: &mut Section<'_>) -> Limits {
    let mut section = section.section("limits");
    let usual = Limits::default();
    let mut most = |key, usual: u32| section.count(key, u64::from(usual), 1..=1_000_000_000) as u32;
    let limits = Limits {
        binance_weight: most("binance_weight", usual.binance_weight),
        binance_connects: most("binance_connects", usual.binance_connects),
        binance_futures_weight: most("binance_futures_weight", usual.binance_futures_weight),
        binance_futures_connects: most("binance_futures_connects", usual.binance_futures_connects),
        kucoin_weight: most("kucoin_weight", usual.kucoin_weight),
        kucoin_connects: most("kucoin_connects", usual.kucoin_connects),
        coinbase_calls: most("coinbase_calls", usual.coinbase_calls),
        coinbase_exchange_calls: most("coinbase_exchange_calls", usual.coinbase_exchange_calls),
        coinbase_connects: most("coinbase_connects", usual.coinbase_connects),
    };
    section.close();
    limits
}

fn binance(section: &mut Section<'_>) -> Binance {
    let mut section = section.section("binance");
    let usual = Binance::default();
    let settings = Binance {
        rest: section.address("rest", &usual.rest, "https"),
        ws_api: section.address("ws_api", &usual.ws_api, "wss"),
        stream: section.address("stream", &usual.stream, "wss"),
        futures_rest: section.address("futures_rest", &usual.futures_rest, "https"),
        futures_stream: section.address("futures_stream", &usual.futures_stream, "wss"),
        accounts_per_connection: section.places("accounts_per_connection", usual.accounts_per_connection, 1_000),
        pairs_per_connection: section.places("pairs_per_connection", usual.pairs_per_connection, 512),
    };
    section.close();
    settings
}

fn kucoin(section: &mut Section<'_>) -> Kucoin {
    let mut section = section.section("kucoin");
    let usual = Kucoin::default();
    let settings = Kucoin {
        rest: section.address("rest", &usual.rest, "https"),
        uta_push: section.address("uta_push", &usual.uta_push, "wss"),
        futures_rest: section.address("futures_rest", &usual.futures_rest, "https"),
        pairs_per_connection: section.places("pairs_per_connection", usual.pairs_per_connection, 150),
    };
    section.close();
    settings
}

fn coinbase(section: &mut Section<'_>) -> Coinbase {
    let mut section = section.section("coinbase");
    let usual = Coinbase::default();
    let settings = Coinbase {
        rest: section.address("rest", &usual.rest, "https"),
        ws_user: section.address("ws_user", &usual.ws_user, "wss"),
        ws_market: section.address("ws_market", &usual.ws_market, "wss"),
        exchange_rest: section.address("exchange_rest", &usual.exchange_rest, "https"),
        exchange_ws: section.address("exchange_ws", &usual.exchange_ws, "wss"),
        pairs_per_connection: section.places("pairs_per_connection", usual.pairs_per_connection, 1_000),
    };
    section.close();
    settings
}

impl Section<'_> {
    /// Asks for an address of `scheme`; the unprotected form of it is taken for this machine only.
    pub fn address(&mut self, key: &'static str, default: &str, scheme: &str) -> String {
        let given = self.text(key, Some(default)).unwrap_or_default();
        match address(&given, scheme) {
            Ok(address) => address,
            Err(reason) => {
                self.refuse(key, reason);
                default.to_owned()
            }
        }
    }

    fn places(&mut self, key: &'static str, default: usize, most: u64) -> usize {
        usize::try_from(self.count(key, default as u64, 1..=most)).unwrap_or(default)
    }
}

/// Checks an address. It is not shown in a refusal: a name and password may be part of it.
fn address(text: &str, scheme: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| format!("is not an address; it must start with {scheme}://"))?;
    let host = url.host_str().unwrap_or_default();
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("must be an address alone: no name, password, ? or #".to_owned());
    }
    let plain = scheme.strip_suffix('s').unwrap_or(scheme);
    match url.scheme() {
        given if given == scheme && !host.is_empty() => Ok(text.trim_end_matches('/').to_owned()),
        given if given == plain && is_loopback(host) => Ok(text.trim_end_matches('/').to_owned()),
        given if given == plain => Err(format!(
            "{plain}:// is taken for this machine only (127.0.0.1, [::1], localhost), because keys and fills would \
             travel readable; write {scheme}://"
        )),
        _ => Err(format!("must start with {scheme}://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unprotected_addresses_are_for_this_machine_only() {
        for fine in ["ws://127.0.0.1:9001/ws-api/v3", "ws://[::1]:9", "ws://localhost:80", "wss://example.org"] {
            assert!(address(fine, "wss").is_ok(), "{fine}");
        }
        for bad in [
            "ws://example.org",
            "ws://127.0.0.1.example.org",
            "https://example.org",
            "wss://",
            "example.org",
            "wss://name:word@example.org",
            "wss://example.org?key=1",
            "ws://localhost@example.org",
        ] {
            let refusal = address(bad, "wss").unwrap_err();
            assert!(!refusal.contains("example.org") && !refusal.contains("word@"), "{refusal}");
        }
        assert_eq!(address("https://example.org/", "https").unwrap(), "https://example.org");
    }

    #[test]
    fn a_pair_names_its_exchange() {
        assert!(pair("binance/APPC-BTC").is_ok());
        for bad in ["APPC-BTC", "binance/APPCBTC", "kraken/APPC-BTC", "binance/-BTC", ""] {
            assert!(pair(bad).is_err(), "{bad}");
        }
    }
}
