//! What a line is for a diagnosis: a kind of which there are few, so that they can be counted.

use std::time::Duration;

use crate::logs::{
    AppSign, Autostop, Code, Drain, Event, Exchange, ExchangeOutcome, ExitCause, Health, Kind,
};

/// From here on a wait for a machine is one that people notice: the proxy itself tells of it from 5 s on.
pub(crate) const START_IS_SLOW: Duration = Duration::from_secs(5);
/// An exchange is long from here on: its place is not free again before the next request comes.
pub(crate) const EXCHANGE_IS_LONG: Duration = Duration::from_secs(5);

/// A kind of line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Sight {
    HardLimit,
    Proxy(Code),
    Backlog,
    Starting,
    Started,
    Reachable,
    ReachableLate,
    Waiting,
    NotStarted,
    Listening,
    Autostop,
    Autosuspend,
    Suspended,
    Signal,
    Exit,
    BadExit,
    OutOfMemory,
    Deploy,
    Unhealthy,
    Healthy,
    TrialStop,
    Aborted,
    Broken,
    AppTimedOut,
    KeepAlive,
    PeerLost,
    Served,
    Completed,
    Refused,
    NoMachine,
    Draining,
    ClientGone,
    ClientVanished,
    MachineFailed,
    TimedOut,
    Cut,
    Defect,
    Released,
    DrainBegan,
    Ended,
    Ejected,
    Shortage,
    ServerError,
    LinesLost,
}

/// What it means for the people who use the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nature {
    /// Somebody got an error, or lost an answer.
    Failure,
    /// Somebody waited, or something is about to fail.
    Warning,
    /// It follows from something else, as a rule.
    Symptom,
    /// Machines come and go.
    Life,
    /// All is well.
    Traffic,
}

