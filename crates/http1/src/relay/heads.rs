//! The heads of a response, until the final one.

use std::task::{Context, Poll, ready};

use crate::body::Body;
use crate::head::{HeadError, INTERIM_HEADS_MAX};
use crate::pump::{Flow, PENDING_MAX};
use crate::response::{RepeatRule, Response, ResponseRules};
use crate::scratch;
use crate::transport::Transport;

use super::{Down, Failure};

/// What follows the final head.
pub(super) enum Answer {
    Body(Down),
    /// The change of protocol, and what is to be written to the client first.
    Upgrade(Vec<u8>),
}

/// Until the final head: interim heads are passed on as they come (RFC 9110 section 15.2).
#[derive(Debug)]
pub(super) struct Heads {
    pub(super) partial: Vec<u8>,
    pub(super) rules: ResponseRules,
    pub(super) interim: Flow,
    interim_count: u8,
    /// Whether the client has got a part of an interim head.
    pub(super) is_amid_interim: bool,
    /// The whole request, where it may be sent on.
    pub(super) request: Option<Box<[u8]>>,
}

impl Heads {
    pub(super) fn new(rules: ResponseRules, request: Option<Box<[u8]>>) -> Box<Self> {
        let interim = Flow::new(Body::none(), Vec::new(), PENDING_MAX);
        let (partial, interim_count, is_amid_interim) = (Vec::new(), 0, false);
        Box::new(Self { partial, rules, interim, interim_count, is_amid_interim, request })
    }

    /// Whether the request may be sent again: it asks for nothing to be changed, and no byte of an answer has come.
    pub(super) fn may_repeat(&self) -> bool {
        self.rules.repeat == RepeatRule::Safe && self.partial.is_empty() && self.interim_count == 0
    }

    /// Reads once; None if the final head is not complete yet.
    pub(super) fn poll_read<M: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        machine: &mut M,
    ) -> Poll<Result<Option<Answer>, Failure>> {
        scratch::with(|buf| {
            let read = match ready!(machine.poll_read(cx, buf)) {
                Ok(0) => return Poll::Ready(Err(Failure::MachineConnection(None))),
                Ok(read) => read,
                Err(error) => return Poll::Ready(Err(Failure::MachineConnection(Some(error)))),
            };
            if self.partial.is_empty() {
                return Poll::Ready(self.parse(&mut buf[..read]));
            }
            let mut bytes = std::mem::take(&mut self.partial);
            bytes.extend_from_slice(&buf[..read]);
            Poll::Ready(self.parse(&mut bytes))
        })
    }

    fn parse(&mut self, bytes: &mut [u8]) -> Result<Option<Answer>, Failure> {
        let mut wire = self.interim.take_pending();
        let mut at = 0;
        let (mut response, final_from) = loop {
            let final_from = wire.len();
            let parsed = Response::parse(&bytes[at..], &self.rules, &mut wire)
                .map_err(Failure::ResponseHead)?;
            let Some((response, length)) = parsed else {
                self.partial = bytes[at..].to_vec();
                self.interim = Flow::new(Body::none(), wire, PENDING_MAX);
                return Ok(None);
            };
            at += length;
            if !response.is_interim() {
                break (response, final_from);
            }
            self.interim_count += 1;
            if self.interim_count > INTERIM_HEADS_MAX {
                return Err(Failure::ResponseHead(HeadError::TooManyInterims));
            }
        };
        if let Some(replay) = response.replay.take().filter(|_| self.request.is_some()) {
            // What the client has begun to get it gets; the head of this answer it does not.
            wire.truncate(final_from);
            self.interim = Flow::new(Body::none(), wire, PENDING_MAX);
            return Err(Failure::Replay(replay));
        }
        if self.rules.begun.is_some() && response.messages.is_none() {
            return Err(Failure::ResponseHead(HeadError::NotContinued(response.status)));
        }
        if response.is_upgrade() {
            wire.extend_from_slice(&bytes[at..]);
            return Ok(Some(Answer::Upgrade(wire)));
        }
        let messages = response.messages.filter(|_| response.body.gap().is_some());
        let mut flow = Flow::with_messages(response.body, wire, self.rules.buffer_max, messages);
        let body = &mut bytes[at..];
        let consumed = flow.feed(body).map_err(Failure::ResponseBody)?;
        Ok(Some(Answer::Body(Down::Body {
            flow,
            tail: response.tail,
            status: response.status,
            client_keep_alive: response.client_keep_alive,
            machine_keep_alive: response.machine_keep_alive && consumed == body.len(),
        })))
    }
}
