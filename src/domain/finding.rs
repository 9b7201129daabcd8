//! What a rule says, with the numbers that convinced it.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{AccountId, KeyName, Money, Symbol, Timestamp};

/// How loud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth a line in the history.
    Notice,
    /// Worth a message.
    Alert,
    /// Worth taking the key away.
    Act,
}

/// What kind of story it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Buying a pair that is being raised.
    Pump,
    /// Selling the holdings off.
    Liquidation,
    /// Trading far from the pair's price.
    PlantedAsk,
    /// Buying high and selling low, again and again.
    Churn,
    /// One-sided trading in small steps.
    Slow,
    /// A key used from somewhere new.
    Address,
    /// Orders none of ours sent.
    Origin,
    /// Several accounts doing the same.
    Fleet,
    /// We cannot see.
    Blind,
    /// What a key may do, or from where.
    Key,
    /// What a rule of the user's own says.
    User,
}

/// The rules, by the name they have in files and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleName {
    /// Joint score of market and account.
    PumpBuy,
    /// A fill far from the reference price.
    PlantedAsk,
    /// Round trips that lose.
    ChurnLoss,
    /// Holdings sold off within a minute.
    Liquidation,
    /// One-sided trading in small steps.
    SlowBuying,
    /// A key used from an address not seen before.
    UnfamiliarAddress,
    /// An order whose origin is not the account's.
    UnknownOrigin,
    /// A gap that nobody verified.
    Blind,
    /// Several accounts doing the same.
    CoTrading,
    /// A key that may do more than before.
    KeyPermissionWidened,
    /// A key that may be used from anywhere, or from more places than before.
    KeyUnrestricted,
    /// A key that was not there before.
    NewKey,
    /// A key that may do more than its owner expects.
    KeyPolicy,
    /// A rule of the user's own; the finding says which.
    User,
}

/// Independent kinds of evidence; `act` needs two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// What the pair's market did.
    Market,
    /// What this account usually does.
    Habit,
    /// Where the order or the key's use came from.
    Origin,
    /// What other accounts did.
    Accounts,
    /// What we could see.
    Feed,
    /// What the key may do, and from where.
    Key,
}

/// One summand of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// Its name, as listed in the rule's documentation.
    pub name: CompactString,
    /// Which family of evidence it belongs to.
    pub family: Family,
    /// Its weight of evidence in nats; negative speaks for the owner.
    pub nats: f64,
    /// The measured value behind it, in `unit`.
    pub value: f64,
    /// The unit of `value`, such as `x median`, `sigma`, `%`, `orders`.
    pub unit: CompactString,
}

/// A rule's statement about an order group, account or pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// About whom.
    pub account: AccountId,
    /// About which pair, where there is one.
    pub symbol: Option<Symbol>,
    /// Who says it.
    pub rule: RuleName,
    /// What kind of story.
    pub kind: Kind,
    /// How loud.
    pub level: Level,
    /// The weight of all terms, in nats.
    pub score: f64,
    /// The summands.
    pub terms: Vec<Term>,
    /// Money lost so far if prices return to where they were before the episode; in the pair's quote.
    pub loss: Option<Money>,
    /// The orders that were judged, oldest first, at most 32.
    pub orders: Vec<CompactString>,
    /// Why, as data.
    pub reason: Reason,
    /// The arrival that convinced.
    pub n: u64,
    /// When that arrival came.
    pub at: Timestamp,
    /// What the pair's price did until then, oldest first, at most 16; none where no market is known. For a picture alone:
    /// nothing is judged by it.
    #[serde(default)]
    pub prices: Vec<PricePoint>,
}

/// A price at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PricePoint {
    /// When.
    pub at: Timestamp,
    /// In the pair's quote.
    pub price: f64,
}

/// How large an asset is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Dollars for all of it.
    pub usd: rust_decimal::Decimal,
    /// Its place among all assets, where told.
    pub rank: Option<u32>,
}

