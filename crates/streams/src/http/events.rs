//! Reading by server-sent events (protocol section 5.8).

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use outlast_runtime::clock::{self, Instant};
use outlast_runtime::random;
use tokio::sync::OwnedSemaphorePermit;

use super::Streams;
use super::answer::{NO_STORE, Refusal, offset_value};
use super::fields::{STREAM_NEXT_OFFSET, STREAM_SSE_DATA_ENCODING};
use super::live::{Woken, touch_interval, wait};
use super::read::payload;
use super::sse::{self, Control, Encoding, HEARTBEAT, Told, True};
use super::write::put_end;
use super::{cursor, media};
use crate::answer::Chunk;
use crate::error::ReadError;
use crate::name::StreamName;
use crate::offset::Offset;
use crate::order::{EndReason, ReadFrom};
use crate::store::Watch;

/// What one event brings at most, if it is not one longer message. It is in memory until the reader has taken it.
const EVENT_BYTES_MAX: usize = 64 * 1024;

/// A stream that is silent for so long is told to live.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// One reader, between two events.
struct Events {
    streams: Streams,
    name: StreamName,
    watch: Watch,
    encoding: Encoding,
    /// What was read and is not told yet.
    read: Option<Piece>,
    /// Behind all that was told.
    next: Offset,
    cursor: u64,
    deadline: Instant,
    /// When a sign of life is due.
    beat: Instant,
    touch_interval: Duration,
    state: State,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was told yet: even nothing is told.
    First,
    Following,
    Over,
}

/// What one pair of events tells.
struct Piece {
    payload: Option<Bytes>,
    next: Offset,
    is_up_to_date: bool,
    end: Option<EndReason>,
}

impl Streams {
    /// `GET` with `live=sse`. `told`: what the reader was told on its connection before.
    pub(crate) async fn events(
        &self,
        name: &StreamName,
        from: ReadFrom,
        sent: Option<u64>,
        told: Told,
    ) -> Result<Response<Body>, Refusal> {
        let place = self.readers.enter()?;
        let watch = self.store.watch(name)?;
        let chunk = self.store.read(name, from, EVENT_BYTES_MAX).await?;
        if told == Told::End && chunk.messages.is_empty() && chunk.end().is_some() {
            return Ok(no_more(&chunk));
        }
        let encoding = media::encoding(&chunk.info.content_type);
        let now = clock::now();
        let events = Events {
            streams: self.clone(),
            name: name.clone(),
            watch,
            encoding,
            next: chunk.from,
            touch_interval: touch_interval(&chunk.info),
            read: Some(self.piece(name, chunk, encoding).await?),
            cursor: cursor::next(clock::wall_now(), sent, random::number()),
            deadline: now + self.settings.events_lifetime,
            beat: now + HEARTBEAT_INTERVAL,
            state: State::First,
            _place: place,
        };
        let body = unfold(events, |mut events| async move {
            events.next().await.map(|bytes| (Ok::<_, Infallible>(bytes), events))
        });
        let mut response = Response::new(Body::from_stream(body));
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
        if encoding == Encoding::Base64 {
            fields.insert(STREAM_SSE_DATA_ENCODING, HeaderValue::from_static("base64"));
        }
        Ok(response)
    }

    /// What a chunk tells. Of text that ends amid a character the beginning of that is left for later, unless nothing more
    /// will come.
    async fn piece(
        &self,
        name: &StreamName,
        mut chunk: Chunk,
        encoding: Encoding,
    ) -> Result<Piece, ReadError> {
        let is_up_to_date = chunk.is_at_tail;
        let mut payload = payload(&chunk);
        let unfinished = sse::unfinished(&payload);
        if encoding == Encoding::Text && unfinished > 0 && chunk.end().is_none() {
            let whole = payload.len() - unfinished;
            if whole == 0 {
                return Ok(Piece { payload: None, next: chunk.from, is_up_to_date, end: None });
            }
            // The store knows the offset of the place before it.
            chunk = self.store.read(name, ReadFrom::Offset(chunk.from), whole).await?;
            payload.truncate(whole);
        }
        let end = chunk.end();
        let payload = (!chunk.messages.is_empty()).then_some(payload);
        Ok(Piece { payload, next: chunk.next, is_up_to_date, end })
    }
}

/// Tells an `EventSource` to come no more (WHATWG HTML section 9.2.3): it has all of a stream that has ended.
fn no_more(chunk: &Chunk) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, NO_STORE);
    fields.insert(STREAM_NEXT_OFFSET, offset_value(chunk.next));
    put_end(fields, chunk.end());
    response
}

impl Events {
    /// The next events, or a sign of life. None: the answer ends.
    async fn next(&mut self) -> Option<Bytes> {
        while self.state != State::Over {
            let piece = match self.read.take() {
                Some(piece) => piece,
                None => self.read_on().await?,
            };
            let is_news = piece.payload.is_some() || piece.end.is_some();
            if is_news || self.state == State::First {
                return Some(self.tell(&piece));
            }
            let now = clock::now();
            let until = self.deadline.min(self.beat);
            let time = until.saturating_duration_since(now).min(self.touch_interval);
            let woken = wait(&self.streams, &mut self.watch, time).await;
            let now = clock::now();
            match woken {
                // What was appended before it was deleted is gone, too.
                Woken::Gone | Woken::Draining => return None,
                Woken::Moved => {}
                Woken::Elapsed if now >= self.deadline => return None,
                Woken::Elapsed if now >= self.beat => {
                    self.beat = now + HEARTBEAT_INTERVAL;
                    return Some(HEARTBEAT);
                }
                Woken::Elapsed => {}
            }
        }
        None
    }

    /// What is behind what was told. None: the stream is gone, which the reader learns when it comes again.
    async fn read_on(&mut self) -> Option<Piece> {
        let store = &self.streams.store;
        let chunk = store.read(&self.name, ReadFrom::Offset(self.next), EVENT_BYTES_MAX).await;
        let piece = match chunk {
            Ok(chunk) => self.streams.piece(&self.name, chunk, self.encoding).await,
            Err(error) => Err(error),
        };
        match piece {
            Ok(piece) => Some(piece),
            Err(error) => {
                tracing::debug!(stream = %self.name, %error, "events end");
                None
            }
        }
    }

    fn tell(&mut self, piece: &Piece) -> Bytes {
        let next = piece.next.to_string();
        let mut out = BytesMut::new();
        if let Some(payload) = &piece.payload {
            sse::put_data(&mut out, &next, payload, self.encoding);
        }
        // It never goes back, and on only as time does.
        self.cursor = self.cursor.max(cursor::next(clock::wall_now(), None, 0));
        let control = Control {
            stream_next_offset: &next,
            stream_cursor: piece.end.is_none().then(|| self.cursor.to_string()),
            up_to_date: piece.is_up_to_date.then_some(True),
            stream_closed: piece.end.map(|_| True),
            end_reason: piece.end.map(EndReason::name),
        };
        sse::put_control(&mut out, &control);
        self.next = piece.next;
        self.beat = clock::now() + HEARTBEAT_INTERVAL;
        self.state = match piece.end {
            Some(_) => State::Over,
            None if clock::now() >= self.deadline => State::Over,
            None => State::Following,
        };
        out.freeze()
    }
}
