//! Who takes part: peers of which the truth is known, and what the gateway has to make of them.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use outlast_testkit::Network;

use super::rows::rows;

/// How the client speaks with the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A chunked response of lines, as a chat's.
    Ndjson,
    /// A chunked response of events.
    Sse,
    /// What a WebSocket begins with. Behind it the gateway sees bytes alone.
    Upgrade,
    /// A raw TCP service.
    Raw,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "NDJSON",
            Self::Sse => "SSE",
            Self::Upgrade => "WebSocket",
            Self::Raw => "raw TCP",
        }
    }

    pub(super) fn is_tunnel(self) -> bool {
        matches!(self, Self::Upgrade | Self::Raw)
    }
}

/// What the machine sends once all have begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// A line each second.
    Ticks,
    /// A line, and then nothing.
    Silence,
    /// A MiB, and then nothing: more than a client's kernel takes that is not read.
    Push,
    /// 1.6 MB a second.
    Bulk,
    /// Not even a head, before the end.
    NoHead,
}

/// What the client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Reads,
    /// 1 KiB a second.
    ReadsSlowly,
    ReadsNothing,
    /// A process that is stopped before anything comes.
    Stopped,
    /// Reads, and sends a line each second.
    Sends,
    /// Reads, and sends a MiB.
    Pushes,
    HalfCloses,
    Closes,
    Resets,
}

/// What the machine does beside sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    Serves,
    ReadsNothing,
    /// A process of its own, which sends a line each second and is stopped.
    Stopped,
    HalfCloses,
    /// In order, within its response.
    Closes,
    Resets,
}

impl Machine {
    /// Whether it is gone from the moment on when peers act.
    pub(super) fn leaves(self) -> bool {
        matches!(self, Self::Closes | Self::Resets)
    }
}

/// When the network fails. A silent peer is probed every 10 s, counted from the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    BeforeProbe,
    AfterProbe,
}

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    None,
    /// One in twenty packets is lost.
    Loss,
    ClientVanishes(Moment),
    /// It is gone for 20 s.
    ClientSleeps(Moment),
    MachineVanishes(Moment),
    MachineSleeps(Moment),
}

/// Which gateway is between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gateway {
    Usual,
    /// Its kernel asks those who read nothing after 5 s at the latest (`net.ipv4.tcp_rto_max_ms = 5000`).
    ProbesOften,
    /// Nobody looks at its exchanges, so that it keeps only what it needs itself.
    Unwatched,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Living,
    /// To be found within this time of its death.
    DeadClient(Duration),
    DeadMachine(Duration),
}

impl Truth {
    /// What the gateway has to write down at the end.
    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::Living => "completed",
            Self::DeadClient(_) => "client_gone",
            Self::DeadMachine(_) => "machine_failed",
        }
    }
}

/// One line of the matrix.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) kinds: &'static [Kind],
    pub(super) flow: Flow,
    pub(super) client: Client,
    pub(super) machine: Machine,
    pub(super) fate: Fate,
    pub(super) truth: Truth,
    /// States that have to be shown at least once.
    pub(super) shown: &'static [&'static str],
    pub(super) gateway: Gateway,
}

/// Whom a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Machine,
}

/// One exchange of the matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    pub(super) number: usize,
    pub(super) side: Side,
    pub(super) row: &'static Row,
    pub(super) kind: Kind,
}

impl Subject {
    /// Where its client comes from.
    pub(super) fn address(&self) -> Ipv4Addr {
        match self.row.client {
            Client::Stopped => Network::UNBOUND_CLIENT,
            _ => Network::client(self.number),
        }
    }

    /// By its last segment the machine knows what to do, and the log tells of whom it speaks; by its first one the gateway knows
    /// whether who has finished may listen.
    pub(super) fn path(&self) -> String {
        let is_kept = self.row.client == Client::HalfCloses && self.row.truth == Truth::Living;
        format!("/{}/{}", if is_kept { "kept" } else { "any" }, self.number)
    }

    /// The number in such a path.
    pub(super) fn number(path: &str) -> Option<usize> {
        path.rsplit('/').next()?.parse().ok()
    }

    /// Whether each direction comes to its own end.
    pub(super) fn ends_both_ways(&self) -> bool {
        self.kind.is_tunnel() && self.row.truth == Truth::Living
    }

    /// Which failure of the network kills it; who leaves by itself does so with the first.
    pub(super) fn dies_at(&self) -> Option<Moment> {
        match (self.row.truth, self.row.fate) {
            (Truth::Living, _) => None,
            (_, Fate::ClientVanishes(moment) | Fate::MachineVanishes(moment)) => Some(moment),
            _ => Some(Moment::BeforeProbe),
        }
    }

    /// Whether nothing is ever heard of it again.
    pub(super) fn has_vanished(&self) -> bool {
        matches!(self.row.fate, Fate::ClientVanishes(_) | Fate::MachineVanishes(_))
    }

    pub(super) fn request(&self) -> String {
        let fields = match self.kind {
            Kind::Ndjson | Kind::Sse => "Host: a\r\nConnection: close\r\n",
            Kind::Upgrade => {
                "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            }
            Kind::Raw => "",
        };
        format!("GET {} HTTP/1.1\r\n{fields}\r\n", self.path())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Client => "client",
            Side::Machine => "machine",
        };
        write!(f, "{} {side} {:?} ({})", self.number, self.row.name, self.kind.name())
    }
}

/// Every row with each of its kinds.
pub(super) fn subjects() -> Vec<Subject> {
    let pairs = rows().flat_map(|(side, row)| row.kinds.iter().map(move |kind| (side, row, *kind)));
    pairs
        .enumerate()
        .map(|(number, (side, row, kind))| Subject { number, side, row, kind })
        .collect()
}
