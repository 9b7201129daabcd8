//! Trades, orders and holdings as each exchange writes them.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::domain::{AccountId, Asset, Side, Timestamp, Venue};
use crate::tune::frames::{self, Execution};
use crate::tune::tape::Trade;

/// An account's own market or limit order, filled at once.
pub(super) struct Order<'a> {
    pub(super) pair: (&'a str, &'a str),
    pub(super) side: Side,
    pub(super) maker: bool,
    pub(super) client_id: &'a str,
    pub(super) number: u64,
    pub(super) at: Timestamp,
    pub(super) price: Decimal,
    pub(super) quantity: Decimal,
}

/// An exchange's way to write, with the running numbers of its connections.
pub(super) struct Spelling {
    pub(super) account: AccountId,
    /// Coinbase numbers the messages of each connection.
    told: u64,
    printed: u64,
}

/// Far above any number in use, so that an invented id is seen to be one.
const IDS: u64 = 9_000_000_000;

impl Spelling {
    pub(super) fn new(account: AccountId) -> Self {
        Spelling { account, told: 0, printed: 0 }
    }

    /// Writes a public trade.
    pub(super) fn trade(
        &mut self,
        (base, quote): (&str, &str),
        number: u64,
        at: Timestamp,
        taker: Side,
        (price, amount): (Decimal, Decimal),
    ) -> String {
        match self.account.venue {
            Venue::Binance => {
                let wire = format!("{base}{quote}");
                let trade = Trade { ms: at.millis(), taker, price, amount };
                frames::trade(&format!("{}@trade", wire.to_lowercase()), &wire, IDS + number, &trade)
            }
            Venue::Kucoin => {
                let pair = format!("{base}-{quote}");
                json!({
                    "topic": format!("/market/match:{pair}"), "type": "message", "subject": "trade.l3match",
                    "data": {
                        "sequence": number.to_string(), "type": "match", "symbol": pair, "side": small(taker),
                        "price": plain(price), "size": plain(amount), "tradeId": (IDS + number).to_string(),
                        "takerOrderId": format!("{:024x}", IDS + number), "makerOrderId": format!("{:024x}", number),
                        "time": at.nanos().to_string(),
                    },
                })
                .to_string()
            }
            Venue::Coinbase => {
                let waited = if taker == Side::Buy { "SELL" } else { "BUY" };
                let trade = json!({
                    "trade_id": (IDS + number).to_string(), "product_id": format!("{base}-{quote}"), "price": plain(price),
                    "size": plain(amount), "time": at.to_string(), "side": waited,
                });
                let sequence = self.printed;
                self.printed += 1;
                coinbase("market_trades", at, sequence, json!([{"type": "update", "trades": [trade]}]))
            }
        }
    }

    /// Writes that an order was taken in, and that it was filled.
    pub(super) fn order(&mut self, order: &Order<'_>) -> Vec<String> {
        match self.account.venue {
            Venue::Binance => binance_order(order),
            Venue::Kucoin => [false, true].map(|filled| kucoin_order(order, filled).to_string()).into(),
            Venue::Coinbase => {
                let sequence = self.told;
                self.told += 2;
                [(0, false), (1, true)]
                    .map(|(place, filled)| {
                        let event = json!([{"type": "update", "orders": [coinbase_order(order, filled)]}]);
                        coinbase("user", order.at, sequence + place, event)
                    })
                    .into()
            }
        }
    }

    /// Writes what is held of an asset; nothing where the exchange's feed does not tell.
    pub(super) fn holds(&self, asset: &str, amount: Decimal, at: Timestamp) -> Option<String> {
        match self.account.venue {
            Venue::Binance => {
                let asset = Asset::new(asset).ok()?;
                Some(frames::position(at.millis(), &[(&asset, amount, Decimal::ZERO)]))
            }
            Venue::Kucoin => Some(
                json!({
                    "topic": "/account/balance", "type": "message", "subject": "account.balance",
                    "channelType": "private",
                    "data": {
                        "accountId": "1", "currency": asset, "total": plain(amount), "available": plain(amount),
                        "hold": "0", "availableChange": "0", "holdChange": "0", "relationEvent": "trade_hf.setted",
                        "relationEventId": "1", "time": at.millis().to_string(),
                    },
                })
                .to_string(),
            ),
            // Only its REST answers tell balances.
            Venue::Coinbase => None,
        }
    }
}

