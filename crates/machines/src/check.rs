//! Health checks of a machine, from when it is ready to its end.
//!
//! A failure within the grace after a start does not count, unless the check has passed since that start. Until it has,
//! it asks often. There are no thresholds: one probe that fails or passes decides, as on Fly.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use outlast_runtime::clock::{self, Instant};
use outlast_runtime::random;

use crate::Change;
use crate::line::{Level, Provider};
use crate::output::Voice;
use crate::probe::{Verdict, probe};
use crate::record::Record;

/// Until a check has passed, from the first probe to the second; doubled from there, up to its interval.
const EAGER_DELAY_MIN: Duration = Duration::from_millis(100);

/// A health check of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSpec {
    /// Its name in the log and in reports; unique for a machine.
    pub name: String,
    /// The port on which the machine believes to listen. One that no service has is asked as it is.
    pub port: u16,
    /// What is asked.
    pub probe: ProbeSpec,
    /// From the start of one probe to the start of the next. Probes of a check never overlap.
    pub interval: Duration,
    /// A probe that takes longer has failed.
    pub timeout: Duration,
    /// Begins with the start of the machine.
    pub grace: Duration,
    /// The public ports behind which the machine takes no traffic while the check fails.
    pub exposed: Vec<u16>,
}

/// What a health check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeSpec {
    /// Whether a connection is accepted.
    Tcp,
    /// Whether a request is answered by a status from 200 to 299.
    Http {
        /// The method.
        method: String,
        /// The path with its query.
        path: String,
        /// Names and values; they win over our own.
        headers: Vec<(String, String)>,
    },
}

/// What is known of a check, in Fly's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStatus {
    /// The last probe passed.
    Passing,
    /// It failed, within the grace.
    Warning,
    /// It failed.
    Critical,
}

/// A check came to another result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The name of the check.
    pub name: String,
    /// The result.
    pub status: CheckStatus,
    /// Whether it was another one before, and not only said otherwise.
    pub changed: bool,
    /// What the machine said, or why it failed: one line, the first bytes of a body included.
    pub output: String,
}

impl CheckStatus {
    /// The name that the admin API shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Runs all checks of a machine that is reached at `addrs` and was started at `start`, without end.
///
/// Cancel safety: dropping the future ends the checks.
pub(crate) async fn run(
    checks: Vec<CheckSpec>,
    addrs: BTreeMap<u16, SocketAddr>,
    start: Instant,
    record: Arc<Record>,
    voice: Voice,
) {
    let run_one = |check: CheckSpec| {
        let address = address(&check, &addrs);
        let pulse = Pulse::default();
        let (record, voice) = (Arc::clone(&record), voice.clone());
        Watch { check, start, pulse, last: None, record, voice }.run(address)
    };
    join_all(checks.into_iter().map(run_one)).await;
    // A machine without checks: nothing comes to an end that never began.
    std::future::pending::<()>().await;
}

/// A port that no service has is asked where the machine's other ports are.
fn address(check: &CheckSpec, addrs: &BTreeMap<u16, SocketAddr>) -> SocketAddr {
    let host = addrs.values().next().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), SocketAddr::ip);
    addrs.get(&check.port).copied().unwrap_or(SocketAddr::new(host, check.port))
}

/// One check at work.
struct Watch {
    check: CheckSpec,
    start: Instant,
    pulse: Pulse,
    last: Option<(CheckStatus, String)>,
    record: Arc<Record>,
    voice: Voice,
}

impl Watch {
    async fn run(mut self, address: SocketAddr) {
        loop {
            let begun = clock::now();
            let verdict = probe(&self.check, address).await;
            let in_grace = self.start.elapsed() < self.check.grace;
            let (status, delay) =
                self.pulse.beat(verdict.is_ok(), in_grace, self.check.interval, random::number());
            self.tell(status, verdict).await;
            clock::sleep_until(begun + delay).await;
        }
    }

    async fn tell(&mut self, status: CheckStatus, verdict: Verdict) {
        let (Ok(output) | Err(output)) = verdict;
        let now = Some((status, output.clone()));
        if self.last == now {
            return;
        }
        let changed = self.last.as_ref().is_none_or(|(last, _)| *last != status);
        self.last = now;
        let name = self.check.name.clone();
        let report = CheckReport { name, status, changed, output: output.clone() };
        self.record.tell(Change::Checked(report));
        if changed {
            let (level, text) = line(&self.check, status, &output);
            self.voice.say(Provider::Health, level, text).await;
        }
    }
}

/// In Fly's words, and why.
fn line(check: &CheckSpec, status: CheckStatus, output: &str) -> (Level, String) {
    let subject = format!("Health check '{}' on port {}", check.name, check.port);
    let (level, health, effect) = match status {
        CheckStatus::Passing => return (Level::Info, format!("{subject} is now passing.")),
        CheckStatus::Warning => (
            Level::Warn,
            "is in a 'warning' state. Your app may not be responding properly.",
            "have no traffic until",
        ),
        CheckStatus::Critical => (
            Level::Error,
            "has failed. Your app is not responding properly.",
            "will have intermittent failures until",
        ),
    };
    let exposed = if check.exposed.is_empty() {
        String::new()
    } else {
        format!(" Services exposed on ports {:?} {effect} the health check passes.", check.exposed)
    };
    (level, format!("{subject} {health}{exposed} ({output})"))
}

