//! Bytes a client has sent before they could be used: a head in pieces, a body that waits for a place, the next
//! request.

use std::io;
use std::task::{Context, Poll, ready};

use crate::body::{Body, BodyError};
use crate::head::HeadError;
use crate::request::{Request, Untrusted};
use crate::scratch;
use crate::transport::Transport;

/// The most bytes kept for a client that sends ahead; then its connection is not read (the kernel's window fills).
pub const INBOX_MAX: usize = 64 * 1024;
/// So many empty lines before a request are nothing yet. RFC 9112 section 2.2 asks for one at least.
const EMPTY_LINES_MAX: usize = 8;

/// What a client sent ahead. Empty, and without memory, between heads and while a stream runs.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Whether `bytes` may hold a complete head that nobody has looked for.
    unexamined: bool,
    half_close: HalfClose,
    /// Whether end-of-file has come, and is kept.
    is_finished: bool,
}

/// What end-of-file from a client means after a complete request. A closed tab and a half-close look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HalfClose {
    /// It has gone.
    #[default]
    Gone,
    /// It has said everything and still listens. Only a reset means gone, and what is written to who has closed is answered by one.
    Keep,
}

/// Follows a body that is gathered in the inbox before any of it is passed on.
#[derive(Debug)]
pub struct Gather {
    body: Body,
    seen: usize,
    enough: usize,
}

/// Why a body is not gathered.
#[derive(Debug)]
pub enum GatherError {
    /// The client closed or broke off within its request.
    Gone(Option<io::Error>),
    /// What it sent is not a body.
    Body(BodyError),
}

impl Gather {
    /// Gathers the whole body, or `enough` bytes of it (chunk sizes included, at most [`INBOX_MAX`]).
    #[must_use]
    pub fn new(body: &Body, enough: usize) -> Self {
        Self { body: body.clone(), seen: 0, enough: enough.min(INBOX_MAX) }
    }

