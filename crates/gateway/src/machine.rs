//! A machine of a service: whether it takes traffic, and why not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use outlast_config::Eject;
use outlast_protocol::pool;
use outlast_runtime::clock::{self, Instant};

/// What is known of a health check, in Fly's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStatus {
    /// The last probe passed.
    Passing,
    /// None has passed since the machine was started, and a failure does not count yet.
    Warning,
    /// The last probe failed.
    Critical,
}

/// What a health check of a machine says.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// Its name, as in the plan.
    pub name: &'a str,
    /// The result.
    pub status: CheckStatus,
    /// Why: one line.
    pub output: &'a str,
}

/// What a machine did to an exchange before it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Refused,
    ConnectTimedOut,
    Closed,
    Silent,
}

/// Where a machine stands, the first that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MachineState {
    /// It does not run.
    Lost,
    /// A check of the service has failed.
    Unhealthy,
    /// A check of the service has not passed yet.
    Checking,
    /// It failed too many exchanges, and gets none for a while.
    Ejected,
    Ready,
}

/// Whether its checks hold traffic back, or are only shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Gates,
    Shown,
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) name: Arc<str>,
    pub(crate) address: SocketAddr,
    is_up: bool,
    checks: Vec<Check>,
    /// Exchanges that it failed, one after the other.
    failures: AtomicU32,
    ejected: Option<Ejected>,
    /// How often it was ejected without having proven itself in between, and when it came back.
    ejections: u32,
    back: Option<Instant>,
    /// The state that was told last, and since when it holds.
    pub(crate) told: MachineState,
    since: Timestamp,
}

#[derive(Debug)]
struct Check {
    name: String,
    kind: &'static str,
    port: u16,
    effect: Effect,
    status: CheckStatus,
    since: Timestamp,
    output: String,
}

#[derive(Debug)]
struct Ejected {
    reason: String,
    since: Timestamp,
    until: Instant,
    until_wall: Timestamp,
}

impl Machine {
    pub(crate) fn new(
        name: &str,
        address: SocketAddr,
        checks: impl Iterator<Item = (outlast_config::HealthCheck, Effect)>,
    ) -> Self {
        let since = clock::wall_now();
        let check = |(check, effect): (outlast_config::HealthCheck, Effect)| Check {
            kind: match check.probe {
                outlast_config::Probe::Tcp => "tcp",
                outlast_config::Probe::Http(_) => "http",
            },
            name: check.name,
            port: check.port,
            effect,
            status: CheckStatus::Warning,
            since,
            output: "not checked yet".to_owned(),
        };
        Self {
            name: name.into(),
            address,
            is_up: true,
            checks: checks.map(check).collect(),
            failures: AtomicU32::new(0),
            ejected: None,
            ejections: 0,
            back: None,
            told: MachineState::Lost,
            since,
        }
    }

    pub(crate) fn lost(&mut self) {
        self.is_up = false;
    }

    pub(crate) fn state(&self) -> MachineState {
        let is_any = |status| {
            let mut gates = self.checks.iter().filter(|check| check.effect == Effect::Gates);
            gates.any(|check| check.status == status)
        };
        if !self.is_up {
            MachineState::Lost
        } else if is_any(CheckStatus::Critical) {
            MachineState::Unhealthy
        } else if is_any(CheckStatus::Warning) {
            MachineState::Checking
        } else if self.ejected.is_some() {
            MachineState::Ejected
        } else {
            MachineState::Ready
        }
    }

    /// Remembers the state that is told now.
    pub(crate) fn tells(&mut self, state: MachineState) {
        self.told = state;
        self.since = clock::wall_now();
    }

    /// A check that recovers ends an ejection. One that passes all the while says nothing new.
    pub(crate) fn checked(&mut self, checked: Checked<'_>) {
        let Some(check) = self.checks.iter_mut().find(|check| check.name == checked.name) else {
            return;
        };
        let recovers = check.effect == Effect::Gates
            && check.status == CheckStatus::Critical
            && checked.status == CheckStatus::Passing;
        if check.status != checked.status {
            check.since = clock::wall_now();
        }
        check.status = checked.status;
        checked.output.clone_into(&mut check.output);
        if recovers {
            self.returns();
        }
    }

