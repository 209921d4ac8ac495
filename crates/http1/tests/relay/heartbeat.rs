//! Signs of life: between messages, and such that nobody who reads the stream sees a difference.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};

use outlast_http1::{
    Beat, Exchange, Failure, Finished, HeartbeatRule, ReplayRule, ResponseRules, Transport,
};
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::rig::{GET, Rig, rules};

/// Room for everything that a test sends.
const AMPLE: usize = 64 * 1024;

/// A relay whose every step the test takes.
struct Stepped {
    rig: Rig,
    exchange: Exchange,
    finished: Option<Result<Finished, Failure>>,
    client: DuplexStream,
    machine: DuplexStream,
    got: Vec<u8>,
    beats: usize,
    woken: Arc<Woken>,
}

/// Whether whoever gave a sign of life was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Stepped {
    /// With `room` bytes between the relay and the client.
    async fn new(request: &str, room: usize, heartbeat: HeartbeatRule) -> Self {
        let (mut rig, _, machine) = Rig::new(AMPLE);
        let (client, mut client_end) = duplex(room);
        rig.client = client;
        let (_, mut request) =
            tokio::join!(client_end.write_all(request.as_bytes()), rig.request());
        let rules = ResponseRules { heartbeat, ..rules(&mut request, ReplayRule::Ignore) };
        let exchange = Exchange::new(&mut request, b"", rules, &mut rig.inbox).expect("no body");
        let (finished, got, beats, woken) = (None, Vec::new(), 0, Arc::default());
        let mut stepped =
            Self { rig, exchange, finished, client: client_end, machine, got, beats, woken };
        stepped.step().await;
        stepped
    }

    /// Relays what there is, as far as the client takes it.
    async fn step(&mut self) {
        if self.finished.is_some() {
            return;
        }
        let Rig { client, machine, inbox, counts } = &mut self.rig;
        let exchange = &mut self.exchange;
        self.finished = poll_fn(|cx| {
            Poll::Ready(match exchange.poll(cx, client, inbox, machine, counts) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            })
        })
        .await;
    }

    /// The machine sends a piece.
    async fn say(&mut self, piece: impl AsRef<[u8]>) {
        self.machine.write_all(piece.as_ref()).await.expect("room");
        self.step().await;
    }

    async fn beat(&mut self) -> Beat {
        let Rig { client, counts, .. } = &mut self.rig;
        let waker = Arc::clone(&self.woken).into();
        let beat = self.exchange.beat(&mut Context::from_waker(&waker), client, counts);
        let beat = beat.expect("the client is there");
        self.beats += usize::from(beat == Beat::Sent);
        beat
    }

    /// The client reads at most so much of what is there.
    async fn hear(&mut self, at_most: usize) {
        let mut buf = vec![0; at_most];
        let client = &mut self.client;
        let read = poll_fn(|cx| Poll::Ready(Transport::poll_read(client, cx, &mut buf))).await;
        if let Poll::Ready(read) = read {
            self.got.extend_from_slice(&buf[..read.expect("open")]);
        }
    }

    /// What the client has got, and reads now.
    async fn heard(&mut self) -> String {
        self.hear(AMPLE).await;
        String::from_utf8(std::mem::take(&mut self.got)).expect("text")
    }

    /// The machine closes; returns how it ended and the body that the client got, as it was framed.
    async fn end(mut self) -> (Result<Finished, Failure>, Vec<u8>) {
        self.machine.shutdown().await.expect("open");
        while self.finished.is_none() {
            self.step().await;
            self.hear(64).await;
        }
        drop(self.rig);
        self.client.read_to_end(&mut self.got).await.expect("open");
        let head = self.got.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        (self.finished.expect("as waited for"), self.got.split_off(head + 4))
    }
}

/// A stream as the standard reads it (WHATWG HTML section 9.2.6): what a program sees of each event, and the retry times.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    events: Vec<(String, String, String)>,
    retries: Vec<u64>,
    /// What a connection after this one would claim to have got.
    last_event_id: Option<String>,
}

