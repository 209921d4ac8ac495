//! What came of a drill, as it is written to JSON and read again. Times are milliseconds unless a name says otherwise.

use serde::{Deserialize, Serialize};

use crate::check::Flaw;

/// The version of this format. Fields are only ever added, and what an older file lacks is zero.
pub const SCHEMA: u32 = 1;

/// A drill and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The plan's name.
    pub name: String,
    /// What the plan is for.
    pub story: String,
    /// How many times faster than written it ran.
    pub time_scale: f64,
    /// Gives the same plan again.
    pub seed: u64,
    /// Where the load went.
    pub target: String,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// How long it took.
    pub took_ms: u64,
    /// Whether it came to its end.
    pub ending: Ending,
    /// Whether everything held.
    pub verdict: Verdict,
    /// Why it says nothing, if it says nothing.
    pub invalid: Vec<String>,
    /// What had to hold, and whether it did.
    pub thresholds: Vec<Judged>,
    /// The counts.
    pub summary: Summary,
    /// From the planned start to the first byte of an answer that was not a refusal.
    pub first_byte: Distribution,
    /// Between two reads of a stream.
    pub gap: Distribution,
    /// From the planned start to the whole end.
    pub duration: Distribution,
    /// The first refusal.
    pub first_refusal: Option<FirstRefusal>,
    /// What was wrong with bytes, at most [`VIOLATIONS_MAX`] of it.
    pub violations: Vec<Violation>,
    /// Why streams failed, and how many for each reason.
    pub errors: Vec<ErrorCount>,
    /// Streams by state over time.
    pub series: Vec<Sample>,
    /// Each stream's state over time.
    pub heat: Heat,
    /// The pool over time, if the admin listener was asked.
    pub pool: Vec<PoolSample>,
    /// What was done to the server.
    pub misfortunes: Vec<Struck>,
    /// What the drill itself needed.
    pub generator: Generator,
}

/// So many violations are told one by one; more are only counted.
pub const VIOLATIONS_MAX: usize = 200;

/// Whether a drill came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It did.
    Whole,
    /// Somebody stopped it: the report tells a part.
    Interrupted,
}

/// Whether everything held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It did.
    Held,
    /// A threshold failed.
    Failed,
    /// The drill itself was the bottleneck, or was stopped: it says nothing.
    Invalid,
}

/// One threshold and its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// As it was written.
    pub threshold: String,
    /// What was measured, for a person. Absent: nothing was.
    pub measured: Option<String>,
    /// Whether it held. What was not measured does not hold.
    pub held: bool,
}

/// The counts of a drill.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Streams that were planned.
    pub planned: u64,
    /// Of those, streams that came to start.
    pub started: u64,
    /// Streams that ended whole.
    pub completed: u64,
    /// Answers that were refusals (503, 429). A user who clicks again can have many.
    pub refused: u64,
    /// Streams that were refused and never let in.
    pub turned_away: u64,
    /// Streams that broke off before their end, visibly or not.
    pub truncated: u64,
    /// Streams that never got an answer, or a wrong one.
    pub failed: u64,
    /// Streams that were not at their end when the time was over.
    pub stuck: u64,
    /// Streams that their client left on purpose.
    pub left: u64,
    /// Connections by which a client went on where it was.
    pub resumed: u64,
    /// Places still taken after all streams had ended. Absent: the admin listener was not asked.
    pub leaked: Option<u64>,
    /// How often the pool's ledger disagreed. Absent: the admin listener was not asked.
    pub ledger_mismatches: Option<u64>,
    /// Streams open at the same time, at most.
    pub open_max: u64,
    /// Reads that brought bytes.
    pub chunks: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Lines that never came.
    pub lost: u64,
    /// Lines that came twice.
    pub doubled: u64,
    /// Lines that came after later ones.
    pub reordered: u64,
    /// Lines of another client.
    pub foreign: u64,
    /// Lines whose bytes were wrong.
    pub corrupt: u64,
    /// Streams that were truncated and looked whole.
    pub false_ends: u64,
}

impl Summary {
    /// Everything that was wrong with bytes.
    #[must_use]
    pub fn violations(&self) -> u64 {
        Flaw::ALL.iter().map(|flaw| *self.flaws(*flaw)).sum()
    }

