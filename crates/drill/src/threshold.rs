//! What must hold, as it is written: `refused == 0`, `p99_first_byte < 2s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use outlast_config::read::nearest;
use outlast_config::{format_duration, parse_duration};

use crate::result::{Distribution, Judged, Report};

/// One comparison of a measured value with a bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    metric: &'static Metric,
    operator: Operator,
    /// A count, or seconds.
    bound: f64,
    text: String,
}

/// Why a text is no threshold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ThresholdError {
    /// Not three words.
    #[error("{0:?} is no threshold")]
    Form(String),
    /// Nothing of that name is measured.
    #[error("nothing called {0:?} is measured")]
    Metric(String),
    /// None of the six comparisons.
    #[error("{0:?} is no comparison")]
    Operator(String),
    /// Not a duration.
    #[error("{0:?} is not a duration")]
    Duration(String),
    /// Not a count.
    #[error("{0:?} is not a count")]
    Count(String),
}

impl ThresholdError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let form = "write one such as \"refused == 0\" or \"p99_first_byte < 2s\"";
        match self {
            Self::Form(_) => form.to_owned(),
            Self::Metric(name) => match nearest(name, &metric_names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("measured are {}", metric_names().join(", ")),
            },
            Self::Operator(_) => "write one of ==, !=, <, <=, > and >=".to_owned(),
            Self::Duration(_) => "write numbers with units, such as 2s or 250ms".to_owned(),
            Self::Count(_) => "write a whole number, such as 0".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Operator {
    const ALL: [(&'static str, Self); 6] = [
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Below),
        ("<=", Self::AtMost),
        (">", Self::Above),
        (">=", Self::AtLeast),
    ];

    #[expect(clippy::float_cmp, reason = "counts are whole, and what is equal was written so")]
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Equal => value == bound,
            Self::NotEqual => value != bound,
            Self::Below => value < bound,
            Self::AtMost => value <= bound,
            Self::Above => value > bound,
            Self::AtLeast => value >= bound,
        }
    }
}

/// Something that is measured.
struct Metric {
    name: &'static str,
    value: Value,
}

/// How it is found in a report. None: it was not measured.
enum Value {
    Count(fn(&Report) -> Option<u64>),
    /// In microseconds.
    Time(fn(&Distribution) -> u64, fn(&Report) -> &Distribution),
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn count(name: &'static str, value: fn(&Report) -> Option<u64>) -> Metric {
    Metric { name, value: Value::Count(value) }
}

const fn time(
    name: &'static str,
    part: fn(&Distribution) -> u64,
    of: fn(&Report) -> &Distribution,
) -> Metric {
    Metric { name, value: Value::Time(part, of) }
}

static METRICS: &[Metric] = &[
    count("planned", |report| Some(report.summary.planned)),
    count("started", |report| Some(report.summary.started)),
    count("completed", |report| Some(report.summary.completed)),
    count("refused", |report| Some(report.summary.refused)),
    count("turned_away", |report| Some(report.summary.turned_away)),
    count("truncated", |report| Some(report.summary.truncated)),
    count("failed", |report| Some(report.summary.failed)),
    count("stuck", |report| Some(report.summary.stuck)),
    count("left", |report| Some(report.summary.left)),
    count("resumed", |report| Some(report.summary.resumed)),
    count("leaked", |report| report.summary.leaked),
    count("ledger_mismatches", |report| report.summary.ledger_mismatches),
    count("open_max", |report| Some(report.summary.open_max)),
    count("lost", |report| Some(report.summary.lost)),
    count("doubled", |report| Some(report.summary.doubled)),
    count("reordered", |report| Some(report.summary.reordered)),
    count("foreign", |report| Some(report.summary.foreign)),
    count("corrupt", |report| Some(report.summary.corrupt)),
    count("false_ends", |report| Some(report.summary.false_ends)),
    count("violations", |report| Some(report.summary.violations())),
    time("p50_first_byte", |times| times.p50_us, |report| &report.first_byte),
    time("p90_first_byte", |times| times.p90_us, |report| &report.first_byte),
    time("p99_first_byte", |times| times.p99_us, |report| &report.first_byte),
    time("max_first_byte", |times| times.max_us, |report| &report.first_byte),
    time("p50_gap", |times| times.p50_us, |report| &report.gap),
    time("p99_gap", |times| times.p99_us, |report| &report.gap),
    time("max_gap", |times| times.max_us, |report| &report.gap),
    time("p50_duration", |times| times.p50_us, |report| &report.duration),
    time("p99_duration", |times| times.p99_us, |report| &report.duration),
    time("max_duration", |times| times.max_us, |report| &report.duration),
];

/// Everything that a threshold can name.
#[must_use]
pub fn metric_names() -> Vec<&'static str> {
    METRICS.iter().map(|metric| metric.name).collect()
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let words: Vec<_> = text.split_whitespace().collect();
        let [name, operator, bound] = words[..] else {
            return Err(ThresholdError::Form(text.to_owned()));
        };
        let metric = METRICS.iter().find(|metric| metric.name == name);
        let metric = metric.ok_or_else(|| ThresholdError::Metric(name.to_owned()))?;
        let found = Operator::ALL.iter().find(|(sign, _)| *sign == operator);
        let (_, operator) = *found.ok_or_else(|| ThresholdError::Operator(operator.to_owned()))?;
        let bound = match metric.value {
            Value::Time(..) => parse_duration(bound)
                .map_err(|_| ThresholdError::Duration(bound.to_owned()))?
                .as_secs_f64(),
            Value::Count(_) => {
                let whole = bound.parse::<u32>();
                f64::from(whole.map_err(|_| ThresholdError::Count(bound.to_owned()))?)
            }
        };
        Ok(Self { metric, operator, bound, text: words.join(" ") })
    }
}

