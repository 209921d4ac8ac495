//! Two directions without messages: a raw TCP service, or what a protocol has changed to.

use std::io;
use std::task::{Context, Poll, ready};

use crate::body::Body;
use crate::inbox::Inbox;
use crate::pump::{Flow, FlowError, Sink};
use crate::transport::Transport;

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
    /// A tunnel that begins with what the client has sent already, and holds at most `buffer_max` bytes for a side that does not
    /// read (at least 16 KiB, at most [`PENDING_MAX`](crate::PENDING_MAX)).
    #[must_use]
    pub fn new(inbox: &mut Inbox, buffer_max: usize) -> Self {
        let flow = |first| TunnelFlow {
            flow: Flow::new(Body::until_close(), first, buffer_max),
            is_finished: false,
        };
        Self { up: flow(inbox.drain()), down: flow(Vec::new()) }
    }

    /// A tunnel that begins, towards the client, with `first`: the head that changes the protocol, and what came with it.
    pub(crate) fn upgraded(inbox: &mut Inbox, first: Vec<u8>, buffer_max: usize) -> Self {
        let mut tunnel = Self::new(inbox, buffer_max);
        tunnel.down.flow = Flow::new(Body::until_close(), first, buffer_max);
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

    /// Whether bytes wait until the client takes them.
    #[must_use]
    pub fn waits_for_client(&self) -> bool {
        self.down.flow.waiting() > 0
    }

    /// Whether bytes wait until the machine takes them.
    #[must_use]
    pub fn waits_for_machine(&self) -> bool {
        self.up.flow.waiting() > 0
    }

    /// Whether a peer could go away without being noticed: a side is not read, because it has finished already or because the
    /// other one does not take what it sent.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        [&self.up, &self.down].iter().any(|side| side.is_finished || side.flow.waiting() > 0)
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
