//! The checked plan: after this nobody checks again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::health::{Eject, HealthCheck, Retry};
use crate::pattern::PathPattern;
use crate::proxies::{HeaderName, Network};
use crate::route::{ConnectionClocks, Routes};

/// Everything `outlast up` needs, valid as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The app's name: `app` of `fly.toml`, else `outlast`. Given to machines as `FLY_APP_NAME`.
    pub app: String,
    /// The region in logs and in `FLY_REGION`: `primary_region`, else `local`.
    pub region: String,
    /// The services, the first HTTP service first (flags override that one). At least one.
    pub services: Vec<Service>,
    /// `[checks]` of `fly.toml`: they are shown, and decide nothing.
    pub checks: Vec<HealthCheck>,
    /// What machines are started, or where they already run.
    pub machines: Machines,
    /// How many client connections there may be.
    pub listen: Listen,
    /// What happens to upstream connections between exchanges.
    pub upstream: Upstream,
    /// `exchange.buffer_max`, default 2 MiB: so many bytes are kept for a peer that does not read, per direction, by the kernel
    /// and by the gateway each.
    pub buffer_max: usize,
    /// The bounded wait for a place, per service.
    pub queue: Queue,
    /// Places kept for short control calls, per service.
    pub reserve: Reserve,
    /// When a machine that keeps failing exchanges gets no more of them for a while.
    pub eject: Eject,
    /// How many exchanges may try another machine.
    pub retry: Retry,
    /// How long a drain waits for exchanges in flight. `drain.grace`, default 30 s.
    pub drain_grace: Duration,
    /// The desktop's agent.
    pub agent: Agent,
    /// The desktop's durable streams.
    pub streams: Streams,
}

/// A public port, its limits and the machines behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Unique, for metrics and logs: `http` for `http_service`, else `tcp-3001` or `http-8443` after the public port.
    pub name: String,
    /// What is spoken on the port.
    pub kind: ServiceKind,
    /// Where we listen.
    pub listen: SocketAddr,
    /// The port of `fly.toml` on which the app listens inside its machine. With `--to` the port of the address.
    pub internal_port: u16,
    /// Limits, per machine.
    pub limits: Limits,
    /// The process groups whose machines serve it. Empty: all.
    pub groups: Vec<String>,
    /// The clocks that run before there is a path.
    pub clocks: ConnectionClocks,
    /// What holds for its exchanges, by their path. Raw TCP has no paths, and what holds is `routes.rest`.
    pub routes: Routes,
    /// Its machines take traffic only while all of these pass.
    pub checks: Vec<HealthCheck>,
}

/// What is spoken on a service's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// HTTP/1.1 is parsed and relayed.
    Http,
    /// Bytes are passed through, one upstream connection per client connection.
    Tcp,
}

/// Limits of one service on one machine (design rules 1 to 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What is counted.
    pub accounting: Accounting,
    /// From here on the machine gets traffic only if all are at soft. None: never.
    pub soft: Option<NonZeroU32>,
    /// From here on the machine gets none. None: no limit.
    pub hard: Option<NonZeroU32>,
}

/// What counts against a limit: `concurrency.type` of `fly.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accounting {
    /// Upstream TCP connections, from connect to close, busy or idle.
    Connections,
    /// Exchanges in flight, until the last byte of the response body.
    Requests,
}

/// The machines of the plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Machines {
    /// Processes on this host, by group. At least one group.
    Local(Vec<Group>),
    /// Addresses given by `--to`; they serve the first HTTP service.
    Fixed(Vec<SocketAddr>),
}

/// A process group of `fly.toml` and how one of its machines runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The group's name, `app` if there is no `[processes]`.
    pub name: String,
    /// What runs.
    pub command: Command,
    /// How many machines: `--machines`, default 1.
    pub count: NonZeroU32,
    /// The environment of `[env]`, as written; the values equal to an internal port are rewritten when a machine starts.
    /// Without a `fly.toml` a program has `PORT`, equal to the internal port.
    pub env: BTreeMap<String, String>,
    /// The signal that asks a machine to stop. Default `SIGINT`.
    pub kill_signal: KillSignal,
    /// How long it may take before it is killed. Default 5 s, at most 300 s.
    pub kill_timeout: Duration,
}

