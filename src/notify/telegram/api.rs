//! Calls to the Bot API. The token is part of every address there, so errors lose their address before anybody sees them.

use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;

use super::super::censor::Censor;
use super::super::courier::Failure;
use super::super::{Error, http};
use crate::secret::Secret;

/// The Bot API of one bot.
#[derive(Clone)]
pub(super) struct Api {
    base_url: String,
    token: Secret,
    client: Client,
    /// Hides the token, should a proxy's words hold it.
    censor: Censor,
}

/// What came of a call that did not succeed.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The Bot API refused.
    Said {
        /// Its code, as HTTP has them.
        code: u16,
        /// Its words.
        description: String,
        /// How long it wants to be left alone, in seconds.
        after: Option<u64>,
        /// The group's new number.
        moved_to: Option<i64>,
    },
    /// It could not be reached, or was not the Bot API.
    Broken {
        /// What happened.
        why: String,
        /// True when the call may have been carried out.
        uncertain: bool,
    },
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    result: Option<Value>,
    error_code: Option<u16>,
    description: Option<String>,
    parameters: Option<Parameters>,
}

#[derive(Default, Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

impl Api {
    pub(super) fn new(base_url: &str, token: Secret, timeout: Duration) -> Result<Self, Error> {
        let text = token.expose();
        let secret = text.split_once(':').map_or(text, |(_, secret)| secret);
        let censor = Censor::default().secret(text).secret(secret);
        Ok(Api { base_url: base_url.trim_end_matches('/').to_owned(), token, client: http::client(timeout)?, censor })
    }

    /// Calls a method; returns its result.
    pub(super) async fn call(&self, method: &str, body: &Value) -> Result<Value, Refusal> {
        let address = format!("{}/bot{}/{method}", self.base_url, self.token.expose());
        let response = self.client.post(address).json(body).send().await.map_err(|why| self.broken(why))?;
        let status = response.status().as_u16();
        let bytes = http::read(response).await.map_err(|why| self.broken(why))?;
        let bytes =
            bytes.ok_or_else(|| Refusal::Broken { why: "the answer is too long".to_owned(), uncertain: true })?;
        let Ok(answer) = serde_json::from_slice::<Answer>(&bytes) else {
            // A proxy's page instead of Telegram's answer: after 2xx the message may have arrived.
            let why = format!("the answer (HTTP {status}) is not Telegram's");
            return Err(Refusal::Broken { why, uncertain: (200..300).contains(&status) });
        };
        match answer {
            Answer { ok: true, result, .. } => Ok(result.unwrap_or(Value::Null)),
            Answer { error_code, description, parameters, .. } => {
                let parameters = parameters.unwrap_or_default();
                Err(Refusal::Said {
                    code: error_code.unwrap_or(status),
                    description: self.censor.cleaned(&description.unwrap_or_default(), 300),
                    after: parameters.retry_after,
                    moved_to: parameters.migrate_to_chat_id,
                })
            }
        }
    }

    fn broken(&self, why: reqwest::Error) -> Refusal {
        let uncertain = !why.is_connect();
        Refusal::Broken { why: self.censor.cleaned(&http::said(why), 300), uncertain }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Said { code: code @ (400 | 401 | 403 | 404), description, .. } => {
                Failure::Never { why: format!("Telegram refused ({code}): {description}") }
            }
            Refusal::Said { code, description, after, .. } => Failure::Down {
                why: format!("Telegram answered {code}: {description}"),
                // An hour at most, so that a nonsensical number does not silence the channel for good.
                after: after.map(|seconds| Duration::from_secs(seconds.min(3_600))),
                uncertain: false,
            },
            Refusal::Broken { why, uncertain } => Failure::Down { why, after: None, uncertain },
        }
    }
}
