//! The way in to the classic feeds: a token and an address for each connection.

use std::time::Duration;

use serde::Deserialize;

use super::asker::Asker;
use super::{accepted, read};
use crate::feed::error::Error;
use crate::feed::limiter::obeyed;
use crate::feed::rest::Call;
use crate::feed::sign::percent_encode;
use crate::feed::socket::Socket;
use crate::feed::venues::Venues;

/// An address with its token, and the rhythm KuCoin wants to be pinged in.
pub(super) struct Bullet {
    url: String,
    pub(super) connect_id: String,
    pub(super) ping: Rhythm,
}

/// How often the client pings, and how long the answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rhythm {
    pub(super) every: Duration,
    pub(super) timeout: Duration,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    token: String,
    instance_servers: Vec<Server>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    endpoint: String,
    ping_interval: u64,
    ping_timeout: u64,
}

impl Rhythm {
    /// Takes KuCoin's milliseconds: pings go out after 80 % of the interval.
    pub(super) fn new(interval: u64, timeout: u64) -> Self {
        let interval = Duration::from_millis(interval.clamp(50, 120_000));
        Rhythm { every: interval.mul_f64(0.8), timeout: Duration::from_millis(timeout.clamp(50, 120_000)) }
    }
}

impl Bullet {
    /// Asks for a token: an account's with its key, the market's without. It is good for a day and for one connection
    /// of ours; the next one asks anew.
    pub(super) async fn fetch(venues: &Venues, asker: Option<&Asker>) -> Result<Self, Error> {
        let answer = match asker {
            Some(asker) => asker.post("/api/v1/bullet-private", 10).await?,
            None => {
                let sign =
                    || Ok(Call { post: true, path: "/api/v1/bullet-public".into(), cost: 10, ..Call::default() });
                accepted(venues.kucoin.ask(sign).await?)?
            }
        };
        let Answer { data } = read(&answer.text)?;
        let server = data.instance_servers.into_iter().next().ok_or(Error::Protocol("KuCoin named no server"))?;
        let connect_id = format!("{:016x}", rand::random::<u64>());
        let token = percent_encode(&data.token);
        let url = format!("{}?token={token}&connectId={connect_id}", server.endpoint);
        Ok(Bullet { url, connect_id, ping: Rhythm::new(server.ping_interval, server.ping_timeout) })
    }

    /// Connects to the address.
    pub(super) async fn connect(&self, venues: &Venues) -> Result<Socket, Error> {
        let socket = Socket::connect(&self.url, &venues.tls, venues.patience()).await;
        obeyed(socket, &[&venues.kucoin_connects])
    }
}
