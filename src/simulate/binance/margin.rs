//! Margin: listen tokens, and the answers of spot about another wallet.

use serde_json::{Value, json};

use super::wire::eight;
use super::{Fault, Params, account};
use crate::domain::{Symbol, Wallet};
use crate::runtime::clock;
use crate::simulate::floor::{Floor, locked};

/// Returns the place of a wallet, where the key has the right to it.
pub fn wallet(floor: &Floor, who: Option<usize>, wallet: &Wallet) -> Result<usize, Fault> {
    let mut world = floor.world();
    let who = who.ok_or_else(Fault::bad_key)?;
    match world.accounts.get(who) {
        Some(owner) if !owner.barred.contains(wallet) => {}
        Some(_) | None => return Err(Fault::bad_key()),
    }
    world.wallet(who, wallet).ok_or_else(Fault::bad_key)
}

/// Returns the margin wallet that the parameters mean: cross, or isolated of a pair.
fn meant(floor: &Floor, params: &Params) -> Result<Wallet, Fault> {
    if !params.get("isIsolated").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Ok(Wallet::Margin);
    }
    let world = floor.world();
    let pair = world.pairs.get(account::symbol(&world, params)?).ok_or_else(Fault::bad_symbol)?;
    let symbol = Symbol::from_dashed(&format!("{}-{}", pair.base(), pair.quote())).map_err(|_| Fault::bad_symbol())?;
    Ok(Wallet::Isolated(symbol))
}

/// Answers a new listen token.
pub fn token(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let at = wallet(floor, who, &meant(floor, params)?)?;
    let longest = i64::try_from(floor.settings.listen_token_life.as_millis()).unwrap_or(i64::MAX);
    let validity = account::number(params, "validity")?.unwrap_or(longest).clamp(1, longest);
    let now = clock::now();
    let until = now + crate::domain::Span::from_millis(validity);
    let token = floor.world().accounts.get_mut(at).map(|owner| owner.dice.word(70)).ok_or_else(Fault::bad_key)?;
    let mut tokens = locked(&floor.listen_tokens);
    tokens.retain(|_, (_, until)| *until > now);
    tokens.insert(token.clone(), (at, until));
    Ok(json!({"token": token, "expirationTime": until.millis()}))
}

/// Answers `margin/account`.
pub fn status(floor: &Floor, who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    let at = wallet(floor, who, &Wallet::Margin)?;
    let world = floor.world();
    let owner = world.accounts.get(at).ok_or_else(Fault::bad_key)?;
    let row = |(asset, held): (&String, &crate::simulate::world::Holding)| {
        json!({"asset": asset, "borrowed": "0.00000000", "free": eight(held.free), "interest": "0.00000000",
            "locked": eight(held.locked), "netAsset": eight(held.free + held.locked)})
    };
    let assets: Vec<Value> = owner.holdings.iter().map(row).collect();
    Ok(json!({"borrowEnabled": true, "created": true, "marginLevel": "999.00000000", "tradeEnabled": true,
        "transferInEnabled": true, "transferOutEnabled": true, "accountType": "MARGIN_1", "userAssets": assets}))
}

/// Answers `margin/myTrades`.
pub fn my_trades(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let at = wallet(floor, who, &meant(floor, params)?)?;
    let rows = account::my_trades(floor, Some(at), params)?;
    let isolated = matches!(meant(floor, params)?, Wallet::Isolated(_));
    let Value::Array(mut rows) = rows else { return Ok(rows) };
    for row in rows.iter_mut().filter_map(Value::as_object_mut) {
        row.remove("quoteQty");
        row.insert("isIsolated".to_owned(), json!(isolated));
    }
    Ok(Value::Array(rows))
}

/// Answers `margin/openOrders`.
pub fn open_orders(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    account::open_orders(floor, Some(wallet(floor, who, &meant(floor, params)?)?), params)
}

/// Cancels all open orders of a pair.
pub fn cancel_all(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    account::cancel_all(floor, Some(wallet(floor, who, &meant(floor, params)?)?), params)
}

/// Places a margin order at market.
pub fn place(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    account::place(floor, Some(wallet(floor, who, &meant(floor, params)?)?), params)
}

/// Returns whose a token is and until when it is good.
pub fn of_token(floor: &Floor, token: &str) -> Result<(usize, crate::domain::Timestamp), Fault> {
    let tokens = locked(&floor.listen_tokens);
    let found = tokens.get(token).copied().filter(|(_, until)| *until > clock::now());
    found.ok_or_else(|| Fault::new(400, -1209, "Invalid listenToken."))
}