fn parse_events(stream: &str) -> Seen {
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
    let (mut seen, mut rest) = (Seen::default(), stream);
    let (mut data, mut kind, mut id) = (String::new(), String::new(), String::new());
    while let Some(end) = rest.find(['\r', '\n']) {
        let line = &rest[..end];
        rest = rest[end..].strip_prefix("\r\n").unwrap_or(&rest[end + 1..]);
        if line.is_empty() {
            seen.last_event_id = Some(id.clone());
            if !data.is_empty() {
                data.pop();
                seen.events.push((kind.clone(), data.clone(), id.clone()));
            }
            data.clear();
            kind.clear();
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => data.extend([value, "\n"]),
            "event" => kind = value.to_owned(),
            "id" => id = value.to_owned(),
            "retry" => seen.retries.extend(value.parse::<u64>().ok()),
            _ => {}
        }
    }
    seen
}

fn parse_lines(stream: &str) -> Vec<&str> {
    stream.split('\n').filter(|line| !line.trim().is_empty()).collect()
}

/// The content of a chunked body, read by somebody who allows nothing but chunks and the end.
fn unchunk(mut wire: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let end = wire.windows(2).position(|two| two == b"\r\n").expect("a chunk size line");
        let line = std::str::from_utf8(&wire[..end]).expect("text");
        let digits = line.split(';').next().expect("a first part");
        let size = usize::from_str_radix(digits, 16).expect("a chunk size");
        wire = &wire[end + 2..];
        if size == 0 {
            assert_eq!(wire, b"\r\n", "nothing follows the end");
            return content;
        }
        content.extend_from_slice(&wire[..size]);
        assert_eq!(&wire[size..size + 2], b"\r\n");
        wire = &wire[size + 2..];
    }
}

fn event() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => "data:[ ]?[a-zé:]{0,8}",
        1 => "id: [0-9]{0,3}",
        1 => "event:[a-z]{0,4}",
        1 => "retry: [0-9]{1,3}",
        1 => ":[ a-z]{0,5}",
        1 => "[a-z]{1,5}",
        1 => " data: x",
    ];
    let line_end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (prop::collection::vec(line, 0..4), line_end).prop_map(|(lines, line_end)| {
        let lines: String = lines.iter().map(|line| format!("{line}{line_end}")).collect();
        lines + line_end
    })
}

fn events() -> impl Strategy<Value = String> {
    let mark = prop::sample::select(vec!["", "", "\u{feff}"]);
    let rest = prop::sample::select(vec!["", "", "data: cut", "data: cut\n", "\r", "id"]);
    (mark, prop::collection::vec(event(), 0..6), rest)
        .prop_map(|(mark, events, rest)| format!("{mark}{}{rest}", events.concat()))
}

fn lines() -> impl Strategy<Value = String> {
    let line = "(\\{\"[a-zé\r]{0,6}\":\"[a-z ]{0,9}\"\\})(\r?)\n(\n?)";
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.concat())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Chunked,
    Close,
    /// The client speaks HTTP/1.0, the machine sends chunks.
    Decoded,
}

/// Where the content is cut into chunks, where the wire is cut into reads, and what happens between two of them.
#[derive(Debug, Clone)]
struct Plan {
    framing: Framing,
    chunks: Vec<Index>,
    reads: Vec<(Index, Step)>,
    room: usize,
}

#[derive(Debug, Clone)]
struct Step {
    beats: usize,
    /// After each beat the client reads at most so much.
    heard: usize,
}

fn plan() -> impl Strategy<Value = Plan> {
    let framing = prop_oneof![Just(Framing::Chunked), Just(Framing::Close), Just(Framing::Decoded)];
    let step = (0usize..3, 0usize..60).prop_map(|(beats, heard)| Step { beats, heard });
    let reads = prop::collection::vec((any::<Index>(), step), 0..24);
    let room = prop::sample::select(vec![7, 100, AMPLE]);
    let chunks = prop::collection::vec(any::<Index>(), 0..12);
    (framing, chunks, reads, room).prop_map(|(framing, chunks, reads, room)| Plan {
        framing,
        chunks,
        reads,
        room,
    })
}

