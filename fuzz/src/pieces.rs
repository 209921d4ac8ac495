//! Bytes in pieces.

use std::io;
use std::task::{Context, Poll};

use outlast_http1::{Presence, Transport};

/// A peer that sends its bytes in pieces of a certain size, then closes or is silent, and keeps what it is sent.
#[derive(Debug)]
pub struct Pieces<'a> {
    unread: &'a [u8],
    piece: usize,
    end: End,
    /// Whether it says nothing before it is asked.
    waits: bool,
    /// What it was sent.
    pub written: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Silent,
}

impl<'a> Pieces<'a> {
    /// Closes after its last byte.
    #[must_use]
    pub fn closing(bytes: &'a [u8], piece: usize) -> Self {
        let (piece, waits) = (piece.max(1), false);
        Self { unread: bytes, piece, end: End::Closed, waits, written: Vec::new() }
    }

    /// Closes after its last byte, and says nothing before it is asked, as a machine should.
    #[must_use]
    pub fn answering(bytes: &'a [u8], piece: usize) -> Self {
        Self { waits: true, ..Self::closing(bytes, piece) }
    }

    /// Sends nothing and stays.
    #[must_use]
    pub fn silent() -> Self {
        Self { unread: &[], piece: 1, end: End::Silent, waits: false, written: Vec::new() }
    }
}

impl Transport for Pieces<'_> {
    fn poll_read(&mut self, _cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let is_silent = self.unread.is_empty() && self.end == End::Silent;
        if is_silent || (self.waits && self.written.is_empty()) {
            return Poll::Pending;
        }
        let count = self.piece.min(self.unread.len()).min(buf.len());
        let (piece, rest) = self.unread.split_at(count);
        buf[..count].copy_from_slice(piece);
        self.unread = rest;
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_finish(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn abort_on_drop(&mut self) {}

    fn close_on_drop(&mut self) {}

    fn presence(&self) -> Presence {
        Presence::Here
    }

    fn socket(&self) -> Option<&tokio::net::TcpStream> {
        None
    }
}
