//! What a store answers.

use bytes::Bytes;
use jiff::Timestamp;

use crate::content_type::ContentType;
use crate::name::StreamName;
use crate::offset::Offset;
use crate::order::{EndReason, Lifetime};

/// What is known of a stream without reading it. As of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its name.
    pub name: StreamName,
    /// A number that no other stream of the store has or had, not even one of the same name.
    pub id: u64,
    /// What its bytes are.
    pub content_type: ContentType,
    /// How long it is kept.
    pub lifetime: Option<Lifetime>,
    /// Where it begins.
    pub start: Offset,
    /// Behind its last byte.
    pub tail: Offset,
    /// Why it has ended, or `None`: it is open.
    pub end: Option<EndReason>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What became of a [`CreateOrder`](crate::CreateOrder).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// The stream is new.
    New(Info),
    /// There is such a stream already. Nothing was changed, and the messages of the order were not looked at.
    Existed(Info),
}

/// What became of an [`AppendOrder`](crate::AppendOrder).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Behind the stream's last byte.
    pub tail: Offset,
    /// Why the stream has ended, or `None`: it is open.
    pub end: Option<EndReason>,
    /// Whether something was added.
    pub freshness: Freshness,
    /// The last append that the stream has of the producer, if the order named one.
    pub producer: Option<ProducerState>,
}

/// Whether an append was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It was added.
    Fresh,
    /// The stream has it already, or was to be closed and is: nothing was changed.
    Duplicate,
}

/// How far a producer has come in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    /// Its greatest epoch.
    pub epoch: u64,
    /// The greatest number within that.
    pub seq: u64,
}

/// What was read, and how the stream was at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// For [`Boundaries::Messages`](crate::Boundaries) whole messages as they were appended; else pieces to be joined.
    /// Empty at the tail.
    pub messages: Vec<Bytes>,
    /// Where the first of them begins.
    pub from: Offset,
    /// Behind the last of them.
    pub next: Offset,
    /// Whether `next` was the tail.
    pub is_at_tail: bool,
    /// The stream. Its `end` tells of its end even if `next` is before that.
    pub info: Info,
}

impl Chunk {
    /// Why there will be nothing behind this chunk, or `None`: there is more, or may come.
    #[must_use]
    pub fn end(&self) -> Option<EndReason> {
        self.info.end.filter(|_reason| self.is_at_tail)
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(Bytes::len).sum()
    }
}
