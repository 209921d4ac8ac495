//! What is known of all streams, and what is about to be written. Behind one lock; no file is touched here.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::batch::{Batch, BytesGo, Done, Draft, Promise, Step};
use super::format::{Kind, SegmentId};
use super::meta::{put_append, put_create};
use super::place::FrameAt;
use super::recent::Recent;
use crate::answer::{Appended, Info};
use crate::catalog::{Catalog, ForkPoint, Now};
use crate::error::{
    AppendError, CreateError, DeleteError, Limit, LimitKind, Missing, StorageError,
};
use crate::name::StreamName;
use crate::order::{AppendOrder, CreateOrder, Deletion, Durability};
use crate::store::Limits;
use crate::stream::{Addition, Stream, Verdict, length};

#[derive(Debug)]
pub(super) struct Core {
    /// With all that was accepted, also what is not durable yet.
    pub(super) catalog: Catalog,
    /// What of each stream is durable and thus to be seen.
    pub(super) held: HashMap<u64, Held>,
    pub(super) batch: Batch,
    /// What is being written.
    pub(super) in_flight: Option<Arc<Done>>,
    pub(super) recent: Recent,
    /// The frames of streams that are being erased.
    pub(super) erasing: HashMap<u64, Vec<FrameAt>>,
    /// The numbers of those and of all that were.
    pub(super) erased: BTreeSet<u64>,
    /// Bytes that the frames of all streams take.
    pub(super) stored: u64,
    pub(super) is_stopping: bool,
    pub(super) limits: Limits,
    pub(super) salt: u64,
}

/// What of a stream is durable.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Whether its creation is.
    exists: bool,
    pub(super) tail: u64,
    has_ended: bool,
    /// Appends were promised to be kept and could not be.
    is_wounded: bool,
    /// Those that the index does not have, by position.
    pub(super) frames: Vec<FrameAt>,
}

/// An answer, and what has to be durable before it is given.
#[derive(Debug)]
pub(super) struct Pending<T> {
    pub(super) answer: T,
    pub(super) done: Option<Arc<Done>>,
}

/// What there is to be room for.
#[derive(Debug, Clone, Copy)]
struct Needed {
    streams: usize,
    bytes: u64,
}

/// What is to become of an order to create.
#[derive(Debug)]
pub(super) enum Creation {
    Existed(Pending<Info>),
    New(Pending<Info>),
}

impl Core {
    /// A stream that the index has: all of it is durable.
    pub(super) fn load(&mut self, stream: Stream) {
        self.stored += stream.stored;
        let held = Held {
            exists: true,
            tail: stream.tail,
            has_ended: stream.end.is_some(),
            ..Held::default()
        };
        self.held.insert(stream.id, held);
        self.catalog.insert(stream);
    }

    /// The number of a stream that readers may see.
    pub(super) fn find(&self, name: &StreamName, now: Now) -> Result<u64, Missing> {
        let id = self.catalog.find(name, now)?;
        match self.held.get(&id).is_some_and(|held| held.exists) {
            true => Ok(id),
            false => Err(Missing::Unknown),
        }
    }

    /// What readers may see of a stream.
    pub(super) fn info(&self, stream: &Stream) -> Option<Info> {
        let held = self.held.get(&stream.id).filter(|held| held.exists)?;
        let end = stream.reason().filter(|_| held.has_ended);
        Some(stream.info(held.tail, end))
    }

    /// Everything that was accepted, so far.
    pub(super) fn pending(&self) -> Option<Arc<Done>> {
        match self.batch.is_empty() {
            false => Some(Arc::clone(&self.batch.done)),
            true => self.in_flight.clone(),
        }
    }

    pub(super) fn create(
        &mut self,
        name: &StreamName,
        order: CreateOrder,
        point: Option<ForkPoint>,
        now: Now,
    ) -> Result<Creation, CreateError> {
        if let Some(existed) = self.existing(name, &order, now)? {
            return Ok(Creation::Existed(existed));
        }
        let needed = Needed { streams: 1, bytes: length(&order.messages) };
        self.make_room(needed, point.map(|point| point.source), now)?;
        let stream = self.catalog.plan(name, &order, point, &self.limits, now)?;
        let (id, position, tenure) = (stream.id, stream.tail, self.catalog.tenure_of_new(&stream));
        let first =
            AppendOrder { messages: order.messages, end: order.end, ..AppendOrder::default() };
        let draft = Draft {
            kind: Kind::Create,
            flags: 0,
            stream: id,
            position,
            tenure,
            time_ms: now.wall.as_millisecond(),
        };
        let put_meta = |out: &mut Vec<u8>| {
            put_create(out, &stream);
            put_append(out, &first);
        };
        let frame = self.batch.put(self.salt, draft, put_meta, &first.messages);
        self.catalog.insert(stream);
        self.held.insert(id, Held::default());
        let addition = Addition {
            length: frame.header.data_length.into(),
            stored: frame.header.length() as u64,
            tenure,
            time: now.wall,
        };
        self.stored += addition.stored;
        let stream = self.catalog.get_mut(id).expect("it was put there a moment ago");
        stream.apply(&first, addition);
        let info = stream.info(stream.tail, stream.reason());
        self.batch.steps.push(Step::Created { stream: id, frame, end: first.end });
        self.batch.is_urgent = true;
        Ok(Creation::New(Pending { answer: info, done: Some(Arc::clone(&self.batch.done)) }))
    }

