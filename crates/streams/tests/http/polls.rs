//! Long polls across what happens to a stream meanwhile.

use std::time::Duration;

use outlast_runtime::Phase;
use outlast_streams::http::Settings;
use outlast_streams::{CreateOrder, Deletion, StreamName};
use outlast_testkit::Wire;

use crate::help::{Answer, SETTINGS, Server, TEXT};

/// A long poll that has seen that nothing is there, and waits.
async fn waiting(server: &Server, offset: &str) -> Wire {
    let target = format!("/v1/stream/a?offset={offset}&live=long-poll");
    let reads = server.reads();
    let wire = server.send("GET", &target, &[], "").await;
    server.was_read(reads + 1).await;
    wire
}

async fn answer(mut wire: Wire) -> Answer {
    Answer::parse(&wire.read_to_end().await.unwrap())
}

#[tokio::test]
async fn what_is_appended_ends_the_wait_of_all() {
    let server = Server::start(SETTINGS).await;
    let tail = server.create("a", TEXT, "old").await.next_offset();
    let (one, other) = (waiting(&server, &tail).await, waiting(&server, "now").await);
    let next = server.append("a", TEXT, "new").await.next_offset();
    for wire in [one, other] {
        let answer = answer(wire).await;
        assert_eq!((answer.status, &*answer.body), (200, "new"));
        assert_eq!(answer.next_offset(), next);
        assert_eq!(answer.field("stream-up-to-date"), Some("true"));
        assert!(answer.field("stream-cursor").is_some());
    }
}

#[tokio::test]
async fn the_end_ends_the_wait_with_its_reason() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "").await;
    let wire = waiting(&server, "now").await;
    let fields = [("Stream-Closed", "true"), ("Stream-End-Reason", "timeout")];
    server.ask("POST", "a", &fields, "").await;
    let answer = answer(wire).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.field("stream-closed"), Some("true"));
    assert_eq!(answer.field("stream-end-reason"), Some("timeout"));
    assert_eq!(answer.field("stream-up-to-date"), Some("true"));
}

#[tokio::test]
async fn the_last_bytes_come_with_the_end() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "").await;
    let wire = waiting(&server, "now").await;
    server.ask("POST", "a", &[TEXT, ("Stream-Closed", "true")], "last").await;
    let answer = answer(wire).await;
    assert_eq!((answer.status, &*answer.body), (200, "last"));
    assert_eq!(answer.field("stream-closed"), Some("true"));
}

#[tokio::test]
async fn a_deletion_ends_the_wait_even_if_there_is_another_stream_then() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "old").await;
    let wire = waiting(&server, "now").await;
    let name = StreamName::parse("a").unwrap();
    // In memory nothing of this waits, so that the server learns of both at once.
    server.store.delete(&name, Deletion::Forget).await.unwrap();
    server.store.create(&name, CreateOrder::default()).await.unwrap();
    let answer = answer(wire).await;
    assert_eq!((answer.status, &*answer.error()), (404, "no such stream"));
}

#[tokio::test]
async fn a_source_that_is_deleted_and_kept_is_gone() {
    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "old").await;
    server.ask("PUT", "fork", &[("Stream-Forked-From", "/v1/stream/a")], "").await;
    let wire = waiting(&server, "now").await;
    server.ask("DELETE", "a", &[], "").await;
    assert_eq!(answer(wire).await.status, 410);
}

#[tokio::test]
async fn a_wait_ends_in_time_and_when_the_server_does() {
    let settings = Settings { poll_timeout: Duration::from_millis(30), ..SETTINGS };
    let server = Server::start(settings).await;
    let tail = server.create("a", TEXT, "x").await.next_offset();
    let late = answer(waiting(&server, &tail).await).await;
    assert_eq!((late.status, late.next_offset()), (204, tail));
    assert_eq!(late.field("cache-control"), Some("no-store"));

    let server = Server::start(SETTINGS).await;
    server.create("a", TEXT, "x").await;
    let wire = waiting(&server, "now").await;
    server.phases.enter(Phase::Draining);
    assert_eq!(answer(wire).await.status, 204);
}

#[tokio::test]
async fn readers_are_bounded_and_those_who_leave_make_room() {
    let server = Server::start(Settings { readers_max: 2, ..SETTINGS }).await;
    server.create("a", TEXT, "").await;
    let (one, other) = (waiting(&server, "now").await, waiting(&server, "now").await);
    for live in ["long-poll", "sse"] {
        let third = server.ask("GET", &format!("a?offset=now&live={live}"), &[], "").await;
        assert_eq!((third.status, third.field("retry-after")), (429, Some("1")));
    }
    assert_eq!(server.ask("GET", "a", &[], "").await.status, 200, "catching up takes no place");
    one.reset();
    other.reset();
    // That they have left is seen by the server alone.
    for _ in 0..10_000 {
        let mut wire = server.send("GET", "/v1/stream/a?offset=now&live=sse", &[], "").await;
        if wire.read_head().await.starts_with("HTTP/1.1 200") {
            return;
        }
    }
    panic!("nobody makes room");
}
