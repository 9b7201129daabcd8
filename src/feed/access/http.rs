//! `POST /api/v1/access`: the user's own software says who used a key. One door, one token, small and bounded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::desk::{self, Denial, Desk};
use super::entry::Whose;
use super::posted::{self, Kind, Refusal};
use super::settings::HttpSource;
use crate::feed::error::Error;
use crate::runtime::http;

/// The door: what it was told, and the desk behind it.
pub(super) struct Door {
    source: HttpSource,
    desk: Desk,
    /// Which accounts may be named, and those that are watched now.
    whose: Mutex<(Whose, super::Watched)>,
    /// Requests without the right token.
    strangers: AtomicU64,
}

/// The one path.
const PATH: &str = "/api/v1/access";
/// The longest `Idempotency-Key`.
const LONGEST_KEY: usize = 255;
/// Wrong entries that are told; more are counted.
const TOLD: usize = 20;
/// How long a connection lives at most; a client makes a new one.
const LIFE: Duration = Duration::from_secs(300);

impl Door {
    pub(super) fn new(source: HttpSource, desk: Desk, watched: super::Watched) -> Arc<Self> {
        let whose = Mutex::new((source.whose.clone(), watched));
        Arc::new(Door { source, desk, whose, strangers: AtomicU64::new(0) })
    }

    /// Listens until `stop`.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), Error> {
        let (name, listen) = (&self.source.name, self.source.listen);
        let refused = async |error| {
            tracing::error!("access/{name}: {listen} cannot be listened on and is tried again: {error}");
            self.desk.tell_closed("its address cannot be listened on").await;
        };
        let Some(listener) = http::bind(listen, &stop, refused).await else { return Ok(()) };
        tracing::info!("access/{name}: http://{listen}{PATH} takes posts");
        let source = &self.source;
        let bounds = http::Bounds { connections: source.connections, patience: source.patience, life: LIFE };
        let door = Arc::clone(&self);
        let answer = move |request| {
            let door = Arc::clone(&door);
            async move { door.answer(request).await }
        };
        http::serve(&format!("access/{name}"), listener, bounds, &stop, answer).await;
        Ok(())
    }

    async fn answer(&self, request: Request<Incoming>) -> Response {
        match self.taken(request).await {
            Ok(receipt) => {
                reply(StatusCode::OK, json!({"accepted": receipt.accepted, "duplicates": receipt.duplicates}))
            }
            Err(response) => *response,
        }
    }

    async fn taken(&self, request: Request<Incoming>) -> Result<desk::Receipt, Box<Response>> {
        let (head, body) = request.into_parts();
        if head.uri.path() != PATH {
            return Err(refusal(StatusCode::NOT_FOUND, format!("there is nothing here; post to {PATH}")));
        }
        if head.method != Method::POST {
            let refused = refusal(StatusCode::METHOD_NOT_ALLOWED, "only POST is answered here");
            return Err(with(refused, header::ALLOW, "POST"));
        }
        self.admit(&head.headers)?;
        let kind = kind(&head.headers)?;
        let key = key(&head.headers)?;
        let length = length(&head.headers)?;
        if length.is_some_and(|length| length > self.source.largest as u64) {
            return Err(self.too_large());
        }
        let body = self.body(Body::new(body)).await?;
        let batch = self.read(kind, &body).map_err(refused)?;
        let request = key.map(|key| desk::Request::new(&key, &body));
        self.desk.take(&batch, request, self.source.patience).await.map_err(denied)
    }

    fn read(&self, kind: Kind, body: &[u8]) -> Result<posted::Batch, Refusal> {
        let mut guarded = self.whose.lock().unwrap_or_else(PoisonError::into_inner);
        let (whose, watched) = &mut *guarded;
        super::refresh(whose, watched);
        posted::read(kind, body, whose, self.source.most)
    }

    /// Lets in who shows the token.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Box<Response>> {
        let proto = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        let proto = proto.and_then(|list| list.rsplit(',').next()).map(str::trim);
        if self.source.behind_proxy && proto.is_some_and(|proto| !proto.eq_ignore_ascii_case("https")) {
            let why = "the token travelled unprotected; post over https, and make a new token";
            return Err(refusal(StatusCode::FORBIDDEN, why));
        }
        let shown = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let shown = match shown.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => Some(token),
            Some(_) | None => None,
        };
        // Hashes are compared, in constant time, so that not even the length can be felt for.
        let right = blake3::hash(self.source.token.expose().as_bytes());
        if shown.is_some_and(|token| blake3::hash(token.trim_ascii()) == right) {
            return Ok(());
        }
        let count = self.strangers.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!("access/{}: requests without the right token: {count} so far", self.source.name);
        }
        let (why, challenge) = match shown {
            None => ("show the token: Authorization: Bearer TOKEN", "Bearer"),
            Some(_) => ("this is not the token", "Bearer error=\"invalid_token\""),
        };
        Err(with(refusal(StatusCode::UNAUTHORIZED, why), header::WWW_AUTHENTICATE, challenge))
    }

    async fn body(&self, body: Body) -> Result<Vec<u8>, Box<Response>> {
        let mut stream = body.into_data_stream();
        let reading = async {
            let mut all = Vec::new();
            while let Some(piece) = stream.next().await {
                let piece = piece.map_err(|_| refusal(StatusCode::BAD_REQUEST, "the body broke off"))?;
                if all.len() + piece.len() > self.source.largest {
                    return Err(self.too_large());
                }
                all.extend_from_slice(&piece);
            }
            Ok(all)
        };
        let late = |_| refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long");
        timeout(self.source.patience, reading).await.map_err(late)?
    }

    fn too_large(&self) -> Box<Response> {
        let why = format!("the body has more than {} bytes; post in pieces", self.source.largest);
        refusal(StatusCode::PAYLOAD_TOO_LARGE, why)
    }
}

