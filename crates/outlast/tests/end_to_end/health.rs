//! Machines that fail: health checks of a `fly.toml`, ejection and retries, as a user sees them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use outlast_runtime::Tasks;
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use crate::support::{Outlast, get, signal};

/// An app whose health the test decides: what `/up` answers is its status, all else is 200.
pub(crate) struct Patient {
    pub(crate) address: SocketAddr,
    pub(crate) health: Arc<AtomicU16>,
    tasks: Tasks,
}

impl Patient {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (health, tasks) = (Arc::new(AtomicU16::new(200)), Tasks::default());
        let (own, own_tasks) = (Arc::clone(&health), tasks.clone());
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let health = Arc::clone(&own);
                own_tasks.spawn(async move {
                    let mut request = Vec::new();
                    while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                        if !request.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        let is_check = request.starts_with(b"GET /up ");
                        let status = if is_check { health.load(Ordering::Relaxed) } else { 200 };
                        request.clear();
                        let answer =
                            format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\nhuh?");
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, health, tasks }
    }

    async fn end(self) {
        self.tasks.cancel();
        self.tasks.join().await;
    }
}

fn has_state(service: &Value, state: &str) -> bool {
    service["machines"][0]["state"] == state
}

#[tokio::test]
async fn a_machine_whose_check_fails_gets_nothing_until_it_passes_and_everybody_is_told() {
    let patient = Patient::start().await;
    let fly = "app = \"a\"\n[http_service]\ninternal_port = 8080\n\
               [[http_service.checks]]\npath = \"/up\"\ninterval = \"1s\"\ntimeout = \"20s\"\n\
               [checks.top]\ntype = \"tcp\"\ninterval = \"2s\"\n";
    let outlast = "[queue]\ntimeout = \"0s\"\n";
    let to = patient.address.to_string();
    let files = [("fly.toml", fly), ("outlast.toml", outlast)];
    let outlast = Outlast::up(&files, &["--to", &to, "--no-auth"]).await;
    outlast.service_where("it passes", |service| has_state(service, "ready")).await;
    assert_eq!(get(outlast.gateway, "/", &[]).await, (200, "huh?".to_owned()));

    patient.health.store(500, Ordering::Relaxed);
    let service = outlast.service_where("it fails", |one| has_state(one, "unhealthy")).await;
    let machine = &service["machines"][0];
    assert_eq!(machine["reason"], "servicecheck-00-http-8080: HTTP 500: huh?");
    assert_eq!(machine["checks"][0]["status"], "critical");
    assert_eq!(
        (&machine["checks"][1]["name"], &machine["checks"][1]["gates"]),
        (&"top".into(), &false.into())
    );
    let line = outlast.stdout_line("has failed. Your app is not responding properly.").await;
    assert!(line.contains(" health["), "{line}");
    let (status, refusal) = get(outlast.gateway, "/", &[]).await;
    assert_eq!(status, 503, "{refusal}");
    let (status, why) = get(outlast.admin, "/readyz", &[]).await;
    assert!(
        status == 503 && why.contains(" is unhealthy, by check servicecheck-00-http-8080"),
        "{why}"
    );
    assert!(!why.contains("huh?"), "it is open to all: {why}");
    let metrics = outlast.metrics().await;
    let passing = metrics.iter().filter(|(name, _)| name.starts_with("outlast_check_passing"));
    assert_eq!(passing.map(|(_, value)| *value).sum::<f64>(), 1.0, "the one at the top");

    patient.health.store(204, Ordering::Relaxed);
    outlast.service_where("it passes again", |service| has_state(service, "ready")).await;
    assert_eq!(get(outlast.gateway, "/", &[]).await.0, 200);
    assert_eq!(get(outlast.admin, "/readyz", &[]).await.0, 200);
    // No probe was an exchange.
    let metrics = outlast.metrics().await;
    let exchanges = metrics.iter().filter(|(name, _)| name.starts_with("outlast_exchanges_total"));
    assert_eq!(exchanges.map(|(_, value)| *value).sum::<f64>(), 3.0);
    patient.end().await;
}

#[tokio::test]
async fn a_local_machine_that_hangs_is_found_by_its_check_and_comes_back() {
    let fly = "[env]\nPORT = \"8081\"\n[http_service]\ninternal_port = 8081\n\
               [[http_service.checks]]\npath = \"/api/health\"\ninterval = \"1s\"\ntimeout = \"1s\"\n\
               grace_period = \"20s\"\n";
    let outlast = Outlast::up(&[("fly.toml", fly)], &["--no-auth"]).await;
    outlast.service_where("it passes", |service| has_state(service, "ready")).await;
    let line = outlast.stdout_line("Machine started in").await;
    let pid = line.rsplit_once("pid ").unwrap().1.parse().unwrap();
    signal(pid, Signal::STOP);
    let service = outlast.service_where("it hangs", |one| has_state(one, "unhealthy")).await;
    let reason = service["machines"][0]["reason"].as_str().unwrap();
    assert_eq!(reason, "servicecheck-00-http-8081: no response within 1s");
    signal(pid, Signal::CONT);
    outlast.service_where("it is back", |service| has_state(service, "ready")).await;
    let restarts = outlast.log().iter().filter(|line| line.contains("the machine ended")).count();
    assert_eq!(restarts, 0, "a check unroutes, and restarts nothing");
}

#[tokio::test]
async fn of_two_machines_one_is_dead_and_no_client_notices() {
    let patient = Patient::start().await;
    // Bound and not listening, so that nobody else comes to listen there.
    let dead = TcpSocket::new_v4().unwrap();
    dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (to, nowhere) = (patient.address.to_string(), dead.local_addr().unwrap().to_string());
    let outlast = Outlast::up(&[], &["--to", &nowhere, "--to", &to, "--no-auth"]).await;
    for _ in 0..30 {
        assert_eq!(get(outlast.gateway, "/seen", &[]).await.0, 200);
    }
    let service = outlast.service().await;
    let states = service["machines"].as_array().unwrap().iter().map(|one| &one["state"]);
    assert_eq!(states.collect::<Vec<_>>(), ["ejected", "ready"]);
    let out = outlast.logged("the machine is ejected").await;
    assert_eq!(out["reason"], "5 exchanges failed, the last: the connection was refused");
    assert_eq!(service["machines"][0]["ejected"]["reason"], out["reason"]);
    assert_eq!(service["retries"], 5);
    let seen = outlast.exchanges("/seen", 30).await;
    assert_eq!(seen.iter().filter(|exchange| exchange["attempts"] == 2).count(), 5);
    drop(dead);
    patient.end().await;
}
