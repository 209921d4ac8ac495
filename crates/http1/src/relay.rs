//! One exchange over two transports: request head and body up, response heads and body down, at the same time.

mod beat;
mod heads;

pub use beat::Beat;

use std::io;
use std::task::{Context, Poll, ready};

use thiserror::Error;

use crate::body::{Body, BodyError};
use crate::head::{HEAD_BYTES_MAX, HeadError};
use crate::inbox::Inbox;
use crate::pump::{Flow, FlowError, PENDING_MAX};
use crate::request::Request;
use crate::response::{RepeatRule, Replay, ReplayRule, ResponseRules, Tail};
use crate::transport::Transport;
use crate::tunnel::{Tunnel, TunnelError};

use heads::{Answer, Heads};

/// How far an exchange has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Enough of the request's body is waited for.
    Receiving,
    /// Waiting for a place.
    Queued,
    /// Connecting to the machine.
    Connecting,
    /// The request is being sent, or the machine has not answered yet.
    Waiting,
    /// The response head is out, its body is being relayed.
    Streaming,
}

impl Stage {
    /// The name in records and APIs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Queued => "queued",
            Self::Connecting => "connecting",
            Self::Waiting => "waiting",
            Self::Streaming => "streaming",
        }
    }
}

/// Hears what the relay does, for records and metrics. Called for every chunk: implementations are a few stores.
pub trait Observer {
    /// A final response head has been relayed.
    fn responded(&self, status: u16);
    /// Response bytes, head included, were handed to the client's transport.
    fn sent(&self, bytes: usize);
    /// Request bytes, head included, were handed to the machine's transport.
    fn received(&self, bytes: usize);
    /// A sign of life of so many bytes was put into the response. The client gets them, but they are no progress.
    fn beaten(&self, bytes: usize);
}

/// A complete exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// The status of the final response.
    pub status: u16,
    /// Whether the client's connection may serve another request.
    pub client_keep_alive: bool,
    /// Whether the machine's connection may serve another request.
    pub machine_keep_alive: bool,
}

