//! Tables of what the kernel may tell, at every boundary.

use std::net::SocketAddr;

use outlast_runtime::clock;
use outlast_sockets::TcpState;

use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 1))
}

/// A socket of which everything is acknowledged, `heard` before.
fn healthy(heard: Duration) -> Socket {
    let info = Info {
        unacked: 0,
        retransmits: 0,
        probes: 0,
        backoff: 0,
        last_data_sent: heard,
        last_data_received: seconds(3600),
        last_ack_received: heard,
        rtt: Duration::from_millis(1),
        bytes_acked: Some(1_000),
        not_sent: Some(0),
        send_window: Some(65_535),
    };
    Socket {
        local: address(),
        peer: address(),
        state: TcpState::Established,
        timer: Timer::KeepAlive(0),
        receive_queue: 0,
        send_queue: 0,
        uid: 0,
        inode: 1,
        cookie: 1,
        info: Some(info),
    }
}

fn with(socket: Socket, timer: Timer, change: impl FnOnce(&mut Info)) -> Socket {
    let mut info = socket.info.unwrap();
    change(&mut info);
    Socket { timer, info: Some(info), ..socket }
}

/// `bytes` in flight, the last of them sent `sent` before.
fn in_flight(heard: Duration, sent: Duration, bytes: u32) -> Socket {
    let socket = Socket { send_queue: bytes, ..healthy(heard) };
    with(socket, Timer::Retransmit(0), |info| (info.unacked, info.last_data_sent) = (1, sent))
}

/// So many probes of a silent peer without an answer.
fn probed(heard: Duration, probes: u8) -> Socket {
    with(healthy(heard), Timer::KeepAlive(probes), |info| info.probes = probes)
}

/// Bytes before a closed window.
fn closed_window(heard: Duration, probes: u8) -> Socket {
    let socket = Socket { send_queue: 100, ..healthy(heard) };
    with(socket, Timer::WindowProbe(probes), |info| {
        (info.probes, info.not_sent, info.send_window) = (probes, Some(100), Some(0));
    })
}

/// A world in which somebody looks once a second.
struct Looks {
    start: Instant,
    suspect: Option<Suspect>,
    last: Option<Instant>,
    number: u32,
}

impl Looks {
    fn new() -> Self {
        // An hour after the clock began, so that everything may be old.
        Self { start: clock::now() + seconds(3600), suspect: None, last: None, number: 0 }
    }

    /// Looks `at` seconds after the start.
    fn see(&mut self, at: f64, socket: &Socket) -> Reading {
        self.number += 1;
        let now = self.start + Duration::from_secs_f64(at);
        let look = Look { number: self.number, now, last: self.last };
        let seen = Suspect::see(socket, self.suspect.as_ref(), look).unwrap();
        self.last = Some(now);
        self.suspect = is_suspect(socket).then_some(seen);
        seen.reading
    }

    /// Looks once a second from `from` to `to`; returns the last.
    fn each(&mut self, from: u32, to: u32, socket: impl Fn(Duration) -> Socket) -> Reading {
        let look = |at: u32| self.see(at.into(), &socket(seconds(at.into())));
        (from..=to).map(look).last().unwrap()
    }
}

#[test]
fn nothing_is_remembered_of_those_who_owe_nothing() {
    for heard in [seconds(0), seconds(9), seconds(3600)] {
        assert!(!is_suspect(&healthy(heard)));
        let reading = Looks::new().see(0.0, &healthy(heard));
        assert_eq!(
            (reading.unanswered, reading.waiting),
            (None, None),
            "an old ACK is no question"
        );
    }
    assert!(is_suspect(&in_flight(seconds(0), seconds(0), 1)));
    assert!(is_suspect(&probed(seconds(9), 1)) && is_suspect(&closed_window(seconds(0), 0)));
    assert!(size_of::<Suspect>() <= 192);
}

#[test]
fn a_peer_has_finished_once_its_end_of_file_has_come() {
    use TcpState::{CloseWait, Closing, Established, FinWait1, FinWait2, LastAck};
    for (state, finished) in [
        (Established, false),
        (FinWait1, false),
        (FinWait2, false),
        (CloseWait, true),
        (LastAck, true),
        (Closing, true),
    ] {
        let socket = Socket { state, ..healthy(seconds(0)) };
        let reading = Looks::new().see(0.0, &socket);
        assert_eq!((reading.finished, reading.view().finished), (finished, finished), "{state:?}");
    }
}

