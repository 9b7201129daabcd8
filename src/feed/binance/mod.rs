//! Binance: spot and margin wallets over the WebSocket API, futures wallets over streams of their own, markets over
//! combined streams, gaps over REST.

mod account;
mod account_page;
mod addressed;
mod frames;
mod futures;
mod gap;
mod keys;
pub(super) mod known;
mod margin;
mod market;
mod members;
mod pager;
mod pairs;

use serde::Deserialize;

use super::error::{Error, Refusal};
use super::rest::{Answer, Rest};

pub(super) use account::Accounts;
pub(super) use futures::Futures;
pub(super) use gap::Account;
pub(super) use margin::Margins;
pub(super) use market::{Market, Place};
pub(super) use members::Members;
pub(super) use pairs::Pairs;

/// Learns Binance's clock; without it our own is used, and a refusal for it is answered by learning again.
async fn learn_time(rest: &Rest) -> Result<(), Error> {
    learn_time_at(rest, "/api/v3/time").await
}

async fn learn_time_at(rest: &Rest, path: &str) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Time {
        #[serde(rename = "serverTime")]
        server_time: i64,
    }
    rest.learn_time(path, |text| serde_json::from_str(text).ok().map(|time: Time| time.server_time)).await
}

/// Returns the answer if it is one, else what Binance said is wrong.
fn accepted(answer: Answer) -> Result<Answer, Error> {
    #[derive(Deserialize)]
    struct Refused {
        code: i64,
    }
    if answer.status == 200 {
        return Ok(answer);
    }
    match serde_json::from_str::<Refused>(&answer.text) {
        Ok(refused) => Err(Error::Refused(Refusal::binance(refused.code))),
        Err(_) => Err(Error::Http(answer.status)),
    }
}
