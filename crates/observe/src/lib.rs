//! What happens, for those who watch: one record per exchange, with exactly one outcome.
//!
//! The record is written when the exchange ends, however it ends, also when its future is dropped. Live exchanges can be
//! listed and ended by an operator. This crate does not decide anything and does not know sockets.

mod gauges;
mod id;
mod lapse;
mod ledger;
mod metrics;
mod outcome;
mod record;
mod view;

pub use id::RequestId;
pub use lapse::InQueue;
pub use ledger::Mismatch;
pub use metrics::{CountSource, PoolPart, PoolSource};
pub use outcome::{
    AcceptPause, ConnectionClose, Departure, EndedBy, Ending, MachineFault, Outcome, RefusalReason,
    Shortage, TimedClock,
};
pub use record::{ExchangeStart, MachineSlot, Observe, Record, RecordGuard, Shard};
pub use view::{EvidenceSource, QueueSource};
