//! What is asked of a store.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::content_type::ContentType;
use crate::name::StreamName;
use crate::offset::Offset;

/// A stream that is to be.
#[derive(Debug, Clone, Default)]
pub struct CreateOrder {
    /// What its bytes are. `None`: for a fork what its source's are, else `application/octet-stream`.
    pub content_type: Option<ContentType>,
    /// How long it is kept. `None`: a fork has its source's, any other stream is kept until it is deleted or retention
    /// takes it.
    pub lifetime: Option<Lifetime>,
    /// Its first messages. Empty ones must have been left out.
    pub messages: Vec<Bytes>,
    /// Why it is closed from the beginning, or `None`: it is open.
    pub end: Option<EndReason>,
    /// What it begins with.
    pub fork: Option<ForkOrder>,
}

/// A stream begins with what another has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkOrder {
    /// The other stream.
    pub source: StreamName,
    /// Up to where; `None`: its tail.
    pub at: Option<Offset>,
    /// How much further: in messages for [`Boundaries::Messages`](crate::Boundaries), else in bytes.
    pub beyond: u64,
}

/// How long a stream is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until nobody has read from it or appended to it for so long, in whole seconds. A restart of the process begins the
    /// time anew.
    Ttl(Duration),
    /// Until then, whatever happens to it.
    ExpiresAt(Timestamp),
}

/// Why a stream has ended. It stands in the stream's last record, so that what is cut never looks whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The writer had nothing more to say.
    Complete,
    /// Somebody stopped it.
    Aborted,
    /// What it was copied from broke off.
    UpstreamError,
    /// It took too long.
    Timeout,
    /// The process that wrote it is gone.
    Restarted,
}

/// Which of its appends a writer sends, so that one which it sends twice counts once (Durable Streams 1.0, section 5.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerMark {
    /// The writer's name, at most [`ProducerMark::ID_BYTES_MAX`] bytes.
    pub id: String,
    /// How often it was started anew.
    pub epoch: u64,
    /// The append's number within the epoch, from 0.
    pub seq: u64,
}

/// When an append is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Once it survives a loss of power.
    #[default]
    Durable,
    /// At once. What was answered within the store's stated delay before a crash may be lost; a stream that lost
    /// something refuses the next append once ([`AppendError::Lost`](crate::AppendError)), so that there is never a gap.
    Relaxed,
}

/// What is to be added to a stream, as one: all of it, or nothing.
#[derive(Debug, Clone, Default)]
pub struct AppendOrder {
    /// In this order, none of them empty. There may be none if `end` is given.
    pub messages: Vec<Bytes>,
    /// Must match the stream's, unless there are no messages. `None`: the writer knows the stream.
    pub content_type: Option<ContentType>,
    /// Must be greater than the last one of the stream, compared byte by byte; at most [`AppendOrder::SEQ_BYTES_MAX`].
    pub stream_seq: Option<Bytes>,
    /// Which append of the writer it is.
    pub producer: Option<ProducerMark>,
    /// The stream ends with this append, and why. Such an append is durable in any case.
    pub end: Option<EndReason>,
    /// When it is answered.
    pub durability: Durability,
}

/// From where a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// From its first byte.
    Start,
    /// From behind its last byte: nothing is read now.
    Tail,
    /// From there.
    Offset(Offset),
}

/// How a stream is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It cannot be read any more; its bytes go when their place is needed. While forks live it is kept for them.
    Forget,
    /// Its bytes are gone from the files before this is answered.
    Erase,
}

impl EndReason {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Complete, Self::Aborted, Self::UpstreamError, Self::Timeout, Self::Restarted];

    /// The name in headers and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Aborted => "aborted",
            Self::UpstreamError => "upstream_error",
            Self::Timeout => "timeout",
            Self::Restarted => "restarted",
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

impl ProducerMark {
    /// As many bytes as a producer's name may have.
    pub const ID_BYTES_MAX: usize = 255;
    /// What JavaScript counts exactly.
    pub const NUMBER_MAX: u64 = (1 << 53) - 1;
}

impl AppendOrder {
    /// As many bytes as a `stream_seq` may have.
    pub const SEQ_BYTES_MAX: usize = 255;
}
