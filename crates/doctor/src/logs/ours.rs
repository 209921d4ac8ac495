//! What Outlast's own log tells of its exchanges.

use std::net::IpAddr;
use std::time::Duration;

use super::name::Name;

/// One exchange and how it ended: a line of `outlast::access` (docs/interface.md).
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// How it ended.
    pub outcome: ExchangeOutcome,
    /// The reason, stage, clock or person that the outcome leaves open, such as `queue_deadline` or `streaming`.
    pub detail: Name,
    /// Whether the client is gone because it answered nothing any more (`cause` is `vanished`).
    pub has_vanished: bool,
    /// The status that the client got. 0: none.
    pub status: u16,
    /// The client's address, without its port: only JSON lines and those for people name it.
    pub client: Option<IpAddr>,
    /// The service. Empty: a line for people does not name it.
    pub service: Name,
    /// The path, without the query.
    pub path: Name,
    /// How many machines it was led to. 0: a line for people does not say.
    pub attempts: u32,
    /// Bytes sent to the client. Lines for people round them.
    pub sent_bytes: u64,
    /// Bytes received from it. 0: a line for people does not say.
    pub received_bytes: u64,
    /// How long it waited for a place.
    pub queued: Duration,
    /// When the response began, after the exchange did. `None`: it did not, or the line is one for people.
    pub first_byte: Option<Duration>,
    /// From its beginning to the end: the line's own time is that of the end.
    pub duration: Duration,
}

/// The outcomes of docs/interface.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExchangeOutcome {
    /// Relayed to the last byte.
    Completed,
    /// Never got a place.
    Refused,
    /// The client left.
    ClientGone,
    /// The machine broke off.
    MachineFailed,
    /// A clock ran out.
    TimedOut,
    /// Our end cut it.
    CutByDrain,
    /// An operator ended it.
    Ended,
    /// A defect of ours.
    Internal,
    /// An outcome of another version.
    Other,
}

/// A peer that answered nothing any more, and whose exchange was released for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// `client_vanished` or `machine_vanished`.
    pub reason: Name,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The service.
    pub service: Name,
}

/// Permits, gauge and sockets disagreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerMismatch {
    /// Between what.
    pub mismatch: Name,
    /// The service.
    pub service: Name,
}

/// How our gateway ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// It takes no more exchanges.
    Began,
    /// An exchange was cut. The access line of the exchange says so, too.
    Cut,
    /// It has ended.
    Ended {
        /// How many exchanges were cut.
        late: u64,
    },
}