impl Threshold {
    /// Whether it speaks about this metric.
    pub(crate) fn is_about(&self, name: &str) -> bool {
        self.metric.name == name
    }

    /// Compares.
    pub(crate) fn judge(&self, report: &Report) -> Judged {
        let (value, measured) = match self.metric.value {
            Value::Count(count) => {
                let count = count(report);
                (count.map(|count| count as f64), count.map(|count| count.to_string()))
            }
            Value::Time(part, of) => {
                let times = of(report);
                let time = Duration::from_micros(part(times));
                match times.count {
                    0 => (None, None),
                    _ => (Some(time.as_secs_f64()), Some(format_duration(rounded(time)))),
                }
            }
        };
        let held = value.is_some_and(|value| self.operator.holds(value, self.bound));
        Judged { threshold: self.text.clone(), measured, held }
    }
}

/// As exact as a person cares.
fn rounded(time: Duration) -> Duration {
    let unit = if time < Duration::from_millis(10) { 1 } else { 1_000 };
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(micros / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::empty_report;

    #[test]
    fn thresholds_hold_or_do_not() {
        let mut report = empty_report();
        report.summary.refused = 5;
        report.first_byte = Distribution { count: 1, p99_us: 2_000_000, ..Distribution::default() };
        for (text, held) in [
            ("refused == 0", false),
            ("refused == 5", true),
            ("refused != 5", false),
            ("refused <= 5", true),
            ("refused < 5", false),
            ("refused > 4", true),
            ("refused >= 6", false),
            ("p99_first_byte <= 2s", true),
            ("p99_first_byte < 2s", false),
            ("violations == 0", true),
            // Not measured.
            ("p99_gap < 1h", false),
            ("leaked == 0", false),
        ] {
            let threshold: Threshold = text.parse().unwrap();
            assert_eq!(threshold.judge(&report).held, held, "{text}");
        }
    }

    #[test]
    fn what_is_no_threshold_says_what_to_write() {
        for (text, hint) in [
            ("refused", "write one such as"),
            ("refusd == 0", "did you mean `refused`?"),
            ("xyzzy == 0", "measured are planned"),
            ("refused = 0", "write one of =="),
            ("refused == 0s", "whole number"),
            ("p99_first_byte < 2", "units"),
        ] {
            let error = text.parse::<Threshold>().unwrap_err();
            assert!(error.hint().contains(hint), "{text}: {error}: {}", error.hint());
        }
    }
}
