//! Retries: an exchange whose machine took no byte of it, because there is no connection, goes to another machine.
//!
//! Within a budget, so that a service whose machines fail is not asked twice as often as before. It is that of Finagle and
//! Linkerd: a share of the exchanges of the last ten seconds, and a few more.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlast_admission::{Class, MachineKey};
use outlast_config::Retry;
use outlast_observe::{MachineSlot, Record};
use outlast_runtime::clock::{self, Instant};

use crate::gateway::Lane;
use crate::machine::Fault;
use crate::service::Permit;
use crate::upstream::{ConnectError, Dispatch};

/// So many machines an exchange is led to at most.
const MACHINES_MAX: usize = 3;

/// What is recent: so many seconds, each with counts of its own.
const SECONDS: usize = 10;

/// Connects to the permit's machine, or to another one.
///
/// Cancel safety: dropping the future closes the socket and gives the place back.
pub(crate) async fn connect(
    lane: &Lane,
    record: &Arc<Record>,
    permit: Permit,
    class: Class,
    timeout: Duration,
) -> Result<Dispatch, ConnectError> {
    let (service, mut tried, mut permit) = (&lane.service, Vec::new(), permit);
    loop {
        let machine = permit.machine();
        let error = match Dispatch::connect(service, permit, timeout, record).await {
            Ok(dispatch) => return Ok(dispatch),
            Err(error) => error,
        };
        let Some(fault) = fault(&error) else { return Err(error) };
        service.failed(machine, fault);
        tried.push(machine);
        let Some(other) = elsewhere(lane, record, &tried, class) else { return Err(error) };
        tracing::debug!(request_id = %record.id(), ?error, "the exchange goes to another machine");
        record.dispatched(MachineSlot(other.machine().0));
        permit = other;
    }
}

/// What the machine did wrong. None: it was not the machine.
pub(crate) fn fault(error: &ConnectError) -> Option<Fault> {
    match error {
        ConnectError::Refused(_) => Some(Fault::Refused),
        ConnectError::TimedOut => Some(Fault::ConnectTimedOut),
        ConnectError::Shortage(_) => None,
    }
}

/// A place at a machine that was not tried, if one has a place now and the budget allows it.
fn elsewhere(
    lane: &Lane,
    record: &Arc<Record>,
    tried: &[MachineKey],
    class: Class,
) -> Option<Permit> {
    let service = &lane.service;
    if tried.len() >= MACHINES_MAX {
        return None;
    }
    let mut others = service.admission.usage().machines;
    others.retain(|usage| usage.is_ready && !tried.contains(&usage.machine));
    others.sort_by_key(|usage| (usage.level, usage.in_flight));
    let place = |machine| service.admission.attempt_at(machine, class, Arc::clone(record));
    let mut places = others.iter().map(|usage| place(usage.machine));
    let permit = places.find_map(Result::ok)?;
    service.budget.spend().then_some(permit)
}

/// How many retries there may be.
#[derive(Debug)]
pub(crate) struct Budget {
    settings: Retry,
    start: Instant,
    seconds: [Second; SECONDS],
    /// One at a time adds up and decides.
    deciding: Mutex<()>,
    /// Exchanges that went to another machine, and those that could have but for the budget.
    pub(crate) spent: AtomicU64,
    pub(crate) withheld: AtomicU64,
}

#[derive(Debug)]
struct Second {
    /// Which one, from the start.
    number: AtomicU64,
    exchanges: AtomicU32,
    retries: AtomicU32,
}

impl Budget {
    pub(crate) fn new(settings: Retry) -> Self {
        let second = |_| Second {
            number: AtomicU64::new(u64::MAX),
            exchanges: AtomicU32::new(0),
            retries: AtomicU32::new(0),
        };
        Self {
            settings,
            start: clock::now(),
            seconds: std::array::from_fn(second),
            deciding: Mutex::new(()),
            spent: AtomicU64::new(0),
            withheld: AtomicU64::new(0),
        }
    }

    /// An exchange is led to a machine.
    pub(crate) fn earn(&self) {
        self.second(self.now()).exchanges.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there may be one more retry; then it counts as made.
    pub(crate) fn spend(&self) -> bool {
        let _deciding = self.deciding.lock().expect("no panic while held");
        let now = self.now();
        let (mut exchanges, mut retries) = (0, 0);
        for second in &self.seconds {
            let number = second.number.load(Ordering::Relaxed);
            if number.checked_add(SECONDS as u64).is_some_and(|end| end > now) {
                exchanges += u64::from(second.exchanges.load(Ordering::Relaxed));
                retries += u64::from(second.retries.load(Ordering::Relaxed));
            }
        }
        let Retry { percent, min } = self.settings;
        let allowed = exchanges * u64::from(percent) / 100 + u64::from(min);
        if retries >= allowed {
            self.withheld.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.second(now).retries.fetch_add(1, Ordering::Relaxed);
        self.spent.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn now(&self) -> u64 {
        (clock::now() - self.start).as_secs()
    }

    /// The counts of a second. Whoever comes first in it clears them; what others count in that instant may be lost.
    fn second(&self, number: u64) -> &Second {
        let index = usize::try_from(number % SECONDS as u64).expect("a small number");
        let second = &self.seconds[index];
        let last = second.number.load(Ordering::Relaxed);
        if last != number {
            let (order, failed) = (Ordering::Relaxed, Ordering::Relaxed);
            if second.number.compare_exchange(last, number, order, failed).is_ok() {
                second.exchanges.store(0, Ordering::Relaxed);
                second.retries.store(0, Ordering::Relaxed);
            }
        }
        second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(budget: &Budget) -> usize {
        std::iter::from_fn(|| budget.spend().then_some(())).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_what_is_recent_may_be_retried_and_a_few_more() {
        let budget = Budget::new(Retry { percent: 20, min: 3 });
        assert_eq!(spent(&budget), 3, "the few");
        (0..100).for_each(|_| budget.earn());
        assert_eq!(spent(&budget), 20);
        clock::sleep(Duration::from_secs(5)).await;
        (0..10).for_each(|_| budget.earn());
        assert_eq!(spent(&budget), 2);
        assert_eq!(
            (budget.spent.load(Ordering::Relaxed), budget.withheld.load(Ordering::Relaxed)),
            (25, 3)
        );
        // The first hundred and what they were spent on are no longer recent.
        clock::sleep(Duration::from_secs(5)).await;
        assert_eq!(spent(&budget), 10 / 5 + 3 - 2);
        clock::sleep(Duration::from_secs(100)).await;
        assert_eq!(spent(&budget), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_retried_where_nothing_may() {
        let budget = Budget::new(Retry { percent: 0, min: 0 });
        (0..1000).for_each(|_| budget.earn());
        assert_eq!(spent(&budget), 0);
    }
}
