//! The one pump: bytes from one transport to another, with back-pressure and without a buffer while silent.

use std::io;
use std::task::{Context, Poll, ready};

use thiserror::Error;

use crate::body::{Body, BodyError};
use crate::inbox::Inbox;
use crate::scratch::{self, SCRATCH_BYTES};
use crate::transport::Transport;

/// The most bytes held for a receiver that does not read, per direction.
pub const PENDING_MAX: usize = SCRATCH_BYTES;
/// Where the read size starts, and where it returns to when the receiver falls behind.
const READ_BYTES_MIN: usize = 16 * 1024;

/// Why a direction stopped.
#[derive(Debug, Error)]
pub(crate) enum FlowError {
    /// The sender's transport failed.
    #[error("reading failed")]
    Read(#[source] io::Error),
    /// The receiver's transport failed.
    #[error("writing failed")]
    Write(#[source] io::Error),
    /// The sender's bytes are not a message body, or ended too early.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// One direction of an exchange.
#[derive(Debug)]
pub(crate) struct Flow {
    body: Body,
    pending: Vec<u8>,
    written: usize,
    read_limit: usize,
}

/// What the receiver took.
pub(crate) trait Sink {
    fn moved(&mut self, bytes: usize);
}

impl<F: FnMut(usize)> Sink for F {
    fn moved(&mut self, bytes: usize) {
        self(bytes);
    }
}

impl Flow {
    /// A direction that moves `body`, after `first` has been written.
    #[must_use]
    pub(crate) fn new(body: Body, first: Vec<u8>) -> Self {
        Self { body, pending: first, written: 0, read_limit: READ_BYTES_MIN }
    }

    /// Takes bytes of the body that were read elsewhere; returns how many belong to it.
    ///
    /// # Errors
    /// They are not a body.
    pub(crate) fn feed(&mut self, bytes: &mut [u8]) -> Result<usize, BodyError> {
        let advanced = self.body.advance(bytes)?;
        self.pending.extend_from_slice(&bytes[..advanced.forward]);
        Ok(advanced.consumed)
    }

    /// Moves bytes until the body has ended, or a side has to be waited for. `moved` hears of every write; bytes that
    /// follow the body in the same read go to `excess`.
    ///
    /// # Errors
    /// See [`FlowError`]; the direction cannot go on.
    pub(crate) fn poll<S: Transport, D: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut S,
        destination: &mut D,
        moved: &mut impl Sink,
        excess: &mut Vec<u8>,
    ) -> Poll<Result<(), FlowError>> {
        loop {
            ready!(self.poll_flush(cx, destination, moved))?;
            if self.body.is_ended() {
                return Poll::Ready(Ok(()));
            }
            let limit = self.read_limit;
            ready!(scratch::with(|buf| {
                let buf = &mut buf[..limit];
                let read = ready!(source.poll_read(cx, buf)).map_err(FlowError::Read)?;
                Poll::Ready(self.forward(cx, &mut buf[..read], destination, moved, excess))
            }))?;
        }
    }

    /// Writes what the receiver has not taken yet.
    pub(crate) fn poll_flush<D: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        destination: &mut D,
        moved: &mut impl Sink,
    ) -> Poll<Result<(), FlowError>> {
        while self.written < self.pending.len() {
            let rest = &self.pending[self.written..];
            let count = ready!(destination.poll_write(cx, rest)).map_err(FlowError::Write)?;
            if count == 0 {
                return Poll::Ready(Err(FlowError::Write(io::ErrorKind::WriteZero.into())));
            }
            self.written += count;
            moved.moved(count);
        }
        // Give the memory back: most streams fall behind once and never again.
        self.pending = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Whether the receiver learns of the end only by a close.
    pub(crate) fn is_delimited_by_close(&self) -> bool {
        self.body.is_delimited_by_close()
    }

    /// Takes back what the receiver has not taken.
    pub(crate) fn take_pending(&mut self) -> Vec<u8> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.drain(..std::mem::take(&mut self.written));
        pending
    }

    /// Whether nothing of what was given to [`Flow::new`] has reached the receiver.
    pub(crate) fn is_unsent(&self) -> bool {
        self.written == 0 && !self.pending.is_empty()
    }

    /// Everything that is to be moved, if it is here and nothing of it has been moved.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        (self.body.is_ended() && self.written == 0).then_some(self.pending.as_slice())
    }

