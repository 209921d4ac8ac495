//! The end of the log in memory, so that those who follow a stream do not read the disk.

use std::collections::VecDeque;

use bytes::Bytes;

use super::format::SegmentId;
use super::place::FrameAt;

/// The last batches that were written, as many as fit.
#[derive(Debug)]
pub(super) struct Recent {
    batches: VecDeque<(SegmentId, u64, Bytes)>,
    bytes: usize,
    bytes_max: usize,
}

impl Recent {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { batches: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn push(&mut self, segment: SegmentId, at: u64, bytes: Bytes) {
        self.bytes += bytes.len();
        self.batches.push_back((segment, at, bytes));
        while self.bytes > self.bytes_max
            && let Some((_, _, oldest)) = self.batches.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    /// A frame, if its batch is here.
    pub(super) fn frame(&self, frame: &FrameAt) -> Option<Bytes> {
        let at = u64::from(frame.at);
        let is_before = |(segment, start, _): &(SegmentId, u64, Bytes)| {
            (*segment, *start) <= (frame.segment, at)
        };
        let index = self.batches.partition_point(is_before).checked_sub(1)?;
        let (segment, start, bytes) = &self.batches[index];
        let from = usize::try_from(at.checked_sub(*start)?).ok()?;
        let to = from + frame.length();
        (*segment == frame.segment && to <= bytes.len()).then(|| bytes.slice(from..to))
    }

    /// What was here is to be gone.
    pub(super) fn clear(&mut self) {
        self.batches.clear();
        self.bytes = 0;
    }
}
