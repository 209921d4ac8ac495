//! The admin listener over a real socket.

use std::collections::BTreeMap;
use std::sync::Arc;

use outlast_access::{Access, Gate, Hosts, Login};
use outlast_dashboard::Dashboard;
use outlast_observe::{ExchangeStart, Mismatch, Observe, Outcome, PoolSource, RequestId};
use outlast_protocol::pool::{Limits, Machine, Pool, Service};
use outlast_runtime::{Phase, Phases, Tasks};
use outlast_testkit::Wire;

struct Rig {
    observe: Arc<Observe>,
    phases: Phases,
    address: std::net::SocketAddr,
    token: String,
}

fn pool_with(machine_state: &str) -> Pool {
    let machine = Machine {
        id: "m1".to_owned(),
        state: machine_state.to_owned(),
        in_flight: 3,
        lingering: 0,
        reserve_in_use: 0,
        level: "below soft".to_owned(),
        ..Machine::default()
    };
    let service = Service {
        name: "http".to_owned(),
        kind: "http".to_owned(),
        listen: "127.0.0.1:8080".to_owned(),
        accounting: "connections".to_owned(),
        limits: Limits { soft: Some(20), hard: Some(25) },
        in_flight: 3,
        lingering: 0,
        reserve_in_use: 0,
        reserve_slots: 2,
        queue_length: 1,
        queue_depth_max: 100,
        queue_estimate_ms: None,
        retries: 0,
        retries_withheld: 0,
        ejections: 0,
        machines: vec![machine],
        exchanges_total: 0,
        states: BTreeMap::from([("zombie".to_owned(), 4)]),
        exchanges: Vec::new(),
    };
    Pool {
        version: String::new(),
        app: "test".to_owned(),
        phase: "serving".to_owned(),
        uptime_ms: 1,
        ledger_mismatches: 0,
        client_connections: 0,
        evidence_missing: None,
        services: vec![service],
    }
}

async fn start(machine_state: &'static str) -> Rig {
    let observe = Observe::new("local", &["http".to_owned()], 1);
    observe.set_pool_source(PoolSource(Box::new(move |_| pool_with(machine_state))));
    let phases = Phases::default();
    let data = tempfile::tempdir().expect("a folder");
    let access = Access::open(data.path()).expect("a fresh folder");
    let dashboard = Dashboard {
        observe: Arc::clone(&observe),
        phases: phases.clone(),
        gate: Gate::new(Login::Required(access.clone()), Hosts::default()),
    };
    let token = std::fs::read_to_string(access.token_path()).expect("it was made");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    Tasks::default().spawn(async move { dashboard.serve(listener).await.expect("serves") });
    Rig { observe, phases, address, token: token.trim().to_owned() }
}

impl Rig {
    async fn call(&self, line: &str, fields: &str) -> (String, String) {
        let mut wire = Wire::connect(self.address).await;
        wire.send(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await;
        wire.read_message().await
    }

    async fn admitted(&self, line: &str) -> (String, String) {
        self.call(line, &format!("Authorization: Bearer {}\r\n", self.token)).await
    }
}

#[tokio::test]
async fn strangers_see_health_and_nothing_else() {
    let rig = start("ready").await;
    assert!(rig.call("GET /livez", "").await.0.starts_with("HTTP/1.1 200 "));
    for path in ["/metrics", "/api/pool", "/api/exchanges", "/", "/api/nope"] {
        let (head, body) = rig.call(&format!("GET {path}"), "").await;
        assert!(head.starts_with("HTTP/1.1 401 "), "{path}: {head}");
        assert!(head.contains("www-authenticate: Bearer"), "{path}: {head}");
        assert!(body.contains("not logged in"), "{path}: {body}");
        let fields =
            format!("Authorization: Bearer {}\r\nOrigin: http://evil.example\r\n", rig.token);
        let (head, _) = rig.call(&format!("GET {path}"), &fields).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{path}: {head}");
    }
}

#[tokio::test]
async fn readiness_follows_the_phase_and_the_machines() {
    let rig = start("ready").await;
    assert!(rig.call("GET /readyz", "").await.1.contains("the process is starting"));
    rig.phases.enter(Phase::Serving);
    assert!(rig.call("GET /readyz", "").await.0.starts_with("HTTP/1.1 200 "));
    rig.observe.ledger_mismatch(0, Mismatch::Sums, None, "");
    let (head, _) = rig.call("GET /readyz", "").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "a mismatch that was set right is history: {head}");
    rig.observe.set_ledger_unhealed(1);
    assert!(rig.call("GET /readyz", "").await.1.contains("disagree in 1 cases"));
    rig.observe.set_ledger_unhealed(0);
    assert!(rig.call("GET /readyz", "").await.0.starts_with("HTTP/1.1 200 "));
    let rig = start("lost").await;
    rig.phases.enter(Phase::Serving);
    assert!(
        rig.call("GET /readyz", "")
            .await
            .1
            .contains("no machine of service http takes traffic; m1 is lost")
    );
    rig.phases.enter(Phase::Draining);
    assert!(rig.call("GET /readyz", "").await.1.contains("the process is draining"));
}

#[tokio::test]
async fn metrics_and_the_pool_tell_the_same_story() {
    let rig = start("ready").await;
    let (head, text) = rig.admitted("GET /metrics").await;
    assert!(head.contains("application/openmetrics-text"), "{head}");
    let labels = "service=\"http\",machine=\"m1\",type=\"connections\"";
    for line in [
        format!("outlast_slots{{{labels}}} 3"),
        format!("outlast_slots_limit{{{labels},kind=\"hard\"}} 25"),
        "outlast_queue_length{service=\"http\"} 1".to_owned(),
        "outlast_exchange_states{service=\"http\",state=\"zombie\"} 4".to_owned(),
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    let pool: Pool = serde_json::from_str(&rig.admitted("GET /api/pool").await.1).expect("a pool");
    assert_eq!(pool, pool_with("ready"));
}

#[tokio::test]
async fn exchanges_are_listed_and_ended() {
    let rig = start("ready").await;
    let start = ExchangeStart {
        id: RequestId::generate(),
        service: 0,
        client: "127.0.0.1:5".parse().expect("an address"),
        method: "POST".into(),
        path: "/api/chat".into(),
    };
    let id = start.id;
    let guard = rig.observe.begin(0, start);
    assert!(rig.admitted("GET /api/exchanges").await.1.contains(&id.to_string()));
    let (head, _) = rig.admitted(&format!("DELETE /api/exchanges/{id}-local")).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    std::future::poll_fn(|cx| guard.record().poll_ended(cx)).await;
    guard.finish(Outcome::Completed);
    let (head, _) = rig.admitted(&format!("DELETE /api/exchanges/{id}")).await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    let (head, _) = rig.admitted("DELETE /api/exchanges/nonsense").await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
}