/// Why an exchange is not complete, and whose doing it was.
#[derive(Debug, Error)]
pub enum Failure {
    /// The client went away, or sent what is not a body.
    #[error("client went away")]
    ClientGone(#[source] Option<io::Error>),
    /// The request body breaks the chunked coding.
    #[error("request body is malformed")]
    RequestBody(#[source] BodyError),
    /// The machine closed or reset the connection.
    #[error("the machine's connection failed")]
    MachineConnection(#[source] Option<io::Error>),
    /// The machine's response head is refused.
    #[error("the machine's response is not valid")]
    ResponseHead(#[source] HeadError),
    /// The machine sends the request on to another one; [`Exchange::replay`] prepares for that.
    #[error("the machine sends the request on")]
    Replay(Replay),
    /// The machine's response body is malformed or was cut.
    #[error("the machine's response body is not valid")]
    ResponseBody(#[source] BodyError),
}

/// The state of one exchange.
#[derive(Debug)]
pub struct Exchange {
    up: Flow,
    up_state: Up,
    down: Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Up {
    /// Nothing has been sent: the machine has nothing to say yet.
    Unsent,
    Sending,
    /// Everything is sent: only the client's going away matters.
    Sent,
    /// The machine stopped reading: its response decides.
    Broken,
}

#[derive(Debug)]
enum Down {
    Head(Box<Heads>),
    Body {
        flow: Flow,
        tail: Tail,
        status: u16,
        client_keep_alive: bool,
        machine_keep_alive: bool,
    },
    /// The protocol has changed: bytes go both ways until both sides have closed.
    Tunnel(Box<Tunnel>),
}

impl Exchange {
    /// An exchange about to send `request` with `lines` (complete field lines) added to its head; body bytes that came with
    /// it are taken out of `inbox`.
    ///
    /// # Errors
    /// Those bytes are not a body.
    pub fn new(
        request: &mut Request,
        lines: &[u8],
        rules: ResponseRules,
        inbox: &mut Inbox,
    ) -> Result<Self, BodyError> {
        let mut wire = std::mem::take(&mut request.wire);
        wire.extend_from_slice(lines);
        wire.extend_from_slice(b"\r\n");
        let mut up = Flow::new(request.body.clone(), wire, rules.buffer_max);
        if !inbox.is_empty() {
            let mut bytes = inbox.drain();
            let consumed = up.feed(&mut bytes)?;
            inbox.put_back(&bytes[consumed..]);
        }
        let request = match (rules.replay, rules.repeat) {
            (ReplayRule::Ignore, RepeatRule::Never) => None,
            _ => up.whole().map(Into::into),
        };
        let down = Down::Head(Heads::new(rules, request));
        Ok(Self { up, up_state: Up::Unsent, down })
    }

    /// Begins anew, at another machine's connection, after [`Failure::Replay`]; `rule` says whether that one may send the
    /// request on too.
    ///
    /// # Panics
    /// When there was no such failure.
    pub fn replay(&mut self, rule: ReplayRule) {
        let Down::Head(heads) = &mut self.down else {
            unreachable!("a response that has begun is not replayed")
        };
        heads.rules.replay = rule;
        heads.partial = Vec::new();
        let request = heads.request.as_deref().expect("only a request that was kept is sent on");
        self.up = Flow::new(Body::none(), request.to_vec(), PENDING_MAX);
        self.up_state = Up::Unsent;
    }

    /// Whether the response has begun: then a failure can only be shown by cutting the connection.
    #[must_use]
    pub fn has_responded(&self) -> bool {
        match &self.down {
            Down::Head(heads) => heads.is_amid_interim,
            Down::Body { .. } | Down::Tunnel(_) => true,
        }
    }

    /// Whether the client could go away without being noticed: it is not read, because the machine does not take what it sent,
    /// or, in a tunnel, because it has finished already. Then [`Transport::presence`] tells.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        match &self.down {
            Down::Tunnel(tunnel) => tunnel.is_deaf(),
            Down::Head(_) | Down::Body { .. } => self.waits_for_machine(),
        }
    }

    /// Whether the final response head has come.
    #[must_use]
    pub fn has_final_head(&self) -> bool {
        !matches!(self.down, Down::Head(_))
    }

    /// Whether the machine has taken the whole request, or takes no more of it.
    #[must_use]
    pub fn is_request_taken(&self) -> bool {
        matches!(self.up_state, Up::Sent | Up::Broken)
    }

    /// Whether bytes wait until the client takes them.
    #[must_use]
    pub fn waits_for_client(&self) -> bool {
        match &self.down {
            Down::Head(heads) => heads.interim.waiting() > 0,
            Down::Body { flow, .. } => flow.waiting() > 0,
            Down::Tunnel(tunnel) => tunnel.waits_for_client(),
        }
    }

    /// Whether bytes wait until the machine takes them.
    #[must_use]
    pub fn waits_for_machine(&self) -> bool {
        match &self.down {
            Down::Tunnel(tunnel) => tunnel.waits_for_machine(),
            Down::Head(_) | Down::Body { .. } => {
                self.up_state == Up::Sending && self.up.waiting() > 0
            }
        }
    }

    /// Whether the protocol has changed.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        matches!(self.down, Down::Tunnel(_))
    }

    /// Prepares the exchange for a fresh connection in place of one that has died. False if that would not be safe: the
    /// machine may have acted on the request, and must not do so twice (RFC 9112 section 9.3.1), or has answered.
    pub fn can_restart(&mut self) -> bool {
        let Down::Head(heads) = &self.down else { return false };
        if !self.up.is_unsent() {
            let again = heads.request.as_deref().filter(|_| heads.may_repeat());
            let Some(request) = again else { return false };
            self.up = Flow::new(Body::none(), request.to_vec(), PENDING_MAX);
        }
        self.up_state = Up::Unsent;
        true
    }

    /// Moves bytes both ways until the response is complete.
    ///
    /// # Errors
    /// See [`Failure`]. Dropping the exchange earlier is safe: the caller drops both transports with it.
    pub fn poll<C: Transport, M: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
        inbox: &mut Inbox,
        machine: &mut M,
        observer: &impl Observer,
    ) -> Poll<Result<Finished, Failure>> {
        if self.up_state == Up::Unsent {
            Self::poll_silence(cx, machine)?;
            self.up_state = Up::Sending;
        }
        self.poll_up(cx, client, inbox, machine, observer)?;
        let down = self.poll_down(cx, client, inbox, machine, observer);
        if let Poll::Ready(result) = down {
            return Poll::Ready(result);
        }
        if self.up_state == Up::Sent
            && !self.is_tunnel()
            && let Poll::Ready(error) = inbox.poll_gone(cx, client)
        {
            return Poll::Ready(Err(Failure::ClientGone(error)));
        }
        Poll::Pending
    }

    /// Makes sure that the machine has said nothing before it was asked: whatever it is, it answers something else. Costs no
    /// system call where nothing has come.
    fn poll_silence<M: Transport>(cx: &mut Context<'_>, machine: &mut M) -> Result<(), Failure> {
        match machine.poll_read(cx, &mut [0]) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(0)) => Err(Failure::MachineConnection(None)),
            Poll::Ready(Ok(_)) => Err(Failure::ResponseHead(HeadError::Unasked)),
            Poll::Ready(Err(error)) => Err(Failure::MachineConnection(Some(error))),
        }
    }

