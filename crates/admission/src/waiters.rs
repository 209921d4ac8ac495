//! Those who wait for a place, and how long they may have to.

use std::collections::HashMap;
use std::time::Duration;

use outlast_runtime::clock;
use tokio::sync::oneshot;

use crate::handle::Permit;
use crate::state::{State, Ticket};
use crate::turnover::Turnover;

/// What the caller knows an exchange by. It means nothing to admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder(pub u128);

/// One exchange that waits.
#[derive(Debug)]
pub(crate) struct Waiter<H> {
    pub(crate) sender: oneshot::Sender<Permit<H>>,
    /// For whom its place will be.
    pub(crate) owner: H,
    pub(crate) since: clock::Instant,
    pub(crate) timeout: Duration,
    /// None until the caller has told.
    pub(crate) holder: Option<Holder>,
}

/// The queue of a service at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueView {
    /// In the order in which they will be granted places if nobody else comes and nobody leaves.
    pub waiting: Vec<QueuedView>,
    /// From one place that comes free to the next, lately; None before the first that came free while all were taken.
    pub gap: Option<Duration>,
}

/// One exchange in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedView {
    /// Who waits, if the caller has told.
    pub holder: Option<Holder>,
    /// How long it has waited.
    pub waited: Duration,
    /// How long it still may.
    pub left: Duration,
}

impl QueueView {
    pub(crate) fn new<H>(
        state: &State<H>,
        waiters: &HashMap<Ticket, Waiter<H>>,
        turnover: &Turnover,
    ) -> Self {
        let now = clock::now();
        let view = |waiter: &Waiter<H>| {
            let waited = now.saturating_duration_since(waiter.since);
            let left = waiter.timeout.saturating_sub(waited);
            QueuedView { holder: waiter.holder, waited, left }
        };
        // Those whom a drain has refused and who have not left yet do not wait any more.
        let order = state.queue_order();
        let waiting = order.iter().filter_map(|ticket| waiters.get(ticket)).map(view).collect();
        Self { waiting, gap: turnover.gap() }
    }

    /// How long the one at a position may still have to wait, the first being at 1; None if that is not known.
    #[must_use]
    pub fn estimate(&self, position: usize) -> Option<Duration> {
        estimate(self.gap, position)
    }
}

pub(crate) fn estimate(gap: Option<Duration>, position: usize) -> Option<Duration> {
    gap.map(|gap| gap.saturating_mul(u32::try_from(position).unwrap_or(u32::MAX)))
}