    /// Whether the whole body is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.body.is_ended()
    }
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

    /// Whether so much waits that the client is not read: it could go away unnoticed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= INBOX_MAX
    }

    /// Says what end-of-file means from now on.
    pub fn set_half_close(&mut self, half_close: HalfClose) {
        self.half_close = half_close;
    }

    /// What end-of-file means.
    #[must_use]
    pub fn half_close(&self) -> HalfClose {
        self.half_close
    }

    /// Whether the client has said everything and is kept: it is not read any more, so that its reset has to be looked for.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Whether a client has begun a request head: empty lines, which some send after a body, are none
    /// (RFC 9112 section 2.2), and half an empty line is none either.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        let mut rest = self.bytes.as_slice();
        for _ in 0..EMPTY_LINES_MAX {
            rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        }
        !matches!(rest, [] | [b'\r'])
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
                let room = INBOX_MAX - self.bytes.len();
                let read = match ready!(client.poll_read(cx, &mut buf[..room])) {
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
    /// `Ready(None)` is end-of-file, where that means gone after a complete request. Where it does not, nothing more is read.
    pub fn poll_gone<T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut T,
    ) -> Poll<Option<io::Error>> {
        loop {
            let room = INBOX_MAX.saturating_sub(self.bytes.len());
            if room == 0 || self.is_finished {
                return Poll::Pending;
            }
            let read = scratch::with(|buf| {
                let limit = room.min(buf.len());
                let read = ready!(client.poll_read(cx, &mut buf[..limit]))?;
                self.bytes.extend_from_slice(&buf[..read]);
                Poll::Ready(Ok(read))
            });
            match ready!(read) {
                Ok(0) if self.half_close == HalfClose::Keep => self.is_finished = true,
                Ok(0) => return Poll::Ready(None),
                Ok(_) => self.unexamined = true,
                Err(error) => return Poll::Ready(Some(error)),
            }
        }
    }

    /// Waits until enough of a body has arrived. It stays in the inbox.
    ///
    /// Cancel safety: what has been read stays in the inbox, and `gather` knows how far it has looked.
    pub fn poll_gather<T: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut T,
        gather: &mut Gather,
    ) -> Poll<Result<(), GatherError>> {
        loop {
            let new = &mut self.bytes[gather.seen..];
            gather.seen += gather.body.advance(new).map_err(GatherError::Body)?.consumed;
            if gather.body.is_ended() || gather.seen >= gather.enough {
                return Poll::Ready(Ok(()));
            }
            let read = scratch::with(|buf| {
                let read = ready!(client.poll_read(cx, &mut buf[..INBOX_MAX - self.bytes.len()]))?;
                self.bytes.extend_from_slice(&buf[..read]);
                Poll::Ready(Ok(read))
            });
            match ready!(read) {
                Ok(0) => return Poll::Ready(Err(GatherError::Gone(None))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(GatherError::Gone(Some(error)))),
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

/// Whether a field may not be claimed by a client that nobody vouches for, or could be taken for one that may not: programs
/// behind CGI and its descendants cannot tell `_` from `-`.
#[must_use]
pub fn is_forwarding_claim(name: &str) -> bool {
    const EXACT: [&str; 2] = ["forwarded", "x-real-ip"];
    const PREFIXES: [&str; 2] = ["fly-", "x-forwarded-"];
    const CONFUSABLE: [&str; 2] = ["content-length", "transfer-encoding"];
    let looks_like = |wanted: &str| {
        let mut pairs = name.bytes().zip(wanted.bytes());
        name.len() >= wanted.len()
            && pairs.all(|(byte, want)| {
                byte.to_ascii_lowercase() == want || (byte == b'_' && want == b'-')
            })
    };
    PREFIXES.iter().any(|prefix| looks_like(prefix))
        || EXACT.iter().any(|other| name.len() == other.len() && looks_like(other))
        || (name.contains('_')
            && CONFUSABLE.iter().any(|other| name.len() == other.len() && looks_like(other)))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn gather(sent: &[u8], body: Body, enough: usize) -> (Result<(), GatherError>, Vec<u8>) {
        let (mut near, mut far) = tokio::io::duplex(4096);
        let mut inbox = Inbox::default();
        let mut gather = Gather::new(&body, enough);
        let write = async {
            for piece in sent.chunks(3) {
                far.write_all(piece).await.expect("room");
                tokio::task::yield_now().await;
            }
            far.shutdown().await.expect("open");
        };
        let gathered = poll_fn(|cx| inbox.poll_gather(cx, &mut near, &mut gather));
        let (gathered, ()) = tokio::join!(gathered, write);
        (gathered, inbox.drain())
    }

    #[tokio::test]
    async fn a_body_is_gathered_until_it_is_whole_or_enough() {
        let (gathered, kept) = gather(b"hello and more", Body::length(5), 100).await;
        assert!(gathered.is_ok() && kept.starts_with(b"hello") && kept.len() <= 6);
        let (gathered, kept) = gather(b"hello and more", Body::length(14), 6).await;
        assert!(gathered.is_ok() && kept.len() == 6, "{}", kept.escape_ascii());
        let chunked = b"5\r\nhello\r\n0\r\n\r\n";
        let (gathered, kept) = gather(chunked, Body::chunked_request(), 100).await;
        assert!(gathered.is_ok() && kept == chunked);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_or_is_none_is_not_gathered() {
        let (gathered, _) = gather(b"hel", Body::length(5), 100).await;
        assert!(matches!(gathered, Err(GatherError::Gone(None))));
        let (gathered, _) = gather(b"zz\r\n", Body::chunked_request(), 100).await;
        assert!(matches!(gathered, Err(GatherError::Body(BodyError::ChunkSize))));
    }

    #[test]
    fn claims_are_known_in_every_spelling() {
        for name in [
            "Fly-Client-IP",
            "fly_client_ip",
            "X-Forwarded-For",
            "x_forwarded_for",
            "X-Forwarded_Proto",
            "Forwarded",
            "X-Real-IP",
            "x_real_ip",
            "Content_Length",
            "transfer_encoding",
        ] {
            assert!(is_forwarding_claim(name), "{name}");
        }
        for name in
            ["Content-Length", "Host", "Forwarded-By", "X-Real-IPs", "X_Custom", "Fly", "Via"]
        {
            assert!(!is_forwarding_claim(name), "{name}");
        }
    }
}
