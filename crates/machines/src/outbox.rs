//! Events on their way to a reader that may be slow.
//!
//! A machine's life must not wait for whoever reads its events, and its reader must learn the truth in the end. So
//! each machine has a few events waiting at most, and when there are more the oldest of the same machine is given up:
//! whatever it said is out of date by then.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, mpsc};
use tracing::warn;

use crate::{Change, MachineEvent, MachineId};

/// How many events of one machine wait for the reader.
const WAITING_PER_MACHINE_MAX: usize = 8;

/// The machines' end. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<VecDeque<MachineEvent>>,
    filled: Notify,
}

impl Outbox {
    /// Adds an event, giving up the oldest of the same machine if too many of it wait.
    pub(crate) fn push(&self, event: MachineEvent) {
        let mut waiting = self.lock();
        if let Change::Checked(report) = &event.change {
            // The same check has come to another result before the last was read.
            waiting.retain(|other| match &other.change {
                Change::Checked(last) => other.machine != event.machine || last.name != report.name,
                _ => true,
            });
            waiting.push_back(event);
            drop(waiting);
            return self.0.filled.notify_one();
        }
        // Of each check only one waits, so that they need not be counted.
        let of_machine = |other: &MachineEvent| {
            other.machine == event.machine && !matches!(other.change, Change::Checked(_))
        };
        if waiting.iter().filter(|other| of_machine(other)).count() >= WAITING_PER_MACHINE_MAX {
            let oldest = waiting.iter().position(of_machine).and_then(|at| waiting.remove(at));
            log_given_up(&event.machine, oldest.as_ref());
        }
        waiting.push_back(event);
        drop(waiting);
        self.0.filled.notify_one();
    }

    /// Hands events to the reader as fast as it takes them, until it is gone.
    pub(crate) async fn deliver(self, reader: mpsc::Sender<MachineEvent>) {
        loop {
            let Ok(place) = reader.reserve().await else { return };
            // Taken only now: until the reader has room, an event can still be overtaken.
            let event = tokio::select! {
                event = self.next() => event,
                () = reader.closed() => return,
            };
            place.send(event);
        }
    }

    async fn next(&self) -> MachineEvent {
        loop {
            let filled = self.0.filled.notified();
            if let Some(event) = self.lock().pop_front() {
                return event;
            }
            filled.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<MachineEvent>> {
        self.0.waiting.lock().expect("nothing panics while it holds the lock")
    }
}

fn log_given_up(machine: &MachineId, oldest: Option<&MachineEvent>) {
    warn!(%machine, ?oldest, "machine events are not read: gave up the oldest");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use outlast_runtime::Tasks;

    use super::*;
    use crate::{CheckReport, CheckStatus};

    fn event(machine: &MachineId, change: Change) -> MachineEvent {
        MachineEvent { machine: machine.clone(), change }
    }

    /// A machine whose place was overtaken by its own checks would get no traffic for the rest of its life.
    #[tokio::test]
    async fn checks_push_nothing_else_out_and_each_tells_its_last_result() {
        let machine = MachineId::random();
        let outbox = Outbox::default();
        let ready = Change::Ready { addrs: BTreeMap::new() };
        outbox.push(event(&machine, ready.clone()));
        let checked = |name: &str, output: usize| {
            let (name, output) = (name.to_owned(), output.to_string());
            Change::Checked(CheckReport {
                name,
                status: CheckStatus::Critical,
                changed: true,
                output,
            })
        };
        for number in 0..100 {
            outbox.push(event(&machine, checked("a", number)));
            outbox.push(event(&machine, checked("b", number)));
        }
        let mut seen = Vec::new();
        while !outbox.lock().is_empty() {
            seen.push(outbox.next().await.change);
        }
        assert_eq!(seen, [ready, checked("a", 99), checked("b", 99)]);
    }

    #[tokio::test]
    async fn a_reader_that_sleeps_finds_the_last_events_of_each_machine() {
        let (quiet, busy) = (MachineId::random(), MachineId::random());
        let outbox = Outbox::default();
        let ready = Change::Ready { addrs: BTreeMap::new() };
        outbox.push(event(&quiet, ready.clone()));
        for number in 0..100 {
            outbox.push(event(&busy, Change::StartFailed(number.to_string())));
        }
        outbox.push(event(&busy, Change::Stopped));

        let (tx, mut rx) = mpsc::channel(1);
        let tasks = Tasks::default();
        tasks.spawn(outbox.deliver(tx));
        assert_eq!(rx.recv().await, Some(event(&quiet, ready)));
        for number in 93..100 {
            let change = Change::StartFailed(number.to_string());
            assert_eq!(rx.recv().await, Some(event(&busy, change)));
        }
        assert_eq!(rx.recv().await, Some(event(&busy, Change::Stopped)));

        // Without its reader the delivery ends.
        drop(rx);
        tasks.join().await;
    }
}
