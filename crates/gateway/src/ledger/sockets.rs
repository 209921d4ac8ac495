//! The kernel's column of the ledger: which sockets there are, and whose.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use outlast_observe::Mismatch;
use outlast_sockets::{Socket, TcpState};

use super::{Finding, STRAY_PATIENCE, Suspect};
use crate::service::Service;

/// A socket of this host that is connected to a machine, as the kernel tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UpstreamSocket {
    /// At this end.
    pub(crate) local_port: u16,
    /// The machine.
    pub(crate) remote: SocketAddr,
    /// Which no other socket has while it exists; 0 when no process has it open any more.
    pub(crate) inode: u64,
    /// Whether the connection has been established.
    pub(crate) is_established: bool,
}

impl From<&Socket> for UpstreamSocket {
    fn from(socket: &Socket) -> Self {
        Self {
            local_port: socket.local.port(),
            remote: socket.peer,
            inode: socket.inode.into(),
            is_established: matches!(socket.state, TcpState::Established | TcpState::CloseWait),
        }
    }
}

/// The sockets of one check that a process has open, by their local port, sorted: 16 bytes each. The kernel goes on to tell of a
/// connection for a while after it was closed.
#[derive(Debug, Default)]
pub(crate) struct OpenSockets(Vec<(u16, u64)>);

impl OpenSockets {
    pub(crate) fn new(sockets: &[UpstreamSocket]) -> Self {
        let open = sockets.iter().filter(|socket| socket.inode != 0);
        let mut ports: Vec<_> = open.map(|socket| (socket.local_port, socket.inode)).collect();
        ports.sort_unstable();
        Self(ports)
    }

    /// Only the port is looked at: a machine may have been given another address since.
    pub(crate) fn has(&self, port: u16) -> bool {
        self.0.binary_search_by_key(&port, |(port, _)| *port).is_ok()
    }

    pub(crate) fn inode(&self, port: u16) -> Option<u64> {
        let index = self.0.binary_search_by_key(&port, |(port, _)| *port).ok()?;
        Some(self.0[index].1)
    }
}

/// The local ports that somebody accounts for.
#[derive(Debug, Default)]
pub(crate) struct Ports(Vec<u16>);

impl Ports {
    pub(crate) fn extend(&mut self, port: Option<u16>) {
        self.0.extend(port);
    }
}

impl AsMut<Vec<u16>> for Ports {
    fn as_mut(&mut self) -> &mut Vec<u16> {
        &mut self.0
    }
}

/// The connections to machines that nobody accounts for.
pub(crate) fn strays(
    services: &[Arc<Service>],
    sockets: &[UpstreamSocket],
    Ports(mut ports): Ports,
) -> Vec<Finding> {
    ports.sort_unstable();
    let endpoint =
        |address: SocketAddr| -> (IpAddr, u16) { (address.ip().to_canonical(), address.port()) };
    let mut strays = Vec::new();
    let mut seen = HashSet::new();
    for service in services {
        let machines: HashSet<_> = service.machine_addresses().into_iter().map(endpoint).collect();
        let is_stray = |socket: &&UpstreamSocket| {
            socket.is_established
                && socket.inode != 0
                && ports.binary_search(&socket.local_port).is_err()
                && machines.contains(&endpoint(socket.remote))
        };
        for socket in sockets.iter().filter(is_stray) {
            // Two services may have a machine at one address.
            if seen.insert(socket.inode) {
                let UpstreamSocket { local_port, remote, inode, .. } = *socket;
                strays.push(Finding {
                    suspect: Suspect::Socket(inode),
                    mismatch: Mismatch::SocketWithoutExchange,
                    service: service.index,
                    holder: None,
                    patience: STRAY_PATIENCE,
                    detail: format!("socket {inode} from port {local_port} to {remote}"),
                });
            }
        }
    }
    strays
}

/// Whether this process has the socket open. None where the system does not tell.
pub(crate) fn is_ours(inode: u64) -> Option<bool> {
    let target = format!("socket:[{inode}]");
    let descriptors = std::fs::read_dir("/proc/self/fd").ok()?;
    let is_it = |entry: std::io::Result<std::fs::DirEntry>| {
        let link = entry.and_then(|entry| std::fs::read_link(entry.path()));
        link.is_ok_and(|link| *link == *target)
    };
    Some(descriptors.into_iter().any(is_it))
}
