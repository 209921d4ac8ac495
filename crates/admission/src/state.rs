//! The rules, as a state machine without I/O. "Rule n" refers to docs/admission.md.

mod ledger;
mod machines;
mod numbered;
mod waiting;

use std::num::NonZeroU32;

use crate::queue::{ClientKey, Queue};
pub use ledger::{Held, Released};
use machines::{Machine, Machines, Slot};
use numbered::Numbered;

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
    machine: Slot,
    hold: Hold,
    holder: Option<H>,
}

/// Admission of one service. It knows who holds a place as whatever the caller says, 8 bytes of each lease where that is a
/// pointer; the arithmetic never looks at it.
#[derive(Debug)]
pub struct State<H = ()> {
    settings: Settings,
    machines: Machines,
    leases: Numbered<LeaseId, Lease<H>>,
    /// Lingering leases, longest first: the order of eviction.
    lingering: std::collections::VecDeque<LeaseId>,
    queue: Queue,
    clients: Numbered<Ticket, ClientKey>,
    /// Of those who wait, the control calls, in the order of their coming: the reserve is for them.
    control: std::collections::VecDeque<Ticket>,
    next_id: u64,
}

impl<H> State<H> {
    /// A service without machines.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            machines: Machines::default(),
            leases: Numbered::default(),
            lingering: std::collections::VecDeque::new(),
            queue: Queue::default(),
            clients: Numbered::default(),
            control: std::collections::VecDeque::new(),
            next_id: 0,
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
        if evict.is_none()
            && self.queue.len() >= self.settings.queue_depth_max + self.machines.evicting()
        {
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
        let slot = self.machines.find(key)?;
        let machine = self.machines.get(slot);
        if !machine.is_ready {
            return None;
        }
        let has_reserve = machine.gauges.reserve < self.settings.reserve_slots;
        let hold = if class == Class::Control && has_reserve {
            Hold::Reserve
        } else if self.level(machine) != Level::AtHard {
            Hold::Busy
        } else {
            return None;
        };
        match self.take(slot, hold) {
            Verdict::Admitted { lease, machine } => Some((lease, machine)),
            _ => unreachable!("a machine with a place was chosen"),
        }
    }

    /// The next exchange that waits gets a place, if there is one. To be called until None after every change.
    pub fn grant(&mut self) -> Option<(Ticket, LeaseId, MachineKey)> {
        if self.queue.len() == 0 {
            return None;
        }
        let reserved =
            self.control.front().copied().and_then(|ticket| Some((ticket, self.choose_reserve()?)));
        let (ticket, machine, hold) = match reserved {
            Some((ticket, machine)) => {
                self.cancel(ticket);
                (ticket, machine, Hold::Reserve)
            }
            None => {
                let machine = self.choose()?;
                let ticket = self.queue.pop()?;
                // It is in no line any more, and a long line is not searched for it.
                self.forget(ticket);
                (ticket, machine, Hold::Busy)
            }
        };
        let Verdict::Admitted { lease, machine } = self.take(machine, hold) else {
            unreachable!("a chosen machine has a place")
        };
        Some((ticket, lease, machine))
    }

    /// The next lingering connection to be closed because somebody waits for whom no place is about to come free. To be
    /// called until None after every change, after [`State::grant`].
    pub fn evict(&mut self) -> Option<LeaseId> {
        let is_of_use = self.queue.len() > 0 && !self.lingering.is_empty();
        if !is_of_use || self.queue.len() <= self.places_coming() {
            return None;
        }
        self.evict_one()
    }

