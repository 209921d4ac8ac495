//! Gauges, and counts that services keep themselves: read from the pool when asked.

use std::fmt;
use std::sync::{Arc, OnceLock};

use outlast_protocol::pool;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::metrics::{PoolPart, PoolSource};

/// Where they come from, once it is known.
#[derive(Debug)]
pub(crate) struct Gauges(pub(crate) Arc<OnceLock<PoolSource>>);

type Count = (&'static str, &'static str, fn(&pool::Service) -> u64);

/// What a service counts itself.
const COUNTS: [Count; 3] = [
    (
        "retries",
        "Exchanges that went to another machine because theirs could not be connected to",
        |service| service.retries,
    ),
    ("retries_withheld", "Exchanges that did not because of the budget", |service| {
        service.retries_withheld
    }),
    ("ejections", "Times that a machine was ejected", |service| service.ejections),
];

type GaugeRow = (Vec<(&'static str, String)>, i64);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(pool) = self.0.get().map(|source| (source.0)(PoolPart::All)) else {
            return Ok(());
        };
        for (name, help, rows) in [
            ("slots", "Places taken under the limits", slots(&pool)),
            ("slots_lingering", "Of those, upstream connections that linger", lingering(&pool)),
            ("slots_limit", "The limits of each machine", limits(&pool)),
            ("machine_ready", "1 if the machine takes traffic", ready(&pool)),
            ("machine_ejected", "1 if it does not because it failed exchanges", ejected(&pool)),
            ("check_passing", "1 if the machine's health check passes", checks(&pool)),
            ("reserve_slots_in_use", "Places of the reserve taken", reserve(&pool)),
            ("queue_length", "Exchanges that wait for a place", queues(&pool)),
            ("streams", "Exchanges in progress, waiting ones included", streams(&pool)),
            ("exchange_states", "The same by their state", states(&pool)),
        ] {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (labels, value) in rows {
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, count) in COUNTS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for service in &pool.services {
                let labels = [("service", service.name.as_str())];
                ConstCounter::new(count(service)).encode(family.encode_family(&labels)?)?;
            }
        }
        // Without a service: they are counted all together, because their limit is.
        let clients = i64::try_from(pool.client_connections).unwrap_or(i64::MAX);
        let (name, help) = ("client_connections", "Connections of clients, idle ones included");
        let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(clients).encode(gauge)
    }
}

fn per_machine(
    pool: &pool::Pool,
    value: impl Fn(&pool::Service, &pool::Machine) -> Option<i64>,
) -> Vec<GaugeRow> {
    let mut rows = Vec::new();
    for service in &pool.services {
        for machine in &service.machines {
            let labels = vec![
                ("service", service.name.clone()),
                ("machine", machine.id.clone()),
                ("type", service.accounting.clone()),
            ];
            rows.extend(value(service, machine).map(|value| (labels, value)));
        }
    }
    rows
}

fn slots(pool: &pool::Pool) -> Vec<GaugeRow> {
    per_machine(pool, |_, machine| Some(machine.in_flight.into()))
}

fn lingering(pool: &pool::Pool) -> Vec<GaugeRow> {
    per_machine(pool, |_, machine| Some(machine.lingering.into()))
}

fn ready(pool: &pool::Pool) -> Vec<GaugeRow> {
    per_machine(pool, |_, machine| Some((machine.state == "ready").into()))
}

fn ejected(pool: &pool::Pool) -> Vec<GaugeRow> {
    per_machine(pool, |_, machine| Some((machine.state == "ejected").into()))
}

fn checks(pool: &pool::Pool) -> Vec<GaugeRow> {
    let mut rows = Vec::new();
    for service in &pool.services {
        for machine in &service.machines {
            rows.extend(machine.checks.iter().map(|check| {
                let labels = vec![
                    ("service", service.name.clone()),
                    ("machine", machine.id.clone()),
                    ("check", check.name.clone()),
                ];
                (labels, (check.status == "passing").into())
            }));
        }
    }
    rows
}

fn reserve(pool: &pool::Pool) -> Vec<GaugeRow> {
    per_machine(pool, |_, machine| Some(machine.reserve_in_use.into()))
}

fn limits(pool: &pool::Pool) -> Vec<GaugeRow> {
    let with = |kind: &str, limit: fn(&pool::Limits) -> Option<u32>| {
        let mut rows = per_machine(pool, |service, _| limit(&service.limits).map(i64::from));
        for (labels, _) in &mut rows {
            labels.push(("kind", kind.to_owned()));
        }
        rows
    };
    let mut rows = with("soft", |limits| limits.soft);
    rows.extend(with("hard", |limits| limits.hard));
    rows
}

fn per_service(pool: &pool::Pool, value: impl Fn(&pool::Service) -> usize) -> Vec<GaugeRow> {
    let row = |service: &pool::Service| {
        let value = i64::try_from(value(service)).unwrap_or(i64::MAX);
        (vec![("service", service.name.clone())], value)
    };
    pool.services.iter().map(row).collect()
}

fn queues(pool: &pool::Pool) -> Vec<GaugeRow> {
    per_service(pool, |service| service.queue_length)
}

fn streams(pool: &pool::Pool) -> Vec<GaugeRow> {
    per_service(pool, |service| service.exchanges_total)
}

fn states(pool: &pool::Pool) -> Vec<GaugeRow> {
    let mut rows = Vec::new();
    for service in &pool.services {
        for (state, count) in &service.states {
            let labels = vec![("service", service.name.clone()), ("state", state.clone())];
            rows.push((labels, i64::try_from(*count).unwrap_or(i64::MAX)));
        }
    }
    rows
}
