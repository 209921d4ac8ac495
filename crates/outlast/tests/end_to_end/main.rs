//! The whole program: real processes, real sockets, and what a user sees.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

mod attackers;
mod churn;
mod clocks;
mod command;
#[cfg(target_os = "linux")]
mod corpus;
mod deaths;
mod descriptors;
mod diagnosis;
mod doctor;
mod documents;
mod door;
mod drill;
mod health;
mod incident;
mod live;
#[cfg(target_os = "linux")]
mod living;
mod logs;
mod misfortunes;
mod peers;
mod streams;
mod support;
mod whatif;
