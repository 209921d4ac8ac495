//! `outlast doctor --live` beside a client that vanishes: it sends neither an end of file nor a reset.

use std::net::SocketAddr;
use std::sync::Arc;

use outlast_runtime::Workers;
use outlast_testkit::{Host, Hosts, Network, ScriptedMachine, Wire};
use serde_json::Value;
use tokio::sync::Notify;

use crate::live;
use crate::support::{GET, Outlast};

#[test]
fn a_zombie_is_told_from_working_streams_on_the_kernels_evidence() {
    let network = Network::start();
    let hosts = network.hosts();
    // A thread of its own: it is moved to another host for good.
    let thread = std::thread::spawn(move || {
        hosts.enter(Host::Gateway);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Box::pin(run(hosts)));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

async fn run(hosts: Hosts) {
    let machine = ScriptedMachine::start().await;
    let (to, listen) = (machine.address().to_string(), format!("{}:0", Network::GATEWAY));
    let flags = ["--listen", &listen, "--admin", "127.0.0.1:0", "--to", &to, "--hard-limit", "4"];
    let mut outlast = Outlast::listening_by(&[], &[], &[], &flags).await;
    outlast.ready().await;
    let clients = start_clients(&hosts, outlast.gateway);
    let mut upstreams = Vec::new();
    for _ in 0..2 {
        let mut upstream = machine.accept().await;
        upstream.read_head().await;
        upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        upstreams.push(upstream);
    }
    clients.listening.notified().await;
    hosts.vanish(&[Network::client(0)]);
    for upstream in &mut upstreams {
        upstream.send_chunk("are you there?").await;
    }
    outlast.service_where("one is a zombie", |service| service["states"]["zombie"] == 1).await;

    let (code, stdout, stderr) = live::doctor(&outlast, &["--format", "json"]).await;
    assert_eq!((code, &*stderr), (1, ""), "{stdout}");
    let live: Value = serde_json::from_str(&stdout).unwrap();
    let service = &live["services"][0];
    assert_eq!((&service["zombies"], &service["working"]), (&1.into(), &1.into()), "{live:#}");
    let finding = &live["findings"][0];
    assert_eq!((&finding["rule"], &finding["confidence"]), (&"LIVE104".into(), &"certain".into()));
    let evidence = finding["evidence"][0].as_str().unwrap();
    assert!(evidence.contains("bytes unacknowledged for 1"), "{evidence}");
    assert!(!stdout.contains("10.79.2."), "nobody's address is shown: {stdout}");
    clients.workers.stop();
}

struct Clients {
    workers: Workers,
    /// Both have the head of their response.
    listening: Arc<Notify>,
}

/// One that will vanish, and one that will not.
fn start_clients(hosts: &Hosts, gateway: SocketAddr) -> Clients {
    let (hosts, listening) = (hosts.clone(), Arc::new(Notify::new()));
    let told = Arc::clone(&listening);
    let serve = move |_index| {
        let (hosts, told) = (hosts.clone(), Arc::clone(&told));
        async move {
            hosts.enter(Host::Clients);
            let mut clients = Vec::new();
            for number in 0..2 {
                let local = Network::client(number).into();
                let mut client = Wire::connect_from(local, gateway).await.unwrap();
                client.send(GET).await;
                clients.push(client);
            }
            for client in &mut clients {
                client.read_head().await;
            }
            told.notify_one();
            std::future::pending::<()>().await;
        }
    };
    Clients { workers: Workers::start("clients", 1, serve).unwrap(), listening }
}
