//! What can be asked of Binance, over REST and over the WebSocket API alike.

use serde_json::Value;

use super::{Fault, Params, account, market};
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
];

/// Finds a route by verb and path, or by method.
pub fn find(name: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| !name.is_empty() && route.names.contains(&name))
}
