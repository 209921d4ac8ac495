//! What one service knows: its plan, its admission, its machines, its warnings.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use outlast_admission::{
    Admission, Class, Level, Limits, Linger, MachineKey, QueuedView, Settings,
};
use outlast_config::{Accounting, Eject, HealthCheck, Plan, ServiceKind};
use outlast_http1::{Replay, ReplayRule};
use outlast_observe::{MachineSlot, Record, RequestId};
use outlast_protocol::pool;
use outlast_runtime::clock;

use tokio::sync::Notify;

use crate::machine::{Effect, Machine, MachineState};
use crate::remarks::OnceASecond;
use crate::retry::Budget;

/// The hard-limit warning comes at most so often per machine (rule 4).
const WARNING_GAP: Duration = Duration::from_secs(1);

/// How old may be what those are told who wait.
const QUEUE_SEEN_FOR: Duration = Duration::from_millis(500);
/// A place that an exchange holds.
pub(crate) type Permit = outlast_admission::Permit<Arc<Record>>;

/// One service, shared by all worker threads.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) index: usize,
    pub(crate) plan: outlast_config::Service,
    /// The plan's: what a machine does not take is bounded by it too.
    pub(crate) buffer_max: usize,
    /// Each place is held for a record, so that the ledger knows who holds it, alive or dead (rule 6).
    pub(crate) admission: Admission<Arc<Record>>,
    pub(crate) machines: RwLock<HashMap<MachineKey, Machine>>,
    queue_seen: Mutex<Option<(clock::Instant, HashMap<RequestId, pool::Queued>)>>,
    /// `[checks]` of the plan.
    checks: Vec<HealthCheck>,
    pub(crate) eject: Eject,
    /// Machines that have failed an exchange and answered none since.
    pub(crate) suspects: AtomicU32,
    pub(crate) ejections: AtomicU64,
    pub(crate) ejections_changed: Notify,
    pub(crate) budget: Budget,
    warned: Mutex<HashMap<MachineKey, clock::Instant>>,
    warned_of_clients: OnceASecond,
    warned_of_shortage: OnceASecond,
    pub(crate) warned_of_ejection: OnceASecond,
}

impl Service {
    pub(crate) fn new(index: usize, service: &outlast_config::Service, plan: &Plan) -> Self {
        let settings = Settings {
            limits: Limits { soft: service.limits.soft, hard: service.limits.hard },
            linger: match plan.upstream.linger {
                outlast_config::Linger::Hold => Linger::Hold,
                outlast_config::Linger::Evict => Linger::Evict,
            },
            queue_depth_max: plan.queue.depth_max,
            reserve_slots: match service.kind {
                ServiceKind::Http => plan.reserve.slots,
                // Nothing in a tunnel can be told from anything else.
                ServiceKind::Tcp => 0,
            },
        };
        Self {
            index,
            plan: service.clone(),
            buffer_max: plan.buffer_max,
            admission: Admission::new(settings, plan.queue.timeout),
            machines: RwLock::default(),
            queue_seen: Mutex::default(),
            checks: plan.checks.clone(),
            eject: plan.eject,
            suspects: AtomicU32::new(0),
            ejections: AtomicU64::new(0),
            ejections_changed: Notify::new(),
            budget: Budget::new(plan.retry),
            warned: Mutex::default(),
            warned_of_clients: OnceASecond::default(),
            warned_of_shortage: OnceASecond::default(),
            warned_of_ejection: OnceASecond::default(),
        }
    }

    /// A machine runs. It takes traffic once its checks pass, if the service has any. Its faults of a former life are forgotten.
    pub(crate) fn machine_ready(
        &self,
        slot: MachineSlot,
        name: &str,
        group: &str,
        address: SocketAddr,
    ) {
        let key = MachineKey(slot.0);
        let is_meant = |check: &&HealthCheck| {
            check.groups.is_empty() || check.groups.iter().any(|one| one == group)
        };
        let gates = self.plan.checks.iter().map(|check| (check.clone(), Effect::Gates));
        let shown = self.checks.iter().filter(is_meant).map(|check| (check.clone(), Effect::Shown));
        let mut machine = Machine::new(name, address, gates.chain(shown));
        let mut machines = self.machines.write().expect("no panic while held");
        if let Some(former) = machines.get(&key) {
            if former.answers() {
                self.suspects.fetch_sub(1, Ordering::Relaxed);
            }
            // What admission knows of it holds until it is told otherwise.
            machine.told = former.told;
        }
        machines.insert(key, machine);
        self.settle(&mut machines);
    }

