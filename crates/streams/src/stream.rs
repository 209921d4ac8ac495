//! What one stream is, and what may be added to it. Pure: it knows neither files nor locks.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use outlast_runtime::clock::Instant;
use tokio::sync::watch;

use crate::answer::{Appended, Freshness, Info, ProducerState};
use crate::content_type::ContentType;
use crate::error::{AppendError, Limit, LimitKind, OffsetProblem};
use crate::name::StreamName;
use crate::offset::Offset;
use crate::order::{AppendOrder, EndReason, Lifetime, ProducerMark};
use crate::store::Limits;

/// All of a stream but its bytes.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: u64,
    pub(crate) name: StreamName,
    pub(crate) content_type: ContentType,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) created_at: Timestamp,
    pub(crate) fork: Option<Fork>,
    /// Who wrote from where on, ascending by both; never empty.
    pub(crate) tenures: Vec<Tenure>,
    /// The tenure of this process, once it has one.
    pub(crate) own_tenure: Option<u64>,
    pub(crate) tail: u64,
    /// Bytes that its own data takes where it is kept.
    pub(crate) stored: u64,
    pub(crate) end: Option<End>,
    pub(crate) producers: BTreeMap<Box<str>, ProducerState>,
    pub(crate) stream_seq: Option<Bytes>,
    /// How many forks begin with it.
    pub(crate) forks: u32,
    /// Deleted, and kept for its forks.
    pub(crate) is_deleted: bool,
    /// When it was last read or appended to.
    pub(crate) touched: Instant,
    /// When it was last appended to.
    pub(crate) written_at: Timestamp,
    pub(crate) watchers: Option<watch::Sender<()>>,
}

/// From where on a writer has written under a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenure {
    pub(crate) number: u64,
    pub(crate) start: u64,
}

/// What a stream begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fork {
    pub(crate) source: u64,
    /// The stream's bytes before it are the source's.
    pub(crate) position: u64,
    /// As it was ordered, so that the same order is known again.
    pub(crate) asked: Option<Offset>,
    pub(crate) beyond: u64,
    pub(crate) source_name: StreamName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) reason: EndReason,
    /// The append that closed it.
    pub(crate) by: Option<ProducerMark>,
}

/// What an append takes, and when and under which number it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addition {
    /// Bytes of its messages.
    pub(crate) length: u64,
    /// Bytes that it takes where it is kept.
    pub(crate) stored: u64,
    /// The number of who writes it.
    pub(crate) tenure: u64,
    pub(crate) time: Timestamp,
}

/// What an append changes of a stream, as it was before.
#[derive(Debug)]
pub(crate) struct Before {
    tail: u64,
    pub(crate) stored: u64,
    tenures: usize,
    own_tenure: Option<u64>,
    written_at: Timestamp,
    producer: Option<(Box<str>, Option<ProducerState>)>,
    stream_seq: Option<Bytes>,
}

/// What is to become of an append that is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// To be added.
    Fresh,
    /// To be answered so.
    Duplicate(Appended),
}

impl Stream {
    /// The offset of a position up to the tail.
    pub(crate) fn offset(&self, position: u64) -> Offset {
        let before = |tenure: &&Tenure| tenure.start < position;
        let tenure = self.tenures.iter().rev().find(before).unwrap_or(&self.tenures[0]);
        Offset { tenure: tenure.number, position }
    }

    /// The position of an offset, unless it is none of this stream, of which `tail` is to be seen.
    pub(crate) fn position(&self, offset: Offset, tail: u64) -> Result<u64, OffsetProblem> {
        if offset == Offset::START {
            return Ok(0);
        }
        if offset.position > tail {
            let is_own = self.tenures.last().is_some_and(|last| last.number == offset.tenure);
            return Err(match is_own {
                true => OffsetProblem::BeyondTail,
                false => OffsetProblem::Foreign,
            });
        }
        match self.offset(offset.position) == offset {
            true => Ok(offset.position),
            false => Err(OffsetProblem::Foreign),
        }
    }

    pub(crate) fn reason(&self) -> Option<EndReason> {
        self.end.as_ref().map(|end| end.reason)
    }

