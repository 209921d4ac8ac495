//! The async handle: permits that give their place back when dropped, and waits with a deadline.

#[cfg(all(test, shuttle))]
mod model;

mod ledger;

pub use ledger::Ledger;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use outlast_runtime::clock;
use tokio::sync::{Notify, oneshot};

use crate::queue::ClientKey;
use crate::state::{
    Class, Freed, LeaseId, Limits, MachineKey, MachineUsage, Settings, State, Ticket, Verdict,
};
use crate::sync::{Mutex, MutexGuard};
use crate::turnover::Turnover;
use crate::waiters::{Holder, QueueView, Waiter, estimate};

/// An eviction is a close and takes microseconds; who waits for one may wait so long even where `queue.timeout` is zero.
const EVICTION_WAIT: Duration = Duration::from_secs(1);

/// Why an exchange was not admitted (rule 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// All machines are at their hard limit, and nobody may wait (`queue.timeout` is zero).
    Limit,
    /// All machines are at their hard limit, and too many wait already.
    QueueFull,
    /// It waited, and no place came free in time.
    QueueDeadline {
        /// How long.
        waited: Duration,
    },
    /// No machine takes traffic.
    NoneHealthy {
        /// How long it waited for one.
        waited: Duration,
    },
    /// The process takes no new exchanges.
    Draining,
}

/// Admission of one service, which remembers of each place and each who waits for whom it is, as an `H`. Clones share it.
#[derive(Debug)]
pub struct Admission<H = ()>(Arc<Shared<H>>);

#[derive(Debug)]
struct Shared<H> {
    inner: Mutex<Inner<H>>,
    queue_timeout: Duration,
}

#[derive(Debug)]
struct Inner<H> {
    state: State<H>,
    gate: Gate,
    waiting: HashMap<Ticket, Waiter<H>>,
    lingering: HashMap<LeaseId, Arc<Notify>>,
    turnover: Turnover,
    /// Permits that exist, counted where they are made and dropped: the ledger's other column (rule 6).
    permits_out: usize,
    /// Permits that exist and are not counted any more: whatever they stood for was taken back.
    written_off: usize,
    released_twice: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Closed,
}

/// A place under a limit, held until dropped. It lives until the last byte of the response body, or in `connections`
/// accounting until the upstream connection is closed.
#[derive(Debug)]
#[must_use = "dropping a permit gives its place back"]
pub struct Permit<H = ()> {
    shared: Arc<Shared<H>>,
    lease: LeaseId,
    machine: MachineKey,
}

/// A consistent look at a service's places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Each machine's gauge.
    pub machines: Vec<MachineUsage>,
    /// How many exchanges wait.
    pub queue_length: usize,
    /// How long one more client would have to wait for a place; zero if one is free, None if that is not known or it may not
    /// wait.
    pub newcomer: Option<Duration>,
    /// The settings in force.
    pub settings: Settings,
}

impl<H> Clone for Admission<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H> Admission<H> {
    /// Admission without machines. An exchange waits at most `queue_timeout`; zero refuses at once.
    #[must_use]
    pub fn new(settings: Settings, queue_timeout: Duration) -> Self {
        let inner = Inner {
            state: State::new(settings),
            gate: Gate::Open,
            waiting: HashMap::new(),
            lingering: HashMap::new(),
            turnover: Turnover::default(),
            permits_out: 0,
            written_off: 0,
            released_twice: 0,
        };
        Self(Arc::new(Shared { inner: Mutex::new(inner), queue_timeout }))
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`Refusal`] says why there is none.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue; a place granted at that moment goes to the next who waits.
    pub async fn admit(
        &self,
        client: impl Into<ClientKey>,
        class: Class,
        holder: H,
    ) -> Result<Permit<H>, Refusal> {
        match self.attempt(client, class, holder) {
            Attempt::Admitted(permit) => Ok(permit),
            Attempt::Refused(refusal) => Err(refusal),
            Attempt::Waiting(waiting) => waiting.wait().await,
        }
    }

