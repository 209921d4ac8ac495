//! A relay between two simulated pipes, and what is done with it everywhere.

use std::cell::Cell;
use std::future::poll_fn;

use outlast_http1::{
    Exchange, Failure, Finished, HeartbeatRule, Inbox, Observer, PENDING_MAX, ReadHead, RepeatRule,
    ReplayRule, Request, ResponseRules, Untrusted,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

pub(crate) const TRUST_ALL: Untrusted = |_| false;
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) sent: Cell<usize>,
    pub(crate) received: Cell<usize>,
    pub(crate) beaten: Cell<usize>,
}

impl Observer for Counts {
    fn responded(&self, _status: u16) {}
    fn sent(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes);
    }
    fn received(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes);
    }
    fn beaten(&self, bytes: usize) {
        self.beaten.set(self.beaten.get() + bytes);
    }
}

pub(crate) struct Rig {
    pub(crate) client: DuplexStream,
    pub(crate) machine: DuplexStream,
    pub(crate) inbox: Inbox,
    pub(crate) counts: Counts,
}

impl Rig {
    /// A relay with `pipe` bytes of room in each direction, and the two far ends.
    pub(crate) fn new(pipe: usize) -> (Self, DuplexStream, DuplexStream) {
        let (client, client_end) = duplex(pipe);
        let (machine, machine_end) = duplex(pipe);
        let rig = Self { client, machine, inbox: Inbox::default(), counts: Counts::default() };
        (rig, client_end, machine_end)
    }

    pub(crate) async fn request(&mut self) -> Box<Request> {
        match poll_fn(|cx| self.inbox.poll_request(cx, &mut self.client, TRUST_ALL)).await {
            ReadHead::Request(request) => request,
            other => panic!("no request: {other:?}"),
        }
    }

    pub(crate) async fn exchange(&mut self) -> Result<Finished, Failure> {
        let mut request = self.request().await;
        let rules = rules(&mut request, ReplayRule::Ignore);
        let mut exchange = Exchange::new(&mut request, b"", rules, &mut self.inbox)
            .map_err(Failure::RequestBody)?;
        let Self { client, machine, inbox, counts } = self;
        poll_fn(|cx| exchange.poll(cx, client, inbox, machine, counts)).await
    }
}

pub(crate) fn rules(request: &mut Request, replay: ReplayRule) -> ResponseRules {
    ResponseRules {
        is_head: request.is_head(),
        client_version: request.version,
        keep_alive: request.keep_alive,
        lines: Box::default(),
        replay,
        repeat: RepeatRule::Never,
        heartbeat: HeartbeatRule::Never,
        begun: None,
        buffer_max: PENDING_MAX,
        upgrade: request.upgrade.take(),
    }
}

pub(crate) fn begin(rig: &mut Rig, request: &mut Request, replay: ReplayRule) -> Exchange {
    let rules = rules(request, replay);
    Exchange::new(request, b"", rules, &mut rig.inbox).expect("no body")
}

/// Relays `request`, lets the machine answer with `response` and close once something of the request has come, and returns
/// what each side got.
pub(crate) async fn relay(
    request: &str,
    response: &str,
) -> (Result<Finished, Failure>, String, String) {
    let (mut rig, mut client, mut machine) = Rig::new(4096);
    client.write_all(request.as_bytes()).await.expect("room");
    let mut first = [0; 4];
    let (result, ()) = tokio::join!(rig.exchange(), async {
        machine.read_exact(&mut first).await.expect("a request");
        machine.write_all(response.as_bytes()).await.expect("room");
        machine.shutdown().await.expect("open");
    });
    drop(rig);
    let mut to_machine = String::from_utf8(first.to_vec()).expect("text");
    let mut to_client = String::new();
    client.read_to_string(&mut to_client).await.expect("text");
    machine.read_to_string(&mut to_machine).await.expect("text");
    (result, to_client, to_machine)
}

/// Reads a request head, answers, and returns the head.
pub(crate) async fn asked(machine: &mut DuplexStream, response: &[u8]) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(machine.read_u8().await.expect("a request"));
    }
    machine.write_all(response).await.expect("room");
    String::from_utf8(head).expect("text")
}
