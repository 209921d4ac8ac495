//! What was measured over time, as an HdrHistogram log of format 1.3, which the tools of HdrHistogram read.
//!
//! The log is made from the histograms that threads keep anyway: of each interval the difference to the one before is written,
//! so that measuring costs nothing more. Its size is bounded: intervals grow when a drill takes longer than planned.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::desk::Desk;
use crate::tally::{Tally, histogram};

/// So many intervals are as long as the first; the next so many are twice as long, and so on.
const ROWS: u32 = 120;
const EVERY_MIN: Duration = Duration::from_secs(1);

/// What is written, and where it is kept.
type Series = (&'static str, fn(&Tally) -> &Histogram<u64>);

const SERIES: [Series; 3] = [
    ("first_byte", |tally| &tally.first_byte),
    ("gap", |tally| &tally.gap),
    ("duration", |tally| &tally.duration),
];

const HEAD: [&str; 5] = [
    "Values are microseconds: divide by 1000 for milliseconds (HistogramLogProcessor -outputValueUnitRatio 1000).",
    "first_byte and duration are measured from the planned start, so that waiting to be let in counts; nothing else is",
    "corrected for coordinated omission. gap is the time between two reads of a stream, as it was seen. Of a stream",
    "that has not begun, or not ended, when the drill is over, there is no first_byte, or no duration: see `stuck` in",
    "the report.",
];

/// The log of a drill that runs.
pub(crate) struct Intervals {
    text: Vec<u8>,
    serializer: V2DeflateSerializer,
    before: [Histogram<u64>; 3],
    /// When the interval began, from the start of the drill.
    began: Duration,
    every: Duration,
    rows: u32,
}

impl Intervals {
    /// Of a drill that begins at this time and is planned to be so long.
    pub(crate) fn new(title: &str, epoch: SystemTime, length: Duration) -> Self {
        let mut intervals = Self {
            text: Vec::new(),
            serializer: V2DeflateSerializer::new(),
            before: SERIES.map(|_| histogram()),
            began: Duration::ZERO,
            every: (length / ROWS).max(EVERY_MIN),
            rows: 0,
        };
        let mut builder = IntervalLogWriterBuilder::new();
        builder.add_comment("[Histogram log format version 1.3]").add_comment(title);
        for line in HEAD {
            builder.add_comment(line);
        }
        builder.with_start_time(epoch);
        let _writer = builder
            .begin_log_with(&mut intervals.text, &mut intervals.serializer)
            .expect("writing to memory succeeds");
        intervals
    }

    /// When the interval is over, from the start of the drill.
    pub(crate) fn due(&self) -> Duration {
        self.began + self.every
    }

    /// Ends the interval and begins the next one. In what is silent nothing is written.
    pub(crate) fn write(&mut self, desks: &[Arc<Desk>], now: Duration) {
        let mut totals = SERIES.map(|_| histogram());
        for desk in desks {
            let tally = desk.tally();
            for ((_, of), total) in SERIES.iter().zip(&mut totals) {
                total.add(of(&tally)).expect("all have the same bounds");
            }
        }
        let length = now.saturating_sub(self.began);
        let mut writer = IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.text, &mut self.serializer)
            .expect("writing to memory succeeds");
        for (index, total) in totals.into_iter().enumerate() {
            let mut new = total.clone();
            new.subtract(&self.before[index]).expect("a total only grows");
            self.before[index] = total;
            if !new.is_empty() {
                let tag = Tag::new(SERIES[index].0);
                let written = writer.write_histogram(&new, self.began, length, tag);
                written.expect("writing a histogram to memory succeeds");
            }
        }
        self.began = now;
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS) {
            self.every *= 2;
        }
    }

    /// The whole log.
    pub(crate) fn into_text(self) -> Vec<u8> {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_that_never_ends_writes_less_and_less() {
        let mut intervals =
            Intervals::new("test", SystemTime::UNIX_EPOCH, Duration::from_secs(600));
        let head = intervals.text.len();
        let mut writes = 0;
        // Planned for ten minutes, a week long.
        while intervals.due() < Duration::from_secs(7 * 24 * 60 * 60) {
            intervals.write(&[], intervals.due());
            writes += 1;
        }
        assert!((ROWS..14 * ROWS).contains(&writes), "{writes}");
        assert_eq!(
            intervals.into_text().len(),
            head,
            "where nothing was measured nothing is written"
        );
    }
}
