//! One thing that a log tells and a diagnosis may need. All other lines are only counted.

use std::time::Duration;

use super::name::{Code, Name};
use super::ours::{Drain, Exchange, LedgerMismatch, Release};
use super::served::Served;
use super::when::When;

/// What a line tells. It owns all that it says and is at most 224 bytes; what is larger is boxed.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When. `None`: the line has no time, and only its position orders it.
    pub at: Option<When>,
    /// Where it stands.
    pub position: Position,
    /// Who says so.
    pub origin: Origin,
    /// How loudly. [`Level::Unknown`] where none is written.
    pub level: Level,
    /// Which machine: that of the line's head, or the one its text names where the head names none. Empty: it is not said.
    pub machine: Name,
    /// The region, in Fly's three letters. Empty: it is not said.
    pub region: Name,
    /// Which request, as `request.id` or `request_id` says. Empty: it is not said.
    pub request: Name,
    /// What.
    pub kind: Kind,
}

/// Where a record begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Which input, counted from 0 as they were given.
    pub file: u16,
    /// Which line of it, counted from 1.
    pub line: u64,
}

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The app, or the init that runs it in the machine.
    App,
    /// Fly's proxy, or Outlast in Fly's own words (`outlast::proxy`).
    Proxy,
    /// What starts and ends machines.
    Runner,
    /// Health checks.
    Health,
    /// Outlast, in its own words.
    Outlast,
    /// The line does not say, and its text could be of several.
    Unknown,
}

/// How loudly something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// No level is written.
    Unknown,
    /// Debug, or finer.
    Debug,
    /// Info.
    Info,
    /// A warning.
    Warn,
    /// An error.
    Error,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Connections to the machine.
    Connections,
    /// Requests in progress.
    Requests,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A machine has as many as it may have. The machine may be unknown (the incident's own lines name none).
    HardLimit {
        /// The limit that the line names.
        limit: Option<u32>,
        /// What it counts.
        unit: Option<Unit>,
    },
    /// The proxy could not serve something.
    ProxyError {
        /// The code, as written, or as the text stands for it in lines from before there were codes.
        code: Code,
        /// Whether the code is written: a text may stand for more than one code.
        is_written: bool,
        /// The code after `last error:`.
        cause: Option<Code>,
        /// After how many attempts: `within 40 attempts`, `after 15 attempts`.
        attempts: Option<u32>,
        /// After how long: `within 75ms`, `(in 8.1s)`.
        waited: Option<Duration>,
    },
    /// The edge let a connection go because the app's backlog was full: no machine ever saw it.
    BacklogFull,
    /// The proxy or the runner begins to start a machine.
    Starting,
    /// The machine runs, says the runner or the proxy.
    Started {
        /// How long it took.
        took: Option<Duration>,
    },
    /// The proxy has reached the app's port.
    Reachable {
        /// How long that took after the start.
        took: Option<Duration>,
    },
    /// The proxy still cannot reach the app's port.
    WaitingForReachable {
        /// For how long it has tried.
        waited: Option<Duration>,
    },
    /// The machine is frozen.
    Suspended,
    /// The proxy stops or suspends a machine because others, or nothing, have enough room.
    Autostop {
        /// Which of the two.
        how: Autostop,
        /// How many machines are left running.
        left: Option<u32>,
        /// Of how many that ran before.
        of: Option<u32>,
    },
    /// The main process is sent a signal.
    Signal {
        /// Such as `SIGINT`.
        name: Name,
    },
    /// The main process, or the machine, has ended.
    Exited {
        /// How.
        cause: ExitCause,
        /// Whether it is started again. `None`: the line does not say.
        restarts: Option<bool>,
    },
    /// The kernel, or the app's runtime, had no memory left.
    OutOfMemory,
    /// A step of a deployment, or of the creation of a machine.
    Deploy(Deploy),
    /// A health check came to a result.
    Health {
        /// Which.
        status: Health,
        /// Its name, or `port 8080` where it has none.
        check: Name,
    },
    /// A machine does not start.
    NotStarted,
    /// A trial machine is stopped after its five minutes.
    TrialStop,
    /// A line of the app that bears on connections.
    App(AppSign),
    /// A request, run or connection has ended, or its head was sent, says the app in a line about it.
    Served(Served),
    /// One exchange of ours has ended: a line of `outlast::access`.
    Exchange(Box<Exchange>),
    /// We released a peer that answered nothing any more.
    Release(Box<Release>),
    /// Permits, gauge and sockets disagreed: our own defect.
    LedgerMismatch(Box<LedgerMismatch>),
    /// Our gateway drains.
    Drain(Drain),
    /// A machine of ours gets no exchanges for a while because it kept failing them.
    Ejected,
    /// It gets some again.
    EjectionEnded,
    /// Our listener takes no new clients for a while, or lacks something for connections to machines.
    Shortage {
        /// The reason as it names it, such as `descriptors` or `connections_max`.
        of: Name,
    },
    /// Lines of our log are missing here.
    LinesLost {
        /// How many.
        lines: u64,
    },
}

/// What the proxy does with a machine that is not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Autostop {
    /// Signal, `kill_timeout`, end.
    Stop,
    /// A snapshot without a signal.
    Suspend,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitCause {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The line does not say.
    Unknown,
}

/// A step of a deployment. Each alone proves little: a machine is also created when an app is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deploy {
    /// `Pulling container image …`.
    Pulling,
    /// `Configuring firecracker`.
    Configuring,
    /// `Machine created and started in …`; a [`Kind::Started`] of the runner is not told beside it.
    Created,
    /// A version of the machine is replaced by another, or is left stopped after the update.
    Replaced,
}

/// What a health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// The machine gets traffic.
    Passing,
    /// It has not failed yet.
    Warning,
    /// The machine gets no traffic.
    Failing,
}

/// What a line of an app says of its connections. Found by words that common servers print: an app may use them for
/// something else, and prove nothing by not using them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AppSign {
    /// It listens: `listening on`, `started server on`.
    Listening,
    /// Its client aborted: `AbortError`, `aborted`, `client disconnected`, `context canceled`, `499`.
    ClientAborted,
    /// A connection was reset: `ECONNRESET`, `connection reset by peer`.
    Reset,
    /// It wrote to a connection that was closed: `EPIPE`, `broken pipe`.
    BrokenPipe,
    /// Something that it connects to refuses: `ECONNREFUSED`, `connection refused`.
    Refused,
    /// Something took too long: `ETIMEDOUT`, `timed out`.
    TimedOut,
    /// It has no descriptors left: `EMFILE`, `too many open files`.
    DescriptorsGone,
    /// A peer of it answered nothing any more: `no pong`, `ping timeout`.
    PeerLost,
    /// It speaks of keep-alive.
    KeepAlive,
    /// It answered a request with 5xx, as a line in one of the usual access log formats says.
    ServerError {
        /// The status.
        status: u16,
    },
    /// A kernel or an init says that the machine restarts.
    Restarting,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_small() {
        assert!(size_of::<Event>() <= 224, "{}", size_of::<Event>());
    }
}
