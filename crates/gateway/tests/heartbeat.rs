//! Heartbeats on real sockets: what a client gets of a stream whose machine is silent.

mod common;

use std::time::Duration;

use common::{Rig, plan};
use outlast_config::{Accounting, Plan, Route, RouteSettings, ServiceKind};
use outlast_testkit::Wire;

/// Short, so that the test is; how long it takes until a beat comes decides nothing.
const INTERVAL: Duration = Duration::from_millis(50);

fn with_heartbeats(path: &str) -> Plan {
    let mut plan = plan(ServiceKind::Http, Accounting::Requests, 0, 0);
    let rest = plan.services[0].routes.rest;
    let settings = RouteSettings { heartbeat: Some(INTERVAL), ..rest };
    let path = Some(path.into());
    plan.services[0].routes.routes.push(Route { path, settings });
    plan
}

/// A client that asked for `path`, and the machine that answered with `head`.
async fn begun(rig: &Rig, path: &str, head: &str) -> (Wire, Wire) {
    let mut client = rig.client().await;
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine.send(head).await;
    client.read_head().await;
    (client, machine)
}

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                      Transfer-Encoding: chunked\r\n\r\n";
const LINES: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n";

#[tokio::test]
async fn a_silent_stream_of_events_gets_comments_between_them() {
    let rig = Rig::start(with_heartbeats("/events/**")).await;
    let (mut client, mut machine) = begun(&rig, "/events/1", EVENTS).await;
    let (mut plain, mut plain_machine) = begun(&rig, "/other", EVENTS).await;
    assert_eq!(client.read_chunk().await, ": heartbeat\n");
    machine.send_chunk("data: a\n\n").await;
    // One more may have been on its way.
    let mut chunk = client.read_chunk().await;
    while chunk == ": heartbeat\n" {
        chunk = client.read_chunk().await;
    }
    assert_eq!(chunk, "data: a\n\n");
    for _ in 0..3 {
        assert_eq!(client.read_chunk().await, ": heartbeat\n\n");
    }
    let exchanges = rig.observe.exchanges();
    let watched = exchanges.iter().find(|exchange| exchange.path == "/events/1");
    let watched = watched.expect("it is in progress");
    assert!(watched.idle_ms >= 3 * 50 - 5, "a heartbeat is no progress: {}", watched.idle_ms);

    // An event that comes in pieces stays in one piece.
    machine.send("10\r\nda").await;
    client.read_until("10\r\nda").await;
    plain_machine.send("0\r\n\r\n").await;
    let head = plain.read_until("0\r\n\r\n").await;
    assert_eq!(head, "0\r\n\r\n", "another route has none");
    machine.send("ta: ").await;
    assert_eq!(client.read_until("ta: ").await, "ta: ");
    machine.send("in pieces\n\r\n1\r\n\n\r\n0\r\n\r\n").await;
    let rest = client.read_until("0\r\n\r\n").await;
    assert_eq!(rest.replace("d\r\n: heartbeat\n\n\r\n", ""), "in pieces\n\r\n1\r\n\n\r\n0\r\n\r\n");
    rig.outcome("completed", 2).await;
    let metrics = rig.observe.metrics_text();
    let beats = metrics.lines().find_map(|line| {
        line.strip_prefix("outlast_heartbeats_total{service=\"http\"} ")?.parse::<u64>().ok()
    });
    assert!(beats.is_some_and(|beats| beats >= 4), "{beats:?}");
    drop((client, plain));
    rig.finish().await;
}

#[tokio::test]
async fn a_silent_stream_of_lines_gets_empty_lines_until_the_machine_closes() {
    let rig = Rig::start(with_heartbeats("/**")).await;
    let (mut client, mut machine) = begun(&rig, "/lines", LINES).await;
    machine.send("{\"a\":1}\n").await;
    let got = client.read_until("{\"a\":1}\n\n\n\n").await;
    assert_eq!(got.trim_start(), "{\"a\":1}\n\n\n\n");
    machine.finish().await;
    let rest = client.read_to_end().await.expect("an orderly end");
    assert_eq!(rest.trim(), "");
    rig.outcome("completed", 1).await;
    drop((client, machine));
    rig.finish().await;
}

/// A heartbeat neither resets the clock of silence, nor hides what the client does.
#[tokio::test]
async fn heartbeats_do_not_keep_a_stream_alive() {
    let mut plan = with_heartbeats("/**");
    plan.services[0].routes.routes[0].settings.clocks.chunk_gap = Some(8 * INTERVAL);
    let rig = Rig::start(plan).await;
    let (mut client, machine) = begun(&rig, "/lines", LINES).await;
    client.read_until("\n\n").await;
    rig.outcome("timed_out", 1).await;
    assert!(client.read_to_end().await.is_err(), "cut visibly");
    drop(machine);
    rig.finish().await;
}
