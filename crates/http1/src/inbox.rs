//! Bytes a client has sent before they could be used: a head in pieces, a body that waits for a place, the next
//! request.

use std::io;
use std::task::{Context, Poll, ready};

use crate::head::{HeadError, is};
use crate::request::{Request, Untrusted};
use crate::scratch;
use crate::transport::Transport;

/// The most bytes kept for a client that sends ahead; then its connection is not read (the kernel's window fills).
pub const INBOX_MAX: usize = 64 * 1024;

/// What a client sent ahead. Empty, and without memory, between heads and while a stream runs.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Whether `bytes` may hold a complete head that nobody has looked for.
    unexamined: bool,
}

/// The result of waiting for a request head.
#[derive(Debug)]
pub enum ReadHead {
    /// A request; what followed its head is in the inbox.
    Request(Box<Request>),
    /// The client closed between two requests: nothing is lost.
    Closed,
    /// The client closed or broke off within a head.
    Truncated,
    /// The head is refused; nothing more of this connection can be understood.
    Refused(HeadError),
}

impl Inbox {
    /// Whether a client has begun to send something that is not used yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads until a request head is complete.
    ///
    /// Cancel safety: what has been read stays in the inbox.
    pub fn poll_request<T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut T,
        untrusted: Untrusted,
    ) -> Poll<ReadHead> {
        if std::mem::take(&mut self.unexamined)
            && let Some(result) = self.parse(untrusted)
        {
            return Poll::Ready(result);
        }
        loop {
            let result = scratch::with(|buf| {
                let read = match ready!(client.poll_read(cx, buf)) {
                    Ok(0) | Err(_) if self.bytes.is_empty() => {
                        return Poll::Ready(Some(ReadHead::Closed));
                    }
                    Ok(0) | Err(_) => return Poll::Ready(Some(ReadHead::Truncated)),
                    Ok(read) => read,
                };
                Poll::Ready(self.take(&buf[..read], untrusted))
            });
            if let Some(result) = ready!(result) {
                return Poll::Ready(result);
            }
        }
    }

    /// Waits for the client to go away; what it sends meanwhile is kept, up to [`INBOX_MAX`].
    ///
    /// `Ready(None)` is end-of-file, which after a complete request means gone (a closed tab and a half-close look
    /// the same).
    pub fn poll_gone<T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut T,
    ) -> Poll<Option<io::Error>> {
        loop {
            let room = INBOX_MAX.saturating_sub(self.bytes.len());
            if room == 0 {
                return Poll::Pending;
            }
            let read = scratch::with(|buf| {
                let limit = room.min(buf.len());
                let read = ready!(client.poll_read(cx, &mut buf[..limit]))?;
                self.bytes.extend_from_slice(&buf[..read]);
                Poll::Ready(Ok(read))
            });
            match ready!(read) {
                Ok(0) => return Poll::Ready(None),
                Ok(_) => self.unexamined = true,
                Err(error) => return Poll::Ready(Some(error)),
            }
        }
    }

    /// Takes everything out.
    pub(crate) fn drain(&mut self) -> Vec<u8> {
        self.unexamined = false;
        std::mem::take(&mut self.bytes)
    }

    /// Keeps what belongs to the next request.
    pub(crate) fn put_back(&mut self, bytes: &[u8]) {
        self.unexamined = !bytes.is_empty();
        self.bytes = bytes.to_vec();
    }

    /// Looks at new bytes without copying them if they are a whole head.
    fn take(&mut self, new: &[u8], untrusted: Untrusted) -> Option<ReadHead> {
        if !self.bytes.is_empty() {
            self.bytes.extend_from_slice(new);
            return self.parse(untrusted);
        }
        match Request::parse(new, untrusted) {
            Ok(Some((request, length))) => {
                self.put_back(&new[length..]);
                Some(ReadHead::Request(Box::new(request)))
            }
            Ok(None) => {
                self.bytes.extend_from_slice(new);
                None
            }
            Err(error) => Some(ReadHead::Refused(error)),
        }
    }

    fn parse(&mut self, untrusted: Untrusted) -> Option<ReadHead> {
        match Request::parse(&self.bytes, untrusted) {
            Ok(Some((request, length))) => {
                let rest = self.bytes.split_off(length);
                self.put_back(&rest);
                Some(ReadHead::Request(Box::new(request)))
            }
            Ok(None) => None,
            Err(error) => Some(ReadHead::Refused(error)),
        }
    }
}

/// Whether a field may not be claimed by a client that nobody vouches for.
#[must_use]
pub fn is_forwarding_claim(name: &str) -> bool {
    let has_prefix = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| is(start, prefix));
    has_prefix("fly-")
        || has_prefix("x-forwarded-")
        || is(name, "forwarded")
        || is(name, "x-real-ip")
}
