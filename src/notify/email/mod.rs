//! Messages by e-mail: one connection a message, one set of headers per incident.

mod compose;
mod html;
mod picture;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox as LettreMailbox;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;

pub use compose::{Letter, compose, eml};
pub use picture::{Picture, picture};

use super::courier::{Carrier, Failure};
use super::links::Links;
use super::wording::one_line;
use super::{ChannelSettings, Error, is_loopback, tls};
use crate::secret::Secret;
use crate::store::{Handle, Queued};

/// An address with or without a name: `Trading desk <desk@example.org>`.
pub type Mailbox = LettreMailbox;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Plain first, then TLS before anything else is said (port 587); never continues without.
    #[default]
    Starttls,
    /// TLS from the first byte (port 465).
    Implicit,
    /// No protection; for a server on this machine only.
    None,
}

/// A mailbox channel.
#[derive(Clone, Debug)]
pub struct EmailSettings {
    /// Name, level, accounts, phrase.
    pub channel: ChannelSettings,
    /// The mail server's name; the certificate must be for it.
    pub server: String,
    /// Its port; 587 by default.
    pub port: u16,
    /// How the connection is protected; STARTTLS by default.
    pub tls: Tls,
    /// The name to sign in with; absent when the server wants none.
    pub user: Option<String>,
    /// The password that goes with it.
    pub password: Option<Secret>,
    /// The sender.
    pub from: Mailbox,
    /// Who gets it.
    pub to: Vec<Mailbox>,
    /// A file of certificates (PEM) trusted beside the machine's own.
    pub ca_file: Option<PathBuf>,
    /// How long one attempt may take in all; 30 s by default.
    pub timeout: Duration,
}