fn cuts(cuts: impl Iterator<Item = usize>, end: usize) -> Vec<usize> {
    let mut cuts: Vec<_> = cuts.chain([0, end]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

fn wire(content: &[u8], plan: &Plan) -> Vec<u8> {
    if plan.framing == Framing::Close {
        return content.to_vec();
    }
    let cuts = cuts(plan.chunks.iter().map(|cut| cut.index(content.len() + 1)), content.len());
    let mut wire = Vec::new();
    for (number, ends) in cuts.windows(2).enumerate() {
        let chunk = &content[ends[0]..ends[1]];
        let extension = if number == 2 { ";a=\"b\"" } else { "" };
        wire.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

/// Relays `content` as planned; returns what the client got of it and how many signs of life were put in.
async fn relayed(media_type: &str, content: &str, plan: &Plan) -> (String, usize) {
    let request = if plan.framing == Framing::Decoded { "GET / HTTP/1.0\r\n\r\n" } else { GET };
    let mut stepped = Stepped::new(request, plan.room, HeartbeatRule::BetweenMessages).await;
    let framed = if plan.framing == Framing::Close { "" } else { "Transfer-Encoding: chunked\r\n" };
    stepped.say(format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n{framed}\r\n")).await;
    assert!(stepped.exchange.may_beat());
    let wire = wire(content.as_bytes(), plan);
    let mut reads: Vec<_> =
        plan.reads.iter().map(|(cut, step)| (cut.index(wire.len() + 1), step)).collect();
    reads.sort_by_key(|(cut, _)| *cut);
    let mut at = 0;
    for (cut, step) in reads {
        stepped.say(&wire[at..cut]).await;
        at = cut;
        for _ in 0..step.beats {
            stepped.beat().await;
            stepped.hear(step.heard).await;
        }
        stepped.step().await;
    }
    stepped.say(&wire[at..]).await;
    let beats = stepped.beats;
    let (result, body) = stepped.end().await;
    assert_eq!(result.expect("complete").status, 200);
    let content = if plan.framing == Framing::Chunked { unchunk(&body) } else { body };
    (String::from_utf8(content).expect("text"), beats)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(test)
}

/// The same as somebody sees it who splits the stream at every line end and keeps what begins with `data`.
fn data_lines(stream: &str) -> Vec<&str> {
    stream.split(['\r', '\n']).filter(|line| line.starts_with("data:")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn events_are_the_same_with_signs_of_life_among_them(stream in events(), plan in plan()) {
        let (got, beats) = run(relayed("text/event-stream", &stream, &plan));
        prop_assert_eq!(parse_events(&got), parse_events(&stream), "{:?} {:?}", got, stream);
        if !stream.starts_with('\u{feff}') {
            prop_assert_eq!(data_lines(&got), data_lines(&stream));
            let own = got.matches(": heartbeat").count();
            prop_assert_eq!((own, got.len() >= stream.len() + 12 * beats), (beats, true));
        }
    }

    #[test]
    fn lines_are_the_same_with_signs_of_life_among_them(stream in lines(), plan in plan()) {
        let (got, beats) = run(relayed("application/x-ndjson", &stream, &plan));
        prop_assert_eq!(parse_lines(&got), parse_lines(&stream));
        prop_assert_eq!(got.len(), stream.len() + beats);
    }
}

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                      Transfer-Encoding: chunked\r\n\r\n";

async fn events_begun(room: usize) -> Stepped {
    let mut stepped = Stepped::new(GET, room, HeartbeatRule::BetweenMessages).await;
    assert_eq!((stepped.exchange.may_beat(), stepped.beat().await), (false, Beat::Withheld));
    stepped.say(EVENTS).await;
    stepped
}

#[tokio::test]
async fn a_sign_of_life_is_a_chunk_between_chunks() {
    let mut stepped = events_begun(AMPLE).await;
    for (said, beat) in [
        ("", "c\r\n: heartbeat\n\r\n"),
        ("9\r\ndata: a\n\n\r\n", "d\r\n: heartbeat\n\n\r\n"),
        // Within a chunk, within its size, within its end, and between two chunks of one event.
        ("9\r\ndata: b\n\n", ""),
        ("\r", ""),
        ("\n8", ""),
        ("\r\ndata: c\n\r\n", ""),
        ("2\r\n\r\n\r\n", "f\r\n: heartbeat\r\n\r\n\r\n"),
        ("0", ""),
        ("\r\nX: y\r\n", ""),
        ("\r\n", ""),
    ] {
        stepped.heard().await;
        stepped.say(said).await;
        let want = if beat.is_empty() { Beat::Withheld } else { Beat::Sent };
        assert_eq!(stepped.beat().await, want, "after {said:?}");
        let heard = stepped.heard().await;
        let heard = heard.strip_prefix(EVENTS).unwrap_or(&heard);
        assert!(heard.ends_with(beat) && heard.len() <= said.len() + beat.len(), "{heard:?}");
    }
    assert!(stepped.finished.is_some());
}

#[tokio::test]
async fn nothing_is_put_in_unasked_or_where_nothing_may_be() {
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    let sse = "Content-Type: text/event-stream\r\n";
    let gzip = head(&format!("{sse}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"));
    let between = HeartbeatRule::BetweenMessages;
    for (request, response, rule) in [
        (GET, EVENTS, HeartbeatRule::Never),
        (GET, &head(&format!("{sse}Content-Length: 9\r\n")), between),
        (GET, &head("Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"), between),
        (GET, &gzip, between),
        (GET, &head("").replace("200", "201"), between),
        (GET, &EVENTS.replace("200 OK", "503 No"), between),
        (GET, &EVENTS.replace("200 OK", "103 Early").replace("Transfer", "X-Transfer"), between),
    ] {
        let mut stepped = Stepped::new(request, AMPLE, rule).await;
        stepped.say(response).await;
        assert!(!stepped.exchange.may_beat(), "{response}");
        assert_eq!(stepped.beat().await, Beat::Withheld);
        assert_eq!(stepped.heard().await.replace("Connection: close\r\n", ""), *response);
    }
    for (request, response) in [
        (GET.replace("GET", "HEAD"), EVENTS.to_owned()),
        (GET.to_owned(), EVENTS.replace("200 OK", "204 No").replace("Transfer", "X-Transfer")),
        (GET.to_owned(), EVENTS.replace("200 OK", "304 No")),
    ] {
        let mut stepped = Stepped::new(&request, AMPLE, between).await;
        stepped.say(response).await;
        assert!(stepped.finished.is_some() && !stepped.exchange.may_beat());
        assert_eq!(stepped.beat().await, Beat::Withheld);
    }
}

#[tokio::test]
async fn a_tunnel_gets_none() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let mut stepped = Stepped::new(request, AMPLE, HeartbeatRule::BetweenMessages).await;
    let upgrade = "HTTP/1.1 101 Switching\r\nContent-Type: text/event-stream\r\n\
                   Connection: Upgrade\r\nUpgrade: x\r\n\r\n";
    stepped.say(upgrade).await;
    assert!(stepped.exchange.is_tunnel() && !stepped.exchange.may_beat());
    assert_eq!(stepped.beat().await, Beat::Withheld);
}

/// A client that does not read gets no more of them than it has room for, and the rest of one is no progress either.
#[tokio::test]
async fn a_client_that_does_not_read_holds_them_back() {
    let mut stepped = events_begun(EVENTS.len() + 10).await;
    assert_eq!(stepped.beat().await, Beat::Sent, "as far as there was room");
    assert!(!stepped.woken.0.load(Ordering::Relaxed));
    assert_eq!(stepped.heard().await, format!("{EVENTS}c\r\n: heart"));
    assert!(stepped.woken.0.load(Ordering::Relaxed), "the rest is not forgotten");
    stepped.say("9\r\ndata: a\n\n\r\n").await;
    assert_eq!(stepped.heard().await, "beat\n\r\n9\r\ndata: a\n\n\r\n");
    let counts = &stepped.rig.counts;
    assert_eq!((counts.sent.get(), counts.beaten.get()), (EVENTS.len() + 14, 17));
    // What the machine sent and the client takes late does count.
    let long = format!("100\r\ndata: {}\n\n\r\n", "a".repeat(0x100 - 8));
    stepped.say(&long).await;
    while stepped.beat().await == Beat::Withheld {
        stepped.heard().await;
        stepped.step().await;
    }
    assert_eq!(stepped.rig.counts.sent.get(), EVENTS.len() + 14 + long.len());
}
