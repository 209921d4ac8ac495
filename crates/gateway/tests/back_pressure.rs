//! A sender that pushes without end at a receiver that hardly reads costs a bounded number of bytes, whatever carries them.

#[expect(dead_code, reason = "these tests have sockets of their own")]
mod common;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use common::{Rig, plan};
use outlast_config::{Accounting, Plan, ServiceKind};
use outlast_testkit::ScriptedMachine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// What is set, and what it comes to: twice that, in the kernel and in the gateway, the fixed buffers of both far ends (which
/// the kernel doubles), and what the gateway's own socket received before it was not read any more. Without the bound it is
/// `net.ipv4.tcp_wmem` for one socket alone, 4 MiB.
const BUFFER_MAX: usize = 64 * 1024;
const COST_MAX: usize = 2 * 1024 * 1024;
/// The buffers of the far ends.
const FAR_BYTES: u32 = 32 * 1024;
/// Nobody takes anything for so long: it stands still.
const STANDSTILL: Duration = Duration::from_millis(100);

fn bounded(kind: ServiceKind) -> Plan {
    let mut plan = plan(kind, Accounting::Connections, 0, 0);
    plan.buffer_max = BUFFER_MAX;
    plan
}

fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(FAR_BYTES).expect("an option");
    socket.set_recv_buffer_size(FAR_BYTES).expect("an option");
    socket
}

/// A gateway before a machine whose sockets have small buffers of a fixed size, and a client of that kind.
async fn ends(plan: Plan) -> (Rig, TcpStream, TcpListener) {
    let rig = Rig::without_machine(plan, ScriptedMachine::start().await);
    let machine = socket();
    machine.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let machine = machine.listen(16).expect("bound");
    rig.ready("m1", machine.local_addr().expect("bound"));
    let gateway: SocketAddr = rig.gateway.addresses()[0];
    let client = socket().connect(gateway).await.expect("it listens");
    (rig, client, machine)
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
}

/// Pushes `block` again and again until nobody takes anything more, and says how much was taken.
async fn push(stream: &TcpStream, block: &[u8], at: &mut usize) -> usize {
    let mut taken = 0;
    while tokio::time::timeout(STANDSTILL, stream.writable()).await.is_ok() {
        match stream.try_write(&block[*at..]) {
            Ok(count) => {
                taken += count;
                *at = (*at + count) % block.len();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(taken <= 16 * COST_MAX, "it takes everything");
    }
    taken
}

/// Pushes at a receiver that does not read, then at one that reads 1 KiB at a time.
async fn costs_little(what: &str, sender: &TcpStream, receiver: &mut TcpStream, block: &[u8]) {
    let mut at = 0;
    let mut held = push(sender, block, &mut at).await;
    assert!(held <= COST_MAX, "{what}: {held} bytes for a receiver that does not read");
    let mut buffer = [0; 1024];
    for _ in 0..2 {
        for _ in 0..16 {
            receiver.read_exact(&mut buffer).await.expect("bytes that waited");
        }
        held += push(sender, block, &mut at).await;
        held -= 16 * buffer.len();
        assert!(held <= COST_MAX, "{what}: {held} bytes for a receiver that reads slowly");
    }
}

#[tokio::test]
async fn a_response_that_is_not_read_costs_little() {
    let data = vec![b'x'; 64 * 1024];
    let chunk = [b"10000\r\n", data.as_slice(), b"\r\n"].concat();
    for (what, fields, begin, block) in [
        ("chunks", "Transfer-Encoding: chunked\r\n", "", &chunk),
        ("one chunk", "Transfer-Encoding: chunked\r\n", "40000000\r\n", &data),
        ("a length", "Content-Length: 1073741824\r\n", "", &data),
        ("until the close", "", "", &data),
        ("messages", "Content-Type: application/x-ndjson\r\n", "", &data),
    ] {
        let mut plan = bounded(ServiceKind::Http);
        plan.services[0].routes.rest.heartbeat = Some(Duration::from_millis(50));
        let (rig, mut client, machine) = ends(plan).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("open");
        let (mut machine, _) = machine.accept().await.expect("the gateway");
        read_head(&mut machine).await;
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n{begin}");
        machine.write_all(head.as_bytes()).await.expect("open");
        costs_little(what, &machine, &mut client, block).await;
        drop((client, machine));
        rig.finish().await;
    }
}

#[tokio::test]
async fn a_request_that_is_not_read_costs_little() {
    let data = vec![b'x'; 64 * 1024];
    let chunk = [b"10000\r\n", data.as_slice(), b"\r\n"].concat();
    for (what, field, block) in [
        ("a length", "Content-Length: 1073741824", &data),
        ("chunks", "Transfer-Encoding: chunked", &chunk),
    ] {
        let (rig, mut client, machine) = ends(bounded(ServiceKind::Http)).await;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        client.write_all(head.as_bytes()).await.expect("open");
        let mut at = 0;
        let (accepted, held) = tokio::join!(machine.accept(), push(&client, block, &mut at));
        assert!(held <= COST_MAX, "{what}: {held} bytes");
        drop((client, accepted));
        rig.finish().await;
    }
}

#[tokio::test]
async fn a_tunnel_that_is_not_read_costs_little() {
    let data = vec![b'x'; 64 * 1024];
    for is_up in [true, false] {
        let (rig, mut client, machine) = ends(bounded(ServiceKind::Tcp)).await;
        let (mut machine, _) = machine.accept().await.expect("the gateway");
        let (sender, receiver) =
            if is_up { (&client, &mut machine) } else { (&machine, &mut client) };
        costs_little("a raw tunnel", sender, receiver, &data).await;
        drop((client, machine));
        rig.finish().await;
    }
    let (rig, mut client, machine) = ends(bounded(ServiceKind::Http)).await;
    let upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    client.write_all(upgrade).await.expect("open");
    let (mut machine, _) = machine.accept().await.expect("the gateway");
    read_head(&mut machine).await;
    let agreed = b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    machine.write_all(agreed).await.expect("open");
    costs_little("an upgrade", &machine, &mut client, &data).await;
    drop((client, machine));
    rig.finish().await;
}
