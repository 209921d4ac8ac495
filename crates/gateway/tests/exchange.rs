//! Exchanges through a real gateway, with every byte decided by the test.

mod common;

use std::time::Duration;

use common::{Rig, plan};
use outlast_config::{Accounting, Linger, Plan, ServiceKind};
use outlast_testkit::{ScriptedMachine, Wire, eventually};

const GET: &str = "GET /a?b=c HTTP/1.1\r\nHost: desk.test\r\n\r\n";
const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn requests(soft: u32, hard: u32) -> Plan {
    plan(ServiceKind::Http, Accounting::Requests, soft, hard)
}

fn connections(soft: u32, hard: u32) -> Plan {
    plan(ServiceKind::Http, Accounting::Connections, soft, hard)
}

fn refuse_at_once(mut plan: Plan) -> Plan {
    plan.queue.timeout = Duration::ZERO;
    plan
}

/// Sends a request, and returns the machine's end once its head has arrived there.
async fn dispatched(rig: &Rig, client: &mut Wire) -> Wire {
    client.send(GET).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine
}

#[tokio::test]
async fn threads_serve_what_they_accept_and_what_they_are_handed() {
    let rig = Rig::with_threads(requests(0, 0), ScriptedMachine::start().await, 4);
    rig.ready("m1", rig.machine.address());
    let mut exchanges = Vec::new();
    for _ in 0..64 {
        let mut client = rig.client().await;
        let machine = dispatched(&rig, &mut client).await;
        exchanges.push((client, machine));
    }
    for (client, machine) in &mut exchanges {
        machine.send(SHORT).await;
        assert_eq!(client.read_message().await.1, "hi");
    }
    rig.outcome("completed", 64).await;
}

