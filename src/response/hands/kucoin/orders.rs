//! KuCoin: the open orders of each book, list by list: what shows them, and what cancels them. The classic account keeps
//! orders that wait for a price apart from those that rest, and margin of both kinds apart from spot.

use std::collections::BTreeSet;
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::KucoinArm;
use crate::feed::sign::percent_encode;
use crate::response::hands::wire::{Verb, Wire};
use crate::response::hands::{Asked, Seen, change, together};
use crate::response::plan::Wallets;

/// One list of open orders.
struct List {
    host: Host,
    /// Shows what is on it.
    shown: &'static str,
    /// Where in the answer the list is.
    at: &'static str,
    cancel: Cancel,
}

/// Which of KuCoin's hosts answers.
#[derive(Clone, Copy)]
enum Host {
    Main,
    Futures,
}

/// What cancels what is on a list.
enum Cancel {
    /// One call for all of it.
    All(&'static str),
    /// A call for each pair; its name goes to the end.
    Each(&'static str),
}

const fn list(host: Host, shown: &'static str, at: &'static str, cancel: Cancel) -> List {
    List { host, shown, at, cancel }
}

/// <https://www.kucoin.com/docs-new/rest/spot-trading/orders/cancel-all-orders>
const SPOT: &[List] =
    &[list(Host::Main, "/api/v1/hf/orders/active/symbols", "symbols", Cancel::All("/api/v1/hf/orders/cancelAll"))];
/// <https://www.kucoin.com/docs-new/rest/spot-trading/orders/batch-cancel-stop-orders>; both mean spot where no kind of
/// trading is named.
const STOPS: &[List] = &[
    list(Host::Main, "/api/v1/stop-order?pageSize=50", "items", Cancel::All("/api/v1/stop-order/cancel")),
    list(Host::Main, "/api/v3/oco/orders?pageSize=50&currentPage=1", "items", Cancel::All("/api/v3/oco/orders")),
];
/// <https://www.kucoin.com/docs-new/rest/margin-trading/orders/cancel-all-orders-by-symbol>,
/// <https://www.kucoin.com/docs-new/rest/margin-trading/orders/batch-cancel-stop-orders> and
/// <https://www.kucoin.com/docs-new/rest/margin-trading/orders/batch-cancel-oco-orders>, each for cross and for isolated.
const MARGIN: &[List] = &[
    list(
        Host::Main,
        "/api/v3/hf/margin/order/active/symbols?tradeType=MARGIN_TRADE",
        "symbols",
        Cancel::Each("/api/v3/hf/margin/orders?tradeType=MARGIN_TRADE&symbol="),
    ),
    list(
        Host::Main,
        "/api/v3/hf/margin/order/active/symbols?tradeType=MARGIN_ISOLATED_TRADE",
        "symbols",
        Cancel::Each("/api/v3/hf/margin/orders?tradeType=MARGIN_ISOLATED_TRADE&symbol="),
    ),
    list(
        Host::Main,
        "/api/v3/hf/margin/stop-orders?tradeType=MARGIN_TRADE&pageSize=50",
        "items",
        Cancel::All("/api/v3/hf/margin/stop-order/cancel?tradeType=MARGIN_TRADE"),
    ),
    list(
        Host::Main,
        "/api/v3/hf/margin/stop-orders?tradeType=MARGIN_ISOLATED_TRADE&pageSize=50",
        "items",
        Cancel::All("/api/v3/hf/margin/stop-order/cancel?tradeType=MARGIN_ISOLATED_TRADE"),
    ),
    list(
        Host::Main,
        "/api/v3/hf/margin/oco-orders?tradeType=MARGIN_TRADE&pageSize=50&currentPage=1",
        "items",
        Cancel::All("/api/v3/hf/margin/oco-order/cancel?tradeType=MARGIN_TRADE"),
    ),
    list(
        Host::Main,
        "/api/v3/hf/margin/oco-orders?tradeType=MARGIN_ISOLATED_TRADE&pageSize=50&currentPage=1",
        "items",
        Cancel::All("/api/v3/hf/margin/oco-order/cancel?tradeType=MARGIN_ISOLATED_TRADE"),
    ),
];
/// <https://www.kucoin.com/docs-new/rest/futures-trading/orders/cancel-all-orders>, contract by contract because the page
/// does not say whether a call without one means all; and
/// <https://www.kucoin.com/docs-new/rest/futures-trading/orders/cancel-all-stop-orders>, which does.
const FUTURES: &[List] = &[
    list(Host::Futures, "/api/v1/orders?status=active&pageSize=1000", "items", Cancel::Each("/api/v3/orders?symbol=")),
    list(Host::Futures, "/api/v1/stopOrders?pageSize=50", "items", Cancel::All("/api/v1/stopOrders")),
];

/// A book's dead-man switch.
struct Switch {
    /// The kind of trading, where the call serves several.
    kind: Option<&'static str>,
    set: &'static str,
    shown: &'static str,
}

/// <https://www.kucoin.com/docs-new/rest/spot-trading/orders/set-dcp> and, for futures, on the main host too,
/// <https://www.kucoin.com/docs-new/rest/ua/set-dcp-classic>.
const fn switch_of(book: Wallets) -> Option<Switch> {
    match book {
        Wallets::Spot => Some(Switch {
            kind: None,
            set: "/api/v1/hf/orders/dead-cancel-all",
            shown: "/api/v1/hf/orders/dead-cancel-all/query",
        }),
        Wallets::Futures => Some(Switch {
            kind: Some("FUTURES"),
            set: "/api/ua/v1/dcp/set",
            shown: "/api/ua/v1/dcp/query?tradeType=FUTURES",
        }),
        Wallets::Stops | Wallets::Margin => None,
    }
}

const NO_SWITCH: &str = "KuCoin has no switch for these orders";

const fn lists(book: Wallets) -> &'static [List] {
    match book {
        Wallets::Spot => SPOT,
        Wallets::Stops => STOPS,
        Wallets::Margin => MARGIN,
        Wallets::Futures => FUTURES,
    }
}

impl KucoinArm {
    /// Looks whether a book is empty.
    pub(super) async fn empty(&self, book: Wallets) -> Seen {
        let (mut open, mut dark) = (0, None);
        for listed in join_all(lists(book).iter().map(|list| self.listed(list))).await {
            match listed {
                Ok(rows) => open += rows.len(),
                Err(why) => dark = Some(why),
            }
        }
        // An order that was seen is more than a list that was not.
        match (open, dark) {
            (0, None) => Seen::So,
            (0, Some(why)) => Seen::Dark(why),
            (open, _) => Seen::NotSo(format_compact!("{open} are still open")),
        }
    }

