//! The shipped rules that are asked about every order.

use super::{Case, Levels, churn_loss, liquidation, planted_ask, pump_buy, slow_buying, unknown_origin};
use crate::domain::{Finding, RuleName};
use crate::engine::Settings;

/// A rule that judges orders.
pub struct OrderRule {
    /// Which.
    pub name: RuleName,
    /// Asks it.
    pub judge: fn(&Settings, &Case<'_>) -> Option<Finding>,
    /// Returns its levels, to be changed.
    pub levels: fn(&mut Settings) -> &mut Levels,
}

/// Takes the rule's name, and its place among the settings and the rules.
macro_rules! rule {
    ($name:ident, $place:ident) => {
        OrderRule {
            name: RuleName::$name,
            judge: |all, case| $place::judge(&all.$place, case),
            levels: |all| &mut all.$place.levels,
        }
    };
}

/// All of them, in the order they are asked.
pub const OF_ORDERS: [OrderRule; 6] = [
    rule!(PumpBuy, pump_buy),
    rule!(PlantedAsk, planted_ask),
    rule!(ChurnLoss, churn_loss),
    rule!(Liquidation, liquidation),
    rule!(SlowBuying, slow_buying),
    rule!(UnknownOrigin, unknown_origin),
];