    /// A stream that is there and matches the order.
    pub(super) fn existing(
        &mut self,
        name: &StreamName,
        order: &CreateOrder,
        now: Now,
    ) -> Result<Option<Pending<Info>>, CreateError> {
        self.forget_expired(name, now);
        if let Some(fork) = &order.fork {
            self.forget_expired(&fork.source, now);
        }
        let Some(id) = self.catalog.existing(name, order)? else { return Ok(None) };
        let done = self.pending_urgently();
        let stream = self.catalog.get_mut(id).expect("it was found a moment ago");
        stream.touched = now.monotonic;
        let info = stream.info(stream.tail, stream.reason());
        Ok(Some(Pending { answer: info, done }))
    }

    pub(super) fn append(
        &mut self,
        name: &StreamName,
        order: &AppendOrder,
        now: Now,
    ) -> Result<Pending<Appended>, AppendError> {
        self.forget_expired(name, now);
        let id = self.catalog.find(name, now)?;
        let stream = self.catalog.get_mut(id).expect("it was found a moment ago");
        stream.touched = now.monotonic;
        if let Verdict::Duplicate(answer) = stream.judge(order, &self.limits)? {
            // What it is a duplicate of may not be durable yet.
            return Ok(Pending { answer, done: self.pending_urgently() });
        }
        let held = self.held.get_mut(&id).expect("what is in the catalog is held");
        if std::mem::take(&mut held.is_wounded) {
            return Err(AppendError::Lost { tail: stream.offset(stream.tail) });
        }
        self.make_room(Needed { streams: 0, bytes: length(&order.messages) }, None, now)?;
        let tenure = self.catalog.tenure(id);
        let stream = self.catalog.get_mut(id).ok_or(Missing::Unknown)?;
        let draft = Draft {
            kind: Kind::Append,
            flags: 0,
            stream: id,
            position: stream.tail,
            tenure,
            time_ms: now.wall.as_millisecond(),
        };
        let put_meta = |out: &mut Vec<u8>| put_append(out, order);
        let frame = self.batch.put(self.salt, draft, put_meta, &order.messages);
        let before = stream.before(order);
        let addition = Addition {
            length: frame.header.data_length.into(),
            stored: frame.header.length() as u64,
            tenure,
            time: now.wall,
        };
        self.stored += addition.stored;
        let answer = stream.apply(order, addition);
        let is_relaxed = order.durability == Durability::Relaxed && order.end.is_none();
        let promise = if is_relaxed { Promise::Kept } else { Promise::None };
        self.batch.steps.push(Step::Appended {
            stream: id,
            frame,
            end: order.end,
            undo: Box::new((before, promise)),
        });
        self.batch.is_urgent |= !is_relaxed;
        let done = (!is_relaxed).then(|| Arc::clone(&self.batch.done));
        Ok(Pending { answer, done })
    }

    pub(super) fn delete(
        &mut self,
        name: &StreamName,
        deletion: Deletion,
        now: Now,
    ) -> Result<Pending<u64>, DeleteError> {
        self.forget_expired(name, now);
        let id = self.catalog.find(name, now)?;
        let forks = self.catalog.get(id).map_or(0, |stream| stream.forks);
        let bytes = match deletion {
            Deletion::Forget => BytesGo::Later,
            Deletion::Erase if forks > 0 => return Err(DeleteError::HasForks { forks }),
            Deletion::Erase => BytesGo::Now,
        };
        self.forget(id, bytes, now);
        self.batch.is_urgent = true;
        Ok(Pending { answer: id, done: Some(Arc::clone(&self.batch.done)) })
    }

    pub(super) fn pending_urgently(&mut self) -> Option<Arc<Done>> {
        self.batch.is_urgent |= !self.batch.is_empty();
        self.pending()
    }

    fn forget_expired(&mut self, name: &StreamName, now: Now) {
        if let Some(id) = self.catalog.expired(name, now) {
            self.forget(id, BytesGo::Later, now);
        }
    }

    /// Deletes a stream, and those that were kept for it alone.
    pub(super) fn forget(&mut self, root: u64, bytes: BytesGo, now: Now) {
        let gone = self.catalog.delete(root);
        self.stored -= gone.iter().map(|stream| stream.stored).sum::<u64>();
        if gone.is_empty() {
            self.note(Kind::Delete, root, now);
        }
        for stream in &gone {
            self.note(Kind::Gone, stream.id, now);
        }
        if bytes == BytesGo::Now {
            self.erased.insert(root);
        }
        self.batch.steps.push(Step::Deleted { root, gone, bytes });
    }

    /// Writes down what became of a stream.
    pub(super) fn note(&mut self, kind: Kind, stream: u64, now: Now) {
        let time_ms = now.wall.as_millisecond();
        let draft = Draft { kind, flags: 0, stream, position: 0, tenure: 0, time_ms };
        self.batch.put(self.salt, draft, |_| {}, &[]);
    }

