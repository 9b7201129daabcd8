//! How far a response may go: for all accounts, and for one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::domain::{AccountId, Fingerprint, Money};

/// What is done about an account's keys when an incident says `act`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing.
    Off,
    /// It is written down what would be done.
    #[default]
    Dry,
    /// It is done once a person says so.
    Confirm,
    /// It is done at once.
    Auto,
}

/// The brakes, which hold for all accounts together.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Keys that may be taken away within an hour; 5 by default.
    pub keys_per_hour: u32,
    /// Keys that may be taken away within a day; 20 by default.
    pub keys_per_day: u32,
    /// How long after a response ended the next one on the same account needs a person; 1 h by default.
    pub cool_down: Duration,
    /// Accounts that are never acted on, whoever asks.
    pub protected: BTreeSet<AccountId>,
    /// Keys that are never acted on, whoever asks.
    pub protected_keys: BTreeSet<Fingerprint>,
    /// How long after it was first switched on a response is only written down; 7 days by default.
    pub dry_for: Duration,
    /// An incident is acted on only while its last finding is younger; 10 min by default.
    pub fresh: Duration,
    /// How long a plan waits for a person's yes; 30 min by default.
    pub wait: Duration,
    /// Losses above which two persons have to say yes, an amount an asset. In an asset that is not named two are needed
    /// too, once one is named.
    pub second_person_above: Vec<Money>,
    /// Failed read-backs in a row after which nothing is done by itself until a person says that it may; 2 by default.
    pub breaker: u32,
    /// How long one request to an exchange may take; 3 s by default.
    pub call_timeout: Duration,
    /// How long it is looked whether a step took effect; 5 s by default.
    pub verify_within: Duration,
    /// What may be done about each account; accounts that are not here are left alone.
    pub accounts: BTreeMap<AccountId, Policy>,
}

/// What may be done about one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether, and who decides.
    pub mode: Mode,
    /// Which keys of its sub-account are taken.
    pub take: Take,
    /// Keys that stay: ours that watch and act.
    pub keep: BTreeSet<Fingerprint>,
    /// Whether a key is deleted in the end, or only stripped of its rights.
    pub delete: bool,
    /// Whether its open orders are cancelled.
    pub cancel: bool,
    /// The addresses its keys are narrowed to where they are not deleted; none to leave them.
    pub narrow_to: Vec<CompactString>,
    /// Where the money is moved where the exchange allows that: a portfolio's name at the exchange.
    pub move_to: Option<CompactString>,
}

/// Which keys of a sub-account are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Take {
    /// Each that may trade or move money, except those that stay.
    #[default]
    Trading,
    /// These.
    Named(BTreeSet<Fingerprint>),
}

impl Mode {
    /// Returns the word used in files and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Dry => "dry",
            Mode::Confirm => "confirm",
            Mode::Auto => "auto",
        }
    }

    /// Says whether anything may be done at an exchange.
    pub const fn acts(self) -> bool {
        matches!(self, Mode::Confirm | Mode::Auto)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            mode: Mode::default(),
            take: Take::default(),
            keep: BTreeSet::new(),
            delete: true,
            cancel: true,
            narrow_to: Vec::new(),
            move_to: None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            keys_per_hour: 5,
            keys_per_day: 20,
            cool_down: Duration::from_secs(3_600),
            protected: BTreeSet::new(),
            protected_keys: BTreeSet::new(),
            dry_for: Duration::from_secs(7 * 86_400),
            fresh: Duration::from_secs(600),
            wait: Duration::from_secs(1_800),
            second_person_above: Vec::new(),
            breaker: 2,
            call_timeout: Duration::from_secs(3),
            verify_within: Duration::from_secs(5),
            accounts: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Returns what may be done about an account.
    pub fn policy(&self, account: &AccountId) -> Option<&Policy> {
        self.accounts.get(account)
    }
}
