//! Binance spot: accounts over the WebSocket API, the market over combined streams, gaps over REST.

mod account;
mod frames;
mod gap;
mod keys;
mod known;
mod market;
mod pairs;

use serde::Deserialize;

use super::error::{Error, Refusal};
use super::rest::{Answer, Rest};

pub(super) use account::Accounts;
pub(super) use gap::Account;
pub(super) use market::Market;
pub(super) use pairs::Pairs;

/// Learns Binance's clock; without it our own is used, and a refusal for it is answered by learning again.
async fn learn_time(rest: &Rest) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Time {
        #[serde(rename = "serverTime")]
        server_time: i64,
    }
    rest.learn_time("/api/v3/time", |text| serde_json::from_str(text).ok().map(|time: Time| time.server_time)).await
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
