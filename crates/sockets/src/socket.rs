//! A socket as the kernel tells of it, and which sockets are asked for.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One TCP socket at the moment of the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Our end; an IPv4 address within IPv6 is told as IPv4.
    pub local: SocketAddr,
    /// The other end, likewise.
    pub peer: SocketAddr,
    /// The state of the connection.
    pub state: TcpState,
    /// What the kernel waits for.
    pub timer: Timer,
    /// Bytes received that nobody has read.
    pub receive_queue: u32,
    /// Bytes written that the peer has not acknowledged: in flight, or not even sent.
    pub send_queue: u32,
    /// The user it belongs to.
    pub uid: u32,
    /// The number under `/proc/*/fd`; 0 once no process holds it.
    pub inode: u32,
    /// Told apart from every other socket since the system started.
    pub cookie: u64,
    /// `TCP_INFO`, where the kernel tells it.
    pub info: Option<Info>,
}

/// Of `TCP_INFO` what tells the living from the dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Segments in flight.
    pub unacked: u32,
    /// Retransmissions of the oldest of them, one after the other.
    pub retransmits: u8,
    /// Probes without an answer, of keepalive or of a closed window.
    pub probes: u8,
    /// How often the interval of retransmissions or probes was doubled.
    pub backoff: u8,
    /// Since data was sent, or sent again.
    pub last_data_sent: Duration,
    /// Since data was received.
    pub last_data_received: Duration,
    /// Since an acknowledgement was received, be it of a probe. Data that acknowledges nothing new is not among it.
    pub last_ack_received: Duration,
    /// The smoothed round-trip time.
    pub rtt: Duration,
    /// All that was ever acknowledged (Linux 4.2).
    pub bytes_acked: Option<u64>,
    /// Of the send queue what has not been sent (Linux 4.6).
    pub not_sent: Option<u32>,
    /// How much the peer has room for (Linux 5.4).
    pub send_window: Option<u32>,
}

impl Info {
    /// Since the peer's kernel was last heard, whatever it said.
    #[must_use]
    pub fn last_heard(&self) -> Duration {
        self.last_ack_received.min(self.last_data_received)
    }
}

/// The state of a connection (RFC 9293 section 3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpState {
    /// Both ways are open.
    Established,
    /// We have asked for a connection.
    SynSent,
    /// We were asked for one.
    SynReceived,
    /// We have finished; the peer has not acknowledged it.
    FinWait1,
    /// We have finished, and the peer knows.
    FinWait2,
    /// It is over, and old segments are waited for.
    TimeWait,
    /// No connection.
    Closed,
    /// The peer has finished.
    CloseWait,
    /// The peer has finished, and then we have.
    LastAck,
    /// It waits for connections.
    Listen,
    /// Both have finished at once.
    Closing,
    /// One that is not known here.
    Other(u8),
}

/// What the kernel waits for, and how many times in a row it did so in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Nothing.
    Off,
    /// An acknowledgement of data. How often the data was sent again.
    Retransmit(u8),
    /// The next look whether a silent peer lives. How many probes have no answer yet.
    KeepAlive(u8),
    /// The next look whether the peer's window has opened. How many probes have no answer yet.
    WindowProbe(u8),
    /// The end of old segments.
    TimeWait,
    /// One that is not known here.
    Other(u8),
}

/// Which sockets are asked for: each that has one of these ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub(crate) ends: BTreeSet<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Local(SocketAddr),
    Peer(SocketAddr),
}

impl Query {
    /// Sockets that are ours at this address; at an unspecified one, at any address with this port.
    pub fn local(&mut self, address: SocketAddr) {
        self.ends.insert(End::Local(canonical(address)));
    }

    /// Sockets whose other end is at this address.
    pub fn peer(&mut self, address: SocketAddr) {
        self.ends.insert(End::Peer(canonical(address)));
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// Without a scope, which `sock_diag` does not tell, and an IPv4 address as such. An unspecified one stays what it is: who
/// listens at `::` has IPv6 sockets.
fn canonical(address: SocketAddr) -> SocketAddr {
    let ip = address.ip();
    SocketAddr::new(if ip.is_unspecified() { ip } else { ip.to_canonical() }, address.port())
}

impl End {
    pub(crate) fn address(self) -> SocketAddr {
        match self {
            Self::Local(address) | Self::Peer(address) => address,
        }
    }

    pub(crate) fn ip(self) -> IpAddr {
        self.address().ip()
    }
}

impl From<u8> for TcpState {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            // Linux has another one for those whose listener has not yet been told.
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Closed,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            other => Self::Other(other),
        }
    }
}

impl Timer {
    pub(crate) fn new(kind: u8, count: u8) -> Self {
        match kind {
            0 => Self::Off,
            1 => Self::Retransmit(count),
            2 => Self::KeepAlive(count),
            3 => Self::TimeWait,
            4 => Self::WindowProbe(count),
            other => Self::Other(other),
        }
    }
}
