//! What can be asked of Binance, over REST and over the WebSocket API alike.

use serde_json::Value;

use super::{Fault, Params, account, futures, keys, margin, market};
use crate::simulate::floor::Floor;

/// One thing that can be asked.
pub struct Route {
    /// The REST verb and path, or the WebSocket method's name.
    pub names: [&'static str; 2],
    /// Who may ask.
    pub security: Security,
    /// What it costs.
    pub weight: fn(&Params) -> u32,
    /// The answer; the account is given for signed requests.
    pub answer: fn(&Floor, Option<usize>, &Params) -> Result<Value, Fault>,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Everybody.
    Public,
    /// Whoever names a key; nothing is signed.
    Keyed,
    /// Whoever signs.
    Signed,
}

const fn public(
    names: [&'static str; 2],
    weight: fn(&Params) -> u32,
    answer: fn(&Floor, Option<usize>, &Params) -> Result<Value, Fault>,
) -> Route {
    Route { names, security: Security::Public, weight, answer }
}

const fn signed(
    names: [&'static str; 2],
    weight: fn(&Params) -> u32,
    answer: fn(&Floor, Option<usize>, &Params) -> Result<Value, Fault>,
) -> Route {
    Route { names, security: Security::Signed, weight, answer }
}

/// An endpoint over REST alone, for whoever names a key.
const fn keyed(name: &'static str, answer: fn(&Floor, Option<usize>, &Params) -> Result<Value, Fault>) -> Route {
    Route { names: [name, ""], security: Security::Keyed, weight: |_| 1, answer }
}

fn has(params: &Params, name: &str) -> bool {
    params.contains_key(name)
}

/// Everything that can be asked.
pub const ROUTES: &[Route] = &[
    public(["GET /api/v3/ping", "ping"], |_| 1, |_, _, _| Ok(Value::Object(Default::default()))),
    public(["GET /api/v3/time", "time"], |_| 1, market::time),
    public(["GET /api/v3/exchangeInfo", "exchangeInfo"], |_| 20, market::exchange_info),
    public(["GET /api/v3/ticker/24hr", "ticker.24hr"], |p| if has(p, "symbol") { 2 } else { 80 }, market::day),
    public(["GET /api/v3/ticker/price", "ticker.price"], |p| if has(p, "symbol") { 2 } else { 4 }, market::last),
    public(["GET /api/v3/ticker/bookTicker", "ticker.book"], |p| if has(p, "symbol") { 2 } else { 4 }, market::book),
    public(["GET /api/v3/klines", "klines"], |_| 2, market::klines),
    public(["GET /api/v3/trades", "trades.recent"], |_| 25, market::trades),
    public(["GET /api/v3/aggTrades", "trades.aggregate"], |_| 4, market::agg_trades),
    public(["GET /api/v3/depth", "depth"], |_| 5, market::depth),
    signed(["GET /api/v3/account", "account.status"], |_| 20, account::status),
    signed(["GET /api/v3/myTrades", "myTrades"], |p| if has(p, "orderId") { 5 } else { 20 }, account::my_trades),
    signed(["GET /api/v3/order", "order.status"], |_| 4, account::order),
    signed(["GET /api/v3/allOrders", "allOrders"], |_| 20, account::all_orders),
    signed(
        ["GET /api/v3/openOrders", "openOrders.status"],
        |p| if has(p, "symbol") { 6 } else { 80 },
        account::open_orders,
    ),
    signed(["DELETE /api/v3/openOrders", "openOrders.cancelAll"], |_| 0, account::cancel_all),
    signed(["POST /api/v3/order", "order.place"], |_| 0, account::place),
    signed(["GET /sapi/v1/account/apiRestrictions", ""], |_| 0, account::restrictions),
    signed(["GET /sapi/v1/sub-account/list", ""], |_| 0, account::sub_accounts),
    signed(["GET /sapi/v1/sub-account/subAccountApi", ""], |_| 0, account::sub_keys),
    signed(["GET /sapi/v1/sub-account/subAccountApi/ipRestriction", ""], |_| 0, account::sub_key_addresses),
    signed(["DELETE /sapi/v1/sub-account/subAccountApi", ""], |_| 0, keys::delete),
    signed(["POST /sapi/v1/sub-account/subAccountApiPermission", ""], |_| 0, keys::permit),
    signed(["POST /sapi/v2/sub-account/subAccountApi/ipRestriction", ""], |_| 0, keys::restrict),
    signed(["DELETE /sapi/v1/sub-account/subAccountApi/ipRestriction/ipList", ""], |_| 0, keys::unlist),
    signed(["DELETE /sapi/v1/margin/openOrders", ""], |_| 1, margin::cancel_all),
    signed(["DELETE /fapi/v1/allOpenOrders", ""], |_| 1, futures::cancel_all),
    signed(["POST /fapi/v1/countdownCancelAll", ""], |_| 10, futures::count_down),
    keyed("POST /sapi/v1/userListenToken", margin::token),
    signed(["GET /sapi/v1/margin/account", ""], |_| 10, margin::status),
    signed(["GET /sapi/v1/margin/myTrades", ""], |_| 10, margin::my_trades),
    signed(["GET /sapi/v1/margin/openOrders", ""], |_| 10, margin::open_orders),
    signed(["POST /sapi/v1/margin/order", ""], |_| 6, margin::place),
    keyed("POST /fapi/v1/listenKey", futures::listen_key),
    keyed("PUT /fapi/v1/listenKey", futures::keep_alive),
    keyed("DELETE /fapi/v1/listenKey", futures::close),
    public(["GET /fapi/v1/ping", ""], |_| 1, |_, _, _| Ok(Value::Object(Default::default()))),
    public(["GET /fapi/v1/time", ""], |_| 1, market::time),
    public(["GET /fapi/v1/exchangeInfo", ""], |_| 1, futures::exchange_info),
    // Before anybody trades a contract, its market is that of the pair it is on.
    public(["GET /fapi/v1/ticker/24hr", ""], |_| 1, market::day),
    public(["GET /fapi/v1/ticker/price", ""], |_| 1, market::last),
    public(["GET /fapi/v1/klines", ""], |_| 5, market::klines),
    public(["GET /fapi/v1/aggTrades", ""], |_| 20, market::agg_trades),
    signed(["GET /fapi/v2/account", ""], |_| 5, futures::account),
    signed(["GET /fapi/v3/account", ""], |_| 5, futures::account),
    signed(["GET /fapi/v2/balance", ""], |_| 5, futures::balance),
    signed(["GET /fapi/v3/balance", ""], |_| 5, futures::balance),
    signed(["GET /fapi/v2/positionRisk", ""], |_| 5, futures::positions),
    signed(["GET /fapi/v3/positionRisk", ""], |_| 5, futures::positions),
    signed(["GET /fapi/v1/leverageBracket", ""], |_| 1, futures::brackets),
    signed(["GET /fapi/v1/userTrades", ""], |_| 5, futures::user_trades),
    signed(["GET /fapi/v1/income", ""], |_| 30, futures::income),
    signed(["GET /fapi/v1/openOrders", ""], |_| 40, futures::open_orders),
    signed(["POST /fapi/v1/order", ""], |_| 0, futures::place),
];

/// Finds a route by verb and path, or by method.
pub fn find(name: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| !name.is_empty() && route.names.contains(&name))
}
