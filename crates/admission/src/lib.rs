//! Who may start an exchange now, on which machine, and who waits.
//!
//! [`State`] is the arithmetic of the six rules of admission (docs/admission.md): levels, the choice of machine, what is
//! counted, the fair queue and the reserve. It has no clock, no I/O and no tasks, and is tested as such.
//! [`Admission`] is a thin handle over it: one mutex, one waker per waiting exchange.
//! This crate does not know HTTP, sockets or processes.

mod handle;
mod queue;
mod state;
mod sync;
mod turnover;
mod waiters;

pub use handle::{Admission, Attempt, Ledger, Permit, Refusal, Usage, Waiting};
pub use queue::ClientKey;
pub use state::{
    Class, Freed, Held, LeaseId, Level, Limits, Linger, MachineKey, MachineUsage, Released,
    Settings, State, Ticket, Verdict,
};
pub use waiters::{Holder, QueueView, QueuedView};
