//! Sockets of one client port to two of our addresses, and what is said of the exchanges behind them.

use std::time::Duration;

use outlast_runtime::clock::{self, Instant};
use outlast_sockets::{Info, TcpState, Timer};

use super::*;

const PORT: u16 = 8080;
const ONE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 5));

fn client() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000))
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

fn living(local: IpAddr) -> Socket {
    let info = Info {
        unacked: 0,
        retransmits: 0,
        probes: 0,
        backoff: 0,
        last_data_sent: seconds(1),
        last_data_received: seconds(1),
        last_ack_received: seconds(1),
        rtt: Duration::from_millis(1),
        bytes_acked: Some(1_000),
        not_sent: Some(0),
        send_window: Some(65_535),
    };
    Socket {
        local: SocketAddr::new(local, PORT),
        peer: client(),
        state: TcpState::Established,
        timer: Timer::KeepAlive(0),
        receive_queue: 0,
        send_queue: 0,
        uid: 0,
        inode: 1,
        cookie: if local == ONE { 1 } else { 2 },
        info: Some(info),
    }
}

/// It has 100 bytes in flight, and was last heard so long before.
fn dead(local: IpAddr, heard: Duration) -> Socket {
    let mut socket = living(local);
    let info = socket.info.as_mut().unwrap();
    (info.unacked, info.last_data_sent) = (1, seconds(0));
    (info.last_data_received, info.last_ack_received) = (heard, heard);
    Socket { timer: Timer::Retransmit(3), send_queue: 100, ..socket }
}

/// A look once a second.
struct Looks {
    start: Instant,
    known: Known,
    number: u32,
}

impl Looks {
    fn new() -> Self {
        Self { start: clock::now() + seconds(3600), known: Known::default(), number: 0 }
    }

    fn partly(&mut self, is_asked: bool, sockets: &[Socket]) {
        let at = |number: u32| self.start + seconds(number);
        let last = self.number.checked_sub(1).map(at);
        let look = Look { number: self.number, now: at(self.number), last };
        self.known.begin(look, is_asked);
        sockets.iter().for_each(|socket| self.known.see(socket));
        self.number += 1;
    }

    fn wholly(&mut self, is_asked: bool, sockets: &[Socket]) {
        self.partly(is_asked, sockets);
        self.known.complete();
    }

    fn find(&self, local: Option<IpAddr>) -> Option<Reading> {
        self.known.find(Sought { peer: client(), port: PORT, local })
    }

    fn unanswered(&self, local: Option<IpAddr>) -> Option<Duration> {
        self.find(local)?.unanswered
    }
}

#[test]
fn a_living_neighbour_neither_clears_a_dead_socket_nor_dies_for_it() {
    for is_asked in [false, true] {
        for is_dead_first in [true, false] {
            let mut looks = Looks::new();
            for second in 0..=40 {
                let mut sockets = [dead(ONE, seconds(second)), living(OTHER)];
                if !is_dead_first {
                    sockets.reverse();
                }
                looks.wholly(is_asked, &sockets);
                assert_eq!(looks.find(None), None, "whose exchange it is cannot be told");
            }
            assert!(looks.find(Some(ONE)).unwrap().has_vanished(), "{is_asked} {is_dead_first}");
            assert_eq!(looks.unanswered(Some(OTHER)), None);
            // The other one is closed: no doubt is left.
            looks.wholly(is_asked, &[dead(ONE, seconds(41))]);
            assert!(looks.find(None).unwrap().has_vanished());
        }
    }
}

#[test]
fn of_two_dead_neighbours_both_are_given_up_once_the_later_one_is() {
    for is_asked in [false, true] {
        let mut looks = Looks::new();
        for second in 0..=45 {
            let later = if second < 5 { living(OTHER) } else { dead(OTHER, seconds(second - 4)) };
            looks.wholly(is_asked, &[dead(ONE, seconds(second)), later]);
            let has_vanished = looks.find(None).is_some_and(|reading| reading.has_vanished());
            let is_due = looks.find(Some(OTHER)).is_some_and(|reading| reading.has_vanished());
            assert_eq!(has_vanished, is_due, "after {second} s");
        }
        assert!(looks.find(None).unwrap().has_vanished());
    }
}

#[test]
fn of_two_living_neighbours_it_is_said_that_they_live() {
    let mut looks = Looks::new();
    looks.wholly(true, &[living(ONE), living(OTHER)]);
    assert_eq!(looks.find(None).unwrap().last_heard, seconds(1));
}

#[test]
fn a_new_suspect_is_told_of_once_its_neighbours_are_known() {
    let mut looks = Looks::new();
    looks.wholly(false, &[living(OTHER), dead(ONE, seconds(60))]);
    assert_eq!(looks.find(None), None, "the living one came before anything was remembered");
    let mut looks = Looks::new();
    looks.wholly(false, &[dead(ONE, seconds(60))]);
    looks.wholly(false, &[dead(ONE, seconds(61))]);
    assert!(looks.find(None).is_some());
}

#[test]
fn a_look_that_failed_says_nothing_as_it_may_have_missed_a_living_neighbour() {
    let mut looks = Looks::new();
    for second in 0..=40 {
        looks.wholly(false, &[dead(ONE, seconds(second)), living(OTHER)]);
    }
    looks.partly(false, &[dead(ONE, seconds(41))]);
    looks.known.fail();
    assert_eq!(looks.find(None), None);
    assert_eq!(looks.known.suspects().count(), 1, "it is remembered");
}

#[test]
fn other_ports_and_other_clients_are_no_neighbours() {
    let mut looks = Looks::new();
    let mut other_port = living(OTHER);
    other_port.local.set_port(PORT + 1);
    let mut other_client = living(OTHER);
    other_client.peer.set_port(40_001);
    for second in 0..=40 {
        looks.wholly(false, &[other_port, dead(ONE, seconds(second)), other_client]);
    }
    assert!(looks.find(None).unwrap().has_vanished());
    looks.wholly(false, &[living(ONE)]);
    assert_eq!(looks.known.suspects().count(), 0, "it answered");
}
