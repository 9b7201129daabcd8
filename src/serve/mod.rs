//! Pages for browsers. So far one: the answer page that mails link to.

mod answer;
mod page;
mod take;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use answer::Desk;

use crate::runtime::http;

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
/// The longest body of a request, in bytes.
const BODY: usize = 4 << 10;
/// How long a request may take to come, a connection to live, and the last answers at the end.
const PATIENCE: Duration = Duration::from_secs(10);
const LIFE: Duration = Duration::from_secs(60);

/// Serves until `stop`.
pub async fn run(listen: SocketAddr, desk: Arc<Desk>, stop: CancellationToken) {
    let refused =
        async |error| tracing::error!("answer page: {listen} cannot be listened on and is tried again: {error}");
    let Some(listener) = http::bind(listen, &stop, refused).await else { return };
    tracing::info!("answer page: listening on http://{listen}");
    serve(listener, &desk, &stop).await;
}

/// Serves a listener until `stop`.
pub async fn serve(listener: TcpListener, desk: &Arc<Desk>, stop: &CancellationToken) {
    let bounds = http::Bounds { connections: CONNECTIONS, patience: PATIENCE, life: LIFE };
    let desk = Arc::clone(desk);
    let answer = move |request| {
        let desk = Arc::clone(&desk);
        async move { respond(&desk, request).await }
    };
    http::serve("answer page", listener, bounds, stop, answer).await;
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
