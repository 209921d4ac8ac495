//! The rules, as a state machine without I/O. "Rule n" refers to docs/admission.md.

mod ledger;
mod waiting;

use std::collections::HashMap;
use std::num::NonZeroU32;

use crate::queue::{ClientKey, Queue};
pub use ledger::{Held, Released};

/// A machine of the service, given by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MachineKey(pub u32);

/// A place that is taken. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(u64);

/// An exchange that waits. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(crate) u64);

/// Limits of the service on each of its machines (rule 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// From here on a machine gets traffic only if all are at soft.
    pub soft: Option<NonZeroU32>,
    /// From here on a machine gets none.
    pub hard: Option<NonZeroU32>,
}

/// What a lingering connection does with its place (rule 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linger {
    /// Keeps it until it is closed.
    Hold,
    /// Gives it up when an exchange waits.
    Evict,
}

/// Everything a service's admission is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Per machine.
    pub limits: Limits,
    /// Whether lingering connections may be evicted.
    pub linger: Linger,
    /// The most exchanges that wait.
    pub queue_depth_max: usize,
    /// Places per machine for control calls, beside the limits (rule 5).
    pub reserve_slots: u32,
}

/// What kind of place an exchange needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A place under the limits.
    Ordinary,
    /// A short control call: a place of the reserve, or an ordinary one if the reserve is taken.
    Control,
}

/// How full a machine is (rule 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Below the soft limit.
    BelowSoft,
    /// At or above soft, below hard.
    SoftToHard,
    /// At or above hard.
    AtHard,
}

impl Level {
    /// The name in logs and APIs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BelowSoft => "below soft",
            Self::SoftToHard => "soft to hard",
            Self::AtHard => "at hard",
        }
    }
}

/// The answer to an exchange that wants to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has a place.
    Admitted {
        /// To be released once.
        lease: LeaseId,
        /// Where.
        machine: MachineKey,
    },
    /// It waits. If `evict` is there, that lingering connection is to be closed, and its place comes free.
    Queued {
        /// To be cancelled, or granted later.
        ticket: Ticket,
        /// A lease whose owner is to let go.
        evict: Option<LeaseId>,
    },
    /// It may not even wait: the queue is full.
    QueueFull,
}

/// What came free when a lease was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freed {
    /// A place under the limits of a machine that takes traffic.
    Place,
    /// Nothing for which anybody waits.
    Nothing,
}

/// One machine as admission sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineUsage {
    /// Which.
    pub machine: MachineKey,
    /// Whether it takes traffic at all.
    pub is_ready: bool,
    /// Places taken under the limits, lingering connections included.
    pub in_flight: u32,
    /// Of those, lingering connections.
    pub lingering: u32,
    /// Places of the reserve taken.
    pub reserve: u32,
    /// By the limits.
    pub level: Level,
}

#[derive(Debug, Default)]
struct Machine {
    key: MachineKey,
    is_ready: bool,
    in_flight: u32,
    lingering: u32,
    /// Of those, asked to let go.
    evicting: u32,
    reserve: u32,
    /// When it was last chosen, in choices: round robin among equals.
    chosen: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Busy,
    Lingering,
    /// Asked to let go.
    Evicting,
    Reserve,
}

#[derive(Debug)]
struct Lease<H> {
    machine: MachineKey,
    hold: Hold,
    holder: Option<H>,
}

/// Admission of one service. It knows who holds a place as whatever the caller says, 8 bytes of each lease where that is a
/// pointer; the arithmetic never looks at it.
#[derive(Debug)]
pub struct State<H = ()> {
    settings: Settings,
    machines: Vec<Machine>,
    leases: HashMap<LeaseId, Lease<H>>,
    /// Lingering leases, longest first: the order of eviction.
    lingering: std::collections::VecDeque<LeaseId>,
    queue: Queue,
    clients: HashMap<Ticket, ClientKey>,
    /// Of those who wait, the control calls, in the order of their coming: the reserve is for them.
    control: std::collections::VecDeque<Ticket>,
    next_id: u64,
    choices: u64,
}

