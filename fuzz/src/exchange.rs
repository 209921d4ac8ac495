//! Exchanges as the gateway makes them, with one side played by the fuzzer.

use std::task::{Context, Poll, Waker};

use outlast_http1::{
    Exchange, Failure, Finished, HeartbeatRule, Inbox, Observer, PENDING_MAX, ReadHead, RepeatRule,
    ReplayRule, Request, RequestTarget, ResponseRules, Version, is_forwarding_claim,
};

use crate::pieces::Pieces;

/// The response that a client was given.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered {
    /// Everything that was written to it.
    pub bytes: Vec<u8>,
    /// The status of the final head.
    pub status: u16,
    /// Whether it may send another request.
    pub keep_alive: bool,
}

/// A request that a machine was given, whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    /// What the gateway takes it for.
    pub target: RequestTarget,
    /// Its host.
    pub host: Box<str>,
    /// Everything that was written to the machine.
    pub bytes: Vec<u8>,
}

struct Nobody;

impl Observer for Nobody {
    fn responded(&self, _status: u16) {}
    fn sent(&self, _bytes: usize) {}
    fn received(&self, _bytes: usize) {}
    fn beaten(&self, _bytes: usize) {}
}

/// Relays what a machine answers, in pieces, until it closes.
///
/// # Errors
/// What it answers is refused, which may be after some of it was relayed.
pub fn answer(
    response: &[u8],
    piece: usize,
    method: &str,
    client_version: Version,
) -> Result<Answered, Failure> {
    let head = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
    let parsed = Request::parse(head.as_bytes(), is_forwarding_claim);
    let (mut request, _length) = parsed.expect("it is valid").expect("it is whole");
    let rules = ResponseRules { client_version, ..rules(&request) };
    let (mut client, mut machine) = (Pieces::silent(), Pieces::answering(response, piece));
    let finished = exchange(&mut request, rules, &mut client, &mut Inbox::default(), &mut machine)?;
    let (status, keep_alive) = (finished.status, finished.client_keep_alive);
    Ok(Answered { bytes: client.written, status, keep_alive })
}

/// Answers every request of a client until its connection ends, and says what the machine heard.
#[must_use]
pub fn converse(requests: &[u8], piece: usize) -> Vec<Heard> {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut cx = Context::from_waker(Waker::noop());
    let (mut client, mut inbox) = (Pieces::closing(requests, piece), Inbox::default());
    let mut heard = Vec::new();
    loop {
        let read = inbox.poll_request(&mut cx, &mut client, is_forwarding_claim);
        let Poll::Ready(read) = read else { unreachable!("the client is never silent") };
        // As in the gateway: whatever is not a request ends the connection.
        let ReadHead::Request(mut request) = read else { return heard };
        let (target, host) = (request.target.clone(), request.host.clone());
        let (rules, mut machine) = (rules(&request), Pieces::answering(ANSWER, ANSWER.len()));
        let finished = exchange(&mut request, rules, &mut client, &mut inbox, &mut machine);
        let Ok(finished) = finished else { return heard };
        heard.push(Heard { target, host, bytes: machine.written });
        if !finished.client_keep_alive {
            return heard;
        }
    }
}

fn rules(request: &Request) -> ResponseRules {
    ResponseRules {
        is_head: request.is_head(),
        client_version: request.version,
        keep_alive: request.keep_alive,
        lines: Box::default(),
        replay: ReplayRule::Ignore,
        repeat: RepeatRule::Never,
        upgrade: request.upgrade.clone(),
        heartbeat: HeartbeatRule::Never,
        begun: None,
        buffer_max: PENDING_MAX,
    }
}

fn exchange(
    request: &mut Request,
    rules: ResponseRules,
    client: &mut Pieces<'_>,
    inbox: &mut Inbox,
    machine: &mut Pieces<'_>,
) -> Result<Finished, Failure> {
    let mut exchange = Exchange::new(request, b"", rules, inbox).map_err(Failure::RequestBody)?;
    let mut cx = Context::from_waker(Waker::noop());
    match exchange.poll(&mut cx, client, inbox, machine, &Nobody) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("the machine is never silent"),
    }
}