    fn forward<D: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
        destination: &mut D,
        moved: &mut impl Sink,
        excess: &mut Vec<u8>,
    ) -> Result<(), FlowError> {
        if bytes.is_empty() {
            return Ok(self.body.close()?);
        }
        let advanced = self.body.advance(bytes)?;
        excess.extend_from_slice(&bytes[advanced.consumed..]);
        let forward = &bytes[..advanced.forward];
        let mut sent = 0;
        while sent < forward.len() {
            match destination.poll_write(cx, &forward[sent..]).map_err(FlowError::Write)? {
                Poll::Ready(0) => return Err(FlowError::Write(io::ErrorKind::WriteZero.into())),
                Poll::Ready(count) => {
                    sent += count;
                    moved.moved(count);
                }
                Poll::Pending => {
                    self.pending.extend_from_slice(&forward[sent..]);
                    self.read_limit = READ_BYTES_MIN;
                    return Ok(());
                }
            }
        }
        if bytes.len() == self.read_limit {
            self.read_limit = (self.read_limit * 2).min(SCRATCH_BYTES);
        }
        Ok(())
    }
}

/// Two directions without messages: a raw TCP service. End-of-file is passed on, and the tunnel lives until both
/// sides have closed.
#[derive(Debug)]
pub struct Tunnel {
    up: TunnelFlow,
    down: TunnelFlow,
}

#[derive(Debug)]
struct TunnelFlow {
    flow: Flow,
    is_finished: bool,
}

/// Which side broke a tunnel.
#[derive(Debug)]
pub enum TunnelError {
    /// The client's transport failed.
    Client(io::Error),
    /// The machine's transport failed.
    Machine(io::Error),
}

impl Tunnel {
    /// A tunnel that begins with what the client has sent already.
    #[must_use]
    pub fn new(inbox: &mut Inbox) -> Self {
        let flow =
            |first| TunnelFlow { flow: Flow::new(Body::until_close(), first), is_finished: false };
        Self { up: flow(inbox.drain()), down: flow(Vec::new()) }
    }

    /// A tunnel that begins, towards the client, with `first`: the head that changes the protocol, and what came with it.
    pub(crate) fn upgraded(inbox: &mut Inbox, first: Vec<u8>) -> Self {
        let mut tunnel = Self::new(inbox);
        tunnel.down.flow = Flow::new(Body::until_close(), first);
        tunnel
    }

    /// Moves bytes both ways until both sides have closed. `received` and `sent` hear of bytes from and to the client.
    ///
    /// # Errors
    /// One side failed; the other should be aborted, so that it does not take what it got for everything.
    pub fn poll<C: Transport, M: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
        machine: &mut M,
        mut received: impl FnMut(usize),
        mut sent: impl FnMut(usize),
    ) -> Poll<Result<(), TunnelError>> {
        let up = self.up.poll(cx, client, machine, &mut received).map_err(|error| match error {
            FlowError::Write(error) => TunnelError::Machine(error),
            FlowError::Read(error) => TunnelError::Client(error),
            FlowError::Body(_) => unreachable!("a tunnel has no body to break"),
        })?;
        let down = self.down.poll(cx, machine, client, &mut sent).map_err(|error| match error {
            FlowError::Write(error) => TunnelError::Client(error),
            FlowError::Read(error) => TunnelError::Machine(error),
            FlowError::Body(_) => unreachable!("a tunnel has no body to break"),
        })?;
        if up.is_ready() && down.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl TunnelFlow {
    fn poll<S: Transport, D: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut S,
        destination: &mut D,
        moved: &mut impl Sink,
    ) -> Poll<Result<(), FlowError>> {
        if !self.is_finished {
            ready!(self.flow.poll(cx, source, destination, moved, &mut Vec::new()))?;
            ready!(destination.poll_finish(cx)).map_err(FlowError::Write)?;
            self.is_finished = true;
        }
        Poll::Ready(Ok(()))
    }
}
