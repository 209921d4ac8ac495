//! Each clock ends what it is for, with its outcome, its metric and an answer or a visible cut.

mod common;

use std::time::Duration;

use common::{Rig, plan};
use outlast_config::{Accounting, Plan, Route, RouteClocks, RouteSettings, ServiceKind};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhi\n\r\n";

fn with(kind: ServiceKind, set: impl FnOnce(&mut RouteClocks)) -> Plan {
    let mut plan = plan(kind, Accounting::Requests, 0, 1);
    set(&mut plan.services[0].routes.rest.clocks);
    plan
}

fn http(set: impl FnOnce(&mut RouteClocks)) -> Plan {
    with(ServiceKind::Http, set)
}

const SOON: Option<Duration> = Some(Duration::from_millis(60));

async fn ended_by(rig: Rig, clock: &str) {
    rig.outcome("timed_out", 1).await;
    rig.counted(&format!("outlast_timeouts_total{{service=\"http\",clock=\"{clock}\"}} 1")).await;
    rig.finish().await;
}

#[tokio::test]
async fn response_head_is_answered_504() {
    let rig = Rig::start(http(|clocks| clocks.response_head = SOON)).await;
    let mut client = rig.client().await;
    client.send(GET).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    let (head, body) = client.read_message().await;
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
    assert!(head.contains("Proxy-Status: outlast; error=http_response_timeout"), "{head}");
    assert!(body.contains("did not begin its response in time"), "{body}");
    assert_eq!(machine.read_to_end().await.as_deref(), Ok(""), "its connection is not reused");
    ended_by(rig, "response_head").await;
}

#[tokio::test]
async fn chunk_gap_cuts_a_silent_response_so_that_it_is_seen() {
    let rig = Rig::start(http(|clocks| clocks.chunk_gap = SOON)).await;
    let mut client = rig.client().await;
    client.send(GET).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine.send(STREAM).await;
    let seen = client.read_to_end().await;
    assert!(!seen.as_deref().is_ok_and(|text| text.ends_with("0\r\n\r\n")), "{seen:?}");
    machine.read_to_end().await.ok();
    ended_by(rig, "chunk_gap").await;
}

#[tokio::test]
async fn lifetime_cuts_a_stream_however_busy() {
    let rig = Rig::start(http(|clocks| clocks.lifetime = Some(Duration::from_millis(300)))).await;
    let mut client = rig.client().await;
    client.send(GET).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine.send(STREAM).await;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    while machine.try_send("3\r\nho\n\r\n").await {
        pace.tick().await;
    }
    let seen = client.read_to_end().await;
    assert!(!seen.as_deref().is_ok_and(|text| text.ends_with("0\r\n\r\n")), "{seen:?}");
    ended_by(rig, "lifetime").await;
}

#[tokio::test]
async fn lifetime_includes_the_queue_and_is_answered_504_there() {
    let mut plan = http(|_| {});
    let clocks = RouteClocks { lifetime: SOON, ..RouteClocks::default() };
    let settings = RouteSettings { clocks, ..RouteSettings::default() };
    plan.services[0].routes.routes.push(Route { path: Some("/short/**".into()), settings });
    let rig = Rig::start(plan).await;
    let mut first = rig.client().await;
    first.send(GET).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine.send(STREAM).await;
    let mut second = rig.client().await;
    second.send("GET /short/one HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (head, body) = second.read_message().await;
    assert!(head.starts_with("HTTP/1.1 504 ") && body.contains("longer than one may"), "{head}");
    machine.send("0\r\n\r\n").await;
    first.read_until("0\r\n\r\n").await;
    rig.outcome("completed", 1).await;
    ended_by(rig, "lifetime").await;
}

#[tokio::test]
async fn another_spelling_of_a_path_has_its_routes_clocks_and_reaches_the_machine_as_it_is() {
    let mut plan = http(|_| {});
    let clocks = RouteClocks { response_head: SOON, ..RouteClocks::default() };
    let settings = RouteSettings { clocks, ..RouteSettings::default() };
    plan.services[0].routes.routes.push(Route { path: Some("/lt/*".into()), settings });
    let rig = Rig::start(plan).await;
    let mut client = rig.client().await;
    client.send("GET /l%74/tick HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut machine = rig.machine.accept().await;
    let head = machine.read_head().await;
    assert!(head.starts_with("GET /l%74/tick HTTP/1.1\r\n"), "{head}");
    let (head, _) = client.read_message().await;
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
    ended_by(rig, "response_head").await;
}

#[tokio::test]
async fn write_stall_cuts_a_client_that_takes_nothing() {
    // Longer than the machine below tries to send more.
    let rig = Rig::start(http(|clocks| clocks.write_stall = Some(Duration::from_secs(2)))).await;
    let mut client = rig.client().await;
    client.send(GET).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine.send("HTTP/1.1 200 OK\r\n\r\n").await;
    machine.send_while_taken(&vec![b'x'; 64 * 1024 * 1024]).await;
    rig.outcome("timed_out", 1).await;
    let cut = client.read_to_end().await;
    assert!(cut.is_err(), "only a close delimits the body, and it must not look whole");
    ended_by(rig, "write_stall").await;
}

#[tokio::test]
async fn raw_tcp_has_the_same_clocks() {
    for (clock, set) in [
        ("chunk_gap", (|clocks| clocks.chunk_gap = SOON) as fn(&mut RouteClocks)),
        ("lifetime", |clocks| clocks.lifetime = SOON),
    ] {
        let rig = Rig::start(with(ServiceKind::Tcp, set)).await;
        let mut client = rig.client().await;
        client.send("hello").await;
        let mut machine = rig.machine.accept().await;
        machine.read_until("hello").await;
        assert!(client.read_to_end().await.is_err(), "{clock}: reset, as nothing else is seen");
        rig.outcome("timed_out", 1).await;
        let timeouts =
            format!("outlast_timeouts_total{{service=\"tcp-3001\",clock=\"{clock}\"}} 1");
        rig.counted(&timeouts).await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn an_upgraded_connection_has_the_clocks_of_its_path() {
    let rig = Rig::start(http(|clocks| clocks.chunk_gap = SOON)).await;
    let mut client = rig.client().await;
    client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine.send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
    client.read_head().await;
    assert!(client.read_to_end().await.is_err(), "reset");
    ended_by(rig, "chunk_gap").await;
}
