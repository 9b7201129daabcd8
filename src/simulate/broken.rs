//! The ways in which a key can be of no use, as a scenario or a test chooses them.

use serde::Deserialize;

/// What is wrong with a key; each venue answers with its own code, or with one that fits when it has none for it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The exchange holds another secret: -1022, 400005, 401.
    Secret,
    /// The exchange holds another passphrase (KuCoin): 400004.
    Passphrase,
    /// The key may not read: -2015, 400007, 403.
    Right,
    /// The asking address is not on the key's list: -2015, 400006, 401.
    Address,
    /// The key was deleted: -2015, 400003, 401.
    Deleted,
    /// The exchange never heard of the key: -2008, 400003, 401.
    Unknown,
    /// The key's id is not of the exchange's form: -2014, 400003, 401.
    Form,
    /// No timestamp is right: -1021, 400002, 401.
    Clock,
    /// A proxy on the way lost the signature: -1022, 400001, 401.
    Unsigned,
    /// The account's keys are locked: -2017, 411100, 403.
    Frozen,
    /// The owner's identity is not verified (KuCoin): 400303.
    Identity,
    /// A sub-account whose master gave no right: -1002, 400007, 403.
    SubAccount,
    /// The account is a unified one and the key may not read that (KuCoin): 400007 on the unified calls only.
    Unified,
    /// The feed answers, but REST does not: the key is of another portfolio (Coinbase): 403 on REST only.
    Portfolio,
}

impl How {
    /// Returns true when an open feed hears nothing more.
    pub fn silences(self) -> bool {
        !matches!(self, How::Clock | How::Portfolio)
    }
}

/// A key of a scenario that is, or becomes, of no use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokenKey {
    /// Whose: `kucoin/amber`.
    pub account: String,
    /// In which way.
    pub how: How,
    /// Seconds after the start; from the start when absent.
    #[serde(default)]
    pub after_secs: f64,
}
