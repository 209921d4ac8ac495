//! How frames are read: from memory if they are there, else from the disk, on a thread that may wait for it.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::Shared;
use super::core::Core;
use super::disk::{Access, DiskFile};
use super::format::{
    FRAME_HEADER, FrameHeader, Kind, SEGMENT_HEADER, SegmentHeader, SegmentId, checksum,
};
use super::meta::Parts;
use super::place::FrameAt;
use crate::answer::Chunk;
use crate::catalog::{Now, Piece};
use crate::content_type::Boundaries;
use crate::error::{Missing, OffsetProblem, ReadError, StorageError, StorageErrorKind};
use crate::name::StreamName;
use crate::order::ReadFrom;
use crate::take::Take;

/// As many segments are kept open for reading.
const OPEN_MAX: usize = 64;
/// Frames that are no further apart are read together: a page or two more costs less than another call.
const GAP_MAX: u64 = 8 * 1024;
/// As many bytes are read together, unless one frame has more.
const SPAN_MAX: u64 = 1 << 20;
/// How often the place of a frame is looked up again because its segment was cleaned away meanwhile.
const LOOKUPS_MAX: usize = 4;

/// Segments that are open for reading.
#[derive(Debug, Default)]
pub(super) struct Files(Mutex<HashMap<SegmentId, Open>>);

#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) salt: u64,
    pub(super) path: PathBuf,
}

/// A frame as it was read, with header.
type Loaded = (FrameAt, Bytes);

/// What a reader is to get.
struct View {
    id: u64,
    position: u64,
    boundaries: Boundaries,
    pieces: Vec<Piece>,
    chunk: Chunk,
}

impl Shared {
    pub(super) async fn read(
        self: &Arc<Self>,
        name: &StreamName,
        from: ReadFrom,
        bytes_max: usize,
    ) -> Result<Chunk, ReadError> {
        let (mut view, mut take) = {
            let mut core = self.lock();
            let view = core.view(name, from)?;
            let mut take = Take::new(view.boundaries, bytes_max);
            let mut position = view.position;
            for piece in &view.pieces {
                if !core.take_recent(*piece, &mut position, &mut take)? {
                    break;
                }
            }
            if take.is_full || position >= view.chunk.next.position {
                return core.finish(view, take);
            }
            (view, take)
        };
        let mut position = view.position + taken(&take);
        let first = view.pieces.first().copied();
        for piece in std::mem::take(&mut view.pieces) {
            while position < piece.to && !take.is_full {
                // A piece is cut to what is not taken yet.
                let piece = Piece { from: position.max(piece.from), ..piece };
                let frames = self.load(piece, take.room()).await?;
                let before = position;
                for (frame, bytes) in frames {
                    offer(&bytes, frame, view.boundaries, piece, &mut take)?;
                    position = position.max(frame.end().min(piece.to));
                }
                if position == before {
                    return Err(self.lost(piece).into());
                }
            }
        }
        if let (true, Some(piece)) = (take.taken.is_empty(), first) {
            // Frames are there, and no message can be found in them.
            return Err(self.lost(piece).into());
        }
        self.lock().finish(view, take)
    }

    /// The first messages of a piece, with about so many bytes.
    pub(super) async fn messages(
        self: &Arc<Self>,
        piece: Piece,
        bytes_max: usize,
    ) -> Result<Vec<Bytes>, ReadError> {
        let mut take = Take::new(Boundaries::Messages, bytes_max);
        for (frame, bytes) in self.load(piece, bytes_max).await? {
            offer(&bytes, frame, Boundaries::Messages, piece, &mut take)?;
        }
        Ok(take.taken)
    }

    /// The first frames of a piece, as many as have about so many bytes.
    async fn load(
        self: &Arc<Self>,
        piece: Piece,
        bytes_max: usize,
    ) -> Result<Vec<Loaded>, StorageError> {
        let mut lookups = 0;
        loop {
            let known = {
                let core = self.lock();
                let frames = core.held.get(&piece.stream).map(|held| held.from(piece.from));
                enough(frames.unwrap_or_default(), piece, bytes_max)
            };
            let shared = Arc::clone(self);
            let load = move || shared.load_now(piece, known, bytes_max);
            let loaded = tokio::task::spawn_blocking(load).await;
            let loaded = loaded.expect("reading a segment does not panic, and is not cancelled");
            lookups += 1;
            match loaded {
                Ok(frames) => return Ok(frames),
                // Its segment was there when it was looked up, and has been cleaned away since: it has moved.
                Err(None) if lookups < LOOKUPS_MAX => {}
                Err(None) => return Err(self.lost(piece)),
                Err(Some(error)) => return Err(error),
            }
        }
    }

