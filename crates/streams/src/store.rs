//! The trait.

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::answer::{Appended, Chunk, Created, Info};
use crate::error::{AppendError, CreateError, DeleteError, Missing, ReadError};
use crate::name::StreamName;
use crate::order::{AppendOrder, CreateOrder, Deletion, ReadFrom};

/// Where streams are kept.
///
/// Each call is one atomic step: others see all of it or nothing, after a crash too, and calls for one stream happen one
/// after the other. What is **durable** when a call is answered survives a loss of power: all that `create` and `delete` did,
/// and appends that are [`Durable`](crate::Durability) or close the stream. A store that keeps streams in memory alone
/// says so; there, nothing survives its end.
///
/// Readers see only what is durable, or never see it taken back: the byte behind an offset never changes.
///
/// A stream past its [`Lifetime`](crate::Lifetime) is not there, to the moment. `read`, `create` on a stream that exists, and
/// `append`, also one that is a duplicate or only closes, begin its time to live anew; `head`, `watch` and `list` do not.
///
/// # Cancel safety
/// Dropping the future of a call stops only the waiting: a step that has begun is done. `read` changes nothing but the
/// time to live.
pub trait Store: std::fmt::Debug + Send + Sync + 'static {
    /// Creates a stream with its first messages, possibly closed at once. Durable when answered. A stream that is there
    /// already and matches the order is no error: see [`Created`].
    ///
    /// # Errors
    /// It was not created, and why. Nothing has changed.
    fn create<'a>(
        &'a self,
        name: &'a StreamName,
        order: CreateOrder,
    ) -> BoxFuture<'a, Result<Created, CreateError>>;

    /// Appends messages, closes the stream, or both in one. What is checked comes in this order: whether the stream is there;
    /// whether it is the very append of its producer that closed it (a duplicate); whether it is closed (to only close it
    /// again, without a producer, is a duplicate too); the content type; the producer; `stream_seq`; whether a relaxed append was lost; limits.
    ///
    /// # Errors
    /// Nothing was appended, and why.
    fn append<'a>(
        &'a self,
        name: &'a StreamName,
        order: AppendOrder,
    ) -> BoxFuture<'a, Result<Appended, AppendError>>;

    /// Reads at most `bytes_max` bytes, but at least one message or one byte, if there is one. All of the answer is of one moment.
    ///
    /// # Errors
    /// Nothing was read, and why.
    fn read<'a>(
        &'a self,
        name: &'a StreamName,
        from: ReadFrom,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Chunk, ReadError>>;

    /// Tells of changes of a stream from now on. To miss none, first watch, then read, then wait. Costs no task.
    ///
    /// # Errors
    /// There is no stream.
    fn watch(&self, name: &StreamName) -> Result<Watch, Missing>;

    /// What is known of a stream.
    ///
    /// # Errors
    /// There is no stream.
    fn head(&self, name: &StreamName) -> Result<Info, Missing>;

    /// Deletes a stream. Durable when answered. Its watchers are woken. A stream that has living forks is kept for them and its name stays
    /// taken; it goes with the last of them.
    ///
    /// # Errors
    /// It was not deleted, and why.
    fn delete<'a>(
        &'a self,
        name: &'a StreamName,
        deletion: Deletion,
    ) -> BoxFuture<'a, Result<(), DeleteError>>;

    /// At most `count_max` streams, in the order of their names, the first behind `after`. Deleted ones are left out.
    fn list(&self, after: Option<&StreamName>, count_max: usize) -> Vec<Info>;
}

/// How much a store takes. Beyond it nothing is lost: creating and appending are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Streams, those included that are kept for their forks. Default 100,000: about 100 MB of memory.
    pub streams_max: usize,
    /// Bytes of all streams. Default 10 GiB.
    pub bytes_max: u64,
    /// Bytes of one append. Default 8 MiB.
    pub append_bytes_max: usize,
    /// Producers of one stream. Default 256.
    pub producers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams_max: 100_000,
            bytes_max: 10 << 30,
            append_bytes_max: 8 << 20,
            producers_max: 256,
        }
    }
}

/// Wakes when a stream changes.
#[derive(Debug)]
pub struct Watch(watch::Receiver<()>);

/// What became of a watched stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There is more to read, or it has ended: read it.
    Moved,
    /// It is deleted or has expired.
    Gone,
}

impl Watch {
    pub(crate) fn new(receiver: watch::Receiver<()>) -> Self {
        Self(receiver)
    }

    /// Waits until the stream has changed since it was watched, or since the last time that this returned. Many changes may be told as
    /// one, and now and then nothing has.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Change {
        match self.0.changed().await {
            Ok(()) => Change::Moved,
            Err(_sender_gone) => Change::Gone,
        }
    }
}
