//! From what threads have seen to one report and its verdict.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;
use rustix::process::{Resource, getrlimit};

use crate::desk::{Counts, Desk};
use crate::plan::Plan;
use crate::result::{
    Ending, ErrorCount, Generator, Heat, PoolSample, Report, SCHEMA, Sample, Struck, Verdict,
};
use crate::tally::{State, Tally, Track, distribution, microseconds, milliseconds};
use crate::target::Target;
use crate::threshold::Threshold;
use crate::watch::Own;

/// The picture's width and height, in cells.
const COLUMNS: u32 = 240;
const ROWS: usize = 400;
/// A thread that is this busy is late with everything.
const BUSY_MAX: f64 = 0.95;

/// So few may be late in a small drill too; in a large one, one of a hundred.
const LATE_BY_CHANCE: u64 = 2;

/// What is known beside the tallies.
pub(crate) struct Gathered<'g> {
    pub(crate) plan: &'g Plan,
    pub(crate) target: &'g Target,
    pub(crate) seed: u64,
    pub(crate) started_at: String,
    pub(crate) took: Duration,
    pub(crate) ending: Ending,
    pub(crate) counts: &'g Counts,
    pub(crate) pool: Vec<PoolSample>,
    pub(crate) struck: Vec<Struck>,
    pub(crate) leaked: Option<u64>,
    pub(crate) ledger_mismatches: Option<u64>,
}

/// Makes the report. The threads have ended.
pub(crate) fn gather(known: Gathered<'_>, desks: &[Arc<Desk>], owns: &[Arc<Mutex<Own>>]) -> Report {
    let silent = Duration::from_secs(1);
    let mut tally = Tally::new(Vec::new(), silent);
    for desk in desks {
        let mut of_thread = desk.tally();
        of_thread.close(microseconds(known.took));
        tally.merge(std::mem::replace(&mut of_thread, Tally::new(Vec::new(), silent)));
    }
    tally.tracks.sort_by_key(|track| track.number);
    tally.refusals.sort_unstable();
    let mut summary = tally.summary.clone();
    summary.planned = tally.tracks.len() as u64;
    summary.open_max = known.counts.open_max();
    summary.leaked = known.leaked;
    summary.ledger_mismatches = known.ledger_mismatches;
    let column_ms = milliseconds(known.took).div_ceil(COLUMNS).max(1);
    let columns = milliseconds(known.took).div_ceil(column_ms).max(1);
    let errors = std::mem::take(&mut tally.errors).into_iter();
    let mut report = Report {
        schema: SCHEMA,
        name: known.plan.name.clone(),
        story: known.plan.story.clone(),
        time_scale: known.plan.scale,
        seed: known.seed,
        target: known.target.url.clone(),
        started_at: known.started_at,
        took_ms: u64::from(milliseconds(known.took)),
        ending: known.ending,
        verdict: Verdict::Invalid,
        invalid: Vec::new(),
        thresholds: Vec::new(),
        summary,
        first_byte: distribution(&tally.first_byte),
        gap: distribution(&tally.gap),
        duration: distribution(&tally.duration),
        first_refusal: tally.first_refusal,
        violations: std::mem::take(&mut tally.violations),
        errors: errors.map(|(reason, count)| ErrorCount { reason, count }).collect(),
        series: series(&tally, column_ms, columns),
        heat: heat(&tally.tracks, column_ms, columns),
        pool: known.pool,
        misfortunes: known.struck,
        generator: generator(&tally, owns, known.plan.lag_max),
    };
    judge(&mut report, known.plan);
    report
}

/// What is wrong in every plan, as far as it was measured: wrong bytes, places that never come free, a pool that contradicts
/// itself. A plan that speaks about one of them decides about it.
const ALWAYS: [&str; 3] = ["violations", "leaked", "ledger_mismatches"];

fn judge(report: &mut Report, plan: &Plan) {
    let mut thresholds: Vec<_> = plan.hold.iter().map(|one| one.judge(report)).collect();
    for metric in ALWAYS.into_iter().filter(|name| !plan.hold.iter().any(|one| one.is_about(name)))
    {
        let zero: Threshold = format!("{metric} == 0").parse().expect("it is one");
        thresholds.extend(Some(zero.judge(report)).filter(|one| one.measured.is_some()));
    }
    report.invalid = why_invalid(report, plan.lag_max);
    report.verdict = if !report.invalid.is_empty() {
        Verdict::Invalid
    } else if thresholds.iter().all(|one| one.held) {
        Verdict::Held
    } else {
        Verdict::Failed
    };
    report.thresholds = thresholds;
}