    /// Cancels what is on each list of a book; what is on none is not asked for.
    pub(super) async fn cancel(&self, book: Wallets) -> Asked {
        if self.trade.is_none() {
            return Asked::Refused("no key is configured that may cancel".into());
        }
        let all = lists(book);
        let listed = join_all(all.iter().map(|list| self.listed(list))).await;
        let mut parts = Vec::new();
        for (list, listed) in all.iter().zip(listed) {
            match (&list.cancel, listed) {
                (_, Ok(rows)) if rows.is_empty() => {}
                // What cannot be listed may be there all the same.
                (Cancel::All(path), Ok(_) | Err(_)) => parts.push(self.called_off(list.host, path).await),
                (Cancel::Each(path), Ok(rows)) => {
                    let pairs: BTreeSet<&str> = rows.iter().filter_map(pair).collect();
                    for pair in pairs {
                        parts.push(self.called_off(list.host, &format!("{path}{}", percent_encode(pair))).await);
                    }
                }
                (Cancel::Each(_), Err(why)) => {
                    parts.push(Asked::Refused(format_compact!("the open orders cannot be listed: {why}")));
                }
            }
        }
        together(parts)
    }

    /// Sets the switch that cancels a book's orders after so many seconds without a request, or calls it off with -1.
    pub(super) async fn switch(&self, book: Wallets, secs: i64) -> Asked {
        let Some(Switch { kind, set, .. }) = switch_of(book) else { return Asked::Refused(NO_SWITCH.into()) };
        let mut body = json!({"timeout": secs});
        match kind {
            Some(kind) => body["tradeType"] = kind.into(),
            // No pair means all.
            None => body["symbols"] = "".into(),
        }
        self.change(self.trade.as_ref(), Verb::Post, set, Some(&body.to_string())).await
    }

    /// Looks whether the switch of a book is on.
    pub(super) async fn switched(&self, book: Wallets, on: bool) -> Seen {
        let Some(Switch { shown, .. }) = switch_of(book) else { return Seen::Never(NO_SWITCH.into()) };
        match self.asked(self.trade.as_ref(), shown).await {
            Ok(data) => {
                let is_on = data.get("timeout").and_then(Value::as_i64).is_some_and(|secs| secs > 0);
                if is_on == on { Seen::So } else { Seen::NotSo("the switch is not as it should be".into()) }
            }
            Err(unlisted) => Seen::Dark(unlisted.why),
        }
    }

    async fn called_off(&self, host: Host, path: &str) -> Asked {
        self.learn().await;
        let call = self.call(self.trade.as_ref(), Verb::Delete, path, None);
        change(self.host(host), call, |status, text| match super::judge(status, text) {
            Asked::Taken if failed_pairs(text) > 0 => {
                Asked::Unclear(format_compact!("{} pairs could not be cancelled", failed_pairs(text)))
            }
            other @ (Asked::Nothing
            | Asked::Taken
            | Asked::Shown
            | Asked::Refused(_)
            | Asked::Later(_)
            | Asked::Unclear(_)) => other,
        })
        .await
    }

    async fn listed(&self, list: &List) -> Result<Vec<Value>, CompactString> {
        let mut data = self.asked_at(self.host(list.host), self.trade.as_ref(), list.shown).await?;
        match data.get_mut(list.at).map(Value::take) {
            Some(Value::Array(rows)) => Ok(rows),
            // KuCoin leaves the list out where there is nothing in it.
            None | Some(Value::Null) if data.is_null() || data.is_object() => Ok(Vec::new()),
            Some(_) | None => Err("the list of orders cannot be read".into()),
        }
    }

    fn host(&self, host: Host) -> &Arc<Wire> {
        match host {
            Host::Main => &self.wire,
            Host::Futures => &self.futures,
        }
    }
}

/// Returns the pair of a row, which is the row itself where only pairs are listed.
fn pair(row: &Value) -> Option<&str> {
    row.as_str().or_else(|| row.get("symbol")?.as_str())
}

fn failed_pairs(text: &str) -> usize {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    value.pointer("/data/failedSymbols").and_then(Value::as_array).map_or(0, Vec::len)
}
