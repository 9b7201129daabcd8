//! Messages by e-mail: what follows within moments over one connection, one set of headers per incident.

mod canvas;
mod compose;
mod distrust;
mod html;
mod line;
mod picture;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox as LettreMailbox;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use tokio::time::timeout;

pub use compose::{Letter, Own, compose, eml};
pub use picture::{Picture, picture};

use line::{Line, Open};

use super::censor::Censor;
use super::courier::{Carrier, Failure};
use super::links::Links;
use super::templates::{self, About};
use super::wording::one_line;
use super::words::words;
use super::{ChannelSettings, Error, incident_of, is_loopback, tls};
use crate::domain::{Incident, Message};
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
    /// How long a connection is kept for the next mail; 30 s by default, not at all where zero.
    pub idle: Duration,
}

/// How long a connection that was kept may take until the text of a mail may begin; then a new one is made. Mail servers and
/// address translators forget connections without a word.
const KEPT_ANSWERS: Duration = Duration::from_secs(5);

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
            idle: Duration::from_secs(30),
        }
    }
}

/// Sends messages to a mailbox.
pub struct Mailer {
    settings: EmailSettings,
    line: Line,
    /// Hides what the server should not say of us.
    censor: Censor,
    links: Option<Links>,
    /// Where an incident's history is, for its picture.
    store: Option<Handle>,
    /// What the server said of a recipient who is never reached, of the last mail.
    refused: Option<String>,
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
        let censor = match (&settings.user, &settings.password) {
            (Some(user), Some(password)) => Censor::default().sign_in(user, password.expose()),
            (_, _) => Censor::default(),
        };
        Ok(Mailer { settings, line: Line::new(parameters), censor, links: None, store: None, refused: None })
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

    async fn send(&mut self, queued: &Queued, progress: &mut Progress) -> Result<String, Failure> {
        let answer = self.links.as_ref().filter(|_| queued.is_answerable());
        let answer = answer.map(|links| links.link(&queued.incident, &self.settings.channel.name, queued.at));
        let picture = self.picture(queued).await;
        let incident = incident_of(&self.settings.channel, self.store.as_ref(), &queued.incident).await;
        let letter = Letter { answer, picture, ..Letter::from(queued) };
        let (told, letter) = dressed(&queued.message, &self.settings, letter, incident.as_ref());
        // Whoever has the link may answer, and filters name the links for which they refuse a mail.
        let censor = letter.answer.iter().fold(self.censor.clone(), |censor, link| censor.address(link));
        let message = compose(&told, &self.settings, &letter).map_err(|why| Failure::Never { why: why.to_string() })?;
        let receipt = compose::message_id(&queued.message, &self.settings, &letter);
        let is_reached = |mailbox: &Mailbox| queued.reached.contains(&mailbox.email.to_string());
        if self.settings.to.iter().all(is_reached) {
            return Ok(receipt);
        }
        let begun = self.begin(&queued.reached).await.map_err(|why| self.failure(&why, false, &censor));
        let (mut open, envelope) = match begun {
            // Who was put off is now refused for good; the others have it.
            Err(Failure::Never { why }) if !queued.reached.is_empty() => {
                self.refused = Some(why);
                return Ok(receipt);
            }
            begun => begun?,
        };
        self.refused = envelope.refused;
        progress.uncertain = true;
        // From here on only an answer tells whether the server took the message.
        let outcome = open.connection.message(&message.formatted()).await;
        match outcome {
            Ok(_) => {
                let outcome = match envelope.put_off {
                    None => Ok(receipt),
                    Some(why) => {
                        let reached = queued.reached.iter().cloned().chain(envelope.accepted).collect();
                        Err(Failure::Partly { reached, why })
                    }
                };
                progress.outcome = Some(outcome.clone());
                self.line.keep(open, &self.settings).await;
                outcome
            }
            Err(why) => {
                open.connection.abort().await;
                Err(self.failure(&why, why.status().is_none(), &censor))
            }
        }
    }

    /// Returns a connection on which the text of a mail is waited for.
    ///
    /// Until then nothing can have been delivered, so one that was kept and fails is replaced at once.
    async fn begin(&mut self, reached: &[String]) -> Result<(Open, Envelope), SmtpError> {
        let mut open = self.line.open(&self.settings).await?;
        if open.mails > 0 {
            if let Ok(Ok(envelope)) = timeout(KEPT_ANSWERS, self.envelope(&mut open.connection, reached)).await {
                return Ok((open, envelope));
            }
            tracing::debug!(channel = %self.settings.channel.name, "the connection that was kept is of no use any more");
            drop(open);
            open = self.line.connect(&self.settings).await?;
        }
        match self.envelope(&mut open.connection, reached).await {
            Ok(envelope) => Ok((open, envelope)),
            Err(why) => {
                open.connection.abort().await;
                Err(why)
            }
        }
    }

