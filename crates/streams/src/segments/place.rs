//! Where frames are.

use super::format::{ALIGNMENT, FRAME_HEADER, FrameHeader, SegmentId};

/// A frame of a stream in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameAt {
    pub(super) segment: SegmentId,
    pub(super) at: u32,
    /// Of its first byte in the stream.
    pub(super) position: u64,
    pub(super) meta_length: u32,
    pub(super) data_length: u32,
}

impl FrameAt {
    pub(super) fn new(segment: SegmentId, at: u32, header: &FrameHeader) -> Self {
        let FrameHeader { position, meta_length, data_length, .. } = *header;
        Self { segment, at, position, meta_length, data_length }
    }

    /// Behind its last byte in the stream.
    pub(super) fn end(&self) -> u64 {
        self.position + u64::from(self.data_length)
    }

    /// In the segment.
    pub(super) fn length(&self) -> usize {
        let body = self.meta_length as usize + self.data_length as usize;
        (FRAME_HEADER + body).next_multiple_of(ALIGNMENT)
    }
}
