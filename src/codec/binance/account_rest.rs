//! What Binance answers when it is asked about an account: trades, balances, orders.
//!
//! <https://developers.binance.com/docs/binance-spot-api-docs/rest-api#account-endpoints>

use serde::Deserialize;

use super::super::scalar::{Amiss, Listed, Object, Scalar};
use super::super::shape::{Heard, parameter, path, read, rows, word};
use super::super::symbols::{Names, Symbols};
use super::super::unread::Unread;
use super::envelope::refusal;
use super::keys;
use super::report::{fee, notional, pair, short, step_of};
use crate::domain::{Balance, BalanceWhy, Basis, EventKind, FeedKind, Fill, OrderChange, OrderStep, Side, Via, Wallet};

/// `{"symbol":"APPCBTC","id":5512345,"orderId":81234567,"orderListId":-1,"price":"0.00002090","qty":"40.00000000",
/// "quoteQty":"0.00083600","commission":"0.04000000","commissionAsset":"APPC","time":1775572206250,"isBuyer":true,
/// "isMaker":false,"isBestMatch":true}`; allocations carry `allocationId`, futures `buyer` and `maker`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Trade<'a> {
    symbol: Scalar<'a>,
    id: Scalar<'a>,
    allocation_id: Scalar<'a>,
    order_id: Scalar<'a>,
    price: Scalar<'a>,
    qty: Scalar<'a>,
    quote_qty: Scalar<'a>,
    commission: Scalar<'a>,
    commission_asset: Scalar<'a>,
    time: Scalar<'a>,
    #[serde(alias = "buyer")]
    is_buyer: Scalar<'a>,
    #[serde(alias = "maker")]
    is_maker: Scalar<'a>,
}

/// `{"symbol":"APPCBTC","orderId":81234567,"clientOrderId":"bot-17","price":"0.00002100","origQty":"120.00000000",
/// "executedQty":"40.00000000","status":"PARTIALLY_FILLED","type":"LIMIT","side":"BUY","time":1775572206200,
/// "updateTime":1775572206250}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Order<'a> {
    symbol: Scalar<'a>,
    order_id: Scalar<'a>,
    client_order_id: Scalar<'a>,
    status: Scalar<'a>,
    #[serde(rename = "type")]
    order_type: Scalar<'a>,
    side: Scalar<'a>,
    time: Scalar<'a>,
    update_time: Scalar<'a>,
}

/// `{"canTrade":true,"updateTime":1775572206250,"balances":[{"asset":"BTC","free":"0.512","locked":"0"}],"uid":1}`; margin
/// calls the list `userAssets`, futures `assets`, whose rows are `{"asset":"USDT","walletBalance":"912.4"}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Account<'a> {
    update_time: Scalar<'a>,
    #[serde(alias = "userAssets", alias = "assets")]
    balances: Vec<Held<'a>>,
}

/// `{"asset":"BTC","free":"0.51200000","locked":"0.00000000"}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Held<'a> {
    asset: Scalar<'a>,
    free: Scalar<'a>,
    locked: Scalar<'a>,
    wallet_balance: Scalar<'a>,
}

/// Tells what an answer says; a row that cannot be read costs no other row.
pub(super) fn page(call: &str, json: &str, symbols: &Symbols, heard: &mut Heard<'_>) -> Result<(), Unread> {
    if let Some(refusal) = refusal(json) {
        refusal.tell(heard);
        return Ok(());
    }
    let path = path(call);
    let names = if heard.wallet() == Wallet::Futures { symbols.contracts() } else { symbols.spot() };
    match path.rsplit('/').next().unwrap_or("") {
        trades @ ("myTrades" | "userTrades" | "myAllocations") => {
            // Only futures have this call, whoever asked.
            let names = if trades == "userTrades" { symbols.contracts() } else { names };
            let asked = parameter(call, "symbol");
            for row in rows("trades", json)? {
                let told =
                    read::<Object<Trade<'_>>>("a trade", row.get()).and_then(|trade| trade.0.tell(asked, names, heard));
                heard.row(told);
            }
            Ok(())
        }
        "openOrders" | "allOrders" | "order" => {
            let orders: Listed<Order<'_>> = read("orders", json)?;
            let orders = match &orders {
                Listed::One(order) => std::slice::from_ref(order),
                Listed::Many(orders) => orders,
            };
            for order in orders {
                let told = order.tell(names, heard);
                heard.row(told);
            }
            Ok(())
        }
        "account" => read::<Object<Account<'_>>>("an account", json)?.0.tell(heard),
        "apiRestrictions" => keys::own(call, json, heard),
        "subAccountApi" => keys::listed(call, json, heard),
        "ipRestriction" => keys::restriction(call, json, heard),
        "list" if path.contains("sub-account") => Ok(()),
        "apiTradingStatus" | "status" | "time" | "ping" | "openOrderList" | "allOrderList" | "userListenToken"
        | "listenKey" | "income" | "positionRisk" | "rateLimit" | "commission" => Ok(()),
        _ => {
            heard.feed(FeedKind::Unknown(short(path)));
            Ok(())
        }
    }
}

