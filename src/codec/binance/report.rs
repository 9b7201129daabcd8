//! Execution reports: which of them are fills, and what the others say of an order.
//!
//! <https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream#order-update>

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::super::scalar::{Amiss, Scalar};
use super::super::shape::{Heard, figure, name, some, unread, word};
use super::super::symbols::Names;
use super::super::unread::Unread;
use crate::domain::{
    AccountId, BY_EXCHANGE, Basis, EventKind, FeedKind, Fill, Money, OrderChange, OrderStep, Price, Quantity, Refused,
    Symbol, Via,
};

/// A report on an order. Keys differ by case only:
///
/// `{"e":"executionReport","E":1775572206251,"s":"APPCBTC","c":"bot-17","S":"BUY","o":"LIMIT","f":"GTC",
/// "q":"120.00000000","p":"0.00002100","C":"","x":"TRADE","X":"PARTIALLY_FILLED","r":"NONE","i":81234567,
/// "l":"40.00000000","z":"40.00000000","L":"0.00002090","n":"0.04000000","N":"APPC","T":1775572206250,"t":5512345,
/// "w":false,"m":false,"Z":"0.00083600","Y":"0.00083600"}`
///
/// USD-M futures send the same keys, without `Y`, under `o` of an `ORDER_TRADE_UPDATE`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Report<'a> {
    /// The event's name; absent inside an `ORDER_TRADE_UPDATE`.
    #[serde(rename = "e")]
    pub(super) event: Scalar<'a>,
    #[serde(rename = "s")]
    symbol: Scalar<'a>,
    #[serde(rename = "c")]
    client_order_id: Scalar<'a>,
    /// On a cancel the order's own client id, where `c` is the cancel request's.
    #[serde(rename = "C")]
    original_client_order_id: Scalar<'a>,
    #[serde(rename = "S")]
    side: Scalar<'a>,
    #[serde(rename = "o")]
    order_type: Scalar<'a>,
    #[serde(rename = "x")]
    execution: Scalar<'a>,
    #[serde(rename = "X")]
    status: Scalar<'a>,
    #[serde(rename = "r")]
    reject_reason: Scalar<'a>,
    #[serde(rename = "eR")]
    expiry_reason: Scalar<'a>,
    #[serde(rename = "i")]
    order_id: Scalar<'a>,
    /// -1 where nothing traded.
    #[serde(rename = "t")]
    trade_id: Scalar<'a>,
    /// The id of an allocation of smart order routing, which has no trade id.
    #[serde(rename = "a")]
    allocation_id: Scalar<'a>,
    #[serde(rename = "l")]
    last_quantity: Scalar<'a>,
    #[serde(rename = "L")]
    last_price: Scalar<'a>,
    #[serde(rename = "Y")]
    last_quote: Scalar<'a>,
    #[serde(rename = "z")]
    total_quantity: Scalar<'a>,
    #[serde(rename = "n")]
    fee: Scalar<'a>,
    #[serde(rename = "N")]
    fee_asset: Scalar<'a>,
    #[serde(rename = "T")]
    time: Scalar<'a>,
    #[serde(rename = "m")]
    maker: Scalar<'a>,
}

