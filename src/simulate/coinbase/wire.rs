//! Orders, fills and balances as Coinbase writes them.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::domain::Venue;
use crate::simulate::spelling::{capitals, order_id, rfc3339, trade_id};
use crate::simulate::world::{Account, Fill, Order, OrderKind, Pair, Status};

/// What Coinbase writes for a time that is none.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Writes an amount without trailing zeros.
pub fn plain(amount: Decimal) -> String {
    amount.normalize().to_string()
}

/// Returns an order as the `user` channel tells it: running totals, all strings.
pub fn user_order(pair: &Pair, order: &Order) -> Value {
    let left = if order.is_open() { order.quantity - order.filled } else { Decimal::ZERO };
    let ended = if order.is_open() { NEVER.to_owned() } else { rfc3339(order.updated) };
    json!({
        "avg_price": plain(order.average().round_dp(12)), "cancel_reason": "", "client_order_id": order.client_id,
        "completion_percentage": percent(order), "contract_expiry_type": "UNKNOWN_CONTRACT_EXPIRY_TYPE",
        "cumulative_quantity": plain(order.filled), "filled_value": plain(order.filled_quote), "leaves_quantity": plain(left),
        "limit_price": order.limit.map(plain).unwrap_or_else(|| "0".to_owned()), "number_of_fills": order.fills.to_string(),
        "order_id": order_id(Venue::Coinbase, order.id, order.created), "order_side": capitals(order.side),
        "order_type": match order.kind { OrderKind::Market => "Market", OrderKind::Limit => "Limit" },
        "outstanding_hold_amount": "0", "post_only": "false", "product_id": pair.spelled(), "product_type": "SPOT",
        "reject_reason": "", "retail_portfolio_id": "", "risk_managed_by": "UNKNOWN_RISK_MANAGEMENT_TYPE",
        "status": status(order), "stop_price": "", "time_in_force": time_in_force(order), "total_fees": plain(order.fees),
        "total_value_after_fees": plain(order.filled_quote + order.fees), "trigger_status": "INVALID_ORDER_TYPE",
        "creation_time": rfc3339(order.created), "end_time": ended, "start_time": NEVER,
    })
}

/// Returns an order as REST gives it.
pub fn order(pair: &Pair, owner: &Account, order: &Order) -> Value {
    let configuration = match (order.kind, order.funds) {
        (OrderKind::Limit, _) => json!({"limit_limit_gtc": {"base_size": plain(order.quantity),
            "limit_price": plain(order.limit.unwrap_or_default()), "post_only": false}}),
        (OrderKind::Market, Some(funds)) => json!({"market_market_ioc": {"quote_size": plain(funds)}}),
        (OrderKind::Market, None) => json!({"market_market_ioc": {"base_size": plain(order.quantity)}}),
    };
    json!({
        "order_id": order_id(Venue::Coinbase, order.id, order.created), "product_id": pair.spelled(),
        "user_id": owner.uid.to_string(), "order_configuration": configuration, "side": capitals(order.side),
        "client_order_id": order.client_id, "status": status(order), "time_in_force": time_in_force(order),
        "created_time": rfc3339(order.created), "completion_percentage": percent(order), "filled_size": plain(order.filled),
        "average_filled_price": plain(order.average().round_dp(12)), "fee": "", "number_of_fills": order.fills.to_string(),
        "filled_value": plain(order.filled_quote), "pending_cancel": false, "size_in_quote": false,
        "total_fees": plain(order.fees), "size_inclusive_of_fees": false,
        "total_value_after_fees": plain(order.filled_quote + order.fees), "trigger_status": "INVALID_ORDER_TYPE",
        "order_type": match order.kind { OrderKind::Market => "MARKET", OrderKind::Limit => "LIMIT" },
        "reject_reason": "REJECT_REASON_UNSPECIFIED", "settled": !order.is_open(), "product_type": "SPOT",
        "reject_message": "", "cancel_message": "",
        "order_placement_source": if order.by_hand { "RETAIL_SIMPLE" } else { "RETAIL_ADVANCED" },
        "outstanding_hold_amount": "0", "is_liquidation": false,
        "last_fill_time": if order.fills > 0 { json!(rfc3339(order.updated)) } else { Value::Null },
        "edit_history": [], "leverage": "", "margin_type": "UNKNOWN_MARGIN_TYPE", "retail_portfolio_id": portfolio(owner),
    })
}

/// Returns a row of List Fills.
pub fn fill(pair: &Pair, owner: &Account, fill: &Fill, by_hand: bool, created: crate::domain::Timestamp) -> Value {
    json!({
        "entry_id": entry_id(fill), "trade_id": trade_id(Venue::Coinbase, fill.pair, fill.trade_id),
        "order_id": order_id(Venue::Coinbase, fill.order_id, created), "trade_time": rfc3339(fill.time),
        "trade_type": "FILL", "price": plain(fill.price), "size": plain(fill.quantity), "commission": plain(fill.fee),
        "product_id": pair.spelled(), "sequence_timestamp": rfc3339(fill.time),
        "liquidity_indicator": if fill.maker { "MAKER" } else { "TAKER" }, "size_in_quote": false,
        "user_id": owner.uid.to_string(), "side": capitals(fill.side), "retail_portfolio_id": portfolio(owner),
        "fill_source": if by_hand { "FILL_SOURCE_SIMPLE" } else { "FILL_SOURCE_ADVANCED" },
        "commission_detail_total": {"total_commission": plain(fill.fee), "gst_commission": "",
            "withholding_commission": "", "client_commission": plain(fill.fee)},
    })
}

/// Returns the portfolio a key is bound to.
pub fn portfolio(owner: &Account) -> String {
    format!("{:08x}-0000-4000-8000-{:012x}", owner.uid & 0xffff_ffff, owner.uid)
}

fn entry_id(fill: &Fill) -> String {
    blake3::hash(format!("entry/{}", fill.serial).as_bytes()).to_hex().to_string()
}

fn percent(order: &Order) -> String {
    plain((order.filled * Decimal::ONE_HUNDRED).checked_div(order.quantity).unwrap_or_default().round_dp(2))
}

fn status(order: &Order) -> &'static str {
    match order.status {
        Status::New if order.kind == OrderKind::Market => "PENDING",
        Status::New | Status::Partly => "OPEN",
        Status::Filled => "FILLED",
        Status::Cancelled => "CANCELLED",
    }
}

fn time_in_force(order: &Order) -> &'static str {
    match order.kind {
        OrderKind::Market => "IMMEDIATE_OR_CANCEL",
        OrderKind::Limit => "GOOD_UNTIL_CANCELLED",
    }
}
