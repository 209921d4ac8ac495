//! What is known about a machine at this moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;
use outlast_runtime::clock;

use crate::outbox::Outbox;
use crate::{Change, MachineEvent, MachineId};

/// A machine at the moment of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineSnapshot {
    /// Its name.
    pub id: MachineId,
    /// Its process group in the sense of `fly.toml`; none at a fixed address.
    pub group: Option<String>,
    /// Where it is in its life.
    pub state: MachineState,
    /// When it entered that state, by the wall clock.
    pub since: Timestamp,
    /// The process id of its main process, while that runs here.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
    /// Where it is reached, by internal port. Empty unless it is ready.
    pub addrs: BTreeMap<u16, SocketAddr>,
}

/// Where a machine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineState {
    /// It runs, or is about to, but an awaited port does not accept connections yet.
    Starting,
    /// It may get traffic.
    Ready,
    /// It ended or could not be started, and waits to be started again.
    BackingOff,
    /// It was asked to stop.
    Stopping,
    /// Nothing of it is left, and it is not started again.
    Stopped,
}

impl MachineState {
    /// The name used in logs and by the admin API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::BackingOff => "backing off",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// A machine's place among the supervisor's: what a snapshot shows, and the way its events take.
#[derive(Debug)]
pub(crate) struct Record {
    id: MachineId,
    now: Mutex<MachineSnapshot>,
    outbox: Outbox,
}

impl Record {
    pub(crate) fn new(id: MachineId, group: Option<String>, outbox: Outbox) -> Self {
        let now = Mutex::new(MachineSnapshot {
            id: id.clone(),
            group,
            state: MachineState::Starting,
            since: clock::wall_now(),
            pid: None,
            restarts: 0,
            addrs: BTreeMap::new(),
        });
        Self { id, now, outbox }
    }

    pub(crate) fn snapshot(&self) -> MachineSnapshot {
        self.lock().clone()
    }

    /// Tells of a change and remembers the state that it leads to.
    pub(crate) fn tell(&self, change: Change) {
        let mut now = self.lock();
        let state = match &change {
            // Of the same life: checks end before it does.
            Change::Checked(_) => {
                self.outbox.push(MachineEvent { machine: self.id.clone(), change });
                return;
            }
            Change::Starting => MachineState::Starting,
            Change::Ready { .. } => MachineState::Ready,
            Change::Exited(_) | Change::StartFailed(_) => MachineState::BackingOff,
            Change::Stopped => MachineState::Stopped,
        };
        // A machine that ends because it was asked to does not back off.
        let stopping = now.state == MachineState::Stopping && state == MachineState::BackingOff;
        if !stopping {
            enter(&mut now, state);
        }
        match &change {
            Change::Ready { addrs } => now.addrs.clone_from(addrs),
            _ => now.addrs.clear(),
        }
        if !matches!(change, Change::Starting | Change::Ready { .. }) {
            now.pid = None;
        }
        // Pushed under the lock, so that events and snapshots tell the same story in the same order.
        self.outbox.push(MachineEvent { machine: self.id.clone(), change });
    }

    pub(crate) fn runs_as(&self, pid: u32) {
        self.lock().pid = Some(pid);
    }

    pub(crate) fn restarts(&self) {
        let mut now = self.lock();
        now.restarts = now.restarts.saturating_add(1);
    }

    pub(crate) fn stopping(&self) {
        enter(&mut self.lock(), MachineState::Stopping);
    }

    fn lock(&self) -> MutexGuard<'_, MachineSnapshot> {
        self.now.lock().expect("nothing panics while it holds the lock")
    }
}

fn enter(now: &mut MachineSnapshot, state: MachineState) {
    if now.state != state {
        now.state = state;
        now.since = clock::wall_now();
    }
}
