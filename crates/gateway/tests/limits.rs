//! How many clients there may be, and which rule of HTTP a refused one broke.

mod common;

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::time::Duration;

use common::{INTERNAL_PORT, Rig, plan};
use outlast_config::{Accounting, Plan, ServiceKind};
use outlast_testkit::Wire;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// So many idle connections to a machine are kept by a thread.
const POOLED_MAX: usize = 256;
const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn requests() -> Plan {
    plan(ServiceKind::Http, Accounting::Requests, 0, 0)
}

/// A whole exchange.
async fn is_served(rig: &Rig, client: &mut Wire) {
    client.send(GET).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
}

fn connections(rig: &Rig) -> usize {
    rig.observe.pool(outlast_observe::PoolPart::All).expect("a pool").client_connections
}

/// Waits until a counter or gauge has a value.
#[tokio::test]
async fn at_connections_max_clients_wait_until_one_leaves() {
    let mut plan = requests();
    plan.listen.connections_max = NonZeroU32::new(2);
    let rig = Rig::start(plan).await;
    let (idle, mut busy) = (rig.client().await, rig.client().await);
    is_served(&rig, &mut busy).await;
    rig.outcome("completed", 1).await;
    rig.counted("outlast_client_connections 2").await;

    let mut waiting = rig.client().await;
    waiting.send(GET).await;
    let paused = "outlast_accept_pauses_total{service=\"http\",reason=\"connections_max\"} 1";
    rig.counted(paused).await;
    assert_eq!((connections(&rig), rig.service().exchanges_total), (2, 0));
    // Who is connected goes on.
    busy.send(GET).await;
    rig.in_flight(1).await;

    drop(idle);
    rig.in_flight(2).await;
    drop((busy, waiting));
    rig.counted("outlast_client_connections 0").await;
    rig.finish().await;
}

#[tokio::test]
async fn all_services_share_the_count() {
    let mut plan = requests();
    plan.listen.connections_max = NonZeroU32::new(1);
    let tcp = common::plan(ServiceKind::Tcp, Accounting::Connections, 0, 0).services.remove(0);
    assert_eq!(tcp.internal_port, INTERNAL_PORT);
    plan.services.push(tcp);
    let rig = Rig::start(plan).await;
    let idle = rig.client().await;
    rig.counted("outlast_client_connections 1").await;
    let mut raw = Wire::connect(rig.gateway.addresses()[1]).await;
    raw.send("hello").await;
    rig.counted("outlast_accept_pauses_total{service=\"tcp-3001\",reason=\"connections_max\"} 1")
        .await;
    drop(idle);
    let mut machine = rig.machine.accept().await;
    assert_eq!(machine.read_until("hello").await, "hello");
    drop((raw, machine));
    rig.finish().await;
}

#[tokio::test]
async fn a_client_with_its_share_of_connections_gets_no_more_of_them() {
    let mut plan = requests();
    plan.listen.connections_per_client_max = NonZeroU32::new(2);
    let rig = Rig::start(plan).await;
    let (first, mut second) = (rig.client().await, rig.client().await);
    is_served(&rig, &mut second).await;
    let refused = "outlast_connections_refused_total{service=\"http\",reason=\"per_client\"} 1";
    let third = match Wire::try_connect(rig.gateway.addresses()[0]).await {
        Ok(mut third) => third.read_to_end().await.expect_err("no orderly end"),
        Err(error) => error,
    };
    assert_eq!(third, ErrorKind::ConnectionReset);
    rig.counted(refused).await;
    assert_eq!(connections(&rig), 2);
    assert_eq!(rig.service().exchanges_total, 0);

    drop(first);
    rig.counted("outlast_client_connections 1").await;
    let mut fourth = rig.client().await;
    fourth.send(GET).await;
    rig.in_flight(1).await;
    rig.counted(refused).await;
    drop((second, fourth));
    rig.finish().await;
}

#[tokio::test]
async fn what_the_pool_of_a_machine_has_no_room_for_is_closed() {
    // Both ends of two connections for each are in this process.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("a limit");
    let rig = Rig::start(requests()).await;
    let mut exchanges = Vec::new();
    for _ in 0..POOLED_MAX + 2 {
        let mut client = rig.client().await;
        client.send(GET).await;
        let mut machine = rig.machine.accept().await;
        machine.read_head().await;
        exchanges.push((client, machine));
    }
    for (client, machine) in &mut exchanges {
        machine.send(SHORT).await;
        assert_eq!(client.read_message().await.1, "hi");
    }
    rig.counted("outlast_connections_closed_total{service=\"http\",reason=\"pool_full\"} 2").await;
    for (_, machine) in &mut exchanges[POOLED_MAX..] {
        assert_eq!(machine.read_to_end().await.as_deref(), Ok(""));
    }
    drop(exchanges);
    rig.finish().await;
}