/// When the next probe comes, and whether a failure counts.
#[derive(Debug, Default)]
struct Pulse {
    passed: bool,
    /// Probes that failed before one passed.
    eager: u32,
}

impl Pulse {
    /// After a probe: the status, and the delay from its start to the next. `random` is any number.
    fn beat(
        &mut self,
        passes: bool,
        in_grace: bool,
        interval: Duration,
        random: u64,
    ) -> (CheckStatus, Duration) {
        let status = match (passes, self.passed) {
            (true, _) => CheckStatus::Passing,
            (false, false) if in_grace => CheckStatus::Warning,
            (false, _) => CheckStatus::Critical,
        };
        if self.passed {
            return (status, interval);
        }
        if passes {
            self.passed = true;
            // Machines that were started together are not checked together for ever.
            return (status, interval.mul_f64(random as f64 / u64::MAX as f64));
        }
        let factor = 2_u32.checked_pow(self.eager).unwrap_or(u32::MAX);
        self.eager += 1;
        (status, EAGER_DELAY_MIN.saturating_mul(factor).min(interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);
    const HALF: u64 = u64::MAX / 2;

    #[test]
    fn failures_in_the_grace_do_not_count_until_a_probe_has_passed() {
        let (passing, warning, critical) =
            (CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical);
        for (beats, statuses) in [
            // (passes, in the grace)
            (
                &[(false, true), (false, true), (true, true), (true, false)][..],
                &[warning, warning, passing, passing][..],
            ),
            (&[(true, true), (false, true), (true, true)], &[passing, critical, passing]),
            (&[(false, true), (false, false), (true, false)], &[warning, critical, passing]),
            (&[(false, false)], &[critical]),
        ] {
            let mut pulse = Pulse::default();
            let beat = |(passes, in_grace): &(bool, bool)| {
                pulse.beat(*passes, *in_grace, INTERVAL, HALF).0
            };
            let seen: Vec<_> = beats.iter().map(beat).collect();
            assert_eq!(seen, statuses, "{beats:?}");
        }
    }

    #[test]
    fn it_asks_often_until_it_passes_and_then_by_its_interval_from_anywhere_in_it() {
        let mut pulse = Pulse::default();
        let mut delay = |passes, random| pulse.beat(passes, true, INTERVAL, random).1.as_millis();
        let eager: Vec<_> = (0..6).map(|_| delay(false, HALF)).collect();
        assert_eq!(eager, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(delay(true, HALF), 500, "the first is anywhere in the interval");
        assert_eq!((delay(true, HALF), delay(false, HALF), delay(true, 0)), (1000, 1000, 1000));
        let mut forever = Pulse { passed: false, eager: 40 };
        assert_eq!(forever.beat(false, true, INTERVAL, 0).1, INTERVAL);
    }

    #[test]
    fn the_log_speaks_as_fly_does() {
        let mut check = CheckSpec {
            name: "servicecheck-00-http-8080".to_owned(),
            port: 8080,
            probe: ProbeSpec::Tcp,
            interval: INTERVAL,
            timeout: INTERVAL,
            grace: INTERVAL,
            exposed: vec![80, 443],
        };
        let (level, text) = line(&check, CheckStatus::Critical, "HTTP 500");
        assert_eq!(
            (level, text.as_str()),
            (
                Level::Error,
                "Health check 'servicecheck-00-http-8080' on port 8080 has failed. Your app is not responding \
                 properly. Services exposed on ports [80, 443] will have intermittent failures until the health \
                 check passes. (HTTP 500)"
            )
        );
        check.exposed.clear();
        assert!(
            line(&check, CheckStatus::Critical, "HTTP 500").1.ends_with("properly. (HTTP 500)")
        );
        let passing = line(&check, CheckStatus::Passing, "HTTP 200").1;
        assert!(passing.ends_with("on port 8080 is now passing."), "{passing}");
    }

    #[test]
    fn a_port_that_no_service_has_is_asked_on_the_same_host() {
        let addrs = BTreeMap::from([(8080, "[::1]:40001".parse().unwrap())]);
        let mut check = CheckSpec {
            name: "a".to_owned(),
            port: 8080,
            probe: ProbeSpec::Tcp,
            interval: INTERVAL,
            timeout: INTERVAL,
            grace: INTERVAL,
            exposed: Vec::new(),
        };
        assert_eq!(address(&check, &addrs).to_string(), "[::1]:40001");
        check.port = 9091;
        assert_eq!(address(&check, &addrs).to_string(), "[::1]:9091");
        assert_eq!(address(&check, &BTreeMap::new()).to_string(), "127.0.0.1:9091");
    }
}
