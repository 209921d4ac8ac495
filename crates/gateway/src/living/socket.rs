//! One socket over several looks: what has had no answer, since when, and whether its peer has vanished.
//!
//! An acknowledgement that is old says nothing: that of a silent stream is as old as its keepalive allows. What counts is a
//! question without an answer, which is bytes in flight or a probe, and since when there has been one and no sign of life. Between
//! two probes of a closed window nothing is asked, for up to two minutes, and so nothing unanswered.

use std::time::Duration;

use outlast_protocol::pool;
use outlast_runtime::clock::Instant;
use outlast_sockets::{Info, Socket, TcpState, Timer};

use crate::listener::KEEPALIVE_TIME;

/// What is unanswered for so long makes a zombie.
pub(crate) const ZOMBIE: Duration = Duration::from_secs(10);
/// A peer that leaves everything unanswered for so long is given up.
pub(crate) const VANISHED: Duration = Duration::from_secs(30);
/// But one that slept for this time has been asked again before: the intervals of retransmissions double, and where a round
/// trip is slow, the next one may come in the 38th second only.
const SLEEP: Duration = Duration::from_secs(20);
/// That question is waited for, but no longer.
const VANISHED_MAX: Duration = Duration::from_secs(38);
/// Probes of a closed window are minutes apart, and one of them is easily lost: where one packet in ten is, one of 100,000
/// living peers leaves five in a row unanswered.
const WINDOW_PROBES_MIN: u8 = 5;
/// As many make a zombie.
const ZOMBIE_WINDOW_PROBES_MIN: u8 = 2;

/// What is asked of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Bytes in flight.
    Bytes,
    /// Probes of keepalive: so many have no answer.
    KeepAlive(u8),
    /// Probes of a closed window.
    WindowProbe(u8),
}

/// What a look tells of a socket, with what was remembered of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) question: Option<Question>,
    /// For how long it has had no answer.
    pub(crate) unanswered: Option<Duration>,
    /// For how long bytes have waited for their acknowledgement, at least, however alive the peer is.
    pub(crate) waiting: Option<Duration>,
    pub(crate) unacked: u32,
    pub(crate) unsent: u32,
    pub(crate) unread: u32,
    /// The peer has closed its sending direction, or the connection.
    pub(crate) finished: bool,
    pub(crate) retransmits: u8,
    pub(crate) last_sent: Duration,
    pub(crate) last_heard: Duration,
    pub(crate) last_ack: Duration,
    pub(crate) rtt: Duration,
}

/// What is remembered between two looks, of sockets that are not done: some 140 bytes. The healthy ones leave nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suspect {
    cookie: u64,
    /// The number of the look that saw it last.
    pub(crate) seen: u32,
    /// Since when a question has had no answer.
    asked: Option<Instant>,
    mark: Option<Mark>,
    pub(crate) reading: Reading,
}

/// A position in what was written, and since when it has waited.
#[derive(Debug, Clone, Copy)]
struct Mark {
    position: u64,
    since: Instant,
    /// How long the mark before this one has waited, at least.
    before: Duration,
}

/// The time of a look and of the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) number: u32,
    pub(crate) now: Instant,
    pub(crate) last: Option<Instant>,
}

/// Whether something of a socket is to be remembered.
pub(crate) fn is_suspect(socket: &Socket) -> bool {
    socket.send_queue > 0 || socket.info.is_some_and(|info| question(socket, &info).is_some())
}

fn question(socket: &Socket, info: &Info) -> Option<Question> {
    match socket.timer {
        _ if info.unacked > 0 => Some(Question::Bytes),
        Timer::KeepAlive(count) if count > 0 => Some(Question::KeepAlive(count)),
        Timer::WindowProbe(count) if count > 0 => Some(Question::WindowProbe(count)),
        _ => None,
    }
}

fn has_finished(state: TcpState) -> bool {
    matches!(state, TcpState::CloseWait | TcpState::LastAck | TcpState::Closing)
}