    /// Blocks. `None` as the error: the segment is not there.
    fn load_now(
        &self,
        piece: Piece,
        known: Vec<FrameAt>,
        bytes_max: usize,
    ) -> Result<Vec<Loaded>, Option<StorageError>> {
        // As long as it is held, no segment is removed.
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let frames = match known.is_empty() {
            false => known,
            true => {
                let found = self.index.find(piece.stream, piece.from)?;
                if found.first().is_none_or(|frame| frame.position > piece.from) {
                    return Err(Some(self.lost(piece)));
                }
                enough(&found, piece, bytes_max)
            }
        };
        let mut loaded = Vec::with_capacity(frames.len());
        let is_near = |one: &FrameAt, next: &FrameAt| {
            let end = u64::from(one.at) + one.length() as u64;
            one.segment == next.segment
                && u64::from(next.at) >= end
                && u64::from(next.at) - end <= GAP_MAX
        };
        for near in frames.chunk_by(is_near) {
            let mut rest = near;
            while let Some(first) = rest.first() {
                let is_within = |frame: &&FrameAt| {
                    u64::from(frame.at) + frame.length() as u64 - u64::from(first.at) <= SPAN_MAX
                };
                let count = rest.iter().take_while(is_within).count().max(1);
                let (span, others) = rest.split_at(count);
                self.load_span(piece.stream, span, &mut loaded)?;
                rest = others;
            }
        }
        Ok(loaded)
    }

    /// Reads frames of one segment that lie near each other.
    fn load_span(
        &self,
        stream: u64,
        span: &[FrameAt],
        loaded: &mut Vec<Loaded>,
    ) -> Result<(), Option<StorageError>> {
        let (first, last) = (span[0], span[span.len() - 1]);
        let open = self.open(first.segment)?;
        let mut buffer = vec![0; last.at as usize + last.length() - first.at as usize];
        let read = open.file.read_at(&mut buffer, first.at.into());
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => corrupt(&open, first),
            _ => StorageError::io(&open.path, error),
        })?;
        let buffer = Bytes::from(buffer);
        for frame in span {
            let start = (frame.at - first.at) as usize;
            let bytes = buffer.slice(start..start + frame.length());
            if !is_frame(&bytes, stream, *frame, open.salt) {
                return Err(Some(corrupt(&open, *frame)));
            }
            loaded.push((*frame, bytes));
        }
        Ok(())
    }

    /// Opens a segment for reading. `None` as the error: there is no such segment.
    pub(super) fn open(&self, id: SegmentId) -> Result<Open, Option<StorageError>> {
        let mut files = self.files.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = files.get(&id) {
            return Ok(open.clone());
        }
        let path = self.place.path(id);
        let file = self.place.disk.open(&path, Access::Read);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => None,
            _ => Some(StorageError::io(&path, error)),
        })?;
        let mut header = [0; SEGMENT_HEADER];
        let read = file.read_at(&mut header, 0);
        read.map_err(|error| StorageError::io(&path, error))?;
        let salt = SegmentHeader::decode(&header).map(|header| header.salt);
        let salt = salt.or_else(|| self.place.salts.get(&id.epoch).copied());
        let corrupt = || StorageError::new(StorageErrorKind::Corrupt, &path, Some(0));
        let open = Open { file, salt: salt.ok_or_else(corrupt)?, path: path.clone() };
        if files.len() >= OPEN_MAX {
            files.clear();
        }
        files.insert(id, open.clone());
        Ok(open)
    }

    /// No frame is known for a part of a stream: it was unreadable when its segment was scanned. The error tells of the
    /// frame before it.
    fn lost(&self, piece: Piece) -> StorageError {
        let near = self.index.near(piece.stream, piece.from).ok().flatten();
        let (path, at) = match near {
            Some(frame) => (self.place.path(frame.segment), frame.at),
            None => (self.place.root.clone(), 0),
        };
        StorageError::new(StorageErrorKind::Corrupt, &path, Some(at.into()))
    }
}

