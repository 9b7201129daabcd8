//! What all links share: the hosts, their limits and clocks, and one TLS configuration.

use std::sync::Arc;
use std::time::Duration;

use super::binance::Pairs;
use super::error::Error;
use super::key_state::Duties;
use super::kucoin::Contracts;
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
    /// Questions of a master about its sub-accounts: 3,000 of the account's own 180,000 weight a minute each, of which at
    /// most two thirds are spent even if all are one account's.
    pub(crate) binance_sub: Limiter,
    /// Who is asked what about keys.
    pub(crate) duties: Duties,
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
    /// KuCoin's list of contracts.
    pub(crate) contracts: Contracts,
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
        let limits = settings.limits;
        // What a bucket holds, a part of what may be asked, is spent on top of what flows in: together they stay below it.
        let bucket = |most: u32, per: u64, part: u32| {
            let held = (most / part).max(1);
            Limiter::new(most.saturating_sub(held).max(1), secs(per), held)
        };
        Ok(Venues {
            binance: rest(&settings.binance.rest, bucket(limits.binance_weight, 60, 5))?,
            binance_futures: rest(&settings.binance.futures_rest, bucket(limits.binance_futures_weight, 60, 5))?,
            // Each account has 4,000 in 30 s of its own; the public pool of 2,000 is the address's.
            kucoin: rest(&settings.kucoin.rest, bucket(limits.kucoin_weight, 30, 5))?,
            coinbase: rest(&settings.coinbase.rest, bucket(limits.coinbase_calls, 1, 3))?,
            coinbase_exchange: rest(&settings.coinbase.exchange_rest, bucket(limits.coinbase_exchange_calls, 1, 3))?,
            binance_sub: Limiter::new(30, secs(60), 10),
            duties: Duties::default(),
            binance_connects: bucket(limits.binance_connects, 300, 7),
            binance_futures_connects: bucket(limits.binance_futures_connects, 300, 7),
            kucoin_connects: bucket(limits.kucoin_connects, 60, 4),
            coinbase_connects: bucket(limits.coinbase_connects, 1, 2),
            unlimited: Limiter::new(1_000_000, secs(1), 1_000_000),
            pairs: Pairs::default(),
            contracts: Contracts::default(),
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
