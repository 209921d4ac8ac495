//! The drill: long streams in quantity, clients who behave like people, every byte checked, and a verdict.
//!
//! A [`Plan`] says what will be done; it is read from TOML with the place of everything that is wrong in it. A [`Drill`] does
//! it: an open loop, in which each stream starts when it is planned and is measured from then. A [`Report`] tells what
//! came of it, and says itself invalid when the drill was the bottleneck. The [`origin`] is a server that sends what it
//! is told to, in lines that prove themselves.
//!
//! This crate prints nothing and reads no arguments and no files: the binary does.

mod alarm;
mod check;
mod client;
mod desk;
mod disk;
mod html;
mod intervals;
mod line;
pub mod origin;
mod plan;
mod pool;
mod presets;
mod read;
mod report;
mod result;
mod run;
mod server;
mod tally;
mod target;
mod threshold;
mod watch;
mod wire;

pub use check::Flaw;
pub use disk::DiskError;
pub use html::{comparison_page, report_page};
pub use plan::{Arrivals, Blow, Client, Kind, Load, Misfortune, Plan, Reclick, RetryAfter, Start};
pub use pool::fetch;
pub use presets::{PRESETS, Preset};
pub use read::read_plan;
pub use result::*;
pub use run::{Drill, Options, Progress, Results, RunError};
pub use server::{Server, ServerCommand, ServerError};
pub use target::{Target, TargetError};
pub use threshold::{Threshold, ThresholdError, metric_names};
