//! Bytes that are to be gone from the files.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::disk::Access;
use super::format::{FRAME_HEADER, Kind, SegmentId};
use super::place::FrameAt;
use super::{Shared, durable};
use crate::catalog::Now;
use crate::error::StorageError;

impl Shared {
    /// Overwrites the frames of a stream whose deletion is durable.
    pub(super) async fn erase(self: &Arc<Self>, stream: u64) -> Result<(), StorageError> {
        // Should the process be killed now, what is overwritten must not look torn: another batch behind it says that
        // it was durable.
        let done = {
            let mut core = self.lock();
            core.note(Kind::Gone, stream, Now::read());
            core.pending_urgently()
        };
        self.wake_writer();
        durable(done).await?;
        let shared = Arc::clone(self);
        let erased = tokio::task::spawn_blocking(move || shared.erase_now(stream)).await;
        erased.expect("erasing does not panic, and is not cancelled")
    }

    fn erase_now(&self, stream: u64) -> Result<(), StorageError> {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut frames = {
            let mut core = self.lock();
            core.recent.clear();
            core.erasing.remove(&stream).unwrap_or_default()
        };
        frames.extend(self.index.all(stream)?);
        let mut by_segment = BTreeMap::<SegmentId, Vec<FrameAt>>::new();
        for frame in frames {
            by_segment.entry(frame.segment).or_default().push(frame);
        }
        for (id, frames) in by_segment {
            let path = self.place.path(id);
            let overwrite = || {
                let file = self.place.disk.open(&path, Access::Write)?;
                for frame in &frames {
                    let zeros = vec![0; frame.length() - FRAME_HEADER];
                    file.write_at(&zeros, u64::from(frame.at) + FRAME_HEADER as u64)?;
                }
                file.sync()
            };
            overwrite().map_err(|error| StorageError::io(&path, error))?;
        }
        self.index.forget(stream)
    }
}
