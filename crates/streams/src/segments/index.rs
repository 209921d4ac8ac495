//! Where each stream's frames are, for segments that grow no more. All of it can be made anew from the segments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::format::{Kind, SegmentId};
use super::meta::{Parts, put_number, put_stream};
use super::place::FrameAt;
use super::scan::{Found, Scanned};
use crate::error::{StorageError, StorageErrorKind};
use crate::order::AppendOrder;
use crate::stream::{Addition, Stream};

/// All of a stream but where its frames are, by its number.
const STREAMS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("streams-1");
/// Frames in one segment that follow each other in a stream: by the stream, the first one's position, and the segment.
const ROWS: TableDefinition<'_, (u64, u64, u64), &[u8]> = TableDefinition::new("rows-1");
/// The length of each segment whose frames are here.
const SEGMENTS: TableDefinition<'_, (u32, u32), u64> = TableDefinition::new("segments-1");

/// As many frames as a row has at most: one is taken apart whole.
const ROW_FRAMES_MAX: usize = 512;
/// As many rows as are looked into for a position: copies of moved frames overlap with the old ones for a while.
const ROWS_TRIED: usize = 16;

#[derive(Debug)]
pub(super) struct Index {
    database: Database,
    path: PathBuf,
}

/// A segment that is to be indexed.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) id: SegmentId,
    pub(super) scanned: Scanned,
}

/// What of durable data was found to be unreadable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Frames whose body is not what was written.
    pub(super) frames: u64,
    /// Streams whose first frame is lost, and thereby their name.
    pub(super) streams: u64,
}

/// A frame of a sealed segment, in the order in which a stream has them.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    segment: &'a Sealed,
    found: Found,
}

impl Index {
    pub(super) fn new(database: Database, path: &Path) -> Result<Self, StorageError> {
        let index = Self { database, path: path.to_owned() };
        index.write(|transaction| {
            transaction.open_table(STREAMS)?;
            transaction.open_table(ROWS)?;
            transaction.open_table(SEGMENTS)?;
            Ok(())
        })?;
        Ok(index)
    }

    /// The segments whose frames are here, and their lengths.
    pub(super) fn segments(&self) -> Result<BTreeMap<SegmentId, u64>, StorageError> {
        let read = || -> Result<BTreeMap<_, _>, redb::Error> {
            let table = self.database.begin_read()?.open_table(SEGMENTS)?;
            let mut segments = BTreeMap::new();
            for row in table.iter()? {
                let (id, length) = row?;
                let (epoch, number) = id.value();
                segments.insert(SegmentId { epoch, number }, length.value());
            }
            Ok(segments)
        };
        read().map_err(|error| self.error(error))
    }

    /// All streams, those with the least numbers first: sources before their forks.
    pub(super) fn streams(&self) -> Result<Vec<Stream>, StorageError> {
        let read = || -> Result<Vec<_>, redb::Error> {
            let table = self.database.begin_read()?.open_table(STREAMS)?;
            let mut streams = Vec::new();
            for row in table.iter()? {
                let (id, bytes) = row?;
                streams.extend(Parts(bytes.value()).stream(id.value()));
            }
            Ok(streams)
        };
        read().map_err(|error| self.error(error))
    }

    /// The frame that has a position of a stream, and those behind it as far as they are known in one go.
    pub(super) fn find(&self, stream: u64, position: u64) -> Result<Vec<FrameAt>, StorageError> {
        let read = || -> Result<Vec<_>, redb::Error> {
            let table = self.database.begin_read()?.open_table(ROWS)?;
            let rows = table.range((stream, 0, 0)..=(stream, position, u64::MAX))?;
            for row in rows.rev().take(ROWS_TRIED) {
                let (key, bytes) = row?;
                let (_, first, segment) = key.value();
                let mut frames = unpack(first, segment, bytes.value());
                let skip = frames.partition_point(|frame| frame.end() <= position);
                if skip < frames.len() {
                    return Ok(frames.split_off(skip));
                }
            }
            Ok(Vec::new())
        };
        read().map_err(|error| self.error(error))
    }

    /// The last frame of a stream that begins at a position or before, or its first one.
    pub(super) fn near(&self, stream: u64, position: u64) -> Result<Option<FrameAt>, StorageError> {
        let frames = self.all(stream)?;
        let before = frames.iter().rfind(|frame| frame.position <= position);
        Ok(before.or(frames.first()).copied())
    }

