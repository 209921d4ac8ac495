//! Opening a store: what was there is taken over, and what no index has is read.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread;

use outlast_runtime::random;

use super::batch::{Batch, BytesGo};
use super::core::Core;
use super::disk::Disk;
use super::epochs::{Claim, Place, claim, inherit};
use super::format::SegmentId;
use super::index::{Damage, Index, Sealed};
use super::keeper::{self, Keep};
use super::reader::Files;
use super::recent::Recent;
use super::writer::{self, Active};
use super::{Segments, Settings, Shared};
use crate::catalog::{Catalog, Now, Numbers};
use crate::error::StorageError;

const INDEX: &str = "index.redb";

/// What was found when a store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Streams that are there.
    pub streams: usize,
    /// Segments that had to be read because no index had them.
    pub segments_read: usize,
    /// Bytes at the ends of segments that were never durable, and were cut off.
    pub bytes_cut: u64,
    /// Records that were durable and are not what was written. Reading them is an error.
    pub records_damaged: u64,
    /// Streams whose first record is lost, and with it their name.
    pub streams_lost: u64,
}

pub(super) fn open(
    disk: Arc<dyn Disk>,
    root: &Path,
    settings: Settings,
) -> Result<Segments, StorageError> {
    let claim = claim(&*disk, root)?;
    let index = take_index(&*disk, root, &claim)?;
    let mut log = index.segments()?;
    let (mut recovery, mut salts) = (Recovery::default(), HashMap::new());
    let mut unindexed = Vec::new();
    for epoch in &claim.inherited {
        let found = inherit(&*disk, root, *epoch, |id| log.contains_key(&id))?;
        recovery.bytes_cut += found.cut;
        salts.extend(found.salt.map(|salt| (*epoch, salt)));
        unindexed.extend(found.unindexed);
    }
    remove_empty(&*disk, root, &mut unindexed)?;
    let damage = index.absorb(&unindexed, BTreeSet::new())?;
    count(&mut recovery, &unindexed, damage);
    log.extend(unindexed.into_iter().map(|sealed| (sealed.id, sealed.scanned.length)));
    let place =
        Place { disk, root: root.to_owned(), epoch: claim.epoch, salt: random::number(), salts };
    let lock = claim.settle(&place, |epoch| log.keys().any(|id| id.epoch == epoch))?;
    let core = load(&index, &settings, &place)?;
    recovery.streams = core.held.len();
    let shared = Arc::new(Shared {
        core: Mutex::new(core),
        work: Condvar::new(),
        keep: Keep::new(log),
        settings,
        place,
        index,
        files: Files::default(),
        gate: RwLock::new(()),
    });
    let first = SegmentId { epoch: shared.place.epoch, number: 1 };
    let active = Active::create(&shared, first, 0)?;
    let mut segments =
        Segments { shared: Arc::clone(&shared), threads: Vec::new(), recovery, _lock: lock };
    let no_thread = |error| StorageError::io(root, error);
    let writer = Arc::clone(&shared);
    let write = move || writer::run(&writer, active);
    segments.threads.push(start("streams-writer", write).map_err(no_thread)?);
    let keep = move || keeper::run(&shared);
    segments.threads.push(start("streams-keeper", keep).map_err(no_thread)?);
    tell(root, recovery);
    Ok(segments)
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// The index of a gone process, or an empty one.
fn take_index(disk: &dyn Disk, root: &Path, claim: &Claim) -> Result<Index, StorageError> {
    let folder = |epoch: u32| root.join("epochs").join(format!("{epoch:08x}"));
    let own = folder(claim.epoch).join(INDEX);
    for epoch in claim.inherited.iter().rev() {
        // The newest is the best, and of those of two processes one: what the other has is read from its segments.
        let old = folder(*epoch).join(INDEX);
        match disk.rename(&old, &own) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StorageError::io(&old, error)),
        }
    }
    let opened = disk.open_index(&own).map_err(|error| io::Error::other(error).to_string());
    let opened =
        opened.and_then(|database| Index::new(database, &own).map_err(|error| error.to_string()));
    match opened {
        Ok(index) => Ok(index),
        Err(error) => {
            tracing::warn!(index = %own.display(), error, "the index of streams is made anew");
            match disk.remove(&own) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StorageError::io(&own, error));
                }
                _ => {}
            }
            let database = disk.open_index(&own);
            let database = database.map_err(|e| StorageError::io(&own, io::Error::other(e)))?;
            Index::new(database, &own)
        }
    }
}

/// All streams that the index has.
fn load(index: &Index, settings: &Settings, place: &Place) -> Result<Core, StorageError> {
    let mut core = Core {
        catalog: Catalog::new(Numbers::new(place.epoch)),
        held: HashMap::new(),
        batch: Batch::default(),
        in_flight: None,
        recent: Recent::new(settings.recent_bytes_max),
        erasing: HashMap::new(),
        erased: BTreeSet::new(),
        stored: 0,
        is_stopping: false,
        limits: settings.limits.clone(),
        salt: place.salt,
    };
    let streams = index.streams()?;
    let deleted: Vec<u64> = streams.iter().filter(|s| s.is_deleted).map(|s| s.id).collect();
    streams.into_iter().for_each(|stream| core.load(stream));
    // The last of their forks went in a batch that was torn.
    for id in deleted {
        if core.catalog.get(id).is_some_and(|stream| stream.forks == 0) {
            core.forget(id, BytesGo::Later, Now::read());
        }
    }
    Ok(core)
}

/// Removes segments of processes that wrote nothing.
fn remove_empty(
    disk: &dyn Disk,
    root: &Path,
    unindexed: &mut Vec<Sealed>,
) -> Result<(), StorageError> {
    let is_empty = |sealed: &Sealed| sealed.scanned.is_empty();
    for Sealed { id, .. } in unindexed.extract_if(.., |sealed| is_empty(sealed)) {
        let path = root.join("epochs").join(id.to_string());
        disk.remove(&path).map_err(|error| StorageError::io(&path, error))?;
    }
    Ok(())
}

fn count(recovery: &mut Recovery, unindexed: &[Sealed], damage: Damage) {
    let holes: usize = unindexed.iter().map(|sealed| sealed.scanned.holes.len()).sum();
    recovery.segments_read = unindexed.len();
    recovery.records_damaged = damage.frames + holes as u64;
    recovery.streams_lost = damage.streams;
}

fn tell(root: &Path, recovery: Recovery) {
    let Recovery { streams, segments_read, bytes_cut, records_damaged, streams_lost } = recovery;
    let folder = root.display();
    if records_damaged + streams_lost > 0 {
        tracing::error!(
            %folder, records_damaged, streams_lost,
            "streams are damaged: reading these records is an error, all others can be read"
        );
    }
    tracing::info!(%folder, streams, segments_read, bytes_cut, "streams are open");
}
