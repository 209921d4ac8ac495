//! Waiting for what is not there yet: long polls (protocol section 5.7), and what they share with events.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use outlast_runtime::{Phase, clock, random};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Streams;
use super::answer::{NO_STORE, Refusal};
use super::cursor;
use super::fields::STREAM_CURSOR;
use super::read::CHUNK_BYTES_MAX;
use crate::answer::{Chunk, Info};
use crate::error::Missing;
use crate::name::StreamName;
use crate::order::{Lifetime, ReadFrom};
use crate::store::{Change, Store, Watch};

/// How many live readers there are and may be. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    places: Arc<Semaphore>,
    max: usize,
}

impl Readers {
    pub(crate) fn new(max: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(max)), max }
    }

    /// A place, which is free again once it is dropped.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.places.clone().try_acquire_owned().map_err(|_full| {
            let detail = format!("{} live readers are here already; come again", self.max);
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, detail)
                .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
        })
    }
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There may be more to read.
    Moved,
    /// The stream is no more.
    Gone,
    /// So much time has gone by.
    Elapsed,
    /// The server is to end.
    Draining,
}

/// Waits for a change of the stream, for so long.
///
/// # Cancel safety
/// Dropping the future loses nothing.
pub(crate) async fn wait(streams: &Streams, watch: &mut Watch, time: Duration) -> Woken {
    let draining = pin!(streams.phases.reached(Phase::Draining));
    tokio::select! {
        // What has come is told even to those who have to go.
        biased;
        change = watch.changed() => match change {
            Change::Moved => Woken::Moved,
            Change::Gone => Woken::Gone,
        },
        () = draining => Woken::Draining,
        () = clock::sleep(time) => Woken::Elapsed,
    }
}

/// How often a stream is read for nothing, so that it outlives whoever waits for it (protocol section 5.1).
pub(crate) fn touch_interval(info: &Info) -> Duration {
    match info.lifetime {
        Some(Lifetime::Ttl(ttl)) => (ttl / 2).max(Duration::from_millis(10)),
        _ => Duration::MAX,
    }
}

/// What is told to who waited for a stream that is gone, even if there is another by now.
pub(crate) fn gone(store: &dyn Store, name: &StreamName) -> Refusal {
    store.head(name).err().unwrap_or(Missing::Unknown).into()
}

impl Streams {
    /// `GET` with `live=long-poll`: what is there, or else the first that comes, or nothing.
    ///
    /// # Cancel safety
    /// Dropping the future gives the reader's place back.
    pub(crate) async fn long_poll(
        &self,
        name: &StreamName,
        from: ReadFrom,
        sent: Option<u64>,
    ) -> Result<Response<Body>, Refusal> {
        let _place = self.readers.enter()?;
        let mut watch = self.store.watch(name)?;
        let deadline = clock::now() + self.settings.poll_timeout;
        let mut chunk = self.store.read(name, from, CHUNK_BYTES_MAX).await?;
        while chunk.messages.is_empty() && chunk.end().is_none() {
            let left = deadline.saturating_duration_since(clock::now());
            let time = left.min(touch_interval(&chunk.info));
            match wait(self, &mut watch, time).await {
                Woken::Gone => return Err(gone(&*self.store, name)),
                Woken::Draining => break,
                Woken::Elapsed if time == left => break,
                Woken::Moved | Woken::Elapsed => {}
            }
            chunk = self.store.read(name, ReadFrom::Offset(chunk.next), CHUNK_BYTES_MAX).await?;
        }
        Ok(self.poll_response(name, chunk, sent))
    }
}

impl Streams {
    fn poll_response(&self, name: &StreamName, chunk: Chunk, sent: Option<u64>) -> Response<Body> {
        let (is_empty, end) = (chunk.messages.is_empty(), chunk.info.end);
        let mut response = self.bytes_response(name, chunk);
        if is_empty {
            *response.status_mut() = StatusCode::NO_CONTENT;
            *response.body_mut() = Body::empty();
            let fields = response.headers_mut();
            fields.insert(header::CACHE_CONTROL, NO_STORE);
            for name in [header::ETAG, header::CONTENT_TYPE, header::CONTENT_LENGTH] {
                fields.remove(name);
            }
        }
        // Nobody comes back to an end.
        if end.is_none() {
            let cursor = cursor::next(clock::wall_now(), sent, random::number());
            response.headers_mut().insert(STREAM_CURSOR, cursor.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use outlast_runtime::{Phases, Tasks};

    use super::*;
    use crate::http::Settings;
    use crate::memory::Memory;
    use crate::order::CreateOrder;
    use crate::store::Limits;

    #[tokio::test(start_paused = true)]
    async fn a_stream_outlives_whoever_waits_for_it() {
        let settings = Settings {
            append_bytes_max: 1024,
            readers_max: 1,
            poll_timeout: Duration::from_secs(20),
            events_lifetime: Duration::from_secs(60),
        };
        let store = Arc::new(Memory::new(Limits::default()));
        let streams = Streams::new(store.clone(), settings, &Phases::default(), &Tasks::default());
        let name = StreamName::parse("a").unwrap();
        let lifetime = Some(Lifetime::Ttl(Duration::from_secs(2)));
        let order = CreateOrder { lifetime, ..CreateOrder::default() };
        store.create(&name, order).await.unwrap();
        let begun = clock::now();
        let response = streams.long_poll(&name, ReadFrom::Tail, None).await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(begun.elapsed().as_secs(), 20);
        assert!(store.head(&name).is_ok(), "it was waited for");
        clock::sleep(Duration::from_secs(3)).await;
        assert!(store.head(&name).is_err(), "nobody waits for it any more");
        assert!(streams.readers.enter().is_ok(), "the place is free again");
    }
}
