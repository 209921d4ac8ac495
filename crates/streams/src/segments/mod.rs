//! Streams in files: one log per process, into which all its streams are written, and an index of what it holds.
//!
//! The log makes it cheap to be durable: whatever came in while the last batch was written goes into the next one, and one
//! sync is for all of it. The bytes are described in `docs/stream-format.md`, and what is promised in `docs/streams.md`.

mod batch;
mod core;
pub mod disk;
mod epochs;
mod erase;
mod format;
mod index;
mod keeper;
mod meta;
mod open;
mod place;
mod reader;
mod recent;
mod scan;
mod writer;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::batch::Done;
use self::core::{Core, Creation};
use self::disk::{Disk, RealDisk};
use self::epochs::{LockOf, Place};
use self::index::Index;
use self::keeper::Keep;
use self::reader::Files;
use crate::answer::{Appended, Chunk, Created, Info};
use crate::catalog::{ForkPoint, Now, Piece};
use crate::content_type::Boundaries;
use crate::error::{
    AppendError, CreateError, DeleteError, Missing, ReadError, StorageError, StorageErrorKind,
};
use crate::name::StreamName;
use crate::order::{AppendOrder, CreateOrder, Deletion, ForkOrder, ReadFrom};
use crate::store::{Limits, Store, Watch};
use crate::stream::Stream;

pub use self::open::Recovery;

/// A [`Store`] in a folder, of which several processes may have one each at the same time. Streams whose process is gone are
/// taken over by the next one that opens the folder.
///
/// Dropping it writes what was accepted, and waits for that.
#[derive(Debug)]
pub struct Segments {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    recovery: Recovery,
    _lock: LockOf,
}

/// How streams are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How much is taken.
    pub limits: Limits,
    /// How long a relaxed append may wait to be written, and readers for it. So much, and what writing takes, may be lost in a crash.
    /// Default 20 ms.
    pub sync_delay_max: Duration,
    /// Bytes that wait to be written; beyond it, appends wait. Default 16 MiB.
    pub queue_bytes_max: usize,
    /// Bytes of the log's end that are kept in memory for readers. Default 8 MiB.
    pub recent_bytes_max: usize,
    /// A segment that has so many bytes is followed by another. Default 64 MiB, at most 1 GiB.
    pub segment_bytes: u64,
    /// A stream to which nothing was appended for so long is deleted. Default: never.
    pub age_max: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            sync_delay_max: Duration::from_millis(20),
            queue_bytes_max: 16 << 20,
            recent_bytes_max: 8 << 20,
            segment_bytes: 64 << 20,
            age_max: None,
        }
    }
}

/// What callers, writer and keeper share.
#[derive(Debug)]
struct Shared {
    core: Mutex<Core>,
    /// Something is to be written, or the store is stopped.
    work: Condvar,
    keep: Keep,
    settings: Settings,
    place: Place,
    index: Index,
    files: Files,
    /// Held by those who read segments; whoever removes or overwrites some waits for them.
    gate: RwLock<()>,
}

