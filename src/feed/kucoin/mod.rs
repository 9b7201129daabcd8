//! KuCoin: one connection an account (classic or unified), the market, gaps over REST.

mod account;
mod asker;
mod bullet;
mod classic;
mod contracts;
mod executions;
mod gap;
mod keys;
mod ledger;
mod market;
mod mode;
mod unified;

use serde::Deserialize;

use super::error::{Error, Refusal};
use super::rest::{Answer, Rest};

pub(super) use account::Private;
pub(super) use contracts::Contracts;
pub(super) use market::Market;

/// Every answer's envelope: `{"code":"200000","data":..}`; errors come with HTTP 200 too.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    code: std::borrow::Cow<'a, str>,
}

/// Returns the answer if it is one, else what KuCoin said is wrong.
fn accepted(answer: Answer) -> Result<Answer, Error> {
    match serde_json::from_str::<Envelope<'_>>(&answer.text) {
        Ok(envelope) if envelope.code == "200000" => Ok(answer),
        Ok(envelope) => Err(Error::Refused(Refusal::kucoin(&envelope.code))),
        Err(_) => Err(Error::Http(answer.status)),
    }
}

/// Learns KuCoin's clock; signatures more than 5 s off are refused.
async fn learn_time(rest: &Rest) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Time {
        data: i64,
    }
    rest.learn_time("/api/v1/timestamp", |text| serde_json::from_str(text).ok().map(|time: Time| time.data)).await
}

/// Reads an answer.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Protocol("an answer of an unexpected shape"))
}
