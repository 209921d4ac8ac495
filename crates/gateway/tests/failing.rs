//! Machines that fail: their checks, their ejection, and exchanges that go to another one.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{INTERNAL_PORT, Rig, plan};
use outlast_config::{Accounting, Eject, HealthCheck, Plan, Probe, Retry, ServiceKind};
use outlast_gateway::{CheckStatus, Checked};
use outlast_protocol::pool;
use outlast_runtime::Tasks;
use outlast_testkit::{ScriptedMachine, Wire, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

const NO_RETRIES: Retry = Retry { percent: 0, min: 0 };
const NO_EJECTION: Eject = Eject {
    failures: 0,
    time: Duration::from_secs(10),
    time_max: Duration::from_secs(10),
    share_max: 50,
};

fn requests() -> Plan {
    plan(ServiceKind::Http, Accounting::Requests, 0, 0)
}

/// Where nobody listens. Bound and never listening, so that nobody else comes to listen there.
fn dead() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

/// A machine that answers every request, until its tasks are cancelled.
async fn answering(tasks: &Tasks) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let own = tasks.clone();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            own.spawn(answer_each(stream));
        }
    });
    address
}

async fn answer_each(mut stream: TcpStream) {
    let mut request = Vec::new();
    while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            if stream.write_all(SHORT.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn status(client: &mut Wire) -> u16 {
    client.send(GET).await;
    let (head, _) = client.read_message().await;
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

fn machine(rig: &Rig, name: &str) -> pool::Machine {
    let machines = rig.service().machines;
    machines.into_iter().find(|machine| machine.id == name).expect("it was told of")
}

fn state(rig: &Rig, name: &str) -> String {
    machine(rig, name).state
}

/// A rig whose own machine is named m1, and has no traffic yet.
async fn rig(plan: Plan) -> Rig {
    Rig::without_machine(plan, ScriptedMachine::start().await)
}

#[tokio::test]
async fn an_exchange_that_cannot_connect_goes_to_another_machine() {
    let rig = rig(requests()).await;
    let (_held, nowhere) = dead();
    rig.ready("dead", nowhere);
    rig.ready("m1", rig.machine.address());
    // The dead one is first in turn; the second exchange finds it with as few as the other.
    let mut client = rig.client().await;
    client.send(GET).await;
    let mut upstream = rig.machine.accept().await;
    upstream.read_head().await;
    let exchange = &rig.service().exchanges[0];
    assert_eq!((exchange.machine.as_deref(), exchange.attempts), (Some("m1"), 2));
    upstream.send(SHORT).await;
    assert_eq!(client.read_message().await.1, "hi");
    rig.outcome("completed", 1).await;
    rig.counted("outlast_retries_total{service=\"http\"} 1").await;
    assert_eq!((rig.service().retries, rig.service().in_flight), (1, 0), "the place moved");
    drop(upstream);
    rig.finish().await;
}

#[tokio::test]
async fn a_raw_tcp_client_is_led_to_another_machine_too() {
    let rig = rig(plan(ServiceKind::Tcp, Accounting::Connections, 0, 0)).await;
    let (_held, nowhere) = dead();
    rig.ready("dead", nowhere);
    rig.ready("m1", rig.machine.address());
    let mut client = rig.client().await;
    client.send("hello").await;
    let mut upstream = rig.machine.accept().await;
    assert_eq!(upstream.read_until("hello").await, "hello");
    assert_eq!(rig.service().retries, 1);
    drop((client, upstream));
    rig.finish().await;
}

#[tokio::test]
async fn with_one_machine_a_refused_connection_is_told_at_once() {
    let rig = rig(requests()).await;
    let (_held, nowhere) = dead();
    rig.ready("dead", nowhere);
    let mut client = rig.client().await;
    for _ in 0..20 {
        assert_eq!(status(&mut client).await, 502);
    }
    // Also after many: without it there would be none.
    assert_eq!((state(&rig, "dead").as_str(), rig.service().ejections), ("ready", 0));
    assert_eq!((rig.service().retries, rig.service().retries_withheld), (0, 0));
    rig.finish().await;
}

#[tokio::test]
async fn what_took_a_byte_of_a_request_is_not_asked_again_elsewhere() {
    let rig = rig(requests()).await;
    rig.ready("m1", rig.machine.address());
    let other = ScriptedMachine::start().await;
    rig.ready("m2", other.address());
    let mut client = rig.client().await;
    client.send(GET).await;
    let mut upstream = rig.machine.accept().await;
    upstream.read_head().await;
    drop(upstream);
    let (head, _) = client.read_message().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    rig.outcome("machine_failed", 1).await;
    assert_eq!((rig.service().retries, rig.service().retries_withheld), (0, 0));
    rig.finish().await;
}

#[tokio::test]
async fn the_budget_stops_a_storm_of_retries() {
    const EXCHANGES: u64 = 1000;
    let retry = Retry { percent: 20, min: 0 };
    let rig = rig(Plan { eject: NO_EJECTION, retry, ..requests() }).await;
    let tasks = Tasks::default();
    let (_held, nowhere) = dead();
    rig.ready("dead", nowhere);
    rig.ready("m2", answering(&tasks).await);
    let mut client = rig.client().await;
    let (mut served, mut failed) = (0, 0);
    for _ in 0..EXCHANGES {
        match status(&mut client).await {
            200 => served += 1,
            502 => failed += 1,
            other => panic!("{other}"),
        }
    }
    let service = rig.service();
    // Every second one meets the dead machine; a fifth of all may go on from there.
    assert!((100..=EXCHANGES / 5).contains(&service.retries), "{}", service.retries);
    assert_eq!((service.retries_withheld, served + failed), (failed, EXCHANGES));
    assert!(failed >= 200, "{failed}");
    let withheld = format!("outlast_retries_withheld_total{{service=\"http\"}} {failed}");
    rig.counted(&withheld).await;
    tasks.cancel();
    tasks.join().await;
    rig.finish().await;
}

#[tokio::test]
async fn a_machine_that_keeps_failing_is_ejected_and_comes_back_when_nobody_else_is_left() {
    let eject = Eject { failures: 3, ..Eject::default() };
    let rig = rig(Plan { eject, retry: NO_RETRIES, ..requests() }).await;
    let tasks = Tasks::default();
    let (_held, nowhere) = dead();
    rig.ready("dead", nowhere);
    rig.ready("m2", answering(&tasks).await);
    let mut client = rig.client().await;
    let mut failed = 0;
    while failed < 3 {
        assert_eq!(state(&rig, "dead"), "ready");
        failed += usize::from(status(&mut client).await == 502);
    }
    let out = machine(&rig, "dead");
    let ejected = out.ejected.expect("it is");
    let reason = "3 exchanges failed, the last: the connection was refused";
    assert_eq!((out.state.as_str(), out.reason.as_deref()), ("ejected", Some(reason)));
    assert_eq!(ejected.reason, reason);
    assert!(ejected.since < ejected.until && out.since.ends_with('Z'), "{ejected:?} {}", out.since);
    for line in [
        "outlast_ejections_total{service=\"http\"} 1",
        "outlast_machine_ejected{service=\"http\",machine=\"dead\",type=\"requests\"} 1",
        "outlast_machine_ready{service=\"http\",machine=\"dead\",type=\"requests\"} 0",
    ] {
        rig.counted(line).await;
    }
    for _ in 0..10 {
        assert_eq!(status(&mut client).await, 200);
    }
    rig.gateway.machine_lost("m2");
    assert_eq!((state(&rig, "dead").as_str(), state(&rig, "m2").as_str()), ("ready", "lost"));
    tasks.cancel();
    tasks.join().await;
    rig.finish().await;
}

/// The last one was once kept however it failed, while one that had recovered stood idle until its time was over.
#[tokio::test]
async fn the_last_machine_changes_places_with_one_that_is_out() {
    let eject = Eject { failures: 3, ..Eject::default() };
    let rig = rig(Plan { eject, retry: NO_RETRIES, ..requests() }).await;
    let tasks = Tasks::default();
    let (held, recovers) = dead();
    let (_held, fails) = dead();
    rig.ready("recovers", recovers);
    rig.ready("fails", fails);
    let mut client = rig.client().await;
    while state(&rig, "recovers") == "ready" {
        assert_eq!(status(&mut client).await, 502);
    }
    let listener = held.listen(16).expect("bound");
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            answer_each(stream).await;
        }
    });
    while state(&rig, "fails") == "ready" {
        assert_eq!(status(&mut client).await, 502);
    }
    assert_eq!(state(&rig, "recovers"), "ready");
    assert_eq!(status(&mut client).await, 200);
    tasks.cancel();
    tasks.join().await;
    rig.finish().await;
}

