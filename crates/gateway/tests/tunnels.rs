//! Raw TCP services that wait for a place.

mod common;

use common::{Rig, plan};
use outlast_config::{Accounting, ServiceKind};
use outlast_testkit::{Wire, eventually};

/// A rig whose only place is taken, and both ends of what takes it.
async fn full() -> (Rig, Wire, Wire) {
    let rig = Rig::start(plan(ServiceKind::Tcp, Accounting::Connections, 0, 1)).await;
    let client = rig.client().await;
    let machine = rig.machine.accept().await;
    (rig, client, machine)
}

async fn queued(rig: &Rig, count: usize) {
    eventually("the queue is as long", || rig.service().queue_length == count).await;
}

/// On a raw connection end-of-file is a word like any other: the client has said everything, and waits for the answer. It was
/// once taken for gone, and reset.
#[tokio::test]
async fn a_client_that_has_said_everything_keeps_its_place_in_the_queue() {
    let (rig, first, first_machine) = full().await;
    let mut client = rig.client().await;
    client.send("everything").await;
    client.finish().await;
    queued(&rig, 1).await;
    drop((first, first_machine));
    let mut machine = rig.machine.accept().await;
    assert_eq!(machine.read_to_end().await.as_deref(), Ok("everything"));
    machine.send("the answer").await;
    machine.finish().await;
    assert_eq!(client.read_to_end().await.as_deref(), Ok("the answer"));
    rig.outcome("completed", 2).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_client_that_breaks_off_leaves_the_queue() {
    let (rig, first, first_machine) = full().await;
    let mut client = rig.client().await;
    client.send("something").await;
    queued(&rig, 1).await;
    client.reset();
    rig.outcome("client_gone", 1).await;
    queued(&rig, 0).await;
    drop((first, first_machine));
    rig.outcome("completed", 1).await;
    rig.finish().await;
}

/// Nothing is read of who has finished, and its reset was once seen only when its time in the queue was over.
#[tokio::test]
async fn a_client_that_has_said_everything_and_breaks_off_leaves_the_queue() {
    let (rig, first, first_machine) = full().await;
    let mut client = rig.client().await;
    client.send("something").await;
    client.finish().await;
    queued(&rig, 1).await;
    client.reset();
    rig.outcome("client_gone", 1).await;
    queued(&rig, 0).await;
    drop((first, first_machine));
    rig.outcome("completed", 1).await;
    rig.finish().await;
}

/// A machine whose queue of connections is full, and what fills it.
async fn deaf() -> (std::net::TcpListener, Vec<std::net::TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(0).expect("bound").into_std().expect("a socket");
    let address = listener.local_addr().expect("bound");
    let fill = tokio::task::spawn_blocking(move || {
        let connect = || {
            std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(200))
        };
        std::iter::from_fn(|| connect().ok()).collect()
    });
    (listener, fill.await.expect("no panic"))
}

#[tokio::test]
async fn a_client_that_breaks_off_is_seen_while_its_machine_is_connected_to() {
    let (listener, _filling) = deaf().await;
    let mut plan = plan(ServiceKind::Tcp, Accounting::Connections, 0, 1);
    plan.services[0].routes.rest.clocks.connect = std::time::Duration::from_secs(60);
    let rig = Rig::without_machine(plan, outlast_testkit::ScriptedMachine::start().await);
    rig.ready("deaf", listener.local_addr().expect("bound"));
    let client = rig.client().await;
    rig.in_flight(1).await;
    client.reset();
    rig.outcome("client_gone", 1).await;
    rig.finish().await;
}
