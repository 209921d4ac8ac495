//! One load against one variant, by discrete events in virtual time, over the gateway's own admission.
//!
//! What is simulated is what the gateway does around that state machine: the deadline of the queue, connections that linger
//! and are evicted, and people who leave or try again. Connecting takes no time, and no machine fails.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use outlast_admission::{Class, ClientKey, LeaseId, MachineKey, Released, State, Ticket, Verdict};
use outlast_config::Accounting;
use outlast_runtime::random::Seeded;

use super::load::{Behaviour, Load, Retry, User};
use super::run::{FirstRefusal, Run};
use super::variant::Variant;

/// Attempts of one run: with a million users, twenty each.
const ATTEMPTS_MAX: u64 = 20_000_000;
/// As the gateway does: an eviction is waited for even where nobody may wait (see admission's handle).
const EVICTION_WAIT: Duration = Duration::from_secs(1);

/// When a run is not worth going on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Enough {
    /// More attempts than that came to nothing, which decides the question.
    pub(super) lost: u64,
}

impl Enough {
    /// Every event counts.
    pub(super) const NEVER: Self = Self { lost: u64::MAX };
}

/// Moments are nanoseconds from the start: 584 years fit.
type Moment = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// An exchange is over.
    End { user: u32, machine: u32, lease: LeaseId },
    /// The queue's deadline, or the client's own.
    NoLonger { ticket: Ticket },
    /// Somebody who was refused tries again.
    Again { user: u32 },
}

/// One who waits.
#[derive(Debug, Clone, Copy)]
struct Waiter {
    user: u32,
    since: Moment,
    /// Who ends the wait if no place comes free.
    ends_by: EndsBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndsBy {
    Deadline,
    Impatience,
}

/// Why somebody has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Limit,
    QueueFull,
    Deadline,
}

struct Sim<'l> {
    load: &'l Load,
    variant: &'l Variant,
    seed: u64,
    /// Of each lingering lease it holds the machine.
    state: State<MachineKey>,
    now: Moment,
    /// Events in the order of time, then of their making.
    events: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    made: u64,
    /// When connections that linger close: all linger for as long, so that they do so in the order of their ends.
    closings: VecDeque<(Moment, u64, LeaseId)>,
    waiting: HashMap<Ticket, Waiter>,
    /// How often each user was refused.
    refusals: Vec<u32>,
    /// Places taken, and streams open, on each machine.
    taken: Vec<u32>,
    open: Vec<u32>,
    all_taken: usize,
    all_open: usize,
    run: Run,
}

/// Replays `load` against `variant`. The same seed gives the same run.
pub(super) fn simulate(load: &Load, variant: &Variant, seed: u64, enough: Enough) -> Run {
    let machines = variant.machines.get();
    let mut state = State::new(variant.settings);
    for key in 0..machines {
        state.machine_ready(MachineKey(key));
    }
    let mut sim = Sim {
        load,
        variant,
        seed,
        state,
        now: 0,
        events: BinaryHeap::new(),
        made: 0,
        closings: VecDeque::new(),
        waiting: HashMap::new(),
        refusals: vec![0; load.users.len()],
        taken: vec![0; machines as usize],
        open: vec![0; machines as usize],
        all_taken: 0,
        all_open: 0,
        run: Run::default(),
    };
    sim.play(enough);
    sim.run.ended = Duration::from_nanos(sim.now);
    sim.run
}

