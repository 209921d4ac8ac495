//! What the supervisor tells about its machines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use outlast_runtime::guard::Exit;

use crate::{CheckReport, MachineId};

/// A machine changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineEvent {
    /// Which one.
    pub machine: MachineId,
    /// To what.
    pub change: Change,
}

/// What a machine became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is being started. May follow any change but [`Change::Stopped`].
    Starting,
    /// It may get traffic: every awaited port accepts connections.
    Ready {
        /// Where each internal port is reached. New after every start.
        addrs: BTreeMap<u16, SocketAddr>,
    },
    /// One of its health checks came to another result, or says something else. Only while it is ready.
    Checked(CheckReport),
    /// Its main process ended. Unless it is being stopped, it is started again.
    Exited(ExitReport),
    /// It could not be started; it is tried again. The text names the command and the reason.
    StartFailed(String),
    /// It was stopped, and nothing of it is left. The last change of a machine.
    Stopped,
}

/// How a machine's main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitReport {
    /// By which code or signal.
    pub exit: Exit,
    /// How long it ran, from its start.
    pub lived: Duration,
    /// What follows.
    pub next: Next,
}

/// What follows the end of a machine's main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is started again after this delay, which begins when nothing of its tree is left.
    Restart {
        /// The delay.
        after: Duration,
    },
    /// It was asked to stop.
    Stop,
}
