//! One client connection: its exchanges, one after the other.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use outlast_http1::{
    HeadError, Inbox, OWN_PATHS, ReadHead, Request, RequestTarget, Transport, Untrusted,
};
use outlast_observe::{ConnectionClose, Outcome, RefusalReason, RequestId, TimedClock};
use outlast_runtime::clock;

use crate::answer::{Answer, Include, Next, close_politely};
use crate::gateway::Lane;
use crate::{exchange, own_paths, refusal};

/// Serves a client until it leaves, or an exchange leaves nothing to go on with.
///
/// Cancel safety: dropping the future closes the connection; a response in flight is cut, visibly.
///
/// What is short or rare is boxed: the future is as large as its largest state, and stays so for the hours of a stream.
pub(crate) async fn serve<T: Transport>(lane: Arc<Lane>, mut client: T, peer: SocketAddr) {
    let mut inbox = Inbox::default();
    let mut turn = Turn::First;
    let untrusted = lane.shared.reception.untrusted(peer.ip());
    loop {
        let next = match Box::pin(read_head(&lane, &mut client, &mut inbox, turn, untrusted)).await
        {
            Head::Request(request) if request.target.path.starts_with(OWN_PATHS) => {
                Box::pin(own(&lane, &mut client, &mut inbox, *request)).await
            }
            Head::Request(request) => {
                exchange::run(&lane, &mut client, &mut inbox, peer, request).await
            }
            Head::None => Next::Drop,
            Head::TimedOut => {
                let outcome = Outcome::TimedOut(TimedClock::Head);
                let answer = refusal::head_timeout();
                Box::pin(unreadable(&lane, &mut client, peer, outcome, &answer)).await
            }
            Head::Refused(error) => {
                let outcome = Outcome::Refused(RefusalReason::BadRequest(error.rule()));
                let answer = refusal::bad_request(&error);
                Box::pin(unreadable(&lane, &mut client, peer, outcome, &answer)).await
            }
        };
        match next {
            Next::KeepAlive => turn = Turn::Later,
            Next::Close => {
                if let Err(limit) = Box::pin(close_politely(&mut client)).await {
                    lane.closed_by(limit);
                }
                return;
            }
            Next::Drop => return,
        }
    }
}

/// Which request of a connection is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Later,
}

enum Head {
    Request(Box<Request>),
    /// The client closed, or never began.
    None,
    TimedOut,
    Refused(HeadError),
}

/// Reads a head under its clock: from the accept, or from the first byte of a later head that is more than an empty line.
async fn read_head<T: Transport>(
    lane: &Lane,
    client: &mut T,
    inbox: &mut Inbox,
    turn: Turn,
    untrusted: Untrusted,
) -> Head {
    let clocks = &lane.service.plan.clocks;
    if turn == Turn::Later && !inbox.has_begun() {
        let begun = poll_fn(|cx| match inbox.poll_request(cx, client, untrusted) {
            Poll::Ready(head) => Poll::Ready(Some(head)),
            Poll::Pending if inbox.has_begun() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match clock::timeout(clocks.keep_alive, begun).await {
            Ok(Some(head)) => return head.into(),
            Ok(None) => {}
            Err(_elapsed) => {
                lane.closed_by(ConnectionClose::KeepAlive);
                return Head::None;
            }
        }
    }
    let head = poll_fn(|cx| inbox.poll_request(cx, client, untrusted));
    match clock::timeout(clocks.head, head).await {
        Ok(head) => head.into(),
        Err(_elapsed) if inbox.has_begun() => Head::TimedOut,
        // Browsers open connections ahead of need: one that never spoke is not an error.
        Err(_elapsed) => Head::None,
    }
}

impl Lane {
    /// A limit has closed a connection.
    pub(crate) fn closed_by(&self, limit: ConnectionClose) {
        self.shared.observe.connection_closed(self.service.index, limit);
    }
}

impl From<ReadHead> for Head {
    fn from(head: ReadHead) -> Self {
        match head {
            ReadHead::Request(request) => Self::Request(request),
            ReadHead::Closed | ReadHead::Truncated => Self::None,
            ReadHead::Refused(error) => Self::Refused(error),
        }
    }
}

/// Answers the gateway's own paths; they take no place and leave no record.
async fn own<T: Transport>(
    lane: &Lane,
    client: &mut T,
    inbox: &mut Inbox,
    mut request: Request,
) -> Next {
    let answer = own_paths::answer(&lane.shared, &request);
    let include = if request.is_head() { Include::HeadOnly } else { Include::Body };
    let keeps_alive = request.keep_alive && request.discard_body(inbox);
    let next = if keeps_alive { Next::KeepAlive } else { Next::Close };
    let (_bytes, next) = answer.send(client, None, next, include).await;
    next
}

/// Answers a head that is not one. It is recorded, so that an operator sees what clients send.
async fn unreadable<T: Transport>(
    lane: &Lane,
    client: &mut T,
    peer: SocketAddr,
    outcome: Outcome,
    answer: &Answer,
) -> Next {
    let id = RequestId::generate();
    let mut target = RequestTarget { method: "-".into(), path: "-".into(), query: None };
    let guard = lane.begin(peer, id, &mut target);
    let region = lane.shared.observe.region();
    let (bytes, next) = answer.send(client, Some((id, region)), Next::Close, Include::Body).await;
    guard.record().answered(answer.status, bytes);
    guard.finish(outcome);
    next
}
