//! Clients and machines that go away while nobody reads what they sent.

mod common;

use common::{Rig, plan};
use outlast_config::{Accounting, Plan, ServiceKind};
use outlast_testkit::{Wire, eventually};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
/// More than the sockets between a client and a machine hold.
const BULK: usize = 64 * 1024 * 1024;

fn requests(hard: u32) -> Plan {
    plan(ServiceKind::Http, Accounting::Requests, 0, hard)
}

/// Sends until nobody takes more.
async fn fill(wire: &mut Wire) {
    let bytes = vec![b'x'; BULK];
    wire.send_while_taken(&bytes).await;
}

#[tokio::test]
async fn a_reset_is_noticed_while_the_machine_does_not_take_the_body() {
    let rig = Rig::start(requests(1)).await;
    let mut client = rig.client().await;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BULK}\r\n\r\n")).await;
    fill(&mut client).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    client.reset();
    rig.outcome("client_gone", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_reset_is_noticed_while_the_client_has_sent_ahead() {
    let rig = Rig::start(requests(1)).await;
    let mut client = rig.client().await;
    client.send(GET).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    fill(&mut client).await;
    client.reset();
    rig.outcome("client_gone", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn who_leaves_the_queue_with_much_unread_leaves_it_and_no_machine_hears_of_it() {
    let rig = Rig::start(requests(1)).await;
    let mut first = rig.client().await;
    first.send(GET).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    let mut second = rig.client().await;
    second.send(format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {BULK}\r\n\r\n")).await;
    fill(&mut second).await;
    eventually("it waits", || rig.service().queue_length == 1).await;
    second.reset();
    eventually("it has left", || rig.service().queue_length == 0).await;
    rig.outcome("client_gone", 1).await;
    machine.send(SHORT).await;
    assert_eq!(first.read_message().await.1, "hi");
    first.send(GET).await;
    assert!(machine.read_head().await.starts_with("GET "), "the next that it hears of");
    drop(first);
    rig.finish().await;
}

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

async fn tunnel(rig: &Rig) -> (Wire, Wire) {
    let mut client = rig.client().await;
    client.send(UPGRADE).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine.send(SWITCHING).await;
    client.read_head().await;
    (client, machine)
}

#[tokio::test]
async fn either_end_of_a_tunnel_that_has_finished_may_still_be_reset() {
    let rig = Rig::start(requests(0)).await;
    let (mut client, mut machine) = tunnel(&rig).await;
    client.finish().await;
    assert_eq!(machine.read_to_end().await.as_deref(), Ok(""));
    client.reset();
    rig.outcome("client_gone", 1).await;
    let (mut client, mut machine) = tunnel(&rig).await;
    machine.finish().await;
    assert_eq!(client.read_to_end().await.as_deref(), Ok(""));
    machine.reset();
    rig.outcome("machine_failed", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_tunnel_whose_machine_does_not_read_ends_with_its_client() {
    let rig = Rig::start(requests(0)).await;
    let (mut client, _machine) = tunnel(&rig).await;
    fill(&mut client).await;
    client.reset();
    rig.outcome("client_gone", 1).await;
    rig.finish().await;
}

/// A machine may close a pooled connection in the moment in which a request is written to it: nginx asks again, and so do we.
#[tokio::test]
async fn a_safe_request_is_repeated_where_a_pooled_connection_dies_and_no_other() {
    let rig = Rig::start(requests(0)).await;
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    for (request, is_repeated) in [(GET, true), (post, false)] {
        let mut client = rig.client().await;
        client.send(GET).await;
        let mut machine = rig.machine.accept().await;
        machine.read_head().await;
        machine.send(SHORT).await;
        client.read_message().await;
        client.send(request).await;
        let heard = machine.read_head().await;
        drop(machine);
        if is_repeated {
            let mut fresh = rig.machine.accept().await;
            assert_eq!(fresh.read_head().await, heard, "the same again");
            // Once, and on a fresh connection never.
            drop(fresh);
        }
        let (head, _) = client.read_message().await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    }
    rig.outcome("machine_failed", 2).await;
    let mut client = rig.client().await;
    client.send(GET).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine.send(SHORT).await;
    client.read_message().await;
    client.send(GET).await;
    machine.read_head().await;
    machine.send("HTTP/1.1 2").await;
    drop(machine);
    let (head, _) = client.read_message().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "an answer had begun: {head}");
    rig.outcome("machine_failed", 3).await;
    rig.finish().await;
}
