//! What an incident's lines tell of one machine.

use std::time::Duration;

use crate::logs::{AppSign, Code, Deploy, Event, ExitCause, Kind, Origin};

use super::words::between;

/// An end within this long after a signal was asked for: `kill_timeout` is 300 s at most.
const ASKED: i64 = 300_000_000_000;
/// A second word of the same start comes within this long.
const SAME_START: i64 = 60_000_000_000;
/// An app that has said that it listens does so after this long.
const LISTENS: i64 = 5_000_000_000;
/// The runner's line about a start comes at most this long after what the app does then.
const TOLD_LATE: i64 = 3_000_000_000;
/// No start takes longer.
const START_MAX: Duration = Duration::from_secs(600);

/// One machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machine {
    /// How often it was started.
    pub(crate) starts: u32,
    /// How often it came to answer.
    pub(crate) reached: u32,
    /// How often the proxy gave it up after a start: in lines of that, and in lines of requests that name it as their cause.
    given_up: [u32; 2],
    /// The longest that it took, or was waited for in vain.
    pub(crate) slowest: Duration,
    /// How often it ended by itself, and not with code 0: as the app's own lines have it, and as all others have it.
    bad_exits: [u32; 2],
    /// How often it was stopped or suspended as not needed.
    pub(crate) stops: u32,
    /// How often it was told to end without that.
    pub(crate) signals: u32,
    /// How often its port refused the proxy although the app had said that it listens.
    pub(crate) deaf: u32,
    /// Steps of deployments.
    pub(crate) deploys: u32,
    /// When the start began that has not come to an end.
    pending: Option<i64>,
    says_it_listens: bool,
    /// When it said so, if nothing has shown since that it does.
    listens_since: Option<i64>,
    last_start: Option<i64>,
    last_signal: Option<i64>,
    last_stop: Option<i64>,
    how_last_exit: Option<ExitCause>,
}

impl Machine {
    /// Whether the last start came to nothing as far as the lines go.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.is_some() && !self.says_it_listens
    }

    /// Whether it came to answer at least once.
    pub(crate) fn has_answered(&self) -> bool {
        self.reached > 0 || self.says_it_listens
    }

    /// How often the proxy gave it up after a start.
    pub(crate) fn given_up(&self) -> u32 {
        self.given_up[0].max(self.given_up[1])
    }

    /// How often it ended by itself, and not with code 0.
    pub(crate) fn bad_exits(&self) -> u32 {
        self.bad_exits[0].max(self.bad_exits[1])
    }

    /// How it ended last, if not by request.
    pub(crate) fn last_exit(&self) -> Option<ExitCause> {
        self.how_last_exit
    }

    pub(crate) fn see(&mut self, event: &Event, at: i64) {
        match &event.kind {
            Kind::Starting | Kind::Started { .. } => self.starts(at),
            Kind::Reachable { took } => self.answers(at, took.unwrap_or_default()),
            Kind::WaitingForReachable { waited } => {
                if self.pending.is_none() {
                    self.starts(at);
                }
                self.slowest = self.slowest.max(waited.unwrap_or_default());
            }
            Kind::ProxyError { code, cause, waited, .. } => {
                let listens = self.listens_since.is_some_and(|since| at - since >= LISTENS);
                self.deaf += u32::from(*code == Code::PC01 && listens);
                // What it says of itself was true of another address.
                self.says_it_listens &= *code != Code::PC01 && *code != Code::PM05;
                if *code == Code::PM05 || *cause == Some(Code::PM05) {
                    self.given_up[usize::from(*code != Code::PM05)] += 1;
                    self.slowest = self.slowest.max(waited.unwrap_or_default());
                    self.pending = self.pending.or(Some(at));
                }
            }
            Kind::Autostop { .. } | Kind::Suspended | Kind::TrialStop => self.is_stopped(at),
            Kind::Signal { .. } => {
                let is_new = self.last_signal.is_none_or(|last| at - last > SAME_START);
                let is_stop = self.last_stop.is_some_and(|last| (at - last).abs() <= SAME_START);
                self.signals += u32::from(is_new && !is_stop);
                self.last_signal = Some(at);
            }
            Kind::Exited { cause, .. } => self.ends(*cause, event.origin, at),
            Kind::Deploy(deploy) => {
                self.deploys += 1;
                if *deploy == Deploy::Created {
                    self.starts(at);
                }
            }
            Kind::App(AppSign::Listening) => {
                self.says_it_listens = true;
                self.listens_since = Some(at);
                self.slowest = self.slowest.max(self.since_start(at));
            }
            Kind::Served(_) => self.has_served(),
            Kind::Exchange(exchange) if exchange.first_byte.is_some() => self.has_served(),
            Kind::NotStarted => self.pending = self.pending.or(Some(at)),
            _ => {}
        }
    }

    fn starts(&mut self, at: i64) {
        let is_same =
            self.pending.is_some() && self.last_start.is_some_and(|last| at - last <= SAME_START);
        if !is_same {
            self.starts += 1;
            self.last_start = Some(at);
            self.pending = Some(at);
            // The runner tells of a start when it is over; a quick app has spoken by then.
            self.listens_since = self.listens_since.filter(|since| at - since <= TOLD_LATE);
            self.says_it_listens = self.listens_since.is_some();
        }
    }

    fn answers(&mut self, at: i64, took: Duration) {
        // The line counts from when the machine ran; the start itself may have taken long, too.
        self.slowest = self.slowest.max(self.since_start(at)).max(took);
        self.starts = self.starts.max(1);
        self.reached += 1;
        self.pending = None;
        self.listens_since = None;
    }

    /// It answers. When that began is not told: the first request may have come any time later.
    fn has_served(&mut self) {
        self.reached += u32::from(self.pending.take().is_some());
        self.listens_since = None;
    }

    /// Nothing if no start is open, or if it was so long ago that it must have been another one.
    fn since_start(&self, at: i64) -> Duration {
        let since = self.pending.map_or(Duration::ZERO, |from| between(from, at));
        if since <= START_MAX { since } else { Duration::ZERO }
    }

    fn is_stopped(&mut self, at: i64) {
        let is_new = self.last_stop.is_none_or(|last| at - last > SAME_START);
        self.stops += u32::from(is_new);
        self.last_stop = Some(at);
        self.last_signal = Some(at);
    }

    /// One end may be told twice, by the init as the app and by the runner: so they are counted apart.
    fn ends(&mut self, cause: ExitCause, origin: Origin, at: i64) {
        self.pending = None;
        self.listens_since = None;
        let was_asked = self.last_signal.is_some_and(|last| at >= last && at - last <= ASKED);
        if cause != ExitCause::Code(0) && !was_asked {
            self.bad_exits[usize::from(origin != Origin::App)] += 1;
            self.how_last_exit = Some(cause);
        }
    }
}
