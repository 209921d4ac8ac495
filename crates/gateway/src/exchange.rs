//! The life of one HTTP exchange, from its head to its outcome.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use outlast_admission::{Class, MachineKey};
use outlast_config::{Accounting, QueueNotice, RouteId, RouteSettings};
use outlast_http1::{
    Exchange, Failure, Finished, HalfClose, HeartbeatRule, Inbox, RepeatRule, Request,
    ResponseRules, Stage, Transport,
};
use outlast_observe::{
    Ending, ExchangeStart, MachineSlot, Outcome, RecordGuard, RequestId, TimedClock,
};

use crate::answer::{Include, Next};
use crate::clocks::{Clocks, Situation};
use crate::ending::{Begun, Cut, Reply, fail, stop};
use crate::gateway::Lane;
use crate::heartbeat::Heartbeat;
use crate::machine::Fault;
use crate::notice::Notice;
use crate::place::{Wish, in_lifetime, place};
use crate::upstream::{Dispatch, Origin};
use crate::vigil::{Vigil, broken_end, departed};
use crate::visitor::Visitor;
use crate::{headers, notice, refusal, retry};

/// An exchange at a machine: all that is kept for the hours of a stream, in one piece of memory.
struct Live {
    /// None between two connections. First, so that it is dropped first: with its outcome written, an exchange has no place.
    dispatch: Option<Dispatch>,
    guard: RecordGuard,
    reply: Reply,
    route: RouteId,
    exchange: Exchange,
    /// The machines that sent it on.
    tried: Vec<MachineKey>,
    vigil: Vigil,
    clocks: Clocks,
    heartbeat: Heartbeat,
    /// Whether its machine is known to have begun to answer.
    answered: bool,
}

/// Runs one exchange and says what happens to the client's connection.
///
/// Cancel safety: dropping the future closes the upstream connection, gives the place back and writes the record.
pub(crate) async fn run<T: Transport>(
    lane: &Lane,
    client: &mut T,
    inbox: &mut Inbox,
    peer: SocketAddr,
    request: Box<Request>,
) -> Next {
    // Boxed: what leads to a machine is short, and the exchange then lasts for hours in the room it would have taken.
    match Box::pin(dispatch(lane, client, inbox, peer, request)).await {
        Ok(live) => relay(lane, client, inbox, live).await,
        Err(next) => next,
    }
}

/// Leads an exchange to a machine, or answers it: then the error says what happens to the client's connection.
async fn dispatch<T: Transport>(
    lane: &Lane,
    client: &mut T,
    inbox: &mut Inbox,
    peer: SocketAddr,
    mut request: Box<Request>,
) -> Result<Box<Live>, Next> {
    let id = RequestId::generate();
    let class = lane.service.class(&lane.shared.plan, &request.target.path);
    let route = lane.service.plan.routes.find(&request.target.path);
    let visitor = lane.shared.reception.receive(peer, &mut request);
    let wish = Wish { client: visitor.key(), class, route };
    let refusal = refusal::form_for(lane.settings(route).refusal, &request);
    inbox.set_half_close(match lane.settings(route).half_close {
        outlast_config::HalfClose::Gone => HalfClose::Gone,
        outlast_config::HalfClose::Keep => HalfClose::Keep,
    });
    let guard = lane.begin(peer, id, &mut request.target);
    let include = if request.is_head() { Include::HeadOnly } else { Include::Body };
    let lifetime = lane.settings(route).clocks.lifetime;
    let lines = || notice::lines(lane, guard.record());
    let mut notice = Notice::offered(lane.settings(route).queue_notice, &request, lines);
    let led = place(lane, client, inbox, guard.record(), wish, &mut request, &mut notice);
    let led = in_lifetime(guard.record(), lifetime, led).await;
    let begun = notice.as_ref().and_then(Notice::begun);
    let dispatch = match led {
        Ok(dispatch) => dispatch,
        Err(stopped) => {
            let keeps_alive = request.keep_alive && request.discard_body(inbox);
            let next = if keeps_alive { Next::KeepAlive } else { Next::Close };
            let reply = Reply { id, class, include, next, refusal, begun };
            if let Some(notice) = &mut notice {
                // What cannot be written is followed by what cannot be, either.
                notice.flush(client, guard.record()).await.ok();
            }
            return Err(stop(lane, client, guard, reply, stopped).await);
        }
    };
    let reply = Reply { id, class, include, next: Next::Close, refusal, begun };
    guard.record().enter(Stage::Waiting);
    if request.host.is_empty() {
        request.name_host(&lane.service.authority(dispatch.machine()));
    }
    match begin(lane, inbox, (id, route, begun), &visitor, &mut request, dispatch.origin) {
        Ok(exchange) => {
            let (dispatch, tried) = (Some(dispatch), Vec::new());
            let (vigil, clocks) = (Vigil::default(), Clocks::default());
            let heartbeat = Heartbeat::default();
            Ok(Box::new(Live {
                guard,
                reply,
                route,
                exchange,
                dispatch,
                tried,
                vigil,
                clocks,
                heartbeat,
                answered: false,
            }))
        }
        Err(error) => {
            drop(dispatch);
            let cut = Cut::Failure(error);
            Err(fail(lane, client, guard, reply, cut, Begun::No).await)
        }
    }
}