fn why_invalid(report: &Report, lag_max: Duration) -> Vec<String> {
    let own = &report.generator;
    let bound = lag_max.as_secs_f64() * 1e3;
    let mut why = Vec::new();
    if report.ending == Ending::Interrupted {
        why.push("it was interrupted: this is a part of the drill".to_owned());
    }
    for (what, late, of) in [
        ("planned starts", own.late_starts, report.summary.started),
        ("ticks of the drill's own timers", own.late_ticks, own.ticks),
    ] {
        if late > LATE_BY_CHANCE.max(of / 100) {
            why.push(format!("{late} of {of} {what} were later than lag_max of {bound:.0} ms"));
        }
    }
    if own.busiest > BUSY_MAX {
        let percent = own.busiest * 100.0;
        why.push(format!("a thread of the drill was busy for {percent:.0} % of a second"));
    }
    if own.starved > 0 {
        why.push(format!("{} connections lacked a descriptor or a port", own.starved));
    }
    why
}

fn generator(tally: &Tally, owns: &[Arc<Mutex<Own>>], lag_max: Duration) -> Generator {
    let p99 = |lag: &Histogram<u64>| lag.value_at_quantile(0.99) as f64 / 1e3;
    let later = microseconds(lag_max).saturating_add(1);
    let late = |lag: &Histogram<u64>| lag.count_between(later, u64::MAX);
    let mut generator = Generator {
        threads: owns.len() as u64,
        start_lag_p99_ms: p99(&tally.start_lag),
        late_starts: late(&tally.start_lag),
        descriptors: getrlimit(Resource::Nofile).current,
        starved: tally.starved,
        ..Generator::default()
    };
    for own in owns {
        let own = own.lock().expect("no thread panics while it counts");
        generator.cpu_ms += u64::from(milliseconds(own.cpu));
        generator.ticks += own.lag.len();
        generator.late_ticks += late(&own.lag);
        generator.busiest = generator.busiest.max(own.busiest);
        generator.tick_lag_p99_ms = generator.tick_lag_p99_ms.max(p99(&own.lag));
    }
    generator
}

/// The state shown for a moment. What ended badly is shown to the end that was planned, and for a column at least.
fn shown(track: &Track, at_ms: u32, column_ms: u32) -> Option<State> {
    let after = track.moves.partition_point(|(from, _)| *from <= at_ms);
    let (from, state) = *track.moves.get(after.checked_sub(1)?)?;
    match state {
        State::Over => None,
        State::TurnedAway => {
            // For as long as the answer would have taken.
            let length = track.until_ms - track.planned_ms;
            (at_ms < from.saturating_add(length.max(column_ms))).then_some(state)
        }
        State::Broken => {
            let until = track.until_ms.max(from.saturating_add(column_ms));
            (at_ms < until).then_some(state)
        }
        state => Some(state),
    }
}

fn middle(column: u32, column_ms: u32) -> u32 {
    column * column_ms + column_ms / 2
}

fn series(tally: &Tally, column_ms: u32, columns: u32) -> Vec<Sample> {
    let mut refusals = tally.refusals.iter().peekable();
    let sample = |column: u32| {
        let at_ms = middle(column, column_ms);
        let mut counts = vec![0; State::SHOWN.len()];
        for state in tally.tracks.iter().filter_map(|track| shown(track, at_ms, column_ms)) {
            counts[state as usize] += 1;
        }
        let mut refused = 0;
        while refusals.next_if(|at| **at < (column + 1) * column_ms).is_some() {
            refused += 1;
        }
        Sample { at_ms: u64::from(at_ms), counts, refused }
    };
    (0..columns).map(sample).collect()
}

fn heat(tracks: &[Track], column_ms: u32, columns: u32) -> Heat {
    let per_row = tracks.len().div_ceil(ROWS).max(1);
    let row = |tracks: &[Track]| {
        let cell = |column: u32| {
            let at_ms = middle(column, column_ms);
            tracks.iter().filter_map(|track| shown(track, at_ms, column_ms)).max()
        };
        runs((0..columns).map(cell))
    };
    Heat {
        column_ms: u64::from(column_ms),
        streams_per_row: per_row as u64,
        states: State::SHOWN.map(|state| state.name().to_owned()).into(),
        rows: tracks.chunks(per_row).map(row).collect(),
    }
}

