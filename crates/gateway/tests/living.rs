//! The living and the dead over real sockets, as far as one host can show it: on it nobody vanishes, so that here the end of
//! those who have is given as a word, in every stage.

mod common;

use std::sync::Arc;

use common::{Rig, plan};
use outlast_config::{Accounting, ServiceKind};
use outlast_observe::{Ending, Record};
use outlast_protocol::pool;
use outlast_testkit::{ScriptedMachine, Wire, eventually};
#[cfg(target_os = "linux")]
use tokio::{io::AsyncWriteExt, net::TcpSocket};

fn requests(hard: u32) -> outlast_config::Plan {
    plan(ServiceKind::Http, Accounting::Requests, 0, hard)
}

#[cfg(target_os = "linux")]
fn only_or_none(rig: &Rig) -> Option<pool::Exchange> {
    let mut exchanges = rig.observe.exchanges();
    exchanges.pop().filter(|_| exchanges.is_empty())
}

fn only(rig: &Rig) -> pool::Exchange {
    let mut exchanges = rig.observe.exchanges();
    assert_eq!(exchanges.len(), 1);
    exchanges.remove(0)
}

async fn get(rig: &Rig) -> Wire {
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client
}

/// A client and its machine, in the middle of a response.
async fn stream(rig: &Rig) -> (Wire, Wire) {
    let mut client = get(rig).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    // Only the close says where it ends: cut in order it would look whole.
    machine.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
    client.read_head().await;
    (client, machine)
}

async fn record(rig: &Rig, stage: &str) -> Arc<Record> {
    let at_stage = || rig.observe.records().into_iter().find(|one| one.stage().name() == stage);
    eventually(stage, || at_stage().is_some()).await;
    at_stage().expect("it is there, and stays")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_exchange_that_works_is_told_to_be_active_with_both_its_connections() {
    let rig = Rig::start(requests(10)).await;
    let (client, machine) = stream(&rig).await;
    eventually("all is acknowledged", || {
        let exchange = only(&rig);
        let sockets = exchange.client_socket.zip(exchange.machine_socket);
        sockets.is_some_and(|(client, machine)| {
            [client, machine].iter().all(|end| {
                end.unanswered_ms.is_none() && end.waiting_ms.is_none() && end.unacked_bytes == 0
            })
        })
    })
    .await;
    let exchange = only(&rig);
    assert_eq!(exchange.state, "active");
    assert!(exchange.evidence.starts_with("active: last byte 0."), "{}", exchange.evidence);
    let service = rig.service();
    assert_eq!(service.states["active"], 1);
    assert_eq!((service.states.len(), service.states.values().sum::<usize>()), (6, 1));
    assert_eq!(rig.observe.evidence_missing(), None);
    rig.counted("outlast_exchange_states{service=\"http\",state=\"active\"} 1").await;
    drop((client, machine));
    rig.finish().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_takes_nothing_is_a_slow_reader_and_no_zombie() {
    let rig = Rig::start(requests(10)).await;
    let (client, mut machine) = stream(&rig).await;
    let push = async { machine.send("x".repeat(64 << 20)).await };
    let seen = eventually("a slow reader", || only(&rig).state == "slow reader");
    tokio::select! {
        () = push => panic!("all of it cannot be taken"),
        () = seen => {}
    }
    let exchange = only(&rig);
    let socket = exchange.client_socket.expect("told");
    assert!(socket.waiting_ms.expect("they wait") >= 2_000, "{socket:?}");
    assert!(
        socket.unsent_bytes > 0 && exchange.evidence.contains(" bytes wait for "),
        "{exchange:?}"
    );
    drop((client, machine));
    rig.finish().await;
}

/// Its sockets are of the other family than its clients.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_comes_by_ipv4_to_an_ipv6_listener_is_found() {
    let mut plan = requests(10);
    plan.services[0].listen = "[::]:0".parse().expect("an address");
    let rig = Rig::start(plan).await;
    let port = rig.gateway.addresses()[0].port();
    for host in ["127.0.0.1", "[::1]"] {
        let mut client = Wire::connect(format!("{host}:{port}").parse().expect("an address")).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let machine = rig.machine.accept().await;
        let told = || {
            let exchange = only(&rig);
            exchange.client_socket.is_some() && exchange.machine_socket.is_some()
        };
        eventually(host, told).await;
        drop((client, machine));
        rig.in_flight(0).await;
    }
    rig.finish().await;
}

/// A kernel uses one port for connections to two of our addresses.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn two_connections_of_one_client_port_are_told_apart_or_not_told_of() {
    let mut plan = requests(10);
    plan.services[0].listen = "0.0.0.0:0".parse().expect("an address");
    let rig = Rig::start(plan).await;
    let port = rig.gateway.addresses()[0].port();
    let first = TcpSocket::new_v4().expect("a socket");
    first.set_reuseaddr(true).expect("allowed");
    first.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let shared = first.local_addr().expect("bound");
    let second = TcpSocket::new_v4().expect("a socket");
    second.set_reuseaddr(true).expect("allowed");
    second.bind(shared).expect("shared");
    let mut streams = Vec::new();
    for (socket, ip) in [(first, [127, 0, 0, 1]), (second, [127, 0, 0, 5])] {
        let mut stream = socket.connect((ip, port).into()).await.expect("accepted");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
        let mut machine = rig.machine.accept().await;
        machine.read_head().await;
        streams.push((stream, machine));
    }
    eventually("of two that are well it is told that they are", || {
        let exchanges = rig.observe.exchanges();
        let is_well = |one: &pool::Exchange| {
            one.client == shared.to_string()
                && one.client_socket.is_some_and(|socket| socket.unanswered_ms.is_none())
        };
        exchanges.len() == 2 && exchanges.iter().all(is_well)
    })
    .await;
    // One takes nothing: whose socket that is cannot be told.
    let (_, machine) = &mut streams[0];
    machine.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
    let push = async { machine.send("x".repeat(64 << 20)).await };
    let seen = eventually("they differ", || {
        rig.observe.exchanges().iter().all(|one| one.client_socket.is_none())
    });
    tokio::select! {
        () = push => panic!("all of it cannot be taken"),
        () = seen => {}
    }
    // The other one is gone: no doubt is left.
    drop(streams.pop());
    eventually("a slow reader", || {
        only_or_none(&rig).is_some_and(|one| one.state == "slow reader")
    })
    .await;
    drop(streams);
    rig.finish().await;
}

