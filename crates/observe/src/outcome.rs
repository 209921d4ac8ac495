//! How an exchange ended, and whose doing it was.

use std::time::Duration;

use outlast_http1::Stage;

/// How an exchange ended. Exactly one is recorded, even when its future is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The last byte of the response was relayed, or both sides of a tunnel closed.
    Completed,
    /// Never dispatched to a machine.
    Refused(RefusalReason),
    /// The client closed, reset, or sent what is not a request body.
    ClientGone(Stage, Departure),
    /// The machine refused, reset, cut or answered nonsense.
    MachineFailed(Stage, MachineFault),
    /// One of our clocks ran out.
    TimedOut(TimedClock),
    /// It did not finish within the grace of a drain.
    CutByDrain {
        /// `drain.grace`.
        grace: Duration,
    },
    /// Someone ended it.
    Ended(EndedBy),
    /// Our fault; the panic is in the log.
    Internal,
}

/// Why an exchange was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// All machines at their hard limit, and no waiting allowed.
    Limit,
    /// The queue is full.
    QueueFull,
    /// It waited too long for a place.
    QueueDeadline,
    /// The process drains.
    Draining,
    /// No machine takes traffic.
    NoneHealthy,
    /// We lack something for a connection to a machine.
    Shortage(Shortage),
    /// The request breaks a rule of HTTP or asks for what is not supported: one of [`outlast_http1::RULES`].
    BadRequest(&'static str),
}

/// What we may run out of on the way to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// The process or the system has no descriptor left.
    Descriptors,
    /// The system has no local port left, or no local address at all from which the machine could be reached.
    Ports,
    /// The system has no memory left for a socket.
    Memory,
}

/// Why a listener accepts nothing for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptPause {
    /// As many clients are connected as may be.
    ConnectionsMax,
    /// The process or the system has no descriptor, or no memory, for another connection.
    Descriptors,
}

/// Which limit closed a connection. What an outcome tells of is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionClose {
    /// A client sent no further request within `clocks.keep_alive`.
    KeepAlive,
    /// A connection to a machine was idle, and as many of them are kept already.
    PoolFull,
    /// A client did not close within two seconds after its last answer.
    CloseTimeout,
    /// A client sent 16 MiB after its last answer.
    CloseBytesMax,
}

/// What a machine did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineFault {
    /// Connecting failed.
    Connect,
    /// The connection was closed or reset.
    Closed,
    /// The response breaks a rule of HTTP, or was cut: one of [`outlast_http1::RULES`].
    Response(&'static str),
    /// It sent the request on to a machine that is not there, or has had it.
    Replay,
    /// It answered nothing any more, not even a probe.
    Vanished,
}

/// How a client went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It closed, reset, or sent what is not a request body.
    Left,
    /// It answered nothing any more, not even a probe.
    Vanished,
}

/// A clock that ends exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimedClock {
    /// `clocks.connect`.
    Connect,
    /// `clocks.head`.
    Head,
    /// `clocks.response_head`.
    ResponseHead,
    /// `clocks.chunk_gap`.
    ChunkGap,
    /// `clocks.lifetime`.
    Lifetime,
    /// `clocks.write_stall`.
    WriteStall,
}

impl TimedClock {
    /// Every clock: the values of the label `clock`.
    pub const ALL: [Self; 6] = [
        Self::Connect,
        Self::Head,
        Self::ResponseHead,
        Self::ChunkGap,
        Self::Lifetime,
        Self::WriteStall,
    ];

    /// The clock's name in logs and metrics: its key in `[clocks]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Head => "head",
            Self::ResponseHead => "response_head",
            Self::ChunkGap => "chunk_gap",
            Self::Lifetime => "lifetime",
            Self::WriteStall => "write_stall",
        }
    }
}

/// Who ended an exchange on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// `DELETE /api/exchanges/{id}`.
    Operator,
}

/// Why an exchange is to end that would go on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `DELETE /api/exchanges/{id}`.
    Operator,
    /// The client has not answered for too long.
    ClientVanished,
    /// The machine has not.
    MachineVanished,
}