async fn relay<T: Transport>(
    lane: &Lane,
    client: &mut T,
    inbox: &mut Inbox,
    mut live: Box<Live>,
) -> Next {
    let cut = loop {
        let moved = poll_fn(|cx| {
            let Live {
                guard, exchange, dispatch, vigil, clocks, heartbeat, route, answered, ..
            } = &mut *live;
            let record = guard.record();
            if let Poll::Ready(by) = record.poll_ended(cx) {
                return Poll::Ready(Err(Cut::Ended(by)));
            }
            let dispatch = dispatch.as_mut().expect("it is at a machine");
            let (key, machine) = (dispatch.machine(), &mut dispatch.stream);
            let moved = exchange.poll(cx, client, inbox, machine, &**record);
            if !*answered && exchange.has_responded() {
                *answered = true;
                lane.service.answered(key);
            }
            match moved {
                Poll::Ready(result) => Poll::Ready(result.map_err(Cut::Failure)),
                Poll::Pending => {
                    let ours = lane.settings(*route);
                    let ends = (&mut *exchange, &mut *client);
                    let beaten = || lane.shared.observe.heartbeat(lane.service.index);
                    heartbeat
                        .poll(cx, ours.heartbeat, ends, record, beaten)
                        .map_err(Cut::Failure)?;
                    let situation = || Situation::from(&*exchange);
                    let clock = clocks.poll(cx, &ours.clocks, record, situation);
                    if let Poll::Ready(clock) = clock {
                        return Poll::Ready(Err(Cut::TimedOut(clock)));
                    }
                    let is_deaf = || exchange.is_deaf() || inbox.is_full() || inbox.is_finished();
                    let look = || lost(exchange, client, inbox.half_close(), machine);
                    vigil.poll(cx, is_deaf, look).map(|failure| Err(Cut::Failure(failure)))
                }
            }
        });
        match moved.await {
            Ok(finished) => return settle(lane, *live, finished),
            Err(cut) => match Box::pin(live.recover(lane, cut)).await {
                Ok(()) => {}
                Err(cut) => break cut,
            },
        }
    };
    Box::pin(broken(lane, client, *live, cut)).await
}

/// What has become of peers that were not read. A client that has finished within an exchange is gone or not, as one that is read
/// would be; within a tunnel it is not.
fn lost<C: Transport, M: Transport>(
    exchange: &Exchange,
    client: &C,
    half_close: HalfClose,
    machine: &M,
) -> Option<Failure> {
    if !exchange.is_tunnel() {
        return departed(client, half_close).map(Failure::ClientGone);
    }
    broken_end(client, machine).map(Into::into)
}

/// The exchange cannot go on.
async fn broken<T: Transport>(lane: &Lane, client: &mut T, live: Live, cut: Cut) -> Next {
    let Live { guard, reply, exchange, dispatch, .. } = live;
    // Before anything is said to the client: its machine is free at once.
    drop(dispatch);
    let begun = if exchange.has_responded() { Begun::Yes } else { Begun::No };
    fail(lane, client, guard, reply, cut, begun).await
}

/// A machine that took a request on a new connection and did not begin to answer has failed. A pooled connection may have been
/// closed for its age.
fn blame(lane: &Lane, exchange: &Exchange, dispatch: &Dispatch, cut: &Cut) {
    if exchange.has_responded() {
        return;
    }
    let fault = match cut {
        Cut::Failure(Failure::MachineConnection(_)) if dispatch.origin == Origin::Fresh => {
            Fault::Closed
        }
        Cut::TimedOut(TimedClock::ResponseHead) => Fault::Silent,
        _ => return,
    };
    lane.service.failed(dispatch.machine(), fault);
}

