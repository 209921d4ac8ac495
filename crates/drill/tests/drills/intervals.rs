//! The HdrHistogram log, read back as its tools read it, says what the report says.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use outlast_drill::{Distribution, Results};

use crate::{results_at, with_origin};

/// Streams that come over more than two intervals of the least length.
const PLAN: &str = r#"
lag_max = "20s"

[[load]]
kind = "ndjson"
users = 45
arrivals = { constant = "50ms" }
length = "100ms"
gap = "20ms"
"#;

#[tokio::test]
async fn the_log_tells_in_intervals_what_the_report_tells_in_all() {
    let Results { report, hdr } =
        with_origin(async |origin, _| results_at(origin, PLAN).await).await;
    let mut all: BTreeMap<&str, (Histogram<u64>, u32)> = BTreeMap::new();
    let (mut ends, mut starts_at) = (BTreeMap::new(), None);
    for entry in IntervalLogIterator::new(&hdr) {
        let interval = match entry.unwrap() {
            LogEntry::Interval(interval) => interval,
            LogEntry::StartTime(at) => {
                starts_at = Some(at.as_secs_f64());
                continue;
            }
            _ => continue,
        };
        let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
        let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
        let tag = interval.tag().unwrap().as_str();
        let (begin, length) = (interval.start_timestamp(), interval.duration());
        // Intervals follow each other; one without a value is left out.
        let end = ends.insert(tag, begin + length).unwrap_or_default();
        assert!(begin >= end && length.as_millis() <= u128::from(report.took_ms) + 1, "{tag}");
        assert_eq!(interval.max(), histogram.max() as f64);
        let empty = || (Histogram::new_with_bounds(1, 604_800_000_000, 3).unwrap(), 0);
        let (sum, rows) = all.entry(tag).or_insert_with(empty);
        sum.add(histogram).unwrap();
        *rows += 1;
    }
    let told: [(_, &Distribution); 3] =
        [("first_byte", &report.first_byte), ("gap", &report.gap), ("duration", &report.duration)];
    for (tag, want) in told {
        let (sum, rows) = &all[tag];
        assert_eq!((sum.len(), sum.max()), (want.count, want.max_us), "{tag}");
        assert_eq!(
            (sum.value_at_quantile(0.5), sum.value_at_quantile(0.99)),
            (want.p50_us, want.p99_us)
        );
        assert!(*rows >= 2 && want.count >= 45, "{tag}: {rows} rows, {want:?}");
    }
    let starts_at = starts_at.unwrap();
    let begun: jiff::Timestamp = report.started_at.parse().unwrap();
    assert!((begun.as_microsecond() as f64 / 1e6 - starts_at).abs() < 0.01, "{starts_at}");
    assert!(hdr.starts_with(b"#[Histogram log format version 1.3]\n"));
}
