//! What a proxy must do beside relaying (RFC 9110, RFC 9112), through a real gateway, with every byte decided by the test.

mod common;

use std::time::Duration;

use common::{Rig, plan};
use outlast_config::{Accounting, Plan, ServiceKind};
use outlast_testkit::Wire;

const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

fn requests(hard: u32) -> Plan {
    plan(ServiceKind::Http, Accounting::Requests, 0, hard)
}

/// A machine with the connection on which the request's head has just come.
async fn asked(rig: &Rig, client: &mut Wire, request: &str) -> (Wire, String) {
    client.send(request).await;
    let mut machine = rig.machine.accept().await;
    let head = machine.read_head().await;
    (machine, head)
}

#[tokio::test]
async fn responses_without_a_body_end_with_their_head() {
    let rig = Rig::start(requests(0)).await;
    let mut client = rig.client().await;
    let (mut machine, head) = asked(&rig, &mut client, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(head.starts_with("HEAD / "), "{head}");
    machine.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
    assert!(client.read_head().await.contains("Content-Length: 1000"));
    for (answer, length) in [
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", false),
    ] {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        machine.read_head().await;
        machine.send(answer).await;
        assert_eq!(client.read_head().await.contains("Content-Length"), length);
    }
    rig.outcome("completed", 3).await;
    rig.finish().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let rig = Rig::start(requests(0)).await;
    let mut client = rig.client().await;
    let requests: String = (0..20)
        .map(|n| format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"))
        .collect();
    client.send(requests).await;
    let mut machine = rig.machine.accept().await;
    for number in 0..20 {
        let head = machine.read_head().await;
        assert!(head.starts_with(&format!("POST /{number} ")), "{head}");
        assert_eq!(machine.read_exact(3).await, "abc");
        let body = format!("answer {number}");
        let length = body.len();
        machine.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")).await;
    }
    for number in 0..20 {
        assert_eq!(client.read_message().await.1, format!("answer {number}"));
    }
    rig.outcome("completed", 20).await;
    rig.finish().await;
}

#[tokio::test]
async fn nothing_behind_an_invalid_message_is_ever_processed() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for first in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
    ] {
        let rig = Rig::start(requests(0)).await;
        let mut client = rig.client().await;
        client.send(format!("{first}{smuggled}")).await;
        let (head, _) = client.read_message().await;
        assert!(head.starts_with("HTTP/1.1 400 ") && head.contains("Connection: close"), "{head}");
        assert_eq!(client.read_to_end().await.as_deref(), Ok(""), "{first:?}");
        // What a well-behaved client asks next is the first that the machine hears of.
        let mut other = rig.client().await;
        let (_, head) = asked(&rig, &mut other, "GET /other HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(head.starts_with("GET /other "), "{first:?} led to {head:?}");
        drop(other);
        rig.finish().await;
    }
}

#[tokio::test]
async fn a_client_that_waits_for_leave_gets_it_from_the_machine_or_from_us() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    // The gateway gathers the body itself, so it gives leave, and the machine has nothing to wait for.
    let rig = Rig::start(requests(0)).await;
    let mut client = rig.client().await;
    client.send(post).await;
    assert_eq!(client.read_head().await, CONTINUE);
    client.send("hello").await;
    let mut machine = rig.machine.accept().await;
    assert!(!machine.read_head().await.contains("Expect"));
    assert_eq!(machine.read_exact(5).await, "hello");
    machine.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
    rig.finish().await;

    // It does not: the machine decides, here first with a refusal that spares the body.
    let mut plan = requests(0);
    plan.upstream.request_buffer = 0;
    let rig = Rig::start(plan).await;
    let mut client = rig.client().await;
    let (mut machine, head) = asked(&rig, &mut client, post).await;
    assert!(head.contains("\r\nExpect: 100-continue\r\n"), "{head}");
    machine.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 413 "));
    assert_eq!(client.read_to_end().await.as_deref(), Ok(""), "the body may yet come, or not");
    let mut client = rig.client().await;
    let (mut machine, _) = asked(&rig, &mut client, post).await;
    machine.send(CONTINUE).await;
    assert_eq!(client.read_head().await, CONTINUE);
    client.send("hello").await;
    assert_eq!(machine.read_exact(5).await, "hello");
    machine.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
    rig.finish().await;
}

