//! Which streams there are. Pure: it knows neither files nor locks.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use jiff::Timestamp;
use outlast_runtime::clock::{self, Instant};

use crate::answer::Info;
use crate::content_type::ContentType;
use crate::error::{CreateError, Limit, LimitKind, Missing};
use crate::name::StreamName;
use crate::order::{CreateOrder, ForkOrder};
use crate::store::Limits;
use crate::stream::{Fork, Stream, Tenure, check_messages};

/// All streams by name and number. A stream that is deleted and kept for its forks keeps its name.
#[derive(Debug)]
pub(crate) struct Catalog {
    names: HashMap<StreamName, u64>,
    streams: HashMap<u64, Stream>,
    numbers: Numbers,
}

/// Where numbers of streams and tenures come from: greater ones each time, and none twice.
#[derive(Debug)]
pub(crate) struct Numbers {
    epoch: u32,
    last: u32,
}

/// The two clocks, read at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) monotonic: Instant,
    /// Decides about [`Lifetime::ExpiresAt`](crate::Lifetime::ExpiresAt) alone, which is a time of the wall clock by its nature.
    pub(crate) wall: Timestamp,
}

/// Where a fork leaves its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ForkPoint {
    pub(crate) source: u64,
    pub(crate) position: u64,
    /// Of the source. Nothing of a fork is behind it.
    pub(crate) tail: u64,
}

/// Some bytes of a stream that are another's, or its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) stream: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Numbers {
    /// Those of an epoch, which is a number that no other process of the store has or had.
    pub(crate) fn new(epoch: u32) -> Self {
        Self { epoch, last: 0 }
    }

    /// Four billions per process.
    pub(crate) fn next(&mut self) -> u64 {
        self.last = self.last.checked_add(1).expect("no process creates four billion streams");
        u64::from(self.epoch) << 32 | u64::from(self.last)
    }
}

impl Now {
    pub(crate) fn read() -> Self {
        Self { monotonic: clock::now(), wall: clock::wall_now() }
    }
}

