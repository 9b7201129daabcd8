//! Pages for browsers. So far one: the answer page that mails link to.

mod answer;
mod page;
mod take;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use answer::Desk;

/// Where pages are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address; on this machine only, unless a proxy with TLS stands before it.
    pub listen: SocketAddr,
    /// How people's browsers reach it.
    pub public_url: String,
}

/// Connections at once; more wait.
const CONNECTIONS: usize = 64;
/// The longest head and the longest body of a request, in bytes.
const HEAD: usize = 16 << 10;
const BODY: usize = 4 << 10;
/// How long a request may take to come, a connection to live, and the last answers at the end.
const PATIENCE: Duration = Duration::from_secs(10);
const LIFE: Duration = Duration::from_secs(60);
const LAST: Duration = Duration::from_secs(2);
/// How long an address that is in use is waited for.
const AGAIN: Duration = Duration::from_secs(5);

/// Serves until `stop`. An address that cannot be had is said and tried again: watching must not end for it.
pub async fn run(listen: SocketAddr, desk: Arc<Desk>, stop: CancellationToken) {
    let mut said = None;
    while !stop.is_cancelled() {
        match TcpListener::bind(listen).await {
            Ok(listener) => {
                tracing::info!("answer page: listening on http://{listen}");
                return serve(listener, &desk, &stop).await;
            }
            Err(error) if said == Some(error.kind()) => {}
            Err(error) => {
                tracing::error!("answer page: {listen} cannot be listened on and is tried again: {error}");
                said = Some(error.kind());
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

/// Serves a listener until `stop`.
pub async fn serve(listener: TcpListener, desk: &Arc<Desk>, stop: &CancellationToken) {
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        let room = connections.len() < CONNECTIONS;
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(Arc::clone(desk), stream, stop.clone()))),
                Err(error) => {
                    tracing::warn!("answer page: a connection was not accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    drop(timeout(LAST, ended).await);
}

async fn connection(desk: Arc<Desk>, stream: TcpStream, stop: CancellationToken) {
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(respond(&desk, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // What goes wrong here the client knows as well as we do.
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
        () = tokio::time::sleep(LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(timeout(LAST, connection).await);
}

async fn respond(desk: &Desk, request: Request<Incoming>) -> Response {
    let (head, body) = request.into_parts();
    let (status, page) = match (&head.method, head.uri.path()) {
        // Looking changes nothing: mail scanners follow every link.
        (&Method::GET | &Method::HEAD, path) => desk.show(path).await,
        (&Method::POST, path) => match timeout(PATIENCE, axum::body::to_bytes(Body::new(body), BODY)).await {
            Ok(Ok(body)) => desk.take(path, &body).await,
            Ok(Err(_)) => (StatusCode::PAYLOAD_TOO_LARGE, desk.notice("The request is too long.")),
            Err(_) => (StatusCode::REQUEST_TIMEOUT, desk.notice("The request took too long.")),
        },
        _ => (StatusCode::METHOD_NOT_ALLOWED, desk.notice("Only GET and POST are answered here.")),
    };
    let page = if head.method == Method::HEAD { String::new() } else { page };
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
    response
}
