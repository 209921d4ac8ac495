//! The life of a machine: start, ready, checks, restart, stop.
//!
//! A [`Supervisor`] keeps machines running and tells by [`MachineEvent`]s when each may get traffic, what its health checks
//! say, and when it may no longer.
//! It does not know services, limits or exchanges, nor where the machines it is asked for come from. What
//! it promises is in `docs/machines.md`.

mod check;
mod event;
mod id;
mod lapse;
mod line;
mod local;
mod outbox;
mod output;
mod ports;
mod probe;
mod reach;
mod record;
mod spec;
mod supervisor;

pub use check::{CheckReport, CheckSpec, CheckStatus, ProbeSpec};
pub use event::{Change, ExitReport, MachineEvent, Next};
pub use id::{InvalidMachineId, MachineId};
pub use line::{Level, LineThread, LogLine, Provider, write_lines};
pub use outlast_runtime::guard::{Exit, GuardProgram, StopPolicy, StopSignal};
pub use record::{MachineSnapshot, MachineState};
pub use spec::{FixedSpec, LocalSpec, MachineSpec, Readiness, default_backoff, fixed};
pub use supervisor::Supervisor;
