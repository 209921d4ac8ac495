//! Server-sent events, as an `EventSource` reads them: what it was told last it says when it comes again.

use std::time::Duration;

use outlast_runtime::Tasks;
use outlast_streams::http::Settings;
use outlast_testkit::Wire;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use crate::help::{Answer, JSON, SETTINGS, Server, TEXT};

/// A reader, and what it keeps across its connections.
#[derive(Debug, Default)]
struct Reader {
    id: String,
    data: Vec<String>,
    /// The last `control`.
    control: Value,
    ahead: String,
}

impl Reader {
    /// Opens a connection, as an `EventSource` with this URL does.
    async fn open(&mut self, server: &Server, target: &str) -> Wire {
        self.ahead.clear();
        let id = self.id.clone();
        let fields = [("Last-Event-ID", &*id)];
        let fields = if id.is_empty() { &[][..] } else { &fields };
        let mut wire = server.send("GET", &format!("/v1/stream/{target}"), fields, "").await;
        let head = wire.read_head().await;
        assert!(head.contains("200 OK") && head.contains("text/event-stream"), "{head}");
        wire
    }

    /// Takes the events that are whole.
    fn take(&mut self, text: &str) {
        self.ahead.push_str(text);
        while let Some((event, rest)) = self.ahead.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            self.ahead = rest;
            let values = |name: &str| {
                let values = event.lines().filter_map(|line| line.strip_prefix(name));
                let values = values.map(|value| value.strip_prefix(' ').unwrap_or(value));
                values.collect::<Vec<_>>().join("\n")
            };
            if event == ":" {
                continue;
            }
            self.id = values("id:");
            match &*values("event:") {
                "data" => self.data.push(values("data:")),
                "control" => self.control = serde_json::from_str(&values("data:")).unwrap(),
                other => panic!("{other:?} in {event:?}"),
            }
        }
    }

    /// Reads one chunk. False: the answer has ended.
    async fn step(&mut self, wire: &mut Wire) -> bool {
        let chunk = wire.read_chunk().await;
        self.take(&chunk);
        !chunk.is_empty()
    }

    /// Reads until the answer ends.
    async fn read_whole(&mut self, wire: &mut Wire) {
        while self.step(wire).await {}
    }
}

#[tokio::test]
async fn who_comes_again_misses_nothing_and_gets_nothing_twice() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "").await;
    let wanted: String = (0..400).map(|n| format!("{n}: 漢é\n")).collect();
    let (address, text) = (server.address, wanted.clone());
    let tasks = Tasks::default();
    // Each append cuts somewhere, amid characters, too.
    tasks.spawn(async move {
        let mut wire = Wire::connect(address).await;
        for piece in text.as_bytes().chunks(7) {
            let head = "POST /v1/stream/a HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n";
            let length = format!("Content-Length: {}\r\n\r\n", piece.len());
            wire.send([head.as_bytes(), length.as_bytes(), piece].concat()).await;
            assert!(wire.read_head().await.contains("204"));
        }
        wire.send("POST /v1/stream/a HTTP/1.1\r\nHost: a\r\nStream-Closed: true\r\nContent-Length: 0\r\n\r\n")
            .await;
        assert!(wire.read_head().await.contains("204"));
    });
    let mut reader = Reader::default();
    let mut connections = 0;
    while reader.control["streamClosed"] != true {
        let mut wire = reader.open(&server, "a?offset=-1&live=sse").await;
        connections += 1;
        for _ in 0..connections % 5 + 1 {
            if !reader.step(&mut wire).await {
                break;
            }
        }
    }
    assert!(connections > 3, "it came {connections} times");
    assert_eq!(reader.data.concat(), wanted);
    assert_eq!(reader.control["endReason"], "complete");
    let id = [("Last-Event-ID", &*reader.id)];
    let done = server.ask("GET", "a?offset=-1&live=sse", &id, "").await;
    assert_eq!(done.status, 204, "an EventSource is told to come no more");
    tasks.join().await;
}

