//! A mail server on loopback that says what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How one connection goes. An empty answer closes the connection instead.
#[derive(Clone)]
pub struct Session {
    pub greeting: &'static str,
    pub auth: &'static str,
    /// Answers to RCPT, the last repeated.
    pub rcpt: Vec<&'static str>,
    /// The answer after the final dot.
    pub end: &'static str,
    pub tls: Protection,
}

#[derive(Clone)]
pub enum Protection {
    None,
    Starttls(Arc<ServerConfig>),
    Implicit(Arc<ServerConfig>),
}

impl Default for Session {
    fn default() -> Self {
        Session {
            greeting: "220 loopback ready",
            auth: "235 welcome",
            rcpt: vec!["250 fine"],
            end: "250 queued",
            tls: Protection::None,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Received {
    pub to: Vec<String>,
    pub data: String,
    pub encrypted: bool,
    pub signed_in: Option<String>,
    /// True when the server said that it took the mail.
    pub accepted: bool,
}

pub struct SmtpServer {
    pub port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl SmtpServer {
    /// Listens; the nth connection goes as the nth session says, later ones as the last.
    pub fn start(sessions: Vec<Session>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&received);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let session = sessions[number.min(sessions.len() - 1)].clone();
                let book = Arc::clone(&book);
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    // A test that hangs up early ends the session with an error, as it should.
                    let _ended = serve(stream, &session, &book);
                });
            }
        });
        SmtpServer { port, received }
    }

    /// Every mail whose text arrived, also those not accepted.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

fn serve(stream: TcpStream, session: &Session, book: &Mutex<Vec<Received>>) -> std::io::Result<()> {
    let encrypt = |stream: TcpStream, config: &Arc<ServerConfig>| {
        StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream)
    };
    match &session.tls {
        Protection::Implicit(config) => {
            talk(&mut BufReader::new(Box::new(encrypt(stream, config)) as Box<dyn Wire>), session, true, book)?;
        }
        Protection::None | Protection::Starttls(_) => {
            let mut plain = BufReader::new(Box::new(stream.try_clone()?) as Box<dyn Wire>);
            if talk(&mut plain, session, false, book)? {
                let Protection::Starttls(config) = &session.tls else { return Ok(()) };
                let quiet = Session { greeting: "", ..session.clone() };
                talk(&mut BufReader::new(Box::new(encrypt(stream, config)) as Box<dyn Wire>), &quiet, true, book)?;
            }
        }
    }
    Ok(())
}

/// Talks until the end, or until TLS is to begin (true).
fn talk(
    wire: &mut BufReader<Box<dyn Wire>>,
    session: &Session,
    encrypted: bool,
    book: &Mutex<Vec<Received>>,
) -> std::io::Result<bool> {
    fn say(wire: &mut BufReader<Box<dyn Wire>>, line: &str) -> std::io::Result<bool> {
        if line.is_empty() {
            return Ok(false);
        }
        wire.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        wire.get_mut().flush()?;
        Ok(true)
    }
    if !session.greeting.is_empty() {
        say(wire, session.greeting)?;
    }
    let mut mail = Received { encrypted, ..Received::default() };
    loop {
        let mut line = String::new();
        if wire.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let line = line.trim_end();
        let verb: String = line.chars().take(4).collect::<String>().to_uppercase();
        let go_on = match verb.as_str() {
            "EHLO" => {
                let offer = matches!(session.tls, Protection::Starttls(_)) && !encrypted;
                let offer = if offer { "250-STARTTLS\r\n" } else { "" };
                say(wire, &format!("250-loopback\r\n{offer}250-AUTH PLAIN LOGIN\r\n250 8BITMIME"))?
            }
            "STAR" => {
                say(wire, "220 go ahead")?;
                return Ok(true);
            }
            "AUTH" => {
                mail.signed_in = line.split(' ').nth(2).map(str::to_owned);
                say(wire, session.auth)?
            }
            "RCPT" => {
                let answer = session.rcpt[mail.to.len().min(session.rcpt.len() - 1)];
                mail.to.push(line.to_owned());
                say(wire, answer)?
            }
            "DATA" => {
                say(wire, "354 end with a dot")?;
                loop {
                    let mut text = String::new();
                    if wire.read_line(&mut text)? == 0 {
                        return Ok(false);
                    }
                    if text == ".\r\n" {
                        break;
                    }
                    mail.data.push_str(text.strip_prefix('.').unwrap_or(&text));
                }
                mail.accepted = session.end.starts_with('2');
                book.lock().unwrap().push(std::mem::take(&mut mail));
                say(wire, session.end)?
            }
            "QUIT" => {
                say(wire, "221 bye")?;
                return Ok(false);
            }
            _ => say(wire, "250 fine")?,
        };
        if !go_on {
            return Ok(false);
        }
    }
}

/// A certificate for 127.0.0.1 and localhost, made now; nothing (with the reason printed) when openssl is absent.
pub fn certificate(folder: &Path, name: &str) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    match made {
        Ok(output) if output.status.success() => Some((certificate, key)),
        Ok(output) => {
            eprintln!("skipped: openssl made no certificate: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(why) => {
            eprintln!("skipped: no openssl to make a certificate with: {why}");
            None
        }
    }
}

pub fn server_config((certificate, key): &(PathBuf, PathBuf)) -> Arc<ServerConfig> {
    fillguard::notify::provider();
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap())
}
