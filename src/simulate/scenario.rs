//! What a simulated world holds: its pairs, its traders, its attack. A TOML file or the built-in one.

use serde::Deserialize;

use super::Error;
use super::broken::BrokenKey;
use super::fault::{Faults, Scripted};
use crate::domain::{AccountId, Symbol, Venue};

/// A world to simulate; every field has a default, unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Seconds from the start to the first hostile order; absent when nobody attacks.
    pub attack_after_secs: Option<f64>,
    /// Seconds between the first hostile orders of one venue and the next.
    pub venue_gap_secs: f64,
    /// Seconds between the first hostile orders of one victim and the next on the same venue.
    pub victim_gap_secs: f64,
    /// How many market buys of the thin pair each victim is made to do.
    pub hostile_buys: u32,
    /// By how much the accomplice lifts the thin pair's price before each of them, as a fraction.
    pub lift: f64,
    /// Days of earlier fills that the ordinary habits left behind.
    pub history_days: u32,
    /// What somebody changes about keys.
    pub key_changes: Vec<KeyChange>,
    /// The seconds each kind of trader waits between two deeds.
    pub pace: Pace,
    /// Keys that are of no use, or become so.
    pub broken: Vec<BrokenKey>,
    /// Binance.
    pub binance: Scene,
    /// KuCoin.
    pub kucoin: Scene,
    /// Coinbase.
    pub coinbase: Scene,
    /// What the exchanges do wrong at given times; nothing by default.
    pub script: Vec<Scripted>,
}

/// A change of an account's key, or a new key of one of its sub-accounts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyChange {
    /// Seconds from the start.
    pub after_secs: f64,
    /// Whose, as `binance/amber`.
    pub account: String,
    /// Rights that are given: `trade`, `margin`, `futures`, `internal_transfer`, `universal_transfer`, `withdraw`.
    pub permit: Vec<String>,
    /// Rights that are taken.
    pub forbid: Vec<String>,
    /// The addresses the key is restricted to from then on, any when empty; absent to leave them.
    pub addresses: Option<Vec<String>>,
    /// The sub-account (e-mail or name) that gets a new key with the rights in `permit`; the account's own key then stays.
    pub new_key_of: Option<String>,
}

/// The rights a key change may name.
const RIGHTS: [&str; 6] = ["trade", "margin", "futures", "internal_transfer", "universal_transfer", "withdraw"];

/// The seconds each kind of trader waits between two deeds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// A bot that buys the same amount of the same pair at regular times.
    pub dca: f64,
    /// A bot with a resting order on either side of the price; how often it looks.
    pub grid: f64,
    /// A person at the web site.
    pub retail: f64,
    /// A script that sells what grew and buys what fell.
    pub rebalancer: f64,
    /// A bot that buys what has just risen and sells it later.
    pub chaser: f64,
}

/// One venue's pairs and how many accounts of each kind trade there.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scene {
    /// Regular buyers.
    pub dca: u32,
    /// Grid bots.
    pub grid: u32,
    /// People.
    pub retail: u32,
    /// Rebalancers.
    pub rebalancer: u32,
    /// Momentum chasers.
    pub chaser: u32,
    /// Accounts whose keys were stolen; before that they live as regular buyers.
    pub victims: u32,
    /// How many of the first accounts are unified ones (KuCoin only).
    pub unified: u32,
    /// What trades; empty for the venue's built-in list.
    pub pairs: Vec<PairScene>,
    /// What the exchange does wrong from the start on; nothing by default.
    pub faults: Faults,
}

/// One pair.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairScene {
    /// `BASE-QUOTE`.
    pub symbol: String,
    /// The price at the start.
    pub price: f64,
    /// The standard deviation of one minute's logarithmic return.
    pub volatility: f64,
    /// The mean seconds between two public trades.
    pub every_secs: f64,
    /// The median public trade, in quote.
    pub trade: f64,
    /// The quote that moves the price by one percent.
    pub depth: f64,
    /// Decimals of a price.
    pub price_decimals: u32,
    /// Decimals of an amount.
    pub lot_decimals: u32,
    /// True for the pairs an attack may choose.
    #[serde(default)]
    pub thin: bool,
}

impl Scenario {
    /// Reads a scenario from TOML text; the error tells line and column.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let scenario: Scenario = toml::from_str(text).map_err(|why| Error::Scenario(why.to_string()))?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Refuses numbers that make no market.
    pub fn check(&self) -> Result<(), Error> {
        for venue in Venue::ALL {
            for pair in self.pairs(venue) {
                let numbers = [pair.price, pair.every_secs, pair.trade, pair.depth];
                if Symbol::from_dashed(&pair.symbol).is_err() {
                    return Err(Error::Scenario(format!("{}: write a pair as BASE-QUOTE", pair.symbol)));
                }
                if numbers.iter().any(|n| !n.is_finite() || *n <= 0.0)
                    || !(0.0..0.5).contains(&pair.volatility)
                    || pair.price_decimals > 12
                    || pair.lot_decimals > 12
                {
                    return Err(Error::Scenario(format!(
                        "{}: price, every_secs, trade and depth are above zero, volatility below 0.5, decimals up to 12",
                        pair.symbol
                    )));
                }
            }
            if self.pairs(venue).iter().all(|pair| pair.thin) {
                return Err(Error::Scenario(format!("{venue}: at least one pair is not thin")));
            }
        }
        for venue in Venue::ALL {
            self.scene(venue).faults.check()?;
        }
        self.script.iter().try_for_each(Scripted::check)?;
        let paces = [self.pace.dca, self.pace.grid, self.pace.retail, self.pace.rebalancer, self.pace.chaser];
        if paces.iter().any(|pace| !pace.is_finite() || *pace < 0.01) {
            return Err(Error::Scenario("pace: every wait is at least 0.01 seconds".to_owned()));
        }
        for change in &self.key_changes {
            if let Some(wrong) =
                change.permit.iter().chain(&change.forbid).find(|name| !RIGHTS.contains(&name.as_str()))
            {
                return Err(Error::Scenario(format!("key_changes: {wrong} is none of {}", RIGHTS.join(", "))));
            }
            if !change.after_secs.is_finite() || change.after_secs < 0.0 {
                return Err(Error::Scenario("key_changes: after_secs is a number of seconds from zero up".to_owned()));
            }
        }
        for key in &self.broken {
            if key.account.parse::<AccountId>().is_err() || !(0.0..=1e6).contains(&key.after_secs) {
                return Err(Error::Scenario(format!(
                    "broken: {}: name an account as kucoin/amber, and seconds from 0 to a million",
                    key.account
                )));
            }
        }
        if self.history_days > 30 || self.hostile_buys > 1_000 {
            return Err(Error::Scenario("history_days is at most 30, hostile_buys at most 1000".to_owned()));
        }
        Ok(())
    }