/// `.3b1c20`; what is empty to the end is left out.
fn runs(cells: impl Iterator<Item = Option<State>>) -> String {
    let mut runs: Vec<(Option<State>, u32)> = Vec::new();
    for cell in cells {
        match runs.last_mut() {
            Some((state, count)) if *state == cell => *count += 1,
            _ => runs.push((cell, 1)),
        }
    }
    runs.pop_if(|(state, _)| state.is_none());
    let letter = |state: Option<State>| match state {
        Some(state) => char::from(b'a' + state as u8),
        None => '.',
    };
    runs.iter().map(|(state, count)| format!("{}{count}", letter(*state))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::result::{Distribution, Summary};
    use crate::tally::Outcome;

    pub(crate) fn empty_report() -> Report {
        Report {
            schema: SCHEMA,
            name: "test".to_owned(),
            story: String::new(),
            time_scale: 1.0,
            seed: 1,
            target: "http://127.0.0.1:1".to_owned(),
            started_at: String::new(),
            took_ms: 1_000,
            ending: Ending::Whole,
            verdict: Verdict::Held,
            invalid: Vec::new(),
            thresholds: Vec::new(),
            summary: Summary::default(),
            first_byte: Distribution::default(),
            gap: Distribution::default(),
            duration: Distribution::default(),
            first_refusal: None,
            violations: Vec::new(),
            errors: Vec::new(),
            series: Vec::new(),
            heat: Heat::default(),
            pool: Vec::new(),
            misfortunes: Vec::new(),
            generator: Generator::default(),
        }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_picture_shows_each_stream_and_what_became_of_it() {
        let tracks = (0..3).map(|number| Track::new(number, seconds(0), seconds(10)));
        let mut tally = Tally::new(tracks.collect(), seconds(5));
        tally.enter(0, 0, State::Connecting);
        tally.heard(0, 1_000_000, 1);
        tally.ended(0, 4_000_000, Outcome::Completed);
        tally.enter(1, 0, State::Connecting);
        tally.refused(1, 2_000_000, 1);
        tally.ended(1, 2_000_000, Outcome::TurnedAway);
        let picture = heat(&tally.tracks, 1_000, 12);
        assert_eq!(picture.rows, ["a1c3", "a2h10", ""]);
        let series = series(&tally, 1_000, 12);
        assert_eq!(series[3].counts, [0, 0, 1, 0, 0, 0, 0, 1, 0]);
        assert_eq!(series.iter().map(|sample| sample.refused).collect::<Vec<_>>()[2], 1);
    }

    #[test]
    fn a_drill_that_measured_itself_says_so() {
        let plan = crate::read::read_plan(&outlast_config::SourceText::new(
            "x",
            "hold = [\"refused == 0\"]\n[[load]]\nkind = \"sse\"\nusers = 1\n",
        ));
        let plan = plan.unwrap();
        let verdict = |change: &dyn Fn(&mut Report)| {
            let mut report = empty_report();
            change(&mut report);
            judge(&mut report, &plan);
            report.verdict
        };
        assert_eq!(verdict(&|_| {}), Verdict::Held);
        assert_eq!(verdict(&|report| report.generator.late_starts = 2), Verdict::Held, "by chance");
        assert_eq!(verdict(&|report| report.summary.refused = 1), Verdict::Failed);
        assert_eq!(verdict(&|report| report.summary.lost = 1), Verdict::Failed);
        assert_eq!(verdict(&|report| report.summary.leaked = Some(0)), Verdict::Held);
        assert_eq!(verdict(&|report| report.summary.leaked = Some(1)), Verdict::Failed);
        for spoil in [
            (|report: &mut Report| report.generator.late_ticks = 3) as fn(&mut Report),
            |report| report.generator.late_starts = 3,
            |report| report.generator.busiest = 0.99,
            |report| report.generator.starved = 1,
            |report| report.ending = Ending::Interrupted,
        ] {
            assert_eq!(verdict(&spoil), Verdict::Invalid);
        }
    }
}