impl Catalog {
    pub(crate) fn new(numbers: Numbers) -> Self {
        Self { names: HashMap::new(), streams: HashMap::new(), numbers }
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Stream> {
        self.streams.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Stream> {
        self.streams.get_mut(&id)
    }

    /// The number of the stream with this name.
    pub(crate) fn find(&self, name: &StreamName, now: Now) -> Result<u64, Missing> {
        let id = *self.names.get(name).ok_or(Missing::Unknown)?;
        let stream = &self.streams[&id];
        if stream.is_deleted {
            return Err(Missing::Deleted);
        }
        match stream.has_expired(now.monotonic, now.wall) {
            // To be deleted as soon as somebody may change the catalog; to all others it is already.
            true if stream.forks > 0 => Err(Missing::Deleted),
            true => Err(Missing::Unknown),
            false => Ok(id),
        }
    }

    /// The stream with this name if its time is over, which is to be deleted.
    pub(crate) fn expired(&self, name: &StreamName, now: Now) -> Option<u64> {
        let id = *self.names.get(name)?;
        let stream = &self.streams[&id];
        (!stream.is_deleted && stream.has_expired(now.monotonic, now.wall)).then_some(id)
    }

    /// All of those.
    pub(crate) fn all_expired(&self, now: Now) -> Vec<u64> {
        let expired =
            |stream: &&Stream| !stream.is_deleted && stream.has_expired(now.monotonic, now.wall);
        self.streams.values().filter(expired).map(|stream| stream.id).collect()
    }

    /// Streams to which nothing was appended since.
    pub(crate) fn written_before(&self, time: Timestamp) -> Vec<u64> {
        let old = |stream: &&Stream| !stream.is_deleted && stream.written_at < time;
        self.streams.values().filter(old).map(|stream| stream.id).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Streams that are closed and have no forks, the one that was written the longest ago first.
    pub(crate) fn closed_by_age(&self) -> Vec<u64> {
        let is_closed =
            |stream: &&Stream| stream.end.is_some() && stream.forks == 0 && !stream.is_deleted;
        let mut closed: Vec<_> = self.streams.values().filter(is_closed).collect();
        closed.sort_unstable_by_key(|stream| (stream.written_at, stream.id));
        closed.into_iter().map(|stream| stream.id).collect()
    }

    /// Whether a stream of this name is there: `None`, or what it is if the order matches it.
    pub(crate) fn existing(
        &self,
        name: &StreamName,
        order: &CreateOrder,
    ) -> Result<Option<u64>, CreateError> {
        let Some(id) = self.names.get(name) else { return Ok(None) };
        let stream = &self.streams[id];
        if stream.is_deleted {
            return Err(CreateError::Blocked);
        }
        match difference(stream, order) {
            Some(what) => Err(CreateError::Differs(what)),
            None => Ok(Some(*id)),
        }
    }

    /// Where a fork begins, not counting how far [`ForkOrder::beyond`] goes.
    pub(crate) fn fork_anchor(
        &self,
        order: &ForkOrder,
        now: Now,
    ) -> Result<ForkPoint, CreateError> {
        let source = self.find(&order.source, now).map_err(|missing| match missing {
            Missing::Unknown => CreateError::SourceUnknown,
            Missing::Deleted => CreateError::SourceDeleted,
        })?;
        let stream = &self.streams[&source];
        let position = match order.at {
            None => stream.tail,
            Some(offset) => {
                stream.position(offset, stream.tail).map_err(CreateError::ForkOffset)?
            }
        };
        Ok(ForkPoint { source, position, tail: stream.tail })
    }

    /// What is to be created of an order at a name that is free. `point` is where a fork begins.
    pub(crate) fn plan(
        &mut self,
        name: &StreamName,
        order: &CreateOrder,
        point: Option<ForkPoint>,
        limits: &Limits,
        now: Now,
    ) -> Result<Stream, CreateError> {
        let source = point.map(|point| self.streams.get(&point.source).filter(|s| !s.is_deleted));
        let source = source.map(|source| source.ok_or(CreateError::SourceDeleted)).transpose()?;
        if let (Some(source), Some(own)) = (source, &order.content_type)
            && !own.matches(&source.content_type)
        {
            return Err(CreateError::SourceContentType);
        }
        check_messages(&order.messages, limits)?;
        if order.messages.iter().any(Bytes::is_empty) {
            return Err(CreateError::Empty);
        }
        if self.streams.len() >= limits.streams_max {
            let max = limits.streams_max as u64;
            return Err(Limit { what: LimitKind::Streams, max }.into());
        }
        let id = self.numbers.next();
        let own = Tenure { number: id, start: 0 };
        let tenures = match (source, point) {
            (Some(source), Some(point)) => {
                let is_before =
                    |tenure: &&Tenure| tenure.start == 0 || tenure.start < point.position;
                source.tenures.iter().filter(is_before).copied().collect()
            }
            _ => vec![own],
        };
        let inherited = source.map(|source| source.content_type.clone());
        Ok(Stream {
            id,
            name: name.clone(),
            content_type: order
                .content_type
                .clone()
                .or(inherited)
                .unwrap_or_else(ContentType::bytes),
            lifetime: order.lifetime.or_else(|| source.and_then(|source| source.lifetime)),
            created_at: now.wall,
            fork: order.fork.as_ref().zip(point).map(|(asked, point)| Fork {
                source: point.source,
                position: point.position,
                asked: asked.at,
                beyond: asked.beyond,
                source_name: asked.source.clone(),
            }),
            tenures,
            own_tenure: source.is_none().then_some(id),
            tail: point.map_or(0, |point| point.position),
            stored: 0,
            end: None,
            producers: BTreeMap::new(),
            stream_seq: None,
            forks: 0,
            is_deleted: false,
            touched: now.monotonic,
            written_at: now.wall,
            watchers: None,
        })
    }

    /// A number for the appends of this process to a stream.
    pub(crate) fn tenure(&mut self, id: u64) -> u64 {
        let own = self.streams.get(&id).and_then(|stream| stream.own_tenure);
        own.unwrap_or_else(|| self.numbers.next())
    }

    /// The same for the first messages of a stream that is not there yet.
    pub(crate) fn tenure_of_new(&mut self, stream: &Stream) -> u64 {
        stream.own_tenure.unwrap_or_else(|| self.numbers.next())
    }

    /// A stream is there from now on.
    pub(crate) fn insert(&mut self, stream: Stream) {
        if let Some(source) = stream.fork.as_ref().and_then(|f| self.streams.get_mut(&f.source)) {
            source.forks += 1;
        }
        self.names.insert(stream.name.clone(), stream.id);
        self.streams.insert(stream.id, stream);
    }

    /// A stream is deleted: it is kept if it has forks, else it goes, and with it its source if that is kept for it
    /// alone. Tells which ones went.
    pub(crate) fn delete(&mut self, id: u64) -> Vec<Stream> {
        let mut gone = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next.take() {
            let Some(stream) = self.streams.get_mut(&id) else { break };
            stream.is_deleted = true;
            if stream.forks > 0 {
                break;
            }
            let stream = self.streams.remove(&id).expect("it was there a moment ago");
            // A stream that is being loaded may have taken the name already.
            if self.names.get(&stream.name) == Some(&id) {
                self.names.remove(&stream.name);
            }
            let source = stream.fork.as_ref().map(|fork| fork.source);
            gone.push(stream);
            if let Some(source) = source.and_then(|source| self.streams.get_mut(&source)) {
                source.forks -= 1;
                next = source.is_deleted.then_some(source.id);
            }
        }
        gone
    }

    /// A deletion never happened.
    pub(crate) fn restore(&mut self, root: u64, gone: Vec<Stream>) {
        // Those that went last are sources of those before.
        gone.into_iter().rev().for_each(|stream| self.insert(stream));
        if let Some(root) = self.streams.get_mut(&root) {
            root.is_deleted = false;
        }
    }

    /// A stream never was. Nothing has forked it.
    pub(crate) fn uncreate(&mut self, id: u64) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        self.names.remove(&stream.name);
        if let Some(source) = stream.fork.as_ref().and_then(|f| self.streams.get_mut(&f.source)) {
            source.forks -= 1;
        }
        Some(stream)
    }

    /// Whose bytes those of a stream are, in order.
    pub(crate) fn pieces(&self, id: u64, from: u64, to: u64) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut next = Some((id, to));
        while let Some((stream, to)) = next.take() {
            let fork = self.streams.get(&stream).and_then(|stream| stream.fork.as_ref());
            let start = fork.map_or(0, |fork| fork.position);
            if to > start.max(from) {
                pieces.push(Piece { stream, from: from.max(start), to });
            }
            next = fork.filter(|_| from < start).map(|fork| (fork.source, to.min(start)));
        }
        pieces.reverse();
        pieces
    }

    /// The streams that are not deleted and not over, by name.
    pub(crate) fn list(
        &self,
        after: Option<&StreamName>,
        count_max: usize,
        now: Now,
        info: impl Fn(&Stream) -> Option<Info>,
    ) -> Vec<Info> {
        let is_there = |stream: &&Stream| {
            !stream.is_deleted
                && !stream.has_expired(now.monotonic, now.wall)
                && after.is_none_or(|after| stream.name > *after)
        };
        let mut streams: Vec<_> = self.streams.values().filter(is_there).collect();
        streams.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        streams.into_iter().filter_map(info).take(count_max).collect()
    }
}

/// In what a stream differs from an order, if it does.
fn difference(stream: &Stream, order: &CreateOrder) -> Option<&'static str> {
    let own = stream.fork.as_ref();
    let is_same_fork = match (own, &order.fork) {
        (None, None) => true,
        (Some(own), Some(asked)) => {
            own.source_name == asked.source && own.asked == asked.at && own.beyond == asked.beyond
        }
        _ => false,
    };
    let is_inherited = own.is_some();
    let default = ContentType::bytes();
    let content_type = order.content_type.as_ref();
    let is_same_type = match content_type {
        None if is_inherited => true,
        content_type => content_type.unwrap_or(&default).matches(&stream.content_type),
    };
    let is_same_lifetime = match order.lifetime {
        None if is_inherited => true,
        lifetime => lifetime == stream.lifetime,
    };
    match () {
        () if !is_same_fork => Some("source or fork offset"),
        () if !is_same_type => Some("content type"),
        () if !is_same_lifetime => Some("lifetime"),
        () if stream.end.is_some() != order.end.is_some() => Some("being closed"),
        () => None,
    }
}
