//! The arithmetic's column of the ledger (rule 6): the leases that are out, for whom, and whether they add up.

use std::collections::HashMap;

use super::machines::Gauges;
use super::{Freed, Hold, LeaseId, Machine, MachineKey, Slot, State, Ticket};

/// What giving a place back did.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lease that was not out was given back twice, or had been taken back"]
pub enum Released<H> {
    /// It is free now.
    Now {
        /// Who held it.
        holder: Option<H>,
        /// Whether somebody who waits could have it.
        freed: Freed,
    },
    /// Nothing: the lease was not out.
    WasNotOut,
}

/// A place that is out, as the ledger looks at it (rule 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held<'a, H> {
    /// Which.
    pub lease: LeaseId,
    /// Where.
    pub machine: MachineKey,
    /// Whether the exchange is over and its connection lingers.
    pub is_lingering: bool,
    /// For whom. None while it is on its way to who waited for it.
    pub holder: Option<&'a H>,
}

impl<H> Released<H> {
    /// What came free.
    #[must_use]
    pub fn freed(&self) -> Freed {
        match self {
            Self::Now { freed, .. } => *freed,
            Self::WasNotOut => Freed::Nothing,
        }
    }
}

impl<H> State<H> {
    /// The places that are out.
    pub fn held(&self) -> impl Iterator<Item = Held<'_, H>> {
        self.leases.iter().map(|(id, lease)| Held {
            lease: *id,
            machine: self.machines.get(lease.machine).key,
            is_lingering: matches!(lease.hold, Hold::Lingering | Hold::Evicting),
            holder: lease.holder.as_ref(),
        })
    }

    /// Whether the leases that are out add up to the gauges (rule 6). Walks the leases once.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let mut counted = self.counted();
        let mut is_right = |(slot, machine): (Slot, &Machine)| {
            counted.remove(&slot).unwrap_or_default() == machine.gauges
        };
        // What is left then is leases of machines that are not known.
        self.machines.slots().all(&mut is_right) && counted.is_empty()
    }

    /// Sets the gauges to what the leases say, which are what is given back.
    pub fn rebalance(&mut self) {
        let counted = self.counted();
        self.machines.recount(|slot| counted.get(&slot).copied().unwrap_or_default());
    }

    /// Takes everybody out of the queue but those who are there.
    pub fn leave_but(&mut self, is_there: impl Fn(Ticket) -> bool) {
        let gone: Vec<_> =
            self.clients.keys().copied().filter(|ticket| !is_there(*ticket)).collect();
        for ticket in gone {
            self.cancel(ticket);
        }
    }

    /// The gauges of each machine that has leases, counted anew.
    fn counted(&self) -> HashMap<Slot, Gauges> {
        let mut counted: HashMap<_, Gauges> = HashMap::new();
        for lease in self.leases.values() {
            let gauges = counted.entry(lease.machine).or_default();
            gauges.in_flight += u32::from(lease.hold != Hold::Reserve);
            gauges.reserve += u32::from(lease.hold == Hold::Reserve);
            let is_lingering = matches!(lease.hold, Hold::Lingering | Hold::Evicting);
            gauges.lingering += u32::from(is_lingering);
            gauges.evicting += u32::from(lease.hold == Hold::Evicting);
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::state::{Class, Limits, Linger, Settings, Verdict};

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn state() -> State<&'static str> {
        let limits = Limits { soft: None, hard: std::num::NonZeroU32::new(3) };
        let (linger, queue_depth_max, reserve_slots) = (Linger::Evict, 0, 1);
        let mut state = State::new(Settings { limits, linger, queue_depth_max, reserve_slots });
        state.machine_ready(MachineKey(0));
        state
    }

    fn admit(state: &mut State<&'static str>, class: Class, holder: &'static str) -> LeaseId {
        let Verdict::Admitted { lease, .. } = state.admit(CLIENT, class) else {
            panic!("there is room")
        };
        state.hold(lease, holder);
        lease
    }

    #[test]
    fn a_place_says_for_whom_it_is_until_it_is_given_back_once() {
        let mut state = state();
        let lease = admit(&mut state, Class::Ordinary, "a");
        let machine = MachineKey(0);
        let held = Held { lease, machine, is_lingering: false, holder: Some(&"a") };
        assert_eq!(state.held().collect::<Vec<_>>(), [held]);
        state.linger(lease);
        assert!(state.held().all(|held| held.is_lingering));
        assert_eq!(state.release(lease), Released::Now { holder: Some("a"), freed: Freed::Place });
        assert_eq!(state.release(lease), Released::WasNotOut);
        assert_eq!(state.held().count(), 0);
    }

    #[test]
    fn gauges_that_drifted_are_seen_and_set_right() {
        let drifts: [fn(&mut Gauges); 4] = [
            |gauges| gauges.in_flight += 1,
            |gauges| gauges.lingering = 0,
            |gauges| gauges.evicting = 1,
            |gauges| gauges.reserve = 0,
        ];
        for drift in drifts {
            let mut state = state();
            let (busy, lingering, control) = (
                admit(&mut state, Class::Ordinary, "a"),
                admit(&mut state, Class::Ordinary, "b"),
                admit(&mut state, Class::Control, "c"),
            );
            state.linger(lingering);
            assert!(state.is_balanced());
            let right = state.usage();
            let slot = state.machines.first().unwrap();
            state.machines.change(slot, drift);
            assert!(!state.is_balanced());
            state.rebalance();
            assert!(state.is_balanced());
            assert_eq!(state.usage(), right);
            for lease in [busy, lingering, control] {
                assert!(matches!(state.release(lease), Released::Now { .. }));
            }
            assert_eq!((state.usage()[0].in_flight, state.usage()[0].reserve), (0, 0));
        }
    }
}
