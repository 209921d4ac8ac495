//! The one thread that writes: batch after batch, each made durable before the next.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use outlast_runtime::clock;

use super::Shared;
use super::batch::Batch;
use super::disk::DiskFile;
use super::format::{SEGMENT_HEADER, SegmentHeader, SegmentId};
use crate::error::StorageError;

/// A batch that nobody waits for is not kept waiting once it has so many bytes.
const RELAXED_BYTES_MAX: usize = 1 << 20;

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) id: SegmentId,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// How much of it is durable. What is behind it is nothing.
    length: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// It takes no more: it is full, or a sync failed, after which nothing is known of what was written since the last.
    Done,
}

impl Active {
    /// Begins a segment. Durable when it returns, with its name.
    pub(super) fn create(
        shared: &Shared,
        id: SegmentId,
        previous_length: u64,
    ) -> Result<Self, StorageError> {
        let path = shared.place.path(id);
        let folder = path.parent().unwrap_or(Path::new("."));
        let disk = &shared.place.disk;
        let created_ms = clock::wall_now().as_millisecond();
        let header = SegmentHeader { id, salt: shared.place.salt, previous_length, created_ms };
        let file = disk.create(&path).map_err(|error| StorageError::io(&path, error))?;
        let written = file.write_at(&header.encode(), 0).and_then(|()| file.sync());
        if let Err(error) = written.and_then(|()| disk.sync_folder(folder)) {
            // Without a whole header it would be passed over anyway.
            let _is_gone = disk.remove(&path);
            return Err(StorageError::io(&path, error));
        }
        Ok(Self { id, file, path, length: SEGMENT_HEADER as u64, state: State::Good })
    }

    /// Writes a batch and makes it durable. Tells where it is.
    fn write(&mut self, bytes: &[u8], shared: &Shared) -> Result<u64, StorageError> {
        if self.state == State::Done {
            self.go_on(shared)?;
        }
        let at = self.length;
        if let Err(error) = self.file.write_at(bytes, at) {
            // What was written of it is cut off, so that nothing stands between the last batch and the next.
            let cut = self.file.set_length(at).and_then(|()| self.file.sync());
            if cut.is_err() {
                self.state = State::Done;
            }
            return Err(StorageError::io(&self.path, error));
        }
        if let Err(error) = self.file.sync() {
            self.state = State::Done;
            // The next segment tells how much of this one counts. Should there be none, this helps, if it can be done.
            let _is_cut = self.file.set_length(at);
            return Err(StorageError::io(&self.path, error));
        }
        self.length += bytes.len() as u64;
        if self.length >= shared.settings.segment_bytes {
            self.state = State::Done;
        }
        Ok(at)
    }

    /// Begins the next segment.
    fn go_on(&mut self, shared: &Shared) -> Result<(), StorageError> {
        let id = SegmentId { number: self.id.number + 1, ..self.id };
        let next = Self::create(shared, id, self.length)?;
        let sealed = std::mem::replace(self, next);
        shared.keep.lock().sealed.push((sealed.id, sealed.length));
        shared.keep.notify();
        Ok(())
    }
}

/// Writes until the store is stopped and nothing is left.
pub(super) fn run(shared: &Shared, mut active: Active) {
    while let Some(batch) = next_batch(shared) {
        let bytes = batch.bytes.as_slice();
        match active.write(bytes, shared) {
            Ok(base) => {
                let done = Arc::clone(&batch.done);
                let woken = {
                    let mut core = shared.lock();
                    core.in_flight = None;
                    core.commit(batch, active.id, base)
                };
                // Nobody else sets it.
                let _first = done.set(Ok(()));
                woken.iter().for_each(|watchers| watchers.send_replace(()));
            }
            Err(error) => {
                tracing::warn!(error = %error, "appends to streams are refused");
                let mut core = shared.lock();
                core.in_flight = None;
                core.roll_back(batch, &error);
            }
        }
    }
}

/// What is to be written next. `None`: the store is stopped.
fn next_batch(shared: &Shared) -> Option<Batch> {
    let mut core = shared.lock();
    while core.batch.is_empty() {
        if core.is_stopping {
            return None;
        }
        core = shared.work.wait(core).unwrap_or_else(std::sync::PoisonError::into_inner);
    }
    let is_waiting = |core: &mut super::core::Core| {
        !core.batch.is_urgent && !core.is_stopping && core.batch.bytes.len() < RELAXED_BYTES_MAX
    };
    let delay: Duration = shared.settings.sync_delay_max;
    let waited = shared.work.wait_timeout_while(core, delay, is_waiting);
    let (mut core, _timed_out) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
    let batch = std::mem::take(&mut core.batch);
    core.in_flight = Some(Arc::clone(&batch.done));
    Some(batch)
}
