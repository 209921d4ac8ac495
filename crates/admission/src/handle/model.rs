//! A model of the handle: who goes on is decided by shuttle at every lock and every counter, many thousand times
//! differently. `cargo xtask model` runs it.
//!
//! Guests come, wait, leave, finish and linger, while an operator loses a machine, changes the limits or drains. Shuttle
//! itself tells of a guest that waits for ever. Time is not modelled: a deadline is an event that may come at any point.
//! tokio's channel and notification are used as they are, and each of their calls is one step.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use shuttle::future::{JoinHandle, block_on, spawn};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};
use tokio::sync::watch;

use super::{Admission, Attempt, Permit, Waiting};
use crate::state::{Class, Limits, Linger, MachineKey, Settings};

const MACHINES: u32 = 2;
const GUESTS: u8 = 4;

/// What happens to the service meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    LosesAMachine,
    ChangesLimits,
    Drains,
    /// As the ledger does with a place whose holder it takes for dead: here the holder lives, and goes on without.
    TakesBack,
    Watches,
}

/// How long a guest waits for a place.
#[derive(Debug, Clone, Copy)]
enum Patience {
    Endless,
    /// Until a deadline, which passes at some point.
    Deadline,
    /// Its client goes at some point, which drops the wait.
    Leaves,
}

/// What is true besides what admission says.
struct World {
    admission: Admission,
    settings: Settings,
    operator: Operator,
    /// Permits in the hands of guests, per machine.
    held: [AtomicU32; MACHINES as usize],
    /// Guests who have come and have neither a place nor left.
    undecided: AtomicU32,
    /// Connections that linger.
    lingering: Mutex<Vec<JoinHandle<()>>>,
    /// Whether whatever lingers has done so for long enough.
    idle: watch::Sender<bool>,
}

impl World {
    fn new(operator: Operator) -> Arc<Self> {
        let mut rng = thread_rng();
        let settings = Settings {
            limits: Limits { soft: None, hard: NonZeroU32::new(rng.gen_range(1..=2)) },
            linger: if rng.gen_bool(0.5) { Linger::Hold } else { Linger::Evict },
            queue_depth_max: if rng.gen_bool(0.8) { usize::from(GUESTS) } else { 1 },
            reserve_slots: rng.gen_range(0..=1),
        };
        let queue_timeout = Duration::from_secs(u64::from(rng.gen_bool(0.9)));
        let admission = Admission::new(settings, queue_timeout);
        for key in 0..rng.gen_range(1..=MACHINES) {
            admission.machine_ready(MachineKey(key));
        }
        Arc::new(Self {
            admission,
            settings,
            operator,
            held: Default::default(),
            undecided: AtomicU32::new(0),
            lingering: Mutex::default(),
            idle: watch::Sender::new(false),
        })
    }

    fn operate(&self) {
        match self.operator {
            Operator::LosesAMachine => {
                self.admission.machine_lost(MachineKey(0));
                self.audit();
                self.admission.machine_ready(MachineKey(0));
            }
            Operator::ChangesLimits => {
                let hard = NonZeroU32::new(thread_rng().gen_range(1..=3));
                self.admission.set_limits(Limits { soft: None, hard });
                self.audit();
            }
            Operator::Drains => self.admission.drain(),
            Operator::TakesBack => self.take_back(),
            Operator::Watches => {}
        }
        self.audit();
    }

    fn take_back(&self) {
        let mut out = Vec::new();
        self.admission.audit(|held| out.push(held.lease), |()| {});
        if !out.is_empty() {
            // It may have been given back meanwhile.
            self.admission.take_back(out[thread_rng().gen_range(0..out.len())]);
        }
    }

    /// The most permits of a machine that may be out at once, reserve excluded.
    fn hard_limit(&self) -> u32 {
        let hard = self.settings.limits.hard.filter(|_| self.operator != Operator::ChangesLimits);
        let without_place = u32::from(self.operator == Operator::TakesBack);
        hard.map_or(3, NonZeroU32::get) + without_place
    }

    /// What holds at every moment.
    fn audit(&self) {
        let inner = self.admission.0.lock();
        let undecided = self.undecided.load(Ordering::Relaxed) as usize;
        assert!(inner.state.queue_length() <= undecided, "somebody who has left is in the queue");
        assert!(inner.state.is_balanced(), "leases and gauges agree");
        assert_eq!(inner.permits_out, inner.state.leases_out(), "permits and leases agree");
        assert_eq!(inner.released_twice, 0, "a place was given back twice");
        for machine in inner.state.usage() {
            assert!(machine.in_flight <= self.hard_limit(), "beyond the limit: {machine:?}");
        }
    }

    /// What holds when all have gone.
    fn audit_empty(&self) {
        let (usage, ledger) = (self.admission.usage(), self.admission.ledger());
        assert_eq!((ledger.leases, ledger.permits), (0, 0), "every place came back");
        assert!(usage.machines.iter().all(|machine| machine.in_flight + machine.reserve == 0));
        assert_eq!(usage.queue_length, 0, "nobody is kept in the queue");
        let inner = self.admission.0.lock();
        assert!(inner.waiting.is_empty() && inner.lingering.is_empty(), "nothing is kept");
        assert_eq!(inner.written_off, 0, "every permit that was written off has been dropped");
    }