#[tokio::test]
async fn when_all_machines_fail_only_a_share_of_them_is_ejected() {
    let eject = Eject { failures: 1, share_max: 50, ..Eject::default() };
    let rig = rig(Plan { eject, retry: NO_RETRIES, ..requests() }).await;
    let (_a, first) = dead();
    let (_b, second) = dead();
    let (_c, third) = dead();
    for (name, address) in [("a", first), ("b", second), ("c", third)] {
        rig.ready(name, address);
    }
    let mut client = rig.client().await;
    for _ in 0..30 {
        assert_eq!(status(&mut client).await, 502);
    }
    let states: Vec<_> = rig.service().machines.into_iter().map(|machine| machine.state).collect();
    assert_eq!(states.iter().filter(|state| *state == "ready").count(), 2, "{states:?}");
    assert_eq!(rig.service().ejections, 1);
    // A new start begins anew.
    rig.ready("a", first);
    assert_eq!(state(&rig, "a"), "ready");
    rig.finish().await;
}

#[tokio::test]
async fn failures_count_one_after_the_other_and_an_answer_forgets_them() {
    let eject = Eject { failures: 2, ..Eject::default() };
    let rig = Rig::start(Plan { eject, retry: NO_RETRIES, ..requests() }).await;
    // It keeps the machine from being the last, and is always busier.
    let busy = ScriptedMachine::start().await;
    rig.gateway.machine_lost("m1");
    rig.ready("busy", busy.address());
    let mut holder = rig.client().await;
    holder.send(GET).await;
    let mut held = busy.accept().await;
    held.read_head().await;
    held.send(STREAM).await;
    holder.read_head().await;
    rig.ready("m1", rig.machine.address());

    let closes = async |rig: &Rig| {
        let mut client = rig.client().await;
        client.send(GET).await;
        rig.machine.accept().await.read_head().await;
        assert!(client.read_message().await.0.starts_with("HTTP/1.1 502 "));
    };
    closes(&rig).await;
    // Its head is enough of an answer.
    let mut client = rig.client().await;
    client.send(GET).await;
    let mut upstream = rig.machine.accept().await;
    upstream.read_head().await;
    upstream.send("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.read_head().await;
    drop((client, upstream));
    rig.in_flight(1).await;
    closes(&rig).await;
    assert_eq!(state(&rig, "m1"), "ready");
    closes(&rig).await;
    eventually("m1 is ejected", || state(&rig, "m1") == "ejected").await;
    let reason = machine(&rig, "m1").reason.expect("it is ejected");
    assert_eq!(reason, "2 exchanges failed, the last: the connection was closed before an answer");
    drop((holder, held));
    rig.finish().await;
}

fn check(name: &str) -> HealthCheck {
    HealthCheck {
        name: name.to_owned(),
        port: INTERNAL_PORT,
        probe: Probe::Tcp,
        interval: Duration::from_secs(15),
        timeout: Duration::from_secs(2),
        grace: Duration::from_secs(1),
        groups: Vec::new(),
    }
}

fn told(rig: &Rig, name: &str, status: CheckStatus, output: &str) {
    rig.gateway.machine_checked("m1", Checked { name, status, output });
}

#[tokio::test]
async fn a_machine_takes_traffic_only_while_the_checks_of_its_service_pass() {
    let mut plan = requests();
    plan.services[0].checks = vec![check("first"), check("second")];
    plan.checks = vec![check("top")];
    let rig = Rig::start(plan).await;
    assert_eq!(state(&rig, "m1"), "checking");
    assert_eq!(machine(&rig, "m1").reason.as_deref(), Some("second: not checked yet"));

    // Who comes meanwhile waits.
    let mut client = rig.client().await;
    client.send(GET).await;
    eventually("it waits", || rig.service().queue_length == 1).await;
    told(&rig, "first", CheckStatus::Passing, "HTTP 200");
    told(&rig, "second", CheckStatus::Warning, "HTTP 503");
    told(&rig, "top", CheckStatus::Critical, "cannot connect");
    assert_eq!(machine(&rig, "m1").reason.as_deref(), Some("second: HTTP 503"));
    told(&rig, "second", CheckStatus::Passing, "connected");
    let mut upstream = rig.machine.accept().await;
    upstream.read_head().await;
    upstream.send(STREAM).await;
    client.read_head().await;

    let seen = machine(&rig, "m1");
    assert_eq!(
        (seen.state.as_str(), seen.reason),
        ("ready", None),
        "the one at the top decides nothing"
    );
    let checks: Vec<_> =
        seen.checks.iter().map(|one| (&*one.name, one.gates, &*one.status, &*one.output)).collect();
    assert_eq!(
        checks,
        [
            ("first", true, "passing", "HTTP 200"),
            ("second", true, "passing", "connected"),
            ("top", false, "critical", "cannot connect"),
        ]
    );

    told(&rig, "first", CheckStatus::Critical, "HTTP 500: away");
    let out = machine(&rig, "m1");
    assert_eq!(
        (out.state.as_str(), out.reason.as_deref()),
        ("unhealthy", Some("first: HTTP 500: away"))
    );
    for (check, value) in [("first", 0), ("second", 1), ("top", 0)] {
        let line = format!(
            "outlast_check_passing{{service=\"http\",machine=\"m1\",check=\"{check}\"}} {value}"
        );
        rig.counted(&line).await;
    }
    // The stream goes on, and nobody new comes.
    upstream.send_chunk("on and on").await;
    assert_eq!(client.read_chunk().await, "on and on");
    let mut other = rig.client().await;
    other.send(GET).await;
    eventually("it waits too", || rig.service().queue_length == 1).await;
    told(&rig, "first", CheckStatus::Passing, "HTTP 200");
    let mut second = rig.machine.accept().await;
    second.read_head().await;
    drop((client, upstream, other, second));

    // A new start is checked anew, and checks of the former life that come late change nothing about it.
    rig.gateway.machine_lost("m1");
    assert_eq!(state(&rig, "m1"), "lost");
    told(&rig, "second", CheckStatus::Passing, "late");
    rig.ready("m1", rig.machine.address());
    assert_eq!(state(&rig, "m1"), "checking");
    rig.finish().await;
}

#[tokio::test]
async fn without_a_healthy_machine_the_refusal_says_so() {
    let mut plan = requests();
    plan.services[0].checks = vec![check("first")];
    plan.queue.timeout = Duration::ZERO;
    let rig = Rig::start(plan).await;
    told(&rig, "first", CheckStatus::Critical, "HTTP 500");
    let mut client = rig.client().await;
    client.send(GET).await;
    let (head, _) = client.read_message().await;
    assert!(head.contains("error=destination_unavailable"), "{head}");
    rig.finish().await;
}
