//! Answers of the desktop's own.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use outlast_protocol::chat::ChatLine;

/// An answer to a chat that did not start: one line, as a chat's own error would be, so that the original front end
/// shows it, with a status for everyone else.
pub(crate) fn chat_error(status: StatusCode, error: String) -> Response {
    let mut line = serde_json::to_string(&ChatLine::Error { error }).expect("a line is plain data");
    line.push('\n');
    stream(status, Body::from(line))
}

/// A response of NDJSON lines that nobody may keep or hold back.
pub(crate) fn stream(status: StatusCode, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, body).into_response()
}

/// An error for programs.
pub(crate) fn json_error(status: StatusCode, error: &str) -> Response {
    (status, axum::Json(serde_json::json!({ "error": error }))).into_response()
}