impl EmailSettings {
    /// Joins what has no default: the channel, the server, the sender and who gets it.
    pub fn new(channel: ChannelSettings, server: &str, from: Mailbox, to: Vec<Mailbox>) -> Self {
        EmailSettings {
            channel,
            server: server.to_owned(),
            port: 587,
            tls: Tls::Starttls,
            user: None,
            password: None,
            from,
            to,
            ca_file: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// Sends messages to a mailbox.
pub struct Mailer {
    settings: EmailSettings,
    parameters: Option<TlsParameters>,
    hello: ClientId,
    links: Option<Links>,
    /// Where an incident's history is, for its picture.
    store: Option<Handle>,
}

impl Mailer {
    /// Checks the settings and reads the certificate file.
    pub fn new(settings: EmailSettings) -> Result<Self, Error> {
        let channel = || settings.channel.name.clone();
        let value = |what: &str| Error::Value { channel: channel(), what: what.to_owned() };
        if settings.to.is_empty() {
            return Err(value("nobody to send to; name at least one address"));
        }
        if settings.to.iter().chain([&settings.from]).any(|mailbox| !mailbox.email.to_string().is_ascii()) {
            return Err(value("an address has letters outside ASCII; write its domain in the xn-- form"));
        }
        if settings.user.is_some() != settings.password.is_some() {
            return Err(value("a user needs a password and a password needs a user"));
        }
        let parameters = match settings.tls {
            Tls::None if is_loopback(&settings.server) => None,
            Tls::None => return Err(Error::Plain { channel: channel(), server: settings.server.clone() }),
            Tls::Starttls | Tls::Implicit => Some(parameters(&settings)?),
        };
        Ok(Mailer { settings, parameters, hello: ClientId::default(), links: None, store: None })
    }

    /// Puts a picture of the loss into what has one.
    pub fn picturing(mut self, store: Handle) -> Self {
        self.store = Some(store);
        self
    }

    async fn picture(&self, queued: &Queued) -> Option<Picture> {
        let (store, id) = (self.store.as_ref().filter(|_| queued.is_answerable())?, queued.incident.clone());
        // A mail without its picture is better than none.
        store.with(move |store| Ok(picture(&store.history(&id)?))).await.ok().flatten()
    }

    /// Puts a link to the answer page into what can be answered.
    pub fn linking(mut self, links: Option<Links>) -> Self {
        self.links = links;
        self
    }

    async fn send(&self, queued: &Queued, progress: &mut Progress) -> Result<String, Failure> {
        let answer = self.links.as_ref().filter(|_| queued.is_answerable());
        let answer = answer.map(|links| links.link(&queued.incident, &self.settings.channel.name, queued.at));
        let picture = self.picture(queued).await;
        let letter = Letter { answer, picture, ..Letter::from(queued) };
        let message =
            compose(&queued.message, &self.settings, &letter).map_err(|why| Failure::Never { why: why.to_string() })?;
        let mut connection = self.connect().await.map_err(|why| failure(&why, false))?;
        let sender = self.settings.from.email.clone();
        connection.command(Mail::new(Some(sender), Vec::new())).await.map_err(|why| failure(&why, false))?;

        // One recipient who is refused must not keep the others from being told.
        let (mut accepted, mut refused) = (0, None);
        for mailbox in &self.settings.to {
            match connection.command(Rcpt::new(mailbox.email.clone(), Vec::new())).await {
                Ok(_) => accepted += 1,
                Err(why) if why.status().is_some() => {
                    tracing::warn!(channel = %self.settings.channel.name, why = %said(&why), "a recipient was refused");
                    refused = Some(why);
                }
                Err(why) => return Err(failure(&why, false)),
            }
        }
        if let (0, Some(why)) = (accepted, refused) {
            connection.abort().await;
            return Err(failure(&why, false));
        }
        connection.command(Data).await.map_err(|why| failure(&why, false))?;
        progress.uncertain = true;
        // From here on only an answer tells whether the server took the message.
        let outcome =
            connection.message(&message.formatted()).await.map_err(|why| failure(&why, why.status().is_none()));
        if outcome.is_ok() {
            progress.accepted = Some(compose::message_id(&queued.message, &self.settings, &letter));
        }
        // The server has answered; how it takes leave changes nothing.
        let _farewell = connection.quit().await;
        outcome.map(|_| compose::message_id(&queued.message, &self.settings, &letter))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let settings = &self.settings;
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
        Ok(connection)
    }
}

/// How far an attempt came, for when time runs out.
#[derive(Default)]
struct Progress {
    uncertain: bool,
    accepted: Option<String>,
}

impl Carrier for Mailer {
    async fn carry(&mut self, queued: &Queued) -> Result<String, Failure> {
        let mut progress = Progress::default();
        match timeout(self.settings.timeout, self.send(queued, &mut progress)).await {
            Ok(outcome) => outcome,
            Err(_) => match progress.accepted {
                Some(receipt) => Ok(receipt),
                None => Err(Failure::Down {
                    why: format!("the mail server did not answer within {:?}", self.settings.timeout),
                    after: None,
                    uncertain: progress.uncertain,
                }),
            },
        }
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A 5xx answer stands; a 4xx answer puts this message off; 421 and everything without an answer concern the server.
fn failure(why: &SmtpError, uncertain: bool) -> Failure {
    let code = why.status().map(u16::from);
    let why_text = said(why);
    match code {
        Some(500..=599) => Failure::Never { why: why_text },
        Some(421) | None => Failure::Down { why: why_text, after: None, uncertain },
        Some(_) => Failure::Later { why: why_text },
    }
}

/// Puts an error and what caused it on one line. The password is in none of them: the server's words and rustls' only.
fn said(why: &SmtpError) -> String {
    let mut text = why.to_string();
    let mut cause = std::error::Error::source(why);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    one_line(&text, 300)
}

fn parameters(settings: &EmailSettings) -> Result<TlsParameters, Error> {
    tls::provider();
    let server = settings.server.trim_start_matches('[').trim_end_matches(']');
    let mut builder = TlsParameters::builder(server.to_owned());
    if let Some(path) = &settings.ca_file {
        let refuse =
            |why: String| Error::Certificate { channel: settings.channel.name.clone(), path: path.clone(), why };
        let text = std::fs::read_to_string(path).map_err(|why| refuse(why.to_string()))?;
        let mut found = 0;
        for part in text
            .split_inclusive("-----END CERTIFICATE-----")
            .filter(|part| part.contains("-----BEGIN CERTIFICATE-----"))
        {
            let certificate = Certificate::from_pem(part.as_bytes()).map_err(|why| refuse(why.to_string()))?;
            builder = builder.add_root_certificate(certificate);
            found += 1;
        }
        if found == 0 {
            return Err(refuse("it holds no certificate in PEM form".to_owned()));
        }
    }
    builder.build_rustls().map_err(|why| Error::Tls(why.to_string()))
}