    /// A waiting exchange leaves. False if it was not waiting any more: then it has been granted a place.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        self.forget(ticket).is_some_and(|client| self.queue.remove(client, ticket))
    }

    /// Out of all but the queue; whose it was, if it waited.
    fn forget(&mut self, ticket: Ticket) -> Option<ClientKey> {
        let client = self.clients.remove(&ticket)?;
        self.control.retain(|waiting| *waiting != ticket);
        Some(client)
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
        if lease.hold == Hold::Lingering {
            self.forget_lingering(id);
        }
        self.machines.change(lease.machine, |gauges| match lease.hold {
            Hold::Reserve => gauges.reserve -= 1,
            Hold::Busy => gauges.in_flight -= 1,
            Hold::Lingering => {
                gauges.in_flight -= 1;
                gauges.lingering -= 1;
            }
            Hold::Evicting => {
                gauges.in_flight -= 1;
                gauges.lingering -= 1;
                gauges.evicting -= 1;
            }
        });
        let machine = self.machines.get(lease.machine);
        let has_place =
            lease.hold != Hold::Reserve && machine.is_ready && self.level(machine) != Level::AtHard;
        self.machines.forget_if_gone(lease.machine);
        let freed = if has_place { Freed::Place } else { Freed::Nothing };
        Released::Now { holder: lease.holder, freed }
    }

    /// Most that stop to linger have done so for longest.
    fn forget_lingering(&mut self, id: LeaseId) {
        if let Some(index) = self.lingering.iter().position(|lingering| *lingering == id) {
            self.lingering.remove(index);
        }
    }

    /// The exchange is over, its connection lingers and keeps the place (rule 2). If someone waits and may evict it,
    /// the answer is the lease itself: let go at once.
    pub fn linger(&mut self, id: LeaseId) -> Option<LeaseId> {
        let lease = self.leases.get_mut(&id)?;
        if lease.hold != Hold::Busy {
            return None;
        }
        lease.hold = Hold::Lingering;
        let slot = lease.machine;
        self.machines.change(slot, |gauges| gauges.lingering += 1);
        self.lingering.push_back(id);
        if self.queue.len() > self.machines.evicting() { self.evict_one() } else { None }
    }

    /// The machine takes traffic.
    pub fn machine_ready(&mut self, key: MachineKey) {
        self.machines.add(key);
    }

    /// The machine takes no more traffic. Leases on it stay out until their exchanges have noticed.
    pub fn machine_lost(&mut self, key: MachineKey) {
        self.machines.remove(key);
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
        self.machines.first().is_some()
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
            in_flight: machine.gauges.in_flight,
            lingering: machine.gauges.lingering,
            reserve: machine.gauges.reserve,
            level: self.level(machine),
        };
        self.machines.all().into_iter().map(usage).collect()
    }

    /// Rule 3: the lowest level, then the fewest in flight, then round robin.
    fn choose(&mut self) -> Option<Slot> {
        let slot = self.machines.first()?;
        if self.level(self.machines.get(slot)) == Level::AtHard {
            return None;
        }
        self.machines.chosen(slot);
        Some(slot)
    }

    fn choose_reserve(&self) -> Option<Slot> {
        let slots = self.settings.reserve_slots;
        let free =
            |(_, machine): &(Slot, &Machine)| machine.is_ready && machine.gauges.reserve < slots;
        let candidates = self.machines.slots().filter(free);
        let least = candidates.min_by_key(|(_, machine)| (machine.gauges.reserve, machine.came()));
        least.map(|(slot, _)| slot)
    }

    fn take(&mut self, slot: Slot, hold: Hold) -> Verdict {
        let lease = LeaseId(self.next());
        self.leases.insert(lease, Lease { machine: slot, hold, holder: None });
        self.machines.change(slot, |gauges| match hold {
            Hold::Reserve => gauges.reserve += 1,
            Hold::Busy | Hold::Lingering | Hold::Evicting => gauges.in_flight += 1,
        });
        Verdict::Admitted { lease, machine: self.machines.get(slot).key }
    }

    /// Marks the longest lingering connection of a ready machine for eviction.
    fn evict_one(&mut self) -> Option<LeaseId> {
        if self.settings.linger == Linger::Hold {
            return None;
        }
        let is_useful = |id: &LeaseId| self.machines.get(self.leases[id].machine).is_ready;
        let index = self.lingering.iter().position(is_useful)?;
        let id = self.lingering.remove(index)?;
        let lease = self.leases.get_mut(&id).expect("a lingering lease is out");
        lease.hold = Hold::Evicting;
        let slot = lease.machine;
        self.machines.change(slot, |gauges| gauges.evicting += 1);
        Some(id)
    }

    /// Places that are free for those who wait once every connection that was asked to close has closed.
    fn places_coming(&self) -> usize {
        let Some(hard) = self.settings.limits.hard else { return usize::MAX };
        let coming = |machine: &Machine| {
            let staying = machine.gauges.in_flight - machine.gauges.evicting;
            hard.get().saturating_sub(staying) as usize
        };
        self.machines.ready().map(coming).sum()
    }

    fn level(&self, machine: &Machine) -> Level {
        let Limits { soft, hard } = self.settings.limits;
        let reached = |limit: Option<NonZeroU32>| {
            limit.is_some_and(|limit| machine.gauges.in_flight >= limit.get())
        };
        if reached(hard) {
            Level::AtHard
        } else if reached(soft) {
            Level::SoftToHard
        } else {
            Level::BelowSoft
        }
    }

    fn next(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}