impl Sim<'_> {
    fn play(&mut self, enough: Enough) {
        let mut next = 0;
        loop {
            let arrival = self.load.users.get(next).map(|user| moment(user.at));
            let event = self.events.peek().map(|Reverse((at, made, _))| (*at, *made));
            let closing = self.closings.front().map(|(at, made, _)| (*at, *made));
            let is_closing = closing.is_some() && event.is_none_or(|event| closing < Some(event));
            let first = if is_closing { closing } else { event };
            // What ends at the moment of an arrival has ended before it.
            if let Some(at) = arrival
                && first.is_none_or(|(first, _)| at < first)
            {
                self.now = at;
                self.attempt(u32::try_from(next).expect("USERS_MAX fits"));
                next += 1;
            } else if is_closing && let Some((at, _, lease)) = self.closings.pop_front() {
                self.now = at;
                self.close(lease);
                self.settle();
            } else if let Some(Reverse((at, _, event))) = self.events.pop() {
                self.now = at;
                self.happens(event);
            } else {
                return;
            }
            if self.run.lost() > enough.lost || self.run.attempts >= ATTEMPTS_MAX {
                self.run.is_cut = true;
                return;
            }
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::End { user, machine, lease } => self.end(user, machine, lease),
            Event::NoLonger { ticket } => self.no_longer(ticket),
            Event::Again { user } => self.attempt(user),
        }
    }

    fn attempt(&mut self, user: u32) {
        self.run.attempts += 1;
        self.run.find(self.all_taken);
        let User { client, class, .. } = *self.user(user);
        match self.state.admit(ClientKey::named(client), class) {
            Verdict::Admitted { lease, machine } => self.start(user, lease, machine),
            Verdict::QueueFull if self.variant.queue_timeout.is_zero() => {
                self.refuse(user, Why::Limit);
            }
            Verdict::QueueFull => self.refuse(user, Why::QueueFull),
            Verdict::Queued { ticket, evict } => self.queue(user, ticket, evict),
        }
    }

    fn queue(&mut self, user: u32, ticket: Ticket, evict: Option<LeaseId>) {
        let timeout = match evict {
            Some(_) => self.variant.queue_timeout.max(EVICTION_WAIT),
            None => self.variant.queue_timeout,
        };
        if timeout.is_zero() {
            self.state.cancel(ticket);
            return self.refuse(user, Why::Limit);
        }
        let patience = self.behaviour(user).patience.map(|patience| {
            patience
                .draw(&mut self.chance(user, u64::MAX - u64::from(self.refusals[user as usize])))
        });
        let (wait, ends_by) = match patience.filter(|patience| *patience < timeout) {
            Some(patience) => (patience, EndsBy::Impatience),
            None => (timeout, EndsBy::Deadline),
        };
        self.run.queued += 1;
        self.waiting.insert(ticket, Waiter { user, since: self.now, ends_by });
        self.run.queue_max = self.run.queue_max.max(self.state.queue_length());
        self.after(wait, Event::NoLonger { ticket });
        if let Some(lease) = evict {
            self.close(lease);
            self.settle();
        }
    }

    /// The wait is over, if it was not before.
    fn no_longer(&mut self, ticket: Ticket) {
        if !self.state.cancel(ticket) {
            return;
        }
        let Some(waiter) = self.waiting.remove(&ticket) else { return };
        match waiter.ends_by {
            EndsBy::Deadline => self.refuse(waiter.user, Why::Deadline),
            EndsBy::Impatience => self.run.left += 1,
        }
    }

    fn start(&mut self, user: u32, lease: LeaseId, machine: MachineKey) {
        let User { at, holding, .. } = *self.user(user);
        let waited = self.now - moment(at);
        self.run.served += 1;
        if waited > 0 {
            self.run.waits.push(Duration::from_nanos(waited));
        }
        let index = machine.0 as usize;
        self.taken[index] += 1;
        self.open[index] += 1;
        self.all_taken += 1;
        self.all_open += 1;
        self.run.peak = self.run.peak.max(self.all_taken);
        self.run.peak_open = self.run.peak_open.max(self.all_open);
        self.run.machine_peak = self.run.machine_peak.max(self.taken[index]);
        self.run.machine_peak_open = self.run.machine_peak_open.max(self.open[index]);
        self.after(holding, Event::End { user, machine: machine.0, lease });
    }

    fn end(&mut self, user: u32, machine: u32, lease: LeaseId) {
        self.open[machine as usize] -= 1;
        self.all_open -= 1;
        let is_ordinary = self.user(user).class == Class::Ordinary;
        if self.variant.accounting == Accounting::Connections && is_ordinary {
            self.state.hold(lease, MachineKey(machine));
            match self.state.linger(lease) {
                Some(evicted) => self.close(evicted),
                None => {
                    self.made += 1;
                    let at = self.now.saturating_add(moment(self.variant.idle_timeout));
                    self.closings.push_back((at, self.made, lease));
                }
            }
        } else {
            let _freed: Released<_> = self.state.release(lease);
            self.taken[machine as usize] -= 1;
            self.all_taken -= 1;
        }
        self.settle();
    }

    /// A lingering connection closes; one that was evicted is closed already.
    fn close(&mut self, lease: LeaseId) {
        if let Released::Now { holder: Some(machine), .. } = self.state.release(lease) {
            self.taken[machine.0 as usize] -= 1;
            self.all_taken -= 1;
        }
    }

    /// Those who wait get what came free.
    fn settle(&mut self) {
        loop {
            while let Some((ticket, lease, machine)) = self.state.grant() {
                let waiter = self.waiting.remove(&ticket).expect("who was granted a place waited");
                self.run.queue_waits.push(Duration::from_nanos(self.now - waiter.since));
                self.start(waiter.user, lease, machine);
            }
            match self.state.evict() {
                Some(lease) => self.close(lease),
                None => return,
            }
        }
    }

    fn refuse(&mut self, user: u32, why: Why) {
        match why {
            Why::Limit => self.run.refused_by_limit += 1,
            Why::QueueFull => self.run.refused_by_full_queue += 1,
            Why::Deadline => self.run.refused_by_deadline += 1,
        }
        let (at, open) = (Duration::from_nanos(self.now), self.all_open);
        self.run.first_refusal.get_or_insert(FirstRefusal { at, open });
        let refusals = self.refusals[user as usize];
        self.refusals[user as usize] += 1;
        match self.behaviour(user).retry {
            Retry::Again { wait, times, at_least } if refusals < times => {
                let wait = wait.draw(&mut self.chance(user, u64::from(refusals)));
                self.after(wait.max(at_least), Event::Again { user });
            }
            _ => self.run.turned_away += 1,
        }
    }

    fn user(&self, user: u32) -> &User {
        &self.load.users[user as usize]
    }

    fn behaviour(&self, user: u32) -> Behaviour {
        self.load.groups[usize::from(self.user(user).group)]
    }

    /// Each user has its own sequence, so that it draws the same whatever the variant does to others.
    fn chance(&self, user: u32, which: u64) -> Seeded {
        let user = Seeded::new(self.seed ^ u64::from(user)).number();
        Seeded::new(user ^ which)
    }

    fn after(&mut self, wait: Duration, event: Event) {
        self.made += 1;
        let at = self.now.saturating_add(moment(wait));
        self.events.push(Reverse((at, self.made, event)));
    }
}

fn moment(duration: Duration) -> Moment {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
