//! The one pump: bytes from one transport to another, with back-pressure and without a buffer while silent.

mod beat;

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll, ready};

use thiserror::Error;
use tokio::net::TcpStream;

use crate::body::{Body, BodyError};
use crate::messages::Messages;
use crate::scratch::{self, SCRATCH_BYTES};
use crate::splice::Conduit;
use crate::transport::Transport;

/// The most bytes held for a receiver that does not read, per direction.
pub const PENDING_MAX: usize = SCRATCH_BYTES;
/// Where the read size starts, and where it returns to when the receiver falls behind.
const READ_BYTES_MIN: u32 = 16 * 1024;
const READ_BYTES_MAX: u32 = 256 * 1024;
const _: () = assert!(READ_BYTES_MAX as usize == SCRATCH_BYTES);
/// So many bytes of one direction pass at once; then others on the thread have their turn. At 5 GB/s that is 0.2 ms.
const TURN_BYTES: usize = 1024 * 1024;

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
    written: u32,
    read_limit: u32,
    /// What the read size may become: so much is held at most for a receiver that does not read.
    read_max: u32,
    /// Where signs of life may be put in, followed for that alone.
    messages: Option<Messages>,
    /// Whether `pending` is the rest of such a sign.
    is_amid_beat: bool,
    /// While bulk passes unseen.
    conduit: Option<Box<Conduit>>,
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
    pub(crate) fn new(body: Body, first: Vec<u8>, buffer_max: usize) -> Self {
        Self::with_messages(body, first, buffer_max, None)
    }

    /// As [`Flow::new`]; signs of life may be put between the messages.
    #[must_use]
    pub(crate) fn with_messages(
        body: Body,
        first: Vec<u8>,
        buffer_max: usize,
        messages: Option<Messages>,
    ) -> Self {
        let read_max = u32::try_from(buffer_max).unwrap_or(u32::MAX);
        Self {
            body,
            pending: first,
            written: 0,
            read_limit: READ_BYTES_MIN,
            read_max: read_max.clamp(READ_BYTES_MIN, READ_BYTES_MAX),
            messages,
            is_amid_beat: false,
            conduit: None,
        }
    }

    /// Takes bytes of the body that were read elsewhere; returns how many belong to it.
    ///
    /// # Errors
    /// They are not a body.
    pub(crate) fn feed(&mut self, bytes: &mut [u8]) -> Result<usize, BodyError> {
        let advanced = self.body.advance_showing(bytes, self.messages.as_mut())?;
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
        let turn = Cell::new(0);
        let moved = &mut |bytes| {
            turn.set(turn.get() + bytes);
            moved.moved(bytes);
        };
        loop {
            ready!(self.poll_flush(cx, destination, moved))?;
            ready!(self.poll_drain(cx, destination, moved))?;
            if self.body.is_ended() {
                return Poll::Ready(Ok(()));
            }
            if turn.get() >= TURN_BYTES {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some((conduit, source)) = self.conduit(source, destination) {
                let Poll::Ready(count) = conduit.poll_fill(cx, source) else {
                    self.return_conduit();
                    return Poll::Pending;
                };
                match count.map_err(FlowError::Read)? {
                    0 => self.body.close()?,
                    count => self.body.skip(count as u64),
                }
                continue;
            }
            let limit = self.read_limit as usize;
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
        while self.written() < self.pending.len() {
            let rest = &self.pending[self.written()..];
            let count = ready!(destination.poll_write(cx, rest)).map_err(FlowError::Write)?;
            if count == 0 {
                return Poll::Ready(Err(FlowError::Write(io::ErrorKind::WriteZero.into())));
            }
            self.written += u32::try_from(count).expect("little is held");
            if !self.is_amid_beat {
                moved.moved(count);
            }
        }
        // Give the memory back: most streams fall behind once and never again.
        self.pending = Vec::new();
        self.written = 0;
        self.is_amid_beat = false;
        Poll::Ready(Ok(()))
    }

    /// Whether the receiver learns of the end only by a close.
    pub(crate) fn is_delimited_by_close(&self) -> bool {
        self.body.is_delimited_by_close()
    }

    /// Takes back what the receiver has not taken.
    pub(crate) fn take_pending(&mut self) -> Vec<u8> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.drain(..std::mem::take(&mut self.written) as usize);
        pending
    }

    /// Whether the receiver has got a part of what was given to [`Flow::new`], and not all of it.
    pub(crate) fn is_partly_sent(&self) -> bool {
        self.written > 0
    }

    /// How many of the pending bytes the receiver has taken.
    fn written(&self) -> usize {
        self.written as usize
    }

    /// How many bytes the receiver has not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        let in_pipe = self.conduit.as_ref().map_or(0, |conduit| conduit.filled());
        self.pending.len() - self.written() + in_pipe
    }

    /// Whether nothing of what was given to [`Flow::new`] has reached the receiver.
    pub(crate) fn is_unsent(&self) -> bool {
        self.written == 0 && !self.pending.is_empty()
    }

    /// Everything that is to be moved, if it is here and nothing of it has been moved.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        (self.body.is_ended() && self.written == 0).then_some(self.pending.as_slice())
    }

    /// Writes what is still in the pipe.
    fn poll_drain<D: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        destination: &mut D,
        moved: &mut impl Sink,
    ) -> Poll<Result<(), FlowError>> {
        let Some(conduit) = &mut self.conduit else { return Poll::Ready(Ok(())) };
        let destination = destination.socket().expect("a pipe leads from socket to socket");
        while !conduit.is_empty() {
            let drained = ready!(conduit.poll_drain(cx, destination));
            moved.moved(drained.map_err(FlowError::Write)?);
        }
        Poll::Ready(Ok(()))
    }

    /// The pipe for what comes next, and the socket it comes from, where it is bulk that may pass unseen.
    fn conduit<'t, S: Transport, D: Transport>(
        &mut self,
        source: &'t S,
        destination: &D,
    ) -> Option<(&mut Conduit, &'t TcpStream)> {
        // Messages are to be seen; and a receiver that falls behind lets the read size fall, but does not end a bulk transfer.
        if self.messages.is_some() || self.conduit.is_none() && self.read_limit < READ_BYTES_MAX {
            return None;
        }
        let (source, _destination) = (source.socket()?, destination.socket()?);
        self.conduit = Conduit::open_for(self.conduit.take(), self.body.opaque());
        Some((self.conduit.as_deref_mut()?, source))
    }

    /// The source has nothing more: a pipe that carried little of late is for others, of which there are few.
    fn return_conduit(&mut self) {
        if self.conduit.as_ref().is_some_and(|conduit| !conduit.is_worth_its_pipe()) {
            self.conduit = None;
            self.read_limit = READ_BYTES_MIN;
        }
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
        let advanced = self.body.advance_showing(bytes, self.messages.as_mut())?;
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
        if bytes.len() == self.read_limit as usize {
            self.read_limit = (self.read_limit * 2).min(self.read_max);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::body::Coding;
    use crate::splice;

    const BULK: usize = 8 * 1024 * 1024;

    async fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.expect("it listens"), far.expect("it connects").0)
    }

    fn bulk(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|index| u8::try_from(index % 251).expect("a byte")).collect()
    }

    struct Moved {
        result: Result<(), FlowError>,
        received: Vec<u8>,
        excess: Vec<u8>,
        counted: usize,
        pipes_max: usize,
    }

    async fn relay(body: Body, wire: &[u8]) -> Moved {
        relay_flow(Flow::new(body, Vec::new(), PENDING_MAX), wire).await
    }

    /// Sends `wire` and closes; moves what is the body of it to a receiver that takes it in pieces.
    async fn relay_flow(mut flow: Flow, wire: &[u8]) -> Moved {
        let ((mut sender, mut source), (mut destination, mut receiver)) =
            (sockets().await, sockets().await);
        let send = async {
            // A relay that stops early closes, and the rest finds nobody.
            let _sent = sender.write_all(wire).await;
            drop(sender);
        };
        let (mut excess, mut counted, mut pipes_max) = (Vec::new(), 0, 0);
        let relay = async {
            let mut moved = |bytes| {
                counted += bytes;
                pipes_max = pipes_max.max(splice::open_count());
            };
            let moved =
                poll_fn(|cx| flow.poll(cx, &mut source, &mut destination, &mut moved, &mut excess));
            let result = moved.await;
            drop((source, destination));
            result
        };
        let receive = async {
            let (mut received, mut piece) = (Vec::new(), vec![0; 100_000]);
            while let Ok(count @ 1..) = receiver.read(&mut piece).await {
                received.extend_from_slice(&piece[..count]);
            }
            received
        };
        let ((), result, received) = tokio::join!(send, relay, receive);
        Moved { result, received, excess, counted, pipes_max }
    }

    #[tokio::test]
    async fn bulk_goes_through_a_pipe_and_arrives_whole() {
        let bytes = bulk(BULK);
        let chunked = [b"800000\r\n", bytes.as_slice(), b"\r\n5\r\nhello\r\n0\r\n\r\n"].concat();
        let with_length = [bytes.as_slice(), b"next"].concat();
        for (body, wire, excess) in [
            (Body::length(BULK as u64), &with_length, "next"),
            (Body::chunked_response(Coding::AsIs), &chunked, ""),
            (Body::until_close(), &bytes, ""),
        ] {
            let moved = relay(body.clone(), wire).await;
            assert!(moved.result.is_ok(), "{body:?} {:?}", moved.result);
            let sent = &wire[..wire.len() - excess.len()];
            assert!(moved.received == sent, "{body:?} {} bytes", moved.received.len());
            assert_eq!(moved.counted, sent.len());
            assert!(excess.as_bytes().starts_with(&moved.excess));
            assert_eq!((moved.pipes_max, splice::open_count()), (1, 0), "{body:?}");
        }
    }

    /// What passes unseen may end amid a message.
    #[tokio::test]
    async fn bulk_among_messages_is_seen() {
        let bytes = [vec![b'a'; BULK], b"\n".to_vec()].concat();
        let messages = Messages::Lines(crate::messages::LineAt::Between);
        let flow =
            Flow::with_messages(Body::until_close(), Vec::new(), PENDING_MAX, Some(messages));
        let moved = relay_flow(flow, &bytes).await;
        assert!(moved.result.is_ok() && moved.received == bytes);
        assert_eq!((moved.counted, moved.pipes_max), (bytes.len(), 0));
    }

    /// It is kept for the hours of a stream, twice.
    #[test]
    fn a_flow_is_small_and_follows_messages_in_room_that_it_had() {
        assert_eq!((size_of::<Flow>(), size_of::<Option<Messages>>()), (72, 2));
    }

    #[tokio::test]
    async fn bulk_that_ends_early_is_truncated_and_what_came_is_passed_on() {
        let bytes = bulk(BULK);
        let moved = relay(Body::length(BULK as u64 + 1), &bytes).await;
        assert!(matches!(moved.result, Err(FlowError::Body(BodyError::Truncated))));
        assert!(moved.received == bytes && moved.pipes_max == 1);
    }

    #[tokio::test]
    async fn small_and_decoded_bodies_are_copied() {
        let small = bulk(SCRATCH_BYTES * 3);
        let moved = relay(Body::length(small.len() as u64), &small).await;
        assert!(moved.received == small && moved.pipes_max == 0);
        let bytes = bulk(BULK);
        let chunked = [b"800000\r\n", bytes.as_slice(), b"\r\n0\r\n\r\n"].concat();
        let moved = relay(Body::chunked_response(Coding::Decoded), &chunked).await;
        assert!(moved.received == bytes && moved.pipes_max == 0);
    }

    /// Bulk kept its thread for tens of MiB, while small requests beside it waited.
    #[tokio::test]
    async fn bulk_gives_others_their_turn() {
        let (mut sender, mut source) = tokio::io::duplex(2 * BULK);
        let (mut destination, _receiver) = tokio::io::duplex(2 * BULK);
        sender.write_all(&bulk(BULK)).await.expect("room");
        let mut flow = Flow::new(Body::until_close(), Vec::new(), PENDING_MAX);
        let mut turns = Vec::new();
        while turns.iter().sum::<usize>() < BULK {
            let mut turn = 0;
            let polled = poll_fn(|cx| {
                let mut moved = |bytes| turn += bytes;
                let excess = &mut Vec::new();
                Poll::Ready(flow.poll(cx, &mut source, &mut destination, &mut moved, excess))
            });
            assert!(polled.await.is_pending(), "the sender stays");
            turns.push(turn);
        }
        let most = turns.iter().max().copied().unwrap_or_default();
        assert!((TURN_BYTES..TURN_BYTES + SCRATCH_BYTES).contains(&most), "{turns:?}");
    }

    /// A receiver that takes nothing after it has taken much: what is held of it is one read, and reads are no larger than asked.
    #[tokio::test]
    async fn no_more_is_held_than_asked() {
        for (buffer_max, held) in
            [(1, 16 * 1024), (32 * 1024, 32 * 1024), (usize::MAX, PENDING_MAX)]
        {
            let (mut sender, mut source) = tokio::io::duplex(2 * BULK);
            let (mut destination, _receiver) = tokio::io::duplex(BULK);
            sender.write_all(&bulk(2 * BULK)).await.expect("room");
            let mut flow = Flow::new(Body::until_close(), Vec::new(), buffer_max);
            while flow.waiting() == 0 {
                let polled = poll_fn(|cx| {
                    let excess = &mut Vec::new();
                    Poll::Ready(flow.poll(cx, &mut source, &mut destination, &mut |_| {}, excess))
                });
                assert!(polled.await.is_pending(), "nobody reads");
            }
            let waiting = flow.waiting();
            assert!((held / 2..=held).contains(&waiting), "{buffer_max}: {waiting}");
        }
    }

    /// Tunnels that had carried much once kept the few pipes that there are.
    #[tokio::test]
    async fn a_pipe_that_carries_little_is_given_back() {
        let ((mut sender, mut source), (mut destination, mut receiver)) =
            (sockets().await, sockets().await);
        let mut flow = Flow::new(Body::until_close(), Vec::new(), PENDING_MAX);
        let relay = poll_fn(|cx| {
            let excess = &mut Vec::new();
            flow.poll(cx, &mut source, &mut destination, &mut |_| {}, excess)
        });
        let ends = async {
            let (bytes, mut got) = (bulk(BULK), vec![0; BULK]);
            let (sent, received) =
                tokio::join!(sender.write_all(&bytes), receiver.read_exact(&mut got));
            sent.expect("open");
            received.expect("open");
            for _ in 0..2 {
                sender.write_all(b"little").await.expect("open");
                receiver.read_exact(&mut [0; 6]).await.expect("open");
            }
            let open = splice::open_count();
            drop(sender);
            open
        };
        let (result, open) = tokio::join!(relay, ends);
        result.expect("closed in order");
        assert_eq!(open, 0);
    }
}