/// After an early answer what still comes is thrown away, so that the answer is not overtaken by a reset. A client pushed 784 MB
/// into the two seconds of that.
#[tokio::test]
async fn a_client_that_sends_on_after_its_answer_is_not_heard_for_ever() {
    let rig = Rig::start(requests()).await;
    let mut stream = TcpStream::connect(rig.gateway.addresses()[0]).await.expect("it listens");
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        .await
        .expect("room");
    let piece = vec![b'x'; 64 * 1024];
    stream.write_all(&piece).await.expect("room");
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine.send("HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n").await;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 413");
    while stream.write_all(&piece).await.is_ok() {}
    let closed = "outlast_connections_closed_total{service=\"http\",reason=\"close_bytes_max\"} 1";
    rig.counted(closed).await;
    rig.outcome("completed", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_client_that_does_not_close_after_its_answer_is_closed() {
    let rig = Rig::start(requests()).await;
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    assert!(client.read_message().await.0.starts_with("HTTP/1.1 400 "));
    let closed = "outlast_connections_closed_total{service=\"http\",reason=\"close_timeout\"} 1";
    rig.counted(closed).await;
    rig.counted("outlast_client_connections 0").await;
    rig.finish().await;
}

/// Some clients end a body by a line that is no part of it (RFC 9112 section 2.2). An idle connection is none the less idle, and
/// was once answered 408 for the request that never began.
#[tokio::test]
async fn an_empty_line_after_a_request_begins_no_head() {
    let mut plan = requests();
    plan.services[0].clocks.head = Duration::from_millis(50);
    plan.services[0].clocks.keep_alive = Duration::from_millis(500);
    let rig = Rig::start(plan).await;
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\n").await;
    let mut machine = rig.machine.accept().await;
    machine.read_until("\r\n\r\nhi").await;
    machine.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
    client.send("\r\n\r").await;
    client.send(format!("\n{GET}")).await;
    machine.read_head().await;
    machine.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
    client.send("\r\n").await;
    assert_eq!(client.read_to_end().await.as_deref(), Ok(""), "closed, and nothing is said");
    rig.counted("outlast_connections_closed_total{service=\"http\",reason=\"keep_alive\"} 1").await;
    // More than any client sends by mistake is the beginning of something.
    let mut client = rig.client().await;
    client.send("\r\n".repeat(9)).await;
    assert!(client.read_message().await.0.starts_with("HTTP/1.1 408 "));
    rig.outcome("completed", 2).await;
    rig.outcome("timed_out", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn the_rule_that_a_request_broke_is_counted() {
    let rig = Rig::start(requests()).await;
    let post = "POST / HTTP/1.1\r\nHost: a\r\n";
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
    let table = [
        ("head_bytes_max", format!("{post}A: {}\r\n\r\n", "a".repeat(40_000))),
        ("target_bytes_max", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9_000))),
        ("host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("syntax", "GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned()),
        ("content_length", format!("{post}Content-Length: 1\r\nContent-Length: 2\r\n\r\n")),
        (
            "ambiguous_framing",
            format!("{post}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ),
        ("transfer_coding", format!("{post}Transfer-Encoding: gzip\r\n\r\n")),
        ("connect", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_owned()),
        ("chunk_size", format!("{chunked}x\r\n")),
        ("chunk_bytes_max", format!("{chunked}fffffffffffffffff\r\n")),
        ("chunk_line_bytes_max", format!("{chunked}1;{}\r\n", "a".repeat(5_000))),
    ];
    for (rule, request) in &table {
        let mut client = rig.client().await;
        client.send(request).await;
        let head = client.read_head().await;
        assert!(head.contains("error=http_request_error"), "{rule}: {head}");
        let line = format!("outlast_bad_requests_total{{service=\"http\",rule=\"{rule}\"}} 1");
        rig.counted(&line).await;
    }
    let all = table.len();
    rig.counted(&format!(
        "outlast_refusals_total{{service=\"http\",reason=\"bad_request\"}} {all}"
    ))
    .await;
    rig.finish().await;
}