    /// The decision at this moment; who may wait does so by [`Waiting::wait`].
    pub fn attempt(&self, client: impl Into<ClientKey>, class: Class, holder: H) -> Attempt<H> {
        let mut inner = self.0.lock();
        if inner.gate == Gate::Closed {
            return Attempt::Refused(Refusal::Draining);
        }
        match inner.state.admit(client, class) {
            Verdict::Admitted { lease, machine } => {
                inner.changed(Freed::Nothing);
                Attempt::Admitted(Permit::new(&self.0, &mut inner, lease, machine, holder))
            }
            Verdict::QueueFull => Attempt::Refused(self.0.refusal_at_once(&inner.state)),
            Verdict::Queued { ticket, evict } => {
                let timeout = match evict {
                    Some(_) => self.0.queue_timeout.max(EVICTION_WAIT),
                    None => self.0.queue_timeout,
                };
                if timeout.is_zero() {
                    inner.state.cancel(ticket);
                    return Attempt::Refused(self.0.refusal_at_once(&inner.state));
                }
                if let Some(lease) = evict {
                    inner.evict(lease);
                }
                let (sender, receiver) = oneshot::channel();
                let (since, owner) = (clock::now(), holder);
                let waiter = Waiter { sender, owner, since, timeout, holder: None };
                inner.waiting.insert(ticket, waiter);
                drop(inner);
                let place = InQueue { shared: Arc::clone(&self.0), ticket };
                Attempt::Waiting(Box::new(Waiting { place, receiver, timeout }))
            }
        }
    }

    /// A place at this machine and no other, for an exchange that another machine sends there. It does not wait.
    ///
    /// # Errors
    /// The machine takes no traffic, is at its hard limit, or the process drains.
    pub fn attempt_at(
        &self,
        machine: MachineKey,
        class: Class,
        holder: H,
    ) -> Result<Permit<H>, Refusal> {
        let mut inner = self.0.lock();
        if inner.gate == Gate::Closed {
            return Err(Refusal::Draining);
        }
        let admitted = inner.state.admit_at(machine, class);
        inner.changed(Freed::Nothing);
        let is_ready =
            inner.state.usage().iter().any(|usage| usage.machine == machine && usage.is_ready);
        match admitted {
            Some((lease, machine)) => Ok(Permit::new(&self.0, &mut inner, lease, machine, holder)),
            None if is_ready => Err(Refusal::Limit),
            None => Err(Refusal::NoneHealthy { waited: Duration::ZERO }),
        }
    }

    /// The machine takes traffic: those who wait may go there.
    pub fn machine_ready(&self, machine: MachineKey) {
        self.0.change(|inner| {
            inner.state.machine_ready(machine);
            (Freed::Nothing, ())
        });
    }

    /// The machine takes no more traffic.
    pub fn machine_lost(&self, machine: MachineKey) {
        self.0.change(|inner| {
            inner.state.machine_lost(machine);
            (Freed::Nothing, ())
        });
    }

    /// Other limits from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.0.change(|inner| {
            inner.state.set_limits(limits);
            (Freed::Nothing, ())
        });
    }

    /// Admits nothing more: those who wait are refused at once, permits stay out until dropped.
    pub fn drain(&self) {
        let waiting = {
            let mut inner = self.0.lock();
            inner.gate = Gate::Closed;
            std::mem::take(&mut inner.waiting)
        };
        // Outside the lock: a dropped sender wakes its waiter, which then leaves the queue.
        drop(waiting);
    }

    /// A consistent look at all places.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let inner = self.0.lock();
        Usage {
            machines: inner.state.usage(),
            queue_length: inner.state.queue_length(),
            newcomer: self.0.newcomer(&inner),
            settings: inner.state.settings(),
        }
    }

    /// Who waits, in order. Walks the queue once.
    #[must_use]
    pub fn queue(&self) -> QueueView {
        let inner = self.0.lock();
        QueueView::new(&inner.state, &inner.waiting, &inner.turnover)
    }
}

/// The decision about one exchange.
#[derive(Debug)]
#[must_use = "dropping it leaves the queue, or gives the place back"]
pub enum Attempt<H = ()> {
    /// It may start.
    Admitted(Permit<H>),
    /// It may not.
    Refused(Refusal),
    /// It may wait.
    Waiting(Box<Waiting<H>>),
}

/// An exchange in the queue; dropping it leaves the queue.
#[derive(Debug)]
pub struct Waiting<H = ()> {
    place: InQueue<H>,
    receiver: oneshot::Receiver<Permit<H>>,
    timeout: Duration,
}

/// A place in the queue, left when dropped.
#[derive(Debug)]
struct InQueue<H> {
    shared: Arc<Shared<H>>,
    ticket: Ticket,
}

impl<H> Waiting<H> {
    /// Tells who waits, for [`Admission::queue`].
    pub fn held_by(&self, holder: Holder) {
        let mut inner = self.place.shared.lock();
        if let Some(waiter) = inner.waiting.get_mut(&self.place.ticket) {
            waiter.holder = Some(holder);
        }
    }

