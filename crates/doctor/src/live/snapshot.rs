//! What the admin listener of a gateway said at one moment, read and not yet judged.

use std::collections::BTreeMap;
use std::time::Duration;

use outlast_protocol::pool::{Exchange, Pool, Service};
use serde::Deserialize;

/// The answers of the admin listener, as they came.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// `GET /api/pool`.
    pub pool: &'a [u8],
    /// `GET /api/exchanges`.
    pub exchanges: &'a [u8],
    /// `GET /metrics`.
    pub metrics: &'a [u8],
}

/// One moment of a gateway.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) pool: Pool,
    pub(super) exchanges: Vec<Exchange>,
    pub(super) metrics: Vec<Sample>,
}

/// Answers that are none of an Outlast's admin listener.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} is not what the admin listener of an Outlast answers: {why}")]
pub struct NotOutlast {
    /// The route that was asked.
    pub path: &'static str,
    /// What is wrong with its answer.
    pub why: String,
}

/// One line of the metrics.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

#[derive(Deserialize)]
struct Exchanges {
    exchanges: Vec<Exchange>,
}

impl Snapshot {
    /// Reads the answers. Fields that a later Outlast may have added are left out.
    ///
    /// # Errors
    /// [`NotOutlast`]: one of them is something else.
    pub fn read(answers: &Answers<'_>) -> Result<Self, NotOutlast> {
        let not =
            |path| move |error: serde_json::Error| NotOutlast { path, why: error.to_string() };
        let mut pool: Pool = serde_json::from_slice(answers.pool).map_err(not("/api/pool"))?;
        let exchanges: Exchanges =
            serde_json::from_slice(answers.exchanges).map_err(not("/api/exchanges"))?;
        // All exchanges are in the other answer; those of the pool are the oldest ones only.
        pool.services.iter_mut().for_each(|service| service.exchanges.clear());
        let metrics = String::from_utf8_lossy(answers.metrics);
        let metrics: Vec<_> = metrics.lines().filter_map(sample).collect();
        if metrics.is_empty() {
            let why = "it has no numbers".to_owned();
            return Err(NotOutlast { path: "/metrics", why });
        }
        Ok(Self { pool, exchanges: exchanges.exchanges, metrics })
    }

    /// How much later than another one this is, by the gateway's own clock. None: it has been started anew since.
    pub(super) fn since(&self, earlier: &Self) -> Option<Duration> {
        self.pool.uptime_ms.checked_sub(earlier.pool.uptime_ms).map(Duration::from_millis)
    }

    /// The exchanges of a service.
    pub(super) fn of<'s>(&'s self, service: &'s Service) -> impl Iterator<Item = &'s Exchange> {
        self.exchanges.iter().filter(|exchange| exchange.service == service.name)
    }

    /// The sum of a service's series of this name, by the values of one label; series without the label have the value "".
    pub(super) fn by(&self, name: &str, service: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in &self.metrics {
            if sample.name == name && sample.labels.get("service").is_some_and(|own| own == service)
            {
                let value = sample.labels.get(label).cloned().unwrap_or_default();
                *sums.entry(value).or_default() += sample.value;
            }
        }
        sums
    }

    pub(super) fn sum(&self, name: &str, service: &str) -> f64 {
        self.by(name, service, "").values().sum()
    }
}

/// `name{label="value",…} 1.5`; comments are none.
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok().filter(|_| !line.starts_with('#'))?;
    let (name, rest) = series.split_once('{').unwrap_or((series, ""));
    let mut labels = BTreeMap::new();
    let mut rest = rest.strip_suffix('}').unwrap_or(rest);
    while let Some((label, quoted)) = rest.split_once("=\"") {
        let (value, further) = quoted.split_once('"')?;
        labels.insert(label.trim_start_matches(',').to_owned(), value.to_owned());
        rest = further;
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_told_by_their_labels() {
        let read = sample("outlast_refusals_total{service=\"http\",reason=\"limit\"} 3").unwrap();
        assert_eq!((read.name.as_str(), read.value), ("outlast_refusals_total", 3.0));
        assert_eq!(read.labels["service"], "http");
        assert_eq!(read.labels["reason"], "limit");
        assert_eq!(sample("up 1").unwrap().labels.len(), 0);
        for none in ["# TYPE outlast_slots gauge", "# HELP a 1", "", "# EOF", "a{b=\"c} 1"] {
            assert_eq!(sample(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_no_admin_listener_is_named_by_its_route() {
        let read = |pool: &str, exchanges: &str, metrics: &str| {
            let answers = Answers {
                pool: pool.as_bytes(),
                exchanges: exchanges.as_bytes(),
                metrics: metrics.as_bytes(),
            };
            Snapshot::read(&answers).map(|_| ()).map_err(|error| error.path)
        };
        let pool = "{\"app\":\"a\",\"phase\":\"serving\",\"uptime_ms\":1,\"ledger_mismatches\":0,\
                    \"client_connections\":0,\"services\":[],\"later\":true}";
        let exchanges = "{\"exchanges\":[]}";
        assert_eq!(read(pool, exchanges, "a 1"), Ok(()));
        assert_eq!(read("<html>", exchanges, "a 1"), Err("/api/pool"));
        assert_eq!(read("{}", exchanges, "a 1"), Err("/api/pool"));
        assert_eq!(read(pool, "[]", "a 1"), Err("/api/exchanges"));
        assert_eq!(read(pool, exchanges, "<html>"), Err("/metrics"));
    }
}
