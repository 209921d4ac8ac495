//! A raw TCP service: one upstream connection per client connection, bytes passed through.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use outlast_admission::Class;
use outlast_http1::{
    Inbox, Observer, Presence, RequestTarget, Stage, Transport, Tunnel, TunnelError,
};
use outlast_observe::{Ending, Outcome, Record, RequestId, TimedClock};
use tokio::net::TcpStream;

use crate::clocks::{Clocks, Situation};
use crate::ending::{Stopped, closed, departure};
use crate::gateway::Lane;
use crate::place::{connect_outcome, in_lifetime, wait};
use crate::retry;
use crate::upstream::Dispatch;
use crate::vigil::{Vigil, broken_end};
use crate::watch::watching;

enum Cut {
    Tunnel(TunnelError),
    Ended(Ending),
    TimedOut(TimedClock),
}

/// A client that waits for its place, and whose end-of-file means that it has said everything, not that it is gone: only an
/// error does. The end stays in its socket, and is passed on after what was sent. From then on it is looked at once a second
/// whether it has been reset.
struct Speaker<'c, T> {
    client: &'c mut T,
    vigil: Vigil,
    has_finished: bool,
}

impl<'c, T> Speaker<'c, T> {
    fn new(client: &'c mut T) -> Self {
        Self { client, vigil: Vigil::default(), has_finished: false }
    }
}

impl<T: Transport> Transport for Speaker<'_, T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.has_finished {
            match ready!(self.client.poll_read(cx, buf)) {
                Ok(0) => self.has_finished = true,
                read => return Poll::Ready(read),
            }
        }
        let client = &*self.client;
        let reset = || (client.presence() == Presence::Gone).then_some(ErrorKind::ConnectionReset);
        self.vigil.poll(cx, || true, reset).map(|kind| Err(kind.into()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.client.poll_write(cx, bytes)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.client.poll_finish(cx)
    }

    fn abort_on_drop(&mut self) {
        self.client.abort_on_drop();
    }

    fn close_on_drop(&mut self) {
        self.client.close_on_drop();
    }

    fn presence(&self) -> Presence {
        match self.client.presence() {
            Presence::Finished => Presence::Here,
            other => other,
        }
    }

    fn socket(&self) -> Option<&TcpStream> {
        self.client.socket()
    }
}

/// Serves one client connection. There is no way to tell a client of a raw service why it is refused: it is reset.
///
/// Cancel safety: dropping the future closes both sides, gives the place back and writes the record.
pub(crate) async fn serve<T: Transport>(lane: Arc<Lane>, mut client: T, peer: SocketAddr) {
    let mut target = RequestTarget { method: "TCP".into(), path: "".into(), query: None };
    let guard = lane.begin(peer, RequestId::generate(), &mut target);
    let record = guard.record();
    let mut inbox = Inbox::default();
    let ours = &lane.service.plan.routes.rest.clocks;
    let led = lead(&lane, &mut client, &mut inbox, record, ours.connect);
    let mut dispatch = match in_lifetime(record, ours.lifetime, led).await {
        Ok(dispatch) => dispatch,
        Err(stopped) => {
            client.abort_on_drop();
            return guard.finish(stopped.outcome());
        }
    };
    record.enter(Stage::Streaming);
    // However it is cut, neither side may take what it got for everything.
    client.abort_on_drop();
    dispatch.stream.abort_on_drop();
    let mut tunnel = Tunnel::new(&mut inbox, lane.shared.plan.buffer_max);
    let (mut vigil, mut clocks) = (Vigil::default(), Clocks::default());
    let moved = poll_fn(|cx| {
        if let Poll::Ready(by) = record.poll_ended(cx) {
            return Poll::Ready(Err(Cut::Ended(by)));
        }
        let (received, sent) = (|bytes| record.received(bytes), |bytes| record.sent(bytes));
        match tunnel.poll(cx, &mut client, &mut dispatch.stream, received, sent) {
            Poll::Ready(result) => Poll::Ready(result.map_err(Cut::Tunnel)),
            Poll::Pending => {
                let clock = clocks.poll(cx, ours, record, || Situation::from(&tunnel));
                if let Poll::Ready(clock) = clock {
                    return Poll::Ready(Err(Cut::TimedOut(clock)));
                }
                let look = || broken_end(&client, &dispatch.stream);
                vigil.poll(cx, || tunnel.is_deaf(), look).map(|error| Err(Cut::Tunnel(error)))
            }
        }
    });
    let outcome = match moved.await {
        Ok(()) => {
            client.close_on_drop();
            dispatch.stream.close_on_drop();
            Outcome::Completed
        }
        Err(Cut::Tunnel(TunnelError::Client(error))) => {
            Outcome::ClientGone(Stage::Streaming, departure(Some(&error)))
        }
        Err(Cut::Tunnel(TunnelError::Machine(error))) => {
            Outcome::MachineFailed(Stage::Streaming, closed(Some(&error)))
        }
        Err(Cut::Ended(ending)) => ending.outcome(Stage::Streaming),
        Err(Cut::TimedOut(clock)) => Outcome::TimedOut(clock),
    };
    guard.finish(outcome);
}

/// A place and a connection to a machine.
async fn lead<T: Transport>(
    lane: &Lane,
    client: &mut T,
    inbox: &mut Inbox,
    record: &Arc<Record>,
    timeout: Duration,
) -> Result<Dispatch, Stopped> {
    let holder = Arc::clone(record);
    let attempt = lane.service.admission.attempt(record.client().ip(), Class::Ordinary, holder);
    let mut speaker = Speaker::new(client);
    let permit = wait(lane, &mut speaker, inbox, record, attempt, None).await?;
    lane.service.budget.earn();
    let connect = retry::connect(lane, record, permit, Class::Ordinary, timeout);
    let dispatch = watching(&mut speaker, inbox, record, connect)
        .await
        .map_err(|interrupted| Stopped::interrupted(interrupted, Stage::Connecting))?
        .map_err(|error| Stopped::Outcome(connect_outcome(&error)))?;
    // Nothing else in a tunnel can be told from silence.
    lane.service.answered(dispatch.machine());
    Ok(dispatch)
}
