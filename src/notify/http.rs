//! HTTP as the channels use it: no redirects, a bound on what is read, no address in an error.

use std::time::Duration;

use reqwest::{Client, Response, redirect};

use super::{Error, is_loopback, tls};

/// An answer is a few hundred bytes; more is not an answer.
const MOST_BYTES: usize = 256 << 10;

/// Returns a client that goes where it is sent and nowhere else: a redirect would carry secrets along.
pub(super) fn client(timeout: Duration) -> Result<Client, Error> {
    Client::builder()
        .tls_backend_preconfigured(tls::client()?)
        .redirect(redirect::Policy::none())
        .timeout(timeout)
        .build()
        .map_err(|why| Error::Tls(why.without_url().to_string()))
}

/// Refuses what is no web address, and plain http to another machine. The address is not shown: it may hold a secret.
pub(super) fn check(channel: &str, what: &str, url: &str) -> Result<(), Error> {
    let value = |why: String| Error::Value { channel: channel.to_owned(), what: why };
    let url = reqwest::Url::parse(url).map_err(|_| value(format!("{what} is not an address")))?;
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(host) => Ok(()),
        "http" => Err(Error::Plain { channel: channel.to_owned(), server: host.to_owned() }),
        _ => Err(value(format!("{what} must start with https://"))),
    }
}

/// Reads an answer as far as it is bounded; `None` when it is longer.
pub(super) async fn read(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > MOST_BYTES {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// Says what broke, down to the cause and without the address.
pub(super) fn said(why: reqwest::Error) -> String {
    let why = why.without_url();
    let mut text = why.to_string();
    let mut cause = std::error::Error::source(&why);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