    /// All frames of a stream.
    pub(super) fn all(&self, stream: u64) -> Result<Vec<FrameAt>, StorageError> {
        let read = || -> Result<Vec<_>, redb::Error> {
            let table = self.database.begin_read()?.open_table(ROWS)?;
            let mut frames = Vec::new();
            for row in table.range((stream, 0, 0)..=(stream, u64::MAX, u64::MAX))? {
                let (key, bytes) = row?;
                let (_, first, segment) = key.value();
                frames.extend(unpack(first, segment, bytes.value()));
            }
            Ok(frames)
        };
        read().map_err(|error| self.error(error))
    }

    /// Takes in the frames of segments, which are all that were sealed since the last time, or, if the index is lost, all
    /// there are. Of streams in `gone` nothing is needed any more.
    pub(super) fn absorb(
        &self,
        segments: &[Sealed],
        mut gone: BTreeSet<u64>,
    ) -> Result<Damage, StorageError> {
        let mut entries = BTreeMap::<u64, Vec<Entry<'_>>>::new();
        let mut deleted = BTreeSet::new();
        for segment in segments {
            for found in &segment.scanned.frames {
                let id = found.header.stream;
                let _is_new = match found.header.kind {
                    Kind::Create | Kind::Append => {
                        entries.entry(id).or_default().push(Entry { segment, found: *found });
                        true
                    }
                    Kind::Delete => deleted.insert(id),
                    Kind::Gone => gone.insert(id),
                };
            }
        }
        let mut damage = Damage::default();
        self.write(|transaction| {
            damage = Damage::default();
            for (id, entries) in &mut entries {
                if !gone.contains(id) {
                    take_in(transaction, *id, entries, &mut damage)?;
                }
            }
            let mut streams = transaction.open_table(STREAMS)?;
            for id in &deleted {
                let stream = streams.get(id)?.and_then(|bytes| Parts(bytes.value()).stream(*id));
                if let Some(mut stream) = stream {
                    stream.is_deleted = true;
                    streams.insert(id, packed_stream(&stream).as_slice())?;
                }
            }
            drop(streams);
            gone.iter().try_for_each(|id| remove(transaction, *id))?;
            let mut known = transaction.open_table(SEGMENTS)?;
            for Sealed { id, scanned } in segments {
                known.insert((id.epoch, id.number), scanned.length)?;
            }
            Ok(())
        })?;
        Ok(damage)
    }

    /// A stream is no more.
    pub(super) fn forget(&self, stream: u64) -> Result<(), StorageError> {
        self.write(|transaction| remove(transaction, stream))
    }

    /// A segment is no more; it has frames of these streams.
    pub(super) fn drop_segment(
        &self,
        id: SegmentId,
        streams: &BTreeSet<u64>,
    ) -> Result<(), StorageError> {
        let code = code(id);
        self.write(|transaction| {
            let mut rows = transaction.open_table(ROWS)?;
            for stream in streams {
                let all = (*stream, 0, 0)..=(*stream, u64::MAX, u64::MAX);
                rows.retain_in(all, |(_, _, segment), _| segment != code)?;
            }
            transaction.open_table(SEGMENTS)?.remove((id.epoch, id.number))?;
            Ok(())
        })
    }

    /// Durable when it returns.
    fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StorageError> {
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| self.error(error))
    }

    fn error(&self, error: redb::Error) -> StorageError {
        match error {
            redb::Error::Io(error) => StorageError::io(&self.path, error),
            redb::Error::Corrupted(_) => {
                StorageError::new(StorageErrorKind::Corrupt, &self.path, None)
            }
            other => StorageError::io(&self.path, std::io::Error::other(other)),
        }
    }
}