#[test]
fn a_kernel_that_tells_nothing_accuses_nobody() {
    let socket = Socket { info: None, ..in_flight(seconds(60), seconds(60), 1) };
    let look = Look { number: 1, now: clock::now(), last: None };
    assert!(Suspect::see(&socket, None, look).is_none());
}

#[test]
fn bytes_are_unanswered_from_when_they_were_sent_and_not_since_the_last_ack() {
    let mut looks = Looks::new();
    looks.see(0.0, &healthy(seconds(300)));
    // Sent half a second before this look, into a silence of five minutes.
    let sent = Duration::from_millis(500);
    let reading = looks.see(1.0, &in_flight(seconds(301), sent, 1_812));
    assert_eq!((reading.unanswered, reading.unacked), (Some(sent), 1_812));
    // It is sent again and again, which makes it no younger.
    let reading = looks.each(2, 31, |_| in_flight(seconds(332), seconds(0), 1_812));
    assert_eq!(reading.unanswered, Some(Duration::from_millis(30_500)));
    let reading = looks.see(32.0, &healthy(seconds(0)));
    assert_eq!(reading.unanswered, None);
}

#[test]
fn bytes_of_which_the_time_is_not_told_are_not_older_than_the_last_look() {
    let mut looks = Looks::new();
    looks.see(0.0, &healthy(seconds(9)));
    // An end-of-file is in flight: the kernel does not count it as data sent.
    let reading = looks.see(1.0, &in_flight(seconds(10), seconds(300), 1));
    assert_eq!(reading.unanswered, Some(seconds(1)));
}

#[test]
fn a_stream_in_full_flow_has_always_bytes_in_flight_and_always_answers() {
    let mut looks = Looks::new();
    let mut acked = 0;
    for second in 0..60_u32 {
        acked += 1_000_000;
        let flowing = in_flight(Duration::from_millis(20), seconds(0), 500_000);
        let flowing = with(flowing, Timer::Retransmit(0), |info| info.bytes_acked = Some(acked));
        let reading = looks.see(second.into(), &flowing);
        assert!(reading.unanswered.unwrap() <= Duration::from_millis(20));
        assert!(reading.waiting.unwrap() < seconds(2), "{reading:?}");
    }
}

#[test]
fn another_socket_in_the_place_of_one_is_not_accused_of_its_silence() {
    let mut looks = Looks::new();
    looks.each(0, 20, |_| in_flight(seconds(21), seconds(0), 10));
    let other = Socket { cookie: 2, ..in_flight(seconds(1), seconds(1), 10) };
    assert_eq!(looks.see(21.0, &other).unanswered, Some(seconds(1)));
}

#[test]
fn probes_are_unanswered_from_when_the_first_was_sent() {
    let mut looks = Looks::new();
    looks.see(0.0, &healthy(Duration::from_millis(9_700)));
    // The kernel probes 10 s after it last heard of the peer.
    let reading = looks.see(1.0, &probed(Duration::from_millis(10_700), 1));
    assert_eq!(reading.unanswered, Some(Duration::from_millis(700)));
    let probing = |at| probed(at + Duration::from_millis(9_700), 2);
    assert!(!looks.each(2, 10, probing).is_zombie());
    assert!(looks.each(11, 11, probing).is_zombie());
    assert!(!looks.each(12, 30, probing).has_vanished());
    assert!(looks.each(31, 31, probing).has_vanished());
}

#[test]
fn what_was_said_while_probes_went_unanswered_makes_the_silence_no_shorter() {
    let mut looks = Looks::new();
    looks.see(0.0, &healthy(seconds(9)));
    looks.each(1, 4, |at| probed(at + seconds(9), 1));
    let talking = |at| in_flight(at + seconds(9), seconds(0), 100);
    assert!(!looks.each(5, 30, talking).has_vanished());
    assert!(looks.each(31, 31, talking).has_vanished(), "40 s after it was last heard");
}

