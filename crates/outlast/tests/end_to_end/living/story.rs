//! What became of one subject, and whether that is as it should be.

use std::time::Duration;

use outlast_runtime::clock::Instant;
use serde_json::Value;

use super::peers::{Ending, Seen};
use super::subjects::{Fate, Machine, Subject, Truth};

/// Beyond what is promised: for a busy machine that runs the test, and for the time between two looks.
const SLACK: Duration = Duration::from_secs(5);

/// A state that was shown, with the last evidence of it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) state: String,
    pub(super) evidence: String,
}

#[derive(Debug, Default)]
pub(super) struct Story {
    /// Since when the client waits for what is to flow.
    pub(super) waits: Option<Instant>,
    /// The gateway's, to the machine.
    pub(super) port: Option<u16>,
    /// Changes of what `/api/exchanges` said.
    pub(super) shown: Vec<Shown>,
    pub(super) died: Option<Instant>,
    /// The line of the access log.
    pub(super) end: Option<Value>,
    client: Option<Ending>,
    machine: Option<Ending>,
}

impl Story {
    pub(super) fn note(&mut self, seen: Seen) {
        match seen {
            Seen::Opened(port) => self.port = Some(port),
            Seen::Waits(since) => self.waits = Some(since),
            Seen::Client(ending) => self.client = Some(ending),
            Seen::Machine(ending) => self.machine = Some(ending),
        }
    }

    pub(super) fn show(&mut self, exchange: &Value) {
        let text = |field: &str| exchange[field].as_str().unwrap_or_default().to_owned();
        let (state, evidence) = (text("state"), text("evidence"));
        match self.shown.last_mut() {
            Some(last) if last.state == state => last.evidence = evidence,
            _ => self.shown.push(Shown { state, evidence }),
        }
    }

    /// Whether both ends are there.
    pub(super) fn is_open(&self, subject: &Subject) -> bool {
        self.waits.is_some() && (self.port.is_some() || subject.row.machine == Machine::Stopped)
    }

    /// Whether everything has come that will come.
    pub(super) fn is_over(&self, subject: &Subject) -> bool {
        let client_hears = !matches!(subject.row.fate, Fate::ClientVanishes(_));
        let machine_hears = !matches!(subject.row.fate, Fate::MachineVanishes(_))
            && subject.row.machine != Machine::Stopped;
        self.end.is_some()
            && (self.client.is_some() || !client_hears)
            && (self.machine.is_some() || !machine_hears)
    }

    pub(super) fn outcome(&self) -> &str {
        self.end.as_ref().and_then(|line| line["outcome"].as_str()).unwrap_or("none")
    }

    /// When the exchange was over, by the gateway's own record of how long it took.
    fn ended(&self) -> Option<Instant> {
        let line = self.end.as_ref()?;
        let milliseconds = |field: &str| line[field].as_u64().unwrap_or_default();
        let since_head = milliseconds("duration_ms").saturating_sub(milliseconds("first_byte_ms"));
        Some(self.waits? + Duration::from_millis(since_head))
    }

    /// From the death to the release.
    pub(super) fn released_after(&self) -> Option<Duration> {
        Some(self.ended()?.saturating_duration_since(self.died?))
    }

    pub(super) fn has_shown(&self, state: &str) -> bool {
        self.shown.iter().any(|shown| shown.state == state)
    }

    /// What is not as it should be.
    pub(super) fn complaints(&self, subject: &Subject) -> Vec<String> {
        let row = subject.row;
        let mut complaints = match row.truth {
            Truth::Living => self.wrongs_of_living(subject),
            Truth::DeadClient(within) => {
                self.wrongs_of_dead(within, "machine", self.machine.as_ref())
            }
            Truth::DeadMachine(within) => {
                self.wrongs_of_dead(within, "client", self.client.as_ref())
            }
        };
        if self.outcome() != row.truth.outcome() {
            complaints.push(format!("its outcome is {}: {:?}", self.outcome(), self.end));
        }
        let has_cause = |field: &str| {
            self.end.as_ref().is_some_and(|line| line[field].as_str() == Some("vanished"))
        };
        if subject.has_vanished() != (has_cause("cause") || has_cause("detail")) {
            complaints.push(format!("the log does not say how it went: {:?}", self.end));
        }
        for state in row.shown.iter().filter(|state| !self.has_shown(state)) {
            complaints.push(format!("it was never {state:?}, but {:?}", self.shown));
        }
        complaints
    }

    fn wrongs_of_living(&self, subject: &Subject) -> Vec<String> {
        let mut wrongs = Vec::new();
        // Where packets are lost, nothing may be heard for 10 s.
        if self.has_shown("zombie") && subject.row.fate == Fate::None {
            wrongs.push(format!("it was called a zombie: {:?}", self.shown));
        }
        let Some(client) = &self.client else { return wrongs };
        if client.cut.is_some() {
            wrongs.push("its client was cut".to_owned());
        }
        let Some(machine) = &self.machine else { return wrongs };
        if machine.cut.is_some() {
            wrongs.push("its machine was cut".to_owned());
        }
        if client.received != machine.sent {
            wrongs.push(format!("of {:?} came {:?}", machine.sent, client.received));
        }
        if subject.kind.is_tunnel() && machine.received != client.sent {
            wrongs.push(format!("of the client's {:?} came {:?}", client.sent, machine.received));
        }
        wrongs
    }

    /// `other` is whom the survivor is, who has to hear of it at once.
    fn wrongs_of_dead(
        &self,
        within: Duration,
        other: &str,
        survivor: Option<&Ending>,
    ) -> Vec<String> {
        let mut wrongs = Vec::new();
        match self.released_after() {
            Some(after) if after <= within + SLACK => {}
            Some(after) => wrongs.push(format!("it was released after {after:?}")),
            None => wrongs.push(format!("it was never released: {:?}", self.shown)),
        }
        let Some(end) = self.ended() else { return wrongs };
        match survivor.and_then(|survivor| survivor.cut) {
            None => wrongs.push(format!("the {other} was never told")),
            Some(cut) if cut > end + SLACK => {
                wrongs.push(format!("the {other} was told {:?} later", cut - end));
            }
            Some(_) => {}
        }
        wrongs
    }
}
