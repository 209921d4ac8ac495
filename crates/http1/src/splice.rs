//! Bulk from socket to socket through a pipe, within the kernel (splice(2)): no byte of it is copied to us and back.
//!
//! That halves the CPU of a large body, and would cost a small one more than it saves: the pump asks for a pipe once
//! its reads are as large as they become. Where there is none, everything is copied as before.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::scratch::SCRATCH_BYTES;

/// A pipe holds at most so many bytes for a receiver that does not read: as much as is held of what is copied.
const PIPE_BYTES: usize = SCRATCH_BYTES;
/// So many pipes at once per thread, of two descriptors each. Further bodies are copied.
const PIPES_MAX: usize = 64;
/// Less is left of the body: the copy costs less than the pipe.
const LEFT_MIN: u64 = 4 * SCRATCH_BYTES as u64;

/// Less at a time is copied as cheaply.
const WORTH_BYTES: usize = 64 * 1024;
/// When the system refuses a pipe, so many bodies are copied before it is asked again.
const REFUSED_SKIPS: u32 = 256;

thread_local! {
    static PIPES: Cell<usize> = const { Cell::new(0) };
    static REFUSED: Cell<u32> = const { Cell::new(0) };
}

/// A pipe, and how much is in it.
#[derive(Debug)]
pub(crate) struct Conduit {
    read: OwnedFd,
    write: OwnedFd,
    filled: usize,
    /// So many bytes may still be taken in.
    left: u64,
    /// The last time, so many were taken in.
    last: usize,
}

impl Conduit {
    /// The pipe for a body of which so many bytes may pass unseen: the one there is, or a new one. None where it would not
    /// pay, or there is none left.
    pub(crate) fn open_for(current: Option<Box<Self>>, left: u64) -> Option<Box<Self>> {
        if let Some(mut current) = current.filter(|_| left > 0) {
            current.left = left;
            return Some(current);
        }
        if left < LEFT_MIN || PIPES.get() >= PIPES_MAX {
            return None;
        }
        if REFUSED.get() > 0 {
            REFUSED.set(REFUSED.get() - 1);
            return None;
        }
        let Ok((read, write)) = pipe() else {
            REFUSED.set(REFUSED_SKIPS);
            return None;
        };
        PIPES.set(PIPES.get() + 1);
        Some(Box::new(Self { read, write, filled: 0, left, last: PIPE_BYTES }))
    }

    /// How much is in it.
    pub(crate) fn filled(&self) -> usize {
        self.filled
    }

    /// Whether it carries so much at a time that copying would cost more.
    pub(crate) fn is_worth_its_pipe(&self) -> bool {
        self.last >= WORTH_BYTES
    }

    /// Whether everything that was taken in has been passed on.
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Takes in some bytes and says how many; 0 is end-of-file. Only into an empty pipe: so that having to wait always
    /// means waiting for the source.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(self.is_empty());
        let length = usize::try_from(self.left).map_or(PIPE_BYTES, |left| left.min(PIPE_BYTES));
        loop {
            ready!(source.poll_read_ready(cx))?;
            let moved = source.try_io(Interest::READABLE, || {
                Ok(splice(source, None, &self.write, None, length, FLAGS)?)
            });
            match moved {
                Err(error) if is_transient(&error) => {}
                Ok(count) => {
                    self.filled = count;
                    self.last = count;
                    return Poll::Ready(Ok(count));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Passes some bytes on, and says how many.
    pub(crate) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        destination: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(!self.is_empty());
        loop {
            ready!(destination.poll_write_ready(cx))?;
            let moved = destination.try_io(Interest::WRITABLE, || {
                Ok(splice(&self.read, None, destination, None, self.filled, FLAGS)?)
            });
            match moved {
                Err(error) if is_transient(&error) => {}
                Ok(count) => {
                    self.filled -= count;
                    return Poll::Ready(Ok(count));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

fn pipe() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // Beyond its share of the system's pipes a user gets small ones, which would cost more calls than copying.
    fcntl_setpipe_size(&write, PIPE_BYTES)?;
    Ok((read, write))
}

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Drop for Conduit {
    fn drop(&mut self) {
        PIPES.set(PIPES.get() - 1);
    }
}

/// How many pipes this thread has open.
#[cfg(test)]
pub(crate) fn open_count() -> usize {
    PIPES.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_so_many_pipes_and_no_more() {
        assert!(Conduit::open_for(None, LEFT_MIN - 1).is_none());
        let open: Vec<_> =
            std::iter::from_fn(|| Conduit::open_for(None, LEFT_MIN)).take(PIPES_MAX + 1).collect();
        assert_eq!((open.len(), open_count()), (PIPES_MAX, PIPES_MAX));
        drop(open);
        assert_eq!(open_count(), 0);
        let current = Conduit::open_for(None, u64::MAX);
        assert!(Conduit::open_for(current, 1).is_some(), "what is left of bulk is bulk");
    }
}
