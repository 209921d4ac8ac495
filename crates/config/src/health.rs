//! How the plan says what is asked of machines, and what follows when they fail.

use std::fmt;
use std::time::Duration;

use crate::duration::format_duration;

/// A health check of `fly.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Unique: of a check at the top its own, of a service's the form that Fly shows, `servicecheck-00-http-8080`.
    pub name: String,
    /// The port on which the app listens inside its machine.
    pub port: u16,
    /// What is asked.
    pub probe: Probe,
    /// From the start of one probe to the start of the next.
    pub interval: Duration,
    /// A probe that takes longer has failed.
    pub timeout: Duration,
    /// After the start of the machine, in which a failure does not count unless a probe has passed before.
    pub grace: Duration,
    /// The process groups whose machines are checked. Empty: all.
    pub groups: Vec<String>,
}

/// What a health check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Whether a connection is accepted.
    Tcp,
    /// Whether a request is answered by a status from 200 to 299.
    Http(HttpProbe),
}

/// The request of a health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// `method`, default `GET`.
    pub method: String,
    /// `path`, default `/`.
    pub path: String,
    /// `headers`, names and values that HTTP allows.
    pub headers: Vec<(String, String)>,
}

/// When a machine that keeps failing exchanges gets no more of them for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Eject {
    /// `eject.failures`, default 5 exchanges one after the other. 0: never.
    pub failures: u32,
    /// `eject.time`, default 10 s, for the first time; doubled by each further one.
    pub time: Duration,
    /// `eject.time_max`, default 5 min.
    pub time_max: Duration,
    /// `eject.share_max`, default 50 % of a service's machines, but one at least, and never the last one.
    pub share_max: u32,
}

impl Eject {
    /// How long a machine is out that was ejected so often, one time after the other. 0: no time.
    #[must_use]
    pub fn ejected_for(&self, ejections: u32) -> Duration {
        let Some(doublings) = ejections.checked_sub(1) else { return Duration::ZERO };
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        self.time.saturating_mul(factor).min(self.time_max)
    }
}

impl Default for Eject {
    fn default() -> Self {
        Self {
            failures: 5,
            time: Duration::from_secs(10),
            time_max: Duration::from_secs(300),
            share_max: 50,
        }
    }
}

/// How many exchanges that could not connect to their machine may try another one. In 10 s, so many percent of the
/// service's exchanges and `min` more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// `retry.percent`, default 20.
    pub percent: u32,
    /// `retry.min`, default 10.
    pub min: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { percent: 20, min: 10 }
    }
}

impl fmt::Display for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.probe {
            Probe::Tcp => write!(f, "tcp on {}", self.port)?,
            Probe::Http(http) => write!(f, "http {} {} on {}", http.method, http.path, self.port)?,
        }
        let [interval, timeout, grace] =
            [self.interval, self.timeout, self.grace].map(format_duration);
        write!(f, " every {interval}, within {timeout}, grace {grace}")
    }
}
