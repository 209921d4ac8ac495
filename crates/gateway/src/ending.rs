//! How an exchange ends that is not complete, and what its client is told.

use std::io;

use outlast_admission::{Class, Refusal};
use outlast_config::{QueueNotice, RefusalForm};
use outlast_http1::{
    BodyError, Failure, HeadError, Observer as _, Stage, Transport, is_of_vanished,
};
use outlast_observe::{
    Departure, Ending, MachineFault, Outcome, RecordGuard, RefusalReason, RequestId, TimedClock,
};

use crate::answer::{Answer, Include, Next};
use crate::gateway::Lane;
use crate::place::connect_outcome;
use crate::upstream::ConnectError;
use crate::watch::Interrupted;
use crate::{answer, notice, refusal};

/// Why an exchange did not reach a machine.
#[derive(Debug)]
pub(crate) enum Stopped {
    Refused(Refusal),
    /// The request body is none.
    Body(BodyError),
    /// The machine's response, with this status, cannot continue what the client was told while it waited.
    NotContinued(Stage, u16),
    Outcome(Outcome),
}

/// Why the relay stopped.
pub(crate) enum Cut {
    Failure(Failure),
    Ended(Ending),
    TimedOut(TimedClock),
    Connect(ConnectError),
    /// The machine that the request was sent on to has no place.
    Refused(Refusal),
    /// The request was sent on to a machine that is not there, or has had it.
    ReplayedNowhere,
}

/// What is needed to answer the client, whatever happens.
pub(crate) struct Reply {
    pub(crate) id: RequestId,
    pub(crate) class: Class,
    pub(crate) include: Include,
    /// Whether the connection can carry another request after an answer of ours.
    pub(crate) next: Next,
    /// How it is told that there is no place.
    pub(crate) refusal: RefusalForm,
    /// What it has been told while it waited for one: then its response has begun.
    pub(crate) begun: Option<QueueNotice>,
}

/// Whether the client has got something of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    No,
    /// It sees that it is cut: by its framing, or, where only a close delimits it, by a reset.
    Yes,
}

/// The response is not complete, and will not be.
pub(crate) async fn fail<T: Transport>(
    lane: &Lane,
    client: &mut T,
    guard: RecordGuard,
    reply: Reply,
    cut: Cut,
    begun: Begun,
) -> Next {
    let stage = guard.record().stage();
    let stopped = match cut {
        Cut::Refused(refusal) => Stopped::Refused(refusal),
        Cut::Failure(Failure::RequestBody(error)) => Stopped::Body(error),
        Cut::ReplayedNowhere | Cut::Failure(Failure::Replay(_)) => {
            Stopped::Outcome(Outcome::MachineFailed(stage, MachineFault::Replay))
        }
        Cut::Ended(ending) => Stopped::Outcome(ending.outcome(stage)),
        Cut::TimedOut(clock) => Stopped::Outcome(Outcome::TimedOut(clock)),
        Cut::Connect(error) => Stopped::Outcome(connect_outcome(&error)),
        Cut::Failure(Failure::ClientGone(error)) => {
            Stopped::Outcome(Outcome::ClientGone(stage, departure(error.as_ref())))
        }
        Cut::Failure(Failure::MachineConnection(error)) => {
            Stopped::Outcome(Outcome::MachineFailed(stage, closed(error.as_ref())))
        }
        Cut::Failure(Failure::ResponseHead(HeadError::NotContinued(status))) => {
            Stopped::NotContinued(stage, status)
        }
        Cut::Failure(Failure::ResponseHead(error)) => bad_response(stage, error.rule()),
        Cut::Failure(Failure::ResponseBody(error)) => bad_response(stage, error.rule()),
    };
    match begun {
        Begun::No => stop(lane, client, guard, reply, stopped).await,
        Begun::Yes => {
            stopped.free(client);
            guard.finish(stopped.outcome());
            Next::Drop
        }
    }
}

fn bad_response(stage: Stage, rule: &'static str) -> Stopped {
    Stopped::Outcome(Outcome::MachineFailed(stage, MachineFault::Response(rule)))
}

/// Answers an exchange that has got nothing of a machine's response.
pub(crate) async fn stop<T: Transport>(
    lane: &Lane,
    client: &mut T,
    guard: RecordGuard,
    reply: Reply,
    stopped: Stopped,
) -> Next {
    stopped.free(client);
    let region = lane.shared.observe.region();
    let outcome = stopped.outcome();
    let answer = match stopped {
        Stopped::Refused(refused) => Some(refusal::refused(refused, reply.id, region)),
        Stopped::Body(error) => Some(refusal::bad_body(&error, reply.id, region)),
        Stopped::NotContinued(_, status) => Some(refusal::not_continued(status, reply.id, region)),
        Stopped::Outcome(outcome) => refusal::failed(outcome, reply.id, region),
    };
    match answer {
        Some(answer) if let Some(form) = reply.begun => {
            let written = answer::write(client, &notice::last_word(form, &answer)).await;
            guard.record().sent(written);
            guard.finish(outcome);
            // It is cut: the last chunk is missing. But what was said shall arrive.
            Next::Close
        }
        Some(answer) => {
            let answer = refusal::in_form(reply.refusal, answer);
            answer_with(lane, client, guard, reply, outcome, &answer).await
        }
        None => {
            guard.finish(outcome);
            Next::Drop
        }
    }
}

async fn answer_with<T: Transport>(
    lane: &Lane,
    client: &mut T,
    guard: RecordGuard,
    reply: Reply,
    outcome: Outcome,
    answer: &Answer,
) -> Next {
    let is_draining = matches!(outcome, Outcome::Refused(RefusalReason::Draining));
    let next = if is_draining { Next::Close } else { reply.next };
    let id = (reply.id, lane.shared.observe.region());
    let (bytes, next) = answer.send(client, Some(id), next, reply.include).await;
    guard.record().answered(answer.status, bytes);
    guard.finish(outcome);
    next
}

/// How a client went, by the error of its transport.
pub(crate) fn departure(error: Option<&io::Error>) -> Departure {
    if error.is_some_and(is_of_vanished) { Departure::Vanished } else { Departure::Left }
}

/// How a machine's connection ended, likewise.
pub(crate) fn closed(error: Option<&io::Error>) -> MachineFault {
    if error.is_some_and(is_of_vanished) { MachineFault::Vanished } else { MachineFault::Closed }
}

impl Stopped {
    /// What the kernel still keeps for a client that has vanished, it need not keep, nor send again.
    fn free(&self, client: &mut impl Transport) {
        if let Self::Outcome(Outcome::ClientGone(_, Departure::Vanished)) = self {
            client.abort_on_drop();
        }
    }

    pub(crate) fn interrupted(interrupted: Interrupted, stage: Stage) -> Self {
        Self::Outcome(match interrupted {
            Interrupted::ClientGone(departure) => Outcome::ClientGone(stage, departure),
            Interrupted::Ended(ending) => ending.outcome(stage),
        })
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(refused) => Outcome::Refused(refusal::reason(*refused)),
            Self::Body(error) => Outcome::Refused(RefusalReason::BadRequest(error.rule())),
            Self::NotContinued(stage, status) => {
                let rule = HeadError::NotContinued(*status).rule();
                Outcome::MachineFailed(*stage, MachineFault::Response(rule))
            }
            Self::Outcome(outcome) => *outcome,
        }
    }
}
