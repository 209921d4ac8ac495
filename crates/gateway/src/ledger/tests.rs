//! Planted leaks, each seen, told, healed and counted; and none seen where there is none.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use outlast_admission::{Attempt, Class, MachineKey};
use outlast_config::{Accounting, Linger, Plan};
use outlast_observe::{ExchangeStart, Observe, Outcome, RecordGuard};
use outlast_runtime::{Phases, Tasks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::gateway::{Admittance, Gateway, GatewayOptions};
use crate::service::Permit;
use crate::upstream::{Dispatch, Idle};

/// A machine, and a ledger over it whose clock the test moves.
struct Rig {
    shared: Arc<Shared>,
    machine: TcpListener,
    checker: Checker,
    now: clock::Instant,
}

fn plan() -> Plan {
    let (env, flags) = (BTreeMap::new(), outlast_config::Flags::default());
    let sources = outlast_config::Sources { fly: None, outlast: None, env: &env, flags };
    outlast_config::check(&sources).expect("the defaults hold").plan
}

fn options(threads: usize) -> GatewayOptions {
    GatewayOptions {
        threads,
        connections_max: 100,
        admittance: Box::new(|_| Admittance::Granted),
        phases: Phases::default(),
    }
}

impl Rig {
    async fn start() -> Self {
        let mut plan = plan();
        plan.services[0].limits.hard = std::num::NonZeroU32::new(2);
        let observe = Observe::new("local", &[plan.services[0].name.clone()], 1);
        let addresses = vec![plan.services[0].listen];
        let shared = Shared::new(plan, &observe, options(1), addresses);
        let machine = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let slot = observe.name_machine("m1");
        let address = machine.local_addr().expect("bound");
        shared.services[0].machine_ready(slot, "m1", "app", address);
        let checker = Checker::new(Arc::clone(&shared));
        Self { shared, machine, checker, now: clock::now() }
    }

    fn begin(&self) -> RecordGuard {
        let start = ExchangeStart {
            id: RequestId::generate(),
            service: 0,
            client: "127.0.0.1:1".parse().expect("an address"),
            method: "GET".into(),
            path: "/lost".into(),
        };
        self.shared.observe.begin(0, start)
    }

    fn permit(&self, guard: &RecordGuard) -> Permit {
        let (record, admission) = (guard.record(), &self.shared.services[0].admission);
        record.asks_for_place();
        match admission.attempt(record.client().ip(), Class::Ordinary, Arc::clone(record)) {
            Attempt::Admitted(permit) => {
                record.enter(Stage::Connecting);
                permit
            }
            other => panic!("there is room: {other:?}"),
        }
    }

    async fn dispatch(&self, guard: &RecordGuard) -> (Dispatch, TcpStream) {
        let (permit, service) = (self.permit(guard), &self.shared.services[0]);
        let connect = Dispatch::connect(service, permit, Duration::from_secs(9), guard.record());
        let dispatch = connect.await.expect("a machine");
        guard.record().enter(Stage::Waiting);
        let (far, _) = self.machine.accept().await.expect("a connection");
        (dispatch, far)
    }

    fn sockets(&self) -> Vec<UpstreamSocket> {
        self.shared.living.upstream(&self.shared).expect("Linux tells")
    }

    /// So many checks, a second apart, against the kernel's sockets.
    fn checks(&mut self, count: u32) {
        let sockets = self.sockets();
        for _ in 0..count {
            self.now += Duration::from_secs(1);
            self.checker.check(self.now, Some(&sockets));
        }
    }

    /// One mismatch comes to light now and not before, and no check says anything after it.
    #[track_caller]
    fn is_seen_after(&mut self, checks: u32) {
        let before = self.shared.observe.ledger_mismatches();
        self.checks(checks - 1);
        assert_eq!(self.shared.observe.ledger_mismatches(), before, "a suspicion is no mismatch");
        self.checks(1);
        assert_eq!(self.shared.observe.ledger_mismatches(), before + 1, "it is one now");
        self.checks(100);
        assert_eq!(self.shared.observe.ledger_mismatches(), before + 1, "it is told once");
        assert_eq!(self.shared.observe.ledger_unhealed(), 0, "it is healed");
    }

    #[track_caller]
    fn is_empty(&mut self) {
        let service = &self.shared.services[0];
        let Ledger { leases, permits, is_balanced, .. } = service.admission.ledger();
        assert_eq!((leases, permits, is_balanced), (0, 0, true));
        let usage = service.admission.usage();
        assert_eq!((usage.machines[0].in_flight, usage.queue_length), (0, 0));
        assert_eq!(self.shared.observe.live(), 0);
    }
}

/// Checks a second apart before a mismatch is one: the first suspects, and the last is 10 s after it.
const SECONDS: u32 = 11;

#[tokio::test]
async fn a_permit_that_leaks_is_taken_back_when_its_exchange_is_over() {
    let mut rig = Rig::start().await;
    let guard = rig.begin();
    let permit = rig.permit(&guard);
    rig.checks(100);
    assert_eq!(rig.shared.observe.ledger_mismatches(), 0, "an exchange may take its time");
    guard.finish(Outcome::Completed);
    rig.is_seen_after(SECONDS);
    rig.is_empty();
    // Whatever held it lets go at last: that takes nobody's place away.
    let next = rig.begin();
    let place = rig.permit(&next);
    drop(permit);
    assert_eq!(rig.shared.services[0].admission.ledger().permits, 1);
    drop(place);
    next.finish(Outcome::Completed);
    rig.checks(30);
    rig.is_empty();
    assert_eq!(rig.shared.observe.ledger_mismatches(), 1);
}

#[tokio::test]
async fn a_place_that_is_taken_back_goes_to_who_waits() {
    let mut rig = Rig::start().await;
    for _ in 0..2 {
        let guard = rig.begin();
        std::mem::forget(rig.permit(&guard));
        guard.finish(Outcome::Completed);
    }
    let guard = rig.begin();
    guard.record().asks_for_place();
    let admission = rig.shared.services[0].admission.clone();
    let ip = guard.record().client().ip();
    let attempt = admission.attempt(ip, Class::Ordinary, Arc::clone(guard.record()));
    let Attempt::Waiting(waiting) = attempt else { panic!("there is no room") };
    rig.checks(SECONDS);
    assert_eq!(rig.shared.observe.ledger_mismatches(), 2);
    drop(waiting.wait().await.expect("a place came free"));
    guard.finish(Outcome::Completed);
    rig.is_empty();
}

#[tokio::test]
async fn a_connection_that_lingers_for_ever_is_seen_after_its_idle_timeout() {
    let mut rig = Rig::start().await;
    let guard = rig.begin();
    let (dispatch, _far) = rig.dispatch(&guard).await;
    let (stream, permit) = dispatch.take_apart();
    drop(permit.linger());
    guard.finish(Outcome::Completed);
    let idle = rig.shared.plan.upstream.idle_timeout.as_secs();
    let checks = SECONDS + u32::try_from(idle).expect("seconds");
    rig.checks(checks - 1);
    assert_eq!(rig.shared.observe.ledger_mismatches(), 0);
    rig.checks(1);
    assert_eq!(rig.shared.observe.ledger_mismatches(), 1);
    rig.is_empty();
    rig.checks(70);
    assert_eq!(rig.shared.observe.ledger_mismatches(), 2, "its connection is still there");
    drop((stream, permit));
    rig.is_empty();
}

#[tokio::test]
async fn a_record_that_leaks_is_closed() {
    let mut rig = Rig::start().await;
    for stage in [Stage::Queued, Stage::Connecting, Stage::Waiting, Stage::Streaming] {
        let guard = rig.begin();
        guard.record().enter(stage);
        rig.is_seen_after(SECONDS);
        rig.is_empty();
        drop(guard);
        rig.is_empty();
    }
    let guard = rig.begin();
    guard.record().enter(Stage::Receiving);
    let head = u32::try_from(rig.shared.services[0].plan.clocks.head.as_secs()).expect("seconds");
    rig.is_seen_after(head + SECONDS);
    std::mem::forget(guard);
    rig.is_empty();
    let line = "outlast_exchanges_total{service=\"http\",outcome=\"internal\"} 5";
    assert!(rig.shared.observe.metrics_text().contains(line), "each has its outcome, once");
}

#[tokio::test]
async fn a_place_whose_socket_has_gone_is_taken_back() {
    let mut rig = Rig::start().await;
    let guard = rig.begin();
    let (dispatch, _far) = rig.dispatch(&guard).await;
    rig.checks(30);
    let (stream, permit) = dispatch.take_apart();
    drop(stream);
    rig.is_seen_after(SECONDS);
    assert_eq!(rig.shared.services[0].admission.ledger().leases, 0);
    drop(permit);
    guard.finish(Outcome::Completed);
    rig.is_empty();
}

#[tokio::test]
async fn a_connection_that_was_reset_and_is_not_read_yet_keeps_its_place() {
    let mut rig = Rig::start().await;
    let guard = rig.begin();
    let (dispatch, far) = rig.dispatch(&guard).await;
    rig.checks(30);
    far.set_zero_linger().expect("a socket");
    drop(far);
    let port = guard.record().port().expect("connected");
    outlast_testkit::eventually("the kernel forgets it", || {
        !rig.sockets().iter().any(|socket| socket.local_port == port)
    })
    .await;
    rig.checks(100);
    assert_eq!(rig.shared.observe.ledger_mismatches(), 0);
    drop(dispatch);
    guard.finish(Outcome::Completed);
    rig.is_empty();
}

#[tokio::test]
async fn a_socket_that_leaks_is_told_once_and_makes_nobody_unready() {
    let mut rig = Rig::start().await;
    let guard = rig.begin();
    let (dispatch, _far) = rig.dispatch(&guard).await;
    let (stream, permit) = dispatch.take_apart();
    drop(permit);
    guard.finish(Outcome::Completed);
    rig.is_seen_after(61);
    drop(stream);
    rig.checks(100);
    assert_eq!(rig.shared.observe.ledger_mismatches(), 1);
    rig.is_empty();
}

#[tokio::test]
async fn pooled_connections_and_those_of_other_processes_are_nobodys_mismatch() {
    let mut rig = Rig::start().await;
    let guard = rig.begin();
    let (dispatch, _far) = rig.dispatch(&guard).await;
    let port = guard.record().port();
    let (stream, permit) = dispatch.take_apart();
    let address = rig.shared.services[0].address(MachineKey(0));
    drop(permit);
    let idle = Idle { stream, port, address, since: clock::now() };
    rig.shared.pools[0].put(0, MachineKey(0), idle).expect("room");
    guard.finish(Outcome::Completed);
    // Somebody else's connection to the machine, held open by a process that is not this one.
    let mut other = std::process::Command::new("bash")
        .args(["-c", "exec 3<>\"/dev/tcp/$0/$1\"; read -r _"])
        .args([address.ip().to_string(), address.port().to_string()])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("bash");
    let (_far, _) = rig.machine.accept().await.expect("a connection");
    rig.checks(200);
    assert_eq!(rig.shared.observe.ledger_mismatches(), 0);
    assert_eq!(rig.sockets().len(), 2);
    other.kill().expect("it runs");
    other.wait().expect("it has ended");
    rig.is_empty();
}

/// Faster than life: what is wrong for 300 ms is a mismatch here, and a socket that strays for 6 s.
const HASTE: u32 = 10;
const CHURN: Duration = Duration::from_secs(3);

/// Answers every request at once.
async fn answer_all(machine: TcpListener, tasks: Tasks) {
    while let Ok((mut stream, _)) = machine.accept().await {
        tasks.spawn(async move {
            let mut buffer = [0; 1_024];
            // The requests of this test come in one piece.
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Asks on new connections, a few times on each, until the time is over. Says how often.
async fn ask(gateway: SocketAddr, end: clock::Instant) -> u64 {
    let mut asked = 0;
    while clock::now() < end {
        let mut stream = TcpStream::connect(gateway).await.expect("it listens");
        for _ in 0..4 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("it reads");
            let (mut seen, mut buffer) = (Vec::new(), [0; 1_024]);
            while !seen.ends_with(b"ok") {
                let read = stream.read(&mut buffer).await.expect("it answers");
                assert!(read > 0, "it answers: {}", seen.escape_ascii());
                seen.extend_from_slice(&buffer[..read]);
            }
            asked += 1;
        }
    }
    asked
}

/// Checks as fast as it can until the time is over. Says how often.
fn check_all_the_time(shared: &Arc<Shared>, end: clock::Instant) -> u32 {
    let mut checker = Checker::new(Arc::clone(shared));
    let (start, mut checks) = (clock::now(), 0);
    while clock::now() < end {
        let sockets = shared.living.upstream(shared);
        checker.check(start + start.elapsed() * HASTE, sockets.as_deref());
        let ledger = shared.services[0].admission.ledger();
        assert!(ledger.is_balanced && ledger.leases == ledger.permits, "{ledger:?}");
        checks += 1;
    }
    checks
}

async fn churn(accounting: Accounting) {
    let mut plan = plan();
    plan.services[0].limits.accounting = accounting;
    plan.services[0].limits.hard = std::num::NonZeroU32::new(6);
    plan.services[0].listen = "127.0.0.1:0".parse().expect("an address");
    plan.upstream.linger = Linger::Evict;
    let observe = Observe::new("local", &[plan.services[0].name.clone()], 2);
    let (internal_port, tasks) = (plan.services[0].internal_port, Tasks::default());
    let gateway = Gateway::start(plan, &observe, options(2)).expect("a free port");
    let machine = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = machine.local_addr().expect("bound");
    gateway.machine_ready("m1", "app", &BTreeMap::from([(internal_port, address)]));
    tasks.spawn(answer_all(machine, tasks.clone()));

    let (end, asked) = (clock::now() + CHURN, Arc::new(AtomicU64::new(0)));
    let clients = Tasks::default();
    for _ in 0..12 {
        let (asked, asking) = (Arc::clone(&asked), ask(gateway.addresses()[0], end));
        clients.spawn(async move {
            asked.fetch_add(asking.await, Ordering::Relaxed);
        });
    }
    let shared = Arc::clone(gateway.shared());
    let checking = tokio::task::spawn_blocking(move || check_all_the_time(&shared, end));
    let checks = checking.await.expect("the columns agree at every moment");
    clients.join().await;
    let asked = asked.load(Ordering::Relaxed);
    assert!(checks > 50 && asked > 500, "{checks} checks, {asked} exchanges");
    assert_eq!(observe.ledger_mismatches(), 0, "{accounting:?}");
    tasks.cancel();
    tokio::task::spawn_blocking(|| gateway.stop()).await.expect("stopped");
}

#[tokio::test]
async fn exchanges_that_come_and_go_on_all_threads_are_no_mismatch() {
    churn(Accounting::Requests).await;
    churn(Accounting::Connections).await;
}
