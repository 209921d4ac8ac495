//! Streams in memory alone: for tests, and where nothing is to be kept.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use outlast_runtime::random;

use crate::answer::{Appended, Chunk, Created, Info};
use crate::catalog::{Catalog, ForkPoint, Now, Numbers};
use crate::content_type::Boundaries;
use crate::error::{
    AppendError, CreateError, DeleteError, Limit, LimitKind, Missing, OffsetProblem, ReadError,
};
use crate::name::StreamName;
use crate::order::{AppendOrder, CreateOrder, Deletion, ForkOrder, ReadFrom};
use crate::store::{Limits, Store, Watch};
use crate::stream::{Addition, Stream, Verdict, length};
use crate::take::Take;

/// A [`Store`] whose streams are gone when it is dropped. "Durable" means here: until then. Deleted bytes are given back
/// at once, and not overwritten.
#[derive(Debug)]
pub struct Memory {
    limits: Limits,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    catalog: Catalog,
    /// The own messages of each stream, and where they begin.
    messages: HashMap<u64, Vec<(u64, Bytes)>>,
    bytes: u64,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        // An offset that a client kept from another process is to be known as foreign.
        let epoch = u32::from_le_bytes(random::bytes());
        let catalog = Catalog::new(Numbers::new(epoch));
        let inner = Inner { catalog, messages: HashMap::new(), bytes: 0 };
        Self { limits, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create_now(&self, name: &StreamName, order: CreateOrder) -> Result<Created, CreateError> {
        let (mut inner, now) = (self.lock(), Now::read());
        inner.forget_expired(name, now);
        if let Some(id) = inner.catalog.existing(name, &order)? {
            return Ok(Created::Existed(inner.touch(id, now)));
        }
        if let Some(fork) = &order.fork {
            inner.forget_expired(&fork.source, now);
        }
        let point = order.fork.as_ref().map(|fork| inner.fork_point(fork, now)).transpose()?;
        let added = length(&order.messages);
        inner.check_room(added, &self.limits)?;
        let stream = inner.catalog.plan(name, &order, point, &self.limits, now)?;
        let id = stream.id;
        inner.catalog.insert(stream);
        let first =
            AppendOrder { messages: order.messages, end: order.end, ..AppendOrder::default() };
        inner.add(id, &first, added, now);
        Ok(Created::New(inner.info(id)))
    }

    fn append_now(&self, name: &StreamName, order: &AppendOrder) -> Result<Appended, AppendError> {
        let (mut inner, now) = (self.lock(), Now::read());
        inner.forget_expired(name, now);
        let id = inner.catalog.find(name, now)?;
        inner.touch(id, now);
        if let Verdict::Duplicate(appended) = inner.stream(id).judge(order, &self.limits)? {
            return Ok(appended);
        }
        let added = length(&order.messages);
        inner.check_room(added, &self.limits)?;
        Ok(inner.add(id, order, added, now))
    }

    fn read_now(
        &self,
        name: &StreamName,
        from: ReadFrom,
        bytes_max: usize,
    ) -> Result<Chunk, ReadError> {
        let (mut inner, now) = (self.lock(), Now::read());
        inner.forget_expired(name, now);
        let id = inner.catalog.find(name, now)?;
        let info = inner.touch(id, now);
        let stream = inner.stream(id);
        let position = match from {
            ReadFrom::Start => 0,
            ReadFrom::Tail => stream.tail,
            ReadFrom::Offset(offset) => stream.position(offset, stream.tail)?,
        };
        let messages = inner.messages(id, position, bytes_max)?;
        let next = stream.offset(position + length(&messages));
        let is_at_tail = next == info.tail;
        Ok(Chunk { messages, from: stream.offset(position), next, is_at_tail, info })
    }

    fn delete_now(&self, name: &StreamName, deletion: Deletion) -> Result<(), DeleteError> {
        let (mut inner, now) = (self.lock(), Now::read());
        inner.forget_expired(name, now);
        let id = inner.catalog.find(name, now)?;
        let forks = inner.stream(id).forks;
        if deletion == Deletion::Erase && forks > 0 {
            return Err(DeleteError::HasForks { forks });
        }
        inner.forget(id);
        Ok(())
    }
}

impl Inner {
    fn stream(&self, id: u64) -> &Stream {
        self.catalog.get(id).expect("a stream that was found is there while the lock is held")
    }

    fn info(&self, id: u64) -> Info {
        let stream = self.stream(id);
        stream.info(stream.tail, stream.reason())
    }

    fn touch(&mut self, id: u64, now: Now) -> Info {
        if let Some(stream) = self.catalog.get_mut(id) {
            stream.touched = now.monotonic;
        }
        self.info(id)
    }

