//! The feed of an account: reports on orders, balances, and the end of the stream.

use serde::Deserialize;

use super::super::scalar::{Object, Scalar};
use super::super::shape::Heard;
use super::super::symbols::Symbols;
use super::super::unread::Unread;
use super::envelope::{Opened, open};
use super::report::{Report, short};
use crate::domain::{Balance, BalanceWhy, EventKind, FeedKind};

/// `{"e":"outboundAccountPosition","E":1775572206251,"u":1775572206250,"B":[{"a":"APPC","f":"39.96","l":"0"}]}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Position<'a> {
    #[serde(rename = "u")]
    time: Scalar<'a>,
    #[serde(rename = "B")]
    balances: Vec<Held<'a>>,
}

/// `{"a":"BTC","f":"0.51200000","l":"0.00000000"}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Held<'a> {
    #[serde(rename = "a")]
    asset: Scalar<'a>,
    #[serde(rename = "f")]
    free: Scalar<'a>,
    #[serde(rename = "l")]
    locked: Scalar<'a>,
}

/// `{"e":"balanceUpdate","E":1775572206251,"a":"BTC","d":"-0.25000000","T":1775572206250}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Moved<'a> {
    #[serde(rename = "a")]
    asset: Scalar<'a>,
    #[serde(rename = "d")]
    delta: Scalar<'a>,
    #[serde(rename = "T")]
    time: Scalar<'a>,
}

/// `{"e":"ORDER_TRADE_UPDATE","E":1775572206251,"T":1775572206250,"o":{"s":"BTCUSDT","x":"TRADE","l":"0.001"}}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct OrderTradeUpdate<'a> {
    #[serde(rename = "o", borrow)]
    order: Object<Report<'a>>,
}

/// Tells what a frame of an account's feed says.
pub(super) fn frame(json: &str, symbols: &Symbols, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let report: Report<'_> = match open(json)? {
        Opened::Event(Object(report)) => report,
        Opened::Refused(refusal) => {
            refusal.tell(heard);
            return Ok(());
        }
        Opened::Reply => return Ok(()),
    };
    match report.event.word("e")? {
        "executionReport" => report.tell(symbols, heard),
        "ORDER_TRADE_UPDATE" => match open::<Object<OrderTradeUpdate<'_>>>(json)? {
            Opened::Event(Object(update)) => update.order.0.tell(symbols, heard),
            Opened::Refused(_) | Opened::Reply => Ok(()),
        },
        "outboundAccountPosition" => match open::<Object<Position<'_>>>(json)? {
            Opened::Event(Object(position)) => position.tell(heard),
            Opened::Refused(_) | Opened::Reply => Ok(()),
        },
        "balanceUpdate" | "externalLockUpdate" => match open::<Object<Moved<'_>>>(json)? {
            Opened::Event(Object(moved)) => moved.tell(heard),
            Opened::Refused(_) | Opened::Reply => Ok(()),
        },
        "eventStreamTerminated" => {
            heard.feed(FeedKind::Ended("the exchange ended this subscription".into()));
            Ok(())
        }
        "listenKeyExpired" => {
            heard.feed(FeedKind::Ended("the listen key has expired".into()));
            Ok(())
        }
        "serverShutdown" => {
            heard.feed(FeedKind::ClosingSoon);
            Ok(())
        }
        // The orders of a list are reported each for itself; TRADE_LITE is an early copy of a fill without its fee.
        "listStatus"
        | "TRADE_LITE"
        | "ACCOUNT_UPDATE"
        | "ACCOUNT_CONFIG_UPDATE"
        | "ALGO_UPDATE"
        | "MARGIN_CALL"
        | "STRATEGY_UPDATE"
        | "GRID_UPDATE"
        | "CONDITIONAL_ORDER_TRIGGER_REJECT"
        | "MARGIN_LEVEL_STATUS_CHANGE"
        | "USER_LIABILITY_CHANGE" => Ok(()),
        unknown => {
            heard.feed(FeedKind::Unknown(short(unknown)));
            Ok(())
        }
    }
}

impl Position<'_> {
    /// It names only the assets that may have changed.
    fn tell(&self, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let time = self.time.time("u")?;
        for held in &self.balances {
            let balance = Balance {
                account: heard.account()?,
                asset: held.asset.asset("a")?,
                free: Some(held.free.amount("f")?),
                locked: Some(held.locked.amount("l")?),
                delta: None,
                why: BalanceWhy::Trade,
                time,
            };
            heard.push(EventKind::Balance(balance));
        }
        Ok(())
    }
}

impl Moved<'_> {
    fn tell(&self, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let balance = Balance {
            account: heard.account()?,
            asset: self.asset.asset("a")?,
            free: None,
            locked: None,
            delta: Some(self.delta.amount("d")?),
            why: BalanceWhy::Transfer,
            time: self.time.time("T")?,
        };
        heard.push(EventKind::Balance(balance));
        Ok(())
    }
}