impl Report<'_> {
    /// Tells what the report says: a fill where something traded, else a step of the order.
    pub(super) fn tell(&self, names: Names<'_>, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let execution = self.execution.word("x")?;
        let trades = match execution {
            // CALCULATED is a liquidation; the look of TRADE_PREVENTION deceives, nothing traded.
            "TRADE" | "CALCULATED" => self.last_quantity.not_negative("l")? > Decimal::ZERO,
            _ => false,
        };
        if trades {
            let fill = self.fill(execution, heard.account()?, names)?;
            heard.push(EventKind::Fill(fill));
            return Ok(());
        }
        let step = match execution {
            "NEW" => OrderStep::Accepted,
            "REPLACED" | "AMENDMENT" => OrderStep::Amended,
            "CANCELED" => OrderStep::Cancelled,
            "REJECTED" => OrderStep::Rejected,
            "EXPIRED" => OrderStep::Expired,
            // Some trade reports trade nothing and only repeat how the order stands.
            "TRADE" => match step_of(self.status.text().unwrap_or("")) {
                OrderStep::Accepted | OrderStep::Amended => OrderStep::Other,
                step @ (OrderStep::Done
                | OrderStep::Cancelled
                | OrderStep::Expired
                | OrderStep::Rejected
                | OrderStep::Other) => step,
            },
            "CALCULATED" | "TRADE_PREVENTION" => OrderStep::Other,
            unknown => {
                heard.feed(FeedKind::Unknown(compact_str::format_compact!("executionReport {}", short(unknown))));
                OrderStep::Other
            }
        };
        let order = self.order(step, heard.account()?, names)?;
        heard.push(EventKind::Order(order));
        let over = matches!(step, OrderStep::Cancelled | OrderStep::Expired | OrderStep::Rejected);
        if execution == "TRADE" && !over && self.total_quantity.amount("z")? > Decimal::ZERO {
            return Err(unread(
                "a trade without figures (`l` is zero, `z` is not): ask for the order's trades over REST",
            ));
        }
        Ok(())
    }

    fn fill(&self, execution: &str, account: AccountId, names: Names<'_>) -> Result<Fill, Unread> {
        let quantity = self.last_quantity.quantity("l")?;
        let price = match self.last_price.not_negative("L")? {
            // A known oddity: the price is left out and the quote amount is not.
            zero if zero == Decimal::ZERO => {
                let quotient = self.last_quote.amount("Y")?.checked_div(quantity.get()).ok_or(Refused::Overflow);
                quotient.and_then(Price::new).map_err(figure("`L` and `Y`"))?
            }
            price => Price::new(price).map_err(figure("`L`"))?,
        };
        let trade_id = match (self.trade_id.whole("t")?, self.allocation_id.whole("a")) {
            (id, Ok(allocation)) if id < 0 && allocation >= 0 => Some(compact_str::format_compact!("a{allocation}")),
            (id, _) if id > 0 || (id == 0 && execution == "TRADE") => Some(compact_str::format_compact!("{id}")),
            _ => None,
        };
        Ok(Fill {
            account,
            symbol: pair(&self.symbol, "s", names)?,
            side: self.side.side("S")?,
            price,
            quantity,
            notional: notional(price, quantity, self.last_quote.amount_if_told("Y")?)?,
            fee: fee(&self.fee, "n", &self.fee_asset, "N")?,
            maker: self.maker.flag_if_told("m")?,
            trade_id,
            order_id: self.order_id.id("i")?,
            client_order_id: self.client_order_id.id_if_told("c")?,
            source: self.by_exchange(),
            order_type: self.order_type.text().and_then(word),
            time: self.time.time("T")?,
            basis: Basis::Exact,
            via: Via::Stream,
        })
    }

    /// Tells whether the exchange itself sent the order. `CALCULATED` nobody can forge; the names of liquidations,
    /// deleveraging and settlements of futures anybody could choose, and then only the order's origin goes unjudged
    /// (<https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Order-Update>).
    fn by_exchange(&self) -> Option<CompactString> {
        const NAMES: [&str; 4] = ["autoclose-", "adl_autoclose", "settlement_autoclose-", "delivery_autoclose-"];
        // A report of futures lies inside its event and has no name of its own.
        let futures = self.event.is_absent();
        let named = |id: &str| futures && NAMES.iter().any(|name| id.starts_with(name));
        let own = self.execution.text() == Some("CALCULATED") || self.client_order_id.text().is_some_and(named);
        own.then(|| CompactString::const_new(BY_EXCHANGE))
    }

    fn order(&self, step: OrderStep, account: AccountId, names: Names<'_>) -> Result<OrderChange, Unread> {
        let reason =
            |reason: &Scalar<'_>| reason.text().filter(|text| *text != "NONE").map(name).filter(|n| !n.is_empty());
        Ok(OrderChange {
            account,
            symbol: pair(&self.symbol, "s", names)?,
            side: Some(self.side.side("S")?),
            order_id: self.order_id.id("i")?,
            // Recordings of 2018 write the absence of an original as a word.
            client_order_id: match self.original_client_order_id.id_if_told("C")?.filter(|id| id != "null") {
                Some(original) => Some(original),
                None => self.client_order_id.id_if_told("c")?,
            },
            source: self.by_exchange(),
            order_type: self.order_type.text().and_then(word),
            step,
            reason: reason(&self.reject_reason).or_else(|| reason(&self.expiry_reason)),
            time: self.time.time("T")?,
        })
    }
}

/// Returns what an order's status says happened to it.
pub(super) fn step_of(status: &str) -> OrderStep {
    match status {
        "NEW" | "PENDING_NEW" | "PARTIALLY_FILLED" => OrderStep::Accepted,
        "FILLED" => OrderStep::Done,
        "CANCELED" => OrderStep::Cancelled,
        "EXPIRED" | "EXPIRED_IN_MATCH" => OrderStep::Expired,
        "REJECTED" => OrderStep::Rejected,
        _ => OrderStep::Other,
    }
}

/// Reads a pair's name.
pub(super) fn pair(value: &Scalar<'_>, field: &'static str, names: Names<'_>) -> Result<Symbol, Unread> {
    names.read(value.word(field)?).map_err(|why| Amiss::Refused(field, why).into())
}

/// Returns the exchange's own figure of what a trade cost, or price times quantity where it has none or rounded it away.
pub(super) fn notional(price: Price, quantity: Quantity, told: Option<Decimal>) -> Result<Decimal, Unread> {
    match told {
        Some(quote) if quote > Decimal::ZERO => Ok(quote),
        Some(_) | None => price.times(quantity).map_err(figure("price times quantity")),
    }
}

/// Reads a fee; a fee without an asset is no fee, because Binance writes `"n":"0","N":null` where it took none.
pub(super) fn fee(
    amount: &Scalar<'_>,
    amount_field: &'static str,
    asset: &Scalar<'_>,
    asset_field: &'static str,
) -> Result<Option<Money>, Unread> {
    match (amount.amount_if_told(amount_field)?, asset) {
        (None, _) | (Some(_), Scalar::Absent) => Ok(None),
        (Some(amount), asset) => Ok(Some(Money::new(amount, asset.asset(asset_field)?))),
    }
}

/// Cuts an exchange's unknown name to what may be shown.
pub(super) fn short(text: &str) -> CompactString {
    some(&name(text)).map_or_else(|| "unnamed".into(), |text| text.chars().take(40).collect())
}