    /// Returns a venue's accounts.
    pub fn scene(&self, venue: Venue) -> &Scene {
        match venue {
            Venue::Binance => &self.binance,
            Venue::Kucoin => &self.kucoin,
            Venue::Coinbase => &self.coinbase,
        }
    }

    /// Returns a venue's pairs, the built-in ones when the scenario names none.
    pub fn pairs(&self, venue: Venue) -> Vec<PairScene> {
        let named = &self.scene(venue).pairs;
        if named.is_empty() { built_in(venue) } else { named.clone() }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Scenario {
            attack_after_secs: Some(45.0),
            venue_gap_secs: 4.0,
            victim_gap_secs: 7.0,
            hostile_buys: 9,
            lift: 0.05,
            history_days: 3,
            key_changes: Vec::new(),
            pace: Pace::default(),
            broken: Vec::new(),
            binance: Scene::default(),
            kucoin: Scene { unified: 1, ..Scene::default() },
            coinbase: Scene::default(),
            script: Vec::new(),
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Pace { dca: 240.0, grid: 10.0, retail: 180.0, rebalancer: 900.0, chaser: 120.0 }
    }
}

impl Default for Scene {
    fn default() -> Self {
        Scene {
            dca: 2,
            grid: 1,
            retail: 2,
            rebalancer: 1,
            chaser: 1,
            victims: 2,
            unified: 0,
            pairs: Vec::new(),
            faults: Faults::default(),
        }
    }
}

fn built_in(venue: Venue) -> Vec<PairScene> {
    let pair =
        |symbol: &str, price, volatility, every_secs, trade, depth, price_decimals, lot_decimals, thin| PairScene {
            symbol: symbol.to_owned(),
            price,
            volatility,
            every_secs,
            trade,
            depth,
            price_decimals,
            lot_decimals,
            thin,
        };
    let dollar = match venue {
        Venue::Binance | Venue::Kucoin => "USDT",
        Venue::Coinbase => "USD",
    };
    let named = |base: &str| format!("{base}-{dollar}");
    let [first, second, third] = match venue {
        Venue::Binance => ["KORU", "FENN", "TALO"],
        Venue::Kucoin => ["BRYN", "OSTA", "TALO"],
        Venue::Coinbase => ["GRIV", "NAVE", "PELL"],
    };
    vec![
        pair(&named("BTC"), 64_200.0, 0.000_4, 0.7, 900.0, 4e6, 2, 5, false),
        pair(&named("ETH"), 3_150.0, 0.000_5, 0.9, 600.0, 2e6, 2, 4, false),
        pair(&named("SOL"), 151.0, 0.000_7, 1.5, 300.0, 6e5, 2, 3, false),
        pair("ETH-BTC", 0.049_06, 0.000_3, 4.0, 0.01, 20.0, 5, 4, false),
        pair(&named(first), 0.041_7, 0.001_2, 25.0, 45.0, 900.0, 5, 1, true),
        pair(&named(second), 1.284, 0.001_0, 35.0, 60.0, 1_200.0, 4, 2, true),
        pair(&named(third), 0.003_62, 0.001_5, 50.0, 35.0, 700.0, 6, 0, true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_scenario_is_a_fine_one() {
        Scenario::default().check().unwrap();
        assert!(Scenario::parse("").unwrap().pairs(Venue::Binance).iter().any(|pair| pair.thin));
    }

    #[test]
    fn the_documented_lies_are_a_scenario() {
        let text = include_str!("../../docs/simulator.md");
        let toml = text.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let scenario = Scenario::parse(toml).unwrap();
        assert_eq!((scenario.script.len(), scenario.binance.faults.hang_secs), (3, 60.0));
        let bad = "[[script]]\nat_secs = 1\ndo = 'revoke'\nvenue = 'binance'";
        assert!(Scenario::parse(bad).unwrap_err().to_string().contains("name an account"));
        assert!(Scenario::parse("[kucoin.faults]\nlose = 2").unwrap_err().to_string().contains("between 0 and 1"));
    }

    #[test]
    fn a_mistake_in_a_scenario_is_told() {
        assert!(Scenario::parse("atack_after_secs = 5").unwrap_err().to_string().contains("atack_after_secs"));
        let bad = "[[binance.pairs]]\nsymbol='BTCUSDT'\nprice=1\nvolatility=0\nevery_secs=1\ntrade=1\ndepth=1\nprice_decimals=2\nlot_decimals=2";
        assert!(Scenario::parse(bad).unwrap_err().to_string().contains("BASE-QUOTE"));
    }
}