    /// Counts what the guests have in their hands, whatever admission believes: a place given twice is seen here.
    fn took(&self, permit: &Permit) {
        let held = self.held[permit.machine().0 as usize].fetch_add(1, Ordering::Relaxed) + 1;
        let places = self.hard_limit() + self.settings.reserve_slots;
        assert!(held <= places, "{held} permits are out and {places} places exist");
    }

    fn give_back(&self, permit: Permit) {
        self.held[permit.machine().0 as usize].fetch_sub(1, Ordering::Relaxed);
        drop(permit);
    }
}

async fn guest(world: Arc<World>, client: u8) {
    let (class, is_replay, lingers) = {
        let mut rng = thread_rng();
        let class = if rng.gen_bool(0.2) { Class::Control } else { Class::Ordinary };
        (class, rng.gen_bool(0.1), rng.gen_bool(0.4))
    };
    let permit = if is_replay {
        let machine = MachineKey(thread_rng().gen_range(0..MACHINES));
        world.admission.attempt_at(machine, class, ()).ok()
    } else {
        world.undecided.fetch_add(1, Ordering::Relaxed);
        // Two guests are the same client.
        let permit = match world.admission.attempt(IpAddr::from([127, 0, 0, client / 2]), class, ())
        {
            Attempt::Admitted(permit) => Some(permit),
            Attempt::Refused(_) => None,
            Attempt::Waiting(waiting) => wait(waiting).await,
        };
        world.undecided.fetch_sub(1, Ordering::Relaxed);
        permit
    };
    let Some(permit) = permit else { return world.audit() };
    world.took(&permit);
    world.audit();
    if lingers {
        let connection = spawn(linger(Arc::clone(&world), permit));
        world.lingering.lock().expect("no guest panics while it holds the lock").push(connection);
    } else {
        world.give_back(permit);
    }
}

/// What [`Waiting::wait`] does, with a deadline that is an event.
async fn wait(mut waiting: Box<Waiting>) -> Option<Permit> {
    let patience = {
        let mut rng = thread_rng();
        [Patience::Endless, Patience::Deadline, Patience::Leaves][rng.gen_range(0..3)]
    };
    match patience {
        Patience::Endless => (&mut waiting.receiver).await.ok(),
        Patience::Deadline => match before(&mut waiting.receiver, event()).await {
            Some(granted) => granted.ok(),
            None => {
                // Anyone may come between the deadline and the next step.
                event().await;
                waiting.give_up(Duration::ZERO).ok()
            }
        },
        Patience::Leaves => before(&mut waiting.receiver, event()).await?.ok(),
    }
}

/// A connection that keeps its place until it is evicted or has been idle for long enough.
async fn linger(world: Arc<World>, permit: Permit) {
    let evicted = permit.linger();
    let is_idle = async {
        match world.settings.linger {
            Linger::Hold => event().await,
            Linger::Evict => {
                let mut idle = world.idle.subscribe();
                idle.wait_for(|is_idle| *is_idle).await.expect("the world is there");
            }
        }
    };
    before(evicted.notified(), is_idle).await;
    world.give_back(permit);
}

/// Something that happens at some point.
async fn event() {
    spawn(async {}).await.expect("it does not panic");
}

/// None if `end` came first.
async fn before<T>(wanted: impl Future<Output = T>, end: impl Future<Output = ()>) -> Option<T> {
    let (mut wanted, mut end) = (pin!(wanted), pin!(end));
    poll_fn(|cx| match wanted.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => end.as_mut().poll(cx).map(|()| None),
    })
    .await
}

async fn run(operator: Operator) {
    let world = World::new(operator);
    let guests: Vec<_> =
        (0..GUESTS).map(|client| spawn(guest(Arc::clone(&world), client))).collect();
    world.operate();
    for guest in guests {
        guest.await.expect("it does not panic");
    }
    // Nobody waits any more. What still lingers was not in anybody's way.
    world.idle.send_replace(true);
    let lingering = std::mem::take(&mut *world.lingering.lock().expect("nobody else is left"));
    for connection in lingering {
        connection.await.expect("it does not panic");
    }
    world.audit_empty();
}

fn explore(scheduler: impl Scheduler + 'static, operator: Operator) {
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    // That the counter's orderings are explored as if they were sequential is known.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || block_on(run(operator)));
}

/// Schedules per scheduler and operator.
const SCHEDULES: usize = 50_000;
/// How many changes of priority PCT tries per schedule: most races need two or three.
const PCT_DEPTH: usize = 3;

fn explore_all(operator: Operator) {
    explore(RandomScheduler::new(SCHEDULES), operator);
    explore(PctScheduler::new(PCT_DEPTH, SCHEDULES), operator);
}

#[test]
fn guests_alone() {
    explore_all(Operator::Watches);
}

#[test]
fn a_machine_is_lost() {
    explore_all(Operator::LosesAMachine);
}

#[test]
fn limits_change() {
    explore_all(Operator::ChangesLimits);
}

#[test]
fn a_drain() {
    explore_all(Operator::Drains);
}

#[test]
fn a_place_is_taken_back() {
    explore_all(Operator::TakesBack);
}
