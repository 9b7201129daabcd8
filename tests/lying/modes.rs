//! The ways in which an exchange lies, and the exchanges that do.

use fillguard::domain::{Venue, Wallet};
use fillguard::simulate::Faults;

/// How many times faster everything is than the defaults say: half a second here is half a minute there.
pub const HURRY: u32 = 60;

/// An exchange's private feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Face {
    Binance,
    BinanceMargin,
    BinanceFutures,
    KucoinClassic,
    KucoinUnified,
    Coinbase,
    CoinbaseExchange,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Nothing: what the others are compared with.
    Clean,
    /// One fill in a hundred is never told on the stream.
    Lose,
    /// One fill in five is told twice.
    Double,
    /// One message in five comes up to 30 s late.
    Delay,
    /// One message in five comes after the one behind it.
    Swap,
    /// Every connection is dropped within 30 s.
    Cut,
    /// Every connection falls silent within a minute, its TCP connection open.
    Deaf,
    /// Data goes on, signs of life stop.
    NoLife,
    /// 429 and 418 for a seventh of all requests; some fills lost and connections cut, so that requests matter.
    Refuse,
    /// 503 and no answer at all for a seventh of all requests; else as before.
    Fail,
    /// The key is deleted in the middle and given back.
    Revoke,
    /// The shutdown is announced (Binance) and the sockets closed as 24 hours old, in the middle of a burst.
    Shutdown,
    /// Random bytes, cut JSON, wrong types, unknown events and giants among the good frames.
    Garbage,
    /// A little of everything.
    All,
}

impl Face {
    pub const ALL: [Face; 7] = [
        Face::Binance,
        Face::BinanceMargin,
        Face::BinanceFutures,
        Face::KucoinClassic,
        Face::KucoinUnified,
        Face::Coinbase,
        Face::CoinbaseExchange,
    ];

    pub fn venue(self) -> Venue {
        match self {
            Face::Binance | Face::BinanceMargin | Face::BinanceFutures => Venue::Binance,
            Face::KucoinClassic | Face::KucoinUnified => Venue::Kucoin,
            Face::Coinbase | Face::CoinbaseExchange => Venue::Coinbase,
        }
    }

    /// Returns the wallet that is traded in and watched.
    pub fn wallet(self) -> Wallet {
        match self {
            Face::BinanceMargin => Wallet::Margin,
            Face::BinanceFutures => Wallet::Futures,
            Face::Binance | Face::KucoinClassic | Face::KucoinUnified | Face::Coinbase | Face::CoinbaseExchange => {
                Wallet::Spot
            }
        }
    }
}

/// Seconds of the hurried world.
fn secs(secs: f64) -> f64 {
    secs / f64::from(HURRY)
}

impl Mode {
    pub const ALL: [Mode; 14] = [
        Mode::Clean,
        Mode::Lose,
        Mode::Double,
        Mode::Delay,
        Mode::Swap,
        Mode::Cut,
        Mode::Deaf,
        Mode::NoLife,
        Mode::Refuse,
        Mode::Fail,
        Mode::Revoke,
        Mode::Shutdown,
        Mode::Garbage,
        Mode::All,
    ];

    /// Returns the faults that are on from the first order to the end.
    pub fn faults(self, face: Face) -> Faults {
        let none = Faults::default();
        // Coinbase loses whole orders: a few of a hundred, or a run would often lose none.
        let lose = if face.venue() == Venue::Coinbase { 0.04 } else { 0.01 };
        match self {
            Mode::Clean | Mode::Revoke | Mode::Shutdown => none,
            Mode::Lose => Faults { lose, ..none },
            Mode::Double => Faults { double: 0.2, ..none },
            Mode::Delay => Faults { delay: 0.2, delay_secs: secs(30.0), ..none },
            Mode::Swap => Faults { swap: 0.2, ..none },
            Mode::Cut => Faults { cut_secs: secs(30.0), ..none },
            Mode::Deaf => Faults { deaf_secs: secs(60.0), ..none },
            Mode::NoLife => Faults { no_sign_of_life: true, ..none },
            Mode::Refuse => Faults { refuse: 0.15, retry_after_secs: 1, lose, cut_secs: secs(60.0), ..none },
            Mode::Fail => Faults { fail: 0.1, hang: 0.05, hang_secs: 5.0, lose, cut_secs: secs(60.0), ..none },
            Mode::Garbage => Faults { garbage: 0.1, ..none },
            Mode::All => Faults {
                lose,
                double: 0.05,
                delay: 0.05,
                delay_secs: secs(30.0),
                swap: 0.05,
                cut_secs: secs(60.0),
                refuse: 0.03,
                retry_after_secs: 1,
                fail: 0.03,
                hang: 0.01,
                hang_secs: 5.0,
                garbage: 0.02,
                ..none
            },
        }
    }

    /// Tells whether the link itself is lost in this mode, so that people must be able to see that.
    pub fn blinds(self, face: Face) -> bool {
        match self {
            Mode::Cut | Mode::Deaf | Mode::Refuse | Mode::Fail | Mode::Revoke | Mode::All => true,
            // Binance pings us, and nothing depends on its pings; the others show life as we ask for it.
            Mode::NoLife => face.venue() != Venue::Binance,
            // Announced on the WebSocket API: the next connection is up first.
            Mode::Shutdown => !matches!(face, Face::Binance | Face::BinanceMargin),
            Mode::Clean | Mode::Lose | Mode::Double | Mode::Delay | Mode::Swap | Mode::Garbage => false,
        }
    }
}
