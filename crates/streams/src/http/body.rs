//! The body of a request: gathered whole, within a limit of its own and one of all bodies together.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use outlast_runtime::clock;
use tokio::sync::SemaphorePermit;

use super::Streams;
use super::answer::Refusal;

/// Of a body that is refused so much is taken in and thrown away.
const DISCARDED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// And for so long.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// A body, and its share of what all may hold.
pub(crate) struct Gathered<'a> {
    pub(crate) bytes: Bytes,
    _share: Option<SemaphorePermit<'a>>,
}

impl Streams {
    /// Gathers a body. One that says that it is too long is refused before it is sent.
    ///
    /// # Cancel safety
    /// Dropping the future drops what has come.
    pub(crate) async fn gather(
        &self,
        fields: &HeaderMap,
        body: &mut BodyDataStream,
    ) -> Result<Gathered<'_>, Refusal> {
        let max = self.settings.append_bytes_max;
        let length = fields.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|n| n > max as u64) {
            return Err(too_long(max));
        }
        let mut share: Option<SemaphorePermit<'_>> = None;
        let (mut only, mut joined) = (Bytes::new(), BytesMut::new());
        while let Some(frame) = body.next().await {
            let frame = frame.map_err(|_cut| Refusal::bad("the request's body is cut"))?;
            let length = only.len() + joined.len() + frame.len();
            if length > max {
                return Err(too_long(max));
            }
            let bytes = u32::try_from(frame.len()).map_err(|_| too_long(max))?;
            let more = self.bodies.try_acquire_many(bytes).map_err(|_| busy())?;
            match &mut share {
                Some(share) => share.merge(more),
                None => share = Some(more),
            }
            // Most bodies are one frame, which is kept as it is.
            if only.is_empty() && joined.is_empty() {
                only = frame;
            } else {
                joined.extend_from_slice(&std::mem::take(&mut only));
                joined.extend_from_slice(&frame);
            }
        }
        let bytes = if joined.is_empty() { only } else { joined.freeze() };
        Ok(Gathered { bytes, _share: share })
    }
}

fn too_long(max: usize) -> Refusal {
    let detail =
        format!("the body is longer than {max} bytes: send several, or set streams.append_max");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn busy() -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too many appends are on their way; send it again",
    )
    .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

/// Takes in what is left of a body that nobody wants, so that its sender gets to read the answer.
pub(crate) async fn discard(mut body: BodyDataStream) {
    let mut left = DISCARDED_BYTES_MAX;
    let all = async {
        while let Some(Ok(frame)) = body.next().await {
            let Some(less) = left.checked_sub(frame.len()) else { return };
            left = less;
        }
    };
    // Whoever still sends is reset.
    clock::timeout(DISCARD_TIMEOUT, all).await.ok();
}
