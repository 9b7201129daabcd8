//! Coinbase: orders by their ids, an application's token, money between portfolios. Keys can be deleted by a person alone
//! (<https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/cancel-order>).

use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::wire::{Call, Verb, Wire};
use super::{Asked, Seen, change, read, together};
use crate::domain::Timestamp;
use crate::feed::sign::percent_encode;
use crate::response::keys::RevokeKey;
use crate::response::plan::{Deed, Survey, Wallets};
use crate::secret::Secret;

const BASE: &str = "/api/v3/brokerage";
/// Orders cancelled by one request; no limit is published.
const ORDERS: usize = 100;
/// Pages read of a list.
const PAGES: usize = 8;

#[derive(Debug)]
pub(super) struct CoinbaseArm {
    pub(super) wire: Arc<Wire>,
    pub(super) login: Arc<Wire>,
    pub(super) trade: Option<RevokeKey>,
    pub(super) token: Option<Secret>,
    /// The portfolio money may be moved out of.
    pub(super) from: Option<String>,
}

impl CoinbaseArm {
    pub(super) fn survey(&self) -> Survey {
        Survey {
            cancels: if self.trade.is_some() { vec![Wallets::Spot] } else { Vec::new() },
            moves: self.trade.is_some() && self.from.is_some(),
            revokes: self.token.is_some(),
            ..Survey::default()
        }
    }

    pub(super) async fn ask(&self, deed: &Deed) -> Asked {
        match deed {
            Deed::Cancel { book: Wallets::Spot } => self.cancel().await,
            Deed::Revoke => self.revoke().await,
            Deed::Move { to } => self.shift(to).await,
            Deed::Cancel { .. }
            | Deed::Strip { .. }
            | Deed::Narrow { .. }
            | Deed::Switch { .. }
            | Deed::Delete { .. }
            | Deed::Give { .. }
            | Deed::Release { .. } => Asked::Refused("Coinbase has no such call".into()),
        }
    }

    pub(super) async fn look(&self, deed: &Deed) -> Seen {
        match deed {
            Deed::Cancel { book: Wallets::Spot } => match self.open().await {
                Ok(open) if open.is_empty() => Seen::So,
                Ok(open) => Seen::NotSo(format_compact!("{} orders are still open", open.len())),
                Err(why) => Seen::Dark(why),
            },
            Deed::Revoke => self.revoked().await,
            Deed::Move { .. } => match self.money().await {
                Ok(money) if money.is_empty() => Seen::So,
                Ok(money) => Seen::NotSo(format_compact!("{} assets are still there", money.len())),
                Err(why) => Seen::Dark(why),
            },
            Deed::Cancel { .. }
            | Deed::Strip { .. }
            | Deed::Narrow { .. }
            | Deed::Switch { .. }
            | Deed::Delete { .. }
            | Deed::Give { .. }
            | Deed::Release { .. } => Seen::Dark("Coinbase has no such call".into()),
        }
    }

    fn call(&self, verb: Verb, path: &str, query: &str, body: Option<String>) -> Option<Call> {
        let Some(RevokeKey::Coinbase(signer)) = &self.trade else { return None };
        let method = match verb {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Delete => "DELETE",
        };
        // The query is no part of what is signed.
        let uri = format!("{method} {}{BASE}{path}", self.wire.host());
        let token = signer.token(Timestamp::from_millis(self.wire.millis()), Some(&uri)).ok()?;
        let headers =
            vec![("Authorization", format!("Bearer {token}")), ("Content-Type", "application/json".to_owned())];
        let path = if query.is_empty() { format!("{BASE}{path}") } else { format!("{BASE}{path}?{query}") };
        Some(Call { verb, path, headers, body })
    }

    /// Reads a page with the account's own key.
    pub(super) async fn own(&self, path: &str) -> Result<String, CompactString> {
        self.page(path, "").await
    }

    async fn asked(&self, path: &str, query: &str) -> Result<Value, CompactString> {
        serde_json::from_str(&self.page(path, query).await?).map_err(|_| "an answer that cannot be read".into())
    }

    async fn page(&self, path: &str, query: &str) -> Result<String, CompactString> {
        self.wire.learn(&format!("{BASE}/time"), |value| value.get("epochMillis")?.as_str()?.parse().ok()).await;
        let (status, text) = read(&self.wire, || self.call(Verb::Get, path, query, None)).await?;
        if status == 200 { Ok(text) } else { Err(words(status)) }
    }