    /// One more exchange that it failed: how many there are now, one after the other.
    pub(crate) fn fails(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether there was a failure to be forgotten.
    pub(crate) fn answers(&self) -> bool {
        self.failures.swap(0, Ordering::Relaxed) > 0
    }

    /// Keeps it out for a while: twice as long as the last time, unless it has since held longer than it was out.
    pub(crate) fn eject(&mut self, settings: &Eject, fault: Fault) -> Duration {
        let now = clock::now();
        let last = settings.ejected_for(self.ejections);
        let has_held = self.back.is_none_or(|back| now - back > last);
        self.ejections = if has_held { 1 } else { self.ejections.saturating_add(1) };
        let time = settings.ejected_for(self.ejections);
        let since = clock::wall_now();
        self.ejected = Some(Ejected {
            reason: format!("{} exchanges failed, the last: {}", settings.failures, fault.text()),
            since,
            until: now + time,
            until_wall: since.saturating_add(time).unwrap_or(Timestamp::MAX),
        });
        time
    }

    /// Its ejection ends. False if it was not ejected.
    pub(crate) fn returns(&mut self) -> bool {
        let was_ejected = self.ejected.take().is_some();
        if was_ejected {
            self.back = Some(clock::now());
        }
        was_ejected
    }

    /// When its ejection ends.
    pub(crate) fn ejected_until(&self) -> Option<Instant> {
        self.ejected.as_ref().map(|ejected| ejected.until)
    }

    /// Why it takes no traffic. Empty if it does, or does not run.
    pub(crate) fn reason(&self) -> String {
        match self.state() {
            MachineState::Lost | MachineState::Ready => String::new(),
            MachineState::Ejected => {
                self.ejected.as_ref().map_or_else(String::new, |ejected| ejected.reason.clone())
            }
            MachineState::Unhealthy | MachineState::Checking => {
                let gates = self.checks.iter().filter(|check| check.effect == Effect::Gates);
                let worst = gates.max_by_key(|check| check.status.gravity());
                worst.map_or_else(String::new, |check| format!("{}: {}", check.name, check.output))
            }
        }
    }

    /// As the pool shows it, without its places.
    pub(crate) fn view(&self) -> pool::Machine {
        pool::Machine {
            id: self.name.to_string(),
            state: self.state().name().to_owned(),
            since: self.since.to_string(),
            reason: Some(self.reason()).filter(|reason| !reason.is_empty()),
            ejected: self.ejected.as_ref().map(|ejected| pool::Ejected {
                reason: ejected.reason.clone(),
                since: ejected.since.to_string(),
                until: ejected.until_wall.to_string(),
            }),
            checks: self.checks.iter().map(Check::view).collect(),
            ..pool::Machine::default()
        }
    }
}

impl Check {
    fn view(&self) -> pool::Check {
        pool::Check {
            name: self.name.clone(),
            kind: self.kind.to_owned(),
            port: self.port,
            gates: self.effect == Effect::Gates,
            status: self.status.name().to_owned(),
            since: self.since.to_string(),
            output: self.output.clone(),
        }
    }
}

impl CheckStatus {
    fn name(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    fn gravity(self) -> u8 {
        match self {
            Self::Passing => 0,
            Self::Warning => 1,
            Self::Critical => 2,
        }
    }
}

impl MachineState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Unhealthy => "unhealthy",
            Self::Checking => "checking",
            Self::Ejected => "ejected",
            Self::Ready => "ready",
        }
    }
}

impl Fault {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Refused => "the connection was refused",
            Self::ConnectTimedOut => "it did not accept the connection in time",
            Self::Closed => "the connection was closed before an answer",
            Self::Silent => "it did not answer in time",
        }
    }
}
