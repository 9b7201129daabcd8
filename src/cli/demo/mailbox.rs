//! A mail server for one demo: takes what the daemon sends over SMTP and keeps it as `.eml` files.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A mailbox on a free port of 127.0.0.1.
pub(super) struct Mailbox {
    listener: TcpListener,
    folder: PathBuf,
    port: u16,
}

impl Mailbox {
    pub(super) async fn open(folder: PathBuf) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Mailbox { listener, folder, port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Takes mails until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) -> std::io::Result<()> {
        let mut sessions = JoinSet::new();
        let mut session_number = 0_u32;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                accepted = self.listener.accept() => {
                    session_number += 1;
                    let (folder, (socket, _)) = (self.folder.clone(), accepted?);
                    sessions.spawn(async move { session(socket, &folder, session_number).await });
                }
                // A client that hangs up in mid-sentence costs its own session only.
                Some(_) = sessions.join_next() => {}
            }
        }
    }
}

/// RFC 5321 as far as one polite client needs it.
async fn session(socket: TcpStream, folder: &Path, session_number: u32) -> std::io::Result<()> {
    let mut stream = BufStream::new(socket);
    let mut mail_number = 0_u32;
    say(&mut stream, "220 localhost demo mailbox").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.split([' ', '\r', '\n', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => say(&mut stream, "250-localhost\r\n250 8BITMIME").await?,
            "HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => say(&mut stream, "250 ok").await?,
            "DATA" => {
                say(&mut stream, "354 go on").await?;
                mail_number += 1;
                let mail = content(&mut stream).await?;
                let name = format!("{session_number:02}-{mail_number:02}.eml");
                tokio::fs::write(folder.join(name), mail).await?;
                say(&mut stream, "250 kept").await?;
            }
            "QUIT" => return say(&mut stream, "221 bye").await,
            _ => say(&mut stream, "502 not spoken here").await?,
        }
    }
}

async fn say(stream: &mut BufStream<TcpStream>, line: &str) -> std::io::Result<()> {
    stream.write_all(line.as_bytes()).await?;
    stream.write_all(b"\r\n").await?;
    stream.flush().await
}

/// Reads a mail up to the lone dot, with doubled dots undone.
async fn content(stream: &mut BufStream<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 || line == b".\r\n" {
            return Ok(mail);
        }
        mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
