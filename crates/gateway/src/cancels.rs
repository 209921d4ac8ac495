//! Exchanges of every kind, dropped at every await point: whatever is given up when, nothing stays behind.
//!
//! Real machines on real sockets, and clients in memory, in one thread. Each exchange is polled so many times, chosen by
//! chance, and then dropped, unless it has ended by itself. Now and then the whole runtime is dropped with everything in it,
//! as at the end of a process. The seed decides what happens; the kernel decides a little about the order.
//!
//! The default count takes 3 s of a processor in a debug build. `OUTLAST_CANCELS` is another count (a million in `cargo xtask soak`), `OUTLAST_SEED` another seed; a
//! million take five minutes of one, half of them in the kernel, which is too much for every run of the tests.

mod peers;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use outlast_admission::Ledger;
use outlast_config::{Accounting, Linger, Plan, ServiceKind};
use outlast_http1::Stage;
use outlast_observe::{Observe, Record};
use outlast_runtime::random::Seeded;
use outlast_runtime::{Phases, Tasks, clock, random};
use tokio::sync::Notify;

use crate::gateway::{Admittance, GatewayOptions, Lane, Shared};
use crate::ledger::Checker;
use crate::upstream::Pool;
use crate::{connection, tunnel};
use peers::{KINDS, Kind, Machines};

/// Exchanges without `OUTLAST_CANCELS`.
const COUNT: usize = 10_000;
/// Exchanges of one runtime, which is then dropped.
const ROUND: usize = 1_000;
/// At once: for six services with two places and three to wait.
const CLIENTS: usize = 36;
/// One exchange in so many is followed by a check of the ledger.
const CHECK_EVERY: u64 = 20;
/// What is in the pipe to a client: so little that heads of responses have to wait for it.
const PIPE: usize = 200;

/// Where an exchange is, as far as that can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Await {
    /// Before it, or after it: the head is read, or the connection is closed politely.
    NoExchange,
    Receiving,
    Queued,
    Connecting,
    /// For another connection, in place of a dead one or to where it was sent on.
    Reconnecting,
    /// The machine gets the request, or has it.
    Waiting,
    Streaming,
    /// It has no place any more, and answers the client itself.
    Answering,
}

const AWAITS: [Await; 8] = [
    Await::NoExchange,
    Await::Receiving,
    Await::Queued,
    Await::Connecting,
    Await::Reconnecting,
    Await::Waiting,
    Await::Streaming,
    Await::Answering,
];

/// What has been dropped where.
#[derive(Debug, Default)]
struct Tally {
    begun: usize,
    dropped: BTreeMap<(Kind, Await), usize>,
    /// Of those, exchanges whose record was open: each leaves one outcome `internal`.
    internal: usize,
    /// Ledgers that did not add up while exchanges came and went.
    wrong: Vec<Ledger>,
}

struct World {
    shared: Arc<Shared>,
    observe: Arc<Observe>,
    checker: Mutex<Checker>,
    tally: Mutex<Tally>,
}

fn plan(linger: Linger) -> Plan {
    let (env, flags) = (BTreeMap::new(), outlast_config::Flags::default());
    let sources = outlast_config::Sources { fly: None, outlast: None, env: &env, flags };
    let mut plan = outlast_config::check(&sources).expect("the defaults hold").plan;
    let kinds = [
        ("requests", ServiceKind::Http, Accounting::Requests),
        ("connections", ServiceKind::Http, Accounting::Connections),
        ("raw", ServiceKind::Tcp, Accounting::Connections),
    ];
    let base = plan.services.remove(0);
    plan.services = kinds
        .map(|(name, kind, accounting)| {
            let mut service = base.clone();
            (service.name, service.kind) = (name.to_owned(), kind);
            service.limits.accounting = accounting;
            service.limits.hard = NonZeroU32::new(1);
            service
        })
        .into();
    plan.queue.depth_max = 3;
    plan.queue.timeout = Duration::from_millis(20);
    plan.reserve.slots = 1;
    plan.upstream.linger = linger;
    plan.upstream.idle_timeout = Duration::from_millis(5);
    plan
}

impl World {
    fn new(linger: Linger) -> Arc<Self> {
        let plan = plan(linger);
        let names: Vec<_> = plan.services.iter().map(|service| service.name.clone()).collect();
        let observe = Observe::new("local", &names, 1);
        let options = GatewayOptions {
            threads: 1,
            connections_max: 1_000,
            admittance: Box::new(|_| Admittance::Granted),
            phases: Phases::default(),
        };
        let addresses = plan.services.iter().map(|service| service.listen).collect();
        let shared = Shared::new(plan, &observe, options, addresses);
        let checker = Mutex::new(Checker::new(Arc::clone(&shared)));
        Arc::new(Self { shared, observe, checker, tally: Mutex::default() })
    }

