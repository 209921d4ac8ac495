//! Client connections: how many there are, how many there may be, and of one client.
//!
//! One count for all threads and services. An accepted connection costs a few atomic operations, and while it is held the
//! 16 bytes of its [`Place`] and the 8 of its thread; with a limit per client also one lock and, for each address, an entry of some 30 bytes.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use outlast_admission::ClientKey;
use outlast_http1::{Presence, Transport};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::share::Held;

/// The client connections of the process.
#[derive(Debug)]
pub(crate) struct Clients {
    max: usize,
    per_client_max: Option<NonZeroU32>,
    open: AtomicUsize,
    /// Told whenever the last place has become free.
    freed: Notify,
    /// Empty without a limit per client.
    by_client: Mutex<HashMap<ClientKey, u32>>,
}

/// A place among the connections, free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    clients: Arc<Clients>,
    client: ClientKey,
}

/// A client's connection and its place: the socket closes before the place comes free.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    place: Place,
    /// Once a thread is chosen.
    _held: Option<Held>,
}

impl Clients {
    /// At most `max` connections, and at least one; of each client at most `per_client_max`.
    pub(crate) fn new(max: usize, per_client_max: Option<NonZeroU32>) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            per_client_max,
            open: AtomicUsize::new(0),
            freed: Notify::new(),
            by_client: Mutex::default(),
        })
    }

    /// How many there are.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many there may be.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// A place for one more connection, whoever comes; None if all are taken.
    pub(crate) fn place(self: &Arc<Self>) -> Option<Place> {
        let more = |open| (open < self.max).then_some(open + 1);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place { clients: Arc::clone(self), client: ClientKey::NOBODY })
    }

    /// Waits until there may be a place. Another thread may still be quicker to take it.
    ///
    /// Cancel safety: dropping the future changes nothing.
    pub(crate) async fn room(&self) {
        // Made before the look, so that a place that comes free after it is not missed.
        let freed = self.freed.notified();
        if self.open() >= self.max {
            freed.await;
        }
    }

    fn by_client(&self) -> MutexGuard<'_, HashMap<ClientKey, u32>> {
        self.by_client.lock().expect("no panic while held")
    }
}

impl Place {
    /// Says whose the place is; None if that client has its share already.
    pub(crate) fn belongs_to(mut self, ip: IpAddr) -> Option<Self> {
        let Some(max) = self.clients.per_client_max else { return Some(self) };
        let client = ClientKey::from(ip);
        {
            let mut by_client = self.clients.by_client();
            let count = by_client.entry(client).or_default();
            if *count >= max.get() {
                return None;
            }
            *count += 1;
        }
        self.client = client;
        Some(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.client != ClientKey::NOBODY {
            let mut by_client = self.clients.by_client();
            let count = by_client.get_mut(&self.client).expect("counted when the place was taken");
            *count -= 1;
            if *count == 0 {
                by_client.remove(&self.client);
                // A crowd that has left shall leave its memory.
                if by_client.len() < by_client.capacity() / 4 {
                    by_client.shrink_to_fit();
                }
            }
        }
        if self.clients.open.fetch_sub(1, Ordering::Relaxed) == self.clients.max {
            self.clients.freed.notify_waiters();
        }
    }
}

impl Client {
    pub(crate) fn new(stream: TcpStream, place: Place) -> Self {
        Self { stream, place, _held: None }
    }

    /// The same, counted for the thread that serves it.
    pub(crate) fn on_thread(self, held: Held) -> Self {
        Self { _held: Some(held), ..self }
    }

    /// Takes it out of this thread's event queue.
    ///
    /// # Errors
    /// The queue refuses; the connection is closed.
    pub(crate) fn leave_thread(self) -> io::Result<(std::net::TcpStream, Place)> {
        Ok((self.stream.into_std()?, self.place))
    }
}

impl Transport for Client {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Transport::poll_read(&mut self.stream, cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Transport::poll_write(&mut self.stream, cx, bytes)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_finish(cx)
    }

    fn abort_on_drop(&mut self) {
        self.stream.abort_on_drop();
    }

    fn close_on_drop(&mut self) {
        self.stream.close_on_drop();
    }

    fn presence(&self) -> Presence {
        self.stream.presence()
    }

    fn socket(&self) -> Option<&TcpStream> {
        Some(&self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn limited(max: usize, per_client_max: u32) -> Arc<Clients> {
        Clients::new(max, NonZeroU32::new(per_client_max))
    }

    #[test]
    fn a_held_connection_takes_24_bytes_for_its_place_and_its_thread() {
        assert_eq!(size_of::<Client>() - size_of::<TcpStream>(), 24);
    }

    #[test]
    fn places_are_counted_and_come_back() {
        let clients = limited(2, 0);
        let (first, second) = (clients.place(), clients.place());
        assert!(clients.place().is_none());
        drop(first);
        assert_eq!(clients.open(), 1);
        let third = clients.place().and_then(|place| place.belongs_to(ip("::1")));
        assert!(third.is_some() && clients.place().is_none());
        drop((second, third));
        assert_eq!(clients.open(), 0);
        assert!(limited(0, 0).place().is_some(), "nobody would ever be served");
    }

    #[test]
    fn one_client_leaves_places_to_the_others() {
        let clients = limited(10, 2);
        let place = |of: &str| clients.place().expect("there is room").belongs_to(ip(of));
        let (first, second) = (place("192.0.2.1"), place("192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(place("192.0.2.1").is_none());
        assert_eq!(clients.open(), 2, "a refused one takes no place");
        let other = place("192.0.2.2");
        assert!(other.is_some());
        drop(first);
        assert!(place("192.0.2.1").is_some());
        drop((second, other));
        assert!(clients.by_client().is_empty(), "what is gone is forgotten");
    }

    #[test]
    fn a_crowd_leaves_no_memory_behind() {
        let clients = limited(100_000, 1);
        let place = |number: u32| {
            let ip = IpAddr::V4(number.into());
            clients.place().expect("there is room").belongs_to(ip).expect("a new client")
        };
        let crowd: Vec<_> = (0..50_000).map(place).collect();
        assert!(clients.by_client().capacity() >= 50_000);
        drop(crowd);
        assert!(clients.by_client().capacity() < 16);
    }

    #[tokio::test]
    async fn who_waits_is_told_of_the_place_that_comes_free() {
        let clients = limited(1, 0);
        let place = clients.place();
        let mut waiting = Box::pin(clients.room());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        drop(place);
        waiting.await;
        clients.room().await;
    }
}
