//! The feed of an account: reports on orders, balances, and the end of the stream.

use serde::Deserialize;

use super::super::scalar::{Object, Scalar};
use super::super::shape::Heard;
use super::super::symbols::Symbols;
use super::super::unread::Unread;
use super::envelope::{Opened, open};
use super::report::{Report, short};
use crate::domain::{Balance, BalanceWhy, EventKind, FeedKind, Wallet};

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

/// `{"e":"ACCOUNT_UPDATE","E":1775572206251,"T":1775572206250,"a":{"m":"ORDER","B":[{"a":"USDT","wb":"912.4"}],"P":[]}}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct AccountUpdate<'a> {
    #[serde(rename = "T")]
    time: Scalar<'a>,
    #[serde(rename = "a", borrow)]
    account: Object<Changes<'a>>,
}

/// `{"m":"ORDER","B":[{"a":"USDT","wb":"912.4","cw":"912.4","bc":"0"}],"P":[{"s":"BTCUSDT","pa":"0.010","ps":"BOTH"}]}`
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Changes<'a> {
    #[serde(rename = "m")]
    why: Scalar<'a>,
    #[serde(rename = "B")]
    balances: Vec<WalletBalance<'a>>,
}

/// `{"a":"USDT","wb":"912.40000000","cw":"912.40000000","bc":"0"}`: what positions gained or lost so far is not in it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct WalletBalance<'a> {
    #[serde(rename = "a")]
    asset: Scalar<'a>,
    #[serde(rename = "wb")]
    total: Scalar<'a>,
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
        "executionReport" => report.tell(symbols.spot(), heard),
        "ORDER_TRADE_UPDATE" => match open::<Object<OrderTradeUpdate<'_>>>(json)? {
            Opened::Event(Object(update)) => update.order.0.tell(symbols.contracts(), heard),
            Opened::Refused(_) | Opened::Reply => Ok(()),
        },
        // Until 2020 the position had another name, and more fields.
        "outboundAccountPosition" | "outboundAccountInfo" => match open::<Object<Position<'_>>>(json)? {
            Opened::Event(Object(position)) => position.tell(heard),
            Opened::Refused(_) | Opened::Reply => Ok(()),
        },
        "balanceUpdate" => match open::<Object<Moved<'_>>>(json)? {
            Opened::Event(Object(moved)) => moved.tell(heard),
            Opened::Refused(_) | Opened::Reply => Ok(()),
        },
        "ACCOUNT_UPDATE" => match open::<Object<AccountUpdate<'_>>>(json)? {
            Opened::Event(Object(update)) => update.tell(heard),
            Opened::Refused(_) | Opened::Reply => Ok(()),
        },
        // Tokens and listen keys of these end as a matter of course: a new one is had before, and where it is not, the
        // feed says that it is down.
        "eventStreamTerminated" | "listenKeyExpired" if heard.wallet() != Wallet::Spot => Ok(()),
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
        // The orders of a list are reported each for itself; a position follows from its trades; TRADE_LITE is an early
        // copy of a fill without its fee.
        // What is locked from outside stays the account's; the position that follows tells how much is free.
        "externalLockUpdate"
        | "listStatus"
        | "TRADE_LITE"
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
                wallet: heard.wallet(),
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

impl AccountUpdate<'_> {
    /// It names only the assets that changed.
    fn tell(&self, heard: &mut Heard<'_>) -> Result<(), Unread> {
        let changes = &self.account.0;
        let why = match changes.why.text().unwrap_or("") {
            "ORDER" | "FUNDING_FEE" | "INSURANCE_CLEAR" => BalanceWhy::Trade,
            _ => BalanceWhy::Transfer,
        };
        for row in &changes.balances {
            let balance = Balance {
                account: heard.account()?,
                wallet: heard.wallet(),
                asset: row.asset.asset("a")?,
                free: Some(row.total.amount("wb")?),
                locked: None,
                delta: None,
                why,
                time: self.time.time("T")?,
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
            wallet: heard.wallet(),
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
