//! What all links share: the hosts, their limits and clocks, and one TLS configuration.

use std::sync::Arc;
use std::time::Duration;

use super::binance::Pairs;
use super::error::Error;
use super::limiter::Limiter;
use super::rest::Rest;
use super::seed::{Seeded, Unknown};
use super::settings::Settings;
use super::socket::Patience;

use crate::runtime::tls;

/// The exchanges as they are reached.
pub(crate) struct Venues {
    pub(crate) settings: Settings,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    /// Pays in Binance's request weight: 6,000 a minute, of which a fifth is left to the user's own programs.
    pub(crate) binance: Arc<Rest>,
    /// Pays in the request weight of Binance's futures: 2,400 a minute on a host of its own.
    pub(crate) binance_futures: Arc<Rest>,
    pub(crate) kucoin: Arc<Rest>,
    pub(crate) coinbase: Arc<Rest>,
    pub(crate) coinbase_exchange: Arc<Rest>,
    pub(crate) binance_connects: Limiter,
    pub(crate) binance_futures_connects: Limiter,
    pub(crate) kucoin_connects: Limiter,
    pub(crate) coinbase_connects: Limiter,
    /// For what no exchange counts.
    pub(crate) unlimited: Limiter,
    /// Binance's list of pairs.
    pub(crate) pairs: Pairs,
    /// The pairs whose memory was seeded.
    pub(crate) seeded: Seeded,
    /// The pairs that were refused.
    pub(crate) unknown: Unknown,
}

impl Venues {
    /// Builds the clients. Fails for certificates that cannot be read and for an account with another exchange's key.
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let tls = tls::client_config(settings.extra_ca.as_deref())
            .map_err(|error| Error::Connect(compact_str::format_compact!("{error}")))?;
        let secs = Duration::from_secs;
        let secs = |count| secs(count) / settings.hurry.max(1);
        let wait = settings.timing.backoff.min;
        let rest = |base: &str, limiter| Rest::new(base, &tls, settings.timing.connect, wait, limiter).map(Arc::new);
        Ok(Venues {
            // What a bucket holds is spent on top of what flows in: together they stay below the exchange's limit.
            binance: rest(&settings.binance.rest, Limiter::new(3_800, secs(60), 1_000))?,
            binance_futures: rest(&settings.binance.futures_rest, Limiter::new(1_520, secs(60), 400))?,
            // Each account has 4,000 in 30 s of its own; the public pool of 2,000 is the address's.
            kucoin: rest(&settings.kucoin.rest, Limiter::new(1_600, secs(30), 400))?,
            coinbase: rest(&settings.coinbase.rest, Limiter::new(6, secs(1), 4))?,
            // 15 a second for each profile, of which a half is left to the user's own programs.
            coinbase_exchange: rest(&settings.coinbase.exchange_rest, Limiter::new(6, secs(1), 4))?,
            binance_connects: Limiter::new(240, secs(300), 40),
            binance_futures_connects: Limiter::new(240, secs(300), 40),
            kucoin_connects: Limiter::new(22, secs(60), 8),
            coinbase_connects: Limiter::new(4, secs(1), 4),
            unlimited: Limiter::new(1_000_000, secs(1), 1_000_000),
            pairs: Pairs::default(),
            seeded: Seeded::default(),
            unknown: Unknown::default(),
            tls,
            settings,
        })
    }

    /// Returns how long a connection may be quiet.
    pub(crate) fn patience(&self) -> Patience {
        Patience::from(self.settings.timing)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Instant;

    use super::*;
    use crate::runtime::clock;

    /// Spends as fast as it is let, for ten times `per`; returns the most that was spent within `per`, and in all.
    async fn most_within(limiter: &Limiter, cost: u32, per: Duration) -> (u32, u32) {
        let (begun, mut spent): (Instant, VecDeque<Instant>) = (clock::steady(), VecDeque::new());
        let (mut most, mut all) = (0, 0);
        while clock::steady() - begun < per * 10 {
            limiter.ready(cost).await;
            spent.push_back(clock::steady());
            while spent.front().is_some_and(|at| clock::steady() - *at >= per) {
                spent.pop_front();
            }
            most = most.max(u32::try_from(spent.len()).unwrap() * cost);
            all += cost;
        }
        (most, all)
    }

    #[tokio::test(start_paused = true)]
    async fn no_exchange_is_asked_more_than_it_allows_however_many_ask() {
        let venues = Venues::new(Settings::default()).unwrap();
        let secs = Duration::from_secs;
        let budgets = [
            ("Binance's weight, a fifth left to others", venues.binance.limiter(), 20, secs(60), 4_800),
            ("Binance's futures' weight, a fifth left to others", venues.binance_futures.limiter(), 5, secs(60), 1_920),
            ("Binance's futures' connects", &venues.binance_futures_connects, 1, secs(300), 300),
            ("Binance's connects", &venues.binance_connects, 1, secs(300), 300),
            ("KuCoin's public pool", venues.kucoin.limiter(), 10, secs(30), 2_000),
            ("KuCoin's connects", &venues.kucoin_connects, 1, secs(60), 30),
            ("Coinbase's calls", venues.coinbase.limiter(), 1, secs(1), 10),
            ("Coinbase's connects", &venues.coinbase_connects, 1, secs(1), 8),
        ];
        for (what, limiter, cost, per, allowed) in budgets {
            let (most, all) = most_within(limiter, cost, per).await;
            assert!(most <= allowed, "{what}: {most} of {allowed}");
            assert!(all >= allowed * 10 / 3, "{what} is not used: {all} in ten times {per:?}");
        }
    }
}
