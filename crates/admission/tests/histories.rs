//! Random histories of admission: whatever happens in whatever order, the ledger balances and nobody waits while a
//! place is free.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use outlast_admission::{
    Admission, Class, LeaseId, Ledger, Level, Limits, Linger, MachineKey, Permit, Refusal,
    Released, Settings, State, Ticket, Verdict,
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Admit { client: u8, class: Class },
    AdmitAt { machine: u32, class: Class },
    Release(usize),
    Linger(usize),
    Cancel(usize),
    MachineReady(u32),
    MachineLost(u32),
    SetLimits(Limits),
}

fn limits() -> impl Strategy<Value = Limits> {
    (0u32..5, 0u32..5).prop_map(|(soft, hard)| Limits {
        soft: NonZeroU32::new(soft),
        hard: NonZeroU32::new(hard),
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    let linger = prop_oneof![Just(Linger::Hold), Just(Linger::Evict)];
    (limits(), linger, 0usize..5, 0u32..3).prop_map(
        |(limits, linger, queue_depth_max, reserve_slots)| Settings {
            limits,
            linger,
            queue_depth_max,
            reserve_slots,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let class = prop_oneof![4 => Just(Class::Ordinary), 1 => Just(Class::Control)];
    let at_class = class.clone();
    prop_oneof![
        8 => (0u8..4, class).prop_map(|(client, class)| Step::Admit { client, class }),
        2 => (0u32..3, at_class).prop_map(|(machine, class)| Step::AdmitAt { machine, class }),
        5 => any::<usize>().prop_map(Step::Release),
        3 => any::<usize>().prop_map(Step::Linger),
        2 => any::<usize>().prop_map(Step::Cancel),
        2 => (0u32..3).prop_map(Step::MachineReady),
        1 => (0u32..3).prop_map(Step::MachineLost),
        1 => limits().prop_map(Step::SetLimits),
    ]
}

/// What the outside world knows: which leases are out and who waits.
#[derive(Default)]
struct World {
    leases: BTreeMap<LeaseId, MachineKey>,
    ever: BTreeSet<LeaseId>,
    waiting: BTreeSet<Ticket>,
    evicting: BTreeSet<LeaseId>,
}

impl World {
    fn admitted(&mut self, lease: LeaseId, machine: MachineKey) {
        assert!(self.ever.insert(lease), "a lease is never given twice");
        self.leases.insert(lease, machine);
    }

    fn pick(&self, index: usize) -> Option<LeaseId> {
        let count = self.leases.len();
        (count > 0).then(|| *self.leases.keys().nth(index % count).expect("within"))
    }

    fn apply(&mut self, state: &mut State, step: &Step) {
        match *step {
            Step::Admit { client, class } => {
                match state.admit(IpAddr::from([127, 0, 0, client]), class) {
                    Verdict::Admitted { lease, machine } => self.admitted(lease, machine),
                    Verdict::Queued { ticket, evict } => {
                        assert!(self.waiting.insert(ticket), "a ticket is never given twice");
                        self.evicting.extend(evict);
                    }
                    Verdict::QueueFull => {
                        assert!(self.waiting.len() >= state.settings().queue_depth_max);
                    }
                }
            }
            Step::AdmitAt { machine, class } => {
                if let Some((lease, at)) = state.admit_at(MachineKey(machine), class) {
                    assert_eq!(at, MachineKey(machine), "at this machine and no other");
                    self.admitted(lease, at);
                }
            }
            Step::Release(index) => {
                if let Some(lease) = self.pick(index) {
                    self.leases.remove(&lease);
                    self.evicting.remove(&lease);
                    assert!(matches!(state.release(lease), Released::Now { holder: None, .. }));
                }
            }
            Step::Linger(index) => {
                if let Some(lease) = self.pick(index) {
                    self.evicting.extend(state.linger(lease));
                }
            }
            Step::Cancel(index) => {
                let count = self.waiting.len();
                if count > 0 {
                    let ticket = *self.waiting.iter().nth(index % count).expect("within");
                    assert!(state.cancel(ticket), "a waiting ticket can be cancelled");
                    assert!(!state.cancel(ticket), "and only once");
                    self.waiting.remove(&ticket);
                }
            }
            Step::MachineReady(key) => state.machine_ready(MachineKey(key)),
            Step::MachineLost(key) => state.machine_lost(MachineKey(key)),
            Step::SetLimits(limits) => state.set_limits(limits),
        }
    }

    fn settle(&mut self, state: &mut State) {
        while let Some((ticket, lease, machine)) = state.grant() {
            assert!(self.waiting.remove(&ticket), "only who waits is granted a place");
            self.admitted(lease, machine);
        }
        while let Some(lease) = state.evict() {
            assert!(self.evicting.insert(lease), "nobody is asked twice");
        }
    }

    fn check(&self, state: &State) {
        assert!(state.is_balanced(), "leases and gauges agree");
        assert_eq!(state.leases_out(), self.leases.len());
        assert_eq!(state.queue_length(), self.waiting.len());
        for machine in state.usage() {
            let out = self.leases.values().filter(|key| **key == machine.machine).count();
            assert_eq!(out, (machine.in_flight + machine.reserve) as usize);
            if machine.is_ready && !self.waiting.is_empty() {
                assert_eq!(machine.level, Level::AtHard, "nobody waits while a place is free");
                let asked =
                    self.evicting.iter().filter(|lease| self.leases[lease] == machine.machine);
                let is_useful = state.settings().linger == Linger::Evict
                    && self.evicting.len() < self.waiting.len();
                assert!(
                    !is_useful || asked.count() == machine.lingering as usize,
                    "nobody waits beside a connection that could be evicted"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn the_ledger_balances(settings in settings(), steps in proptest::collection::vec(step(), 0..120)) {
        let mut state = State::new(settings);
        let mut world = World::default();
        for step in &steps {
            let before = state.usage();
            world.apply(&mut state, step);
            world.settle(&mut state);
            world.check(&state);
            let hard = state.settings().limits.hard.map_or(u32::MAX, NonZeroU32::get);
            for machine in state.usage() {
                let was = before.iter().find(|other| other.machine == machine.machine);
                let was = was.map_or(0, |machine| machine.in_flight);
                prop_assert!(machine.in_flight <= hard.max(was), "no place beyond the hard limit");
            }
        }
        for lease in std::mem::take(&mut world.leases).into_keys() {
            assert!(matches!(state.release(lease), Released::Now { holder: None, .. }));
            assert_eq!(state.release(lease), Released::WasNotOut);
            world.settle(&mut state);
        }
        prop_assert!(state.is_balanced());
    }

    /// The same through the handle: futures polled, dropped at any await point, and timed out.
    #[test]
    fn no_permit_is_lost_or_given_twice(
        settings in settings(),
        timeout in prop_oneof![Just(Duration::ZERO), Just(Duration::from_secs(3))],
        steps in proptest::collection::vec((step(), any::<bool>(), 0u64..3), 0..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("runtime");
        runtime.block_on(async move {
            let mut crowd = Crowd::new(settings, timeout);
            for (step, poll, seconds) in steps {
                crowd.apply(&step);
                if poll {
                    crowd.poll_all();
                }
                tokio::time::advance(Duration::from_secs(seconds)).await;
                crowd.check();
            }
            crowd.permits.clear();
            crowd.lingering.clear();
            crowd.waiting.clear();
            crowd.check();
            let ledger = crowd.admission.ledger();
            assert_eq!((ledger.leases, ledger.permits), (0, 0), "everything came back");
        });
    }
}

type Wait = Pin<Box<dyn Future<Output = Result<Permit, Refusal>>>>;

struct Crowd {
    admission: Admission,
    permits: Vec<Permit>,
    lingering: Vec<Permit>,
    waiting: Vec<Wait>,
}

impl Crowd {
    fn new(settings: Settings, timeout: Duration) -> Self {
        let admission = Admission::new(settings, timeout);
        Self { admission, permits: Vec::new(), lingering: Vec::new(), waiting: Vec::new() }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Admit { client, class } => {
                let admission = self.admission.clone();
                let client = IpAddr::from([127, 0, 0, client]);
                self.waiting
                    .push(Box::pin(async move { admission.admit(client, class, ()).await }));
            }
            Step::AdmitAt { machine, class } => {
                self.permits.extend(self.admission.attempt_at(MachineKey(machine), class, ()));
            }
            Step::Release(index) if !self.permits.is_empty() => {
                drop(self.permits.swap_remove(index % self.permits.len()));
            }
            Step::Release(index) if !self.lingering.is_empty() => {
                drop(self.lingering.swap_remove(index % self.lingering.len()));
            }
            Step::Linger(index) if !self.permits.is_empty() => {
                let permit = self.permits.swap_remove(index % self.permits.len());
                drop(permit.linger());
                self.lingering.push(permit);
            }
            Step::Cancel(index) if !self.waiting.is_empty() => {
                drop(self.waiting.swap_remove(index % self.waiting.len()));
            }
            Step::Release(_) | Step::Linger(_) | Step::Cancel(_) => {}
            Step::MachineReady(key) => self.admission.machine_ready(MachineKey(key)),
            Step::MachineLost(key) => self.admission.machine_lost(MachineKey(key)),
            Step::SetLimits(limits) => self.admission.set_limits(limits),
        }
    }

    fn poll_all(&mut self) {
        let mut still = Vec::new();
        for mut wait in self.waiting.drain(..) {
            match wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => still.push(wait),
                Poll::Ready(Ok(permit)) => self.permits.push(permit),
                Poll::Ready(Err(_refusal)) => {}
            }
        }
        self.waiting = still;
    }

    fn check(&self) {
        let usage = self.admission.usage();
        let Ledger { leases, permits, is_balanced, queued, waiting, released_twice } =
            self.admission.ledger();
        assert!(is_balanced && released_twice == 0 && queued == waiting);
        assert_eq!(leases, permits, "permits out are the gauge");
        // A granted place may still be on its way to a future that has not been polled.
        let held = self.permits.len() + self.lingering.len();
        assert!(held <= permits && permits <= held + self.waiting.len());
        assert!(usage.queue_length <= self.waiting.len());
    }
}
