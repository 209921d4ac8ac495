//! Metrics in OpenMetrics text. Counters are kept; gauges are read from the pool when asked, so that `/metrics` and
//! `/api/pool` cannot tell different stories.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use outlast_http1::RULES;
use outlast_protocol::pool;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::gauges::Gauges;
use crate::outcome::{AcceptPause, ConnectionClose, Outcome, RefusalReason, TimedClock};
use crate::record::Observe;

/// Buckets for streams that live for minutes, in seconds.
const DURATION_BUCKETS: [f64; 14] =
    [0.005, 0.05, 0.25, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0];
/// Buckets for waits and first bytes, in seconds.
const WAIT_BUCKETS: [f64; 11] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

const UNBROKEN: &str = "nothing panics while it holds the lock";

/// Where gauges come from.
pub struct PoolSource(pub Box<dyn Fn(PoolPart) -> pool::Pool + Send + Sync>);

/// How much of the pool is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolPart {
    /// Services and machines: cheap however many exchanges there are.
    Machines,
    /// Exchanges too, with their states and the evidence.
    All,
}

impl fmt::Debug for PoolSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PoolSource")
    }
}

/// Where a number comes from that others count.
pub struct CountSource(pub Box<dyn Fn() -> u64 + Send + Sync>);

impl fmt::Debug for CountSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountSource")
    }
}

type Labels = Vec<(&'static str, String)>;

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    services: Vec<ServiceMetrics>,
    lost_lines: LostLines,
    pub(crate) ledger_mismatches: Vec<Counter>,
}

