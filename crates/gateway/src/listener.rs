//! Public listeners: one socket per thread and service, shared by the kernel.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use outlast_runtime::clock;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;

/// Connections that may wait to be accepted, per socket; the kernel may allow fewer.
const BACKLOG: i32 = 4096;
/// A client that does not answer is noticed after 10 s + 3 × 5 s.
const KEEPALIVE_TIME: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long to wait when the process or the system is out of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Binds `count` sockets to one address.
pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    // SO_REUSEPORT would let a second gateway of the same user take half of the connections, unnoticed. So the
    // first socket proves that the address is free, and only then the port is shared, with ourselves.
    let first = socket(address, Share::No)?;
    let address = first.local_addr()?;
    if count == 1 {
        return Ok(vec![first]);
    }
    drop(first);
    std::iter::repeat_with(|| socket(address, Share::Yes)).take(count).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    No,
    Yes,
}

fn socket(address: SocketAddr, share: Share) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if share == Share::Yes {
        socket.set_reuse_port(true)?;
    }
    // Accepted sockets inherit both: no system call per connection.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_TIME)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts for ever. A socket's own error is its client's affair; where the system is exhausted, it waits and says so.
pub(crate) async fn accept_each(
    listener: tokio::net::TcpListener,
    mut accepted: impl FnMut(TcpStream, SocketAddr),
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => accepted(stream, peer),
            Err(error) if is_the_sockets_own(&error) => {}
            Err(error) => {
                tracing::warn!(
                    %error,
                    "cannot accept connections now; if descriptors ran out, raise the limit (ulimit -n)"
                );
                clock::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

fn is_the_sockets_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
