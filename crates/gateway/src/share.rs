//! Connections, shared evenly between the worker threads.
//!
//! The kernel spreads them over a port's listeners by a hash. That is fair for thousands and not for dozens: of 64
//! connections, one of two threads has 37 or more in every fourth case, and a stream stays for hours where it was accepted. So a
//! thread that has more than its share hands a new connection to the one that has the fewest. That costs two `epoll_ctl` and a
//! wake-up, once in a connection's life; of 64 connections that come and stay, five.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::clients::{Client, Place};

/// So many connections more than another thread's are no reason to hand one over: 4 in 64 are 6 %.
const LEAD_MAX: usize = 2;
/// Connections on their way to a thread that is busy; more stay where they were accepted.
const HANDED_MAX: usize = 256;

/// The connections of one service, by thread.
#[derive(Debug)]
pub(crate) struct Share(Vec<Thread>);

#[derive(Debug)]
struct Thread {
    connections: Arc<AtomicUsize>,
    handed: mpsc::Sender<Handed>,
}

/// A connection on its way to another thread.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) peer: SocketAddr,
    stream: TcpStream,
    place: Place,
    held: Held,
}

/// Counts one connection for as long as it lives.
#[derive(Debug)]
pub(crate) struct Held(Arc<AtomicUsize>);

impl Share {
    /// None yet, for so many threads; each gets the end where what it is handed arrives.
    pub(crate) fn new(threads: usize) -> (Self, Vec<mpsc::Receiver<Handed>>) {
        let thread = |_| {
            let (handed, arriving) = mpsc::channel(HANDED_MAX);
            (Thread { connections: Arc::default(), handed }, arriving)
        };
        let (threads, arriving) = (0..threads).map(thread).unzip();
        (Self(threads), arriving)
    }

    /// Counts a connection that `own` has accepted and gives it back, unless it was handed to another thread.
    pub(crate) fn place(&self, own: usize, client: Client, peer: SocketAddr) -> Option<Client> {
        let load = |thread: &Thread| thread.connections.load(Ordering::Relaxed);
        let least = self.0.iter().min_by_key(|thread| load(thread)).expect("there is a thread");
        if load(&self.0[own]) <= load(least) + LEAD_MAX {
            return Some(client.on_thread(self.0[own].hold()));
        }
        let Ok(room) = least.handed.try_reserve() else {
            return Some(client.on_thread(self.0[own].hold()));
        };
        // It fails only where the event queue does, and then the connection is lost here as there.
        if let Ok((stream, place)) = client.leave_thread() {
            room.send(Handed { peer, stream, place, held: least.hold() });
        }
        None
    }

    #[cfg(test)]
    pub(crate) fn loads(&self) -> Vec<usize> {
        self.0.iter().map(|thread| thread.connections.load(Ordering::Relaxed)).collect()
    }
}

impl Handed {
    /// Enters the event queue of the thread that calls.
    ///
    /// # Errors
    /// The queue refuses; the connection is closed.
    pub(crate) fn arrive(self) -> io::Result<Client> {
        let stream = tokio::net::TcpStream::from_std(self.stream)?;
        Ok(Client::new(stream, self.place).on_thread(self.held))
    }
}

impl Thread {
    fn hold(&self) -> Held {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(&self.connections))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::clients::Clients;

    /// Accepts in the first thread as often as told. The far ends are kept open, and what stays is kept.
    async fn accept(share: &Share, count: usize) -> (Vec<TcpStream>, Vec<Client>) {
        let clients = Clients::new(count, None);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (mut far, mut kept) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (connected, accepted) =
                tokio::join!(TcpStream::connect(address), listener.accept());
            let (stream, peer) = accepted.expect("a connection");
            far.push(connected.expect("it listens"));
            let place = clients.place().expect("room");
            kept.extend(share.place(0, Client::new(stream, place), peer));
        }
        (far, kept)
    }

    #[tokio::test]
    async fn a_thread_with_more_than_its_share_hands_connections_over() {
        let (share, mut arriving) = Share::new(3);
        let (_far, kept) = accept(&share, 60).await;
        let loads = share.loads();
        let (most, fewest) = (loads.iter().max().unwrap(), loads.iter().min().unwrap());
        assert!(loads.iter().sum::<usize>() == 60 && most - fewest <= LEAD_MAX + 1, "{loads:?}");
        assert_eq!((loads[0], arriving[1].len()), (kept.len(), loads[1]));

        drop(kept);
        assert_eq!(share.loads()[0], 0);
        let handed = arriving[1].recv().await.expect("handed over");
        drop(handed.arrive().expect("a living socket"));
        assert_eq!(share.loads()[1], loads[1] - 1);
    }

    #[tokio::test]
    async fn what_a_busy_thread_has_no_room_for_stays_where_it_was_accepted() {
        let (share, arriving) = Share::new(2);
        let _busy: Vec<_> = (0..2 * HANDED_MAX).map(|_| share.0[0].hold()).collect();
        let (_far, kept) = accept(&share, HANDED_MAX + 1).await;
        assert_eq!((arriving[1].len(), kept.len()), (HANDED_MAX, 1));
    }
}
