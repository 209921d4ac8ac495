//! One large buffer per thread, lent for the length of one poll.

use std::cell::Cell;

/// 256 KiB: bulk transfers then cost a third of the system calls of a 16 KiB buffer, and one buffer per thread
/// costs less than a byte per stream.
pub(crate) const SCRATCH_BYTES: usize = 256 * 1024;

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends this thread's buffer to `work`. A nested call gets a buffer of its own, so that nothing is shared.
pub(crate) fn with<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = SCRATCH.take().unwrap_or_else(|| vec![0; SCRATCH_BYTES].into_boxed_slice());
    let result = work(&mut buffer);
    SCRATCH.set(Some(buffer));
    result
}