    /// Waits for the place.
    ///
    /// # Errors
    /// The deadline passed, or the process drains.
    ///
    /// # Cancel safety
    /// As [`Admission::admit`].
    pub async fn wait(mut self: Box<Self>) -> Result<Permit<H>, Refusal> {
        let start = clock::now();
        match clock::timeout(self.timeout, &mut self.receiver).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_closed)) => Err(Refusal::Draining),
            Err(_elapsed) => self.give_up(start.elapsed()),
        }
    }

    /// The deadline has passed. A place granted between it and now is used, not lost.
    fn give_up(mut self, waited: Duration) -> Result<Permit<H>, Refusal> {
        if let Ok(permit) = self.receiver.try_recv() {
            return Ok(permit);
        }
        let has_machine = self.place.shared.lock().state.has_ready_machine();
        Err(if has_machine {
            Refusal::QueueDeadline { waited }
        } else {
            Refusal::NoneHealthy { waited }
        })
    }
}

impl<H> Drop for InQueue<H> {
    fn drop(&mut self) {
        let sender = {
            let mut inner = self.shared.lock();
            inner.state.cancel(self.ticket);
            inner.waiting.remove(&self.ticket)
        };
        drop(sender);
    }
}

impl<H> Permit<H> {
    fn new(
        shared: &Arc<Shared<H>>,
        inner: &mut Inner<H>,
        lease: LeaseId,
        machine: MachineKey,
        holder: H,
    ) -> Self {
        inner.state.hold(lease, holder);
        inner.permits_out += 1;
        Self { shared: Arc::clone(shared), lease, machine }
    }

    /// The machine on which the place is.
    #[must_use]
    pub fn machine(&self) -> MachineKey {
        self.machine
    }

    /// The exchange is over and its connection lingers with the place (rule 2). The notification says that an exchange
    /// waits for it: close the connection, then drop the permit.
    #[must_use]
    pub fn linger(&self) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        let mut inner = self.shared.lock();
        inner.lingering.insert(self.lease, Arc::clone(&notify));
        if let Some(lease) = inner.state.linger(self.lease) {
            inner.evict(lease);
        }
        notify
    }
}

impl<H> Drop for Permit<H> {
    fn drop(&mut self) {
        let lease = self.lease;
        // The holder is dropped outside the lock.
        drop(self.shared.change(|inner| {
            inner.lingering.remove(&lease);
            let released = inner.state.release(lease);
            inner.returned(&released);
            (released.freed(), released)
        }));
    }
}

impl<H> Shared<H> {
    fn lock(&self) -> MutexGuard<'_, Inner<H>> {
        self.inner.lock().expect("no code panics while it holds the lock")
    }

    /// Makes a change, then hands out every place that came free, and asks lingering connections for more. Permits are
    /// sent outside the lock: one that nobody receives any more is dropped, which comes back here.
    fn change<R>(self: &Arc<Self>, change: impl FnOnce(&mut Inner<H>) -> (Freed, R)) -> R {
        let mut inner = self.lock();
        let (freed, changed) = change(&mut inner);
        inner.changed(freed);
        while let Some((ticket, lease, machine)) = inner.state.grant() {
            let Some(waiter) = inner.waiting.remove(&ticket) else {
                // A drain has refused it, and it has not left yet. Nobody held the place.
                drop(inner.state.release(lease));
                continue;
            };
            inner.changed(Freed::Nothing);
            let permit = Permit::new(self, &mut inner, lease, machine, waiter.owner);
            drop(inner);
            // Err gives the permit back, and dropping it frees the place again.
            drop(waiter.sender.send(permit));
            inner = self.lock();
        }
        while let Some(lease) = inner.state.evict() {
            inner.evict(lease);
        }
        changed
    }

    fn newcomer(&self, inner: &Inner<H>) -> Option<Duration> {
        let state = &inner.state;
        if inner.gate == Gate::Closed || !state.has_ready_machine() {
            return None;
        }
        if !state.is_full() && state.queue_length() == 0 {
            return Some(Duration::ZERO);
        }
        let may_wait = !self.queue_timeout.is_zero()
            && state.queue_length() < state.settings().queue_depth_max;
        let position = state.clients_waiting() + 1;
        estimate(inner.turnover.gap(), position).filter(|_| may_wait)
    }

    fn refusal_at_once(&self, state: &State<H>) -> Refusal {
        if !state.has_ready_machine() {
            Refusal::NoneHealthy { waited: Duration::ZERO }
        } else if self.queue_timeout.is_zero() {
            Refusal::Limit
        } else {
            Refusal::QueueFull
        }
    }
}

impl<H> Inner<H> {
    fn changed(&mut self, freed: Freed) {
        self.turnover.changed(self.state.is_full(), freed);
    }

    fn evict(&mut self, lease: LeaseId) {
        if let Some(notify) = self.lingering.get(&lease) {
            notify.notify_one();
        }
    }
}