    /// Deletes the closed streams that were written the longest ago, but not `kept`, if there are too many streams or bytes.
    fn make_room(&mut self, needed: Needed, kept: Option<u64>, now: Now) -> Result<(), Limit> {
        let Limits { bytes_max, streams_max, .. } = self.limits;
        let has_bytes = |core: &Self| core.stored.saturating_add(needed.bytes) <= bytes_max;
        let has_room =
            |core: &Self| has_bytes(core) && core.catalog.len() + needed.streams <= streams_max;
        if !has_room(self) {
            for id in self.catalog.closed_by_age() {
                if has_room(self) {
                    break;
                }
                if Some(id) != kept {
                    self.forget(id, BytesGo::Later, now);
                }
            }
        }
        // That there are too many streams is found when one is planned.
        match has_bytes(self) {
            true => Ok(()),
            false => Err(Limit { what: LimitKind::StoreBytes, max: bytes_max }),
        }
    }

    /// A batch is durable, at a place in a segment. Tells whom to wake.
    pub(super) fn commit(
        &mut self,
        batch: Batch,
        segment: SegmentId,
        base: u64,
    ) -> Vec<watch::Sender<()>> {
        let mut woken = Vec::new();
        self.recent.push(segment, base, Bytes::from(batch.bytes));
        for step in batch.steps {
            match step {
                Step::Created { stream, frame, end }
                | Step::Appended { stream, frame, end, .. } => {
                    let Some(held) = self.held.get_mut(&stream) else { continue };
                    held.add(frame.settle(segment, base));
                    held.has_ended |= end.is_some();
                    let stream = self.catalog.get_mut(stream);
                    woken.extend(stream.and_then(|stream| stream.watchers().cloned()));
                }
                Step::Moved { stream, frame } => {
                    if let Some(held) = self.held.get_mut(&stream) {
                        held.insert(frame.settle(segment, base));
                    }
                }
                Step::Deleted { root, gone, bytes } => {
                    if let Some(kept) = self.catalog.get_mut(root) {
                        kept.watchers = None;
                    }
                    for stream in gone {
                        let held = self.held.remove(&stream.id).unwrap_or_default();
                        if bytes == BytesGo::Now && stream.id == root {
                            self.erasing.insert(root, held.frames);
                        }
                    }
                }
            }
        }
        woken
    }

    /// A batch could not be written: it and all that was accepted since never happened.
    pub(super) fn roll_back(&mut self, failed: Batch, error: &StorageError) {
        let next = std::mem::take(&mut self.batch);
        let mut wounded = Vec::new();
        let steps = failed.steps.into_iter().chain(next.steps);
        for step in steps.collect::<Vec<_>>().into_iter().rev() {
            match step {
                Step::Created { stream, .. } => {
                    self.held.remove(&stream);
                    let undone = self.catalog.uncreate(stream);
                    self.stored -= undone.map_or(0, |stream| stream.stored);
                }
                Step::Appended { stream, undo, .. } => {
                    let (before, promise) = *undo;
                    let Some(stream) = self.catalog.get_mut(stream) else { continue };
                    self.stored -= stream.stored - before.stored;
                    stream.undo(before);
                    if promise == Promise::Kept {
                        wounded.push(stream.id);
                    }
                }
                Step::Deleted { root, gone, .. } => {
                    self.stored += gone.iter().map(|stream| stream.stored).sum::<u64>();
                    self.catalog.restore(root, gone);
                    self.erased.remove(&root);
                }
                Step::Moved { .. } => {}
            }
        }
        for id in wounded {
            if let Some(held) = self.held.get_mut(&id) {
                held.is_wounded = true;
            }
        }
        // Nobody else sets them.
        let _first = next.done.set(Err(error.clone()));
        let _first = failed.done.set(Err(error.clone()));
    }

    /// Frames that the index has now.
    pub(super) fn forget_frames(&mut self, segment: SegmentId) {
        for held in self.held.values_mut() {
            held.frames.retain(|frame| frame.segment != segment);
            held.frames.shrink_to(4);
        }
    }
}

impl Held {
    /// Adds the next frame.
    fn add(&mut self, frame: FrameAt) {
        self.exists = true;
        self.tail = frame.end();
        self.frames.push(frame);
    }

    /// Adds a copy of a frame that may be anywhere before the tail.
    fn insert(&mut self, frame: FrameAt) {
        let place = |frame: &FrameAt| (frame.position, frame.end());
        let at = self.frames.partition_point(|other| place(other) < place(&frame));
        self.frames.insert(at, frame);
    }

    /// The frames from a position on, if the index is not needed for the first of them.
    pub(super) fn from(&self, position: u64) -> &[FrameAt] {
        let first = self.frames.partition_point(|frame| frame.end() <= position);
        let frames = &self.frames[first..];
        match frames.first().is_some_and(|frame| frame.position <= position) {
            true => frames,
            false => &[],
        }
    }
}
