//! What the relay moves bytes over.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

/// Whether a peer is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It may send and be sent to.
    Here,
    /// It has ended its sending direction; what it sent before may still be unread.
    Finished,
    /// The connection is dead: it was reset.
    Gone,
    /// The connection is dead: the kernel has given it up, because the peer answered nothing any more.
    Vanished,
}

/// A bidirectional byte stream: TCP today, TLS and HTTP/2 streams later, a simulated pipe in tests.
///
/// All methods follow the conventions of tokio's `AsyncRead` and `AsyncWrite`: `Pending` has registered the
/// waker of `cx` for that direction.
pub trait Transport: Send + Unpin {
    /// Reads some bytes. `Ready(Ok(0))` is end-of-file.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes some bytes and says how many.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Ends the sending direction after everything written has been handed over (FIN for TCP).
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Makes the coming drop an abortive one (RST for TCP), so that the peer cannot take what it has got for a
    /// complete message (RFC 9112 section 8: only the close delimits some bodies). It holds for the end of the process too,
    /// however that ends.
    fn abort_on_drop(&mut self);

    /// Makes the coming drop an orderly close again: everything was said.
    fn close_on_drop(&mut self);

    /// How far the peer has gone, as far as that is known without reading what it sent: for whoever does not read now.
    fn presence(&self) -> Presence;

    /// The socket, where its bytes are the transport's bytes: then bulk may pass without being seen. TLS and simulated
    /// pipes have none.
    fn socket(&self) -> Option<&TcpStream>;
}

impl Transport for TcpStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        poll_read(self, cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(cx, bytes)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_shutdown(cx)
    }

    fn abort_on_drop(&mut self) {
        // It fails only on a socket that is dead already, which is as visible to the peer.
        self.set_zero_linger().ok();
    }

    fn close_on_drop(&mut self) {
        // As above.
        SockRef::from(&*self).set_linger(None).ok();
    }

    fn presence(&self) -> Presence {
        let mut fds = [PollFd::new(self, PollFlags::RDHUP)];
        // An error of poll(2) itself says nothing about the peer.
        let events = match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(_) => fds[0].revents(),
            Err(_) => PollFlags::empty(),
        };
        // HUP would also be a connection that is closed in order both ways, from which something is still to be read.
        if events.contains(PollFlags::ERR) {
            // Taken, and not to be had a second time: nobody looks twice at a dead connection.
            let error = SockRef::from(self).take_error();
            match error {
                Ok(Some(error)) if is_of_vanished(&error) => Presence::Vanished,
                _ => Presence::Gone,
            }
        } else if events.contains(PollFlags::RDHUP) {
            Presence::Finished
        } else {
            Presence::Here
        }
    }

    fn socket(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

/// Whether an established connection failed because its peer answered nothing any more: keepalive or retransmissions have run
/// out, and a router may have said why.
#[must_use]
pub fn is_of_vanished(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// The simulated pipe has no abortive close: tests over it look at outcomes, tests over TCP at resets.
impl Transport for DuplexStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        poll_read(self, cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(cx, bytes)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_shutdown(cx)
    }

    fn abort_on_drop(&mut self) {}

    fn close_on_drop(&mut self) {}

    fn presence(&self) -> Presence {
        Presence::Here
    }

    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

// tokio's `poll_read` clears the readiness after a short read, so that a chunk costs one `recv` and not two.
fn poll_read<R: AsyncRead + Unpin>(
    reader: &mut R,
    cx: &mut Context<'_>,
    buf: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut read_buf = ReadBuf::new(buf);
    ready!(Pin::new(reader).poll_read(cx, &mut read_buf))?;
    Poll::Ready(Ok(read_buf.filled().len()))
}
