//! Which process writes where. Each has an epoch of its own: a folder, a lock, and a number greater than all before it.
//!
//! An epoch whose process is gone is taken over by the next one that opens the store, which leaves its number there as the
//! *heir*. So one lock tells of a whole row of epochs whether they are somebody's.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Access, Disk, DiskFile, Lock, Patience};
use super::format::{SEGMENT_HEADER, SegmentHeader, SegmentId, VERSION};
use super::index::Sealed;
use super::scan::{Expected, scan};
use crate::error::{StorageError, StorageErrorKind};

/// Where a process keeps its streams.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) root: PathBuf,
    /// The own one.
    pub(super) epoch: u32,
    /// Of the own epoch.
    pub(super) salt: u64,
    /// Of those that were taken over, for segments that have lost their header.
    pub(super) salts: HashMap<u32, u64>,
}

/// What a process has of a store.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) epoch: u32,
    /// Those of gone processes, the oldest first.
    pub(super) inherited: Vec<u32>,
    /// The locks of the newest of those, until they have an heir.
    _held: BTreeMap<u32, LockOf>,
    /// The lock of the own epoch.
    own: LockOf,
    /// Nobody else claims anything meanwhile.
    _root: LockOf,
}

/// A lock that can be shown.
pub(super) struct LockOf(#[expect(dead_code, reason = "held for its drop")] Lock);

impl std::fmt::Debug for LockOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LockOf")
    }
}

/// What was found of an epoch.
#[derive(Debug, Default)]
pub(super) struct Inheritance {
    /// Segments that the index does not have.
    pub(super) unindexed: Vec<Sealed>,
    pub(super) salt: Option<u64>,
    /// Bytes that were never durable.
    pub(super) cut: u64,
}

impl Place {
    pub(super) fn folder(&self, epoch: u32) -> PathBuf {
        folder(&self.root, epoch)
    }

    pub(super) fn path(&self, id: SegmentId) -> PathBuf {
        self.folder(id.epoch).join(file_name(id.number))
    }
}

/// Makes an epoch for this process and takes over those whose process is gone.
pub(super) fn claim(disk: &dyn Disk, root: &Path) -> Result<Claim, StorageError> {
    let epochs = root.join("epochs");
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| StorageError::io(&path, error)
    };
    disk.create_folder(&epochs).map_err(at(&epochs))?;
    let lock_path = root.join("lock");
    let lock = disk.lock(&lock_path, Patience::Wait).map_err(at(&lock_path))?;
    let lock = LockOf(lock.expect("a lock that is waited for is got"));
    let names = disk.list(&epochs).map_err(at(&epochs))?;
    let mut known: Vec<u32> = names.iter().filter_map(|name| number(name, "")).collect();
    known.sort_unstable();
    let mut heirs = BTreeMap::new();
    let mut held = BTreeMap::new();
    for epoch in &known {
        let folder = folder(root, *epoch);
        let names = disk.list(&folder).map_err(at(&folder))?;
        match names.iter().filter_map(|name| heir(name)).max() {
            Some(heir) => drop(heirs.insert(*epoch, heir)),
            None => {
                let path = folder.join("lock");
                let lock = disk.lock(&path, Patience::Leave).map_err(at(&path))?;
                held.extend(lock.map(|lock| (*epoch, LockOf(lock))));
            }
        }
    }
    // Heirs have greater numbers: this ends.
    let newest = |mut epoch: u32| {
        while let Some(heir) = heirs.get(&epoch) {
            epoch = *heir;
        }
        epoch
    };
    // An heir that is not there was killed before it had anything, under the lock that is held now.
    let is_free =
        |epoch: &u32| held.contains_key(&newest(*epoch)) || !known.contains(&newest(*epoch));
    let inherited = known.iter().copied().filter(is_free);
    let inherited = inherited.collect();
    let epoch = known.last().map_or(1, |last| last + 1);
    let own = folder(root, epoch);
    disk.create_folder(&own).map_err(at(&own))?;
    let path = own.join("lock");
    let own_lock = disk.lock(&path, Patience::Leave).map_err(at(&path))?;
    let own_lock =
        LockOf(own_lock.expect("nobody else knows of a folder made under the store's lock"));
    for folder in [&own, &epochs, &root.to_owned()] {
        disk.sync_folder(folder).map_err(at(folder))?;
    }
    Ok(Claim { epoch, inherited, _held: held, own: own_lock, _root: lock })
}

