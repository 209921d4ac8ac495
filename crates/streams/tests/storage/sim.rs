//! A disk in memory that keeps a record of what was asked of it, and fails when it is told to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use outlast_runtime::random::Seeded;
use outlast_streams::segments::disk::{Access, Disk, DiskFile, Lock, Patience};
use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError};

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sim(Arc<Mutex<World>>);

#[derive(Debug, Default)]
struct World {
    files: BTreeMap<PathBuf, Vec<u8>>,
    folders: BTreeSet<PathBuf>,
    /// Files of which nothing matters but whether they are locked, and whether one is.
    locks: BTreeMap<PathBuf, bool>,
    events: Vec<Event>,
    faults: Faults,
}

/// What goes wrong from now on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// A write that would go beyond so many bytes in all writes what fits.
    pub(crate) room: Option<usize>,
    pub(crate) is_read_only: bool,
    pub(crate) syncs_fail: bool,
}

/// What was done, in order.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Create(PathBuf),
    Write(PathBuf, usize, Vec<u8>),
    SetLength(PathBuf, usize),
    Sync(PathBuf),
    SyncFolder(PathBuf),
    Remove(PathBuf),
}

/// What becomes of that which was not synced when the power goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    Lost,
    Kept,
    /// Any part of any write.
    Torn(u64),
}

#[derive(Debug, Default)]
struct Inode {
    durable: Vec<u8>,
    pending: Vec<Event>,
}

impl Sim {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no test panics with the disk in its hand")
    }

    pub(crate) fn set(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// How much has been done.
    pub(crate) fn events(&self) -> usize {
        self.lock().events.len()
    }

    pub(crate) fn is_sync(&self, event: usize) -> bool {
        matches!(self.lock().events[event], Event::Sync(_) | Event::SyncFolder(_))
    }

    /// The bytes in all files.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().files.values().map(Vec::len).sum()
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let is_segment = |path: &&PathBuf| path.extension().is_some_and(|end| end == "seg");
        self.lock().files.keys().filter(is_segment).cloned().collect()
    }

    /// Puts a file there, as if it were durable.
    pub(crate) fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut world = self.lock();
        world.folders.extend(path.ancestors().skip(1).map(Path::to_owned));
        world.files.insert(path.to_owned(), bytes);
    }

    /// Changes a file behind the back of the store.
    pub(crate) fn alter(&self, path: &Path, alter: impl FnOnce(&mut Vec<u8>)) {
        alter(self.lock().files.get_mut(path).expect("the file is there"));
    }

    /// What another process finds now, whatever was synced.
    pub(crate) fn after_crash_now(&self) -> Self {
        let world = self.lock();
        let (files, folders) = (world.files.clone(), world.folders.clone());
        Self(Arc::new(Mutex::new(World { files, folders, ..World::default() })))
    }

    /// What another process finds after a crash behind so many events.
    pub(crate) fn after_crash(&self, events: usize, fate: Fate) -> Self {
        let world = self.lock();
        let files = survivors(&world.events[..events], fate);
        let folders = world.folders.clone();
        Self(Arc::new(Mutex::new(World { files, folders, ..World::default() })))
    }
}

fn survivors(events: &[Event], fate: Fate) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut inodes = Vec::<Inode>::new();
    let mut names = BTreeMap::<PathBuf, usize>::new();
    let mut durable_names = BTreeMap::<PathBuf, usize>::new();
    for event in events {
        match event {
            Event::Create(path) => {
                names.insert(path.clone(), inodes.len());
                inodes.push(Inode::default());
            }
            Event::Write(path, ..) | Event::SetLength(path, _) => {
                inodes[names[path]].pending.push(event.clone());
            }
            Event::Sync(path) => {
                let inode = &mut inodes[names[path]];
                let pending = std::mem::take(&mut inode.pending);
                pending.iter().for_each(|event| apply(&mut inode.durable, event));
            }
            Event::SyncFolder(folder) => {
                durable_names.retain(|path, _| path.parent() != Some(folder));
                let own = names.iter().filter(|(path, _)| path.parent() == Some(folder));
                durable_names.extend(own.map(|(path, inode)| (path.clone(), *inode)));
            }
            Event::Remove(path) => drop(names.remove(path)),
        }
    }
    let mut seeded = Seeded::new(if let Fate::Torn(seed) = fate { seed } else { 0 });
    let names = match fate {
        Fate::Lost => durable_names,
        Fate::Kept => names,
        Fate::Torn(_) if seeded.number().is_multiple_of(2) => durable_names,
        Fate::Torn(_) => names,
    };
    let mut content = |inode: usize| {
        let Inode { durable, pending } = &inodes[inode];
        let mut content = durable.clone();
        for event in pending {
            match fate {
                Fate::Lost => {}
                Fate::Kept => apply(&mut content, event),
                Fate::Torn(_) => tear(&mut content, event, &mut seeded),
            }
        }
        content
    };
    names.into_iter().map(|(path, inode)| (path, content(inode))).collect()
}

