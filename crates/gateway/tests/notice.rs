//! What a client is told while it waits, in the response it waits for.

mod common;

use std::time::Duration;

use common::{Rig, plan};
use outlast_config::{Accounting, Plan, QueueNotice, ServiceKind};
use outlast_testkit::{Wire, eventually};
use serde_json::Value;

const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const EVENTS: &str = "GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\
                      Accept-Encoding: gzip, br\r\nOrigin: http://a\r\n\r\n";
const LINES: &str = "POST /chat HTTP/1.1\r\nHost: a\r\nAccept: application/x-ndjson\r\n\
                     Content-Length: 2\r\n\r\n{}";

fn telling(form: QueueNotice, timeout: Duration) -> Plan {
    let mut plan = plan(ServiceKind::Http, Accounting::Requests, 0, 1);
    plan.queue.timeout = timeout;
    plan.services[0].routes.rest.queue_notice = Some(form);
    plan
}

const LONG: Duration = Duration::from_secs(60);
/// Longer than a client waits before it is told.
const BRIEF: Duration = Duration::from_millis(2_500);

/// A service whose only place is taken: by whom, and at which machine.
async fn full(form: QueueNotice, timeout: Duration) -> (Rig, Wire, Wire) {
    let rig = Rig::start(telling(form, timeout)).await;
    let mut first = rig.client().await;
    first.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    (rig, first, machine)
}

/// A client that asks and waits until it is told so; what it was told first.
async fn told(rig: &Rig, request: &str) -> (Wire, String, String) {
    let mut client = rig.client().await;
    client.send(request).await;
    let head = client.read_head().await;
    let first = client.read_chunk().await;
    (client, head, first)
}

fn event_data(event: &str, name: &str) -> Value {
    let data = event.strip_prefix(&format!("event: {name}\ndata: ")).expect(event);
    serde_json::from_str(data.strip_suffix("\n\n").expect(event)).expect(event)
}

#[tokio::test]
async fn an_event_source_hears_of_its_place_and_then_of_the_machines_events() {
    let (rig, mut first, mut machine) = full(QueueNotice::Sse, LONG).await;
    let (mut client, head, event) = told(&rig, EVENTS).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for line in
        ["Content-Type: text/event-stream", "Transfer-Encoding: chunked", "Via: 1.1 outlast"]
    {
        assert!(head.lines().any(|other| other == line), "{line} in {head}");
    }
    let data = event_data(&event, "outlast-queue");
    assert_eq!((&data["position"], &data["length"]), (&1.into(), &1.into()));
    assert!(data["estimate_ms"].is_null() && data["deadline_ms"].as_u64() > Some(50_000), "{data}");
    let shown = rig.observe.exchanges().into_iter().find(|exchange| exchange.path == "/events");
    let shown = shown.expect("it waits");
    assert_eq!((shown.stage.as_str(), shown.status), ("queued", Some(200)));

    machine.send(SHORT).await;
    first.read_message().await;
    let asked = machine.read_head().await;
    assert!(
        asked.contains("\r\nAccept-Encoding: identity\r\n") && !asked.contains("gzip"),
        "{asked}"
    );
    machine
        .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    machine.send_chunk("data: 1\n\n").await;
    assert_eq!(client.read_chunk().await, "data: 1\n\n");
    machine.send("0\r\n\r\n").await;
    client.read_until("0\r\n\r\n").await;
    rig.outcome("completed", 2).await;
    // Both connections serve on.
    client.send(EVENTS).await;
    machine.read_head().await;
    machine.send("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno").await;
    let (head, body) = client.read_message().await;
    assert!(head.starts_with("HTTP/1.1 404 ") && body == "no", "who has its place at once: {head}");
    drop((first, client, machine));
    rig.finish().await;
}

#[tokio::test]
async fn a_reader_of_lines_hears_of_its_place_as_it_changes_and_then_gets_its_lines() {
    let (rig, mut first, mut machine) = full(QueueNotice::Ndjson, LONG).await;
    let mut between = rig.client().await;
    between.send(LINES).await;
    eventually("it waits", || rig.service().queue_length == 1).await;
    let (mut client, head, line) = told(&rig, LINES).await;
    assert!(head.contains("\r\nContent-Type: application/x-ndjson\r\n"), "{head}");
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&line["type"], &line["position"]), (&"outlast_queue".into(), &2.into()));

    machine.send(SHORT).await;
    first.read_message().await;
    machine.read_until("{}").await;
    let line: Value = serde_json::from_str(&client.read_chunk().await).expect("JSON");
    assert_eq!(line["position"], 1);
    assert!(line["estimate_ms"].is_u64(), "a place came free: {line}");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 3\r\n\r\n";
    for _ in 0..2 {
        machine.send(format!("{head}{{}}\n")).await;
        if rig.service().queue_length == 1 {
            assert!(machine.read_until("{}").await.starts_with("POST /chat "));
        }
    }
    assert_eq!(client.read_until("0\r\n\r\n").await, "3\r\n{}\n\r\n0\r\n\r\n");
    rig.outcome("completed", 3).await;
    drop((first, between, client, machine));
    rig.finish().await;
}

