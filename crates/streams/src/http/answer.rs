//! Answers: what every one of them carries, and those that say no.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;

use super::fields::{
    BadField, PRODUCER_EPOCH, PRODUCER_EXPECTED_SEQ, PRODUCER_RECEIVED_SEQ, STREAM_CLOSED,
    STREAM_END_REASON, STREAM_NEXT_OFFSET,
};
use super::path::BadPath;
use super::query::BadQuery;
use crate::error::{
    AppendError, CreateError, DeleteError, Limit, LimitKind, Missing, OffsetProblem, ReadError,
    StorageError, StorageErrorKind,
};
use crate::offset::Offset;

/// Nobody may keep it.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// The reader's own cache may keep it, and asks by its entity tag whether there is more.
pub(crate) const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");
pub(crate) const TRUE: HeaderValue = HeaderValue::from_static("true");

/// A "no": the status, the reason for people, and fields for programs.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    detail: String,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), fields: Vec::new() }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let body = Json(serde_json::json!({ "error": self.detail }));
        let mut response = (self.status, body).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        response.headers_mut().extend(self.fields);
        response
    }
}

impl From<BadField> for Refusal {
    fn from(bad: BadField) -> Self {
        Self::bad(bad.to_string())
    }
}

impl From<BadQuery> for Refusal {
    fn from(bad: BadQuery) -> Self {
        Self::bad(bad.to_string())
    }
}

impl From<BadPath> for Refusal {
    fn from(bad: BadPath) -> Self {
        let status = match bad {
            BadPath::Foreign | BadPath::Reserved => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, bad.to_string())
    }
}

impl From<Missing> for Refusal {
    fn from(missing: Missing) -> Self {
        let status = match missing {
            Missing::Unknown => StatusCode::NOT_FOUND,
            Missing::Deleted => StatusCode::GONE,
        };
        Self::new(status, missing.to_string())
    }
}

impl From<Limit> for Refusal {
    fn from(limit: Limit) -> Self {
        let status = match limit.what {
            LimitKind::AppendBytes => StatusCode::PAYLOAD_TOO_LARGE,
            LimitKind::Streams | LimitKind::StoreBytes | LimitKind::Producers => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, limit.to_string())
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        // Where our files are is for the log alone.
        tracing::error!(%error, "the store of streams");
        let (status, detail) = match error.kind() {
            StorageErrorKind::DiskFull => {
                (StatusCode::INSUFFICIENT_STORAGE, "the server has no room for streams")
            }
            StorageErrorKind::Stopped => {
                (StatusCode::SERVICE_UNAVAILABLE, "the server is being stopped; come again")
            }
            _ => {
                (StatusCode::INTERNAL_SERVER_ERROR, "the server's store failed; its log tells why")
            }
        };
        Self::new(status, detail)
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Missing(missing) => missing.into(),
            // It was one once, or never: either way the reader has to begin anew.
            ReadError::Offset(problem @ OffsetProblem::Foreign) => {
                Self::new(StatusCode::GONE, format!("{problem}; read from -1, the beginning"))
            }
            ReadError::Offset(problem) => Self::bad(problem.to_string()),
            ReadError::Storage(error) => error.into(),
        }
    }
}

impl From<CreateError> for Refusal {
    fn from(error: CreateError) -> Self {
        let status = match error {
            CreateError::Limit(limit) => return limit.into(),
            CreateError::Storage(error) => return error.into(),
            CreateError::SourceUnknown => StatusCode::NOT_FOUND,
            CreateError::Empty | CreateError::ForkOffset(_) | CreateError::ForkBeyond => {
                StatusCode::BAD_REQUEST
            }
            CreateError::Differs(_)
            | CreateError::Blocked
            | CreateError::SourceDeleted
            | CreateError::SourceContentType => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

impl From<DeleteError> for Refusal {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Missing(missing) => missing.into(),
            DeleteError::Storage(error) => error.into(),
            DeleteError::HasForks { .. } => Self::new(StatusCode::CONFLICT, error.to_string()),
        }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        let because = |status| Self::new(status, error.to_string());
        match &error {
            AppendError::Missing(missing) => (*missing).into(),
            AppendError::Limit(limit) => (*limit).into(),
            AppendError::Storage(error) => error.clone().into(),
            AppendError::Closed { reason, tail } => because(StatusCode::CONFLICT)
                .with(STREAM_CLOSED, TRUE)
                .with(STREAM_END_REASON, HeaderValue::from_static(reason.name()))
                .with(STREAM_NEXT_OFFSET, offset_value(*tail)),
            AppendError::Lost { tail } => {
                because(StatusCode::CONFLICT).with(STREAM_NEXT_OFFSET, offset_value(*tail))
            }
            AppendError::StaleEpoch { current } => {
                because(StatusCode::FORBIDDEN).with(PRODUCER_EPOCH, *current)
            }
            AppendError::Gap { expected, received } => because(StatusCode::CONFLICT)
                .with(PRODUCER_EXPECTED_SEQ, *expected)
                .with(PRODUCER_RECEIVED_SEQ, *received),
            AppendError::ContentType | AppendError::Sequence => because(StatusCode::CONFLICT),
            AppendError::Empty | AppendError::EpochStart => because(StatusCode::BAD_REQUEST),
        }
    }
}

/// An offset as the value of a field.
pub(crate) fn offset_value(offset: Offset) -> HeaderValue {
    HeaderValue::from_str(&offset.to_string()).expect("digits and a line")
}

/// What every answer carries, whatever the stream holds: it is never run as a page of ours (protocol section 12.7).
pub(crate) fn protect(response: &mut Response<Body>) {
    let fields = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
}
