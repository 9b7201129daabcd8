//! What Binance would have sent: public trades, order reports, balances.

use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::tape::Trade;
use crate::domain::{Asset, Side};

/// What the reports of one order have in common.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The pair: `ADXBTC`.
    pub wire: &'a str,
    /// Which way.
    pub side: Side,
    /// True when it rested on the book.
    pub maker: bool,
    /// The id its sender chose.
    pub client_id: &'a str,
    /// The exchange's id.
    pub id: u64,
    /// When it was placed, ms.
    pub placed_ms: i64,
    /// All base it asked for.
    pub quantity: Decimal,
    /// All quote it moved, for a market buy.
    pub quote: Decimal,
    /// Its limit, for an order on the book.
    pub limit: Decimal,
}

/// One execution of an order, with the totals after it.
#[derive(Clone, Copy, Debug)]
pub struct Execution<'a> {
    /// The public trade.
    pub trade: &'a Trade,
    /// The trade's id.
    pub id: u64,
    /// Its quote.
    pub quote: Decimal,
    /// Base filled so far, with this.
    pub filled: Decimal,
    /// Quote filled so far, with this.
    pub filled_quote: Decimal,
    /// What the exchange kept.
    pub fee: Decimal,
    /// In which asset.
    pub fee_asset: &'a Asset,
}

/// Writes a public trade of the combined stream.
pub fn trade(stream: &str, wire: &str, id: u64, trade: &Trade) -> String {
    // `m` is true when the buyer had been waiting, so when the taker sold.
    let maker_bought = trade.taker == Side::Sell;
    format!(
        r#"{{"stream":"{stream}","data":{{"e":"trade","E":{ms},"s":"{wire}","t":{id},"p":"{:.8}","q":"{:.8}","T":{ms},"m":{maker_bought},"M":true}}}}"#,
        trade.price,
        trade.amount,
        ms = trade.ms,
    )
}

/// Writes a public trade of the futures' combined stream.
pub fn contract_trade(stream: &str, wire: &str, id: u64, trade: &Trade) -> String {
    let maker_bought = trade.taker == Side::Sell;
    format!(
        r#"{{"stream":"{stream}","data":{{"e":"aggTrade","E":{ms},"a":{id},"s":"{wire}","p":"{}","q":"{}","f":{id},"l":{id},"T":{ms},"m":{maker_bought}}}}}"#,
        trade.price,
        trade.amount,
        ms = trade.ms,
    )
}

/// What is held of a contract; short where below zero.
#[derive(Clone, Copy, Debug)]
pub struct Position<'a> {
    /// The contract: `BTCUSDT`.
    pub wire: &'a str,
    /// How much.
    pub amount: Decimal,
    /// At which price, on average.
    pub entry: Decimal,
}

/// Writes what a futures wallet holds after a change, and why it changed.
pub fn margin(ms: i64, why: &str, dollars: Decimal, position: Option<&Position<'_>>) -> String {
    let held = position.map_or(String::new(), |held| {
        format!(
            r#"{{"s":"{}","pa":"{}","ep":"{}","cr":"0","up":"0","mt":"cross","iw":"0","ps":"BOTH"}}"#,
            held.wire, held.amount, held.entry
        )
    });
    format!(
        r#"{{"e":"ACCOUNT_UPDATE","E":{ms},"T":{ms},"a":{{"m":"{why}","B":[{{"a":"USDT","wb":"{dollars:.8}","cw":"{dollars:.8}","bc":"0"}}],"P":[{held}]}}}}"#
    )
}

