//! One exchange: accept, admit, pick a machine, connect, pump, settle.
//!
//! The gateway owns the public listeners and the upstream connections. Admission decides, observe records, http1 moves
//! the bytes; here they meet. It does not start machines: it is told which are ready, and where.

mod accept;
mod answer;
#[cfg(test)]
mod cancels;
mod clients;
mod clocks;
mod connection;
mod ejection;
mod ending;
mod exchange;
mod fields;
mod gateway;
mod headers;
mod heartbeat;
mod ledger;
mod listener;
mod living;
mod machine;
mod notice;
mod own_paths;
mod place;
mod refusal;
mod remarks;
mod retry;
mod service;
mod share;
mod shortage;
mod tunnel;
mod upstream;
mod vigil;
mod visitor;
mod watch;

pub use gateway::{
    Admittance, AdmittanceCheck, BindError, DrainReport, Gateway, GatewayOptions, OwnRequest,
};
pub use machine::{CheckStatus, Checked};