impl Claim {
    /// Leaves the own number in the epochs that were taken over, whose segments are known by now. Those that have none any more
    /// are removed.
    pub(super) fn settle(
        self,
        place: &Place,
        has_segments: impl Fn(u32) -> bool,
    ) -> Result<LockOf, StorageError> {
        for epoch in self.inherited.iter().filter(|epoch| has_segments(**epoch)) {
            let (folder, own) = (place.folder(*epoch), format!("heir-{:08x}", self.epoch));
            let left = || {
                let names = place.disk.list(&folder)?;
                place.disk.create(&folder.join(own))?;
                place.disk.sync_folder(&folder)?;
                let mut old = names.iter().filter(|name| heir(name).is_some());
                old.try_for_each(|name| place.disk.remove(&folder.join(name)))
            };
            left().map_err(|error| StorageError::io(&folder, error))?;
        }
        for epoch in self.inherited.iter().filter(|epoch| !has_segments(**epoch)) {
            let folder = place.folder(*epoch);
            let remove = || {
                for name in place.disk.list(&folder)? {
                    place.disk.remove(&folder.join(name))?;
                }
                place.disk.remove_folder(&folder)
            };
            remove().map_err(|error| StorageError::io(&folder, error))?;
        }
        Ok(self.own)
    }
}

/// Reads the segments of a gone process that `is_known` does not have. What was never durable is cut off, and what remains made
/// durable: of what `kill -9` left nobody knows whether it is.
pub(super) fn inherit(
    disk: &dyn Disk,
    root: &Path,
    epoch: u32,
    is_known: impl Fn(SegmentId) -> bool,
) -> Result<Inheritance, StorageError> {
    let folder = folder(root, epoch);
    let names = disk.list(&folder).map_err(|error| StorageError::io(&folder, error))?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| number(name, ".seg")).collect();
    numbers.sort_unstable();
    let mut found = Inheritance::default();
    let mut headers = Vec::new();
    for number in numbers {
        let (path, id) = (folder.join(file_name(number)), SegmentId { epoch, number });
        let bytes = first_bytes(disk, &path).map_err(|error| StorageError::io(&path, error))?;
        let version = bytes.as_ref().and_then(SegmentHeader::version);
        if version.is_some_and(|version| version != VERSION) {
            return Err(StorageError::new(StorageErrorKind::OtherVersion, &path, None));
        }
        let header = bytes.as_ref().and_then(SegmentHeader::decode);
        let header = header.filter(|header| header.id == id);
        found.salt = found.salt.or(header.map(|header| header.salt));
        headers.push((path, id, header));
    }
    for (index, (path, id, _)) in headers.iter().enumerate() {
        if is_known(*id) {
            continue;
        }
        // A segment that tells nothing of its predecessor was not begun, or has lost its header.
        let next = headers.get(index + 1).and_then(|(_, _, header)| *header);
        let length = next.map(|next| next.previous_length);
        let expected = Expected { id: *id, salt: found.salt, length };
        let (sealed, cut) =
            read(disk, path, expected).map_err(|error| StorageError::io(path, error))?;
        found.cut += cut;
        found.unindexed.push(sealed);
    }
    Ok(found)
}

fn read(disk: &dyn Disk, path: &Path, expected: Expected) -> io::Result<(Sealed, u64)> {
    let file = disk.open(path, Access::Write)?;
    let bytes = whole(&*file)?;
    let scanned = scan(&bytes, expected);
    let cut = (bytes.len() as u64).saturating_sub(scanned.length);
    if cut > 0 {
        file.set_length(scanned.length)?;
    }
    file.sync()?;
    Ok((Sealed { id: expected.id, scanned }, cut))
}

/// All of a file.
pub(super) fn whole(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.length()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Those of a header, if the file has so many.
fn first_bytes(disk: &dyn Disk, path: &Path) -> io::Result<Option<[u8; SEGMENT_HEADER]>> {
    let mut bytes = [0; SEGMENT_HEADER];
    match disk.open(path, Access::Read)?.read_at(&mut bytes, 0) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn folder(root: &Path, epoch: u32) -> PathBuf {
    root.join("epochs").join(format!("{epoch:08x}"))
}

fn file_name(number: u32) -> String {
    format!("{number:08x}.seg")
}

/// The epoch that has taken over the one with such a file.
fn heir(name: &str) -> Option<u32> {
    number(name.strip_prefix("heir-")?, "")
}

/// The number in a name of eight hex digits and an ending.
fn number(name: &str, ending: &str) -> Option<u32> {
    let digits = name.strip_suffix(ending).filter(|digits| digits.len() == 8)?;
    u32::from_str_radix(digits, 16).ok()
}
