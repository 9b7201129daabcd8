//! An exchange played on loopback: HTTP answered by a function, WebSockets spoken line by line by the test.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// Nothing a test waits for takes longer, unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A played exchange.
pub struct Exchange {
    port: u16,
    requests: mpsc::Receiver<Request>,
    peers: mpsc::Receiver<Peer>,
    _tasks: JoinSet<()>,
}

/// An HTTP request it received.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub path: String,
    pub headers: Vec<(String, String)>,
}

/// What it answers.
pub struct Reply {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

/// One WebSocket, seen from the exchange.
pub struct Peer {
    pub path: String,
    socket: WebSocketStream<TcpStream>,
}

/// Waits for something that must come.
pub async fn within<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        let query = self.path.split_once('?')?.1;
        query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
    }
}

impl Reply {
    pub fn json(body: impl Into<String>) -> Self {
        Reply { status: 200, headers: String::new(), body: body.into() }
    }

    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Reply { status, headers: String::new(), body: body.into() }
    }
}

impl Exchange {
    /// Opens on a free port; `answer` is given the port and the request.
    pub async fn open(answer: impl Fn(u16, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (said, requests) = mpsc::channel(1_024);
        let (joined, peers) = mpsc::channel(64);
        let answer = Arc::new(answer);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, said, joined) = (Arc::clone(&answer), said.clone(), joined.clone());
                connections.spawn(async move {
                    serve(stream, port, &*answer, said, joined).await;
                });
            }
        });
        Exchange { port, requests, peers, _tasks: tasks }
    }

    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn ws(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Returns the next WebSocket that is opened.
    pub async fn peer(&mut self) -> Peer {
        within("a connection", self.peers.recv()).await.unwrap()
    }

    /// Returns the next request whose path begins with `path`.
    pub async fn request(&mut self, path: &str) -> Request {
        loop {
            let request = within(path, self.requests.recv()).await.unwrap();
            if request.path.starts_with(path) {
                return request;
            }
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    port: u16,
    answer: &(dyn Fn(u16, &Request) -> Reply + Send + Sync),
    said: mpsc::Sender<Request>,
    joined: mpsc::Sender<Peer>,
) {
    // Looked at without being taken: an upgrade is read again by the WebSocket's own handshake.
    let mut head = vec![0; 16 * 1024];
    let length = loop {
        let Ok(length) = stream.peek(&mut head).await else { return };
        if length == 0 || head[..length].windows(4).any(|four| four == b"\r\n\r\n") {
            break length;
        }
        tokio::task::yield_now().await;
    };
    let text = String::from_utf8_lossy(&head[..length]).into_owned();
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or("").split(' ');
    let (method, path) = (first.next().unwrap_or("").to_owned(), first.next().unwrap_or("").to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let request = Request { method, path, headers };
    if request.header("upgrade").eq_ignore_ascii_case("websocket") {
        if let Ok(socket) = accept_async(stream).await {
            let _ = joined.send(Peer { path: request.path, socket }).await;
        }
        return;
    }
    let mut taken = vec![0; length];
    if stream.read_exact(&mut taken).await.is_err() {
        return;
    }
    let Reply { status, headers, body } = answer(port, &request);
    let _ = said.send(request).await;
    let length = body.len();
    let reply = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}");
    let _ = stream.write_all(reply.as_bytes()).await;
    let _ = stream.shutdown().await;
}

impl Peer {
    /// Returns the next message of the client, as JSON.
    pub async fn hear(&mut self) -> Value {
        loop {
            match within("a message of the client", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(text.as_str()).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no message but {other:?}"),
            }
        }
    }

    /// Sends a text.
    pub async fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    /// Sends bytes.
    pub async fn say_bytes(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    /// Sends a ping and returns what the pong carried.
    pub async fn ping(&mut self, payload: &'static [u8]) -> Vec<u8> {
        self.socket.send(Message::Ping(payload.into())).await.unwrap();
        loop {
            match within("a pong", self.socket.next()).await {
                Some(Ok(Message::Pong(payload))) => return payload.to_vec(),
                Some(Ok(Message::Text(_))) => {}
                other => panic!("no pong but {other:?}"),
            }
        }
    }

    /// Closes with a code.
    pub async fn close(mut self, code: u16) {
        let _ = self.socket.close(Some(CloseFrame { code: code.into(), reason: "secret words".into() })).await;
    }

    /// Takes nothing and says nothing until the client goes away; the TCP connection stays open meanwhile.
    pub async fn stay_silent(self) {
        let stream = self.socket.into_inner();
        let mut bytes = [0; 1_024];
        loop {
            within("the client to go away", stream.readable()).await.unwrap();
            match stream.try_read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// Waits until the client has closed.
    pub async fn closed(mut self) {
        loop {
            match within("the client to close", self.socket.next()).await {
                None | Some(Err(_) | Ok(Message::Close(_))) => return,
                Some(Ok(_)) => {}
            }
        }
    }
}
