//! The thread that keeps house: it indexes segments that are full, deletes what nobody may read any more, and gives
//! back the place that deleted streams have taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::Shared;
use super::batch::{BytesGo, Done, Draft, Step};
use super::core::Core;
use super::disk::Access;
use super::epochs::whole;
use super::format::{FRAME_HEADER, Kind, MOVED, SegmentId};
use super::index::Sealed;
use super::scan::{Expected, Found, scan};
use crate::catalog::Now;
use crate::error::StorageError;

/// How often it looks for streams whose time is over.
const TURN: Duration = Duration::from_secs(1);
/// As many bytes are moved in one batch.
const MOVE_BYTES_MAX: usize = 1 << 20;

/// What the keeper has to do.
#[derive(Debug)]
pub(super) struct Keep {
    state: Mutex<KeepState>,
    wake: Condvar,
}

#[derive(Debug)]
pub(super) struct KeepState {
    /// Full segments that are not indexed yet, and their lengths.
    pub(super) sealed: Vec<(SegmentId, u64)>,
    /// All that are, the oldest first.
    log: BTreeMap<SegmentId, u64>,
    is_stopping: bool,
}

impl Keep {
    pub(super) fn new(log: BTreeMap<SegmentId, u64>) -> Self {
        let state = KeepState { sealed: Vec::new(), log, is_stopping: false };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, KeepState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn notify(&self) {
        self.wake.notify_one();
    }

    pub(super) fn stop(&self) {
        self.lock().is_stopping = true;
        self.wake.notify_one();
    }

    fn is_stopping(&self) -> bool {
        self.lock().is_stopping
    }

    /// False: the store is stopped.
    fn wait(&self) -> bool {
        let idle = |state: &mut KeepState| state.sealed.is_empty() && !state.is_stopping;
        let waited = self.wake.wait_timeout_while(self.lock(), TURN, idle);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_stopping
    }
}

/// Keeps house until the store is stopped.
pub(super) fn run(shared: &Shared) {
    while shared.keep.wait() {
        shared.lock().forget_old(shared.settings.age_max);
        shared.wake_writer();
        if let Err(error) = shared.index_sealed().and_then(|()| shared.clean()) {
            tracing::warn!(error = %error, "old segments of streams are left for later");
        }
    }
}

impl Core {
    /// Deletes streams whose time is over.
    fn forget_old(&mut self, age_max: Option<Duration>) {
        let now = Now::read();
        let mut over = self.catalog.all_expired(now);
        if let Some(age_max) = age_max {
            let before = now.wall - age_max;
            over.extend(self.catalog.written_before(before));
        }
        for id in over {
            if self.catalog.get(id).is_some_and(|stream| !stream.is_deleted) {
                self.forget(id, BytesGo::Later, now);
            }
        }
    }
}

impl Shared {
    /// Takes full segments into the index. Then their frames are not held in memory any more.
    fn index_sealed(&self) -> Result<(), StorageError> {
        loop {
            let next = self.keep.lock().sealed.first().copied();
            let Some((id, length)) = next else { return Ok(()) };
            let (_, sealed) = self.scan(id, length)?;
            let gone = self.lock().erased.clone();
            let damage = self.index.absorb(std::slice::from_ref(&sealed), gone)?;
            let holes = sealed.scanned.holes.len();
            if damage.frames > 0 || damage.streams > 0 || holes > 0 {
                let file = self.place.path(id);
                tracing::error!(file = %file.display(), ?damage, holes, "a segment is damaged");
            }
            self.lock().forget_frames(id);
            let mut keep = self.keep.lock();
            keep.sealed.remove(0);
            keep.log.insert(id, length);
        }
    }

    fn scan(&self, id: SegmentId, length: u64) -> Result<(Bytes, Sealed), StorageError> {
        let path = self.place.path(id);
        let file = self.place.disk.open(&path, Access::Read);
        let bytes = file.and_then(|file| whole(&*file));
        let bytes = bytes.map_err(|error| StorageError::io(&path, error))?;
        let own = (id.epoch == self.place.epoch).then_some(self.place.salt);
        let salt = own.or_else(|| self.place.salts.get(&id.epoch).copied());
        let scanned = scan(&bytes, Expected { id, salt, length: Some(length) });
        Ok((bytes.into(), Sealed { id, scanned }))
    }

    /// Removes the oldest segments, and moves what is needed of them to the end of the log, while more than half of the
    /// log is not needed, beyond two segments.
    fn clean(&self) -> Result<(), StorageError> {
        while !self.keep.is_stopping() {
            let needed = 2 * self.lock().stored + 2 * self.settings.segment_bytes;
            let oldest = {
                let keep = self.keep.lock();
                let has: u64 = keep.log.values().sum();
                let oldest = keep.log.iter().next().map(|(id, length)| (*id, *length));
                oldest.filter(|_| has > needed)
            };
            let Some((id, length)) = oldest else { return Ok(()) };
            self.clean_segment(id, length)?;
        }
        Ok(())
    }

    fn clean_segment(&self, id: SegmentId, length: u64) -> Result<(), StorageError> {
        let (bytes, sealed) = self.scan(id, length)?;
        let mut streams = BTreeSet::new();
        let mut rest = sealed.scanned.frames.as_slice();
        while !rest.is_empty() {
            let done = {
                let mut core = self.lock();
                while let Some((found, others)) = rest.split_first()
                    && core.batch.bytes.len() < MOVE_BYTES_MAX
                {
                    streams.insert(found.header.stream);
                    core.carry(found, &bytes);
                    rest = others;
                }
                core.pending_urgently()
            };
            self.wake_writer();
            self.wait_for(done)?;
        }
        let path = self.place.path(id);
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.index.drop_segment(id, &streams)?;
        self.keep.lock().log.remove(&id);
        self.files.close(id);
        // Before the next one goes: what became of a stream is told behind its frames, and must not go before them.
        let removed = self.place.disk.remove(&path);
        let removed =
            removed.and_then(|()| self.place.disk.sync_folder(&self.place.folder(id.epoch)));
        removed.map_err(|error| StorageError::io(&path, error))
    }

    fn wait_for(&self, done: Option<Arc<Done>>) -> Result<(), StorageError> {
        let Some(done) = done else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| StorageError::io(&self.place.root, error))?;
        runtime.block_on(done.wait()).clone()
    }
}

impl Core {
    /// Copies a frame to the end of the log, unless its stream is gone. One that is damaged is left behind: a copy would be as whole
    /// as any.
    fn carry(&mut self, found: &Found, segment: &Bytes) {
        let header = &found.header;
        let stream = header.stream;
        let is_needed = self.catalog.get(stream).is_some() && header.kind != Kind::Gone;
        if !is_needed || !found.is_whole {
            return;
        }
        let draft = Draft {
            kind: header.kind,
            flags: MOVED,
            stream,
            position: header.position,
            tenure: header.tenure,
            time_ms: header.time_ms,
        };
        let meta = found.at as usize + FRAME_HEADER;
        let data = meta + header.meta_length as usize;
        let end = data + header.data_length as usize;
        let put_meta = |out: &mut Vec<u8>| out.extend_from_slice(&segment[meta..data]);
        let frame = self.batch.put(self.salt, draft, put_meta, &[segment.slice(data..end)]);
        if header.kind != Kind::Delete {
            self.batch.steps.push(Step::Moved { stream, frame });
        }
    }
}