    /// What is known of it when `tail` is to be seen, and its end only then.
    pub(crate) fn info(&self, tail: u64, end: Option<EndReason>) -> Info {
        Info {
            name: self.name.clone(),
            id: self.id,
            content_type: self.content_type.clone(),
            lifetime: self.lifetime,
            start: self.offset(0),
            tail: self.offset(tail),
            end,
            created_at: self.created_at,
        }
    }

    pub(crate) fn has_expired(&self, now: Instant, wall_now: Timestamp) -> bool {
        match self.lifetime {
            None => false,
            Some(Lifetime::Ttl(ttl)) => now.saturating_duration_since(self.touched) >= ttl,
            Some(Lifetime::ExpiresAt(at)) => wall_now >= at,
        }
    }

    /// How to wake those who wait, if anybody does; else the means are forgotten.
    pub(crate) fn watchers(&mut self) -> Option<&watch::Sender<()>> {
        if self.watchers.as_ref().is_some_and(|watchers| watchers.receiver_count() == 0) {
            self.watchers = None;
        }
        self.watchers.as_ref()
    }

    pub(crate) fn subscribe(&mut self) -> watch::Receiver<()> {
        self.watchers.get_or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// Whether an append is in order. The checks and their order are those of [`Store::append`](crate::Store::append).
    pub(crate) fn judge(
        &self,
        order: &AppendOrder,
        limits: &Limits,
    ) -> Result<Verdict, AppendError> {
        check_sizes(order, limits)?;
        if let Some(end) = &self.end {
            return self.judge_closed(order, end);
        }
        let differs = |other: &ContentType| !self.content_type.matches(other);
        if !order.messages.is_empty() && order.content_type.as_ref().is_some_and(differs) {
            return Err(AppendError::ContentType);
        }
        if order.messages.iter().any(Bytes::is_empty)
            || (order.messages.is_empty() && order.end.is_none())
        {
            return Err(AppendError::Empty);
        }
        if let Some(mark) = &order.producer
            && let Some(state) = self.judge_producer(mark, limits)?
        {
            return Ok(Verdict::Duplicate(self.unchanged(Some(state))));
        }
        match (&self.stream_seq, &order.stream_seq) {
            (Some(last), Some(new)) if new <= last => Err(AppendError::Sequence),
            _ => Ok(Verdict::Fresh),
        }
    }

    /// What an append that was judged fresh is going to change.
    pub(crate) fn before(&self, order: &AppendOrder) -> Before {
        let producer = order.producer.as_ref().map(|mark| mark.id.as_str());
        Before {
            tail: self.tail,
            stored: self.stored,
            tenures: self.tenures.len(),
            own_tenure: self.own_tenure,
            written_at: self.written_at,
            producer: producer.map(|id| (id.into(), self.producers.get(id).copied())),
            stream_seq: self.stream_seq.clone(),
        }
    }

    /// The last append never happened.
    pub(crate) fn undo(&mut self, before: Before) {
        self.tail = before.tail;
        self.stored = before.stored;
        self.tenures.truncate(before.tenures);
        self.own_tenure = before.own_tenure;
        self.written_at = before.written_at;
        self.stream_seq = before.stream_seq;
        // Only open streams are appended to.
        self.end = None;
        match before.producer {
            Some((id, Some(state))) => drop(self.producers.insert(id, state)),
            Some((id, None)) => drop(self.producers.remove(&id)),
            None => {}
        }
    }

    fn judge_closed(&self, order: &AppendOrder, end: &End) -> Result<Verdict, AppendError> {
        match &order.producer {
            Some(mark) if end.by.as_ref() == Some(mark) => {
                let state = ProducerState { epoch: mark.epoch, seq: mark.seq };
                Ok(Verdict::Duplicate(self.unchanged(Some(state))))
            }
            None if order.messages.is_empty() && order.end.is_some() => {
                Ok(Verdict::Duplicate(self.unchanged(None)))
            }
            _ => Err(AppendError::Closed { reason: end.reason, tail: self.offset(self.tail) }),
        }
    }

    /// What the stream has of the producer if it has this append, `None` if the append is the next one.
    fn judge_producer(
        &self,
        mark: &ProducerMark,
        limits: &Limits,
    ) -> Result<Option<ProducerState>, AppendError> {
        let Some(state) = self.producers.get(mark.id.as_str()).copied() else {
            if mark.seq != 0 {
                return Err(AppendError::Gap { expected: 0, received: mark.seq });
            }
            if self.producers.len() >= limits.producers_max {
                return Err(limit(LimitKind::Producers, limits.producers_max).into());
            }
            return Ok(None);
        };
        if mark.epoch < state.epoch {
            return Err(AppendError::StaleEpoch { current: state.epoch });
        }
        if mark.epoch > state.epoch {
            return if mark.seq == 0 { Ok(None) } else { Err(AppendError::EpochStart) };
        }
        let expected = state.seq + 1;
        match mark.seq {
            seq if seq < expected => Ok(Some(state)),
            seq if seq == expected => Ok(None),
            received => Err(AppendError::Gap { expected, received }),
        }
    }

    fn unchanged(&self, producer: Option<ProducerState>) -> Appended {
        Appended {
            tail: self.offset(self.tail),
            end: self.reason(),
            freshness: Freshness::Duplicate,
            producer,
        }
    }

    /// Adds what was judged fresh.
    pub(crate) fn apply(&mut self, order: &AppendOrder, addition: Addition) -> Appended {
        let Addition { length, stored, tenure, time } = addition;
        if length > 0 {
            if self.tenures.last().is_none_or(|last| last.number != tenure) {
                self.tenures.push(Tenure { number: tenure, start: self.tail });
            }
            self.own_tenure = Some(tenure);
        }
        self.tail += length;
        self.stored += stored;
        self.written_at = time;
        let mark = order.producer.as_ref();
        let producer = mark.map(|mark| ProducerState { epoch: mark.epoch, seq: mark.seq });
        if let (Some(mark), Some(state)) = (mark, producer) {
            match self.producers.get_mut(mark.id.as_str()) {
                Some(known) => *known = state,
                None => drop(self.producers.insert(mark.id.as_str().into(), state)),
            }
        }
        if let Some(seq) = &order.stream_seq {
            self.stream_seq = Some(seq.clone());
        }
        if let Some(reason) = order.end {
            self.end = Some(End { reason, by: order.producer.clone() });
        }
        Appended {
            tail: self.offset(self.tail),
            end: self.reason(),
            freshness: Freshness::Fresh,
            producer,
        }
    }
}

/// The bytes of all messages.
pub(crate) fn length(messages: &[Bytes]) -> u64 {
    messages.iter().map(|message| message.len() as u64).sum()
}

fn limit(what: LimitKind, max: usize) -> Limit {
    Limit { what, max: max as u64 }
}

/// Whether the messages of a new stream are ones that could be appended.
pub(crate) fn check_messages(messages: &[Bytes], limits: &Limits) -> Result<(), Limit> {
    match length(messages) > limits.append_bytes_max as u64 {
        true => Err(limit(LimitKind::AppendBytes, limits.append_bytes_max)),
        false => Ok(()),
    }
}

fn check_sizes(order: &AppendOrder, limits: &Limits) -> Result<(), Limit> {
    check_messages(&order.messages, limits)?;
    if let Some(mark) = &order.producer {
        if mark.id.len() > ProducerMark::ID_BYTES_MAX {
            return Err(limit(LimitKind::ProducerIdBytes, ProducerMark::ID_BYTES_MAX));
        }
        if mark.epoch.max(mark.seq) > ProducerMark::NUMBER_MAX {
            let max = ProducerMark::NUMBER_MAX;
            return Err(Limit { what: LimitKind::ProducerNumber, max });
        }
    }
    match order.stream_seq.as_ref().is_some_and(|seq| seq.len() > AppendOrder::SEQ_BYTES_MAX) {
        true => Err(limit(LimitKind::SequenceBytes, AppendOrder::SEQ_BYTES_MAX)),
        false => Ok(()),
    }
}
