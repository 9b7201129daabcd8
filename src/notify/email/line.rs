//! The connection to a mail server: opened, protected and signed in, kept for the next mail, left with a word when nothing
//! follows.

use std::time::{Duration, Instant};

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::{sleep, timeout};

use super::{EmailSettings, Tls};
use crate::runtime::clock;

/// Mails over one connection; servers often take no more than a hundred.
const MOST_MAILS: u32 = 50;
/// How long a server may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// The way to a mail server.
pub(super) struct Line {
    parameters: Option<TlsParameters>,
    hello: ClientId,
    kept: Option<Kept>,
}

/// A connection that may carry another mail.
struct Kept {
    connection: AsyncSmtpConnection,
    mails: u32,
    since: Instant,
}

/// A connection for one mail.
pub(super) struct Open {
    pub(super) connection: AsyncSmtpConnection,
    /// Mails it carried before this one.
    pub(super) mails: u32,
}

impl Line {
    pub(super) fn new(parameters: Option<TlsParameters>) -> Self {
        Line { parameters, hello: ClientId::default(), kept: None }
    }

    /// Returns the connection that was kept, where it did not wait too long, or a new one.
    pub(super) async fn open(&mut self, settings: &EmailSettings) -> Result<Open, SmtpError> {
        match self.kept.take() {
            Some(kept) if waited(kept.since) <= settings.idle => {
                Ok(Open { connection: kept.connection, mails: kept.mails })
            }
            Some(_) | None => self.connect(settings).await,
        }
    }

    /// Returns a new connection.
    pub(super) async fn connect(&self, settings: &EmailSettings) -> Result<Open, SmtpError> {
        let implicit = match settings.tls {
            Tls::Implicit => self.parameters.clone(),
            Tls::Starttls | Tls::None => None,
        };
        let server = (settings.server.trim_start_matches('[').trim_end_matches(']'), settings.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(settings.timeout), &self.hello, implicit, None).await?;
        if let (Tls::Starttls, Some(parameters)) = (settings.tls, &self.parameters) {
            connection.starttls(parameters.clone(), &self.hello).await?;
        }
        if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await?;
        }
        Ok(Open { connection, mails: 0 })
    }

    /// Keeps a connection on which a mail was accepted, for the next one.
    pub(super) async fn keep(&mut self, open: Open, settings: &EmailSettings) {
        let mails = open.mails + 1;
        if mails >= MOST_MAILS || settings.idle.is_zero() {
            farewell(open.connection).await;
            return;
        }
        self.kept = Some(Kept { connection: open.connection, mails, since: clock::steady() });
    }

    /// Waits until the kept connection has waited long enough, and leaves it; for ever where there is none.
    pub(super) async fn idle(&mut self, settings: &EmailSettings) {
        let Some(kept) = &self.kept else { return std::future::pending().await };
        sleep(settings.idle.saturating_sub(waited(kept.since))).await;
        self.leave().await;
    }

    /// Leaves the kept connection.
    pub(super) async fn leave(&mut self) {
        if let Some(kept) = self.kept.take() {
            farewell(kept.connection).await;
        }
    }
}

/// Says goodbye. How the server takes leave changes nothing: it has the mails.
async fn farewell(mut connection: AsyncSmtpConnection) {
    let _taken = timeout(FAREWELL, connection.quit()).await;
}

fn waited(since: Instant) -> Duration {
    clock::steady().saturating_duration_since(since)
}
