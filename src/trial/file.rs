//! A file of tests, as it is written.

use serde::Deserialize;

use crate::domain::Level;

/// All tests of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tests {
    /// The tests.
    #[serde(default)]
    pub test: Vec<Test>,
}

/// A story or a recording, and what is expected of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What it shows, as a sentence.
    pub name: String,
    /// A recording to judge, beside the file; in the place of steps.
    pub recording: Option<String>,
    /// When the story begins; a Sunday morning when it does not matter.
    pub start: Option<String>,
    /// What happens, in order.
    #[serde(default)]
    pub step: Vec<Step>,
    /// What must be told.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// What must not be told.
    #[serde(default)]
    pub never: Vec<Never>,
}

/// Something that happens. Exactly one of `market`, `crowd`, `holds`, `buys`, `sells`, `used_from`, `key_may`, `feed` says
/// what.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A pair that trades quietly.
    pub market: Option<String>,
    /// A pair that strangers carry to another price.
    pub crowd: Option<String>,
    /// Of which account.
    pub account: Option<String>,
    /// What the account holds.
    pub holds: Option<std::collections::BTreeMap<String, String>>,
    /// The pair that the account buys.
    pub buys: Option<String>,
    /// The pair that it sells.
    pub sells: Option<String>,
    /// The address from which its key is used.
    pub used_from: Option<String>,
    /// The rights that its key has now: `trade`, `withdraw`, `transfer`, `margin`, `futures`.
    pub key_may: Option<Vec<String>>,
    /// Whether the key may be used from listed addresses only; true where it is left out.
    pub restricted: Option<bool>,
    /// What becomes of its feed: `down` or `up`.
    pub feed: Option<String>,
    /// A price, or a change against the last one, such as `+40 %`.
    pub at: Option<String>,
    /// Quote that changes hands: in each order, or in all of the crowd's or the market's.
    pub spends: Option<String>,
    /// Base of each order, in the place of `spends`.
    pub quantity: Option<String>,
    /// How many orders.
    pub orders: Option<u32>,
    /// The time from each order to the next, or how long a market goes on.
    pub every: Option<String>,
    /// How long it takes in all.
    pub lasts: Option<String>,
    /// How long after the step before.
    pub after: Option<String>,
    /// How the account's software names its orders; a number is put behind it.
    pub named: Option<String>,
    /// True when the orders rested on the book.
    #[serde(default)]
    pub maker: bool,
}

/// What must be told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// By which rule; any where it is left out.
    pub rule: Option<String>,
    /// About which account.
    pub account: Option<String>,
    /// About which pair.
    pub pair: Option<String>,
    /// How loud at least.
    pub level: Option<Level>,
    /// After which step, counted from 1.
    pub step: Option<usize>,
    /// How soon after that step began its last order.
    pub within: Option<String>,
}

/// What must not be told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Never {
    /// By which rule; any where it is left out.
    pub rule: Option<String>,
    /// About which account.
    pub account: Option<String>,
    /// From which level on.
    pub level: Option<Level>,
}

/// Reads a file; says what is wrong with it and where.
pub(super) fn parse(text: &str) -> Result<Tests, String> {
    let tests: Tests = toml::from_str(text).map_err(|error| error.to_string())?;
    if tests.test.is_empty() {
        return Err("holds no test: write [[test]]".to_owned());
    }
    Ok(tests)
}
