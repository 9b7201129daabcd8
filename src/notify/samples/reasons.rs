//! Every reason there is, as an invented attack would bring it about.

use rust_decimal::Decimal;

use super::{Cast, Part, at};
use crate::alert::Language;
use crate::domain::{KeyName, Kind, Level, Money, Reason, RuleName, Size};

impl Cast {
    /// Every reason there is.
    pub(super) fn parts(&self, language: Language) -> Vec<Part> {
        let key =
            KeyName { own: false, fingerprint: None, label: Some("grid bot".into()), holder: Some("sub-7".into()) };
        let own = KeyName { own: true, fingerprint: None, label: None, holder: None };
        let spent = || self.money("1.84").unwrap_or_else(|| Money::new(Decimal::ONE, self.pair.quote().clone()));
        let cap = Some(Size { usd: Decimal::from(2_149_000), rank: Some(1_400) });
        let (tag, ip) = (|| "3commas".into(), || "203.0.113.77".into());
        let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect::<Vec<_>>();
        use Level::{Act, Alert, Notice};
        vec![
            (
                "pump",
                RuleName::PumpBuy,
                Kind::Pump,
                Act,
                "0.42",
                Reason::Stands {
                    spent: spent(),
                    times_usual: 38.0,
                    move_percent: 61.0,
                    new_pair: true,
                    buy: true,
                    cap: cap.clone(),
                },
            ),
            (
                "planted_ask",
                RuleName::PlantedAsk,
                Kind::PlantedAsk,
                Act,
                "0.31",
                Reason::FarFromReference {
                    price: "0.00009100".into(),
                    reference: "0.00001240".into(),
                    percent: 634.0,
                    buy: true,
                    cap: cap.clone(),
                },
            ),
            (
                "churn",
                RuleName::ChurnLoss,
                Kind::Churn,
                Act,
                "0.0824",
                Reason::LosingRoundTrips { trips: 14, percent: 4.2, seconds: 212.0 },
            ),
            (
                "liquidation",
                RuleName::Liquidation,
                Kind::Liquidation,
                Alert,
                "0",
                Reason::SoldOff { assets: names(&["ETH", "SOL", "LINK"]), seconds: 41.0 },
            ),
            (
                "slow",
                RuleName::SlowBuying,
                Kind::Slow,
                Alert,
                "0.09",
                Reason::OneSided {
                    spent: spent(),
                    orders: 212,
                    of_account: 31.0,
                    of_day: 12.0,
                    seconds: 10_800.0,
                    new_pair: true,
                    buy: true,
                    cap,
                },
            ),
            (
                "address",
                RuleName::UnfamiliarAddress,
                Kind::Address,
                Alert,
                "0",
                Reason::NewAddress {
                    ip: ip(),
                    prefix: "203.0.113.0/24".into(),
                    network: Some("Example Hosting".into()),
                    country: Some("NL".into()),
                    hosting: true,
                    new: "network".into(),
                    concurrent: true,
                },
            ),
            (
                "address_shared",
                RuleName::UnfamiliarAddress,
                Kind::Address,
                Alert,
                "0",
                Reason::SharedAddress {
                    ip: ip(),
                    network: Some("Example Hosting".into()),
                    count: 7,
                    seconds: 5_400.0,
                    moved: false,
                },
            ),
            (
                "address_of_others",
                RuleName::UnfamiliarAddress,
                Kind::Address,
                Notice,
                "0",
                Reason::OthersUsedFrom { tag: tag(), count: 5, ip: ip() },
            ),
            (
                "origin",
                RuleName::UnknownOrigin,
                Kind::Origin,
                Alert,
                "0",
                Reason::StrangeOrder { what: "not_ours".into(), familiar_orders: 1_204 },
            ),
            (
                "fleet",
                RuleName::CoTrading,
                Kind::Fleet,
                Act,
                "0.12",
                Reason::Together { accounts: Vec::new(), count: 6, seconds: 180.0, sold: false, tag: Some(tag()) },
            ),
            (
                "fleet_warning",
                RuleName::CoTrading,
                Kind::Fleet,
                Alert,
                "0",
                Reason::OthersHit { tag: tag(), count: 6, symbol: Some(self.pair.clone()) },
            ),
            (
                "blind",
                RuleName::Blind,
                Kind::Blind,
                Alert,
                "0",
                Reason::NotVerified { since: at(-600), until: None, recovered: 3, why: "closed 1006".into() },
            ),
            (
                "key_widened",
                RuleName::KeyPermissionWidened,
                Kind::Key,
                Act,
                "0",
                Reason::KeyWidened {
                    key: own.clone(),
                    gained: names(&["withdraw", "universal_transfer"]),
                    since: at(-300),
                },
            ),
            (
                "key_unrestricted",
                RuleName::KeyUnrestricted,
                Kind::Key,
                Alert,
                "0",
                Reason::KeyUnrestricted { key: own.clone(), added: Vec::new(), since: Some(at(-300)) },
            ),
            (
                "key_new",
                RuleName::NewKey,
                Kind::Key,
                Alert,
                "0",
                Reason::KeyAppeared {
                    key: key.clone(),
                    rights: names(&["trade"]),
                    made: Some(at(-120)),
                    since: at(-300),
                },
            ),
            (
                "key_remade",
                RuleName::NewKey,
                Kind::Key,
                Alert,
                "0",
                Reason::KeyRemade { key, made: at(-120), before: at(-9_000_000), since: at(-300) },
            ),
            (
                "key_replaced",
                RuleName::NewKey,
                Kind::Key,
                Notice,
                "0",
                Reason::KeyReplaced { key: own.clone(), since: at(-300) },
            ),
            (
                "key_policy",
                RuleName::KeyPolicy,
                Kind::Key,
                Notice,
                "0",
                Reason::KeyBeyond { key: own, rights: names(&["trade"]), open: true, policy: true },
            ),
            (
                "user",
                RuleName::User,
                Kind::User,
                Alert,
                "0",
                Reason::User { rule: "night_orders".into(), why: own_words(language).into() },
            ),
        ]
    }
}

/// What a rule of the user's own says, who writes in the language they read.
fn own_words(language: Language) -> &'static str {
    match language {
        Language::English => "an order between midnight and six, when nobody here trades",
        Language::German => "ein Auftrag zwischen Mitternacht und sechs, wenn hier niemand handelt",
    }
}
