//! The real program, started as a user would, and clients that remember what they saw.

mod app;
mod chat;
mod process;
mod stream;

pub(crate) use app::App;
pub(crate) use chat::{Chat, get, request};
pub(crate) use process::{Outlast, free_port, signal};
pub(crate) use stream::{GET, stream};

/// What the incident's example says beside its limits.
pub(crate) const INCIDENT_OUTLAST: &str =
    include_str!("../../../../../examples/incident/outlast.toml");

/// The limits of the incident.
pub(crate) const INCIDENT: &str = include_str!("../../../../../examples/incident/fly.toml");