#[tokio::test]
async fn a_slow_body_takes_no_place_until_enough_of_it_has_come() {
    let mut plan = requests(1);
    plan.upstream.request_buffer = 1024;
    let rig = Rig::start(plan).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut client = rig.client().await;
        client.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4096\r\n\r\nx").await;
        slow.push(client);
    }
    outlast_testkit::eventually("all are being received", || {
        let exchanges = rig.service().exchanges;
        exchanges.iter().filter(|exchange| exchange.stage == "receiving").count() == 20
    })
    .await;
    assert_eq!((rig.service().in_flight, rig.service().queue_length), (0, 0));
    // The only place is free for who is ready.
    let mut client = rig.client().await;
    let (mut machine, _) = asked(&rig, &mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    machine.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
    // A slow one that has sent enough goes on, and its rest is streamed.
    let mut patient = slow.remove(0);
    patient.send("x".repeat(1023)).await;
    machine.read_head().await;
    assert_eq!(machine.read_exact(1024).await.len(), 1024);
    patient.send("y".repeat(3072)).await;
    assert_eq!(machine.read_exact(3072).await.len(), 3072);
    machine.send(SHORT).await;
    assert_eq!(patient.read_message().await.1, "hi");
    drop(slow);
    rig.outcome("client_gone", 19).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_408_and_never_reaches_a_machine() {
    let mut plan = requests(0);
    plan.services[0].clocks.head = Duration::from_millis(100);
    let rig = Rig::start(plan).await;
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4096\r\n\r\nx").await;
    let (head, body) = client.read_message().await;
    assert!(
        head.starts_with("HTTP/1.1 408 ") && body.contains("body did not come"),
        "{head}{body}"
    );
    assert_eq!(client.read_to_end().await.as_deref(), Ok(""));
    rig.outcome("timed_out", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn an_upgrade_is_a_tunnel_that_keeps_its_place_until_both_sides_have_closed() {
    let rig = Rig::start(requests(1)).await;
    let mut client = rig.client().await;
    let (mut machine, head) = asked(&rig, &mut client, UPGRADE).await;
    assert!(head.contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"), "{head}");
    machine.send(SWITCHING).await;
    let head = client.read_head().await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("Fly-Request-Id: "), "{head}");
    assert!(head.contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"), "{head}");
    for word in ["ping", "pong"] {
        client.send(word).await;
        assert_eq!(machine.read_exact(4).await, word);
        machine.send(word).await;
        assert_eq!(client.read_exact(4).await, word);
    }
    machine.finish().await;
    assert_eq!(client.read_to_end().await.as_deref(), Ok(""), "the end is passed on");
    assert_eq!(rig.service().in_flight, 1, "the other side still speaks");
    client.send("bye").await;
    client.finish().await;
    assert_eq!(machine.read_to_end().await.as_deref(), Ok("bye"));
    rig.outcome("completed", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_tunnel_that_breaks_looks_whole_to_neither_side() {
    let rig = Rig::start(requests(0)).await;
    let reset = Err(std::io::ErrorKind::ConnectionReset);
    let mut client = rig.client().await;
    let (mut machine, _) = asked(&rig, &mut client, UPGRADE).await;
    machine.send(SWITCHING).await;
    client.read_head().await;
    client.reset();
    assert_eq!(machine.read_to_end().await, reset);
    let mut client = rig.client().await;
    let (mut machine, _) = asked(&rig, &mut client, UPGRADE).await;
    machine.send(SWITCHING).await;
    client.read_head().await;
    machine.reset();
    assert_eq!(client.read_to_end().await, reset);
    rig.outcome("client_gone", 1).await;
    rig.outcome("machine_failed", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_machine_that_breaks_the_rules_is_a_502_and_its_connection_is_not_used_again() {
    let many_interims = "HTTP/1.1 102 Processing\r\n\r\n".repeat(17);
    let many_fields = format!("HTTP/1.1 200 X\r\n{}", "A: b\r\n".repeat(200));
    let long_head = format!("HTTP/1.1 200 X\r\nA: {}", "b".repeat(40_000));
    for (answer, rule) in [
        ("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "unasked_upgrade"),
        (
            "HTTP/1.1 200 X\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "ambiguous_framing",
        ),
        ("HTTP/1.1 200 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "content_length"),
        ("HTTP/1.1 200 X\r\nA: b\rSet-Cookie: c\r\n\r\n", "syntax"),
        ("HTTP/1.1 20 X\r\n\r\n", "syntax"),
        ("HTTP/1.1 099 X\r\n\r\n", "status"),
        ("NONSENSE\r\n\r\n", "version"),
        (&many_interims, "interim_heads_max"),
        (&many_fields, "fields_max"),
        (&long_head, "head_bytes_max"),
    ] {
        let rig = Rig::start(requests(0)).await;
        let mut client = rig.client().await;
        let (mut machine, _) = asked(&rig, &mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        machine.send(answer).await;
        client.read_until("HTTP/1.1 502 Bad Gateway\r\n").await;
        let head = client.read_head().await;
        assert!(head.contains("error=http_protocol_error"), "{head}");
        let mut other = rig.client().await;
        let (mut fresh, _) = asked(&rig, &mut other, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        fresh.send(SHORT).await;
        assert_eq!(other.read_message().await.1, "hi");
        let line = format!("outlast_bad_responses_total{{service=\"http\",rule=\"{rule}\"}} 1");
        rig.counted(&line).await;
        rig.outcome("machine_failed", 1).await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn bytes_that_no_response_owns_cost_the_machine_its_connection() {
    let rig = Rig::start(requests(0)).await;
    for (request, answer) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", format!("{SHORT}HTTP/1.1 200 evil\r\n\r\n")),
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", SHORT.to_owned()),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        ),
    ] {
        let mut client = rig.client().await;
        let (mut machine, _) = asked(&rig, &mut client, request).await;
        machine.send(answer).await;
        let head = client.read_head().await;
        assert!(!head.contains("evil"), "{head}");
        assert!(machine.read_to_end().await.is_ok_and(|rest| rest.is_empty()), "it is closed");
    }
    rig.outcome("completed", 3).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_response_that_is_cut_short_never_looks_whole() {
    let rig = Rig::start(requests(0)).await;
    for (answer, got) in [
        ("HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nhalf", "half"),
        ("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "4\r\nhalf\r\n"),
        ("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n", "0\r\n"),
        ("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ""),
    ] {
        let mut client = rig.client().await;
        let (mut machine, _) = asked(&rig, &mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        machine.send(answer).await;
        machine.finish().await;
        let all = client.read_to_end().await.unwrap_or_default();
        assert!(all.ends_with(got) && !all.ends_with("0\r\n\r\n"), "{answer:?}: {all:?}");
    }
    rig.outcome("machine_failed", 4).await;
    rig.finish().await;
}

#[tokio::test]
async fn http_1_0_clients_are_served_in_their_own_way() {
    let rig = Rig::start(requests(0)).await;
    let mut client = rig.client().await;
    let keep = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let (mut machine, head) = asked(&rig, &mut client, keep).await;
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
    machine.send(SHORT).await;
    let (head, body) = client.read_message().await;
    assert!(head.contains("Connection: keep-alive") && body == "hi", "{head}");
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    machine.read_head().await;
    machine.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n").await;
    let head = client.read_head().await;
    assert!(!head.contains("chunked") && head.contains("Connection: close"), "{head}");
    assert_eq!(client.read_to_end().await.as_deref(), Ok("hi"));
    rig.outcome("completed", 2).await;
    rig.finish().await;
}

#[tokio::test]
async fn every_form_of_a_target_reaches_the_machine_in_its_own() {
    let rig = Rig::start(requests(0)).await;
    let mut client = rig.client().await;
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut machine = rig.machine.accept().await;
    assert!(machine.read_head().await.starts_with("OPTIONS * HTTP/1.1\r\nHost: a\r\n"));
    machine.send("HTTP/1.1 204 X\r\n\r\n").await;
    client.read_head().await;
    client.send("GET http://b.test:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(machine.read_head().await.starts_with("GET /x?y HTTP/1.1\r\nHost: b.test:81\r\n"));
    machine.send("HTTP/1.1 204 X\r\n\r\n").await;
    client.read_head().await;
    client.send("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n").await;
    assert!(client.read_message().await.0.starts_with("HTTP/1.1 501 "));
    rig.outcome("completed", 2).await;
    rig.finish().await;
}

/// HTTP/1.0 knows no `Host`, and HTTP/1.1, which the machine is spoken to in, no request without. An empty one made nginx refuse
/// what it serves when it is asked directly.
#[tokio::test]
async fn a_request_that_names_no_host_gets_the_machines_own() {
    let rig = Rig::start(requests(0)).await;
    let mut client = rig.client().await;
    let (mut machine, head) = asked(&rig, &mut client, "GET /x HTTP/1.0\r\nA: b\r\n\r\n").await;
    let address = rig.machine.address();
    assert!(head.starts_with(&format!("GET /x HTTP/1.1\r\nHost: {address}\r\nA: b\r\n")), "{head}");
    machine.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
    rig.outcome("completed", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn bodies_of_any_size_are_streamed_under_back_pressure() {
    const BODY: usize = 64 * 1024 * 1024;
    let rig = Rig::start(requests(0)).await;
    let mut client = rig.client().await;
    let send = async {
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n")).await;
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..BODY / piece.len() {
            client.send(&piece).await;
        }
    };
    let take = async {
        let mut machine = rig.machine.accept().await;
        machine.read_head().await;
        let mut left = BODY;
        while left > 0 {
            left -= machine.read_exact(left.min(1024 * 1024)).await.len();
        }
        machine.send(SHORT).await;
    };
    tokio::join!(send, take);
    assert_eq!(client.read_message().await.1, "hi");
    rig.outcome("completed", 1).await;
    rig.finish().await;
}
