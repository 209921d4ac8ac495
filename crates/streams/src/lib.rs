//! Durable streams: bytes that are appended, kept, and read from any offset by any number of readers, while they grow and
//! after.
//!
//! A [`Store`] keeps streams, and [`http`] speaks of them with the world. The store does not know HTTP, nor who may read; names
//! are checked ([`StreamName`]), never trusted. [`Segments`] keeps them in files, [`Memory`] in memory. What is promised is in
//! `docs/streams.md`.

mod answer;
mod catalog;
mod content_type;
mod error;
pub mod http;
mod memory;
mod name;
mod offset;
mod order;
pub mod segments;
mod store;
mod stream;
mod take;

pub use answer::{Appended, Chunk, Created, Freshness, Info, ProducerState};
pub use content_type::{Boundaries, ContentType, InvalidContentType};
pub use error::{
    AppendError, CreateError, DeleteError, Limit, LimitKind, Missing, OffsetProblem, ReadError,
    StorageError, StorageErrorKind,
};
pub use memory::Memory;
pub use name::{InvalidName, StreamName};
pub use offset::{InvalidOffset, Offset};
pub use order::{
    AppendOrder, CreateOrder, Deletion, Durability, EndReason, ForkOrder, Lifetime, ProducerMark,
    ReadFrom,
};
pub use segments::{Recovery, Segments, Settings};
pub use store::{Change, Limits, Store, Watch};