impl Sight {
    /// The kind of an event. `None`: it bears on no hypothesis.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        Some(match &event.kind {
            Kind::HardLimit { .. } => Self::HardLimit,
            Kind::ProxyError { code, .. } => Self::Proxy(*code),
            Kind::BacklogFull => Self::Backlog,
            Kind::Starting => Self::Starting,
            Kind::Started { .. } => Self::Started,
            Kind::Reachable { took: Some(took) } if *took >= START_IS_SLOW => Self::ReachableLate,
            Kind::Reachable { .. } => Self::Reachable,
            Kind::WaitingForReachable { .. } => Self::Waiting,
            Kind::Suspended => Self::Suspended,
            Kind::Autostop { how: Autostop::Stop, .. } => Self::Autostop,
            Kind::Autostop { how: Autostop::Suspend, .. } => Self::Autosuspend,
            Kind::Signal { .. } => Self::Signal,
            Kind::Exited { cause: ExitCause::Code(0), .. } => Self::Exit,
            Kind::Exited { .. } => Self::BadExit,
            Kind::OutOfMemory => Self::OutOfMemory,
            Kind::Deploy(_) => Self::Deploy,
            Kind::Health { status: Health::Passing, .. } => Self::Healthy,
            Kind::Health { .. } => Self::Unhealthy,
            Kind::NotStarted => Self::NotStarted,
            Kind::TrialStop => Self::TrialStop,
            Kind::App(sign) => return Self::of_app(*sign),
            Kind::Served(served) if served.status >= 500 => Self::ServerError,
            Kind::Served(served) if served.status == 499 => Self::Aborted,
            Kind::Served(_) => Self::Served,
            Kind::Exchange(exchange) => Self::of_exchange(exchange),
            Kind::Release(_) => Self::Released,
            Kind::LedgerMismatch(_) => Self::Defect,
            Kind::Drain(Drain::Began) => Self::DrainBegan,
            Kind::Drain(Drain::Cut) => Self::Cut,
            Kind::Drain(Drain::Ended { .. }) => Self::Ended,
            Kind::Ejected => Self::Ejected,
            Kind::EjectionEnded => return None,
            Kind::Shortage { .. } => Self::Shortage,
            Kind::LinesLost { .. } => Self::LinesLost,
        })
    }

    fn of_app(sign: AppSign) -> Option<Self> {
        Some(match sign {
            AppSign::Listening => Self::Listening,
            AppSign::ClientAborted => Self::Aborted,
            AppSign::Reset | AppSign::BrokenPipe => Self::Broken,
            AppSign::TimedOut => Self::AppTimedOut,
            AppSign::ServerError { .. } => Self::ServerError,
            AppSign::PeerLost => Self::PeerLost,
            AppSign::KeepAlive => Self::KeepAlive,
            _ => return None,
        })
    }

    fn of_exchange(exchange: &Exchange) -> Self {
        match exchange.outcome {
            ExchangeOutcome::Completed | ExchangeOutcome::Ended | ExchangeOutcome::Other => {
                Self::Completed
            }
            ExchangeOutcome::Refused => match exchange.detail.as_str() {
                "limit" | "queue_full" | "queue_deadline" => Self::Refused,
                "none_healthy" => Self::NoMachine,
                "draining" => Self::Draining,
                "descriptors" | "ports" | "memory" => Self::Shortage,
                // The client's own fault.
                _ => Self::Completed,
            },
            ExchangeOutcome::ClientGone if exchange.has_vanished => Self::ClientVanished,
            ExchangeOutcome::ClientGone => Self::ClientGone,
            ExchangeOutcome::MachineFailed => Self::MachineFailed,
            ExchangeOutcome::TimedOut => Self::TimedOut,
            ExchangeOutcome::CutByDrain => Self::Cut,
            ExchangeOutcome::Internal => Self::Defect,
        }
    }

    pub(crate) fn nature(self) -> Nature {
        match self {
            Self::Proxy(_)
            | Self::Backlog
            | Self::NotStarted
            | Self::BadExit
            | Self::OutOfMemory
            | Self::Refused
            | Self::NoMachine
            | Self::Draining
            | Self::MachineFailed
            | Self::TimedOut
            | Self::Cut
            | Self::Defect
            | Self::ServerError => Nature::Failure,
            Self::HardLimit
            | Self::Waiting
            | Self::ReachableLate
            | Self::Unhealthy
            | Self::ClientVanished
            | Self::PeerLost
            | Self::Released
            | Self::Ejected
            | Self::Shortage => Nature::Warning,
            Self::Aborted | Self::Broken | Self::AppTimedOut | Self::ClientGone => Nature::Symptom,
            Self::Starting
            | Self::Started
            | Self::Reachable
            | Self::Listening
            | Self::Autostop
            | Self::Autosuspend
            | Self::Suspended
            | Self::Signal
            | Self::Exit
            | Self::Deploy
            | Self::Healthy
            | Self::TrialStop
            | Self::KeepAlive
            | Self::DrainBegan
            | Self::Ended
            | Self::LinesLost => Nature::Life,
            Self::Completed | Self::Served => Nature::Traffic,
        }
    }

    /// Whether the proxy found no machine for a request.
    pub(crate) fn is_no_candidate(self) -> bool {
        matches!(self, Self::Proxy(code) if code.class() == "PR")
    }

    /// Whether the proxy's line tells of a request that failed, and not of one attempt of it.
    pub(crate) fn is_failed_request(self) -> bool {
        matches!(self, Self::Proxy(code) if matches!(code.class(), "PR" | "PU" | "PA"))
    }

    /// Whether the proxy's line tells of one attempt to reach or to start a machine.
    pub(crate) fn is_failed_attempt(self) -> bool {
        matches!(self, Self::Proxy(code) if matches!(code.class(), "PM" | "PC"))
    }

    /// Whether the machine runs and its port does not answer.
    pub(crate) fn is_port_refused(self) -> bool {
        self == Self::Proxy(Code::PC01)
    }

    /// Whether a start itself failed.
    pub(crate) fn is_failed_start(self) -> bool {
        match self {
            Self::NotStarted => true,
            Self::Proxy(code) => {
                matches!(code.as_str(), "PM01" | "PM02" | "PM03" | "PM07" | "PM08")
            }
            _ => false,
        }
    }

    /// Whether something that was open broke.
    pub(crate) fn is_break(self) -> bool {
        match self {
            Self::Aborted | Self::Broken | Self::AppTimedOut | Self::ClientGone => true,
            Self::MachineFailed | Self::TimedOut | Self::ServerError => true,
            Self::Proxy(code) => code.class() == "PU",
            _ => false,
        }
    }

    /// Whether a machine went because it was not needed.
    pub(crate) fn is_stop(self) -> bool {
        matches!(self, Self::Autostop | Self::Autosuspend | Self::Suspended)
    }

    /// Whether it belongs to an incident only if trouble follows: else the machine goes to rest, or wakes, after all is over.
    pub(crate) fn may_be_after_all(self) -> bool {
        self.is_stop() || matches!(self, Self::TrialStop | Self::Starting)
    }

    /// What happened, for one line of a timeline.
    pub(crate) fn phrase(self) -> &'static str {
        match self {
            Self::HardLimit => "at its hard limit",
            Self::Proxy(code) => proxy_phrase(code),
            Self::Backlog => "the edge dropped connections: its backlog for the app was full",
            Self::Starting => "a start began",
            Self::Started => "the machine runs",
            Self::Reachable => "the app answers",
            Self::ReachableLate => "the app answers, late",
            Self::Waiting => "the proxy waits for the app to answer",
            Self::NotStarted => "the machine does not start",
            Self::Listening => "the app says that it listens",
            Self::Autostop => "stopped as not needed",
            Self::Autosuspend => "suspended as not needed",
            Self::Suspended => "the machine is frozen",
            Self::Signal => "the app is told to end",
            Self::Exit => "the app ended with code 0",
            Self::BadExit => "the app ended, not with code 0",
            Self::OutOfMemory => "no memory was left",
            Self::Deploy => "a new version, or a new machine, was set up",
            Self::Unhealthy => "a health check did not pass",
            Self::Healthy => "a health check passes",
            Self::TrialStop => "a trial machine was stopped",
            Self::Aborted => "clients aborted, says the app",
            Self::Broken => "connections broke, says the app",
            Self::AppTimedOut => "something timed out, says the app",
            Self::KeepAlive => "the app speaks of keep-alive",
            Self::PeerLost => "a peer did not answer the app",
            Self::Served => "requests were answered",
            Self::Completed => "exchanges completed",
            Self::Refused => "exchanges were refused: no place",
            Self::NoMachine => "exchanges were refused: no machine takes traffic",
            Self::Draining => "exchanges were refused: the gateway drains",
            Self::ClientGone => "clients left",
            Self::ClientVanished => "exchanges ended because their clients had vanished",
            Self::MachineFailed => "exchanges failed in the machine",
            Self::TimedOut => "exchanges ran out of time",
            Self::Cut => "exchanges were cut by the end of the gateway",
            Self::Defect => "a defect of the gateway",
            Self::Released => "a peer that answered nothing was released",
            Self::DrainBegan => "the gateway drains",
            Self::Ended => "the gateway ended",
            Self::Ejected => "the machine was left out, as it kept failing",
            Self::Shortage => "the gateway lacked descriptors, ports, memory or room for clients",
            Self::ServerError => "the app answered with 5xx",
            Self::LinesLost => "lines of the log are missing",
        }
    }
}

fn proxy_phrase(code: Code) -> &'static str {
    match (code.as_str(), code.class()) {
        ("PC01", _) => "the app's port refused the proxy",
        ("PM05", _) => "the proxy gave a started machine up: its port did not answer",
        ("PM11", _) => "a machine that was just stopped was asked for",
        ("PR01", _) => "no healthy machine",
        ("PR03" | "PR04", _) => "requests found no machine to go to",
        (_, "PC") => "connections to the app failed",
        (_, "PM") => "a machine could not be started",
        (_, "PU") => "the app broke answers off",
        (_, "PR") => "requests found no machine to go to",
        (_, "PT") => "TLS with clients failed",
        (_, "PL") => "the proxy went beyond a limit",
        _ => "the proxy could not serve something",
    }
}