    fn lanes(self: &Arc<Self>, machines: &Machines, tasks: &Tasks) -> Vec<Arc<Lane>> {
        let pool = Arc::new(Pool::default());
        tasks.spawn(Arc::clone(&pool).expire(self.shared.plan.upstream.idle_timeout));
        let lane = |service: &Arc<crate::service::Service>| {
            for (name, http, raw) in machines.addresses() {
                let is_http = service.plan.kind == ServiceKind::Http;
                let address = if is_http { http } else { raw };
                service.machine_ready(self.observe.name_machine(name), name, "app", address);
            }
            Arc::new(Lane {
                shared: Arc::clone(&self.shared),
                service: Arc::clone(service),
                pool: Arc::clone(&pool),
                tasks: tasks.clone(),
                thread: 0,
            })
        };
        self.shared.services.iter().map(lane).collect()
    }

    fn record(&self, peer: SocketAddr) -> Option<Arc<Record>> {
        self.observe.records().into_iter().find(|record| record.client() == peer)
    }

    fn place(&self, record: Option<&Arc<Record>>) -> Await {
        let Some(record) = record else { return Await::NoExchange };
        let (mut has_place, mut waits) = (false, false);
        let is_it =
            |other: Option<&Arc<Record>>| other.is_some_and(|other| Arc::ptr_eq(other, record));
        self.shared.services[record.service()]
            .admission
            .audit(|held| has_place |= is_it(held.holder), |waiting| waits |= is_it(Some(waiting)));
        match record.stage() {
            Stage::Receiving => Await::Receiving,
            Stage::Queued if waits => Await::Queued,
            _ if !has_place => Await::Answering,
            Stage::Queued => unreachable!("with its place it goes on at once"),
            Stage::Connecting => Await::Connecting,
            Stage::Waiting if record.port().is_none() => Await::Reconnecting,
            Stage::Waiting => Await::Waiting,
            Stage::Streaming => Await::Streaming,
        }
    }

    /// One client and what becomes of it.
    async fn client(&self, lane: &Arc<Lane>, kind: Kind, peer: SocketAddr, mut chance: Seeded) {
        let (near, far) = tokio::io::duplex(PIPE);
        let lane = Arc::clone(lane);
        let mut serving: Pin<Box<dyn Future<Output = ()> + Send>> = match lane.service.plan.kind {
            ServiceKind::Http => Box::pin(connection::serve(lane, near, peer)),
            ServiceKind::Tcp => Box::pin(tunnel::serve(lane, near, peer)),
        };
        // One in eight is let live.
        let polls = if chance.number().is_multiple_of(8) {
            u64::MAX
        } else {
            1 + chance.number() % kind.polls()
        };
        let mut client = Some(Box::pin(kind.client(far, chance)));
        let (mut stays, mut pending) = (None, 0);
        poll_fn(|cx| {
            if let Some(Poll::Ready(far)) = client.as_mut().map(|client| client.as_mut().poll(cx)) {
                (client, stays) = (None, far);
            }
            if serving.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            pending += 1;
            if pending == polls {
                return Poll::Ready(());
            }
            if let Some(record) = stays.as_ref().and_then(|_far| self.record(peer)) {
                self.observe.end(record.id());
            }
            Poll::Pending
        })
        .await;
        let record = self.record(peer);
        let mut tally = self.tally.lock().expect("no panic while held");
        if pending == polls {
            *tally.dropped.entry((kind, self.place(record.as_ref()))).or_default() += 1;
            tally.internal += usize::from(record.is_some());
        } else {
            assert!(record.is_none(), "an exchange has ended without an outcome: {record:?}");
        }
        drop(tally);
        drop(serving);
        assert!(self.record(peer).is_none(), "a dropped exchange has its outcome");
    }

    /// What holds when everything is gone.
    fn is_empty(&self, what: &str) {
        for service in &self.shared.services {
            let name = &service.plan.name;
            let (usage, ledger) = (service.admission.usage(), service.admission.ledger());
            assert_eq!((ledger.leases, ledger.permits), (0, 0), "permits of {name}, {what}");
            assert!(ledger.is_balanced && ledger.released_twice == 0, "{ledger:?}, {what}");
            assert_eq!(usage.queue_length, 0, "the queue of {name}, {what}");
            for machine in usage.machines {
                assert_eq!(
                    (machine.in_flight, machine.lingering, machine.reserve),
                    (0, 0, 0),
                    "{what}"
                );
            }
        }
        assert_eq!((self.observe.live(), self.observe.records().len()), (0, 0), "records, {what}");
        let sockets = self.shared.living.upstream(&self.shared).expect("Linux tells");
        let open: Vec<_> = sockets.into_iter().filter(|socket| socket.inode != 0).collect();
        assert!(open.is_empty(), "sockets, {what}: {open:?}");
        assert_eq!(self.observe.ledger_mismatches(), 0, "{what}");
        let tally = self.tally.lock().expect("no panic while held");
        assert!(tally.wrong.is_empty(), "{what}: {:?}", tally.wrong);
    }