/// Why a rule spoke, with what a sentence about it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Market and habits together.
    Stands {
        /// The order's quote amount.
        spent: Money,
        /// Times the account's usual five-minute spending.
        times_usual: f64,
        /// How far the price stood above (buys) or below (sells) its one-minute mean, in percent.
        move_percent: f64,
        /// True when the account had not traded this pair before.
        new_pair: bool,
        /// True for a buy.
        buy: bool,
        /// How large the pair's base is, where somebody told it.
        cap: Option<Size>,
    },
    /// A fill far from the reference.
    FarFromReference {
        /// The fill's price.
        price: CompactString,
        /// The pair's price before it.
        reference: CompactString,
        /// The difference in percent of the reference, above zero.
        percent: f64,
        /// True for a buy above, false for a sell below.
        buy: bool,
        /// How large the pair's base is, where somebody told it.
        cap: Option<Size>,
    },
    /// Round trips that lost.
    LosingRoundTrips {
        /// How many.
        trips: u32,
        /// Percent lost on each turn.
        percent: f64,
        /// Over how many seconds.
        seconds: f64,
    },
    /// Holdings sold off.
    SoldOff {
        /// What was sold.
        assets: Vec<CompactString>,
        /// Within how many seconds.
        seconds: f64,
    },
    /// Many orders in one direction.
    OneSided {
        /// Quote they came to.
        spent: Money,
        /// How many.
        orders: u32,
        /// Percent of what the account holds, decayed over hours.
        of_account: f64,
        /// Percent of what takers of that side spend a day, decayed over hours.
        of_day: f64,
        /// Over how many seconds.
        seconds: f64,
        /// True when the account had hardly traded this pair before.
        new_pair: bool,
        /// True for buys.
        buy: bool,
        /// How large the pair's base is, where somebody told it.
        cap: Option<Size>,
    },
    /// An address not seen for this account.
    NewAddress {
        /// The address.
        ip: CompactString,
        /// Its prefix.
        prefix: CompactString,
        /// Its network operator, where a table is configured.
        network: Option<CompactString>,
        /// Its country, where a table is configured.
        country: Option<CompactString>,
        /// True where the network rents machines to anybody.
        hosting: bool,
        /// What is new: `address`, `prefix`, `network` or `country`.
        new: CompactString,
        /// True when a familiar address was in use within minutes.
        concurrent: bool,
    },
    /// Several accounts are newly used from one address.
    SharedAddress {
        /// The address.
        ip: CompactString,
        /// Its network operator, where a table is configured.
        network: Option<CompactString>,
        /// How many accounts.
        count: usize,
        /// From the first to the last, in seconds.
        seconds: f64,
        /// True where all came from one place, as when a platform moves.
        moved: bool,
    },
    /// Other accounts of a tag are used from one new address, this one is not yet.
    OthersUsedFrom {
        /// Which tag.
        tag: CompactString,
        /// How many of its accounts.
        count: usize,
        /// The address.
        ip: CompactString,
    },
    /// An order of a grammar or source never seen, or that none of our systems sent.
    StrangeOrder {
        /// `grammar`, `source` or `not_ours`.
        what: CompactString,
        /// How many orders the account's familiar origins sent.
        familiar_orders: u64,
    },
    /// Several accounts did the same.
    Together {
        /// The others, at most 16; a message tells their number only.
        accounts: Vec<AccountId>,
        /// How many accounts in all.
        count: usize,
        /// From the first to the last, in seconds.
        seconds: f64,
        /// True where they sold.
        sold: bool,
        /// The tag that they share more than chance has it.
        tag: Option<CompactString>,
    },
    /// Other accounts of a tag were hit, this one was not yet.
    OthersHit {
        /// Which tag.
        tag: CompactString,
        /// How many of its accounts.
        count: usize,
        /// The pair that they traded, where it was one.
        symbol: Option<Symbol>,
    },
    /// An interval nobody verified.
    NotVerified {
        /// Since when.
        since: Timestamp,
        /// Until when; absent while it lasts.
        until: Option<Timestamp>,
        /// Fills recovered in it.
        recovered: u64,
        /// Why it began.
        why: CompactString,
    },
    /// A key may do more than before.
    KeyWidened {
        /// Which key.
        key: KeyName,
        /// The rights it gained, by name.
        gained: Vec<CompactString>,
        /// When it was last seen without them.
        since: Timestamp,
    },
    /// A key may be used from anywhere, or from more addresses than before.
    KeyUnrestricted {
        /// Which key.
        key: KeyName,
        /// The addresses that were added; none when it may be used from anywhere.
        added: Vec<CompactString>,
        /// When it was last seen narrower; absent when it never was.
        since: Option<Timestamp>,
    },
    /// A key that was not there before.
    KeyAppeared {
        /// Which key.
        key: KeyName,
        /// What it may do, by name, where told.
        rights: Vec<CompactString>,
        /// When it was made, where told.
        made: Option<Timestamp>,
        /// When its sub-account's keys, or else any keys, were last seen without it.
        since: Timestamp,
    },
    /// A key was made at another time than was told before.
    KeyRemade {
        /// Which key.
        key: KeyName,
        /// When it was made, as told now.
        made: Timestamp,
        /// When it was made, as told before.
        before: Timestamp,
        /// When that was last told.
        since: Timestamp,
    },
    /// The account is watched with another key than before.
    KeyReplaced {
        /// The key now.
        key: KeyName,
        /// When the other one was last seen.
        since: Timestamp,
    },
    /// A key may do more than its owner expects.
    KeyBeyond {
        /// Which key.
        key: KeyName,
        /// The rights nobody expects it to have, by name.
        rights: Vec<CompactString>,
        /// True when it should be restricted to addresses and is not.
        open: bool,
        /// True when the configuration says what is expected; else only the right to withdraw is told.
        policy: bool,
    },
    /// A rule of the user's own.
    User {
        /// Its name.
        rule: CompactString,
        /// What it says.
        why: CompactString,
    },
}

