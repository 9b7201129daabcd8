//! What an account's page says there is: balances of spot and cross margin, positions of futures.

use serde::Deserialize;

use super::gap::{Totals, read};
use crate::domain::decimal;
use crate::feed::error::Error;

/// The error for amounts that are none.
const REFUSED: Error = Error::Protocol("an account page that cannot be read");

/// Spot calls its list `balances`, margin `userAssets`.
#[derive(Deserialize)]
struct Balances {
    #[serde(alias = "userAssets")]
    balances: Vec<Asset>,
    #[serde(rename = "updateTime")]
    update_time: Option<i64>,
}

#[derive(Deserialize)]
struct Asset {
    asset: String,
    free: String,
    locked: String,
}

#[derive(Deserialize)]
struct Positions {
    #[serde(default)]
    positions: Vec<Position>,
}

#[derive(Deserialize)]
struct Position {
    symbol: String,
    #[serde(rename = "positionSide", default)]
    side: String,
    #[serde(rename = "positionAmt")]
    amount: String,
}

/// Returns what is free and locked of each asset, together, and when it was so in milliseconds, where the page tells.
pub(super) fn totals(text: &str) -> Result<(Totals, Option<i64>), Error> {
    let page: Balances = read(text)?;
    let total = |asset: Asset| {
        let sum = decimal(&asset.free).ok()?.checked_add(decimal(&asset.locked).ok()?)?;
        Some((asset.asset, sum))
    };
    let totals = page.balances.into_iter().map(|asset| total(asset).ok_or(REFUSED)).collect::<Result<_, Error>>()?;
    Ok((totals, page.update_time))
}

/// Returns the positions by pair and side.
pub(super) fn positions(text: &str) -> Result<Totals, Error> {
    let page: Positions = read(text)?;
    let row = |row: Position| Some((named(&row.symbol, &row.side), decimal(&row.amount).ok()?));
    page.positions.into_iter().map(|position| row(position).ok_or(REFUSED)).collect()
}

/// Returns the name of a position.
pub(super) fn named(symbol: &str, side: &str) -> String {
    if matches!(side, "" | "BOTH") { symbol.to_owned() } else { format!("{symbol} {side}") }
}
