//! Where sockets are made: on the loopback, or on the hosts of a network that can lose people.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use outlast_testkit::{Host, Hosts, Network};
use tokio::net::{TcpListener, TcpSocket};

/// A socket stays on the host on which it was made, so one thread can speak for all of them.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Loopback,
    Network(Hosts),
}

/// An address of machines that no connection of anybody comes from: such a one could take a machine's port while it is down.
const MACHINES: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);

impl Place {
    fn on<T>(&self, host: Host, make: impl FnOnce() -> T) -> T {
        let Self::Network(hosts) = self else { return make() };
        hosts.enter(host);
        let made = make();
        hosts.enter(Host::Gateway);
        made
    }

    /// Listens as a machine, on a free port or again on the one it had.
    pub(super) fn listen(&self, address: Option<SocketAddr>) -> TcpListener {
        let ip = match self {
            Self::Loopback => MACHINES,
            Self::Network(_) => Network::MACHINES,
        };
        let address = address.unwrap_or_else(|| (ip, 0).into());
        self.on(Host::Machines, || {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
            socket.listen(256).unwrap()
        })
    }

    /// Where the gateway is to listen.
    pub(super) fn gateway(&self) -> SocketAddr {
        match self {
            Self::Loopback => (Ipv4Addr::LOCALHOST, 0).into(),
            Self::Network(_) => (Network::GATEWAY, 8080).into(),
        }
    }

    /// A client's socket, from the address of one who will be lost, or of those who will not.
    pub(super) fn client(&self, fated: Option<usize>) -> TcpSocket {
        self.on(Host::Clients, || {
            let socket = TcpSocket::new_v4().unwrap();
            if let (Self::Network(_), Some(number)) = (self, fated) {
                socket.bind((IpAddr::V4(Network::client(number)), 0).into()).unwrap();
            }
            socket
        })
    }

    /// These people are neither heard nor reached any more.
    pub(super) fn vanish(&self, fated: &[usize]) {
        if let Self::Network(hosts) = self {
            hosts.vanish(&fated.iter().map(|number| Network::client(*number)).collect::<Vec<_>>());
        }
    }
}