    fn outcomes(&self, outcome: &str) -> usize {
        let wanted = format!(",outcome=\"{outcome}");
        let text = self.observe.metrics_text();
        let lines = text.lines().filter(|line| line.starts_with("outlast_exchanges_total{"));
        let counts =
            lines.filter(|line| line.contains(&wanted)).filter_map(|line| line.rsplit(' ').next());
        counts.map(|count| count.parse::<usize>().expect("a count")).sum()
    }

    fn check(&self) {
        for service in &self.shared.services {
            let ledger = service.admission.ledger();
            let is_right = ledger.is_balanced
                && ledger.leases == ledger.permits
                && ledger.queued == ledger.waiting;
            self.tally
                .lock()
                .expect("no panic while held")
                .wrong
                .extend((!is_right).then_some(ledger));
        }
        let sockets = self.shared.living.upstream(&self.shared);
        let mut checker = self.checker.lock().expect("no panic while held");
        checker.check(clock::now(), sockets.as_deref());
    }
}

/// One runtime: clients come one after the other, some at once, until it is dropped with those who are there.
fn round(worlds: &[Arc<World>], number: usize, count: usize, chance: &mut Seeded) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let tasks = Tasks::default();
    // An address of its own for each, so that the ports to it are not used up.
    let host = u8::try_from(2 + number % 250).expect("a byte");
    let (left, ended) = (Arc::new(Mutex::new(count)), Arc::new(Notify::new()));
    runtime.block_on(async {
        let machines = Machines::start(Ipv4Addr::new(127, 0, 0, host), &tasks).await;
        let lanes: Vec<_> = worlds.iter().map(|world| world.lanes(&machines, &tasks)).collect();
        let clients = Tasks::default();
        for client in 0..CLIENTS {
            let world = Arc::clone(&worlds[client % worlds.len()]);
            let lanes = lanes[client % worlds.len()].clone();
            let (left, ended) = (Arc::clone(&left), Arc::clone(&ended));
            let mut chance = Seeded::new(chance.number());
            // Every client has an address of its own, by which its record is found.
            let peer = SocketAddr::from(([192, 0, 2, u8::try_from(client).expect("a byte")], 1));
            clients.spawn_uncancelled(async move {
                // After a mismatch the rest would only be slow.
                while world.observe.ledger_mismatches() == 0 && take(&left) {
                    let kind = KINDS[pick(&mut chance, KINDS.len())];
                    let lane = match kind {
                        Kind::Raw => &lanes[2],
                        _ => &lanes[pick(&mut chance, 2)],
                    };
                    world.tally.lock().expect("no panic while held").begun += 1;
                    world.client(lane, kind, peer, Seeded::new(chance.number())).await;
                    if chance.number().is_multiple_of(CHECK_EVERY) {
                        world.check();
                    }
                }
                ended.notify_one();
            });
        }
        // Until the first of them finds nothing left to do: what the others do is dropped with the runtime.
        ended.notified().await;
    });
    for world in worlds {
        world.tally.lock().expect("no panic while held").internal += world.observe.live();
    }
    drop(runtime);
    drop(tasks);
}

fn pick(chance: &mut Seeded, count: usize) -> usize {
    usize::try_from(chance.number() % count as u64).expect("less than the count")
}

fn take(left: &Mutex<usize>) -> bool {
    let mut left = left.lock().expect("no panic while held");
    let is_left = *left > 0;
    *left -= usize::from(is_left);
    is_left
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

#[test]
fn random_cancels_leave_nothing_behind() {
    let seed = number("OUTLAST_SEED").unwrap_or_else(random::number);
    let count =
        number("OUTLAST_CANCELS").map_or(COUNT, |count| usize::try_from(count).expect("a count"));
    let run = std::panic::catch_unwind(|| cancel(seed, count));
    assert!(run.is_ok(), "it was OUTLAST_SEED={seed}");
}

fn cancel(seed: u64, count: usize) {
    let mut chance = Seeded::new(seed);
    let worlds = [World::new(Linger::Hold), World::new(Linger::Evict)];
    for number in 0..count.div_ceil(ROUND) {
        round(&worlds, number, ROUND.min(count - number * ROUND), &mut chance);
        let what = format!("after round {number}");
        worlds.iter().for_each(|world| world.is_empty(&what));
    }
    let (mut dropped, mut begun) = (BTreeMap::new(), 0);
    for world in &worlds {
        let tally = world.tally.lock().expect("no panic while held");
        begun += tally.begun;
        assert_eq!(
            world.outcomes("internal"),
            tally.internal,
            "one outcome for each that was dropped"
        );
        assert!(world.outcomes("completed") > 0 && world.outcomes("refused") > 0);
        for (key, count) in &tally.dropped {
            *dropped.entry(*key).or_insert(0) += count;
        }
    }
    assert_eq!(begun, count, "dropped at: {dropped:?}");
    for place in AWAITS {
        let count: usize =
            dropped.iter().filter(|((_, other), _)| *other == place).map(|(_, count)| count).sum();
        assert!(count > 0, "none was dropped at {place:?}");
    }
    for kind in KINDS {
        assert!(dropped.keys().any(|(other, _)| *other == kind), "none of {kind:?} was dropped");
    }
}