#[tokio::test]
async fn a_thousand_readers_follow_one_stream() {
    // Both ends of a thousand connections are ours.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).unwrap();
    let server = Server::start(SETTINGS).await;
    server.create("a", JSON, "[1]").await;
    let mut readers = Vec::new();
    for _ in 0..1_000 {
        let mut reader = Reader::default();
        let wire = reader.open(&server, "a?offset=-1&live=sse").await;
        readers.push((reader, wire));
    }
    for n in 2..5 {
        server.append("a", JSON, &n.to_string()).await;
    }
    server.close("a").await;
    for (reader, wire) in &mut readers {
        reader.read_whole(wire).await;
        let read = reader.data.iter().flat_map(|data| {
            let array: Vec<u32> = serde_json::from_str(data).unwrap();
            array
        });
        assert_eq!(read.collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(reader.control["streamClosed"], true);
    }
}

#[tokio::test]
async fn text_that_ends_amid_a_character_is_told_when_the_rest_has_come() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "").await;
    let mut reader = Reader::default();
    let mut wire = reader.open(&server, "a?offset=-1&live=sse").await;
    reader.step(&mut wire).await;
    assert_eq!(reader.control["upToDate"], true);
    let mut writer = Wire::connect(server.address).await;
    for piece in ["a".as_bytes(), b"b\xc3", b"\xa9", b"\xe6"] {
        let head = "POST /v1/stream/a HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n";
        let length = format!("Content-Length: {}\r\n\r\n", piece.len());
        writer.send([head.as_bytes(), length.as_bytes(), piece].concat()).await;
        assert!(writer.read_head().await.contains("204"));
    }
    server.close("a").await;
    reader.read_whole(&mut wire).await;
    assert_eq!(
        reader.data.concat(),
        "abé\u{fffd}",
        "what never becomes a character is told as such"
    );
}

#[tokio::test]
async fn an_answer_ends_after_its_time_and_the_reader_goes_on() {
    let settings = Settings { events_lifetime: Duration::from_millis(40), ..SETTINGS };
    let server = Server::start(settings).await;
    server.create("a", TEXT, "one").await;
    let mut reader = Reader::default();
    let mut wire = reader.open(&server, "a?offset=-1&live=sse").await;
    reader.read_whole(&mut wire).await;
    assert_eq!(reader.control["streamClosed"], Value::Null);
    server.append("a", TEXT, "two").await;
    let mut wire = reader.open(&server, "a?offset=-1&live=sse").await;
    reader.read_whole(&mut wire).await;
    assert_eq!(reader.data, ["one", "two"]);
}

#[tokio::test]
async fn events_of_a_deleted_stream_end_and_do_not_come_back() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "one").await;
    let mut reader = Reader::default();
    let mut wire = reader.open(&server, "a?offset=-1&live=sse").await;
    reader.step(&mut wire).await;
    server.ask("DELETE", "a", &[], "").await;
    reader.read_whole(&mut wire).await;
    let id = [("Last-Event-ID", &*reader.id)];
    let gone = server.ask("GET", "a?offset=-1&live=sse", &id, "").await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn bytes_come_in_base64_and_a_long_stream_in_several_events() {
    let server = Server::start(SETTINGS).await;
    let bytes = ("Content-Type", "application/x-protobuf");
    server.create("a", bytes, &"abc".repeat(60_000)).await;
    server.close("a").await;
    let mut wire = server.send("GET", "/v1/stream/a?offset=-1&live=sse", &[], "").await;
    let head = wire.read_head().await;
    assert!(head.contains("stream-sse-data-encoding: base64"), "{head}");
    let mut reader = Reader::default();
    reader.read_whole(&mut wire).await;
    assert_eq!(reader.data.len(), 3, "64 KiB each at most");
    assert!(reader.data.iter().all(|data| data.len() % 4 == 0));
    let all = reader.data.concat().replace('=', "");
    assert!(all.starts_with("YWJjYWJj"), "{}", &all[..20]);
    assert_eq!(reader.control["streamClosed"], true);
    let text = wire.read_to_end().await.unwrap();
    assert_eq!(text, "", "the connection ends with it");
    let head = Answer::parse(&head);
    assert_eq!(head.field("cache-control"), Some("no-cache, no-transform"));
}
