//! A defect of one exchange leaves the others as they are.

use std::pin::Pin;
use std::task::{Context, Poll};

use outlast_http1::{Presence, Transport};
use outlast_testkit::{ScriptedMachine, Wire, eventually};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use super::*;

/// A client's transport with a defect that shows when the word comes by.
struct Defective(DuplexStream);

impl Transport for Defective {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Transport::poll_read(&mut self.0, cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!bytes.ends_with(b"boom"), "this defect was planted by a test");
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Transport::poll_finish(&mut self.0, cx)
    }

    fn abort_on_drop(&mut self) {}

    fn close_on_drop(&mut self) {}

    fn presence(&self) -> Presence {
        Presence::Here
    }

    fn socket(&self) -> Option<&tokio::net::TcpStream> {
        None
    }
}

async fn ask(machine: &ScriptedMachine, client: &mut DuplexStream) -> Wire {
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("room");
    let mut upstream = machine.accept().await;
    upstream.read_head().await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n").await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.expect("a response"));
    }
    upstream
}

#[tokio::test]
async fn a_panic_ends_its_own_exchange_and_no_other() {
    let (env, flags) = (BTreeMap::new(), outlast_config::Flags::default());
    let sources = outlast_config::Sources { fly: None, outlast: None, env: &env, flags };
    let mut plan = outlast_config::check(&sources).expect("the defaults hold").plan;
    plan.services[0].listen = "127.0.0.1:0".parse().expect("an address");
    let internal_port = plan.services[0].internal_port;
    let observe = Observe::new("local", &[plan.services[0].name.clone()], 1);
    let granted = Box::new(|_: &OwnRequest<'_>| Admittance::Granted);
    let options = GatewayOptions {
        threads: 1,
        connections_max: 10,
        admittance: granted,
        phases: Phases::default(),
    };
    let gateway = Gateway::start(plan, &observe, options).expect("a free port");
    let machine = ScriptedMachine::start().await;
    gateway.machine_ready("m", "app", &BTreeMap::from([(internal_port, machine.address())]));
    let tasks = Tasks::default();
    let lane = Arc::new(Lane {
        shared: Arc::clone(&gateway.shared),
        service: Arc::clone(&gateway.shared.services[0]),
        pool: Arc::default(),
        tasks: tasks.clone(),
        thread: 0,
    });
    let mut clients = Vec::new();
    for _ in 0..2 {
        let (near, far) = tokio::io::duplex(4096);
        let peer = "127.0.0.1:1".parse().expect("an address");
        tasks.spawn(connection::serve(Arc::clone(&lane), Defective(near), peer));
        clients.push(far);
    }
    let mut good_machine = ask(&machine, &mut clients[0]).await;
    let mut bad_machine = ask(&machine, &mut clients[1]).await;

    bad_machine.send("boom").await;
    assert_eq!(clients[1].read(&mut [0; 8]).await.expect("closed"), 0);
    assert_eq!(bad_machine.read_to_end().await.as_deref(), Ok(""), "its machine is free");
    let line = "outlast_exchanges_total{service=\"http\",outcome=\"internal\"} 1";
    eventually("the record says so", || observe.metrics_text().contains(line)).await;
    eventually("its place is free", || {
        lane.service.admission.ledger().permits == 1 && observe.live() == 1
    })
    .await;

    good_machine.send("x".repeat(100)).await;
    let mut body = [0; 100];
    clients[0].read_exact(&mut body).await.expect("the other goes on");
    drop(clients);
    tasks.join().await;
    tokio::task::spawn_blocking(|| gateway.stop()).await.expect("stopped");
}
