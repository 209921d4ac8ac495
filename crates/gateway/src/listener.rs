//! Public listeners: one socket per thread and service, shared by the kernel.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// Connections that may wait to be accepted, per socket; the kernel may allow fewer.
const BACKLOG: i32 = 4096;
/// A silent client is probed every 10 s, and ended by the kernel 5 × 5 s after the first probe that it did not answer: 25 to 35 s
/// after it vanished. With three probes it was 15 s at the least, and a laptop that slept for 20 s came back to a dead stream;
/// with six, the kernel's own delays made it more than 40 s at the most.
pub(crate) const KEEPALIVE_TIME: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 5;

/// Binds `count` sockets to one address.
pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    // With SO_REUSEPORT from the start, a second gateway of the same user would take half of the connections, unnoticed.
    // So the first socket is bound alone, which proves that the address is free; then it shares, with ourselves.
    let first = socket(address)?;
    first.bind(&address.into())?;
    let address = first.local_addr()?;
    let mut listeners = Vec::with_capacity(count);
    if count > 1 {
        first.set_reuse_port(true)?;
    }
    listeners.push(listen(first)?);
    for _ in 1..count {
        let next = socket(address.as_socket().expect("an IP address was bound"))?;
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

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit both: no system call per connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive())?;
    Ok(socket)
}

fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: &str = "127.0.0.1:0";

    #[test]
    fn threads_share_a_port_that_nobody_else_can_share() {
        let ours = bind(ANY.parse().expect("an address"), 3).expect("a free port");
        let address = ours[0].local_addr().expect("bound");
        assert!(ours.iter().all(|listener| listener.local_addr().expect("bound") == address));
        for count in [1, 2] {
            let error = bind(address, count).expect_err("taken");
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }
}
