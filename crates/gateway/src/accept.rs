//! Accepting clients: as many as there may be, and pausing, visibly and without spinning, where there is no room.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use outlast_observe::AcceptPause;
use outlast_runtime::clock;
use tokio::net::{TcpListener, TcpStream};

use crate::clients::{Client, Place};
use crate::gateway::Lane;

/// How long to wait when the process or the system is out of descriptors or memory. Both may be freed by others, so that
/// there is no event to wait for.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// What came of trying to accept.
enum Tried {
    Accepted(TcpStream, SocketAddr, Place),
    /// As many clients are connected as may be.
    Full,
    /// The process or the system has no descriptor or memory left.
    Exhausted(io::Error),
    /// The client has gone already.
    Gone,
}

/// Accepts for ever. A socket's own error is its client's affair.
pub(crate) async fn accept_each(
    lane: &Lane,
    listener: TcpListener,
    mut accepted: impl FnMut(Client, SocketAddr),
) {
    let mut pause = Pause { lane, reason: None };
    loop {
        match try_accept(lane, &listener, &mut pause).await {
            Tried::Accepted(stream, peer, place) => {
                let is_many = lane.shared.reception.trusts(peer.ip());
                let place = if is_many { Some(place) } else { place.belongs_to(peer.ip()) };
                match place {
                    Some(place) => accepted(Client::new(stream, place), peer),
                    None => refuse(lane, stream, peer),
                }
            }
            Tried::Gone => {}
            Tried::Full => {
                let say_at = pause.begin(AcceptPause::ConnectionsMax, None);
                let room = lane.shared.clients.room();
                match say_at {
                    None => room.await,
                    // Whether there is room or it is time to speak: the next round will tell.
                    Some(say_at) => {
                        let _room_or_time = clock::timeout_at(say_at, room).await;
                    }
                }
            }
            Tried::Exhausted(error) => {
                pause.begin(AcceptPause::Descriptors, Some(&error));
                clock::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

/// Takes a place and then a client. While there is no client the place is free for other threads.
async fn try_accept(lane: &Lane, listener: &TcpListener, pause: &mut Pause<'_>) -> Tried {
    poll_fn(|cx| {
        let Some(place) = lane.shared.clients.place() else { return Poll::Ready(Tried::Full) };
        let tried = match listener.poll_accept(cx) {
            Poll::Ready(Ok((stream, peer))) => Poll::Ready(Tried::Accepted(stream, peer, place)),
            Poll::Ready(Err(error)) if is_the_sockets_own(&error) => Poll::Ready(Tried::Gone),
            Poll::Ready(Err(error)) => return Poll::Ready(Tried::Exhausted(error)),
            Poll::Pending => Poll::Pending,
        };
        pause.end();
        tried
    })
    .await
}

/// Whether an error is about one connection, and the next may be accepted at once.
fn is_the_sockets_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Resets a connection of a client that has its share: there is no cheaper way to tell it.
fn refuse(lane: &Lane, stream: TcpStream, peer: SocketAddr) {
    // It fails only on a socket that is dead already.
    stream.set_zero_linger().ok();
    drop(stream);
    let service = &lane.service;
    lane.shared.observe.connection_refused(service.index);
    if service.may_warn_of_clients() {
        tracing::warn!(
            service = service.plan.name,
            client = %peer.ip(),
            connections_per_client_max = lane.shared.plan.listen.connections_per_client_max,
            "a client has too many connections: new ones are reset"
        );
    }
}

/// A pause of one listener. It is counted when it begins.
struct Pause<'a> {
    lane: &'a Lane,
    reason: Option<AcceptPause>,
}

impl Pause<'_> {
    /// Begins, unless it had begun, and says so; too soon after the last time, it returns when to call again.
    fn begin(&mut self, reason: AcceptPause, error: Option<&io::Error>) -> Option<clock::Instant> {
        if self.reason != Some(reason) {
            self.end();
            self.reason = Some(reason);
            self.lane.shared.observe.accept_paused(self.lane.service.index, reason);
        }
        if let Err(say_at) = self.lane.shared.pauses.begins() {
            return say_at;
        }
        let hint = match reason {
            AcceptPause::ConnectionsMax => "raise listen.connections_max, if memory allows it",
            AcceptPause::Descriptors => {
                "raise the limit (ulimit -n) or lower listen.connections_max"
            }
        };
        tracing::warn!(
            service = self.lane.service.plan.name,
            reason = reason.name(),
            client_connections = self.lane.shared.clients.open(),
            error = error.map(tracing::field::display),
            hint,
            "accepting pauses: new clients wait in the kernel"
        );
        None
    }

    fn end(&mut self) {
        if self.reason.take().is_some() && self.lane.shared.pauses.ends() {
            tracing::info!(service = self.lane.service.plan.name, "accepting goes on");
        }
    }
}
