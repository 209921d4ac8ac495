//! The body of a long answer: read piece by piece, as fast as the reader takes it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;

use super::json::{self, Part};
use super::read::{CHUNK_BYTES_MAX, payload};
use crate::answer::Chunk;
use crate::content_type::Boundaries;
use crate::error::ReadError;
use crate::name::StreamName;
use crate::offset::Offset;
use crate::order::ReadFrom;
use crate::store::Store;

struct Rest {
    store: Arc<dyn Store>,
    name: StreamName,
    first: Option<Chunk>,
    next: Offset,
    /// Where the answer ends, whatever has come meanwhile.
    tail: Offset,
}

/// A chunk and all behind it, up to the tail of its moment. It is an error if the stream goes meanwhile, so that an answer that
/// is cut does not look whole.
pub(crate) fn stream(
    store: Arc<dyn Store>,
    name: StreamName,
    first: Chunk,
) -> impl Stream<Item = Result<Bytes, ReadError>> + Send {
    let (next, tail) = (first.from, first.info.tail);
    let rest = Rest { store, name, first: Some(first), next, tail };
    try_unfold(rest, |mut rest| async move { Ok(rest.piece().await?.map(|piece| (piece, rest))) })
}

impl Rest {
    async fn piece(&mut self) -> Result<Option<Bytes>, ReadError> {
        let left = self.tail.position().saturating_sub(self.next.position());
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        let is_first = self.first.is_some();
        let chunk = match self.first.take() {
            Some(chunk) => chunk,
            None => {
                let from = ReadFrom::Offset(self.next);
                self.store.read(&self.name, from, left.min(CHUNK_BYTES_MAX)).await?
            }
        };
        self.next = chunk.next;
        let is_last = self.next.position() >= self.tail.position();
        Ok(Some(match chunk.info.content_type.boundaries() {
            Boundaries::Bytes => payload(&chunk),
            Boundaries::Messages => json::part(&chunk.messages, Part { is_first, is_last }),
        }))
    }
}