impl Live {
    /// Goes on at another connection where that is safe: a pooled one was dead and had taken nothing, or the machine
    /// sends the request on to another one.
    async fn recover(&mut self, lane: &Lane, cut: Cut) -> Result<(), Cut> {
        let timeout = lane.settings(self.route).clocks.connect;
        let mut dispatch = self.dispatch.take().expect("it was at a machine");
        if let Cut::Ended(Ending::MachineVanished) = cut {
            // Nothing that it has not taken need be sent again.
            dispatch.stream.abort_on_drop();
        }
        let other = match cut {
            Cut::Failure(Failure::MachineConnection(_))
                if dispatch.origin == Origin::Pooled && self.exchange.can_restart() =>
            {
                let (record, class) = (self.guard.record(), self.reply.class);
                let other = retry::connect(lane, record, dispatch.into_permit(), class, timeout);
                other.await.map_err(Cut::Connect)?
            }
            Cut::Failure(Failure::Replay(to)) => {
                self.tried.push(dispatch.machine());
                drop(dispatch);
                let machine = lane.service.replay_target(&to, &self.tried);
                let machine = machine.ok_or(Cut::ReplayedNowhere)?;
                let record = self.guard.record();
                let admission = &lane.service.admission;
                let permit = admission.attempt_at(machine, self.reply.class, Arc::clone(record));
                let permit = permit.map_err(Cut::Refused)?;
                record.dispatched(MachineSlot(machine.0));
                let connect = Dispatch::connect(&lane.service, permit, timeout, record);
                let other = connect.await.map_err(|error| {
                    if let Some(fault) = retry::fault(&error) {
                        lane.service.failed(machine, fault);
                    }
                    Cut::Connect(error)
                })?;
                self.exchange.replay(lane.service.replay_rule(self.tried.len() + 1));
                // The next machine has answered nothing, and all its time.
                (self.answered, self.clocks) = (false, Clocks::default());
                other
            }
            cut => {
                blame(lane, &self.exchange, &dispatch, &cut);
                return Err(cut);
            }
        };
        self.dispatch = Some(other);
        Ok(())
    }
}

fn begin(
    lane: &Lane,
    inbox: &mut Inbox,
    (id, route, begun): (RequestId, RouteId, Option<QueueNotice>),
    visitor: &Visitor,
    request: &mut Request,
    origin: Origin,
) -> Result<Exchange, Failure> {
    let is_safe = matches!(&*request.target.method, "GET" | "HEAD" | "OPTIONS");
    let region = lane.shared.observe.region();
    let lines = headers::for_machine(visitor, lane.service.plan.listen, region, id);
    let rules = ResponseRules {
        is_head: request.is_head(),
        client_version: request.version,
        keep_alive: request.keep_alive,
        lines: headers::for_client(region, id).into_bytes().into(),
        replay: lane.service.replay_rule(1),
        repeat: if is_safe && request.body.is_ended() && origin == Origin::Pooled {
            RepeatRule::Safe
        } else {
            RepeatRule::Never
        },
        upgrade: request.upgrade.take(),
        begun: begun.map(notice::kind),
        buffer_max: lane.shared.plan.buffer_max,
        heartbeat: match lane.settings(route).heartbeat {
            Some(_) => HeartbeatRule::BetweenMessages,
            None => HeartbeatRule::Never,
        },
    };
    Exchange::new(request, lines.as_bytes(), rules, inbox).map_err(Failure::RequestBody)
}

/// The response is complete.
fn settle(lane: &Lane, live: Live, finished: Finished) -> Next {
    let Live { guard, reply, dispatch, .. } = live;
    let dispatch = dispatch.expect("it was at a machine");
    if finished.machine_keep_alive {
        match lane.service.plan.limits.accounting {
            Accounting::Requests => dispatch.into_pool(lane),
            // The reserve is small, and the next control call needs it.
            Accounting::Connections if reply.class == Class::Control => drop(dispatch),
            Accounting::Connections => {
                let idle_timeout = lane.shared.plan.upstream.idle_timeout;
                lane.tasks.spawn_uncancelled(dispatch.linger(idle_timeout));
            }
        }
    } else {
        drop(dispatch);
    }
    guard.finish(Outcome::Completed);
    if finished.client_keep_alive { Next::KeepAlive } else { Next::Close }
}

impl Lane {
    /// What holds for the exchanges of a route.
    pub(crate) fn settings(&self, route: RouteId) -> &RouteSettings {
        self.service.plan.routes.settings(route)
    }

    /// Opens the record of an exchange.
    pub(crate) fn begin(
        &self,
        peer: SocketAddr,
        id: RequestId,
        target: &mut outlast_http1::RequestTarget,
    ) -> RecordGuard {
        let start = ExchangeStart {
            id,
            service: self.service.index,
            client: peer,
            method: target.method.clone(),
            path: std::mem::take(&mut target.path),
        };
        self.shared.observe.begin(self.thread, start)
    }
}
