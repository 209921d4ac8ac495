//! Reviews `fly.toml`, `outlast.toml` and running gateways: what is wrong, what it costs, how sure that is, and what to do.
//!
//! Promises: a finding says which of its premises nobody told (`--streams`, `--machines`, …) and what was guessed
//! instead; an edit it offers as safe leaves comments and layout alone and ends the finding. This crate reads no file
//! and prints nothing: texts and hints go in, findings and reports come out.

mod allow;
mod capacity;
pub mod checklist;
pub mod diagnosis;
mod facts;
mod finding;
mod fix;
mod hints;
pub mod live;
pub mod logs;
pub mod report;
mod review;
mod rules;
pub mod whatif;

pub use capacity::{Capacity, Change};
pub use finding::{Confidence, Finding, Severity};
pub use fix::{Fixed, fix};
pub use hints::Hints;
pub use review::{Files, Review, Unreadable, review};
pub use rules::{Page, live_pages, page, pages};
