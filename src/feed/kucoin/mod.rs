//! KuCoin: one connection an account (classic or unified), the market, gaps over REST.

mod account;
mod bullet;
mod classic;
mod gap;
mod keys;
mod market;
mod unified;

use serde::Deserialize;

use super::error::{Error, Refusal};
use super::rest::{Answer, Call, Rest};
use super::sign::KucoinSigner;

pub(super) use account::Private;
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

/// Makes a signed call of `path`, its query included.
async fn ask(rest: &Rest, signer: &KucoinSigner, post: bool, path: &str, cost: u32) -> Result<Answer, Error> {
    let sign = || {
        let method = if post { "POST" } else { "GET" };
        let mut headers = signer.headers(rest.millis(), method, path, "");
        headers.push(("Content-Type", "application/json".to_owned()));
        Ok(Call { post, path: path.to_owned(), headers, cost })
    };
    match accepted(rest.ask(sign).await?) {
        Err(Error::Refused(refusal)) if refusal.meaning == super::error::Meaning::Clock => {
            learn_time(rest).await?;
            accepted(rest.ask(sign).await?)
        }
        answer => answer,
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