    fn forget_expired(&mut self, name: &StreamName, now: Now) {
        if let Some(id) = self.catalog.expired(name, now) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u64) {
        for gone in self.catalog.delete(id) {
            self.messages.remove(&gone.id);
            self.bytes -= gone.stored;
        }
        if let Some(kept) = self.catalog.get_mut(id) {
            kept.watchers = None;
        }
    }

    fn check_room(&mut self, added: u64, limits: &Limits) -> Result<(), Limit> {
        if self.bytes.saturating_add(added) > limits.bytes_max {
            for id in self.catalog.all_expired(Now::read()) {
                self.forget(id);
            }
        }
        match self.bytes.saturating_add(added) > limits.bytes_max {
            true => Err(Limit { what: LimitKind::StoreBytes, max: limits.bytes_max }),
            false => Ok(()),
        }
    }

    fn fork_point(&self, order: &ForkOrder, now: Now) -> Result<ForkPoint, CreateError> {
        let mut point = self.catalog.fork_anchor(order, now)?;
        let source = self.stream(point.source);
        point.position = match source.content_type.boundaries() {
            Boundaries::Bytes => point.position.checked_add(order.beyond),
            Boundaries::Messages => {
                let rest = self.messages(point.source, point.position, usize::MAX);
                let rest =
                    rest.map_err(|_| CreateError::ForkOffset(OffsetProblem::WithinMessage))?;
                let count = usize::try_from(order.beyond).ok();
                let skipped = count.and_then(|count| rest.get(..count));
                skipped.map(|skipped| point.position + length(skipped))
            }
        }
        .filter(|position| *position <= point.tail)
        .ok_or(CreateError::ForkBeyond)?;
        Ok(point)
    }

    fn add(&mut self, id: u64, order: &AppendOrder, added: u64, now: Now) -> Appended {
        let tenure = self.catalog.tenure(id);
        let stream = self.catalog.get_mut(id).expect("only streams that are there are added to");
        let mut position = stream.tail;
        let addition = Addition { length: added, stored: added, tenure, time: now.wall };
        let appended = stream.apply(order, addition);
        if let Some(watchers) = stream.watchers() {
            watchers.send_replace(());
        }
        self.bytes += added;
        let own = self.messages.entry(id).or_default();
        for message in &order.messages {
            own.push((position, message.clone()));
            position += message.len() as u64;
        }
        appended
    }

    /// What a stream has from a position on.
    fn messages(&self, id: u64, from: u64, bytes_max: usize) -> Result<Vec<Bytes>, OffsetProblem> {
        let stream = self.stream(id);
        let mut take = Take::new(stream.content_type.boundaries(), bytes_max);
        for piece in self.catalog.pieces(id, from, stream.tail) {
            let own = self.messages.get(&piece.stream).map(Vec::as_slice).unwrap_or_default();
            let is_before =
                |(start, message): &(u64, Bytes)| start + message.len() as u64 <= piece.from;
            for (start, message) in &own[own.partition_point(is_before)..] {
                if take.is_full || *start >= piece.to {
                    break;
                }
                take.offer(piece, *start, message)?;
            }
        }
        Ok(take.taken)
    }
}

impl Store for Memory {
    fn create<'a>(
        &'a self,
        name: &'a StreamName,
        order: CreateOrder,
    ) -> BoxFuture<'a, Result<Created, CreateError>> {
        ready(self.create_now(name, order)).boxed()
    }

    fn append<'a>(
        &'a self,
        name: &'a StreamName,
        order: AppendOrder,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        ready(self.append_now(name, &order)).boxed()
    }

    fn read<'a>(
        &'a self,
        name: &'a StreamName,
        from: ReadFrom,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Chunk, ReadError>> {
        ready(self.read_now(name, from, bytes_max)).boxed()
    }

    fn watch(&self, name: &StreamName) -> Result<Watch, Missing> {
        let mut inner = self.lock();
        let id = inner.catalog.find(name, Now::read())?;
        let stream = inner.catalog.get_mut(id).ok_or(Missing::Unknown)?;
        Ok(Watch::new(stream.subscribe()))
    }

    fn head(&self, name: &StreamName) -> Result<Info, Missing> {
        let inner = self.lock();
        Ok(inner.info(inner.catalog.find(name, Now::read())?))
    }

    fn delete<'a>(
        &'a self,
        name: &'a StreamName,
        deletion: Deletion,
    ) -> BoxFuture<'a, Result<(), DeleteError>> {
        ready(self.delete_now(name, deletion)).boxed()
    }

    fn list(&self, after: Option<&StreamName>, count_max: usize) -> Vec<Info> {
        let info = |stream: &Stream| Some(stream.info(stream.tail, stream.reason()));
        self.lock().catalog.list(after, count_max, Now::read(), info)
    }
}