fn binance_order(order: &Order<'_>) -> Vec<String> {
    let wire = format!("{}{}", order.pair.0, order.pair.1);
    let quote = (order.price * order.quantity).round_dp(8);
    let Ok(fee_asset) = Asset::new("BNB") else { return Vec::new() };
    let taker = if order.maker { order.side.opposite() } else { order.side };
    let trade = Trade { ms: order.at.millis(), taker, price: order.price, amount: order.quantity };
    let written = frames::Order {
        wire: &wire,
        side: order.side,
        maker: order.maker,
        client_id: order.client_id,
        id: IDS + order.number,
        placed_ms: order.at.millis(),
        quantity: order.quantity,
        quote,
        limit: order.price,
    };
    let done = Execution {
        trade: &trade,
        id: IDS + order.number,
        quote,
        filled: order.quantity,
        filled_quote: quote,
        fee: Decimal::ZERO,
        fee_asset: &fee_asset,
    };
    vec![frames::accepted(&written, 2 * order.number), frames::executed(&written, 2 * order.number + 1, &done)]
}

fn kucoin_order(order: &Order<'_>, filled: bool) -> Value {
    let kind = if order.maker { "limit" } else { "market" };
    let mut data = json!({
        "symbol": format!("{}-{}", order.pair.0, order.pair.1), "orderType": kind, "side": small(order.side),
        "orderId": format!("{:024x}", IDS + order.number), "orderTime": order.at.millis(), "clientOid": order.client_id,
        "originSize": plain(order.quantity), "ts": order.at.nanos(), "type": "received", "status": "new",
    });
    if filled {
        let (status, fee) = if order.maker { ("open", "makerFee") } else { ("match", "takerFee") };
        for (name, value) in [
            ("type", json!("match")),
            ("status", json!(status)),
            ("feeType", json!(fee)),
            ("size", json!(plain(order.quantity))),
            ("filledSize", json!(plain(order.quantity))),
            ("remainSize", json!("0")),
            ("canceledSize", json!("0")),
            ("matchPrice", json!(plain(order.price))),
            ("matchSize", json!(plain(order.quantity))),
            ("tradeId", json!((IDS + order.number).to_string())),
        ] {
            data[name] = value;
        }
    }
    json!({
        "topic": "/spotMarket/tradeOrdersV2", "type": "message", "subject": "orderChange", "channelType": "private",
        "data": data,
    })
}

fn coinbase_order(order: &Order<'_>, filled: bool) -> Value {
    let done = if filled { order.quantity } else { Decimal::ZERO };
    json!({
        "order_id": format!("00000000-0000-4000-8000-{:012x}", IDS + order.number), "client_order_id": order.client_id,
        "cumulative_quantity": plain(done), "leaves_quantity": plain(order.quantity - done),
        "avg_price": if filled { plain(order.price) } else { "0".to_owned() }, "total_fees": "0",
        "filled_value": plain((order.price * done).round_dp(8)), "status": if filled { "FILLED" } else { "OPEN" },
        "product_id": format!("{}-{}", order.pair.0, order.pair.1), "creation_time": order.at.to_string(),
        "order_side": if order.side == Side::Buy { "BUY" } else { "SELL" },
        "order_type": if order.maker { "Limit" } else { "Market" }, "number_of_fills": if filled { "1" } else { "0" },
        "cancel_reason": "", "reject_reason": "", "product_type": "SPOT",
    })
}

fn coinbase(channel: &str, at: Timestamp, sequence: u64, events: Value) -> String {
    json!({
        "channel": channel, "client_id": "", "timestamp": at.to_string(), "sequence_num": sequence, "events": events,
    })
    .to_string()
}

fn small(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

fn plain(amount: Decimal) -> String {
    amount.normalize().to_string()
}
