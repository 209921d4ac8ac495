//! The machines of a service, and which of them the next exchange goes to (rule 3).
//!
//! Those that take traffic are kept in a binary heap, the next one first, so that a choice and a change cost the logarithm of
//! their number: all have the same limits, so that who has fewer in flight is never at a higher level.

use super::MachineKey;

/// Where a machine is kept. A lease knows it by this; it is another machine's only once no lease knows it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot(u32);

/// What is counted of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Gauges {
    /// Places taken under the limits.
    pub(super) in_flight: u32,
    /// Of those, lingering connections.
    pub(super) lingering: u32,
    /// Of those, asked to let go.
    pub(super) evicting: u32,
    /// Places of the reserve taken.
    pub(super) reserve: u32,
}

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) key: MachineKey,
    pub(super) is_ready: bool,
    pub(super) gauges: Gauges,
    /// When it was last chosen, in choices: round robin among equals.
    chosen: u64,
    came: u64,
    /// Where it stands in the heap, if it is ready.
    place: usize,
    /// Whether it is remembered at all; else its slot is free.
    is_known: bool,
}

#[derive(Debug, Default)]
pub(super) struct Machines {
    slots: Vec<Machine>,
    free: Vec<Slot>,
    /// Those that are ready.
    heap: Vec<Slot>,
    came: u64,
    choices: u64,
    /// Connections that were asked to let go, on all of them.
    evicting: usize,
}

impl Machine {
    /// When it came, among all that ever came.
    pub(super) fn came(&self) -> u64 {
        self.came
    }

    /// The least goes first.
    fn rank(&self) -> (u32, u64, u64) {
        (self.gauges.in_flight, self.chosen, self.came)
    }
}

impl Machines {
    /// In the order of their coming.
    pub(super) fn all(&self) -> Vec<&Machine> {
        let mut all: Vec<_> = self.slots.iter().filter(|machine| machine.is_known).collect();
        all.sort_unstable_by_key(|machine| machine.came);
        all
    }

    pub(super) fn ready(&self) -> impl Iterator<Item = &Machine> {
        self.heap.iter().map(|slot| self.get(*slot))
    }

    pub(super) fn get(&self, slot: Slot) -> &Machine {
        &self.slots[slot.0 as usize]
    }

    fn get_mut(&mut self, slot: Slot) -> &mut Machine {
        &mut self.slots[slot.0 as usize]
    }

    /// Looks at each slot.
    pub(super) fn find(&self, key: MachineKey) -> Option<Slot> {
        let is_meant = |machine: &Machine| machine.is_known && machine.key == key;
        let index = self.slots.iter().position(is_meant)?;
        Some(Slot(u32::try_from(index).expect("a machine has a key of 32 bits")))
    }

    pub(super) fn evicting(&self) -> usize {
        self.evicting
    }

    /// The one with the fewest in flight, of those the one that was not chosen for longest.
    pub(super) fn first(&self) -> Option<Slot> {
        self.heap.first().copied()
    }

    /// It is its turn now.
    pub(super) fn chosen(&mut self, slot: Slot) {
        self.choices += 1;
        self.get_mut(slot).chosen = self.choices;
        self.settle(slot);
    }

