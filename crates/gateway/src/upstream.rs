//! Connections to machines: pooled in `requests`, one per exchange in `connections`.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlast_admission::MachineKey;
use outlast_observe::{ConnectionClose, Record, Shortage};
use outlast_runtime::clock;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::gateway::Lane;
use crate::service::{Permit, Service};
use crate::{listener, shortage};

/// A machine's pool keeps at most so many connections per thread; more are closed after their exchange.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// A connection to a machine and the place it takes. The socket closes before the place comes free.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) stream: TcpStream,
    pub(crate) origin: Origin,
    /// At our end, by which the kernel's word on it is found. None where that was not told.
    port: Option<u16>,
    permit: Permit,
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was just established.
    Fresh,
    /// It has served an exchange before, and may have been closed meanwhile.
    Pooled,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    Refused(io::Error),
    /// We lack something for it: nothing the machine could do anything about.
    Shortage(Shortage),
    TimedOut,
}

impl ConnectError {
    fn new(service: &Service, error: io::Error) -> Self {
        let Some(missing) = shortage::shortage(&error) else { return Self::Refused(error) };
        shortage::warn(service, missing, &error);
        Self::Shortage(missing)
    }
}

/// Idle connections of one worker thread, in `requests` accounting.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<HashMap<(usize, MachineKey), Vec<Idle>>>,
    filled: Notify,
}

#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) stream: TcpStream,
    pub(crate) port: Option<u16>,
    pub(crate) address: SocketAddr,
    pub(crate) since: clock::Instant,
}

impl Dispatch {
    /// Takes a pooled connection, if there is a living one.
    pub(crate) fn pooled(
        pool: &Pool,
        service: &Service,
        permit: Permit,
        record: &Record,
    ) -> Result<Self, Permit> {
        let key = permit.machine();
        let Some(Idle { stream, port, .. }) = pool.take(service.index, key, service.address(key))
        else {
            return Err(permit);
        };
        record.connected(port);
        Ok(Self { stream, origin: Origin::Pooled, port, permit })
    }

    /// Establishes a connection to the permit's machine.
    ///
    /// Cancel safety: dropping the future closes the socket and gives the place back.
    pub(crate) async fn connect(
        service: &Service,
        permit: Permit,
        timeout: Duration,
        record: &Record,
    ) -> Result<Self, ConnectError> {
        let address = service.address(permit.machine());
        record.connected(None);
        let stream = match clock::timeout(timeout, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(ConnectError::new(service, error)),
            Err(_elapsed) => return Err(ConnectError::TimedOut),
        };
        // These fail only on a socket that is dead already, which the first write will tell.
        stream.set_nodelay(true).ok();
        listener::bound_unsent(&SockRef::from(&stream), service.buffer_max).ok();
        // Four system calls, of which a machine on this host needs none: its kernel is ours, and does not vanish alone.
        if !address.ip().to_canonical().is_loopback() {
            SockRef::from(&stream).set_tcp_keepalive(&listener::keepalive()).ok();
        }
        let port = stream.local_addr().ok().map(|address| address.port());
        record.connected(port);
        Ok(Self { stream, origin: Origin::Fresh, port, permit })
    }

    /// The machine at its other end.
    pub(crate) fn machine(&self) -> MachineKey {
        self.permit.machine()
    }

    /// Its two halves, for tests that let one of them go wrong.
    #[cfg(test)]
    pub(crate) fn take_apart(self) -> (TcpStream, Permit) {
        (self.stream, self.permit)
    }

    /// Closes a dead connection and keeps its place.
    pub(crate) fn into_permit(self) -> Permit {
        drop(self.stream);
        self.permit
    }

    /// The exchange is over, and the connection can serve another one: in `requests`, the place is free at once.
    pub(crate) fn into_pool(self, lane: &Lane) {
        let Self { stream, port, permit, .. } = self;
        let (service, key) = (&lane.service, permit.machine());
        drop(permit);
        let address = service.address(key);
        let idle = Idle { stream, port, address, since: clock::now() };
        let kept = lane.pool.put(service.index, key, idle);
        if let Err(_superfluous) = kept {
            lane.closed_by(ConnectionClose::PoolFull);
        }
    }

    /// The exchange is over, and the connection lingers with its place until the machine closes it, `idle_timeout` has
    /// passed, or another exchange needs the place (rule 2).
    pub(crate) async fn linger(self, idle_timeout: Duration) {
        let evicted = self.permit.linger();
        let closed_or_spoken = self.stream.readable();
        tokio::select! {
            // Whatever a machine says unasked makes the connection useless.
            _readable = closed_or_spoken => {}
            () = evicted.notified() => {}
            () = clock::sleep(idle_timeout) => {}
        }
    }
}

impl Pool {
    fn take(&self, service: usize, key: MachineKey, address: SocketAddr) -> Option<Idle> {
        let mut idle = self.idle.lock().expect("no panic while held");
        let connections = idle.get_mut(&(service, key))?;
        while let Some(connection) = connections.pop() {
            let is_alive = connection.address == address
                && connection
                    .stream
                    .try_read(&mut [0])
                    .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            if is_alive {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection, or gives it back if there is no room.
    pub(crate) fn put(
        &self,
        service: usize,
        key: MachineKey,
        connection: Idle,
    ) -> Result<(), Idle> {
        let mut idle = self.idle.lock().expect("no panic while held");
        let connections = idle.entry((service, key)).or_default();
        if connections.len() >= IDLE_CONNECTIONS_MAX {
            return Err(connection);
        }
        connections.push(connection);
        self.filled.notify_one();
        Ok(())
    }

    /// Closes connections that nobody used for `idle_timeout`. Sleeps without a timer while the pool is empty.
    pub(crate) async fn expire(self: Arc<Self>, idle_timeout: Duration) {
        loop {
            self.filled.notified().await;
            while let Some(oldest) = self.oldest() {
                clock::sleep_until(oldest + idle_timeout).await;
                let now = clock::now();
                let mut idle = self.idle.lock().expect("no panic while held");
                for connections in idle.values_mut() {
                    connections.retain(|connection| now - connection.since < idle_timeout);
                    connections.shrink_to_fit();
                }
                idle.retain(|_, connections| !connections.is_empty());
            }
        }
    }

    /// The local ports of the connections that are kept.
    pub(crate) fn ports(&self, into: &mut Vec<u16>) {
        let idle = self.idle.lock().expect("no panic while held");
        into.extend(idle.values().flatten().filter_map(|connection| connection.port));
    }

    fn oldest(&self) -> Option<clock::Instant> {
        let idle = self.idle.lock().expect("no panic while held");
        idle.values().flatten().map(|connection| connection.since).min()
    }
}
