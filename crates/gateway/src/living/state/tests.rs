//! Every state, by the facts on both sides of its boundaries, and its words.

use super::*;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn streaming(silent: u64) -> Facts {
    Facts { stage: Stage::Streaming, is_tunnel: false, silent: ms(silent), age: ms(60_000) }
}

fn tunnel(silent: u64) -> Facts {
    Facts { is_tunnel: true, ..streaming(silent) }
}

const HEALTHY: Reading = Reading {
    question: None,
    unanswered: None,
    waiting: None,
    unacked: 0,
    unsent: 0,
    unread: 0,
    finished: false,
    retransmits: 0,
    last_sent: ms(3_000),
    last_heard: ms(3_000),
    last_ack: ms(3_000),
    rtt: ms(1),
};

fn unanswered(question: Question, time: u64) -> Reading {
    let unanswered = Some(ms(time));
    Reading { question: Some(question), unanswered, last_ack: ms(time + 3_000), ..HEALTHY }
}

fn waiting(time: u64) -> Reading {
    Reading { waiting: Some(ms(time)), unacked: 10, unsent: 65_526, ..HEALTHY }
}

#[test]
fn the_first_state_that_fits() {
    use Question::{Bytes, KeepAlive, WindowProbe};
    let silent =
        |question, time| Reading { waiting: Some(ms(60_000)), ..unanswered(question, time) };
    let queued = Facts { stage: Stage::Queued, ..streaming(0) };
    let receiving = Facts { stage: Stage::Receiving, ..streaming(0) };
    let connecting = Facts { stage: Stage::Connecting, ..streaming(0) };
    let dead = unanswered(Bytes, 10_000);
    for (facts, client, machine, state) in [
        (queued, HEALTHY, None, State::Queued),
        (queued, dead, None, State::Queued),
        (receiving, HEALTHY, None, State::Queued),
        (connecting, HEALTHY, None, State::Active),
        (streaming(0), unanswered(Bytes, 9_999), None, State::Active),
        (streaming(0), dead, None, State::Zombie),
        (streaming(0), unanswered(KeepAlive(3), 10_000), None, State::Zombie),
        (streaming(0), HEALTHY, Some(dead), State::Zombie),
        (streaming(0), waiting(1_999), None, State::Active),
        (streaming(0), waiting(2_000), None, State::SlowReader),
        (streaming(0), HEALTHY, Some(waiting(2_000)), State::SlowReader),
        (streaming(0), silent(Bytes, 1_999), None, State::SlowReader),
        (streaming(0), silent(Bytes, 2_000), None, State::Active),
        (streaming(60_000), silent(Bytes, 9_999), None, State::Thinking),
        (streaming(60_000), silent(WindowProbe(1), 60_000), None, State::SlowReader),
        (streaming(0), waiting(2_000), Some(dead), State::Zombie),
        (streaming(60_000), waiting(60_000), None, State::SlowReader),
        (streaming(4_999), HEALTHY, Some(HEALTHY), State::Active),
        (streaming(5_000), HEALTHY, Some(HEALTHY), State::Thinking),
        (streaming(3_600_000), HEALTHY, None, State::Thinking),
        (tunnel(4_999), HEALTHY, None, State::Active),
        (tunnel(5_000), HEALTHY, None, State::Thinking),
        (tunnel(29_999), HEALTHY, None, State::Thinking),
        (tunnel(30_000), HEALTHY, None, State::Idle),
    ] {
        let ends = Ends { client: Some(client), machine };
        assert_eq!(State::new(&facts, &ends), state, "{facts:?} {ends:?}");
    }
}

#[test]
fn without_the_kernel_the_times_of_bytes_remain() {
    for (facts, state, words) in [
        (streaming(100), State::Active, "active: last byte 0.1 s ago"),
        (
            streaming(12_000),
            State::Thinking,
            "thinking: silent for 12 s; the kernel tells nothing of its client",
        ),
        (
            tunnel(45_000),
            State::Idle,
            "idle: silent both ways for 45 s; the kernel tells nothing of its client",
        ),
    ] {
        let ends = Ends::default();
        assert_eq!(State::new(&facts, &ends), state);
        assert_eq!(state.evidence(&facts, &ends), words);
    }
}

#[test]
fn the_evidence_is_words_with_numbers() {
    use Question::{Bytes, KeepAlive, WindowProbe};
    let queued = Facts { stage: Stage::Queued, ..streaming(0) };
    let bytes = Reading { unacked: 1_812, ..unanswered(Bytes, 31_000) };
    let one = Reading { unacked: 1, ..unanswered(Bytes, 31_000) };
    for (facts, client, machine, words) in [
        (queued, HEALTHY, None, "queued: waits for a place, 60 s after it came"),
        (
            queued,
            unanswered(KeepAlive(2), 7_000),
            None,
            "queued: waits for a place, 60 s after it came; 2 keepalive probes unanswered for 7.0 s, last ACK 10 s ago",
        ),
        (
            streaming(0),
            bytes,
            None,
            "zombie: 1,812 bytes unacknowledged for 31 s, last ACK 34 s ago",
        ),
        (
            streaming(0),
            HEALTHY,
            Some(one),
            "zombie: machine: 1 byte unacknowledged for 31 s, last ACK 34 s ago",
        ),
        (
            streaming(0),
            unanswered(KeepAlive(1), 10_000),
            None,
            "zombie: 1 keepalive probe unanswered for 10 s, last ACK 13 s ago",
        ),
        (
            streaming(0),
            unanswered(WindowProbe(5), 12_000),
            None,
            "zombie: 5 probes of its closed window unanswered for 12 s, last ACK 15 s ago",
        ),
        (
            streaming(0),
            waiting(4_000),
            None,
            "slow reader: 65,536 bytes wait for 4.0 s, last ACK 3.0 s ago",
        ),
        (
            streaming(12_000),
            HEALTHY,
            None,
            "thinking: silent for 12 s, all acknowledged, client heard 3.0 s ago",
        ),
        (
            streaming(12_000),
            unanswered(KeepAlive(1), 3_000),
            None,
            "thinking: silent for 12 s, 1 keepalive probe unanswered for 3.0 s, last ACK 6.0 s ago",
        ),
    ] {
        let ends = Ends { client: Some(client), machine };
        assert_eq!(State::new(&facts, &ends).evidence(&facts, &ends), words);
    }
}

#[test]
fn who_has_finished_is_told_of() {
    for (facts, client, machine, words) in [
        (
            streaming(12_000),
            Reading { finished: true, ..HEALTHY },
            None,
            "thinking: silent for 12 s, all acknowledged, client heard 3.0 s ago; the client has finished",
        ),
        (
            streaming(0),
            waiting(4_000),
            Some(Reading { finished: true, ..HEALTHY }),
            "slow reader: 65,536 bytes wait for 4.0 s, last ACK 3.0 s ago; the machine has finished",
        ),
    ] {
        let ends = Ends { client: Some(client), machine };
        assert_eq!(State::new(&facts, &ends).evidence(&facts, &ends), words);
    }
}

#[test]
fn long_numbers_are_read_by_threes() {
    for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_048_576, "1,048,576")] {
        assert_eq!(Thousands(number).to_string(), text);
    }
}
