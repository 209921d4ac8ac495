//! Public listeners: one socket per thread and service, shared by the kernel.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// Connections that may wait to be accepted, per socket; the kernel may allow fewer.
const BACKLOG: i32 = 4096;
/// A silent client is probed every 10 s, and ended by the kernel 25 s after the first probe that it did not answer: 25 to 35 s
/// after it vanished. With 15 s a laptop that slept for 20 s came back to a dead stream; with 30 s, the kernel's own delays made
/// it more than 40 s at the most.
pub(crate) const KEEPALIVE_TIME: Duration = Duration::from_secs(10);
/// Who answers is probed every 10 s all the same; who does not, often. Clients that came in the same half second are probed in
/// the same moment, and loopback and container networks drop what is more than 1,000 packets then
/// (`net.core.netdev_max_backlog`), of the same connections each time. Five probes of 7,000 such clients ended 2,000 living ones.
/// With 25 there is room for 25,000.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_RETRIES: u32 = 25;

/// Binds `count` sockets to one address. Of what a client does not take, the kernel keeps at most `unsent_max` bytes, and what
/// is on its way.
pub(crate) fn bind(
    address: SocketAddr,
    count: usize,
    unsent_max: usize,
) -> io::Result<Vec<TcpListener>> {
    // With SO_REUSEPORT from the start, a second gateway of the same user would take half of the connections, unnoticed.
    // So the first socket is bound alone, which proves that the address is free; then it shares, with ourselves.
    let first = socket(address, unsent_max)?;
    first.bind(&address.into())?;
    let address = first.local_addr()?;
    let mut listeners = Vec::with_capacity(count);
    if count > 1 {
        first.set_reuse_port(true)?;
    }
    listeners.push(listen(first)?);
    for _ in 1..count {
        let next = socket(address.as_socket().expect("an IP address was bound"), unsent_max)?;
        next.set_reuse_port(true)?;
        next.bind(&address)?;
        listeners.push(listen(next)?);
    }
    Ok(listeners)
}

/// How the kernel asks a silent peer whether it is alive.
pub(crate) fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(KEEPALIVE_TIME)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES)
}

fn socket(address: SocketAddr, unsent_max: usize) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit all of it: no system call per connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive())?;
    bound_unsent(&SockRef::from(&socket), unsent_max)?;
    Ok(socket)
}

/// Without a bound the send buffer grows to `net.ipv4.tcp_wmem` (4 MiB) for a peer that does not read. A fixed send buffer
/// would bound what is on its way too, and with it the speed over long distances; this does not.
#[cfg(target_os = "linux")]
pub(crate) fn bound_unsent(socket: &SockRef<'_>, unsent_max: usize) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(u32::try_from(unsent_max).unwrap_or(u32::MAX))
}

/// Elsewhere the system's own bound holds.
#[cfg(not(target_os = "linux"))]
pub(crate) fn bound_unsent(_socket: &SockRef<'_>, _unsent_max: usize) -> io::Result<()> {
    Ok(())
}

fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSENT_MAX: usize = 64 * 1024;
    const ANY: &str = "127.0.0.1:0";

    #[test]
    fn threads_share_a_port_that_nobody_else_can_share() {
        let ours = bind(ANY.parse().expect("an address"), 3, UNSENT_MAX).expect("a free port");
        let address = ours[0].local_addr().expect("bound");
        assert!(ours.iter().all(|listener| listener.local_addr().expect("bound") == address));
        for count in [1, 2] {
            let error = bind(address, count, UNSENT_MAX).expect_err("taken");
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }
}
