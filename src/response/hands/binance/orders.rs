//! Binance: the open orders of each book, and the countdown that cancels futures orders once more later.

use std::collections::BTreeSet;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use serde_json::Value;

use super::{BinanceArm, Params, answer, judge};
use crate::domain::{Span, Timestamp, Wallet};
use crate::response::hands::wire::{Verb, Wire};
use crate::response::hands::{Asked, TRIES, change, read, together};
use crate::response::keys::RevokeKey;
use crate::response::plan::Wallets;

/// Contracts that a countdown is set for; each costs 10 of the 2,400 that futures allow a minute.
const CONTRACTS: usize = 50;
/// How far back a contract counts as in use, in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// The longest wait that Binance may ask for while countdowns are set.
const PATIENCE: Duration = Duration::from_secs(2);

impl BinanceArm {
    pub(super) fn isolated(&self) -> impl Iterator<Item = String> {
        self.wallets.iter().filter_map(|wallet| match wallet {
            Wallet::Isolated(pair) => Some(format!("{}{}", pair.base(), pair.quote())),
            Wallet::Spot | Wallet::Margin | Wallet::Futures => None,
        })
    }

    /// Returns the calls that cancel a book's open orders, one a pair, as parameters.
    pub(super) async fn open(&self, book: Wallets) -> Result<Vec<Params<'static>>, CompactString> {
        let Some(trade) = &self.trade else { return Err("no key that may cancel".into()) };
        self.learn().await;
        let isolated = || ("isIsolated", "TRUE".to_owned());
        let (wire, path, mut asked): (&Wire, &str, Vec<Params<'static>>) = match book {
            Wallets::Spot | Wallets::Stops => (&self.wire, "/api/v3/openOrders", vec![Vec::new()]),
            Wallets::Futures => (&self.futures, "/fapi/v1/openOrders", vec![Vec::new()]),
            Wallets::Margin => (&self.wire, "/sapi/v1/margin/openOrders", Vec::new()),
        };
        if book == Wallets::Margin {
            asked.extend(self.wallets.contains(&Wallet::Margin).then(Vec::new));
            asked.extend(self.isolated().map(|pair| vec![("symbol", pair), isolated()]));
        }
        let mut open = Vec::new();
        for params in asked {
            let (status, text) = read(wire, || self.call(trade, Verb::Get, path, &params)).await?;
            let value = answer(status, &text)?;
            let orders = value.as_array().ok_or("the list of open orders is none")?;
            let pairs: BTreeSet<&str> = orders.iter().filter_map(|order| order.get("symbol")?.as_str()).collect();
            for pair in pairs {
                let mut one = vec![("symbol", pair.to_owned())];
                one.extend(params.iter().any(|(name, _)| *name == "isIsolated").then(isolated));
                open.push(one);
            }
        }
        Ok(open)
    }

    pub(super) async fn cancel(&self, book: Wallets) -> Asked {
        let (Some(trade), open) = (&self.trade, self.open(book).await) else {
            return Asked::Refused("no key is configured that may cancel".into());
        };
        let open = match open {
            Ok(open) => open,
            Err(why) => return Asked::Refused(format_compact!("the open orders cannot be listed: {why}")),
        };
        let (wire, path): (&Wire, &str) = match book {
            Wallets::Spot | Wallets::Stops => (&self.wire, "/api/v3/openOrders"),
            Wallets::Margin => (&self.wire, "/sapi/v1/margin/openOrders"),
            Wallets::Futures => (&self.futures, "/fapi/v1/allOpenOrders"),
        };
        let mut parts = Vec::new();
        for params in open {
            // One pair that is refused must not keep the others' orders open.
            parts.push(change(wire, self.call(trade, Verb::Delete, path, &params), judge).await);
        }
        // The pairs that went through are not asked again: what is open then is listed anew.
        together(parts)
    }

    /// Returns the contracts that somebody uses: those with orders or a position, and those that were traded within a day.
    pub(super) async fn contracts(&self) -> Result<Vec<CompactString>, CompactString> {
        let since = Timestamp::from_millis(self.wire.millis()) - Span::from_millis(DAY_MS);
        let traded = vec![("startTime", since.millis().to_string()), ("limit", "1000".to_owned())];
        let (orders, positions, traded) = tokio::join!(
            self.rows("/fapi/v1/openOrders", Vec::new()),
            self.rows("/fapi/v3/positionRisk", Vec::new()),
            self.rows("/fapi/v1/income", traded),
        );
        let mut used = BTreeSet::new();
        for row in [orders?, positions?, traded?].iter().flatten() {
            // What goes into the next request, and into messages, looks like a contract.
            let name = row.get("symbol").and_then(Value::as_str).unwrap_or_default();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if (1..=40).contains(&name.len()) && name.bytes().all(plain) {
                used.insert(CompactString::from(name));
            }
        }
        if used.len() > CONTRACTS {
            return Err(format_compact!("{} are in use, which is more than a countdown is set for", used.len()));
        }
        Ok(used.into_iter().collect())
    }

    async fn rows(&self, path: &str, params: Params<'_>) -> Result<Vec<Value>, CompactString> {
        let Some(trade) = &self.trade else { return Err("no key that may cancel".into()) };
        self.learn().await;
        let call = || self.call(trade, Verb::Get, path, &params);
        let (status, text) = read(&self.futures, call).await?;
        let Value::Array(rows) = answer(status, &text)? else { return Err("an answer that is no list".into()) };
        Ok(rows)
    }

    /// Starts the countdown of each contract, or stops it with 0
    /// (<https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Auto-Cancel-All-Open-Orders>).
    /// No call shows a countdown, so the answer that names it is the look.
    pub(super) async fn count_down(&self, pairs: &[CompactString], secs: u32) -> Asked {
        let Some(trade) = &self.trade else { return Asked::Refused("no key is configured that may cancel".into()) };
        self.learn().await;
        let millis = (u64::from(secs) * 1_000).to_string();
        let mut parts = Vec::new();
        for pair in pairs {
            let params = vec![("symbol", pair.to_string()), ("countdownTime", millis.clone())];
            let part = self.counted(trade, &params, &millis).await;
            let stays = matches!(part, Asked::Later(_));
            // Those that are set already must not be set again with the rest.
            parts.push(if stays { Asked::Refused("too many requests".into()) } else { part });
            if stays {
                break;
            }
        }
        match together(parts) {
            Asked::Taken => Asked::Shown,
            other @ (Asked::Shown | Asked::Refused(_) | Asked::Later(_) | Asked::Unclear(_)) => other,
        }
    }

    async fn counted(&self, trade: &RevokeKey, params: &Params<'_>, millis: &str) -> Asked {
        let mut tries = 1;
        loop {
            let call = self.call(trade, Verb::Post, "/fapi/v1/countdownCancelAll", params);
            let asked = change(&self.futures, call, |status, text| match judge(status, text) {
                Asked::Taken if !names(text, millis) => Asked::Unclear("the answer names no countdown".into()),
                other @ (Asked::Taken | Asked::Shown | Asked::Refused(_) | Asked::Later(_) | Asked::Unclear(_)) => {
                    other
                }
            });
            match asked.await {
                Asked::Later(wait) if tries < TRIES && wait <= PATIENCE => {
                    tries += 1;
                    tokio::time::sleep(wait).await;
                }
                other @ (Asked::Taken | Asked::Shown | Asked::Refused(_) | Asked::Later(_) | Asked::Unclear(_)) => {
                    return other;
                }
            }
        }
    }
}

/// Says whether an answer names this countdown; it is a text there, and a number in the documentation of other markets.
fn names(text: &str, millis: &str) -> bool {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    match value.get("countdownTime") {
        Some(Value::String(told)) => told == millis,
        Some(Value::Number(told)) => told.to_string() == millis,
        Some(_) | None => false,
    }
}