impl Suspect {
    /// What is known of a socket, together with what is remembered of it. None: the kernel tells nothing.
    pub(crate) fn see(socket: &Socket, remembered: Option<&Self>, look: Look) -> Option<Self> {
        let info = socket.info.as_ref()?;
        let remembered = remembered.filter(|suspect| suspect.cookie == socket.cookie);
        let question = question(socket, info);
        let asked = question
            .map(|question| asked(question, info, remembered.and_then(|known| known.asked), look));
        let mark = mark(socket, info, remembered, look);
        let unsent = info.not_sent.unwrap_or(0).min(socket.send_queue);
        let reading = Reading {
            question,
            unanswered: asked.map(|asked| look.now - asked),
            waiting: mark.map(|mark| mark.before.max(look.now - mark.since)),
            unacked: socket.send_queue - unsent,
            unsent,
            unread: socket.receive_queue,
            finished: has_finished(socket.state),
            retransmits: info.retransmits,
            last_sent: info.last_data_sent,
            last_heard: info.last_heard(),
            last_ack: info.last_ack_received,
            rtt: info.rtt,
        };
        Some(Self { cookie: socket.cookie, seen: look.number, asked, mark, reading })
    }

    /// When it could next become known that its peer has vanished.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let asked = self.asked?;
        [asked + VANISHED, asked + VANISHED_MAX].into_iter().find(|due| *due > now)
    }
}

/// Since when a question has had no answer.
fn asked(question: Question, info: &Info, known: Option<Instant>, look: Look) -> Instant {
    let before_now = |time: Duration| look.now.checked_sub(time).unwrap_or(look.now);
    let heard = before_now(info.last_heard());
    if let Some(asked) = known.filter(|asked| *asked >= heard) {
        return asked;
    }
    // It is a new one, and at the last look it was not asked yet.
    let earliest = look.last.map_or(heard, |last| last.max(heard));
    let asked = match question {
        // At the earliest when bytes were sent last: these may be later ones.
        Question::Bytes => before_now(info.last_data_sent),
        Question::KeepAlive(_) => heard + KEEPALIVE_TIME,
        Question::WindowProbe(_) => look.now,
    };
    asked.max(earliest).min(look.now)
}

/// How far the peer has come in what was written. A position is kept until it is acknowledged: a queue that is never empty may be
/// one that flows.
fn mark(socket: &Socket, info: &Info, remembered: Option<&Suspect>, look: Look) -> Option<Mark> {
    let acked = info.bytes_acked.filter(|_| socket.send_queue > 0)?;
    let new =
        |before| Mark { position: acked + u64::from(socket.send_queue), since: look.now, before };
    let Some(mark) = remembered.and_then(|known| known.mark) else {
        return Some(new(Duration::ZERO));
    };
    if acked < mark.position {
        return Some(mark);
    }
    // It was passed after the last look.
    Some(new(look.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(mark.since))))
}

impl Reading {
    /// Whether the peer is a zombie: nothing that it was asked in the last ten seconds, and so often, was answered.
    pub(crate) fn is_zombie(&self) -> bool {
        let is_asked = match self.question {
            Some(Question::WindowProbe(count)) => count >= ZOMBIE_WINDOW_PROBES_MIN,
            Some(Question::Bytes | Question::KeepAlive(_)) => true,
            None => false,
        };
        is_asked && self.unanswered.is_some_and(|time| time >= ZOMBIE)
    }

    /// Whether the peer is to be given up. It errs on the side of the living.
    pub(crate) fn has_vanished(&self) -> bool {
        let (Some(question), Some(unanswered)) = (self.question, self.unanswered) else {
            return false;
        };
        unanswered >= VANISHED
            && match question {
                Question::Bytes => {
                    unanswered.saturating_sub(self.last_sent) >= SLEEP || unanswered >= VANISHED_MAX
                }
                Question::KeepAlive(_) => true,
                Question::WindowProbe(count) => count >= WINDOW_PROBES_MIN,
            }
    }

    /// The numbers, for programs.
    pub(crate) fn view(&self) -> pool::Socket {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let probes = match self.question {
            Some(Question::KeepAlive(count) | Question::WindowProbe(count)) => count,
            Some(Question::Bytes) | None => 0,
        };
        pool::Socket {
            unanswered_ms: self.unanswered.map(milliseconds),
            unacked_bytes: self.unacked.into(),
            unsent_bytes: self.unsent.into(),
            waiting_ms: self.waiting.map(milliseconds),
            unread_bytes: self.unread.into(),
            finished: self.finished,
            probes: probes.into(),
            retransmits: self.retransmits.into(),
            last_heard_ms: milliseconds(self.last_heard),
            last_ack_ms: milliseconds(self.last_ack),
            rtt_us: u64::try_from(self.rtt.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests;