#[tokio::test]
async fn a_stream_passes_chunk_by_chunk_and_its_place_comes_back_after_the_last_byte() {
    let rig = Rig::start(requests(0, 0)).await;
    let mut client = rig.client().await;
    let mut machine = dispatched(&rig, &mut client).await;
    machine.send(STREAM).await;
    let head = client.read_head().await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 outlast\r\n")
    );
    assert!(head.contains("Fly-Request-Id: ") && !head.contains("Connection:"), "{head}");
    for word in ["one", "two", "three"] {
        machine.send_chunk(word).await;
        assert_eq!(client.read_chunk().await, word);
    }
    assert_eq!(rig.service().in_flight, 1);
    let listed = &rig.service().exchanges[0];
    assert_eq!((listed.stage.as_str(), listed.path.as_str()), ("streaming", "/a"));
    machine.send("0\r\n\r\n").await;
    assert_eq!(client.read_until("0\r\n\r\n").await, "0\r\n\r\n");
    rig.outcome("completed", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn the_machine_sees_who_the_client_is_and_not_what_it_claims() {
    let rig = Rig::start(requests(0, 0)).await;
    let mut client = rig.client().await;
    client
        .send(
            "GET / HTTP/1.1\r\nHost: desk.test\r\nFly-Client-IP: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n\
             Via: 1.0 cache\r\nX-Mine: kept\r\n\r\n",
        )
        .await;
    let head = rig.machine.accept().await.read_head().await;
    assert!(!head.contains("6.6.6.6"), "{head}");
    for line in [
        "Host: desk.test",
        "X-Mine: kept",
        "Fly-Client-IP: 127.0.0.1",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Proto: http",
        "Fly-Region: local",
        "Via: 1.0 cache",
        "Via: 1.1 outlast",
    ] {
        assert!(head.lines().any(|other| other == line), "{line} in {head}");
    }
    drop(client);
    rig.finish().await;
}

#[tokio::test]
async fn requests_share_a_pooled_connection_and_a_stale_one_is_replaced() {
    let rig = Rig::start(requests(0, 0)).await;
    let mut client = rig.client().await;
    let mut machine = dispatched(&rig, &mut client).await;
    machine.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
    client.send(GET).await;
    machine.read_head().await;
    machine.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
    drop(machine);
    let mut machine = dispatched(&rig, &mut client).await;
    machine.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
    rig.outcome("completed", 3).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_machine_sends_a_request_on_to_another_one() {
    let rig = Rig::start(requests(0, 0)).await;
    let other = ScriptedMachine::start().await;
    rig.ready("m2", other.address());
    let post = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    let elsewhere = "HTTP/1.1 404 X\r\nfly-replay: elsewhere=true\r\nContent-Length: 2\r\n\r\nno";
    let instance = |id: &str| {
        format!("HTTP/1.1 409 X\r\nfly-replay: instance={id}\r\nContent-Length: 0\r\n\r\n")
    };
    let mut client = rig.client().await;
    // By name, and the whole request again, body and all. Round robin begins with the first machine.
    client.send(post).await;
    let mut first = rig.machine.accept().await;
    let heard = first.read_until("body").await;
    first.send(instance("m2")).await;
    let mut second = other.accept().await;
    assert_eq!(second.read_until("body").await, heard);
    second.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
    assert!(first.read_to_end().await.is_ok_and(|rest| rest.is_empty()), "it is closed");

    // Elsewhere until all have been asked; then the last answer counts, without the field.
    client.send(post).await;
    second.read_until("body").await;
    second.send(elsewhere).await;
    let mut first = rig.machine.accept().await;
    first.read_until("body").await;
    first.send(elsewhere).await;
    let (head, body) = client.read_message().await;
    assert!(head.starts_with("HTTP/1.1 404 ") && body == "no", "{head}");
    assert!(!head.contains("fly-replay"), "{head}");

    // To a machine that is not there.
    client.send(post).await;
    first.read_until("body").await;
    first.send(instance("m9")).await;
    let (head, _) = client.read_message().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    rig.outcome("completed", 2).await;
    rig.outcome("machine_failed", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn in_connections_a_lingering_connection_keeps_its_place() {
    let mut plan = refuse_at_once(connections(0, 1));
    plan.upstream.linger = Linger::Hold;
    let rig = Rig::start(plan).await;
    let mut client = rig.client().await;
    let mut machine = dispatched(&rig, &mut client).await;
    machine.send(SHORT).await;
    client.read_message().await;
    rig.outcome("completed", 1).await;
    // The outcome is told before the connection begins to linger.
    eventually("it lingers", || rig.service().lingering == 1).await;
    assert_eq!(rig.service().in_flight, 1);
    client.send(GET).await;
    let (head, body) = client.read_message().await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(body.contains("urn:outlast:problem:limit"), "{body}");
    drop(machine);
    rig.in_flight(0).await;
    let mut machine = dispatched(&rig, &mut client).await;
    machine.send(SHORT).await;
    client.read_message().await;
    machine.finish().await;
    rig.finish().await;
}

#[tokio::test]
async fn an_evictable_lingering_connection_makes_room() {
    let rig = Rig::start(refuse_at_once(connections(0, 1))).await;
    let mut client = rig.client().await;
    let mut first = dispatched(&rig, &mut client).await;
    first.send(SHORT).await;
    client.read_message().await;
    rig.outcome("completed", 1).await;
    let mut second = dispatched(&rig, &mut client).await;
    assert_eq!(first.read_to_end().await.as_deref(), Ok(""), "evicted");
    second.send("HTTP/1.1 204 Done\r\nConnection: close\r\n\r\n").await;
    client.read_head().await;
    rig.finish().await;
}

#[tokio::test]
async fn a_full_service_refuses_as_rule_4_says() {
    let rig = Rig::start(refuse_at_once(requests(0, 1))).await;
    let mut client = rig.client().await;
    let machine = dispatched(&rig, &mut client).await;
    let mut refused = rig.client().await;
    refused.send(GET).await;
    let (head, body) = refused.read_message().await;
    for line in [
        "HTTP/1.1 503 Service Unavailable",
        "Retry-After: 5",
        "Content-Type: application/problem+json",
    ] {
        assert!(head.lines().any(|other| other == line), "{line} in {head}");
    }
    assert!(head.contains("Proxy-Status: outlast; error=connection_limit_reached; details="));
    let id = head.lines().find_map(|line| line.strip_prefix("Fly-Request-Id: ")).expect("an id");
    assert!(body.contains(id), "{body}");
    rig.outcome("refused", 1).await;
    rig.counted("outlast_refusals_total{service=\"http\",reason=\"limit\"} 1").await;
    // The connection goes on after a refusal: nothing of the request is left unread.
    drop((client, machine));
    rig.in_flight(0).await;
    let mut machine = dispatched(&rig, &mut refused).await;
    machine.send(SHORT).await;
    assert_eq!(refused.read_message().await.1, "hi");
    rig.finish().await;
}

#[tokio::test]
async fn who_waits_gets_the_place_that_comes_free_and_who_leaves_leaves_nothing() {
    let rig = Rig::start(requests(0, 1)).await;
    let mut first = rig.client().await;
    let mut machine = dispatched(&rig, &mut first).await;
    let (mut second, mut third) = (rig.client().await, rig.client().await);
    second.send(GET).await;
    eventually("one waits", || rig.service().queue_length == 1).await;
    third.send(GET).await;
    eventually("two wait", || rig.service().queue_length == 2).await;
    second.finish().await;
    rig.outcome("client_gone", 1).await;
    assert_eq!(rig.service().queue_length, 1);
    machine.send(SHORT).await;
    first.read_message().await;
    machine.read_head().await;
    machine.send(SHORT).await;
    assert_eq!(third.read_message().await.1, "hi");
    rig.finish().await;
}

#[tokio::test]
async fn a_client_that_goes_releases_its_machine_at_once() {
    let rig = Rig::start(requests(0, 0)).await;
    for reset in [false, true] {
        let mut client = rig.client().await;
        let mut machine = dispatched(&rig, &mut client).await;
        machine.send(STREAM).await;
        client.read_head().await;
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        assert_eq!(machine.read_to_end().await.as_deref(), Ok(""));
    }
    rig.outcome("client_gone", 2).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_machine_that_dies_in_a_stream_cuts_it_visibly() {
    let rig = Rig::start(requests(0, 0)).await;
    let mut chunked = rig.client().await;
    let mut machine = dispatched(&rig, &mut chunked).await;
    machine.send(STREAM).await;
    machine.send_chunk("half").await;
    drop(machine);
    let got = chunked.read_to_end().await.expect("the framing shows the cut");
    assert!(got.ends_with("4\r\nhalf\r\n"), "{got}");

    let mut until_close = rig.client().await;
    let mut machine = dispatched(&rig, &mut until_close).await;
    machine.send("HTTP/1.1 200 OK\r\n\r\nhalf").await;
    until_close.read_until("half").await;
    machine.reset();
    let end = until_close.read_to_end().await;
    assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset), "only a reset shows this cut");
    rig.outcome("machine_failed", 2).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_machine_that_fails_before_its_response_is_a_502() {
    let rig = Rig::start(requests(0, 0)).await;
    let mut client = rig.client().await;
    let machine = dispatched(&rig, &mut client).await;
    drop(machine);
    let (head, _) = client.read_message().await;
    assert!(head.contains("502 Bad Gateway") && head.contains("error=connection_terminated"));
    let mut client = rig.client().await;
    let mut machine = dispatched(&rig, &mut client).await;
    machine.send("SSH-2.0-nonsense\r\n").await;
    assert!(client.read_message().await.0.contains("error=http_protocol_error"));
    let nobody = ScriptedMachine::start().await;
    let gone = nobody.address();
    drop(nobody);
    rig.gateway.machine_lost("m1");
    rig.ready("m2", gone);
    let mut client = rig.client().await;
    client.send(GET).await;
    assert!(client.read_message().await.0.contains("error=connection_refused"));
    rig.outcome("machine_failed", 3).await;
    rig.finish().await;
}

#[tokio::test]
async fn no_machine_is_said_to_be_none() {
    let machine = ScriptedMachine::start().await;
    let rig = Rig::without_machine(refuse_at_once(requests(0, 0)), machine);
    let mut client = rig.client().await;
    client.send(GET).await;
    let (head, _) = client.read_message().await;
    assert!(head.contains("503 ") && head.contains("error=destination_unavailable"), "{head}");
    rig.finish().await;
}

#[tokio::test]
async fn bad_heads_are_answered_recorded_and_not_relayed() {
    let rig = Rig::start(requests(0, 0)).await;
    for (head, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400 "),
        ("BREW\r\n\r\n", "400 "),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 "),
        ("GET /\r\n\r\n", "400 "),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "400 ",
        ),
    ] {
        let mut client = rig.client().await;
        client.send(head).await;
        let (got, _) = client.read_message().await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status}")), "{head:?}: {got}");
        assert_eq!(client.read_to_end().await.as_deref(), Ok(""), "closed after {head:?}");
    }
    rig.outcome("refused", 5).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_body_that_is_none_is_refused_before_the_response() {
    let mut plan = requests(0, 0);
    plan.upstream.request_buffer = 0;
    let rig = Rig::start(plan).await;
    let mut client = rig.client().await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(request).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    client.send("zz\r\n").await;
    assert!(client.read_message().await.0.starts_with("HTTP/1.1 400 "));
    assert_eq!(machine.read_to_end().await.as_deref(), Ok(""), "never a complete request");
    rig.finish().await;
}

#[tokio::test]
async fn own_paths_are_for_those_who_are_let_in_and_take_no_place() {
    let rig = Rig::start(refuse_at_once(requests(0, 1))).await;
    let mut held = rig.client().await;
    let _machine = dispatched(&rig, &mut held).await;
    let mut client = rig.client().await;
    client.send("GET /.outlast/pool HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.read_message().await.0.starts_with("HTTP/1.1 401 "));
    let bearer = "Authorization: Bearer let-me-in\r\n";
    client.send(format!("GET /.outlast/pool HTTP/1.1\r\nHost: a\r\n{bearer}\r\n")).await;
    let (head, body) = client.read_message().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(body.contains("\"in_flight\":1"), "{body}");
    client.send(format!("GET /.outlast/nope HTTP/1.1\r\nHost: a\r\n{bearer}\r\n")).await;
    assert!(client.read_message().await.0.starts_with("HTTP/1.1 404 "));
    drop(held);
    rig.finish().await;
}

#[tokio::test]
async fn an_operator_ends_an_exchange() {
    let rig = Rig::start(requests(0, 0)).await;
    let mut client = rig.client().await;
    let mut machine = dispatched(&rig, &mut client).await;
    machine.send(STREAM).await;
    client.read_head().await;
    let id = rig.service().exchanges[0].id.parse().expect("an id");
    assert!(rig.observe.end(id));
    assert_eq!(client.read_to_end().await.as_deref(), Ok(""));
    assert_eq!(machine.read_to_end().await.as_deref(), Ok(""));
    rig.outcome("ended_by", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_drain_lets_streams_finish_and_says_who_was_late() {
    let mut plan = requests(0, 0);
    plan.drain_grace = Duration::from_millis(200);
    let rig = Rig::start(plan).await;
    let (mut quick, mut slow) = (rig.client().await, rig.client().await);
    let mut quick_machine = dispatched(&rig, &mut quick).await;
    let mut slow_machine = dispatched(&rig, &mut slow).await;
    slow_machine.send(STREAM).await;
    slow.read_head().await;
    let mut later = rig.client().await;
    let (report, ()) = tokio::join!(rig.gateway.drain(), async {
        later.send(GET).await;
        let (head, _) = later.read_message().await;
        assert!(head.contains("503 ") && head.contains("error=connection_refused"), "{head}");
        quick_machine.send(SHORT).await;
        assert_eq!(quick.read_message().await.1, "hi");
    });
    assert_eq!(report.late.len(), 1, "{report:?}");
    let observe = rig.observe.clone();
    tokio::task::spawn_blocking(move || rig.gateway.stop()).await.expect("stopped");
    assert_eq!(slow.read_to_end().await.as_deref(), Ok(""), "cut, and seen to be: no last chunk");
    let line = "outlast_exchanges_total{service=\"http\",outcome=\"cut_by_drain\"} 1";
    assert!(observe.metrics_text().contains(line), "{}", observe.metrics_text());
}

#[tokio::test]
async fn a_tunnel_passes_bytes_and_ends_of_file_both_ways() {
    let rig = Rig::start(plan(ServiceKind::Tcp, Accounting::Connections, 0, 1)).await;
    let mut client = rig.client().await;
    client.send("hello").await;
    let mut machine = rig.machine.accept().await;
    assert_eq!(machine.read_exact(5).await, "hello");
    assert_eq!(rig.service().in_flight, 1);
    client.finish().await;
    assert_eq!(machine.read_to_end().await.as_deref(), Ok(""));
    machine.send("still here").await;
    machine.finish().await;
    assert_eq!(client.read_to_end().await.as_deref(), Ok("still here"));
    rig.outcome("completed", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_tunnel_that_is_refused_is_reset() {
    let mut plan = refuse_at_once(plan(ServiceKind::Tcp, Accounting::Connections, 0, 1));
    plan.queue.depth_max = 0;
    let rig = Rig::start(plan).await;
    let mut client = rig.client().await;
    client.send("a").await;
    let machine = rig.machine.accept().await;
    let end = match Wire::try_connect(rig.gateway.addresses()[0]).await {
        Ok(mut refused) => refused.read_to_end().await,
        Err(error) => Err(error),
    };
    assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset));
    machine.reset();
    assert_eq!(client.read_to_end().await, Err(std::io::ErrorKind::ConnectionReset));
    rig.outcome("machine_failed", 1).await;
    rig.finish().await;
}