impl Trade<'_> {
    /// Rows of 2017 leave out the pair that was asked for.
    fn tell(&self, asked: Option<&str>, names: Names<'_>, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let symbol = match (&self.symbol, asked) {
            (Scalar::Absent, Some(asked)) => names.read(asked).map_err(|why| Amiss::Refused("symbol", why))?,
            (told, _) => pair(told, "symbol", names)?,
        };
        let (price, quantity) = (self.price.price("price")?, self.qty.quantity("qty")?);
        let fill = Fill {
            account: heard.account()?,
            symbol,
            side: if self.is_buyer.flag("isBuyer")? { Side::Buy } else { Side::Sell },
            price,
            quantity,
            notional: notional(price, quantity, self.quote_qty.amount_if_told("quoteQty")?)?,
            fee: fee(&self.commission, "commission", &self.commission_asset, "commissionAsset")?,
            maker: self.is_maker.flag_if_told("isMaker")?,
            // Spelled as the feed spells it, or the same allocation would count twice.
            trade_id: Some(match self.allocation_id.id_if_told("allocationId")? {
                Some(id) => compact_str::format_compact!("a{id}"),
                None => self.id.id("id")?,
            }),
            order_id: self.order_id.id("orderId")?,
            client_order_id: None,
            source: None,
            order_type: None,
            time: self.time.time("time")?,
            basis: Basis::Exact,
            via: Via::Rest,
        };
        heard.push(EventKind::Fill(fill));
        Ok(())
    }
}

impl Order<'_> {
    fn tell(&self, names: Names<'_>, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let step = step_of(self.status.word("status")?);
        // An order on the book is told of by when it came, any other by what happened to it last.
        let time = match (step, &self.update_time) {
            (OrderStep::Accepted, _) | (_, Scalar::Absent) => self.time.time("time")?,
            (_, update) => update.time("updateTime")?,
        };
        let order = OrderChange {
            account: heard.account()?,
            symbol: pair(&self.symbol, "symbol", names)?,
            side: Some(self.side.side("side")?),
            order_id: self.order_id.id("orderId")?,
            client_order_id: self.client_order_id.id_if_told("clientOrderId")?,
            source: None,
            order_type: self.order_type.text().and_then(word),
            step,
            reason: None,
            time,
        };
        heard.push(EventKind::Order(order));
        Ok(())
    }
}

impl Account<'_> {
    fn tell(&self, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let time = match self.update_time.time("updateTime") {
            Ok(time) => time,
            // An account that never moved has none.
            Err(Amiss::Missing(_) | Amiss::Time(_)) => heard.at(),
            Err(other) => return Err(other.into()),
        };
        for held in &self.balances {
            let (free, locked) = match held.wallet_balance.amount_if_told("walletBalance")? {
                Some(total) => (total, None),
                None => (held.free.amount("free")?, Some(held.locked.amount("locked")?)),
            };
            let balance = Balance {
                account: heard.account()?,
                wallet: heard.wallet(),
                asset: held.asset.asset("asset")?,
                free: Some(free),
                locked,
                delta: None,
                why: BalanceWhy::Read,
                time,
            };
            heard.push(EventKind::Balance(balance));
        }
        Ok(())
    }
}