impl<H> State<H> {
    /// A service without machines.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            machines: Vec::new(),
            leases: HashMap::new(),
            lingering: std::collections::VecDeque::new(),
            queue: Queue::default(),
            clients: HashMap::new(),
            control: std::collections::VecDeque::new(),
            next_id: 0,
            choices: 0,
        }
    }

    /// An exchange wants to start. Nobody overtakes those who wait.
    pub fn admit(&mut self, client: impl Into<ClientKey>, class: Class) -> Verdict {
        if class == Class::Control
            && let Some(machine) = self.choose_reserve()
        {
            return self.take(machine, Hold::Reserve);
        }
        if self.queue.len() == 0
            && let Some(machine) = self.choose()
        {
            return self.take(machine, Hold::Busy);
        }
        let evict = self.evict_one();
        if evict.is_none() && self.queue.len() >= self.settings.queue_depth_max + self.evicting() {
            return Verdict::QueueFull;
        }
        let ticket = Ticket(self.next());
        let client = client.into();
        self.queue.push(client, ticket);
        self.clients.insert(ticket, client);
        if class == Class::Control {
            self.control.push_back(ticket);
        }
        Verdict::Queued { ticket, evict }
    }

    /// An exchange wants to go on at this machine and no other. It does not wait, and overtakes nobody: while somebody
    /// waits, no machine has an ordinary place free.
    pub fn admit_at(&mut self, key: MachineKey, class: Class) -> Option<(LeaseId, MachineKey)> {
        let slots = self.settings.reserve_slots;
        let machine =
            self.machines.iter().find(|machine| machine.key == key && machine.is_ready)?;
        let hold = if class == Class::Control && machine.reserve < slots {
            Hold::Reserve
        } else if self.level(machine) != Level::AtHard {
            Hold::Busy
        } else {
            return None;
        };
        match self.take(key, hold) {
            Verdict::Admitted { lease, machine } => Some((lease, machine)),
            _ => unreachable!("a machine with a place was chosen"),
        }
    }

    /// The next exchange that waits gets a place, if there is one. To be called until None after every change.
    pub fn grant(&mut self) -> Option<(Ticket, LeaseId, MachineKey)> {
        if self.queue.len() == 0 {
            return None;
        }
        let (ticket, machine, hold) = match (self.control.front(), self.choose_reserve()) {
            (Some(ticket), Some(machine)) => (*ticket, machine, Hold::Reserve),
            _ => {
                let machine = self.choose()?;
                (self.queue.pop()?, machine, Hold::Busy)
            }
        };
        // Out of all that knows of it; one that was popped is in no line any more.
        self.cancel(ticket);
        let Verdict::Admitted { lease, machine } = self.take(machine, hold) else {
            unreachable!("a chosen machine has a place")
        };
        Some((ticket, lease, machine))
    }

    /// The next lingering connection to be closed because somebody waits for whom no place is about to come free. To be
    /// called until None after every change, after [`State::grant`].
    pub fn evict(&mut self) -> Option<LeaseId> {
        if self.queue.len() == 0 || self.queue.len() <= self.places_coming() {
            return None;
        }
        self.evict_one()
    }

    /// A waiting exchange leaves. False if it was not waiting any more: then it has been granted a place.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        let Some(client) = self.clients.remove(&ticket) else { return false };
        self.control.retain(|waiting| *waiting != ticket);
        self.queue.remove(client, ticket)
    }

    /// Says for whom a place is.
    pub fn hold(&mut self, id: LeaseId, holder: H) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.holder = Some(holder);
        }
    }

    /// The place is free again. A lease that is not out changes nothing, so that nothing is given back twice. Says whether
    /// somebody who waits could have it.
    pub fn release(&mut self, id: LeaseId) -> Released<H> {
        let Some(lease) = self.leases.remove(&id) else { return Released::WasNotOut };
        let machine = self.machine_mut(lease.machine);
        match lease.hold {
            Hold::Reserve => machine.reserve -= 1,
            Hold::Busy => machine.in_flight -= 1,
            Hold::Lingering => {
                machine.in_flight -= 1;
                machine.lingering -= 1;
                self.lingering.retain(|lingering| *lingering != id);
            }
            Hold::Evicting => {
                machine.in_flight -= 1;
                machine.lingering -= 1;
                machine.evicting -= 1;
            }
        }
        let is_free = |machine: &Machine| {
            machine.key == lease.machine && machine.is_ready && self.level(machine) != Level::AtHard
        };
        let has_place = lease.hold != Hold::Reserve && self.machines.iter().any(is_free);
        self.forget_gone_machines();
        let freed = if has_place { Freed::Place } else { Freed::Nothing };
        Released::Now { holder: lease.holder, freed }
    }

    /// The exchange is over, its connection lingers and keeps the place (rule 2). If someone waits and may evict it,
    /// the answer is the lease itself: let go at once.
    pub fn linger(&mut self, id: LeaseId) -> Option<LeaseId> {
        let lease = self.leases.get_mut(&id)?;
        if lease.hold != Hold::Busy {
            return None;
        }
        lease.hold = Hold::Lingering;
        let key = lease.machine;
        self.machine_mut(key).lingering += 1;
        self.lingering.push_back(id);
        if self.queue.len() > self.evicting() { self.evict_one() } else { None }
    }

    /// The machine takes traffic.
    pub fn machine_ready(&mut self, key: MachineKey) {
        if let Some(machine) = self.machines.iter_mut().find(|machine| machine.key == key) {
            machine.is_ready = true;
        } else {
            self.machines.push(Machine { key, is_ready: true, ..Machine::default() });
        }
    }

    /// The machine takes no more traffic. Leases on it stay out until their exchanges have noticed.
    pub fn machine_lost(&mut self, key: MachineKey) {
        if let Some(machine) = self.machines.iter_mut().find(|machine| machine.key == key) {
            machine.is_ready = false;
        }
        self.forget_gone_machines();
    }

    /// Other limits from now on. Exchanges in flight are never cut by this.
    pub fn set_limits(&mut self, limits: Limits) {
        self.settings.limits = limits;
    }

    /// How many exchanges wait.
    #[must_use]
    pub fn queue_length(&self) -> usize {
        self.queue.len()
    }

    /// How many leases are out: the other side of the ledger (rule 6).
    #[must_use]
    pub fn leases_out(&self) -> usize {
        self.leases.len()
    }

    /// Whether any machine takes traffic.
    #[must_use]
    pub fn has_ready_machine(&self) -> bool {
        self.machines.iter().any(|machine| machine.is_ready)
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Each machine's gauge.
    #[must_use]
    pub fn usage(&self) -> Vec<MachineUsage> {
        let usage = |machine: &Machine| MachineUsage {
            machine: machine.key,
            is_ready: machine.is_ready,
            in_flight: machine.in_flight,
            lingering: machine.lingering,
            reserve: machine.reserve,
            level: self.level(machine),
        };
        self.machines.iter().map(usage).collect()
    }

    /// Rule 3: the lowest level, then the fewest in flight, then round robin.
    fn choose(&mut self) -> Option<MachineKey> {
        let candidates = self.machines.iter().filter(|machine| machine.is_ready);
        let open = candidates.filter(|machine| self.level(machine) != Level::AtHard);
        let best =
            open.min_by_key(|machine| (self.level(machine), machine.in_flight, machine.chosen))?;
        let key = best.key;
        self.choices += 1;
        let choice = self.choices;
        self.machine_mut(key).chosen = choice;
        Some(key)
    }

    fn choose_reserve(&self) -> Option<MachineKey> {
        let slots = self.settings.reserve_slots;
        let free = |machine: &&Machine| machine.is_ready && machine.reserve < slots;
        let candidates = self.machines.iter().filter(free);
        candidates.min_by_key(|machine| machine.reserve).map(|machine| machine.key)
    }

    fn take(&mut self, key: MachineKey, hold: Hold) -> Verdict {
        let lease = LeaseId(self.next());
        self.leases.insert(lease, Lease { machine: key, hold, holder: None });
        let machine = self.machine_mut(key);
        match hold {
            Hold::Reserve => machine.reserve += 1,
            Hold::Busy | Hold::Lingering | Hold::Evicting => machine.in_flight += 1,
        }
        Verdict::Admitted { lease, machine: key }
    }

    /// Marks the longest lingering connection of a ready machine for eviction.
    fn evict_one(&mut self) -> Option<LeaseId> {
        if self.settings.linger == Linger::Hold {
            return None;
        }
        let is_useful = |id: &LeaseId| {
            let machine = self.leases[id].machine;
            self.machines.iter().any(|other| other.key == machine && other.is_ready)
        };
        let index = self.lingering.iter().position(is_useful)?;
        let id = self.lingering.remove(index)?;
        let lease = self.leases.get_mut(&id).expect("a lingering lease is out");
        lease.hold = Hold::Evicting;
        let key = lease.machine;
        self.machine_mut(key).evicting += 1;
        Some(id)
    }

    fn evicting(&self) -> usize {
        self.machines.iter().map(|machine| machine.evicting as usize).sum()
    }

    /// Places that are free for those who wait once every connection that was asked to close has closed.
    fn places_coming(&self) -> usize {
        let Some(hard) = self.settings.limits.hard else { return usize::MAX };
        let ready = self.machines.iter().filter(|machine| machine.is_ready);
        let coming = |machine: &Machine| {
            let staying = machine.in_flight - machine.evicting;
            hard.get().saturating_sub(staying) as usize
        };
        ready.map(coming).sum()
    }

    fn level(&self, machine: &Machine) -> Level {
        let Limits { soft, hard } = self.settings.limits;
        let reached =
            |limit: Option<NonZeroU32>| limit.is_some_and(|limit| machine.in_flight >= limit.get());
        if reached(hard) {
            Level::AtHard
        } else if reached(soft) {
            Level::SoftToHard
        } else {
            Level::BelowSoft
        }
    }

    fn forget_gone_machines(&mut self) {
        self.machines
            .retain(|machine| machine.is_ready || machine.in_flight > 0 || machine.reserve > 0);
    }

    fn machine_mut(&mut self, key: MachineKey) -> &mut Machine {
        let mut machines = self.machines.iter_mut();
        machines.find(|machine| machine.key == key).expect("a machine with leases is kept")
    }

    fn next(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}