    /// Returns the ids of all orders that can be cancelled. Those that are not open yet are in the unfiltered list only.
    async fn open(&self) -> Result<Vec<String>, CompactString> {
        let mut ids = std::collections::BTreeSet::new();
        for (filter, pages) in [("order_status=OPEN&", PAGES), ("", 2)] {
            let mut cursor = String::new();
            for page in 0..pages {
                let query = format!("{filter}limit=250{}", after(&cursor));
                let value = self.asked("/orders/historical/batch", &query).await?;
                let orders = value.get("orders").and_then(Value::as_array).ok_or("the list of orders is none")?;
                let open = orders.iter().filter(|order| {
                    matches!(order.get("status").and_then(Value::as_str), Some("OPEN" | "PENDING" | "QUEUED"))
                });
                ids.extend(open.filter_map(|order| order.get("order_id")?.as_str()).map(str::to_owned));
                let next = value.get("cursor").and_then(Value::as_str).unwrap_or_default();
                if next.is_empty() || next == cursor || orders.is_empty() {
                    break;
                }
                if page + 1 == pages && !filter.is_empty() {
                    return Err("there are more open orders than are read".into());
                }
                next.clone_into(&mut cursor);
            }
        }
        Ok(ids.into_iter().collect())
    }

    async fn cancel(&self) -> Asked {
        let open = match self.open().await {
            Ok(open) => open,
            Err(why) => return Asked::Refused(format_compact!("the open orders cannot be listed: {why}")),
        };
        let mut parts = Vec::new();
        for some in open.chunks(ORDERS) {
            let body = json!({"order_ids": some}).to_string();
            // HTTP 200 even where nothing was cancelled: the look that follows says what became of it.
            let call = self.call(Verb::Post, "/orders/batch_cancel", "", Some(body));
            parts.push(change(&self.wire, call, judge).await);
        }
        together(parts)
    }

    async fn money(&self) -> Result<Vec<(String, Decimal)>, CompactString> {
        let (mut money, mut cursor) = (Vec::new(), String::new());
        for _ in 0..PAGES {
            let value = self.asked("/accounts", &format!("limit=250{}", after(&cursor))).await?;
            let rows = value.get("accounts").and_then(Value::as_array).ok_or("the list of balances is none")?;
            for row in rows {
                let text = |at: &str| row.pointer(at).and_then(Value::as_str);
                let amount = text("/available_balance/value").and_then(|text| text.parse::<Decimal>().ok());
                if let (Some(amount), Some(asset)) = (amount.filter(|amount| !amount.is_zero()), text("/currency")) {
                    money.push((asset.to_owned(), amount));
                }
            }
            let next = value.get("cursor").and_then(Value::as_str).unwrap_or_default();
            if next.is_empty() || next == cursor {
                return Ok(money);
            }
            next.clone_into(&mut cursor);
        }
        Err("there are more balances than are read".into())
    }

    async fn shift(&self, to: &str) -> Asked {
        let (Some(from), money) = (&self.from, self.money().await) else {
            return Asked::Refused("the portfolio to move from is not configured".into());
        };
        let money = match money {
            Ok(money) => money,
            Err(why) => return Asked::Refused(format_compact!("the balances cannot be listed: {why}")),
        };
        let mut parts = Vec::new();
        for (asset, amount) in money {
            let body = json!({
                "funds": {"value": amount.to_string(), "currency": asset},
                "source_portfolio_uuid": from, "target_portfolio_uuid": to,
            });
            let call = self.call(Verb::Post, "/portfolios/move_funds", "", Some(body.to_string()));
            parts.push(match change(&self.wire, call, judge).await {
                // A transfer that was turned away must not be tried with those that went through.
                Asked::Later(_) => Asked::Unclear("too many requests".into()),
                other @ (Asked::Taken | Asked::Shown | Asked::Refused(_) | Asked::Unclear(_)) => other,
            });
        }
        together(parts)
    }

    async fn revoke(&self) -> Asked {
        let Some(token) = &self.token else { return Asked::Refused("no token is configured".into()) };
        let body = format!("token={}", percent_encode(token.expose()));
        let headers = vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())];
        let call = Call { verb: Verb::Post, path: "/oauth2/revoke".to_owned(), headers, body: Some(body) };
        change(&self.login, Some(call), judge).await
    }

    /// Coinbase answers 200 whether or not anything was withdrawn, so the token is tried: it must be refused.
    async fn revoked(&self) -> Seen {
        let Some(token) = &self.token else { return Seen::Dark("no token is configured".into()) };
        let call = || {
            let headers = vec![("Authorization", format!("Bearer {}", token.expose()))];
            Some(Call { verb: Verb::Get, path: format!("{BASE}/accounts?limit=1"), headers, body: None })
        };
        match read(&self.wire, call).await {
            Ok((401, _)) => Seen::So,
            Ok((200, _)) => Seen::NotSo("the token is still taken".into()),
            Ok((status, _)) => Seen::Dark(words(status)),
            Err(why) => Seen::Dark(why),
        }
    }
}

fn after(cursor: &str) -> String {
    if cursor.is_empty() { String::new() } else { format!("&cursor={}", percent_encode(cursor)) }
}

fn judge(status: u16, _text: &str) -> Asked {
    if status == 200 { Asked::Taken } else { Asked::Refused(words(status)) }
}

fn words(status: u16) -> CompactString {
    match status {
        401 => "HTTP 401: our key is deleted, not allowed from this address, or its private key is another's".into(),
        403 => "HTTP 403: our key lacks the right".into(),
        status => format_compact!("HTTP {status}"),
    }
}
