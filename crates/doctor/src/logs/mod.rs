//! What a log tells: the events of Fly's proxy, runner and health checks, of an app, and of Outlast itself.

mod event;
mod name;
mod ours;
mod when;

pub use event::{
    AppSign, Autostop, Deploy, Event, ExitCause, Health, Kind, Level, Origin, Position, Unit,
};
pub use name::{Code, Name};
pub use ours::{Drain, Exchange, ExchangeOutcome, LedgerMismatch, Release};
pub use when::{Precision, When, Zone};
