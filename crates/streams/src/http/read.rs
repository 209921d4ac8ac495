//! Reading what is there (protocol section 5.6), and telling of a stream (section 5.5).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};

use super::Streams;
use super::answer::{ASK_AGAIN, NO_STORE, Refusal, TRUE, offset_value};
use super::fields::{
    LAST_EVENT_ID, STREAM_EXPIRES_AT, STREAM_NEXT_OFFSET, STREAM_TTL, STREAM_UP_TO_DATE,
};
use super::query::{Live, ReadQuery};
use super::sse::{self, Told};
use super::write::{content_type_value, put_end};
use super::{etag, json, rest};
use crate::answer::{Chunk, Info};
use crate::content_type::Boundaries;
use crate::name::StreamName;
use crate::order::{Lifetime, ReadFrom};

/// What is read at once, if it is not one longer message. It is in memory until the reader has taken it.
pub(crate) const CHUNK_BYTES_MAX: usize = 256 * 1024;

impl Streams {
    /// `GET`.
    pub(crate) async fn read(
        &self,
        name: &StreamName,
        uri: &Uri,
        fields: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let resumed = match fields.get(LAST_EVENT_ID) {
            // An EventSource without an id sends none, or an empty one.
            Some(value) if !value.is_empty() => {
                let text = value.to_str();
                Some(text.map_err(|_| Refusal::bad("Last-Event-ID is none of ours"))?)
            }
            _ => None,
        };
        let resumed = resumed.map(sse::parse_id);
        let query = ReadQuery::parse(uri.query().unwrap_or_default(), resumed.map(|(id, _)| id))?;
        let from = from(query.offset.as_deref())?;
        let told = resumed.map_or(Told::Bytes, |(_, told)| told);
        match query.live {
            Live::CatchUp => self.catch_up(name, from, fields).await,
            Live::LongPoll => self.long_poll(name, from, query.cursor).await,
            Live::Events => self.events(name, from, query.cursor, told).await,
        }
    }

    async fn catch_up(
        &self,
        name: &StreamName,
        from: ReadFrom,
        fields: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let chunk = self.store.read(name, from, CHUNK_BYTES_MAX).await?;
        let mut response = self.bytes_response(name, chunk);
        if from == ReadFrom::Tail {
            // The tail of this moment is no piece of the stream that could be kept.
            response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
            response.headers_mut().remove(header::ETAG);
        }
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let known = tag.is_some_and(|tag| {
            let values = fields.get_all(header::IF_NONE_MATCH).iter();
            values.into_iter().any(|value| etag::matches(value.as_bytes(), tag))
        });
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::empty();
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        Ok(response)
    }

    /// `HEAD`.
    pub(crate) fn head(&self, name: &StreamName) -> Result<Response, Refusal> {
        let info = self.store.head(name)?;
        let mut response = Response::new(Body::empty());
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, content_type_value(&info));
        fields.insert(header::CACHE_CONTROL, NO_STORE);
        fields.insert(STREAM_NEXT_OFFSET, offset_value(info.tail));
        match info.lifetime {
            None => {}
            Some(Lifetime::Ttl(ttl)) => drop(fields.insert(STREAM_TTL, ttl.as_secs().into())),
            Some(Lifetime::ExpiresAt(at)) => {
                let at = HeaderValue::from_str(&at.to_string()).expect("digits and signs");
                fields.insert(STREAM_EXPIRES_AT, at);
            }
        }
        put_end(fields, info.end);
        Ok(response)
    }
}

/// Where a reader begins.
fn from(offset: Option<&str>) -> Result<ReadFrom, Refusal> {
    match offset {
        None | Some("-1") => Ok(ReadFrom::Start),
        Some("now") => Ok(ReadFrom::Tail),
        Some(text) => match text.parse() {
            Ok(offset) => Ok(ReadFrom::Offset(offset)),
            Err(error) => Err(Refusal::bad(format!("{error}"))),
        },
    }
}

impl Streams {
    /// All from the beginning of a chunk up to the tail of its moment, with what is known of it. What does not fit in the
    /// chunk is read as the reader takes it.
    pub(crate) fn bytes_response(&self, name: &StreamName, chunk: Chunk) -> Response {
        let Info { tail, end, .. } = chunk.info;
        let (content_type, tag) = (content_type_value(&chunk.info), entity_tag(&chunk));
        let length = tail.position() - chunk.from.position();
        let is_counted = chunk.info.content_type.boundaries() == Boundaries::Bytes;
        let mut response = Response::new(match chunk.is_at_tail {
            true => Body::from(payload(&chunk)),
            false => Body::from_stream(rest::stream(self.store.clone(), name.clone(), chunk)),
        });
        let fields = response.headers_mut();
        if is_counted {
            fields.insert(header::CONTENT_LENGTH, length.into());
        }
        fields.insert(header::CONTENT_TYPE, content_type);
        // More may come behind it.
        fields.insert(header::CACHE_CONTROL, ASK_AGAIN);
        fields.insert(header::ETAG, tag);
        fields.insert(STREAM_NEXT_OFFSET, offset_value(tail));
        fields.insert(STREAM_UP_TO_DATE, TRUE);
        put_end(fields, end);
        response
    }
}

/// The bytes of a chunk as one body.
pub(crate) fn payload(chunk: &Chunk) -> Bytes {
    match (chunk.info.content_type.boundaries(), &*chunk.messages) {
        (Boundaries::Messages, messages) => json::array(messages),
        (Boundaries::Bytes, [one]) => one.clone(),
        (Boundaries::Bytes, pieces) => {
            let mut joined = BytesMut::with_capacity(chunk.bytes());
            pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
            joined.freeze()
        }
    }
}

/// The stream, the piece of it, and whether it ends there (protocol section 10.1).
fn entity_tag(chunk: &Chunk) -> HeaderValue {
    let info = &chunk.info;
    let end = if info.end.is_some() { ":c" } else { "" };
    let tag = format!("\"{:x}:{}:{}{end}\"", info.id, chunk.from, info.tail);
    HeaderValue::from_str(&tag).expect("digits and signs")
}
