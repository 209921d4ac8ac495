//! More clients than descriptors: accepting pauses and says so, without spinning; who is connected notices nothing.

use std::time::Duration;

use crate::support::{GET, Outlast, stream};
use outlast_runtime::clock;
use outlast_testkit::{ScriptedMachine, Wire};

const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const PAUSES: &str = "accepting pauses: new clients wait in the kernel";
/// More than the few descriptors of these tests.
const CLIENTS: usize = 150;
/// A pause that spins takes a whole core.
const PAUSE_CPU_MAX: Duration = Duration::from_millis(200);

async fn limited_to(descriptors: &str, files: &[(&str, &str)], to: &[&str]) -> Outlast {
    let nofile = format!("--nofile={descriptors}:{descriptors}");
    let flags = [&["--no-auth"], to].concat();
    let mut outlast = Outlast::starting_by(&["prlimit", &nofile], &[], files, &flags).await;
    outlast.ready().await;
    outlast
}

/// Over a second of waiting, the gateway does next to nothing, and the stream goes on.
async fn pauses_quietly(outlast: &Outlast, (client, upstream): &mut (Wire, Wire)) {
    let before = outlast.cpu();
    clock::sleep(Duration::from_secs(1)).await;
    let used = outlast.cpu() - before;
    assert!(used < PAUSE_CPU_MAX, "{used:?} of CPU in a second of waiting");
    upstream.send_chunk("still here").await;
    assert_eq!(client.read_chunk().await, "still here");
}

async fn clients(outlast: &Outlast) -> Vec<Wire> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Wire::connect(outlast.gateway).await);
    }
    clients
}

#[tokio::test]
async fn clients_beyond_the_descriptors_wait_until_others_leave() {
    let machine = ScriptedMachine::start().await;
    let to = machine.address().to_string();
    // (320 - 256) / 2 clients.
    let outlast = limited_to("320", &[], &["--to", &to]).await;
    assert_eq!(outlast.logged("the gateway listens").await["connections_max"], 32);
    let mut held = stream(&outlast, &machine).await;
    let mut clients = clients(&outlast).await;
    let pauses = outlast.logged(PAUSES).await;
    assert_eq!(
        (&pauses["reason"], &pauses["client_connections"]),
        (&"connections_max".into(), &32.into())
    );
    let metrics = outlast.metrics().await;
    assert_eq!(metrics["outlast_client_connections"], 32.0);
    let paused = "outlast_accept_pauses_total{service=\"http\",reason=\"connections_max\"}";
    assert!(metrics[paused] >= 1.0);
    pauses_quietly(&outlast, &mut held).await;

    let mut last = clients.pop().unwrap();
    last.send(GET).await;
    drop(clients);
    outlast.logged("accepting goes on").await;
    let mut upstream = machine.accept().await;
    upstream.read_head().await;
    upstream.send(SHORT).await;
    assert_eq!(last.read_message().await.1, "hi");
    pauses_quietly(&outlast, &mut held).await;
}

#[tokio::test]
async fn out_of_descriptors_the_gateway_refuses_by_itself_and_blames_no_machine() {
    let machine = ScriptedMachine::start().await;
    let to = machine.address().to_string();
    // More than there are descriptors for, which it says.
    let outlast_toml = ("outlast.toml", "[listen]\nconnections_max = 1000\n");
    let outlast = limited_to("100", &[outlast_toml], &["--to", &to]).await;
    outlast
        .logged("listen.connections_max allows more clients than there are descriptors for")
        .await;
    let mut held = stream(&outlast, &machine).await;
    let mut clients = clients(&outlast).await;
    let pauses = outlast.logged(PAUSES).await;
    assert_eq!(pauses["reason"], "descriptors");
    assert!(pauses["error"].as_str().unwrap().contains("Too many open files"), "{pauses}");
    assert!(pauses["hint"].as_str().unwrap().contains("ulimit -n"), "{pauses}");

    // The first was accepted; there is nothing left for a connection to the machine.
    clients[0].send(GET).await;
    let (head, body) = clients[0].read_message().await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(
        head.contains("Retry-After: 5") && head.contains("error=proxy_internal_error"),
        "{head}"
    );
    assert!(body.contains("urn:outlast:problem:descriptors"), "{body}");
    let said = outlast.logged("no descriptor is left for a connection to a machine").await;
    assert!(said["hint"].as_str().unwrap().contains("ulimit -n"), "{said}");
    pauses_quietly(&outlast, &mut held).await;

    let mut last = clients.pop().unwrap();
    last.send(GET).await;
    drop(clients);
    outlast.logged("accepting goes on").await;
    let mut upstream = machine.accept().await;
    upstream.read_head().await;
    upstream.send(SHORT).await;
    assert_eq!(last.read_message().await.1, "hi");
    let metrics = outlast.metrics().await;
    let at_least_once = [
        "outlast_accept_pauses_total{service=\"http\",reason=\"descriptors\"}",
        "outlast_refusals_total{service=\"http\",reason=\"descriptors\"}",
    ];
    assert!(at_least_once.iter().all(|name| metrics[*name] >= 1.0), "{metrics:?}");
    let failed = "outlast_exchanges_total{service=\"http\",outcome=\"machine_failed\"}";
    assert_eq!(metrics[failed], 0.0);
    let log = outlast.log();
    let says = |text: &str| log.iter().filter(|line| line.contains(text)).count();
    assert!(says(PAUSES) <= 5, "at most once a second");
}
