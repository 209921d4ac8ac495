//! A hundred thousand exchanges that are opened and reset leave nothing behind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::{App, Outlast};
use outlast_testkit::eventually;
use rustix::net::sockopt::set_socket_linger;

const WARM_UP: usize = 20_000;
const ALL: usize = 100_000;
/// Enough to keep the gateway busy.
const CLIENT_THREADS: usize = 4;
/// What the later exchanges may add to the memory of the first ones: less than 4 bytes each. Measured: 4 KiB in all.
const GROWTH_KIB_MAX: u64 = 300;

/// Opens a stream on a connection of its own, reads its head, and resets it.
fn open_and_reset(gateway: SocketAddr) {
    let mut client = TcpStream::connect(gateway).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.write_all(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut head = [0; 1024];
    let read = client.read(&mut head).unwrap();
    assert!(head[..read].starts_with(b"HTTP/1.1 200 "), "{}", head[..read].escape_ascii());
    set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
}

/// So many, and then until nothing of them is left.
async fn churn(outlast: &Outlast, exchanges: usize) {
    let gateway = outlast.gateway;
    let clients = move || {
        let each = move || (0..exchanges / CLIENT_THREADS).for_each(|_| open_and_reset(gateway));
        let threads = [(); CLIENT_THREADS].map(|()| std::thread::spawn(each));
        for thread in threads {
            thread.join().unwrap();
        }
    };
    tokio::task::spawn_blocking(clients).await.unwrap();
    let nothing_left =
        |service: &serde_json::Value| service["in_flight"] == 0 && service["exchanges_total"] == 0;
    outlast.service_where("no record and no place is left", nothing_left).await;
}

#[tokio::test]
async fn a_hundred_thousand_opened_and_reset_exchanges_leave_nothing_behind() {
    let app = App::start("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    let to = app.address.to_string();
    // Freed memory goes back soon, so that what is left is what is held.
    let env = [("_RJEM_MALLOC_CONF", "dirty_decay_ms:100,muzzy_decay_ms:0")];
    let flags = ["--to", &to, "--no-auth", "--log", "outlast::access=off,info"];
    let mut outlast = Outlast::starting_by(&[], &env, &[], &flags).await;
    outlast.ready().await;
    let descriptors = outlast.descriptors();

    churn(&outlast, WARM_UP).await;
    eventually("all descriptors are closed", || outlast.descriptors() <= descriptors).await;
    let memory_kib = outlast.memory_kib();
    churn(&outlast, ALL - WARM_UP).await;
    eventually("all descriptors are closed", || outlast.descriptors() <= descriptors).await;
    let grown = || outlast.memory_kib().saturating_sub(memory_kib);
    eventually("memory is what it was", || grown() <= GROWTH_KIB_MAX).await;

    let metrics = outlast.metrics().await;
    let gone = "outlast_exchanges_total{service=\"http\",outcome=\"client_gone\"}";
    assert_eq!(metrics[gone], ALL as f64);
    assert_eq!(metrics["outlast_client_connections"], 0.0);
    assert_eq!(metrics["outlast_ledger_mismatch_total{service=\"http\"}"], 0.0);
}
