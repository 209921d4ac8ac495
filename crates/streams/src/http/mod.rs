//! Durable Streams 1.0 over HTTP: a store's streams at `/v1/stream/{name}`.
//!
//! Its methods are those of the protocol: `PUT` creates or forks, `POST` appends and closes, `GET` reads (what is there, or
//! live by long poll or server-sent events), `HEAD` tells, `DELETE` deletes. Beyond it, ours: `Stream-End-Reason` in
//! requests that close and wherever an end is told, and ids of events, by which an `EventSource` goes on where it was.
//! Subscriptions (protocol section 6) are not served. It knows nothing of who may come in: whoever mounts it does.

mod answer;
mod body;
mod cursor;
mod etag;
mod events;
mod fields;
mod json;
mod live;
mod media;
mod path;
mod query;
mod read;
mod rest;
mod sse;
mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use outlast_runtime::{Phases, Tasks};
use tokio::sync::Semaphore;

use self::answer::{NO_STORE, Refusal, protect};
use self::live::Readers;
use crate::store::Store;

pub use self::path::PREFIX;

/// The methods of a stream's URL.
pub const METHODS: &str = "GET, HEAD, POST, PUT, DELETE, OPTIONS";

/// The fields that a page of another origin may send, beside those that any may.
pub const REQUEST_FIELDS: &str = "authorization, content-type, if-none-match, last-event-id, producer-epoch, \
     producer-id, producer-seq, stream-closed, stream-end-reason, stream-expires-at, stream-fork-offset, \
     stream-fork-sub-offset, stream-forked-from, stream-seq, stream-ttl";

/// The fields that a page of another origin may see in answers, beside those that any may.
pub const RESPONSE_FIELDS: &str = "etag, location, producer-epoch, producer-expected-seq, producer-received-seq, \
     producer-seq, retry-after, stream-closed, stream-cursor, stream-end-reason, stream-expires-at, \
     stream-next-offset, stream-sse-data-encoding, stream-ttl, stream-up-to-date";

/// How much one server gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The longest body of an append or a creation, in bytes. All bodies that are on their way hold at most 16 times as much.
    pub append_bytes_max: usize,
    /// Live readers at once, long polls and server-sent events together.
    pub readers_max: usize,
    /// How long a long poll waits, from its first read.
    pub poll_timeout: Duration,
    /// How long an answer of server-sent events goes on, from its first read (protocol section 10.2).
    pub events_lifetime: Duration,
}

/// Bodies of the greatest length that may be on their way at once.
const BODIES_MAX: usize = 16;

/// A store and how it is served. Clones share everything.
#[derive(Debug, Clone)]
pub struct Streams {
    store: Arc<dyn Store>,
    settings: Arc<Settings>,
    readers: Readers,
    /// Bytes of bodies that are on their way.
    bodies: Arc<Semaphore>,
    phases: Phases,
    /// Those that take in what is thrown away.
    tasks: Tasks,
}

async fn serve(State(streams): State<Streams>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let mut response = match streams.respond(&head, &mut body).await {
        Ok(response) => response,
        Err(refusal) => {
            // Who still sends would be reset, and might never read why.
            if !body.is_end_stream() {
                streams.tasks.spawn(body::discard(body));
            }
            refusal.into_response()
        }
    };
    protect(&mut response);
    response
}

impl Streams {
    /// Serves a store. While `phases` is draining, live readers are let go at once, to come again elsewhere. `tasks` gets one
    /// for each body that is refused and still sent, for 10 s at most.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, settings: Settings, phases: &Phases, tasks: &Tasks) -> Self {
        let bodies_bytes = settings.append_bytes_max.saturating_mul(BODIES_MAX);
        Self {
            store,
            readers: Readers::new(settings.readers_max),
            bodies: Arc::new(Semaphore::new(bodies_bytes.min(Semaphore::MAX_PERMITS))),
            phases: phases.clone(),
            tasks: tasks.clone(),
            settings: Arc::new(settings),
        }
    }

    /// All that is at `/v1/stream`. What lies beside a stream's name there is told so by us, too.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/stream", any(serve))
            .route("/v1/stream/", any(serve))
            .route("/v1/stream/{*name}", any(serve))
            .with_state(self.clone())
    }

    async fn respond(&self, head: &Parts, body: &mut BodyDataStream) -> Result<Response, Refusal> {
        if head.method == Method::OPTIONS {
            return Ok(options());
        }
        let name = path::name(head.uri.path())?;
        match head.method {
            Method::PUT => self.create(&name, head, body).await,
            Method::POST => self.append(&name, head, body).await,
            Method::DELETE => self.delete(&name).await,
            Method::HEAD => self.head(&name),
            Method::GET => self.read(&name, &head.uri, &head.headers).await,
            _ => {
                Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("send one of {METHODS}"))
                    .with(header::ALLOW, HeaderValue::from_static(METHODS)))
            }
        }
    }
}

/// What may be asked. To pages of other origins it is told by whoever mounts us.
fn options() -> Response {
    let fields =
        [(header::ALLOW, HeaderValue::from_static(METHODS)), (header::CACHE_CONTROL, NO_STORE)];
    (StatusCode::NO_CONTENT, fields, Body::empty()).into_response()
}