    /// A machine does not run any more.
    pub(crate) fn machine_lost(&self, slot: MachineSlot) {
        let mut machines = self.machines.write().expect("no panic while held");
        if let Some(machine) = machines.get_mut(&MachineKey(slot.0)) {
            machine.lost();
            self.settle(&mut machines);
        }
    }

    /// Where a machine listens. It is told before admission may choose it.
    pub(crate) fn address(&self, key: MachineKey) -> SocketAddr {
        let machines = self.machines.read().expect("no panic while held");
        machines.get(&key).expect("admission knows only machines we told it").address
    }

    /// Where all machines listen, those that take no more traffic included.
    pub(crate) fn machine_addresses(&self) -> Vec<SocketAddr> {
        let machines = self.machines.read().expect("no panic while held");
        machines.values().map(|machine| machine.address).collect()
    }

    /// The same as `Host` tells it: without the zone of a link-local address, which means nothing to the machine.
    pub(crate) fn authority(&self, key: MachineKey) -> String {
        let address = self.address(key);
        SocketAddr::new(address.ip(), address.port()).to_string()
    }

    /// Whether a machine may send a request on, when so many machines have had it: there must be another one.
    pub(crate) fn replay_rule(&self, had: usize) -> ReplayRule {
        let machines = self.machines.read().expect("no panic while held");
        let ready = machines.values().filter(|machine| machine.state() == MachineState::Ready);
        if ready.count() > had { ReplayRule::Follow } else { ReplayRule::Ignore }
    }

    /// The machine that a request is sent on to, unless it has had it.
    pub(crate) fn replay_target(&self, to: &Replay, tried: &[MachineKey]) -> Option<MachineKey> {
        let machines = self.machines.read().expect("no panic while held");
        let is_meant = |machine: &Machine| match to {
            Replay::Instance(id) => *machine.name == **id,
            Replay::Elsewhere => true,
        };
        let mut targets = machines.iter().filter(|(key, machine)| {
            machine.state() == MachineState::Ready && !tried.contains(key) && is_meant(machine)
        });
        targets.next().map(|(key, _)| *key)
    }

    pub(crate) fn class(&self, plan: &Plan, path: &str) -> Class {
        let is_control = self.plan.kind == ServiceKind::Http
            && plan.reserve.paths.iter().any(|pattern| pattern.matches(path));
        if is_control { Class::Control } else { Class::Ordinary }
    }