/// Writes the report of a contract's order: accepted, or executed with the gain of what it closed.
pub fn contract_report(order: &Order<'_>, ms: i64, execution: Option<(&Execution<'_>, Decimal)>) -> String {
    let side = if order.side == Side::Buy { "BUY" } else { "SELL" };
    let (kind, limit) = if order.maker { ("LIMIT", order.limit) } else { ("MARKET", Decimal::ZERO) };
    let mut out = format!(
        r#"{{"e":"ORDER_TRADE_UPDATE","E":{ms},"T":{ms},"o":{{"s":"{}","c":"{}","S":"{side}","o":"{kind}","f":"GTC","q":"{}","p":"{limit}","ap":"0","sp":"0","i":{},"ps":"BOTH","R":false,"ot":"{kind}","T":{ms},"#,
        order.wire, order.client_id, order.quantity, order.id,
    );
    let _ = match execution {
        None => write!(out, r#""x":"NEW","X":"NEW","l":"0","z":"0","L":"0","t":0,"m":false,"rp":"0"}}}}"#),
        Some((done, realised)) => write!(
            out,
            r#""x":"TRADE","X":"{}","l":"{}","z":"{}","L":"{}","N":"{}","n":"{}","t":{},"m":{},"rp":"{realised}"}}}}"#,
            if done.filled >= order.quantity { "FILLED" } else { "PARTIALLY_FILLED" },
            done.trade.amount,
            done.filled,
            done.trade.price,
            done.fee_asset,
            done.fee,
            done.id,
            order.maker,
        ),
    };
    out
}

/// Writes the report of an order that was accepted.
pub fn accepted(order: &Order<'_>, execution_id: u64) -> String {
    report(order, order.placed_ms, execution_id, None)
}

/// Writes the report of one execution.
pub fn executed(order: &Order<'_>, execution_id: u64, execution: &Execution<'_>) -> String {
    report(order, execution.trade.ms, execution_id, Some(execution))
}

/// Writes balances after a change: asset, free, locked.
pub fn position(ms: i64, balances: &[(&Asset, Decimal, Decimal)]) -> String {
    let mut listed = String::new();
    for (asset, free, locked) in balances {
        let comma = if listed.is_empty() { "" } else { "," };
        let _ = write!(listed, r#"{comma}{{"a":"{asset}","f":"{free:.8}","l":"{locked:.8}"}}"#);
    }
    event(&format!(r#""e":"outboundAccountPosition","E":{ms},"u":{ms},"B":[{listed}]"#))
}

/// Writes a deposit or withdrawal.
pub fn transferred(ms: i64, asset: &Asset, delta: Decimal) -> String {
    event(&format!(r#""e":"balanceUpdate","E":{ms},"a":"{asset}","d":"{delta:.8}","T":{ms}"#))
}

fn event(fields: &str) -> String {
    format!(r#"{{"subscriptionId":0,"event":{{{fields}}}}}"#)
}

fn report(order: &Order<'_>, ms: i64, execution_id: u64, execution: Option<&Execution<'_>>) -> String {
    let mut out = String::with_capacity(640);
    let side = match order.side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    };
    let (kind, limit) = if order.maker { ("LIMIT", order.limit) } else { ("MARKET", Decimal::ZERO) };
    // Only a market buy is asked for by its quote.
    let asked = if order.maker || order.side == Side::Sell { Decimal::ZERO } else { order.quote };
    let _ = write!(
        out,
        r#""e":"executionReport","E":{ms},"s":"{}","c":"{}","S":"{side}","o":"{kind}","f":"GTC","q":"{:.8}","p":"{limit:.8}","P":"0.00000000","F":"0.00000000","g":-1,"C":"","#,
        order.wire, order.client_id, order.quantity,
    );
    let zero = Decimal::ZERO;
    match execution {
        None => {
            let _ = write!(
                out,
                r#""x":"NEW","X":"NEW","r":"NONE","i":{},"l":"{zero:.8}","z":"{zero:.8}","L":"{zero:.8}","n":"0","N":null,"T":{ms},"t":-1,"I":{execution_id},"w":true,"m":false,"M":false,"O":{},"Z":"{zero:.8}","Y":"{zero:.8}","#,
                order.id, order.placed_ms,
            );
        }
        Some(done) => {
            let status = if done.filled >= order.quantity { "FILLED" } else { "PARTIALLY_FILLED" };
            let on_book = order.maker && done.filled < order.quantity;
            let _ = write!(
                out,
                r#""x":"TRADE","X":"{status}","r":"NONE","i":{},"l":"{:.8}","z":"{:.8}","L":"{:.8}","n":"{:.8}","N":"{}","T":{ms},"t":{},"I":{execution_id},"w":{on_book},"m":{},"M":true,"O":{},"Z":"{:.8}","Y":"{:.8}","#,
                order.id,
                done.trade.amount,
                done.filled,
                done.trade.price,
                done.fee,
                done.fee_asset,
                done.id,
                order.maker,
                order.placed_ms,
                done.filled_quote,
                done.quote,
            );
        }
    }
    let _ = write!(out, r#""W":{},"V":"NONE","Q":"{asked:.8}""#, order.placed_ms);
    event(&out)
}
