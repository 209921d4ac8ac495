//! End-of-file of a client after its request, where a route says that it still listens.

mod common;

use common::{Rig, plan};
use outlast_config::{Accounting, HalfClose, ServiceKind};
use outlast_testkit::{Wire, eventually};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn rig(half_close: HalfClose, hard: u32) -> Rig {
    let mut plan = plan(ServiceKind::Http, Accounting::Requests, 0, hard);
    plan.services[0].routes.rest.half_close = half_close;
    Rig::start(plan).await
}

/// A client that has asked and finished, and its machine, which has not answered.
async fn asked(rig: &Rig) -> (Wire, Wire) {
    let mut client = rig.client().await;
    client.send(REQUEST).await;
    client.finish().await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    (client, machine)
}

#[tokio::test]
async fn who_has_finished_is_gone_by_default() {
    let rig = rig(HalfClose::Gone, 10).await;
    let mut client = rig.client().await;
    client.send(REQUEST).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    // Not before: who has gone by then may never reach its machine.
    client.finish().await;
    assert_eq!(machine.read_to_end().await.as_deref(), Ok(""), "its machine is free");
    rig.outcome("client_gone", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn who_is_kept_gets_its_whole_answer() {
    let rig = rig(HalfClose::Keep, 10).await;
    let (mut client, mut machine) = asked(&rig).await;
    // Two looks' time of silence, then the answer in pieces.
    tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
    machine.send("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello").await;
    client.read_until("hello").await;
    machine.send(" there").await;
    assert_eq!(client.read_to_end().await.as_deref(), Ok(" there"));
    rig.outcome("completed", 1).await;
    rig.finish().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_is_kept_is_told_to_have_finished() {
    let rig = rig(HalfClose::Keep, 10).await;
    let (client, machine) = asked(&rig).await;
    let exchange = || rig.observe.exchanges().remove(0);
    let client_has_finished = || exchange().client_socket.is_some_and(|socket| socket.finished);
    eventually("its end of file is told", client_has_finished).await;
    let exchange = exchange();
    assert!(exchange.evidence.ends_with("; the client has finished"), "{}", exchange.evidence);
    assert!(!exchange.machine_socket.expect("told").finished);
    drop((client, machine));
    rig.finish().await;
}

#[tokio::test]
async fn who_is_kept_keeps_its_place_in_the_queue() {
    let rig = rig(HalfClose::Keep, 1).await;
    let (first, first_machine) = asked(&rig).await;
    let mut client = rig.client().await;
    client.send(REQUEST).await;
    client.finish().await;
    eventually("it waits", || rig.service().queue_length == 1).await;
    first.reset();
    drop(first_machine);
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    machine.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    assert!(client.read_to_end().await.expect("whole").ends_with("hi"));
    rig.outcome("completed", 1).await;
    rig.finish().await;
}

/// Nothing is read of it any more, and its machine says nothing: the reset is looked for.
#[tokio::test]
async fn a_reset_of_one_that_is_kept_means_gone() {
    let rig = rig(HalfClose::Keep, 1).await;
    let (client, mut machine) = asked(&rig).await;
    let mut waiting = rig.client().await;
    waiting.send(REQUEST).await;
    waiting.finish().await;
    eventually("it waits", || rig.service().queue_length == 1).await;
    waiting.reset();
    eventually("it has left the queue", || rig.service().queue_length == 0).await;
    client.reset();
    assert_eq!(machine.read_to_end().await.as_deref(), Ok(""), "its machine is free");
    rig.outcome("client_gone", 2).await;
    rig.finish().await;
}

#[tokio::test]
async fn one_that_is_kept_and_has_closed_is_found_by_the_answer() {
    let rig = rig(HalfClose::Keep, 10).await;
    let (client, mut machine) = asked(&rig).await;
    drop(client);
    machine.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nhello").await;
    rig.outcome("client_gone", 1).await;
    rig.finish().await;
}

#[tokio::test]
async fn end_of_file_within_a_request_means_gone_in_any_case() {
    for half_close in [HalfClose::Gone, HalfClose::Keep] {
        let rig = rig(half_close, 10).await;
        let mut client = rig.client().await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello").await;
        client.finish().await;
        rig.outcome("client_gone", 1).await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn two_requests_that_came_before_the_end_are_both_answered() {
    let rig = rig(HalfClose::Keep, 10).await;
    let mut client = rig.client().await;
    client.send(REQUEST.repeat(2)).await;
    client.finish().await;
    let mut machine = rig.machine.accept().await;
    for answer in ["one", "two"] {
        machine.read_head().await;
        machine.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{answer}")).await;
        client.read_until(answer).await;
    }
    assert_eq!(client.read_to_end().await.as_deref(), Ok(""));
    rig.outcome("completed", 2).await;
    rig.finish().await;
}