/// What a machine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `outlast serve`, the desktop.
    Desktop,
    /// A program and its arguments.
    Program(Vec<String>),
}

/// A signal by which a machine is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are POSIX's")]
pub enum KillSignal {
    Hup,
    Int,
    Quit,
    Kill,
    Usr1,
    Usr2,
    Term,
    Stop,
}

impl KillSignal {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Int,
        Self::Term,
        Self::Quit,
        Self::Hup,
        Self::Usr1,
        Self::Usr2,
        Self::Kill,
        Self::Stop,
    ];

    /// The name as POSIX and `fly.toml` write it, such as `SIGINT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hup => "SIGHUP",
            Self::Int => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Kill => "SIGKILL",
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
            Self::Term => "SIGTERM",
            Self::Stop => "SIGSTOP",
        }
    }

    /// The signal of a name, in any case, with or without `SIG`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let wanted = name.trim().to_ascii_uppercase();
        let wanted = wanted.strip_prefix("SIG").unwrap_or(&wanted);
        Self::ALL.into_iter().find(|signal| signal.name().strip_prefix("SIG") == Some(wanted))
    }
}

/// Client connections, all services together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// At once; more wait in the kernel. None: as many as there are descriptors for. `listen.connections_max`, default none.
    pub connections_max: Option<NonZeroU32>,
    /// Of those, from one client address, or from one /64 of IPv6; more are reset at once. Trusted proxies are not
    /// counted: all their clients have one address. None: no limit. `listen.connections_per_client_max`, default none.
    pub connections_per_client_max: Option<NonZeroU32>,
    /// Proxies before us, whose word about a client is taken. `listen.trusted_proxies`, default none.
    pub trusted_proxies: Vec<Network>,
    /// By which they name the client's address. `listen.client_header`, default `Fly-Client-IP`.
    pub client_header: HeaderName,
}

/// Between exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    /// Whether a lingering connection keeps its place. `upstream.linger`; default `hold` with a `fly.toml`, else `evict`.
    pub linger: Linger,
    /// How long an upstream connection is kept unused. `upstream.idle_timeout`, default 4 s.
    pub idle_timeout: Duration,
    /// So many bytes of a request body, or all of it, arrive before the exchange asks for a place. 0: none.
    /// `upstream.request_buffer`, default 16 KiB, at most 64 KiB.
    pub request_buffer: usize,
}

/// What a lingering upstream connection does with its place (rule 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linger {
    /// Keeps it until closed: what was seen in the field.
    Hold,
    /// Gives it up when an exchange waits.
    Evict,
}

/// The queue of each service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// `queue.depth_max`, default 100 exchanges. 0: nobody waits.
    pub depth_max: usize,
    /// `queue.timeout`, default 30 s. Zero: refused at once.
    pub timeout: Duration,
    /// Of requests by way of a trusted proxy: who waits in one line, where it is there. `queue.client_header`, default none:
    /// clients are told apart by address.
    pub client_header: Option<HeaderName>,
}

/// Places for control calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// `reserve.slots`, default 2 per service and machine.
    pub slots: u32,
    /// `reserve.paths`.
    pub paths: Vec<PathPattern>,
}

/// The desktop's agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// `agent.kind`, default `auto`.
    pub kind: AgentKind,
    /// `agent.pace`, default 0 s: scout stretches a run to about this long.
    pub pace: Duration,
    /// `agent.runs_max`, default 8 runs at once.
    pub runs_max: usize,
}

/// The desktop's durable streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    /// `streams.append_max`, default 8 MiB: the longest body of an append.
    pub append_max: usize,
    /// `streams.bytes_max`, default 10 GiB: bytes of all streams.
    pub bytes_max: u64,
    /// `streams.age_max`, default none: how long a stream is kept to which nothing is appended.
    pub age_max: Option<Duration>,
    /// `streams.readers_max`, default 10,000 live readers at once.
    pub readers_max: usize,
    /// `streams.poll_timeout`, default 20 s: how long a long poll waits. Above 0.
    pub poll_timeout: Duration,
    /// `streams.events_lifetime`, default 60 s: how long an answer of events goes on. Above 0.
    pub events_lifetime: Duration,
}

/// Which agent answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentKind {
    /// The best that is there. Today always scout.
    Auto,
    /// The built-in explorer.
    Scout,
}