impl Finding {
    /// Returns the rule's name as people know it: a rule of the user's own has one of its own.
    pub fn rule_name(&self) -> &str {
        if let Reason::User { rule, .. } = &self.reason { rule } else { self.rule.as_str() }
    }

    /// Returns what tells two findings of one rule and pair apart: the key and what became of it, or the user's rule;
    /// nothing for other rules.
    pub fn subject(&self) -> Option<CompactString> {
        use compact_str::format_compact;
        let about = |key: &KeyName, what: &str| {
            let key = key.fingerprint.as_ref().filter(|_| !key.own).map_or("own", |key| key.as_str());
            Some(format_compact!("{key} {what}"))
        };
        match &self.reason {
            Reason::KeyWidened { key, gained, .. } => about(key, &gained.join(",")),
            Reason::KeyUnrestricted { key, added, .. } => about(key, &added.join(",")),
            Reason::KeyAppeared { key, .. } => about(key, "appeared"),
            Reason::KeyRemade { key, .. } => about(key, "remade"),
            Reason::KeyReplaced { key, .. } => about(key, "replaced"),
            Reason::KeyBeyond { key, .. } => about(key, "beyond"),
            Reason::User { rule, .. } => Some(rule.clone()),
            Reason::Stands { .. }
            | Reason::FarFromReference { .. }
            | Reason::LosingRoundTrips { .. }
            | Reason::SoldOff { .. }
            | Reason::OneSided { .. }
            | Reason::NewAddress { .. }
            | Reason::SharedAddress { .. }
            | Reason::OthersUsedFrom { .. }
            | Reason::StrangeOrder { .. }
            | Reason::Together { .. }
            | Reason::OthersHit { .. }
            | Reason::NotVerified { .. } => None,
        }
    }
}

macro_rules! named {
    ($type:ident { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// All of them, in order.
            pub const ALL: &'static [$type] = &[$($type::$variant),+];

            /// Returns the name used in files and output.
            pub const fn as_str(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named!(Level { Notice => "notice", Alert => "alert", Act => "act" });
named!(Kind {
    Pump => "pump", Liquidation => "liquidation", PlantedAsk => "planted_ask", Churn => "churn", Slow => "slow",
    Address => "address", Origin => "origin", Fleet => "fleet", Blind => "blind", Key => "key",
    User => "user",
});
named!(RuleName {
    PumpBuy => "pump_buy", PlantedAsk => "planted_ask", ChurnLoss => "churn_loss", Liquidation => "liquidation",
    SlowBuying => "slow_buying",
    UnfamiliarAddress => "unfamiliar_address", UnknownOrigin => "unknown_origin", Blind => "blind",
    CoTrading => "co_trading",
    KeyPermissionWidened => "key_permission_widened", KeyUnrestricted => "key_unrestricted", NewKey => "new_key",
    KeyPolicy => "key_policy", User => "user",
});
named!(Family {
    Market => "market", Habit => "habit", Origin => "origin", Accounts => "accounts", Feed => "feed",
    Key => "key",
});
