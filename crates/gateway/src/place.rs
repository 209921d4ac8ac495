//! Leading an exchange to a machine: enough of its request, a place, a connection.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use outlast_admission::{Attempt, Class, ClientKey, Holder};
use outlast_config::{Accounting, RouteId};
use outlast_http1::{Gather, GatherError, Inbox, Request, Stage, Transport};
use outlast_observe::{
    Departure, MachineFault, MachineSlot, Outcome, Record, RefusalReason, TimedClock,
};
use outlast_runtime::clock;

use crate::ending::{Stopped, departure};
use crate::gateway::Lane;
use crate::notice::{self, Notice};
use crate::service::Permit;
use crate::upstream::{ConnectError, Dispatch};
use crate::watch::watching;
use crate::{answer, refusal, retry};

/// What decides about the place that an exchange gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// In whose line it waits.
    pub(crate) client: ClientKey,
    pub(crate) class: Class,
    pub(crate) route: RouteId,
}

/// How much of a request body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Received {
    Whole,
    Part,
}

/// Leads a request to a machine: enough of its body first, so that who sends slowly takes no place, then a place, then a
/// connection.
pub(crate) async fn place<T: Transport>(
    lane: &Lane,
    client: &mut T,
    inbox: &mut Inbox,
    record: &Arc<Record>,
    wish: Wish,
    request: &mut Request,
    notice: &mut Option<Notice>,
) -> Result<Dispatch, Stopped> {
    let enough = lane.shared.plan.upstream.request_buffer;
    if !request.body.is_ended() {
        let received = match enough {
            0 => Received::Part,
            enough => receive(lane, client, inbox, record, request, enough).await?,
        };
        // Many clients do not read while they send.
        if received == Received::Part {
            *notice = None;
        }
    }
    let holder = Arc::clone(record);
    let attempt = lane.service.admission.attempt(wish.client, wish.class, holder);
    let permit = wait(lane, client, inbox, record, attempt, notice.as_mut()).await?;
    if notice.as_ref().is_some_and(|notice| notice.begun().is_some()) {
        notice::ask_for_identity(request);
    }
    connect(lane, client, inbox, record, wish, permit).await
}

/// Waits for what leads to a machine, within the lifetime of its exchange.
///
/// Cancel safety: as that of `led`, which is dropped when the time is over.
pub(crate) async fn in_lifetime<T>(
    record: &Record,
    lifetime: Option<Duration>,
    led: impl Future<Output = Result<T, Stopped>>,
) -> Result<T, Stopped> {
    let Some(lifetime) = lifetime else { return led.await };
    let led = clock::timeout_at(record.started() + lifetime, led).await;
    led.unwrap_or(Err(Stopped::Outcome(Outcome::TimedOut(TimedClock::Lifetime))))
}

/// Waits for the request body, or for enough of it, under the clock of the head.
async fn receive<T: Transport>(
    lane: &Lane,
    client: &mut T,
    inbox: &mut Inbox,
    record: &Record,
    request: &mut Request,
    enough: usize,
) -> Result<Received, Stopped> {
    let mut gather = Gather::new(&request.body, enough);
    record.enter(Stage::Receiving);
    if request.expects_continue && inbox.is_empty() {
        // The client waits for this word, and we for its body (RFC 9110 section 10.1.1).
        request.expectation_is_met();
        let wire = b"HTTP/1.1 100 Continue\r\n\r\n";
        if answer::write(client, wire).await < wire.len() {
            return Err(Stopped::Outcome(Outcome::ClientGone(Stage::Receiving, Departure::Left)));
        }
    }
    let received = poll_fn(|cx| {
        if let Poll::Ready(ending) = record.poll_ended(cx) {
            return Poll::Ready(Err(Stopped::Outcome(ending.outcome(Stage::Receiving))));
        }
        inbox.poll_gather(cx, client, &mut gather).map_err(|error| match error {
            GatherError::Gone(error) => {
                let departure = departure(error.as_ref());
                Stopped::Outcome(Outcome::ClientGone(Stage::Receiving, departure))
            }
            GatherError::Body(error) => Stopped::Body(error),
        })
    });
    let received = clock::timeout(lane.service.plan.clocks.head, received).await;
    received.unwrap_or(Err(Stopped::Outcome(Outcome::TimedOut(TimedClock::Head))))?;
    Ok(if gather.is_whole() { Received::Whole } else { Received::Part })
}

/// Waits for a place.
pub(crate) async fn wait<T: Transport>(
    lane: &Lane,
    client: &mut T,
    inbox: &mut Inbox,
    record: &Record,
    attempt: Attempt<Arc<Record>>,
    notice: Option<&mut Notice>,
) -> Result<Permit, Stopped> {
    record.asks_for_place();
    let permit = match attempt {
        Attempt::Admitted(permit) => Ok(permit),
        Attempt::Refused(refusal) => Err(refusal),
        Attempt::Waiting(waiting) => {
            let _queued = record.queue();
            waiting.held_by(Holder(record.id().into()));
            lane.service.warn_of_limits(lane.shared.observe.region());
            let waited = match notice {
                Some(notice) => {
                    notice.tell_while(lane, client, inbox, record, waiting.wait()).await
                }
                None => watching(client, inbox, record, waiting.wait()).await,
            };
            waited.map_err(|interrupted| Stopped::interrupted(interrupted, Stage::Queued))?
        }
    };
    let permit = permit.map_err(|refusal| {
        lane.service.warn_of_limits(lane.shared.observe.region());
        if let Some(line) = refusal::log_line(refusal) {
            tracing::error!(target: "outlast::proxy", region = lane.shared.observe.region(), "{line}");
        }
        Stopped::Refused(refusal)
    })?;
    record.dispatched(MachineSlot(permit.machine().0));
    record.enter(Stage::Connecting);
    Ok(permit)
}

async fn connect<T: Transport>(
    lane: &Lane,
    client: &mut T,
    inbox: &mut Inbox,
    record: &Arc<Record>,
    wish: Wish,
    permit: Permit,
) -> Result<Dispatch, Stopped> {
    lane.service.budget.earn();
    let permit = match lane.service.plan.limits.accounting {
        Accounting::Connections => permit,
        Accounting::Requests => match Dispatch::pooled(&lane.pool, &lane.service, permit, record) {
            Ok(dispatch) => return Ok(dispatch),
            Err(permit) => permit,
        },
    };
    let timeout = lane.settings(wish.route).clocks.connect;
    let connect = retry::connect(lane, record, permit, wish.class, timeout);
    watching(client, inbox, record, connect)
        .await
        .map_err(|interrupted| Stopped::interrupted(interrupted, Stage::Connecting))?
        .map_err(|error| Stopped::Outcome(connect_outcome(&error)))
}

pub(crate) fn connect_outcome(error: &ConnectError) -> Outcome {
    match error {
        ConnectError::TimedOut => Outcome::TimedOut(TimedClock::Connect),
        ConnectError::Shortage(missing) => Outcome::Refused(RefusalReason::Shortage(*missing)),
        ConnectError::Refused(error) => {
            tracing::debug!(%error, "connecting to a machine failed");
            Outcome::MachineFailed(Stage::Connecting, MachineFault::Connect)
        }
    }
}