#[test]
fn every_boundary_between_the_living_and_the_dead() {
    use Question::{Bytes, KeepAlive, WindowProbe};
    let reading = |question, unanswered: u64, last_sent: u64| Reading {
        question,
        unanswered: question.map(|_| Duration::from_millis(unanswered)),
        last_sent: Duration::from_millis(last_sent),
        ..Looks::new().see(0.0, &healthy(seconds(0)))
    };
    for (question, unanswered, last_sent, is_zombie, has_vanished) in [
        (None, 100_000, 0, false, false),
        (Some(Bytes), 9_999, 0, false, false),
        (Some(Bytes), 10_000, 0, true, false),
        (Some(Bytes), 29_999, 0, true, false),
        // Asked again after 25 s: who slept for 20 would have answered.
        (Some(Bytes), 30_000, 5_000, true, true),
        (Some(Bytes), 30_000, 10_000, true, true),
        // Asked last after 19 s: who slept for 20 was not awake.
        (Some(Bytes), 30_000, 11_000, true, false),
        (Some(Bytes), 37_999, 18_999, true, false),
        (Some(Bytes), 38_000, 38_000, true, true),
        (Some(KeepAlive(1)), 9_999, 0, false, false),
        (Some(KeepAlive(3)), 10_000, 40_000, true, false),
        (Some(KeepAlive(6)), 29_999, 40_000, true, false),
        (Some(KeepAlive(6)), 30_000, 40_000, true, true),
        // One probe that was lost says nothing for two minutes.
        (Some(WindowProbe(1)), 119_000, 0, false, false),
        (Some(WindowProbe(2)), 9_999, 0, false, false),
        (Some(WindowProbe(2)), 10_000, 0, true, false),
        (Some(WindowProbe(4)), 300_000, 0, true, false),
        (Some(WindowProbe(5)), 29_999, 0, true, false),
        (Some(WindowProbe(5)), 30_000, 0, true, true),
    ] {
        let reading = reading(question, unanswered, last_sent);
        let name = format!("{question:?} {unanswered} {last_sent}");
        assert_eq!(
            (reading.is_zombie(), reading.has_vanished()),
            (is_zombie, has_vanished),
            "{name}"
        );
    }
}

#[test]
fn one_that_reads_nothing_but_answers_is_alive_however_long() {
    let mut looks = Looks::new();
    for minute in 0..60_u32 {
        // Between two probes nothing is asked, and the last answer grows old.
        for second in 0..59_u32 {
            let socket = closed_window(seconds(second.into()), 0);
            let reading = looks.see(f64::from(minute * 60 + second), &socket);
            assert_eq!(reading.unanswered, None);
            assert!(!reading.has_vanished());
        }
        // A look comes by just when a probe is out.
        let reading = looks.see(f64::from(minute * 60 + 59), &closed_window(seconds(59), 1));
        assert_eq!(
            reading.unanswered,
            Some(seconds(0)),
            "the time between two probes does not count"
        );
    }
}

#[test]
fn bytes_wait_until_they_are_acknowledged_one_by_one() {
    let mut looks = Looks::new();
    let queue = |acked: u64| {
        let socket = Socket { send_queue: 4_096, ..healthy(seconds(0)) };
        with(socket, Timer::WindowProbe(0), |info| info.bytes_acked = Some(acked))
    };
    // A client that reads 1 KiB a second: each byte waits for four.
    let mut waits = Vec::new();
    for second in 0..20_u32 {
        let reading = looks.see(f64::from(second), &queue(1_024 * u64::from(second)));
        waits.push(reading.waiting.unwrap().as_secs());
    }
    assert_eq!(waits[..4], [0, 1, 2, 3]);
    assert!(waits[4..].iter().all(|wait| (2..=4).contains(wait)), "it does not flicker: {waits:?}");
    assert_eq!(looks.see(20.0, &healthy(seconds(0))).waiting, None);
}

#[test]
fn a_look_in_between_is_due_when_somebody_may_be_given_up() {
    let mut looks = Looks::new();
    looks.see(0.0, &healthy(seconds(1)));
    looks.see(1.0, &in_flight(seconds(2), seconds(0), 10));
    let due = |looks: &Looks, at: f64| {
        let now = looks.start + Duration::from_secs_f64(at);
        looks.suspect.unwrap().due(now).map(|due| (due - looks.start).as_secs())
    };
    assert_eq!(due(&looks, 1.0), Some(31));
    assert_eq!(due(&looks, 31.0), Some(39));
    assert_eq!(due(&looks, 39.0), None);
    looks.see(40.0, &closed_window(seconds(1), 0));
    assert_eq!(due(&looks, 40.0), None, "nothing is asked of it");
}
