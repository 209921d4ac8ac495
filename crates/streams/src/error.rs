//! Why a store refuses.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::offset::Offset;
use crate::order::EndReason;

/// There is no stream to be had at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Missing {
    /// There is none: never was, is deleted, or has expired.
    #[error("no such stream")]
    Unknown,
    /// It is deleted, and kept only for the forks that begin with it.
    #[error("the stream is deleted; forks of it live")]
    Deleted,
}

/// A stream was not created. Nothing was changed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// One of the first messages has no bytes.
    #[error("there is a message without bytes")]
    Empty,
    /// There is another one with this name: content type, lifetime, being closed, or what it is a fork of differs.
    #[error("a stream of this name exists and differs in its {0}")]
    Differs(&'static str),
    /// A deleted stream of this name is kept for its forks.
    #[error("a deleted stream of this name is kept for its forks")]
    Blocked,
    /// There is no stream to fork.
    #[error("the stream to be forked is not there")]
    SourceUnknown,
    /// The stream to be forked is deleted.
    #[error("the stream to be forked is deleted")]
    SourceDeleted,
    /// The fork's content type is another than its source's.
    #[error("a fork has the content type of its source")]
    SourceContentType,
    /// No fork can begin there.
    #[error("the fork's offset: {0}")]
    ForkOffset(#[source] OffsetProblem),
    /// The source has not so much behind the fork's offset.
    #[error("the fork's sub-offset is beyond the tail of its source")]
    ForkBeyond,
    /// Something is too large or too many.
    #[error(transparent)]
    Limit(#[from] Limit),
    /// The store could not keep it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Nothing was appended.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no stream.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The stream has ended.
    #[error("the stream is closed ({reason})", reason = reason.name())]
    Closed {
        /// Why.
        reason: EndReason,
        /// Where.
        tail: Offset,
    },
    /// The stream has another content type.
    #[error("the stream has another content type")]
    ContentType,
    /// There is no message and no end, or a message without bytes.
    #[error("there is nothing to append")]
    Empty,
    /// A greater epoch of the producer has been seen.
    #[error("the producer's epoch is over; it is {current} now")]
    StaleEpoch {
        /// The greatest seen.
        current: u64,
    },
    /// An epoch begins with number 0.
    #[error("a producer's new epoch begins with number 0")]
    EpochStart,
    /// Appends of the producer are missing.
    #[error("the producer's append {expected} is missing before {received}")]
    Gap {
        /// The number that would be next.
        expected: u64,
        /// The number that came.
        received: u64,
    },
    /// The `stream_seq` is not greater than the last one.
    #[error("the sequence is not greater than the stream's last one")]
    Sequence,
    /// Relaxed appends to this stream were answered and could not be kept. Told once; the next append goes on from `tail`.
    #[error(
        "appends that were answered before they were durable are lost; the stream ends earlier"
    )]
    Lost {
        /// Where the stream ends in truth.
        tail: Offset,
    },
    /// Something is too large or too many.
    #[error(transparent)]
    Limit(#[from] Limit),
    /// The store could not keep it. After a restart of the process it may be found to have been kept after all; a producer
    /// that sends it again is safe.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Nothing can be read.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no stream.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The offset is none of the stream.
    #[error(transparent)]
    Offset(#[from] OffsetProblem),
    /// The store could not read it. Other streams, and other parts of this one, can be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A stream was not deleted.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DeleteError {
    /// There is no stream.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// Its bytes are those of forks, too. Erase them first.
    #[error("{forks} forks begin with the stream's bytes; erase them first")]
    HasForks {
        /// How many.
        forks: u32,
    },
    /// The store could not do it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an offset is none of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OffsetProblem {
    /// It is behind the tail.
    #[error("the offset is beyond the stream's tail")]
    BeyondTail,
    /// It is within a message.
    #[error("the offset is no boundary of messages")]
    WithinMessage,
    /// It is of another stream: of an earlier one with this name, or of bytes that a crash has lost.
    #[error("the offset is of another stream, or of bytes that were lost before they were durable")]
    Foreign,
}

/// Something is too large or too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too much: {what} would exceed {max}")]
pub struct Limit {
    /// What.
    pub what: LimitKind,
    /// How much is allowed.
    pub max: u64,
}

/// What there may be too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitKind {
    /// The bytes of one append.
    AppendBytes,
    /// The streams of the store.
    Streams,
    /// The bytes of all streams.
    StoreBytes,
    /// The producers of one stream.
    Producers,
    /// The bytes of a producer's name.
    ProducerIdBytes,
    /// A producer's epoch or number.
    ProducerNumber,
    /// The bytes of a `stream_seq`.
    SequenceBytes,
}

impl std::fmt::Display for LimitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AppendBytes => "the bytes of one append",
            Self::Streams => "the streams of the store",
            Self::StoreBytes => "the bytes of all streams",
            Self::Producers => "the producers of the stream",
            Self::ProducerIdBytes => "the bytes of the producer's id",
            Self::ProducerNumber => "the producer's epoch or number",
            Self::SequenceBytes => "the bytes of the sequence",
        })
    }
}

/// A store could not read or write. Clones share it: one failed write fails all appends that it was for.
#[derive(Debug, Clone, Error)]
#[error("{}", .0.text())]
pub struct StorageError(Arc<Failure>);

#[derive(Debug)]
struct Failure {
    kind: StorageErrorKind,
    path: PathBuf,
    position: Option<u64>,
    source: Option<io::Error>,
}

/// What is wrong with the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// There is no room. Appends go on once there is.
    DiskFull,
    /// Nothing may be written there.
    ReadOnly,
    /// What was read is not what was written.
    Corrupt,
    /// It was written by another version of this program.
    OtherVersion,
    /// The store is being shut.
    Stopped,
    /// Anything else that the operating system says.
    Io,
}

impl StorageError {
    /// Of a file, at a place in it.
    #[must_use]
    pub fn new(kind: StorageErrorKind, path: &Path, position: Option<u64>) -> Self {
        Self(Arc::new(Failure { kind, path: path.to_owned(), position, source: None }))
    }

    /// What the operating system says of a file.
    #[must_use]
    pub fn io(path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => StorageErrorKind::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                StorageErrorKind::ReadOnly
            }
            _ => StorageErrorKind::Io,
        };
        let failure = Failure { kind, path: path.to_owned(), position: None, source: Some(source) };
        Self(Arc::new(failure))
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> StorageErrorKind {
        self.0.kind
    }

    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The place in the file, in bytes, if it is known.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.0.position
    }
}

impl Failure {
    fn text(&self) -> String {
        let path = self.path.display();
        let what = match self.kind {
            StorageErrorKind::DiskFull => {
                format!("no room for the streams in {path}: free some, appends then go on")
            }
            StorageErrorKind::ReadOnly => {
                format!("{path} may not be written: mount it writable, or check its owner and mode")
            }
            StorageErrorKind::Corrupt => {
                let position = self.position.unwrap_or_default();
                format!("{path} is corrupt at byte {position}: these bytes of the stream are lost")
            }
            StorageErrorKind::OtherVersion => {
                format!(
                    "{path} has another version of the format: open it with the program that wrote it"
                )
            }
            StorageErrorKind::Stopped => format!("the store in {path} is being shut"),
            StorageErrorKind::Io => format!("the streams in {path} cannot be read or written"),
        };
        match &self.source {
            Some(source) => format!("{what} ({source})"),
            None => what,
        }
    }
}
