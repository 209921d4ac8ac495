//! What a log tells: the events of Fly's proxy, runner and health checks, of an app, and of Outlast itself.
//!
//! A [`Reader`] is fed the bytes of one file or stream, in pieces of any size, and hands on an [`Event`] for each record that
//! may matter; all others are only counted. It knows the forms of [`Form`], all of which may be mixed, and tells in its
//! [`Summary`] what it did not understand. Memory is bounded whatever it is fed. docs/logs.md tells what is taken from each form.

mod collect;
mod event;
mod input;
mod json;
mod lines;
mod name;
mod object;
mod ours;
mod outlast;
mod platform;
mod reader;
mod record;
mod scan;
mod served;
mod signs;
mod stamp;
mod summary;
mod text;
mod times;
mod unreadable;
mod when;

pub use event::{
    AppSign, Autostop, Deploy, Event, ExitCause, Health, Kind, Level, Origin, Position, Unit,
};
pub use input::Packing;
pub use lines::LINE_BYTES_MAX;
pub use name::{Code, Name};
pub use ours::{Drain, Exchange, ExchangeOutcome, LedgerMismatch, Release};
pub use reader::{Reader, Sink};
pub use record::Form;
pub use served::{Served, Took};
pub use summary::{Activity, Example, Minute, Seen, Summary};
pub use times::{JUMP_SECONDS_MIN, Jump, Order, Times};
pub use unreadable::Unreadable;
pub use when::{Precision, When, Zone};
