//! The sockets of an HTTP server: so many connections, each so long, each head so large.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What a server takes from strangers at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once; more wait.
    pub connections: usize,
    /// How long the head of a request may take to come.
    pub patience: Duration,
    /// How long a connection lives; a client makes a new one.
    pub life: Duration,
}

/// The longest head of a request, in bytes.
const HEAD: usize = 16 << 10;
/// How long an address that is in use is waited for.
const AGAIN: Duration = Duration::from_secs(5);
/// How long answers that are being given may take at the end.
const LAST: Duration = Duration::from_secs(2);

/// Listens on an address. One that cannot be had is told to `refused`, once a reason, and tried again until `stop`: watching
/// must not end for it.
pub async fn bind<T: Future<Output = ()>>(
    listen: SocketAddr,
    stop: &CancellationToken,
    mut refused: impl FnMut(io::Error) -> T,
) -> Option<TcpListener> {
    let mut said = None;
    while !stop.is_cancelled() {
        match TcpListener::bind(listen).await {
            Ok(listener) => return Some(listener),
            Err(error) if said == Some(error.kind()) => {}
            Err(error) => {
                said = Some(error.kind());
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = refused(error) => {}
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
    None
}

/// Serves a listener until `stop`; `name` says in the log whose it is.
pub async fn serve<T>(
    name: &str,
    listener: TcpListener,
    bounds: Bounds,
    stop: &CancellationToken,
    answer: impl Fn(Request<Incoming>) -> T + Clone + Send + 'static,
) where
    T: Future<Output = Response> + Send + 'static,
{
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        let room = connections.len() < bounds.connections;
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, bounds, answer.clone(), stop.clone()))),
                Err(error) => {
                    tracing::warn!("{name}: a connection was not accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    drop(timeout(LAST, ended).await);
}

async fn connection<T: Future<Output = Response>>(
    stream: TcpStream,
    bounds: Bounds,
    answer: impl Fn(Request<Incoming>) -> T,
    stop: CancellationToken,
) {
    let service = service_fn(move |request| {
        let answered = answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.patience)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // What goes wrong here the client knows as well as we do.
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
        () = tokio::time::sleep(bounds.life) => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(timeout(LAST, connection).await);
}