impl Ending {
    /// The outcome of an exchange that had come to `stage`.
    #[must_use]
    pub fn outcome(self, stage: Stage) -> Outcome {
        match self {
            Self::Operator => Outcome::Ended(EndedBy::Operator),
            Self::ClientVanished => Outcome::ClientGone(stage, Departure::Vanished),
            Self::MachineVanished => Outcome::MachineFailed(stage, MachineFault::Vanished),
        }
    }
}

impl Outcome {
    /// What [`Outcome::release`] can give: the values of the label `reason`.
    pub const RELEASES: [&str; 2] = ["client_vanished", "machine_vanished"];

    /// Every name that [`Outcome::name`] can give: the values of the label `outcome`.
    pub const NAMES: [&str; 8] = [
        "completed",
        "refused",
        "client_gone",
        "machine_failed",
        "timed_out",
        "cut_by_drain",
        "ended_by",
        "internal",
    ];

    /// The outcome's name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Refused(_) => "refused",
            Self::ClientGone(..) => "client_gone",
            Self::MachineFailed(..) => "machine_failed",
            Self::TimedOut(_) => "timed_out",
            Self::CutByDrain { .. } => "cut_by_drain",
            Self::Ended(_) => "ended_by",
            Self::Internal => "internal",
        }
    }

    /// The rule of HTTP that request or response broke, if that is why.
    #[must_use]
    pub fn rule(self) -> Option<&'static str> {
        match self {
            Self::Refused(RefusalReason::BadRequest(rule))
            | Self::MachineFailed(_, MachineFault::Response(rule)) => Some(rule),
            _ => None,
        }
    }

    /// What the stage leaves open of a client that is gone.
    #[must_use]
    pub fn cause(self) -> Option<&'static str> {
        matches!(self, Self::ClientGone(_, Departure::Vanished)).then_some("vanished")
    }

    /// Who was released because nothing was heard of it any more: one of [`Outcome::RELEASES`].
    #[must_use]
    pub fn release(self) -> Option<&'static str> {
        match self {
            Self::ClientGone(_, Departure::Vanished) => Some("client_vanished"),
            Self::MachineFailed(_, MachineFault::Vanished) => Some("machine_vanished"),
            _ => None,
        }
    }

    /// What the name leaves open: the reason, stage, clock or person. Empty if nothing.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::Refused(reason) => reason.name(),
            Self::ClientGone(stage, _) => stage.name(),
            Self::MachineFailed(_, MachineFault::Connect) => "connect",
            Self::MachineFailed(_, MachineFault::Closed) => "closed",
            Self::MachineFailed(_, MachineFault::Response(_)) => "response",
            Self::MachineFailed(_, MachineFault::Replay) => "replay",
            Self::MachineFailed(_, MachineFault::Vanished) => "vanished",
            Self::TimedOut(clock) => clock.name(),
            Self::Ended(EndedBy::Operator) => "operator",
            Self::Completed | Self::CutByDrain { .. } | Self::Internal => "",
        }
    }
}

impl RefusalReason {
    /// Every name that [`RefusalReason::name`] can give: the values of the label `reason`.
    pub const NAMES: [&str; 9] = [
        "limit",
        "queue_full",
        "queue_deadline",
        "draining",
        "none_healthy",
        "descriptors",
        "ports",
        "memory",
        "bad_request",
    ];

    /// The reason's name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::QueueFull => "queue_full",
            Self::QueueDeadline => "queue_deadline",
            Self::Draining => "draining",
            Self::NoneHealthy => "none_healthy",
            Self::Shortage(Shortage::Descriptors) => "descriptors",
            Self::Shortage(Shortage::Ports) => "ports",
            Self::Shortage(Shortage::Memory) => "memory",
            Self::BadRequest(_) => "bad_request",
        }
    }
}

impl ConnectionClose {
    /// Every limit: the values of the label `reason`.
    pub const ALL: [Self; 4] =
        [Self::KeepAlive, Self::PoolFull, Self::CloseTimeout, Self::CloseBytesMax];

    /// The limit's name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep_alive",
            Self::PoolFull => "pool_full",
            Self::CloseTimeout => "close_timeout",
            Self::CloseBytesMax => "close_bytes_max",
        }
    }
}

impl AcceptPause {
    /// Every reason: the values of the label `reason`.
    pub const ALL: [Self; 2] = [Self::ConnectionsMax, Self::Descriptors];

    /// The reason's name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnectionsMax => "connections_max",
            Self::Descriptors => "descriptors",
        }
    }
}
