//! Both columns of the ledger, and how they are set right (rule 6).

use super::{Admission, Inner};
use crate::state::{Freed, Held, LeaseId, Released};

/// Both columns of the ledger (rule 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    /// Leases out, as the arithmetic knows them.
    pub leases: usize,
    /// Permits that exist, counted where they are made and dropped.
    pub permits: usize,
    /// Whether the leases add up to the gauges.
    pub is_balanced: bool,
    /// The length of the queue, as the arithmetic knows it.
    pub queued: usize,
    /// Those who wait to be told of a place. After a drain they are none, while the queue is left.
    pub waiting: usize,
    /// How often a permit was dropped whose place somebody else had given back.
    pub released_twice: u64,
}

impl<H> Admission<H> {
    /// The ledger at this moment. Walks all leases.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.0.lock().ledger()
    }

    /// The ledger, and with it, of the same moment, every place that is out and everybody who waits. Both are called under
    /// the lock, and are to be quick.
    pub fn audit(&self, held: impl FnMut(Held<'_, H>), waiting: impl FnMut(&H)) -> Ledger {
        let inner = self.0.lock();
        inner.state.held().for_each(held);
        inner.waiting.values().map(|waiter| &waiter.owner).for_each(waiting);
        inner.ledger()
    }

    /// Takes a place back whose holder is not there any more. Its permit, should it be dropped after all, changes nothing.
    /// False if the place was given back meanwhile.
    pub fn take_back(&self, lease: LeaseId) -> bool {
        let released = self.0.change(|inner| {
            inner.lingering.remove(&lease);
            let released = inner.state.release(lease);
            // Unless it is the permit that was lost, and only its lease is left.
            if matches!(released, Released::Now { .. })
                && inner.permits_out > inner.state.leases_out()
            {
                inner.permits_out -= 1;
                inner.written_off += 1;
            }
            (released.freed(), released)
        });
        matches!(released, Released::Now { .. })
    }

    /// Sets gauges and the count of permits to what the leases say, and takes out of the queue who is not there to be told.
    /// Permits beyond the leases stand for no place: dropping them changes nothing.
    pub fn rebalance(&self) {
        self.0.change(|inner| {
            inner.state.rebalance();
            let leases = inner.state.leases_out();
            inner.written_off += inner.permits_out.saturating_sub(leases);
            inner.permits_out = leases;
            let Inner { state, waiting, .. } = inner;
            state.leave_but(|ticket| waiting.contains_key(&ticket));
            (Freed::Nothing, ())
        });
    }
}

impl<H> Inner<H> {
    fn ledger(&self) -> Ledger {
        Ledger {
            leases: self.state.leases_out(),
            permits: self.permits_out,
            is_balanced: self.state.is_balanced(),
            queued: self.state.queue_length(),
            waiting: self.waiting.len(),
            released_twice: self.released_twice,
        }
    }

    /// A permit is dropped, and its place was released so.
    pub(super) fn returned(&mut self, released: &Released<H>) {
        match released {
            Released::Now { .. } => self.permits_out -= 1,
            Released::WasNotOut if self.written_off > 0 => self.written_off -= 1,
            Released::WasNotOut => {
                self.permits_out -= 1;
                self.released_twice += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::handle::{Attempt, Permit};
    use crate::state::{Class, Limits, Linger, MachineKey, Settings};

    fn admission() -> Admission<&'static str> {
        let limits = Limits { soft: None, hard: NonZeroU32::new(1) };
        let (linger, queue_depth_max, reserve_slots) = (Linger::Hold, 1, 0);
        let settings = Settings { limits, linger, queue_depth_max, reserve_slots };
        let admission = Admission::new(settings, Duration::from_secs(30));
        admission.machine_ready(MachineKey(0));
        admission
    }

    fn attempt(admission: &Admission<&'static str>, holder: &'static str) -> Attempt<&'static str> {
        admission.attempt(std::net::IpAddr::from([127, 0, 0, 1]), Class::Ordinary, holder)
    }

    fn permit(admission: &Admission<&'static str>) -> Permit<&'static str> {
        match attempt(admission, "first") {
            Attempt::Admitted(permit) => permit,
            other => panic!("there is room: {other:?}"),
        }
    }

    fn counts(admission: &Admission<&'static str>) -> (usize, usize, u64) {
        let Ledger { leases, permits, is_balanced, queued, waiting, released_twice } =
            admission.ledger();
        assert!(is_balanced && queued == waiting);
        (leases, permits, released_twice)
    }

    #[tokio::test]
    async fn a_place_that_is_taken_back_goes_to_who_waits_and_its_permit_changes_nothing() {
        let admission = admission();
        let lost = permit(&admission);
        let Attempt::Waiting(waiting) = attempt(&admission, "second") else {
            panic!("there is no room")
        };
        let (mut holders, mut queue) = (Vec::new(), Vec::new());
        admission.audit(
            |held| holders.push((held.lease, *held.holder.expect("held"))),
            |who| {
                queue.push(*who);
            },
        );
        assert_eq!((holders.len(), holders[0].1, &*queue), (1, "first", &["second"][..]));
        assert!(admission.take_back(holders[0].0));
        assert!(!admission.take_back(holders[0].0), "once");
        let next = waiting.wait().await.expect("the place is free");
        assert_eq!(counts(&admission), (1, 1, 0));
        drop(lost);
        assert_eq!(counts(&admission), (1, 1, 0), "the place is another's now");
        drop(next);
        assert_eq!(counts(&admission), (0, 0, 0));
    }

    #[test]
    fn a_lease_whose_permit_is_lost_without_a_trace_is_taken_back() {
        let admission = admission();
        let permit = permit(&admission);
        let lease = permit.lease;
        std::mem::forget(permit);
        admission.0.lock().permits_out = 0;
        assert_eq!(counts(&admission), (1, 0, 0));
        assert!(admission.take_back(lease));
        assert_eq!(counts(&admission), (0, 0, 0));
        assert_eq!(admission.0.lock().written_off, 0, "there is no permit to wait for");
    }

    #[test]
    fn a_place_that_is_given_back_twice_is_seen_and_given_once() {
        let admission = admission();
        let permit = permit(&admission);
        let twin = {
            let mut inner = admission.0.lock();
            Permit::new(&permit.shared, &mut inner, permit.lease, permit.machine, "twin")
        };
        assert_eq!(counts(&admission), (1, 2, 0), "while both are out");
        drop(permit);
        assert_eq!(counts(&admission), (0, 1, 0));
        drop(twin);
        assert_eq!(counts(&admission), (0, 0, 1));
        assert_eq!(admission.usage().machines[0].in_flight, 0);
    }

    #[test]
    fn a_queue_that_keeps_who_has_left_is_seen_and_left() {
        let admission = admission();
        let _permit = permit(&admission);
        let waiting = attempt(&admission, "second");
        admission.0.lock().waiting.clear();
        let Ledger { queued, waiting: told, .. } = admission.ledger();
        assert_eq!((queued, told), (1, 0));
        admission.rebalance();
        assert_eq!(counts(&admission), (1, 1, 0));
        drop(waiting);
        assert_eq!(counts(&admission), (1, 1, 0));
    }

    #[test]
    fn permits_that_stand_for_no_place_are_written_off() {
        let admission = admission();
        let permit = permit(&admission);
        let twin = {
            let mut inner = admission.0.lock();
            Permit::new(&permit.shared, &mut inner, permit.lease, permit.machine, "twin")
        };
        admission.rebalance();
        assert_eq!(counts(&admission), (1, 1, 0));
        drop((permit, twin));
        assert_eq!(counts(&admission), (0, 0, 0));
    }
}
