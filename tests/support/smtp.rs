//! A mail server on loopback that says what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    /// The answer to MAIL where a mail went over this connection before.
    pub again: &'static str,
    /// Mails after which the connection is closed without a word.
    pub mails: usize,
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
            again: "250 fine",
            mails: usize::MAX,
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
    /// Which connection it came over, from 0.
    pub connection: usize,
}

pub struct SmtpServer {
    pub port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    goodbyes: Arc<AtomicUsize>,
}

impl SmtpServer {
    /// Listens; the nth connection goes as the nth session says, later ones as the last.
    pub fn start(sessions: Vec<Session>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let goodbyes = Arc::new(AtomicUsize::new(0));
        let (book, farewells) = (Arc::clone(&received), Arc::clone(&goodbyes));
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let session = sessions[number.min(sessions.len() - 1)].clone();
                let book = Book { received: Arc::clone(&book), goodbyes: Arc::clone(&farewells), connection: number };
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    // A test that hangs up early ends the session with an error, as it should.
                    let _ended = serve(stream, &session, &book);
                });
            }
        });
        SmtpServer { port, received, goodbyes }
    }

    /// How many connections were ended by QUIT.
    pub fn goodbyes(&self) -> usize {
        self.goodbyes.load(Ordering::SeqCst)
    }

    /// Every mail whose text arrived, also those not accepted.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// What one connection writes down.
struct Book {
    received: Arc<Mutex<Vec<Received>>>,
    goodbyes: Arc<AtomicUsize>,
    connection: usize,
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

fn serve(stream: TcpStream, session: &Session, book: &Book) -> std::io::Result<()> {
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
fn talk(wire: &mut BufReader<Box<dyn Wire>>, session: &Session, encrypted: bool, book: &Book) -> std::io::Result<bool> {
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
    let fresh = || Received { encrypted, connection: book.connection, ..Received::default() };
    let (mut mail, mut mails) = (fresh(), 0);
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
                let signed_in = mail.signed_in.clone();
                book.received.lock().unwrap().push(std::mem::replace(&mut mail, Received { signed_in, ..fresh() }));
                mails += 1;
                say(wire, session.end)? && mails < session.mails
            }
            "MAIL" if mails > 0 => {
                mail.to.clear();
                say(wire, session.again)? && !session.again.starts_with("421")
            }
            "QUIT" => {
                book.goodbyes.fetch_add(1, Ordering::SeqCst);
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

/// Passes a connection on to a server on this machine, and cuts it when the server has the `mails`th text: the answer to it
/// is read, so that the server has the mail, and not handed on.
pub fn cut_after(client: TcpStream, server: u16, mails: usize) {
    let up = TcpStream::connect(("127.0.0.1", server)).unwrap();
    let (mut down, mut answers) = (client.try_clone().unwrap(), BufReader::new(up.try_clone().unwrap()));
    let texts = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&texts);
    let back = std::thread::spawn(move || {
        let mut line = String::new();
        while answers.read_line(&mut line).is_ok_and(|length| length > 0) {
            if seen.load(Ordering::SeqCst) >= mails && line.starts_with("250") {
                let _cut = down.shutdown(std::net::Shutdown::Both);
                return;
            }
            if down.write_all(line.as_bytes()).is_err() {
                return;
            }
            line.clear();
        }
        let _ended = down.shutdown(std::net::Shutdown::Both);
    });
    let (mut up, mut asked, mut line) = (up, BufReader::new(client), String::new());
    let mut in_text = false;
    while asked.read_line(&mut line).is_ok_and(|length| length > 0) {
        let dot = in_text && line == ".\r\n";
        in_text = !dot && (in_text || line.to_uppercase().starts_with("DATA"));
        if dot {
            texts.fetch_add(1, Ordering::SeqCst);
        }
        if up.write_all(line.as_bytes()).is_err() {
            break;
        }
        line.clear();
    }
    let _ended = up.shutdown(std::net::Shutdown::Both);
    back.join().unwrap();
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