    pub(crate) fn accounting_name(&self) -> &'static str {
        match self.plan.limits.accounting {
            Accounting::Connections => "connections",
            Accounting::Requests => "requests",
        }
    }

    /// Fly's own warning, for every machine at its hard limit, in Fly's own words.
    pub(crate) fn warn_of_limits(&self, region: &str) {
        let Some(hard) = self.plan.limits.hard else { return };
        let unit = self.accounting_name();
        for usage in self.admission.usage().machines {
            if usage.level == Level::AtHard && self.may_warn(usage.machine) {
                let machine = self.machine_name(usage.machine);
                tracing::warn!(
                    target: "outlast::proxy",
                    machine = &*machine,
                    region,
                    "Instance {machine} reached hard limit of {hard} concurrent {unit}. This usually \
                     indicates your app is not closing connections properly or is not closing them \
                     fast enough for the traffic levels it is handling. Scaling resources, number of \
                     instances or increasing your hard limit might help."
                );
            }
        }
    }

    /// Whether it may be said now that a client has too many connections.
    pub(crate) fn may_warn_of_clients(&self) -> bool {
        self.warned_of_clients.is_due()
    }

    /// Whether it may be said now that something is missing for a connection to a machine.
    pub(crate) fn may_warn_of_shortage(&self) -> bool {
        self.warned_of_shortage.is_due()
    }

    fn may_warn(&self, key: MachineKey) -> bool {
        let now = clock::now();
        let mut warned = self.warned.lock().expect("no panic while held");
        let is_due = warned.get(&key).is_none_or(|last| now - *last >= WARNING_GAP);
        if is_due {
            warned.insert(key, now);
        }
        is_due
    }

    pub(crate) fn machine_name(&self, key: MachineKey) -> Arc<str> {
        let machines = self.machines.read().expect("no panic while held");
        machines.get(&key).map_or_else(|| "".into(), |machine| Arc::clone(&machine.name))
    }

    /// The places in the queue, by who waits.
    pub(crate) fn queued(&self) -> Vec<(RequestId, pool::Queued)> {
        let view = self.admission.queue();
        let length = view.waiting.len();
        let place = |(index, queued): (usize, &QueuedView)| {
            let position = index + 1;
            let place = pool::Queued {
                position,
                length,
                waited_ms: milliseconds(queued.waited),
                estimate_ms: view.estimate(position).map(milliseconds),
                deadline_ms: milliseconds(queued.left),
            };
            Some((queued.holder?.0.into(), place))
        };
        view.waiting.iter().enumerate().filter_map(place).collect()
    }

    /// An exchange's place in the queue, as of the last second's half: those who are told theirs all look here.
    pub(crate) fn queued_now(&self, id: RequestId) -> Option<pool::Queued> {
        let mut seen = self.queue_seen.lock().expect("no panic while held");
        let is_stale = seen.as_ref().is_none_or(|(at, _)| at.elapsed() >= QUEUE_SEEN_FOR);
        if is_stale {
            *seen = Some((clock::now(), self.queued().into_iter().collect()));
        }
        seen.as_ref().and_then(|(_, queued)| queued.get(&id).copied())
    }

    /// The service as the pool shows it, without its exchanges.
    pub(crate) fn snapshot(&self) -> pool::Service {
        let usage = self.admission.usage();
        let settings = usage.settings;
        let machines: Vec<pool::Machine> = {
            let known = self.machines.read().expect("no panic while held");
            let mut keys: Vec<_> = known.keys().copied().collect();
            keys.sort_unstable();
            keys.iter()
                .map(|key| {
                    let machine = &known[key];
                    let usage = usage.machines.iter().find(|usage| usage.machine == *key);
                    pool::Machine {
                        in_flight: usage.map_or(0, |usage| usage.in_flight),
                        lingering: usage.map_or(0, |usage| usage.lingering),
                        reserve_in_use: usage.map_or(0, |usage| usage.reserve),
                        level: usage
                            .map_or(Level::BelowSoft, |usage| usage.level)
                            .name()
                            .to_owned(),
                        ..machine.view()
                    }
                })
                .collect()
        };
        pool::Service {
            name: self.plan.name.clone(),
            kind: match self.plan.kind {
                ServiceKind::Http => "http".to_owned(),
                ServiceKind::Tcp => "tcp".to_owned(),
            },
            listen: self.plan.listen.to_string(),
            accounting: self.accounting_name().to_owned(),
            limits: pool::Limits {
                soft: settings.limits.soft.map(NonZeroU32::get),
                hard: settings.limits.hard.map(NonZeroU32::get),
            },
            in_flight: machines.iter().map(|machine| machine.in_flight).sum(),
            lingering: machines.iter().map(|machine| machine.lingering).sum(),
            reserve_in_use: machines.iter().map(|machine| machine.reserve_in_use).sum(),
            reserve_slots: settings.reserve_slots,
            queue_length: usage.queue_length,
            queue_depth_max: settings.queue_depth_max,
            queue_estimate_ms: usage.newcomer.map(milliseconds),
            retries: self.budget.spent.load(Ordering::Relaxed),
            retries_withheld: self.budget.withheld.load(Ordering::Relaxed),
            ejections: self.ejections.load(Ordering::Relaxed),
            machines,
            exchanges_total: 0,
            states: BTreeMap::new(),
            exchanges: Vec::new(),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