    /// Counts anew.
    pub(super) fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Gauges)) {
        let machine = &mut self.slots[slot.0 as usize];
        let before = machine.gauges;
        change(&mut machine.gauges);
        let after = machine.gauges;
        self.evicting = self.evicting - before.evicting as usize + after.evicting as usize;
        if before.in_flight != after.in_flight {
            self.settle(slot);
        }
    }

    pub(super) fn add(&mut self, key: MachineKey) {
        let slot = self.find(key).unwrap_or_else(|| self.remember(key));
        if !self.get(slot).is_ready {
            let place = self.heap.len();
            self.heap.push(slot);
            let machine = self.get_mut(slot);
            (machine.is_ready, machine.place) = (true, place);
            self.settle(slot);
        }
    }

    fn remember(&mut self, key: MachineKey) -> Slot {
        self.came += 1;
        let machine = Machine {
            key,
            is_ready: false,
            gauges: Gauges::default(),
            chosen: 0,
            came: self.came,
            place: 0,
            is_known: true,
        };
        match self.free.pop() {
            Some(slot) => {
                *self.get_mut(slot) = machine;
                slot
            }
            None => {
                self.slots.push(machine);
                self.find(key).expect("it was just added")
            }
        }
    }

    /// It takes no more traffic, and is remembered until nothing of it is out.
    pub(super) fn remove(&mut self, key: MachineKey) {
        let Some(slot) = self.find(key).filter(|slot| self.get(*slot).is_ready) else { return };
        let place = self.get(slot).place;
        self.get_mut(slot).is_ready = false;
        self.heap.swap_remove(place);
        if let Some(moved) = self.heap.get(place).copied() {
            self.get_mut(moved).place = place;
            self.settle(moved);
        }
        self.forget_if_gone(slot);
    }

    pub(super) fn forget_if_gone(&mut self, slot: Slot) {
        let machine = self.get_mut(slot);
        let is_gone = !machine.is_ready && machine.gauges == Gauges::default();
        if is_gone && machine.is_known {
            machine.is_known = false;
            self.free.push(slot);
        }
    }

    /// Sets all gauges, in one go.
    pub(super) fn recount(&mut self, gauges: impl Fn(Slot) -> Gauges) {
        for index in 0..self.slots.len() {
            let slot = Slot(u32::try_from(index).expect("a machine has a key of 32 bits"));
            if self.get(slot).is_known {
                let counted = gauges(slot);
                self.change(slot, |gauges| *gauges = counted);
                self.forget_if_gone(slot);
            }
        }
    }

    /// Where each slot is.
    pub(super) fn slots(&self) -> impl Iterator<Item = (Slot, &Machine)> {
        let slots = (0..).map(Slot).zip(&self.slots);
        slots.filter(|(_, machine)| machine.is_known)
    }

    /// Moves a machine of which something changed to its place in the heap.
    fn settle(&mut self, slot: Slot) {
        if !self.get(slot).is_ready {
            return;
        }
        let mut place = self.get(slot).place;
        while place > 0 && self.is_before(place, (place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && self.is_before(child, least) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.swap(place, least);
            place = least;
        }
    }

    fn is_before(&self, one: usize, other: usize) -> bool {
        self.get(self.heap[one]).rank() < self.get(self.heap[other]).rank()
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        for place in [one, other] {
            let slot = self.heap[place];
            self.get_mut(slot).place = place;
        }
    }
}

// The model's build has no proptest.
#[cfg(all(test, not(shuttle)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Comes, goes, takes a place, gives one back, is chosen; of which machine.
    fn steps() -> impl Strategy<Value = Vec<(u8, u32)>> {
        prop::collection::vec((0_u8..6, 0_u32..12), 0..200)
    }

    proptest! {
        #[test]
        fn the_first_is_the_one_that_looking_at_all_of_them_finds(steps in steps()) {
            let mut machines = Machines::default();
            for (step, key) in steps {
                let key = MachineKey(key);
                let slot = machines.find(key);
                match (step, slot) {
                    (0, _) => machines.add(key),
                    (1, _) => machines.remove(key),
                    (2 | 3, Some(slot)) => machines.change(slot, |gauges| gauges.in_flight += 1),
                    (4, Some(slot)) => {
                        machines.change(slot, |gauges| {
                            gauges.in_flight = gauges.in_flight.saturating_sub(1);
                        });
                        machines.forget_if_gone(slot);
                    }
                    (5, Some(slot)) => machines.chosen(slot),
                    _ => {}
                }
                let all = machines.all();
                let ready = all.iter().filter(|machine| machine.is_ready);
                let least = ready.min_by_key(|machine| machine.rank()).map(|machine| machine.key);
                prop_assert_eq!(machines.first().map(|slot| machines.get(slot).key), least);
                prop_assert!(all.is_sorted_by_key(|machine| machine.came));
                prop_assert!(all.iter().all(|machine| machine.is_ready || machine.gauges.in_flight > 0));
                let is_in_place = |(place, slot): (usize, &Slot)| machines.get(*slot).place == place;
                prop_assert!(machines.heap.iter().enumerate().all(is_in_place));
            }
        }
    }
}
