//! The pool as `/api/pool` and `/.outlast/pool` show it, and the exchanges of `/api/exchanges`.
//!
//! Times are milliseconds, sizes are bytes. Fields are only ever added.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Every service and its places at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The gateway's version. Empty before it was told.
    #[serde(default)]
    pub version: String,
    /// The app's name.
    pub app: String,
    /// `starting`, `serving`, `draining` or `stopped`.
    pub phase: String,
    /// Since the process started.
    pub uptime_ms: u64,
    /// How often permits, gauges and sockets were seen to disagree. Anything but 0 is a defect of ours.
    pub ledger_mismatches: u64,
    /// Client connections open now, all services together.
    pub client_connections: usize,
    /// Why the kernel tells nothing of connections, so that states are from the times of bytes alone. Absent if it tells.
    #[serde(default)]
    pub evidence_missing: Option<String>,
    /// The first HTTP service first.
    pub services: Vec<Service>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Unique.
    pub name: String,
    /// `http` or `tcp`.
    pub kind: String,
    /// The address it listens on.
    pub listen: String,
    /// What is counted: `connections` or `requests`.
    pub accounting: String,
    /// Per machine.
    pub limits: Limits,
    /// Places taken under the limits, all machines together, lingering connections included.
    pub in_flight: u32,
    /// Of those, upstream connections that linger unused.
    pub lingering: u32,
    /// Places of the reserve taken.
    pub reserve_in_use: u32,
    /// Places of the reserve, per machine.
    pub reserve_slots: u32,
    /// Exchanges that wait.
    pub queue_length: usize,
    /// The most that may.
    pub queue_depth_max: usize,
    /// How long one more client would have to wait for a place: 0 if one is free, null if that is not known yet or nobody
    /// more may wait.
    pub queue_estimate_ms: Option<u64>,
    /// Exchanges that went to another machine because theirs could not be connected to, since the start.
    #[serde(default)]
    pub retries: u64,
    /// Exchanges that could have, but for the budget.
    #[serde(default)]
    pub retries_withheld: u64,
    /// How often a machine was ejected.
    #[serde(default)]
    pub ejections: u64,
    /// In the order of their start.
    pub machines: Vec<Machine>,
    /// Exchanges in the service now, whether shown or not.
    pub exchanges_total: usize,
    /// The same by their state.
    #[serde(default)]
    pub states: BTreeMap<String, usize>,
    /// The oldest ones, at most 256.
    pub exchanges: Vec<Exchange>,
}

/// The limits of a service on each machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Absent: none.
    pub soft: Option<u32>,
    /// Absent: none.
    pub hard: Option<u32>,
}

/// One machine of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// As in the logs.
    pub id: String,
    /// `ready`, `checking` (a check of the service has not passed yet), `unhealthy` (one has failed), `ejected` (it failed
    /// exchanges) or `lost`.
    pub state: String,
    /// When it entered that state, RFC 3339.
    #[serde(default)]
    pub since: String,
    /// Why it takes no traffic. Absent if it does, and if it does not run.
    #[serde(default)]
    pub reason: Option<String>,
    /// Absent unless it is.
    #[serde(default)]
    pub ejected: Option<Ejected>,
    /// Its health checks: those of the service, then those at the top of `fly.toml`.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Places taken under the limits.
    pub in_flight: u32,
    /// Of those, upstream connections that linger unused.
    pub lingering: u32,
    /// Places of the reserve taken.
    pub reserve_in_use: u32,
    /// `below soft`, `soft to hard` or `at hard`.
    pub level: String,
}

/// A machine that failed exchanges and gets none for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ejected {
    /// What it did.
    pub reason: String,
    /// RFC 3339.
    pub since: String,
    /// RFC 3339. A check that recovers ends it sooner, and so does the loss of all other machines.
    pub until: String,
}

/// A health check of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// As in the log: NAME of `[checks.NAME]`, or one such as `servicecheck-00-http-8080`.
    pub name: String,
    /// `http` or `tcp`.
    pub kind: String,
    /// The port on which the app believes to listen.
    pub port: u16,
    /// Whether the machine takes no traffic unless it passes.
    pub gates: bool,
    /// `passing`, `warning` (a failure does not count yet) or `critical`.
    pub status: String,
    /// When it came to that, RFC 3339.
    pub since: String,
    /// What the machine said, or why it failed.
    pub output: String,
}

/// One exchange in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The request id, as in the `Fly-Request-Id` header and the log.
    pub id: String,
    /// The service.
    pub service: String,
    /// The client's address.
    pub client: String,
    /// The method; `TCP` for a tunnel.
    pub method: String,
    /// The path without query; empty for a tunnel.
    pub path: String,
    /// `queued`, `connecting`, `waiting` or `streaming`.
    pub stage: String,
    /// Absent until one is chosen.
    pub machine: Option<String>,
    /// How many machines it was led to, one after the other: above 1 after a retry or a `fly-replay`.
    #[serde(default)]
    pub attempts: u8,
    /// Absent until the response head.
    pub status: Option<u16>,
    /// Since the request head was complete.
    pub age_ms: u64,
    /// Since the last byte in either direction.
    pub idle_ms: u64,
    /// To the client, heads included.
    pub bytes_sent: u64,
    /// From the client, heads included.
    pub bytes_received: u64,
    /// Its place in the queue; absent if it does not wait for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queued>,
    /// The first that fits: `queued`, `zombie`, `slow reader`, `active`, `idle` or `thinking`.
    #[serde(default)]
    pub state: String,
    /// What the state is known by, for people.
    #[serde(default)]
    pub evidence: String,
    /// The client's end, as the kernel tells of it. Absent where it does not.
    #[serde(default)]
    pub client_socket: Option<Socket>,
    /// The machine's end, likewise; absent also before there is one.
    #[serde(default)]
    pub machine_socket: Option<Socket>,
}

/// What the kernel knows of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// For how long bytes or probes have had no answer. Absent if all were answered.
    pub unanswered_ms: Option<u64>,
    /// Sent and not acknowledged.
    pub unacked_bytes: u64,
    /// Written and not sent yet: the peer, or the way to it, does not take more.
    pub unsent_bytes: u64,
    /// For how long bytes have waited to be acknowledged while the peer answers, at least. Absent if none wait.
    pub waiting_ms: Option<u64>,
    /// Received by the kernel and not read by the gateway, which reads no more than the other end takes.
    pub unread_bytes: u64,
    /// The peer has closed its sending direction. Whether it still reads is not known.
    #[serde(default)]
    pub finished: bool,
    /// Probes without an answer.
    pub probes: u32,
    /// Retransmissions without an answer.
    pub retransmits: u32,
    /// Since the peer's kernel last acknowledged anything or sent data.
    pub last_heard_ms: u64,
    /// Since the last acknowledgement.
    pub last_ack_ms: u64,
    /// The smoothed round-trip time.
    pub rtt_us: u64,
}

/// An exchange's place in the queue of its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// 1 is served next. It is true as long as nobody comes or leaves: clients take turns, and one that comes later may have
    /// its turn before the second exchange of another.
    pub position: usize,
    /// How many wait.
    pub length: usize,
    /// Since when it waits.
    pub waited_ms: u64,
    /// How long it may still have to wait, by how fast places have come free lately while all were taken; null before the
    /// first.
    pub estimate_ms: Option<u64>,
    /// After so long it is refused.
    pub deadline_ms: u64,
}
