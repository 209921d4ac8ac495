//! Diagnoses logs: what happened, what caused it, how sure that is, and why it was not something else.
//!
//! Rival explanations are tested against each other by named pieces of evidence, each with a weight and a reason. Where
//! they do not settle it, that is the answer, with what to collect. Events are folded as they come: nothing here grows
//! with the length of a log.

mod advice;
mod beside;
mod cause;
mod certain;
mod chain;
mod evidence;
mod fold;
mod freed;
mod incident;
mod judge;
mod machine;
mod masks;
mod moments;
pub mod report;
mod sight;
mod tally;
mod timeline;
mod watch;
mod weigh;
mod words;

pub use advice::{Advice, Collect};
pub use beside::Beside;
pub use cause::Cause;
pub use chain::Step;
pub use evidence::{ITEMS, Item};
pub use fold::{Diagnosed, Diagnosis, PlanUse};
pub use incident::Incident;
pub use judge::{Found, Rival, Verdict};
pub use masks::Names;
pub use timeline::Entry;
pub use watch::{News, Turn, Watch};