fn kind(headers: &HeaderMap) -> Result<Kind, Box<Response>> {
    let unsupported = |why: &str| refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return Err(unsupported("the body must not be compressed"));
    }
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Kind::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Kind::Lines),
        _ => Err(unsupported("Content-Type must be application/json or application/x-ndjson")),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Box<Response>> {
    let Some(given) = headers.get("idempotency-key") else { return Ok(None) };
    let text = given.to_str().ok().filter(|text| (1..=LONGEST_KEY).contains(&text.len()));
    let why = || refusal(StatusCode::BAD_REQUEST, "Idempotency-Key must be 1 to 255 printable ASCII characters");
    text.map(|text| Some(text.to_owned())).ok_or_else(why)
}

/// Returns the length of the body; none where it comes in chunks.
fn length(headers: &HeaderMap) -> Result<Option<u64>, Box<Response>> {
    let given = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if given.is_none() && !headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(refusal(StatusCode::LENGTH_REQUIRED, "say how long the body is: Content-Length"));
    }
    Ok(given)
}

fn refused(refusal: Refusal) -> Box<Response> {
    let (status, answer) = match refusal {
        Refusal::Unreadable(why) => (StatusCode::BAD_REQUEST, json!({ "error": why })),
        Refusal::TooMany(most) => {
            (StatusCode::PAYLOAD_TOO_LARGE, json!({"error": format!("more than {most} entries; post in pieces")}))
        }
        Refusal::Entries(wrong) => {
            let told = wrong.iter().take(TOLD).map(|(index, reason)| json!({"index": index, "reason": reason}));
            let error = "nothing was taken: mend these entries and post all again";
            let entries: Vec<Value> = told.collect();
            (StatusCode::UNPROCESSABLE_ENTITY, json!({"error": error, "wrong": wrong.len(), "entries": entries}))
        }
    };
    Box::new(reply(status, answer))
}

fn denied(denial: Denial) -> Box<Response> {
    match denial {
        Denial::OtherBody => {
            refusal(StatusCode::CONFLICT, "another body was posted under this Idempotency-Key; use a new key")
        }
        Denial::Full => busy("the queue is full and nothing was taken; post again"),
        Denial::Waiting => {
            busy("it is not known yet whether this is kept; post the same again under the same Idempotency-Key")
        }
        Denial::Closed => busy("fillguard is stopping; post the same again under the same Idempotency-Key"),
    }
}

fn busy(why: &str) -> Box<Response> {
    with(refusal(StatusCode::SERVICE_UNAVAILABLE, why), header::RETRY_AFTER, "1")
}

fn refusal(status: StatusCode, why: impl Into<String>) -> Box<Response> {
    Box::new(reply(status, json!({ "error": why.into() })))
}

fn reply(status: StatusCode, answer: Value) -> Response {
    let mut response = Response::new(Body::from(format!("{answer}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn with(mut response: Box<Response>, name: header::HeaderName, value: &'static str) -> Box<Response> {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

/// Says whether an address may be listened on without a proxy in front: this machine's own only, because the token would
/// travel readable.
pub fn is_private(listen: std::net::SocketAddr) -> bool {
    listen.ip().to_canonical().is_loopback()
}