impl Files {
    /// A segment is to be removed.
    pub(super) fn close(&self, id: SegmentId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

impl Core {
    /// What there is to read. Renews the stream's time to live.
    fn view(&mut self, name: &StreamName, from: ReadFrom) -> Result<View, ReadError> {
        let now = Now::read();
        let id = self.find(name, now)?;
        let held_tail = self.held.get(&id).map_or(0, |held| held.tail);
        let stream = self.catalog.get_mut(id).ok_or(Missing::Unknown)?;
        stream.touched = now.monotonic;
        let position = match from {
            ReadFrom::Start => 0,
            ReadFrom::Tail => held_tail,
            ReadFrom::Offset(offset) => stream.position(offset, held_tail)?,
        };
        let stream = self.catalog.get(id).ok_or(Missing::Unknown)?;
        let info = self.info(stream).ok_or(Missing::Unknown)?;
        let chunk = Chunk {
            messages: Vec::new(),
            from: stream.offset(position),
            next: info.tail,
            is_at_tail: true,
            info,
        };
        let boundaries = stream.content_type.boundaries();
        let pieces = self.catalog.pieces(id, position, held_tail);
        Ok(View { id, position, boundaries, pieces, chunk })
    }

    /// Takes of a piece what is in memory. False: some of it is not.
    fn take_recent(
        &self,
        piece: Piece,
        position: &mut u64,
        take: &mut Take,
    ) -> Result<bool, OffsetProblem> {
        while *position < piece.to && !take.is_full {
            let Some(held) = self.held.get(&piece.stream) else { return Ok(false) };
            let frames = held.from(*position);
            if frames.is_empty() {
                return Ok(false);
            }
            for frame in frames {
                if frame.position >= piece.to || take.is_full {
                    break;
                }
                if frame.position > *position {
                    return Ok(false);
                }
                let Some(bytes) = self.recent.frame(frame) else { return Ok(false) };
                offer(&bytes, *frame, take.boundaries(), piece, take)?;
                *position = frame.end().min(piece.to);
            }
        }
        Ok(true)
    }

    fn finish(&self, view: View, take: Take) -> Result<Chunk, ReadError> {
        let stream = self.catalog.get(view.id).ok_or(Missing::Unknown)?;
        let next = stream.offset(view.position + taken(&take));
        let is_at_tail = next.position == view.chunk.next.position;
        Ok(Chunk { messages: take.taken, next, is_at_tail, ..view.chunk })
    }
}

fn taken(take: &Take) -> u64 {
    crate::stream::length(&take.taken)
}

/// The first of some frames, as many as have the bytes, and at least one.
fn enough(frames: &[FrameAt], piece: Piece, bytes_max: usize) -> Vec<FrameAt> {
    let end = piece.from.saturating_add(bytes_max as u64).min(piece.to);
    let mut next = None;
    let is_wanted = |frame: &&FrameAt| {
        let follows = next.is_none_or(|next| next == frame.position);
        next = Some(frame.end());
        follows && frame.position < end.max(piece.from + 1)
    };
    frames.iter().take_while(is_wanted).copied().collect()
}

/// Offers the messages of a frame.
fn offer(
    bytes: &Bytes,
    frame: FrameAt,
    boundaries: Boundaries,
    piece: Piece,
    take: &mut Take,
) -> Result<(), OffsetProblem> {
    let data = FRAME_HEADER + frame.meta_length as usize;
    let end = data + frame.data_length as usize;
    let mut start = frame.position;
    if boundaries == Boundaries::Bytes {
        return take.offer(piece, start, &bytes.slice(data..end));
    }
    let mut parts = Parts(&bytes[FRAME_HEADER..data]);
    if bytes[KIND_AT] == Kind::Create as u8 {
        let _stream = parts.create(u64::MAX);
    }
    let meta = parts.append(frame.data_length as usize).unwrap_or_default();
    let mut at = data;
    for length in meta.lengths {
        take.offer(piece, start, &bytes.slice(at..at + length))?;
        at += length;
        start += length as u64;
    }
    Ok(())
}

/// Where a frame's header says what it is.
const KIND_AT: usize = 48;

/// Whether these bytes are the frame that was looked for, as it was written.
fn is_frame(bytes: &Bytes, stream: u64, frame: FrameAt, salt: u64) -> bool {
    let header = bytes.first_chunk::<FRAME_HEADER>();
    let Some(header) = header.and_then(|header| FrameHeader::decode(header, salt)) else {
        return false;
    };
    header.stream == stream
        && FrameAt::new(frame.segment, frame.at, &header) == frame
        && checksum(salt, &bytes[FRAME_HEADER..][..header.body_length()]) == header.body_crc
}

fn corrupt(open: &Open, frame: FrameAt) -> StorageError {
    StorageError::new(StorageErrorKind::Corrupt, &open.path, Some(frame.at.into()))
}