    /// Names sender and the recipients who were not reached, and asks for the text to be taken.
    async fn envelope(&self, connection: &mut AsyncSmtpConnection, reached: &[String]) -> Result<Envelope, SmtpError> {
        connection.command(Mail::new(Some(self.settings.from.email.clone()), Vec::new())).await?;
        // One recipient who is refused or put off must not keep the others from being told.
        let (mut envelope, mut last) = (Envelope::default(), None);
        for mailbox in &self.settings.to {
            let address = mailbox.email.to_string();
            if reached.contains(&address) {
                continue;
            }
            match connection.command(Rcpt::new(mailbox.email.clone(), Vec::new())).await {
                Ok(_) => envelope.accepted.push(address),
                // 421 ends the session: nothing more can be asked.
                Err(why) if why.status().is_none_or(|code| u16::from(code) == 421) => return Err(why),
                Err(why) => {
                    let text = one_line(&format!("{address}: {}", said(&why, &self.censor)), 300);
                    tracing::warn!(channel = %self.settings.channel.name, why = %text, "a recipient was refused");
                    let permanent = why.status().is_some_and(|code| u16::from(code) >= 500);
                    *(if permanent { &mut envelope.refused } else { &mut envelope.put_off }) = Some(text);
                    // Where nobody takes it, who may take it later decides.
                    if last.is_none() || !permanent {
                        last = Some(why);
                    }
                }
            }
        }
        if let (true, Some(why)) = (envelope.accepted.is_empty(), last) {
            return Err(why);
        }
        connection.command(Data).await?;
        Ok(envelope)
    }

    /// A 5xx answer stands; a 4xx answer puts this message off; 421 and everything without an answer concern the server.
    fn failure(&self, why: &SmtpError, uncertain: bool, censor: &Censor) -> Failure {
        let code = why.status().map(u16::from);
        let why_text = match distrust::explained(why, &self.settings.server) {
            Some(advice) => one_line(&format!("{advice} ({})", said(why, censor)), 400),
            None => said(why, censor),
        };
        match code {
            Some(500..=599) => Failure::Never { why: why_text },
            Some(421) | None => Failure::Down { why: why_text, after: None, uncertain },
            Some(_) => Failure::Later { why: why_text },
        }
    }
}

/// Words a mail as the user wants it; as fillguard does where there are no templates.
pub fn dressed(
    message: &Message,
    settings: &EmailSettings,
    letter: Letter,
    incident: Option<&Incident>,
) -> (Message, Letter) {
    let channel = &settings.channel;
    let words = words(channel.language);
    let picture = letter.picture.as_ref().map(|picture| (PICTURE_SOURCE, picture.caption(words)));
    let about = About {
        repeat: letter.repeat,
        answer: letter.answer.as_deref(),
        picture,
        incident,
        ..About::new(words, &channel.phrase, letter.at)
    };
    let made = templates::dress(channel.templates.as_ref(), message, &about, &Own::PARTS);
    (made.message, Letter { own: Own::made(made.forms), ..letter })
}

/// A mail's forms as people read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forms {
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The page.
    pub page: String,
}

/// Returns what people read of a mail.
pub fn forms(message: &Message, settings: &EmailSettings, letter: &Letter) -> Forms {
    let words = words(settings.channel.language);
    let phrase = one_line(&settings.channel.phrase, 200);
    Forms {
        subject: compose::subject(message, letter, words),
        text: compose::plain_text(message, &phrase, letter, words),
        page: compose::page(message, &phrase, letter, words),
    }
}

/// How a page names the picture inside its mail.
const PICTURE_SOURCE: &str = "cid:loss";

/// What the server said of each recipient.
#[derive(Default)]
struct Envelope {
    accepted: Vec<String>,
    /// What it said of one who may be reached later.
    put_off: Option<String>,
    /// What it said of one who will never be.
    refused: Option<String>,
}

/// How far an attempt came, for when time runs out.
#[derive(Default)]
struct Progress {
    uncertain: bool,
    outcome: Option<Result<String, Failure>>,
}

impl Carrier for Mailer {
    async fn carry(&mut self, queued: &Queued) -> Result<String, Failure> {
        let mut progress = Progress::default();
        match timeout(self.settings.timeout, self.send(queued, &mut progress)).await {
            Ok(outcome) => outcome,
            Err(_) => match progress.outcome {
                Some(outcome) => outcome,
                None => Err(Failure::Down {
                    why: format!("the mail server did not answer within {:?}", self.settings.timeout),
                    after: None,
                    uncertain: progress.uncertain,
                }),
            },
        }
    }

    async fn idle(&mut self) {
        self.line.idle(&self.settings).await;
    }

    fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    async fn leave(&mut self) {
        self.line.leave().await;
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Puts an error and what caused it on one line: the server's words, which may repeat what it was sent, and rustls'.
fn said(why: &SmtpError, censor: &Censor) -> String {
    let mut text = why.to_string();
    let mut cause = std::error::Error::source(why);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    censor.cleaned(&text, 300)
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
