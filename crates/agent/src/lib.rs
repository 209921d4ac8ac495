//! Runs of an agent: start, follow, stop.
//!
//! A run belongs to itself and not to whoever asked for it: it goes on when they leave, many may follow it, and the same
//! request id never starts it twice. This crate knows no HTTP. The one agent of today is scout, which needs no key and
//! no network.

mod error;
mod line;
mod log;
mod order;
mod runs;
mod scout;

pub use error::StartError;
pub use log::Follower;
pub use order::RunOrder;
pub use runs::{Abort, Counts, Kind, Runs, Settings};
