//! The queue as others see it.

use super::{Level, State, Ticket};

impl<H> State<H> {
    /// How many clients wait, each with one exchange or more.
    #[must_use]
    pub fn clients_waiting(&self) -> usize {
        self.queue.clients()
    }

    /// Those who wait, in the order in which they will be granted places if nobody else comes. Walks the queue once.
    #[must_use]
    pub fn queue_order(&self) -> Vec<Ticket> {
        self.queue.order()
    }

    /// Whether machines take traffic, and each of them is at its hard limit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let first = self.machines.first();
        first.is_some_and(|slot| self.level(self.machines.get(slot)) == Level::AtHard)
    }
}