fn apply(content: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Write(_, at, bytes) => {
            content.resize(content.len().max(at + bytes.len()), 0);
            content[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        Event::SetLength(_, length) => content.resize(*length, 0),
        _ => {}
    }
}

/// Does some of it: a part of the bytes, or all bytes but a part, with zeros for the rest or the file's end before it.
fn tear(content: &mut Vec<u8>, event: &Event, seeded: &mut Seeded) {
    let mut below =
        |max: usize| usize::try_from(seeded.number() % (max as u64 + 1)).expect("small");
    let Event::Write(path, at, bytes) = event else {
        if below(1) == 1 {
            apply(content, event);
        }
        return;
    };
    let (from, to) = (below(bytes.len()), below(bytes.len()));
    let mut torn = bytes.clone();
    match below(3) {
        0 => {}
        1 => torn.truncate(from),
        2 => torn[from.min(to)..from.max(to)].fill(0),
        _ => return,
    }
    apply(content, &Event::Write(path.clone(), *at, torn));
}

#[derive(Debug)]
struct SimFile {
    sim: Sim,
    path: PathBuf,
}

#[derive(Debug)]
struct Held {
    sim: Sim,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.sim.lock().locks.insert(self.path.clone(), false);
    }
}

impl World {
    fn check_writable(&self) -> io::Result<()> {
        match self.faults.is_read_only {
            true => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            false => Ok(()),
        }
    }
}

impl Disk for Sim {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.lock();
        world.check_writable()?;
        if world.files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.files.insert(path.to_owned(), Vec::new());
        world.events.push(Event::Create(path.to_owned()));
        Ok(Arc::new(SimFile { sim: self.clone(), path: path.to_owned() }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let world = self.lock();
        if access == Access::Write {
            world.check_writable()?;
        }
        match world.files.contains_key(path) {
            true => Ok(Arc::new(SimFile { sim: self.clone(), path: path.to_owned() })),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let world = self.lock();
        let all = world.files.keys().chain(&world.folders);
        let own = all.filter(|path| path.parent() == Some(folder));
        let name = |path: &PathBuf| path.file_name()?.to_str().map(str::to_owned);
        Ok(own.filter_map(name).collect())
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.lock();
        world.check_writable()?;
        world.folders.insert(folder.to_owned());
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.lock();
        if world.faults.syncs_fail {
            return Err(io::Error::other("the disk is gone"));
        }
        world.events.push(Event::SyncFolder(folder.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.lock();
        world.check_writable()?;
        world.files.remove(path).ok_or(io::ErrorKind::NotFound)?;
        world.events.push(Event::Remove(path.to_owned()));
        Ok(())
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.lock();
        world.check_writable()?;
        if world.files.keys().any(|path| path.starts_with(folder)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        world.folders.remove(folder);
        Ok(())
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        // Of indexes nothing survives here.
        Err(io::ErrorKind::NotFound.into())
    }

    fn open_index(&self, _path: &Path) -> Result<Database, DatabaseError> {
        Database::builder().create_with_backend(InMemoryBackend::new())
    }

    fn lock(&self, path: &Path, _patience: Patience) -> io::Result<Option<Lock>> {
        let mut world = self.lock();
        world.check_writable()?;
        if world.locks.insert(path.to_owned(), true) == Some(true) {
            return Ok(None);
        }
        Ok(Some(Box::new(Held { sim: self.clone(), path: path.to_owned() })))
    }
}

impl DiskFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.sim.lock().files.get(&self.path).ok_or(io::ErrorKind::NotFound)?.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let world = self.sim.lock();
        let file = world.files.get(&self.path).ok_or(io::ErrorKind::NotFound)?;
        let at = usize::try_from(at).expect("small files");
        let bytes = file.get(at..at + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut world = self.sim.lock();
        world.check_writable()?;
        let at = usize::try_from(at).expect("small files");
        let used: usize = world.files.values().map(Vec::len).sum();
        let room = world.faults.room.map_or(usize::MAX, |room| room.saturating_sub(used));
        let file = world.files.get_mut(&self.path).ok_or(io::ErrorKind::NotFound)?;
        let fits = bytes.len().min((file.len() - at.min(file.len())).saturating_add(room));
        let event = Event::Write(self.path.clone(), at, bytes[..fits].to_vec());
        apply(file, &event);
        world.events.push(event);
        match fits < bytes.len() {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.sim.lock();
        if world.faults.syncs_fail {
            return Err(io::Error::other("the disk is gone"));
        }
        world.events.push(Event::Sync(self.path.clone()));
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut world = self.sim.lock();
        world.check_writable()?;
        let event = Event::SetLength(self.path.clone(), usize::try_from(length).expect("small"));
        apply(world.files.get_mut(&self.path).ok_or(io::ErrorKind::NotFound)?, &event);
        world.events.push(event);
        Ok(())
    }
}

/// Where streams are on it.
pub(crate) fn root() -> PathBuf {
    PathBuf::from("/streams")
}

/// So many messages, each of another length and content.
pub(crate) fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("<{n}:{}>", "x".repeat(n * 7 % 90))).collect()
}

/// A store's streams by name, as texts.
pub(crate) type Contents = HashMap<String, String>;