#[tokio::test]
async fn a_response_that_cannot_follow_is_told_and_cut() {
    for response in [
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n",
    ] {
        let (rig, mut first, mut machine) = full(QueueNotice::Sse, LONG).await;
        let (mut client, _, _) = told(&rig, EVENTS).await;
        machine.send(SHORT).await;
        first.read_message().await;
        machine.read_head().await;
        machine.send(response).await;
        let problem = event_data(&client.read_chunk().await, "error");
        assert_eq!(problem["type"], "urn:outlast:problem:not_continued");
        assert_eq!(client.read_to_end().await.as_deref(), Ok(""), "no last chunk");
        rig.outcome("machine_failed", 1).await;
        assert_eq!(machine.read_to_end().await.as_deref(), Ok(""), "its connection is given up");
        drop((first, client, machine));
        rig.finish().await;
    }
}

#[tokio::test]
async fn a_machine_that_fails_before_its_response_is_told_and_cut() {
    let (rig, mut first, mut machine) = full(QueueNotice::Ndjson, LONG).await;
    let (mut client, _, _) = told(&rig, LINES).await;
    machine.send(SHORT).await;
    first.read_message().await;
    machine.read_until("{}").await;
    drop(machine);
    let line: Value = serde_json::from_str(&client.read_chunk().await).expect("JSON");
    assert_eq!((&line["type"], &line["problem"]["status"]), (&"error".into(), &502.into()));
    assert_eq!(client.read_to_end().await.as_deref(), Ok(""), "no last chunk");
    rig.outcome("machine_failed", 1).await;
    drop((first, client));
    rig.finish().await;
}

#[tokio::test]
async fn a_place_that_never_comes_is_told_and_cut() {
    let (rig, first, machine) = full(QueueNotice::Sse, BRIEF).await;
    let (mut client, _, _) = told(&rig, EVENTS).await;
    let event = client.read_chunk().await;
    let problem = event_data(event.strip_prefix("retry: 5000\n").expect("when to retry"), "error");
    assert_eq!(problem["type"], "urn:outlast:problem:queue_deadline");
    assert_eq!(client.read_to_end().await.as_deref(), Ok(""), "no last chunk");
    rig.outcome("refused", 1).await;
    drop((first, client, machine));
    rig.finish().await;
}

#[tokio::test]
async fn who_does_not_ask_for_it_or_may_need_another_answer_is_told_nothing() {
    let (rig, first, machine) = full(QueueNotice::Sse, BRIEF).await;
    let accept = "Accept: text/event-stream\r\n";
    let mut clients = Vec::new();
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\nAccept: application/x-ndjson\r\n\r\n".to_owned(),
        format!("HEAD / HTTP/1.1\r\nHost: a\r\n{accept}\r\n"),
        format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{accept}\r\n"),
        format!("GET / HTTP/1.0\r\nHost: a\r\n{accept}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=1-\r\n{accept}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\n{accept}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\n{accept}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n{accept}\r\n"),
        // Much of its body is still on its way.
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n{accept}\r\n{}",
            "x".repeat(20_000)
        ),
    ] {
        let mut client = rig.client().await;
        client.send(&request).await;
        clients.push((client, request));
    }
    for (client, request) in &mut clients {
        let head = client.read_head().await;
        assert!(head.starts_with("HTTP/1.1 503 "), "{request} {head}");
    }
    drop((first, clients, machine));
    rig.finish().await;
}

#[tokio::test]
async fn who_leaves_while_it_is_told_leaves_the_queue() {
    let (rig, first, machine) = full(QueueNotice::Sse, LONG).await;
    let (client, _, _) = told(&rig, EVENTS).await;
    drop(client);
    rig.outcome("client_gone", 1).await;
    assert_eq!(rig.service().queue_length, 0);
    drop((first, machine));
    rig.finish().await;
}
