//! Creating, forking, appending, closing and deleting (protocol sections 5.1 to 5.4).

use axum::body::{Body, BodyDataStream};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;

use super::Streams;
use super::answer::{NO_STORE, Refusal, TRUE, offset_value};
use super::fields::{
    self, PRODUCER_EPOCH, PRODUCER_SEQ, STREAM_CLOSED, STREAM_END_REASON, STREAM_NEXT_OFFSET,
};
use super::{json, path};
use crate::answer::{Appended, Created, Freshness, Info};
use crate::content_type::{Boundaries, ContentType};
use crate::name::StreamName;
use crate::offset::Offset;
use crate::order::{AppendOrder, CreateOrder, Deletion, Durability, EndReason, ForkOrder};

impl Streams {
    /// `PUT`.
    pub(crate) async fn create(
        &self,
        name: &StreamName,
        head: &Parts,
        body: &mut BodyDataStream,
    ) -> Result<Response, Refusal> {
        let content_type = fields::content_type(&head.headers)?;
        let lifetime = fields::lifetime(&head.headers)?;
        let end = fields::end(&head.headers)?;
        let fork = fork(&head.headers)?;
        let body = self.gather(&head.headers, body).await?;
        let kept = self.kept_type(content_type.as_ref(), fork.as_ref());
        let messages = messages(body.bytes.clone(), kept.boundaries())?;
        let order = CreateOrder { content_type, lifetime, messages, end, fork };
        let (status, info) = match self.store.create(name, order).await? {
            Created::New(info) => (StatusCode::CREATED, info),
            Created::Existed(info) => (StatusCode::OK, info),
        };
        let mut response = written(status, info.tail, info.end);
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, content_type_value(&info));
        if status == StatusCode::CREATED {
            fields.insert(header::LOCATION, location(&head.headers, head.uri.path()));
        }
        Ok(response)
    }

    /// The type that the first messages will have.
    fn kept_type(&self, given: Option<&ContentType>, fork: Option<&ForkOrder>) -> ContentType {
        let inherited =
            || fork.and_then(|fork| Some(self.store.head(&fork.source).ok()?.content_type));
        given.cloned().or_else(inherited).unwrap_or_else(ContentType::bytes)
    }

    /// `POST`.
    pub(crate) async fn append(
        &self,
        name: &StreamName,
        head: &Parts,
        body: &mut BodyDataStream,
    ) -> Result<Response, Refusal> {
        let end = fields::end(&head.headers)?;
        let producer = fields::producer(&head.headers)?;
        let stream_seq = fields::sequence(&head.headers)?;
        // Before a long body is taken in for nothing.
        let info = self.store.head(name)?;
        let body = self.gather(&head.headers, body).await?;
        let (content_type, messages) = if body.bytes.is_empty() {
            (None, Vec::new())
        } else {
            let Some(content_type) = fields::content_type(&head.headers)? else {
                return Err(Refusal::bad(format!(
                    "Content-Type is missing: it is {}",
                    info.content_type
                )));
            };
            let boundaries = content_type.boundaries();
            // The end comes first, as it is told to the writer then (protocol section 5.2), and then the type.
            let is_json = info.end.is_none() && info.content_type.boundaries() == boundaries;
            let messages = if is_json {
                messages(body.bytes.clone(), boundaries)?
            } else {
                vec![body.bytes.clone()]
            };
            if messages.is_empty() {
                return Err(Refusal::bad("the array is empty: there is nothing to append"));
            }
            (Some(content_type), messages)
        };
        if messages.is_empty() && end.is_none() {
            return Err(Refusal::bad("the body is empty: there is nothing to append"));
        }
        let adds = !messages.is_empty();
        let order = AppendOrder {
            messages,
            content_type,
            stream_seq,
            producer,
            end,
            durability: Durability::Durable,
        };
        let appended = self.store.append(name, order).await?;
        Ok(appended_response(&appended, adds))
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, name: &StreamName) -> Result<Response, Refusal> {
        self.store.delete(name, Deletion::Forget).await?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        Ok(response)
    }
}

/// What a body adds to a stream.
fn messages(body: Bytes, boundaries: Boundaries) -> Result<Vec<Bytes>, Refusal> {
    match boundaries {
        _ if body.is_empty() => Ok(Vec::new()),
        Boundaries::Bytes => Ok(vec![body]),
        Boundaries::Messages => json::messages(&body)
            .map_err(|error| Refusal::bad(format!("the body is not JSON: {error}"))),
    }
}

/// What the new stream begins with, if it is a fork.
fn fork(fields: &HeaderMap) -> Result<Option<ForkOrder>, Refusal> {
    let Some(fork) = fields::fork(fields)? else { return Ok(None) };
    let source = path::name(fork.source)?;
    let at = match fork.offset {
        None => None,
        Some(text) => match text.parse::<Offset>() {
            Ok(offset) => Some(offset),
            Err(error) => return Err(Refusal::bad(format!("Stream-Fork-Offset: {error}"))),
        },
    };
    Ok(Some(ForkOrder { source, at, beyond: fork.sub_offset }))
}

fn appended_response(appended: &Appended, adds: bool) -> Response {
    // A producer learns by the status whether its append is new (protocol section 5.2.1).
    let is_news = appended.producer.is_some() && appended.freshness == Freshness::Fresh && adds;
    let status = if is_news { StatusCode::OK } else { StatusCode::NO_CONTENT };
    let mut response = written(status, appended.tail, appended.end);
    if let Some(producer) = appended.producer {
        let fields = response.headers_mut();
        fields.insert(PRODUCER_EPOCH, producer.epoch.into());
        fields.insert(PRODUCER_SEQ, producer.seq.into());
    }
    response
}

/// What a writer is told.
fn written(status: StatusCode, tail: Offset, end: Option<EndReason>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, NO_STORE);
    fields.insert(STREAM_NEXT_OFFSET, offset_value(tail));
    put_end(fields, end);
    response
}

/// Says that and why the stream ended, if it has.
pub(crate) fn put_end(fields: &mut HeaderMap, end: Option<EndReason>) {
    if let Some(reason) = end {
        fields.insert(STREAM_CLOSED, TRUE);
        fields.insert(STREAM_END_REASON, HeaderValue::from_static(reason.name()));
    }
}

pub(crate) fn content_type_value(info: &Info) -> HeaderValue {
    HeaderValue::from_str(info.content_type.as_str()).expect("a content type is visible ASCII")
}

/// The stream's own URL, as the writer knows us: absolute, unless it named no host.
fn location(fields: &HeaderMap, path: &str) -> HeaderValue {
    let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    let url = text("host").map(|host| format!("{scheme}://{host}{path}"));
    let url = url.and_then(|url| HeaderValue::from_str(&url).ok());
    url.or_else(|| HeaderValue::from_str(path).ok()).expect("a path of a URL is visible ASCII")
}