/// One service's series, resolved once: an exchange's end is a few atomic additions.
#[derive(Debug)]
struct ServiceMetrics {
    outcomes: Vec<(&'static str, Counter)>,
    refusals: Vec<(&'static str, Counter)>,
    timeouts: Vec<(&'static str, Counter)>,
    releases: Vec<(&'static str, Counter)>,
    bad_requests: Vec<(&'static str, Counter)>,
    bad_responses: Vec<(&'static str, Counter)>,
    accept_pauses: Vec<(AcceptPause, Counter)>,
    connections_refused: Counter,
    connections_closed: Vec<(&'static str, Counter)>,
    heartbeats: Counter,
    sent: Counter,
    received: Counter,
    duration: Histogram,
    first_byte: Histogram,
    queue_wait: Histogram,
}

/// What an exchange adds to the counters when it ends.
pub(crate) struct Totals {
    pub(crate) outcome: Outcome,
    pub(crate) was_dispatched: bool,
    /// None: it never asked for a place.
    pub(crate) queued: Option<Duration>,
    /// None: no machine's response head came.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) duration: Duration,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

#[derive(Debug)]
struct Families {
    exchanges: Family<Labels, Counter>,
    refusals: Family<Labels, Counter>,
    timeouts: Family<Labels, Counter>,
    releases: Family<Labels, Counter>,
    bad_requests: Family<Labels, Counter>,
    bad_responses: Family<Labels, Counter>,
    accept_pauses: Family<Labels, Counter>,
    connections_refused: Family<Labels, Counter>,
    connections_closed: Family<Labels, Counter>,
    heartbeats: Family<Labels, Counter>,
    sent: Family<Labels, Counter>,
    received: Family<Labels, Counter>,
    ledger_mismatch: Family<Labels, Counter>,
    duration: HistogramFamily,
    first_byte: HistogramFamily,
    queue_wait: HistogramFamily,
}

type HistogramFamily = Family<Labels, Histogram, fn() -> Histogram>;

impl Default for Families {
    fn default() -> Self {
        let waits = || Histogram::new(WAIT_BUCKETS);
        Self {
            exchanges: Family::default(),
            refusals: Family::default(),
            timeouts: Family::default(),
            releases: Family::default(),
            bad_requests: Family::default(),
            bad_responses: Family::default(),
            accept_pauses: Family::default(),
            connections_refused: Family::default(),
            connections_closed: Family::default(),
            heartbeats: Family::default(),
            sent: Family::default(),
            received: Family::default(),
            ledger_mismatch: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            first_byte: Family::new_with_constructor(waits),
            queue_wait: Family::new_with_constructor(waits),
        }
    }
}

/// The series of a service for each value of one more label.
fn each<const N: usize>(
    family: &Family<Labels, Counter>,
    service: &str,
    label: &'static str,
    values: [&'static str; N],
) -> Vec<(&'static str, Counter)> {
    values.map(|value| (value, series(family, service, label, value))).into()
}

impl Metrics {
    pub(crate) fn new(services: &[String], pool: Arc<OnceLock<PoolSource>>) -> Self {
        let mut registry = Registry::with_prefix("outlast");
        let families = Families::default();
        let mismatch = |service: &String| {
            let base = vec![("service", service.clone())];
            families.ledger_mismatch.get_or_create_owned(&base)
        };
        let ledger_mismatches = services.iter().map(mismatch).collect();
        let services = services.iter().map(|service| families.of(service)).collect();
        families.register(&mut registry);
        registry.register_collector(Box::new(Gauges(pool)));
        let lost_lines = LostLines::default();
        registry.register_collector(Box::new(lost_lines.clone()));
        Self { registry, services, lost_lines, ledger_mismatches }
    }

    pub(crate) fn finished(&self, service: usize, totals: &Totals) {
        let metrics = &self.services[service];
        count(&metrics.outcomes, totals.outcome.name());
        if let Outcome::Refused(reason) = totals.outcome {
            count(&metrics.refusals, reason.name());
        }
        if let Outcome::TimedOut(clock) = totals.outcome {
            count(&metrics.timeouts, clock.name());
        }
        if let Some(reason) = totals.outcome.release() {
            count(&metrics.releases, reason);
        }
        if let Some(rule) = totals.outcome.rule() {
            let family = match totals.outcome {
                Outcome::Refused(_) => &metrics.bad_requests,
                _ => &metrics.bad_responses,
            };
            count(family, rule);
        }
        metrics.sent.inc_by(totals.sent);
        metrics.received.inc_by(totals.received);
        if totals.was_dispatched {
            metrics.duration.observe(totals.duration.as_secs_f64());
        }
        if let Some(queued) = totals.queued {
            metrics.queue_wait.observe(queued.as_secs_f64());
        }
        if let Some(first_byte) = totals.first_byte {
            metrics.first_byte.observe(first_byte.as_secs_f64());
        }
    }
}

/// The series of a service with one more label.
fn series(
    family: &Family<Labels, Counter>,
    service: &str,
    label: &'static str,
    value: &str,
) -> Counter {
    let labels = vec![("service", service.to_owned()), (label, value.to_owned())];
    family.get_or_create_owned(&labels)
}

fn count(counters: &[(&'static str, Counter)], name: &str) {
    for (_, counter) in counters.iter().filter(|(other, _)| *other == name) {
        counter.inc();
    }
}

impl Families {
    /// The series of a service.
    fn of(&self, service: &str) -> ServiceMetrics {
        let base = vec![("service", service.to_owned())];
        ServiceMetrics {
            outcomes: each(&self.exchanges, service, "outcome", Outcome::NAMES),
            refusals: each(&self.refusals, service, "reason", RefusalReason::NAMES),
            timeouts: each(&self.timeouts, service, "clock", TimedClock::ALL.map(TimedClock::name)),
            releases: each(&self.releases, service, "reason", Outcome::RELEASES),
            bad_requests: each(&self.bad_requests, service, "rule", RULES),
            bad_responses: each(&self.bad_responses, service, "rule", RULES),
            accept_pauses: AcceptPause::ALL
                .map(|reason| {
                    let family = &self.accept_pauses;
                    (reason, series(family, service, "reason", reason.name()))
                })
                .into(),
            connections_refused: series(&self.connections_refused, service, "reason", "per_client"),
            connections_closed: each(
                &self.connections_closed,
                service,
                "reason",
                ConnectionClose::ALL.map(ConnectionClose::name),
            ),
            heartbeats: self.heartbeats.get_or_create_owned(&base),
            sent: self.sent.get_or_create_owned(&base),
            received: self.received.get_or_create_owned(&base),
            duration: self.duration.get_or_create_owned(&base),
            first_byte: self.first_byte.get_or_create_owned(&base),
            queue_wait: self.queue_wait.get_or_create_owned(&base),
        }
    }

    fn register(self, registry: &mut Registry) {
        registry.register("exchanges", "Exchanges that ended, by outcome", self.exchanges);
        registry.register("refusals", "Exchanges refused, by reason", self.refusals);
        registry.register("timeouts", "Exchanges that a clock ended, by clock", self.timeouts);
        registry.register(
            "released",
            "Exchanges ended because nothing was heard of a peer any more, by who it was",
            self.releases,
        );
        registry.register(
            "bad_requests",
            "Exchanges refused because the request broke a rule of HTTP, by rule",
            self.bad_requests,
        );
        registry.register(
            "bad_responses",
            "Exchanges that failed because a machine's response broke a rule of HTTP, by rule",
            self.bad_responses,
        );
        registry.register(
            "accept_pauses",
            "Times that a listener began to accept nothing, by reason",
            self.accept_pauses,
        );
        registry.register(
            "connections_refused",
            "Client connections reset before they were served, by reason",
            self.connections_refused,
        );
        registry.register(
            "connections_closed",
            "Connections of clients and to machines that a limit closed, by reason",
            self.connections_closed,
        );
        let help = "Signs of life put into silent responses";
        registry.register("heartbeats", help, self.heartbeats);
        registry.register_with_unit("sent", "To clients", Unit::Bytes, self.sent);
        registry.register_with_unit("received", "From clients", Unit::Bytes, self.received);
        registry.register(
            "ledger_mismatch",
            "Times that permits, gauge and sockets disagreed; must stay 0",
            self.ledger_mismatch,
        );
        let seconds = Unit::Seconds;
        registry.register_with_unit(
            "stream_duration",
            "How long exchanges that reached a machine took",
            seconds.clone(),
            self.duration,
        );
        registry.register_with_unit(
            "stream_first_byte",
            "Until the response head of a machine",
            seconds.clone(),
            self.first_byte,
        );
        registry.register_with_unit(
            "queue_wait",
            "How long exchanges that asked for a place waited for it, or for their refusal",
            seconds,
            self.queue_wait,
        );
    }
}

impl Observe {
    /// Tells where gauges come from. Only the first call counts.
    pub fn set_pool_source(&self, source: PoolSource) {
        // Err gives the second source back, and there is only one pool.
        self.pool.set(source).ok();
    }

    /// Tells where the number of lines comes from that a log has lost.
    pub fn add_lost_lines_source(&self, log: &'static str, source: CountSource) {
        self.metrics.lost_lines.0.lock().expect(UNBROKEN).push((log, source));
    }

    /// The pool at this moment, if its source is known.
    #[must_use]
    pub fn pool(&self, part: PoolPart) -> Option<pool::Pool> {
        self.pool.get().map(|source| (source.0)(part))
    }

    /// Milliseconds since the process began to observe.
    #[must_use]
    pub fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How often the ledger was out of balance, all services together.
    #[must_use]
    pub fn ledger_mismatches(&self) -> u64 {
        self.metrics.ledger_mismatches.iter().map(Counter::get).sum()
    }

    /// A listener of a service begins to accept nothing.
    pub fn accept_paused(&self, service: usize, reason: AcceptPause) {
        let pauses = &self.metrics.services[service].accept_pauses;
        for (_, counter) in pauses.iter().filter(|(other, _)| *other == reason) {
            counter.inc();
        }
    }

    /// A client that has too many connections was refused another one.
    pub fn connection_refused(&self, service: usize) {
        self.metrics.services[service].connections_refused.inc();
    }

    /// A sign of life was put into a response.
    pub fn heartbeat(&self, service: usize) {
        self.metrics.services[service].heartbeats.inc();
    }

    /// A limit closed a connection of a client, or one to a machine.
    pub fn connection_closed(&self, service: usize, reason: ConnectionClose) {
        count(&self.metrics.services[service].connections_closed, reason.name());
    }

    /// Everything in OpenMetrics 1.0 text.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.metrics.registry).expect("writing to a string succeeds");
        text
    }
}

/// Lines that logs have lost, by log.
#[derive(Debug, Clone, Default)]
struct LostLines(Arc<Mutex<Vec<(&'static str, CountSource)>>>);

impl Collector for LostLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (name, help) = ("log_lines_lost", "Log lines that could not be written");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (log, source) in self.0.lock().expect(UNBROKEN).iter() {
            let count = ConstCounter::new((source.0)());
            count.encode(family.encode_family(&[("log", *log)])?)?;
        }
        Ok(())
    }
}
