//! Owned tasks, worker threads, phases, a clock, randomness, and output that goes on after errors.
//!
//! Everything that touches time, chance or the scheduler goes through here, so that tests can hold it:
//! clippy bans the bare calls elsewhere. This crate does not know HTTP, machines or configuration.

pub mod backoff;
pub mod clock;
pub mod guard;
pub mod lossy;
pub mod phase;
pub mod random;
pub mod tasks;
pub mod workers;

pub use phase::{Phase, Phases};
pub use tasks::Tasks;
pub use workers::{Activity, Workers};
