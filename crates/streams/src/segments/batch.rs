//! What is written and made durable as one.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::SetOnce;

use super::format::{
    ALIGNMENT, FIRST_OF_BATCH, FRAME_HEADER, FrameHeader, Kind, SegmentId, checksum,
};
use super::place::FrameAt;
use crate::error::StorageError;
use crate::order::EndReason;
use crate::stream::{Before, Stream};

/// How the writing of a batch went, for all who wait for it.
pub(super) type Done = SetOnce<Result<(), StorageError>>;

/// Frames that wait to be written, and what they did to the catalog.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) steps: Vec<Step>,
    /// Somebody waits for it.
    pub(super) is_urgent: bool,
    pub(super) done: Arc<Done>,
}

/// What is to be done when a batch is durable, and what is to be undone when it fails.
#[derive(Debug)]
pub(super) enum Step {
    Created {
        stream: u64,
        frame: Placed,
        end: Option<EndReason>,
    },
    Appended {
        stream: u64,
        frame: Placed,
        end: Option<EndReason>,
        undo: Box<(Before, Promise)>,
    },
    /// `gone` are removed from the catalog; `root` is the first of them, or kept for its forks.
    Deleted {
        root: u64,
        gone: Vec<Stream>,
        bytes: BytesGo,
    },
    Moved {
        stream: u64,
        frame: Placed,
    },
}

/// What was told of an append before it was durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// Nothing.
    None,
    /// That it is kept.
    Kept,
}

/// What becomes of a deleted stream's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BytesGo {
    /// They go when their place is needed.
    Later,
    /// They are to be overwritten.
    Now,
}

/// A frame in a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    /// In the batch.
    at: u32,
    pub(super) header: FrameHeader,
}

/// A frame that is to be put into a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: u64,
    pub(super) position: u64,
    pub(super) tenure: u64,
    pub(super) time_ms: i64,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds a frame. `put_meta` adds what stands in it beside its data.
    pub(super) fn put(
        &mut self,
        salt: u64,
        draft: Draft,
        put_meta: impl FnOnce(&mut Vec<u8>),
        data: &[Bytes],
    ) -> Placed {
        let is_first = self.bytes.is_empty();
        let start = self.bytes.len();
        let body = start + FRAME_HEADER;
        self.bytes.resize(body, 0);
        put_meta(&mut self.bytes);
        let meta_length = self.bytes.len() - body;
        data.iter().for_each(|message| self.bytes.extend_from_slice(message));
        let header = FrameHeader {
            body_crc: checksum(salt, &self.bytes[body..]),
            meta_length: short(meta_length),
            data_length: short(self.bytes.len() - body - meta_length),
            stream: draft.stream,
            position: draft.position,
            tenure: draft.tenure,
            time_ms: draft.time_ms,
            kind: draft.kind,
            flags: draft.flags | if is_first { FIRST_OF_BATCH } else { 0 },
        };
        self.bytes[start..body].copy_from_slice(&header.encode(salt));
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        Placed { at: short(start), header }
    }
}

impl Placed {
    /// Once the batch is in a segment.
    pub(super) fn settle(&self, segment: SegmentId, base: u64) -> FrameAt {
        let at = base + u64::from(self.at);
        let at = u32::try_from(at).expect("a segment and a batch are far below 4 GiB");
        FrameAt::new(segment, at, &self.header)
    }
}

/// A length in a batch: those are bounded by the queue and the largest append, far below 4 GiB.
fn short(length: usize) -> u32 {
    u32::try_from(length).expect("a batch is far below 4 GiB")
}