/// Adds what a stream has in new segments.
fn take_in(
    transaction: &WriteTransaction,
    id: u64,
    entries: &mut [Entry<'_>],
    damage: &mut Damage,
) -> Result<(), redb::Error> {
    let mut streams = transaction.open_table(STREAMS)?;
    let mut stream = streams.get(id)?.and_then(|bytes| Parts(bytes.value()).stream(id));
    // First what creates the stream, then by position, since moved frames come late, and last what only closes it.
    entries.sort_by_key(|Entry { segment, found }| {
        let header = &found.header;
        let is_later = header.kind != Kind::Create;
        let is_end = header.data_length == 0;
        (is_later, header.position, is_end, segment.id, found.at)
    });
    let mut places = Vec::<FrameAt>::new();
    for entry in entries {
        damage.frames += u64::from(!entry.found.is_whole);
        let place = entry.place();
        match &mut stream {
            Some(stream) => entry.apply(stream),
            None => stream = entry.create(),
        }
        // One that reaches beyond the stream's end was never written so: its bytes are not the stream's.
        if stream.as_ref().is_some_and(|stream| place.end() > stream.tail) {
            damage.frames += 1;
            continue;
        }
        // Of two copies the later one counts.
        let has_data = place.data_length > 0;
        places.pop_if(|last| has_data && last.data_length > 0 && last.position == place.position);
        places.push(place);
    }
    let Some(stream) = stream else {
        damage.streams += 1;
        return Ok(());
    };
    streams.insert(id, packed_stream(&stream).as_slice())?;
    let mut rows = transaction.open_table(ROWS)?;
    let follows = |one: &FrameAt, next: &FrameAt| {
        one.segment == next.segment && one.end() == next.position && one.at < next.at
    };
    for frames in places.chunk_by(follows) {
        for frames in frames.chunks(ROW_FRAMES_MAX) {
            let key = (id, frames[0].position, code(frames[0].segment));
            rows.insert(key, pack(frames).as_slice())?;
        }
    }
    Ok(())
}

fn remove(transaction: &WriteTransaction, id: u64) -> Result<(), redb::Error> {
    transaction.open_table(STREAMS)?.remove(id)?;
    let all = (id, 0, 0)..=(id, u64::MAX, u64::MAX);
    transaction.open_table(ROWS)?.retain_in(all, |_, _| false)?;
    Ok(())
}

impl Entry<'_> {
    fn place(&self) -> FrameAt {
        FrameAt::new(self.segment.id, self.found.at, &self.found.header)
    }

    fn meta(&self) -> &[u8] {
        self.segment.scanned.meta(&self.found)
    }

    /// The stream that this frame creates, if it does and can be read.
    fn create(&self) -> Option<Stream> {
        if self.found.header.kind != Kind::Create || !self.found.is_whole {
            return None;
        }
        let mut parts = Parts(self.meta());
        let mut stream = parts.create(self.found.header.stream)?;
        if stream.tail != self.found.header.position {
            return None;
        }
        let meta = parts.append(self.found.header.data_length as usize)?;
        stream.apply(&meta.into_order(), self.addition()?);
        Some(stream)
    }

    /// What the frame adds to a stream that is known, unless it is known to have it.
    fn apply(&self, stream: &mut Stream) {
        let header = &self.found.header;
        let is_end = header.data_length == 0 && stream.end.is_some();
        let is_known = header.kind == Kind::Create || header.position < stream.tail || is_end;
        let (Some(addition), false) = (self.addition(), is_known) else { return };
        // Something before it is lost: the stream goes on behind that.
        stream.tail = header.position;
        let meta = Parts(self.meta()).append(header.data_length as usize);
        let order = meta.filter(|_| self.found.is_whole).map(|meta| meta.into_order());
        stream.apply(&order.unwrap_or_else(AppendOrder::default), addition);
    }

    fn addition(&self) -> Option<Addition> {
        let header = &self.found.header;
        Some(Addition {
            length: header.data_length.into(),
            stored: header.length() as u64,
            tenure: header.tenure,
            time: jiff::Timestamp::from_millisecond(header.time_ms).ok()?,
        })
    }
}

fn packed_stream(stream: &Stream) -> Vec<u8> {
    let mut out = Vec::new();
    put_stream(&mut out, stream);
    out
}

/// A segment as one number, in the same order.
fn code(id: SegmentId) -> u64 {
    u64::from(id.epoch) << 32 | u64::from(id.number)
}

fn pack(frames: &[FrameAt]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frames.len() * 5);
    let mut last = 0;
    for frame in frames {
        put_number(&mut out, u64::from(frame.at - last));
        put_number(&mut out, frame.meta_length.into());
        put_number(&mut out, frame.data_length.into());
        last = frame.at;
    }
    out
}

/// What is wrong here shows when the frames are read: each tells its stream and position.
fn unpack(first: u64, segment: u64, bytes: &[u8]) -> Vec<FrameAt> {
    let segment = SegmentId {
        epoch: u32::try_from(segment >> 32).expect("32 bits are left"),
        number: u32::try_from(segment & 0xffff_ffff).expect("32 bits are left"),
    };
    let mut parts = Parts(bytes);
    let mut number = || parts.number().and_then(|number| u32::try_from(number).ok());
    let (mut position, mut at) = (first, 0_u32);
    let mut frames = Vec::new();
    while let (Some(step), Some(meta_length), Some(data_length)) = (number(), number(), number()) {
        at = at.saturating_add(step);
        frames.push(FrameAt { segment, at, position, meta_length, data_length });
        position += u64::from(data_length);
    }
    frames
}