    fn flaws(&self, flaw: Flaw) -> &u64 {
        match flaw {
            Flaw::Lost => &self.lost,
            Flaw::Doubled => &self.doubled,
            Flaw::Reordered => &self.reordered,
            Flaw::Foreign => &self.foreign,
            Flaw::Corrupt => &self.corrupt,
            Flaw::FalseEnd => &self.false_ends,
        }
    }

    pub(crate) fn count(&mut self, flaw: Flaw) {
        let count = match flaw {
            Flaw::Lost => &mut self.lost,
            Flaw::Doubled => &mut self.doubled,
            Flaw::Reordered => &mut self.reordered,
            Flaw::Foreign => &mut self.foreign,
            Flaw::Corrupt => &mut self.corrupt,
            Flaw::FalseEnd => &mut self.false_ends,
        };
        *count += 1;
    }
}

/// Durations, in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Distribution {
    /// How many were measured.
    pub count: u64,
    /// The least.
    pub min_us: u64,
    /// The mean.
    pub mean_us: f64,
    /// Half lie below.
    pub p50_us: u64,
    /// Nine of ten lie below.
    pub p90_us: u64,
    /// 99 of 100 lie below.
    pub p99_us: u64,
    /// 999 of 1,000 lie below.
    pub p999_us: u64,
    /// The greatest.
    pub max_us: u64,
    /// Upper bound and count, each bound a third above the one before.
    pub buckets: Vec<(u64, u64)>,
}

/// When a place was first refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstRefusal {
    /// From the start of the drill.
    pub at_ms: u64,
    /// Streams that were open at that moment.
    pub open: u64,
    /// Which of the planned streams was refused, from 1.
    pub stream: u64,
}

/// Something that was wrong with bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// What.
    pub flaw: Flaw,
    /// The stream's id.
    pub stream: String,
    /// From the start of the drill.
    pub at_ms: u64,
    /// In bytes of the decoded body of the response.
    pub offset: u64,
    /// For a person.
    pub detail: String,
}

/// A reason, and how often it was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// For a person.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// Streams by state at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// From the start of the drill.
    pub at_ms: u64,
    /// In the order of [`Heat::states`].
    pub counts: Vec<u32>,
    /// Answers that were refusals, since the sample before.
    pub refused: u64,
}

/// Each stream's state over time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heat {
    /// The width of a column.
    pub column_ms: u64,
    /// Streams per row; of several, the state that is worst.
    pub streams_per_row: u64,
    /// The states' names. The letter of the n-th is the n-th of the alphabet.
    pub states: Vec<String>,
    /// Runs of a letter, or `.` for nothing, and how many columns it holds: `.3b1c20`.
    pub rows: Vec<String>,
}

/// The pool at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSample {
    /// From the start of the drill.
    pub at_ms: u64,
    /// Places taken, lingering connections included.
    pub in_flight: u32,
    /// Of those, connections that linger unused.
    pub lingering: u32,
    /// Exchanges that wait.
    pub queue: u64,
    /// The hard limit of all machines together. Absent: none.
    pub hard: Option<u32>,
}

/// What was done to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Struck {
    /// From the start of the drill.
    pub at_ms: u64,
    /// What, for a person.
    pub what: String,
}

/// What the drill itself needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Generator {
    /// Threads that drove streams.
    pub threads: u64,
    /// CPU time of those threads together.
    pub cpu_ms: u64,
    /// The busiest second of a thread, as a share of a core.
    pub busiest: f64,
    /// How late planned starts were: the 99th of 100.
    pub start_lag_p99_ms: f64,
    /// Planned starts that were later than `lag_max`.
    pub late_starts: u64,
    /// How late a timer of ten a second was: the 99th of 100.
    pub tick_lag_p99_ms: f64,
    /// Ticks of these timers.
    pub ticks: u64,
    /// Of those, ticks that were later than `lag_max`.
    pub late_ticks: u64,
    /// Descriptors that the process may open.
    pub descriptors: Option<u64>,
    /// Connections that failed for want of descriptors or ports.
    pub starved: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::empty_report;

    #[test]
    fn a_report_is_read_as_it_was_written_also_by_an_older_version() {
        let report = empty_report();
        let mut json = serde_json::to_value(&report).unwrap();
        assert_eq!(serde_json::from_value::<Report>(json.clone()).unwrap(), report);
        json["generator"].as_object_mut().unwrap().remove("late_ticks");
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    }
}
