//! What a simulated exchange does wrong on purpose: to the news of an account's feed, to its sockets, to requests.
//!
//! Every fault is drawn from the simulator's seed and counted, so that a test can say what it survived.

mod book;
mod garbage;
mod gate;
mod hand;
mod liar;
mod script;

use serde::Deserialize;

pub(super) use book::FaultBook;
pub use book::Tally;
pub(super) use gate::{Turned, gate, turned};
pub(super) use liar::{Liar, Life};
pub(super) use script::follow;
pub use script::{Deed, Scripted};

use super::Error;

/// What an exchange does wrong. Shares lie between 0 and 1; nothing is wrong by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Share of fills kept from the account's feed; at Coinbase, which tells totals, of orders, and at Coinbase Exchange
    /// of both. REST has them.
    pub lose: f64,
    /// Share of fills told twice.
    pub double: f64,
    /// Share of messages that come late.
    pub delay: f64,
    /// How late at most, in seconds.
    pub delay_secs: f64,
    /// Share of messages that come after the one behind them.
    pub swap: f64,
    /// A connection is dropped without a farewell at this age at most, in seconds, and at half of it at least; 0 for
    /// never.
    pub cut_secs: f64,
    /// A connection says nothing more from this age at most on, in seconds, and from a third of it at least; its TCP
    /// connection stays open; 0 for never.
    pub deaf_secs: f64,
    /// Nothing more is said that only shows life: Binance's pings, KuCoin's pongs, Coinbase's heartbeats.
    pub no_sign_of_life: bool,
    /// Share of requests answered with 429, at Binance every fourth of them with 418.
    pub refuse: f64,
    /// The wait such an answer asks for, in whole seconds; 1 when 0.
    pub retry_after_secs: u64,
    /// Share of requests answered with a 5xx.
    pub fail: f64,
    /// Share of requests that are not answered.
    pub hang: f64,
    /// How long they are not, in seconds; then they are answered with 504.
    pub hang_secs: f64,
    /// Share of messages that come with garbage in front: random bytes, cut JSON, wrong types, unknown events, frames
    /// larger than anybody takes.
    pub garbage: f64,
}

impl Faults {
    /// Refuses shares that are none and times that never end.
    pub fn check(&self) -> Result<(), Error> {
        let shares = [self.lose, self.double, self.delay, self.swap, self.refuse, self.fail, self.hang, self.garbage];
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) || self.refuse + self.fail + self.hang > 1.0 {
            return Err(Error::Scenario(
                "faults: shares lie between 0 and 1, and refuse, fail and hang make 1 together at most".to_owned(),
            ));
        }
        let times = [self.delay_secs, self.cut_secs, self.deaf_secs, self.hang_secs];
        if !times.iter().all(|secs| (0.0..=86_400.0).contains(secs)) || self.retry_after_secs > 86_400 {
            return Err(Error::Scenario("faults: times lie between 0 and 86400 seconds".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_above_one_and_a_time_that_never_ends_are_refused() {
        assert!(Faults::default().check().is_ok());
        assert!(Faults { lose: 1.1, ..Faults::default() }.check().is_err());
        assert!(Faults { refuse: 0.6, fail: 0.6, ..Faults::default() }.check().is_err());
        assert!(Faults { hang_secs: f64::INFINITY, ..Faults::default() }.check().is_err());
    }
}
