//! `POST /api/chat`, `POST /api/abort/{requestId}` and `GET /api/health`.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use outlast_access::Shown;
use outlast_agent::{Abort, Follower, RunOrder, StartError};
use outlast_config::parse_duration;
use outlast_protocol::chat::{Aborted, ChatRequest, Health};

use crate::reply::{chat_error, json_error, stream};
use crate::{Desktop, PaceRequest};

/// A message of 1 MiB in which every character is escaped fits.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// By which a drill asks scout for a pace, such as `8s`.
const PACE_FIELD: &str = "outlast-drill-pace";

/// The longest pace a request may ask for.
const PACE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Starts a run, or watches the one that already has this request id, and streams its lines. A client that leaves
/// stops watching; the run goes on.
pub(crate) async fn chat(State(desktop): State<Desktop>, request: Request) -> Response {
    let pace = match pace(&desktop, request.headers()) {
        Ok(pace) => pace,
        Err((status, error)) => return chat_error(status, error),
    };
    let Ok(body) = to_bytes(request.into_body(), BODY_BYTES_MAX).await else {
        let error = format!("the request body is cut, or longer than {BODY_BYTES_MAX} bytes");
        return chat_error(StatusCode::PAYLOAD_TOO_LARGE, error);
    };
    let request: ChatRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            let hint = "send JSON with at least \"message\" and \"requestId\"";
            let error = format!("the request body is not a chat request: {error}; {hint}");
            return chat_error(StatusCode::BAD_REQUEST, error);
        }
    };
    let order = RunOrder {
        request_id: request.request_id,
        message: request.message,
        session_id: request.session_id,
        working_directory: request.working_directory,
        pace,
    };
    match desktop.runs.start(order) {
        Ok(follower) => stream(StatusCode::OK, Body::from_stream(lines(follower))),
        Err(error) => {
            let status = match error {
                StartError::TooMany { .. } => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            };
            chat_error(status, error.to_string())
        }
    }
}

/// Each line is a chunk of its own: the original front end loses lines that are split.
fn lines(follower: Follower) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    unfold(follower, |mut follower| async move {
        follower.next().await.map(|line| (Ok(line), follower))
    })
}

fn pace(desktop: &Desktop, headers: &HeaderMap) -> Result<Option<Duration>, (StatusCode, String)> {
    let Some(value) = headers.get(PACE_FIELD) else { return Ok(None) };
    if desktop.pace_request == PaceRequest::Refused {
        let error = "Outlast-Drill-Pace is allowed only with --no-auth".to_owned();
        return Err((StatusCode::FORBIDDEN, error));
    }
    let pace = value.to_str().ok().and_then(|text| parse_duration(text.trim()).ok());
    pace.filter(|pace| *pace <= PACE_MAX).map(Some).ok_or_else(|| {
        let error = "Outlast-Drill-Pace must be a duration from 0s to 24h, such as 8s".to_owned();
        (StatusCode::BAD_REQUEST, error)
    })
}

/// Stops a run. It needs no body.
pub(crate) async fn abort(
    State(desktop): State<Desktop>,
    Path(request_id): Path<String>,
) -> Response {
    match desktop.runs.abort(&request_id) {
        Abort::Stopped => {
            Json(Aborted { success: true, message: "Request aborted".to_owned() }).into_response()
        }
        Abort::NotFound => {
            let text = "Request not found or already completed";
            let mut response = json_error(StatusCode::NOT_FOUND, text);
            // Another machine may have it; a gateway that has asked them all passes this on.
            if desktop.machine.is_some() {
                let elsewhere = HeaderValue::from_static("elsewhere=true");
                response.headers_mut().insert("fly-replay", elsewhere);
            }
            response
        }
    }
}

/// Says that the desktop works, and who answers. A health check asks by the machine's address, which is none of our names:
/// it learns no more than it needs.
pub(crate) async fn health(
    State(desktop): State<Desktop>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if desktop.gate.check_host(&Shown::new(&method, &headers).visit()).is_err() {
        return Json(serde_json::json!({ "status": "ok" })).into_response();
    }
    let counts = desktop.runs.counts();
    Json(Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        agent: desktop.runs.agent_name().to_owned(),
        agent_reason: desktop.runs.agent_reason().to_owned(),
        runs: counts.running,
        runs_waiting: counts.waiting,
        machine: desktop.machine,
    })
    .into_response()
}