impl Segments {
    /// Opens a store in a folder, which is made if it is not there. Blocks, for as long as reading takes what no index has: as a rule one segment
    /// per process that was killed.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(folder: &Path, settings: Settings) -> Result<Self, StorageError> {
        Self::open_on(Arc::new(RealDisk), folder, settings)
    }

    /// The same on a file system of one's own.
    ///
    /// # Errors
    /// As [`Segments::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        folder: &Path,
        settings: Settings,
    ) -> Result<Self, StorageError> {
        open::open(disk, folder, settings)
    }

    /// What was found when the store was opened.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        self.shared.lock().is_stopping = true;
        self.shared.work.notify_all();
        self.shared.keep.stop();
        for thread in self.threads.drain(..) {
            // It has panicked, and said so: there is nothing to add in a drop.
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room in the queue.
    async fn room(&self) -> Result<(), StorageError> {
        loop {
            let in_flight = {
                let core = self.lock();
                if core.is_stopping {
                    let kind = StorageErrorKind::Stopped;
                    return Err(StorageError::new(kind, &self.place.root, None));
                }
                let is_full = core.batch.bytes.len() >= self.settings.queue_bytes_max;
                core.in_flight.clone().filter(|_| is_full)
            };
            match in_flight {
                // How it went is told to those who wait for it.
                Some(done) => drop(done.wait().await.clone()),
                None => return Ok(()),
            }
        }
    }

    /// Something was put into the batch.
    fn wake_writer(&self) {
        self.work.notify_one();
    }

    async fn create(
        self: &Arc<Self>,
        name: &StreamName,
        order: CreateOrder,
    ) -> Result<Created, CreateError> {
        self.room().await?;
        let point = match &order.fork {
            Some(fork) => self.fork_point(name, &order, fork).await?,
            None => None,
        };
        let creation = self.lock().create(name, order, point, Now::read());
        self.wake_writer();
        match creation? {
            Creation::New(new) => {
                durable(new.done).await?;
                Ok(Created::New(new.answer))
            }
            Creation::Existed(existed) => {
                durable(existed.done).await?;
                Ok(Created::Existed(existed.answer))
            }
        }
    }

    /// Where a fork begins. `None`: the stream is there already.
    async fn fork_point(
        self: &Arc<Self>,
        name: &StreamName,
        order: &CreateOrder,
        fork: &ForkOrder,
    ) -> Result<Option<ForkPoint>, CreateError> {
        let (mut point, boundaries, pieces, done) = {
            let mut core = self.lock();
            let now = Now::read();
            if core.existing(name, order, now)?.is_some() {
                return Ok(None);
            }
            let point = core.catalog.fork_anchor(fork, now)?;
            let source = core.catalog.get(point.source).ok_or(CreateError::SourceUnknown)?;
            let boundaries = source.content_type.boundaries();
            let pieces = core.catalog.pieces(point.source, point.position, point.tail);
            (point, boundaries, pieces, core.pending_urgently())
        };
        if boundaries == Boundaries::Bytes || fork.beyond == 0 {
            let position = point.position.checked_add(fork.beyond);
            let position = position.filter(|position| *position <= point.tail);
            point.position = position.ok_or(CreateError::ForkBeyond)?;
            if boundaries == Boundaries::Bytes || fork.at.is_none() {
                return Ok(Some(point));
            }
        }
        // What is counted must be readable.
        self.wake_writer();
        durable(done).await?;
        point.position = self.beyond(point.position, &pieces, fork.beyond).await?;
        Ok(Some(point))
    }

    /// The position so many messages behind another one, which must be a boundary of messages.
    async fn beyond(
        self: &Arc<Self>,
        start: u64,
        pieces: &[Piece],
        mut count: u64,
    ) -> Result<u64, CreateError> {
        let mut position = start;
        for piece in pieces {
            while position < piece.to {
                let piece = Piece { from: position, ..*piece };
                let messages =
                    self.messages(piece, 256 << 10).await.map_err(|error| match error {
                        ReadError::Offset(problem) => CreateError::ForkOffset(problem),
                        ReadError::Storage(error) => CreateError::Storage(error),
                        ReadError::Missing(_) => CreateError::SourceUnknown,
                    })?;
                for message in messages {
                    if count == 0 {
                        return Ok(position);
                    }
                    position += message.len() as u64;
                    count -= 1;
                }
            }
        }
        if count == 0 { Ok(position) } else { Err(CreateError::ForkBeyond) }
    }

    async fn append(
        &self,
        name: &StreamName,
        order: &AppendOrder,
    ) -> Result<Appended, AppendError> {
        self.room().await?;
        let pending = self.lock().append(name, order, Now::read());
        self.wake_writer();
        let pending = pending?;
        durable(pending.done).await?;
        Ok(pending.answer)
    }

    async fn delete(
        self: &Arc<Self>,
        name: &StreamName,
        deletion: Deletion,
    ) -> Result<(), DeleteError> {
        self.room().await?;
        let pending = self.lock().delete(name, deletion, Now::read());
        self.wake_writer();
        let pending = pending?;
        durable(pending.done).await?;
        if deletion == Deletion::Erase {
            self.erase(pending.answer).await?;
        }
        Ok(())
    }
}

/// Waits until it is durable, if there is anything to wait for.
async fn durable(done: Option<Arc<Done>>) -> Result<(), StorageError> {
    match done {
        Some(done) => done.wait().await.clone(),
        None => Ok(()),
    }
}

impl Store for Segments {
    fn create<'a>(
        &'a self,
        name: &'a StreamName,
        order: CreateOrder,
    ) -> BoxFuture<'a, Result<Created, CreateError>> {
        self.shared.create(name, order).boxed()
    }

    fn append<'a>(
        &'a self,
        name: &'a StreamName,
        order: AppendOrder,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        async move { self.shared.append(name, &order).await }.boxed()
    }

    fn read<'a>(
        &'a self,
        name: &'a StreamName,
        from: ReadFrom,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Chunk, ReadError>> {
        self.shared.read(name, from, bytes_max).boxed()
    }

    fn watch(&self, name: &StreamName) -> Result<Watch, Missing> {
        let mut core = self.shared.lock();
        let id = core.find(name, Now::read())?;
        let stream = core.catalog.get_mut(id).ok_or(Missing::Unknown)?;
        Ok(Watch::new(stream.subscribe()))
    }

    fn head(&self, name: &StreamName) -> Result<Info, Missing> {
        let core = self.shared.lock();
        let id = core.find(name, Now::read())?;
        core.catalog.get(id).and_then(|stream| core.info(stream)).ok_or(Missing::Unknown)
    }

    fn delete<'a>(
        &'a self,
        name: &'a StreamName,
        deletion: Deletion,
    ) -> BoxFuture<'a, Result<(), DeleteError>> {
        self.shared.delete(name, deletion).boxed()
    }

    fn list(&self, after: Option<&StreamName>, count_max: usize) -> Vec<Info> {
        let core = self.shared.lock();
        core.catalog.list(after, count_max, Now::read(), |stream: &Stream| core.info(stream))
    }
}