#[tokio::test]
async fn a_client_that_vanishes_while_it_waits_takes_its_place_in_the_queue_along() {
    let rig = Rig::start(requests(1)).await;
    let (first, first_machine) = stream(&rig).await;
    let waiting = get(&rig).await;
    eventually("it waits", || rig.service().queue_length == 1).await;
    let states = rig.service().states;
    assert_eq!((states["queued"], states["active"]), (1, 1));
    assert!(record(&rig, "queued").await.end(Ending::ClientVanished));
    eventually("the queue is empty", || rig.service().queue_length == 0).await;
    rig.counted("outlast_released_total{service=\"http\",reason=\"client_vanished\"} 1").await;
    drop((first, first_machine, waiting));
    rig.finish().await;
}

#[tokio::test]
async fn a_client_that_vanishes_while_its_body_comes_is_released() {
    let rig = Rig::start(requests(1)).await;
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx").await;
    record(&rig, "receiving").await.end(Ending::ClientVanished);
    rig.outcome("client_gone", 1).await;
    assert!(client.read_to_end().await.is_err(), "reset: nothing is sent to it again and again");
    rig.finish().await;
}

#[tokio::test]
async fn a_client_that_vanishes_frees_its_machine_at_once_in_every_stage() {
    let rig = Rig::start(requests(10)).await;
    let mut client = get(&rig).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    record(&rig, "waiting").await.end(Ending::ClientVanished);
    assert_eq!(machine.read_to_end().await.as_deref(), Ok(""));
    assert!(client.read_to_end().await.is_err());

    let (mut client, mut machine) = stream(&rig).await;
    record(&rig, "streaming").await.end(Ending::ClientVanished);
    assert_eq!(machine.read_to_end().await.as_deref(), Ok(""));
    assert!(client.read_to_end().await.is_err());
    rig.counted("outlast_released_total{service=\"http\",reason=\"client_vanished\"} 2").await;
    rig.outcome("client_gone", 2).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_machine_that_vanishes_is_a_504_before_the_head_and_a_cut_after_it() {
    let rig = Rig::start(requests(10)).await;
    let mut client = get(&rig).await;
    let mut machine = rig.machine.accept().await;
    machine.read_head().await;
    record(&rig, "waiting").await.end(Ending::MachineVanished);
    let (head, body) = client.read_message().await;
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
    assert!(head.contains("error=connection_read_timeout"), "{head}");
    assert!(body.contains("does not answer any more"), "{body}");

    let (mut client, _machine) = stream(&rig).await;
    record(&rig, "streaming").await.end(Ending::MachineVanished);
    assert!(client.read_to_end().await.is_err(), "it must not look whole");
    rig.counted("outlast_released_total{service=\"http\",reason=\"machine_vanished\"} 2").await;
    rig.outcome("machine_failed", 2).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_tunnel_whose_client_vanishes_is_cut_at_both_ends() {
    let machine = ScriptedMachine::start().await;
    let rig = Rig::without_machine(plan(ServiceKind::Tcp, Accounting::Connections, 0, 1), machine);
    rig.ready("m1", rig.machine.address());
    let mut client = rig.client().await;
    let mut machine = rig.machine.accept().await;
    record(&rig, "streaming").await.end(Ending::ClientVanished);
    assert!(machine.read_to_end().await.is_err() && client.read_to_end().await.is_err());
    rig.outcome("client_gone", 1).await;
    rig.finish().await;
}