    fn poll_up<C: Transport, M: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
        inbox: &mut Inbox,
        machine: &mut M,
        observer: &impl Observer,
    ) -> Result<(), Failure> {
        if matches!(self.up_state, Up::Sent | Up::Broken) {
            return Ok(());
        }
        let mut excess = Vec::new();
        let mut moved = |bytes| observer.received(bytes);
        let result = self.up.poll(cx, client, machine, &mut moved, &mut excess);
        match result {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                self.up_state = Up::Sent;
                if !excess.is_empty() {
                    inbox.put_back(&excess);
                }
            }
            Poll::Ready(Err(FlowError::Write(_))) => self.up_state = Up::Broken,
            Poll::Ready(Err(FlowError::Read(error))) => {
                return Err(Failure::ClientGone(Some(error)));
            }
            Poll::Ready(Err(FlowError::Body(BodyError::Truncated))) => {
                return Err(Failure::ClientGone(None));
            }
            Poll::Ready(Err(FlowError::Body(error))) => return Err(Failure::RequestBody(error)),
        }
        Ok(())
    }

    fn poll_down<C: Transport, M: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
        inbox: &mut Inbox,
        machine: &mut M,
        observer: &impl Observer,
    ) -> Poll<Result<Finished, Failure>> {
        while let Down::Head(heads) = &mut self.down {
            let mut moved = |bytes| observer.sent(bytes);
            match heads.interim.poll_flush(cx, client, &mut moved) {
                Poll::Ready(flushed) => {
                    flushed.map_err(down_failure)?;
                    heads.is_amid_interim = false;
                }
                Poll::Pending => {
                    heads.is_amid_interim |= heads.interim.is_partly_sent();
                    // The client is slow, which is no fault of the machine.
                    if heads.interim.waiting() >= HEAD_BYTES_MAX {
                        return Poll::Pending;
                    }
                }
            }
            match ready!(heads.poll_read(cx, machine))? {
                None => {}
                Some(Answer::Body(body)) => {
                    self.down = body;
                    if let Down::Body { status, flow, .. } = &self.down {
                        observer.responded(*status);
                        if flow.is_delimited_by_close() {
                            client.abort_on_drop();
                        }
                    }
                }
                Some(Answer::Upgrade(_)) if self.up_state != Up::Sent => {
                    return Poll::Ready(Err(Failure::ResponseHead(HeadError::Unasked)));
                }
                Some(Answer::Upgrade(first)) => {
                    // Neither side of a tunnel that is cut may take what it got for everything.
                    client.abort_on_drop();
                    machine.abort_on_drop();
                    let tunnel = Tunnel::upgraded(inbox, first, heads.rules.buffer_max);
                    self.down = Down::Tunnel(Box::new(tunnel));
                    observer.responded(101);
                }
            }
        }
        match &mut self.down {
            Down::Tunnel(tunnel) => {
                let (received, sent) =
                    (|bytes| observer.received(bytes), |bytes| observer.sent(bytes));
                ready!(tunnel.poll(cx, client, machine, received, sent)).map_err(Failure::from)?;
                client.close_on_drop();
                machine.close_on_drop();
                let (client_keep_alive, machine_keep_alive) = (false, false);
                Poll::Ready(Ok(Finished { status: 101, client_keep_alive, machine_keep_alive }))
            }
            _ => self.poll_body(cx, client, machine, observer),
        }
    }

    fn poll_body<C: Transport, M: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
        machine: &mut M,
        observer: &impl Observer,
    ) -> Poll<Result<Finished, Failure>> {
        let Down::Body { flow, tail, status, client_keep_alive, machine_keep_alive } =
            &mut self.down
        else {
            unreachable!("the caller has seen that a body follows")
        };
        let is_delimited_by_close = flow.is_delimited_by_close();
        let mut excess = Vec::new();
        let mut moved = |bytes| observer.sent(bytes);
        ready!(flow.poll(cx, machine, client, &mut moved, &mut excess)).map_err(down_failure)?;
        *machine_keep_alive &= excess.is_empty();
        if *tail != Tail::None {
            let tail = std::mem::replace(tail, Tail::None);
            *flow = Flow::new(Body::none(), tail.bytes().to_vec(), PENDING_MAX);
            ready!(flow.poll_flush(cx, client, &mut moved)).map_err(down_failure)?;
        }
        if is_delimited_by_close {
            client.close_on_drop();
        }
        let is_request_sent = self.up_state == Up::Sent;
        Poll::Ready(Ok(Finished {
            status: *status,
            client_keep_alive: *client_keep_alive && is_request_sent,
            machine_keep_alive: *machine_keep_alive && is_request_sent,
        }))
    }
}

/// Whose doing it was that a tunnel broke.
impl From<TunnelError> for Failure {
    fn from(error: TunnelError) -> Self {
        match error {
            TunnelError::Client(error) => Self::ClientGone(Some(error)),
            TunnelError::Machine(error) => Self::MachineConnection(Some(error)),
        }
    }
}

/// Whose doing it was that the response could not be moved.
fn down_failure(error: FlowError) -> Failure {
    match error {
        FlowError::Read(error) => Failure::MachineConnection(Some(error)),
        FlowError::Write(error) => Failure::ClientGone(Some(error)),
        FlowError::Body(error) => Failure::ResponseBody(error),
    }
}
